"""What is heard in every beat: packets of any length, loss, silence, noise, digits, other codecs and sources."""

from dataclasses import replace

import numpy as np
import pytest

from ringback.media import codecs
from ringback.media.audio_receiver import AudioReceiver
from ringback.media.audio_terms import AudioTerms
from ringback.media.codecs.base import Adjustable
from ringback.media.codecs.pcmu import COMPRESS, EXPAND
from ringback.media.dtmf import make
from ringback.media.events import Report, build
from ringback.media.reception import Reception
from ringback.media.rtp import encode_rtp
from ringback.media.samples import Samples


def info(name: str) -> codecs.CodecInfo:
    found = codecs.find(name)
    assert found is not None
    return found


PCMU, G722 = info("PCMU"), info("G722")
TERMS = AudioTerms(
    PCMU, 0, {0: PCMU, 8: info("PCMA"), 9: G722, 96: info("L16")}, events={101: 8000}, noises=frozenset({13})
)
DELAY = 0.05


def tone(count: int, rate: int = 8000, amplitude: float = 8000.0) -> Samples:
    return np.rint(amplitude * np.sin(2 * np.pi * 440 * np.arange(count) / rate)).astype(np.int16)


class World:
    """A receiver, and a far end that sends to it."""

    def __init__(self, terms: AudioTerms = TERMS, detect: bool = False) -> None:
        self.reception = Reception(terms.codec.clock_rate)
        self.digits: list[tuple[str, str]] = []
        self.receiver = AudioReceiver(terms, self.reception, lambda digit, by: self.digits.append((digit, by)), detect)
        self.now = 50.0
        self.sequence, self.timestamp, self.ssrc = 65530, 2**32 - 1000, 0x1234
        self.frames: list[Samples | None] = []

    def sound(self, samples: Samples, payload_type: int = 0, at: float | None = None) -> None:
        self.payload(COMPRESS[samples.view(np.uint16)].tobytes(), len(samples), payload_type, at)

    def payload(self, payload: bytes, duration: int, payload_type: int = 0, at: float | None = None) -> None:
        data = encode_rtp(payload_type, self.sequence, self.timestamp, self.ssrc, payload)
        self.receiver.packet(data, self.now if at is None else at)
        self.skip(duration)

    def skip(self, duration: int, numbers: int = 1) -> None:
        self.sequence = self.sequence + numbers & 0xFFFF
        self.timestamp = self.timestamp + duration & 0xFFFFFFFF

    def beat(self, count: int = 1) -> list[Samples | None]:
        frames = []
        for _ in range(count):
            frames.append(self.receiver.beat(self.now))
            self.now += 0.02
        self.frames += frames
        return frames

    def heard(self) -> Samples:
        return np.concatenate([frame for frame in self.frames if frame is not None])


def expanded(samples: Samples) -> Samples:
    return EXPAND[COMPRESS[samples.view(np.uint16)]]


