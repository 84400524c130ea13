"""Where a request shall go, and why: the decision that a proxy's application hands to `forwarding`.

A plan is a list of stages, tried one after the other; the targets of a stage are tried at the same time.
"""

from __future__ import annotations

from typing import Final

from ringback.sip.route import Self
from ringback.sip.target import Target


class Stage:
    """Targets that ring together.

    seconds  how long they may ring before the next stage begins; 0 means as long as timer C allows
    """

    __slots__ = ("seconds", "targets")

    def __init__(self, targets: list[Target], seconds: float = 0.0) -> None:
        self.targets: list[Target] = targets
        self.seconds: float = seconds


#: Where somebody is reached now: [] when nowhere, None when there is no such user.
Found = list[Stage] | None


class Plan:
    """Stages of targets, and how the request is forwarded to them.

    record_route  whether later requests of the dialog shall come by here
    recurse       whether the contacts of a 3xx are tried here instead of being sent back
    element       this element, whose own addresses are not tried by recursion
    """

    __slots__ = ("element", "record_route", "recurse", "stages")

    def __init__(
        self, stages: list[Stage], record_route: bool = True, recurse: bool = False, element: Self | None = None
    ) -> None:
        self.stages: list[Stage] = stages
        self.record_route: bool = record_route
        self.recurse: bool = recurse
        self.element: Self | None = element


#: Stands where a plan was that has been carried out. It has no stages, and never gets any.
SPENT_PLAN: Final = Plan([])


class Decision:
    """One thing that was decided, with its reason, as a value.

    at      when (the clock of the stack)
    what    "forward", "cancel", "failover", "redirect", "refuse", "answer"
    target  the URI that it is about, or ""
    status  the SIP status that came of it, or 0
    reason  why, in a few words
    """

    __slots__ = ("at", "reason", "status", "target", "what")

    def __init__(self, at: float, what: str, target: str, status: int, reason: str) -> None:
        self.at: float = at
        self.what: str = what
        self.target: str = target
        self.status: int = status
        self.reason: str = reason

    def __repr__(self) -> str:
        status = f" {self.status}" if self.status else ""
        target = f" {self.target}" if self.target else ""
        return f"{self.what}{status}{target}: {self.reason}"
