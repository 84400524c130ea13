"""Reads scripts/compiled_modules.txt, the list of the modules that mypyc compiles. No output of its own."""

from pathlib import Path


def compiled_modules(root: Path) -> list[str]:
    """The sources to compile, as sorted paths relative to the repository's `root`."""
    chosen: set[Path] = set()
    for pattern in patterns(root):
        found = {path for path in root.glob(pattern.removeprefix("!")) if path.name != "__init__.py"}
        chosen = chosen - found if pattern.startswith("!") else chosen | found
    return sorted(str(path.relative_to(root)) for path in chosen)


def patterns(root: Path) -> list[str]:
    """The lines of the list that are no comment."""
    lines = (line.strip() for line in (root / "scripts" / "compiled_modules.txt").read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]
