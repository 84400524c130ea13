"""Session descriptions as they are written: lines, parsed and put together again (RFC 8866).

    description = parse(body)          SdpError: what is malformed or too much
    body = description.encode()

A description is a session part and media parts; each keeps its lines by type, in the order that they came in. What a
line means beyond its own type is for others (`ringback.sdp.attributes`): an attribute that nobody here knows is written
back as it was.

The grammar is read leniently where peers are sloppy (bare LF, no newline at the end, lines out of order, no s= or t=,
spaces in the user name, types of lines that do not exist) and strictly where sloppiness can hurt: sizes, counts, ports,
bandwidths and packet times are bounded, and each line is looked at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from ringback.errors import LocalError
from ringback.sdp.errors import NOT_ACCEPTABLE_HERE, SdpError

__all__ = [
    "LONGEST_PTIME",
    "MAXIMUM_FORMATS",
    "MAXIMUM_LINES",
    "MAXIMUM_MEDIA",
    "MAXIMUM_OCTETS",
    "Attribute",
    "Bandwidth",
    "Connection",
    "MediaDescription",
    "Origin",
    "Section",
    "SessionDescription",
    "parse",
]

#: The bounds of what is read. Browsers with many video codecs write 300 lines in 15 KiB.
MAXIMUM_OCTETS: Final = 65536
MAXIMUM_LINES: Final = 1000
MAXIMUM_MEDIA: Final = 64
MAXIMUM_FORMATS: Final = 256
#: Milliseconds; a packet of RTP with a second of sound serves nobody, and buffers are made by this number.
LONGEST_PTIME: Final = 1000

#: A line: its type letter and its value.
Line = tuple[str, str]

_NUMBER: Final = re.compile(r"[0-9]{1,15}\Z")
# RFC 8866 5.2 wants digits. Signed ones are written by phones that keep a clock in 32 bits.
_VERSION: Final = re.compile(r"-?[0-9]{1,40}\Z")
_NULL_ADDRESSES: Final = frozenset({"0.0.0.0", "::", "0:0:0:0:0:0:0:0"})
_MULTICAST_4: Final = re.compile(r"2(?:2[4-9]|3[0-9])\.")
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Attribute:
    """One a= line. `value` is None for a flag such as "rtcp-mux", and what stands behind the colon otherwise."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """One b= line: `kind` is "AS" (kilobits a second), "TIAS" (bits a second, RFC 3890), "RR", "RS" (RFC 3556) …"""

    kind: str
    value: int

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class Connection:
    """One c= line (5.7). `address` may hold what follows a multicast address: "233.252.0.1/127/3"."""

    address: str
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def to(cls, address: str) -> Connection:
        """The connection to an IP literal or, as IPv4, a host name."""
        return cls(address, _address_type(address))

    @property
    def host(self) -> str:
        """The address alone."""
        return self.address.partition("/")[0]

    @property
    def is_null(self) -> bool:
        """No address: "neither RTP nor RTCP should be sent to the peer" (RFC 3264 8.4)."""
        return self.host in _NULL_ADDRESSES

    @property
    def is_multicast(self) -> bool:
        """A group's address, of either family."""
        return _MULTICAST_4.match(self.address) is not None or self.address[:2].lower() == "ff"

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}"


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line (5.2): who made the description, which session it describes, and its how-manieth version it is."""

    username: str
    session_id: int
    version: int
    address: str
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def of(cls, session_id: int, address: str, version: int | None = None, username: str = "-") -> Origin:
        """Our own. `session_id` is random; the first version is the same number unless another one is given."""
        number = session_id if version is None else version
        return cls(username, session_id, number, address, _address_type(address))

    def with_version(self, version: int) -> Origin:
        """The same session, described anew."""
        return Origin(self.username, self.session_id, version, self.address, self.address_type, self.network_type)

    def __str__(self) -> str:
        where = f"{self.network_type} {self.address_type} {self.address}"
        return f"{self.username} {self.session_id} {self.version} {where}"


def _address_type(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


@dataclass(slots=True)
class Section:
    """What the session part and the media parts have in common.

    information  i=, or None
    bandwidths   b=
    key          k= (obsolete: 5.12), or None
    attributes   a=, in order
    unknown      lines of types that do not exist, in order; written at the end of the part
    """

    information: str | None = field(default=None, kw_only=True)
    bandwidths: list[Bandwidth] = field(default_factory=list, kw_only=True)
    key: str | None = field(default=None, kw_only=True)
    attributes: list[Attribute] = field(default_factory=list, kw_only=True)
    unknown: list[Line] = field(default_factory=list, kw_only=True)

    def has(self, name: str) -> bool:
        """Whether there is such an attribute, with or without a value."""
        return any(attribute.name == name for attribute in self.attributes)

    def value(self, name: str) -> str | None:
        """The value of the first such attribute; None when there is none, or when it is a flag."""
        for attribute in self.attributes:
            if attribute.name == name:
                return attribute.value
        return None

    def values(self, name: str) -> list[str]:
        """The values of all such attributes, in order."""
        return [found.value for found in self.attributes if found.name == name and found.value is not None]

    def add(self, name: str, value: str | int | None = None) -> None:
        """Write one more attribute."""
        self.attributes.append(Attribute(name, None if value is None else str(value)))

    def _tail(self) -> list[str]:
        """The lines that end the part: k=, a= and what is unknown."""
        lines = [] if self.key is None else [f"k={self.key}"]
        lines.extend(f"a={attribute}" for attribute in self.attributes)
        lines.extend(f"{letter}={value}" for letter, value in self.unknown)
        return lines


@dataclass(slots=True)
class MediaDescription(Section):
    """One m= line (5.14) with all that belongs to it.

    kind         "audio", "video", "text", "message", "application", "image" …
    port         0: the stream is refused, removed, or (with bundle-only) on the port of another one
    protocol     as written: "RTP/AVP", "UDP/TLS/RTP/SAVPF", "TCP/TLS/MSRP" …
    formats      as written, best first: payload types for RTP. Empty only when a peer wrote none
    port_count   how many ports (layered encodings), nearly always 1
    connections  c= lines of this part; more than one only for layered multicast
    """

    kind: str
    port: int
    protocol: str
    formats: list[str] = field(default_factory=list)
    port_count: int = 1
    connections: list[Connection] = field(default_factory=list)

    @property
    def connection(self) -> Connection | None:
        """The first c= line of this part, if it has one of its own."""
        return self.connections[0] if self.connections else None

    def lines(self) -> list[str]:
        """The part as it is written, without line ends."""
        port = str(self.port) if self.port_count == 1 else f"{self.port}/{self.port_count}"
        lines = [" ".join([f"m={self.kind}", port, self.protocol, *self.formats])]
        if self.information is not None:
            lines.append(f"i={self.information}")
        lines.extend(f"c={connection}" for connection in self.connections)
        lines.extend(f"b={bandwidth}" for bandwidth in self.bandwidths)
        lines.extend(self._tail())
        return lines


@dataclass(slots=True)
class SessionDescription(Section):
    """A whole description.

    origin      o=
    name        s=; "-" when there is none (5.3)
    connection  c= of the session part: where a media part has none of its own
    media       the m= parts
    uri, emails, phones   u=, e=, p=
    times       t=, r= and z= lines, in order; written as they came ("the t= line in the answer MUST equal that of the
                offer", RFC 3264 section 6)
    """

    origin: Origin
    name: str = "-"
    connection: Connection | None = None
    media: list[MediaDescription] = field(default_factory=list)
    uri: str | None = None
    emails: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    times: list[Line] = field(default_factory=lambda: [("t", "0 0")])

    def encode(self) -> bytes:
        """The description as a body of type application/sdp. LocalError: a value that would not be one line."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        if self.information is not None:
            lines.append(f"i={self.information}")
        if self.uri is not None:
            lines.append(f"u={self.uri}")
        lines.extend(f"e={email}" for email in self.emails)
        lines.extend(f"p={phone}" for phone in self.phones)
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines.extend(f"b={bandwidth}" for bandwidth in self.bandwidths)
        lines.extend(f"{letter}={value}" for letter, value in self.times)
        lines.extend(self._tail())
        for media in self.media:
            lines.extend(media.lines())
        text = "\r\n".join([*lines, ""])
        if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
            raise LocalError("a value of the session description holds a line end or a NUL")
        return text.encode("utf-8", "surrogateescape")


def parse(data: bytes) -> SessionDescription:
    """Read a description. SdpError: malformed (400), or more than is read (488); see the bounds above."""
    if len(data) > MAXIMUM_OCTETS:
        raise SdpError(f"a session description of {len(data)} octets is too long", NOT_ACCEPTABLE_HERE)
    lines = _lines(data)
    if not lines or lines[0][0] != "v":
        raise SdpError("a session description begins with v=0")
    if lines[0][1].strip() != "0":
        raise SdpError(f"version {lines[0][1][:20]!r} of SDP is not known")
    return _Reader().read(lines[1:])


def _lines(data: bytes) -> list[Line]:
    """The lines, each as its type and its value; empty ones are left out."""
    if b"\0" in data:
        raise SdpError("a session description holds a NUL")
    if data.count(b"\n") > MAXIMUM_LINES:
        raise SdpError(f"a session description has more than {MAXIMUM_LINES} lines", NOT_ACCEPTABLE_HERE)
    found = []
    # RFC 8866 section 5: "parsers SHOULD be tolerant and also accept records terminated with a single newline".
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        line = line.rstrip("\r")
        if not line.strip(" \t"):
            continue
        if "\r" in line:
            raise SdpError("a line of the session description holds a carriage return")
        if line[1:2] != "=" or not line[0].isalpha() or not line[0].isascii():
            raise SdpError(f"{line[:20]!r} is not a line of a session description")
        found.append((line[0], line[2:]))
    return found


class _Reader:
    """Reads the lines after v= into a description, one after the other."""

    def __init__(self) -> None:
        self.origin: Origin | None = None
        self.name: str = "-"
        self.session: SessionDescription = SessionDescription(Origin("-", 0, 0, "0.0.0.0"), times=[])

    def read(self, lines: list[Line]) -> SessionDescription:
        media: MediaDescription | None = None
        for letter, value in lines:
            if letter == "m":
                if len(self.session.media) == MAXIMUM_MEDIA:
                    raise SdpError(f"more than {MAXIMUM_MEDIA} media streams are described", NOT_ACCEPTABLE_HERE)
                media = parse_media_line(value)
                self.session.media.append(media)
            elif media is not None:
                self._media_line(media, letter, value)
            else:
                self._session_line(letter, value)
        if self.origin is None:
            raise SdpError("the session description has no o= line")
        self.session.origin = self.origin
        if not self.session.times:
            self.session.times.append(("t", "0 0"))
        return self.session

    def _session_line(self, letter: str, value: str) -> None:
        session = self.session
        if letter == "o":
            if self.origin is not None:
                raise SdpError("the session description has two o= lines")
            self.origin = parse_origin(value)
        elif letter == "s":
            # RFC 8866 5.3: a session without a name has "s= " or "s=-"; an empty value is neither, and often seen.
            session.name = value if value else "-"
        elif letter == "c":
            session.connection = parse_connection(value)
        elif letter == "u":
            session.uri = value
        elif letter == "e":
            session.emails.append(value)
        elif letter == "p":
            session.phones.append(value)
        elif letter in ("t", "r", "z"):
            session.times.append((letter, value))
        else:
            _common_line(session, letter, value)

    def _media_line(self, media: MediaDescription, letter: str, value: str) -> None:
        if letter == "c":
            media.connections.append(parse_connection(value))
        else:
            _common_line(media, letter, value)


def _common_line(section: Section, letter: str, value: str) -> None:
    if letter == "a":
        section.attributes.append(_parse_attribute(value))
    elif letter == "b":
        section.bandwidths.append(parse_bandwidth(value))
    elif letter == "i":
        section.information = value
    elif letter == "k":
        section.key = value
    else:
        section.unknown.append((letter, value))


def parse_origin(value: str) -> Origin:
    """What stands behind "o=". SdpError: not six fields, or numbers that are none."""
    # The user name may hold no space (5.2). Where it is a person's name all the same, the other five fields are clear.
    fields = value.strip(" ").rsplit(" ", 5)
    if len(fields) != 6 or not all(fields):
        raise SdpError(f"the origin {value[:60]!r} has not its six fields")
    username, session_id, version, network_type, address_type, address = fields
    if not _VERSION.match(session_id) or not _VERSION.match(version):
        raise SdpError(f"the origin {value[:60]!r} has no numbers where the session and its version stand")
    return Origin(username, int(session_id), int(version), address, address_type, network_type)


def parse_connection(value: str) -> Connection:
    """What stands behind "c=". SdpError: not three fields."""
    fields = value.split()
    if len(fields) != 3:
        raise SdpError(f"the connection {value[:60]!r} has not its three fields")
    return Connection(fields[2], fields[1], fields[0])


def parse_bandwidth(value: str) -> Bandwidth:
    """What stands behind "b=". SdpError: no colon, or no number behind it."""
    kind, colon, number = value.strip(" ").partition(":")
    number = number.strip(" ")
    if not colon or not kind or not _NUMBER.match(number):
        raise SdpError(f"the bandwidth {value[:60]!r} is not a type, a colon and a number")
    return Bandwidth(kind, int(number))


def parse_media_line(value: str) -> MediaDescription:
    """What stands behind "m=". SdpError: fields are missing, a port that is none, or too many formats."""
    fields = value.split()
    if len(fields) < 3:
        raise SdpError(f"the media line {value[:60]!r} has not all its fields")
    port, slash, count = fields[1].partition("/")
    if not _NUMBER.match(port) or int(port) > _HIGHEST_PORT:
        raise SdpError(f"{fields[1][:20]!r} is not a port")
    if slash and (not _NUMBER.match(count) or not 1 <= int(count) <= _HIGHEST_PORT):
        raise SdpError(f"{fields[1][:20]!r} is not a port and a number of ports")
    formats = fields[3:]
    if len(formats) > MAXIMUM_FORMATS:
        raise SdpError(f"more than {MAXIMUM_FORMATS} formats are listed for one stream", NOT_ACCEPTABLE_HERE)
    return MediaDescription(fields[0], int(port), fields[2], formats, int(count) if slash else 1)


def _parse_attribute(value: str) -> Attribute:
    name, colon, rest = value.partition(":")
    name = name.strip(" ")
    if not name:
        raise SdpError("an a= line has no name")
    if name in ("ptime", "maxptime"):
        _refuse_long_packets(name, rest)
    return Attribute(name, rest if colon else None)


def _refuse_long_packets(name: str, value: str) -> None:
    """SdpError: a number of milliseconds by which no buffer must be made. What is no number is ignored later on."""
    digits = value.strip(" ").partition(".")[0].lstrip("0")
    if digits.isdecimal() and digits.isascii() and (len(digits) > 4 or int(digits) > LONGEST_PTIME):
        raise SdpError(f"{name} is longer than {LONGEST_PTIME} ms", NOT_ACCEPTABLE_HERE)
