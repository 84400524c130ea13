"""Asking STUN servers how they see our addresses (RFC 8445 section 5.1.1.2), and keeping the answers true.

Each base asks each server once, paced like checks; what is not answered is asked again, and given up after GIVE_UP. An
answer holds as long as the NAT keeps its binding, so until ICE is done an indication goes out every KEEP seconds
(section 5.1.1.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ringback.media.stun import (
    BINDING,
    INDICATION,
    REQUEST,
    RESPONSE,
    XOR_MAPPED_ADDRESS,
    Address,
    encode_stun,
    parse_stun,
)
from ringback.media.stun_request import StunRequest

__all__ = ["GIVE_UP", "KEEP", "Reflexive", "ReflexiveGathering"]

#: Seconds between requests.
PACE: Final = 0.02
#: Seconds for one request and its repetitions.
GIVE_UP: Final = 3.0
#: Seconds between indications.
KEEP: Final = 15.0
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Reflexive:
    """`server` sees what leaves `base` as coming from `mapped`."""

    base: Address
    server: Address
    mapped: Address


class ReflexiveGathering:
    """See the head of this module. `found` is all that was answered, `done` says that nothing is awaited any more."""

    def __init__(self, octets: Callable[[int], bytes]) -> None:
        self.found: list[Reflexive] = []
        self._octets: Callable[[int], bytes] = octets
        self._asked: dict[bytes, tuple[StunRequest, Address, Address, float]] = {}
        self._next: float = 0.0
        self._keep: float | None = None
        self._sends: list[tuple[Address, bytes, Address]] = []

    def ask(self, base: Address, server: Address, now: float) -> None:
        """Ask `server` how it sees `base`."""
        self._next = max(self._next + PACE, now)
        data = encode_stun(BINDING, REQUEST, self._octets(12))
        request = StunRequest(data, self._next, attempts=_ATTEMPTS)
        self._asked[request.transaction] = (request, base, server, self._next + GIVE_UP)

    @property
    def done(self) -> bool:
        return not self._asked

    def receive(self, data: bytes, base: Address, source: Address, now: float) -> bool:
        """Whether `data` answers a question of ours; what it says is in `found` then, if it says anything."""
        asked = self._asked.get(data[8:20])
        # The transaction is known to the server alone; it has to answer from where it was asked.
        if asked is None or (asked[1], asked[2]) != (base, source):
            return False
        message = parse_stun(data)
        if message is None or message.method != BINDING or message.kind == REQUEST:
            return False
        del self._asked[message.transaction]
        mapped = message.address(XOR_MAPPED_ADDRESS)
        if message.kind == RESPONSE and mapped is not None:
            self.found.append(Reflexive(base, source, mapped))
            if self._keep is None:
                self._keep = now + KEEP
        return True

    def advance(self, now: float) -> None:
        """Do what is due."""
        for transaction, (request, base, server, end) in list(self._asked.items()):
            if now >= end:
                del self._asked[transaction]
            elif request.due(now):
                self._sends.append((base, request.data, server))
            elif request.failed:
                del self._asked[transaction]
        if self._keep is not None and now >= self._keep:
            self._keep = now + KEEP
            for each in self.found:
                self._sends.append((each.base, encode_stun(BINDING, INDICATION, self._octets(12)), each.server))

    def deadline(self) -> float | None:
        """When `advance` is to be called next."""
        times = [min(request.next, end) for request, _, _, end in self._asked.values()]
        if self._keep is not None:
            times.append(self._keep)
        return min(times, default=None)

    def take(self) -> list[tuple[Address, bytes, Address]]:
        """The datagrams to send: from which base, octets, and where to."""
        sends, self._sends = self._sends, []
        return sends

    def stop(self) -> None:
        """ICE is done: its own checks keep the binding that is in use."""
        self._keep = None
        self._asked.clear()
