"""STUN and TURN servers on loopback sockets, for the tests of what talks to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ringback.media.io.sockets import Address, MediaSocket, bind
from ringback.media.io.turn import Frames
from ringback.media.stun import BINDING, REQUEST, RESPONSE, XOR_MAPPED_ADDRESS, encode_stun, parse_stun, xor_address
from tests.media.turn_server import TurnServer


class SocketTurnServer(TurnServer):
    """A TURN server whose relayed addresses are sockets. It is reached over UDP and TCP."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host
        self.sock = MediaSocket(bind(host, 0), self._from_client)
        self.relays: dict[Address, MediaSocket] = {}
        self.writers: dict[Address, asyncio.StreamWriter] = {}
        self.silent = False
        self._loop = asyncio.get_running_loop()
        self._tcp: asyncio.Server | None = None
        self.sock.start(self._loop)

    @property
    def address(self) -> Address:
        return self.sock.address

    async def listen(self) -> None:
        self._tcp = await asyncio.start_server(self._serve, *self.address)

    def next_relayed(self) -> Address:
        relay: MediaSocket

        def receive(data: bytes, peer: Address, arrival: float) -> None:
            for client, sent in self.from_peer(relay.address, data, peer, arrival):
                self._to_client(client, sent)

        relay = MediaSocket(bind(self.host, 0), receive)
        relay.start(self._loop)
        self.relays[relay.address] = relay
        return relay.address

    def _from_client(self, data: bytes, client: Address, arrival: float) -> None:
        if self.silent:
            return
        message = parse_stun(data)
        if message is not None and message.method == BINDING:
            if message.kind == REQUEST:
                mapped = [(XOR_MAPPED_ADDRESS, xor_address(client, message.transaction))]
                self.sock.send(encode_stun(BINDING, RESPONSE, message.transaction, mapped), client)
            return
        for answer in self.message(data, client, arrival):
            self._to_client(client, answer)
        for source, payload, peer in self.relayed:
            self.relays[source].send(payload, peer)
        self.relayed.clear()

    def _to_client(self, client: Address, data: bytes) -> None:
        if client in self.writers:
            self.writers[client].write(data + bytes(-len(data) % 4))
        else:
            self.sock.send(data, client)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = writer.get_extra_info("peername")[:2]
        self.writers[(host, port)] = writer
        frames = Frames()
        while data := await reader.read(4096):
            for message in frames.feed(data) or []:
                self._from_client(message, (host, port), self._loop.time())
        writer.close()

    async def close(self) -> None:
        self.sock.close()
        for relay in self.relays.values():
            relay.close()
        for writer in self.writers.values():
            writer.close()
        if self._tcp is not None:
            self._tcp.close()
            await self._tcp.wait_closed()


@asynccontextmanager
async def turn_server(host: str = "127.0.0.1") -> AsyncIterator[SocketTurnServer]:
    server = SocketTurnServer(host)
    await server.listen()
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def mapping_server(mapped: Address, host: str = "127.0.0.1") -> AsyncIterator[Address]:
    """A STUN server that sees everybody at `mapped`, as behind a NAT; gives its address."""

    def receive(data: bytes, client: Address, arrival: float) -> None:
        message = parse_stun(data)
        if message is not None and message.kind == REQUEST:
            seen = [(XOR_MAPPED_ADDRESS, xor_address((mapped[0], mapped[1] or client[1]), message.transaction))]
            sock.send(encode_stun(BINDING, RESPONSE, message.transaction, seen), client)

    sock = MediaSocket(bind(host, 0), receive)
    sock.start(asyncio.get_running_loop())
    try:
        yield sock.address
    finally:
        sock.close()


def closed_port(host: str = "127.0.0.1") -> int:
    """A port that nobody has."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port
