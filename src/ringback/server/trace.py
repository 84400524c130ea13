"""Live tracing: every message and every decision, for whoever watches, at no cost to calls when nobody does.

A watcher has a queue with a bound. What does not fit is dropped and counted: a slow terminal never slows the server.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from ringback.net.endpoint import Endpoint
from ringback.server.logs import redact
from ringback.sip.plan import Decision
from ringback.sip.transport import Flow, bracketed

__all__ = ["Tracer", "Watcher"]

#: Messages and decisions that wait for one watcher.
QUEUE: Final = 2000
#: Watchers at a time.
MOST_WATCHERS: Final = 16
#: Octets of one message that are shown.
LONGEST: Final = 65536
# Calls of a watched user that are remembered, so that their decisions are shown too.
_MOST_CALLS: Final = 1000
# What names the user whom a message is about: its first line, From and To.
_NAMING: Final = re.compile(rb"(?i)\A[^\r\n]*|(?<=\n)(?:from|f|to|t)[ \t]*:[^\r\n]*")


class Watcher:
    """One who watches, and what is to be shown to him.

    user     only messages whose From, To or Request-URI has this user ("alice" or "alice@example.org"); "" for all
    call_id  only messages of this Call-ID; "" for all
    """

    def __init__(self, user: str = "", call_id: str = "", size: int = QUEUE) -> None:
        self.dropped: int = 0
        self._user: re.Pattern[bytes] | None = _uri_of(user) if user else None
        self._call_id: str = call_id
        self._calls: OrderedDict[str, None] = OrderedDict()
        self._queue: deque[dict[str, Any]] = deque()
        self._size = size
        self._filled = asyncio.Event()

    def wants(self, data: bytes) -> bool:
        """Whether a message is to be shown."""
        head = data.partition(b"\r\n\r\n")[0]
        if self._call_id and self._call_id != _header(head.decode("utf-8", "replace"), "call-id", "i"):
            return False
        user = self._user
        return user is None or any(user.search(line) for line in _NAMING.findall(head))

    def remember(self, call_id: str) -> None:
        """Show the decisions of this call, too."""
        self._calls[call_id] = None
        if len(self._calls) > _MOST_CALLS:
            self._calls.popitem(last=False)

    def wants_call(self, call_id: str) -> bool:
        """Whether the decisions about a call are to be shown."""
        if self._call_id and call_id != self._call_id:
            return False
        return self._user is None or call_id in self._calls

    def put(self, entry: dict[str, Any]) -> None:
        """Show one thing, or drop it when the watcher is too slow."""
        if len(self._queue) >= self._size:
            self.dropped += 1
            return
        self._queue.append(entry)
        self._filled.set()

    async def take(self) -> list[dict[str, Any]]:
        """What there is to show, at least one thing; how much was dropped comes first."""
        await self._filled.wait()
        self._filled.clear()
        entries = list(self._queue)
        self._queue.clear()
        if self.dropped:
            entries.insert(0, {"kind": "dropped", "count": self.dropped})
            self.dropped = 0
        return entries


class Tracer:
    """Taps the endpoint while somebody watches.

    wall  seconds since the epoch
    """

    def __init__(self, endpoint: Endpoint, wall: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._wall = wall
        self._watchers: list[Watcher] = []

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    def watch(self, watcher: Watcher) -> bool:
        """Begin to show; False when too many watch already."""
        if len(self._watchers) >= MOST_WATCHERS:
            return False
        self._watchers.append(watcher)
        self._endpoint.tap = self._message
        self._endpoint.stack.explain = True
        return True

    def leave(self, watcher: Watcher) -> None:
        """Show no more."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)
        if not self._watchers:
            self._endpoint.tap = None
            self._endpoint.stack.explain = False

    def _message(self, received: bool, data: bytes, flow: Flow, now: float) -> None:
        """The endpoint's tap."""
        entry: dict[str, Any] | None = None
        for watcher in self._watchers:
            if not watcher.wants(data):
                continue
            if entry is None:
                entry = self._entry(received, data, flow, now)
            watcher.remember(entry["call_id"])
            watcher.put(entry)

    def _entry(self, received: bool, data: bytes, flow: Flow, now: float) -> dict[str, Any]:
        text = redact(data[:LONGEST].decode("utf-8", "backslashreplace"))
        head = text.partition("\r\n\r\n")[0]
        return {
            "kind": "message",
            "at": self._wall_time(now),
            "received": received,
            "local": flow.local,
            "peer": f"{flow.transport.lower()}:{bracketed(flow.host)}:{flow.port}",
            "call_id": _header(head, "call-id", "i"),
            "cseq": _header(head, "cseq"),
            "text": text,
        }

    def decided(self, call_id: str, method: str, decisions: Iterable[Decision]) -> None:
        """Something was decided about a request."""
        shown = [
            {
                "kind": "decision",
                "at": self._wall_time(decision.at),
                "call_id": call_id,
                "method": method,
                "what": decision.what,
                "target": redact(decision.target),
                "status": decision.status,
                "reason": redact(decision.reason),
            }
            for decision in decisions
        ]
        for watcher in self._watchers:
            if watcher.wants_call(call_id):
                for entry in shown:
                    watcher.put(entry)

    def _wall_time(self, at: float) -> float:
        return self._wall() - (self._endpoint.loop.time() - at)


def _uri_of(user: str) -> re.Pattern[bytes]:
    """What finds a URI of `user`, "alice" or "alice@example.org"; a tel: URI has no host that could differ."""
    name, at, domain = (re.escape(part.encode()) for part in user.partition("@"))
    host = rb"(?i:%b)(?![\w.-])" % domain if at else b""
    return re.compile(rb"(?i:sips?):%b(?:[:;][^@\s<>]*)?@%b|(?i:tel):%b(?![\w.-])" % (name, host, name))


def _header(head: str, *names: str) -> str:
    """The value of the first header with one of these names, "" for none."""
    for line in head.split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon and name.strip().lower() in names:
            return value.strip()
    return ""
