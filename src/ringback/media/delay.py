"""How long packets have to wait until they are played: a high percentile of what they took, over the last ones.

The transit of a packet is its arrival less its timestamp, both in seconds. Its absolute value means nothing; what is
played at `level` is played when all but the slowest of the last packets have come. The level rises at once and falls
slowly: a gap in speech is worse than some milliseconds of delay.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

__all__ = ["WINDOW", "DelayEstimate"]

#: Packets that are remembered: 5 s of 20 ms each.
WINDOW: Final = 256

# Of the last packets, so many in a hundred shall be in time.
_PERCENTILE: Final = 98
# Seconds in which the level falls to a third of the way to where it should be.
_FALL: Final = 8.0
# A pause between packets (silence) counts for the fall as no more than this.
_LONGEST_STEP: Final = 0.1


class DelayEstimate:
    """The playout delay of one timeline.

    level    the transit at which packets are played
    base     the least transit of the window: what is waited for is `level - base`
    """

    __slots__ = ("_last", "_margin", "_maximum", "_minimum", "_order", "_sorted", "base", "level")

    def __init__(self, minimum: float, maximum: float, margin: float) -> None:
        """All in seconds; `margin` is added to what is measured."""
        self._minimum = minimum
        self._maximum = maximum
        self._margin = margin
        self._order: deque[float] = deque()
        self._sorted: list[float] = []
        self._last = 0.0
        self.base = 0.0
        self.level = minimum

    def __len__(self) -> int:
        """Packets that are remembered."""
        return len(self._order)

    @property
    def delay(self) -> float:
        """Seconds that the fastest packets wait."""
        return self.level - self.base

    def add(self, transit: float, now: float) -> None:
        """A packet came: one insertion and one removal in a sorted list of a few hundred."""
        ordered = self._sorted
        order = self._order
        if not order:
            self.level = transit + self.level - self.base
            self._last = now
        elif len(order) == WINDOW:
            del ordered[bisect_left(ordered, order.popleft())]
        order.append(transit)
        insort(ordered, transit)
        base = self.base = ordered[0]
        # The nearest rank, rounded up: of the first packets, none may be left out.
        measured = ordered[-(-(len(ordered) - 1) * _PERCENTILE // 100)] + self._margin
        level = self.level
        if measured < level:
            step = now - self._last
            measured = level - (level - measured) * (step if step < _LONGEST_STEP else _LONGEST_STEP) / _FALL
        if measured < base + self._minimum:
            measured = base + self._minimum
        elif measured > base + self._maximum:
            measured = base + self._maximum
        self.level = measured
        self._last = now

    def restart(self) -> None:
        """Another timeline: nothing that was measured holds, but the network is likely to be as it was."""
        self._order.clear()
        self._sorted.clear()
