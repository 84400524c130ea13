from __future__ import annotations

import pytest

from ringback.sdp.attributes import parameters_of
from ringback.sdp.description import MediaDescription, Origin, SessionDescription, parse
from ringback.sdp.formats import (
    Codec,
    codecs_of,
    common_events,
    configuration,
    identity,
    is_dynamic,
    matches,
    same_encoding,
    static_codec,
    static_payload_type,
)


def media(*lines: str) -> MediaDescription:
    body = SessionDescription(Origin("-", 1, 1, "192.0.2.1")).encode() + "\r\n".join([*lines, ""]).encode()
    return parse(body).media[0]


def h264(profile: str, mode: str = "") -> Codec:
    text = f"profile-level-id={profile}" + (f";packetization-mode={mode}" if mode else "")
    return Codec("H264", 90000, parameters=parameters_of(text))


def test_payload_types_of_rfc_3551_need_no_rtpmap() -> None:
    every = " ".join(str(number) for number in range(128))
    found = codecs_of(media(f"m=audio 4000 RTP/AVP {every}"))
    # Tables 4 and 5.
    assert {codec.payload_type: codec.rtpmap for codec in found} == {
        0: "PCMU/8000",
        3: "GSM/8000",
        4: "G723/8000",
        5: "DVI4/8000",
        6: "DVI4/16000",
        7: "LPC/8000",
        8: "PCMA/8000",
        9: "G722/8000",
        10: "L16/44100/2",
        11: "L16/44100",
        12: "QCELP/8000",
        13: "CN/8000",
        14: "MPA/90000",
        15: "G728/8000",
        16: "DVI4/11025",
        17: "DVI4/22050",
        18: "G729/8000",
        25: "CelB/90000",
        26: "JPEG/90000",
        28: "nv/90000",
        31: "H261/90000",
        32: "MPV/90000",
        33: "MP2T/90000",
        34: "H263/90000",
    }
    assert static_codec(9) == Codec("G722", 8000, 1, 9)
    assert static_codec(96) is static_codec(1) is None
    assert static_payload_type(Codec("pcma", 8000)) == 8
    assert static_payload_type(Codec("opus", 48000, 2)) == -1


def test_an_rtpmap_says_more_than_the_table() -> None:
    (codec,) = codecs_of(media("m=audio 4000 RTP/AVP 0", "a=rtpmap:0 opus/48000/2"))
    assert codec.rtpmap == "opus/48000/2"


def test_formats_that_cannot_be_told_are_left_out() -> None:
    lines = ("m=audio 4000 RTP/AVP 96 * 128 999 0 -1 0 97 \u0669 1", "a=rtpmap:97 x", "a=rtpmap:200 y/8000")
    assert [codec.payload_type for codec in codecs_of(media(*lines))] == [0]
    known = [Codec("iLBC", 8000, 1, 96)]
    assert [codec.name for codec in codecs_of(media(*lines), known)] == ["iLBC", "PCMU"]


def test_parameters_and_feedback_belong_to_their_format() -> None:
    found = codecs_of(
        media(
            "m=video 4000 RTP/AVPF 96 97",
            "a=rtpmap:96 VP8/90000",
            "a=rtpmap:97 rtx/90000",
            "a=fmtp:97 apt=96",
            "a=rtcp-fb:96 nack pli",
            "a=rtcp-fb:* trr-int 100",
            "a=rtcp-fb:96 ccm fir",
        )
    )
    assert [codec.feedback for codec in found] == [("nack pli", "ccm fir", "trr-int 100"), ("trr-int 100",)]
    assert [(dict(codec.parameters), codec.fmtp) for codec in found] == [({}, ""), ({"apt": "96"}, "apt=96")]


@pytest.mark.parametrize("rtpmap", ["opus/48000", "opus/48000/1", "OPUS/48000/2"])
def test_opus_always_has_two_channels(rtpmap: str) -> None:
    (codec,) = codecs_of(media("m=audio 4000 RTP/AVP 96", f"a=rtpmap:96 {rtpmap}"))
    assert codec.channels == 2
    assert matches(codec, Codec("opus", 48000, 2)) and matches(Codec("opus", 48000), codec)
    assert not matches(codec, Codec("opus", 16000, 2))


