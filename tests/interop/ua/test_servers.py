"""Our user agent registered at Kamailio and at Ringback's own server, and calls through them; keys by SDES over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback import Call, CallFailed, UserAgent
from tests.interop.conftest import ONLY_MD5
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.server import (
    DOMAIN,
    Certificate,
    KamailioServer,
    RingbackServer,
    Server,
    password_of,
)
from tests.interop.ua.conftest import Agents, Phones
from tests.interop.ua.features import OURS, THEIRS
from tests.interop.ua.talk import TONE, both_hear, called, hears, in_time, saying, seen, until

SERVERS = [
    pytest.param("kamailio", marks=pytest.mark.interop("kamailio", "openssl")),
    pytest.param("ringback", marks=pytest.mark.interop("openssl")),
]


@pytest.fixture(scope="module", params=SERVERS)
def peer(request: pytest.FixtureRequest) -> str:
    """Which server it is."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(
    peer: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, identity: Certificate
) -> Iterator[Server]:
    """The server for ring.test."""
    directory = tmp_path_factory.mktemp(peer)
    made: Server
    if peer == "kamailio":
        made = KamailioServer(directory, identity)
    else:
        made = RingbackServer(directory, request.getfixturevalue("accounts"), identity, ONLY_MD5)
    made.start()
    yield made
    made.stop()


def at(server: Server, user: str, transport: str = "udp", **options: Any) -> dict[str, Any]:
    """The options of a user's account there."""
    port = server.tls if transport == "tls" else server.udp
    return {
        "user": user,
        "address": f"sip:{user}@{DOMAIN}",
        "password": password_of(user),
        "proxies": [f"sip:{DOMAIN}:{port};transport={transport}"],
        "hosts": {DOMAIN: ["127.0.0.1"]},  # a certificate is for a name (RFC 5922 7.1)
        "tls": {"ca": server.certificate},
        "listen": [],
        **options,
    }


async def both_talk(agent: UserAgent, other: UserAgent, user: str, tone: Path) -> None:
    """A call between two of ours, heard on both sides."""
    dialed: list[asyncio.Task[Call]] = []
    answered = await called(other, lambda: dialed.append(asyncio.ensure_future(agent.dial(f"sip:{user}@{DOMAIN}"))))
    call = await in_time(dialed[0])
    await in_time(answered.answer())
    await in_time(call.answered())
    async with saying(call, tone), saying(answered, tone):
        await asyncio.gather(hears(call, TONE), hears(answered, TONE))
    await in_time(call.hang_up())
    await in_time(answered.ended())


@pytest.mark.proves("{peer}", "registered", OURS)
@pytest.mark.proves("{peer}", "call through the server", OURS)
@pytest.mark.proves("{peer}", "call through the server", THEIRS)
async def test_registered(peer: str, server: Server, agents: Agents, tone: Path) -> None:
    """Two of ours register and call each other; one that has left is not reached."""
    alice, bob = await agents(**at(server, "alice")), await agents(**at(server, "bob"))
    assert alice.is_registered and bob.is_registered
    await both_talk(alice, bob, "bob", tone)
    await both_talk(bob, alice, "alice", tone)
    await in_time(bob.close())
    with pytest.raises(CallFailed) as failed:
        await in_time(alice.call(f"sip:bob@{DOMAIN}"))
    assert failed.value.status in (404, 480)


