"""SRTP both ways: suites, keys, what fails and is counted, replays, rollover, and sources that come and go."""

import secrets
import struct

import pytest

from ringback.media.backend import MediaError
from ringback.media.io.srtp import LONGEST_PLAIN, SOURCES, SUITES, SrtpKeys, SrtpSession, make_key

SUITE = "AES_CM_128_HMAC_SHA1_80"
EVERY_SUITE = pytest.mark.parametrize("suite", list(SUITES))


def rtp(sequence: int, source: int = 1, payload: bytes = b"sound of a call") -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, source) + payload


def rtcp(source: int = 1) -> bytes:
    """An empty receiver report."""
    return struct.pack("!BBHI", 0x80, 201, 1, source)


def pair(suite: str = SUITE) -> tuple[SrtpSession, SrtpSession]:
    """The two ends of a call."""
    here, there = make_key(suite), make_key(suite)
    return SrtpSession(SrtpKeys(suite, here, there)), SrtpSession(SrtpKeys(suite, there, here))


def passed(protected: bytes | None) -> bytes:
    assert protected is not None
    return protected


def failures(session: SrtpSession) -> tuple[int, int, int]:
    return (session.refused, session.replayed, session.unprotected)


# RFC 3711 section 5.2, RFC 4568 section 6.2, RFC 7714 section 12: octets of RTP's tag, and of RTCP's tag and index.
TAGS = {
    "AEAD_AES_256_GCM": (16, 20),
    "AEAD_AES_128_GCM": (16, 20),
    "AES_CM_128_HMAC_SHA1_80": (10, 14),
    "AES_CM_128_HMAC_SHA1_32": (4, 14),
}


@EVERY_SUITE
def test_both_directions_of_both_protocols(suite: str) -> None:
    here, there = pair(suite)
    for sender, receiver in ((here, there), (there, here)):
        protected = passed(sender.protect_rtp(rtp(7)))
        assert protected[:12] == rtp(7)[:12]
        assert b"sound" not in protected
        assert len(protected) == len(rtp(7)) + TAGS[suite][0]
        assert receiver.unprotect_rtp(protected) == rtp(7)
        protected = passed(sender.protect_rtcp(rtcp()))
        assert len(protected) == len(rtcp()) + TAGS[suite][1]
        assert receiver.unprotect_rtcp(protected) == rtcp()
    assert failures(here) == failures(there) == (0, 0, 0)


def test_the_test_vector_of_rfc_3711() -> None:
    """Appendix B.3's master key and salt; the SRTP packet is libsrtp's own validation vector for them."""
    key = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de4139" + "0ec675ad498afeebb6960b3aabe6")
    session = SrtpSession(SrtpKeys(SUITE, key, key))
    packet = bytes.fromhex("800f1234decafbadcafebabe") + b"\xab" * 16
    expected = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"
    assert passed(session.protect_rtp(packet)).hex() == expected


@EVERY_SUITE
def test_keys_of_the_wrong_length(suite: str) -> None:
    right = make_key(suite)
    assert len(right) == SUITES[suite].length
    for wrong in (b"", right[:-1], right + b"x"):
        with pytest.raises(MediaError, match=f"{suite} has keys of {len(right)} octets .* not of {len(wrong)}$"):
            SrtpSession(SrtpKeys(suite, right, wrong))
        with pytest.raises(MediaError):
            SrtpSession(SrtpKeys(suite, wrong, right))


def test_a_suite_that_is_not_known() -> None:
    with pytest.raises(MediaError, match=r"^the crypto suite 'F8_128_HMAC_SHA1_80' is not known; known are AEAD"):
        make_key("F8_128_HMAC_SHA1_80")


def test_keys_are_not_written_to_logs() -> None:
    assert repr(SrtpKeys(SUITE, b"secret", b"secret")) == f"SrtpKeys('{SUITE}')"


@EVERY_SUITE
def test_ten_thousand_bad_packets_are_dropped_and_the_call_goes_on(suite: str) -> None:
    """A26. Some of them look like the right ones but for one octet."""
    here, there = pair(suite)
    stranger, _ = pair(suite)
    there.unprotect_rtp(passed(here.protect_rtp(rtp(1))))
    right = passed(here.protect_rtp(rtp(2)))
    for number in range(10_000):
        case = number % 4
        if case == 0:
            bad = passed(stranger.protect_rtp(rtp(number + 2, source=1)))
        elif case == 1:
            bad = bytearray(right)
            bad[12 + number % (len(right) - 12)] ^= 1 + number % 255
            bad = bytes(bad)
        elif case == 2:
            bad = secrets.token_bytes(number % 1600)
        else:
            # Plain RTP in place of SRTP.
            bad = rtp(number)
        assert there.unprotect_rtp(bad) is None
    assert there.refused + there.replayed == 10_000
    assert there.unprotect_rtp(right) == rtp(2)


def test_bad_rtcp_is_dropped() -> None:
    here, there = pair()
    right = passed(here.protect_rtcp(rtcp()))
    # RELIABILITY A28: four octets of RTCP.
    for bad in (b"", right[:4], right[:-1], right + b"x", rtcp(), rtcp() + bytes(14), bytes(3000)):
        assert there.unprotect_rtcp(bad) is None
    assert failures(there) == (7, 0, 0)
    assert there.unprotect_rtcp(right) == rtcp()


