"""Offers within a session (RFC 3261 section 14, RFC 3311, RFC 4028): those of ours, and those of the peer.

One change of ours is under way at a time, a re-INVITE or an UPDATE; one offer of the peer waits for its answer at a
time, the question.

    change     event                           next       action
    ---------  ------------------------------  ---------  --------------------------------------------------
    none       offer, refresh                  waiting
    waiting    nothing else is going on        sent       send
    sent       2xx                             none       ACK (re-INVITE), `Changed`
               491                             waiting    after 2.1 to 4 s (owner of the Call-ID), or 0 to 2 s (14.1)
               500 with Retry-After            waiting    after so long (14.2, RFC 3311 5.2)
               422 with a larger Min-SE        waiting    at once, asking for more (RFC 4028 7.3)
               405, 501 to UPDATE              waiting    at once, as a re-INVITE
               481, 408, no response           none       the session ends
               any other failure               none       `Changed`: all is as it was

    question   event                           next       action
    ---------  ------------------------------  ---------  --------------------------------------------------
    none       re-INVITE, ours is sent         none       491
               re-INVITE, our 2xx with an      none       491
               offer waits for its ACK
               offer in re-INVITE or UPDATE    asked      `Reoffered`; answered at once when nothing has changed
               2xx or reliable 1xx with offer  asked      `DescriptionReceived`
    asked      answer                          none       2xx, ACK or PRACK with the answer
               refuse                          none       488, or the end where that is not possible
               re-INVITE, UPDATE               asked      500 with Retry-After
               CANCEL                          none       (487 was sent)
               nothing for a while             none       504
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ringback.errors import LocalError
from ringback.sip.cause import LOCAL, NETWORK, REMOTE, Cause, retry_after
from ringback.sip.description import description_of
from ringback.sip.dialog import Dialog
from ringback.sip.exchange import Exchange
from ringback.sip.message import Headers, Request, Response, response_to
from ringback.sip.offer_answer import IDLE, OfferAnswer
from ringback.sip.offer_answer import LOCAL as LOCAL_OFFER
from ringback.sip.session_events import OFFER, Changed, DescriptionReceived, Reoffered
from ringback.sip.session_kinds import (
    ANSWER_DUE,
    CALLING,
    EARLY,
    ESTABLISHED,
    EXPIRY,
    OFFERED,
    OUTGOING,
    P_PRACK,
    P_REINVITE,
    P_UPDATE,
    REFRESH,
    RETRY,
)
from ringback.sip.session_requests import abilities, add_body, contact_for
from ringback.sip.status import reason_phrase, warning
from ringback.sip.transaction import Transaction

if TYPE_CHECKING:
    from ringback.sip.session import Session

# Where the answer to a question goes.
ASK_REINVITE: Final = 1
#: An UPDATE or a PRACK.
ASK_REQUEST: Final = 2
ASK_ACK: Final = 3
ASK_PRACK: Final = 4

#: Times that a change is tried again by itself.
MOST_TRIES: Final = 6
#: Seconds that an offer may wait for its answer: the peer gives up his request after 32.
ANSWER_WITHIN: Final = 20.0
#: The longest Retry-After that is waited for: 14.2 names "between 0 and 10 seconds".
LONGEST_RETRY: Final = 10


class Change:
    """A change of ours: its description (b"": the peer offers, or it is only a refresh), and how far it has come."""

    __slots__ = ("body", "exchange", "headers", "method", "negotiation", "silent", "tries")

    def __init__(self, method: str, body: bytes, headers: Headers, silent: bool) -> None:
        self.method: str = method
        self.body: bytes = body
        self.headers: Headers = headers
        #: Only a refresh: nobody has asked for it, nobody is told.
        self.silent: bool = silent
        self.exchange: Exchange | None = None
        #: The offers and answers of the dialog that it was sent in.
        self.negotiation: OfferAnswer = OfferAnswer()
        self.tries: int = 0


class Question:
    """An offer that the user has to answer, or a re-INVITE for which he has to offer."""

    __slots__ = ("change", "dialog", "kind", "negotiation", "offered", "rack", "request", "sent", "server")

    def __init__(self, kind: int, dialog: Dialog, negotiation: OfferAnswer, offered: bool) -> None:
        self.kind: int = kind
        self.dialog: Dialog = dialog
        self.negotiation: OfferAnswer = negotiation
        #: Whether the peer has offered; else we do.
        self.offered: bool = offered
        self.server: Transaction | None = None
        self.request: Request | None = None
        #: The INVITE of ours whose 2xx holds the offer.
        self.sent: Exchange | None = None
        self.rack: str = ""
        #: The change of ours that it belongs to.
        self.change: Change | None = None


class Changes:
    """The offers within one session."""

    __slots__ = ("following", "own", "question")

    def __init__(self) -> None:
        self.own: Change | None = None
        #: What was asked for while a refresh was under way.
        self.following: Change | None = None
        self.question: Question | None = None

    # ours ------------------------------------------------------------------------------------------------------------

    def offer(self, session: Session, body: bytes, headers: Headers, now: float) -> None:
        """See `Session.offer`."""
        own = self.own
        if self.following is not None or (own is not None and not own.silent):
            raise LocalError("an offer of ours is unanswered")
        method = "INVITE"
        if session.state == EARLY or session.state == OFFERED or session.state == CALLING:
            if not body or not session.may_update():
                # RFC 3311 5.1: only after the first offer was answered reliably.
                raise LocalError("before the call is answered only a peer that takes UPDATE can be offered a change")
            method = "UPDATE"
        elif session.state != ESTABLISHED:
            raise LocalError("the session is over")
        session.note(now, "offer", method)
        change = Change(method, body, headers, False)
        if own is not None and own.exchange is not None:
            # A refresh is under way: this comes after it.
            self.following = change
            return
        self.own = change
        session.timers.clear(RETRY)
        self.go_on(session, now)

    def refresh(self, session: Session, now: float) -> None:
        """Half of the session interval is over, and we are the refresher (RFC 4028 section 10)."""
        if self.own is not None or session.is_over:
            # Any change refreshes the session.
            return
        if "UPDATE" in session.allow:
            # 7.4: "If a UAC knows that its peer supports the UPDATE method, it is RECOMMENDED that UPDATE be used
            # instead of a re-INVITE. … It is RECOMMENDED that the UPDATE request not contain an offer".
            self.own = Change("UPDATE", b"", [], True)
        else:
            # "a re-INVITE SHOULD contain one, even if the details of the session have not changed."
            self.own = Change("INVITE", session.negotiation.local, [], True)
        session.note(now, "refresh", self.own.method)
        self.go_on(session, now)

    def go_on(self, session: Session, now: float) -> None:
        """Send the change that waits, when nothing stands in its way."""
        own = self.own
        if own is None or own.exchange is not None or session.timers.runs(RETRY) or session.is_over:
            return
        dialog = session.dialog
        negotiation = session.negotiation
        if dialog is None or self.question is not None or negotiation.state != IDLE:
            return
        purpose = P_UPDATE
        if own.method == "INVITE":
            # 14.1: "a UAC MUST NOT initiate a new INVITE transaction within a dialog while another INVITE transaction
            # is in progress in either direction", and one of the peer's is until its ACK has come.
            if session.state != ESTABLISHED or session.success is not None:
                return
            purpose = P_REINVITE
        own.negotiation = negotiation
        if own.body:
            negotiation.offer(own.body)
        headers = session.timer.ask(session.profile, False) + own.headers
        exchange = session.exchange(own.method, dialog, purpose, now, headers, own.body)
        own.exchange = exchange
        if purpose == P_REINVITE:
            session.open[exchange] = None

    def answered(
        self, session: Session, exchange: Exchange, response: Response | None, status: int, now: float
    ) -> None:
        """A response has come to a re-INVITE or UPDATE of ours."""
        own = self.own
        mine = own is not None and own.exchange is exchange
        if status < 200:
            return
        if response is None or status >= 300:
            if own is not None and mine:
                self._failed(session, own, response, status, now)
            return
        if exchange.purpose == P_REINVITE:
            ack = exchange.acks.get(response.to_tag)
            dialog = exchange.dialog
            if ack is not None:
                # 13.2.2.4: there is an ACK "for each 2xx received from the transaction layer", always the same.
                ack.send_again()
            elif own is not None and mine:
                self._accepted(session, own, exchange, response, now)
            elif session.is_over and dialog is not None:
                # The session has ended while this was under way; the 2xx would be sent again without an ACK.
                session.acknowledge(exchange, dialog, b"", now)
        elif own is not None and mine:
            self._accepted(session, own, exchange, response, now)

    def _accepted(self, session: Session, own: Change, exchange: Exchange, response: Response, now: float) -> None:
        dialog = exchange.dialog
        if dialog is None:
            return
        session.refreshed(dialog, response, now)
        body = description_of(response)
        negotiation = own.negotiation
        before = negotiation.remote
        self._over(own)
        if own.method == "INVITE" and not own.body:
            if body and negotiation.offered(body):
                self.ask_ack(session, exchange, dialog, negotiation, own, now)
                session.tu.tell(DescriptionReceived(session, body, OFFER, False, dialog))
                return
        elif own.body:
            if body:
                negotiation.answered(body)
            else:
                # The peer has agreed to nothing that we could see.
                negotiation.refused()
        if own.method == "INVITE":
            session.acknowledge(exchange, dialog, b"", now)
        session.note(now, "refreshed" if own.silent else "changed", own.method)
        if not own.silent or (body and body != before):
            session.tu.tell(Changed(session, response.status, body))
        self.go_on(session, now)

    def _over(self, own: Change) -> None:
        """A change has come to its end."""
        if self.own is own:
            self.own = self.following
            self.following = None

    def _failed(self, session: Session, own: Change, response: Response | None, status: int, now: float) -> None:
        exchange = own.exchange
        own.exchange = None
        if exchange is not None and exchange.request.body:
            # 14.1: "If a UA receives a non-2xx final response to a re-INVITE, the session parameters MUST remain
            # unchanged, as if no re-INVITE had been issued."
            own.negotiation.refused()
        wait = -1.0 if response is None else self._wait(session, own, response)
        if wait >= 0.0 and own.tries < MOST_TRIES:
            own.tries += 1
            session.note(now, "again", f"{status} to {own.method}, in {wait:.2f} s")
            if wait > 0.0:
                session.timers.set(RETRY, wait, now, session.tu.layer.timers)
            self.go_on(session, now)
            return
        self._over(own)
        reason = response.reason if response is not None else reason_phrase(status)
        session.note(now, "unchanged", f"{status} to {own.method}")
        if not own.silent:
            session.tu.tell(Changed(session, status, b"", reason))
        if status == 481 or status == 408:
            # "if the non-2xx final response is a 481 (Call/Transaction Does Not Exist), or a 408 (Request Timeout), or
            # no response at all is received for the re-INVITE …, the UAC will terminate the dialog."
            session.leave(Cause(status, reason, NETWORK if response is None else REMOTE), now)
            return
        if session.timer.refreshes and session.timers.runs(EXPIRY) and not session.timers.runs(REFRESH):
            # RFC 4028 section 10: "the UAC SHOULD NOT continuously retry the request if the server indicates the same
            # error response": once or twice more before the session expires.
            session.timers.set(REFRESH, session.timer.interval / 5, now, session.tu.layer.timers)
        self.go_on(session, now)

    def _wait(self, session: Session, own: Change, response: Response) -> float:
        """Seconds after which a change that was refused is tried again; below 0: it is not."""
        status = response.status
        tu = session.tu
        if status == 491:
            # "1. If the UAC is the owner of the Call-ID of the dialog ID (meaning it generated the value), T has a
            # randomly chosen value between 2.1 and 4 seconds …. 2. If the UAC is not the owner of the Call-ID …, T has
            # a randomly chosen value of between 0 and 2 seconds".
            return 2.1 + tu.random(1.9) if session.direction == OUTGOING else tu.random(2.0)
        if status == 500 and "retry-after" in response.names:
            seconds = retry_after(response)
            return float(seconds) if seconds <= LONGEST_RETRY else -1.0
        if status == 422:
            return 0.0 if session.timer.too_small(response) else -1.0
        if own.method == "UPDATE" and (status == 405 or status == 501) and session.state == ESTABLISHED:
            session.allow = session.allow - {"UPDATE"}
            own.method = "INVITE"
            if own.silent:
                own.body = session.negotiation.local
            return 0.0
        return -1.0

    # the peer's ------------------------------------------------------------------------------------------------------

    def reinvited(self, session: Session, server: Transaction, request: Request, now: float) -> None:
        """A re-INVITE has come (14.2). Raises ParseError."""
        own = self.own
        question = self.question
        negotiation = session.negotiation
        dialog = session.dialog
        if dialog is None:
            session.tu.respond(server, request, 481, "", now)
            return
        busy = own is not None and own.exchange is not None and own.method == "INVITE"
        if session.state != ESTABLISHED:
            busy = busy or session.direction == OUTGOING
            question_pends = not busy
        else:
            busy = busy or (question is not None and question.kind == ASK_ACK) or negotiation.state == LOCAL_OFFER
            question_pends = question is not None
        if busy:
            # "A UAS that receives an INVITE on a dialog while an INVITE it had sent on that dialog is in progress MUST
            # return a 491 (Request Pending) response to the received INVITE."
            session.tu.respond(server, request, 491, "", now)
            return
        if question_pends:
            # "A UAS that receives a second INVITE before it sends the final response to a first INVITE with a lower
            # CSeq sequence number on the same dialog MUST return a 500 (Server Internal Error) response".
            self._later(session, server, request, now)
            return
        if self._too_brief(session, server, request, now):
            return
        request.addresses("contact")
        # Who sends another INVITE has had the 2xx to the one before; its ACK may have been lost.
        session.forget_success()
        body = description_of(request)
        found = Question(ASK_REINVITE, dialog, negotiation, bool(body))
        server.user = session
        self._ask(session, found, server, request, body, now)

    def updated(self, session: Session, server: Transaction, request: Request, dialog: Dialog, now: float) -> None:
        """An UPDATE has come (RFC 3311 5.2). Raises ParseError."""
        question = self.question
        if question is not None and question.request is not None and question.request.method == "UPDATE":
            self._later(session, server, request, now)
            return
        request.addresses("contact")
        negotiation = session.negotiation_in(dialog)
        body = description_of(request)
        if body and negotiation.state == LOCAL_OFFER:
            # "If an UPDATE is received that contains an offer, and the UAS has generated an offer (in an UPDATE, PRACK
            # or INVITE) to which it has not yet received an answer, the UAS MUST reject the UPDATE with a 491".
            session.tu.respond(server, request, 491, "", now)
            return
        if body and (negotiation.state != IDLE or question is not None):
            # "and the UAS has received an offer … to which it has not yet generated an answer, … a 500 response".
            self._later(session, server, request, now)
            return
        if self._too_brief(session, server, request, now):
            return
        if body:
            self._ask(session, Question(ASK_REQUEST, dialog, negotiation, True), server, request, body, now)
        else:
            self._respond_request(session, server, request, dialog, b"", now)

    def ask_request(
        self, session: Session, server: Transaction, request: Request, dialog: Dialog, body: bytes, now: float
    ) -> None:
        """A PRACK with an offer has come: "it MUST place the answer in the 2xx to the PRACK" (RFC 3262 section 5)."""
        negotiation = session.negotiation_in(dialog)
        if negotiation.state != IDLE or self.question is not None:
            self._later(session, server, request, now)
            return
        self._ask(session, Question(ASK_REQUEST, dialog, negotiation, True), server, request, body, now)

    def ask_ack(
        self, session: Session, sent: Exchange, dialog: Dialog, negotiation: OfferAnswer, own: Change | None, now: float
    ) -> None:
        """A 2xx to an INVITE of ours holds an offer: the answer goes into the ACK."""
        question = Question(ASK_ACK, dialog, negotiation, True)
        question.sent = sent
        question.change = own
        self._put(session, question, now)

    def ask_prack(self, session: Session, dialog: Dialog, negotiation: OfferAnswer, rack: str, now: float) -> None:
        """A reliable provisional response holds an offer: the answer goes into the PRACK."""
        question = Question(ASK_PRACK, dialog, negotiation, True)
        question.rack = rack
        self._put(session, question, now)

    def _put(self, session: Session, question: Question, now: float) -> None:
        self.question = question
        session.timers.set(ANSWER_DUE, ANSWER_WITHIN, now, session.tu.layer.timers)

    def _ask(
        self, session: Session, question: Question, server: Transaction, request: Request, body: bytes, now: float
    ) -> None:
        negotiation = question.negotiation
        question.server = server
        question.request = request
        self._put(session, question, now)
        if not body:
            session.tu.tell(Reoffered(session, b""))
            return
        same = negotiation.complete and body == negotiation.remote
        negotiation.offered(body)
        if same:
            # A refresh: 14.2: the UAS "MUST check any version identifiers in the session description or … the content
            # of the session description to see if it has changed". It has not.
            self.answer(session, negotiation.local, now)
        else:
            session.tu.tell(Reoffered(session, body))

    def _later(self, session: Session, server: Transaction, request: Request, now: float) -> None:
        """500, which "MUST include a Retry-After header field with a randomly chosen value of between 0 and 10
        seconds"."""
        seconds = int(session.tu.random(10.99))
        session.tu.respond(server, request, 500, "", now, "", [("Retry-After", str(seconds))])

    def _too_brief(self, session: Session, server: Transaction, request: Request, now: float) -> bool:
        refusal = session.timer.refusal(request, session.profile)
        if refusal is None:
            return False
        session.tu.respond(server, request, 422, "", now, "", refusal)
        return True

    # answers ---------------------------------------------------------------------------------------------------------

    def answer(self, session: Session, body: bytes, now: float) -> bool:
        """See `Session.answer`."""
        question = self.question
        if question is None:
            return False
        if not body:
            raise LocalError("an answer needs a description")
        self._take(session)
        server = question.server
        request = question.request
        negotiation = question.negotiation
        sent = question.sent
        if question.kind == ASK_ACK and sent is not None:
            offer = negotiation.pending
            negotiation.answer(body)
            session.acknowledge(sent, question.dialog, body, now)
            if question.change is not None and not question.change.silent:
                session.tu.tell(Changed(session, 200, offer))
        elif question.kind == ASK_PRACK:
            negotiation.answer(body)
            session.exchange("PRACK", question.dialog, P_PRACK, now, [("RAck", question.rack)], body)
        elif server is None or request is None:
            return False
        elif question.kind == ASK_REINVITE:
            if not self._accept_reinvite(session, question, server, request, body, now):
                return False
        else:
            negotiation.answer(body)
            self._respond_request(session, server, request, question.dialog, body, now)
        self.go_on(session, now)
        return True

    def _take(self, session: Session) -> None:
        self.question = None
        session.timers.clear(ANSWER_DUE)

    def _accept_reinvite(
        self, session: Session, question: Question, server: Transaction, request: Request, body: bytes, now: float
    ) -> bool:
        headers = self._headers(session, request, question.dialog, body)
        if not session.succeed(server, request, headers, body, not question.offered, now):
            question.negotiation.refused()
            return False
        if question.offered:
            question.negotiation.answer(body)
        else:
            question.negotiation.offer(body)
        question.dialog.refresh(request.addresses("contact"))
        session.arm(now)
        return True

    def _headers(self, session: Session, request: Request, dialog: Dialog, body: bytes) -> Headers:
        headers: Headers = [("Contact", contact_for(session.profile.contact, dialog.secure))]
        headers += session.timer.accept(request, session.profile)
        return headers + abilities(session.tu, session.profile, body)

    def _respond_request(
        self, session: Session, server: Transaction, request: Request, dialog: Dialog, body: bytes, now: float
    ) -> None:
        """200 to an UPDATE or a PRACK."""
        if request.method == "UPDATE":
            response = response_to(request, 200, "", "", self._headers(session, request, dialog, body), body)
            if session.tu.send_response(server, response, now):
                dialog.refresh(request.addresses("contact"))
                session.arm(now)
            return
        response = response_to(request, 200, "", "", None, b"")
        response.remove("content-length")
        add_body(response, body, "")
        session.tu.send_response(server, response, now)

    def refuse(self, session: Session, status: int, text: str, now: float) -> bool:
        """See `Session.refuse`."""
        question = self.question
        if question is None:
            return False
        server = question.server
        request = question.request
        if server is None or request is None:
            # 13.2.2.4: "If the offer in the 2xx response is not acceptable, the UAC core MUST generate a valid answer
            # in the ACK and then send a BYE immediately." A description is not made up here: the ACK goes without.
            session.leave(Cause(status, text or reason_phrase(status), LOCAL), now)
            return True
        self._take(session)
        if question.offered:
            question.negotiation.refused()
        headers: Headers = [warning(text)] if text else []
        session.tu.respond(server, request, status, "", now, "", headers)
        self.go_on(session, now)
        return True

    def withdrawn(self, session: Session, server: Transaction, now: float) -> None:
        """The peer has cancelled his re-INVITE."""
        question = self.question
        if question is not None and question.server is server:
            self._take(session)
            if question.offered:
                question.negotiation.refused()
            self.go_on(session, now)

    def overdue(self, session: Session, now: float) -> None:
        """Nobody has answered the question in time: RFC 3311 5.2 names 504 for a user who has to be asked."""
        session.note(now, "refuse", "no answer to an offer in time")
        self.refuse(session, 504, "", now)

    def drop(self, session: Session, dialog: Dialog, now: float) -> None:
        """A dialog of forking is gone, and so are its question and a change of ours in it."""
        own = self.own
        if own is not None and own.exchange is not None and own.exchange.dialog is dialog:
            self._over(own)
            if not own.silent and not session.is_over:
                session.tu.tell(Changed(session, 487, b"", "another callee has answered"))
        question = self.question
        if question is not None and question.dialog is dialog:
            self._take(session)
            if question.server is not None and question.request is not None:
                session.tu.respond(question.server, question.request, 487, "", now)

    def stop(self, session: Session, now: float) -> None:
        """The session is over: answer what is pending, and cancel what is under way."""
        own = self.own
        self.own = None
        self.following = None
        if own is not None and own.exchange is not None:
            own.exchange.cancel(now)
        question = self.question
        if question is None:
            return
        self._take(session)
        if question.server is not None and question.request is not None:
            # 15.1.2: "a 487 (Request Terminated) response be generated to those pending requests".
            session.tu.respond(question.server, question.request, 487, "", now)
        elif question.kind == ASK_ACK and question.sent is not None:
            session.acknowledge(question.sent, question.dialog, b"", now)
