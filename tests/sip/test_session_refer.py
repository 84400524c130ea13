"""REFER within a call: transfers, what is told of them, subscriptions that outlive the call (RFC 3515, 4488, 5057)."""

import pytest

from ringback.errors import LocalError, ParseError
from ringback.sip.session import Session
from ringback.sip.session_events import DescriptionReceived, Ended, Established, Offered, ReferProgress, Referred
from ringback.sip.session_refer import MOST_REFERRALS
from tests.sip.agents import ANSWER, OFFER, OTHER, Agent, Net, Peer, ended, established, pair, settle


def three() -> tuple[Net, Agent, Agent, Agent, Session, Session]:
    """Alice and Bob in a call, and Carol."""
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours, theirs = established(net, alice, bob)
    return net, alice, bob, carol, ours, theirs


def progress(agent: Agent) -> list[tuple[int, bool]]:
    return [(event.status, event.final) for event in agent.told_of(ReferProgress)]


# transfers (RFC 5359 2.4 and 2.5) ------------------------------------------------------------------------------------


def test_a_blind_transfer() -> None:
    net, alice, bob, carol, ours, _ = three()
    token = ours.refer(net.now, carol.uri)
    net.run(0.0)
    [refer] = net.sent("REFER")
    assert (refer.message.header("refer-to"), refer.message.header("referred-by")) == (
        f"<{carol.uri}>",
        "<sip:alice@example.org>",
    )
    referred = bob.one(Referred)
    assert (referred.refer_to, referred.referred_by) == (carol.uri, "<sip:alice@example.org>")
    bob.core.refer_accept(referred.token, net.now)
    call = bob.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    theirs = carol.offered
    assert theirs.request.header("referred-by") == "<sip:alice@example.org>"
    theirs.ring(net.now)
    net.run(0.0)
    theirs.accept(net.now, ANSWER)
    net.run(0.0)
    events = alice.told_of(ReferProgress)
    assert [(event.status, event.reason, event.final) for event in events] == [
        (100, "Trying", False),
        (180, "Ringing", False),
        (200, "OK", True),
    ]
    assert {event.token for event in events} == {token}
    states = [sent.message.header("subscription-state") for sent in net.sent("NOTIFY")]
    assert states == ["active;expires=180", "active;expires=180", "terminated;reason=noresource"]
    assert {sent.message.header("event") for sent in net.sent("NOTIFY")} == {"refer;id=2"}
    assert {sent.message.header("content-type") for sent in net.sent("NOTIFY")} == {"message/sipfrag;version=2.0"}
    ours.hang_up(net.now)
    call.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob, carol)


def test_an_attended_transfer() -> None:
    """Alice, who speaks with Bob and with Carol, has Bob call Carol in her place."""
    net, alice, bob, carol, with_bob, bobs = three()
    with_carol, carols = established(net, alice, carol)
    with_bob.refer(net.now, "", replaces=with_carol)
    net.run(0.0)
    referred = bob.one(Referred)
    assert referred.refer_to.startswith(f"{carol.uri}?Replaces={with_carol.call_id}%3Bto-tag%3D")
    bob.core.refer_accept(referred.token, net.now)
    call = bob.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    offered = carol.offered
    assert offered.replaces is carols
    offered.accept(net.now, ANSWER)
    net.run(0.0)
    # Carol's call with Alice is over, Bob speaks with Carol; Alice hears of it and hangs up.
    assert ended(carol).session is carols
    assert (call.state, offered.state, with_carol.state) == ("established", "established", "ended")
    assert progress(alice) == [(100, False), (200, True)]
    with_bob.hang_up(net.now)
    net.run(0.0)
    assert (bobs.state, with_bob.state) == ("ended", "ended")
    call.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob, carol)


def test_a_transfer_that_fails() -> None:
    net, alice, bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    referred = bob.one(Referred)
    bob.core.refer_accept(referred.token, net.now)
    bob.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    carol.offered.reject(net.now, 486)
    net.run(0.0)
    assert progress(alice) == [(100, False), (486, True)]
    assert ours.state == "established"


