"""A loop with a clock of its own: sockets are real, and waiting takes no time.

When nothing is ready, the clock goes on to the next timer. What is sent over the loopback interface is there at once,
so a minute of a call takes as long as its computing.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Selector(selectors.DefaultSelector):
    """Waits by moving the clock of its loop."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout is None:
            # Without a timer there is something else to wait for: a thread of the loop's.
            return ready or super().select(1.0)
        if self.loop.threads:
            # It is computing, and no time shall pass meanwhile.
            return super().select(min(timeout, 0.001))
        self.loop.moved += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at a time that is easy to read.

    threads   calls in executors that are not done: while there are any, no time passes by itself
    problems  what nobody caught
    """

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.moved = 1000.0
        self.threads = 0
        self.problems: list[dict[str, Any]] = []
        super().__init__(selector)
        self.set_exception_handler(lambda loop, context: self.problems.append(context))

    def time(self) -> float:
        return self.moved

    def run_in_executor(self, executor: Any, call: Any, *arguments: Any) -> Any:
        self.threads += 1
        future = super().run_in_executor(executor, call, *arguments)
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, future: Any) -> None:
        self.threads -= 1


def run(test: Coroutine[Any, Any, Result], *, problems: int = 0) -> Result:
    """Run a test on such a loop; so many exceptions may have been reported to it."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(test)
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        assert len(loop.problems) == problems, loop.problems
    return result
