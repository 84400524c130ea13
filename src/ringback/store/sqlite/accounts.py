"""Accounts and secrets in the SQLite file.

An account is asked for with each request that carries credentials, so what was read once is kept. Any process may
change accounts: every second at most, a look at the file's count of changes tells whether what is kept is still right.
Writes go through the writer like all others; reads use a connection of the loop's own, which never waits for them.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from ringback.errors import StoreError
from ringback.store.base import AccountRow
from ringback.store.sqlite.group import GroupCommit

__all__ = ["SqliteAccounts", "SqliteSecrets"]

# Seconds between two looks at the count of changes.
REFRESH: Final = 1.0
# Accounts that are kept; and as many names that have none, counted apart, so that trying names pushes out no account.
KEPT: Final = 50_000
# Accounts read at a time by `scan`.
PAGE: Final = 256

READ: Final = "SELECT user, domain, ha1, enabled, display_name, created FROM account"

_encode_hashes: Final = msgspec.json.Encoder().encode
_decode_hashes: Final = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode


class SqliteAccounts:
    """`AccountStore` and `EmbeddedAccounts`."""

    def __init__(self, connection: sqlite3.Connection, group: GroupCommit, monotonic: Callable[[], float]) -> None:
        """`connection` is the loop's own; `monotonic` gives seconds from any origin."""
        self._connection = connection
        self._group = group
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], AccountRow] = {}
        self._unknown: dict[tuple[str, str], None] = {}
        self._changes = -1
        self._refresh_at = float("-inf")

    def peek(self, user: str, domain: str) -> AccountRow | None:
        now = self._monotonic()
        if now >= self._refresh_at:
            self.refresh()
            self._refresh_at = now + REFRESH
        key = (domain, user)
        row = self._known.get(key)
        if row is not None or key in self._unknown:
            return row
        row = self._read(user, domain)
        # The oldest goes when there are too many.
        if row is None:
            if len(self._unknown) >= KEPT:
                del self._unknown[next(iter(self._unknown))]
            self._unknown[key] = None
        else:
            if len(self._known) >= KEPT:
                del self._known[next(iter(self._known))]
            self._known[key] = row
        return row

    async def get(self, user: str, domain: str) -> AccountRow | None:
        return self.peek(user, domain)

    def refresh(self) -> None:
        """Forget what is kept if any process has changed an account since the last look. Raises StoreError."""
        try:
            (changes,) = self._connection.execute("SELECT number FROM account_changes").fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"accounts cannot be read: {error}") from error
        if changes != self._changes:
            self._known.clear()
            self._unknown.clear()
            self._changes = changes

    async def put(self, row: AccountRow) -> None:
        hashes = _encode_hashes(row.ha1).decode()
        for text in (row.user, row.domain, row.display_name):
            if not _is_storable(text):
                raise StoreError(f"an account cannot be stored: {text!r} is not Unicode text")
        await self._group.execute(
            """INSERT INTO account (user, domain, ha1, enabled, display_name, created) VALUES (?, ?, ?, ?, ?, ?)
               ON CONFLICT (domain, user) DO UPDATE SET ha1 = excluded.ha1, enabled = excluded.enabled,
               display_name = excluded.display_name, created = excluded.created""",
            (row.user, row.domain, hashes, row.enabled, row.display_name, row.created),
        )
        self._refresh_at = float("-inf")

    async def remove(self, user: str, domain: str) -> bool:
        if self._read(user, domain) is None:
            return False
        await self._group.execute("DELETE FROM account WHERE domain = ? AND user = ?", (domain, user))
        self._refresh_at = float("-inf")
        return True

    async def scan(self, domain: str | None = None) -> AsyncIterator[AccountRow]:
        first = (domain or "", "")
        seen = None
        where = "(domain, user) >= (?, ?)" if domain is None else "domain = ? AND user >= ?"
        page = f"{READ} WHERE {where} ORDER BY domain, user LIMIT {PAGE}"
        while True:
            # A statement for each page: one that stays open would hold back the write-ahead log of a running server.
            try:
                found = self._connection.execute(page, first).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"accounts cannot be read: {error}") from error
            for values in found:
                row = _account(values)
                if (row.domain, row.user) != seen:
                    yield row
            if len(found) < PAGE:
                return
            first = seen = (found[-1][1], found[-1][0])
            await asyncio.sleep(0)

    def _read(self, user: str, domain: str) -> AccountRow | None:
        if not _is_storable(user) or not _is_storable(domain):
            return None
        try:
            values = self._connection.execute(f"{READ} WHERE domain = ? AND user = ?", (domain, user)).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"accounts cannot be read: {error}") from error
        return None if values is None else _account(values)


class SqliteSecrets:
    """`SecretStore`."""

    def __init__(self, connection: sqlite3.Connection, group: GroupCommit) -> None:
        self._connection = connection
        self._group = group

    async def secret(self, name: str, fresh: bytes) -> bytes:
        value = self._read(name)
        if value is None:
            # Another process may be first: what counts is what is there afterwards.
            await self._group.execute("INSERT OR IGNORE INTO secret (name, value) VALUES (?, ?)", (name, fresh))
            value = self._read(name)
            if value is None:
                raise StoreError(f"the secret {name!r} was written and is not there")
        return value

    def _read(self, name: str) -> bytes | None:
        try:
            values = self._connection.execute("SELECT value FROM secret WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error as error:
            raise StoreError(f"secrets cannot be read: {error}") from error
        if values is None:
            return None
        value: bytes = values[0]
        return value


def _account(values: tuple[str, str, str, int, str, float]) -> AccountRow:
    user, domain, hashes, enabled, display_name, created = values
    try:
        ha1 = _decode_hashes(hashes)
    except (msgspec.DecodeError, TypeError) as error:
        raise StoreError(f"the account of {user!r} at {domain!r} is damaged: {error}") from error
    return AccountRow(user, domain, ha1, bool(enabled), display_name, created)


def _is_storable(text: str) -> bool:
    """Whether SQLite, which keeps UTF-8, can hold the text; an escaped octet that was not UTF-8 it cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
