"""What the attributes of media mean: formats, packet times, directions, groups (RFC 8866 section 6 and its extensions).

Each type reads itself from the value of its attribute (`parse`, SdpError when it is malformed) and writes itself
(`str`). `readable` reads all attributes of a name and passes over those that are malformed: one broken line of a peer
does not end a call, it counts as not written. Keys are in `security`, ICE's attributes in `ice`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar, get_args

from ringback.sdp.description import LONGEST_PTIME, Connection, Section
from ringback.sdp.errors import SdpError

__all__ = [
    "Direction",
    "ExtensionMap",
    "Feedback",
    "FormatParameters",
    "Group",
    "Rtcp",
    "RtpMap",
    "SsrcAttribute",
    "direction_of",
    "milliseconds",
    "msrp_path",
    "parameters_of",
    "parameters_text",
    "readable",
    "receives",
    "sctp_port",
    "sends",
]

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)

Value = TypeVar("Value")

_NUMBER: Final = re.compile(r"[0-9]{1,10}\Z")
_HIGHEST_PORT: Final = 65535
_HIGHEST_PAYLOAD_TYPE: Final = 127
_HIGHEST_SSRC: Final = 0xFFFFFFFF
# RFC 8866 6.14 bounds neither; these are far beyond what exists.
_HIGHEST_CLOCK_RATE: Final = 10_000_000
_MOST_CHANNELS: Final = 255


def number(text: str, lowest: int, highest: int, what: str) -> int:
    """A decimal number within bounds. SdpError: it is none; `what` names it."""
    if not _NUMBER.match(text) or not lowest <= int(text) <= highest:
        raise SdpError(f"{text[:20]!r} is no {what}")
    return int(text)


def readable(parse: Callable[[str], Value], values: Iterable[str]) -> list[Value]:
    """What can be read of `values`, in order; what `parse` refuses is left out."""
    found = []
    for value in values:
        try:
            found.append(parse(value))
        except SdpError:
            # Counts as not written: see the head of this module.
            continue
    return found


@dataclass(frozen=True, slots=True)
class RtpMap:
    """a=rtpmap (RFC 8866 6.6): what a payload type stands for. `channels` is 1 where nothing is said."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1

    @classmethod
    def parse(cls, value: str) -> RtpMap:
        fields = value.split()
        if len(fields) < 2:
            raise SdpError(f"the rtpmap {value[:60]!r} has not its two fields")
        # Some write a space before the slash, or behind it.
        name, *rest = "".join(fields[1:]).split("/")
        if not name or not 1 <= len(rest) <= 2:
            raise SdpError(f"the rtpmap {value[:60]!r} does not end with a name and a clock rate")
        return cls(
            number(fields[0], 0, _HIGHEST_PAYLOAD_TYPE, "payload type"),
            name,
            number(rest[0], 1, _HIGHEST_CLOCK_RATE, "clock rate"),
            # Encoding parameters of video are no channels; nobody has defined any.
            number(rest[1], 1, _MOST_CHANNELS, "number of channels") if len(rest) == 2 else 1,
        )

    def __str__(self) -> str:
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload_type} {self.name}/{self.clock_rate}{channels}"


@dataclass(frozen=True, slots=True)
class FormatParameters:
    """a=fmtp (RFC 8866 6.15): the parameters of one format, unread."""

    format: str
    text: str

    @classmethod
    def parse(cls, value: str) -> FormatParameters:
        format_, space, text = value.strip(" ").partition(" ")
        if not format_ or not space:
            raise SdpError(f"the fmtp {value[:60]!r} has not its two fields")
        return cls(format_, text.strip(" "))

    def __str__(self) -> str:
        return f"{self.format} {self.text}"


def parameters_of(text: str) -> dict[str, str]:
    """The parameters of an fmtp as a mapping: "useinbandfec=1; minptime=10". What has no "=" is a name without value.

    So the events "0-16" of telephone-event and the list "98/98/98" of red are names; `parameters_text` writes them.
    """
    found = {}
    for part in text.split(";"):
        name, equals, value = part.strip(" \t").partition("=")
        if name:
            found[name.rstrip(" ")] = value.lstrip(" ") if equals else ""
    return found


def parameters_text(parameters: Mapping[str, str]) -> str:
    """The parameters as an fmtp has them behind the format."""
    return ";".join(f"{name}={value}" if value else name for name, value in parameters.items())


def milliseconds(value: str | None) -> int:
    """What a=ptime and a=maxptime say (RFC 8866 6.4, 6.5); 0 when they say nothing that makes sense.

    SdpError: so long that it is dangerous.
    """
    if value is None:
        return 0
    try:
        time = float(value.strip(" ")[:20])
    except ValueError:
        return 0
    if time > LONGEST_PTIME:
        raise SdpError(f"a packet time longer than {LONGEST_PTIME} ms")
    # "The ptime attribute MUST be greater than zero" (RFC 3264 5.1); gateways write 0 for "I do not care".
    return round(time) if math.isfinite(time) and time > 0 else 0


