"""The metrics of a running server: each is there, and says what has happened."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.server.accounts import add
from ringback.server.runtime import Server
from ringback.server.runtime import counting as module
from ringback.server.runtime.storage import open_storage
from tests.server.running import DOMAIN, Phone, configured, make_accounts, started, until

NAMES = {
    *("requests", "transactions", "timers", "suspended_requests", "dropped_messages", "undelivered_messages"),
    *("datagrams_received", "datagrams_sent", "datagrams_refused", "connections", "connections_buffered_octets"),
    *("connection_events", "registered_addresses", "accounts", "store_writes", "store_transactions"),
    *("store_failures", "store_refused", "store_pending", "security_events", "task_crashes"),
}


async def test_everything_counts(tmp_path: Path) -> None:
    await make_accounts(tmp_path, "alice", "bob")
    async with started(Server(configured(tmp_path))) as server:
        udp, tcp = server.places
        before: Any = await server.metrics.values()
        assert set(before) == NAMES
        assert set(before["requests"]) == {
            *("REGISTER", "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH"),
            *("REFER", "INFO", "UPDATE", "PRACK", "other"),
        }
        assert sum(before["requests"].values()) == 0
        assert before["registered_addresses"] == 0
        async with Phone.of(server, "alice") as alice, Phone.of(server, "bob", "TCP") as bob:
            await alice.register()
            await bob.register()
            assert (await alice.ask("DANCE", f"sip:bob@{DOMAIN}")).status == 407
            alice.send(await alice.proved("INVITE", f"sip:bob@{DOMAIN}"))
            await bob.incoming()
            now: Any = await server.metrics.values()
            # The challenge left no transaction behind (8.2.7), so the ACK to it is one of its own.
            assert {name: count for name, count in now["requests"].items() if count} == {
                "REGISTER": 4,
                "other": 1,
                "INVITE": 2,
                "ACK": 1,
            }
            assert now["transactions"]["client"] == 1 and now["transactions"]["server"] >= 1
            assert now["timers"] >= 2
            assert (now["registered_addresses"], now["accounts"], now["connections"]) == (2, 2, 1)
            # Two REGISTER, DANCE, two INVITE and the ACK between them.
            assert now["datagrams_received"] == {udp: 6}
            # A 100 (Trying) goes out only when the callee has been silent for 200 ms.
            assert now["datagrams_sent"][udp] in (4, 5)
            assert (now["connection_events"]["accepted"], now["connection_events"]["received"]) == (1, 2)
            assert now["store_writes"] - before["store_writes"] == 2
            assert 1 <= now["store_transactions"] - before["store_transactions"] <= 2
            assert now["security_events"]["SuccessfulAuth"] == 3
            assert (now["dropped_messages"], now["undelivered_messages"], now["task_crashes"]) == (0, 0, 0)
            assert (now["store_failures"], now["store_refused"], now["store_pending"]) == (0, 0, 0)
        await until(lambda: server.connections.count == 0)
        assert tcp.startswith("tcp:")


async def test_accounts_are_counted_once_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a look at all of them."""
    clock = [50.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    await make_accounts(tmp_path, "alice")
    async with open_storage(configured(tmp_path)) as storage:
        count = module.AccountCount(storage)
        assert await count.get() == 1
        await add(storage.accounts, "bob", DOMAIN, DOMAIN, "the secret of bob", 0.0)
        clock[0] += 59.9
        assert await count.get() == 1
        clock[0] += 0.1
        assert await count.get() == 2


