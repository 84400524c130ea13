"""Kamailio as a proxy beside the server under test: the next hop of its calls, or the previous one."""

from __future__ import annotations

from pathlib import Path

from tests.interop.peers.program import Program, free_port, sip_answers, wait_until

CONFIG = Path(__file__).resolve().parent.parent / "kamailio" / "neighbour.cfg"
NEIGHBOUR_DOMAIN = "other.test"


class KamailioNeighbour:
    """The proxy of other.test, on UDP."""

    def __init__(self, directory: Path, *, ringback: int, phone: int, challenge: bool = False, port: int = 0) -> None:
        """`ringback`: the port of the server under test, by UDP. `phone`: that of the one phone of other.test, to which
        numbers that begin with 00 go as well. `challenge`: whether it asks for credentials."""
        directory.mkdir(parents=True)
        self.port = port or free_port(0)
        command: list[str | Path] = ["kamailio", "-f", CONFIG, "-m", "32", "-M", "4", "-DD", "-E", "-Y", directory]
        command += ["-l", f"udp:127.0.0.1:{self.port}"]
        command += ["-A", f'RINGBACK="sip:127.0.0.1:{ringback}"', "-A", f'PHONE="sip:127.0.0.1:{phone}"']
        if challenge:
            command += ["-A", "CHALLENGE=1"]
        self.program = Program(command, directory / "log", cwd=directory)
        wait_until(lambda: sip_answers(self.port), 15, "answer from Kamailio", self.program.tail)

    def stop(self) -> None:
        """End it."""
        self.program.stop()
