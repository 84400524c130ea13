"""The file: how it is made, opened and brought up to date.

`DATA/ringback.db` is an SQLite database in WAL mode (https://sqlite.org/wal.html): readers never wait for the writer,
and a commit is one append and one fsync. Several processes may have it open, for accounts; only one may serve the
location (see `log`), and says so by a lock on `DATA/ringback.db-owner` that ends with the process.
"""

import fcntl
import os
import sqlite3
import time
from pathlib import Path
from typing import Final, Literal

from ringback.errors import StoreError

__all__ = ["MIGRATIONS", "Synchronous", "connect", "create_file", "lock_ownership", "migrate"]

Synchronous = Literal["FULL", "NORMAL"]
"""What a commit waits for. FULL: the disk, so that an acknowledged write survives a power cut. NORMAL: the operating
system, so that it survives the death of the process only."""

# Migration n brings a file from version n to n + 1. Never change one that was released: add another.
MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        # Batches of writes in the order in which they were made; `log` says what is in `entries`.
        "CREATE TABLE location_log (number INTEGER PRIMARY KEY, entries BLOB NOT NULL)",
        # `ha1` is a JSON array of pairs [algorithm, hash].
        """CREATE TABLE account (
            domain TEXT NOT NULL,
            user TEXT NOT NULL,
            ha1 TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            display_name TEXT NOT NULL,
            created REAL NOT NULL,
            PRIMARY KEY (domain, user)
        ) WITHOUT ROWID""",
        # How often accounts were changed, by whatever program: a server sees by it when its cache is out of date.
        "CREATE TABLE account_changes (number INTEGER NOT NULL)",
        "INSERT INTO account_changes VALUES (0)",
        """CREATE TRIGGER account_added AFTER INSERT ON account
            BEGIN UPDATE account_changes SET number = number + 1; END""",
        """CREATE TRIGGER account_changed AFTER UPDATE ON account
            BEGIN UPDATE account_changes SET number = number + 1; END""",
        """CREATE TRIGGER account_removed AFTER DELETE ON account
            BEGIN UPDATE account_changes SET number = number + 1; END""",
        "CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    ),
)

# Pages in the write-ahead log before they are copied into the database, which costs two more fsyncs: 16 MB.
CHECKPOINT_PAGES: Final = 4000
# What the write-ahead log may keep of the disk after a burst, in octets.
LOG_SIZE_LIMIT: Final = 64 * 1024 * 1024
# Seconds between two attempts to change the mode of a file that others are opening.
BUSY_PAUSE: Final = 0.002


def create_file(path: Path) -> None:
    """Make the file, and its folder, for this user alone; a file that exists is closed to others. Raises StoreError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            # Hashes in it are as good as passwords. SQLite gives its two companion files the mode of this one.
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
            return
        # The name of a new file is part of its folder: it survives a power cut only once the folder is on disk.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror or error}") from error


def lock_ownership(path: Path) -> int:
    """Become the only process that serves the location of this file; the descriptor that holds the lock.

    Raises StoreError when another process does.
    """
    try:
        descriptor = os.open(f"{path}-owner", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}-owner cannot be opened: {error.strerror or error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreError(f"{path} is in use: another process serves it") from error
    return descriptor


def connect(path: Path, *, patience: float, synchronous: Synchronous = "FULL") -> sqlite3.Connection:
    """A connection for the thread that calls; statements outside BEGIN and COMMIT commit themselves.

    `patience`: seconds to wait for another process's transaction. Raises StoreError.
    """
    try:
        connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
        try:
            mode = _enter_wal(connection, patience)
            if mode != "wal":
                raise StoreError(f"{path}: this file system has no shared memory, which the write-ahead log needs")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_SIZE_LIMIT}")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened: {error}") from error
    return connection


def _enter_wal(connection: sqlite3.Connection, patience: float) -> str:
    """Ask for the write-ahead log; the mode that the file is in now. Raises sqlite3.Error.

    To change the mode of a new file SQLite needs it for itself, and does not wait where two that want it would wait for
    each other: it says at once that the file is locked, whatever the patience.
    """
    until = time.monotonic() + patience
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(BUSY_PAUSE)
        else:
            assert isinstance(mode, str)
            return mode


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables up to date. Raises StoreError, also for a file of a newer version of the program."""
    try:
        if _version(connection) == len(MIGRATIONS):
            return
        # Taken before the version is read again: two processes may both have found an old file.
        connection.execute("BEGIN IMMEDIATE")
        try:
            version = _version(connection)
            if version > len(MIGRATIONS):
                raise StoreError(
                    f"the store was written by a newer version of the program "
                    f"(its schema is {version}, this one knows {len(MIGRATIONS)})"
                )
            if version < 0 or (version == 0 and connection.execute("SELECT 1 FROM sqlite_schema").fetchone()):
                raise StoreError("the file is the database of another program")
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            connection.execute("COMMIT")
        except BaseException:
            # Some errors, a full disk among them, have ended the transaction already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.Error as error:
        raise StoreError(f"the store cannot be brought up to date: {error}") from error


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    assert isinstance(version, int)
    return version
