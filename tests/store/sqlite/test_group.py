"""Group commit, with a writer that does nothing until the test says how a batch has ended."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from ringback.errors import StoreError
from ringback.store.commit import Commit
from ringback.store.index import ABSENT, PackedIndex
from ringback.store.sqlite.group import FULL, GroupCommit
from ringback.store.sqlite.writer import Batch, Report, Writer

LONG = 3600.0


class DiskByHand:
    """Stands in for the `Writer`: keeps the batches that it is given, in order."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.stopped = False

    def put(self, batch: Batch) -> None:
        self.batches.append(batch)

    async def stop(self) -> None:
        self.stopped = True


class Rig:
    """A group of its own index, opened on a disk that is worked by hand."""

    def __init__(self, *, gathering_time: float = 0.0, most_pending: int = 1000) -> None:
        self.index = PackedIndex(1)
        self.disk = DiskByHand()
        self.group = GroupCommit(self.index, gathering_time=gathering_time, most_pending=most_pending)

    def open(self) -> "Rig":
        disk: Any = self.disk
        writer: Writer = disk
        self.group.open(writer, 0)
        return self

    def write(self, aor: str, packed: bytes) -> Commit:
        """As the location does it: the index first."""
        self.group.admit()
        before = self.index.get(aor)
        self.index.put(aor, packed)
        return self.group.write(aor, packed, before)

    async def report(self, **how: Any) -> None:
        """The batch at the disk has ended; told in the loop outside any task, as `call_soon_threadsafe` does."""
        asyncio.get_running_loop().call_soon(self.group.finished, Report(**{"entries": 0, **how}))
        await turns(1)

    @property
    def written(self) -> list[dict[str, bytes]]:
        return [batch.writes for batch in self.disk.batches]


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    yield Rig().open()


@pytest_asyncio.fixture
async def patient() -> AsyncIterator[Rig]:
    """Whose batches never have gathered long enough by themselves."""
    yield Rig(gathering_time=LONG).open()


# --- When a batch goes ----------------------------------------------------------------------------------------------


async def test_writes_of_one_turn_share_a_transaction(rig: Rig) -> None:
    first, second = rig.write("a", b"1"), rig.write("b", b"2")
    assert first is second
    assert rig.group.execute("UPDATE x", (1,)) is first
    assert rig.disk.batches == [], "it gathers"
    await turns()
    assert rig.written == [{"a": b"1", "b": b"2"}]
    assert rig.disk.batches[0].statements == [("UPDATE x", (1,))]
    assert not first.done() and rig.group.statistics().pending == 3
    await rig.report(entries=2)
    assert first.done() and first.exception() is None
    assert rig.group.statistics().pending == 0 and rig.group.statistics().log_entries == 2


async def test_a_batch_gathers_until_it_has_gathered_long_enough(patient: Rig) -> None:
    patient.write("a", b"1")
    await turns(10)
    assert patient.disk.batches == []


async def test_the_last_write_of_an_address_of_record_is_the_one_that_is_written(rig: Rig) -> None:
    rig.write("a", b"1")
    rig.write("a", ABSENT)
    rig.write("a", b"3")
    await turns()
    assert rig.written == [{"a": b"3"}] and rig.disk.batches[0].before == {"a": ABSENT}


async def test_a_full_batch_goes_at_the_end_of_the_turn(patient: Rig) -> None:
    commits = {patient.write(f"{number}", b"x") for number in range(FULL - 1)}
    await turns()
    assert patient.disk.batches == []
    commits.add(patient.write("the last", b"x"))
    commits.add(patient.write("one more of the same turn", b"x"))
    assert patient.disk.batches == [], "not in the middle of a turn"
    await turns()
    assert [len(writes) for writes in patient.written] == [FULL + 1] and len(commits) == 1


async def test_one_batch_at_the_disk_and_one_that_gathers(rig: Rig) -> None:
    first = rig.write("a", b"1")
    await turns()
    second = rig.write("b", b"2")
    await turns()
    third = rig.write("c", b"3")
    assert rig.written == [{"a": b"1"}], "the disk is busy: whatever comes meanwhile goes together"
    assert second is third is not first
    await rig.report()
    assert first.done() and not second.done()
    assert rig.written == [{"a": b"1"}, {"b": b"2", "c": b"3"}]
    await rig.report()
    assert second.done() and rig.group.statistics().transactions == 2


async def test_a_report_does_not_cut_short_the_gathering(patient: Rig) -> None:
    for number in range(FULL):
        patient.write(f"{number}", b"x")
    await turns()
    patient.write("b", b"2")
    await patient.report()
    assert len(patient.disk.batches) == 1


async def test_the_disk_works_while_the_callers_are_told(rig: Rig) -> None:
    first = rig.write("a", b"1")
    await turns()
    rig.write("b", b"2")
    await turns()
    seen: list[int] = []
    first.add_done_callback(lambda _: seen.append(len(rig.disk.batches)))
    await rig.report()
    assert seen == [2], "the next batch is at the disk before the first caller is told"


async def test_callers_are_told_in_the_order_of_their_batches(rig: Rig) -> None:
    told: list[str] = []
    for name in "abc":
        rig.write(name, b"x").add_done_callback(lambda _, name=name: told.append(name))
        await turns()
    await rig.report()
    assert told == ["a"]
    await rig.report()
    assert told == ["a", "b", "c"]


async def test_a_caller_may_write_again_when_it_is_told(rig: Rig) -> None:
    again: list[Commit] = []
    rig.write("a", b"1").add_done_callback(lambda _: again.append(rig.write("a", b"2")))
    await turns()
    await rig.report()
    await turns()
    assert rig.written == [{"a": b"1"}, {"a": b"2"}]
    await rig.report()
    assert again[0].done()


