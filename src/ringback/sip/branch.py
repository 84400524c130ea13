"""One branch of a forwarded request: from a target to the request that goes out (RFC 3261 16.6).

    state      event                   next       action
    ---------  ----------------------  ---------  -------------------------------------------------
    Waiting    hop known               Trying     send
               hop is a name           Locating   ask (RFC 3263)
    Locating   destinations            Trying     send to the first
               none                    Done       as if 404 had come
    Trying     transport failure       Trying     send as a datagram, when it was a stream only for its size (18.1.1)
               503, timeout or         Trying     send to the next destination (RFC 3263 4.3)
               transport failure       Done       or, with none left, the failure is the final response
               final response          Done
    any        cancel                  as above   CANCEL at once or with the first provisional (9.1)
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.client_invite import cancel_of
from ringback.sip.grammar import split_commas
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Request, Response
from ringback.sip.outbound import encode_flow_token, names_source
from ringback.sip.route import make_loose, next_hop, plain_token
from ringback.sip.target import Target
from ringback.sip.timers import TIMER_C, Send, Timed, Timer, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transactions import TransactionLayer, needs_stream
from ringback.sip.transport import SECURE, STREAMS, Flow, Listener, is_address
from ringback.sip.uri import parse_uri

WAITING: Final = 0
LOCATING: Final = 1
TRYING: Final = 2
DONE: Final = 3

#: Timers of a branch.
TIMER_RING: Final = 21
TIMER_CANCELLED: Final = 22
#: What `Branch.expired` tells the stack: ask the context about it.
BRANCH_TIMER: Final = 10


class Outgoing:
    """What the branches of one request have in common: its lines, edited once.

    names, lines  the received request without our Via and Record-Route, with the new Max-Forwards
    caller        the flow that the request came by; needs_flow: whether the caller can only be reached over it
    mark          the loop mark for our branches
    token         the plain Record-Route token, or "" when the route is not recorded
    route         the first Route value that the request came with, or ""
    breadth       the Max-Breadth in those lines
    """

    __slots__ = (
        "body",
        "breadth",
        "call_id",
        "caller",
        "lines",
        "mark",
        "method",
        "names",
        "needs_flow",
        "route",
        "secret",
        "token",
    )

    def __init__(self, request: Request, caller: Flow, mark: str, secret: bytes, record_route: bool) -> None:
        self.method: str = request.method
        self.names: list[str] = request.names.copy()
        self.lines: list[str] = request.lines.copy()
        self.body: bytes = request.body
        self.caller: Flow = caller
        self.mark: str = mark
        self.secret: bytes = secret
        self.call_id: str = request.call_id
        self.token: str = plain_token(secret, self.call_id) if record_route else ""
        self.needs_flow: bool = record_route and needs_own_flow(request, caller)
        self.route: str = _first_route(request)
        self.breadth: int = 0

    def let_go(self) -> None:
        """No request is built from this any more."""
        self.names = []
        self.lines = []
        self.body = b""

    def flow_token(self, flow: Flow) -> str:
        """The Record-Route token that names a flow."""
        return plain_token(self.secret, self.call_id, encode_flow_token(self.secret, flow))


def _first_route(request: Request) -> str:
    value = request.header("route") or ""
    return split_commas(value)[0] if "," in value else value


def needs_own_flow(request: Request, flow: Flow) -> bool:
    """Whether the sender can be reached only over the flow that its request came by.

    That is so for a user agent next to us (a single Via) on a connection, or whose Contact is not where it came from.
    """
    if request.names.count("via") > 1 or request.via.more or "record-route" in request.names:
        return False
    if flow.transport in STREAMS:
        return True
    contact = request.header("contact")
    if contact is None:
        return False
    if f"@{flow.host}:{flow.port}" in contact:
        return False
    try:
        uri = parse_name_addr(contact).uri
    except ParseError:
        return False
    if not uri.is_sip or not is_address(uri.address):
        # A name is the sender's own business: it leads wherever its owner wants it to.
        return False
    if uri.address != flow.host:
        return True
    # Another port of the same host is a listener of its own, unless a NAT lies between.
    return (uri.port or 5060) != flow.port and not names_source(request.via, flow)


class Branch(Timed):
    """One target of a response context.

    hops         destinations that are left to try, the next one first
    datagram     where to send by UDP should the stream be refused that was tried for the size of the request, or None
    breadth      its share of Max-Breadth
    response     the final response of this branch, once it is done
    status       its status; 0 while it runs
    provisional  whether a provisional response has come
    """

    __slots__ = (
        "breadth",
        "cancel_reason",
        "cancelled",
        "client",
        "context",
        "datagram",
        "hops",
        "outgoing",
        "provisional",
        "request",
        "response",
        "state",
        "status",
        "target",
        "timer",
        "uri",
    )

    def __init__(self, context: Timed, outgoing: Outgoing, target: Target, breadth: int) -> None:
        self.context: Timed = context
        self.outgoing: Outgoing = outgoing
        self.target: Target = target
        self.breadth: int = breadth
        self.uri: str = request_uri(target.uri)
        self.state: int = WAITING
        self.hops: list[Flow] = []
        self.datagram: Flow | None = None
        self.request: Request | None = None
        self.client: Transaction | None = None
        self.response: Response | None = None
        self.status: int = 0
        self.provisional: bool = False
        self.cancelled: bool = False
        self.cancel_reason: str = ""
        self.timer: Timer | None = None

    def next_hop_uri(self) -> str:
        """The URI that says where this branch is sent (16.6 step 7). Raises ParseError."""
        if self.target.routes:
            return next_hop(self.uri, self.target.routes[0])
        return next_hop(self.uri, self.outgoing.route)

    def send(self, layer: TransactionLayer, now: float) -> None:
        """Send the request to the first of `hops`."""
        flow = self.hops.pop(0)
        request, branch = self._build(layer, flow)
        data = request.encode()
        self.datagram = None
        if needs_stream(len(data), flow) and self.target.flow is None and layer.speaks("TCP"):
            # 18.1.1: "If this causes a change in the transport protocol from the one indicated in the top Via, the
            # value in the top Via MUST be changed."
            self.datagram = flow
            flow = Flow("TCP", "", flow.host, flow.port)
            flow.local = layer.listener_for(flow).id
            request, branch = self._build(layer, flow)
            data = request.encode()
        self._start(request, data, branch, flow, layer, now)

    def send_datagram(self, layer: TransactionLayer, now: float) -> None:
        """Send the request by UDP, however long it is.

        18.1.1: "if the attempt to establish the connection generates either an ICMP Protocol Not Supported, or results
        in a TCP reset, the element SHOULD retry the request, using UDP."
        """
        flow = self.datagram
        if flow is not None:
            self.datagram = None
            request, branch = self._build(layer, flow)
            self._start(request, request.encode(), branch, flow, layer, now)

    def _start(
        self, request: Request, data: bytes, branch: str, flow: Flow, layer: TransactionLayer, now: float
    ) -> None:
        self.request = request
        self.state = TRYING
        self.provisional = False
        self.client = layer.start_client(request, data, branch, flow, self, now)
        if request.method == "INVITE":
            self._restart(layer.timers, now, TIMER_C, TIMER_RING)

    def _build(self, layer: TransactionLayer, flow: Flow) -> tuple[Request, str]:
        outgoing = self.outgoing
        listener = layer.listener_for(flow)
        branch = layer.new_branch() + outgoing.mark
        rport = ";rport" if flow.transport == "UDP" else ""
        names = ["via"]
        lines = [f"{listener.via_head}{branch}{rport}"]
        if outgoing.token:
            secure = self.uri[:5].lower() == "sips:"
            inward = layer.listener_for(outgoing.caller)
            record_route(outgoing, listener, inward, self.target.flow, secure, names, lines)
        for route in self.target.routes:
            names.append("route")
            lines.append(f"Route: {route}")
        request = Request(outgoing.method, self.uri, names + outgoing.names, lines + outgoing.lines, outgoing.body)
        if self.breadth != outgoing.breadth:
            request.put_line("max-breadth", f"Max-Breadth: {self.breadth}")
        if self.target.routes or "route" in outgoing.names:
            make_loose(request)
        return request, branch

    def refresh(self, layer: TransactionLayer, now: float) -> None:
        """A provisional response other than 100 has come: "the proxy MUST reset timer C" (16.7 step 2)."""
        if not self.cancelled:
            self._restart(layer.timers, now, TIMER_C, TIMER_RING)

    def cancel(self, layer: TransactionLayer, now: float, reason: str) -> None:
        """Cancel what is pending (9.1, 16.10); `reason` is the value of the Reason header, or ""."""
        if self.cancelled or self.state == DONE:
            return
        self.cancelled = True
        self.cancel_reason = reason
        self.hops.clear()
        if self.state == TRYING and self.outgoing.method == "INVITE" and self.provisional:
            self.send_cancel(layer, now)

    def send_cancel(self, layer: TransactionLayer, now: float) -> None:
        """Send the CANCEL. 9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent"."""
        request = self.request
        client = self.client
        if request is None or client is None:
            return
        cancel = cancel_of(request)
        if self.cancel_reason:
            # As it came, if it came: there is nothing to check.
            cancel.put_line("reason", f"Reason: {self.cancel_reason}")
        layer.start_client(cancel, cancel.encode(), request.via.branch, client.flow, None, now)
        # "If there is no final response for the original request in 64*T1 seconds … the client SHOULD then consider the
        # original transaction cancelled".
        self._restart(layer.timers, now, 32.0, TIMER_CANCELLED)

    def finish(self, status: int, response: Response | None) -> None:
        """This branch has its final response (None when it was made up here)."""
        self.state = DONE
        self.status = status
        self.response = response
        client = self.client
        if client is not None and self.outgoing.method != "INVITE":
            # Its further responses are absorbed: nothing of this is kept for them.
            client.user = None
        if not self.cancelled or self.provisional:
            self.client = None
            self.request = None
        # else: should a provisional response still come, the CANCEL is owed.
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """Timer C, or the wait for a cancelled branch's final response: the context decides."""
        return BRANCH_TIMER

    def _restart(self, timers: Timers, now: float, delay: float, kind: int) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timers.start(now, delay, self, kind)


