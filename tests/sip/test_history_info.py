"""History-Info (RFC 7044)."""

import pytest

from ringback.sip.history_info import MOST_ENTRIES, Entry, next_index, plain_target, read_history, redirected, written
from ringback.sip.message import build_request


def entries(*values: str) -> list[Entry]:
    return read_history(build_request("INVITE", "sip:a@b", [("History-Info", value) for value in values]))


def test_the_example_of_section_5_is_read_and_written() -> None:
    value = (
        "<sip:UserA@ims.example.com?Reason=SIP%3Bcause%3D302>;index=1.1, "
        "<sip:UserB@example.com?Privacy=history&Reason=SIP%3Bcause%3D486>;index=1.2;mp=1.1, "
        "<sip:45432@192.168.0.3>;index=1.3;rc=1.2"
    )
    found = entries("<sip:UserA@ims.example.com>;index=1;foo=bar", value)
    assert [(entry.uri, entry.index, entry.reason, entry.private) for entry in found] == [
        ("sip:UserA@ims.example.com", "1", "", False),
        ("sip:UserA@ims.example.com", "1.1", "SIP;cause=302", False),
        ("sip:UserB@example.com", "1.2", "SIP;cause=486", True),
        ("sip:45432@192.168.0.3", "1.3", "", False),
    ]
    assert (found[0].parameters, found[2].mapped_from, found[3].mapped_from) == ({"foo": "bar"}, "1.1", "")
    assert found[3].parameters == {"rc": "1.2"}
    assert written(found) == f"<sip:UserA@ims.example.com>;index=1;foo=bar, {value}"


def test_what_cannot_be_read_is_left_out() -> None:
    found = entries("<sip:a@b>;index=1, oops<, <sip:c@d>;index=1.1", '"', "<sip:e@f>")
    assert [(entry.uri, entry.index) for entry in found] == [("sip:a@b", "1"), ("sip:e@f", "")]
    assert entries() == []
    assert len(entries(*["<sip:a@b>;index=1"] * (MOST_ENTRIES + 9))) == MOST_ENTRIES


def test_a_redirection_adds_the_reason_and_the_next_branch() -> None:
    """10.3 rule 4."""
    found = redirected(entries("<sip:a@b>;index=1, <sip:c@d>;index=1.2"), "sip:e@f?Subject=x", "SIP;cause=302")
    assert written(found) == (
        "<sip:a@b>;index=1, <sip:c@d?Reason=SIP%3Bcause%3D302>;index=1.2, <sip:e@f>;index=1.3;mp=1.2"
    )
    again = redirected(found, "sip:g@h", "SIP;cause=486", user_changes=False)
    assert [entry.index for entry in again] == ["1", "1.2", "1.3", "1.4"]
    assert again[-1].parameters == {"rc": "1.3"}
    assert (again[1].reason, again[2].reason) == ("SIP;cause=302", "SIP;cause=486")


def test_a_redirection_without_a_history_begins_one() -> None:
    [entry] = redirected([], "sip:a@b", "x")
    assert (entry.uri, entry.index, entry.reason) == ("sip:a@b", "1", "")


def test_a_history_does_not_grow_without_end() -> None:
    found = [Entry("sip:a@b", "1")]
    for number in range(200):
        found = redirected(found, f"sip:x{number}@y", "SIP;cause=302")
    assert (len(found), found[-1].index) == (MOST_ENTRIES, "201")


@pytest.mark.parametrize(("index", "following"), [("1", "2"), ("1.9", "1.10"), ("1.0.1", "1.0.2"), ("odd", "odd.1")])
def test_the_next_branch(index: str, following: str) -> None:
    assert next_index(index) == following


def test_a_telephone_number_holds_no_headers() -> None:
    entry = Entry("tel:+123", "1")
    entry.reason = "SIP;cause=302"
    assert str(entry) == "<tel:+123>;index=1"
    assert plain_target("sip:a@b;x=y?z=1") == "sip:a@b;x=y"
    assert plain_target("sip:a@b") == "sip:a@b"
