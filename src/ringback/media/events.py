"""Telephone events in RTP (RFC 4733): digits that travel beside the sound, reported exactly once.

`EventSender` gives the packets of each 20 ms (or whatever the interval is) while digits are sent; `EventReceiver` takes
packets in whatever order and number they come, and reports the beginning and the end of each event once.

An event is known by its code and the RTP timestamp of its beginning. A report is of an event that is known already, and
not of the next press of the same key, when its timestamp lies

    within the duration that is known    repetitions, duplicates, late packets; senders that let the timestamp run on
    at its end, and the event goes on    the next segment of a long event (2.5.1.3): no E bit before, no marker now
    some segments behind its beginning   the same when the last reports of a segment were lost

An event that begins while another goes on ends that one: all its last packets were lost (2.5.2.2).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from ringback.errors import LocalError, ParseError

__all__ = [
    "DIGITS",
    "DTMF_EVENTS",
    "EventEnded",
    "EventPacket",
    "EventReceiver",
    "EventSender",
    "EventStarted",
    "Report",
    "build",
    "digit_of",
    "event_of",
    "parse",
    "read_parameter",
]

#: Section 3.2: the digits in the order of their event codes, 0 to 15.
DIGITS: Final = "0123456789*#ABCD"
#: What we understand, as the fmtp parameter has it.
DTMF_EVENTS: Final = "0-15"

_LONGEST: Final = 0xFFFF
_END: Final = 0x80
_VOLUME: Final = 0x3F
_REPORT: Final = struct.Struct("!BBH")
_TIMESTAMPS: Final = 1 << 32
#: Events in one packet (2.5.1.5); more is nonsense.
_MOST_REPORTS: Final = 16


def digit_of(event: int) -> str:
    """The digit of an event code, "" when it is no digit."""
    return DIGITS[event] if 0 <= event < len(DIGITS) else ""


def event_of(digit: str) -> int:
    """The event code of a digit. Raises LocalError when it is none."""
    event = DIGITS.find(digit.upper()) if len(digit) == 1 else -1
    if event < 0:
        raise LocalError(f"{digit!r} is no DTMF digit; there are {DIGITS}")
    return event


@dataclass(frozen=True, slots=True)
class Report:
    """One report of an event (section 2.3): `duration` in timestamp units, `volume` in -dBm0."""

    event: int
    end: bool
    volume: int
    duration: int


def build(report: Report) -> bytes:
    """The payload of one report."""
    return _REPORT.pack(report.event, (_END if report.end else 0) | report.volume, report.duration)


def parse(payload: bytes) -> list[Report]:
    """The reports in a payload, in order. Raises ParseError when there is not even one."""
    if len(payload) < _REPORT.size:
        raise ParseError(f"a telephone-event payload of {len(payload)} octets; it has at least {_REPORT.size}")
    reports = []
    for start in range(0, min(len(payload) // _REPORT.size, _MOST_REPORTS) * _REPORT.size, _REPORT.size):
        event, flags, duration = _REPORT.unpack_from(payload, start)
        # 2.3.3: "The sender MUST set it to zero, and the receiver MUST ignore it."
        reports.append(Report(event, bool(flags & _END), flags & _VOLUME, duration))
    return reports


def read_parameter(text: str) -> frozenset[int]:
    """The events of an fmtp parameter ("0-15,66"), section 2.4.1; elements that make no sense are left out.

    Without a parameter they are 0 to 15 (2.5.1.1).
    """
    listed = text.strip().removeprefix("events=").strip('"')
    if not listed:
        return frozenset(range(len(DIGITS)))
    events: set[int] = set()
    for element in listed.split(",", 256)[:256]:
        first, _, last = element.strip().partition("-")
        if _is_code(first) and _is_code(last or first):
            events.update(range(int(first), int(last or first) + 1))
    return frozenset(events)


def _is_code(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255


# sending ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventPacket:
    """What has to go into one RTP packet: its payload, its timestamp and its marker."""

    payload: bytes
    timestamp: int
    marker: bool


def _packets_of(report: Report, begins: int, interval: int, repetitions: int) -> Iterator[list[EventPacket]]:
    """The packets of a whole event, an interval at a time; `report` says what it is in the end."""
    # What has to be sent again, and how often.
    repeating: list[tuple[EventPacket, int]] = []
    elapsed = segment = 0
    while elapsed < report.duration:
        packets = [packet for packet, _ in repeating]
        repeating = [(packet, left - 1) for packet, left in repeating if left > 1]
        # 2.5.1.2: "The first packet for an event MUST have the M bit set".
        marker = elapsed == 0
        elapsed = min(elapsed + interval, report.duration)
        while elapsed - segment > _LONGEST:
            # 2.5.1.3: "the sender MUST send a packet reporting this maximum duration but MUST NOT set the E bit in this
            # packet. The sender MUST then begin reporting a new "segment" with the RTP timestamp set to the time at
            # which the previous segment ended". Its first packet has no marker.
            packets.append(_packet(replace(report, duration=_LONGEST), begins + segment, False))
            repeating.append((packets[-1], repetitions - 1))
            segment += _LONGEST
        end = elapsed == report.duration
        packets.append(_packet(replace(report, end=end, duration=elapsed - segment), begins + segment, marker))
        if end:
            repeating.append((replace(packets[-1], marker=False), repetitions - 1))
        yield packets
    while repeating:
        yield [packet for packet, _ in repeating]
        repeating = [(packet, left - 1) for packet, left in repeating if left > 1]


def _packet(report: Report, timestamp: int, marker: bool) -> EventPacket:
    return EventPacket(build(report), timestamp % _TIMESTAMPS, marker)


class EventSender:
    """Sends digits one after another.

    clock_rate  of the payload type, which is that of the sound (2.1)
    interval    timestamp units between calls of `packets`
    """

    __slots__ = ("_clock_rate", "_interval", "_pause", "_sending", "_waiting")

    #: Section 2.5.1.4: the last report goes "a total of three times".
    REPETITIONS: Final = 3
    #: Milliseconds. What ITU-T Q.24 asks for at least, as a gateway makes tones of them; and an arbitrary limit.
    SHORTEST: Final = 40
    LONGEST: Final = 60_000

    def __init__(self, clock_rate: int, interval: int) -> None:
        self._clock_rate = clock_rate
        self._interval = interval
        #: What has not begun: the whole event, and the pause after it.
        self._waiting: deque[tuple[Report, int]] = deque()
        self._sending: Iterator[list[EventPacket]] | None = None
        #: Timestamp units until the next event may begin, from the end of the packets of this one.
        self._pause = 0

    @property
    def busy(self) -> bool:
        """Whether there is something to send, or a pause to keep."""
        return self._sending is not None or self._pause > 0 or bool(self._waiting)

    def send(self, digits: str, milliseconds: int = 100, pause: int = 80, volume: int = 10) -> float:
        """Send these digits after all others; gives the seconds that they take.

        `volume` is in -dBm0 (0 to 63). LocalError: not a digit, or too short or too long.
        """
        for what, length in (("digit", milliseconds), ("pause between digits", pause)):
            if not self.SHORTEST <= length <= self.LONGEST:
                raise LocalError(f"a {what} lasts {self.SHORTEST} to {self.LONGEST} ms, not {length}")
        if not 0 <= volume <= _VOLUME:
            raise LocalError(f"the volume of a digit is 0 to 63 (-dBm0), not {volume}")
        duration, silent = (self._clock_rate * length // 1000 for length in (milliseconds, pause))
        events = [event_of(digit) for digit in digits]
        self._waiting.extend((Report(event, False, volume, duration), silent) for event in events)
        return len(events) * (milliseconds + pause) / 1000

    def flush(self) -> None:
        """Begin no other digit; the one that is being sent goes on to its end."""
        self._waiting.clear()

    def packets(self, timestamp: int) -> list[EventPacket]:
        """The packets of the interval that begins at this RTP timestamp; none in pauses and when nothing is left.

        Where there are some they go instead of the sound. There is more than one where a repeated last report meets the
        reports of the next segment.
        """
        if self._sending is not None:
            packets = next(self._sending, None)
            if packets is not None:
                return packets
            self._sending = None
        if self._pause > 0:
            self._pause -= self._interval
            return []
        if not self._waiting:
            return []
        report, silent = self._waiting.popleft()
        # The pause begins with the end of the event, not with that of its repetitions.
        self._pause = silent - (self.REPETITIONS - 1) * self._interval
        self._sending = _packets_of(report, timestamp, self._interval, self.REPETITIONS)
        return next(self._sending)


# receiving ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventStarted:
    """An event began. `digit` is "" when it is no DTMF digit."""

    event: int
    digit: str


@dataclass(frozen=True, slots=True)
class EventEnded:
    """An event ended after so many timestamp units; `complete`: its end was seen, and not only that nothing came."""

    event: int
    digit: str
    duration: int
    complete: bool


class _Known:
    """An event that was reported: where it began, how long it is known to last, whether its end was reported."""

    __slots__ = ("begins", "duration", "ended", "event")

    def __init__(self, event: int, begins: int, duration: int) -> None:
        self.event, self.begins, self.duration = event, begins, duration
        self.ended = False

    def is_it(self, timestamp: int, marker: bool) -> bool:
        """Whether a report of this event code with that timestamp is of this event."""
        behind = (timestamp - self.begins) % _TIMESTAMPS
        if behind < self.duration:
            return True
        if self.ended or marker:
            return False
        return behind == self.duration or (behind % _LONGEST == 0 and behind <= _MOST_SEGMENTS * _LONGEST)


#: Segments of 8 seconds (at 8000) of which nothing at all needs to come for an event to be taken for the same.
_MOST_SEGMENTS: Final = 8


class EventReceiver:
    """Reports events of one stream.

    malformed  payloads that were none
    """

    __slots__ = ("_current", "_grace", "_known", "malformed")

    #: Events that are remembered, so that late packets do not report them again.
    REMEMBERED: Final = 64
    #: Section 2.5.2.2: "the tone SHOULD NOT be extended by more than three packet interarrival times", of 50 ms.
    GRACE: Final = 0.15

    def __init__(self, clock_rate: int) -> None:
        self._grace = int(clock_rate * self.GRACE)
        self._known: deque[_Known] = deque(maxlen=self.REMEMBERED)
        self._current: _Known | None = None
        self.malformed = 0

    def receive(self, payload: bytes, timestamp: int, marker: bool) -> list[EventStarted | EventEnded]:
        """Take a packet of the payload type; gives what it tells that was not known before."""
        try:
            reports = parse(payload)
        except ParseError:
            self.malformed += 1
            return []
        told: list[EventStarted | EventEnded] = []
        for report in reports:
            # 2.3.5: "The receiver SHOULD ignore an event report with zero duration if the event is not a state."
            if report.duration:
                self._take(report, timestamp, marker, told)
            # 2.5.2.4: the next one begins at "the sum of the start time of the preceding event plus the duration".
            timestamp = (timestamp + report.duration) % _TIMESTAMPS
        return told

    def advance(self, timestamp: int) -> list[EventStarted | EventEnded]:
        """The stream has come to this RTP timestamp (that of a packet with sound): ends an event whose end is lost."""
        current = self._current
        if current is None or _after(timestamp, current.begins + current.duration) <= self._grace:
            return []
        return [self._end(current, False)]

    def reset(self) -> None:
        """Another stream (SSRC) begins: timestamps say nothing about those before."""
        self._known.clear()
        self._current = None

    def _take(self, report: Report, timestamp: int, marker: bool, told: list[EventStarted | EventEnded]) -> None:
        known = self._find(report.event, timestamp, marker)
        if known is None:
            known = self._begin(report, timestamp, told)
        elif not known.ended:
            behind = (timestamp - known.begins) % _TIMESTAMPS
            known.duration = max(known.duration, behind + report.duration)
        if report.end and not known.ended:
            told.append(self._end(known, True))

    def _find(self, event: int, timestamp: int, marker: bool) -> _Known | None:
        for known in reversed(self._known):
            if known.event == event and known.is_it(timestamp, marker):
                return known
        return None

    def _begin(self, report: Report, timestamp: int, told: list[EventStarted | EventEnded]) -> _Known:
        known = _Known(report.event, timestamp, report.duration)
        self._known.append(known)
        current = self._current
        late = current is not None and _after(timestamp, current.begins) < 0
        if current is not None and not late:
            told.append(self._end(current, False))
        told.append(EventStarted(report.event, digit_of(report.event)))
        if late:
            # Every packet of it was overtaken by the next event, which has ended it.
            told.append(self._end(known, report.end))
        else:
            self._current = known
        return known

    def _end(self, known: _Known, complete: bool) -> EventEnded:
        known.ended = True
        if known is self._current:
            self._current = None
        return EventEnded(known.event, digit_of(known.event), known.duration, complete)


def _after(timestamp: int, other: int) -> int:
    """How far a timestamp is behind another one; negative when it is before it."""
    difference = (timestamp - other) % _TIMESTAMPS
    return difference - _TIMESTAMPS if difference >= _TIMESTAMPS // 2 else difference
