"""Transports whose way ICE finds: plain, SDES and DTLS through it, strangers, far ends without ICE, restarts."""

import asyncio
from typing import Any

import pytest

from ringback.media.backend import MediaError
from ringback.media.io.certificate import Certificate
from ringback.media.io.dtls import Association
from ringback.media.io.sockets import Address
from ringback.media.io.transport import Remote
from tests.media.io.ends import PATIENCE, End, Stranger, ends, one_turn, remote_of, rtcp, rtp, sdes

ICE = {"ice": "full"}
KEYING = pytest.mark.parametrize("keying", ["none", "sdes", "dtls"])


def remotes(here: End, there: End, keying: str, **changes: Any) -> tuple[Remote, Remote]:
    """What each is told of the other; `here` has offered, and the answerer is the DTLS client."""
    ours, theirs = sdes(here, there) if keying == "sdes" else (None, None)
    made = []
    for end, keys, role, controlling in ((there, ours, "server", True), (here, theirs, "client", False)):
        parameters = end.transport.parameters()
        said: dict[str, Any] = {"keys": keys, "ice": parameters.ice, "controlling": controlling}
        if keying == "dtls":
            said |= {"fingerprints": parameters.fingerprints, "role": role}
        made.append(remote_of(end, **{**said, **changes}))
    return made[0], made[1]


async def connect(here: End, there: End, keying: str, **changes: Any) -> None:
    ours, theirs = remotes(here, there, keying, **changes)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(here.transport.start(ours), there.transport.start(theirs))


async def talk(here: End, there: End, number: int) -> None:
    for sender, receiver in ((here, there), (there, here)):
        sounds, reports = len(receiver.rtp), len(receiver.rtcp)
        assert sender.transport.send_rtp(rtp(number))
        assert sender.transport.send_rtcp(rtcp())
        await receiver.heard(sounds + 1, reports + 1)
        assert receiver.rtp[-1] == rtp(number)
        assert receiver.rtcp[-1] == rtcp()


