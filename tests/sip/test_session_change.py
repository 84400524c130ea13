"""Offers within a session: re-INVITE, UPDATE, glare, refreshes (RFC 3261 14, RFC 3311, RFC 4028)."""

import pytest

from ringback.errors import LocalError
from ringback.sip.message import Request
from ringback.sip.session import Session
from ringback.sip.session_change import MOST_TRIES
from ringback.sip.session_events import Changed, DescriptionReceived, Ended, Reoffered
from tests.sip.agents import ANSWER, OFFER, OTHER, THIRD, Agent, Net, Peer, ended, established, pair, settle


def in_call(
    allow: str = "INVITE, UPDATE", expires: str = "", **settings: object
) -> tuple[Net, Agent, Peer, Session, Request]:
    """Alice has called a party that the test plays, who has answered."""
    net = Net()
    alice, peer = Agent(net, "alice", **settings), Peer(net)  # type: ignore[arg-type]
    session = alice.call(peer)
    net.run(0.0)
    invite = peer.take("INVITE")
    headers = [("Allow", allow)]
    if expires:
        headers += [("Session-Expires", expires), ("Require", "timer")]
    peer.answer(invite, 200, ANSWER, headers)
    peer.take("ACK")
    alice.events.clear()
    net.wire.clear()
    return net, alice, peer, session, invite


def called(expires: str = "", **settings: object) -> tuple[Net, Agent, Peer, Session, str]:
    """A party that the test plays has called Bob, who has answered; and the To of its further requests."""
    net = Net()
    bob, peer = Agent(net, "bob", **settings), Peer(net)  # type: ignore[arg-type]
    headers = [("Allow", "INVITE, UPDATE"), ("Supported", "timer")]
    peer.request("INVITE", bob, OFFER, [*headers, *([("Session-Expires", expires)] if expires else [])])
    session = bob.offered
    session.accept(net.now, ANSWER)
    net.run(0.0)
    to = f"<{bob.uri}>;tag={session.tag}"
    peer.request("ACK", bob, to=to, cseq=1)
    peer.got.clear()
    bob.events.clear()
    net.wire.clear()
    return net, bob, peer, session, to


# ours ----------------------------------------------------------------------------------------------------------------


def test_a_reinvite_of_ours_is_answered() -> None:
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER, [("Subject", "hold")])
    with pytest.raises(LocalError):
        session.offer(net.now, THIRD)
    net.run(0.0)
    reinvite = peer.take("INVITE")
    assert (reinvite.uri, reinvite.body, reinvite.cseq.number, reinvite.to_tag) == (peer.uri, OTHER, 2, "peer-tag")
    assert (reinvite.header("subject"), reinvite.addresses("contact")[0].uri.text) == ("hold", alice.uri)
    assert "100rel" not in reinvite.tokens("supported")
    peer.answer(reinvite, 180)
    peer.answer(reinvite, 200, THIRD, [("Contact", "<sip:moved@192.0.2.2>")], contact=False)
    ack = peer.take("ACK")
    assert (ack.uri, ack.cseq.number, ack.body) == ("sip:moved@192.0.2.2", 2, b"")
    event = alice.one(Changed)
    assert (event.status, event.body, session.negotiation.local, session.negotiation.remote) == (
        200,
        THIRD,
        OTHER,
        THIRD,
    )
    # The 2xx again, the same ACK again.
    peer.answer(reinvite, 200, THIRD)
    assert peer.take("ACK").encode() == ack.encode()
    session.offer(net.now, OFFER)
    net.run(0.0)
    assert peer.take("INVITE").cseq.number == 3


@pytest.mark.parametrize("status", [400, 403, 415, 488, 500, 503, 606])
def test_a_reinvite_that_fails_leaves_all_as_it_was(status: int) -> None:
    """14.1: "the session parameters MUST remain unchanged, as if no re-INVITE had been issued"."""
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), status)
    event = alice.one(Changed)
    assert (event.status, event.body, session.state) == (status, b"", "established")
    assert (session.negotiation.local, session.negotiation.remote) == (OFFER, ANSWER)
    session.offer(net.now, OTHER)
    net.run(0.0)
    assert peer.took("INVITE")


