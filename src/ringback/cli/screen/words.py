"""What the screen says of a call. Names and reasons come from others: they are text, whatever stands in them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ringback.cli.screen.line import Line

__all__ = ["bar", "clock", "details", "duration", "plain", "state_of"]

#: The quietest that a level shows, in dBov, and how many signs full scale is.
_QUIETEST: Final = -60.0
_SIGNS: Final = 6
LONGEST: Final = 120
#: Lines of a call's history that are shown.
MOST_CHANGES: Final = 12


def plain(text: str, longest: int = LONGEST) -> str:
    """Text of others without anything that moves the cursor, turns the writing round or fills the screen."""
    shown = "".join([sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text[: longest + 1]])
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def duration(seconds: float) -> str:
    """1:05, or 1:00:05."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def bar(level: float) -> str:
    """A level in dBov as a row of signs: all of them at 0, none at -60 and below."""
    filled = round(_SIGNS * (min(0.0, max(_QUIETEST, level)) - _QUIETEST) / -_QUIETEST)
    return "█" * filled + "·" * (_SIGNS - filled)


def state_of(line: Line) -> str:
    """Where a call is, in a word or two."""
    call = line.call
    if call.cause is not None:
        return "ended"
    if call.state == "ringing":
        return ("answering" if line.answering else "ringing") if call.incoming else "calling"
    if line.holding:
        return "on hold"
    if call.held:
        return "held"
    return "talking, muted" if line.muted else "talking"


def clock(at: float, now: float) -> str:
    """The time of day of a moment of the loop's clock."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() - (now - at)))


def details(line: Line, now: float) -> str:
    """All that there is to know of a call, in lines."""
    call = line.call
    who = f"{'from' if call.incoming else 'to'} {plain(call.remote_name)}"
    lines = [f"{who}: {state_of(line)}, {duration(line.seconds(now))}"]
    if call.cause is not None:
        reason = plain(call.cause.reason) or "hung up"
        status = f"{call.cause.status} " if call.cause.status else ""
        lines.append(f"ended by {call.cause.by}: {status}{reason}")
    elif call.state == "established":
        lines.append(plain(call.media.encrypted) or "not encrypted")
    for report in line.quality():
        way = "heard here" if report.direction == "received" else "heard there"
        trip = "" if report.round_trip is None else f", round trip {report.round_trip:.0f} ms"
        lines.append(
            f"{way}: {plain(report.codec)}, MOS {report.mos:.1f}, loss {100 * report.loss:.1f} %, "
            f"jitter {report.jitter:.0f} ms{trip}"
        )
    for change in call.history[-MOST_CHANGES:]:
        text = f"{change.kind}: {change.reason} {change.details}".rstrip()
        lines.append(f"{clock(change.at, now)}  {plain(text)}")
    return "\n".join(lines)
