"""Microphone and loudspeaker: the callbacks run on threads of their own, as PortAudio's do."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media.audio_port import Port
from ringback.media.samples import Samples, silence
from ringback.ua.devices import LONGEST, MOST_BLOCKS, Devices, sounddevice


class Stream:
    """A stream as sounddevice's raw ones are: it begins, it ends, and says when it has."""

    def __init__(self, card: Card, **options: Any) -> None:
        self.options = options
        self.running = False
        if card.broken:
            raise card.PortAudioError("Device unavailable")
        card.streams.append(self)

    def start(self) -> None:
        self.running = True

    def close(self) -> None:
        if self.running:
            self.running = False
            self.options["finished_callback"]()

    async def speak(self, samples: Samples) -> None:
        """The card has heard this."""
        await on_a_thread(lambda: self.options["callback"](samples.tobytes(), len(samples), None, 0))

    async def play(self, count: int, status: int = 0) -> Samples:
        """The card wants so many samples."""
        out = bytearray(b"\x55" * 2 * count)
        await on_a_thread(lambda: self.options["callback"](memoryview(out), count, None, status))
        assert len(out) == 2 * count
        return np.frombuffer(bytes(out), dtype=np.int16)


class Card:
    """A module in the place of sounddevice."""

    class PortAudioError(Exception):
        """As sounddevice has it."""

    def __init__(self, rate: int = 8000, names: dict[str, str] | None = None) -> None:
        self.rate = rate
        self.names = {"input": "Mic", "output": "Speaker"} if names is None else names
        self.streams: list[Stream] = []
        self.broken = False

    def query_devices(self, device: int | str | None, kind: str) -> dict[str, Any]:
        if isinstance(device, str) and device not in self.names.values():
            raise ValueError(f"No {kind} device matching {device!r}")
        if kind not in self.names:
            raise self.PortAudioError("Error querying device -1")
        return {"name": self.names[kind], "default_samplerate": float(self.rate)}

    def RawInputStream(self, **options: Any) -> Stream:
        return Stream(self, **options)

    def RawOutputStream(self, **options: Any) -> Stream:
        return Stream(self, **options)


