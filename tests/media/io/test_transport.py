"""A stream between two transports: plain and with keys, RTCP beside and within, strangers who neither get nor hear."""

import asyncio
import secrets
from typing import Any

import pytest

from ringback.media.backend import MediaError
from ringback.media.io.sockets import Address, bind
from ringback.media.io.srtp import SUITES, SrtpKeys, SrtpSession, make_key
from ringback.media.io.transport import Remote, Transport, TransportOptions
from tests.media.io.ends import PORTS, SUITE, Stranger, connect, ends, opened, remote_of, rtcp, rtp, sdes

BOTH = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
KEYS = pytest.mark.parametrize("keys", [False, True], ids=["plain", "sdes"])


@BOTH
@KEYS
@pytest.mark.parametrize("mux", ["no", "offer", "require"])
async def test_both_directions(host: str, keys: bool, mux: str) -> None:
    options = {"address": host, "rtcp_mux": mux}
    async with ends(options, options) as (here, there):
        await connect(here, there, keys=keys, rtcp_mux=mux != "no")
        for sender, receiver in ((here, there), (there, here)):
            for number in range(5):
                assert sender.transport.send_rtp(rtp(number))
            assert sender.transport.send_rtcp(rtcp())
            await receiver.heard(5, 1)
            assert receiver.rtp == [rtp(number) for number in range(5)]
            assert receiver.rtcp == [rtcp()]
        for end in (here, there):
            told = {name: number for name, number in end.transport.counts.as_dict().items() if number}
            assert told == {"sent": 6, "received": 6}


@pytest.mark.parametrize("suite", list(SUITES))
async def test_every_suite_of_sdes(suite: str) -> None:
    options = {"suites": (suite,)}
    async with ends(options, options) as (here, there):
        ours, theirs = sdes(here, there, suite)
        await here.transport.start(remote_of(there, keys=ours))
        await there.transport.start(remote_of(here, keys=theirs))
        here.transport.send_rtp(rtp(1))
        await there.heard(1)
        assert there.rtp == [rtp(1)]


async def test_parameters_are_what_sdp_needs() -> None:
    end = await opened(advertised="192.0.2.77", rtcp_mux="no")
    parameters = end.transport.parameters()
    assert parameters.address == "192.0.2.77"
    assert parameters.port in range(PORTS[0], PORTS[1], 2)
    assert (parameters.rtcp_port, parameters.rtcp_mux) == (parameters.port + 1, False)
    assert [(suite, len(key)) for suite, key in parameters.crypto] == [("AEAD_AES_128_GCM", 28), (SUITE, 30)]
    assert str(parameters.crypto[0][1]) not in repr(parameters)
    end.transport.close()
    end = await opened(rtcp_mux="require")
    parameters = end.transport.parameters()
    assert (parameters.rtcp_port, parameters.rtcp_mux) == (parameters.port, True)
    end.transport.close()


async def test_no_two_transports_have_the_same_keys() -> None:
    async with ends() as (here, there):
        keys = [key for end in (here, there) for _, key in end.transport.parameters().crypto]
        assert len(set(keys)) == 4


@pytest.mark.parametrize("options", [{"suites": ("NULL",)}, {"address": "example.org"}, {"ports": (9, 9)}])
async def test_options_that_cannot_work(options: dict[str, Any]) -> None:
    with pytest.raises(MediaError):
        await opened(**options)


async def test_without_an_address_that_of_the_host_is_used() -> None:
    transport = await Transport.open(TransportOptions(ports=PORTS))
    assert transport.parameters().address
    transport.close()


async def test_multiplexing_gives_the_second_port_back_when_it_is_agreed() -> None:
    async with ends() as (here, there):
        port = here.transport.parameters().rtcp_port
        assert port == here.address[1] + 1
        with pytest.raises(OSError, match="in use"):
            bind("127.0.0.1", port)
        await connect(here, there, rtcp_mux=True)
        bind("127.0.0.1", port).close()


async def test_rtcp_may_be_anywhere_and_is_by_default_one_port_above() -> None:
    async with ends({"rtcp_mux": "no"}) as (here, there):
        with Stranger() as elsewhere:
            await here.transport.start(remote_of(there, rtcp=elsewhere.address))
            here.transport.send_rtcp(rtcp())
            assert await asyncio.get_running_loop().sock_recv(elsewhere.sock, 100) == rtcp()
        await here.transport.start(remote_of(there, rtcp=None))
        await there.transport.start(remote_of(here, rtcp=None))
        here.transport.send_rtcp(rtcp())
        await there.heard(0, 1)


async def test_before_the_start_nothing_goes_and_nothing_is_handed_up() -> None:
    async with ends() as (here, there):
        await there.transport.start(remote_of(here))
        there.transport.send_rtp(rtp(1))
        await here.counted("early", 1)
        assert here.transport.send_rtp(rtp(1)) is False
        assert here.transport.counts.unsent == 1
        assert (here.rtp, there.rtp) == ([], [])


