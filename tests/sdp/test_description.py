from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.sdp.description import (
    MAXIMUM_FORMATS,
    MAXIMUM_LINES,
    MAXIMUM_MEDIA,
    MAXIMUM_OCTETS,
    Attribute,
    Bandwidth,
    Connection,
    MediaDescription,
    Origin,
    SessionDescription,
    parse,
)
from ringback.sdp.errors import SdpError
from tests.sdp.samples import BARESIP, CHROMIUM, OLD_PHONE, SAMPLES

HEAD = b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\n"

# RFC 8866 section 5, with lines of every type.
FULL = b"""v=0
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
s=Call to John Smith
i=SDP Offer #1
u=http://www.jdoe.example.com/home.html
e=Jane Doe <jane@jdoe.example.com>
e=other@example.com
p=+1 617 555-6011
c=IN IP4 198.51.100.1
b=CT:154798
b=X-YZ:128
t=0 0
t=3724394400 3724398000
r=604800 3600 0 90000
z=3730928400 -1h 3749680800 0
k=prompt
a=recvonly
a=tool
y=unknown
m=audio 49170/2 RTP/AVP 0 97
i=the sound
c=IN IP4 233.252.0.1/127/3
c=IN IP4 233.252.0.2/127
b=AS:64
b=TIAS:64000
k=clear:secret
a=rtpmap:97 iLBC/8000
a=empty:
a=with:colons:and  spaces\x20
x=y
m=application 1 TCP/TLS/MSRP *
""".replace(b"\n", b"\r\n")


def test_every_line_is_kept_and_written_in_its_place() -> None:
    assert parse(FULL).encode() == FULL


def test_every_line_has_its_field() -> None:
    description = parse(FULL)
    assert description.origin == Origin("jdoe", 3724394400, 3724394405, "198.51.100.1")
    assert (description.name, description.information) == ("Call to John Smith", "SDP Offer #1")
    assert description.uri == "http://www.jdoe.example.com/home.html"
    assert description.emails == ["Jane Doe <jane@jdoe.example.com>", "other@example.com"]
    assert description.phones == ["+1 617 555-6011"]
    assert description.connection == Connection("198.51.100.1")
    assert description.bandwidths == [Bandwidth("CT", 154798), Bandwidth("X-YZ", 128)]
    assert [letter for letter, _ in description.times] == ["t", "t", "r", "z"]
    assert description.key == "prompt"
    assert description.attributes == [Attribute("recvonly"), Attribute("tool")]
    assert description.unknown == [("y", "unknown")]
    audio, messages = description.media
    assert (audio.kind, audio.port, audio.port_count, audio.protocol) == ("audio", 49170, 2, "RTP/AVP")
    assert audio.formats == ["0", "97"]
    assert [connection.host for connection in audio.connections] == ["233.252.0.1", "233.252.0.2"]
    assert audio.connection is not None and audio.connection.is_multicast
    assert audio.bandwidths == [Bandwidth("AS", 64), Bandwidth("TIAS", 64000)]
    assert (audio.information, audio.key) == ("the sound", "clear:secret")
    assert audio.value("empty") == "" and audio.value("with") == "colons:and  spaces "
    assert audio.unknown == [("x", "y")]
    assert (messages.formats, messages.connection) == (["*"], None)


def test_attributes_are_found_by_name() -> None:
    media = MediaDescription("audio", 1, "RTP/AVP", attributes=[Attribute("a"), Attribute("b", "1")])
    media.add("b", 2)
    media.add("c")
    assert [media.has(name) for name in "abcd"] == [True, True, True, False]
    assert [media.value(name) for name in "abcd"] == [None, "1", None, None]
    assert (media.values("b"), media.values("a")) == (["1", "2"], [])


