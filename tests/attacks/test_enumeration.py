"""Nobody finds out who our users are: they and made-up names get the same octets, as often, for the same work.

Asterisk's CVE-2009-3727, 2011-2536 and 2013-2264 were each such a difference, the last in retransmissions only.
"""

from __future__ import annotations

import re
import sys

import pytest

from ringback.server.setup.limits import PasswordGuard
from ringback.sip.digest_hash import AVAILABLE
from tests.attacks.world import DOMAIN, Phone, World, account

METHODS = ("REGISTER", "INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "PUBLISH", "REFER", "BYE", "NOTIFY", "INFO", "FOO")
KNOWN = "carol"
UNKNOWN = "zelda"
#: What differs between any two answers: tags and nonces.
_FRESH = re.compile(rb'(;tag=|nonce=")[^;"\r\n]*')


def same(answers: list[bytes], name: str) -> list[bytes]:
    """Answers without what is new each time, and with one name for both users, who have names of the same length."""
    return [_FRESH.sub(rb"\1", answer).replace(name.encode(), b"-----") for answer in answers]


def asked_by(name: str, method: str, as_caller: bool, outsiders: bool, present: bool = False) -> list[bytes]:
    """All that a stranger gets in 40 s for one request that names a user."""
    world = World(users=("alice", KNOWN), outsiders=outsiders)
    if present:
        world.phone(KNOWN, host="203.0.113.77").register()
    someone = Phone(world, "nobody", "198.51.100.9", 40123, DOMAIN if as_caller else "example.net", "UDP")
    sender = f"<sip:{name}@{DOMAIN}>" if as_caller else None
    uri = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:{name}@{DOMAIN}"
    someone.world.receive(
        someone.build(method, uri, sender=sender, to=f"<sip:{name}@{DOMAIN}>", call_id="c", branch="z9hG4bKb", tag="t"),
        someone.flow,
    )
    world.advance(40.0)
    return someone.raw()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("as_caller", [False, True])
def test_without_credentials(method: str, as_caller: bool) -> None:
    known = asked_by(KNOWN, method, as_caller, False)
    assert same(known, KNOWN) == same(asked_by(UNKNOWN, method, as_caller, False), UNKNOWN)
    assert same(known, KNOWN) == same(asked_by(KNOWN, method, as_caller, False, present=True), KNOWN)
    # One answer, and not again and again to an address that may be forged.
    assert [answer[:11] for answer in known] == [b"SIP/2.0 401" if method == "REGISTER" else b"SIP/2.0 407"]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "BYE"])
def test_where_strangers_may_call(method: str) -> None:
    """Who is there can be called; who is not there may be unknown as well."""
    known = asked_by(KNOWN, method, False, True)
    assert same(known, KNOWN) == same(asked_by(UNKNOWN, method, False, True), UNKNOWN)
    assert {answer[:11] for answer in known} == {b"SIP/2.0 480"}


def guess(name: str, method: str, present: bool, password: str = "guess", **changed: object) -> list[bytes]:
    """All that comes in 40 s of a guessed password for a name, after its challenge."""
    world = World(users=("alice", KNOWN))
    if present:
        world.phone(KNOWN, host="203.0.113.77").register()
    someone = Phone(world, name, "198.51.100.9", 40123, DOMAIN, "UDP")
    uri = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:alice@{DOMAIN}"
    someone.challenged(method, uri)
    line = someone.credentials(method, uri, password=password, **changed)  # type: ignore[arg-type]
    world.receive(someone.build(method, uri, line, call_id="c", branch="z9hG4bKb", tag="t"), someone.flow)
    world.advance(40.0)
    return someone.raw()


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "MESSAGE", "OPTIONS"])
@pytest.mark.parametrize("algorithm", AVAILABLE)
def test_with_a_wrong_password(method: str, algorithm: str) -> None:
    known = guess(KNOWN, method, False, algorithm=algorithm)
    assert same(known, KNOWN) == same(guess(UNKNOWN, method, False, algorithm=algorithm), UNKNOWN)
    assert same(known, KNOWN) == same(guess(KNOWN, method, True, algorithm=algorithm), KNOWN)
    # The 407 of an INVITE is sent until it is acknowledged (17.2.1), whoever is meant.
    assert len(known) == (11 if method == "INVITE" else 1)


