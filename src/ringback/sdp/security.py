"""Keys in session descriptions: SDES (RFC 4568, 6188, 7714) and what DTLS needs (RFC 8122, 4145, 5763, 8842).

A crypto line that RFC 4568 calls invalid is refused by `Crypto.parse` with an SdpError, and passed over by who collects
the lines of a stream: "If the length … does not match that specified for the crypto-suite, the crypto attribute in
question MUST be considered invalid" (6.1).
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from ringback.sdp.errors import SdpError

__all__ = [
    "SUITES",
    "Crypto",
    "Fingerprint",
    "MasterKey",
    "Setup",
    "Suite",
    "canonical_suite",
    "setup_of",
]

Setup: TypeAlias = Literal["active", "passive", "actpass", "holdconn"]


@dataclass(frozen=True, slots=True)
class Suite:
    """A crypto suite: octets of its master key and master salt, and packets that one master key may protect."""

    name: str
    key_length: int
    salt_length: int
    lifetime: int = 2**48

    @property
    def length(self) -> int:
        """Octets of key and salt together: what stands behind "inline:"."""
        return self.key_length + self.salt_length


#: Those that can be used, by name (RFC 4568 6.2, RFC 6188 section 4, RFC 7714 section 14.2).
SUITES: Final[dict[str, Suite]] = {
    suite.name: suite
    for suite in (
        Suite("AEAD_AES_256_GCM", 32, 12),
        Suite("AEAD_AES_128_GCM", 16, 12),
        Suite("AES_256_CM_HMAC_SHA1_80", 32, 14),
        Suite("AES_256_CM_HMAC_SHA1_32", 32, 14),
        Suite("AES_CM_128_HMAC_SHA1_80", 16, 14),
        Suite("AES_CM_128_HMAC_SHA1_32", 16, 14),
    )
}
# Written by peers that were there before RFC 6188 had its final names.
_OLD_NAMES: Final = {
    "AES_CM_256_HMAC_SHA1_80": "AES_256_CM_HMAC_SHA1_80",
    "AES_CM_256_HMAC_SHA1_32": "AES_256_CM_HMAC_SHA1_32",
}

_TAG: Final = re.compile(r"[0-9]{1,9}\Z")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}\Z")
# 6.1: "leading zeroes MUST NOT be used", in lifetimes and in MKIs.
_LIFETIME: Final = re.compile(r"(?:2\^([1-9][0-9]?)|([1-9][0-9]{0,15}))\Z")
_MKI: Final = re.compile(r"([1-9][0-9]{0,38}):([1-9][0-9]{0,2})\Z")
_LONGEST_MKI: Final = 128
_WINDOW: Final = re.compile(r"WSH=([1-9][0-9]{1,5})\Z")
_SMALLEST_WINDOW: Final = 64
_MOST_KEYS: Final = 16


def canonical_suite(name: str) -> str:
    """The registered name of a crypto suite that is written with it or with an older one."""
    return _OLD_NAMES.get(name, name)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One "inline:" key. `material` is key and salt; `lifetime` in packets, 0 for the suite's; `mki` b"" for none."""

    material: bytes = field(repr=False)
    lifetime: int = 0
    mki: bytes = b""

    @classmethod
    def parse(cls, text: str, suite: Suite) -> MasterKey:
        """A key parameter such as "inline:d0Rm…|2^20|1:4"."""
        method, colon, info = text.partition(":")
        if method != "inline" or not colon:
            raise SdpError(f"{method[:20]!r} is no key method")
        material, *rest = info.split("|")
        if len(rest) > 2:
            raise SdpError("a master key with more than a lifetime and an MKI")
        lifetime, mki = 0, b""
        for position, item in enumerate(rest):
            # 6.1: "the lifetime field never includes a colon, whereas the third field always does".
            if ":" in item:
                if position != len(rest) - 1:
                    raise SdpError("an MKI before the lifetime")
                mki = _parse_mki(item)
            elif position == 0:
                lifetime = _parse_lifetime(item, suite)
            else:
                raise SdpError("an MKI without its length")
        return cls(_parse_material(material, suite), lifetime, mki)

    def __str__(self) -> str:
        text = "inline:" + binascii.b2a_base64(self.material, newline=False).decode("ascii")
        if self.lifetime:
            power = self.lifetime.bit_length() - 1
            text += f"|2^{power}" if self.lifetime == 1 << power and power else f"|{self.lifetime}"
        if self.mki:
            text += f"|{int.from_bytes(self.mki, 'big')}:{len(self.mki)}"
        return text


def _parse_material(text: str, suite: Suite) -> bytes:
    # 6.1: "padding characters (i.e., one or two "=" at the end of the base64-encoded data) are discarded".
    bare = text.rstrip("=")
    if not _BASE64.match(text) or len(bare) % 4 == 1:
        raise SdpError("a master key that is not Base64")
    material = binascii.a2b_base64(bare + "=" * (-len(bare) % 4))
    if len(material) != suite.length:
        raise SdpError(f"{len(material)} octets are no key and salt of {suite.name}")
    return material


def _parse_lifetime(text: str, suite: Suite) -> int:
    match = _LIFETIME.match(text)
    lifetime = 0 if match is None else 1 << int(match[1]) if match[1] else int(match[2])
    if not 0 < lifetime <= suite.lifetime:
        raise SdpError(f"{text[:20]!r} is no lifetime of a master key")
    return lifetime


