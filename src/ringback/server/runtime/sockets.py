"""The sockets of the server: all are bound before anything is served, so that a taken port is known at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from ringback.errors import ConfigurationError
from ringback.net.listener import bind_stream
from ringback.net.streams import Connections
from ringback.net.tls import ServerTls
from ringback.net.udp import DatagramReceiver, UdpSocket, bind_udp
from ringback.server.settings import Listen
from ringback.sip.stack import listener_id
from ringback.sip.transport import SECURE, Listener

__all__ = ["Sockets"]

_ANY: Final = frozenset(("0.0.0.0", "::"))
# Documentation addresses (RFC 5737, RFC 3849): nothing is sent there, only a route is looked up.
_ELSEWHERE: Final[dict[int, str]] = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}


class Sockets:
    """Bound sockets, and how they are known to others.

    listeners  in the order of the configuration
    udp        by id; empty until `open`
    """

    def __init__(self, places: Sequence[Listen]) -> None:
        """Bind. Raises ConfigurationError, and leaves nothing bound, when one can not be had."""
        self.listeners: list[Listener] = []
        self.udp: dict[str, UdpSocket] = {}
        self._bound: list[tuple[Listener, socket.socket]] = []
        try:
            for place in places:
                self._bind(place)
        except BaseException:
            self.close()
            raise

    def _bind(self, place: Listen) -> None:
        host, port = place.place
        try:
            sock = bind_udp(host, port) if place.transport == "UDP" else bind_stream(host, port, False)
        except (OSError, ConfigurationError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).rpartition(": ")[2]
            raise ConfigurationError(
                f"listen: {place.address} can not be had: {reason}; give another with --listen or the key listen"
            ) from error
        # An IPv6 address can be written in many ways; connections know the one that the system gives.
        host, port = sock.getsockname()[:2]
        shown, shown_port = place.advertised(port)
        if shown in _ANY:
            shown = _outward_address(sock.family)
        listener = Listener(listener_id(place.transport, host, port), place.transport, shown, shown_port)
        self.listeners.append(listener)
        self._bound.append((listener, sock))

    async def open(self, receiver: DatagramReceiver, streams: Connections, tls: ServerTls | None) -> None:
        """Begin to read and to accept."""
        loop = asyncio.get_running_loop()
        while self._bound:
            listener, sock = self._bound.pop(0)
            if listener.transport == "UDP":
                udp = UdpSocket(listener.id, sock, receiver)
                self.udp[listener.id] = udp
                udp.start(loop)
            else:
                host, port = sock.getsockname()[:2]
                secured = tls if listener.transport in SECURE else None
                await streams.listen(listener.transport, host, port, tls=secured, sock=sock)

    def close(self) -> None:
        """Read no more datagrams, and let go of what was bound and never opened."""
        for _, sock in self._bound:
            sock.close()
        self._bound.clear()
        for udp in self.udp.values():
            udp.stop(asyncio.get_running_loop())
        self.udp.clear()


def _outward_address(family: int) -> str:
    """The address of this machine on its default route; the loopback address when it has none. Sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_ELSEWHERE[family], 9))
            found: str = probe.getsockname()[0]
        except OSError:
            return "127.0.0.1" if family == socket.AF_INET else "::1"
    return found
