"""Credentials are good for one request, by one method, to one place, once; and only as strong ones as are asked for."""

from __future__ import annotations

import base64

import pytest

from ringback.server.setup.authentication import BAD_FORMAT, INVALID_PASSWORD, RESPONSE_FAILED, SUCCESSFUL
from ringback.sip.digest import parse_challenge
from ringback.sip.digest_hash import AVAILABLE
from ringback.sip.message import Response
from tests.attacks.world import DOMAIN, Phone, World, statuses

URI = f"sip:bob@{DOMAIN}"
REGISTRAR = f"sip:{DOMAIN}"


def challenged(world: World, method: str = "MESSAGE", user: str = "alice") -> Phone:
    alice = world.phone(user)
    alice.challenged(method, URI)
    return alice


def ask(phone: Phone, line: str, method: str = "MESSAGE", uri: str = URI, **changed: object) -> Response:
    [answer] = phone.send(phone.build(method, uri, line, **changed))  # type: ignore[arg-type]
    return answer


def is_stale(answer: Response) -> bool:
    values = answer.all("proxy-authenticate") or answer.all("www-authenticate")
    challenges = [parse_challenge(value) for value in values]
    assert challenges and all(challenge is not None for challenge in challenges)
    [stale] = {challenge.stale for challenge in challenges if challenge is not None}
    return stale


# Replay ---------------------------------------------------------------------------------------------------------------


def test_the_same_answer_again() -> None:
    """480 says that the request was let through: bob is not there."""
    world = World()
    alice = challenged(world)
    line = alice.credentials("MESSAGE", URI)
    assert ask(alice, line).status == 480
    answer = ask(alice, line)
    assert (answer.status, is_stale(answer)) == (407, True)
    assert world.events[-1][0] == RESPONSE_FAILED
    # By somebody else, as it was sniffed.
    assert ask(world.phone("alice"), line).status == 407


@pytest.mark.parametrize("counts", [(1, 1), (5, 5), (5, 4), (5, 1), (0xFFFFFFFF, 1)])
def test_a_nonce_count_that_does_not_rise(counts: tuple[int, int]) -> None:
    alice = challenged(World())
    seen = [ask(alice, alice.credentials("MESSAGE", URI, nc=count)).status for count in counts]
    assert seen == [480, 407]


def test_a_nonce_count_that_rises() -> None:
    alice = challenged(World())
    assert [ask(alice, alice.credentials("MESSAGE", URI, nc=count)).status for count in (1, 2, 9, 10)] == [480] * 4


@pytest.mark.parametrize(
    "changed",
    [{"signed_method": "OPTIONS"}, {"signed_method": "REGISTER"}, {"password": "wrong"}, {"username": "bob"}],
)
def test_an_answer_that_was_made_for_something_else(changed: dict[str, str]) -> None:
    world = World()
    alice = challenged(world)
    answer = ask(alice, alice.credentials("MESSAGE", URI, **changed))  # type: ignore[arg-type]
    assert (answer.status, is_stale(answer)) == (407, False)
    assert world.events[-1][0] == INVALID_PASSWORD


def test_a_registration_does_not_become_a_call() -> None:
    """The Authorization of a REGISTER, sent as Proxy-Authorization of an INVITE: the digest holds the method."""
    world = World()
    alice = world.phone("alice")
    alice.challenged("REGISTER", REGISTRAR)
    line = alice.credentials("REGISTER", REGISTRAR, proxy=True)
    assert ask(alice, line, "INVITE", REGISTRAR).status == 407


@pytest.mark.parametrize(
    "signed",
    [
        *(f"sip:carol@{DOMAIN}", "sip:bob@example.net", f"sip:bob@{DOMAIN};maddr=203.0.113.9"),
        *(f"sips:bob@{DOMAIN}:5099", "sip:bob", "tel:+1900", "*", "%%"),
    ],
)
def test_a_digest_uri_that_is_not_the_request_uri(signed: str) -> None:
    """CVE-2007-5469: a call that was paid for becomes a call to elsewhere."""
    world = World()
    alice = challenged(world)
    answer = ask(alice, alice.credentials("MESSAGE", URI, signed_uri=signed))
    assert answer.status == 403
    assert world.events[-1][0] == RESPONSE_FAILED


@pytest.mark.parametrize("signed", [f"sip:bob@{DOMAIN.upper()}", f"sip:bob@{DOMAIN}:5060", f"sip:%62ob@{DOMAIN};x=y"])
def test_a_digest_uri_that_is_the_request_uri_in_other_letters(signed: str) -> None:
    alice = challenged(World())
    assert ask(alice, alice.credentials("MESSAGE", URI, signed_uri=signed)).status == 480


# Nonces ---------------------------------------------------------------------------------------------------------------


def test_nonces_that_are_not_ours() -> None:
    world = World()
    alice = challenged(world)
    assert alice.challenge is not None
    raw = bytearray(base64.b64decode(alice.challenge.nonce))
    forged = ["x", "", "=" * 48, base64.b64encode(bytes(34)).decode()]
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        forged.append(base64.b64encode(changed).decode())
    for nonce in forged:
        line = alice.credentials("MESSAGE", URI, nonce=nonce or "-")
        assert ask(alice, line).status == 407, nonce
    assert SUCCESSFUL not in {event for event, _, _, _ in world.events}
    assert ask(alice, alice.credentials("MESSAGE", URI)).status == 480


