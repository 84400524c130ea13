"""Consent to send (RFC 7675): the far end goes on answering, or we stop.

A selected pair is checked every few seconds by a request of its own; each is sent once. Without a right answer for 30
seconds nothing more may be sent to that address: whoever is there now may be somebody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from ringback.media.stun import Address

__all__ = ["EXPIRY", "PERIOD", "Consent"]

#: Seconds between requests, on average; "each interval MUST be randomized from between 0.8 and 1.2 times" (5.1).
PERIOD: Final = 5.0
#: Seconds after the last answer.
EXPIRY: Final = 30.0
# Requests whose answer may still come.
_OUTSTANDING: Final = 8


class Consent:
    """The consent to send from `base` to `remote`.

    key, username   credentials of the generation of ICE in which the pair was selected
    next            when the next request is due
    lost            it has expired, or was revoked: for good
    """

    def __init__(
        self, base: Address, remote: Address, username: str, key: bytes, now: float, chance: Callable[[], float]
    ) -> None:
        self.base: Address = base
        self.remote: Address = remote
        self.username: str = username
        self.key: bytes = key
        self.lost: bool = False
        self._chance: Callable[[], float] = chance
        self._granted: float = now
        self._outstanding: deque[bytes] = deque(maxlen=_OUTSTANDING)
        self.next: float = 0.0
        self._schedule(now)

    def due(self, now: float) -> bool:
        """Whether a request is to be sent now; `lost` is set when none was answered for too long."""
        if self.lost:
            return False
        if now >= self._granted + EXPIRY:
            self.lost = True
            return False
        if now < self.next:
            return False
        self._schedule(now)
        return True

    def asked(self, transaction: bytes) -> None:
        """A request with this transaction has been sent."""
        self._outstanding.append(transaction)

    def answered(self, transaction: bytes, now: float) -> bool:
        """An authentic answer has come from `remote`; whether it is one to a request of ours."""
        if transaction not in self._outstanding or self.lost:
            return False
        self._outstanding.remove(transaction)
        self._granted = now
        return True

    def awaits(self, transaction: bytes) -> bool:
        return transaction in self._outstanding

    @property
    def deadline(self) -> float:
        """When `due` has something to tell."""
        return min(self.next, self._granted + EXPIRY)

    def revoke(self) -> None:
        """The far end has answered 403 (section 5.2)."""
        self.lost = True

    def _schedule(self, now: float) -> None:
        self.next = now + PERIOD * (0.8 + 0.4 * self._chance())
