"""The exchanges of RFC 4317 and of RFC 3264 section 10, each with us as the offerer and as the answerer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.sdp.description import Origin, SessionDescription, parse
from ringback.sdp.negotiation import Agreed, Codec, LocalStream, OfferAnswer, Policy, agreed, answer, offer
from ringback.sdp.view import views

ATLANTA = "host.atlanta.example.com"
BILOXI = "host.biloxi.example.com"
ALICE = Origin("alice", 2890844526, 2890844526, ATLANTA)
BOB = Origin("bob", 2808844564, 2808844564, BILOXI)
NONE = Policy("none")

PCMU = Codec("PCMU", 8000)
PCMA = Codec("PCMA", 8000)
ILBC = Codec("iLBC", 8000, payload_type=97)
EVENTS = Codec("telephone-event", 8000, payload_type=98)
H261 = Codec("H261", 90000)
MPV = Codec("MPV", 90000)


def audio(port: int, *codecs: Codec, address: str = ATLANTA, direction: str = "sendrecv") -> LocalStream:
    return LocalStream("audio", port, address, codecs, direction, dtmf=False)  # type: ignore[arg-type]


def video(port: int, *codecs: Codec, address: str = ATLANTA) -> LocalStream:
    return LocalStream("video", port, address, codecs)


def described(who: str, version: int, media: str, connection: str = "") -> SessionDescription:
    """A description as the RFCs have them; `media` is one line for each of its lines."""
    origin = ALICE if who == "alice" else BOB
    lines = [
        "v=0",
        f"o={who} {origin.session_id} {version} IN IP4 {origin.address}",
        "s= ",
        f"c=IN IP4 {connection or origin.address}",
        "t=0 0",
        *(line.strip() for line in media.strip().splitlines() if line.strip()),
    ]
    return parse("\r\n".join([*lines, ""]).encode())


def shape(description: SessionDescription) -> list[tuple[str, int, str, list[str], str, str]]:
    """What the examples show of each stream: kind, port, address, formats, direction; of a refused one the kind."""
    found = []
    for view in views(description):
        if view.disabled:
            found.append((view.media.kind, 0, "", [], "", view.media.protocol))
        else:
            formats = [f"{codec.payload_type} {codec.rtpmap}" for codec in view.codecs]
            found.append((view.media.kind, view.port, view.address, formats, view.direction, view.media.protocol))
    return found


def numbered(description: SessionDescription) -> tuple[int, int]:
    return description.origin.session_id, description.origin.version


def names(stream: Agreed) -> list[str]:
    return [f"{codec.payload_type} {codec.name}" for codec in stream.codecs]


OFFER_2_1 = described(
    "alice",
    2890844526,
    """
    m=audio 49170 RTP/AVP 0 8 97
    a=rtpmap:0 PCMU/8000
    a=rtpmap:8 PCMA/8000
    a=rtpmap:97 iLBC/8000
    m=video 51372 RTP/AVP 31 32
    a=rtpmap:31 H261/90000
    a=rtpmap:32 MPV/90000
    """,
)
ALICE_2_1 = [audio(49170, PCMU, PCMA, ILBC), video(51372, H261, MPV)]

# Section, what Bob does, and what he answers: 2.1, 2.2, 2.3 and 2.8 answer the same offer.
ANSWERS = {
    "2.1": (
        [audio(49174, PCMU, address=BILOXI), video(49170, MPV, address=BILOXI)],
        """
        m=audio 49174 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 49170 RTP/AVP 32
        a=rtpmap:32 MPV/90000
        """,
        [["0 PCMU"], ["32 MPV"]],
    ),
    "2.2": (
        [audio(49172, PCMU, PCMA, address=BILOXI)],
        """
        m=audio 49172 RTP/AVP 0 8
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        m=video 0 RTP/AVP 31
        a=rtpmap:31 H261/90000
        """,
        [["0 PCMU", "8 PCMA"], []],
    ),
    "2.8": (
        [
            audio(49174, PCMU, address=BILOXI),
            video(49172, MPV, address="otherhost.biloxi.example.com"),
        ],
        """
        m=audio 49174 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 49172 RTP/AVP 32
        c=IN IP4 otherhost.biloxi.example.com
        a=rtpmap:32 MPV/90000
        """,
        [["0 PCMU"], ["32 MPV"]],
    ),
}


def test_the_offer_of_rfc_4317_section_2_is_written() -> None:
    written = offer(ALICE_2_1, ALICE, policy=NONE)
    assert shape(written) == shape(OFFER_2_1)
    assert written.origin == OFFER_2_1.origin
    assert written.times == [("t", "0 0")]


@pytest.mark.parametrize("section", ANSWERS)
def test_the_offer_of_rfc_4317_section_2_is_answered(section: str) -> None:
    local, expected, _ = ANSWERS[section]
    written, streams = answer(OFFER_2_1, local, BOB, NONE)
    assert shape(written) == shape(described("bob", 2808844564, expected))
    assert numbered(written) == (2808844564, 2808844564)
    assert [stream.active for stream in streams] == [bool(part.port) for part in written.media]


@pytest.mark.parametrize("section", ANSWERS)
def test_the_answers_of_rfc_4317_section_2_are_understood(section: str) -> None:
    _, answered, expected = ANSWERS[section]
    theirs = described("bob", 2808844564, answered)
    streams = agreed(offer(ALICE_2_1, ALICE, policy=NONE), theirs, ALICE_2_1, NONE)
    assert [names(stream) for stream in streams] == expected
    for stream, view in zip(streams, views(theirs), strict=True):
        assert (stream.remote_address, stream.remote_port) == ((view.address, view.port) if view.port else ("", 0))


def test_audio_and_video_2_narrowed_to_one_codec() -> None:
    """RFC 4317 2.2: the second exchange has one codec less, another port, and the video slot is kept as refused."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    bobs = [audio(49172, PCMU, PCMA, address=BILOXI)]
    first, _ = bob.answer(alice.offer(ALICE_2_1), bobs)
    alice.accept(first)
    second_offer = alice.offer([audio(51372, PCMU)])
    expected = """
        m=audio 51372 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 0 RTP/AVP 31
        a=rtpmap:31 H261/90000
        """
    assert shape(second_offer) == shape(described("alice", 2890844527, expected))
    assert numbered(second_offer) == (2890844526, 2890844527)
    assert second_offer.media[1].formats == ["31"]
    second_answer, streams = bob.answer(second_offer, bobs)
    assert numbered(second_answer) == (2808844564, 2808844565)
    assert [part.port for part in second_answer.media] == [49172, 0]
    assert second_answer.media[0].formats == ["0"]
    assert [names(stream) for stream in streams] == [["0 PCMU"], []]
    assert streams[0].remote_port == 51372