def _parse_mki(text: str) -> bytes:
    match = _MKI.match(text)
    if match is None or int(match[2]) > _LONGEST_MKI or int(match[1]).bit_length() > 8 * int(match[2]):
        raise SdpError(f"{text[:20]!r} is no MKI with its length")
    return int(match[1]).to_bytes(int(match[2]), "big")


@dataclass(frozen=True, slots=True)
class Crypto:
    """One a=crypto line: a crypto suite and the key with which who writes it sends (RFC 4568).

    suite       its name as written; `canonical_suite` for the registered one
    key         master key and salt, `SUITES[suite].length` octets of randomness
    tag         the number that the answer repeats; `offer` numbers our own
    lifetime    packets, 0 for the suite's own
    mki         what stands in every packet to tell keys apart, or b""
    parameters  session parameters, as written
    more_keys   further master keys (each then has an MKI)
    """

    suite: str
    key: bytes = field(repr=False)
    tag: int = 0
    lifetime: int = 0
    mki: bytes = b""
    parameters: tuple[str, ...] = ()
    more_keys: tuple[MasterKey, ...] = ()

    @classmethod
    def parse(cls, value: str) -> Crypto:
        """Read the value of the attribute. SdpError: invalid, or of a suite that is not known."""
        fields = value.split()
        if len(fields) < 3 or not _TAG.match(fields[0]):
            raise SdpError("a crypto attribute without tag, suite and key")
        suite = SUITES.get(canonical_suite(fields[1]))
        if suite is None:
            raise SdpError(f"the crypto suite {fields[1][:40]!r} is not known")
        texts = fields[2].split(";")
        if len(texts) > _MOST_KEYS:
            raise SdpError("a crypto attribute with too many master keys")
        keys = [MasterKey.parse(text, suite) for text in texts]
        # 6.1: with several keys all "MUST include an MKI value", and "the MKI length MUST be the same for all keys".
        if len(keys) > 1 and (not keys[0].mki or len({len(key.mki) for key in keys}) > 1):
            raise SdpError("several master keys that their MKIs do not tell apart")
        first = keys[0]
        parameters = tuple(fields[3:])
        return cls(fields[1], first.material, int(fields[0]), first.lifetime, first.mki, parameters, tuple(keys[1:]))

    @property
    def keys(self) -> tuple[MasterKey, ...]:
        """All master keys; the first is the one to begin with."""
        return (MasterKey(self.key, self.lifetime, self.mki), *self.more_keys)

    @property
    def usable(self) -> bool:
        """Whether the session parameters leave SRTP as it should be.

        Those that switch off encryption or authentication, derive keys anew, or concern error correction are not taken;
        "an unknown session parameter that is not prefixed with a "-" character" makes the attribute invalid (6.3.7).
        """
        return all(_harmless(parameter) for parameter in self.parameters)

    def tagged(self, tag: int) -> Crypto:
        """The same with another tag."""
        return replace(self, tag=tag)

    def __str__(self) -> str:
        keys = ";".join(str(key) for key in self.keys)
        return " ".join([str(self.tag), self.suite, keys, *self.parameters])


def _harmless(parameter: str) -> bool:
    window = _WINDOW.match(parameter)
    if window is not None:
        return int(window[1]) >= _SMALLEST_WINDOW
    # KDR=0 is written by some although 6.3.1 begins with 1; it says the same as nothing.
    return parameter.startswith("-") or parameter in ("KDR=0", "FEC_ORDER=FEC_SRTP")


#: Hash functions of certificates, and their octets. MD2 and MD5 "MUST NOT" be used (RFC 8122 5).
_HASHES: Final = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}
_HEXADECIMAL: Final = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2}){19,63}\Z")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """a=fingerprint (RFC 8122 section 5): the hash of a certificate. `algorithm` "sha-256", `value` "4A:AD:B9:…"."""

    algorithm: str
    value: str

    @classmethod
    def parse(cls, value: str) -> Fingerprint:
        fields = value.split()
        if len(fields) != 2:
            raise SdpError("a fingerprint without its two fields")
        # Both are compared without regard to case: the hash function is a token, and some write lower-case digits.
        algorithm, digest = fields[0].lower(), fields[1].upper()
        if algorithm not in _HASHES:
            raise SdpError(f"fingerprints by {fields[0][:20]!r} are not taken")
        if not _HEXADECIMAL.match(digest) or len(digest) != 3 * _HASHES[algorithm] - 1:
            raise SdpError(f"the fingerprint is none of {algorithm}")
        return cls(algorithm, digest)

    @classmethod
    def of(cls, algorithm: str, digest: bytes) -> Fingerprint:
        """That of a hash of a certificate's DER form."""
        return cls(algorithm, digest.hex(":").upper())

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"


def setup_of(value: str | None) -> Setup | None:
    """What a=setup says (RFC 4145 section 4); None when there is none that is known."""
    text = (value or "").strip(" ").lower()
    if text == "active":
        return "active"
    if text == "passive":
        return "passive"
    if text == "actpass":
        return "actpass"
    return "holdconn" if text == "holdconn" else None
