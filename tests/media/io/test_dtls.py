"""DTLS associations in memory: keys on both sides, loss and disorder, forged messages, wrong certificates."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from ringback.media.dtls_records import datagrams
from ringback.media.io import dtls
from ringback.media.io.certificate import Certificate, Fingerprint
from ringback.media.io.dtls import ATTEMPTS, MTU, PROFILES, Association, Role, context

HERE = Certificate.generate()
THERE = Certificate.generate()
WRONG = "the certificate of the far end's DTLS handshake is not the one whose fingerprint SDP gives"

Wire = Callable[[Association, list[bytes]], list[bytes]]


def client(said: Sequence[Fingerprint] = (THERE.fingerprint(),), **options: object) -> Association:
    return Association("client", HERE, said, **options)  # type: ignore[arg-type]


def server(said: Sequence[Fingerprint] = (HERE.fingerprint(),), **options: object) -> Association:
    return Association("server", THERE, said, **options)  # type: ignore[arg-type]


def as_it_is(sender: Association, flight: list[bytes]) -> list[bytes]:
    return flight


def run(here: Association, there: Association, wire: Wire = as_it_is) -> list[bytes]:
    """Carry all that they send until both are silent; what came through the wire."""
    carried = []
    for _ in range(40):
        moved = False
        for sender, receiver in ((here, there), (there, here)):
            for datagram in wire(sender, sender.take()):
                carried.append(datagram)
                receiver.receive(datagram)
                moved = True
        if not moved:
            break
    return carried


def started(here: Association, there: Association) -> tuple[Association, Association]:
    here.start()
    there.start()
    return here, there


def connected() -> tuple[Association, Association]:
    here, there = started(client(), server())
    run(here, there)
    assert (here.state, there.state) == ("done", "done")
    return here, there


def agree(here: Association, there: Association) -> str:
    """Both are done and their keys fit; gives the suite."""
    assert (here.state, there.state) == ("done", "done")
    assert here.keys is not None
    assert there.keys is not None
    assert here.keys.suite == there.keys.suite
    assert here.keys.local == there.keys.remote
    assert here.keys.remote == there.keys.local
    assert here.keys.local != here.keys.remote
    assert here.error is there.error is None
    return here.keys.suite


def test_both_sides_have_the_same_keys() -> None:
    here, there = started(client(), server())
    assert here.timeout() is not None
    assert there.timeout() is None
    run(here, there)
    assert agree(here, there) == "AEAD_AES_128_GCM"
    assert here.timeout() is there.timeout() is None
    assert (here.broken, there.broken) == (0, 0)


def test_keys_differ_from_handshake_to_handshake() -> None:
    assert len({here.keys.local for here, _ in (connected(), connected()) if here.keys is not None}) == 2


@pytest.mark.parametrize("suite", ["AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80"])
def test_every_profile(suite: str) -> None:
    here, there = started(client(profiles=(suite,)), server(profiles=PROFILES))
    run(here, there)
    assert agree(here, there) == suite
    assert here.keys is not None
    assert len(here.keys.local) == {"AEAD_AES_256_GCM": 44, "AEAD_AES_128_GCM": 28}.get(suite, 30)


def test_without_a_common_profile_there_are_no_keys() -> None:
    here, there = started(client(profiles=("AEAD_AES_256_GCM",)), server(profiles=("AES_CM_128_HMAC_SHA1_80",)))
    run(here, there)
    assert {here.state, there.state} == {"failed"}
    assert here.keys is there.keys is None
    assert str(here.error) == "the far end agreed on no SRTP protection profile in its DTLS handshake"


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_certificate_that_nobody_vouches_for(role: Role) -> None:
    said = [HERE.fingerprint("sha-384"), ("sha-1", "00")] if role == "client" else [THERE.fingerprint()]
    here, there = started(client(said), server()) if role == "client" else started(client(), server(said))
    run(here, there)
    deceived = here if role == "client" else there
    assert deceived.state == "failed"
    assert str(deceived.error) == WRONG
    assert deceived.keys is None
    assert deceived.broken == 0
    deceived.receive(b"\x16" * 100)
    deceived.expire()
    assert deceived.take() == []
    assert deceived.timeout() is None


def test_a_far_end_without_a_certificate() -> None:
    settings = SSL.Context(SSL.DTLS_METHOD)
    settings.set_tlsext_use_srtp(b"SRTP_AEAD_AES_128_GCM")
    bare = SSL.Connection(settings, None)
    bare.set_connect_state()
    there = server()
    there.start()
    for _ in range(4):
        try:
            bare.do_handshake()
        except SSL.Error:
            pass
        try:
            for datagram in datagrams(bare.bio_read(65536), MTU):
                there.receive(datagram)
        except SSL.WantReadError:
            pass
        for datagram in there.take():
            bare.bio_write(datagram)
    assert there.state == "handshake"
    assert there.keys is None


def test_repeated_and_reordered_messages() -> None:
    """A change of cipher that overtakes what it depends on is lost, until it is sent again."""
    chance = random.Random(20261128)
    complete = 0
    for _ in range(40):

        def disorder(sender: Association, flight: list[bytes]) -> list[bytes]:
            shuffled = flight + [datagram for datagram in flight if chance.random() < 0.5]
            chance.shuffle(shuffled)
            return shuffled

        here, there = started(client(mtu=256), server(mtu=256))
        run(here, there, disorder)
        assert (here.broken, there.broken) == (0, 0)
        if (here.state, there.state) == ("done", "done"):
            agree(here, there)
            complete += 1
        else:
            assert here.timeout() is not None
    assert complete >= 10


def big_certificate() -> Certificate:
    """With a key and a name that make it longer than a datagram."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    attributes = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "a long name" * 5) for _ in range(20)]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(x509.Name(attributes), x509.Name(attributes), key.public_key(), 1)
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return Certificate(builder.sign(key, hashes.SHA256()), key)


