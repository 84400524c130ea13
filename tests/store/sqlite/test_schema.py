"""The file: made for its owner alone, brought up to date in one go or not at all, served by one process."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import StoreError
from ringback.store import BindingRow
from ringback.store.sqlite import schema
from ringback.store.sqlite.schema import MIGRATIONS, connect, create_file, lock_ownership, migrate
from tests.store.sqlite.files import execute, read

# A file as version 1 has written it, with one binding and one account. Later versions have to read it for ever, so
# nothing of this is made by the code under test.
VERSION_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE location_log (number INTEGER PRIMARY KEY, entries BLOB NOT NULL);
CREATE TABLE account (domain TEXT NOT NULL, user TEXT NOT NULL, ha1 TEXT NOT NULL, enabled INTEGER NOT NULL,
    display_name TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (domain, user)) WITHOUT ROWID;
CREATE TABLE account_changes (number INTEGER NOT NULL);
INSERT INTO account_changes VALUES (0);
CREATE TRIGGER account_added AFTER INSERT ON account BEGIN UPDATE account_changes SET number = number + 1; END;
CREATE TRIGGER account_changed AFTER UPDATE ON account BEGIN UPDATE account_changes SET number = number + 1; END;
CREATE TRIGGER account_removed AFTER DELETE ON account BEGIN UPDATE account_changes SET number = number + 1; END;
CREATE TABLE secret (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO account VALUES ('example.org', 'alice', '[["MD5","00"]]', 1, 'Alice', 12.5);
INSERT INTO location_log VALUES (1, x'RECORD');
PRAGMA user_version = 1;
""".replace(
    "RECORD",
    "81b1616c696365406578616d706c652e6f7267c45a919ead7369703a6140312e322e332e34cb41d954fc40000000cd02bca3632d3107a7"
    "3c75726e3a783e0191ad3c7369703a656467653b6c723ea166ad7564703a312e322e332e343a35a3783d31a2554103cb41d7d78400200000",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ringback.db"


def made(path: Path) -> sqlite3.Connection:
    create_file(path)
    return connect(path, patience=5.0)


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


# --- Making the file ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_it_is_made_for_this_user_alone(path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with closing(made(path)) as connection:
            migrate(connection)
            modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"ringback.db": 0o600, "ringback.db-wal": 0o600, "ringback.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_that_others_could_read_is_closed_to_them(path: Path) -> None:
    create_file(path)
    path.write_bytes(b"kept")
    path.chmod(0o644)
    create_file(path)
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_bytes() == b"kept"


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match=r"data/ringback\.db cannot be made: .*(File exists|Not a directory)"):
        create_file(tmp_path / "data" / "ringback.db")


# --- Opening it -----------------------------------------------------------------------------------------------------


def test_a_connection_is_as_durable_as_asked_for(path: Path) -> None:
    create_file(path)
    for synchronous, number in (("FULL", 2), ("NORMAL", 1)):
        with closing(connect(path, patience=0.5, synchronous=synchronous)) as connection:  # type: ignore[arg-type]
            assert connection.execute("PRAGMA synchronous").fetchone() == (number,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA busy_timeout").fetchone() == (500,)
            assert connection.in_transaction is False


def test_what_is_no_database_is_told(path: Path) -> None:
    create_file(path)
    path.write_bytes(b"SIP/2.0 200 OK\r\n" * 100)
    with pytest.raises(StoreError, match=r"ringback\.db cannot be opened: file is not a database"):
        connect(path, patience=0.0)


def test_a_folder_in_the_place_of_the_file(path: Path) -> None:
    path.mkdir(parents=True)
    create_file(path)
    with pytest.raises(StoreError, match=r"ringback\.db cannot be opened: unable to open database file"):
        connect(path, patience=0.0)


def test_where_no_write_ahead_log_is_possible() -> None:
    """An in-memory database stands for a file system without shared memory: both stay in another mode."""
    with pytest.raises(StoreError, match="no shared memory"):
        connect(Path(":memory:"), patience=0.0)


class Contended(sqlite3.Connection):
    """A file that others are opening for the first time: SQLite says so at once, and does not wait as it does else."""

    refusals = 0
    code = sqlite3.SQLITE_BUSY

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if "journal_mode" in sql and Contended.refusals:
            Contended.refusals -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = Contended.code
            raise error
        return super().execute(sql, *parameters)


@pytest.mark.parametrize(
    ("refusals", "code", "patience", "opens"),
    [
        (3, sqlite3.SQLITE_BUSY, 30.0, True),
        (1, sqlite3.SQLITE_BUSY, 0.0, False),
        (1, sqlite3.SQLITE_IOERR, 30.0, False),
    ],
    ids=["patience", "none", "another error"],
)
def test_processes_that_open_a_new_file_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int, code: int, patience: float, opens: bool
) -> None:
    """Seen about once in a hundred times when four processes race for it, too seldom for a test: here it is played."""
    create_file(path)
    monkeypatch.setattr(Contended, "refusals", refusals)
    monkeypatch.setattr(Contended, "code", code)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Contended))
    if opens:
        with closing(connect(path, patience=patience)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    else:
        with pytest.raises(StoreError, match=r"ringback\.db cannot be opened: database is locked"):
            connect(path, patience=patience)
    assert Contended.refusals == 0


# --- Bringing it up to date -----------------------------------------------------------------------------------------


def test_a_new_file_gets_every_table(path: Path) -> None:
    with closing(made(path)) as connection:
        migrate(connection)
        migrate(connection)
    assert tables(path) == {"location_log", "account", "account_changes", "secret"}
    assert version(path) == len(MIGRATIONS)


def test_a_file_of_version_1_is_read(path: Path) -> None:
    create_file(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
    row = BindingRow(
        *("sip:a@1.2.3.4", 1_700_000_000.0, 700, "c-1", 7, "<urn:x>", 1, ("<sip:edge;lr>",), "f", "udp:1.2.3.4:5"),
        *("x=1", "UA", 3, 1_600_000_000.5),
    )
    assert read(path) == {"alice@example.org": (row,)}
    with closing(connect(path, patience=0.0)) as connection:
        assert connection.execute("SELECT * FROM account").fetchall() == [
            ("example.org", "alice", '[["MD5","00"]]', 1, "Alice", 12.5)
        ]


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    later = ("CREATE TABLE later (number INTEGER)", "INSERT INTO later SELECT count(*) FROM account")
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, later))


