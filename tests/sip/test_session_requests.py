"""Requests of a session as they are built, and those of a peer that are refused."""

import pytest

from ringback.errors import ParseError
from ringback.sip.dialog import Dialog
from ringback.sip.message import build_request, build_response
from ringback.sip.session_requests import (
    abilities,
    accept_info,
    add_body,
    build,
    contact_for,
    refusal_in_dialog,
    unsupported,
)
from tests.sip.agents import Agent, Net


def world() -> tuple[Agent, Dialog]:
    alice = Agent(Net(), "alice", reliable="supported")
    dialog = Dialog("c", "<sip:a@b>;tag=1", "1", "<sip:c@d>;tag=2", "2")
    dialog.remote_target = "sip:c@192.0.2.9"
    return alice, dialog


@pytest.mark.parametrize(
    ("uri", "secure", "value"),
    [
        ("sip:a@b", False, "<sip:a@b>"),
        ("sip:a@b", True, "<sip:a@b>"),
        ("sip:a@b;transport=tls;ob", True, "<sips:a@b;ob>"),
        ("sip:a@b;transport=tls;ob", False, "<sip:a@b;transport=tls;ob>"),
        ("sips:a@b;transport=tcp", True, "<sips:a@b;transport=tcp>"),
    ],
)
def test_contacts(uri: str, secure: bool, value: str) -> None:
    assert contact_for(uri, secure) == value


@pytest.mark.parametrize(
    ("method", "present", "absent"),
    [
        ("INVITE", ["contact", "allow", "supported", "accept"], []),
        ("UPDATE", ["contact", "allow", "supported", "accept"], []),
        ("REFER", ["contact", "allow", "supported"], ["accept"]),
        ("NOTIFY", ["contact", "supported"], ["allow"]),
        ("BYE", ["supported"], ["contact", "allow", "accept"]),
        ("PRACK", ["supported"], ["contact", "allow"]),
        ("INFO", ["supported"], ["contact", "allow"]),
        ("ACK", [], ["supported", "contact", "allow", "user-agent"]),
    ],
)
def test_which_headers_a_request_has(method: str, present: list[str], absent: list[str]) -> None:
    """Tables 2 and 3 of RFC 3261, and RFC 4028 7.1: "in each request (except ACK)"."""
    alice, dialog = world()
    alice.core.tu.agent = "Test"
    request = build(alice.core.tu, alice.profile, method, dialog, [("X-Y", "z")], b"body", "text/x", 9)
    for name in present:
        assert name in request.names, name
    for name in absent:
        assert name not in request.names, name
    if method != "ACK":
        # In a dialog no reliable provisional responses are asked for.
        assert "100rel" not in request.tokens("supported")
        assert "timer" in request.tokens("supported")
    assert (request.header("x-y"), request.header("content-type"), request.header("content-length")) == (
        "z",
        "text/x",
        "4",
    )
    assert (request.cseq.number, request.body) == (9, b"body")


def test_what_we_are_able_to_do() -> None:
    alice, _ = world()
    alice.core.tu.agent = "Test/1"
    found = dict(abilities(alice.core.tu, alice.profile, b"x", True))
    assert found == {
        "Allow": "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, INFO, REFER, NOTIFY, OPTIONS, MESSAGE",
        "Supported": "replaces, join, timer, norefersub, histinfo, 100rel",
        "Allow-Events": "refer",
        "Server": "Test/1",
        "Content-Type": "application/sdp",
    }
    alice.core.tu.packages = []
    alice.core.tu.agent = ""
    assert list(dict(abilities(alice.core.tu, alice.profile, b""))) == ["Allow", "Supported"]
    assert dict(abilities(alice.core.tu, None, b"", True))["Supported"].endswith(", 100rel")


def test_a_body_and_its_headers() -> None:
    message = build_response(200, "", [("Content-Length", "0")])
    message.remove("content-length")
    add_body(message, b"abc", "")
    assert (message.header("content-type"), message.header("content-length"), message.body) == (
        "application/sdp",
        "3",
        b"abc",
    )


def test_extensions_that_are_not_known() -> None:
    alice, _ = world()
    request = build_request("INVITE", "sip:a@b", [("Require", "Timer, 100rel, foo"), ("Require", "bar")])
    assert unsupported(alice.core.tu, request, alice.profile) == ["foo", "bar"]
    alice.profile.reliable = "none"
    assert unsupported(alice.core.tu, request, alice.profile) == ["100rel", "foo", "bar"]
    assert unsupported(alice.core.tu, build_request("INVITE", "sip:a@b", []), None) == []
    with pytest.raises(ParseError):
        unsupported(alice.core.tu, build_request("INVITE", "sip:a@b", [("Require", "a b")]), None)


def test_why_a_request_in_a_dialog_is_refused() -> None:
    alice, dialog = world()
    tu, profile = alice.core.tu, alice.profile

    def refusal(method: str, cseq: int, *headers: tuple[str, str], body: bytes = b"") -> int:
        request = build_request(method, "sip:a@b", [("CSeq", f"{cseq} {method}"), *headers], body)
        found = refusal_in_dialog(tu, profile, dialog, request)
        return 0 if found is None else found[0]

    assert refusal("INFO", 5) == 0
    assert refusal("INFO", 5) == 500
    assert refusal("INFO", 6, ("Require", "foo")) == 420
    assert refusal("UPDATE", 7, ("Content-Type", "text/x"), body=b"x") == 415
    # Of other requests any body may be taken.
    assert refusal("MESSAGE", 8, ("Content-Type", "text/x"), body=b"x") == 0


def test_info_packages() -> None:
    alice, _ = world()
    alice.profile.info_packages = ["foo", "Bar"]
    for value, status in (("foo", 200), ("bar ;x=y", 200), ("nada", 469), ("", 469)):
        assert accept_info(alice.profile, build_request("INFO", "sip:a@b", [("Info-Package", value)]))[0] == status
    assert accept_info(alice.profile, build_request("INFO", "sip:a@b", [])) == (200, [])
    assert accept_info(alice.profile, build_request("INFO", "sip:a@b", [("Info-Package", "x")]))[1] == [
        ("Recv-Info", "foo, Bar")
    ]
