"""The contracts between the packages: who may import whom, what pure means, and that tests mirror modules.

`ALLOWED` is the table of docs/architecture.md. A checker over the syntax tree sees what import-linter does not: the
standard library, imports inside functions, and imports for type checking (which are dependencies all the same).
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.compiled_modules import patterns

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "ringback"

ROOMS = ("server.location", "server.availability", "server.capabilities", "server.setup", "server.management")
SERVER = ("server", "server.runtime", *ROOMS, "server.services")
ROOM_MAY = {"server", "sip", "sdp", "bodies", "net", "store.base"}
MEDIA = {"media", "media.io"}

# Package (the longest prefix of a module's name counts) to the packages that it may import besides `errors`, itself
# and the standard library. "" is the root: ringback/__init__.py and _pure.py.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "sip": set(),
    "sdp": set(),
    "bodies": set(),
    "msrp": set(),
    "media": {"sdp"},
    "media.io": {"media", "sdp"},
    "net": {"sip"},
    "store": {"store.base"},
    "store.base": {"store"},
    "ua": {"sip", "sdp", "bodies", "msrp", "net", *MEDIA},
    # app.py and what stands beside it: the rooms meet here, so it knows none of them.
    "server": {"sip", "sdp", "bodies", "net", "store.base"},
    **dict.fromkeys(ROOMS, ROOM_MAY),
    "server.services": {*ROOM_MAY, "ua", "msrp", *MEDIA},
    "web": {*SERVER, "store.base", ""},
}
_EVERYTHING = {*ALLOWED, "server.runtime", "cli", "testing", ""}
# The composition roots put the parts together; nothing in production imports the test kit.
ALLOWED["cli"] = _EVERYTHING - {"testing"}
ALLOWED["server.runtime"] = _EVERYTHING - {"testing", "cli"}
ALLOWED["testing"] = _EVERYTHING - {"web", "cli"}
ALLOWED[""] = _EVERYTHING - {"testing", "cli", "web"}

PURE = ("sip", "sdp", "bodies", "msrp")
# Input and output, clocks, randomness, other threads, and the ways around this list.
IMPURE = frozenset(
    {"asyncio", "concurrent", "importlib", "logging", "multiprocessing", "os", "random", "secrets", "select"}
    | {"selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "threading", "time", "_thread"}
)
# The part of media outside media.io touches no socket.
NO_SOCKETS = frozenset({"asyncio", "select", "selectors", "socket", "socketserver", "ssl"})

# A module up to this long may be tested through its neighbours.
MIRRORED_ABOVE = 40


def package_of(module: str) -> str:
    """The row of the table that `module` (relative to ringback, "" is its __init__) belongs to."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in ALLOWED:
            return prefix
    return "" if module in ("", "_pure") else parts[0]


