"""A program that a test starts, waits for by condition, and ends by its process id."""

from __future__ import annotations

import atexit
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATH = os.environ.get("PATH", os.defpath) + os.pathsep + os.pathsep.join(["/usr/sbin", "/sbin"])
POLL_SECONDS = 0.02
# Below the ports that the system gives to whoever asks for any, so that none of those is taken by chance.
_BLOCKS = range(10000, 32000, 100)
_blocks: list[socket.socket] = []
_ports: list[int] = []


class PeerError(AssertionError):
    """A peer did not do what the test waits for. Carries the end of what the peer wrote."""


def wait_until(condition: Callable[[], bool], seconds: float, what: str, log: Callable[[], str] = str) -> None:
    """Poll `condition` until it holds. PeerError naming `what`, with what `log` says, when it does not in `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise PeerError(f"no {what} within {seconds:g} s\n{log()}")
        time.sleep(POLL_SECONDS)


class Program:
    """One running program with its output in a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, "PATH": PATH, **(env or {})},
            )

    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def output(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text(errors="replace")

    def tail(self, characters: int = 6000) -> str:
        """The end of what it wrote, for messages."""
        return f"--- {self.name} wrote:\n{self.output()[-characters:]}"

    def say(self, line: str) -> None:
        """Type a line on its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def expect(self, pattern: str, seconds: float = 10.0, *, after: int = 0) -> re.Match[str]:
        """Wait until what it wrote, from the character `after` on, matches the regular expression; return the match.

        PeerError when the time is over or the program ends before.
        """
        found: re.Match[str] | None = None

        def matches() -> bool:
            nonlocal found
            ended = not self.running()  # asked before reading, so that the last words of an ended program count
            found = re.search(pattern, self.output()[after:])
            if found is None and ended:
                raise PeerError(f"{self.name} ended ({self.process.returncode}) before {pattern!r}\n{self.tail()}")
            return found is not None

        wait_until(matches, seconds, f"{pattern!r} from {self.name}", self.tail)
        assert found is not None
        return found

    def wait(self, seconds: float) -> int:
        """Wait for its end and return the exit code. PeerError when it still runs."""
        wait_until(lambda: not self.running(), seconds, f"end of {self.name}", self.tail)
        return int(self.process.returncode)

    def stop(self, first: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> int:
        """End it: `first`, SIGKILL if it still runs after `seconds`. Returns the exit code (negative: the signal)."""
        if self.running():
            self.process.send_signal(first)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()
        return int(self.process.returncode)


def free_port(above: int = 1) -> int:
    """A port that is free for UDP and TCP on 127.0.0.1 and ::1, and so are the next `above` ports.

    No other test run on this machine is given the same ones, though what they are for binds them only later.
    """
    while True:
        if len(_ports) <= above:
            _ports[:] = _claim_block()
        port = _ports[0]
        del _ports[: above + 1]
        if all(_is_free(port + step) for step in range(above + 1)):
            return port


def _claim_block() -> range:
    """A hundred ports for this process: it takes a name from the kernel, which nobody else gets until it ends."""
    for first in random.sample(_BLOCKS, len(_BLOCKS)):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0ringback-interop-ports-{first}")
        except OSError:  # another run has it, or this one
            claim.close()
            continue
        if not _blocks:
            atexit.register(_let_go)
        _blocks.append(claim)
        return range(first, first + _BLOCKS.step)
    raise PeerError("no free ports on 127.0.0.1")


def _let_go() -> None:
    for claim in _blocks:
        claim.close()


def _is_free(port: int) -> bool:
    families = [(socket.AF_INET, "127.0.0.1")]
    if has_ipv6():
        families.append((socket.AF_INET6, "::1"))
    for family, host in families:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(family, kind) as sock:
                try:
                    sock.bind((host, port))
                except OSError:
                    return False
    return True


def has_ipv6() -> bool:
    """Whether this machine has the address ::1."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            return False
    return True


def is_bound(port: int, transport: str = "udp") -> bool:
    """Whether something receives on this port: datagrams, or connections. It is looked at and not spoken to."""
    state = "0A" if transport == "tcp" else "07"
    for suffix in ("", "6"):
        for line in Path(f"/proc/net/{transport}{suffix}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and fields[1].endswith(f":{port:04X}"):
                return True
    return False


def sip_answers(port: int) -> bool:
    """Whether something on udp:127.0.0.1:`port` answers an OPTIONS within half a second, whatever it says."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", port))
        sock.settimeout(0.5)
        own, unique = sock.getsockname()[1], time.time_ns()
        request = (
            f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{unique:x}\r\n"
            f"From: <sip:test@127.0.0.1>;tag=t\r\nTo: <sip:127.0.0.1:{port}>\r\nCall-ID: {unique:x}\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        try:
            sock.send(request.encode())
            return sock.recv(65535).startswith(b"SIP/2.0 ")
        except OSError:  # nothing listens there yet, or it has not answered in time
            return False
