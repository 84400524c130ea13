"""Payload formats as both sides of a negotiation see them: what they are, and when two of them are the same.

RTP formats are named by their rtpmap; the payload type is a number that this session gives to it. Some parameters of an
fmtp choose between formats that cannot read each other (the profile of H.264), and so are part of the name; the others
say what the writer would like to receive (Opus), and are nobody else's business (RFC 3264 6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ringback.sdp.attributes import Feedback, FormatParameters, RtpMap, parameters_of, parameters_text, readable
from ringback.sdp.description import MediaDescription

__all__ = ["COMFORT_NOISE", "TELEPHONE_EVENT", "Codec", "codecs_of", "common_events", "matches", "static_codec"]

TELEPHONE_EVENT: Final = "telephone-event"
COMFORT_NOISE: Final = "CN"

_LOWEST_DYNAMIC: Final = 96
_HIGHEST_PAYLOAD_TYPE: Final = 127


@dataclass(frozen=True, slots=True)
class Codec:
    """One format of a stream.

    name          the encoding name: "PCMU", "opus", "telephone-event"; compared without regard to case
    clock_rate    of the RTP timestamps, as the rtpmap has it: 8000 for G722 (RFC 3551 4.5.2), 48000 for opus
    channels      as the rtpmap has it: always 2 for opus (RFC 7587 section 7)
    payload_type  -1 for one that has not been given a number yet
    parameters    of the fmtp; a parameter without "=" is a name with an empty value (the "0-16" of telephone-event)
    feedback      kinds of RTCP feedback (RFC 4585), for a stream of the AVPF kind
    """

    name: str
    clock_rate: int
    channels: int = 1
    payload_type: int = -1
    parameters: Mapping[str, str] = field(default_factory=dict)
    feedback: tuple[str, ...] = ()

    @property
    def fmtp(self) -> str:
        """The parameters as SDP has them, "" for none."""
        return parameters_text(self.parameters)

    @property
    def rtpmap(self) -> str:
        """What stands behind the payload type: "opus/48000/2"."""
        return f"{self.name}/{self.clock_rate}" + (f"/{self.channels}" if self.channels != 1 else "")

    @property
    def is_event(self) -> bool:
        """DTMF and other events (RFC 4733)."""
        return self.name.lower() == TELEPHONE_EVENT

    @property
    def is_comfort_noise(self) -> bool:
        """Comfort noise (RFC 3389)."""
        return self.name.upper() == COMFORT_NOISE

    @property
    def is_auxiliary(self) -> bool:
        """Whether it only goes with others: events, noise, repair and redundancy."""
        return self.name.lower() in _AUXILIARY

    def parameter(self, name: str, default: str = "") -> str:
        """The value of a parameter, whatever the case of its name."""
        for known, value in self.parameters.items():
            if known.lower() == name.lower():
                return value
        return default

    def numbered(self, payload_type: int) -> Codec:
        """The same under another payload type."""
        return replace(self, payload_type=payload_type)


_AUXILIARY: Final = frozenset({TELEPHONE_EVENT, "cn", "red", "rtx", "ulpfec", "flexfec-03", "parityfec", "flexfec"})

# RFC 3551 tables 4 and 5: what a payload type is without an rtpmap.
_STATIC: Final[dict[int, Codec]] = {
    codec.payload_type: codec
    for codec in (
        Codec("PCMU", 8000, 1, 0),
        Codec("GSM", 8000, 1, 3),
        Codec("G723", 8000, 1, 4),
        Codec("DVI4", 8000, 1, 5),
        Codec("DVI4", 16000, 1, 6),
        Codec("LPC", 8000, 1, 7),
        Codec("PCMA", 8000, 1, 8),
        Codec("G722", 8000, 1, 9),
        Codec("L16", 44100, 2, 10),
        Codec("L16", 44100, 1, 11),
        Codec("QCELP", 8000, 1, 12),
        Codec("CN", 8000, 1, 13),
        Codec("MPA", 90000, 1, 14),
        Codec("G728", 8000, 1, 15),
        Codec("DVI4", 11025, 1, 16),
        Codec("DVI4", 22050, 1, 17),
        Codec("G729", 8000, 1, 18),
        Codec("CelB", 90000, 1, 25),
        Codec("JPEG", 90000, 1, 26),
        Codec("nv", 90000, 1, 28),
        Codec("H261", 90000, 1, 31),
        Codec("MPV", 90000, 1, 32),
        Codec("MP2T", 90000, 1, 33),
        Codec("H263", 90000, 1, 34),
    )
}


def static_codec(payload_type: int) -> Codec | None:
    """The codec that has this payload type by RFC 3551, or None."""
    return _STATIC.get(payload_type)


def static_payload_type(codec: Codec) -> int:
    """The payload type that RFC 3551 gives to this codec, or -1."""
    for known in _STATIC.values():
        if same_encoding(known, codec):
            return known.payload_type
    return -1


def is_dynamic(payload_type: int) -> bool:
    """Whether the payload type means only what an rtpmap says (RFC 3551 section 3)."""
    return _LOWEST_DYNAMIC <= payload_type <= _HIGHEST_PAYLOAD_TYPE


def normal(codec: Codec) -> Codec:
    """The codec with what old mistakes have made of its rtpmap put right."""
    name = codec.name.lower()
    # RFC 7587 section 7: "The RTP clock rate in "a=rtpmap" MUST be 48000, and the number of channels MUST be 2."
    if name == "opus" and codec.channels != 2:
        return replace(codec, channels=2)
    # RFC 3551 4.5.2: the clock rate of G722 is 8000 although it samples at 16000; some write what it samples at.
    if name == "g722" and codec.clock_rate == 16000:
        return replace(codec, clock_rate=8000)
    return codec


def codecs_of(media: MediaDescription, known: Iterable[Codec] = ()) -> list[Codec]:
    """The formats of an RTP stream that can be told, in the order of its m= line.

    A dynamic payload type without an rtpmap is nothing; unless it is one of `known`, as in the answer of a peer that
    leaves out what the offer has said.
    """
    named = {codec.payload_type: codec for codec in known}
    for rtpmap in readable(RtpMap.parse, media.values("rtpmap")):
        named[rtpmap.payload_type] = Codec(rtpmap.name, rtpmap.clock_rate, rtpmap.channels, rtpmap.payload_type)
    parameters = {found.format: found.text for found in readable(FormatParameters.parse, media.values("fmtp"))}
    feedback: dict[str, list[str]] = {}
    for line in readable(Feedback.parse, media.values("rtcp-fb")):
        feedback.setdefault(line.format, []).append(line.kind)
    for_all = feedback.get("*", [])
    codecs = []
    for format_ in dict.fromkeys(media.formats):
        if not format_.isascii() or not format_.isdecimal() or len(format_) > 3:
            continue
        payload_type = int(format_)
        codec = named.get(payload_type) or _STATIC.get(payload_type)
        if codec is None or payload_type > _HIGHEST_PAYLOAD_TYPE:
            continue
        kinds = (*feedback.get(format_, ()), *for_all)
        codec = replace(codec, parameters=parameters_of(parameters.get(format_, "")), feedback=kinds)
        codecs.append(normal(codec))
    return codecs


# The parameters that make different formats of one name, and what they are when they are not written.
_CONFIGURATION: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "h264": (("packetization-mode", "0"),),  # RFC 6184 8.2.2; the profile has its own rule
    "h264-svc": (("packetization-mode", "0"),),
    "h265": (("profile-id", "1"),),  # RFC 7798 7.1
    "vp9": (("profile-id", "0"),),  # RFC 9628 6
    "av1": (("profile", "0"),),
    "amr": (("octet-align", "0"), ("crc", "0"), ("robust-sorting", "0")),  # RFC 4867 8.3.1
    "amr-wb": (("octet-align", "0"), ("crc", "0"), ("robust-sorting", "0")),
    "g7221": (("bitrate", ""),),  # RFC 5577
    "siren14": (("bitrate", ""),),
    "mpeg4-generic": (("mode", ""), ("config", "")),
    "mp4a-latm": (("config", ""),),
}


def configuration(codec: Codec) -> frozenset[str]:
    """The names, in lower case, of the parameters that choose between formats of this name."""
    name = codec.name.lower()
    profile = ("profile-level-id",) if name.startswith("h264") else ()
    return frozenset((*(parameter for parameter, _ in _CONFIGURATION.get(name, ())), *profile))


def same_encoding(one: Codec, other: Codec) -> bool:
    """Whether the rtpmaps are the same."""
    one, other = normal(one), normal(other)
    return (
        one.name.lower() == other.name.lower() and one.clock_rate == other.clock_rate and one.channels == other.channels
    )


def matches(one: Codec, other: Codec) -> bool:
    """Whether who speaks `one` understands `other`: the same rtpmap, and parameters that choose the same format."""
    if not same_encoding(one, other):
        return False
    name = one.name.lower()
    for parameter, default in _CONFIGURATION.get(name, ()):
        if one.parameter(parameter, default).lower() != other.parameter(parameter, default).lower():
            return False
    if name.startswith("h264"):
        return _same_h264_profile(one, other)
    return True


def identity(codec: Codec) -> tuple[str, ...]:
    """What a payload type has to mean as long as a session lasts (RFC 3264 8.3.2)."""
    codec = normal(codec)
    name = codec.name.lower()
    parts = [name, str(codec.clock_rate), str(codec.channels)]
    parts.extend(codec.parameter(parameter, default).lower() for parameter, default in _CONFIGURATION.get(name, ()))
    if name.startswith("h264"):
        parts.append(str(_h264_profile(codec)))
    # A format that repairs or bundles others is another one for each of them.
    if name in ("rtx", "red"):
        parts.append(codec.fmtp)
    return tuple(parts)


_PROFILE_LEVEL: Final = re.compile(r"[0-9A-Fa-f]{6}\Z")


def _h264_profile(codec: Codec) -> tuple[int, int] | None:
    """profile_idc and the constraint flags that tell profiles apart; None when there is no profile-level-id."""
    text = codec.parameter("profile-level-id")
    if not _PROFILE_LEVEL.match(text):
        return None
    idc, flags = int(text[:2], 16), int(text[2:4], 16)
    # RFC 6184 8.1 table 5: several ways to write Constrained Baseline; flags 0 to 2 say which profiles it conforms to.
    if (idc == 0x42 and flags & 0x40) or (idc == 0x4D and flags & 0x80) or (idc == 0x58 and flags & 0xC0 == 0xC0):
        return 0x42, 0x40
    # Constraint flags 3, 4 and 5 make intra-only and constrained forms of the other profiles.
    return idc, flags & 0x1C if idc > 0x58 else 0


def _same_h264_profile(one: Codec, other: Codec) -> bool:
    # Whoever names no profile takes what comes: streams that are carried and not shown here.
    first, second = _h264_profile(one), _h264_profile(other)
    return first is None or second is None or first == second


_EVENT_RANGE: Final = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?\Z")
_EVENTS: Final = 256


def common_events(one: Codec, other: Codec) -> dict[str, str]:
    """The parameters of telephone-event for the events that both understand; {} when there are none.

    RFC 4733 2.4.1: the list of events is the one parameter, and "0-15" is meant when it is missing.
    """
    common = _events(one) & _events(other)
    ranges: list[str] = []
    event = 0
    while event < _EVENTS:
        if event in common:
            first = event
            while event + 1 in common:
                event += 1
            ranges.append(str(first) if first == event else f"{first}-{event}")
        event += 1
    return {",".join(ranges): ""} if ranges else {}


def _events(codec: Codec) -> set[int]:
    found: set[int] = set()
    for name, value in codec.parameters.items():
        if value and name != "events":
            continue
        for item in (value or name).split(",")[:_EVENTS]:
            match = _EVENT_RANGE.match(item.strip(" "))
            if match is not None:
                last = int(match[2] or match[1])
                found.update(range(int(match[1]), min(last, _EVENTS - 1) + 1))
    return found or set(range(16))
