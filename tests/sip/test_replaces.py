"""Replaces (RFC 3891) and Join (RFC 3911): reading them, and what a callee does with them."""

import pytest

from ringback.errors import ParseError
from ringback.sip.message import Request, build_request
from ringback.sip.replaces import DialogReference, read_reference, reference_of
from ringback.sip.session_events import Offered
from tests.sip.agents import ANSWER, OFFER, Agent, Net, Peer, ended, established, pair, settle


def request(method: str, *headers: tuple[str, str]) -> Request:
    return build_request(method, "sip:a@b", list(headers))


def test_a_reference_is_read_and_written() -> None:
    value = "12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only"
    reference = read_reference(value)
    assert (reference.call_id, reference.to_tag, reference.from_tag, reference.early_only) == (
        "12adf2f34456gs5",
        "12345",
        "54321",
        True,
    )
    assert str(reference) == value
    assert read_reference("98732@sip.example.com ;From-Tag=r33th4x0r; to-tag=ff87ff").key == (
        "98732@sip.example.com\nff87ff\nr33th4x0r"
    )
    # Section 6.1: 0 stands for a peer of RFC 2543, which has given no tag.
    assert read_reference("a;to-tag=0;from-tag=b").key == "a\n\nb"
    assert not DialogReference("a", "b", "c").early_only


@pytest.mark.parametrize("value", ["", "a", "a;to-tag=1", "a;from-tag=1", ";to-tag=1;from-tag=2"])
def test_what_is_no_reference(value: str) -> None:
    with pytest.raises(ParseError):
        read_reference(value)


def test_which_header_a_request_has() -> None:
    assert reference_of(request("INVITE")) is None
    found = reference_of(request("INVITE", ("Replaces", "a;to-tag=1;from-tag=2")))
    assert found is not None and (found[0], found[1].call_id) == ("replaces", "a")
    found = reference_of(request("INVITE", ("Join", "a;to-tag=1;from-tag=2")))
    assert found is not None and found[0] == "join"
    for wrong in (
        request("INVITE", ("Join", "a;to-tag=1;from-tag=2"), ("Replaces", "a;to-tag=1;from-tag=2")),
        request("INVITE", ("Join", "a;to-tag=1;from-tag=2"), ("Join", "a;to-tag=1;from-tag=2")),
        request("REFER", ("Replaces", "a;to-tag=1;from-tag=2")),
    ):
        with pytest.raises(ParseError):
            reference_of(wrong)


# what a callee does --------------------------------------------------------------------------------------------------


def test_a_confirmed_dialog_is_replaced_when_the_new_call_is_accepted() -> None:
    """Section 3: "accepts the new INVITE by sending a 200-class response, and shuts down the replaced dialog by sending
    a BYE"."""
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    _, theirs = established(net, alice, bob)
    call = carol.call(bob, headers=[("Replaces", f"{theirs.call_id};to-tag={theirs.tag};from-tag=x")])
    net.run(0.0)
    assert ended(carol).cause.status == 481
    tag = theirs.request.from_tag
    call = carol.call(bob, headers=[("Replaces", f"{theirs.call_id};to-tag={theirs.tag};from-tag={tag}")])
    net.run(0.0)
    new = bob.offered
    assert (new.replaces, new.joins, theirs.state) == (theirs, None, "established")
    new.accept(net.now, ANSWER)
    net.run(0.0)
    assert ended(alice).cause.by == "remote"
    cause = ended(bob).cause
    assert (cause.by, cause.reason, call.state) == ("remote", "replaced", "established")
    assert theirs.history[-2].what == "replaced"
    call.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob, carol)


def test_the_replaced_dialog_stays_when_the_new_call_is_refused() -> None:
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours, theirs = established(net, alice, bob)
    carol.call(bob, replaces=None, headers=[("Replaces", str(ours.reference()))])
    net.run(0.0)
    bob.offered.reject(net.now, 488)
    net.run(0.0)
    assert (ended(carol).cause.status, theirs.state, ours.state) == (488, "established", "established")


