"""RTP data packets (RFC 3550 section 5): read and written 50 times a second and call, so in one pass.

    packet = parse_rtp(data)        None when it is no RTP packet: then it is dropped, and nothing else happens
    data = encode_rtp(payload_type, sequence, timestamp, ssrc, payload, marker)

What cannot be is refused here: another version, counts and lengths that lead beyond the datagram, payload types that
are RTCP's. Whether a payload type, a source or a sequence number is expected is for who knows the stream.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

__all__ = ["HEADER_LENGTH", "Packet", "encode_rtp", "extension_elements", "parse_rtp"]

#: Octets of the fixed header.
HEADER_LENGTH: Final = 12

_HEADER: Final = Struct("!BBHII")
_EXTENSION: Final = Struct("!HH")
_UNPACK: Final = _HEADER.unpack_from
_PACK: Final = _HEADER.pack

# Version 2 with no padding, no extension and no contributing sources: nearly every packet of a telephone call.
_PLAIN: Final = 0x80
_VERSION_MASK: Final = 0xC0
_PADDING: Final = 0x20
_EXTENDED: Final = 0x10
_COUNT_MASK: Final = 0x0F
_MARKER: Final = 0x80

# RFC 8285 4.2 and 4.3: what the "defined by profile" field holds.
_ONE_BYTE: Final = 0xBEDE
_TWO_BYTE: Final = 0x1000
_APPLICATION_BITS: Final = 0x000F


class Packet:
    """One RTP packet.

    payload_type       0 to 127
    sequence           16 bits
    timestamp          32 bits, in units of the payload format's clock
    ssrc               the synchronization source, 32 bits
    payload            what is left without header and padding; may be empty
    marker             for audio: the first packet after a silence (RFC 3551 4.1)
    csrc               contributing sources, at most 15
    extension_profile  the "defined by profile" field of the header extension; -1 when there is none
    extension          the header extension's octets (a multiple of 4); `extension_elements` reads them
    """

    __slots__ = (
        "csrc",
        "extension",
        "extension_profile",
        "marker",
        "payload",
        "payload_type",
        "sequence",
        "ssrc",
        "timestamp",
    )

    def __init__(
        self,
        payload_type: int,
        sequence: int,
        timestamp: int,
        ssrc: int,
        payload: bytes,
        marker: bool = False,
        csrc: tuple[int, ...] = (),
        extension_profile: int = -1,
        extension: bytes = b"",
    ) -> None:
        self.payload_type = payload_type
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.marker = marker
        self.csrc = csrc
        self.extension_profile = extension_profile
        self.extension = extension

    def __repr__(self) -> str:
        return (
            f"Packet({self.payload_type}, {self.sequence}, {self.timestamp}, {self.ssrc:#010x}, "
            f"{len(self.payload)} octets{', marker' if self.marker else ''})"
        )

    def encode(self) -> bytes:
        """The packet as octets, without padding."""
        csrc = self.csrc
        first = _PLAIN | len(csrc)
        tail = b"".join([source.to_bytes(4, "big") for source in csrc])
        if self.extension_profile >= 0:
            first |= _EXTENDED
            tail += _EXTENSION.pack(self.extension_profile, len(self.extension) >> 2) + self.extension
        second = self.payload_type | _MARKER if self.marker else self.payload_type
        return _PACK(first, second, self.sequence, self.timestamp, self.ssrc) + tail + self.payload


def encode_rtp(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool = False
) -> bytes:
    """A packet with nothing but the fixed header, as octets."""
    return _PACK(_PLAIN, payload_type | _MARKER if marker else payload_type, sequence, timestamp, ssrc) + payload


def parse_rtp(data: bytes) -> Packet | None:
    """The packet in a datagram; None when it is none."""
    if len(data) < HEADER_LENGTH:
        return None
    first, second, sequence, timestamp, ssrc = _UNPACK(data)
    payload_type = second & 0x7F
    # RFC 3550 A.1: "The payload type must be known, and in particular it must not be equal to SR or RR." RFC 3551
    # section 6 reserves 72 to 76 for that.
    if 71 < payload_type < 77:
        return None
    if first == _PLAIN:
        return Packet(payload_type, sequence, timestamp, ssrc, data[HEADER_LENGTH:], second > 127)
    return _parse_rest(data, first, second, sequence, timestamp, ssrc)


def _parse_rest(data: bytes, first: int, second: int, sequence: int, timestamp: int, ssrc: int) -> Packet | None:
    """A packet with contributing sources, a header extension or padding; None when they do not fit into it."""
    # A.1: "RTP version field must equal 2."
    if first & _VERSION_MASK != _PLAIN:
        return None
    start = HEADER_LENGTH
    end = len(data)
    csrc: tuple[int, ...] = ()
    count = first & _COUNT_MASK
    if count:
        start += 4 * count
        # A.1: "The length of the packet must be consistent with CC".
        if start > end:
            return None
        csrc = tuple([int.from_bytes(data[at : at + 4], "big") for at in range(HEADER_LENGTH, start, 4)])
    profile = -1
    extension = b""
    if first & _EXTENDED:
        # 5.3.1: "a 16-bit length field that counts the number of 32-bit words in the extension, excluding the
        # four-octet extension header (therefore zero is a valid length)".
        if start + 4 > end:
            return None
        profile, words = _EXTENSION.unpack_from(data, start)
        start += 4
        extension = data[start : start + 4 * words]
        start += 4 * words
        if start > end:
            return None
    if first & _PADDING:
        # 5.1: "The last octet of the padding contains a count of how many padding octets should be ignored, including
        # itself." A packet of nothing but padding is a probe for capacity, and sound.
        padding = data[-1]
        if padding == 0 or padding > end - start:
            return None
        end -= padding
    return Packet(second & 0x7F, sequence, timestamp, ssrc, data[start:end], second > 127, csrc, profile, extension)


def extension_elements(packet: Packet) -> dict[int, bytes]:
    """The header extension's elements by local identifier (RFC 8285); those before the first mistake in it.

    Empty when the packet has no extension, or one of another kind. 256 stands for the four application bits of the
    two-byte form when they are not zero.
    """
    profile = packet.extension_profile
    if profile == _ONE_BYTE:
        return _one_byte_elements(packet.extension)
    if profile & ~_APPLICATION_BITS == _TWO_BYTE:
        elements = _two_byte_elements(packet.extension)
        if profile & _APPLICATION_BITS:
            elements[256] = bytes([profile & _APPLICATION_BITS])
        return elements
    return {}


def _one_byte_elements(data: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    at = 0
    end = len(data)
    while at < end:
        head = data[at]
        at += 1
        identifier = head >> 4
        if head == 0:
            continue
        # RFC 8285 4.2: "If the ID value 15 is encountered, its length field MUST be ignored, processing of the entire
        # extension MUST terminate at that point"; 4.1.2 says the same of ID 0 with a length.
        if identifier == 15 or identifier == 0:
            break
        following = at + (head & 0x0F) + 1
        if following > end:
            break
        elements[identifier] = data[at:following]
        at = following
    return elements


def _two_byte_elements(data: bytes) -> dict[int, bytes]:
    elements: dict[int, bytes] = {}
    at = 0
    end = len(data)
    while at < end:
        identifier = data[at]
        at += 1
        # 4.1.2: "A padding byte does not supply the ID of an element, nor does it supply the length field."
        if identifier == 0:
            continue
        if at == end:
            break
        following = at + 1 + data[at]
        if following > end:
            break
        elements[identifier] = data[at + 1 : following]
        at = following
    return elements
