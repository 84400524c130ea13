"""The store that forgets: everything in memory, nothing on disk. For tests, simulations and first steps."""

from collections.abc import AsyncIterator

from ringback.errors import StoreError
from ringback.store.base import AccountRow, BindingRows, Statistics
from ringback.store.commit import Commit
from ringback.store.index import PackedIndex, live, scan

__all__ = ["MemoryAccounts", "MemoryLocation", "MemorySecrets", "MemoryStore"]


class MemoryLocation:
    """`LocationStore` over the index alone: a write is done when it is made."""

    def __init__(self, store: "MemoryStore") -> None:
        self._store = store
        self._index = PackedIndex()
        self._commit = Commit(None)
        self._commit.finish()

    def peek(self, aor: str, now: float) -> BindingRows:
        return self._index.peek(aor, now)

    async def bindings(self, aor: str, now: float) -> BindingRows:
        return self._index.peek(aor, now)

    def submit(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> Commit:
        self._store.admit()
        self._index.exchange(aor, rows, previous, now)
        self._store.writes += 1
        return self._commit

    async def replace(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> None:
        self.submit(aor, rows, previous, now)

    async def count(self) -> int:
        return self._index.count

    def scan(self, now: float) -> AsyncIterator[tuple[str, BindingRows]]:
        return scan(self._index, now)

    async def sweep(self, now: float, limit: int) -> tuple[tuple[str, BindingRows], ...]:
        removed = []
        for aor, rows in self._index.expired(now, limit):
            self.submit(aor, live(rows, now), rows, now)
            removed.append((aor, tuple(row for row in rows if row.expires <= now)))
        return tuple(removed)


class MemoryAccounts:
    """`AccountStore` over a dict."""

    def __init__(self, store: "MemoryStore") -> None:
        self._store = store
        self._rows: dict[tuple[str, str], AccountRow] = {}

    def peek(self, user: str, domain: str) -> AccountRow | None:
        return self._rows.get((domain, user))

    async def get(self, user: str, domain: str) -> AccountRow | None:
        return self._rows.get((domain, user))

    async def put(self, row: AccountRow) -> None:
        self._store.admit()
        self._rows[row.domain, row.user] = row
        self._store.writes += 1

    async def remove(self, user: str, domain: str) -> bool:
        self._store.admit()
        self._store.writes += 1
        return self._rows.pop((domain, user), None) is not None

    async def scan(self, domain: str | None = None) -> AsyncIterator[AccountRow]:
        for key in sorted(self._rows):
            row = self._rows.get(key)
            if row is not None and domain in (None, row.domain):
                yield row


class MemorySecrets:
    """`SecretStore` over a dict."""

    def __init__(self, store: "MemoryStore") -> None:
        self._store = store
        self._values: dict[str, bytes] = {}

    async def secret(self, name: str, fresh: bytes) -> bytes:
        self._store.admit()
        return self._values.setdefault(name, fresh)


class MemoryStore:
    """`Store` without a disk."""

    def __init__(self) -> None:
        self.location = MemoryLocation(self)
        self.accounts = MemoryAccounts(self)
        self.secrets = MemorySecrets(self)
        self.writes = 0
        self._closed = False

    def admit(self) -> None:
        """Raises StoreError when the store is closed."""
        if self._closed:
            raise StoreError("the store is closed")

    def statistics(self) -> Statistics:
        return Statistics(writes=self.writes, transactions=self.writes)

    async def close(self) -> None:
        self._closed = True
