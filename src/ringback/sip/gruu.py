"""Globally routable user agent URIs: made, recognised and resolved without a table (RFC 5627).

A public GRUU is the address of record with the instance in a `gr` parameter: "take the AOR and place the actual value
of the instance ID into the contents of the 'gr' URI parameter" (A.1).

A temporary GRUU hides both:

    sip:tgruu.<nonce, sealed user and mark, MAC>@domain;gr

The mark is a digest of the instance and of its epoch, a number that the registrar keeps in the bindings of the instance
and changes when the temporary GRUUs of that instance have to become invalid. So one is valid as long as some binding of
its address of record has its mark, which is the rule of 5.3 and 5.4, and nothing is stored for it. All its parts are
functions of the secret and of the newest binding: "the most recently created temporary GRUU" (5.2) is computed again
when it is asked for, and each refresh makes a new one.

All temporary GRUUs of a domain have the same length and look random, so nobody can tell whether two "were issued for
the same AOR or instance ID" (5.1). Users whose name is too long for that get none.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import shown, unescape, unquote
from ringback.sip.uri import Uri

_PREFIX: Final = "tgruu."
_NONCE_OCTETS: Final = 10
_MARK_OCTETS: Final = 12
#: The user's name, filled up with zeros.
_USER_OCTETS: Final = 43
_MAC_OCTETS: Final = 10
_SEALED_OCTETS: Final = _MARK_OCTETS + _USER_OCTETS
_OCTETS: Final = _NONCE_OCTETS + _SEALED_OCTETS + _MAC_OCTETS
#: 75 octets make 100 characters and no padding.
_CHARACTERS: Final = 100
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_URL_BACK: Final = bytes.maketrans(b"-_", b"+/")
# instance-val = 1*uric (RFC 5626 section 10).
_INSTANCE: Final = re.compile(r"[A-Za-z0-9;/?:@&=+$,\-_.!~*'()%\[\]]{1,256}\Z")
# What a pvalue may hold unescaped: param-unreserved and unreserved (RFC 3261 25.1).
_PLAIN_VALUE: Final = re.compile(r"[A-Za-z0-9\[\]/:&+$\-_.!~*'()]*\Z")


class Gruu:
    """What a GRUU says.

    aor       the address of record, as `Uri.aor` files it
    instance  the instance ID of a public GRUU, "" for a temporary one
    mark      the mark of a temporary GRUU, b"" for a public one
    """

    __slots__ = ("aor", "instance", "mark")

    def __init__(self, aor: str, instance: str, mark: bytes) -> None:
        self.aor: str = aor
        self.instance: str = instance
        self.mark: bytes = mark


class Gruus:
    """Makes and resolves the GRUUs of one system; `secret` (32 octets or more) is shared by all its servers."""

    __slots__ = ("_mac_key", "_mark_key", "_nonce_key", "_seal_key")

    def __init__(self, secret: bytes) -> None:
        keys = hashlib.blake2b(secret, person=b"ringback gruu").digest()
        more = hashlib.blake2b(keys, person=b"ringback gruu").digest()
        self._mac_key: bytes = keys[:32]
        self._mark_key: bytes = keys[32:]
        self._nonce_key: bytes = more[:32]
        self._seal_key: bytes = more[32:]

    def temporary(self, aor: Uri, instance: str, epoch: int, registration: str) -> str:
        """The temporary GRUU of an instance; "" when the user's name is too long for one.

        `registration` names the newest registration of the instance, such as its Call-ID and CSeq: another one gives
        another GRUU.
        """
        user = unescape(aor.user).encode("utf-8", "surrogateescape")
        if not user or len(user) > _USER_OCTETS or b"\0" in user:
            return ""
        mark = self.mark(instance, epoch)
        plain = mark + user.ljust(_USER_OCTETS, b"\0")
        place = _place(aor)
        nonce = hashlib.blake2b(
            b"\0".join([plain, place, registration.encode("utf-8", "surrogateescape")]),
            digest_size=_NONCE_OCTETS,
            key=self._nonce_key,
        ).digest()
        sealed = self._seal(nonce, plain)
        octets = nonce + sealed + self._mac(nonce + sealed, place)
        text = binascii.b2a_base64(octets, newline=False).translate(_URL_SAFE).decode("ascii")
        return f"{aor.scheme}:{_PREFIX}{text}@{_written_place(aor)};gr"

    def resolve(self, uri: Uri) -> Gruu | None:
        """What a URI with a `gr` parameter says; None when it is no GRUU that could have been made here.

        Whether it is valid now depends on the bindings: see `selects`.
        """
        if not uri.is_sip or "gr" not in uri.parameters or not uri.user:
            return None
        value = uri.parameters["gr"]
        if value:
            return Gruu(uri.aor(), unescape(value), b"")
        if not uri.user.startswith(_PREFIX):
            return None
        return self._open(uri)

    def selects(self, gruu: Gruu, instance: str, epoch: int) -> bool:
        """Whether a binding with this instance and epoch is one that the GRUU stands for."""
        if not instance:
            return False
        if gruu.instance:
            return same_instance(gruu.instance, instance)
        return hmac.compare_digest(gruu.mark, self.mark(instance, epoch))

    def mark(self, instance: str, epoch: int) -> bytes:
        """The mark that the temporary GRUUs of an instance carry during an epoch."""
        text = f"{epoch} {canonical_instance(instance)}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(text, digest_size=_MARK_OCTETS, key=self._mark_key).digest()

    def _open(self, uri: Uri) -> Gruu | None:
        text = uri.user[len(_PREFIX) :]
        if len(text) != _CHARACTERS or not text.isascii():
            return None
        try:
            octets = binascii.a2b_base64(text.encode("ascii").translate(_URL_BACK), strict_mode=True)
        except binascii.Error:
            return None
        if len(octets) != _OCTETS:
            return None
        body = octets[: _NONCE_OCTETS + _SEALED_OCTETS]
        if not hmac.compare_digest(self._mac(body, _place(uri)), octets[len(body) :]):
            return None
        plain = self._seal(body[:_NONCE_OCTETS], body[_NONCE_OCTETS:])
        user = plain[_MARK_OCTETS:].rstrip(b"\0").decode("utf-8", "surrogateescape")
        host = _place(uri).decode("ascii")
        return Gruu(f"{user}@{host}", "", plain[:_MARK_OCTETS])

    def _seal(self, nonce: bytes, text: bytes) -> bytes:
        """Encrypt or decrypt: exclusive or with a key stream that the nonce decides."""
        stream = hashlib.blake2b(nonce, digest_size=_SEALED_OCTETS, key=self._seal_key).digest()
        mixed = int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")
        return mixed.to_bytes(_SEALED_OCTETS, "big")

    def _mac(self, body: bytes, place: bytes) -> bytes:
        return hashlib.blake2b(body + place, digest_size=_MAC_OCTETS, key=self._mac_key).digest()


def public_gruu(aor: Uri, instance: str) -> str:
    """The public GRUU: "constructed by adding the 'gr' URI parameter, with a value, to the AOR" (5.1)."""
    user = f"{aor.user}@" if aor.user else ""
    return f"{aor.scheme}:{user}{_written_place(aor)};gr={escape_instance(instance)}"


def is_gruu(uri: Uri) -> bool:
    """Whether this is a GRUU, which "is identified by the presence of the 'gr' URI parameter" (4.5)."""
    return "gr" in uri.parameters


def instance_of(value: str | None) -> str:
    """The instance ID in a +sip.instance parameter as it stands in a Contact; "" for none. Raises ParseError.

    c-p-instance = "+sip.instance" EQUAL DQUOTE "<" instance-val ">" DQUOTE (RFC 5626 section 10); without the angle
    brackets it is taken as well.
    """
    if value is None:
        return ""
    text = unquote(value)
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    if _INSTANCE.match(text) is None:
        raise ParseError(f"not an instance ID: {shown(value)}")
    return text


def same_instance(ours: str, theirs: str) -> bool:
    """Whether two instance IDs are equal "using the rules for URN equality that are specific to the scheme" (RFC 5626
    4.1): for UUIDs their case means nothing."""
    return ours == theirs or canonical_instance(ours) == canonical_instance(theirs)


def canonical_instance(instance: str) -> str:
    """One spelling for all instance IDs that are equal."""
    lower = instance.lower()
    return lower if lower.startswith("urn:uuid:") else instance


def escape_instance(instance: str) -> str:
    """An instance ID as the value of a URI parameter."""
    if _PLAIN_VALUE.match(instance) is not None:
        return instance
    out: list[str] = []
    for character in instance:
        out.append(character if _PLAIN_VALUE.match(character) is not None else f"%{ord(character):02X}")
    return "".join(out)


def _written_place(aor: Uri) -> str:
    return aor.host if aor.port is None else f"{aor.host}:{aor.port}"


def _place(uri: Uri) -> bytes:
    """The domain that a temporary GRUU is bound to, as the address of record has it."""
    return uri.aor().rpartition("@")[2].encode("ascii")
