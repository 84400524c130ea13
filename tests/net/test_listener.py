"""Listening stream sockets on the loopback addresses."""

import asyncio
import socket

import pytest

from ringback.errors import ConfigurationError
from ringback.net.listener import StreamListener, bind_stream
from tests.net.stream_kit import PATIENCE


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6), ("0.0.0.0", socket.AF_INET)]
)
def test_a_bound_socket(host: str, family: socket.AddressFamily) -> None:
    with bind_stream(host, 0, False) as sock:
        assert (sock.family, sock.type, sock.getblocking()) == (family, socket.SOCK_STREAM, False)
        assert sock.getsockname()[0] == host
        assert port_of(sock) > 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0


def test_both_families_on_one_port() -> None:
    """A listener for all of IPv6 leaves IPv4 to another, whatever the system's default is."""
    with bind_stream("::", 0, False) as six, bind_stream("0.0.0.0", port_of(six), False) as four:
        six.listen()
        four.listen()
        assert port_of(four) == port_of(six)


@pytest.mark.parametrize(
    ("host", "shown", "reason"),
    [
        ("127.0.0.1", "127.0.0.1", "Address already in use"),
        ("::1", "[::1]", "Address already in use"),
    ],
)
def test_a_port_that_is_taken(host: str, shown: str, reason: str) -> None:
    with bind_stream(host, 0, False) as first:
        first.listen()
        with pytest.raises(ConfigurationError) as caught:
            bind_stream(host, port_of(first), False)
        assert str(caught.value) == f"can not listen at {shown}:{port_of(first)}: {reason}"
        assert isinstance(caught.value.__cause__, OSError)


def test_an_address_that_is_not_of_this_machine() -> None:
    with pytest.raises(ConfigurationError, match=r"^can not listen at 192\.0\.2\.1:5060: Cannot assign requested"):
        bind_stream("192.0.2.1", 5060, False)


def test_a_port_for_several_processes() -> None:
    with bind_stream("127.0.0.1", 0, True) as first:
        first.listen()
        with bind_stream("127.0.0.1", port_of(first), True) as second:
            second.listen()
            assert port_of(second) == port_of(first)
        # One who does not share finds it taken.
        with pytest.raises(ConfigurationError):
            bind_stream("127.0.0.1", port_of(first), False)


@pytest.mark.parametrize(
    ("transport", "host", "name"),
    [("TCP", "127.0.0.1", "tcp:127.0.0.1:{}"), ("TLS", "::1", "tls:[::1]:{}"), ("WSS", "::1", "wss:[::1]:{}")],
)
async def test_it_accepts_until_it_is_closed(transport: str, host: str, name: str) -> None:
    accepted: list[asyncio.StreamWriter] = []
    told = asyncio.Event()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        told.set()

    sock = bind_stream(host, 0, False)
    port = port_of(sock)
    server = await asyncio.start_server(accept, sock=sock)
    listener = StreamListener(transport, host, port, server)
    assert (listener.transport, listener.host, listener.port) == (transport, host, port)
    assert listener.id == name.format(port)
    reader, writer = await asyncio.open_connection(host, port)
    async with asyncio.timeout(PATIENCE):
        await told.wait()
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)
    # What was accepted stays.
    accepted[0].write(b"still here")
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(10) == b"still here"
        accepted[0].close()
        await accepted[0].wait_closed()
        await listener.closed()
    assert server.sockets == ()
    writer.close()
    await writer.wait_closed()
    # Its port is free again, although a connection of it lingers in the kernel.
    bind_stream(host, port, False).close()
