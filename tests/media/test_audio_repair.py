"""Repair of a stream of sound: what is done at once, what is asked for, and what comes of it."""

from dataclasses import replace

import pytest

from ringback.media import codecs
from ringback.media.audio_port import Port
from ringback.media.audio_repair import AudioRepair
from ringback.media.audio_stream import AudioStream, Surroundings
from ringback.media.audio_terms import AudioTerms
from ringback.media.backend import MediaPreferences
from ringback.media.codecs.opus import OpusEncoder
from ringback.media.quality import Report

pytestmark = pytest.mark.skipif(codecs.find("opus") is None, reason="libopus is not installed")


def info(name: str) -> codecs.CodecInfo:
    found = codecs.find(name)
    assert found is not None
    return found


PREFERENCES = MediaPreferences(codecs=("PCMU", "opus"))


class World:
    """A stream under repair, seconds that pass with figures, and what was asked for and noted."""

    def __init__(self, codec: str = "opus", can_ask: bool = True, longest: int = 60) -> None:
        self.terms = AudioTerms(info(codec), 96, {96: info(codec)}, longest=longest)
        surroundings = Surroundings(lambda: self.now, lambda: self.now, lambda: 0.5, lambda bits: bits, "x")
        self.now = 1000.0
        self.packets = 0
        port = Port(8000, lambda error: None, lambda digits, length: 0.0)
        self.stream = AudioStream(self.terms, port, surroundings, self.now)
        self.asked: list[tuple[tuple[str, ...], str]] = []
        self.notes: list[tuple[str, str]] = []
        self.can_ask = can_ask
        self.repair = AudioRepair(self.stream, self._ask, lambda reason, what: self.notes.append((reason, what)))
        self.repair.agreed(("PCMU", "opus"), PREFERENCES)

    def _ask(self, preferences: MediaPreferences, reason: str) -> bool:
        self.asked.append((preferences.codecs, reason))
        return self.can_ask

    @property
    def encoder(self) -> OpusEncoder:
        encoder = self.stream.sending.encoder
        assert isinstance(encoder, OpusEncoder)
        return encoder

    def agree(self, codec: str, first: tuple[str, ...]) -> None:
        self.stream.change(replace(self.terms, codec=info(codec), receive={96: info(codec)}))
        self.repair.agreed(("PCMU", "opus"), replace(PREFERENCES, codecs=first))

    def run(self, seconds: int, loss: float = 0.0, round_trip: float = 50.0) -> None:
        for _ in range(seconds):
            for _ in range(50):
                self.now += 0.02
                self.packets += 1
                if self.repair.due(self.now):
                    figures = Report(
                        "received", self.now, "x", loss, 5.0, round_trip, 60.0, 80.0, 4.0, self.packets, 0, 0, 1.0
                    )
                    self.repair.measure([figures], self.now)


def test_a_good_line_changes_nothing() -> None:
    world = World()
    before = world.encoder.settings
    world.run(120)
    assert (world.notes, world.asked, world.encoder.settings) == ([], [], before)
    assert not world.repair.fec


def test_loss_is_met_with_fec_and_fec_is_taken_back() -> None:
    world = World()
    rate = world.encoder.settings.bitrate
    world.run(20, loss=0.08)
    assert world.notes[0][1] == "FEC on" and "loss 8.0 %" in world.notes[0][0]
    assert world.repair.fec and world.encoder.settings.fec and world.encoder.settings.expected_loss == 8
    world.run(60)
    assert [what for _, what in world.notes] == ["FEC on", "FEC off"]
    assert (world.encoder.settings.expected_loss, world.encoder.settings.bitrate) == (0, rate)
    assert world.asked == []


def test_a_thin_line_gets_longer_packets_and_a_lower_rate_within_what_the_other_side_takes() -> None:
    world = World(longest=40)
    rate = world.encoder.settings.bitrate
    world.run(60, round_trip=900.0)
    changes = [what for _, what in world.notes]
    assert changes[0] == "frames of 20 to 40 ms" and world.stream.sending.frame == 40
    assert all("60 ms" not in change for change in changes)
    assert world.encoder.settings.bitrate < rate
    world.run(300)
    assert world.stream.sending.frame == 20 and world.encoder.settings.bitrate == rate


def test_another_codec_is_asked_for_and_then_used_with_fec() -> None:
    world = World("PCMU")
    world.run(20, loss=0.08)
    assert [codecs for codecs, _ in world.asked] == [("opus", "PCMU")]
    assert world.asked[0][1] == world.notes[0][0] + ": PCMU to opus"
    assert world.notes[0][1] == "PCMU to opus: asked for"
    world.agree("opus", ("opus", "PCMU"))
    assert world.encoder.settings.fec and world.encoder.settings.expected_loss == 8
    # Good again: the first codec comes back.
    world.run(60)
    assert [codecs for codecs, _ in world.asked] == [("opus", "PCMU"), ("PCMU", "opus")]
    world.agree("PCMU", ("PCMU", "opus"))
    assert world.stream.terms.codec.name == "PCMU" and not world.repair.fec
    world.run(60)
    assert len(world.asked) == 2


def test_what_is_not_agreed_to_is_not_asked_for_again_at_once() -> None:
    world = World("PCMU")
    world.run(100, loss=0.08)
    assert len(world.asked) == 1
    assert [what for _, what in world.notes] == ["PCMU to opus: asked for", "PCMU to opus: not agreed to"]


def test_who_cannot_ask_leaves_it() -> None:
    world = World("PCMU", can_ask=False)
    world.run(60, loss=0.08)
    assert len(world.asked) == 1 and world.notes == []


def test_a_new_agreement_with_the_same_codec_keeps_what_repair_has_done() -> None:
    world = World()
    world.run(20, loss=0.08)
    world.agree("opus", ("opus", "PCMU"))
    assert world.encoder.settings.expected_loss == 8 and world.repair.fec
    # Another encoder of the same codec is set the same.
    world.stream.change(replace(world.terms, parameters={"useinbandfec": "1"}))
    world.repair.agreed(("opus",), PREFERENCES)
    assert world.encoder.settings.expected_loss == 8
    world.agree("PCMU", ("PCMU",))
    assert not world.repair.fec


def test_it_looks_once_a_second() -> None:
    world = World()
    assert world.repair.due(world.now)
    world.run(1)
    assert not world.repair.due(world.now) and world.repair.due(world.now + 1)