@pytest.mark.parametrize("status", [481, 408])
def test_a_reinvite_that_says_that_the_dialog_is_gone_ends_it(status: int) -> None:
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), status)
    assert alice.one(Changed).status == status
    peer.answer(peer.take("BYE"), 481)
    cause = ended(alice).cause
    assert (cause.status, cause.by) == (status, "remote")
    settle(net, alice)


def test_a_reinvite_that_nobody_answers_ends_it() -> None:
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER)
    net.run(32.5)
    assert (alice.one(Changed).status, peer.took("BYE")) == (408, True)
    cause = alice.one(Ended).cause
    assert (cause.status, cause.by) == (408, "network")
    settle(net, alice)


def test_the_peer_can_be_asked_to_offer() -> None:
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, b"")
    net.run(0.0)
    reinvite = peer.take("INVITE")
    assert reinvite.body == b""
    peer.answer(reinvite, 200, THIRD)
    event = alice.one(DescriptionReceived)
    assert (event.kind, event.body, event.early, peer.took("ACK")) == ("offer", THIRD, False, False)
    # Meanwhile our INVITE is still in progress.
    peer.within("INVITE", reinvite, alice, ANSWER)
    assert peer.statuses("INVITE") == [491]
    assert session.answer(net.now, OTHER)
    net.run(0.0)
    assert (peer.take("ACK").body, alice.one(Changed).body) == (OTHER, THIRD)
    assert (session.negotiation.local, session.negotiation.remote) == (OTHER, THIRD)


def test_refusing_the_offer_that_was_asked_for_ends_the_call() -> None:
    net, _alice, peer, session, _ = in_call()
    session.offer(net.now, b"")
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 200, THIRD)
    assert session.refuse(net.now, 488, "no")
    net.run(0.0)
    assert (peer.take("ACK").body, peer.took("BYE")) == (b"", True)


def test_a_2xx_without_an_answer_leaves_all_as_it_was() -> None:
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 200)
    assert (alice.one(Changed).body, session.negotiation.local, peer.took("ACK")) == (b"", OFFER, True)


# glare ---------------------------------------------------------------------------------------------------------------


def test_491_is_tried_again_later_by_who_owns_the_call_id() -> None:
    """14.1: between 2.1 and 4 seconds."""
    waits = []
    for _ in range(3):
        net, alice, peer, session, _ = in_call()
        session.offer(net.now, OTHER)
        net.run(0.0)
        peer.answer(peer.take("INVITE"), 491)
        start = net.now
        while not peer.took("INVITE"):
            net.run(1 / 64)
        waits.append(net.now - start)
        again = peer.take("INVITE")
        assert (again.cseq.number, again.body) == (3, OTHER)
        peer.answer(again, 200, THIRD)
        assert (alice.one(Changed).status, session.negotiation.local) == (200, OTHER)
    assert all(2.1 <= wait <= 4.1 for wait in waits), waits


def test_491_is_tried_again_soon_by_who_does_not() -> None:
    """14.1: between 0 and 2 seconds."""
    net, _, peer, session, _ = called()
    session.offer(net.now, OTHER)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 491)
    net.run(2.05)
    assert peer.take("INVITE").cseq.number == 2


def test_491_again_and_again_is_told_in_the_end() -> None:
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER)
    tries = 0
    for _ in range(40):
        net.run(1.0)
        if peer.took("INVITE"):
            tries += 1
            peer.answer(peer.take("INVITE"), 491)
    assert (tries, alice.one(Changed).status, session.state) == (MOST_TRIES + 1, 491, "established")


def test_both_reinvite_at_once_and_both_succeed() -> None:
    net, alice, bob = pair()
    net.delay = 0.05
    ours, theirs = established_slowly(net, alice, bob)

    def answer(agent: Agent, session: Session) -> None:
        for event in agent.told_of(Reoffered):
            assert event.session is session
            session.answer(net.now, b"answer of " + agent.name.encode())

    ours.offer(net.now, b"offer of alice")
    theirs.offer(net.now, b"offer of bob")
    for _ in range(400):
        net.run(0.02)
        answer(alice, ours)
        answer(bob, theirs)
    assert [event.status for agent in (alice, bob) for event in agent.told_of(Changed)] == [200, 200]
    assert len(net.sent("491 INVITE")) >= 2
    # Who does not own the Call-ID was first; the other's offer is the last, and both know it.
    assert (ours.negotiation.local, ours.negotiation.remote) == (b"offer of alice", b"answer of bob")
    assert (theirs.negotiation.local, theirs.negotiation.remote) == (b"answer of bob", b"offer of alice")