@KEYING
@pytest.mark.parametrize("mux", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_directions(keying: str, mux: bool, host: str) -> None:
    options = {**ICE, "address": host}
    async with ends(options, options) as (here, there):
        await connect(here, there, keying, rtcp_mux=mux)
        await talk(here, there, 1)
        counts = here.transport.counts
        assert counts.checks > 0
        assert (counts.foreign, counts.refused, counts.received) == (0, 0, 2)


@KEYING
async def test_a_lite_answerer(keying: str) -> None:
    async with ends(ICE, {"ice": "lite"}) as (here, there):
        await connect(here, there, keying, rtcp_mux=True)
        await talk(here, there, 1)


async def test_what_sdp_needs() -> None:
    async with ends(ICE, {"ice": "none"}) as (here, there):
        parameters = here.transport.parameters()
        assert parameters.ice is not None
        assert [(each.component, each.port) for each in parameters.ice.candidates] == [
            (1, parameters.port),
            (2, parameters.rtcp_port),
        ]
        assert there.transport.parameters().ice is None


@KEYING
async def test_the_answer_may_be_late(keying: str) -> None:
    """Checks, and the handshake, begin at the answerer before the offerer has seen the answer."""
    async with ends(ICE, ICE) as (here, there):
        ours, theirs = remotes(here, there, keying, rtcp_mux=True)
        starting = asyncio.ensure_future(there.transport.start(theirs))
        async with asyncio.timeout(PATIENCE):
            while not here.transport.counts.checks:
                await one_turn()
            await here.transport.start(ours)
            await starting
        await talk(here, there, 1)


@KEYING
async def test_strangers_get_and_give_nothing(keying: str) -> None:
    """A25 and A27: what does not come through the pair that was found is nobody's."""
    async with ends(ICE, ICE) as (here, there):
        with Stranger() as stranger:
            forger = Association("client", Certificate.generate(), [Certificate.generate().fingerprint()])
            forger.start()
            [hello] = forger.take()
            for _ in range(3):
                stranger.send(hello, here.address)
                stranger.send(rtp(9), here.address)
            await here.counted("early", 3)
            await connect(here, there, keying, rtcp_mux=True)
            before = here.transport.counts
            for _ in range(20):
                stranger.send(hello, here.address)
                stranger.send(rtp(9), here.address)
            await here.counted("foreign", before.foreign + (40 if keying == "dtls" else 20))
            await talk(here, there, 1)
            assert here.rtp == [rtp(1)]
            assert stranger.received() == []
            assert here.transport.counts.handshake == before.handshake
            assert here.transport.counts.refused == 0


async def test_not_even_a_genuine_packet_is_taken_from_elsewhere() -> None:
    """Checks alone decide where the far end is; somebody on the way may send a packet on from another address."""
    async with ends(ICE, ICE) as (here, there):
        await connect(here, there, "sdes", rtcp_mux=True)
        session = there.transport._srtp[1]
        packet = session.protect_rtp(rtp(5))
        assert packet is not None
        with Stranger() as stranger:
            stranger.send(packet, here.address)
            await here.counted("foreign", 1)
            await talk(here, there, 6)
            assert here.rtp == [rtp(6)]
            assert stranger.received() == []


@KEYING
async def test_a_far_end_without_ice(keying: str) -> None:
    options = {**ICE, "address": "127.0.0.1"}
    async with ends(options, {}) as (here, there):
        await connect(here, there, keying, rtcp_mux=True, ice=None)
        await talk(here, there, 1)
        assert here.transport.parameters().ice is not None


async def test_nothing_is_sent_before_the_way_is_found() -> None:
    async with ends(ICE, ICE) as (here, there):
        ours, _ = remotes(here, there, "none")
        starting = asyncio.ensure_future(here.transport.start(ours))
        await one_turn()
        assert here.transport.send_rtp(rtp(1)) is False
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert here.transport.counts.unsent == 1


@KEYING
async def test_a_restart_and_media_goes_on_meanwhile(keying: str) -> None:
    async with ends(ICE, ICE) as (here, there):
        await connect(here, there, keying, rtcp_mux=True)
        await talk(here, there, 1)
        handshakes = here.transport.counts.handshake
        here.transport.restart_ice()
        await talk(here, there, 2)
        there.transport.restart_ice()
        await connect(here, there, keying, rtcp_mux=True)
        await talk(here, there, 3)
        # RFC 8842: another ufrag is no reason for another DTLS association.
        assert here.transport.counts.handshake == handshakes


async def test_a_lost_way_is_told() -> None:
    async with ends(ICE, ICE) as (here, there):
        lost: list[MediaError] = []
        here.transport.on_failure = lost.append
        await connect(here, there, "none", rtcp_mux=True)
        path = here.transport._ice
        assert path is not None
        path.agent._consents[1]._granted -= 100
        path._expired()
        assert len(lost) == 1
        assert here.transport.send_rtp(rtp(1)) is False


async def test_an_advertised_address() -> None:
    async with ends({**ICE, "advertised": "203.0.113.5"}) as (here, _):
        assert here.transport.parameters().address == "203.0.113.5"


async def test_closing_while_a_way_is_sought() -> None:
    async with ends(ICE, ICE) as (here, there):
        ours, _ = remotes(here, there, "dtls")
        starting = asyncio.ensure_future(here.transport.start(ours))
        await one_turn()
        here.transport.close()
        with pytest.raises(MediaError, match=r"^the transport is closed$"):
            await starting


def addresses(end: End) -> list[Address]:
    ice = end.transport.parameters().ice
    assert ice is not None
    return [(each.address, each.port) for each in ice.candidates]


async def test_without_a_given_address_all_interfaces_are_candidates() -> None:
    async with ends({**ICE, "address": ""}, {**ICE, "address": ""}) as (here, there):
        await connect(here, there, "dtls", rtcp_mux=True)
        await talk(here, there, 1)
        assert here.address in addresses(here)
