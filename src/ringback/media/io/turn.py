"""A relayed address on a TURN server: `TurnClient` with a socket and a timer, over UDP, TCP or TLS.

What a stream brings is framed here: STUN messages and channel data tell their own lengths (RFC 8656 section 12.5).
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable
from typing import Final

from ringback.media.backend import MediaError
from ringback.media.ice_servers import IceServer
from ringback.media.io.sockets import LONGEST, Address, MediaSocket, bind
from ringback.media.turn import TurnClient

__all__ = ["Frames", "TurnRelay"]

#: Octets that may wait in the socket to the server; what comes on top is dropped, as late sound is of no use.
MOST_BUFFERED: Final = 64 * 1024
_HEADER: Final = 4
_STUN_HEADER: Final = 20


class TurnRelay:
    """See the head of this module.

    address   our relayed address, once `open` has returned
    client    the allocation
    """

    def __init__(
        self, server: IceServer, host: str, receiver: Callable[[Address, bytes, Address, float], None]
    ) -> None:
        """`host` is the local address to be used; `receiver` gets (our relayed address, payload, peer, arrival)."""
        self.server: IceServer = server
        self.client: TurnClient = TurnClient(
            server.username,
            server.password,
            octets=secrets.token_bytes,
            stream=server.transport != "udp",
            ipv6=":" in host,
        )
        self._host: str = host
        self._receiver: Callable[[Address, bytes, Address, float], None] = receiver
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._socket: MediaSocket | None = None
        self._server_address: Address = ("", 0)
        self._stream: asyncio.Transport | None = None
        self._allocated: asyncio.Future[None] = self._loop.create_future()
        self._allocated.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._closed: bool = False

    @property
    def address(self) -> Address:
        assert self.client.relayed is not None
        return self.client.relayed

    async def open(self, server_address: Address, context: ssl.SSLContext | None = None) -> None:
        """Allocate at `server_address` (what the server's host resolved to). Raises MediaError, also for no way there.

        `context` is for TLS; None is one that checks the server's name.
        """
        self._server_address = server_address
        try:
            if self.server.transport == "udp":
                self._socket = MediaSocket(bind(self._host, 0), self._datagram)
                self._socket.start(self._loop)
            else:
                await self._connect(context)
        except OSError as error:
            self.close()
            raise MediaError(f"the TURN server cannot be reached: {error.strerror or error}") from error
        if self._closed:
            raise MediaError("the TURN allocation was given up")
        self.client.start(self._loop.time())
        self._turn()
        await asyncio.shield(self._allocated)

    def send(self, peer: Address, payload: bytes) -> bool:
        """Relay `payload` to `peer`; False when it is dropped."""
        sent = not self._closed and self.client.send(peer, payload, self._loop.time())
        self._turn()
        return sent

    def bind(self, peer: Address) -> None:
        """`peer` is where media goes: use a channel."""
        if not self._closed:
            self.client.bind(peer, self._loop.time())
            self._turn()

    def close(self) -> None:
        """Give the allocation and the socket back; may be called twice."""
        if self._closed:
            return
        self.client.close(self._loop.time())
        self._flush()
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._socket.close()
        if self._stream is not None:
            self._stream.close()
        if not self._allocated.done():
            self._allocated.set_exception(MediaError("the TURN allocation was given up"))

    async def _connect(self, context: ssl.SSLContext | None) -> None:
        tls: ssl.SSLContext | None = None
        if self.server.transport == "tls":
            tls = context or ssl.create_default_context()
        self._stream, _ = await self._loop.create_connection(
            lambda: _Stream(self),
            *self._server_address,
            ssl=tls,
            server_hostname=self.server.host if tls else None,
            local_addr=(self._host, 0),
        )

    def _datagram(self, data: bytes, source: Address, arrival: float) -> None:
        if source == self._server_address:
            self.message(data, arrival)

    def message(self, data: bytes, arrival: float) -> None:
        """One message of the server has come."""
        if self._closed:
            return
        for peer, payload in self.client.receive(data, arrival):
            self._receiver(self.address, payload, peer, arrival)
        self._turn()

    def lost(self) -> None:
        """The connection to the server has ended."""
        if not self._allocated.done():
            self._allocated.set_exception(MediaError("the TURN server has closed the connection"))

    def _turn(self) -> None:
        """Send what is to be sent, see what has become of it, and arm the timer."""
        if self._closed:
            return
        self._flush()
        client = self.client
        if not self._allocated.done():
            if client.state == "allocated":
                self._allocated.set_result(None)
            elif client.state == "failed":
                self._allocated.set_exception(MediaError(client.error))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = client.deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._expired)

    def _flush(self) -> None:
        for data in self.client.take():
            if self._socket is not None:
                self._socket.send(data, self._server_address)
            elif self._stream is not None and self._stream.get_write_buffer_size() < MOST_BUFFERED:
                self._stream.write(data)

    def _expired(self) -> None:
        self._timer = None
        self.client.advance(self._loop.time())
        self._turn()


class _Stream(asyncio.Protocol):
    """The connection to a server."""

    def __init__(self, relay: TurnRelay) -> None:
        self._relay = relay
        self._frames = Frames()
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        messages = self._frames.feed(data)
        if messages is None:
            # What follows cannot be told apart any more.
            if self._transport is not None:
                self._transport.close()
            return
        now = asyncio.get_running_loop().time()
        for message in messages:
            self._relay.message(message, now)

    def connection_lost(self, error: Exception | None) -> None:
        self._relay.lost()


class Frames:
    """Cuts a stream into STUN messages and channel data, of LONGEST octets at most."""

    def __init__(self) -> None:
        self._buffer: bytearray = bytearray()

    def feed(self, data: bytes) -> list[bytes] | None:
        """The messages that are complete now; None when the stream holds something else."""
        self._buffer += data
        messages: list[bytes] = []
        while len(self._buffer) >= _HEADER:
            length = int.from_bytes(self._buffer[2:4], "big")
            if self._buffer[0] < 4:
                size = _STUN_HEADER + length
            elif 0x40 <= self._buffer[0] <= 0x4F:
                # Padded to a multiple of four.
                size = _HEADER + (length + 3 & ~3)
            else:
                return None
            if size > LONGEST:
                return None
            if len(self._buffer) < size:
                break
            messages.append(bytes(self._buffer[:size]))
            del self._buffer[:size]
        return messages
