"""Call progress tones by country, as a source for the playout queue.

The table follows the lists of national tones that go with ITU-T E.180. Where a country has several variants it holds
the most common one, and where nothing is reported the special information tone of E.180: 950, 1400 and 1800 Hz for 330
ms each, then a second of silence.

A tone is written much as in those lists, seconds on and off by turns, and all of it again and again:

    425                            for ever
    440+480 2 4                    two frequencies at once, each as loud as the other
    400*25 .4 .2 .4 2              one that another one modulates
    425 .4 .4 / 425:-10 .4 .4      one after another; the second is 10 dB softer
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ringback.errors import LocalError
from ringback.media.dtmf import amplitude
from ringback.media.samples import Samples, silence

__all__ = ["Part", "ToneName", "ToneSound", "countries", "parse", "tone"]

ToneName = Literal["dial", "ringback", "busy", "congestion", "call_waiting", "information"]

_NAMES: Final = ("dial", "ringback", "busy", "congestion", "call_waiting", "information")
_INFORMATION: Final = "950 .33 / 1400 .33 / 1800 .33 1"

# Country (ISO 3166), then the tones in the order of _NAMES; an information tone that is missing is that of E.180.
_TABLE: Final = """
AT | 420 | 420 1 5 | 420 .4 .4 | 420 .2 .2 | 420 .04 1.95 | 950 .33 / 1450 .33 / 1850 .33 1
AU | 413+438 | 413+438 .4 .2 .4 2 | 425 .375 .375 | 425 .375 .375 / 425:-10 .375 .375 | 425 .2 .2 .2 4.4 | 425 2.5 .5
BE | 425 | 425 1 3 | 425 .5 .5 | 425 .167 .167 | 1400 .175 .175 .175 3.5 | 900 .33 / 1400 .33 / 1800 .33 1
BR | 425 | 425 1 4 | 425 .25 .25 | 425 .25 .25 .75 .25 | 425 .05 1
CA | 350+440 | 440+480 2 4 | 480+620 .5 .5 | 480+620 .25 .25 | 440 .3 10
CH | 425 | 425 1 4 | 425 .5 .5 | 425 .2 .2 | 425 .2 .2 .2 4
CN | 450 | 450 1 4 | 450 .35 .35 | 450 .7 .7 | 450 .4 4 | 450 .1 .1 .1 .1 .1 .1 .4 .4
CZ | 425 .33 .33 .66 .66 | 425 1 4 | 425 .33 .33 | 425 .165 .165 | 425 .33 9 | 950 .33 .03 / 1400 .33 .03 / 1800 .33 1
DE | 425 | 425 1 4 | 425 .48 .48 | 425 .24 .24 | 425 .2 .2 .2 5
DK | 425 | 425 1 4 | 425 .5 .5 | 425 .2 .2 | 425 .2 .6 .2 3
ES | 425 | 425 1.5 3 | 425 .2 .2 | 425 .2 .2 .2 .2 .2 .6 | 425 .175 .175 .175 3.5
FI | 425 | 425 1 4 | 425 .3 .3 | 425 .2 .2 | 425 .15 .15 .15 8 | 950 .65 .325 / 950 .325 .03 / 1400 1.3 2.6
FR | 440 | 440 1.5 3.5 | 440 .5 .5 | 440 .25 .25 | 440 .3 10
GB | 350+440 | 400+450 .4 .2 .4 2 | 400 .375 .375 | 400 .4 .35 .225 .525 | 400 .1 4
IN | 400*25 | 400*25 .4 .2 .4 2 | 400 .75 .75 | 400 .25 .25 | 400 .2 .1 .2 7.5
IT | 425 .2 .2 .6 1 | 425 1 4 | 425 .5 .5 | 425 .2 .2 | 425 .4 .1 .25 .1 .15 14
JP | 400 | 400*16 1 2 | 400 .5 .5 | 400 .5 .5 | 400*16 .5 8
NL | 425 | 425 1 4 | 425 .5 .5 | 425 .25 .25 | 425 .5 9.5
NO | 425 | 425 1 4 | 425 .5 .5 | 425 .2 .2 | 425 .2 .6 .2 10
NZ | 400 | 400+450 .4 .2 .4 2 | 400 .5 .5 | 400 .25 .25 | 400 .2 3 | 400 .75 .1 .75 .1 .75 .1 .75 .4
PL | 425 | 425 1 4 | 425 .5 .5 | 425 .5 .5 | 425 .15 .15 .15 4
RU | 425 | 425 1 4 | 425 .35 .35 | 425 .175 .175 | 425 .2 5
SE | 425 | 425 1 5 | 425 .25 .25 | 425 .25 .75 | 425 .2 .5 .2 9.1 | 950 .332 .024 / 1400 .332 .024 / 1800 .332 2.024
US | 350+440 | 440+480 2 4 | 480+620 .5 .5 | 480+620 .25 .25 | 440 .3 10
ZA | 400*33 | 400*33 .4 .2 .4 2 | 400 .5 .5 | 400 .25 .25 | 400*33 .4 4
"""
_ALIASES: Final = {"UK": "GB"}

#: E.180 recommends tones of about -10 dBm0.
LEVEL: Final = -10.0
_LONGEST: Final = 3600.0
#: How deep one frequency modulates the other.
_DEPTH: Final = 0.9
#: Seconds in which a tone comes and goes, so that it does not click.
_EDGE: Final = 0.004


@dataclass(frozen=True, slots=True)
class Part:
    """Frequencies sounding together, or silence when there are none, for so many seconds; 0.0 is for ever.

    modulation  the frequency that modulates them, or 0.0
    level       dB, relative to that of the tone
    """

    frequencies: tuple[float, ...]
    seconds: float
    modulation: float = 0.0
    level: float = 0.0


def countries() -> list[str]:
    """The countries of the table, as ISO 3166 writes them."""
    return sorted(_table())


def tone(country: str, name: ToneName) -> tuple[Part, ...]:
    """A tone of a country. Raises LocalError when there is none in the table."""
    code = country.upper()
    tones = _table().get(_ALIASES.get(code, code))
    if tones is None:
        raise LocalError(f"no tones are known of {country!r}; there are those of {', '.join(countries())}")
    if name not in _NAMES:
        raise LocalError(f"there is no tone {name!r}; there are {', '.join(_NAMES)}")
    return parse(tones[_NAMES.index(name)])


@functools.cache
def _table() -> dict[str, tuple[str, ...]]:
    table = {}
    for line in _TABLE.strip().splitlines():
        country, *tones = (column.strip() for column in line.split("|"))
        table[country] = (*tones, _INFORMATION)[: len(_NAMES)]
    return table


def parse(text: str) -> tuple[Part, ...]:
    """A tone from its text (see the top of this module). Raises LocalError that says what is wrong."""
    parts: list[Part] = []
    for piece in text.split("/"):
        sound, *seconds = piece.split() or [""]
        part = _sound(sound, text)
        if not seconds:
            parts.append(part)
        for place, length in enumerate(seconds):
            lasting = _number(length, text)
            if not 0 < lasting <= _LONGEST:
                raise LocalError(f"a part of a tone lasts up to {_LONGEST:.0f} seconds, not {length}: {text!r}")
            if place % 2:
                parts.append(Part((), lasting))
            else:
                parts.append(Part(part.frequencies, lasting, part.modulation, part.level))
    if any(not part.seconds for part in parts[:-1]):
        raise LocalError(f"something follows what lasts for ever: {text!r}")
    return tuple(parts)


def _sound(sound: str, text: str) -> Part:
    together, _, level = sound.partition(":")
    together, _, modulation = together.partition("*")
    frequencies = tuple(_number(frequency, text) for frequency in together.split("+"))
    by = _number(modulation, text) if modulation else 0.0
    if not all(0 < frequency < 4000 for frequency in (*frequencies, by or 1.0)):
        raise LocalError(f"the frequencies of a tone are below 4000 Hz: {text!r}")
    return Part(frequencies, 0.0, by, _number(level, text) if level else 0.0)


def _number(number: str, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = np.nan
    if not abs(value) < 1e6:
        raise LocalError(f"{number!r} is no number in the tone {text!r}")
    return value


class ToneSound:
    """A tone as a source for the playout queue: for ever, or for so many `seconds`. `level` is in dBm0."""

    __slots__ = ("_index", "_left", "_level", "_parts", "_place", "_rate")

    def __init__(self, parts: tuple[Part, ...], level: float = LEVEL, seconds: float | None = None) -> None:
        if not parts:
            raise LocalError("a tone has at least one part")
        self._parts = parts
        self._level = level
        self._left = seconds
        #: Which part sounds, and how many of its samples have been given.
        self._index = 0
        self._place = 0
        self._rate = 0

    def read(self, count: int, rate: int) -> Samples:
        """The next samples; fewer, and then none, when its time is over."""
        if rate != self._rate:
            self._place = self._place * rate // self._rate if self._rate else 0
            self._rate = rate
        if self._left is not None:
            count = min(count, max(0, round(self._left * rate)))
            self._left -= count / rate
        pieces = []
        while count > 0:
            piece = self._piece(count)
            pieces.append(piece)
            count -= len(piece)
        if not pieces:
            return silence(0)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _piece(self, count: int) -> Samples:
        """Up to `count` samples of the present part."""
        part = self._parts[self._index]
        length = max(1, round(part.seconds * self._rate)) if part.seconds else 0
        first = self._place
        if length:
            count = min(count, length - first)
        self._place += count
        if length and self._place >= length:
            self._index = (self._index + 1) % len(self._parts)
            self._place = 0
        if not part.frequencies:
            return silence(count)
        return self._sounding(part, first, count, length)

    def _sounding(self, part: Part, first: int, count: int, length: int) -> Samples:
        places = np.arange(first, first + count)
        angles = (2 * np.pi / self._rate) * places
        # Together they are as loud as one would be.
        peak = amplitude(self._level + part.level) / np.sqrt(len(part.frequencies))
        sound = np.zeros(count)
        for frequency in part.frequencies:
            sound += np.sin(frequency * angles)
        if part.modulation:
            sound *= (1 + _DEPTH * np.cos(part.modulation * angles)) / np.sqrt(1 + _DEPTH**2 / 2)
        edge = max(1, int(_EDGE * self._rate))
        if first < edge or (length and first + count > length - edge):
            fading = (places + 1) / edge
            if length:
                fading = np.minimum(fading, (length - places) / edge)
            sound *= np.minimum(fading, 1.0)
        samples: Samples = np.clip(np.rint(sound * peak), -32768, 32767).astype(np.int16)
        return samples
