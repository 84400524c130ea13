"""From bytes to messages (RFC 3261 sections 7 and 25).

`parse` reads one complete message, a datagram or what `framing` cut out of a stream. It checks what every element has
to check: the start line, that each line is a header, that the headers which steer a message are there and stand once,
and that the body is whole. All else is read when it is asked for, by the typed views.

It raises nothing but ParseError, and its time is linear in the length of its input.
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import SPACE, is_host, is_token, number, short_number, shown
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
from ringback.sip.message import Request, Response, first_position

LARGEST_MESSAGE: Final = 65535
MOST_LINES: Final = 256
MOST_VIAS: Final = 70
MOST_ROUTES: Final = 70
#: Characters of the shortest value that a Via can have: in less text there cannot be too many, and nobody counts.
SHORTEST_VIA: Final = len("SIP/2.0/a b")

_NEEDED: Final = FROM_BIT | TO_BIT | CALL_ID_BIT | CSEQ_BIT | VIA_BIT
_NEEDED_NAMES: Final = (
    (VIA_BIT, "Via"),
    (FROM_BIT, "From"),
    (TO_BIT, "To"),
    (CALL_ID_BIT, "Call-ID"),
    (CSEQ_BIT, "CSeq"),
)
_MOST_LENGTH: Final = 2**31
METHODS: Final = frozenset(
    (
        *("INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK"),
        *("SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE", "UPDATE"),
    )
)


def parse(data: bytes, largest: int = LARGEST_MESSAGE) -> Request | Response:
    """Read one message. Octets after the Content-Length are dropped (18.3).

    Raises ParseError with the status to answer with: 400, 505 for another version of SIP, 513 for a message over
    `largest` octets or with more lines than anybody needs, 501 for an unknown method that CSeq does not name.
    """
    if len(data) > largest:
        raise ParseError(f"a message of {len(data)} octets, over {largest}", 513)
    if data.startswith(b"\r"):
        # 7.5: "Implementations … MUST ignore any CRLF appearing before the start-line".
        data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise ParseError("no empty line ends the headers")
    lines = _decoded(data[:end]).split("\r\n")
    text = "".join(lines)
    if "\n" in text or "\r" in text:
        raise ParseError(f"a bare CR or LF in {shown(_broken_line(lines))}")
    start = lines.pop(0)
    names, seen = read_names(lines)
    if seen & _NEEDED != _NEEDED:
        raise ParseError(_missing(seen))
    body = data[end + 4 :]
    if seen & CONTENT_LENGTH_BIT:
        line = lines[first_position(names, "content-length")]
        length = _content_length(line)
        if length > len(body):
            # 18.3: "If there are not enough octets … the element SHOULD generate a 400 (Bad Request) error response."
            raise ParseError(f"Content-Length is {length}, but {len(body)} octets follow")
        if length < len(body):
            body = body[:length]
    # 7.1: "The SIP-Version string is case-insensitive, but implementations MUST send upper-case."
    if len(start) > 3 and ord(start[3]) == ord("/") and start[:3].upper() == "SIP":
        return _response(start, names, lines, body)
    return _request(start, names, lines, body)


def _decoded(head: bytes) -> str:
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError:
        return head.decode("utf-8", "surrogateescape")


def read_names(lines: list[str]) -> tuple[list[str], int]:
    """The key of each header line, and the bits of the known ones; folded lines are joined to the one they continue."""
    if len(lines) > MOST_LINES:
        raise ParseError(f"more than {MOST_LINES} header lines", 513)
    names: list[str] = []
    seen = 0
    listed = 0
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
            if bit >= VIA_BIT:
                # A comma in a URI counts as well: nobody comes near the limit.
                listed += 1 + (line.count(",") if "," in line else 0)
            elif seen & bit:
                raise ParseError(f"more than one {entry.spelled}")
            seen |= bit
        names.append(entry.key)
    if folded:
        names = _join_folds(names, lines)
    if listed > MOST_ROUTES or folded:
        _check_counts(names, lines)
    return names, seen


def _check_counts(names: list[str], lines: list[str]) -> None:
    if sum([len(line) for line in lines]) > MOST_VIAS * SHORTEST_VIA:
        _check_count(names, lines, "via", MOST_VIAS)
    _check_count(names, lines, "route", MOST_ROUTES)
    _check_count(names, lines, "record-route", MOST_ROUTES)


def _check_count(names: list[str], lines: list[str], key: str, most: int) -> None:
    total = 0
    for position, name in enumerate(names):
        if name == key:
            total += 1 + lines[position].count(",")
    if total > most:
        raise ParseError(f"more than {most} values of {header_name(key).spelled}", 513)


def _broken_line(lines: list[str]) -> str:
    for line in lines:
        if "\n" in line or "\r" in line:
            return line
    return ""


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
        whole[-1].append(line)
    lines[:] = ["\r\n".join(pieces) for pieces in whole]
    return kept


def _content_length(line: str) -> int:
    start = line.find(":") + 1
    if start < len(line) and ord(line[start]) == ord(" "):
        start += 1
    length = short_number(line[start:])
    if 0 <= length <= _MOST_LENGTH:
        return length
    return number(line[start:].strip(" \t\r\n"), "Content-Length", _MOST_LENGTH)


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
    code, _, reason = rest.partition(" ")
    # RFC 4475 3.1.1.13: "The space character after the reason code is required. If it were not present … a liberal
    # receiver would accept it anyway".
    status = short_number(code) if len(code) == 3 else 0
    if not 100 <= status <= 699:
        raise ParseError(f"not a status line: {shown(start)}")
    return Response(status, reason, names, lines, body)


def _check_version(version: str, start: str) -> None:
    if version.upper() == "SIP/2.0":
        return
    if version.upper().startswith("SIP/"):
        raise ParseError(f"not a version that is spoken here: {shown(version)}", 505)
    raise ParseError(f"not a start line of SIP: {shown(start)}")


def salvage(data: bytes) -> Request | None:
    """Of a request that `parse` or a typed view refused, what is needed to answer it; None when that cannot be had.

    The result is fit for `response_to` and for nothing else. Its topmost Via can be read and it has a CSeq, so that the
    sender can match the response; of From, To and Call-ID the first is kept if there is one (RFC 4475 3.3.1 and 3.3.8).
    """
    end = data.find(b"\r\n\r\n")
    text = (data if end < 0 else data[:end])[:LARGEST_MESSAGE].decode("utf-8", "surrogateescape").lstrip("\r\n")
    lines = text.split("\r\n")
    method, _, rest = lines[0].strip(SPACE).partition(" ")
    if not is_token(method) or method == "ACK" or "SIP/" not in rest.upper():
        return None
    request = Request(method, rest.strip(SPACE).partition(" ")[0] or "sip:invalid", [], [], b"")
    names = request.names
    kept = False
    for line in lines[1 : MOST_LINES + 1]:
        if line.startswith((" ", "\t")):
            if kept and "\n" not in line and "\r" not in line:
                request.lines[-1] += "\r\n" + line
            continue
        name, colon, _ = line.partition(":")
        name = name.rstrip(SPACE)
        kept = False
        if colon and is_token(name) and "\n" not in line and "\r" not in line:
            key = header_name(name).key
            if key == "via" or (key in ("from", "to", "call-id", "cseq") and key not in names):
                names.append(key)
                request.lines.append(line)
                kept = True
    if "via" not in names or "cseq" not in names:
        return None
    return _with_readable_via(request)


# Of a Via that breaks the grammar further on: transport, address and port, and the branch if it can be told.
_VIA_HEAD: Final = re.compile(
    r"([^\s/]+/[^\s/]+/[^\s/;,]+[ \t]+(\[[^\s\];,]*\]|[^\s:;,\[]+)(?::[0-9]{1,5})?)[ \t]*(?:[;,]|\Z)"
)
_VIA_BRANCH: Final = re.compile(r";[ \t]*branch[ \t]*=[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)", re.IGNORECASE)


def _with_readable_via(request: Request) -> Request | None:
    if _has_readable_via(request):
        return request
    position = request.names.index("via")
    value = request.value_at(position)
    head = _VIA_HEAD.match(value)
    if head is None or not is_host(head.group(2)):
        return None
    branch = _VIA_BRANCH.search(value)
    request.lines[position] = f"Via: {head.group(1)}" + (f";branch={branch.group(1)}" if branch is not None else "")
    request.reread_via()
    return request if _has_readable_via(request) else None


def _has_readable_via(request: Request) -> bool:
    try:
        return request.via.host != ""
    except ParseError:
        return False
