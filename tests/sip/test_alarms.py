"""Timers of any duration, in steps that are powers of two."""

import pytest

from ringback.sip.alarms import GRAIN, LONGEST_STEP, Alarms
from ringback.sip.timers import T1, T2, T64, Timed, Timers

START = 1000.0


class Owner:
    """One owner's alarms, and when they went off; `fired` counts the timers that it took."""

    def __init__(self) -> None:
        self.alarms = Alarms(Timed())
        self.heard: list[tuple[float, int]] = []
        self.fired = 0

    def run(self, timers: Timers, until: float) -> None:
        while (deadline := timers.deadline()) is not None and deadline <= until:
            for timer in timers.due(deadline):
                if timer.owner is not None:
                    timer.owner = None
                    self.fired += 1
                    outcome = self.alarms.expired(timer.kind, deadline, timers)
                    if outcome:
                        self.heard.append((deadline, outcome))


@pytest.mark.parametrize(
    "delay", [0.0, 0.001, 0.01, 0.3, T1, 2.13, T2, 3.999, T64, 60.0, 185.0, 899.7, 86400.0, 200000.5]
)
def test_an_alarm_goes_off_when_it_has_to(delay: float) -> None:
    timers, owner = Timers(), Owner()
    owner.alarms.set(7, delay, START, timers)
    assert owner.alarms.runs(7)
    owner.run(timers, START + delay + 1.0)
    [(at, kind)] = owner.heard
    assert (kind, timers.count(), owner.alarms.runs(7)) == (7, 0, False)
    assert -GRAIN / 2 <= at - START - delay <= GRAIN


@pytest.mark.parametrize("delay", [GRAIN, T1, 1.0, T2, T64])
def test_the_times_of_rfc_3261_take_one_step(delay: float) -> None:
    timers, owner = Timers(), Owner()
    owner.alarms.set(1, delay, START, timers)
    owner.run(timers, START + delay)
    assert (owner.heard, owner.fired) == ([(START + delay, 1)], 1)


def test_few_durations_are_used_whatever_is_asked_for() -> None:
    timers, owner = Timers(), Owner()
    for number in range(2000):
        owner.alarms.set(number + 1, number * 1.2345, START, timers)
    owner.run(timers, START + 3000.0)
    assert len(owner.heard) == 2000
    assert owner.heard == sorted(owner.heard, key=lambda pair: pair[0])
    assert len(timers._list) <= 25
    assert LONGEST_STEP == GRAIN * 2**23


def test_setting_anew_and_clearing() -> None:
    timers, owner = Timers(), Owner()
    owner.alarms.set(1, 10.0, START, timers)
    owner.alarms.set(1, 20.0, START, timers)
    owner.alarms.set(2, 15.0, START, timers)
    owner.alarms.clear(2)
    owner.alarms.clear(3)
    assert owner.alarms.left(1, START + 5.0) == 15.0
    assert owner.alarms.left(2, START) == 0.0
    owner.run(timers, START + 30.0)
    assert owner.heard == [(START + 20.0, 1)]
    owner.alarms.set(1, 5.0, START + 30.0, timers)
    owner.alarms.set(4, 6.0, START + 30.0, timers)
    owner.alarms.stop()
    assert (timers.count(), owner.alarms.runs(1)) == (0, False)
    owner.run(timers, START + 100.0)
    assert len(owner.heard) == 1


def test_a_timer_that_was_cleared_means_nothing() -> None:
    timers, owner = Timers(), Owner()
    assert owner.alarms.expired(9, START, timers) == 0
