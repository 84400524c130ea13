"""Sessions once they are answered, and what both directions share: the end, and requests within (RFC 3261 12, 15)."""

from collections.abc import Callable

import pytest

from ringback.errors import LocalError
from ringback.sip.cause import Cause
from ringback.sip.session import MOST_HANDED, MOST_RESENT, MOST_STEPS, Session
from ringback.sip.session_events import Closed, Completed, Ended, InfoReceived, Locate, Requested
from tests.sip.agents import ANSWER, OFFER, OTHER, Agent, Net, Peer, ended, established, pair, settle
from tests.sip.session_table import EVENTS, STATES, result, rows


def in_call(**settings: object) -> tuple[Net, Agent, Peer, Session, Callable[..., None]]:
    """Alice has called a party that the test plays; what sends requests of that party in the dialog."""
    net = Net()
    alice, peer = Agent(net, "alice", **settings), Peer(net)  # type: ignore[arg-type]
    session = alice.call(peer)
    net.run(0.0)
    invite = peer.take("INVITE")
    peer.answer(invite, 200, ANSWER)
    peer.take("ACK")
    alice.events.clear()
    net.wire.clear()

    def request(method: str, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
        peer.within(method, invite, alice, body, headers)

    return net, alice, peer, session, request


# the end -------------------------------------------------------------------------------------------------------------


def test_hanging_up_by_either_side() -> None:
    for number in (0, 1):
        net, alice, bob = pair()
        ours, theirs = established(net, alice, bob)
        first, second = ((alice, ours), (bob, theirs))[:: 1 if number == 0 else -1]
        first[1].hang_up(net.now, Cause(0))
        first[1].hang_up(net.now)
        net.run(0.0)
        assert net.lines() == [f"{first[0].name} BYE", f"{second[0].name} 200 BYE"]
        assert (ended(first[0]).cause.by, ended(second[0]).cause.by) == ("local", "remote")
        settle(net, alice, bob)


def test_both_hang_up_at_once() -> None:
    net, alice, bob = pair()
    net.delay = 0.1
    ours = alice.call(bob)
    net.run(0.5)
    theirs = bob.offered
    theirs.accept(net.now, ANSWER)
    net.run(0.5)
    ours.hang_up(net.now)
    theirs.hang_up(net.now)
    net.run(0.5)
    assert [agent.one(Ended).cause.by for agent in (alice, bob)] == ["local", "local"]
    assert [sent.line for sent in net.wire[-4:]] == ["BYE", "BYE", "200 BYE", "200 BYE"]
    settle(net, alice, bob)


def test_reasons_of_the_end_are_sent_and_read() -> None:
    """RFC 3326."""
    net, alice, bob = pair()
    ours, _ = established(net, alice, bob)
    ours.hang_up(net.now, Cause(503, "the roof\r\nis on fire"))
    net.run(0.0)
    cause = ended(bob).cause
    assert (cause.status, cause.reason, cause.by) == (503, "the roof is on fire", "remote")


@pytest.mark.parametrize("status", [200, 403, 481, 503])
def test_whatever_answers_the_bye_the_session_is_over(status: int) -> None:
    net, alice, peer, session, _ = in_call()
    session.hang_up(net.now)
    net.run(0.0)
    assert session.state == "ending"
    peer.answer(peer.take("BYE"), status)
    assert session.state == "ended"
    settle(net, alice)


def test_a_bye_that_has_come_out_of_order_is_sent_again() -> None:
    """12.2.2: the 500 means that a later request has overtaken it; the peer would stay in the call."""
    net, alice, peer, session, _ = in_call()
    session.hang_up(net.now, Cause(480, "tired"))
    net.run(0.0)
    for _ in range(MOST_RESENT):
        peer.answer(peer.take("BYE"), 500)
        assert session.state == "ending"
    bye = peer.take("BYE")
    assert (bye.cseq.number, bye.header("reason")) == (2 + MOST_RESENT, 'SIP;cause=480;text="tired"')
    peer.answer(bye, 500)
    assert (session.state, peer.took("BYE")) == ("ended", False)
    settle(net, alice)


def test_a_bye_that_nobody_answers() -> None:
    net, alice, _, session, _ = in_call()
    session.hang_up(net.now)
    net.run(31.0)
    assert (session.state, alice.names()) == ("ending", ["Ended"])
    net.run(2.0)
    assert (session.state, alice.names()) == ("ended", ["Closed"])
    settle(net, alice)


def test_a_bye_to_a_name_that_leads_nowhere_any_more() -> None:
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    session = alice.call(peer)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 200, ANSWER, [("Contact", "<sip:gone.example>")], contact=False)
    assert [event.uri.text for event in alice.told_of(Locate)] == ["sip:gone.example"]
    session.hang_up(net.now)
    net.run(0.0)
    assert (alice.names()[-3:], session.state) == (["Ended", "Locate", "Closed"], "ended")
    settle(net, alice)


