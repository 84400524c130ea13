"""The E-model against known figures, and what is measured of simulated calls."""

from itertools import pairwise

import pytest

from ringback.media.jitter import JitterBuffer
from ringback.media.quality import (
    Impairment,
    Monitor,
    delay_impairment,
    impairment,
    mean_opinion_score,
    rating,
)
from ringback.media.reception import Reception
from ringback.media.rtcp import ReportBlock, ntp_time
from ringback.media.sender import Sender
from ringback.media.xr import VoipMetrics
from tests.media.talkers import RATE, Network, Talker

PCMU = impairment("PCMU")


class TestModel:
    def test_all_at_its_default(self) -> None:
        # G.107: "With all parameters set to default values … the calculation results in a very high quality with a
        # rating factor of R = 93.2", which annex B turns into 4.41.
        assert rating(0, 0, PCMU) == pytest.approx(93.2, abs=0.05)
        assert mean_opinion_score(93.2) == pytest.approx(4.41, abs=0.005)

    @pytest.mark.parametrize("delay", [20, 50, 100, 150, 177, 200, 250, 300])
    def test_delay_against_the_known_approximation(self, delay: float) -> None:
        # Cole and Rosenbluth 2001: Id = 0.024 d + 0.11 (d - 177.3) H(d - 177.3), good to about one unit up to 300 ms.
        known = 0.024 * delay + (0.11 * (delay - 177.3) if delay > 177.3 else 0)
        assert delay_impairment(delay) == pytest.approx(known, abs=1.2)

    def test_delay_only_takes_away(self) -> None:
        values = [delay_impairment(delay) for delay in range(0, 3000, 5)]
        assert all(later >= earlier - 1e-9 for earlier, later in pairwise(values))
        assert delay_impairment(-5) == delay_impairment(0)
        assert delay_impairment(1e9) == delay_impairment(10000)

    @pytest.mark.parametrize(
        ("loss", "ie", "bpl", "burst", "effective"),
        [
            # Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl), by hand.
            (0.0, 0, 4.3, 1, 0.0),
            (0.01, 0, 4.3, 1, 95 / 5.3),
            (0.05, 0, 25.1, 1, 95 * 5 / 30.1),
            (0.05, 0, 25.1, 2, 95 * 5 / 27.6),
            (0.05, 11, 19, 1, 11 + 84 * 5 / 24),
        ],
    )
    def test_loss(self, loss: float, ie: float, bpl: float, burst: float, effective: float) -> None:
        assert rating(0, loss, Impairment(ie, bpl), burst) == pytest.approx(93.206 - effective, abs=0.01)

    def test_it_stays_within_its_scale(self) -> None:
        assert rating(10000, 1.0, PCMU) == 0.0
        assert rating(0, 5.0, PCMU) == rating(0, 1.0, PCMU)
        assert rating(0, -1.0, PCMU) == rating(0, 0.0, PCMU)

    @pytest.mark.parametrize(
        ("r", "mos"),
        [(-1, 1.0), (0, 1.0), (3, 1.0), (50, 2.58), (60, 3.1), (70, 3.6), (80, 4.03), (90, 4.34), (100, 4.5)],
    )
    def test_opinion_scores(self, r: float, mos: float) -> None:
        # G.107 annex B, table B.1.
        assert mean_opinion_score(r) == pytest.approx(mos, abs=0.01)

    def test_codecs(self) -> None:
        assert impairment("pcma") == PCMU
        assert impairment("whatever") == PCMU
        assert impairment("PCMU", concealed=False).bpl == 4.3
        assert impairment("PCMU", fec=True) == PCMU
        assert impairment("opus", fec=True).bpl > impairment("opus").bpl


class Call:
    """One end of a simulated call."""

    def __init__(self) -> None:
        self.reception = Reception(RATE)
        self.buffer = JitterBuffer(RATE)
        self.sender = Sender(0xCAFE, 0, 0, RATE)
        self.monitor = Monitor(self.reception, self.buffer, self.sender)

    def run(self, network: Network, count: int, first: int = 0) -> None:
        """Hear `count` packets; what is measured is looked at every second."""
        talker = Talker()
        arrivals = [(at, p) for at, p in network.arrivals(talker, first + count) if at >= first * 0.02]
        at = 0
        for tick in range(first, first + count):
            now = 0.007 + tick * 0.02
            while at < len(arrivals) and arrivals[at][0] <= now:
                arrival, packet = arrivals[at]
                at += 1
                if self.reception.accept(packet, arrival):
                    self.buffer.put(packet, arrival)
            self.buffer.pop(now)
            if tick % 50 == 0:
                self.monitor.received(now, "PCMU")


