"""A user agent's core: it hands what the stack tells to sessions and exchanges (RFC 3261 sections 6, 8 and 12).

    core = UserAgentCore(stack, token, "Ringback")
    core.profiles.append(profile)              who is called here
    core.handle(event, now)                    an event of the stack; False when it is not ours
    core.take()                                what its user is told, in order
    session = core.invite(profile, uri, body, now)
    core.located(exchange, flows, now)         the answer to `Locate`

It dispatches, checks what 8.2 has every request checked for, and holds the tables within their bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.description import DESCRIPTION, is_acceptable, refusal_of_body
from ringback.sip.dialog import Dialog, dialog_from_request, key_of_request
from ringback.sip.exchange import TELL, Exchange
from ringback.sip.message import Headers, Request, Response
from ringback.sip.profile import RELIABLE_NONE, RELIABLE_REQUIRED, Profile
from ringback.sip.refer import Referral
from ringback.sip.replaces import REPLACES, reference_of
from ringback.sip.requests import Claim, complete
from ringback.sip.session import Session
from ringback.sip.session_events import Completed, CoreEvent, Offered, Referred, Requested
from ringback.sip.session_incoming import IncomingSession
from ringback.sip.session_kinds import ESTABLISHED, OUTGOING
from ringback.sip.session_outgoing import OutgoingSession, check_target
from ringback.sip.session_requests import abilities, unsupported
from ringback.sip.session_timer import SessionTimer
from ringback.sip.stack import Answered, Cancelled, Event, Expired, Incoming, Stack
from ringback.sip.status import warning
from ringback.sip.timers import T64
from ringback.sip.transaction import Transaction
from ringback.sip.transaction_user import Brief, TransactionUser
from ringback.sip.transport import Flow
from ringback.sip.uri import parse_uri
from ringback.sip.uri_headers import honoured_headers

MOST_SESSIONS: Final = 10_000
MOST_EXCHANGES: Final = 20_000
#: Requests that wait for the user.
MOST_HANDED: Final = 10_000


class UserAgentCore:
    """The user agents on one stack.

    profiles       who is called here: the Request-URI of a call decides, by its user part
    default        who takes calls for anybody else, or None: they are refused with 404
    most_sessions  sessions at a time; a call above that is refused with 503
    most_exchanges, most_handed  requests of ours at a time, and such of others that wait for our user
    tu             what its parts share: `accept`, `methods`, `packages` may be changed there
    """

    __slots__ = ("default", "most_exchanges", "most_handed", "most_sessions", "profiles", "stack", "tu")

    def __init__(self, stack: Stack, token: Callable[[], str], agent: str = "Ringback") -> None:
        """`token` gives 32 random hexadecimal digits, other ones each time (`secrets.token_hex(16)`)."""
        self.stack: Stack = stack
        self.tu: TransactionUser = TransactionUser(stack, token, agent)
        self.profiles: list[Profile] = []
        self.default: Profile | None = None
        self.most_sessions: int = MOST_SESSIONS
        self.most_exchanges: int = MOST_EXCHANGES
        self.most_handed: int = MOST_HANDED

    # what its user does ----------------------------------------------------------------------------------------------

    def take(self) -> list[CoreEvent]:
        """What is to be told, in order; the list is the caller's from now on.

        To be asked after `handle`, and after every command to the core, a session or an exchange.
        """
        self._settle()
        events = self.tu.events
        if events:
            self.tu.events = []
        return events

    def _settle(self) -> None:
        """Tell the users of exchanges that have ended without the network."""
        while self.tu.finished:
            finished = self.tu.finished
            self.tu.finished = []
            for exchange, now in finished:
                self._up(exchange, None, exchange.status, now)

    def invite(
        self,
        profile: Profile,
        target: str,
        body: bytes,
        now: float,
        headers: Headers | None = None,
        replaces: Session | None = None,
        join: Session | None = None,
        referral: Referral | None = None,
        call_id: str = "",
    ) -> Session:
        """Call somebody. `body` is our offer, b"" to have the callee offer.

        target    a SIP, SIPS or tel URI; headers in it are honoured where they are harmless (19.1.5), as Replaces is
        replaces  a session whose peer is called in its place (RFC 3891); join: that is joined (RFC 3911)
        referral  the REFER that this call comes of: its sender is told how it fares, and its Referred-By goes along

        Raises ParseError for a target that cannot be read, LocalError for one that cannot be called or when there are
        too many sessions.
        """
        uri = parse_uri(target)
        check_target(uri)
        if len(self.tu.sessions) >= self.most_sessions or len(self.tu.exchanges) >= self.most_exchanges:
            raise LocalError("too many sessions")
        whole = honoured_headers(uri) + (headers or [])
        if replaces is not None:
            whole.append(("Replaces", str(replaces.reference())))
        if join is not None:
            whole.append(("Join", str(join.reference())))
        if referral is not None and referral.referred_by:
            # RFC 3892 2.2: "The refer target … is sent … the Referred-By header field value … copied into" the request.
            whole.append(("Referred-By", referral.referred_by))
        session = OutgoingSession(self.tu, profile, uri, whole, body, call_id or self.tu.token(), referral)
        session.call(now)
        return session

    def request(self, request: Request, profile: Profile, now: float, dialog: Dialog | None = None) -> Exchange:
        """Send any request; its end is told by `Completed`.

        `request` needs no Via; outside of a dialog From, To, Call-ID, CSeq, Max-Forwards, Route (but to a REGISTER) and
        User-Agent are added where it has none. Within one it is to be built by `Dialog.request`.
        """
        if len(self.tu.exchanges) >= self.most_exchanges:
            raise LocalError("too many requests")
        if dialog is None:
            complete(self.tu, request, profile)
        exchange = Exchange(self.tu, request, profile, dialog)
        exchange.start(now)
        return exchange

    def located(self, exchange: Exchange, flows: list[Flow], now: float) -> None:
        """The answer to a `Locate`: destinations in order, none when there are none."""
        exchange.located(flows, now)

    def respond(
        self,
        server: Transaction,
        request: Request,
        status: int,
        now: float,
        reason: str = "",
        headers: Headers | None = None,
        body: bytes = b"",
    ) -> bool:
        """Answer a `Requested`; False when it is too late. A 2xx to OPTIONS, and a 405, say what we are able to do."""
        given = list(headers or [])
        if (request.method == "OPTIONS" and status < 300) or status == 405:
            known = {name.lower() for name, _ in given}
            profile = self.profile_for(request)
            for name, value in abilities(self.tu, profile, b"", True):
                if name.lower() not in known:
                    given.append((name, value))
            if request.method == "OPTIONS" and "accept" not in known:
                # 11.2: "Allow, Accept, Accept-Encoding, Accept-Language, and Supported header fields SHOULD be
                # present in a 200 (OK) response to an OPTIONS request."
                given.append(("Accept", ", ".join(self.tu.accept)))
        return self.tu.respond(server, request, status, self.tu.new_tag(), now, reason, given, body)

    def claim(self, dialog: Dialog) -> None:
        """Have the requests of a dialog that is no session's come as `Requested` (a subscription's, RFC 6665)."""
        self.tu.dialogs[dialog.key] = Claim(dialog)

    def release(self, dialog: Dialog) -> None:
        """Such a dialog is over: its requests are answered with 481."""
        self.tu.dialogs.pop(dialog.key, None)

    def refer_accept(self, token: Referral, now: float) -> None:
        """We will call whom a `Referred` names: 202, and the first NOTIFY."""
        token.accept(now)

    def refer_reject(self, token: Referral, now: float, status: int = 603) -> None:
        """We will not."""
        token.reject(status, now)

    def refer_progress(self, token: Referral, status: int, reason: str, now: float) -> None:
        """Tell how the call fares; a status of 200 or more is the last. `invite` with `referral` does it by itself."""
        token.progress(status, reason, now)

    def knows(self, request: Request) -> bool:
        """Whether a received request belongs to a dialog of this core: for who shares a stack with others."""
        return bool(request.to_tag) and key_of_request(request) in self.tu.dialogs

    # what the stack tells --------------------------------------------------------------------------------------------

    def handle(self, event: Event, now: float) -> bool:
        """Take an event of the stack; False when it is about something that is not of this core."""
        if isinstance(event, Incoming):
            self._incoming(event, now)
        elif isinstance(event, Answered):
            exchange = event.client.user
            if not isinstance(exchange, Exchange):
                return False
            self._answered(exchange, event, now)
        elif isinstance(event, Cancelled):
            session = event.server.user
            if not isinstance(session, Session):
                return False
            session.cancelled(event.server, event.reasons, now)
            if isinstance(session, IncomingSession):
                # Who tries the next target in his list may come here again: what was given up is not ongoing.
                self.tu.seen.pop(initial_key(session.request), None)
        elif isinstance(event, Expired):
            if not self._expired(event, now):
                return False
        else:
            return False
        self._settle()
        return True

    def _answered(self, exchange: Exchange, event: Answered, now: float) -> None:
        response = event.response
        try:
            if response is None:
                outcome = exchange.failed(event.client, event.status, now)
            else:
                outcome = exchange.receive(event.client, response, now)
            if outcome == TELL:
                self._up(exchange, response, event.status if response is not None else exchange.status, now)
        except ParseError:
            # A response that cannot be read is none (8.1.3): if it was the only one, a timer tells.
            return

    def _up(self, exchange: Exchange, response: Response | None, status: int, now: float) -> None:
        user = exchange.user
        if isinstance(user, Session):
            user.answered(exchange, response, status, now)
        elif isinstance(user, Referral):
            user.answered(exchange, status, now)
        elif status >= 200:
            self.tu.tell(Completed(exchange, response, status))

    def _expired(self, event: Expired, now: float) -> bool:
        owner = event.owner
        if isinstance(owner, Session):
            owner.fired(event.outcome, now)
        elif isinstance(owner, Exchange):
            if owner.fired(now) == TELL:
                self._up(owner, None, owner.status, now)
        elif isinstance(owner, Referral):
            owner.fired(event.outcome, now)
        elif isinstance(owner, Brief):
            self._brief_over(owner)
        else:
            return False
        return True

    def _brief_over(self, brief: Brief) -> None:
        if brief.table.get(brief.key) is brief:
            del brief.table[brief.key]
            if brief.server is not None:
                # Nobody has answered in time, and the client has given up (RFC 4320 4.2).
                self.tu.layer.give_up(brief.server)

    # requests --------------------------------------------------------------------------------------------------------

    def _incoming(self, event: Incoming, now: float) -> None:
        request = event.request
        server = event.server
        try:
            if server is None:
                owner = self.tu.dialogs.get(key_of_request(request))
                if isinstance(owner, Session):
                    owner.acked(request, now)
            elif request.to_tag:
                self._within(server, request, event.flow, now)
            else:
                self._outside(server, request, event.flow, now)
        except ParseError as error:
            if server is not None:
                self.tu.respond(server, request, error.status, self.tu.new_tag(), now, "", [warning(str(error))])

    def _within(self, server: Transaction, request: Request, flow: Flow, now: float) -> None:
        """A request of a dialog (12.2.2)."""
        owner = self.tu.dialogs.get(key_of_request(request))
        if isinstance(owner, Session):
            owner.received(server, request, flow, now)
        elif isinstance(owner, Referral):
            owner.received(server, request, now)
        elif isinstance(owner, Claim):
            if not owner.dialog.takes(request):
                self.tu.respond(server, request, 500, "", now)
                return
            self._hand_up(server, request, flow, now)
        else:
            # "If the UAS wishes to reject the request because it does not wish to recreate the dialog, it MUST respond
            # to the request with a 481 (Call/Transaction Does Not Exist) status code".
            self.tu.respond(server, request, 481, "", now)

    def _outside(self, server: Transaction, request: Request, flow: Flow, now: float) -> None:
        """A request that begins something, or stands alone (8.2)."""
        tu = self.tu
        method = request.method
        which = initial_key(request)
        if which in tu.seen:
            # 8.2.2.2: "If the request has no tag in the To header field, the UAS core MUST check the request against
            # ongoing transactions. If the From tag, Call-ID, and CSeq exactly match those associated with an ongoing
            # transaction, but the request does not match that transaction …, the UAS core SHOULD generate a 482".
            tu.respond(server, request, 482, tu.new_tag(), now)
            return
        if method in ("BYE", "PRACK", "UPDATE", "INFO"):
            # 15.1.2: "a BYE sent without tags by a UAC will be rejected"; so are others that need a dialog.
            tu.respond(server, request, 481, tu.new_tag(), now)
            return
        tu.remember(tu.seen, which, T64, now)
        refused = self._refusal(request)
        if refused is not None:
            tu.respond(server, request, refused[0], tu.new_tag(), now, "", refused[1])
        elif method == "INVITE":
            self._invited(server, request, flow, now)
        elif method == "REFER":
            self._referred(server, request, flow, now)
        else:
            self._hand_up(server, request, flow, now)

    def _refusal(self, request: Request) -> tuple[int, Headers] | None:
        if request.target.scheme not in ("sip", "sips", "tel"):
            # 8.2.2.1: "If the Request-URI uses a scheme not supported by the UAS, it SHOULD reject the request with a
            # 416 (Unsupported URI Scheme) response."
            return 416, []
        missing = unsupported(self.tu, request, self.profile_for(request))
        if missing:
            return 420, [("Unsupported", ", ".join(missing))]
        return None

    def _hand_up(self, server: Transaction, request: Request, flow: Flow, now: float) -> None:
        if len(self.tu.handed) >= self.most_handed:
            self.tu.respond(server, request, 503, self.tu.new_tag(), now, "", [("Retry-After", "10")])
            return
        self.tu.remember(self.tu.handed, server.key, T64, now, server)
        self.tu.tell(Requested(server, request, flow))

    def profile_for(self, request: Request) -> Profile | None:
        """Who is meant by a request: by the user part of the Request-URI, then by To; else whoever takes all."""
        for uri in (request.target, request.to.uri):
            for profile in self.profiles:
                if uri.user and uri.user in (parse_uri(profile.contact).user, profile.address.uri.user):
                    return profile
        return self.default

    def _invited(self, server: Transaction, request: Request, flow: Flow, now: float) -> None:
        """A call (13.3.1)."""
        tu = self.tu
        profile = self.profile_for(request)
        refused = self._refusal_of_call(request, profile)
        if refused is None and profile is not None:
            named = self._named(request)
            if isinstance(named, int):
                refused = named, []
            else:
                session = IncomingSession(tu, profile, server, request, flow)
                if named is not None:
                    if "replaces" in request.names:
                        session.replaces = named
                    else:
                        session.joins = named
                session.begin(now)
                tu.tell(Offered(session))
        if refused is not None:
            tu.respond(server, request, refused[0], tu.new_tag(), now, "", refused[1])

    def _refusal_of_call(self, request: Request, profile: Profile | None) -> tuple[int, Headers] | None:
        tu = self.tu
        if profile is None:
            # 8.2.2.1: "If … the Request-URI does not identify an address that the UAS is willing to accept requests
            # for, it SHOULD reject the request with a 404 (Not Found) response."
            return 404, []
        if len(tu.sessions) >= self.most_sessions:
            return 503, [("Retry-After", "10")]
        able = "100rel" in request.tokens("supported") or "100rel" in request.tokens("require")
        if profile.reliable == RELIABLE_REQUIRED and not able:
            # RFC 3261 21.4.16: "The UAS needs a particular extension to process the request, but this extension is not
            # listed in a Supported header field in the request."
            return 421, [("Require", "100rel")]
        if profile.reliable == RELIABLE_NONE and "100rel" in request.tokens("require"):
            return 420, [("Unsupported", "100rel")]
        body = refusal_of_body(request, tu.accept)
        if body is not None:
            return body
        if not is_acceptable(request, DESCRIPTION):
            return 406, []
        interval = SessionTimer().refusal(request, profile)
        if interval is not None:
            return 422, interval
        return None

    def _named(self, request: Request) -> Session | int | None:
        """The session that Replaces or Join names, None without one, or the status to refuse with.

        Raises ParseError.
        """
        found = reference_of(request)
        if found is None:
            return None
        which, reference = found
        session = self.tu.dialogs.get(reference.key)
        if not isinstance(session, Session):
            # 3891 section 3: "If the Replaces header field matches a dialog which has already terminated, the UA SHOULD
            # decline the request with a 603 Declined response", and 481 when there is none.
            return 603 if reference.key in self.tu.ended else 481
        if session.is_over:
            return 603
        if which != REPLACES:
            return session
        if session.state == ESTABLISHED:
            # "If the flag is present, the UA rejects the request with a 486 Busy response."
            return 486 if reference.early_only else session
        # "If the Replaces header field matches an early dialog that was not initiated by this UA, it returns a 481".
        return session if session.direction == OUTGOING else 481

    def _referred(self, server: Transaction, request: Request, flow: Flow, now: float) -> None:
        """A REFER outside of any dialog: its subscription makes one."""
        profile = self.profile_for(request)
        if profile is None:
            self.tu.respond(server, request, 404, self.tu.new_tag(), now)
            return
        if len(self.tu.dialogs) >= self.most_sessions:
            self.tu.respond(server, request, 503, self.tu.new_tag(), now, "", [("Retry-After", "10")])
            return
        dialog = dialog_from_request(request, self.tu.new_tag())
        dialog.early = False
        dialog.by_flow = profile.flow is not None and profile.flow.key() == flow.key()
        referral = Referral(self.tu, profile, server, request, dialog, None)
        self.tu.dialogs[dialog.key] = referral
        referral.begin(now)
        self.tu.tell(Referred(None, referral.refer_to, referral.referred_by, referral, request))


def initial_key(request: Request) -> str:
    """What a copy of an initial request that has come by another way has in common with it (8.2.2.2)."""
    return f"{request.from_tag}\n{request.call_id}\n{request.cseq.number} {request.method}"
