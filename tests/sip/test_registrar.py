"""Contacts as they are read and written, and the values that a registrar passes around."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import ParseError
from ringback.sip.registrar import (
    Binding,
    Change,
    Contact,
    Outcome,
    Policy,
    contact_value,
    finish,
    read_contact,
    received_from,
    seconds,
)
from ringback.sip.transport import Flow
from ringback.store.base import BindingRow

INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


def parts(contact: Contact) -> tuple[object, ...]:
    return (contact.uri.text, contact.requested, contact.q, contact.instance, contact.reg_id, contact.parameters)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<sip:a@192.0.2.1>", ("sip:a@192.0.2.1", 777, 1000, "", 0, "")),
        ("sip:a@192.0.2.1;expires=60", ("sip:a@192.0.2.1", 60, 1000, "", 0, "")),
        ('"A; B" <sip:a@192.0.2.1;ob?x=y>;Q=0.25', ("sip:a@192.0.2.1;ob?x=y", 777, 250, "", 0, "")),
        ('<sip:a@h>;expires="90"', ("sip:a@h", 90, 1000, "", 0, "")),
        ("<sip:a@h>;expires=99999999999", ("sip:a@h", 4294967295, 1000, "", 0, "")),
        ("<sip:a@h>;expires=soon", ("sip:a@h", 3600, 1000, "", 0, "")),
        ("<sip:a@h>;expires", ("sip:a@h", 3600, 1000, "", 0, "")),
        (
            f'<sip:a@h>;audio;+sip.instance="<{INSTANCE}>";methods="INVITE,BYE";reg-id=1;+g.x="<#7>"',
            ("sip:a@h", 777, 1000, INSTANCE, 1, ';audio;methods="INVITE,BYE";+g.x="<#7>"'),
        ),
        ('<sip:a@h>;pub-gruu="sip:x@h;gr=1";temp-gruu="sip:y@h;gr"', ("sip:a@h", 777, 1000, "", 0, "")),
        ("<sip:a@h>;reg-id=2147483647", ("sip:a@h", 777, 1000, "", 2147483647, "")),
        ("<mailto:a@h>", ("mailto:a@h", 777, 1000, "", 0, "")),
    ],
)
def test_a_contact_is_read(value: str, expected: tuple[object, ...]) -> None:
    assert parts(read_contact(value, 777)) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "<sip:a@h",
        "<sip:@h>",
        "<sip:a@h>;reg-id=0",
        "<sip:a@h>;reg-id=2147483648",
        "<sip:a@h>;reg-id",
        "<sip:a@h>;reg-id=x",
        "<sip:a@h>;q=1.1",
        "<sip:a@h>;q=0.1234",
        "<sip:a@h>;q=.5",
        "<sip:a@h>;q",
        "<sip:a@h>;q=-1",
        '<sip:a@h>;+sip.instance="<>"',
        "<sip:a@h>;audio;audio",
    ],
)
def test_a_contact_that_is_none_is_malformed(value: str) -> None:
    with pytest.raises(ParseError) as caught:
        read_contact(value, 777)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("3600", 3600),
        ("007", 7),
        ("4294967295", 4294967295),
        ("4294967296", 4294967295),
        ("9" * 100, 4294967295),
        ("", 3600),
        ("-1", 3600),
        ("1.5", 3600),
        ("٣", 3600),
        ("Thu, 01 Dec", 3600),
    ],
)
def test_seconds_are_clipped_and_malformed_ones_are_an_hour(text: str, value: int) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("binding", "value"),
    [
        (Binding("sip:a@h", 1060.0), "<sip:a@h>;expires=60"),
        (Binding("sip:a@h", 1000.4), "<sip:a@h>;expires=1"),
        (Binding("sip:a@h", 1059.4, 0), "<sip:a@h>;expires=59;q=0"),
        (Binding("sip:a@h", 1059.5, 5), "<sip:a@h>;expires=60;q=0.005"),
        (Binding("sip:a@h", 1060.0, 500, instance="urn:x:1"), '<sip:a@h>;expires=60;q=0.5;+sip.instance="<urn:x:1>"'),
        (
            Binding("sip:a@h;ob", 1060.0, instance="urn:x:1", reg_id=3, parameters=";audio"),
            '<sip:a@h;ob>;expires=60;+sip.instance="<urn:x:1>";reg-id=3;audio',
        ),
    ],
)
def test_a_binding_is_listed(binding: Binding, value: str) -> None:
    assert contact_value(binding, 1000.0) == value


@given(st.integers(0, 1000), st.integers(1, 4294967295))
def test_what_is_listed_can_be_read_back(q: int, left: int) -> None:
    binding = Binding("sip:a@192.0.2.1:5070;ob", 1000.0 + left, q, "", 0, INSTANCE, 4, parameters=';video;x="a,b"')
    read = read_contact(contact_value(binding, 1000.0), 0)
    assert parts(read) == (binding.contact, left, q, INSTANCE, 4, ';video;x="a,b"')


def test_the_new_epoch_of_a_binding_changes_nothing_else() -> None:
    fields = ("sip:a@h", 5.0, 3, "call", 7, "urn:x:1", 2, ("<sip:p;lr>",), "flow", "udp:x", ";audio", "agent", 11, 1.5)
    binding = Binding(*fields)
    copy = binding.with_epoch(12)
    changed = [name for name in BindingRow.__struct_fields__ if getattr(copy, name) != getattr(binding, name)]
    assert changed == ["gruu"]
    assert (binding.gruu, copy.gruu) == (11, 12)


@pytest.mark.parametrize(
    ("flow", "text"),
    [
        (Flow("UDP", "", "203.0.113.7", 41234), "udp:203.0.113.7:41234"),
        (Flow("WSS", "", "2001:db8::7", 443, 3), "wss:[2001:db8::7]:443"),
    ],
)
def test_where_a_request_came_from(flow: Flow, text: str) -> None:
    assert received_from(flow) == text


def test_every_success_carries_service_route_and_date() -> None:
    headers = [("Contact", "<sip:a@h>;expires=1")]
    finish(headers, Policy(service_route=("<sip:a;lr>", "<sip:b;lr>")), "now")
    assert headers[1:] == [("Service-Route", "<sip:a;lr>"), ("Service-Route", "<sip:b;lr>"), ("Date", "now")]
    finish(headers, Policy(), "")
    assert len(headers) == 4


def test_the_values_show_themselves() -> None:
    binding = Binding("sip:a@h", 5.0)
    assert repr(binding) == "<Binding sip:a@h until 5.0>"
    assert repr(Change("refreshed", binding)) == "<refreshed sip:a@h>"
    assert Outcome(403, "No", [], [], []).why == "No"
    assert Outcome(503, "", [], [], [], "disk full").why == "disk full"
