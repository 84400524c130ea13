"""Requests and responses (RFC 3261 section 7).

A message keeps the header lines that arrived and the body bytes. What is not edited is written as it came: unknown
headers, order, spelling and folding survive. Typed views are read on first use and kept.
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.grammar import SPACE, is_token, number, shown, split_commas
from ringback.sip.headers import (
    CSeq,
    HeaderName,
    NameAddr,
    Via,
    header_name,
    parse_cseq,
    parse_name_addr,
    parse_name_addrs,
    parse_via,
    tag_of,
)
from ringback.sip.status import reason_phrase
from ringback.sip.uri import Uri, parse_uri

# What would break out of a line, a NUL that is no quoted-pair, and what cannot be written as octets.
_UNWRITABLE: Final = re.compile(r"[\r\n\ud800-\udc7f\udd00-\udfff]|(?<!\\)\0")
_WHITE: Final = " \t\r\n"

Headers = list[tuple[str, str]]


def first_position(names: list[str], key: str, start: int = 0) -> int:
    """Where `key` stands first from `start` on, -1 when it does not: `in` and `index` in one, a plain loop in C."""
    for position, name in enumerate(names):
        if name == key and position >= start:
            return position
    return -1


def put_line(names: list[str], lines: list[str], key: str, line: str) -> None:
    """As `Message.put_line`, for lines that are no message yet."""
    position = first_position(names, key)
    if position >= 0:
        lines[position] = line
    else:
        names.append(key)
        lines.append(line)


class Message:
    """What requests and responses have in common.

    names   for each header line its key: lower case, long form
    lines   the line as it came or as it will be written, without the final CRLF
    body    the octets after the empty line
    """

    __slots__ = ("_cseq", "_via", "body", "lines", "names")

    def __init__(self, names: list[str], lines: list[str], body: bytes) -> None:
        self.names: list[str] = names
        self.lines: list[str] = lines
        self.body: bytes = body
        self._via: Via | None = None
        self._cseq: CSeq | None = None

    # reading ---------------------------------------------------------------------------------------------------------

    def header(self, key: str) -> str | None:
        """The value of the first line with this key ("call-id", "via" …), unfolded and stripped; None without one."""
        position = first_position(self.names, key)
        return None if position < 0 else self.value_at(position)

    def value_at(self, position: int) -> str:
        """The value of the line at `position`, unfolded and stripped."""
        line = self.lines[position]
        # "Name: value" without more white space is what nearly everybody writes: one slice, and nothing to strip.
        start = line.find(":") + 1
        if start < len(line) and ord(line[start]) == ord(" "):
            start += 1
        value = line[start:]
        if value and (ord(value[0]) <= ord(" ") or ord(value[-1]) <= ord(" ")):
            value = value.strip(_WHITE)
        if "\n" in value:
            # "The line break and the whitespace at the beginning of the next line are treated as a single SP character"
            # (7.3.1).
            return " ".join([piece.strip(SPACE) for piece in value.split("\r\n")])
        return value

    def all(self, key: str) -> list[str]:
        """The values of every line with this key, in order, not yet split at commas."""
        return [self.value_at(position) for position, name in enumerate(self.names) if name == key]

    def split(self, key: str) -> list[str]:
        """The comma-separated values of every line with this key, in order; empty ones left out."""
        out: list[str] = []
        for value in self.all(key):
            for piece in split_commas(value):
                if piece:
                    out.append(piece)
        return out

    def required(self, key: str) -> str:
        """The value of a header that has to be there. Raises ParseError."""
        position = first_position(self.names, key)
        if position < 0:
            raise ParseError(f"no {header_name(key).spelled} header")
        return self.value_at(position)

    @property
    def via(self) -> Via:
        """The topmost Via."""
        via = self._via
        if via is None:
            via = parse_via(self.required("via"))
            self._via = via
        return via

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        cseq = self._cseq
        if cseq is None:
            cseq = parse_cseq(self.required("cseq"))
            self._cseq = cseq
        return cseq

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.required("call-id")

    @property
    def from_(self) -> NameAddr:
        """The From address."""
        return parse_name_addr(self.required("from"))

    @property
    def to(self) -> NameAddr:
        """The To address."""
        return parse_name_addr(self.required("to"))

    @property
    def from_tag(self) -> str:
        """The tag of From, or ""."""
        return tag_of(self.required("from"))

    @property
    def to_tag(self) -> str:
        """The tag of To, or ""."""
        return tag_of(self.required("to"))

    def addresses(self, key: str) -> list[NameAddr]:
        """Every address of a header such as "contact", "route" or "record-route"."""
        return parse_name_addrs(self.all(key))

    def tokens(self, key: str) -> list[str]:
        """Every token of a list such as "require" or "supported", in lower case."""
        return [token for value in self.all(key) for token in split_commas(value.lower()) if token]

    def option_tags(self, key: str) -> list[str]:
        """The option-tags of "require" or "proxy-require" as they are written. Raises ParseError for what is none."""
        tags = self.split(key)
        for tag in tags:
            # "option-tag = token"; an answer repeats those that are not known (8.2.2.3, 16.3 step 5).
            if not is_token(tag):
                raise ParseError(f"not an option-tag: {shown(tag)}")
        return tags

    def number(self, key: str, most: int = 4294967295) -> int | None:
        """The value of a header that is one number; None without one. Raises ParseError."""
        value = self.header(key)
        if value is None:
            return None
        return number(value, header_name(key).spelled, most)

    def reread_via(self) -> None:
        """The topmost Via line was edited in place: read it again when it is asked for."""
        self._via = None

    # editing ---------------------------------------------------------------------------------------------------------

    def prepend(self, name: str, value: str) -> None:
        """Add a line before all lines with the same name (before all lines when there is none)."""
        entry = _built_name(name)
        line = checked_line(entry.spelled, value)
        position = max(0, first_position(self.names, entry.key))
        self.names.insert(position, entry.key)
        self.lines.insert(position, line)
        self._forget(entry.key)

    def append(self, name: str, value: str) -> None:
        """Add a line after all others."""
        entry = _built_name(name)
        self.lines.append(checked_line(entry.spelled, value))
        self.names.append(entry.key)

    def remove(self, key: str) -> None:
        """Remove every line with this key."""
        position = first_position(self.names, key)
        while position >= 0:
            del self.names[position]
            del self.lines[position]
            position = first_position(self.names, key, position)
        self._forget(key)

    def replace(self, name: str, value: str) -> None:
        """Put this value in place of the first line with this name (or after all others) and drop its further lines."""
        entry = _built_name(name)
        line = checked_line(entry.spelled, value)
        position = first_position(self.names, entry.key)
        if position < 0:
            self.names.append(entry.key)
            self.lines.append(line)
            return
        self.lines[position] = line
        further = first_position(self.names, entry.key, position + 1)
        while further >= 0:
            del self.names[further]
            del self.lines[further]
            further = first_position(self.names, entry.key, further)
        self._forget(entry.key)

    def put_line(self, key: str, line: str) -> None:
        """Put a whole line that needs no check in place of the first one with this key, or after all others."""
        put_line(self.names, self.lines, key, line)

    def remove_first_value(self, key: str) -> None:
        """Take the topmost value off a list header, be it a line or one of several on a line (7.3.1).

        Raises LocalError when there is none.
        """
        position = first_position(self.names, key)
        if position < 0:
            raise LocalError(f"no {header_name(key).spelled} to take a value from")
        rest = ""
        line = self.lines[position]
        comma = line.find(",")
        if comma >= 0 and key == "via" and '"' not in line and "\n" not in line:
            # What stands before it has been read, or nobody will: a Via that goes back to where it came from.
            rest = line[comma + 1 :].strip(SPACE)
        elif comma >= 0:
            value = self.value_at(position)
            if key == "via":
                rest = value[self.via.size + 1 :].strip(SPACE)
            else:
                rest = ", ".join(split_commas(value)[1:])
        if rest:
            self.lines[position] = f"{line[: line.index(':')]}: {rest}"
        else:
            del self.names[position]
            del self.lines[position]
        self._forget(key)

    def _forget(self, key: str) -> None:
        if key == "via":
            self._via = None
        elif key == "cseq":
            self._cseq = None

    # writing ---------------------------------------------------------------------------------------------------------

    @property
    def start_line(self) -> str:
        """The first line, without CRLF."""
        raise LocalError("a message is a request or a response")

    def encode(self) -> bytes:
        """The message as it goes on the wire."""
        lines = self.lines
        return ("\r\n".join([self.start_line, *lines]) + "\r\n\r\n").encode("utf-8", "surrogateescape") + self.body


class Request(Message):
    """A request: `method` as written (methods are case-sensitive) and `uri`, the text of the Request-URI."""

    __slots__ = ("_target", "method", "uri")

    def __init__(self, method: str, uri: str, names: list[str], lines: list[str], body: bytes) -> None:
        super().__init__(names, lines, body)
        self.method: str = method
        self.uri: str = uri
        self._target: Uri | None = None

    @property
    def target(self) -> Uri:
        """The Request-URI, read. Raises ParseError."""
        target = self._target
        if target is None:
            target = parse_uri(self.uri)
            self._target = target
        return target

    def know_target(self, target: Uri) -> None:
        """The Request-URI was read before: take that."""
        self._target = target

    def retarget(self, uri: str) -> None:
        """Put another Request-URI in place."""
        self.uri = uri
        self._target = None

    @property
    def start_line(self) -> str:
        """The request line."""
        return f"{self.method} {self.uri} SIP/2.0"

    def copy(self) -> Request:
        """A request with lines of its own."""
        return Request(self.method, self.uri, self.names.copy(), self.lines.copy(), self.body)

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri}>"


#: Stands where a request was that nobody asks for again: a transaction lives for half a minute after its last message,
#: and all that it still needs is its key.
SPENT: Final = Request("", "", [], [], b"")


class Response(Message):
    """A response: `status` (100 to 699) and `reason`, the phrase as written."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, names: list[str], lines: list[str], body: bytes) -> None:
        super().__init__(names, lines, body)
        self.status: int = status
        self.reason: str = reason

    @property
    def start_line(self) -> str:
        """The status line."""
        return f"SIP/2.0 {self.status} {self.reason}"

    def copy(self) -> Response:
        """A response with lines of its own."""
        return Response(self.status, self.reason, self.names.copy(), self.lines.copy(), self.body)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"


