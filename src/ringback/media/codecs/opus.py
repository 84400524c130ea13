"""Opus: mono voice at 48 kHz, dynamic payload type (RFC 7587, RFC 6716), through the libopus of the system.

The rtpmap is always opus/48000/2, whatever goes in and comes out (RFC 7587 section 7); stereo that is received is mixed
down by the library. What quality repair turns at run time (bit rate, in-band FEC, expected loss, DTX, complexity) is
`OpusEncoder.adjust`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ctypes import c_int, create_string_buffer
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ringback.errors import LocalError
from ringback.media.codecs.base import CodecInfo, Decoder, Encoder, Registration, refuse_sample_rate
from ringback.media.codecs.opus_library import Handle, Library, library
from ringback.media.samples import Samples, silence

__all__ = ["REGISTRATION", "OpusDecoder", "OpusEncoder", "OpusSettings", "version"]

_SAMPLE_RATES: Final = (48000, 24000, 16000, 12000, 8000)
_MONO: Final = 1
#: Section 4.2: "up to a maximum packet duration representing 120 ms".
_LONGEST: Final = 120
#: What is lost is concealed in steps of 2.5 ms.
_STEPS_A_SECOND: Final = 400
#: Octets of the largest payload: an Ethernet's packet without the headers around it.
_LARGEST_PAYLOAD: Final = 1400
#: Payloads of up to two octets need not be sent while DTX is on (opus_encode).
_NOTHING_TO_SEND: Final = 2

_APPLICATION_VOIP: Final = 2048
_SIGNAL_VOICE: Final = 3001
_SIGNAL_AUTO: Final = -1000
_BANDWIDTHS: Final = ((8000, 1101), (12000, 1102), (16000, 1103), (24000, 1104), (48000, 1105))

_SET_BITRATE: Final = 4002
_SET_MAX_BANDWIDTH: Final = 4004
_SET_VBR: Final = 4006
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_SET_DTX: Final = 4016
_SET_SIGNAL: Final = 4024

# Section 6.1: "values outside the range 6000 to 510000 SHOULD be ignored".
_LOWEST_BITRATE: Final = 6000
_HIGHEST_BITRATE: Final = 510000
# Section 3.1.1, in its sweet spots for speech: wide band for samples at 16 kHz, full band above.
_WIDE_BAND_BITRATE: Final = 20000
_FULL_BAND_BITRATE: Final = 32000

INFO: Final = CodecInfo("opus", 48000, 48000, channels=2, fmtp="useinbandfec=1", frames=(10, 20, 40, 60))


def version() -> str | None:
    """What the library calls itself ("libopus 1.4"), or None when it is not installed: then Opus is not offered."""
    found = library()
    return found.version if found else None


@dataclass(frozen=True, slots=True)
class OpusSettings:
    """How an encoder is set; see `codecs.base.Adjustable`. `constant`: constant bit rate, as fmtp's cbr asks."""

    bitrate: int
    fec: bool = False
    expected_loss: int = 0
    dtx: bool = False
    complexity: int = 5
    constant: bool = False
    max_playback_rate: int = 48000


def settings_for(info: CodecInfo, parameters: Mapping[str, str]) -> OpusSettings:
    """What the other side's fmtp parameters ask for (RFC 7587 section 6.1); what makes no sense in them is ignored."""
    bitrate = _FULL_BAND_BITRATE if info.sample_rate > 16000 else _WIDE_BAND_BITRATE
    most = _number(parameters, "maxaveragebitrate")
    if _LOWEST_BITRATE <= most <= _HIGHEST_BITRATE:
        # 7.1: "The sender of the other side MUST NOT send with an average bitrate higher than "maxaveragebitrate"".
        bitrate = min(bitrate, most)
    return OpusSettings(
        bitrate,
        fec=_number(parameters, "useinbandfec") == 1,
        dtx=_number(parameters, "usedtx") == 1,
        constant=_number(parameters, "cbr") == 1,
        max_playback_rate=_number(parameters, "maxplaybackrate") or 48000,
    )


