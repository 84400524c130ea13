"""Accounts and secrets in the file: what is kept in memory, and when it is looked at again."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ringback.errors import StoreError
from ringback.store import AccountRow, SqliteStore
from ringback.store.sqlite import accounts
from ringback.store.sqlite.schema import connect
from tests.store.rows import open_sqlite
from tests.store.sqlite.files import execute

ALICE = AccountRow("alice", "example.org", (("MD5", "0" * 32),), display_name="Alice", created=1.5)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The statements that reach the database in the loop's own thread, from the first connection on."""
    statements: list[str] = []
    real = connect

    def traced(*arguments: object, **others: object) -> sqlite3.Connection:
        connection = real(*arguments, **others)  # type: ignore[arg-type]
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr("ringback.store.sqlite.driver.connect", traced)
    yield statements


def reads(statements: list[str]) -> int:
    """How many accounts were asked for; the list is emptied."""
    count = sum("FROM account WHERE" in statement for statement in statements)
    statements.clear()
    return count


def look(store: SqliteStore, user: str) -> AccountRow | None:
    return store.accounts.peek(user, "example.org")


# --- What is kept ---------------------------------------------------------------------------------------------------


async def test_an_account_is_read_once(path: Path, asked: list[str]) -> None:
    store = await open_sqlite(path)
    await store.accounts.put(ALICE)
    reads(asked)
    for _ in range(3):
        assert look(store, "alice") == ALICE and look(store, "nobody") is None
    assert reads(asked) == 2
    await store.close()


async def test_a_change_by_another_process_is_seen_within_a_second(path: Path, clock: Clock) -> None:
    """New accounts, new passwords and removed accounts alike, and all of them at the next look."""
    store = await open_sqlite(path, monotonic=clock)
    await store.accounts.put(ALICE)
    assert look(store, "alice") == ALICE and look(store, "bob") is None
    other = await open_sqlite(path, access="accounts")
    changed = AccountRow("alice", "example.org", (("MD5", "1" * 32),))
    await other.accounts.put(changed)
    await other.accounts.put(AccountRow("bob", "example.org"))
    clock.now += 0.999
    assert look(store, "alice") == ALICE and look(store, "bob") is None
    clock.now += 0.001
    assert look(store, "alice") == changed and look(store, "bob") == AccountRow("bob", "example.org")
    await other.accounts.remove("alice", "example.org")
    clock.now += 1.0
    assert look(store, "alice") is None
    await other.close()
    await store.close()


async def test_whoever_asks_for_it_sees_a_change_at_once(path: Path, clock: Clock) -> None:
    store = await open_sqlite(path, monotonic=clock)
    assert look(store, "alice") is None
    execute(path, "INSERT INTO account VALUES ('example.org', 'alice', '[]', 1, '', 0)")
    store.accounts.refresh()
    assert look(store, "alice") == AccountRow("alice", "example.org")
    await store.close()


async def test_changes_of_its_own_are_seen_at_once(path: Path, clock: Clock) -> None:
    store = await open_sqlite(path, monotonic=clock)
    assert look(store, "alice") is None
    await store.accounts.put(ALICE)
    assert look(store, "alice") == ALICE
    assert await store.accounts.remove("alice", "example.org") is True
    assert look(store, "alice") is None
    await store.close()


async def test_what_is_kept_stays_while_no_account_changes(path: Path, clock: Clock, asked: list[str]) -> None:
    """The location changes all the time, and is in the same file."""
    store = await open_sqlite(path, monotonic=clock)
    await store.accounts.put(ALICE)
    look(store, "alice")
    reads(asked)
    for _ in range(5):
        clock.now += 10.0
        await store.location.replace("sip:alice@example.org", (), (), 0.0)
        assert look(store, "alice") == ALICE
    assert reads(asked) == 0
    await store.close()


async def test_trying_names_pushes_out_no_account(
    path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "KEPT", 3)
    store = await open_sqlite(path)
    for user in ("a", "b", "c", "d"):
        await store.accounts.put(AccountRow(user, "example.org"))
    reads(asked)
    for user in ("a", "b", "c", *(f"guess{number}" for number in range(20)), "a", "b", "c"):
        look(store, user)
    assert reads(asked) == 23
    # One more than are kept, and the oldest goes; the same among names that nobody has.
    assert look(store, "d") is not None and look(store, "b") is not None and reads(asked) == 1
    assert look(store, "a") == AccountRow("a", "example.org") and reads(asked) == 1
    assert look(store, "guess19") is None and reads(asked) == 0
    assert look(store, "guess16") is None and reads(asked) == 1
    await store.close()


