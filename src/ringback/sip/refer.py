"""REFER and its implicit subscription (RFC 3515, 4488, 3892): being asked to call somebody, and asking for it.

`Referral` is a REFER that has come, and tells its sender how far we are:

    state    event                       next    action
    -------  --------------------------  ------  --------------------------------------------------------
    asked    accept                      active  202, NOTIFY "100 Trying", active
             accept, no subscription     done    200 with Refer-Sub: false (RFC 4488)
             reject, nothing for 20 s    done    3xx to 6xx
    active   progress below 200          active  NOTIFY, active
             progress of 200 or more     done    NOTIFY, terminated;reason=noresource
             time is over                done    NOTIFY, terminated;reason=timeout
             SUBSCRIBE                   active  200, NOTIFY; with Expires 0 as if time were over
             NOTIFY is refused           done

One NOTIFY is under way at a time; of what happens meanwhile the last is told next.

`Watch` is a REFER of ours, for as long as NOTIFYs may come for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ringback.errors import ParseError
from ringback.sip.alarms import Alarms
from ringback.sip.dialog import Dialog
from ringback.sip.exchange import Exchange
from ringback.sip.grammar import short_number, split_parameters
from ringback.sip.headers import parse_name_addr
from ringback.sip.message import Headers, Message, Request, Response
from ringback.sip.profile import Profile
from ringback.sip.session_requests import build, contact_for
from ringback.sip.status import reason_phrase
from ringback.sip.timers import Send, Timed, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transaction_user import TransactionUser

if TYPE_CHECKING:
    from ringback.sip.session import Session

ASKED: Final = "asked"
ACTIVE: Final = "active"
DONE: Final = "done"

#: Seconds that a REFER may wait for the user, whose approval is asked for (2.4.2): its client gives up after 32.
ANSWER_WITHIN: Final = 20.0
#: Seconds of the subscription when nothing else is said; a call that rings longer is rare.
SUBSCRIPTION: Final = 180
LONGEST_SUBSCRIPTION: Final = 3600
SIPFRAG: Final = "message/sipfrag;version=2.0"

_UNANSWERED: Final = 1
_EXPIRED: Final = 2


class Referral(Timed):
    """A REFER that has come.

    refer_to     the URI to call, as it was written
    referred_by  the value of Referred-By, or ""
    subscribed   whether its sender wants to hear of it
    """

    __slots__ = (
        "_end", "_identity", "_next", "_notify", "_reason", "_status", "_tag", "_timers", "_tu", "dialog", "profile",
        "refer_to", "referred_by", "request", "server", "session", "state", "subscribed",
    )  # fmt: skip

    def __init__(
        self,
        tu: TransactionUser,
        profile: Profile,
        server: Transaction,
        request: Request,
        dialog: Dialog,
        session: Session | None,
    ) -> None:
        self.refer_to: str = read_refer_to(request)
        referred_by = request.header("referred-by")
        # It is copied into the call, so it is written anew.
        self.referred_by: str = str(parse_name_addr(referred_by)) if referred_by else ""
        self._tu: TransactionUser = tu
        self.profile: Profile = profile
        self.server: Transaction = server
        self.request: Request = request
        self.dialog: Dialog = dialog
        self.session: Session | None = session
        self.state: str = ASKED
        # RFC 4488 section 4: with Refer-Sub "set to "false"" its sender asks that there be no implicit subscription.
        self.subscribed: bool = (request.header("refer-sub") or "true").partition(";")[0].strip().lower() != "false"
        self._tag: str = dialog.local_tag
        #: RFC 3515 2.4.6: the id in Event is "the sequence number (the number from the CSeq header field value) of the
        #: REFER this NOTIFY is associated with".
        self._identity: int = request.cseq.number
        self._timers: Alarms = Alarms(self)
        self._notify: Exchange | None = None
        #: Whether something is to be told when the NOTIFY that is under way is answered.
        self._next: bool = False
        self._status: int = 100
        self._reason: str = reason_phrase(100)
        #: Why the subscription ends, "" while it goes on.
        self._end: str = ""

    def begin(self, now: float) -> None:
        """The user is asked."""
        self._timers.set(_UNANSWERED, ANSWER_WITHIN, now, self._tu.layer.timers)

    def accept(self, now: float) -> None:
        """We will call; nothing when the REFER was answered before."""
        if self.state != ASKED:
            return
        self._timers.stop()
        headers: Headers = [("Contact", contact_for(self.profile.contact, self.dialog.secure))]
        if not self.subscribed:
            # "If the REFER-Recipient supports the extension and is willing to process the REFER transaction without
            # establishing an implicit subscription, it MUST insert the "Refer-Sub" header field set to "false" in the
            # 2xx response to the REFER-Issuer."
            headers.append(("Refer-Sub", "false"))
            self._respond(200, headers, now)
            self._done()
            return
        self.state = ACTIVE
        self._respond(202, headers, now)
        self._timers.set(_EXPIRED, float(SUBSCRIPTION), now, self._tu.layer.timers)
        # 2.4.4: "The creation of a subscription as defined by [2] always results in an immediate NOTIFY."
        self._tell(now)

    def reject(self, status: int, now: float) -> None:
        """We will not call; nothing when the REFER was answered before."""
        if self.state == ASKED:
            self._respond(status, [], now)
            self._done()

    def _respond(self, status: int, headers: Headers, now: float) -> None:
        self._tu.respond(self.server, self.request, status, self._tag, now, "", headers)

    def progress(self, status: int, reason: str, now: float) -> None:
        """How far the call has come; with 200 or more that is the last that is told."""
        if self.state != ACTIVE or self._end:
            return
        self._status = status
        self._reason = reason or reason_phrase(status)
        if status >= 200:
            # 2.4.7: "The final NOTIFY sent in response to a REFER MUST indicate the subscription has been "terminated"
            # with a reason of "noresource"."
            self._end = "noresource"
        self._tell(now)

    def _tell(self, now: float) -> None:
        if self._notify is not None:
            self._next = True
            return
        self._next = False
        left = max(1, int(self._timers.left(_EXPIRED, now)))
        state = f"terminated;reason={self._end}" if self._end else f"active;expires={left}"
        headers: Headers = [("Event", f"refer;id={self._identity}"), ("Subscription-State", state)]
        body = f"SIP/2.0 {self._status} {self._reason}\r\n".encode("utf-8", "surrogateescape")
        request = build(self._tu, self.profile, "NOTIFY", self.dialog, headers, body, SIPFRAG)
        self._notify = Exchange(self._tu, request, self.profile, self.dialog, self)
        self._notify.start(now)

    def answered(self, exchange: Exchange, status: int, now: float) -> None:
        """A response has come to a NOTIFY."""
        if exchange is not self._notify or status < 200:
            return
        self._notify = None
        if status >= 300 and status != 500 and status != 503:
            # RFC 6665 4.2.2: after such a response "the notifier MUST remove the corresponding subscription".
            self._done()
        elif self._next:
            self._tell(now)
        elif self._end:
            self._done()

    def received(self, server: Transaction, request: Request, now: float) -> None:
        """A request in the dialog that a REFER outside of any has made. Raises ParseError."""
        if not self.dialog.takes(request):
            self._tu.respond(server, request, 500, "", now)
        elif request.method == "SUBSCRIBE":
            self.subscribe(server, request, now)
        else:
            self._tu.respond(server, request, 481 if request.method in ("BYE", "INVITE") else 405, "", now)

    def subscribe(self, server: Transaction, request: Request, now: float) -> None:
        """A SUBSCRIBE that prolongs or ends the subscription."""
        seconds = request.number("expires")
        granted = SUBSCRIPTION if seconds is None else min(seconds, LONGEST_SUBSCRIPTION)
        if self.state != ACTIVE or self._end:
            self._tu.respond(server, request, 481, "", now)
            return
        contact = ("Contact", contact_for(self.profile.contact, self.dialog.secure))
        self._tu.respond(server, request, 200, "", now, "", [("Expires", str(granted)), contact])
        if granted:
            self._timers.set(_EXPIRED, float(granted), now, self._tu.layer.timers)
        else:
            self._end = "timeout"
        self._tell(now)

    def expired(self, timer: int, now: float, timers: Timers, sends: list[Send]) -> int:
        """One of its alarms; the core calls `fired`."""
        return self._timers.expired(timer, now, timers)

    def fired(self, kind: int, now: float) -> None:
        """An alarm has gone off."""
        if kind == _UNANSWERED:
            self.reject(480, now)
        elif kind == _EXPIRED and not self._end:
            self._end = "timeout"
            self._tell(now)

    def _done(self) -> None:
        self.state = DONE
        self._timers.stop()
        key = self.dialog.key
        if self._tu.dialogs.get(key) is self:
            del self._tu.dialogs[key]
        if self.session is not None:
            self.session.referrals.referrals.pop(self, None)
            self.session = None


class Watch:
    """A REFER of ours and the subscription that it has opened; `until` is when we stop waiting for a NOTIFY."""

    __slots__ = ("exchange", "status", "until")

    def __init__(self, exchange: Exchange, until: float) -> None:
        self.exchange: Exchange = exchange
        self.status: int = 100
        self.until: float = until


def read_refer_to(request: Request) -> str:
    """The URI of Refer-To. Raises ParseError: "A REFER request MUST contain exactly one Refer-To header field value"
    (2.4.1)."""
    values = request.split("refer-to")
    if len(values) != 1:
        raise ParseError(f"{len(values)} Refer-To where one is needed")
    return parse_name_addr(values[0]).uri.text


def refer_headers(refer_to: str, referred_by: str, subscribe: bool) -> Headers:
    """The headers of a REFER of ours."""
    headers: Headers = [("Refer-To", f"<{refer_to}>")]
    if referred_by:
        headers.append(("Referred-By", referred_by))
    if not subscribe:
        headers.append(("Refer-Sub", "false"))
    return headers


def without_subscription(response: Response) -> bool:
    """Whether a 2xx to a REFER says that there is no subscription (RFC 4488 section 4)."""
    return (response.header("refer-sub") or "").partition(";")[0].strip().lower() == "false"


def event_identity(message: Message) -> tuple[str, int]:
    """The package of an Event header in lower case, and its id as a number (-1 without one). Raises ParseError."""
    parts = split_parameters(message.header("event") or "")
    identity = -1
    for part in parts[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "id":
            identity = short_number(value.strip())
    return parts[0].lower(), identity


class SubscriptionState:
    """The value of Subscription-State (RFC 6665 8.2.3): state, reason, and seconds (-1 when it does not say)."""

    __slots__ = ("expires", "reason", "state")

    def __init__(self, state: str, reason: str, expires: int) -> None:
        self.state: str = state
        self.reason: str = reason
        self.expires: int = expires


def read_subscription_state(message: Message) -> SubscriptionState:
    """The Subscription-State of a NOTIFY. Raises ParseError."""
    parts = split_parameters(message.required("subscription-state"))
    state = SubscriptionState(parts[0].lower(), "", -1)
    for part in parts[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "reason":
            state.reason = value.strip().lower()
        elif name.strip().lower() == "expires":
            state.expires = short_number(value.strip())
    return state


def status_of_fragment(body: bytes) -> tuple[int, str]:
    """The status and reason phrase of a message/sipfrag (RFC 3420) that begins with a status line; (0, "") else."""
    line = body.lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r").decode("utf-8", "surrogateescape")[:256]
    version, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    status = short_number(code) if len(code) == 3 else 0
    if version.upper() != "SIP/2.0" or not 100 <= status <= 699:
        return 0, ""
    return status, reason
