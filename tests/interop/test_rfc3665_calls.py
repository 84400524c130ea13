"""The flows of RFC 3665 section 3 through one server, with SIPp at both ends.

Here are 3.1, 3.6, 3.7, 3.9, 3.10 and 3.11; test_rfc3665_proxies.py has those that need two proxies. 3.5 shows an
application level gateway, which rewrites SDP: no work of a proxy, so it has no test.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interop.conftest import ONLY_MD5
from tests.interop.peers.server import Server, instead_of_ringback
from tests.interop.peers.sipp import Logged, Sipps

pytestmark = pytest.mark.interop("sipp", "openssl")

BOB = "bob@ring.test"
ALICE = {"user": "alice", "target": BOB}
CHALLENGED = ["> INVITE", "< 407", "> ACK", "> INVITE"]
needs_setting = pytest.mark.skipif(instead_of_ringback(), reason="a setting of Ringback's")
both_transports = pytest.mark.parametrize("transport", ["udp", "tcp"])


def uri_of(message: Logged) -> str:
    """The Request-URI."""
    return message.start_line.split(" ")[1]


def came_through_one_proxy(invite: Logged) -> None:
    """What Bob is sent: the server's Via on top of Alice's, its Record-Route, one hop less, and no credentials."""
    assert len(invite.all("Via")) == 2
    assert invite.one("Max-Forwards") == "69"
    assert all(";lr>" in value for value in invite.all("Record-Route")) and invite.all("Record-Route")
    # RFC 3261 22.3 lets a proxy consume credentials for its own realm; nobody behind it has a use for them.
    assert invite.all("Proxy-Authorization") == []


@both_transports
def test_3_1_session_establishment(shared: Server, sipps: Sipps, transport: str) -> None:
    """INVITE, 180, 200, ACK, and Bob hangs up: each message reaches the other side once and whole."""
    bob = sipps.phone("callee", shared.udp, user="bob", transport=transport)
    alice = sipps.run("caller", shared.udp, transport=transport, **ALICE)
    bob.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "< 200", "> ACK", "< BYE", "> 200"]
    assert bob.steps() == ["< INVITE", "> 180", "> 200", "< ACK", "> BYE", "< 200"]
    came_through_one_proxy(bob.first("< INVITE"))
    assert bob.first("< INVITE").body == alice.first("> INVITE", 1).body
    assert alice.first("< 200").body == bob.first("> 200").body
    assert alice.first("< 200").one("Contact") == bob.first("> 200").one("Contact")
    # 12.2.1.1: the remote target is the Request-URI of what follows; 16.12.1.1: and no Route of ours is left.
    assert uri_of(bob.first("< ACK")) == f"sip:bob@127.0.0.1:{bob.port};transport={transport.upper()}"
    assert uri_of(alice.first("< BYE")) == f"sip:alice@127.0.0.1:{alice.port};transport={transport.upper()}"
    for request in (bob.first("< ACK"), alice.first("< BYE")):
        assert request.all("Route") == []
        assert len(request.all("Via")) == 2


@pytest.mark.parametrize(("caller", "callee"), [("udp", "tcp"), ("tcp", "udp")])
def test_3_1_from_one_transport_to_the_other(shared: Server, sipps: Sipps, caller: str, callee: str) -> None:
    """The same where the two sides differ: RFC 5658 has the server record its route twice."""
    bob = sipps.phone("callee", shared.udp, user="bob", transport=callee)
    alice = sipps.run("caller", shared.udp, transport=caller, **ALICE)
    bob.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "< 200", "> ACK", "< BYE", "> 200"]
    assert bob.first("< INVITE").all("Via")[0].startswith(f"SIP/2.0/{callee.upper()} ")
    assert alice.first("< BYE").all("Via")[0].startswith(f"SIP/2.0/{caller.upper()} ")
    assert len(bob.first("< INVITE").all("Record-Route")) == 2


@both_transports
def test_3_1_the_caller_hangs_up(shared: Server, sipps: Sipps, transport: str) -> None:
    """The BYE goes the other way."""
    bob = sipps.phone("callee_is_left", shared.udp, user="bob", transport=transport)
    alice = sipps.run("caller_hangs_up", shared.udp, transport=transport, **ALICE)
    bob.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "< 200", "> ACK", "> BYE", "< 200"]
    assert bob.steps() == ["< INVITE", "> 180", "> 200", "< ACK", "< BYE", "> 200"]


@both_transports
def test_3_6_redirect_and_sdp_in_the_ack(shared: Server, sipps: Sipps, transport: str) -> None:
    """Bob redirects to Carol; the 302 is Alice's to follow. Carol offers in her 200, Alice answers in her ACK."""
    bob = sipps.phone("callee_redirects", shared.udp, user="bob", transport=transport, other="sip:carol@ring.test")
    carol = sipps.phone("callee_offers", shared.udp, user="carol", transport=transport)
    first = sipps.run("caller_redirected", shared.udp, transport=transport, **ALICE)
    bob.done()
    assert first.steps() == [*CHALLENGED, "< 302", "> ACK"]
    assert first.first("< 302").one("Contact") == "<sip:carol@ring.test>"
    alice = sipps.run("caller_offered", shared.udp, transport=transport, user="alice", target="carol@ring.test")
    carol.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "< 200", "> ACK", "< BYE", "> 200"]
    assert bob.steps() == ["< INVITE", "> 302", "< ACK"]
    assert bob.first("< ACK").branch == bob.first("< INVITE").branch
    assert carol.first("< INVITE").body == ""
    assert alice.first("< 200").body == carol.first("> 200").body != ""
    assert carol.first("< ACK").body == alice.first("> ACK", 1).body != ""


