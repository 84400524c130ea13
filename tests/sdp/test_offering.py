from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.errors import LocalError
from ringback.sdp.description import Attribute, MediaDescription, Origin, SessionDescription, parse
from ringback.sdp.formats import Codec
from ringback.sdp.ice import Candidate, IceParameters
from ringback.sdp.offering import all_codecs, capabilities, free_slot, offer
from ringback.sdp.payload_types import PayloadTypes
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import LocalStream, Policy
from ringback.sdp.view import views

ORIGIN = Origin.of(1, "192.0.2.1")
PCMU, G722 = Codec("PCMU", 8000), Codec("G722", 8000)
OPUS = Codec("opus", 48000, 2)
PRINT = Fingerprint("sha-1", "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB")
CRYPTO = [Crypto("AEAD_AES_128_GCM", bytes(28)), Crypto("AES_CM_128_HMAC_SHA1_80", bytes(30))]
ICE = IceParameters("ufrag", "p" * 22, (Candidate("1", 1, "udp", 1, "192.0.2.1", 4000, "host"),))

AUDIO = LocalStream("audio", 4000, "192.0.2.1", [OPUS, PCMU])
KEYED = replace(AUDIO, crypto=CRYPTO, fingerprints=[PRINT])
VIDEO = LocalStream("video", 5000, "192.0.2.1", [Codec("VP8", 90000)])


def lines(description: SessionDescription, index: int = 0) -> list[str]:
    return description.media[index].lines()


def test_a_whole_offer() -> None:
    stream = replace(AUDIO, ptime=20, direction="sendonly", rtcp_mux=True, ice=ICE, mid="a")
    assert offer([stream], ORIGIN, policy=Policy("none")).encode().decode().split("\r\n") == [
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 96 0 97 101",
        "a=mid:a",
        "a=rtpmap:96 opus/48000/2",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:97 telephone-event/48000",
        "a=fmtp:97 0-16",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendonly",
        "a=rtcp-mux",
        "a=ice-options:ice2",
        "a=ice-ufrag:ufrag",
        "a=ice-pwd:pppppppppppppppppppppp",
        "a=candidate:1 1 udp 1 192.0.2.1 4000 typ host",
        "",
    ]


def test_events_are_added_for_each_clock() -> None:
    assert [codec.rtpmap for codec in all_codecs(replace(AUDIO, codecs=[OPUS, PCMU, G722, Codec("CN", 16000)]))] == [
        *("opus/48000/2", "PCMU/8000", "G722/8000", "CN/16000"),
        *("telephone-event/48000", "telephone-event/8000"),
    ]
    own = [PCMU, Codec("telephone-event", 8000)]
    assert all_codecs(replace(AUDIO, codecs=own)) == own
    assert all_codecs(replace(AUDIO, dtmf=False)) == [OPUS, PCMU]
    assert all_codecs(VIDEO) == [Codec("VP8", 90000)]