async def test_after_the_end_nothing_goes_and_nothing_is_handed_up() -> None:
    async with ends() as (here, there):
        await connect(here, there)
        here.transport.close()
        here.transport.close()
        assert here.transport.send_rtp(rtp(1)) is False
        there.transport.send_rtp(rtp(1))
        with pytest.raises(MediaError, match=r"^the transport is closed$"):
            await here.transport.start(remote_of(there))
        assert here.rtp == []
        bind(*here.address).close()


@pytest.mark.parametrize("strict", [False, True])
async def test_plain_packets_of_strangers(strict: bool) -> None:
    """A25, with the strict filter, which is also what a transport has when it is given no other one."""
    async with ends({"strict": strict}) as (here, there):
        await connect(here, there)
        with Stranger() as stranger:
            for number in range(100):
                stranger.send(rtp(number), here.address)
                stranger.send(rtcp(), (here.address[0], here.address[1] + 1))
            await here.counted("foreign", 200)
            there.transport.send_rtp(rtp(7))
            await here.heard(1)
            assert here.rtp == [rtp(7)]
            assert here.rtcp == []
            for number in range(10):
                here.transport.send_rtp(rtp(number))
            await there.heard(10)
            assert stranger.received() == []


class FirstComer:
    """A filter that takes five packets of whoever comes first."""

    def __init__(self, destination: Address) -> None:
        self.destination = destination
        self.left = 5

    def accept(self, source: Address, data: bytes, now: float) -> bool:
        if source == self.destination or self.left == 0:
            return source == self.destination
        self.left -= 1
        self.destination = source
        return True


async def test_the_filter_that_was_given_decides_on_plain_packets() -> None:
    async with ends({"sources": FirstComer}) as (here, there):
        # SDP names an address that nobody has, as behind a NAT.
        await here.transport.start(Remote("127.0.0.1", 9))
        await there.transport.start(remote_of(here))
        there.transport.send_rtp(rtp(1))
        await here.heard(1)
        here.transport.send_rtp(rtp(2))
        await there.heard(1)
        assert there.rtp == [rtp(2)]


async def test_with_the_strict_filter_the_given_one_is_not_asked() -> None:
    async with ends({"sources": FirstComer, "strict": True}) as (here, there):
        await connect(here, there)
        with Stranger() as stranger:
            stranger.send(rtp(1), here.address)
            await here.counted("foreign", 1)
        assert here.rtp == []


async def test_the_far_end_is_followed_by_what_it_can_prove() -> None:
    """Behind a NAT its packets come from another address than SDP names; only keys show which."""
    async with ends() as (here, there):
        ours, theirs = sdes(here, there)
        await here.transport.start(remote_of(there, address="127.0.0.1", port=9, keys=ours))
        await there.transport.start(remote_of(here, keys=theirs))
        with Stranger() as stranger:
            # A25: SRTP is sprayed by who holds no keys, and recorded packets are sent again.
            other = SrtpSession(SrtpKeys(SUITE, make_key(SUITE), make_key(SUITE)))
            for number in range(50):
                packet = other.protect_rtp(rtp(number))
                assert packet is not None
                stranger.send(packet, here.address)
                stranger.send(rtp(number), here.address)
            await here.counted("refused", 100)
            there.transport.send_rtp(rtp(1))
            await here.heard(1)
            here.transport.send_rtp(rtp(2))
            await there.heard(1)
            assert (here.rtp, there.rtp) == ([rtp(1)], [rtp(2)])
            assert stranger.received() == []


async def test_a_recorded_packet_moves_nothing() -> None:
    async with ends() as (here, there):
        ours, theirs = sdes(here, there)
        sender = SrtpSession(theirs)
        packet = sender.protect_rtp(rtp(1))
        assert packet is not None
        await here.transport.start(remote_of(there, keys=ours))
        with Stranger() as far, Stranger() as stranger:
            far.send(packet, here.address)
            await here.heard(1)
            stranger.send(packet, here.address)
            await here.counted("replayed", 1)
            here.transport.send_rtp(rtp(2))
            assert SrtpSession(theirs).unprotect_rtp(await asyncio.get_running_loop().sock_recv(far.sock, 2000))
            assert stranger.received() == []


async def test_strictly_not_even_proof_moves_the_address() -> None:
    async with ends({"strict": True}) as (here, there):
        ours, theirs = sdes(here, there)
        await here.transport.start(remote_of(there, keys=ours))
        await there.transport.start(remote_of(here, keys=theirs))
        with Stranger() as elsewhere:
            packet = SrtpSession(theirs).protect_rtp(rtp(1))
            assert packet is not None
            elsewhere.send(packet, here.address)
            await here.heard(1)
            here.transport.send_rtp(rtp(2))
            await there.heard(1)
            assert elsewhere.received() == []


