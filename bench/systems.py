"""The systems under test: each can be started on a port, measured by its process tree, and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from bench.process import BenchError, Child, Memory, cpu_seconds, memory, waited_seconds
from bench.sipp import DOMAIN

HERE = Path(__file__).parent
KAMAILIO_SCHEMA = Path("/usr/share/kamailio/db_sqlite")


class System(ABC):
    """A SIP server on udp:127.0.0.1:`port` with its files in `directory`."""

    name: str

    def __init__(self, directory: Path, port: int, variant: str = "memory") -> None:
        """`variant` says what REGISTER has to do: "memory", "digest" or "durable"."""
        self.directory = directory
        self.port = port
        self.variant = variant
        self.child: Child | None = None

    @abstractmethod
    def version(self) -> str:
        """Name and version, for the report. BenchError when the program is not installed."""

    @abstractmethod
    def start(self) -> None:
        """Start and return when it serves."""

    def stop(self) -> None:
        """End it, if it runs."""
        if self.child is not None:
            self.child.stop()
            self.child = None

    def stop_with(self, kind: signal.Signals) -> None:
        """End it with one signal and wait until it is gone."""
        child = self._running()
        child.process.send_signal(kind)
        child.wait(30)
        self.child = None

    def cpu(self) -> float:
        """CPU seconds used so far by all its processes and threads."""
        return cpu_seconds(self._running().pid)

    def waited(self) -> float:
        """Seconds for which its first thread has been ready and has had no core."""
        return waited_seconds(self._running().pid)

    def memory(self) -> Memory:
        """What its processes occupy now."""
        return memory(self._running().pid)

    def _running(self) -> Child:
        if self.child is None or not self.child.running():
            raise BenchError(f"{self.name} is not running" + (f":\n{self.child.output()}" if self.child else ""))
        return self.child


class Kamailio(System):
    """Kamailio with the f_malloc allocator (-x fm -X fm), as bench/kamailio.cfg configures it."""

    name = "Kamailio"

    def __init__(
        self, directory: Path, port: int, variant: str = "memory", *, shared_mib: int = 512, hash_size: int = 0
    ) -> None:
        """`shared_mib`: size of its shared memory; `hash_size`: rows of its table as a power of two, 0: its default."""
        super().__init__(directory, port, variant)
        self.shared_mib = shared_mib
        self.hash_size = hash_size
        self.control = directory / "control"

    def version(self) -> str:
        """The first line of kamailio -v."""
        if shutil.which("kamailio") is None:
            raise BenchError("kamailio is not installed")
        text = subprocess.run(["kamailio", "-v"], capture_output=True, text=True, check=True).stdout
        return text.splitlines()[0].removeprefix("version: ") + ", -x fm -X fm"

    def start(self) -> None:
        """Start it and wait until it answers an OPTIONS."""
        self.version()
        self.directory.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = ["kamailio", "-f", HERE / "kamailio.cfg", "-l", f"udp:127.0.0.1:{self.port}"]
        command += ["-m", str(self.shared_mib), "-M", "16", "-x", "fm", "-X", "fm", "-DD", "-E", "-Y", self.directory]
        command += ["-A", "WITH_CONTROL", "-A", f'CONTROL_SOCKET="unix:{self.control}"']
        if self.hash_size:
            command += ["-A", f"HASH_SIZE={self.hash_size}"]
        if self.variant == "digest":
            command += ["-A", "WITH_DIGEST"]
        if self.variant == "durable":
            database = self.directory / "location.sqlite"
            _make_kamailio_database(database)
            command += ["-A", "WITH_SQLITE", "-A", f'DATABASE="sqlite://{database}"']
        self.child = Child(command, self.directory / "kamailio.log", cwd=self.directory)
        self.child.wait_until(lambda: answers(self.port), 15, "answer to OPTIONS")

    def shared_memory(self) -> tuple[int, int]:
        """Its shared memory in bytes: (used, real used), the second with the allocator's own overhead."""
        command = ["kamcmd", "-s", f"unix:{self.control}", "core.shmmem"]
        text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        values = dict(line.strip().split(": ") for line in text.splitlines() if ": " in line)
        return int(values["used"]), int(values["real_used"])


class Ringback(System):
    """This project's server, with bench/ringback.toml or the variant of it that the row asks for."""

    name = "Ringback"

    def __init__(self, directory: Path, port: int, variant: str = "durable", *, pure: bool = False) -> None:
        """`pure`: interpreted, even when compiled modules are there."""
        super().__init__(directory, port, variant)
        self.pure = pure

    @staticmethod
    def command() -> str:
        """The `ringback` of the environment that runs the benchmark."""
        path = Path(sys.executable).parent / "ringback"
        if not path.exists():
            raise BenchError(f"no ringback command beside {Path(sys.executable).name}: install the project first")
        return str(path)

    def version(self) -> str:
        """What `ringback version` prints, in one line."""
        result = subprocess.run([self.command(), "version"], capture_output=True, text=True, env=self._environment())
        if result.returncode:
            raise BenchError(f"ringback version failed: {result.stderr.strip()}")
        return ", ".join(line.strip() for line in result.stdout.splitlines() if line.strip())

    def start(self) -> None:
        """Start it with an empty data directory and wait for its line `ringback: ready`."""
        data = self.directory / "data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        self.resume()

    def resume(self) -> None:
        """Start it with the data directory as it is."""
        data = self.directory / "data"
        command: list[str | Path] = [self.command(), "serve", "--domain", DOMAIN, "--data", data, "--no-web"]
        command += ["--listen", f"udp:127.0.0.1:{self.port}", "--config", self.config()]
        self.child = Child(command, self.directory / "ringback.log", cwd=self.directory, env=self._environment())
        self.child.wait_until(lambda: "ringback: ready" in self._running_output(), 30, "line 'ringback: ready'")

    def config(self) -> Path:
        """The configuration file of the variant."""
        return HERE / ("ringback.toml" if self.variant == "durable" else f"ringback-{self.variant}.toml")

    def add_users(self, names: list[str], password: str) -> None:
        """Make accounts (only the digest variant needs them). The server must not run."""
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        for name in names:
            command: list[str | Path] = [self.command(), "user", "add", name, "--domain", DOMAIN, "--data", data]
            subprocess.run([*command, "--password", password], check=True, capture_output=True, timeout=60)

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        if self.pure:
            environment["RINGBACK_PURE"] = "1"
        return environment

    def _running_output(self) -> str:
        return self.child.output(100_000) if self.child is not None else ""


def answers(port: int) -> bool:
    """Whether a SIP server on 127.0.0.1:`port` answers an OPTIONS over UDP within a second, whatever it says."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", port))
        sock.settimeout(1.0)
        own = sock.getsockname()[1]
        request = (
            f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{time.time_ns():x}\r\n"
            f"From: <sip:bench@127.0.0.1>;tag=b\r\nTo: <sip:127.0.0.1>\r\nCall-ID: {time.time_ns():x}@bench\r\n"
            "CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        try:
            sock.send(request.encode())
            return sock.recv(65535).startswith(b"SIP/2.0 ")
        except OSError:  # nothing listens there yet, or no answer in time
            return False


def _make_kamailio_database(path: Path) -> None:
    """The tables that usrloc asks for, from the files that Kamailio's package ships, journal in WAL mode."""
    if not (KAMAILIO_SCHEMA / "usrloc-create.sql").exists():
        raise BenchError("kamailio-sqlite-modules is not installed")
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    for name in ("standard-create.sql", "usrloc-create.sql"):
        connection.executescript((KAMAILIO_SCHEMA / name).read_text())
    connection.commit()
    connection.close()
