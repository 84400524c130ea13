"""Group commit: writes that arrive while the disk is busy share the next transaction.

Everything here runs in the loop. Writes gather in one open batch. It goes to the writer's thread when it is full or has
gathered for a while, and not before the batch ahead of it has been reported: one batch is at the disk, one gathers, and
under load their size follows the load by itself.

When a transaction fails, the batch behind it fails with it. Its writes were decided on rows that have just been taken
back: to write them would make durable what somebody has been told was not written.
"""

import asyncio
from typing import Final

from ringback.errors import StoreError
from ringback.store.base import Statistics
from ringback.store.commit import Commit
from ringback.store.index import PackedIndex
from ringback.store.sqlite.log import survivors
from ringback.store.sqlite.writer import Batch, Parameters, Report, Writer

__all__ = ["GroupCommit"]

# Callers with which a batch goes to the disk at once: more would not make a write cheaper by much.
FULL: Final = 64


class GroupCommit:
    """Gathers writes for a `Writer`, and keeps the index as the disk is."""

    def __init__(self, index: PackedIndex, *, gathering_time: float, most_pending: int) -> None:
        """`gathering_time`: seconds; `most_pending`: callers that may wait at a time, more are refused."""
        self._index = index
        self._gathering_time = gathering_time
        self._most_pending = most_pending
        self._loop = asyncio.get_running_loop()
        self._writer: Writer
        self._refusal = "the store is not open"
        self._gathering: Batch | None = None
        self._at_disk: Batch | None = None
        self._report = Report(0)
        self._idle: asyncio.Future[None] | None = None
        self._pending = 0
        self._writes = 0
        self._transactions = 0
        self._failures = 0
        self._refused = 0

    def open(self, writer: Writer, entries: int) -> None:
        """Begin: `writer` has started and found `entries` in the location log."""
        self._writer = writer
        self._report = Report(entries)
        self._refusal = ""

    def admit(self) -> None:
        """Raises StoreError when the store is closed, or when too many writes are pending to take another."""
        if self._refusal:
            raise StoreError(self._refusal)
        if self._pending >= self._most_pending:
            self._refused += 1
            raise StoreError(f"{self._pending} writes are waiting for the disk: no more are taken")

    def write(self, aor: str, packed: bytes, before: bytes) -> Commit:
        """Write packed rows that the index has taken in the place of `before`. Call `admit` first."""
        batch = self._gathering
        if batch is None:
            batch = self._gather()
        batch.writes[aor] = packed
        if aor not in batch.before:
            batch.before[aor] = before
        return self._join(batch)

    def execute(self, statement: str, parameters: Parameters) -> Commit:
        """Run one SQL statement in the next transaction. Raises StoreError as `admit` does."""
        self.admit()
        batch = self._gathering
        if batch is None:
            batch = self._gather()
        batch.statements.append((statement, parameters))
        return self._join(batch)

    def statistics(self) -> Statistics:
        return Statistics(
            writes=self._writes,
            transactions=self._transactions,
            failures=self._failures,
            pending=self._pending,
            refused=self._refused,
            log_entries=self._report.entries,
        )

    async def drain(self) -> None:
        """Take no more, and wait until what is pending is written."""
        self._refusal = "the store is closed"
        if self._gathering is not None:
            self._gathered(self._gathering)
        if self._at_disk is not None:
            self._idle = self._loop.create_future()
            await self._idle

    async def close(self) -> None:
        """End the writer; after `drain`."""
        await self._writer.stop()

    def finished(self, report: Report) -> None:
        """The writer's report on the batch at the disk."""
        batch = self._at_disk
        assert batch is not None
        self._at_disk = None
        self._report = report
        self._pending -= batch.callers
        if report.failure:
            self._failed(batch, report)
        else:
            if self._gathering is not None and self._gathering.due:
                # First of all: the disk works while the callers are told.
                self._dispatch()
            batch.commit.finish()
            if report.cause is not None:
                self._loop.call_exception_handler(
                    {"message": "The location log cannot be kept short", "exception": report.cause}
                )
        if self._idle is not None and not self._idle.done() and self._is_idle():
            self._idle.set_result(None)

    def _is_idle(self) -> bool:
        return self._gathering is None and self._at_disk is None

    def _failed(self, batch: Batch, report: Report) -> None:
        self._failures += 1
        behind, self._gathering = self._gathering, None
        # The newer batch first: where both have written an address of record, the older one knows what is on disk.
        if behind is not None:
            self._pending -= behind.callers
            self._take_back(behind)
        self._take_back(batch)
        batch.commit.finish(report.failure, report.cause)
        if behind is not None:
            behind.commit.finish(f"a write before it failed: {report.failure}", report.cause)

    def _take_back(self, batch: Batch) -> None:
        for aor, before in batch.before.items():
            self._index.put(aor, before)

    def _gather(self) -> Batch:
        batch = Batch(self._loop)
        self._gathering = batch
        self._loop.call_later(self._gathering_time, self._gathered, batch)
        return batch

    def _join(self, batch: Batch) -> Commit:
        batch.callers += 1
        self._pending += 1
        self._writes += 1
        if batch.callers == FULL:
            # At the end of this turn of the loop: what else the turn brings goes along.
            self._loop.call_soon(self._gathered, batch)
        return batch.commit

    def _gathered(self, batch: Batch) -> None:
        """The batch has waited long enough, if it has not been dispatched already."""
        batch.due = True
        if batch is self._gathering and self._at_disk is None:
            self._dispatch()

    def _dispatch(self) -> None:
        batch = self._gathering
        assert batch is not None
        self._gathering = None
        self._at_disk = batch
        self._transactions += 1
        if self._report.outdated:
            # Nothing gathers at this moment: whatever the index holds is on disk, or will be with this batch.
            batch.outdated = self._report.outdated
            batch.writes.update(survivors(batch.outdated, self._index, batch.writes))
        self._writer.put(batch)
