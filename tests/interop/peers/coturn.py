"""coturn: a STUN and TURN server on one address of this machine."""

from __future__ import annotations

import re
import secrets
import socket
import struct
from pathlib import Path

from tests.interop.peers.program import Program, free_port, wait_until

USER, PASSWORD, REALM = "relay", "relay-secret-8656", "turn.test"


class Coturn:
    """`turnserver` for UDP with one long-term credential (RFC 8656 9.2), which relays to addresses of this machine."""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        directory.mkdir(parents=True)
        self.host = host
        self.port = free_port(0)
        first = free_port(29)
        self.relays = range(first, first + 30)
        command: list[str | Path] = ["turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--no-software-attribute"]
        command += ["--listening-ip", host, "--relay-ip", host, "--listening-port", str(self.port)]
        command += ["--min-port", str(self.relays[0]), "--max-port", str(self.relays[-1]), "--allow-loopback-peers"]
        command += ["--lt-cred-mech", "--user", f"{USER}:{PASSWORD}", "--realm", REALM, "--Verbose"]
        command += ["--log-file", "stdout", "--simple-log", "--pidfile", directory / "pid"]
        command += ["--userdb", directory / "users"]
        self.program = Program(command, directory / "log", cwd=directory)

    @property
    def stun(self) -> str:
        """Its URI as a STUN server."""
        return f"stun:{self.host}:{self.port}"

    @property
    def turn(self) -> str:
        """Its URI as a TURN server, with the credential in it."""
        return f"turn:{USER}:{PASSWORD}@{self.host}:{self.port}?transport=udp"

    def ready(self, seconds: float = 10.0) -> Coturn:
        """Wait until it answers a STUN request."""
        wait_until(lambda: stun_answers(self.host, self.port), seconds, "answer from coturn", self.program.tail)
        return self

    def allocations(self) -> int:
        """How many relays it has given."""
        return self.program.output().count("ALLOCATE processed, success")

    def bindings(self) -> int:
        """How often it was asked where somebody is seen."""
        return len(re.findall(r"handle_turn_binding:\d+:start", self.program.output()))

    def stop(self) -> None:
        """End it."""
        self.program.stop()


def stun_answers(host: str, port: int) -> bool:
    """Whether something there answers a Binding request (RFC 8489) within half a second."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.connect((host, port))
        sock.settimeout(0.5)
        transaction = secrets.token_bytes(12)
        try:
            sock.send(struct.pack("!HHI", 0x0001, 0, 0x2112A442) + transaction)
            answer = sock.recv(2048)
        except OSError:  # nothing listens there yet
            return False
        return answer[:2] == b"\x01\x01" and answer[8:20] == transaction
