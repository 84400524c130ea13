"""G.711, what its two laws share: companding by table, one look-up a sample.

The tables are those of ITU-T G.711 (tables 1a to 2b), computed as the reference software of G.191 does: the magnitude
of a negative sample is its one's complement, so that both signs have the same decision values. PCMU and PCMA are in
`pcmu` and `pcma`; WAV files and mixers may use the tables directly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ringback.media.samples import Samples

__all__ = ["CompandingEncoder", "all_samples", "expanded"]


def all_samples() -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The magnitudes of all 65,536 samples in the order of their unsigned value, and which of them are negative."""
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    return np.where(samples < 0, ~samples, samples), samples < 0


class CompandingEncoder:
    """An encoder that is a table: a code for each of the 65,536 samples, in the order of their unsigned value."""

    __slots__ = ("_table", "sample_rate")

    def __init__(self, table: NDArray[np.uint8], sample_rate: int) -> None:
        self._table = table
        self.sample_rate = sample_rate

    def encode(self, samples: Samples) -> bytes:
        """One octet for each sample."""
        return self._table.take(samples.view(np.uint16)).tobytes()

    def close(self) -> None:
        """Nothing is held."""


def expanded(table: Samples) -> Callable[[bytes], Samples]:
    """What turns octets into samples by a table of 256 of them."""

    def expand(payload: bytes) -> Samples:
        return table.take(np.frombuffer(payload, dtype=np.uint8))

    return expand
