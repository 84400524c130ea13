"""Digits that are sent, in whichever of three ways the call has: telephone events, SIP INFO, or tones.

sending.use("event", …)            the way, as it was agreed
sending.send("12#", 100)           gives the seconds until all of it is sent
while sending.busy, in every beat, one of
    sending.events(timestamp)      packets in place of the sound (RFC 4733), or None
    sending.tone(count)            samples in place of the sound, or None
and when both are None the sound goes on; SIP INFO has then been asked for when a digit began
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ringback.errors import LocalError
from ringback.media.dtmf import make
from ringback.media.events import EventSender, event_of
from ringback.media.samples import Samples, silence

__all__ = ["PAUSE", "DigitSending", "EventPart", "Way"]

Way = Literal["event", "info", "inband"]

#: Milliseconds between two digits.
PAUSE: Final = 80
#: Seconds that all digits that wait may take.
LONGEST: Final = 300
_BEATS: Final = 50
_BEAT: Final = 20


@dataclass(frozen=True, slots=True)
class EventPart:
    """One packet of a telephone event, as `Sender.event` takes it."""

    payload: bytes
    first: bool
    segment: int


class DigitSending:
    """The digits of one stream."""

    __slots__ = (
        "_begins",
        "_clock_rate",
        "_event_rate",
        "_events",
        "_info",
        "_left",
        "_piece",
        "_rate",
        "_waiting",
        "way",
    )

    def __init__(self, info: Callable[[str, int], None]) -> None:
        """`info` sends one digit, so many milliseconds long, by SIP INFO."""
        self._info = info
        self.way: Way = "inband"
        self._rate = 8000
        self._clock_rate = 8000
        self._event_rate = 8000
        self._events = EventSender(8000, 8000 // _BEATS)
        self._begins = 0
        #: What has not begun, of the two other ways.
        self._waiting: deque[tuple[str, int]] = deque()
        self._piece = silence(0)
        #: Beats until all is sent.
        self._left = 0

    def use(self, way: Way, rate: int, clock_rate: int, event_rate: int) -> None:
        """Send in this way from now on; `rate` is that of samples, the others of RTP's sound and of its events.

        What waits is forgotten when anything changes: it was meant for another stream.
        """
        if (way, rate, clock_rate, event_rate) == (self.way, self._rate, self._clock_rate, self._event_rate):
            return
        self.way, self._rate, self._clock_rate, self._event_rate = way, rate, clock_rate, event_rate
        self._events = EventSender(event_rate, event_rate // _BEATS)
        self._waiting.clear()
        self._piece = silence(0)
        self._left = 0

    @property
    def busy(self) -> bool:
        """Whether a digit is being sent, or waits, or its pause lasts."""
        return self._left > 0

    def send(self, digits: str, milliseconds: int) -> float:
        """Send these after all others; gives the seconds until they are sent. LocalError: not a digit, too many."""
        shortest, longest = EventSender.SHORTEST, EventSender.LONGEST
        if not shortest <= milliseconds <= longest:
            raise LocalError(f"a digit lasts {shortest} to {longest} ms, not {milliseconds}")
        for digit in digits:
            event_of(digit)
        each = -(-(milliseconds + PAUSE) // _BEAT)
        if self._left + len(digits) * each > LONGEST * _BEATS:
            raise LocalError(f"digits that take more than {LONGEST} seconds may not wait")
        if self.way == "event":
            self._events.send(digits, milliseconds, PAUSE)
        else:
            self._waiting.extend((digit, milliseconds) for digit in digits)
        self._left += len(digits) * each
        return self._left / _BEATS

    def events(self, timestamp: int) -> list[EventPart] | None:
        """What goes instead of the sound in the beat whose first RTP timestamp this is; None: the sound goes."""
        if self.way != "event":
            return None
        packets = self._events.packets(timestamp)
        self._left = max(self._left - 1, 1) if self._events.busy else 0
        parts: list[EventPart] = []
        for packet in packets:
            if packet.marker:
                self._begins = packet.timestamp
            # In the clock of events; the stream has that of its sound.
            segment = (packet.timestamp - self._begins & 0xFFFFFFFF) * self._clock_rate // self._event_rate
            parts.append(EventPart(packet.payload, packet.marker, segment))
        return parts or None

    def tone(self, count: int) -> Samples | None:
        """The next `count` samples in place of the sound; None: the sound goes. The beat of SIP INFO is this, too."""
        if self.way == "event":
            return None
        self._left = max(0, self._left - 1)
        if self.way == "info":
            self._inform(count)
            return None
        if not len(self._piece):
            if not self._waiting:
                return None
            digit, milliseconds = self._waiting.popleft()
            length = -(-(milliseconds + PAUSE) // _BEAT) * count
            sound = make(digit, self._rate, milliseconds)
            self._piece = np.concatenate((sound, silence(length - len(sound))))
        samples = self._piece[:count]
        self._piece = self._piece[count:]
        return samples

    def _inform(self, count: int) -> None:
        """The time of a digit is kept by a piece of silence as long, so that digits do not overtake each other."""
        if len(self._piece) > count:
            self._piece = self._piece[count:]
            return
        self._piece = silence(0)
        if self._waiting:
            digit, milliseconds = self._waiting.popleft()
            self._piece = silence(-(-(milliseconds + PAUSE) // _BEAT) * count)
            self._info(digit, milliseconds)

    def flush(self) -> None:
        """Begin no other digit."""
        self._events.flush()
        self._waiting.clear()
        self._left = 1 if self._left else 0
