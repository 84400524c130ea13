"""What is told, and in which order: who uses a core builds on it."""

from ringback.sip import session_events
from ringback.sip.session_events import CoreEvent, DescriptionReceived
from tests.sip.agents import ANSWER, OTHER, THIRD, established, pair


def test_every_event_is_one_and_keeps_its_parts_in_slots() -> None:
    found = [kind for kind in vars(session_events).values() if isinstance(kind, type) and issubclass(kind, CoreEvent)]
    assert len(found) == 15
    for kind in found:
        assert "__dict__" not in dir(kind)


def test_a_call_that_is_answered() -> None:
    net, alice, bob = pair()
    alice.call(bob)
    net.run(0.0)
    theirs = bob.offered
    theirs.ring(net.now)
    theirs.ring(net.now, 183, ANSWER)
    theirs.accept(net.now, ANSWER)
    net.run(0.0)
    assert [type(event).__name__ for event in alice.events] == [
        "Progressed", "Progressed", "DescriptionReceived", "DescriptionReceived", "Established",
    ]  # fmt: skip
    assert [(event.kind, event.early) for event in alice.told_of(DescriptionReceived)] == [
        ("answer", True),
        ("answer", False),
    ]
    assert bob.names() == ["Established"]


def test_a_call_without_an_offer() -> None:
    net, alice, bob = pair()
    ours = alice.call(bob, b"")
    net.run(0.0)
    bob.offered.accept(net.now, ANSWER)
    net.run(0.0)
    assert alice.names() == ["Established", "DescriptionReceived"]
    ours.answer(net.now, OTHER)
    net.run(0.0)
    assert bob.names() == ["Established", "DescriptionReceived"]


def test_a_change_and_the_end() -> None:
    net, alice, bob = pair()
    ours, theirs = established(net, alice, bob)
    ours.offer(net.now, OTHER)
    net.run(0.0)
    theirs.answer(net.now, THIRD)
    net.run(0.0)
    theirs.hang_up(net.now)
    net.run(0.0)
    assert alice.names() == ["Changed", "Ended", "Closed"]
    assert bob.names() == ["Reoffered", "Ended", "Closed"]


def test_a_call_that_is_refused() -> None:
    net, alice, bob = pair()
    alice.call(bob)
    net.run(0.0)
    bob.offered.reject(net.now)
    net.run(0.0)
    assert alice.names() == bob.names() == ["Ended", "Closed"]
