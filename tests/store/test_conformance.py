"""What every driver does, the same for all; drivers are listed in conftest."""

import asyncio
import gc
import warnings

import pytest

from ringback.store import (
    AccountRow,
    AccountStore,
    BindingRow,
    BindingRows,
    Commit,
    EmbeddedAccounts,
    EmbeddedLocation,
    LocationStore,
    SecretStore,
    Store,
    StoreConflict,
    StoreError,
)
from tests.store.conftest import AnyStore
from tests.store.rows import FULL_ROW, NOW, row, rows

ALICE = "sip:alice@example.org"
BOB = "sip:bob@example.org"


# --- Location -------------------------------------------------------------------------------------------------------


async def test_an_address_of_record_without_bindings(store: AnyStore) -> None:
    assert await store.location.bindings(ALICE, NOW) == ()
    assert store.location.peek(ALICE, NOW) == ()
    assert await store.location.count() == 0
    assert [found async for found in store.location.scan(NOW)] == []


async def test_every_field_comes_back(store: AnyStore) -> None:
    await store.location.replace(ALICE, (FULL_ROW,), (), NOW)
    assert await store.location.bindings(ALICE, NOW) == (FULL_ROW,)
    assert store.location.peek(ALICE, NOW) == (FULL_ROW,)


async def test_rows_keep_their_order(store: AnyStore) -> None:
    three = rows("sip:c@c", "sip:a@a", "sip:b@b")
    await store.location.replace(ALICE, three, (), NOW)
    assert await store.location.bindings(ALICE, NOW) == three


