"""An event loop whose time passes only when no socket has anything to say and nothing else is left to do.

What goes over loopback arrives within the call that sends it, so half an hour of keep-alives takes some milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class PatientLoop(asyncio.SelectorEventLoop):
    """`now` is its time, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        select = self._selector.select

        def wait(timeout: float | None = None) -> Any:
            ready = select(0)
            if ready or timeout == 0:
                return ready
            # A connection may take the kernel a moment.
            ready = select(0.001)
            if ready:
                return ready
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self.now += timeout
            return []

        self._selector.select = wait

    def time(self) -> float:
        return self.now

    @property
    def watched(self) -> int:
        """How many sockets are watched, the loop's own among them."""
        return len(self._selector.get_map())


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on a loop of its own; no task, socket or error may be left."""
    errors: list[dict[str, Any]] = []

    async def alone(loop: PatientLoop) -> Result:
        loop.set_exception_handler(lambda _, context: errors.append(context))
        before = loop.watched
        result = await main
        for _ in range(5):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}, asyncio.all_tasks()
        assert loop.watched == before
        return result

    loop = PatientLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(alone(loop))
    assert errors == []
    return result
