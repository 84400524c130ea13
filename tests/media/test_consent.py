"""Consent: asked every few seconds, lost after thirty without an answer, and for good."""

import pytest

from ringback.media.consent import EXPIRY, Consent


def consent(chance: float = 0.5, now: float = 100.0) -> Consent:
    return Consent(("10.0.0.1", 1), ("10.0.0.2", 2), "a:b", b"key", now, lambda: chance)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 4.0), (0.5, 5.0), (1.0, 6.0)])
def test_the_time_between_requests_is_random(chance: float, seconds: float) -> None:
    asked = consent(chance)
    assert not asked.due(100 + seconds - 0.01)
    assert asked.due(100 + seconds)
    assert not asked.due(100 + seconds)
    assert asked.next == 100 + 2 * seconds
    assert asked.deadline == asked.next


def test_answers_renew_it() -> None:
    asked = consent()
    for number in range(1, 40):
        now = 100 + 5 * number
        assert asked.due(now)
        transaction = number.to_bytes(12, "big")
        asked.asked(transaction)
        if number % 5 == 0:
            assert asked.awaits(transaction)
            assert asked.answered(transaction, now + 0.1)
            assert not asked.awaits(transaction)
            assert not asked.answered(transaction, now + 0.1)
    assert not asked.lost


def test_an_answer_to_an_earlier_request_counts() -> None:
    asked = consent()
    for number in range(1, 4):
        asked.asked(bytes([number]) * 12)
    assert asked.answered(bytes([1]) * 12, 120)
    assert not asked.due(120 + EXPIRY - 0.01) or not asked.lost
    asked.due(120 + EXPIRY)
    assert asked.lost


def test_it_expires_and_stays_expired() -> None:
    asked = consent()
    asked.asked(b"transaction!")
    assert asked.due(100 + EXPIRY - 0.01)
    assert asked.deadline == 100 + EXPIRY
    assert not asked.due(100 + EXPIRY)
    assert asked.lost
    assert not asked.answered(b"transaction!", 100 + EXPIRY)
    assert not asked.due(200)


def test_answers_to_nothing_do_not_count() -> None:
    asked = consent()
    assert not asked.answered(b"transaction!", 105)
    assert not asked.due(100 + EXPIRY)
    assert asked.lost


def test_what_is_outstanding_is_bounded() -> None:
    asked = consent()
    for number in range(100):
        asked.asked(bytes([number]) * 12)
    assert not asked.awaits(bytes([0]) * 12)
    assert asked.awaits(bytes([99]) * 12)


def test_it_can_be_revoked() -> None:
    asked = consent()
    asked.revoke()
    assert asked.lost
    assert not asked.due(105)
