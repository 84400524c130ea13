"""The location on disk: a log of writes, not a table of rows.

The index in memory answers every question, so the disk is only ever written, and read once at the start. A table with a
row for each address of record would change one page of 4 KB, somewhere, for each write: refreshes come in no order.
Instead each batch of writes is appended as one record: the new packed rows of each address of record, nothing for one
that has gone. That writes only what has changed, costs a third of the table's CPU, and starts faster.

The last entry of an address of record counts, earlier ones are dead. Dead entries are reclaimed as in a ring: when the
log holds more than twice what is alive, each batch takes some of the oldest records along, writes again what is still
alive in them, and removes them, in its own transaction. Bindings are refreshed or expire, so what is oldest is mostly
dead, and little is written twice. An entry is alive if the index holds just its value: all that the index holds is
either committed or in the batch itself when that is decided (see `group`).
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import Final

import msgspec

from ringback.errors import StoreError
from ringback.store.index import PackedIndex, text_restored, text_saved

__all__ = ["Log", "Record", "survivors"]

Record = tuple[int, dict[str, bytes]]
"""A record of the log: its number and its entries."""

# Entries in one record, so that none takes long to read or decide on.
RECORD_ENTRIES: Final = 256
# Dead entries that are not worth any work, about 1.5 MB.
SLACK_ENTRIES: Final = 4096

# MessagePack never uses this byte: it marks a record with keys that were not UTF-8 (see `index.text_saved`).
ESCAPED: Final = b"\xc1"

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(dict[str, bytes]).decode


class Log:
    """The log, from the thread that writes it."""

    __slots__ = ("_connection", "_number", "_slack", "entries")

    entries: int
    """Entries in the log, dead ones included."""

    def __init__(self, connection: sqlite3.Connection, slack: int = SLACK_ENTRIES) -> None:
        self._connection = connection
        self._number = 0
        self._slack = slack
        self.entries = 0

    def load(self, index: PackedIndex) -> None:
        """Read everything into `index`. Raises sqlite3.Error and StoreError."""
        put = index.put
        for number, written in self._connection.execute("SELECT number, entries FROM location_log ORDER BY number"):
            entries = decode(number, written)
            for aor, packed in entries.items():
                put(aor, packed)
            self._number = number
            self.entries += len(entries)

    def append(self, writes: Mapping[str, bytes]) -> None:
        """Write new values, inside a transaction of the caller. Raises sqlite3.Error and StoreError."""
        items = iter(writes.items())
        while entries := dict(islice(items, RECORD_ENTRIES)):
            self._number += 1
            self._connection.execute(
                "INSERT INTO location_log (number, entries) VALUES (?, ?)", (self._number, encode(entries))
            )

    def remove(self, records: Sequence[Record]) -> None:
        """Remove the oldest records, inside a transaction of the caller. Raises sqlite3.Error."""
        if records:
            self._connection.execute("DELETE FROM location_log WHERE number <= ?", (records[-1][0],))

    def committed(self, writes: Mapping[str, bytes], removed: Sequence[Record]) -> None:
        """The transaction with `append` and `remove` has happened."""
        self.entries += len(writes) - sum(len(entries) for _, entries in removed)

    def outdated(self, alive: int, written: int) -> list[Record]:
        """The oldest records, if they should be reclaimed: about two entries for each of the `written` last ones.

        `alive` is the number of entries that are needed. Raises sqlite3.Error and StoreError.
        """
        records: list[Record] = []
        if self.entries <= 2 * alive + self._slack:
            return records
        wanted = max(2 * written, 1)
        # Closed at once: a statement in the middle of its rows would keep the write-ahead log from being emptied.
        with closing(self._connection.execute("SELECT number, entries FROM location_log ORDER BY number")) as cursor:
            for number, entries in cursor:
                records.append((number, decode(number, entries)))
                wanted -= len(records[-1][1])
                if wanted <= 0:
                    break
        return records


def survivors(records: Sequence[Record], index: PackedIndex, writes: Mapping[str, bytes]) -> dict[str, bytes]:
    """The entries of old records that are still needed: what the index holds and `writes` does not replace."""
    alive: dict[str, bytes] = {}
    for _, entries in records:
        for aor, packed in entries.items():
            # A value that was removed (packed as nothing) is never in the index: nothing older needs to be hidden.
            if packed and index.get(aor) == packed and aor not in writes:
                alive[aor] = packed
    return alive


def encode(entries: dict[str, bytes]) -> bytes:
    """A record as it is written. Raises StoreError for a key that no octets can stand for."""
    try:
        return _encode(entries)
    except UnicodeEncodeError:
        pass
    try:
        return ESCAPED + _encode({text_saved(aor): packed for aor, packed in entries.items()})
    except UnicodeEncodeError as error:
        raise StoreError(f"an address of record cannot be stored: {error}") from error


def decode(number: int, written: object) -> dict[str, bytes]:
    """The entries of a record. Raises StoreError when it is damaged."""
    if not isinstance(written, bytes):
        # The file says of each value what it is, so damage can make text of octets.
        raise StoreError(f"record {number} of the location log is damaged: it is no octets")
    try:
        if written.startswith(ESCAPED):
            entries = _decode(memoryview(written)[1:])
            return {text_restored(aor): packed for aor, packed in entries.items()}
        return _decode(written)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise StoreError(f"record {number} of the location log is damaged: {error}") from error