@pytest.mark.parametrize(
    ("policy", "stream", "protocol", "keys"),
    [
        (Policy("none"), KEYED, "RTP/AVP", ""),
        (Policy("offer"), AUDIO, "RTP/AVP", ""),
        (Policy("offer"), KEYED, "RTP/AVP", "sdes dtls"),
        (Policy("offer", ("sdes",)), KEYED, "RTP/AVP", "sdes"),
        (Policy("offer", ("dtls",)), KEYED, "RTP/AVP", "dtls"),
        (Policy("offer"), replace(KEYED, feedback=True), "RTP/AVPF", "sdes dtls"),
        (Policy("require"), KEYED, "UDP/TLS/RTP/SAVP", "dtls"),
        (Policy("require", ("dtls", "sdes")), replace(KEYED, fingerprints=()), "RTP/SAVP", "sdes"),
        (Policy("require", ("sdes", "dtls")), KEYED, "RTP/SAVP", "sdes"),
        (Policy("require", ("sdes", "dtls")), replace(KEYED, feedback=True), "RTP/SAVPF", "sdes"),
        (Policy("require", ("dtls",)), replace(KEYED, feedback=True), "UDP/TLS/RTP/SAVPF", "dtls"),
        (Policy("offer"), replace(KEYED, protocol="UDP/TLS/RTP/SAVPF"), "UDP/TLS/RTP/SAVPF", "dtls"),
        (Policy("offer"), replace(KEYED, protocol="RTP/SAVP"), "RTP/SAVP", "sdes"),
        (Policy("offer"), replace(KEYED, protocol="RTP/SAVPF", crypto=()), "RTP/SAVPF", "dtls"),
    ],
)
def test_the_profile_says_what_the_policy_asks(policy: Policy, stream: LocalStream, protocol: str, keys: str) -> None:
    description = offer([stream], ORIGIN, policy=policy)
    media = description.media[0]
    assert media.protocol == protocol
    found = [name for name, attribute in (("sdes", "crypto"), ("dtls", "fingerprint")) if media.has(attribute)]
    assert " ".join(found) == keys
    assert media.value("setup") == ("actpass" if "dtls" in keys else None)
    assert [crypto.tag for crypto in views(description)[0].cryptos] == ([1, 2] if "sdes" in keys else [])


@pytest.mark.parametrize("stream", [AUDIO, replace(KEYED, fingerprints=()), replace(KEYED, crypto=())])
def test_required_encryption_without_keys_is_our_own_mistake(stream: LocalStream) -> None:
    keying = ("dtls",) if not stream.fingerprints else ("sdes",)
    with pytest.raises(LocalError):
        offer([stream], ORIGIN, policy=Policy("require", keying))  # type: ignore[arg-type]


def test_an_offer_without_codecs_or_formats_is_our_own_mistake() -> None:
    with pytest.raises(LocalError):
        offer([replace(AUDIO, codecs=())], ORIGIN)
    with pytest.raises(LocalError):
        offer([LocalStream("message", 2855, "192.0.2.1", protocol="TCP/MSRP")], ORIGIN)


def test_the_same_streams_make_the_same_offer() -> None:
    first = offer([AUDIO, VIDEO], ORIGIN)
    assert offer([AUDIO, VIDEO], Origin.of(99, "192.0.2.1"), first) == first
    held = offer([replace(AUDIO, direction="sendonly"), VIDEO], ORIGIN, first)
    assert (held.origin.session_id, held.origin.version) == (1, 2)
    assert offer([AUDIO, VIDEO], ORIGIN, held).origin.version == 3


def test_streams_are_removed_and_their_places_used_again() -> None:
    first = offer([AUDIO, VIDEO], ORIGIN)
    assert free_slot(first) == 2
    removed = offer([AUDIO], ORIGIN, first)
    assert lines(removed, 1) == ["m=video 0 RTP/AVP 98"]
    assert free_slot(removed) == 1
    text = LocalStream("text", 6000, "192.0.2.1", [Codec("t140", 1000)])
    again = offer([AUDIO, text], ORIGIN, removed)
    assert [media.kind for media in again.media] == ["audio", "text"]
    # 98 was that of VP8 in this session.
    assert offer([AUDIO, text], ORIGIN, first).media[1].formats == ["99"]
    middle = offer([replace(AUDIO, port=0), VIDEO], ORIGIN, first)
    assert [media.port for media in middle.media] == [0, 5000]
    assert middle.media[0].formats == ["96"] and free_slot(middle) == 0


def test_payload_types_stay_for_the_whole_session() -> None:
    types = PayloadTypes()
    speex = Codec("speex", 16000)
    first = offer([replace(AUDIO, codecs=[OPUS, speex])], ORIGIN, payload_types=types)
    second = offer([replace(AUDIO, codecs=[PCMU])], ORIGIN, first, payload_types=types)
    third = offer([replace(AUDIO, codecs=[Codec("iLBC", 8000), speex])], ORIGIN, second, payload_types=types)
    fourth = offer([replace(AUDIO, codecs=[OPUS])], ORIGIN, third, payload_types=types)
    assert [description.media[0].formats for description in (first, second, third, fourth)] == [
        ["96", "97", "98", "99"],
        ["0", "101"],
        ["100", "97", "101", "99"],
        ["96", "98"],
    ]