def established_slowly(net: Net, alice: Agent, bob: Agent) -> tuple[Session, Session]:
    ours = alice.call(bob)
    net.run(0.5)
    theirs = bob.offered
    theirs.accept(net.now, ANSWER)
    net.run(0.5)
    return ours, theirs


def test_an_offer_waits_for_the_ack_of_our_2xx() -> None:
    """14.1: "the TU MUST wait until the transaction reaches the confirmed or terminated state"."""
    net = Net()
    bob, peer = Agent(net, "bob"), Peer(net)
    peer.request("INVITE", bob, OFFER)
    session = bob.offered
    session.accept(net.now, ANSWER)
    session.offer(net.now, OTHER)
    net.run(0.2)
    assert not peer.took("INVITE")
    peer.request("ACK", bob, to=f"<{bob.uri}>;tag={session.tag}", cseq=1)
    assert peer.take("INVITE").body == OTHER


def test_an_offer_waits_for_the_answer_to_theirs() -> None:
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, OTHER, to=to)
    session.offer(net.now, THIRD)
    net.run(0.1)
    assert not peer.took("INVITE")
    session.answer(net.now, ANSWER)
    net.run(0.1)
    assert (peer.response("INVITE").status, peer.took("INVITE")) == (100, False) or not peer.took("INVITE")
    peer.request("ACK", bob, to=to, cseq=2)
    assert peer.take("INVITE").body == THIRD


def test_500_with_a_short_retry_after_is_tried_again() -> None:
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER)
    net.run(0.0)
    peer.answer(peer.take("INVITE"), 500, headers=[("Retry-After", "3")])
    net.run(2.9)
    assert not peer.took("INVITE")
    net.run(0.2)
    peer.answer(peer.take("INVITE"), 500, headers=[("Retry-After", "30")])
    assert alice.one(Changed).status == 500


# theirs --------------------------------------------------------------------------------------------------------------


def test_a_reinvite_of_the_peer() -> None:
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, OTHER, [("Contact", "<sip:moved@192.0.2.2>")], to=to)
    assert bob.one(Reoffered).body == OTHER
    assert session.dialog is not None and session.dialog.remote_target == peer.uri
    assert session.answer(net.now, THIRD)
    net.run(0.6)
    # It is sent again until its ACK comes.
    assert [peer.response("INVITE").body for _ in range(2)] == [THIRD, THIRD]
    peer.request("ACK", bob, to=to, cseq=2)
    # RFC 6141 4.6: the target is refreshed with the 2xx.
    assert session.dialog.remote_target == "sip:moved@192.0.2.2"
    assert (session.negotiation.local, session.negotiation.remote) == (THIRD, OTHER)
    net.run(40.0)
    assert session.state == "established"


def test_a_reinvite_that_is_refused_leaves_all_as_it_was() -> None:
    """14.2, and RFC 6141 4.6 for the target."""
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, OTHER, [("Contact", "<sip:moved@192.0.2.2>")], to=to)
    assert session.refuse(net.now, 488, 'no "codec"')
    net.run(0.0)
    response = peer.response("INVITE")
    assert (response.status, response.header("warning")) == (488, "399 ringback \"no 'codec'\"")
    assert session.dialog is not None and session.dialog.remote_target == peer.uri
    assert (session.negotiation.local, session.negotiation.remote) == (ANSWER, OFFER)
    assert session.negotiation.state == "idle"


def test_a_reinvite_that_changes_nothing_is_answered_at_once() -> None:
    _net, bob, peer, session, to = called()
    peer.request("INVITE", bob, OFFER, to=to)
    assert (peer.response("INVITE").body, bob.names()) == (ANSWER, [])
    assert session.negotiation.state == "idle"


