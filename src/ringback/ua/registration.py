"""Keeping an account registered: flows to its servers, refreshes, keep-alives, and the end (RFC 3261 10.2, RFC 5626).

What is sent and when is decided by `sip.registration`; here are the flows that it goes over and the clock. Each server
of the account (its outbound proxies, or its registrar) gets a flow and a registration of its own, kept by one task.

    registrations.start()
    await registrations.first()                 returns when one flow is registered; raises RegistrationFailed
    async for change in registrations.changes(): …
    await registrations.stop(5.0)               takes all back; waits at most so long
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from ringback.errors import RemoteError
from ringback.sip.digest_client import Login
from ringback.sip.grant import Grant
from ringback.sip.locate import LocateError
from ringback.sip.message import Request
from ringback.sip.profile import Profile
from ringback.sip.registration import OFF, REGISTERED, Registration
from ringback.sip.session_events import Completed
from ringback.sip.transport import STREAMS, Flow
from ringback.sip.uri import Uri
from ringback.ua.account import Account
from ringback.ua.requests import Requests
from ringback.ua.wire import FlowFailed, Wire

__all__ = ["FlowRegistration", "RegistrationChange", "RegistrationFailed", "Registrations"]

_UNAVAILABLE: Final = 503
_TIMEOUT: Final = 408
#: Changes that wait for who iterates over them; the oldest go first.
_MOST_CHANGES: Final = 64
#: Seconds after a ping by which its pong has come, or the connection is closed.
_PONG: Final = 10.5


class RegistrationFailed(RemoteError):
    """The account could not be registered; `status` and `reason` are those of the registrar, or say why none came."""


@dataclass(frozen=True, slots=True)
class RegistrationChange:
    """What has become of the registration over one flow.

    server   the URI of the server
    state    "registering", "registered", "waiting", "refused", "ending" or "off" (see `ringback.sip.registration`)
    status   the SIP status behind it, 0 for none; reason: in words
    contact  the URI under which the server has us
    expires  seconds for which it was granted, 0 when it is not
    retry    seconds until the next attempt, 0 when there is none or it is registered
    """

    server: str
    state: str
    status: int
    reason: str
    contact: str
    expires: int
    retry: float


class FlowRegistration:
    """The registration at one server, over one flow, and the task that keeps it.

    server  where it is sent
    flow    what it is sent over, None while there is none
    it      what is decided
    """

    def __init__(
        self,
        wire: Wire,
        requests: Requests,
        account: Account,
        server: Uri,
        profile: Profile,
        login: Login | None,
        instance: str,
        reg_id: int,
        told: Callable[[FlowRegistration], None],
        others: Callable[[FlowRegistration], bool],
    ) -> None:
        """`told` is called after each change; `others` says whether another flow works, so that there is no hurry."""
        self.server = server
        self.flow: Flow | None = None
        self.it = Registration(
            account.uri.text,
            account.registrar_uri.text,
            # Nobody is told of it: the flow will say what the contact is.
            wire.contact(account.uri.user, Flow("UDP", "", "", 0)),
            secrets.token_hex(16),
            secrets.token_hex(8),
            display=account.name_addr.display,
            instance=instance,
            reg_id=reg_id,
            expires=account.expires,
            rewrite=account.rewrite_contact,
        )
        self.tried = asyncio.Event()
        self._wire = wire
        self._requests = requests
        self._account = account
        self._profile = profile
        self._login = login
        self._told = told
        self._others = others
        self._why = ""
        self._base = ""
        self._wake = asyncio.Event()
        self._busy = False
        self._keeper: asyncio.Task[None] | None = None
        self._mapped: tuple[str, int] | None = None

    # what happens outside ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Register, and stay registered."""
        self.it.start(self._wire.now())
        self._wake.set()

    def stop(self) -> None:
        """Take it back."""
        self.it.stop(self._wire.now())
        self._wake.set()

    def closed(self, flow: Flow) -> None:
        """A connection is gone."""
        if self.flow is not None and self.flow.connection == flow.connection and flow.connection:
            self._lost("the connection is gone")

    def _lost(self, reason: str) -> None:
        """The flow is dead (RFC 5626 4.5)."""
        self.flow = None
        self._mapped = None
        if self._keeper is not None and self._keeper is not asyncio.current_task():
            self._keeper.cancel()
        if not self._busy:
            # A request on its way is told by its own means.
            self.it.lost(self._wire.now(), random.random(), self._others(self))
            self.it.reason = reason
            self._told(self)
        self._wake.set()

    # the task ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep it, until it was stopped and is off."""
        try:
            while self.it.wanted or self.it.state != OFF:
                await self._sleep()
                deadline = self.it.deadline()
                if deadline is not None and deadline <= self._wire.now():
                    await self._register()
        finally:
            await self._stop_keeper()

    async def _sleep(self) -> None:
        """Until something is due, or has changed."""
        deadline = self.it.deadline()
        delay = None if deadline is None else max(0.0, deadline - self._wire.now())
        try:
            async with asyncio.timeout(delay):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _register(self) -> None:
        """One REGISTER and what follows at once, at the first destination that answers."""
        self._busy = True
        try:
            await self._attempt()
        finally:
            self._busy = False
            self.tried.set()
        self._told(self)
        await self._stop_keeper()
        if self.flow is not None and self.it.is_registered:
            self._keeper = asyncio.get_running_loop().create_task(self._keep_alive(self.flow), name="keep-alive")

    async def _attempt(self) -> None:
        """Try the flow that there is, then where the server is now, until one answers with anything but 503."""
        it, wire = self.it, self._wire
        if it.state == REGISTERED and wire.now() < it.due:
            # The binding has ended before the next attempt is due.
            it.advance(wire.now())
            return
        completed: Completed | None = None
        self._why = ""
        # Those that have had their chance; a connection that broke has not, another one to the same server may hold.
        failed: set[tuple[str, str, int, str]] = set()
        async with aclosing(self._candidates(failed)) as candidates:
            async for flow in candidates:
                try:
                    await self._use(flow)
                except FlowFailed as error:
                    self._why = error.reason
                    continue
                if completed is None:
                    request = it.advance(wire.now())
                else:
                    request = it.elsewhere(it.contact.text, wire.now(), completed.exchange.request.cseq.number)
                if request is None:
                    # It was stopped meanwhile.
                    return
                self._told(self)
                completed = await self._send(request)
                if completed.response is not None and completed.status != _UNAVAILABLE:
                    break
                broken = completed.response is None and completed.status == _UNAVAILABLE
                if not (broken and flow.transport in STREAMS):
                    failed.add(_destination(flow))
        if completed is not None:
            if completed.response is None:
                self.flow = None
            await self._answered(completed)
        elif it.advance(wire.now()) is not None:
            self.flow = None
            it.unanswered(_UNAVAILABLE, wire.now(), random.random(), self._others(self), self._why)

    async def _candidates(self, failed: set[tuple[str, str, int, str]]) -> AsyncGenerator[Flow, None]:
        kept = self.flow
        if kept is not None and self._stands(kept):
            yield kept
        try:
            flows = await self._wire.locate(self.server)
        except LocateError as error:
            self._why = error.reason
            return
        for flow in flows:
            if _destination(flow) not in failed:
                yield flow

    def _stands(self, flow: Flow) -> bool:
        """Whether a flow still leaves from the address that leads to its far end."""
        return flow.transport in STREAMS or self._wire.is_current(flow)

    async def _use(self, flow: Flow) -> None:
        """Have this flow be ours. Raises FlowFailed."""
        if flow is not self.flow:
            self.flow = None
            flow = await self._wire.connect(flow)
            self.flow = flow
            self._mapped = None
            if self._login is not None:
                # Who we were led to may ask with 407, which is by the next hop.
                self._login.hosts |= {flow.host}
        self._profile.flow = flow
        account = self._account
        contact = self._wire.contact(account.uri.user, flow, secure=account.uri.scheme == "sips")
        if contact != self._base:
            # Else it stays what it was rewritten to.
            self._base = contact
            self.it.move(contact, self._wire.now())

    async def _send(self, request: Request) -> Completed:
        for route in reversed(self._account.routes_by(self.server)):
            request.prepend("Route", route)
        return await self._requests.ask(request, self._profile)

    async def _answered(self, completed: Completed) -> None:
        """Tell what came back, and send what is wanted at once in its place."""
        it, wire = self.it, self._wire
        following: Request | None = None
        while True:
            if completed.response is not None:
                following = it.answered(completed.response, wire.now(), random.random(), self._others(self))
            else:
                cseq = completed.exchange.request.cseq.number
                following = it.unanswered(completed.status, wire.now(), random.random(), self._others(self), "", cseq)
            if following is None:
                return
            completed = await self._send(following)

    # signs of life ----------------------------------------------------------------------------------------------------

    async def _keep_alive(self, flow: Flow) -> None:
        """Keep a flow open, and find out when it is dead (RFC 5626 4.4)."""
        grant = self.it.grant
        stream = flow.transport in STREAMS
        if grant is None:
            return
        wait = 0.0 if grant.outbound else self.it.keep_alive(stream, random.random())
        while True:
            await asyncio.sleep(wait)
            begun = self._wire.now()
            try:
                await self._show_life(flow, grant, stream)
            except FlowFailed as error:
                if self.flow is flow:
                    self._lost(error.reason)
                return
            # Waiting for the answer is part of the interval.
            wait = self.it.keep_alive(stream, random.random()) + begun - self._wire.now()

    async def _show_life(self, flow: Flow, grant: Grant, stream: bool) -> None:
        wire = self._wire
        if stream and grant.outbound:
            if not wire.ping(flow):
                raise FlowFailed("the connection is gone")
            # Without a pong it is closed, and `closed` is called.
            await asyncio.sleep(_PONG)
            if self.flow is flow:
                self.it.proved()
        elif stream:
            # 4.4: a UA "can 'always' send a double CRLF …. However a UA that did not register using outbound
            # registration cannot expect a CRLF in response".
            wire.keep_open(flow)
        elif not wire.is_current(flow):
            raise FlowFailed("the local address has changed")
        elif grant.outbound:
            mapped = await wire.check(flow)
            if self._mapped not in (None, mapped):
                # "If the XOR-MAPPED-ADDRESS in the STUN Binding Response changes, the UA MUST treat this event as a
                # failure on the flow."
                raise FlowFailed("a NAT has given us another address")
            self._mapped = mapped
            self.it.proved()
        elif (grant.seen_host, grant.seen_port) != wire.own_place(flow):
            # No NAT, nothing to keep open.
            wire.keep_open(flow)

    async def _stop_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper is not asyncio.current_task():
            keeper.cancel()
            await asyncio.wait((keeper,))

    def change(self) -> RegistrationChange:
        """How it stands."""
        it = self.it
        granted = it.grant.expires if it.grant is not None and it.is_registered else 0
        retry = max(0.0, it.due - self._wire.now()) if it.due >= 0.0 and not it.is_registered else 0.0
        return RegistrationChange(self.server.text, it.state, it.status, it.reason, it.contact.text, granted, retry)


