"""Reliable provisional responses (RFC 3262): the callee's sender, and what the caller has to know to acknowledge.

The callee sends one at a time: "The UAS MUST NOT send a second reliable provisional response until the first is
acknowledged" (section 3), and more than one afterwards only makes sense to who cannot wait. What comes meanwhile waits.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import short_number
from ringback.sip.message import Message, Response
from ringback.sip.timers import T1

#: Reliable responses that may wait for others.
MOST_WAITING: Final = 16


class RAck:
    """The value of a RAck header (7.2): the RSeq, CSeq number and method of what a PRACK acknowledges."""

    __slots__ = ("cseq", "method", "rseq")

    def __init__(self, rseq: int, cseq: int, method: str) -> None:
        self.rseq: int = rseq
        self.cseq: int = cseq
        self.method: str = method

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def read_rack(message: Message) -> RAck:
    """The RAck of a PRACK. Raises ParseError."""
    words = message.required("rack").split()
    if len(words) != 3 or short_number(words[0]) < 0 or short_number(words[1]) < 0:
        raise ParseError("RAck is a number, a CSeq number and a method")
    return RAck(short_number(words[0]), short_number(words[1]), words[2])


def rseq_of(response: Response) -> int:
    """The RSeq of a provisional response that is sent reliably; 0 for any other.

    Section 4: "if a provisional response is received for an initial request, and that response contains a Require
    header field containing the option tag 100rel, the response is to be sent reliably", unless it is a 100.
    """
    if not 100 < response.status < 200 or "100rel" not in response.tokens("require"):
        return 0
    return max(0, short_number(response.header("rseq") or ""))


class Waiting:
    """A reliable response that is to be sent: what is not the same for all."""

    __slots__ = ("body", "reason", "status")

    def __init__(self, status: int, reason: str, body: bytes) -> None:
        self.status: int = status
        self.reason: str = reason
        self.body: bytes = body


class ReliableSender:
    """The callee's reliable provisional responses to one INVITE.

    cseq       the CSeq number of the INVITE
    rseq       the number of the last response that was sent, 0 before the first
    current    the one that is not acknowledged, encoded; b"" when there is none
    described  whether that one holds a session description: then the 2xx has to wait for its PRACK
    waiting    what is sent afterwards
    """

    __slots__ = ("_first", "_interval", "cseq", "current", "described", "rseq", "waiting")

    def __init__(self, cseq: int, first: int) -> None:
        self.cseq: int = cseq
        self.rseq: int = 0
        self._first: int = first
        self.current: bytes = b""
        self.described: bool = False
        self.waiting: list[Waiting] = []
        self._interval: float = T1

    def next_rseq(self) -> int:
        """The number for the next response: the first "MUST be between 1 and 2**31 - 1", each other "greater by exactly
        one" (section 3)."""
        return self.rseq + 1 if self.rseq else max(1, self._first % (2**31 - 1))

    def sent(self, rseq: int, data: bytes, described: bool) -> float:
        """A response was sent for the first time; the seconds until it is sent again."""
        self.rseq = rseq
        self.current = data
        self.described = described
        self._interval = T1
        return T1

    def again(self) -> float:
        """The response is sent again; the seconds until the next time.

        "with an interval that starts at T1 seconds and doubles for each retransmission". It has no cap, because
        "retransmissions of PRACK take place independently of reception of 1xx".
        """
        self._interval *= 2.0
        return self._interval

    def acknowledged(self, rack: RAck) -> bool:
        """Whether a PRACK matches what is not acknowledged; then nothing is any more."""
        if not self.current or rack.method != "INVITE" or rack.cseq != self.cseq or rack.rseq != self.rseq:
            return False
        self.current = b""
        self.described = False
        return True

    def stop(self) -> None:
        """A final response was sent: the UAS "SHOULD NOT continue to retransmit the unacknowledged reliable provisional
        responses"."""
        self.current = b""
        self.described = False
        self.waiting = []
