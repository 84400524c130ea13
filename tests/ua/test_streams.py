"""Connections that are waited for."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringback.sip.transport import Flow
from ringback.ua.streams import Streams
from tests.server.running import until


@asynccontextmanager
async def streams(**options: Any) -> AsyncIterator[Streams]:
    given: dict[str, Any] = {name: lambda *_: None for name in ("on_message", "on_closed", "on_failed", "on_malformed")}
    made = Streams(**{**given, **options})
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.settimeout(5)
        yield sock


def to(server: socket.socket) -> Flow:
    return Flow("TCP", "tcp:127.0.0.1:0", *server.getsockname())


async def test_one_connection_for_all_who_wait(server: socket.socket) -> None:
    async with streams() as made:
        first, second = await asyncio.gather(made.connect(to(server)), made.connect(to(server)))
        assert first is second and first.connection > 0 and first.local == "tcp:127.0.0.1:0"
        assert await made.connect(to(server)) is first
        assert await made.connect(first) is first
        assert made.count == 1
        accepted, address = server.accept()
        assert made.local_end(first) == address and address[0] == "127.0.0.1"
        accepted.close()


async def test_nobody_listens(server: socket.socket) -> None:
    flow = to(server)
    server.close()
    async with streams() as made:
        with pytest.raises(OSError, match="can not connect: Connection refused"):
            await made.connect(flow)
        assert made.count == 0
        assert made.local_end(flow) is None


async def test_a_connection_that_is_gone_is_not_opened_again(server: socket.socket) -> None:
    closed: list[Flow] = []
    async with streams(on_closed=closed.append) as made:
        flow = await made.connect(to(server))
        made.send(b"x", flow)
        accepted, _ = server.accept()
        accepted.close()
        await until(lambda: closed)
        assert closed == [flow]
        with pytest.raises(OSError, match="it is closed"):
            await made.connect(flow)
        assert (await made.connect(to(server))).connection != flow.connection


async def test_tls_without_any(server: socket.socket) -> None:
    async with streams() as made:
        with pytest.raises(OSError, match="TLS is not to be had here"):
            await made.connect(Flow("TLS", "", *server.getsockname(), 0, "example.org"))


async def test_who_stops_waiting_disturbs_nobody(server: socket.socket) -> None:
    async with streams() as made:
        impatient = asyncio.ensure_future(made.connect(to(server)))
        patient = asyncio.ensure_future(made.connect(to(server)))
        await asyncio.sleep(0)
        impatient.cancel()
        assert (await patient).connection > 0
        assert impatient.cancelled()


async def test_closed_while_somebody_waits() -> None:
    """Documentation addresses (RFC 5737) do not answer; the kernel may also say at once that there is no way."""
    async with streams() as made:
        waiting = asyncio.ensure_future(made.connect(Flow("TCP", "", "192.0.2.1", 5060)))
        await asyncio.sleep(0)
    with pytest.raises(OSError):
        await waiting
