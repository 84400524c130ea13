from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.sdp.answering import answer
from ringback.sdp.description import Attribute, Bandwidth, Origin, SessionDescription, parse
from ringback.sdp.errors import SdpError
from ringback.sdp.formats import Codec
from ringback.sdp.ice import Candidate, IceParameters
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import Agreed, LocalStream, Policy
from ringback.sdp.view import views
from tests.sdp.samples import (
    BARESIP,
    BARESIP_DTLS,
    BARESIP_SDES,
    CHROMIUM,
    JSSIP,
    LINPHONE,
    OLD_PHONE,
    SAMPLES,
)

ORIGIN = Origin.of(1, "192.0.2.1")
OPUS, G722, PCMU = Codec("opus", 48000, 2), Codec("G722", 8000), Codec("PCMU", 8000)
PRINT = Fingerprint("sha-1", "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB")
SUITES = {"AEAD_AES_128_GCM": 28, "AES_256_CM_HMAC_SHA1_80": 46, "AES_CM_128_HMAC_SHA1_80": 30}
CRYPTO = [Crypto(name, bytes([length]) * length) for name, length in SUITES.items()]
ICE = IceParameters("ours", "o" * 22, (Candidate("1", 1, "udp", 1, "192.0.2.1", 4000, "host"),), True)
VP8 = Codec("VP8", 90000, feedback=("nack pli",))

AUDIO = LocalStream("audio", 4000, "192.0.2.1", [OPUS, G722, PCMU], crypto=CRYPTO, fingerprints=[PRINT], ice=ICE)
AUDIO = replace(AUDIO, rtcp_mux=True, tls_id="t")
PLAIN = LocalStream("audio", 4000, "192.0.2.1", [PCMU], dtmf=False)
VIDEO = LocalStream("video", 4002, "192.0.2.1", [VP8], fingerprints=[PRINT], ice=ICE, rtcp_mux=True)


def described(*lines: str) -> SessionDescription:
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
    return parse("\n".join([*head, *lines]).encode())


def names(stream: Agreed) -> list[str]:
    return [f"{codec.payload_type} {codec.name}" for codec in stream.codecs]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_answered_with_as_many_streams_as_it_has(name: str) -> None:
    offered = parse(SAMPLES[name])
    description, streams = answer(offered, [AUDIO], ORIGIN)
    assert parse(description.encode()) == description
    assert [media.kind for media in description.media] == [media.kind for media in offered.media]
    assert [media.protocol for media in description.media] == [media.protocol for media in offered.media]
    assert description.times == offered.times
    assert [stream.active for stream in streams] == [True, *[False] * (len(offered.media) - 1)]
    assert streams[0].direction == "sendrecv" and not streams[0].hold


def test_baresip() -> None:
    description, (stream,) = answer(parse(BARESIP), [AUDIO], ORIGIN)
    assert description.media[0].lines() == [
        "m=audio 4000 RTP/AVP 96 9 0 101",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=sendrecv",
    ]
    assert names(stream) == ["96 opus", "9 G722", "0 PCMU"]
    assert stream.codecs[0].fmtp == "stereo=1;sprop-stereo=1"
    assert (stream.remote_address, stream.remote_port, stream.remote_rtcp) == (
        "192.0.2.20",
        22334,
        ("192.0.2.20", 22335),
    )
    assert (stream.ptime, dict(stream.dtmf), stream.protection) == (20, {8000: 101}, "none")
    assert stream.bandwidths == (Bandwidth("AS", 125),)
    assert (stream.ice, stream.rtcp_mux) == (None, False)


def test_baresip_with_sdes() -> None:
    description, (stream,) = answer(parse(BARESIP_SDES), [AUDIO], ORIGIN)
    # Its first line is of a suite that we do not list: the second is taken, with its tag.
    assert [line for line in description.media[0].lines() if "crypto" in line] == [
        f"a=crypto:2 AES_CM_128_HMAC_SHA1_80 {str(CRYPTO[2]).split()[-1]}"
    ]
    assert stream.protection == "sdes" and stream.crypto is not None
    assert (stream.crypto.suite, stream.crypto.local_key) == ("AES_CM_128_HMAC_SHA1_80", CRYPTO[2].key)
    assert stream.crypto.remote_key == b"aBCdefghiJKLmoPQrsTuVwyz123456"
    assert not description.media[0].has("fingerprint")


