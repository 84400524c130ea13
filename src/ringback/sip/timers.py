"""Timers on a clock that is passed in (RFC 3261 section 17 and table 4).

SIP has about a dozen distinct durations. Timers of one duration expire in the order in which they were started, so each
duration has a first-in-first-out queue: starting and expiring cost the same however many timers run.

A timer belongs to a `Timed` thing and is known to it by a small number. `Timer.cancel` lets go of the owner; the empty
entry is dropped when it reaches the head of its queue.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ringback.sip.transport import Flow

#: Seconds. T1 is the estimate of the round trip, T2 the longest interval between retransmissions of a non-INVITE
#: request and of responses to INVITE, T4 the longest that a message stays in the network.
T1: Final = 0.5
T2: Final = 4.0
T4: Final = 5.0
#: 64*T1: how long a transaction tries (timers B, F, H, J, L, M).
T64: Final = 32.0
#: Timer D, "at least 32 seconds for unreliable transports".
TIMER_D: Final = 32.0
#: Timer C, "MUST be larger than 3 minutes" (16.6 step 11).
TIMER_C: Final = 185.0

#: (octets, where to, the client transaction that has to hear of a failure or "")
Send = tuple[bytes, Flow, str]


class Timed:
    """What can own timers. `Outbox` collects what it has to send when one fires."""

    __slots__ = ()

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """A timer fired. The outcome is a number that the owner's module defines."""
        return 0


class Timer:
    """One running timer: due at `at`, known to its owner as `kind`."""

    __slots__ = ("at", "kind", "owner")

    def __init__(self, at: float, owner: Timed, kind: int) -> None:
        self.at: float = at
        self.owner: Timed | None = owner
        self.kind: int = kind

    def cancel(self) -> None:
        """Stop: it will not fire."""
        self.owner = None


class Timers:
    """All running timers, a queue for each duration."""

    __slots__ = ("_list", "_queues")

    def __init__(self) -> None:
        self._queues: dict[float, deque[Timer]] = {}
        self._list: list[deque[Timer]] = []

    def start(self, now: float, delay: float, owner: Timed, kind: int) -> Timer:
        """Start a timer that fires `delay` seconds after `now`."""
        timer = Timer(now + delay, owner, kind)
        queue = self._queues.get(delay)
        if queue is None:
            queue = deque()
            self._queues[delay] = queue
            self._list.append(queue)
        queue.append(timer)
        return timer

    def deadline(self) -> float | None:
        """When the next timer fires, or None."""
        soonest = -1.0
        for queue in self._list:
            while queue:
                head = queue[0]
                if head.owner is None:
                    queue.popleft()
                    continue
                if soonest < 0.0 or head.at < soonest:
                    soonest = head.at
                break
        return None if soonest < 0.0 else soonest

    def due(self, now: float) -> list[Timer]:
        """Take all timers that are due at `now`, the earliest first.

        Firing one may cancel another (its owner is then None) or start one that is due as well: the caller fires what
        it got and asks again until nothing is due, so that a long step of the clock misses nothing.
        """
        found: list[Timer] = []
        filled = 0
        for queue in self._list:
            before = len(found)
            while queue:
                head = queue[0]
                if head.owner is not None:
                    if head.at > now:
                        break
                    found.append(head)
                queue.popleft()
            if len(found) > before:
                filled += 1
        if filled > 1:
            found.sort(key=_due_at)
        return found

    def count(self) -> int:
        """How many timers run (cancelled ones at the head of a queue are dropped first)."""
        self.deadline()
        total = 0
        for queue in self._list:
            for timer in queue:
                if timer.owner is not None:
                    total += 1
        return total


def _due_at(timer: Timer) -> float:
    return timer.at
