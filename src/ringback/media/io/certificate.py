"""The certificate of a DTLS handshake, and the fingerprints by which SDP vouches for one (RFC 8122).

The certificate is self-signed and says nothing about who we are: RFC 5763 section 5 has its fingerprint in SDP, which
the signalling protects. It is short-lived, and made anew by each process.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

__all__ = ["LIFETIME", "Certificate", "Certificates", "Fingerprint", "accepts"]

# Name of the hash function, and the hash in upper-case hexadecimal with colons, as SDP has them.
Fingerprint = tuple[str, str]

#: Seconds after which `Certificates` makes a new one; each is valid for longer, and clocks may differ by a day.
LIFETIME: Final = 86400.0
_VALID: Final = timedelta(days=30)
_SKEW: Final = timedelta(days=1)

# RFC 8122 section 5: what is understood, strongest first. SHA-1, MD5 and MD2 are not: a fingerprint that can be forged
# vouches for nobody.
_HASHES: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "sha-512": hashes.SHA512,
    "sha-384": hashes.SHA384,
    "sha-256": hashes.SHA256,
}


class Certificate:
    """A certificate and its private key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        self.certificate: x509.Certificate = certificate
        self.key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = key

    @classmethod
    def generate(cls) -> Certificate:
        """A new self-signed one, with a key on P-256, which every peer understands (RFC 8827 section 6.5)."""
        key = ec.generate_private_key(ec.SECP256R1())
        # A name that tells nothing, not even which program this is.
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "media")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            issuer_name=name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - _SKEW,
            not_valid_after=now + _VALID,
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    def fingerprint(self, name: str = "sha-256") -> Fingerprint:
        """What SDP says of this certificate. `name` is one of sha-256, sha-384, sha-512."""
        return (name, _digest(self.certificate, name))


class Certificates:
    """Gives the certificate of a process: the same one for `lifetime` seconds."""

    def __init__(self, lifetime: float = LIFETIME) -> None:
        self.lifetime: float = lifetime
        self._made: float = 0.0
        self._current: Certificate | None = None

    def current(self, now: float) -> Certificate:
        """The certificate for a handshake that begins at `now` (seconds, monotonic)."""
        if self._current is None or now - self._made >= self.lifetime:
            self._current = Certificate.generate()
            self._made = now
        return self._current


def accepts(fingerprints: Iterable[Fingerprint], certificate: x509.Certificate) -> bool:
    """Whether one of `fingerprints` vouches for `certificate`; False too when none has a hash that is understood.

    RFC 8122 section 5.1: of the hash functions that both understand the most preferred one counts, and one fingerprint
    with it has to match.
    """
    said: dict[str, set[str]] = {}
    for name, value in fingerprints:
        said.setdefault(name.lower(), set()).add(value.upper())
    for name in _HASHES:
        if name in said:
            return _digest(certificate, name) in said[name]
    return False


def _digest(certificate: x509.Certificate, name: str) -> str:
    return certificate.fingerprint(_HASHES[name]()).hex(":").upper()
