"""The offer/answer machine: every state and event (RFC 3264 section 4, RFC 6337)."""

import pytest

from ringback.sip.offer_answer import IDLE, LOCAL, REMOTE, OfferAnswer

# (state, event) to (what it says, next state); an event out of turn changes nothing.
TABLE = {
    (IDLE, "offer"): (True, LOCAL),
    (IDLE, "offered"): (True, REMOTE),
    (IDLE, "answer"): (False, IDLE),
    (IDLE, "answered"): (False, IDLE),
    (LOCAL, "offer"): (False, LOCAL),
    (LOCAL, "offered"): (False, LOCAL),
    (LOCAL, "answer"): (False, LOCAL),
    (LOCAL, "answered"): (True, IDLE),
    (REMOTE, "offer"): (False, REMOTE),
    (REMOTE, "offered"): (False, REMOTE),
    (REMOTE, "answer"): (True, IDLE),
    (REMOTE, "answered"): (False, REMOTE),
}


def machine(state: str) -> OfferAnswer:
    found = OfferAnswer()
    if state == LOCAL:
        found.offer(b"mine")
    elif state == REMOTE:
        found.offered(b"theirs")
    return found


@pytest.mark.parametrize(("state", "event"), TABLE)
def test_every_state_and_event(state: str, event: str) -> None:
    found = machine(state)
    taken, after = TABLE[state, event]
    assert (getattr(found, event)(b"new"), found.state) == (taken, after)
    assert found.complete is (taken and after == IDLE)
    if event == "answer" and taken:
        assert (found.local, found.remote, found.pending) == (b"new", b"theirs", b"")
    elif event == "answered" and taken:
        assert (found.local, found.remote, found.pending) == (b"mine", b"new", b"")
    else:
        assert (found.local, found.remote) == (b"", b"")
        assert found.pending == {IDLE: b"", LOCAL: b"mine", REMOTE: b"theirs"}[state] if not taken else b"new"


@pytest.mark.parametrize("state", [IDLE, LOCAL, REMOTE])
def test_refused(state: str) -> None:
    found = machine(state)
    found.refused()
    assert (found.state, found.pending, found.complete) == (IDLE, b"", False)


def test_a_refused_offer_leaves_what_was_in_force() -> None:
    found = machine(LOCAL)
    found.answered(b"theirs")
    found.offer(b"other")
    found.refused()
    assert (found.local, found.remote, found.complete) == (b"mine", b"theirs", True)


def test_a_copy_goes_its_own_way() -> None:
    found = machine(LOCAL)
    other = found.copy()
    other.answered(b"theirs")
    assert (found.state, other.state, other.local, other.remote) == (LOCAL, IDLE, b"mine", b"theirs")