def test_numbers_that_were_in_a_description_from_outside_are_kept() -> None:
    body = b"v=0\no=- 1 9 IN IP4 192.0.2.1\ns=-\nt=0 0\nm=audio 4000 RTP/AVP 111 96\n"
    previous = parse(body + b"a=rtpmap:111 opus/48000/2\na=rtpmap:96 telephone-event/8000\n")
    found = offer([AUDIO], ORIGIN, previous)
    assert found.media[0].formats == ["111", "0", "97", "96"]
    assert found.origin.version == 10


def test_bundles() -> None:
    streams = [replace(AUDIO, bundle=True, rtcp_mux=True), VIDEO, replace(VIDEO, bundle=True, rtcp_mux=True)]
    description = offer(streams, ORIGIN)
    assert description.value("group") == "BUNDLE 0 2"
    assert [media.value("mid") for media in description.media] == ["0", None, "2"]
    named = offer([replace(AUDIO, bundle=True, mid="sound"), streams[2]], ORIGIN)
    assert named.value("group") == "BUNDLE sound 1"
    clash = offer([replace(AUDIO, bundle=True, mid="1"), streams[2]], ORIGIN)
    assert clash.value("group") == "BUNDLE 1 3"
    # A tag stays with its place; what is removed leaves the group.
    assert offer([replace(AUDIO, bundle=True), streams[2]], ORIGIN, named).value("group") == "BUNDLE sound 1"
    gone = offer([replace(streams[0], port=0), streams[2]], ORIGIN, named)
    assert gone.value("group") == "BUNDLE 1"
    assert offer([AUDIO], ORIGIN).value("group") is None


def test_lite_agents_say_so_for_the_whole_session() -> None:
    lite = replace(AUDIO, ice=replace(ICE, lite=True))
    assert offer([lite], ORIGIN).has("ice-lite")
    assert not offer([replace(AUDIO, ice=ICE)], ORIGIN).has("ice-lite")
    assert not offer([replace(lite, port=0)], ORIGIN).has("ice-lite")


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (
            LocalStream(
                *("message", 2855, "192.0.2.1"),
                protocol="TCP/TLS/MSRP",
                formats=["*"],
                fingerprints=[PRINT],
                attributes=[Attribute("accept-types", "text/plain"), Attribute("path", "msrps://a:2855/x;tcp")],
            ),
            [
                "m=message 2855 TCP/TLS/MSRP *",
                "a=setup:actpass",
                f"a=fingerprint:{PRINT}",
                "a=accept-types:text/plain",
                "a=path:msrps://a:2855/x;tcp",
            ],
        ),
        (
            LocalStream("message", 9, "192.0.2.1", protocol="TCP/MSRP", formats=["*"], setup="active"),
            ["m=message 9 TCP/MSRP *", "a=setup:active"],
        ),
        (
            LocalStream(
                *("application", 9, "192.0.2.1"),
                protocol="UDP/DTLS/SCTP",
                formats=["webrtc-datachannel"],
                fingerprints=[PRINT],
                tls_id="t",
                attributes=[Attribute("sctp-port", "5000")],
            ),
            [
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
                "a=setup:actpass",
                f"a=fingerprint:{PRINT}",
                "a=tls-id:t",
                "a=sctp-port:5000",
            ],
        ),
        (
            LocalStream("image", 6000, "192.0.2.1", protocol="udptl", formats=["t38"]),
            ["m=image 6000 udptl t38"],
        ),
    ],
)
def test_streams_that_are_not_rtp_are_written_as_they_are(stream: LocalStream, expected: list[str]) -> None:
    assert lines(offer([stream], ORIGIN)) == expected


