"""An event loop whose time passes only when nothing else is left to do: an hour takes as long as what happens in it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now` is its time, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        select = self._selector.select

        def skip(timeout: float | None = None) -> Any:
            assert timeout is not None, "everybody waits, and nothing will ever happen"
            self.now += timeout
            return select(0)

        self._selector.select = skip

    def time(self) -> float:
        return self.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end on a loop of its own; nothing may be left running on it."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        result = runner.run(_alone(main))
    return result


async def _alone(main: Coroutine[Any, Any, Result]) -> Result:
    result = await main
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return result