def test_baresip_with_dtls() -> None:
    description, (stream,) = answer(parse(BARESIP_DTLS), [AUDIO], ORIGIN)
    media = description.media[0]
    assert (media.value("setup"), media.value("fingerprint")) == ("active", str(PRINT))
    # No tls-id is written to who has none (RFC 8842 5.3).
    assert (media.has("crypto"), media.has("tls-id"), media.has("rtcp-mux")) == (False, False, True)
    assert (stream.protection, stream.dtls_role, stream.rtcp_mux) == ("dtls", "active", True)
    assert stream.remote_rtcp == ("192.0.2.20", 22334)
    assert stream.fingerprint is not None and stream.fingerprint.value.startswith("4A:AD:B9:B1:")


def test_linphone_with_keys_that_leave_the_choice() -> None:
    """RFC 8643: RTP/AVPF with crypto lines."""
    description, (stream, video) = answer(parse(LINPHONE), [AUDIO], ORIGIN)
    assert description.media[0].protocol == "RTP/AVPF"
    assert description.media[0].values("crypto") == [str(CRYPTO[2].tagged(1))]
    assert (stream.protection, stream.ice is not None, stream.ice_controlling) == ("sdes", True, False)
    assert names(stream) == ["96 opus", "0 PCMU"]
    assert dict(stream.dtmf) == {48000: 101, 8000: 100}
    assert (description.has("ice-lite"), description.media[0].value("ice-ufrag")) == (True, "ours")
    assert description.media[1].lines() == ["m=video 0 RTP/AVPF 102"]
    assert (video.active, video.problem) == (False, "")
    plain, (stream, _) = answer(parse(LINPHONE), [AUDIO], ORIGIN, Policy("none"))
    assert (stream.protection, plain.media[0].has("crypto")) == ("none", False)
    better, (stream, _) = answer(parse(LINPHONE), [AUDIO], ORIGIN, Policy("require", ("sdes",), own_order=True))
    # The name of the suite as it was offered, and the registered one for who makes keys of it.
    assert (better.media[0].value("crypto") or "").startswith("2 AES_CM_256_HMAC_SHA1_80 ")
    assert stream.crypto is not None and stream.crypto.suite == "AES_256_CM_HMAC_SHA1_80"


def test_chromium_audio_only() -> None:
    stream = replace(AUDIO, bundle=True)
    description, (agreed, video, data) = answer(parse(CHROMIUM), [stream], ORIGIN)
    assert description.value("group") == "BUNDLE 0"
    assert [media.value("mid") for media in description.media] == ["0", "1", "2"]
    assert [media.port for media in description.media] == [4000, 0, 0]
    assert description.media[0].formats == ["111", "9", "0", "110", "126"]
    assert (agreed.protection, agreed.dtls_role, agreed.rtcp_mux, agreed.mid) == ("dtls", "active", True, "0")
    # c=0.0.0.0 with ICE is no hold.
    assert (agreed.hold, agreed.direction) == (False, "sendrecv")
    assert agreed.ice is not None and (agreed.ice.ufrag, agreed.ice.options) == ("4Zcd", ("trickle",))
    assert not agreed.ice_controlling
    assert (video.active, data.active) == (False, False)
    assert not description.media[0].has("ice-mismatch")