def test_real_time_text_is_rtp() -> None:
    text = LocalStream(
        *("text", 6000, "192.0.2.1"),
        [Codec("t140", 1000, 1, 98), Codec("red", 1000, 1, 100, {"98/98/98": ""})],
    )
    assert lines(offer([text], ORIGIN)) == [
        "m=text 6000 RTP/AVP 98 100",
        "a=rtpmap:98 t140/1000",
        "a=rtpmap:100 red/1000",
        "a=fmtp:100 98/98/98",
        "a=sendrecv",
    ]


def test_capabilities_have_no_ports_and_tell_no_secrets() -> None:
    """RFC 3264 section 9."""
    description = capabilities([replace(KEYED, ice=ICE, rtcp_port=4444), VIDEO], ORIGIN)
    assert [media.port for media in description.media] == [0, 0]
    assert description.times == [("t", "0 0")]
    names = {attribute.name for attribute in description.media[0].attributes}
    assert names == {"rtpmap", "fmtp", "sendrecv", "setup", "fingerprint", "ice-options"}
    assert description.media[1].lines()[1:] == ["a=rtpmap:98 VP8/90000", "a=sendrecv"]
    # Neither ports nor keys need to be there for it.
    bare = capabilities([replace(AUDIO, port=0)], ORIGIN, Policy("require", ("sdes",)))
    assert (bare.media[0].port, bare.media[0].protocol) == (0, "RTP/SAVP")
    assert capabilities([replace(AUDIO, feedback=True)], ORIGIN, Policy("require")).media[0].protocol == (
        "UDP/TLS/RTP/SAVPF"
    )


def test_a_removed_stream_needs_neither_codecs_nor_keys() -> None:
    gone = LocalStream("audio", 0, "")
    assert lines(offer([gone], ORIGIN, policy=Policy("require"))) == ["m=audio 0 RTP/AVP 0"]
    first = offer([KEYED], ORIGIN, policy=Policy("require"))
    assert lines(offer([gone], ORIGIN, first, Policy("require"))) == ["m=audio 0 UDP/TLS/RTP/SAVP 96"]


@pytest.mark.parametrize(
    ("before", "policy", "stream", "protocol"),
    [
        ("UDP/TLS/RTP/SAVPF", Policy("offer"), KEYED, "UDP/TLS/RTP/SAVPF"),
        ("UDP/TLS/RTP/SAVPF", Policy("offer", ("sdes",)), KEYED, "RTP/AVP"),
        ("UDP/TLS/RTP/SAVPF", Policy("none"), KEYED, "RTP/AVP"),
        ("RTP/SAVP", Policy("offer"), KEYED, "RTP/SAVP"),
        ("RTP/SAVP", Policy("require", ("dtls", "sdes")), KEYED, "RTP/SAVP"),
        ("RTP/SAVP", Policy("offer"), AUDIO, "RTP/AVP"),
        ("RTP/AVPF", Policy("offer"), KEYED, "RTP/AVPF"),
        ("RTP/AVPF", Policy("require"), KEYED, "UDP/TLS/RTP/SAVP"),
        ("RTP/AVPF", Policy("offer"), replace(KEYED, protocol="RTP/SAVP"), "RTP/SAVP"),
        ("TCP/MSRP", Policy("offer"), KEYED, "RTP/AVP"),
    ],
)
def test_a_later_offer_keeps_the_profile_that_the_other_side_may_have_chosen(
    before: str, policy: Policy, stream: LocalStream, protocol: str
) -> None:
    media = MediaDescription("audio", 4000, before, ["0"])
    assert offer([stream], ORIGIN, SessionDescription(ORIGIN, media=[media]), policy).media[0].protocol == protocol
    for other in (replace(media, port=0), replace(media, kind="video")):
        previous = SessionDescription(ORIGIN, media=[other])
        assert (
            offer([stream], ORIGIN, previous, policy).media[0].protocol
            == offer([stream], ORIGIN, policy=policy).media[0].protocol
        )
