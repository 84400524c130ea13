"""The algorithms and hashes of Digest authentication (RFC 7616 sections 3.3, 3.4 and 3.5, RFC 8760 section 2).

Names of algorithms here are the canonical spellings of the IANA registry ("MD5", "SHA-256", "SHA-512-256"), with
"-sess" behind the session variants. Text is hashed as the bytes that it stands for on the wire: UTF-8, where bytes that
were no UTF-8 come back as they were (surrogateescape).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from ringback.errors import LocalError
from ringback.sip.grammar import shown

#: Strongest first. RFC 7616 3.7: "SHA2-256 (mandatory to implement)", "SHA2-512/256 (as a backup algorithm)", "MD5 (for
#: backward compatibility)".
ALGORITHMS: Final = ("SHA-512-256", "SHA-256", "MD5")
SESSION_SUFFIX: Final = "-sess"

_HASHES: Final = {"SHA-512-256": "sha512_256", "SHA-256": "sha256", "MD5": "md5"}
_STRENGTHS: Final = {"SHA-512-256": 3, "SHA-256": 2, "MD5": 1}


def _find_available() -> tuple[str, ...]:
    """The algorithms that this machine's OpenSSL can compute: builds differ about SHA-512/256 and, under FIPS, MD5."""
    found: list[str] = []
    for name in ALGORITHMS:
        try:
            hashlib.new(_HASHES[name], b"", usedforsecurity=False)
        except ValueError:
            continue
        found.append(name)
    return tuple(found)


#: The algorithms that can be computed here, strongest first.
AVAILABLE: Final = _find_available()
# A hash of nothing for each of them: to copy it costs less than to ask OpenSSL for the algorithm each time.
_EMPTY: Final[dict[str, Any]] = {name: hashlib.new(_HASHES[name], b"", usedforsecurity=False) for name in AVAILABLE}


# The algorithm parameter ----------------------------------------------------------------------------------------------


def algorithm_name(text: str | None) -> str:
    """The canonical name of an algorithm parameter, "" for one that is not known here."""
    if text is None:
        # RFC 7616 3.3: "If this is not present, it is assumed to be "MD5"."
        return "MD5"
    if text in _HASHES:
        return text
    # RFC 3261 7.3.1: "Tokens are always case-insensitive."
    upper = text.upper()
    session = upper.endswith("-SESS")
    base = upper[:-5] if session else upper
    if base not in _HASHES:
        return ""
    return base + SESSION_SUFFIX if session else base


def base_algorithm(name: str) -> str:
    """The hash behind a canonical name: "SHA-256" for "SHA-256-sess"."""
    return name.removesuffix(SESSION_SUFFIX)


def strength(name: str) -> int:
    """The rank of a canonical name, a higher one being stronger; 0 for an algorithm that is not known."""
    return _STRENGTHS.get(base_algorithm(name), 0)


# Hashes ---------------------------------------------------------------------------------------------------------------


def octets(text: str) -> bytes:
    """The bytes that `text` stands for on the wire. Raises LocalError for text that no bytes can stand for."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise LocalError(f"cannot be written as UTF-8: {shown(text)}") from None


def hash_hex(algorithm: str, data: bytes) -> str:
    """H(data) of RFC 7616 3.3 in lower-case hexadecimal. Raises LocalError when `algorithm` cannot be computed here."""
    empty = _EMPTY.get(algorithm)
    if empty is None:
        empty = _EMPTY.get(base_algorithm(algorithm))
        if empty is None:
            raise LocalError(f"the digest algorithm {shown(algorithm)} cannot be computed here; available: {AVAILABLE}")
    state = empty.copy()
    state.update(data)
    found: str = state.hexdigest()
    return found


def ha1(user: str, realm: str, password: str, algorithm: str) -> str:
    """H(username ":" realm ":" password), the form in which a server keeps a password.

    It is the same for an algorithm and its session variant. Whoever has it can authenticate as `user` in `realm`
    (RFC 7616 5.2): it is to be protected like the password.
    """
    return hash_hex(algorithm, octets(f"{user}:{realm}:{password}"))


def hashed_username(user: str, realm: str, algorithm: str) -> str:
    """The username parameter when userhash=true: "username = H( unq(username) ":" unq(realm) )" (RFC 7616 3.4.4)."""
    return hash_hex(algorithm, octets(f"{user}:{realm}"))


def request_digest(
    key: str, algorithm: str, method: str, uri: str, nonce: str, nc: str, cnonce: str, qop: str, body: bytes
) -> str:
    """The `response` parameter (RFC 7616 3.4.1); with an empty `method` it is `rspauth` (3.5).

    key        HA1 in hexadecimal, as `ha1` gives it
    algorithm  canonical, "-sess" included
    nc         the nonce count as it is written, eight hexadecimal digits
    qop        "auth", "auth-int", or "" for the form of RFC 2069, which has neither nc nor cnonce
    body       the message body; only auth-int covers it
    """
    if algorithm.endswith(SESSION_SUFFIX):
        # 3.4.2: "A1 = H( unq(username) ":" unq(realm) ":" passwd ) ":" unq(nonce-prime) ":" unq(cnonce-prime)"
        key = hash_hex(algorithm, octets(f"{key}:{nonce}:{cnonce}"))
    if qop == "auth-int":
        # 3.4.3: "A2 = Method ":" request-uri ":" H(entity-body)". RFC 8760 2.6: the hash "resolves to the hash of an
        # empty string when the entity-body is empty".
        second = hash_hex(algorithm, octets(f"{method}:{uri}:{hash_hex(algorithm, body)}"))
    else:
        second = hash_hex(algorithm, octets(f"{method}:{uri}"))
    if not qop:
        # RFC 2617 3.2.2.1: "If the "qop" directive is not present (this construction is for compatibility with
        # RFC 2069): KD ( H(A1), unq(nonce-value) ":" H(A2) )"
        return hash_hex(algorithm, octets(f"{key}:{nonce}:{second}"))
    return hash_hex(algorithm, octets(f"{key}:{nonce}:{nc}:{cnonce}:{qop}:{second}"))
