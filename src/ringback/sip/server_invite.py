"""The INVITE server transaction (RFC 3261 17.2.1, with RFC 6026 figure 7).

    state       event             next        action
    ----------  ----------------  ----------  ---------------------------------------------
    Proceeding  200 ms            Proceeding  TRYING_DUE, when nothing was sent yet
                INVITE again      Proceeding  send the last provisional response again
                1xx from user     Proceeding  send
                2xx from user     Accepted    send, start L
                300-699           Completed   send, start G (datagrams) and H
    Completed   INVITE again      Completed   send the final response again
                timer G           Completed   send again, G = min(2*G, T2)
                timer H           Terminated  TIMED_OUT
                ACK               Confirmed   start I
    Confirmed   INVITE or ACK     Confirmed
                timer I           Terminated  ENDED
    Accepted    INVITE again      Accepted
                2xx from user     Accepted    send
                ACK               Accepted    up
                timer L           Terminated  ENDED
"""

from __future__ import annotations

from typing import Final

from ringback.sip.message import SPENT, Request
from ringback.sip.parser import parse
from ringback.sip.timers import T1, T2, T4, T64, Send, Timer, Timers
from ringback.sip.transaction import (
    ENDED,
    NOTHING,
    PASS_UP,
    TIMED_OUT,
    TIMER_G,
    TIMER_H,
    TIMER_I,
    TIMER_L,
    TIMER_TRYING,
    TRYING_DUE,
    Transaction,
)
from ringback.sip.transport import Flow

PROCEEDING: Final = 1
COMPLETED: Final = 2
CONFIRMED: Final = 3
ACCEPTED: Final = 4
TERMINATED: Final = 5

#: 17.2.1: "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will generate a
#: provisional or final response within 200 ms".
TRYING_AFTER: Final = 0.2


class ServerInvite(Transaction):
    """One INVITE that has come in; `flow` is where its responses go. `request` is let go of with the final one."""

    __slots__ = ("_interval", "_last", "_timer", "_timer_h", "request")

    def __init__(self, key: str, request: Request, flow: Flow) -> None:
        super().__init__(key, flow, PROCEEDING)
        self.request: Request = request
        self._last: bytes = b""
        self._interval: float = T1
        self._timer: Timer | None = None
        self._timer_h: Timer | None = None

    def start(self, now: float, timers: Timers) -> None:
        """The INVITE is new: 100 (Trying) is owed in 200 ms."""
        self._timer = timers.start(now, TRYING_AFTER, self, TIMER_TRYING)

    def receive(self, request: Request, now: float, timers: Timers, sends: list[Send]) -> int:
        """The INVITE again, or its ACK; PASS_UP for an ACK that the user has to see."""
        state = self.state
        if request.method == "ACK":
            if state == COMPLETED:
                self._stop()
                self.state = CONFIRMED
                # "Timer I is set to fire in T4 seconds for unreliable transports, and zero seconds for reliable".
                timers.start(now, 0.0 if self.reliable else T4, self, TIMER_I)
                return NOTHING
            # RFC 6026 8.7: "If an ACK is received while the INVITE server transaction is in the 'Accepted' state, then
            # the ACK must be passed up to the TU."
            return PASS_UP if state == ACCEPTED else NOTHING
        if self._last and (state == PROCEEDING or state == COMPLETED):
            # "If a request retransmission is received while in the 'Proceeding' state, the most recent provisional
            # response that was received from the TU MUST be passed to the transport layer for retransmission."
            sends.append((self._last, self.flow, ""))
        return NOTHING

    def respond(self, status: int, data: bytes, now: float, timers: Timers, sends: list[Send]) -> bool:
        """A response from the user, encoded. False when the state does not allow it: it is then discarded."""
        if self.state == PROCEEDING:
            self._stop()
            if status < 200:
                self._last = data
            elif status < 300:
                # RFC 6026 8.5: "It is not retransmitted by the server transaction; retransmissions of 2xx responses are
                # handled by the TU. The server transaction MUST then transition to the 'Accepted' state."
                self.state = ACCEPTED
                self._last = b""
                self.request = SPENT
                timers.start(now, T64, self, TIMER_L)
            else:
                self.state = COMPLETED
                self._last = data
                self.request = SPENT
                if not self.reliable:
                    self._timer = timers.start(now, T1, self, TIMER_G)
                self._timer_h = timers.start(now, T64, self, TIMER_H)
        elif self.state != ACCEPTED or not 200 <= status < 300:
            return False
        sends.append((data, self.flow, ""))
        return True

    def answers_with(self, to_tag: str) -> bool:
        """Whether an ACK with this To tag can be the one to the final response that was sent (17.2.3).

        Only asked of RFC 2543 clients: "the To tag of the ACK matches the To tag of the response sent by the server
        transaction".
        """
        if self.state != COMPLETED and self.state != CONFIRMED:
            return True
        return parse(self._last).to_tag == to_tag

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """The 200 ms, and timers G, H, I and L."""
        state = self.state
        if timer == TIMER_TRYING:
            return TRYING_DUE if state == PROCEEDING and not self._last else NOTHING
        if timer == TIMER_G and state == COMPLETED:
            sends.append((self._last, self.flow, ""))
            self._interval = min(self._interval * 2.0, T2)
            self._timer = timers.start(now, self._interval, self, TIMER_G)
            return NOTHING
        if timer == TIMER_H and state == COMPLETED:
            self._stop()
            self.state = TERMINATED
            return TIMED_OUT
        if (timer == TIMER_I and state == CONFIRMED) or (timer == TIMER_L and state == ACCEPTED):
            self.state = TERMINATED
            return ENDED
        return NOTHING

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timer_h is not None:
            self._timer_h.cancel()
            self._timer_h = None
