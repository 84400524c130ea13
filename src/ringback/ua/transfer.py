"""Transfer (RFC 3515, 5589): sending the other side to somebody else, and being sent.

    await call.transfer("sip:carol@example.org")     blind: he calls her, and we are out of it
    await call.transfer(other_call)                  attended: he takes our place in the other call (Replaces)

Being transferred, the call goes on: who listens to it hears the new party.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ringback.errors import RingbackError
from ringback.sip.cause import LOCAL, REMOTE, Cause
from ringback.sip.exchange import Exchange
from ringback.sip.refer import Referral
from ringback.sip.session_events import ReferProgress, Referred
from ringback.sip.status import reason_phrase
from ringback.ua.call import Call
from ringback.ua.failures import CallFailed

if TYPE_CHECKING:
    from ringback.ua.calls import Calls

__all__ = ["Transfers"]

#: Seconds that the one who has transferred us gets to hang up before we do.
LEAVE_SECONDS: Final = 2.0


class Transfers:
    """Transfers under way, in both directions."""

    def __init__(self, calls: Calls, *, accept: bool) -> None:
        self._calls = calls
        self._accept = accept
        self._asked: dict[Exchange, asyncio.Future[tuple[int, str]]] = {}

    # we transfer -----------------------------------------------------------------------------------------------------

    async def ask(self, call: Call, target: str | Call, seconds: float) -> None:
        """Have the other side of `call` call `target`. Raises CallFailed when that comes to nothing."""
        host = self._calls.host
        session = call.session
        now = host.now()
        if isinstance(target, Call):
            token = session.refer(now, "", replaces=target.session)
        else:
            token = session.refer(now, target)
        told = self._asked[token] = asyncio.get_running_loop().create_future()
        host.turn()
        ended = asyncio.ensure_future(call.ended())
        try:
            async with asyncio.timeout(seconds):
                await asyncio.wait((told, ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise CallFailed(Cause(408, "the transfer took too long", LOCAL)) from None
        finally:
            ended.cancel()
            del self._asked[token]
        # One who hangs up after he has accepted the transfer is on his way, too.
        status, reason = told.result() if told.done() else (200, "")
        if status >= 300:
            raise CallFailed(Cause(status, reason or reason_phrase(status), REMOTE))
        call.note("transferred", f"to {target.remote if isinstance(target, Call) else target}")

    def progressed(self, event: ReferProgress) -> bool:
        """The other side says how far it has come."""
        told = self._asked.get(event.token)
        if told is None:
            return False
        if not told.done() and (event.final or event.status >= 200):
            told.set_result((event.status, event.reason))
        return True

    # we are transferred ----------------------------------------------------------------------------------------------

    def referred(self, event: Referred, call: Call | None) -> bool:
        """The other side wants us to call somebody."""
        host = self._calls.host
        if call is None or call.cause is not None:
            host.core.refer_reject(event.token, host.now(), 603)
        elif not (call.on_transfer(event.refer_to) if call.on_transfer is not None else self._accept):
            call.note("transfer", "refused", event.refer_to)
            host.core.refer_reject(event.token, host.now(), 403)
        else:
            host.core.refer_accept(event.token, host.now())
            host.spawn(self._go(call, event.refer_to, event.token), "transfer")
        host.turn()
        return True

    async def _go(self, call: Call, target: str, token: Referral) -> None:
        host = self._calls.host
        call.note("transfer", "asked for by the other side", target)
        # The core tells the one who has asked how the call fares. He may leave when he hears of the answer, or before:
        # RFC 5589 6.1 has him hang up then, and many do so as soon as we have accepted.
        call.transferring = True
        try:
            new = await self._calls.dial(target, referral=token)
            await self._reached(new, call)
        except RingbackError as error:
            call.note("transfer", "failed", str(error))
            call.stays()
            # Where there was a call, this has been said.
            status = error.status if isinstance(error, CallFailed) else 500
            host.core.refer_progress(token, status, reason_phrase(status), host.now())
            host.turn()
            return
        before, old_media = call.session, call.media
        self._calls.follow(new.session, call)
        call.take_over(new, f"to {target} (transferred)")
        try:
            # "the transferor … terminates its session with the transferee" (RFC 5589 6.1); some wait for us instead.
            await asyncio.sleep(LEAVE_SECONDS)
        finally:
            before.hang_up(host.now())
            host.turn()
            await old_media.close()

    async def _reached(self, new: Call, call: Call) -> None:
        """Wait until `new` is answered; it is given up when `call`, which it is to carry on, ends before."""
        answered = asyncio.ensure_future(new.answered())
        over = asyncio.ensure_future(call.ended())
        try:
            await asyncio.wait((answered, over), return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                cause = Cause(487, "the call is over", LOCAL)
                new.end(cause)
                raise CallFailed(cause)
            await answered
        finally:
            over.cancel()
            answered.cancel()
            await asyncio.gather(answered, return_exceptions=True)
