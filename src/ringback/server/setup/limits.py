"""What one source and one account may cost (RFC 3261 26.1.5).

    FloodGuard      datagrams and messages by source, before anything of them is read
    PasswordGuard   wrong passwords by account and source, and by source
    Limits          a layer: requests of one account that run at a time, and no next hop inside this machine

A source is an IPv4 address or an IPv6 /64. None of this locks out a source for what somebody else may have sent in its
name: a flood costs the source its own allowance and no more, and a wrong password is charged to the address that its
nonce was given to, which is one that receives what is sent to it.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from typing import Final

from ringback.errors import ConfigurationError
from ringback.server.app import Application, Rest, ServerTransaction
from ringback.server.setup.identity import Networks, source_key
from ringback.server.stateless import refuse
from ringback.sip.headers import parse_name_addr
from ringback.sip.server_invite import PROCEEDING, ServerInvite
from ringback.sip.server_request import COMPLETED
from ringback.sip.transaction import Transaction
from ringback.sip.transport import is_address, is_inward

# Floods ---------------------------------------------------------------------------------------------------------------

#: Sources whose drops are named at one `FloodGuard.report`.
_MOST_REPORTED: Final = 64


class _Allowance:
    """What a source may still send: `full_at` is when its bucket would be full again."""

    __slots__ = ("dropped", "full_at")

    def __init__(self) -> None:
        self.full_at: float = 0.0
        self.dropped: int = 0


class FloodGuard:
    """A token bucket for each source of messages.

    burst      messages that a source may send at once
    rate       messages a second that it may send for ever
    exempt     networks that may send what they like
    capacity   sources that are known at a time; those heard of longest ago are forgotten
    newcomers  sources a second that may become known, five times that at once; 0 for any number. Those that are known
               already are not touched by a flood from ever new (forged) addresses

    dropped, turned_away   messages dropped so far because their source sent too much, and because too many sources
                           were new
    """

    __slots__ = (
        "_exempt",
        "_free",
        "_half",
        "_interval",
        "_newcomer_full_at",
        "_newcomer_interval",
        "_newcomer_slack",
        "_noted",
        "_old",
        "_slack",
        "_young",
        "dropped",
        "turned_away",
    )

    def __init__(
        self,
        burst: int = 100,
        rate: float = 50.0,
        exempt: Networks | None = None,
        capacity: int = 65536,
        newcomers: float = 2000.0,
    ) -> None:
        """Raises ConfigurationError for numbers that make no sense."""
        if burst < 1 or rate <= 0.0 or capacity < 2 or newcomers < 0.0:
            raise ConfigurationError("burst, rate and capacity have to be above 0, newcomers not below it")
        self._interval: float = 1.0 / rate
        self._slack: float = (burst - 0.5) * self._interval
        self._exempt: Networks = Networks([]) if exempt is None else exempt
        self._half: int = capacity // 2
        self._young: dict[bytes | str, _Allowance] = {}
        self._old: dict[bytes | str, _Allowance] = {}
        self._free: _Allowance = _Allowance()
        self._newcomer_interval: float = 1.0 / newcomers if newcomers else 0.0
        self._newcomer_slack: float = 5.0
        self._newcomer_full_at: float = 0.0
        self._noted: dict[str, _Allowance] = {}
        self.dropped: int = 0
        self.turned_away: int = 0

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def admit(self, host: str, now: float) -> bool:
        """Whether a message from `host` (an IP literal) may be read; `now` is monotonic seconds."""
        known = self._young.get(host)
        if known is None:
            known = self._find(host, now)
            if known is None:
                self.turned_away += 1
                return False
        if known is self._free:
            return True
        full_at = known.full_at
        if full_at < now:
            full_at = now
        elif full_at - now > self._slack:
            known.dropped += 1
            self.dropped += 1
            if known.dropped == 1 and len(self._noted) < _MOST_REPORTED:
                self._noted[host] = known
            return False
        known.full_at = full_at + self._interval
        return True

    def report(self) -> list[tuple[str, int]]:
        """The sources that have sent too much since the last report, and how many of their messages were dropped.

        Most of them will have been forged when the messages were datagrams: good to know, no ground for a ban.
        """
        noted = [(host, known.dropped) for host, known in self._noted.items()]
        for known in self._noted.values():
            known.dropped = 0
        self._noted = {}
        return noted

    def _find(self, host: str, now: float) -> _Allowance | None:
        """The allowance of a source that is not in the younger table by its text; None when it cannot get one now."""
        if self._exempt.contains(host):
            self._keep(host, self._free)
            return self._free
        key: bytes | str = source_key(host) if ":" in host else host
        known = self._young.get(key)
        if known is not None:
            return known
        known = self._old.pop(key, None)
        if known is None:
            if self._newcomer_interval:
                full_at = self._newcomer_full_at
                if full_at < now:
                    full_at = now
                elif full_at - now > self._newcomer_slack:
                    return None
                self._newcomer_full_at = full_at + self._newcomer_interval
            known = _Allowance()
        self._keep(key, known)
        return known

    def _keep(self, key: bytes | str, known: _Allowance) -> None:
        if len(self._young) >= self._half:
            # The elder half is forgotten in one stroke; who is heard of again moves to the younger one.
            self._old = self._young
            self._young = {}
        self._young[key] = known


# Wrong passwords ------------------------------------------------------------------------------------------------------

#: Names longer than this are kept as a hash.
_LONGEST_ACCOUNT: Final = 80
#: Times as many wrong passwords are let pass of one source for all accounts as for one account.
_ACCOUNTS: Final = 10


class _Failures:
    """How often it went wrong, when that was last looked at, and until when nothing is looked at."""

    __slots__ = ("at", "count", "until")

    def __init__(self, at: float) -> None:
        self.count: float = 0.0
        self.at: float = at
        self.until: float = 0.0


class PasswordGuard:
    """Slows down who tries passwords.

    After `allowed` wrong ones for an account from a source the next is looked at in `first` seconds, then in twice
    that, and so on up to `longest`. The same holds for a source and all accounts, after ten times as many. One failure
    is forgiven every `longest` seconds, and all of a source for an account by the right password. The account's user
    is not touched elsewhere; nor is he here by what others behind the same address do, once he has been right here.

    It does not matter whether the account exists.

    exempt    networks whose sources may be wrong as often as they like; a whole /64 when one address of it is exempt
    capacity  pairs and sources that are known at a time; those heard of longest ago are forgotten
    """

    __slots__ = ("_allowed", "_exempt", "_first", "_half", "_longest", "_old", "_right", "_right_old", "_young")

    def __init__(
        self,
        allowed: int = 10,
        longest: float = 300.0,
        first: float = 2.0,
        exempt: Networks | None = None,
        capacity: int = 65536,
    ) -> None:
        """Raises ConfigurationError for numbers that make no sense."""
        if allowed < 1 or not 0.0 < first <= longest or capacity < 2:
            raise ConfigurationError("allowed, first, longest and capacity have to be above 0, and first <= longest")
        self._allowed: int = allowed
        self._longest: float = longest
        self._first: float = first
        self._exempt: Networks = Networks([]) if exempt is None else exempt
        self._half: int = capacity // 2
        self._young: dict[tuple[str, bytes], _Failures] = {}
        self._old: dict[tuple[str, bytes], _Failures] = {}
        self._right: set[tuple[str, bytes]] = set()
        self._right_old: set[tuple[str, bytes]] = set()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def wait(self, account: str, source: bytes, now: float) -> float:
        """Seconds until a password of `account` ("user@domain") from `source` is looked at again; 0.0: it is now.

        `source` is a `source_key`, `now` monotonic seconds.
        """
        if not self._young and not self._old:
            return 0.0
        pair = (_name(account), source)
        left = self._left(pair, now)
        if pair not in self._right and pair not in self._right_old:
            left = max(left, self._left(("", source), now))
        return left

    def wrong(self, account: str, source: bytes, now: float) -> float:
        """Note a wrong password; the seconds that the next one has to wait."""
        if self._exempt.spares(source):
            return 0.0
        pair = (_name(account), source)
        wait = self._add(pair, self._allowed, now)
        return max(wait, self._add(("", source), self._allowed * _ACCOUNTS, now))

    def right(self, account: str, source: bytes, now: float) -> None:
        """Note a right password."""
        pair = (_name(account), source)
        if self._young or self._old:
            self._young.pop(pair, None)
            self._old.pop(pair, None)
        if pair not in self._right:
            if len(self._right) >= self._half:
                self._right_old = self._right
                self._right = set()
            self._right.add(pair)

    def _left(self, key: tuple[str, bytes], now: float) -> float:
        failures = self._young.get(key) or self._old.get(key)
        if failures is None or failures.until <= now:
            return 0.0
        return failures.until - now

    def _add(self, key: tuple[str, bytes], allowed: int, now: float) -> float:
        failures = self._young.get(key)
        if failures is None:
            failures = self._old.pop(key, None)
            if failures is None:
                failures = _Failures(now)
            if len(self._young) >= self._half:
                self._old = self._young
                self._young = {}
            self._young[key] = failures
        forgiven = (now - failures.at) / self._longest
        failures.count = max(failures.count - forgiven, 0.0) + 1.0
        failures.at = now
        if failures.count < allowed:
            return 0.0
        # The exponent has a bound of its own: 2.0 ** 2000 would be an error.
        wait: float = min(self._first * math.pow(2.0, min(failures.count - allowed, 60.0)), self._longest)
        failures.until = now + wait
        return wait


def _name(account: str) -> str:
    """The account as it is kept: nobody can fill the table with long names."""
    if len(account) <= _LONGEST_ACCOUNT:
        return account
    return hashlib.blake2b(account.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


# The layer ------------------------------------------------------------------------------------------------------------

#: Addresses of senders of which it is known whether they are on this machine.
_KEPT: Final = 4096
#: Seconds after which one who has too much running may try again.
_RETRY_AFTER: Final = "4"


class _Running:
    """The requests of one account (or stranger) that have no final answer yet."""

    __slots__ = ("key", "servers")

    def __init__(self, key: str) -> None:
        self.key: str = key
        self.servers: list[Transaction] = []

    def count(self) -> int:
        """How many have no answer yet; those that have are let go."""
        self.servers = [server for server in self.servers if is_running(server)]
        return len(self.servers)


def is_running(server: Transaction) -> bool:
    """Whether a server transaction still waits for its final response."""
    if isinstance(server, ServerInvite):
        return server.state == PROCEEDING
    return server.state < COMPLETED


class Limits:
    """The layer behind authentication that bounds what one account may have running.

    calls     INVITEs outside of dialogs that may be in set-up at a time, for one account or one stranger's address
    requests  requests of any kind that may be unanswered at a time
    inward    whether anybody may send to addresses of this machine by naming them; else only those may that are on it

    Trusted sources and requests within dialogs are not counted.
    """

    __slots__ = ("_local", "_order", "_running", "calls", "inner", "inward", "requests")

    def __init__(self, inner: Application, calls: int = 32, requests: int = 256, inward: bool = False) -> None:
        """Raises ConfigurationError for numbers that make no sense."""
        if calls < 1 or requests < calls:
            raise ConfigurationError("calls has to be above 0, and requests no less than calls")
        self.inner: Application = inner
        self.calls: int = calls
        self.requests: int = requests
        self.inward: bool = inward
        self._running: dict[str, _Running] = {}
        self._order: deque[_Running] = deque()
        self._local: dict[str, bool] = {}

    def __call__(self, transaction: ServerTransaction) -> Rest:
        """Pass a request on, or refuse it."""
        if not self.inward and self._leads_inward(transaction):
            refuse(transaction, 403, why="the next hop is an address of this server's own machine")
            return None
        server = transaction.server
        if server is not None and not transaction.trusted and not transaction.route.in_dialog:
            if not self._has_room(transaction, server):
                return None
        return self.inner(transaction)

    def _has_room(self, transaction: ServerTransaction, server: Transaction) -> bool:
        """Count a request in; False when it was refused."""
        key = transaction.user or f"@{source_key(transaction.flow.host).hex()}"
        running = self._running.get(key)
        if running is None:
            running = _Running(key)
            self._running[key] = running
            self._order.append(running)
        elif len(running.servers) >= self.calls:
            total = running.count()
            calls = 0
            for other in running.servers:
                if isinstance(other, ServerInvite):
                    calls += 1
            invite = isinstance(server, ServerInvite)
            if total >= self.requests or (invite and calls >= self.calls):
                what = f"{calls} calls in set-up" if invite else f"{total} requests"
                # A 503 would have the client give up this server altogether (21.5.4).
                headers = [("Retry-After", _RETRY_AFTER)]
                refuse(transaction, 486, "Too Much At A Time", headers, f"{key} has {what} already")
                return False
        running.servers.append(server)
        self._tidy()
        return True

    def _tidy(self) -> None:
        """Look after the two accounts that were looked at longest ago, so that what has ended is not kept."""
        for _ in range(2):
            if self._order:
                running = self._order.popleft()
                if running.count():
                    self._order.append(running)
                else:
                    del self._running[running.key]

    def _leads_inward(self, transaction: ServerTransaction) -> bool:
        """Whether the request asks to be sent to an address of this machine by somebody who is not on it."""
        route = transaction.route
        if route.flow is not None or self._is_local(transaction.flow.host):
            return False
        if route.next:
            uri = parse_name_addr(route.next).uri
        else:
            uri = transaction.request.target
            if transaction.stack.element.serves(uri):
                return False
        if not uri.is_sip:
            return False
        # 16.6 step 7: maddr counts before the host, unless it is an address of ours.
        return _is_inward(uri.host) or ("maddr" in uri.parameters and _is_inward(uri.parameters["maddr"] or ""))

    def _is_local(self, host: str) -> bool:
        """Whether a sender is on this machine; remembered, since a few send most requests."""
        known = self._local.get(host)
        if known is None:
            known = is_inward(host)
            if len(self._local) >= _KEPT:
                self._local = {}
            self._local[host] = known
        return known


def _is_inward(host: str) -> bool:
    """Whether a host means this machine; of other names only DNS tells (`TransactionLayer.may_reach`)."""
    if is_address(host):
        return is_inward(host)
    host = host.lower().rstrip(".")
    return host == "localhost" or host.endswith(".localhost")
