"""What several test files feed to the message layer: sound requests, hostile text, and bounds on the work it causes."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ringback.errors import ParseError
from ringback.sip.message import Request, Response

ADDRESS_HEADERS = ("contact", "route", "record-route", "path", "reply-to", "refer-to")
LIST_HEADERS = ("allow", "supported", "require", "accept", "contact", "route")


def request(*extra: str, method: str = "INVITE", uri: str = "sip:bob@biloxi.com", body: bytes = b"") -> bytes:
    """A sound request; `extra` are further header lines, without CRLF."""
    lines = [
        f"{method} {uri} SIP/2.0",
        "Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds",
        "Max-Forwards: 70",
        "To: Bob <sip:bob@biloxi.com>",
        "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
        "Call-ID: a84b4c76e66710@pc33.atlanta.com",
        f"CSeq: 314159 {method}",
        *extra,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def response(status: str = "200 OK", *extra: str, body: bytes = b"") -> bytes:
    """A sound response to `request()`; `status` is code and reason phrase."""
    lines = [
        f"SIP/2.0 {status}",
        "Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds;received=192.0.2.1",
        "To: Bob <sip:bob@biloxi.com>;tag=a6c85cf",
        "From: Alice <sip:alice@atlanta.com>;tag=1928301774",
        "Call-ID: a84b4c76e66710@pc33.atlanta.com",
        "CSeq: 314159 INVITE",
        *extra,
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def read_views(message: Request | Response) -> list[str]:
    """Use every typed view of a message; the names of those that raised ParseError. Anything else is raised."""
    refused: list[str] = []

    def attempt(name: str, view: Callable[[], object]) -> None:
        try:
            view()
        except ParseError:
            refused.append(name)

    for name in ("via", "cseq", "call_id", "from_", "to", "from_tag", "to_tag", "start_line"):
        attempt(name, lambda name=name: getattr(message, name))
    for key in ADDRESS_HEADERS:
        attempt(key, lambda key=key: message.addresses(key))
    for key in LIST_HEADERS:
        attempt(f"tokens {key}", lambda key=key: message.tokens(key))
    for key in ("max-forwards", "expires", "content-length"):
        attempt(f"number {key}", lambda key=key: message.number(key))
    if isinstance(message, Request):
        attempt("target", lambda: message.target.aor())
        attempt("equivalent", lambda: message.target.equivalent(message.target))
    return refused


# Pieces that made parsers slow, crash or wander off; repeated, they fill a header line.
HOSTILE_PIECES = {
    "commas": ",",
    "semicolons": ";",
    "quotes": '"',
    "backslashes": "\\",
    "quoted pairs": "\\a",
    "quoted quotes": '\\"',
    "empty strings": '"",',
    "strings": '"a";',
    "opening parentheses": "(",
    "closing parentheses": ")",
    "comments": "(a)",
    "angles": "<",
    "closing angles": ">",
    "addresses": "<sip:a>,",
    "colons": ":",
    "brackets": "[",
    "spaces": " ",
    "tabs and spaces": " \t",
    "words": "a ",
    "labels": "a.",
    "hyphens": "a-",
    "dots": ".",
    "percents": "%",
    "escapes": "%41",
    "equals": "=",
    "at signs": "@",
    "question marks": "?",
    "ampersands": "a=b&",
    "digits": "9",
    "zeros": "0",
    "slashes": "/",
    "parameters": ";a=b",
    "folds": "\r\n ",
    "long folds": "a\r\n          ",
    "euro signs": "\u20ac",
    "invalid octets": "\udcff",
    "nul": "\0",
}

# What a hostile run may follow, so that it is met in the middle of something.
HOSTILE_PREFIXES = (
    "",
    '"',
    "(",
    "<",
    "sip:",
    "sip:a@",
    "<sip:a@b>",
    "<sip:a@b>;x=",
    "SIP/2.0/UDP ",
    "SIP/2.0/UDP h;a=",
    "1 ",
)


def hostile(size: int) -> Iterator[tuple[str, str]]:
    """Header values of about `size` characters, with a name for each."""
    for name, piece in HOSTILE_PIECES.items():
        run = piece * (size // len(piece))
        for prefix in HOSTILE_PREFIXES:
            yield f"{name} after {prefix!r}", prefix + run
            yield f"{name} after {prefix!r}, closed", f'{prefix}{run}">)'


def steps(function: Callable[[], object]) -> int:
    """How many lines of ringback's modules run in `function`; ParseError is caught."""
    count = 0

    def on_line(frame: FrameType, event: str, argument: object) -> object:
        nonlocal count
        if event == "line":
            count += 1
        return on_line

    def on_call(frame: FrameType, event: str, argument: object) -> object:
        return on_line if "ringback" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        function()
    except ParseError:
        pass
    finally:
        sys.settrace(before)
    return count


@contextmanager
def finishes(seconds: float = 30.0) -> Iterator[None]:
    """Fails when the block uses more processor time than `seconds`.

    For input that takes milliseconds when the time is linear in its size, and hours when it is not: no machine is slow
    enough to turn the one into the other.
    """

    def too_long(number: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still busy after {seconds} s of processor time")

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