async def test_replacing_is_for_one_address_of_record(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await store.location.replace(BOB, rows("sip:b@1"), (), NOW)
    await store.location.replace(ALICE, rows("sip:a@2"), rows("sip:a@1"), NOW)
    assert await store.location.bindings(ALICE, NOW) == rows("sip:a@2")
    assert await store.location.bindings(BOB, NOW) == rows("sip:b@1")
    assert await store.location.count() == 2


async def test_addresses_of_record_differ_by_case(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    assert await store.location.bindings("sip:Alice@example.org", NOW) == ()


async def test_replacing_by_nothing_removes(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await store.location.replace(ALICE, (), rows("sip:a@1"), NOW)
    assert await store.location.bindings(ALICE, NOW) == ()
    assert await store.location.count() == 0


async def test_removing_what_is_not_there_is_no_error(store: AnyStore) -> None:
    await store.location.replace(ALICE, (), (), NOW)
    assert await store.location.count() == 0


@pytest.mark.parametrize(
    "previous",
    [
        (),
        rows("sip:a@2"),
        rows("sip:a@1", "sip:a@2"),
        (row("sip:a@1", cseq=1),),
        (row("sip:a@1", 3600.001),),
    ],
    ids=["nothing", "another", "more", "another cseq", "another expiry"],
)
async def test_a_conflict_changes_nothing(store: AnyStore, previous: BindingRows) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    with pytest.raises(StoreConflict):
        await store.location.replace(ALICE, rows("sip:new@1"), previous, NOW)
    with pytest.raises(StoreConflict):
        await store.location.replace(ALICE, (), previous, NOW)
    assert await store.location.bindings(ALICE, NOW) == rows("sip:a@1")
    assert await store.location.count() == 1


async def test_a_conflict_with_an_address_of_record_that_has_nothing(store: AnyStore) -> None:
    with pytest.raises(StoreConflict):
        await store.location.replace(ALICE, rows("sip:a@2"), rows("sip:a@1"), NOW)
    assert await store.location.bindings(ALICE, NOW) == ()


async def test_the_order_of_rows_is_part_of_the_comparison(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1", "sip:a@2"), (), NOW)
    with pytest.raises(StoreConflict):
        await store.location.replace(ALICE, (), rows("sip:a@2", "sip:a@1"), NOW)


async def test_a_row_expires_at_its_very_second(store: AnyStore) -> None:
    await store.location.replace(ALICE, (row("sip:a@1", 10.0),), (), NOW)
    assert await store.location.bindings(ALICE, NOW + 9.999) == (row("sip:a@1", 10.0),)
    assert await store.location.bindings(ALICE, NOW + 10.0) == ()
    assert store.location.peek(ALICE, NOW + 10.0) == ()
    assert [found async for found in store.location.scan(NOW + 10.0)] == []
    # Time is an argument: nothing has been lost if it was wrong.
    assert await store.location.bindings(ALICE, NOW) == (row("sip:a@1", 10.0),)


async def test_only_the_expired_rows_are_left_out(store: AnyStore) -> None:
    first, second, third = row("sip:a@1", 30.0), row("sip:a@2", 10.0), row("sip:a@3", 20.0)
    await store.location.replace(ALICE, (first, second, third), (), NOW)
    assert await store.location.bindings(ALICE, NOW + 10) == (first, third)
    assert await store.location.bindings(ALICE, NOW + 20) == (first,)
    assert [found async for found in store.location.scan(NOW + 20)] == [(ALICE, (first,))]


async def test_what_expires_between_reading_and_writing_is_no_conflict(store: AnyStore) -> None:
    short, long = row("sip:a@1", 10.0), row("sip:a@2", 20.0)
    await store.location.replace(ALICE, (short, long), (), NOW)
    # Read before and after the first has expired, written after it.
    for previous in ((short, long), (long,)):
        await store.location.replace(ALICE, (short, long), previous, NOW + 10)
    # An expired row may be given as well, but one that is live must be there.
    with pytest.raises(StoreConflict):
        await store.location.replace(ALICE, (), (short,), NOW + 10)
    await store.location.replace(ALICE, (), (), NOW + 20)
    assert await store.location.count() == 0


async def test_an_integer_for_a_time_is_the_same_time(store: AnyStore) -> None:
    whole = BindingRow(contact="sip:a@1", expires=1_700_000_100)
    await store.location.replace(ALICE, (whole,), (), NOW)
    read = await store.location.bindings(ALICE, NOW)
    assert read == (whole,)
    await store.location.replace(ALICE, (), (whole,), NOW)


TEXTS = {
    "non-ASCII": "Jürgen 日本語 \U0001f4de",
    "not UTF-8": b"T\xe9l\xe9phone \xff".decode("utf-8", "surrogateescape"),
    "zero and newline": "a\x00b\r\nc",
    "much": "x" * 70_000,
    "last code point": "\U0010ffff",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_any_text_comes_back(store: AnyStore, text: str) -> None:
    aor = f"sip:{text}@example.org"
    given = (BindingRow(contact=f"sip:{text}@1", expires=NOW + 1, user_agent=text, path=(text, "<sip:edge;lr>")),)
    await store.location.replace(aor, given, (), NOW)
    assert await store.location.bindings(aor, NOW) == given
    assert [found async for found in store.location.scan(NOW)] == [(aor, given)]
    swept = await store.location.sweep(NOW + 1, 10_000)
    assert swept == ((aor, given),)


async def test_text_that_no_octets_can_stand_for_is_refused(store: AnyStore) -> None:
    with pytest.raises(StoreError, match="cannot be stored"):
        await store.location.replace(ALICE, rows("sip:\ud800@1"), (), NOW)
    assert await store.location.bindings(ALICE, NOW) == ()


async def test_scan_gives_each_address_of_record_once(store: AnyStore) -> None:
    aors = [f"sip:user{number}@example.org" for number in range(3000)]
    await asyncio.gather(*(store.location.replace(aor, rows(aor), (), NOW) for aor in aors))
    assert await store.location.count() == 3000
    found = [found async for found in store.location.scan(NOW)]
    assert sorted(found) == sorted((aor, rows(aor)) for aor in aors)


async def test_scan_lets_others_write(store: AnyStore) -> None:
    aors = [f"sip:user{number}@example.org" for number in range(500)]
    await asyncio.gather(*(store.location.replace(aor, rows(aor), (), NOW) for aor in aors))
    seen = []
    async for aor, found in store.location.scan(NOW):
        seen.append(aor)
        if aor.endswith(";new"):
            continue
        store.location.submit(aor, (), found, NOW)
        store.location.submit(f"{aor};new", rows("sip:new@1"), (), NOW)
    # Those that were there were seen once each; of the new ones, any may have been.
    assert sorted(aor for aor in seen if not aor.endswith(";new")) == sorted(aors)
    assert len(seen) == len(set(seen))


async def test_sweep_removes_what_has_expired_and_tells_it(store: AnyStore) -> None:
    short, long = row("sip:a@1", 10.0), row("sip:a@2", 20.0)
    await store.location.replace(ALICE, (short, long), (), NOW)
    await store.location.replace(BOB, (short,), (), NOW)
    assert await store.location.sweep(NOW + 9, 10) == ()
    assert sorted(await store.location.sweep(NOW + 10, 10)) == [(ALICE, (short,)), (BOB, (short,))]
    assert await store.location.count() == 1
    # Gone for good, not only hidden by the time.
    assert await store.location.bindings(ALICE, NOW) == (long,)
    assert await store.location.bindings(BOB, NOW) == ()
    assert await store.location.sweep(NOW + 10, 10) == ()


async def test_sweeping_little_by_little_visits_everything(store: AnyStore) -> None:
    aors = [f"sip:user{number}@example.org" for number in range(400)]
    await asyncio.gather(*(store.location.replace(aor, (row(aor, 10.0),), (), NOW) for aor in aors))
    swept: list[str] = []
    calls = 0
    while await store.location.count():
        removed = await store.location.sweep(NOW + 10, 16)
        assert 16 <= len(removed) <= 16 + 8 or not await store.location.count()
        swept.extend(aor for aor, _ in removed)
        calls += 1
        assert calls <= 400 // 16 + 1
    assert sorted(swept) == sorted(aors)


# --- Order and interleaving -----------------------------------------------------------------------------------------


async def test_counting_by_compare_and_set_loses_no_step(store: AnyStore) -> None:
    """Twenty writers each add one, fifty times, and read again when another was first."""
    conflicts = 0

    async def add() -> None:
        nonlocal conflicts
        for _ in range(50):
            while True:
                before = await store.location.bindings(ALICE, NOW)
                await asyncio.sleep(0)
                after = (row("sip:a@1", cseq=before[0].cseq + 1 if before else 1),)
                try:
                    await store.location.replace(ALICE, after, before, NOW)
                    break
                except StoreConflict:
                    conflicts += 1

    await asyncio.gather(*(add() for _ in range(20)))
    assert (await store.location.bindings(ALICE, NOW))[0].cseq == 1000
    assert conflicts > 0


async def test_a_second_writer_sees_the_first_before_its_commit(store: AnyStore) -> None:
    first = store.location.submit(ALICE, rows("sip:a@1"), (), NOW)
    assert store.location.peek(ALICE, NOW) == rows("sip:a@1")
    with pytest.raises(StoreConflict):
        store.location.submit(ALICE, rows("sip:a@2"), (), NOW)
    second = store.location.submit(ALICE, rows("sip:a@1", "sip:a@2"), rows("sip:a@1"), NOW)
    await first
    await second
    assert await store.location.bindings(ALICE, NOW) == rows("sip:a@1", "sip:a@2")


async def test_writes_of_one_address_of_record_take_effect_in_order(store: AnyStore) -> None:
    previous: BindingRows = ()
    commits: list[Commit] = []
    for cseq in range(1, 200):
        after = (row("sip:a@1", cseq=cseq),) if cseq % 7 else ()
        commits.append(store.location.submit(ALICE, after, previous, NOW))
        previous = after
        if cseq % 50 == 0:
            await commits[-1]
    for commit in commits:
        await commit
        assert commit.done()
    assert await store.location.bindings(ALICE, NOW) == (row("sip:a@1", cseq=199),)


# --- Coroutines that are stepped by hand ----------------------------------------------------------------------------


async def test_reading_never_suspends(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await store.accounts.put(AccountRow("alice", "example.org"))
    for coroutine, expected in (
        (store.location.bindings(ALICE, NOW), rows("sip:a@1")),
        (store.location.bindings(BOB, NOW), ()),
        (store.accounts.get("alice", "example.org"), AccountRow("alice", "example.org")),
        (store.accounts.get("bob", "example.org"), None),
        (store.location.count(), 1),
    ):
        with pytest.raises(StopIteration) as stopped:
            coroutine.send(None)
        assert stopped.value.value == expected


async def test_replace_can_be_stepped_by_hand(store: AnyStore) -> None:
    ended = asyncio.get_running_loop().create_future()

    def step(commit: object = None) -> None:
        try:
            waiting = coroutine.send(None)
        except StopIteration as stopped:
            ended.set_result(stopped.value)
        else:
            assert isinstance(waiting, Commit) and not waiting.done()
            waiting.add_done_callback(step)

    coroutine = store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    step()
    assert store.location.peek(ALICE, NOW) == rows("sip:a@1")
    assert await ended is None
    assert await store.location.bindings(ALICE, NOW) == rows("sip:a@1")


async def test_a_conflict_comes_from_the_first_step(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    with pytest.raises(StoreConflict):
        store.location.replace(ALICE, (), (), NOW).send(None)


# --- Accounts and secrets -------------------------------------------------------------------------------------------

HASHED = AccountRow(
    user="alice",
    domain="example.org",
    ha1=(("MD5", "0" * 32), ("SHA-256", "1" * 64), ("SHA-512-256", "2" * 64)),
    enabled=False,
    display_name='Alice "日本" \\ Liddell',
    created=NOW + 0.25,
)


async def test_an_account_comes_back(store: AnyStore) -> None:
    assert await store.accounts.get("alice", "example.org") is None
    await store.accounts.put(HASHED)
    assert await store.accounts.get("alice", "example.org") == HASHED
    assert store.accounts.peek("alice", "example.org") == HASHED
    assert HASHED.hash_for("SHA-256") == "1" * 64


async def test_accounts_are_kept_apart_by_user_and_domain(store: AnyStore) -> None:
    await store.accounts.put(HASHED)
    for user, domain in (("Alice", "example.org"), ("alice", "example.com"), ("example.org", "alice"), ("", "")):
        assert await store.accounts.get(user, domain) is None


async def test_an_account_is_replaced(store: AnyStore) -> None:
    await store.accounts.put(HASHED)
    assert await store.accounts.get("alice", "example.org") == HASHED
    plain = AccountRow("alice", "example.org")
    await store.accounts.put(plain)
    assert await store.accounts.get("alice", "example.org") == plain
    assert [account async for account in store.accounts.scan()] == [plain]


async def test_an_account_is_removed(store: AnyStore) -> None:
    assert await store.accounts.remove("alice", "example.org") is False
    await store.accounts.put(HASHED)
    assert await store.accounts.remove("alice", "example.org") is True
    assert await store.accounts.get("alice", "example.org") is None
    assert await store.accounts.remove("alice", "example.org") is False


async def test_accounts_in_their_order(store: AnyStore) -> None:
    """More than a page of each domain, and the first and last of a page where it can go wrong."""
    for domain in ("b.example", "a.example", "c.example"):
        await asyncio.gather(*(store.accounts.put(AccountRow(f"{number:04}", domain)) for number in range(513)))
    await store.accounts.put(AccountRow("", "b.example"))
    everything = [(account.domain, account.user) async for account in store.accounts.scan()]
    assert everything == sorted(everything) and len(everything) == len(set(everything)) == 3 * 513 + 1
    one = [account.user async for account in store.accounts.scan("b.example")]
    assert one == ["", *(f"{number:04}" for number in range(513))]
    assert [account async for account in store.accounts.scan("d.example")] == []
    assert [account async for account in store.accounts.scan("")] == []


async def test_a_user_that_was_not_utf_8_is_unknown(store: AnyStore) -> None:
    user = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert await store.accounts.get(user, "example.org") is None
    assert await store.accounts.get("alice", user) is None
    assert await store.accounts.remove(user, "example.org") is False


async def test_a_secret_is_made_once(store: AnyStore) -> None:
    assert await store.secrets.secret("nonce", b"first\x00\xff") == b"first\x00\xff"
    assert await store.secrets.secret("nonce", b"second") == b"first\x00\xff"
    assert await store.secrets.secret("flow", b"third") == b"third"


async def test_two_who_make_a_secret_get_the_same(store: AnyStore) -> None:
    given = await asyncio.gather(*(store.secrets.secret("nonce", bytes([number])) for number in range(10)))
    assert set(given) == {given[0]}


# --- The whole ------------------------------------------------------------------------------------------------------


async def test_the_protocols_are_kept(store: AnyStore) -> None:
    whole: Store = store
    location: LocationStore = whole.location
    accounts: AccountStore = whole.accounts
    secrets: SecretStore = whole.secrets
    assert isinstance(location, EmbeddedLocation)
    assert isinstance(accounts, EmbeddedAccounts)
    assert await secrets.secret("a", b"b") == b"b"


async def test_statistics_count_writes(store: AnyStore) -> None:
    assert store.statistics().writes == 0
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await store.accounts.put(HASHED)
    with pytest.raises(StoreConflict):
        await store.location.replace(ALICE, (), (), NOW)
    statistics = store.statistics()
    assert (statistics.writes, statistics.transactions) == (2, 2)
    assert (statistics.failures, statistics.pending, statistics.refused) == (0, 0, 0)


async def test_a_closed_store_takes_nothing(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.location.replace(ALICE, rows("sip:a@2"), rows("sip:a@1"), NOW)
    with pytest.raises(StoreError, match="closed"):
        await store.accounts.put(HASHED)
    assert store.location.peek(ALICE, NOW) == rows("sip:a@1")
    await store.close()


async def test_closing_leaves_no_task_and_no_warning(store: AnyStore) -> None:
    await store.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await store.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    assert asyncio.all_tasks() == {asyncio.current_task()}
