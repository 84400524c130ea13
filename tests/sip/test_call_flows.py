"""The flows of RFC 3665 section 3 and RFC 5359 by the user agents in them: message by message, in order."""

import pytest

from ringback.sip.digest_client import DigestClient, Login
from ringback.sip.session_events import Ended, ReferProgress, Referred
from tests.sip.agents import ANSWER, OFFER, OTHER, THIRD, Agent, Domain, Net, Peer, ended, established, pair, settle


def through_a_proxy(*names: str) -> tuple[Net, Domain, list[Agent]]:
    net = Net()
    proxy = Domain(net, domain="biloxi.example.com")
    agents = [Agent(net, name) for name in names]
    for agent in agents:
        proxy.users[agent.name] = [agent.uri]
    return net, proxy, agents


# RFC 3665 section 3 --------------------------------------------------------------------------------------------------


def test_3_1_a_successful_session() -> None:
    net, alice, bob = pair()
    alice.call(bob)
    net.run(0.0)
    theirs = bob.offered
    theirs.ring(net.now)
    net.run(1.0)
    theirs.accept(net.now, ANSWER)
    net.run(1.0)
    theirs.hang_up(net.now)
    net.run(0.0)
    assert net.lines() == [
        "alice INVITE", "bob 180 INVITE", "bob 200 INVITE", "alice ACK", "bob BYE", "alice 200 BYE",
    ]  # fmt: skip
    assert (ended(alice).cause.by, ended(bob).cause.by) == ("remote", "local")
    settle(net, alice, bob)


def test_3_2_a_session_through_a_proxy_that_asks_who_calls() -> None:
    """The proxy is played by hand up to the challenge; the call goes on by its route."""
    net = Net()
    challenger = Peer(net, "proxy")
    realm = "atlanta.example.com"
    login = Login("alice", "secret", realm, [challenger.host])
    alice = Agent(net, "alice", credentials=DigestClient([login]))
    alice.profile.routes = [f"<sip:{challenger.host};lr>"]
    call = alice.call("sip:bob@biloxi.example.com")
    net.run(0.0)
    first = challenger.take("INVITE")
    challenge = f'Digest realm="{realm}", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", algorithm=MD5'
    challenger.answer(first, 407, headers=[("Proxy-Authenticate", challenge)])
    second = challenger.take("INVITE")
    assert (second.cseq.number, second.call_id, second.header("route")) == (
        2,
        first.call_id,
        f"<sip:{challenger.host};lr>",
    )
    challenger.answer(second, 100, tag="")
    routes = [("Record-Route", f"<sip:ss2.biloxi.example.com;lr>, <sip:{challenger.host};lr>")]
    challenger.answer(second, 180, headers=routes)
    challenger.answer(second, 200, ANSWER, headers=routes)
    assert challenger.take("ACK").cseq.number == 1
    ack = challenger.take("ACK")
    assert ack.header("route") == f"<sip:{challenger.host};lr>, <sip:ss2.biloxi.example.com;lr>"
    assert (ack.uri, ack.header("proxy-authorization")) == (challenger.uri, second.header("proxy-authorization"))
    call.hang_up(net.now)
    net.run(0.0)
    bye = challenger.take("BYE")
    # The credentials are known by now.
    assert (bye.header("route"), "proxy-authorization" in bye.names) == (ack.header("route"), True)
    challenger.answer(bye, 200)
    settle(net, alice)


def test_3_7_a_session_without_an_offer_in_the_invite() -> None:
    net, alice, bob = pair()
    ours = alice.call(bob, b"")
    net.run(0.0)
    theirs = bob.offered
    theirs.ring(net.now)
    theirs.accept(net.now, ANSWER)
    net.run(0.0)
    ours.answer(net.now, OFFER)
    net.run(0.0)
    [ack] = net.sent("ACK")
    assert ack.message.body == OFFER
    assert (ours.negotiation.remote, theirs.negotiation.remote) == (ANSWER, OFFER)


def test_3_8_no_answer() -> None:
    net, _, (alice, bob) = through_a_proxy("alice", "bob")
    call = alice.call("sip:bob@biloxi.example.com")
    net.run(0.0)
    bob.offered.ring(net.now)
    net.run(10.0)
    call.hang_up(net.now)
    net.run(0.0)
    lines = net.lines("alice", "bob")
    assert lines == [
        "alice INVITE", "bob 180 INVITE", "alice CANCEL", "bob 200 CANCEL", "bob 487 INVITE", "alice ACK",
    ]  # fmt: skip
    assert (ended(alice).cause.by, ended(bob).cause.status) == ("local", 487)
    settle(net, alice, bob)


@pytest.mark.parametrize("status", [486, 480])
def test_3_9_and_3_11_busy_and_temporarily_unavailable(status: int) -> None:
    net, _, (alice, bob) = through_a_proxy("alice", "bob")
    alice.call("sip:bob@biloxi.example.com")
    net.run(0.0)
    bob.offered.reject(net.now, status)
    net.run(0.0)
    assert net.lines("alice", "bob") == ["alice INVITE", f"bob {status} INVITE", "alice ACK"]
    assert ended(alice).cause.status == status
    settle(net, alice, bob)


def test_3_10_no_response_from_the_callee() -> None:
    net, proxy, (alice,) = through_a_proxy("alice")
    proxy.users["bob"] = ["sip:bob@192.0.2.99"]
    alice.call("sip:bob@biloxi.example.com")
    net.run(33.0)
    assert ended(alice).cause.status == 408
    settle(net, alice)


