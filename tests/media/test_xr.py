"""Extended reports: the traces of RFC 3611 4.1, each block both ways, and blocks that are not what they say."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.xr import (
    DUPLICATE_RLE,
    LOSS_RLE,
    UNAVAILABLE,
    Block,
    Dlrr,
    DlrrEntry,
    OtherBlock,
    ReceiverReferenceTime,
    RunLengths,
    StatisticsSummary,
    VoipMetrics,
    parse_blocks,
)

# 4.1: "covers 45 packets, of which the 22nd and 24th have been lost", from sequence number 13,821 on.
BEGIN = 13821
END = 13866


def vector(bits: str) -> bytes:
    return (0x8000 | int(bits.replace(" ", ""), 2)).to_bytes(2, "big")


def run(received: bool, length: int) -> bytes:
    return ((0x4000 if received else 0) | length).to_bytes(2, "big")


def read(data: bytes) -> tuple[Block, ...]:
    blocks = parse_blocks(data, 0, len(data))
    assert blocks is not None
    return blocks


def trace(chunks: bytes, thinning: int = 0, begin: int = BEGIN, end: int = END) -> RunLengths:
    block = RunLengths(LOSS_RLE, 7, begin, end, chunks, thinning)
    assert read(block.encode()) == (block,)
    return block


class TestTraces:
    @pytest.mark.parametrize(
        "chunks",
        [
            vector("1111 1111 1111 111") + vector("1111 1101 0111 111") + vector("1111 1111 1111 111") + bytes(2),
            run(True, 21) + vector("0101 1111 1111 111") + run(True, 9) + bytes(2),
        ],
        ids=["vectors", "runs"],
    )
    def test_both_encodings_of_the_example(self, chunks: bytes) -> None:
        block = trace(chunks)
        assert block.missing() == [BEGIN + 21, BEGIN + 23]
        assert [number for number, _ in block.events()] == list(range(BEGIN, END))

    def test_bits_beyond_the_end_are_ignored(self) -> None:
        chunks = run(True, 21) + vector("0101 1111 1111 111") + vector("1111 1110 1000 000") + bytes(2)
        assert trace(chunks).missing() == [BEGIN + 21, BEGIN + 23, BEGIN + 43]

    def test_thinning(self) -> None:
        block = trace(vector("1111 1011 1100 000") + bytes(2), thinning=2)
        numbers = [number for number, _ in block.events()]
        assert numbers == [13824, 13828, 13832, 13836, 13840, 13844, 13848, 13852, 13856, 13860, 13864]
        assert block.missing() == [13844, 13864]

    def test_the_sequence_number_wraps(self) -> None:
        block = RunLengths.of(LOSS_RLE, 7, 65534, [True, True, False, True])
        assert (block.begin, block.end) == (65534, 2)
        assert block.missing() == [0]

    def test_a_range_that_no_trace_may_have(self) -> None:
        assert trace(run(True, 100) + bytes(2), begin=0, end=65534).missing() == []
        assert list(trace(run(True, 100) + bytes(2), begin=0, end=65534).events()) == []

    def test_it_ends_where_the_range_ends(self) -> None:
        chunks = run(False, 16383) * 1000
        assert trace(chunks, begin=10, end=13).missing() == [10, 11, 12]
        assert len(trace(chunks, begin=0, end=65533).missing()) == 65533

    def test_long_runs_are_built_in_parts(self) -> None:
        bits = [True] * 20000 + [False] * 17000
        block = RunLengths.of(LOSS_RLE, 7, 0, bits)
        assert block.chunks == run(True, 16383) + run(True, 3617) + run(False, 16383) + run(False, 617)
        assert block.missing() == list(range(20000, 37000))

    def test_a_run_and_a_vector_are_built(self) -> None:
        block = RunLengths.of(LOSS_RLE, 7, BEGIN, [True] * 21 + [False, True, False] + [True] * 21)
        assert block.chunks == run(True, 21) + vector("0101 1111 1111 111") + vector("1111 1111 1000 000") + bytes(2)
        assert block.missing() == [BEGIN + 21, BEGIN + 23]

    @given(st.lists(st.booleans(), max_size=200), st.integers(0, 0xFFFF), st.sampled_from([LOSS_RLE, DUPLICATE_RLE]))
    def test_what_is_written_is_read(self, bits: list[bool], begin: int, kind: int) -> None:
        block = RunLengths.of(kind, 7, begin, bits)
        assert read(block.encode()) == (block,)
        assert [bit for _, bit in block.events()] == bits

    @given(st.binary(max_size=60), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.integers(0, 15))
    def test_no_trace_raises_or_is_endless(self, chunks: bytes, begin: int, end: int, thinning: int) -> None:
        events = list(RunLengths(LOSS_RLE, 1, begin, end, chunks, thinning).events())
        assert len(events) <= (end - begin) % 65536


class TestBlocks:
    def test_the_reference_time(self) -> None:
        block = ReceiverReferenceTime(0xB44DB70520000000)
        assert block.encode() == bytes.fromhex("04000002 b44db705 20000000")
        assert read(block.encode()) == (block,)

    def test_the_answer_to_it(self) -> None:
        block = Dlrr((DlrrEntry(1, 0xB7052000, 0x54000), DlrrEntry(2, 0, 0)))
        assert block.encode() == bytes.fromhex("05000006 00000001 b7052000 00054000 00000002 00000000 00000000")
        assert read(block.encode()) == (block,)

    def test_the_summary(self) -> None:
        block = StatisticsSummary(7, 10, 20, lost=1, duplicated=2, jitter=(3, 4, 5, 6), ttl=(61, 64, 63, 1))
        assert block.encode()[:4] == bytes.fromhex("06e80009")
        assert read(block.encode()) == (block,)

    def test_a_summary_of_less(self) -> None:
        for block in (
            StatisticsSummary(7, 10, 20),
            StatisticsSummary(7, 10, 20, lost=0),
            StatisticsSummary(7, 10, 20, duplicated=3),
            StatisticsSummary(7, 10, 20, jitter=(1, 2, 3, 4)),
            StatisticsSummary(7, 10, 20, ttl=(1, 2, 3, 4), ipv6=True),
        ):
            assert read(block.encode()) == (block,)

    @pytest.mark.parametrize("flags", [0x60, 0xA0, 0xC0, 0xF8, 0xE0])
    def test_a_summary_that_reports_what_it_says_it_does_not(self, flags: int) -> None:
        full = StatisticsSummary(7, 10, 20, lost=1, duplicated=2, jitter=(3, 4, 5, 6), ttl=(61, 64, 63, 1)).encode()
        assert read(full[:1] + bytes([flags]) + full[2:]) == ()

    def test_the_metrics_of_a_call(self) -> None:
        block = VoipMetrics(
            7, 12, 12, 84, 10, 120, 520, 150, 60, -18, -65, 40, 16, 80, UNAVAILABLE, 38, 36, 0xF5, 40, 80, 500
        )
        assert block.encode() == (
            bytes.fromhex("07000008 00000007 0c0c540a 00780208 0096003c")
            + struct.pack("!bbBB", -18, -65, 40, 16)
            + bytes([80, 127, 38, 36, 0xF5, 0])
            + struct.pack("!HHH", 40, 80, 500)
        )
        assert read(block.encode()) == (block,)

    def test_metrics_of_which_nothing_is_known(self) -> None:
        block = VoipMetrics(7)
        assert read(block.encode()) == (block,)
        assert (block.r_factor, block.mos_lq, block.signal_level) == (127, 127, 127)

    def test_metrics_that_are_too_large_are_written_as_the_largest(self) -> None:
        (block,) = read(VoipMetrics(7, loss_rate=300, round_trip=70000, signal_level=-200).encode())
        assert isinstance(block, VoipMetrics)
        assert (block.loss_rate, block.round_trip, block.signal_level) == (255, 65535, -128)

    @pytest.mark.parametrize(("r_factor", "mos"), [(101, 9), (126, 51), (255, 0)])
    def test_ratings_beyond_their_range_are_ignored(self, r_factor: int, mos: int) -> None:
        (block,) = read(VoipMetrics(7, r_factor=r_factor, external_r=r_factor, mos_lq=mos, mos_cq=mos).encode())
        assert block == VoipMetrics(7)

    def test_ratings_at_the_ends_of_their_range(self) -> None:
        for block in (VoipMetrics(7, r_factor=100, mos_lq=50, mos_cq=10), VoipMetrics(7, r_factor=0)):
            assert read(block.encode()) == (block,)

    def test_a_block_of_another_type(self) -> None:
        block = OtherBlock(99, 5, b"abcdefgh")
        assert read(block.encode()) == (block,)


class TestMalformed:
    @pytest.mark.parametrize("kind", [4, 6, 7])
    def test_a_block_of_another_length_is_left_out(self, kind: int) -> None:
        good = ReceiverReferenceTime(1)
        data = bytes([kind, 0, 0, 1]) + bytes(4) + good.encode()
        assert read(data) == (good,)

    def test_a_trace_without_its_head_and_entries_in_part(self) -> None:
        assert read(bytes([LOSS_RLE, 0, 0, 1]) + bytes(4)) == ()
        assert read(bytes([5, 0, 0, 2]) + bytes(8)) == ()

    @pytest.mark.parametrize("data", [b"\x04\0", b"\x04\0\0\2" + bytes(4), b"\x63\0\xff\xff"])
    def test_lengths_that_do_not_add_up(self, data: bytes) -> None:
        assert parse_blocks(data, 0, len(data)) is None

    def test_more_blocks_than_a_sound_packet_has(self) -> None:
        assert len(read(b"\x63\0\0\0" * 64)) == 64
        assert parse_blocks(b"\x63\0\0\0" * 65, 0, 260) is None

    @given(st.binary(max_size=120))
    def test_nothing_raises(self, data: bytes) -> None:
        for block in parse_blocks(data, 0, len(data)) or ():
            assert len(block.encode()) % 4 == 0
