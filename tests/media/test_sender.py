"""What is sent: numbers and times over silences, events and talkspurts, and what the other side says of it."""

import pytest

from ringback.media.rtcp import ReportBlock
from ringback.media.rtp import Packet, parse_rtp
from ringback.media.sender import Delivery, Sender
from ringback.media.xr import DlrrEntry

FRAME = 160


def sender(sequence: int = 65534, timestamp: int = 2**32 - FRAME) -> Sender:
    return Sender(0xCAFE, sequence, timestamp, 8000)


def read(data: bytes) -> Packet:
    packet = parse_rtp(data)
    assert packet is not None
    return packet


def shape(data: bytes) -> tuple[int, int, bool]:
    """Sequence number, timestamp and marker."""
    packet = read(data)
    return packet.sequence, packet.timestamp, packet.marker


class TestPackets:
    def test_numbers_and_times_wrap(self) -> None:
        stream = sender()
        assert [shape(stream.packet(0, b"x", FRAME, 0.0)) for _ in range(4)] == [
            (65534, 2**32 - FRAME, True),
            (65535, 0, False),
            (0, FRAME, False),
            (1, 2 * FRAME, False),
        ]
        assert (stream.packets, stream.octets) == (4, 4)
        assert (stream.sequence, stream.timestamp) == (2, 3 * FRAME)

    def test_what_is_in_a_packet(self) -> None:
        packet = read(sender().packet(8, b"sound", FRAME, 0.0))
        assert (packet.payload_type, packet.ssrc, packet.payload) == (8, 0xCAFE, b"sound")

    def test_silence_moves_the_timestamp_only_and_begins_a_talkspurt(self) -> None:
        stream = sender(10, 0)
        stream.packet(0, b"x", FRAME, 0.0)
        for _ in range(50):
            stream.skip(FRAME)
        assert shape(stream.packet(0, b"x", FRAME, 1.0)) == (11, 51 * FRAME, True)
        assert shape(stream.packet(0, b"x", FRAME, 1.0)) == (12, 52 * FRAME, False)

    def test_comfort_noise_has_no_marker_and_what_follows_has(self) -> None:
        stream = sender(10, 0)
        stream.packet(0, b"x", FRAME, 0.0)
        assert shape(stream.noise(13, b"\x40", FRAME, 0.02)) == (11, FRAME, False)
        stream.skip(FRAME)
        assert shape(stream.noise(13, b"\x40", FRAME, 0.06)) == (12, 3 * FRAME, False)
        assert shape(stream.packet(0, b"x", FRAME, 0.08)) == (13, 4 * FRAME, True)

    def test_a_telephone_event(self) -> None:
        stream = sender(10, 0)
        stream.packet(0, b"x", FRAME, 0.0)
        events = []
        for tick in range(5):
            events.append(shape(stream.event(101, b"\1\x0a\0\xa0", first=tick == 0)))
            stream.skip(FRAME)
        # The last packet is sent three times (RFC 4733 2.5.1.4): here two more in one tick.
        events += [shape(stream.event(101, b"\1\x8a\0\xa0", first=False)) for _ in range(2)]
        assert events == [(11 + tick, FRAME, tick == 0) for tick in range(7)]
        assert (stream.packets, stream.octets) == (8, 29)
        assert shape(stream.packet(0, b"x", FRAME, 0.12)) == (18, 6 * FRAME, True)

    def test_sound_and_events_side_by_side(self) -> None:
        stream = sender(10, 0)
        assert shape(stream.event(101, b"", first=True)) == (10, 0, True)
        assert shape(stream.packet(0, b"x", FRAME, 0.0)) == (11, 0, True)
        assert shape(stream.event(101, b"", first=False)) == (12, 0, False)
        assert shape(stream.packet(0, b"x", FRAME, 0.0)) == (13, FRAME, False)

    def test_a_further_segment_of_a_long_event(self) -> None:
        stream = sender(10, 2**32 - 100)
        stream.event(101, b"", first=True)
        assert shape(stream.event(101, b"", first=False, segment=0xFFFF)) == (11, 0xFFFF - 100, False)

    def test_another_source_with_another_clock(self) -> None:
        stream = sender(10, 0)
        stream.packet(0, b"x", FRAME, 0.0)
        stream.change(0xBEEF, 7, 48000)
        packet = read(stream.packet(96, b"xyz", 960, 0.02))
        assert (packet.ssrc, packet.sequence, packet.timestamp, packet.marker) == (0xBEEF, 11, 7, True)
        assert (stream.packets, stream.octets, stream.timestamp) == (1, 3, 967)