def test_a_transfer_that_the_referred_gives_up() -> None:
    net, alice, bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    referred = bob.one(Referred)
    bob.core.refer_accept(referred.token, net.now)
    call = bob.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    call.hang_up(net.now)
    net.run(0.0)
    assert progress(alice) == [(100, False), (487, True)]


@pytest.mark.parametrize("status", [603, 405])
def test_a_transfer_that_is_refused(status: int) -> None:
    net, alice, bob, carol, ours, _theirs = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    token = bob.one(Referred).token
    bob.core.refer_reject(token, net.now, status)
    bob.core.refer_reject(token, net.now)
    bob.core.refer_accept(token, net.now)
    net.run(0.0)
    assert (progress(alice), net.sent("NOTIFY")) == ([(status, True)], [])
    ours.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob)


def test_a_transfer_that_nobody_decides_about() -> None:
    net, alice, _bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri)
    net.run(21.0)
    assert progress(alice) == [(480, True)]


def test_the_user_tells_how_it_fares() -> None:
    net, alice, bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    token = bob.one(Referred).token
    bob.core.refer_progress(token, 180, "", net.now)
    bob.core.refer_accept(token, net.now)
    # Of what happens while a NOTIFY is under way the last is told.
    for status in (180, 181, 183):
        bob.core.refer_progress(token, status, "", net.now)
    net.run(0.0)
    bob.core.refer_progress(token, 200, "Fine", net.now)
    bob.core.refer_progress(token, 500, "", net.now)
    net.run(0.0)
    assert progress(alice) == [(100, False), (183, False), (200, True)]
    assert [sent.message.body for sent in net.sent("NOTIFY")][-1] == b"SIP/2.0 200 Fine\r\n"


def test_without_a_subscription() -> None:
    """RFC 4488: Refer-Sub: false, both ways."""
    net, alice, bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri, subscribe=False)
    net.run(0.0)
    [refer] = net.sent("REFER")
    assert refer.message.header("refer-sub") == "false"
    token = bob.one(Referred).token
    assert not token.subscribed
    bob.core.refer_accept(token, net.now)
    bob.core.refer_progress(token, 200, "", net.now)
    net.run(0.0)
    [accepted] = net.sent("200 REFER")
    assert (accepted.message.header("refer-sub"), net.sent("NOTIFY"), progress(alice)) == ("false", [], [(200, True)])


def test_referring_in_ones_own_words() -> None:
    net, alice, bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri, referred_by="<sip:boss@example.org>;cid=x")
    net.run(0.0)
    assert net.sent("REFER")[0].message.header("referred-by") == "<sip:boss@example.org>;cid=x"
    assert bob.one(Referred).referred_by == "<sip:boss@example.org>;cid=x"
    alice.profile.privacy = "id"
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    assert net.sent("REFER")[1].message.header("referred-by") is None
    with pytest.raises(ParseError):
        ours.refer(net.now, "no uri")
    with pytest.raises(LocalError):
        ours.refer(net.now, "", replaces=alice.call(bob))
    ours.hang_up(net.now)
    with pytest.raises(LocalError):
        ours.refer(net.now, carol.uri)


# subscriptions that outlive the call ---------------------------------------------------------------------------------


def test_the_transferor_hangs_up_at_once() -> None:
    """RFC 5057: the dialog stays for the other usage; its NOTIFYs are taken, all else is refused."""
    net, alice, bob, carol, ours, theirs = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    referred = bob.one(Referred)
    bob.core.refer_accept(referred.token, net.now)
    net.run(0.0)
    ours.hang_up(net.now)
    net.run(0.0)
    assert (ours.state, theirs.state, len(alice.core.tu.dialogs)) == ("ended", "ended", 1)
    bob.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    carol.offered.accept(net.now, ANSWER)
    net.run(0.0)
    assert progress(alice) == [(100, False), (200, True)]
    assert alice.core.tu.dialogs == {}
    [call] = bob.core.tu.sessions
    call.hang_up(net.now)  # type: ignore[attr-defined]
    net.run(0.0)
    settle(net, alice, bob, carol)


def test_what_is_asked_is_answered_when_the_call_ends() -> None:
    net, alice, bob, carol, ours, theirs = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    theirs.hang_up(net.now)
    net.run(0.0)
    assert progress(alice) == [(487, True)]
    settle(net, alice, bob)


