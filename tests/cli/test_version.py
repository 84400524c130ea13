"""`ringback version`: what runs, on what, and in which form."""

import platform
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import ringback
from ringback.cli import version
from ringback.media.codecs import opus
from tests.cli.processes import ringback as command

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_it_tells_the_version_of_the_project() -> None:
    expected = tomllib.loads(PYPROJECT.read_text())["project"]["version"]
    code, out, err = command("version", RINGBACK_PURE="1")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:3] == [f"ringback {expected}", f"Python {platform.python_version()}", "interpreted"]
    assert len(lines) == 5


@pytest.mark.parametrize(("compiled", "form"), [(True, "compiled"), (False, "interpreted")])
def test_it_tells_the_form(monkeypatch: pytest.MonkeyPatch, compiled: bool, form: str) -> None:
    monkeypatch.setattr(ringback, "compiled", lambda: compiled)
    assert version.lines()[2] == form


def test_it_tells_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "version_of", lambda name: {"uvloop": "1.2.3"}[name])
    assert version.lines()[3] == "uvloop 1.2.3"

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(version, "version_of", missing)
    assert version.lines()[3] == "asyncio without uvloop"


@pytest.mark.parametrize(
    ("found", "told"),
    [("libopus 1.4", "libopus 1.4"), (None, "no libopus: Opus is not offered")],
)
def test_it_tells_whether_there_is_opus(monkeypatch: pytest.MonkeyPatch, found: str | None, told: str) -> None:
    monkeypatch.setattr(opus, "version", lambda: found)
    assert version.lines()[4:] == [told]


def test_a_library_that_is_not_there_is_said_to_be_missing() -> None:
    code, out, err = command("version", RINGBACK_OPUS="/nowhere/libopus.so")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "no libopus: Opus is not offered"
