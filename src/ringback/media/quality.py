"""How a call sounds, in figures: the E-model of ITU-T G.107 on what is measured, live, for each direction.

    monitor = Monitor(reception, buffer, sender)
    monitor.received(now, "PCMU")     a `Report` of what we hear
    monitor.sent(now, "PCMU")         of what the other side hears, by its own reports; None without recent ones

R = Ro - Is - Id - Ie,eff: what a perfect telephone call has, less what delay and echo (Id) and what codec and loss
(Ie,eff) take away. All that G.107 has beside these is at its default, with which R is 93.2. MOS follows from R.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import exp, log2, log10, pow, sqrt
from typing import Final, Literal

from ringback.media.jitter import JitterBuffer
from ringback.media.reception import Reception
from ringback.media.sender import Sender
from ringback.media.xr import VoipMetrics

__all__ = ["Impairment", "Monitor", "Report", "delay_impairment", "impairment", "mean_opinion_score", "rating"]

# G.107 table 2, with all parameters at their defaults: Ro, Is, and what else the formulas need.
_RO: Final = 94.7688
_IS: Final = 1.4136
# Talker echo loudness rating, weighted echo path loss (dB), and -1.5 (No - RLR).
_TELR: Final = 65.0
_WEPL: Final = 110.0
_ROE: Final = 94.7688
# Delays beyond this change nothing any more, and would overflow.
_LONGEST_DELAY: Final = 10000.0

# Seconds of which `loss` tells, and between two samples of the counts.
_WINDOW: Final = 5.0
_BETWEEN: Final = 0.5
# Seconds after which a report of the other side tells nothing of now: some of its intervals are missing.
_STALE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a codec takes from R without loss (Ie), how well it stands loss (Bpl), and milliseconds of look-ahead."""

    ie: float
    bpl: float
    look_ahead: float = 0.0


# G.113 appendix I for G.711, with and without concealment. It has no narrow-band values for the others: what they have
# more than a telephone's band is beyond this scale, so that Ie is 0, and Bpl is our own estimate of how they conceal.
_CODECS: Final = {
    "PCMU": Impairment(0.0, 25.1),
    "PCMA": Impairment(0.0, 25.1),
    "L16": Impairment(0.0, 25.1),
    "G722": Impairment(0.0, 20.0, 1.5),
    "OPUS": Impairment(0.0, 25.1, 6.5),
}
_UNCONCEALED_BPL: Final = 4.3
# In-band FEC gives back most of the losses that come alone, at a lower rate: an estimate as well.
_OPUS_WITH_FEC: Final = Impairment(0.0, 60.0, 6.5)


def impairment(codec: str, fec: bool = False, concealed: bool = True) -> Impairment:
    """The values for a codec, by its SDP name; those of G.711 when it is not known."""
    name = codec.upper()
    if fec and name == "OPUS":
        return _OPUS_WITH_FEC
    found = _CODECS.get(name, _CODECS["PCMU"])
    return found if concealed else Impairment(found.ie, _UNCONCEALED_BPL, found.look_ahead)


def delay_impairment(milliseconds: float) -> float:
    """Id: what a mean one-way delay takes from R, by talker echo, listener echo, and by itself (G.107 7.4)."""
    delay = min(max(milliseconds, 0.0), _LONGEST_DELAY)
    # Idte: echo of one's own voice.
    terv = _TELR - 40 * log10((1 + delay / 10) / (1 + delay / 150)) + 6 * exp(-0.3 * delay * delay)
    half = (_ROE - 80 - 2.5 * (terv - 14)) / 2
    talker = (half + sqrt(half * half + 100) - 1) * (1 - exp(-delay))
    # Idle: echo of the other's voice, on a round trip of twice the delay.
    half = (_RO - 10.5 * (_WEPL + 7) * pow(2 * delay + 1, -0.25)) / 2
    listener = half + sqrt(half * half + 169)
    # Idd: too long a delay even without echo.
    pure = 0.0
    if delay > 100:
        x = log2(delay / 100)
        pure = 25 * (pow(1 + pow(x, 6), 1 / 6) - 3 * pow(1 + pow(x / 3, 6), 1 / 6) + 2)
    return talker + listener + pure


def rating(delay: float, loss: float, codec: Impairment, burst_ratio: float = 1.0) -> float:
    """R, from 0 to 100, for a one-way delay in milliseconds and a fraction of packets lost (G.107 7.5)."""
    percent = 100 * min(max(loss, 0.0), 1.0)
    effective = codec.ie + (95 - codec.ie) * percent / (percent / max(burst_ratio, 1.0) + codec.bpl)
    return min(100.0, max(0.0, _RO - _IS - delay_impairment(delay) - effective))


