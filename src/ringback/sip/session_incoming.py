"""Being called: the callee's INVITE until it is answered (RFC 3261 13.3, RFC 3262).

state     event                               next         action
--------  ----------------------------------  -----------  ---------------------------------------------------
offered   ring                                early        1xx, reliably where both sides want that
offered,  accept                              established  200, again until its ACK comes
early     accept, a described reliable 1xx    same         the 200 waits for the PRACK (RFC 3262 section 3)
          waits for its PRACK
          reject, redirect, hang_up           ended        3xx to 6xx
          CANCEL                              ended        (the stack has sent 487)
          BYE                                 ended        200, and 487 to the INVITE
          no PRACK in 64*T1                   ended        504
          the INVITE's Expires                ended        487
          every minute                        same         the last 1xx again (13.3.1.1)
          PRACK                               same         200; the next reliable response, or the 200
"""

from __future__ import annotations

from typing import Final

from ringback.errors import LocalError
from ringback.sip.cause import LOCAL, REMOTE, TIMER, Cause, cause_of_request
from ringback.sip.description import description_of
from ringback.sip.dialog import Dialog, dialog_from_request
from ringback.sip.grammar import short_number
from ringback.sip.message import Headers, Request, response_to
from ringback.sip.offer_answer import REMOTE as REMOTE_OFFER
from ringback.sip.privacy import identity_headers
from ringback.sip.profile import RELIABLE_NONE, RELIABLE_REQUIRED, Profile
from ringback.sip.reliable import MOST_WAITING, ReliableSender, Waiting, read_rack
from ringback.sip.session import Session
from ringback.sip.session_events import ANSWER, DescriptionReceived, Established
from ringback.sip.session_kinds import (
    EARLY,
    ESTABLISHED,
    EXTEND,
    INCOMING,
    INVITE_EXPIRES,
    OFFERED,
    RELIABLE,
    RELIABLE_OVER,
)
from ringback.sip.session_requests import abilities, contact_for
from ringback.sip.status import reason_phrase
from ringback.sip.timers import T64
from ringback.sip.transaction import Transaction
from ringback.sip.transaction_user import TransactionUser
from ringback.sip.transport import Flow

#: 13.3.1.1: "the UAS … MUST send a non-100 provisional response at every minute, to handle the possibility of lost
#: provisional responses".
EXTEND_AFTER: Final = 60.0
#: The longest Expires of an INVITE that a timer is kept for.
LONGEST_EXPIRES: Final = 7200


