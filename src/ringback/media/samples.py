"""Sound inside Ringback: mono samples of 16 bits, as NumPy has them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Samples", "from_bytes", "silence", "to_bytes"]

Samples: TypeAlias = NDArray[np.int16]


def silence(count: int) -> Samples:
    """`count` samples of nothing."""
    return np.zeros(count, dtype=np.int16)


def from_bytes(data: bytes) -> Samples:
    """Samples of little-endian octets; an odd last octet is left out."""
    return np.frombuffer(data[: len(data) & ~1], dtype="<i2").astype(np.int16, copy=False)


def to_bytes(samples: Samples) -> bytes:
    """Little-endian octets of samples."""
    return samples.astype("<i2", copy=False).tobytes()
