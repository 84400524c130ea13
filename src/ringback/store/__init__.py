"""What must survive: who is registered where, who may register, and the server's own keys.

    store = await open_store("/var/lib/ringback")
    rows = await store.location.bindings("sip:alice@example.org", now)
    await store.location.replace("sip:alice@example.org", (*rows, row), rows, now)      # durable when it returns
    await store.close()

`base` has the rows and the Protocols. Drivers: `memory`, and `sqlite`, the default.
"""

import time
from collections.abc import Callable
from pathlib import Path

from ringback.errors import ConfigurationError, StoreConflict, StoreError
from ringback.store.base import (
    AccountRow,
    AccountStore,
    BindingRow,
    BindingRows,
    EmbeddedAccounts,
    EmbeddedLocation,
    LocationStore,
    SecretStore,
    Statistics,
    Store,
)
from ringback.store.commit import Commit
from ringback.store.memory import MemoryStore
from ringback.store.sqlite import Access, SqliteStore, Synchronous

__all__ = [
    "Access",
    "AccountRow",
    "AccountStore",
    "BindingRow",
    "BindingRows",
    "Commit",
    "EmbeddedAccounts",
    "EmbeddedLocation",
    "LocationStore",
    "MemoryStore",
    "SecretStore",
    "SqliteStore",
    "Statistics",
    "Store",
    "StoreConflict",
    "StoreError",
    "Synchronous",
    "open_store",
]

FILE_NAME = "ringback.db"


async def open_store(
    place: str | Path,
    *,
    access: Access = "serve",
    monotonic: Callable[[], float] = time.monotonic,
    synchronous: Synchronous = "FULL",
) -> MemoryStore | SqliteStore:
    """The store at `place`: "memory:", a file whose name ends in ".db", or a folder, in which it is `ringback.db`.

    File and folder are made when they are missing. For `access` and `synchronous` see `sqlite`; `monotonic` gives
    seconds from any origin. Raises StoreError, and ConfigurationError for a place that is none of these.
    """
    text = str(place)
    if text == "memory:":
        return MemoryStore()
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "sqlite":
        text = rest
    elif colon and scheme.isalnum() and "/" not in scheme:
        raise ConfigurationError(f"store {text!r}: {scheme!r} is unknown; give memory:, a folder or a file *.db")
    if not text:
        raise ConfigurationError("store: empty; give memory:, a folder or a file *.db")
    path = Path(text)
    if path.suffix != ".db":
        path /= FILE_NAME
    return await SqliteStore.open(path, access=access, monotonic=monotonic, synchronous=synchronous)
