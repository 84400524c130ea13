"""The packets that a call sends: sequence numbers, timestamps and the marker, and what comes back of them.

    data = sender.packet(payload_type, payload, duration, now)     one frame of sound
    sender.skip(duration)                                          a frame of silence, of which nothing is sent
    data = sender.event(payload_type, payload, first)              a telephone event (RFC 4733), beside `skip`

RFC 3550 5.1: the timestamp counts sampling periods "regardless of whether the block is transmitted in a packet or
dropped as silent"; the sequence number counts packets. So every frame moves the timestamp, sent or not, and nothing
else does.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from ringback.media.rtcp import ReportBlock, SenderReport, round_trip
from ringback.media.xr import DlrrEntry, VoipMetrics

__all__ = ["Delivery", "Sender"]

_PACK: Final = Struct("!BBHII").pack
_VERSION: Final = 0x80
_MARKER: Final = 0x80
_MASK: Final = 0xFFFFFFFF


class Sender:
    """One stream that is sent.

    ssrc        its identifier
    clock_rate  timestamp units a second
    packets, octets    sent since the beginning, or since the last change of the SSRC (6.4.1)
    delivery    what the other side says of it
    """

    __slots__ = (
        "_at",
        "_event_timestamp",
        "_sequence",
        "_silent",
        "_timestamp",
        "clock_rate",
        "delivery",
        "octets",
        "packets",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int, timestamp: int, clock_rate: int) -> None:
        """The first three "SHOULD be random (unpredictable)" (5.1), of 32, 16 and 32 bits."""
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.packets = 0
        self.octets = 0
        self.delivery = Delivery()
        self._sequence = sequence
        self._timestamp = timestamp
        # When `_timestamp` was reached.
        self._at = 0.0
        self._silent = True
        self._event_timestamp = timestamp

    @property
    def sequence(self) -> int:
        """The sequence number of the next packet."""
        return self._sequence

    @property
    def timestamp(self) -> int:
        """The timestamp of the next frame."""
        return self._timestamp

    def packet(self, payload_type: int, payload: bytes, duration: int, now: float) -> bytes:
        """A packet with one frame of sound, `duration` timestamp units long.

        RFC 3551 4.1: "the first packet of a talkspurt, that is, the first packet after a silence period during which
        packets have not been transmitted contiguously, SHOULD be distinguished by setting the marker bit".
        """
        if self._silent:
            self._silent = False
            payload_type |= _MARKER
        return self._send(payload_type, payload, duration, now)

    def noise(self, payload_type: int, payload: bytes, duration: int, now: float) -> bytes:
        """A packet that describes the silence (RFC 3389): what is sent after it begins a talkspurt."""
        self._silent = True
        return self._send(payload_type, payload, duration, now)

    def _send(self, second: int, payload: bytes, duration: int, now: float) -> bytes:
        timestamp = self._timestamp
        data = _PACK(_VERSION, second, self._sequence, timestamp, self.ssrc) + payload
        self._sequence = self._sequence + 1 & 0xFFFF
        self._timestamp = timestamp + duration & _MASK
        self._at = now
        self.packets += 1
        self.octets += len(payload)
        return data

    def skip(self, duration: int) -> None:
        """A frame of which nothing is sent."""
        self._timestamp = self._timestamp + duration & _MASK
        self._at += duration / self.clock_rate
        self._silent = True

    def event(self, payload_type: int, payload: bytes, first: bool, segment: int = 0) -> bytes:
        """A packet of a telephone event, which takes no time by itself: `skip` the frame that it stands for.

        RFC 4733 2.5.1.2: all packets of an event have the timestamp of its beginning; the marker is set on the first.
        `segment`: where in the event, in timestamp units, a further segment of a long event begins (2.5.1.3).
        """
        second = payload_type
        if first:
            self._event_timestamp = self._timestamp
            second |= _MARKER
        timestamp = self._event_timestamp + segment & _MASK
        data = _PACK(_VERSION, second, self._sequence, timestamp, self.ssrc) + payload
        self._sequence = self._sequence + 1 & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
        return data

    def change(self, ssrc: int, timestamp: int, clock_rate: int) -> None:
        """Go on as another source: RFC 7160 wants another SSRC for another clock rate, RFC 3550 8.2 for a collision."""
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self._timestamp = self._event_timestamp = timestamp
        self._silent = True
        self.packets = 0
        self.octets = 0
        self.delivery.restart()

    def report(self, ntp: int, now: float, blocks: tuple[ReportBlock, ...] = ()) -> SenderReport:
        """The sender report of this moment: `ntp` is the wall clock's time at `now`.

        6.4.1: the RTP timestamp "Corresponds to the same time as the NTP timestamp (above)"; it lies between those of
        packets.
        """
        since = int(max(0.0, now - self._at) * self.clock_rate) if self.packets else 0
        return SenderReport(self.ssrc, ntp, self._timestamp + since & _MASK, self.packets, self.octets, blocks)


class Delivery:
    """How what is sent arrives, as the other side reports it.

    reports           how many came
    at                when the last one came
    expected, lost    packets since the beginning
    loss              the fraction lost between the last two reports
    jitter            in timestamp units
    round_trip        seconds, smoothed; None until it is known
    metrics           the other side's own view of what it hears (RFC 3611 4.7), or None
    """

    __slots__ = ("_block", "at", "expected", "jitter", "loss", "lost", "metrics", "reports", "round_trip")

    def __init__(self) -> None:
        self.reports = 0
        self.at = 0.0
        self.expected = 0
        self.lost = 0
        self.loss = 0.0
        self.jitter = 0
        self.round_trip: float | None = None
        self.metrics: VoipMetrics | None = None
        self._block: ReportBlock | None = None

    def reported(self, block: ReportBlock, ntp: int, now: float) -> None:
        """A block about our source came, at the wall clock's time `ntp` and at `now`."""
        previous = self._block
        self._block = block
        self.reports += 1
        self.at = now
        self.jitter = block.jitter
        expected = block.highest - previous.highest if previous is not None else 0
        if previous is None or expected < 0:
            # The first report, or a receiver that has begun anew: all that is known is the last fraction.
            self.loss = block.fraction_lost / 256
        elif expected:
            lost = max(0, block.lost - previous.lost)
            self.expected += expected
            self.lost += lost
            self.loss = min(1.0, lost / expected)
        # Else the same report came again.
        self._took(round_trip(block, ntp))

    def answered(self, entry: DlrrEntry, ntp: int) -> None:
        """The answer to our reference time came (RFC 3611 4.5)."""
        self._took(round_trip(ReportBlock(entry.ssrc, 0, 0, 0, 0, entry.last_rr, entry.delay), ntp))

    def _took(self, seconds: float | None) -> None:
        if seconds is not None:
            known = self.round_trip
            self.round_trip = seconds if known is None else known + (seconds - known) / 4

    def restart(self) -> None:
        """What is sent has another SSRC: its first report is compared with none."""
        self._block = None
