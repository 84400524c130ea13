"""Timers of any duration for one owner, on top of `timers`, which wants few durations.

`Timers` keeps a queue for each duration, which suits the dozen durations of transactions. A session has others: session
intervals, expiry times, random waits. An alarm goes there in steps that are powers of two, so that all alarms together
need two dozen queues, and one of half an hour fires about ten times. An alarm is late by at most `GRAIN`, never early.
"""

from __future__ import annotations

from typing import Final

from ringback.sip.timers import Timed, Timer, Timers

#: Seconds of the shortest step. T1, T2, T4 and 64*T1 of RFC 3261 are reached without rounding.
GRAIN: Final = 1 / 128
#: Seconds of the longest step.
LONGEST_STEP: Final = 65536.0


class Alarms:
    """The alarms of one owner, each known by its kind. Setting one that runs sets it anew."""

    __slots__ = ("_ends", "_owner", "_running")

    def __init__(self, owner: Timed) -> None:
        self._owner: Timed = owner
        self._ends: dict[int, float] = {}
        self._running: dict[int, Timer] = {}

    def set(self, kind: int, delay: float, now: float, timers: Timers) -> None:
        """Have `kind` go off `delay` seconds after `now`."""
        self.clear(kind)
        self._ends[kind] = now + max(delay, 0.0)
        self._step(kind, now, timers)

    def clear(self, kind: int) -> None:
        """Stop an alarm; nothing when it does not run."""
        timer = self._running.pop(kind, None)
        if timer is not None:
            timer.cancel()
            del self._ends[kind]

    def stop(self) -> None:
        """Stop all."""
        for timer in self._running.values():
            timer.cancel()
        self._running.clear()
        self._ends.clear()

    def runs(self, kind: int) -> bool:
        """Whether an alarm of this kind is set."""
        return kind in self._ends

    def left(self, kind: int, now: float) -> float:
        """Seconds until an alarm goes off, 0 when it does not run."""
        end = self._ends.get(kind)
        return 0.0 if end is None else max(0.0, end - now)

    def expired(self, kind: int, now: float, timers: Timers) -> int:
        """What the owner's `expired` returns: `kind` when that alarm goes off, 0 while it has steps left."""
        end = self._ends.get(kind)
        if end is None:
            return 0
        if end - now >= GRAIN / 2:
            self._step(kind, now, timers)
            return 0
        del self._ends[kind]
        del self._running[kind]
        return kind

    def _step(self, kind: int, now: float, timers: Timers) -> None:
        left = self._ends[kind] - now
        step = GRAIN
        while step * 2.0 <= left and step < LONGEST_STEP:
            step *= 2.0
        self._running[kind] = timers.start(now, step, self._owner, kind)
