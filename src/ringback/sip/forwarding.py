"""The response context of a stateful proxy (RFC 3261 16.5 to 16.10, RFC 3326, 4320, 5393).

A context is opened by `start` with a plan. It tries the stages one after the other and the targets of a stage together,
forwards what has to go upstream at once, keeps the other final responses, and answers with the best of them when no
branch is left.

    event                                    action
    ---------------------------------------  ---------------------------------------------------------------
    101-199 (INVITE)                         forward, reset timer C of the branch
    2xx                                      forward; cancel all other branches; no further stage
    3xx with recursion                       its contacts become targets; kept only for those that do not
    3xx-5xx                                  keep; when the stage has no branch left, next stage or best response
    6xx                                      keep; cancel all; no further stage
    timer C, stage time                      cancel the branches that ring, 408 for those that never answered
    CANCEL from upstream                     cancel all; no further stage
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.branch import DONE, LOCATING, TIMER_CANCELLED, TIMER_RING, WAITING, Branch, Outgoing, request_uri
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import SPENT, Request, Response, put_line, response_to
from ringback.sip.parser import METHODS
from ringback.sip.plan import SPENT_PLAN, Decision, Plan, Stage
from ringback.sip.route import MAX_BREADTH, check_max_forwards, loop_mark
from ringback.sip.target import Target
from ringback.sip.timers import Send, Timed, Timer, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transactions import TransactionLayer
from ringback.sip.transport import Flow, is_address
from ringback.sip.uri import Uri, parse_uri

#: Fires when the time of a stage is over.
TIMER_STAGE: Final = 31
CONTEXT_TIMER: Final = 11

#: RFC 3326: why the others stop ringing.
ANSWERED_ELSEWHERE: Final = 'SIP;cause=200;text="Call completed elsewhere"'
#: Preferred among 4xx, "that provide information affecting resubmission of this request" (16.7 step 6).
_TELLING: Final = (401, 407, 415, 420, 484)
_MOST_TARGETS: Final = 64
#: What opens dialogs. 16.6 step 4: "If a proxy needs to be in the path of any type of dialog …, it SHOULD add a
#: Record-Route header field value to every request with a method it does not understand".
_DIALOG_METHODS: Final = ("INVITE", "SUBSCRIBE", "REFER")


class ResponseContext(Timed):
    """All branches of one forwarded request.

    server     the transaction that the request came by
    decisions  what was decided and why, in order; kept only when `explain` is true
    asking     branches whose next hop has to be asked of DNS: the stack takes them
    """

    __slots__ = (
        "_breadth",
        "_outgoing",
        "_stage",
        "_stage_timer",
        "_tag",
        "asking",
        "branches",
        "decisions",
        "explain",
        "final",
        "invite",
        "plan",
        "request",
        "server",
        "stopped",
    )

    def __init__(self, server: Transaction, request: Request, plan: Plan, explain: bool) -> None:
        self.server: Transaction = server
        self.request: Request = request
        self.invite: bool = request.method == "INVITE"
        self.plan: Plan = plan
        self._tag: str = ""
        self.explain: bool = explain
        self.decisions: list[Decision] = []
        self.branches: list[Branch] = []
        self.asking: list[Branch] = []
        #: The status sent upstream as final response, or 0.
        self.final: int = 0
        #: No further stage: a 2xx, a 6xx or a CANCEL has come.
        self.stopped: bool = False
        self._stage: int = 0
        self._stage_timer: Timer | None = None
        self._breadth: int = MAX_BREADTH
        self._outgoing: Outgoing | None = None

    def own_tag(self, layer: TransactionLayer) -> str:
        """The To tag of what is answered here."""
        if not self._tag:
            self._tag = layer.new_tag()
        return self._tag

    # going out -------------------------------------------------------------------------------------------------------

    def start(self, caller: Flow, secret: bytes, layer: TransactionLayer, now: float) -> None:
        """Edit the request once for all branches and begin the first stage. `caller` is the flow that it came by."""
        request = self.request
        # Within a dialog the route is fixed, so a request cannot be sent in circles by what is decided here.
        mark = loop_mark(request) if self.plan.record_route else ""
        record = self.plan.record_route and (request.method in _DIALOG_METHODS or request.method not in METHODS)
        outgoing = Outgoing(request, caller, mark, secret, record)
        forwards = check_max_forwards(request.header("max-forwards"))
        put_line(outgoing.names, outgoing.lines, "max-forwards", f"Max-Forwards: {forwards}")
        breadth = request.number("max-breadth") if "max-breadth" in request.names else None
        self._breadth = MAX_BREADTH if breadth is None else min(breadth, MAX_BREADTH)
        outgoing.breadth = self._breadth
        # RFC 5393 5.3.3: "If a SIP proxy receives a request with no Max-Breadth header field value, it MUST add one".
        put_line(outgoing.names, outgoing.lines, "max-breadth", f"Max-Breadth: {self._breadth}")
        if "content-length" not in outgoing.names:
            # 16.6 step 9: "If the request will be sent to the next hop using a stream-based transport and the copy
            # contains no Content-Length header field, the proxy MUST insert one".
            put_line(outgoing.names, outgoing.lines, "content-length", f"Content-Length: {len(request.body)}")
        self._outgoing = outgoing
        self._next_stage(layer, now)

    def _next_stage(self, layer: TransactionLayer, now: float) -> None:
        """Begin the next stage that has targets, or answer."""
        while not self.stopped and self._stage < len(self.plan.stages):
            stage = self.plan.stages[self._stage]
            held = self._held()
            if held and len(stage.targets) > self._breadth - held:
                # The branches that were cancelled have to end first: each end comes back here.
                return
            self._stage += 1
            if stage.targets and self._begin(stage, self._breadth - held, layer, now):
                return
        self._settle(layer, now)

    def _held(self) -> int:
        """The Outgoing Max-Breadth (RFC 5393 5.3.2): "the sum of the Max-Breadth header field values in all forwarded
        requests in the response context that have not received a final response"."""
        held = 0
        for branch in self.branches:
            if branch.state != DONE:
                held += branch.breadth
        return held

    def _begin(self, stage: Stage, free: int, layer: TransactionLayer, now: float) -> bool:
        """Start the branches of a stage, which share `free` of Max-Breadth; whether one of them runs."""
        outgoing = self._outgoing
        targets = stage.targets
        if outgoing is None:
            return False
        if len(targets) > free or len(self.branches) + len(targets) > _MOST_TARGETS:
            # RFC 5393 5.3.3: "If a SIP proxy determines a response context has insufficient Incoming Max-Breadth to
            # carry out a desired parallel fork … that proxy MUST return a 440".
            self._note(now, "refuse", "", 440, f"{len(targets)} targets, Max-Breadth {self._breadth}")
            self.stopped = True
            self._answer(440, layer, now)
            return True
        if stage.seconds > 0.0 and self._stage < len(self.plan.stages):
            # The next stage may begin before the last branch of this one has ended.
            free = max(len(targets), free // 2)
        share, more = divmod(free, len(targets))
        started: list[Branch] = []
        for position, target in enumerate(targets):
            branch = Branch(self, outgoing, target, share + 1 if position < more else share)
            self.branches.append(branch)
            started.append(branch)
        for branch in started:
            self._launch(branch, layer, now)
        if not self._ringing():
            return False
        if stage.seconds > 0.0:
            self._stage_timer = layer.timers.start(now, stage.seconds, self, TIMER_STAGE)
        return True

    def _launch(self, branch: Branch, layer: TransactionLayer, now: float) -> None:
        """Find the first hop of a branch and send, or have DNS asked for it."""
        while True:
            target = branch.target
            if self.explain:
                self._note(now, "forward", branch.uri, 0, target.reason)
            try:
                flow = target.flow if target.flow is not None else layer.hop(branch.next_hop_uri())
            except ParseError as error:
                self._note(now, "refuse", branch.uri, error.status, str(error))
                if self._take_alternative(branch):
                    continue
                branch.finish(error.status, None)
                return
            if flow is None:
                branch.state = LOCATING
                self.asking.append(branch)
                return
            branch.hops.append(flow)
            branch.send(layer, now)
            return

    def located(self, branch: Branch, hops: list[Flow], layer: TransactionLayer, now: float) -> None:
        """DNS has answered for a branch: its destinations, the best first; none when there are none."""
        if branch.state != LOCATING:
            return
        hops = [hop for hop in hops if layer.may_reach(branch.outgoing.caller.host, hop.host)]
        if branch.cancelled or not hops:
            if not branch.cancelled:
                self._note(now, "refuse", branch.uri, 404, "its domain leads nowhere")
            self._done(branch, 487 if branch.cancelled else 404, None, layer, now)
            return
        branch.hops = hops
        branch.send(layer, now)

    # coming back -----------------------------------------------------------------------------------------------------

    def receive(self, branch: Branch, response: Response, layer: TransactionLayer, now: float) -> None:
        """A response has come up from a branch's client transaction."""
        status = response.status
        if status < 200:
            self._provisional(branch, response, layer, now)
        elif status < 300:
            self._success(branch, response, layer, now)
        elif branch.state != DONE:
            if status == 503 and branch.hops:
                # RFC 3263 4.3: "a client … that receives a 503 … SHOULD retry the request" at the next destination.
                self._note(now, "failover", branch.uri, 503, "the next destination of its domain is tried")
                branch.send(layer, now)
                return
            if 300 <= status < 400 and self.plan.recurse and not self.stopped:
                if self._redirected(response, layer, now) and "contact" not in response.names:
                    # "If the proxy recurses on all of the contacts in a 3xx response, the proxy SHOULD NOT add the
                    # resulting contactless response to the response context."
                    self._done(branch, 0, None, layer, now)
                    return
            self._done(branch, status, response, layer, now)

    def _provisional(self, branch: Branch, response: Response, layer: TransactionLayer, now: float) -> None:
        first = not branch.provisional
        branch.provisional = True
        if branch.cancelled and first and self.invite:
            branch.send_cancel(layer, now)
        if response.status == 100 or not self.invite:
            # RFC 4320 4.1: "An SIP element MUST NOT send any provisional response with a Status-Code other than 100 to
            # a non-INVITE request."
            return
        branch.refresh(layer, now)
        if not self.final:
            self._forward(response, layer, now)

    def _success(self, branch: Branch, response: Response, layer: TransactionLayer, now: float) -> None:
        invite = self.invite
        if self.final and not invite:
            if branch.state != DONE:
                branch.finish(response.status, None)
            return
        # 16.7 step 5: every 2xx to an INVITE is forwarded at once, retransmissions and those of other branches as well.
        if not self._forward(response, layer, now):
            if branch.state != DONE:
                self._done(branch, 502, None, layer, now)
            return
        if branch.state != DONE:
            branch.finish(response.status, None)
        if self.final:
            return
        self.final = response.status
        if self.explain:
            self._note(now, "answer", branch.uri, response.status, branch.target.reason)
        self.stop(ANSWERED_ELSEWHERE, layer, now)
        self._let_go()

    def failed(self, branch: Branch, status: int, why: str, layer: TransactionLayer, now: float) -> None:
        """A branch got no final response: 408 for a timeout, 503 for a failure of the transport (16.9)."""
        if branch.state == DONE:
            return
        if status == 503 and branch.datagram is not None and not branch.cancelled:
            self._note(now, "failover", branch.uri, status, f"{why}: UDP is tried, long as the request is")
            branch.send_datagram(layer, now)
            return
        if branch.hops and not branch.cancelled and (status == 503 or not branch.provisional):
            # RFC 3263 4.3: "Failure also occurs if the transaction layer times out without ever having received any
            # response, provisional or final".
            self._note(now, "failover", branch.uri, status, f"{why}: the next destination is tried")
            branch.send(layer, now)
            return
        if self.explain:
            self._note(now, "refuse", branch.uri, status, why)
        if status == 503 and branch.target.flow is not None:
            # RFC 5626 5.3.1: "If the flow … no longer exists, … the proxy … returns a 430 (Flow Failed)".
            status = 430
        self._done(branch, status, None, layer, now)

    def branch_timer(self, branch: Branch, kind: int, layer: TransactionLayer, now: float) -> None:
        """Timer C, or no final response after a CANCEL."""
        branch.timer = None
        if kind == TIMER_CANCELLED:
            # 9.1: "If there is no final response for the original request in 64*T1 seconds …, the client SHOULD then
            # consider the original transaction cancelled and SHOULD destroy the client transaction handling the
            # original request." Without any response a 408 is due (16.7 step 6), though not to one who has cancelled.
            layer.abandon(branch.client)
            if branch.state != DONE:
                self._done(branch, 487 if self.stopped else 408, None, layer, now)
        elif branch.state == DONE:
            return
        elif kind == TIMER_RING:
            # 16.8: "If the client transaction has received a provisional response, the proxy MUST generate a CANCEL
            # request matching that transaction. If … not …, the proxy MUST behave as if the transaction received a
            # 408".
            self._ring_over(branch, "timer C", layer, now)
            self._advance(layer, now)

    def stage_timer(self, layer: TransactionLayer, now: float) -> None:
        """The time of a stage is over: what still rings is cancelled, and the next stage begins."""
        self._stage_timer = None
        if self.final or self.stopped:
            return
        for branch in self.branches:
            if branch.state != DONE and not branch.cancelled:
                self._ring_over(branch, "the time of this stage is over", layer, now)
        self._next_stage(layer, now)

    def _ring_over(self, branch: Branch, why: str, layer: TransactionLayer, now: float) -> None:
        self._note(now, "cancel", branch.uri, 408, why)
        branch.cancel(layer, now, "")
        if not branch.provisional:
            branch.finish(408, None)

    def stop(self, reason: str, layer: TransactionLayer, now: float) -> None:
        """Cancel every pending branch and begin no other (16.10)."""
        self.stopped = True
        if self._stage_timer is not None:
            self._stage_timer.cancel()
            self._stage_timer = None
        for branch in self.branches:
            if branch.state != DONE and not branch.cancelled:
                if self.explain:
                    self._note(now, "cancel", branch.uri, 0, reason or "cancelled by the caller")
                branch.cancel(layer, now, reason)

    # settling --------------------------------------------------------------------------------------------------------

    def _pending(self) -> bool:
        for branch in self.branches:
            if branch.state != DONE:
                return True
        return False

    def _ringing(self) -> bool:
        """Whether a branch may still bring an answer that is wanted."""
        for branch in self.branches:
            if branch.state != DONE and not branch.cancelled:
                return True
        return False

    def _done(
        self, branch: Branch, status: int, response: Response | None, layer: TransactionLayer, now: float
    ) -> None:
        """A branch has ended without success."""
        if status == 487 and branch.cancelled and not self.stopped:
            # It answers a CANCEL of our own (16.8): for the caller, who has cancelled nothing, nobody answered in time.
            status, response = 408, None
        # RFC 5626 7: "If the proxy receives a final response from a branch other than a 408 (Request Timeout) or a 430
        # (Flow Failed) response, the proxy MUST NOT forward the same request to another target representing the same
        # AOR and instance-id."
        unreached = status == 430 or status == 408 or (status == 503 and response is None)
        if unreached and not branch.cancelled and not self.stopped and self._take_alternative(branch):
            self._note(now, "failover", branch.uri, status, branch.target.reason)
            self._launch(branch, layer, now)
            if branch.state != DONE:
                return
        else:
            branch.finish(status, response)
        if self.final:
            return
        if status >= 600 and not self.stopped:
            # "If a 6xx response is received, it is not immediately forwarded, but the stateful proxy SHOULD cancel all
            # client pending transactions …, and it MUST NOT create any new branches in this context."
            self.stop("", layer, now)
        self._advance(layer, now)

    def _advance(self, layer: TransactionLayer, now: float) -> None:
        """When no branch of this stage rings any more, begin the next one or answer."""
        if self.final or self._ringing():
            return
        if self._stage_timer is not None:
            self._stage_timer.cancel()
            self._stage_timer = None
        self._next_stage(layer, now)

    def _take_alternative(self, branch: Branch) -> bool:
        """Turn a branch to the next binding of the same instance (RFC 5626 5.3)."""
        alternatives = branch.target.alternatives
        if not alternatives:
            return False
        head = alternatives[0]
        branch.target = Target(
            head.uri, head.flow, head.routes, head.q, head.reason, [*alternatives[1:], *head.alternatives]
        )
        branch.uri = request_uri(head.uri)
        branch.state = WAITING
        branch.hops = []
        branch.client = None
        return True

    def _settle(self, layer: TransactionLayer, now: float) -> None:
        """Every branch has ended and no stage is left: send the best response (16.7 step 6)."""
        if self.final or self._pending():
            return
        candidates = self.branches
        if not self.invite:
            # RFC 4320 4.2: a 408 may not be sent, so any other response is better.
            candidates = [branch for branch in self.branches if branch.status != 408] or self.branches
        best = best_branch(candidates)
        if best is None:
            # 16.5: "If the target set remains empty after applying all of the above, the proxy MUST return an error
            # response, which SHOULD be the 480 (Temporarily Unavailable) response."
            self._answer(480, layer, now)
            return
        status = best.status
        if status == 503:
            # "If the only response that was received is a 503, the proxy SHOULD generate a 500 response".
            self._answer(500, layer, now)
            return
        if status == 430 and best.uri != self.request.uri:
            # RFC 5626 11.5: "Endpoints should never receive a 430 response": it is for the proxy that chose the flow.
            self._answer(480, layer, now)
            return
        response = best.response
        if response is None:
            self._answer(status, layer, now)
            return
        if status == 401 or status == 407:
            _add_challenges(response, best, self.branches)
        if not self._forward(response, layer, now):
            self._answer(status, layer, now)
            return
        self.final = status
        if self.explain:
            self._note(now, "answer", best.uri, status, "the best of what came back")
        self.branches = [best]
        self._let_go()

    def _answer(self, status: int, layer: TransactionLayer, now: float) -> None:
        """Answer with a response of our own; the transaction keeps a 408 to itself where it may not be sent."""
        self.final = status
        if self.explain:
            self._note(now, "answer", "", status, "made here")
        response = response_to(self.request, status, to_tag=self.own_tag(layer))
        layer.respond(self.server, status, response.encode(), now)
        self._let_go()

    def _let_go(self) -> None:
        """No branch is built any more: keep for the half minute that is left what CANCELs and late 2xx need.

        Who explains still tells of the request.
        """
        outgoing = self._outgoing
        if outgoing is not None:
            outgoing.let_go()
        if not self.explain:
            self.request = SPENT
            self.plan = SPENT_PLAN
            if not self.invite:
                # No CANCEL and no further response is passed on: nothing of it is needed any more.
                self.branches = []
                self.server.user = None

    def _forward(self, response: Response, layer: TransactionLayer, now: float) -> bool:
        """Send a response upstream, without our Via (16.7 step 3); False when it was meant for this element alone.

        "If no Via header field values remain in the response, the response was meant for this element and MUST NOT be
        forwarded."
        """
        response.remove_first_value("via")
        if "via" not in response.names:
            return False
        if "content-length" not in response.names and self.server.reliable:
            # 20.14: "If a stream-based protocol (such as TCP) is used as transport, the header field MUST be used."
            response.put_line("content-length", f"Content-Length: {len(response.body)}")
        layer.respond(self.server, response.status, response.encode(), now)
        return True

    def _redirected(self, response: Response, layer: TransactionLayer, now: float) -> bool:
        """Make the contacts of a 3xx targets of a stage that comes next (16.7 step 4); whether there are any.

        "If the proxy chooses to recurse on any contacts in a 3xx response by adding them to the target set, it MUST
        remove them from the response before adding the response to the response context." Those that lead here or to
        this machine itself are left to the caller, who may ask for them himself.
        """
        targets: list[Target] = []
        kept: list[str] = []
        # 16.5: "If a target URI is already present in the set (based on the definition of equality for the URI type),
        # it MUST NOT be added again."
        tried = [parse_uri(branch.uri) for branch in self.branches]
        for stage in self.plan.stages[self._stage :]:
            tried.extend(parse_uri(request_uri(target.uri)) for target in stage.targets)
        secure = self.request.uri[:5].lower() == "sips:"
        for value in response.split("contact"):
            contact = _contact(value)
            # "a proxy SHOULD NOT recurse to a non-SIPS URI if the Request-URI of the original request was a SIPS URI."
            allowed = contact is not None and (contact.scheme == "sips" or (contact.scheme == "sip" and not secure))
            if contact is None or not allowed or len(tried) >= _MOST_TARGETS or not self._may_try(contact, layer):
                kept.append(value)
                continue
            if not _is_among(contact, tried):
                tried.append(contact)
                targets.append(Target(contact.text, None, (), 1000, f"contact of a {response.status}", []))
        if targets:
            self._note(now, "redirect", targets[0].uri, response.status, f"{len(targets)} contacts are tried")
            self.plan.stages.insert(self._stage, Stage(targets))
            response.remove("contact")
            for value in kept:
                response.names.append("contact")
                response.lines.append(f"Contact: {value}")
        return bool(targets)

    def _may_try(self, contact: Uri, layer: TransactionLayer) -> bool:
        """Whether the contact of a 3xx may be tried here."""
        outgoing = self._outgoing
        element = self.plan.element
        if outgoing is None or (element is not None and element.serves(contact)):
            return False
        host = contact.parameters.get("maddr") or contact.address
        return not is_address(host) or layer.may_reach(outgoing.caller.host, host)

    def _note(self, now: float, what: str, target: str, status: int, reason: str) -> None:
        if self.explain:
            self.decisions.append(Decision(now, what, target, status, reason))

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """The time of a stage is over: the stack hands it back to `stage_timer`."""
        return CONTEXT_TIMER


def best_branch(branches: list[Branch]) -> Branch | None:
    """The branch whose final response goes upstream (16.7 step 6).

    "It MUST choose from the 6xx class responses if any exist in the context. If no 6xx class responses are present, the
    proxy SHOULD choose from the lowest response class stored."
    """
    best: Branch | None = None
    best_rank = 1 << 30
    for branch in branches:
        status = branch.status
        if status < 300:
            continue
        rank = 0 if status >= 600 else (status // 100) * 1000
        if status not in _TELLING:
            rank += 500
        if status == 408 or status == 487 or status == 430 or status == 503:
            # What says least about the user: a branch that was cancelled, never answered or could not be reached.
            rank += 400
        if branch.response is None:
            rank += 50
        if rank < best_rank:
            best = branch
            best_rank = rank
    return best


def _add_challenges(response: Response, best: Branch, branches: list[Branch]) -> None:
    """16.7 step 7: "the proxy MUST collect any WWW-Authenticate and Proxy-Authenticate header field values from all
    other 401 … and 407 … responses received so far … and add them to this response without modification"."""
    for branch in branches:
        other = branch.response
        if other is None or branch is best or (branch.status != 401 and branch.status != 407):
            continue
        for position, name in enumerate(other.names):
            if name == "www-authenticate" or name == "proxy-authenticate":
                response.names.append(name)
                response.lines.append(other.lines[position])


def _contact(value: str) -> Uri | None:
    """The URI of one Contact value as a Request-URI; None when it cannot be read."""
    try:
        return parse_uri(request_uri(parse_name_addr(value).uri.text))
    except ParseError:
        return None


def _is_among(uri: Uri, others: list[Uri]) -> bool:
    for other in others:
        if uri.equivalent(other):
            return True
    return False
