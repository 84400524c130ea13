"""One request: located, sent, authenticated, failed over, cancelled (RFC 3261 8.1, 18.1.1, 22; RFC 3263 4.3)."""

import pytest

from ringback.sip.dialog import Dialog
from ringback.sip.digest import parse_credentials
from ringback.sip.digest_client import DigestClient, Login
from ringback.sip.exchange import Exchange, route_of
from ringback.sip.message import Request, build_request
from ringback.sip.session_events import Completed, Locate
from ringback.sip.timers import T64
from ringback.sip.transport import Flow
from tests.sip.agents import OFFER, Agent, Net, Peer, settle

CHALLENGE = 'Digest realm="example.org", nonce="n1", algorithm=SHA-256, qop="auth"'


def login(*hosts: str) -> DigestClient:
    return DigestClient([Login("alice", "secret", "example.org", hosts)])


def world(**settings: object) -> tuple[Net, Agent, Peer]:
    net = Net()
    return net, Agent(net, "alice", **settings), Peer(net)  # type: ignore[arg-type]


def send(net: Net, alice: Agent, uri: str, method: str = "MESSAGE", body: bytes = b"") -> Exchange:
    exchange = alice.core.request(build_request(method, uri, [], body), alice.profile, net.now)
    net.run(0.0)
    return exchange


def completed(alice: Agent) -> tuple[int, bool]:
    event = alice.one(Completed)
    return event.status, event.response is not None


# where it goes -------------------------------------------------------------------------------------------------------


def test_an_address_is_not_asked_for() -> None:
    net, alice, peer = world()
    exchange = send(net, alice, peer.uri)
    message = peer.take("MESSAGE")
    assert (message.via.sent_by, message.via.rport, alice.names()) == (f"{alice.host}:5060", 0, [])
    assert message.via.branch.startswith("z9hG4bKalice")
    assert exchange.flow is not None and exchange.flow.host == peer.host
    peer.answer(message, 200)
    assert completed(alice) == (200, True)
    assert repr(exchange) == f"<Exchange MESSAGE {peer.uri} 200>"
    settle(net, alice)


def test_an_address_is_asked_for_where_a_shell_wants_that() -> None:
    net, alice, peer = world()
    alice.core.tu.locates_addresses = True
    net.names[peer.host] = [peer.host]
    send(net, alice, peer.uri)
    assert alice.one(Locate).uri.host == peer.host
    assert peer.took("MESSAGE")


@pytest.mark.parametrize("uri", ["tel:+123", "sip:x@192.0.2.2;transport=sctp", "sips:x@192.0.2.2;transport=udp"])
def test_what_cannot_be_reached_fails_at_once(uri: str) -> None:
    net, alice, _ = world()
    exchange = send(net, alice, uri)
    assert (exchange.status >= 400, alice.one(Completed).response) == (True, None)
    settle(net, alice)


def test_the_flow_of_a_registration_takes_everything() -> None:
    """RFC 5626 4.3."""
    net, alice, peer = world()
    proxy = Peer(net, "proxy")
    alice.profile.flow = alice.flow(proxy)
    send(net, alice, "sip:bob@somewhere.example", body=b"x" * 2000)
    assert proxy.take("MESSAGE").uri == "sip:bob@somewhere.example"
    assert alice.names() == []
    assert not peer.got


@pytest.mark.parametrize(
    ("by_flow", "routes", "target", "over_flow"),
    [
        (True, ["<sip:proxy.example;lr>"], "192.0.2.2", True),
        (True, [], "192.0.2.2", False),
        (True, [], "192.0.2.3", True),
        (True, [], "named.example", True),
        (False, ["<sip:192.0.2.2;lr>"], "192.0.2.2", False),
        (False, [], "192.0.2.3", False),
    ],
)
def test_the_flow_within_a_dialog(by_flow: bool, routes: list[str], target: str, over_flow: bool) -> None:
    net, alice, _ = world()
    proxy = Peer(net, "proxy")
    alice.profile.flow = Flow("UDP", alice.local("UDP"), proxy.host, 5060, 0, "named.example")
    dialog = Dialog("c", "<sip:a@b>;tag=1", "1", "<sip:c@d>;tag=2", "2")
    dialog.by_flow, dialog.routes, dialog.remote_target = by_flow, routes, f"sip:x@{target}"
    exchange = alice.core.request(dialog.request("INFO"), alice.profile, net.now, dialog)
    assert (exchange.flow is alice.profile.flow) is over_flow


