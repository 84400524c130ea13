"""An event loop for which time goes faster: what takes a minute by RFC 4028 takes two seconds, timers and all."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec

_Parameters = ParamSpec("_Parameters")

SPEED: Final = 30
"""Seconds of the loop in a second of the world."""


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """The loop asks to wait for seconds of its own."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / SPEED)  # type: ignore[no-any-return]


class HurriedLoop(asyncio.SelectorEventLoop):
    """`time()`, and with it all timers of the loop, run SPEED times as fast as clocks do."""

    def __init__(self) -> None:
        super().__init__(_Selector())

    def time(self) -> float:
        return super().time() * SPEED


def hurried(test: Callable[_Parameters, Coroutine[Any, Any, None]]) -> Callable[_Parameters, None]:
    """Run a test on such a loop."""

    @functools.wraps(test)
    def run(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> None:
        with asyncio.Runner(loop_factory=HurriedLoop) as runner:
            runner.run(test(*arguments, **options))

    return run
