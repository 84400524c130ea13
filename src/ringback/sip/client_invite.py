"""The INVITE client transaction (RFC 3261 17.1.1, with RFC 6026 figure 5).

    state       event             next        action
    ----------  ----------------  ----------  ------------------------------------------
    Calling     timer A           Calling     send INVITE again, A doubles (datagrams)
                timer B           Terminated  TIMED_OUT
                1xx               Proceeding  up
                2xx               Accepted    up, start M
                300-699           Completed   send ACK, up, start D
                transport failed  Terminated  up
    Proceeding  1xx               Proceeding  up
                2xx               Accepted    up, start M
                300-699           Completed   send ACK, up, start D
    Completed   300-699           Completed   send ACK again
                timer D           Terminated  ENDED
                transport failed  Terminated  up
    Accepted    2xx               Accepted    up
                timer M           Terminated  ENDED

Timer B also covers nothing but Calling: once a provisional response has come, the proxy's timer C or the user decides
how long to wait.
"""

from __future__ import annotations

from typing import Final

from ringback.sip.message import SPENT, Request, Response
from ringback.sip.timers import T1, T64, Send, Timer, Timers
from ringback.sip.timers import TIMER_D as TIMER_D_SECONDS
from ringback.sip.transaction import (
    ENDED,
    NOTHING,
    PASS_UP,
    TIMED_OUT,
    TIMER_A,
    TIMER_B,
    TIMER_D,
    TIMER_M,
    Transaction,
)
from ringback.sip.transport import Flow

CALLING: Final = 1
PROCEEDING: Final = 2
COMPLETED: Final = 3
ACCEPTED: Final = 4
TERMINATED: Final = 5


class ClientInvite(Transaction):
    """One INVITE on its way to one next hop."""

    __slots__ = ("_ack", "_data", "_interval", "_timer", "_timer_b", "request")

    def __init__(self, key: str, request: Request, flow: Flow) -> None:
        super().__init__(key, flow, CALLING)
        self.request: Request = request
        self._data: bytes = b""
        self._ack: bytes = b""
        self._interval: float = T1
        self._timer: Timer | None = None
        self._timer_b: Timer | None = None

    def start(self, data: bytes, now: float, timers: Timers, sends: list[Send]) -> None:
        """Send the INVITE for the first time; `data` is the request as encoded."""
        self._data = data
        sends.append((data, self.flow, self.key))
        if not self.reliable:
            # "If an unreliable transport is being used, the client transaction MUST start timer A with a value of T1."
            self._timer = timers.start(now, T1, self, TIMER_A)
        # "For any transport, the client transaction MUST start timer B with a value of 64*T1 seconds."
        self._timer_b = timers.start(now, T64, self, TIMER_B)

    def receive(self, response: Response, now: float, timers: Timers, sends: list[Send]) -> int:
        """A response has come; PASS_UP when the user has to see it."""
        status = response.status
        state = self.state
        if state == CALLING or state == PROCEEDING:
            if state == CALLING:
                self._stop()
            if status < 200:
                self.state = PROCEEDING
                return PASS_UP
            if status < 300:
                # "the client transaction MUST transition to the 'Accepted' state, and Timer M MUST be started with a
                # value of 64*T1" (RFC 6026 8.4).
                self.state = ACCEPTED
                self._data = b""
                self.request = SPENT
                timers.start(now, T64, self, TIMER_M)
                return PASS_UP
            self.state = COMPLETED
            self._data = b""
            self._ack = ack_to(self.request, response).encode()
            self.request = SPENT
            sends.append((self._ack, self.flow, self.key))
            # "with a value of at least 32 seconds for unreliable transports, and a value of zero seconds for reliable
            # transports".
            self._timer = timers.start(now, 0.0 if self.reliable else TIMER_D_SECONDS, self, TIMER_D)
            return PASS_UP
        if state == ACCEPTED and 200 <= status < 300:
            return PASS_UP
        if state == COMPLETED and status >= 300:
            # "Any retransmissions of a response with status code 300-699 … MUST cause the ACK to be re-passed to the
            # transport layer for retransmission, but the newly received response MUST NOT be passed up to the TU."
            sends.append((self._ack, self.flow, self.key))
        return NOTHING

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """Timers A, B, D and M."""
        if timer == TIMER_A and self.state == CALLING:
            sends.append((self._data, self.flow, self.key))
            self._interval *= 2.0
            self._timer = timers.start(now, self._interval, self, TIMER_A)
            return NOTHING
        if timer == TIMER_B and self.state == CALLING:
            self._stop()
            self.state = TERMINATED
            return TIMED_OUT
        if (timer == TIMER_D and self.state == COMPLETED) or (timer == TIMER_M and self.state == ACCEPTED):
            self.state = TERMINATED
            return ENDED
        return NOTHING

    def failed(self) -> int:
        """The transport could not deliver (17.1.4): PASS_UP when the user has to know, and the transaction is over."""
        if self.state != CALLING and self.state != COMPLETED:
            # In Proceeding and Accepted nothing is on the wire that could have failed but a stray report.
            return NOTHING
        self._stop()
        self.state = TERMINATED
        return PASS_UP

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timer_b is not None:
            self._timer_b.cancel()
            self._timer_b = None


def ack_to(request: Request, response: Response) -> Request:
    """The ACK to a 300-699 response (17.1.1.3).

    "The ACK request constructed by the client transaction MUST contain values for the Call-ID, From, and Request-URI
    that are equal to the values of those header fields in the request passed to the transport by the client transaction
    … The To header field in the ACK MUST equal the To header field in the response being acknowledged …. The ACK MUST
    contain a single Via header field, and this MUST be equal to the top Via header field of the original request. …
    If the INVITE request whose response is being acknowledged had Route header fields, those header fields MUST appear
    in the ACK."
    """
    return _derived(request, "ACK", response.required("to"))


def cancel_of(request: Request, reason: str = "") -> Request:
    """The CANCEL for a request (9.1), built as its ACK is but with the request's own To.

    `reason` is the value of a Reason header (RFC 3326), or "".
    """
    cancel = _derived(request, "CANCEL", request.required("to"))
    if reason:
        cancel.append("Reason", reason)
    return cancel


def _derived(request: Request, method: str, to: str) -> Request:
    derived = Request(method, request.uri, [], [], b"")
    top = request.required("via")
    via = request.via
    derived.append("Via", top[: via.size] if via.more else top)
    for position, name in enumerate(request.names):
        if name == "route" or name == "from" or name == "call-id" or name == "max-forwards":
            derived.names.append(name)
            derived.lines.append(request.lines[position])
    derived.append("To", to)
    if "max-forwards" not in derived.names:
        # 8.1.1.6: a client "MUST insert a Max-Forwards header field into each request it originates with a value that
        # SHOULD be 70".
        derived.append("Max-Forwards", "70")
    derived.append("CSeq", f"{request.cseq.number} {method}")
    derived.append("Content-Length", "0")
    return derived
