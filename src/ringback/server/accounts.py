"""Accounts: made and changed by people, with passwords that are worth the name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ringback.errors import ConfigurationError
from ringback.sip.digest_hash import AVAILABLE, ha1
from ringback.store.base import AccountRow, AccountStore

__all__ = ["WEAK_PASSWORDS", "add", "check_name", "has_weak_password", "is_weak", "set_password", "weak_accounts"]

#: What attackers try first, beside the user's own name.
WEAK_PASSWORDS: Final = (
    *("", "password", "passw0rd", "Password", "secret", "admin", "changeme", "default", "test", "letmein", "qwerty"),
    *("ringback", "0000", "1111", "1234", "12345", "123456", "1234567", "12345678", "123456789", "1234567890"),
)
_LOWERED: Final = frozenset(password.lower() for password in WEAK_PASSWORDS)

# The user of a SIP URI as people write it: unreserved marks and the signs of telephone numbers (RFC 3261 25.1).
_NAME: Final = re.compile(r"[A-Za-z0-9_.!~*'()&=+$,;?/-]{1,128}")


def is_weak(password: str, user: str) -> bool:
    """Whether a password is one of those that are tried first: empty, well known, or the user's name."""
    lowered = password.lower()
    return lowered in _LOWERED or lowered in (user.lower(), user.lower()[::-1])


def check_name(user: str) -> str:
    """`user`, when it can be the name of an account. Raises ConfigurationError."""
    if not _NAME.fullmatch(user):
        raise ConfigurationError(
            f"user {user!r} can not be the name of an account; allowed: up to 128 letters, digits and _.!~*'()&=+$,;?/-"
        )
    return user


def hashes(user: str, realm: str, password: str) -> tuple[tuple[str, str], ...]:
    """H(A1) under every algorithm that can be computed here, the strongest first."""
    return tuple((algorithm, ha1(user, realm, password, algorithm)) for algorithm in AVAILABLE)


def checked_hashes(user: str, realm: str, password: str) -> tuple[tuple[str, str], ...]:
    """`hashes`, of a password that is none of those tried first. Raises ConfigurationError."""
    if is_weak(password, user):
        shown = "an empty password" if not password else "this password"
        raise ConfigurationError(
            f"{shown} for {user} is one of the first that attackers try; "
            "allowed: any that is neither empty, well known, nor the user's name"
        )
    return hashes(user, realm, password)


async def add(accounts: AccountStore, user: str, domain: str, realm: str, password: str, now: float) -> None:
    """Make an account; `now` in seconds since the epoch. Raises ConfigurationError when it is there or not allowed."""
    check_name(user)
    if await accounts.get(user, domain) is not None:
        raise ConfigurationError(f"{user}@{domain} is there already; `ringback user password` sets a new password")
    await accounts.put(AccountRow(user, domain, checked_hashes(user, realm, password), created=now))


async def set_password(accounts: AccountStore, user: str, domain: str, realm: str, password: str) -> None:
    """Give an account a new password. Raises ConfigurationError when there is no such account, or it is not allowed."""
    row = await accounts.get(user, domain)
    if row is None:
        raise ConfigurationError(f"there is no account {user}@{domain}")
    changed = AccountRow(
        row.user, row.domain, checked_hashes(user, realm, password), row.enabled, row.display_name, row.created
    )
    await accounts.put(changed)


def has_weak_password(row: AccountRow, realm: str) -> bool:
    """Whether the password behind an account's hashes is one of those that are tried first."""
    if not row.ha1:
        return False
    # One hash is enough to tell; the last one is the cheapest.
    algorithm, stored = row.ha1[-1]
    if algorithm not in AVAILABLE:
        return False
    return any(ha1(row.user, realm, password, algorithm) == stored for password in _candidates(row.user))


def _candidates(user: str) -> Iterable[str]:
    return (*WEAK_PASSWORDS, user, user.lower(), user[::-1])


async def weak_accounts(accounts: AccountStore, realm: str = "") -> list[str]:
    """The accounts that can be guessed at once, as user@domain; `realm` is "" when it is each account's domain."""
    return [
        f"{row.user}@{row.domain}"
        async for row in accounts.scan()
        if row.enabled and has_weak_password(row, realm or row.domain)
    ]