async def on_a_thread(work: Callable[[], None]) -> None:
    """Do this on a thread of its own, and let the loop do what that has asked it for."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    await asyncio.sleep(0)


def port(rate: int = 8000) -> Port:
    def report(error: Exception) -> None:
        raise error

    return Port(rate, report, lambda digits, milliseconds: 0.0)


def ramp(count: int, first: int = 1) -> Samples:
    return np.arange(first, first + count).astype(np.int16)


async def test_the_microphone_speaks_in_every_call_that_is_attached() -> None:
    card, one, other = Card(), port(), port()
    devices = Devices(module=card)
    assert (devices.microphone, devices.loudspeaker) == ("Mic", "Speaker")
    for each in (one, other):
        devices.attach(each)
    assert {key: card.streams[0].options[key] for key in ("samplerate", "blocksize", "channels", "dtype")} == {
        "samplerate": 8000,
        "blocksize": 160,
        "channels": 1,
        "dtype": "int16",
    }
    await card.streams[0].speak(ramp(160))
    for each in (one, other):
        said = each.pull(160)
        assert said is not None and said.tolist() == ramp(160).tolist()
        assert each.pull(160) is None
    devices.close()


async def test_another_rate_is_converted_both_ways() -> None:
    card, call = Card(48000), port(16000)
    devices = Devices(module=card)
    devices.attach(call)
    microphone, loudspeaker = card.streams
    tone = (9000 * np.sin(2 * np.pi * 1000 * np.arange(4800) / 48000)).astype(np.int16)
    for block in np.split(tone, 5):
        await microphone.speak(block)
    said = call.pull(1600)
    assert said is not None and np.argmax(np.abs(np.fft.rfft(said))) * 16000 / 1600 == 1000
    for block in np.split(tone[::3], 5):
        call.heard(block, 16000)
    heard = await loudspeaker.play(4800)
    assert np.argmax(np.abs(np.fft.rfft(heard))) * 48000 / 4800 == 1000
    devices.close()


async def test_the_loudspeaker_begins_with_something_in_hand_and_again_after_it_ran_dry() -> None:
    card, call = Card(), port()
    devices = Devices(module=card)
    devices.attach(call)
    loudspeaker = card.streams[1]
    call.heard(ramp(160), 8000)
    assert not (await loudspeaker.play(160)).any()
    call.heard(ramp(160, 161), 8000)
    assert (await loudspeaker.play(200)).tolist() == ramp(200).tolist()
    assert (await loudspeaker.play(160)).tolist() == [*range(201, 321), *[0] * 40]
    call.heard(ramp(160), 8000)
    assert not (await loudspeaker.play(160)).any()
    call.heard(ramp(160, 161), 8000)
    assert (await loudspeaker.play(320)).tolist() == ramp(320).tolist()
    devices.close()


async def test_the_loudspeaker_mixes_and_holds_at_full_scale() -> None:
    card, one, other = Card(), port(), port()
    devices = Devices(module=card)
    devices.attach(one)
    devices.attach(other)
    for value, each in ((20000, one), (15000, other)):
        each.heard(np.full(320, value, dtype=np.int16), 8000)
    assert (await card.streams[1].play(160, status=4)).tolist() == [32767] * 160
    assert devices.overflows == 1
    devices.close()


async def test_a_loop_that_stands_still_loses_the_oldest_blocks() -> None:
    card, call = Card(), port()
    devices = Devices(module=card)
    devices.attach(call)
    callback = card.streams[0].options["callback"]

    def many() -> None:
        for number in range(MOST_BLOCKS + 5):
            callback(np.full(160, number, dtype=np.int16).tobytes(), 160, None, 0)

    await on_a_thread(many)
    assert devices.dropped == 5
    taken = []
    while (said := call.pull(160)) is not None:
        taken.append(int(said[0]))
    # What the feed itself keeps is less: 60 ms, the newest.
    assert taken == [12, 13, 14]
    await card.streams[0].speak(ramp(160))
    assert call.pull(160) is not None
    devices.close()


async def test_a_loudspeaker_that_does_not_take_loses_the_oldest_sound() -> None:
    card, call = Card(), port()
    devices = Devices(module=card)
    attached = devices.attach(call)
    for number in range(15):
        call.heard(np.full(160, number, dtype=np.int16), 8000)
    assert attached.dropped == 5 * 160
    assert (await card.streams[1].play(int(LONGEST * 8000)))[::160].tolist() == list(range(5, 15))
    devices.close()


async def test_muted_only_the_microphone_is_silent() -> None:
    card, call = Card(), port()
    devices = Devices(module=card)
    attached = devices.attach(call)
    attached.muted = True
    await card.streams[0].speak(ramp(160))
    call.heard(ramp(320), 8000)
    assert call.pull(160) is None
    assert (await card.streams[1].play(320)).tolist() == ramp(320).tolist()
    attached.muted = False
    await card.streams[0].speak(ramp(160))
    assert call.pull(160) is not None
    devices.close()


async def test_streams_are_open_while_something_is_attached() -> None:
    card, one, other = Card(), port(), port()
    devices = Devices(module=card)
    lost: list[str] = []
    devices.on_lost = lost.append
    assert card.streams == []
    first, second = devices.attach(one), devices.attach(other)
    first.detach()
    first.detach()
    assert [stream.running for stream in card.streams] == [True, True]
    second.detach()
    await asyncio.sleep(0)
    assert [stream.running for stream in card.streams] == [False, False] and lost == []
    devices.attach(one)
    assert [stream.running for stream in card.streams] == [False, False, True, True]
    devices.close()
    devices.close()
    await asyncio.sleep(0)
    assert not any(stream.running for stream in card.streams) and lost == []


async def test_a_device_that_goes_away_is_said_once() -> None:
    card, call = Card(), port()
    devices = Devices(module=card)
    lost: list[str] = []
    devices.on_lost = lost.append
    devices.attach(call)
    await on_a_thread(card.streams[0].close)
    await asyncio.sleep(0)
    assert lost == ["the sound device is gone"]
    assert not card.streams[1].running
    call.heard(ramp(160), 8000)
    assert call.pull(160) is None


async def test_a_loudspeaker_alone_will_do() -> None:
    card, call = Card(names={"output": "Speaker"}), port()
    devices = Devices(module=card)
    assert (devices.microphone, devices.loudspeaker) == ("", "Speaker")
    devices.attach(call)
    [loudspeaker] = card.streams
    call.heard(ramp(320), 8000)
    assert (await loudspeaker.play(320)).tolist() == ramp(320).tolist()
    devices.close()


async def test_a_microphone_alone_will_do() -> None:
    card, call = Card(names={"input": "Mic"}), port()
    devices = Devices(module=card)
    devices.attach(call)
    call.heard(silence(160), 8000)
    [microphone] = card.streams
    await microphone.speak(ramp(160))
    assert call.pull(160) is not None
    devices.close()


async def test_what_can_not_be_had_is_said() -> None:
    with pytest.raises(LocalError, match=r"^there is no sound device$"):
        Devices(module=Card(names={}))
    with pytest.raises(LocalError, match=r"^Headset: no such input device: No input device matching 'Headset'$"):
        Devices("Headset", module=Card())
    card, call = Card(), port()
    devices = Devices(module=card)
    card.broken = True
    with pytest.raises(LocalError, match=r"^Mic: can not be opened: Device unavailable$"):
        devices.attach(call)
    card.broken = False
    devices.attach(call)
    await card.streams[0].speak(ramp(160))
    said = call.pull(160)
    assert said is not None and said.tolist() == ramp(160).tolist(), "the attachment that failed has left"
    devices.close()


def test_a_callback_after_the_loop_has_closed_does_nothing() -> None:
    card = Card()

    async def attach() -> Devices:
        devices = Devices(module=card)
        devices.attach(port())
        return devices

    devices = asyncio.run(attach())
    card.streams[0].options["callback"](ramp(160).tobytes(), 160, None, 0)
    assert devices.dropped == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ImportError("No module"), r"^sounddevice is not installed: pip install 'ringback\[devices]'$"),
        (OSError("PortAudio library not found"), r"^PortAudio is not installed .*: PortAudio library not found$"),
    ],
)
def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    def fail(name: str) -> None:
        assert name == "sounddevice"
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(LocalError, match=told):
        sounddevice()


def test_the_module_is_the_one_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card()
    monkeypatch.setattr(importlib, "import_module", {"sounddevice": card}.__getitem__)
    assert sounddevice() is card
    assert Devices().microphone == "Mic"
