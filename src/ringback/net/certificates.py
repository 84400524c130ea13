"""A certificate for a domain that has none yet: enough to speak TLS, and trusted only by who is told to trust it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringback.errors import ConfigurationError
from ringback.sip.transport import is_address

# Browsers refuse certificates that are good for longer.
_DAYS = 397
# Made anew when it is good for less than this.
_RENEW_DAYS = 30


def self_signed_certificate(
    folder: Path, domain: str, hosts: Sequence[str] = (), now: datetime | None = None
) -> tuple[Path, Path]:
    """The files (certificate, key) of a self-signed certificate for the SIP domain `domain`, made when need be.

    They are kept in `folder` as certificate.pem and key.pem, and made anew when they are missing, do not belong
    together, were made for other names, or are within 30 days of their end. `hosts` are further names and addresses, as
    browsers know this host by. `now` is the time to count from, else the clock's.

    Raises ConfigurationError when `folder` can not be written to.
    """
    certificate_file = folder / "certificate.pem"
    key_file = folder / "key.pem"
    now = now or datetime.now(UTC)
    names = _subject_names(domain, hosts)
    if _serves(certificate_file, key_file, names, now):
        return certificate_file, key_file
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key_file, private, 0o600)
        _write(certificate_file, _sign(key, domain, names, now).public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise ConfigurationError(f"{folder}: can not be written to: {error.strerror}") from error
    return certificate_file, key_file


def _subject_names(domain: str, hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    # RFC 5922 6: "the SIP domain identity [is to] be conveyed as a subjectAltName extension of type
    # uniformResourceIdentifier"; the DNS names are for browsers.
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"sip:{domain}")]
    for host in dict.fromkeys((domain, *hosts)):
        names.append(x509.IPAddress(ip_address(host)) if is_address(host) else x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def _serves(certificate_file: Path, key_file: Path, names: x509.SubjectAlternativeName, now: datetime) -> bool:
    """Whether the certificate is for `names` and good for a while, and the key is its own."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, TypeError, ValueError, x509.ExtensionNotFound):
        # Missing, unreadable or another's: a new one takes its place.
        return False
    if key.public_key() != certificate.public_key():
        # The machine stopped after the key was written and before the certificate was.
        return False
    return present == names and certificate.not_valid_after_utc - now > timedelta(days=_RENEW_DAYS)


def _sign(
    key: ec.EllipticCurvePrivateKey, domain: str, names: x509.SubjectAlternativeName, now: datetime
) -> x509.Certificate:
    # A common name has at most 64 characters (RFC 5280, ub-common-name); with a subjectAltName nobody reads it.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    public = key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # Peers' clocks run a little behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS - 1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
    )
    return builder.sign(key, hashes.SHA256())


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file at once: whoever reads it meanwhile gets the old or the new."""
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    # The mode is set as the file is made: a key must not be legible for a moment.
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
