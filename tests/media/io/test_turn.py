"""Relayed addresses over sockets: UDP and TCP to the server, packets both ways, servers that are not there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ringback.media.backend import MediaError
from ringback.media.ice_servers import IceServer
from ringback.media.io.sockets import LONGEST, Address, bind
from ringback.media.io.turn import Frames, TurnRelay
from ringback.media.stun import BINDING, REQUEST, encode_stun
from tests.media.io.ends import one_turn
from tests.media.io.servers import SocketTurnServer, closed_port, turn_server
from tests.media.turn_server import NAME, PASSWORD

PATIENCE = 10.0


class Heard:
    def __init__(self) -> None:
        self.packets: asyncio.Queue[tuple[Address, bytes, Address]] = asyncio.Queue()

    def __call__(self, relayed: Address, data: bytes, peer: Address, arrival: float) -> None:
        self.packets.put_nowait((relayed, data, peer))

    async def next(self) -> tuple[Address, bytes, Address]:
        async with asyncio.timeout(PATIENCE):
            return await self.packets.get()


def named(server: Address, transport: str = "udp", password: str = PASSWORD) -> IceServer:
    return IceServer("turn", server[0], server[1], transport, NAME, password)  # type: ignore[arg-type]


@asynccontextmanager
async def relay(server: SocketTurnServer, transport: str = "udp") -> AsyncIterator[tuple[TurnRelay, Heard]]:
    heard = Heard()
    made = TurnRelay(named(server.address, transport), server.host, heard)
    try:
        async with asyncio.timeout(PATIENCE):
            await made.open(server.address)
        yield made, heard
    finally:
        made.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_packets_both_ways_with_and_without_a_channel(transport: str, host: str) -> None:
    loop = asyncio.get_running_loop()
    async with turn_server(host) as server, relay(server, transport) as (made, heard):
        assert made.address in server.relays
        with bind(host, 0) as peer:
            there: Address = peer.getsockname()[:2]
            assert made.send(there, b"first")
            async with asyncio.timeout(PATIENCE):
                data, source = await loop.sock_recvfrom(peer, 100)
            assert (data, source[:2]) == (b"first", made.address)
            peer.sendto(b"answer", made.address)
            assert await heard.next() == (made.address, b"answer", there)
            made.bind(there)
            async with asyncio.timeout(PATIENCE):
                while not made.client._bound:
                    await one_turn()
            for number in range(5):
                assert made.send(there, bytes(number + 1))
                async with asyncio.timeout(PATIENCE):
                    assert await loop.sock_recv(peer, 100) == bytes(number + 1)
                peer.sendto(bytes(number + 3), made.address)
                assert await heard.next() == (made.address, bytes(number + 3), there)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_wrong_password(transport: str) -> None:
    async with turn_server() as server:
        made = TurnRelay(named(server.address, transport, "wrong"), server.host, Heard())
        with pytest.raises(MediaError, match=r"^the TURN server has refused an allocation with 401$"):
            await made.open(server.address)
        made.close()
        made.close()
        assert not made.send(("127.0.0.1", 9), b"x")


async def test_a_server_that_cannot_be_reached() -> None:
    address = ("127.0.0.1", closed_port())
    made = TurnRelay(named(address, "tcp"), "127.0.0.1", Heard())
    with pytest.raises(MediaError, match=r"^the TURN server cannot be reached: "):
        await made.open(address)


async def test_a_server_that_closes_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = listening.sockets[0].getsockname()
    made = TurnRelay(named(address, "tcp"), "127.0.0.1", Heard())
    with pytest.raises(MediaError, match=r"^the TURN server has closed the connection$"):
        await made.open(address)
    made.close()
    listening.close()
    await listening.wait_closed()


async def test_a_server_that_speaks_something_else() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 example.org ESMTP\r\n")
        await reader.read()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = listening.sockets[0].getsockname()
    made = TurnRelay(named(address, "tcp"), "127.0.0.1", Heard())
    with pytest.raises(MediaError, match=r"^the TURN server has closed the connection$"):
        await made.open(address)
    made.close()
    listening.close()
    await listening.wait_closed()


async def test_giving_up_while_it_is_opened() -> None:
    async with turn_server() as server:
        server.silent = True
        made = TurnRelay(named(server.address), server.host, Heard())
        opening = asyncio.ensure_future(made.open(server.address))
        await one_turn()
        made.close()
        with pytest.raises(MediaError, match=r"^the TURN allocation was given up$"):
            await opening


async def test_only_the_server_is_listened_to() -> None:
    async with turn_server() as server, relay(server) as (made, heard):
        with bind("127.0.0.1", 0) as peer, bind("127.0.0.1", 0) as stranger:
            there: Address = peer.getsockname()[:2]
            made.send(there, b"x")
            made.bind(there)
            async with asyncio.timeout(PATIENCE):
                while not made.client._bound:
                    await one_turn()
            assert made._socket is not None
            stranger.sendto(b"\x40\0\0\x08intruder", made._socket.address)
            peer.sendto(b"friend", made.address)
            assert await heard.next() == (made.address, b"friend", there)


async def test_closing_gives_the_allocation_back() -> None:
    async with turn_server() as server:
        async with relay(server):
            [allocation] = server.allocations.values()
            before = allocation.until
        async with asyncio.timeout(PATIENCE):
            while allocation.until == before:
                await one_turn()
        assert allocation.until < before - 500


STUN = encode_stun(BINDING, REQUEST, bytes(12), [(6, b"user")])
CHANNEL = b"\x40\x00\x00\x05hello\0\0\0"


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_a_stream_is_cut_into_messages(step: int) -> None:
    stream = STUN + CHANNEL + CHANNEL + STUN
    frames = Frames()
    found: list[bytes] = []
    for at in range(0, len(stream), step):
        found += frames.feed(stream[at : at + step]) or []
    assert found == [STUN, CHANNEL, CHANNEL, STUN]


@pytest.mark.parametrize(
    "stream", [b"HTTP/1.1 200 OK", b"\x80\0\0\0", b"\x40\0" + LONGEST.to_bytes(2, "big"), b"\0\1\xff\xff"]
)
def test_a_stream_of_something_else(stream: bytes) -> None:
    assert Frames().feed(stream) is None


@given(some.binary(max_size=300))
def test_no_stream_raises(stream: bytes) -> None:
    Frames().feed(stream)
