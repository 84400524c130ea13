"""A crash at any point: what was acknowledged is there, in the order in which it was, and nothing else.

A file system keeps what was written before the last fsync, and any part of what came after it. So the write-ahead log
is cut at every octet of its last commits, and damaged there, and copied into the file by half.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ringback.store import BindingRows, SqliteStore
from ringback.store.sqlite.schema import connect
from tests.store.rows import NOW, open_sqlite, row
from tests.store.sqlite.files import as_left_by_a_kill, read, wal_of

ALICE, BOB = "sip:alice@example.org", "sip:bob@example.org"

State = dict[str, BindingRows]


async def acknowledged(path: Path, writes: int) -> tuple[list[State], list[int]]:
    """A file with some commits behind it, left open.

    Returns the state after each acknowledged write, the empty one first, and the length of the write-ahead log then.
    """
    store = await open_sqlite(path)
    states: list[State] = [{}]
    lengths = [wal_of(path).stat().st_size]
    for number in range(1, writes + 1):
        state = dict(states[-1])
        aor = (ALICE, BOB)[number % 2]
        before = state.pop(aor, ())
        # Bindings come, change and go.
        after = () if number % 5 == 0 else (row(f"sip:a@{number}", cseq=number, user_agent="x" * 40 * number),)
        await store.location.replace(aor, after, before, NOW)
        if after:
            state[aor] = after
        states.append(state)
        lengths.append(wal_of(path).stat().st_size)
    as_left_by_a_kill(path, path.parent / "killed")
    await store.close()
    return states, lengths


def cut(source: Path, folder: Path, length: int) -> Path:
    """A copy whose write-ahead log ends after `length` octets."""
    copy = as_left_by_a_kill(source, folder)
    with wal_of(copy).open("r+b") as wal:
        wal.truncate(length)
    return copy


def index_of_the_last(lengths: list[int], length: int) -> int:
    return max(number for number, end in enumerate(lengths) if end <= length)


async def test_the_log_cut_anywhere_in_its_last_commits(tmp_path: Path) -> None:
    """A commit counts from its last octet on; before that it has not happened, and neither has anything after it."""
    states, lengths = await acknowledged(tmp_path / "ringback.db", 12)
    killed = tmp_path / "killed" / "ringback.db"
    end = wal_of(killed).stat().st_size
    assert lengths[-1] == end and lengths == sorted(set(lengths)), "each commit has added to the log"
    begin = lengths[-4]
    # Each octet around the ends of commits and pages (24 of header before each); inside of a page they are all alike.
    edges = {length + step for length in range(begin, end + 1, 4120) for step in range(-3, 28)}
    edges |= {length + step for length in lengths[-4:] for step in range(-3, 28)}
    places = sorted(place for place in edges | set(range(begin, end + 1, 127)) if begin <= place <= end)
    seen = set()
    for place in places:
        copy = cut(killed, tmp_path / "cut", place)
        number = index_of_the_last(lengths, place)
        assert read(copy) == states[number], f"cut after {place} of {end} octets"
        seen.add(number)
    assert seen == {9, 10, 11, 12}


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: for thousands of files."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.slow
async def test_the_log_cut_at_every_octet_of_its_last_commit(quick_folder: Path) -> None:
    tmp_path = quick_folder
    states, lengths = await acknowledged(tmp_path / "ringback.db", 6)
    killed = tmp_path / "killed" / "ringback.db"
    for place in range(lengths[-2], lengths[-1] + 1):
        copy = cut(killed, tmp_path / "cut", place)
        assert read(copy) == states[index_of_the_last(lengths, place)], f"cut after {place} octets"


async def test_the_log_damaged_anywhere_in_its_last_commits(tmp_path: Path) -> None:
    """Sectors that a power cut has left with something else in them: what was fsynced before them stands."""
    states, lengths = await acknowledged(tmp_path / "ringback.db", 8)
    killed = tmp_path / "killed" / "ringback.db"
    chance = random.Random(8)
    for _ in range(120):
        place = chance.randrange(lengths[-3], lengths[-1])
        copy = as_left_by_a_kill(killed, tmp_path / "damaged")
        with wal_of(copy).open("r+b") as wal:
            wal.seek(place)
            octets = wal.read(512)
            wal.seek(place)
            wal.write(bytes(chance.randrange(256) for _ in octets))
        assert read(copy) == states[index_of_the_last(lengths, place)], f"damaged after {place} octets"


async def test_what_was_cut_off_does_not_come_back_with_the_next_writes(tmp_path: Path) -> None:
    """The rest of an old log behind a new, shorter one must not be taken for its continuation."""
    states, lengths = await acknowledged(tmp_path / "ringback.db", 12)
    copy = cut(tmp_path / "killed" / "ringback.db", tmp_path / "cut", lengths[9] + 100)
    store = await open_sqlite(copy)
    assert await store.location.bindings(BOB, NOW) == states[9][BOB]
    await store.location.replace(BOB, (row("sip:b@new"),), states[9][BOB], NOW)
    again = as_left_by_a_kill(copy, tmp_path / "again")
    await store.close()
    assert read(copy) == read(again) == {**states[9], BOB: (row("sip:b@new"),)}


@pytest.mark.parametrize("pages", range(12))
async def test_a_crash_while_the_log_is_copied_into_the_file(tmp_path: Path, pages: int) -> None:
    """The checkpoint got as far as some pages; the log is emptied only when all of them are on disk."""
    path = tmp_path / "ringback.db"
    store = await open_sqlite(path)
    expected: State = {}
    for number in range(30):
        aor = f"sip:{number}@example.org"
        expected[aor] = (row(aor, user_agent="y" * 1000),)
        await store.location.replace(aor, expected[aor], (), NOW)
    before = as_left_by_a_kill(path, tmp_path / "before")
    with closing(connect(path, patience=1.0)) as other:
        assert other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0
    after = as_left_by_a_kill(path, tmp_path / "after")
    await store.close()
    old, new = before.read_bytes(), after.read_bytes()
    assert len(new) >= 12 * 4096 > len(old), "the file has grown by pages that it did not have"
    before.write_bytes(new[: pages * 4096] + old[pages * 4096 :])
    assert read(before) == expected


async def test_a_crash_while_old_records_are_reclaimed(tmp_path: Path) -> None:
    """Writing again what is alive and removing the old records are one transaction: no cut falls between them."""
    path = tmp_path / "ringback.db"
    store = await open_sqlite(path, slack=0)
    kept = (row("sip:kept@1"),)
    await store.location.replace(ALICE, kept, (), NOW)
    before: BindingRows = ()
    bobs: list[BindingRows] = []
    lengths = []
    for number in range(12):
        after = (row("sip:bob@1", cseq=number),)
        await store.location.replace(BOB, after, before, NOW)
        before = after
        bobs.append(after)
        lengths.append(wal_of(path).stat().st_size)
    assert store.statistics().log_entries < 8, "old records have been reclaimed"
    killed = as_left_by_a_kill(path, tmp_path / "killed")
    await store.close()
    for place in range(lengths[2], lengths[-1] + 1, 331):
        copy = cut(killed, tmp_path / "cut", place)
        assert read(copy) == {ALICE: kept, BOB: bobs[index_of_the_last(lengths, place)]}, f"cut after {place} octets"


async def test_a_crash_before_the_file_had_any_table(tmp_path: Path) -> None:
    """Between making the file and filling it: a file without an octet is as good as none."""
    path = tmp_path / "ringback.db"
    path.touch()
    store = await open_sqlite(path)
    await store.location.replace(ALICE, (row("sip:a@1"),), (), NOW)
    await store.close()
    assert read(path) == {ALICE: (row("sip:a@1"),)}


async def test_crash_after_crash(tmp_path: Path) -> None:
    """Each generation starts from what the last one left by a kill, writes a little, and is killed in its turn."""
    chance = random.Random(5)
    model: State = {}
    path = tmp_path / "0" / "ringback.db"
    path.parent.mkdir()
    for generation in range(1, 25):
        store = await SqliteStore.open(path, gathering_time=0.0, synchronous="NORMAL", slack=4)
        assert {aor: rows async for aor, rows in store.location.scan(NOW)} == model
        for _ in range(chance.randrange(6)):
            aor = chance.choice((ALICE, BOB, "sip:carol@example.org"))
            after = () if chance.random() < 0.3 else (row(f"sip:a@{chance.randrange(9)}"),)
            await store.location.replace(aor, after, model.pop(aor, ()), NOW)
            if after:
                model[aor] = after
        killed = as_left_by_a_kill(path, tmp_path / str(generation))
        await store.close()
        shutil.rmtree(path.parent)
        path = killed
    assert read(path) == model