def test_audio_and_video_3_another_payload_type_in_the_answer() -> None:
    """RFC 4317 2.3: "change of dynamic payload type from 97 to 99 between the offer and the answer is OK"."""
    theirs = described(
        "bob",
        2808844564,
        """
        m=audio 49172 RTP/AVP 99
        a=rtpmap:99 iLBC/8000
        m=video 51374 RTP/AVP 31
        a=rtpmap:31 H261/90000
        """,
    )
    streams = agreed(offer(ALICE_2_1, ALICE, policy=NONE), theirs, ALICE_2_1, NONE)
    assert [names(stream) for stream in streams] == [["99 iLBC"], ["31 H261"]]
    # What comes has the number of the offer, or with peers that mix it up, that of their answer.
    assert {number: codec.name for number, codec in streams[0].receive.items()} == {97: "iLBC", 99: "iLBC"}
    # As the answerer we keep to "that same payload type number SHOULD be used".
    local = [audio(49172, replace(ILBC, payload_type=99), address=BILOXI), video(51374, H261, address=BILOXI)]
    written, streams = answer(OFFER_2_1, local, BOB, NONE)
    assert [part.formats for part in written.media] == [["97"], ["31"]]
    assert [names(stream) for stream in streams] == [["97 iLBC"], ["31 H261"]]


OFFER_2_4 = """
    m=audio 49170 RTP/AVP 0 97
    a=rtpmap:0 PCMU/8000
    a=rtpmap:97 iLBC/8000
    m=audio 49172 RTP/AVP 98
    a=rtpmap:98 telephone-event/8000
    a=sendonly
    """
ANSWER_2_4 = """
    m=audio 49172 RTP/AVP 97
    a=rtpmap:97 iLBC/8000
    m=audio 49174 RTP/AVP 98
    a=rtpmap:98 telephone-event/8000
    a=recvonly
    """
