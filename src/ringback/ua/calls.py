"""The calls of an agent: placing them, taking them, and telling each what happens to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from types import TracebackType
from typing import Final, TypeAlias

from ringback.errors import LocalError, ParseError
from ringback.media.backend import MediaError, MediaPreferences, MediaSession
from ringback.sip.cause import LOCAL, Cause
from ringback.sip.description import description_of
from ringback.sip.message import Headers
from ringback.sip.refer import Referral
from ringback.sip.session import Session
from ringback.sip.session_events import (
    Changed,
    Closed,
    CoreEvent,
    DescriptionReceived,
    Ended,
    Established,
    InfoReceived,
    Offered,
    ReferProgress,
    Referred,
    Reoffered,
)
from ringback.ua.call import Call
from ringback.ua.failures import CallFailed, status_of
from ringback.ua.host import Host
from ringback.ua.transfer import Transfers

__all__ = ["MOST_WAITING", "Calls", "Dialing", "Handler"]

#: Calls that ring and that nobody has taken yet; more are told that we are busy.
MOST_WAITING: Final = 64

Handler = Callable[[Call], Awaitable[None]]
#: What is told of a session that a call may have.
OfACall: TypeAlias = Changed | Closed | DescriptionReceived | Ended | Established | InfoReceived | Reoffered


class Dialing:
    """What `agent.call(uri)` gives: awaited, the answered call; with `async with`, the same, hung up at the end."""

    def __init__(self, calls: Calls, target: str, headers: Headers, preferences: MediaPreferences | None) -> None:
        self._calls = calls
        self._target = target
        self._headers = headers
        self._preferences = preferences
        self._call: Call | None = None

    def __await__(self) -> Generator[None, None, Call]:
        return self._place().__await__()

    async def __aenter__(self) -> Call:
        return await self._place()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._call is not None:
            await self._call.hang_up()

    async def _place(self) -> Call:
        call = self._call = await self._calls.dial(self._target, self._headers, self._preferences)
        await call.answered()
        return call


class Calls:
    """All calls of one agent.

    transfers  what is done when the other side transfers us and the call does not say: False refuses (403). Who may
               transfer a bot may make it call anybody, on its account.
    """

    def __init__(self, host: Host, *, transfers: bool = False) -> None:
        self.host = host
        self.transfers = Transfers(self, accept=transfers)
        self._calls: dict[Session, Call] = {}
        self._waiting: deque[Call] = deque()
        self._come = asyncio.Event()
        self._takers = 0
        self._closing = False
        self._all_closed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def running(self) -> Sequence[Call]:
        """The calls that have not ended, the oldest first."""
        return [call for call in dict.fromkeys(self._calls.values()) if call.cause is None]

    # placing ---------------------------------------------------------------------------------------------------------

    async def dial(
        self,
        target: str,
        headers: Headers | None = None,
        preferences: MediaPreferences | None = None,
        referral: Referral | None = None,
    ) -> Call:
        """Call somebody: the call as soon as it is on its way; `answered` waits for more.

        `referral` is the REFER that the call comes of: its sender is told how it fares. Raises LocalError for what
        cannot be called, and CallFailed when there can be no media.
        """
        if self._closing:
            raise LocalError("the agent is closed")
        media = self.host.media.open(preferences or self.host.preferences_for(target))
        try:
            offer = await media.offer()
            session = self.host.core.invite(
                self.host.profile, target, offer, self.host.now(), headers or [], referral=referral
            )
        except (MediaError, ParseError) as error:
            await media.close()
            raise CallFailed(Cause(status_of(error), str(error), LOCAL)) from error
        except BaseException:
            await media.close()
            raise
        call = self.add(session, media, incoming=False)
        self.host.turn()
        return call

    def add(self, session: Session, media: MediaSession, *, incoming: bool) -> Call:
        """A call for a session; from now on it hears of it."""
        call = Call(self.host, session, media, incoming=incoming)
        self._calls[session] = call
        return call

    def follow(self, session: Session, call: Call) -> None:
        """A call goes on with another session: events of that are its own."""
        self._calls[session] = call

    # taking ----------------------------------------------------------------------------------------------------------

    async def take(self) -> AsyncIterator[Call]:
        """The calls that come in, one at a time, until the agent is closed. They ring until they are answered."""
        self._takers += 1
        try:
            while not self._closing:
                while self._waiting:
                    call = self._waiting.popleft()
                    if call.cause is None:
                        yield call
                self._come.clear()
                if not self._closing:
                    await self._come.wait()
        finally:
            self._takers -= 1

    async def serve(self, handler: Handler) -> None:
        """Give each call that comes in to `handler`, in a task of its own; what is left of it is hung up afterwards."""
        async for call in self.take():
            self.host.spawn(self._handle(call, handler), f"call from {call.remote}")

    async def _handle(self, call: Call, handler: Handler) -> None:
        try:
            await handler(call)
        except CallFailed:
            pass  # the caller has gone, which is no failure of the handler
        except Exception:
            call.end(Cause(500, "the program that handles the call has failed", LOCAL))
            raise
        finally:
            call.end(Cause(0, "", LOCAL))

    def _offered(self, event: Offered) -> None:
        session = event.session
        host = self.host
        try:
            replaced = self._calls.get(session.replaces) if session.replaces is not None else None
            if self._closing or (replaced is None and not self._takers):
                return self._refuse(session, 480, "nobody takes calls")
            if replaced is None and len(self._waiting) >= MOST_WAITING:
                return self._refuse(session, 486, "")
            media = host.media.open(host.preferences_for(str(session.remote.uri)))
        except ParseError as error:
            return self._refuse(session, error.status, str(error))
        if replaced is not None:
            # RFC 3891 3: the new dialog takes the place of the old one "as if it were answered", without ringing.
            host.spawn(self._replace(replaced, session, media), "replace call")
            return None
        call = self.add(session, media, incoming=True)
        session.ring(host.now(), 180)
        self._waiting.append(call)
        self._come.set()
        return None

    def _refuse(self, session: Session, status: int, reason: str) -> None:
        session.reject(self.host.now(), status, reason)
        self.host.turn()

    async def _replace(self, call: Call, session: Session, media: MediaSession) -> None:
        """The other side goes on from another device: the same call, another session."""
        offer = description_of(session.request)
        try:
            body = await (media.answer(offer) if offer else media.offer())
        except (ParseError, MediaError) as error:
            self._refuse(session, status_of(error), str(error))
            await media.close()
            return
        if call.cause is not None:
            self._refuse(session, 481, "the call to replace is over")
            await media.close()
            return
        old_media = call.media
        self.follow(session, call)
        call.move_to(session, media, f"to {session.remote.uri} (Replaces)")
        # The session that is replaced ends with it.
        session.accept(self.host.now(), body)
        self.host.turn()
        await old_media.close()

    # what happens ----------------------------------------------------------------------------------------------------

    def handle(self, event: CoreEvent) -> bool:
        """Tell the call that an event is about; False when it is about none."""
        if isinstance(event, Offered):
            self._offered(event)
        elif isinstance(event, Referred):
            return self.transfers.referred(event, self._calls.get(event.session) if event.session else None)
        elif isinstance(event, ReferProgress):
            return self.transfers.progressed(event)
        elif isinstance(event, OfACall):
            call = self._calls.get(event.session)
            if call is None:
                return False
            self._tell(call, event)
        else:
            return False
        return True

    def _tell(self, call: Call, event: OfACall) -> None:
        session = event.session
        if isinstance(event, Closed):
            del self._calls[session]
            if call.session is session:
                call.closed()
            if not self._calls:
                self._all_closed.set()
        elif call.session is not session:
            return  # what the call has left behind
        elif isinstance(event, DescriptionReceived):
            call.description_came(event.body, event.kind, event.early)
        elif isinstance(event, Established):
            call.established()
        elif isinstance(event, Reoffered):
            call.reoffered(event.body)
        elif isinstance(event, Changed):
            call.changed(event.status, event.reason, event.body)
        elif isinstance(event, InfoReceived):
            call.info_came(event.content_type, event.body)
        else:
            call.left(event.cause)

    # the end ---------------------------------------------------------------------------------------------------------

    def end_all(self) -> None:
        """Hang up everything, at once; no call comes in any more."""
        self._closing = True
        self._come.set()
        for call in self.running:
            call.end(Cause(0, "", LOCAL))
        for session in list(self._calls):
            session.hang_up(self.host.now())
        self.host.turn()

    async def close(self, seconds: float) -> None:
        """Hang up everything, and wait at most so long until the other sides have confirmed it."""
        self.end_all()
        try:
            async with asyncio.timeout(seconds):
                await self.none_left()
        except TimeoutError:
            pass

    async def none_left(self) -> None:
        """Wait until no call is open any more, here or at the other side."""
        while self._calls:
            self._all_closed.clear()
            await self._all_closed.wait()
