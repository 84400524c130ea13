"""From bytes to messages (RFC 3261 sections 7 and 25).

`parse` reads one complete message, a datagram or what `framing` cut out of a stream. It checks what every element has to
check: the start line, that each line is a header, that the headers which steer a message are there and stand once, and
that the body is whole. All else is read when it is asked for, by the typed views.

It raises nothing but ParseError, and its time is linear in the length of its input.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import is_token, number, shown
from ringback.sip.headers import (
    CALL_ID_BIT,
    CONTENT_LENGTH_BIT,
    CSEQ_BIT,
    FROM_BIT,
    KNOWN_NAMES,
    TO_BIT,
    VIA_BIT,
    header_name,
)
from ringback.sip.message import Request, Response

LARGEST_MESSAGE: Final = 65535
MOST_LINES: Final = 256
MOST_VIAS: Final = 70
MOST_ROUTES: Final = 70

_NEEDED: Final = FROM_BIT | TO_BIT | CALL_ID_BIT | CSEQ_BIT | VIA_BIT
_NEEDED_NAMES: Final = (
    (VIA_BIT, "Via"),
    (FROM_BIT, "From"),
    (TO_BIT, "To"),
    (CALL_ID_BIT, "Call-ID"),
    (CSEQ_BIT, "CSeq"),
)
METHODS: Final = frozenset(
    "INVITE ACK BYE CANCEL REGISTER OPTIONS PRACK SUBSCRIBE NOTIFY PUBLISH INFO REFER MESSAGE UPDATE".split()
)


def parse(data: bytes, largest: int = LARGEST_MESSAGE) -> Request | Response:
    """Read one message. Octets after the Content-Length are dropped (18.3).

    Raises ParseError with the status to answer with: 400, 413 for a message over `largest` octets, 505 for another
    version of SIP.
    """
    if len(data) > largest:
        raise ParseError(f"a message of {len(data)} octets, over {largest}", 513)
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise ParseError("no empty line ends the headers")
    lines = data[:end].decode("utf-8", "surrogateescape").split("\r\n")
    start = lines[0]
    del lines[0]
    names, seen = read_names(lines)
    if seen & _NEEDED != _NEEDED:
        raise ParseError(_missing(seen))
    body = data[end + 4 :]
    if seen & CONTENT_LENGTH_BIT:
        line = lines[names.index("content-length")]
        length = _content_length(line)
        if length > len(body):
            # 18.3: "If there are not enough octets … the element SHOULD generate a 400 (Bad Request) error response."
            raise ParseError(f"Content-Length is {length}, but {len(body)} octets follow")
        if length < len(body):
            body = body[:length]
    if start.startswith("SIP/"):
        return _response(start, names, lines, body)
    return _request(start, names, lines, body)


def read_names(lines: list[str]) -> tuple[list[str], int]:
    """The key of each header line, and the bits of the known ones; folded lines are joined to the one they continue."""
    if len(lines) > MOST_LINES:
        raise ParseError(f"more than {MOST_LINES} header lines", 513)
    names: list[str] = []
    seen = 0
    folded = False
    for line in lines:
        colon = line.find(":")
        entry = KNOWN_NAMES.get(line[:colon]) if colon > 0 else None
        if entry is None:
            if line[:1] == " " or line[:1] == "\t":
                folded = True
                names.append("")
                continue
            if colon < 0:
                raise ParseError(f"not a header line: {shown(line)}")
            # HCOLON = *( SP / HTAB ) ":" SWS: space before the colon belongs to the grammar, not to the name.
            entry = header_name(line[:colon].rstrip(" \t"))
        bit = entry.bit
        if bit:
            if seen & bit and bit != VIA_BIT:
                raise ParseError(f"more than one {entry.spelled}")
            seen |= bit
        if "\n" in line or "\r" in line:
            raise ParseError(f"a bare CR or LF in {shown(line)}")
        names.append(entry.key)
    if folded:
        names = _join_folds(names, lines)
    if names.count("via") > MOST_VIAS or names.count("route") > MOST_ROUTES or names.count("record-route") > MOST_ROUTES:
        raise ParseError("too many Via or Route lines", 513)
    return names, seen


def _join_folds(names: list[str], lines: list[str]) -> list[str]:
    """Put continuation lines (7.3.1) behind the line that they continue; `lines` is changed in place."""
    kept: list[str] = []
    whole: list[list[str]] = []
    for name, line in zip(names, lines, strict=True):
        if name:
            kept.append(name)
            whole.append([line])
            continue
        if not whole:
            raise ParseError("the first header line begins with a space")
        if "\n" in line or "\r" in line:
            raise ParseError(f"a bare CR or LF in {shown(line)}")
        whole[-1].append(line)
    lines[:] = ["\r\n".join(pieces) for pieces in whole]
    return kept


def _content_length(line: str) -> int:
    digits = line[line.index(":") + 1 :].strip()
    return number(digits, "Content-Length", 2**31)


def _missing(seen: int) -> str:
    absent = [name for bit, name in _NEEDED_NAMES if not seen & bit]
    return f"no {' and no '.join(absent)} header"


def _request(start: str, names: list[str], lines: list[str], body: bytes) -> Request:
    # "Request-Line = Method SP Request-URI SP SIP-Version CRLF": single spaces and nothing else.
    words = start.split(" ")
    if len(words) != 3 or not words[1]:
        raise ParseError(f"not a request line: {shown(start)}")
    method, uri, version = words
    if version != "SIP/2.0":
        _check_version(version, start)
    if method not in METHODS and not is_token(method):
        raise ParseError(f"not a method: {shown(method)}")
    request = Request(method, uri, names, lines, body)
    if request.cseq.method != method:
        # 8.1.1.5: "The method MUST match that of the request." RFC 4475 3.1.2.18 answers an unknown method with 501.
        status = 400 if method in METHODS else 501
        raise ParseError(f"CSeq names {shown(request.cseq.method)}, the request line {method}", status)
    return request


def _response(start: str, names: list[str], lines: list[str], body: bytes) -> Response:
    # "Status-Line = SIP-Version SP Status-Code SP Reason-Phrase CRLF"
    version, _, rest = start.partition(" ")
    if version != "SIP/2.0":
        _check_version(version, start)
    code, space, reason = rest.partition(" ")
    if len(code) != 3 or not (code.isascii() and code.isdigit()) or not space or not 100 <= int(code) <= 699:
        raise ParseError(f"not a status line: {shown(start)}")
    return Response(int(code), reason, names, lines, body)


def _check_version(version: str, start: str) -> None:
    if version.upper() == "SIP/2.0":
        # 7.1: "The SIP-Version string is case-insensitive".
        return
    if version.upper().startswith("SIP/"):
        raise ParseError(f"not a version that is spoken here: {shown(version)}", 505)
    raise ParseError(f"not a start line of SIP: {shown(start)}")


def salvage(data: bytes) -> Request | None:
    """Of a request that `parse` refused, what is needed to answer it; None when that cannot be had.

    The result is fit for `response_to` and for nothing else: of each needed header the first is kept.
    """
    end = data.find(b"\r\n\r\n")
    text = (data if end < 0 else data[:end])[:LARGEST_MESSAGE].decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    method, _, rest = lines[0].strip().partition(" ")
    if not is_token(method) or method == "ACK" or method.upper().startswith("SIP/") or "SIP/" not in rest.upper():
        return None
    request = Request(method, rest.strip().partition(" ")[0] or "sip:invalid", [], [], b"")
    for line in lines[1 : MOST_LINES + 1]:
        name, colon, _ = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not is_token(name) or "\n" in line or "\r" in line:
            continue
        key = header_name(name).key
        if key == "via" or (key in ("from", "to", "call-id", "cseq") and key not in request.names):
            request.names.append(key)
            request.lines.append(line)
    for key in ("via", "from", "to", "call-id", "cseq"):
        if key not in request.names:
            return None
    return _checked_salvage(request)


def _checked_salvage(request: Request) -> Request | None:
    try:
        via = request.via
    except ParseError:
        return None
    return request if via.host else None