class TestReports:
    def test_counts_and_the_time_between_packets(self) -> None:
        stream = sender(10, 1000)
        for number in range(50):
            stream.packet(0, bytes(160), FRAME, 100 + number * 0.02)
        report = stream.report(77, 100.98 + 0.01)
        assert (report.ssrc, report.ntp, report.packets, report.octets) == (0xCAFE, 77, 50, 8000)
        # 50 frames, and ten milliseconds more.
        assert report.timestamp == pytest.approx(1000 + 50 * FRAME + 80, abs=1)

    def test_the_time_goes_on_through_silence(self) -> None:
        stream = sender(10, 1000)
        stream.packet(0, b"x", FRAME, 100.0)
        for _ in range(100):
            stream.skip(FRAME)
        assert stream.report(0, 102.0).timestamp == pytest.approx(1000 + 101 * FRAME, abs=1)

    def test_blocks_are_carried(self) -> None:
        block = ReportBlock(1, 0, 0, 0, 0)
        assert sender().report(0, 0.0, (block,)).blocks == (block,)


def block(highest: int, lost: int, fraction: int = 0, jitter: int = 0, last_sr: int = 0, delay: int = 0) -> ReportBlock:
    return ReportBlock(0xCAFE, fraction, lost, highest, jitter, last_sr, delay)


class TestDelivery:
    def test_the_first_report_tells_only_a_fraction(self) -> None:
        delivery = Delivery()
        delivery.reported(block(1000, 10, fraction=64, jitter=24), 0, 5.0)
        assert (delivery.loss, delivery.jitter, delivery.reports, delivery.at) == (0.25, 24, 1, 5.0)

    def test_two_reports_tell_exactly(self) -> None:
        delivery = Delivery()
        delivery.reported(block(1000, 10), 0, 5.0)
        delivery.reported(block(1250, 35, fraction=1), 0, 10.0)
        assert (delivery.loss, delivery.expected, delivery.lost) == (0.1, 250, 25)

    def test_a_report_that_comes_twice_changes_nothing(self) -> None:
        delivery = Delivery()
        for _ in range(2):
            delivery.reported(block(1000, 10), 0, 5.0)
            delivery.reported(block(1250, 35), 0, 10.0)
            delivery.reported(block(1250, 35), 0, 10.0)
            assert delivery.loss == 0.1
            delivery.restart()

    def test_late_packets_and_a_receiver_that_begins_anew(self) -> None:
        delivery = Delivery()
        delivery.reported(block(1000, 10), 0, 5.0)
        delivery.reported(block(1250, 8), 0, 10.0)
        assert delivery.loss == 0.0
        delivery.reported(block(40, 1, fraction=128), 0, 15.0)
        assert (delivery.loss, delivery.expected) == (0.5, 250)

    def test_more_lost_than_there_was(self) -> None:
        delivery = Delivery()
        delivery.reported(block(1000, 0), 0, 5.0)
        delivery.reported(block(1001, 50), 0, 10.0)
        assert delivery.loss == 1.0

    def test_the_round_trip(self) -> None:
        delivery = Delivery()
        delivery.reported(block(1, 0), 0xB44DB71080000000, 0.0)
        assert delivery.round_trip is None
        delivery.reported(block(2, 0, last_sr=0xB7052000, delay=0x54000), 0xB44DB71080000000, 0.0)
        assert delivery.round_trip == 6.125
        delivery.answered(DlrrEntry(0xCAFE, 0xB710_0000, 0x8000 - 0x200), 0xB44DB71080000000)
        assert delivery.round_trip == pytest.approx(6.125 * 3 / 4 + 0x200 / 65536 / 4)
