"""Who has offered and who has to answer: the offer/answer exchange of one dialog (RFC 3261 13.2.1, RFC 3264, RFC 6337).

    state    event             next
    -------  ----------------  ---------------------------------------
    Idle     we offer          Local
             the peer offers   Remote
    Local    the peer answers  Idle, complete
             refused           Idle
    Remote   we answer         Idle, complete
             we refuse         Idle

RFC 3264 section 4: an agent "MUST NOT generate a new offer if it has received an offer which it has not yet answered or
rejected", nor "if it has generated a prior offer for which it has not yet received an answer or a rejection". All that
is out of turn, and the methods say so by False.
"""

from __future__ import annotations

from typing import Final

IDLE: Final = "idle"
LOCAL: Final = "local"
REMOTE: Final = "remote"


class OfferAnswer:
    """The state of one dialog.

    state     "idle", "local" (ours is unanswered) or "remote" (theirs is)
    complete  whether a first offer has been answered
    local     our description that is in force, b"" before there is one
    remote    theirs
    pending   the offer that is unanswered, b"" when there is none
    """

    __slots__ = ("complete", "local", "pending", "remote", "state")

    def __init__(self) -> None:
        self.state: str = IDLE
        self.complete: bool = False
        self.local: bytes = b""
        self.remote: bytes = b""
        self.pending: bytes = b""

    def offer(self, body: bytes) -> bool:
        """We offer."""
        return self._open(LOCAL, body)

    def offered(self, body: bytes) -> bool:
        """The peer offers."""
        return self._open(REMOTE, body)

    def _open(self, state: str, body: bytes) -> bool:
        if self.state != IDLE:
            return False
        self.state = state
        self.pending = body
        return True

    def answer(self, body: bytes) -> bool:
        """We answer what the peer has offered."""
        if self.state != REMOTE:
            return False
        self._settle(body, self.pending)
        return True

    def answered(self, body: bytes) -> bool:
        """The peer answers what we have offered."""
        if self.state != LOCAL:
            return False
        self._settle(self.pending, body)
        return True

    def refused(self) -> None:
        """The offer that is unanswered came to nothing: all is as it was before."""
        self.state = IDLE
        self.pending = b""

    def _settle(self, local: bytes, remote: bytes) -> None:
        self.state = IDLE
        self.complete = True
        self.local = local
        self.remote = remote
        self.pending = b""

    def copy(self) -> OfferAnswer:
        """The same state for another dialog: after forking, each callee answers the same offer."""
        other = OfferAnswer()
        other.state = self.state
        other.complete = self.complete
        other.local = self.local
        other.remote = self.remote
        other.pending = self.pending
        return other
