"""The registrar: REGISTER comes in, bindings go to the store, and only then the answer goes out (RFC 3261 10.3).

`ringback.sip.binding` decides what becomes of the bindings; this is what stands around it: whose bindings they are, who
may change them, and that a change is either stored or not acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from ringback.errors import ParseError, StoreConflict, StoreError
from ringback.server.app import Rest, ServerTransaction
from ringback.server.location.served import AddressOfRecord, Served
from ringback.sip.binding import Binding, Change, Outcome, Policy, apply
from ringback.sip.gruu import Gruus
from ringback.sip.message import Request
from ringback.sip.outbound import decode_flow_token
from ringback.sip.registrar import EXPIRED, Refused
from ringback.sip.transport import Flow, is_address, is_inward
from ringback.sip.uri import Uri
from ringback.store.base import BindingRow, BindingRows, Commit, EmbeddedLocation, LocationStore

#: How often a REGISTER is decided anew because others were changing the same address of record.
ATTEMPTS: Final = 5
#: Seconds after which a client may try again when nothing could be stored.
RETRY_AFTER: Final = 10
#: RFC 3680 4.7.1: a contact that was removed otherwise, by one who "still wishes the client to attempt to re-register".
DEACTIVATED: Final = "deactivated"

#: Is told the key of an address of record and what has happened to its bindings, after that is stored.
Changed = Callable[[str, list[Change]], None]


class Registrar:
    """Answers REGISTER; it is the application for that method.

    store    where bindings are kept
    served   the addresses of record that are ours
    policy   as `binding.apply` takes it
    changed  is told what has changed
    wall     the wall clock: bindings outlive the process
    """

    __slots__ = ("_connections", "_date", "_embedded", "_second", "_store", "changed", "policy", "served", "wall")

    def __init__(
        self,
        store: LocationStore,
        served: Served,
        policy: Policy,
        changed: Changed | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.served: Served = served
        self.policy: Policy = policy
        self.changed: Changed | None = changed
        self.wall: Callable[[], float] = wall
        self._second: int = -1
        self._date: str = ""
        #: Number of a connection to the addresses of record that were registered over it.
        self._connections: dict[int, set[str]] = {}

    @property
    def store(self) -> LocationStore:
        """Where bindings are kept."""
        return self._store

    @store.setter
    def store(self, store: LocationStore) -> None:
        self._store: LocationStore = store
        self._embedded: EmbeddedLocation | None = store if isinstance(store, EmbeddedLocation) else None

    def __call__(self, transaction: ServerTransaction) -> Rest:
        """Answer one REGISTER; at once when nothing has to be waited for."""
        user = "" if transaction.trusted else transaction.user
        store = self._embedded
        if store is None:
            return self._answer(transaction, user)
        request = transaction.request
        address = self._address(request, user)
        if isinstance(address, Outcome):
            _respond(transaction, address)
            return None
        now = self.wall()
        try:
            before = store.peek(address.key, now)
            current = [binding_of(row) for row in before]
            outcome = self._decide(request, transaction.flow, address, current, now)
            if outcome.changes:
                # Nothing has happened since the rows were read, so that there is no conflict.
                commit = store.submit(address.key, rows_of(outcome.rows, current, before), before, now)
                if not commit.done():
                    return self._answer_after(commit, transaction, address.key, outcome)
                commit.result()
                self._tell(address.key, outcome)
        except StoreError as error:
            outcome = _unstored(str(error))
        _respond(transaction, outcome)
        return None

    async def _answer_after(self, commit: Commit, transaction: ServerTransaction, key: str, outcome: Outcome) -> None:
        """Answer when what the outcome says is stored."""
        try:
            await commit
        except StoreError as error:
            outcome = _unstored(str(error))
        else:
            self._tell(key, outcome)
        _respond(transaction, outcome)

    async def _answer(self, transaction: ServerTransaction, user: str) -> None:
        _respond(transaction, await self.register(transaction.request, transaction.flow, user))

    async def register(self, request: Request, source: Flow, user: str) -> Outcome:
        """Carry out a REGISTER that came on `source`; what the outcome says is stored when this returns.

        `user` is who has proved himself ("user@domain"), "" where nobody had to.
        """
        address = self._address(request, user)
        if isinstance(address, Outcome):
            return address
        key = address.key
        now = self.wall()
        for _ in range(ATTEMPTS):
            try:
                before = await self._store.bindings(key, now)
                current = [binding_of(row) for row in before]
                outcome = self._decide(request, source, address, current, now)
                if outcome.changes:
                    await self._store.replace(key, rows_of(outcome.rows, current, before), before, now)
                    self._tell(key, outcome)
                return outcome
            except StoreConflict:
                # "REGISTER requests MUST also be processed atomically": decide anew on what is there now.
                continue
            except StoreError as error:
                return _unstored(str(error))
        return _unstored(f"{key} was changed by others {ATTEMPTS} times meanwhile")

    def _address(self, request: Request, user: str) -> AddressOfRecord | Outcome:
        """The address of record that a REGISTER is about, or why it is refused."""
        try:
            address = self.served.address_of(request.required("to"))
            valid = address is not None and self.served.covers(request.target, address.key)
        except ParseError as error:
            return Outcome(error.status, error.reason, [], [], [], error.reason)
        if address is None or not valid:
            # Step 5: "If the address-of-record is not valid for the domain in the Request-URI, the registrar MUST send
            # a 404 (Not Found) response".
            return Outcome(404, "", [], [], [], "the address of record is not of this domain")
        if user and user != address.key:
            # Step 4: "If the authenticated user is not authorized to modify bindings, the registrar MUST return a 403
            # (Forbidden) and skip the remaining steps."
            return Outcome(403, "", [], [], [], f"{user} may not register {address.key}")
        return address

    def _decide(
        self, request: Request, source: Flow, address: AddressOfRecord, current: list[Binding], now: float
    ) -> Outcome:
        """What becomes of the bindings; it is yet to be stored."""
        outcome = apply(request, current, now, self.policy, address.uri, source, self._date_at(now))
        if source.connection and outcome.changes:
            # Before the wait for the disk: the connection may end meanwhile, and its end has to find this.
            self._note_connection(address.key, source, outcome)
        return outcome

    def _tell(self, key: str, outcome: Outcome) -> None:
        if self.changed is not None:
            self.changed(key, outcome.changes)

    def _note_connection(self, key: str, source: Flow, outcome: Outcome) -> None:
        for change in outcome.changes:
            if change.binding.flow:
                self._connections.setdefault(source.connection, set()).add(key)
                break

    def _date_at(self, now: float) -> str:
        """The value of the Date header (20.17), made once a second."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True)
        return self._date

    def holds(self, flow: Flow) -> bool:
        """Whether something was registered over this connection, so that its end matters to `closed`."""
        return flow.connection in self._connections

    async def closed(self, flow: Flow) -> int:
        """A connection is gone: let go of what was to be reached over it; how many bindings that was.

        RFC 5626 section 7: "the proxy MUST invalidate all the bindings in the target set that use that flow (regardless
        of AOR)". It is for connections that end by themselves: before the server stops, the bindings stay. Raises
        StoreError when some of them could not be removed; they are found out to be unreachable when they are used.
        """
        keys = self._connections.pop(flow.connection, None) if flow.connection else None
        if not keys:
            return 0
        count = 0
        failure: StoreError | None = None
        for key in sorted(keys):
            try:
                count += await self._let_go(key, flow.connection)
            except StoreError as error:
                failure = error
        if failure is not None:
            raise failure
        return count

    async def _let_go(self, key: str, connection: int) -> int:
        """Remove the bindings of one address of record that need a connection which is gone."""
        for _ in range(ATTEMPTS):
            now = self.wall()
            before = await self._store.bindings(key, now)
            kept: list[BindingRow] = []
            changes: list[Change] = []
            for row in before:
                named = decode_flow_token(self.policy.flow_secret, row.flow) if row.flow else None
                if named is None or named.connection != connection or opens_anew(row, named):
                    kept.append(row)
                else:
                    changes.append(Change(DEACTIVATED, binding_of(row)))
            if not changes:
                return 0
            try:
                await self._store.replace(key, tuple(kept), before, now)
            except StoreConflict:
                continue
            if self.changed is not None:
                self.changed(key, changes)
            return len(changes)
        raise StoreConflict(f"{key} was changed by others {ATTEMPTS} times meanwhile")

    async def sweep(self, limit: int) -> int:
        """Remove expired bindings of the next `limit` addresses of record; how many there were.

        To be called again and again: each call goes on where the last one ended. Raises StoreError.
        """
        removed = await self._store.sweep(self.wall(), limit)
        count = 0
        for key, rows in removed:
            count += len(rows)
            if self.changed is not None:
                self.changed(key, [Change(EXPIRED, binding_of(row)) for row in rows])
        return count


