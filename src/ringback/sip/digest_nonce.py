"""The nonces of a Digest server: signed instead of stored, and counted once they are used (RFC 7616 3.3, 3.4 and 5.4).

A nonce is the base64 of

    issued   6 bytes    wall-clock milliseconds
    token    8 to 32    random bytes, given by the caller
    mac      16 bytes   keyed BLAKE2b over issued, token, realm and (when the server binds to it) the peer's address

so that "a server would recalculate the hash portion after receiving the client authentication header field and reject
the request if it did not match" (RFC 7616 3.3), and needs no memory for challenges that nobody answers.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from collections import deque
from enum import Enum
from typing import Final

from ringback.errors import ConfigurationError, LocalError
from ringback.sip.digest_hash import octets

#: Fewer random bytes than this could repeat or be guessed; more would only make challenges longer.
SHORTEST_TOKEN: Final = 8
LONGEST_TOKEN: Final = 32
SHORTEST_SECRET: Final = 16

#: Seconds by which a nonce may seem to come from the future: the clocks of servers that share a secret differ a little.
EARLIEST: Final = 10.0

_TIME: Final = 6
_MAC: Final = 16
#: Keeps the key of these MACs apart from all others that are made of the same secret.
_PURPOSE: Final = b"ringback nonce"
# Expired counts that one call clears at most: more than it can add, so the table shrinks, and no call takes long.
_CLEARED_AT_ONCE: Final = 64


class NonceSigner:
    """Makes nonces and knows its own again. `secret` is at least 16 random bytes, the same on servers of one domain."""

    __slots__ = ("_key",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ConfigurationError(f"the digest secret has {len(secret)} bytes; it needs {SHORTEST_SECRET} or more")
        self._key: bytes = hmac.digest(secret, _PURPOSE, "sha256")

    def make(self, realm: str, peer: str, now: float, token: bytes) -> str:
        """A new nonce. `now` is wall-clock seconds; `peer` is "" or the address that alone may use the nonce.

        Raises LocalError for a token of fewer than 8 or more than 32 bytes, and for a time before 1970.
        """
        if not SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
            raise LocalError(f"a nonce needs a token of {SHORTEST_TOKEN} to {LONGEST_TOKEN} bytes, not {len(token)}")
        if now < 0.0:
            raise LocalError(f"a nonce needs wall-clock seconds, not {now}")
        head = int(now * 1000).to_bytes(_TIME, "big") + token
        return binascii.b2a_base64(head + self._mac(head, realm, peer), newline=False).decode("ascii")

    def read(self, nonce: str, realm: str, peer: str) -> bytes:
        """The bytes of a nonce that was made here for this realm and peer; empty for any other text."""
        try:
            raw = binascii.a2b_base64(nonce, strict_mode=True)
        except ValueError:
            # Not ASCII, or no base64.
            return b""
        if not SHORTEST_TOKEN <= len(raw) - _TIME - _MAC <= LONGEST_TOKEN:
            return b""
        head = raw[:-_MAC]
        if not hmac.compare_digest(raw[-_MAC:], self._mac(head, realm, peer)):
            return b""
        return raw

    def _mac(self, head: bytes, realm: str, peer: str) -> bytes:
        # The realm is from our configuration and no header value holds NUL, so the parts cannot be shifted.
        text = octets(f"{realm}\0{peer}\0") + head
        return hashlib.blake2b(text, digest_size=_MAC, key=self._key).digest()


def issued_at(raw: bytes) -> float:
    """When the nonce with these bytes was made, in wall-clock seconds."""
    return int.from_bytes(raw[:_TIME], "big") / 1000


def token_of(raw: bytes) -> bytes:
    """The token with which the nonce with these bytes was made."""
    return raw[_TIME:-_MAC]


class Count(Enum):
    """What `NonceCounts.use` finds."""

    RISEN = "risen"
    REPEATED = "repeated"
    FORGOTTEN = "forgotten"


class NonceCounts:
    """The highest nonce count that was accepted of each nonce, for as long as the nonce lives.

    RFC 7616 3.4: "if the same nc value is seen twice, then the request is a replay". Here a count must be above all
    that were accepted before, so that one number a nonce is enough.

    At most `capacity` nonces are kept. When one more comes, the one that was first used longest ago is dropped, and
    from then on every nonce issued no later than it is refused unless it is in the table: its owner gets a new one
    (stale) and loses a round trip, and no replay gets through. The same holds for what was issued before `started`
    (wall-clock seconds): a process that has just begun does not know what its predecessor accepted.

    This holds for a clock that goes forward, evenly or in leaps. When it is set back by more than the lifetime, what
    was accepted in the time that now comes again, and has expired since, could be accepted once more.
    """

    __slots__ = ("_capacity", "_floor", "_highest", "_lifetime", "_order")

    def __init__(self, lifetime: float, capacity: int, started: float) -> None:
        self._lifetime: float = lifetime
        self._capacity: int = capacity
        self._floor: float = started
        self._highest: dict[bytes, int] = {}
        self._order: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._highest)

    def use(self, raw: bytes, count: int, now: float) -> Count:
        """Note a count that came with a right response, and say whether it is a new one."""
        self.expire(now, _CLEARED_AT_ONCE)
        highest = self._highest.get(raw, -1)
        if highest >= 0:
            if count <= highest:
                return Count.REPEATED
            self._highest[raw] = count
            return Count.RISEN
        if self._floor > now + EARLIEST:
            # The clock was set back. Going on to refuse all that is older than the floor would shut everybody out.
            self._floor = now
        if issued_at(raw) <= self._floor:
            return Count.FORGOTTEN
        if len(self._highest) >= self._capacity:
            self._drop_oldest()
        self._highest[raw] = count
        self._order.append(raw)
        return Count.RISEN

    def expire(self, now: float, most: int = -1) -> None:
        """Drop what has expired at `now`, oldest first, `most` of it (-1: all)."""
        while self._order and most != 0 and issued_at(self._order[0]) + self._lifetime < now:
            self._drop_oldest()
            most -= 1

    def _drop_oldest(self) -> None:
        raw = self._order.popleft()
        del self._highest[raw]
        self._floor = max(self._floor, issued_at(raw))
