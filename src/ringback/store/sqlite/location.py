"""The location in one SQLite file: answered from the index in memory, written through the log."""

from collections.abc import AsyncIterator

from ringback.errors import StoreError
from ringback.store.base import BindingRows
from ringback.store.commit import Commit
from ringback.store.index import PackedIndex, live, scan, text_saved
from ringback.store.sqlite.group import GroupCommit

__all__ = ["SqliteLocation"]


class SqliteLocation:
    """`LocationStore` and `EmbeddedLocation`."""

    def __init__(self, index: PackedIndex, group: GroupCommit, refusal: str) -> None:
        """`refusal`: why this process may not write, "" when it may."""
        self._index = index
        self._group = group
        self._refusal = refusal

    def peek(self, aor: str, now: float) -> BindingRows:
        return self._index.peek(aor, now)

    async def bindings(self, aor: str, now: float) -> BindingRows:
        return self._index.peek(aor, now)

    def submit(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> Commit:
        if self._refusal:
            raise StoreError(self._refusal)
        group = self._group
        group.admit()
        if not aor.isascii():
            _check(aor)
        before, packed = self._index.exchange(aor, rows, previous, now)
        return group.write(aor, packed, before)

    async def replace(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> None:
        await self.submit(aor, rows, previous, now)

    async def count(self) -> int:
        return self._index.count

    def scan(self, now: float) -> AsyncIterator[tuple[str, BindingRows]]:
        return scan(self._index, now)

    async def sweep(self, now: float, limit: int) -> tuple[tuple[str, BindingRows], ...]:
        removed = []
        commit: Commit | None = None
        for aor, rows in self._index.expired(now, limit):
            # All in one turn of the loop, hence in one batch: its commit is theirs.
            commit = self.submit(aor, live(rows, now), rows, now)
            removed.append((aor, tuple(row for row in rows if row.expires <= now)))
        if commit is not None:
            await commit
        return tuple(removed)


def _check(aor: str) -> None:
    """Refuse a key that cannot be written before it is in a batch with others."""
    try:
        text_saved(aor)
    except UnicodeEncodeError as error:
        raise StoreError(f"an address of record cannot be stored: {error}") from error