def test_chromium_with_all_its_streams_in_one_bundle() -> None:
    extensions = [
        Attribute("extmap", "7 urn:ietf:params:rtp-hdrext:sdes:mid"),
        Attribute("extmap", "8 urn:never-offered"),
        Attribute("extmap", "broken"),
    ]
    data = LocalStream(
        *("application", 4000, "192.0.2.1"),
        protocol="UDP/DTLS/SCTP",
        formats=["webrtc-datachannel"],
        fingerprints=[PRINT],
        ice=ICE,
        bundle=True,
        attributes=[Attribute("sctp-port", "5000")],
    )
    local = [replace(AUDIO, bundle=True), replace(VIDEO, bundle=True, attributes=extensions), data]
    description, streams = answer(parse(CHROMIUM), local, ORIGIN)
    assert description.value("group") == "BUNDLE 0 1 2"
    # All on the port of the first: browsers read a port of zero as a refusal.
    assert [media.port for media in description.media] == [4000, 4000, 4000]
    assert [stream.bundled_with for stream in streams] == [None, 0, 0]
    assert [stream.protection for stream in streams] == ["dtls", "dtls", "none"]
    assert [stream.dtls_role for stream in streams] == ["active", "active", "active"]
    assert streams[2].formats == ("webrtc-datachannel",)
    assert description.media[2].value("sctp-port") == "5000"
    assert description.media[1].values("extmap") == ["4 urn:ietf:params:rtp-hdrext:sdes:mid"]
    assert description.media[1].values("rtcp-fb") == ["96 nack pli"]


def test_jssip_in_a_browser_that_hides_its_addresses() -> None:
    description, (stream,) = answer(parse(JSSIP), [replace(AUDIO, bundle=True)], ORIGIN)
    assert (stream.protection, stream.remote_address, stream.remote_rtcp) == (
        *("dtls", "198.51.100.7", ("198.51.100.7", 54077)),
    )
    assert stream.ice is not None and stream.ice.end_of_candidates
    assert description.media[0].formats == ["109", "9", "0", "101"]


def test_an_old_phone() -> None:
    description, (stream,) = answer(parse(OLD_PHONE), [AUDIO], ORIGIN)
    assert description.media[0].formats == ["0", "101"]
    assert stream.remote_rtcp == ("192.0.2.40", 2223)


DIRECTIONS = ["sendrecv", "sendonly", "recvonly", "inactive"]
# The answer for an offer of each direction (rows) by one who wants each direction (columns): RFC 3264 6.1.
ANSWERED = {
    "sendrecv": ["sendrecv", "sendonly", "recvonly", "inactive"],
    "sendonly": ["recvonly", "inactive", "recvonly", "inactive"],
    "recvonly": ["sendonly", "sendonly", "inactive", "inactive"],
    "inactive": ["inactive", "inactive", "inactive", "inactive"],
}


@pytest.mark.parametrize("offered", DIRECTIONS)
@pytest.mark.parametrize("wanted", DIRECTIONS)
def test_directions(offered: str, wanted: str) -> None:
    local = [replace(PLAIN, direction=wanted)]  # type: ignore[arg-type]
    description, (stream,) = answer(described("m=audio 5000 RTP/AVP 0", f"a={offered}"), local, ORIGIN)
    expected = ANSWERED[offered][DIRECTIONS.index(wanted)]
    assert views(description)[0].direction == stream.direction == expected
    assert stream.hold is (offered in ("sendonly", "inactive"))


@pytest.mark.parametrize("offered", DIRECTIONS)
def test_the_old_way_to_hold(offered: str) -> None:
    """RFC 6337 5.4: the answer goes by the direction; nothing is sent in any case."""
    description, (stream,) = answer(
        described("m=audio 5000 RTP/AVP 0", "c=IN IP4 0.0.0.0", f"a={offered}"), [PLAIN], ORIGIN
    )
    assert views(description)[0].direction == ANSWERED[offered][0]
    assert stream.direction == ("recvonly" if offered in ("sendrecv", "sendonly") else "inactive")
    assert stream.hold


KEYS_1 = str(Crypto("AES_CM_128_HMAC_SHA1_80", b"theirs" * 5, 1))
KEYS_2 = str(Crypto("AEAD_AES_128_GCM", b"their" * 5 + b"key", 2))
DTLS = (f"a=fingerprint:{PRINT}", "a=setup:actpass")


