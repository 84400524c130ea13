"""`Server`: one SIP server in this process, from start to end."""

from __future__ import annotations

import asyncio
import gc
import secrets
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ringback.errors import ConfigurationError, ParseError
from ringback.net.endpoint import Endpoint
from ringback.net.streams import Connections
from ringback.net.udp import UdpSocket, bind_udp
from ringback.server.app import Errors, ServerTransaction, compose
from ringback.server.capabilities.options import options
from ringback.server.config import load
from ringback.server.runtime.interim import Lookup, Registrar
from ringback.server.settings import Settings
from ringback.server.setup.proxy import NextHop, Proxy, Validate
from ringback.sip.binding import Policy
from ringback.sip.route import Self
from ringback.sip.stack import Incoming, Stack, listener_id
from ringback.sip.transport import Flow, Listener
from ringback.sip.uri import Uri
from ringback.store import MemoryStore, SqliteStore, open_store

__all__ = ["Server", "run"]


class Server:
    """One SIP server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stop = asyncio.Event()

    @classmethod
    def from_toml(cls, file: str | Path, options: Mapping[str, Any] | None = None) -> Server:
        """The server that a configuration file describes. Raises ConfigurationError."""
        return cls(load(Path(file), options))

    async def start(self) -> list[str]:
        """Begin to serve; where it listens."""
        settings = self.settings
        loop = asyncio.get_running_loop()
        place = "memory:" if settings.location.store == "memory" else settings.data
        self.store: MemoryStore | SqliteStore = await open_store(place, synchronous=settings.location.synchronous)
        secret = await self.store.secrets.secret("tokens", secrets.token_bytes(32))
        listeners: list[Listener] = []
        sockets: list[UdpSocket] = []
        placeholder = [Listener("udp:127.0.0.1:0", "UDP", "127.0.0.1", 0)]
        domains = list(settings.served)
        stack = Stack(placeholder, Self(domains, placeholder), secret, secrets.token_hex(6))
        self.stack = stack
        self.endpoint = Endpoint(stack, loop, self._enter, _nowhere)
        self.connections = Connections(
            on_message=self.endpoint.message,
            on_closed=_nothing,
            on_failed=self.endpoint.undelivered,
            on_malformed=self._malformed,
        )
        for listen in settings.listen:
            host, port = listen.place
            if listen.transport == "UDP":
                try:
                    sock = bind_udp(host, port)
                except OSError as error:
                    raise ConfigurationError(f"listen: {listen.address}: {error.strerror}") from error
                port = sock.getsockname()[1]
                udp = UdpSocket(listener_id("UDP", host, port), sock, self.endpoint)
                self.endpoint.sockets[udp.id] = udp
                sockets.append(udp)
            else:
                stream = await self.connections.listen(listen.transport, host, port)
                port = stream.port
            listeners.append(
                Listener(listener_id(listen.transport, host, port), listen.transport, *listen.advertised(port))
            )
        stack.layer.listen(listeners)
        stack.element = Self(domains, listeners)
        self.endpoint.streams = self.connections
        policy = Policy(flow_secret=secret)
        hops = [NextHop(hop.domain, hop.prefix, hop.uri) for hop in settings.setup.next_hops]
        proxy = Proxy(
            stack.element,
            domains[0],
            Lookup(self.store, secret),
            Registrar(self.store, policy),
            options,
            hops,
            settings.setup.relay,
        )
        self.application = compose([Errors, Validate], proxy)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 100)
        for udp in sockets:
            udp.start(loop)
        return [listener.id for listener in listeners]

    def _enter(self, incoming: Incoming) -> Any:
        transaction = ServerTransaction(self.stack, incoming, self.endpoint.now)
        transaction.trusted = True
        return self.application(transaction)

    def _malformed(self, head: bytes, flow: Flow, error: ParseError) -> None:
        self.stack.refuse(head, flow, error)
        self.endpoint.turn()

    async def serve(self, ready: Callable[[list[str]], None] | None = None) -> None:
        """Start, and serve until `stop`."""
        places = await self.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if ready is not None:
            ready(places)
        await self._stop.wait()
        for udp in self.endpoint.sockets.values():
            udp.stop(loop)
        await self.connections.close()
        await self.store.close()

    def stop(self) -> None:
        """End serving."""
        self._stop.set()


async def _nowhere(uri: Uri) -> list[Flow]:
    return []


def _nothing(flow: Flow) -> None:
    return None


def run(server: Server, ready: Callable[[list[str]], None] | None = None) -> None:
    """Serve in this thread, on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(server.serve(ready))
    else:
        uvloop.run(server.serve(ready))
