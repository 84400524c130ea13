"""Which form of a module is imported. An empty file stands for a compiled module: it is found, and cannot be loaded."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import ringback
from ringback._pure import SourceFinder, stale, wanted
from scripts.compiled_modules import compiled_modules

ROOT = Path(__file__).resolve().parent.parent
REPORT = "import ringback; print(ringback.compiled()); import ringback.sip.parser as p; print(p.__file__, p.VALUE)"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one hot module and its compiled form, which is newer; returns the package's folder."""
    package = tmp_path / "src" / "ringback"
    (package / "sip").mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    for name in ("__init__.py", "_pure.py"):
        shutil.copy(ROOT / "src" / "ringback" / name, package / name)
    (package / "sip" / "__init__.py").touch()
    (package / "sip" / "parser.py").write_text("VALUE = 'source'\n")
    binary(package).touch()
    age(package / "sip" / "parser.py", 1000)
    age(binary(package), 2000)
    return package


def binary(package: Path) -> Path:
    return package / "sip" / ("parser" + EXTENSION_SUFFIXES[0])


def age(path: Path, time: float) -> None:
    os.utime(path, (time, time))


def run(package: Path, pure: str | None) -> subprocess.CompletedProcess[str]:
    """Import the hot module of `package` in a process of its own, with RINGBACK_PURE set to `pure` (None: unset)."""
    environment = {key: value for key, value in os.environ.items() if key != "RINGBACK_PURE"}
    environment["PYTHONPATH"] = str(package.parent)
    if pure is not None:
        environment["RINGBACK_PURE"] = pure
    return subprocess.run([sys.executable, "-c", REPORT], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("pure", [None, "", "0"])
def test_the_compiled_module_is_preferred(checkout: Path, pure: str | None) -> None:
    result = run(checkout, pure)
    assert result.stdout == "True\n"
    assert "ImportError" in result.stderr
    assert str(binary(checkout)) in result.stderr


@pytest.mark.parametrize("pure", ["1", "yes"])
def test_the_source_is_forced(checkout: Path, pure: str) -> None:
    result = run(checkout, pure)
    assert (result.stdout, result.stderr) == (f"False\n{checkout}/sip/parser.py source\n", "")


def test_without_a_compiled_module_the_source_runs(checkout: Path) -> None:
    binary(checkout).unlink()
    result = run(checkout, None)
    assert (result.stdout, result.stderr) == (f"False\n{checkout}/sip/parser.py source\n", "")


def test_an_edited_source_is_run_with_a_warning(checkout: Path) -> None:
    age(checkout / "sip" / "parser.py", 3000)
    result = run(checkout, None)
    assert result.stdout == f"False\n{checkout}/sip/parser.py source\n"
    assert f"RuntimeWarning: {checkout}/sip/parser.py changed after it was compiled" in result.stderr


def test_asking_for_the_source_is_answered_without_a_warning(checkout: Path) -> None:
    age(checkout / "sip" / "parser.py", 3000)
    assert run(checkout, "1").stderr == ""


def test_a_compiled_module_without_its_source_is_stale(checkout: Path) -> None:
    (checkout / "sip" / "parser.py").unlink()
    assert stale(str(checkout)) == str(checkout / "sip" / "parser.py")


def test_the_ages_in_an_installed_package_mean_nothing(checkout: Path) -> None:
    age(checkout / "sip" / "parser.py", 3000)
    (checkout.parent.parent / "pyproject.toml").unlink()
    assert stale(str(checkout)) is None


def test_equal_ages_are_not_stale(checkout: Path) -> None:
    age(checkout / "sip" / "parser.py", 2000)
    assert stale(str(checkout)) is None


def test_the_finder_leaves_other_packages_and_missing_modules_alone(checkout: Path) -> None:
    finder = SourceFinder("ringback")
    folder = [str(checkout)]
    assert finder.find_spec("ringback", None) is None
    assert finder.find_spec("ringbackx.sip", folder) is None
    assert finder.find_spec("ringback.missing", folder) is None
    spec = finder.find_spec("ringback.sip", ["/nowhere", str(checkout)])
    assert spec is not None
    assert spec.origin == str(checkout / "sip" / "__init__.py")
    assert spec.submodule_search_locations == [str(checkout / "sip")]


@pytest.mark.parametrize(("value", "expected"), [("", False), ("0", False), ("1", True), ("true", True)])
def test_the_variable(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("RINGBACK_PURE", value)
    assert wanted() is expected


def test_the_form_that_runs_here_is_the_one_that_was_asked_for() -> None:
    hot = [name.removeprefix("src/").removesuffix(".py").replace("/", ".") for name in compiled_modules(ROOT)]
    loaded = {name: str(sys.modules[name].__file__) for name in hot if name in sys.modules}
    if not wanted() and not ringback.compiled():
        pytest.skip("nothing is compiled here")
    assert ringback.compiled() is not wanted()
    assert [name for name, file in loaded.items() if file.endswith(".py") is not wanted()] == []
