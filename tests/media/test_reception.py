"""What is received: RFC 3550 A.1, A.3 and A.8 with exact figures, seeded networks, and sources that change."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.reception import Reception, Source
from ringback.media.rtcp import ReportBlock, SenderReport
from ringback.media.rtp import Packet
from tests.media.talkers import FRAME, RATE, Network, Talker, merged

A, B, C = 0xA, 0xB, 0xC


def feed(source: Source, *sequences: int) -> list[bool]:
    return [source.packet(sequence & 0xFFFF, 0, 0.0, timed=False) for sequence in sequences]


def source(first: int = 0, probation: int = 0) -> Source:
    return Source(A, first, RATE, probation)


class TestSequence:
    def test_in_order(self) -> None:
        state = source(5)
        assert feed(state, 5, 6, 7) == [True] * 3
        assert (state.expected, state.received, state.highest) == (3, 3, 7)

    def test_it_wraps(self) -> None:
        state = source(65534)
        feed(state, 65534, 65535, 0, 1)
        assert (state.expected, state.received, state.highest) == (4, 4, 65537)

    def test_one_that_was_overtaken_at_the_wrap_counts_for_the_old_cycle(self) -> None:
        state = source(65534)
        assert feed(state, 65534, 0, 65535, 1) == [True] * 4
        assert (state.expected, state.received, state.highest) == (4, 4, 65537)

    def test_a_dropout(self) -> None:
        state = source()
        assert feed(state, 0, 2999) == [True, True]
        assert (state.expected, state.received) == (3000, 2)

    def test_a_jump_is_refused_once_and_believed_when_the_next_follows(self) -> None:
        state = source()
        assert feed(state, 0, 3000, 1, 40000, 40001, 40002) == [True, False, True, False, True, True]
        assert (state.expected, state.received, state.highest) == (2, 2, 40002)
        assert state.totals == (4, 4)

    def test_two_jumps_to_different_places_are_both_refused(self) -> None:
        state = source()
        assert feed(state, 0, 20000, 30000, 40000, 1) == [True, False, False, False, True]

    @pytest.mark.parametrize(("late", "counted"), [(99, True), (100, False), (20000, False)])
    def test_how_late_a_packet_may_be(self, late: int, counted: bool) -> None:
        state = source(1000)
        feed(state, 1000)
        assert feed(state, 1000 - late) == [counted]

    def test_probation(self) -> None:
        state = source(10, probation=2)
        assert feed(state, 10, 12, 13, 14) == [False, False, True, True]
        assert (state.expected, state.received) == (2, 2)

    def test_probation_of_three(self) -> None:
        assert feed(source(10, probation=3), 10, 11, 13, 14, 15) == [False, False, False, False, True]

    @given(st.lists(st.integers(0, 0xFFFF), max_size=60), st.integers(0, 3))
    def test_nothing_raises_and_counts_fit(self, sequences: list[int], probation: int) -> None:
        state = source(sequences[0] if sequences else 0, probation)
        accepted = sum(feed(state, *sequences))
        assert state.totals[1] == accepted
        block = state.block(1.0)
        assert 0 <= block.fraction_lost <= 255
        assert ReportBlock.encode(block)


class TestLoss:
    def test_fraction_and_sum(self) -> None:
        state = source(1)
        feed(state, *range(1, 101))
        assert (state.block(0.0).fraction_lost, state.block(0.0).lost) == (0, 0)
        feed(state, *range(126, 201))
        block = state.block(0.0)
        # 25 of 100 in this interval, 25 of 200 altogether.
        assert (block.fraction_lost, block.lost, block.highest) == (64, 25, 200)
        assert state.block(0.0).fraction_lost == 0

    def test_duplicates_make_it_negative(self) -> None:
        state = source(1)
        feed(state, 1, 1, 2, 2, 3)
        block = state.block(0.0)
        assert (block.fraction_lost, block.lost) == (0, -2)

    def test_a_late_packet_is_not_lost(self) -> None:
        state = source(1)
        feed(state, 1, 3)
        assert state.block(0.0).lost == 1
        feed(state, 2)
        assert state.block(0.0).lost == 0

    @pytest.mark.parametrize("loss", [0.0, 0.05, 0.1, 0.2, 0.3])
    def test_a_network_that_loses(self, loss: float) -> None:
        arrivals = Network(seed=3, loss=loss, jitter=0.06).arrivals(Talker(), 3000)
        reception = Reception(RATE)
        for arrival, packet in arrivals:
            assert reception.accept(packet, arrival)
        sequences = [packet.sequence - 65500 & 0xFFFF for _, packet in arrivals]
        assert reception.received == len(arrivals)
        assert reception.expected == max(sequences) - sequences[0] + 1
        block = reception.block(60.0)
        assert block is not None
        assert block.lost == reception.expected - len(arrivals)
        assert block.fraction_lost == 256 * block.lost // reception.expected


class TestJitter:
    def test_the_formula(self) -> None:
        state = source()
        # Transit grows by 80 units, then falls back, then stays: J += (|D| - J) / 16.
        for number, late in enumerate([0, 0.01, 0, 0]):
            state.packet(number, number * FRAME, number * 0.02 + late)
        first = 80 / 16
        second = first + (80 - first) / 16
        assert state.jitter == pytest.approx(second + (0 - second) / 16, abs=0.2)

    def test_timestamps_and_times_that_wrap_are_no_jitter(self) -> None:
        state = source()
        start = 2**32 / RATE * 3 - 0.04
        for number in range(20):
            state.packet(number, 2**32 - 5 * FRAME + number * FRAME & 0xFFFFFFFF, start + number * 0.02)
        assert state.jitter < 1

    def test_a_wild_timestamp_does_not_spoil_it(self) -> None:
        state = source()
        for number in range(100):
            state.packet(number, number * FRAME ^ (0x40000000 if number == 50 else 0), number * 0.02)
        assert state.jitter < 1

    def test_telephone_events_are_not_timed(self) -> None:
        state = source()
        for number in range(50):
            event = 10 <= number < 40
            state.packet(number, (10 if event else number) * FRAME, number * 0.02, timed=not event)
        assert state.jitter < 1

    def test_uniform_jitter_is_measured(self) -> None:
        reception = Reception(RATE)
        for arrival, packet in Network(seed=1, jitter=0.01).arrivals(Talker(), 5000):
            reception.accept(packet, arrival)
        # The mean distance of two uniform values is a third of their range.
        assert reception.jitter == pytest.approx(0.01 / 3, rel=0.25)

    def test_another_clock_rate(self) -> None:
        reception = Reception(RATE)
        for arrival, packet in Network(seed=1, jitter=0.01).arrivals(Talker(), 500):
            reception.accept(packet, arrival)
        before = reception.jitter
        reception.change_clock_rate(48000)
        assert reception.jitter == pytest.approx(before)
        reception.accept(Packet(96, 65500 + 500 & 0xFFFF, 77, A, b""), 10.05)
        assert reception.jitter == pytest.approx(before)


class TestRoundTripFields:
    def test_the_time_of_the_source_goes_back(self) -> None:
        reception = Reception(RATE)
        reception.accept(Packet(0, 1, 0, A, b"x"), 0.0)
        reception.reported(SenderReport(A, 0xB44DB70520000000, 0, 0, 0), 10.0)
        block = reception.block(15.25)
        assert block is not None
        assert (block.last_sr, block.delay) == (0xB7052000, 0x54000)

    def test_no_report_and_the_report_of_another(self) -> None:
        reception = Reception(RATE)
        reception.reported(SenderReport(A, 1 << 40, 0, 0, 0), 10.0)
        reception.accept(Packet(0, 1, 0, A, b"x"), 10.0)
        reception.reported(SenderReport(B, 1 << 40, 0, 0, 0), 10.0)
        block = reception.block(15.25)
        assert block is not None
        assert (block.last_sr, block.delay) == (0, 0)

    def test_no_block_when_nothing_came(self) -> None:
        reception = Reception(RATE)
        assert reception.block(0.0) is None
        reception.accept(Packet(0, 1, 0, A, b"x"), 0.0)
        assert reception.block(1.0) is not None
        assert reception.block(2.0) is None


def packets(talker: Talker, first: int, last: int, shift: float = 0.0) -> list[tuple[float, Packet]]:
    return [(talker.sent(number) + shift, talker.packet(number)) for number in range(first, last)]


def accepted(reception: Reception, arrivals: list[tuple[float, Packet]]) -> list[Packet]:
    return [packet for arrival, packet in arrivals if reception.accept(packet, arrival)]


class TestChangesOfTheSource:
    old = Talker(ssrc=A)
    new = Talker(ssrc=B, sequence=100, timestamp=5)

    def test_numbers_that_cannot_be_are_refused_and_counted(self) -> None:
        reception = Reception(RATE)
        taken = [reception.accept(Packet(0, number, 0, A, b"xy"), 0.0) for number in (1, 30000, 2, 20000)]
        assert taken == [True, False, True, False]
        assert (reception.received, reception.refused, reception.octets) == (2, 2, 4)

    def test_after_a_silence_the_new_one_is_followed_at_once(self) -> None:
        reception = Reception(RATE)
        assert len(accepted(reception, packets(self.old, 0, 50))) == 50
        later = packets(self.new, 0, 50, shift=1.08)
        assert len(accepted(reception, later)) == 50
        assert (reception.changes, reception.refused, reception.received, reception.expected) == (1, 0, 100, 100)
        assert reception.source is not None
        assert reception.source.ssrc == B

    def test_without_a_silence_it_takes_three_packets(self) -> None:
        reception = Reception(RATE)
        accepted(reception, packets(self.old, 0, 50))
        taken = accepted(reception, packets(self.new, 0, 50, shift=1.0))
        assert taken[0].sequence == 102
        assert (len(taken), reception.refused, reception.changes) == (48, 2, 1)

    def test_both_at_once_and_the_first_stays(self) -> None:
        reception = Reception(RATE)
        both = list(merged(packets(self.old, 0, 500), packets(self.new, 0, 500, shift=0.005)))
        assert {packet.ssrc for packet in accepted(reception, both)} == {A}
        assert (reception.received, reception.refused, reception.changes) == (500, 500, 0)

    def test_a_change_that_was_told_is_followed_at_once(self) -> None:
        reception = Reception(RATE)
        accepted(reception, packets(self.old, 0, 50))
        reception.expect_change()
        assert len(accepted(reception, packets(self.new, 0, 10, shift=1.0))) == 10
        # It was one change that was told.
        assert accepted(reception, packets(self.old, 60, 62)) == []

    def test_so_is_one_after_a_goodbye(self) -> None:
        reception = Reception(RATE)
        assert not reception.goodbye((A,))
        accepted(reception, packets(self.old, 0, 50))
        assert not reception.goodbye((B, C))
        assert reception.goodbye((C, A))
        assert len(accepted(reception, packets(self.new, 0, 10, shift=1.0))) == 10

    def test_it_goes_back_and_forth_as_often_as_a_pbx_likes(self) -> None:
        reception = Reception(RATE)
        for turn in range(20):
            talker = Talker(ssrc=turn % 2, sequence=turn * 7000 & 0xFFFF, timestamp=turn * 10**8)
            assert len(accepted(reception, packets(talker, 0, 50, shift=turn * 1.2))) == 50
        assert (reception.changes, reception.received, reception.expected) == (19, 1000, 1000)

    def test_a_spray_of_random_sources_takes_nothing_over(self) -> None:
        reception = Reception(RATE)
        chance = random.Random(5)
        spray = [
            (chance.random() * 10, Packet(0, chance.randrange(65536), 0, chance.randrange(2**32), b"spray"))
            for _ in range(5000)
        ]
        taken = accepted(reception, list(merged(packets(self.old, 0, 500), spray)))
        assert {packet.ssrc for packet in taken if packet.payload != b"spray"} == {A}
        # The one that was followed before the first real packet, if any, is all that it gets.
        assert sum(packet.payload == b"spray" for packet in taken) <= 10
        assert len(taken) >= 495

    def test_what_is_kept_of_sources_is_bounded(self) -> None:
        reception = Reception(RATE)
        reception.accept(self.old.packet(0), 0.0)
        for number in range(10000):
            reception.accept(Packet(0, 0, 0, number + 1000, b""), 0.001)
        assert len(reception._candidates) <= 4
        assert reception.refused == 10000
