"""A 200 to REGISTER is a promise: whoever has it is registered, whatever becomes of the process afterwards.

A real `ringback serve` takes about 1,000 REGISTER a second over UDP until it is killed in the middle of them, and
starts again on what is on disk, several times over. Phones come, move to another Contact and leave; a few only come.
Each has one request under way at most, so what the registrar may know of it is either the last thing that was
acknowledged or that request.
"""

from __future__ import annotations

import json
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peers.program import Program, free_port

DOMAIN = "durable.test"
RINGBACK = Path(sys.executable).parent / "ringback"
# As bench/ringback.toml: the load comes from a source that is trusted.
CONFIG = '[authentication]\ntrusted = ["127.0.0.1"]\n[location]\nstore = "sqlite"\n'

USERS = 600
QUIET = 60
"""So many of them register once: what they wrote becomes the oldest of the log, and has to outlive its tidying."""
RATE = 1000
"""REGISTER requests a second."""
RESEND_SECONDS = 0.5

pytestmark = pytest.mark.slow


class Phone:
    """One user: what has been acknowledged, and the request that is under way."""

    def __init__(self, user: str, quiet: bool) -> None:
        self.user = user
        self.quiet = quiet
        self.acknowledged: frozenset[str] = frozenset()
        """The Contacts that the last 200 has promised."""
        self.asked: frozenset[str] | None = None
        """The Contacts that the request under way asks for."""
        self.request = b""
        self.cseq = 0
        self.resend_at = 0.0

    def ask(self, port: int, leave: bool) -> bytes:
        """The next request: register another Contact in the place of the last one, or leave."""
        self.cseq += 1
        if leave:
            self.asked = frozenset()
            contacts = "Contact: *\r\nExpires: 0\r\n"
        else:
            fresh = f"sip:{self.user}@127.0.0.1:{port};v={self.cseq}"
            self.asked = frozenset([fresh])
            gone = "".join(f"Contact: <{contact}>;expires=0\r\n" for contact in self.acknowledged)
            contacts = f"Contact: <{fresh}>;expires=3600\r\n{gone}"
        self.request = (
            f"REGISTER sip:{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK-{self.user}-{self.cseq}\r\n"
            f"From: <sip:{self.user}@{DOMAIN}>;tag={self.cseq}\r\nTo: <sip:{self.user}@{DOMAIN}>\r\n"
            f"Call-ID: {self.user}@load\r\nCSeq: {self.cseq} REGISTER\r\n{contacts}"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ).encode()
        return self.request

    def told(self, response: bytes) -> bool:
        """A response to one of its requests; whether it is a new promise."""
        if self.asked is None or f"\r\nCSeq: {self.cseq} REGISTER\r\n".encode() not in response:
            return False  # to a request that was sent twice
        assert response.startswith(b"SIP/2.0 200 "), response.decode()
        self.acknowledged, self.asked = self.asked, None
        return True


class Load:
    """Phones that register over one socket."""

    def __init__(self, chance: random.Random, server: int) -> None:
        self.chance = chance
        self.phones = {f"u{number}": Phone(f"u{number}", number < QUIET) for number in range(USERS)}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.server = ("127.0.0.1", server)
        self.port = int(self.socket.getsockname()[1])
        self.acknowledged = 0

    def run(self, count: int, seconds: float) -> None:
        """Send RATE requests a second until `count` more are acknowledged, and stop with others under way."""
        wanted = self.acknowledged + count
        began = time.monotonic()
        sent = 0
        while self.acknowledged < wanted:
            now = time.monotonic()
            assert now < began + seconds, f"{self.acknowledged} of {wanted} acknowledged in {seconds} s"
            for _ in range(min(int((now - began) * RATE) - sent, 64)):
                sent += 1
                self._send_one(now)
            if select.select([self.socket], [], [], 0.002)[0]:
                self.receive(128)

    def _send_one(self, now: float) -> None:
        phone = self.chance.choice(list(self.phones.values()))
        if phone.asked is None:
            if phone.quiet and phone.acknowledged:
                return
            leave = bool(phone.acknowledged) and self.chance.random() < 0.3
            phone.ask(self.port, leave)
        elif now < phone.resend_at:
            return
        phone.resend_at = now + RESEND_SECONDS
        self.socket.sendto(phone.request, self.server)

    def receive(self, most: int = 1_000_000) -> None:
        """Take the responses that are there."""
        for _ in range(most):
            try:
                response = self.socket.recv(65535)
            except (BlockingIOError, ConnectionRefusedError):
                return
            user = response.partition(b"\r\nTo: <sip:")[2].partition(b"@")[0].decode()
            self.acknowledged += self.phones[user].told(response)

    def compare(self, found: dict[str, frozenset[str]]) -> None:
        """Nothing that was acknowledged is missing, and nothing is there that was not asked for."""
        wrong = []
        for phone in self.phones.values():
            there = found.get(f"{phone.user}@{DOMAIN}", frozenset())
            if there != phone.acknowledged and there != phone.asked:
                wrong.append((phone.user, set(there), set(phone.acknowledged), phone.asked and set(phone.asked)))
        assert wrong == [], f"{len(wrong)} of {USERS}: (user, found, acknowledged, under way)"
        assert found.keys() <= {f"{user}@{DOMAIN}" for user in self.phones}

    def settle(self, found: dict[str, frozenset[str]]) -> None:
        """Take what the registrar knows for granted: what was under way has happened or not."""
        for phone in self.phones.values():
            phone.acknowledged, phone.asked = found.get(f"{phone.user}@{DOMAIN}", frozenset()), None


