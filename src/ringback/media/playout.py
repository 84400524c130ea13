"""What is still to be played on a call: a queue of samples and of sources, pulled a frame at a time.

    playout.put(samples)      samples at the playout's rate
    playout.play(source)      something that gives samples when asked: a file, a tone
    playout.mark(told)        told(True) when all before it has been played, told(False) when it was flushed
    playout.pull(count)       the next samples, or None when there is nothing

Voice bots need both of the last two: to know when the caller has heard a sentence, and to fall silent at once when he
speaks. A mark counts as reached when the frame that ends what came before it is pulled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from ringback.errors import LocalError
from ringback.media.samples import Samples, silence

__all__ = ["LONGEST", "Playout", "Source"]

#: Seconds of samples that may wait; who puts more has to ask for `room` first.
LONGEST: Final = 60.0


class Source(Protocol):
    """Gives samples when they are due."""

    def read(self, count: int, rate: int) -> Samples:
        """The next samples, at `rate` a second: `count`, or fewer at the end and none after it.

        The rate changes when the call changes its codec in the middle.
        """
        ...


class _Mark:
    __slots__ = ("told",)

    def __init__(self, told: Callable[[bool], None]) -> None:
        self.told = told


class Playout:
    """The queue of one call.

    rate    samples a second of all that is put and pulled
    played  samples pulled that were not silence of our own
    """

    __slots__ = ("_queue", "_waiting", "played", "rate")

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.played = 0
        self._queue: deque[Samples | Source | _Mark] = deque()
        #: Samples that wait, without those of sources.
        self._waiting = 0

    def __len__(self) -> int:
        """Samples that wait, without those of sources."""
        return self._waiting

    @property
    def idle(self) -> bool:
        """Whether nothing is left, not even a mark."""
        return not self._queue

    def room(self) -> int:
        """How many samples `put` would take now."""
        return max(0, int(LONGEST * self.rate) - self._waiting)

    def put(self, samples: Samples) -> None:
        """Play these after all else. Raises LocalError when there is no room for them."""
        if len(samples) > self.room():
            raise LocalError(f"more than {LONGEST:.0f} seconds wait to be played; wait for room, or flush")
        if len(samples):
            self._queue.append(samples)
            self._waiting += len(samples)

    def play(self, source: Source) -> None:
        """Play a source to its end, after all else."""
        self._queue.append(source)

    def mark(self, told: Callable[[bool], None]) -> None:
        """Be told when all that was put before has been played; at once when there is nothing."""
        if self._queue:
            self._queue.append(_Mark(told))
        else:
            told(True)

    def flush(self) -> int:
        """Forget all that waits; gives how many samples that were, without those of sources."""
        flushed, self._waiting = self._waiting, 0
        queue, self._queue = self._queue, deque()
        for entry in queue:
            if isinstance(entry, _Mark):
                entry.told(False)
        return flushed

    def change_rate(self, rate: int, convert: Callable[[Samples], Samples]) -> None:
        """Another codec: what waits is converted, and sources are asked for samples of the new rate from now on."""
        self.rate = rate
        for place, entry in enumerate(self._queue):
            if isinstance(entry, np.ndarray):
                self._queue[place] = convert(entry)
        self._waiting = sum(len(entry) for entry in self._queue if isinstance(entry, np.ndarray))

    def pull(self, count: int) -> Samples | None:
        """The next `count` samples, filled up with silence at the end; None when there is nothing to play."""
        pieces: list[Samples] = []
        missing = count
        while missing and self._queue:
            entry = self._queue[0]
            if isinstance(entry, _Mark):
                self._queue.popleft()
                entry.told(True)
                continue
            piece = self._piece(entry, missing)
            if len(piece):
                pieces.append(piece)
                missing -= len(piece)
        self._tell_marks()
        if not pieces:
            return None
        self.played += count - missing
        if missing:
            pieces.append(silence(missing))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _piece(self, entry: Samples | Source, missing: int) -> Samples:
        """Up to `missing` samples of the head of the queue, which is taken off when it is used up."""
        if not isinstance(entry, np.ndarray):
            piece = entry.read(missing, self.rate)
            # A flush may have come from within the source.
            if len(piece) < missing and self._queue and self._queue[0] is entry:
                self._queue.popleft()
            return piece
        if len(entry) <= missing:
            self._queue.popleft()
            self._waiting -= len(entry)
            return entry
        self._queue[0] = entry[missing:]
        self._waiting -= missing
        return entry[:missing]

    def _tell_marks(self) -> None:
        while self._queue:
            entry = self._queue[0]
            if not isinstance(entry, _Mark):
                return
            self._queue.popleft()
            entry.told(True)