def test_long_messages_come_in_fragments_and_no_datagram_is_longer_than_said() -> None:
    """And a key of RSA, as many phones have."""
    certificate = big_certificate()
    here = client([certificate.fingerprint()])
    there = Association("server", certificate, [HERE.fingerprint()], mtu=400)
    started(here, there)
    carried = run(here, there)
    agree(here, there)
    assert len(carried) > 6
    assert max(len(datagram) for datagram in carried) <= MTU
    here, there = started(client(mtu=300), server(mtu=300))
    assert max(len(datagram) for datagram in run(here, there)) <= 300
    agree(here, there)


NOISE = [
    b"",
    b"\x16",
    b"\x16\xfe\xfd",
    bytes([22]) * 40,
    bytes(range(20, 64)) * 30,
    # An alert: handshake failure, fatal.
    bytes([21, 254, 253]) + bytes(8) + b"\0\2" + bytes([2, 40]),
    # A handshake message that says it is longer than all there is.
    bytes([22, 254, 253]) + bytes(8) + b"\0\x0c" + bytes([2, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]),
    # A ServerHello cut short, a Finished out of place, a HelloRequest.
    bytes([22, 254, 253]) + bytes(8) + b"\0\x0c" + bytes([2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    bytes([22, 254, 253]) + bytes(8) + b"\0\x0c" + bytes([20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    bytes([22, 254, 253]) + bytes(8) + b"\0\x0c" + bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    # A record of an epoch that has not begun.
    bytes([22, 254, 253]) + b"\0\1" + bytes(6) + b"\0\x20" + bytes(32),
    # Application data, and a change of cipher too early.
    bytes([23, 254, 253]) + bytes(8) + b"\0\4data",
    bytes([20, 254, 253]) + bytes(8) + b"\0\1\1",
]


@pytest.mark.parametrize("noise", NOISE, ids=range(len(NOISE)))
@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("hit", ["client", "server"])
def test_a_broken_message_ends_no_handshake(noise: bytes, before: int, hit: str) -> None:
    """It comes before the handshake, or in the midst of it, and the handshake comes to its end all the same."""
    here, there = started(client(), server())
    struck = here if hit == "client" else there
    for _ in range(before):
        for sender, receiver in ((here, there), (there, here)):
            for datagram in sender.take():
                receiver.receive(datagram)
    struck.receive(noise)
    run(here, there)
    agree(here, there)
    assert struck.broken == 0


def test_broken_messages_after_the_keys_change_nothing() -> None:
    here, there = connected()
    keys = (here.keys, there.keys)
    for noise in NOISE:
        here.receive(noise)
        there.receive(noise)
    run(here, there)
    assert (here.state, there.state) == ("done", "done")
    assert (here.keys, there.keys) == keys


def test_a_genuine_goodbye_after_the_keys_is_ignored() -> None:
    here, there = connected()
    there._connection.shutdown()
    here.receive(there._connection.bio_read(4000))
    assert here.state == "done"
    assert here.ignored == 1
    there._connection.set_shutdown(0)
    there._connection.send(b"something")
    here.receive(there._connection.bio_read(4000))
    assert here.ignored == 2
    assert here.state == "done"


def test_a_far_end_that_begins_anew() -> None:
    """Its program was started again, say: other random octets, so another handshake (and not a repetition)."""
    there = server()
    there.start()
    for number in range(ATTEMPTS - 1):
        earlier = client()
        earlier.start()
        for datagram in earlier.take():
            there.receive(datagram)
            there.receive(datagram)
        assert there.broken == number
        there.take()
    here = client()
    here.start()
    run(here, there)
    agree(here, there)
    assert there.broken == ATTEMPTS - 1


def test_an_alert_without_protection_is_remembered_and_ends_nothing() -> None:
    here, there = started(client(), server())
    here.receive(NOISE[5])
    there.receive(NOISE[5])
    assert (here.sieve.alert, there.sieve.alert) == (40, 40)
    run(here, there)
    agree(here, there)


def breaking(here: Association) -> bytes:
    """A ServerHello for `here` that makes sense to the sieve and none to OpenSSL."""
    body = bytes([254, 253]) + bytes(32) + bytes([0, 0xFF, 0xFF, 0])
    message = bytes([2]) + len(body).to_bytes(3, "big") + bytes(5) + len(body).to_bytes(3, "big") + body
    return bytes([22, 254, 253]) + bytes(8) + len(message).to_bytes(2, "big") + message


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_a_client_whose_handshake_was_broken_begins_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(dtls, "time", clock)
    here, there = started(client(), server())
    first = here.take()
    here.receive(breaking(here))
    assert (here.state, here.broken) == ("handshake", 1)
    assert here.timeout() == dtls.QUIET
    # What is left of the former handshake is not listened to, and nothing is sent.
    for datagram in first:
        there.receive(datagram)
    for datagram in there.take():
        here.receive(datagram)
    here.expire()
    assert here.take() == []
    clock.now += dtls.QUIET
    assert here.timeout() == 0
    here.expire()
    run(here, there)
    agree(here, there)
    assert (here.broken, there.broken) == (1, 1)


def test_handshakes_that_break_again_and_again_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(dtls, "time", clock)
    here = client()
    here.start()
    for number in range(ATTEMPTS):
        assert (here.state, here.broken) == ("handshake", number)
        here.receive(breaking(here))
        clock.now += 1
        here.expire()
    assert here.state == "failed"
    assert str(here.error).startswith("the DTLS handshake failed: ")
    assert here.timeout() is None


def test_only_dtls_1_2() -> None:
    old = context(HERE)
    old.set_max_proto_version(0xFEFF)
    old.set_min_proto_version(0xFEFF)
    old.set_cipher_list(b"ALL:@SECLEVEL=0")
    connection = SSL.Connection(old, None)
    connection.set_connect_state()
    with pytest.raises(SSL.Error):
        connection.do_handshake()
    there = server()
    there.start()
    try:
        there.receive(connection.bio_read(4000))
    except SSL.WantReadError:
        # This OpenSSL does not even know how to ask for DTLS 1.0.
        return
    assert there.state == "handshake"
    assert there.keys is None


def test_random_octets_in_the_midst_of_a_handshake() -> None:
    chance = random.Random(7)
    for _ in range(30):

        def noisy(sender: Association, flight: list[bytes]) -> list[bytes]:
            spoilt = []
            for datagram in flight:
                at = chance.randrange(len(datagram))
                if chance.random() < 0.2:
                    # A copy with one octet changed comes after the right one.
                    spoilt += [datagram, datagram[:at] + bytes([chance.randrange(256)]) + datagram[at + 1 :]]
                else:
                    spoilt.append(datagram)
            return spoilt

        here, there = started(client(), server())
        run(here, there, noisy)
        for side in (here, there):
            assert side.state in ("handshake", "done")
        if (here.state, there.state) == ("done", "done"):
            agree(here, there)
