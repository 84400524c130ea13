"""User agents against our own server, in this process, over real sockets; and against each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import ConfigurationError, LocalError, ParseError
from ringback.net.certificates import self_signed_certificate
from ringback.server.runtime import Server
from ringback.ua.account import Account
from ringback.ua.agent import UserAgent
from ringback.ua.registration import RegistrationFailed
from ringback.ua.requests import RequestFailed
from tests.server.running import DOMAIN, configured, make_accounts, password_of, port_of, started
from tests.ua.clock import PatientLoop, run
from tests.ua.registrar import granting, registrar


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    await make_accounts(tmp_path, "alice", "bob")
    certificate, key = self_signed_certificate(tmp_path / "tls", DOMAIN, ("127.0.0.1",))
    listen = [f"{transport}:127.0.0.1:0" for transport in ("udp", "tcp", "tls")]
    settings = configured(tmp_path, listen=listen, tls={"certificate": certificate, "key": key})
    async with started(Server(settings)) as running:
        yield running


def agent(server: Server, user: str, transport: str = "udp", **options: Any) -> UserAgent:
    given = {
        "password": password_of(user),
        "registrar": f"sip:{DOMAIN}:{port_of(server, transport)}",
        "transport": transport,
        "hosts": {DOMAIN: ["127.0.0.1"]},
        "tls": {"ca": server.settings.tls.certificate},
    }
    return UserAgent(f"sip:{user}@{DOMAIN}", **{**given, **options})


async def bindings(server: Server, user: str) -> list[str]:
    rows = await server.storage.location.bindings(f"{user}@{DOMAIN}", 0.0)
    return [row.contact for row in rows]


# --- Registered -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_registered_while_the_block_lasts(server: Server, transport: str) -> None:
    async with agent(server, "alice", transport) as alice:
        assert alice.is_registered and alice.uri == f"sip:alice@{DOMAIN}"
        assert alice.registration is not None and alice.registration.current is not None
        [flow] = alice.registration.flows
        grant = flow.it.grant
        assert grant is not None and grant.found == "uri"
        assert await bindings(server, "alice") == [flow.it.contact.text]
        # RFC 5627: what others are told is the GRUU.
        assert alice.contact == grant.public_gruu == f"sip:alice@{DOMAIN};gr={flow.it.instance}"
        assert alice.profile.flow is flow.flow and flow.flow is not None
        assert flow.flow.transport == transport.upper()
    assert await bindings(server, "alice") == []
    assert not alice.is_registered


async def test_a_wrong_password(server: Server) -> None:
    with pytest.raises(RegistrationFailed) as raised:
        async with agent(server, "alice", password="wrong"):
            raise AssertionError
    assert (raised.value.status, raised.value.reason) == (401, "Unauthorized")


async def test_a_server_that_nobody_trusts(server: Server, tmp_path: Path) -> None:
    other, _ = self_signed_certificate(tmp_path / "other", DOMAIN)
    with pytest.raises(RegistrationFailed) as raised:
        async with agent(server, "alice", "tls", tls={"ca": other}):
            raise AssertionError
    assert raised.value.status == 503 and "certificate refused: self-signed certificate" in raised.value.reason


async def test_a_server_that_proves_another_name(server: Server) -> None:
    hosts = {"example.net": ["127.0.0.1"]}
    where = f"sip:example.net:{port_of(server, 'tls')}"
    with pytest.raises(RegistrationFailed, match=r"is for example\.org, not for example\.net"):
        async with agent(server, "alice", "tls", registrar=where, hosts=hosts):
            raise AssertionError


async def test_a_kept_instance(server: Server, tmp_path: Path) -> None:
    contacts = []
    for _ in range(2):
        async with agent(server, "alice", instances=tmp_path / "state") as alice:
            contacts.append(alice.contact)
    assert contacts[0] == contacts[1]
    one, two = (agent(server, "alice", instances=tmp_path / "state") for _ in range(2))
    async with one, two:
        # Two at a time are two user agents; neither takes the other's place.
        assert one.contact == contacts[0] != two.contact
        assert len(await bindings(server, "alice")) == 2


async def test_changes(server: Server) -> None:
    async with agent(server, "alice") as alice:
        seen = [change async for change in _first(alice.changes())]
        assert [(change.state, change.status) for change in seen] == [("registered", 200)]
    async with UserAgent("sip:alice@127.0.0.1") as direct:
        assert [change async for change in direct.changes()] == []
        assert not direct.is_registered


async def _first(changes: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for change in changes:
        yield change
        return


# --- Requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_the_capabilities_of_another_phone(server: Server, transport: str) -> None:
    """Asked through the server, which asks for the password: 407, answered."""
    async with agent(server, "alice", transport) as alice, agent(server, "bob", software="Bob 1.0") as bob:
        found = await alice.options("bob")
        assert (found.status, found.media) == (480, None)
        assert "INVITE" in found.methods and "MESSAGE" not in found.methods
        takes = asyncio.ensure_future(anext(bob.calls()))
        await asyncio.sleep(0)
        for _ in range(2):
            found = await alice.options(f"sip:bob@{DOMAIN}")
            assert (found.status, found.reason, found.software) == (200, "OK", "Bob 1.0")
            assert found.media is not None and "PCMU" in found.media.codec_names("audio")
            assert found.accept == ("application/sdp",) and "replaces" in found.extensions
            assert 0 < found.seconds < 5
        takes.cancel()
        await asyncio.wait((takes,))


async def test_the_capabilities_of_a_server(server: Server) -> None:
    """Directly, without a registration; our server wants to know who asks."""
    async with UserAgent("sip:anonymous@anonymous.invalid") as anybody:
        assert (await anybody.options(f"127.0.0.1:{port_of(server)}")).status == 407
    for transport in ("udp", "tcp", "tls"):
        async with agent(server, "alice", transport, register=False) as alice:
            found = await alice.options(f"sip:{DOMAIN}:{port_of(server, transport)}")
            assert found.status == 200 and "REGISTER" in found.methods
            assert not alice.is_registered and alice.registration is None


async def test_nobody_there() -> None:
    async with UserAgent("sip:alice@127.0.0.1") as alice:
        with pytest.raises(RequestFailed) as raised:
            await alice.options("sip:127.0.0.1:9;transport=tcp")
        assert (raised.value.status, raised.value.reason) == (503, "no way to the other side")
        with pytest.raises(ParseError):
            await alice.options("a b")
        with pytest.raises(LocalError):
            await alice.request("BAD METHOD", "sip:127.0.0.1")


# --- Who may come in --------------------------------------------------------------------------------------------------


async def test_only_the_servers_of_the_account(server: Server) -> None:
    async with agent(server, "bob", accept="servers") as bob:
        assert bob.registration is not None
        place = bob.registration.flows[0].it.contact.text
        async with agent(server, "alice") as alice, UserAgent("sip:stranger@127.0.0.1") as stranger:
            assert (await alice.options("bob")).status == 480
            # The stranger is on the address of the server here; from another he is turned away.
            assert (await stranger.options(place)).status == 480
            bob.registration.flows[0].flow.host = "192.0.2.1"  # type: ignore[union-attr]
            assert (await stranger.options(place)).status == 403


# --- Opening and closing ----------------------------------------------------------------------------------------------


async def test_used_before_and_after() -> None:
    alice = UserAgent("sip:alice@127.0.0.1")
    with pytest.raises(LocalError, match="not open"):
        await alice.request("OPTIONS", "sip:127.0.0.1")
    async with alice:
        with pytest.raises(LocalError, match="opened once"):
            await alice.open()
        assert alice.wire.now() > 0
    await alice.close()


def test_mistakes_are_told_when_it_is_made() -> None:
    with pytest.raises(ConfigurationError, match="expires: 1 is not allowed"):
        UserAgent("sip:alice@example.org", expires=1)
    with pytest.raises(LocalError, match="an account has its own expires"):
        UserAgent(Account.of("sip:alice@example.org"), expires=60)
    with pytest.raises(ConfigurationError, match=r"/nowhere/ca\.pem"):
        UserAgent("sip:alice@example.org", tls={"ca": "/nowhere/ca.pem"})


async def test_a_taken_port() -> None:
    async with UserAgent("sip:alice@127.0.0.1", listen="udp:127.0.0.1:0") as alice:
        port = alice.wire.places.listeners[0].port
        with pytest.raises(ConfigurationError, match="Address already in use"):
            async with UserAgent("sip:bob@127.0.0.1", listen=f"udp:127.0.0.1:{port}"):
                raise AssertionError


def test_cancelled_at_every_step() -> None:
    """Wherever the opening of an agent is cancelled: no socket and no task is left, and the registration is not."""

    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, PatientLoop)
        cancelled = steps = 0
        challenge = 'Digest realm="example.org", nonce="n", qop="auth", algorithm=MD5'
        async with registrar() as server:
            server.usual = granting()
            while cancelled == steps:
                before, tasks = loop.watched, asyncio.all_tasks()
                heard = len(server.heard)
                server.script = [(401, [("WWW-Authenticate", challenge)])]
                alice = UserAgent(
                    "sip:alice@example.org", "secret", registrar=f"sip:127.0.0.1:{server.port}", transport="tcp"
                )
                opening = asyncio.ensure_future(alice.open())
                for _ in range(steps):
                    await asyncio.sleep(0)
                opening.cancel()
                await asyncio.wait((opening,))
                cancelled += opening.cancelled()
                steps += 1
                await alice.close()
                server.hang_up()
                for _ in range(5):
                    await asyncio.sleep(0)
                assert loop.watched == before and asyncio.all_tasks() == tasks
                if any("authorization" in it.request.names for it in server.heard[heard:]):
                    assert server.heard[-1].contacts[0][1] == "0"
            assert opening.done() and not opening.cancelled()
        return cancelled, steps

    cancelled, steps = run(main())
    assert cancelled == steps - 1 and cancelled > 10


def test_a_block_that_fails_takes_all_back() -> None:
    async def main() -> None:
        async with registrar() as server:
            with pytest.raises(ZeroDivisionError):
                async with UserAgent("sip:alice@example.org", "x", registrar=f"sip:127.0.0.1:{server.port}"):
                    raise ZeroDivisionError
            assert [heard.contacts[0][1] for heard in server.heard] == ["3600", "0"]

    run(main())