@pytest.mark.parametrize("changed", [{"signed_uri": "sip:other@example.org"}, {"nc": 7}, {"qop": ""}, {"realm": "x"}])
def test_with_credentials_that_are_wrong_in_other_ways(changed: dict[str, object]) -> None:
    known = guess(KNOWN, "MESSAGE", False, **changed)
    assert same(known, KNOWN) == same(guess(UNKNOWN, "MESSAGE", False, **changed), UNKNOWN)
    assert len(known) == 1


def test_an_account_that_is_disabled_or_has_no_key() -> None:
    answers = []
    for name, row in (("zelda", None), ("frank", account("frank", enabled=False)), ("peggy", account("peggy"))):
        world = World(users=())
        if row is not None:
            if name == "peggy":
                row = type(row)(row.user, row.domain, row.ha1[:1])
            world.finish(world.store.accounts.put(row))
        someone = Phone(world, name, "198.51.100.9", 40123, DOMAIN, "UDP")
        someone.challenged("REGISTER", f"sip:{DOMAIN}")
        line = someone.credentials("REGISTER", f"sip:{DOMAIN}", algorithm="MD5")
        world.receive(someone.build("REGISTER", f"sip:{DOMAIN}", line, call_id="c", branch="z9hG4bKb"), someone.flow)
        # Their tags tell how many requests a telephone has sent, so the names are all that differs.
        answers.append(same(someone.raw(), name))
    assert answers[0] == answers[1] == answers[2]


def test_the_slowing_of_guesses() -> None:
    """Guesses for a name that is not there are slowed like all others."""
    outcomes = []
    for name in (KNOWN, UNKNOWN):
        world = World(users=(KNOWN,), guard=PasswordGuard(allowed=3, first=2.0, longest=60.0))
        someone = Phone(world, name, "198.51.100.9", 40123, DOMAIN, "UDP")
        someone.challenged("REGISTER", f"sip:{DOMAIN}")
        seen = []
        for _ in range(12):
            line = someone.credentials("REGISTER", f"sip:{DOMAIN}", password="guess")
            [final] = someone.send(someone.build("REGISTER", f"sip:{DOMAIN}", line))
            seen.append(final.status)
            world.advance(0.5)
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]
    # One in 60 s is forgiven, so it is after the fourth that the next is not looked at for nearly 4 s.
    assert outcomes[0] == [401] * 4 + [403] * 7 + [401]


def work_of(name: str) -> int:
    """The function calls, Python's and C's, that a wrong password costs."""
    world = World(users=("alice", KNOWN))
    world.phone(KNOWN, host="203.0.113.77").register()
    someone = Phone(world, name, "198.51.100.9", 40123, DOMAIN, "UDP")
    someone.challenged("REGISTER", f"sip:{DOMAIN}")
    line = someone.credentials("REGISTER", f"sip:{DOMAIN}", password="guess", algorithm="SHA-256")
    data = someone.build("REGISTER", f"sip:{DOMAIN}", line, call_id="c", branch="z9hG4bKb", tag="t")
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    sys.setprofile(count)
    try:
        world.receive(data, someone.flow)
    finally:
        sys.setprofile(None)
    return calls


def test_the_same_work() -> None:
    """No difference for a clock to find: functions are called as often, H(A1) is made up for who has none."""
    known = work_of(KNOWN)
    assert known > 100
    # A look-up in a dict and the lower case of what is there: tens of nanoseconds.
    assert 0 <= known - work_of(UNKNOWN) <= 2