def mean_opinion_score(r: float) -> float:
    """MOS, from 1 (bad) to 4.5 (excellent), for an R (G.107 annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


@dataclass(frozen=True, slots=True)
class Report:
    """The quality of one direction.

    direction     "received": what we hear; "sent": what the other side hears
    at            when this was measured
    codec         by its SDP name
    loss          fraction of the packets of the last seconds that were lost or came too late
    jitter        interarrival jitter, milliseconds
    round_trip    milliseconds, None when it is not known
    delay         milliseconds from mouth to ear, as far as it is known: half the round trip, waiting, and coding
    r, mos        by the E-model
    packets, octets    received or sent since the beginning
    lost          packets lost or too late since the beginning
    burst_ratio   1: losses come alone; more: in bursts
    """

    direction: Literal["received", "sent"]
    at: float
    codec: str
    loss: float
    jitter: float
    round_trip: float | None
    delay: float
    r: float
    mos: float
    packets: int
    octets: int
    lost: int
    burst_ratio: float

    def __str__(self) -> str:
        trip = "unknown" if self.round_trip is None else f"{self.round_trip:.0f} ms"
        return (
            f"{self.direction} {self.codec}: MOS {self.mos:.1f}, loss {100 * self.loss:.1f} %, "
            f"jitter {self.jitter:.0f} ms, round trip {trip}"
        )


class Monitor:
    """The figures of one stream in both directions. Ask as often as you like: it costs what one look costs."""

    __slots__ = ("_buffer", "_reception", "_samples", "_sender")

    def __init__(self, reception: Reception, buffer: JitterBuffer, sender: Sender) -> None:
        self._reception = reception
        self._buffer = buffer
        self._sender = sender
        # When, how many packets should have come, and how many were missing.
        self._samples: deque[tuple[float, int, int]] = deque()

    def received(self, now: float, codec: str, frame: float = 0.02, fec: bool = False) -> Report:
        """What we hear; `frame` is the seconds of sound in a packet, `fec` whether the other side sends FEC."""
        bursts = self._buffer.bursts
        missing = bursts.lost + bursts.discarded
        trip = self._sender.delivery.round_trip
        return self._report(
            "received",
            now,
            codec,
            fec,
            self._recent(now, bursts.packets, missing),
            self._reception.jitter * 1000,
            trip,
            frame,
            self._buffer.delay * 1000,
            self._reception.received,
            self._reception.octets,
            missing,
            bursts.ratio,
        )

    def sent(self, now: float, codec: str, frame: float = 0.02, fec: bool = False) -> Report | None:
        """What the other side hears, as it reports it; its buffer waits as long as ours unless it says (RFC 3611)."""
        sender = self._sender
        delivery = sender.delivery
        if not delivery.reports or now - delivery.at > _STALE:
            return None
        waiting = self._buffer.delay * 1000
        if delivery.metrics is not None and delivery.metrics.buffer_nominal:
            waiting = float(delivery.metrics.buffer_nominal)
        return self._report(
            "sent",
            now,
            codec,
            fec,
            delivery.loss,
            delivery.jitter * 1000 / sender.clock_rate,
            delivery.round_trip,
            frame,
            waiting,
            sender.packets,
            sender.octets,
            delivery.lost,
            1.0,
        )

    def _report(
        self,
        direction: Literal["received", "sent"],
        now: float,
        codec: str,
        fec: bool,
        loss: float,
        jitter: float,
        trip: float | None,
        frame: float,
        waiting: float,
        packets: int,
        octets: int,
        lost: int,
        burst_ratio: float,
    ) -> Report:
        values = impairment(codec, fec)
        delay = (trip or 0.0) * 500 + waiting + frame * 1000 + values.look_ahead
        r = rating(delay, loss, values, burst_ratio)
        milliseconds = None if trip is None else trip * 1000
        score = mean_opinion_score(r)
        return Report(
            direction, now, codec, loss, jitter, milliseconds, delay, r, score, packets, octets, lost, burst_ratio
        )

    def _recent(self, now: float, packets: int, missing: int) -> float:
        """The fraction missing within the window, of which samples are kept."""
        samples = self._samples
        if not samples or now - samples[-1][0] >= _BETWEEN:
            samples.append((now, packets, missing))
        # The last one that is older than the window stays: it is where the window begins.
        while len(samples) > 1 and samples[1][0] <= now - _WINDOW:
            samples.popleft()
        _, packets_before, missing_before = samples[0]
        if len(samples) == 1 and samples[0][0] == now:
            packets_before = missing_before = 0
        expected = packets - packets_before
        return max(0.0, min(1.0, (missing - missing_before) / expected)) if expected > 0 else 0.0

    def metrics(self, now: float, codec: str, frame: float = 0.02, fec: bool = False) -> VoipMetrics | None:
        """What we hear, for the other side (RFC 3611 4.7); None before anything came."""
        source = self._reception.source
        if source is None:
            return None
        report = self.received(now, codec, frame, fec)
        bursts = self._buffer.bursts
        burst, gap = bursts.densities()
        burst_time, gap_time = bursts.durations(frame * 1000)
        packets = max(bursts.packets, 1)
        listening = mean_opinion_score(rating(0.0, report.loss, impairment(codec, fec), report.burst_ratio))
        return VoipMetrics(
            source.ssrc,
            loss_rate=256 * bursts.lost // packets,
            discard_rate=256 * bursts.discarded // packets,
            burst_density=int(256 * burst),
            gap_density=int(256 * gap),
            burst_duration=int(burst_time),
            gap_duration=int(gap_time),
            round_trip=int(report.round_trip or 0),
            end_system_delay=int(self._buffer.delay * 1000 + frame * 1000),
            r_factor=int(report.r),
            mos_lq=round(10 * listening),
            mos_cq=round(10 * report.mos),
            # 4.7.6: enhanced concealment, an adaptive buffer, its rate not known.
            configuration=0b10110000,
            buffer_nominal=int(self._buffer.delay * 1000),
            buffer_maximum=int(self._buffer.maximum * 1000),
            buffer_absolute_maximum=int(self._buffer.maximum * 1000),
        )
