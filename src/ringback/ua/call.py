"""One call, as the user of the library sees it.

    async with agent.call("sip:bob@example.org") as call:      rings, is answered; hung up at the end
        await call.play("hello.wav")
        async for frame in call.audio(rate=16000): ...

    call = await agent.dial("sip:bob@example.org")             rings; early media can be heard
    await call.answered()

    async for call in agent.calls():                           somebody calls
        await call.answer()

A call outlives what carries it: after a transfer, or when the other side moves to another device (Replaces), the same
`Call` goes on with another session below, and whoever listens to it goes on listening.

Whatever is cancelled leaves nothing open: a call that is being placed or answered is then hung up, at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Literal, TypeVar

from ringback.errors import LocalError, ParseError
from ringback.media import dtmf_info
from ringback.media.backend import Change, MediaError, MediaPreferences, MediaSession
from ringback.media.quality import Report
from ringback.sip.cause import LOCAL, NETWORK, REMOTE, Cause
from ringback.sip.description import description_of
from ringback.sip.headers import NameAddr
from ringback.sip.message import Headers, Request
from ringback.sip.session import Session
from ringback.sip.session_events import ANSWER
from ringback.sip.session_kinds import ESTABLISHED
from ringback.sip.status import reason_phrase
from ringback.ua.failures import CallEnded, CallFailed, status_of
from ringback.ua.host import Host
from ringback.ua.sound import CallSound

__all__ = ["CLOSING_SECONDS", "Call", "State"]

State = Literal["ringing", "established", "ended"]
_Result = TypeVar("_Result")

#: Seconds that `hang_up` waits for the other side's confirmation.
CLOSING_SECONDS: Final = 4.0
#: Seconds that a transfer may take: somebody has to pick up.
TRANSFER_SECONDS: Final = 120.0
#: Descriptions of one call that wait to be dealt with; a peer that sends more is not listened to.
MOST_PENDING: Final = 8


class Call(CallSound):
    """A call to or from somebody.

    session      the signalling below (`ringback.sip.session`), for those who need all of it
    media        the media below
    request      the INVITE
    incoming     whether we are called
    moved        called when other media carries the call
    on_transfer  asked with the URI when the other side transfers us: True accepts; None: as the agent is configured
    transferring whether the other side has sent us to somebody else, whom we have not reached yet
    """

    def __init__(self, host: Host, session: Session, media: MediaSession, *, incoming: bool) -> None:
        super().__init__()
        self.host = host
        self.session = session
        self.media = media
        self.incoming = incoming
        self.request: Request = session.request
        self.on_transfer: Callable[[str], bool] | None = None
        self.moved: list[Callable[[], None]] = []
        self.cause: Cause | None = None
        self.transferring = False
        self._left: Cause | None = None
        self._history: list[Change] = []
        self._order = asyncio.Lock()
        self._pending = 0
        loop = asyncio.get_running_loop()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[Cause] = loop.create_future()
        self._closed = asyncio.Event()
        self._changed: asyncio.Future[tuple[int, str, bytes]] | None = None
        self._described = False
        self._first = b""
        # Nobody has to ask how it went.
        self._answered.add_done_callback(_seen)
        self._connect()

    def __repr__(self) -> str:
        return f"<Call {'from' if self.incoming else 'to'} {self.remote} {self.state}>"

    async def __aenter__(self) -> Call:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.hang_up()

    # what it is ------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """Where in its life it is."""
        if self.cause is not None:
            return "ended"
        return "established" if self._answered.done() else "ringing"

    @property
    def peer(self) -> NameAddr:
        """Who is at the other end: display name and URI, as far as he is believed."""
        return self.session.remote

    @property
    def remote(self) -> str:
        """The URI of who is at the other end."""
        return str(self.peer.uri)

    @property
    def remote_name(self) -> str:
        """Who is at the other end, for people: the display name and the URI."""
        display = self.peer.display
        return f"{display} <{self.remote}>" if display else self.remote

    @property
    def held(self) -> bool:
        """Whether the other side has put us on hold."""
        return self.media.held

    @property
    def history(self) -> Sequence[Change]:
        """What has happened to the call and why: holds, transfers, repairs of its quality; oldest first."""
        return sorted([*self._history, *self.media.changes], key=lambda change: change.at)

    def quality(self) -> Sequence[Report]:
        """How the call sounds now: what we hear, then what the other side hears, as far as it says so."""
        return self.media.reports()

    def note(self, kind: str, reason: str, details: str = "") -> None:
        """Add to the history."""
        self._history.append(Change(self.host.now(), kind, reason, details))
        del self._history[:-200]

    # coming about ----------------------------------------------------------------------------------------------------

    async def answered(self) -> None:
        """Wait until the call is answered and can be heard. Raises CallFailed; cancelled, the call is hung up."""
        try:
            await asyncio.shield(self._answered)
        except asyncio.CancelledError:
            if not self._answered.cancelled():
                self.end(Cause(487, "given up", LOCAL))
            raise

    def ring(self, status: int = 180) -> None:
        """Tell the caller that it rings (180), or another provisional status."""
        self._must_be_incoming()
        self.session.ring(self.host.now(), status)
        self.host.turn()

    async def early_media(self) -> None:
        """Let the caller hear us before the call is answered (183 with an answer). Raises CallFailed, LocalError."""
        self._must_be_incoming()
        async with self._order:
            body = await self._or_end(self._first_description())
            self.session.ring(self.host.now(), 183, body)
            self.host.turn()

    async def answer(self) -> None:
        """Answer; afterwards both hear each other.

        Raises CallFailed when the caller has given up, or what he offers cannot be met (488). Cancelled, the call ends.
        """
        self._must_be_incoming()
        try:
            async with self._order:
                self._must_live()
                body = await self._or_end(self._first_description())
                self._must_live()
                self.session.accept(self.host.now(), body)
                self.host.turn()
            await asyncio.shield(self._answered)
        except BaseException:
            self.end(Cause(480, "not answered after all", LOCAL))
            raise

    async def _first_description(self) -> bytes:
        """Our part of the first exchange of descriptions; the same again when early media has sent it before.

        13.3.1.4 and RFC 3264: an answer that went out in an unreliable response stands in the 2xx once more, unchanged.
        """
        if not self._first:
            offer = description_of(self.request)
            self._first = await (self.media.answer(offer) if offer else self.media.offer())
            if offer:
                self._media_runs()
        return self._first

    def reject(self, status: int = 486, reason: str = "", headers: Headers | None = None) -> None:
        """Refuse: 486 (busy) goes on to other devices of the callee, 603 (decline) to none."""
        self._must_be_incoming()
        self.session.reject(self.host.now(), status, reason, headers or [])
        self.host.turn()

    def redirect(self, *contacts: str, status: int = 302) -> None:
        """Send the caller elsewhere: to these URIs, best first."""
        self._must_be_incoming()
        if not contacts:
            raise LocalError("to redirect needs at least one URI")
        self.session.redirect(self.host.now(), list(contacts), status)
        self.host.turn()

    # its end ---------------------------------------------------------------------------------------------------------

    async def hang_up(self, reason: str = "") -> None:
        """End the call in whatever state it is, and wait a few seconds for the other side to confirm."""
        self.end(Cause(0, reason, LOCAL))
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                await self._closed.wait()
        except TimeoutError:
            pass
        await self.media.close()

    def end(self, cause: Cause) -> None:
        """End the call at once, without waiting: what is needed goes out now, and is repeated until it is confirmed."""
        if self.cause is None:
            self.session.hang_up(self.host.now(), cause)
            self.host.turn()
            self.over(cause)

    async def ended(self) -> Cause:
        """Wait for the end of the call; why it has ended."""
        return await asyncio.shield(self._ended)

    def over(self, cause: Cause) -> None:
        """The call is over: whoever waits is told."""
        if self.cause is not None:
            return
        self.cause = cause
        self.note("ended", cause.reason or reason_phrase(cause.status or 200), f"by {cause.by}")
        if not self._answered.done():
            self._answered.set_exception(CallFailed(cause if cause.status else Cause(487, cause.reason, cause.by)))
        if self._changed is not None and not self._changed.done():
            self._changed.set_exception(CallEnded(cause))
        self._ended.set_result(cause)
        self.end_sound()
        self.host.spawn(self.media.close(), "close media")

    def left(self, cause: Cause) -> None:
        """What carries the call is over. Who has sent us elsewhere may leave at once: what becomes of that decides."""
        if self.transferring and cause.by == REMOTE:
            self._left = cause
        else:
            self.over(cause)

    def stays(self) -> None:
        """Nobody was reached where we were sent: the call is what it was before, or over."""
        self.transferring = False
        if self._left is not None:
            self.over(self._left)

    def closed(self) -> None:
        """Nothing is open any more at the other end."""
        self._closed.set()

    # while it lasts --------------------------------------------------------------------------------------------------

    async def hold(self) -> None:
        """Put the other side on hold. Raises CallFailed: it refuses, all is as it was."""
        await self.reoffer(replace(self.media.preferences, direction="sendonly"), "hold")

    async def resume(self) -> None:
        """End a hold of ours. Raises CallFailed."""
        await self.reoffer(replace(self.media.preferences, direction="sendrecv"), "resume")

    async def reoffer(self, preferences: MediaPreferences, why: str) -> None:
        """Negotiate the media anew with these preferences. Raises CallFailed; the media is then as it was."""
        async with self._order:
            self._must_be_established()
            offer = await self.media.offer(preferences)
            self._must_be_established()
            changed = self._changed = asyncio.get_running_loop().create_future()
            changed.add_done_callback(_seen)
            try:
                self.session.offer(self.host.now(), offer)
                self.host.turn()
                status, reason, body = await changed
            finally:
                self._changed = None
            if status >= 300:
                self.note(why, "refused", f"{status} {reason}")
                raise CallFailed(Cause(status, reason or reason_phrase(status), NETWORK))
            await self._or_end(self.media.accept(body))
        self.note(why, "done")

    async def transfer(self, target: str | Call, seconds: float = TRANSFER_SECONDS) -> None:
        """Send the other side to a URI, or (attended) to the other side of another call, and leave.

        Raises CallFailed when it refuses or does not get through: the call then goes on. LocalError: a call to itself.
        """
        if target is self:
            raise LocalError("a call cannot be transferred to itself")
        self._must_be_established()
        await self.host.calls.transfers.ask(self, target, seconds)
        await self.hang_up()

    # what happens to it ----------------------------------------------------------------------------------------------

    def established(self) -> None:
        """The call is answered; it counts as such when its media is agreed, too."""
        self.in_order(self._complete, "complete call")

    async def _complete(self) -> None:
        if not self._described and not self.incoming and description_of(self.request):
            self.end(Cause(488, "answered without an answer to our offer", LOCAL))
        elif self._described and not self._answered.done():
            self._answered.set_result(None)

    def description_came(self, body: bytes, kind: str, early: bool) -> None:
        """An offer or answer of the other side, in whatever message it came."""

        async def deal() -> None:
            if kind == ANSWER:
                await self._or_end(self.media.accept(body))
                self._media_runs()
                if self.incoming:
                    await self._complete()
            else:
                answer = await self._or_end(self.media.answer(body))
                self._media_runs()
                self.session.answer(self.host.now(), answer)
                self.host.turn()
                if self.session.state == ESTABLISHED:
                    # The offer was in the 2xx to an INVITE without one; our answer has gone with the ACK.
                    await self._complete()

        self.in_order(deal, "early description" if early else "description")

    def reoffered(self, body: bytes) -> None:
        """The other side changes the media, or (without a body) wants an offer of ours."""

        async def deal() -> None:
            try:
                answer = await (self.media.answer(body) if body else self.media.offer())
            except (ParseError, MediaError) as error:
                self.session.refuse(self.host.now(), status_of(error), str(error))
            else:
                self.session.answer(self.host.now(), answer)
                self.note("changed", "by the other side", "held" if self.media.held else "")
            self.host.turn()

        self.in_order(deal, "offer of the other side")

    def changed(self, status: int, reason: str, body: bytes) -> None:
        """Our offer has come to its end."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result((status, reason, body))

    def info_came(self, content_type: str, body: bytes) -> None:
        """An INFO has come: if it brings a digit, that is heard."""
        try:
            told = dtmf_info.parse(content_type, body)
        except ParseError as error:
            self.note("digit", "not understood", str(error))
            return
        if told is not None:
            self.media.audio.digit_came(told.digit)

    def in_order(self, deal: Callable[[], Awaitable[None]], name: str) -> None:
        """Deal with something after what came before it."""
        if self._pending >= MOST_PENDING:
            return
        self._pending += 1

        async def wait() -> None:
            try:
                async with self._order:
                    if self.cause is None:
                        await deal()
            except CallFailed:
                pass  # the call has ended over it, and says why
            finally:
                self._pending -= 1

        self.host.spawn(wait(), name)

    def move_to(self, session: Session, media: MediaSession, why: str) -> None:
        """Go on with another session and other media; the old ones are left to whoever calls this."""
        self.note("moved", why)
        self.transferring, self._left = False, None
        self.session, self.media = session, media
        self._closed = asyncio.Event()
        self._connect()
        self._media_runs()
        for moved in list(self.moved):
            moved()

    def take_over(self, other: Call, why: str) -> None:
        """Go on with what carries another call, which is then one no more."""
        other.cause = Cause(0, why, LOCAL)
        other.end_sound()
        other._ended.set_result(other.cause)
        self.move_to(other.session, other.media, why)

    def _connect(self) -> None:
        self.media.on_repair = self._repair
        self.media.on_failure = self._media_failed
        self.media.audio.send_info = self._send_info

    def _media_runs(self) -> None:
        self._described = True
        if self._port is not self.media.audio:
            self.attach(self.media.audio)

    def _repair(self, preferences: MediaPreferences, reason: str) -> None:
        async def renegotiate() -> None:
            try:
                await self.reoffer(preferences, "repair")
            except (CallFailed, MediaError, LocalError) as error:
                self.note("repair", reason, f"not possible: {error}")

        self.host.spawn(renegotiate(), "repair")

    def _media_failed(self, error: MediaError) -> None:
        self.end(Cause(status_of(error), str(error), NETWORK))

    def _send_info(self, digit: str, milliseconds: int) -> None:
        body = dtmf_info.build(dtmf_info.InfoDigit(digit, milliseconds))
        self.session.info(self.host.now(), dtmf_info.DTMF_RELAY, body)
        self.host.turn()

    async def _or_end(self, work: Awaitable[_Result]) -> _Result:
        """Do this for the call; a call for which it cannot be done is over. Raises CallFailed."""
        try:
            return await work
        except (ParseError, MediaError) as error:
            cause = Cause(status_of(error), str(error), LOCAL)
        self.end(cause)
        raise CallFailed(cause)

    # what it must be -------------------------------------------------------------------------------------------------

    def _must_be_incoming(self) -> None:
        if not self.incoming:
            raise LocalError("only a call that comes in can be answered or refused")
        if self.state == "established":
            raise LocalError("the call is answered already")
        self._must_live()

    def _must_live(self) -> None:
        if self.cause is not None:
            raise CallEnded(self.cause if self.cause.status else Cause(487, self.cause.reason, self.cause.by))

    def _must_be_established(self) -> None:
        self._must_live()
        if not self._answered.done():
            raise LocalError("the call is not answered yet")


def _seen(future: asyncio.Future[_Result]) -> None:
    """Whether anybody has asked or not: what came of it is no surprise."""
    if not future.cancelled():
        future.exception()