def test_where_the_peer_is_asked_for_once_in_a_dialog() -> None:
    """ACK and BYE go to the place that was found, so that a BYE at the very end needs no answer of DNS."""
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    net.names["phone.example"] = [peer.host]
    session = alice.call(peer)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 200, ANSWER, [("Contact", "<sip:phone.example>")], contact=False)
    assert peer.took("ACK")
    session.hang_up(net.now)
    net.run(0.0)
    assert (peer.took("BYE"), len(alice.told_of(Locate))) == (True, 1)


def test_closed_sessions_keep_nothing_and_take_nothing() -> None:
    net, alice, peer, session, request = in_call()
    request("BYE")
    assert (peer.statuses("BYE"), session.state) == ([200], "ended")
    request("BYE")
    request("INVITE", OFFER)
    request("OPTIONS")
    assert peer.statuses() == [481, 481, 481]
    settle(net, alice)


def test_a_stranger_ends_nothing() -> None:
    """RELIABILITY A23: tags are random, and all three parts of the dialog ID have to match."""
    net, alice, _peer, session, _ = in_call()
    stranger = Peer(net, "stranger")
    good = {"to": f"<{alice.uri}>;tag={session.tag}", "call_id": session.call_id, "from_tag": "peer-tag"}
    for wrong in ({"to": f"<{alice.uri}>;tag={session.tag}x"}, {"call_id": "other"}, {"from_tag": "other"}):
        for method in ("BYE", "INVITE", "UPDATE", "REFER", "INFO"):
            stranger.request(method, alice, **{**good, **wrong})  # type: ignore[arg-type]
    assert stranger.statuses() == [481] * 15
    stranger.request("ACK", alice, to="<sip:x@y>;tag=none", cseq=77)
    stranger.request("CANCEL", alice, to=f"<{alice.uri}>")
    assert stranger.statuses() == [481]
    assert (session.state, alice.names()) == ("established", [])


# every state and event -----------------------------------------------------------------------------------------------


def test_the_table_has_every_state_and_event() -> None:
    assert sorted((state, event) for state, event, _ in rows()) == sorted(
        (state, event) for state in STATES for event in EVENTS
    )


@pytest.mark.parametrize(("state", "event", "expected"), rows())
def test_every_state_and_event(state: str, event: str, expected: str) -> None:
    """`session_table`; whatever happens, hanging up and waiting leaves nothing behind."""
    assert result(state, event).rstrip() == expected


# requests within -----------------------------------------------------------------------------------------------------


def test_requests_out_of_order_are_refused() -> None:
    """12.2.2: "the request is out of order and MUST be rejected with a 500"."""
    _, alice, peer, _, request = in_call()
    request("OPTIONS", headers=[("CSeq", "10 OPTIONS")])
    for number in (9, 10):
        request("OPTIONS", headers=[("CSeq", f"{number} OPTIONS")])
    assert peer.statuses() == [500, 500]
    request("OPTIONS", headers=[("CSeq", "4000000000 OPTIONS")])
    assert [event.request.cseq.number for event in alice.told_of(Requested)] == [10, 4000000000]


def test_the_first_request_of_the_callee_may_have_number_0() -> None:
    _, alice, peer, _, request = in_call()
    request("OPTIONS", headers=[("CSeq", "0 OPTIONS")])
    assert alice.requested.request.cseq.number == 0
    request("OPTIONS", headers=[("CSeq", "0 OPTIONS")])
    assert peer.statuses() == [500]


@pytest.mark.parametrize("method", ["OPTIONS", "MESSAGE", "SUBSCRIBE", "PUBLISH", "DANCE"])
def test_other_requests_are_handed_up(method: str) -> None:
    net, alice, peer, session, request = in_call()
    request(method, b"hello")
    event = alice.requested
    assert (event.session, event.request.method) == (session, method)
    assert alice.core.respond(event.server, event.request, 200, net.now, headers=[("X-Y", "z")])
    assert not alice.core.respond(event.server, event.request, 200, net.now)
    net.run(0.0)
    response = peer.response(method)
    assert (response.status, response.header("x-y")) == (200, "z")
    assert ("accept" in response.names) is (method == "OPTIONS")


