"""The packed index: what it holds, what it costs, and that it never has to stop for long."""

import gc
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import StoreConflict, StoreError
from ringback.store import BindingRow, BindingRows
from ringback.store.index import (
    ABSENT,
    PackedIndex,
    has_expired,
    live,
    pack,
    scan,
    text_restored,
    text_saved,
    unpack,
)
from tests.store.rows import FULL_ROW, NOW, row, rows

TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
ROWS = st.builds(
    BindingRow,
    contact=TEXTS,
    expires=st.floats(0, 4e9),
    q=st.integers(0, 1000),
    call_id=TEXTS,
    cseq=st.integers(0, 2**32 - 1),
    path=st.lists(TEXTS, max_size=3).map(tuple),
    user_agent=TEXTS,
    gruu=st.integers(0, 2**63 - 1),
)


@given(st.lists(ROWS, max_size=3).map(tuple))
def test_what_is_packed_comes_back_the_same(given_rows: BindingRows) -> None:
    packed = pack(given_rows)
    assert unpack(packed) == given_rows
    assert pack(unpack(packed)) == packed
    assert has_expired(packed, NOW) == any(given_row.expires <= NOW for given_row in given_rows)


def test_no_rows_are_nothing() -> None:
    assert pack(()) == ABSENT == b"" and unpack(ABSENT) == ()


@given(st.binary())
def test_text_of_any_octets_can_be_saved(octets: bytes) -> None:
    text = octets.decode("utf-8", "surrogateescape")
    assert text_saved(text) == octets.decode("latin-1")
    assert text_restored(text_saved(text)) == text


def test_text_beyond_octets_cannot() -> None:
    with pytest.raises(StoreError, match="cannot be stored"):
        pack(rows("sip:\ud800@1"))


@pytest.mark.parametrize(
    "damaged", [b"\xc1", b"\xc1\x91", b"\x91", b"\x01", b"\x91\x91\xa1a", pack(rows("sip:a@1"))[:-1]]
)
def test_damage_is_told(damaged: bytes) -> None:
    with pytest.raises(StoreError, match="damaged"):
        unpack(damaged)
    index = PackedIndex()
    index.put("a", damaged)
    with pytest.raises(StoreError, match="damaged"):
        index.peek("a", NOW)
    with pytest.raises(StoreError, match="damaged"):
        index.expired(NOW, 1)


def test_octets_that_are_not_text_are_damage() -> None:
    with pytest.raises(StoreError, match="damaged"):
        unpack(pack(rows("sip:aaaa@1")).replace(b"aaaa", b"\xff\xff\xff\xff"))


def test_live_rows() -> None:
    short, long = row("sip:a@1", 10), row("sip:a@2", 20)
    both = (short, long)
    assert live(both, NOW + 9) is both
    assert live(both, NOW + 10) == (long,)
    assert live(both, NOW + 20) == ()


def test_put_and_get_and_count() -> None:
    index = PackedIndex()
    assert index.get("a") == ABSENT and index.count == 0
    index.put("a", ABSENT)
    assert index.count == 0
    for packed in (pack(rows("sip:a@1")), pack(rows("sip:a@2"))):
        index.put("a", packed)
        assert index.get("a") == packed and index.count == 1
    index.put("b", pack(rows("sip:b@1")))
    assert index.count == 2
    index.put("a", ABSENT)
    assert index.get("a") == ABSENT and index.count == 1 and index.peek("b", NOW) == rows("sip:b@1")


def test_exchange_tells_what_was_and_what_is() -> None:
    index = PackedIndex()
    one, two = rows("sip:a@1"), rows("sip:a@2")
    assert index.exchange("a", one, (), NOW) == (ABSENT, pack(one))
    assert index.exchange("a", two, one, NOW) == (pack(one), pack(two))
    assert index.exchange("a", (), two, NOW) == (pack(two), ABSENT)
    assert index.exchange("a", (), (), NOW) == (ABSENT, ABSENT)
    assert index.count == 0


def test_rows_just_read_count_for_what_they_were_read_of() -> None:
    index = PackedIndex()
    index.exchange("a", rows("sip:1"), (), NOW)
    index.exchange("b", rows("sip:2"), (), NOW)
    seen = index.peek("a", NOW)
    with pytest.raises(StoreConflict):
        index.exchange("b", (), seen, NOW)
    index.exchange("a", rows("sip:3"), seen, NOW)
    # Others have changed it since, be it to nothing or to what is read again meanwhile.
    with pytest.raises(StoreConflict):
        index.exchange("a", (), seen, NOW)
    again = index.peek("a", NOW)
    with pytest.raises(StoreConflict):
        index.exchange("a", (), seen, NOW)
    index.put("a", ABSENT)
    with pytest.raises(StoreConflict):
        index.exchange("a", (), again, NOW)
    assert (index.peek("a", NOW), index.peek("b", NOW)) == ((), rows("sip:2"))


