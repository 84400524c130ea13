"""Our user agent with coturn: where it is seen, and sound through a relay to a phone that knows nothing of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.media.candidates import RELAYED
from ringback.media.io.transport import Transport, TransportParameters
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.coturn import Coturn
from tests.interop.ua.conftest import Agents, Phones
from tests.interop.ua.features import OURS
from tests.interop.ua.talk import both_hear, in_time, saying, seen

pytestmark = pytest.mark.interop("turnserver", "baresip")


@pytest.fixture
def coturn(tmp_path: Path, own_address: str) -> Iterator[Coturn]:
    """At the address at which phones do ICE."""
    made = Coturn(tmp_path / "coturn", own_address)
    yield made.ready()
    made.stop()


@pytest.mark.proves("coturn", "STUN", OURS)
async def test_stun(phones: Phones, agents: Agents, coturn: Coturn, tone: Path, own_address: str) -> None:
    """It is asked. Here nobody stands between, so what it sees is no other candidate than the host's own."""
    bob = await phones(Baresip, "bob", answer="auto", ice=True, host=own_address)
    alice = await agents("alice", host=own_address, ice="full", stun=[coturn.stun], encryption="none")
    before = coturn.bindings()
    async with alice.call(bob.uri) as call, saying(call, tone):
        await both_hear(call, bob, bob.tone)
    assert coturn.bindings() > before


@pytest.mark.proves("coturn", "TURN", OURS)
async def test_turn(
    phones: Phones,
    agents: Agents,
    coturn: Coturn,
    tone: Path,
    own_address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As behind a firewall that lets nothing through but the relay: no other candidate is told or used."""
    told = Transport.parameters

    def parameters(transport: Transport) -> TransportParameters:
        path = transport._ice
        assert path is not None
        relayed = [each for each in path.agent.local if each.kind == RELAYED]
        path.agent.local = relayed
        path.agent._bases = {each.base: each for each in relayed}
        first, second = sorted(relayed, key=lambda each: each.component)
        transport._named = (first.address, second.address)
        return told(transport)

    monkeypatch.setattr(Transport, "parameters", parameters)
    bob = await phones(Baresip, "bob", answer="auto", ice=True, host=own_address)
    alice = await agents("alice", host=own_address, ice="full", turn=[coturn.turn], encryption="none")
    async with alice.call(bob.uri) as call, saying(call, tone):
        await both_hear(call, bob, bob.tone)
    assert coturn.allocations() > 0
    way = await seen(bob.program.expect, r"mnat 'ice' connected: raddr (\S+):(\d+)")
    assert way[1] == own_address
    assert int(way[2]) in coturn.relays
    assert re.search(r"CHANNEL_BIND processed, success", coturn.program.output())
    await in_time(call.ended())