@needs_setting
def test_3_6_the_proxy_follows_the_redirection(make_server: Callable[..., Server], sipps: Sipps) -> None:
    """With `recurse` the server tries the contacts of a 302 itself (RFC 3261 16.7 step 4); Alice sees no 302."""
    server = make_server(f"{ONLY_MD5}\n[setup]\nrecurse = true\n")
    carol = sipps.phone("callee_offers", server.udp, user="carol")
    place = f"sip:carol@127.0.0.1:{carol.port}"
    bob = sipps.phone("callee_redirects", server.udp, user="bob", other=place)
    alice = sipps.run("caller_offered", server.udp, **ALICE)
    bob.done()
    carol.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "< 200", "> ACK", "< BYE", "> 200"]
    assert bob.steps() == ["< INVITE", "> 302", "< ACK"]
    assert uri_of(carol.first("< INVITE")) == place
    assert carol.first("< ACK").body == alice.first("> ACK", 1).body != ""


def test_3_7_reinvite_with_another_address(shared: Server, sipps: Sipps) -> None:
    """Bob moves to 127.0.0.2 and says so in a re-INVITE; Alice's BYE finds him there. Over UDP: a connection would have
    to be opened anew."""
    bob = sipps.phone("callee_moves", shared.udp, user="bob", host="0.0.0.0", transport="udp")
    alice = sipps.run("caller_reinvited", shared.udp, **ALICE)
    bob.done()
    established = [*CHALLENGED, "< 180", "< 200", "> ACK"]
    assert alice.steps() == [*established, "< INVITE", "> 200", "< ACK", "> BYE", "< 200"]
    again = alice.first("< INVITE")
    assert again.body == bob.first("> INVITE").body and "c=IN IP4 127.0.0.2\n" in again.body
    assert again.one("Contact") == f"<sip:bob@127.0.0.2:{bob.port};transport=UDP>"
    assert again.one("Call-ID") == alice.first("> INVITE").one("Call-ID")
    assert uri_of(bob.first("< BYE")) == f"sip:bob@127.0.0.2:{bob.port};transport=UDP"


@both_transports
@pytest.mark.parametrize("answer", ["486 Busy Here", "480 Temporarily Unavailable", "603 Decline"])
def test_3_9_and_3_11_busy_and_unavailable(shared: Server, sipps: Sipps, transport: str, answer: str) -> None:
    """What Bob refuses with is what Alice gets; the server acknowledges it to Bob, on the branch of the INVITE
    (RFC 3261 17.1.1.3), and takes Alice's ACK itself."""
    bob = sipps.phone("callee_refuses", shared.udp, user="bob", transport=transport, answer=answer)
    alice = sipps.run("caller_fails", shared.udp, transport=transport, **ALICE)
    bob.done()
    status = answer[:3]
    assert alice.steps() == [*CHALLENGED, f"< {status}", "> ACK"]
    assert alice.first(f"< {status}").start_line == f"SIP/2.0 {answer}"
    assert alice.first(f"< {status}").one("To") == bob.first(f"> {status}").one("To")
    assert bob.steps() == ["< INVITE", f"> {status}", "< ACK"]
    invite, ack = bob.first("< INVITE"), bob.first("< ACK")
    assert ack.all("Via") == invite.all("Via")[:1]
    assert uri_of(ack) == uri_of(invite)
    assert ack.one("To") == bob.first(f"> {status}").one("To")


@both_transports
def test_3_11_no_phone_is_registered(shared: Server, sipps: Sipps, transport: str) -> None:
    """Bob has an account and no phone: 480 comes from the server (RFC 3261 16.5)."""
    alice = sipps.run("caller_fails", shared.udp, transport=transport, **ALICE)
    assert alice.steps() == [*CHALLENGED, "< 480", "> ACK"]


@needs_setting
def test_3_10_no_response(make_server: Callable[..., Server], sipps: Sipps) -> None:
    """Bob's phone says nothing at all: the INVITE is repeated at 0.5 and 1.5 s (RFC 3261 17.1.1.2, timer A), and when
    `ring_seconds` are over Alice gets a 408. Without that setting timer B would end it, after 32 s."""
    server = make_server(f"{ONLY_MD5}\n[setup]\nring_seconds = 2.5\n")
    bob = sipps.phone("callee_silent", server.udp, user="bob")
    alice = sipps.run("caller_fails", server.udp, **ALICE)
    assert alice.steps() == [*CHALLENGED, "< 408", "> ACK"]
    invites = bob.messages()
    assert [message.step for message in invites] == ["< INVITE"] * 3
    assert len({message.branch for message in invites}) == 1


@needs_setting
def test_3_10_rings_for_too_long(make_server: Callable[..., Server], sipps: Sipps) -> None:
    """A phone that still rings when `ring_seconds` are over is cancelled by the server, and Alice is told that time is
    over: she has cancelled nothing. RFC 3261 16.8, of timer C: "the proxy MUST generate a CANCEL request matching that
    transaction"."""
    server = make_server(f"{ONLY_MD5}\n[setup]\nring_seconds = 1\n")
    bob = sipps.phone("callee_rings", server.udp, user="bob")
    alice = sipps.run("caller_fails", server.udp, **ALICE)
    bob.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "< 408", "> ACK"]
    assert bob.steps() == ["< INVITE", "> 180", "< CANCEL", "> 200", "> 487", "< ACK"]
    assert bob.first("< CANCEL").branch == bob.first("< INVITE").branch
