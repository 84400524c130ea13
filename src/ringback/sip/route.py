"""What a proxy checks and strips before it chooses targets (RFC 3261 16.3 and 16.4), and its Record-Route tokens.

A Record-Route URI of ours carries a token as its user part. `p…` is a MAC over the Call-ID: who brings it back in a
Route belongs to a dialog whose first request was let through, so that a stranger cannot use us as a relay. A token of
the flow to the neighbour on that side (RFC 5626 section 5) may follow, for one that can be reached in no other way; it
is part of what the MAC is over, so that it opens the way to that neighbour for this Call-ID and no other.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from functools import lru_cache
from typing import Final

from ringback.sip.grammar import number, split_commas
from ringback.sip.headers import is_plain_address, parse_name_addr
from ringback.sip.message import Request
from ringback.sip.outbound import decode_flow_token
from ringback.sip.transaction import MAGIC_COOKIE
from ringback.sip.transport import DEFAULT_PORTS, Flow, Listener
from ringback.sip.uri import Uri, build_uri

_PLAIN: Final = "p"
_MAC_OCTETS: Final = 10
#: A copy of it costs half of what a new one does.
_UNKEYED: Final = hashlib.blake2s(digest_size=10)
#: Where the flow token begins: a letter and the MAC in hexadecimal come first.
_FLOW_AT: Final = 1 + 2 * _MAC_OCTETS
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
        return self._names(uri.parameters.get("maddr") or uri.host, uri.port)

    def _names(self, host: str, port: int | None) -> bool:
        return (host if port is None else f"{host}:{port}") in self._places

    def serves(self, uri: Uri) -> bool:
        """Whether a SIP URI names a user of a domain that is served here, or an address of this element."""
        if "maddr" in uri.parameters:
            # 16.5: "If the Request-URI contains an maddr parameter, the Request-URI MUST be placed into the target set
            # as the only target URI"; with an address of ours in maddr it is as if it were not there (16.4).
            return self.owns(uri) and self._names(uri.host, uri.port)
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


def plain_token(secret: bytes, call_id: str, flow_token: str = "") -> str:
    """The token that binds a Record-Route of ours, and the flow that it may name, to one Call-ID."""
    text = f"{call_id}\n{flow_token}" if flow_token else call_id
    digest = _keyed(secret).copy()
    digest.update(text.encode("utf-8", "surrogateescape"))
    return f"{_PLAIN}{digest.hexdigest()}{flow_token}"


@lru_cache(maxsize=16)
def _keyed(secret: bytes) -> hashlib.blake2s:
    """A MAC that has taken in its key: that is most of the work for a text as short as a Call-ID."""
    return hashlib.blake2s(digest_size=_MAC_OCTETS, key=hashlib.blake2s(secret).digest())


def _own_token(value: str, element: Self) -> str | None:
    """The user part of a Route value just as we write it; None for any other."""
    at = value.find("@")
    if at > 0 and value.startswith("<sip:") and value[at + 1 :] in element.tails:
        return value[5:at]
    return None


def preprocess(request: Request, element: Self, secret: bytes, flow: Flow) -> Route:
    """Strip what is ours off the route of a request that came in on `flow` (16.4). Raises ParseError."""
    route = Route()
    if "route" in request.names and ";lr" in request.uri:
        _restore_target(request, element, secret)
    if ";maddr=" in request.uri:
        _strip_maddr(request, element, flow)
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
    for position, token in enumerate(tokens):
        if not is_own_token(token, request, secret):
            continue
        route.in_dialog = True
        named = decode_flow_token(secret, token[_FLOW_AT:]) if len(token) > _FLOW_AT else None
        # RFC 5626 5.3: "If the flow in the flow token identified by the topmost Route header field value matches the
        # source IP address and port of the request, the request is an 'outgoing' request". A value of ours below that
        # is for the side on which it leaves (RFC 5658 section 5), even where that is the flow that it came by.
        if position > 0 or named is None or named.key() != flow.key():
            route.flow = named
    return route


def is_own_token(token: str, request: Request, secret: bytes) -> bool:
    """Whether a token was made here for the Call-ID of this request."""
    if not token.startswith(_PLAIN) or not token.isascii():
        return False
    return hmac.compare_digest(token, plain_token(secret, request.call_id, token[_FLOW_AT:]))


def _restore_target(request: Request, element: Self, secret: bytes) -> None:
    """Undo what a strict router did.

    "If the Request-URI of the request contains a value this proxy previously placed into a Record-Route header field …
    the proxy MUST replace the Request-URI in the request with the last value from the Route header field, and remove
    that value from the Route header field."
    """
    target = request.target
    if not target.is_sip or "lr" not in target.parameters or not element.owns(target):
        return
    if not is_own_token(target.user, request, secret):
        return
    routes = request.split("route")
    if not routes:
        return
    last = parse_name_addr(routes[-1]).uri
    request.remove("route")
    # The value goes through what every Route value of ours goes through: its token counts.
    put_routes(request, [f"<{request.uri}>", *routes[:-1]])
    request.retarget(last.text)


def _strip_maddr(request: Request, element: Self, flow: Flow) -> None:
    """Take a maddr that means this element off the Request-URI.

    "If the Request-URI has a maddr parameter with a value the proxy is responsible for, and the request was received
    using the port and transport indicated (explicitly or by default) in the Request-URI, the proxy MUST strip the maddr
    and any non-default port or transport parameter and continue processing as if those values had not been present".
    """
    target = request.target
    if not target.is_sip or not target.parameters.get("maddr") or not element.owns(target):
        return
    transport = target.transport or ("TLS" if target.scheme == "sips" else "UDP")
    default = 5061 if target.scheme == "sips" else 5060
    port = target.port or DEFAULT_PORTS.get(transport, default)
    if transport != flow.transport or flow.local.rpartition(":")[2] != str(port):
        return
    kept = {name: value for name, value in target.parameters.items() if name != "maddr" and name != "transport"}
    port_kept = target.port if target.port == default else None
    bare = build_uri(target.scheme, target.user, target.host, port_kept, kept, target.password)
    request.retarget(f"{bare.text}?{target.headers}" if target.headers else bare.text)


def put_routes(request: Request, routes: list[str]) -> None:
    """Put values, as they came, in front of the Route of a request."""
    if routes:
        request.names.insert(0, "route")
        request.lines.insert(0, f"Route: {', '.join(routes)}")


def make_loose(request: Request) -> None:
    """16.6 step 6: for a next hop that is a strict router, the Request-URI goes to the end of the Route.

    "If the copy contains a Route header field, the proxy MUST inspect the URI in its first value. If that URI does not
    contain an lr parameter, the proxy MUST modify the copy". Raises ParseError.
    """
    routes = request.split("route")
    if not routes:
        return
    first = parse_name_addr(routes[0]).uri
    if "lr" in first.parameters:
        return
    request.remove("route")
    put_routes(request, [*routes[1:], f"<{request.uri}>"])
    request.retarget(first.text)


def next_hop(target: str, route: str) -> str:
    """The URI that says where a request for `target` is sent; `route` is its first Route value, or "".

    16.6 step 7: "the proxy MUST apply the procedures to the first value in the Route header field, if present, else the
    Request-URI. … Independently of which URI is being used as input …, if the Request-URI specifies a SIPS resource,
    the proxy MUST follow the procedures of [4] as if the input URI were a SIPS URI." Raises ParseError.
    """
    if not route:
        return target
    uri = parse_name_addr(route).uri
    if uri.scheme != "sip" or target[:5].lower() != "sips:":
        return uri.text
    kept = {name: value for name, value in uri.parameters.items() if name != "transport"}
    return build_uri("sips", uri.user, uri.host, uri.port, kept, uri.password).text


def stateless_branch(request: Request) -> str:
    """What follows our prefix in the branch of a request that is forwarded without state.

    16.11: "the component of the branch parameter that makes it unique MUST be the same each time a retransmitted
    request is forwarded", and "is computed as a hash of the received branch ID", or, where that lacks the magic cookie,
    "of the topmost Via, the tag in the To header field, the tag in the From header field, the Call-ID header field, the
    CSeq number (but not method), and the Request-URI". No branch of a transaction has an "s".
    """
    via = request.via
    if via.branch.startswith(MAGIC_COOKIE) and len(via.branch) > len(MAGIC_COOKIE):
        # With whose branch it is: another's may be the same by mistake.
        text = f"{via.branch}|{via.sent_by}"
    else:
        top = request.required("via")[: via.size]
        parts = [top, request.to_tag, request.from_tag, request.call_id, str(request.cseq.number), request.uri]
        text = "|".join(parts)
    digest = _UNKEYED.copy()
    digest.update(text.encode("utf-8", "surrogateescape"))
    return f"s{digest.hexdigest()}"


def refusal(
    request: Request, prefix: str, mark: str, in_dialog: bool = False
) -> tuple[int, list[tuple[str, str]], str] | None:
    """Why a proxy must not forward a request at all (16.3): (status, headers, reason), or None.

    `prefix` starts every branch of ours and `mark` is this request's loop mark; `in_dialog` says that the request
    belongs to a dialog whose addresses were read when it began. Raises ParseError for what has to be well-formed and is
    not.
    """
    if not in_dialog:
        _check_address(request, "from")
        _check_address(request, "to")
    uri = request.uri
    if "?" in uri and request.target.headers:
        # RFC 4475 3.1.2.11: "It is acceptable for an element to reject this request with a 400 (Bad Request)".
        return 400, [], "the Request-URI holds headers"
    if not uri.startswith("sip:") and request.target.scheme not in ("sip", "sips", "tel"):
        # "If the Request-URI has a URI whose scheme is not understood by the proxy, the proxy SHOULD reject the request
        # with a 416 (Unsupported URI Scheme) response."
        return 416, [], f"no route for a {request.target.scheme}: URI"
    if check_max_forwards(request.header("max-forwards")) < 0:
        return 483, [], "Max-Forwards has reached 0"
    if mark and looped(request, prefix, mark):
        return 482, [], "the request was here before, on its way to the same target"
    if "proxy-require" in request.names:
        # "If the request contains a Proxy-Require header field with one or more option-tags this element does not
        # understand, the element MUST return a 420 (Bad Extension) response" with those in Unsupported.
        unknown = request.option_tags("proxy-require")
        if unknown:
            return 420, [("Unsupported", ", ".join(unknown))], "Proxy-Require names what is not supported here"
    return None


def _check_address(request: Request, key: str) -> None:
    position = request.names.index(key)
    if not is_plain_address(request.lines[position]):
        # 16.3 step 1: "The request MUST be well-formed enough to be handled with a server transaction", and RFC 4475
        # 3.1.2.15 about From and To: "it must not propagate the error into the request it forwards".
        parse_name_addr(request.value_at(position))


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
    so that CANCEL and ACK match. The Call-ID is there "to avoid repeated failure should the hash collide" (4.2.4).
    """
    route = request.header("route")
    seed = f"{request.call_id}|{request.uri}" if route is None else f"{request.call_id}|{request.uri}|{route}"
    # The mark is compared within the Vias of one request only, and RFC 5393 4.2.4 names CRC-32 as good enough.
    return f".{zlib.crc32(seed.encode('utf-8', 'surrogateescape'))}"


def check_max_forwards(text: str | None) -> int:
    """The Max-Forwards to forward with. Raises ParseError for one that is no number up to 255."""
    if text is None:
        return MAX_FORWARDS
    # "Max-Forwards = "Max-Forwards" HCOLON 1*DIGIT": leading zeros mean nothing (RFC 4475 3.1.1.1).
    return number(text, "Max-Forwards", 255) - 1
