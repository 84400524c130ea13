"""What a `UserAgentCore` tells, in order: the user's side of sessions, exchanges and requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ringback.sip.cause import Cause
from ringback.sip.message import Request, Response
from ringback.sip.transaction import Transaction
from ringback.sip.transport import Flow
from ringback.sip.uri import Uri

if TYPE_CHECKING:
    from ringback.sip.dialog import Dialog
    from ringback.sip.exchange import Exchange
    from ringback.sip.refer import Referral
    from ringback.sip.session import Session

# Kinds of a session description.
OFFER: Final = "offer"
ANSWER: Final = "answer"


class CoreEvent:
    """Something that whoever uses the core is told."""

    __slots__ = ()


class Locate(CoreEvent):
    """`uri` has to be located (RFC 3263) for `exchange`; the answer goes to `UserAgentCore.located`."""

    __slots__ = ("exchange", "uri")

    def __init__(self, exchange: Exchange, uri: Uri) -> None:
        self.exchange: Exchange = exchange
        self.uri: Uri = uri


class Offered(CoreEvent):
    """Somebody calls. `session.request.body` is the offer, b"" when we have to make one."""

    __slots__ = ("session",)

    def __init__(self, session: Session) -> None:
        self.session: Session = session


class Progressed(CoreEvent):
    """A provisional response (101 to 199) to our INVITE; a session description in it is told apart, afterwards."""

    __slots__ = ("body", "response", "session")

    def __init__(self, session: Session, response: Response, body: bytes) -> None:
        self.session: Session = session
        self.response: Response = response
        self.body: bytes = body


class DescriptionReceived(CoreEvent):
    """A session description has come that is no answer to `Session.offer` (that is `Changed`).

    kind    "offer": it has to be answered with `Session.answer` or refused; "answer": it answers ours
    early   whether it came in a provisional response, before the call was answered
    dialog  the dialog that it belongs to: after forking, each callee has one
    """

    __slots__ = ("body", "dialog", "early", "kind", "session")

    def __init__(self, session: Session, body: bytes, kind: str, early: bool, dialog: Dialog) -> None:
        self.session: Session = session
        self.body: bytes = body
        self.kind: str = kind
        self.early: bool = early
        self.dialog: Dialog = dialog


class Established(CoreEvent):
    """The call is answered: a 2xx was received or sent."""

    __slots__ = ("session",)

    def __init__(self, session: Session) -> None:
        self.session: Session = session


class Reoffered(CoreEvent):
    """The peer changes the session: answer with `Session.answer` or `Session.refuse`. `body` b"": we have to offer."""

    __slots__ = ("body", "session")

    def __init__(self, session: Session, body: bytes) -> None:
        self.session: Session = session
        self.body: bytes = body


class Changed(CoreEvent):
    """What `Session.offer` began has come to its end: a 2xx with the answer in `body`, or why all is as it was."""

    __slots__ = ("body", "reason", "session", "status")

    def __init__(self, session: Session, status: int, body: bytes, reason: str = "") -> None:
        self.session: Session = session
        self.status: int = status
        self.body: bytes = body
        self.reason: str = reason


class Referred(CoreEvent):
    """The peer asks us to call somebody (RFC 3515): `UserAgentCore.refer_accept` or `refer_reject` with `token`.

    session      the session in whose dialog the request came, None outside of any
    refer_to     the URI to call, as text; it may hold headers such as Replaces, which `UserAgentCore.invite` honours
    referred_by  the value of Referred-By (RFC 3892), or ""
    """

    __slots__ = ("refer_to", "referred_by", "request", "session", "token")

    def __init__(self, session: Session | None, refer_to: str, referred_by: str, token: Referral, request: Request):
        self.session: Session | None = session
        self.refer_to: str = refer_to
        self.referred_by: str = referred_by
        self.token: Referral = token
        self.request: Request = request


class ReferProgress(CoreEvent):
    """How far the peer has come with what `Session.refer` asked of him; told until `final`.

    status  of the call that he makes, by his NOTIFY, or of the REFER itself when it was refused (then final)
    token   what `refer` returned
    """

    __slots__ = ("final", "reason", "session", "status", "token")

    def __init__(self, session: Session | None, status: int, reason: str, final: bool, token: Exchange) -> None:
        self.session: Session | None = session
        self.status: int = status
        self.reason: str = reason
        self.final: bool = final
        self.token: Exchange = token


class InfoReceived(CoreEvent):
    """An INFO has come and was answered with 200. `package` is its Info-Package (RFC 6086), "" for none (RFC 2976)."""

    __slots__ = ("body", "content_type", "package", "session")

    def __init__(self, session: Session, content_type: str, body: bytes, package: str) -> None:
        self.session: Session = session
        self.content_type: str = content_type
        self.body: bytes = body
        self.package: str = package


class Ended(CoreEvent):
    """The call is over, told once. What is still to be cleaned up at the far end goes on by itself until `Closed`."""

    __slots__ = ("cause", "session")

    def __init__(self, session: Session, cause: Cause) -> None:
        self.session: Session = session
        self.cause: Cause = cause


class Closed(CoreEvent):
    """Nothing of the session is open any more, here or at the far end; told once, after `Ended`."""

    __slots__ = ("session",)

    def __init__(self, session: Session) -> None:
        self.session: Session = session


class Completed(CoreEvent):
    """A request sent by `UserAgentCore.request` or `Session.request` has its final answer; None when none came."""

    __slots__ = ("exchange", "response", "status")

    def __init__(self, exchange: Exchange, response: Response | None, status: int) -> None:
        self.exchange: Exchange = exchange
        self.response: Response | None = response
        self.status: int = status


class Requested(CoreEvent):
    """A request has come that the core leaves to its user: answer with `UserAgentCore.respond`, within half a minute.

    session  the session in whose dialog it came, or None
    server   its transaction
    """

    __slots__ = ("flow", "request", "server", "session")

    def __init__(self, server: Transaction, request: Request, flow: Flow, session: Session | None = None) -> None:
        self.server: Transaction = server
        self.request: Request = request
        self.flow: Flow = flow
        self.session: Session | None = session
