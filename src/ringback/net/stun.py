"""The limited STUN server that shares a SIP port with SIP (RFC 5626 section 8, RFC 5389).

A user agent behind a NAT sends Binding requests over its UDP flow; the answer tells it that the flow still works and
under which address it is seen. `binding_response` is all of it: octets in, octets out, no state.

What is no sound STUN request gets no answer: RFC 5389 7.3: "If any errors are detected, the message is silently
discarded." An answer is never three times as long as its request, so a forged source address gains nothing by it; that
is why there is no SOFTWARE attribute, which a server only SHOULD add.
"""

from __future__ import annotations

import struct
import zlib
from socket import AF_INET, AF_INET6, inet_pton
from typing import Final

HEADER_LENGTH: Final = 20
MAGIC_COOKIE: Final = 0x2112A442

_BINDING_REQUEST: Final = 0x0001
_BINDING_SUCCESS: Final = 0x0101
_BINDING_ERROR: Final = 0x0111

_MESSAGE_INTEGRITY: Final = 0x0008
_ERROR_CODE: Final = 0x0009
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_XOR_MAPPED_ADDRESS: Final = 0x0020
_FINGERPRINT: Final = 0x8028

# 18.2: the comprehension-required attributes that RFC 5389 defines. Those with a value above 0x7FFF may be ignored.
_KNOWN: Final = frozenset((0x0001, 0x0006, 0x0008, 0x0009, 0x000A, 0x0014, 0x0015, 0x0020))
_FIRST_OPTIONAL: Final = 0x8000
# Enough to tell a client what is wrong; a list of hundreds would be work for nothing.
_MOST_UNKNOWN: Final = 16

_FINGERPRINT_XOR: Final = 0x5354554E
_FINGERPRINT_LENGTH: Final = 8

# 420 Unknown Attribute (15.6): the hundreds digit, the rest, and the phrase padded to 32 bits.
_UNKNOWN_ATTRIBUTE: Final = struct.pack("!HHHBB", _ERROR_CODE, 21, 0, 4, 20) + b"Unknown Attribute\0\0\0"

_MAPPED_PREFIX: Final = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"


def binding_response(data: bytes, host: str, port: int) -> bytes | None:
    """The answer to the STUN message `data` that came from `host`, an IP literal, and `port`.

    A success response with XOR-MAPPED-ADDRESS; a 420 error response when the request holds an attribute that has to be
    understood and is not; None when `data` is no sound Binding request. FINGERPRINT is checked and answered in kind.
    """
    if len(data) < HEADER_LENGTH:
        return None
    kind, length, cookie = struct.unpack_from("!HHI", data)
    # Section 6: "the last 2 bits of this field are always zero", and the length has to be that of the datagram.
    if kind != _BINDING_REQUEST or cookie != MAGIC_COOKIE or length % 4 or length != len(data) - HEADER_LENGTH:
        return None
    unknown: list[int] = []
    fingerprint = False
    if length:
        types = _attribute_types(data)
        if types is None:
            return None
        fingerprint = bool(types) and types[-1] == _FINGERPRINT
        unknown = _unknown(types)
    transaction = data[8:HEADER_LENGTH]
    if unknown:
        # 7.3.1: "the server replies with an error response with an error code of 420 (Unknown Attribute), and includes
        # an UNKNOWN-ATTRIBUTES attribute in the response".
        kind = _BINDING_ERROR
        attributes = _UNKNOWN_ATTRIBUTE + _unknown_attributes(unknown)
    else:
        kind = _BINDING_SUCCESS
        attributes = _xor_mapped_address(host, port, transaction)
    size = len(attributes) + (_FINGERPRINT_LENGTH if fingerprint else 0)
    answer = struct.pack("!HHI", kind, size, MAGIC_COOKIE) + transaction + attributes
    if fingerprint:
        answer += struct.pack("!HHI", _FINGERPRINT, 4, zlib.crc32(answer) ^ _FINGERPRINT_XOR)
    return answer


def _attribute_types(data: bytes) -> list[int] | None:
    """The types of the attributes of a message; None when they do not fit in it or FINGERPRINT is wrong or not last."""
    types: list[int] = []
    at = HEADER_LENGTH
    end = len(data)
    while at < end:
        # The length of the whole is a multiple of 4, so the 4 octets of an attribute's header are there.
        kind, length = struct.unpack_from("!HH", data, at)
        following = at + 4 + ((length + 3) & ~3)
        if following > end:
            return None
        if kind == _FINGERPRINT:
            # 15.5: "the FINGERPRINT attribute MUST be the last attribute in the message".
            if length != 4 or following != end:
                return None
            if int.from_bytes(data[at + 4 : end], "big") != zlib.crc32(data[:at]) ^ _FINGERPRINT_XOR:
                return None
        types.append(kind)
        at = following
    return types


def _unknown(types: list[int]) -> list[int]:
    """Which of `types` have to be understood and are not, each once."""
    unknown: list[int] = []
    for kind in types:
        if kind == _MESSAGE_INTEGRITY:
            # 15.4: "With the exception of the FINGERPRINT attribute, which appears after MESSAGE-INTEGRITY, agents MUST
            # ignore all other attributes that follow MESSAGE-INTEGRITY."
            break
        if kind < _FIRST_OPTIONAL and kind not in _KNOWN and kind not in unknown:
            unknown.append(kind)
            if len(unknown) == _MOST_UNKNOWN:
                break
    return unknown


def _unknown_attributes(unknown: list[int]) -> bytes:
    value = struct.pack(f"!{len(unknown)}H", *unknown)
    padding = b"\0\0" if len(unknown) % 2 else b""
    return struct.pack("!HH", _UNKNOWN_ATTRIBUTES, len(value)) + value + padding


def _xor_mapped_address(host: str, port: int, transaction: bytes) -> bytes:
    """The attribute of 15.2: port and address, exclusive-or'ed with the cookie and the transaction's id."""
    hidden_port = port ^ (MAGIC_COOKIE >> 16)
    if ":" not in host:
        hidden = int.from_bytes(inet_pton(AF_INET, host), "big") ^ MAGIC_COOKIE
        return struct.pack("!HHBBHI", _XOR_MAPPED_ADDRESS, 8, 0, 1, hidden_port, hidden)
    # A link-local address comes with its zone, which is this host's affair.
    address = inet_pton(AF_INET6, host.partition("%")[0])
    if address.startswith(_MAPPED_PREFIX):
        # A socket that takes both families shows an IPv4 peer so; the peer knows itself by its IPv4 address.
        hidden = int.from_bytes(address[12:], "big") ^ MAGIC_COOKIE
        return struct.pack("!HHBBHI", _XOR_MAPPED_ADDRESS, 8, 0, 1, hidden_port, hidden)
    mask = MAGIC_COOKIE.to_bytes(4, "big") + transaction
    wide = int.from_bytes(address, "big") ^ int.from_bytes(mask, "big")
    return struct.pack("!HHBBH", _XOR_MAPPED_ADDRESS, 20, 0, 2, hidden_port) + wide.to_bytes(16, "big")