def test_a_reinvite_without_an_offer() -> None:
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, to=to)
    assert bob.one(Reoffered).body == b""
    session.answer(net.now, THIRD)
    net.run(0.0)
    assert peer.response("INVITE").body == THIRD
    # Until the ACK with the answer has come there is no other offer.
    peer.request("UPDATE", bob, OTHER, to=to)
    assert peer.statuses("UPDATE") == [491]
    peer.request("ACK", bob, OTHER, to=to, cseq=2)
    event = bob.one(DescriptionReceived)
    assert (event.kind, event.body, session.negotiation.local) == ("answer", OTHER, THIRD)


def test_a_reinvite_without_an_offer_and_an_ack_without_the_answer() -> None:
    """Once there is a session, it goes on as it was."""
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, to=to)
    session.answer(net.now, THIRD)
    peer.request("ACK", bob, to=to, cseq=2)
    assert (session.state, session.negotiation.state, session.negotiation.local) == ("established", "idle", ANSWER)


def test_a_reinvite_while_ours_is_under_way() -> None:
    """14.2: 491."""
    net, bob, peer, session, to = called()
    session.offer(net.now, OTHER)
    net.run(0.0)
    peer.request("INVITE", bob, THIRD, to=to)
    assert (peer.statuses("INVITE"), bob.names()) == ([491], [])


def test_a_second_reinvite_before_the_first_is_answered() -> None:
    """14.2: 500 with a Retry-After of 0 to 10 seconds."""
    _net, bob, peer, _session, to = called()
    peer.request("INVITE", bob, OTHER, to=to)
    peer.request("INVITE", bob, THIRD, to=to)
    response = peer.response("INVITE")
    assert (response.status, 0 <= int(response.required("retry-after")) <= 10) == (500, True)
    assert len(bob.told_of(Reoffered)) == 1


def test_a_reinvite_before_the_call_is_answered() -> None:
    net = Net()
    bob, peer = Agent(net, "bob"), Peer(net)
    peer.request("INVITE", bob, OFFER)
    session = bob.offered
    session.ring(net.now)
    net.run(0.0)
    peer.statuses()
    peer.request("INVITE", bob, OTHER, to=f"<{bob.uri}>;tag={session.tag}")
    assert peer.statuses("INVITE") == [500]


def test_a_reinvite_of_a_callee_before_he_has_answered() -> None:
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    alice.call(peer)
    net.run(0.0)
    invite = peer.take("INVITE")
    peer.answer(invite, 180)
    peer.within("INVITE", invite, alice, OTHER)
    assert peer.statuses("INVITE") == [491]


def test_a_reinvite_stands_for_the_ack_that_was_lost() -> None:
    net = Net()
    bob, peer = Agent(net, "bob"), Peer(net)
    peer.request("INVITE", bob, OFFER)
    session = bob.offered
    session.accept(net.now, ANSWER)
    peer.request("INVITE", bob, OTHER, to=f"<{bob.uri}>;tag={session.tag}")
    assert bob.one(Reoffered).body == OTHER
    session.answer(net.now, THIRD)
    net.run(0.1)
    assert [sent.message.cseq.number for sent in net.sent("200 INVITE")] == [1, 2]


def test_a_cancel_of_a_reinvite() -> None:
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, OTHER, to=to)
    peer.request("CANCEL", bob, to=to, cseq=2, branch="z9hG4bKINVITE2")
    assert (peer.statuses("CANCEL"), peer.statuses("INVITE")) == ([200], [487])
    assert not session.answer(net.now, THIRD)
    assert (session.state, session.negotiation.state) == ("established", "idle")
    session.offer(net.now, OTHER)
    net.run(0.0)
    assert peer.took("INVITE")


def test_an_offer_that_nobody_answers_is_refused_in_time() -> None:
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, OTHER, to=to)
    net.run(21.0)
    assert peer.statuses("INVITE")[:2] == [100, 504]
    assert not session.answer(net.now, THIRD)
    peer.request("UPDATE", bob, OTHER, to=to)
    net.run(21.0)
    assert peer.statuses("UPDATE")[-1] == 504