def _number(parameters: Mapping[str, str], name: str) -> int:
    """The parameter's value, 0 when there is none or when it is no number."""
    text = parameters.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


class OpusEncoder:
    """Encodes mono voice. `settings` says how it is set at the moment."""

    __slots__ = (
        "__weakref__",
        "_address",
        "_handle",
        "_lengths",
        "_library",
        "_octets",
        "_payload",
        "_samples",
        "sample_rate",
        "settings",
    )

    def __init__(self, sample_rate: int, settings: OpusSettings) -> None:
        self.sample_rate = sample_rate
        self._library = _installed()
        self._handle = self._library.new_encoder(self, sample_rate, _MONO, _APPLICATION_VOIP)
        # 2.5, 5, 10, 20, 40 and 60 ms (section 4.2); the last three may be combined, which nobody needs here.
        self._lengths = frozenset(sample_rate * tenths // 10000 for tenths in (25, 50, 100, 200, 400, 600))
        # Samples are copied here, so that they lie behind one another at an address that is known.
        self._samples = np.zeros(max(self._lengths), dtype=np.int16)
        self._address = self._samples.ctypes.data
        self._payload = create_string_buffer(_LARGEST_PAYLOAD)
        self._octets = memoryview(self._payload).cast("B")
        self.settings = settings
        self._apply()
        self._set(_SET_VBR, not settings.constant)
        self._set(_SET_MAX_BANDWIDTH, _bandwidth(settings.max_playback_rate))

    def encode(self, samples: Samples) -> bytes:
        """The payload of 2.5, 5, 10, 20, 40 or 60 ms; b"" in silence with DTX. LocalError: other length, or closed."""
        count = len(samples)
        if count not in self._lengths:
            raise LocalError(f"Opus encodes {sorted(self._lengths)} samples at {self.sample_rate} Hz, not {count}")
        self._samples[:count] = samples
        size: int = self._library.encode(
            self._handle.address, self._address, count, self._payload, _LARGEST_PAYLOAD
        )
        if size < 0:
            # The arguments are right, so this is a fault of the library: as if the packet had been lost on its way.
            return b""
        if size <= _NOTHING_TO_SEND and self.settings.dtx:
            return b""
        return self._octets[:size].tobytes()

    def adjust(
        self,
        *,
        bitrate: int | None = None,
        fec: bool | None = None,
        expected_loss: int | None = None,
        dtx: bool | None = None,
        complexity: int | None = None,
    ) -> None:
        """See `codecs.base.Adjustable`."""
        now = self.settings
        self.settings = replace(
            now,
            bitrate=_within("bitrate", _LOWEST_BITRATE, _HIGHEST_BITRATE, bitrate, now.bitrate),
            fec=now.fec if fec is None else fec,
            expected_loss=_within("expected_loss", 0, 100, expected_loss, now.expected_loss),
            dtx=now.dtx if dtx is None else dtx,
            complexity=_within("complexity", 0, 10, complexity, now.complexity),
        )
        self._apply()

    def close(self) -> None:
        """Free the encoder; may be called twice."""
        self._handle.close()

    def _apply(self) -> None:
        settings = self.settings
        self._set(_SET_BITRATE, settings.bitrate)
        self._set(_SET_COMPLEXITY, settings.complexity)
        self._set(_SET_INBAND_FEC, settings.fec)
        self._set(_SET_PACKET_LOSS_PERC, settings.expected_loss)
        self._set(_SET_DTX, settings.dtx)
        # Only the voice mode carries FEC (section 3.3), and only with this hint is it kept at every bit rate.
        self._set(_SET_SIGNAL, _SIGNAL_VOICE if settings.fec and settings.expected_loss else _SIGNAL_AUTO)

    def _set(self, request: int, value: int) -> None:
        self._library.encoder_ctl(self._handle.address, request, c_int(value))


class OpusDecoder:
    """Decodes to mono, conceals what is lost, and takes what it can from the redundancy of the packet after it.

    malformed  payloads that were none
    """

    __slots__ = ("__weakref__", "_address", "_handle", "_last", "_library", "_samples", "malformed", "sample_rate")

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.malformed = 0
        self._library = _installed()
        self._handle: Handle = self._library.new_decoder(self, sample_rate, _MONO)
        self._samples = np.zeros(sample_rate * _LONGEST // 1000, dtype=np.int16)
        self._address = self._samples.ctypes.data
        self._last = sample_rate // 50

    def decode(self, payload: bytes) -> Samples:
        """The samples of one packet; a malformed one is concealed as if it were lost."""
        # An empty one would mean to the library that the packet is lost, for as long as there is room.
        count = self._decode(payload, len(self._samples), fec=False) if payload else -1
        if count <= 0:
            self.malformed += 1
            return self.conceal(self._last)
        self._last = count
        return self._samples[:count].copy()

    def conceal(self, count: int) -> Samples:
        """`count` samples in place of what was lost."""
        pieces = []
        missing = count
        while missing > 0:
            piece = self._conceal(min(missing, len(self._samples)))
            pieces.append(piece)
            missing -= len(piece)
        if not pieces:
            return silence(0)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def decode_fec(self, payload: bytes, count: int) -> Samples | None:
        """`count` samples in place of the packet before this one; concealed where it says nothing of that one."""
        steps = self._whole_steps(count)
        if not payload or not 0 < steps <= len(self._samples) or not self.duration(payload):
            return None
        if self._decode(payload, steps, fec=True) < count:
            return None
        return self._samples[:count].copy()

    def duration(self, payload: bytes) -> int:
        """How many samples the payload says that it holds; 0 when it says nothing that could be."""
        count: int = self._library.packet_samples(payload, len(payload), self.sample_rate) if payload else 0
        return max(count, 0)

    def close(self) -> None:
        """Free the decoder; may be called twice."""
        self._handle.close()

    def _conceal(self, count: int) -> Samples:
        if self._decode(None, self._whole_steps(count), fec=False) < count:
            return silence(count)
        return self._samples[:count].copy()

    def _whole_steps(self, count: int) -> int:
        """So many samples, or the next number of them that the library can conceal."""
        step = self.sample_rate // _STEPS_A_SECOND
        return -(-count // step) * step

    def _decode(self, payload: bytes | None, room: int, *, fec: bool) -> int:
        count: int = self._library.decode(
            self._handle.address, payload, len(payload or b""), self._address, room, fec
        )
        return count


def _installed() -> Library:
    found = library()
    if found is None:
        raise LocalError("libopus is not installed (or RINGBACK_OPUS names another file); Opus cannot be used")
    return found


def _within(name: str, lowest: int, highest: int, wanted: int | None, now: int) -> int:
    value = now if wanted is None else wanted
    if not lowest <= value <= highest:
        raise LocalError(f"{name} of Opus is {lowest} to {highest}, not {value}")
    return value


def _bandwidth(rate: int) -> int:
    """The library's number for the widest band that sound at that rate can hold."""
    for limit, number in _BANDWIDTHS:
        if rate <= limit:
            return number
    return _BANDWIDTHS[-1][1]


def _encoder(info: CodecInfo, parameters: Mapping[str, str]) -> Encoder:
    refuse_sample_rate(info, _SAMPLE_RATES)
    return OpusEncoder(info.sample_rate, settings_for(info, parameters))


def _decoder(info: CodecInfo) -> Decoder:
    refuse_sample_rate(info, _SAMPLE_RATES)
    return OpusDecoder(info.sample_rate)


REGISTRATION: Final = Registration((INFO,), _encoder, _decoder, lambda: library() is not None)
