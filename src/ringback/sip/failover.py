"""From one destination to the next when one fails (RFC 3263 section 4.3), and a memory of those that failed.

RFC 3263 4.3: "For SIP requests, failure occurs if the transaction layer reports a 503 error response or a transport
failure of some sort (generally, due to fatal ICMP errors in UDP or connection failures in TCP). Failure also occurs if
the transaction layer times out without ever having received any response, provisional or final ... If a failure occurs,
the client SHOULD create a new request, which is identical to the previous, but has a different value of the Via branch
ID". Whatever else comes back is an answer.

The CANCEL of a request, its retransmissions and the ACK to its failure go where the request went: `Failover.current`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringback.errors import LocalError
from ringback.sip.locate import Destination

#: Seconds for which a destination that did not answer, or could not be reached, is tried after the others.
AVOIDANCE: Final = 30.0
#: The longest Retry-After that is believed: a server that comes back early is not to be without calls for a day.
LONGEST_AVOIDANCE: Final = 600.0

_UNAVAILABLE: Final = 503


class Outages:
    """The destinations that failed of late, shared by all that is sent.

    RFC 3263 section 2: "The client cannot query a failed server continuously to determine when it becomes available
    again", and "the availability state must eventually be flushed in order to redistribute load to recovered elements".
    At most `capacity` are remembered; the one that was noted longest ago is forgotten first.
    """

    __slots__ = ("_capacity", "_until")

    def __init__(self, capacity: int = 1024) -> None:
        if capacity < 1:
            raise LocalError(f"a memory of outages has to hold one or more, not {capacity}")
        self._capacity: int = capacity
        self._until: dict[tuple[str, str, int, str], float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def avoid(self, destination: Destination, until: float) -> None:
        """Try `destination` after the others until then (the caller's monotonic seconds)."""
        key = destination.key()
        self._until.pop(key, None)
        if len(self._until) >= self._capacity:
            del self._until[next(iter(self._until))]
        self._until[key] = until

    def recovered(self, destination: Destination) -> None:
        """It has answered."""
        self._until.pop(destination.key(), None)

    def order(self, destinations: Sequence[Destination], now: float) -> list[Destination]:
        """The same destinations, those to avoid behind the others; among equals the order stays."""
        healthy: list[Destination] = []
        avoided: list[Destination] = []
        for destination in destinations:
            if self._avoids(destination, now):
                avoided.append(destination)
            else:
                healthy.append(destination)
        return healthy + avoided

    def _avoids(self, destination: Destination, now: float) -> bool:
        until = self._until.get(destination.key())
        if until is None:
            return False
        if until <= now:
            del self._until[destination.key()]
            return False
        return True


class Failover:
    """One request on its way along its destinations.

    current  where the request is now
    tried    the destinations that have failed, each with the reason in English
    """

    __slots__ = ("_left", "_outages", "current", "tried")

    def __init__(self, destinations: Sequence[Destination], now: float, outages: Outages | None = None) -> None:
        if not destinations:
            raise LocalError("a request needs one destination or more")
        self._outages: Outages | None = outages
        self._left: list[Destination] = list(destinations) if outages is None else outages.order(destinations, now)
        self.current: Destination = self._left.pop(0)
        self.tried: list[tuple[Destination, str]] = []

    def responded(self, status: int, now: float, retry_after: float | None = None) -> Destination | None:
        """A response has come: where to send the request next, None when the response is the answer.

        `retry_after` is the value of Retry-After in seconds.
        """
        if status != _UNAVAILABLE:
            if self._outages is not None:
                self._outages.recovered(self.current)
            return None
        # RFC 3261 21.5.4: "It SHOULD NOT forward any other requests to that server for the duration specified in the
        # Retry-After header field, if present." Without it only this request goes elsewhere.
        avoidance = 0.0 if retry_after is None else min(retry_after, LONGEST_AVOIDANCE)
        return self._next("503 Service Unavailable", now, avoidance)

    def timed_out(self, now: float, heard: bool) -> Destination | None:
        """Timer B or F has fired: where to send next, None when there is nowhere left or when `heard` any response."""
        if heard:
            return None
        return self._next("no response", now, AVOIDANCE)

    def unreachable(self, now: float, reason: str) -> Destination | None:
        """The transport could not deliver the request: where to send it next, None when there is nowhere left."""
        return self._next(reason, now, AVOIDANCE)

    def _next(self, reason: str, now: float, avoidance: float) -> Destination | None:
        self.tried.append((self.current, reason))
        if avoidance > 0.0 and self._outages is not None:
            self._outages.avoid(self.current, now + avoidance)
        if not self._left:
            return None
        self.current = self._left.pop(0)
        return self.current
