"""What an offer and its answer come to, from both sides; and that both sides see the same."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.attributes import Direction, receives, sends
from ringback.sdp.description import Origin, SessionDescription, parse
from ringback.sdp.errors import SdpError
from ringback.sdp.formats import Codec
from ringback.sdp.negotiation import (
    Agreed,
    Candidate,
    Crypto,
    Fingerprint,
    IceParameters,
    LocalStream,
    OfferAnswer,
    Policy,
    agreed,
    answer,
    offer,
)
from ringback.sdp.streams import Encryption, Keying
from tests.sdp.samples import SAMPLES

ALICE, BOB = Origin.of(1, "192.0.2.1"), Origin.of(2, "192.0.2.2")
PCMU, PCMA, OPUS = Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("opus", 48000, 2)
PRINT = Fingerprint("sha-1", "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB")
OTHER_PRINT = Fingerprint("sha-1", "00" + PRINT.value[2:])
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY, OTHER_KEY = Crypto(SUITE, b"alice" * 6), Crypto(SUITE, b"bobby" * 6)
CANDIDATE = Candidate("1", 1, "udp", 1, "192.0.2.1", 4000, "host")
ICE = IceParameters("aaaa", "a" * 22, (CANDIDATE,))
AUDIO = LocalStream("audio", 4000, "192.0.2.1", [OPUS, PCMU])


def described(*lines: str) -> SessionDescription:
    head = ["v=0", "o=- 2 2 IN IP4 192.0.2.2", "s=-", "c=IN IP4 192.0.2.2", "t=0 0"]
    return parse("\n".join([*head, *lines]).encode())


def heard(local: LocalStream, *lines: str, policy: Policy | None = None) -> Agreed:
    """What an answer of `lines` to an offer of `local` comes to."""
    policy = policy or Policy()
    (stream,) = agreed(offer([local], ALICE, policy=policy), described(*lines), [local], policy)
    return stream


def test_the_order_of_the_answer_decides() -> None:
    stream = heard(AUDIO, "m=audio 5000 RTP/AVP 0 96", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 usedtx=1", "a=ptime:40")
    assert [(codec.payload_type, codec.fmtp) for codec in stream.codecs] == [(0, ""), (96, "usedtx=1")]
    assert list(stream.receive) == [0, 96] and stream.receive[96].fmtp == ""
    assert (stream.ptime, stream.maxptime, dict(stream.dtmf)) == (40, 0, {})


def test_the_answerer_goes_by_its_answer_too() -> None:
    offered = described("m=audio 5000 RTP/AVP 0 111", "a=rtpmap:111 opus/48000/2")
    _, (stream,) = answer(offered, [AUDIO], ALICE, Policy(own_order=True))
    assert [codec.payload_type for codec in stream.codecs] == [111, 0]


def test_an_answer_with_formats_that_nobody_offered() -> None:
    """RFC 3264 6.1 allows it; they are not used."""
    stream = heard(AUDIO, "m=audio 5000 RTP/AVP 8 0 97 120", "a=rtpmap:120 iLBC/8000")
    assert [codec.name for codec in stream.codecs] == ["PCMU"]


def test_an_answer_without_rtpmaps() -> None:
    """Dynamic payload types "MUST" have them; where they are missing the offer has said it."""
    stream = heard(AUDIO, "m=audio 5000 RTP/AVP 96 101")
    assert [codec.rtpmap for codec in stream.codecs] == ["opus/48000/2"]
    assert dict(stream.dtmf) == {8000: 101}


def test_an_answer_with_another_codec_for_the_same_number() -> None:
    with pytest.raises(SdpError) as raised:
        heard(AUDIO, "m=audio 5000 RTP/AVP 96", "a=rtpmap:96 iLBC/8000")
    assert (raised.value.status, raised.value.code) == (488, 305)


def test_comfort_noise_is_apart_from_codecs() -> None:
    stream = heard(replace(AUDIO, codecs=[PCMU, Codec("CN", 8000)], dtmf=False), "m=audio 5000 RTP/AVP 13 0")
    assert [codec.name for codec in stream.codecs] == ["PCMU"]
    assert dict(stream.comfort_noise) == {8000: 13}
    assert [codec.name for codec in stream.auxiliary] == ["CN"]


@pytest.mark.parametrize("theirs", get_args(Direction))
@pytest.mark.parametrize("ours", get_args(Direction))
def test_no_more_is_done_than_both_have_said(ours: Direction, theirs: Direction) -> None:
    stream = heard(replace(AUDIO, direction=ours), "m=audio 5000 RTP/AVP 0", f"a={theirs}")
    assert sends(stream.direction) is (sends(ours) and receives(theirs))
    assert receives(stream.direction) is (receives(ours) and sends(theirs))
    # Whoever did not want to send is not held.
    assert stream.hold is (sends(ours) and not receives(theirs))


def test_refused_streams_are_there_and_empty() -> None:
    (stream,) = agreed(offer([AUDIO], ALICE), described("m=audio 0 RTP/AVP 0"), [AUDIO])
    assert (stream.active, stream.problem, stream.local, stream.local_index) == (False, "", AUDIO, 0)


def test_streams_that_the_answer_leaves_out_are_refused() -> None:
    local = [AUDIO, replace(AUDIO, port=4002)]
    streams = agreed(offer(local, ALICE), described("m=audio 5000 RTP/AVP 0"), local)
    assert [stream.active for stream in streams] == [True, False]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("m=audio 5000 RTP/AVP 0", "m=audio 5002 RTP/AVP 0"), 399),
        (("m=video 5000 RTP/AVP 31",), 304),
        (("m=audio 5000 RTP/AVP 8",), 305),
        (("m=audio 5000 RTP/AVP",), 305),
        (("m=audio 5000 TCP/MSRP *",), 302),
    ],
)
def test_answers_that_do_not_belong_to_the_offer(lines: tuple[str, ...], code: int) -> None:
    with pytest.raises(SdpError) as raised:
        heard(AUDIO, *lines)
    assert (raised.value.status, raised.value.code) == (488, code)


def test_one_stream_that_fails_does_not_take_the_others_with_it() -> None:
    local = [AUDIO, replace(AUDIO, port=4002)]
    streams = agreed(offer(local, ALICE), described("m=audio 5000 RTP/AVP 8", "m=audio 5002 RTP/AVP 0"), local)
    assert [(stream.active, bool(stream.problem)) for stream in streams] == [(False, True), (True, False)]
    assert streams[0].problem == "the audio stream has no format that both sides know"


KEYED = replace(AUDIO, crypto=[KEY], fingerprints=[PRINT])
SDES = f"a=crypto:{OTHER_KEY.tagged(1)}"
DTLS = (f"a=fingerprint:{OTHER_PRINT}", "a=setup:active")


@pytest.mark.parametrize(
    ("policy", "protocol", "lines", "expected"),
    [
        (Policy("offer"), "RTP/AVP", (), "none"),
        (Policy("offer"), "RTP/AVP", (SDES,), "sdes"),
        (Policy("offer"), "RTP/SAVP", (SDES,), "sdes"),
        (Policy("offer"), "RTP/AVP", DTLS, "dtls"),
        (Policy("offer"), "RTP/AVP", (SDES, *DTLS), "dtls"),
        (Policy("offer", ("sdes", "dtls")), "RTP/AVP", (SDES, *DTLS), "sdes"),
        (Policy("none"), "RTP/AVP", (SDES,), "none"),
        (Policy("offer"), "RTP/AVP", (SDES.replace("crypto:1", "crypto:2"),), None),
        (Policy("offer"), "RTP/AVP", (SDES.replace("SHA1_80", "SHA1_32"),), None),
        (Policy("offer"), "RTP/AVP", ("a=crypto:broken",), None),
        (Policy("offer"), "RTP/AVP", ("a=crypto:broken", SDES), "sdes"),
        (Policy("offer"), "RTP/AVP", (SDES.replace("crypto:1", "crypto:2"), SDES), None),
        (Policy("offer"), "RTP/AVP", (SDES + " UNENCRYPTED_SRTP",), None),
        (Policy("offer"), "RTP/AVP", (SDES + "|1:4",), None),
        (Policy("offer", mki=True), "RTP/AVP", (SDES + "|1:4",), "sdes"),
        (Policy("offer"), "RTP/SAVP", (), None),
        (Policy("require"), "UDP/TLS/RTP/SAVP", DTLS, "dtls"),
        (Policy("require"), "UDP/TLS/RTP/SAVP", (), None),
        (Policy("require"), "UDP/TLS/RTP/SAVP", (SDES,), None),
        (Policy("require"), "RTP/AVP", (), None),
        (Policy("require", ("sdes",)), "RTP/SAVP", (SDES,), "sdes"),
        (Policy("require", ("sdes",)), "RTP/AVP", (), None),
    ],
)
def test_keys(policy: Policy, protocol: str, lines: tuple[str, ...], expected: str | None) -> None:
    if expected is None:
        with pytest.raises(SdpError) as raised:
            heard(KEYED, f"m=audio 5000 {protocol} 0", *lines, policy=policy)
        assert (raised.value.status, raised.value.code) == (488, 302)
        return
    stream = heard(KEYED, f"m=audio 5000 {protocol} 0", *lines, policy=policy)
    assert stream.protection == expected
    if expected == "sdes":
        assert stream.crypto is not None
        assert (stream.crypto.suite, stream.crypto.local_key, stream.crypto.remote_key) == (
            *(SUITE, KEY.key, OTHER_KEY.key),
        )
        assert stream.crypto.remote_mki == (b"\0\0\0\1" if "|" in lines[0] else b"")
    if expected == "dtls":
        assert (stream.fingerprints, stream.dtls_role) == ((OTHER_PRINT,), "passive")


def test_the_window_that_they_recommend() -> None:
    stream = heard(KEYED, "m=audio 5000 RTP/AVP 0", SDES + " WSH=256")
    assert stream.crypto is not None and stream.crypto.window == 256
    stream = heard(KEYED, "m=audio 5000 RTP/AVP 0", SDES + " -WSH=128")
    assert stream.crypto is not None and stream.crypto.window == 64


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("a=setup:active", "passive"),
        ("a=setup:passive", "active"),
        # Not allowed in an answer: the answerer begins, as RFC 5763 recommends.
        ("a=setup:actpass", "passive"),
        # "The default value … is 'passive' in the answer" (RFC 4145 4.1).
        ("a=x", "active"),
        ("a=setup:holdconn", "holdconn"),
    ],
)
def test_who_begins_the_handshake(setup: str, expected: str) -> None:
    stream = heard(KEYED, "m=audio 5000 RTP/AVP 0", f"a=fingerprint:{OTHER_PRINT}", setup, "a=tls-id:x")
    assert (stream.protection, stream.dtls_role, stream.tls_id) == ("dtls", expected, "x")


THEIR_ICE = ("a=ice-ufrag:bbbb", "a=ice-pwd:bbbbbbbbbbbbbbbbbbbbbb", "a=candidate:1 1 udp 1 192.0.2.2 5000 typ host")


@pytest.mark.parametrize(
    ("ours", "lines", "controlling"),
    [
        (ICE, THEIR_ICE, True),
        (ICE, (*THEIR_ICE, "a=ice-mismatch"), None),
        (ICE, (), None),
        (None, THEIR_ICE, None),
        (replace(ICE, lite=True), THEIR_ICE, False),
    ],
)
def test_ice(ours: IceParameters | None, lines: tuple[str, ...], controlling: bool | None) -> None:
    stream = heard(replace(AUDIO, ice=ours), "m=audio 5000 RTP/AVP 0", *lines)
    assert (stream.ice is not None) is (controlling is not None)
    assert stream.ice_controlling is bool(controlling)


def test_a_full_agent_controls_a_lite_one() -> None:
    theirs = described("a=ice-lite", "m=audio 5000 RTP/AVP 0", *THEIR_ICE)
    _, (stream,) = answer(theirs, [replace(AUDIO, ice=ICE)], ALICE)
    assert stream.ice is not None and stream.ice.lite and stream.ice_controlling


@pytest.mark.parametrize(("ours", "theirs"), [(True, True), (True, False), (False, True)])
def test_rtcp_shares_the_port_when_both_want_it(ours: bool, theirs: bool) -> None:
    lines = ["a=rtcp-mux"] if theirs else []
    stream = heard(replace(AUDIO, rtcp_mux=ours), "m=audio 5000 RTP/AVP 0", "a=rtcp:5555", *lines)
    assert stream.rtcp_mux is (ours and theirs)
    assert stream.remote_rtcp == ("192.0.2.2", 5000 if ours and theirs else 5555)


BUNDLED = [
    replace(KEYED, bundle=True, rtcp_mux=True, ice=ICE),
    replace(KEYED, kind="video", port=4002, codecs=[Codec("VP8", 90000)], bundle=True, rtcp_mux=True, ice=ICE),
]
AUDIO_ANSWER = ["m=audio 5000 RTP/AVP 0", "a=mid:0", "a=rtcp-mux", *DTLS, *THEIR_ICE]
VIDEO_ANSWER = ["a=rtpmap:98 VP8/90000", "a=mid:1"]


@pytest.mark.parametrize(
    "video", [["m=video 0 RTP/AVP 98", "a=bundle-only"], ["m=video 5000 RTP/AVP 98"]], ids=["RFC 8843", "browsers"]
)
def test_both_ways_to_answer_a_bundle(video: list[str]) -> None:
    theirs = described("a=group:BUNDLE 0 1", *AUDIO_ANSWER, *video, *VIDEO_ANSWER)
    streams = agreed(offer(BUNDLED, ALICE), theirs, BUNDLED)
    assert [stream.bundled_with for stream in streams] == [None, 0]
    assert [(stream.remote_port, stream.rtcp_mux) for stream in streams] == [(5000, True), (5000, True)]
    assert [(stream.protection, stream.dtls_role) for stream in streams] == [("dtls", "passive")] * 2
    assert streams[1].ice is not None and streams[1].ice == streams[0].ice
    assert [codec.name for codec in streams[1].codecs] == ["VP8"]


def test_an_answer_without_the_bundle_has_two_transports() -> None:
    theirs = described(*AUDIO_ANSWER, "m=video 5002 RTP/AVP 98", *VIDEO_ANSWER)
    streams = agreed(offer(BUNDLED, ALICE), theirs, BUNDLED)
    assert [stream.bundled_with for stream in streams] == [None, None]
    assert [(stream.remote_port, stream.protection) for stream in streams] == [(5000, "dtls"), (5002, "none")]
    assert streams[1].ice is None


def test_a_bundle_without_any_port_has_no_streams() -> None:
    theirs = described("a=group:BUNDLE 0", "m=audio 0 RTP/AVP 0", "a=mid:0", "a=bundle-only")
    (stream,) = agreed(offer(BUNDLED[:1], ALICE), theirs, BUNDLED[:1])
    assert (stream.active, stream.bundled_with) == (False, None)


def test_a_bundle_that_nobody_offered_is_not_formed() -> None:
    theirs = described("a=group:BUNDLE 0 1", *AUDIO_ANSWER, "m=video 5002 RTP/AVP 98", *VIDEO_ANSWER)
    local = [replace(stream, bundle=False) for stream in BUNDLED]
    streams = agreed(offer(local, ALICE), theirs, local)
    assert [stream.bundled_with for stream in streams] == [None, None]


def mirrored(one: Agreed, other: Agreed) -> None:
    """Whether what one side sends is what the other one expects, in all that both have to have in common."""
    assert (one.index, one.kind, one.active, one.protocol) == (other.index, other.kind, other.active, other.protocol)
    assert one.protection == other.protection and one.rtcp_mux == other.rtcp_mux
    assert one.bundled_with == other.bundled_with and one.mid == other.mid
    assert sends(one.direction) == receives(other.direction)
    assert receives(one.direction) == sends(other.direction)
    assert [codec.rtpmap for codec in one.codecs] == [codec.rtpmap for codec in other.codecs]
    for here, there in ((one, other), (other, one)):
        for codec in (*here.codecs, *here.auxiliary):
            expected = there.receive[codec.payload_type]
            assert (expected.rtpmap, expected.fmtp) == (codec.rtpmap, codec.fmtp)
        for rate, payload_type in here.dtmf.items():
            assert there.receive[payload_type].is_event and there.receive[payload_type].clock_rate == rate
        if here.active and here.local is not None and here.bundled_with is None:
            assert (there.remote_address, there.remote_port) == (here.local.address, here.local.port)
            assert there.ptime == here.local.ptime
    if one.crypto is not None and other.crypto is not None:
        assert (one.crypto.suite, one.crypto.local_key, one.crypto.remote_key) == (
            *(other.crypto.suite, other.crypto.remote_key, other.crypto.local_key),
        )
    assert (one.crypto is None) == (other.crypto is None)
    if one.protection == "dtls":
        assert {one.dtls_role, other.dtls_role} == {"active", "passive"}
    assert (one.ice is None) == (other.ice is None)
    if one.ice is not None:
        assert one.ice_controlling != other.ice_controlling


CODECS = [
    *(OPUS, Codec("G722", 8000), PCMU, PCMA, Codec("L16", 16000), Codec("iLBC", 8000)),
    *(Codec("opus", 48000, 2, 111, {"useinbandfec": "1"}), Codec("CN", 8000), Codec("telephone-event", 8000, 1, 96)),
]
VIDEO_CODECS = [
    *(Codec("VP8", 90000, feedback=("nack",)), Codec("H261", 90000), Codec("rtx", 90000, 1, 99, {"apt": "96"})),
    Codec("H264", 90000, 1, 96, {"profile-level-id": "42e01f", "packetization-mode": "1"}),
]


@st.composite
def streams(draw: st.DrawFn, kind: str, side: int) -> LocalStream:
    """A stream of either side; `side` keeps keys, certificates and addresses apart."""
    codecs = draw(st.lists(st.sampled_from(CODECS if kind == "audio" else VIDEO_CODECS), min_size=1, unique_by=id))
    bundle = draw(st.booleans())
    ice = IceParameters(f"ufrag{side}", f"{side}" * 22, (), draw(st.booleans()) if side else False)
    return LocalStream(
        kind,
        draw(st.integers(1, 30000)) * 2,
        f"192.0.2.{side + 1}",
        codecs,
        draw(st.sampled_from(get_args(Direction))),
        ptime=draw(st.sampled_from([0, 20, 40])),
        crypto=draw(st.sampled_from([[], [Crypto(SUITE, bytes([side]) * 30)]])),
        fingerprints=draw(st.sampled_from([[], [PRINT if side else OTHER_PRINT]])),
        setup=draw(st.sampled_from(["actpass", "active", "passive"])) if side else "actpass",
        ice=draw(st.sampled_from([None, ice])),
        rtcp_mux=bundle or draw(st.booleans()),
        bundle=bundle,
        dtmf=draw(st.booleans()),
        feedback=draw(st.booleans()),
    )


@st.composite
def sides(draw: st.DrawFn, side: int) -> list[LocalStream]:
    kinds = draw(st.lists(st.sampled_from(["audio", "video"]), min_size=1, max_size=3))
    found = [draw(streams(kind, side)) for kind in kinds]
    ports = draw(st.permutations(range(2, 2 + 2 * len(found), 2)))
    # ICE and its kind are those of an agent, not of a stream.
    lite = side == 1 and draw(st.booleans())
    return [
        replace(stream, port=port, ice=None if stream.ice is None else replace(stream.ice, lite=lite))
        for stream, port in zip(found, ports, strict=True)
    ]


POLICIES = st.builds(
    Policy,
    st.sampled_from(get_args(Encryption)),
    st.permutations(get_args(Keying)).map(tuple),
    st.booleans(),
    st.booleans(),
)


@given(sides(0), sides(1), POLICIES, POLICIES)
def test_both_sides_agree_on_the_same(
    alices: list[LocalStream], bobs: list[LocalStream], alices_policy: Policy, bobs_policy: Policy
) -> None:
    if alices_policy.encryption == "require":
        alices = [stream if stream.crypto else replace(stream, crypto=[KEY]) for stream in alices]
    alice, bob = OfferAnswer(ALICE, alices_policy), OfferAnswer(BOB, bobs_policy)
    offered = parse(alice.offer(alices).encode())
    try:
        answered, bob_sees = bob.answer(offered, bobs)
    except SdpError as error:
        assert error.status == 488
        return
    answered = parse(answered.encode())
    assert [media.kind for media in answered.media] == [media.kind for media in offered.media]
    alice_sees = alice.accept(answered)
    for one, other in zip(alice_sees, bob_sees, strict=True):
        assert not one.problem and not other.problem
        mirrored(one, other)
        if "require" in (alices_policy.encryption, bobs_policy.encryption) and one.active:
            assert one.protection != "none"
    # The same once more is the same: nothing has to change.
    assert alice.offer(alices) == offered
    assert bob.answer(offered, bobs)[0] == answered


@given(st.sampled_from(sorted(SAMPLES)), st.sampled_from(sorted(SAMPLES)), st.booleans())
def test_whatever_is_an_answer_raises_nothing_but_sdp_errors(ours: str, theirs: str, mux: bool) -> None:
    local = [replace(KEYED, rtcp_mux=mux, ice=ICE, bundle=mux)]
    for description in (parse(SAMPLES[ours]), offer(local, ALICE)):
        try:
            found = agreed(description, parse(SAMPLES[theirs]), local)
        except SdpError:
            continue
        assert len(found) == len(description.media)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_one_wrong_octet_in_an_offer_or_an_answer_ends_nothing(name: str, data: st.DataObject) -> None:
    body = bytearray(SAMPLES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    local = [replace(KEYED, rtcp_mux=True, ice=ICE, bundle=True), BUNDLED[1]]
    try:
        theirs = parse(bytes(body))
        description, _ = answer(theirs, local, ALICE)
        assert parse(description.encode()) == description
    except SdpError:
        pass
    try:
        agreed(offer(local, ALICE), parse(bytes(body)), local)
    except SdpError:
        pass
