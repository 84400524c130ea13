"""A network on a virtual clock: hosts, NATs of three kinds, delay, loss, disorder; ICE agents that live in it.

A relayed address is a host on the open network that only lets in whom its owner has sent to, as a TURN server does.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Literal

from ringback.media.candidates import (
    HOST,
    RELAYED,
    SERVER_REFLEXIVE,
    LocalCandidate,
    candidate_priority,
    foundation,
)
from ringback.media.ice import IceAgent
from ringback.media.ice_events import IceEvent, IceFailed, IceSelected
from ringback.media.stun import Address

Kind = Literal["full cone", "port restricted", "symmetric"]
STUN_SERVER: Address = ("203.0.113.3", 3478)
Deliver = Callable[[bytes, Address, Address], None]


class Nat:
    """A NAT with one public address."""

    def __init__(self, public: str, kind: Kind) -> None:
        self.public = public
        self.kind = kind
        self._port = 30000
        # (inner, where to if that matters) → outer port; outer port → inner, and who may send to it.
        self._outer: dict[tuple[Address, Address | None], int] = {}
        self._inner: dict[int, Address] = {}
        self._allowed: dict[int, set[Address]] = {}

    def outward(self, inner: Address, to: Address) -> Address:
        key = (inner, to if self.kind == "symmetric" else None)
        if key not in self._outer:
            self._port += 1
            self._outer[key] = self._port
            self._inner[self._port] = inner
        port = self._outer[key]
        self._allowed.setdefault(port, set()).add(to)
        return (self.public, port)

    def inward(self, source: Address, port: int) -> Address | None:
        """Where a packet from outside goes; None: nowhere."""
        inner = self._inner.get(port)
        if inner is None or (self.kind != "full cone" and source not in self._allowed[port]):
            return None
        return inner


class Network:
    """Carries datagrams; `run` turns the clock."""

    def __init__(self, seed: int = 1, loss: float = 0.0, delay: tuple[float, float] = (0.01, 0.03)) -> None:
        self.now = 100.0
        self.chance = random.Random(seed)
        self.loss = loss
        self.delay = delay
        self.nodes: list[Node] = []
        self.nats: dict[str, Nat] = {}
        self.carried = 0
        # Everything on the wire, as (time, source as sent, destination, octets).
        self.log: list[tuple[float, Address, Address, bytes]] = []
        self._hosts: dict[Address, tuple[Node, Nat | None]] = {}
        self._relays: dict[Address, set[str]] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def host(self, node: Node, address: Address, nat: Nat | None) -> None:
        self._hosts[address] = (node, nat)
        if nat is not None:
            self.nats[nat.public] = nat

    def relay(self, node: Node, address: Address) -> None:
        self._hosts[address] = (node, None)
        self._relays[address] = set()

    def mapped(self, address: Address, server: Address = STUN_SERVER) -> Address:
        """What a STUN server says of `address`."""
        _, nat = self._hosts[address]
        return address if nat is None else nat.outward(address, server)

    def send(self, base: Address, data: bytes, to: Address) -> None:
        self.log.append((self.now, base, to, data))
        _, nat = self._hosts[base]
        neighbour = to in self._hosts and self._hosts[to][1] is nat
        source = base if nat is None or neighbour else nat.outward(base, to)
        if base in self._relays:
            self._relays[base].add(to[0])
        if self.chance.random() < self.loss:
            return
        self._at(self.now + self.chance.uniform(*self.delay), lambda: self._arrive(nat, source, data, to))

    def forge(self, source: Address, data: bytes, to: Address) -> None:
        """Deliver a datagram whose source address is a lie."""
        self._at(self.now, lambda: self._arrive(None, source, data, to))

    def _arrive(self, came_through: Nat | None, source: Address, data: bytes, to: Address) -> None:
        nat = self.nats.get(to[0])
        if nat is not None:
            inner = nat.inward(source, to[1])
            if inner is None:
                return
            to = inner
        elif to in self._hosts and self._hosts[to][1] not in (None, came_through):
            # A private address behind another NAT than the sender's.
            return
        if to in self._relays and source[0] not in self._relays[to]:
            return
        if to in self._hosts:
            self.carried += 1
            node, _ = self._hosts[to]
            if data == b"media":
                node.heard += 1
            else:
                node.agent.receive(data, to, source, self.now)
                node.turn()

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (when, self._count, what))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> float:
        """Turn the clock on by `seconds`, or until something is so; gives the seconds that have passed."""
        began = self.now
        end = self.now + seconds
        for node in self.nodes:
            node.turn()
        for _ in range(1_000_000):
            if until():
                return self.now - began
            deadlines = [when for node in self.nodes if (when := node.agent.deadline()) is not None]
            following = min([*deadlines, *([self._queue[0][0]] if self._queue else [])], default=end + 1)
            if following > end:
                self.now = end
                return seconds
            self.now = max(self.now, following)
            while self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            for node in self.nodes:
                node.agent.advance(self.now)
                node.turn()
        raise AssertionError("the clock stands still: an agent wants to be woken at once, for ever")


class Node:
    """An agent with its addresses."""

    def __init__(self, network: Network, *, controlling: bool, lite: bool = False, components: int = 1) -> None:
        self.network = network
        self.components = components
        self.agent = IceAgent(
            octets=network.chance.randbytes, controlling=controlling, lite=lite, components=components
        )
        self.events: list[IceEvent] = []
        self.heard = 0
        network.nodes.append(self)

    def add_host(self, host: str, port: int = 4000, nat: Nat | None = None, preference: int = 65535) -> None:
        """A host candidate for each component, and the reflexive ones if a NAT stands before it."""
        for component in range(1, self.components + 1):
            address = (host, port + component - 1)
            self.network.host(self, address, nat)
            self._add(component, HOST, address, address, preference)
            mapped = self.network.mapped(address)
            if mapped != address:
                self._add(component, SERVER_REFLEXIVE, mapped, address, preference)

    def add_relay(self, host: str, port: int = 50000) -> None:
        for component in range(1, self.components + 1):
            address = (host, port + component - 1)
            self.network.relay(self, address)
            self._add(component, RELAYED, address, address, 65535)

    def _add(self, component: int, kind: str, address: Address, base: Address, preference: int) -> None:
        priority = candidate_priority(kind, component, preference)
        self.agent.add(LocalCandidate(component, kind, address, base, priority, foundation(kind, base[0])))

    def turn(self) -> None:
        sends, events = self.agent.take()
        self.events += events
        for base, data, to in sends:
            self.network.send(base, data, to)

    def reaches(self, other: Node, base: Address, to: Address) -> bool:
        """Whether a datagram that is no STUN message gets to `other`, and nowhere else."""
        network = self.network
        loss, network.loss = network.loss, 0.0
        other.heard = 0
        network.send(base, b"media", to)
        network.run(network.delay[1])
        network.loss = loss
        return other.heard == 1

    @property
    def ways(self) -> dict[int, tuple[Address, Address]]:
        """Component to base and destination in use."""
        return {component: (way.base, way.remote) for component, way in self.agent.selected.items()}

    @property
    def failures(self) -> list[IceFailed]:
        return [event for event in self.events if isinstance(event, IceFailed)]

    @property
    def selections(self) -> list[IceSelected]:
        return [event for event in self.events if isinstance(event, IceSelected)]


def meet(here: Node, there: Node, later: float = 0.0) -> None:
    """Offer and answer: `here` has offered, and the answer reaches it `later`."""
    network = here.network
    there.agent.start(here.agent.parameters, False, network.now, there.components)
    network.run(later)
    here.agent.start(there.agent.parameters, True, network.now, here.components)


def settle(here: Node, there: Node, seconds: float = 60.0) -> float:
    """Run until both are at an end; the seconds that it took."""

    def ended() -> bool:
        return all(node.agent.state in ("completed", "failed") for node in (here, there))

    return here.network.run(seconds, ended)
