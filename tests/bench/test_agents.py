"""The processes of the rows of user agents do what they are told, and say what does not count."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.agents import Agent, Talking, make_speech
from bench.process import BenchError, free_ports, free_ports_in_a_row
from bench.row_agent_media import problem_of

speaks = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="not installed: espeak-ng")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    """Two agents without sound."""
    ports = free_ports(2)
    agents = Agent(tmp_path / "one", ports[0]), Agent(tmp_path / "other", ports[1])
    try:
        for agent in agents:
            agent.start()
        yield agents
    finally:
        for agent in agents:
            agent.stop()


def test_scripted_calls_are_complete_and_failed_ones_are_told(pair: tuple[Agent, Agent], tmp_path: Path) -> None:
    one, other = pair
    load = one.place(other.port, 50, 10, tmp_path)
    assert (load.successful, load.void()) == (10, "")
    assert load.seconds > 9 / 50 + 0.1
    assert other.ask("running")["running"] == 0
    assert one.cpu() > 0
    child = one.child
    assert child is not None
    with pytest.raises(BenchError, match=r"TypeError: .*rate"):
        one.ask("call", target="sip:x@127.0.0.1")
    other.stop()
    load = one.place(other.port, 50, 2, tmp_path)
    assert load.void().startswith("2 failed calls, ")
    one.stop()
    assert child.process.returncode == 0
    with pytest.raises(BenchError, match="Ringback is not running"):
        one.ask("running")


@speaks
@pytest.mark.slow
def test_calls_with_sound_are_heard_and_their_beat_is_watched(tmp_path: Path) -> None:
    speech = make_speech(tmp_path / "speech.wav", 8000, 1, 5)
    ports = free_ports(2)
    agent, far = (Agent(tmp_path / name, port, "process", play=speech) for name, port in zip("af", ports, strict=True))
    try:
        agent.start()
        far.start()
        assert far.ask("talk", target=f"sip:bench@127.0.0.1:{agent.port}", count=3) == {"talking": 3}
        agent.ask("watch")
        far.ask("listen")
        talking = Talking(agent)
        assert talking.count(6.5) >= 6.5  # the first report of the other side comes within five seconds
        assert 0 < talking.cpu() < 6.5
        quality = far.ask("quality")
        assert quality["codec"] == "PCMU"
        assert problem_of({**quality, "loss": 0.0}, 3) == ""
        late = agent.ask("lateness")
        assert 200 < late["beats"] + late["skipped"] < 500
        assert late["begin"]["p50"] <= late["begin"]["p99"] <= late["begin"]["max"]
        assert late["end"]["max"] > 0
        assert far.ask("hang_up") == {"ended": 3}
    finally:
        far.stop()
        agent.stop()


GOOD: dict[str, Any] = {"calls": 10, "told": 10, "loss": 0.0, "quietest": 9000.0, "codec": "PCMU"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, ""),
        ({"loss": 0.01}, ""),
        ({"calls": 9}, "9 of 10 calls"),
        ({"told": 8}, "8 of 10 calls with a report of the other side"),
        ({"quietest": 12.0}, "a call that is not heard (at most 12)"),
        ({"loss": 0.02}, "2.0% loss"),
    ],
)
def test_what_voids_a_round_of_calls_with_sound(change: dict[str, Any], problem: str) -> None:
    assert problem_of({**GOOD, **change}, 10) == problem


@speaks
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (48000, 2)])
def test_speech_has_the_form_that_was_asked_for(tmp_path: Path, rate: int, channels: int) -> None:
    with wave.open(str(make_speech(tmp_path / "speech.wav", rate, channels, 30.5))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate, channels, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, channels)
    assert len(samples) == round(30.5 * rate)
    assert np.all(samples == samples[:, :1])
    # It speaks up to the end.
    assert all(np.abs(samples[at : at + 2 * rate]).max() > 5000 for at in range(0, 28 * rate, 2 * rate))


def test_ports_in_a_row_are_free() -> None:
    first = free_ports_in_a_row(12)
    assert free_ports(12, first) == list(range(first, first + 12))
