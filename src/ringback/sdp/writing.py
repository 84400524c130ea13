"""Media parts as offers and answers write them, and what stands above them.

`Part` is one media part that has been decided on; how it was decided is for `offering` and `answering`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ringback.errors import LocalError
from ringback.sdp.attributes import Direction, FormatParameters, Group, Rtcp, RtpMap
from ringback.sdp.description import MAXIMUM_MEDIA, Connection, MediaDescription, Origin, SessionDescription
from ringback.sdp.formats import Codec
from ringback.sdp.ice import IceParameters
from ringback.sdp.security import Crypto, Fingerprint, Setup
from ringback.sdp.streams import LocalStream

__all__ = ["Part", "assemble", "disabled_part", "versioned"]


@dataclass(frozen=True, slots=True)
class Part:
    """One media part that is to be written.

    stream         what flows
    transport      the stream whose addresses are written: another one only within a bundle
    codecs         numbered, for RTP; other streams have `formats`
    crypto …       what is written of keys and of ICE; nothing of what the other side cannot use
    """

    stream: LocalStream
    transport: LocalStream
    protocol: str
    direction: Direction
    codecs: Sequence[Codec] = ()
    formats: Sequence[str] = ()
    mid: str = ""
    crypto: Sequence[Crypto] = ()
    fingerprints: Sequence[Fingerprint] = ()
    setup: Setup | None = None
    tls_id: str = ""
    ice: IceParameters | None = None
    ice_mismatch: bool = False
    rtcp_mux: bool = False

    def write(self) -> MediaDescription:
        """The part, with a c= line of its own."""
        formats = [str(codec.payload_type) for codec in self.codecs] or list(self.formats)
        media = MediaDescription(self.stream.kind, self.transport.port, self.protocol, formats)
        media.information = self.stream.information
        media.connections.append(Connection.to(self.transport.address))
        media.bandwidths.extend(self.stream.bandwidths)
        if self.mid:
            media.add("mid", self.mid)
        self._write_codecs(media)
        if self.stream.ptime:
            media.add("ptime", self.stream.ptime)
        if self.stream.maxptime:
            media.add("maxptime", self.stream.maxptime)
        # Only RTP has a direction by which all peers go; for others it may be among the further attributes.
        if self.codecs:
            media.add(self.direction)
            self._write_rtcp(media)
        self._write_keys(media)
        if self.ice is not None:
            self.ice.write(media)
        elif self.ice_mismatch:
            media.add("ice-mismatch")
        media.attributes.extend(self.stream.attributes)
        return media

    def _write_codecs(self, media: MediaDescription) -> None:
        for codec in self.codecs:
            # RFC 3264 6.1: "SHOULD contain mappings for static payload types" as well.
            media.add("rtpmap", str(RtpMap(codec.payload_type, codec.name, codec.clock_rate, codec.channels)))
            if codec.parameters:
                media.add("fmtp", str(FormatParameters(str(codec.payload_type), codec.fmtp)))
            if self.protocol.upper().endswith("AVPF"):
                for kind in codec.feedback:
                    media.add("rtcp-fb", f"{codec.payload_type} {kind}")

    def _write_rtcp(self, media: MediaDescription) -> None:
        transport = self.transport
        if transport.rtcp_port and (transport.rtcp_port != transport.port + 1 or transport.rtcp_address):
            media.add("rtcp", str(Rtcp(transport.rtcp_port, transport.rtcp_address)))
        if self.rtcp_mux:
            media.add("rtcp-mux")

    def _write_keys(self, media: MediaDescription) -> None:
        for crypto in self.crypto:
            media.add("crypto", str(crypto))
        if self.setup is not None:
            media.add("setup", self.setup)
        for fingerprint in self.fingerprints:
            media.add("fingerprint", str(fingerprint))
        if self.tls_id:
            media.add("tls-id", self.tls_id)


def disabled_part(kind: str, protocol: str, formats: Sequence[str], mid: str = "") -> MediaDescription:
    """A part that refuses or removes a stream: it "MAY omit all attributes" but lists a format (RFC 3264 6, 8.2)."""
    media = MediaDescription(kind, 0, protocol, list(formats[:1]) or ["0"])
    if mid:
        media.add("mid", mid)
    return media


def assemble(
    origin: Origin, media: list[MediaDescription], groups: Sequence[Group] = (), lite: bool = False
) -> SessionDescription:
    """The whole description; the address that the first stream has stands in the session part.

    LocalError: more streams than anybody reads.
    """
    if len(media) > MAXIMUM_MEDIA:
        raise LocalError(f"a session cannot have more than {MAXIMUM_MEDIA} media streams")
    connections = [part.connection for part in media if part.connection is not None]
    connection = connections[0] if connections else Connection(origin.address, origin.address_type, origin.network_type)
    for part in media:
        if part.connection == connection:
            part.connections.clear()
    description = SessionDescription(origin, connection=connection, media=media)
    for group in groups:
        description.add("group", str(group))
    if lite:
        description.add("ice-lite")
    return description


def versioned(description: SessionDescription, previous: SessionDescription | None) -> SessionDescription:
    """The description as the successor of what was sent before.

    RFC 3264 section 8: the o= line is "identical to that in the previous SDP, except that the version in the origin
    field MUST increment by one", and "if the version in the origin line does not increment, the SDP MUST be identical".
    """
    if previous is None:
        return description
    same = replace(description, origin=previous.origin)
    if same.encode() == previous.encode():
        return same
    return replace(description, origin=previous.origin.with_version(previous.origin.version + 1))