class Registrations:
    """All registrations of one account.

    flows       one for each server, the preferred one first
    on_change   called after each change; the agent takes over what was learnt
    """

    def __init__(
        self,
        wire: Wire,
        requests: Requests,
        account: Account,
        make_profile: Callable[[], Profile],
        login: Login | None,
        instance: str,
        on_change: Callable[[], None],
    ) -> None:
        self.flows: Sequence[FlowRegistration] = [
            FlowRegistration(
                wire,
                requests,
                account,
                server,
                make_profile(),
                login,
                instance,
                # RFC 5626 4.2.1: "MUST be exactly the same sequence of reg-id values each time the UA instance power
                # cycles or reboots".
                position if account.outbound else 0,
                self._told,
                self._others_work,
            )
            for position, server in enumerate(account.hops, 1)
        ]
        self._on_change = on_change
        self._tasks: list[asyncio.Task[None]] = []
        self._listeners: list[asyncio.Queue[RegistrationChange | None]] = []
        self._stopped = False

    @property
    def current(self) -> FlowRegistration | None:
        """The flow by which requests go: the first that is registered; None when none is."""
        return next((flow for flow in self.flows if flow.flow is not None and flow.it.is_registered), None)

    @property
    def is_registered(self) -> bool:
        """Whether the account can be reached."""
        return any(flow.it.is_registered for flow in self.flows)

    @property
    def state(self) -> Sequence[RegistrationChange]:
        """How each registration stands."""
        return [flow.change() for flow in self.flows]

    def start(self) -> None:
        """Begin."""
        loop = asyncio.get_running_loop()
        for flow in self.flows:
            flow.start()
            task = loop.create_task(flow.run(), name=f"registration at {flow.server}")
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a registration could not be kept", "exception": error}
            )

    async def first(self) -> None:
        """Wait until one flow is registered. Raises RegistrationFailed when all have failed at their first attempt."""
        waiting = {asyncio.ensure_future(flow.tried.wait()) for flow in self.flows}
        try:
            while waiting and not self.is_registered:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        if not self.is_registered:
            it = self.flows[0].it
            raise RegistrationFailed(it.status or _TIMEOUT, it.reason)

    def renew(self) -> None:
        """Register again at once: the network may have changed, or what stood in the way is gone."""
        for flow in self.flows:
            flow.start()

    def closed(self, flow: Flow) -> None:
        """A connection is gone."""
        for registration in self.flows:
            registration.closed(flow)

    async def stop(self, seconds: float) -> None:
        """Take all back, and wait for that at most so long; afterwards nothing is left running."""
        for flow in self.flows:
            flow.stop()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=seconds)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._stopped = True
            for queue in self._listeners:
                _put(queue, None)

    async def changes(self) -> AsyncGenerator[RegistrationChange, None]:
        """How it stands, and then each change, until the end. Who is slow misses the oldest."""
        queue: asyncio.Queue[RegistrationChange | None] = asyncio.Queue(_MOST_CHANGES)
        self._listeners.append(queue)
        try:
            for change in self.state:
                yield change
            while not self._stopped or not queue.empty():
                change_or_end = await queue.get()
                if change_or_end is None:
                    return
                yield change_or_end
        finally:
            self._listeners.remove(queue)

    def _told(self, flow: FlowRegistration) -> None:
        self._on_change()
        change = flow.change()
        for queue in self._listeners:
            _put(queue, change)

    def _others_work(self, flow: FlowRegistration) -> bool:
        return any(other.it.is_registered for other in self.flows if other is not flow)


def _put(queue: asyncio.Queue[RegistrationChange | None], change: RegistrationChange | None) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(change)



def _destination(flow: Flow) -> tuple[str, str, int, str]:
    """What a flow leads to, whichever connection it is."""
    return (flow.transport, flow.host, flow.port, flow.name)
