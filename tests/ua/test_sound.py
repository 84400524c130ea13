"""Ears and mouth of a call on a port of the test's: what is dropped, converted, queued and gathered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media.playout import Playout
from ringback.media.samples import Samples, silence, to_bytes
from ringback.ua.sound import MOST_FRAMES, CallSound


class Port:
    """As much of an `AudioPort` as there is to be heard and said."""

    def __init__(self, rate: int = 8000) -> None:
        self.playout = Playout(rate)
        self.listeners: list[Callable[[Samples, int], None]] = []
        self.digit_listeners: list[Callable[[str], None]] = []
        self.sent: list[tuple[str, int]] = []

    @property
    def rate(self) -> int:
        return self.playout.rate

    def subscribe(self, listener: Callable[[Samples, int], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def on_digit(self, listener: Callable[[str], None]) -> Callable[[], None]:
        self.digit_listeners.append(listener)
        return lambda: self.digit_listeners.remove(listener)

    def send_digits(self, digits: str, milliseconds: int = 100) -> float:
        self.sent.append((digits, milliseconds))
        return 0.0

    def hear(self, samples: Samples, rate: int | None = None) -> None:
        for listener in list(self.listeners):
            listener(samples, rate or self.rate)


def sound_on(port: Port) -> CallSound:
    sound = CallSound()
    sound.attach(port)  # type: ignore[arg-type]
    return sound


def frame(value: int, count: int = 160) -> Samples:
    return np.full(count, value, dtype=np.int16)


async def test_a_slow_listener_loses_the_oldest_frames_and_knows_how_many() -> None:
    port = Port()
    sound = sound_on(port)
    frames = sound.audio(8000)
    for number in range(MOST_FRAMES + 3):
        port.hear(frame(number))
    assert frames.dropped == 3
    assert (await anext(frames))[0] == 3


async def test_what_is_heard_comes_at_the_rate_asked_for() -> None:
    port = Port(48000)
    frames = sound_on(port).audio(16000)
    for _ in range(50):
        port.hear(frame(1000, 960))
    port_rate_changed = frames
    port.hear(frame(1000, 160), 8000)
    total = 0
    while total < 15000:
        total += len(await anext(port_rate_changed))
    assert 15000 <= total <= 16320


async def test_frames_end_when_the_sound_does_and_when_they_are_closed() -> None:
    port = Port()
    sound = sound_on(port)
    closed, ended = sound.audio(8000), sound.audio(8000)
    port.hear(frame(1))
    await closed.aclose()
    port.hear(frame(2))
    sound.end_sound()
    assert [part[0] async for part in ended] == [1, 2]
    assert [part[0] async for part in closed] == [1]
    assert [part async for part in sound.audio(8000)] == []
    assert port.listeners == [] and port.digit_listeners == []


async def test_another_port_takes_the_place_of_the_first() -> None:
    before, after = Port(8000), Port(16000)
    sound = sound_on(before)
    frames = sound.audio(8000)
    before.playout.put(silence(160))
    sound.attach(after)  # type: ignore[arg-type]
    assert before.listeners == [] and len(before.playout) == 0
    after.hear(frame(7, 320))
    assert len(await anext(frames)) > 0


async def test_octets_and_arrays_are_spoken_at_the_rate_of_the_call() -> None:
    port = Port(8000)
    sound = sound_on(port)
    await sound.send_audio(to_bytes(frame(5)), 8000)
    assert len(port.playout) == 160
    for _ in range(10):
        await sound.send_audio(frame(5, 320), 16000)
    assert 160 * 10 < len(port.playout) <= 160 * 11


async def test_without_a_port_there_is_no_sound() -> None:
    sound = CallSound()
    with pytest.raises(LocalError, match="not answered"):
        await sound.send_audio(silence(160), 8000)
    sound.end_sound()
    with pytest.raises(LocalError, match="over"):
        await sound.play("nothing.wav")


async def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is not sound")
    with pytest.raises(LocalError, match=r"text\.wav"):
        await sound_on(Port()).play(tmp_path / "text.wav")


async def test_a_play_that_is_cancelled_says_no_more(tmp_path: Path) -> None:
    port = Port()
    sound = sound_on(port)

    class Endless:
        def read(self, count: int, rate: int) -> Samples:
            return frame(9, count)

    playing = asyncio.ensure_future(sound.play(Endless()))
    await asyncio.sleep(0)
    pulled = port.playout.pull(160)
    assert pulled is not None and pulled[0] == 9
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert port.playout.pull(160) is None


async def test_digits_wait_to_be_gathered() -> None:
    port = Port()
    sound = sound_on(port)
    for digit in "12#34":
        port.digit_listeners[0](digit)
    assert await sound.gather(count=4) == "12"
    assert await sound.gather(count=2, terminators="") == "34"
    with pytest.raises(LocalError, match="count"):
        await sound.gather(count=-1)


async def test_gathering_ends_with_the_call() -> None:
    sound = sound_on(Port())
    gathering = asyncio.ensure_future(sound.gather())
    listing = asyncio.ensure_future(anext(aiter(sound.digits()), "none"))
    await asyncio.sleep(0)
    sound.end_sound()
    assert (await gathering, await listing) == ("", "none")


async def test_digits_are_sent_as_asked() -> None:
    port = Port()
    await sound_on(port).send_digits("123", 80)
    assert port.sent == [("123", 80)]
