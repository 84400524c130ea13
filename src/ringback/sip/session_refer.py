"""REFER within a session's dialog: those of ours with what is told of them, and those of the peer (RFC 3515, 5057)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ringback.sip.dialog import Dialog
from ringback.sip.exchange import Exchange
from ringback.sip.message import Request, Response
from ringback.sip.privacy import is_anonymous
from ringback.sip.refer import (
    Referral,
    Watch,
    event_identity,
    read_subscription_state,
    refer_headers,
    status_of_fragment,
    without_subscription,
)
from ringback.sip.session_events import ReferProgress, Referred
from ringback.sip.session_kinds import P_REFER, WATCH
from ringback.sip.status import reason_phrase
from ringback.sip.timers import T64
from ringback.sip.transaction import Transaction
from ringback.sip.uri import parse_uri
from ringback.sip.uri_headers import with_header

if TYPE_CHECKING:
    from ringback.sip.session import Session

#: Seconds that the first NOTIFY may take, and one after the time that a NOTIFY has named.
FIRST_NOTIFY: Final = T64
#: Seconds that a NOTIFY which names no time stands for, and the most that is believed.
LONGEST_WATCH: Final = 3600
#: REFERs of the peer that may be under way in one session.
MOST_REFERRALS: Final = 8


class Referrals:
    """The REFERs of one session.

    watches    those of ours for which NOTIFYs may come: the dialog stays known for them when the session is over
    referrals  those of the peer that are not done
    """

    __slots__ = ("referrals", "told", "watches")

    def __init__(self) -> None:
        #: REFERs of ours whose last NOTIFY has come before their response.
        self.told: dict[Exchange, None] = {}
        self.watches: dict[Exchange, Watch] = {}
        self.referrals: dict[Referral, None] = {}

    # ours ------------------------------------------------------------------------------------------------------------

    def refer(
        self,
        session: Session,
        refer_to: str,
        referred_by: str,
        replaces: Session | None,
        subscribe: bool,
        now: float,
    ) -> Exchange:
        """See `Session.refer`."""
        dialog = session.usable_dialog("REFER")
        if replaces is not None:
            other = replaces.dialog
            target = refer_to or (other.remote_target if other is not None else "")
            refer_to = with_header(target, "Replaces", str(replaces.reference()))
        parse_uri(refer_to)
        if not referred_by and not is_anonymous(session.profile):
            referred_by = f"<{session.profile.address.uri.text}>"
        headers = refer_headers(refer_to, referred_by, subscribe)
        exchange = session.exchange("REFER", dialog, P_REFER, now, headers)
        session.note(now, "refer", refer_to)
        if subscribe:
            self.watches[exchange] = Watch(exchange, now + FIRST_NOTIFY)
            self._arm(session, now)
        return exchange

    def answered(
        self, session: Session, exchange: Exchange, response: Response | None, status: int, now: float
    ) -> None:
        """A REFER of ours has its final response."""
        watch = self.watches.get(exchange)
        reason = response.reason if response is not None else reason_phrase(status)
        if watch is not None and response is not None and status < 300 and not without_subscription(response):
            # RFC 6665 4.1.2.4: a subscriber that gets no NOTIFY within 64*T1 has no subscription.
            watch.until = max(watch.until, now + FIRST_NOTIFY)
            self._arm(session, now)
            return
        if exchange in self.told:
            # Its last NOTIFY has overtaken the response.
            del self.told[exchange]
            return
        self._forget(session, exchange, now)
        session.tu.tell(ReferProgress(session, status, reason, True, exchange))

    def notified(self, session: Session, server: Transaction, request: Request, now: float) -> bool:
        """A NOTIFY has come: whether it was about a REFER, and is answered. Raises ParseError."""
        package, identity = event_identity(request)
        if package != "refer":
            return False
        watch: Watch | None = None
        for known in self.watches.values():
            # RFC 3515 2.4.6: the id may be left out for the first REFER in a dialog.
            if identity == known.exchange.request.cseq.number or (identity < 0 and watch is None):
                watch = known
        if watch is None:
            # A subscription that has ended, or that was never wanted.
            session.tu.respond(server, request, 481, "", now)
            return True
        state = read_subscription_state(request)
        session.tu.respond(server, request, 200, "", now)
        status, reason = status_of_fragment(request.body)
        watch.status = status or watch.status
        final = state.state == "terminated" or status >= 200
        if final:
            if watch.exchange.status == 0:
                self.told[watch.exchange] = None
            self._forget(session, watch.exchange, now)
        else:
            seconds = state.expires if 0 < state.expires < LONGEST_WATCH else LONGEST_WATCH
            watch.until = now + seconds + FIRST_NOTIFY
            self._arm(session, now)
        session.tu.tell(ReferProgress(session, watch.status, reason or state.reason, final, watch.exchange))
        return True

    def _forget(self, session: Session, exchange: Exchange, now: float) -> None:
        self.watches.pop(exchange, None)
        self._arm(session, now)
        if not self.watches:
            session.forget_if_closed(now)

    def _arm(self, session: Session, now: float) -> None:
        session.timers.clear(WATCH)
        ends = [watch.until for watch in self.watches.values()]
        if ends:
            session.timers.set(WATCH, min(ends) - now, now, session.tu.layer.timers)

    def overdue(self, session: Session, now: float) -> None:
        """No NOTIFY in time: nobody will say any more what became of it."""
        for exchange, watch in list(self.watches.items()):
            if watch.until <= now + 0.01:
                self._forget(session, exchange, now)
                session.tu.tell(ReferProgress(session, 408, "no more is heard of it", True, exchange))
        self._arm(session, now)

    # the peer's ------------------------------------------------------------------------------------------------------

    def referred(self, session: Session, server: Transaction, request: Request, dialog: Dialog, now: float) -> None:
        """A REFER has come. Raises ParseError."""
        if len(self.referrals) >= MOST_REFERRALS:
            session.tu.respond(server, request, 503, "", now, "", [("Retry-After", "10")])
            return
        referral = Referral(session.tu, session.profile, server, request, dialog, session)
        self.referrals[referral] = None
        referral.begin(now)
        session.tu.tell(Referred(session, referral.refer_to, referral.referred_by, referral, request))

    def subscribed(self, server: Transaction, request: Request, now: float) -> bool:
        """A SUBSCRIBE has come: whether it is for one of the peer's REFERs, and is answered. Raises ParseError."""
        package, identity = event_identity(request)
        if package != "refer":
            return False
        for referral in self.referrals:
            if identity < 0 or identity == referral.request.cseq.number:
                referral.subscribe(server, request, now)
                return True
        return False

    def stop(self, now: float) -> None:
        """The session is over: what was not answered is."""
        for referral in list(self.referrals):
            referral.reject(487, now)
