"""Opening and closing: what cannot be used is told, one process serves, and closing loses nothing."""

import asyncio
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ringback.errors import ConfigurationError, StoreError
from ringback.store import AccountRow, BindingRows, MemoryStore, SqliteStore, open_store
from ringback.store.sqlite import Access
from ringback.store.sqlite.log import encode
from tests.store.rows import NOW, open_sqlite, row, rows
from tests.store.sqlite.files import execute, read, wal_of

ALICE, BOB = "sip:alice@example.org", "sip:bob@example.org"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


def run_python(code: str, *arguments: str | Path) -> tuple[int, str, str]:
    """A process of its own: exit code, output, errors."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout, result.stderr


async def filled(path: Path, count: int = 1) -> dict[str, BindingRows]:
    """A closed file with `count` addresses of record."""
    store = await open_sqlite(path)
    expected = {f"sip:{number}@example.org": (row(f"sip:{number}@1", cseq=number),) for number in range(count)}
    await asyncio.gather(*(store.location.replace(aor, given, (), NOW) for aor, given in expected.items()))
    await store.close()
    return expected


# --- Places ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["{0}/data", "sqlite:{0}/data", "{0}/data/ringback.db", "sqlite:{0}/data/ringback.db"]
)
async def test_a_place_is_a_folder_or_a_file(tmp_path: Path, place: str) -> None:
    store = await open_store(place.format(tmp_path))
    await store.close()
    assert isinstance(store, SqliteStore) and (tmp_path / "data" / "ringback.db").is_file()


async def test_another_name_for_the_file(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "location.db")
    await store.close()
    assert (tmp_path / "location.db").is_file() and not (tmp_path / "ringback.db").exists()


async def test_a_place_that_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert isinstance(await open_store("memory:"), MemoryStore)
    for place, message in (
        ("postgres://db", "store 'postgres://db': 'postgres' is unknown; give memory:, a folder or a file *.db"),
        ("sqlite:", "store: empty; give memory:, a folder or a file *.db"),
        ("", "store: empty; give memory:, a folder or a file *.db"),
    ):
        with pytest.raises(ConfigurationError) as raised:
            await open_store(place)
        assert str(raised.value) == message
    assert os.listdir(tmp_path) == []


# --- Several at one file --------------------------------------------------------------------------------------------


async def test_only_one_serves(path: Path) -> None:
    first = await open_sqlite(path)
    with pytest.raises(StoreError, match=r"ringback\.db is in use: another process serves it"):
        await open_sqlite(path)
    await first.close()
    await (await open_sqlite(path)).close()


async def test_who_cannot_open_lets_go_of_the_lock(path: Path) -> None:
    execute(path, "PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(StoreError, match="newer version"):
            await open_sqlite(path)


@pytest.mark.parametrize(("access", "expected"), [("inspect", rows("sip:a@1")), ("accounts", ())])
async def test_others_work_beside_the_one_that_serves(path: Path, access: Access, expected: BindingRows) -> None:
    serving = await open_sqlite(path)
    await serving.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    beside = await open_sqlite(path, access=access)
    await serving.location.replace(BOB, rows("sip:b@1"), (), NOW)
    assert await beside.location.bindings(ALICE, NOW) == expected
    assert await beside.location.bindings(BOB, NOW) == (), "as it was when it was opened"
    with pytest.raises(StoreError, match=f"opened for {access}: its location cannot be written"):
        await beside.location.replace(ALICE, (), expected, NOW)
    await beside.accounts.put(AccountRow("alice", "example.org"))
    await beside.close()
    assert await serving.accounts.get("alice", "example.org") == AccountRow("alice", "example.org")
    await serving.close()
    assert read(path) == {ALICE: rows("sip:a@1"), BOB: rows("sip:b@1")}


@pytest.mark.parametrize("access", ["inspect", "accounts"])
async def test_only_the_one_that_serves_tidies_up_the_log(path: Path, access: Access) -> None:
    """What the others know of the location is out of date: they would bring back what has been removed."""
    serving = await open_sqlite(path)
    await serving.location.replace(BOB, rows("sip:b@1"), (), NOW)
    previous: BindingRows = ()
    for number in range(50):
        await serving.location.replace(ALICE, (row("sip:a@1", cseq=number),), previous, NOW)
        previous = (row("sip:a@1", cseq=number),)
    beside = await open_sqlite(path, access=access, slack=0)
    await serving.location.replace(BOB, (), rows("sip:b@1"), NOW)
    for number in range(30):
        await beside.accounts.put(AccountRow(f"{number}", "example.org"))
    assert beside.statistics().failures == 0
    await serving.location.replace(ALICE, rows("sip:a@2"), previous, NOW)
    assert serving.statistics().log_entries == 53
    await beside.close()
    await serving.close()
    assert read(path) == {ALICE: rows("sip:a@2")}


async def users_of(path: Path) -> list[str]:
    store = await open_sqlite(path, access="accounts")
    found = [account.user async for account in store.accounts.scan()]
    await store.close()
    return found


ADDS = """
import asyncio, pathlib, sys
from ringback.store import AccountRow, open_store
async def main(name):
    store = await open_store(sys.argv[1], access="accounts", synchronous="NORMAL")
    for number in range(40):
        await store.accounts.put(AccountRow(f"{name}-{number}", "example.org"))
    print((await store.secrets.secret("tokens", name.encode())).decode())
    await store.close()