def sends(direction: Direction) -> bool:
    """Whether who writes this direction sends media."""
    return direction in ("sendrecv", "sendonly")


def receives(direction: Direction) -> bool:
    """Whether who writes this direction receives media."""
    return direction in ("sendrecv", "recvonly")


def direction_of(send: bool, receive: bool) -> Direction:
    """The direction of one who sends, receives, both or neither."""
    if send:
        return "sendrecv" if receive else "sendonly"
    return "recvonly" if receive else "inactive"


def own_direction(section: Section) -> Direction | None:
    """The direction that is written in this part itself."""
    for attribute in section.attributes:
        for direction in DIRECTIONS:
            if attribute.name == direction:
                return direction
    return None


@dataclass(frozen=True, slots=True)
class Rtcp:
    """a=rtcp (RFC 3605): where RTCP goes when that is not the port above; `address` "" is that of the c= line."""

    port: int
    address: str = ""

    @classmethod
    def parse(cls, value: str) -> Rtcp:
        fields = value.split()
        if len(fields) not in (1, 4):
            raise SdpError(f"{value[:60]!r} is not a port for RTCP, and its address")
        return cls(number(fields[0], 1, _HIGHEST_PORT, "port"), fields[3] if len(fields) == 4 else "")

    def __str__(self) -> str:
        return f"{self.port} {Connection.to(self.address)}" if self.address else str(self.port)


@dataclass(frozen=True, slots=True)
class Group:
    """a=group (RFC 5888): media streams that belong together, by their mid; `semantics` is "BUNDLE", "LS" …"""

    semantics: str
    tags: tuple[str, ...]

    @classmethod
    def parse(cls, value: str) -> Group:
        fields = value.split()
        if not fields:
            raise SdpError("a group without semantics")
        return cls(fields[0], tuple(fields[1:]))

    def __str__(self) -> str:
        return " ".join([self.semantics, *self.tags])


@dataclass(frozen=True, slots=True)
class Feedback:
    """a=rtcp-fb (RFC 4585 4.2): a kind of feedback ("nack pli", "transport-cc") for a format; "*" is all of them."""

    format: str
    kind: str

    @classmethod
    def parse(cls, value: str) -> Feedback:
        format_, space, kind = value.strip(" ").partition(" ")
        if not space:
            raise SdpError(f"the rtcp-fb {value[:60]!r} has not its two fields")
        return cls(format_, kind.strip(" "))

    def __str__(self) -> str:
        return f"{self.format} {self.kind}"


@dataclass(frozen=True, slots=True)
class ExtensionMap:
    """a=extmap (RFC 8285 section 8): the local number of an RTP header extension. `direction` is None for both ways."""

    id: int
    uri: str
    direction: str | None = None
    attributes: str = ""

    @classmethod
    def parse(cls, value: str) -> ExtensionMap:
        fields = value.split(None, 2)
        if len(fields) < 2:
            raise SdpError(f"the extmap {value[:60]!r} has not its two fields")
        id_, slash, direction = fields[0].partition("/")
        attributes = fields[2] if len(fields) == 3 else ""
        # 4096 and above are for more extensions than there are numbers (section 6).
        return cls(number(id_, 1, 4351, "number of an extension"), fields[1], direction if slash else None, attributes)

    def __str__(self) -> str:
        direction = "" if self.direction is None else f"/{self.direction}"
        attributes = f" {self.attributes}" if self.attributes else ""
        return f"{self.id}{direction} {self.uri}{attributes}"


@dataclass(frozen=True, slots=True)
class SsrcAttribute:
    """a=ssrc (RFC 5576 4.1): an attribute of one source, such as its "cname"."""

    ssrc: int
    name: str
    value: str | None = None

    @classmethod
    def parse(cls, value: str) -> SsrcAttribute:
        ssrc, space, attribute = value.strip(" ").partition(" ")
        name, colon, rest = attribute.partition(":")
        if not space or not name:
            raise SdpError(f"the ssrc {value[:60]!r} has no attribute")
        return cls(number(ssrc, 0, _HIGHEST_SSRC, "SSRC"), name, rest if colon else None)

    def __str__(self) -> str:
        return f"{self.ssrc} {self.name}" + ("" if self.value is None else f":{self.value}")


def msrp_path(section: Section) -> tuple[str, ...]:
    """a=path (RFC 4975 8.2): the MSRP URIs from the first relay to the endpoint; empty when there is none."""
    return tuple((section.value("path") or "").split())


def contents(section: Section) -> tuple[str, ...]:
    """a=content (RFC 4796): "slides", "speaker", "main" …; what is shown, for who lays it out."""
    return tuple(item.strip(" ") for item in (section.value("content") or "").split(",") if item.strip(" "))


def sctp_port(section: Section) -> int:
    """a=sctp-port (RFC 8841), or that of the older a=sctpmap; 0 when there is none."""
    for value in (section.value("sctp-port"), section.value("sctpmap")):
        fields = (value or "").split(None, 1)
        if fields and _NUMBER.match(fields[0]) and int(fields[0]) <= _HIGHEST_PORT:
            return int(fields[0])
    return 0
