"""What the four transaction machines share: outcomes, timer numbers, and how messages find their transaction (17).

The machines are `client_invite`, `client_request`, `server_invite` and `server_request`. Each takes events by method
calls, appends to `sends` what has to go on the wire, and returns what the layer above has to know. None of them knows
who uses it: `user` is a slot that the stack fills and the machine never reads.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.message import Message, Request
from ringback.sip.timers import Timed
from ringback.sip.transport import STREAMS, Flow

# What a machine tells the layer above.
NOTHING: Final = 0
#: The message goes up to the transaction user.
PASS_UP: Final = 1
#: No final response came in time (timers B and F), or no ACK (timer H).
TIMED_OUT: Final = 2
#: The transaction has ended: forget it.
ENDED: Final = 3
#: A 100 (Trying) is due and nothing was sent yet.
TRYING_DUE: Final = 4

# Timers, as RFC 3261 table 4 and RFC 6026 name them.
TIMER_A: Final = 1
TIMER_B: Final = 2
TIMER_D: Final = 3
TIMER_E: Final = 4
TIMER_F: Final = 5
TIMER_G: Final = 6
TIMER_H: Final = 7
TIMER_I: Final = 8
TIMER_J: Final = 9
TIMER_K: Final = 10
TIMER_L: Final = 11
TIMER_M: Final = 12
#: The 200 ms (INVITE) or 3.5 s (others, RFC 4320) after which 100 (Trying) is owed.
TIMER_TRYING: Final = 13

#: 8.1.1.7: "The branch ID inserted by an element compliant with this specification MUST always begin with the
#: characters 'z9hG4bK'."
MAGIC_COOKIE: Final = "z9hG4bK"


class Transaction(Timed):
    """One transaction: its key in the stack's table, the flow that it sends on, and its state.

    flow      where requests (client) or responses (server) are sent
    reliable  whether that flow is a stream: then nothing is retransmitted
    user      what the layer above keeps with it
    """

    __slots__ = ("flow", "key", "reliable", "state", "user")

    def __init__(self, key: str, flow: Flow, state: int) -> None:
        self.key: str = key
        self.flow: Flow = flow
        self.reliable: bool = flow.transport in STREAMS
        self.state: int = state
        self.user: Timed | None = None


def server_key(request: Request) -> str:
    """Under which key a request's server transaction is filed (17.2.3).

    "1. the branch parameter in the request is equal to the one in the top Via header field of the request that created
    the transaction, and 2. the sent-by value in the top Via of the request is equal to the one in the request that
    created the transaction, and 3. the method of the request matches the one that created the transaction, except for
    ACK, where the method of the request that created the transaction is INVITE."
    """
    via = request.via
    method = request.method
    if method == "ACK":
        method = "INVITE"
    branch = via.branch
    if branch.startswith(MAGIC_COOKIE) and len(branch) > 7:
        # Host names are compared without regard to case (19.1.4).
        return f"{branch}|{via.sent_by.lower()}|{method}"
    return old_server_key(request, method, request.to_tag)


def old_server_key(request: Request, method: str, to_tag: str) -> str:
    """The key without the magic cookie, by the rules kept for RFC 2543 (17.2.3).

    "The INVITE request matches a transaction if the Request-URI, To tag, From tag, Call-ID, CSeq, and top Via header
    field match". `to_tag` is that of the request which opened the transaction: an ACK has the response's. Of the Via
    line only the first value counts: an ACK has just that one.
    """
    top = request.required("via")[: request.via.size].rstrip(" \t")
    return f"{request.uri}|{to_tag}|{request.from_tag}|{request.call_id}|{request.cseq.number}|{top}|{method}"


def client_key(branch: str, method: str) -> str:
    """Under which key a client transaction is filed (17.1.3): by "the same value of the branch parameter in the top Via
    header field" and because "the method parameter in the CSeq header field matches the method of the request"."""
    return f"{branch}|{method}"


def response_key(response: Message) -> str:
    """The key of the client transaction that a response belongs to. Raises ParseError for a Via or CSeq that cannot be
    read."""
    line = response.lines[response.names.index("via")]
    start = line.find(";branch=z9hG4bK")
    comma = line.find(",")
    if start > 0 and '"' not in line and (comma < 0 or start < comma):
        # As we wrote it: nothing else of our Via matters, for nobody else knows the branch.
        branch = line[start + 8 : comma] if comma > 0 else line[start + 8 :]
        branch = branch.partition(";")[0].strip(" \t\r\n")
    else:
        branch = response.via.branch
        if not branch:
            raise ParseError("a response without a branch in its topmost Via")
    words = response.lines[response.names.index("cseq")].split(" ")
    # As nearly everybody writes it: "CSeq: 1 INVITE", with a number that is certainly in range.
    if len(words) == 3 and words[2].isalpha() and words[1].isascii() and words[1].isdigit() and len(words[1]) < 10:
        return client_key(branch, words[2])
    return client_key(branch, response.cseq.method)