def checked_line(spelled: str, value: str) -> str:
    """`Name: value` for a value built here. Raises LocalError for one that would break out of its line."""
    if _UNWRITABLE.search(value) is not None:
        raise LocalError(f"{spelled} cannot hold a line break, NUL or surrogate: {shown(value)}")
    return f"{spelled}: {value}"


def checked_reason(status: int, reason: str) -> str:
    """A reason phrase built here, the default one for "". Raises LocalError for what no status line can hold."""
    if not 100 <= status <= 699:
        raise LocalError(f"not a status: {status}")
    if not reason:
        return reason_phrase(status)
    if _UNWRITABLE.search(reason) is not None:
        raise LocalError(f"a reason phrase cannot hold a line break, NUL or surrogate: {shown(reason)}")
    return reason


def _built_name(name: str) -> HeaderName:
    try:
        return header_name(name)
    except ParseError as error:
        raise LocalError(str(error)) from None


def build_request(method: str, uri: str, headers: Headers, body: bytes = b"") -> Request:
    """A request built here; the headers can be written, and Content-Length is added when it is not among them.

    Raises LocalError for a method or header that cannot be written, ParseError for a URI that is none.
    """
    if not is_token(method):
        raise LocalError(f"not a method: {shown(method)}")
    parse_uri(uri)
    request = Request(method, uri, [], [], body)
    _fill(request, headers)
    return request


