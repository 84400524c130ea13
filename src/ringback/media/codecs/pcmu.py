"""PCMU: G.711 µ-law, payload type 0 (RFC 3551 4.5.14)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ringback.media.codecs.base import CodecInfo, Decoder, Encoder, Registration, refuse_sample_rate
from ringback.media.codecs.g711 import CompandingEncoder, all_samples, expanded
from ringback.media.codecs.waveform import WaveformDecoder
from ringback.media.samples import Samples

__all__ = ["COMPRESS", "EXPAND", "REGISTRATION"]

# µ-law has 14 bits. With the bias every segment begins at a power of two.
_BIAS: Final = 33
_LARGEST: Final = 0x1FFF


def _compress() -> NDArray[np.uint8]:
    magnitudes, negative = all_samples()
    biased = np.minimum((magnitudes >> 2) + _BIAS, _LARGEST)
    # The segment is the place of the highest bit, counted from bit 5; the four bits below it follow.
    segments = np.floor(np.log2(biased)).astype(np.int32) - 5
    codes = (segments << 4) | ((biased >> (segments + 1)) & 0x0F)
    # G.711 table 2a: all bits of the magnitude go inverted, and the sign bit is 1 for positive samples.
    table: NDArray[np.uint8] = ((~codes & 0x7F) | np.where(negative, 0, 0x80)).astype(np.uint8)
    table.setflags(write=False)
    return table


def _expand() -> Samples:
    codes = ~np.arange(256, dtype=np.int32)
    segments, mantissas = (codes >> 4) & 7, codes & 0x0F
    magnitudes = (((mantissas << 1) + _BIAS) << segments) - _BIAS
    table = (np.where(codes & 0x80, -magnitudes, magnitudes) * 4).astype(np.int16)
    table.setflags(write=False)
    return table


#: The code of every sample, in the order of its unsigned value; and the sample of every code.
COMPRESS: Final = _compress()
EXPAND: Final = _expand()

INFO: Final = CodecInfo("PCMU", 8000, 8000, payload_type=0, bitrate=64000)


def _encoder(info: CodecInfo, parameters: Mapping[str, str]) -> Encoder:
    refuse_sample_rate(info, (info.clock_rate,))
    return CompandingEncoder(COMPRESS, info.sample_rate)


def _decoder(info: CodecInfo) -> Decoder:
    refuse_sample_rate(info, (info.clock_rate,))
    return WaveformDecoder(info.sample_rate, expanded(EXPAND), samples_an_octet=1)


REGISTRATION: Final = Registration((INFO,), _encoder, _decoder)
