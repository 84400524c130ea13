"""The short way for plain refreshes gives what the long way gives, and is taken for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.binding import _Registration
from ringback.sip.message import Request
from ringback.sip.parser import parse
from ringback.sip.refresh import refresh
from ringback.sip.registrar import Binding, Outcome, Policy
from ringback.sip.transport import Flow
from ringback.sip.uri import parse_uri
from ringback.store.base import BindingRow

NOW = 1_800_000_000.0
AOR = parse_uri("sip:alice@example.org")
SECRET = bytes(range(32))
UDP = Flow("UDP", "udp:192.0.2.10:5060", "192.0.2.4", 5060)
TCP = Flow("TCP", "tcp:192.0.2.10:5060", "192.0.2.4", 50123, 17)
NAT = Flow("UDP", "udp:192.0.2.10:5060", "203.0.113.7", 41234)
SIX = Flow("UDP", "udp:[2001:db8::10]:5060", "2001:db8::7", 5060)
CONTACT = "sip:alice@192.0.2.4"


def register(lines: list[str], cseq: int = 2, call_id: str = "call-1") -> Request:
    head = ["REGISTER sip:example.org SIP/2.0", "Via: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK1"]
    head += ["From: <sip:alice@example.org>;tag=1", "To: <sip:alice@example.org>"]
    head += [f"Call-ID: {call_id}", f"CSeq: {cseq} REGISTER"]
    request = parse("\r\n".join([*head, *lines, "", ""]).encode())
    assert isinstance(request, Request)
    return request


def binding(contact: str = CONTACT) -> Binding:
    return Binding(contact, NOW + 10.0, call_id="call-1", cseq=1, updated=NOW - 50)


def flat(outcome: Outcome) -> tuple[object, ...]:
    def fields(row: Binding) -> tuple[object, ...]:
        return tuple(getattr(row, name) for name in BindingRow.__struct_fields__)

    changes = [(change.event, fields(change.binding)) for change in outcome.changes]
    return (outcome.status, outcome.reason, outcome.headers, [fields(row) for row in outcome.rows], changes)


@pytest.mark.parametrize("source", [UDP, TCP, NAT, SIX, Flow("UDP", "x", "192.0.2.4", 5070)])
@pytest.mark.parametrize("secret", [b"", SECRET])
@pytest.mark.parametrize(
    ("contact", "lines"),
    [
        (CONTACT, ["Contact: <sip:alice@192.0.2.4>"]),
        (CONTACT, ["Contact: <sip:alice@192.0.2.4>;expires=600"]),
        (CONTACT, ["m: <sip:alice@192.0.2.4>", "Expires: 60"]),
        (CONTACT, ["Contact: <sip:alice@192.0.2.4>;expires=100000", "Expires: 60", "User-Agent: phone/1"]),
        ("sip:192.0.2.4:5060", ["Contact: <sip:192.0.2.4:5060>"]),
        ("sip:alice@192.0.2.4:5070;ob", ["Contact: <sip:alice@192.0.2.4:5070;ob>"]),
        ("sip:alice@[2001:db8::7]", ["Contact: <sip:alice@[2001:db8::7]>"]),
    ],
)
def test_the_short_way_gives_what_the_long_way_gives(
    contact: str, lines: list[str], secret: bytes, source: Flow
) -> None:
    rows = [binding("sip:first@192.0.2.9"), binding(contact), Binding("sip:last@h", NOW + 100, 500, parameters=";x")]
    policy = Policy(flow_secret=secret, service_route=("<sip:p;lr>",))
    before = [flat(Outcome(0, "", [], rows, []))]
    short = refresh(register(lines), rows, NOW, policy, source, "today")
    assert short is not None
    long = _Registration(register(lines), rows, NOW, policy, AOR, source, "today").process()
    assert flat(short) == flat(long)
    assert [flat(Outcome(0, "", [], rows, []))] == before


PLAIN = ["Contact: <sip:alice@192.0.2.4>;expires=600"]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([], "a query"),
        (["Contact: *", "Expires: 0"], "a wildcard"),
        (["Contact:"], "an empty contact"),
        (["Contact: sip:alice@192.0.2.4"], "no angle brackets"),
        (['Contact: "A" <sip:alice@192.0.2.4>'], "a display name"),
        (["Contact: <sip:alice@192.0.2.4"], "malformed"),
        (["Contact: <sip:bob@192.0.2.4>"], "a new contact"),
        (["Contact: <sip:alice@192.0.2.4;x>"], "another spelling"),
        (["Contact: <sip:alice@192.0.2.4>, <sip:b@h>"], "two contacts"),
        ([*PLAIN, *PLAIN], "two contacts"),
        (["Contact: <sip:alice@192.0.2.4>;q=0.5"], "q"),
        (["Contact: <sip:alice@192.0.2.4>;expires=600;audio"], "a parameter"),
        (["Contact: <sip:alice@192.0.2.4>;expires=0"], "a removal"),
        (["Contact: <sip:alice@192.0.2.4>", "Expires: 0"], "a removal"),
        (["Contact: <sip:alice@192.0.2.4>;expires=59"], "too brief"),
        (["Contact: <sip:alice@192.0.2.4>;expires=-1"], "malformed"),
        (["Contact: <sip:alice@192.0.2.4>;expires="], "malformed"),
        (["Contact: <sip:alice@192.0.2.4>;expires=٣٣٣"], "malformed"),
        (["Contact: <sip:alice@192.0.2.4>;expires=1000000000"], "long"),
        (["Contact: <sip:alice@192.0.2.4>", "Expires: x"], "malformed"),
        ([*PLAIN, "Require: path"], "an extension"),
        ([*PLAIN, "Supported: path", "Path: <sip:p;lr>"], "a Path"),
        ([*PLAIN, "User-Agent: " + "x" * 201], "a long text"),
    ],
)
def test_all_else_takes_the_long_way(lines: list[str], why: str) -> None:
    assert refresh(register(lines), [binding()], NOW, Policy(), UDP, "") is None, why


@pytest.mark.parametrize(("call_id", "cseq", "short"), [("call-1", 1, False), ("call-1", 2, True), ("x", 1, True)])
def test_a_request_that_is_out_of_order_takes_the_long_way(call_id: str, cseq: int, short: bool) -> None:
    outcome = refresh(register(PLAIN, cseq, call_id), [binding()], NOW, Policy(), UDP, "")
    assert (outcome is not None) is short


def test_a_long_call_id_takes_the_long_way() -> None:
    assert refresh(register(PLAIN, 2, "x" * 201), [binding()], NOW, Policy(), UDP, "") is None


def test_a_flow_that_is_no_more_takes_the_long_way() -> None:
    """A Contact was accepted because it is reached over a flow: where its own URI leads was not looked at."""
    rows = [change("flow", "token")]
    policy = Policy(flow_secret=SECRET, refused=lambda contact, source, has_flow: "" if has_flow else "refused")
    assert refresh(register(PLAIN), rows, NOW, policy, NAT, "") is not None
    assert refresh(register(["Via: SIP/2.0/UDP 192.0.2.9", *PLAIN]), rows, NOW, policy, NAT, "") is None


def change(name: str, value: object) -> Binding:
    row = binding()
    setattr(row, name, value)
    return row


@pytest.mark.parametrize(
    "rows",
    [
        [change("q", 500)],
        [change("parameters", ";audio")],
        [change("path", ("<sip:p;lr>",))],
        [change("instance", "urn:x:1")],
        [change("expires", NOW)],
        [binding(), Binding("sip:b@h", NOW + 9, instance="urn:x:1")],
        [binding(), Binding("sip:b@h", NOW - 9)],
        [],
    ],
)
def test_a_binding_that_is_not_plain_takes_the_long_way(rows: list[Binding]) -> None:
    assert refresh(register(PLAIN), rows, NOW, Policy(), UDP, "") is None


def test_a_contact_that_names_a_transport_takes_the_long_way_over_udp() -> None:
    contact = "sip:alice@192.0.2.4;Transport=tcp"
    lines = [f"Contact: <{contact}>"]
    policy = Policy(flow_secret=SECRET)
    assert refresh(register(lines), [binding(contact)], NOW, policy, UDP, "") is None
    assert refresh(register(lines), [binding(contact)], NOW, policy, TCP, "") is not None


@given(
    uri=st.sampled_from([CONTACT, CONTACT + ":5060", CONTACT + ";ob", "sip:192.0.2.4", "sip:a@[2001:db8::7]:5060"]),
    tail=st.sampled_from(["", ";expires=60", ";expires=59", ";expires=9000", ";expires=0", ";q=1", ";expires=070"]),
    header=st.sampled_from([None, "0", "61", "x"]),
    stored=st.lists(
        st.sampled_from(["sip:b@h", CONTACT + ";x=1", CONTACT, CONTACT + ":5060", "sip:192.0.2.4"]), unique=True
    ),
    source=st.sampled_from([UDP, TCP, NAT, SIX]),
    cseq=st.integers(1, 3),
    extra=st.sampled_from([[], ["Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bK2"], ["User-Agent: x"]]),
)
def test_no_request_is_answered_otherwise_by_the_short_way(
    uri: str, tail: str, header: str | None, stored: list[str], source: Flow, cseq: int, extra: list[str]
) -> None:
    lines = [f"Contact: <{uri}>{tail}", *extra] + ([f"Expires: {header}"] if header is not None else [])
    rows = [binding(contact) for contact in stored]
    policy = Policy(flow_secret=SECRET)
    short = refresh(register(lines, cseq), rows, NOW, policy, source, "")
    if short is not None:
        long = _Registration(register(lines, cseq), rows, NOW, policy, AOR, source, "").process()
        assert flat(short) == flat(long)
