"""Who answers a request by himself and has given his tag away before: all responses to a request carry the same."""

from __future__ import annotations

from ringback.sip.timers import Timed


class Answerer(Timed):
    """The user of a server transaction whose To tag is fixed.

    8.2.6.2: "the same tag MUST be used for all responses to that request, both final and provisional (again excepting
    the 100 (Trying))", so the stack takes it when it answers a CANCEL and what it cancels.
    """

    __slots__ = ("tag",)

    def __init__(self, tag: str) -> None:
        self.tag: str = tag
