"""Guessing passwords is slow, and slows nobody but the guesser."""

from __future__ import annotations

import pytest

from ringback.server.setup.authentication import CHALLENGE_SENT, FAILED_ACL, INVALID_PASSWORD, SUCCESSFUL
from ringback.server.setup.identity import Networks
from ringback.server.setup.limits import PasswordGuard
from tests.attacks.world import DOMAIN, Phone, World

REGISTRAR = f"sip:{DOMAIN}"
ATTACKER = "203.0.113.66"


def phone(world: World, user: str, host: str, port: int = 5060) -> Phone:
    return Phone(world, user, host, port, DOMAIN, "UDP")


def guess(attacker: Phone, times: int, passwords: str = "guess {}") -> list[int]:
    """Guess as quickly as can be; the answers, a challenge first."""
    attacker.challenged("REGISTER", REGISTRAR)
    seen = []
    for number in range(times):
        line = attacker.credentials("REGISTER", REGISTRAR, password=passwords.format(number))
        seen += [answer.status for answer in attacker.send(attacker.build("REGISTER", REGISTRAR, line))]
    return seen


def test_a_hundred_wrong_passwords() -> None:
    world = World()
    attacker = phone(world, "alice", ATTACKER)
    assert guess(attacker, 100) == [401] * 10 + [403] * 90
    # What is refused is not looked at: not even the right one gets through.
    line = attacker.credentials("REGISTER", REGISTRAR)
    [answer] = attacker.send(attacker.build("REGISTER", REGISTRAR, line))
    assert (answer.status, answer.reason) == (403, "Too Many Wrong Passwords")
    assert world.bindings("alice@example.org") == []
    told = [event for event, _, _, _ in world.events]
    assert told == [CHALLENGE_SENT] + [INVALID_PASSWORD] * 10 + [FAILED_ACL] * 91
    assert {host for _, host, _, _ in world.events} == {ATTACKER}


def test_the_same_user_elsewhere_and_others_from_there() -> None:
    world = World()
    guess(phone(world, "alice", ATTACKER), 100)
    phone(world, "alice", "198.51.100.1").register()
    phone(world, "bob", ATTACKER, 5062).register()
    assert world.bindings("alice@example.org") == ["sip:alice@198.51.100.1:5060"]
    assert world.bindings("bob@example.org") == [f"sip:bob@{ATTACKER}:5062"]
    assert world.events[-1][0] == SUCCESSFUL


def test_it_is_over_after_a_while() -> None:
    world = World()
    attacker = phone(world, "alice", ATTACKER)
    guess(attacker, 100)
    world.advance(1.9)
    assert guess(attacker, 1) == [403]
    world.advance(0.2)
    # The typist who has found his glasses.
    attacker.register()
    assert guess(attacker, 10) == [401] * 10


def test_the_wait_grows_up_to_five_minutes() -> None:
    """Ten at once, then one at a time: how long until the next is looked at, in whole seconds.

    Each doubles the wait, and each 300 s that have passed have halved it.
    """
    world = World()
    attacker = phone(world, "alice", ATTACKER)
    guess(attacker, 10)
    waits = []
    for _ in range(9):
        waited = 0
        while guess(attacker, 1) == [403]:
            world.advance(1.0)
            waited += 1
        waits.append(waited)
    assert waits == [2, 4, 8, 16, 30, 56, 98, 157, 218]
    world.advance(300.0)
    assert guess(attacker, 1) == [401]


def test_one_password_for_all_users() -> None:
    """Password spraying: a source has ten times as many for all accounts together, real ones or not."""
    world = World(users=("alice",))
    seen = []
    for number in range(120):
        seen += guess(phone(world, f"user{number}", ATTACKER), 1)
    assert seen == [401] * 100 + [403] * 20
    # Who has shown his password there before is not held up by that, a new one is.
    assert [answer.status for answer in phone(world, "alice", ATTACKER).request("REGISTER", REGISTRAR)] == [403]
    phone(world, "alice", "198.51.100.1").register()


def test_who_was_right_there_before_is_not_held_up_by_others_behind_his_address() -> None:
    world = World(users=("alice",))
    alice = phone(world, "alice", ATTACKER)
    alice.register()
    for number in range(120):
        guess(phone(world, f"user{number}", ATTACKER, 5062), 1)
    alice.register()


@pytest.mark.parametrize(
    ("first", "second", "held_up"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("203.0.113.1", "203.0.113.2", False),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
    ],
)
def test_what_is_one_source(first: str, second: str, held_up: bool) -> None:
    """Whoever has one IPv6 address has all of its /64."""
    world = World()
    guess(phone(world, "alice", first), 10)
    assert guess(phone(world, "alice", second), 1) == [403 if held_up else 401]


def test_nobody_is_charged_for_what_another_sends_in_his_name() -> None:
    """A datagram may claim any source. A nonce was given to the address that receives what is sent to it."""
    world = World()
    attacker = phone(world, "alice", ATTACKER)
    attacker.challenged("REGISTER", REGISTRAR)
    victim = phone(world, "alice", "198.51.100.1")
    for number in range(50):
        line = attacker.credentials("REGISTER", REGISTRAR, password=f"guess {number}")
        world.receive(victim.build("REGISTER", REGISTRAR, line), victim.flow)
    victim.raw()
    victim.register()
    assert guess(attacker, 1) == [403]


def test_a_wrong_password_in_the_name_of_another_is_answered_once() -> None:
    """An INVITE's 407 is sent eleven times until it is acknowledged: not to one who did not ask for the nonce."""
    world = World()
    attacker = phone(world, "mallory", ATTACKER)
    attacker.challenged("INVITE", "sip:bob@example.org")
    line = attacker.credentials("INVITE", "sip:bob@example.org", password="wrong")
    victim = phone(world, "mallory", "198.51.100.1")
    world.receive(victim.build("INVITE", "sip:bob@example.org", line), victim.flow)
    world.advance(40.0)
    assert len(victim.raw()) == 1


def test_a_retransmission_is_no_second_attempt() -> None:
    world = World()
    clumsy = phone(world, "alice", ATTACKER)
    clumsy.challenged("REGISTER", REGISTRAR)
    line = clumsy.credentials("REGISTER", REGISTRAR, password="misspelt")
    data = clumsy.build("REGISTER", REGISTRAR, line)
    answers = [clumsy.send(data)[0].encode() for _ in range(20)]
    assert len(set(answers)) == 1
    clumsy.register()


def test_exempt_networks() -> None:
    """limits.exempt, by default the loopback addresses, is for those whose users share one address."""
    world = World(guard=PasswordGuard(exempt=Networks(("127.0.0.0/8", "::1/128", "192.0.2.128/25"))))
    for host in ("127.0.0.1", "::1", "192.0.2.200"):
        assert guess(phone(world, "alice", host), 200) == [401] * 200
    assert 403 in guess(phone(world, "alice", "192.0.2.1"), 20)


def test_the_table_does_not_grow_with_the_attack() -> None:
    guard = PasswordGuard(capacity=100)
    world = World(guard=guard)
    for number in range(300):
        guess(phone(world, f"user{number}" * 50, f"203.0.{number // 250}.{number % 250 + 1}"), 1)
    assert len(guard) <= 100
