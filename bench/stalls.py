"""How long the store holds up the event loop: ``python -m bench.stalls [--bindings 1000000] [--restart 100000]``.

Row 4 measures the same from outside, over SIP, with all that a busy machine adds. This looks from inside, at one turn
of the event loop at a time, and tells apart what the turn has computed (CPU of the loop's thread, which other processes
do not change) from what passed on the clock (which they do). No turn may compute for 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from bench.figures import quantile
from ringback.store import BindingRow, SqliteStore, open_store

LIMIT_MS = 50.0
RESTART_LIMIT_SECONDS = 5.0
TURN = 64
"""Requests that one turn of the loop takes, as the server's sockets do."""
SWEEP_SECONDS = 0.25
SWEEP_LIMIT = 2000


@dataclass
class Turns:
    """What each turn of the loop took, in milliseconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    async def watch(self) -> None:
        """Come back each turn until cancelled, and note what came between."""
        while True:
            wall, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0)
            self.wall.append((time.perf_counter() - wall) * 1000)
            self.cpu.append((time.thread_time() - cpu) * 1000)

    def __str__(self) -> str:
        return (
            f"{len(self.cpu):,} turns of the loop: "
            f"CPU p99 {quantile(self.cpu, 0.99):.2f}, longest {max(self.cpu):.1f} ms; "
            f"clock p99 {quantile(self.wall, 0.99):.2f}, longest {max(self.wall):.1f} ms"
        )


def row(number: int, now: float) -> BindingRow:
    """What the server keeps of a phone that bench/flood.py registers."""
    return BindingRow(
        f"sip:m{number}@127.0.0.1:5070", now + 3600, 1000, f"m{number}-45147@flood", 1, user_agent="Example Phone/4.2",
        updated=now,
    )  # fmt: skip


def key(number: int) -> str:
    """The address of record of a phone."""
    return f"m{number}@bench.example"


async def load(store: SqliteStore, count: int) -> tuple[float, Turns, float]:
    """Register `count` phones, looking one up for each.

    Returns the seconds, the turns, and the longest look-up in milliseconds of CPU.
    """
    location, turns = store.location, Turns()
    watching = asyncio.ensure_future(turns.watch())
    sweeping = asyncio.ensure_future(sweep(store))
    now, began, longest = time.time(), time.perf_counter(), 0.0
    for first in range(0, count, TURN):
        for number in range(first, min(first + TURN, count)):
            commit = location.submit(key(number), (row(number, now),), (), now)
            cpu = time.thread_time()
            found = location.peek(key(number * 7919 % (number + 1)), now)
            longest = max(longest, time.thread_time() - cpu)
            assert len(found) == 1
        if first % (TURN * 4) == 0:
            # No more at the disk than it takes, as the server's callers wait for their answers.
            await commit
        else:
            await asyncio.sleep(0)
    await commit
    seconds = time.perf_counter() - began
    watching.cancel()
    sweeping.cancel()
    return seconds, turns, longest * 1000


async def sweep(store: SqliteStore) -> None:
    """Look for what has expired, as the server does all the time."""
    while True:
        await store.location.sweep(time.time(), SWEEP_LIMIT)
        await asyncio.sleep(SWEEP_SECONDS)


def fill_and_die(place: Path, count: int) -> None:
    """In a process of its own: load, then end as by kill -9."""

    async def main() -> None:
        store = await open_store(place)
        assert isinstance(store, SqliteStore)
        await load(store, count)
        os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())


async def reopen(place: Path, count: int) -> tuple[float, Turns]:
    """Open what a killed process has left: the seconds until everything is found, and the turns meanwhile."""
    turns = Turns()
    watching = asyncio.ensure_future(turns.watch())
    await asyncio.sleep(0)
    began = time.perf_counter()
    store = await open_store(place)
    seconds = time.perf_counter() - began
    watching.cancel()
    assert await store.location.count() == count
    await store.close()
    return seconds, turns


async def measure(folder: Path, bindings: int, restart: int) -> bool:
    """Print what is found; whether all limits are kept."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    store = await open_store(folder / "load")
    assert isinstance(store, SqliteStore)
    seconds, turns, longest = await load(store, bindings)
    print(f"{bindings:,} bindings loaded in {seconds:.1f} s, {bindings / seconds:,.0f}/s; {turns}")
    print(f"a look-up meanwhile: longest {longest:.2f} ms of CPU")
    kept = max(turns.cpu) <= LIMIT_MS and longest <= LIMIT_MS
    after = Turns()
    watching = asyncio.ensure_future(after.watch())
    seen = 0
    async for _ in store.location.scan(time.time()):
        seen += 1
    watching.cancel()
    assert seen == bindings
    print(f"all of them listed; {after}")
    kept = kept and max(after.cpu) <= LIMIT_MS
    del turns, after
    cpu = time.thread_time()
    gc.collect()
    print(f"a full collection of garbage: {(time.thread_time() - cpu) * 1000:.1f} ms of CPU")
    await store.close()
    for count in {restart, bindings}:
        place = folder / f"restart{count}"
        child = get_context("spawn").Process(target=fill_and_die, args=(place, count))
        child.start()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        seconds, turns = await reopen(place, count)
        print(f"{count:,} bindings back {seconds:.2f} s after a kill; {turns}")
        kept = kept and (count > restart or seconds <= RESTART_LIMIT_SECONDS)
    return kept


def main() -> int:
    """Measure as the command line says; 1 when a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m bench.stalls", description=__doc__)
    parser.add_argument("--bindings", type=int, default=1_000_000)
    parser.add_argument("--restart", type=int, default=100_000)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ringback-stalls-", dir="build" if Path("build").is_dir() else None))
    try:
        kept = asyncio.run(measure(folder, given.bindings, given.restart))
    finally:
        shutil.rmtree(folder)
    print(f"no turn over {LIMIT_MS:.0f} ms of CPU, back in {RESTART_LIMIT_SECONDS:.0f} s: {'yes' if kept else 'NO'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
