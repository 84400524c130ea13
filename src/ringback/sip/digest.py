"""The header values of Digest authentication: reading and writing (RFC 7616, RFC 8760 and RFC 3261 section 22).

    Challenge            what follows `WWW-Authenticate:` and `Proxy-Authenticate:`
    Credentials          what follows `Authorization:` and `Proxy-Authorization:`
    AuthenticationInfo   what follows `Authentication-Info:` and `Proxy-Authentication-Info:`

The hashes are in `ringback.sip.digest_hash`. Who decides is elsewhere too: `ringback.sip.digest_client` answers
challenges, `ringback.sip.digest_server` makes them and judges the answers.

These headers are the ones whose values are never joined by commas (RFC 3261 7.3.1): one line holds one value.
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.digest_hash import algorithm_name
from ringback.sip.grammar import MOST_PARAMETERS, quoted_end, shown, unescape, unquote

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SCHEME: Final = re.compile(r"[ \t\r\n]*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:[ \t\r\n]+|\Z)")
# RFC 3261 writes an unquoted value as its token; the parameters of RFC 7616 (username*) have the token of HTTP, which
# also has # $ & ^ |.
_UNQUOTED: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEX: Final = re.compile(r"[0-9A-Fa-f]*\Z")
_NONCE_COUNT: Final = re.compile(r"[0-9A-Fa-f]{8}\Z")
_UNWRITABLE: Final = re.compile(r"[\x00\r\n]")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TO_ESCAPE: Final = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f\"\\]")
_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
#: Names of parameters as nearly everybody writes them.
_NAMES: Final = frozenset(
    ("username", "realm", "nonce", "uri", "response", "algorithm", "cnonce", "opaque", "qop", "nc", "stale", "domain")
)


# Values ---------------------------------------------------------------------------------------------------------------


class Challenge:
    """One Digest challenge (RFC 7616 3.3).

    algorithm  as it was written, None when it was left out; `known` is its canonical name, "" when it is not known here
    qop        what is offered, in lower case; empty when the parameter is missing (a server of RFC 2069)
    other      parameters that are not of RFC 7616, names in lower case
    """

    __slots__ = (
        "algorithm", "charset", "domain", "known", "nonce", "opaque", "other", "qop", "realm", "stale", "userhash",
    )  # fmt: skip

    def __init__(
        self,
        realm: str,
        nonce: str,
        algorithm: str | None = None,
        qop: tuple[str, ...] = (),
        stale: bool = False,
        opaque: str | None = None,
        domain: str | None = None,
        charset: str | None = None,
        userhash: bool = False,
        other: dict[str, str] | None = None,
    ) -> None:
        self.realm: str = realm
        self.nonce: str = nonce
        self.algorithm: str | None = algorithm
        self.known: str = algorithm_name(algorithm)
        self.qop: tuple[str, ...] = qop
        self.stale: bool = stale
        self.opaque: str | None = opaque
        self.domain: str | None = domain
        self.charset: str | None = charset
        self.userhash: bool = userhash
        self.other: dict[str, str] = {} if other is None else other

    def write(self) -> str:
        """The header value. Raises LocalError for what a header cannot hold."""
        # RFC 7616 3.3: quoted are "realm, domain, nonce, opaque, and qop", never "stale and algorithm".
        parts = [f"realm={_quoted(self.realm)}", f"nonce={_quoted(self.nonce)}"]
        if self.domain is not None:
            parts.append(f"domain={_quoted(self.domain)}")
        if self.opaque is not None:
            parts.append(f"opaque={_quoted(self.opaque)}")
        if self.algorithm is not None:
            parts.append(f"algorithm={_token(self.algorithm)}")
        if self.qop:
            parts.append(f"qop={_quoted(','.join([_token(option) for option in self.qop]))}")
        if self.charset is not None:
            parts.append(f"charset={_token(self.charset)}")
        if self.userhash:
            parts.append("userhash=true")
        if self.stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(_with_others(parts, self.other))


class Credentials:
    """One Digest answer (RFC 7616 3.4).

    algorithm  as it was written, None when it was left out; `known` is its canonical name, "" when it is not known here
    response   hexadecimal digits, in lower case; like the nonce it is empty before the first challenge (RFC 8760 2.7)
    qop        "auth", "auth-int" (or what else was written, in lower case); "" in the form of RFC 2069
    nc         eight hexadecimal digits as written, "" without qop
    cnonce     None when it is missing, which only the form of RFC 2069 allows
    userhash   whether `username` is `hashed_username` of the name
    other      parameters that are not of RFC 7616, names in lower case
    """

    __slots__ = (
        "algorithm", "cnonce", "known", "nc", "nonce", "opaque", "other", "qop", "realm", "response", "uri", "userhash",
        "username",
    )  # fmt: skip

    def __init__(
        self,
        username: str,
        realm: str,
        nonce: str,
        uri: str,
        response: str,
        algorithm: str | None = None,
        cnonce: str | None = None,
        nc: str = "",
        qop: str = "",
        opaque: str | None = None,
        userhash: bool = False,
        other: dict[str, str] | None = None,
    ) -> None:
        self.username: str = username
        self.realm: str = realm
        self.nonce: str = nonce
        self.uri: str = uri
        self.response: str = response
        self.algorithm: str | None = algorithm
        self.known: str = algorithm_name(algorithm)
        self.cnonce: str | None = cnonce
        self.nc: str = nc
        self.qop: str = qop
        self.opaque: str | None = opaque
        self.userhash: bool = userhash
        self.other: dict[str, str] = {} if other is None else other

    def write(self) -> str:
        """The header value. Raises LocalError for what a header cannot hold."""
        # RFC 7616 3.4: quoted are "username, realm, nonce, uri, response, cnonce, and opaque", never "algorithm, qop,
        # and nc".
        parts = [
            f"username={_quoted(self.username)}",
            f"realm={_quoted(self.realm)}",
            f"nonce={_quoted(self.nonce)}",
            f"uri={_quoted(self.uri)}",
            f"response={_quoted(self.response)}",
        ]
        if self.algorithm is not None:
            parts.append(f"algorithm={_token(self.algorithm)}")
        if self.cnonce is not None:
            parts.append(f"cnonce={_quoted(self.cnonce)}")
        if self.opaque is not None:
            parts.append(f"opaque={_quoted(self.opaque)}")
        if self.qop:
            parts.append(f"qop={_token(self.qop)}")
        if self.nc:
            parts.append(f"nc={_token(self.nc)}")
        if self.userhash:
            parts.append("userhash=true")
        return "Digest " + ", ".join(_with_others(parts, self.other))


class AuthenticationInfo:
    """What a server adds to the response to authenticated requests (RFC 7616 3.5); "" stands for what is missing."""

    __slots__ = ("cnonce", "nc", "nextnonce", "other", "qop", "rspauth")

    def __init__(
        self,
        nextnonce: str = "",
        qop: str = "",
        rspauth: str = "",
        cnonce: str = "",
        nc: str = "",
        other: dict[str, str] | None = None,
    ) -> None:
        self.nextnonce: str = nextnonce
        self.qop: str = qop
        self.rspauth: str = rspauth
        self.cnonce: str = cnonce
        self.nc: str = nc
        self.other: dict[str, str] = {} if other is None else other

    def write(self) -> str:
        """The header value, "" when there is nothing to say. Raises LocalError for what a header cannot hold."""
        # RFC 7616 3.5: quoted are "nextnonce, rspauth, and cnonce", never "qop and nc".
        parts: list[str] = []
        if self.nextnonce:
            parts.append(f"nextnonce={_quoted(self.nextnonce)}")
        if self.qop:
            parts.append(f"qop={_token(self.qop)}")
        if self.rspauth:
            parts.append(f"rspauth={_quoted(self.rspauth)}")
        if self.cnonce:
            parts.append(f"cnonce={_quoted(self.cnonce)}")
        if self.nc:
            parts.append(f"nc={_token(self.nc)}")
        return ", ".join(_with_others(parts, self.other))


# Reading --------------------------------------------------------------------------------------------------------------


def parse_challenge(value: str) -> Challenge | None:
    """The challenge in one header value, or None when its scheme is not Digest. Raises ParseError."""
    start = _after_scheme(value)
    if start < 0:
        return None
    given = _parse_parameters(value, start)
    # "qop-options = "qop" EQUAL LDQUOT qop-value *("," qop-value) RDQUOT"; RFC 7616 puts spaces between them.
    options = [option.strip().lower() for option in given.pop("qop", "").split(",")]
    return Challenge(
        realm=_required(given, "realm"),
        nonce=_required(given, "nonce"),
        algorithm=_optional_token(given, "algorithm"),
        qop=tuple([_checked_token(option, "qop") for option in options if option]),
        # "A case-insensitive flag"; "if stale is false, or anything other than true" it is not set.
        stale=given.pop("stale", "").lower() == "true",
        opaque=given.pop("opaque", None),
        domain=given.pop("domain", None),
        charset=_optional_token(given, "charset"),
        userhash=given.pop("userhash", "").lower() == "true",
        other=given,
    )


def parse_credentials(value: str) -> Credentials | None:
    """The credentials in one header value, or None when their scheme is not Digest. Raises ParseError."""
    start = _after_scheme(value)
    if start < 0:
        return None
    given = _parse_parameters(value, start)
    qop = (_optional_token(given, "qop") or "").lower()
    nc = given.pop("nc", "")
    if nc and _NONCE_COUNT.match(nc) is None:
        # RFC 3261 25.1: "nc-value = 8LHEX".
        raise ParseError(f"nc is not eight hexadecimal digits: {shown(nc)}")
    if qop and not (nc and "cnonce" in given):
        # RFC 2617 3.2.2 on both: "This MUST be specified if a qop directive is sent".
        raise ParseError("credentials with qop need nc and cnonce")
    response = _required(given, "response")
    if _HEX.match(response) is None:
        raise ParseError(f"response is not hexadecimal: {shown(response)}")
    return Credentials(
        username=_username(given),
        realm=_required(given, "realm"),
        nonce=_required(given, "nonce"),
        uri=_required(given, "uri"),
        response=response.lower(),
        algorithm=_optional_token(given, "algorithm"),
        cnonce=given.pop("cnonce", None),
        nc=nc,
        qop=qop,
        opaque=given.pop("opaque", None),
        userhash=given.pop("userhash", "").lower() == "true",
        other=given,
    )


def parse_authentication_info(value: str) -> AuthenticationInfo:
    """The value of an Authentication-Info header. Raises ParseError."""
    given = _parse_parameters(value, 0)
    return AuthenticationInfo(
        nextnonce=given.pop("nextnonce", ""),
        qop=(_optional_token(given, "qop") or "").lower(),
        rspauth=given.pop("rspauth", "").lower(),
        cnonce=given.pop("cnonce", ""),
        nc=_optional_token(given, "nc") or "",
        other=given,
    )


def _after_scheme(value: str) -> int:
    """Where the parameters begin behind the scheme Digest, -1 when the scheme is another one."""
    match = _SCHEME.match(value)
    if match is None:
        raise ParseError(f"not an authentication scheme: {shown(value)}")
    return match.end() if match.group(1).lower() == "digest" else -1


def _parse_parameters(value: str, start: int) -> dict[str, str]:
    """`name=value, name="value" ...` from `start` on: names in lower case, values without quotes and escapes."""
    given: dict[str, str] = {}
    position = start
    size = len(value)
    while position >= 0:
        if position < size and value[position] == " ":
            position += 1
        # What nearly everybody writes needs no more than this; all else, and all that is wrong, goes the long way.
        begin = value.find("=", position) + 1
        if 0 < begin < size:
            name = value[position : begin - 1]
            if value[begin] == '"':
                end = value.find('"', begin + 1)
                text = value[begin + 1 : end]
                plain = end > 0 and "\\" not in text and text.isprintable()
                end += 1
            else:
                end = value.find(",", begin)
                if end < 0:
                    end = size
                text = value[begin:end]
                plain = _UNQUOTED.fullmatch(text) is not None
            last = end == size
            if plain and name in _NAMES and name not in given and (last or value[end] == ","):
                _add(given, name, text)
                position = -1 if last else end + 1
                continue
        position = _parse_parameter(value, position, given)
    return given


def _add(given: dict[str, str], name: str, text: str) -> None:
    if name in given:
        # RFC 3261 7.3.1: "any given parameter-name MUST NOT appear more than once."
        raise ParseError(f"parameter {shown(name)} stands twice")
    given[name] = text
    if len(given) > MOST_PARAMETERS:
        raise ParseError(f"more than {MOST_PARAMETERS} parameters")


def _parse_parameter(value: str, position: int, given: dict[str, str]) -> int:
    """Read one parameter, however it is written, or say what is wrong; where the next one begins, -1 at the end."""
    position = _skip(value, position)
    match = _UNQUOTED.match(value, position)
    if match is None:
        raise ParseError(f"a parameter is expected at {shown(value[position:])}")
    name = match.group().lower()
    position = _skip(value, match.end())
    if not value.startswith("=", position):
        raise ParseError(f"'=' is expected after parameter {shown(name)}")
    position = _skip(value, position + 1)
    if value.startswith('"', position):
        end = quoted_end(value, position)
        text = _unquoted(value[position:end], name)
    else:
        match = _UNQUOTED.match(value, position)
        if match is None:
            raise ParseError(f"parameter {shown(name)} has no value")
        end = match.end()
        text = match.group()
    _add(given, name, text)
    position = _skip(value, end)
    if position == len(value):
        return -1
    if value[position] != ",":
        raise ParseError(f"a comma is expected after parameter {shown(name)}")
    return position + 1


def _skip(value: str, position: int) -> int:
    match = _SPACE.match(value, position)
    return position if match is None else match.end()


def _unquoted(quoted: str, name: str) -> str:
    """The text of a quoted string."""
    if _CONTROL.search(quoted) is not None:
        # "Unlike HTTP/1.1, the characters CR and LF cannot be escaped" (RFC 3261 25.1). NUL could be, but no name holds
        # it and much software ends a text there. Other control characters need the backslash.
        if _UNWRITABLE.search(quoted) is not None or _CONTROL.search(_ESCAPED.sub("", quoted)) is not None:
            raise ParseError(f"a control character in parameter {shown(name)}")
    return unquote(quoted)


def _required(given: dict[str, str], name: str) -> str:
    value = given.pop(name, None)
    if value is None:
        raise ParseError(f"parameter {name} is missing")
    return value


def _optional_token(given: dict[str, str], name: str) -> str | None:
    value = given.pop(name, None)
    return None if value is None else _checked_token(value, name)


def _checked_token(value: str, name: str) -> str:
    if _UNQUOTED.fullmatch(value) is None:
        raise ParseError(f"parameter {name} is not a token: {shown(value)}")
    return value


def _username(given: dict[str, str]) -> str:
    """The user's name from `username` or `username*`."""
    plain = given.pop("username", None)
    extended = given.pop("username*", None)
    if plain is not None:
        if extended is not None:
            # RFC 7616 3.4: "Sending both username and username* in the same header option MUST be treated as an error."
            raise ParseError("username and username* stand together")
        return plain
    if extended is None:
        raise ParseError("parameter username is missing")
    # The extended notation of RFC 5987: charset'language'percent-encoded. RFC 7616 section 4 knows UTF-8 alone.
    charset, _, rest = extended.partition("'")
    _, quote, encoded = rest.partition("'")
    if charset.upper() != "UTF-8" or not quote:
        raise ParseError(f"username* is not UTF-8''...: {shown(extended)}")
    name = unescape(encoded)
    if _UNWRITABLE.search(name) is not None:
        raise ParseError("a line break or NUL in username*")
    return name


# Writing --------------------------------------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    if _UNWRITABLE.search(text) is not None:
        raise LocalError(f"a header cannot hold a line break or NUL: {shown(text)}")
    escaped = _TO_ESCAPE.sub(r"\\\g<0>", text)
    return f'"{escaped}"'


def _token(text: str) -> str:
    if _UNQUOTED.fullmatch(text) is None:
        raise LocalError(f"not a token: {shown(text)}")
    return text


def _with_others(parts: list[str], other: dict[str, str]) -> list[str]:
    for name in other:
        value = other[name]
        written = value if _UNQUOTED.fullmatch(value) is not None else _quoted(value)
        parts.append(f"{_token(name)}={written}")
    return parts
