"""Flow tokens and what an edge proxy writes of them (RFC 5626).

A token is the user part of a URI of ours. It names the flow to a neighbour that can be reached over that flow alone,
and is protected by a MAC, so that nobody can make us send to a place of his choice:

    f  MAC  transport peer-address ~ peer-port ~ local-socket ~ connection [~ name]

RFC 5626 5.2: "A proxy can use any algorithm it wants as long as the flow token is unique to a flow, the flow can be
recovered from the token, and the token cannot be modified by attackers." The same flow always has the same token, so
two tokens can be compared as text. What follows the MAC is legible on purpose: a trace shows where a message goes.

A token with a connection is good for as long as the number of the connection is not given away again, so a process that
starts anew must not number its connections from 1 again (a clock is a good start).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.grammar import shown, split_commas
from ringback.sip.headers import Via, parse_name_addr
from ringback.sip.message import Request
from ringback.sip.transport import DEFAULT_PORTS, Flow, Listener

_LETTERS: Final[dict[str, str]] = {"UDP": "u", "TCP": "t", "TLS": "s", "WS": "w", "WSS": "x"}
_TRANSPORTS: Final[dict[str, str]] = {letter: transport for transport, letter in _LETTERS.items()}
#: 96 bits, more than the 80 of the RFC's example, because it makes 16 characters without padding.
_MAC_OCTETS: Final = 12
_MAC_CHARACTERS: Final = 16
_HEAD: Final = 1 + _MAC_CHARACTERS
_LONGEST: Final = 400
#: Keeps these MACs apart from all others that are made with the same secret.
_PURPOSE: Final = b"ringback flow"

#: Characters of addresses that a user part cannot hold, and the unreserved marks that stand for them.
_WRITE: Final = bytes.maketrans(b":[]%", b"!()*")
_READ: Final = bytes.maketrans(b"!()*", b":[]%")
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_ALLOWED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:[]%~"


def encode_flow_token(secret: bytes, flow: Flow) -> str:
    """The token of a flow: letters, digits and the unreserved marks of RFC 3261 25.1.

    `secret` has 16 to 64 octets. Raises LocalError for a flow whose fields cannot stand in a URI.
    """
    letter = _LETTERS.get(flow.transport)
    if letter is None:
        raise LocalError(f"not a transport: {shown(flow.transport)}")
    text = f"{letter}{flow.host}~{flow.port}~{flow.local}~{flow.connection}"
    if flow.name:
        text = f"{text}~{flow.name}"
    if not text.isascii():
        raise LocalError(f"a flow token cannot name {flow!r} of {shown(flow.local)}")
    body = text.encode("ascii")
    if body.translate(None, _ALLOWED) or len(body) > _LONGEST - _HEAD or body.count(b"~") != (4 if flow.name else 3):
        raise LocalError(f"a flow token cannot name {flow!r} of {shown(flow.local)}")
    body = body.translate(_WRITE)
    return (b"f" + _mac(secret, body) + body).decode("ascii")


def decode_flow_token(secret: bytes, token: str) -> Flow | None:
    """The flow that a token of ours names; None for any other text.

    RFC 5626 5.3.1: "If the HMAC is not correct, the request has been tampered with", which is answered with 403.
    Whether the flow still exists is found out by sending: "If the flow no longer exists, the proxy SHOULD send a 430".
    """
    if len(token) <= _HEAD or len(token) > _LONGEST or not token.isascii() or not token.startswith("f"):
        return None
    octets = token.encode("ascii")
    body = octets[_HEAD:]
    if not hmac.compare_digest(_mac(secret, body), octets[1:_HEAD]):
        return None
    fields = body.translate(_READ).decode("ascii").split("~")
    head = fields[0]
    name = fields[4] if len(fields) > 4 else ""
    return Flow(_TRANSPORTS[head[0]], fields[2], head[1:], int(fields[1]), int(fields[3]), name)


def _mac(secret: bytes, body: bytes) -> bytes:
    digest = hashlib.blake2b(body, digest_size=_MAC_OCTETS, key=secret, person=_PURPOSE).digest()
    return binascii.b2a_base64(digest, newline=False).translate(_URL_SAFE)


def path_value(listener: Listener, token: str) -> str:
    """What the first edge proxy puts on top of Path for a registration that came on the flow of `token` (5.1).

    "the first node MUST include an 'ob' URI parameter in its Path header field value".
    """
    return f"<sip:{token}@{listener.uri_tail};ob>"


def record_route_value(listener: Listener, token: str) -> str:
    """The Record-Route for a dialog on the flow of `token` (5.3.1): the Path URI "minus the 'ob' parameter"."""
    return f"<sip:{token}@{listener.uri_tail}>"


def is_outgoing(named: Flow, source: Flow) -> bool:
    """Whether a request from `source` whose top Route names the flow `named` goes out from that user agent (5.3).

    "If the flow in the flow token … matches the source IP address and port of the request, the request is an 'outgoing'
    request; otherwise, it is an 'incoming' request."
    """
    return named.host == source.host and named.port == source.port and named.transport == source.transport


def is_first_hop(request: Request) -> bool:
    """Whether this element is the first that the request came to: it carries the sender's Via alone (5.1)."""
    return request.names.count("via") == 1 and not request.via.more


def names_source(via: Via, source: Flow) -> bool:
    """Whether the sender's Via names the very address and port that its message came from: no NAT lies between.

    RFC 3581 section 4 and 18.2.1 compare the same two. Raises ParseError.
    """
    if via.sent_by == f"{source.host}:{source.port}":
        return True
    port = via.port or DEFAULT_PORTS.get(source.transport, 5060)
    return via.host.strip("[]") == source.host and port == source.port


def first_hop_has_outbound(path: list[str]) -> bool:
    """Whether the first hop of a registration supports outbound, by the Path that it left (section 6).

    `path` holds the values from top to bottom. "If the Path header field is missing or it exists but the first URI
    does not have an 'ob' URI parameter, then outbound processing MUST NOT be applied". The first URI is that of the
    first hop (5.1: "the first node MUST include an 'ob' URI parameter", and no other may); later hops have put theirs
    on top of it (RFC 3327 5.2), so it is the last. Raises ParseError.
    """
    if not path:
        return False
    return "ob" in parse_name_addr(path[-1]).uri.parameters


def path_values(request: Request) -> list[str]:
    """The values of Path from top to bottom, each a `<SIP URI>` (RFC 3327 section 4). Raises ParseError."""
    values: list[str] = []
    for line in request.all("path"):
        for value in split_commas(line):
            if "<" not in value or not parse_name_addr(value).uri.is_sip:
                raise ParseError(f"Path is not a list of <SIP URI>: {shown(value)}")
            values.append(value)
    return values
