"""What was measured: samples of both sides, their medians and the ratio."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Figure:
    """One comparison: the same quantity of the peer and of ours, less is better."""

    row: int
    """Row of the table in the design's method: 1 calls, 3 REGISTER, 4 memory, 5 parsing, 13 to 15 user agents."""
    work: str
    unit: str
    peer: str
    """Its name; "" where ours is compared with nothing but `limit`."""
    peer_samples: list[float] = field(default_factory=list)
    our_samples: list[float] = field(default_factory=list)
    goal: float | None = None
    """The ratio to reach, or None where the goal is not a ratio."""
    limit: float | None = None
    """The value that ours must not exceed, in `unit`, or None."""
    notes: list[str] = field(default_factory=list)

    def ratio(self) -> float | None:
        """Median of the peer divided by the median of ours: more than 1 means that ours costs less."""
        if not self.peer_samples or not self.our_samples:
            return None
        ours = statistics.median(self.our_samples)
        return statistics.median(self.peer_samples) / ours if ours > 0 else None

    def reached(self) -> bool | None:
        """Whether the goal is reached; None when there is none or something was not measured."""
        if self.limit is not None and self.our_samples:
            return statistics.median(self.our_samples) <= self.limit
        ratio = self.ratio()
        return None if self.goal is None or ratio is None else ratio >= self.goal

    def as_json(self) -> dict[str, object]:
        """The figure with all its samples, for the JSON report."""
        return {
            "row": self.row,
            "work": self.work,
            "unit": self.unit,
            "peer": self.peer,
            "peer_samples": self.peer_samples,
            "our_samples": self.our_samples,
            "peer_summary": summary(self.peer_samples),
            "our_summary": summary(self.our_samples),
            "ratio_of_medians": self.ratio(),
            "goal_ratio": self.goal,
            "limit": self.limit,
            "reached": self.reached(),
            "notes": self.notes,
        }


def summary(samples: Sequence[float]) -> dict[str, float] | None:
    """Minimum, median and maximum, or None without samples."""
    if not samples:
        return None
    return {"min": min(samples), "median": statistics.median(samples), "max": max(samples)}


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie: the nearest rank, so always one that was measured."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
