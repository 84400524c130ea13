"""A call whose network loses packets repairs itself, and takes that back when the network is good again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback import Call
from ringback.media import repair
from ringback.media.backend import Change
from ringback.media.io.sockets import MediaSocket
from tests.interop.peers.baresip import Baresip
from tests.interop.ua.conftest import Agents, Phones
from tests.interop.ua.features import OURS
from tests.interop.ua.talk import TONE, hears, in_time, saying, seen


class Network:
    """What our packets go through, and theirs: of each a fraction is lost."""

    def __init__(self) -> None:
        self.loss = 0.0
        self.chance = random.Random(8)
        self.lost = 0

    def loses(self) -> bool:
        lost = self.chance.random() < self.loss
        self.lost += lost
        return lost


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """Between the sockets of our side and the kernel."""
    network = Network()
    send, begin = MediaSocket.send, MediaSocket.__init__

    def lossy_send(self: MediaSocket, data: bytes, address: tuple[str, int]) -> bool:
        return True if network.loses() else send(self, data, address)

    def lossy_begin(self: MediaSocket, sock: Any, receiver: Any) -> None:
        def receive(*received: Any) -> None:
            if not network.loses():
                receiver(*received)

        begin(self, sock, receive)

    monkeypatch.setattr(MediaSocket, "send", lossy_send)
    monkeypatch.setattr(MediaSocket, "__init__", lossy_begin)
    # Half a minute of patience is for people.
    monkeypatch.setattr(repair, "_GOOD_FOR", 8.0)
    yield network


async def repaired(call: Call, count: int, seconds: float) -> list[Change]:
    """Wait until the call's history has so many repairs."""
    found: list[Change] = []
    try:
        async with asyncio.timeout(seconds):
            while len(found) < count:
                await asyncio.sleep(0.1)
                found = [change for change in call.history if change.kind == "repair"]
    except TimeoutError:
        pytest.fail(f"not repaired in {seconds} s: {[str(report) for report in call.quality()]} {call.history}")
    return found


@pytest.mark.slow
@pytest.mark.interop("baresip")
@pytest.mark.proves("baresip", "quality repair", OURS)
async def test_eight_per_cent_of_loss(phones: Phones, agents: Agents, tone: Path, network: Network) -> None:
    """The far end is baresip: FEC while packets are lost, taken back when they are not; both are heard all the time.

    Not from PCMU to Opus by a re-INVITE, which works with others: baresip 1.0 agrees, and then fails to encode.
    """
    bob = await phones(Baresip, "bob", codec="opus", answer="auto")
    alice = await agents("alice", codecs=["opus"])
    call = await in_time(alice.call(bob.uri))
    async with saying(call, tone):
        network.loss = 0.08
        (begun,) = await repaired(call, 1, 40)
        assert begun.reason.startswith("loss ") and "%" in begun.reason, begun
        assert 4 < float(begun.reason.split()[1]) < 16, begun
        assert network.lost > 20
        network.loss = 0.0
        before = network.lost
        *_, ended = await repaired(call, 2, 60)
        assert network.lost == before
        assert call.state == "established"
        await hears(call, bob.tone)
    assert (await seen(bob.hearing)).seconds_of(TONE) > 10
    assert begun.at < ended.at and begun.details != ended.details, call.history
    await call.hang_up()
    await seen(bob.expect, "CALL_CLOSED")
