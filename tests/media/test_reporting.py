"""The RTCP between two parties on a virtual clock: who sends what when, round trips, goodbyes, and rubbish."""

import random
from itertools import pairwise

import pytest

from ringback.media.reception import Reception
from ringback.media.reporting import Reporting
from ringback.media.rtcp import (
    Bye,
    ExtendedReport,
    ReceiverReport,
    SenderReport,
    SourceDescription,
    encode_rtcp,
    ntp_time,
    parse_rtcp,
)
from ringback.media.rtp import parse_rtp
from ringback.media.sender import Sender
from ringback.media.xr import Dlrr, ReceiverReferenceTime, VoipMetrics

EPOCH = 1_700_000_000.0


class Party:
    """One end: it sends a packet every 20 ms, loses a share of what comes, and keeps what RTCP it sent."""

    def __init__(self, ssrc: int, seed: int, loss: float = 0.0, extended: bool = False, talks: bool = True) -> None:
        self.chance = random.Random(seed)
        self.sender = Sender(ssrc, seed & 0xFFFF, 0, 8000)
        self.reception = Reception(8000)
        self.reporting = Reporting(
            self.sender, self.reception, f"{ssrc}@test", 0.0, self.chance.random(), extended=extended
        )
        self.loss = loss
        self.talks = talks
        self.sent: list[tuple[float, bytes]] = []

    def hear(self, data: bytes, now: float) -> None:
        packet = parse_rtp(data)
        assert packet is not None
        if self.chance.random() >= self.loss:
            self.reception.accept(packet, now)

    def tick(self, now: float, clock: float) -> tuple[bytes | None, bytes | None]:
        rtp = self.sender.packet(0, bytes(160), 160, now) if self.talks else None
        rtcp = self.reporting.advance(now, ntp_time(clock), self.chance.random())
        if rtcp is not None:
            self.sent.append((now, rtcp))
        return rtp, rtcp


def talk(left: Party, right: Party, seconds: float, delay: float, skew: float = 1234.5) -> None:
    """Let both talk over a network of `delay` seconds each way; their wall clocks differ by `skew`."""
    travelling: list[tuple[float, Party, bytes, bool]] = []
    clocks = {id(left): EPOCH, id(right): EPOCH + skew}
    for tick in range(int(seconds / 0.02)):
        now = tick * 0.02
        while travelling and travelling[0][0] <= now + 1e-9:
            at, party, data, control = travelling.pop(0)
            if control:
                party.reporting.heard(data, at, ntp_time(clocks[id(party)] + at))
            else:
                party.hear(data, at)
        for party, other in ((left, right), (right, left)):
            rtp, rtcp = party.tick(now, clocks[id(party)] + now)
            if rtp is not None:
                travelling.append((now + delay, other, rtp, False))
            if rtcp is not None:
                travelling.append((now + delay, other, rtcp, True))


class TestTwoParties:
    def test_both_learn_round_trip_and_loss(self) -> None:
        left, right = Party(1, 11), Party(2, 22, loss=0.1)
        talk(left, right, 60, 0.08)
        for party in (left, right):
            # Packets are looked at every 20 ms: the way takes 80 ms each.
            assert party.sender.delivery.round_trip == pytest.approx(0.16, abs=0.002)
        delivery = left.sender.delivery
        assert delivery.lost / delivery.expected == pytest.approx(0.1, abs=0.02)
        assert delivery.lost / delivery.expected == pytest.approx(
            1 - right.reception.received / right.reception.expected, abs=0.02
        )
        assert right.sender.delivery.loss == 0.0

    def test_every_compound_packet_has_report_and_name_and_comes_in_its_time(self) -> None:
        left, right = Party(1, 11), Party(2, 22)
        talk(left, right, 60, 0.02)
        for _, data in left.sent:
            packets = parse_rtcp(data)
            assert packets is not None
            assert isinstance(packets[0], SenderReport)
            assert packets[1] == SourceDescription.of(1, "1@test")
        times = [at for at, _ in left.sent]
        assert 1.0 < times[0] < 3.1
        assert all(2.0 <= later - earlier <= 6.2 for earlier, later in pairwise(times[1:]))
        assert 9 <= len(times) <= 20

    def test_who_only_listens_sends_receiver_reports_and_learns_the_round_trip_too(self) -> None:
        left, right = Party(1, 11, extended=True), Party(2, 22, extended=True, talks=False)
        talk(left, right, 30, 0.04)
        packets = parse_rtcp(right.sent[-1][1])
        assert packets is not None
        assert isinstance(packets[0], ReceiverReport)
        assert isinstance(packets[2], ExtendedReport)
        assert isinstance(packets[2].blocks[0], ReceiverReferenceTime)
        answers = parse_rtcp(left.sent[-1][1])
        assert answers is not None
        assert isinstance(answers[2], ExtendedReport)
        assert isinstance(answers[2].blocks[0], Dlrr)
        assert right.sender.delivery.round_trip == pytest.approx(0.08, abs=0.002)
        assert left.sender.delivery.round_trip == pytest.approx(0.08, abs=0.002)

    def test_who_falls_silent_sends_two_more_sender_reports(self) -> None:
        left, right = Party(1, 11), Party(2, 22)
        talk(left, right, 20, 0.02)
        left.talks = False
        left.sent.clear()
        now = 20.0
        while len(left.sent) < 4:
            left.tick(now, EPOCH + now)
            now += 0.02
        kinds = [type((parse_rtcp(data) or [None])[0]).__name__ for _, data in left.sent]
        assert kinds == ["SenderReport", "SenderReport", "ReceiverReport", "ReceiverReport"]


