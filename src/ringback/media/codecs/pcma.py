"""PCMA: G.711 A-law, payload type 8 (RFC 3551 4.5.14)."""

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

# G.711 table 1a: the even bits of every character signal go inverted.
_EVEN_BITS: Final = 0x55


def _compress() -> NDArray[np.uint8]:
    magnitudes, negative = all_samples()
    # A-law has 13 bits: a sign and twelve, of which the last is below what it can tell apart.
    levels = magnitudes >> 4
    # The first two segments have the same step, the others double it.
    segments = np.floor(np.log2(np.maximum(levels, 8))).astype(np.int32) - 3
    codes = (segments << 4) | ((levels >> np.maximum(segments - 1, 0)) & 0x0F)
    table: NDArray[np.uint8] = ((codes | np.where(negative, 0, 0x80)) ^ _EVEN_BITS).astype(np.uint8)
    table.setflags(write=False)
    return table


def _expand() -> Samples:
    codes = np.arange(256, dtype=np.int32) ^ _EVEN_BITS
    segments, mantissas = (codes >> 4) & 7, codes & 0x0F
    # A sample in the middle of its interval.
    levels = np.where(segments, mantissas + 16, mantissas) * 16 + 8
    magnitudes = levels << np.maximum(segments - 1, 0)
    table: Samples = np.where(codes & 0x80, magnitudes, -magnitudes).astype(np.int16)
    table.setflags(write=False)
    return table


#: The code of every sample, in the order of its unsigned value; and the sample of every code.
COMPRESS: Final = _compress()
EXPAND: Final = _expand()

INFO: Final = CodecInfo("PCMA", 8000, 8000, payload_type=8, bitrate=64000)


def _encoder(info: CodecInfo, parameters: Mapping[str, str]) -> Encoder:
    refuse_sample_rate(info, (info.clock_rate,))
    return CompandingEncoder(COMPRESS, info.sample_rate)


def _decoder(info: CodecInfo) -> Decoder:
    refuse_sample_rate(info, (info.clock_rate,))
    return WaveformDecoder(info.sample_rate, expanded(EXPAND), samples_an_octet=1)


REGISTRATION: Final = Registration((INFO,), _encoder, _decoder)
