"""Builds the hot modules with mypyc when RINGBACK_COMPILE=1; all else about the package is in pyproject.toml.

    make compile                                  in place, for a checkout
    RINGBACK_COMPILE=1 pip wheel --no-deps .      a compiled wheel

Without the variable no compiler is needed, and the package is complete: it runs interpreted.
"""

import os
import sys
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

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
        # One group, one shared library: calls between these modules are direct C calls.
        extensions = mypycify(compiled_modules(ROOT), opt_level="3", group_name="ringback")
    setup(ext_modules=extensions, setup_requires=["mypy>=1.14"])