def test_a_request_that_was_handed_up_is_refused_at_the_end() -> None:
    """15.1.2: 487 to what is pending."""
    net, alice, peer, session, request = in_call()
    request("MESSAGE", b"one")
    request("MESSAGE", b"two")
    first, _ = alice.told_of(Requested)
    alice.core.respond(first.server, first.request, 202, net.now)
    session.hang_up(net.now)
    net.run(0.0)
    assert peer.statuses("MESSAGE") == [202, 487]


def test_requests_that_are_answered_are_forgotten_and_few_may_wait() -> None:
    net, alice, peer, session, request = in_call()
    for _ in range(MOST_HANDED + 10):
        request("MESSAGE", b"x")
        event = alice.requested
        alice.core.respond(event.server, event.request, 200, net.now)
    assert len(session.handed) == 1
    for _ in range(MOST_HANDED + 3):
        request("MESSAGE", b"x")
    net.run(0.0)
    assert (len(alice.told_of(Requested)), peer.statuses("MESSAGE").count(503)) == (MOST_HANDED, 3)


def test_a_request_that_is_never_answered_is_given_up() -> None:
    net, alice, peer, _, request = in_call()
    request("MESSAGE", b"one")
    net.run(33.0)
    assert (peer.statuses("MESSAGE"), alice.core.tu.handed) == ([100], {})
    event = alice.requested
    assert not alice.core.respond(event.server, event.request, 200, net.now)


def test_unknown_extensions_are_refused() -> None:
    """8.2.2.3."""
    _, _, peer, _, request = in_call()
    request("OPTIONS", headers=[("Require", "timer, foo, bar")])
    response = peer.response("OPTIONS")
    assert (response.status, response.header("unsupported")) == (420, "foo, bar")


def test_requests_of_our_own() -> None:
    net, alice, peer, session, _ = in_call()
    exchange = session.send("MESSAGE", net.now, [("Subject", "hi")], b"hello", "text/plain")
    net.run(0.0)
    message = peer.take("MESSAGE")
    assert (message.body, message.header("content-type"), message.header("subject"), message.cseq.number) == (
        b"hello",
        "text/plain",
        "hi",
        2,
    )
    peer.answer(message, 202)
    event = alice.one(Completed)
    assert (event.exchange, event.status) == (exchange, 202)
    assert event.response is not None


@pytest.mark.parametrize(("status", "over"), [(404, False), (488, False), (481, True), (408, True), (0, True)])
def test_what_says_that_the_dialog_is_gone(status: int, over: bool) -> None:
    """12.2.1.2: "If the response … is a 481 … or a 408 …, the UAC SHOULD terminate the dialog", or none at all."""
    net, alice, peer, session, _ = in_call()
    session.info(net.now, "text/plain", b"x")
    net.run(0.0)
    if status:
        peer.answer(peer.take("INFO"), status)
    else:
        net.run(33.0)
    assert alice.one(Completed).status == (status or 408)
    assert (session.is_over, peer.took("BYE")) == (over, over)


# INFO ----------------------------------------------------------------------------------------------------------------


def test_info_both_ways() -> None:
    net, alice, bob = pair(info_packages=["foo"])
    ours, theirs = established(net, alice, bob)
    ours.info(net.now, "application/dtmf-relay", b"Signal=1")
    net.run(0.0)
    legacy = bob.one(InfoReceived)
    assert (legacy.session, legacy.content_type, legacy.body, legacy.package) == (
        theirs,
        "application/dtmf-relay",
        b"Signal=1",
        "",
    )
    assert alice.one(Completed).status == 200
    theirs.info(net.now, "text/x", b"y", "foo")
    net.run(0.0)
    [info] = net.sent("INFO", "bob")
    assert (info.message.header("info-package"), info.message.header("content-disposition")) == ("foo", "Info-Package")
    assert alice.one(InfoReceived).package == "foo"


def test_an_info_package_that_nobody_wants() -> None:
    """RFC 6086 4.2.2: 469 with Recv-Info."""
    _, alice, peer, _, request = in_call(info_packages=["foo", "bar"])
    request("INFO", b"x", [("Info-Package", "nada")])
    response = peer.response("INFO")
    assert (response.status, response.header("recv-info"), alice.names()) == (469, "foo, bar", [])
    request("INFO", b"x", [("Info-Package", "FOO;p=1")])
    assert (peer.statuses("INFO"), alice.one(InfoReceived).package) == ([200], "FOO")


# what is known -------------------------------------------------------------------------------------------------------


