from __future__ import annotations

import pytest

from ringback.errors import LocalError
from ringback.sdp.attributes import Group
from ringback.sdp.description import MAXIMUM_MEDIA, Attribute, Bandwidth, MediaDescription, Origin, SessionDescription
from ringback.sdp.formats import Codec
from ringback.sdp.ice import IceParameters
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import LocalStream
from ringback.sdp.writing import Part, assemble, disabled_part, versioned

ORIGIN = Origin("-", 1, 1, "192.0.2.1")
PCMU = Codec("PCMU", 8000, payload_type=0)
VP8 = Codec("VP8", 90000, 1, 96, {"max-fs": "1"}, ("nack", "nack pli"))


def test_a_part_is_written_with_all_that_it_has() -> None:
    stream = LocalStream(
        *("video", 4000, "192.0.2.1"),
        ptime=20,
        maxptime=60,
        rtcp_port=4444,
        rtcp_address="192.0.2.2",
        bandwidths=[Bandwidth("AS", 512)],
        attributes=[Attribute("content", "slides")],
        information="the slides",
    )
    part = Part(
        *(stream, stream, "UDP/TLS/RTP/SAVPF", "sendonly", [VP8, PCMU]),
        mid="v",
        crypto=[Crypto("AEAD_AES_128_GCM", bytes(28), 1)],
        fingerprints=[Fingerprint("sha-1", "AA")],
        setup="actpass",
        tls_id="abc",
        ice=IceParameters("ufrag", "password"),
        rtcp_mux=True,
    )
    assert part.write().lines() == [
        "m=video 4000 UDP/TLS/RTP/SAVPF 96 0",
        "i=the slides",
        "c=IN IP4 192.0.2.1",
        "b=AS:512",
        "a=mid:v",
        "a=rtpmap:96 VP8/90000",
        "a=fmtp:96 max-fs=1",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtpmap:0 PCMU/8000",
        "a=ptime:20",
        "a=maxptime:60",
        "a=sendonly",
        "a=rtcp:4444 IN IP4 192.0.2.2",
        "a=rtcp-mux",
        "a=crypto:1 AEAD_AES_128_GCM inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "a=setup:actpass",
        "a=fingerprint:sha-1 AA",
        "a=tls-id:abc",
        "a=ice-options:ice2",
        "a=ice-ufrag:ufrag",
        "a=ice-pwd:password",
        "a=content:slides",
    ]


def test_feedback_is_written_only_in_profiles_that_have_it() -> None:
    stream = LocalStream("video", 4000, "192.0.2.1")
    lines = Part(stream, stream, "RTP/SAVP", "sendrecv", [VP8]).write().lines()
    assert not any(line.startswith("a=rtcp-fb") for line in lines)
    assert "a=rtcp-fb:96 nack" in Part(stream, stream, "rtp/savpf", "sendrecv", [VP8]).write().lines()


@pytest.mark.parametrize(("port", "address", "written"), [(4001, "", 0), (4002, "", 1), (4001, "192.0.2.9", 1)])
def test_the_usual_port_of_rtcp_is_not_written(port: int, address: str, written: int) -> None:
    stream = LocalStream("audio", 4000, "192.0.2.1", rtcp_port=port, rtcp_address=address)
    assert len(Part(stream, stream, "RTP/AVP", "sendrecv", [PCMU]).write().values("rtcp")) == written


def test_a_stream_that_is_not_rtp_has_its_formats_and_no_direction() -> None:
    stream = LocalStream("message", 2855, "192.0.2.1", attributes=[Attribute("path", "msrp://a")])
    assert Part(stream, stream, "TCP/MSRP", "sendrecv", formats=["*"]).write().lines() == [
        "m=message 2855 TCP/MSRP *",
        "c=IN IP4 192.0.2.1",
        "a=path:msrp://a",
    ]


def test_a_bundled_part_has_the_transport_of_another() -> None:
    stream, other = LocalStream("video", 5000, "192.0.2.5"), LocalStream("audio", 4000, "192.0.2.1")
    lines = Part(stream, other, "RTP/AVP", "sendrecv", [VP8], ice_mismatch=True).write().lines()
    assert lines[:2] == ["m=video 4000 RTP/AVP 96", "c=IN IP4 192.0.2.1"]
    assert lines[-1] == "a=ice-mismatch"


def test_a_part_without_a_port_lists_one_format() -> None:
    assert disabled_part("video", "RTP/AVP", ["31", "32"], "v").lines() == ["m=video 0 RTP/AVP 31", "a=mid:v"]
    assert disabled_part("video", "RTP/AVP", []).lines() == ["m=video 0 RTP/AVP 0"]


def test_the_first_address_stands_in_the_session_part() -> None:
    streams = [LocalStream("audio", 4000 + at, address) for at, address in enumerate(["2001:db8::1", "192.0.2.9"] * 2)]
    media = [Part(stream, stream, "RTP/AVP", "sendrecv", [PCMU]).write() for stream in streams]
    description = assemble(ORIGIN, media, [Group("BUNDLE", ("a", "b"))], True)
    assert str(description.connection) == "IN IP6 2001:db8::1"
    assert [str(part.connection) for part in description.media] == ["None", "IN IP4 192.0.2.9"] * 2
    assert [str(attribute) for attribute in description.attributes] == ["group:BUNDLE a b", "ice-lite"]
    assert str(assemble(ORIGIN, []).connection) == "IN IP4 192.0.2.1"


def test_more_streams_than_anybody_reads_are_refused() -> None:
    media = [MediaDescription("audio", 0, "RTP/AVP", ["0"])] * MAXIMUM_MEDIA
    assemble(ORIGIN, media)
    with pytest.raises(LocalError):
        assemble(ORIGIN, [*media, media[0]])


def test_the_version_rises_by_one_when_something_changes() -> None:
    first = SessionDescription(Origin("-", 7, 40, "192.0.2.1"))
    assert versioned(SessionDescription(ORIGIN), None).origin == ORIGIN
    # The origin of the session is kept, whatever is given.
    assert versioned(SessionDescription(ORIGIN), first) == first
    changed = versioned(SessionDescription(ORIGIN, name="x"), first)
    assert changed.origin == Origin("-", 7, 41, "192.0.2.1")
