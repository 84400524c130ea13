"""The layer that knows who sends: whom it lets on, whom it asks, and what it tells of it.

What attackers try stands in tests/attacks.
"""

from __future__ import annotations

from typing import Any

import pytest

from ringback.errors import ConfigurationError, StoreError
from ringback.server.app import ServerTransaction
from ringback.server.setup.authentication import (
    CHALLENGE_SENT,
    FAILED_ACL,
    FAILURES,
    INVALID_ACCOUNT,
    SUCCESSFUL,
    Authentication,
    same_resource,
)
from ringback.sip.digest import parse_challenge
from ringback.sip.digest_server import Authenticator
from ringback.store.base import AccountRow
from tests.attacks.world import DOMAIN, SECRET, Call, Phone, World, account, statuses

REGISTRAR = f"sip:{DOMAIN}"


class Inside:
    """Stands where the rest of the server does, and notes who comes through."""

    def __init__(self, world: World) -> None:
        self.seen: list[ServerTransaction] = []
        world.authentication.inner = self

    async def __call__(self, transaction: ServerTransaction) -> None:
        self.seen.append(transaction)
        transaction.respond(299)

    def who(self) -> list[tuple[str, bool]]:
        return [(transaction.user, transaction.trusted) for transaction in self.seen]


def world_with(**changed: Any) -> tuple[World, Inside]:
    world = World(**{key: value for key, value in changed.items() if key != "set"})
    for name, value in changed.get("set", {}).items():
        setattr(world.authentication, name, value)
    return world, Inside(world)


# Who passes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "uri", "status", "header"),
    [
        ("REGISTER", REGISTRAR, 401, "www-authenticate"),
        ("INVITE", f"sip:bob@{DOMAIN}", 407, "proxy-authenticate"),
        ("OPTIONS", REGISTRAR, 407, "proxy-authenticate"),
        # A REGISTER that is on its way to another domain is not for our registrar.
        ("REGISTER", "sip:example.net", 407, "proxy-authenticate"),
    ],
)
def test_who_has_not_proved_himself_is_asked_to(method: str, uri: str, status: int, header: str) -> None:
    """22.1: "registrars and redirect servers MAY make use of 401 (Unauthorized) responses …, but proxies MUST NOT, and
    instead MAY use the 407"."""
    world, inside = world_with()
    alice = world.phone("alice")
    [answer] = alice.send(alice.build(method, uri))
    assert (answer.status, len(answer.all(header))) == (status, 3)
    assert inside.seen == []
    assert [event for event, _, _, _ in world.events] == [CHALLENGE_SENT]


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "MESSAGE", "SUBSCRIBE"])
def test_who_has_passes_under_his_name(method: str) -> None:
    world, inside = world_with()
    alice = world.phone("alice")
    uri = REGISTRAR if method == "REGISTER" else f"sip:bob@{DOMAIN}"
    assert statuses(alice.request(method, uri)) == [299]
    # The ACK of the 407 comes through as well, without a name.
    assert inside.who()[-1] == (f"alice@{DOMAIN}", False)
    assert len(inside.seen) == (2 if method == "INVITE" else 1)
    told = [(event, name) for event, _, name, _ in world.events]
    assert told == [(CHALLENGE_SENT, ""), (SUCCESSFUL, f"alice@{DOMAIN}")]


def test_the_challenge_carries_the_source_it_was_given_to() -> None:
    """The token of a nonce ends with it, so that nobody else can be charged for what is made of it."""
    world, _ = world_with()
    for host, key in (("203.0.113.7", "cb007107"), ("2001:db8:1:2::3", "20010db800010002")):
        phone = Phone(world, "alice", host, 5060, DOMAIN, "UDP")
        phone.challenged("REGISTER", REGISTRAR)
        assert phone.challenge is not None
        line = phone.credentials("REGISTER", REGISTRAR, password="wrong")
        claim = world.authenticator.select([line.partition(": ")[2]], DOMAIN)
        assert claim.token.hex()[16:] == key  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["ACK", "CANCEL"])
