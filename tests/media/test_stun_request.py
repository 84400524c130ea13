"""When requests are sent again, and when they have failed."""

from ringback.media.stun import BINDING, REQUEST, encode_stun
from ringback.media.stun_request import StunRequest

DATA = encode_stun(BINDING, REQUEST, b"transaction!")


def times(request: StunRequest) -> tuple[list[float], float]:
    """When it was sent, and when it failed, asked every 10 ms."""
    sent = []
    for tick in range(10_000):
        now = tick / 100
        if request.due(now):
            sent.append(now)
        if request.failed:
            return sent, now
    raise AssertionError("it never fails")


def test_it_is_sent_at_growing_intervals_and_fails_in_the_end() -> None:
    request = StunRequest(DATA, 0)
    assert request.transaction == b"transaction!"
    assert times(request) == ([0, 0.5, 1.5, 3.5, 7.5, 15.5], 19.5)
    assert not request.due(100)


def test_other_intervals() -> None:
    assert times(StunRequest(DATA, 0, rto=2, attempts=2)) == ([0, 2], 18)
    assert times(StunRequest(DATA, 0, attempts=1)) == ([0], 4)


def test_it_begins_when_it_is_to_begin() -> None:
    request = StunRequest(DATA, 5)
    assert not request.due(4.99)
    assert request.due(5)
    assert request.next == 5.5


def test_one_that_is_stopped_is_not_sent_again_and_its_answer_is_awaited() -> None:
    request = StunRequest(DATA, 0)
    assert request.due(0)
    request.stop()
    assert not request.due(0.4)
    assert not request.failed
    assert not request.due(0.5)
    assert request.failed
