"""Header fields in a SIP URI, `sip:bob@example.org?Replaces=…` (RFC 3261 19.1.1), and which of them are honoured.

A REFER says by them what its target shall be called with. 19.1.5: "An implementation SHOULD NOT honor these obviously
dangerous header fields: From, Call-ID, CSeq, Via, and Record-Route", nor Route, nor what describes us or the body. So
those are taken that are known to be harmless, and no others.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import is_token, unescape
from ringback.sip.headers import header_name
from ringback.sip.message import Headers
from ringback.sip.uri import Uri, parse_uri

_HONOURED: Final = frozenset(
    (
        *("replaces", "join", "target-dialog", "referred-by", "subject", "priority", "in-reply-to", "call-info"),
        *("accept-contact", "reject-contact", "request-disposition", "reason", "user-to-user", "answer-mode"),
    )
)
_MOST: Final = 16
# hnv-unreserved and unreserved (25.1).
_KEPT: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()[]/?:+$")


def escape_header(value: str) -> str:
    """A header value as it stands in a URI."""
    out: list[str] = []
    for octet in value.encode("utf-8", "surrogateescape"):
        character = chr(octet)
        out.append(character if character in _KEPT else f"%{octet:02X}")
    return "".join(out)


def with_header(uri: str, name: str, value: str) -> str:
    """The URI with one more header."""
    return f"{uri}{'&' if '?' in uri else '?'}{name}={escape_header(value)}"


def without_headers(uri: Uri) -> str:
    """The text of a URI without its headers and method, as it stands in a Request-URI."""
    if not uri.headers and "method" not in uri.parameters:
        return uri.text
    return uri.without("method").text


def honoured_headers(uri: Uri) -> Headers:
    """The headers of a URI that a request to it shall have. Raises ParseError for a value that no header can hold."""
    headers: Headers = []
    if not uri.headers:
        return headers
    for pair in uri.headers.split("&")[:_MOST]:
        name, _, value = pair.partition("=")
        name = unescape(name)
        if not is_token(name):
            raise ParseError("a URI with a header that has no name")
        entry = header_name(name)
        if entry.key in _HONOURED:
            text = unescape(value)
            if "\r" in text or "\n" in text or "\0" in text:
                raise ParseError(f"a URI with a line break in its {entry.spelled}")
            headers.append((entry.spelled, text))
    return headers


def method_of(uri: str) -> str:
    """The method that a URI asks for: "If the URI contains a method parameter, its value MUST be used"; else INVITE."""
    return parse_uri(uri).parameters.get("method") or "INVITE"
