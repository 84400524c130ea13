from __future__ import annotations

import pytest

from ringback.errors import LocalError
from ringback.sdp.description import MediaDescription, Origin, SessionDescription
from ringback.sdp.formats import Codec
from ringback.sdp.payload_types import PayloadTypes, renumbered

OPUS = Codec("opus", 48000, 2)
ILBC = Codec("iLBC", 8000)
EVENTS = Codec("telephone-event", 8000)


def numbers(types: PayloadTypes, *codecs: Codec) -> list[int]:
    return [codec.payload_type for codec in types.number(codecs)]


def said(*rtpmaps: str, protocol: str = "RTP/AVP") -> SessionDescription:
    media = MediaDescription("audio", 4000, protocol, [rtpmap.split()[0] for rtpmap in rtpmaps])
    for rtpmap in rtpmaps:
        media.add("rtpmap", rtpmap)
    return SessionDescription(Origin("-", 1, 1, "192.0.2.1"), media=[media])


def test_static_numbers_are_used_and_others_given_out_in_order() -> None:
    wide = Codec("telephone-event", 48000)
    assert numbers(PayloadTypes(), OPUS, Codec("PCMU", 8000), ILBC, wide, EVENTS) == [96, 0, 97, 98, 101]


def test_numbers_that_are_asked_for_are_given_where_they_are_free() -> None:
    types = PayloadTypes()
    assert numbers(types, OPUS.numbered(111), ILBC.numbered(111)) == [111, 96]
    assert numbers(types, ILBC.numbered(120), OPUS) == [96, 111]


def test_a_number_is_never_given_to_something_else() -> None:
    types = PayloadTypes()
    assert numbers(types, OPUS) == [96]
    assert numbers(types, ILBC) == [97]
    # Opus is not offered any more; its number stays its own.
    assert numbers(types, Codec("speex", 8000).numbered(96)) == [98]
    assert numbers(types, OPUS, ILBC) == [96, 97]


def test_numbers_of_the_other_side_are_kept_too() -> None:
    types = PayloadTypes()
    types.observe(said("111 opus/48000/2", "96 speex/16000"))
    assert numbers(types, ILBC, OPUS) == [97, 111]
    # A later breach of the rule by the other side changes nothing.
    types.observe(said("111 iLBC/8000", "0 x/8000"))
    assert numbers(types, OPUS, ILBC, Codec("PCMU", 8000)) == [111, 97, 98]


def test_streams_that_are_not_rtp_have_no_payload_types() -> None:
    types = PayloadTypes()
    types.observe(said("96 x/8000", protocol="TCP/MSRP"))
    assert numbers(types, OPUS) == [96]


def test_parameters_that_name_payload_types_follow() -> None:
    types = PayloadTypes()
    types.observe(said("96 taken/8000", "98 also/8000"))
    vp8, rtx = Codec("VP8", 90000, payload_type=96), Codec("rtx", 90000, 1, 97, {"apt": "96"})
    numbered = types.number([rtx, vp8])
    assert [(codec.name, codec.payload_type, codec.fmtp) for codec in numbered] == [
        ("rtx", 99, "apt=97"),
        ("VP8", 97, ""),
    ]
    text, red = Codec("t140", 1000, payload_type=98), Codec("red", 1000, 1, 100, {"98/98/98": ""})
    assert [codec.fmtp for codec in types.number([text, red])] == ["", "100/100/100"]
    assert renumbered(red, {98: 3}).fmtp == "3/3/3"
    assert renumbered(Codec("rtx", 1, parameters={"apt": "x", "rtx-time": "98"}), {98: 3}).fmtp == "apt=x;rtx-time=98"
    assert renumbered(OPUS, {96: 97}) is OPUS


def test_numbers_that_look_like_rtcp_are_never_given() -> None:
    types = PayloadTypes()
    given = numbers(types, *(Codec(f"x{index}", 8000) for index in range(61)))
    assert sorted(given) == [*range(35, 64), *range(96, 128)]
    assert given[31] == 101 or 101 in given[:61]
    with pytest.raises(LocalError):
        PayloadTypes().number([Codec(f"x{index}", 8000) for index in range(62)])


def test_a_peer_that_uses_up_all_numbers_does_not_end_our_offers() -> None:
    types = PayloadTypes()
    assert numbers(types, OPUS, EVENTS) == [96, 101]
    types.observe(said(*(f"{number} x{number}/8000" for number in range(128))))
    found = numbers(types, ILBC, Codec("PCMU", 8000), OPUS, EVENTS)
    # What is offered all the time keeps its number; what is new takes that of something else.
    assert found == [97, 0, 96, 101]
    assert numbers(types, OPUS, ILBC, Codec("PCMU", 8000)) == [96, 97, 0]


def test_the_same_codec_is_not_listed_twice() -> None:
    types = PayloadTypes()
    pcmu = Codec("PCMU", 8000)
    assert numbers(types, OPUS, pcmu, OPUS.numbered(111), pcmu.numbered(0), EVENTS) == [96, 0, 101]
    assert numbers(types, pcmu, Codec("speex", 8000).numbered(0)) == [0, 97]


def test_a_copy_goes_its_own_way() -> None:
    types = PayloadTypes()
    assert numbers(types, OPUS) == [96]
    other = types.copy()
    assert numbers(other, ILBC, OPUS) == [97, 96]
    assert numbers(types, EVENTS.numbered(97)) == [97]