def test_a_strict_router_first_in_the_route() -> None:
    """12.2.1.1: its URI becomes the Request-URI, and that is where the request goes."""
    net, alice, peer = world()
    dialog = Dialog("c", "<sip:a@b>;tag=1", "1", "<sip:c@d>;tag=2", "2")
    dialog.routes = [f"<sip:{peer.host};x=y>", "<sip:192.0.2.77;lr>"]
    dialog.remote_target = "sip:far@192.0.2.88"
    alice.core.request(dialog.request("INFO"), alice.profile, net.now, dialog)
    net.run(0.0)
    info = peer.take("INFO")
    assert info.uri == f"sip:{peer.host};x=y"
    assert info.all("route") == ["<sip:192.0.2.77;lr>, <sip:far@192.0.2.88>"]


def test_what_was_found_for_a_dialog_is_kept() -> None:
    net, alice, peer = world()
    net.names["far.example"] = [peer.host]
    dialog = Dialog("c", "<sip:a@b>;tag=1", "1", "<sip:c@d>;tag=2", "2")
    dialog.remote_target = "sip:x@far.example"
    for _ in range(3):
        alice.core.request(dialog.request("INFO"), alice.profile, net.now, dialog)
        net.run(0.0)
    assert (len(alice.told_of(Locate)), len(net.sent("INFO"))) == (1, 3)
    dialog.remote_target = "sip:y@far.example"
    alice.core.request(dialog.request("INFO"), alice.profile, net.now, dialog)
    assert [sent.message.cseq.number for sent in net.sent("INFO")] == [1, 2, 3]


# failover (RFC 3263 4.3) ---------------------------------------------------------------------------------------------


def several(status: int | None) -> tuple[Net, Agent, Peer, Peer]:
    """A domain with two servers, of which the first fails."""
    net, alice, first = world()
    second = Peer(net, "second")
    net.names["example.com"] = [first.host, second.host]
    send(net, alice, "sip:bob@example.com")
    if status is not None:
        first.answer(first.take("MESSAGE"), status, headers=[("Retry-After", "60")])
    return net, alice, first, second


def test_a_503_leads_to_the_next_server() -> None:
    net, alice, first, second = several(503)
    again = second.take("MESSAGE")
    assert (again.cseq.number, again.uri) == (1, "sip:bob@example.com")
    second.answer(again, 503)
    assert completed(alice) == (503, True)
    # The first has asked to be left alone for a minute.
    send(net, alice, "sip:bob@example.com")
    assert (second.took("MESSAGE"), first.took("MESSAGE")) == (True, False)


def test_any_other_failure_is_the_answer() -> None:
    _, alice, _, second = several(500)
    assert (completed(alice), second.took("MESSAGE")) == ((500, True), False)


def test_silence_leads_to_the_next_server() -> None:
    net, alice, first, second = several(None)
    first.got.clear()
    net.run(T64 + 0.1)
    second.answer(second.take("MESSAGE"), 200)
    assert completed(alice) == (200, True)
    settle(net, alice)


def test_a_server_that_cannot_be_reached() -> None:
    net, alice, first = world()
    second = Peer(net, "second")
    net.names["example.com"] = [first.host, second.host]
    net.refusing.add(first.host)
    send(net, alice, "sip:bob@example.com")
    assert second.took("MESSAGE")
    net.refusing.add(second.host)
    send(net, alice, "sip:bob@example.com")
    assert completed(alice) == (503, False)


def test_silence_after_a_provisional_response_is_the_end() -> None:
    net, alice, first, second = several(None)
    first.answer(first.take("MESSAGE"), 100, tag="")
    net.run(T64 + 0.1)
    assert (completed(alice), second.took("MESSAGE")) == ((408, False), False)


# size (18.1.1) -------------------------------------------------------------------------------------------------------


def test_what_is_too_long_for_a_datagram_goes_over_a_stream() -> None:
    net = Net()
    alice, peer = Agent(net, "alice", ("UDP", "TCP")), Peer(net, "peer", ("UDP", "TCP"))
    send(net, alice, peer.uri, body=b"x" * 1400)
    message = peer.take("MESSAGE")
    assert message.via.transport == "TCP"
    send(net, alice, peer.uri, body=b"x" * 100)
    assert peer.take("MESSAGE").via.transport == "UDP"


