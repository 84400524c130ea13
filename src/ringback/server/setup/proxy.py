"""The handler in the middle of the onion: request validation, routing and forwarding (RFC 3261 16.3 to 16.6)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from ringback.errors import ParseError
from ringback.server.app import Application, Rest, ServerTransaction
from ringback.server.stateless import refuse
from ringback.sip.gruu import is_gruu
from ringback.sip.message import Request
from ringback.sip.plan import Found, Plan, Stage
from ringback.sip.route import Self, loop_mark, looped, preprocess, refusal
from ringback.sip.target import Target
from ringback.sip.uri import Uri, build_uri


class Lookup(Protocol):
    """User location, as the proxy sees it."""

    def stages(self, aor: str, uri: Uri, request: Request, now: float) -> Found | Coroutine[Any, Any, Found]:
        """Where a user of ours is reached now, or what to await for it."""
        ...


class NextHop:
    """One static route: requests for a domain or a number go to a next hop.

    domain, prefix  what the Request-URI's host equals and its user starts with; "" matches all
    uri             where to; it becomes the topmost Route
    """

    __slots__ = ("domain", "prefix", "uri")

    def __init__(self, domain: str, prefix: str, uri: str) -> None:
        self.domain: str = domain
        self.prefix: str = prefix
        # RFC 3261 16.6 step 6: "A proxy MUST ensure that all such proxies are loose routers." That is said by lr.
        self.uri: str = uri if ";lr" in uri.lower() else f"{uri};lr"

    def takes(self, target: Uri) -> bool:
        """Whether this route is for `target`."""
        if self.domain and target.host != self.domain:
            return False
        # A number is compared without its visual separators (RFC 3966 section 4).
        user = target.aor() if target.scheme == "tel" else target.user
        return user.startswith(self.prefix)


class Validate:
    """The layer that strips our Route and refuses what a proxy must not forward (16.3, 16.4).

    It knows nobody yet, so it refuses without state.
    """

    def __init__(self, inner: Application) -> None:
        self.inner: Application = inner

    def __call__(self, transaction: ServerTransaction) -> Rest:
        """Pre-process the route, then refuse or go on."""
        stack = transaction.stack
        request = transaction.request
        if "route" in request.names or ";maddr=" in request.uri:
            transaction.route = preprocess(request, stack.element, stack.secret, transaction.flow)
        prefix = stack.layer.branch_prefix
        mark = loop_mark(request) if request.names.count("via") > 1 or request.via.more else ""
        if request.method == "ACK":
            # Nothing is ever answered to an ACK; but it must not go in circles until its Max-Forwards is used up.
            if mark and looped(request, prefix, mark):
                return None
        else:
            refused = refusal(request, prefix, mark, transaction.route.in_dialog and request.to_tag != "")
            if refused is not None and not (refused[0] == 483 and answers_itself(request, stack.element)):
                status, headers, why = refused
                refuse(transaction, status, headers=headers, why=why)
                return None
        return self.inner(transaction)


def answers_itself(request: Request, element: Self) -> bool:
    """Whether this element is the one that answers: REGISTER, or OPTIONS for the element itself (16.3 step 3)."""
    if request.method == "REGISTER":
        return element.serves(request.target)
    return request.method == "OPTIONS" and not request.target.user and element.serves(request.target)


class Proxy:
    """Chooses targets and forwards (16.5, 16.6).

    registrar, options   handlers for what this element answers itself
    lookup               user location
    next_hops            static routes, the first that fits counts
    relay                whether users of ours may send requests to other domains
    recurse              whether the contacts of a user's 3xx are tried here, where the caller might try them himself
    ring_seconds         how long the devices of equal q ring before those of the next lower one do; 0.0 for no limit
    """

    def __init__(
        self,
        element: Self,
        domain: str,
        lookup: Lookup,
        registrar: Application,
        options: Application,
        next_hops: list[NextHop],
        relay: bool,
        recurse: bool = False,
        ring_seconds: float = 0.0,
    ) -> None:
        self.element: Self = element
        self.domain: str = domain
        self.lookup: Lookup = lookup
        self.registrar: Application = registrar
        self.options: Application = options
        self.next_hops: list[NextHop] = next_hops
        self.relay: bool = relay
        self.recurse: bool = recurse
        self.ring_seconds: float = ring_seconds

    def __call__(self, transaction: ServerTransaction) -> Rest:
        """Answer or forward one request."""
        request = transaction.request
        route = transaction.route
        if route.in_dialog:
            return self._within_dialog(transaction)
        target = request.target
        if request.method == "ACK":
            # The ACK to a 2xx goes on without state, and for strangers only within a dialog that went through here.
            if transaction.trusted and not self.element.serves(target):
                transaction.stack.relay_ack(request, route.flow, transaction.now)
            return None
        if request.method == "REGISTER" and self.element.serves(target):
            return self.registrar(transaction)
        if target.scheme == "tel" and not route.next:
            return self._number(transaction, target)
        if route.next or not self.element.serves(target):
            self._away(transaction, target)
            return None
        if not target.user:
            return self._to_us(transaction)
        return self._to_user(transaction, target)

    def _within_dialog(self, transaction: ServerTransaction) -> Rest:
        """Send on what belongs to a dialog that went through here.

        A user agent that has a GRUU is known to its peer by that, and only we know where it leads. RFC 5627 6.1: "This
        is the case for both out-of-dialog requests targeted to the GRUU, and mid-dialog requests".
        """
        request = transaction.request
        target = request.target
        if not is_gruu(target) or not self.element.serves(target):
            flow = transaction.route.flow
            if request.method == "ACK":
                transaction.stack.relay_ack(request, flow, transaction.now, in_dialog=True)
            else:
                here = Target(request.uri, flow, (), 1000, "a dialog that went through here", [])
                transaction.forward(Plan([Stage([here])], record_route=False))
            return None
        found = self.lookup.stages(target.aor(), target, request, transaction.now)
        if found is None or isinstance(found, list):
            self._to_gruu(transaction, found)
            return None
        return self._to_gruu_later(transaction, found)

    async def _to_gruu_later(self, transaction: ServerTransaction, found: Coroutine[Any, Any, Found]) -> None:
        self._to_gruu(transaction, await found)

    def _to_gruu(self, transaction: ServerTransaction, stages: Found) -> None:
        """Send on a request or an ACK within a dialog, to where a GRUU of ours leads."""
        request = transaction.request
        if stages and transaction.route.next:
            # The Route leads to the contact by others; what they get is the contact in place of the GRUU.
            stages = [Stage([Target(found.uri, None, (), 1000, found.reason, []) for found in stages[0].targets])]
        if request.method == "ACK":
            if stages:
                target = stages[0].targets[0]
                request.retarget(target.uri)
                if target.routes:
                    request.prepend("Route", ", ".join(target.routes))
                transaction.stack.relay_ack(request, target.flow, transaction.now, in_dialog=True)
        elif stages:
            transaction.forward(Plan(stages, record_route=False))
        elif stages is None:
            transaction.respond(404, why=f"{request.uri} is no GRUU of ours")
        else:
            transaction.respond(480, why=f"{request.uri} has no binding")

    def _to_us(self, transaction: ServerTransaction) -> Rest:
        request = transaction.request
        if request.method == "OPTIONS":
            return self.options(transaction)
        if request.to_tag:
            refuse(transaction, 481, why="no such dialog here")
        else:
            refuse(transaction, 404, why="the Request-URI names no user")
        return None

    def _to_user(self, transaction: ServerTransaction, target: Uri) -> Rest:
        request = transaction.request
        if request.to_tag:
            # Without a token of ours in its Route it is no part of a dialog that went through here; the contacts of our
            # users are not served by their address of record (12.2.2).
            refuse(transaction, 481, why="no such dialog here")
            return None
        for hop in self.next_hops:
            if hop.prefix and hop.takes(target):
                self._by(transaction, hop)
                return None
        found = self.lookup.stages(target.aor(), target, request, transaction.now)
        if found is None or isinstance(found, list):
            self._found(transaction, target, found)
            return None
        return self._found_later(transaction, target, found)

    async def _found_later(
        self, transaction: ServerTransaction, target: Uri, found: Coroutine[Any, Any, Found]
    ) -> None:
        self._found(transaction, target, await found)

    def _found(self, transaction: ServerTransaction, target: Uri, stages: Found) -> None:
        """Forward to where a user of ours was found, or say that he was not."""
        if stages:
            if self.ring_seconds and transaction.request.method == "INVITE":
                for stage in stages:
                    stage.seconds = self.ring_seconds
            recurse = self.recurse and self._may_leave(transaction)
            transaction.forward(Plan(stages, recurse=recurse, element=self.element))
        elif stages is None and (is_gruu(target) or _is_known(transaction)):
            refuse(transaction, 404, why=f"no user {target.aor()}")
        else:
            # A stranger is not told who our users are: 480 is what he gets for one of them who is not there.
            refuse(transaction, 480, why=f"{target.aor()} has no binding")

    def _number(self, transaction: ServerTransaction, target: Uri) -> Rest:
        """A tel: URI: a user of ours by that name, or a route that takes numbers (19.1.6)."""
        for hop in self.next_hops:
            if not hop.domain and hop.takes(target):
                self._by(transaction, hop)
                return None
        return self._to_user(transaction, build_uri("sip", target.aor(), self.domain))

    def _away(self, transaction: ServerTransaction, target: Uri) -> None:
        """Another domain: only for users of ours and for trusted sources, never for strangers."""
        for hop in self.next_hops:
            if not transaction.route.next and hop.takes(target):
                self._by(transaction, hop)
                return
        if not self._may_leave(transaction):
            refuse(transaction, 403, why="requests to other domains are not relayed for this sender")
            return
        if not target.is_sip and not transaction.route.next:
            raise ParseError(f"no route for a {target.scheme}: URI", 416)
        reason = "the route that the caller chose" if transaction.route.next else f"domain {target.host}"
        uri = transaction.request.uri
        if "maddr" in target.parameters and self.element.owns(target):
            # 16.4: "If the Request-URI has a maddr parameter with a value the proxy is responsible for, … the proxy
            # MUST strip the maddr …, and continue processing as if those values had not been present".
            uri = target.without("maddr").text
        transaction.forward(Plan([Stage([Target(uri, None, (), 1000, reason, [])])]))

    def _may_leave(self, transaction: ServerTransaction) -> bool:
        """Whether this sender's requests may go to other domains."""
        return transaction.trusted or (transaction.user != "" and self.relay)

    def _by(self, transaction: ServerTransaction, hop: NextHop) -> None:
        if not _is_known(transaction):
            refuse(transaction, 403, why="strangers are not sent on by static routes")
            return
        reason = f"route for {hop.domain or 'any domain'} {hop.prefix}".rstrip()
        target = Target(transaction.request.uri, None, (f"<{hop.uri}>",), 1000, reason, [])
        transaction.forward(Plan([Stage([target])]))


def _is_known(transaction: ServerTransaction) -> bool:
    """Whether the sender is a user of ours, or a source that is trusted as one."""
    return transaction.trusted or transaction.user != ""
