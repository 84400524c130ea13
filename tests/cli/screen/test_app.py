"""The screen, driven by its keys, against phones on loopback."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from tests.cli.screen.screens import address, incoming, shown
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
        assert screen.cells(line)[4] == f"→ {bob.uri}"
        await asyncio.gather(call.send_audio(tone(440, 9.0), 8000), line.call.send_audio(tone(880, 9.0), 8000))
        assert np.abs(await heard(call, 800)).max() > 5000
        await screen.until(lambda: "████" in screen.cells(line)[2])
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
        assert screen.cells(line)[0] == "ringing" and screen.cells(line)[4] == f"← {bob.uri}"
        await screen.press("f3")
        await call.answered()
        await screen.until(lambda: screen.cells(line)[0] == "talking")
        await call.hang_up()
        await screen.until(lambda: "ended by remote: hung up" in screen.text("#details"))


async def test_a_call_that_comes_is_refused_and_another_is_given_up(tmp_path: Path) -> None:
    async with phones("bob") as [bob], shown(tmp_path) as screen:
        call = await bob.calls.dial(address(screen))
        await screen.until(lambda: screen.board.live != [])
        await screen.press("f4")
        assert (await call.ended()).status == 486
        taking = asyncio.ensure_future(incoming(bob))
        line = await screen.dial(bob.uri)
        ringing = await taking
        await screen.press("f5")
        assert (await ringing.ended()).status == 487
        await screen.until(lambda: screen.cells(line)[0] == "ended")


async def test_a_refused_call_says_why_as_plain_text(tmp_path: Path) -> None:
    async with phones("bob") as [bob], shown(tmp_path) as screen:
        taking = asyncio.ensure_future(incoming(bob))
        line = await screen.dial(bob.uri)
        (await taking).reject(486, "[blink]Busy[/blink] [@click=app.quit]here")
        await screen.until(lambda: "Busy" in screen.text("#message"))
        assert screen.text("#message") == f"{bob.uri}: 486 [blink]Busy[/blink] [@click=app.quit]here"
        await screen.until(lambda: "486 [blink]Busy[/blink] [@click=app.quit]here" in screen.text("#details"))
        assert screen.cells(line)[0] == "ended"


async def test_hold_resume_and_mute(tmp_path: Path) -> None:
    async with phones("bob") as [bob], shown(tmp_path) as screen:
        await screen.press("f6")
        await screen.until(lambda: screen.text("#message") == "that needs a call that is answered")
        taking = asyncio.ensure_future(incoming(bob))
        line = await screen.dial(bob.uri)
        call = await taking
        await call.answer()
        await screen.until(lambda: screen.cells(line)[0] == "talking")
        await screen.press("f6")
        await screen.until(lambda: screen.cells(line)[0] == "on hold" and call.held)
        await screen.press("f6")
        await screen.until(lambda: screen.cells(line)[0] == "talking")
        assert not call.held
        await screen.until(lambda: "resume: done" in screen.text("#details"))
        await call.hold()
        await screen.until(lambda: screen.cells(line)[0] == "held")
        await call.resume()
        await screen.press("f12")
        await screen.until(lambda: screen.cells(line)[0] == "talking, muted")
        await screen.pilot.click("#hang_up")
        await call.ended()


async def test_digits_of_the_keypad_are_heard_there(tmp_path: Path) -> None:
    async with phones("bob") as [bob], shown(tmp_path) as screen:
        taking = asyncio.ensure_future(incoming(bob))
        line = await screen.dial(bob.uri)
        call = await taking
        await call.answer()
        await screen.until(lambda: screen.cells(line)[0] == "talking")
        await screen.press("f7")
        await screen.press("1", "x", "#")
        await screen.pilot.click("#key-9")
        assert await call.gather(count=3, terminators="", first=10, between=10) == "1#*"
        await screen.press("escape", "f5")
        await call.ended()


async def test_blind_transfer_to_a_contact(tmp_path: Path) -> None:
    async with phones("bob", transfers=True) as [bob], phones("carol") as [carol], shown(tmp_path) as screen:
        screen.app.contacts.add("Carol", carol.uri)
        taking, other = asyncio.ensure_future(incoming(bob)), asyncio.ensure_future(incoming(carol))
        line = await screen.dial(bob.uri)
        call = await taking
        await call.answer()
        await screen.until(lambda: screen.cells(line)[0] == "talking")
        await screen.press("f8")
        await screen.type("carol")
        there = await other
        await there.answer()
        await screen.until(lambda: screen.cells(line)[0] == "ended")
        assert there.remote == bob.uri and call.remote == carol.uri
        await there.hang_up()


async def test_two_calls_are_connected(tmp_path: Path) -> None:
    async with phones("bob", transfers=True) as [bob], phones("carol") as [carol], shown(tmp_path) as screen:
        lines, calls = [], []
        for phone in (bob, carol):
            taking = asyncio.ensure_future(incoming(phone))
            lines.append(await screen.dial(phone.uri))
            calls.append(await taking)
            await calls[-1].answer()
            await screen.until(lambda: screen.cells(lines[-1])[0] == "talking")
        # Who is called next puts the one before on hold.
        await screen.until(lambda: screen.cells(lines[0])[0] == "on hold" and calls[0].held)
        screen.app.query_one("#calls").focus()
        await screen.press("up", "f9")
        await screen.until(lambda: [screen.cells(line)[0] for line in lines] == ["ended", "ended"])
        assert calls[0].remote == carol.uri and calls[1].remote == bob.uri
        await asyncio.gather(calls[0].send_audio(tone(440, 3.0), 8000), calls[1].send_audio(tone(880, 3.0), 8000))
        assert np.abs(await heard(calls[1], 800)).max() > 5000
        await calls[1].hang_up()


async def test_a_contact_is_added_and_called(tmp_path: Path) -> None:
    async with phones("bob") as [bob], shown(tmp_path) as screen:
        await screen.press("ctrl+n")
        await screen.type("Bob [b]")
        await screen.type(bob.uri)
        await screen.until(lambda: screen.text("#message") == "Bob [b] is a contact now")
        assert (tmp_path / "contacts.toml").read_text() == f'"Bob [b]" = "{bob.uri}"\n'
        await screen.press("ctrl+n")
        await screen.type("bob [b]")
        await screen.type(bob.uri)
        await screen.until(lambda: screen.text("#message") == "there is a contact 'bob [b]' already")
        taking = asyncio.ensure_future(incoming(bob))
        screen.app.query_one("#contacts").focus()
        await screen.press("enter")
        call = await taking
        call.reject(486)
        await screen.until(lambda: screen.text("#message") == f"{bob.uri}: 486 Busy Here")


async def test_who_leaves_the_screen_hangs_up(tmp_path: Path) -> None:
    async with phones("bob") as [bob]:
        async with shown(tmp_path) as screen:
            taking = asyncio.ensure_future(incoming(bob))
            line = await screen.dial(bob.uri)
            call = await taking
            await call.answer()
            await screen.until(lambda: screen.cells(line)[0] == "talking")
            ringing = await bob.calls.dial(address(screen))
            await screen.until(lambda: len(screen.board.live) == 2)
            await screen.press("ctrl+q")
        assert (await call.ended()).by == "remote"
        assert (await ringing.ended()).status == 480