def test_rows_of_an_older_release_are_no_conflict() -> None:
    """They are read with defaults, so that packing them again gives other octets."""
    index = PackedIndex()
    old = b"\x91\x92\xa7sip:a@1\xcb" + pack(rows("sip:a@1"))[11:19]
    index.put("a", old)
    assert index.peek("a", NOW) == rows("sip:a@1") and pack(rows("sip:a@1")) != old
    index.exchange("a", rows("sip:a@2"), rows("sip:a@1"), NOW)
    assert index.peek("a", NOW) == rows("sip:a@2")


def test_rows_that_cannot_be_packed_change_nothing() -> None:
    index = PackedIndex()
    index.exchange("a", rows("sip:a@1"), (), NOW)
    with pytest.raises(StoreError):
        index.exchange("a", rows("sip:\ud800"), rows("sip:a@1"), NOW)
    assert index.peek("a", NOW) == rows("sip:a@1") and index.count == 1


@pytest.mark.parametrize("shards", [1, 2, 1024])
def test_it_behaves_as_a_dict_does(shards: int) -> None:
    chance = random.Random(20)
    index, model = PackedIndex(shards), dict[str, BindingRows]()
    for step in range(5000):
        aor = f"sip:{chance.randrange(60)}"
        before = model.get(aor, ())
        after = () if chance.random() < 0.3 else (row(aor, chance.choice([-1, 0, 1, 5]), cseq=step),)
        if chance.random() < 0.2:
            with pytest.raises(StoreConflict):
                index.exchange(aor, after, (row("sip:nobody"),), NOW)
            continue
        index.exchange(aor, after, live(before, NOW), NOW)
        model[aor] = after
        if not after:
            del model[aor]
        assert index.count == len(model)
    assert {aor: unpack(packed) for piece in index.pieces() for aor, packed in piece} == model
    for number in range(60):
        assert index.peek(f"sip:{number}", NOW) == live(model.get(f"sip:{number}", ()), NOW)
    due = {aor: found for aor, found in model.items() if any(one.expires <= NOW for one in found)}
    assert dict(index.expired(NOW, 1_000_000)) == due


def test_expired_goes_round() -> None:
    index = PackedIndex(4)
    for number in range(40):
        index.put(f"sip:{number}", pack((row("sip:a@1", 10 if number % 2 else 20),)))
    seen: list[str] = []
    for _ in range(4):
        seen.extend(aor for aor, _ in index.expired(NOW + 10, 1))
    assert sorted(seen) == sorted(f"sip:{number}" for number in range(40) if number % 2)
    # The fifth call begins anew, and no call goes round twice.
    assert {aor for aor, _ in index.expired(NOW + 10, 1)} <= set(seen)
    assert len(index.expired(NOW + 10, 1_000_000)) == 20
    assert PackedIndex(4).expired(NOW, 100) == []


async def test_scan_passes_over_what_has_expired() -> None:
    index = PackedIndex(4)
    index.put("a", pack((row("sip:a@1", 10), row("sip:a@2", 20))))
    index.put("b", pack((row("sip:b@1", 10),)))
    assert [found async for found in scan(index, NOW + 10)] == [("a", (row("sip:a@2", 20),))]


# --- What it costs --------------------------------------------------------------------------------------------------


def filled(number: int) -> PackedIndex:
    index = PackedIndex()
    for count in range(number):
        index.exchange(f"sip:user{count:07}@example.org", (FULL_ROW,), (), NOW)
    return index


def test_no_piece_of_the_table_is_large() -> None:
    """What is done to one piece in one go (growing it, sweeping it) stays short: the pieces fill evenly."""
    index = filled(100_000)
    assert index.count == 100_000
    assert 98 <= index.largest_piece() < 2 * 98


def test_the_cycle_collector_sees_nothing_of_it() -> None:
    filled(10)
    gc.collect()
    before = len(gc.get_objects())
    index = filled(50_000)
    gc.collect()
    assert len(gc.get_objects()) - before < 10
    assert index.count == 50_000


def test_a_binding_takes_less_than_half_of_what_the_peer_needs() -> None:
    """Kamailio: 912 octets for a binding such as this one, which bench/flood.py registers with both.

    Counted here: key and value as the allocator rounds them, and the tables.
    """
    index = PackedIndex()
    for count in range(100_000):
        user = f"m{count}"
        short = row(f"sip:{user}@127.0.0.1:5070", call_id=f"{user}-45147@flood", cseq=1, user_agent="Example Phone/4.2")
        index.exchange(f"{user}@bench.example", (short,), (), NOW)
    rounded = 0
    for piece in index.pieces():
        for aor, packed in piece:
            rounded += (sys.getsizeof(aor) + 15) // 16 * 16 + (sys.getsizeof(packed) + 15) // 16 * 16
    tables = sum(sys.getsizeof(table) for table in gc.get_referents(index._shards))
    assert (rounded + tables) / index.count < 912 / 2
