"""Phones for the tests of calls: all that an agent is but its account, on loopback, with real media."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from ringback.media.backend import MediaPreferences
from ringback.media.io.backend import InProcessMedia
from ringback.sip.profile import Profile
from ringback.sip.session_events import CoreEvent
from ringback.sip.transport import Flow
from ringback.sip.user_agent import UserAgentCore
from ringback.ua.calls import Calls
from ringback.ua.places import Listen
from ringback.ua.wire import Wire, WireOptions


class Phone:
    """A `Host`."""

    def __init__(self, name: str, *, transfers: bool = False) -> None:
        self.name = name
        self.media = InProcessMedia()
        self.preferences = MediaPreferences(codecs=("PCMU",), address="127.0.0.1")
        self.calls = Calls(self, transfers=transfers)
        self.events: list[CoreEvent] = []
        self.errors: list[BaseException] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.told = asyncio.Event()

    async def open(self) -> None:
        options = WireOptions(listen=(Listen("udp:127.0.0.1:0"),), agent=self.name)
        self.wire = await Wire.open(options, self._told, self._closed)
        port = self.wire.places.listeners[0].port
        self.uri = f"sip:{self.name}@127.0.0.1:{port}"
        self.profile = Profile(f"<{self.uri}>", self.uri)
        self.core.profiles.append(self.profile)
        self.core.default = self.profile

    async def close(self) -> None:
        await self.calls.close(2.0)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.media.close()
        await self.wire.close(0.0)

    @property
    def core(self) -> UserAgentCore:
        return self.wire.core

    def now(self) -> float:
        return self.wire.now()

    def turn(self) -> None:
        self.wire.turn()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)

    def preferences_for(self, target: str) -> MediaPreferences:
        return self.preferences

    def _told(self, event: CoreEvent) -> None:
        self.events.append(event)
        self.calls.handle(event)
        self.told.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that signalling brings about."""
        while not condition():
            self.told.clear()
            await self.told.wait()

    def _closed(self, flow: Flow) -> None:
        raise AssertionError("there are no connections")


@asynccontextmanager
async def phones(*names: str, transfers: bool = False) -> AsyncIterator[list[Phone]]:
    """Phones that are open; at the end nothing of them may be left, nor may anything have failed unseen."""
    made = [Phone(name, transfers=transfers) for name in names]
    try:
        for phone in made:
            await phone.open()
        yield made
    finally:
        for phone in made:
            await phone.close()
    for phone in made:
        assert phone.errors == []
        assert len(phone.calls) == 0, f"{phone.name} has sessions left: {phone.calls.running}"
        assert len(phone.media) == 0
