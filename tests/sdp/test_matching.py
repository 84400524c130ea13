from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.sdp.description import parse
from ringback.sdp.formats import Codec
from ringback.sdp.matching import answered_codecs
from ringback.sdp.streams import LocalStream, Policy
from ringback.sdp.view import views
from tests.sdp.samples import CHROMIUM, LINPHONE

PCMU, PCMA, G722 = Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("G722", 8000)
OPUS = Codec("opus", 48000, 2, parameters={"useinbandfec": "1"})


def event(payload_type: int, rate: int = 8000, events: str = "0-15") -> Codec:
    return Codec("telephone-event", rate, 1, payload_type, {events: ""} if events else {})


def audio(*codecs: Codec, dtmf: bool = True) -> LocalStream:
    return LocalStream("audio", 4000, "192.0.2.1", codecs, dtmf=dtmf)


def answered(offered: list[Codec], stream: LocalStream, policy: Policy | None = None) -> list[tuple[int, str, str]]:
    found = answered_codecs(offered, stream, policy or Policy())
    return [(codec.payload_type, codec.rtpmap, codec.fmtp) for codec in found]


def numbered(*codecs: Codec) -> list[Codec]:
    return [codec if codec.payload_type >= 0 else codec.numbered(at) for at, codec in enumerate(codecs)]


def test_order_and_numbers_are_those_of_the_offer() -> None:
    offered = [PCMA.numbered(8), OPUS.numbered(111), PCMU.numbered(0)]
    assert answered(offered, audio(PCMU, OPUS, dtmf=False)) == [
        (111, "opus/48000/2", "useinbandfec=1"),
        (0, "PCMU/8000", ""),
    ]
    own = Policy(own_order=True)
    assert [number for number, _, _ in answered(offered, audio(PCMU, OPUS, dtmf=False), own)] == [0, 111]
    single = Policy(single_codec=True)
    assert [number for number, _, _ in answered(offered, audio(PCMU, OPUS), single)] == [111]


def test_nothing_in_common() -> None:
    assert answered([PCMA.numbered(8), event(101)], audio(PCMU)) == []
    assert answered([event(101), Codec("CN", 8000, 1, 13)], audio(PCMU)) == []
    assert answered([], audio(PCMU)) == []
    assert answered([PCMU.numbered(0)], audio()) == []


@pytest.mark.parametrize(
    ("media", "events", "expected"),
    [
        # On the clock of what was taken.
        ([OPUS, PCMU], [event(101), event(110, 48000)], [101, 110]),
        ([PCMU], [event(101), event(110, 48000)], [101]),
        ([OPUS], [event(101), event(110, 48000)], [110]),
        # Opus, and events on one clock only that mean all.
        ([OPUS], [event(101)], [101]),
        ([OPUS], [event(99, 16000)], []),
        ([G722], [event(101), event(99, 16000)], [101]),
        ([PCMU], [], []),
    ],
)
def test_events_are_taken_on_the_clocks_of_the_codecs(
    media: list[Codec], events: list[Codec], expected: list[int]
) -> None:
    offered = numbered(*media, *events)
    found = answered_codecs(offered, audio(OPUS, G722, PCMU), Policy())
    assert [codec.payload_type for codec in found if codec.is_event] == expected
    assert not any(codec.is_event for codec in answered_codecs(offered, audio(OPUS, G722, PCMU, dtmf=False), Policy()))


def test_the_events_of_the_answer_are_those_that_both_know() -> None:
    stream = audio(PCMU)
    assert answered([PCMU.numbered(0), event(101, events="0-11,66")], stream)[1] == (
        *(101, "telephone-event/8000", "0-11"),
    )
    assert answered([PCMU.numbered(0), event(101, events="")], stream)[1][2] == "0-15"
    assert len(answered([PCMU.numbered(0), event(101, events="66")], stream)) == 1
    own = audio(PCMU, event(-1, events="0-9"), dtmf=False)
    assert answered([PCMU.numbered(0), event(96)], own)[1] == (96, "telephone-event/8000", "0-9")


def test_a_stream_of_events_alone() -> None:
    assert answered([event(98)], audio(event(-1), dtmf=False)) == [(98, "telephone-event/8000", "0-15")]
    assert answered([event(98, 16000)], audio(event(-1), dtmf=False)) == [(98, "telephone-event/16000", "0-15")]


def test_comfort_noise_goes_with_its_clock() -> None:
    noise, wide = Codec("CN", 8000, 1, 13), Codec("CN", 16000, 1, 105)
    stream = audio(OPUS, PCMU, Codec("CN", 8000), Codec("CN", 16000), dtmf=False)
    assert [number for number, _, _ in answered([PCMU.numbered(0), noise, wide], stream)] == [0, 13]
    assert [number for number, _, _ in answered([OPUS.numbered(96), noise], stream)] == [96]
    assert [number for number, _, _ in answered([PCMU.numbered(0), noise], audio(PCMU))] == [0]


