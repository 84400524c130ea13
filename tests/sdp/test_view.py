from __future__ import annotations

import pytest

from ringback.sdp.description import SessionDescription, parse
from ringback.sdp.view import MediaView, bundles, is_dtls, is_rtp, is_secure, views
from tests.sdp.samples import BARESIP_DTLS, BARESIP_SDES, CHROMIUM, JSSIP, LINPHONE, OLD_PHONE

PRINT = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"
KEY = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"


def described(*lines: str) -> SessionDescription:
    return parse("\n".join(["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "t=0 0", *lines]).encode())


def one(*lines: str) -> MediaView:
    return views(described(*lines))[0]


def test_the_session_part_is_the_default() -> None:
    lines = ["c=IN IP4 192.0.2.5", "b=AS:64", "a=recvonly", f"a=fingerprint:{PRINT}", "a=setup:passive", "a=tls-id:abc"]
    first, second = views(
        described(
            *lines,
            "m=audio 4000 RTP/AVP 0",
            "m=audio 4002 RTP/AVP 0",
            "c=IN IP4 192.0.2.6",
            "b=AS:32",
            "a=sendonly",
            "a=setup:active",
            "a=tls-id:def",
        )
    )
    assert (first.address, first.direction, first.setup, first.tls_id) == ("192.0.2.5", "recvonly", "passive", "abc")
    assert (second.address, second.direction, second.setup, second.tls_id) == (
        *("192.0.2.6", "sendonly", "active", "def"),
    )
    assert [str(found.bandwidths[0]) for found in (first, second)] == ["AS:64", "AS:32"]
    assert [str(found) for found in first.fingerprints + second.fingerprints] == [PRINT, PRINT]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["m=audio 4000 RTP/AVP 0"], ("192.0.2.5", 4001)),
        (["m=audio 65535 RTP/AVP 0"], ("192.0.2.5", 65535)),
        (["m=audio 0 RTP/AVP 0"], ("192.0.2.5", 0)),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:53020"], ("192.0.2.5", 53020)),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:53020 IN IP4 192.0.2.9"], ("192.0.2.9", 53020)),
        (["m=audio 4000 RTP/AVP 0", "a=rtcp:0"], ("192.0.2.5", 4001)),
    ],
)
def test_where_rtcp_goes(lines: list[str], expected: tuple[str, int]) -> None:
    assert one("c=IN IP4 192.0.2.5", *lines).rtcp == expected


def test_no_address_means_that_nothing_may_be_sent() -> None:
    assert one("m=audio 4000 RTP/AVP 0").is_null
    assert one("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0").is_null
    assert not one("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0", "c=IN IP4 192.0.2.5").is_null
    # With ICE it says only that candidates decide.
    assert not views(parse(CHROMIUM))[0].is_null


def test_packet_times_are_no_longer_than_allowed() -> None:
    assert one("m=audio 4000 RTP/AVP 0", "a=ptime:60", "a=maxptime:40").ptime == 40
    assert one("m=audio 4000 RTP/AVP 0", "a=ptime:20", "a=maxptime:40").ptime == 20
    assert one("m=audio 4000 RTP/AVP 0", "a=maxptime:40").ptime == 0


def test_profiles() -> None:
    table = {
        "RTP/AVP": (True, False, False),
        "rtp/avpf": (True, False, False),
        "RTP/SAVP": (True, True, False),
        "RTP/SAVPF": (True, True, False),
        "UDP/TLS/RTP/SAVP": (True, True, True),
        "udp/tls/rtp/savpf": (True, True, True),
        "TCP/RTP/AVP": (True, False, False),
        "TCP/TLS/MSRP": (False, False, False),
        "UDP/DTLS/SCTP": (False, False, False),
        "udptl": (False, False, False),
    }
    for protocol, expected in table.items():
        assert (is_rtp(protocol), is_secure(protocol), is_dtls(protocol)) == expected, protocol
    assert one("m=message 2855 TCP/MSRP 0").codecs == []


def test_keys_are_read_where_they_mean_something() -> None:
    assert [crypto.tag for crypto in views(parse(BARESIP_SDES))[0].cryptos] == [1, 2]
    assert [crypto.suite for crypto in views(parse(LINPHONE))[0].cryptos] == [
        "AES_CM_128_HMAC_SHA1_80",
        "AES_CM_256_HMAC_SHA1_80",
    ]
    assert one("m=audio 4000 UDP/TLS/RTP/SAVP 0", f"a=crypto:{KEY}").cryptos == []
    assert one("m=audio 4000 RTP/SAVP 0", "a=crypto:x", f"a=crypto:{KEY}").cryptos[0].tag == 1
    dtls = views(parse(BARESIP_DTLS))[0]
    assert (dtls.fingerprints[0].algorithm, dtls.setup, dtls.rtcp_mux) == ("sha-256", "actpass", True)


def test_ice_of_real_peers() -> None:
    phone, browser = views(parse(LINPHONE))[0].ice, views(parse(JSSIP))[0].ice
    assert phone is not None and (phone.ufrag, len(phone.candidates)) == ("9b36a1c2", 2)
    assert browser is not None and browser.end_of_candidates and browser.candidates[0].is_name
    assert views(parse(OLD_PHONE))[0].ice is None


BUNDLE = [
    "a=group:BUNDLE a b c",
    "m=audio 4000 RTP/AVP 0",
    "c=IN IP4 192.0.2.5",
    "a=mid:a",
    "a=rtcp-mux",
    f"a=crypto:{KEY}",
    f"a=fingerprint:{PRINT}",
    "a=setup:actpass",
    "m=video 0 RTP/AVP 31",
    "a=mid:b",
    "a=bundle-only",
    "m=video 0 RTP/AVP 32",
    "a=mid:c",
]


def test_a_bundle_only_stream_is_on_the_port_of_the_tagged_one() -> None:
    audio, video, removed = views(described(*BUNDLE))
    assert (audio.disabled, video.disabled, removed.disabled) == (False, False, True)
    assert (video.port, video.address, video.rtcp_mux, video.setup) == (4000, "192.0.2.5", True, "actpass")
    assert (len(video.cryptos), len(video.fingerprints)) == (1, 1)
    assert (audio.tagged, video.tagged) == (None, audio.media)


def test_bundle_only_without_a_bundle_is_a_stream_without_a_port() -> None:
    assert one("m=audio 0 RTP/AVP 0", "a=mid:a", "a=bundle-only").disabled
    first, second = views(
        described(
            "a=group:BUNDLE a b", *("m=audio 0 RTP/AVP 0", "a=mid:a", "a=bundle-only"), "m=audio 4 RTP/AVP 0", "a=mid:b"
        )
    )
    # The first of the group that has a port is the tagged one.
    assert not first.disabled and first.tagged is second.media and second.tagged is None


def test_groups() -> None:
    streams = [line for mid in "abc" for line in ("m=audio 4000 RTP/AVP 0", f"a=mid:{mid}")]
    assert bundles(described("a=group:BUNDLE c a", "a=group:LS a b", *streams)) == [[2, 0]]
    assert bundles(described("a=group:BUNDLE a a x", "a=group:BUNDLE a b", *streams)) == [[0], [1]]
    assert bundles(described("a=group:", "a=group:BUNDLE", *streams)) == [[]]
    assert bundles(described(*streams)) == []
