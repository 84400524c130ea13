"""Transports with keys by DTLS: both roles, one port or two, NATs, forgers and wrong certificates."""

import asyncio
import gc
from dataclasses import replace
from typing import Any

import pytest

from ringback.media.backend import MediaError
from ringback.media.io.certificate import Certificate
from ringback.media.io.dtls import Association
from ringback.media.io.transport import HELD, Remote
from tests.media.io.ends import PATIENCE, End, Stranger, connect, ends, one_turn, remote_of, rtcp, rtp, sdes

BOTH = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
MUX = {"rtcp_mux": "require"}


def vouched(end: End, role: str, **changes: Any) -> Remote:
    """What the SDP of `end` says, who reads it having `role`."""
    return remote_of(end, fingerprints=end.transport.parameters().fingerprints, role=role, **changes)


async def handshake(here: End, there: End, **changes: Any) -> None:
    """`here` begins."""
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(
            here.transport.start(vouched(there, "client", **changes)),
            there.transport.start(vouched(here, "server", **changes)),
        )


async def talk(here: End, there: End, number: int) -> None:
    """A packet in each direction, each longer on the wire than it was."""
    for sender, receiver in ((here, there), (there, here)):
        heard = len(receiver.rtp)
        assert sender.transport.send_rtp(rtp(number))
        await receiver.heard(heard + 1)
        assert receiver.rtp[-1] == rtp(number)


@BOTH
@pytest.mark.parametrize("mux", ["no", "offer", "require"])
async def test_keys_by_dtls(host: str, mux: str) -> None:
    options = {"address": host, "rtcp_mux": mux}
    async with ends(options, options) as (here, there):
        await handshake(here, there, rtcp_mux=mux != "no")
        await talk(here, there, 1)
        here.transport.send_rtcp(rtcp())
        there.transport.send_rtcp(rtcp())
        await here.heard(1, 1)
        await there.heard(1, 1)
        assert here.rtcp == there.rtcp == [rtcp()]
        for end in (here, there):
            counts = end.transport.counts
            assert (counts.sent, counts.received, counts.foreign, counts.refused) == (2, 2, 0, 0)
            assert counts.handshake >= 2


async def test_until_there_are_keys_nothing_is_sent_and_nothing_is_handed_up() -> None:
    async with ends(MUX, MUX) as (here, there):
        starting = asyncio.ensure_future(here.transport.start(vouched(there, "client", rtcp_mux=True)))
        await here.counted("unsent", 0)
        assert here.transport.send_rtp(rtp(1)) is False
        [sock] = there.transport._path.sockets()
        sock.send(rtp(1), here.address)
        await here.counted("early", 1)
        await there.transport.start(vouched(here, "server", rtcp_mux=True))
        await starting
        await talk(here, there, 2)
        assert here.rtp == there.rtp == [rtp(2)]


async def test_a_handshake_that_begins_before_sdp_has_come_is_held() -> None:
    """RFC 5763 section 5: the answerer is the client, and its first message overtakes its answer."""
    async with ends(MUX, MUX) as (here, there):
        starting = asyncio.ensure_future(here.transport.start(vouched(there, "client", rtcp_mux=True)))
        async with asyncio.timeout(PATIENCE):
            while not there.transport._held:
                await one_turn()
        with Stranger() as stranger:
            for _ in range(3 * HELD):
                stranger.send(b"\x16" * 80, there.address)
        async with asyncio.timeout(PATIENCE):
            await there.transport.start(vouched(here, "server", rtcp_mux=True))
            await starting
        assert len(there.transport._held) == 0
        await talk(here, there, 1)


async def test_what_is_held_is_bounded() -> None:
    async with ends(MUX, MUX) as (here, _):
        with Stranger() as stranger:
            for number in range(3 * HELD):
                stranger.send(b"\x16" * (20 + number), here.address)
            stranger.send(rtp(1), here.address)
            await here.counted("early", 1)
            assert [len(data) for _, data, _ in here.transport._held] == list(range(20 + 2 * HELD, 20 + 3 * HELD))


async def test_the_wrong_certificate_ends_the_start_of_both_and_nothing_ever_flows() -> None:
    async with ends(MUX, MUX) as (here, there):
        wrong = (Certificate.generate().fingerprint(),)
        here_start = here.transport.start(replace(vouched(there, "client", rtcp_mux=True), fingerprints=wrong))
        there_start = asyncio.ensure_future(there.transport.start(vouched(here, "server", rtcp_mux=True)))
        with pytest.raises(MediaError, match=r"^the certificate of the far end's DTLS handshake is not the one whose"):
            await here_start
        assert here.transport.send_rtp(rtp(1)) is False
        assert not there_start.done()
        assert there.transport.send_rtp(rtp(1)) is False
        there.transport.close()
        with pytest.raises(MediaError, match=r"^the DTLS handshake was given up$"):
            await there_start


@pytest.mark.parametrize("strict", [False, True])
async def test_strangers_begin_handshakes_and_the_call_comes_about(strict: bool) -> None:
    """A27: the race of ClientHellos from off the path, before and while the far end's own comes."""
    async with ends({**MUX, "strict": strict}, MUX) as (here, there):
        with Stranger() as stranger:
            forger = Association("client", Certificate.generate(), [Certificate.generate().fingerprint()])
            forger.start()
            [hello] = forger.take()
            starting = asyncio.ensure_future(here.transport.start(vouched(there, "server", rtcp_mux=True)))
            for _ in range(50):
                stranger.send(hello, here.address)
            await here.counted("foreign" if strict else "handshake", 50)
            async with asyncio.timeout(PATIENCE):
                await there.transport.start(vouched(here, "client", rtcp_mux=True))
                await starting
            for _ in range(50):
                stranger.send(hello, here.address)
            await here.counted("foreign", 100 if strict else 50)
            await talk(here, there, 1)
            received = stranger.received()
            # Nothing at all, or cookies, each shorter than what asked for it; no packet of the call.
            assert len(received) == (0 if strict else 50)
            assert all(data[13] == 3 and len(data) < len(hello) for data in received)


