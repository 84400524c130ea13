"""The fuzzer finds a planted fault, keeps the input, and repeats itself from its seed."""

import random
from pathlib import Path

import pytest

from scripts import fuzz


def test_a_broken_promise_is_kept_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "ROOT", tmp_path)
    monkeypatch.setattr(fuzz, "FOUND", tmp_path / "found")
    broken: list[bytes] = []

    def planted(data: bytes) -> None:
        if b"\x00" in data:
            broken.append(data)
            raise IndexError("planted")

    assert fuzz.blind(60, 7, [planted]) == 1
    kept = list((tmp_path / "found").iterdir())
    assert [path.read_bytes() for path in kept] == broken
    assert "IndexError: planted" in capsys.readouterr().err


def test_without_a_fault_it_ends_when_time_is_up(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[bytes] = []
    assert fuzz.blind(0.01, 7, [seen.append]) == 0
    assert seen[:2] == [fuzz.INVITE, fuzz.RESPONSE]
    assert f"{len(seen)} inputs, no fault." in capsys.readouterr().out


def test_a_reader_that_is_not_linear_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.9, 5.0, 6.1])
    monkeypatch.setattr(fuzz.time, "process_time", lambda: next(clock))
    promises = [lambda data: None]
    fuzz.examine(b"x", promises)
    with pytest.raises(fuzz.Fault, match=r"1\.1 s for 1 octets"):
        fuzz.examine(b"x", promises)


def inputs(seed: int) -> list[bytes]:
    chance = random.Random(seed)
    return [fuzz.damaged(fuzz.INVITE, fuzz.seeds(), chance) for _ in range(50)]


def test_the_same_seed_gives_the_same_inputs() -> None:
    assert inputs(3) == inputs(3)
    assert inputs(3) != inputs(4)


def test_an_input_is_no_longer_than_a_datagram() -> None:
    assert max(len(data) for seed in range(20) for data in inputs(seed)) == fuzz.LONGEST


def test_the_seeds_keep_every_promise() -> None:
    promises = fuzz.checks()
    for data in fuzz.seeds():
        fuzz.examine(data, promises)
