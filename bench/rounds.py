"""Rounds of two systems, interleaved A B B A, with void rounds run again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from bench.figures import Figure
from bench.process import BenchError
from bench.sipp import Load


@dataclass
class Rounds:
    """What the rounds of one system gave."""

    microseconds: list[float] = field(default_factory=list)
    """CPU per operation, one value a round that counts."""
    operations: int = 0
    void: list[str] = field(default_factory=list)
    """Why rounds did not count."""


class Measured(Protocol):
    """What is compared: a system, or a part of what it does."""

    name: str

    def cpu(self) -> float:
        """CPU seconds used so far."""
        ...


M = TypeVar("M", bound=Measured)
Measure = Callable[[M, int], tuple[Load, int]]
"""Does the work of one round on a system; gives what sipp counted and how many operations that was."""


def interleave(systems: Sequence[M], measure: Measure[M], rounds: int, log: Callable[[str], None]) -> dict[str, Rounds]:
    """Warm up each system once, then measure each `rounds` times in the order A B B A A B B A …

    A void round (failed calls or retransmissions) is run again at once, at most twice `rounds` times in all a system;
    after that BenchError says so. Returns the rounds by the name of the system.
    """
    found = {system.name: Rounds() for system in systems}
    for system in systems:
        measure(system, -1)
        log(f"    warm-up {system.name} done")
    for index in range(rounds):
        for system in systems if index % 2 == 0 else reversed(systems):
            _one_round(system, index, measure, found[system.name], 2 * rounds, log)
    return found


def fill(figure: Figure, found: Mapping[str, Rounds]) -> None:
    """Put the rounds of both sides into a figure, with a note about void ones."""
    for name, rounds in found.items():
        samples = figure.our_samples if name == "Ringback" else figure.peer_samples
        samples += rounds.microseconds
        if rounds.void:
            figure.notes.append(f"{name}: {len(rounds.void)} void rounds run again ({rounds.void[0]})")


def _one_round(
    system: M, index: int, measure: Measure[M], found: Rounds, most_void: int, log: Callable[[str], None]
) -> None:
    while True:
        before = system.cpu()
        load, operations = measure(system, index)
        used = system.cpu() - before
        void = load.void()
        if not void:
            break
        found.void.append(void)
        log(f"    round {index + 1} {system.name}: void, {void}")
        if len(found.void) > most_void:
            raise BenchError(f"{system.name}: too many void rounds, the last with {void}: lower the rate")
    found.microseconds.append(used / operations * 1e6)
    found.operations += operations
    log(f"    round {index + 1} {system.name}: {used / operations * 1e6:.1f} µs CPU, {operations / load.seconds:.0f}/s")
