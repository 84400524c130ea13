"""Digits to send: as events, as tones, by SIP INFO; how long they take, and their bounds."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media.digit_sending import LONGEST, DigitSending, Way
from ringback.media.dtmf import Detector
from ringback.media.events import EventReceiver, EventStarted


class World:
    """Digits of one way, and the beats that pass."""

    def __init__(self, way: Way, rate: int = 8000, clock_rate: int = 8000, event_rate: int = 8000) -> None:
        self.informed: list[tuple[int, str, int]] = []
        self.beats = 0
        self.sending = DigitSending(lambda digit, length: self.informed.append((self.beats, digit, length)))
        self.sending.use(way, rate, clock_rate, event_rate)
        self.beat = rate // 50


def test_events_stand_in_the_place_of_the_sound_and_pauses_do_not() -> None:
    world = World("event")
    assert not world.sending.busy
    assert world.sending.send("15", 100) == pytest.approx(0.36)
    receiver = EventReceiver(8000)
    heard, silent = "", []
    while world.sending.busy:
        assert world.sending.tone(160) is None
        parts = world.sending.events(1000 + world.beats * 160)
        if parts is None:
            silent.append(world.beats)
        for part in parts or []:
            for told in receiver.receive(part.payload, 1000 + part.segment, part.first):
                if isinstance(told, EventStarted):
                    heard += told.digit
        world.beats += 1
        assert world.beats < 100
    assert heard == "15"
    # Five beats each and two repetitions of its end, then sound until the next begins.
    assert silent[:2] == [7, 8]
    assert world.sending.events(0) is None


def test_the_clock_of_events_may_be_another_one_than_that_of_the_sound() -> None:
    world = World("event", 48000, 48000, 8000)
    world.sending.send("1", 9000)
    segments, durations = [], []
    while world.sending.busy:
        for part in world.sending.events(5000 + world.beats * 960) or []:
            segments.append(part.segment)
            durations.append(int.from_bytes(part.payload[2:4], "big"))
        world.beats += 1
    # The duration counts in the events' clock; a segment of 65,535 units of it begins later by as much in the sound's.
    assert max(durations) == 65535 and set(segments) == {0, 65535 * 6}


def test_tones_are_what_a_detector_finds() -> None:
    world = World("inband", 16000)
    took = world.sending.send("147*", 90)
    detector = Detector(16000)
    heard, pieces = "", []
    while world.sending.busy:
        assert world.sending.events(0) is None
        piece = world.sending.tone(320)
        if piece is not None:
            assert len(piece) == 320
            pieces.append(piece)
            heard += detector.heard(piece)
        world.beats += 1
    assert heard == "147*"
    assert world.beats == round(took * 50) == 4 * 9
    assert not np.concatenate(pieces)[-160:].any()


def test_info_is_asked_for_when_a_digit_begins_and_the_sound_goes_on() -> None:
    world = World("info")
    assert world.sending.send("42", 120) == pytest.approx(0.4)
    while world.sending.busy:
        assert world.sending.events(0) is None
        assert world.sending.tone(160) is None
        world.beats += 1
    assert world.informed == [(0, "4", 120), (10, "2", 120)]
    assert world.beats == 20


def test_what_is_sent_later_waits_its_turn_and_is_counted() -> None:
    world = World("inband")
    first = world.sending.send("1", 100)
    assert world.sending.send("2", 100) == pytest.approx(2 * first)


@pytest.mark.parametrize("way", ["event", "inband", "info"])
def test_what_is_no_digit_is_refused_and_nothing_is_sent(way: Way) -> None:
    world = World(way)
    for digits, length in (("12x", 100), ("1", 39), ("1", 60001), ("é", 100)):
        with pytest.raises(LocalError):
            world.sending.send(digits, length)
    assert not world.sending.busy and world.informed == []
    assert world.sending.send("", 100) == 0.0
    with pytest.raises(LocalError, match=f"{LONGEST} seconds"):
        world.sending.send("1" * 6, 60000)


def test_another_way_forgets_what_waits_and_the_same_does_not() -> None:
    world = World("inband")
    world.sending.send("123", 100)
    world.sending.use("inband", 8000, 8000, 8000)
    assert world.sending.busy
    world.sending.use("inband", 16000, 8000, 8000)
    assert not world.sending.busy and world.sending.tone(320) is None


def test_a_flush_lets_no_other_digit_begin() -> None:
    world = World("info")
    world.sending.send("123", 100)
    world.sending.tone(160)
    world.sending.flush()
    for _ in range(50):
        world.sending.tone(160)
    assert [digit for _, digit, _ in world.informed] == ["1"] and not world.sending.busy
