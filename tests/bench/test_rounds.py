"""Rounds of two systems in turn: their order, what they cost, and what becomes of void ones."""

from __future__ import annotations

import pytest

from bench.figures import Figure
from bench.process import BenchError
from bench.rounds import Rounds, fill, interleave
from bench.sipp import Load


class Costly:
    """Uses so much CPU a round."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name = name
        self.seconds = seconds
        self.used = 100.0

    def cpu(self) -> float:
        return self.used


def ignore(text: str) -> None:
    """A log that nobody reads."""


def test_they_take_turns_and_the_warm_up_does_not_count() -> None:
    order: list[tuple[str, int]] = []

    def measure(system: Costly, index: int) -> tuple[Load, int]:
        order.append((system.name, index))
        system.used += 50.0 if index < 0 else system.seconds
        return Load(10, 0, 0, 1.0), 10

    found = interleave([Costly("a", 1.0), Costly("b", 2.0)], measure, 3, ignore)
    assert order == [("a", -1), ("b", -1), ("a", 0), ("b", 0), ("b", 1), ("a", 1), ("a", 2), ("b", 2)]
    assert found["a"].microseconds == pytest.approx([1e5] * 3)
    assert found["b"].microseconds == pytest.approx([2e5] * 3)
    assert (found["a"].operations, found["a"].void) == (30, [])


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (Load(9, 1, 0, 1.0), "1 failed calls"),
        (Load(10, 0, 2, 1.0), "2 retransmissions"),
        (Load(10, 0, 0, 1.0, "3.0% loss"), "3.0% loss"),
    ],
)
def test_a_void_round_is_run_again_and_told(load: Load, why: str) -> None:
    rounds = iter([Load(10, 0, 0, 1.0), load, Load(10, 0, 0, 1.0)])
    system = Costly("Ringback", 1.0)

    def measure(system: Costly, index: int) -> tuple[Load, int]:
        system.used += system.seconds
        return next(rounds), 10

    found = interleave([system], measure, 1, ignore)
    assert found["Ringback"].void == [why]
    assert found["Ringback"].microseconds == pytest.approx([1e5])


def test_too_many_void_rounds_are_no_measurement() -> None:
    def measure(system: Costly, index: int) -> tuple[Load, int]:
        return Load(10, 0, 0 if index < 0 else 1, 1.0), 10

    with pytest.raises(BenchError, match="too many void rounds, the last with 1 retransmissions"):
        interleave([Costly("a", 1.0)], measure, 2, ignore)


def test_a_figure_gets_both_sides() -> None:
    figure = Figure(13, "work", "µs CPU", "sipp")
    fill(figure, {"sipp": Rounds([3.0], 10), "Ringback": Rounds([6.0, 6.0], 20, ["1 failed calls"])})
    assert (figure.peer_samples, figure.our_samples, figure.ratio()) == ([3.0], [6.0, 6.0], 0.5)
    assert figure.notes == ["Ringback: 1 void rounds run again (1 failed calls)"]
