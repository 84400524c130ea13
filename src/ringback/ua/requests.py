"""Requests that are waited for, and the errors that they may end in."""

from __future__ import annotations

import asyncio

from ringback.errors import RemoteError
from ringback.sip.exchange import Exchange
from ringback.sip.message import Request, Response
from ringback.sip.profile import Profile
from ringback.sip.session_events import Completed
from ringback.sip.status import reason_phrase
from ringback.ua.wire import Wire

__all__ = ["RequestFailed", "Requests"]


class RequestFailed(RemoteError):
    """A request was answered with a failure, or not at all.

    status    the one that was received; 408 when nothing was heard in time, 503 when there is no way to the other side
    response  what was received, or None
    """

    def __init__(self, status: int, reason: str, response: Response | None = None) -> None:
        super().__init__(status, reason)
        self.response = response

    def __reduce__(self) -> tuple[type[RequestFailed], tuple[int, str]]:
        return type(self), (self.status, self.reason)


class Requests:
    """The requests of one user agent that somebody waits for."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: dict[Exchange, asyncio.Future[Completed]] = {}

    async def ask(self, request: Request, profile: Profile) -> Completed:
        """Send a request out of any dialog, and wait for its end. Who stops waiting gives the request up.

        Raises LocalError when too many are on their way.
        """
        wire = self._wire
        exchange = wire.core.request(request, profile, wire.now())
        future: asyncio.Future[Completed] = asyncio.get_running_loop().create_future()
        self._waiting[exchange] = future
        wire.turn()
        try:
            return await future
        finally:
            del self._waiting[exchange]
            if not future.done() or future.cancelled():
                exchange.cancel(wire.now())
                wire.turn()

    def completed(self, event: Completed) -> bool:
        """Tell who waits; False when nobody does."""
        future = self._waiting.get(event.exchange)
        if future is None:
            return False
        if not future.done():
            future.set_result(event)
        return True


def failure(completed: Completed) -> RequestFailed:
    """What to raise for a request that has failed."""
    response = completed.response
    if response is None:
        reason = "no answer" if completed.status == 408 else "no way to the other side"
        return RequestFailed(completed.status, reason)
    return RequestFailed(response.status, response.reason or reason_phrase(response.status), response)
