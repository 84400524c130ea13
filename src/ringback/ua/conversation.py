"""Calls that hear each other.

await connect(alice_call, bob_call)        two, until one of them ends; the other is then hung up

async with Conversation(agent) as room:    any number
    room.add(call)
    await room.empty()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Protocol

from ringback.errors import LocalError
from ringback.media.backend import MediaBackend
from ringback.media.io.backend import InProcessMedia
from ringback.media.io.bridge import Mix, bridge
from ringback.sip.cause import Cause
from ringback.ua.call import Call

__all__ = ["Conversation", "Owner", "connect"]


class Owner(Protocol):
    """What a conversation needs of the agent."""

    @property
    def media(self) -> MediaBackend: ...
    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...



async def connect(one: Call, other: Call) -> Cause:
    """Let two calls hear each other until one ends, then hang up the other; why it has ended.

    Cancelled, both are parted and go on. A call that is transferred takes the bridge with it. Raises LocalError for a
    call that is not answered, or with itself.
    """
    if one is other:
        raise LocalError("a call cannot be connected with itself")
    ends: list[Callable[[], None]] = []

    def part() -> None:
        while ends:
            ends.pop()()

    def join() -> None:
        part()
        if one.state == other.state == "established":
            ends.append(bridge(one.media, other.media))

    for call in (one, other):
        call.flush()
        if call.state != "established":
            raise LocalError(f"{call} is not answered")
        call.moved.append(join)
    join()
    waiting = [asyncio.ensure_future(call.ended()) for call in (one, other)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        for call in (one, other):
            call.moved.remove(join)
        part()
    await asyncio.gather(one.hang_up(), other.hang_up())
    cause = one.cause if waiting[0].done() and not waiting[0].cancelled() else other.cause
    assert cause is not None
    return cause


class Conversation:
    """A room in which each hears all the others."""

    def __init__(self, host: Owner) -> None:
        media = host.media
        if not isinstance(media, InProcessMedia):
            raise LocalError("a conversation needs the media of this process")
        self._mix = Mix(media.ticker)
        self._host = host
        self._leave: dict[Call, Callable[[], None]] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    async def __aenter__(self) -> Conversation:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in self.members:
            self.remove(call)

    @property
    def members(self) -> Sequence[Call]:
        """Who takes part, in order of arrival."""
        return list(self._leave)

    def add(self, call: Call) -> None:
        """Let a call take part; it leaves when it ends. Nothing happens when it does already. Raises LocalError."""
        if call in self._leave:
            return
        if call.state != "established":
            raise LocalError(f"{call} is not answered")
        self._leave[call] = self._mix.join(call.media)
        self._empty.clear()

        def moved() -> None:
            self._leave[call]()
            self._leave[call] = self._mix.join(call.media)

        call.moved.append(moved)
        self._host.spawn(self._until_it_ends(call, moved), "member of a conversation")

    async def _until_it_ends(self, call: Call, moved: Callable[[], None]) -> None:
        try:
            await call.ended()
        finally:
            call.moved.remove(moved)
            self.remove(call)

    def remove(self, call: Call) -> None:
        """Let a call take part no more; it goes on. Nothing happens when it does not take part."""
        leave = self._leave.pop(call, None)
        if leave is not None:
            leave()
        if not self._leave:
            self._empty.set()

    async def empty(self) -> None:
        """Wait until nobody takes part."""
        await self._empty.wait()
