"""The numbers by which the parts of a session know things: two that were the same would be taken for one another."""

from ringback.sip import session_kinds
from ringback.sip.session_kinds import Step, Success
from ringback.sip.transaction import Transaction
from ringback.sip.transport import Flow


def test_alarms_and_purposes_are_all_different_and_none_is_0() -> None:
    """0 is what a timer returns that has nothing to say."""
    purposes = [value for name, value in vars(session_kinds).items() if name.startswith("P_")]
    alarms = [
        value
        for name, value in vars(session_kinds).items()
        if name.isupper() and isinstance(value, int) and not name.startswith("P_")
    ]
    states = [value for name, value in vars(session_kinds).items() if name.isupper() and isinstance(value, str)]
    for values in (purposes, alarms, states):
        assert len(values) == len(set(values)) >= 8
        assert all(values)


def test_steps_are_shown_in_short() -> None:
    assert [repr(Step(1.0, "ended", why)) for why in ("", "480 (local)")] == ["ended", "ended: 480 (local)"]


def test_a_success_begins_with_t1() -> None:
    success = Success(Transaction("k", Flow("UDP", "", "192.0.2.1", 5060), 1), b"x", 3, True)
    assert (success.interval, success.cseq, success.data, success.offers) == (0.5, 3, b"x", True)
