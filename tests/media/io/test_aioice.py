"""Against an ICE agent that others have written (aioice), on an address of this host: both roles, one port and two."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ringback.media.io.ice import IcePath, IceSettings
from ringback.media.io.interfaces import host_addresses
from ringback.media.io.sockets import Address
from ringback.sdp.ice import Candidate, IceParameters
from tests.media.io.ends import PORTS

aioice = pytest.importorskip("aioice")

PATIENCE = 20.0


async def gathered(controlling: bool, components: int, ipv6: bool) -> Any:
    connection = aioice.Connection(ice_controlling=controlling, components=components, use_ipv6=ipv6, use_ipv4=not ipv6)
    await connection.gather_candidates()
    if not connection.local_candidates:
        await connection.close()
        pytest.skip("this host has no address that aioice takes")
    return connection


async def tell(connection: Any, ours: IceParameters) -> None:
    connection.remote_username, connection.remote_password = ours.ufrag, ours.password
    for candidate in ours.candidates:
        await connection.add_remote_candidate(aioice.Candidate.from_sdp(str(candidate)))
    await connection.add_remote_candidate(None)


def told(connection: Any) -> IceParameters:
    candidates = tuple(Candidate.parse(candidate.to_sdp()) for candidate in connection.local_candidates)
    return IceParameters(connection.local_username, connection.local_password, candidates)


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("ipv6", [False, True])
async def test_a_way_is_found_and_used(controlling: bool, components: int, ipv6: bool) -> None:
    heard: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()

    def receive(component: int, data: bytes, source: Address, arrival: float) -> None:
        if path.chosen(component, source):
            heard.put_nowait((component, data))

    if not any((":" in address) is ipv6 for address in host_addresses()):
        pytest.skip("this host has no such address")
    path = await IcePath.open(IceSettings(ports=PORTS, single=components == 1), receive)
    connection = await gathered(not controlling, components, ipv6)
    try:
        async with asyncio.timeout(PATIENCE):
            await tell(connection, path.parameters)
            await asyncio.gather(connection.connect(), path.start(told(connection), controlling, components))
            assert path.agent.controlling is controlling
            for component in range(1, components + 1):
                assert path.send(component, b"\x80 from us")
                assert await connection.recvfrom() == (b"\x80 from us", component)
                await connection.sendto(b"\x80 from them", component)
                assert await heard.get() == (component, b"\x80 from them")
    finally:
        path.close()
        await connection.close()


@pytest.mark.parametrize("controlling", [True, False])
async def test_a_conflict_of_roles(controlling: bool) -> None:
    path = await IcePath.open(IceSettings(ports=PORTS, single=True), lambda *heard: None)
    connection = await gathered(controlling, 1, False)
    try:
        async with asyncio.timeout(PATIENCE):
            await tell(connection, path.parameters)
            await asyncio.gather(connection.connect(), path.start(told(connection), controlling, 1))
            assert connection.ice_controlling is not path.agent.controlling
            assert path.send(1, b"\x80 from us")
            assert await connection.recv() == b"\x80 from us"
    finally:
        path.close()
        await connection.close()


async def test_as_a_lite_agent() -> None:
    path = await IcePath.open(IceSettings(ports=PORTS, single=True, lite=True), lambda *heard: None)
    connection = await gathered(True, 1, False)
    connection.remote_is_lite = True
    try:
        async with asyncio.timeout(PATIENCE):
            await tell(connection, path.parameters)
            await asyncio.gather(connection.connect(), path.start(replace(told(connection)), False, 1))
            assert path.send(1, b"\x80 from us")
            assert await connection.recv() == b"\x80 from us"
    finally:
        path.close()
        await connection.close()