def test_when_the_stream_is_refused_it_is_a_datagram_after_all() -> None:
    """18.1.1: "the element SHOULD retry the request, using UDP"."""
    net = Net()
    alice, peer = Agent(net, "alice", ("UDP", "TCP")), Peer(net)
    exchange = send(net, alice, peer.uri, body=b"x" * 1400)
    assert exchange.client is not None
    alice.failed(exchange.client.key)
    net.run(0.0)
    messages = [message for message in peer.got if isinstance(message, Request)]
    assert messages[-1].via.transport == "UDP"


def test_without_streams_everything_is_a_datagram() -> None:
    net, alice, peer = world()
    send(net, alice, peer.uri, body=b"x" * 3000)
    assert peer.take("MESSAGE").via.transport == "UDP"


# challenges (22) -----------------------------------------------------------------------------------------------------


def test_a_challenge_is_answered_with_the_next_number() -> None:
    """22.2: "it MUST increment the CSeq header field value"."""
    net, alice, peer = world(credentials=login("192.0.2.2"))
    exchange = send(net, alice, peer.uri, body=b"hello")
    first = peer.take("MESSAGE")
    assert first.header("authorization") is None
    peer.answer(first, 401, headers=[("WWW-Authenticate", CHALLENGE)])
    second = peer.take("MESSAGE")
    credentials = parse_credentials(second.required("authorization"))
    assert credentials is not None
    assert (credentials.username, credentials.realm, credentials.uri, credentials.nc) == (
        "alice",
        "example.org",
        peer.uri,
        "00000001",
    )
    assert (second.cseq.number, second.call_id, second.required("from")) == (
        2,
        first.call_id,
        first.required("from"),
    )
    assert second.via.branch != first.via.branch
    info = 'nextnonce="n2"'
    peer.answer(second, 200, headers=[("Authentication-Info", info)])
    assert completed(alice) == (200, True)
    assert [name for name, _ in exchange.credentials] == ["Authorization"]
    # The next request has credentials from the start, by the nonce that was named.
    send(net, alice, peer.uri)
    third = parse_credentials(peer.take("MESSAGE").required("authorization"))
    assert third is not None and third.nonce == "n2"


def test_wrong_credentials_are_not_sent_twice() -> None:
    net, alice, peer = world(credentials=login("192.0.2.2"))
    send(net, alice, peer.uri)
    peer.answer(peer.take("MESSAGE"), 401, headers=[("WWW-Authenticate", CHALLENGE)])
    peer.answer(peer.take("MESSAGE"), 401, headers=[("WWW-Authenticate", CHALLENGE)])
    assert completed(alice) == (401, True)
    settle(net, alice)


def test_new_nonces_for_ever_come_to_an_end() -> None:
    """RELIABILITY A18."""
    net, alice, peer = world(credentials=login("192.0.2.2"))
    send(net, alice, peer.uri)
    tries = 0
    while peer.took("MESSAGE"):
        tries += 1
        value = CHALLENGE.replace("n1", f"n{tries}") + ", stale=true"
        peer.answer(peer.take("MESSAGE"), 401, headers=[("WWW-Authenticate", value)])
    assert (tries, completed(alice)) == (3, (401, True))


def test_a_stranger_gets_no_credentials() -> None:
    """RELIABILITY A17: a foreign host that names our realm."""
    net, alice, peer = world(credentials=login("example.org"))
    send(net, alice, peer.uri)
    peer.answer(peer.take("MESSAGE"), 401, headers=[("WWW-Authenticate", CHALLENGE)])
    assert (completed(alice), peer.took("MESSAGE")) == ((401, True), False)


def test_a_proxy_on_the_route_asks_as_itself() -> None:
    net, alice, peer = world(credentials=login("192.0.2.2"))
    alice.profile.routes = [f"<sip:{peer.host};lr>"]
    send(net, alice, "sip:bob@far.example")
    peer.answer(peer.take("MESSAGE"), 407, headers=[("Proxy-Authenticate", CHALLENGE)])
    assert "proxy-authorization" in peer.take("MESSAGE").names


def test_a_telephone_number_is_answered_for_by_who_connects_it() -> None:
    net, alice, peer = world(credentials=login("192.0.2.2"))
    alice.profile.routes = [f"<sip:{peer.host};lr>"]
    send(net, alice, "tel:+15551234567")
    peer.answer(peer.take("MESSAGE"), 401, headers=[("WWW-Authenticate", CHALLENGE)])
    assert "authorization" in peer.take("MESSAGE").names


