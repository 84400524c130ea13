"""From an address of record or a GRUU to targets (RFC 3261 16.5 and 16.6, RFC 5626 section 7, RFC 5627 6.1).

Bindings of equal q ring together, higher q first. Bindings of one instance are one target with alternatives, for "the
proxy MUST NOT populate the target set with more than one contact with the same AOR and instance-id at a time".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from ringback.server.location.registrar import opens_anew
from ringback.server.location.served import Served
from ringback.sip.gruu import Gruus, canonical_instance, is_gruu
from ringback.sip.message import Request
from ringback.sip.outbound import decode_flow_token
from ringback.sip.plan import Found, Stage
from ringback.sip.target import Target
from ringback.sip.uri import Uri
from ringback.store.base import (
    AccountRow,
    AccountStore,
    BindingRow,
    BindingRows,
    EmbeddedAccounts,
    EmbeddedLocation,
    LocationStore,
)


class Lookup:
    """User location as the proxy asks for it.

    store     where bindings are kept
    served    the addresses of record that are ours
    secret    what flow tokens and GRUUs were made with
    wall      the wall clock
    accounts  who there is: others than those and the registered are unknown; None, and nobody is
    """

    __slots__ = ("_accounts", "_gruus", "_location", "accounts", "secret", "served", "store", "wall")

    def __init__(
        self,
        store: LocationStore,
        served: Served,
        secret: bytes,
        wall: Callable[[], float] = time.time,
        accounts: AccountStore | None = None,
    ) -> None:
        self.store: LocationStore = store
        self.served: Served = served
        self.secret: bytes = secret
        self.wall: Callable[[], float] = wall
        self.accounts: AccountStore | None = accounts
        self._gruus: Gruus = Gruus(secret)
        self._location: EmbeddedLocation | None = store if isinstance(store, EmbeddedLocation) else None
        self._accounts: EmbeddedAccounts | None = accounts if isinstance(accounts, EmbeddedAccounts) else None

    def stages(self, aor: str, uri: Uri, request: Request, now: float) -> Found | Coroutine[Any, Any, Found]:
        """Where a request for `uri` goes, in the order to be tried; or what to await for it.

        [] means that the user is reached nowhere now (480), None that there is no such user or URI (404). `aor` and
        `now` are not needed: the address of record follows from the URI, and bindings end by the wall clock. Raises
        StoreError.
        """
        wall = self.wall()
        if is_gruu(uri):
            return self._instance(uri, request, wall)
        key = self.served.key(uri) or aor
        if self._location is None:
            return self._fetched(key, wall)
        rows = self._location.peek(key, wall)
        if rows or self.accounts is None:
            return stages_of(rows, self.secret)
        user, _, domain = key.rpartition("@")
        if self._accounts is None:
            return self._nowhere(self.accounts, user, domain)
        return _where_nothing_is(self._accounts.peek(user, domain))

    async def _fetched(self, key: str, wall: float) -> Found:
        """The stages of an address of record that another process keeps."""
        rows = await self.store.bindings(key, wall)
        if rows or self.accounts is None:
            return stages_of(rows, self.secret)
        user, _, domain = key.rpartition("@")
        return await self._nowhere(self.accounts, user, domain)

    async def _nowhere(self, accounts: AccountStore, user: str, domain: str) -> Found:
        return _where_nothing_is(await accounts.get(user, domain))

    async def _instance(self, uri: Uri, request: Request, wall: float) -> Found:
        """The stages for a GRUU."""
        gruu = self._gruus.resolve(uri)
        domain = self.served.domain_of(uri)
        if gruu is None or not domain:
            # RFC 5627 6.1: "If it contains the 'gr' URI parameter but is not equivalent, based on URI comparison, to a
            # currently valid GRUU within the domain, it SHOULD be rejected with a 404 (Not Found) response".
            return None
        user = gruu.aor.rpartition("@")[0]
        bound = await self.store.bindings(f"{user}@{domain}", wall)
        rows = tuple(row for row in bound if self._gruus.selects(gruu, row.instance, row.gruu))
        if not rows:
            # "If there are no registered contacts bound to the GRUU, the server MUST return a 480". A temporary GRUU
            # without contacts is none any more (5.3: "the GRUU MUST be invalidated").
            return [] if gruu.instance else None
        # "If the received request has Route header field values beyond the one pointing to the authoritative proxy
        # itself …, the Path URI MUST be discarded." Ours has been taken off already.
        return stages_of(rows, self.secret, "route" not in request.names)


def _where_nothing_is(account: AccountRow | None) -> Found:
    """What is said of a user without bindings.

    21.4.5: 404 is for "definitive information that the user does not exist"; 21.4.18: 480 for one who is known and
    "does not currently have a valid forwarding location".
    """
    return [] if account is not None and account.enabled else None


def stages_of(rows: BindingRows, secret: bytes, use_path: bool = True) -> list[Stage]:
    """The bindings of one address of record as stages, those of the highest q first."""
    if len(rows) == 1:
        return [Stage([_target(rows[0], secret, use_path)])]
    stages: list[Stage] = []
    last_q = -1
    for group in _by_instance(rows):
        target = _target(group[0], secret, use_path)
        for row in group[1:]:
            target.alternatives.append(_target(row, secret, use_path))
        # 16.6: "Targets are processed from highest qvalue to lowest. Targets with equal qvalues may be processed in
        # parallel."
        if target.q == last_q:
            stages[-1].targets.append(target)
        else:
            stages.append(Stage([target]))
            last_q = target.q
    return stages


def _by_instance(rows: BindingRows) -> list[list[BindingRow]]:
    """The bindings in groups that lead to one user agent each, the group's newest first, by falling q of that one."""
    groups: list[list[BindingRow]] = []
    known: dict[str, list[BindingRow]] = {}
    for row in rows:
        instance = canonical_instance(row.instance)
        group = known.get(instance) if instance else None
        if group is None:
            group = []
            groups.append(group)
            if instance:
                known[instance] = group
        group.append(row)
    for group in groups:
        # RFC 5627 6.1: "The proxy MUST select the most recently refreshed contact. As with RFC 5626, if a request to
        # this target fails with a 408 (Request Timeout) or 430 (Flow Failed) response, the proxy SHOULD retry with the
        # next most recently refreshed contact."
        group.sort(key=_updated, reverse=True)
    groups.sort(key=_preference, reverse=True)
    return groups


def _updated(row: BindingRow) -> float:
    return row.updated


def _preference(group: list[BindingRow]) -> int:
    return group[0].q


def _target(row: BindingRow, secret: bytes, use_path: bool) -> Target:
    """One binding as a target."""
    reason = f"binding {row.contact}"
    if row.q != 1000:
        reason += f", q {row.q / 1000:g}"
    if row.instance:
        reason += f", instance {row.instance}"
        if row.reg_id:
            reason += f", flow {row.reg_id}"
    path = row.path if use_path else ()
    flow = None
    if row.flow and not path:
        # RFC 5626 section 7: "the proxy MUST send the request over the same 'logical flow' saved with the binding".
        flow = decode_flow_token(secret, row.flow)
        reason += f", over {row.received}" if flow is not None else f", though {row.received} is no flow of ours"
    elif path:
        reason += f", by {len(path)} hops of its Path"
    target = Target(row.contact, flow, path, row.q, reason, [])
    if flow is not None and flow.connection and opens_anew(row, flow):
        again = f"binding {row.contact}, over a new connection"
        target.alternatives.append(Target(row.contact, None, path, row.q, again, []))
    return target
