"""The thread that writes: one transaction a batch, and one report whatever becomes of it."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import StoreError
from ringback.store.index import ABSENT, PackedIndex, pack
from ringback.store.sqlite.schema import create_file
from ringback.store.sqlite.writer import Batch, Report, Writer
from tests.store.rows import rows
from tests.store.sqlite.files import execute, read

ONE, TWO = pack(rows("sip:a@1")), pack(rows("sip:a@2"))


class Rig:
    """A writer on a file, and the reports that it has made."""

    def __init__(self, path: Path, **settings: Any) -> None:
        create_file(path)
        self.path = path
        self.index = PackedIndex(1)
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        settings = {"patience": 0.05, "synchronous": "NORMAL", "load": True, "slack": 1000, **settings}
        self.writer = Writer(path, self.index, self.reports.put_nowait, **settings)

    async def write(self, writes: dict[str, bytes], *statements: str, outdated: Any = ()) -> Report:
        """What becomes of a batch."""
        batch = Batch(asyncio.get_running_loop())
        batch.writes = writes
        batch.statements = [(statement, ()) for statement in statements]
        batch.outdated = outdated
        self.writer.put(batch)
        return await self.reports.get()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


def done(entries: int) -> Report:
    return Report(entries, outdated=[])


def writing_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ringback-store"]


async def test_it_makes_the_file_and_reads_it_again(path: Path) -> None:
    rig = Rig(path)
    assert await rig.writer.start() == 0
    assert await rig.write({"a": ONE, "b": ONE}) == done(2)
    assert await rig.write({"a": TWO, "b": ABSENT}, "INSERT INTO secret VALUES ('s', x'01')") == done(4)
    await rig.writer.stop()
    assert read(path) == {"a": rows("sip:a@2")}
    again = Rig(path)
    assert await again.writer.start() == 4
    assert again.index.get("a") == TWO and again.index.count == 1
    await again.writer.stop()
    assert writing_threads() == []


async def test_without_the_location_nothing_of_it_is_read(path: Path) -> None:
    rig = Rig(path)
    await rig.writer.start()
    await rig.write({"a": ONE})
    await rig.writer.stop()
    blind = Rig(path, load=False)
    assert await blind.writer.start() == 0
    assert blind.index.count == 0
    await blind.writer.stop()


async def test_stopping_does_first_what_was_given(path: Path) -> None:
    rig = Rig(path)
    await rig.writer.start()
    batch = Batch(asyncio.get_running_loop())
    batch.writes = {"a": ONE}
    rig.writer.put(batch)
    await rig.writer.stop()
    assert rig.reports.get_nowait() == done(1)
    assert read(path) == {"a": rows("sip:a@1")}


# --- What fails -----------------------------------------------------------------------------------------------------

CASES: dict[str, Callable[[Path], str]] = {
    "file is not a database": lambda path: str(path.write_bytes(b"x" * 5000)),
    "newer version": lambda path: str(execute(path, "PRAGMA user_version = 99")),
    "no such table: location_log": lambda path: str(execute(path, "PRAGMA user_version = 1")),
    "record 5 of the location log is damaged": lambda path: str(
        execute(
            path,
            "CREATE TABLE location_log (number INTEGER PRIMARY KEY, entries)",
            "INSERT INTO location_log VALUES (5, 'text')",
            "PRAGMA user_version = 1",
        )
    ),
}


@pytest.mark.parametrize("message", CASES)
async def test_a_file_that_cannot_be_used_is_told_and_the_thread_ends(path: Path, message: str) -> None:
    create_file(path)
    CASES[message](path)
    with pytest.raises(StoreError, match=message):
        await asyncio.wait_for(Rig(path).writer.start(), 10)
    assert writing_threads() == []


async def test_an_error_that_nobody_thought_of_is_told_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who opens a store must not wait for ever for a thread that has ended."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("unthought of")

    monkeypatch.setattr("ringback.store.sqlite.writer.Log.load", fail)
    with pytest.raises(StoreError, match=r"ringback\.db cannot be read: unthought of"):
        await asyncio.wait_for(Rig(path).writer.start(), 10)
    assert writing_threads() == []


async def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(path: Path) -> None:
    rig = Rig(path)
    await rig.writer.start()
    failed = await rig.write({"a": ONE}, "INSERT INTO secret VALUES ('s', x'01')", "INSERT INTO nowhere VALUES (1)")
    assert (failed.entries, failed.failure) == (0, "nothing was written: no such table: nowhere")
    assert isinstance(failed.cause, sqlite3.OperationalError)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM secret").fetchone() == (0,)
    assert await rig.write({"b": ONE}) == done(1)
    await rig.writer.stop()
    assert read(path) == {"b": rows("sip:a@1")}


async def test_another_process_that_writes_for_too_long(path: Path) -> None:
    rig = Rig(path)
    await rig.writer.start()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        failed = await rig.write({"a": ONE})
        assert failed.failure == "nothing was written: database is locked"
        other.execute("ROLLBACK")
    assert (await rig.write({"a": ONE})).failure == ""
    await rig.writer.stop()


async def test_a_full_disk(path: Path) -> None:
    """SQLite's own limit stands for the disk's: it ends in the same error, and the same way through the code."""
    rig = Rig(path)
    await rig.writer.start()
    await rig.write({"kept": ONE}, "PRAGMA max_page_count = 20")
    large = {f"{number}": ONE * 100 for number in range(200)}
    failed = await rig.write(large)
    assert (failed.entries, failed.failure) == (1, "nothing was written: database or disk is full")
    # A small one still finds room; and with room the large one goes.
    assert (await rig.write({"small": TWO})).failure == ""
    await rig.write({}, "PRAGMA max_page_count = 100000")
    assert await rig.write(large) == done(202)
    await rig.writer.stop()


async def test_old_records_go_with_the_batch_that_takes_them_along(path: Path) -> None:
    rig = Rig(path, slack=0)
    await rig.writer.start()
    rig.index.put("a", ONE)
    assert (await rig.write({"a": ONE})).outdated == []
    assert (await rig.write({"a": TWO})).outdated == []
    third = await rig.write({"a": ONE})
    assert third.outdated == [(1, {"a": ONE}), (2, {"a": TWO})], "three entries, of which one is needed"
    # While it fails they stay.
    assert (await rig.write({"a": TWO}, "DELETE FROM nowhere", outdated=third.outdated)).entries == 3
    assert (await rig.write({"a": TWO}, outdated=third.outdated)).entries == 2
    await rig.writer.stop()
    with closing(sqlite3.connect(path)) as connection:
        numbers = [number for (number,) in connection.execute("SELECT number FROM location_log ORDER BY number")]
    assert len(numbers) == 2 and numbers[0] == 3
    assert read(path) == {"a": rows("sip:a@2")}


async def test_a_batch_is_safe_even_if_old_records_cannot_be_read(path: Path) -> None:
    rig = Rig(path, slack=0)
    await rig.writer.start()
    await rig.write({"a": ONE})
    report = await rig.write({"b": ONE}, "UPDATE location_log SET entries = x'c0' WHERE number = 1")
    assert (report.entries, report.failure, report.outdated) == (2, "", ())
    assert "record 1 of the location log is damaged" in str(report.cause)
    await rig.writer.stop()


def test_a_loop_that_ends_first(path: Path) -> None:
    """A program that ends without closing its store: what it gave is written, and the thread ends without a word."""

    async def leave() -> None:
        rig = Rig(path)
        await rig.writer.start()
        batch = Batch(asyncio.get_running_loop())
        batch.writes = {"a": ONE}
        batch.statements = [("SELECT randomblob(100000000)", ())]
        rig.writer.put(batch)

    asyncio.run(leave())
    for thread in writing_threads():
        thread.join(30)
    assert writing_threads() == []
    assert read(path) == {"a": rows("sip:a@1")}
