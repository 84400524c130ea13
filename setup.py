"""Builds the hot modules with mypyc when RINGBACK_COMPILE=1; all else about the package is in pyproject.toml.

    make compile                                  in place, for a checkout
    RINGBACK_COMPILE=1 pip wheel --no-deps .      a compiled wheel

Without the variable no compiler is needed, and the package is complete: it runs interpreted.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))


def compile_at_once() -> None:
    """Have the compiler work on as many files at a time as there are cores."""
    # setuptools brings it under this name; there is no public way to ask for it.
    from distutils.ccompiler import CCompiler

    def compile(
        self: Any,
        sources: list[str],
        output_dir: str | None = None,
        macros: Any = None,
        include_dirs: Any = None,
        debug: bool = False,
        extra_preargs: Any = None,
        extra_postargs: Any = None,
        depends: Any = None,
    ) -> list[str]:
        macros, objects, extra_postargs, pp_opts, build = self._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        cc_args = self._get_cc_args(pp_opts, debug, extra_preargs)

        def one(name: str) -> None:
            source, extension = build[name]
            self._compile(name, source, extension, cc_args, extra_postargs, pp_opts)

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(one, build))
        return list(objects)

    CCompiler.compile = compile


if os.environ.get("RINGBACK_COMPILE", "") in ("", "0"):
    setup()
else:
    from compiled_modules import compiled_modules

    try:
        from mypyc.build import mypycify
    except ImportError:
        # An isolated build asks first what it needs (that pass runs egg_info) and installs it before it builds.
        if "egg_info" not in sys.argv:
            raise
        extensions = []
    else:
        # One group, one shared library: calls between these modules are direct C calls. And a C file for each module:
        # one for all takes the compiler twice as long, and only one core.
        options = [f"--config-file={ROOT / 'scripts' / 'mypyc.ini'}"]
        extensions = mypycify(
            [*options, *compiled_modules(ROOT)], opt_level="3", group_name="ringback", multi_file=True
        )
        compile_at_once()
    setup(ext_modules=extensions, setup_requires=["mypy>=1.14"])
