"""The server under test.

INTEROP_SERVER=kamailio puts Kamailio in its place: that is how the tests themselves are tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from tests.interop.peers.program import Program, free_port, sip_answers, wait_until

DOMAIN = "ring.test"
USERS = ("alice", "bob", "carol", "dave", "erin")
HERE = Path(__file__).resolve().parent.parent


def password_of(user: str) -> str:
    """The password that every server under test knows for a user."""
    return f"{user}-secret-3665"


class Server(Protocol):
    """A SIP server for the domain ring.test on 127.0.0.1."""

    directory: Path
    udp: int
    """Port for UDP and TCP."""
    tls: int
    ws: int
    certificate: Path
    """What a phone must trust."""

    def start(self) -> None:
        """Start and return when it serves."""

    def stop(self) -> None:
        """Drain and end it; fails when it did not end in order."""


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A self-signed certificate for ring.test and 127.0.0.1, and its key."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", f"/CN={DOMAIN}"]
    command += ["-addext", f"subjectAltName=DNS:{DOMAIN},IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return certificate, key


class RingbackServer:
    """`ringback serve`, with the accounts of USERS."""

    def __init__(self, directory: Path, accounts: Path, config: str = "") -> None:
        """`accounts`: a data directory with the accounts, which is copied; `config`: more TOML."""
        self.directory = directory
        self.accounts = accounts
        self.config = config
        self.udp, self.tls, self.ws = free_port(), free_port(), free_port()
        self.certificate, self.key = make_certificate(directory)
        self.program: Program | None = None

    @staticmethod
    def command() -> str:
        """The command beside the Python that runs the tests."""
        return str(Path(sys.executable).parent / "ringback")

    @classmethod
    def make_accounts(cls, data: Path) -> None:
        """Add USERS with the command line."""
        for user in USERS:
            command = [cls.command(), "user", "add", user, "--domain", DOMAIN, "--data", str(data), "--password-stdin"]
            subprocess.run(command, input=password_of(user).encode(), check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """Start it and wait for its line `ringback: ready`."""
        data = self.directory / "data"
        if not data.exists():
            shutil.copytree(self.accounts, data)
        config = self.directory / "ringback.toml"
        config.write_text(f'[tls]\ncertificate = "{self.certificate}"\nkey = "{self.key}"\n\n{self.config}')
        command = [self.command(), "serve", "--domain", DOMAIN, "--data", str(data)]
        command += ["--config", str(config), "--no-web"]
        for transport, port in (("udp", self.udp), ("tcp", self.udp), ("tls", self.tls), ("ws", self.ws)):
            command += ["--listen", f"{transport}:127.0.0.1:{port}"]
        self.program = Program(command, self.directory / "server.log", cwd=self.directory)
        self.program.expect(r"ringback: ready", 30)

    def stop(self) -> None:
        """SIGTERM, and look whether it ended in order and without a traceback."""
        if self.program is None:
            return
        program, self.program = self.program, None
        running = program.running()
        code = program.stop(seconds=20)
        assert running, f"the server ended ({code}) during the test\n{program.tail()}"
        assert code == 0, f"the server ended with {code} after SIGTERM\n{program.tail()}"
        assert "Traceback" not in program.output(), f"the server raised an exception\n{program.tail(20000)}"


class KamailioServer:
    """Kamailio doing the same work, to prove the tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.udp, self.tls, self.ws = free_port(), free_port(), free_port()
        self.certificate, self.key = make_certificate(directory)
        self.program: Program | None = None

    def start(self) -> None:
        """Start it and wait until it answers an OPTIONS."""
        tls = self.directory / "tls.cfg"
        tls.write_text(
            f"[server:default]\nmethod = TLSv1.2+\nprivate_key = {self.key}\ncertificate = {self.certificate}\n"
            "[client:default]\nmethod = TLSv1.2+\n"
        )
        command: list[str | Path] = ["kamailio", "-f", HERE / "kamailio" / "server.cfg", "-m", "64", "-M", "8"]
        command += ["-DD", "-E", "-Y", self.directory, "-A", f'TLS_CONFIG="{tls}"']
        for transport, port in (("udp", self.udp), ("tcp", self.udp), ("tls", self.tls), ("tcp", self.ws)):
            command += ["-l", f"{transport}:127.0.0.1:{port}"]
        self.program = Program(command, self.directory / "kamailio.log", cwd=self.directory)
        program = self.program
        wait_until(lambda: sip_answers(self.udp), 15, "answer from Kamailio", program.tail)

    def stop(self) -> None:
        """End it."""
        if self.program is not None:
            self.program.stop()
            self.program = None


def instead_of_ringback() -> bool:
    """Whether the tests run against Kamailio."""
    return os.environ.get("INTEROP_SERVER") == "kamailio"
