"""What is sent in every beat: packet times, silence, comfort noise, digits, hold, other terms."""

from dataclasses import replace

import numpy as np
import pytest

from ringback.media import codecs
from ringback.media.audio_port import Port
from ringback.media.audio_sender import AudioSender
from ringback.media.audio_terms import AudioTerms
from ringback.media.codecs import cn
from ringback.media.codecs.pcmu import EXPAND
from ringback.media.digit_sending import DigitSending
from ringback.media.rtp import Packet, parse_rtp
from ringback.media.samples import Samples
from ringback.media.sender import Sender

SEQUENCE, TIMESTAMP = 65534, 2**32 - 320


def info(name: str) -> codecs.CodecInfo:
    found = codecs.find(name)
    assert found is not None
    return found


PCMU = AudioTerms(info("PCMU"), 0, {0: info("PCMU")}, event=101, noise=13)


class World:
    """A sender with its port."""

    def __init__(self, terms: AudioTerms = PCMU) -> None:
        self.now = 100.0
        self.port = Port(terms.codec.sample_rate, lambda error: None, lambda digits, length: 0.0)
        self.digits = DigitSending(lambda digit, length: None)
        self.sender = Sender(0xABCD, SEQUENCE, TIMESTAMP, terms.codec.clock_rate)
        self.sending = AudioSender(terms, self.sender, self.port, self.digits)

    def beat(self) -> list[Packet]:
        return self._parsed(self.sending.beat(self.now))

    def _parsed(self, sent: list[bytes]) -> list[Packet]:
        self.now += 0.02
        packets = [parse_rtp(data) for data in sent]
        assert None not in packets
        return [packet for packet in packets if packet is not None]

    def beats(self, count: int) -> list[list[Packet]]:
        return [self.beat() for _ in range(count)]

    def music(self) -> list[Packet]:
        return self._parsed(self.sending.music(self.now))


def tone(count: int, amplitude: float = 8000.0) -> Samples:
    return np.rint(amplitude * np.sin(2 * np.pi * 440 * np.arange(count) / 8000)).astype(np.int16)


def sound(packets: list[Packet]) -> Samples:
    return EXPAND[np.frombuffer(b"".join(packet.payload for packet in packets), dtype=np.uint8)]


@pytest.mark.parametrize(
    ("frame", "each"),
    [
        (10, [2, 2, 2, 2, 2, 2]),
        (20, [1, 1, 1, 1, 1, 1]),
        (30, [0, 1, 1, 0, 1, 1]),
        (40, [0, 1, 0, 1, 0, 1]),
        (60, [0, 0, 1, 0, 0, 1]),
    ],
)
def test_a_packet_holds_the_time_that_was_agreed_and_nothing_is_lost(frame: int, each: list[int]) -> None:
    world = World(replace(PCMU, frame=frame))
    said = tone(960)
    world.port.playout.put(said)
    beats = world.beats(6)
    assert [len(packets) for packets in beats] == each
    packets = [packet for packets in beats for packet in packets]
    length = frame * 8
    assert all(len(packet.payload) == length for packet in packets)
    assert [packet.sequence for packet in packets] == [SEQUENCE + n & 0xFFFF for n in range(len(packets))]
    assert [packet.timestamp for packet in packets] == [
        TIMESTAMP + n * length & 0xFFFFFFFF for n in range(len(packets))
    ]
    assert [packet.marker for packet in packets] == [True] + [False] * (len(packets) - 1)
    whole = sound(packets)
    assert np.abs(whole.astype(int) - said[: len(whole)]).max() < 300


def test_the_time_of_a_packet_may_change_between_two() -> None:
    world = World(replace(PCMU, frame=40))
    said = tone(8 * 160)
    world.port.playout.put(said)
    packets = world.beat()
    world.sending.set_frame(20)
    packets += [packet for packets in world.beats(7) for packet in packets]
    # What waited for its other half goes first.
    assert [len(packet.payload) for packet in packets] == [160] * 8
    assert [packet.timestamp for packet in packets] == [TIMESTAMP + n * 160 & 0xFFFFFFFF for n in range(8)]
    assert np.abs(sound(packets).astype(int) - said).max() < 300


def test_a_codec_gets_no_packet_longer_than_it_has() -> None:
    world = World(replace(PCMU, frame=200))
    assert world.sending.frame == 60
    world.sending.set_frame(5)
    assert world.sending.frame == 10


@pytest.mark.parametrize("name", ["PCMU", "G722"])
def test_silence_is_sent_as_sound(name: str) -> None:
    world = World(AudioTerms(info(name), 9, {}))
    packets = [packet for packets in world.beats(50) for packet in packets]
    assert len(packets) == 50 and all(len(packet.payload) == 160 for packet in packets)
    decoder = codecs.decoder(info(name))
    assert max(int(np.abs(decoder.decode(packet.payload)).max()) for packet in packets) <= 16


def test_silence_is_described_where_that_was_agreed_and_wanted() -> None:
    world = World()
    world.sending.set_comfort(True)
    world.port.playout.put(tone(1600))
    beats = world.beats(100)
    packets = [packet for packets in beats for packet in packets]
    spoken = [packet for packet in packets if packet.payload_type == 0]
    noise = [packet for packet in packets if packet.payload_type == 13]
    # Ten frames of sound, the end of them heard out, then a description every second.
    assert 10 <= len(spoken) <= 21 and 1 <= len(noise) <= 3
    assert cn.parse(noise[-1].payload).level == 127
    # Time goes on while nothing is sent.
    assert noise[0].timestamp == TIMESTAMP + len(spoken) * 160 & 0xFFFFFFFF
    world.port.playout.put(tone(1600))
    (again,) = world.beat()
    assert (again.payload_type, again.marker) == (0, True)
    assert again.timestamp == TIMESTAMP + 100 * 160 & 0xFFFFFFFF
    assert again.sequence == SEQUENCE + len(packets) & 0xFFFF