class TestPieces:
    def test_metrics_go_both_ways(self) -> None:
        left, right = Party(1, 11, extended=True), Party(2, 22)
        left.tick(0.0, EPOCH)
        metrics = VoipMetrics(2, loss_rate=20, mos_cq=38)
        data = None
        while data is None:
            data = left.reporting.advance(left.reporting.deadline, ntp_time(EPOCH), 0.5, metrics)
        right.reporting.heard(data, 1.0, ntp_time(EPOCH))
        assert right.sender.delivery.metrics == metrics
        right.reporting.heard(encode_rtcp([ReceiverReport(1), ExtendedReport(1, (VoipMetrics(99),))]), 1.0, 0)
        assert right.sender.delivery.metrics == metrics

    def test_nothing_before_its_time(self) -> None:
        party = Party(1, 11)
        assert party.reporting.advance(party.reporting.deadline - 0.001, 0, 0.0) is None

    def test_a_goodbye_is_heard(self) -> None:
        left, right = Party(1, 11), Party(2, 22)
        talk(left, right, 2, 0.02)
        data = left.reporting.goodbye(2.0, ntp_time(EPOCH), "hung up")
        assert [type(packet).__name__ for packet in parse_rtcp(data) or []] == [
            "SenderReport",
            "SourceDescription",
            "Bye",
        ]
        right.reporting.heard(data, 2.0, ntp_time(EPOCH))
        assert right.reporting.gone == "hung up"
        right.reporting.heard_again()
        assert right.reporting.gone is None

    def test_after_a_goodbye_the_next_report_is_sooner(self) -> None:
        left, right = Party(1, 11), Party(2, 22)
        talk(left, right, 12, 0.02)
        before = right.reporting.deadline
        right.reporting.heard(left.reporting.goodbye(12.0, 0), 12.0, 0)
        # One of two has left: half of the time that was left.
        assert right.reporting.deadline - 12.0 == pytest.approx((before - 12.0) / 2)

    def test_who_has_only_reported_says_goodbye_too(self) -> None:
        party = Party(1, 11, talks=False)
        while not party.sent:
            party.tick(party.reporting.deadline, EPOCH)
        packets = parse_rtcp(party.reporting.goodbye(9.0, 0)) or []
        assert [type(packet).__name__ for packet in packets] == ["ReceiverReport", "SourceDescription", "Bye"]

    def test_the_goodbye_of_somebody_else(self) -> None:
        left, right = Party(1, 11), Party(2, 22)
        talk(left, right, 2, 0.02)
        right.reporting.heard(encode_rtcp([ReceiverReport(9), Bye((9,), "x")]), 2.0, 0)
        assert right.reporting.gone is None

    def test_who_has_sent_nothing_says_no_goodbye(self) -> None:
        assert Party(1, 11).reporting.goodbye(1.0, 0) == b""

    @pytest.mark.parametrize("data", [b"", b"\x80\xc8\0\0", b"\x80\xc9\0\0", bytes(100), b"\x81\xc9\0\1" + bytes(4)])
    def test_rubbish_is_dropped_and_counted(self, data: bytes) -> None:
        party = Party(1, 11)
        assert party.reporting.heard(data, 0.0, 0) == []
        assert party.reporting.dropped == 1

    def test_a_report_about_somebody_else_changes_nothing(self) -> None:
        left, right = Party(1, 11), Party(2, 22)
        talk(left, right, 10, 0.02)
        before = left.sender.delivery.reports
        for _, data in right.sent:
            right.reporting.heard(data, 10.0, ntp_time(EPOCH))
        assert right.sender.delivery.reports == len(left.sent)
        assert left.sender.delivery.reports == before
