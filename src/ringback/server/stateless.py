"""Answers that leave no state behind, and are no weapon (RFC 3261 8.2.7 and 26.1.5)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from ringback.sip.message import Headers, Request, Response, response_to
from ringback.sip.plan import Decision
from ringback.sip.server_invite import TERMINATED, ServerInvite
from ringback.sip.server_request import ServerRequest
from ringback.sip.transport import Flow

if TYPE_CHECKING:
    from ringback.server.app import ServerTransaction

#: Times its own size that a datagram of unknown origin may bring to the address that it claims to come from.
MOST_AMPLIFICATION: Final = 3
#: What an answer can do without, beside all challenges but the first.
_SPARED: Final = frozenset(("warning", "www-authenticate", "proxy-authenticate"))


def turn_away(
    transaction: ServerTransaction, status: int, reason: str = "", headers: Headers | None = None, why: str = ""
) -> None:
    """Answer and forget the request, as one who may be anybody deserves (8.2.7).

    "If unauthenticated requests were handled statefully, then malicious floods of unauthenticated requests could create
    massive amounts of transaction state". Nor is the answer sent again by itself: what was sent in the name of another
    brings him one answer and not eleven, and over UDP none of more than three times its size.
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
    seed = f"{request.call_id}|{request.required('from')}|{server.key}".encode("utf-8", "surrogateescape")
    tag = hashlib.blake2b(seed, digest_size=8, key=stack.secret[:64]).hexdigest()
    response = response_to(request, status, reason, tag, headers)
    if transaction.flow.transport == "UDP":
        most = MOST_AMPLIFICATION * _size_as_sent(request, transaction.flow)
        if not _shorten(response, most):
            return
    layer.send_aside(response.encode(), server.flow)


def refuse(
    transaction: ServerTransaction, status: int, reason: str = "", headers: Headers | None = None, why: str = ""
) -> None:
    """Answer with a failure: with state to whom we know, and `turn_away` whoever has proved nothing."""
    if transaction.user or transaction.trusted or transaction.route.in_dialog:
        transaction.respond(status, reason, headers, why=why)
    else:
        turn_away(transaction, status, reason, headers, why)


def _size_as_sent(request: Request, source: Flow) -> int:
    """The octets of a request as it came, or a little less: what was noted in its Via does not count."""
    return len(request.encode()) - len(f";received={source.host};rport={source.port}")


def _shorten(response: Response, most: int) -> bool:
    """Leave out what can be spared, the last first, until the answer has no more than `most` octets; whether it has.

    Requests of telephones are far too long for this to happen to them.
    """
    size = len(response.encode())
    position = len(response.names)
    while size > most and position > 0:
        position -= 1
        name = response.names[position]
        if name in _SPARED and (name == "warning" or response.names.index(name) < position):
            size -= len(response.lines[position].encode("utf-8", "surrogateescape")) + 2
            del response.names[position]
            del response.lines[position]
    return size <= most