def test_lines_out_of_order_are_put_in_order() -> None:
    description = parse(b"v=0\nt=0 0\nc=IN IP4 192.0.2.9\na=x\ns=late\no=- 1 1 IN IP4 192.0.2.1\nb=AS:1\n")
    assert description.encode() == (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=late\r\nc=IN IP4 192.0.2.9\r\nb=AS:1\r\nt=0 0\r\na=x\r\n"
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n", b"\n\n", b"\r\n \t\r\n"])
def test_line_ends_of_all_kinds_are_read(end: bytes) -> None:
    assert parse(BARESIP.replace(b"\r\n", end)).encode() == BARESIP


def test_the_last_line_needs_no_end() -> None:
    assert parse(BARESIP.rstrip(b"\r\n")).encode() == BARESIP
    assert parse(BARESIP.rstrip(b"\n")).encode() == BARESIP


def test_what_an_old_phone_leaves_out_is_put_in() -> None:
    description = parse(OLD_PHONE)
    assert description.name == "-" and description.times == [("t", "0 0")]
    assert description.origin.username == "Front Desk" and description.origin.session_id == 3747
    assert description.media[0].unknown == [("y", "0815")]
    assert description.encode().endswith(b"a=silenceSupp:off - - - -\r\ny=0815\r\n")


def test_an_empty_session_name_becomes_a_hyphen() -> None:
    assert b"\r\ns=-\r\n" in parse(b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=\nt=0 0\n").encode()
    assert b"\r\ns= \r\n" in parse(b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns= \nt=0 0\n").encode()


def test_text_that_is_not_utf_8_comes_out_as_it_came_in() -> None:
    body = HEAD.replace(b"s=-", b"s=M\xfcller \xe2\x82\xac") + b"t=0 0\r\na=\xff\xfe:\x80\r\n"
    assert parse(body).encode() == body


@pytest.mark.parametrize("name", SAMPLES)
def test_what_real_peers_write_is_the_same_when_it_is_written_again(name: str) -> None:
    body = SAMPLES[name]
    written = parse(body).encode()
    assert parse(written).encode() == written
    if name != "old phone":
        assert sorted(written.split(b"\r\n")) == sorted(body.split(b"\r\n"))


def test_ports_bandwidths_and_attributes_of_browsers_are_read() -> None:
    audio, video, data = parse(CHROMIUM).media
    assert (audio.port, video.port, data.formats) == (9, 9, ["webrtc-datachannel"])
    assert audio.connection is not None and audio.connection.is_null
    assert audio.values("ssrc")[1] == "1409072331 msid:f1f2f3 a1"


@pytest.mark.parametrize(
    ("name", "at"),
    [
        (name, at)
        for name, body in SAMPLES.items()
        for at, line in enumerate(body.replace(b"\r", b"").split(b"\n"))
        if line[:2] in (b"o=", b"c=", b"m=", b"b=")
    ],
)
def test_lines_cut_off_after_their_first_field_are_refused(name: str, at: int) -> None:
    lines = SAMPLES[name].replace(b"\r", b"").split(b"\n")
    lines[at] = lines[at].split(b":")[0].split(b" ")[0]
    with pytest.raises(SdpError) as raised:
        parse(b"\n".join(lines))
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "line",
    [
        b"b=",
        b"b=AS",
        b"b=AS:",
        b"b=AS:-1",
        b"b=AS:1.5",
        b"b=:64",
        b"b=AS:" + b"9" * 5000,
        b"c=",
        b"c=IN IP4",
        b"c=IN IP4 192.0.2.1 192.0.2.2",
        b"o=- 1 1 IN IP4 192.0.2.1",
        b"m=",
        b"m=audio",
        b"m=audio 1",
        b"m=audio -1 RTP/AVP 0",
        b"m=audio 65536 RTP/AVP 0",
        b"m=audio 1e3 RTP/AVP 0",
        b"m=audio \xd9\xa1 RTP/AVP 0",
        b"m=audio 1/0 RTP/AVP 0",
        b"m=audio 1/x RTP/AVP 0",
        b"m=audio " + b"1" * 5000 + b" RTP/AVP 0",
        b"a=",
        b"a=:value",
        b"a=name\rm=audio",
        b"a=nul\0",
        b"nothing",
        b"=",
        b"1=2",
        b" a=b",
        b"\xc3\xa4=1",
    ],
)
def test_malformed_lines_are_refused(line: bytes) -> None:
    with pytest.raises(SdpError) as raised:
        parse(HEAD + line + b"\r\n")
    assert raised.value.status == 400
    assert isinstance(raised.value, ParseError)


@pytest.mark.parametrize(
    "origin",
    [
        b"o=",
        b"o=- 1 1 IN IP4",
        b"o=- a 1 IN IP4 x",
        b"o=- 1 1.0 IN IP4 x",
        b"o=- " + b"1" * 50 + b" 1 IN IP4 x",
        b"o=- 1  IN IP4 x",
    ],
)
def test_origins_that_are_none_are_refused(origin: bytes) -> None:
    with pytest.raises(SdpError):
        parse(b"v=0\r\n" + origin + b"\r\ns=-\r\n")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n\r\n",
        b"v",
        b"v=",
        b"v=1\r\no=- 1 1 IN IP4 x\r\n",
        b"o=- 1 1 IN IP4 x\r\nv=0\r\n",
        b"v=0\r\n",
        b"v=0\r\ns=-\r\nt=0 0\r\n",
        b"\xef\xbb\xbfv=0\r\no=- 1 1 IN IP4 x\r\n",
    ],
)
def test_what_is_no_session_description_is_refused(body: bytes) -> None:
    with pytest.raises(SdpError) as raised:
        parse(body)
    assert raised.value.status == 400


