"""Which form of the hot modules runs: compiled (an extension module beside the source) or interpreted (the source).

Python prefers `parser.cpython-311-x86_64-linux-gnu.so` to `parser.py` in the same folder. Two cases need the source all
the same:

* `RINGBACK_PURE=1` asks for it: to debug, to profile by line, to rule the compiler out.
* In a checkout a source was edited after it was compiled. Running the old code without a word would be worse than
  running the new code slowly. It is all or nothing: compiled modules know each other's memory layout, so one stale
  module makes all of them stale.

In both cases a finder goes in front of Python's own and finds the sources only.
"""

import importlib.machinery
import importlib.util
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

PACKAGE = "ringback"
# All compiled modules are built in one group, so one of them speaks for all.
WITNESS = "ringback.sip.parser"


class SourceFinder(MetaPathFinder):
    """Finds the modules of one package by their sources, never by an extension module."""

    def __init__(self, package: str) -> None:
        self.prefix = package + "."

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of `fullname` from its source, or None when it is another package's or has no source."""
        if path is None or not fullname.startswith(self.prefix):
            return None
        name = fullname.rpartition(".")[2]
        for folder in path:
            package = os.path.join(folder, name)
            initializer = os.path.join(package, "__init__.py")
            if os.path.isfile(initializer):
                return importlib.util.spec_from_file_location(
                    fullname, initializer, submodule_search_locations=[package]
                )
            module = package + ".py"
            if os.path.isfile(module):
                return importlib.util.spec_from_file_location(fullname, module)
        return None


def wanted() -> bool:
    """Whether RINGBACK_PURE asks for the interpreted modules (any value but the empty one and 0)."""
    return os.environ.get("RINGBACK_PURE", "") not in ("", "0")


def stale(package: str) -> str | None:
    """A source in the folder `package` that is newer than its compiled form, or None.

    Only a checkout (pyproject.toml two levels up) can have one: an installed wheel's files are as old as each other, to
    the accident of the order in which they were unpacked.
    """
    if not os.path.isfile(os.path.join(package, "..", "..", "pyproject.toml")):
        return None
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    for folder, _, names in os.walk(package):
        for name in names:
            if name.endswith(suffix):
                source = os.path.join(folder, name.removesuffix(suffix) + ".py")
                if not os.path.exists(source) or (
                    os.stat(source).st_mtime_ns > os.stat(os.path.join(folder, name)).st_mtime_ns
                ):
                    return source
    return None


def install() -> None:
    """Put the source finder first on `sys.meta_path` when it is needed; called once, before other imports."""
    if any(isinstance(finder, SourceFinder) for finder in sys.meta_path):
        return
    if not wanted():
        source = stale(os.path.dirname(os.path.abspath(__file__)))
        if source is None:
            return
        message = f"{source} changed after it was compiled: running interpreted (`make compile` compiles it again)"
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    sys.meta_path.insert(0, SourceFinder(PACKAGE))


def compiled() -> bool:
    """Whether the hot modules (parser, transactions, stack ...) run compiled; False means interpreted."""
    spec = importlib.util.find_spec(WITNESS)
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")
