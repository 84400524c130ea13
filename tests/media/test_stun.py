"""STUN messages: the vectors of RFC 5769, what is malformed, and what comes back as it went."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ringback.media.stun import (
    BINDING,
    ERROR,
    ERROR_CODE,
    ICE_CONTROLLED,
    LONGEST,
    PRIORITY,
    REALM,
    REQUEST,
    RESPONSE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    XOR_PEER_ADDRESS,
    Address,
    encode_stun,
    error_value,
    long_term_key,
    number,
    parse_stun,
    xor_address,
)

TRANSACTION = bytes.fromhex("b7e7a701bc34d686fa87dfae")
# RFC 5769 section 2.1 to 2.3: a request, and responses with an IPv4 and an IPv6 address.
SAMPLE_REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae"
    "80220010 5354554e 20746573 7420636c 69656e74"
    "00240004 6e0001ff 80290008 932ff9b1 51263b36"
    "00060009 6576746a 3a683676 59202020"
    "00080014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2"
    "80280004 e57a3bcf".replace(" ", "")
)
SAMPLE_IPV4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae"
    "8022000b 74657374 20766563 746f7220"
    "00200008 0001a147 e112a643"
    "00080014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7"
    "80280004 c07d4c96".replace(" ", "")
)
SAMPLE_IPV6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae"
    "8022000b 74657374 20766563 746f7220"
    "00200014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9"
    "00080014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41"
    "80280004 c8fb0b4c".replace(" ", "")
)
KEY = b"VOkJxbRl1RmTxUk/WvJxBt"


def test_the_request_of_rfc_5769() -> None:
    message = parse_stun(SAMPLE_REQUEST)
    assert message is not None
    assert (message.method, message.kind, message.transaction) == (BINDING, REQUEST, TRANSACTION)
    assert message.text(USERNAME) == "evtj:h6vY"
    assert message.number(PRIORITY) == 0x6E0001FF
    assert message.number(ICE_CONTROLLED, 8) == 0x932FF9B151263B36
    assert message.authentic(KEY)
    assert not message.authentic(KEY + b"x")
    assert message.fingerprint
    assert message.unknown == []


@pytest.mark.parametrize(
    ("sample", "address"),
    [(SAMPLE_IPV4, ("192.0.2.1", 32853)), (SAMPLE_IPV6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_the_responses_of_rfc_5769(sample: bytes, address: Address) -> None:
    message = parse_stun(sample)
    assert message is not None
    assert (message.method, message.kind) == (BINDING, RESPONSE)
    assert message.authentic(KEY)
    assert message.address(XOR_MAPPED_ADDRESS) == address
    assert xor_address(address, TRANSACTION) == message.attributes[XOR_MAPPED_ADDRESS]


def test_the_long_term_key_of_rfc_5769() -> None:
    """Section 2.4: the user's name is written in katakana."""
    message = parse_stun(
        bytes.fromhex(
            "000100602112a44278ad3433c6ad72c029da412e"
            "00060012 e3839e e38388 e383aa e38383 e382af e382b9 0000"
            "0015001c 662f2f34 39396b39 35346436 4f4c3334 6f4c3946 53547679 3634 7341"
            "0014000b 6578616d 706c652e 6f726700"
            "00080014 f6702465 6dd64a3e 02b8e071 2e85c9a2 8ca89666".replace(" ", "")
        )
    )
    assert message is not None
    username = "\u30de\u30c8\u30ea\u30c3\u30af\u30b9"
    assert message.text(USERNAME) == username
    assert message.text(REALM) == "example.org"
    assert message.authentic(long_term_key(username, "example.org", "TheMatrIX"))
    assert not message.fingerprint


def test_what_is_written_is_what_the_rfc_has_written() -> None:
    attributes = [(0x8022, b"test vector"), (XOR_MAPPED_ADDRESS, xor_address(("192.0.2.1", 32853), TRANSACTION))]
    written = encode_stun(BINDING, RESPONSE, TRANSACTION, attributes, KEY)
    # The RFC pads with spaces, which is allowed; we with zeroes.
    assert len(written) == len(SAMPLE_IPV4)
    message = parse_stun(written)
    assert message is not None
    assert message.authentic(KEY)
    assert message.fingerprint
    assert message.attributes[0x8022] == b"test vector"


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        SAMPLE_REQUEST[:19],
        SAMPLE_REQUEST[:-4],
        SAMPLE_REQUEST + bytes(4),
        SAMPLE_REQUEST[:2] + b"\0\x5a" + SAMPLE_REQUEST[4:],
        b"\x40" + SAMPLE_REQUEST[1:],
        SAMPLE_REQUEST[:4] + b"\x21\x12\xa4\x43" + SAMPLE_REQUEST[8:],
        SAMPLE_REQUEST[:-1] + b"\xce",
        # FINGERPRINT is not last; an attribute longer than the message; an integrity of the wrong length.
        encode_stun(BINDING, REQUEST, TRANSACTION, [(0x8028, bytes(4)), (PRIORITY, bytes(4))], fingerprint=False),
        encode_stun(BINDING, REQUEST, TRANSACTION, fingerprint=False)[:2] + b"\0\4" + bytes(16) + b"\0\6\0\1",
        encode_stun(BINDING, REQUEST, TRANSACTION, [(0x0008, bytes(16))]),
        bytes(LONGEST + 4),
    ],
    ids=range(12),
)
def test_what_is_malformed_is_no_message(noise: bytes) -> None:
    assert parse_stun(noise) is None