def request_uri(text: str) -> str:
    """A target as a Request-URI.

    16.6 step 2: "If the URI contains any parameters not allowed in a Request-URI, they MUST be removed"; by the table
    of 19.1.1 these are method and all headers.
    """
    if "?" not in text and ";method" not in text:
        return text
    uri = parse_uri(text)
    return uri.without("method").text if uri.headers or "method" in uri.parameters else text


def record_route(
    outgoing: Outgoing,
    listener: Listener,
    inward: Listener,
    target_flow: Flow | None,
    secure: bool,
    names: list[str],
    lines: list[str],
) -> None:
    """Add our Record-Route, or two where the sides differ (RFC 5658 5, RFC 5626 5.3).

    RFC 5658 5: "inserting before any existing Record-Route header, a Record-Route header with the URI reflecting to the
    input interface …, and secondly, a Record-Route header with the URI reflecting to the output interface". `secure`
    says whether the Request-URI is a SIPS URI.
    """
    callee_flow = target_flow is not None
    names.append("record-route")
    if inward is listener and not callee_flow and not outgoing.needs_flow:
        lines.append(f"Record-Route: {_own_uri(outgoing.token, listener, secure)}")
        return
    token = outgoing.token
    if target_flow is not None:
        token = outgoing.flow_token(target_flow)
    lines.append(f"Record-Route: {_own_uri(token, listener, secure)}")
    token = outgoing.token
    if outgoing.needs_flow:
        token = outgoing.flow_token(outgoing.caller)
    names.append("record-route")
    lines.append(f"Record-Route: {_own_uri(token, inward, secure)}")


def _own_uri(token: str, listener: Listener, secure: bool) -> str:
    if secure and listener.transport in SECURE:
        # 16.6 step 4: "If the Request-URI contains a SIPS URI …, the URI placed into the Record-Route header field MUST
        # be a SIPS URI"; there RFC 7118 5 writes WSS as "ws", and TLS is what no transport means.
        transport = ";transport=ws" if listener.transport == "WSS" else ""
        return f"<sips:{token}@{listener.sent_by}{transport};lr>"
    return f"<sip:{token}@{listener.uri_tail}>"
