"""The stack: datagrams in, datagrams and events out, on a clock that is passed in (RFC 3261 sections 16 to 18).

    receive(data, flow, now)     one datagram or one framed message has come on a flow
    advance(now)                 fire what is due
    deadline()                   when to call advance next
    take()                       what to put on the wire, and what to tell the application
    respond, forward, relay_ack, request, located, failed     commands

It matches and dispatches; the rules stand in the modules that it calls. It knows no socket, no clock and no coroutine.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.answerer import Answerer
from ringback.sip.branch import BRANCH_TIMER, Branch
from ringback.sip.forwarding import CONTEXT_TIMER, ResponseContext
from ringback.sip.grammar import split_parameters
from ringback.sip.message import Headers, Request, Response, response_to
from ringback.sip.parser import parse, salvage
from ringback.sip.plan import Plan
from ringback.sip.route import Self, check_max_forwards, loop_mark, make_loose, next_hop, stateless_branch
from ringback.sip.server_invite import ServerInvite
from ringback.sip.server_request import ServerRequest
from ringback.sip.status import warning
from ringback.sip.timers import Send, Timed
from ringback.sip.transaction import ENDED, PASS_UP, TIMED_OUT, TRYING_DUE, Transaction, response_key, server_key
from ringback.sip.transactions import TransactionLayer
from ringback.sip.transport import STREAMS, Flow, Listener, bracketed
from ringback.sip.uri import Uri, parse_uri

#: Server transactions that may run at a time; what comes above is answered with 503, statelessly.
MOST_TRANSACTIONS: Final = 500_000
#: Request-URIs remembered as read.
MOST_TARGETS: Final = 4096


class Event:
    """Something that the application is told."""

    __slots__ = ()


class Incoming(Event):
    """A new request, or an ACK that belongs to no transaction (`server` is then None and nothing may be answered)."""

    __slots__ = ("flow", "request", "server")

    def __init__(self, server: Transaction | None, request: Request, flow: Flow) -> None:
        self.server: Transaction | None = server
        self.request: Request = request
        self.flow: Flow = flow


class Cancelled(Event):
    """The caller has cancelled a request that was not forwarded; the stack has answered it with 487.

    reasons  the values of the Reason headers of the CANCEL (RFC 3326)
    """

    __slots__ = ("reasons", "server")

    def __init__(self, server: Transaction, reasons: list[str] | None = None) -> None:
        self.server: Transaction = server
        self.reasons: list[str] = reasons or []


class Answered(Event):
    """A response to a request sent by `request`; `response` is None when there was none (`status` says why)."""

    __slots__ = ("client", "response", "status")

    def __init__(self, client: Transaction, response: Response | None, status: int) -> None:
        self.client: Transaction = client
        self.response: Response | None = response
        self.status: int = status


class Asked(Event):
    """A next hop has to be located (RFC 3263); the answer goes to `Stack.located` with the same `token`."""

    __slots__ = ("token", "uri")

    def __init__(self, token: Branch | StrayAck, uri: Uri) -> None:
        self.token: Branch | StrayAck = token
        self.uri: Uri = uri


class Settled(Event):
    """A forwarded request has its final answer; only told when `explain` is on."""

    __slots__ = ("context",)

    def __init__(self, context: ResponseContext) -> None:
        self.context: ResponseContext = context


class Expired(Event):
    """A timer of something that the stack does not know has fired; `outcome` is what its `expired` returned, not 0."""

    __slots__ = ("outcome", "owner")

    def __init__(self, owner: Timed, outcome: int) -> None:
        self.owner: Timed = owner
        self.outcome: int = outcome


class Malformed(Event):
    """Something came that could not be read; `answered` says whether a response could be made for it."""

    __slots__ = ("answered", "flow", "reason")

    def __init__(self, flow: Flow, reason: str, answered: bool) -> None:
        self.flow: Flow = flow
        self.reason: str = reason
        self.answered: bool = answered


class StrayAck:
    """An ACK on its way to a next hop that has to be located first, and what follows our prefix in its branch."""

    __slots__ = ("branch", "request")

    def __init__(self, request: Request, branch: str) -> None:
        self.request: Request = request
        self.branch: str = branch


class Stack:
    """One SIP element.

    listeners  where it is reached
    element    what names it
    secret     the key of its tokens
    instance   a token that no other process shares, of letters and digits
    """

    __slots__ = ("_events", "_targets", "element", "explain", "instance", "layer", "secret")

    def __init__(self, listeners: list[Listener], element: Self, secret: bytes, instance: str) -> None:
        self.layer: TransactionLayer = TransactionLayer(listeners, instance, secret)
        self.element: Self = element
        self.secret: bytes = secret
        self.instance: str = instance
        #: Keep decisions and tell `Settled`.
        self.explain: bool = False
        self._events: list[Event] = []
        self._targets: dict[str, Uri] = {}

    # the five verbs --------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """One datagram, or one message cut out of a stream, has come on `flow`."""
        try:
            message = parse(data, 65535 if flow.connection == 0 else 1 << 24)
            if isinstance(message, Request):
                self._request(message, flow, now)
            else:
                self._response(message, now)
        except ParseError as error:
            self.refuse(data, flow, error)

    def advance(self, now: float) -> None:
        """Fire every timer that is due at `now`."""
        timers = self.layer.timers
        while True:
            due = timers.due(now)
            if not due:
                return
            for timer in due:
                owner = timer.owner
                if owner is None:
                    continue
                timer.owner = None
                outcome = owner.expired(timer.kind, now, timers, self.layer.sends)
                if outcome:
                    if isinstance(owner, Transaction):
                        self._transaction_outcome(owner, outcome, now)
                    elif outcome == BRANCH_TIMER and isinstance(owner, Branch):
                        context = owner.context
                        if isinstance(context, ResponseContext):
                            context.branch_timer(owner, timer.kind, self.layer, now)
                            self._after(context)
                    elif outcome == CONTEXT_TIMER and isinstance(owner, ResponseContext):
                        owner.stage_timer(self.layer, now)
                        self._after(owner)
                    elif not isinstance(owner, (Branch, ResponseContext)):
                        self._events.append(Expired(owner, outcome))

    def deadline(self) -> float | None:
        """When `advance` has to be called next; None when no timer runs."""
        return self.layer.timers.deadline()

    def take(self) -> tuple[list[Send], list[Event]]:
        """What to send and what to tell, in order; both lists are the caller's from now on."""
        sends = self.layer.sends
        events = self._events
        if sends:
            self.layer.sends = []
        if events:
            self._events = []
        return sends, events

    # commands --------------------------------------------------------------------------------------------------------

    def new_tag(self) -> str:
        """A tag for To or From, unique to this process."""
        return self.layer.new_tag()

    def respond(
        self,
        server: Transaction,
        request: Request,
        status: int,
        now: float,
        reason: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> bool:
        """Answer a request; a To tag is added to all but a 100. False when a final response was sent before."""
        tag = self.new_tag() if status > 100 else ""
        response = response_to(request, status, reason, tag, headers, body)
        return self.layer.respond(server, status, response.encode(), now)

    def forward(self, server: Transaction, request: Request, caller: Flow, plan: Plan, now: float) -> None:
        """Forward a request by a plan; everything until its final response happens here.

        A request that was answered meanwhile (its caller has cancelled) goes nowhere. Raises ParseError when the
        request cannot be forwarded as it is; it has then not been answered.
        """
        if self.layer.is_answered(server):
            return
        context = ResponseContext(server, request, plan, self.explain)
        # Before it starts: a context that has settled takes itself off again.
        server.user = context
        context.start(caller, self.secret, self.layer, now)
        self._after(context)

    def relay_ack(self, request: Request, flow: Flow | None, now: float, in_dialog: bool = False) -> None:
        """Forward the ACK to a 2xx: it has no transaction and gets no response (16.11, 13.2.2.4).

        `flow` is given when a token of ours names it; `in_dialog` says that one has shown the route to be that of a
        dialog, which is fixed: such an ACK needs no loop mark. Raises ParseError.
        """
        forwards = check_max_forwards(request.header("max-forwards"))
        if forwards < 0:
            return
        request.put_line("max-forwards", f"Max-Forwards: {forwards}")
        branch = stateless_branch(request) if in_dialog else stateless_branch(request) + loop_mark(request)
        hop = request.uri
        if "route" in request.names:
            routes = request.split("route")
            hop = next_hop(hop, routes[0] if routes else "")
            make_loose(request)
        if flow is None:
            flow = self.layer.hop(hop)
            if flow is None:
                self._events.append(Asked(StrayAck(request, branch), parse_uri(hop)))
                return
        self._send_ack(request, branch, flow)

    def request(self, request: Request, flow: Flow, now: float) -> Transaction:
        """Send a request of our own on a flow; its responses come as `Answered`. The topmost Via is added here."""
        branch = self.layer.new_branch()
        listener = self.layer.listener_for(flow)
        request.prepend("Via", f"SIP/2.0/{listener.transport} {listener.sent_by};branch={branch};rport")
        return self.layer.start_client(request, request.encode(), branch, flow, None, now)

    def located(self, token: Branch | StrayAck, hops: list[Flow], now: float) -> None:
        """DNS has answered an `Asked`: the destinations in order, or none."""
        for hop in hops:
            if not hop.local:
                hop.local = self.layer.listener_for(hop).id
        if isinstance(token, Branch):
            context = token.context
            if isinstance(context, ResponseContext):
                context.located(token, hops, self.layer, now)
                self._after(context)
        elif hops:
            via = token.request.via
            if self.layer.may_reach(via.received or via.host, hops[0].host):
                self._send_ack(token.request, token.branch, hops[0])

    def failed(self, key: str, now: float) -> None:
        """The message that was sent with `key` could not be delivered."""
        client = self.layer.clients.get(key)
        if client is not None and self.layer.failed(client) == PASS_UP:
            self._client_failed(client, 503, "the transport could not deliver", now)

    def refuse(self, data: bytes, flow: Flow, error: ParseError) -> None:
        """Something came that cannot be read: answer it without state when enough of it can be (8.2.7, 21.4.1)."""
        request = salvage(data)
        if request is not None:
            try:
                via_flow = self._stamp(request, flow)
                response = response_to(request, error.status, "", self.new_tag(), [warning(str(error))])
                if flow.transport == "UDP" and len(response.encode()) > 3 * len(data):
                    # The sender's address may be forged: nobody gets much more than was sent in his name.
                    response.remove("warning")
                self.layer.send_aside(response.encode(), via_flow)
            except ParseError:
                request = None
        self._events.append(Malformed(flow, str(error), request is not None))

    # requests --------------------------------------------------------------------------------------------------------

    def _request(self, request: Request, flow: Flow, now: float) -> None:
        target = self._targets.get(request.uri)
        if target is None:
            if len(self._targets) >= MOST_TARGETS:
                self._targets.clear()
            # Many requests name the same few URIs, and a Uri is a value that is never changed.
            self._targets[request.uri] = request.target
        else:
            request.know_target(target)
        response_flow = self._stamp(request, flow)
        key = server_key(request)
        server = self.layer.server_of(request, key)
        if server is not None:
            if self._again(server, request, now) == PASS_UP:
                self._events.append(Incoming(None, request, flow))
            return
        method = request.method
        if method == "ACK":
            self._events.append(Incoming(None, request, flow))
            return
        if method == "CANCEL":
            self._cancel(request, response_flow, now)
            return
        if len(self.layer.servers) >= MOST_TRANSACTIONS:
            response = response_to(request, 503, "", self.new_tag(), [("Retry-After", "10")])
            self.layer.send_aside(response.encode(), response_flow)
            return
        server = self.layer.new_server(request, response_flow, now, key)
        self._events.append(Incoming(server, request, flow))

    def _again(self, server: Transaction, request: Request, now: float) -> int:
        """A retransmission, or the ACK of an INVITE: the transaction deals with it."""
        if isinstance(server, ServerInvite):
            return server.receive(request, now, self.layer.timers, self.layer.sends)
        if isinstance(server, ServerRequest):
            return server.receive(request, now, self.layer.timers, self.layer.sends)
        return 0

    def _stamp(self, request: Request, flow: Flow) -> Flow:
        """Note in the topmost Via where the request came from, and find where its responses go (18.2.1, 18.2.2)."""
        via = request.via
        if via.rport < 0 and not via.received and via.sent_by == f"{flow.host}:{flow.port}":
            return flow
        if via.received or via.host != flow.host or via.rport >= 0:
            self._note_source(request, flow)
            via = request.via
        if flow.transport in STREAMS or via.rport >= 0:
            # RFC 3581 4: "the response MUST be sent from the same address and port that the corresponding request was
            # received on" to the source port; on a stream, over the connection.
            return flow
        # "If the Via … 'received' parameter, the response MUST be sent to the address in [it] using the port indicated
        # in sent-by, or port 5060 if none is present".
        port = via.port or 5060
        if port == flow.port:
            return flow
        return Flow(flow.transport, flow.local, flow.host, port)

    def _note_source(self, request: Request, flow: Flow) -> None:
        via = request.via
        position = request.names.index("via")
        value = request.value_at(position)
        first, rest = value[: via.size], value[via.size :]
        kept: list[str] = []
        pieces = split_parameters(first) if '"' in first else first.split(";")
        for piece in pieces[1:]:
            name = piece.partition("=")[0].strip().lower()
            if name not in ("received", "rport"):
                kept.append(piece.strip())
        if via.host.strip("[]") != flow.host or via.rport >= 0:
            # "If the host portion of the 'sent-by' parameter contains a domain name, or if it contains an IP address
            # that differs from the packet source address, the server MUST add a 'received' parameter".
            kept.append(f"received={flow.host}")
        if via.rport >= 0:
            kept.append(f"rport={flow.port}")
        head = pieces[0].strip()
        request.lines[position] = "Via: " + ";".join([head, *kept]) + rest
        request.reread_via()

    def _cancel(self, request: Request, response_flow: Flow, now: float) -> None:
        """CANCEL is answered here, hop by hop (9.2, 16.10)."""
        target = self.layer.cancelled_by(request)
        if target is not None and target.flow.host != response_flow.host:
            # 22.1: "a CANCEL request SHOULD be accepted by a server if it comes from the same hop that sent the request
            # being canceled". All that it takes to match stands in the Via that callees are shown. No transaction is
            # opened: the caller's own CANCEL would be taken for this one again.
            self.layer.send_aside(response_to(request, 481, "", self.new_tag()).encode(), response_flow)
            return
        if target is None and len(self.layer.servers) >= MOST_TRANSACTIONS:
            self.layer.send_aside(response_to(request, 481, "", self.new_tag()).encode(), response_flow)
            return
        server = self.layer.new_server(request, response_flow, now)
        if target is None:
            # "If the UAS did not find a matching transaction … it SHOULD respond to the CANCEL with a 481". A proxy is
            # told to forward it without state (16.10), but no element behind could match a CANCEL whose INVITE was
            # forwarded with another branch.
            self.respond(server, request, 481, now)
            return
        user = target.user
        if isinstance(user, ResponseContext):
            tag = user.own_tag(self.layer)
        else:
            tag = user.tag if isinstance(user, Answerer) else self.new_tag()
        response = response_to(request, 200, "", tag)
        self.layer.respond(server, 200, response.encode(), now)
        if not isinstance(target, ServerInvite):
            # "A CANCEL request has no impact on the processing of transactions with any other method".
            return
        if isinstance(user, ResponseContext):
            # RFC 3326 2: "Proxies generating a CANCEL request upon reception of a CANCEL from the previous hop that
            # contains a Reason header field SHOULD copy it into the new CANCEL request", all of its values.
            user.stop(", ".join(request.all("reason")), self.layer, now)
            self._after(user)
        else:
            # "if it has not issued a final response for the original request, … responds to the INVITE with a 487".
            # 9.2: "the To tag of the response to the CANCEL and the To tag in the response to the original request
            # SHOULD be the same."
            if self.layer.is_answered(target):
                return
            final = response_to(target.request, 487, "", tag)
            if self.layer.respond(target, 487, final.encode(), now):
                self._events.append(Cancelled(target, request.all("reason")))

    # responses -------------------------------------------------------------------------------------------------------

    def _response(self, response: Response, now: float) -> None:
        client = self.layer.clients.get(response_key(response))
        if client is None:
            # RFC 6026 8.2: "If none is found, the element MUST NOT forward the response."
            return
        if self.layer.received(client, response, now) != PASS_UP:
            return
        user = client.user
        if isinstance(user, Branch):
            context = user.context
            if isinstance(context, ResponseContext):
                context.receive(user, response, self.layer, now)
                self._after(context)
        elif not client.key.endswith("|CANCEL"):
            self._events.append(Answered(client, response, response.status))

    def _client_failed(self, client: Transaction, status: int, why: str, now: float) -> None:
        user = client.user
        if isinstance(user, Branch):
            context = user.context
            if isinstance(context, ResponseContext) and user.client is client:
                context.failed(user, status, why, self.layer, now)
                self._after(context)
        elif not client.key.endswith("|CANCEL"):
            self._events.append(Answered(client, None, status))

    def _transaction_outcome(self, owner: Transaction, outcome: int, now: float) -> None:
        layer = self.layer
        if outcome == TRYING_DUE:
            if isinstance(owner, ServerInvite) or isinstance(owner, ServerRequest):
                layer.respond(owner, 100, response_to(owner.request, 100).encode(), now)
        elif outcome == ENDED:
            # Let go of what used it: no cycle is left for the collector to find.
            owner.user = None
            if layer.clients.pop(owner.key, None) is not owner:
                layer.servers.pop(owner.key, None)
        elif outcome == TIMED_OUT:
            if isinstance(owner, ServerInvite):
                owner.user = None
                layer.servers.pop(owner.key, None)
                return
            layer.clients.pop(owner.key, None)
            self._client_failed(owner, 408, "no response in time", now)

    def _send_ack(self, request: Request, branch: str, flow: Flow) -> None:
        listener = self.layer.listener_for(flow)
        names = ["via", *request.names]
        lines = [f"{listener.via_head}{self.layer.branch_prefix}{branch}", *request.lines]
        if "content-length" not in names:
            # 16.6 step 9, for a stream.
            names.append("content-length")
            lines.append(f"Content-Length: {len(request.body)}")
        self.layer.send_aside(Request("ACK", request.uri, names, lines, request.body).encode(), flow)

    def _after(self, context: ResponseContext) -> None:
        """Collect what a context wants to ask, and tell when it is settled."""
        if context.asking:
            for branch in context.asking:
                self._events.append(Asked(branch, parse_uri(branch.next_hop_uri())))
            context.asking = []
        if context.final and self.explain and context.explain:
            context.explain = False
            self._events.append(Settled(context))


def listener_id(transport: str, host: str, port: int) -> str:
    """The id of a listener: what `Flow.local` says of messages that came by it."""
    return f"{transport.lower()}:{bracketed(host)}:{port}"
