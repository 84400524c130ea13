"""A user agent on the wire: its core, the stack below, sockets, connections and DNS, put together.

It answers what the core asks about the world (`Locate`), and tells all else to its owner: `on_event(event)` for each
core event, `on_closed(flow)` when a connection is gone. Both are called within the event loop and must return soon.

    wire = await Wire.open(WireOptions(listen=(Listen("udp:127.0.0.1:5070"),)), on_event, on_closed)
    wire.core.request(…); wire.turn()
    await wire.close(1.0)
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ringback.errors import ConfigurationError, ParseError, RemoteError
from ringback.net.endpoint import Endpoint
from ringback.net.limits import StreamLimits
from ringback.net.nameserver import NameServers
from ringback.net.resolver import Resolver, flow_to
from ringback.net.tls import ClientTls, ServerTls
from ringback.sip.locate import Destination, LocateError, Target
from ringback.sip.route import Self
from ringback.sip.session_events import CoreEvent, Locate
from ringback.sip.stack import Event, Incoming, Stack
from ringback.sip.transport import SECURE, STREAMS, Flow, Listener, bracketed, is_address
from ringback.sip.uri import Uri, parse_uri
from ringback.sip.user_agent import UserAgentCore
from ringback.ua.places import Listen, NoRoute, Places
from ringback.ua.streams import Streams
from ringback.ua.stun import TRANSACTION_OCTETS, Answer, Check, read_answer

__all__ = ["FlowFailed", "Wire", "WireOptions"]

OnEvent = Callable[[CoreEvent], None]
OnClosed = Callable[[Flow], None]
#: Says whether a request may come in at all; what may not is answered with 403.
Admits = Callable[[Incoming], bool]

_FORBIDDEN: Final = 403
_UNREACHABLE: Final = 503
#: For the octets of keep-alives that nobody has promised to answer (RFC 5626 4.4.1).
_CRLF: Final = b"\r\n\r\n"


class FlowFailed(RemoteError):
    """A flow cannot be opened, or leads nowhere any more."""

    def __init__(self, reason: str) -> None:
        super().__init__(_UNREACHABLE, reason)


@dataclass(frozen=True, slots=True)
class WireOptions:
    """What a user agent's sockets are like.

    listen         places that are open from the start; all others are opened when they are needed
    transports     what may be used, most preferred first
    client_tls     how servers prove who they are; None: no TLS
    server_tls     the certificate for places that listen for TLS
    name_servers   (address, port) of DNS servers; None: the system's
    hosts          addresses by name, in place of the system's hosts file; None: that file
    agent          the text of User-Agent
    limits         of stream connections
    """

    listen: Sequence[Listen] = ()
    transports: Sequence[str] = ("UDP", "TCP", "TLS")
    client_tls: ClientTls | None = None
    server_tls: ServerTls | None = None
    name_servers: Sequence[tuple[str, int]] | None = None
    hosts: Mapping[str, Sequence[str]] | None = None
    agent: str = "Ringback"
    limits: StreamLimits | None = None


class Wire:
    """The lower half of one user agent. Make it with `open`, end it with `close`."""

    def __init__(self, options: WireOptions, on_event: OnEvent, on_closed: OnClosed) -> None:
        self._options = options
        self._on_event = on_event
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        # A stack has a place from the start. This one is nobody's: it gives way to the first that is opened.
        nowhere = [Listener("udp:nowhere:0", "UDP", "nowhere.invalid", 9)]
        self.stack = Stack(nowhere, Self([], []), secrets.token_bytes(32), secrets.token_hex(6))
        self.core = UserAgentCore(self.stack, _token, options.agent)
        # Which socket leads to an address is known here, not by the stack: on a machine with several, it matters.
        self.core.tu.locates_addresses = True
        self.transports = tuple(
            name for name in options.transports if name not in SECURE or options.client_tls is not None
        )
        self.resolver = Resolver(NameServers(options.name_servers), supported=self.transports, hosts=options.hosts)
        self.endpoint = Endpoint(self.stack, self._loop, self._incoming, self._no_flows)
        self.endpoint.observer = self._observe
        self.places = Places(self.endpoint, self._stun)
        self.endpoint.sockets = self.places.sockets
        self.streams = Streams(
            on_message=self.endpoint.message,
            on_closed=self._closed,
            on_failed=self.endpoint.undelivered,
            on_malformed=self._malformed,
            limits=options.limits,
            client_tls=options.client_tls,
        )
        self.endpoint.streams = self.streams
        self.admits: Admits | None = None
        self._checks: dict[bytes, tuple[Check, Flow, asyncio.Future[Answer]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._later: asyncio.Handle | None = None
        self._ended = False

    @classmethod
    async def open(cls, options: WireOptions, on_event: OnEvent, on_closed: OnClosed) -> Wire:
        """Open what is to be listened at. Raises ConfigurationError, with nothing left open."""
        wire = cls(options, on_event, on_closed)
        try:
            for place in options.listen:
                await wire._listen(place)
        except BaseException:
            await wire.close(0.0)
            raise
        wire._know_places()
        return wire

    async def _listen(self, place: Listen) -> None:
        if place.transport == "UDP":
            self.places.bind_udp(place.host, place.port)
            return
        tls = self._options.server_tls if place.transport in SECURE else None
        if place.transport in SECURE and tls is None:
            raise ConfigurationError(f"listen: {place} needs a certificate: tls.certificate and tls.key are missing")
        listener = await self.streams.listen(place.transport, place.host, place.port, tls=tls)
        self.places.add_stream(place.transport, listener.host, listener.port)

    async def close(self, drain: float) -> None:
        """Let go of everything; connections get `drain` seconds to send what is queued."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, _, waiting in self._checks.values():
            waiting.cancel()
        await self.streams.close(drain)
        self.places.close()
        await self.endpoint.close()
        await self.resolver.close()
        if self._later is not None:
            self._later.cancel()

    # the turn --------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    def turn(self) -> None:
        """Send what there is to send, and tell what has happened, after what runs now; once, however often asked."""
        if self._later is None and not self._ended:
            self._later = self._loop.call_soon(self._turn)

    def flush(self) -> None:
        """The turn, now: what was said goes out before whoever said it is gone."""
        if not self._ended:
            self._turn()

    def _turn(self) -> None:
        if self._later is not None:
            self._later.cancel()
        self._later = None
        self.endpoint.now = self._loop.time()
        self._deliver()
        self.endpoint.turn()

    def _incoming(self, incoming: Incoming, now: float) -> None:
        request = incoming.request
        if self.admits is not None and not request.to_tag and not self.admits(incoming):
            if incoming.server is not None:
                self.stack.respond(incoming.server, request, _FORBIDDEN, now)
            return
        self.core.handle(incoming, now)
        self._deliver()

    def _observe(self, event: Event) -> None:
        self.core.handle(event, self.endpoint.now)
        self._deliver()

    def _deliver(self) -> None:
        while events := self.core.take():
            for event in events:
                if isinstance(event, Locate):
                    self._locate(event)
                    continue
                try:
                    self._on_event(event)
                except Exception as error:
                    self._loop.call_exception_handler(
                        {"message": f"{type(event).__name__} could not be handled", "exception": error}
                    )

    # where to --------------------------------------------------------------------------------------------------------

    def _locate(self, asked: Locate) -> None:
        """Answer the core: an address at once, a name when DNS has answered."""
        if is_address(asked.uri.parameters.get("maddr") or asked.uri.address):
            try:
                flows = self._flows(self._plain_destinations(asked.uri))
            except LocateError:
                flows = []
            self.core.located(asked.exchange, flows, self._loop.time())
            return
        self._spawn(self._ask(asked), f"locate {asked.uri.host}")

    async def _ask(self, asked: Locate) -> None:
        flows: list[Flow] = []
        try:
            flows = await self.locate(asked.uri)
        except LocateError:
            pass
        finally:
            # Whatever became of the question: who waits for the answer must not wait for ever.
            self.core.located(asked.exchange, flows, self._loop.time())
            self.turn()

    def _plain_destinations(self, uri: Uri) -> list[Destination]:
        """The destinations of a URI with an address in it, for which nobody has to be asked."""
        search = self.resolver.locate(_target(uri))
        try:
            search.send(None)
        except StopIteration as stop:
            found: list[Destination] = stop.value
            return found
        finally:
            search.close()
        return []

    async def locate(self, uri: Uri) -> list[Flow]:
        """Flows to where a SIP URI leads (RFC 3263), in order, each from the place that leads there.

        Raises LocateError when it leads nowhere.
        """
        flows = self._flows(await self.resolver.locate(_target(uri)))
        if not flows:
            raise LocateError(_UNREACHABLE, f"no way to {uri.host} from this machine")
        return flows

    def _flows(self, destinations: Sequence[Destination]) -> list[Flow]:
        flows: list[Flow] = []
        for destination in destinations:
            try:
                self._open_places(destination.host)
                place = self.places.place_for(destination.transport, destination.host)
            except (NoRoute, ConfigurationError):
                # An IPv6 address on a machine without IPv6, say.
                continue
            flows.append(flow_to(destination, place.id))
        return flows

    def _open_places(self, host: str) -> None:
        """Have a place for each transport towards `host`: a request that is too long for a datagram goes by TCP."""
        before = len(self.places.listeners)
        for transport in self.transports:
            self.places.place_for(transport, host)
        if len(self.places.listeners) != before:
            self._know_places()

    def _know_places(self) -> None:
        if self.places.listeners:
            self.stack.layer.listen(self.places.listeners)

    def prepare(self, target: str) -> Flow | None:
        """The flow to a URI with an address in it; places are opened, so that the core finds its way without asking.

        None for names, and for what leads nowhere: the request itself will say so.
        """
        try:
            uri = parse_uri(target)
            if not uri.is_sip or not is_address(uri.parameters.get("maddr") or uri.address):
                return None
            flows = self._flows(self._plain_destinations(uri))
        except (ParseError, LocateError):
            return None
        return flows[0] if flows else None

    def open_towards(self, host: str) -> None:
        """Have places towards an address. Raises NoRoute, and ConfigurationError when no socket can be had."""
        self._open_places(host)

    async def connect(self, flow: Flow) -> Flow:
        """An open flow to the same destination: for a stream that very connection. Raises FlowFailed."""
        if flow.transport not in STREAMS:
            return flow
        try:
            return await self.streams.connect(flow)
        except OSError as error:
            raise FlowFailed(f"no connection to {flow.host}:{flow.port}: {error}") from error

    # who we are ------------------------------------------------------------------------------------------------------

    def contact(self, user: str, flow: Flow, *, secure: bool = False) -> str:
        """The URI at which we are reached by who is at the other end of `flow`; `secure`: a SIPS URI."""
        place = self.stack.layer.listener_for(flow)
        host, port = place.host, place.port
        if flow.transport in STREAMS and not self.places.listens(place):
            # Nobody can connect to us. Many servers find the connection that they have by the address of its far end.
            host, port = self.streams.local_end(flow) or (host, port)
        head = f"{'sips' if secure else 'sip'}:{user}@" if user else f"{'sips' if secure else 'sip'}:"
        tail = "" if secure or flow.transport == "UDP" else f";transport={flow.transport.lower()}"
        return f"{head}{bracketed(host)}:{port}{tail}"

    def contact_at_first(self, user: str) -> str:
        """The URI at which we are reached at the preferred place."""
        place = self.stack.layer.listeners[0]
        return self.contact(user, Flow(place.transport, place.id, place.host, 0))

    def contact_towards(self, user: str, flow: Flow) -> str:
        """The URI at which who is at the other end of `flow` reaches us, when he has to begin: where we listen."""
        place = self.stack.layer.listener_for(flow)
        if not self.places.listens(place) and flow.transport not in SECURE and "UDP" in self.transports:
            place = self.places.place_for("UDP", flow.host)
        return self.contact(user, Flow(place.transport, place.id, flow.host, flow.port))

    def own_place(self, flow: Flow) -> tuple[str, int]:
        """Address and port that a flow leaves from, as far as this machine knows."""
        place = self.stack.layer.listener_for(flow)
        return place.host, place.port

    def is_current(self, flow: Flow) -> bool:
        """Whether the system would still send to the far end of a datagram flow from the same place."""
        try:
            return self.places.place_for(flow.transport, flow.host).id == flow.local
        except (NoRoute, ConfigurationError):
            return False

    # signs of life ---------------------------------------------------------------------------------------------------

    def ping(self, flow: Flow) -> bool:
        """Ask the far end of a connection for a pong: without one it is closed, and `on_closed` told."""
        return self.streams.ping(flow)

    def keep_open(self, flow: Flow) -> None:
        """Send something that means nothing, so that NATs on the way keep the flow open; no answer is expected."""
        if flow.transport == "UDP":
            sock = self.places.sockets.get(flow.local)
            if sock is not None:
                sock.send(_CRLF, flow.host, flow.port)
        else:
            self.streams.send(_CRLF, flow)

    async def check(self, flow: Flow) -> tuple[str, int]:
        """Where the far end of a UDP flow sees us (STUN, RFC 5626 4.4.2). Raises FlowFailed when it is not there."""
        check = Check(os.urandom(TRANSACTION_OCTETS), self.now())
        waiting: asyncio.Future[Answer] = self._loop.create_future()
        self._checks[check.transaction] = (check, flow, waiting)
        try:
            while not waiting.done():
                data = check.advance(self.now())
                if check.failed:
                    raise FlowFailed("no answer to STUN keep-alives")
                sock = self.places.sockets.get(flow.local)
                if data and (sock is None or not sock.send(data, flow.host, flow.port)):
                    raise FlowFailed("the network is not there")
                await asyncio.wait((waiting,), timeout=check.due - self.now())
            answer = waiting.result()
        finally:
            del self._checks[check.transaction]
        if not answer.success:
            raise FlowFailed("the server refuses STUN keep-alives")
        return answer.host, answer.port

    def _stun(self, data: bytes, host: str, port: int) -> None:
        answer = read_answer(data)
        found = self._checks.get(answer.transaction) if answer is not None else None
        if answer is None or found is None:
            return
        check, flow, waiting = found
        if (host, port) == (flow.host, flow.port) and check.take(answer) and not waiting.done():
            waiting.set_result(answer)

    # connections -----------------------------------------------------------------------------------------------------

    def _malformed(self, head: bytes, flow: Flow, error: ParseError) -> None:
        self.stack.refuse(head, flow, error)
        self.endpoint.turn()

    def _closed(self, flow: Flow) -> None:
        if not self._ended:
            self._on_closed(flow)

    async def _no_flows(self, uri: Uri) -> list[Flow]:
        """The stack of a user agent forwards nothing, so it asks nothing."""
        return []

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _target(uri: Uri) -> Target:
    # RFC 3263 section 4: "We define TARGET as the value of the maddr parameter of the URI, if present, otherwise, the
    # host value of the hostport component of the URI."
    return Target(uri.scheme, uri.parameters.get("maddr") or uri.host, uri.port, uri.transport)


def _token() -> str:
    return secrets.token_hex(16)
