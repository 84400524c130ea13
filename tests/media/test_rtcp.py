"""RTCP: the packets of RFC 3550 section 6 both ways, its worked examples, and every datagram that is none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.rtcp import (
    Application,
    Bye,
    ExtendedReport,
    Feedback,
    OtherPacket,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    encode_rtcp,
    middle,
    ntp_time,
    parse_rtcp,
    round_trip,
)
from ringback.media.xr import ReceiverReferenceTime, VoipMetrics

BLOCK = ReportBlock(0xCAFE, 51, -3, 0x0001FFFE, 24, 0xB7052000, 0x54000)
EMPTY = ReceiverReport(1)
NAME = SourceDescription.of(1, "a@b")


def read(data: bytes, reduced: bool = False) -> list[RtcpPacket]:
    packets = parse_rtcp(data, reduced)
    assert packets is not None
    return packets


class TestReports:
    def test_a_sender_report(self) -> None:
        report = SenderReport(1, 0xB44DB70520000000, 160, 50, 8000, (BLOCK,))
        assert report.encode() == bytes.fromhex(
            "81c8000c 00000001 b44db70520000000 000000a0 00000032 00001f40"
            "0000cafe 33fffffd 0001fffe 00000018 b7052000 00054000"
        )
        assert read(report.encode()) == [report]

    def test_counts_of_a_sender_report_wrap(self) -> None:
        (report,) = read(SenderReport(1, 0, 0, 2**32 + 5, 2**32 + 6).encode())
        assert report == SenderReport(1, 0, 0, 5, 6)

    def test_an_empty_receiver_report(self) -> None:
        assert EMPTY.encode() == bytes.fromhex("80c90001 00000001")
        assert read(EMPTY.encode()) == [EMPTY]

    def test_thirty_one_blocks_and_an_extension(self) -> None:
        report = ReceiverReport(1, (BLOCK,) * 31, b"more")
        assert read(report.encode()) == [report]

    @pytest.mark.parametrize(
        ("lost", "written"), [(0x7FFFFF, 0x7FFFFF), (2**30, 0x7FFFFF), (-(2**30), -0x800000), (-1, -1), (0, 0)]
    )
    def test_loss_is_clamped_not_wrapped(self, lost: int, written: int) -> None:
        (report,) = read(ReceiverReport(1, (ReportBlock(2, 0, lost, 0, 0),)).encode())
        assert isinstance(report, ReceiverReport)
        assert report.blocks[0].lost == written


class TestRoundTrip:
    def test_the_example_of_figure_2(self) -> None:
        # "[10 Nov 1995 11:33:36.5 UTC]": A is 0xb710:8000, LSR 0xb705:2000, DLSR 0x0005:4000, the delay 6.125 s.
        arrived = 0xB44DB71080000000
        assert middle(arrived) == 0xB7108000
        assert round_trip(BLOCK, arrived) == 6.125

    def test_the_time_of_the_example(self) -> None:
        # 10 Nov 1995 11:33:25.125 UTC, in seconds since 1970.
        assert ntp_time(816003205.125) == 0xB44DB70520000000
        assert middle(0xB44DB70520000000) == 0xB7052000

    def test_no_report_was_heard(self) -> None:
        assert round_trip(ReportBlock(1, 0, 0, 0, 0), 0xB44DB71080000000) is None

    def test_more_delay_than_time(self) -> None:
        assert round_trip(ReportBlock(1, 0, 0, 0, 0, 0xB7100000, 0x10000), 0xB44DB71080000000) is None

    def test_the_middle_wraps(self) -> None:
        assert round_trip(ReportBlock(1, 0, 0, 0, 0, 0xFFFF8000, 0x8000), 1 << 31) == 0.5


class TestOtherPackets:
    @pytest.mark.parametrize("cname", ["", "a", "ab", "abc", "alice@192.0.2.7", "é" * 100])
    def test_a_name_of_any_length(self, cname: str) -> None:
        packet = SourceDescription.of(1, cname)
        assert read(encode_rtcp([EMPTY, packet])) == [EMPTY, packet]
        assert packet.cname(1) == cname
        assert packet.cname(2) == ""

    def test_several_chunks_and_items(self) -> None:
        packet = SourceDescription(((1, ((1, b"a"), (2, b"Alice"))), (2, ()), (3, ((8, b"\x01xy"),))))
        assert read(encode_rtcp([EMPTY, packet])) == [EMPTY, packet]
        assert packet.cname(3) == ""

    def test_items_that_end_with_the_packet(self) -> None:
        data = bytes.fromhex("81ca0002 00000001 01026162")
        assert read(EMPTY.encode() + data) == [EMPTY, SourceDescription(((1, ((1, b"ab"),)),))]

    @pytest.mark.parametrize("reason", ["", "camera malfunction", "abc"])
    def test_a_goodbye(self, reason: str) -> None:
        packet = Bye((1, 2), reason)
        assert read(encode_rtcp([EMPTY, packet])) == [EMPTY, packet]

    def test_a_goodbye_of_nobody(self) -> None:
        assert read(encode_rtcp([EMPTY, Bye(())])) == [EMPTY, Bye(())]

    @pytest.mark.parametrize(
        "packet",
        [
            Application(5, 1, b"RING", b"12345678"),
            Application(0, 1, b"RING"),
            Feedback(205, 1, 1, 2, b"\x00\x01\x00\x00"),
            Feedback(206, 1, 1, 2),
            ExtendedReport(1, (ReceiverReferenceTime(5), VoipMetrics(2))),
            ExtendedReport(1, ()),
            OtherPacket(209, 3, b"whatever"),
        ],
        ids=lambda packet: type(packet).__name__,
    )
    def test_what_else_there_is(self, packet: RtcpPacket) -> None:
        assert read(encode_rtcp([EMPTY, packet, NAME])) == [EMPTY, packet, NAME]

    @pytest.mark.parametrize(
        "data",
        [
            "81ca0000",
            "81ca0002 00000001 01ff6162",
            "82ca0002 00000001 00000000",
            "81ca0002 00000001 01610001",
            "82cb0001 00000001",
            "81cb0002 00000001 04616263",
            "80cc0001 00000001",
            "81cd0001 00000001",
            "80cf0000",
            "80cf0002 00000001 04000002",
        ],
    )
    def test_one_that_is_not_what_it_says_is_left_out(self, data: str) -> None:
        assert read(EMPTY.encode() + bytes.fromhex(data) + NAME.encode()) == [EMPTY, NAME]


class TestDropped:
    @pytest.mark.parametrize(
        "data",
        [
            "",
            "80",
            "80c8 0000",
            "80c9 0000",
            "80c90000 80c90000",
            "81c90001 00000001",
            "80c80001 00000001",
            "9fc90006" + "00" * 24,
            "80c90002 00000001",
            "80c90001 00000001 00",
            "80c90001 00000001 0000",
            "80c90001 00000001 00000000",
            "80c90001 00000001 80",
            "80c9ffff 00000001",
            "00c90001 00000001",
            "c0c90001 00000001",
            "80c90001 00000001 40ca0001 00000001",
            "80ca0001 00000001",
            "80000001 00000001",
        ],
    )
    def test_what_is_no_compound_packet(self, data: str) -> None:
        assert parse_rtcp(bytes.fromhex(data)) is None

    def test_more_packets_than_a_sound_one_has(self) -> None:
        assert len(read(EMPTY.encode() * 64)) == 64
        assert parse_rtcp(EMPTY.encode() * 65) is None

    def test_a_packet_alone_only_where_that_is_agreed(self) -> None:
        feedback = Feedback(206, 1, 1, 2)
        assert parse_rtcp(feedback.encode()) is None
        assert read(feedback.encode(), reduced=True) == [feedback]


def padded(packet: bytes, padding: bytes) -> bytes:
    """The packet with the padding bit and these octets in its length."""
    words = (len(packet) + len(padding)) // 4 - 1
    return bytes([packet[0] | 0x20]) + packet[1:2] + struct.pack("!H", words) + packet[4:] + padding


class TestPadding:
    def test_it_may_end_the_last_packet(self) -> None:
        assert read(EMPTY.encode() + padded(NAME.encode(), b"\0\0\0\x04")) == [EMPTY, NAME]
        assert read(padded(EMPTY.encode(), bytes(7) + b"\x08")) == [EMPTY]

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 255, 16])
    def test_a_count_that_cannot_be(self, count: int) -> None:
        assert parse_rtcp(padded(EMPTY.encode(), bytes([0, 0, 0, count]))) is None

    def test_a_count_that_would_eat_the_header(self) -> None:
        assert parse_rtcp(bytes.fromhex("a0c90001 0000000c")) is None
        # It eats the SSRC only: a report without one is none.
        assert parse_rtcp(bytes.fromhex("a0c90001 00000004")) is None

    def test_it_may_not_be_in_any_other(self) -> None:
        assert parse_rtcp(padded(EMPTY.encode(), b"\0\0\0\x04") + NAME.encode()) is None


words = st.integers(0, 0xFFFFFFFF)
octets = st.binary(max_size=8).map(lambda data: data * 4)
report_blocks = st.lists(
    st.builds(ReportBlock, words, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), words, words, words, words),
    max_size=31,
).map(tuple)
reports = st.one_of(
    st.builds(SenderReport, words, st.integers(0, 2**64 - 1), words, words, words, report_blocks, octets),
    st.builds(ReceiverReport, words, report_blocks, octets),
)
items = st.tuples(st.integers(1, 255), st.binary(max_size=255))
chunks = st.tuples(words, st.lists(items, max_size=4).map(tuple))
others = st.one_of(
    st.builds(SourceDescription, st.lists(chunks, max_size=5).map(tuple)),
    st.builds(Bye, st.lists(words, max_size=31).map(tuple), st.text(max_size=50)),
    st.builds(Application, st.integers(0, 31), words, st.binary(min_size=4, max_size=4), octets),
    st.builds(Feedback, st.sampled_from([205, 206]), st.integers(0, 31), words, words, octets),
    st.builds(OtherPacket, st.integers(208, 223), st.integers(0, 31), octets),
)


class TestProperties:
    @given(st.binary(max_size=200))
    def test_nothing_raises(self, data: bytes) -> None:
        parse_rtcp(data)
        parse_rtcp(data, reduced=True)

    @given(reports, st.lists(others, max_size=4), st.data())
    def test_nothing_raises_that_is_nearly_sound(
        self, report: RtcpPacket, rest: list[RtcpPacket], data: st.DataObject
    ) -> None:
        whole = bytearray(encode_rtcp([report, *rest]))
        for _ in range(3):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        parse_rtcp(bytes(whole))
        parse_rtcp(bytes(whole[: data.draw(st.integers(0, len(whole)))]))

    @given(reports, st.lists(others, max_size=4))
    def test_what_is_written_is_read(self, report: RtcpPacket, rest: list[RtcpPacket]) -> None:
        assert parse_rtcp(encode_rtcp([report, *rest])) == [report, *rest]
