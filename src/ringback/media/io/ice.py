"""The way that connectivity checks find: sockets, STUN servers and TURN relays under one ICE agent.

    path = await IcePath.open(settings, receiver)
    path.parameters                                     what SDP says of ICE
    await path.start(remote, controlling, components)   returns when there is a way for each component
    path.send(component, data)

Every host address has a socket for each component. STUN messages are for the agent, or answers of STUN servers;
everything else that comes is handed up with the component and the source that it is for.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Final, Literal

from ringback.media.backend import MediaError
from ringback.media.candidates import HOST, RELAYED, SERVER_REFLEXIVE, LocalCandidate, candidate_priority, foundation
from ringback.media.demultiplex import STUN, kind
from ringback.media.ice import IceAgent
from ringback.media.ice_events import IceFailed
from ringback.media.ice_servers import IceServer, parse_server
from ringback.media.io.interfaces import host_addresses
from ringback.media.io.path import RTCP_COMPONENT, RTP_COMPONENT, DirectPath, Upward, literal
from ringback.media.io.sockets import Address, MediaSocket, bind_pair
from ringback.media.io.turn import TurnRelay
from ringback.media.reflexive import ReflexiveGathering
from ringback.sdp.ice import IceParameters

__all__ = ["GATHERING", "IcePath", "IceSettings"]

#: Seconds for all servers together; candidates of those that are slower are done without.
GATHERING: Final = 4.0
# Servers of each kind that are asked.
_MOST_SERVERS: Final = 4


@dataclass(frozen=True, slots=True)
class IceSettings:
    """How a path is opened: see TransportOptions, of which this is a part."""

    address: str = ""
    advertised: str = ""
    ports: tuple[int, int] = (16384, 32767)
    single: bool = False
    strict: bool = False
    lite: bool = False
    stun: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()


class IcePath:
    """See the head of this module; made by `open`.

    default      our address that SDP names, by component, for a far end without ICE
    on_failure   called with a MediaError when a way that was found is lost
    checks       STUN messages that have come
    """

    exclusive: bool = True

    def __init__(self, settings: IceSettings, receiver: Upward) -> None:
        self.settings: IceSettings = settings
        self.default: dict[int, Address] = {}
        self.on_failure: Callable[[MediaError], None] | None = None
        self.checks: int = 0
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._receiver: Upward = receiver
        components = 1 if settings.single else 2
        self.agent: IceAgent = IceAgent(octets=secrets.token_bytes, lite=settings.lite, components=components)
        self._gathering: ReflexiveGathering = ReflexiveGathering(secrets.token_bytes)
        self._sockets: dict[Address, tuple[int, MediaSocket]] = {}
        self._relays: dict[Address, tuple[int, TurnRelay]] = {}
        self._preferences: dict[str, int] = {}
        self._gathered: asyncio.Event = asyncio.Event()
        self._connected: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed: bool = False

    @classmethod
    async def open(cls, settings: IceSettings, receiver: Upward) -> IcePath:
        """Bind, and gather candidates. Raises MediaError when no port is free; LocalError for a wrong server URI.

        A server that does not answer is none, after GATHERING seconds.
        """
        servers = [parse_server(uri) for uri in (*settings.stun, *settings.turn)]
        path = cls(settings, receiver)
        try:
            path._bind()
            if servers and not settings.lite:
                await path._ask(servers)
            path._choose_default()
        except BaseException:
            path.close()
            raise
        return path

    @property
    def parameters(self) -> IceParameters:
        """What SDP says of ICE; other credentials after `restart`."""
        return self.agent.parameters

    def direct(self) -> DirectPath:
        """The way to a far end without ICE, on the sockets of the default address; the others are given back."""
        host = next(iter(self._preferences))
        chosen: dict[int, MediaSocket] = {}
        for (address, _), (component, sock) in self._sockets.items():
            if address == host:
                chosen[component] = sock
            else:
                sock.close()
        for _, relay in self._relays.values():
            relay.close()
        self._gathering.stop()
        return DirectPath(chosen[RTP_COMPONENT], chosen.get(RTCP_COMPONENT), strict=self.settings.strict)

    async def start(self, remote: IceParameters, controlling: bool, components: int) -> None:
        """Find a way to the far end, or a new one when its credentials are others. Raises MediaError when there is
        none.
        """
        if self._closed:
            raise MediaError("the transport is closed")
        self.agent.start(remote, controlling, self._loop.time(), components)
        if components == 1:
            self._drop(RTCP_COMPONENT)
        if self.agent.state == "running":
            if self._connected is None or self._connected.done():
                self._connected = self._loop.create_future()
                self._connected.add_done_callback(lambda done: done.cancelled() or done.exception())
        elif self.agent.state == "failed":
            raise MediaError("the connectivity checks have failed; ICE has to be restarted")
        self._turn()
        if self._connected is not None:
            await asyncio.shield(self._connected)

    def restart(self) -> None:
        """Take new credentials (RFC 8445 section 9); media goes on as it did until `start` has found another way."""
        self.agent.restart()
        self._turn()

    # The way, as a transport uses it.

    def send(self, component: int, data: bytes, to: Address | None = None) -> bool:
        selected = self.agent.selected.get(component)
        # Only the selected pair is sent through: nobody else has consented.
        if selected is None or (to is not None and to != selected.remote):
            return False
        return self._send(selected.base, data, selected.remote)

    def admits(self, component: int, source: Address, data: bytes, now: float) -> bool:
        return self.chosen(component, source)

    def chosen(self, component: int, source: Address) -> bool:
        selected = self.agent.selected.get(component)
        if selected is None:
            return False
        if selected.remote == source:
            return True
        return any(self.agent.admits(component, base, source) for base in self._bases_of(component))

    def may_roam(self, component: int, source: Address) -> bool:
        return False

    def authenticated(self, component: int, source: Address) -> None:
        """Nothing moves: checks alone decide where the far end is."""

    def close(self) -> None:
        """Give back sockets and allocations; may be called twice."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for _, sock in self._sockets.values():
            sock.close()
        for _, relay in self._relays.values():
            relay.close()
        self._fail(MediaError("the transport is closed"))

    def sockets(self) -> list[MediaSocket]:
        return [sock for _, sock in self._sockets.values()]

    # Gathering.

    def _bind(self) -> None:
        settings = self.settings
        hosts = [literal(settings.address)] if settings.address else host_addresses()
        failure: MediaError | None = None
        for host in hosts:
            try:
                pair = bind_pair(host, settings.ports, single=settings.single)
            except MediaError as error:
                # An address of an interface that has just gone, say; the first one has to do.
                failure = failure or error
                continue
            # 5.1.2.1: addresses of one host are told apart by their local preference; the first is the best.
            preference = self._preferences[host] = 65535 - 256 * len(self._preferences)
            for component, sock in enumerate(pair, RTP_COMPONENT):
                if sock is not None:
                    self._add_socket(component, sock, preference)
        if not self._sockets:
            raise failure or MediaError("this host has no address")

    def _add_socket(self, component: int, sock: socket.socket, preference: int) -> None:
        media: MediaSocket

        def receive(data: bytes, source: Address, arrival: float) -> None:
            self._datagram(component, media.address, data, source, arrival)

        media = MediaSocket(sock, receive)
        media.start(self._loop)
        self._sockets[media.address] = (component, media)
        self._add(component, HOST, media.address, media.address, preference)

    def _add(
        self,
        component: int,
        kind: Literal["host", "srflx", "relay"],
        address: Address,
        base: Address,
        preference: int,
        related: Address | None = None,
        server: str = "",
    ) -> None:
        priority = candidate_priority(kind, component, preference)
        name = foundation(kind, base[0], server)
        self.agent.add(LocalCandidate(component, kind, address, base, priority, name, related))

    async def _ask(self, servers: Sequence[IceServer]) -> None:
        """Ask STUN servers for our addresses and TURN servers for theirs, all at once."""
        stun = [server for server in servers if server.kind == "stun"][:_MOST_SERVERS]
        turn = [server for server in servers if server.kind == "turn"][:_MOST_SERVERS]
        tasks = [asyncio.ensure_future(self._reflect(server)) for server in stun]
        tasks += [
            asyncio.ensure_future(self._relay(server, component))
            for server in turn
            for component in sorted(self.agent.components)
        ]
        try:
            await asyncio.wait(tasks, timeout=GATHERING)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for found in self._gathering.found:
            component, _ = self._sockets[found.base]
            if found.mapped != found.base:
                preference = self._preferences[found.base[0]]
                self._add(
                    component, SERVER_REFLEXIVE, found.mapped, found.base, preference, found.base, found.server[0]
                )

    async def _reflect(self, server: IceServer) -> None:
        now = self._loop.time()
        for address in await self._resolved(server):
            for base in self._sockets:
                if (":" in base[0]) == (":" in address[0]):
                    self._gathering.ask(base, address, now)
        self._turn()
        while not self._gathering.done:
            self._gathered.clear()
            await self._gathered.wait()

    async def _relay(self, server: IceServer, component: int) -> None:
        for address in (await self._resolved(server))[:2]:
            host = next((host for host in self._preferences if (":" in host) == (":" in address[0])), None)
            if host is None:
                continue
            relay = TurnRelay(server, host, partial(self._datagram, component))
            try:
                await relay.open(address)
            except MediaError:
                relay.close()
                continue
            except BaseException:
                # Not in time.
                relay.close()
                raise
            self._relays[relay.address] = (component, relay)
            preference, mapped = self._preferences[host], relay.client.mapped
            self._add(component, RELAYED, relay.address, relay.address, preference, mapped, server.host)
            return

    async def _resolved(self, server: IceServer) -> list[Address]:
        """The addresses of `server`; none when its name leads nowhere."""
        try:
            found = await self._loop.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
        except OSError:
            return []
        return list(dict.fromkeys((str(address[0]), int(address[1])) for *_, address in found))

    def _choose_default(self) -> None:
        """What SDP names as our address. RFC 8445 section 5.1.4 would have that which works with the most peers: for
        one without ICE that is what the world sees of us.
        """
        host = next(iter(self._preferences))
        for (address, port), (component, _) in self._sockets.items():
            if address == host:
                self.default[component] = (address, port)
        if self.settings.advertised:
            for component, (address, port) in list(self.default.items()):
                told = (literal(self.settings.advertised), port)
                self.default[component] = told
                # RFC 8839 section 3.2.5: the default has to be among the candidates.
                self._add(component, SERVER_REFLEXIVE, told, (address, port), self._preferences[host], (address, port))
        elif ip_address(host).is_private:
            for found in self._gathering.found:
                if found.base[0] == host:
                    component, _ = self._sockets[found.base]
                    self.default[component] = found.mapped

    # Packets.

    def _bases_of(self, component: int) -> list[Address]:
        bases = [address for address, (owner, _) in self._sockets.items() if owner == component]
        return bases + [address for address, (owner, _) in self._relays.items() if owner == component]

    def _send(self, base: Address, data: bytes, to: Address) -> bool:
        if base in self._sockets:
            return self._sockets[base][1].send(data, to)
        relay = self._relays.get(base)
        return relay is not None and relay[1].send(to, data)

    def _datagram(self, component: int, base: Address, data: bytes, source: Address, arrival: float) -> None:
        if self._closed:
            return
        if kind(data) != STUN:
            self._receiver(component, data, source, arrival)
            return
        self.checks += 1
        if self._gathering.receive(data, base, source, arrival):
            if self._gathering.done:
                self._gathered.set()
        else:
            self.agent.receive(data, base, source, arrival)
        self._turn()

    def _turn(self) -> None:
        """Send what is to be sent, tell what has happened, and arm the one timer."""
        if self._closed:
            return
        for base, data, to in self._gathering.take():
            self._send(base, data, to)
        sends, events = self.agent.take()
        for base, data, to in sends:
            self._send(base, data, to)
        for event in events:
            if isinstance(event, IceFailed):
                self._fail(MediaError(event.reason))
            else:
                relay = self._relays.get(event.selected.base)
                if relay is not None:
                    relay[1].bind(event.selected.remote)
                if event.complete:
                    self._gathering.stop()
                    if self._connected is not None and not self._connected.done():
                        self._connected.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        times = [when for when in (self.agent.deadline(), self._gathering.deadline()) if when is not None]
        if times:
            self._timer = self._loop.call_at(min(times), self._expired)

    def _expired(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._gathering.advance(now)
        self.agent.advance(now)
        if self._gathering.done:
            self._gathered.set()
        self._turn()

    def _fail(self, error: MediaError) -> None:
        if self._connected is not None and not self._connected.done():
            self._connected.set_exception(error)
        elif self.on_failure is not None and not self._closed:
            self.on_failure(error)

    def _drop(self, component: int) -> None:
        """`component` is not used: give back what it has."""
        for address in self._bases_of(component):
            if address in self._sockets:
                self._sockets.pop(address)[1].close()
            else:
                self._relays.pop(address)[1].close()
        self.default.pop(component, None)