def test_an_early_dialog_of_ours_is_replaced_and_cancelled() -> None:
    """The way of a call pickup (section 7.1, RFC 5359 2.9)."""
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours = alice.call(bob)
    net.run(0.0)
    theirs = bob.offered
    theirs.ring(net.now)
    net.run(0.0)
    dialog = ours.dialog
    assert dialog is not None
    value = f"{ours.call_id};to-tag={dialog.local_tag};from-tag={dialog.remote_tag};early-only"
    pickup = carol.call(alice, headers=[("Replaces", value)])
    net.run(0.0)
    new = alice.offered
    assert new.replaces is ours
    new.accept(net.now, ANSWER)
    net.run(0.0)
    assert (theirs.state, ours.state, pickup.state) == ("ended", "ended", "established")
    assert net.sent("CANCEL", "alice")
    pickup.hang_up(net.now)
    net.run(0.0)
    settle(net, alice, bob, carol)


def test_early_only_and_a_confirmed_dialog() -> None:
    """486."""
    net, alice, bob = pair()
    ours, _ = established(net, alice, bob)
    carol = Agent(net, "carol")
    carol.call(bob, headers=[("Replaces", str(ours.reference(True)))])
    net.run(0.0)
    assert ended(carol).cause.status == 486


def test_an_early_dialog_that_was_not_initiated_by_us() -> None:
    """481, and "leaves the matched dialog unchanged"."""
    net, alice, bob = pair()
    ours = alice.call(bob)
    net.run(0.0)
    theirs = bob.offered
    theirs.ring(net.now)
    net.run(0.0)
    carol = Agent(net, "carol")
    carol.call(bob, headers=[("Replaces", str(ours.reference()))])
    net.run(0.0)
    assert (ended(carol).cause.status, theirs.state) == (481, "early")


def test_a_dialog_that_has_ended_just_now() -> None:
    """603, "prevents an irritating race-condition where the UA rings"; and later 481."""
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    carol = Agent(net, "carol")
    reference = str(ours.reference())
    theirs.hang_up(net.now)
    carol.call(bob, headers=[("Replaces", reference)])
    net.run(0.0)
    assert ended(carol).cause.status == 603
    net.run(1.0)
    carol.call(bob, headers=[("Join", reference)])
    net.run(0.0)
    assert ended(carol).cause.status == 603
    net.run(40.0)
    carol.call(bob, headers=[("Replaces", reference)])
    net.run(0.0)
    assert ended(carol).cause.status == 481


def test_a_dialog_that_no_invite_has_made() -> None:
    net = Net()
    bob, peer = Agent(net, "bob"), Peer(net)
    peer.request("REFER", bob, headers=[("Refer-To", "<sip:x@y>")])
    [key] = bob.core.tu.dialogs
    call_id, local, remote = key.split("\n")
    peer.request("INVITE", bob, OFFER, [("Replaces", f"{call_id};to-tag={local};from-tag={remote}")], call_id="new")
    assert peer.statuses("INVITE") == [481]


@pytest.mark.parametrize("early", [False, True])
def test_joining(early: bool) -> None:
    """RFC 3911 section 4: "the Join header has no limitation on its use with early dialogs"."""
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours = alice.call(bob)
    net.run(0.0)
    theirs = bob.offered
    if early:
        theirs.ring(net.now)
    else:
        theirs.accept(net.now, ANSWER)
    net.run(0.0)
    call = carol.call(bob, join=ours)
    net.run(0.0)
    new = bob.one(Offered).session
    assert (new.joins, new.replaces) == (theirs, None)
    new.accept(net.now, ANSWER)
    net.run(0.0)
    assert (call.state, theirs.is_over) == ("established", False)


def test_calling_in_place_of_a_session() -> None:
    net, alice, bob = pair()
    carol = Agent(net, "carol")
    ours, theirs = established(net, alice, bob)
    carol.call(bob, replaces=ours)
    net.run(0.0)
    assert bob.offered.replaces is theirs