def test_parameters_of_opus_are_our_own() -> None:
    theirs = replace(OPUS, payload_type=111, parameters={"minptime": "10", "x-unknown": "1"})
    assert answered([theirs], audio(replace(OPUS, parameters={}), dtmf=False)) == [(111, "opus/48000/2", "")]
    assert answered([replace(theirs, channels=1)], audio(OPUS, dtmf=False)) == [
        (111, "opus/48000/2", "useinbandfec=1"),
    ]


def test_parameters_that_choose_the_format_are_the_offers() -> None:
    parameters = {
        "profile-level-id": "42e01f",
        "packetization-mode": "1",
        "level-asymmetry-allowed": "1",
        "sprop-parameter-sets": "Z0,aM",
    }
    theirs = Codec("H264", 90000, 1, 102, parameters)
    stream = LocalStream("video", 5000, "192.0.2.1", [Codec("H264", 90000, parameters={"packetization-mode": "1"})])
    assert answered([theirs], stream) == [(102, "H264/90000", "profile-level-id=42e01f;packetization-mode=1")]
    ours = Codec("H264", 90000, parameters={"Profile-Level-Id": "42E00a", "packetization-mode": "1", "max-fs": "99"})
    (found,) = answered([theirs], replace(stream, codecs=[ours]))
    assert found[2] == "profile-level-id=42e01f;packetization-mode=1;max-fs=99"
    other = Codec("H264", 90000, parameters={"profile-level-id": "64001f", "packetization-mode": "1"})
    assert answered([theirs], replace(stream, codecs=[other])) == []


def test_parameters_of_what_is_only_carried_are_repeated() -> None:
    theirs = Codec("MP4V-ES", 90000, 1, 98, {"profile-level-id": "1", "sprop-x": "y"})
    stream = LocalStream("video", 5000, "192.0.2.1", [Codec("MP4V-ES", 90000)])
    assert answered([theirs], stream) == [(98, "MP4V-ES/90000", "profile-level-id=1")]


def test_repair_and_redundancy_go_with_what_was_taken() -> None:
    offered = views(parse(CHROMIUM))[1].codecs
    stream = LocalStream("video", 5000, "192.0.2.1", [Codec("VP8", 90000), Codec("rtx", 90000)])
    assert answered(offered, stream) == [(96, "VP8/90000", ""), (97, "rtx/90000", "apt=96")]
    assert answered(offered, replace(stream, codecs=[Codec("VP8", 90000)])) == [(96, "VP8/90000", "")]
    sound = views(parse(CHROMIUM))[0].codecs
    assert (63, "red/48000/2", "111/111") in answered(sound, audio(OPUS, Codec("red", 48000, 2)))
    assert all(number != 63 for number, _, _ in answered(sound, audio(PCMU, Codec("red", 48000, 2))))
    text = LocalStream("text", 5000, "192.0.2.1", [Codec("t140", 1000), Codec("red", 1000)])
    lines = [Codec("red", 1000, 1, 100, {"98/98/98": ""}), Codec("t140", 1000, 1, 98)]
    assert answered(lines, text) == [(100, "red/1000", "98/98/98"), (98, "t140/1000", "")]


@pytest.mark.parametrize("apt", ["", "x", "96x", "\u0669", "9999", "98"])
def test_repair_of_nothing_is_not_taken(apt: str) -> None:
    offered = [Codec("VP8", 90000, 1, 96), Codec("rtx", 90000, 1, 97, {"apt": apt})]
    stream = LocalStream("video", 5000, "192.0.2.1", [Codec("VP8", 90000), Codec("rtx", 90000)])
    assert [number for number, _, _ in answered(offered, stream)] == [96]


def test_feedback_is_what_both_have() -> None:
    offered = views(parse(LINPHONE))[1].codecs
    ours = Codec("VP8", 90000, feedback=("nack pli", "ccm fir"))
    (codec,) = answered_codecs(offered, LocalStream("video", 5000, "192.0.2.1", [ours]), Policy())
    assert codec.feedback == ("nack pli",)


def test_a_codec_that_is_offered_often_is_taken_once() -> None:
    offered = [OPUS.numbered(number) for number in range(60)] + [event(number) for number in range(60, 120)]
    offered += [Codec("red", 48000, 2, number, {f"{'0/' * (number - 119)}0": ""}) for number in range(120, 128)]
    found = answered_codecs(offered, audio(OPUS, Codec("red", 48000, 2)), Policy())
    assert [codec.payload_type for codec in found] == [0, 60, 120]
