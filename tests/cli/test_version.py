"""`ringback version`: what runs, on what, and in which form."""

import platform
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

import ringback
from ringback.cli import version
from tests.cli.processes import ringback as command

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_it_tells_the_version_of_the_project() -> None:
    expected = tomllib.loads(PYPROJECT.read_text())["project"]["version"]
    code, out, err = command("version", RINGBACK_PURE="1")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:3] == [f"ringback {expected}", f"Python {platform.python_version()}", "interpreted"]
    assert len(lines) == 4


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
