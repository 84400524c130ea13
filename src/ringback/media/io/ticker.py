"""The beat of media: every 20 ms all calls of a process take and give one frame.

One timer serves all calls, so that a beat's packets leave together and the loop wakes up 50 times a second, not 50
times a call. A beat has three phases, for calls that hear each other: all receive, then what mixes does so, then all
send.

The beat keeps to the clock: its time is counted from the first one, not from when the last one was done. When the loop
was held up, missed beats are made up for at once, up to a bound; beyond that they are skipped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["BEAT", "MOST_AT_ONCE", "Beating", "Ticker"]

#: Seconds.
BEAT: Final = 0.02
#: Missed beats that are made up for at once; the far end's jitter buffer would discard more.
MOST_AT_ONCE: Final = 5
#: Latenesses that are kept for `lateness`.
KEPT: Final = 3000


class Beating(Protocol):
    """What takes part in the beat. Whatever it raises is reported, and ends nothing."""

    def receive(self, now: float) -> None:
        """Take one frame of what has come."""
        ...

    def send(self, now: float) -> None:
        """Give one frame of what is to be said."""
        ...


class Ticker:
    """The beat of one loop; it stands still while nobody takes part.

    skipped    beats left out because the loop was held up for too long
    lateness   how many seconds after its time each of the last beats began
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._members: dict[Beating, None] = {}
        self._between: dict[Callable[[float], None], None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.skipped = 0
        self.lateness: deque[float] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._members)

    def join(self, member: Beating) -> None:
        """Take part from the next beat on."""
        self._members[member] = None
        if self._timer is None:
            loop = self._loop = self._loop or asyncio.get_running_loop()
            self._due = loop.time() + BEAT
            self._timer = loop.call_at(self._due, self._beat)

    def leave(self, member: Beating) -> None:
        """Take no part any more; nothing happens when it did not."""
        self._members.pop(member, None)
        if not self._members and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def between(self, mix: Callable[[float], None]) -> Callable[[], None]:
        """Call `mix(now)` in every beat after all have received and before all send; the result ends that."""
        self._between[mix] = None

        def end() -> None:
            self._between.pop(mix, None)

        return end

    def _beat(self) -> None:
        loop = self._loop
        assert loop is not None
        started = loop.time()
        self.lateness.append(max(0.0, started - self._due))
        missed = int((started - self._due) / BEAT)
        if missed >= MOST_AT_ONCE:
            self.skipped += missed - MOST_AT_ONCE + 1
            self._due += (missed - MOST_AT_ONCE + 1) * BEAT
            missed = MOST_AT_ONCE - 1
        for _ in range(missed + 1):
            self._once(self._due)
            self._due += BEAT
        if self._timer is not None:
            self._timer = loop.call_at(self._due, self._beat)

    def _once(self, now: float) -> None:
        for member in list(self._members):
            self._guarded(member.receive, now)
        for mix in list(self._between):
            self._guarded(mix, now)
        for member in list(self._members):
            if member in self._members:
                self._guarded(member.send, now)

    def _guarded(self, call: Callable[[float], None], now: float) -> None:
        try:
            call(now)
        except Exception as error:
            assert self._loop is not None
            self._loop.call_exception_handler({"message": "a beat of media failed", "exception": error})