@pytest.mark.parametrize("time", [b"1001", b"65536", b"4294967296", b"0001001", b"9" * 5000, b"20000.5", b" 5000"])
@pytest.mark.parametrize("name", [b"ptime", b"maxptime"])
def test_packet_times_by_which_no_buffer_may_be_made_are_refused(name: bytes, time: bytes) -> None:
    with pytest.raises(SdpError) as raised:
        parse(HEAD + b"m=audio 1 RTP/AVP 0\r\na=" + name + b":" + time + b"\r\n")
    assert raised.value.status == 488


@pytest.mark.parametrize("time", [b"20", b"1000", b"0", b"-20", b"20.5", b"abc", b"", b"1e9", b"NaN"])
def test_other_packet_times_are_kept(time: bytes) -> None:
    assert parse(HEAD + b"m=audio 1 RTP/AVP 0\r\na=ptime:" + time + b"\r\n").media[0].value("ptime") == time.decode()


def test_the_bounds_can_be_reached_and_not_passed() -> None:
    assert (MAXIMUM_OCTETS, MAXIMUM_LINES, MAXIMUM_MEDIA, MAXIMUM_FORMATS) == (65536, 1000, 64, 256)
    media = b"m=audio 1 RTP/AVP 0\r\n"
    assert len(parse(HEAD + media * MAXIMUM_MEDIA).media) == MAXIMUM_MEDIA
    formats = b"m=audio 1 RTP/AVP" + b" 0" * MAXIMUM_FORMATS
    assert len(parse(HEAD + formats).media[0].formats) == MAXIMUM_FORMATS
    assert len(parse(HEAD + b"a=x\r\n" * (MAXIMUM_LINES - 3)).attributes) == MAXIMUM_LINES - 3
    whole = HEAD + b"a=x:"
    assert len(parse(whole + b"y" * (MAXIMUM_OCTETS - len(whole))).attributes) == 1
    for body in (
        HEAD + media * (MAXIMUM_MEDIA + 1),
        HEAD + media * 10_000,
        HEAD + formats + b" 0",
        HEAD + b"a=x\r\n" * (MAXIMUM_LINES - 2),
        HEAD + b"\n" * MAXIMUM_LINES,
        whole + b"y" * (MAXIMUM_OCTETS - len(whole) + 1),
    ):
        with pytest.raises(SdpError) as raised:
            parse(body)
        assert raised.value.status == 488