def test_g722_has_the_clock_of_8000_whatever_it_is_called() -> None:
    (codec,) = codecs_of(media("m=audio 4000 RTP/AVP 9", "a=rtpmap:9 G722/16000"))
    assert codec == Codec("G722", 8000, 1, 9)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Codec("PCMU", 8000), Codec("pcmu", 8000, payload_type=0), True),
        (Codec("PCMU", 8000), Codec("PCMA", 8000), False),
        (Codec("L16", 16000), Codec("L16", 8000), False),
        (Codec("L16", 44100), Codec("L16", 44100, 2), False),
        (Codec("opus", 48000, 2, parameters={"useinbandfec": "1"}), Codec("opus", 48000, 2), True),
        (h264("42e01f"), h264("42E00A"), True),
        (h264("42e01f"), h264("42401f"), True),
        (h264("42e01f"), h264("42001f"), False),
        (h264("42e01f"), h264("4d801f"), True),
        (h264("42e01f"), h264("58c01f"), True),
        (h264("42e01f"), h264("58801f"), False),
        (h264("42e01f"), h264("58401f"), False),
        (h264("42e01f"), h264("4d401f"), False),
        (h264("4d001f"), h264("64001f"), False),
        (h264("640c1f"), h264("64001f"), False),
        (h264("42e01f", "1"), h264("42e01f"), False),
        (h264("42e01f", "0"), h264("42e01f"), True),
        (Codec("H264", 90000), h264("64001f"), True),
        (Codec("VP9", 90000), Codec("VP9", 90000, parameters={"profile-id": "0"}), True),
        (Codec("VP9", 90000), Codec("VP9", 90000, parameters={"profile-id": "2"}), False),
        (Codec("AMR", 8000), Codec("AMR", 8000, parameters={"octet-align": "1"}), False),
        (Codec("AMR", 8000), Codec("AMR", 8000, parameters={"mode-set": "7"}), True),
    ],
)
def test_formats_that_understand_each_other(one: Codec, other: Codec, expected: bool) -> None:
    assert matches(one, other) is matches(other, one) is expected
    # Whoever names no profile goes with all, but is not the same payload type.
    if one.parameters and other.parameters:
        assert (identity(one) == identity(other)) is expected


def test_what_a_payload_type_means_does_not_hang_on_wishes() -> None:
    plain = Codec("opus", 48000, 2, 96)
    assert identity(plain) == identity(Codec("Opus", 48000, 2, 111, {"useinbandfec": "1"}))
    assert identity(Codec("rtx", 90000, parameters={"apt": "96"})) != identity(
        Codec("rtx", 90000, parameters={"apt": "97"})
    )
    assert same_encoding(Codec("rtx", 90000, parameters={"apt": "96"}), Codec("rtx", 90000))


def test_kinds_of_formats() -> None:
    names = ["telephone-event", "CN", "red", "rtx", "ulpfec", "PCMU", "t140"]
    codecs = [Codec(name, 8000) for name in names]
    assert [codec.name for codec in codecs if codec.is_auxiliary] == names[:5]
    assert [codec.name for codec in codecs if codec.is_event] == names[:1]
    assert [codec.name for codec in codecs if codec.is_comfort_noise] == ["CN"]
    assert Codec("x", 1, parameters={"Mode": "20"}).parameter("mode") == "20"
    assert Codec("x", 1).parameter("mode", "30") == "30"
    assert configuration(h264("42e01f")) == {"packetization-mode", "profile-level-id"}
    assert configuration(Codec("PCMU", 8000)) == frozenset()
    assert [is_dynamic(number) for number in (95, 96, 127, 128)] == [False, True, True, False]
    assert Codec("PCMU", 8000).numbered(3).payload_type == 3


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("0-16", "0-15", {"0-15": ""}),
        ("0-16", "", {"0-15": ""}),
        ("0-15", "0-11,16", {"0-11": ""}),
        ("0-15,66,70", "0-9,66-80", {"0-9,66,70": ""}),
        ("events=0-16", "0-11", {"0-11": ""}),
        ("0-15", "x=1;0-3", {"0-3": ""}),
        ("0-15", "66", {}),
        ("0-15", "9999999999", {"0-15": ""}),
        ("0-15", "x,3,5-4", {"3": ""}),
        ("0-300", "250-999", {"250-255": ""}),
    ],
)
def test_events_that_both_know(ours: str, theirs: str, expected: dict[str, str]) -> None:
    one, other = (Codec("telephone-event", 8000, parameters=parameters_of(text)) for text in (ours, theirs))
    assert common_events(one, other) == common_events(other, one) == expected