@pytest.mark.parametrize(
    ("protocol", "lines", "policy", "expected"),
    [
        ("RTP/AVP", (), Policy("none"), "none"),
        ("RTP/AVP", (), Policy("offer"), "none"),
        ("RTP/AVP", (), Policy("require"), 302),
        ("RTP/AVP", (f"a=crypto:{KEYS_1}",), Policy("none"), "none"),
        ("RTP/AVP", (f"a=crypto:{KEYS_1}",), Policy("offer"), "sdes"),
        ("RTP/AVP", (f"a=crypto:{KEYS_1}",), Policy("offer", ("dtls",)), "none"),
        ("RTP/AVP", (f"a=crypto:{KEYS_1}",), Policy("require"), "sdes"),
        ("RTP/AVP", (f"a=crypto:{KEYS_1}",), Policy("require", ("dtls",)), 302),
        ("RTP/AVP", (f"a=crypto:{KEYS_1}", *DTLS), Policy("offer"), "dtls"),
        ("RTP/AVP", (f"a=crypto:{KEYS_1}", *DTLS), Policy("offer", ("sdes", "dtls")), "sdes"),
        ("RTP/AVP", ("a=crypto:1 unknown inline:x",), Policy("offer"), "none"),
        ("RTP/SAVP", (f"a=crypto:{KEYS_1}",), Policy("none"), 302),
        ("RTP/SAVP", (f"a=crypto:{KEYS_1}",), Policy("offer"), "sdes"),
        ("RTP/SAVP", (f"a=crypto:{KEYS_1}", f"a=crypto:{KEYS_2}"), Policy("require", ("sdes",)), "sdes"),
        ("RTP/SAVP", (f"a=crypto:{KEYS_1}",), Policy("offer", ("dtls",)), 302),
        ("RTP/SAVP", (), Policy("offer"), 302),
        ("RTP/SAVP", ("a=crypto:1 unknown inline:x",), Policy("offer"), 302),
        ("RTP/SAVP", (f"a=crypto:{KEYS_1} UNENCRYPTED_SRTP",), Policy("offer"), 302),
        ("RTP/SAVP", (f"a=crypto:{KEYS_1}|2^20|1:4",), Policy("offer"), 302),
        ("RTP/SAVP", (f"a=crypto:{KEYS_1}|2^20|1:4",), Policy("offer", mki=True), "sdes"),
        ("RTP/SAVPF", DTLS, Policy("offer"), "dtls"),
        ("UDP/TLS/RTP/SAVP", DTLS, Policy("offer"), "dtls"),
        ("UDP/TLS/RTP/SAVP", DTLS, Policy("none"), 302),
        ("UDP/TLS/RTP/SAVP", DTLS, Policy("require", ("sdes",)), 302),
        ("UDP/TLS/RTP/SAVP", (f"a=crypto:{KEYS_1}",), Policy("offer"), 302),
        ("UDP/TLS/RTP/SAVP", (f"a=crypto:{KEYS_1}", *DTLS), Policy("offer", ("sdes", "dtls")), "dtls"),
        ("UDP/TLS/RTP/SAVP", ("a=fingerprint:md5 00", "a=setup:actpass"), Policy("offer"), 302),
        ("TCP/RTP/AVP", (), Policy("none"), 302),
    ],
)
def test_encryption(protocol: str, lines: tuple[str, ...], policy: Policy, expected: str | int) -> None:
    offered = described(f"m=audio 5000 {protocol} 0", *lines)
    if isinstance(expected, int):
        with pytest.raises(SdpError) as raised:
            answer(offered, [AUDIO], ORIGIN, policy)
        assert (raised.value.status, raised.value.code) == (488, expected)
        return
    description, (stream,) = answer(offered, [AUDIO], ORIGIN, policy)
    assert stream.protection == expected
    media = description.media[0]
    assert (media.has("crypto"), media.has("fingerprint")) == (expected == "sdes", expected == "dtls")
    assert media.protocol == protocol


def test_suites_in_the_order_of_the_offer_or_in_ours() -> None:
    offered = described("m=audio 5000 RTP/SAVP 0", f"a=crypto:{KEYS_1}", f"a=crypto:{KEYS_2}")
    for policy, suite, tag in ((Policy(), CRYPTO[2], 1), (Policy(own_order=True), CRYPTO[0], 2)):
        description, (stream,) = answer(offered, [AUDIO], ORIGIN, policy)
        assert description.media[0].values("crypto") == [str(suite.tagged(tag))]
        assert stream.crypto is not None
        assert (stream.crypto.suite, stream.crypto.local_key) == (suite.suite, suite.key)
        assert stream.crypto.remote_key[:5] == b"their"


