"""`ringback version`: which version runs, on what, and in which form."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import ringback

__all__ = ["lines", "version"]


def version() -> None:
    """Say which version this is, whether it runs compiled, on which event loop, and with which libopus."""
    for line in lines():
        print(line)


def lines() -> list[str]:
    """What is printed."""
    return [
        f"ringback {ringback.__version__}",
        f"Python {platform.python_version()}",
        "compiled" if ringback.compiled() else "interpreted",
        _loop(),
        _opus(),
    ]


def _loop() -> str:
    try:
        return f"uvloop {version_of('uvloop')}"
    except PackageNotFoundError:
        return "asyncio without uvloop"


def _opus() -> str:
    from ringback.media.codecs import opus

    return opus.version() or "no libopus: Opus is not offered"
