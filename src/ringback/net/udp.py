"""UDP sockets.

A plain non-blocking socket under `loop.add_reader` costs a fifth of asyncio's datagram transport a message: that one
asks for 256 KiB at each read.

One datagram is read at a wake-up. To read until the kernel says that there is no more costs a system call and an
exception each time, 15 µs, which is more than the rest of reading and sending together; a loop that comes back at once
for the next datagram costs less even when many wait.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol

from ringback.net.stun import binding_response
from ringback.sip.transport import Flow

#: Octets asked of the kernel for the queues of one socket, so that a burst is not lost while Python is busy.
SOCKET_BUFFER: Final = 4 * 1024 * 1024


class DatagramReceiver(Protocol):
    """What a socket hands its datagrams to."""

    def datagram(self, data: bytes, flow: Flow) -> None:
        """One datagram that is neither a keep-alive nor STUN has come."""
        ...

    def turn(self) -> None:
        """The datagram was handed over: send and tell what it led to."""
        ...


class UdpSocket:
    """One bound UDP socket.

    id    as `Flow.local` names it
    sent, received, refused   datagrams so far; refused are those that the kernel did not take
    """

    def __init__(self, id: str, sock: socket.socket, receiver: DatagramReceiver) -> None:
        self.id: str = id
        self.sock: socket.socket = sock
        self.receiver: DatagramReceiver = receiver
        self.received: int = 0
        self.sent: int = 0
        self.refused: int = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read."""
        loop.add_reader(self.sock.fileno(), self.readable)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read no more, and close."""
        loop.remove_reader(self.sock.fileno())
        self.sock.close()

    def readable(self) -> None:
        """Read one datagram."""
        try:
            data, address = self.sock.recvfrom(65535)
        except OSError:
            # Nothing there after all, or an ICMP error that belongs to a datagram sent before.
            return
        self.received += 1
        host: str = address[0]
        port: int = address[1]
        if len(data) < 32 or data[0] < 2:
            # RFC 5626 4.4: keep-alives are CRLF or STUN; nothing as short is SIP.
            self.keep_alive(data, host, port)
            return
        self.receiver.datagram(data, Flow("UDP", self.id, host, port))
        self.receiver.turn()

    def keep_alive(self, data: bytes, host: str, port: int) -> None:
        """Answer a STUN binding request (RFC 5626 section 8); let CRLF and noise pass."""
        if not data or data[0] > 1:
            return
        response = binding_response(data, host, port)
        if response is not None:
            self.send(response, host, port)

    def send(self, data: bytes, host: str, port: int) -> bool:
        """Send one datagram; False when the kernel refuses it for good. A full queue counts as loss on the way."""
        try:
            self.sock.sendto(data, (host, port))
        except BlockingIOError:
            self.refused += 1
            return True
        except (OSError, OverflowError):
            self.refused += 1
            return False
        self.sent += 1
        return True


def bind_udp(host: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket. Raises OSError."""
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