def test_their_own_key_is_never_given_back() -> None:
    mine = replace(AUDIO, crypto=[Crypto("AES_CM_128_HMAC_SHA1_80", b"theirs" * 5)])
    with pytest.raises(SdpError):
        answer(described("m=audio 5000 RTP/SAVP 0", f"a=crypto:{KEYS_1}"), [mine], ORIGIN)


@pytest.mark.parametrize(
    ("offered", "ours", "expected"),
    [
        ("a=setup:actpass", "actpass", "active"),
        ("a=setup:actpass", "passive", "passive"),
        ("a=setup:actpass", "active", "active"),
        ("a=setup:active", "active", "passive"),
        ("a=setup:passive", "passive", "active"),
        ("a=setup:holdconn", "actpass", "holdconn"),
        ("a=setup:nonsense", "actpass", "passive"),
        ("a=x", "actpass", "passive"),
    ],
)
def test_who_begins_the_handshake(offered: str, ours: str, expected: str) -> None:
    stream = replace(AUDIO, setup=ours)  # type: ignore[arg-type]
    offer = described("m=audio 5000 UDP/TLS/RTP/SAVP 0", f"a=fingerprint:{PRINT}", offered, "a=tls-id:theirs")
    description, (agreed,) = answer(offer, [stream], ORIGIN)
    assert description.media[0].value("setup") == agreed.dtls_role == expected
    assert (description.media[0].value("tls-id"), agreed.tls_id) == ("t", "theirs")
    assert agreed.direction == ("inactive" if expected == "holdconn" else "sendrecv")


THEIR_ICE = ("a=ice-ufrag:them", "a=ice-pwd:tttttttttttttttttttttt")


@pytest.mark.parametrize(
    ("lines", "ours", "used", "mismatch"),
    [
        ((), ICE, False, False),
        (THEIR_ICE, None, False, False),
        (THEIR_ICE, ICE, True, False),
        ((*THEIR_ICE, "a=candidate:1 1 udp 1 192.0.2.9 5000 typ host"), ICE, True, False),
        ((*THEIR_ICE, "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host"), ICE, False, True),
        ((*THEIR_ICE, "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host"), None, False, False),
    ],
)
def test_ice(lines: tuple[str, ...], ours: IceParameters | None, used: bool, mismatch: bool) -> None:
    description, (stream,) = answer(described("m=audio 5000 RTP/AVP 0", *lines), [replace(PLAIN, ice=ours)], ORIGIN)
    media = description.media[0]
    assert (stream.ice is not None, media.has("ice-ufrag"), media.has("candidate")) == (used, used, used)
    assert (media.has("ice-mismatch"), description.has("ice-lite")) == (mismatch, used)


