"""How loud sound is, and whether somebody speaks.

Levels are relative to the overload point: 0 dBov is a square wave of full scale, a sine of full scale is at -3 dBov
(RFC 6464 section 3). `level` is what header extensions and comfort noise carry: -dBov as a number from 0 to 127.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ringback.media.samples import Samples

__all__ = ["SILENCE", "VoiceActivity", "decibels", "level", "peak"]

#: "The audio level for digital silence [...] MUST be represented as 127 (-127 dBov)".
SILENCE: Final = 127
_FULL_SCALE: Final = 32768.0


def decibels(samples: Samples) -> float:
    """The root mean square of the samples in dBov, -127.0 for silence."""
    if not len(samples):
        return -float(SILENCE)
    floats = samples.astype(np.float32)
    power = float(floats @ floats) / len(samples)
    return 10.0 * float(np.log10(power / _FULL_SCALE**2)) if power else -float(SILENCE)


def level(samples: Samples) -> int:
    """The root mean square as RFC 6464 has it: 0 (overload) to 127 (silence)."""
    return min(max(round(-decibels(samples)), 0), SILENCE)


def peak(samples: Samples) -> float:
    """The largest sample in dB of full scale, -127.0 for silence."""
    if not len(samples):
        return -float(SILENCE)
    # As int: -32768 has no positive counterpart among samples.
    largest = max(int(samples.max()), -int(samples.min()))
    return 20.0 * float(np.log10(largest / _FULL_SCALE)) if largest else -float(SILENCE)


class VoiceActivity:
    """Whether somebody speaks, from the level above a background that is learnt.

    The background is the softest of the last second or two: speech pauses between words, and background does not. After
    speech, activity goes on for a while (`hangover`), so that soft ends of words are not cut off. This is enough for
    saving bandwidth and for interrupting a voice bot; it does not tell speech from music.

    active      the last answer
    background  dBov
    """

    __slots__ = (
        "_hangover",
        "_left",
        "_margin",
        "_rate",
        "_since",
        "_softest",
        "_softest_before",
        "active",
        "background",
    )

    #: Softer than this is never speech, and louder than this is never background: a tone that lasts has to be sent.
    SOFTEST: Final = -60.0
    LOUDEST: Final = -35.0
    #: Half of the time of which the softest counts, in seconds.
    _REMEMBERED: Final = 0.8

    def __init__(self, rate: int, *, margin: float = 9.0, hangover: float = 0.2) -> None:
        self._rate = rate
        self._margin = margin
        self._hangover = hangover
        self._left = 0.0
        #: The softest of this half and of the one before it, and how long this one lasts.
        self._softest = self._softest_before = 0.0
        self._since = 0.0
        self.active = False
        self.background = -50.0

    def heard(self, samples: Samples) -> bool:
        """Whether there is speech in these samples, or was just before them."""
        if not len(samples):
            return self.active
        seconds = len(samples) / self._rate
        loud = decibels(samples)
        self._learn(loud, seconds)
        if loud > self.background + self._margin and loud > self.SOFTEST:
            self._left = self._hangover
            self.active = True
        else:
            self._left -= seconds
            # Not quite 0: sums of fractions are not exact.
            self.active = self._left > 1e-9
        return self.active

    def _learn(self, loud: float, seconds: float) -> None:
        self._softest = min(self._softest, loud)
        self._since += seconds
        if self._since >= self._REMEMBERED:
            self.background = min(self._softest, self._softest_before, self.LOUDEST)
            self._softest_before, self._softest = self._softest, 0.0
            self._since = 0.0
        elif loud < self.background:
            self.background = loud
