"""Row 5: parse an INVITE, every header read; against two Python libraries, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.figures import Figure
from bench.options import Options
from bench.process import BenchError

PEERS = ("sippy", "sipmessage")
HERE = Path(__file__).parent


def run(sides: Sequence[str], options: Options, log: Callable[[str], None]) -> list[Figure]:
    """Time the libraries in turn, as often as there are rounds."""
    peer_python = _peer_environment(options, log) if "peer" in sides else {}
    figures = {peer: Figure(5, "parse an INVITE, every header read", "µs CPU", peer, goal=10.0) for peer in PEERS}
    for index in range(options.rounds):
        order = ["ringback", *PEERS] if index % 2 == 0 else [*reversed(PEERS), "ringback"]
        for library in order:
            if library == "ringback" and "ours" in sides:
                microseconds = _time(Path(sys.executable), library, options)
                for figure in figures.values():
                    figure.our_samples.append(microseconds)
            elif library in peer_python:
                microseconds = _time(peer_python[library], library, options)
                figures[library].peer_samples.append(microseconds)
            else:
                continue
            log(f"    round {index + 1} {library}: {microseconds:.1f} µs")
    for peer, figure in figures.items():
        if "peer" in sides and peer not in peer_python:
            figure.notes.append(f"{peer} could not be installed")
        elif peer in peer_python:
            figure.notes.append(f"{peer} {_version(peer_python[peer], peer)}, Python {sys.version.split()[0]}")
    return list(figures.values())


def _time(python: Path, library: str, options: Options) -> float:
    """CPU microseconds a message."""
    environment = dict(os.environ)
    if options.pure:
        environment["RINGBACK_PURE"] = "1"
    command = [str(python), str(HERE / "parse_worker.py"), library, str(options.parses), str(HERE / "invite.sip")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    if result.returncode:
        raise BenchError(f"{library}: {result.stderr.strip()[-500:]}")
    return float(result.stdout) / 1000


def _peer_environment(options: Options, log: Callable[[str], None]) -> dict[str, Path]:
    """An environment of the same Python with the libraries in it, apart from the project's; which are usable."""
    directory = options.out.parent / "bench-venv"
    python = directory / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True, capture_output=True, timeout=300)
    usable = {}
    for peer in PEERS:
        if _version(python, peer) is None:
            log(f"    installing {peer} into {directory.name}")
            command = [str(python), "-m", "pip", "install", "--quiet", peer]
            subprocess.run(command, capture_output=True, timeout=300)
        if _version(python, peer) is not None:
            usable[peer] = python
        else:
            log(f"    {peer} cannot be installed here")
    return usable


def _version(python: Path, package: str) -> str | None:
    """The version that the environment of `python` has, or None."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    result = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=60)
    return result.stdout.strip() if result.returncode == 0 else None
