"""A task that is killed at any await leaves no dialog open at the far end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from ringback.media.wav import WavWriter
from ringback.ua.call import Call
from ringback.ua.calls import Dialing
from tests.ua.phones import Phone, phones
from tests.ua.test_call import tone


class KilledAt:
    """Awaits a coroutine, and has the task cancelled at its `number`-th suspension (0: never)."""

    def __init__(self, coroutine: Coroutine[Any, Any, None], number: int) -> None:
        self.coroutine = coroutine
        self.number = number
        self.suspended = 0

    def __await__(self) -> Generator[Any, Any, None]:
        value: Any = None
        error: BaseException | None = None
        while True:
            try:
                waited = self.coroutine.send(value) if error is None else self.coroutine.throw(error)
            except StopIteration:
                return
            self.suspended += 1
            if self.suspended == self.number:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            value = error = None
            try:
                value = yield waited
            except BaseException as raised:
                error = raised


async def killed(coroutine: Coroutine[Any, Any, None], number: int) -> tuple[bool, int]:
    """Run a coroutine in a task that is killed at its `number`-th await: whether that came to be, and how many there
    were."""
    killing = KilledAt(coroutine, number)

    async def run() -> None:
        await killing

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if task.cancelled():
        return True, killing.suspended
    task.result()
    return False, killing.suspended


async def nothing_is_open(*all_phones: Phone) -> None:
    """Wait until no session is left anywhere."""
    async with asyncio.timeout(8):
        for phone in all_phones:
            await phone.calls.none_left()


async def everything_of_a_caller(phone: Phone, target: str, file: Path) -> None:
    async with Dialing(phone.calls, target, [], None) as call:
        await call.play(file)
        await call.hold()
        await call.resume()
        await call.send_audio(tone(440, 0.02), 8000)
        await call.mark()
        await call.gather(count=1, first=0.01)
        async for _ in call.audio(8000):
            break


async def everything_of_a_callee(call: Call, file: Path) -> None:
    call.ring()
    await call.early_media()
    await call.answer()
    await call.play(file)
    await call.hold()
    await call.gather(count=1, first=0.01)
    await call.hang_up()


async def stay(call: Call) -> None:
    await call.answer()
    await call.ended()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with WavWriter(tmp_path / "short.wav", 8000) as writer:
        writer.write(tone(440, 0.03))
    return tmp_path / "short.wav"


async def test_a_caller_killed_at_any_await(file: Path) -> None:
    async with phones("alice", "bob") as (alice, bob):
        serving = bob.spawn(bob.calls.serve(stay), "serve")
        number, kills = 0, 0
        while True:
            number += 1
            was_killed, suspended = await killed(everything_of_a_caller(alice, bob.uri, file), number)
            await nothing_is_open(alice, bob)
            if not was_killed:
                break
            kills += 1
        assert kills == suspended >= 8
        serving.cancel()


async def test_a_callee_killed_at_any_await(file: Path) -> None:
    async with phones("alice", "bob") as (alice, bob):
        number, kills, done = 0, 0, False
        while not done:
            number += 1
            outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

            async def handler(call: Call) -> None:
                was_killed, _ = await killed(everything_of_a_callee(call, file), number)  # noqa: B023
                outcome.set_result(was_killed)  # noqa: B023

            serving = bob.spawn(bob.calls.serve(handler), "serve")
            await asyncio.sleep(0)
            await alice.calls.dial(bob.uri)
            done = not await outcome
            kills += not done
            await nothing_is_open(alice, bob)
            serving.cancel()
        assert kills >= 5