@pytest.mark.interop("baresip")
@pytest.mark.proves("{peer}", "call with baresip through the server", OURS)
@pytest.mark.proves("{peer}", "call with baresip through the server", THEIRS)
@pytest.mark.proves("{peer}", "transfer through the server", OURS)
async def test_baresip_through_the_server(
    peer: str, server: Server, phones: Phones, agents: Agents, tone: Path
) -> None:
    """A call each way; the second is transferred to carol, whom baresip calls through the server."""
    bob = await phones(Baresip, "bob", server=server)
    alice, carol = await agents(**at(server, "alice")), await agents(**at(server, "carol"))
    call = await called(alice, lambda: bob.dial("alice"))
    await in_time(call.answer())
    async with saying(call, tone):
        await both_hear(call, bob, bob.tone)
    bob.hang_up()
    await in_time(call.ended())
    call = await alice.dial(f"sip:bob@{DOMAIN}")
    await seen(bob.called)
    bob.accept()
    await in_time(call.answered())
    async with saying(call, tone):
        await both_hear(call, bob, bob.tone)
    transferred: list[asyncio.Task[None]] = []
    reached = await called(
        carol, lambda: transferred.append(asyncio.ensure_future(call.transfer(f"sip:carol@{DOMAIN}")))
    )
    await in_time(reached.answer())
    async with saying(reached, tone):
        await both_hear(reached, bob, bob.tone)
    await in_time(transferred[0])
    await in_time(reached.hang_up())


def has_moved(call: Call) -> bool:
    """Whether a call goes on with somebody else."""
    return any(change.kind == "moved" for change in call.history)


PHONES = [
    pytest.param("baresip", Baresip, "srtp-mand", marks=pytest.mark.interop("baresip", "openssl")),
    pytest.param("linphone", Linphone, "srtp", marks=pytest.mark.interop("linphonec", "openssl")),
]


@pytest.mark.proves("{phone}", "SDES", OURS)
@pytest.mark.proves("{phone}", "SDES", THEIRS)
@pytest.mark.proves("ringback", "call over TLS through the server", OURS)
@pytest.mark.proves("ringback", "call over TLS through the server", THEIRS)
@pytest.mark.parametrize("peer", ["ringback"], indirect=True)
@pytest.mark.parametrize(("phone", "kind", "encryption"), PHONES)
async def test_sdes_over_tls(
    peer: str, server: Server, phones: Phones, agents: Agents, tone: Path, phone: str, kind: Any, encryption: str
) -> None:
    """Signalling is protected on each hop, so keys may stand in SDP; neither side takes a call without."""
    bob = await phones(kind, "bob", server=server, transport="tls", encryption=encryption)
    secure = {"encryption": "require", "keying": ["sdes"]}
    alice = await agents(**at(server, "alice", "tls", **secure))
    call = await alice.dial(f"sip:bob@{DOMAIN}")
    await seen(bob.called)
    bob.accept()
    await in_time(call.answered())
    async with saying(call, tone):
        await both_hear(call, bob, bob.tone)
    assert call.media.encrypted.startswith("SDES")
    await in_time(call.hang_up())
    await seen(bob.is_done)
    if isinstance(bob, Linphone):
        bob.record("heard-2.wav")
    call = await called(alice, lambda: bob.dial("alice"))
    await in_time(call.answer())
    async with saying(call, tone):
        await both_hear(call, bob, bob.tone)
    bob.hang_up()
    await in_time(call.ended())


@pytest.mark.interop("linphonec", "openssl")
@pytest.mark.proves("linphone", "attended transfer", THEIRS)
@pytest.mark.proves("{peer}", "transfer through the server", THEIRS)
async def test_linphone_transfers_after_a_talk(
    peer: str, server: Server, phones: Phones, agents: Agents, tone: Path
) -> None:
    """Linphone talks to two of ours and connects them: one takes its place in the call of the other.

    It refers to the address of record of the second, so there has to be a server.
    """
    dave = await phones(Linphone, "dave", server=server, answer="auto")
    alice, carol = await agents(**at(server, "alice", transfers=True)), await agents(**at(server, "carol"))
    first = await in_time(alice.call(f"sip:dave@{DOMAIN}"))
    await hears(first, dave.tone)
    dave.hold()
    await in_time(until(lambda: first.held))
    second = await called(carol, lambda: dave.dial("carol"))
    await in_time(second.answer())
    await hears(second, dave.tone)
    dave.transfer_to_call(1, 2)
    await in_time(until(lambda: has_moved(first) and has_moved(second)))
    async with saying(first, tone):
        await hears(second, TONE)
    async with saying(second, tone):
        await hears(first, TONE)
    await in_time(first.hang_up())
    await in_time(second.ended())
