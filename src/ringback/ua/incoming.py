"""Requests that are about no call: OPTIONS is answered, what a program handles is handed to it, the rest is refused.

Nothing that strangers send costs more than its answer: what takes sockets is done once, and handlers have a bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Protocol

from ringback.media.backend import MediaBackend, MediaError, MediaPreferences
from ringback.sip.description import DESCRIPTION, is_acceptable
from ringback.sip.message import Headers, Request
from ringback.sip.parser import METHODS
from ringback.sip.profile import Profile
from ringback.sip.session_events import Requested
from ringback.sip.transport import Flow
from ringback.sip.user_agent import UserAgentCore
from ringback.ua.capabilities import describe_media

__all__ = ["IncomingRequests", "Owner", "Received", "RequestHandler"]

#: Requests that handlers work on at a time; more are told to come back.
_MOST_HANDLED: Final = 256


class Owner(Protocol):
    """What is needed of the agent; each is as `ringback.ua.host.Host` has it."""

    @property
    def core(self) -> UserAgentCore: ...
    @property
    def media(self) -> MediaBackend: ...
    @property
    def profile(self) -> Profile: ...
    def now(self) -> float: ...
    def turn(self) -> None: ...
    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]: ...
    def preferences_for(self, target: str) -> MediaPreferences: ...


class Received:
    """A request outside of calls that has come, for a handler (`UserAgent.handle`)."""

    def __init__(self, owner: Owner, event: Requested) -> None:
        self.request: Request = event.request
        self.flow: Flow = event.flow
        self.answered = False
        self._owner = owner
        self._event = event

    def respond(self, status: int, reason: str = "", headers: Headers | None = None, body: bytes = b"") -> bool:
        """Answer it; False when it is too late, or was answered before."""
        owner, event = self._owner, self._event
        if status >= 200:
            if self.answered:
                return False
            self.answered = True
        sent = owner.core.respond(event.server, event.request, status, owner.now(), reason, headers, body)
        owner.turn()
        return sent


RequestHandler = Callable[[Received], Awaitable[None]]


class IncomingRequests:
    """The requests that come to one agent besides calls.

    takers  how many take calls at the moment: without any, OPTIONS is answered as a call would be, with 480
    ending  whether the agent is being closed
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self.takers = 0
        self.ending = False
        self._handlers: dict[str, RequestHandler] = {}
        self._handled = 0
        #: What Allow says for the sake of handlers alone.
        self._allowed: set[str] = set()
        self._core: UserAgentCore | None = None
        self._described: bytes | None = None
        self._askers: list[Requested] = []

    def opened(self, core: UserAgentCore) -> None:
        """The agent is open: Allow says from now on what is handled."""
        self._core = core
        core.tu.methods = [method for method in core.tu.methods if method != "MESSAGE"]
        self._allow(*self._handlers)

    def handle(self, method: str, handler: RequestHandler | None) -> None:
        """Have requests of a method handled; None: refused again."""
        if handler is not None:
            self._handlers[method] = handler
            self._allow(method)
        else:
            self._handlers.pop(method, None)
            if method in self._allowed and self._core is not None:
                self._allowed.remove(method)
                self._core.tu.methods.remove(method)

    def _allow(self, *methods: str) -> None:
        if self._core is not None:
            more = [method for method in methods if method not in self._core.tu.methods]
            self._core.tu.methods += more
            self._allowed.update(more)

    def requested(self, event: Requested) -> None:
        """One has come."""
        request = event.request
        method = request.method
        handler = self._handlers.get(method)
        if handler is not None:
            if self._handled >= _MOST_HANDLED:
                self._respond(event, 503, [("Retry-After", "10")])
                return
            self._handled += 1
            task = self._owner.spawn(self._handle(handler, Received(self._owner, event)), f"handle {method}")
            task.add_done_callback(self._handler_ended)
        elif method == "OPTIONS":
            self._asked_for_options(event)
        elif method in ("NOTIFY", "SUBSCRIBE"):
            # RFC 6665 4.1.3: a NOTIFY that matches no subscription is answered with 481; 8.2.1 of it: an event package
            # that is not supported, with 489.
            self._respond(event, 481 if method == "NOTIFY" else 489, [])
        elif method in METHODS:
            # 8.2.1: "it MUST generate a 405 (Method Not Allowed) response … The UAS MUST also add an Allow header".
            self._respond(event, 405, [])
        else:
            # 21.5.2: "when a UAS does not recognize the request method and is not capable of supporting it for any
            # user".
            self._respond(event, 501, [("Allow", ", ".join(self._owner.core.tu.methods))])

    def _respond(self, event: Requested, status: int, headers: Headers, body: bytes = b"") -> None:
        self._owner.core.respond(event.server, event.request, status, self._owner.now(), "", headers, body)
        self._owner.turn()

    def _handler_ended(self, task: asyncio.Task[None]) -> None:
        self._handled -= 1

    async def _handle(self, handler: RequestHandler, received: Received) -> None:
        try:
            await handler(received)
        except Exception:
            received.respond(500)
            raise
        finally:
            received.respond(503 if self.ending else 200)

    def _asked_for_options(self, event: Requested) -> None:
        if not self.takers:
            # 11.2: "the same that would have been chosen had the request been an INVITE".
            self._respond(event, 480, self._abilities())
        elif self._described is not None or not is_acceptable(event.request, DESCRIPTION):
            self._answer_options(event)
        elif len(self._askers) < _MOST_HANDLED:
            self._askers.append(event)
            if len(self._askers) == 1:
                self._owner.spawn(self._describe(), "answer OPTIONS")

    def _abilities(self) -> Headers:
        tu = self._owner.core.tu
        return [
            ("Allow", ", ".join(tu.methods)),
            ("Accept", ", ".join(tu.accept)),
            ("Supported", ", ".join(tu.option_tags(self._owner.profile))),
        ]

    async def _describe(self) -> None:
        """Say what media there can be. It takes sockets to find out, so it is done once, for all who ask."""
        try:
            self._described = await describe_media(self._owner.media, self._owner.preferences_for(""))
        except MediaError:
            self._described = b""
        finally:
            askers, self._askers = self._askers, []
            for event in askers:
                self._answer_options(event)

    def _answer_options(self, event: Requested) -> None:
        body = self._described if is_acceptable(event.request, DESCRIPTION) else b""
        self._respond(event, 200, [("Content-Type", DESCRIPTION)] if body else [], body or b"")
