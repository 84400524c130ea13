from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.capability import Capability, capability_of
from ringback.sdp.description import Origin, parse
from ringback.sdp.errors import SdpError
from ringback.sdp.formats import Codec
from ringback.sdp.offering import capabilities
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import LocalStream, Policy
from tests.sdp.samples import BARESIP, BARESIP_DTLS, BARESIP_SDES, CHROMIUM, LINPHONE, OLD_PHONE, SAMPLES

HEAD = b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n"
PRINT = Fingerprint("sha-1", "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB")


def capability(body: bytes) -> Capability:
    return capability_of(parse(body))


def test_chromium_as_data() -> None:
    found = capability(CHROMIUM)
    assert found.kinds == ("audio", "video", "application")
    assert found.codec_names("audio") == ("opus", "G722", "PCMU", "PCMA")
    assert found.codec_names("video") == ("VP8", "H264")
    audio, video, data = found.media
    assert (audio.dtmf, audio.other) == ((48000, 8000), ("red", "CN"))
    assert (audio.encryption, audio.keying, audio.ice) == ("required", ("dtls",), "full")
    assert (audio.rtcp_mux, audio.bundle, audio.direction, audio.offered) == (True, True, "sendrecv", True)
    assert video.other == ("rtx",)
    assert (data.purpose, data.formats) == ("data channels", ("webrtc-datachannel (SCTP port 5000)",))
    assert (found.dtmf, found.encryption) == (True, "required")


def test_chromium_as_text() -> None:
    assert capability(CHROMIUM).text().splitlines() == [
        "audio over UDP/TLS/RTP/SAVPF",
        "  codecs: opus/48000/2 (minptime=10;useinbandfec=1), G722/8000, PCMU/8000, PCMA/8000",
        "  DTMF: telephone-event at 48000 Hz, telephone-event at 8000 Hz",
        "  also: red, CN",
        "  encryption: required, by DTLS-SRTP",
        "  ICE: full",
        "  ports: RTP and RTCP on one, shared with others (BUNDLE)",
        "video over UDP/TLS/RTP/SAVPF",
        "  codecs: VP8/90000, H264/90000 (level-asymmetry-allowed=1;packetization-mode=1;…, "
        "H264/90000 (level-asymmetry-allowed=1;packetization-mode=1;…",
        "  also: rtx",
        "  encryption: required, by DTLS-SRTP",
        "  ICE: full",
        "  ports: RTP and RTCP on one, shared with others (BUNDLE)",
        "data channels over UDP/DTLS/SCTP",
        "  formats: webrtc-datachannel (SCTP port 5000)",
        "  encryption: required, by TLS",
        "  ICE: full",
        "  ports: shared with others (BUNDLE)",
    ]


@pytest.mark.parametrize(
    ("body", "encryption", "keying", "suites"),
    [
        (BARESIP, "none", (), ()),
        (BARESIP_SDES, "required", ("sdes",), ("AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80")),
        (BARESIP_DTLS, "required", ("dtls",), ()),
        (LINPHONE, "optional", ("sdes",), ("AES_CM_128_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80")),
        (OLD_PHONE, "none", (), ()),
    ],
)
def test_encryption_of_phones(body: bytes, encryption: str, keying: tuple[str, ...], suites: tuple[str, ...]) -> None:
    found = capability(body)
    audio = found.media[0]
    assert (audio.encryption, audio.keying, audio.suites, found.encryption) == (encryption, keying, suites, encryption)
    (line,) = (line for line in audio.lines() if line.startswith("  encryption: "))
    assert line.startswith(f"  encryption: {encryption}")
    assert all(suite in line for suite in suites)


MORE = (
    HEAD
    + b"""m=message 2855 TCP/TLS/MSRP *
a=accept-types:text/plain message/cpim
a=path:msrps://192.0.2.1:2855/x;tcp
m=message 2856 TCP/MSRP *
a=path:msrp://192.0.2.1:2856/x;tcp
m=text 6000 RTP/AVP 98
a=rtpmap:98 t140/1000
m=application 6002 TCP/WB shapes
a=recvonly
m=video 0 RTP/AVP 31
a=content:slides
m=image 6004 udptl t38
m=application 6006 UDP/BFCP *
"""
)


def test_text_messages_and_applications() -> None:
    found = capability(MORE)
    assert [media.purpose for media in found.media] == [
        "messages",
        "messages",
        "real-time text",
        "application (such as a whiteboard)",
        "video",
        "fax",
        "floor control",
    ]
    assert [media.formats for media in found.media[:2]] == [("text/plain", "message/cpim"), ("any",)]
    assert found.text().splitlines() == [
        "messages over TCP/TLS/MSRP",
        "  formats: text/plain, message/cpim",
        "  encryption: required, by TLS",
        "messages over TCP/MSRP",
        "  formats: any",
        "real-time text over RTP/AVP",
        "  codecs: t140/1000",
        "  encryption: none",
        "application (such as a whiteboard) over TCP/WB",
        "  formats: shapes",
        "  direction: recvonly",
        "video over RTP/AVP (not in this session)",
        "  codecs: H261/90000",
        "  shows: slides",
        "  encryption: none",
        "fax over udptl",
        "  formats: t38",
        "floor control over UDP/BFCP",
        "  formats: *",
    ]
    assert (found.dtmf, found.encryption) == (False, "required")


def test_nothing() -> None:
    empty = capability(HEAD)
    assert (empty.text(), empty.kinds, empty.dtmf, empty.encryption) == ("no media", (), False, "none")


def test_what_we_tell_of_ourselves_is_what_is_read() -> None:
    """RFC 3264 section 9: all ports are zero, and nothing is called missing for it."""
    audio = LocalStream(
        *("audio", 4000, "192.0.2.1", [Codec("opus", 48000, 2), Codec("PCMU", 8000)]),
        fingerprints=[PRINT],
        crypto=[Crypto("AEAD_AES_128_GCM", bytes(28))],
        rtcp_mux=True,
    )
    found = capability_of(capabilities([audio], Origin.of(1, "192.0.2.1"), Policy("offer")))
    assert [media.offered for media in found.media] == [False]
    assert found.text().splitlines() == [
        "audio over RTP/AVP",
        "  codecs: opus/48000/2, PCMU/8000",
        "  DTMF: telephone-event at 48000 Hz, telephone-event at 8000 Hz",
        "  encryption: optional, by DTLS-SRTP",
        "  ports: RTP and RTCP on one",
    ]


def test_what_a_peer_writes_is_shown_short_and_printable() -> None:
    names = "".join(f"a=rtpmap:{number} x\x1b[31m{number}/8000\n" for number in range(96, 128))
    formats = " ".join(str(number) for number in range(128))
    body = HEAD + f"m=audio 1 RTP/AVP {formats}\n{names}".encode() + b"m=" + b"y" * 5000 + b" 1 z\x07 a\n"
    text = capability(body).text()
    assert text.isprintable() or all(character.isprintable() or character == "\n" for character in text)
    assert "x?[31m96/8000" in text
    assert max(len(line) for line in text.splitlines()) < 40 * 65
    assert "y" * 59 + "… over z?" in text
    assert "and 15 more" in text


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_it_raises_nothing(name: str, data: st.DataObject) -> None:
    body = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(0, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        description = parse(bytes(body))
    except SdpError:
        return
    text = capability_of(description).text()
    assert all(character.isprintable() or character == "\n" for character in text)
