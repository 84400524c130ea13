"""How datagrams travel between us and the far end of one stream: what a `Transport` needs of it.

There are two ways. `DirectPath` uses the addresses that SDP names (and those that the far end is then seen at);
`ringback.media.io.ice.IcePath` those that connectivity checks have found. A component is RTP (1) or RTCP (2), as ICE
numbers them (RFC 8839 section 5.1).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, Protocol

from ringback.media.backend import MediaError
from ringback.media.io.sockets import Address, MediaSocket

__all__ = ["RTCP_COMPONENT", "RTP_COMPONENT", "DirectPath", "ExactSource", "Path", "SourceFilter", "literal"]

RTP_COMPONENT: Final = 1
RTCP_COMPONENT: Final = 2

#: Called with (component, data, source, arrival) for each datagram that may concern the stream.
Upward = Callable[[int, bytes, Address, float], None]


class SourceFilter(Protocol):
    """Decides which sources of plain RTP are heard, and where our packets go: with keys nobody asks it.

    One is made for each component and each time that SDP names an address.
    """

    @property
    def destination(self) -> Address:
        """Where our packets go now."""
        ...

    def accept(self, source: Address, data: bytes, now: float) -> bool:
        """Whether the RTP or RTCP packet `data` from `source` is taken."""
        ...


class ExactSource:
    """The strict filter: only the address that SDP names is heard and sent to."""

    def __init__(self, destination: Address) -> None:
        self.destination: Address = destination

    def accept(self, source: Address, data: bytes, now: float) -> bool:
        return source == self.destination


class Path(Protocol):
    """What carries the datagrams of one stream.

    exclusive   what does not come from a `chosen` source is not even decrypted: connectivity checks have shown where
                the far end is, and nothing else does
    """

    exclusive: bool

    def send(self, component: int, data: bytes, to: Address | None = None) -> bool:
        """Send to the far end, or to `to`; False when nothing was sent."""
        ...

    def admits(self, component: int, source: Address, data: bytes, now: float) -> bool:
        """Whether plain RTP or RTCP from `source` is taken."""
        ...

    def chosen(self, component: int, source: Address) -> bool:
        """Whether `source` is where the far end is, as far as SDP, ICE or authenticated packets tell."""
        ...

    def may_roam(self, component: int, source: Address) -> bool:
        """Whether the far end may be at `source` all the same, once it has proved by keys that it is."""
        ...

    def authenticated(self, component: int, source: Address) -> None:
        """A packet from `source` has been authenticated with the keys of the stream."""
        ...

    def close(self) -> None:
        """Give back all sockets; may be called twice."""
        ...

    def sockets(self) -> list[MediaSocket]:
        """The sockets in use, for their counts."""
        ...


def literal(host: str) -> str:
    """The IP literal `host` as the kernel writes it. Raises MediaError: a name is not looked up here."""
    try:
        return str(ip_address(host))
    except ValueError:
        raise MediaError(f"{host!r} is no IP address") from None


class DirectPath:
    """A port pair, or one port, and the addresses of the far end as SDP names them.

    strict    packets are taken from, and sent to, only what SDP names
    """

    exclusive: bool = False

    def __init__(self, rtp: MediaSocket, rtcp: MediaSocket | None, *, strict: bool = False) -> None:
        self.strict: bool = strict
        self._sockets: dict[int, MediaSocket] = {RTP_COMPONENT: rtp}
        if rtcp is not None:
            self._sockets[RTCP_COMPONENT] = rtcp
        # By component: what SDP named, the filter for plain packets, and where authenticated packets came from.
        self._named: dict[int, Address] = {}
        self._filters: dict[int, SourceFilter] = {}
        self._proved: dict[int, Address] = {}

    def aim(self, component: int, address: Address, sources: Callable[[Address], SourceFilter]) -> None:
        """SDP names `address` for `component`; what was learnt is forgotten unless it names the same as before."""
        if self._named.get(component) == address:
            return
        self._named[component] = address
        self._filters[component] = sources(address)
        self._proved.pop(component, None)

    def drop(self, component: int) -> None:
        """Give back the socket of `component`, which is not needed (RFC 5761)."""
        sock = self._sockets.pop(component, None)
        if sock is not None:
            sock.close()
        self._named.pop(component, None)
        self._filters.pop(component, None)
        self._proved.pop(component, None)

    def destination(self, component: int) -> Address | None:
        """Where packets go now; None before SDP has named an address, or while it names none (0.0.0.0, port 0)."""
        sources = self._filters.get(component)
        if sources is None:
            return None
        address = self._proved.get(component) or sources.destination
        # RFC 3264 section 8.4 (hold of RFC 2543): "neither RTP nor RTCP should be sent to the peer" at 0.0.0.0.
        if address[1] == 0 or address[0] in ("0.0.0.0", "::"):
            return None
        return address

    def send(self, component: int, data: bytes, to: Address | None = None) -> bool:
        sock = self._sockets.get(component)
        to = to or self.destination(component)
        return sock is not None and to is not None and sock.send(data, to)

    def admits(self, component: int, source: Address, data: bytes, now: float) -> bool:
        sources = self._filters.get(component)
        return sources is not None and sources.accept(source, data, now)

    def chosen(self, component: int, source: Address) -> bool:
        return source == (self._proved.get(component) or self._named.get(component))

    def may_roam(self, component: int, source: Address) -> bool:
        return not self.strict and component in self._named

    def authenticated(self, component: int, source: Address) -> None:
        # RFC 4961 (symmetric RTP): the far end receives where it sends from. A replayed packet does not get here.
        if not self.strict and component in self._named:
            self._proved[component] = source

    def close(self) -> None:
        for sock in self._sockets.values():
            sock.close()

    def sockets(self) -> list[MediaSocket]:
        return list(self._sockets.values())
