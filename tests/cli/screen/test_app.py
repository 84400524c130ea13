"""The screen, driven by its keys, against phones on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from tests.cli.screen.conftest import address, incoming, shown
from tests.ua.phones import phones
from tests.ua.test_call import heard, tone


async def test_a_call_is_placed_talked_in_and_hung_up(tmp_path: Path) -> None:
    async with phones("bob") as [bob], shown(tmp_path) as screen:
        assert screen.text("#status").endswith("calls are silent: this is a test")
        taking = asyncio.ensure_future(incoming(bob))
        line = await screen.dial(bob.uri)
        call = await taking
        await screen.until(lambda: screen.cells(line)[0] == "calling")
        await call.answer()
        await screen.until(lambda: screen.cells(line)[0] == "talking")
        assert screen.cells(line)[2] == f"→ {bob.uri}"
        await asyncio.gather(call.send_audio(tone(440, 9.0), 8000), line.call.send_audio(tone(880, 9.0), 8000))
        assert np.abs(await heard(call, 800)).max() > 5000
        await screen.until(lambda: "██████" in screen.cells(line)[3])
        await screen.until(lambda: "heard here: PCMU, MOS 4." in screen.text("#details"))
        assert "not encrypted" in screen.text("#details") or "DTLS" in screen.text("#details")
        await screen.press("f5")
        assert (await call.ended()).by == "remote"
        await screen.until(lambda: screen.cells(line)[0] == "ended")
        await screen.until(lambda: "ended by local: hung up" in screen.text("#details"))


async def test_a_call_comes_and_is_answered(tmp_path: Path) -> None:
    async with phones("bob") as [bob], shown(tmp_path) as screen:
        call = await bob.calls.dial(address(screen))
        await screen.until(lambda: screen.text("#message") == f"{bob.uri} is calling")
        [line] = screen.board.lines
        assert screen.cells(line)[0] == "ringing" and screen.cells(line)[2] == f"← {bob.uri}"
        await screen.press("f3")
        await call.answered()
        await screen.until(lambda: screen.cells(line)[0] == "talking")
        await call.hang_up()
        await screen.until(lambda: "ended by remote: hung up" in screen.text("#details"))