def test_a_reinvite_whose_body_or_contact_cannot_be_taken() -> None:
    _net, bob, peer, session, to = called()
    peer.request("INVITE", bob, b"<x/>", [("Content-Type", "text/xml")], to=to)
    peer.request("INVITE", bob, OTHER, [("Contact", "<nonsense")], to=to)
    peer.request("INVITE", bob, OTHER, [("Require", "x-unknown")], to=to)
    responses = [peer.response("INVITE") for _ in range(3)]
    assert [response.status for response in responses] == [415, 400, 420]
    assert (responses[0].header("accept"), responses[2].header("unsupported")) == ("application/sdp", "x-unknown")
    assert (session.negotiation.state, bob.names()) == ("idle", [])


# UPDATE --------------------------------------------------------------------------------------------------------------


def test_an_update_of_the_peer() -> None:
    net, bob, peer, session, to = called()
    peer.request("UPDATE", bob, OTHER, [("Contact", "<sip:moved@192.0.2.2>")], to=to)
    assert bob.one(Reoffered).body == OTHER
    session.answer(net.now, THIRD)
    net.run(0.0)
    response = peer.response("UPDATE")
    assert (response.status, response.body, response.addresses("contact")[0].uri.text) == (200, THIRD, bob.uri)
    assert session.dialog is not None and session.dialog.remote_target == "sip:moved@192.0.2.2"
    assert (session.negotiation.local, session.negotiation.remote) == (THIRD, OTHER)


def test_an_update_without_an_offer_refreshes_the_target_alone() -> None:
    _net, bob, peer, session, to = called()
    peer.request("UPDATE", bob, b"", [("Contact", "<sip:moved@192.0.2.2>")], to=to)
    assert (peer.statuses("UPDATE"), bob.names()) == ([200], [])
    assert session.dialog is not None and session.dialog.remote_target == "sip:moved@192.0.2.2"


def test_updates_that_come_out_of_turn() -> None:
    """RFC 3311 5.2."""
    net, bob, peer, session, to = called()
    peer.request("UPDATE", bob, OTHER, to=to)
    peer.request("UPDATE", bob, THIRD, to=to)
    peer.request("UPDATE", bob, b"", to=to)
    responses = [peer.response("UPDATE") for _ in range(2)]
    assert [(response.status, "retry-after" in response.names) for response in responses] == [(500, True)] * 2
    session.answer(net.now, THIRD)
    net.run(0.0)
    assert peer.statuses("UPDATE") == [200]
    # A re-INVITE that is not answered yet.
    peer.request("INVITE", bob, OFFER, to=to)
    peer.request("UPDATE", bob, ANSWER, to=to)
    assert peer.statuses("UPDATE") == [500]
    session.refuse(net.now)
    # Our own offer is unanswered.
    session.offer(net.now, ANSWER)
    net.run(0.0)
    assert peer.take("INVITE").body == ANSWER
    peer.request("UPDATE", bob, OFFER, to=to)
    peer.request("UPDATE", bob, b"", to=to)
    assert peer.statuses("UPDATE") == [491, 200]


def test_an_update_that_is_not_known_becomes_a_reinvite() -> None:
    net, alice, peer, session, _ = in_call(expires="100;refresher=uac", session_expires=100)
    net.run(51.0)
    update = peer.take("UPDATE")
    assert (update.body, update.header("session-expires")) == (b"", "100;refresher=uac")
    peer.answer(update, 405, headers=[("Allow", "INVITE, UPDATE")])
    reinvite = peer.take("INVITE")
    assert reinvite.body == OFFER
    peer.answer(reinvite, 200, ANSWER, [("Session-Expires", "100;refresher=uac")])
    assert (peer.took("ACK"), alice.names(), session.state) == (True, [], "established")


# session timers ------------------------------------------------------------------------------------------------------


def test_the_refresher_refreshes_at_half_time() -> None:
    """RFC 4028 section 10."""
    net, alice, peer, _session, _ = in_call(expires="1800;refresher=uac", session_expires=1800)
    net.run(899.0)
    assert not peer.took("UPDATE")
    net.run(2.0)
    update = peer.take("UPDATE")
    assert (update.header("session-expires"), update.body) == ("1800;refresher=uac", b"")
    peer.answer(update, 200, headers=[("Session-Expires", "600;refresher=uac")])
    net.run(301.0)
    peer.answer(peer.take("UPDATE"), 200)
    # A 2xx without Session-Expires, and the timer goes on for our own benefit (7.2).
    net.run(301.0)
    assert peer.took("UPDATE")
    assert alice.names() == []


