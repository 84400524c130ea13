"""The limits of stream connections, and the counters."""

import pytest

from ringback.net.limits import (
    CONNECT,
    FIRST_MESSAGE,
    HALF_SENT,
    HANDSHAKE,
    IDLE,
    LINGER,
    PING,
    PONG,
    StreamCounters,
    StreamLimits,
)


@pytest.mark.parametrize(
    ("queue", "name"),
    [
        (CONNECT, "connect_seconds"),
        (HANDSHAKE, "handshake_seconds"),
        (FIRST_MESSAGE, "first_message_seconds"),
        (HALF_SENT, "half_sent_seconds"),
        (IDLE, "idle_seconds"),
        (PING, "ping_seconds"),
        (PONG, "pong_seconds"),
        (LINGER, "linger_seconds"),
    ],
)
def test_each_queue_of_deadlines_has_its_own_duration(queue: int, name: str) -> None:
    limits = StreamLimits(**{name: 123.5})
    assert limits.durations()[queue] == 123.5
    assert limits.durations().count(123.5) == 1
    assert len(limits.durations()) == 8


def test_what_rfc_5626_asks_for() -> None:
    """4.4.1: clients may be silent for 840 seconds (95% to 120% of which are drawn below it), and a pong takes 10."""
    limits = StreamLimits()
    assert limits.idle_seconds > 840
    assert limits.pong_seconds == 10


def test_limits_do_not_change_under_those_who_use_them() -> None:
    limits = StreamLimits()
    with pytest.raises(AttributeError):
        limits.connections = 1  # type: ignore[misc]


def test_a_snapshot_names_every_counter_and_stays_as_it_is() -> None:
    counters = StreamCounters()
    counters.accepted = 3
    counters.closed_buffers += 1
    before = counters.snapshot()
    counters.accepted += 1
    assert {name: count for name, count in before.items() if count} == {"accepted": 3, "closed_buffers": 1}
    assert list(before) == list(StreamCounters.__slots__)
