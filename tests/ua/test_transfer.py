"""Transfers and moves between devices: the same call goes on with somebody else, and is still heard."""

from __future__ import annotations

import asyncio

import pytest

from ringback.errors import LocalError
from ringback.sip.session_events import ReferProgress
from ringback.ua.failures import CallFailed
from tests.ua.phones import phones
from tests.ua.test_call import connected, heard, incoming, loudest, tone


async def test_a_blind_transfer() -> None:
    async with phones("alice", "bob", "carol", transfers=True) as (alice, bob, carol):
        out, into = await connected(alice, bob)
        taking = asyncio.ensure_future(incoming(carol))
        transferring = asyncio.ensure_future(into.transfer(carol.uri))
        third = await taking
        assert third.request.header("referred-by") is not None
        await third.answer()
        await transferring
        assert into.state == "ended"
        # Alice's call is the same object, now with Carol.
        await third.send_audio(tone(900, 0.5), 8000)
        assert abs(loudest(await heard(out, 2000), 8000) - 900) < 5
        await out.send_audio(tone(500, 0.5), 8000)
        assert abs(loudest(await heard(third, 2000), 8000) - 500) < 5
        assert out.state == "established" and out.remote == carol.uri
        assert [change.reason for change in out.history if change.kind == "moved"] == [f"to {carol.uri} (transferred)"]
        await third.hang_up()
        assert (await out.ended()).by == "remote"


async def test_a_transfer_that_fails_leaves_the_call_as_it_was() -> None:
    async with phones("alice", "bob", "carol", transfers=True) as (alice, bob, carol):
        out, into = await connected(alice, bob)
        taking = asyncio.ensure_future(incoming(carol))
        transferring = asyncio.ensure_future(into.transfer(carol.uri))
        (await taking).reject(486)
        with pytest.raises(CallFailed) as failed:
            await transferring
        assert failed.value.status == 486
        assert (out.state, into.state) == ("established", "established")
        await into.send_audio(tone(900, 0.5), 8000)
        assert abs(loudest(await heard(out, 2000), 8000) - 900) < 5


@pytest.mark.parametrize("when", ["accepted", "answered"])
async def test_who_transfers_us_may_leave_before_we_are_there(when: str) -> None:
    """RFC 5589 6.1 has him hang up when he hears that it worked, which may be before we know it ourselves."""
    async with phones("alice", "bob", "carol", transfers=True) as (alice, bob, carol):
        out, into = await connected(alice, bob)
        taking = asyncio.ensure_future(incoming(carol))
        into.session.refer(bob.now(), carol.uri)
        bob.turn()
        third = await taking
        if when == "accepted":
            await into.hang_up()
        answering = asyncio.ensure_future(third.answer())
        if when == "answered":
            await bob.until(lambda: any(isinstance(event, ReferProgress) and event.final for event in bob.events))
            await into.hang_up()
        assert out.state == "established"
        await answering
        await third.send_audio(tone(900, 0.5), 8000)
        assert abs(loudest(await heard(out, 2000), 8000) - 900) < 5
        assert out.remote == carol.uri
        await out.hang_up()


async def test_who_transfers_us_leaves_and_nobody_is_reached() -> None:
    """Then the call has ended when he left; and one that we end ourselves meanwhile is given up at both ends."""
    async with phones("alice", "bob", "carol", transfers=True) as (alice, bob, carol):
        for ours in (False, True):
            out, into = await connected(alice, bob)
            taking = asyncio.ensure_future(incoming(carol))
            into.session.refer(bob.now(), carol.uri)
            bob.turn()
            third = await taking
            await into.hang_up()
            assert (out.state, out.transferring) == ("established", True)
            if ours:
                await out.hang_up()
                assert (await third.ended()).by == "remote"
            else:
                third.reject(486)
            assert (await out.ended()).by == ("local" if ours else "remote")


async def test_who_is_not_configured_for_it_is_not_transferred() -> None:
    async with phones("alice", "bob", "carol") as (alice, bob, carol):
        out, into = await connected(alice, bob)
        with pytest.raises(CallFailed) as failed:
            await into.transfer(carol.uri)
        assert failed.value.status == 403
        assert (out.state, into.state, len(carol.calls)) == ("established", "established", 0)
        asked: list[str] = []
        out.on_transfer = lambda uri: asked.append(uri) or False  # type: ignore[func-returns-value]
        with pytest.raises(CallFailed):
            await into.transfer(carol.uri)
        assert asked == [carol.uri]


async def test_an_attended_transfer() -> None:
    """Bob talks to Alice, then to Carol, and connects the two: Carol's phone gets an INVITE with Replaces."""
    async with phones("alice", "bob", "carol", transfers=True) as (alice, bob, carol):
        with_alice, alices = await connected(bob, alice)
        with_carol, carols = await connected(bob, carol)
        await with_alice.hold()
        await with_alice.transfer(with_carol)
        assert (with_alice.state, (await with_carol.ended()).by) == ("ended", "remote")
        await alices.send_audio(tone(500, 0.5), 8000)
        assert abs(loudest(await heard(carols, 2000), 8000) - 500) < 5
        await carols.send_audio(tone(900, 0.5), 8000)
        assert abs(loudest(await heard(alices, 2000), 8000) - 900) < 5
        assert (alices.remote, carols.remote) == (carol.uri, alice.uri)
        await alices.hang_up()
        await carols.ended()


async def test_a_call_cannot_be_transferred_to_itself() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, _ = await connected(alice, bob)
        with pytest.raises(LocalError, match="itself"):
            await out.transfer(out)
