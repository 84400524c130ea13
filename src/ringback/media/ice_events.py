"""What an ICE agent has to tell, and a connectivity check on its way: values beside `ice`."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.media.checklist import Pair
from ringback.media.stun import Address
from ringback.media.stun_request import StunRequest

__all__ = ["Check", "IceEvent", "IceFailed", "IceSelected", "Selected", "Send"]

#: A datagram to send: from which base, its octets, and where to.
Send = tuple[Address, bytes, Address]


@dataclass(frozen=True, slots=True)
class Selected:
    """Where the packets of a component go, and from where: `pair` is None for a lite agent."""

    base: Address
    remote: Address
    priority: int
    pair: Pair | None = None


@dataclass(frozen=True, slots=True)
class IceSelected:
    """Media of `component` goes through `selected` from now on; `complete` when every component has a way."""

    component: int
    selected: Selected
    complete: bool


@dataclass(frozen=True, slots=True)
class IceFailed:
    """There is no way, or (`consent`) there is none any more; `reason` for people."""

    reason: str
    consent: bool = False


IceEvent = IceSelected | IceFailed


class Check:
    """A connectivity check on its way."""

    __slots__ = ("cancelled", "controlling", "key", "pair", "priority", "request", "use")

    def __init__(
        self, pair: Pair, request: StunRequest, key: bytes, *, controlling: bool, use: bool, priority: int
    ) -> None:
        """`key` signs it and its answer; `controlling` was our role, `use` says USE-CANDIDATE, `priority` PRIORITY."""
        self.pair: Pair = pair
        self.request: StunRequest = request
        self.key: bytes = key
        self.controlling: bool = controlling
        self.use: bool = use
        self.priority: int = priority
        self.cancelled: bool = False

    def cancel(self) -> None:
        """Repeat it no more, and take silence for nothing; an answer still counts (RFC 8445 section 7.3.1.4)."""
        self.cancelled = True
        self.request.stop()