async def test_the_far_end_is_found_behind_its_nat() -> None:
    """SDP names an address that nobody can reach; its handshake and its packets come from another."""
    async with ends(MUX, MUX) as (here, there):
        unreachable = replace(vouched(there, "server", rtcp_mux=True), address="127.0.0.1", port=9)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(
                here.transport.start(unreachable),
                there.transport.start(vouched(here, "client", rtcp_mux=True)),
            )
        assert here.transport.send_rtp(rtp(1))
        await there.heard(1)
        await talk(here, there, 2)


async def test_a_refresh_of_the_call_keeps_the_association() -> None:
    async with ends(MUX, MUX) as (here, there):
        await handshake(here, there, rtcp_mux=True)
        await talk(here, there, 1)
        before = here.transport.counts.handshake
        await handshake(here, there, rtcp_mux=True)
        assert here.transport.send_rtp(rtp(1)) is False
        await talk(here, there, 2)
        assert here.transport.counts.handshake == before


async def test_another_certificate_means_another_association() -> None:
    """RFC 8842 section 4: as after a transfer; the keys of the former are in use until there are new ones."""
    async with ends(MUX, MUX) as (here, there):
        await handshake(here, there, rtcp_mux=True)
        await talk(here, there, 1)
        async with ends(MUX, MUX) as (other, _):
            starting = asyncio.ensure_future(here.transport.start(vouched(other, "server", rtcp_mux=True)))
            await other.transport.start(vouched(here, "client", rtcp_mux=True))
            async with asyncio.timeout(PATIENCE):
                await starting
            await talk(here, other, 2)
            assert there.rtp == [rtp(1)]


async def test_an_association_is_named_by_tls_id() -> None:
    async with ends(MUX, MUX) as (here, there):
        await handshake(here, there, rtcp_mux=True, association="one")
        keys = here.transport._srtp[1].keys
        await handshake(here, there, rtcp_mux=True, association="one")
        assert here.transport._srtp[1].keys is keys
        await handshake(here, there, rtcp_mux=True, association="two")
        assert here.transport._srtp[1].keys.local != keys.local
        await talk(here, there, 1)


async def test_goodbye_by_dtls_does_not_end_media() -> None:
    async with ends(MUX, MUX) as (here, there):
        await handshake(here, there, rtcp_mux=True)
        connection = there.transport._handshakes[1]._associations[None]._connection
        connection.shutdown()
        before = here.transport.counts.handshake
        there.transport._path.send(1, connection.bio_read(4000))
        await here.counted("handshake", before + 1)
        await talk(here, there, 1)


async def test_from_dtls_to_sdes_and_back_to_nothing_plain() -> None:
    async with ends(MUX, MUX) as (here, there):
        await handshake(here, there, rtcp_mux=True)
        await connect(here, there, keys=True, rtcp_mux=True)
        await talk(here, there, 1)
        assert here.transport._handshakes == {}


async def test_keys_of_both_kinds_mean_dtls() -> None:
    async with ends(MUX, MUX) as (here, there):
        ours, theirs = sdes(here, there)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(
                here.transport.start(vouched(there, "client", rtcp_mux=True, keys=ours)),
                there.transport.start(vouched(here, "server", rtcp_mux=True, keys=theirs)),
            )
        assert here.transport._srtp[1].keys.local != ours.local


async def test_who_begins_has_to_be_known() -> None:
    async with ends(MUX, MUX) as (here, there):
        with pytest.raises(MediaError, match=r"^SDP leaves open who begins the DTLS handshake$"):
            await here.transport.start(vouched(there, "", rtcp_mux=True))


async def test_a_newer_start_takes_the_place_of_one_that_waits() -> None:
    async with ends(MUX, MUX) as (here, there):
        waiting = asyncio.ensure_future(here.transport.start(vouched(there, "server", rtcp_mux=True)))
        await here.counted("early", 0)
        async with ends(MUX, MUX) as (other, _):
            starting = asyncio.ensure_future(here.transport.start(vouched(other, "server", rtcp_mux=True)))
            with pytest.raises(MediaError, match=r"^the DTLS handshake was given up$"):
                await waiting
            await other.transport.start(vouched(here, "client", rtcp_mux=True))
            await starting
            await talk(here, other, 1)


async def test_a_start_that_is_cancelled_leaves_nothing_behind() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    async with ends(MUX, MUX) as (here, there):
        starting = asyncio.ensure_future(here.transport.start(vouched(there, "client", rtcp_mux=True)))
        await here.counted("early", 0)
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert here.transport.send_rtp(rtp(1)) is False
    gc.collect()
    await asyncio.sleep(0)
    assert reported == []


async def test_a_given_certificate_is_the_one_that_sdp_vouches_for() -> None:
    certificate = Certificate.generate()
    async with ends({"certificate": certificate}) as (here, _):
        assert here.transport.parameters().fingerprints == (certificate.fingerprint(),)
