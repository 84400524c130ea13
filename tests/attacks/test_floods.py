"""Whoever sends too much is let drop by his address, costs nothing that lasts, and holds up nobody else."""

from __future__ import annotations

import pytest

from ringback.server.setup.identity import Networks
from ringback.server.setup.limits import FloodGuard, PasswordGuard
from tests.attacks.world import DOMAIN, Phone, World, statuses

REGISTRAR = f"sip:{DOMAIN}"


def kept(world: World) -> int:
    """What the server keeps of requests: transactions, and a timer for any of them."""
    layer = world.stack.layer
    return len(layer.servers) + len(layer.clients) + (world.stack.deadline() is not None)


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS", "MESSAGE"])
def test_fresh_branches_without_credentials_leave_nothing(method: str) -> None:
    """FreeSWITCH's CVE-2021-41145: 8 GB were gone in 90 s of this."""
    world = World()
    attacker = world.phone("mallory")
    for _ in range(500):
        attacker.send(attacker.build(method, REGISTRAR))
    # Not even for the 32 s of a transaction.
    assert (len(world.stack.layer.servers), len(world.stack.layer.clients)) == (0, 0)
    world.advance(40.0)
    assert kept(world) == 0
    assert len(world.guard) == 0


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_wrong_passwords_leave_nothing_after_their_transactions(transport: str) -> None:
    world = World(guard=PasswordGuard(allowed=10**6))
    attacker = world.phone("mallory", transport=transport)
    attacker.challenged("REGISTER", REGISTRAR)
    for _ in range(500):
        line = attacker.credentials("REGISTER", REGISTRAR, password="wrong")
        attacker.send(attacker.build("REGISTER", REGISTRAR, line))
    world.advance(40.0)
    assert kept(world) == 0


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_ninety_seconds_of_flood(transport: str) -> None:
    """500 a second from one address; a telephone of ours registers meanwhile, again and again."""
    world = World(flood=FloodGuard(burst=100, rate=50.0))
    attacker = world.phone("mallory", host="203.0.113.66", transport=transport)
    alice = world.phone("alice")
    data = attacker.build("OPTIONS", REGISTRAR)
    read = 0
    for second in range(90):
        for _ in range(50):
            for _ in range(10):
                read += len(attacker.send(data))
            world.advance(0.02)
        if second % 10 == 0:
            alice.register()
    # A hundred at once, and 50 a second.
    assert 4590 <= read <= 4601
    assert world.dropped == 45_000 - read
    assert world.flood is not None and world.flood.report() == [("203.0.113.66", world.dropped)]
    world.advance(40.0)
    assert kept(world) == 0


def test_an_ipv6_network_is_one_source() -> None:
    world = World(flood=FloodGuard(burst=100, rate=50.0))
    for number in range(1000):
        phone = Phone(world, "x", f"2001:db8::{number + 1:x}", 5060, DOMAIN, "UDP")
        phone.send(phone.build("OPTIONS", REGISTRAR))
    assert world.dropped == 900
    neighbour = Phone(world, "alice", "2001:db8:0:1::1", 5060, DOMAIN, "UDP")
    neighbour.register()


def test_ever_new_addresses_do_not_touch_those_that_are_known() -> None:
    """Forged sources: 2,000 new ones a second are heard, the tables stay as they are, and telephones go on."""
    world = World(flood=FloodGuard(newcomers=2000.0, capacity=4096))
    alice = world.phone("alice")
    alice.register()
    heard = 0
    for number in range(30_000):
        forged = Phone(world, "x", f"203.{number // 62500}.{number // 250 % 250}.{number % 250}", 5060, DOMAIN, "UDP")
        heard += len(forged.send(b"OPTIONS sip:x SIP/2.0\r\n\r\n"))
        if number % 10 == 0:
            world.advance(0.001)
        if number % 3000 == 0:
            alice.register()
    assert world.flood is not None
    # 10,000 at once (five seconds' worth) and 6,000 in the three seconds that this took.
    assert 13_990 <= world.flood.turned_away <= 14_010
    assert len(world.flood) <= 4096
    alice.register()


def test_exempt_networks() -> None:
    flood = FloodGuard(burst=10, rate=1.0, exempt=Networks(("127.0.0.0/8", "::1/128")))
    world = World(flood=flood)
    for host in ("127.0.0.1", "::1"):
        phone = Phone(world, "alice", host, 5060, DOMAIN, "UDP")
        for _ in range(500):
            assert statuses(phone.send(phone.build("OPTIONS", REGISTRAR))) == [407]
    assert (world.dropped, flood.report()) == (0, [])


def test_calls_that_one_account_has_in_set_up() -> None:
    """A stolen password makes 32 telephones ring at a time and not all of the world's."""
    world = World(calls=4, requests=8)
    bob, mallory, alice = world.phone("bob"), world.phone("mallory"), world.phone("alice")
    bob.register()
    for _ in range(4):
        assert statuses(mallory.request("INVITE", bob.uri)) == []
    refused = mallory.request("INVITE", bob.uri)
    assert [(answer.status, answer.header("retry-after")) for answer in refused] == [(486, "4")]
    # From another address it is the same account; another account is not touched.
    assert statuses(world.phone("mallory").request("INVITE", bob.uri)) == [486]
    assert statuses(alice.request("INVITE", bob.uri)) == []
    # Other requests still go, up to their own number.
    assert [statuses(mallory.request("MESSAGE", bob.uri)) for _ in range(5)] == [[], [], [], [], [486]]
    for invite in bob.requests():
        bob.answer(invite, 486)
    world.advance(40.0)
    assert statuses(mallory.request("INVITE", bob.uri)) == []


def test_strangers_are_counted_by_address() -> None:
    world = World(calls=2, requests=2, outsiders=True)
    bob = world.phone("bob")
    bob.register()
    first = [world.phone("x", host="203.0.113.5", domain="example.net") for _ in range(3)]
    assert [statuses(phone.send(phone.build("INVITE", bob.uri))) for phone in first] == [[], [], [486]]
    other = world.phone("x", host="203.0.113.6", domain="example.net")
    assert statuses(other.send(other.build("INVITE", bob.uri))) == []


def test_an_invite_that_is_never_answered_ends() -> None:
    """16.8: timer C; then nothing is left, also of the callee who never said a word."""
    world = World()
    bob, alice = world.phone("bob"), world.phone("alice")
    bob.register()
    alice.request("INVITE", bob.uri)
    world.advance(33.0)
    final = alice.responses()[-1]
    assert final.status == 408
    alice.acknowledge(final, bob.uri)
    world.advance(40.0)
    assert kept(world) == 0


@pytest.mark.parametrize("method", ["CANCEL", "ACK", "BYE"])
def test_requests_that_belong_to_nothing(method: str) -> None:
    world = World()
    attacker = world.phone("mallory")
    for _ in range(500):
        attacker.send(attacker.build(method, f"sip:bob@{DOMAIN}", to="<sip:bob@example.org>;tag=x"))
    world.advance(40.0)
    assert kept(world) == 0


def test_responses_that_belong_to_nothing() -> None:
    world = World()
    attacker = world.phone("mallory")
    for number in range(500):
        text = f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKw0rld{number:x}\r\n"
        text += "From: <sip:a@b>;tag=a\r\nTo: <sip:a@b>;tag=b\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\r\n"
        world.receive(text.encode(), attacker.flow)
    assert world.sent == [] and kept(world) == 0
