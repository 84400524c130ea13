"""The examples run as they are written, as processes, and do what they say."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ringback import Call, CallFailed
from tests.cli.processes import DOMAIN, ringback, served
from tests.cli.test_answer import write_tone
from tests.interop.peers.program import Program, free_port
from tests.ua.phones import Phone, phones
from tests.ua.test_call import heard, incoming, loudest, tone

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PASSWORD = "Oo4ieLuo7Z"

Start = Callable[..., Program]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start("ivr.py", …)`: an example as a process, ended after the test."""
    running: list[Program] = []

    def run(name: str, *arguments: str | Path, **replaced: str) -> Program:
        text = (EXAMPLES / name).read_text()
        for old, new in replaced.items():
            text = text.replace(old.replace("_", ":"), new)
        file = tmp_path / name
        file.write_text(text)
        environment = {**os.environ, "RINGBACK_PASSWORD": PASSWORD}
        program = Program([sys.executable, file, *arguments], tmp_path / f"{name}.log", cwd=tmp_path, env=environment)
        running.append(program)
        return program

    yield run
    for program in running:
        program.stop()


async def called(phone: Phone, uri: str) -> Call:
    """The call to an example, as soon as it answers: processes take their time to begin."""
    async with asyncio.timeout(20):
        while True:
            call = await phone.calls.dial(uri)
            try:
                async with asyncio.timeout(1.0):
                    await call.answered()
                return call
            except TimeoutError:
                continue
            except CallFailed as failure:
                # Not registered yet.
                if failure.status != 480:
                    raise
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_examples_are_short(name: str) -> None:
    lines = [line for line in (EXAMPLES / name).read_text().splitlines() if line.strip()]
    assert len(lines) <= 45
    assert re.match(r'""".+', lines[0])


@pytest.mark.parametrize("name", ["echo_bot.py", "voice_bot.py"])
async def test_bots_say_what_they_hear(start: Start, name: str) -> None:
    place = f"127.0.0.1:{free_port()}"
    start(name, **{"127.0.0.1_5070": place})
    async with phones("alice") as (alice,):
        call = await called(alice, f"sip:bot@{place}")
        await call.send_audio(tone(700, 0.5), 8000)
        assert abs(loudest(await heard(call, 2000), 8000) - 700) < 8
        await call.hang_up()
        await alice.calls.none_left()


async def test_the_menu_and_click_to_call_through_a_server(tmp_path: Path, start: Start) -> None:
    """Both register, so there is a server; desk, alice and bob are phones that it reaches by routes."""
    data = tmp_path / "data"
    for user in ("menu", "office"):
        added = await asyncio.to_thread(
            ringback, "user", "add", user, "--domain", DOMAIN, "--data", data, "--password", PASSWORD
        )
        assert added[0] == 0, added
    with served(tmp_path) as (_, port):
        account = f"sip:{{}}@{DOMAIN}"
        server = f"127.0.0.1:{port}"
        menu = start(
            "ivr.py",
            account.format("menu"),
            write_tone(tmp_path / "welcome.wav", 500),
            write_tone(tmp_path / "news.wav", 900),
            "sip:desk@127.0.0.1",
            **{"password=": f'registrar="{server}", proxies=["{server}"], password='},
        )
        async with phones("alice", "bob") as (alice, bob):
            call = await called(alice, f"sip:menu@{server}")
            assert abs(loudest(await heard(call, 2000), 8000) - 500) < 8
            await call.send_digits("1")
            await asyncio.wait_for(hears(call, 900), 10)
            await call.hang_up()
            menu.stop()
            rings = [asyncio.ensure_future(incoming(phone)) for phone in (alice, bob)]
            start(
                "click_to_call.py",
                account.format("office"),
                alice.uri,
                bob.uri,
                **{"password=": f'registrar="{server}", password='},
            )
            first = await asyncio.wait_for(rings[0], 20)
            await first.answer()
            second = await asyncio.wait_for(rings[1], 20)
            await second.answer()
            await first.send_audio(tone(600, 0.6), 8000)
            assert abs(loudest(await heard(second, 2000), 8000) - 600) < 8
            await first.hang_up()
            assert (await second.ended()).by == "remote"


async def hears(call: Call, hertz: float) -> None:
    """Wait until a tone is heard."""
    async for frame in call.audio(8000):
        if np.abs(frame).max() > 1000 and abs(loudest(frame, 8000) - hertz) < 50:
            return
