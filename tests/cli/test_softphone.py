"""`ringback softphone` as a process on a terminal, and what it says when it cannot begin."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import RINGBACK, ringback
from tests.interop.peers.program import free_port
from tests.ua.phones import phones

F3 = b"\x1bOR"
CONTROL_Q = b"\x11"


class Terminal:
    """A terminal with the softphone in it."""

    def __init__(self) -> None:
        self.end, self.inside = pty.openpty()
        fcntl.ioctl(self.inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.modes = termios.tcgetattr(self.inside)
        self.output = b""
        self._come = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.end, self._read)

    def _read(self) -> None:
        self.output += os.read(self.end, 65536)
        self._come.set()

    async def start(self, *options: str | Path, **variables: str) -> asyncio.subprocess.Process:
        inside = self.inside
        return await asyncio.create_subprocess_exec(
            RINGBACK, "softphone", *options, stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", **variables},
        )  # fmt: skip

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(40):
            while not condition():
                self._come.clear()
                await self._come.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.end)
        os.close(self.end)
        os.close(self.inside)


@pytest.mark.parametrize("leave", ["key", "signal"])
async def test_a_call_is_taken_on_a_terminal_and_ends_with_the_screen(tmp_path: Path, leave: str) -> None:
    port = free_port()
    terminal = Terminal()
    async with phones("bob") as [bob]:
        process = await terminal.start(
            "--listen", f"udp:127.0.0.1:{port}", "--silent", "--codec", "PCMU", XDG_CONFIG_HOME=str(tmp_path)
        )
        try:
            await terminal.until(lambda: b"calls are silent: --silent" in terminal.output)
            call = await bob.calls.dial(f"sip:alice@127.0.0.1:{port}")
            await terminal.until(lambda: b"ringing" in terminal.output)
            os.write(terminal.end, F3)
            await call.answered()
            if leave == "key":
                os.write(terminal.end, CONTROL_Q)
            else:
                process.send_signal(signal.SIGTERM)
            assert (await call.ended()).by == "remote"
            async with asyncio.timeout(20):
                assert await process.wait() == 0
            assert termios.tcgetattr(terminal.inside) == terminal.modes
            assert b"Traceback" not in terminal.output
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            terminal.close()


def test_without_textual_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "textual.py").write_text("raise ImportError")
    assert ringback("softphone", PYTHONPATH=str(tmp_path)) == (
        1,
        "",
        "ringback: the screen needs textual: pip install 'ringback[softphone]'\n",
    )


def test_a_device_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise ImportError")
    place = f"udp:127.0.0.1:{free_port()}"
    code, out, err = ringback(
        "softphone",
        "--listen",
        place,
        "--microphone",
        "Headset",
        PYTHONPATH=str(tmp_path),
        XDG_CONFIG_HOME=str(tmp_path),
    )
    assert (code, out) == (1, "")
    assert err == "ringback: sounddevice is not installed: pip install 'ringback[devices]'\n"


def test_mistakes_are_named(tmp_path: Path) -> None:
    contacts = tmp_path / "contacts.toml"
    contacts.write_text("bob = 7\n")
    assert ringback("softphone", "--contacts", contacts, XDG_CONFIG_HOME=str(tmp_path)) == (
        2,
        "",
        f'ringback: {contacts}: bob: a contact is a URI in quotes: bob = "sip:…"\n',
    )
    code, _, err = ringback("softphone", "--codec", "nosuch", XDG_CONFIG_HOME=str(tmp_path))
    assert code == 2 and err.startswith("ringback: --codec: 'nosuch' is not available here")