def test_a_refresh_by_reinvite_repeats_the_description() -> None:
    net, alice, peer, _session, _ = in_call("INVITE", "1800;refresher=uac", session_expires=1800)
    net.run(901.0)
    reinvite = peer.take("INVITE")
    assert reinvite.body == OFFER
    peer.answer(reinvite, 200, THIRD, [("Session-Expires", "1800;refresher=uac")])
    # Another answer than before is told.
    assert (peer.took("ACK"), alice.one(Changed).body) == (True, THIRD)


def test_a_refresh_that_finds_no_dialog_ends_the_call() -> None:
    net, alice, peer, _session, _ = in_call(expires="1800;refresher=uac", session_expires=1800)
    net.run(901.0)
    peer.answer(peer.take("UPDATE"), 481)
    assert (peer.took("BYE"), alice.names()) == (True, ["Ended"])


def test_a_refresh_that_fails_is_tried_again_and_then_the_session_expires() -> None:
    net, alice, peer, session, _ = in_call(expires="1000;refresher=uac", session_expires=1000)
    tries = 0
    for _ in range(1000):
        net.run(1.0)
        if peer.took("UPDATE"):
            tries += 1
            peer.answer(peer.take("UPDATE"), 403)
        if session.is_over:
            break
    assert (tries, round(net.now - 1000.0)) == (3, 968)
    cause = alice.one(Ended).cause
    assert (cause.by, cause.reason, peer.took("BYE")) == ("timer", "the session has expired", True)


def test_a_refresh_whose_interval_is_too_small_asks_for_more() -> None:
    net, _alice, peer, _session, _ = in_call(expires="100;refresher=uac", session_expires=100)
    net.run(51.0)
    peer.answer(peer.take("UPDATE"), 422, headers=[("Min-SE", "400")])
    again = peer.take("UPDATE")
    assert (again.header("session-expires"), again.header("min-se")) == ("400;refresher=uac", "400")


def test_who_does_not_refresh_hangs_up_before_the_session_expires() -> None:
    """Section 10: "The minimum of 32 seconds and one third of the session interval is RECOMMENDED"."""
    net, bob, peer, session, to = called("90;refresher=uac", session_expires=90)
    net.run(59.0)
    assert session.state == "established"
    peer.request("UPDATE", bob, b"", [("Session-Expires", "90;refresher=uac"), ("Supported", "timer")], to=to)
    assert peer.response("UPDATE").header("session-expires") == "90;refresher=uac"
    net.run(59.0)
    assert session.state == "established"
    net.run(2.0)
    assert (peer.took("BYE"), bob.one(Ended).cause.by) == (True, "timer")


def test_no_session_expires_before_it_is_answered() -> None:
    """An early UPDATE may speak of the interval; the time begins with the 2xx."""
    net = Net()
    bob, peer = Agent(net, "bob", session_expires=90, reliable="supported"), Peer(net)
    timer = [("Supported", "timer, 100rel"), ("Session-Expires", "90;refresher=uac"), ("Allow", "UPDATE")]
    peer.request("INVITE", bob, OFFER, timer)
    session = bob.offered
    session.ring(net.now)
    peer.request("UPDATE", bob, b"", timer, to=f"<{bob.uri}>;tag={session.tag}")
    assert session.timer.interval == 90
    net.run(30.0)
    session.accept(net.now, ANSWER)
    peer.request("ACK", bob, to=f"<{bob.uri}>;tag={session.tag}", cseq=1)
    net.run(59.0)
    assert session.state == "established"
    net.run(2.0)
    assert session.is_over


def test_any_change_refreshes_the_session_and_keeps_the_roles() -> None:
    net, bob, peer, session, to = called("900;refresher=uas", session_expires=900)
    assert (session.timer.interval, session.timer.refreshes) == (900, True)
    net.run(400.0)
    peer.request("INVITE", bob, OTHER, [("Supported", "timer")], to=to)
    session.answer(net.now, THIRD)
    net.run(0.0)
    assert peer.response("INVITE").header("session-expires") == "900;refresher=uas"
    peer.request("ACK", bob, to=to, cseq=2)
    net.run(100.0)
    assert not peer.took("UPDATE")
    net.run(351.0)
    assert peer.take("UPDATE").header("session-expires") == "900;refresher=uac"


