"""Calls that hear each other: bridges and mixes, at different rates, and what ends them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from ringback.media.io.backend import InProcessMedia
from ringback.media.io.bridge import Mix, bridge
from ringback.media.io.session import InProcessSession
from ringback.media.samples import Samples
from tests.media.io.calls import PLAIN, Ear, Tone, spectrum, stream_of, tone
from tests.media.io.virtual import run


class Phone:
    """A far end with its session here: what the session `here` says, `there` hears, and the other way round."""

    def __init__(self, here: InProcessSession, there: InProcessSession) -> None:
        self.here, self.there = here, there
        self.ear = Ear(there)


@asynccontextmanager
async def phones(*codecs: str) -> AsyncIterator[tuple[InProcessMedia, list[Phone]]]:
    media = InProcessMedia()
    found = []
    for codec in codecs:
        wanted = replace(PLAIN, codecs=(codec,))
        phone = Phone(media.open(wanted), media.open(wanted))
        await phone.here.accept(await phone.there.answer(await phone.here.offer()))
        found.append(phone)
    try:
        yield media, found
    finally:
        await media.close()


async def hears(phone: Phone, *frequencies: float, amplitude: float = 4000.0) -> None:
    """The phone hears these tones, each as loud as it was said, and nothing else."""
    phone.ear.clear()
    await asyncio.sleep(1)
    samples = phone.ear.sound()
    rate = phone.ear.rates[0]
    window = np.hanning(len(samples))
    found = 2 * np.abs(np.fft.rfft(samples * window)) / window.sum()
    left = found.copy()
    for frequency in frequencies:
        place = round(frequency * len(samples) / rate)
        assert abs(found[place - 2 : place + 3].max() - amplitude) < 0.08 * amplitude
        left[max(0, place - 6) : place + 7] = 0
    assert left.max() < 0.03 * amplitude


@pytest.mark.parametrize("codecs", [("PCMU", "PCMA"), ("PCMU", "G722"), ("G722", "L16/48000"), ("PCMA", "PCMA")])
def test_a_bridge_carries_sound_and_digits_both_ways(codecs: tuple[str, str]) -> None:
    async def test() -> None:
        async with phones(*codecs) as (_, (one, other)):
            end = bridge(one.here, other.here)
            one.there.audio.playout.play(Tone(440, 4000))
            other.there.audio.playout.play(Tone(1000, 4000))
            await asyncio.sleep(0.5)
            await hears(other, 440)
            await hears(one, 1000)
            one.there.audio.send_digits("12#")
            await asyncio.sleep(1.5)
            assert (other.ear.digits, one.ear.digits) == ("12#", "")
            end()
            end()
            await asyncio.sleep(0.5)
            await hears(one)
            await hears(other)
            assert one.here.audio._feeds == () and one.here.audio._listeners == ()

    run(test())


def test_a_bridge_takes_no_beat() -> None:
    """What is received in a beat is sent in it: a step at the entrance is at the exit one jitter buffer later."""

    async def test() -> None:
        async with phones("L16/16000", "L16/16000") as (_, (one, other)):
            bridge(one.here, other.here)
            heard: list[tuple[float, Samples]] = []
            between: list[float] = []
            loop = asyncio.get_running_loop()
            one.here.audio.subscribe(lambda samples, rate: samples.any() and between.append(loop.time()))
            other.there.audio.subscribe(lambda samples, rate: samples.any() and heard.append((loop.time(), samples)))
            await asyncio.sleep(0.5)
            one.there.audio.playout.put(tone(440, 16000, 1.0))
            await asyncio.sleep(1.5)
            delay = stream_of(other.there).receiving.jitter.delay
            assert heard[0][0] - between[0] == pytest.approx(delay, abs=0.021)
            # Nothing was dropped or put in on the way.
            sound = np.concatenate([samples for _, samples in heard])
            assert np.array_equal(sound[:16000], tone(440, 16000, 1.0))

    run(test())


def test_what_is_played_is_heard_beside_the_bridge_and_does_not_delay_it() -> None:
    async def test() -> None:
        async with phones("PCMU", "PCMU") as (_, (one, other)):
            bridge(one.here, other.here)
            one.there.audio.playout.play(Tone(440, 4000))
            other.here.audio.playout.play(Tone(2000, 4000))
            await asyncio.sleep(0.5)
            await hears(other, 440, 2000)
            other.here.audio.playout.flush()
            await asyncio.sleep(0.2)
            await hears(other, 440)

    run(test())


def test_a_bridge_outlives_a_change_of_codecs() -> None:
    async def test() -> None:
        async with phones("PCMU", "PCMU") as (_, (one, other)):
            bridge(one.here, other.here)
            one.there.audio.playout.play(Tone(440, 4000))
            await asyncio.sleep(0.5)
            await hears(other, 440)
            offer = await other.here.offer(replace(PLAIN, codecs=("G722",)))
            await other.here.accept(await other.there.answer(offer, replace(PLAIN, codecs=("G722",))))
            await asyncio.sleep(0.5)
            await hears(other, 440)
            assert other.ear.rates == [16000]

    run(test())


def test_a_bridge_to_a_call_that_has_ended_is_no_problem() -> None:
    async def test() -> None:
        async with phones("PCMU", "PCMU") as (_, (one, other)):
            end = bridge(one.here, other.here)
            one.there.audio.playout.play(Tone(440, 4000))
            await asyncio.sleep(0.5)
            await other.here.close()
            await asyncio.sleep(0.5)
            end()

    run(test())


def test_in_a_mix_each_hears_all_others() -> None:
    async def test() -> None:
        async with phones("PCMU", "G722", "PCMA", "L16/48000") as (media, members):
            mix = Mix(media.ticker)
            tones = (440.0, 700.0, 1000.0, 1500.0)
            for phone, frequency in zip(members, tones, strict=True):
                phone.there.audio.playout.play(Tone(frequency, 4000))
            leave = [mix.join(phone.here) for phone in members]
            assert len(mix) == 4
            await asyncio.sleep(0.5)
            for phone, own in zip(members, tones, strict=True):
                await hears(phone, *(frequency for frequency in tones if frequency != own))
            leave[1]()
            leave[1]()
            await asyncio.sleep(0.5)
            await hears(members[0], 1000, 1500)
            await hears(members[1])
            for end in leave:
                end()
            assert len(mix) == 0 and not media.ticker._between
            await asyncio.sleep(0.5)
            await hears(members[0])
            # It can be used again.
            mix.join(members[0].here)
            mix.join(members[3].here)
            await asyncio.sleep(0.5)
            await hears(members[0], 1500)

    run(test())


def test_many_in_a_mix() -> None:
    async def test() -> None:
        async with phones(*["PCMU"] * 12) as (media, members):
            mix = Mix(media.ticker, 8000)
            for phone in members:
                mix.join(phone.here)
            members[3].there.audio.playout.play(Tone(440, 4000))
            await asyncio.sleep(0.5)
            for phone in members:
                phone.ear.clear()
            await asyncio.sleep(1)
            for phone in members:
                if phone is not members[3]:
                    frequency, amplitude, _ = spectrum(phone.ear.sound(), 8000)
                    assert frequency == 440 and abs(amplitude - 4000) < 200
            assert not members[3].ear.sound().any()

    run(test())