def test_a_packet_is_taken_once() -> None:
    here, there = pair()
    packets = [passed(here.protect_rtp(rtp(number))) for number in range(100)]
    for packet in reversed(packets):
        assert there.unprotect_rtp(packet) is not None
    for packet in packets:
        assert there.unprotect_rtp(packet) is None
    report = passed(here.protect_rtcp(rtcp()))
    assert there.unprotect_rtcp(report) == rtcp()
    assert there.unprotect_rtcp(report) is None
    assert failures(there) == (0, 101, 0)


def test_a_packet_later_than_the_window_is_dropped() -> None:
    here, there = pair()
    old, late, *rest = [passed(here.protect_rtp(rtp(number))) for number in range(1026)]
    assert there.unprotect_rtp(rest[-1]) is not None
    assert there.unprotect_rtp(old) is None
    assert failures(there) == (0, 1, 0)
    assert there.unprotect_rtp(rest[0]) == rtp(2)
    assert late


def test_sequence_numbers_roll_over() -> None:
    """RFC 3711 section 3.3.1: the 32-bit rollover counter is kept on both sides."""
    here, there = pair()
    for number in range(65_000, 65_536 * 2 + 40, 97):
        assert there.unprotect_rtp(passed(here.protect_rtp(rtp(number)))) == rtp(number)
    assert failures(here) == failures(there) == (0, 0, 0)


def test_packets_reordered_around_the_rollover() -> None:
    here, there = pair()
    packets = {number: passed(here.protect_rtp(rtp(number))) for number in range(65_530, 65_542)}
    for number in (65_530, 65_537, 65_535, 65_536, 65_534, 65_541):
        assert there.unprotect_rtp(packets[number]) == rtp(number)


def test_the_same_index_is_never_protected_twice() -> None:
    here, there = pair()
    packet = passed(here.protect_rtp(rtp(1)))
    assert here.protect_rtp(rtp(1, payload=b"other sound")) is None
    assert failures(here) == (0, 0, 1)
    assert there.unprotect_rtp(packet) == rtp(1)


@pytest.mark.parametrize("packet", [b"", rtp(1)[:11], bytes(LONGEST_PLAIN + 1)])
def test_what_cannot_be_protected_is_counted(packet: bytes) -> None:
    here, _ = pair()
    assert here.protect_rtp(packet) is None
    assert failures(here) == (0, 0, 1)


@EVERY_SUITE
def test_the_longest_packet(suite: str) -> None:
    here, there = pair(suite)
    longest = rtp(1, payload=bytes(LONGEST_PLAIN - 12))
    assert there.unprotect_rtp(passed(here.protect_rtp(longest))) == longest


def test_the_source_may_change_at_any_time() -> None:
    here, there = pair()
    for number, source in enumerate((1, 1, 2, 0xFFFFFFFF, 0, 2, 1, 1)):
        packet = rtp(60_000 + number, source)
        assert there.unprotect_rtp(passed(here.protect_rtp(packet))) == packet
    assert failures(there) == (0, 0, 0)


def test_sources_of_the_far_end_are_bounded_and_the_newest_is_heard() -> None:
    """The far end holds the keys and may be rebooted often, or mean harm."""
    here = make_key(SUITE)
    there = make_key(SUITE)
    receiver = SrtpSession(SrtpKeys(SUITE, here, there))
    for source in range(10 * SOURCES):
        if source % SOURCES == 0:
            sender = SrtpSession(SrtpKeys(SUITE, there, here))
        assert receiver.unprotect_rtp(passed(sender.protect_rtp(rtp(1, source)))) == rtp(1, source)
    assert len(receiver._heard) == SOURCES
    assert failures(receiver) == (0, 0, 0)


def test_sources_in_use_are_not_forgotten_for_new_ones() -> None:
    here, there = make_key(SUITE), make_key(SUITE)
    receiver = SrtpSession(SrtpKeys(SUITE, here, there))
    steady = SrtpSession(SrtpKeys(SUITE, there, here))
    first = passed(steady.protect_rtp(rtp(1, 0xABCD)))
    assert receiver.unprotect_rtp(first) is not None
    number = 1
    for source in range(3 * SOURCES):
        if source % SOURCES == 0:
            sender = SrtpSession(SrtpKeys(SUITE, there, here))
        assert receiver.unprotect_rtp(passed(sender.protect_rtp(rtp(1, source)))) is not None
        number += 1
        assert receiver.unprotect_rtp(passed(steady.protect_rtp(rtp(number, 0xABCD)))) is not None
    # Its replay list is still there.
    assert receiver.unprotect_rtp(first) is None
    assert failures(receiver) == (0, 1, 0)


def test_bad_packets_of_ever_new_sources_leave_nothing_behind() -> None:
    _, there = pair()
    stranger, _ = pair()
    for source in range(SOURCES):
        assert there.unprotect_rtp(passed(stranger.protect_rtp(rtp(1, source)))) is None
    assert there._heard == {}


def test_sources_of_our_own_are_bounded_and_never_begin_anew() -> None:
    here, there = pair()
    for source in range(SOURCES):
        assert there.unprotect_rtp(passed(here.protect_rtp(rtp(1, source)))) is not None
    assert here.protect_rtp(rtp(1, SOURCES)) is None
    assert here.protect_rtp(rtp(1, 0)) is None
    assert here.protect_rtp(rtp(2, 0)) is not None
    assert failures(here) == (0, 0, 2)


def test_rtp_and_rtcp_of_one_source_do_not_disturb_each_other() -> None:
    here, there = pair()
    for number in range(50):
        assert there.unprotect_rtp(passed(here.protect_rtp(rtp(number)))) == rtp(number)
        assert there.unprotect_rtcp(passed(here.protect_rtcp(rtcp()))) == rtcp()
