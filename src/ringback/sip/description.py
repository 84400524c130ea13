"""Session descriptions in bodies: which part of a message is one, and which bodies are refused (RFC 3261 8.2.3, 5621).

A description stands alone (`application/sdp`), or as a part of a `multipart/mixed` or `multipart/alternative` body, as
gateways and browsers send it.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import split_commas, split_parameters, unquote
from ringback.sip.message import Headers, Message, Request

DESCRIPTION: Final = "application/sdp"
#: Parts of a body that are looked at, and how deep they may nest.
MOST_PARTS: Final = 32
DEEPEST: Final = 3


def media_type(value: str) -> str:
    """The type of a Content-Type value in lower case, without parameters and spaces: "application/sdp"."""
    return value.partition(";")[0].replace(" ", "").replace("\t", "").lower()


def description_of(message: Message) -> bytes:
    """The session description that a message holds, b"" when it holds none.

    A body without a Content-Type is taken for one. One whose disposition is not "session" is not (20.11: "For
    backward-compatibility, if the Content-Disposition header field is missing, the server SHOULD assume bodies of
    Content-Type application/sdp are the disposition 'session'").
    """
    if not message.body:
        return b""
    kind = message.header("content-type") or DESCRIPTION
    return _description(kind, message.header("content-disposition") or "session", message.body, 0)


def _description(kind: str, disposition: str, body: bytes, depth: int) -> bytes:
    plain = media_type(kind)
    if plain == DESCRIPTION:
        return body if media_type(disposition) == "session" else b""
    if not plain.startswith("multipart/") or depth >= DEEPEST:
        return b""
    for headers, content in _parts(kind, body):
        inner = headers.get("content-type", "text/plain")
        found = _description(inner, headers.get("content-disposition", "session"), content, depth + 1)
        if found:
            return found
    return b""


def _parts(kind: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart body (RFC 2046 5.1): their headers, by names in lower case, and contents."""
    boundary = ""
    try:
        for part in split_parameters(kind)[1:]:
            name, _, value = part.partition("=")
            if name.strip().lower() == "boundary":
                boundary = unquote(value.strip())
    except ParseError:
        return []
    if not 0 < len(boundary) <= 70:
        return []
    # "The boundary delimiter MUST occur at the beginning of a line, i.e., following a CRLF", which belongs to it.
    delimiter = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    found: list[tuple[dict[str, str], bytes]] = []
    for piece in (b"\r\n" + body).split(delimiter, MOST_PARTS + 1)[1:]:
        if piece.startswith(b"--") or len(found) == MOST_PARTS:
            break
        # What follows the delimiter on its line is white space; an empty line ends the headers of the part.
        _, _, rest = piece.partition(b"\r\n")
        head, empty, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
        if empty:
            found.append((_part_headers(head), content))
    return found


def _part_headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "surrogateescape").split("\r\n")[:MOST_PARTS]:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers


def refusal_of_body(request: Request, accepted: list[str]) -> tuple[int, Headers] | None:
    """Why the body of a request cannot be taken (8.2.3): 415 and what is taken; None when it can or may be ignored."""
    if not request.body:
        return None
    disposition = (request.header("content-disposition") or "").lower().replace(" ", "")
    if "handling=optional" in disposition:
        # "If there are any bodies whose type (indicated by the Content-Type), language … or encoding … are not
        # understood, and that body part is not optional (as indicated by the Content-Disposition header field), the
        # UAS MUST reject the request with a 415 (Unsupported Media Type) response."
        return None
    encoding = (request.header("content-encoding") or "identity").strip().lower()
    if encoding != "identity":
        return 415, [("Accept-Encoding", "identity")]
    kind = media_type(request.header("content-type") or DESCRIPTION)
    if kind in accepted or (kind.startswith("multipart/") and DESCRIPTION in accepted and description_of(request)):
        return None
    return 415, [("Accept", ", ".join(accepted))]


def is_acceptable(request: Request, kind: str) -> bool:
    """Whether the Accept of a request lets a body of this type come back (20.1); without one, application/sdp may."""
    if "accept" not in request.names:
        return kind == DESCRIPTION
    family = kind.partition("/")[0]
    for value in request.all("accept"):
        for piece in split_commas(value):
            asked = media_type(piece)
            if asked in ("*/*", f"{family}/*", kind):
                return True
    return False
