"""User agents against our own server, in this process, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.server.runtime import Server
from ringback.ua.agent import UserAgent
from tests.server.running import DOMAIN, configured, make_accounts, password_of, port_of, started


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    await make_accounts(tmp_path, "alice", "bob")
    async with started(Server(configured(tmp_path))) as running:
        yield running


def agent(server: Server, user: str, transport: str = "udp", **options: object) -> UserAgent:
    given: dict[str, object] = {
        "password": password_of(user), "registrar": f"sip:{DOMAIN}:{port_of(server, transport)}", "transport": transport,
        "hosts": {DOMAIN: ["127.0.0.1"]},
    }  # fmt: skip
    return UserAgent(f"sip:{user}@{DOMAIN}", **{**given, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_registered(server: Server, transport: str) -> None:
    async with agent(server, "alice", transport) as alice:
        assert alice.is_registered
        print(alice.contact, alice.registration.state, alice.registration.flows[0].it.grant.bindings)
        caps = await alice.options(f"sip:{DOMAIN}")
        print(caps.text())
