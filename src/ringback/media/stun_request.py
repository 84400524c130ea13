"""When a STUN request over UDP is sent again, and when it has failed (RFC 8489 section 6.2.1).

`RTO` doubles with each repetition; after the last, a wait of LAST_WAIT times the first one ends it. The section allows
other numbers than its Rc of 7 and Rm of 16, which make 39.5 s: here a request fails after 19.5 s.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ATTEMPTS", "LAST_WAIT", "RTO", "StunRequest"]

#: Seconds; "the RTO SHOULD be 500 ms" (RFC 8445 section 14.3: no less).
RTO: Final = 0.5
#: How often a request is sent.
ATTEMPTS: Final = 6
#: After the last time, in units of the first RTO.
LAST_WAIT: Final = 8


class StunRequest:
    """One request on its way.

    data, transaction   what is sent, and its 12 octets
    next                when something is to be done (seconds)
    sent                how often it has been sent
    failed              no answer has come in time
    """

    __slots__ = ("attempts", "data", "failed", "next", "rto", "sent", "transaction")

    def __init__(self, data: bytes, now: float, rto: float = RTO, attempts: int = ATTEMPTS) -> None:
        self.data: bytes = data
        self.transaction: bytes = data[8:20]
        self.rto: float = rto
        self.attempts: int = attempts
        self.next: float = now
        self.sent: int = 0
        self.failed: bool = False

    def due(self, now: float) -> bool:
        """Whether it is to be sent now; if so, it counts as sent. Sets `failed` when its time is over."""
        if self.failed or now < self.next:
            return False
        if self.sent >= self.attempts:
            self.failed = True
            return False
        wait = self.rto * 2**self.sent
        self.sent += 1
        if self.sent == self.attempts:
            wait = self.rto * LAST_WAIT
        self.next = now + wait
        return True

    def stop(self) -> None:
        """Send it no more; an answer is still awaited until its time is over (RFC 8445 section 7.3.1.4)."""
        self.attempts = min(self.attempts, self.sent)
