"""The server as an onion of callables with one signature.

An `Application` takes a `ServerTransaction` and sees to it that it is answered or forwarded. What can be done at once
it does, and returns None; else it returns a coroutine that does the rest when what it waits for has come: most requests
need none, and a coroutine a layer costs more than the layers do. A coroutine function is an application, too. A layer
takes an application and gives another that does something before it, or instead of it. `compose` puts the layers around
the handler, the first one outermost.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from ringback.errors import ParseError
from ringback.server.stateless import refuse
from ringback.sip.message import Headers, Request
from ringback.sip.plan import Decision, Plan
from ringback.sip.route import Route
from ringback.sip.stack import Incoming, Stack
from ringback.sip.status import warning
from ringback.sip.transaction import Transaction
from ringback.sip.transport import Flow


class ServerTransaction:
    """One request on its way through the server.

    server     its transaction; None for an ACK, which is never answered
    request    the request; it is this transaction's own and may be edited
    flow       what it came by
    now        monotonic seconds
    uri        the Request-URI as it came
    route      what route pre-processing found
    user       the account that proved itself, "user@domain", or ""
    trusted    whether it came from a source that needs no credentials
    decisions  why things were done, kept when the stack explains
    """

    __slots__ = ("decisions", "flow", "now", "request", "route", "server", "stack", "trusted", "uri", "user")

    def __init__(self, stack: Stack, incoming: Incoming, now: float) -> None:
        self.stack: Stack = stack
        self.server: Transaction | None = incoming.server
        self.request: Request = incoming.request
        self.flow: Flow = incoming.flow
        self.now: float = now
        self.uri: str = incoming.request.uri
        self.route: Route = Route()
        self.user: str = ""
        self.trusted: bool = False
        self.decisions: list[Decision] = []

    def respond(
        self, status: int, reason: str = "", headers: Headers | None = None, body: bytes = b"", why: str = ""
    ) -> None:
        """Answer; `reason` is the phrase ("" the default one), `why` goes with the decision. An ACK is let drop."""
        if self.stack.explain:
            self.decisions.append(Decision(self.now, "answer", self.request.uri, status, why or reason))
        if self.server is not None:
            self.stack.respond(self.server, self.request, status, self.now, reason, headers, body)

    def forward(self, plan: Plan) -> None:
        """Forward by a plan; the stack does the rest, up to the final response."""
        if self.server is not None:
            self.stack.forward(self.server, self.request, self.flow, plan, self.now)


#: What is left of a request's handling: None when nothing is.
Rest = Coroutine[Any, Any, None] | None
Application = Callable[[ServerTransaction], Rest]
Layer = Callable[[Application], Application]


def compose(layers: Sequence[Layer], handler: Application) -> Application:
    """The handler with the layers around it, the first one outermost."""
    application = handler
    for layer in reversed(layers):
        application = layer(application)
    return application


class Errors:
    """The outermost layer: what a layer or the handler could not read is answered with the status that fits.

    Somebody who has proved nothing is answered without state.
    """

    def __init__(self, inner: Application) -> None:
        self.inner: Application = inner

    def __call__(self, transaction: ServerTransaction) -> Rest:
        """Run the inner application; a ParseError becomes a response."""
        try:
            rest = self.inner(transaction)
        except ParseError as error:
            _unreadable(transaction, error)
            return None
        return None if rest is None else _guarded(transaction, rest)


async def _guarded(transaction: ServerTransaction, rest: Coroutine[Any, Any, None]) -> None:
    try:
        await rest
    except ParseError as error:
        _unreadable(transaction, error)


def _unreadable(transaction: ServerTransaction, error: ParseError) -> None:
    refuse(transaction, error.status, headers=[warning(str(error))], why=str(error))
