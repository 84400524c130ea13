"""The beat: phases, keeping to the clock, catching up, and what fails within it."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from ringback.media.io.ticker import BEAT, MOST_AT_ONCE, Ticker


class Handle:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at, self.call, self.cancelled = at, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """As much of a loop as the ticker uses, on a clock that the test turns."""

    def __init__(self) -> None:
        self.now = 100.0
        self.handles: list[Handle] = []
        self.errors: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> Handle:
        self.handles.append(Handle(at, call))
        return self.handles[-1]

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def wake(self, at: float) -> None:
        """Run what is due at `at`."""
        self.now = at
        due, self.handles = self.handles, []
        for handle in due:
            if not handle.cancelled:
                assert handle.at <= at + 1e-9
                handle.call()


class Member:
    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log
        self.times: list[float] = []

    def receive(self, now: float) -> None:
        self.log.append(f"{self.name} receives")
        self.times.append(round(now - 100, 6))

    def send(self, now: float) -> None:
        self.log.append(f"{self.name} sends")


def make() -> tuple[Ticker, Loop]:
    loop = Loop()
    return Ticker(loop), loop  # type: ignore[arg-type]


def test_all_receive_before_anything_is_mixed_and_all_of_that_before_anybody_sends() -> None:
    ticker, loop = make()
    log: list[str] = []
    ticker.join(Member("a", log))
    ticker.join(Member("b", log))
    end = ticker.between(lambda now: log.append("mix"))
    loop.wake(100 + BEAT)
    assert log == ["a receives", "b receives", "mix", "a sends", "b sends"]
    end()
    log.clear()
    loop.wake(100 + 2 * BEAT)
    assert log == ["a receives", "b receives", "a sends", "b sends"]


def test_the_beat_keeps_to_the_clock_when_the_loop_is_late() -> None:
    ticker, loop = make()
    member = Member("a", [])
    ticker.join(member)
    loop.wake(100.025)
    loop.wake(100.041)
    assert member.times == [0.02, 0.04]
    assert [round(late, 6) for late in ticker.lateness] == [0.005, 0.001]
    assert round(loop.handles[0].at - 100, 6) == 0.06


def test_missed_beats_are_made_up_for() -> None:
    ticker, loop = make()
    member = Member("a", [])
    ticker.join(member)
    loop.wake(100.065)
    assert member.times == [0.02, 0.04, 0.06]
    assert ticker.skipped == 0


def test_more_than_a_few_missed_beats_are_skipped_and_counted() -> None:
    ticker, loop = make()
    member = Member("a", [])
    ticker.join(member)
    loop.wake(101.025)
    assert len(member.times) == MOST_AT_ONCE
    assert member.times[-1] == 1.02
    assert ticker.skipped == 51 - MOST_AT_ONCE
    assert round(loop.handles[0].at - 100, 6) == 1.04


def test_it_stands_still_when_nobody_takes_part_and_starts_again() -> None:
    ticker, loop = make()
    member = Member("a", [])
    ticker.join(member)
    ticker.leave(member)
    ticker.leave(member)
    loop.wake(100 + BEAT)
    assert member.times == [] and loop.handles == [] and len(ticker) == 0
    loop.now = 200.0
    ticker.join(member)
    assert round(loop.handles[0].at, 6) == 200.02


def test_who_leaves_within_a_beat_is_not_asked_to_send_and_the_beat_ends_with_the_last() -> None:
    ticker, loop = make()
    log: list[str] = []
    stays, leaves = Member("stays", log), Member("leaves", log)
    ticker.join(stays)
    ticker.join(leaves)
    end = ticker.between(lambda now: ticker.leave(leaves))
    loop.wake(100 + BEAT)
    assert log == ["stays receives", "leaves receives", "stays sends"]
    end()
    ticker.between(lambda now: ticker.leave(stays))
    loop.wake(100 + 2 * BEAT)
    assert loop.handles == []


def test_what_fails_is_reported_and_stops_nobody() -> None:
    ticker, loop = make()
    log: list[str] = []

    class Failing(Member):
        def receive(self, now: float) -> None:
            raise ValueError("broken")

    ticker.join(Failing("bad", log))
    ticker.join(Member("good", log))
    loop.wake(100 + BEAT)
    assert log == ["good receives", "bad sends", "good sends"]
    assert [str(error["exception"]) for error in loop.errors] == ["broken"]
    loop.wake(100 + 2 * BEAT)
    assert log.count("good sends") == 2


async def test_on_a_real_loop() -> None:
    ticker = Ticker()
    beats: list[float] = []
    three = asyncio.Event()

    class Real(Member):
        def send(self, now: float) -> None:
            beats.append(now)
            if len(beats) == 3:
                three.set()

    member = Real("a", [])
    ticker.join(member)
    await three.wait()
    ticker.leave(member)
    assert [round(later - earlier, 6) for earlier, later in itertools.pairwise(beats)] == [BEAT, BEAT]