@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
def test_packets_of_any_length_become_beats(milliseconds: int) -> None:
    world = World()
    length = milliseconds * 8
    said = tone(length * 40)
    sent = 0
    for number in range(40 * milliseconds // 20 + 1):
        while sent * milliseconds <= number * 20 and sent < 40:
            world.sound(said[sent * length : sent * length + length], at=50 + sent * milliseconds / 1000)
            sent += 1
        world.beat()
    world.beat(20)
    frames = [frame for frame in world.frames if frame is not None]
    assert {len(frame) for frame in frames} == {160}
    heard = world.heard()
    assert np.array_equal(heard[: len(said)], expanded(said))
    assert world.receiver.jitter.lost == 0


def test_before_anything_comes_there_is_nothing() -> None:
    world = World()
    assert world.beat(10) == [None] * 10
    assert world.receiver.rate == 8000


def test_a_lost_packet_is_made_up_and_the_next_one_is_in_its_place() -> None:
    world = World()
    said = tone(160 * 50)
    for number in range(50):
        if number == 25:
            world.skip(160)
        else:
            world.sound(said[number * 160 : number * 160 + 160])
        world.beat()
    assert (world.receiver.concealed, world.receiver.jitter.lost) == (1, 1)
    world.beat(5)
    heard = world.heard()
    # A tone goes on in the gap.
    gap = heard[25 * 160 : 26 * 160]
    assert np.abs(gap.astype(int) - said[25 * 160 : 26 * 160]).max() < 2500
    assert np.array_equal(heard[27 * 160 : 50 * 160], expanded(said)[27 * 160 :])


@pytest.mark.skipif(codecs.find("opus") is None, reason="libopus is not installed")
def test_what_opus_says_twice_is_taken_from_the_next_packet() -> None:
    opus = info("opus").at(16000)
    terms = AudioTerms(opus, 96, {96: opus})

    def heard(lost: int) -> tuple[Samples, World]:
        world = World(terms)
        encoder = codecs.encoder(opus, {"useinbandfec": "1"})
        assert isinstance(encoder, Adjustable)
        encoder.adjust(fec=True, expected_loss=20)
        said = tone(320 * 60, 16000)
        for number in range(60):
            payload = encoder.encode(said[number * 320 : number * 320 + 320])
            if number == lost:
                world.skip(960)
            else:
                world.payload(payload, 960, 96)
            world.beat()
        return world.heard(), world

    whole, _ = heard(-1)
    repaired, world = heard(40)
    assert (world.receiver.recovered, world.receiver.concealed) == (1, 0)
    place = 40 * 320
    error = repaired[place : place + 320].astype(float) - whole[place : place + 320]
    assert np.sqrt(np.mean(error**2)) < 0.4 * np.sqrt(np.mean(whole[place : place + 320].astype(float) ** 2))


def test_silence_of_the_far_end_is_nothing_and_comfort_noise_is_made() -> None:
    world = World()
    for _ in range(20):
        world.sound(tone(160))
        world.beat()
    world.payload(bytes([40]), 0, 13)
    world.beat(5)
    world.frames.clear()
    world.beat(40)
    loud = np.sqrt(np.mean(world.heard().astype(float) ** 2))
    # -40 dBov.
    assert loud == pytest.approx(327.68, rel=0.15)
    assert world.receiver.jitter.lost == 0
    world.payload(b"", 0, 13)
    assert world.receiver.malformed == 1


def test_without_a_description_silence_stays_silence() -> None:
    world = World()
    for _ in range(20):
        world.sound(tone(160))
        world.beat()
    # The last packets, made-up sound, and nothing.
    world.beat(10)
    assert world.beat(20) == [None] * 20


def test_events_are_reported_once_and_are_no_loss() -> None:
    world = World()
    for number in range(60):
        if 20 <= number < 27:
            duration = 160 * min(number - 19, 5)
            data = encode_rtp(
                101,
                world.sequence,
                world.timestamp - 160 * (number - 20) & 0xFFFFFFFF,
                world.ssrc,
                build(Report(7, number >= 24, 10, duration)),
                number == 20,
            )
            world.receiver.packet(data, world.now)
            world.skip(160)
        else:
            world.sound(tone(160))
        world.beat()
    assert world.digits == [("7", "event")]
    assert (world.receiver.jitter.lost, world.receiver.concealed) == (0, 0)


def test_digits_are_heard_in_the_sound_only_when_asked_for_and_no_events_were_agreed() -> None:
    def digits(terms: AudioTerms, detect: bool) -> list[tuple[str, str]]:
        world = World(terms, detect)
        sound = np.concatenate((make("5", 8000, 100), np.zeros(640, dtype=np.int16), make("#", 8000, 100)))
        for place in range(0, len(sound) - 159, 160):
            world.sound(sound[place : place + 160])
            world.beat()
        world.beat(10)
        return world.digits

    without = replace(TERMS, events={})
    assert digits(without, True) == [("5", "tone"), ("#", "tone")]
    assert digits(without, False) == digits(TERMS, True) == []


def test_payload_types_may_change_from_packet_to_packet() -> None:
    world = World()
    encoder = codecs.encoder(G722)
    rates = []
    for number in range(60):
        if number % 20 < 10:
            world.sound(tone(160))
        else:
            world.payload(encoder.encode(tone(320, 16000)), 160, 9)
        for frame in world.beat():
            rates.append(0 if frame is None else world.receiver.rate)
            assert frame is None or len(frame) == world.receiver.rate // 50
    assert list(dict.fromkeys(rates)) == [0, 8000, 16000]
    assert world.receiver.jitter.lost == 0
    assert rates.count(8000) >= 28 and rates.count(16000) >= 25


def test_another_clock_begins_anew_and_is_not_believed_of_strangers() -> None:
    world = World()
    wide = replace(TERMS, receive={**TERMS.receive, 97: info("L16")})
    assert wide.receive[97].clock_rate == 16000
    world.receiver.change(wide)
    for _ in range(20):
        world.sound(tone(160))
        world.beat()
    before = world.receiver.unknown
    for number in range(10):
        world.receiver.packet(encode_rtp(97, number, number * 320, 0xBAD, bytes(640)), world.now)
    assert world.receiver.unknown - before == 10 and world.receiver.rate == 8000
    for _ in range(20):
        world.payload(tone(320, 16000).astype(">i2").tobytes(), 320, 97)
        world.beat()
    assert world.receiver.rate == 16000
    assert np.abs(world.frames[-1]).max() > 7900  # type: ignore[arg-type]


def test_what_is_malformed_unknown_or_of_nobody_is_counted_and_dropped() -> None:
    world = World()
    for _ in range(10):
        world.sound(tone(160))
        world.beat()
    receiver = world.receiver
    for data in (b"", b"\x80", bytes(12), b"\x00" * 200, encode_rtp(72, 1, 1, 1, b"")):
        receiver.packet(data, world.now)
    assert receiver.malformed == 5
    receiver.packet(encode_rtp(55, 7, 7, 0xBAD, bytes(160)), world.now)
    world.payload(bytes(20), 0, 55)
    assert receiver.unknown == 2
    receiver.packet(encode_rtp(0, 7, 7, 0xBAD, bytes(160)), world.now)
    receiver.packet(encode_rtp(101, 7, 7, 0xBAD, build(Report(1, False, 10, 160))), world.now)
    assert world.digits == [] and world.reception.refused == 2
    for _ in range(10):
        world.sound(tone(160))
        world.beat()
    assert receiver.jitter.lost == 0


def test_while_nothing_is_to_be_received_packets_count_and_are_not_heard() -> None:
    world = World(replace(TERMS, receiving=False))
    for _ in range(20):
        world.sound(tone(160))
        assert world.beat() == [None]
    assert (world.receiver.withheld, world.reception.received) == (20, 20)
    world.receiver.change(TERMS)
    for _ in range(20):
        world.sound(tone(160))
        world.beat()
    assert np.abs(world.heard()).max() > 7000


def test_another_source_is_followed_when_the_first_is_silent_and_its_digits_are_new() -> None:
    world = World()
    for _ in range(20):
        world.sound(tone(160))
        world.beat()
    world.payload(build(Report(3, False, 10, 160)), 160, 101)
    world.beat(15)
    world.ssrc, world.sequence = 0x9999, 5
    world.payload(build(Report(3, False, 10, 160)), 160, 101)
    for _ in range(20):
        world.sound(tone(160))
        world.beat()
    assert world.digits == [("3", "event"), ("3", "event")]
    assert world.reception.changes == 1 and np.abs(world.frames[-1]).max() > 7000  # type: ignore[arg-type]


def test_decoders_go_on_when_terms_change_and_a_type_that_is_gone_is_not_played() -> None:
    world = World()
    encoder = codecs.encoder(G722)
    for _ in range(10):
        world.payload(encoder.encode(tone(320, 16000)), 160, 9)
        world.beat()
    decoder = world.receiver._formats[9].decoder
    assert decoder is not None
    world.receiver.change(TERMS)
    assert world.receiver._formats[9].decoder is decoder
    world.receiver.change(replace(TERMS, receive={0: PCMU}))
    assert 9 not in world.receiver._formats
    assert world.beat(3)[-1] is None
    world.payload(encoder.encode(tone(320, 16000)), 160, 9)
    assert world.receiver.unknown == 1


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_a_clock_that_is_not_ours_is_followed(drift: float) -> None:
    """Five minutes with 200 parts in a million: three packets too many or too few, and the delay stays."""
    world = World()
    sent = 0
    start = world.now
    for _ in range(15000):
        while start + sent * 0.02 * (1 + drift) <= world.now:
            world.sound(tone(160))
            sent += 1
        world.beat()
    jitter = world.receiver.jitter
    assert jitter.lost == 0 and jitter.delay < 0.1 and len(jitter) <= 5
    if drift < 0:
        assert 1 <= jitter.dropped <= 6
    else:
        assert 1 <= jitter.inserted + jitter.dropped <= 8
    assert sum(frame is None for frame in world.frames) <= 4


def test_closing_twice_is_no_problem() -> None:
    world = World()
    world.sound(tone(160))
    world.receiver.close()
    world.receiver.close()
