"""STUN messages (RFC 8489) as ICE and TURN use them: octets in, values out, and back.

    message = parse_stun(data)                 None when it is no sound STUN message: then it is dropped
    message.authentic(key)                     MESSAGE-INTEGRITY is there and right
    data = encode_stun(BINDING, REQUEST, transaction, [(PRIORITY, octets), …], key)

RFC 8489 section 6.3: "If any errors are detected, the message is silently discarded." Attributes that follow
MESSAGE-INTEGRITY are not vouched for by it, so they are left out (section 14.5), except FINGERPRINT, which has to be
right and last when it is there.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

__all__ = [
    "ALLOCATE",
    "BINDING",
    "CHANNEL_BIND",
    "CHANNEL_NUMBER",
    "CREATE_PERMISSION",
    "DATA",
    "DATA_INDICATION",
    "ERROR",
    "ERROR_CODE",
    "ICE_CONTROLLED",
    "ICE_CONTROLLING",
    "INDICATION",
    "LIFETIME",
    "LONGEST",
    "NONCE",
    "PRIORITY",
    "REALM",
    "REFRESH",
    "REQUEST",
    "REQUESTED_ADDRESS_FAMILY",
    "REQUESTED_TRANSPORT",
    "RESPONSE",
    "SEND_INDICATION",
    "UNKNOWN_ATTRIBUTES",
    "USERNAME",
    "USE_CANDIDATE",
    "XOR_MAPPED_ADDRESS",
    "XOR_PEER_ADDRESS",
    "XOR_RELAYED_ADDRESS",
    "Address",
    "Attribute",
    "Message",
    "encode_stun",
    "error_value",
    "long_term_key",
    "number",
    "parse_stun",
    "xor_address",
]

#: An IP literal and a port.
Address = tuple[str, int]
#: The type and the value of an attribute.
Attribute = tuple[int, bytes]

# Methods (RFC 8489 section 18.1, RFC 8656 section 17).
BINDING: Final = 0x001
ALLOCATE: Final = 0x003
REFRESH: Final = 0x004
SEND_INDICATION: Final = 0x006
DATA_INDICATION: Final = 0x007
CREATE_PERMISSION: Final = 0x008
CHANNEL_BIND: Final = 0x009

# Classes, as they stand in the message type.
REQUEST: Final = 0x000
INDICATION: Final = 0x010
RESPONSE: Final = 0x100
ERROR: Final = 0x110

# Attributes (RFC 8489 section 18.3, RFC 8445 section 16.1, RFC 8656 section 18).
MAPPED_ADDRESS: Final = 0x0001
USERNAME: Final = 0x0006
MESSAGE_INTEGRITY: Final = 0x0008
ERROR_CODE: Final = 0x0009
UNKNOWN_ATTRIBUTES: Final = 0x000A
CHANNEL_NUMBER: Final = 0x000C
LIFETIME: Final = 0x000D
XOR_PEER_ADDRESS: Final = 0x0012
DATA: Final = 0x0013
REALM: Final = 0x0014
NONCE: Final = 0x0015
XOR_RELAYED_ADDRESS: Final = 0x0016
REQUESTED_ADDRESS_FAMILY: Final = 0x0017
REQUESTED_TRANSPORT: Final = 0x0019
XOR_MAPPED_ADDRESS: Final = 0x0020
PRIORITY: Final = 0x0024
USE_CANDIDATE: Final = 0x0025
FINGERPRINT: Final = 0x8028
ICE_CONTROLLED: Final = 0x8029
ICE_CONTROLLING: Final = 0x802A

# What has to be understood and is. From _FIRST_OPTIONAL on, an attribute may be ignored.
_UNDERSTOOD: Final = frozenset(
    {
        *(MAPPED_ADDRESS, USERNAME, MESSAGE_INTEGRITY, ERROR_CODE, UNKNOWN_ATTRIBUTES, CHANNEL_NUMBER, LIFETIME),
        *(XOR_PEER_ADDRESS, DATA, REALM, NONCE, XOR_RELAYED_ADDRESS, REQUESTED_ADDRESS_FAMILY, REQUESTED_TRANSPORT),
        *(XOR_MAPPED_ADDRESS, PRIORITY, USE_CANDIDATE),
    }
)
_FIRST_OPTIONAL: Final = 0x8000
_MOST_UNKNOWN: Final = 16

#: Octets of the longest message that is taken.
LONGEST: Final = 2048
_HEADER: Final = 20
_COOKIE: Final = 0x2112A442
_COOKIE_OCTETS: Final = _COOKIE.to_bytes(4, "big")
_FINGERPRINT_XOR: Final = 0x5354554E
_INTEGRITY_LENGTH: Final = 24
_FINGERPRINT_LENGTH: Final = 8
_CLASS: Final = 0x0110
_METHOD: Final = 0x3EEF


class Message:
    """A STUN message that has come.

    method, kind   BINDING …, and one of REQUEST, INDICATION, RESPONSE, ERROR
    transaction    12 octets
    attributes     type to value; of one that is there twice the first (RFC 8489 section 14)
    unknown        types that have to be understood and are not
    fingerprint    FINGERPRINT was there
    """

    __slots__ = ("_covered", "_tag", "attributes", "fingerprint", "kind", "method", "transaction", "unknown")

    def __init__(self, method: int, kind: int, transaction: bytes) -> None:
        self.method: int = method
        self.kind: int = kind
        self.transaction: bytes = transaction
        self.attributes: dict[int, bytes] = {}
        self.unknown: list[int] = []
        self.fingerprint: bool = False
        # What MESSAGE-INTEGRITY covers, and its value; empty when it is not there.
        self._covered: bytes = b""
        self._tag: bytes = b""

    def authentic(self, key: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is there and made with `key`."""
        return bool(self._tag) and hmac.compare_digest(self._tag, hmac.digest(key, self._covered, "sha1"))

    def text(self, attribute: int) -> str:
        """USERNAME, REALM …; "" when it is missing or no UTF-8."""
        try:
            return self.attributes.get(attribute, b"").decode("utf-8")
        except UnicodeDecodeError:
            return ""

    def number(self, attribute: int, octets: int = 4) -> int:
        """PRIORITY, LIFETIME …; -1 when it is missing or has another length than `octets`."""
        value = self.attributes.get(attribute, b"")
        return int.from_bytes(value, "big") if len(value) == octets else -1

    def address(self, attribute: int) -> Address | None:
        """XOR-MAPPED-ADDRESS …; None when it is missing or malformed."""
        value = self.attributes.get(attribute)
        if value is None or len(value) < 8:
            return None
        port = int.from_bytes(value[2:4], "big") ^ (_COOKIE >> 16)
        mask = _COOKIE_OCTETS + self.transaction
        hidden = value[4:]
        if value[1] == 1 and len(hidden) == 4:
            return (str(IPv4Address(_xored(hidden, mask))), port)
        if value[1] == 2 and len(hidden) == 16:
            return (str(IPv6Address(_xored(hidden, mask))), port)
        return None

    @property
    def error(self) -> int:
        """The code of ERROR-CODE (RFC 8489 section 14.8); 0 when it is missing or malformed."""
        value = self.attributes.get(ERROR_CODE, b"")
        if len(value) < 4 or not 3 <= value[2] & 7 <= 6 or value[3] > 99:
            return 0
        return 100 * (value[2] & 7) + value[3]