def test_ack_and_cancel_are_never_challenged(method: str) -> None:
    """22.1: "Servers MUST NOT attempt to challenge an ACK", and "servers MUST NOT attempt to challenge CANCEL"."""
    world, inside = world_with()
    alice = world.phone("alice")
    answers = statuses(alice.send(alice.build(method, f"sip:bob@{DOMAIN}")))
    assert answers == ([481] if method == "CANCEL" else [])
    assert inside.who() == ([("", False)] if method == "ACK" else [])


@pytest.mark.parametrize(("host", "trusted"), [("203.0.113.9", True), ("203.0.114.9", False)])
def test_trusted_networks(host: str, trusted: bool) -> None:
    world, inside = world_with(trusted=("203.0.113.0/24",))
    gateway = world.phone("anybody", host=host, domain="example.net")
    assert statuses(gateway.send(gateway.build("INVITE", f"sip:bob@{DOMAIN}"))) == [299 if trusted else 407]
    assert inside.who() == ([("", True)] if trusted else [])


@pytest.mark.parametrize(
    ("method", "uri", "sender", "extra", "passes"),
    [
        ("INVITE", f"sip:bob@{DOMAIN}", "<sip:x@example.net>", (), True),
        ("MESSAGE", f"sip:zelda@{DOMAIN}", "<sip:x@example.net>", (), True),
        ("MESSAGE", f"sip:bob@{DOMAIN}", "<sip:anonymous@anonymous.invalid>", (), True),
        ("INVITE", REGISTRAR, "<sip:x@example.net>", (), False),
        ("INVITE", "sip:bob@example.net", "<sip:x@example.net>", (), False),
        ("INVITE", "tel:+15550100", "<sip:x@example.net>", (), False),
        ("INVITE", f"sip:bob@{DOMAIN}", f"<sip:x@{DOMAIN}>", (), False),
        ("INVITE", f"sip:bob@{DOMAIN}", "<tel:+15550100>", (), False),
        ("REGISTER", REGISTRAR, "<sip:x@example.net>", (), False),
        ("REGISTER", f"sip:bob@{DOMAIN}", "<sip:x@example.net>", (), False),
        ("INVITE", f"sip:bob@{DOMAIN}", "<sip:x@example.net>", ("Route: <sip:203.0.113.9;lr>",), False),
        ("INVITE", f"sip:bob@{DOMAIN}", "<sip:x@example.net>", (f"Route: <sip:{DOMAIN};lr>",), True),
        ("INVITE", f"sip:bob@{DOMAIN}", "<sip:x@example.net>", ("Proxy-Authorization: Digest realm=x",), False),
    ],
)
def test_outsiders(method: str, uri: str, sender: str, extra: tuple[str, ...], passes: bool) -> None:
    for outsiders in (True, False):
        world, inside = world_with(outsiders=outsiders)
        stranger = world.phone("x", domain="example.net")
        stranger.send(stranger.build(method, uri, *extra, sender=sender))
        assert len(inside.seen) == (passes and outsiders)


@pytest.mark.parametrize(
    ("switch", "method", "passes"),
    [
        ("registration", "REGISTER", True),
        ("registration", "INVITE", False),
        ("calls", "REGISTER", False),
        ("calls", "INVITE", True),
    ],
)
def test_what_needs_no_credentials_by_configuration(switch: str, method: str, passes: bool) -> None:
    world, inside = world_with(set={switch: False})
    alice = world.phone("alice")
    alice.send(alice.build(method, REGISTRAR if method == "REGISTER" else f"sip:bob@{DOMAIN}"))
    assert inside.who() == ([("", False)] if passes else [])


def test_requests_within_a_dialog_that_went_through_here() -> None:
    world = World()
    alice, bob = world.phone("alice"), world.phone("bob")
    alice.register()
    bob.register()
    call = Call(world, alice, bob)
    inside = Inside(world)
    assert statuses(call.within("INFO")) == [299]
    # The same token without a To tag begins another dialog (12.1).
    request = alice.build("INVITE", bob.contact, call.route, call_id=call.call_id, tag="caller")
    assert statuses(alice.send(request)) == [407]
    assert inside.who() == [("", False)]


