"""A mixer: everybody hears all the others, and not himself.

The frames of all parties are one array. A beat sums it once and takes each row away from the sum again, so the work
grows with the number of parties and not with its square; what is too loud is held at full scale.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.errors import LocalError
from ringback.media.levels import SILENCE
from ringback.media.samples import Samples

__all__ = ["Mixer", "Party", "others"]

_FIRST_ROWS: Final = 4
_LOUDEST_GAIN: Final = 16.0


def others(frames: Samples) -> Samples:
    """For each row of `frames` the sum of all the other rows, held at full scale."""
    wide = frames.sum(axis=0, dtype=np.int32) - frames
    return _saturated(wide)


def _saturated(wide: NDArray[np.int32]) -> Samples:
    np.maximum(wide, -32768, out=wide)
    np.minimum(wide, 32767, out=wide)
    return wide.astype(np.int16)


class Party:
    """Somebody at a mixer.

    level  how loud he was in the last beat, as RFC 6464 has it: 0 (overload) to 127 (silence), before gain
    gain   by what his sound is multiplied; 0 mutes him
    row    his place in the mixer's arrays; it may change when others leave
    """

    __slots__ = ("gain", "level", "row")

    def __init__(self, row: int) -> None:
        self.row = row
        self.gain = 1.0
        self.level = SILENCE


class Mixer:
    """Mixes the frames of its parties, a beat at a time: everybody puts, then `mix`, then everybody takes.

    frame  samples of a beat, at the one rate that all parties share
    """

    __slots__ = ("_in", "_mixed", "_parties", "_put", "frame")

    def __init__(self, frame: int) -> None:
        self.frame = frame
        self._parties: list[Party] = []
        self._in = np.zeros((_FIRST_ROWS, frame), dtype=np.int16)
        self._mixed = np.zeros((0, frame), dtype=np.int16)
        #: How many have put something since the last beat.
        self._put = 0

    def __len__(self) -> int:
        return len(self._parties)

    @property
    def parties(self) -> tuple[Party, ...]:
        """Who takes part."""
        return tuple(self._parties)

    def join(self) -> Party:
        """Take part from the next beat on."""
        party = Party(len(self._parties))
        if party.row == len(self._in):
            self._in = np.concatenate((self._in, np.zeros_like(self._in)))
        self._parties.append(party)
        return party

    def leave(self, party: Party) -> None:
        """Take no part any more; nothing happens when he did not."""
        if party not in self._parties:
            return
        # The last one takes the row over, so that the rows in use lie together.
        last = self._parties.pop()
        self._in[party.row] = self._in[last.row]
        self._in[last.row] = 0
        if party.row < len(self._mixed):
            if last.row < len(self._mixed):
                self._mixed[party.row] = self._mixed[last.row]
            else:
                self._mixed[party.row] = 0
        if last is not party:
            last.row = party.row
            self._parties[last.row] = last
        self._mixed = self._mixed[: len(self._parties)]

    def set_gain(self, party: Party, decibels: float | None) -> None:
        """Make a party louder or softer; None mutes him. LocalError: more than 24 dB louder."""
        gain = 0.0 if decibels is None else 10.0 ** (decibels / 20.0)
        if gain > _LOUDEST_GAIN:
            raise LocalError(f"a gain of up to 24 dB is possible, not {decibels}")
        party.gain = gain

    def put(self, party: Party, samples: Samples) -> None:
        """What a party says in this beat; he is silent when nothing is put. Too much is cut, too little filled up."""
        row = self._in[party.row]
        count = min(len(samples), self.frame)
        row[:count] = samples[:count]
        row[count:] = 0
        self._put += 1

    def mix(self) -> None:
        """End the beat: what everybody has put becomes what everybody can take."""
        count = len(self._parties)
        if not self._put or not count:
            self._mixed = np.zeros((count, self.frame), dtype=np.int16)
            for party in self._parties:
                party.level = SILENCE
            return
        frames = self._in[:count]
        self._measure(frames)
        if all(party.gain == 1.0 for party in self._parties):
            self._mixed = others(frames)
        else:
            gains = np.array([party.gain for party in self._parties], dtype=np.float32)
            loud = np.rint(frames * gains[:, None]).astype(np.int32)
            self._mixed = _saturated(loud.sum(axis=0) - loud)
        self._in[:count] = 0
        self._put = 0

    def take(self, party: Party) -> Samples:
        """What a party hears of all the others in the beat that was mixed last; silence when he came after it."""
        if party.row >= len(self._mixed):
            return np.zeros(self.frame, dtype=np.int16)
        heard: Samples = self._mixed[party.row]
        return heard

    def _measure(self, frames: Samples) -> None:
        floats = frames.astype(np.float32)
        powers = np.einsum("ij,ij->i", floats, floats) / (self.frame * 32768.0**2)
        levels = np.where(powers > 0, np.rint(-10 * np.log10(np.maximum(powers, 1e-13))), SILENCE)
        for party, loud in zip(self._parties, np.clip(levels, 0, SILENCE).astype(int).tolist(), strict=True):
            party.level = loud
