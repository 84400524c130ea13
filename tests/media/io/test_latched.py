"""One latch for RTP and RTCP: with one port and with two, re-aimed, and on hold."""

from ringback.media.io.latched import LatchedSources
from ringback.media.rtp import encode_rtp

HERE = ("192.0.2.1", 4000)
CONTROL = ("192.0.2.1", 4001)
NAT = ("198.51.100.7", 61000)
RTCP = bytes((0x80, 201, 0, 1)) + bytes(4)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def rtp(number: int) -> bytes:
    return encode_rtp(0, number, number * 160, 0xA, bytes(160))


def test_rtp_is_sent_to_where_it_comes_from_and_rtcp_with_it() -> None:
    clock = Clock()
    sources = LatchedSources(clock)
    sources.aim(HERE)
    media, control = sources(HERE), sources(CONTROL)
    assert (media.destination, control.destination) == (HERE, CONTROL)
    clock.now = 1.0
    taken = [media.accept(NAT, rtp(number), 1.0 + number / 50) for number in range(6)]
    assert taken[-1] and media.destination == NAT
    # RTCP of the same host, whatever its port; not of another one.
    assert control.accept((NAT[0], 61001), RTCP, 2.0) and control.destination == (NAT[0], 61001)
    assert not control.accept(("203.0.113.1", 61001), RTCP, 2.0)


def test_rtcp_on_the_port_of_rtp() -> None:
    sources = LatchedSources(Clock())
    sources.aim(HERE)
    media = sources(HERE)
    assert media.accept(HERE, RTCP, 0.1) and not media.accept(NAT, RTCP, 0.1)
    assert media.accept(HERE, rtp(1), 0.2)
    assert media.destination == HERE


def test_what_is_too_short_for_rtp_latches_nothing() -> None:
    sources = LatchedSources(Clock())
    sources.aim(HERE)
    media = sources(HERE)
    for _ in range(20):
        assert not media.accept(NAT, b"\x80\x00\x00\x01", 1.0)
    assert sources.latch.latched is None and media.destination == HERE


def test_another_address_in_sdp_is_aimed_at_and_none_on_hold() -> None:
    clock = Clock()
    sources = LatchedSources(clock)
    sources.aim(HERE)
    first = sources(HERE)
    first.accept(HERE, rtp(1), 0.1)
    other = ("192.0.2.9", 5000)
    sources.aim(other)
    media = sources(other)
    assert media.destination == other
    sources.aim(("0.0.0.0", 5000))
    assert sources(("0.0.0.0", 5000)).destination == ("0.0.0.0", 5000)
    assert sources.latch.signalled is None
