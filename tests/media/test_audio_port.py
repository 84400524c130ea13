"""Where sound meets those who hear and speak: listeners, feeds beside the playout, levels, digits."""

import numpy as np
import pytest

from ringback.media.audio_port import LONGEST_FEED, Port
from ringback.media.samples import Samples


class World:
    """A port, and what it reported and sent."""

    def __init__(self, rate: int = 8000) -> None:
        self.errors: list[Exception] = []
        self.sent: list[tuple[str, int]] = []
        self.port = Port(rate, self.errors.append, self._send)

    def _send(self, digits: str, milliseconds: int) -> float:
        self.sent.append((digits, milliseconds))
        return len(digits) * milliseconds / 1000


def frame(value: int, count: int = 160) -> Samples:
    return np.full(count, value, dtype=np.int16)


def test_every_listener_hears_every_frame_until_it_ends() -> None:
    world = World()
    heard: list[tuple[str, int, int]] = []
    first = world.port.subscribe(lambda samples, rate: heard.append(("first", int(samples[0]), rate)))
    second = world.port.subscribe(lambda samples, rate: heard.append(("second", int(samples[0]), rate)))
    world.port.heard(frame(1), 8000)
    first()
    first()
    world.port.heard(frame(2), 16000)
    second()
    world.port.heard(frame(3), 8000)
    assert heard == [("first", 1, 8000), ("second", 1, 8000), ("second", 2, 16000)]


def test_one_callable_may_listen_twice_and_end_once() -> None:
    world = World()
    heard: list[int] = []

    def listener(samples: Samples, rate: int) -> None:
        heard.append(int(samples[0]))

    ends = [world.port.subscribe(listener), world.port.subscribe(listener)]
    world.port.heard(frame(1), 8000)
    ends[0]()
    world.port.heard(frame(2), 8000)
    assert heard == [1, 1, 2]


def test_a_listener_that_raises_is_reported_and_the_others_hear() -> None:
    world = World()
    heard: list[int] = []
    world.port.subscribe(lambda samples, rate: [][0])
    world.port.subscribe(lambda samples, rate: heard.append(int(samples[0])))
    world.port.heard(frame(1), 8000)
    assert heard == [1] and [type(error) for error in world.errors] == [IndexError]


def test_a_listener_may_leave_while_it_is_called() -> None:
    world = World()
    heard: list[str] = []

    def once(samples: Samples, rate: int) -> None:
        heard.append("once")
        end()

    end = world.port.subscribe(once)
    world.port.subscribe(lambda samples, rate: heard.append("always"))
    world.port.heard(frame(1), 8000)
    world.port.heard(frame(1), 8000)
    assert heard == ["once", "always", "always"]


def test_nothing_to_say_is_nothing() -> None:
    world = World()
    feed = world.port.feed()
    assert world.port.pull(160) is None
    feed.put(frame(5), 8000)
    said = world.port.pull(160)
    assert said is not None and said.tolist() == [5] * 160
    assert world.port.pull(160) is None


def test_the_playout_and_all_feeds_are_heard_together_held_at_full_scale() -> None:
    world = World()
    one, other = world.port.feed(), world.port.feed()
    world.port.playout.put(frame(100))
    one.put(frame(20), 8000)
    other.put(frame(3), 8000)
    said = world.port.pull(160)
    assert said is not None and said.tolist() == [123] * 160
    one.put(frame(30000), 8000)
    other.put(frame(30000), 8000)
    said = world.port.pull(160)
    assert said is not None and said.tolist() == [32767] * 160
    one.put(frame(-30000), 8000)
    other.put(frame(-30000), 8000)
    said = world.port.pull(160)
    assert said is not None and said.tolist() == [-32768] * 160


def test_pieces_of_other_lengths_are_put_together_and_filled_up() -> None:
    world = World()
    feed = world.port.feed()
    for value in (1, 2, 3):
        feed.put(frame(value, 100), 8000)
    said = [world.port.pull(160) for _ in range(3)]
    assert said[0] is not None and said[0].tolist() == [1] * 100 + [2] * 60
    assert said[1] is not None and said[1].tolist() == [2] * 40 + [3] * 100 + [0] * 20
    assert said[2] is None


