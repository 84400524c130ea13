"""A stream in both directions on a virtual clock: beats, RTCP, quality, digits, keep-alives, the end."""

import random
from dataclasses import replace

import numpy as np
import pytest

from ringback.media import codecs
from ringback.media.audio_port import Port
from ringback.media.audio_stream import KEEP_ALIVE, AudioStream, Surroundings
from ringback.media.audio_terms import AudioTerms
from ringback.media.rtcp import Bye, ExtendedReport, SenderReport, SourceDescription, parse_rtcp
from ringback.media.rtp import parse_rtp
from ringback.media.samples import Samples


def info(name: str) -> codecs.CodecInfo:
    found = codecs.find(name)
    assert found is not None
    return found


PCMU, G722, L16 = info("PCMU"), info("G722"), info("L16")
TERMS = AudioTerms(PCMU, 0, {0: PCMU, 9: G722, 96: L16}, event=101, events={101: 8000})


class Clock:
    def __init__(self) -> None:
        self.now = 10.0

    def __call__(self) -> float:
        return self.now


class End:
    """One end of a stream: its port, what it has heard, and its RTCP."""

    def __init__(self, clock: Clock, seed: int, terms: AudioTerms = TERMS, extended: bool = True) -> None:
        chance = random.Random(seed)
        self.errors: list[Exception] = []
        self.port = Port(8000, self.errors.append, lambda digits, length: self.stream.send_digits(digits, length))
        surroundings = Surroundings(
            clock, lambda: clock.now + 1.7e9, chance.random, lambda bits: chance.getrandbits(bits), f"end{seed}@test"
        )
        self.stream = AudioStream(terms, self.port, surroundings, clock.now, extended=extended)
        self.heard: list[tuple[int, Samples]] = []
        self.digits = ""
        self.port.subscribe(lambda samples, rate: self.heard.append((rate, samples)))
        self.port.on_digit(self._digit)
        self.reports: list[bytes] = []

    def _digit(self, digit: str) -> None:
        self.digits += digit


class Line:
    """Two ends, and a line that takes time and loses packets."""

    def __init__(
        self, terms: AudioTerms = TERMS, delay: float = 0.03, loss: float = 0.0, extended: bool = True
    ) -> None:
        self.clock = Clock()
        self.ends = [End(self.clock, 1, terms, extended), End(self.clock, 2, terms, extended)]
        self.delay, self.loss = delay, loss
        self.chance = random.Random(9)
        self.on_way: list[tuple[float, int, bool, bytes]] = []

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self.clock.now = round(self.clock.now + 0.02, 6)
            now = self.clock.now
            while self.on_way and self.on_way[0][0] <= now:
                arrival, to, control, data = self.on_way.pop(0)
                stream = self.ends[to].stream
                (stream.rtcp if control else stream.rtp)(data, arrival)
            for end in self.ends:
                end.stream.receive(now)
            for number, end in enumerate(self.ends):
                for data in end.stream.send(now):
                    if self.chance.random() >= self.loss:
                        self.on_way.append((now + self.delay, 1 - number, False, data))
                report = end.stream.report(now)
                if report is not None:
                    end.reports.append(report)
                    self.on_way.append((now + self.delay, 1 - number, True, report))