def binding_policy(
    served: Served,
    secret: bytes,
    default_expires: int = 3600,
    min_expires: int = 60,
    max_expires: int = 7200,
    most_contacts: int = 10,
    flow_timer: int = 0,
) -> Policy:
    """The policy of a registrar that keeps flows, gives GRUUs, and refuses contacts that lead astray.

    `secret` (32 to 64 octets) makes flow tokens and GRUUs; the rest is as in `Policy`, in seconds.
    """
    policy = Policy(default_expires, min_expires, max_expires, most_contacts)
    policy.flow_timer = flow_timer
    policy.flow_secret = secret
    policy.gruus = Gruus(secret)
    policy.refused = refuse_astray(served)
    return policy


def refuse_astray(served: Served) -> Refused:
    """Contacts that would make this server send to itself, or to services of its own machine."""

    def refused(contact: Uri, source: Flow, has_flow: bool) -> str:
        if served.element.owns(contact):
            return "a Contact or Path that leads back to this server"
        host = (contact.parameters.get("maddr") or contact.host).strip("[]")
        if has_flow or not is_address(host) or not is_inward(host) or is_inward(source.host):
            return ""
        return "a Contact or Path on the server's own machine"

    return refused


def opens_anew(row: BindingRow, flow: Flow) -> bool:
    """Whether a contact can be reached by a new connection when `flow`, the one it was registered over, is gone.

    An outbound flow can not: its user agent says so by reg-id. Else a Contact with the very address that the connection
    came from names the listener of a user agent that no NAT hides.
    """
    if row.reg_id or flow.transport not in ("TCP", "TLS"):
        return False
    at = row.contact.rpartition("@")[2] if "@" in row.contact else row.contact.partition(":")[2]
    host = at.partition(";")[0].partition("?")[0]
    return host.strip("[]") == flow.host or host.rpartition(":")[0].strip("[]") == flow.host


