"""Sessions (RFC 3261 sections 13 to 15): one INVITE usage of a dialog, what both directions have in common.

    state        meaning
    -----------  -----------------------------------------------------------------------------
    calling      our INVITE is out, nobody has rung (outgoing)
    offered      an INVITE has come, nothing was answered (incoming)
    early        it rings
    established  a 2xx was sent or received
    ending       over for the user (`Ended` was told); what is open at the far end is being ended
    ended        nothing is open any more (`Closed` was told)

    established  event                       next     action
    -----------  --------------------------  -------  -----------------------------------------------
                 hang_up                     ending   BYE, after the ACK of our 2xx has come (15)
                 BYE                         ended    200; 487 to what is pending
                 no ACK in 64*T1             ending   BYE (13.3.1.4)
                 481, 408 to a re-INVITE     ending   BYE (14.1, 12.2.1.2)
                 the session has expired     ending   BYE (RFC 4028 section 10)
    ending       ACK of our 2xx              ending   BYE, if it waited for that
                 2xx to our INVITE           ending   ACK, BYE
                 all is answered             ended

`session_outgoing` and `session_incoming` have the states before; `session_change` has the offers within. Commands take
`now` and act at once: what goes out lies in the stack, what is told in the core's list.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.alarms import Alarms
from ringback.sip.answerer import Answerer
from ringback.sip.cause import LOCAL, NETWORK, REMOTE, TIMER, Cause, cause_of_request, reason_value
from ringback.sip.description import description_of
from ringback.sip.dialog import Dialog
from ringback.sip.exchange import Exchange
from ringback.sip.headers import NameAddr
from ringback.sip.message import Headers, Message, Request, Response, response_to
from ringback.sip.offer_answer import OfferAnswer
from ringback.sip.profile import Profile
from ringback.sip.replaces import DialogReference
from ringback.sip.session_change import Changes
from ringback.sip.session_events import (
    ANSWER,
    Closed,
    Completed,
    DescriptionReceived,
    Ended,
    InfoReceived,
    Requested,
)
from ringback.sip.session_kinds import (
    ANSWER_DUE,
    ENDED,
    ENDING,
    ESTABLISHED,
    EXPIRY,
    EXTEND,
    INCOMING,
    INVITE_EXPIRES,
    NO_ACK,
    OFFERED,
    P_ACK,
    P_BYE,
    P_OTHER,
    P_REFER,
    P_REINVITE,
    P_UPDATE,
    REFRESH,
    RELIABLE,
    RELIABLE_OVER,
    RESEND,
    RETRY,
    RING,
    WATCH,
    Step,
    Success,
)
from ringback.sip.session_refer import Referrals
from ringback.sip.session_requests import accept_info, build, contact_for, refusal_in_dialog
from ringback.sip.session_timer import SessionTimer
from ringback.sip.status import reason_phrase
from ringback.sip.timers import T1, T2, T64, Send, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transaction_user import TransactionUser
from ringback.sip.transport import Flow

#: Steps of a session's history that are kept, the oldest going first.
MOST_STEPS: Final = 256
#: Requests of the peer that wait for the user.
MOST_HANDED: Final = 32
#: Requests of a session that are sent again because a later one has overtaken them.
MOST_RESENT: Final = 8


class Session(Answerer):
    """One call as one user agent sees it.

    profile      who we are in it
    direction    "outgoing" or "incoming"
    state        see above
    request      the INVITE
    dialog       the confirmed dialog, or the early one that was heard of last, or None
    negotiation  whose offer is unanswered in that dialog, and the descriptions in force
    cause        why it has ended, None before
    history      what has happened, in order
    replaces     the session that this INVITE replaces (RFC 3891): it is ended when this one is accepted
    joins        the session that this INVITE wants to join (RFC 3911)
    allow        the methods that the peer takes, by its last Allow; empty when it has not said
    owner        for whoever uses the session to keep what belongs to it
    """

    __slots__ = (
        "_resent", "allow", "call_id", "cause", "changes", "dialog", "direction", "handed", "history", "joins", "keys",
        "negotiation", "open", "owner", "peer_supports", "profile", "referrals", "replaces", "request", "state",
        "success", "timer", "timers", "tu",
    )  # fmt: skip

    def __init__(
        self, tu: TransactionUser, profile: Profile, direction: str, state: str, request: Request, tag: str
    ) -> None:
        super().__init__(tag)
        self.tu: TransactionUser = tu
        self.profile: Profile = profile
        self.direction: str = direction
        self.state: str = state
        self.request: Request = request
        self.call_id: str = request.call_id
        self.dialog: Dialog | None = None
        self.negotiation: OfferAnswer = OfferAnswer()
        self.timer: SessionTimer = SessionTimer()
        self.changes: Changes = Changes()
        self.timers: Alarms = Alarms(self)
        self.cause: Cause | None = None
        self.history: list[Step] = []
        self.replaces: Session | None = None
        self.joins: Session | None = None
        self.allow: frozenset[str] = frozenset()
        self.peer_supports: frozenset[str] = frozenset()
        self.owner: object = None
        self.success: Success | None = None
        self._resent: int = 0
        #: Keys under which its dialogs are filed.
        self.keys: list[str] = []
        #: Exchanges that have to end before nothing is open any more.
        self.open: dict[Exchange, None] = {}
        #: Requests of the peer that were handed up, by the keys of their transactions.
        self.handed: dict[str, tuple[Transaction, Request]] = {}
        self.referrals: Referrals = Referrals()

    # what is known ---------------------------------------------------------------------------------------------------

    @property
    def remote(self) -> NameAddr:
        """Who is at the other side, by From or To. Raises ParseError."""
        return self.request.from_ if self.direction == INCOMING else self.request.to

    @property
    def is_over(self) -> bool:
        """Whether the user has nothing to do with it any more."""
        return self.state == ENDING or self.state == ENDED

    def reference(self, early_only: bool = False) -> DialogReference:
        """What names its dialog in a Replaces or Join of somebody else's INVITE to the peer."""
        dialog = self.dialog
        if dialog is None:
            raise LocalError("a session without a dialog cannot be replaced or joined")
        # The tags are written by the view of the peer.
        return DialogReference(dialog.call_id, dialog.remote_tag, dialog.local_tag, early_only)

    def note(self, now: float, what: str, reason: str = "") -> None:
        """Add to the history."""
        if len(self.history) >= MOST_STEPS:
            del self.history[0]
        self.history.append(Step(now, what, reason))

    def learn(self, message: Message) -> None:
        """What the peer can do, by Allow and Supported."""
        if "allow" in message.names:
            self.allow = frozenset([method.upper() for method in message.split("allow")[:64]])
        if "supported" in message.names:
            self.peer_supports = frozenset(message.tokens("supported")[:64])

    # commands --------------------------------------------------------------------------------------------------------

    def ring(self, now: float, status: int = 180, body: bytes = b"", reliable: bool | None = None) -> None:
        """Answer provisionally (incoming): `body` is a description, for early media."""
        raise LocalError("only an incoming session rings here")

    def accept(self, now: float, body: bytes = b"") -> None:
        """Answer the call (incoming) with a description: the answer, or an offer when the INVITE had none."""
        raise LocalError("only an incoming session is accepted here")

    def reject(self, now: float, status: int = 486, reason: str = "", headers: Headers | None = None) -> None:
        """Refuse the call (incoming) with a status from 300 to 699."""
        raise LocalError("only an incoming session is rejected here")

    def redirect(self, now: float, contacts: list[str], status: int = 302) -> None:
        """Tell the caller (incoming) where to call instead: URIs, best first."""
        headers: Headers = []
        for uri in contacts:
            headers.append(("Contact", contact_for(uri)))
        self.reject(now, status, "", headers)

    def hang_up(self, now: float, cause: Cause | None = None) -> None:
        """End it, whatever its state: CANCEL, BYE or a refusal, at once or as soon as the rules allow it.

        Nothing more is needed of the caller; `Ended` is told now and `Closed` when nothing is open at the far end.
        """
        if not self.is_over:
            self.leave(cause or Cause(0, "", LOCAL), now)

    def offer(self, now: float, body: bytes, headers: Headers | None = None) -> None:
        """Change the session: `body` is the whole new description, or b"" to have the peer offer.

        By re-INVITE, before the call is answered by UPDATE. When something else is going on, it waits for that; glare
        is settled by itself. The end is told by `Changed`. Raises LocalError when an offer of ours is unanswered, or
        where the peer cannot take one.
        """
        self.changes.offer(self, body, headers or [], now)

    def answer(self, now: float, body: bytes) -> bool:
        """Answer an offer that was told; False when nobody waits for it any more."""
        return self.changes.answer(self, body, now)

    def refuse(self, now: float, status: int = 488, warning: str = "") -> bool:
        """Refuse an offer that was told. One in a 2xx or a reliable provisional response cannot be: that ends the call.

        False when nobody waits for it any more.
        """
        return self.changes.refuse(self, status, warning, now)

    def send(
        self, method: str, now: float, headers: Headers | None = None, body: bytes = b"", content_type: str = ""
    ) -> Exchange:
        """Send any other request within the dialog; its end is told by `Completed`. Raises LocalError without one."""
        dialog = self.usable_dialog(method)
        return self.exchange(method, dialog, P_OTHER, now, headers or [], body, content_type)

    def usable_dialog(self, method: str) -> Dialog:
        """The dialog for a request of ours. Raises LocalError when there is none that the peer knows of."""
        dialog = self.dialog
        if dialog is None or self.is_over or self.state == OFFERED:
            raise LocalError(f"no dialog to send {method} in")
        return dialog

    def info(self, now: float, content_type: str, body: bytes, package: str = "") -> Exchange:
        """Send an INFO; `package` is its Info-Package (RFC 6086), "" for one without (RFC 2976)."""
        headers: Headers = []
        if package:
            headers = [("Info-Package", package), ("Content-Disposition", "Info-Package")]
        return self.send("INFO", now, headers, body, content_type)

    def refer(
        self,
        now: float,
        refer_to: str,
        referred_by: str = "",
        replaces: Session | None = None,
        subscribe: bool = True,
    ) -> Exchange:
        """Ask the peer to call `refer_to`; how he fares is told by `ReferProgress`, and just once if not `subscribe`.

        referred_by  the value of Referred-By (RFC 3892); "" stands for our own address, unless that is hidden
        replaces     a session whose peer is called with Replaces, in place of us (attended transfer); `refer_to` ""
                     then is where that peer is reached
        """
        return self.referrals.refer(self, refer_to, referred_by, replaces, subscribe, now)

    # requests of ours ------------------------------------------------------------------------------------------------

    def exchange(
        self,
        method: str,
        dialog: Dialog,
        purpose: int,
        now: float,
        headers: Headers,
        body: bytes = b"",
        content_type: str = "",
        cseq: int = 0,
    ) -> Exchange:
        """Send a request within a dialog."""
        request = build(self.tu, self.profile, method, dialog, headers, body, content_type, cseq)
        exchange = Exchange(self.tu, request, self.profile, dialog, self, purpose)
        exchange.start(now)
        return exchange

    def acknowledge(self, invite: Exchange, dialog: Dialog, body: bytes, now: float) -> None:
        """Send the ACK to a 2xx, with the credentials of its INVITE (13.2.2.4, 22.1)."""
        number = invite.request.cseq.number
        ack = self.exchange("ACK", dialog, P_ACK, now, invite.credentials, body, "", number)
        invite.acks[dialog.remote_tag] = ack

    def send_bye(self, dialog: Dialog, reason: str, now: float) -> None:
        """Send a BYE; the session is open until it is answered."""
        headers: Headers = [("Reason", reason)] if reason else []
        self.open[self.exchange("BYE", dialog, P_BYE, now, headers)] = None

    def answered(self, exchange: Exchange, response: Response | None, status: int, now: float) -> None:
        """A response has come to a request of ours; None when none did, and `status` says why."""
        purpose = exchange.purpose
        if status >= 200:
            self.open.pop(exchange, None)
        if purpose == P_BYE and status == 500 and exchange.dialog is not None and self.may_resend():
            # 12.2.2: it came out of order, behind a later request; the peer still believes in the session.
            self.send_bye(exchange.dialog, exchange.request.header("reason") or "", now)
        elif purpose == P_REINVITE or purpose == P_UPDATE:
            self.changes.answered(self, exchange, response, status, now)
        elif purpose == P_REFER and status >= 200:
            self.referrals.answered(self, exchange, response, status, now)
        elif purpose == P_OTHER and status >= 200:
            self.tu.tell(Completed(exchange, response, status))
        if (purpose == P_OTHER or purpose == P_REFER) and status >= 200:
            if not self.is_over and (status == 481 or status == 408) and exchange.dialog is self.dialog:
                # 12.2.1.2: "If the response for a request within a dialog is a 481 … or a 408 …, the UAC SHOULD
                # terminate the dialog. A UAC SHOULD also terminate a dialog if no response at all is received".
                self.leave(Cause(status, reason_phrase(status), NETWORK if response is None else REMOTE), now)
        self.close_if_done(now)

    def refreshed(self, dialog: Dialog, response: Response, now: float) -> None:
        """A 2xx to a target refresh request of ours has come: RFC 6141 4.7, RFC 4028 7.2."""
        dialog.refresh(readable_contacts(response))
        self.learn(response)
        self.timer.accepted(response)
        self.arm(now)

    def may_update(self) -> bool:
        """Whether an UPDATE with an offer may be sent before the call is answered (RFC 3311 5.1)."""
        return self.dialog is not None and self.negotiation.complete and "UPDATE" in self.allow

    def negotiation_in(self, dialog: Dialog) -> OfferAnswer:
        """The offers and answers of one of its dialogs."""
        return self.negotiation

    def may_resend(self) -> bool:
        """Whether a request that has come out of order is sent once more, with another number; a few are."""
        self._resent += 1
        return self._resent <= MOST_RESENT

    # our 2xx ---------------------------------------------------------------------------------------------------------

    def succeed(
        self, server: Transaction, request: Request, headers: Headers, body: bytes, offers: bool, now: float
    ) -> bool:
        """Answer an INVITE with 200, again and again until its ACK comes; `offers`: that has to hold the answer."""
        response = response_to(request, 200, "", self.tag, headers, body)
        data = response.encode()
        if not self.tu.layer.respond(server, 200, data, now):
            return False
        self.success = Success(server, data, request.cseq.number, offers)
        self.timers.set(RESEND, T1, now, self.tu.layer.timers)
        self.timers.set(NO_ACK, T64, now, self.tu.layer.timers)
        return True

    def acked(self, request: Request, now: float) -> None:
        """The ACK to a 2xx of ours has come."""
        success = self.success
        if success is None or request.cseq.number != success.cseq:
            return
        self.forget_success()
        if success.offers:
            self._answered_by_ack(request, now)
        if self.state == ENDING:
            self._bye_at_last(now)
            return
        self.changes.go_on(self, now)

    def _answered_by_ack(self, request: Request, now: float) -> None:
        from_ack = description_of(request)
        dialog = self.dialog
        if from_ack and dialog is not None:
            self.negotiation.answered(from_ack)
            if not self.is_over:
                self.tu.tell(DescriptionReceived(self, from_ack, ANSWER, False, dialog))
            return
        complete = self.negotiation.complete
        self.negotiation.refused()
        if not complete and not self.is_over:
            # 13.2.1: "If the initial offer is in the first reliable non-failure message from the UAS back to UAC, the
            # answer MUST be in the acknowledgement for that message". Without one there is no session.
            self.leave(Cause(400, "the ACK holds no answer", REMOTE), now)

    def forget_success(self) -> None:
        self.success = None
        self.timers.clear(RESEND)
        self.timers.clear(NO_ACK)

    def _bye_at_last(self, now: float) -> None:
        """The BYE had to wait for the ACK, or for 64*T1 without one."""
        if self.dialog is not None and self.cause is not None:
            self.send_bye(self.dialog, reason_value(self.cause), now)
        self.close_if_done(now)

    # requests of the peer --------------------------------------------------------------------------------------------

    def dialog_of(self, request: Request) -> Dialog | None:
        """The dialog that a request of the peer belongs to."""
        dialog = self.dialog
        return dialog if dialog is not None and dialog.remote_tag == request.from_tag else None

    def received(self, server: Transaction, request: Request, flow: Flow, now: float) -> None:
        """A request has come in one of our dialogs. Raises ParseError."""
        dialog = self.dialog_of(request)
        if dialog is None:
            self.tu.respond(server, request, 481, "", now)
            return
        refused = refusal_in_dialog(self.tu, self.profile, dialog, request)
        if refused is not None:
            self.tu.respond(server, request, refused[0], "", now, "", refused[1])
            return
        method = request.method
        if method == "NOTIFY" and self.referrals.notified(self, server, request, now):
            return
        if method == "BYE" and self.state != ENDED:
            self.bye_received(server, request, dialog, now)
        elif self.is_over:
            self.tu.respond(server, request, 481, "", now)
        elif method == "INVITE":
            self.learn(request)
            self.changes.reinvited(self, server, request, now)
        elif method == "UPDATE":
            self.learn(request)
            self.changes.updated(self, server, request, dialog, now)
        elif method == "PRACK":
            self.pracked(server, request, now)
        elif method == "INFO":
            self._informed(server, request, now)
        elif method == "REFER":
            self.referrals.referred(self, server, request, dialog, now)
        elif method == "SUBSCRIBE" and self.referrals.subscribed(server, request, now):
            return
        else:
            self.hand_up(server, request, flow, now)

    def hand_up(self, server: Transaction, request: Request, flow: Flow, now: float) -> None:
        """A request that is not for the core: its user answers."""
        for key in [key for key in self.handed if key not in self.tu.handed]:
            del self.handed[key]
        if len(self.handed) >= MOST_HANDED:
            self.tu.respond(server, request, 503, "", now, "", [("Retry-After", "10")])
            return
        self.tu.remember(self.tu.handed, server.key, T64, now, server)
        self.handed[server.key] = (server, request)
        self.tu.tell(Requested(server, request, flow, self))

    def _informed(self, server: Transaction, request: Request, now: float) -> None:
        status, headers = accept_info(self.profile, request)
        self.tu.respond(server, request, status, "", now, "", headers)
        if status == 200:
            package = (request.header("info-package") or "").partition(";")[0].strip()
            kind = request.header("content-type") or ""
            self.tu.tell(InfoReceived(self, kind, request.body, package))

    def pracked(self, server: Transaction, request: Request, now: float) -> None:
        """A PRACK where no reliable provisional response of ours waits for one (RFC 3262 section 3)."""
        self.tu.respond(server, request, 481, "", now)

    def cancelled(self, server: Transaction, reasons: list[str], now: float) -> None:
        """A CANCEL has met an INVITE that was not answered; the stack has answered both."""
        self.changes.withdrawn(self, server, now)

    def bye_received(self, server: Transaction, request: Request, dialog: Dialog, now: float) -> None:
        """The peer ends it (15.1.2)."""
        self.tu.respond(server, request, 200, "", now)
        self.forget_success()
        if not self.is_over:
            self.over(cause_of_request(request.all("reason"), REMOTE), now)
        self.close_if_done(now)

    # the end ---------------------------------------------------------------------------------------------------------

    def leave(self, cause: Cause, now: float) -> None:
        """It is over by us: tell the user, and end what is open at the far end."""
        state = self.state
        self.over(cause, now)
        self.part(state, cause, now)
        self.close_if_done(now)

    def over(self, cause: Cause, now: float) -> None:
        """It is over for the user."""
        self.state = ENDING
        self.cause = cause
        self.note(now, "ended", f"{cause.status or ''} {cause.reason} ({cause.by})".strip())
        self.changes.stop(self, now)
        self.referrals.stop(now)
        for kind in (REFRESH, EXPIRY, RETRY, ANSWER_DUE, RING, EXTEND, RELIABLE, RELIABLE_OVER, INVITE_EXPIRES):
            self.timers.clear(kind)
        for key, (server, request) in self.handed.items():
            if key in self.tu.handed:
                # 15.1.2: "The UAS MUST still respond to any pending requests received for that dialog. It is
                # RECOMMENDED that a 487 (Request Terminated) response be generated to those pending requests."
                self.tu.respond(server, request, 487, self.tag, now)
        self.handed.clear()
        self.tu.tell(Ended(self, cause))

    def part(self, state: str, cause: Cause, now: float) -> None:
        """End at the far end what was in `state`; the states before the answer are the directions' own."""
        if self.success is None and self.dialog is not None:
            # "The callee's UA MUST NOT send a BYE on a confirmed dialog until it has received an ACK for its 2xx
            # response or until the server transaction times out" (15).
            self.send_bye(self.dialog, reason_value(cause), now)

    def close_if_done(self, now: float) -> None:
        """When it is over and nothing is open, forget it."""
        if self.state != ENDING or self.open or self.success is not None:
            return
        self.state = ENDED
        self.tu.sessions.pop(self, None)
        self.forget_if_closed(now)
        self.tu.tell(Closed(self))

    def forget_if_closed(self, now: float) -> None:
        """Take its dialogs out of the table, unless NOTIFYs may still come for a REFER of ours (RFC 5057).

        That they were there is known for a while (RFC 3891 section 3).
        """
        if self.state != ENDED or self.referrals.watches:
            return
        self.timers.stop()
        for key in self.keys:
            if self.tu.dialogs.get(key) is self:
                del self.tu.dialogs[key]
                self.tu.remember(self.tu.ended, key, T64, now, None)
        self.keys = []

    def file(self, dialog: Dialog) -> None:
        """Have the requests of a dialog come here."""
        key = dialog.key
        if key not in self.keys:
            self.keys.append(key)
        self.tu.dialogs[key] = self

    # time ------------------------------------------------------------------------------------------------------------

    def arm(self, now: float) -> None:
        """Set the alarms of the session timer anew: a 2xx to a refresh was sent or received."""
        timers = self.tu.layer.timers
        self.timers.clear(REFRESH)
        self.timers.clear(EXPIRY)
        if self.state != ESTABLISHED:
            return
        if self.timer.refresh_after():
            self.timers.set(REFRESH, self.timer.refresh_after(), now, timers)
        if self.timer.ends_after():
            self.timers.set(EXPIRY, self.timer.ends_after(), now, timers)

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """One of its alarms; the core calls `fired` with what this returns."""
        return self.timers.expired(timer, now, timers)

    def fired(self, kind: int, now: float) -> None:
        """An alarm has gone off."""
        success = self.success
        if kind == RESEND and success is not None:
            # "The 2xx response is passed to the transport with an interval that starts at T1 seconds and doubles for
            # each retransmission until it reaches T2 seconds … independent of whatever transport protocols are used".
            self.tu.layer.respond(success.server, 200, success.data, now)
            success.interval = min(success.interval * 2.0, T2)
            self.timers.set(RESEND, success.interval, now, self.tu.layer.timers)
        elif kind == NO_ACK:
            # "If the server retransmits the 2xx response for 64*T1 seconds without receiving an ACK, the dialog is
            # confirmed, but the session SHOULD be terminated. This is accomplished with a BYE".
            self.forget_success()
            if self.state == ENDING:
                self._bye_at_last(now)
            else:
                self.leave(Cause(408, "no ACK", TIMER), now)
        elif kind == REFRESH:
            self.changes.refresh(self, now)
        elif kind == EXPIRY:
            self.note(now, "expired", "nobody has refreshed the session")
            self.leave(Cause(408, "the session has expired", TIMER), now)
        elif kind == RETRY:
            self.changes.go_on(self, now)
        elif kind == ANSWER_DUE:
            self.changes.overdue(self, now)
        elif kind == WATCH:
            self.referrals.overdue(self, now)

    def __repr__(self) -> str:
        return f"<Session {self.direction} {self.state} {self.call_id}>"


def readable_contacts(message: Message) -> list[NameAddr]:
    """The Contacts of a response, [] when they cannot be read: a dialog goes on with what it has."""
    try:
        return message.addresses("contact")
    except ParseError:
        return []
