"""The location on disk: what is read back, and what is reclaimed when."""

import random
import sqlite3
from collections.abc import Iterator

import pytest

from ringback.errors import StoreError
from ringback.store.index import ABSENT, PackedIndex
from ringback.store.sqlite.log import RECORD_ENTRIES, Log, decode, encode, survivors
from ringback.store.sqlite.schema import migrate

NOT_UTF_8 = b"sip:\xff\xfe@example.org".decode("utf-8", "surrogateescape")


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    yield connection
    connection.close()


def loaded(database: sqlite3.Connection) -> tuple[dict[str, bytes], Log]:
    """What a new process finds."""
    index, log = PackedIndex(1), Log(database)
    log.load(index)
    return {aor: packed for piece in index.pieces() for aor, packed in piece}, log


def records(database: sqlite3.Connection) -> list[tuple[int, dict[str, bytes]]]:
    rows = database.execute("SELECT number, entries FROM location_log ORDER BY number").fetchall()
    return [(number, decode(number, entries)) for number, entries in rows]


# --- Writing and reading --------------------------------------------------------------------------------------------


def test_an_empty_log(database: sqlite3.Connection) -> None:
    found, log = loaded(database)
    assert found == {} and log.entries == 0


def test_the_last_entry_of_an_address_of_record_counts(database: sqlite3.Connection) -> None:
    log = Log(database)
    for writes in ({"a": b"1", "b": b"1", "c": b"1"}, {"a": b"2", "b": ABSENT}, {"b": b"3", "c": ABSENT}):
        log.append(writes)
        log.committed(writes, ())
    found, again = loaded(database)
    assert found == {"a": b"2", "b": b"3"}
    assert again.entries == log.entries == 7


def test_a_new_process_goes_on_numbering(database: sqlite3.Connection) -> None:
    Log(database).append({"a": b"1"})
    _, log = loaded(database)
    log.append({"a": b"2"})
    assert records(database) == [(1, {"a": b"1"}), (2, {"a": b"2"})]


def test_no_record_is_large(database: sqlite3.Connection) -> None:
    writes = {f"{number}": b"x" for number in range(2 * RECORD_ENTRIES + 1)}
    Log(database).append(writes)
    assert [(number, len(entries)) for number, entries in records(database)] == [
        (1, RECORD_ENTRIES),
        (2, RECORD_ENTRIES),
        (3, 1),
    ]
    assert loaded(database)[0] == writes


def test_keys_that_were_not_utf_8_come_back(database: sqlite3.Connection) -> None:
    writes = {NOT_UTF_8: b"1", "sip:日本@example.org": b"2"}
    Log(database).append(writes)
    assert loaded(database)[0] == writes
    with pytest.raises(StoreError, match="an address of record cannot be stored"):
        encode({"\ud800": b"1"})


@pytest.mark.parametrize(
    "written",
    [
        *(b"", b"\xc1", b"\x81", b"\xc0", b"\x81\xa1a\x01", b"\x81\xa2\xff\xff\xc4\x011"),
        *(encode({"a": b"1"})[:-1], encode({NOT_UTF_8: b"1"})[:-1]),
        *("text", 17, 0.5, None),
    ],
    ids=repr,
)
def test_damage_is_told_with_the_number_of_the_record(written: object) -> None:
    """The last four are no octets: SQLite keeps a type with each value, and it can be damaged like the rest."""
    with pytest.raises(StoreError, match="record 41 of the location log is damaged"):
        decode(41, written)


# --- Reclaiming -----------------------------------------------------------------------------------------------------


def log_of(database: sqlite3.Connection, slack: int, *batches: dict[str, bytes]) -> Log:
    log = Log(database, slack)
    for writes in batches:
        log.append(writes)
        log.committed(writes, ())
    return log


