"""The non-INVITE client transaction (RFC 3261 17.1.2, figure 6).

    state       event             next        action
    ----------  ----------------  ----------  ------------------------------------------------
    Trying      timer E           Trying      send again, E = min(2*E, T2) (datagrams)
                1xx               Proceeding  up
    Proceeding  timer E           Proceeding  send again, E = T2
                1xx               Proceeding  up
    both        200-699           Completed   up, start K
                timer F           Terminated  TIMED_OUT
                transport failed  Terminated  up
    Completed   any response      Completed
                timer K           Terminated  ENDED
"""

from __future__ import annotations

from typing import Final

from ringback.sip.message import SPENT, Request, Response
from ringback.sip.timers import T1, T2, T4, T64, Send, Timer, Timers
from ringback.sip.transaction import ENDED, NOTHING, PASS_UP, TIMED_OUT, TIMER_E, TIMER_F, TIMER_K, Transaction
from ringback.sip.transport import Flow

TRYING: Final = 1
PROCEEDING: Final = 2
COMPLETED: Final = 3
TERMINATED: Final = 4


class ClientRequest(Transaction):
    """One request other than INVITE on its way to one next hop."""

    __slots__ = ("_data", "_interval", "_timer", "_timer_f", "request")

    def __init__(self, key: str, request: Request, flow: Flow) -> None:
        super().__init__(key, flow, TRYING)
        self.request: Request = request
        self._data: bytes = b""
        self._interval: float = T1
        self._timer: Timer | None = None
        self._timer_f: Timer | None = None

    def start(self, data: bytes, now: float, timers: Timers, sends: list[Send]) -> None:
        """Send the request for the first time; `data` is the request as encoded."""
        self._data = data
        sends.append((data, self.flow, self.key))
        if not self.reliable:
            # "If an unreliable transport is in use, the client transaction MUST set timer E to fire in T1 seconds."
            self._timer = timers.start(now, T1, self, TIMER_E)
        # "when entering this state, the client transaction SHOULD set timer F to fire in 64*T1 seconds."
        self._timer_f = timers.start(now, T64, self, TIMER_F)

    def receive(self, response: Response, now: float, timers: Timers, sends: list[Send]) -> int:
        """A response has come; PASS_UP when the user has to see it."""
        if self.state >= COMPLETED:
            # "Completed" exists to absorb retransmissions of the response.
            return NOTHING
        if response.status < 200:
            if self.state == TRYING:
                self.state = PROCEEDING
                # "If timer E fires while in the Proceeding state, … Timer E MUST be reset with a value of T2 seconds":
                # the timer that runs now is left to fire.
                self._interval = T2
            return PASS_UP
        self._stop()
        self.state = COMPLETED
        self._data = b""
        self.request = SPENT
        # "it MUST set Timer K to fire in T4 seconds for unreliable transports, and zero seconds for reliable".
        timers.start(now, 0.0 if self.reliable else T4, self, TIMER_K)
        return PASS_UP

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """Timers E, F and K."""
        if timer == TIMER_E and self.state < COMPLETED:
            sends.append((self._data, self.flow, self.key))
            self._interval = min(self._interval * 2.0, T2)
            self._timer = timers.start(now, self._interval, self, TIMER_E)
            return NOTHING
        if timer == TIMER_F and self.state < COMPLETED:
            self._stop()
            self.state = TERMINATED
            return TIMED_OUT
        if timer == TIMER_K and self.state == COMPLETED:
            self.state = TERMINATED
            return ENDED
        return NOTHING

    def failed(self) -> int:
        """The transport could not deliver (17.1.4): PASS_UP when the user has to know, and the transaction is over."""
        if self.state >= COMPLETED:
            return NOTHING
        self._stop()
        self.state = TERMINATED
        return PASS_UP

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timer_f is not None:
            self._timer_f.cancel()
            self._timer_f = None
