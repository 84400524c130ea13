"""What an agreement means for sound: codecs, packet times, events, noise, directions."""

from dataclasses import replace

import pytest

from ringback.media import codecs
from ringback.media.audio_terms import AudioTerms, audio_terms, offered_codecs
from ringback.media.backend import MediaPreferences
from ringback.sdp.description import Origin
from ringback.sdp.negotiation import Codec, LocalStream, answer, offer
from ringback.sdp.streams import Agreed

PREFERENCES = MediaPreferences(codecs=("G722", "PCMU", "PCMA"))
OPUS = codecs.find("opus") is not None


def negotiated(ours: MediaPreferences, theirs: str, **local: object) -> Agreed:
    """What we agree on as answerer to an offer with these lines of an audio stream."""
    from ringback.sdp.description import parse

    offered = parse(
        f"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{theirs}".replace(
            "\n", "\r\n"
        ).encode()
    )
    stream = LocalStream("audio", 4000, "192.0.2.2", codecs=offered_codecs(ours), direction=ours.direction)
    _, streams = answer(offered, [stream], Origin.of(1, "192.0.2.2"))
    return streams[0]


def terms(ours: MediaPreferences, theirs: str) -> AudioTerms:
    found = audio_terms(negotiated(ours, theirs), ours)
    assert found is not None
    return found


def test_codecs_are_offered_in_the_order_of_the_preferences_and_only_where_they_are() -> None:
    found = offered_codecs(MediaPreferences(codecs=("PCMA", "G729", "g722", "L16/16000", "PCMU")))
    assert [(codec.name, codec.clock_rate) for codec in found] == [
        ("PCMA", 8000),
        ("G722", 8000),
        ("L16", 16000),
        ("PCMU", 8000),
    ]
    assert offered_codecs(MediaPreferences(codecs=("nothing",))) == []


@pytest.mark.skipif(not OPUS, reason="libopus is not installed")
def test_opus_is_offered_with_its_parameters() -> None:
    (codec,) = offered_codecs(MediaPreferences(codecs=("opus",)))
    assert (codec.rtpmap, codec.parameter("useinbandfec")) == ("opus/48000/2", "1")


def test_comfort_noise_is_offered_only_when_it_is_wanted_beside_a_codec_of_its_clock() -> None:
    with_noise = offered_codecs(replace(PREFERENCES, comfort=True))
    assert (with_noise[-1].name, with_noise[-1].payload_type) == ("CN", 13)
    assert all(codec.name != "CN" for codec in offered_codecs(PREFERENCES))
    assert offered_codecs(MediaPreferences(codecs=("L16/16000",), comfort=True))[-1].name == "L16"


def test_the_terms_of_a_plain_stream() -> None:
    found = terms(PREFERENCES, "m=audio 5000 RTP/AVP 8 0 101\na=rtpmap:101 telephone-event/8000\na=ptime:30\n")
    assert (found.codec.name, found.payload_type) == ("PCMA", 8)
    assert {number: info.name for number, info in found.receive.items()} == {8: "PCMA", 0: "PCMU"}
    assert (found.event, found.event_rate, dict(found.events)) == (101, 8000, {101: 8000})
    assert (found.noise, found.noises) == (-1, frozenset())
    assert (found.frame, found.longest) == (30, 60)
    assert (found.sending, found.receiving, found.holding) == (True, True, False)


def test_comfort_noise_that_both_want() -> None:
    found = terms(replace(PREFERENCES, comfort=True), "m=audio 5000 RTP/AVP 0 13\n")
    assert (found.noise, found.noises) == (13, frozenset({13}))
    assert 13 not in found.receive
    without = terms(PREFERENCES, "m=audio 5000 RTP/AVP 0 13\n")
    assert (without.noise, without.noises) == (-1, frozenset())


def test_no_events_were_agreed() -> None:
    found = terms(PREFERENCES, "m=audio 5000 RTP/AVP 0\n")
    assert (found.event, dict(found.events)) == (-1, {})


