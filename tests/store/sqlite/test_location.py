"""The location in the file: who may write, what shares a transaction, and what a failure leaves."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from ringback.errors import StoreError
from ringback.store import BindingRows
from ringback.store.sqlite.schema import connect
from tests.store.rows import NOW, open_sqlite, row, rows
from tests.store.sqlite.files import read

ALICE, BOB, CAROL = "sip:alice@example.org", "sip:bob@example.org", "sip:carol@example.org"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.db"


async def test_writes_of_one_moment_share_a_transaction(path: Path) -> None:
    store = await open_sqlite(path)
    aors = [f"sip:{number}@example.org" for number in range(300)]
    await asyncio.gather(*(store.location.replace(aor, rows(aor), (), NOW) for aor in aors))
    statistics = store.statistics()
    assert (statistics.writes, statistics.transactions, statistics.log_entries) == (300, 1, 300)
    await store.close()
    assert read(path) == {aor: rows(aor) for aor in aors}


async def test_a_sweep_is_one_transaction(path: Path) -> None:
    """Half of a sweep would be no harm, but a commit for each expired binding would be."""
    store = await open_sqlite(path)
    aors = [f"sip:{number}@example.org" for number in range(200)]
    short, long = row("sip:a@1", 10.0), row("sip:a@2", 20.0)
    await asyncio.gather(*(store.location.replace(aor, (short, long), (), NOW) for aor in aors))
    swept = await store.location.sweep(NOW + 10, 1000)
    assert sorted(swept) == sorted((aor, (short,)) for aor in aors)
    assert store.statistics().transactions == 2
    await store.close()
    assert read(path) == dict.fromkeys(aors, (long,))


async def test_a_sweep_that_finds_nothing_writes_nothing(path: Path) -> None:
    store = await open_sqlite(path)
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    assert await store.location.sweep(NOW, 1000) == ()
    assert store.statistics().transactions == 1
    await store.close()


async def test_what_cannot_be_written_is_taken_back(path: Path) -> None:
    """ "After the error nothing of it is left, neither on disk nor in memory": made, changed, removed and swept."""
    store = await open_sqlite(path, patience=0.05)
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await store.location.replace(BOB, (row("sip:b@1", 10.0),), (), NOW)
    before = {ALICE: rows("sip:a@1"), BOB: (row("sip:b@1", 10.0),)}
    writes: list[tuple[str, BindingRows, BindingRows]] = [
        (ALICE, rows("sip:a@2"), rows("sip:a@1")),
        (ALICE, (), rows("sip:a@2")),
        (CAROL, rows("sip:c@1"), ()),
    ]
    with closing(connect(path, patience=0.0)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = [store.location.replace(aor, after, previous, NOW) for aor, after, previous in writes]
        ended = await asyncio.gather(*asked, store.location.sweep(NOW + 10, 1000), return_exceptions=True)
        assert [(type(error), str(error)) for error in ended] == [
            (StoreError, "nothing was written: database is locked")
        ] * 4
        assert {aor: found async for aor, found in store.location.scan(NOW)} == before
        assert await store.location.count() == 2
        other.execute("ROLLBACK")
    # What was not swept is still there to be swept.
    assert await store.location.sweep(NOW + 10, 1000) == ((BOB, (row("sip:b@1", 10.0),)),)
    await store.close()
    assert read(path) == {ALICE: rows("sip:a@1")}


async def test_a_key_that_cannot_be_written_is_refused_before_it_can_spoil_a_batch(path: Path) -> None:
    store = await open_sqlite(path)
    good = store.location.submit(ALICE, rows("sip:a@1"), (), NOW)
    with pytest.raises(StoreError, match="an address of record cannot be stored"):
        store.location.submit("sip:\ud800@example.org", rows("sip:a@1"), (), NOW)
    await good
    assert await store.location.count() == 1
    await store.close()


async def test_too_many_that_wait_are_refused_and_nothing_of_theirs_is_shown(path: Path) -> None:
    store = await open_sqlite(path, most_pending=1)
    first = store.location.submit(ALICE, rows("sip:a@1"), (), NOW)
    with pytest.raises(StoreError, match="1 writes are waiting"):
        store.location.submit(BOB, rows("sip:b@1"), (), NOW)
    assert store.location.peek(BOB, NOW) == ()
    await first
    await store.location.replace(BOB, rows("sip:b@1"), (), NOW)
    assert store.statistics().refused == 1
    await store.close()


async def test_the_log_stays_short_while_bindings_are_refreshed(path: Path) -> None:
    store = await open_sqlite(path, slack=10)
    aors = [f"sip:{number}@example.org" for number in range(50)]
    previous: dict[str, BindingRows] = dict.fromkeys(aors, ())
    for round_ in range(20):
        fresh = {aor: (row(aor, cseq=round_),) for aor in aors}
        for start in range(0, 50, 10):
            part = aors[start : start + 10]
            await asyncio.gather(*(store.location.replace(aor, fresh[aor], previous[aor], NOW) for aor in part))
        previous = dict(fresh)
        # Twice what is alive, the slack, and what one more batch can add.
        assert store.statistics().log_entries <= 2 * 50 + 10 + 30
    await store.close()
    assert read(path) == previous
