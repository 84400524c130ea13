"""A registrar and a lookup over the store with nothing but the rules of RFC 3261 10.3."""

from __future__ import annotations

import time

from ringback.server.app import ServerTransaction
from ringback.sip.binding import Binding, Policy, apply
from ringback.sip.message import Request
from ringback.sip.outbound import decode_flow_token
from ringback.sip.plan import Stage
from ringback.sip.target import Target
from ringback.sip.uri import Uri
from ringback.store import BindingRow, MemoryStore, SqliteStore


class Registrar:
    def __init__(self, store: MemoryStore | SqliteStore, policy: Policy) -> None:
        self.store = store
        self.policy = policy

    async def __call__(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        now = time.time()
        aor = request.addresses("to")[0].uri
        location = self.store.location
        before = location.peek(aor.aor(), now)
        current = [
            Binding(
                row.contact, row.expires, row.q, row.call_id, row.cseq, row.instance, row.reg_id, row.path, row.flow,
                row.received, row.parameters, row.user_agent, row.gruu, row.updated,
            )
            for row in before
        ]  # fmt: skip
        outcome = apply(request, current, now, self.policy, aor, transaction.flow)
        if outcome.changes:
            rows = tuple(
                BindingRow(
                    row.contact, row.expires, row.q, row.call_id, row.cseq, row.instance, row.reg_id, row.path,
                    row.flow, row.received, row.parameters, row.user_agent, row.gruu, row.updated,
                )
                for row in outcome.rows
            )  # fmt: skip
            await location.submit(aor.aor(), rows, before, now)
        transaction.respond(outcome.status, outcome.reason, outcome.headers)


class Lookup:
    def __init__(self, store: MemoryStore | SqliteStore, secret: bytes) -> None:
        self.store = store
        self.secret = secret

    async def stages(self, aor: str, uri: Uri, request: Request, now: float) -> list[Stage] | None:
        rows = self.store.location.peek(aor, time.time())
        targets = [
            Target(
                row.contact,
                decode_flow_token(self.secret, row.flow) if row.flow else None,
                row.path,
                row.q,
                f"binding {row.contact}",
                [],
            )
            for row in rows
        ]
        return [Stage(targets)] if targets else []