def tone(seconds: float, rate: int = 8000) -> Samples:
    return np.rint(8000 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def test_sound_takes_the_line_and_the_buffer_and_no_more() -> None:
    line = Line()
    one, other = line.ends
    line.run(1)
    one.port.playout.put(tone(1))
    line.run(2)
    frames = [samples for _, samples in other.heard]
    first = next(place for place, samples in enumerate(frames) if samples.any())
    # Heard since 30 ms on the line and 40 in the buffer; said in the first beat after a second.
    assert len(frames) == 150 - 4 and first == 50
    heard = np.concatenate(frames[first : first + 50])
    assert np.abs(heard.astype(int) - tone(1)).max() < 300


def test_reports_tell_each_side_how_it_is_heard() -> None:
    line = Line(delay=0.1, loss=0.05)
    line.run(60)
    one, other = line.ends
    kinds = [type(packet) for packet in parse_rtcp(one.reports[0]) or []]
    assert kinds[:2] == [SenderReport, SourceDescription]
    assert 8 <= len(one.reports) <= 25
    heard, said = one.stream.reports(line.clock.now)
    assert (heard.direction, said.direction, heard.codec) == ("received", "sent", "PCMU")
    assert heard.round_trip == pytest.approx(200, abs=25) and said.round_trip == heard.round_trip
    assert 0.0 < said.loss < 0.15 and 3.0 < said.mos < 4.4
    assert said.packets == one.stream.sender.packets
    # They agree on how much was lost.
    assert said.lost == pytest.approx(other.stream.receiving.jitter.lost, abs=30)


def test_extended_reports_go_only_where_they_are_read() -> None:
    for extended in (True, False):
        line = Line(extended=extended)
        line.run(30)
        found = [packet for data in line.ends[0].reports for packet in parse_rtcp(data) or []]
        assert any(isinstance(packet, ExtendedReport) for packet in found) is extended
        assert (line.ends[1].stream.sender.delivery.metrics is not None) is extended


def test_digits_go_the_way_that_is_there() -> None:
    line = Line()
    one, other = line.ends
    line.run(0.5)
    assert one.port.send_digits("12") == pytest.approx(0.36)
    line.run(1)
    assert other.digits == "12"
    informed: list[str] = []
    one.port.send_info = lambda digit, length: informed.append(digit)
    one.port.send_digits("3")
    line.run(0.5)
    one.stream.digit_way = "info"
    one.port.send_digits("4")
    line.run(0.5)
    one.stream.digit_way = "auto"
    one.stream.change(replace(TERMS, event=-1))
    one.port.send_digits("5")
    line.run(0.5)
    assert (other.digits, informed) == ("123", ["4", "5"])
    other.heard.clear()
    one.port.send_info = None
    one.port.send_digits("6")
    line.run(0.3)
    assert max(int(np.abs(samples).max()) for _, samples in other.heard) > 4000
    assert (other.digits, informed) == ("123", ["4", "5"])


def test_a_change_of_terms_keeps_the_source_unless_the_clock_is_another_one() -> None:
    line = Line()
    one, other = line.ends
    line.run(1)
    ssrc, sequence = one.stream.sender.ssrc, one.stream.sender.sequence
    one.port.playout.put(tone(10))
    one.stream.change(replace(TERMS, codec=G722, payload_type=9))
    assert one.port.rate == 16000
    line.run(1)
    assert (one.stream.sender.ssrc, one.stream.sender.sequence) == (ssrc, sequence + 50 & 0xFFFF)
    assert other.heard[-1][0] == 16000 and np.abs(other.heard[-1][1]).max() > 7000
    one.stream.change(replace(TERMS, codec=L16, payload_type=96))
    line.run(1)
    assert one.stream.sender.ssrc != ssrc
    assert other.stream.reception.changes == 1 and other.stream.receiving.jitter.lost == 0
    assert other.heard[-1][0] == 16000 and np.abs(other.heard[-1][1]).max() > 7000


def test_on_hold_the_way_is_kept_open() -> None:
    line = Line()
    one, other = line.ends
    line.run(1)
    packets = one.stream.sender.packets
    one.stream.change(replace(TERMS, sending=False))
    line.run(3 * KEEP_ALIVE + 1)
    assert one.stream.sender.packets - packets == 3
    assert other.stream.receiving.unknown == 3 and other.stream.receiving.jitter.lost == 0
    assert line.clock.now - other.stream.heard_at < 10
    one.stream.change(TERMS)
    (data,) = one.stream.send(line.clock.now)
    packet = parse_rtp(data)
    assert packet is not None and packet.marker


def test_the_last_report_says_goodbye() -> None:
    line = Line()
    assert line.ends[0].stream.goodbye(line.clock.now) == b""
    line.run(1)
    one, other = line.ends
    packets = parse_rtcp(one.stream.goodbye(line.clock.now))
    assert packets is not None and isinstance(packets[-1], Bye)
    other.stream.rtcp(one.stream.goodbye(line.clock.now), line.clock.now)
    assert other.stream.reporting.gone == ""
    one.stream.close()
    one.stream.close()


def test_a_beat_that_is_late_reports_by_the_clock() -> None:
    """What came since the beat was due must not have come in its future."""
    line = Line()
    line.run(20)
    stream = line.ends[0].stream
    due = stream.reporting.deadline
    line.clock.now = due + 5
    stream.rtcp(line.ends[1].reports[-1], line.clock.now)
    data = stream.report(due + 0.001)
    assert data is not None
    report = (parse_rtcp(data) or [])[0]
    assert isinstance(report, SenderReport) and report.blocks[0].delay < 65536


def test_nothing_that_comes_raises() -> None:
    line = Line()
    line.run(1)
    chance = random.Random(4)
    stream = line.ends[0].stream
    for _ in range(3000):
        data = bytes(chance.randrange(256) for _ in range(chance.randrange(80)))
        stream.rtp(data, line.clock.now)
        stream.rtcp(data, line.clock.now)
        stream.rtcp(bytes([0x80 | chance.randrange(32), chance.randrange(200, 208)]) + data, line.clock.now)
        stream.rtp(bytes([0x80, chance.randrange(128)]) + data, line.clock.now)
    line.run(2)
    assert line.ends[0].errors == []
