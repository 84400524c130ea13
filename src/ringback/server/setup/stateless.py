"""Answers that leave no state behind (RFC 3261 8.2.7)."""

from __future__ import annotations

import hashlib

from ringback.server.app import ServerTransaction
from ringback.sip.message import Headers, response_to
from ringback.sip.plan import Decision
from ringback.sip.server_invite import TERMINATED, ServerInvite
from ringback.sip.server_request import ServerRequest


def turn_away(
    transaction: ServerTransaction, status: int, reason: str = "", headers: Headers | None = None, why: str = ""
) -> None:
    """Answer and forget the request, as one who may be anybody deserves (8.2.7).

    "If unauthenticated requests were handled statefully, then malicious floods of unauthenticated requests could create
    massive amounts of transaction state". Nor is the answer sent again by itself: what was sent in the name of another
    brings him one answer and not eleven.
    """
    stack = transaction.stack
    server = transaction.server
    request = transaction.request
    if stack.explain:
        transaction.decisions.append(Decision(transaction.now, "answer", request.uri, status, why or reason))
    if server is None:
        return
    layer = stack.layer
    if isinstance(server, ServerRequest):
        layer.give_up(server)
    elif isinstance(server, ServerInvite):
        # Its 100 (Trying) is not sent in this state: "A stateless UAS MUST NOT send provisional (1xx) responses."
        server.state = TERMINATED
        layer.servers.pop(server.key, None)
    # "To header tags MUST be generated … in a manner that will generate the same tag for the same request
    # consistently."
    seed = f"{request.call_id}|{request.from_tag}|{server.key}".encode("utf-8", "surrogateescape")
    tag = hashlib.blake2b(seed, digest_size=8, key=stack.secret[:64]).hexdigest()
    layer.send_aside(response_to(request, status, reason, tag, headers).encode(), server.flow)
