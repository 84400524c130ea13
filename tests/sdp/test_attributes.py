from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.attributes import (
    DIRECTIONS,
    ExtensionMap,
    Feedback,
    FormatParameters,
    Group,
    Rtcp,
    RtpMap,
    SsrcAttribute,
    contents,
    direction_of,
    milliseconds,
    msrp_path,
    own_direction,
    parameters_of,
    parameters_text,
    readable,
    receives,
    sctp_port,
    sends,
)
from ringback.sdp.description import Attribute, MediaDescription
from ringback.sdp.errors import SdpError


def media(*attributes: str) -> MediaDescription:
    found = MediaDescription("audio", 4000, "RTP/AVP", ["0"])
    for attribute in attributes:
        name, colon, value = attribute.partition(":")
        found.attributes.append(Attribute(name, value if colon else None))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 PCMU/8000", RtpMap(0, "PCMU", 8000)),
        ("96 opus/48000/2", RtpMap(96, "opus", 48000, 2)),
        ("9 G722/8000/1", RtpMap(9, "G722", 8000)),
        ("127  telephone-event / 8000", RtpMap(127, "telephone-event", 8000)),
    ],
)
def test_rtpmaps_are_read(text: str, expected: RtpMap) -> None:
    assert RtpMap.parse(text) == expected
    assert RtpMap.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0 PCMU",
        "0 /8000",
        "0 PCMU/",
        "0 PCMU/0",
        "0 PCMU/99999999999",
        "0 PCMU/8000/1/1",
        "0 PCMU/8000/0",
        "128 x/8000",
        "-1 x/8000",
        "x PCMU/8000",
        "\u0669 G722/8000",
    ],
)
def test_rtpmaps_that_are_none(text: str) -> None:
    with pytest.raises(SdpError):
        RtpMap.parse(text)


@pytest.mark.parametrize(
    ("parse", "text", "written"),
    [
        (FormatParameters.parse, "96 useinbandfec=1; minptime=10", "96 useinbandfec=1; minptime=10"),
        (FormatParameters.parse, " 101  0-15 ", "101 0-15"),
        (Rtcp.parse, "53020", "53020"),
        (Rtcp.parse, "53020 IN IP4 126.16.64.4", "53020 IN IP4 126.16.64.4"),
        (Rtcp.parse, "53020 IN IP6 2001:2345:6789:ABCD::1", "53020 IN IP6 2001:2345:6789:ABCD::1"),
        (Group.parse, "BUNDLE 0 1  audio", "BUNDLE 0 1 audio"),
        (Group.parse, "BUNDLE", "BUNDLE"),
        (Feedback.parse, "* trr-int 5000", "* trr-int 5000"),
        (Feedback.parse, "96 nack", "96 nack"),
        (ExtensionMap.parse, "1 urn:x", "1 urn:x"),
        (ExtensionMap.parse, "2/recvonly urn:y some more", "2/recvonly urn:y some more"),
        (SsrcAttribute.parse, "4294967295 cname:a:b c", "4294967295 cname:a:b c"),
        (SsrcAttribute.parse, "1 flag", "1 flag"),
    ],
)
def test_attributes_are_read_and_written(parse: type[Rtcp], text: str, written: str) -> None:
    value = parse(text)  # type: ignore[arg-type]
    assert str(value) == written


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (FormatParameters.parse, "96"),
        (FormatParameters.parse, ""),
        (Rtcp.parse, ""),
        (Rtcp.parse, "0"),
        (Rtcp.parse, "65536"),
        (Rtcp.parse, "1 IN IP4"),
        (Group.parse, "  "),
        (Feedback.parse, "96"),
        (ExtensionMap.parse, "1"),
        (ExtensionMap.parse, "0 urn:x"),
        (ExtensionMap.parse, "x urn:x"),
        (SsrcAttribute.parse, "1"),
        (SsrcAttribute.parse, "4294967296 cname:x"),
        (SsrcAttribute.parse, "1 :x"),
    ],
)
def test_malformed_attributes_are_refused(parse: type[Rtcp], text: str) -> None:
    with pytest.raises(SdpError):
        parse(text)  # type: ignore[arg-type]


def test_what_cannot_be_read_is_passed_over() -> None:
    assert readable(RtpMap.parse, ["x", "0 PCMU/8000", "", "8 PCMA/8000"]) == [
        RtpMap(0, "PCMU", 8000),
        RtpMap(8, "PCMA", 8000),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        (";; ;", {}),
        ("0-16", {"0-16": ""}),
        ("111/111", {"111/111": ""}),
        ("minptime=10;useinbandfec=1", {"minptime": "10", "useinbandfec": "1"}),
        (" mode = 30 ; x ", {"mode": "30", "x": ""}),
        ("config=AB==; y", {"config": "AB==", "y": ""}),
    ],
)
def test_format_parameters_are_a_mapping(text: str, expected: dict[str, str]) -> None:
    assert parameters_of(text) == expected
    assert parameters_of(parameters_text(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, 0),
        ("20", 20),
        (" 30 ", 30),
        ("20.4", 20),
        ("1000", 1000),
        ("0", 0),
        ("-20", 0),
        ("", 0),
        ("twenty", 0),
        ("nan", 0),
    ],
)
def test_packet_times(text: str | None, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["1001", "1e9", "inf", "9" * 5000])
def test_packet_times_that_are_dangerous(text: str) -> None:
    with pytest.raises(SdpError):
        milliseconds(text)


def test_directions() -> None:
    assert [(sends(direction), receives(direction)) for direction in DIRECTIONS] == [
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    ]
    for direction in DIRECTIONS:
        assert direction_of(sends(direction), receives(direction)) == direction
        assert own_direction(media("ptime:20", direction, "inactive")) == direction
    assert own_direction(media("ptime:20", "sendrecv:no", "sendingonly")) == "sendrecv"
    assert own_direction(media("ptime:20")) is None


def test_paths_contents_and_ports_of_other_streams() -> None:
    assert msrp_path(media("path:msrp://a.example.com:7394/2s93i9ek2a;tcp  msrp://b/x;tcp")) == (
        "msrp://a.example.com:7394/2s93i9ek2a;tcp",
        "msrp://b/x;tcp",
    )
    assert msrp_path(media("path")) == msrp_path(media()) == ()
    assert contents(media("content:slides, main,")) == ("slides", "main")
    assert contents(media()) == ()
    assert sctp_port(media("sctp-port:5000")) == 5000
    assert sctp_port(media("sctpmap:5001 webrtc-datachannel 1024")) == 5001
    assert sctp_port(media("sctp-port:x", "sctpmap:")) == sctp_port(media("sctp-port:70000")) == 0


@given(st.text(max_size=40))
def test_random_text_raises_nothing_but_sdp_errors(text: str) -> None:
    parsers = (RtpMap, FormatParameters, Rtcp, Group, Feedback, ExtensionMap, SsrcAttribute)
    for parser in parsers:
        try:
            value = parser.parse(text)
        except SdpError:
            continue
        assert parser.parse(str(value)) == value
    parameters_of(text)
    try:
        assert 0 <= milliseconds(text) <= 1000
    except SdpError:
        pass
