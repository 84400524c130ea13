"""CN: the comfort noise payload, type 13 at 8000 (RFC 3389): the level of the background, and its spectrum if wanted.

It describes silence beside another codec, so it is no codec that one could choose alone: `available` leaves it out.
What measures and makes the noise is `ringback.media.comfort`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.errors import ParseError
from ringback.media.codecs.base import CodecInfo

__all__ = ["INFO", "SOFTEST", "Noise", "build", "parse"]

INFO: Final = CodecInfo("CN", 8000, 8000, payload_type=13)

#: -dBov of digital silence, the softest that can be said.
SOFTEST: Final = 127
#: Coefficients that are kept: "The decoder may reduce the model order" (section 3).
MOST_COEFFICIENTS: Final = 24

# Section 3.2: k_i = 258*(N_i-127)/32768 for N_i = 0...254; "index N=255 is reserved for future use".
_STEP: Final = 258 / 32768
_MIDDLE: Final = 127
_RESERVED: Final = 255


@dataclass(frozen=True, slots=True)
class Noise:
    """Background noise.

    level         -dBov, 0 (overload) to 127 (nothing)
    coefficients  reflection coefficients of the all-pole model 1/A(z), each between -1 and 1; none: white noise.
                  The first is minus the correlation of neighbouring samples
    """

    level: int
    coefficients: tuple[float, ...] = ()


def build(noise: Noise) -> bytes:
    """The payload; values out of range go as the nearest one that can be said."""
    payload = bytearray([min(max(noise.level, 0), SOFTEST)])
    for coefficient in noise.coefficients:
        payload.append(min(max(round(coefficient / _STEP) + _MIDDLE, 0), _RESERVED - 1))
    return bytes(payload)


def parse(payload: bytes) -> Noise:
    """What the payload says. Raises ParseError when it is empty."""
    if not payload:
        raise ParseError("an empty comfort noise payload")
    coefficients = []
    for index in payload[1 : MOST_COEFFICIENTS + 1]:
        # What follows a value of the future cannot be meant for this model.
        if index == _RESERVED:
            break
        coefficients.append((index - _MIDDLE) * _STEP)
    # Section 3.1: "the most significant bit unused and always set to 0".
    return Noise(payload[0] & SOFTEST, tuple(coefficients))
