"""Files of a store, as a crash would leave them."""

import sqlite3
from pathlib import Path

from ringback.store import BindingRows
from ringback.store.index import PackedIndex, unpack
from ringback.store.sqlite.log import Log
from ringback.store.sqlite.schema import connect, migrate


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def as_left_by_a_kill(path: Path, folder: Path) -> Path:
    """A copy of the file and its write-ahead log while the store is open: what kill -9 at this moment leaves."""
    folder.mkdir(exist_ok=True)
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    wal_of(copy).unlink(missing_ok=True)
    if wal_of(path).exists():
        wal_of(copy).write_bytes(wal_of(path).read_bytes())
    copy.with_name(copy.name + "-shm").unlink(missing_ok=True)
    return copy


def read(path: Path) -> dict[str, BindingRows]:
    """Everything in the location of a file, as the writer's thread reads it at the start, without a thread."""
    connection = connect(path, patience=0.0, synchronous="NORMAL")
    try:
        migrate(connection)
        # Closing it tidies up, and nobody crashes here a second time.
        connection.execute("PRAGMA synchronous = OFF")
        index = PackedIndex(1)
        Log(connection).load(index)
    finally:
        connection.close()
    return {aor: unpack(packed) for piece in index.pieces() for aor, packed in piece}


def execute(path: Path, *statements: str) -> None:
    """Run SQL on the file, as another program would."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()