@pytest.mark.skipif(not OPUS, reason="libopus is not installed")
def test_events_go_by_the_clock_of_the_codec_where_they_can() -> None:
    both = (
        "m=audio 5000 RTP/AVP 96 97 98\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/8000\n"
        "a=rtpmap:98 telephone-event/48000\n"
    )
    wanted = MediaPreferences(codecs=("opus", "PCMU"))
    found = terms(wanted, both)
    assert (found.event, found.event_rate) == (98, 48000)
    only = audio_terms(
        Agreed(0, "audio", True, codecs=(Codec("opus", 48000, 2, 96),), dtmf={8000: 97}, direction="sendrecv"), wanted
    )
    assert only is not None and (only.event, only.event_rate) == (97, 8000)


@pytest.mark.skipif(not OPUS, reason="libopus is not installed")
@pytest.mark.parametrize(
    ("wanted", "rate"), [(48000, 48000), (47999, 24000), (16000, 16000), (11025, 8000), (4000, 8000)]
)
def test_opus_has_the_rate_that_one_prefers(wanted: int, rate: int) -> None:
    found = terms(
        MediaPreferences(codecs=("opus",), sample_rate=wanted), "m=audio 5000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n"
    )
    assert found.codec.sample_rate == found.receive[96].sample_rate == rate
    assert found.codec.clock_rate == 48000


@pytest.mark.parametrize(
    ("attributes", "frame", "longest"),
    [
        ("", 20, 60),
        ("a=ptime:10\n", 10, 60),
        ("a=ptime:40\n", 40, 60),
        ("a=ptime:200\n", 60, 60),
        ("a=ptime:5\n", 10, 60),
        ("a=maxptime:10\n", 10, 10),
        ("a=ptime:60\na=maxptime:30\n", 30, 30),
        ("a=maxptime:240\n", 20, 60),
    ],
)
def test_the_time_of_a_packet_is_what_the_other_side_likes_within_bounds(
    attributes: str, frame: int, longest: int
) -> None:
    found = terms(PREFERENCES, f"m=audio 5000 RTP/AVP 0\n{attributes}")
    assert (found.frame, found.longest) == (frame, longest)


@pytest.mark.parametrize(
    ("ours", "theirs", "sending", "receiving", "holding"),
    [
        ("sendrecv", "sendonly", False, True, False),
        ("sendrecv", "recvonly", True, False, False),
        ("sendonly", "sendrecv", True, False, True),
        ("sendonly", "sendonly", False, False, True),
        ("inactive", "sendrecv", False, False, False),
    ],
)
def test_directions(ours: str, theirs: str, sending: bool, receiving: bool, holding: bool) -> None:
    found = terms(replace(PREFERENCES, direction=ours), f"m=audio 5000 RTP/AVP 0\na={theirs}\n")  # type: ignore[arg-type]
    assert (found.sending, found.receiving, found.holding) == (sending, receiving, holding)


def test_nothing_to_send_with_is_nothing() -> None:
    agreed = Agreed(0, "audio", True, codecs=(Codec("G729", 8000, 1, 18),), direction="sendrecv")
    assert audio_terms(agreed, PREFERENCES) is None
    assert audio_terms(replace(agreed, codecs=()), PREFERENCES) is None
    # What is not there is passed over.
    second = replace(agreed, codecs=(Codec("G729", 8000, 1, 18), Codec("PCMU", 8000, 1, 0)))
    found = audio_terms(second, PREFERENCES)
    assert found is not None and found.payload_type == 0


def test_our_offer_can_be_written() -> None:
    stream = LocalStream("audio", 4000, "192.0.2.2", codecs=offered_codecs(replace(PREFERENCES, comfort=True)))
    written = offer([stream], Origin.of(1, "192.0.2.2")).encode()
    assert b"m=audio 4000 RTP/AVP 9 0 8 13 101\r\n" in written