# Realms and accounts --------------------------------------------------------------------------------------------------


def realm_asked(world: World, method: str, sender: str) -> str:
    phone = world.phone("alice")
    [answer] = phone.send(phone.build(method, REGISTRAR, sender=sender, to=sender))
    values = answer.all("www-authenticate") or answer.all("proxy-authenticate")
    [realm] = {challenge.realm for value in values if (challenge := parse_challenge(value)) is not None}
    return realm


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_the_realm_is_the_domain_of_the_sender(method: str) -> None:
    world, _ = world_with(domains=(DOMAIN, "example.com"))
    assert realm_asked(world, method, f"<sip:alice@{DOMAIN}>") == DOMAIN
    assert realm_asked(world, method, "<sip:alice@example.com>") == "example.com"
    # Who is of none of them is asked as the main domain asks.
    assert realm_asked(world, method, "<sip:alice@example.net>") == DOMAIN
    world.authentication.realm = "everybody"
    assert realm_asked(world, method, "<sip:alice@example.com>") == "everybody"


def test_one_realm_for_all_domains() -> None:
    """Accounts are still told apart by their domain."""
    world = World(users=(), domains=(DOMAIN, "example.com"))
    world.finish(world.store.accounts.put(account("alice", "example.com", realm="everybody")))
    domains = (DOMAIN, "example.com")
    world.authentication = Authentication(
        world.limits, world.store.accounts, world.authenticator, domains, realm="everybody", wall=world.wall
    )
    world.application.inner.inner = world.authentication  # type: ignore[attr-defined]
    alice = world.phone("alice", domain="example.com")
    assert statuses(alice.request("REGISTER", "sip:example.com")) == [200]
    assert statuses(world.phone("alice").request("REGISTER", REGISTRAR)) == [401]


class Elsewhere:
    """An account store that is not in this process, or that fails."""

    def __init__(self, row: AccountRow | None, error: StoreError | None = None) -> None:
        self.row = row
        self.error = error

    async def get(self, user: str, domain: str) -> AccountRow | None:
        if self.error is not None:
            raise self.error
        return self.row if self.row is not None and (user, domain) == (self.row.user, self.row.domain) else None


def with_accounts(accounts: Elsewhere) -> tuple[World, Inside]:
    world = World()
    world.authentication = Authentication(
        world.limits, accounts, Authenticator(SECRET), (DOMAIN,), observer=world._observe, wall=world.wall  # type: ignore[arg-type]
    )
    world.application.inner.inner = world.authentication  # type: ignore[attr-defined]
    return world, Inside(world)


def test_accounts_that_are_kept_elsewhere() -> None:
    world, inside = with_accounts(Elsewhere(account("alice")))
    assert statuses(world.phone("alice").request("MESSAGE", f"sip:bob@{DOMAIN}")) == [299]
    assert statuses(world.phone("bob").request("MESSAGE", f"sip:bob@{DOMAIN}")) == [407]
    assert inside.who() == [(f"alice@{DOMAIN}", False)]
    assert world.events[-1][:1] + world.events[-1][2:3] == (INVALID_ACCOUNT, f"bob@{DOMAIN}")


def test_accounts_that_cannot_be_read() -> None:
    """Nobody is let in, and nobody is told that his password is wrong."""
    world, inside = with_accounts(Elsewhere(None, StoreError("the disk is gone")))
    [answer] = world.phone("alice").request("MESSAGE", f"sip:bob@{DOMAIN}")
    assert (answer.status, answer.header("retry-after")) == (503, "10")
    assert inside.seen == [] and world.stack.layer.servers == {}


def test_at_least_one_domain() -> None:
    world = World()
    with pytest.raises(ConfigurationError):
        Authentication(world.limits, world.store.accounts, world.authenticator, ())