@pytest.fixture
def old(path: Path) -> Iterator[Path]:
    with closing(made(path)) as connection:
        migrate(connection)
        connection.execute("INSERT INTO account VALUES ('example.org', 'alice', '[]', 1, '', 0.0)")
    yield path


def test_an_older_file_is_brought_up_to_date(old: Path, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("next_version")
    with closing(connect(old, patience=0.0)) as connection:
        migrate(connection)
        assert connection.execute("SELECT number FROM later").fetchall() == [(1,)]
    assert version(old) == len(MIGRATIONS) + 1


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_migration_that_fails_leaves_nothing_of_itself(old: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    statements = ["CREATE TABLE later (number INTEGER)", "DELETE FROM account"]
    statements.insert(step, "DELETE FROM nowhere")
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, tuple(statements)))
    with closing(connect(old, patience=0.0)) as connection:
        with pytest.raises(StoreError, match="the store cannot be brought up to date: no such table: nowhere"):
            migrate(connection)
        assert not connection.in_transaction
        assert connection.execute("SELECT count(*) FROM account").fetchone() == (1,)
    assert "later" not in tables(old) and version(old) == len(MIGRATIONS)


def test_a_file_of_a_newer_version_is_refused_and_left_alone(old: Path) -> None:
    newer = len(MIGRATIONS) + 1
    execute(old, f"PRAGMA user_version = {newer}")
    with closing(connect(old, patience=0.0)) as connection:
        with pytest.raises(
            StoreError, match=rf"newer version of the program \(its schema is {newer}, this one knows {len(MIGRATIONS)}"
        ):
            migrate(connection)
        assert not connection.in_transaction
    assert version(old) == newer


@pytest.mark.parametrize("their_version", [0, -1])
def test_the_database_of_another_program_is_refused(path: Path, their_version: int) -> None:
    create_file(path)
    execute(path, "CREATE TABLE moz_places (id INTEGER)", f"PRAGMA user_version = {their_version}")
    with closing(connect(path, patience=0.0)) as connection, pytest.raises(StoreError, match="another program"):
        migrate(connection)
    assert tables(path) == {"moz_places"} and version(path) == their_version


def test_several_that_find_a_new_file_at_once(path: Path) -> None:
    """Each opens and migrates in a thread of its own, as processes would; SQLite locks both alike."""
    create_file(path)
    start = threading.Barrier(8)
    failures: list[BaseException] = []

    def open_it() -> None:
        start.wait()
        try:
            with closing(connect(path, patience=10.0)) as connection:
                migrate(connection)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert version(path) == len(MIGRATIONS)


def test_another_who_does_not_let_go_is_told(path: Path) -> None:
    create_file(path)
    with closing(connect(path, patience=0.0)) as connection, closing(connect(path, patience=0.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="cannot be brought up to date: database is locked"):
            migrate(connection)


# --- Who serves it --------------------------------------------------------------------------------------------------


def test_one_process_at_a_time_serves_it(path: Path) -> None:
    path.parent.mkdir()
    first = lock_ownership(path)
    with pytest.raises(StoreError, match=r"ringback\.db is in use: another process serves it"):
        lock_ownership(path)
    os.close(first)
    os.close(lock_ownership(path))


def test_the_lock_ends_with_its_process_however_it_ends(path: Path) -> None:
    path.parent.mkdir()
    code = (
        "import sys, pathlib; from ringback.store.sqlite.schema import lock_ownership;"
        "lock_ownership(pathlib.Path(sys.argv[1])); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"locked\n"
        with pytest.raises(StoreError, match="in use"):
            lock_ownership(path)
        other.kill()
    os.close(lock_ownership(path))


def test_a_lock_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere/ringback\.db-owner cannot be opened: .*No such file or directory"):
        lock_ownership(tmp_path / "nowhere" / "ringback.db")
