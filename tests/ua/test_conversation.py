"""Calls that hear each other."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.ua.conversation import Conversation, connect
from tests.ua.phones import phones
from tests.ua.test_call import connected, heard, loudest, tone


async def test_two_calls_are_connected_until_one_ends() -> None:
    async with phones("alice", "bot", "bob") as (alice, bot, bob):
        first, alices = await connected(bot, alice)
        second, bobs = await connected(bot, bob)
        together = asyncio.ensure_future(connect(first, second))
        await asyncio.sleep(0)
        await alices.send_audio(tone(500, 0.5), 8000)
        await bobs.send_audio(tone(900, 0.5), 8000)
        low, high = await asyncio.gather(heard(bobs, 2000), heard(alices, 2000))
        assert abs(loudest(low, 8000) - 500) < 5 and abs(loudest(high, 8000) - 900) < 5
        await bobs.hang_up()
        assert (await together).by == "remote"
        assert (await alices.ended()).by == "remote"


async def test_parted_calls_go_on_and_hear_each_other_no_more() -> None:
    async with phones("alice", "bot", "bob") as (alice, bot, bob):
        first, alices = await connected(bot, alice)
        second, bobs = await connected(bot, bob)
        together = asyncio.ensure_future(connect(first, second))
        await asyncio.sleep(0)
        await alices.send_audio(tone(500, 0.3), 8000)
        await heard(bobs, 1000)
        together.cancel()
        with pytest.raises(asyncio.CancelledError):
            await together
        assert (first.state, second.state) == ("established", "established")
        await alices.mark()
        await second.send_audio(tone(900, 0.5), 8000)
        assert abs(loudest(await heard(bobs, 2000), 8000) - 900) < 5


async def test_what_cannot_be_connected() -> None:
    async with phones("alice", "bot") as (alice, bot):
        first, _ = await connected(bot, alice)
        with pytest.raises(LocalError, match="itself"):
            await connect(first, first)


async def test_in_a_room_each_hears_all_the_others_and_not_himself() -> None:
    async with phones("alice", "bot", "bob", "carol") as (alice, bot, bob, carol):
        calls = [await connected(bot, phone) for phone in (alice, bob, carol)]
        async with Conversation(bot) as room:
            for ours, _ in calls:
                room.add(ours)
            theirs = [call for _, call in calls]
            for call, hertz in zip(theirs, (500, 900, 1300), strict=True):
                await call.send_audio(tone(hertz, 0.8), 8000)
            mixed = await asyncio.gather(*[heard(call, 4000) for call in theirs])
            for samples, others in zip(mixed, ((900, 1300), (500, 1300), (500, 900)), strict=True):
                spectrum = np.abs(np.fft.rfft(samples[-2000:].astype(float)))
                found = {hertz for hertz in (500, 900, 1300) if spectrum[hertz // 4] > spectrum.max() / 4}
                assert found == set(others)
            assert room.members == [ours for ours, _ in calls]
            for call in theirs:
                await call.hang_up()
            await room.empty()