asyncio.run(main(sys.argv[2]))
"""


def test_processes_that_find_no_file_and_write_at_once(path: Path) -> None:
    """Nobody's account is lost, and all find the same secret, whoever made it."""
    names = ["a", "b", "c", "d"]
    command = [sys.executable, "-c", ADDS, str(path)]
    started = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in names
    ]
    ended = [process.communicate(timeout=60) for process in started]
    assert [error for _, error in ended] == [""] * 4
    assert len({answer for answer, _ in ended}) == 1 and ended[0][0].strip() in names
    assert asyncio.run(users_of(path)) == sorted(f"{name}-{number}" for name in names for number in range(40))


KILLED = """
import asyncio, os, signal, sys
from ringback.store import BindingRow, open_store
async def main():
    store = await open_store(sys.argv[1])
    previous, number = {}, 0
    async def write(aor):
        rows = (BindingRow("sip:a@1", 2e9, cseq=previous.get(aor, 0) + 1),)
        before = (BindingRow("sip:a@1", 2e9, cseq=previous[aor]),) if aor in previous else ()
        await store.location.replace(aor, rows, before, 1e9)
        previous[aor] = rows[0].cseq
        os.write(1, f"{aor} {rows[0].cseq}\\n".encode())
    while True:
        await asyncio.gather(*(write(f"sip:{user}@example.org") for user in range(20)))
asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 333, 2000])
def test_a_process_that_is_killed_has_kept_its_word(path: Path, lines: int) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.stdout.readlines()
    promised = {aor: int(cseq) for aor, cseq in (line.split() for line in told if line.endswith("\n"))}
    stored = read(path)
    for aor, cseq in promised.items():
        # One more may have been committed and not told yet.
        assert stored[aor][0].cseq in (cseq, cseq + 1)
    assert len(promised) >= min(lines, 20)


# --- Files that cannot be used --------------------------------------------------------------------------------------


def octets_of(path: Path) -> bytes:
    return path.read_bytes()


def overwrite(path: Path, octets: bytes) -> None:
    """Another file in its place, with nothing left beside it."""
    path.write_bytes(octets)
    for beside in path.parent.glob("ringback.db-*"):
        beside.unlink()


async def open_and_read_all(path: Path) -> dict[str, BindingRows]:
    store = await asyncio.wait_for(open_sqlite(path), 20)
    try:
        _ = [account async for account in store.accounts.scan()]
        return {aor: found async for aor, found in store.location.scan(NOW)}
    finally:
        await store.close()


@pytest.mark.parametrize("pages", [0.01, 0.9, 1, 1.5, 2, 3, 5, 7.99])
async def test_a_file_that_was_cut_short_is_told(path: Path, pages: float) -> None:
    expected = await filled(path, 400)
    octets = octets_of(path)
    assert len(octets) >= 8 * 4096 and not wal_of(path).exists()
    overwrite(path, octets[: int(pages * 4096)])
    with pytest.raises(StoreError, match=r"ringback\.db cannot be (opened|read): (file is not a database|.*malformed)"):
        await open_and_read_all(path)
    # What is wrong is in the file and in nothing that was left beside it.
    overwrite(path, octets)
    assert await open_and_read_all(path) == expected


async def test_a_damaged_file_is_told_or_read_and_nothing_worse(path: Path) -> None:
    """SQLite keeps no checksum of a page, so a wrong digit may go unnoticed; what must not happen is a crash, or a wait
    for ever."""
    expected = await filled(path, 60)
    octets = octets_of(path)
    chance = random.Random(4)
    told = 0
    for _ in range(150):
        damaged = bytearray(octets)
        for _ in range(chance.choice((1, 1, 30))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        overwrite(path, damaged)
        try:
            found = await open_and_read_all(path)
        except StoreError as error:
            assert str(error)
            told += 1
        else:
            assert len(found) <= len(expected) + 60
    assert told > 20


async def test_damaged_bindings_are_told_when_they_are_asked_for(path: Path) -> None:
    await filled(path)
    execute(path, f"INSERT INTO location_log VALUES (2, x'{encode({ALICE: b'?'}).hex()}')")
    store = await open_sqlite(path)
    with pytest.raises(StoreError, match="the stored bindings of an address of record are damaged"):
        await store.location.bindings(ALICE, NOW)
    assert await store.location.bindings("sip:0@example.org", NOW) == (row("sip:0@1"),), "the others are served"
    await store.close()


@pytest.fixture
def private() -> Iterator[Path]:
    """A folder that another user can be given; the one that pytest makes is within folders of this user."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


