"""A screen with a real agent behind it, on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import Input

from ringback.cli.screen.app import Softphone
from ringback.cli.screen.contacts import Contacts
from ringback.cli.screen.line import Line
from ringback.cli.screen.switchboard import Switchboard
from ringback.ua.agent import UserAgent
from ringback.ua.call import Call
from tests.ua.phones import Phone


class Shown:
    """A screen that is shown, and what a person does there."""

    def __init__(self, app: Softphone, pilot: Pilot[None]) -> None:
        self.app = app
        self.board = app.board
        self.pilot = pilot
        self._changed = asyncio.Event()
        self.board.changed.append(self._changed.set)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for something that the screen or a call brings about; each change is a reason to look."""
        async with asyncio.timeout(15):
            while not condition():
                self._changed.clear()
                await self._changed.wait()
                await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Put this into the field that has the focus, and press Enter."""
        field = self.app.focused
        assert isinstance(field, Input)
        field.value = text
        await self.pilot.press("enter")

    async def dial(self, target: str) -> Line:
        """Call somebody from the field; the call's line."""
        before = len(self.board.lines)
        self.app.query_one("#number").focus()
        await self.pilot.pause()
        await self.type(target)
        await self.until(lambda: len(self.board.lines) > before)
        return self.board.lines[-1]

    def text(self, selector: str) -> str:
        """What stands in a part of the screen."""
        return str(self.app.query_one(selector).render())

    def cells(self, line: Line) -> list[str]:
        """What stands in the list of calls."""
        table: Any = self.app.query_one("#calls")
        return [str(cell) for cell in table.get_row(str(line.number))]


@asynccontextmanager
async def shown(folder: Path, **options: Any) -> AsyncIterator[Shown]:
    """A screen at a phone of its own that is reached directly."""
    settings: dict[str, Any] = {"listen": ["udp:127.0.0.1:0"], "codecs": ["PCMU"], "ice": "none", **options}
    async with UserAgent("sip:alice@127.0.0.1", **settings) as agent:
        app = Softphone(Switchboard(agent, None, "this is a test"), Contacts(folder / "contacts.toml"))
        async with app.run_test(size=(130, 45)) as pilot:
            yield Shown(app, pilot)
        assert agent.running == []


def address(screen: Shown) -> str:
    """Where the screen's agent is reached."""
    return screen.board.agent.contact


async def incoming(phone: Phone) -> Call:
    """The next call of a phone's."""
    async for call in phone.calls.take():
        return call
    raise AssertionError("closed")