class TestReceived:
    def test_before_anything_came(self) -> None:
        call = Call()
        report = call.monitor.received(0.0, "PCMU")
        assert (report.loss, report.jitter, report.round_trip, report.packets, report.lost) == (0.0, 0.0, None, 0, 0)
        assert call.monitor.metrics(0.0, "PCMU") is None

    def test_a_good_call(self) -> None:
        call = Call()
        call.run(Network(seed=1, jitter=0.005), 1000)
        report = call.monitor.received(20.0, "PCMU")
        assert (report.direction, report.codec, report.loss, report.lost) == ("received", "PCMU", 0.0, 0)
        assert report.packets == call.reception.received > 990
        assert report.octets == 4 * report.packets
        # 40 ms of waiting and 20 ms of frame.
        assert report.delay == pytest.approx(60, abs=1)
        assert report.mos == pytest.approx(4.37, abs=0.03)

    @pytest.mark.parametrize(("loss", "mos"), [(0.02, 4.17), (0.05, 3.84), (0.1, 3.32), (0.2, 2.5)])
    def test_loss(self, loss: float, mos: float) -> None:
        call = Call()
        call.run(Network(seed=4, loss=loss), 5000)
        report = call.monitor.received(100.0, "PCMU")
        assert report.lost == call.buffer.lost
        assert report.lost / 5000 == pytest.approx(loss, abs=0.01)
        assert report.loss == pytest.approx(loss, abs=0.05)
        assert report.burst_ratio == pytest.approx(1.0, abs=0.15)
        assert rating(60, loss, PCMU) == pytest.approx(report.r + 0, abs=12)
        assert mean_opinion_score(rating(60, loss, PCMU)) == pytest.approx(mos, abs=0.05)

    def test_only_the_last_seconds_count(self) -> None:
        call = Call()
        call.run(Network(seed=4, loss=0.2), 1000)
        assert call.monitor.received(20.0, "PCMU").loss > 0.1
        call.run(Network(seed=4), 500, first=1000)
        report = call.monitor.received(30.0, "PCMU")
        assert report.loss == 0.0
        assert report.lost > 100

    def test_asking_often_changes_nothing(self) -> None:
        call, other = Call(), Call()
        for each in (call, other):
            each.run(Network(seed=4, loss=0.1), 1000)
        for number in range(100):
            call.monitor.received(20 + number * 0.0001, "PCMU")
        assert call.monitor.received(20.02, "PCMU").loss == other.monitor.received(20.02, "PCMU").loss
        for number in range(1000):
            call.monitor.received(20 + number, "PCMU")
        assert len(call.monitor._samples) < 15

    def test_its_text(self) -> None:
        call = Call()
        call.run(Network(seed=1), 100)
        assert str(call.monitor.received(2.0, "PCMU")) == (
            "received PCMU: MOS 4.4, loss 0.0 %, jitter 0 ms, round trip unknown"
        )


def block(highest: int, lost: int, jitter: int = 0, last_sr: int = 0, delay: int = 0) -> ReportBlock:
    return ReportBlock(0xCAFE, 0, lost, highest, jitter, last_sr, delay)


class TestSent:
    def test_nothing_is_known_without_reports(self) -> None:
        call = Call()
        assert call.monitor.sent(10.0, "PCMU") is None

    def test_what_the_other_side_reports(self) -> None:
        call = Call()
        ntp = ntp_time(1_700_000_000)
        delivery = call.sender.delivery
        delivery.reported(block(1000, 0), ntp, 5.0)
        sent_at = (ntp >> 16 & 0xFFFFFFFF) - 0x8000
        delivery.reported(block(1250, 20, jitter=80, last_sr=sent_at, delay=0x4000), ntp, 10.0)
        report = call.monitor.sent(11.0, "opus", fec=True)
        assert report is not None
        assert (report.direction, report.loss, report.jitter, report.round_trip) == ("sent", 0.08, 10.0, 250.0)
        assert report.lost == 20
        # Half the round trip, the buffer's 40 ms, a frame, and what Opus looks ahead.
        assert report.delay == pytest.approx(125 + 40 + 20 + 6.5)
        plain = call.monitor.sent(11.0, "opus")
        assert plain is not None
        assert plain.mos < report.mos
        delivery.metrics = VoipMetrics(0xCAFE, buffer_nominal=100)
        with_metrics = call.monitor.sent(11.0, "opus")
        assert with_metrics is not None
        assert with_metrics.delay == pytest.approx(125 + 100 + 20 + 6.5)
        assert call.monitor.sent(40.1, "opus") is None


def test_the_metrics_for_the_other_side() -> None:
    call = Call()
    call.run(Network(seed=4, loss=0.1), 3000)
    metrics = call.monitor.metrics(60.0, "PCMU")
    assert metrics is not None
    assert metrics.source == 0xA
    assert metrics.loss_rate == 256 * call.buffer.lost // call.buffer.bursts.packets == pytest.approx(25, abs=3)
    assert metrics.burst_density > metrics.gap_density
    assert 10 <= metrics.mos_cq <= metrics.mos_lq <= 45
    assert metrics.buffer_nominal == pytest.approx(40, abs=1)
    assert (metrics.buffer_absolute_maximum, metrics.gap_threshold) == (500, 16)
    # All fits into its fields.
    assert len(metrics.encode()) == 36