def test_no_more_is_heard() -> None:
    """A notifier that has died: the wait ends after what its last NOTIFY has named."""
    net, alice, bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    bob.core.refer_accept(bob.one(Referred).token, net.now)
    net.run(0.0)
    assert progress(alice) == [(100, False)]
    net.drop = lambda sent: sent.sender == "bob"
    net.run(180.0 + 31.0)
    assert progress(alice) == []
    net.run(2.0)
    assert progress(alice) == [(408, True)]


def test_the_subscription_expires_at_the_notifier() -> None:
    net, alice, bob, carol, ours, _ = three()
    ours.refer(net.now, carol.uri)
    net.run(0.0)
    token = bob.one(Referred).token
    bob.core.refer_accept(token, net.now)
    net.run(181.0)
    assert progress(alice) == [(100, False), (100, True)]
    assert net.sent("NOTIFY")[-1].message.header("subscription-state") == "terminated;reason=timeout"
    bob.core.refer_progress(token, 200, "", net.now)
    net.run(0.0)
    assert len(net.sent("NOTIFY")) == 2


# with a party that the test plays ------------------------------------------------------------------------------------


def with_peer() -> tuple[Net, Agent, Peer, Session]:
    net = Net()
    alice, peer = Agent(net, "alice"), Peer(net)
    session = alice.call(peer)
    net.run(0.0)
    invite = peer.take("INVITE")
    peer.answer(invite, 200, ANSWER)
    peer.take("ACK")
    alice.events.clear()
    return net, alice, peer, session


def notify(peer: Peer, session: Session, state: str, status: str, event: str = "refer", cseq: int = 0) -> None:
    alice = next(node for node in peer.net.nodes.values() if isinstance(node, Agent))
    headers = [("Event", event), ("Subscription-State", state), ("Content-Type", "message/sipfrag")]
    number = [("CSeq", f"{cseq} NOTIFY")] if cseq else []
    peer.within("NOTIFY", session.request, alice, f"SIP/2.0 {status}\r\n".encode(), headers + number)


def test_a_notify_that_overtakes_the_response() -> None:
    net, alice, peer, session = with_peer()
    session.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    refer = peer.take("REFER")
    notify(peer, session, "active;expires=60", "180 Ringing", "refer;id=2")
    notify(peer, session, "terminated;reason=noresource", "200 OK")
    peer.answer(refer, 202)
    assert peer.statuses("NOTIFY") == [200, 200]
    assert progress(alice) == [(180, False), (200, True)]


def test_notifies_that_belong_to_nothing() -> None:
    net, alice, peer, session = with_peer()
    notify(peer, session, "active", "100 Trying")
    session.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    peer.answer(peer.take("REFER"), 202)
    notify(peer, session, "active", "100 Trying", "refer;id=99")
    assert (peer.statuses("NOTIFY"), progress(alice)) == ([481, 481], [])
    notify(peer, session, "active", "100 Trying", "presence")
    assert alice.requested.request.header("event") == "presence"


def test_a_final_status_ends_it_whatever_the_state_says() -> None:
    net, alice, peer, session = with_peer()
    session.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    peer.answer(peer.take("REFER"), 202)
    notify(peer, session, "active;expires=60", "603 Decline")
    assert progress(alice) == [(603, True)]


def test_a_notify_that_says_nothing_readable() -> None:
    net, alice, peer, session = with_peer()
    session.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    peer.answer(peer.take("REFER"), 202)
    notify(peer, session, "active", "what?")
    notify(peer, session, "terminated;reason=giveup", "what?")
    events = alice.told_of(ReferProgress)
    assert [(event.status, event.reason, event.final) for event in events] == [
        (100, "", False),
        (100, "giveup", True),
    ]


def test_two_transfers_at_a_time_are_told_apart() -> None:
    net, alice, peer, session = with_peer()
    first = session.refer(net.now, "sip:one@192.0.2.9")
    second = session.refer(net.now, "sip:two@192.0.2.9")
    net.run(0.0)
    for _ in range(2):
        peer.answer(peer.take("REFER"), 202)
    notify(peer, session, "active;expires=60", "183 Progress", "refer;id=3")
    notify(peer, session, "active;expires=60", "180 Ringing", "refer;id=2")
    assert [(event.token, event.status) for event in alice.told_of(ReferProgress)] == [(second, 183), (first, 180)]


