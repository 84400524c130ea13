"""What the command line asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.process import free_ports


@dataclass(frozen=True)
class Options:
    """The size of the work and where things go."""

    rows: tuple[int, ...]
    rounds: int
    out: Path
    base_port: int | None
    sides: tuple[str, ...]
    """"ours", "peer" or both."""
    calls: int
    call_rate: int
    registers: int
    register_rate: int
    durable_registers: int
    durable_rate: int
    latency_seconds: int
    bindings: int
    parses: int
    agent_calls: int
    agent_rate: int
    talks: int
    talk_seconds: float
    crowd: int
    pure: bool

    @property
    def work(self) -> Path:
        """Where logs and data of the systems go."""
        return self.out / "work"

    def ports(self, count: int) -> list[int]:
        """Ports of 127.0.0.1 for a row."""
        return free_ports(count, self.base_port)
