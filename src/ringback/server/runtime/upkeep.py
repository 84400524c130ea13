"""What is done while nobody asks: expired bindings go, and those of connections that are gone; floods are told of."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

from ringback.errors import StoreError
from ringback.server.location import Registrar
from ringback.sip.transport import Flow
from ringback.store.base import LocationStore

__all__ = ["Upkeep"]

#: Seconds between two sweeps of expired bindings, and the seconds of a whole round.
SWEEP_INTERVAL: Final = 1.0
SWEEP_ROUND: Final = 300
#: Addresses of record that are looked at without letting others run.
SWEEP_STEP: Final = 500
#: Connections whose end is dealt with at a time.
CLOSED_AT_ONCE: Final = 64
#: Seconds between two looks at who floods, and the sources that one line of the log names.
FLOOD_INTERVAL: Final = 10.0
FLOODERS_NAMED: Final = 5
#: Seconds between two moments at which everything may be collected, and the most transactions that may run then: what
#: has to be walked grows with them.
COLLECT_INTERVAL: Final = 60.0
CALM: Final = 1000


class Upkeep:
    """`sweep`, `let_go`, `watch_floods` and `collect` run for ever; whoever starts them sees to their crashes.

    floods   gives the sources whose messages were dropped since it was asked last, and how many of each
    running  how many transactions run
    """

    def __init__(
        self,
        registrar: Registrar,
        location: LocationStore,
        logger: FilteringBoundLogger,
        floods: Callable[[], list[tuple[str, int]]],
        running: Callable[[], int],
    ) -> None:
        self._registrar = registrar
        self._location = location
        self._floods = floods
        self._running = running
        self.logger = logger
        self._closed: deque[Flow] = deque()
        self._filled = asyncio.Event()

    def closed(self, flow: Flow) -> None:
        """A connection is gone. Only those wait here over which somebody has registered, and each of them once."""
        if self._registrar.holds(flow):
            self._closed.append(flow)
            self._filled.set()

    async def let_go(self) -> None:
        """Remove the bindings that can be reached over connections which are gone only."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._closed:
                count = min(len(self._closed), CLOSED_AT_ONCE)
                closing = [self._registrar.closed(self._closed.popleft()) for _ in range(count)]
                for outcome in await asyncio.gather(*closing, return_exceptions=True):
                    if isinstance(outcome, BaseException):
                        # They are found out to be unreachable when they are used.
                        self.logger.warning("bindings of a closed connection are still there", error=str(outcome))

    async def watch_floods(self) -> None:
        """Log a line when messages were dropped: those who sent most, or in whose name most was sent."""
        while True:
            await asyncio.sleep(FLOOD_INTERVAL)
            found = sorted(self._floods(), key=lambda flood: flood[1], reverse=True)
            if found:
                named = [f"{host} ({count})" for host, count in found[:FLOODERS_NAMED]]
                self.logger.warning(
                    "messages were dropped: a flood",
                    dropped=sum(count for _, count in found),
                    sources=len(found),
                    most=", ".join(named),
                )

    async def collect(self) -> None:
        """Collect the cycles that have grown old, in calm moments: under load that would stall all calls.

        As long as there is no calm moment they stay.
        """
        while True:
            await asyncio.sleep(COLLECT_INTERVAL)
            if self._running() <= CALM:
                gc.collect()

    async def sweep(self) -> None:
        """Remove expired bindings, a few at a time, all within a few minutes."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            await self.sweep_some()

    async def sweep_some(self) -> None:
        """The share of one interval."""
        due = await self._location.count() // SWEEP_ROUND + 1
        while due > 0:
            try:
                await self._registrar.sweep(SWEEP_STEP)
            except StoreError as error:
                self.logger.error("expired bindings could not be removed", error=str(error))
                return
            due -= SWEEP_STEP
            await asyncio.sleep(0)
