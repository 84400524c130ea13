"""Rows: what they are on disk, and what they must not tell."""

import gc

import msgspec
import pytest

from ringback.store import AccountRow, BindingRow
from tests.store.rows import FULL_ROW, NOW, row

# FULL_ROW as the first release wrote it. What was written has to be read for ever: when this test fails, a field has
# moved, changed its type or lost its default.
WRITTEN = bytes.fromhex(
    "9ed92d7369703a616c696365403139322e3136382e31302e31323a353036303b7472616e73706f72743d7564703b6f62cb41d954ffc410"
    "0000cd02bcd92e3031323334353637383961626364656630313233343536373839616263646566403139322e3136382e31302e3132cd12"
    "67d92f3c75726e3a757569643a30303030303030302d303030302d313030302d383030302d3030304139354130453132383e0192ba3c73"
    "69703a65646765312e6578616d706c652e6f72673b6c723ebd3c7369703a65646765322e6578616d706c652e6f72673b6c723b6f623ea8"
    "66375a6b31714c30b57564703a3230332e302e3131332e373a3431323334d9256d6574686f64733d22494e564954452c41434b2c425945"
    "223b2b7369702e6d657373616765d9204c696e70686f6e652f352e322e31202862656c6c652d7369702f352e322e302903cb41d954fc40"
    "200000"
)


def test_what_the_first_release_wrote_is_read() -> None:
    assert msgspec.msgpack.decode(WRITTEN, type=BindingRow) == FULL_ROW


def test_fields_that_were_not_written_yet_have_their_defaults() -> None:
    shorter = msgspec.msgpack.encode(["sip:a@1", NOW + 3600])
    assert msgspec.msgpack.decode(shorter, type=BindingRow) == row("sip:a@1")


def test_fields_of_a_newer_release_are_passed_over() -> None:
    fields = [*msgspec.structs.astuple(row("sip:a@1")), "new", {"newer": 1}]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=BindingRow) == row("sip:a@1")


def test_rows_are_values() -> None:
    assert row("sip:a@1") == row("sip:a@1") and hash(row("sip:a@1")) == hash(row("sip:a@1"))
    with pytest.raises(AttributeError):
        row("sip:a@1").cseq = 5  # type: ignore[misc]


def test_rows_are_no_work_for_the_cycle_collector() -> None:
    assert not gc.is_tracked(row("sip:a@1", path=("<sip:edge;lr>",)))
    assert not gc.is_tracked(AccountRow("alice", "example.org", (("MD5", "0" * 32),)))


def test_a_hash_is_found_by_its_algorithm() -> None:
    account = AccountRow("alice", "example.org", (("MD5", "00"), ("SHA-256", "11")))
    assert account.hash_for("MD5") == "00"
    assert account.hash_for("SHA-256") == "11"
    assert account.hash_for("SHA-512-256") is None
    assert account.hash_for("md5") is None


@pytest.mark.parametrize("form", [repr, str, "{!r}".format, "{}".format])
def test_an_account_does_not_show_its_hashes(form: object) -> None:
    account = AccountRow("alice", "example.org", (("MD5", "5ec7e7"), ("SHA-256", "5ec7e7")), enabled=False)
    assert form(account) == "AccountRow('alice' at 'example.org', hashes: MD5, SHA-256, disabled)"  # type: ignore[operator]
    assert repr(AccountRow("bob", "b.example")) == "AccountRow('bob' at 'b.example', hashes: none)"
