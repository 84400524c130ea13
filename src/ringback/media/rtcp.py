"""RTCP (RFC 3550 section 6): compound packets, read and written.

    packets = parse_rtcp(data)      None when the datagram is not RTCP: then it is dropped, and nothing else happens
    data = encode_rtcp([report, SourceDescription.of(ssrc, cname)])

The lengths of the packets in a compound packet have to add up to that of the datagram (A.2: "This is a fairly strong
check"); a packet that is not what its type promises is left out, and the others count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

from ringback.media.xr import Block, parse_blocks

__all__ = [
    "CNAME",
    "Application",
    "Bye",
    "ExtendedReport",
    "Feedback",
    "OtherPacket",
    "ReceiverReport",
    "ReportBlock",
    "RtcpPacket",
    "SenderReport",
    "SourceDescription",
    "encode_rtcp",
    "middle",
    "ntp_time",
    "parse_rtcp",
    "round_trip",
]

_SR: Final = 200
_RR: Final = 201
_SDES: Final = 202
_BYE: Final = 203
_APP: Final = 204
_RTPFB: Final = 205
_PSFB: Final = 206
_XR: Final = 207

#: 6.5.1: the type of the SDES item that names an endpoint for all its streams.
CNAME: Final = 1

# Packets of one datagram that are read; a sound compound packet has a handful.
_MOST_PACKETS: Final = 64

_HEAD: Final = Struct("!BBH")
_SENDER: Final = Struct("!IQIII")
_BLOCK: Final = Struct("!IIIIII")

# Seconds from 1900, where NTP begins, to 1970.
_NTP_EPOCH: Final = 2208988800
_SHORT_UNIT: Final = 65536


def ntp_time(unix: float) -> int:
    """The 64 bits of an NTP timestamp (section 4) for a time in seconds since 1970."""
    return int((unix + _NTP_EPOCH) * 4294967296) & 0xFFFFFFFFFFFFFFFF


def middle(ntp: int) -> int:
    """The middle 32 bits of an NTP timestamp, in units of 1/65536 s: what LSR holds (6.4.1)."""
    return ntp >> 16 & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one receiver says of one source (6.4.1).

    ssrc              the source that is reported upon
    fraction_lost     of the packets since the last report, in 256ths
    lost              packets lost since the beginning; negative when duplicates came
    highest           the extended highest sequence number received
    jitter            interarrival jitter in timestamp units
    last_sr, delay    the middle of the NTP time in the last sender report, and how long ago that came in 1/65536 s;
                      0 and 0 when none came
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_sr: int = 0
    delay: int = 0

    def encode(self) -> bytes:
        """The block as octets."""
        # A.3: "clamped at 0x7fffff for positive loss or 0x800000 for negative loss rather than wrapping around".
        lost = max(-0x800000, min(self.lost, 0x7FFFFF)) & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc, self.fraction_lost << 24 | lost, self.highest, self.jitter, self.last_sr, self.delay
        )


def round_trip(block: ReportBlock, ntp: int) -> float | None:
    """Seconds to the receiver of our packets and back, at the NTP time at which its report came; None: not known yet.

    6.4.1: "to leave the round-trip propagation delay as (A - LSR - DLSR)". A far end that reports more delay than time
    has passed says nothing.
    """
    if not block.last_sr:
        return None
    took = (middle(ntp) - block.last_sr - block.delay) & 0xFFFFFFFF
    return None if took & 0x80000000 else took / _SHORT_UNIT


def _packet(kind: int, count: int, content: bytes) -> bytes:
    """A packet with its header (6.4.1): its length in words does not count the first."""
    return _HEAD.pack(0x80 | count, kind, len(content) >> 2) + content


@dataclass(frozen=True, slots=True)
class SenderReport:
    """6.4.1: what a source has sent, what its clock shows, and what it hears of others.

    ntp            NTP time of the report, 64 bits
    timestamp      the RTP timestamp of that moment
    packets, octets    sent since the beginning, octets of payload only
    extension      profile-specific octets behind the blocks
    """

    ssrc: int
    ntp: int
    timestamp: int
    packets: int
    octets: int
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def encode(self) -> bytes:
        """The packet as octets."""
        head = _SENDER.pack(self.ssrc, self.ntp, self.timestamp, self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF)
        return _packet(_SR, len(self.blocks), head + _encoded(self.blocks) + self.extension)


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """6.4.2: what a participant that sends nothing hears of others."""

    ssrc: int
    blocks: tuple[ReportBlock, ...] = ()
    extension: bytes = b""

    def encode(self) -> bytes:
        """The packet as octets."""
        content = self.ssrc.to_bytes(4, "big") + _encoded(self.blocks) + self.extension
        return _packet(_RR, len(self.blocks), content)


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """6.5: for each source its items, by type (1 is CNAME)."""

    chunks: tuple[tuple[int, tuple[tuple[int, bytes], ...]], ...]

    @classmethod
    def of(cls, ssrc: int, cname: str) -> SourceDescription:
        """The description that every compound packet needs."""
        return cls(((ssrc, ((CNAME, cname.encode()[:255]),)),))

    def cname(self, ssrc: int) -> str:
        """The canonical name of a source, or ""."""
        for source, items in self.chunks:
            if source == ssrc:
                for kind, text in items:
                    if kind == CNAME:
                        return text.decode("utf-8", "replace")
        return ""

    def encode(self) -> bytes:
        """The packet as octets."""
        content = b""
        for ssrc, items in self.chunks:
            content += ssrc.to_bytes(4, "big")
            for kind, text in items:
                content += bytes([kind, len(text)]) + text
            # 6.5: "The list of items in each chunk MUST be terminated by one or more null octets, the first of which
            # is interpreted as an item type of zero".
            content += bytes(4 - len(content) % 4)
        return _packet(_SDES, len(self.chunks), content)


@dataclass(frozen=True, slots=True)
class Bye:
    """6.6: these sources are no longer active."""

    sources: tuple[int, ...]
    reason: str = ""

    def encode(self) -> bytes:
        """The packet as octets."""
        content = b"".join([source.to_bytes(4, "big") for source in self.sources])
        if self.reason:
            text = self.reason.encode()[:255]
            content += bytes([len(text)]) + text
            content += bytes(-len(content) % 4)
        return _packet(_BYE, len(self.sources), content)


@dataclass(frozen=True, slots=True)
class Application:
    """6.7: something between two applications; `name` is four octets of ASCII."""

    subtype: int
    ssrc: int
    name: bytes
    data: bytes = b""

    def encode(self) -> bytes:
        """The packet as octets."""
        return _packet(_APP, self.subtype, self.ssrc.to_bytes(4, "big") + self.name + self.data)


@dataclass(frozen=True, slots=True)
class Feedback:
    """RFC 4585 6.1: transport (205) or payload-specific (206) feedback; `information` is passed on as it came."""

    kind: int
    format: int
    sender: int
    media: int
    information: bytes = b""

    def encode(self) -> bytes:
        """The packet as octets."""
        content = self.sender.to_bytes(4, "big") + self.media.to_bytes(4, "big") + self.information
        return _packet(self.kind, self.format, content)


@dataclass(frozen=True, slots=True)
class ExtendedReport:
    """RFC 3611: blocks as `ringback.media.xr` has them."""

    ssrc: int
    blocks: tuple[Block, ...]

    def encode(self) -> bytes:
        """The packet as octets."""
        return _packet(_XR, 0, self.ssrc.to_bytes(4, "big") + b"".join([block.encode() for block in self.blocks]))


@dataclass(frozen=True, slots=True)
class OtherPacket:
    """A packet of a type that is not read here."""

    kind: int
    count: int
    content: bytes

    def encode(self) -> bytes:
        """The packet as octets."""
        return _packet(self.kind, self.count, self.content)


RtcpPacket: TypeAlias = (
    SenderReport | ReceiverReport | SourceDescription | Bye | Application | Feedback | ExtendedReport | OtherPacket
)


def encode_rtcp(packets: Iterable[RtcpPacket]) -> bytes:
    """A compound packet. 6.1: the first has to be a report, and a CNAME has to be in it."""
    return b"".join([packet.encode() for packet in packets])


def _encoded(blocks: tuple[ReportBlock, ...]) -> bytes:
    return b"".join([block.encode() for block in blocks])


def parse_rtcp(data: bytes, reduced: bool = False) -> list[RtcpPacket] | None:
    """The packets of a compound packet; None when it is none.

    `reduced`: a packet may come alone and need not be a report (RFC 5506), as agreed by `a=rtcp-rsize`.
    """
    end = len(data)
    # Checked before anything is read, so that headers are always there.
    if end < 8 or end % 4:
        return None
    packets: list[RtcpPacket] = []
    at = 0
    count = 0
    while at < end:
        first, kind, words = _HEAD.unpack_from(data, at)
        following = at + 4 + 4 * words
        # A.2: "RTP version field must equal 2", and the lengths "must add up".
        if first & 0xC0 != 0x80 or following > end or count == _MOST_PACKETS:
            return None
        # A.2: "The payload type field of the first RTCP packet in a compound packet must be equal to SR or RR."
        if count == 0 and not reduced and kind != _SR and kind != _RR:
            return None
        stop = following
        if first & 0x20:
            # 6.4.1: "padding MUST only be added to the last individual packet", and its count "will be a multiple of
            # four".
            padding = data[following - 1]
            if following != end or padding == 0 or padding % 4 or padding > 4 * words:
                return None
            stop -= padding
        packet = _read(kind, first & 0x1F, data, at + 4, stop)
        if packet is not None:
            packets.append(packet)
        elif count == 0:
            # What begins with a report that is none is not RTCP.
            return None
        at = following
        count += 1
    return packets


def _read(kind: int, count: int, data: bytes, at: int, end: int) -> RtcpPacket | None:
    """The packet whose content is between `at` and `end`; None when it is not what `kind` promises."""
    if kind == _SR:
        return _sender_report(count, data, at, end)
    if kind == _RR:
        if at + 4 + count * _BLOCK.size > end:
            return None
        blocks = _blocks(count, data, at + 4)
        return ReceiverReport(_word(data, at), blocks, data[at + 4 + count * _BLOCK.size : end])
    if kind == _SDES:
        return _source_description(count, data, at, end)
    if kind == _BYE:
        return _bye(count, data, at, end)
    if kind == _APP:
        return Application(count, _word(data, at), data[at + 4 : at + 8], data[at + 8 : end]) if at + 8 <= end else None
    if kind == _RTPFB or kind == _PSFB:
        if at + 8 > end:
            return None
        return Feedback(kind, count, _word(data, at), _word(data, at + 4), data[at + 8 : end])
    if kind == _XR:
        found = parse_blocks(data, at + 4, end) if at + 4 <= end else None
        return None if found is None else ExtendedReport(_word(data, at), found)
    return OtherPacket(kind, count, data[at:end])


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _sender_report(count: int, data: bytes, at: int, end: int) -> SenderReport | None:
    behind = at + _SENDER.size + count * _BLOCK.size
    if behind > end:
        return None
    ssrc, ntp, timestamp, packets, octets = _SENDER.unpack_from(data, at)
    blocks = _blocks(count, data, at + _SENDER.size)
    return SenderReport(ssrc, ntp, timestamp, packets, octets, blocks, data[behind:end])


def _blocks(count: int, data: bytes, at: int) -> tuple[ReportBlock, ...]:
    """`count` report blocks, which are there."""
    blocks: list[ReportBlock] = []
    for place in range(at, at + count * _BLOCK.size, _BLOCK.size):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(data, place)
        lost = loss & 0xFFFFFF
        # 24 bits with a sign.
        blocks.append(ReportBlock(ssrc, loss >> 24, lost - (lost >> 23 << 24), highest, jitter, last_sr, delay))
    return tuple(blocks)


def _source_description(count: int, data: bytes, at: int, end: int) -> SourceDescription | None:
    chunks: list[tuple[int, tuple[tuple[int, bytes], ...]]] = []
    for _ in range(count):
        if at + 4 > end:
            return None
        ssrc = _word(data, at)
        start = at
        at += 4
        items: list[tuple[int, bytes]] = []
        # A.5 lets items end with the packet: an item of type zero behind them is there only if there is room.
        while at < end and data[at]:
            if at + 2 > end or at + 2 + data[at + 1] > end:
                return None
            items.append((data[at], data[at + 2 : at + 2 + data[at + 1]]))
            at += 2 + data[at + 1]
        # 6.5: a chunk starts on a 32-bit boundary; the null octet that ended the items counts.
        at = start + ((at - start) // 4 + 1) * 4
        chunks.append((ssrc, tuple(items)))
    return SourceDescription(tuple(chunks))


def _bye(count: int, data: bytes, at: int, end: int) -> Bye | None:
    behind = at + 4 * count
    if behind > end:
        return None
    sources = tuple([_word(data, place) for place in range(at, behind, 4)])
    reason = ""
    if behind < end:
        # 6.6: "the BYE packet MAY include an 8-bit octet count followed by that many octets of text".
        length = data[behind]
        if behind + 1 + length > end:
            return None
        reason = data[behind + 1 : behind + 1 + length].decode("utf-8", "replace")
    return Bye(sources, reason)
