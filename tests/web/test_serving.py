"""HTTP on a socket in the loop of the SIP server."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ringback.errors import ConfigurationError
from ringback.web import WebServer
from tests.server.running import PATIENCE, until


class Slow:
    """An application whose answer waits for `go`."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0
        self.app = Starlette(routes=[Route("/", self.answer)])

    async def answer(self, request: Request) -> PlainTextResponse:
        self.asked += 1
        await self.go.wait()
        return PlainTextResponse("done")


@asynccontextmanager
async def served(app: Starlette, host: str = "127.0.0.1") -> AsyncIterator[WebServer]:
    before = asyncio.all_tasks()
    web = WebServer(app, host, 0)
    task = asyncio.ensure_future(web.serve())
    try:
        await until(lambda: web._uvicorn.started)
        yield web
        async with asyncio.timeout(PATIENCE):
            await web.stop()
            await task
    finally:
        task.cancel()
        web.close()
    assert asyncio.all_tasks() <= before


def place(web: WebServer) -> tuple[str, int]:
    host, _, port = web.url.removeprefix("http://").rpartition(":")
    return host.strip("[]"), int(port)


async def test_answers() -> None:
    slow = Slow()
    slow.go.set()
    async with served(slow.app) as web, httpx.AsyncClient() as client:
        assert web.url.startswith("http://127.0.0.1:")
        response = await client.get(web.url)
        assert (response.status_code, response.text) == (200, "done")
        # What serves this is nobody's business.
        assert "server" not in response.headers


async def test_what_is_under_way_is_answered_before_the_end() -> None:
    slow = Slow()
    async with httpx.AsyncClient() as client, served(slow.app) as web:
        asking = asyncio.ensure_future(client.get(web.url))
        await until(lambda: slow.asked)
        stopping = asyncio.ensure_future(web.stop())
        await until(lambda: web._socket.fileno() == -1)
        assert not stopping.done()
        slow.go.set()
        assert (await asyncio.wait_for(asking, PATIENCE)).text == "done"
        await asyncio.wait_for(stopping, PATIENCE)


async def test_idle_connections_are_closed_at_the_end() -> None:
    slow = Slow()
    async with served(slow.app) as web:
        address = place(web)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert await reader.readline() == b"HTTP/1.1 404 Not Found\r\n"
            half_reader, half_writer = await asyncio.open_connection(*address)
            half_writer.write(b"GET / HT")
            await half_writer.drain()
    async with asyncio.timeout(PATIENCE):
        assert (await reader.read()).endswith(b"Not Found")
        assert await half_reader.read() == b""
    writer.close()
    half_writer.close()
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(address)


async def test_stopping_what_has_not_begun() -> None:
    web = WebServer(Slow().app, "127.0.0.1", 0)
    async with asyncio.timeout(PATIENCE):
        await web.stop()
    web.close()


async def test_signals_stay_as_they_are() -> None:
    """uvicorn would end the process by itself; when, is the SIP server's to say."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    slow = Slow()
    slow.go.set()
    async with served(slow.app) as web, httpx.AsyncClient() as client:
        await client.get(web.url)
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.parametrize(
    ("host", "reason"),
    [("127.0.0.1", "Address already in use"), ("192.0.2.1", "Cannot assign requested address")],
)
def test_an_address_that_can_not_be_had(host: str, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            WebServer(Slow().app, host, port)
    assert str(caught.value) == (
        f"web.listen: {host}:{port} can not be had: {reason}; choose another, or none with --no-web"
    )
