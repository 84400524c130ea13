"""Where one SIP message ends and the next begins in a byte stream (RFC 3261 sections 7.5 and 18.3, RFC 5626 4.4.1).

A datagram is a message; a stream is not. `StreamFramer` cuts a stream into messages by Content-Length alone and knows
nothing else of SIP. It never looks twice at a byte that it has seen, so a peer that sends one byte at a time costs no
more than one that sends all at once.

    between messages   CRLF is skipped; CRLF CRLF is a keep-alive ping, a lone CRLF a pong
    head               up to and with the first CRLF CRLF
    body               as many octets as Content-Length says
    failed             the stream can not be cut any further: whatever follows is dropped

What a framer and the next element disagree on lets one message hide in another, so nothing is guessed: a Content-Length
that is missing, stands twice, is not a plain decimal number or is larger than allowed ends the stream. So does a CR or
LF that is no part of a CRLF, although some elements take a bare LF for a line end: RFC 3261 section 7 has it that "the
start-line, each message-header line, and the empty line MUST be terminated by a carriage-return line-feed sequence".
"""

from __future__ import annotations

import re
from typing import Final

from ringback.errors import ParseError

#: RFC 5626 4.4.1: 'the client "ping" is a double-CRLF sequence, and the server "pong" is a single CRLF'. No message can
#: be equal to either, so `feed` returns them among the messages.
PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"

LARGEST_HEAD: Final = 65536
LARGEST_MESSAGE: Final = 1048576

# A length of more digits than this is no length that anybody means, and not worth converting.
_MOST_DIGITS: Final = 10

_MESSAGE_TOO_LARGE: Final = 513
_BODY_TOO_LARGE: Final = 413

_CR: Final = 13
_LF: Final = 10

# A message begins with a method or with "SIP/": printable US-ASCII.
_FIRST_PRINTABLE: Final = 33
_LAST_PRINTABLE: Final = 126

# 7.3.1: a field name is compared without regard to case, its compact form is "l", and HCOLON allows space before the
# colon. The start line has no CRLF before it and so can not match.
_CONTENT_LENGTH: Final = re.compile(rb"\r\n(?:content-length|l)[ \t]*:([^\r]*)", re.IGNORECASE)
# 7.3.1: "The line break and the whitespace at the beginning of the next line are treated as a single SP character."
_FOLD: Final = re.compile(rb"\r\n[ \t]+")

_NO_CRLF: Final = 0
_NEW_CRLF: Final = 1
_TOLD_CRLF: Final = 2


