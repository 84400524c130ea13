"""The embedded default: everything in one SQLite file.

`driver` opens and closes; `location` and `accounts` are the stores; `group` gathers their writes into batches, and
`writer`, the one thread, commits them; `log` is the location's form on disk, `schema` all the rest of the file.
"""

from ringback.store.sqlite.driver import Access, SqliteStore
from ringback.store.sqlite.schema import Synchronous

__all__ = ["Access", "SqliteStore", "Synchronous"]
