"""Packet-loss concealment for codecs that know none: the last pitch periods are said again, softer and softer.

The idea is that of ITU-T G.711 Appendix I: speech is nearly periodic, so a gap of some 10 ms is hardly heard when the
last period goes on in it. After 10 ms two periods are repeated instead of one and after 20 ms three, so that it does
not buzz; the sound fades out until 60 ms, for nobody can tell what would have been said then. Where the real sound
comes back, the two are cross-faded.

Nothing is delayed for it: Appendix I holds back 3.75 ms to smooth the first seam. Here the step that the first repeated
sample would make is taken out and fades away within a quarter of a period instead.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ringback.media.samples import Samples, silence

__all__ = ["Concealment"]

_Signal: TypeAlias = NDArray[np.float32]

# All in parts of a second. Pitch: 66 to 200 Hz, where twice the period of a higher voice is found as well.
_LONGEST_PERIOD: Final = 0.015
_SHORTEST_PERIOD: Final = 0.005
_COMPARED: Final = 0.020
_MOST_PERIODS: Final = 3
_KEPT: Final = _LONGEST_PERIOD * (_MOST_PERIODS + 0.25) + 0.001
#: After each of these, one more period is repeated and the sound is softer.
_STAGE: Final = 0.010
_SOFTER: Final = 0.2
_LONGEST_CROSS_FADE: Final = 0.010
_CROSS_FADE_A_STAGE: Final = 0.004
#: The pitch is looked for at about this rate, then made more precise.
_SEARCH_RATE: Final = 8000


class Concealment:
    """Hears the sound of one stream, and goes on when it stops.

    concealed  samples made so far
    """

    __slots__ = ("_base", "_gap", "_keeping", "_kept", "_past", "_period", "_place", "_rate", "_voice", "concealed")

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self.concealed = 0
        # The last sound as it came, put together only when it is needed: hearing a frame has to cost next to nothing.
        self._past: deque[Samples] = deque()
        self._kept = 0
        self._keeping = int(_KEPT * rate) + 1
        #: Samples of the gap so far; 0 while nothing is lost.
        self._gap = 0
        self._base: _Signal = np.zeros(0, dtype=np.float32)
        self._voice: _Signal = self._base
        self._period = 0
        self._place = 0

    def heard(self, samples: Samples) -> Samples:
        """Samples that came; their beginning is cross-faded with what was made up when they end a gap."""
        if self._gap:
            samples = self._recover(samples)
        self._keep(samples)
        return samples

    def conceal(self, count: int) -> Samples:
        """`count` samples for what did not come."""
        if not self._gap:
            self._begin()
        made = self._go_on(count)
        self.concealed += count
        samples = np.rint(made).astype(np.int16)
        self._keep(samples)
        return samples

    def _keep(self, samples: Samples) -> None:
        past = self._past
        past.append(samples)
        kept = self._kept + len(samples)
        while kept - len(past[0]) >= self._keeping:
            kept -= len(past.popleft())
        self._kept = kept

    def _recover(self, samples: Samples) -> Samples:
        stages = self._gap / self._rate / _STAGE
        seconds = min(self._period / self._rate / 4 + stages * _CROSS_FADE_A_STAGE, _LONGEST_CROSS_FADE)
        length = min(int(seconds * self._rate), len(samples))
        rising = (np.arange(1, length + 1, dtype=np.float32)) / (length + 1)
        made = self._go_on(length)
        self._gap = 0
        mixed = samples.copy()
        mixed[:length] = np.rint(samples[:length] * rising + made * (1 - rising))
        return mixed

    def _begin(self) -> None:
        """Find the pitch of what was heard last, and what has to be repeated."""
        past = np.concatenate(self._past) if self._past else silence(0)
        past = past[-self._keeping :]
        self._base = np.zeros(self._keeping, dtype=np.float32)
        self._base[self._keeping - len(past) :] = past
        self._period = _pitch(self._base, self._rate)
        self._place = 0
        self._voice = self._periods(1)

    def _periods(self, number: int) -> _Signal:
        """The last periods, their end made such that they can be repeated without a step."""
        base, length, overlap = self._base, self._period * number, self._period // 4
        voice = base[-length:].copy()
        rising = np.arange(1, overlap + 1, dtype=np.float32) / (overlap + 1)
        voice[-overlap:] = base[-overlap:] * (1 - rising) + base[-length - overlap : -length] * rising
        return voice

    def _go_on(self, count: int) -> _Signal:
        """The next samples of the gap, stage by stage."""
        made = np.zeros(count, dtype=np.float32)
        stage_length = int(_STAGE * self._rate)
        done = 0
        while done < count:
            stage, within = divmod(self._gap, stage_length)
            if stage >= 1 / _SOFTER + 1:
                # Silence from here on; the gap may last for hours.
                break
            length = min(stage_length - within, count - done)
            piece = self._stage(stage, within, length)
            made[done : done + length] = piece
            done += length
            self._gap += length
        return made

    def _stage(self, stage: int, within: int, length: int) -> _Signal:
        """Samples of one stage: 10 ms with the same number of periods and a gain that falls evenly."""
        made = self._repeated(length)
        if stage == 0:
            self._take_out_the_step(made, within)
        elif within == 0 and stage < _MOST_PERIODS:
            made = self._one_period_more(stage + 1, made)
        if stage:
            falling = 1 - _SOFTER * (stage - 1 + (within + np.arange(length)) / (_STAGE * self._rate))
            made *= falling.astype(np.float32)
        return made

    def _repeated(self, length: int) -> _Signal:
        """The voice from its present place on, round and round."""
        places = (self._place + np.arange(length)) % len(self._voice)
        self._place = (self._place + length) % len(self._voice)
        return self._voice[places]

    def _one_period_more(self, number: int, made: _Signal) -> _Signal:
        """The samples that `made` stands for, cross-faded from it to a voice of more periods in the same phase."""
        length = len(made)
        self._place = (self._place - length) % self._period
        self._voice = self._periods(number)
        longer = self._repeated(length)
        overlap = min(self._period // 4, length)
        rising = np.arange(1, overlap + 1, dtype=np.float32) / (overlap + 1)
        longer[:overlap] = longer[:overlap] * rising + made[:overlap] * (1 - rising)
        return longer

    def _take_out_the_step(self, made: _Signal, within: int) -> None:
        """At the beginning of a gap: what came last and what would precede the first repeated sample differ."""
        overlap = max(self._period // 4, 1)
        if within >= overlap:
            return
        step = self._base[-1] - self._base[-self._period - 1]
        falling = 1 - (within + np.arange(1, len(made) + 1, dtype=np.float32)) / (overlap + 1)
        made += step * np.maximum(falling, 0)
        np.clip(made, -32768, 32767, out=made)


def _pitch(signal: _Signal, rate: int) -> int:
    """The period of the signal's end, in samples: the shift at which it is most like itself."""
    coarse = max(1, rate // _SEARCH_RATE)
    if coarse == 1:
        return _most_alike(signal, int(_SHORTEST_PERIOD * rate), int(_LONGEST_PERIOD * rate), int(_COMPARED * rate))
    # Means of neighbours are enough of a low-pass filter: at these shifts only the first formants matter.
    whole = len(signal) // coarse * coarse
    means = signal[-whole:].reshape(-1, coarse).mean(axis=1)
    slow = rate / coarse
    shift = _most_alike(means, int(_SHORTEST_PERIOD * slow), int(_LONGEST_PERIOD * slow), int(_COMPARED * slow))
    longest = int(_LONGEST_PERIOD * rate)
    return _most_alike(
        signal,
        max(shift * coarse - coarse, 1),
        min(shift * coarse + coarse, longest),
        int(_COMPARED * rate) // 2,
    )


def _most_alike(signal: _Signal, shortest: int, longest: int, compared: int) -> int:
    """The shift, of those allowed, with the greatest normalised correlation of the last `compared` samples."""
    end = signal[-compared:]
    earlier = signal[len(signal) - compared - longest : len(signal) - shortest]
    correlations = np.correlate(earlier, end, mode="valid")
    energies = np.concatenate((np.zeros(1), np.cumsum(np.square(earlier, dtype=np.float64))))
    energies = energies[compared:] - energies[:-compared]
    # A little is added so that silence, and what is nearly so, is like nothing.
    likeness = correlations / np.sqrt(np.maximum(energies, 0) + compared)
    return longest - int(np.argmax(likeness))
