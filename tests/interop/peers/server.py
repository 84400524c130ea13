"""The server under test.

INTEROP_SERVER=kamailio puts Kamailio in its place: that is how the tests themselves are tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.interop.peers.program import Program, free_port, has_ipv6, sip_answers, wait_until

DOMAIN = "ring.test"
USERS = ("alice", "bob", "carol", "dave", "erin")
OTHER_DOMAIN = "biloxi.test"
"""For a second server; bob is a user there."""
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
    wss: int
    certificate: Path
    """What a phone must trust."""

    def start(self) -> None:
        """Start and return when it serves."""

    def stop(self) -> None:
        """Drain and end it; fails when it did not end in order."""


class Certificate(NamedTuple):
    """Files: the authority that phones trust, and the certificate that it gave the server, with its key."""

    authority: Path
    certificate: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> Certificate:
        """Make an authority, and a certificate of it for ring.test, 127.0.0.1 and ::1."""
        made = cls(*(directory / f"{name}.pem" for name in ("authority", "certificate", "key")))
        authority_key = directory / "authority-key.pem"
        new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        new += ["-days", "2"]
        own = ["-subj", "/CN=Authority of the tests", "-keyout", authority_key, "-out", made.authority]
        leaf = ["-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN},IP:127.0.0.1,IP:::1"]
        leaf += ["-addext", "basicConstraints=critical,CA:FALSE", "-CA", made.authority, "-CAkey", authority_key]
        leaf += ["-keyout", made.key, "-out", made.certificate]
        for rest in (own, leaf):
            subprocess.run([*new, *rest], check=True, capture_output=True, timeout=30)
        return made


class RingbackServer:
    """`ringback serve`, with the accounts of USERS."""

    def __init__(
        self, directory: Path, accounts: Path, identity: Certificate, config: str = "", domain: str = DOMAIN
    ) -> None:
        """`accounts`: a data directory with the accounts, which is copied; `config`: more TOML."""
        self.directory = directory
        self.accounts = accounts
        self.config = config
        self.domain = domain
        self.udp, self.tls, self.ws, self.wss = (free_port(0) for _ in range(4))
        self.identity = identity
        self.certificate = identity.authority
        self.program: Program | None = None

    @staticmethod
    def command() -> str:
        """The command beside the Python that runs the tests."""
        return str(Path(sys.executable).parent / "ringback")

    @classmethod
    def make_accounts(cls, data: Path) -> None:
        """Add USERS with the command line, and bob to the other domain."""
        for user, domain in (*((user, DOMAIN) for user in USERS), ("bob", OTHER_DOMAIN)):
            command = [cls.command(), "user", "add", user, "--domain", domain, "--data", str(data), "--password-stdin"]
            subprocess.run(command, input=password_of(user).encode(), check=True, capture_output=True, timeout=60)

    def start(self) -> None:
        """Start it and wait for its line `ringback: ready`."""
        data = self.directory / "data"
        if not data.exists():
            shutil.copytree(self.accounts, data)
        config = self.directory / "ringback.toml"
        tls = f'[tls]\ncertificate = "{self.identity.certificate}"\nkey = "{self.identity.key}"\n'
        config.write_text(f"{tls}\n{self.config}")
        command = [self.command(), "serve", "--domain", self.domain, "--data", str(data)]
        command += ["--config", str(config), "--no-web"]
        places = [("udp", self.udp), ("tcp", self.udp), ("tls", self.tls), ("ws", self.ws), ("wss", self.wss)]
        for host in ("127.0.0.1", "[::1]") if has_ipv6() else ("127.0.0.1",):
            for transport, port in places:
                command += ["--listen", f"{transport}:{host}:{port}"]
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

    def __init__(self, directory: Path, identity: Certificate) -> None:
        self.directory = directory
        self.udp, self.tls, self.ws, self.wss = (free_port(0) for _ in range(4))
        self.identity = identity
        self.certificate = identity.authority
        self.program: Program | None = None

    def start(self) -> None:
        """Start it and wait until it answers an OPTIONS."""
        tls = self.directory / "tls.cfg"
        tls.write_text(
            f"[server:default]\nmethod = TLSv1.2+\nprivate_key = {self.identity.key}\n"
            f"certificate = {self.identity.certificate}\n"
            "[client:default]\nmethod = TLSv1.2+\n"
        )
        command: list[str | Path] = ["kamailio", "-f", HERE / "kamailio" / "server.cfg", "-m", "64", "-M", "8"]
        command += ["-DD", "-E", "-Y", self.directory, "-A", f'TLS_CONFIG="{tls}"']
        places = [("udp", self.udp), ("tcp", self.udp), ("tls", self.tls), ("tcp", self.ws), ("tls", self.wss)]
        for host in ("127.0.0.1", "[::1]") if has_ipv6() else ("127.0.0.1",):
            for transport, port in places:
                command += ["-l", f"{transport}:{host}:{port}"]
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
