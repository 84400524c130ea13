"""`ringback` as a process, as people start it; and a server of the kind that the commands look at."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.peers.program import Program, free_port

RINGBACK = Path(sys.executable).parent / "ringback"
DOMAIN = "cli.test"
TRUSTING = '[authentication]\ntrusted = ["127.0.0.1"]\n'


def ringback(*arguments: str | Path | bytes, given: bytes = b"", **variables: str) -> tuple[int, str, str]:
    """Run a command to its end with `given` on its standard input: exit code, output, errors."""
    result = subprocess.run(
        [RINGBACK, *arguments], input=given, capture_output=True, timeout=60, env={**os.environ, **variables}
    )
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@contextmanager
def served(folder: Path, *options: str) -> Iterator[tuple[Program, int]]:
    """A server with its data in `folder`/data that trusts this machine; the process and its UDP port."""
    port = free_port()
    config = folder / "served.toml"
    config.write_text(TRUSTING)
    command: list[str | Path] = [RINGBACK, "serve", "--domain", DOMAIN, "--data", folder / "data", "--no-web"]
    command += ["--listen", f"udp:127.0.0.1:{port}", "--config", config, *options]
    program = Program(command, folder / "server.log", cwd=folder)
    try:
        program.expect(r"ringback: ready\n", 60)
        yield program, port
        assert program.stop(seconds=20) == 0, program.tail()
        assert "Traceback" not in program.output(), program.tail()
    finally:
        program.stop()
