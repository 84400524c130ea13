"""The jitter buffer on a virtual clock: order, loss, lateness, drift, silence, new timelines and wild packets (A28)."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.jitter import JitterBuffer, Lost
from ringback.media.rtp import Packet
from tests.media.talkers import FRAME, RATE, Network, Talker, merged, number_of

TICK = 0.02
Found = list[tuple[float, Packet | Lost | None]]


def play(
    buffer: JitterBuffer,
    arrivals: Iterable[tuple[float, Packet]],
    seconds: float,
    start: float = 0.007,
    quiet: bool = False,
    clock: float = 1.0,
) -> Found:
    """Put what arrives, and pop every tick; `clock` is how fast ours runs, `start` where its first tick is."""
    waiting = sorted(arrivals, key=lambda entry: entry[0])
    found: Found = []
    at = 0
    for tick in range(int(seconds / TICK)):
        now = start + tick * TICK / clock
        while at < len(waiting) and waiting[at][0] <= now:
            buffer.put(waiting[at][1], waiting[at][0])
            at += 1
        found.append((now, buffer.pop(now, quiet)))
    return found


def numbers(found: Found) -> list[int]:
    return [number_of(piece) for _, piece in found if isinstance(piece, Packet)]


def pieces(found: Found) -> str:
    """One letter a frame: P packet, L lost, F lost with the packet behind it, I inserted, a dot for silence."""
    letters = []
    for _, piece in found:
        if isinstance(piece, Packet):
            letters.append("P")
        elif piece is None:
            letters.append(".")
        else:
            letters.append("I" if piece.inserted else "L" if piece.following is None else "F")
    return "".join(letters)


def delays(found: Found, talker: Talker) -> list[float]:
    """How long after its sending each packet was played."""
    return [now - talker.sent(number_of(piece)) for now, piece in found if isinstance(piece, Packet)]


def regular(talker: Talker, count: int, delay: float = 0.05, first: int = 0) -> list[tuple[float, Packet]]:
    return [(talker.sent(number) + delay, talker.packet(number)) for number in range(first, first + count)]


class TestQuietNetwork:
    def test_every_packet_in_order_and_without_a_gap(self) -> None:
        buffer = JitterBuffer(RATE)
        found = play(buffer, regular(Talker(), 1000), 21)
        assert numbers(found) == list(range(1000))
        assert "P" * 1000 in pieces(found)
        assert (buffer.played, buffer.lost, buffer.late, buffer.discarded) == (1000, 0, 0, 0)

    def test_the_delay_is_the_minimum_and_less_than_a_tick(self) -> None:
        talker = Talker()
        for minimum in (0.02, 0.04, 0.1):
            buffer = JitterBuffer(RATE, minimum=minimum)
            waits = delays(play(buffer, regular(talker, 500), 11), talker)
            assert all(0.05 + minimum <= wait < 0.05 + minimum + TICK for wait in waits)
            assert buffer.delay == pytest.approx(minimum)

    def test_nothing_came(self) -> None:
        buffer = JitterBuffer(RATE)
        assert pieces(play(buffer, [], 1)) == "." * 50
        assert (len(buffer), buffer.playing) == (0, False)

    def test_the_end_is_told_as_loss_for_a_tenth_of_a_second(self) -> None:
        buffer = JitterBuffer(RATE)
        found = play(buffer, regular(Talker(), 50), 2)
        assert pieces(found).strip(".") == "P" * 50 + "L" * 5
        # Nobody knows that there was nothing more.
        assert buffer.lost == 0
        assert not buffer.playing


class TestLoss:
    def test_one_lost_packet_is_told_with_the_one_behind_it(self) -> None:
        buffer = JitterBuffer(RATE)
        arrivals = [entry for entry in regular(Talker(), 50) if number_of(entry[1]) != 20]
        found = play(buffer, arrivals, 2)
        assert pieces(found).strip(".") == "P" * 20 + "F" + "P" * 29 + "L" * 5
        lost = next(piece for _, piece in found if isinstance(piece, Lost))
        assert lost.duration == FRAME
        assert lost.following is not None
        assert number_of(lost.following) == 21
        assert buffer.lost == 1

    def test_of_several_the_last_one_has_the_packet_behind_it(self) -> None:
        buffer = JitterBuffer(RATE, minimum=0.1)
        arrivals = [entry for entry in regular(Talker(), 50) if not 20 <= number_of(entry[1]) < 23]
        assert pieces(play(buffer, arrivals, 2)).strip(".") == "P" * 20 + "LLF" + "P" * 27 + "L" * 5
        assert buffer.lost == 3

    def test_more_than_is_waited_for(self) -> None:
        buffer = JitterBuffer(RATE)
        arrivals = [entry for entry in regular(Talker(), 100) if not 20 <= number_of(entry[1]) < 40]
        found = play(buffer, arrivals, 3)
        assert numbers(found) == [*range(20), *range(40, 100)]
        assert pieces(found).strip(".").startswith("P" * 20 + "LLLLL" + "." * 14)
        assert buffer.lost == 20

    @pytest.mark.parametrize("loss", [0.01, 0.05, 0.1, 0.2, 0.3])
    def test_a_network_that_loses_keeps_its_time(self, loss: float) -> None:
        talker, count = Talker(), 3000
        arrivals = Network(seed=5, loss=loss).arrivals(talker, count)
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 62)
        came = sorted({number_of(packet) for _, packet in arrivals})
        assert numbers(found) == came
        # What is missing between the first and the last is told, each once, in its place.
        told = came[-1] - came[0] + 1 - len(came)
        assert buffer.lost == told == buffer.bursts.lost
        assert buffer.bursts.received == len(came)
        waits = delays(found, talker)
        assert max(waits) - min(waits) < 1.5 * TICK

    def test_most_losses_can_be_repaired_from_the_packet_behind(self) -> None:
        arrivals = Network(seed=5, loss=0.1, jitter=0.03).arrivals(Talker(), 3000)
        letters = pieces(play(JitterBuffer(RATE), arrivals, 61))
        # With independent losses nine of ten are followed by a packet.
        assert letters.count("F") / (letters.count("F") + letters.count("L")) > 0.8


class TestDisorder:
    def test_reordered_packets_are_played_in_order(self) -> None:
        arrivals = regular(Talker(), 100)
        for place in range(10, 90, 10):
            (first, one), (second, two) = arrivals[place], arrivals[place + 1]
            arrivals[place], arrivals[place + 1] = (first, two), (second, one)
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 2)
        assert numbers(found) == list(range(len(numbers(found))))
        assert (buffer.reordered, buffer.lost, buffer.late) == (8, 0, 0)

    def test_duplicates_are_played_once(self) -> None:
        buffer = JitterBuffer(RATE)
        arrivals = regular(Talker(), 100)
        again = [(at + 0.001, packet) for at, packet in arrivals[:50]]
        much_later = [(at + 0.5, packet) for at, packet in arrivals[50:60]]
        found = play(buffer, merged(arrivals, again, much_later), 3)
        assert numbers(found) == list(range(100))
        assert (buffer.duplicated, buffer.late, buffer.lost) == (60, 0, 0)

    def test_the_same_timestamp_under_another_number_is_a_duplicate(self) -> None:
        buffer = JitterBuffer(RATE)
        talker = Talker()
        assert buffer.put(talker.packet(0), 0.0)
        again = talker.packet(0)
        again.sequence = again.sequence + 1 & 0xFFFF
        assert not buffer.put(again, 0.001)
        assert (len(buffer), buffer.duplicated) == (1, 1)

    def test_a_duplicate_of_what_came_behind_an_event(self) -> None:
        buffer = JitterBuffer(RATE)
        talker = Talker()
        for number in range(4):
            buffer.put(talker.packet(number), number * TICK, sound=number != 2)
        # The event has the number of a packet, but takes no time from the sound here.
        play(buffer, [], 0.2, start=0.06)
        for number in (1, 2, 3):
            buffer.put(talker.packet(number), 0.3)
        assert (buffer.duplicated, buffer.late, buffer.lost) == (3, 0, 0)

    def test_a_late_packet_is_late_and_not_lost(self) -> None:
        arrivals = regular(Talker(), 300)
        at, packet = arrivals[250]
        arrivals[250] = (at + 0.2, packet)
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 7)
        assert numbers(found) == [number for number in range(300) if number != 250]
        assert (buffer.late, buffer.lost) == (1, 0)
        assert (buffer.bursts.lost, buffer.bursts.discarded) == (0, 1)

    def test_numbers_and_timestamps_wrap(self) -> None:
        talker = Talker(sequence=65530, timestamp=2**32 - 3 * FRAME)
        found = play(JitterBuffer(RATE), regular(talker, 70), 3)
        assert numbers(found) == list(range(70))

    @pytest.mark.parametrize("jitter", [0.02, 0.06, 0.1, 0.2])
    def test_jitter_is_waited_for(self, jitter: float) -> None:
        arrivals = Network(seed=9, jitter=jitter, duplicated=0.05).arrivals(Talker(), 3000)
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 62)
        assert numbers(found) == sorted(set(numbers(found)))
        assert buffer.played + buffer.lost + buffer.late + buffer.dropped == 3000
        assert buffer.lost == 0
        assert buffer.late <= 3000 * 0.03
        # A percentile of 98 in a hundred, and a frame.
        assert buffer.delay == pytest.approx(max(0.04, jitter * 0.98 + 0.02), abs=0.012)

    def test_a_longer_delay_is_reached_within_a_second(self) -> None:
        talker = Talker()
        quiet, rough = regular(talker, 500), Network(seed=4, jitter=0.1).arrivals(talker, 1000)
        arrivals = quiet + [(at, packet) for at, packet in rough if number_of(packet) >= 500]
        buffer = JitterBuffer(RATE)
        play(buffer, [entry for entry in arrivals if entry[0] < 11], 11)
        assert 0.09 < buffer.delay < 0.13
        assert buffer.inserted >= 2


class TestStalls:
    def test_a_burst_after_a_stall_loses_nothing(self) -> None:
        # Half a second's packets stand still for 80 ms and come at once.
        arrivals = [(max(at, 2.13) if at > 2.05 else at, packet) for at, packet in regular(Talker(), 500)]
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 11, quiet=False)
        assert numbers(found) == list(range(500))
        assert (buffer.late, buffer.lost, buffer.discarded, buffer.dropped) == (0, 0, 0, 0)

    def test_the_delay_that_a_stall_brought_is_taken_back_in_quiet(self) -> None:
        talker = Talker()
        arrivals = [(max(at, 2.35) if at > 2.05 else at, packet) for at, packet in regular(talker, 2500)]
        buffer = JitterBuffer(RATE)
        waits = delays(play(buffer, arrivals, 50, quiet=True), talker)
        assert max(waits) > 0.3
        assert waits[-1] < 0.05 + 0.04 + 2.5 * TICK
        assert buffer.dropped >= 8

    def test_a_stall_longer_than_the_longest_delay(self) -> None:
        talker = Talker()
        arrivals = [(max(at, 5.0) if at > 2.0 else at, packet) for at, packet in regular(talker, 1000)]
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 21)
        assert max(delays(found, talker)[-200:]) < 0.05 + 0.5 + 2 * TICK
        assert numbers(found) == sorted(set(numbers(found)))
        # Three seconds' worth came too late to be of use, and little else is missing.
        assert len(numbers(found)) >= 1000 - 150 - 10
        assert numbers(found)[-1] == 999

    def test_a_full_buffer_throws_the_oldest_away(self) -> None:
        buffer = JitterBuffer(RATE, maximum=0.2)
        talker = Talker()
        for number in range(100):
            buffer.put(talker.packet(number), 1.0)
        assert len(buffer) == 11
        assert buffer.discarded == 89
        assert numbers(play(buffer, [], 1, start=1.0)) == list(range(89, 100))


class TestDrift:
    @pytest.mark.parametrize("drift", [-200e-6, -50e-6, 50e-6, 200e-6])
    @pytest.mark.parametrize("quiet", [True, False])
    def test_another_clock_is_followed(self, drift: float, quiet: bool) -> None:
        talker = Talker(drift=drift)
        buffer = JitterBuffer(RATE)
        count = 30000
        found = play(buffer, regular(talker, count), 601, quiet=quiet)
        waits = delays(found, talker)
        slack = TICK if quiet else 3 * TICK
        assert min(waits) >= 0.05
        assert max(waits) <= 0.05 + 0.04 + TICK + slack
        steps = abs(drift) * 600 / TICK
        changes = buffer.dropped if drift > 0 else buffer.inserted + pieces(found[:-60]).count("L")
        assert changes <= steps + 2
        assert changes >= steps - 4
        assert buffer.late == buffer.lost == 0

    def test_steps_in_loud_sound_are_apart(self) -> None:
        # Twenty packets come at once, which is 0.4 s too many.
        talker = Talker()
        arrivals = [(max(at, 1.2) if at > 0.8 else at, packet) for at, packet in regular(talker, 1500)]
        buffer = JitterBuffer(RATE)
        dropped, inserted = [], []
        for tick in range(1500):
            now = 0.007 + tick * TICK
            while arrivals and arrivals[0][0] <= now:
                buffer.put(arrivals.pop(0)[1], now)
            piece = buffer.pop(now)
            if buffer.skipped is not None:
                dropped.append(now)
            if isinstance(piece, Lost) and piece.inserted:
                inserted.append(now)
        assert len(dropped) >= 5
        assert all(later - earlier >= 0.2 - 1e-9 for earlier, later in pairwise(dropped))
        assert all(later - earlier >= 0.06 - 1e-9 for earlier, later in pairwise(inserted))

    def test_a_frame_that_is_left_out_can_be_had(self) -> None:
        buffer = JitterBuffer(RATE)
        talker = Talker(drift=0.005)
        skipped = []
        waiting = regular(talker, 5000)
        for tick in range(4970):
            now = 0.007 + tick * TICK
            while waiting and waiting[0][0] <= now:
                buffer.put(waiting.pop(0)[1], now)
            piece = buffer.pop(now, quiet=True)
            if buffer.skipped is not None:
                assert isinstance(piece, Packet)
                assert number_of(piece) == number_of(buffer.skipped) + 1
                skipped.append(buffer.skipped)
        # 25 frames in 100 s, less what the delay has grown by: it falls slowly.
        assert 20 <= len(skipped) == buffer.dropped <= 25


class TestSilence:
    def spurts(self, talker: Talker, spurt: int, silence: int, count: int) -> list[tuple[float, Packet]]:
        """`count` talkspurts of `spurt` packets with `silence` frames of nothing between them."""
        arrivals = []
        for number in range(spurt * count):
            turns = number // spurt
            packet = talker.packet(number, skipped=turns * silence * FRAME)
            packet.marker = number % spurt == 0
            arrivals.append((talker.sent(number) + turns * silence * TICK + 0.05, packet))
        return arrivals

    def test_silence_is_no_loss(self) -> None:
        buffer = JitterBuffer(RATE)
        found = play(buffer, self.spurts(Talker(), 50, 100, 5), 16)
        assert numbers(found) == list(range(250))
        assert (buffer.lost, buffer.late, buffer.discarded, buffer.resynchronised) == (0, 0, 0, 0)
        assert pieces(found).strip(".").startswith("P" * 50 + "L" * 5 + "." * 95 + "P" * 50)

    @pytest.mark.parametrize("silence", [1, 2, 3, 5, 8])
    def test_short_silences_keep_their_length(self, silence: int) -> None:
        talker = Talker()
        buffer = JitterBuffer(RATE)
        found = play(buffer, self.spurts(talker, 20, silence, 30), 20)
        assert numbers(found) == list(range(600))
        assert buffer.lost == 0
        times = [now for now, piece in found if isinstance(piece, Packet)]
        for turn in range(1, 30):
            assert times[turn * 20] - times[turn * 20 - 1] == pytest.approx((silence + 1) * TICK, abs=1.5 * TICK)

    def test_a_source_whose_clock_stands_in_silence(self) -> None:
        talker = Talker()
        arrivals = []
        for number in range(500):
            arrivals.append((talker.sent(number) + number // 50 * 0.7 + 0.05, talker.packet(number)))
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 20)
        assert numbers(found) == list(range(500))
        assert (buffer.lost, buffer.late, buffer.discarded, buffer.dropped) == (0, 0, 0, 0)

    def test_the_delay_changes_between_talkspurts(self) -> None:
        talker = Talker()
        arrivals = self.spurts(talker, 50, 50, 40)
        # The first talkspurts are rough, the others are not.
        chance = random.Random(8)
        arrivals = [
            (at + (chance.random() * 0.1 if number < 500 else 0.0), packet)
            for number, (at, packet) in enumerate(arrivals)
        ]
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 81)
        rough = buffer.inserted, buffer.dropped
        assert numbers(found)[-500:] == list(range(1500, 2000))
        assert rough[1] == 0
        assert buffer.delay < 0.06


class TestOtherDurations:
    @pytest.mark.parametrize("measured", [True, False])
    @pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
    def test_packets_of_another_length(self, milliseconds: int, measured: bool) -> None:
        units = milliseconds * 8
        talker = Talker(duration=units)
        measure = (lambda packet: units) if measured else None
        buffer = JitterBuffer(RATE, measure=measure)
        waiting = regular(talker, 300)
        left, played, letters = 0, [], []
        for tick in range(milliseconds * 300 // 20 + 50):
            now = 0.007 + tick * TICK
            while waiting and waiting[0][0] <= now:
                buffer.put(waiting.pop(0)[1], now)
            while left < FRAME:
                piece = buffer.pop(now)
                letters.append(pieces([(now, piece)]))
                if isinstance(piece, Packet):
                    played.append(number_of(piece))
                    left += units
                else:
                    left += piece.duration if piece is not None else FRAME
            left -= FRAME
        assert played == list(range(300))
        assert "".join(letters).strip(".").startswith("P" * 300)
        assert buffer.lost == 0

    def test_a_lost_packet_of_sixty_milliseconds(self) -> None:
        talker = Talker(duration=480)
        buffer = JitterBuffer(RATE, measure=lambda packet: 480, minimum=0.1)
        for number in (0, 1, 3):
            buffer.put(talker.packet(number), 0.05 + 0.06 * number)
        found = [buffer.pop(0.17 + 0.06 * number) for number in range(4)]
        assert [number_of(piece) for piece in found if isinstance(piece, Packet)] == [0, 1, 3]
        lost = found[2]
        assert isinstance(lost, Lost)
        assert (lost.duration, lost.following is None) == (480, False)


class TestOtherPackets:
    def test_events_are_no_loss(self) -> None:
        talker = Talker()
        buffer = JitterBuffer(RATE)
        for number in range(100):
            event = 40 <= number < 60
            packet = talker.packet(number)
            if event:
                packet.timestamp = talker.timestamp + 40 * FRAME & 0xFFFFFFFF
            assert buffer.put(packet, 0.05 + number * TICK, sound=not event) is not event
            buffer.pop(0.057 + number * TICK)
        assert buffer.lost == 0
        assert buffer.played >= 75
        assert buffer.late == 0

    def test_comfort_noise_says_that_it_is_silent(self) -> None:
        talker = Talker()
        buffer = JitterBuffer(RATE)
        found: Found = []
        for number in range(100):
            if number < 50 or number >= 90:
                buffer.put(talker.packet(number if number < 50 else number - 39, 0), 0.05 + number * TICK)
            elif number == 50:
                buffer.put(talker.packet(50), 0.05 + number * TICK, sound=False)
            found.append((0.057 + number * TICK, buffer.pop(0.057 + number * TICK)))
        assert pieces(found[:90]).strip(".") == "P" * 50
        assert buffer.lost == 0

    def test_events_and_a_loss(self) -> None:
        talker = Talker()
        buffer = JitterBuffer(RATE, minimum=0.2)
        for number in range(20):
            if number != 9:
                buffer.put(talker.packet(number), 0.05 + number * TICK, sound=number not in (7, 8, 10))
        found = play(buffer, [], 1, start=0.26)
        assert numbers(found) == [0, 1, 2, 3, 4, 5, 6, *range(11, 20)]
        assert buffer.lost == 1

    def test_what_is_kept_of_them_is_bounded(self) -> None:
        talker = Talker()
        buffer = JitterBuffer(RATE)
        assert not buffer.put(talker.packet(0), 0.0, sound=False)
        buffer.put(talker.packet(0), 0.0)
        buffer.pop(0.05)
        for number in range(2, 5000):
            buffer.put(talker.packet(number), 0.05, sound=False)
        assert len(buffer._others) <= 512


class TestNewTimelines:
    def test_what_waits_of_the_old_one_is_counted(self) -> None:
        buffer = JitterBuffer(RATE)
        for number in range(3):
            buffer.put(Talker(ssrc=1).packet(number), 0.0)
        buffer.put(Talker(ssrc=2).packet(0), 0.01)
        assert (len(buffer), buffer.discarded, buffer.resynchronised) == (1, 3, 1)

    def test_another_source(self) -> None:
        old, new = Talker(ssrc=1), Talker(ssrc=2, sequence=7, timestamp=99)
        arrivals = regular(old, 100) + [(at + 2.0, packet) for at, packet in regular(new, 100)]
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 5)
        assert [piece.ssrc for _, piece in found if isinstance(piece, Packet)].count(2) == 100
        assert buffer.resynchronised == 1
        assert buffer.lost == buffer.late == 0
        # Two frames of the old one may still have waited.
        assert buffer.discarded <= 3

    @pytest.mark.parametrize("jump", [10**6, -(10**6), 2**31 - 1, -(2**31) + 1, 80000, -80000])
    def test_timestamps_that_jump_and_go_on_from_there(self, jump: int) -> None:
        talker = Talker()
        arrivals = regular(talker, 200)
        for number, (_, packet) in enumerate(arrivals):
            if number >= 100:
                packet.timestamp = packet.timestamp + jump & 0xFFFFFFFF
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 5)
        assert [number for number in numbers(found) if number >= 100] == list(range(100, 200))
        assert buffer.resynchronised == 1
        assert buffer.discarded <= 3

    @pytest.mark.parametrize("jump", [100, 5000, 30000, -100, -5000])
    def test_numbers_that_jump_while_time_goes_on(self, jump: int) -> None:
        arrivals = regular(Talker(), 200)
        for number, (_, packet) in enumerate(arrivals):
            if number >= 100:
                packet.sequence = packet.sequence + jump & 0xFFFF
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 5)
        assert numbers(found) == list(range(200))
        assert buffer.lost == 0

    def test_another_clock_rate(self) -> None:
        buffer = JitterBuffer(RATE)
        play(buffer, regular(Talker(), 50), 1)
        buffer.change_clock_rate(48000)
        talker = Talker(duration=960, rate=48000)
        found = play(buffer, [(at + 1, packet) for at, packet in regular(talker, 100)], 3, start=1.007)
        assert numbers(found) == list(range(100))
        assert "P" * 100 in pieces(found)


class TestWildPackets:
    """A28: wild timestamps neither fill the buffer nor stop it."""

    @pytest.mark.parametrize("jump", [2**31, 2**31 - 1, 2**30, -(2**30), 10**6, -(10**6)])
    def test_single_wild_timestamps_are_thrown_away(self, jump: int) -> None:
        arrivals = regular(Talker(), 500)
        for number in range(50, 500, 50):
            packet = arrivals[number][1]
            packet.timestamp = packet.timestamp + jump & 0xFFFFFFFF
        buffer = JitterBuffer(RATE)
        found = play(buffer, arrivals, 11)
        assert numbers(found) == [number for number in range(500) if number % 50 or not number]
        assert (buffer.discarded, buffer.lost, buffer.resynchronised) == (9, 9, 0)
        assert buffer.delay == pytest.approx(0.04)

    @pytest.mark.parametrize("ahead", [0.25, 0.4, 0.6, 0.9])
    def test_timestamps_a_little_ahead_push_nothing_out(self, ahead: float) -> None:
        arrivals = regular(Talker(), 500)
        wild = []
        for number in range(50, 500, 50):
            at, packet = arrivals[number]
            ahead_of_it = packet.timestamp + int(ahead * RATE) & 0xFFFFFFFF
            wild.append((at + 0.001, Packet(0, packet.sequence + 7 & 0xFFFF, ahead_of_it, packet.ssrc, b"\xff" * 4)))
        buffer = JitterBuffer(RATE)
        found = play(buffer, merged(arrivals, wild), 11)
        assert numbers(found) == list(range(500))
        assert (buffer.discarded, buffer.lost, buffer.late) == (9, 0, 0)

    def test_a_spray_of_them_is_survived(self) -> None:
        chance = random.Random(6)
        talker = Talker()
        spray = [
            (
                chance.random() * 10,
                Packet(0, chance.randrange(65536), chance.randrange(2**32), talker.ssrc, b"\xff\xff\xff\xff"),
            )
            for _ in range(5000)
        ]
        buffer = JitterBuffer(RATE)
        found = play(buffer, merged(regular(talker, 500), spray), 11)
        real = [number for number in numbers(found) if number < 500]
        assert len(real) >= 480
        assert buffer.delay <= 0.5

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 2), st.booleans(), st.floats(0, 0.3)
            ),
            max_size=80,
        )
    )
    def test_nothing_raises_or_grows(self, events: list[tuple[int, int, int, bool, float]]) -> None:
        buffer = JitterBuffer(RATE)
        now = 0.0
        for sequence, timestamp, ssrc, sound, later in events:
            now += later
            buffer.put(Packet(0, sequence, timestamp, ssrc, b""), now, sound)
            buffer.pop(now)
            assert len(buffer) <= 26
            assert buffer.delay <= 0.5 + 1e-9

    @given(st.integers(0, 2**32 - 1), st.lists(st.integers(-2000, 4000), max_size=200))
    def test_near_timestamps_do_not_either(self, seed: int, steps: list[int]) -> None:
        chance = random.Random(seed)
        buffer = JitterBuffer(RATE)
        now, timestamp = 0.0, 0
        for step in steps:
            timestamp = timestamp + step & 0xFFFFFFFF
            now += 0.02
            buffer.put(Packet(0, chance.randrange(65536), timestamp, 1, b""), now)
            piece = buffer.pop(now)
            assert piece is None or isinstance(piece, Packet) or 0 < piece.duration <= 960
            assert len(buffer) < 512

    def test_a_stream_goes_on_after_rubbish(self) -> None:
        chance = random.Random(2)
        buffer = JitterBuffer(RATE)
        for number in range(2000):
            buffer.put(Packet(0, chance.randrange(65536), chance.randrange(2**32), 1, b"\xff" * 4), number * 0.001)
            buffer.pop(number * 0.001)
        found = play(buffer, [(at + 2, packet) for at, packet in regular(Talker(ssrc=1), 100)], 4, start=2.007)
        assert numbers(found)[-95:] == list(range(5, 100))