def test_nobody_needs_to_be_told() -> None:
    world, inside = world_with(set={"observer": None, "guard": None})
    alice = world.phone("alice")
    assert statuses(alice.request("MESSAGE", f"sip:bob@{DOMAIN}")) == [299]
    seen = [statuses(alice.request("MESSAGE", f"sip:bob@{DOMAIN}", sender=f"<sip:bob@{DOMAIN}>")) for _ in range(3)]
    assert seen == [[403]] * 3 and len(inside.seen) == 1
    alice.password = "wrong"
    assert [statuses(alice.request("MESSAGE", f"sip:bob@{DOMAIN}")) for _ in range(30)] == [[407]] * 30


def test_what_is_logged_and_what_is_everyday_life() -> None:
    assert FAILURES.isdisjoint({SUCCESSFUL, CHALLENGE_SENT}) and {FAILED_ACL, INVALID_ACCOUNT} <= FAILURES


# What does not go on --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        (f'Authorization: Digest username="a", realm="{DOMAIN}", nonce="n", uri="sip:x", response="ab"', False),
        (f'Authorization: Digest username="a", realm = "{DOMAIN}", nonce="n", uri="sip:x", response="ab"', False),
        ('Authorization: Digest username="a", realm="elsewhere", nonce="n", uri="sip:x", response="ab"', True),
        ('Authorization: Digest username="a", realm="elsewhere', True),
        ("Authorization: Basic YTpi", True),
    ],
)
def test_credentials_of_ours_are_taken_off(line: str, stays: bool) -> None:
    """22.3: those for other realms "MUST NOT be consumed"."""
    world, inside = world_with(trusted=("198.51.100.0/24",))
    alice = world.phone("alice")
    alice.send(alice.build("MESSAGE", f"sip:bob@{DOMAIN}", "Subject: a", line, "Subject: b"))
    [transaction] = inside.seen
    assert transaction.request.all("authorization") == ([line.partition(": ")[2]] if stays else [])
    assert transaction.request.all("subject") == ["a", "b"]


# The digest-uri -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ("sip:bob@example.org", "sip:bob@example.org", True),
        ("sip:bob@example.org", "sip:bob@EXAMPLE.org;transport=tcp", True),
        ("sip:bob@example.org:5060", "sip:bob@example.org", True),
        ("sip:bob@example.org", "sips:bob@example.org", True),
        ("sip:%62ob@example.org", "sip:bob@example.org", True),
        ("tel:+1-900", "tel:+1900", True),
        ("tel:+1900", "tel:+1901", False),
        ("sip:+1900@example.org", "tel:+1900", False),
        ("sip:bob@example.org", "sip:bob@example.org:5070", False),
        ("sip:bob@example.org", "sip:bob@example.org;maddr=1.2.3.4", False),
        ("sip:bob@example.org", "sip:Bob@example.org", False),
        ("sip:bob@example.org", "sip:example.org", False),
        ("sip:bob@example.org", "", False),
        ("not a uri", "not a uri", False),
    ],
)
def test_what_a_digest_uri_has_to_have_in_common_with_the_request_uri(ours: str, theirs: str, same: bool) -> None:
    assert same_resource(ours, theirs) is same


@pytest.mark.parametrize(("named", "his"), [("x%61", False), ("x%2561", True), ("xa", False)])
def test_an_account_is_who_its_uri_means_and_not_how_that_is_spelled(named: str, his: bool) -> None:
    """10.3 step 5: "any escaped characters MUST be converted to their unescaped form"."""
    world = World(users=("x%61", "xa"))
    phone = world.phone("x%61")
    address = f"<sip:{named}@{DOMAIN}>"
    answers = phone.request("REGISTER", f"sip:{DOMAIN}", to=address, sender=address)
    assert statuses(answers) == [200 if his else 403]
    # He may call, and nobody is there.
    answers = phone.request("MESSAGE", f"sip:xa@{DOMAIN}", sender=address)
    assert statuses(answers) == [480 if his else 403]
