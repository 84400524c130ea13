"""`SqliteStore`: the embedded default, one file on the local disk."""

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from ringback.store.base import Statistics
from ringback.store.index import PackedIndex
from ringback.store.sqlite.accounts import SqliteAccounts, SqliteSecrets
from ringback.store.sqlite.group import GroupCommit
from ringback.store.sqlite.location import SqliteLocation
from ringback.store.sqlite.log import SLACK_ENTRIES
from ringback.store.sqlite.schema import Synchronous, connect, create_file, lock_ownership
from ringback.store.sqlite.writer import Writer

__all__ = ["Access", "SqliteStore"]

Access = Literal["serve", "inspect", "accounts"]
"""What a process wants of the file. "serve": everything; one process at a time. The others work beside it: "inspect"
reads the location as it was when the store was opened, "accounts" leaves it alone; both may change accounts."""

# Callers that may wait for the disk: at 5,000 writes a second, four seconds of a disk that hangs.
MOST_PENDING: Final = 20_000
# Seconds that a batch may wait for company. A commit costs the same for one write as for sixty: at 2,000 registrations
# a second this is a quarter of the CPU, and nobody notices the time in a registration.
GATHERING_TIME: Final = 0.01
# Seconds that a transaction waits for that of another process.
WRITE_PATIENCE: Final = 5.0
# The same for reading in the loop, which happens next to never in WAL mode: whatever waits here, everything waits.
READ_PATIENCE: Final = 0.02


class SqliteStore:
    """`Store` in an SQLite file. Make it with `open`, in the loop that will use it."""

    location: SqliteLocation
    accounts: SqliteAccounts
    secrets: SqliteSecrets

    def __init__(
        self,
        index: PackedIndex,
        group: GroupCommit,
        reader: sqlite3.Connection,
        lock: int | None,
        refusal: str,
        monotonic: Callable[[], float],
    ) -> None:
        """For `open`."""
        self._group = group
        self._reader = reader
        self._lock = lock
        self._closing: asyncio.Task[None] | None = None
        self.location = SqliteLocation(index, group, refusal)
        self.accounts = SqliteAccounts(reader, group, monotonic)
        self.secrets = SqliteSecrets(reader, group)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        access: Access = "serve",
        monotonic: Callable[[], float] = time.monotonic,
        synchronous: Synchronous = "FULL",
        gathering_time: float = GATHERING_TIME,
        most_pending: int = MOST_PENDING,
        patience: float = WRITE_PATIENCE,
        slack: int = SLACK_ENTRIES,
    ) -> "SqliteStore":
        """Open the file, made if there is none, and read what the access needs: 100,000 bindings in about 0.2 s.

        `gathering_time`: seconds that a write may wait for others to share its transaction. `most_pending`: callers
        that may wait for the disk; more get StoreError. `patience`: seconds that a transaction waits for one of another
        process. `slack`: dead entries that the location log may always hold. Raises StoreError.
        """
        create_file(path)
        lock = lock_ownership(path) if access == "serve" else None
        index = PackedIndex()
        group = GroupCommit(index, gathering_time=gathering_time, most_pending=most_pending)
        writer = Writer(
            path,
            index,
            group.finished,
            patience=patience,
            synchronous=synchronous,
            load=access != "accounts",
            # Who does not serve the location must not tidy up its log: what it knows of it is out of date.
            slack=slack if access == "serve" else sys.maxsize,
        )
        try:
            group.open(writer, await writer.start())
            try:
                reader = connect(path, patience=READ_PATIENCE)
            except BaseException:
                await writer.stop()
                raise
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise
        refusal = "" if access == "serve" else f"the store was opened for {access}: its location cannot be written"
        return cls(index, group, reader, lock, refusal, monotonic)

    def statistics(self) -> Statistics:
        return self._group.statistics()

    async def close(self) -> None:
        """Write what is pending, then close the file. Calling it again waits for the same end."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        # Whoever is cancelled while waiting does not keep the file from being closed properly.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._group.drain()
        # Before the writer's connection: closing the last one empties the write-ahead log, and the thread shall do it.
        self._reader.close()
        await self._group.close()
        if self._lock is not None:
            os.close(self._lock)
