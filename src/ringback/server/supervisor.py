"""Background work that is restarted when it crashes, up to a limit: then the server ends loudly instead of limping."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

__all__ = ["Supervisor"]

#: So many crashes of one task …
MOST_CRASHES: Final = 5
#: … in so many seconds are too many.
PERIOD: Final = 60.0
#: Seconds before a task that crashed begins again; each further crash in the period doubles them.
DELAY: Final = 0.1

Work = Callable[[], Coroutine[Any, Any, None]]


class Supervisor:
    """Owns tasks. A task that ends without an exception is done; one that raises begins again.

    failed  is called once, with the reason, when a task has crashed too often
    """

    def __init__(
        self,
        logger: FilteringBoundLogger,
        failed: Callable[[str], None],
        *,
        most: int = MOST_CRASHES,
        period: float = PERIOD,
        delay: float = DELAY,
    ) -> None:
        self.logger = logger
        self._failed = failed
        self._most = most
        self._period = period
        self._delay = delay
        self._tasks: dict[asyncio.Task[None], str] = {}
        #: Crashes so far, of all tasks.
        self.crashes: int = 0

    def start(self, name: str, work: Work) -> None:
        """Run `work()` in a task of this name, and again whenever it crashes."""
        task = asyncio.get_running_loop().create_task(self._keep(name, work), name=name)
        self._tasks[task] = name
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)

    async def _keep(self, name: str, work: Work) -> None:
        loop = asyncio.get_running_loop()
        crashes: deque[float] = deque()
        while True:
            try:
                await work()
                return
            except Exception:
                self.crashes += 1
                now = loop.time()
                crashes.append(now)
                while crashes[0] <= now - self._period:
                    crashes.popleft()
                self.logger.error("a background task crashed", task=name, crashes=len(crashes), exc_info=True)
                if len(crashes) >= self._most:
                    self._failed(f"{name} crashed {len(crashes)} times within {self._period:.0f} s")
                    return
                await asyncio.sleep(self._delay * 2 ** (len(crashes) - 1))

    @property
    def running(self) -> list[str]:
        """The names of the tasks that run."""
        return sorted(self._tasks.values())

    async def stop(self) -> None:
        """Cancel all tasks and wait until they are over."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
