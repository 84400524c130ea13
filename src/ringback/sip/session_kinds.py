"""What the parts of a session call by number or name: states, purposes of exchanges, alarms, and what they keep."""

from __future__ import annotations

from typing import Final

from ringback.sip.timers import T1
from ringback.sip.transaction import Transaction

# Directions.
OUTGOING: Final = "outgoing"
INCOMING: Final = "incoming"

# States (see `session`).
CALLING: Final = "calling"
OFFERED: Final = "offered"
EARLY: Final = "early"
ESTABLISHED: Final = "established"
ENDING: Final = "ending"
ENDED: Final = "ended"

# What the exchanges of a session are for.
P_INVITE: Final = 1
P_REINVITE: Final = 2
P_UPDATE: Final = 3
P_BYE: Final = 4
P_PRACK: Final = 5
P_ACK: Final = 6
P_REFER: Final = 7
P_OTHER: Final = 8

# Alarms.
#: Our 2xx is sent again, and given up.
RESEND: Final = 1
NO_ACK: Final = 2
#: The session timer.
REFRESH: Final = 3
EXPIRY: Final = 4
#: A change of ours is tried again.
RETRY: Final = 5
#: An offer of the peer was told and not answered.
ANSWER_DUE: Final = 6
#: Nobody has given a sign of life for long.
RING: Final = 7
#: A sign of life of ours is due.
EXTEND: Final = 8
#: A reliable provisional response is sent again, and given up.
RELIABLE: Final = 9
RELIABLE_OVER: Final = 10
#: The INVITE's Expires.
INVITE_EXPIRES: Final = 11
#: No NOTIFY has come in time for a REFER of ours.
WATCH: Final = 12


class Step:
    """One thing that has happened to a session: when (the clock of the stack), what, and why."""

    __slots__ = ("at", "reason", "what")

    def __init__(self, at: float, what: str, reason: str) -> None:
        self.at: float = at
        self.what: str = what
        self.reason: str = reason

    def __repr__(self) -> str:
        return f"{self.what}: {self.reason}" if self.reason else self.what


class Success:
    """A 2xx of ours that is sent again until its ACK comes, over streams too (13.3.1.4).

    offers  whether it holds an offer, so that the ACK has to hold the answer
    """

    __slots__ = ("cseq", "data", "interval", "offers", "server")

    def __init__(self, server: Transaction, data: bytes, cseq: int, offers: bool) -> None:
        self.server: Transaction = server
        self.data: bytes = data
        self.cseq: int = cseq
        self.offers: bool = offers
        self.interval: float = T1