def test_nothing_is_reclaimed_before_more_than_half_is_dead(database: sqlite3.Connection) -> None:
    log = log_of(database, 3, *({"a": b"1"} for _ in range(7)))
    assert log.outdated(alive=2, written=1) == [], "7 entries are twice 2 and the slack of 3"
    log.append({"a": b"1"})
    log.committed({"a": b"1"}, ())
    assert log.outdated(alive=2, written=1) == [(1, {"a": b"1"}), (2, {"a": b"1"})]


@pytest.mark.parametrize(("written", "numbers"), [(0, [1]), (1, [1]), (2, [1, 2]), (4, [1, 2, 3]), (100, [1, 2, 3, 4])])
def test_two_old_entries_for_each_new_one(database: sqlite3.Connection, written: int, numbers: list[int]) -> None:
    """So that the log shrinks even if half of what is old has to be written again."""
    three = {"a": b"1", "b": b"1", "c": b"1"}
    log = log_of(database, 0, three, three, three, three)
    assert [number for number, _ in log.outdated(alive=0, written=written)] == numbers


def test_reclaiming_removes_the_oldest_and_counts(database: sqlite3.Connection) -> None:
    log = log_of(database, 0, {"a": b"1"}, {"a": b"2"}, {"a": b"3"}, {"a": b"4"})
    old = log.outdated(alive=1, written=1)
    log.append({"a": b"5"})
    log.remove(old)
    log.committed({"a": b"5"}, old)
    assert [number for number, _ in records(database)] == [3, 4, 5] and log.entries == 3


def test_a_damaged_old_record_is_told(database: sqlite3.Connection) -> None:
    log = log_of(database, 0, {"a": b"1"}, {"a": b"2"})
    database.execute("UPDATE location_log SET entries = x'c0' WHERE number = 1")
    with pytest.raises(StoreError, match="record 1 of the location log is damaged"):
        log.outdated(alive=0, written=1)


def test_survivors() -> None:
    index = PackedIndex(1)
    index.put("alive", b"1")
    index.put("changed", b"2")
    index.put("written now", b"1")
    old = [
        (1, {"alive": b"1", "changed": b"1", "written now": b"1", "gone": b"1"}),
        (2, {"alive": b"1", "gone": ABSENT}),
    ]
    assert survivors(old, index, {"written now": b"3"}) == {"alive": b"1"}


def test_a_value_that_came_back_is_alive_wherever_it_stands() -> None:
    """The index cannot tell which of two equal entries is the last: the first is written again, and is right."""
    index = PackedIndex(1)
    index.put("a", b"1")
    assert survivors([(1, {"a": b"1"})], index, {}) == {"a": b"1"}


@pytest.mark.parametrize("slack", [0, 1, 50])
def test_it_holds_what_a_dict_does_and_stays_short(database: sqlite3.Connection, slack: int) -> None:
    """Random batches, restarts among them, each reclaiming as `group` and `writer` do."""
    chance = random.Random(slack)
    index, log, model = PackedIndex(1), Log(database, slack), dict[str, bytes]()
    old: list[tuple[int, dict[str, bytes]]] = []
    for step in range(600):
        writes: dict[str, bytes] = {}
        for _ in range(chance.randrange(1, 5)):
            writes[f"{chance.randrange(30)}"] = ABSENT if chance.random() < 0.3 else f"{chance.randrange(3)}".encode()
        for aor, packed in writes.items():
            index.put(aor, packed)
            model[aor] = packed
        model = {aor: packed for aor, packed in model.items() if packed}
        writes.update(survivors(old, index, writes))
        log.append(writes)
        log.remove(old)
        log.committed(writes, old)
        old = log.outdated(index.count, len(writes))
        # Never more than one batch, with all that it writes again, above the level at which reclaiming begins.
        assert log.entries <= 2 * index.count + slack + 30
        if step % 50 == 0:
            found, again = loaded(database)
            assert found == model and again.entries == log.entries
            again._slack = slack
            log, old = again, []
    assert loaded(database)[0] == model
