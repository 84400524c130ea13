"""RTP packets: every field, every way in which a datagram is none, and the example extensions of RFC 8285."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.rtp import Packet, encode_rtp, extension_elements, parse_rtp

PLAIN = bytes.fromhex("8008 1234 00000140 deadbeef") + b"sound"


def fields(packet: Packet | None) -> tuple[object, ...]:
    """All that a packet holds, to compare."""
    assert packet is not None
    return tuple(getattr(packet, name) for name in Packet.__slots__)


def parsed(data: bytes) -> Packet:
    packet = parse_rtp(data)
    assert packet is not None
    return packet


class TestFixedHeader:
    def test_every_field(self) -> None:
        packet = parsed(PLAIN)
        assert (packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc) == (8, 0x1234, 320, 0xDEADBEEF)
        assert (packet.payload, packet.marker, packet.csrc) == (b"sound", False, ())
        assert (packet.extension_profile, packet.extension) == (-1, b"")

    def test_the_marker_is_no_part_of_the_payload_type(self) -> None:
        packet = parsed(b"\x80\x88" + PLAIN[2:])
        assert (packet.payload_type, packet.marker) == (8, True)

    def test_the_highest_payload_type(self) -> None:
        packet = parsed(b"\x80\x7f" + PLAIN[2:])
        assert (packet.payload_type, packet.marker) == (127, False)

    def test_a_packet_without_payload(self) -> None:
        assert parsed(PLAIN[:12]).payload == b""

    @pytest.mark.parametrize("length", range(12))
    def test_a_datagram_that_is_shorter_than_the_header(self, length: int) -> None:
        assert parse_rtp(PLAIN[:length]) is None

    @pytest.mark.parametrize("first", [0x00, 0x40, 0xC0, 0xFF, 0x16])
    def test_another_version(self, first: int) -> None:
        assert parse_rtp(bytes([first]) + PLAIN[1:]) is None

    @pytest.mark.parametrize("second", [200, 201, 202, 203, 204, 72, 76])
    def test_what_is_rtcp(self, second: int) -> None:
        assert parse_rtp(bytes([0x80, second]) + PLAIN[2:]) is None

    @pytest.mark.parametrize("second", [71, 77, 199, 205])
    def test_what_is_beside_the_types_of_rtcp(self, second: int) -> None:
        assert parsed(bytes([0x80, second]) + PLAIN[2:]).payload_type == second & 0x7F

    def test_its_text_names_it(self) -> None:
        assert repr(Packet(0, 1, 2, 3, b"abc", True)) == "Packet(0, 1, 2, 0x00000003, 3 octets, marker)"


class TestContributingSources:
    def test_they_are_read_in_order(self) -> None:
        packet = parsed(b"\x82" + PLAIN[1:12] + bytes.fromhex("0000000a 0000000b") + b"sound")
        assert (packet.csrc, packet.payload) == ((10, 11), b"sound")

    def test_more_than_there_are(self) -> None:
        assert parse_rtp(b"\x82" + PLAIN[1:12] + bytes(7)) is None

    def test_fifteen(self) -> None:
        assert len(parsed(b"\x8f" + PLAIN[1:12] + bytes(60)).csrc) == 15


class TestPadding:
    def test_it_is_cut_off(self) -> None:
        assert parsed(b"\xa0" + PLAIN[1:] + b"\0\0\x03").payload == b"sound"

    def test_nothing_but_padding(self) -> None:
        assert parsed(b"\xa0" + PLAIN[1:12] + b"\0\0\0\x04").payload == b""

    @pytest.mark.parametrize("count", [0, 6, 255])
    def test_a_count_that_cannot_be(self, count: int) -> None:
        assert parse_rtp(b"\xa0" + PLAIN[1:12] + bytes([0, 0, 0, 0, count])) is None

    def test_a_count_that_would_eat_the_sources(self) -> None:
        assert parse_rtp(b"\xa1" + PLAIN[1:12] + bytes([0, 0, 0, 4])) is None

    def test_the_bit_without_an_octet(self) -> None:
        assert parse_rtp(b"\xa0" + PLAIN[1:11] + b"\0") is None


class TestExtension:
    @pytest.mark.parametrize("words", [0, 1, 3])
    def test_its_length_counts_words(self, words: int) -> None:
        data = b"\x90" + PLAIN[1:12] + bytes([0xBE, 0xDE, 0, words]) + bytes(4 * words) + b"sound"
        packet = parsed(data)
        assert (packet.extension_profile, packet.extension, packet.payload) == (0xBEDE, bytes(4 * words), b"sound")
        assert packet.encode() == data

    @pytest.mark.parametrize("tail", [b"", b"\xbe\xde\0", b"\xbe\xde\0\1", b"\xbe\xde\0\1abc", b"\xbe\xde\xff\xffabcd"])
    def test_one_that_does_not_fit(self, tail: bytes) -> None:
        assert parse_rtp(b"\x90" + PLAIN[1:12] + tail) is None

    def test_padding_does_not_reach_into_it(self) -> None:
        assert parse_rtp(b"\xb0" + PLAIN[1:12] + b"\xbe\xde\0\1abc\x04") is None


def elements(profile: int, extension: bytes) -> dict[int, bytes]:
    return extension_elements(Packet(0, 0, 0, 0, b"", False, (), profile, extension))


class TestElements:
    def test_the_one_byte_example_of_rfc_8285(self) -> None:
        data = bytes.fromhex("10aa 21bbcc 0000 33ddeeff99")
        assert elements(0xBEDE, data) == {1: b"\xaa", 2: b"\xbb\xcc", 3: b"\xdd\xee\xff\x99"}

    def test_the_two_byte_example_of_rfc_8285(self) -> None:
        data = bytes.fromhex("0100 0201aa 00 0304bbccddee")
        assert elements(0x1000, data) == {1: b"", 2: b"\xaa", 3: b"\xbb\xcc\xdd\xee"}

    def test_the_application_bits(self) -> None:
        assert elements(0x1005, b"") == {256: b"\x05"}

    @pytest.mark.parametrize("stop", [b"\xf0", b"\x01", b"\xff"])
    def test_the_one_byte_form_ends_at_a_reserved_identifier(self, stop: bytes) -> None:
        assert elements(0xBEDE, b"\x10a" + stop + b"\x20b\0\0") == {1: b"a"}

    def test_what_does_not_fit_ends_it(self) -> None:
        assert elements(0xBEDE, b"\x10a\x23b") == {1: b"a"}
        assert elements(0x1000, b"\x01\x01a\x02") == {1: b"a"}
        assert elements(0x1000, b"\x01\x01a\x02\x05bcde") == {1: b"a"}

    def test_another_profile_has_none(self) -> None:
        assert elements(0x2000, b"\x10a\0\0") == {}
        assert extension_elements(parsed(PLAIN)) == {}


packets = st.builds(
    Packet,
    st.integers(0, 127).filter(lambda kind: not 72 <= kind <= 76),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=200),
    st.booleans(),
    st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    st.integers(0, 0xFFFF),
    st.binary(max_size=10).map(lambda data: data * 4),
)


class TestProperties:
    @given(st.binary(max_size=100), st.booleans())
    def test_nothing_raises(self, data: bytes, version: bool) -> None:
        packet = parse_rtp((b"\x80" if version else b"") + data)
        if packet is not None:
            extension_elements(packet)

    @given(st.binary(max_size=40), st.sampled_from([0xBEDE, 0x1000, 0x100F]))
    def test_no_extension_raises(self, data: bytes, profile: int) -> None:
        for identifier, content in elements(profile, data).items():
            assert 0 < identifier <= 256
            assert len(content) <= max(len(data), 1)

    @given(packets)
    def test_what_is_written_is_read(self, packet: Packet) -> None:
        assert fields(parse_rtp(packet.encode())) == fields(packet)

    @given(packets)
    def test_the_short_way_of_writing(self, packet: Packet) -> None:
        arguments = (packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc, packet.payload, packet.marker)
        assert fields(parse_rtp(encode_rtp(*arguments))) == fields(Packet(*arguments))
        assert encode_rtp(*arguments) == Packet(*arguments).encode()