def parse_stun(data: bytes) -> Message | None:
    """The message in the datagram `data`; None when it is none."""
    if not _HEADER <= len(data) <= LONGEST:
        return None
    kind, length, cookie = struct.unpack_from("!HHI", data)
    # Section 5: "The most significant 2 bits of every STUN message MUST be zeroes", and so are the length's last two.
    if kind & 0xC000 or cookie != _COOKIE or length % 4 or length != len(data) - _HEADER:
        return None
    message = Message(kind & _METHOD, kind & _CLASS, data[8:_HEADER])
    at = _HEADER
    while at < len(data):
        name, size = struct.unpack_from("!HH", data, at)
        following = at + 4 + (size + 3 & ~3)
        if following > len(data):
            return None
        if name == FINGERPRINT:
            if size != 4 or following != len(data) or not _fingerprint_right(data, at):
                return None
            message.fingerprint = True
        elif message._tag:
            # Section 14.5: "agents MUST ignore all other attributes that follow MESSAGE-INTEGRITY".
            pass
        elif name == MESSAGE_INTEGRITY:
            if size != 20:
                return None
            message._tag = data[at + 4 : following]
            message._covered = _with_length(data[:at], at - _HEADER + _INTEGRITY_LENGTH)
        else:
            _note(message, name, data[at + 4 : at + 4 + size])
        at = following
    return message


def _note(message: Message, name: int, value: bytes) -> None:
    message.attributes.setdefault(name, value)
    if name < _FIRST_OPTIONAL and name not in _UNDERSTOOD and len(message.unknown) < _MOST_UNKNOWN:
        message.unknown.append(name)


def encode_stun(
    method: int,
    kind: int,
    transaction: bytes,
    attributes: Iterable[Attribute] = (),
    key: bytes | None = None,
    fingerprint: bool = True,
) -> bytes:
    """The octets of a message; with `key` it ends in MESSAGE-INTEGRITY, then comes FINGERPRINT."""
    body = b"".join(
        [struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4) for name, value in attributes]
    )
    message = struct.pack("!HHI", method | kind, len(body), _COOKIE) + transaction + body
    if key is not None:
        covered = _with_length(message, len(message) - _HEADER + _INTEGRITY_LENGTH)
        message = covered + struct.pack("!HH", MESSAGE_INTEGRITY, 20) + hmac.digest(key, covered, "sha1")
    if fingerprint:
        message = _with_length(message, len(message) - _HEADER + _FINGERPRINT_LENGTH)
        message += struct.pack("!HHI", FINGERPRINT, 4, zlib.crc32(message) ^ _FINGERPRINT_XOR)
    return message


def xor_address(address: Address, transaction: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS, XOR-PEER-ADDRESS or XOR-RELAYED-ADDRESS (RFC 8489 section 14.2)."""
    ip = ip_address(address[0].partition("%")[0])
    family = 1 if ip.version == 4 else 2
    hidden = _xored(ip.packed, _COOKIE_OCTETS + transaction)
    return struct.pack("!BBH", 0, family, address[1] ^ (_COOKIE >> 16)) + hidden


def number(value: int, octets: int = 4) -> bytes:
    """The value of PRIORITY, LIFETIME …"""
    return value.to_bytes(octets, "big")


def error_value(code: int, reason: str) -> bytes:
    """The value of ERROR-CODE."""
    return bytes([0, 0, code // 100, code % 100]) + reason.encode("utf-8")


def long_term_key(username: str, realm: str, password: str) -> bytes:
    """The key of long-term credentials (RFC 8489 section 9.2.2, with MD5, which is what TURN servers have)."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).digest()


def _fingerprint_right(data: bytes, at: int) -> bool:
    return int.from_bytes(data[at + 4 : at + 8], "big") == zlib.crc32(data[:at]) ^ _FINGERPRINT_XOR


def _with_length(data: bytes, length: int) -> bytes:
    return data[:2] + length.to_bytes(2, "big") + data[4:]


def _xored(octets: Sequence[int] | bytes, mask: bytes) -> bytes:
    return bytes([octet ^ other for octet, other in zip(octets, mask, strict=False)])