ALICE_2_4 = [audio(49170, PCMU, ILBC), audio(49172, EVENTS, direction="sendonly")]
BOB_2_4 = [audio(49172, ILBC, address=BILOXI), audio(49174, EVENTS, address=BILOXI)]


def test_two_audio_streams() -> None:
    """RFC 4317 2.4: one stream for audio, one for events in one direction."""
    written = offer(ALICE_2_4, ALICE, policy=NONE)
    assert shape(written) == shape(described("alice", 2890844526, OFFER_2_4))
    answered, bobs = answer(written, BOB_2_4, BOB, NONE)
    assert shape(answered) == shape(described("bob", 2808844564, ANSWER_2_4))
    alices = agreed(written, described("bob", 2808844564, ANSWER_2_4), ALICE_2_4, NONE)
    assert [(stream.direction, dict(stream.dtmf)) for stream in alices] == [("sendrecv", {}), ("sendonly", {8000: 98})]
    assert [stream.direction for stream in bobs] == ["sendrecv", "recvonly"]
    assert [list(stream.receive) for stream in bobs] == [[97], [98]]
    assert alices[1].codecs == () and alices[1].auxiliary[0].is_event


def test_audio_and_video_4_an_address_changes() -> None:
    """RFC 4317 2.5: the answer to a changed offer is the same as before, and so is its version."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    alices = [audio(49170, ILBC), video(51372, H261)]
    bobs = [audio(49174, ILBC, address=BILOXI), video(49170, H261, address=BILOXI)]
    alice.accept(bob.answer(alice.offer(alices), bobs)[0])
    new = "newhost.biloxi.example.com"
    moved = bob.offer([audio(49178, ILBC, address=new), video(49188, H261, address=new)])
    expected = """
        m=audio 49178 RTP/AVP 97
        a=rtpmap:97 iLBC/8000
        m=video 49188 RTP/AVP 31
        a=rtpmap:31 H261/90000
        """
    assert shape(moved) == shape(described("bob", 2808844565, expected, new))
    assert numbered(moved) == (2808844564, 2808844565)
    assert moved.connection is not None and moved.connection.host == new
    second, streams = alice.answer(moved, alices)
    assert numbered(second) == (2890844526, 2890844526)
    assert [(stream.remote_address, stream.remote_port) for stream in streams] == [(new, 49178), (new, 49188)]
    assert [stream.remote_port for stream in bob.accept(second)] == [49170, 51372]


def test_audio_only_1_one_of_two_streams() -> None:
    """RFC 4317 2.6: the first stream is refused, the second, of the same kind, accepted."""
    alices = [audio(49170, PCMU), audio(51372, ILBC, replace(EVENTS, payload_type=101))]
    written = offer(alices, ALICE, policy=NONE)
    expected = """
        m=audio 0 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=audio 49170 RTP/AVP 97 101
        a=rtpmap:97 iLBC/8000
        a=rtpmap:101 telephone-event/8000
        """
    answered, bobs = answer(written, [audio(49170, ILBC, EVENTS, address=BILOXI)], BOB, NONE)
    theirs = described("bob", 2808844564, expected)
    assert shape(answered) == shape(theirs)
    assert [stream.local_index for stream in bobs] == [-1, 0]
    alices_streams = agreed(written, theirs, alices, NONE)
    assert [(stream.active, names(stream), dict(stream.dtmf)) for stream in alices_streams] == [
        (False, [], {}),
        (True, ["97 iLBC"], {8000: 101}),
    ]


def test_audio_and_video_5_a_codec_is_added() -> None:
    """RFC 4317 2.7."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    ilbc = replace(ILBC, payload_type=99)
    bobs = [audio(49172, ilbc, address=BILOXI), video(51374, H261, MPV, address=BILOXI)]
    alice.accept(bob.answer(alice.offer([audio(49170, ilbc), video(51372, H261)]), bobs)[0])
    added = alice.offer([audio(49170, ilbc), video(51372, H261, MPV)])
    assert numbered(added) == (2890844526, 2890844527)
    assert [part.formats for part in added.media] == [["99"], ["31", "32"]]
    second, streams = bob.answer(added, bobs)
    assert numbered(second) == (2808844564, 2808844565)
    assert [names(stream) for stream in streams] == [["99 iLBC"], ["31 H261", "32 MPV"]]
    assert [names(stream) for stream in alice.accept(second)] == [["99 iLBC"], ["31 H261", "32 MPV"]]


