"""scripts/compile.py in a checkout of one hot module: when it compiles, when it need not, and what it says."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from scripts.compiled_modules import compiled_modules

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("setup.py", "scripts/compile.py", "scripts/compiled_modules.py", "scripts/mypyc.ini", "src/ringback/_pure.py")
PROJECT = '[project]\nname = "ringback"\nversion = "0"\n[tool.mypy]\nstrict = true\n'
HOT = "# hot\nsrc/ringback/sip/*.py\n!src/ringback/sip/cold.py\n"
SUM = "def total(first: int, second: int) -> int:\n    return first + second\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one hot module, sip/parser.py."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "src" / "ringback" / "sip").mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "scripts" / "compiled_modules.txt").write_text(HOT)
    shutil.copy(ROOT / "src" / "ringback" / "__init__.py", tmp_path / "src" / "ringback")
    (tmp_path / "src" / "ringback" / "sip" / "__init__.py").touch()
    (tmp_path / "src" / "ringback" / "sip" / "cold.py").touch()
    (tmp_path / "src" / "ringback" / "sip" / "parser.py").write_text(SUM)
    return tmp_path


def compile_in(checkout: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/compile.py", *options],
        cwd=checkout,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def compiled(checkout: Path) -> list[str]:
    """The modules that have a compiled form."""
    return sorted(path.name.partition(".")[0] for path in (checkout / "src").rglob("*.so"))


def answer(checkout: Path) -> str:
    """What the package in `checkout` says of itself, and the sum that it works out."""
    script = "import ringback; from ringback.sip.parser import total; print(ringback.compiled(), total(2, 3))"
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "RINGBACK_PURE": "0"}
    result = subprocess.run([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
    return result.stdout.strip()


def test_the_list_takes_globs_and_exceptions(checkout: Path) -> None:
    assert compiled_modules(checkout) == ["src/ringback/sip/parser.py"]


def test_without_a_compiler_it_says_so_and_removes_what_was_compiled(checkout: Path) -> None:
    (checkout / "src" / "ringback" / "sip" / f"parser{sysconfig.get_config_var('EXT_SUFFIX')}").touch()
    result = compile_in(checkout, "--strict", CC="no-such-compiler")
    assert (result.returncode, result.stdout) == (0, "Ringback runs interpreted: no C compiler.\n")
    assert compiled(checkout) == []
    assert answer(checkout) == "False 5"


@pytest.mark.slow
def test_it_compiles_what_changed_and_only_then(checkout: Path) -> None:
    first = compile_in(checkout, "--strict")
    if "runs interpreted: no " in first.stdout:
        pytest.skip(first.stdout.strip())
    assert first.returncode == 0, first.stdout
    assert compiled(checkout) == ["parser", "ringback__mypyc"]
    assert answer(checkout) == "True 5"

    source = checkout / "src" / "ringback" / "sip" / "parser.py"
    os.utime(source)
    assert answer(checkout) == "False 5"  # newer than what was compiled
    assert compile_in(checkout).stdout == "Compiled modules are up to date (1 modules).\n"
    assert answer(checkout) == "True 5"

    source.write_text(SUM.replace("+", "-"))
    assert answer(checkout) == "False -1"
    assert compile_in(checkout).stdout.startswith("Compiling 1 modules")
    assert answer(checkout) == "True -1"

    source.write_text(SUM.replace("-> int", "-> str"))
    broken = compile_in(checkout, "--strict")
    assert broken.returncode == 1
    assert "Incompatible return value type" in broken.stdout
    assert compiled(checkout) == []
    assert compile_in(checkout).returncode == 0
    assert answer(checkout) == "False 5"
