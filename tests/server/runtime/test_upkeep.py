"""Expired bindings go, and those of connections that are gone; on a virtual clock."""

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ringback.errors import StoreError
from ringback.server.location import Registrar, Served, binding_policy
from ringback.server.runtime.upkeep import (
    CALM,
    CLOSED_AT_ONCE,
    COLLECT_INTERVAL,
    FLOOD_INTERVAL,
    SWEEP_ROUND,
    SWEEP_STEP,
    Upkeep,
)
from ringback.sip.message import Request
from ringback.sip.parser import parse
from ringback.sip.route import Self
from ringback.sip.transport import Flow, Listener
from ringback.store import BindingRow, BindingRows, MemoryStore
from tests.server.clock import run
from tests.server.running import Logs

LISTENER = Listener("tcp:192.0.2.1:5060", "TCP", "192.0.2.1", 5060)


class Place:
    """A registrar whose wall clock is the loop's, its store, and upkeep over both."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        served = Served(("example.org",), Self(["example.org"], [LISTENER]))
        policy = binding_policy(served, bytes(32))
        self.registrar = Registrar(
            self.store.location, served, policy, wall=lambda: asyncio.get_running_loop().time()
        )
        self.logs = Logs()
        self.floods: list[tuple[str, int]] = []
        self.running = 0
        self.upkeep = Upkeep(
            self.registrar, self.store.location, self.logs.logger, self._take_floods, lambda: self.running
        )

    def _take_floods(self) -> list[tuple[str, int]]:
        taken, self.floods = self.floods, []
        return taken

    async def put(self, user: str, expires: float) -> None:
        row = BindingRow(f"sip:{user}@192.0.2.9", expires)
        await self.store.location.replace(f"{user}@example.org", (row,), (), 0.0)

    async def register(self, user: str, connection: int) -> Flow:
        """An outbound registration over a connection."""
        flow = Flow("TCP", LISTENER.id, "198.51.100.7", 40_000 + connection, connection)
        lines = [
            "REGISTER sip:example.org SIP/2.0",
            f"Via: SIP/2.0/TCP 198.51.100.7:{flow.port};branch=z9hG4bK{user}",
            "Max-Forwards: 70",
            f"From: <sip:{user}@example.org>;tag=1",
            f"To: <sip:{user}@example.org>",
            f"Call-ID: {user}{connection}",
            "CSeq: 1 REGISTER",
            "Supported: outbound, path",
            f'Contact: <sip:{user}@10.0.0.1>;reg-id=1;+sip.instance="<urn:uuid:{user}{connection}>"',
        ]
        request = parse(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert isinstance(request, Request)
        assert (await self.registrar.register(request, flow, "")).status == 200
        return flow

    async def addresses(self) -> int:
        return await self.store.location.count()


async def beside(work: Callable[[], Coroutine[Any, Any, None]], main: Coroutine[Any, Any, None]) -> None:
    """Run `main` while `work` runs."""
    task = asyncio.ensure_future(work())
    try:
        await main
    finally:
        assert not task.done() or task.exception() is None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TestSweep:
    def test_what_has_expired_goes_within_a_second_in_a_small_domain(self) -> None:
        place = Place()

        async def main() -> None:
            now = asyncio.get_running_loop().time()
            await place.put("alice", now + 10.0)
            await place.put("bob", now + 60.0)
            await asyncio.sleep(9.9)
            assert await place.addresses() == 2
            await asyncio.sleep(1.2)
            assert await place.addresses() == 1
            await asyncio.sleep(60.0)
            assert await place.addresses() == 0

        run(beside(place.upkeep.sweep, main()))

    def test_everything_within_a_round_in_a_large_one(self) -> None:
        """A few at a time, so that nobody waits, and all within five minutes however many there are."""
        steps: list[int] = []
        place = Place()
        sweep = place.registrar.sweep

        class Counting:
            async def sweep(self, limit: int) -> int:
                steps.append(limit)
                return await sweep(limit)

        class Many:
            async def count(self) -> int:
                return SWEEP_STEP * SWEEP_ROUND * 2

        upkeep = Upkeep(Counting(), Many(), place.logs.logger, list, int)  # type: ignore[arg-type]

        async def main() -> None:
            await upkeep.sweep_some()
            # Two steps and the one more that rounding asks for.
            assert steps == [SWEEP_STEP] * 3

        run(main())

    def test_a_store_that_fails_is_asked_again(self) -> None:
        place = Place()

        class Failing:
            calls = 0

            async def sweep(self, limit: int) -> int:
                Failing.calls += 1
                raise StoreError("disk full")

        upkeep = Upkeep(Failing(), place.store.location, place.logs.logger, list, int)  # type: ignore[arg-type]

        async def main() -> None:
            await asyncio.sleep(3.5)

        run(beside(upkeep.sweep, main()))
        assert Failing.calls == 3
        entry = {"event": "expired bindings could not be removed", "level": "error", "error": "disk full"}
        assert place.logs.of("expired bindings could not be removed") == [entry] * 3


class TestClosed:
    def test_bindings_go_with_their_connection(self) -> None:
        place = Place()

        async def main() -> None:
            first, second = await place.register("alice", 1), await place.register("bob", 2)
            place.upkeep.closed(first)
            await asyncio.sleep(0.1)
            assert await place.store.location.bindings("alice@example.org", 0.0) == ()
            assert len(await place.store.location.bindings("bob@example.org", 0.0)) == 1
            place.upkeep.closed(second)
            await asyncio.sleep(0.1)
            assert await place.addresses() == 0

        run(beside(place.upkeep.let_go, main()))

    def test_connections_that_nobody_registered_over_do_not_wait(self) -> None:
        """However many come and go while the store is slow: they cost nothing."""
        place = Place()

        async def main() -> None:
            for number in range(1000):
                place.upkeep.closed(Flow("TCP", LISTENER.id, "198.51.100.7", number, number + 1))
            assert len(place.upkeep._closed) == 0

        run(main())

    def test_a_connection_that_ends_before_its_registration_is_stored(self) -> None:
        """Neither the binding stays, which leads nowhere, nor the note about its connection, which never ends again."""
        place = Place()
        location = place.store.location
        stored: list[bool] = []

        class Disk:
            """Shows what is written at once, as embedded drivers do, and is done with it a second later."""

            bindings = location.bindings

            async def replace(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> None:
                await location.replace(aor, rows, previous, now)
                await asyncio.sleep(1.0)
                stored.append(True)

        place.registrar.store = Disk()  # type: ignore[assignment]

        async def main() -> None:
            registering = asyncio.ensure_future(place.register("alice", 1))
            await asyncio.sleep(0.5)
            place.upkeep.closed(Flow("TCP", LISTENER.id, "198.51.100.7", 40_001, 1))
            flow = await registering
            assert stored == [True]
            await asyncio.sleep(2.0)
            assert await place.addresses() == 0
            assert not place.registrar.holds(flow)

        run(beside(place.upkeep.let_go, main()))

    def test_many_at_once(self) -> None:
        """A restart of a switch ends all connections behind it in the same second."""
        place = Place()
        running, most = 0, 0
        closed = place.registrar.closed

        class Slow:
            def holds(self, flow: Flow) -> bool:
                return place.registrar.holds(flow)

            async def closed(self, flow: Flow) -> int:
                nonlocal running, most
                running += 1
                most = max(most, running)
                await asyncio.sleep(1.0)
                running -= 1
                return await closed(flow)

        upkeep = Upkeep(Slow(), place.store.location, place.logs.logger, list, int)  # type: ignore[arg-type]

        async def main() -> None:
            flows = [await place.register(f"u{number}", number + 1) for number in range(200)]
            for flow in flows:
                upkeep.closed(flow)
            await asyncio.sleep(3.9)
            assert await place.addresses() == 200 - 3 * CLOSED_AT_ONCE
            await asyncio.sleep(1.0)
            assert await place.addresses() == 0

        run(beside(upkeep.let_go, main()))
        assert most == CLOSED_AT_ONCE

    def test_one_that_fails_keeps_no_other(self) -> None:
        place = Place()

        class Failing:
            def holds(self, flow: Flow) -> bool:
                return True

            async def closed(self, flow: Flow) -> int:
                if flow.connection == 1:
                    raise StoreError("disk full")
                return await place.registrar.closed(flow)

        upkeep = Upkeep(Failing(), place.store.location, place.logs.logger, list, int)  # type: ignore[arg-type]

        async def main() -> None:
            for flow in [await place.register("alice", 1), await place.register("bob", 2)]:
                upkeep.closed(flow)
            await asyncio.sleep(0.1)
            assert await place.addresses() == 1

        run(beside(upkeep.let_go, main()))
        assert [entry["error"] for entry in place.logs.of("bindings of a closed connection are still there")] == [
            "disk full"
        ]




class TestFloods:
    def test_a_line_names_those_who_sent_most(self) -> None:
        place = Place()

        async def main() -> None:
            place.floods = [(f"192.0.2.{number}", number) for number in range(1, 8)]
            await asyncio.sleep(FLOOD_INTERVAL - 0.1)
            assert place.logs.of("messages were dropped: a flood") == []
            await asyncio.sleep(2 * FLOOD_INTERVAL)

        run(beside(place.upkeep.watch_floods, main()))
        [entry] = place.logs.of("messages were dropped: a flood")
        assert (entry["level"], entry["dropped"], entry["sources"]) == ("warning", 28, 7)
        assert entry["most"] == "192.0.2.7 (7), 192.0.2.6 (6), 192.0.2.5 (5), 192.0.2.4 (4), 192.0.2.3 (3)"


class _Knot:
    """Holds itself: only the collector frees it."""

    def __init__(self) -> None:
        self.self = self


class TestCollect:
    @pytest.mark.parametrize(("running", "freed"), [(CALM, True), (CALM + 1, False)])
    def test_old_cycles_go_in_calm_moments(self, running: int, freed: bool) -> None:
        place = Place()
        place.running = running

        async def main() -> None:
            gc.disable()
            try:
                knot = weakref.ref(_Knot())
                await asyncio.sleep(COLLECT_INTERVAL - 1.0)
                assert knot() is not None
                await asyncio.sleep(2.0)
                assert (knot() is None) == freed
            finally:
                gc.enable()

        run(beside(place.upkeep.collect, main()))
