"""The endpoint: one stack, its sockets, its one timer, and the application.

It feeds the stack what the sockets read, sends what the stack wants sent, keeps one timer for all of SIP's, asks DNS
for the stack, and steps the application's coroutines: by hand, since a task costs more than most requests do. Only a
coroutine that waits for something of asyncio's becomes a task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Final, Protocol

from ringback.net.udp import UdpSocket
from ringback.sip.message import Request
from ringback.sip.stack import Answered, Asked, Cancelled, Event, Expired, Incoming, Malformed, Settled, Stack
from ringback.sip.transaction import Transaction
from ringback.sip.transport import Flow
from ringback.sip.uri import Uri


class Streams(Protocol):
    """What the endpoint needs of stream connections."""

    def send(self, data: bytes, flow: Flow, key: str = "") -> bool:
        """Send on a connection, open one first if need be; False when that cannot be."""
        ...


#: Seconds between two wake-ups for timers, at least.
TIMER_GRAIN: Final = 0.01
#: The 200 ms after which a 100 (Trying) is due (17.2.1). Only the timers with which a transaction over a stream ends
#: are shorter (0 s): nobody waits for those.
SHORTEST_TIMER: Final = 0.2

Application = Callable[[Incoming, float], Coroutine[Any, Any, None] | None]
Observer = Callable[[Event], None]
Locator = Callable[[Uri], Awaitable[list[Flow]]]
Tap = Callable[[bool, bytes, Flow, float], None]
Admission = Callable[[str, float], bool]


class Endpoint:
    """One SIP element on the wire.

    application  called with each new request and the time; returns a coroutine when not all could be done at once
    locate       where a URI leads (RFC 3263): awaited with the URI, gives flows in order
    observer     told of every other event, and of responses that `request` does not wait for; or None
    tap          told of every message: (received, octets, flow, when), or None
    admit        asked for the address of every datagram whether it may be read at all, or None
    """

    def __init__(
        self, stack: Stack, loop: asyncio.AbstractEventLoop, application: Application, locate: Locator
    ) -> None:
        self.stack: Stack = stack
        self.loop: asyncio.AbstractEventLoop = loop
        self.application: Application = application
        self.locate: Locator = locate
        self.observer: Observer | None = None
        self.tap: Tap | None = None
        self.admit: Admission | None = None
        self.sockets: dict[str, UdpSocket] = {}
        self.streams: Streams | None = None
        self.now: float = loop.time()
        self.dropped: int = 0
        self.failures: int = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.pending_clients: dict[str, asyncio.Future[Answered]] = {}
        self._turning: bool = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float = 0.0
        self._later: asyncio.Handle | None = None

    # in --------------------------------------------------------------------------------------------------------------

    def datagram(self, data: bytes, flow: Flow) -> None:
        """One datagram has come; `turn` follows after its batch."""
        now = self.loop.time()
        self.now = now
        if self.admit is not None and not self.admit(flow.host, now):
            self.dropped += 1
            return
        if self.tap is not None:
            self.tap(True, data, flow, now)
        self.stack.receive(data, flow, now)
        self._dispatch()

    def message(self, data: bytes, flow: Flow) -> None:
        """One message framed from a stream has come."""
        self.datagram(data, flow)
        self.turn()

    def undelivered(self, key: str, flow: Flow, reason: str) -> None:
        """A stream could not deliver what was sent with `key`."""
        if key:
            self.now = self.loop.time()
            self.stack.failed(key, self.now)
            self.turn_soon()

    async def close(self) -> None:
        """Cancel what still handles requests, and have no turn any more; the sockets are for others to close."""
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        for waiting in self.pending_clients.values():
            waiting.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Not even what is still told by others leads to another turn, nor to a timer that would outlive this.
        self._turning = True
        if self._timer is not None:
            self._timer.cancel()
        if self._later is not None:
            self._later.cancel()

    # the turn --------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Tell the application what has happened, send what came of it, and set the timer."""
        if self._turning:
            return
        self._dispatch()
        self._arm()

    def turn_soon(self) -> None:
        """Have a turn after what runs now; once, however often it is asked for."""
        if self._later is None:
            self._later = self.loop.call_soon(self._turn_later)

    def _turn_later(self) -> None:
        self._later = None
        self.now = self.loop.time()
        self.turn()

    def _dispatch(self) -> None:
        if self._turning:
            return
        self._turning = True
        try:
            while True:
                sends, events = self.stack.take()
                if not sends and not events:
                    break
                for data, flow, key in sends:
                    self._transmit(data, flow, key)
                for event in events:
                    self._tell(event)
        finally:
            self._turning = False

    def _transmit(self, data: bytes, flow: Flow, key: str) -> None:
        if self.tap is not None:
            self.tap(False, data, flow, self.now)
        if flow.transport == "UDP":
            sock = self.sockets.get(flow.local)
            if sock is not None and sock.send(data, flow.host, flow.port):
                return
        elif self.streams is not None and self.streams.send(data, flow, key):
            return
        self.failures += 1
        if key:
            self.stack.failed(key, self.now)

    def _tell(self, event: Event) -> None:
        if isinstance(event, Incoming):
            try:
                rest = self.application(event, self.now)
            except Exception as error:
                self._crashed(error, event)
                return
            if rest is not None:
                self._step(rest, event)
        elif isinstance(event, Asked):
            self._step(self._ask(event), None)
        elif isinstance(event, Answered):
            waiting = self.pending_clients.pop(event.client.key, None) if event.status >= 200 else None
            if waiting is not None:
                if not waiting.done():
                    waiting.set_result(event)
            elif self.observer is not None and event.client.key not in self.pending_clients:
                self.observer(event)
        elif self.observer is not None and isinstance(event, (Settled, Malformed, Cancelled, Expired)):
            self.observer(event)

    def _arm(self) -> None:
        """Keep the one timer. One that fires early costs less than being moved for every message.

        A wake-up of the loop costs more than most timers do: those that are due within a few milliseconds share one.
        """
        if self._timer is not None and self._timer_at <= self.now + SHORTEST_TIMER:
            return
        deadline = self.stack.deadline()
        if deadline is None:
            return
        deadline = max(deadline, self.now + TIMER_GRAIN)
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self.loop.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self.loop.time()
        # The loop's clock may be a hair behind the deadline that it woke us for.
        self.now = max(now, self._timer_at)
        self.stack.advance(self.now)
        self.turn()

    # names -----------------------------------------------------------------------------------------------------------

    async def _ask(self, asked: Asked) -> None:
        hops: list[Flow] = []
        try:
            hops = await self.locate(asked.uri)
        finally:
            # Whatever became of the question: who waits for the answer must not wait for ever.
            self.now = self.loop.time()
            self.stack.located(asked.token, hops, self.now)
            self.turn_soon()

    # our own requests ------------------------------------------------------------------------------------------------

    async def request(self, request: Request, flow: Flow) -> Answered:
        """Send a request of our own and wait for its final response (or for the failure to get one)."""
        client: Transaction = self.stack.request(request, flow, self.loop.time())
        future: asyncio.Future[Answered] = self.loop.create_future()
        self.pending_clients[client.key] = future
        self.turn_soon()
        return await future

    # coroutines ------------------------------------------------------------------------------------------------------

    def _step(self, coroutine: Coroutine[Any, Any, None], incoming: Incoming | None) -> None:
        """Run a coroutine until it ends or waits."""
        try:
            waited = coroutine.send(None)
        except StopIteration:
            return
        except (Exception, asyncio.CancelledError) as error:
            # What it waited for may have been cancelled by somebody else.
            self._crashed(error, incoming)
            return
        self._suspend(coroutine, waited, incoming)

    def _suspend(self, coroutine: Coroutine[Any, Any, None], waited: Any, incoming: Incoming | None) -> None:
        if waited is None or isinstance(waited, asyncio.Future):
            # A bare yield, or a future of asyncio's: what follows may need to be in a task.
            task = self.loop.create_task(_continued(coroutine, waited))
            self.tasks.add(task)
            task.add_done_callback(_Finished(self, incoming).__call__)
            return
        # A store's commit: it calls back directly, so that many requests go on in one wake-up without a task each.
        waited._asyncio_future_blocking = False
        waited.add_done_callback(_Resume(self, coroutine, incoming).__call__)

    def finished(self, task: asyncio.Task[None], incoming: Incoming | None) -> None:
        """A coroutine that had become a task is over."""
        self.tasks.discard(task)
        self.now = self.loop.time()
        if task.cancelled():
            self._fail(incoming)
        else:
            error = task.exception()
            if error is not None:
                self._crashed(error, incoming)
        self.turn_soon()

    def _crashed(self, error: BaseException, incoming: Incoming | None) -> None:
        """A handler failed: its request is answered with 500, and nothing else is touched."""
        self.loop.call_exception_handler({"message": "a handler of SIP requests failed", "exception": error})
        self._fail(incoming)

    def _fail(self, incoming: Incoming | None) -> None:
        if incoming is not None and incoming.server is not None:
            self.stack.respond(incoming.server, incoming.request, 500, self.now)
            self.turn_soon()


