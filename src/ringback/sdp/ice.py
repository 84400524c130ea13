"""ICE in session descriptions (RFC 8839): candidates, credentials, and whether the other side does ICE at all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ringback.sdp.attributes import number, readable
from ringback.sdp.description import Section
from ringback.sdp.errors import SdpError

__all__ = ["Candidate", "IceParameters", "RemoteCandidate", "destination_matches", "read_ice", "same_address"]

# 5.4: 4 to 256 and 22 to 256 ice-chars. Some peers use more characters than ALPHA, DIGIT, "+" and "/".
_UFRAG: Final = re.compile(r"[!-~]{4,256}\Z")
_PASSWORD: Final = re.compile(r"[!-~]{22,256}\Z")
_HIGHEST_PORT: Final = 65535
#: How many candidates of one stream are read; RFC 8445 5.1.3 wants no more than 100 pairs in all.
MAXIMUM_CANDIDATES: Final = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """a=candidate (RFC 8839 5.1): a transport address at which the writer may be reached.

    component        1 for RTP, 2 for RTCP
    transport        "udp"; others are kept, and for who knows them
    kind             "host", "srflx", "prflx" or "relay"
    related_address  the base of a reflexive one, the mapped address of a relayed one, or ""; so `related_port`, or 0
    extensions       name and value pairs, as written
    """

    foundation: str
    component: int
    transport: str
    priority: int
    address: str
    port: int
    kind: str
    related_address: str = ""
    related_port: int = 0
    extensions: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, value: str) -> Candidate:
        fields = value.split()
        if len(fields) < 8 or fields[6].lower() != "typ":
            raise SdpError(f"the candidate {value[:60]!r} has not its fields")
        if not 1 <= len(fields[0]) <= 32:
            raise SdpError("a candidate without a proper foundation")
        # extension-att-value may be empty; a last name without a value then looks like an odd field.
        rest = [*fields[8:], ""] if len(fields) % 2 else fields[8:]
        pairs = list(zip(rest[::2], rest[1::2], strict=True))
        related_address, related_port = "", 0
        while pairs and pairs[0][0].lower() in ("raddr", "rport"):
            name, text = pairs.pop(0)
            if name.lower() == "raddr":
                related_address = text
            else:
                related_port = number(text, 0, _HIGHEST_PORT, "port")
        return cls(
            fields[0],
            number(fields[1], 1, 256, "component"),
            fields[2].lower(),
            number(fields[3], 0, 2**32 - 1, "priority"),
            fields[4],
            number(fields[5], 0, _HIGHEST_PORT, "port"),
            fields[7].lower(),
            related_address,
            related_port if related_address else 0,
            tuple(pairs),
        )

    @property
    def is_name(self) -> bool:
        """Whether the address is a name, such as the multicast DNS one of a browser; 5.1: "MUST ignore"."""
        return _address(self.address) is None

    def __str__(self) -> str:
        text = f"{self.foundation} {self.component} {self.transport} {self.priority} {self.address} {self.port}"
        text += f" typ {self.kind}"
        if self.related_address:
            text += f" raddr {self.related_address} rport {self.related_port}"
        return text + "".join(f" {name} {value}" for name, value in self.extensions)


@dataclass(frozen=True, slots=True)
class RemoteCandidate:
    """One entry of a=remote-candidates (RFC 8839 5.2): what the controlling agent has chosen of the reader's own."""

    component: int
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.component} {self.address} {self.port}"


def _parse_remote_candidates(value: str) -> list[RemoteCandidate]:
    fields = value.split()
    if not fields or len(fields) % 3 or len(fields) > 3 * 256:
        raise SdpError(f"{value[:60]!r} is no list of remote candidates")
    return [
        RemoteCandidate(
            number(fields[at], 1, 256, "component"), fields[at + 1], number(fields[at + 2], 0, _HIGHEST_PORT, "port")
        )
        for at in range(0, len(fields), 3)
    ]


@dataclass(frozen=True, slots=True)
class IceParameters:
    """All that a description says of ICE for one stream.

    ufrag, password      credentials; random, and new ones restart ICE
    lite                 the writer is a lite implementation (a session attribute: true of all streams)
    end_of_candidates    no more will be trickled (RFC 8840)
    remote_candidates    what has been chosen of the reader's candidates, in an offer after the checks
    """

    ufrag: str
    password: str = field(repr=False)
    candidates: tuple[Candidate, ...] = ()
    lite: bool = False
    options: tuple[str, ...] = ("ice2",)
    end_of_candidates: bool = False
    remote_candidates: tuple[RemoteCandidate, ...] = ()

    def write(self, media: Section) -> None:
        """Add the attributes of a media part; `lite` has to be written in the session part."""
        if self.options:
            media.add("ice-options", " ".join(self.options))
        media.add("ice-ufrag", self.ufrag)
        media.add("ice-pwd", self.password)
        for candidate in self.candidates:
            media.add("candidate", str(candidate))
        if self.end_of_candidates:
            media.add("end-of-candidates")
        if self.remote_candidates:
            media.add("remote-candidates", " ".join(str(candidate) for candidate in self.remote_candidates))


def read_ice(media: Section, session: Section, tagged: Section | None = None) -> IceParameters | None:
    """What is said of ICE for one stream; None when the writer does not do ICE, or not for this stream.

    4.2.5: "An ICE agent indicates support of ICE by including at least the SDP "ice-pwd" and "ice-ufrag" attributes".
    `tagged` is the media part whose transport this one shares (BUNDLE).
    """
    sources = [media, session] if tagged is None else [media, tagged, session]
    # 5.3: "ICE procedures MUST NOT be used for this data stream".
    if media.has("ice-mismatch"):
        return None
    ufrag = _first(sources, "ice-ufrag")
    password = _first(sources, "ice-pwd")
    if ufrag is None or password is None or not _UFRAG.match(ufrag) or not _PASSWORD.match(password):
        return None
    holder = media if tagged is None or media.has("candidate") else tagged
    remote = readable(_parse_remote_candidates, holder.values("remote-candidates"))
    return IceParameters(
        ufrag,
        password,
        tuple(readable(Candidate.parse, holder.values("candidate")[:MAXIMUM_CANDIDATES])),
        session.has("ice-lite"),
        tuple((_first(sources, "ice-options") or "").split()),
        any(source.has("end-of-candidates") for source in sources),
        tuple(candidate for group in remote for candidate in group),
    )


def _first(sources: Sequence[Section], name: str) -> str | None:
    for source in sources:
        value = source.value(name)
        if value is not None:
            return value.strip(" ")
    return None


def destination_matches(ice: IceParameters, address: str, port: int) -> bool:
    """Whether the default destination of RTP is one that ICE knows of (RFC 8839 4.2.5).

    It is not when something on the way has put itself in between without knowing ICE; then ICE would lead around it.
    """
    # Exceptions 2 and 4 of 4.2.5: no default destination yet, and names. Trickled candidates may still come.
    literal = _address(address)
    if literal is None or literal.is_unspecified or not ice.candidates:
        return True
    # A browser that hides its addresses behind names lists none that could match.
    if all(candidate.is_name for candidate in ice.candidates):
        return True
    return any(
        candidate.component == 1 and candidate.port == port and same_address(candidate.address, address)
        for candidate in ice.candidates
    )


def same_address(one: str, other: str) -> bool:
    """Whether two texts are the same address: IPv6 has many ways to write one."""
    if one == other:
        return True
    literal = _address(one)
    return literal is not None and literal == _address(other)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
