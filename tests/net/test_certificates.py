"""The certificate of a domain that has none: what is in it, and when it is made anew."""

import os
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringback.errors import ConfigurationError
from ringback.net.certificates import self_signed_certificate

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def certificate_in(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def made(folder: Path, domain: str = "example.org", hosts: tuple[str, ...] = (), now: datetime = NOW) -> bytes:
    """The octets of both files."""
    certificate, key = self_signed_certificate(folder, domain, hosts, now)
    return certificate.read_bytes() + key.read_bytes()


def names_in(certificate: x509.Certificate) -> list[object]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return [name.value for name in extension.value]


def test_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "tls" / "made"
    paths = self_signed_certificate(folder, "example.org", ("phone.local", "127.0.0.1", "::1", "phone.local"), NOW)
    assert paths == (folder / "certificate.pem", folder / "key.pem")
    certificate = certificate_in(paths[0])
    # RFC 5922 7.1: a SIP domain identity is a URI "sip:domain"; the others are for browsers. Each stands once.
    assert names_in(certificate) == [
        "sip:example.org",
        "example.org",
        "phone.local",
        ip_address("127.0.0.1"),
        ip_address("::1"),
    ]
    assert certificate.not_valid_before_utc == NOW - timedelta(days=1)
    # Browsers refuse more than 398 days.
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == timedelta(days=397)
    [name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert (name.value, certificate.issuer) == ("example.org", certificate.subject)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    # A proxy is a client towards the next one as well.
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate.verify_directly_issued_by(certificate)


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        certificate, key = self_signed_certificate(tmp_path / "new", "example.org", now=NOW)
    finally:
        os.umask(umask)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new", key, certificate)] == [0o700, 0o600, 0o644]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["certificate.pem", "key.pem"]
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    assert loaded.public_key() == certificate_in(certificate).public_key()


def test_tls_takes_it_and_knows_its_names(tmp_path: Path) -> None:
    certificate, key = self_signed_certificate(tmp_path, "example.org", ("127.0.0.1",))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=str(certificate))

    def handshake(name: str) -> None:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [
            client.wrap_bio(to_client, to_server, server_hostname=name),
            server.wrap_bio(to_server, to_client, server_side=True),
        ]
        waiting = {0, 1}
        while waiting:
            for number in sorted(waiting):
                try:
                    ends[number].do_handshake()
                    waiting.discard(number)
                except ssl.SSLWantReadError:
                    continue

    handshake("example.org")
    handshake("127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake("example.com")


@pytest.mark.parametrize(
    ("days", "kept"),
    [(0, True), (365, True), (366, False), (396, False), (500, False)],
)
def test_it_is_made_anew_thirty_days_before_its_end(tmp_path: Path, days: int, kept: bool) -> None:
    first = made(tmp_path)
    second = made(tmp_path, now=NOW + timedelta(days=days))
    assert (second == first) is kept
    certificate = certificate_in(tmp_path / "certificate.pem")
    assert certificate.not_valid_after_utc >= NOW + timedelta(days=days + 30)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("domain", "hosts", "kept"),
    [
        ("example.org", ("a", "192.0.2.1"), True),
        ("example.org", ("a", "192.0.2.1", "a", "example.org"), True),
        ("example.org", ("a",), False),
        ("example.org", ("a", "192.0.2.2"), False),
        ("example.com", ("a", "192.0.2.1"), False),
    ],
)
def test_it_is_made_anew_for_other_names(tmp_path: Path, domain: str, hosts: tuple[str, ...], kept: bool) -> None:
    first = made(tmp_path, hosts=("a", "192.0.2.1"))
    assert (made(tmp_path, domain, hosts) == first) is kept
    assert names_in(certificate_in(tmp_path / "certificate.pem"))[0] == f"sip:{domain}"


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("certificate.pem", None),
        ("certificate.pem", b""),
        ("certificate.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("key.pem", None),
        ("key.pem", b""),
        ("key.pem", b"\xff\x00"),
    ],
)
def test_what_is_missing_or_broken_is_made_anew(tmp_path: Path, file: str, content: bytes | None) -> None:
    first = made(tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    assert made(tmp_path) != first
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")


def test_a_key_and_a_certificate_that_do_not_belong_together(tmp_path: Path) -> None:
    """As a machine leaves them that stops between the writing of the two."""
    made(tmp_path / "a")
    made(tmp_path / "b")
    (tmp_path / "a" / "key.pem").write_bytes((tmp_path / "b" / "key.pem").read_bytes())
    made(tmp_path / "a")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "a" / "certificate.pem", tmp_path / "a" / "key.pem")


def test_what_an_interrupted_run_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "key.new").write_bytes(b"half a k")
    (tmp_path / "certificate.new").write_bytes(b"")
    made(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["certificate.pem", "key.pem"]


def test_a_long_domain(tmp_path: Path) -> None:
    """RFC 5280, ub-common-name: 64 characters; the subjectAltName has them all."""
    domain = ".".join(["label" * 6] * 4)
    certificate = certificate_in(self_signed_certificate(tmp_path, domain, now=NOW)[0])
    [name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == domain[:64]
    assert names_in(certificate) == [f"sip:{domain}", domain]


def test_without_a_time_it_counts_from_now(tmp_path: Path) -> None:
    certificate = certificate_in(self_signed_certificate(tmp_path, "example.org")[0])
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=395) < left <= timedelta(days=396)


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "tls"
    with pytest.raises(ConfigurationError) as caught:
        self_signed_certificate(folder, "example.org", now=NOW)
    assert str(caught.value) == f"{folder}: can not be written to: Not a directory"
