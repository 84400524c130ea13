"""The stream connections of a user agent, which opens them on purpose and waits until they are open.

A registration is made over one connection and depends on it (RFC 5626 4.2), so a user agent has to have it in its hands
before it sends anything: its number, and the address that it has at our end.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ringback.net.connection import OPEN, Connection
from ringback.net.streams import Connections
from ringback.sip.transport import Flow

__all__ = ["Streams"]


class Streams(Connections):
    """`Connections` that can be waited for."""

    def __init__(self, **options: Any) -> None:
        """Options are those of `Connections`."""
        super().__init__(**options)
        self._opening: dict[int, list[asyncio.Future[Flow]]] = {}

    async def connect(self, flow: Flow) -> Flow:
        """The flow of an open connection to where `flow` leads: one that is there, else a new one.

        Raises OSError, which says why, when there is none.
        """
        connection = self.connection_for(flow)
        if connection is None:
            connection = None if flow.connection or self._closing else self._open(flow)
        if connection is None:
            raise ConnectionError("it is closed" if flow.connection else f"{flow.transport} is not to be had here")
        if connection.state == OPEN:
            return connection.flow
        waiting: asyncio.Future[Flow] = asyncio.get_running_loop().create_future()
        self._opening.setdefault(connection.number, []).append(waiting)
        return await waiting

    def local_end(self, flow: Flow) -> tuple[str, int] | None:
        """Address and port of our end of an open connection; None when there is none."""
        connection = self.connection_for(flow)
        if connection is None or connection.wire is None:
            return None
        name = connection.wire.get_extra_info("sockname")
        return (name[0], name[1]) if name else None

    # what connections report -----------------------------------------------------------------------------------------

    def opened(self, connection: Connection) -> None:
        """It is open: tell who waits."""
        super().opened(connection)
        for waiting in self._opening.pop(connection.number, ()):
            if not waiting.done():
                waiting.set_result(connection.flow)

    def lost(self, connection: Connection) -> None:
        """It is gone, or never came to be."""
        for waiting in self._opening.pop(connection.number, ()):
            if not waiting.done():
                waiting.set_exception(ConnectionError(connection.reason or "closed"))
        super().lost(connection)
