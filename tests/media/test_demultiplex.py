"""Which datagram on a media port belongs to whom: every first octet, and every second one."""

import pytest

from ringback.media.demultiplex import DTLS, NAMES, RTCP, RTP, STUN, TURN_CHANNEL, UNKNOWN, ZRTP, kind

# RFC 7983, figure 3.
RANGES = {STUN: (0, 3), ZRTP: (16, 19), DTLS: (20, 63), TURN_CHANNEL: (64, 79), RTP: (128, 191)}


@pytest.mark.parametrize("first", range(256))
def test_the_first_octet(first: int) -> None:
    expected = [found for found, (low, high) in RANGES.items() if low <= first <= high]
    assert kind(bytes([first, 0, 0, 0])) == (expected[0] if expected else UNKNOWN)


@pytest.mark.parametrize("first", [0x80, 0x81, 0xBF])
def test_the_second_octet_tells_rtcp_from_rtp(first: int) -> None:
    # RFC 5761 section 4: packet types 192 to 223; with the marker bit, RTP payload types 64 to 95.
    found = [kind(bytes([first, second])) for second in range(256)]
    assert found == [RTCP if 192 <= second <= 223 else RTP for second in range(256)]


def test_the_second_octet_counts_only_there() -> None:
    assert kind(b"\x16\xc8") == DTLS
    assert kind(b"\x00\xc8") == STUN


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x00"])
def test_what_is_too_short_is_nothing(data: bytes) -> None:
    assert kind(data) == UNKNOWN


def test_every_kind_has_a_name() -> None:
    assert [NAMES[found] for found in (UNKNOWN, RTP, RTCP, STUN, DTLS, TURN_CHANNEL, ZRTP)] == [
        "unknown",
        "RTP",
        "RTCP",
        "STUN",
        "DTLS",
        "TURN channel",
        "ZRTP",
    ]
