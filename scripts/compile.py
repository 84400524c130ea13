"""Compiles the hot modules in place with mypyc, when they changed and when it can.

    python scripts/compile.py             compile, or say why they run interpreted (always succeeds)
    python scripts/compile.py --strict    fail when a compiler is there and the compilation fails
    python scripts/compile.py --clean     remove what was compiled

What was compiled is known by a digest over the sources, the compiler and the interpreter, so a checkout of another
branch or another Python never meets old code. Nothing that is running is disturbed: the new files are built aside and
moved into place.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from importlib import metadata
from pathlib import Path

from compiled_modules import compiled_modules

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
BUILD = ROOT / "build"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))


def compiler() -> str | None:
    """The C compiler's command: $CC, or else what built the interpreter, or else `cc`; None when there is none."""
    asked = os.environ.get("CC")
    for command in [asked] if asked else [str(sysconfig.get_config_var("CC") or ""), "cc"]:
        if command and shutil.which(command.split()[0]):
            return command
    return None


def missing_tools() -> str | None:
    """What is missing for compiling, or None."""
    if compiler() is None:
        return "no C compiler"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        return f"no {header} (the interpreter's development files)"
    try:
        import mypyc.build  # noqa: F401
    except ImportError:
        return "no mypyc (pip install mypy)"
    return None


def digest(modules: list[str]) -> str:
    """A digest of everything that decides what the compiled modules are."""
    total = hashlib.sha256()
    for part in (sys.version, SUFFIX, metadata.version("mypy"), str(compiler())):
        total.update(part.encode() + b"\0")
    for name in [*modules, "setup.py", "pyproject.toml"]:
        content = (ROOT / name).read_bytes()
        total.update(f"{name} {len(content)}\0".encode() + content)
    return total.hexdigest()


def built() -> list[Path]:
    """The compiled modules of this interpreter that lie in the source tree now."""
    return sorted(SOURCE.rglob("*" + SUFFIX))


def remove() -> None:
    """Remove the compiled modules of this interpreter, and what is known of them."""
    for path in built():
        path.unlink()
    stamp().unlink(missing_ok=True)


def stamp() -> Path:
    """Where the digest of the modules that were compiled last is kept."""
    return BUILD / ("compiled" + SUFFIX + ".sha256")


def compile_modules(modules: list[str]) -> bool:
    """Compile `modules` and move the result into the source tree; False when mypyc or the C compiler failed."""
    started = time.time()
    wanted = digest(modules)
    expected = len(modules) + 1  # each module's stub, and the library of the group
    if stamp().exists() and stamp().read_text() == wanted and len(built()) == expected:
        # A checkout can touch a source without changing it; ringback._pure compares the times.
        for path in built():
            os.utime(path)
        print(f"Compiled modules are up to date ({len(modules)} modules).")
        return True
    print(f"Compiling {len(modules)} modules with mypyc (a minute or two) ...", flush=True)
    staging = BUILD / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(staging)]
    environment = {**os.environ, "RINGBACK_COMPILE": "1", "CC": str(compiler())}
    result = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    # What runs on after a failure is the source, not what an older source was compiled to.
    remove()
    if result.returncode != 0:
        sys.stdout.buffer.write(result.stdout)
        return False
    for path in sorted(staging.rglob("*" + SUFFIX)):
        target = SOURCE / path.relative_to(staging)
        shutil.copyfile(path, target.with_suffix(".new"))
        target.with_suffix(".new").replace(target)
        # As old as the start of the build: a source that was edited meanwhile is newer.
        os.utime(target, (started, started))
    stamp().write_text(wanted)
    print(f"Compiled in {time.time() - started:.0f} s.")
    return True


def main() -> int:
    arguments = argparse.ArgumentParser(description="Compile the hot modules in place with mypyc.")
    arguments.add_argument("--strict", action="store_true", help="fail when the compilation fails")
    arguments.add_argument("--clean", action="store_true", help="remove what was compiled")
    options = arguments.parse_args()
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "compile.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if options.clean:
            remove()
            return 0
        missing = missing_tools()
        if missing is not None:
            remove()
            print(f"Ringback runs interpreted: {missing}.")
            return 0
        if compile_modules(compiled_modules(ROOT)):
            return 0
        print("Ringback runs interpreted: the compilation failed (see above).")
        return 1 if options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