# --- Beside others --------------------------------------------------------------------------------------------------


async def test_reading_does_not_wait_for_one_who_writes(path: Path) -> None:
    store = await open_sqlite(path)
    await store.accounts.put(ALICE)
    with closing(connect(path, patience=0.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM account")
        assert look(store, "alice") == ALICE
        assert [account async for account in store.accounts.scan()] == [ALICE]
        other.execute("COMMIT")
    store.accounts.refresh()
    assert look(store, "alice") is None
    await store.close()


async def test_listing_holds_nothing_back(path: Path) -> None:
    """Who lists accounts and stops half-way must not keep the write-ahead log of a running server from shrinking."""
    store = await open_sqlite(path)
    for number in range(600):
        await store.accounts.put(AccountRow(f"{number:03}", "example.org"))
    listing = store.accounts.scan()
    assert (await anext(listing)).user == "000"
    await store.accounts.put(ALICE)
    with closing(connect(path, patience=0.0)) as other:
        busy, in_log, copied = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, in_log, copied) == (0, 0, 0)
    assert [account.user async for account in listing][-1] == "alice"
    await store.close()


async def test_a_page_whose_last_account_goes_meanwhile(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "PAGE", 3)
    store = await open_sqlite(path)
    for user in "abcdefgh":
        await store.accounts.put(AccountRow(user, "example.org"))
    seen = []
    async for account in store.accounts.scan():
        seen.append(account.user)
        if account.user == "c":
            await store.accounts.remove("c", "example.org")
            await store.accounts.put(AccountRow("aa", "example.org"))
    assert "".join(seen) == "abcdefgh", "nobody twice, and nobody left out that was there all the time"
    await store.close()


async def test_two_processes_find_the_same_secret(path: Path) -> None:
    first = await open_sqlite(path)
    second = await open_sqlite(path, access="accounts")
    assert await first.secrets.secret("tokens", b"\x00first") == b"\x00first"
    assert await second.secrets.secret("tokens", b"second") == b"\x00first"
    await first.close()
    await second.close()


# --- What cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["user", "domain", "display_name"])
async def test_text_that_is_none_is_refused_before_it_can_spoil_a_batch(path: Path, field: str) -> None:
    values = {"user": "bob", "domain": "example.org", field: b"J\xfcrgen".decode("utf-8", "surrogateescape")}
    store = await open_sqlite(path)
    with pytest.raises(StoreError, match=r"an account cannot be stored: 'J\\udcfcrgen' is not Unicode text"):
        await store.accounts.put(AccountRow(**values))  # type: ignore[arg-type]
    assert store.statistics().writes == 0
    await store.close()


@pytest.mark.parametrize("damaged", ["'no JSON'", "'[[\"MD5\"]]'", "'{}'", "7", "x'ff'"])
async def test_a_damaged_account_is_told_by_its_name(path: Path, damaged: str) -> None:
    store = await open_sqlite(path)
    execute(path, f"INSERT INTO account VALUES ('example.org', 'alice', {damaged}, 1, '', 0)")
    message = "the account of 'alice' at 'example.org' is damaged"
    with pytest.raises(StoreError, match=message):
        look(store, "alice")
    with pytest.raises(StoreError, match=message):
        [account async for account in store.accounts.scan()]
    assert look(store, "bob") is None
    await store.close()


async def test_a_table_that_is_gone_is_told(path: Path) -> None:
    store = await open_sqlite(path)
    execute(path, "DROP TABLE account_changes", "DROP TABLE account", "DROP TABLE secret")
    with pytest.raises(StoreError, match="accounts cannot be read: no such table: account_changes"):
        look(store, "alice")
    with pytest.raises(StoreError, match="accounts cannot be read: no such table: account"):
        [account async for account in store.accounts.scan()]
    with pytest.raises(StoreError, match="nothing was written: no such table: account"):
        await store.accounts.put(ALICE)
    with pytest.raises(StoreError, match="secrets cannot be read: no such table: secret"):
        await store.secrets.secret("tokens", b"x")
    await store.close()
