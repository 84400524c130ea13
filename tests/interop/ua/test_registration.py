"""Our user agent registered at Kamailio, which makes GRUUs, knows no outbound here, and lists all bindings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback import UserAgent
from ringback.ua.registration import FlowRegistration, RegistrationFailed
from tests.interop.peers.server import DOMAIN, Certificate, KamailioServer, password_of
from tests.interop.ua.features import OURS

pytestmark = [pytest.mark.interop("kamailio", "openssl"), pytest.mark.proves("kamailio", "registered", OURS)]

TRANSPORTS = ["udp", "tcp", "tls"]


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory, identity: Certificate) -> Iterator[KamailioServer]:
    """The registrar of ring.test."""
    made = KamailioServer(tmp_path_factory.mktemp("kamailio"), identity)
    made.start()
    yield made
    made.stop()


def agent(server: KamailioServer, user: str, transport: str, **options: Any) -> UserAgent:
    port = server.tls if transport == "tls" else server.udp
    given = {
        "password": password_of(user),
        "registrar": f"sip:{DOMAIN}:{port}",
        "transport": transport,
        "hosts": {DOMAIN: ["127.0.0.1"]},
        "tls": {"ca": server.certificate},
    }
    return UserAgent(f"sip:{user}@{DOMAIN}", **{**given, **options})


def flow_of(agent: UserAgent) -> FlowRegistration:
    assert agent.registration is not None
    [flow] = agent.registration.flows
    return flow


def place(agent: UserAgent) -> str:
    """The contact that is registered."""
    return flow_of(agent).it.contact.text


def bindings(agent: UserAgent) -> list[str]:
    """The contacts that the registrar has listed."""
    grant = flow_of(agent).it.grant
    assert grant is not None
    return [value.partition(">")[0].lstrip("<") for value in grant.bindings]


async def refreshed(agent: UserAgent) -> None:
    """Register again, and wait for the answer."""
    cseq = flow_of(agent).it.cseq
    assert agent.registration is not None
    agent.registration.renew()
    async with asyncio.timeout(10):
        async for change in agent.changes():
            if change.state == "registered" and flow_of(agent).it.cseq > cseq:
                return


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_registered_refreshed_and_taken_back(kamailio: KamailioServer, transport: str) -> None:
    async with agent(kamailio, "alice", transport, expires=600) as alice:
        it = flow_of(alice).it
        grant = it.grant
        assert grant is not None and alice.is_registered
        assert (grant.found, grant.expires, grant.outbound) == ("uri", 600, False)
        assert bindings(alice) == [place(alice)]
        # Kamailio makes GRUUs.
        assert alice.contact == grant.public_gruu == f"sip:alice@{DOMAIN};gr={it.instance}"
        await refreshed(alice)
        assert bindings(alice) == [it.contact.text] and it.failures == 0
        async with agent(kamailio, "alice", "udp") as other:
            # Both are listed, and each finds its own.
            assert sorted(bindings(other)) == sorted([place(alice), place(other)])
            await refreshed(alice)
            assert len(bindings(alice)) == 2 and it.grant is not None and it.grant.found == "uri"
        await refreshed(alice)
        assert bindings(alice) == [place(alice)]
    async with agent(kamailio, "alice", "udp") as again:
        assert bindings(again) == [place(again)]


async def test_the_registrar_decides_how_long(kamailio: KamailioServer) -> None:
    """Its least is 30 seconds: it grants that to who asks for less."""
    async with agent(kamailio, "alice", "udp", expires=10) as alice:
        it = flow_of(alice).it
        assert it.grant is not None and it.grant.expires == 30
        assert it.due - alice.now() == pytest.approx(15, abs=1)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_wrong_password(kamailio: KamailioServer, transport: str) -> None:
    with pytest.raises(RegistrationFailed) as raised:
        async with agent(kamailio, "alice", transport, password="wrong"):
            raise AssertionError
    assert raised.value.status == 401


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_lost_connection_is_replaced(kamailio: KamailioServer, transport: str) -> None:
    async with agent(kamailio, "alice", transport) as alice:
        before = place(alice)
        flow = flow_of(alice).flow
        assert flow is not None
        alice.wire.streams.disconnect(flow)
        async with asyncio.timeout(10):
            async for change in alice.changes():
                if change.state == "registered" and change.contact != before:
                    break
        # The contact of the connection that is gone is taken back with the same request.
        assert bindings(alice) == [place(alice)] and place(alice) != before


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_asked_through_the_registrar(kamailio: KamailioServer, transport: str, tmp_path: Path) -> None:
    """OPTIONS to another phone reaches it over the connection that it has opened."""
    async with agent(kamailio, "alice", "udp") as alice, agent(kamailio, "bob", transport, software="Bob") as bob:
        found = await alice.options("bob")
        assert (found.status, found.software) == (480, "Bob") and "INVITE" in found.methods
        assert (await bob.options(f"sip:{DOMAIN}")).status == 200
