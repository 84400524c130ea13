"""SIP, SIPS and tel URIs, and any other URI kept as text (RFC 3261 section 19.1, RFC 3966).

A `Uri` is a value: it is not changed after it was made. `parse_uri` reads one, `Uri.text` is how it is written, and
`Uri.equivalent` compares two by the rules of RFC 3261 19.1.4 (RFC 3966 section 4 for tel).
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import (
    DIGITS,
    LETTERS,
    canonical_host,
    character_set,
    host_end,
    is_host,
    number,
    parse_parameters,
    short_number,
    shown,
    span,
    unescape,
)

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*\Z")
# user = 1*( unreserved / escaped / user-unreserved ); letters beyond ASCII are let through as they came, and "#", which
# dial strings hold.
_USER_CHARACTERS: Final = r"[A-Za-z0-9\-_.!~*'()&=+$,;?/#\[\]\x80-\U0010ffff]*+"
_USER: Final = re.compile(rf"{_USER_CHARACTERS}(?:%[0-9A-Fa-f]{{2}}{_USER_CHARACTERS})*\Z")
_PASSWORD_CHARACTERS: Final = r"[A-Za-z0-9\-_.!~*'()&=+$,]*+"
_PASSWORD: Final = re.compile(rf"{_PASSWORD_CHARACTERS}(?:%[0-9A-Fa-f]{{2}}{_PASSWORD_CHARACTERS})*\Z")
_VALUE_CHARACTERS: Final = r"[A-Za-z0-9\-_.!~*'()\[\]/:&+$\x80-\U0010ffff]*+"
_VALUE: Final = re.compile(rf"{_VALUE_CHARACTERS}(?:%[0-9A-Fa-f]{{2}}{_VALUE_CHARACTERS})*\Z")
# What no URI holds: control characters, space, quotes, angle brackets, and what cannot be written as octets.
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f<>\"\ud800-\udc7f\udd00-\udfff]")
# Of these sets what nearly all URIs are made of: nothing escaped, nothing beyond ASCII, no password, no headers.
_PLAIN_USER: Final = character_set(LETTERS + DIGITS + "-_.!~*'()&=+$,#")
_PLAIN_VALUE: Final = character_set(LETTERS + DIGITS + "-_.!~*'()[]/:&+$")
_PLAIN_PARAMETERS: Final = character_set(LETTERS + DIGITS + "-_.!~*'()[]/:&+$%`;=")
_PORT: Final = character_set(DIGITS)
# RFC 3966 section 3: global-number-digits and local-number-digits.
_TEL_NUMBER: Final = re.compile(r"\+[\-.()]*+[0-9][0-9\-.()]*+\Z|[\-.()]*+[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*+\Z")
_VISUAL: Final = str.maketrans("", "", "-.()")
_HEX_PAIR: Final = re.compile(rb"[0-9A-Fa-f]{2}")
# Octets whose escape is not the same as the character itself (19.1.4): the reserved set of RFC 2396, what a URI cannot
# hold unescaped, and "%", because what was unescaped is never unescaped again.
_KEPT_ESCAPED: Final = frozenset(b';/?:@&=+$,%"<>\x7f') | frozenset(range(33))
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
        unescaped form": user@host, the port when it is not the default, SIP and SIPS alike. A tel URI gives its number
        without visual separators, any other URI its text.
        """
        if self.scheme == "tel":
            return self.user.translate(_VISUAL).lower()
        if not self.is_sip:
            return self.text
        user = unescape(self.user) if "%" in self.user else self.user
        host = canonical_host(self.host) if self.host.startswith("[") else self.host.rstrip(".")
        port = self.port
        if port is not None and port != (5061 if self.scheme == "sips" else 5060):
            host = f"{host}:{port}"
        return f"{user}@{host}" if user else host

    def without(self, *names: str) -> Uri:
        """The same URI with these parameters and all its headers left out."""
        kept = {name: value for name, value in self.parameters.items() if name not in names}
        if self.is_sip:
            return build_uri(self.scheme, self.user, self.host, self.port, kept, self.password)
        if self.scheme == "tel":
            return parse_uri(f"tel:{self.user}{written_parameters(kept)}")
        return self

    def equivalent(self, other: Uri) -> bool:
        """Whether both name the same thing by RFC 3261 19.1.4 (tel: RFC 3966 section 4; others: same text)."""
        if self.scheme != other.scheme:
            # "A SIP and SIPS URI are never equivalent."
            return False
        if self.scheme == "tel":
            return _same_number(self, other)
        if not self.is_sip:
            return self.user == other.user
        # "the userinfo of SIP and SIPS URIs is case-sensitive … including userinfo containing passwords".
        if _canonical(self.user) != _canonical(other.user):
            return False
        if (self.password is None) != (other.password is None):
            # "A URI omitting the password component will not match a URI that includes one."
            return False
        if _canonical(self.password or "") != _canonical(other.password or ""):
            return False
        # "A URI omitting the optional port component will not match a URI explicitly declaring port 5060."
        if self.port != other.port or canonical_host(self.host) != canonical_host(other.host):
            return False
        return _same_parameters(self.parameters, other.parameters) and _same_headers(self.headers, other.headers)


