"""Deadlines under a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from ringback.net.deadlines import Deadlines
from tests.net.stream_kit import HandClock


def build(*durations: float) -> tuple[HandClock, Deadlines[str], list[tuple[float, int, str]]]:
    clock = HandClock()
    expired: list[tuple[float, int, str]] = []
    deadlines: Deadlines[str] = Deadlines(
        durations, lambda queue, item: expired.append((clock.now - 1000, queue, item)), clock.time, clock.call_later
    )
    return clock, deadlines, expired


def test_each_expires_after_the_duration_of_its_queue() -> None:
    clock, deadlines, expired = build(10, 3)
    deadlines.start(0, "a")
    clock.advance(1)
    deadlines.start(1, "a")
    deadlines.start(0, "b")
    clock.advance(20)
    assert expired == [(4, 1, "a"), (10, 0, "a"), (11, 0, "b")]


def test_starting_again_waits_the_whole_duration_again() -> None:
    clock, deadlines, expired = build(10)
    deadlines.start(0, "a")
    deadlines.start(0, "b")
    clock.advance(9)
    deadlines.start(0, "a")
    assert deadlines.oldest(0) == "b"
    clock.advance(9)
    assert expired == [(10, 0, "b")]
    clock.advance(1)
    assert expired == [(10, 0, "b"), (19, 0, "a")]


def test_what_is_stopped_or_dropped_does_not_expire() -> None:
    clock, deadlines, expired = build(10, 5)
    for item in ("a", "b", "c"):
        deadlines.start(0, item)
        deadlines.start(1, item)
    deadlines.stop(0, "a")
    deadlines.stop(0, "a")
    deadlines.drop("b")
    assert not deadlines.waits(0, "a")
    assert deadlines.waits(1, "a")
    clock.advance(100)
    assert expired == [(5, 1, "a"), (5, 1, "c"), (10, 0, "c")]


def test_a_duration_of_zero_is_off() -> None:
    clock, deadlines, expired = build(0, -1)
    deadlines.start(0, "a")
    deadlines.start(1, "a")
    clock.advance(1e9)
    assert expired == []
    assert clock.made == 0


def test_one_timer_however_many_wait() -> None:
    clock, deadlines, expired = build(10, 900)
    for number in range(1000):
        deadlines.start(1, str(number))
        deadlines.start(0, str(number))
    assert len(clock.pending()) == 1
    # One for the first deadline and one for the earlier that came after it.
    assert clock.made == 2
    clock.advance(10)
    assert len(expired) == 1000
    assert len(clock.pending()) == 1


def test_expired_may_start_and_stop_deadlines() -> None:
    clock = HandClock()
    seen: list[tuple[float, str]] = []

    def expired(queue: int, item: str) -> None:
        seen.append((clock.now - 1000, item))
        if item == "a":
            deadlines.start(0, "a")
            deadlines.stop(1, "b")

    deadlines: Deadlines[str] = Deadlines((2, 2, 3), expired, clock.time, clock.call_later)
    deadlines.start(0, "a")
    deadlines.start(1, "b")
    deadlines.start(2, "c")
    clock.advance(4)
    assert seen == [(2, "a"), (3, "c"), (4, "a")]


def test_close_leaves_no_timer() -> None:
    clock, deadlines, expired = build(10)
    deadlines.start(0, "a")
    deadlines.close()
    assert clock.pending() == []
    clock.advance(100)
    assert expired == []


def test_a_failing_callback_does_not_stop_the_clock() -> None:
    clock = HandClock()
    seen: list[str] = []

    def expired(queue: int, item: str) -> None:
        seen.append(item)
        if item == "a":
            raise ValueError(item)

    deadlines: Deadlines[str] = Deadlines((1,), expired, clock.time, clock.call_later)
    deadlines.start(0, "a")
    deadlines.start(0, "b")
    try:
        clock.advance(1)
    except ValueError:
        clock.advance(0)
    assert seen == ["a", "b"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.booleans(), st.integers(0, 4)), max_size=40))
def test_against_a_plain_list(steps: list[tuple[int, int, bool, int]]) -> None:
    durations = (3.0, 5.0, 11.0)
    clock, deadlines, expired = build(*durations)
    model: dict[tuple[int, str], float] = {}
    due: list[tuple[float, int, str]] = []
    for queue, number, starts, pause in steps:
        item = str(number)
        if starts:
            deadlines.start(queue, item)
            model[queue, item] = clock.now - 1000 + durations[queue]
        else:
            deadlines.stop(queue, item)
            model.pop((queue, item), None)
        clock.advance(pause)
        for (kind, name), when in list(model.items()):
            if when <= clock.now - 1000:
                del model[kind, name]
                due.append((when, kind, name))
    assert sorted(expired) == sorted(due)
