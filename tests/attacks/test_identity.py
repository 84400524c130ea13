"""A callee can rely on From: it is the account's that the caller has proved, and no header says otherwise."""

from __future__ import annotations

import pytest

from ringback.server.setup.authentication import FAILED_ACL
from tests.attacks.world import DOMAIN, SERVER, Phone, World, statuses

METHODS = ("INVITE", "MESSAGE", "SUBSCRIBE", "PUBLISH", "REFER", "OPTIONS", "NOTIFY", "INFO", "UPDATE", "BYE", "FOO")


def bob_in(world: World) -> Phone:
    bob = world.phone("bob")
    bob.register()
    return bob


@pytest.mark.parametrize("method", METHODS)
def test_without_credentials_nothing_reaches_anybody(method: str) -> None:
    """FreeSWITCH's CVE-2021-37624 and -41157 were MESSAGE and SUBSCRIBE, which were not asked for any."""
    world = World()
    bob = bob_in(world)
    mallory = world.phone("mallory")
    assert statuses(mallory.send(mallory.build(method, bob.uri))) == [407]
    assert bob.messages() == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "sender",
    [
        *(f"<sip:alice@{DOMAIN}>", f"<sips:alice@{DOMAIN}>", f"<sip:alice@{SERVER}>", "<sip:ceo@bank.example.net>"),
        *(f"<sip:mallory@bank.example.net;maddr={SERVER}>", f"<sip:{DOMAIN}>", "<tel:+15550100>", "<mailto:a@b>"),
        *(f'"<sip:mallory@{DOMAIN}>" <sip:alice@{DOMAIN}>', f"<sip:Mallory@{DOMAIN}>", f"<sip:mallory%40x@{DOMAIN}>"),
        *("<sip:mallory@anonymous.invalid.example.net>", f"<sip:mallory:alice@{DOMAIN}.>x"),
    ],
)
def test_from_is_somebody_else(method: str, sender: str) -> None:
    """CVE-2025-47779 is the same for MESSAGE in Asterisk."""
    world = World()
    bob = bob_in(world)
    mallory = world.phone("mallory")
    [answer] = mallory.request(method, bob.uri, sender=sender)
    assert answer.status == (400 if sender.endswith("x") else 403)
    if answer.status == 403:
        event, host, account, _ = world.events[-1]
        assert (event, host, account) == (FAILED_ACL, mallory.flow.host, f"mallory@{DOMAIN}")
    if method == "INVITE":
        mallory.acknowledge(answer, bob.uri)
    assert bob.messages() == []


@pytest.mark.parametrize(
    "sender",
    [
        *(f"<sip:mallory@{DOMAIN}>", f"<sips:mallory@{DOMAIN}>", f"<sip:mallory@{DOMAIN};user=phone>"),
        *(f"<sip:%6dallory@{DOMAIN.upper()}>", f"<sip:mallory@{SERVER}>", f'"Whoever" <sip:mallory@{DOMAIN}>'),
        '"Anonymous" <sip:anonymous@anonymous.invalid>',
    ],
)
def test_from_is_his_own_or_nobodys(sender: str) -> None:
    """RFC 3323 4.1.1.3 gives those who hide the host name "anonymous.invalid"."""
    world = World()
    bob = bob_in(world)
    mallory = world.phone("mallory")
    mallory.request("MESSAGE", bob.uri, sender=sender)
    [message] = bob.requests()
    assert message.required("from").startswith(sender)


def test_a_user_of_the_other_domain() -> None:
    world = World(domains=(DOMAIN, "example.com"))
    bob = bob_in(world)
    alice = world.phone("alice", domain="example.com")
    alice.request("MESSAGE", bob.uri)
    assert [message.from_.uri.text for message in bob.requests()] == ["sip:alice@example.com"]
    # The same name here is another's.
    assert statuses(alice.request("MESSAGE", bob.uri, sender=f"<sip:alice@{DOMAIN}>")) == []
    assert [message.from_.uri.text for message in bob.requests()] == [f"sip:alice@{DOMAIN}"]
    alice.password = "the secret of alice at example.com only"
    assert statuses(alice.request("MESSAGE", bob.uri, sender=f"<sip:alice@{DOMAIN}>")) == [407]


@pytest.mark.parametrize(
    "line",
    [
        *('P-Asserted-Identity: "CEO" <sip:ceo@example.org>', "p-asserted-identity : <tel:+1>"),
        *("Remote-Party-ID: <sip:ceo@example.org>", "P-Preferred-Identity: <sip:ceo@example.org>"),
    ],
)
def test_assertions_of_identity_do_not_go_on(line: str) -> None:
    """RFC 3325 section 5 about a proxy that does not trust the sender: it "MUST replace … or remove this header field";
    section 6: "The proxy MUST remove the user-provided P-Preferred-Identity header from any message it forwards"."""
    world = World()
    bob = bob_in(world)
    mallory = world.phone("mallory")
    mallory.request("MESSAGE", bob.uri, line, line, "Subject: kept")
    [message] = bob.requests()
    assert "identity" not in " ".join(message.names) and "remote-party-id" not in message.names
    assert message.header("subject") == "kept"


def test_a_trusted_source_may_assert() -> None:
    world = World(trusted=("203.0.113.0/24",))
    bob = bob_in(world)
    gateway = world.phone("ceo", host="203.0.113.1", domain="bank.example.net")
    gateway.send(gateway.build("MESSAGE", bob.uri, "P-Asserted-Identity: <sip:ceo@bank.example.net>"))
    [message] = bob.requests()
    assert message.header("p-asserted-identity") == "<sip:ceo@bank.example.net>"


def test_outsiders_are_nobody_of_ours() -> None:
    """Where strangers may call, they do so under names of other domains."""
    world = World(outsiders=True)
    bob = bob_in(world)
    stranger = world.phone("alice", domain="example.net")
    for sender in (f"<sip:alice@{DOMAIN}>", f"<sip:bob@{SERVER}>", "<tel:+15550100>", f"<sip:nobody@{DOMAIN}>"):
        assert statuses(stranger.send(stranger.build("MESSAGE", bob.uri, sender=sender))) == [407]
    assert bob.messages() == []
    stranger.send(stranger.build("MESSAGE", bob.uri, "P-Asserted-Identity: <sip:alice@example.org>"))
    [message] = bob.requests()
    assert (message.from_.uri.text, message.header("p-asserted-identity")) == ("sip:alice@example.net", None)


@pytest.mark.parametrize("name", ["X-Command", "Alert-Info", "Call-Info", "Refer-To", "Replaces", "Event", "Reply-To"])
def test_no_header_is_a_command(name: str) -> None:
    """CVE-2026-116779: a header of a MESSAGE that a server ran. Here they are carried and nothing else."""
    world = World()
    bob = bob_in(world)
    before = (world.bindings(f"bob@{DOMAIN}"), len(world.stack.layer.clients))
    mallory = world.phone("mallory")
    value = "$(reboot) `id` ; <sip:x@127.0.0.1> ../../etc/passwd"
    mallory.request("MESSAGE", bob.uri, f"{name}: {value}", body=b"api reload\r\nshutdown")
    [message] = bob.requests()
    assert (message.header(name.lower()), message.body) == (value, b"api reload\r\nshutdown")
    assert (world.bindings(f"bob@{DOMAIN}"), len(world.stack.layer.clients)) == (before[0], before[1] + 1)
    assert world.asked == [] and world.elsewhere(bob, mallory) == []
