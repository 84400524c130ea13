"""Browser phones: JsSIP over WebSocket (RFC 7118), plain and with TLS, to each other and to phones on UDP.

In Node.js there is no WebRTC: calls are signalled with fixed session descriptions, and no sound flows.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.interop.peers.jssip import JsSip
from tests.interop.peers.server import Server
from tests.interop.peers.sipp import Sipps

pytestmark = pytest.mark.interop("node:jssip", "node:ws", "openssl")

Phone = Callable[..., JsSip]
both_transports = pytest.mark.parametrize("transport", ["ws", "wss"])


@pytest.fixture
def server(shared: Server) -> Server:
    """The same for all tests here: its phones take back what they registered."""
    return shared


@both_transports
def test_registers(phone: Phone, transport: str) -> None:
    """REGISTER over the WebSocket, challenged; the binding has the name that JsSIP made up for itself (7118 5)."""
    alice = phone(JsSip, "alice", transport=transport, wait=False)
    (contact,) = alice.expect("registered")["contacts"]
    assert re.fullmatch(r"<sip:\w+@\w+\.invalid;transport=ws>;expires=\d+;.*", contact), contact
    assert '+sip.instance="<urn:uuid:' in contact and "reg-id=1" in contact


@both_transports
def test_wrong_password(phone: Phone, transport: str) -> None:
    """The second challenge is the last word for it."""
    mallory = phone(JsSip, "alice", transport=transport, password="guess", wait=False)
    assert mallory.expect("registrationFailed")["status"] == 401


@pytest.mark.parametrize(("first", "second"), [("ws", "ws"), ("wss", "wss"), ("ws", "wss")])
def test_message_and_options_to_another(phone: Phone, first: str, second: str) -> None:
    """MESSAGE and OPTIONS reach the other browser phone over the connection that it keeps, and are answered."""
    alice, bob = phone(JsSip, "alice", transport=first), phone(JsSip, "bob", transport=second)
    alice.do("message", to="bob", body="Grüße aus dem Browser")
    message = bob.expect("message")
    assert message["from"] == "sip:alice@ring.test"
    assert (message["body"], message["type"], message["vias"]) == ("Grüße aus dem Browser", "text/plain", 2)
    assert alice.expect("message succeeded")["status"] == 200
    bob.do("options", to="alice")
    assert alice.expect("options")["from"] == "sip:bob@ring.test"
    answered = bob.expect("options succeeded")
    assert answered["status"] == 200
    assert "INVITE" in answered["allow"] and "REGISTER" not in answered["allow"], "the phone's answer, not the server's"


def test_message_to_nobody(phone: Phone) -> None:
    """Carol has no phone."""
    alice = phone(JsSip, "alice")
    alice.do("message", to="carol", body="?")
    assert alice.expect("message failed")["status"] == 480


@both_transports
@pytest.mark.interop("sipp")
def test_message_to_a_phone_on_udp(phone: Phone, server: Server, sipps: Sipps, transport: str) -> None:
    """From the WebSocket to UDP: the text arrives as it was written, and the answer goes back."""
    alice = phone(JsSip, "alice", transport=transport)
    bob = sipps.phone("answers_message", server.udp, user="bob")
    alice.do("message", to="bob", body="Grüße")
    assert alice.expect("message succeeded")["status"] == 200
    bob.done()
    message = bob.first("< MESSAGE")
    assert message.body == "Grüße"
    assert message.all("Via")[0].startswith("SIP/2.0/UDP ") and f"SIP/2.0/{transport.upper()} " in message.all("Via")[1]


@pytest.mark.parametrize("who", ["caller", "callee"])
@both_transports
def test_call(phone: Phone, transport: str, who: str) -> None:
    """INVITE, 180, 200, ACK between two browser phones, hung up from either end; each gets the other's description."""
    alice, bob = phone(JsSip, "alice", transport=transport), phone(JsSip, "bob", transport=transport)
    alice.do("call", to="bob")
    assert bob.expect("incoming")["from"] == "sip:alice@ring.test"
    assert alice.expect("ringing")["status"] == 180
    bob.do("answer")
    assert "o=alice 1 1 " in bob.expect("remote")["sdp"]
    alice.expect("accepted")
    assert bob.expect("confirmed")["originator"] == "remote", "the ACK arrived"
    first, second = (alice, bob) if who == "caller" else (bob, alice)
    first.do("hangup")
    ended = second.expect("ended")
    assert (ended["originator"], ended["cause"]) == ("remote", "Terminated")
    assert first.expect("ended")["originator"] == "local"


def test_call_is_refused(phone: Phone) -> None:
    """486 comes back to the caller."""
    alice, bob = phone(JsSip, "alice"), phone(JsSip, "bob")
    alice.do("call", to="bob")
    bob.expect("incoming")
    bob.do("refuse", status=486)
    failed = alice.expect("failed")
    assert (failed["originator"], failed["cause"], failed["status"]) == ("remote", "Busy", 486)


def test_call_is_given_up(phone: Phone) -> None:
    """CANCEL reaches the phone that rings."""
    alice, bob = phone(JsSip, "alice"), phone(JsSip, "bob")
    alice.do("call", to="bob")
    bob.expect("incoming")
    alice.expect("ringing")
    alice.do("hangup")
    failed = bob.expect("failed")
    assert (failed["originator"], failed["cause"]) == ("remote", "Canceled")


@both_transports
@pytest.mark.interop("sipp")
def test_call_to_a_phone_on_udp(phone: Phone, server: Server, sipps: Sipps, transport: str) -> None:
    """A browser phone calls one on UDP, which hangs up: the BYE finds its way back over the WebSocket."""
    alice = phone(JsSip, "alice", transport=transport)
    bob = sipps.phone("callee", server.udp, user="bob")
    alice.do("call", to="bob")
    assert "o=bob " in alice.expect("remote")["sdp"]
    assert alice.expect("ended")["originator"] == "remote"
    bob.done()
    assert bob.steps() == ["< INVITE", "> 180", "> 200", "< ACK", "> BYE", "< 200"]
