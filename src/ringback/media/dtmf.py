"""DTMF as sound (ITU-T Q.23, Q.24): made, and found in what is heard.

Each digit is one of four low and one of four high tones together. The detector looks at 25 ms every 5 ms. It compares
these samples with the eight tones, and each tone with its neighbours half a bin below and above: that tells where the
frequency really is. A digit is there when, for some 30 ms,

    both tones are within 2.5 % of their frequency (Q.24: 1.5 % has to be taken, 3.5 % refused)
    the two have three quarters of the energy, which no vowel has in two such places
    the high tone is up to 6 dB louder than the low one or up to 10 dB softer (Q.24: 4 and 8 dB have to be taken)
    none is softer than -32 dBm0

and it ends when nothing of it is heard for 20 ms; so digits of 40 ms with pauses of 40 ms are found, and a gap of 10 ms
does not make two of one. All windows of a frame are one matrix product.
"""

from __future__ import annotations

import functools
from collections import deque
from math import exp, log
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ringback.errors import LocalError
from ringback.media.samples import Samples, silence

__all__ = ["FREQUENCIES", "Detector", "DigitSound", "amplitude", "make"]

_Signal: TypeAlias = NDArray[np.float32]

_LOW: Final = (697, 770, 852, 941)
_HIGH: Final = (1209, 1336, 1477, 1633)
_ROWS: Final = ("123A", "456B", "789C", "*0#D")

#: The two frequencies of each digit (Q.23).
FREQUENCIES: Final = {
    digit: (low, high) for low, row in zip(_LOW, _ROWS, strict=True) for digit, high in zip(row, _HIGH, strict=True)
}

#: dBm0 of the largest sine that G.711 can carry, and its peak as a sample.
_OVERLOAD: Final = 3.17
_FULL_SCALE: Final = 32767.0


def amplitude(dbm0: float) -> float:
    """The peak of a sine of that level, as a sample."""
    return float(_FULL_SCALE * 10.0 ** ((dbm0 - _OVERLOAD) / 20.0))


# making -------------------------------------------------------------------------------------------------------------

#: dBm0. The high tone is louder, as lines weaken it more; together they are at -7 dBm0.
LOW_LEVEL: Final = -11.0
HIGH_LEVEL: Final = -9.0
#: Seconds in which a tone comes and goes, so that it does not click.
_EDGE: Final = 0.002