def test_the_far_end_of_a_flow_asks_by_its_name() -> None:
    net, alice, peer = world(credentials=login("proxy.example"))
    alice.profile.flow = Flow("UDP", alice.local("UDP"), peer.host, 5060, 0, "proxy.example")
    send(net, alice, "sip:bob@far.example")
    peer.answer(peer.take("MESSAGE"), 407, headers=[("Proxy-Authenticate", CHALLENGE)])
    assert "proxy-authorization" in peer.take("MESSAGE").names


def test_a_challenge_within_a_dialog_takes_the_number_of_the_dialog() -> None:
    net, alice, peer = world(credentials=login("192.0.2.2"))
    session = alice.call(peer)
    net.run(0.0)
    invite = peer.take("INVITE")
    peer.answer(invite, 407, headers=[("Proxy-Authenticate", CHALLENGE)])
    invite = peer.take("INVITE")
    peer.answer(invite, 200, OFFER)
    assert peer.take("ACK").cseq.number == 1
    ack = peer.take("ACK")
    # 22.1: the ACK has the credentials of its INVITE.
    assert ack.header("proxy-authorization") == invite.header("proxy-authorization")
    assert (invite.cseq.number, ack.cseq.number) == (2, 2)
    session.hang_up(net.now)
    net.run(0.0)
    bye = peer.take("BYE")
    peer.answer(bye, 401, headers=[("WWW-Authenticate", CHALLENGE.replace("n1", "n5"))])
    again = peer.take("BYE")
    assert (bye.cseq.number, again.cseq.number) == (3, 4)
    peer.answer(again, 200)
    assert session.state == "ended"
    settle(net, alice)


def test_a_challenge_for_an_early_call_keeps_the_cancel_right() -> None:
    net, alice, peer = world(credentials=login("192.0.2.2"))
    session = alice.call(peer)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 401, headers=[("WWW-Authenticate", CHALLENGE)])
    second = peer.take("INVITE")
    peer.answer(second, 180)
    session.hang_up(net.now)
    net.run(0.0)
    cancel = peer.take("CANCEL")
    assert (cancel.cseq.number, cancel.via.branch) == (2, second.via.branch)


# giving up -----------------------------------------------------------------------------------------------------------


def test_a_request_that_was_given_up_is_not_tried_again() -> None:
    net, alice, first = world(credentials=login("192.0.2.2"))
    second = Peer(net, "second")
    net.names["example.com"] = [first.host, second.host]
    for status in (401, 503):
        exchange = send(net, alice, "sip:bob@example.com")
        exchange.cancel(net.now)
        exchange.cancel(net.now)
        first.answer(first.take("MESSAGE"), status, headers=[("WWW-Authenticate", CHALLENGE)])
        assert (completed(alice)[0], first.took("MESSAGE"), second.took("MESSAGE")) == (status, False, False)
        exchange.cancel(net.now)
    exchange = send(net, alice, "sip:bob@example.com")
    exchange.cancel(net.now)
    net.run(T64 + 0.1)
    assert completed(alice) == (487, False)
    settle(net, alice)


def test_a_request_that_is_given_up_before_it_is_located() -> None:
    net, alice, peer = world()
    alice.silent = True
    exchange = send(net, alice, "sip:bob@slow.example")
    exchange.cancel(net.now)
    net.run(0.0)
    assert completed(alice) == (487, False)
    alice.core.located(exchange, [alice.flow(peer)], net.now)
    net.run(0.0)
    assert not peer.got
    settle(net, alice)


def test_only_final_responses_are_told_and_once() -> None:
    net, alice, peer = world()
    send(net, alice, peer.uri)
    message = peer.take("MESSAGE")
    peer.answer(message, 100, tag="")
    assert alice.names() == []
    peer.answer(message, 200)
    peer.answer(message, 200)
    assert completed(alice) == (200, True)


def test_a_response_that_cannot_be_read_is_none() -> None:
    net, alice, peer = world()
    call = alice.call(peer)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 200, OFFER, tag='x;y="')
    assert (call.state, alice.names()) == ("calling", [])


def test_a_route_that_somebody_has_typed_in() -> None:
    assert route_of("sip:proxy.example") == "<sip:proxy.example;lr>"
    assert route_of("sip:proxy.example:5070;transport=tcp") == "<sip:proxy.example:5070;transport=tcp;lr>"
    assert route_of("<sip:proxy.example;lr>") == "<sip:proxy.example;lr>"
    assert route_of("<sip:strict.example>") == "<sip:strict.example>"