class World:
    """The server on its data, and the phones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        self.config = folder / "ringback.toml"
        self.config.write_text(CONFIG)
        self.load = Load(random.Random(3261), self.port)
        self.started = 0
        self.program: Program | None = None

    def start(self) -> Program:
        self.started += 1
        command: list[str | Path] = [RINGBACK, "serve", "--domain", DOMAIN, "--data", self.data, "--no-web"]
        command += ["--listen", f"udp:127.0.0.1:{self.port}", "--config", self.config]
        self.program = Program(command, self.folder / f"server{self.started}.log", cwd=self.folder)
        self.program.expect(r"ringback: ready", 60)
        return self.program

    def end(self, kind: signal.Signals) -> None:
        """End it by one signal; what it had sent before is received."""
        assert self.program is not None
        self.program.process.send_signal(kind)
        code = self.program.wait(30)
        assert "Traceback" not in self.program.output(), self.program.tail()
        assert code == (0 if kind is signal.SIGTERM else -kind)
        self.program.stop()
        self.program = None
        self.load.receive()

    def bindings(self) -> dict[str, frozenset[str]]:
        """What `ringback bindings` says: asked of the server if one runs, else of the file."""
        command = [str(RINGBACK), "bindings", "--data", str(self.data), "--json"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (result.returncode, result.stderr) == (0, "")
        found: dict[str, set[str]] = {}
        for row in json.loads(result.stdout):
            found.setdefault(row["aor"], set()).add(row["contact"])
        return {aor: frozenset(contacts) for aor, contacts in found.items()}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    if made.program is not None:
        made.program.stop(signal.SIGKILL)
    made.load.socket.close()


def test_nothing_acknowledged_is_lost_by_kill_9(world: World) -> None:
    """Several times in the middle of the load; the log of the location is tidied up meanwhile."""
    left = 0
    world.start()
    for count in (150, 2500, 1, 1500, 2500):
        world.load.run(count, 120)
        world.end(signal.SIGKILL)
        left += sum(phone.asked is not None for phone in world.load.phones.values())
        in_file = world.bindings()
        world.load.compare(in_file)
        world.start()
        assert world.bindings() == in_file
        world.load.settle(in_file)
    world.end(signal.SIGTERM)
    assert left > 0, "no request was under way when the server was killed: the kill has come too late to tell anything"
    present = sum(bool(phone.acknowledged) for phone in world.load.phones.values())
    assert 0 < present < USERS, "some are registered, and some have left"


def test_a_kill_in_the_first_moment_of_a_start_loses_nothing(world: World) -> None:
    """Before it is ready, while it reads the file and empties the write-ahead log."""
    world.start()
    world.load.run(800, 120)
    world.end(signal.SIGKILL)
    for milliseconds in (50, 300, 500, 800):
        command = [RINGBACK, "serve", "--domain", DOMAIN, "--data", world.data, "--no-web"]
        command += ["--listen", f"udp:127.0.0.1:{world.port}", "--config", world.config]
        starting = Program(command, world.folder / f"killed{milliseconds}.log", cwd=world.folder)
        with pytest.raises(subprocess.TimeoutExpired):
            starting.process.wait(milliseconds / 1000)
        starting.stop(signal.SIGKILL)
    world.load.compare(world.bindings())


def test_sigterm_answers_and_keeps_what_was_asked_for(world: World) -> None:
    """Ended in order: no request that was taken stays without its answer, and all answers were the truth."""
    world.start()
    world.load.run(1500, 120)
    world.end(signal.SIGTERM)
    world.load.compare(world.bindings())
