"""Which records of a DTLS handshake make sense, and how records share datagrams."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ringback.media.dtls_records import Sieve, datagrams, first_hello, hello_number

CLIENT_HELLO, SERVER_HELLO, SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE, FINISHED = 1, 2, 14, 16, 20
CHANGE, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23


def record(kind: int, body: bytes, epoch: int = 0, version: int = 254) -> bytes:
    return bytes([kind, version, 253]) + epoch.to_bytes(2, "big") + bytes(6) + len(body).to_bytes(2, "big") + body


def message(kind: int, length: int, *, number: int = 0, offset: int = 0, part: int = -1, body: bytes = b"") -> bytes:
    body = body or bytes(length if part < 0 else part)
    said = length if part < 0 else part
    three = [value.to_bytes(3, "big") for value in (length, offset, said)]
    return bytes([kind]) + three[0] + number.to_bytes(2, "big") + three[1] + three[2] + body


HELLO = record(HANDSHAKE, message(CLIENT_HELLO, 60))
ANSWER = record(HANDSHAKE, message(SERVER_HELLO, 60))
DONE = record(HANDSHAKE, message(SERVER_HELLO_DONE, 0, number=4))
KEY = record(HANDSHAKE, message(CLIENT_KEY_EXCHANGE, 33, number=2))
CHANGED = record(CHANGE, b"\1")
PROTECTED = record(HANDSHAKE, bytes(40), epoch=1)


def test_a_handshake_passes_as_it_is() -> None:
    client, server = Sieve(client=True), Sieve(client=False)
    for datagram in (HELLO, HELLO, KEY + CHANGED + PROTECTED):
        assert server.sift(datagram) == datagram
    for datagram in (ANSWER + DONE, CHANGED + PROTECTED):
        assert client.sift(datagram) == datagram
    assert (client.dropped, server.dropped, client.alert) == (0, 0, -1)


@pytest.mark.parametrize(
    "noise",
    [
        record(ALERT, b"\2\x28"),
        record(DATA, b"data"),
        record(24, b"heartbeat"),
        CHANGED,
        record(CHANGE, b"\2"),
        HELLO[:-1],
        record(HANDSHAKE, b""),
        record(HANDSHAKE, b"short"),
        record(HANDSHAKE, message(FINISHED, 12)),
        record(HANDSHAKE, message(0, 0)),
        record(HANDSHAKE, message(SERVER_HELLO, 37)),
        record(HANDSHAKE, message(SERVER_HELLO, 70_000, part=10)),
        record(HANDSHAKE, message(SERVER_HELLO, 60, offset=51, part=10)),
        record(HANDSHAKE, message(SERVER_HELLO, 60, part=50, body=bytes(49))),
        record(HANDSHAKE, message(SERVER_HELLO, 60, number=32)),
        record(HANDSHAKE, message(SERVER_HELLO, 60) + b"\2"),
        record(HANDSHAKE, message(SERVER_HELLO, 60), version=3),
        HELLO,
    ],
    ids=range(18),
)
def test_what_makes_no_sense_to_a_client_is_taken_out(noise: bytes) -> None:
    sieve = Sieve(client=True)
    assert sieve.sift(noise) == b""
    assert sieve.dropped == 1
    assert sieve.sift(ANSWER + record(ALERT, b"\2\x28") + DONE) == ANSWER + DONE


def test_a_fatal_alert_is_remembered() -> None:
    sieve = Sieve(client=True)
    sieve.sift(record(ALERT, b"\1\0"))
    assert sieve.alert == -1
    sieve.sift(record(ALERT, b"\2\x28\0"))
    assert sieve.alert == -1
    sieve.sift(record(ALERT, b"\2\x28"))
    assert sieve.alert == 40


def test_a_change_of_cipher_makes_sense_after_the_last_plain_message_only() -> None:
    server = Sieve(client=False)
    assert server.sift(HELLO + CHANGED) == HELLO
    assert server.sift(KEY) == KEY
    assert server.sift(CHANGED) == CHANGED
    server.restart(client=False)
    assert server.sift(CHANGED + KEY + PROTECTED) == b""
    assert server.sift(HELLO + CHANGED) == HELLO


def test_fragments_pass() -> None:
    sieve = Sieve(client=True)
    parts = [record(HANDSHAKE, message(11, 900, number=1, offset=offset, part=300)) for offset in (600, 0, 300)]
    assert [sieve.sift(part) for part in parts] == parts


@given(some.binary(max_size=200))
def test_noise_passes_never_as_something_else(noise: bytes) -> None:
    for client in (True, False):
        kept = Sieve(client).sift(noise)
        assert len(kept) <= len(noise)
        first_hello(noise)


def test_octets_changed_at_random_raise_nothing() -> None:
    chance = random.Random(3)
    sieve = Sieve(client=True)
    for _ in range(2000):
        spoilt = bytearray(ANSWER + DONE + CHANGED + PROTECTED)
        for _ in range(3):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        sieve.sift(bytes(spoilt))
    assert sieve.sift(ANSWER) == ANSWER


def test_the_hello_that_begins_a_handshake_is_known_by_its_random_octets() -> None:
    body = bytes([254, 253]) + bytes(range(32)) + bytes(26)
    assert first_hello(record(HANDSHAKE, message(CLIENT_HELLO, 60, body=body))) == bytes(range(32))
    # The second ClientHello, with the cookie, has the same ones and begins nothing.
    assert first_hello(record(HANDSHAKE, message(CLIENT_HELLO, 60, number=1, body=body))) == b""
    assert first_hello(record(HANDSHAKE, message(CLIENT_HELLO, 60, body=body), epoch=1)) == b""
    assert hello_number(record(HANDSHAKE, message(CLIENT_HELLO, 60, number=1, body=body))) == 1
    assert hello_number(HELLO) == 0
    assert hello_number(record(HANDSHAKE, message(CLIENT_HELLO, 60), epoch=1)) == hello_number(ANSWER) == -1
    assert hello_number(b"") == -1
    assert first_hello(ANSWER) == first_hello(b"") == first_hello(HELLO[:58]) == b""


def test_records_are_packed_into_datagrams() -> None:
    one = record(HANDSHAKE, bytes(50))
    assert datagrams(one * 5, 130) == [one * 2, one * 2, one]
    assert datagrams(one, 20) == [one]
    assert datagrams(b"", 100) == datagrams(one[:5], 100) == []
