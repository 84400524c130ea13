"""Serving HTTP in the event loop of the SIP server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from ringback.errors import ConfigurationError

__all__ = ["WebServer"]

#: Requests that may be under way: metrics are for a handful of askers.
_MOST_REQUESTS: Final = 64
#: Seconds that a connection may be idle.
_KEEP_ALIVE: Final = 10
#: Seconds that requests may take to end when the server does.
_PATIENCE: Final = 2


class _Uvicorn(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the SIP server's to handle."""
        yield


class WebServer:
    """One HTTP server on a socket that is bound before anything else starts, so that a taken port is known at once."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """Bind. Raises ConfigurationError when the address can not be had; port 0 takes any."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((host, port))
            # From here on nobody is refused: who comes before `serve` waits for it.
            self._socket.listen()
        except OSError as error:
            self._socket.close()
            raise ConfigurationError(
                f"web.listen: {_shown(host, port)} can not be had: {error.strerror}; "
                "choose another, or none with --no-web"
            ) from error
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                limit_concurrency=_MOST_REQUESTS,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_PATIENCE,
                server_header=False,
            )
        )
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def url(self) -> str:
        """Where it is found."""
        return f"http://{_shown(*self._socket.getsockname()[:2])}"

    async def serve(self) -> None:
        """Serve until `stop` is called."""
        self._ended.clear()
        try:
            await self._uvicorn.serve(sockets=[self._socket])
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End `serve` after the requests that are under way, which get a few seconds; connections are closed then."""
        self._uvicorn.should_exit = True
        await self._ended.wait()

    def close(self) -> None:
        """Let go of a socket that was never served on."""
        self._socket.close()


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