class _Resume:
    """Goes on with a coroutine when what it waits for calls back."""

    def __init__(self, endpoint: Endpoint, coroutine: Coroutine[Any, Any, None], incoming: Incoming | None) -> None:
        self.endpoint: Endpoint = endpoint
        self.coroutine: Coroutine[Any, Any, None] = coroutine
        self.incoming: Incoming | None = incoming

    def __call__(self, waited: object) -> None:
        self.endpoint.now = self.endpoint.loop.time()
        self.endpoint._step(self.coroutine, self.incoming)
        self.endpoint.turn_soon()


class _Finished:
    """Tells the endpoint that a task of its own is over."""

    def __init__(self, endpoint: Endpoint, incoming: Incoming | None) -> None:
        self.endpoint: Endpoint = endpoint
        self.incoming: Incoming | None = incoming

    def __call__(self, task: asyncio.Task[None]) -> None:
        self.endpoint.finished(task, self.incoming)


async def _continued(coroutine: Coroutine[Any, Any, None], waited: Any) -> None:
    """A coroutine that was stepped by hand goes on in a task, from the future that it waits for."""
    await _Rest(coroutine, waited)


class _Rest:
    def __init__(self, coroutine: Coroutine[Any, Any, None], waited: Any) -> None:
        self.coroutine: Coroutine[Any, Any, None] = coroutine
        self.waited: Any = waited

    def __await__(self) -> Generator[Any, Any, None]:
        waited = self.waited
        while True:
            try:
                value = yield waited
            except BaseException as error:
                try:
                    waited = self.coroutine.throw(error)
                except StopIteration:
                    return
            else:
                try:
                    waited = self.coroutine.send(value)
                except StopIteration:
                    return