async def test_ten_thousand_bad_packets_and_the_call_goes_on() -> None:
    """A26: they come from the far end's own address, with its source and sequence numbers."""
    async with ends({"rtcp_mux": "require"}, {"rtcp_mux": "require"}) as (here, there):
        await connect(here, there, keys=True, rtcp_mux=True)
        there.transport.send_rtp(rtp(1))
        await here.heard(1)
        [sock] = there.transport._path.sockets()
        for batch in range(100):
            for number in range(100):
                sequence = 2 + 100 * batch + number
                sock.send(rtp(sequence, payload=secrets.token_bytes(40)), here.address)
            await here.counted("refused", 100 * (batch + 1))
        there.transport.send_rtp(rtp(2))
        await here.heard(2)
        here.transport.send_rtp(rtp(1))
        await there.heard(1)
        assert here.rtp == [rtp(1), rtp(2)]


async def test_once_there_are_keys_nothing_plain_passes() -> None:
    async with ends() as (here, there):
        await connect(here, there)
        there.transport.send_rtp(rtp(1))
        await here.heard(1)
        ours, _ = sdes(here, there)
        await here.transport.start(remote_of(there, keys=ours))
        there.transport.send_rtp(rtp(2))
        await here.counted("refused", 1)
        here.transport.send_rtp(rtp(3))
        await there.heard(1)
        assert here.rtp == [rtp(1)]
        assert b"sound" not in there.rtp[0]


async def test_keys_that_stay_the_same_go_on_counting() -> None:
    """A refresh of the call must not begin anew with keys that have been used."""
    async with ends() as (here, there):
        await connect(here, there, keys=True)
        for number in range(3):
            here.transport.send_rtp(rtp(number))
        await connect(here, there, keys=True)
        assert here.transport.send_rtp(rtp(2)) is False
        assert here.transport.send_rtp(rtp(3)) is True
        await there.heard(4)
        assert there.rtp == [rtp(0), rtp(1), rtp(2), rtp(3)]


async def test_other_keys_take_over_and_what_was_counted_stays() -> None:
    async with ends() as (here, there):
        await connect(here, there, keys=True)
        with Stranger() as stranger:
            stranger.send(rtp(1), here.address)
            await here.counted("refused", 1)
        first, second = make_key(SUITE), make_key(SUITE)
        await here.transport.start(remote_of(there, keys=SrtpKeys(SUITE, first, second)))
        await there.transport.start(remote_of(here, keys=SrtpKeys(SUITE, second, first)))
        here.transport.send_rtp(rtp(0))
        await there.heard(1)
        assert here.transport.counts.refused == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"address": "phone.example.org"}, "'phone.example.org' is no IP address"),
        ({"rtcp": ("phone.example.org", 9)}, "'phone.example.org' is no IP address"),
        ({"keys": SrtpKeys("F8", b"", b"")}, "the crypto suite 'F8' is not known"),
        ({"keys": SrtpKeys(SUITE, b"short", b"short")}, "has keys of 30 octets"),
    ],
)
async def test_what_cannot_be_agreed_changes_nothing(changes: dict[str, Any], message: str) -> None:
    async with ends({"rtcp_mux": "no"}) as (here, there):
        await connect(here, there)
        with pytest.raises(MediaError, match=message):
            await here.transport.start(remote_of(there, **changes))
        here.transport.send_rtp(rtp(1))
        await there.heard(1)


async def test_where_keys_are_required_a_far_end_without_is_refused() -> None:
    async with ends({"require": True}) as (here, there):
        with pytest.raises(MediaError, match=r"^the far end agreed on no keys, and media must be encrypted$"):
            await here.transport.start(remote_of(there))
        assert here.transport.send_rtp(rtp(1)) is False
        ours, _ = sdes(here, there)
        await here.transport.start(remote_of(there, keys=ours))
        assert here.transport.send_rtp(rtp(1)) is True


async def test_held_in_the_old_style_nothing_is_sent() -> None:
    """RFC 3264 section 8.4: the far end writes 0.0.0.0."""
    async with ends() as (here, there):
        await connect(here, there)
        await here.transport.start(remote_of(there, address="0.0.0.0"))
        assert here.transport.send_rtp(rtp(1)) is False
        assert here.transport.counts.unsent == 1


async def test_datagrams_that_belong_to_no_stream() -> None:
    async with ends() as (here, there):
        await connect(here, there)
        with Stranger() as stranger:
            noise = [b"", b"\x80", b"\xff" * 20, bytes(20), b"REGISTER sip:example.org SIP/2.0\r\n", bytes([18]) * 30]
            for data in noise:
                stranger.send(data, here.address)
            # RTP does not belong on RTCP's own port.
            stranger.send(rtp(1), (here.address[0], here.address[1] + 1))
            stranger.send(bytes([0x80]) * 5000, here.address)
            await here.counted("unknown", len(noise) + 1)
            await here.counted("oversized", 1)
            assert (here.rtp, here.rtcp) == ([], [])


async def test_a_reader_that_fails_does_not_end_the_stream() -> None:
    """A28: four octets of RTCP reach whoever reads RTCP, who may choke on them."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    async with ends() as (here, there):
        await connect(here, there, rtcp_mux=True)
        here.transport.on_rtcp = lambda data, arrival: [][0]
        there.transport.send_rtcp(rtcp()[:4])
        there.transport.send_rtp(rtp(1))
        await here.heard(1)
        assert [str(context["exception"]) for context in reported] == ["list index out of range"]