class StreamFramer:
    """Cuts one direction of one connection into messages.

    largest_head, largest_message   limits in octets; a message includes its head
    error   None while the stream is sound. Once set it stays, and `feed` returns nothing any more: the connection has
            to be closed, because where the next message begins is not known
    head    with `error`: the head of the message at fault with its empty line, or what there is of it; enough to
            answer a request with `error.status` before closing
    """

    __slots__ = ("_buffer", "_crlf", "_needed", "_seen", "error", "head", "largest_head", "largest_message")

    def __init__(self, largest_head: int = LARGEST_HEAD, largest_message: int = LARGEST_MESSAGE) -> None:
        self.largest_head: int = largest_head
        self.largest_message: int = largest_message
        self.error: ParseError | None = None
        self.head: bytes = b""
        # The beginning of a message whose end has not come.
        self._buffer: bytearray = bytearray()
        # How far the buffer was searched for the end of the head.
        self._seen: int = 0
        # The whole length of the message in the buffer once its head is complete, else 0.
        self._needed: int = 0
        # Whether the last thing that came was a single CRLF, and whether it was reported as a pong.
        self._crlf: int = _NO_CRLF

    @property
    def pending(self) -> int:
        """Octets held of a message that has not come whole; 0 between messages."""
        return len(self._buffer)

    def settle(self) -> None:
        """Take the last PONG as one: it is not the first half of a ping that comes in two pieces."""
        self._crlf = _NO_CRLF

    def feed(self, data: bytes) -> list[bytes]:
        """What `data` completes, in order: whole messages, PING for each double CRLF, PONG for each single one.

        A single CRLF at the end of `data` may be a pong or half a ping: it is reported as PONG, and as PING when the
        other half follows. After each call look at `error`.
        """
        items: list[bytes] = []
        if self.error is not None:
            return items
        buffer = self._buffer
        if not buffer:
            self._cut(data, items)
            return items
        if self._needed:
            buffer += data
            if len(buffer) < self._needed:
                return items
        elif buffer[0] == _CR:
            buffer += data
        else:
            start = self._seen - 3 if self._seen > 3 else 0
            buffer += data
            self._seen = len(buffer)
            if buffer.find(PING, start) < 0 and len(buffer) <= self.largest_head:
                return items
        whole = bytes(buffer)
        self._keep(b"")
        self._cut(whole, items)
        return items

    def _cut(self, data: bytes, items: list[bytes]) -> None:
        """Cut `data`, which begins between two messages or with a message; keep the rest of it."""
        size = len(data)
        at = 0
        while at < size:
            first = data[at]
            if first == _CR:
                if at + 1 == size:
                    break
                if data[at + 1] != _LF:
                    self._fail(data, at, "a CR without LF between messages", 400)
                    return
                # 7.5: implementations "MUST ignore any CRLF appearing before the start-line".
                at += 2
                if self._crlf == _NO_CRLF:
                    self._crlf = _NEW_CRLF
                else:
                    self._crlf = _NO_CRLF
                    items.append(PING)
                continue
            if self._crlf == _NEW_CRLF:
                items.append(PONG)
            self._crlf = _NO_CRLF
            if first < _FIRST_PRINTABLE or first > _LAST_PRINTABLE:
                self._fail(data, at, f"octet {first} where a message should begin", 400)
                return
            if not self._needed:
                self._needed = self._measure(data, at)
                if self._needed <= 0:
                    break
            if at + self._needed > size:
                break
            items.append(data if self._needed == size else data[at : at + self._needed])
            at += self._needed
            self._needed = 0
        if self._crlf == _NEW_CRLF:
            items.append(PONG)
            self._crlf = _TOLD_CRLF
        if self.error is None and at < size:
            needed = self._needed
            self._keep(data[at:] if at else data)
            self._needed = needed

    def _keep(self, rest: bytes) -> None:
        self._buffer = bytearray(rest)
        self._seen = len(rest)
        self._needed = 0

    def _measure(self, data: bytes, at: int) -> int:
        """The length of the message that begins at `at`; 0 while its head is incomplete or when it is at fault."""
        end = data.find(PING, at, at + self.largest_head + len(PING))
        if end < 0:
            if len(data) - at > self.largest_head:
                self._fail(data, at, f"a head of more than {self.largest_head} octets", _MESSAGE_TOO_LARGE)
            return 0
        end += len(PING)
        head = data[at:end]
        lines = head.count(b"\r\n")
        if head.count(b"\n") != lines or head.count(b"\r") != lines:
            self._fail(data, at, "a bare CR or LF in the head", 400)
            return 0
        if _FOLD.search(head) is not None:
            head = _FOLD.sub(b" ", head)
        values: list[bytes] = _CONTENT_LENGTH.findall(head)
        if len(values) != 1:
            # 18.3: "The Content-Length header field MUST be used with stream oriented transports."
            problem = "no Content-Length on a stream" if not values else "more than one Content-Length"
            self._fail(data, at, problem, 400)
            return 0
        return self._whole(data, at, end, values[0].strip(b" \t"))

    def _whole(self, data: bytes, at: int, end: int, digits: bytes) -> int:
        """The length of the message whose head ends at `end` and whose Content-Length is `digits`; 0 when at fault."""
        # Content-Length = ( "Content-Length" / "l" ) HCOLON 1*DIGIT: bytes.isdigit() knows no digits but 0 to 9.
        if not digits.isdigit():
            self._fail(data, at, "a Content-Length that is not a number", 400)
            return 0
        digits = digits.lstrip(b"0") or b"0"
        if len(digits) > _MOST_DIGITS:
            self._fail(data, at, f"a Content-Length of {len(digits)} digits", 400)
            return 0
        whole = end - at + int(digits)
        if whole > self.largest_message:
            # 21.4.11: the "request entity-body is larger than the server is willing or able to process".
            self._fail(data, at, f"a message of {whole} octets, over {self.largest_message}", _BODY_TOO_LARGE)
            return 0
        return whole

    def _fail(self, data: bytes, at: int, problem: str, status: int) -> None:
        self.error = ParseError(problem, status)
        self._keep(b"")
        head = data[at : at + self.largest_head]
        end = head.find(PING)
        if end >= 0:
            self.head = head[: end + len(PING)]
            return
        # Cut behind the last whole line, so that what is kept reads as a head.
        end = head.rfind(b"\r\n")
        self.head = head[:end] + PING if end >= 0 else head
