"""The one thread that writes: it owns its connection, and commits one batch after the other.

The loop decides and the thread obeys. It gets a `Batch` that nobody changes any more, makes one transaction of it, and
reports through one `call_soon_threadsafe`, whatever the number of callers that wait for it.

Each statement hands the interpreter lock over and back, and a busy loop may keep it for milliseconds: that is why a
batch is a handful of statements and not one for each write.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Final, NamedTuple

from ringback.errors import StoreError
from ringback.store.commit import Commit
from ringback.store.index import PackedIndex
from ringback.store.sqlite.log import Log, Record
from ringback.store.sqlite.schema import Synchronous, connect, migrate

__all__ = ["Batch", "Report", "Writer"]

Parameters = tuple[str | bytes | int | float, ...]


class Batch:
    """What goes into one transaction, and who waits for it."""

    __slots__ = ("before", "callers", "commit", "due", "outdated", "statements", "writes")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.commit: Final = Commit(loop)
        self.callers = 0
        self.due = False
        """Whether it has gathered long enough and only waits for the disk."""
        self.writes: dict[str, bytes] = {}
        """New packed rows by address of record."""
        self.before: dict[str, bytes] = {}
        """What the index held before the first of the writes: what it holds again if the transaction fails."""
        self.statements: list[tuple[str, Parameters]] = []
        """All that is not location: SQL with its parameters."""
        self.outdated: Sequence[Record] = ()
        """Records of the location log that the transaction removes."""


class Report(NamedTuple):
    """How a transaction ended."""

    entries: int
    """Entries in the location log."""
    failure: str = ""
    """Why it failed, "" when it did not."""
    cause: BaseException | None = None
    """The error behind the failure; without a failure, the one for which old records could not be read."""
    outdated: Sequence[Record] = ()
    """Old records of the location log that are worth reclaiming with the next batch."""


class Writer:
    """The thread. `start`, then `put` one batch at a time, then `stop`."""

    def __init__(
        self,
        path: Path,
        index: PackedIndex,
        finished: Callable[[Report], None],
        *,
        patience: float,
        synchronous: Synchronous,
        load: bool,
        slack: int,
    ) -> None:
        """`finished` is called in the loop with the report on each batch.

        With `load` the location is read into `index` at the start. For the others see `SqliteStore.open`.
        """
        self._path = path
        self._index = index
        self._finished = finished
        self._patience = patience
        self._synchronous: Synchronous = synchronous
        self._load = load
        self._slack = slack
        self._loop = asyncio.get_running_loop()
        self._orders: SimpleQueue[Batch | None] = SimpleQueue()
        self._opened: asyncio.Future[int] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        # A daemon: a program that ends without closing its store loses nothing that was acknowledged, and must end.
        self._thread = threading.Thread(target=self._run, name="ringback-store", daemon=True)

    async def start(self) -> int:
        """Open the file, bring it up to date and, if so asked, read the location into the index.

        Returns the number of entries in the location log. Raises StoreError; the thread has then ended.
        """
        self._thread.start()
        try:
            return await asyncio.shield(self._opened)
        except BaseException:
            await self.stop()
            if not self._opened.done():
                self._opened.cancel()
            raise

    def put(self, batch: Batch) -> None:
        """Write `batch`; the one before it has been reported."""
        self._orders.put(batch)

    async def stop(self) -> None:
        """End the thread after what it has been given."""
        self._orders.put(None)
        await self._stopped
        self._thread.join()

    def _run(self) -> None:
        try:
            try:
                self._open_and_serve()
            finally:
                self._loop.call_soon_threadsafe(self._stopped.set_result, None)
        except RuntimeError:
            # The loop was closed before the store was: nobody is left to work for, or to tell.
            if not self._loop.is_closed():
                raise

    def _open_and_serve(self) -> None:
        log: Log | None = None
        connection: sqlite3.Connection | None = None
        try:
            connection = connect(self._path, patience=self._patience, synchronous=self._synchronous)
            migrate(connection)
            log = Log(connection, self._slack)
            if self._load:
                log.load(self._index)
        except StoreError as error:
            self._loop.call_soon_threadsafe(self._opened.set_exception, error)
        except Exception as error:
            # Whatever it is: nobody may wait for ever for a thread that has ended.
            failure = StoreError(f"{self._path} cannot be read: {error}")
            failure.__cause__ = error
            self._loop.call_soon_threadsafe(self._opened.set_exception, failure)
        else:
            self._loop.call_soon_threadsafe(self._opened.set_result, log.entries)
            while (batch := self._orders.get()) is not None:
                self._loop.call_soon_threadsafe(self._finished, self._write(connection, log, batch))
        finally:
            if connection is not None:
                # The last connection to the file also empties the write-ahead log, which may take a while.
                connection.close()

    def _write(self, connection: sqlite3.Connection, log: Log, batch: Batch) -> Report:
        """Make the transaction. Whatever goes wrong with it is reported, and the thread goes on."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            log.append(batch.writes)
            log.remove(batch.outdated)
            for statement, parameters in batch.statements:
                connection.execute(statement, parameters)
            connection.execute("COMMIT")
        except Exception as error:
            return Report(entries=log.entries, failure=_undo(connection, error), cause=error)
        log.committed(batch.writes, batch.outdated)
        try:
            outdated = log.outdated(self._index.count, len(batch.writes))
        except (sqlite3.Error, StoreError) as error:
            # The batch is safe: only the log cannot be kept short.
            return Report(entries=log.entries, cause=error)
        return Report(entries=log.entries, outdated=outdated)


def _undo(connection: sqlite3.Connection, error: Exception) -> str:
    """Leave the failed transaction, so that the next one can begin; what to tell those who waited for it."""
    failure = f"nothing was written: {error}"
    try:
        # Some errors, a full disk among them, have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error as another:
        return f"{failure}; then: {another}"
    return failure