def build_response(status: int, reason: str, headers: Headers, body: bytes = b"") -> Response:
    """A response built here; `reason` "" stands for the default phrase."""
    response = Response(status, checked_reason(status, reason), [], [], body)
    _fill(response, headers)
    return response


def _fill(message: Message, headers: Headers) -> None:
    for name, value in headers:
        message.append(name, value)
    if "content-length" not in message.names:
        message.append("Content-Length", str(len(message.body)))


def _tagged(line: str, value: str, tag: str) -> str:
    """The To line with `tag` added when it has none; one that cannot be read goes back as it came."""
    try:
        has_tag = tag_of(value) != ""
    except ParseError:
        has_tag = True
    return line if has_tag else f"{line.rstrip(_WHITE)};tag={tag}"


def response_to(
    request: Request,
    status: int,
    reason: str = "",
    to_tag: str = "",
    headers: Headers | None = None,
    body: bytes = b"",
) -> Response:
    """The response to a request (8.2.6): Via, From, To, Call-ID and CSeq are taken from it as they came.

    `to_tag` is added to To when the request has none there; "a 100 (Trying) response" may go without.
    """
    response = Response(status, checked_reason(status, reason), [], [], body)
    names = response.names
    lines = response.lines
    for position, name in enumerate(request.names):
        if name == "via" or name == "from" or name == "call-id" or name == "cseq":
            names.append(name)
            lines.append(request.lines[position])
        elif name == "to":
            names.append(name)
            line = request.lines[position]
            lines.append(_tagged(line, request.value_at(position), to_tag) if to_tag else line)
        elif name == "timestamp" and status == 100:
            # 8.2.6.1: "any Timestamp header field present in the request MUST be copied into this 100 response".
            names.append(name)
            lines.append(request.lines[position])
        elif name == "record-route" and 100 < status < 300:
            # 12.1.1: "the UAS MUST copy all Record-Route header field values from the request into the response".
            names.append(name)
            lines.append(request.lines[position])
    if headers:
        for header, value in headers:
            response.append(header, value)
    if "content-length" not in names:
        names.append("content-length")
        lines.append(f"Content-Length: {len(body)}")
    return response
