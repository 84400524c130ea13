"""The non-INVITE server transaction (RFC 3261 17.2.2, figure 8, with RFC 4320).

    state       event            next        action
    ----------  ---------------  ----------  -----------------------------------------------------
    Trying      request again    Trying
                3.5 s            Trying      TRYING_DUE
    Proceeding  request again    Proceeding  send the provisional response again
    both        100 from user    Proceeding  send; on datagrams not before the 3.5 s are over
                101-199                      nothing (RFC 4320 4.1)
                200-699          Completed   send, start J
                408              Completed   start J, send nothing at all (RFC 4320 4.2)
                user gives up    Terminated
    Completed   request again    Completed   send the final response again
                timer J          Terminated  ENDED
"""

from __future__ import annotations

from typing import Final

from ringback.sip.message import SPENT, Request
from ringback.sip.timers import T1, T64, Send, Timer, Timers
from ringback.sip.transaction import ENDED, NOTHING, TIMER_J, TIMER_TRYING, TRYING_DUE, Transaction
from ringback.sip.transport import Flow

TRYING: Final = 1
PROCEEDING: Final = 2
COMPLETED: Final = 3
TERMINATED: Final = 4

#: RFC 4320 4.1: 100 is owed "after the amount of time it takes a client transaction's Timer E to be reset to T2", which
#: is T1 + 2*T1 + 4*T1, and must not be sent before over an unreliable transport.
TRYING_AFTER: Final = 7 * T1


class ServerRequest(Transaction):
    """One request other than INVITE and ACK that has come in; `flow` is where its responses go.

    `request` is let go of with the final response.
    """

    __slots__ = ("_last", "_timer", "request")

    def __init__(self, key: str, request: Request, flow: Flow) -> None:
        super().__init__(key, flow, TRYING)
        self.request: Request = request
        self._last: bytes = b""
        self._timer: Timer | None = None

    def start(self, now: float, timers: Timers) -> None:
        """The request is new: a 100 (Trying) is owed after 3.5 s."""
        self._timer = timers.start(now, TRYING_AFTER, self, TIMER_TRYING)

    def receive(self, request: Request, now: float, timers: Timers, sends: list[Send]) -> int:
        """The request again."""
        if self._last and self.state != TERMINATED:
            sends.append((self._last, self.flow, ""))
        return NOTHING

    def respond(self, status: int, data: bytes, now: float, timers: Timers, sends: list[Send]) -> bool:
        """A response from the user, encoded. False when the state does not allow it: it is then discarded."""
        if self.state >= COMPLETED:
            # "Any other final responses passed by the TU to the server transaction MUST be discarded".
            return False
        if status < 200 and (status > 100 or self._too_early(now)):
            # RFC 4320 4.1: "An SIP element MUST NOT send any provisional response with a Status-Code other than 100 to
            # a non-INVITE request."
            return False
        self._stop()
        if status < 200:
            self.state = PROCEEDING
        else:
            self.state = COMPLETED
            self.request = SPENT
            # "it MUST set Timer J to fire in 64*T1 seconds for unreliable transports, and zero seconds for reliable".
            timers.start(now, 0.0 if self.reliable else T64, self, TIMER_J)
            if status == 408:
                # RFC 4320 4.2: "A transaction-stateful SIP element MUST NOT send a response with Status-Code of 408 to
                # a non-INVITE request." The transaction stays to keep retransmissions from opening another.
                self._last = b""
                return False
        self._last = data
        sends.append((data, self.flow, ""))
        return True

    def _too_early(self, now: float) -> bool:
        """RFC 4320 4.1: no 100 "over any unreliable transport, such as UDP, before the amount of time it takes a client
        transaction's Timer E to be reset to T2"."""
        return not self.reliable and self._timer is not None and now < self._timer.at

    def give_up(self) -> None:
        """No response came in time.

        RFC 4320 4.2: "an element that cannot respond before the transaction expires will not send a final response at
        all."
        """
        self._stop()
        self.state = TERMINATED

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """The 3.5 s, and timer J."""
        if timer == TIMER_TRYING and self.state == TRYING:
            return TRYING_DUE
        if timer == TIMER_J and self.state == COMPLETED:
            self.state = TERMINATED
            return ENDED
        return NOTHING

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