def binding_of(row: BindingRow) -> Binding:
    """A stored row as the protocol core takes it."""
    return Binding(
        row.contact,
        row.expires,
        row.q,
        row.call_id,
        row.cseq,
        row.instance,
        row.reg_id,
        row.path,
        row.flow,
        row.received,
        row.parameters,
        row.user_agent,
        row.gruu,
        row.updated,
    )


def rows_of(bindings: list[Binding], current: list[Binding], before: BindingRows) -> BindingRows:
    """The bindings as rows to store; those of `current` that stay are the rows of `before` that they came from."""
    if len(bindings) == 1:
        return (row_of(bindings[0]),)
    known = {id(binding): row for binding, row in zip(current, before, strict=True)}
    return tuple(known.get(id(binding)) or row_of(binding) for binding in bindings)


def row_of(binding: Binding) -> BindingRow:
    """A binding as the store takes it."""
    return BindingRow(
        binding.contact,
        binding.expires,
        binding.q,
        binding.call_id,
        binding.cseq,
        binding.instance,
        binding.reg_id,
        binding.path,
        binding.flow,
        binding.received,
        binding.parameters,
        binding.user_agent,
        binding.gruu,
        binding.updated,
    )


def _respond(transaction: ServerTransaction, outcome: Outcome) -> None:
    transaction.respond(outcome.status, outcome.reason, outcome.headers, why=outcome.why)


def _unstored(why: str) -> Outcome:
    # Nothing is acknowledged. 10.3 names 500 for a back-end that fails; 503 with Retry-After says besides that it is
    # worth while to try again, here or at the next server of the domain (RFC 3263 4.3, RFC 5626 4.2.1).
    return Outcome(503, "", [("Retry-After", str(RETRY_AFTER))], [], [], why)
