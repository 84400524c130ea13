"""What can be done with the calls, without a screen, against phones on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ringback.cli.screen.line import Line
from ringback.cli.screen.switchboard import MOST_ENDED, MOST_LIVE, Switchboard
from ringback.ua.agent import UserAgent
from ringback.ua.call import Call
from ringback.ua.devices import Devices
from tests.cli.screen.screens import incoming
from tests.ua.phones import Phone, phones
from tests.ua.test_devices import Card


class Desk:
    """A switchboard and what it says."""

    def __init__(self, board: Switchboard) -> None:
        self.board = board
        self.said: list[str] = []
        self._changed = asyncio.Event()
        board.changed.append(self._changed.set)
        board.say = self.said.append

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(15):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def call(self, phone: Phone) -> tuple[Line, Call]:
        """A call to a phone that answers."""
        count = len(self.board.lines)
        taking = asyncio.ensure_future(incoming(phone))
        await asyncio.sleep(0)
        self.board.dial(phone.uri)
        call = await taking
        await call.answer()
        await self.until(lambda: len(self.board.lines) > count and self.board.lines[-1].answered_at is not None)
        return self.board.lines[-1], call


@asynccontextmanager
async def desk(devices: Devices | None = None, silence: str = "", **options: bool) -> AsyncIterator[Desk]:
    async with UserAgent(
        "sip:alice@127.0.0.1", listen=["udp:127.0.0.1:0"], codecs=["PCMU"], ice="none", **options
    ) as agent:
        made = Desk(Switchboard(agent, devices, silence))
        running = agent.spawn(made.board.run(), "switchboard")
        await asyncio.sleep(0)
        yield made
        running.cancel()


async def test_it_says_what_sound_there_is() -> None:
    async with desk() as one, desk(silence="--silent") as silent:
        assert one.board.sound == "calls are silent: no sound device"
        assert silent.board.sound == "calls are silent: --silent"
    async with desk(Devices(module=Card())) as one, desk(Devices(module=Card(names={"input": "Headset"}))) as other:
        assert one.board.sound == "Mic / Speaker"
        assert other.board.sound == "Headset / no loudspeaker"
    async with desk(Devices(module=Card(names={"input": "Headset", "output": "Headset"}))) as one:
        assert one.board.sound == "Headset"


async def test_a_call_is_at_the_devices_while_it_is_spoken_in() -> None:
    card = Card()
    async with phones("bob", "carol") as (bob, carol), desk(Devices(module=card)) as it:
        line, _ = await it.call(bob)
        it.board.tick()
        assert [stream.running for stream in card.streams] == [True, True]
        other, call = await it.call(carol)
        await it.until(lambda: line.holding and line.call.history[-1].kind == "hold")
        assert line._attached is None and other._attached is not None
        it.board.mute(other)
        assert other.muted and other._attached.muted
        it.board.hang_up(other)
        await call.ended()
        it.board.hold(line)
        await it.until(lambda: not line.holding)
        assert line._attached is not None
        it.board.leave()
        assert line.is_over and it.board.live == []
        assert not any(stream.running for stream in card.streams)
        await it.until(lambda: line.ended_at is not None)
        assert it.said == []


async def test_a_device_that_goes_away_leaves_the_call_silent() -> None:
    card = Card()
    async with phones("bob") as [bob], desk(Devices(module=card)) as it:
        line, call = await it.call(bob)
        card.streams[0].close()
        await it.until(lambda: it.said == ["calls are silent: the sound device is gone"])
        it.board.tick()
        assert it.board.sound == "calls are silent: the sound device is gone"
        assert line.talks and not any(stream.running for stream in card.streams)
        await call.hang_up()


async def test_a_call_that_rings_is_answered_or_refused() -> None:
    async with phones("bob") as [bob], desk() as it:
        rung: list[Line] = []
        it.board.arrived = rung.append
        first = await bob.calls.dial(it.board.agent.contact)
        await it.until(lambda: len(rung) == 1)
        it.board.hang_up(rung[0])
        assert (await first.ended()).status == 486
        second = await bob.calls.dial(it.board.agent.contact)
        await it.until(lambda: len(rung) == 2)
        it.board.answer(rung[1])
        it.board.reject(rung[1])
        it.board.answer(rung[1])
        await second.answered()
        await it.until(lambda: rung[1].talks)
        it.board.hang_up(rung[1])
        assert (await second.ended()).by == "remote"
        await it.until(lambda: all(line.ended_at is not None for line in rung))


async def test_a_refusal_and_a_mistake_are_said() -> None:
    async with phones("bob") as [bob], desk() as it:
        taking = asyncio.ensure_future(incoming(bob))
        await asyncio.sleep(0)
        it.board.dial(bob.uri)
        (await taking).reject(603, "No\tthanks")
        await it.until(lambda: len(it.said) == 1)
        assert it.said[0].startswith(f"{bob.uri}: 603 No")
        it.board.dial("sip:@@")
        await it.until(lambda: len(it.said) == 2)
        line, call = await it.call(bob)
        it.board.digits(line, "x")
        await it.until(lambda: len(it.said) == 3)
        it.board.transfer(line, "sip:@@")
        await it.until(lambda: len(it.said) == 4)
        it.board.transfer(line, "sip:carol@127.0.0.1:9")
        await it.until(lambda: len(it.said) == 5)
        assert it.said[4] == "403 Forbidden"
        assert line.talks
        await call.hang_up()


async def test_a_transfer_that_is_accepted_ends_our_part() -> None:
    async with phones("bob", transfers=True) as [bob], phones("carol") as [carol], desk() as it:
        line, call = await it.call(bob)
        taking = asyncio.ensure_future(incoming(carol))
        it.board.transfer(line, carol.uri)
        taken = await taking
        await taken.answer()
        await it.until(lambda: line.ended_at is not None)
        assert call.remote == carol.uri and taken.remote == bob.uri
        assert it.said == []
        await call.hang_up()


async def test_only_so_many_calls_at_a_time_and_so_many_that_have_ended() -> None:
    async with phones("bob") as [bob], desk() as it:
        calls = [await bob.calls.dial(it.board.agent.contact) for _ in range(MOST_LIVE + 1)]
        await it.until(lambda: len(it.board.live) == MOST_LIVE)
        assert (await calls[-1].ended()).status == 486
        it.board.dial(bob.uri)
        assert it.said == [f"there are {MOST_LIVE} calls already"]
        for call in calls:
            await call.hang_up()
        await it.until(lambda: it.board.live == [])
        for _ in range(MOST_ENDED):
            call = await bob.calls.dial(it.board.agent.contact)
            await it.until(lambda: it.board.live != [])
            it.board.reject(it.board.lines[-1])
            await call.ended()
        assert len(it.board.lines) <= MOST_ENDED + 1
        assert it.board.lines[-1].number == MOST_LIVE + MOST_ENDED
