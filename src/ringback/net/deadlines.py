"""Many deadlines of a few durations behind one timer.

A server holds tens of thousands of connections, and each waits for something: the rest of a message, the next one, a
pong. A timer of the event loop for each would be made and cancelled with every message. But the durations are few, and
what starts later in a queue of one duration also ends later: so each duration is a queue in the order of its deadlines,
starting and stopping is O(1), and only the earliest head of all queues has a timer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, Protocol, TypeVar

__all__ = ["CallLater", "Deadlines", "Timer"]


class Timer(Protocol):
    """What `CallLater` returns; `asyncio.TimerHandle` is one."""

    def cancel(self) -> None:
        """Never call back."""


class CallLater(Protocol):
    """The signature of `asyncio.AbstractEventLoop.call_later` as far as it is used here."""

    def __call__(self, delay: float, callback: Callable[[], object], /) -> Timer:
        """Call `callback` in `delay` seconds."""


Item = TypeVar("Item", bound=Hashable)


class Deadlines(Generic[Item]):
    """One queue for each of `durations` (seconds); `expired(queue, item)` is called when an item's time is over.

    A queue whose duration is 0 or less is off: nothing ever expires in it. An item can wait in several queues, and once
    in each. `clock` gives seconds that never go back; `call_later` is the event loop's.
    """

    __slots__ = ("_call_later", "_clock", "_durations", "_expired", "_queues", "_timer", "_when")

    def __init__(
        self,
        durations: Sequence[float],
        expired: Callable[[int, Item], None],
        clock: Callable[[], float],
        call_later: CallLater,
    ) -> None:
        self._durations = tuple(durations)
        self._queues: tuple[OrderedDict[Item, float], ...] = tuple(OrderedDict() for _ in durations)
        self._expired = expired
        self._clock = clock
        self._call_later = call_later
        self._timer: Timer | None = None
        self._when = 0.0

    def start(self, queue: int, item: Item) -> None:
        """Let `item` wait in `queue` for its whole duration from now, also when it waited there already."""
        duration = self._durations[queue]
        if duration <= 0:
            return
        when = self._clock() + duration
        waiting = self._queues[queue]
        waiting[item] = when
        waiting.move_to_end(item)
        if self._timer is None or when < self._when:
            self._arm(when)

    def stop(self, queue: int, item: Item) -> None:
        """Let `item` wait in `queue` no longer, if it did."""
        # The timer stays: it finds nothing due and looks for the next deadline then.
        self._queues[queue].pop(item, None)

    def drop(self, item: Item) -> None:
        """Take `item` out of every queue."""
        for waiting in self._queues:
            waiting.pop(item, None)

    def waits(self, queue: int, item: Item) -> bool:
        """Whether `item` waits in `queue`."""
        return item in self._queues[queue]

    def oldest(self, queue: int) -> Item | None:
        """The item of `queue` whose time is over first."""
        return next(iter(self._queues[queue]), None)

    def close(self) -> None:
        """Forget all items and the timer."""
        for waiting in self._queues:
            waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        self._timer = self._call_later(max(0.0, when - self._clock()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._clock()
        try:
            for queue, waiting in enumerate(self._queues):
                while waiting:
                    item = next(iter(waiting))
                    if waiting[item] > now:
                        break
                    del waiting[item]
                    self._expired(queue, item)
        finally:
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Arm the timer for the earliest deadline; `expired` may have started one and armed it already."""
        heads = [next(iter(waiting.values())) for waiting in self._queues if waiting]
        if heads and (self._timer is None or min(heads) < self._when):
            self._arm(min(heads))