def test_no_comfort_noise_without_an_agreement() -> None:
    world = World(replace(PCMU, noise=-1))
    world.sending.set_comfort(True)
    assert all(packets[0].payload_type == 0 for packets in world.beats(60))


@pytest.mark.skipif(codecs.find("opus") is None, reason="libopus is not installed")
def test_opus_describes_silence_by_itself() -> None:
    world = World(AudioTerms(info("opus"), 96, {}))
    assert sum(len(packets) for packets in world.beats(100)) == 100
    world.sending.set_comfort(True)
    world.beats(50)
    few = world.beats(100)
    assert 1 <= sum(len(packets) for packets in few) <= 20
    world.sending.set_comfort(False)
    world.beats(5)
    (packet,) = world.beat()
    assert packet.timestamp == TIMESTAMP + 255 * 960 & 0xFFFFFFFF


def test_a_digit_stands_in_the_place_of_the_sound_which_waits() -> None:
    world = World()
    said = tone(160 * 40)
    world.port.playout.put(said)
    before = world.beats(3)
    world.digits.use("event", 8000, 8000, 8000)
    world.digits.send("5", 100)
    events = world.beats(7)
    after = world.beats(3)
    assert all(packet.payload_type == 101 for packets in events for packet in packets)
    flat = [packet for packets in events for packet in packets]
    assert [packet.marker for packet in flat] == [True] + [False] * 6
    begins = TIMESTAMP + 3 * 160 & 0xFFFFFFFF
    assert {packet.timestamp for packet in flat} == {begins}
    assert [packet.payload[0] for packet in flat] == [5] * 7
    assert [bool(packet.payload[1] & 0x80) for packet in flat] == [False] * 4 + [True] * 3
    assert [packet.sequence for packets in before + events + after for packet in packets] == [
        SEQUENCE + n & 0xFFFF for n in range(13)
    ]
    assert after[0][0].marker and after[0][0].timestamp == begins + 7 * 160 & 0xFFFFFFFF
    heard = sound([packet for packets in before + after for packet in packets])
    assert np.abs(heard.astype(int) - said[: len(heard)]).max() < 300


def test_a_tone_stands_in_the_place_of_the_sound_and_what_is_fed_is_gone() -> None:
    world = World()
    feed = world.port.feed()
    world.digits.use("inband", 8000, 8000, 8000)
    world.digits.send("5", 100)
    packets = []
    for _ in range(9):
        feed.put(np.full(160, 30000, dtype=np.int16), 8000)
        packets += world.beat()
    heard = sound(packets)
    assert len(packets) == 9 and not world.digits.busy
    assert 5000 < np.abs(heard[:800]).max() < 22000 and not heard[820:].any()


def test_on_hold_nothing_goes_and_time_passes() -> None:
    world = World(replace(PCMU, frame=40))
    feed = world.port.feed()
    world.port.playout.put(tone(160))
    world.beat()
    for _ in range(10):
        feed.put(tone(160), 8000)
        world.sending.rest()
    assert world.sender.packets == 0 and world.sender.timestamp == TIMESTAMP + 11 * 160 & 0xFFFFFFFF
    world.port.playout.put(tone(320))
    assert world.beat() == []
    (packet,) = world.beat()
    assert packet.marker and packet.timestamp == TIMESTAMP + 11 * 160 & 0xFFFFFFFF


def test_while_we_hold_what_is_played_goes_and_what_is_spoken_does_not() -> None:
    world = World()
    feed = world.port.feed()
    feed.put(tone(160), 8000)
    assert world.music() == []
    world.port.playout.put(tone(160, 1000))
    feed.put(tone(160), 8000)
    (packet,) = world.music()
    assert packet.timestamp == TIMESTAMP + 160 & 0xFFFFFFFF
    assert 900 < np.abs(sound([packet])).max() < 1100


def test_other_terms_keep_the_encoder_of_the_same_codec_and_change_that_of_another() -> None:
    world = World()
    encoder = world.sending.encoder
    world.sending.change(replace(PCMU, frame=30, payload_type=96))
    assert world.sending.encoder is encoder and world.sending.frame == 30
    world.sending.change(replace(PCMU, parameters={"x": "y"}))
    assert world.sending.encoder is not encoder
    world.sending.change(AudioTerms(info("G722"), 9, {}))
    world.port.change_rate(16000)
    (packet,) = world.beat()
    assert (packet.payload_type, len(packet.payload)) == (9, 160)


def test_half_a_packet_of_another_rate_is_forgotten() -> None:
    world = World(replace(PCMU, frame=40))
    world.port.playout.put(tone(160))
    world.beat()
    world.sending.change(AudioTerms(info("G722"), 9, {}, frame=20))
    world.port.change_rate(16000)
    (packet,) = world.beat()
    assert packet.timestamp == TIMESTAMP + 160 & 0xFFFFFFFF


def test_closing_twice_is_no_problem() -> None:
    world = World()
    world.sending.close()
    world.sending.close()
