"""The store that forgets: what it does otherwise than one with a disk. The rest is in the conformance suite."""

import asyncio

from ringback.store import AccountRow, MemoryStore, Statistics
from tests.store.rows import NOW, row, rows

ALICE = "sip:alice@example.org"


async def test_a_write_is_done_when_it_is_made() -> None:
    store = MemoryStore()
    commit = store.location.submit(ALICE, rows("sip:a@1"), (), NOW)
    assert commit.done() and commit.exception() is None
    coroutine = store.location.replace(ALICE, (), rows("sip:a@1"), NOW)
    try:
        coroutine.send(None)
    except StopIteration:
        assert store.location.peek(ALICE, NOW) == ()
    else:
        raise AssertionError("it suspends, though there is nothing to wait for")


async def test_its_commits_can_be_gathered_as_those_of_a_disk() -> None:
    store = MemoryStore()
    commits = [store.location.submit(f"{number}", rows("sip:a@1"), (), NOW) for number in range(3)]
    gathered = asyncio.gather(*commits)  # type: ignore[call-overload]
    assert await asyncio.wait_for(gathered, 10) == [None, None, None]


async def test_two_stores_share_nothing() -> None:
    first, second = MemoryStore(), MemoryStore()
    await first.location.replace(ALICE, rows("sip:a@1"), (), NOW)
    await first.accounts.put(AccountRow("alice", "example.org"))
    await first.secrets.secret("tokens", b"first")
    await first.close()
    assert await second.location.bindings(ALICE, NOW) == ()
    assert await second.accounts.get("alice", "example.org") is None
    assert await second.secrets.secret("tokens", b"second") == b"second"


async def test_every_write_is_a_transaction() -> None:
    store = MemoryStore()
    await store.location.replace(ALICE, (row("sip:a@1", 10.0),), (), NOW)
    await store.location.sweep(NOW + 10, 10)
    await store.accounts.put(AccountRow("alice", "example.org"))
    assert await store.accounts.remove("alice", "example.org") is True
    assert store.statistics() == Statistics(writes=4, transactions=4)


async def test_accounts_that_go_while_they_are_listed_are_left_out() -> None:
    store = MemoryStore()
    for user in "abc":
        await store.accounts.put(AccountRow(user, "example.org"))
    seen = []
    async for account in store.accounts.scan():
        seen.append(account.user)
        await store.accounts.remove("b", "example.org")
    assert seen == ["a", "c"]