def test_an_interval_that_is_too_small_is_refused() -> None:
    """Section 9: 422 with Min-SE, to who supports timers."""
    _net, bob, peer, session, to = called(min_se=200, session_expires=1800)
    timer = [("Session-Expires", "100"), ("Supported", "timer")]
    peer.request("INVITE", bob, OTHER, timer, to=to)
    peer.request("UPDATE", bob, OTHER, timer, to=to)
    for method in ("INVITE", "UPDATE"):
        response = peer.response(method)
        assert (response.status, response.header("min-se")) == (422, "200")
    assert (session.negotiation.state, bob.names()) == ("idle", [])
    peer.request("UPDATE", bob, b"", [("Session-Expires", "100")], to=to)
    assert peer.statuses("UPDATE") == [200]


def test_an_offer_during_a_refresh_comes_after_it() -> None:
    net, alice, peer, session, _ = in_call(expires="100;refresher=uac", session_expires=100)
    net.run(50.5)
    session.offer(net.now, OTHER)
    with pytest.raises(LocalError):
        session.offer(net.now, THIRD)
    net.run(0.0)
    assert not peer.took("INVITE")
    peer.answer(peer.take("UPDATE"), 200, headers=[("Session-Expires", "100;refresher=uac")])
    reinvite = peer.take("INVITE")
    assert reinvite.body == OTHER
    peer.answer(reinvite, 200, THIRD)
    assert alice.one(Changed).body == THIRD


# the end while something is under way --------------------------------------------------------------------------------


def test_hanging_up_while_a_reinvite_of_ours_is_under_way() -> None:
    """Its 2xx is acknowledged even then; it would be sent again for 32 s."""
    net, alice, peer, session, _ = in_call()
    session.offer(net.now, OTHER)
    net.run(0.0)
    reinvite = peer.take("INVITE")
    peer.answer(reinvite, 100, tag="")
    session.hang_up(net.now)
    net.run(0.0)
    assert peer.took("CANCEL")
    peer.answer(peer.take("BYE"), 200)
    assert session.state == "ending"
    peer.answer(reinvite, 200, THIRD)
    assert (peer.take("ACK").cseq.number, session.state) == (2, "ended")
    assert alice.told_of(Changed) == []
    settle(net, alice)


def test_hanging_up_while_theirs_waits_for_an_answer() -> None:
    net, bob, peer, session, to = called()
    peer.request("INVITE", bob, OTHER, to=to)
    session.hang_up(net.now)
    net.run(0.0)
    assert (peer.statuses("INVITE"), peer.took("BYE"), session.answer(net.now, THIRD)) == ([487], True, False)


def test_a_bye_while_theirs_waits_for_an_answer() -> None:
    """15.1.2: pending requests get 487."""
    net, bob, peer, _session, to = called()
    peer.request("UPDATE", bob, OTHER, to=to)
    peer.request("BYE", bob, to=to)
    assert (peer.statuses("BYE"), peer.statuses("UPDATE")) == ([200], [487])
    assert ended(bob).cause.by == "remote"
    settle(net, bob)


def test_two_agents_hold_and_resume() -> None:
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    for body, reply in ((OTHER, THIRD), (OFFER, ANSWER)):
        ours.offer(net.now, body)
        net.run(0.0)
        assert bob.one(Reoffered).body == body
        theirs.answer(net.now, reply)
        net.run(0.0)
        assert alice.one(Changed).body == reply
    theirs.offer(net.now, THIRD)
    net.run(0.0)
    assert alice.one(Reoffered).body == THIRD
    ours.answer(net.now, OTHER)
    net.run(0.0)
    assert bob.one(Changed).body == OTHER
    theirs.hang_up(net.now)
    net.run(0.0)
    assert (ended(alice).cause.by, ended(bob).cause.by) == ("remote", "local")
    settle(net, alice, bob)
