"""Where the metrics of a running server are read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from ringback.net.endpoint import Endpoint
from ringback.net.streams import Connections
from ringback.server.logs import SecurityLog
from ringback.server.metrics import Metrics
from ringback.server.runtime.storage import Storage
from ringback.server.supervisor import Supervisor

__all__ = ["AccountCount", "register_metrics"]

#: Seconds for which a count of the accounts is good: it has to read all of them.
_ACCOUNTS_GOOD_FOR: Final = 60.0


class AccountCount:
    """How many accounts there are, counted now and then."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._count = 0
        self._until = float("-inf")

    async def get(self) -> float:
        """The count, at most a minute old."""
        now = time.monotonic()
        if now >= self._until:
            self._until = now + _ACCOUNTS_GOOD_FOR
            count = 0
            async for _ in self._storage.accounts.scan():
                count += 1
            self._count = count
        return self._count


def register_metrics(
    metrics: Metrics,
    endpoint: Endpoint,
    connections: Connections,
    storage: Storage,
    requests: Mapping[str, int],
    security: SecurityLog,
    supervisor: Supervisor,
) -> None:
    """Tell `metrics` where everything is counted."""
    layer = endpoint.stack.layer
    metrics.counter("requests", "Requests that opened a transaction, and ACKs, by method.", lambda: requests, "method")
    metrics.gauge(
        "transactions",
        "Transactions that run.",
        lambda: {"server": len(layer.servers), "client": len(layer.clients)},
        "side",
    )
    metrics.gauge("timers", "SIP timers that run.", layer.timers.count)
    metrics.gauge("suspended_requests", "Requests whose handling waits for something.", lambda: len(endpoint.tasks))
    metrics.counter("dropped_messages", "Messages that were not read: floods.", lambda: endpoint.dropped)
    metrics.counter("undelivered_messages", "Messages that could not be sent.", lambda: endpoint.failures)
    metrics.counter("datagrams_received", "Datagrams received.", lambda: _by_socket(endpoint, "received"), "socket")
    metrics.counter("datagrams_sent", "Datagrams sent.", lambda: _by_socket(endpoint, "sent"), "socket")
    metrics.counter(
        "datagrams_refused",
        "Datagrams that the kernel did not take.",
        lambda: _by_socket(endpoint, "refused"),
        "socket",
    )
    metrics.gauge("connections", "Stream connections.", lambda: connections.count)
    metrics.gauge("connections_buffered_octets", "Octets kept for stream connections.", lambda: connections.buffered)
    metrics.counter(
        "connection_events", "What happened to stream connections.", lambda: connections.counters.snapshot(), "event"
    )
    metrics.gauge("registered_addresses", "Addresses of record with bindings.", storage.location.count)
    metrics.gauge("accounts", "Accounts, counted once a minute.", AccountCount(storage).get)
    metrics.counter("store_writes", "Writes that were asked of the store.", lambda: storage.disk.statistics().writes)
    metrics.counter("store_transactions", "Commits of the store.", lambda: storage.disk.statistics().transactions)
    metrics.counter("store_failures", "Commits that failed.", lambda: storage.disk.statistics().failures)
    metrics.counter("store_refused", "Writes refused: too many waited.", lambda: storage.disk.statistics().refused)
    metrics.gauge("store_pending", "Writers that wait for a commit.", lambda: storage.disk.statistics().pending)
    metrics.counter("security_events", "Security events.", lambda: security.counts, "event")
    metrics.counter("task_crashes", "Crashes of background tasks.", lambda: supervisor.crashes)


def _by_socket(endpoint: Endpoint, name: str) -> dict[str, float]:
    return {id: getattr(sock, name) for id, sock in endpoint.sockets.items()}
