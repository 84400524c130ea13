"""One request of a user agent and what becomes of it: located, sent, authenticated, failed over, answered.

It is what an application means by a request; below it there may be several transactions.

    state     event                      next      action
    --------  -------------------------  --------  ---------------------------------------------------------
    Ready     start, way is known        Trying    send
              start, a name is in it     Locating  ask (RFC 3263)
              no way at all              Done      503, or the status that says why
    Locating  destinations               Trying    send to the first
              none                       Done      503
              cancel                     Done      487
    Trying    1xx                        Trying    up; a CANCEL that waited is sent (9.1)
              401, 407 that can be met   Trying    send again with credentials, CSeq + 1 (22.2)
              503, timeout, unreachable  Trying    send to the next destination (RFC 3263 4.3)
              stream refused             Trying    send as a datagram, when only its size had made it a stream (18.1.1)
              any other final response   Done      up
              cancel                     Trying    CANCEL now or with the first 1xx; no second try from then on
              64*T1 after the CANCEL     Done      487
    Done      2xx again (INVITE)         Done      up

An ACK to a 2xx is sent by an exchange too, so that it finds its way as other requests do: it is Done at once.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.cause import retry_after
from ringback.sip.client_invite import cancel_of
from ringback.sip.dialog import Dialog
from ringback.sip.digest_client import Attempt
from ringback.sip.failover import Failover
from ringback.sip.headers import parse_name_addr
from ringback.sip.locate import Destination
from ringback.sip.message import Request, Response
from ringback.sip.profile import Profile
from ringback.sip.route import make_loose, next_hop
from ringback.sip.session_events import Locate
from ringback.sip.timers import T64, Send, Timed, Timer, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transaction_user import TransactionUser
from ringback.sip.transactions import needs_stream
from ringback.sip.transport import Flow
from ringback.sip.uri import parse_uri

READY: Final = 0
LOCATING: Final = 1
TRYING: Final = 2
DONE: Final = 3

# What `receive` and others tell the core.
NOTHING: Final = 0
#: The user has to be told: of a provisional response, or of the final one (`status` and `response` of the exchange).
TELL: Final = 1

#: No final response has come in 64*T1 after a CANCEL.
CANCEL_OVER: Final = 51


class Exchange(Timed):
    """One request and its answer.

    request   the request as it is sent, without Via; edited for each further try
    profile   who sends it
    dialog    the dialog that it is sent in, or None
    user      whom its responses are for, or None: then `Completed` is told
    purpose   what its user knows it by
    status    that of the final response, 0 while there is none; 408 or 503 when none came
    response  the final response, or None
    """

    __slots__ = (
        "_attempt", "_cancel_reason", "_datagram", "_failover", "_flows", "_heard", "_hop", "_pinned", "_prepared",
        "_timer", "_tu", "acks", "cancelled", "client", "data", "dialog", "flow", "profile", "purpose", "request",
        "response", "sent", "state", "status", "user",
    )  # fmt: skip

    def __init__(
        self,
        tu: TransactionUser,
        request: Request,
        profile: Profile,
        dialog: Dialog | None = None,
        user: Timed | None = None,
        purpose: int = 0,
    ) -> None:
        self._tu: TransactionUser = tu
        self.request: Request = request
        self.profile: Profile = profile
        self.dialog: Dialog | None = dialog
        self.user: Timed | None = user
        self.purpose: int = purpose
        self.state: int = READY
        self.status: int = 0
        self.response: Response | None = None
        self.client: Transaction | None = None
        #: Of an INVITE: what has acknowledged its 2xx, by their To tags.
        self.acks: dict[str, Exchange] = {}
        #: As it went out last, with its Via.
        self.sent: Request | None = None
        self.data: bytes = b""
        self.flow: Flow | None = None
        self.cancelled: bool = False
        self._cancel_reason: str = ""
        self._heard: bool = False
        self._datagram: Flow | None = None
        self._failover: Failover | None = None
        self._flows: dict[tuple[str, str, int, str], Flow] = {}
        self._attempt: Attempt | None = None
        self._prepared: bool = False
        #: The URI of the next hop.
        self._hop: str = ""
        #: Whether it goes over the flow of our registration, and no other.
        self._pinned: bool = False
        self._timer: Timer | None = None

    # going out -------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Send the request, or ask where to. What fails at once is told with the next `take` of the core."""
        tu = self._tu
        tu.exchanges[self] = None
        try:
            request = self.request
            routes = request.split("route") if "route" in request.names else []
            # 8.1.2: where it goes is said by the first Route, else by the Request-URI.
            uri = next_hop(request.uri, routes[0] if routes else "")
            self._hop = uri
            # 12.2.1.1: "If the route set is not empty, and its first URI does not contain the lr parameter, the UAC
            # MUST place the first URI from the route set into the Request-URI", and the target at the end of the Route.
            make_loose(request)
            flow = self._own_flow(uri)
            self._pinned = flow is not None
            dialog = self.dialog
            if flow is not None:
                self._begin([flow], now)
                return
            if dialog is not None and dialog.hops and dialog.hops_uri == uri:
                self._begin(dialog.hops, now)
                return
            flow = None if tu.locates_addresses else tu.layer.hop(uri)
            if flow is not None:
                self._begin([flow], now)
                return
            self.state = LOCATING
            tu.tell(Locate(self, parse_uri(uri)))
        except ParseError as error:
            self._over(error.status if error.status != 400 else 503, now)

    def _own_flow(self, uri: str) -> Flow | None:
        """The flow of our registration, where a request whose next hop is `uri` has to go over it (RFC 5626 4.3).

        Within a dialog that is so when it began there and the proxy has stayed in the path, or when the peer himself is
        at its other end.
        """
        flow = self.profile.flow
        dialog = self.dialog
        if flow is None or dialog is None:
            return flow
        if not dialog.by_flow:
            return None
        if dialog.routes:
            return flow
        host = parse_uri(uri).address
        return flow if host == flow.host or (flow.name and host == flow.name) else None

    def located(self, flows: list[Flow], now: float) -> None:
        """DNS has answered: the destinations in order, none when there are none."""
        if self.state != LOCATING:
            return
        layer = self._tu.layer
        for flow in flows:
            if not flow.local:
                flow.local = layer.listener_for(flow).id
        if self.cancelled or not flows:
            self._over(487 if self.cancelled else 503, now)
            return
        if self.dialog is not None:
            self.dialog.hops = flows
            self.dialog.hops_uri = self._hop
        self._begin(flows, now)

    def _begin(self, flows: list[Flow], now: float) -> None:
        destinations: list[Destination] = []
        for flow in flows:
            destination = Destination(flow.transport, flow.host, flow.port, flow.name)
            self._flows[destination.key()] = flow
            destinations.append(destination)
        self._failover = Failover(destinations, now, self._tu.outages)
        self.state = TRYING
        if not self._prepared:
            self._prepare()
        self._send_current(now)

    def _send_current(self, now: float) -> None:
        """Send to the destination that the failover has come to."""
        failover = self._failover
        if failover is not None:
            self._send(self._flows[failover.current.key()], now)

    def _prepare(self) -> None:
        """Credentials that are known to be asked for (RFC 7616 3.6); an ACK has those of its INVITE already."""
        self._prepared = True
        credentials = self.profile.credentials
        if credentials is None or self.request.method == "ACK":
            return
        request = self.request
        flow = self._own_flow(self._hop)
        asker = parse_uri(self._hop).address
        if flow is not None and "route" not in request.names:
            # Nothing but the flow says who the next hop is: the domain that it has proved, or its address.
            asker = flow.name or flow.host
        # A tel: URI names no host: whoever is asked to connect it is who answers for it.
        self._attempt = credentials.attempt(request.target.address or asker, asker)
        for name, value in self._attempt.fields(request.method, request.uri, self._tu.token(), request.body):
            request.append(name, value)

    def _send(self, flow: Flow, now: float) -> None:
        self._heard = False
        self._datagram = None
        request, branch = self._build(flow)
        data = request.encode()
        layer = self._tu.layer
        if needs_stream(len(data), flow) and not self._pinned and layer.speaks("TCP"):
            # 18.1.1: "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes …, the
            # request MUST be sent using an RFC 2914 congestion controlled transport protocol, such as TCP. If this
            # causes a change in the transport protocol from the one indicated in the top Via, the value in the top Via
            # MUST be changed."
            self._datagram = flow
            flow = Flow("TCP", "", flow.host, flow.port)
            flow.local = layer.listener_for(flow).id
            request, branch = self._build(flow)
            data = request.encode()
        self._transmit(request, data, branch, flow, now)

    def _transmit(self, request: Request, data: bytes, branch: str, flow: Flow, now: float) -> None:
        layer = self._tu.layer
        self.sent = request
        self.flow = flow
        if request.method == "ACK":
            self.data = data
            layer.send_aside(data, flow)
            self.state = DONE
            self._tu.exchanges.pop(self, None)
            return
        self.client = layer.start_client(request, data, branch, flow, self, now)

    def _build(self, flow: Flow) -> tuple[Request, str]:
        layer = self._tu.layer
        branch = layer.new_branch()
        listener = layer.listener_for(flow)
        request = self.request.copy()
        request.names.insert(0, "via")
        request.lines.insert(0, f"{listener.via_head}{branch};rport")
        return request, branch

    def send_again(self) -> None:
        """Send an ACK once more, as it was: there is one "for each 2xx received" (13.2.2.4)."""
        if self.flow is not None and self.data:
            self._tu.layer.send_aside(self.data, self.flow)

    # cancelling ------------------------------------------------------------------------------------------------------

    def cancel(self, now: float, reason: str = "") -> None:
        """Give up: CANCEL for an INVITE (9.1), no further try for any request. `reason` is the value of a Reason."""
        if self.state == DONE or self.cancelled:
            return
        self.cancelled = True
        self._cancel_reason = reason
        if self.state == LOCATING or self.state == READY:
            self._over(487, now)
        elif self.request.method == "INVITE" and self._heard:
            self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        """9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent; rather, the client
        MUST wait for the arrival of a provisional response before sending the request.\""""
        request = self.sent
        client = self.client
        if request is None or client is None or self.request.method != "INVITE":
            return
        cancel = cancel_of(request, self._cancel_reason)
        layer = self._tu.layer
        layer.start_client(cancel, cancel.encode(), request.via.branch, client.flow, None, now)
        # "If there is no final response for the original request in 64*T1 seconds …, the client SHOULD then consider
        # the original transaction cancelled and SHOULD destroy the client transaction handling the original request."
        self._timer = layer.timers.start(now, T64, self, CANCEL_OVER)

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """64*T1 have passed since the CANCEL."""
        return timer

    def fired(self, now: float) -> int:
        """As `expired` has announced."""
        self._timer = None
        if self.state == DONE:
            return NOTHING
        self._tu.layer.abandon(self.client)
        return self._finish(None, 487)

    # coming back -----------------------------------------------------------------------------------------------------

    def receive(self, client: Transaction, response: Response, now: float) -> int:
        """A response has come to one of its transactions; TELL when the user has to see it."""
        if client is not self.client:
            return NOTHING
        status = response.status
        if self.state == DONE:
            return TELL if self.request.method == "INVITE" and 200 <= status < 300 else NOTHING
        first = not self._heard
        self._heard = True
        if status < 200:
            if first and self.cancelled:
                self._send_cancel(now)
            return TELL
        if status == 401 or status == 407:
            if not self.cancelled and self._authorize(response, now):
                return NOTHING
        elif self._fails_over(response, now):
            return NOTHING
        if status < 300:
            self._accepted(response)
        return self._finish(response, status)

    def failed(self, client: Transaction, status: int, now: float) -> int:
        """A transaction has ended without a response: 408 it timed out, 503 it could not be delivered (8.1.3.1)."""
        if client is not self.client or self.state == DONE:
            return NOTHING
        if self.cancelled:
            return self._finish(None, 487)
        datagram = self._datagram
        if status == 503 and datagram is not None:
            # 18.1.1: "if the attempt to establish the connection generates either an ICMP Protocol Not Supported, or
            # results in a TCP reset, the element SHOULD retry the request, using UDP".
            self._datagram = None
            request, branch = self._build(datagram)
            self._transmit(request, request.encode(), branch, datagram, now)
            return NOTHING
        failover = self._failover
        if failover is not None:
            if status == 408:
                following = failover.timed_out(now, self._heard)
            else:
                following = failover.unreachable(now, "the transport could not deliver")
            if following is not None:
                self._send_current(now)
                return NOTHING
        return self._finish(None, status)

    def _fails_over(self, response: Response, now: float) -> bool:
        failover = self._failover
        if failover is None or self.cancelled:
            return False
        # RFC 3261 21.5.4: a client that gets a 503 "SHOULD attempt to forward the request to an alternate server".
        wait = float(retry_after(response)) if response.status == 503 else 0.0
        if failover.responded(response.status, now, wait or None) is None:
            return False
        self._send_current(now)
        return True

    def _authorize(self, response: Response, now: float) -> bool:
        """Answer challenges (22.2): whether the request was sent again."""
        attempt = self._attempt
        request = self.request
        if attempt is None:
            return False
        answer = attempt.answer(
            response.all("www-authenticate"),
            response.all("proxy-authenticate"),
            request.method,
            request.uri,
            self._tu.token(),
            request.body,
        )
        if not answer.fields:
            return False
        request.remove("authorization")
        request.remove("proxy-authorization")
        for name, value in answer.fields:
            request.append(name, value)
        # "When a UAC resubmits a request with its credentials after receiving a 401 (Unauthorized) or 407 (Proxy
        # Authentication Required) response, it MUST increment the CSeq header field value as it would normally when
        # sending an updated request."
        number = request.cseq.number + 1 if self.dialog is None else self.dialog.next_cseq()
        request.replace("CSeq", f"{number} {request.method}")
        self._send_current(now)
        return True

    def _accepted(self, response: Response) -> None:
        attempt = self._attempt
        if attempt is None:
            return
        for name in ("authentication-info", "proxy-authentication-info"):
            for value in response.all(name):
                try:
                    attempt.accepted(name, value, response.body)
                except ParseError:
                    continue

    def _finish(self, response: Response | None, status: int) -> int:
        self.state = DONE
        self.status = status
        self.response = response
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        client = self.client
        if client is not None and self.request.method != "INVITE":
            # Its further responses are absorbed: no cycle is left for the collector to find.
            client.user = None
        self._tu.exchanges.pop(self, None)
        return TELL

    def _over(self, status: int, now: float) -> None:
        """It has ended before anything was sent: the core asks for that when it is asked what there is to tell."""
        self._finish(None, status)
        self._tu.finished.append((self, now))

    @property
    def credentials(self) -> list[tuple[str, str]]:
        """The credentials that it was sent with last: the ACK to its 2xx has the same (22.1)."""
        found: list[tuple[str, str]] = []
        for name in ("Authorization", "Proxy-Authorization"):
            for value in self.request.all(name.lower()):
                found.append((name, value))
        return found

    def __repr__(self) -> str:
        return f"<Exchange {self.request.method} {self.request.uri} {self.status or self.state}>"


def route_of(value: str) -> str:
    """A URI, or a name-addr, as a Route value. Raises ParseError."""
    if "<" in value:
        return f"<{parse_name_addr(value).uri.text}>"
    uri = parse_uri(value)
    # A proxy that somebody has typed in is a loose router: all are, these twenty years.
    return f"<{uri.text}>" if "lr" in uri.parameters else f"<{uri.text};lr>"
