"""The bindings of all addresses of record in memory, a million of them and more.

What it must be is small, quick, and never a reason to stall. So:

* An address of record has one value: its rows, packed as MessagePack in one `bytes`. Decoding takes well under a
  microsecond; objects for each row would take four times the memory.
* Neither `str` nor `bytes` nor a dict that holds nothing else is walked by the cycle collector: a full collection with
  a million bindings costs what it costs with none.
* The table is cut into a thousand dicts. A dict that grows copies all its entries in one go, with a million of them
  for tens of milliseconds; a thousandth of that goes unnoticed. Whoever has to visit everything stops between the
  pieces.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import msgspec

from ringback.errors import StoreConflict, StoreError
from ringback.store.base import BindingRow, BindingRows

__all__ = ["ABSENT", "PackedIndex", "has_expired", "live", "pack", "scan", "text_restored", "text_saved", "unpack"]

ABSENT: Final = b""
"""The packed form of no rows at all."""

SHARDS: Final = 1024
# A dict takes the lowest bits of a key's hash for the slot. The bits that pick the dict must be others, or all keys of
# one dict would start at a few of its slots.
SHIFT: Final = 20

# MessagePack never uses this byte ("never used" in its table of formats). It marks what was packed by `_pack_escaped`.
ESCAPED: Final = b"\xc1"


class _Expiry(msgspec.Struct, array_like=True, gc=False):
    """The beginning of a BindingRow: enough to see whether it has expired, in half the time."""

    contact: msgspec.Raw
    expires: float


_encoder: Final = msgspec.msgpack.Encoder()
_decode: Final = msgspec.msgpack.Decoder(tuple[BindingRow, ...]).decode
_decode_expiry: Final = msgspec.msgpack.Decoder(tuple[_Expiry, ...]).decode


def text_saved(text: str) -> str:
    """The octets of `text`, each as one character: what can be written as UTF-8 even if `text` cannot."""
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def text_restored(text: str) -> str:
    """The inverse of `text_saved`."""
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def pack(rows: BindingRows) -> bytes:
    """The rows as one value, ABSENT for none. The same rows always give the same value.

    Raises StoreError for text that no octets can stand for (a surrogate that is not an escaped octet).
    """
    if not rows:
        return ABSENT
    try:
        packed = _encoder.encode(rows)
    except UnicodeEncodeError:
        return _pack_escaped(rows)
    # The encoder shrinks a larger buffer, and the allocator leaves up to a quarter of it unused: the copy is exact.
    return bytes(memoryview(packed))


def unpack(packed: bytes) -> BindingRows:
    """The inverse of `pack`. Raises StoreError for a value that is damaged."""
    if not packed:
        return ()
    try:
        return _decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if packed.startswith(ESCAPED):
            return _unpack_escaped(packed)
        raise StoreError(f"the stored bindings of an address of record are damaged: {error}") from error


def _pack_escaped(rows: BindingRows) -> bytes:
    try:
        saved = tuple(_with_text(row, text_saved) for row in rows)
    except UnicodeEncodeError as error:
        raise StoreError(f"a binding holds text that cannot be stored: {error}") from error
    return ESCAPED + _encoder.encode(saved)


def _unpack_escaped(packed: bytes) -> BindingRows:
    try:
        return tuple(_with_text(row, text_restored) for row in _decode(memoryview(packed)[1:]))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise StoreError(f"the stored bindings of an address of record are damaged: {error}") from error


def _with_text(row: BindingRow, change: Callable[[str], str]) -> BindingRow:
    """The row with `change` made to every text in it."""
    values: list[object] = []
    for name in row.__struct_fields__:
        value: object = getattr(row, name)
        if isinstance(value, str):
            value = change(value)
        elif isinstance(value, tuple):
            value = tuple(change(text) for text in value)
        values.append(value)
    return BindingRow(*values)  # type: ignore[arg-type]


def live(rows: BindingRows, now: float) -> BindingRows:
    """The rows that have not expired at `now`; `rows` itself when that is all of them."""
    for row in rows:
        if row.expires <= now:
            return tuple(row for row in rows if row.expires > now)
    return rows


class PackedIndex:
    """Packed rows by address of record. Not for several threads at once."""

    __slots__ = ("_cursor", "_mask", "_seen", "_seen_packed", "_shards", "count")

    count: int
    """Addresses of record that have rows."""

    def __init__(self, shards: int = SHARDS) -> None:
        """`shards` is a power of two."""
        self._shards: list[dict[str, bytes]] = [{} for _ in range(shards)]
        self._mask = shards - 1
        self._cursor = 0
        # What `peek` gave last and what it was packed: who writes has mostly just read, and need not be compared.
        self._seen: BindingRows = ()
        self._seen_packed = ABSENT
        self.count = 0

    def get(self, aor: str) -> bytes:
        """The packed rows, expired ones included; ABSENT for none."""
        return self._shards[(hash(aor) >> SHIFT) & self._mask].get(aor, ABSENT)

    def put(self, aor: str, packed: bytes) -> None:
        """Store packed rows as they are; ABSENT removes."""
        shard = self._shards[(hash(aor) >> SHIFT) & self._mask]
        if packed:
            if aor not in shard:
                self.count += 1
            shard[aor] = packed
        elif shard.pop(aor, None) is not None:
            self.count -= 1

    def peek(self, aor: str, now: float) -> BindingRows:
        """The rows that have not expired at `now`."""
        packed = self._shards[(hash(aor) >> SHIFT) & self._mask].get(aor)
        if packed is None:
            return ()
        try:
            rows = _decode(packed)
        except (msgspec.DecodeError, UnicodeDecodeError):
            rows = unpack(packed)
        for row in rows:
            if row.expires <= now:
                return live(rows, now)
        self._seen = rows
        self._seen_packed = packed
        return rows

    def exchange(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> tuple[bytes, bytes]:
        """Put `rows` in the place of `previous`; return what was there and what is there now, packed.

        What has expired at `now` is left out of the comparison. Raises StoreConflict, and changes nothing, when the
        rows are not `previous`; StoreError when they cannot be packed.
        """
        shard = self._shards[(hash(aor) >> SHIFT) & self._mask]
        before = shard.get(aor, ABSENT)
        if previous is self._seen and before is self._seen_packed:
            pass
        elif before if not previous else before != pack(previous):
            # Not the same octets, but maybe the same rows: an expired one has been left out, or a newer version of the
            # program writes more fields than the one that wrote these.
            if live(unpack(before), now) != live(previous, now):
                raise StoreConflict(f"the bindings of {aor} have changed since they were read")
        packed = pack(rows)
        if packed:
            shard[aor] = packed
            if not before:
                self.count += 1
        elif before:
            del shard[aor]
            self.count -= 1
        return before, packed

    def expired(self, now: float, limit: int) -> list[tuple[str, BindingRows]]:
        """The next addresses of record with an expired row, each with all its rows.

        Looks at `limit` addresses of record at least, unless there are fewer, and stops at the end of the piece of the
        table in which it has reached them. The next call goes on from there.
        """
        found: list[tuple[str, BindingRows]] = []
        seen = 0
        for _ in self._shards:
            if seen >= limit:
                break
            shard = self._shards[self._cursor]
            self._cursor = (self._cursor + 1) & self._mask
            seen += len(shard)
            found.extend((aor, unpack(packed)) for aor, packed in shard.items() if has_expired(packed, now))
        return found

    def pieces(self) -> Iterator[list[tuple[str, bytes]]]:
        """All that is stored, a piece of the table at a time; others may write between the pieces."""
        for shard in self._shards:
            if shard:
                yield list(shard.items())

    def largest_piece(self) -> int:
        """The most addresses of record that one piece of the table holds: what a stall can cost."""
        return max(map(len, self._shards))


def has_expired(packed: bytes, now: float) -> bool:
    """Whether one of the packed rows has expired at `now`."""
    try:
        return any(row.expires <= now for row in _decode_expiry(packed))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return any(row.expires <= now for row in unpack(packed))


async def scan(index: PackedIndex, now: float) -> AsyncIterator[tuple[str, BindingRows]]:
    """All that an index holds and that has not expired at `now`; others run between the pieces of its table."""
    for piece in index.pieces():
        for aor, packed in piece:
            rows = live(unpack(packed), now)
            if rows:
                yield aor, rows
        await asyncio.sleep(0)
