"""Two sessions that call each other over the loopback interface, and what is heard."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ringback.media.backend import MediaPreferences
from ringback.media.io.backend import InProcessMedia
from ringback.media.io.session import InProcessSession
from ringback.media.samples import Samples, silence

PLAIN = MediaPreferences(codecs=("PCMU",), encryption="none", keying=("dtls",), address="127.0.0.1", ice="none")


class Ear:
    """Keeps all that a session hears, by rate."""

    def __init__(self, session: InProcessSession) -> None:
        self.frames: list[tuple[int, Samples]] = []
        self.digits = ""
        session.audio.subscribe(lambda samples, rate: self.frames.append((rate, samples)))
        session.audio.on_digit(self._digit)

    def _digit(self, digit: str) -> None:
        self.digits += digit

    def clear(self) -> None:
        self.frames.clear()

    @property
    def rates(self) -> list[int]:
        """The rates in order, each once."""
        return list(dict.fromkeys(rate for rate, _ in self.frames))

    def sound(self, seconds: float = 0.0) -> Samples:
        """All of it, or only its last part; of one rate."""
        rates = self.rates
        assert len(rates) <= 1, rates
        if not rates:
            return silence(0)
        whole = np.concatenate([samples for _, samples in self.frames])
        return whole[-round(seconds * rates[0]) :] if seconds else whole


def tone(frequency: float, rate: int, seconds: float, amplitude: float = 8000.0) -> Samples:
    """A sine."""
    angles = 2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate
    return np.rint(amplitude * np.sin(angles)).astype(np.int16)


def spectrum(samples: Samples, rate: int) -> tuple[float, float, float]:
    """The strongest frequency, its amplitude, and the share of the energy that is near it."""
    window = np.hanning(len(samples))
    found = np.abs(np.fft.rfft(samples * window))
    place = int(np.argmax(found))
    near = found[max(0, place - 4) : place + 5]
    share = float(np.sum(near**2) / max(np.sum(found**2), 1e-9))
    return place * rate / len(samples), float(2 * found[place] / np.sum(window)), share


class Tone:
    """A source that never ends."""

    def __init__(self, frequency: float, amplitude: float = 8000.0) -> None:
        self.frequency, self.amplitude, self.given = frequency, amplitude, 0

    def read(self, count: int, rate: int) -> Samples:
        angles = 2 * np.pi * self.frequency * np.arange(self.given, self.given + count) / rate
        self.given += count
        return np.rint(self.amplitude * np.sin(angles)).astype(np.int16)


class Call:
    """Two sessions of one backend."""

    def __init__(self, media: InProcessMedia, one: InProcessSession, other: InProcessSession) -> None:
        self.media, self.one, self.other = media, one, other
        self.one_hears, self.other_hears = Ear(one), Ear(other)

    async def exchange(self, *, back: bool = False, **changes: Any) -> None:
        """Another offer, of the one (or of the other when `back`), with preferences so changed."""
        here, there = (self.other, self.one) if back else (self.one, self.other)
        offer = await here.offer(replace(here.preferences, **changes))
        await here.accept(await there.answer(offer))
        await asyncio.gather(here.started(), there.started())

    def play(self) -> None:
        """Both say a tone, each its own, for ever."""
        self.one.audio.playout.play(Tone(440.0))
        self.other.audio.playout.play(Tone(1000.0))


@asynccontextmanager
async def calling(one: MediaPreferences = PLAIN, other: MediaPreferences | None = None) -> AsyncIterator[Call]:
    """A call of which everything is agreed."""
    media = InProcessMedia()
    call = Call(media, media.open(one), media.open(other or one))
    try:
        await call.exchange()
        yield call
    finally:
        await media.close()


def stream_of(session: InProcessSession) -> Any:
    """The stream of sound of a session, for its counts."""
    stream = session._leg.stream
    assert stream is not None
    return stream


class LossyLink:
    """Lets packets that a session sends get lost, come late, twice, or changed."""

    def __init__(
        self,
        session: InProcessSession,
        *,
        loss: float = 0.0,
        jitter: float = 0.0,
        doubled: float = 0.0,
        seed: int = 1,
        change: Callable[[bytes], bytes] | None = None,
    ) -> None:
        transport = session._leg.transport
        assert transport is not None
        self._send = transport.send_rtp
        self._chance = random.Random(seed)
        self.loss, self.jitter, self.doubled = loss, jitter, doubled
        self.change = change
        self.lost = self.passed = 0
        transport.send_rtp = self.send  # type: ignore[method-assign]

    def send(self, data: bytes) -> bool:
        chance = self._chance
        if chance.random() < self.loss:
            self.lost += 1
            return True
        if self.change is not None:
            data = self.change(data)
        for _ in range(1 + (chance.random() < self.doubled)):
            self.passed += 1
            if self.jitter:
                asyncio.get_running_loop().call_later(chance.random() * self.jitter, self._send, data)
            else:
                self._send(data)
        return True