def test_hold_and_unhold_1() -> None:
    """RFC 4317 3.1: Bob holds with his answer and resumes with an offer; Alice changes her port meanwhile."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    held, bobs = bob.answer(
        alice.offer([audio(49170, PCMU, ILBC)]), [audio(49172, ILBC, address=BILOXI, direction="sendonly")]
    )
    assert views(held)[0].direction == "sendonly" and bobs[0].direction == "sendonly"
    alices = alice.accept(held)
    assert (alices[0].direction, alices[0].hold) == ("recvonly", True)
    resumed = bob.offer([audio(49170, ILBC, address=BILOXI)])
    assert numbered(resumed) == (2808844564, 2808844565)
    second, alices = alice.answer(resumed, [audio(49178, ILBC)])
    expected = """
        m=audio 49178 RTP/AVP 97
        a=rtpmap:97 iLBC/8000
        """
    assert shape(second) == shape(described("alice", 2890844527, expected))
    assert numbered(second) == (2890844526, 2890844527)
    assert (alices[0].direction, alices[0].hold) == ("sendrecv", False)
    assert bob.accept(second)[0].direction == "sendrecv"


def test_hold_with_two_streams() -> None:
    """RFC 4317 3.2: each stream is put on hold by itself."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    alice.accept(bob.answer(alice.offer(ALICE_2_4), BOB_2_4)[0])
    held = bob.offer(
        [
            audio(49172, ILBC, address=BILOXI, direction="sendonly"),
            audio(49174, EVENTS, address=BILOXI, direction="recvonly"),
        ]
    )
    assert [view.direction for view in views(held)] == ["sendonly", "recvonly"]
    second, streams = alice.answer(held, ALICE_2_4)
    # The RFC's Alice answers as if nobody held her, which RFC 3264 6.1 forbids: an offer of sendonly is answered with
    # recvonly or inactive.
    assert [view.direction for view in views(second)] == ["recvonly", "sendonly"]
    assert [(stream.direction, stream.hold) for stream in streams] == [("recvonly", True), ("sendonly", False)]
    assert [stream.direction for stream in bob.accept(second)] == ["sendonly", "recvonly"]


def test_the_answer_of_hold_with_two_streams_as_it_is_written() -> None:
    """RFC 4317 3.2: from the second answer, which says sendrecv, no more is taken than was offered."""
    held = offer(
        [
            audio(49172, ILBC, address=BILOXI, direction="sendonly"),
            audio(49174, EVENTS, address=BILOXI, direction="recvonly"),
        ],
        BOB,
        policy=NONE,
    )
    streams = agreed(held, described("alice", 2890844527, OFFER_2_4), [], NONE)
    assert [stream.direction for stream in streams] == ["sendonly", "recvonly"]


def test_second_audio_stream_added() -> None:
    """RFC 4317 4.1: Bob adds a stream for events with another address, which Alice accepts."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    alice.accept(bob.answer(alice.offer([audio(49170, PCMU, ILBC)]), [audio(49170, ILBC, address=BILOXI)])[0])
    server = "mediaserver.biloxi.example.com"
    added = bob.offer([audio(49170, ILBC, address=BILOXI), audio(48282, EVENTS, address=server, direction="recvonly")])
    expected = """
        m=audio 49170 RTP/AVP 97
        a=rtpmap:97 iLBC/8000
        m=audio 48282 RTP/AVP 98
        c=IN IP4 mediaserver.biloxi.example.com
        a=rtpmap:98 telephone-event/8000
        a=recvonly
        """
    assert shape(added) == shape(described("bob", 2808844565, expected))
    second, streams = alice.answer(added, [audio(49170, ILBC), audio(49172, EVENTS)])
    expected = """
        m=audio 49170 RTP/AVP 97
        a=rtpmap:97 iLBC/8000
        m=audio 49172 RTP/AVP 98
        a=rtpmap:98 telephone-event/8000
        a=sendonly
        """
    assert shape(second) == shape(described("alice", 2890844527, expected))
    assert numbered(second) == (2890844526, 2890844527)
    assert (streams[1].remote_address, streams[1].remote_rtcp) == (server, (server, 48283))
    assert bob.accept(second)[1].remote_rtcp == (ATLANTA, 49173)


def test_audio_then_video_added() -> None:
    """RFC 4317 4.2."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    alice.accept(bob.answer(alice.offer([audio(49170, PCMU)]), [audio(49172, PCMU, address=BILOXI)])[0])
    added = alice.offer([audio(49170, PCMU), video(49172, H261)])
    assert numbered(added) == (2890844526, 2890844527)
    second, _ = bob.answer(added, [audio(49172, PCMU, address=BILOXI), video(49168, H261, address=BILOXI)])
    expected = """
        m=audio 49172 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 49168 RTP/AVP 31
        a=rtpmap:31 H261/90000
        """
    assert shape(second) == shape(described("bob", 2808844565, expected))
    assert [stream.remote_port for stream in alice.accept(second)] == [49172, 49168]


