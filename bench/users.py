"""The users of a row: a sipp injection file, and their registration."""

from __future__ import annotations

from pathlib import Path

from bench import sipp
from bench.process import BenchError
from bench.systems import System


def write_users(path: Path, count: int, password: str = "") -> list[str]:
    """Write u1 … u`count` as a sipp injection file, with a field of credentials if asked, and return the names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [f"u{number}" for number in range(1, count + 1)]
    lines = [f"{name};[authentication username={name} password={password}]" if password else name for name in names]
    path.write_text("\n".join(["SEQUENTIAL", *lines, ""]))
    return names


def register(system: System, users: Path, count: int, *, port: int, answer_port: int, rate: int) -> None:
    """Register `count` users with their phone at 127.0.0.1:`answer_port`. BenchError when one is refused."""
    directory = system.directory / "register"
    load = sipp.Caller(
        "register.xml",
        directory,
        target=system.port,
        port=port,
        users=users,
        rate=rate,
        count=count,
        keys={"answer_port": str(answer_port)},
    ).finish()
    if load.failed or load.successful < count:
        raise BenchError(f"{system.name}: {load.successful} of {count} users registered, {load.failed} refused")
