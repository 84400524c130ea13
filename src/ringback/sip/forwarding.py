"""The response context of a stateful proxy (RFC 3261 16.5 to 16.10, RFC 3326, 4320, 5393).

A context is opened by `start` with a plan. It tries the stages one after the other and the targets of a stage together,
forwards what has to go upstream at once, keeps the other final responses, and answers with the best of them when no
branch is left.

    event                                    action
    ---------------------------------------  ---------------------------------------------------------------
    101-199                                  forward, reset timer C of the branch
    2xx                                      forward; cancel all other branches; no further stage
    3xx with recursion                       its contacts become targets
    3xx-5xx                                  keep; when the stage has no branch left, next stage or best response
    6xx                                      keep; cancel all; no further stage
    timer C, stage time                      cancel the branches that ring, 408 for those that never answered
    CANCEL from upstream                     cancel all; no further stage
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.branch import DONE, LOCATING, TIMER_CANCELLED, TIMER_RING, WAITING, Branch, Outgoing
from ringback.sip.grammar import split_commas
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Request, Response, response_to
from ringback.sip.plan import Decision, Plan, Stage
from ringback.sip.route import MAX_BREADTH, check_max_forwards, loop_mark
from ringback.sip.target import Target
from ringback.sip.timers import Send, Timed, Timer, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transactions import TransactionLayer
from ringback.sip.transport import Flow

#: Fires when the time of a stage is over.
TIMER_STAGE: Final = 31
CONTEXT_TIMER: Final = 11

#: RFC 3326: why the others stop ringing.
ANSWERED_ELSEWHERE: Final = 'SIP;cause=200;text="Call completed elsewhere"'
#: Preferred among 4xx, "that provide information affecting resubmission of this request" (16.7 step 6).
_TELLING: Final = (401, 407, 415, 420, 484)
_MOST_TARGETS: Final = 64


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
        "asking",
        "branches",
        "decisions",
        "explain",
        "final",
        "plan",
        "request",
        "server",
        "stopped",
        "tag",
    )

    def __init__(self, server: Transaction, request: Request, plan: Plan, tag: str, explain: bool) -> None:
        self.server: Transaction = server
        self.request: Request = request
        self.plan: Plan = plan
        self.tag: str = tag
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

    # going out -------------------------------------------------------------------------------------------------------

    def start(self, caller: Flow, secret: bytes, layer: TransactionLayer, now: float) -> None:
        """Edit the request once for all branches and begin the first stage. `caller` is the flow that it came by."""
        request = self.request
        # Within a dialog the route is fixed, so a request cannot be sent in circles by what is decided here.
        mark = loop_mark(request) if self.plan.record_route else ""
        record = self.plan.record_route and request.method in ("INVITE", "SUBSCRIBE", "REFER")
        outgoing = Outgoing(request, caller, mark, secret, record)
        forwards = check_max_forwards(request.header("max-forwards"))
        _put(outgoing.names, outgoing.lines, "max-forwards", f"Max-Forwards: {forwards}")
        breadth = request.number("max-breadth") if "max-breadth" in request.names else None
        self._breadth = MAX_BREADTH if breadth is None else min(breadth, MAX_BREADTH)
        # RFC 5393 5.3.3: "If a SIP proxy receives a request with no Max-Breadth header field value, it MUST add one".
        _put(outgoing.names, outgoing.lines, "max-breadth", f"Max-Breadth: {self._breadth}")
        if "content-length" not in outgoing.names:
            # 16.6 step 9: "If the request will be sent to the next hop using a stream-based transport and the copy
            # contains no Content-Length header field, the proxy MUST insert one".
            _put(outgoing.names, outgoing.lines, "content-length", f"Content-Length: {len(request.body)}")
        self._outgoing = outgoing
        self._next_stage(layer, now)

    def _next_stage(self, layer: TransactionLayer, now: float) -> None:
        """Begin the next stage that has targets, or answer."""
        while not self.stopped and self._stage < len(self.plan.stages):
            stage = self.plan.stages[self._stage]
            self._stage += 1
            if stage.targets and self._begin(stage, layer, now):
                return
        self._settle(layer, now)

    def _begin(self, stage: Stage, layer: TransactionLayer, now: float) -> bool:
        """Start the branches of a stage; whether one of them runs."""
        outgoing = self._outgoing
        targets = stage.targets
        if outgoing is None:
            return False
        share = self._breadth
        if len(targets) > 1:
            if len(targets) > self._breadth or len(self.branches) + len(targets) > _MOST_TARGETS:
                # RFC 5393 5.3.3: "If a SIP proxy determines a response context has insufficient Incoming Max-Breadth to
                # carry out a desired parallel fork … that proxy MUST return a 440".
                self._note(now, "refuse", "", 440, f"{len(targets)} targets, Max-Breadth {self._breadth}")
                self.stopped = True
                self._answer(440, layer, now)
                return True
            share = self._breadth // len(targets)
        started: list[Branch] = []
        for target in targets:
            branch = Branch(self, outgoing, target, share if share != self._breadth else 0)
            self.branches.append(branch)
            started.append(branch)
        for branch in started:
            self._launch(branch, layer, now)
        if stage.seconds > 0.0 and self._pending():
            self._stage_timer = layer.timers.start(now, stage.seconds, self, TIMER_STAGE)
        return self._pending()

    def _launch(self, branch: Branch, layer: TransactionLayer, now: float) -> None:
        """Find the first hop of a branch and send, or have DNS asked for it."""
        target = branch.target
        if self.explain:
            self._note(now, "forward", branch.uri, 0, target.reason)
        try:
            flow = target.flow if target.flow is not None else layer.hop(branch.next_hop_uri())
        except ParseError as error:
            self._note(now, "refuse", branch.uri, error.status, str(error))
            branch.finish(error.status, None)
            return
        if flow is None:
            branch.state = LOCATING
            self.asking.append(branch)
            return
        branch.hops.append(flow)
        branch.send(layer, now)

    def located(self, branch: Branch, hops: list[Flow], layer: TransactionLayer, now: float) -> None:
        """DNS has answered for a branch: its destinations, the best first; none when there are none."""
        if branch.state != LOCATING:
            return
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
                response = self._redirected(response, now)
            self._done(branch, status, response, layer, now)

    def _provisional(self, branch: Branch, response: Response, layer: TransactionLayer, now: float) -> None:
        first = not branch.provisional
        branch.provisional = True
        if branch.cancelled and first and self.request.method == "INVITE":
            branch.send_cancel(layer, now)
        if response.status == 100:
            return
        if self.request.method == "INVITE":
            branch.refresh(layer, now)
        if not self.final:
            self._forward(response, layer, now)

    def _success(self, branch: Branch, response: Response, layer: TransactionLayer, now: float) -> None:
        invite = self.request.method == "INVITE"
        if branch.state != DONE:
            branch.finish(response.status, None)
        if self.final and not invite:
            return
        # 16.7 step 5: every 2xx to an INVITE is forwarded at once, retransmissions and those of other branches as well.
        self._forward(response, layer, now)
        if self.final:
            return
        self.final = response.status
        if self.explain:
            self._note(now, "answer", branch.uri, response.status, branch.target.reason)
        self.stop(ANSWERED_ELSEWHERE, layer, now)

    def failed(self, branch: Branch, status: int, why: str, layer: TransactionLayer, now: float) -> None:
        """A branch got no final response: 408 for a timeout, 503 for a failure of the transport (16.9)."""
        if branch.state == DONE:
            return
        if branch.hops and not branch.cancelled:
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
        if branch.state == DONE:
            return
        if kind == TIMER_CANCELLED:
            self._done(branch, 487, None, layer, now)
        elif kind == TIMER_RING:
            # 16.8: "If the client transaction has received a provisional response, the proxy MUST generate a CANCEL
            # request matching that transaction. If … not …, the proxy MUST behave as if the transaction received a
            # 408".
            self._ring_over(branch, "timer C", layer, now)

    def stage_timer(self, layer: TransactionLayer, now: float) -> None:
        """The time of a stage is over: what still rings is cancelled, and the next stage begins."""
        self._stage_timer = None
        if self.final or self.stopped:
            return
        for branch in self.branches:
            if branch.state != DONE:
                self._ring_over(branch, "the time of this stage is over", layer, now)
        self._next_stage(layer, now)

    def _ring_over(self, branch: Branch, why: str, layer: TransactionLayer, now: float) -> None:
        self._note(now, "cancel", branch.uri, 408, why)
        if branch.provisional:
            branch.cancel(layer, now, "")
        else:
            branch.cancel(layer, now, "")
            self._done(branch, 408, None, layer, now)

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

    def _done(
        self, branch: Branch, status: int, response: Response | None, layer: TransactionLayer, now: float
    ) -> None:
        """A branch has ended without success."""
        if status in (430, 408, 503) and not branch.cancelled and not self.stopped and self._take_alternative(branch):
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
        if not self._pending():
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
        branch.uri = head.uri
        branch.state = WAITING
        branch.client = None
        return True

    def _settle(self, layer: TransactionLayer, now: float) -> None:
        """Every branch has ended and no stage is left: send the best response (16.7 step 6)."""
        if self.final or self._pending():
            return
        best = best_branch(self.branches)
        if best is None or best.response is None:
            status = 408 if best is None else best.status
            if status == 503:
                status = 500
            self._answer(status, layer, now)
            return
        response = best.response
        if response.status == 503:
            # "If the only response that was received is a 503, the proxy SHOULD generate a 500 response".
            self._answer(500, layer, now)
            return
        if response.status == 401 or response.status == 407:
            _add_challenges(response, best, self.branches)
        self.final = response.status
        if self.explain:
            self._note(now, "answer", best.uri, response.status, "the best of what came back")
        self._forward(response, layer, now)
        self.branches = [best]

    def _answer(self, status: int, layer: TransactionLayer, now: float) -> None:
        """Answer with a response of our own."""
        self.final = status
        if self.request.method != "INVITE" and status == 408:
            # RFC 4320 4.2: no 408 to a non-INVITE request.
            self._note(now, "answer", "", 408, "nothing is sent: too late for a request that is not an INVITE")
            layer.give_up(self.server)
            return
        if self.explain:
            self._note(now, "answer", "", status, "made here")
        response = response_to(self.request, status, to_tag=self.tag)
        layer.respond(self.server, status, response.encode(), now)

    def _forward(self, response: Response, layer: TransactionLayer, now: float) -> None:
        """Send a response upstream, without our Via (16.7 step 3)."""
        response.remove_first_value("via")
        if "via" not in response.names:
            return
        layer.respond(self.server, response.status, response.encode(), now)

    def _redirected(self, response: Response, now: float) -> Response:
        """Make the contacts of a 3xx targets of a stage that comes next (16.7 step 4)."""
        targets: list[Target] = []
        kept: list[str] = []
        tried = {branch.uri for branch in self.branches}
        secure = self.request.uri.startswith("sips:")
        for value in response.split("contact"):
            try:
                uri = response_contact(value)
            except ParseError:
                continue
            # "a proxy SHOULD NOT recurse to a non-SIPS URI if the Request-URI of the original request was a SIPS URI."
            allowed = uri.startswith("sips:") or (uri.startswith("sip:") and not secure)
            if not allowed or uri in tried or len(tried) >= _MOST_TARGETS:
                kept.append(value)
                continue
            tried.add(uri)
            targets.append(Target(uri, None, (), 1000, f"contact of a {response.status}", []))
        if targets:
            self._note(now, "redirect", targets[0].uri, response.status, f"{len(targets)} contacts are tried")
            self.plan.stages.insert(self._stage, Stage(targets))
            response.remove("contact")
            for value in kept:
                response.append("Contact", value)
        return response

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


def response_contact(value: str) -> str:
    """The URI text of one Contact value. Raises ParseError."""
    return parse_name_addr(split_commas(value)[0]).uri.text


def _put(names: list[str], lines: list[str], key: str, line: str) -> None:
    if key in names:
        lines[names.index(key)] = line
    else:
        names.append(key)
        lines.append(line)