def test_a_feed_that_is_too_fast_drops_its_oldest() -> None:
    world = World()
    feed = world.port.feed()
    for value in range(10):
        feed.put(frame(value), 8000)
    kept = round(LONGEST_FEED * 50)
    assert feed.dropped == (10 - kept) * 160
    said = [world.port.pull(160) for _ in range(kept)]
    assert [int(samples[0]) for samples in said if samples is not None] == list(range(10 - kept, 10))
    # One piece that is longer than all that may wait is not dropped whole.
    feed.put(frame(7, 8000), 8000)
    assert feed.dropped == (10 - kept) * 160 and world.port.pull(160) is not None


def test_feeds_at_another_rate_are_converted_without_seams() -> None:
    world = World(8000)
    feed = world.port.feed()
    angles = 2 * np.pi * 440 * np.arange(16000) / 16000
    wide = np.rint(8000 * np.sin(angles)).astype(np.int16)
    said = []
    for start in range(0, 16000, 320):
        feed.put(wide[start : start + 320], 16000)
        samples = world.port.pull(160)
        assert samples is not None
        said.append(samples)
    whole = np.concatenate(said)[800:]
    spectrum = np.abs(np.fft.rfft(whole * np.hanning(len(whole))))
    place = int(np.argmax(spectrum))
    assert place * 8000 / len(whole) == pytest.approx(440, abs=1)
    spectrum[place - 4 : place + 5] = 0
    assert spectrum.max() < 8000 * len(whole) / 4 * 0.001


def test_a_closed_feed_says_no_more() -> None:
    world = World()
    feed = world.port.feed()
    feed.put(frame(5), 8000)
    feed.close()
    feed.close()
    feed.put(frame(5), 8000)
    assert world.port.pull(160) is None


def test_while_nothing_may_be_said_feeds_run_dry_and_the_playout_waits() -> None:
    world = World()
    feed = world.port.feed()
    world.port.playout.put(frame(9))
    feed.put(frame(5), 8000)
    world.port.hold(160)
    said = world.port.pull(160)
    assert said is not None and said.tolist() == [9] * 160


def test_another_rate_converts_what_waits_and_forgets_what_was_fed() -> None:
    world = World(8000)
    feed = world.port.feed()
    feed.put(frame(5), 8000)
    world.port.playout.put(frame(1000, 8000))
    world.port.change_rate(16000)
    assert (world.port.rate, len(world.port.playout)) == (16000, 16000)
    said = world.port.pull(8000)
    assert said is not None and abs(int(said[4000]) - 1000) <= 1
    feed.put(frame(6, 320), 16000)
    said = world.port.pull(320)
    assert said is not None and abs(int(said[100]) - 1006) <= 1


def test_levels_are_those_of_the_last_frames() -> None:
    world = World()
    assert (world.port.levels.heard, world.port.levels.said) == (-127.0, -127.0)
    world.port.heard(frame(32767), 8000)
    world.port.playout.put(frame(16384))
    world.port.pull(160)
    assert world.port.levels.heard == pytest.approx(0, abs=0.01)
    assert world.port.levels.said == pytest.approx(-6.02, abs=0.01)
    world.port.nothing_heard()
    world.port.hold(160)
    assert (world.port.levels.heard, world.port.levels.said) == (-127.0, -127.0)


def test_digits_are_told_to_all_who_ask() -> None:
    world = World()
    heard: list[str] = []
    end = world.port.on_digit(heard.append)
    world.port.on_digit(lambda digit: 1 // 0)
    world.port.on_digit(lambda digit: heard.append(digit * 2))
    world.port.digit_came("5", "event")
    assert (heard, world.port.digit_by) == (["5", "55"], "event")
    end()
    world.port.digit_came("6")
    assert (heard, world.port.digit_by) == (["5", "55", "66"], "info")
    assert [type(error) for error in world.errors] == [ZeroDivisionError] * 2


def test_digits_to_send_go_to_the_stream() -> None:
    world = World()
    assert world.port.send_digits("12", 150) == 0.3
    assert world.sent == [("12", 150)]
