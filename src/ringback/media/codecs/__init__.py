"""The codecs: which there are, and what encodes and decodes with them. One file a codec.

    available()                 what can be offered, best first
    find("opus", 48000)         one of them by its rtpmap, or None
    encoder(info, parameters)   for one stream that is sent
    decoder(info)               for one stream that is received
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ringback.errors import LocalError
from ringback.media.codecs import g722, l16, opus, pcma, pcmu
from ringback.media.codecs.base import Adjustable, CodecInfo, Decoder, Encoder, Registration

__all__ = ["Adjustable", "CodecInfo", "Decoder", "Encoder", "available", "decoder", "encoder", "find", "static"]

# Best first. A new codec is one file, and one entry here.
_REGISTERED: Final[tuple[Registration, ...]] = (
    opus.REGISTRATION,
    g722.REGISTRATION,
    pcmu.REGISTRATION,
    pcma.REGISTRATION,
    l16.REGISTRATION,
)


def available() -> list[CodecInfo]:
    """Every codec that works here, best first: Opus only where its library is installed."""
    return [info for registration in _REGISTERED if registration.available() for info in registration.infos]


def find(name: str, clock_rate: int = 0, channels: int = 0) -> CodecInfo | None:
    """The available codec of that encoding name, in any case, and of that RTP clock and channels unless they are 0."""
    for info in available():
        if info.name.lower() == name.lower() and clock_rate in (0, info.clock_rate) and channels in (0, info.channels):
            return info
    return None


def static(payload_type: int) -> CodecInfo | None:
    """The available codec that has this payload type without an rtpmap (RFC 3551 table 4)."""
    for info in available():
        if info.payload_type == payload_type >= 0:
            return info
    return None


def encoder(info: CodecInfo, parameters: Mapping[str, str] | None = None) -> Encoder:
    """An encoder, set as the other side's fmtp `parameters` ask. LocalError: no such codec, or not at that rate."""
    return _registration(info).encoder(info, {name.lower(): value for name, value in (parameters or {}).items()})


def decoder(info: CodecInfo) -> Decoder:
    """A decoder. LocalError: no such codec, or not at that rate."""
    return _registration(info).decoder(info)


def _registration(info: CodecInfo) -> Registration:
    for registration in _REGISTERED:
        if any(known.rtpmap.lower() == info.rtpmap.lower() for known in registration.infos):
            if not registration.available():
                raise LocalError(f"the library of {info.name} is not installed")
            return registration
    raise LocalError(f"there is no codec {info.rtpmap}; see ringback.media.codecs.available()")
