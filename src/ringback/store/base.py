"""What every store offers: rows that are plain values, and the Protocols of the drivers.

A store knows no SIP. An address of record is a `str` key, a Contact is text, a digest is a hexadecimal string; what
they mean is the registrar's business. In return the registrar knows no storage.

Three rules hold for every driver, and one conformance suite (tests/store/test_conformance.py) checks them:

* A write has happened when its coroutine returns, and not before: it then survives the death of the process and, with
  the default settings, of the machine. So an answer that promises something is sent after the `await`.
* A write either happens or raises `StoreError`. After the error nothing of it is left, neither on disk nor in memory.
* No store reads the wall clock. Where time matters it is the argument `now`: seconds since the epoch, as in the rows. A
  row whose `expires` is equal to `now` has expired.

Strings may hold bytes that were not UTF-8, escaped as `surrogateescape` does it; they come back as they went in.
"""

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

import msgspec

from ringback.store.commit import Commit

__all__ = [
    "AccountRow",
    "AccountStore",
    "BindingRow",
    "BindingRows",
    "Commit",
    "EmbeddedAccounts",
    "EmbeddedLocation",
    "LocationStore",
    "SecretStore",
    "Statistics",
    "Store",
]


class BindingRow(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One binding of an address of record, as RFC 3261 section 10.3 has the registrar keep it.

    The row is written as an array, so fields have positions: a new field goes to the end and has a default.
    """

    contact: str
    """The Contact URI as text: the binding's identity, unless `instance` and `reg_id` are (RFC 5626 section 6)."""
    expires: float
    """When the binding ends: seconds since the epoch."""
    q: int = 1000
    """Preference in thousandths, 0 to 1000 (the Contact's q)."""
    call_id: str = ""
    cseq: int = 0
    instance: str = ""
    """The value of +sip.instance, "" for none."""
    reg_id: int = 0
    """The reg-id of an outbound flow, 0 for none."""
    path: tuple[str, ...] = ()
    """The Path that requests to this contact take (RFC 3327), each element as header value text."""
    flow: str = ""
    """An opaque token by which the network layer finds the flow that the registration came by, "" for none."""
    received: str = ""
    """Where the registration came from ("udp:203.0.113.7:41234"), "" when the contact can be reached as it is."""
    parameters: str = ""
    """The other Contact parameters, such as feature tags, as they came."""
    user_agent: str = ""
    gruu: int = 0
    """The number of the oldest temporary GRUU that is still valid (RFC 5627 section 3.2)."""
    updated: float = 0.0
    """When the binding was last made or refreshed: seconds since the epoch."""


BindingRows = tuple[BindingRow, ...]


class AccountRow(msgspec.Struct, frozen=True, gc=False):
    """Somebody who may register and call.

    `ha1` holds pairs of a digest algorithm as RFC 8760 names it ("MD5", "SHA-256", "SHA-512-256") and the hexadecimal
    hash of user, realm and password under it. It is as good as the password, so it stays out of `repr` and of logs.
    """

    user: str
    domain: str
    ha1: tuple[tuple[str, str], ...] = ()
    enabled: bool = True
    display_name: str = ""
    created: float = 0.0
    """Seconds since the epoch."""

    def hash_for(self, algorithm: str) -> str | None:
        """The hexadecimal H(A1) under `algorithm` (exact spelling), None where the account has none."""
        for name, value in self.ha1:
            if name == algorithm:
                return value
        return None

    def __repr__(self) -> str:
        algorithms = ", ".join(name for name, _ in self.ha1)
        state = "" if self.enabled else ", disabled"
        return f"AccountRow({self.user!r} at {self.domain!r}, hashes: {algorithms or 'none'}{state})"


class Statistics(msgspec.Struct, frozen=True):
    """What a store has done since it was opened."""

    writes: int = 0
    """Writes that were asked for and not refused at once."""
    transactions: int = 0
    """Commits that they took."""
    failures: int = 0
    """Transactions that failed; each has told all its callers."""
    pending: int = 0
    """Callers that wait for a commit now."""
    refused: int = 0
    """Writes refused because too many were pending."""
    log_entries: int = 0
    """Entries in the location log on disk, outdated ones included."""


class LocationStore(Protocol):
    """Which bindings an address of record has."""

    async def bindings(self, aor: str, now: float) -> BindingRows:
        """The bindings of `aor` that have not expired at `now`, in the order in which they were stored.

        The embedded drivers never suspend here, so that a caller may step the coroutine by hand.
        """
        ...

    async def replace(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> None:
        """Put `rows` in the place of `previous`; no rows at all removes the address of record.

        The comparison leaves out what has expired at `now`, on both sides: a binding that ran out between reading and
        writing is no conflict. An embedded driver shows the new rows to readers before the first suspension.

        Raises StoreConflict, and changes nothing, when the rows that are stored are not `previous`. Raises StoreError
        when the change could not be made durable; the former rows are then back.
        """
        ...

    async def count(self) -> int:
        """How many addresses of record have rows, those included whose rows have expired but were not swept yet."""
        ...

    def scan(self, now: float) -> AsyncIterator[tuple[str, BindingRows]]:
        """All addresses of record that have bindings at `now`, in no order.

        It lets others run every few milliseconds. What changes meanwhile may be seen or not; all else is seen once.
        """
        ...

    async def sweep(self, now: float, limit: int) -> tuple[tuple[str, BindingRows], ...]:
        """Remove expired rows among the next `limit` addresses of record or a few more; return the removed rows.

        Each call goes on where the last one ended, so that calling it often visits everything in turn.
        Raises StoreError as `replace` does.
        """
        ...


class AccountStore(Protocol):
    """Who may register and call. `user` and `domain` are compared octet by octet; normalising is the caller's."""

    async def get(self, user: str, domain: str) -> AccountRow | None:
        """The account, or None. The embedded drivers never suspend here.

        A change by another process is seen within a second.
        """
        ...

    async def put(self, row: AccountRow) -> None:
        """Add the account, or replace the one of that user and domain. Raises StoreError."""
        ...

    async def remove(self, user: str, domain: str) -> bool:
        """Remove the account; False when there was none. Raises StoreError."""
        ...

    def scan(self, domain: str | None = None) -> AsyncIterator[AccountRow]:
        """The accounts of a domain, or of all domains, ordered by domain and user."""
        ...


class SecretStore(Protocol):
    """Keys that the server makes for itself once and has to find again after a restart."""

    async def secret(self, name: str, fresh: bytes) -> bytes:
        """The secret of that name; the first time `fresh` is stored and returned. Raises StoreError."""
        ...


class Store(Protocol):
    """One place where everything is kept."""

    @property
    def location(self) -> LocationStore: ...

    @property
    def accounts(self) -> AccountStore: ...

    @property
    def secrets(self) -> SecretStore: ...

    def statistics(self) -> Statistics: ...

    async def close(self) -> None:
        """Finish what is pending, then let go of files and threads. Writes after this raise StoreError."""
        ...


@runtime_checkable
class EmbeddedLocation(LocationStore, Protocol):
    """A location store in this process: it can be read and written without a coroutine."""

    def peek(self, aor: str, now: float) -> BindingRows:
        """As `bindings`."""
        ...

    def submit(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> Commit:
        """As `replace`, but return the commit and do not wait for it. Raises StoreConflict and StoreError at once."""
        ...


@runtime_checkable
class EmbeddedAccounts(AccountStore, Protocol):
    """An account store in this process."""

    def peek(self, user: str, domain: str) -> AccountRow | None:
        """As `get`. Raises StoreError when the disk cannot be read."""
        ...
