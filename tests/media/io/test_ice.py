"""The way that checks find over loopback: hosts, reflexive and relayed candidates, lite agents, forgers, failure."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from ringback.errors import LocalError
from ringback.media.backend import MediaError
from ringback.media.io import ice as module
from ringback.media.io.ice import IcePath, IceSettings
from ringback.media.io.sockets import Address, bind
from ringback.media.stun import BINDING, PRIORITY, REQUEST, USE_CANDIDATE, USERNAME, encode_stun, number
from ringback.sdp.ice import IceParameters
from tests.media.io.ends import PORTS, Stranger, one_turn
from tests.media.io.servers import closed_port, mapping_server, turn_server
from tests.media.turn_server import NAME, PASSWORD

PATIENCE = 15.0
BOTH = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


class Side:
    """A path and what it has handed up."""

    def __init__(self) -> None:
        self.path: IcePath
        self.heard: asyncio.Queue[tuple[int, bytes, Address]] = asyncio.Queue()

    def receive(self, component: int, data: bytes, source: Address, arrival: float) -> None:
        self.heard.put_nowait((component, data, source))

    async def next(self) -> tuple[int, bytes, Address]:
        async with asyncio.timeout(PATIENCE):
            return await self.heard.get()

    @property
    def kinds(self) -> list[str]:
        return sorted({candidate.kind for candidate in self.path.parameters.candidates})


@asynccontextmanager
async def sides(here: dict[str, Any] | None = None, there: dict[str, Any] | None = None) -> AsyncIterator[list[Side]]:
    both = []
    try:
        for options in (here, there):
            side = Side()
            settings: dict[str, Any] = {"address": "127.0.0.1", "ports": PORTS, **(options or {})}
            side.path = await IcePath.open(IceSettings(**settings), side.receive)
            both.append(side)
        yield both
    finally:
        for side in both:
            side.path.close()
            side.path.close()


async def connect(here: Side, there: Side, components: int = 2) -> None:
    """`here` has offered."""
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            there.path.start(here.path.parameters, False, components),
            here.path.start(there.path.parameters, True, components),
        )


async def talk(here: Side, there: Side, components: int = 2) -> None:
    for component in range(1, components + 1):
        for one, other in ((here, there), (there, here)):
            assert one.path.send(component, b"\x80 media")
            got, data, source = await other.next()
            assert (got, data) == (component, b"\x80 media")
            assert other.path.chosen(component, source)
            assert other.path.admits(component, source, data, 0)


@BOTH
@pytest.mark.parametrize("components", [1, 2])
async def test_host_candidates(host: str, components: int) -> None:
    options = {"address": host, "single": components == 1}
    async with sides(options, options) as (here, there):
        assert len(here.path.parameters.candidates) == components
        assert here.path.send(1, b"x") is False
        await connect(here, there, components)
        await talk(here, there, components)
        assert here.path.checks >= components
        assert here.path.default[1] == (host, here.path.sockets()[0].address[1])


async def test_all_addresses_of_the_host_without_a_given_one() -> None:
    async with sides({"address": ""}, {"address": ""}) as (here, there):
        await connect(here, there)
        await talk(here, there)
        ports = {candidate.address for candidate in here.path.parameters.candidates}
        assert len(here.path.sockets()) == 2 * len(ports)


async def test_one_port_when_that_is_agreed() -> None:
    async with sides() as (here, there):
        [port] = [sock.address[1] for sock in here.path.sockets() if sock.address[1] % 2]
        await connect(here, there, components=1)
        await talk(here, there, components=1)
        bind("127.0.0.1", port).close()
        assert here.path.agent.components == {1}
        assert here.path.send(2, b"x") is False


async def test_a_lite_agent() -> None:
    async with sides({}, {"lite": True, "stun": ("stun:192.0.2.1",)}) as (here, there):
        assert there.path.parameters.lite
        await connect(here, there)
        await talk(here, there)


async def test_reflexive_candidates_and_the_default_address() -> None:
    mapped = ("198.51.100.77", 0)
    async with mapping_server(mapped) as (host, port), sides({"stun": (f"stun:{host}:{port}",)}) as (here, there):
        assert here.kinds == ["host", "srflx"]
        reflexive = [each for each in here.path.parameters.candidates if each.kind == "srflx"]
        assert {each.address for each in reflexive} == {"198.51.100.77"}
        assert {each.related_address for each in reflexive} == {"127.0.0.1"}
        assert [each.component for each in reflexive] == [1, 2]
        assert here.path.default[1] == ("198.51.100.77", reflexive[0].port)
        await connect(here, there)
        await talk(here, there)


async def test_an_advertised_address_is_the_default_and_a_candidate() -> None:
    async with sides({"advertised": "203.0.113.5"}) as (here, _):
        (address, port) = here.path.default[1]
        assert address == "203.0.113.5"
        assert ("203.0.113.5", port) in [(each.address, each.port) for each in here.path.parameters.candidates]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("both", [False, True])
async def test_relayed_candidates(transport: str, both: bool) -> None:
    """The relayed ones alone are told to the far end, so nothing else is used."""
    async with turn_server() as server:
        uri = f"turn:{NAME}:{PASSWORD}@127.0.0.1:{server.address[1]}?transport={transport}"
        async with sides({"turn": (uri,)}, {"turn": (uri,)} if both else {}) as (here, there):
            assert here.kinds == ["host", "relay"]
            for side in (here, there) if both else (here,):
                agent = side.path.agent
                agent.local = [each for each in agent.local if each.kind == "relay"]
                agent._bases = {each.base: each for each in agent.local}
            await connect(here, there)
            assert here.path.agent.selected[1].base in server.relays
            await talk(here, there)
            await talk(here, there)


async def test_servers_that_do_not_answer_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GATHERING", 0.05)
    silent = closed_port()
    servers = {
        "stun": (f"stun:127.0.0.1:{silent}", "stun:no-such-host.invalid"),
        "turn": (f"turn:a:b@127.0.0.1:{silent}", f"turn:a:b@127.0.0.1:{silent}?transport=tcp"),
    }
    async with sides(servers) as (here, there):
        assert here.kinds == ["host"]
        await connect(here, there)


@pytest.mark.parametrize("options", [{"stun": ("nonsense",)}, {"turn": ("turn:host",)}])
async def test_wrong_uris(options: dict[str, Any]) -> None:
    with pytest.raises(LocalError):
        await IcePath.open(IceSettings(address="127.0.0.1", ports=PORTS, **options), Side().receive)


async def test_without_a_free_port_or_address() -> None:
    for settings in (IceSettings(address="127.0.0.1", ports=(9, 9)), IceSettings(address="198.51.100.7", ports=PORTS)):
        with pytest.raises(MediaError):
            await IcePath.open(settings, Side().receive)


async def test_opening_may_be_cancelled_at_any_time() -> None:
    async with turn_server() as server:
        server.silent = True
        uri = f"turn:{NAME}:{PASSWORD}@127.0.0.1:{server.address[1]}"
        settings = IceSettings(
            address="127.0.0.1", ports=PORTS, turn=(uri,), stun=(f"stun:127.0.0.1:{server.address[1]}",)
        )
        for turns in range(8):
            opening = asyncio.ensure_future(IcePath.open(settings, Side().receive))
            for _ in range(turns):
                await one_turn()
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
    # Sockets that were left open would be warned of.


async def test_forged_checks_move_nothing() -> None:
    """A27: before and after the way is found; what is signed with the wrong key is not answered."""
    async with sides() as (here, there):
        target = here.path.sockets()[0].address
        attributes = [
            (USERNAME, f"{here.path.agent.ufrag}:{there.path.agent.ufrag}".encode()),
            (PRIORITY, number(2**31 - 1)),
            (USE_CANDIDATE, b""),
        ]
        with Stranger() as stranger:

            async def forge() -> None:
                before = here.path.agent.ignored
                for key in (None, b"wrong", there.path.agent.password.encode()):
                    stranger.send(encode_stun(BINDING, REQUEST, secrets.token_bytes(12), attributes, key), target)
                async with asyncio.timeout(PATIENCE):
                    while here.path.agent.ignored < before + 3:
                        await one_turn()

            await forge()
            await connect(here, there)
            selected = dict(here.path.agent.selected)
            await forge()
            assert here.path.agent.selected == selected
            assert not here.path.chosen(1, stranger.address)
            stranger.send(b"\x80 intruder", target)
            _, _, source = await here.next()
            assert not here.path.chosen(1, source)
            await talk(here, there)
            assert stranger.received() == []


async def test_a_way_is_sent_through_only_where_it_was_found() -> None:
    async with sides() as (here, there):
        await connect(here, there)
        with Stranger() as stranger:
            assert here.path.send(1, b"x", stranger.address) is False
            assert here.path.send(1, b"x", here.path.agent.selected[1].remote) is True
            assert here.path.may_roam(1, stranger.address) is False
            here.path.authenticated(1, stranger.address)
            assert stranger.received() == []


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.media.ice.PATIENCE", 0.1)
    async with sides() as (here, _):
        with pytest.raises(MediaError, match=r"^no pair of addresses has led to the far end$"):
            await here.path.start(IceParameters("abcd", "p" * 22), True, 2)
        with pytest.raises(MediaError, match=r"ICE has to be restarted$"):
            await here.path.start(IceParameters("abcd", "p" * 22), True, 2)


async def test_closing_ends_the_search() -> None:
    async with sides() as (here, there):
        searching = asyncio.ensure_future(here.path.start(IceParameters("abcd", "p" * 22), True, 2))
        await one_turn()
        here.path.close()
        with pytest.raises(MediaError, match=r"^the transport is closed$"):
            await searching
        with pytest.raises(MediaError, match=r"^the transport is closed$"):
            await here.path.start(there.path.parameters, True, 2)
        assert all(sock.closed for sock in here.path.sockets())


async def test_a_lost_way_is_told() -> None:
    async with sides() as (here, there):
        lost: list[MediaError] = []
        here.path.on_failure = lost.append
        await connect(here, there)
        agent = here.path.agent
        for consent in agent._consents.values():
            consent._granted -= 100
        here.path._expired()
        assert [str(error) for error in lost] == [
            "the far end has stopped answering, and with it consenting to be sent to"
        ] * 2
        assert here.path.send(1, b"x") is False


async def test_a_restart() -> None:
    async with sides() as (here, there):
        await connect(here, there)
        old = here.path.parameters
        here.path.restart()
        assert here.path.parameters.ufrag != old.ufrag
        await talk(here, there)
        there.path.restart()
        await connect(here, there)
        await talk(here, there)


async def test_the_same_description_again_returns_at_once() -> None:
    async with sides() as (here, there):
        await connect(here, there)
        before = here.path.checks
        await here.path.start(replace(there.path.parameters, candidates=()), True, 2)
        assert here.path.checks == before


async def test_without_ice_at_the_far_end_the_default_sockets_are_used() -> None:
    async with sides({"address": ""}) as (here, _):
        direct = here.path.direct()
        address = here.path.default[1]
        assert direct.sockets()[0].address == address
        assert sum(not sock.closed for sock in here.path.sockets()) == 2
        with Stranger() as far:
            assert direct.send(1, b"\x80 media", ("127.0.0.1", far.address[1])) in (True, False)
            if address[0] == "127.0.0.1":
                far.send(b"\x80 media", address)
                assert (await here.next())[:2] == (1, b"\x80 media")
