"""Digits in the bodies of INFO requests: application/dtmf-relay and application/dtmf.

No RFC defines them; both are what gateways have sent since before RFC 6086. The first has lines "Signal=5" and
"Duration=160", in milliseconds. The second is the digit alone, or its event code ("11" for "#"). What is sent is the
spelling that everybody reads; what is read is every spelling that is known to be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.media.events import DIGITS, event_of

__all__ = ["DTMF", "DTMF_RELAY", "InfoDigit", "build", "parse"]

DTMF_RELAY: Final = "application/dtmf-relay"
DTMF: Final = "application/dtmf"

#: Milliseconds: what is meant when nothing is said, and the limits of what is believed.
DEFAULT_DURATION: Final = 100
SHORTEST: Final = 1
LONGEST: Final = 60_000
#: Octets; the longest that is known has some thirty.
_MOST: Final = 1024


@dataclass(frozen=True, slots=True)
class InfoDigit:
    """A digit, and how many milliseconds it lasts."""

    digit: str
    duration: int = DEFAULT_DURATION


def build(digit: InfoDigit, content_type: str = DTMF_RELAY) -> bytes:
    """The body for a digit. Raises LocalError when it is none, or for another content type."""
    text = DIGITS[event_of(digit.digit)]
    kind = _bare(content_type)
    if kind == DTMF_RELAY:
        return f"Signal={text}\r\nDuration={min(max(digit.duration, SHORTEST), LONGEST)}\r\n".encode()
    if kind == DTMF:
        return text.encode()
    raise LocalError(f"digits go as {DTMF_RELAY} or {DTMF}, not as {content_type}")


def parse(content_type: str, body: bytes) -> InfoDigit | None:
    """The digit in a body; None for another content type. Raises ParseError when there is no digit in it."""
    kind = _bare(content_type)
    if kind not in (DTMF_RELAY, DTMF):
        return None
    if len(body) > _MOST:
        raise ParseError(f"a {kind} body of {len(body)} octets")
    text = body.decode("ascii", "replace")
    # Some send the lines of the other type under this one.
    if kind == DTMF and "=" not in text:
        return InfoDigit(_digit(text, kind))
    signal, duration = "", DEFAULT_DURATION
    for line in text.splitlines():
        name, _, value = line.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name == "signal":
            signal = value
        elif name == "duration" and value.isascii() and value.isdigit() and len(value) < 10:
            duration = min(max(int(value), SHORTEST), LONGEST)
    return InfoDigit(_digit(signal, kind), duration)


def _digit(text: str, kind: str) -> str:
    """The digit that is meant by a character, or by an event code of two figures."""
    signal = text.strip().upper()
    if len(signal) == 1 and signal in DIGITS:
        return signal
    if len(signal) == 2 and signal.isascii() and signal.isdigit() and int(signal) < len(DIGITS):
        return DIGITS[int(signal)]
    raise ParseError(f"no digit in a {kind} body: {text.strip()[:20]!r}")


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