@pytest.mark.parametrize(
    ("lines", "local", "policy", "code", "text"),
    [
        (["m=video 5000 RTP/AVP 31"], [PLAIN], Policy(), 304, "there is no video here"),
        (["m=audio 5000 RTP/AVP 8"], [PLAIN], Policy(), 305, "no audio format of the offer is available"),
        (["m=audio 5000 RTP/AVP"], [PLAIN], Policy(), 305, "no audio format of the offer is available"),
        (["m=audio 5000 TCP/MSRP *"], [PLAIN], Policy(), 302, "audio over TCP/MSRP is not available"),
        (
            ["m=message 5000 TCP/MSRP *"],
            [LocalStream("message", 4, "192.0.2.1", protocol="TCP/TLS/MSRP", formats=["*"])],
            *(Policy(), 302, "message over TCP/MSRP is not available"),
        ),
        (
            ["m=audio 5000 RTP/AVP 0"],
            [LocalStream("audio", 4, "192.0.2.1", protocol="TCP/X", formats=["*"])],
            *(Policy(), 302, "audio over RTP/AVP is not available"),
        ),
        (
            ["m=image 5000 udptl t38"],
            [LocalStream("image", 4, "192.0.2.1", protocol="udptl", formats=["x"])],
            *(Policy(), 305, "no image format of the offer is available"),
        ),
        (["m=audio 5000 RTP/AVP 0", "c=IN IP4 224.2.1.1/127"], [PLAIN], Policy(), 330, "the audio stream is multicast"),
        (["m=audio 5000 RTP/AVP 0"], [AUDIO], Policy("require"), 302, "audio is available only encrypted"),
        (["m=audio 5000 RTP/AVP 0"], [replace(PLAIN, port=0)], Policy(), 304, "there is no audio here"),
        (["m=video 5000 RTP/AVP 31", "m=audio 5000 RTP/AVP 8"], [PLAIN], Policy(), 304, "there is no video here"),
    ],
)
def test_nothing_fits(lines: list[str], local: list[LocalStream], policy: Policy, code: int, text: str) -> None:
    with pytest.raises(SdpError) as raised:
        answer(described(*lines), local, ORIGIN, policy)
    assert (raised.value.status, raised.value.code, raised.value.reason) == (488, code, text)
    assert raised.value.warning == f'{code} ringback "{text}"'


def test_an_offer_that_wants_nothing_is_answered() -> None:
    description, streams = answer(described("m=audio 0 RTP/AVP 0", "m=video 0 RTP/AVP 31"), [PLAIN], ORIGIN)
    assert [media.port for media in description.media] == [0, 0]
    assert [stream.active for stream in streams] == [False, False]


def test_streams_stay_in_their_places() -> None:
    two = [replace(PLAIN, port=port) for port in (4000, 4002)]
    offered = described("m=audio 0 RTP/AVP 0", "m=audio 5002 RTP/AVP 0")
    description, streams = answer(offered, two, ORIGIN)
    assert [media.port for media in description.media] == [0, 4002]
    assert [stream.local_index for stream in streams] == [-1, 1]


def test_streams_are_found_wherever_they_are() -> None:
    offered = described("m=video 5000 RTP/AVP 96", "a=rtpmap:96 VP8/90000", "m=audio 5002 RTP/AVP 0")
    description, streams = answer(offered, [PLAIN, replace(VIDEO, fingerprints=(), ice=None)], ORIGIN)
    assert [media.port for media in description.media] == [4002, 4000]
    assert [stream.local_index for stream in streams] == [1, 0]
    # Where the stream in its own place does not fit, another one of its kind does.
    two = [replace(PLAIN, port=4000, codecs=[Codec("PCMA", 8000)]), replace(PLAIN, port=4002)]
    _, streams = answer(described("m=audio 5000 RTP/AVP 0", "m=audio 5002 RTP/AVP 8"), two, ORIGIN)
    assert [stream.local_index for stream in streams] == [1, 0]


def test_what_is_not_rtp_is_carried() -> None:
    path = [Attribute("path", "msrps://192.0.2.1:2855/a;tcp"), Attribute("accept-types", "text/plain")]
    messages = LocalStream(
        *("message", 2855, "192.0.2.1"),
        protocol="TCP/TLS/MSRP",
        formats=["*"],
        fingerprints=[PRINT],
        attributes=path,
    )
    board = LocalStream("application", 6000, "192.0.2.1", protocol="TCP/WB", formats=["shapes", "text"])
    offered = described(
        *("m=application 5000 TCP/WB colours text shapes", "a=setup:passive"),
        *("m=message 7394 TCP/TLS/MSRP *", "a=path:msrps://192.0.2.9:7394/b;tcp", f"a=fingerprint:{PRINT}"),
        *("m=image 0 udptl t38", "m=application 5002 UDP/BFCP *"),
    )
    description, streams = answer(offered, [messages, board], ORIGIN)
    assert [media.lines() for media in description.media] == [
        ["m=application 6000 TCP/WB text shapes", "a=setup:active"],
        [
            "m=message 2855 TCP/TLS/MSRP *",
            "a=setup:passive",
            f"a=fingerprint:{PRINT}",
            *(f"a={attribute}" for attribute in path),
        ],
        ["m=image 0 udptl t38"],
        ["m=application 0 UDP/BFCP *"],
    ]
    assert [stream.formats for stream in streams] == [("text", "shapes"), ("*",), (), ()]
    assert [stream.dtls_role for stream in streams] == ["active", "passive", "", ""]
    assert streams[1].remote is not None and streams[1].remote.value("path") == "msrps://192.0.2.9:7394/b;tcp"


