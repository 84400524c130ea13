"""The STUN server on a SIP port, by the vectors of RFC 5769 where there are some."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.net.stun import binding_response

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
HEADER = struct.Struct("!HHI12s")

# RFC 5769 2.1, 2.2 and 2.3.
SAMPLE_REQUEST = (
    bytes.fromhex("000100582112a442b7e7a701bc34d686fa87dfae80220010")
    + b"STUN test client"
    + bytes.fromhex("002400046e0001ff80290008932ff9b151263b3600060009")
    + b"evtj:h6vY   "
    + bytes.fromhex("000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf")
)
SAMPLE_IPV4_ADDRESS = bytes.fromhex("002000080001a147e112a643")
SAMPLE_IPV6_ADDRESS = bytes.fromhex("002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9")


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)


def request(*attributes: bytes, kind: int = 0x0001, cookie: int = 0x2112A442, fingerprint: bool = False) -> bytes:
    body = b"".join(attributes)
    data = HEADER.pack(kind, len(body) + 8 * fingerprint, cookie, TRANSACTION) + body
    if fingerprint:
        data += attribute(0x8028, struct.pack("!I", zlib.crc32(data) ^ 0x5354554E))
    return data


def test_ipv4_as_in_rfc_5769() -> None:
    header = HEADER.pack(0x0101, 12, 0x2112A442, TRANSACTION)
    assert binding_response(request(), "192.0.2.1", 32853) == header + SAMPLE_IPV4_ADDRESS


def test_ipv6_as_in_rfc_5769() -> None:
    header = HEADER.pack(0x0101, 24, 0x2112A442, TRANSACTION)
    answer = binding_response(request(), "2001:db8:1234:5678:11:2233:4455:6677", 32853)
    assert answer == header + SAMPLE_IPV6_ADDRESS


def test_an_ipv4_peer_of_a_socket_for_both_families() -> None:
    assert binding_response(request(), "::ffff:192.0.2.1", 32853) == binding_response(request(), "192.0.2.1", 32853)


def test_the_zone_of_a_link_local_address_is_left_out() -> None:
    assert binding_response(request(), "fe80::1%eth0", 1) == binding_response(request(), "fe80::1", 1)


def test_the_sample_request_of_rfc_5769_asks_for_ice() -> None:
    """Its PRIORITY (0x0024) is ICE's and has to be understood: RFC 5389 7.3.1 answers 420 and names it."""
    answer = binding_response(SAMPLE_REQUEST, "192.0.2.1", 32853)
    assert answer is not None
    assert HEADER.unpack_from(answer) == (0x0111, len(answer) - 20, 0x2112A442, TRANSACTION)
    error = attribute(0x0009, bytes([0, 0, 4, 20]) + b"Unknown Attribute")
    assert answer[20:-8] == error + attribute(0x000A, bytes.fromhex("0024"))
    assert answer[-8:] == bytes.fromhex("80280004") + struct.pack("!I", zlib.crc32(answer[:-8]) ^ 0x5354554E)


def test_a_fingerprint_is_answered_with_one() -> None:
    answer = binding_response(request(fingerprint=True), "192.0.2.1", 32853)
    assert answer is not None
    assert answer[:20] == HEADER.pack(0x0101, 20, 0x2112A442, TRANSACTION)
    assert answer[20:32] == SAMPLE_IPV4_ADDRESS
    assert answer[32:] == bytes.fromhex("80280004") + struct.pack("!I", zlib.crc32(answer[:32]) ^ 0x5354554E)


def test_known_and_optional_attributes_are_ignored() -> None:
    plain = binding_response(request(), "192.0.2.1", 1)
    credentials = [attribute(0x0006, b"user"), attribute(0x0014, b"realm"), attribute(0x0015, b"nonce")]
    assert binding_response(request(attribute(0x8022, b"client"), *credentials), "192.0.2.1", 1) == plain
    assert binding_response(request(attribute(0xC057, b"\0" * 4)), "192.0.2.1", 1) == plain


def test_each_unknown_attribute_is_named_once() -> None:
    data = request(
        attribute(0x0003, b"\0\0\0\6"), attribute(0x7FFF, b""), attribute(0x0003, b""), attribute(0x0033, b"")
    )
    answer = binding_response(data, "192.0.2.1", 1)
    assert answer is not None
    assert answer.endswith(attribute(0x000A, bytes.fromhex("00037fff0033")))


def test_what_follows_message_integrity_is_ignored() -> None:
    data = request(attribute(0x0008, b"\0" * 20), attribute(0x0024, b"\0" * 4))
    answer = binding_response(data, "192.0.2.1", 1)
    assert answer is not None and answer[:2] == b"\x01\x01"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request()[:19],
        request() + b"\0",
        request() + b"\0\0\0\0",
        request(kind=0x0011),  # an indication
        request(kind=0x0101),
        request(kind=0x0111),
        request(kind=0x0003),  # TURN's Allocate
        request(kind=0x4001),
        request(cookie=0x2112A443),  # RFC 3489, which RFC 5626 8 does not ask for
        HEADER.pack(0x0001, 4, 0x2112A442, TRANSACTION),
        HEADER.pack(0x0001, 3, 0x2112A442, TRANSACTION) + b"abc",
        request(struct.pack("!HH", 0x8022, 5) + b"abcd"),
        request(struct.pack("!HH", 0x8022, 65535)),
        request(attribute(0x8028, b"\0\0\0\0")),
        request(fingerprint=True)[:-1] + b"\0",
        request(request(fingerprint=True)[20:], attribute(0x8022, b"")),
        request(attribute(0x8028, b"\0" * 8)),
    ],
)
def test_what_is_no_sound_request_gets_no_answer(data: bytes) -> None:
    assert binding_response(data, "192.0.2.1", 1) is None


@given(st.binary(max_size=200), st.booleans())
def test_any_octets(noise: bytes, as_attributes: bool) -> None:
    data = request(noise + b"\0" * (-len(noise) % 4)) if as_attributes else noise
    for host in ("192.0.2.1", "2001:db8::1"):
        answer = binding_response(data, host, 65535)
        if answer is not None:
            assert len(answer) <= 3 * len(data)
            assert len(answer) == 20 + int.from_bytes(answer[2:4], "big")