def module_name(path: Path, source: Path) -> str:
    """The dotted name of the file `path` within ringback: "sip.parser", "sip" for its __init__, "" for the root."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, source: Path) -> Iterator[tuple[int, str]]:
    """Every import in the file, with its line: absolute names ("asyncio.events", "ringback.sip.uri")."""
    module = module_name(path, source)
    inside = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    inside = ["ringback", *(part for part in inside if part)]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = inside[: len(inside) - node.level + 1]
                origin = ".".join([*above, origin] if origin else above)
            for alias in node.names:
                yield node.lineno, whole_name(origin, alias.name, source)


def whole_name(origin: str, name: str, source: Path) -> str:
    """What `from origin import name` imports: the module `origin.name` if there is one, else `origin`."""
    if origin.partition(".")[0] == "ringback":
        file = source.joinpath(*origin.split(".")[1:], name)
        if file.with_suffix(".py").exists() or (file / "__init__.py").exists():
            return f"{origin}.{name}"
    return origin


def broken_contracts(source: Path) -> list[str]:
    """Every import under `source` that the table does not allow, one line each; empty when all hold."""
    broken = []
    for path in sorted(source.rglob("*.py")):
        package = package_of(module_name(path, source))
        where = path.relative_to(source)
        if package not in ALLOWED:
            broken.append(f"{where}: package {package} is not in the table of contracts")
            continue
        for line, target in imports(path, source):
            reason = forbidden(package, target)
            if reason is not None:
                broken.append(f"{where}:{line}: {reason}")
    return broken


def forbidden(package: str, target: str) -> str | None:
    """Why a module of `package` must not import `target` (an absolute name), or None when it may."""
    top, _, rest = target.partition(".")
    if top == "ringback":
        other = package_of(rest)
        if other in (package, "errors") or other in ALLOWED[package]:
            return None
        return f"{package or 'ringback'} must not import {other or 'ringback itself'} ({target})"
    if package in (*PURE, "errors"):
        if top in IMPURE:
            return f"{package} is pure and must not import {top}"
        if top not in sys.stdlib_module_names:
            return f"{package} is pure and must not import {top}, which is not in the standard library"
    if package == "media" and top in NO_SOCKETS:
        return f"only media.io touches sockets; media must not import {top}"
    return None


def unmirrored(source: Path, tests: Path) -> list[str]:
    """Every module of more than MIRRORED_ABOVE lines without its own test file, and the file that is missing."""
    missing = []
    for path in sorted(source.rglob("*.py")):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if path.name == "__init__.py" or lines <= MIRRORED_ABOVE:
            continue
        where = path.relative_to(source)
        wanted = tests / where.parent / f"test_{path.name}"
        if not wanted.exists():
            missing.append(f"{where} ({lines} lines) has no {wanted.relative_to(tests.parent)}")
    return missing


def test_the_imports_of_ringback_keep_the_contracts() -> None:
    broken = broken_contracts(SOURCE)
    assert not broken, "\n".join(broken)


def test_every_module_has_its_test_file() -> None:
    missing = unmirrored(SOURCE, ROOT / "tests")
    assert not missing, "\n".join(missing)


def test_every_line_of_the_list_of_compiled_modules_names_one() -> None:
    """A module that moved would otherwise run interpreted, unnoticed."""
    unmatched = [line for line in patterns(ROOT) if not any(ROOT.glob(line.removeprefix("!")))]
    assert not unmatched, "\n".join(unmatched)


def test_every_package_that_exists_was_looked_at() -> None:
    found = {package_of(module_name(path, SOURCE)) for path in SOURCE.rglob("*.py")}
    assert {"", "errors", "sip"} <= found


def plant(folder: Path, files: dict[str, str]) -> Path:
    """A source tree with `files` (path to content), in which every folder is a package."""
    source = folder / "ringback"
    for name, content in {"__init__.py": "", "errors.py": "", **files}.items():
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        for parent in path.relative_to(source).parents:
            (source / parent / "__init__.py").touch()
    return source


@pytest.mark.parametrize("module", sorted(IMPURE))
@pytest.mark.parametrize("package", PURE)
def test_a_pure_package_may_not_import(tmp_path: Path, package: str, module: str) -> None:
    source = plant(tmp_path, {f"{package}/planted.py": f"import re\nimport {module}\n"})
    assert broken_contracts(source) == [f"{package}/planted.py:2: {package} is pure and must not import {module}"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("sip/a.py", "from time import monotonic", "1: sip is pure and must not import time"),
        ("sip/a.py", "import os.path", "1: sip is pure and must not import os"),
        ("sip/a.py", "def f():\n    import random", "2: sip is pure and must not import random"),
        (
            "sip/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import asyncio",
            "3: sip is pure and must not import asyncio",
        ),
        ("sip/a.py", "import rich", "1: sip is pure and must not import rich, which is not in the standard library"),
        ("sip/a.py", "import ringback.net.udp", "1: sip must not import net (ringback.net.udp)"),
        ("sip/a.py", "from ringback import net", "1: sip must not import net (ringback.net)"),
        ("sip/a.py", "from ..sdp import b", "1: sip must not import sdp (ringback.sdp.b)"),
        ("sip/a.py", "from .. import compiled", "1: sip must not import ringback itself (ringback)"),
        ("sip/__init__.py", "from .. import net", "1: sip must not import net (ringback.net)"),
        ("sdp/a.py", "from ringback.sip import uri", "1: sdp must not import sip (ringback.sip)"),
        ("media/a.py", "import socket", "1: only media.io touches sockets; media must not import socket"),
        ("media/a.py", "from ringback.media import io", "1: media must not import media.io (ringback.media.io)"),
        ("net/a.py", "import ringback.store.base", "1: net must not import store.base (ringback.store.base)"),
        ("store/a.py", "import ringback.sip", "1: store must not import sip (ringback.sip)"),
        ("store/base.py", "from ..net import udp", "1: store.base must not import net (ringback.net.udp)"),
        ("ua/a.py", "import ringback.server.app", "1: ua must not import server (ringback.server.app)"),
        ("server/setup/a.py", "import ringback.store", "1: server.setup must not import store (ringback.store)"),
        ("server/setup/a.py", "import ringback.ua", "1: server.setup must not import ua (ringback.ua)"),
        (
            "server/setup/a.py",
            "import ringback.server.location.registrar",
            "1: server.setup must not import server.location (ringback.server.location.registrar)",
        ),
        (
            "server/app.py",
            "import ringback.server.setup.routing",
            "1: server must not import server.setup (ringback.server.setup.routing)",
        ),
        (
            "server/location/a.py",
            "from ringback.server import runtime",
            "1: server.location must not import server.runtime (ringback.server.runtime)",
        ),
        ("web/a.py", "import ringback.sip.uri", "1: web must not import sip (ringback.sip.uri)"),
        ("server/runtime.py", "import ringback.cli", "1: server.runtime must not import cli (ringback.cli)"),
        ("cli/a.py", "import ringback.testing", "1: cli must not import testing (ringback.testing)"),
        ("testing/a.py", "import ringback.web", "1: testing must not import web (ringback.web)"),
        ("errors.py", "import ringback.sip", "1: errors must not import sip (ringback.sip)"),
        ("__init__.py", "import ringback.cli.main", "1: ringback must not import cli (ringback.cli.main)"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, content: str, message: str) -> None:
    neighbours = {"net/udp.py": "", "sdp/b.py": "", "media/io/c.py": "", "server/runtime.py": "", "store/sqlite.py": ""}
    assert broken_contracts(plant(tmp_path, {**neighbours, file: content})) == [f"{file}:{message}"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("sip/a.py", "import re\nfrom ringback.errors import ParseError\nfrom ringback.sip import b\nfrom . import b"),
        ("media/io/a.py", "import asyncio, socket\nimport ringback.media.b, ringback.sdp"),
        ("net/a.py", "import asyncio, websockets\nfrom ringback.sip.stack import Stack"),
        ("store/a.py", "import sqlite3, msgspec\nfrom ringback.store.base import Row"),
        ("ua/a.py", "import ringback.media.io, ringback.net, ringback.msrp"),
        ("server/setup/a.py", "import ringback.server.app, ringback.store.base, ringback.sip"),
        ("server/services/a.py", "import ringback.ua, ringback.media.io, ringback.msrp"),
        ("server/runtime.py", "import ringback.store.sqlite, ringback.server.setup, ringback.web"),
        ("web/a.py", "import ringback.server.location, ringback.store.base"),
        ("cli/a.py", "import ringback.server.runtime, ringback.store.sqlite, ringback"),
        ("testing/a.py", "import ringback.server.app, ringback.ua"),
    ],
)
def test_what_the_table_allows_is_allowed(tmp_path: Path, file: str, content: str) -> None:
    assert broken_contracts(plant(tmp_path, {"sip/b.py": "", file: content})) == []


def test_a_package_that_nobody_put_in_the_table_is_found(tmp_path: Path) -> None:
    source = plant(tmp_path, {"utils/a.py": ""})
    assert broken_contracts(source) == [
        "utils/__init__.py: package utils is not in the table of contracts",
        "utils/a.py: package utils is not in the table of contracts",
    ]


def test_a_module_without_its_test_file_is_found(tmp_path: Path) -> None:
    long, short = "pass\n" * (MIRRORED_ABOVE + 1), "pass\n" * MIRRORED_ABOVE
    source = plant(tmp_path, {"sip/long.py": long, "sip/short.py": short, "sip/tested.py": long, "_hidden.py": long})
    tests = tmp_path / "tests"
    (tests / "sip").mkdir(parents=True)
    (tests / "sip" / "test_tested.py").touch()
    assert unmirrored(source, tests) == [
        "_hidden.py (41 lines) has no tests/test__hidden.py",
        "sip/long.py (41 lines) has no tests/sip/test_long.py",
    ]
