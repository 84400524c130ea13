"""G.722: wide-band speech at 64 kbit/s, payload type 9 (RFC 3551 4.5.2). The arithmetic is that of the package G722."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from G722 import G722  # type: ignore[import-not-found]

from ringback.media.codecs.base import CodecInfo, Decoder, Encoder, Registration, refuse_sample_rate
from ringback.media.codecs.waveform import WaveformDecoder
from ringback.media.samples import Samples

__all__ = ["REGISTRATION"]

_SAMPLE_RATE: Final = 16000
_BIT_RATE: Final = 64000

# "Even though the actual sampling rate for G.722 audio is 16,000 Hz, the RTP clock rate for the G722 payload format is
# 8,000 Hz because that value was erroneously assigned in RFC 1890 and must remain unchanged".
INFO: Final = CodecInfo("G722", 8000, _SAMPLE_RATE, payload_type=9, bitrate=_BIT_RATE)


class _G722Encoder:
    __slots__ = ("_codec", "sample_rate")

    def __init__(self) -> None:
        self._codec = G722(_SAMPLE_RATE, _BIT_RATE)
        self.sample_rate = _SAMPLE_RATE

    def encode(self, samples: Samples) -> bytes:
        # An octet is a pair of samples, and the library reads what lies in memory behind one another.
        pairs = np.ascontiguousarray(samples[: len(samples) & ~1])
        encoded: bytes = self._codec.encode(pairs)
        return encoded

    def close(self) -> None:
        """Nothing is held that the collector would not give back."""


class _Expand:
    """The sub-band decoder; it goes on from payload to payload."""

    __slots__ = ("_codec",)

    def __init__(self) -> None:
        self._codec = G722(_SAMPLE_RATE, _BIT_RATE)

    def __call__(self, payload: bytes) -> Samples:
        # An array of NumPy or of the standard library, by the version of the package.
        return np.frombuffer(self._codec.decode(bytes(payload)), dtype=np.int16) if payload else _NOTHING


_NOTHING: Final = np.zeros(0, dtype=np.int16)


def _encoder(info: CodecInfo, parameters: Mapping[str, str]) -> Encoder:
    refuse_sample_rate(info, (_SAMPLE_RATE,))
    return _G722Encoder()


def _decoder(info: CodecInfo) -> Decoder:
    refuse_sample_rate(info, (_SAMPLE_RATE,))
    return WaveformDecoder(_SAMPLE_RATE, _Expand(), samples_an_octet=2)


REGISTRATION: Final = Registration((INFO,), _encoder, _decoder)
