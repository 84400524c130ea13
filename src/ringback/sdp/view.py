"""One media stream of a description, read with all that concerns it: its own part, the session's, and its bundle's.

`views(description)` gives one view for each m= line. Nothing is judged here, only read.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sdp.attributes import (
    Direction,
    Group,
    Rtcp,
    milliseconds,
    own_direction,
    readable,
)
from ringback.sdp.description import Bandwidth, Connection, MediaDescription, SessionDescription
from ringback.sdp.formats import Codec, codecs_of
from ringback.sdp.ice import IceParameters, read_ice
from ringback.sdp.security import Crypto, Fingerprint, Setup, setup_of

__all__ = ["MediaView", "bundles", "is_rtp", "views"]


def is_rtp(protocol: str) -> bool:
    """Whether a protocol of an m= line is RTP of some kind."""
    return "RTP/" in protocol.upper()


def is_secure(protocol: str) -> bool:
    """Whether the profile is one of SRTP (RFC 3711, 5124)."""
    return "SAVP" in protocol.upper()


def is_dtls(protocol: str) -> bool:
    """Whether the protocol names DTLS as what gives the keys (RFC 5764 section 8)."""
    return protocol.upper().startswith("UDP/TLS/RTP/")


@dataclass(frozen=True, slots=True)
class MediaView:
    """The i-th media stream. `tagged` is the part whose transport it shares by BUNDLE, None when it is its own."""

    session: SessionDescription
    media: MediaDescription
    index: int
    tagged: MediaDescription | None = None

    @property
    def disabled(self) -> bool:
        """Refused or removed. A bundle-only stream has port 0 for another reason (RFC 8843 section 6)."""
        return self.media.port == 0 and not (self.tagged is not None and self.media.has("bundle-only"))

    @property
    def mid(self) -> str:
        return (self.media.value("mid") or "").strip(" ")

    @property
    def port(self) -> int:
        if self.media.port == 0 and self.tagged is not None:
            return self.tagged.port
        return self.media.port

    @property
    def connection(self) -> Connection | None:
        """The c= line that counts."""
        if self.media.port == 0 and self.tagged is not None and self.tagged.connection is not None:
            return self.tagged.connection
        return self.media.connection or self.session.connection

    @property
    def address(self) -> str:
        """Where media goes, "" when nothing says it."""
        return "" if self.connection is None else self.connection.host

    @property
    def rtcp(self) -> tuple[str, int]:
        """Where RTCP goes: the port above that of RTP unless something else is written (RFC 3550 section 11, 3605)."""
        for found in readable(Rtcp.parse, self.media.values("rtcp")):
            return found.address or self.address, found.port
        return self.address, min(self.port + 1, 65535) if self.port else 0

    @property
    def rtcp_mux(self) -> bool:
        return self.media.has("rtcp-mux") or (self.tagged is not None and self.tagged.has("rtcp-mux"))

    @property
    def direction(self) -> Direction:
        """The direction as written: "sendrecv" is the default (RFC 8866 6.7), and the session part may have another."""
        return own_direction(self.media) or own_direction(self.session) or "sendrecv"

    @property
    def is_null(self) -> bool:
        """Whether nothing may be sent because there is no address: the old way to hold (RFC 3264 8.4).

        With ICE "0.0.0.0" only says that candidates are still to come (RFC 8839 4.2.5); and it "MUST NOT" mean hold.
        """
        connection = self.connection
        return connection is None or (connection.is_null and self.ice is None)

    @property
    def is_multicast(self) -> bool:
        return self.connection is not None and self.connection.is_multicast

    @property
    def codecs(self) -> list[Codec]:
        return codecs_of(self.media) if is_rtp(self.media.protocol) else []

    @property
    def ptime(self) -> int:
        """Milliseconds, 0 for nothing said; no more than `maxptime`. SdpError: dangerously long."""
        ptime, maxptime = milliseconds(self.media.value("ptime")), self.maxptime
        return min(ptime, maxptime) if maxptime else ptime

    @property
    def maxptime(self) -> int:
        return milliseconds(self.media.value("maxptime"))

    @property
    def bandwidths(self) -> list[Bandwidth]:
        return self.media.bandwidths or self.session.bandwidths

    @property
    def cryptos(self) -> list[Crypto]:
        """The crypto lines that are valid; they have no meaning where DTLS gives the keys."""
        if is_dtls(self.media.protocol):
            return []
        part = self.tagged if self.tagged is not None and not self.media.has("crypto") else self.media
        return readable(Crypto.parse, part.values("crypto"))

    @property
    def fingerprints(self) -> list[Fingerprint]:
        """Of the stream, or (RFC 8122 section 5) "at the session level, where they apply to all" streams without."""
        for part in (self.media, self.tagged, self.session):
            if part is not None and part.has("fingerprint"):
                return readable(Fingerprint.parse, part.values("fingerprint"))
        return []

    @property
    def setup(self) -> Setup | None:
        for part in (self.media, self.tagged, self.session):
            if part is not None and part.has("setup"):
                return setup_of(part.value("setup"))
        return None

    @property
    def tls_id(self) -> str:
        for part in (self.media, self.tagged, self.session):
            if part is not None and part.has("tls-id"):
                return part.value("tls-id") or ""
        return ""

    @property
    def ice(self) -> IceParameters | None:
        return read_ice(self.media, self.session, self.tagged)


def bundles(description: SessionDescription) -> list[list[int]]:
    """The BUNDLE groups as indexes of m= lines, in the order of their tags; tags that lead nowhere are left out."""
    places: dict[str, int] = {}
    for index, media in enumerate(description.media):
        mid = (media.value("mid") or "").strip(" ")
        if mid:
            places.setdefault(mid, index)
    found = []
    taken: set[int] = set()
    for group in readable(Group.parse, description.values("group")):
        if group.semantics.upper() == "BUNDLE":
            # RFC 8843 7.3: a stream is in one group only.
            members = [places[tag] for tag in dict.fromkeys(group.tags) if tag in places and places[tag] not in taken]
            taken.update(members)
            found.append(members)
    return found


def views(description: SessionDescription) -> list[MediaView]:
    """One view for each m= line. The tagged part of a bundle is its first one that has a port (RFC 8843 7.3.1)."""
    tagged: dict[int, int] = {}
    for members in bundles(description):
        first = next((index for index in members if description.media[index].port), None)
        if first is not None:
            tagged.update({index: first for index in members if index != first})
    return [
        MediaView(description, media, index, description.media[tagged[index]] if index in tagged else None)
        for index, media in enumerate(description.media)
    ]