# RFC 5359 ------------------------------------------------------------------------------------------------------------


def test_2_1_call_hold() -> None:
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    theirs.offer(net.now, OTHER)
    net.run(0.0)
    ours.answer(net.now, THIRD)
    net.run(0.0)
    assert net.lines() == ["bob INVITE", "alice 200 INVITE", "bob ACK"]
    assert (ours.negotiation.remote, theirs.negotiation.remote) == (OTHER, THIRD)


def test_2_2_consultation_hold() -> None:
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours, _ = established(net, alice, bob)
    ours.offer(net.now, OTHER)
    net.run(0.0)
    [held] = [event for event in bob.events if type(event).__name__ == "Reoffered"]
    held.session.answer(net.now, THIRD)  # type: ignore[attr-defined]
    other = alice.call(carol)
    net.run(0.0)
    carol.offered.accept(net.now, ANSWER)
    net.run(0.0)
    other.hang_up(net.now)
    ours.offer(net.now, OFFER)
    net.run(0.0)
    held.session.answer(net.now, ANSWER)  # type: ignore[attr-defined]
    net.run(0.0)
    assert (ours.state, other.state, ours.negotiation.local) == ("established", "ended", OFFER)


def test_2_4_transfer_unattended() -> None:
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours, theirs = established(net, alice, bob)
    theirs.refer(net.now, carol.uri)
    net.run(0.0)
    referred = alice.one(Referred)
    alice.core.refer_accept(referred.token, net.now)
    theirs.hang_up(net.now)
    net.run(0.0)
    new = alice.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    carol.offered.accept(net.now, ANSWER)
    net.run(0.0)
    assert net.lines() == [
        "bob REFER", "alice 202 REFER", "alice NOTIFY", "bob BYE", "bob 200 NOTIFY", "alice 200 BYE", "alice INVITE",
        "carol 200 INVITE", "alice ACK", "alice NOTIFY", "bob 200 NOTIFY",
    ]  # fmt: skip
    assert [event.status for event in bob.told_of(ReferProgress)] == [100, 200]
    assert (ours.state, theirs.state, new.state) == ("ended", "ended", "established")
    new.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob, carol)


def test_2_6_transfer_by_replaces_with_the_contact_of_the_target() -> None:
    """2.5 and 2.6, "Transfer - Attended": the target is called at its Contact, with Replaces."""
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours, theirs = established(net, alice, bob)
    consult, _ = established(net, bob, carol)
    theirs.refer(net.now, "", replaces=consult)
    net.run(0.0)
    referred = alice.one(Referred)
    alice.core.refer_accept(referred.token, net.now)
    new = alice.call(referred.refer_to, OFFER, referral=referred.token)
    net.run(0.0)
    carol.offered.accept(net.now, ANSWER)
    net.run(0.0)
    theirs.hang_up(net.now)
    net.run(0.0)
    assert new.request.uri == carol.uri
    assert [session.state for session in (ours, theirs, consult, new)] == ["ended", "ended", "ended", "established"]
    new.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob, carol)


def test_2_8_call_forwarding_by_the_callee() -> None:
    """A 302, which the proxy takes up."""
    net, proxy, (alice, bob, carol) = through_a_proxy("alice", "bob", "carol")
    proxy.recurse = True
    call = alice.call("sip:bob@biloxi.example.com")
    net.run(0.0)
    bob.offered.redirect(net.now, [carol.uri])
    net.run(0.0)
    carol.offered.accept(net.now, ANSWER)
    net.run(0.0)
    assert (call.state, ended(bob).cause.status) == ("established", 302)


def test_2_12_find_me_in_parallel() -> None:
    """Two phones ring; one answers, the other hears that the call was completed elsewhere."""
    net, proxy, (alice, bob, carol) = through_a_proxy("alice", "bob", "carol")
    proxy.users["bob"] = [bob.uri, carol.uri]
    call = alice.call("sip:bob@biloxi.example.com")
    net.run(0.0)
    first, second = bob.offered, carol.offered
    first.ring(net.now)
    second.ring(net.now)
    net.run(1.0)
    assert len(call.keys) == 2
    second.accept(net.now, ANSWER)
    net.run(1.0)
    assert (call.state, second.state, first.state) == ("established", "established", "ended")
    assert bob.one(Ended).cause.reason == "Call completed elsewhere"


def test_2_16_call_pickup() -> None:
    """Bill picks up what rings at Bob's: he calls Alice with Replaces for the early dialog that she has begun."""
    net, alice, bob = pair()
    bill = Agent(net, "bill")
    ours = alice.call(bob)
    net.run(0.0)
    theirs = bob.offered
    theirs.ring(net.now)
    net.run(0.0)
    # What bill knows of bob's dialog, say by its events (RFC 4235).
    dialog = theirs.dialog
    assert dialog is not None
    value = f"{dialog.call_id};to-tag={dialog.remote_tag};from-tag={dialog.local_tag};early-only"
    pickup = bill.call(alice, headers=[("Replaces", value)])
    net.run(0.0)
    new = alice.offered
    assert new.replaces is ours
    new.accept(net.now, ANSWER)
    net.run(0.0)
    assert (pickup.state, ours.state, theirs.state) == ("established", "ended", "ended")
    pickup.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob, bill)
