"""Where requests come in: counted, given what the layers need, and handed to the application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ringback.server.app import Application, Rest, ServerTransaction
from ringback.sip.parser import METHODS
from ringback.sip.stack import Incoming, Stack

#: Under which all methods are counted that nobody has registered.
OTHER: Final = "other"


class Entrance:
    """What the endpoint calls with each new request.

    application  what handles requests; another may take its place while the server runs
    aside        what does so while somebody watches (`Stack.explain`) or while `serving` is False
    """

    __slots__ = ("_counts", "_stack", "application", "aside", "serving")

    def __init__(self, stack: Stack, application: Application, aside: Callable[[ServerTransaction], Rest]) -> None:
        self.application: Application = application
        self.aside: Callable[[ServerTransaction], Rest] = aside
        self.serving: bool = False
        self._stack: Stack = stack
        self._counts: dict[str, int] = dict.fromkeys((*sorted(METHODS), OTHER), 0)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many requests have come in, by method."""
        return self._counts

    def enter(self, incoming: Incoming, now: float) -> Rest:
        """Handle one request that came at `now`, monotonic seconds."""
        method = incoming.request.method
        count = self._counts.get(method)
        if count is None:
            method = OTHER
            count = self._counts[OTHER]
        self._counts[method] = count + 1
        transaction = ServerTransaction(self._stack, incoming, now)
        if not self.serving or self._stack.explain:
            return self.aside(transaction)
        return self.application(transaction)
