"""Certificates for DTLS: what they hold, how long one is used, and which fingerprints vouch for one."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization

from ringback.media.io.certificate import Certificate, Certificates, Fingerprint, accepts


def digest(certificate: Certificate, name: str) -> str:
    octets = certificate.certificate.public_bytes(serialization.Encoding.DER)
    return ":".join(f"{octet:02X}" for octet in hashlib.new(name, octets).digest())


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_fingerprints_are_as_sdp_has_them(name: str) -> None:
    certificate = Certificate.generate()
    assert certificate.fingerprint(f"sha-{name[3:]}") == (f"sha-{name[3:]}", digest(certificate, name))


def test_a_certificate_names_nobody_and_is_valid_for_weeks() -> None:
    certificate = Certificate.generate().certificate
    assert certificate.subject.rfc4514_string() == certificate.issuer.rfc4514_string() == "CN=media"
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(hours=23)
    assert now + timedelta(days=29) < certificate.not_valid_after_utc < now + timedelta(days=31)


def test_one_certificate_is_used_until_its_time_is_over() -> None:
    certificates = Certificates(lifetime=100)
    first = certificates.current(5000)
    assert certificates.current(5099.9) is first
    second = certificates.current(5100)
    assert second is not first
    assert certificates.current(5199) is second


RIGHT = Certificate.generate()
OTHER = Certificate.generate()


def lower(fingerprint: Fingerprint) -> Fingerprint:
    return (fingerprint[0].upper(), fingerprint[1].lower())


@pytest.mark.parametrize(
    ("said", "accepted"),
    [
        ([RIGHT.fingerprint()], True),
        ([RIGHT.fingerprint("sha-384")], True),
        ([RIGHT.fingerprint("sha-512")], True),
        ([lower(RIGHT.fingerprint())], True),
        ([OTHER.fingerprint()], False),
        ([], False),
        # Two certificates may be vouched for.
        ([OTHER.fingerprint(), RIGHT.fingerprint()], True),
        # The strongest hash counts, and no weaker one makes up for it.
        ([OTHER.fingerprint("sha-512"), RIGHT.fingerprint("sha-256")], False),
        ([RIGHT.fingerprint("sha-512"), OTHER.fingerprint("sha-256")], True),
        # What can be forged vouches for nobody.
        ([("sha-1", digest(RIGHT, "sha1"))], False),
        ([("md5", digest(RIGHT, "md5"))], False),
        ([("sha-1", digest(OTHER, "sha1")), RIGHT.fingerprint()], True),
        ([("sha-256", "")], False),
        ([("sha-256", RIGHT.fingerprint()[1][:-3])], False),
    ],
)
def test_which_fingerprints_vouch(said: list[Fingerprint], accepted: bool) -> None:
    assert accepts(said, RIGHT.certificate) is accepted
