"""`ringback answer` and `ringback call` as processes that call each other over loopback; judged by the sound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ringback.media.samples import Samples
from ringback.media.wav import WavReader, WavWriter
from tests.cli.conftest import Answering
from tests.cli.processes import RINGBACK, ringback
from tests.interop.peers.program import Program, free_port


def write_tone(path: Path, hertz: int, seconds: float = 0.6) -> Path:
    with WavWriter(path, 16000) as writer:
        samples = 8000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * 16000)) / 16000)
        writer.write(samples.astype(np.int16))
    return path


def tone_of(path: Path) -> tuple[float, float]:
    """The frequency that stands out in a recording, and the seconds of it that are loud."""
    with WavReader(path) as reader:
        samples: Samples = reader.read(16000 * 60, 16000)
    loud = np.abs(samples) > 1000
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * 16000 / len(samples)), float(loud.sum()) / 16000


@pytest.fixture
def place() -> str:
    return f"127.0.0.1:{free_port()}"


def test_what_is_played_is_recorded_at_the_other_side(tmp_path: Path, place: str, answering: Answering) -> None:
    said, answered = write_tone(tmp_path / "said.wav", 700), write_tone(tmp_path / "answered.wav", 1100)
    program = answering(tmp_path, place, "--once", "--play", answered, "--record", tmp_path / "{n}-{from}.wav")
    command: list[str | Path] = ["call", f"sip:bob@{place}", "--play", said, "--record", tmp_path / "heard.wav"]
    code, out, err = ringback(*command, "--seconds", "1.5", "--as", "sip:ann/../../x@127.0.0.1", "--codec", "PCMU")
    assert (code, err) == (0, ""), out
    assert program.wait(10) == 0, program.tail()
    assert out.startswith(f"calling sip:bob@{place}\nanswered by sip:bob@{place}: PCMU, ")
    assert "ended by local: hung up" in out
    there, here = tmp_path / "1-ann_.._.._x@127.0.0.1.wav", tmp_path / "heard.wav"
    assert {path.name for path in tmp_path.glob("*-*.wav")} == {there.name}
    for path, hertz in ((there, 700), (here, 1100)):
        found, loud = tone_of(path)
        assert abs(found - hertz) < 10 and loud > 0.3, path


def test_echo_and_digits_as_json(tmp_path: Path, place: str, answering: Answering) -> None:
    program = answering(tmp_path, place, "--echo", "--json")
    said = write_tone(tmp_path / "said.wav", 900)
    for _ in range(2):
        command: list[str | Path] = ["call", f"sip:{place}", "--json", "--digits", "12", "--play", said]
        code, out, err = ringback(*command, "--record", tmp_path / "heard.wav", "--seconds", "1.6")
        assert (code, err) == (0, "")
        events = [json.loads(line) for line in out.splitlines()]
        assert [event["event"] for event in events if event["event"] != "change"][:2] == ["calling", "answered"]
        assert events[-1] == {"event": "ended", "by": "local", "status": 0, "reason": ""}
        assert abs(tone_of(tmp_path / "heard.wav")[0] - 900) < 10
    program.stop()
    told = [json.loads(line) for line in program.output().splitlines()]
    assert [event["number"] for event in told if event["event"] == "incoming"] == [1, 2]


def test_a_refused_call_says_so(tmp_path: Path, place: str, answering: Answering) -> None:
    answering(tmp_path, place, "--once", "--reject", "486")
    code, out, err = ringback("call", f"sip:bob@{place}")
    assert (code, out) == (1, f"calling sip:bob@{place}\n")
    assert err == f"ringback: sip:bob@{place}: 486 Busy Here\n"


def test_an_interrupted_answer_hangs_up(tmp_path: Path, place: str, answering: Answering) -> None:
    program = answering(tmp_path, place)
    caller = Program([RINGBACK, "call", f"sip:bob@{place}"], tmp_path / "call.log", cwd=tmp_path)
    caller.expect("answered by", 20)
    assert program.stop() == 0
    assert caller.wait(15) == 0
    assert "ended by remote" in caller.output()
    caller.stop()


def test_mistakes_are_named(tmp_path: Path) -> None:
    assert ringback("answer", "--reject", "200") == (
        2,
        "",
        "ringback: --reject: 200 refuses nothing; allowed: 300 to 699\n",
    )
    code, _, err = ringback("answer", "--listen", "udp:127.0.0.1")
    assert code == 2 and "listen" in err and "udp:" in err
    code, _, err = ringback("answer", "--play", "x.wav", "--echo")
    assert (code, err) == (2, "ringback: give --play or --echo\n")
