"""A call between two of our own, over loopback, with sound."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media.samples import Samples
from ringback.media.wav import WavReader, WavWriter
from ringback.ua.call import Call
from ringback.ua.failures import CallFailed
from tests.ua.phones import Phone, phones


def tone(hertz: float, seconds: float, rate: int = 8000) -> Samples:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def loudest(samples: Samples, rate: int) -> float:
    """The frequency that stands out."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


async def incoming(phone: Phone) -> Call:
    """The next call."""
    async for call in phone.calls.take():
        return call
    raise AssertionError("closed")


async def connected(caller: Phone, callee: Phone) -> tuple[Call, Call]:
    """A call that is answered."""
    taking = asyncio.ensure_future(incoming(callee))
    await asyncio.sleep(0)
    out = await caller.calls.dial(callee.uri)
    into = await taking
    await into.answer()
    await out.answered()
    return out, into


async def heard(call: Call, count: int, rate: int = 8000) -> Samples:
    """So many samples of what is heard, from the first that is not silent."""
    pieces: list[Samples] = []
    total = 0
    async for frame in call.audio(rate):
        if not pieces and np.abs(frame).max() < 1000:
            continue
        pieces.append(frame)
        total += len(frame)
        if total >= count:
            break
    return np.concatenate(pieces)[:count]


async def test_both_hear_each_other_and_one_hangs_up() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        assert (out.state, into.state) == ("established", "established")
        assert into.remote == alice.uri and out.remote == bob.uri
        await out.send_audio(tone(440, 0.5), 8000)
        await into.send_audio(tone(1000, 0.5), 8000)
        low, high = await asyncio.gather(heard(into, 2000), heard(out, 2000))
        assert abs(loudest(low, 8000) - 440) < 5 and abs(loudest(high, 8000) - 1000) < 5
        await out.hang_up()
        cause = await into.ended()
        assert (cause.by, into.state, out.state) == ("remote", "ended", "ended")
        with pytest.raises(LocalError, match="over"):
            await out.send_audio(tone(440, 0.1), 8000)


async def test_what_is_played_is_recorded_at_the_other_side(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "said.wav", 16000) as writer:
        writer.write(tone(700, 0.4, 16000))
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        async with into.record(tmp_path / "heard.wav"):
            assert await out.play(tmp_path / "said.wav") is True
            await heard(into, 800)
            await into.send_audio(tone(300, 0.1), 8000)
            await into.mark()
            # The end of it is still in the jitter buffer: as many frames as that is long.
            frames = into.audio(8000)
            for _ in range(10):
                await anext(frames)
            await frames.aclose()
        with WavReader(tmp_path / "heard.wav") as reader:
            recorded = reader.read(80000, 8000)
    loud = recorded[np.abs(recorded) > 1000]
    assert len(recorded) / 8000 > 0.35 and abs(loudest(recorded, 8000) - 700) < 5
    assert len(loud) > 0.8 * 0.4 * 8000 * 0.8


async def test_a_refusal_says_its_status() -> None:
    async with phones("alice", "bob") as (alice, bob):
        taking = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        out = await alice.calls.dial(bob.uri)
        (await taking).reject(486)
        with pytest.raises(CallFailed) as failed:
            await out.answered()
        assert (failed.value.status, failed.value.cause.by, out.state) == (486, "remote", "ended")


async def test_nobody_takes_calls() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out = await alice.calls.dial(bob.uri)
        with pytest.raises(CallFailed) as failed:
            await out.answered()
        assert failed.value.status == 480


async def test_a_redirection_names_where_to_call() -> None:
    async with phones("alice", "bob") as (alice, bob):
        taking = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        out = await alice.calls.dial(bob.uri)
        (await taking).redirect("sip:carol@127.0.0.1", "sip:dave@127.0.0.1")
        with pytest.raises(CallFailed) as failed:
            await out.answered()
        assert failed.value.status == 302
        assert failed.value.cause.contacts == ["sip:carol@127.0.0.1", "sip:dave@127.0.0.1"]


async def test_given_up_while_it_rings_the_callee_knows() -> None:
    async with phones("alice", "bob") as (alice, bob):
        taking = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        out = await alice.calls.dial(bob.uri)
        into = await taking
        waiting = asyncio.ensure_future(out.answered())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        cause = await into.ended()
        assert (cause.status, cause.by) == (487, "remote")
        with pytest.raises(CallFailed) as failed:
            await into.answer()
        assert failed.value.status == 487


async def test_early_media_is_heard_before_the_answer() -> None:
    async with phones("alice", "bob") as (alice, bob):
        taking = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        out = await alice.calls.dial(bob.uri)
        into = await taking
        await into.early_media()
        await into.send_audio(tone(600, 0.5), 8000)
        assert abs(loudest(await heard(out, 2000), 8000) - 600) < 5
        assert out.state == "ringing"
        await into.answer()
        await out.answered()


async def test_the_callee_offers() -> None:
    """RFC 3264 4, RFC 3261 13.2.1: an INVITE without a description; the offer is in the 2xx, the answer in the ACK."""
    async with phones("alice", "bob") as (alice, bob):
        taking = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        session = alice.core.invite(alice.profile, bob.uri, b"", alice.now())
        out = alice.calls.add(session, alice.media.open(alice.preferences), incoming=False)
        alice.turn()
        into = await taking
        await into.answer()
        await out.answered()
        for one, other in ((out, into), (into, out)):
            await one.send_audio(tone(900, 0.5), 8000)
            assert abs(loudest(await heard(other, 2000), 8000) - 900) < 5
        await out.hang_up()


async def test_hold_and_resume() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        await out.hold()
        assert into.held and not out.held
        await out.resume()
        assert not into.held
        await into.hold()
        assert out.held
        assert [change.kind for change in out.history if change.kind in ("hold", "resume")] == ["hold", "resume"]
        await out.hang_up()


async def test_digits_are_gathered() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        gathering = asyncio.ensure_future(into.gather(count=6))
        await out.send_digits("12*#", 60)
        assert await gathering == "12*"
        assert await into.gather(count=1, first=0.05) == ""
        await out.send_digits("9", 60)
        assert await into.gather(count=1) == "9"


async def test_a_flush_silences_what_plays(tmp_path: Path) -> None:
    with WavWriter(tmp_path / "long.wav", 8000) as writer:
        writer.write(tone(700, 20.0))
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        playing = asyncio.ensure_future(out.play(tmp_path / "long.wav"))
        await heard(into, 800)
        out.flush()
        assert await playing is False
        assert out.port.playout.idle


async def test_frames_that_nobody_takes_are_dropped_and_end_with_the_call() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        frames = into.audio(8000)
        await out.send_audio(tone(440, 0.2), 8000)
        await out.mark()
        await out.hang_up()
        await into.ended()
        assert sum([len(frame) async for frame in frames]) >= 800
