"""The store that the configuration asks for."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ringback.server.settings import Settings
from ringback.store import MemoryStore, SqliteStore, open_store
from ringback.store.memory import MemoryLocation
from ringback.store.sqlite.accounts import SqliteAccounts, SqliteSecrets
from ringback.store.sqlite.location import SqliteLocation

__all__ = ["Storage", "open_storage"]


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """Where the parts of the server keep what they keep.

    With `location.store = "memory"` bindings are forgotten when the server ends; accounts and secrets never are.
    """

    location: SqliteLocation | MemoryLocation
    accounts: SqliteAccounts
    secrets: SqliteSecrets
    disk: SqliteStore


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Storage]:
    """Open it, and close it at the end. Raises StoreError."""
    memory = settings.location.store == "memory"
    # A folder by its whole path, which can be taken for nothing else that `open_store` knows, such as "memory:".
    folder = settings.data.absolute()
    disk = await open_store(
        folder, access="accounts" if memory else "serve", synchronous=settings.location.synchronous
    )
    assert isinstance(disk, SqliteStore)
    try:
        location = MemoryStore().location if memory else disk.location
        yield Storage(location, disk.accounts, disk.secrets, disk)
    finally:
        await disk.close()