def test_what_names_a_session_for_others() -> None:
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    assert str(ours.reference()) == f"{ours.call_id};to-tag={theirs.tag};from-tag={ours.tag}"
    assert str(theirs.reference(True)) == f"{ours.call_id};to-tag={ours.tag};from-tag={theirs.tag};early-only"
    assert theirs.remote.uri.text == "sip:alice@example.org"
    calling = alice.call(bob)
    with pytest.raises(LocalError):
        calling.reference()


def test_the_history_is_bounded_and_says_when_what_and_why() -> None:
    net, alice, bob = pair()
    ours, _ = established(net, alice, bob)
    assert [(step.at, step.what) for step in ours.history] == [(1000.0, "calling"), (1000.0, "established")]
    for number in range(MOST_STEPS + 5):
        ours.note(net.now, "x", str(number))
    assert (len(ours.history), ours.history[-1].reason) == (MOST_STEPS, str(MOST_STEPS + 4))
    assert repr(ours.history[-1]) == f"x: {MOST_STEPS + 4}"
    assert "established" in repr(ours)


def test_what_an_outgoing_session_cannot_do() -> None:
    net, alice, bob = pair()
    ours, _ = established(net, alice, bob)
    for command in (ours.ring, ours.accept, ours.reject):
        with pytest.raises(LocalError):
            command(net.now)
    with pytest.raises(LocalError):
        ours.redirect(net.now, ["sip:x@y"])
    fresh = alice.call(bob)
    with pytest.raises(LocalError):
        fresh.send("OPTIONS", net.now)


# hanging up at any moment --------------------------------------------------------------------------------------------

Moment = Callable[[Net, Agent, Agent, Session, Session], None]


def _ringing(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    theirs.ring(net.now)
    net.run(0.0)


def _early_media(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    theirs.ring(net.now, 183, ANSWER)


def _accepted(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    theirs.accept(net.now, ANSWER)


def _in_call(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    theirs.accept(net.now, ANSWER)
    net.run(1.0)


def _offering(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    _in_call(net, alice, bob, ours, theirs)
    ours.offer(net.now, OTHER)


def _offered(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    _offering(net, alice, bob, ours, theirs)
    net.run(0.1)


def _answered(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    _offered(net, alice, bob, ours, theirs)
    theirs.answer(net.now, ANSWER)


def _refreshing(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    _in_call(net, alice, bob, ours, theirs)
    net.run(45.1)


def _referring(net: Net, alice: Agent, bob: Agent, ours: Session, theirs: Session) -> None:
    _in_call(net, alice, bob, ours, theirs)
    ours.refer(net.now, "sip:carol@192.0.2.9")


MOMENTS: list[Moment] = [
    lambda *_: None, _ringing, _early_media, _accepted, _in_call, _offering, _offered, _answered, _refreshing,
    _referring,
]  # fmt: skip


@pytest.mark.parametrize("moment", range(len(MOMENTS)))
@pytest.mark.parametrize("who", ["alice", "bob", "both"])
@pytest.mark.parametrize("later", [0.0, 0.04, 0.06])
@pytest.mark.parametrize("reliable", ["none", "supported"])
def test_hanging_up_at_any_moment_leaves_nothing_open(moment: int, who: str, later: float, reliable: str) -> None:
    """What a user agent's task does when it is killed at any await: nothing more is done for the session."""
    net, alice, bob = pair(reliable=reliable, session_expires=90)
    net.delay = 0.05
    ours = alice.call(bob)
    net.run(0.05)
    theirs = bob.offered
    MOMENTS[moment](net, alice, bob, ours, theirs)
    net.run(later)
    if who in ("alice", "both"):
        ours.hang_up(net.now)
    if who in ("bob", "both"):
        theirs.hang_up(net.now)
    net.run(40.0)
    assert (ours.state, theirs.state) == ("ended", "ended"), net.ladder()
    for agent in (alice, bob):
        assert (len(agent.told_of(Ended)), len(agent.told_of(Closed))) == (1, 1)
    settle(net, alice, bob)


@pytest.mark.parametrize("later", [0.0, 0.04, 0.06, 0.16])
def test_hanging_up_a_call_without_an_offer_at_any_moment(later: float) -> None:
    net, alice, bob = pair(reliable="supported")
    net.delay = 0.05
    ours = alice.call(bob, b"")
    net.run(0.05)
    theirs = bob.offered
    theirs.accept(net.now, ANSWER)
    net.run(later)
    ours.hang_up(net.now)
    net.run(40.0)
    assert (ours.state, theirs.state) == ("ended", "ended"), net.ladder()
    settle(net, alice, bob)
