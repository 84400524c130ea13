"""The calls of an agent: bounds, handlers that fail, moves to another device, and the end of all."""

from __future__ import annotations

import asyncio

import pytest

from ringback.errors import LocalError
from ringback.ua.call import Call
from ringback.ua.calls import MOST_WAITING, Dialing
from ringback.ua.failures import CallFailed
from tests.ua.phones import phones
from tests.ua.test_call import connected, heard, incoming, loudest, tone


async def test_each_call_has_a_handler_of_its_own_and_what_it_leaves_is_hung_up() -> None:
    async with phones("alice", "bot") as (alice, bot):
        entered: list[Call] = []
        both = asyncio.Event()

        async def handler(call: Call) -> None:
            await call.answer()
            entered.append(call)
            if len(entered) == 2:
                both.set()
            await both.wait()

        serving = bot.spawn(bot.calls.serve(handler), "serve")
        await asyncio.sleep(0)
        first, second = await alice.calls.dial(bot.uri), await alice.calls.dial(bot.uri)
        causes = [await first.ended(), await second.ended()]
        assert [(cause.status, cause.by) for cause in causes] == [(0, "remote"), (0, "remote")]
        serving.cancel()


async def test_a_handler_that_fails_ends_its_call_and_no_other() -> None:
    async with phones("alice", "bot") as (alice, bot):

        async def handler(call: Call) -> None:
            if "bad" in str(call.request.header("subject")):
                raise ValueError("a mistake of the bot's")
            await call.answer()
            await call.ended()

        serving = bot.spawn(bot.calls.serve(handler), "serve")
        await asyncio.sleep(0)
        async with Dialing(alice.calls, bot.uri, [], None) as good:
            bad = await alice.calls.dial(bot.uri, [("Subject", "bad")])
            with pytest.raises(CallFailed) as failed:
                await bad.answered()
            assert failed.value.status == 500
            assert good.state == "established"
        serving.cancel()
        await bot.calls.none_left()
        assert [str(error) for error in bot.errors] == ["a mistake of the bot's"]
        bot.errors.clear()


async def test_more_calls_than_may_wait_are_told_that_it_is_busy() -> None:
    async with phones("alice", "bob") as (alice, bob):
        taking = bob.calls.take()
        first = asyncio.ensure_future(anext(taking))
        await asyncio.sleep(0)
        await alice.calls.dial(bob.uri)
        await first
        waiting = [await alice.calls.dial(bob.uri) for _ in range(MOST_WAITING)]
        one_more = await alice.calls.dial(bob.uri)
        with pytest.raises(CallFailed) as failed:
            await one_more.answered()
        assert failed.value.status == 486
        assert {call.state for call in waiting} == {"ringing"}
        await taking.aclose()


async def test_a_caller_who_gives_up_before_anybody_took_his_call_is_not_handed_out() -> None:
    async with phones("alice", "bob") as (alice, bob):
        taking = bob.calls.take()
        first = asyncio.ensure_future(anext(taking))
        await asyncio.sleep(0)
        one = await alice.calls.dial(bob.uri)
        into = await first
        gone = await alice.calls.dial(bob.uri)
        await bob.until(lambda: len(bob.calls) == 2)
        await gone.hang_up()
        third = await alice.calls.dial(bob.uri)
        taken = await anext(taking)
        assert taken.session.call_id == third.session.call_id
        assert into.session.call_id == one.session.call_id
        await taking.aclose()


@pytest.mark.parametrize("target", ["bob", "sip:", "mailto:bob@example.org", "sip:bob@[::", "sip:bob@a b"])
async def test_what_cannot_be_called_is_said_at_once(target: str) -> None:
    async with phones("alice") as (alice,):
        with pytest.raises((LocalError, CallFailed)):
            await alice.calls.dial(target)
        assert len(alice.calls) == 0


async def test_the_end_of_an_agent_ends_its_calls() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        ringing = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        second = await alice.calls.dial(bob.uri)
        rings = await ringing
        await alice.calls.close(2.0)
        assert (out.state, second.state) == ("ended", "ended")
        assert (await into.ended()).by == "remote" and (await rings.ended()).status == 487
        with pytest.raises(LocalError, match="closed"):
            await alice.calls.dial(bob.uri)


async def test_the_other_side_goes_on_from_another_device() -> None:
    """An INVITE with Replaces: the call is the same, its session another, and the first device is hung up."""
    async with phones("desk", "bob", "mobile") as (desk, bob, mobile):
        out, into = await connected(desk, bob)
        reference = out.session.reference()
        media = mobile.media.open(mobile.preferences)
        headers = [("Replaces", str(reference))]
        session = mobile.core.invite(mobile.profile, bob.uri, await media.offer(), mobile.now(), headers)
        moved = mobile.calls.add(session, media, incoming=False)
        mobile.turn()
        await moved.answered()
        assert (await out.ended()).by == "remote"
        assert into.state == "established" and into.remote == mobile.uri
        assert [change.kind for change in into.history][-1] == "moved"
        await moved.send_audio(tone(900, 0.5), 8000)
        assert abs(loudest(await heard(into, 2000), 8000) - 900) < 5
        await into.send_audio(tone(500, 0.5), 8000)
        assert abs(loudest(await heard(moved, 2000), 8000) - 500) < 5
