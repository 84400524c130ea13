"""Calling somebody: the caller's INVITE until it is answered (RFC 3261 13.2, RFC 3262, 8.1.3.4).

    state        event                       next         action
    -----------  --------------------------  -----------  ---------------------------------------------------------
    calling      1xx with a tag              early        an early dialog for each tag; PRACK for a reliable one
    calling,     2xx                         established  ACK; the other early dialogs are forgotten
    early        422                         calling      again, with a longer session interval (RFC 4028 7.3)
                 3xx that is followed        calling      the next contact is called
                 any other final response    ended
                 hang_up                     ending       CANCEL, once a 1xx has come (9.1)
                 no 1xx for 185 s            ending       CANCEL
                 BYE in an early dialog      early        200; the last one ends the call
    established  2xx with another tag        established  ACK, BYE
    and later    2xx again                   same         the same ACK again
    ending       2xx                         ending       ACK, BYE

An offer in a reliable response or in a 2xx has to be answered by the user: PRACK and ACK wait for that.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.branch import request_uri
from ringback.sip.cause import (
    LOCAL,
    REMOTE,
    TIMER,
    Cause,
    cause_of_request,
    cause_of_response,
    contacts_by_preference,
    reason_value,
)
from ringback.sip.description import description_of
from ringback.sip.dialog import Dialog, dialog_from_response
from ringback.sip.exchange import Exchange
from ringback.sip.grammar import quote
from ringback.sip.history_info import Entry, plain_target, read_history, redirected, written
from ringback.sip.message import Headers, Request, Response
from ringback.sip.offer_answer import IDLE, OfferAnswer
from ringback.sip.offer_answer import LOCAL as LOCAL_OFFER
from ringback.sip.privacy import from_value, identity_headers
from ringback.sip.profile import RELIABLE_NONE, RELIABLE_REQUIRED, Profile
from ringback.sip.refer import Referral
from ringback.sip.reliable import RAck, rseq_of
from ringback.sip.route import MAX_FORWARDS
from ringback.sip.session import Session
from ringback.sip.session_events import ANSWER, OFFER, DescriptionReceived, Established, Progressed
from ringback.sip.session_kinds import CALLING, EARLY, ESTABLISHED, OUTGOING, P_INVITE, P_PRACK, RING
from ringback.sip.session_requests import add_body, contact_for
from ringback.sip.status import reason_phrase
from ringback.sip.timers import TIMER_C
from ringback.sip.transaction import Transaction
from ringback.sip.transaction_user import TransactionUser
from ringback.sip.uri import Uri, parse_uri
from ringback.sip.uri_headers import without_headers

#: Early dialogs of one call.
MOST_EARLY: Final = 32
#: Contacts of redirections that one call tries.
MOST_TARGETS: Final = 10
#: 422s that one call answers.
MOST_INTERVALS: Final = 3


class Early:
    """One early dialog: its offers and answers, and the last reliable response in it.

    rseq     the RSeq of the last reliable response, 0 before the first
    preview  a description in an unreliable response: the 2xx repeats it
    """

    __slots__ = ("dialog", "negotiation", "preview", "rseq")

    def __init__(self, dialog: Dialog, negotiation: OfferAnswer) -> None:
        self.dialog: Dialog = dialog
        self.negotiation: OfferAnswer = negotiation
        self.rseq: int = 0
        self.preview: bytes = b""


class OutgoingSession(Session):
    """A call of ours.

    invite    the exchange of the INVITE that is under way, or was last
    early     early dialogs by the tags of the callees
    referral  the REFER that it comes of: its sender is told how it fares
    """

    __slots__ = ("_headers", "_intervals", "_left", "_original", "_tried", "early", "invite", "referral", "target")

    def __init__(
        self,
        tu: TransactionUser,
        profile: Profile,
        target: Uri,
        headers: Headers,
        body: bytes,
        call_id: str,
        referral: Referral | None = None,
    ) -> None:
        self.target: str = request_uri(without_headers(target))
        self._headers: Headers = headers
        self._original: Uri = target
        tag = tu.new_tag()
        request = Request("INVITE", self.target, [], [], b"")
        request.append("Max-Forwards", str(MAX_FORWARDS))
        request.append("From", from_value(profile, tag))
        request.append("To", to_value(target))
        request.append("Call-ID", call_id)
        request.append("CSeq", "1 INVITE")
        super().__init__(tu, profile, OUTGOING, CALLING, request, tag)
        self.referral: Referral | None = referral
        self.invite: Exchange | None = None
        self.early: dict[str, Early] = {}
        self._tried: list[str] = [self.target]
        self._left: list[str] = []
        self._intervals: int = 0
        if body:
            self.negotiation.offer(body)

    def call(self, now: float) -> None:
        """Send the INVITE. Raises LocalError for headers that cannot be sent."""
        self._send(1, [], now)
        self.tu.sessions[self] = None
        self.note(now, "calling", self.target)

    def _send(self, cseq: int, history: list[Entry], now: float) -> None:
        request = self._build(cseq, history)
        self.request = request
        invite = Exchange(self.tu, request, self.profile, None, self, P_INVITE)
        self.invite = invite
        self.open[invite] = None
        self.timers.set(RING, TIMER_C, now, self.tu.layer.timers)
        invite.start(now)

    def _build(self, cseq: int, history: list[Entry]) -> Request:
        """The INVITE for the present target (13.2.1)."""
        profile = self.profile
        tu = self.tu
        request = Request("INVITE", self.target, [], [], b"")
        for route in profile.routes:
            request.append("Route", route)
        for name in ("max-forwards", "from", "to", "call-id"):
            position = self.request.names.index(name)
            request.names.append(name)
            request.lines.append(self.request.lines[position])
        request.append("CSeq", f"{cseq} INVITE")
        request.append("Contact", contact_for(profile.contact, self.target[:5].lower() == "sips:"))
        tu.describe(request, profile)
        request.append("Accept", ", ".join(tu.accept))
        if profile.reliable == RELIABLE_REQUIRED:
            request.append("Require", "100rel")
        for name, value in self.timer.ask(profile, True) + identity_headers(profile) + self._headers:
            request.append(name, value)
        if profile.info_packages:
            # RFC 6086 4.2.1: what Info packages we would take, in the INVITE and its responses.
            request.append("Recv-Info", ", ".join(profile.info_packages))
        if history:
            request.append("History-Info", written(history))
        add_body(request, self.negotiation.pending, "")
        return request

    # commands --------------------------------------------------------------------------------------------------------

    def may_update(self) -> bool:
        """Once a callee has answered reliably, or we have answered his offer in a PRACK."""
        return self.dialog is not None and self.negotiation.complete and "UPDATE" in self.allow

    def part(self, state: str, cause: Cause, now: float) -> None:
        """CANCEL what rings, BYE what is answered."""
        invite = self.invite
        if state == ESTABLISHED:
            super().part(state, cause, now)
        elif invite is not None:
            invite.cancel(now, reason_value(cause))

    # responses to the INVITE -----------------------------------------------------------------------------------------

    def answered(self, exchange: Exchange, response: Response | None, status: int, now: float) -> None:
        """A response has come to the INVITE or to another request of ours."""
        if exchange.purpose == P_PRACK and status == 500 and exchange.dialog is not None and not self.is_over:
            if self.may_resend():
                # A later request has overtaken it (12.2.2); without it the callee would give up.
                rack = exchange.request.required("rack")
                body = exchange.request.body
                self.exchange("PRACK", exchange.dialog, P_PRACK, now, [("RAck", rack)], body)
            return
        if exchange.purpose != P_INVITE:
            super().answered(exchange, response, status, now)
            return
        if response is not None and status < 200:
            if exchange is self.invite and not self.is_over and self.state != ESTABLISHED:
                self._progress(response, now)
            return
        self.open.pop(exchange, None)
        if response is not None and status < 300:
            self._success(exchange, response, now)
        elif exchange is self.invite:
            self._failure(exchange, response, status, now)
        self.close_if_done(now)

    def _progress(self, response: Response, now: float) -> None:
        """101 to 199."""
        status = response.status
        if status == 100:
            return
        self.timers.set(RING, TIMER_C, now, self.tu.layer.timers)
        tag = response.to_tag
        early = self._early(response, tag) if tag else None
        if early is None:
            self.tu.tell(Progressed(self, response, b""))
            return
        rseq = rseq_of(response)
        if rseq:
            # RFC 3262 section 4: "if the UAC receives another reliable provisional response to the same request, and
            # its RSeq value is not one higher than the value of the sequence number, that response MUST NOT be
            # acknowledged with a PRACK, and MUST NOT be processed further by the UAC".
            if self.profile.reliable == RELIABLE_NONE or (early.rseq and rseq != early.rseq + 1):
                return
            early.rseq = rseq
            # RFC 6141 4.7: of provisional responses only a reliable one refreshes the remote target.
            try:
                early.dialog.refresh(response.addresses("contact"))
            except ParseError:
                pass
        if status == 199:
            # RFC 6228: this early dialog is over, others may go on.
            self._drop(early, now)
            self.tu.tell(Progressed(self, response, b""))
            return
        self.learn(response)
        self.dialog = early.dialog
        self.negotiation = early.negotiation
        if self.state == CALLING:
            self.state = EARLY
        body = description_of(response)
        self.note(now, "progress", f"{status} {response.reason}")
        if self.referral is not None:
            self.referral.progress(status, response.reason, now)
        self.tu.tell(Progressed(self, response, body))
        self._described(early, body, rseq, now)

    def _early(self, response: Response, tag: str) -> Early | None:
        known = self.early.get(tag)
        if known is not None or self.invite is None:
            return known
        if len(self.early) >= MOST_EARLY:
            return None
        dialog = dialog_from_response(self.invite.request, response)
        dialog.by_flow = self.profile.flow is not None
        # The INVITE's own offer is what each callee answers.
        negotiation = OfferAnswer()
        if self.invite.request.body:
            negotiation.offer(self.invite.request.body)
        early = Early(dialog, negotiation)
        self.early[tag] = early
        self.file(dialog)
        return early

    def _described(self, early: Early, body: bytes, rseq: int, now: float) -> None:
        """What a provisional response describes, and its PRACK (RFC 3262 section 5)."""
        negotiation = early.negotiation
        dialog = early.dialog
        rack = ""
        if rseq and self.invite is not None:
            rack = str(RAck(rseq, self.invite.request.cseq.number, "INVITE"))
        if body and negotiation.state == LOCAL_OFFER and not negotiation.complete:
            if rack:
                negotiation.answered(body)
            else:
                # 13.2.1: "That same exact answer MAY also be placed in any provisional responses sent prior to the
                # answer." Good enough to hear by; where the 2xx says otherwise, as it must not, that counts.
                early.preview = body
            self.tu.tell(DescriptionReceived(self, body, ANSWER, True, dialog))
        elif body and rack and negotiation.state == IDLE and not negotiation.complete:
            if self.changes.question is not None:
                # Another callee's offer is unanswered: this response comes again.
                early.rseq = 0 if early.rseq == rseq else early.rseq
                return
            negotiation.offered(body)
            # "it MUST generate an answer in the PRACK".
            self.changes.ask_prack(self, dialog, negotiation, rack, now)
            self.tu.tell(DescriptionReceived(self, body, OFFER, True, dialog))
            return
        if rack:
            self.exchange("PRACK", dialog, P_PRACK, now, [("RAck", rack)])

    def _success(self, exchange: Exchange, response: Response, now: float) -> None:
        """A 2xx (13.2.2.4)."""
        tag = response.to_tag
        ack = exchange.acks.get(tag)
        if ack is not None:
            # "the UAC core MUST generate an ACK request for each 2xx received from the transaction layer", for one that
            # is sent again the same.
            ack.send_again()
            return
        if len(exchange.acks) >= MOST_EARLY:
            # Nobody forks to so many: somebody has an INVITE answered again and again.
            return
        if self.state != CALLING and self.state != EARLY:
            if self.dialog is None or self.dialog.remote_tag != tag or self.is_over:
                self._unwanted(exchange, response, now)
            return
        self._confirm(exchange, response, tag, now)

    def _unwanted(self, exchange: Exchange, response: Response, now: float) -> None:
        """A 2xx of a callee that came too late, or after we hung up: it is acknowledged, and ended at once."""
        known = self.early.get(response.to_tag)
        if known is not None:
            dialog = known.dialog
            dialog.confirm(response)
        else:
            dialog = dialog_from_response(exchange.request, response)
            dialog.by_flow = self.profile.flow is not None
        self.acknowledge(exchange, dialog, b"", now)
        cause = self.cause if self.cause is not None else Cause(200, "Call completed elsewhere", LOCAL)
        self.note(now, "unwanted", "a 2xx of another callee, or one that came too late")
        self.send_bye(dialog, reason_value(cause), now)

    def _confirm(self, exchange: Exchange, response: Response, tag: str, now: float) -> None:
        """The first 2xx: this is the call."""
        early = self.early.get(tag)
        if early is None:
            early = Early(dialog_from_response(exchange.request, response), OfferAnswer())
            early.dialog.by_flow = self.profile.flow is not None
            if exchange.request.body:
                early.negotiation.offer(exchange.request.body)
        else:
            early.dialog.confirm(response)
        dialog = early.dialog
        negotiation = early.negotiation
        for other in list(self.early.values()):
            if other is not early:
                self._drop(other, now)
        self.file(dialog)
        self.dialog = dialog
        self.negotiation = negotiation
        self.state = ESTABLISHED
        self.timers.clear(RING)
        self.learn(response)
        self.timer.accepted(response)
        self.arm(now)
        self.note(now, "established", f"{response.status} {response.reason}")
        self._settle(exchange, early, description_of(response), now)
        if self.referral is not None:
            # Nothing, when it is over already and that was told.
            self.referral.progress(response.status, response.reason, now)

    def _settle(self, exchange: Exchange, early: Early, body: bytes, now: float) -> None:
        """What the 2xx describes, and its ACK."""
        dialog = early.dialog
        negotiation = early.negotiation
        tell = self.tu.tell
        if negotiation.state == LOCAL_OFFER and not negotiation.complete:
            answer = body or early.preview
            if not answer:
                self.leave(Cause(488, "the 2xx holds no answer", REMOTE), now)
                return
            negotiation.answered(answer)
            self.acknowledge(exchange, dialog, b"", now)
            tell(DescriptionReceived(self, answer, ANSWER, False, dialog))
        elif negotiation.complete:
            self.acknowledge(exchange, dialog, b"", now)
        elif negotiation.state == IDLE and body:
            negotiation.offered(body)
            self.changes.ask_ack(self, exchange, dialog, negotiation, None, now)
            tell(Established(self))
            tell(DescriptionReceived(self, body, OFFER, False, dialog))
            return
        else:
            # No offer where one was due, or a 2xx before the PRACK for its offer.
            self.leave(Cause(488, "the 2xx holds no offer", REMOTE), now)
            return
        tell(Established(self))
        self.changes.go_on(self, now)

    def over(self, cause: Cause, now: float) -> None:
        """It is over for the user; a 2xx that nobody has acknowledged yet is."""
        invite = self.invite
        dialog = self.dialog
        established = self.state == ESTABLISHED
        if self.referral is not None:
            # Nothing after a final status was told.
            self.referral.progress(cause.status if cause.status >= 300 else 487, cause.reason, now)
        super().over(cause, now)
        if established and invite is not None and dialog is not None and dialog.remote_tag not in invite.acks:
            self.acknowledge(invite, dialog, b"", now)

    def _drop(self, early: Early, now: float) -> None:
        """An early dialog is over."""
        self.early.pop(early.dialog.remote_tag, None)
        self.changes.drop(self, early.dialog, now)
        key = early.dialog.key
        if key in self.keys:
            self.keys.remove(key)
        if self.tu.dialogs.get(key) is self:
            del self.tu.dialogs[key]
        if self.dialog is early.dialog:
            self.dialog = None

    def _failure(self, exchange: Exchange, response: Response | None, status: int, now: float) -> None:
        """A final response other than 2xx, or none: "all early dialogs … are considered terminated" (13.2.2.3)."""
        for early in list(self.early.values()):
            self._drop(early, now)
        self.timers.clear(RING)
        if self.is_over:
            return
        number = exchange.request.cseq.number + 1
        if response is not None and status == 422 and self._intervals < MOST_INTERVALS:
            if self.timer.too_small(response):
                self._intervals += 1
                self._again(number, read_history(exchange.request), f"{status}, a longer session interval", now)
                return
        if response is not None and 300 <= status < 400 and self.profile.follow:
            self._add_targets(response)
        if self._left and status < 600:
            self.target = self._left.pop(0)
            history = read_history(exchange.request) or [Entry(plain_target(exchange.request.uri), "1")]
            text = response.reason if response is not None else reason_phrase(status)
            reason = f"SIP;cause={status};text={quote(' '.join(text.split()))}"
            self._again(number, redirected(history, self.target, reason), f"{status}, on to {self.target}", now)
            return
        self.over(cause_of_response(response, status), now)

    def _again(self, cseq: int, history: list[Entry], why: str, now: float) -> None:
        """Another INVITE with the same Call-ID, From and To."""
        self.state = CALLING
        self.dialog = None
        self.note(now, "again", why)
        body = self.invite.request.body if self.invite is not None else b""
        self.negotiation = OfferAnswer()
        if body:
            self.negotiation.offer(body)
        self._send(cseq, history, now)

    def _add_targets(self, response: Response) -> None:
        """8.1.3.4: "a client processing 3xx class responses MUST NOT add any given URI to the target set more than
        once", and SIPS stays SIPS."""
        for text in contacts_by_preference(response):
            try:
                uri = parse_uri(text)
            except ParseError:
                continue
            target = request_uri(text)
            if not uri.is_sip or target in self._tried or len(self._tried) > MOST_TARGETS:
                continue
            if self._original.scheme == "sips" and uri.scheme != "sips":
                # "If the original request had a SIPS URI in the Request-URI, the client MAY choose to recurse to a
                # non-SIPS URI, but SHOULD inform the user of the redirection to an insecure URI": nobody is asked here.
                continue
            self._tried.append(target)
            self._left.append(target)

    # requests of the peer --------------------------------------------------------------------------------------------

    def dialog_of(self, request: Request) -> Dialog | None:
        """The confirmed dialog, or the early one that the request names."""
        early = self.early.get(request.from_tag)
        if early is not None:
            return early.dialog
        return super().dialog_of(request)

    def negotiation_in(self, dialog: Dialog) -> OfferAnswer:
        """Each early dialog has its own."""
        early = self.early.get(dialog.remote_tag)
        return self.negotiation if early is None else early.negotiation

    def bye_received(self, server: Transaction, request: Request, dialog: Dialog, now: float) -> None:
        """A callee may not send BYE in an early dialog (15), but one whose 2xx we have not seen may have given up."""
        if self.state == CALLING or self.state == EARLY:
            early = self.early.get(dialog.remote_tag)
            self.tu.respond(server, request, 200, "", now)
            if early is not None:
                self._drop(early, now)
            if not self.early:
                self.leave(cause_of_request(request.all("reason"), REMOTE), now)
            return
        super().bye_received(server, request, dialog, now)

    # time ------------------------------------------------------------------------------------------------------------

    def fired(self, kind: int, now: float) -> None:
        """An alarm has gone off."""
        if kind == RING:
            # As a proxy's timer C (16.8): no final response, and no provisional one for minutes.
            self.leave(Cause(408, "no answer and no sign of life", TIMER), now)
        else:
            super().fired(kind, now)


def to_value(target: Uri) -> str:
    """To for a request of a new dialog (8.1.1.2): the target, without what only steers the request."""
    if not target.is_sip:
        return f"<{target.text}>"
    return f"<{target.without('method', 'maddr', 'ttl', 'transport', 'lr').text}>"


def check_target(target: Uri) -> None:
    """Raise LocalError for a URI that no INVITE is sent to."""
    if target.scheme not in ("sip", "sips", "tel"):
        raise LocalError(f"no call to a {target.scheme}: URI")
    if (target.parameters.get("method") or "INVITE") != "INVITE":
        raise LocalError("the URI asks for another method than INVITE")
