"""`UserAgent`: a phone, a bot or a gateway, from start to end.

    async with UserAgent("sip:alice@example.org", password="…") as alice:      registered
        async with alice.call("sip:bob@example.org") as call:                   answered
            …
        print((await alice.options("sip:bob@example.org")).text())
        async for call in alice.calls():
            …

It owns its sockets, its tasks and its calls; when the block ends, calls are hung up, the registration is taken back,
and nothing is left, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, cast

from ringback.errors import LocalError
from ringback.media.backend import MediaBackend, MediaPreferences
from ringback.media.io.backend import InProcessMedia
from ringback.sip.description import DESCRIPTION
from ringback.sip.exchange import route_of
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Headers, Response, build_request
from ringback.sip.profile import Profile
from ringback.sip.session_events import Completed, CoreEvent, Requested
from ringback.sip.stack import Incoming
from ringback.sip.transport import SECURE, Flow, is_address
from ringback.sip.uri import parse_uri
from ringback.sip.user_agent import UserAgentCore
from ringback.ua.account import Account
from ringback.ua.call import Call
from ringback.ua.calls import Calls, Dialing, Handler
from ringback.ua.capabilities import Capabilities, read_capabilities
from ringback.ua.incoming import IncomingRequests, RequestHandler
from ringback.ua.instance import Instance
from ringback.ua.places import Listen, NoRoute, local_address
from ringback.ua.registration import RegistrationChange, RegistrationFailed, Registrations
from ringback.ua.requests import RequestFailed, Requests, failure
from ringback.ua.wire import Wire, WireOptions

__all__ = ["RegistrationFailed", "RequestFailed", "UserAgent"]

#: Seconds that the other sides get to confirm the end of calls, and the registrar that of the registration.
FAREWELL: Final = 4.0
#: Seconds that connections get to send what is queued, at the end.
_LINGER: Final = 1.0


class UserAgent:
    """One user agent.

    account     an `Account`, or an address with the options of `Account`: password, registrar, proxies, transport …
    media       where media happens; None: in this process
    farewell    seconds that others get at the end to confirm it
    name_servers, hosts   as in `WireOptions`: for networks of one's own
    software    what User-Agent says

    Raises ConfigurationError, with a line for each mistake, when it is made.
    """

    def __init__(
        self,
        account: Account | str,
        password: str | None = None,
        *,
        media: MediaBackend | None = None,
        farewell: float = FAREWELL,
        name_servers: Sequence[tuple[str, int]] | None = None,
        hosts: Mapping[str, Sequence[str]] | None = None,
        software: str = "Ringback",
        **options: Any,
    ) -> None:
        if password is not None:
            options["password"] = password
        if isinstance(account, Account):
            if options:
                raise LocalError(f"an account has its own {', '.join(options)}")
            self.account = account
        else:
            self.account = Account.of(account, **options)
        self._wire_options = WireOptions(
            listen=tuple(Listen(place) for place in self.account.listen),
            client_tls=self.account.tls.client(),
            server_tls=self.account.tls.server(),
            name_servers=name_servers,
            hosts=hosts,
            agent=software,
        )
        self._own_media = media is None
        self._media: MediaBackend = InProcessMedia() if media is None else media
        self._farewell = farewell
        self._resources = AsyncExitStack()
        self._tasks: set[asyncio.Task[None]] = set()
        self._incoming = IncomingRequests(self)
        self._wire: Wire | None = None
        self._calls = Calls(_Host(self), transfers=self.account.transfers)
        self.registration: Registrations | None = None

    # life ------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> UserAgent:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Open sockets, and register when the account does.

        Raises ConfigurationError when an address can not be had, and RegistrationFailed; nothing is left open then.
        """
        if self._wire is not None:
            raise LocalError("a user agent is opened once")
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise

    async def _open(self) -> None:
        account = self.account
        instance = self._instance()
        self._resources.callback(instance.close)
        self._wire = wire = await Wire.open(self._wire_options, self._told, self._flow_closed)
        self._resources.push_async_callback(wire.close, _LINGER)
        if self._own_media and isinstance(self._media, InProcessMedia):
            self._resources.push_async_callback(self._media.close)
        self._resources.push_async_callback(self._end_tasks)
        self._requests = Requests(wire)
        self._login = None
        found = account.credentials()
        credentials = None
        if found is not None:
            credentials, self._login = found
        self.profile = Profile(
            account.address if "<" in account.address else f"<{account.address}>",
            self._own_contact(),
            self._fallback_routes(),
            None,
            credentials,
            account.session_expires,
            account.min_se,
            account.reliable,
            account.privacy,
            "",
            account.trusted,
            account.follow,
        )
        core = wire.core
        core.profiles.append(self.profile)
        # Trunks send calls to the number that was dialled, and people call addresses without a user.
        core.default = self.profile
        self._incoming.opened(core)
        if account.accept == "servers":
            wire.admits = self._admits
        if account.registers:
            await self._register(wire, instance)
        self._resources.push_async_callback(self._calls.close, self._farewell)

    def _fallback_routes(self) -> list[str]:
        """The Route without a registration: through the first server that the account names, if it names one."""
        account = self.account
        return [route_of(account.hops[0].text)] if account.proxies or account.registrar else []

    def _instance(self) -> Instance:
        account = self.account
        if account.instance or account.instances is None:
            return Instance(account.instance)
        return Instance.kept(account.instances, account.uri.aor())

    async def _register(self, wire: Wire, instance: Instance) -> None:
        account = self.account
        aor = self.profile.aor

        def make_profile() -> Profile:
            return Profile(aor, self.profile.contact, credentials=self.profile.credentials)

        registrations = Registrations(
            wire, self._requests, account, make_profile, self._login, instance.urn, self._registration_changed
        )
        self._resources.push_async_callback(registrations.stop, self._farewell)
        self.registration = registrations
        registrations.start()
        await registrations.first()

    async def close(self) -> None:
        """End everything: calls, the registration, tasks, sockets. May be called twice."""
        self._incoming.ending = True
        if self._wire is not None:
            # Whatever happens to who waits for the rest: the other sides of our calls are told.
            self._calls.end_all()
            self._wire.flush()
        await self._resources.aclose()

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # who we are ------------------------------------------------------------------------------------------------------

    @property
    def wire(self) -> Wire:
        """Its sockets and what is below. Raises LocalError before it is open."""
        if self._wire is None:
            raise LocalError("the user agent is not open: `async with` opens it")
        return self._wire

    @property
    def core(self) -> UserAgentCore:
        """Its signalling."""
        return self.wire.core

    @property
    def media(self) -> MediaBackend:
        """Where media happens."""
        return self._media

    @property
    def uri(self) -> str:
        """Its address of record."""
        return self.account.uri.text

    @property
    def contact(self) -> str:
        """Where it is reached: a GRUU, or the address of a socket."""
        return self.profile.contact

    @property
    def is_registered(self) -> bool:
        """Whether it is registered now."""
        return self.registration is not None and self.registration.is_registered

    async def changes(self) -> AsyncIterator[RegistrationChange]:
        """How the registration stands, and each change of it, until the agent ends."""
        if self.registration is not None:
            async with aclosing(self.registration.changes()) as changes:
                async for change in changes:
                    yield change

    def _own_contact(self) -> str:
        """Where we are reached until a registration or a call says otherwise."""
        wire = self.wire
        user = self.account.uri.user
        if not wire.places.listeners and not self.account.registers:
            # The address of this machine on its default route, or loopback: documentation addresses lead nowhere.
            for host in ("192.0.2.1", "2001:db8::1", "127.0.0.1"):
                try:
                    wire.open_towards(host)
                    break
                except NoRoute:
                    continue
        return wire.contact_at_first(user)

    def _registration_changed(self) -> None:
        """Go by what was learnt: the flow, the GRUU and the routes."""
        registrations = self.registration
        current = registrations.current if registrations is not None else None
        profile = self.profile
        profile.flow = current.flow if current is not None else None
        grant = current.it.grant if current is not None else None
        if current is None or grant is None:
            profile.routes = self._fallback_routes()
            return
        profile.routes = self.account.routes_by(current.server) + grant.service_route
        if self._login is not None:
            # RFC 3608: the home domain's own proxies, which may ask with 407.
            self._login.hosts |= {parse_name_addr(route).uri.address for route in grant.service_route}
        contact = current.it.contact.text
        # RFC 5627 4.4: "A UA SHOULD use a GRUU when populating the Contact header field of dialog-forming and target
        # refresh requests and responses." RFC 5626 4.3: "If the UAC is not using such a GRUU, then the UAC adds an 'ob'
        # parameter to its Contact header field value."
        profile.contact = grant.public_gruu or (f"{contact};ob" if grant.outbound else contact)

    def _face(self, target: str) -> None:
        """Without a registration: show the address that the other side can answer to."""
        wire = self.wire
        if self.registration is None:
            flow = wire.prepare(self.account.proxies[0] if self.account.proxies else target)
            if flow is not None:
                self.profile.contact = wire.contact_towards(self.account.uri.user, flow)

    # what others are asked -------------------------------------------------------------------------------------------

    async def request(
        self, method: str, target: str, headers: Headers | None = None, body: bytes = b"", content_type: str = ""
    ) -> Response:
        """Send a request outside of any dialog; its final response, whatever the status.

        Challenges, failover and 503 are seen to. Raises RequestFailed when no response came (408, 503), LocalError or
        ParseError for what cannot be sent.
        """
        uri = self.account.target(target)
        self._face(uri)
        given = list(headers or [])
        if content_type:
            given.append(("Content-Type", content_type))
        completed = await self._requests.ask(build_request(method, uri, given, body), self.profile)
        if completed.response is None:
            raise failure(completed)
        return completed.response

    async def options(self, target: str, headers: Headers | None = None) -> Capabilities:
        """What the other side can do (OPTIONS), whatever the status. Raises as `request`."""
        begun = self.now()
        response = await self.request("OPTIONS", target, [("Accept", DESCRIPTION), *(headers or [])])
        return read_capabilities(response, self.now() - begun)

    async def message(self, target: str, text: str) -> None:
        """Send a page-mode message (RFC 3428). Raises RequestFailed when it was not accepted."""
        response = await self.request(
            "MESSAGE", target, body=text.encode("utf-8"), content_type="text/plain;charset=UTF-8"
        )
        if response.status >= 300:
            raise RequestFailed(response.status, response.reason, response)

    # calls -----------------------------------------------------------------------------------------------------------

    def call(
        self, target: str, headers: Headers | None = None, preferences: MediaPreferences | None = None
    ) -> Dialing:
        """Call somebody: `call = await agent.call(uri)`, or `async with agent.call(uri) as call`.

        Raises ParseError for what cannot be called; awaiting it raises CallFailed.
        """
        uri = self.account.target(target)
        self._face(uri)
        return Dialing(self._calls, uri, headers or [], preferences)

    async def dial(
        self, target: str, headers: Headers | None = None, preferences: MediaPreferences | None = None
    ) -> Call:
        """Call somebody: the call as soon as it is on its way; `call.answered()` waits for more."""
        uri = self.account.target(target)
        self._face(uri)
        return await self._calls.dial(uri, headers, preferences)

    async def calls(self) -> AsyncIterator[Call]:
        """The calls that come in, one at a time; until somebody iterates, callers hear 480."""
        self._incoming.takers += 1
        try:
            async with aclosing(cast(AsyncGenerator[Call, None], self._calls.take())) as calls:
                async for call in calls:
                    yield call
        finally:
            self._incoming.takers -= 1

    async def serve(self, handler: Handler) -> None:
        """Give each call that comes in to `handler`, in a task of its own, until the agent is closed."""
        self._incoming.takers += 1
        try:
            await self._calls.serve(handler)
        finally:
            self._incoming.takers -= 1

    @property
    def running(self) -> Sequence[Call]:
        """The calls that have not ended."""
        return self._calls.running

    # what others ask -------------------------------------------------------------------------------------------------

    def handle(self, method: str, handler: RequestHandler | None) -> None:
        """Have requests of a method that is about no call, such as MESSAGE, handled; None: refused again.

        The handler is a coroutine function and answers with `Received.respond`; without an answer, 200 is sent.
        """
        self._incoming.handle(method, handler)

    def _told(self, event: CoreEvent) -> None:
        """What the core tells."""
        if isinstance(event, Completed) and self._requests.completed(event):
            return
        if self._calls.handle(event):
            return
        if isinstance(event, Requested):
            self._incoming.requested(event)

    def _admits(self, incoming: Incoming) -> bool:
        """Whether a request that begins something comes from where we registered."""
        if self.registration is None:
            return True
        flows = [own.flow for own in self.registration.flows if own.flow is not None]
        return any(flow.host == incoming.flow.host for flow in flows)

    def _flow_closed(self, flow: Flow) -> None:
        if self.registration is not None:
            self.registration.closed(flow)

    # for its parts ---------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The loop's clock."""
        return asyncio.get_running_loop().time()

    def turn(self) -> None:
        """Send what there is to send, and tell what has happened, after what runs now."""
        self.wire.turn()

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run this as a task of the agent's: its errors are reported, and it ends with the agent."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{task.get_name()} has failed", "exception": error, "task": task}
            )

    def preferences_for(self, target: str) -> MediaPreferences:
        """What calls to and from a SIP URI may use; the local address is that towards it.

        Keys in SDP (SDES) are offered only where signalling is protected.
        """
        preferences = self.account.media_preferences()
        flow = self.profile.flow
        host, secure = "", False
        if flow is not None:
            host, secure = flow.host, flow.transport in SECURE
        elif target:
            uri = parse_uri(target)
            host = uri.address if is_address(uri.address) else ""
            secure = uri.scheme == "sips" or uri.transport in SECURE
        try:
            local = local_address(host) if host else parse_uri(self.profile.contact).address
        except NoRoute:
            local = ""
        keying = tuple(way for way in preferences.keying if way != "sdes" or secure)
        return replace(preferences, address=local if is_address(local) else "", keying=keying)


class _Host:
    """The agent, as its calls see it (`ringback.ua.host.Host`)."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self.now = agent.now
        self.turn = agent.turn
        self.spawn = agent.spawn
        self.preferences_for = agent.preferences_for

    @property
    def core(self) -> UserAgentCore:
        return self._agent.core

    @property
    def profile(self) -> Profile:
        return self._agent.profile

    @property
    def media(self) -> MediaBackend:
        return self._agent.media

    @property
    def calls(self) -> Calls:
        return self._agent._calls
