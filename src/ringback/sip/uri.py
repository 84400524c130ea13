"""SIP, SIPS and tel URIs, and any other URI kept as text (RFC 3261 section 19.1, RFC 3966).

A `Uri` is a value: it is not changed after it was made. `parse_uri` reads one, `Uri.text` is how it is written, and
`Uri.equivalent` compares two by the rules of RFC 3261 19.1.4 (RFC 3966 section 4 for tel).
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import is_host, is_token, number, parse_parameters, shown, unescape

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*\Z")
# user = 1*( unreserved / escaped / user-unreserved ); letters beyond ASCII are let through as they came.
_USER: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#\[\]\x80-\U0010ffff]|%[0-9A-Fa-f]{2})+\Z")
_PASSWORD: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*\Z")
_PARAMETER: Final = re.compile(r"(?:[A-Za-z0-9\-_.!~*'()\[\]/:&+$\x80-\U0010ffff]|%[0-9A-Fa-f]{2})+\Z")
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f<>\"]")
_TEL_NUMBER: Final = re.compile(r"\+?[0-9A-Fa-f*#\-.()]+\Z")
_VISUAL: Final = str.maketrans("", "", "-.()")
# An escape that stands for a character which needs none: both spellings are equal (19.1.4).
_UNRESERVED: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()")
#: Parameters that count in a comparison even when just one of the URIs has them (19.1.4).
_TELLING: Final = ("user", "ttl", "method", "maddr", "transport")
LONGEST_URI: Final = 8192


class Uri:
    """One URI, as it was read or built.

    text        how it is written
    scheme      lower case: "sip", "sips", "tel" or any other
    user        the user part as written (escapes kept), "" when there is none; for tel the number; for other schemes
                all that follows the colon
    password    as written, or None
    host        lower case, IPv6 in brackets; "" for tel and others
    port        None when none is written
    parameters  names in lower case; None for a parameter without "="
    headers     what follows "?", as written
    """

    __slots__ = ("headers", "host", "parameters", "password", "port", "scheme", "text", "user")

    def __init__(
        self,
        text: str,
        scheme: str,
        user: str,
        password: str | None,
        host: str,
        port: int | None,
        parameters: dict[str, str | None],
        headers: str,
    ) -> None:
        self.text: str = text
        self.scheme: str = scheme
        self.user: str = user
        self.password: str | None = password
        self.host: str = host
        self.port: int | None = port
        self.parameters: dict[str, str | None] = parameters
        self.headers: str = headers

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Uri({self.text!r})"

    @property
    def is_sip(self) -> bool:
        """Whether this is a SIP or SIPS URI."""
        return self.scheme == "sip" or self.scheme == "sips"

    @property
    def address(self) -> str:
        """The host without brackets, as sockets and resolvers take it."""
        if self.host.startswith("["):
            return self.host[1:-1]
        return self.host

    @property
    def transport(self) -> str | None:
        """The transport parameter in upper case ("UDP" …; for sips with tcp it is "TLS"), or None."""
        value = self.parameters.get("transport")
        if value is None:
            return None
        name = value.upper()
        if self.scheme == "sips":
            # RFC 3261 26.2.2: a SIPS URI means TLS on each hop; RFC 7118 section 5 does the same for WebSocket.
            return {"TCP": "TLS", "WS": "WSS"}.get(name, name)
        return name

    def aor(self) -> str:
        """The canonical form under which a registrar files it (RFC 3261 10.3 step 5).

        "all URI parameters are removed (including the user-param), and any escaped characters are converted to their
        unescaped form": user@host, the port when it is not the default, SIP and SIPS alike.
        """
        user = unescape(self.user) if "%" in self.user else self.user
        if self.scheme == "tel":
            return user.partition(";")[0].translate(_VISUAL).lower()
        host = self.host.rstrip(".")
        port = self.port
        if port is not None and port != (5061 if self.scheme == "sips" else 5060):
            host = f"{host}:{port}"
        return f"{user}@{host}" if user else host

    def without(self, *names: str) -> Uri:
        """The same URI with these parameters and all its headers left out."""
        kept = {name: value for name, value in self.parameters.items() if name not in names}
        return build_uri(self.scheme, self.user, self.host, self.port, kept, self.password)

    def equivalent(self, other: Uri) -> bool:
        """Whether both name the same thing by RFC 3261 19.1.4 (tel: RFC 3966 section 4; others: same text)."""
        if self.scheme != other.scheme:
            # "A SIP and SIPS URI are never equivalent."
            return False
        if self.scheme == "tel":
            return _same_number(self, other)
        if not self.is_sip:
            return self.text == other.text
        if _canonical(self.user) != _canonical(other.user) or self.host != other.host or self.port != other.port:
            # "the userinfo of SIP and SIPS URIs is case-sensitive"; a port that is left out and the default port
            # do not match.
            return False
        if (self.password is None) != (other.password is None):
            return False
        if _canonical(self.password or "") != _canonical(other.password or ""):
            return False
        return _same_parameters(self.parameters, other.parameters) and _same_headers(self.headers, other.headers)


def parse_uri(text: str) -> Uri:
    """Read a URI. Raises ParseError (400, or 414 when it is too long)."""
    if len(text) > LONGEST_URI:
        raise ParseError(f"a URI is over {LONGEST_URI} characters", 414)
    scheme, colon, rest = text.partition(":")
    if not colon or _SCHEME.match(scheme) is None:
        raise ParseError(f"not a URI: {shown(text)}")
    if _FORBIDDEN.search(text) is not None:
        raise ParseError(f"a URI holds a space, quote, angle or control character: {shown(text)}")
    scheme = scheme.lower()
    if scheme == "sip" or scheme == "sips":
        return _parse_sip(text, scheme, rest)
    if scheme == "tel":
        return _parse_tel(text, rest)
    if not rest:
        raise ParseError(f"a URI with nothing after its scheme: {shown(text)}")
    return Uri(text, scheme, rest, None, "", None, {}, "")


def _parse_sip(text: str, scheme: str, rest: str) -> Uri:
    user = ""
    password: str | None = None
    at = rest.find("@")
    if at >= 0:
        userinfo = rest[:at]
        rest = rest[at + 1 :]
        if "@" in rest.partition("?")[0]:
            raise ParseError(f"more than one '@' in {shown(text)}")
        user, colon, secret = userinfo.partition(":")
        if _USER.match(user) is None:
            raise ParseError(f"not a user part: {shown(text)}")
        if colon:
            if _PASSWORD.match(secret) is None:
                raise ParseError(f"not a password in a URI: {shown(text)}")
            password = secret
    rest, _, headers = rest.partition("?")
    parts = rest.split(";")
    host, port = parse_host_port(parts[0], text)
    parameters: dict[str, str | None] = {}
    if len(parts) > 1:
        parameters = parse_parameters_of_uri(parts, text)
    return Uri(text, scheme, user, password, host, port, parameters, headers)


def parse_host_port(hostport: str, whole: str) -> tuple[str, int | None]:
    """`host[:port]`, the host in lower case; `whole` is shown in the error."""
    port: int | None = None
    if hostport.startswith("["):
        end = hostport.find("]")
        host = hostport[: end + 1]
        tail = hostport[end + 1 :]
        if end < 0 or (tail and not tail.startswith(":")):
            raise ParseError(f"not a host: {shown(whole)}")
        colon, digits = tail[:1], tail[1:]
    else:
        host, colon, digits = hostport.partition(":")
    if not is_host(host):
        raise ParseError(f"not a host: {shown(whole)}")
    if colon:
        port = number(digits, "the port", 65535)
        if port == 0:
            raise ParseError(f"the port is 0: {shown(whole)}")
    return host.lower(), port


def parse_parameters_of_uri(parts: list[str], whole: str) -> dict[str, str | None]:
    """The `;name=value` pieces of a SIP URI, from the second one on."""
    parameters = parse_parameters(parts, 1)
    for name, value in parameters.items():
        if value is not None and _PARAMETER.match(value) is None:
            raise ParseError(f"URI parameter {name} holds what it must not: {shown(whole)}")
    return parameters


def _parse_tel(text: str, rest: str) -> Uri:
    parts = rest.split(";")
    if _TEL_NUMBER.match(parts[0]) is None:
        raise ParseError(f"not a telephone number: {shown(text)}")
    return Uri(text, "tel", parts[0], None, "", None, parse_parameters(parts, 1), "")


def build_uri(
    scheme: str,
    user: str,
    host: str,
    port: int | None = None,
    parameters: dict[str, str | None] | None = None,
    password: str | None = None,
) -> Uri:
    """A SIP or SIPS URI from its parts; `user` is written as it is given (escape it with `escape_user`)."""
    text = f"{scheme}:"
    if user:
        text += user if password is None else f"{user}:{password}"
        text += "@"
    text += f"[{host}]" if ":" in host and not host.startswith("[") else host
    if port is not None:
        text += f":{port}"
    for name, value in (parameters or {}).items():
        text += f";{name}" if value is None else f";{name}={value}"
    return parse_uri(text)


def escape_user(user: str) -> str:
    """`user` with every character escaped that a user part cannot hold as it is (RFC 3261 19.1.2)."""
    out: list[str] = []
    for octet in user.encode("utf-8", "surrogateescape"):
        character = chr(octet)
        if (character.isascii() and character.isalnum()) or character in "-_.!~*'()&=+$,;?/":
            out.append(character)
        else:
            out.append(f"%{octet:02X}")
    return "".join(out)


def _canonical(text: str) -> str:
    """Escapes that are not needed undone and the others in upper case, so that equal parts have one spelling."""
    if "%" not in text:
        return text
    parts = text.split("%")
    out = [parts[0]]
    for part in parts[1:]:
        character = chr(int(part[:2], 16))
        # "Characters other than those in the 'reserved' set are equivalent to their '%' HEX HEX encoding."
        out.append(character if character in _UNRESERVED else "%" + part[:2].upper())
        out.append(part[2:])
    return "".join(out)


def _same_parameters(ours: dict[str, str | None], theirs: dict[str, str | None]) -> bool:
    for name, value in ours.items():
        if name in theirs:
            other = theirs[name]
            if _canonical(value or "").lower() != _canonical(other or "").lower():
                return False
        elif name in _TELLING:
            return False
    # "A uri-parameter that appears in only one URI is ignored", save for those named above.
    return not any(name in theirs and name not in ours for name in _TELLING)


def _same_headers(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    # "URI header components are never ignored. Any present header component MUST be present in both URIs and match";
    # the order of the components means nothing.
    return _header_parts(ours) == _header_parts(theirs)


def _header_parts(headers: str) -> list[tuple[str, str]]:
    parts: list[tuple[str, str]] = []
    for piece in headers.split("&"):
        name, _, value = piece.partition("=")
        parts.append((_canonical(name).lower(), _canonical(value)))
    parts.sort()
    return parts


def _same_number(ours: Uri, theirs: Uri) -> bool:
    # RFC 3966 section 4: "URI comparisons are case-insensitive", visual separators mean nothing, and the order of
    # parameters does not count.
    if ours.user.translate(_VISUAL).lower() != theirs.user.translate(_VISUAL).lower():
        return False
    return _tel_parameters(ours) == _tel_parameters(theirs)


def _tel_parameters(uri: Uri) -> dict[str, str]:
    plain: dict[str, str] = {}
    for name, value in uri.parameters.items():
        text = (value or "").lower()
        plain[name] = text.translate(_VISUAL) if name in ("ext", "phone-context") and is_token(text) else text
    return plain