def parse_uri(text: str) -> Uri:
    """Read a URI. Raises ParseError (400, or 414 when it is too long)."""
    if len(text) > LONGEST_URI:
        raise ParseError(f"a URI is over {LONGEST_URI} characters", 414)
    plain = _plain_sip(text)
    if plain is not None:
        return plain
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


def _plain_sip(text: str) -> Uri | None:
    """The SIP URI when it is written as nearly all are, `sip:user@host:port;parameters`; None when it is not."""
    start = 4 if text.startswith("sip:") else 5 if text.startswith("sips:") else 0
    if start == 0:
        return None
    user = ""
    at = text.find("@", start)
    if at >= 0:
        user = text[start:at]
        if not user or span(user, _PLAIN_USER) != len(user):
            return None
    rest = text[max(start, at + 1) :]
    end = host_end(rest)
    if end < 0:
        return None
    host = rest[:end].lower()
    port: int | None = None
    if end < len(rest) and ord(rest[end]) == ord(":"):
        rest = rest[end + 1 :]
        end = span(rest, _PORT)
        value = short_number(rest[:end])
        if not 0 < value <= 65535:
            return None
        port = value
    parameters: dict[str, str | None] = {}
    if end < len(rest):
        tail = rest[end:]
        if ord(tail[0]) != ord(";") or span(tail, _PLAIN_PARAMETERS) != len(tail):
            return None
        parameters = _parse_uri_parameters(tail.split(";"), text)
    return Uri(text, "sip" if start == 4 else "sips", user, None, host, port, parameters, "")


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
        if not user or _USER.match(user) is None:
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
        parameters = _parse_uri_parameters(parts, text)
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
        if ":::" in host and "." in host:
            # RFC 5118 4.10: the grammar of RFC 3261 gives "[2001:db8:::192.0.2.1]", with a colon too many before the
            # IPv4 part, and "an implementation must tolerate both".
            before, _, after = host.partition(":::")
            if ":" not in after:
                host = f"{before}::{after}"
    else:
        host, colon, digits = hostport.partition(":")
    if not is_host(host):
        raise ParseError(f"not a host: {shown(whole)}")
    if colon:
        port = number(digits, "the port", 65535)
        if port == 0:
            raise ParseError(f"the port is 0: {shown(whole)}")
    return host.lower(), port


def _parse_uri_parameters(parts: list[str], whole: str) -> dict[str, str | None]:
    parameters = parse_parameters(parts, 1)
    escaped = False
    for name, value in parameters.items():
        if value is not None and span(value, _PLAIN_VALUE) != len(value) and _VALUE.match(value) is None:
            raise ParseError(f"URI parameter {name} holds what it must not: {shown(whole)}")
        if "%" in name:
            escaped = True
    if not escaped:
        return parameters
    # "pname = 1*paramchar" may be escaped: "%6C%72" is the parameter lr (RFC 4475 3.1.1.3).
    plain: dict[str, str | None] = {}
    for name, value in parameters.items():
        name = _canonical(name).lower()
        if name in plain:
            raise ParseError(f"parameter {name} stands twice")
        plain[name] = value
    return plain


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
    return parse_uri(text + written_parameters(parameters or {}))


def written_parameters(parameters: dict[str, str | None]) -> str:
    """`;name=value` for each parameter, `;name` for one without a value."""
    text = ""
    for name, value in parameters.items():
        text += f";{name}" if value is None else f";{name}={value}"
    return text


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
    """Escapes that are not needed undone and the others in upper case, so that equal parts have one spelling.

    "Characters other than those in the 'reserved' set (see RFC 2396) are equivalent to their '%' HEX HEX encoding."
    """
    if "%" not in text:
        return text
    parts = text.encode("utf-8", "surrogateescape").split(b"%")
    out = [parts[0]]
    for part in parts[1:]:
        if _HEX_PAIR.match(part) is None:
            out.append(b"%" + part)
            continue
        octet = int(part[:2], 16)
        out.append(b"%" + part[:2].upper() if octet in _KEPT_ESCAPED else bytes((octet,)))
        out.append(part[2:])
    return b"".join(out).decode("utf-8", "surrogateescape")


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
    # RFC 3966 section 4: both are global (with "+") or both local; "URI comparisons are case-insensitive"; the digits
    # are equal "after removing all visual separators"; "If one URI has a parameter name not found in the other, the two
    # URIs are not equal", and the order of parameters does not count.
    if ours.user.translate(_VISUAL).lower() != theirs.user.translate(_VISUAL).lower():
        return False
    return _tel_parameters(ours) == _tel_parameters(theirs)


def _tel_parameters(uri: Uri) -> dict[str, str]:
    plain: dict[str, str] = {}
    for name, value in uri.parameters.items():
        text = _canonical(value or "").lower()
        # "phone-context … is compared as a host name if it is a 'domainname' or digit by digit if it is
        # 'global-number-digits' … after removing all 'visual-separator' characters"; ext holds digits only.
        plain[name] = text.translate(_VISUAL) if name == "ext" or text.startswith("+") else text
    return plain
