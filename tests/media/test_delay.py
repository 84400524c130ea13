"""The playout delay: what it is for known transits, how fast it rises and falls, and where it ends."""

import random

import pytest

from ringback.media.delay import WINDOW, DelayEstimate


def estimate(minimum: float = 0.04, maximum: float = 0.5) -> DelayEstimate:
    return DelayEstimate(minimum, maximum, 0.02)


def test_a_perfect_network_has_the_minimum() -> None:
    found = estimate()
    for number in range(1000):
        found.add(-7.25, number * 0.02)
    assert (found.base, found.level) == (-7.25, -7.21)
    assert found.delay == pytest.approx(0.04)
    assert len(found) == WINDOW


def test_the_percentile_and_the_margin() -> None:
    found = estimate()
    chance = random.Random(1)
    transits = [number / 1000 for number in range(100)]
    chance.shuffle(transits)
    for number, transit in enumerate(transits):
        found.add(transit, number * 1e-9)
    # The 98th of a hundred values from 0 to 99 ms, and one frame.
    assert found.delay == pytest.approx(0.098 + 0.02, abs=0.0015)


def test_of_the_first_packets_none_is_left_out() -> None:
    found = estimate()
    found.add(1.0, 0.0)
    found.add(1.2, 0.02)
    assert found.delay == pytest.approx(0.22)


def test_few_outliers_of_many_do_not_count_and_more_do() -> None:
    found = estimate()
    for number in range(300):
        found.add(0.0, number * 0.02)
    for number in range(5):
        found.add(0.3, 6 + number * 0.02)
    assert found.delay == pytest.approx(0.04)
    found.add(0.3, 6.1)
    assert found.delay == pytest.approx(0.32)


def test_it_falls_slowly() -> None:
    found = estimate()
    for number in range(300):
        found.add(0.2 * (number % 2), number * 0.02)
    assert found.delay == pytest.approx(0.22)
    for number in range(300, 300 + WINDOW):
        found.add(0.0, number * 0.02)
    # As long as the window remembers, nothing changes.
    assert found.delay > 0.21
    start = found.delay
    for number in range(400):
        found.add(0.0, 20 + number * 0.02)
    # 8 s: a third of the way is left, and the goal is the minimum.
    assert found.delay == pytest.approx(0.02 + (start - 0.02) * 0.367, abs=0.005)
    for number in range(4000):
        found.add(0.0, 30 + number * 0.02)
    assert found.delay == pytest.approx(0.04)


def test_a_silence_does_not_make_it_fall() -> None:
    found = estimate()
    found.add(0.0, 0.0)
    found.add(0.3, 0.02)
    found.add(0.0, 60.0)
    assert found.delay == pytest.approx(0.32)


def test_the_maximum() -> None:
    found = estimate(maximum=0.2)
    for number in range(100):
        found.add(float(number % 2), number * 0.02)
    assert found.delay == pytest.approx(0.2)


def test_a_network_that_becomes_slower_shifts_the_base_and_not_the_level() -> None:
    found = estimate()
    for number in range(WINDOW):
        found.add(0.0, number * 0.02)
    for number in range(WINDOW, 2 * WINDOW):
        found.add(0.1, number * 0.02)
    assert (found.base, found.level) == (0.1, pytest.approx(0.14, abs=0.001))


def test_a_new_timeline_keeps_the_delay() -> None:
    found = estimate()
    for number in range(100):
        found.add(0.1 * (number % 2), number * 0.02)
    found.restart()
    assert len(found) == 0
    found.add(-500.0, 2.0)
    assert found.base == -500.0
    assert found.delay == pytest.approx(0.12, abs=0.001)


def test_it_is_the_same_as_sorting_the_window() -> None:
    found = estimate(minimum=0.0, maximum=10)
    chance = random.Random(3)
    seen: list[float] = []
    for number in range(2000):
        # A fall that takes no time, so that the level is what is measured.
        seen.append(chance.expovariate(30))
        found.add(seen[-1], number * 1e9)
        window = sorted(seen[-WINDOW:])
        assert found.base == window[0]
        assert found.level >= window[-(-(len(window) - 1) * 98 // 100)]
