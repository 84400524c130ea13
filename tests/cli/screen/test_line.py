"""A call's place at the devices."""

from __future__ import annotations

import asyncio

from ringback.cli.screen.line import Line
from ringback.ua.devices import Devices
from tests.cli.screen.screens import incoming
from tests.ua.phones import phones
from tests.ua.test_call import connected
from tests.ua.test_devices import Card


def streams(card: Card) -> list[bool]:
    """Which streams run."""
    return [stream.running for stream in card.streams]


async def test_who_calls_hears_us_when_he_is_answered_and_not_before() -> None:
    card = Card()
    async with phones("alice", "bob") as (alice, bob):
        taking = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        out = await alice.calls.dial(bob.uri)
        call = await taking
        line = Line(1, call, bob.now(), print)
        line.use(Devices(module=card))
        assert line.rings_here and not line.talks
        assert line.levels().heard == -127
        await call.early_media()
        line.connect()
        assert streams(card) == []
        await call.answer()
        line.connect()
        assert line.talks and streams(card) == [True, True]
        line.connect()
        assert len(card.streams) == 2
        await out.hang_up()
        await call.ended()
        line.connect()
        assert line.is_over and streams(card) == [False, False]
        assert line.levels().heard == -127


async def test_on_hold_it_is_away_from_the_devices_and_mute_is_remembered() -> None:
    card = Card()
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        line = Line(1, out, alice.now(), print)
        line.muted = True
        line.use(Devices(module=card))
        assert line._attached is not None and line._attached.muted
        line.holding = True
        line.connect()
        assert streams(card) == [False, False]
        # Another party (a transfer) was never put on hold.
        for moved in out.moved:
            moved()
        assert not line.holding and streams(card) == [False, False, True, True]
        line.muted = False
        assert not line._attached.muted
        line.use(None)
        assert not any(streams(card))
        await into.hang_up()


async def test_devices_that_do_not_open_are_said_and_not_tried_again() -> None:
    card = Card()
    card.broken = True
    told: list[str] = []
    async with phones("alice", "bob") as (alice, bob):
        out, _ = await connected(alice, bob)
        line = Line(1, out, alice.now(), told.append)
        line.use(Devices(module=card))
        line.connect()
        assert told == ["Mic: can not be opened: Device unavailable"]


async def test_its_clock_runs_from_the_answer_to_the_end_and_quality_is_kept() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, _ = await connected(alice, bob)
        line = Line(1, out, 100.0, print)
        assert line.seconds(107.0) == 7
        line.answered_at = 110.0
        assert line.seconds(115.0) == 5
        line.ended_at = 130.0
        assert line.seconds(1000.0) == 20
        assert [report.codec for report in line.quality()][:1] == ["PCMU"]
        await out.hang_up()
        assert [report.codec for report in line.quality()][:1] == ["PCMU"]