def test_what_follows_the_integrity_is_not_vouched_for_and_left_out() -> None:
    signed = encode_stun(BINDING, REQUEST, TRANSACTION, [(PRIORITY, number(5))], KEY, fingerprint=False)
    smuggled = b"\0\x25\0\0" + b"\0\x24\0\4" + number(9)
    longer = signed[:2] + (len(signed) - 20 + len(smuggled)).to_bytes(2, "big") + signed[4:] + smuggled
    message = parse_stun(longer)
    assert message is not None
    assert message.authentic(KEY)
    assert message.attributes == {PRIORITY: number(5)}


def test_of_an_attribute_that_is_there_twice_the_first_counts() -> None:
    message = parse_stun(encode_stun(BINDING, REQUEST, TRANSACTION, [(PRIORITY, number(1)), (PRIORITY, number(2))]))
    assert message is not None
    assert message.number(PRIORITY) == 1


def test_without_integrity_nothing_is_authentic() -> None:
    message = parse_stun(encode_stun(BINDING, REQUEST, TRANSACTION))
    assert message is not None
    assert not message.authentic(b"")
    assert not message.authentic(KEY)


def test_what_has_to_be_understood_and_is_not() -> None:
    attributes = [(0x7000 + name, b"") for name in range(40)] + [(0x8000, b"x"), (USERNAME, b"a")]
    message = parse_stun(encode_stun(BINDING, REQUEST, TRANSACTION, attributes))
    assert message is not None
    assert message.unknown == list(range(0x7000, 0x7010))


@pytest.mark.parametrize(
    "value", [b"", bytes(7), b"\0\1" + bytes(5), b"\0\2" + bytes(6), b"\0\3" + bytes(6), bytes(20)]
)
def test_an_address_that_is_none(value: bytes) -> None:
    message = parse_stun(encode_stun(BINDING, RESPONSE, TRANSACTION, [(XOR_PEER_ADDRESS, value)]))
    assert message is not None
    assert message.address(XOR_PEER_ADDRESS) is None
    assert message.address(XOR_MAPPED_ADDRESS) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (error_value(487, "Role Conflict"), 487),
        (error_value(300, ""), 300),
        (error_value(699, ""), 699),
        (b"\0\0\2\0", 0),
        (b"\0\0\7\0", 0),
        (b"\0\0\4\x64", 0),
        (b"\0\0\4", 0),
        (b"", 0),
    ],
)
def test_error_codes(value: bytes, code: int) -> None:
    message = parse_stun(encode_stun(BINDING, ERROR, TRANSACTION, [(ERROR_CODE, value)]))
    assert message is not None
    assert message.error == code


def test_numbers_and_texts_that_are_none() -> None:
    message = parse_stun(encode_stun(BINDING, REQUEST, TRANSACTION, [(PRIORITY, b"abc"), (USERNAME, b"\xff")]))
    assert message is not None
    assert message.number(PRIORITY) == message.number(ICE_CONTROLLED, 8) == -1
    assert message.text(USERNAME) == message.text(REALM) == ""


@given(some.binary(max_size=120))
def test_noise_raises_nothing(noise: bytes) -> None:
    parse_stun(noise)
    body = noise + bytes(-len(noise) % 4)
    parse_stun(b"\0\1" + len(body).to_bytes(2, "big") + SAMPLE_REQUEST[4:20] + body)


def test_spoilt_messages_raise_nothing_and_are_not_authentic() -> None:
    chance = random.Random(5)
    for _ in range(3000):
        spoilt = bytearray(SAMPLE_REQUEST[:-8])
        spoilt[2:4] = (len(spoilt) - 20).to_bytes(2, "big")
        at = chance.randrange(len(spoilt) - 24)
        spoilt[at] ^= chance.randrange(1, 256)
        message = parse_stun(bytes(spoilt))
        if message is not None:
            message.address(XOR_MAPPED_ADDRESS)
            assert not message.authentic(KEY)
