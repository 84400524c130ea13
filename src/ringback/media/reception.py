"""What is received of a stream: which packets count, and the statistics of reception reports (RFC 3550 A.1, A.3, A.8).

    reception.accept(packet, arrival)     False: not of this stream, to be dropped
    reception.block(now)                  what to report of it

A call is one stream, but its source may change in the middle of it: a PBX transfers, connects music, or takes another
gateway, and the SSRC is another one, with or without a re-INVITE. The new source is followed as soon as the old one is
silent; while both are heard, the old one stays.
"""

from __future__ import annotations

from typing import Final

from ringback.media.rtcp import ReportBlock, SenderReport, middle
from ringback.media.rtp import Packet

__all__ = ["Reception", "Source"]

_MODULUS: Final = 1 << 16
_MASK: Final = 0xFFFFFFFF

# A.1: "a maximum misordering time of 2 seconds at 50 packets/second and a maximum dropout of 1 minute".
_MAX_DROPOUT: Final = 3000
_MAX_MISORDER: Final = 100

# Seconds of transit that two packets of one timeline may be apart; more is another timeline (a source that has begun
# anew, or a wild timestamp), which would spoil the estimate of jitter for minutes.
_LONGEST_TRANSIT_CHANGE: Final = 2.0

# Seconds of silence after which another source is followed at once.
_QUIET: Final = 0.1
# With this many of its packets in a row and half that silence, it is followed too.
_RUN: Final = 3
# New sources that are watched at a time: random ones do not crowd out one that is going to be followed.
_MOST_CANDIDATES: Final = 4


