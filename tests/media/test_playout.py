"""The playout queue: order, marks, flushes, sources, and its bound."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media.playout import LONGEST, Playout
from ringback.media.samples import Samples, from_bytes, silence, to_bytes


def ramp(first: int, count: int) -> Samples:
    return np.arange(first, first + count, dtype=np.int16)


class Counting:
    """A source of `total` samples that count from 1, and notes what it was asked for."""

    def __init__(self, total: int) -> None:
        self.left = total
        self.given = 0
        self.asked: list[tuple[int, int]] = []

    def read(self, count: int, rate: int) -> Samples:
        self.asked.append((count, rate))
        count = min(count, self.left)
        piece = ramp(self.given + 1, count)
        self.given += count
        self.left -= count
        return piece


def test_samples_come_in_order_and_the_last_frame_is_filled_up() -> None:
    playout = Playout(8000)
    playout.put(ramp(1, 5))
    playout.put(ramp(6, 5))
    first, second, third = playout.pull(8), playout.pull(8), playout.pull(8)
    assert first is not None and first.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert second is not None and second.tolist() == [9, 10, 0, 0, 0, 0, 0, 0]
    assert third is None
    assert (playout.played, len(playout), playout.idle) == (10, 0, True)


def test_a_mark_is_told_with_the_frame_that_ends_what_came_before_it() -> None:
    playout, told = Playout(8000), []
    playout.put(ramp(1, 8))
    playout.mark(lambda reached: told.append(("first", reached)))
    playout.put(ramp(9, 8))
    playout.mark(lambda reached: told.append(("second", reached)))
    playout.pull(4)
    assert told == []
    playout.pull(4)
    assert told == [("first", True)]
    playout.pull(16)
    assert told == [("first", True), ("second", True)]


def test_a_mark_on_an_empty_queue_is_told_at_once() -> None:
    told: list[bool] = []
    Playout(8000).mark(told.append)
    assert told == [True]


def test_a_flush_forgets_everything_and_says_so_to_the_marks() -> None:
    playout, told = Playout(8000), []
    playout.put(ramp(1, 8))
    playout.mark(told.append)
    playout.play(Counting(100))
    playout.mark(told.append)
    playout.pull(4)
    assert playout.flush() == 4
    assert told == [False, False]
    assert playout.pull(4) is None and playout.idle and playout.room() == 8000 * 60


def test_what_a_mark_puts_goes_into_the_same_frame() -> None:
    """A sentence that follows on the heels of another leaves no gap."""
    playout = Playout(8000)
    playout.put(ramp(1, 4))
    playout.mark(lambda reached: playout.put(ramp(5, 4)))
    frame = playout.pull(8)
    assert frame is not None and frame.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_source_is_read_when_its_turn_comes_and_left_at_its_end() -> None:
    playout, source, told = Playout(16000), Counting(6), []
    playout.put(ramp(101, 2))
    playout.play(source)
    playout.mark(told.append)
    playout.put(ramp(201, 2))
    first = playout.pull(4)
    assert first is not None and first.tolist() == [101, 102, 1, 2]
    assert source.asked == [(2, 16000)] and told == []
    second = playout.pull(8)
    assert second is not None and second.tolist() == [3, 4, 5, 6, 201, 202, 0, 0]
    assert told == [True] and playout.idle


def test_a_source_that_flushes_while_it_is_read_ends_nothing() -> None:
    playout = Playout(8000)

    class Flushing:
        def read(self, count: int, rate: int) -> Samples:
            playout.flush()
            return silence(0)

    playout.play(Flushing())
    playout.put(ramp(1, 4))
    assert playout.pull(4) is None and playout.idle


def test_no_more_waits_than_the_bound_allows() -> None:
    playout = Playout(8000)
    playout.put(silence(int(LONGEST) * 8000 - 1))
    assert playout.room() == 1
    with pytest.raises(LocalError, match="60 seconds"):
        playout.put(silence(2))
    playout.put(silence(1))
    assert playout.room() == 0
    playout.pull(160)
    assert playout.room() == 160


def test_another_rate_converts_what_waits_and_asks_sources_for_it() -> None:
    playout, source = Playout(8000), Counting(100)
    playout.put(ramp(1, 4))
    playout.play(source)
    playout.change_rate(16000, lambda samples: np.repeat(samples, 2))
    frame = playout.pull(12)
    assert frame is not None and frame.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 1, 2, 3, 4]
    assert source.asked == [(4, 16000)] and len(playout) == 0


def test_samples_and_octets() -> None:
    assert from_bytes(b"\x01\x00\xff\xff\x00\x80\x07").tolist() == [1, -1, -32768]
    assert to_bytes(from_bytes(b"\x01\x00\xff\xff")) == b"\x01\x00\xff\xff"