def test_the_largest_descriptions_are_read_in_a_moment() -> None:
    worst = [
        HEAD + b"a=x\n" * 996,
        HEAD + b"m=audio 1 RTP/AVP" + b" 0" * 200 + b"\n" + b"a=rtpmap:0 x/8000\n" * 990,
        HEAD + b"a=" + b":" * 60_000,
        HEAD + b"o" * 60_000,
        HEAD + b"c=" + b"IN " * 20_000,
        HEAD + b"m=" + b" " * 60_000,
        HEAD + b"b=" + b" " * 60_000,
    ]
    began = time.process_time()
    for body in worst:
        try:
            parse(body)
        except SdpError:
            continue
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "description",
    [
        SessionDescription(Origin("-", 1, 1, "192.0.2.1"), name="a\r\nm=audio 1 RTP/AVP 0"),
        SessionDescription(Origin("-", 1, 1, "192.0.2.1"), name="a\nb"),
        SessionDescription(Origin("-", 1, 1, "192.0.2.1"), name="a\rb"),
        SessionDescription(Origin("-", 1, 1, "192.0.2.1"), name="a\0b"),
        SessionDescription(Origin("-", 1, 1, "192.0.2.1"), attributes=[Attribute("x", "1\r\na=y")]),
    ],
)
def test_values_of_ours_that_would_be_several_lines_are_refused(description: SessionDescription) -> None:
    with pytest.raises(LocalError):
        description.encode()


def test_origins_and_connections_of_our_own() -> None:
    assert str(Origin.of(7, "192.0.2.1")) == "- 7 7 IN IP4 192.0.2.1"
    assert str(Origin.of(7, "2001:db8::1", 9, "alice")) == "alice 7 9 IN IP6 2001:db8::1"
    assert Origin.of(7, "192.0.2.1").with_version(8) == Origin.of(7, "192.0.2.1", 8)
    assert str(Connection.to("2001:db8::1")) == "IN IP6 2001:db8::1"


@pytest.mark.parametrize(
    ("address", "null", "multicast"),
    [
        ("0.0.0.0", True, False),
        ("::", True, False),
        ("192.0.2.1", False, False),
        ("224.2.1.1/127/3", False, True),
        ("239.255.255.255", False, True),
        ("240.0.0.1", False, False),
        ("223.255.255.255", False, False),
        ("FF15::101", False, True),
        ("2001:db8::1", False, False),
        ("host.example.com", False, False),
    ],
)
def test_kinds_of_addresses(address: str, null: bool, multicast: bool) -> None:
    connection = Connection.to(address)
    assert (connection.is_null, connection.is_multicast) == (null, multicast)


@given(st.binary(max_size=400))
@example(b"v=0\no=- 1 1 IN IP4 x\nm=audio 1 RTP/AVP\n")
def test_random_octets_raise_nothing_but_sdp_errors(data: bytes) -> None:
    try:
        written = parse(data).encode()
    except SdpError as error:
        assert error.status in (400, 488)
    else:
        assert parse(written).encode() == written


LINE = st.one_of(
    st.sampled_from(sorted({line for body in SAMPLES.values() for line in body.replace(b"\r", b"").split(b"\n")})),
    st.tuples(st.sampled_from(b"vosiuepcbtrzkamxy"), st.binary(max_size=30)).map(
        lambda pair: bytes([pair[0]]) + b"=" + pair[1]
    ),
)


@given(st.lists(LINE, max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_whatever_can_be_read_is_written_as_what_reads_the_same(lines: list[bytes], end: bytes) -> None:
    body = end.join([b"v=0", b"o=- 1 1 IN IP4 192.0.2.1", *lines])
    try:
        description = parse(body)
    except SdpError:
        return
    again = parse(description.encode())
    assert again == description
    assert again.encode() == description.encode()


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_one_wrong_octet_ends_nothing(name: str, data: st.DataObject) -> None:
    body = bytearray(SAMPLES[name])
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    try:
        description = parse(bytes(body))
    except SdpError:
        return
    assert parse(description.encode()) == description