AS_NOBODY = """
import asyncio, os, sys
from ringback.errors import StoreError
from ringback.store import AccountRow, open_store
async def main():
    try:
        store = await open_store(sys.argv[1], access=sys.argv[2])
        await store.close()
    except StoreError as error:
        print(error)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("access", "message"),
    [
        ("serve", "ringback.db-owner cannot be opened: Permission denied"),
        ("accounts", "ringback.db cannot be opened: attempt to write a readonly database"),
    ],
)
async def test_a_folder_that_may_not_be_written(private: Path, access: str, message: str) -> None:
    """Root may write everywhere, so the process that opens it becomes another user first."""
    data = private / "data"
    await filled(data / "ringback.db")
    (data / "ringback.db-owner").unlink()
    if os.geteuid() == 0:
        for place in (private, data, data / "ringback.db"):
            os.chown(place, 65534, 65534)
    (data / "ringback.db").chmod(0o400)
    data.chmod(0o500)
    assert run_python(AS_NOBODY, data, access) == (0, f"{data}/{message}\n", "")


@contextmanager
def no_file_beyond(octets: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: writing then fails as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_disk_that_takes_no_more(path: Path) -> None:
    """Who cannot be served is told, readers see what is on disk, and with room again all goes on."""
    store = await open_sqlite(path)
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    with no_file_beyond(wal_of(path).stat().st_size + 1000):
        for _ in range(3):
            with pytest.raises(StoreError, match=r"nothing was written: (disk I/O error|database or disk is full)"):
                await store.location.replace(ALICE, rows("sip:a@2"), rows("sip:a@1"), NOW)
            with pytest.raises(StoreError, match="nothing was written"):
                await store.accounts.put(AccountRow("alice", "example.org"))
            assert await store.location.bindings(ALICE, NOW) == rows("sip:a@1")
            assert await store.accounts.get("alice", "example.org") is None
        assert store.statistics().failures == 6
    await store.location.replace(ALICE, rows("sip:a@3"), rows("sip:a@1"), NOW)
    await store.accounts.put(AccountRow("alice", "example.org"))
    await store.close()
    assert read(path) == {ALICE: rows("sip:a@3")}


async def test_a_file_that_cannot_be_made_for_want_of_room(path: Path) -> None:
    with (
        no_file_beyond(0),
        pytest.raises(StoreError, match=r"ringback\.db cannot be opened: (disk I/O error|database or disk is full)"),
    ):
        await open_sqlite(path)
    await (await open_sqlite(path)).close()


# --- Closing --------------------------------------------------------------------------------------------------------


async def test_closing_writes_what_is_pending(path: Path) -> None:
    store = await open_sqlite(path, gathering_time=3600.0)
    commit = store.location.submit(ALICE, rows("sip:a@1"), (), NOW)
    await store.close()
    assert commit.done() and commit.exception() is None
    assert read(path) == {ALICE: rows("sip:a@1")}
    assert not wal_of(path).exists(), "the last one at the file empties the write-ahead log"


async def test_closing_goes_on_when_who_waits_for_it_is_cancelled(path: Path) -> None:
    store = await open_sqlite(path, gathering_time=3600.0)
    store.location.submit(ALICE, rows("sip:a@1"), (), NOW)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await store.close()
    assert read(path) == {ALICE: rows("sip:a@1")}
    await (await open_sqlite(path)).close()


async def test_what_is_asked_of_a_closed_store(path: Path) -> None:
    store = await open_sqlite(path)
    await store.close()
    for asked in (store.accounts.get("alice", "example.org"), store.accounts.remove("alice", "example.org")):
        with pytest.raises(StoreError, match="accounts cannot be read: Cannot operate on a closed database"):
            await asked
    with pytest.raises(StoreError, match="secrets cannot be read"):
        await store.secrets.secret("tokens", b"x")


def test_a_program_that_ends_without_closing_ends(path: Path) -> None:
    code = (
        "import asyncio, sys; from ringback.store import *\n"
        "async def main():\n"
        "    store = await open_store(sys.argv[1])\n"
        "    await store.location.replace('a', (BindingRow('sip:a@1', 2e9),), (), 1e9)\n"
        "asyncio.run(main())"
    )
    assert run_python(code, path) == (0, "", "")
    assert [found[0].contact for found in read(path).values()] == ["sip:a@1"]