def test_a_202_without_subscription() -> None:
    net, alice, peer, session = with_peer()
    session.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    peer.answer(peer.take("REFER"), 202, headers=[("Refer-Sub", "false")])
    assert progress(alice) == [(202, True)]


def test_a_202_and_no_notify() -> None:
    net, alice, peer, session = with_peer()
    session.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    peer.answer(peer.take("REFER"), 202)
    net.run(31.0)
    assert progress(alice) == []
    net.run(2.0)
    assert progress(alice) == [(408, True)]


def test_a_refer_that_finds_no_dialog_ends_the_call() -> None:
    net, alice, peer, session = with_peer()
    session.refer(net.now, "sip:carol@192.0.2.9")
    net.run(0.0)
    peer.answer(peer.take("REFER"), 481)
    assert (progress(alice), alice.one(Ended).cause.status, peer.took("BYE")) == ([(481, True)], 481, True)


def test_no_more_referrals_than_anybody_needs() -> None:
    _net, alice, peer, session = with_peer()
    for _ in range(MOST_REFERRALS + 1):
        peer.within("REFER", session.request, alice, headers=[("Refer-To", "<sip:x@y>")])
    assert (len(alice.told_of(Referred)), peer.statuses("REFER")) == (MOST_REFERRALS, [503])


def test_a_refused_notify_ends_the_subscription() -> None:
    net, alice, peer, session = with_peer()
    peer.within("REFER", session.request, alice, headers=[("Refer-To", "<sip:x@y>"), ("CSeq", "7 REFER")])
    token = alice.one(Referred).token
    alice.core.refer_accept(token, net.now)
    net.run(0.0)
    peer.answer(peer.take("NOTIFY"), 481)
    alice.core.refer_progress(token, 200, "", net.now)
    net.run(0.0)
    assert (peer.took("NOTIFY"), token.state) == (False, "done")
    assert session.state == "established"


def test_a_subscription_is_prolonged_and_ended_by_its_subscriber() -> None:
    net, alice, peer, session = with_peer()
    peer.within("REFER", session.request, alice, headers=[("Refer-To", "<sip:x@y>"), ("CSeq", "7 REFER")])
    token = alice.one(Referred).token
    alice.core.refer_accept(token, net.now)
    net.run(0.0)
    peer.answer(peer.take("NOTIFY"), 200)
    for expires in ("600", "0"):
        headers = [("Event", "refer;id=7"), ("Expires", expires), ("CSeq", f"{8 + int(expires == '0')} SUBSCRIBE")]
        peer.within("SUBSCRIBE", session.request, alice, headers=headers)
        response = peer.response("SUBSCRIBE")
        assert (response.status, response.header("expires")) == (200, expires)
        state = peer.take("NOTIFY")
        wanted = "active;expires=600" if expires == "600" else "terminated;reason=timeout"
        assert state.header("subscription-state") == wanted
        peer.answer(state, 200)
    assert token.state == "done"


# hold and transfer back (RFC 5359 2.1) -------------------------------------------------------------------------------


def test_hold_consult_and_transfer() -> None:
    """Alice holds Bob, asks Carol, and joins the two."""
    net, alice, bob, carol, with_bob, bobs = three()
    with_bob.offer(net.now, OTHER)
    net.run(0.0)
    bobs.answer(net.now, ANSWER)
    net.run(0.0)
    with_carol = alice.call(carol)
    net.run(0.0)
    carols = carol.offered
    carols.accept(net.now, ANSWER)
    net.run(0.0)
    assert alice.told_of(Established)[0].session is with_carol
    with_bob.refer(net.now, "", replaces=with_carol)
    net.run(0.0)
    referred = bob.one(Referred)
    bob.core.refer_accept(referred.token, net.now)
    bob.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    carol.one(Offered).session.accept(net.now, ANSWER)
    net.run(0.0)
    assert progress(alice)[-1] == (200, True)
    assert bob.told_of(DescriptionReceived)[-1].body == ANSWER
    assert with_carol.state == "ended"
