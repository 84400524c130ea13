"""Listening stream sockets."""

from __future__ import annotations

import asyncio
import socket

from ringback.errors import ConfigurationError
from ringback.sip.transport import bracketed


class StreamListener:
    """One listening socket.

    id           as `Flow.local` names it: "tcp:127.0.0.1:5060", with the port that was bound
    host, port   the address that was bound
    """

    __slots__ = ("_server", "host", "id", "port", "transport")

    def __init__(self, transport: str, host: str, port: int, server: asyncio.Server) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.id = f"{transport.lower()}:{bracketed(host)}:{port}"
        self._server = server

    def close(self) -> None:
        """Accept no more; what was accepted stays."""
        self._server.close()

    async def closed(self) -> None:
        """Wait until the socket is closed, and on Python 3.12 and later until what it accepted is gone."""
        await self._server.wait_closed()


def bind_stream(host: str, port: int, reuse_port: bool) -> socket.socket:
    """A bound stream socket. Raises ConfigurationError when the address can not be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # A server that starts anew takes its port again although connections of its last run linger in the kernel.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # A listener for IPv4 on the same port is another one.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise ConfigurationError(f"can not listen at {bracketed(host)}:{port}: {error.strerror}") from error
    return sock