def test_audio_and_video_then_video_deleted() -> None:
    """RFC 4317 4.3."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    alices = [audio(49170, ILBC), video(51372, H261)]
    bobs = [audio(49174, ILBC, address=BILOXI), video(49170, H261, address=BILOXI)]
    alice.accept(bob.answer(alice.offer(alices), bobs)[0])
    deleted = bob.offer(bobs[:1])
    expected = """
        m=audio 49174 RTP/AVP 97
        a=rtpmap:97 iLBC/8000
        m=video 0 RTP/AVP 31
        a=rtpmap:31 H261/90000
        """
    assert shape(deleted) == shape(described("bob", 2808844565, expected))
    second, streams = alice.answer(deleted, alices)
    assert [part.port for part in second.media] == [49170, 0]
    assert numbered(second) == (2890844526, 2890844527)
    assert [stream.active for stream in streams] == [True, False]
    assert [stream.active for stream in bob.accept(second)] == [True, False]


def test_no_media_then_audio_added() -> None:
    """RFC 4317 5.1: an offer without streams has an answer without streams."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    bobs = [audio(49172, ILBC, address=BILOXI)]
    empty = alice.offer([])
    assert empty.encode() == described("alice", 2890844526, "").encode().replace(b"s= ", b"s=-")
    first, streams = bob.answer(empty, bobs)
    assert (first.media, streams) == ([], [])
    assert first.connection is not None and first.connection.host == BILOXI
    assert alice.accept(first) == []
    added = alice.offer([audio(49170, ILBC)])
    assert numbered(added) == (2890844526, 2890844527)
    second, streams = bob.answer(added, bobs)
    assert numbered(second) == (2808844564, 2808844565)
    assert [names(stream) for stream in streams] == [["97 iLBC"]]


def test_hold_and_unhold_2_no_address_in_the_offer() -> None:
    """RFC 4317 5.2: nothing is sent to 0.0.0.0, but the answer is an ordinary one (RFC 6337 5.4)."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    bobs = [audio(49170, ILBC, address=BILOXI)]
    blackholed = alice.offer([audio(23442, ILBC, address="0.0.0.0")])
    expected = """
        m=audio 23442 RTP/AVP 97
        a=rtpmap:97 iLBC/8000
        """
    assert shape(blackholed) == shape(described("alice", 2890844526, expected, "0.0.0.0"))
    first, streams = bob.answer(blackholed, bobs)
    assert views(first)[0].direction == "sendrecv"
    assert (streams[0].direction, streams[0].hold) == ("recvonly", True)
    assert alice.accept(first)[0].direction == "sendonly"
    second, streams = bob.answer(alice.offer([audio(49170, ILBC)]), bobs)
    assert numbered(second) == (2808844564, 2808844564)
    assert (streams[0].direction, streams[0].hold, streams[0].remote_address) == ("sendrecv", False, ATLANTA)


def test_hold_and_unhold_3_no_address_in_the_answer() -> None:
    """RFC 4317 5.3."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    alices = [audio(49170, ILBC)]
    first, bobs = bob.answer(alice.offer(alices), [audio(9322, ILBC, address="0.0.0.0")])
    assert (bobs[0].direction, bobs[0].hold) == ("sendonly", False)
    streams = alice.accept(first)
    assert (streams[0].direction, streams[0].hold) == ("recvonly", True)
    second, streams = alice.answer(bob.offer([audio(49172, ILBC, address=BILOXI)]), alices)
    assert numbered(second) == (2890844526, 2890844526)
    assert (streams[0].direction, streams[0].hold, streams[0].remote_port) == ("sendrecv", False, 49172)


