"""UDP sockets for media: a pair of ports out of a range, read by the loop, sent on without waiting.

RTP takes an even port and RTCP the odd one above it (RFC 3550 section 11: "RTP SHOULD use an even destination port
number and the corresponding RTCP stream SHOULD use the next higher (odd) destination port number").

One datagram is read at a wake-up: a flood on one socket then cannot keep the others of the loop waiting. Whatever the
kernel says about a datagram, an ICMP error of an earlier one included, is counted and ends nothing.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
from collections.abc import Callable
from typing import Final

from ringback.media.backend import MediaError

__all__ = ["LONGEST", "Address", "MediaSocket", "bind", "bind_pair", "local_address", "route_towards"]

#: An IP literal and a port.
Address = tuple[str, int]
#: Called with a datagram, where it came from, and when (seconds of the loop's clock).
Receiver = Callable[[bytes, Address, float], None]

#: Octets of the longest datagram that is taken: more than any link's MTU lets through whole, as media never fragments.
LONGEST: Final = 2048
#: Octets asked of the kernel for the queues of a socket: a second of the fastest audio, and a burst of video.
SOCKET_BUFFER: Final = 512 * 1024

# What says that a port is taken or kept back, and not that the address cannot be used at all.
_TAKEN: Final = frozenset((errno.EADDRINUSE, errno.EACCES))


class MediaSocket:
    """One bound UDP socket.

    address            where it is bound, as (host, port)
    received, sent     datagrams so far
    refused            datagrams that the kernel did not take (a full queue, no route, a closed port at the far end)
    failed             reads that ended in an error
    oversized          datagrams that were longer than LONGEST, and dropped
    """

    def __init__(self, sock: socket.socket, receiver: Receiver) -> None:
        self.sock: socket.socket = sock
        host, port = sock.getsockname()[:2]
        self.address: Address = (host, port)
        self.ipv6: bool = sock.family == socket.AF_INET6
        self.receiver: Receiver = receiver
        self.received: int = 0
        self.sent: int = 0
        self.refused: int = 0
        self.failed: int = 0
        self.oversized: int = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed: bool = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        self._loop = loop
        loop.add_reader(self.sock.fileno(), self._readable)

    def close(self) -> None:
        """Read no more and give the port back; may be called twice."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None:
            self._loop.remove_reader(self.sock.fileno())
        self.sock.close()

    @property
    def closed(self) -> bool:
        return self._closed

    def send(self, data: bytes, address: Address) -> bool:
        """Send one datagram; False when the kernel refuses it. To the sender that is loss on the way, no error.

        The host has to be an IP literal: a name would be looked up, and the loop would wait.
        """
        if self._closed:
            return False
        try:
            self.sock.sendto(data, address)
        except (OSError, OverflowError, TypeError):
            # EAGAIN, an ICMP error of an earlier datagram, no route, a port or an address that cannot be.
            self.refused += 1
            return False
        self.sent += 1
        return True

    def _readable(self) -> None:
        loop = self._loop
        if self._closed or loop is None:
            return
        try:
            data, address = self.sock.recvfrom(LONGEST + 1)
        except BlockingIOError:
            return
        except OSError:
            self.failed += 1
            return
        if len(data) > LONGEST:
            self.oversized += 1
            return
        self.received += 1
        self.receiver(data, (address[0], address[1]), loop.time())


def bind(host: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket on the IP literal `host`; port 0 is any. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def bind_pair(
    host: str, ports: tuple[int, int], *, single: bool = False, start: int | None = None
) -> tuple[socket.socket, socket.socket | None]:
    """Sockets for RTP and RTCP on an even port of the range `ports` (both ends included) and the odd one above it.

    With `single` (RTCP shares the port of RTP, RFC 5761) the second is None. The search begins at a random port, so
    that nobody can tell the next one, or at `start`. Raises MediaError when no pair is free or `host` cannot be used.
    """
    low, high = ports
    if not 0 < low <= high <= 65535:
        raise MediaError(f"{low}-{high} is no range of ports")
    first = low + low % 2
    last = high if single else high - 1
    candidates = range(first, last + 1, 2)
    if not candidates:
        missing = "no even port" if single else "no even port with its odd one"
        raise MediaError(f"the range of ports {low}-{high} holds {missing}")
    begin = secrets.randbelow(len(candidates)) if start is None else max(0, (start - first) // 2)
    for step in range(len(candidates)):
        pair = _bound(host, candidates[(begin + step) % len(candidates)], single)
        if pair is not None:
            return pair
    raise MediaError(f"every port of {low}-{high} on {host} is taken")


def _bound(host: str, port: int, single: bool) -> tuple[socket.socket, socket.socket | None] | None:
    """The pair at `port`; None when one of its ports is taken. Raises MediaError for what no other port would cure."""
    rtp: socket.socket | None = None
    try:
        rtp = bind(host, port)
        return rtp, None if single else bind(host, port + 1)
    except OSError as error:
        if rtp is not None:
            rtp.close()
        if error.errno in _TAKEN:
            return None
        raise MediaError(f"no media socket on {host}: {error.strerror or error}") from error


def local_address(towards: str = "192.0.2.1") -> str:
    """The local address that packets to `towards` (an IP literal; nothing is sent) would leave from.

    The loopback address where no route leads there.
    """
    try:
        return route_towards(towards)
    except OSError:
        return "::1" if ":" in towards else "127.0.0.1"


def route_towards(host: str) -> str:
    """The local address with which the system would send to `host`, an IP literal. Raises OSError when it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Datagrams need no answer to be "connected": it only looks up the route.
        probe.connect((host, 9))
        found: str = probe.getsockname()[0]
    return found