def test_the_nonce_of_another_realm() -> None:
    world = World(domains=(DOMAIN, "example.com"))
    other = world.phone("alice", domain="example.com")
    other.challenged("MESSAGE", "sip:bob@example.com")
    assert other.challenge is not None and other.challenge.realm == "example.com"
    alice = challenged(world)
    assert ask(alice, alice.credentials("MESSAGE", URI, nonce=other.challenge.nonce)).status == 407


@pytest.mark.parametrize(("age", "status"), [(299.0, 480), (301.0, 407)])
def test_an_old_nonce(age: float, status: int) -> None:
    """RFC 7616 3.3: with stale=true "the client may wish to simply retry the request with a new encrypted response"."""
    world = World()
    alice = challenged(world)
    world.advance(age)
    answer = ask(alice, alice.credentials("MESSAGE", URI))
    assert answer.status == status
    if status == 407:
        assert is_stale(answer)
        alice.remember(answer)
        assert ask(alice, alice.credentials("MESSAGE", URI)).status == 480


def test_an_old_nonce_with_a_wrong_password_is_not_told_apart() -> None:
    """Else a thief of old nonces would learn from stale=true that his guess was right."""
    world = World()
    alice = challenged(world)
    world.advance(400.0)
    answer = ask(alice, alice.credentials("MESSAGE", URI, password="wrong"))
    assert (answer.status, is_stale(answer)) == (407, False)


# Strength -------------------------------------------------------------------------------------------------------------


def test_the_strongest_is_offered_first() -> None:
    """RFC 8760 2.3: "in the order in which it would prefer to see them used, starting with the most preferred"."""
    world = World()
    alice = world.phone("alice")
    [answer] = alice.send(alice.build("REGISTER", REGISTRAR))
    challenges = [parse_challenge(value) for value in answer.all("www-authenticate")]
    assert [challenge.algorithm for challenge in challenges if challenge] == list(AVAILABLE)
    assert {(challenge.realm, challenge.qop) for challenge in challenges if challenge} == {(DOMAIN, ("auth",))}


def test_an_algorithm_below_policy() -> None:
    for world in (World(algorithms=("SHA-256",)), World(minimum="SHA-256")):
        alice = challenged(world)
        assert ask(alice, alice.credentials("MESSAGE", URI, algorithm="MD5")).status == 403
        assert ask(alice, alice.credentials("MESSAGE", URI, algorithm="SHA-256")).status == 480


@pytest.mark.parametrize("algorithm", ["MD5-sess", "SHA-1", "none"])
def test_an_algorithm_that_was_not_offered(algorithm: str) -> None:
    alice = challenged(World())
    line = alice.credentials("MESSAGE", URI, algorithm="MD5").replace("algorithm=MD5", f"algorithm={algorithm}")
    assert ask(alice, line).status == 403


def test_a_stripped_qop() -> None:
    """Without qop there is no nonce count, and an answer could be replayed for as long as the nonce lives."""
    alice = challenged(World())
    assert ask(alice, alice.credentials("MESSAGE", URI, qop="", algorithm="MD5")).status == 403


@pytest.mark.parametrize(
    ("line", "status", "event"),
    [
        ("Proxy-Authorization: Basic YWxpY2U6c2VjcmV0", 407, None),
        ("Proxy-Authorization: Bearer abc", 407, None),
        ("Proxy-Authorization: Digest", 400, BAD_FORMAT),
        ('Proxy-Authorization: Digest username="alice', 400, BAD_FORMAT),
        ('Proxy-Authorization: Digest realm="example.org", realm="example.org"', 400, BAD_FORMAT),
        ('Proxy-Authorization: Digest username="a", realm="elsewhere", nonce="x", uri="x", response="x"', 400, None),
    ],
)
def test_credentials_of_other_kinds(line: str, status: int, event: str | None) -> None:
    world = World()
    alice = challenged(world)
    answer = ask(alice, line)
    assert answer.status == status
    if event is not None:
        assert world.events[-1][0] == event


def test_many_credentials_are_not_all_judged() -> None:
    world = World()
    alice = challenged(world)
    lines = [alice.credentials("MESSAGE", URI, realm=f"realm{number}") for number in range(40)]
    assert ask(alice, "\r\n".join([*lines, alice.credentials("MESSAGE", URI)])).status == 407


def test_credentials_for_our_realm_do_not_go_on() -> None:
    """22.3: "a Proxy-Authorization header field value MUST NOT be consumed by any proxy whose realm does not match"."""
    world = World()
    alice, bob = challenged(world), world.phone("bob")
    bob.register()
    theirs = 'Proxy-Authorization: Digest username="a", realm="elsewhere", nonce="n", uri="sip:x", response="ab"'
    alice.send(alice.build("MESSAGE", URI, theirs, alice.credentials("MESSAGE", URI)))
    [message] = bob.requests()
    assert message.all("proxy-authorization") == [theirs.partition(": ")[2]]
    assert statuses(alice.responses()) == []