def make(digit: str, rate: int, milliseconds: int = 100, high: float = HIGH_LEVEL, low: float = LOW_LEVEL) -> Samples:
    """The sound of one digit; `high` and `low` are the levels of its tones in dBm0. LocalError: not a digit."""
    frequencies = FREQUENCIES.get(digit.upper())
    if frequencies is None:
        raise LocalError(f"{digit!r} is no DTMF digit; there are {''.join(FREQUENCIES)}")
    count = rate * milliseconds // 1000
    angles = 2 * np.pi * np.arange(count) / rate
    sound = amplitude(low) * np.sin(frequencies[0] * angles) + amplitude(high) * np.sin(frequencies[1] * angles)
    edge = min(int(_EDGE * rate), count // 2)
    rising = np.arange(1, edge + 1) / (edge + 1)
    sound[:edge] *= rising
    sound[count - edge :] *= rising[::-1]
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


class DigitSound:
    """Digits one after another as a source for the playout queue."""

    __slots__ = ("_left", "_milliseconds", "_pause", "_piece")

    def __init__(self, digits: str, milliseconds: int = 100, pause: int = 80) -> None:
        for digit in digits:
            make(digit, 8000, 0)
        self._left = deque(digits)
        self._milliseconds = milliseconds
        self._pause = pause
        self._piece = silence(0)

    def read(self, count: int, rate: int) -> Samples:
        """The next samples, fewer at the end. After a change of the rate the digit that is being made ends early."""
        pieces, missing = [self._piece[:count]], count - len(self._piece)
        self._piece = self._piece[count:]
        while missing > 0 and self._left:
            tone = make(self._left.popleft(), rate, self._milliseconds)
            piece = np.concatenate((tone, silence(rate * self._pause // 1000)))
            pieces.append(piece[:missing])
            self._piece = piece[missing:]
            missing -= len(pieces[-1])
        return np.concatenate(pieces)


# finding ------------------------------------------------------------------------------------------------------------

#: Windows and steps a second: 25 ms every 5 ms.
_WINDOWS_A_SECOND: Final = 40
_STEPS_A_SECOND: Final = 200
#: Half the distance of two bins of such a window, in Hz.
_HALF_BIN: Final = 20.0
_TOLERANCE: Final = 0.025
_SOFTEST: Final = -32.0
#: The share of the energy that the two tones have at least.
_PURITY: Final = 0.75
_HIGH_OVER_LOW: Final = 10.0 ** (6.0 / 10)
_LOW_OVER_HIGH: Final = 10.0 ** (10.0 / 10)
#: Windows in a row that have to show a digit, and that have to show none of it for its end.
_NEEDED: Final = 4
_MISSING: Final = 6


class Detector:
    """Finds digits in the sound of one stream, each once, when it has lasted for some 30 ms.

    digit  the one that is heard now, or ""
    """

    __slots__ = ("_bank", "_candidate", "_missing", "_pending", "_seen", "_step", "digit")

    def __init__(self, rate: int) -> None:
        self._bank = _bank(rate)
        self._step = rate // _STEPS_A_SECOND
        self._pending = np.zeros(self._bank.length - self._step, dtype=np.float32)
        self._candidate = ""
        self._seen = 0
        self._missing = 0
        self.digit = ""

    def heard(self, samples: Samples) -> str:
        """The digits that are found with these samples: mostly none."""
        bank, step = self._bank, self._step
        pending = np.concatenate((self._pending, samples), dtype=np.float32)
        count = (len(pending) - bank.length) // step + 1
        if count <= 0:
            self._pending = pending
            return ""
        self._pending = pending[count * step :]
        if float(pending @ pending) < bank.least_energy:
            # Silence costs no more than this.
            return self._follow([""] * count)
        size = pending.strides[0]
        # The windows overlap, and are looked at where they are.
        windows = np.ndarray((count, bank.length), pending.dtype, pending, 0, (step * size, size))
        return self._follow(bank.digits(windows))

    def _follow(self, windows: list[str]) -> str:
        """Each window shows a digit, or "". Gives the digits that have been there for long enough with them."""
        found = ""
        for digit in windows:
            self._seen = self._seen + 1 if digit == self._candidate else 1
            self._candidate = digit
            if self.digit:
                self._missing = 0 if digit == self.digit else self._missing + 1
                if self._missing >= _MISSING:
                    self.digit = ""
            if digit and digit != self.digit and self._seen >= _NEEDED:
                self.digit = digit
                self._missing = 0
                found += digit
        return found


class _Bank:
    """Eight tones, each at three frequencies: half a bin below, at, and half a bin above it."""

    __slots__ = ("_limits", "_mean", "_power", "_waves", "_weights", "least_energy", "length")

    def __init__(self, rate: int) -> None:
        self.length = rate // _WINDOWS_A_SECOND
        places = np.arange(self.length)
        # Hann's: its main lobe is nearly a parabola in decibels, and little is beside it.
        weights = np.hanning(self.length + 2)[1:-1]
        tones = np.array([tone + offset for tone in (*_LOW, *_HIGH) for offset in (-_HALF_BIN, 0.0, _HALF_BIN)])
        angles = 2 * np.pi * places[:, None] * tones / rate
        self._weights = weights.astype(np.float32)
        self._waves = np.concatenate((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
        # A sine of amplitude a gives a/2 times the sum of the weights; its mean power is a²/2.
        self._power = 2.0 / float(weights.sum()) ** 2
        self._mean = 1.0 / float(weights @ weights)
        #: What two of the softest tones make of a window.
        self.least_energy = amplitude(_SOFTEST) ** 2 / self._mean

        def response(hertz: float) -> float:
            return float(np.abs(weights @ np.exp(2j * np.pi * hertz * places / rate))) ** 2

        #: What `_vertex` makes of a tone that is as far away as one may be.
        self._limits = [
            abs(_vertex([response(tone * _TOLERANCE + offset) for offset in (_HALF_BIN, 0.0, -_HALF_BIN)])[0])
            for tone in (*_LOW, *_HIGH)
        ]

    def digits(self, windows: _Signal) -> list[str]:
        """For each window the digit that it shows, or ""."""
        windows = windows * self._weights
        products = windows @ self._waves
        means = (np.einsum("ij,ij->i", windows, windows) * self._mean).tolist()
        np.square(products, out=products)
        half = products.shape[1] // 2
        powers = ((products[:, :half] + products[:, half:]) * self._power).tolist()
        return [self._digit(window, mean) for window, mean in zip(powers, means, strict=True)]

    def _digit(self, powers: list[float], mean: float) -> str:
        low = max(range(4), key=lambda tone: powers[3 * tone + 1])
        high = max(range(4, 8), key=lambda tone: powers[3 * tone + 1])
        # Most sound ends here: even a tone between two points would be no more than 3 dB stronger.
        if 2 * (powers[3 * low + 1] + powers[3 * high + 1]) < _PURITY * mean:
            return ""
        first, second = self._peak(powers, low), self._peak(powers, high)
        if first + second < _PURITY * mean or min(first, second) < amplitude(_SOFTEST) ** 2 / 2:
            return ""
        if second > first * _HIGH_OVER_LOW or first > second * _LOW_OVER_HIGH:
            return ""
        return _ROWS[low][high - 4]

    def _peak(self, powers: list[float], tone: int) -> float:
        """The power of the sine that is at this tone; 0.0 when it is too far away from it."""
        offset, power = _vertex(powers[3 * tone : 3 * tone + 3])
        return power if abs(offset) <= self._limits[tone] else 0.0


@functools.lru_cache(maxsize=8)
def _bank(rate: int) -> _Bank:
    return _Bank(rate)


def _vertex(around: list[float]) -> tuple[float, float]:
    """The top of the parabola through the logarithms of three powers: steps from the middle one, and its power.

    A place that is far away when there is no top.
    """
    below, middle, above = (log(max(power, 1e-12)) for power in around)
    bend = below - 2 * middle + above
    if bend >= 0:
        return 1e9, 0.0
    offset = (below - above) / (2 * bend)
    return offset, exp(min(middle - (below - above) * offset / 4, 50.0))
