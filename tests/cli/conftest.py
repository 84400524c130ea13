"""Phones of the command line that tests start and that are ended after them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.processes import RINGBACK
from tests.interop.peers.program import Program

Answering = Callable[..., Program]


@pytest.fixture
def answering() -> Iterator[Callable[..., Program]]:
    """Starts `ringback answer`; what was started is ended after the test."""
    started: list[Program] = []

    def start(folder: Path, place: str, *options: str | Path) -> Program:
        program = Program([RINGBACK, "answer", "--listen", f"udp:{place}", *options], folder / "answer.log", cwd=folder)
        started.append(program)
        program.expect("ready", 20)
        return program

    yield start
    for program in started:
        program.stop()