# --- When a transaction fails ---------------------------------------------------------------------------------------


async def test_a_failure_takes_back_what_was_shown(rig: Rig) -> None:
    rig.index.put("a", b"old")
    rig.index.put("gone", b"old")
    commit = rig.write("a", b"new")
    rig.write("b", b"new")
    rig.write("gone", ABSENT)
    rig.write("a", b"newer")
    await turns()
    cause = OSError("no space")
    await rig.report(failure="nothing was written: no space", cause=cause)
    error = commit.exception()
    assert str(error) == "nothing was written: no space" and error is not None and error.__cause__ is cause
    assert (rig.index.get("a"), rig.index.get("b"), rig.index.get("gone")) == (b"old", ABSENT, b"old")
    assert rig.index.count == 2
    assert (rig.group.statistics().failures, rig.group.statistics().pending) == (1, 0)


async def test_the_batch_behind_fails_too_and_never_reaches_the_disk(rig: Rig) -> None:
    """Its second write of "a" was decided on rows that nobody was promised."""
    rig.index.put("a", b"old")
    first = rig.write("a", b"1")
    await turns()
    second = rig.write("a", b"2")
    rig.write("b", b"2")
    await turns()
    await rig.report(failure="no space")
    await turns()
    assert str(first.exception()) == "no space"
    assert str(second.exception()) == "a write before it failed: no space"
    assert rig.written == [{"a": b"1"}]
    assert (rig.index.get("a"), rig.index.get("b")) == (b"old", ABSENT)
    assert (rig.group.statistics().failures, rig.group.statistics().pending) == (1, 0)


async def test_after_a_failure_writing_goes_on(rig: Rig) -> None:
    """Even for one who tries again in the moment in which it learns of the failure."""
    again: list[Commit] = []
    rig.write("a", b"1").add_done_callback(lambda _: again.append(rig.write("a", b"2")))
    await turns()
    rig.write("b", b"1")
    await rig.report(failure="no space")
    await turns()
    assert rig.written == [{"a": b"1"}, {"a": b"2"}]
    assert rig.disk.batches[1].before == {"a": ABSENT}
    await rig.report()
    assert again[0].exception() is None and rig.index.get("a") == b"2"


# --- Bounds ---------------------------------------------------------------------------------------------------------


async def test_too_many_that_wait_are_refused() -> None:
    rig = Rig(most_pending=2).open()
    rig.write("a", b"1")
    await turns()
    rig.write("b", b"2")
    with pytest.raises(StoreError, match="2 writes are waiting for the disk: no more are taken"):
        rig.group.admit()
    with pytest.raises(StoreError, match="no more are taken"):
        rig.group.execute("UPDATE x", ())
    statistics = rig.group.statistics()
    assert (statistics.writes, statistics.pending, statistics.refused) == (2, 2, 2)
    await rig.report()
    rig.write("c", b"3")
    assert rig.group.statistics().pending == 2


async def test_nothing_is_taken_before_it_is_open_or_after_its_end() -> None:
    rig = Rig()
    with pytest.raises(StoreError, match="the store is not open"):
        rig.group.admit()
    rig.open()
    await rig.group.drain()
    with pytest.raises(StoreError, match="the store is closed"):
        rig.group.execute("UPDATE x", ())
    assert not rig.disk.stopped
    await rig.group.close()
    assert rig.disk.stopped and rig.disk.batches == []


@pytest.mark.parametrize("failure", ["", "no space"])
async def test_the_end_waits_for_all_that_was_taken(patient: Rig, failure: str) -> None:
    """What gathers goes at once, whatever time it had left."""
    for number in range(FULL):
        first = patient.write(f"{number}", b"x")
    await turns()
    second = patient.write("b", b"2")
    ending = asyncio.ensure_future(patient.group.drain())
    await turns()
    assert not ending.done() and len(patient.disk.batches) == 1
    await patient.report(failure=failure)
    assert first.done()
    if not failure:
        await turns()
        assert not ending.done() and not second.done() and len(patient.disk.batches) == 2
        await patient.report()
    await ending
    assert second.done() and bool(second.exception()) == bool(failure)


# --- Old records ----------------------------------------------------------------------------------------------------


async def test_a_batch_takes_old_records_along_and_writes_again_what_is_alive_in_them(rig: Rig) -> None:
    for aor in ("alive", "changed", "replaced"):
        rig.index.put(aor, b"1")
    rig.index.put("changed", b"2")
    records = [(7, {"alive": b"1", "changed": b"1"}), (8, {"replaced": b"1", "removed": ABSENT, "gone": b"1"})]
    rig.write("x", b"1")
    await turns()
    await rig.report(entries=5, outdated=records)
    rig.write("replaced", b"3")
    await turns()
    batch = rig.disk.batches[1]
    assert batch.outdated == records
    assert batch.writes == {"replaced": b"3", "alive": b"1"}
    assert batch.before == {"replaced": b"1"}, "what is only written again is not taken back if it fails"
    await rig.report(entries=3)
    rig.write("y", b"1")
    await turns()
    assert rig.disk.batches[2].outdated == (), "once is enough"


async def test_old_records_that_cannot_be_read_are_told_and_fail_nobody(rig: Rig) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    commit = rig.write("a", b"1")
    await turns()
    cause = StoreError("record 7 of the location log is damaged")
    await rig.report(entries=9, cause=cause)
    assert commit.done() and commit.exception() is None
    assert told == [{"message": "The location log cannot be kept short", "exception": cause}]
