"""What can be asked of a running server on its control socket."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import ringback
from ringback.errors import LocalError
from ringback.server.bindings import shown_bindings
from ringback.server.control import Arguments, Command, Feed
from ringback.server.trace import Watcher

if TYPE_CHECKING:
    from ringback.server.runtime.server import Server

__all__ = ["Commands"]

#: Bindings that one answer lists.
MOST_BINDINGS: Final = 10_000


class Commands:
    """The commands and feeds of one server's control socket."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.commands: Mapping[str, Command] = {
            "status": self._status,
            "bindings": self._bindings,
            "remove": self._remove,
            "reload": self._reload,
            "accounts": self._accounts,
        }
        self.feeds: Mapping[str, Feed] = {"trace": self._trace}

    async def _status(self, arguments: Arguments) -> dict[str, Any]:
        """How it is."""
        server = self._server
        details = server.health()[1]
        return {
            **details,
            "pid": os.getpid(),
            "version": ringback.__version__,
            "python": platform.python_version(),
            "compiled": ringback.compiled(),
            "domains": list(server.settings.served),
            "listening": server.places,
            "web": None if server.web is None else server.web.url,
            "data": str(server.settings.data.absolute()),
            "tasks": server.supervisor.running,
            "watchers": server.tracer.watchers,
            "worst_lag": server.metrics.lag.worst,
            "values": await server.metrics.values(),
        }

    async def _bindings(self, arguments: Arguments) -> dict[str, Any]:
        """The bindings of one address of record, or of all."""
        return await shown_bindings(self._server.storage.location, _text(arguments, "aor"), time.time(), MOST_BINDINGS)

    async def _remove(self, arguments: Arguments) -> int:
        """Remove the bindings of an address of record, or only the one of a contact; how many that were."""
        aor = _text(arguments, "aor")
        if not aor:
            raise LocalError("which address of record? alice@example.org")
        contact = _text(arguments, "contact")
        location = self._server.storage.location
        now = time.time()
        before = await location.bindings(aor, now)
        kept = tuple(row for row in before if contact and row.contact != contact)
        if len(kept) < len(before):
            await location.replace(aor, kept, before, now)
        return len(before) - len(kept)

    async def _reload(self, arguments: Arguments) -> list[str]:
        """Certificates and configuration."""
        return self._server.reload()

    async def _accounts(self, arguments: Arguments) -> bool:
        """Take notice of changed accounts now, instead of within a second."""
        self._server.storage.accounts.refresh()
        return True

    async def _trace(self, arguments: Arguments) -> AsyncIterator[dict[str, Any]]:
        """Messages and decisions, live."""
        watcher = Watcher(_text(arguments, "user"), _text(arguments, "call_id"))
        tracer = self._server.tracer
        if not tracer.watch(watcher):
            raise LocalError("too many watch already")
        try:
            yield {"kind": "begin", "listening": self._server.places, "pid": os.getpid()}
            while True:
                for entry in await watcher.take():
                    yield entry
        finally:
            tracer.leave(watcher)


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name, "")
    if not isinstance(value, str):
        raise LocalError(f"{name} has to be text")
    return value
