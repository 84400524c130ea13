"""What a proxy checks and strips before it chooses targets (RFC 3261 16.3 and 16.4), and its Record-Route tokens.

A Record-Route URI of ours carries a token as its user part. `p…` is a MAC over the Call-ID: who brings it back in a
Route belongs to a dialog whose first request was let through, so that a stranger cannot use us as a relay. Any other
token names the flow to the neighbour on that side (RFC 5626 section 5), for one that can be reached in no other way.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import split_commas
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Request
from ringback.sip.outbound import decode_flow_token
from ringback.sip.transport import DEFAULT_PORTS, Flow, Listener
from ringback.sip.uri import Uri

_PLAIN: Final = "p"
#: RFC 5393 5.3.3: "has a maximum allowable Incoming Max-Breadth value, which is RECOMMENDED to be 60".
MAX_BREADTH: Final = 60
#: 16.6 step 3: "If the copy does not contain a Max-Forwards header field, the proxy MUST add one with a field value,
#: which SHOULD be 70."
MAX_FORWARDS: Final = 70


class Self:
    """What names this element: its domains and the addresses of its listeners."""

    __slots__ = ("_places", "domains", "tails")

    def __init__(self, domains: list[str], listeners: list[Listener]) -> None:
        self.domains: frozenset[str] = frozenset(domain.lower() for domain in domains)
        places: set[str] = set()
        for domain in self.domains:
            places.add(domain)
            for port in {*DEFAULT_PORTS.values(), *(listener.port for listener in listeners)}:
                places.add(f"{domain}:{port}")
        for listener in listeners:
            places.add(listener.sent_by.lower())
            identity = listener.id.partition(":")[2]
            places.add(identity)
            for place in (listener.sent_by.lower(), identity):
                host, _, digits = place.rpartition(":")
                if digits == str(DEFAULT_PORTS[listener.transport]):
                    places.add(host)
        self._places: frozenset[str] = frozenset(places)
        #: What follows the "@" in our own Record-Routes.
        self.tails: frozenset[str] = frozenset(f"{listener.uri_tail}>" for listener in listeners)

    def owns(self, uri: Uri) -> bool:
        """Whether a SIP URI leads to this element (its maddr, when it has one, decides)."""
        host = uri.parameters.get("maddr") or uri.host
        return (host if uri.port is None else f"{host}:{uri.port}") in self._places

    def serves(self, uri: Uri) -> bool:
        """Whether a SIP URI names a user of a domain that is served here, or an address of this element."""
        return uri.host in self.domains or self.owns(uri)


class Route:
    """What pre-processing found.

    next       the next hop that the request itself names: the text of its first Route that is left, or ""
    flow       the flow to send on, when a token of ours names one
    in_dialog  whether a token of ours was there and is genuine: the request belongs to a dialog that went through here
    """

    __slots__ = ("flow", "in_dialog", "next")

    def __init__(self) -> None:
        self.next: str = ""
        self.flow: Flow | None = None
        self.in_dialog: bool = False


def plain_token(secret: bytes, call_id: str) -> str:
    """The token that binds a Record-Route of ours to one Call-ID."""
    digest = hashlib.blake2b(call_id.encode("utf-8", "surrogateescape"), digest_size=10, key=secret)
    return _PLAIN + digest.hexdigest()


def _own_token(value: str, element: Self) -> str | None:
    """The user part of a Route value just as we write it; None for any other."""
    at = value.find("@")
    if at > 0 and value.startswith("<sip:") and value[at + 1 :] in element.tails:
        return value[5:at]
    return None


def preprocess(request: Request, element: Self, secret: bytes, flow: Flow) -> Route:
    """Strip what is ours off the route of a request that came in on `flow` (16.4). Raises ParseError."""
    route = Route()
    if "route" not in request.names:
        return route
    if ";lr" in request.uri:
        _restore_target(request, element)
    tokens: list[str] = []
    while "route" in request.names:
        value = request.value_at(request.names.index("route"))
        first = split_commas(value)[0] if "," in value else value
        own = _own_token(first, element)
        if own is not None:
            request.remove_first_value("route")
            tokens.append(own)
            continue
        uri = parse_name_addr(first).uri
        # "If the first value in the Route header field indicates this proxy, the proxy MUST remove that value from the
        # request." RFC 5658 leaves two of ours there.
        if not uri.is_sip or not element.owns(uri):
            route.next = first
            break
        request.remove_first_value("route")
        tokens.append(uri.user)
    for token in tokens:
        if token.startswith(_PLAIN) and hmac.compare_digest(token, plain_token(secret, request.call_id)):
            route.in_dialog = True
            continue
        named = decode_flow_token(secret, token) if token else None
        # RFC 5626 5.3: "If the flow in the flow token … is the same flow over which the request was received", the
        # request goes out, not back in.
        if named is not None and named.key() != flow.key():
            route.flow = named
            route.in_dialog = True
    return route


def _restore_target(request: Request, element: Self) -> None:
    """Undo what a strict router did.

    "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header field …
    the proxy MUST replace the Request-URI in the request with the last value from the Route header field, and remove
    that value from the Route header field."
    """
    target = request.target
    if not target.is_sip or "lr" not in target.parameters or not target.user or not element.owns(target):
        return
    routes = request.split("route")
    last = parse_name_addr(routes[-1]).uri
    request.remove("route")
    kept = [f"<{request.uri}>", *routes[:-1]]
    request.prepend("Route", ", ".join(kept))
    request.retarget(last.text)


def refusal(request: Request, prefix: str, mark: str) -> tuple[int, list[tuple[str, str]], str] | None:
    """Why a proxy must not forward a request at all (16.3): (status, headers, reason), or None.

    `prefix` starts every branch of ours and `mark` is this request's loop mark.
    """
    if request.uri[:4] not in ("sip:", "sips", "tel:") and request.target.scheme not in ("sip", "sips", "tel"):
        # "If the Request-URI has a URI whose scheme is not understood by the proxy, the proxy SHOULD reject the request
        # with a 416 (Unsupported URI Scheme) response."
        return 416, [], f"no route for a {request.target.scheme}: URI"
    if check_max_forwards(request.header("max-forwards")) < 0:
        return 483, [], "Max-Forwards has reached 0"
    if looped(request, prefix, mark):
        return 482, [], "the request was here before, on its way to the same target"
    if "proxy-require" in request.names:
        # "If the request contains a Proxy-Require header field with one or more option-tags this element does not
        # understand, the element MUST return a 420 (Bad Extension) response" with those in Unsupported.
        unknown = request.split("proxy-require")
        if unknown:
            return 420, [("Unsupported", ", ".join(unknown))], "Proxy-Require names what is not supported here"
    return None


def looped(request: Request, prefix: str, mark: str) -> bool:
    """Whether one of our branches in the Vias carries the same mark as this request (RFC 5393 4.2.2)."""
    for position, name in enumerate(request.names):
        if name == "via":
            line = request.lines[position]
            if prefix in line:
                for value in split_commas(request.value_at(position)):
                    start = value.find(prefix)
                    if start >= 0 and value[start:].partition(";")[0].strip().endswith(mark):
                        return True
    return False


def loop_mark(request: Request) -> str:
    """The second part of our branches (RFC 5393 4.2.1).

    It varies with what decides where the request goes, the Request-URI and the Route; it does not vary with the method,
    so that CANCEL and ACK match.
    """
    route = request.header("route")
    seed = request.uri if route is None else f"{request.uri}|{route}"
    # The mark is compared within the Vias of one request only, and RFC 5393 4.2.4 names CRC-32 as good enough.
    return f".{zlib.crc32(seed.encode('utf-8', 'surrogateescape')):08x}"


def check_max_forwards(text: str | None) -> int:
    """The Max-Forwards to forward with. Raises ParseError for one that is no number up to 255."""
    if text is None:
        return MAX_FORWARDS
    if not (text.isascii() and text.isdigit()) or len(text) > 3 or int(text) > 255:
        raise ParseError("Max-Forwards is not a number from 0 to 255")
    return int(text) - 1
