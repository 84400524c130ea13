"""L16: uncompressed samples in network byte order (RFC 3551 4.5.11). For tests, gateways and fast local networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from ringback.media.codecs.base import CodecInfo, Decoder, Encoder, Registration, refuse_sample_rate
from ringback.media.codecs.waveform import WaveformDecoder
from ringback.media.samples import Samples

__all__ = ["REGISTRATION"]

# At 44,100 and 48,000 samples a second, 20 ms would not fit into one packet of an Ethernet.
INFOS: Final = (
    CodecInfo("L16", 16000, 16000, bitrate=256000, frames=(10, 20, 30, 40)),
    CodecInfo("L16", 8000, 8000, bitrate=128000, frames=(10, 20, 30, 40, 50, 60)),
    CodecInfo("L16", 48000, 48000, bitrate=768000, frames=(10,)),
    # Table 4: the only mono one with a static type.
    CodecInfo("L16", 44100, 44100, payload_type=11, bitrate=705600, frames=(10,)),
)


class _L16Encoder:
    __slots__ = ("sample_rate",)

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def encode(self, samples: Samples) -> bytes:
        # "transmitted in network byte order (most significant byte first)"
        return samples.astype(">i2").tobytes()

    def close(self) -> None:
        """Nothing is held."""


def _expand(payload: bytes) -> Samples:
    # An odd last octet is half a sample: nothing.
    return np.frombuffer(payload, dtype=">i2", count=len(payload) >> 1).astype(np.int16)


def _encoder(info: CodecInfo, parameters: Mapping[str, str]) -> Encoder:
    refuse_sample_rate(info, (info.clock_rate,))
    return _L16Encoder(info.sample_rate)


def _decoder(info: CodecInfo) -> Decoder:
    refuse_sample_rate(info, (info.clock_rate,))
    return WaveformDecoder(info.sample_rate, _expand, samples_an_octet=0.5)


REGISTRATION: Final = Registration(INFOS, _encoder, _decoder)