class Source:
    """The state of one synchronization source.

    ssrc       its identifier
    received   packets, those that came late or twice included
    highest    the highest sequence number, extended by the count of its cycles
    jitter     interarrival jitter, in timestamp units
    last       when its last packet came
    """

    __slots__ = (
        "_bad",
        "_base",
        "_cycles",
        "_expected_before",
        "_expected_reported",
        "_highest",
        "_last_sr",
        "_last_sr_at",
        "_probation",
        "_received_before",
        "_received_reported",
        "_row",
        "_transit",
        "_transit_known",
        "clock_rate",
        "jitter",
        "last",
        "received",
        "ssrc",
    )

    def __init__(self, ssrc: int, sequence: int, clock_rate: int, probation: int = 0) -> None:
        """`sequence` is that of its first packet; `probation` packets in a row have to come before it is valid."""
        self.ssrc = ssrc
        self.clock_rate = clock_rate
        self.jitter = 0.0
        self.last = 0.0
        self.received = 0
        self._probation = self._row = probation
        self._transit = 0
        self._transit_known = False
        self._last_sr = 0
        self._last_sr_at = 0.0
        # Of before the source began anew.
        self._expected_before = 0
        self._received_before = 0
        self._begin(sequence)
        if probation:
            self._highest = sequence - 1 & 0xFFFF

    def _begin(self, sequence: int) -> None:
        """A.1, init_seq."""
        self._base = sequence
        self._highest = sequence
        self._bad = _MODULUS + 1
        self._cycles = 0
        self.received = 0
        self._expected_reported = 0
        self._received_reported = 0

    @property
    def highest(self) -> int:
        """The extended highest sequence number received."""
        return self._cycles + self._highest

    @property
    def expected(self) -> int:
        """Packets that should have come since the beginning, or since the source began anew (A.3)."""
        return self._cycles + self._highest - self._base + 1 if self.received else 0

    @property
    def totals(self) -> tuple[int, int]:
        """Packets expected and received, those of before the source began anew included."""
        return self._expected_before + self.expected, self._received_before + self.received

    def packet(self, sequence: int, timestamp: int, arrival: float, timed: bool = True) -> bool:
        """Count a packet of this source; False: its sequence number cannot be (A.1, update_seq).

        `timed`: whether its timestamp is that of its sending; those of telephone events are not (RFC 4733 2.5.1.2).
        """
        ahead = sequence - self._highest & 0xFFFF
        if self._probation:
            if ahead == 1:
                self._probation -= 1
                self._highest = sequence
                if self._probation:
                    return False
                self._begin(sequence)
            else:
                # The first of another row.
                self._probation = self._row - 1
                self._highest = sequence
                return False
        elif ahead < _MAX_DROPOUT:
            # In order, with permissible gap.
            if sequence < self._highest:
                self._cycles += _MODULUS
            self._highest = sequence
        elif ahead <= _MODULUS - _MAX_MISORDER:
            # A very large jump. "Two sequential packets -- assume that the other side restarted without telling us so
            # just re-sync".
            if sequence != self._bad:
                self._bad = sequence + 1 & 0xFFFF
                return False
            self._expected_before, self._received_before = self.totals
            self._begin(sequence)
            self._transit_known = False
        # Else it is a duplicate, or was overtaken.
        self.received += 1
        self.last = arrival
        if timed:
            self._time(timestamp, arrival)
        return True

    def _time(self, timestamp: int, arrival: float) -> None:
        """A.8: the mean deviation of the transit time."""
        transit = int(arrival * self.clock_rate) - timestamp & _MASK
        change = transit - self._transit & _MASK
        if change > 0x7FFFFFFF:
            change = _MASK + 1 - change
        self._transit = transit
        if not self._transit_known:
            self._transit_known = True
        elif change < _LONGEST_TRANSIT_CHANGE * self.clock_rate:
            self.jitter += (change - self.jitter) / 16

    def change_clock_rate(self, clock_rate: int) -> None:
        """The payload type is another one, with another clock."""
        self.jitter = self.jitter * clock_rate / self.clock_rate
        self.clock_rate = clock_rate
        self._transit_known = False

    def reported(self, report: SenderReport, now: float) -> None:
        """The source's own report came: its time goes back to it in our next block."""
        self._last_sr = middle(report.ntp)
        self._last_sr_at = now

    def block(self, now: float) -> ReportBlock:
        """What to report of the source; the fraction lost is that since the last call (A.3)."""
        expected = self.expected
        expected_interval = expected - self._expected_reported
        received_interval = self.received - self._received_reported
        self._expected_reported = expected
        self._received_reported = self.received
        lost = expected_interval - received_interval
        fraction = min(255, (lost << 8) // expected_interval) if lost > 0 and expected_interval > 0 else 0
        delay = 0
        if self._last_sr:
            delay = min(_MASK, int((now - self._last_sr_at) * 65536))
        return ReportBlock(
            self.ssrc,
            fraction,
            expected - self.received,
            self.highest & _MASK,
            min(_MASK, int(self.jitter)),
            self._last_sr,
            delay,
        )


class _Candidate:
    """A source that may have to be followed."""

    __slots__ = ("following", "run")

    def __init__(self, following: int) -> None:
        self.following = following
        self.run = 1


class Reception:
    """The stream that a call receives, over all changes of its source.

    source    the source that is followed, None before the first packet
    octets    of payload, of accepted packets
    refused   packets of other sources, or with sequence numbers that cannot be
    changes   how often another source was followed
    """

    __slots__ = (
        "_candidates",
        "_change_expected",
        "_clock_rate",
        "_expected_before",
        "_probation",
        "_received_before",
        "_received_reported",
        "changes",
        "octets",
        "refused",
        "source",
    )

    def __init__(self, clock_rate: int, probation: int = 0) -> None:
        self._clock_rate = clock_rate
        self._probation = probation
        self._candidates: dict[int, _Candidate] = {}
        self._change_expected = False
        self._expected_before = 0
        self._received_before = 0
        self._received_reported = 0
        self.source: Source | None = None
        self.octets = 0
        self.refused = 0
        self.changes = 0

    @property
    def expected(self) -> int:
        """Packets that should have come since the beginning."""
        return self._expected_before + (self.source.totals[0] if self.source is not None else 0)

    @property
    def received(self) -> int:
        """Packets that came, late ones and duplicates included."""
        return self._received_before + (self.source.totals[1] if self.source is not None else 0)

    @property
    def jitter(self) -> float:
        """Interarrival jitter in seconds."""
        return 0.0 if self.source is None else self.source.jitter / self.source.clock_rate

    def accept(self, packet: Packet, arrival: float, timed: bool = True) -> bool:
        """Whether the packet belongs to the stream, in which case it is counted.

        `timed`: whether its timestamp is that of its sending; those of telephone events are not.
        """
        source = self.source
        if source is None or packet.ssrc != source.ssrc:
            if source is not None and not self._may_follow(source, packet, arrival):
                self.refused += 1
                return False
            source = self._follow(packet)
        elif self._candidates:
            # Both are heard: who waits has to begin anew.
            self._candidates.clear()
        if not source.packet(packet.sequence, packet.timestamp, arrival, timed):
            self.refused += 1
            return False
        self.octets += len(packet.payload)
        return True

    def _may_follow(self, source: Source, packet: Packet, arrival: float) -> bool:
        """Whether the packet's source, which is another one, is to be followed from now on."""
        silent = arrival - source.last
        if self._change_expected or silent >= _QUIET:
            return True
        candidates = self._candidates
        candidate = candidates.get(packet.ssrc)
        if candidate is not None and candidate.following == packet.sequence:
            candidate.run += 1
            candidate.following = packet.sequence + 1 & 0xFFFF
            return candidate.run >= _RUN and silent >= _QUIET / 2
        if candidate is None and len(candidates) >= _MOST_CANDIDATES:
            del candidates[next(iter(candidates))]
        candidates[packet.ssrc] = _Candidate(packet.sequence + 1 & 0xFFFF)
        return False

    def _follow(self, packet: Packet) -> Source:
        if self.source is not None:
            self.changes += 1
            expected, received = self.source.totals
            self._expected_before += expected
            self._received_before += received
        self._candidates.clear()
        self._change_expected = False
        self.source = Source(packet.ssrc, packet.sequence, self._clock_rate, self._probation)
        return self.source

    def expect_change(self) -> None:
        """Follow the next other source at once: it has been told by signalling."""
        self._change_expected = True

    def change_clock_rate(self, clock_rate: int) -> None:
        """The payload type is another one, with another clock."""
        if clock_rate != self._clock_rate:
            self._clock_rate = clock_rate
            if self.source is not None:
                self.source.change_clock_rate(clock_rate)

    def reported(self, report: SenderReport, now: float) -> None:
        """A sender report came; one of another source does not count."""
        if self.source is not None and report.ssrc == self.source.ssrc:
            self.source.reported(report, now)

    def goodbye(self, sources: tuple[int, ...]) -> bool:
        """A BYE came for these; True: the source that is followed is among them, and another may take its place."""
        if self.source is None or self.source.ssrc not in sources:
            return False
        self._change_expected = True
        return True

    def block(self, now: float) -> ReportBlock | None:
        """What to report; None when nothing came since the last report (6.4)."""
        received = self.received
        if self.source is None or received == self._received_reported:
            return None
        self._received_reported = received
        return self.source.block(now)
