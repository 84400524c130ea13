"""Where a user agent is reached: its sockets, and which of them leads to a destination.

A user agent may stand on several networks at once, and a message has to leave with the address that its receiver can
answer to: by the socket of that address, with that address in Via and Contact. So there is a place for each local
address that is used, opened when it is used first. What was asked for (`listen`) is opened from the start.

A place of a stream transport need not listen: its connections are opened from here, and come back by themselves.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

from ringback.errors import ConfigurationError
from ringback.media.io.sockets import route_towards
from ringback.net.udp import DatagramReceiver, UdpSocket, bind_udp
from ringback.sip.grammar import is_ipv4, is_ipv6
from ringback.sip.stack import listener_id
from ringback.sip.transport import DEFAULT_PORTS, Flow, Listener, bracketed, is_address

__all__ = ["Datagrams", "Listen", "NoRoute", "Places", "local_address"]

#: Told of STUN messages that are no requests: octets, host, port.
OnStun = Callable[[bytes, str, int], None]

# STUN messages of the methods that there are begin with 0 or 1 (RFC 8489 section 5, the two most significant bits are
# zeros); of a server's answers, with 1.
_STUN_ANSWER: Final = 1
_SHORTEST_SIP: Final = 32


class NoRoute(Exception):
    """There is no way to an address from here."""


def local_address(host: str) -> str:
    """The local address with which the system would send to `host`, an IP literal; nothing is sent. Raises NoRoute."""
    if not is_ipv4(host) and not is_ipv6(host):
        # The system would ask DNS, and wait.
        raise NoRoute(f"{host} is no address")
    try:
        return route_towards(host)
    except OSError as error:
        raise NoRoute(f"no way to {host}: {error.strerror or error}") from error


class Listen:
    """One place to listen at: "udp:127.0.0.1:5070", "tcp:[::1]:0". Port 0 takes any free one.

    Raises ConfigurationError, which says what is allowed.
    """

    __slots__ = ("host", "port", "transport")

    def __init__(self, text: str) -> None:
        transport, colon, rest = text.partition(":")
        host, colon_before_port, digits = rest.rpartition(":")
        self.transport: str = transport.upper()
        self.host: str = host.removeprefix("[").removesuffix("]")
        if not colon or self.transport not in ("UDP", "TCP", "TLS"):
            raise ConfigurationError(f"listen: {text!r} does not begin with udp:, tcp: or tls:")
        if not colon_before_port or not (digits.isascii() and digits.isdigit()) or int(digits) > 65535:
            raise ConfigurationError(f"listen: {text!r} has no port; allowed: transport:address:port, such as {_USUAL}")
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            raise ConfigurationError(f"listen: {host!r} in {text!r} is no IP address") from None
        if ":" in self.host and not host.startswith("["):
            raise ConfigurationError(f"listen: the IPv6 address in {text!r} has to stand in brackets")
        self.port: int = int(digits)

    def __str__(self) -> str:
        return f"{self.transport.lower()}:{bracketed(self.host)}:{self.port}"


_USUAL: Final = "udp:192.0.2.1:5060"


class Datagrams:
    """One bound UDP socket that hands SIP to the endpoint, and the answers of STUN servers to who asked."""

    def __init__(self, id: str, sock: socket.socket, receiver: DatagramReceiver, on_stun: OnStun) -> None:
        self.socket = UdpSocket(id, sock, receiver)
        self._on_stun = on_stun
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)

    def _readable(self) -> None:
        udp = self.socket
        try:
            data, address = udp.sock.recvfrom(65535)
        except OSError:
            # Nothing there after all, or an ICMP error that belongs to a datagram sent before.
            return
        udp.received += 1
        host, port = address[0], address[1]
        if data and data[0] == _STUN_ANSWER:
            self._on_stun(data, host, port)
        elif len(data) < _SHORTEST_SIP or data[0] == 0:
            udp.keep_alive(data, host, port)
        else:
            udp.receiver.datagram(data, Flow("UDP", udp.id, host, port))
            udp.receiver.turn()

    def close(self) -> None:
        """Read no more, and close."""
        udp = self.socket
        if udp.sock.fileno() >= 0:
            self._loop.remove_reader(udp.sock.fileno())
            udp.sock.close()


class Places:
    """All places of one user agent.

    listeners  how they are known to others, the one that is preferred for its transport first
    sockets    the UDP sockets by id, several ids for one that is bound to all addresses
    """

    def __init__(self, receiver: DatagramReceiver, on_stun: OnStun) -> None:
        self.listeners: list[Listener] = []
        self.sockets: dict[str, UdpSocket] = {}
        self._receiver = receiver
        self._on_stun = on_stun
        self._datagrams: list[Datagrams] = []
        # Bound to all addresses of their family: transport and family (4, 6) to the port.
        self._everywhere: dict[tuple[str, int], tuple[str, int]] = {}

    # opening ---------------------------------------------------------------------------------------------------------

    def bind_udp(self, host: str, port: int) -> Listener:
        """Open a UDP socket. Raises ConfigurationError when the address can not be had."""
        try:
            sock = bind_udp(host, port)
        except OSError as error:
            raise ConfigurationError(f"can not listen at udp:{bracketed(host)}:{port}: {error.strerror}") from error
        return self._add_udp(sock)

    def _add_udp(self, sock: socket.socket) -> Listener:
        host, port = sock.getsockname()[:2]
        id = listener_id("UDP", host, port)
        datagrams = Datagrams(id, sock, self._receiver, self._on_stun)
        self._datagrams.append(datagrams)
        self.sockets[id] = datagrams.socket
        return self._add("UDP", id, host, port)

    def add_stream(self, transport: str, host: str, port: int) -> Listener:
        """A stream socket listens; `host` and `port` are those that were bound."""
        return self._add(transport, listener_id(transport, host, port), host, port)

    def _add(self, transport: str, id: str, host: str, port: int) -> Listener:
        shown = host
        if ipaddress.ip_address(host).is_unspecified:
            self._everywhere[transport, _family(host)] = (id, port)
            shown = _outward(host)
        listener = Listener(id, transport, shown, port)
        self.listeners.append(listener)
        # RFC 3261 18.1.1 and 18.2.1 have one sent-by for what leaves by a listener: who can be reached by others comes
        # before who can not.
        self.listeners.sort(key=_is_loopback)
        return listener

    # looking up ------------------------------------------------------------------------------------------------------

    def place_for(self, transport: str, host: str) -> Listener:
        """The place from which messages go to `host`, an IP literal; opened when there is none yet.

        Raises NoRoute, and ConfigurationError when no socket can be had.
        """
        local = local_address(host)
        for listener in self.listeners:
            if listener.transport == transport and listener.host == local:
                return listener
        everywhere = self._everywhere.get((transport, _family(local)))
        if everywhere is not None:
            return self._alias(transport, local, *everywhere)
        if transport == "UDP":
            return self._bind_beside(local)
        # No socket is needed to open connections. Who does not listen can be answered on the connection alone, so what
        # stands in Via is a port that nobody else has here, where there is one.
        port = next((own.port for own in self.listeners if own.host == local), DEFAULT_PORTS[transport])
        return self._add(transport, f"{transport.lower()}:{bracketed(local)}:0", local, port)

    def _alias(self, transport: str, local: str, id: str, port: int) -> Listener:
        """One of the addresses of a socket that is bound to all of them."""
        own = listener_id(transport, local, port)
        if transport == "UDP":
            self.sockets[own] = self.sockets[id]
        return self._add(transport, own, local, port)

    def _bind_beside(self, local: str) -> Listener:
        """A UDP socket at another local address, with the port of the others if it is free: NATs and people like it."""
        for port in [own.port for own in self.listeners if own.transport == "UDP"]:
            try:
                return self._add_udp(bind_udp(local, port))
            except OSError:
                continue
        return self.bind_udp(local, 0)

    def listens(self, listener: Listener) -> bool:
        """Whether others can open a connection to it, or send datagrams."""
        return not listener.id.endswith(":0")

    def close(self) -> None:
        """Close all UDP sockets."""
        for datagrams in self._datagrams:
            datagrams.close()
        self.sockets.clear()


def _family(host: str) -> int:
    return 6 if ":" in host else 4


def _outward(unspecified: str) -> str:
    """The address of this machine on its default route, for a socket that is bound to all of them."""
    # Documentation addresses (RFC 5737, RFC 3849): nothing is sent there, only a route is looked up.
    elsewhere, loopback = ("2001:db8::1", "::1") if ":" in unspecified else ("192.0.2.1", "127.0.0.1")
    try:
        return local_address(elsewhere)
    except NoRoute:
        return loopback


def _is_loopback(listener: Listener) -> bool:
    return not is_address(listener.host) or ipaddress.ip_address(listener.host).is_loopback
