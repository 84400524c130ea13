"""Calls that hear each other: two by a bridge, any number by a mix. The sound does not leave the beat.

What is received in a beat is sent in the same beat (`Ticker` has all receive before any sends), so being connected here
costs no delay and no task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ringback.media.backend import AudioPort, Feed, MediaSession
from ringback.media.io.ticker import BEAT
from ringback.media.mixer import Mixer, Party
from ringback.media.resample import Resampler
from ringback.media.samples import Samples

__all__ = ["Beat", "Mix", "bridge"]

#: Milliseconds of a digit that is passed on; how long it was pressed is not known when it is reported.
_DIGIT: Final = 100


def bridge(one: MediaSession, other: MediaSession) -> Callable[[], None]:
    """Let two calls hear each other, and pass on digits that are not in the sound; the result ends that."""
    ends = [*_one_way(one.audio, other.audio), *_one_way(other.audio, one.audio)]

    def end() -> None:
        while ends:
            ends.pop()()

    return end


def _one_way(source: AudioPort, sink: AudioPort) -> list[Callable[[], None]]:
    feed = sink.feed()

    def pass_on(digit: str) -> None:
        # A tone was in the sound: there it goes already.
        if source.digit_by != "tone":
            sink.send_digits(digit, _DIGIT)

    return [feed.close, source.subscribe(feed.put), source.on_digit(pass_on)]


class Beat(Protocol):
    """What a mix needs of the ticker."""

    def between(self, mix: Callable[[float], None]) -> Callable[[], None]:
        """Call `mix(now)` in every beat after all have received and before all send; the result ends that."""
        ...


class Mix:
    """Calls of which each hears all the others.

    rate    samples a second of the mix; calls with another rate are converted
    """

    def __init__(self, beat: Beat, rate: int = 16000) -> None:
        self.rate = rate
        self._beat = beat
        self._mixer = Mixer(round(rate * BEAT))
        self._members: dict[Party, Feed] = {}
        self._end: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._members)

    def join(self, session: MediaSession) -> Callable[[], None]:
        """Take part from the next beat on; the result ends that, and may be called twice."""
        return self.join_port(session.audio)

    def join_port(self, port: AudioPort) -> Callable[[], None]:
        """As `join`, for who has only the port."""
        party = self._mixer.join()
        feed = port.feed()
        unsubscribe = port.subscribe(_Hearing(self._mixer, party, self.rate).heard)
        self._members[party] = feed
        if self._end is None:
            self._end = self._beat.between(self._mix)

        def leave() -> None:
            if self._members.pop(party, None) is None:
                return
            unsubscribe()
            feed.close()
            self._mixer.leave(party)
            if not self._members and self._end is not None:
                self._end()
                self._end = None

        return leave

    def _mix(self, now: float) -> None:
        mixer, rate = self._mixer, self.rate
        mixer.mix()
        for party, feed in self._members.items():
            feed.put(mixer.take(party), rate)


class _Hearing:
    """What one member says goes to the mixer, at its rate."""

    __slots__ = ("_from", "_mixer", "_party", "_rate", "_resampler")

    def __init__(self, mixer: Mixer, party: Party, rate: int) -> None:
        self._mixer = mixer
        self._party = party
        self._rate = rate
        self._from = rate
        self._resampler = Resampler(rate, rate)

    def heard(self, samples: Samples, rate: int) -> None:
        if rate != self._rate:
            if rate != self._from:
                self._from = rate
                self._resampler = Resampler(rate, self._rate)
            samples = self._resampler.process(samples)
        self._mixer.put(self._party, samples)