def test_the_basic_exchange_of_rfc_3264() -> None:
    """RFC 3264 10.1: two video streams of which one is refused; a stream in a slot below it is added."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    alices = [audio(49170, PCMU), video(51372, H261), video(53000, MPV)]
    bobs = [audio(49920, PCMU, address=BILOXI), replace(video(0, address=BILOXI)), video(53000, MPV, address=BILOXI)]
    first, streams = bob.answer(alice.offer(alices), bobs)
    assert [part.port for part in first.media] == [49920, 0, 53000]
    assert [stream.local_index for stream in streams] == [0, -1, 2]
    alice.accept(first)
    events = Codec("telephone-events", 8000, payload_type=110)
    added = bob.offer(
        [
            audio(65422, PCMU, address=BILOXI),
            *bobs[1:],
            audio(51434, events, address=BILOXI, direction="recvonly"),
        ]
    )
    expected = """
        m=audio 65422 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 0 RTP/AVP 31
        m=video 53000 RTP/AVP 32
        a=rtpmap:32 MPV/90000
        m=audio 51434 RTP/AVP 110
        a=rtpmap:110 telephone-events/8000
        a=recvonly
        """
    assert shape(added) == shape(described("bob", 2808844565, expected))
    second, streams = alice.answer(added, [*alices, audio(53122, events)])
    expected = """
        m=audio 49170 RTP/AVP 0
        a=rtpmap:0 PCMU/8000
        m=video 0 RTP/AVP 31
        a=rtpmap:31 H261/90000
        m=video 53000 RTP/AVP 32
        a=rtpmap:32 MPV/90000
        m=audio 53122 RTP/AVP 110
        a=rtpmap:110 telephone-events/8000
        a=sendonly
        """
    assert shape(second) == shape(described("alice", 2890844527, expected))
    assert numbered(second) == (2890844526, 2890844527)
    assert [stream.direction for stream in streams] == ["sendrecv", "inactive", "sendrecv", "sendonly"]
    assert [stream.remote_port for stream in bob.accept(second)] == [49170, 0, 53000, 53122]


def test_one_of_n_codecs_of_rfc_3264() -> None:
    """RFC 3264 10.2: inactive until one codec has been chosen."""
    g723, g729 = Codec("G723", 8000), Codec("G729", 8000)
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    bobs = [audio(54344, PCMU, g723, address=BILOXI)]
    first, streams = bob.answer(alice.offer([audio(62986, PCMU, g723, g729, direction="inactive")]), bobs)
    expected = """
        m=audio 54344 RTP/AVP 0 4
        a=rtpmap:0 PCMU/8000
        a=rtpmap:4 G723/8000
        a=inactive
        """
    assert shape(first) == shape(described("bob", 2808844564, expected))
    assert streams[0].direction == "inactive"
    alice.accept(first)
    chosen = alice.offer([audio(62986, g723)])
    assert (chosen.media[0].formats, views(chosen)[0].direction) == (["4"], "sendrecv")
    second, streams = bob.answer(chosen, bobs)
    assert (second.media[0].formats, streams[0].direction) == (["4"], "sendrecv")
    assert numbered(second) == (2808844564, 2808844565)


def test_one_codec_only_in_the_answer() -> None:
    """RFC 3264 10.2: "If the answerer (Bob), was only capable of supporting one-of-N codecs, Bob would select one"."""
    written, streams = answer(OFFER_2_1, [audio(49174, ILBC, PCMU)], BOB, Policy("none", single_codec=True))
    assert written.media[0].formats == ["0"]
    written, streams = answer(
        OFFER_2_1, [audio(49174, ILBC, PCMU)], BOB, Policy("none", single_codec=True, own_order=True)
    )
    assert written.media[0].formats == ["97"]
    assert names(streams[0]) == ["97 iLBC"]


def test_a_delayed_offer_is_the_same_in_the_other_order() -> None:
    """An INVITE without an offer: the called side offers in its 200, the caller answers in its ACK."""
    alice, bob = OfferAnswer(ALICE, NONE), OfferAnswer(BOB, NONE)
    offered = bob.offer([audio(49172, PCMA, PCMU, address=BILOXI)])
    answered, alices = alice.answer(offered, [audio(49170, PCMU, PCMA)])
    bobs = bob.accept(answered)
    assert names(alices[0]) == names(bobs[0]) == ["8 PCMA", "0 PCMU"]