class IncomingSession(Session):
    """A call to us.

    server  the transaction of the INVITE
    flow    where it came from
    """

    __slots__ = ("_accepting", "_last", "_reliable", "_sender", "flow", "server")

    def __init__(
        self, tu: TransactionUser, profile: Profile, server: Transaction, request: Request, flow: Flow
    ) -> None:
        tag = tu.new_tag()
        dialog = dialog_from_request(request, tag)
        super().__init__(tu, profile, INCOMING, OFFERED, request, tag)
        self.server: Transaction = server
        self.flow: Flow = flow
        #: The description with which the call is to be accepted, once the PRACK has come that the 200 waits for.
        self._accepting: bytes | None = None
        self._last: Waiting | None = None
        tags = request.tokens("supported") + request.tokens("require")
        #: Whether provisional responses may be reliable.
        self._reliable: bool = "100rel" in tags and profile.reliable != RELIABLE_NONE
        self._sender: ReliableSender = ReliableSender(request.cseq.number, int(tu.token()[:7], 16) + 1)
        dialog.by_flow = profile.flow is not None and profile.flow.key() == flow.key()
        self.dialog = dialog
        self.file(dialog)
        self.learn(request)
        body = description_of(request)
        if body:
            self.negotiation.offered(body)
        server.user = self

    def begin(self, now: float) -> None:
        """It has been checked, and the user is told."""
        self.tu.sessions[self] = None
        self.note(now, "offered", self.request.uri)
        seconds = short_number(self.request.header("expires") or "")
        if 0 < seconds <= LONGEST_EXPIRES:
            # 13.3.1: "If the request is an INVITE that contains an Expires header field, the UAS core sets a timer for
            # the number of seconds indicated in the header field value."
            self.timers.set(INVITE_EXPIRES, float(seconds), now, self.tu.layer.timers)

    @property
    def waits(self) -> bool:
        """Whether the INVITE has no final response."""
        return self.state == OFFERED or self.state == EARLY

    # commands --------------------------------------------------------------------------------------------------------

    def ring(self, now: float, status: int = 180, body: bytes = b"", reliable: bool | None = None) -> None:
        """Answer provisionally. `reliable` None: when both sides want it (RFC 3262); True insists where it may be.

        Raises LocalError for a status that is not provisional; does nothing when the call was answered or is over.
        """
        if not 101 <= status <= 199:
            raise LocalError(f"not a provisional status: {status}")
        if not self.waits or self._accepting is not None:
            return
        self.state = EARLY
        self.note(now, "progress", f"{status} {reason_phrase(status)}")
        waiting = Waiting(status, "", body)
        self._last = waiting
        self.timers.set(EXTEND, EXTEND_AFTER, now, self.tu.layer.timers)
        if self._sends_reliably(body, reliable):
            if self._sender.current:
                if len(self._sender.waiting) < MOST_WAITING:
                    self._sender.waiting.append(waiting)
                return
            self._send_reliable(waiting, now)
            return
        response = response_to(self.request, status, "", self.tag, self._headers(body), body)
        self.tu.send_response(self.server, response, now)

    def _sends_reliably(self, body: bytes, asked: bool | None) -> bool:
        if not self._reliable:
            return False
        must = "100rel" in self.request.tokens("require") or self.profile.reliable == RELIABLE_REQUIRED
        if must:
            return True
        if asked is False:
            return False
        # RFC 3262 section 5: "if a reliable provisional response is the first reliable message sent back to the UAC,
        # and the INVITE did not contain an offer, one MUST appear in that reliable provisional response".
        return bool(body) or self.negotiation.complete or self.negotiation.state == REMOTE_OFFER

    def _headers(self, body: bytes) -> Headers:
        secure = self.dialog is not None and self.dialog.secure
        headers: Headers = [("Contact", contact_for(self.profile.contact, secure))]
        headers += identity_headers(self.profile)
        if self.profile.info_packages:
            headers.append(("Recv-Info", ", ".join(self.profile.info_packages)))
        return headers + abilities(self.tu, self.profile, body)

    def _send_reliable(self, waiting: Waiting, now: float) -> None:
        sender = self._sender
        rseq = sender.next_rseq()
        body = waiting.body
        described = bool(body)
        if body:
            if self.negotiation.state == REMOTE_OFFER:
                self.negotiation.answer(body)
            elif not self.negotiation.complete:
                self.negotiation.offer(body)
            else:
                # RFC 6337 section 2.2: no further offer in a reliable response, and it needs no second answer.
                body = b""
                described = False
        headers = [*self._headers(body), ("Require", "100rel"), ("RSeq", str(rseq))]
        response = response_to(self.request, waiting.status, waiting.reason, self.tag, headers, body)
        data = response.encode()
        self.tu.layer.respond(self.server, waiting.status, data, now)
        timers = self.tu.layer.timers
        self.timers.set(RELIABLE, sender.sent(rseq, data, described), now, timers)
        self.timers.set(RELIABLE_OVER, T64, now, timers)

    def accept(self, now: float, body: bytes = b"") -> None:
        """Answer the call. `body` is the answer to the offer of the INVITE, or our offer when it has none.

        Once an answer was given in a provisional response nothing is needed: what was said there counts. Does nothing
        when the call was answered or is over meanwhile. Raises LocalError without a description where one is needed.
        """
        if not self.waits or self._accepting is not None:
            return
        if not self.negotiation.complete and not body and not self._sender.described:
            body = self._last.body if self._last is not None else b""
            if not body:
                raise LocalError("to accept a call a description is needed")
        if self._sender.current and self._sender.described:
            # RFC 3262 section 3: "unless the final response is 2xx and any of the unacknowledged reliable provisional
            # responses contained a session description. In that case, it MUST NOT send a final response until those
            # provisional responses are acknowledged."
            self._accepting = body
            return
        self._accept(body, now)

    def _accept(self, body: bytes, now: float) -> None:
        negotiation = self.negotiation
        offers = False
        if negotiation.state == REMOTE_OFFER and not negotiation.complete:
            negotiation.answer(body)
        elif not negotiation.complete:
            offers = True
            negotiation.offer(body)
        else:
            body = b""
        headers = self._headers(body)
        headers += self.timer.accept(self.request, self.profile)
        if not self.succeed(self.server, self.request, headers, body, offers, now):
            return
        self._settle()
        self.state = ESTABLISHED
        if self.dialog is not None:
            self.dialog.early = False
        self.arm(now)
        self.note(now, "established", "accepted")
        self.tu.tell(Established(self))
        replaced = self.replaces
        if replaced is not None:
            # RFC 3891 section 3: "it accepts the new INVITE by sending a 200-class response, and shuts down the
            # replaced dialog by sending a BYE", or a CANCEL for one of ours that rings.
            replaced.note(now, "replaced", self.call_id)
            replaced.hang_up(now, Cause(0, "replaced", REMOTE))
        self.changes.go_on(self, now)

    def reject(self, now: float, status: int = 486, reason: str = "", headers: Headers | None = None) -> None:
        """Refuse the call. Raises LocalError for a status that is no refusal; does nothing when it is answered."""
        if not 300 <= status <= 699:
            raise LocalError(f"not a status to refuse with: {status}")
        if not self.waits:
            return
        self._refuse(status, reason, headers or [], now)
        self.over(Cause(status, reason or reason_phrase(status), LOCAL), now)
        self.close_if_done(now)

    def _refuse(self, status: int, reason: str, headers: Headers, now: float) -> None:
        self._settle()
        self.tu.respond(self.server, self.request, status, self.tag, now, reason, headers)

    def _settle(self) -> None:
        """The INVITE has its final response."""
        self._sender.stop()
        for kind in (RELIABLE, RELIABLE_OVER, EXTEND, INVITE_EXPIRES):
            self.timers.clear(kind)

    def part(self, state: str, cause: Cause, now: float) -> None:
        """Before the answer: a refusal."""
        if state == ESTABLISHED:
            super().part(state, cause, now)
            return
        status = cause.status if 300 <= cause.status <= 699 else 480
        self._refuse(status, "", [], now)

    def may_update(self) -> bool:
        """RFC 3311 5.1: once we have "generated an answer in a reliable provisional response, [and have] received a
        PRACK for that reliable provisional response"."""
        return super().may_update() and not (self._sender.current and self._sender.described)

    # requests of the peer --------------------------------------------------------------------------------------------

    def pracked(self, server: Transaction, request: Request, now: float) -> None:
        """A PRACK (RFC 3262 section 3)."""
        if not self._sender.acknowledged(read_rack(request)):
            # "If a PRACK request is received by the UA core that does not match any unacknowledged reliable provisional
            # response, the UAS MUST respond to the PRACK with a 481 response."
            self.tu.respond(server, request, 481, "", now)
            return
        self.timers.clear(RELIABLE)
        self.timers.clear(RELIABLE_OVER)
        body = description_of(request)
        dialog = self.dialog
        if body and dialog is not None and self.negotiation.answered(body):
            self.tu.respond(server, request, 200, "", now)
            self.tu.tell(DescriptionReceived(self, body, ANSWER, True, dialog))
        elif body and dialog is not None:
            self.changes.ask_request(self, server, request, dialog, body, now)
        else:
            self.tu.respond(server, request, 200, "", now)
        if self._sender.waiting:
            self._send_reliable(self._sender.waiting.pop(0), now)
        elif self._accepting is not None:
            accepting = self._accepting
            self._accepting = None
            self._accept(accepting, now)

    def cancelled(self, server: Transaction, reasons: list[str], now: float) -> None:
        """A CANCEL: the stack has sent 487."""
        if server is self.server and self.waits:
            self._settle()
            cause = cause_of_request(reasons, REMOTE)
            if not cause.status:
                cause = Cause(487, cause.reason or reason_phrase(487), REMOTE)
            self.over(cause, now)
            self.close_if_done(now)
            return
        super().cancelled(server, reasons, now)

    def bye_received(self, server: Transaction, request: Request, dialog: Dialog, now: float) -> None:
        """ "The caller's UA MAY send a BYE for either confirmed or early dialogs" (15): the INVITE gets 487."""
        if self.waits:
            self._refuse(487, "", [], now)
        super().bye_received(server, request, dialog, now)

    # time ------------------------------------------------------------------------------------------------------------

    def fired(self, kind: int, now: float) -> None:
        """An alarm has gone off."""
        timers = self.tu.layer.timers
        if kind == RELIABLE and self._sender.current:
            self.tu.layer.respond(self.server, 180, self._sender.current, now)
            self.timers.set(RELIABLE, self._sender.again(), now, timers)
        elif kind == RELIABLE_OVER:
            # "the UAS SHOULD reject the original request with a 5xx response."
            self.leave(Cause(504, "no PRACK", TIMER), now)
        elif kind == EXTEND and self.waits:
            last = self._last
            if last is not None and self._accepting is None:
                self.ring(now, last.status, last.body if not self.negotiation.complete else b"")
        elif kind == INVITE_EXPIRES and self.waits:
            # "If the invitation expires before the UAS has generated a final response, a 487 (Request Terminated)
            # response SHOULD be generated."
            self.leave(Cause(487, "the invitation has expired", TIMER), now)
        else:
            super().fired(kind, now)