def test_a_stream_whose_formats_are_left_open_takes_what_comes() -> None:
    anything = LocalStream("application", 6000, "192.0.2.1", protocol="tcp/wb")
    description, (stream,) = answer(described("m=application 5000 TCP/WB a b"), [anything], ORIGIN)
    assert description.media[0].formats == ["a", "b"] and stream.formats == ("a", "b")


BUNDLE = [
    *("a=group:BUNDLE a v", "m=audio 5000 RTP/AVP 0", "a=mid:a", "a=rtcp-mux"),
    *("m=video 0 RTP/AVP 96", "a=rtpmap:96 VP8/90000", "a=mid:v", "a=bundle-only", "a=rtcp-mux"),
]
BUNDLED = [replace(PLAIN, bundle=True, rtcp_mux=True), replace(VIDEO, bundle=True, fingerprints=(), ice=None)]


def test_a_bundle_only_stream_needs_its_bundle() -> None:
    description, streams = answer(described(*BUNDLE), BUNDLED, ORIGIN)
    assert description.value("group") == "BUNDLE a v"
    assert [media.port for media in description.media] == [4000, 4000]
    assert (streams[1].bundled_with, streams[1].remote_port) == (0, 5000)
    for local, group in (
        ([BUNDLED[0], replace(BUNDLED[1], bundle=False)], "BUNDLE a"),
        ([replace(BUNDLED[0], bundle=False), BUNDLED[1]], None),
        ([replace(BUNDLED[0], rtcp_mux=False), BUNDLED[1]], None),
    ):
        description, streams = answer(described(*BUNDLE), local, ORIGIN)
        assert [media.port for media in description.media] == [4000, 0]
        assert description.value("group") == group
    with pytest.raises(SdpError):
        answer(described(*BUNDLE), BUNDLED[1:], ORIGIN)


def test_the_next_stream_of_a_bundle_is_tagged_when_the_first_is_refused() -> None:
    offered = described(*[line.replace("video 0", "video 5002") for line in BUNDLE if line != "a=bundle-only"])
    description, streams = answer(offered, BUNDLED[1:], ORIGIN)
    assert description.value("group") == "BUNDLE v"
    assert [media.port for media in description.media] == [0, 4002]
    assert streams[1].bundled_with is None
    description, streams = answer(offered, BUNDLED, ORIGIN)
    assert [media.port for media in description.media] == [4000, 4000]


def test_a_stream_outside_of_the_bundle_has_its_own_transport() -> None:
    offered = described(*[line.replace("video 0", "video 5002") for line in BUNDLE if line != "a=bundle-only"])
    description, streams = answer(offered, [BUNDLED[0], replace(BUNDLED[1], bundle=False)], ORIGIN)
    assert description.value("group") == "BUNDLE a"
    assert [media.port for media in description.media] == [4000, 4002]
    assert [stream.remote_port for stream in streams] == [5000, 5002]
    assert [stream.bundled_with for stream in streams] == [None, None]


def test_dangerous_packet_times_end_the_offer() -> None:
    offered = described("m=audio 5000 RTP/AVP 0")
    offered.media[0].add("ptime", 100_000)
    with pytest.raises(SdpError):
        answer(offered, [PLAIN], ORIGIN)


def test_the_version_follows_on_what_was_sent_before() -> None:
    offered = described("m=audio 5000 RTP/AVP 0")
    first, _ = answer(offered, [PLAIN], ORIGIN)
    again, _ = answer(offered, [PLAIN], ORIGIN, previous=first)
    assert again == first
    held, _ = answer(offered, [replace(PLAIN, direction="sendonly")], ORIGIN, previous=first)
    assert held.origin == ORIGIN.with_version(2)
