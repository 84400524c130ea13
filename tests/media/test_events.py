"""Telephone events (RFC 4733): what is sent, and that every digit is reported once, whatever the network does."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.media.events import (
    DIGITS,
    EventEnded,
    EventPacket,
    EventReceiver,
    EventSender,
    EventStarted,
    Report,
    build,
    digit_of,
    event_of,
    parse,
    read_parameter,
)

FRAME = 160


def sent(sender: EventSender, timestamp: int = 1000, interval: int = FRAME, most: int = 10_000) -> list[EventPacket]:
    """All packets until nothing is left."""
    packets = []
    for _ in range(most):
        if not sender.busy:
            return packets
        packets += sender.packets(timestamp)
        timestamp = (timestamp + interval) % 2**32
    raise AssertionError("it does not end")


def shown(packet: EventPacket) -> tuple[int, bool, int, int, bool]:
    """Event, marker, timestamp, duration, end."""
    (report,) = parse(packet.payload)
    return report.event, packet.marker, packet.timestamp, report.duration, report.end


def told(receiver: EventReceiver, packets: list[EventPacket]) -> list[EventStarted | EventEnded]:
    return [event for packet in packets for event in receiver.receive(packet.payload, packet.timestamp, packet.marker)]


def digits(events: list[EventStarted | EventEnded]) -> str:
    return "".join(event.digit for event in events if isinstance(event, EventStarted))


# the payload --------------------------------------------------------------------------------------------------------


def test_the_payload_of_figure_1() -> None:
    assert build(Report(11, True, 10, 800)) == bytes([11, 0x8A, 0x03, 0x20])
    assert parse(bytes([11, 0x8A, 0x03, 0x20])) == [Report(11, True, 10, 800)]


def test_the_reserved_bit_is_ignored() -> None:
    assert parse(bytes([1, 0x40 | 63, 0, 160])) == [Report(1, False, 63, 160)]


def test_several_events_in_one_packet() -> None:
    first, second = Report(1, True, 10, 400), Report(2, False, 10, 160)
    assert parse(build(first) + build(second)) == [first, second]
    # Octets that are no whole report are left out, and so is what no packet would hold.
    assert parse(build(first) + b"\x01\x02") == [first]
    assert len(parse(build(first) * 300)) == 16


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x02\x03"])
def test_a_payload_without_a_report_is_an_error(payload: bytes) -> None:
    with pytest.raises(ParseError, match="at least 4"):
        parse(payload)


def test_codes_and_digits() -> None:
    assert [event_of(digit) for digit in "0123456789*#ABCDabcd"] == [*range(16), 12, 13, 14, 15]
    assert "".join(digit_of(event) for event in range(-1, 20)) == DIGITS
    for wrong in ("", "12", "E", "ä"):
        with pytest.raises(LocalError, match="is no DTMF digit"):
            event_of(wrong)


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("0-15", set(range(16))),
        ("0-15,66,70", {*range(16), 66, 70}),
        ("", set(range(16))),
        ("3", {3}),
        ("66,0-2", {0, 1, 2, 66}),
        (' events="0-1" ', {0, 1}),
        ("0-15,x,300,5-,-5,9-4,1-999", set(range(16))),
        ("x", set()),
        ("0-99999999999", set()),
        ("," * 100_000, set()),
    ],
)
def test_the_parameter_of_section_2_4_1(text: str, events: set[int]) -> None:
    assert read_parameter(text) == events


# sending ------------------------------------------------------------------------------------------------------------


def test_a_digit_of_100_ms() -> None:
    sender = EventSender(8000, FRAME)
    assert sender.send("5", 100) == pytest.approx(0.18)
    assert [shown(packet) for packet in sent(sender)] == [
        (5, True, 1000, 160, False),
        (5, False, 1000, 320, False),
        (5, False, 1000, 480, False),
        (5, False, 1000, 640, False),
        (5, False, 1000, 800, True),
        (5, False, 1000, 800, True),
        (5, False, 1000, 800, True),
    ]


def test_the_last_report_has_the_exact_duration() -> None:
    sender = EventSender(8000, FRAME)
    sender.send("1", 50)
    assert [shown(packet)[3:] for packet in sent(sender)] == [
        (160, False), (320, False), (400, True), (400, True), (400, True)
    ]  # fmt: skip


def test_the_clock_is_that_of_the_sound() -> None:
    sender = EventSender(48000, 960)
    sender.send("1", 40)
    assert [shown(packet)[3] for packet in sent(sender, interval=960)] == [960, 1920, 1920, 1920]


def test_between_digits_there_is_a_pause() -> None:
    sender = EventSender(8000, FRAME)
    sender.send("12", 40, pause=80)
    beats = [sender.packets(1000 + beat * FRAME) for beat in range(13)]
    # 40 ms of digit, then 80 ms from its end to the next one; 40 of them are repetitions.
    assert [len(packets) for packets in beats] == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0]
    assert shown(beats[6][0]) == (2, True, 1000 + 6 * FRAME, 160, False)
    assert not sender.busy


def test_other_digits_can_be_added_and_flushed() -> None:
    sender = EventSender(8000, FRAME)
    sender.send("1", 100)
    sender.packets(0)
    sender.send("23", 100)
    sender.flush()
    assert {shown(packet)[0] for packet in sent(sender)} == {1}


def test_the_volume() -> None:
    sender = EventSender(8000, FRAME)
    sender.send("1", volume=7)
    assert {parse(packet.payload)[0].volume for packet in sent(sender)} == {7}


def test_a_long_event_goes_in_segments() -> None:
    sender = EventSender(8000, FRAME)
    sender.send("9", 20_000)
    packets = [shown(packet) for packet in sent(sender, timestamp=2**32 - 70_000)]
    first, second, third = (2**32 - 70_000 + segment * 0xFFFF for segment in range(3))
    timestamps = {timestamp % 2**32 for timestamp in (first, second, third)}
    assert {timestamp for _, _, timestamp, _, _ in packets} == timestamps
    # One marker at the very beginning, three full reports of each full segment without an end, three ends.
    assert [marker for _, marker, _, _, _ in packets] == [True] + [False] * (len(packets) - 1)
    for segment in (first, second):
        assert [end for _, _, t, duration, end in packets if t == segment % 2**32 and duration == 0xFFFF] == [False] * 3
    assert [packet[2:] for packet in packets if packet[4]] == [(third % 2**32, 160_000 - 2 * 0xFFFF, True)] * 3
    by_interval = [duration for _, _, timestamp, duration, _ in packets if timestamp == second % 2**32]
    assert by_interval[0] == 410 * FRAME - 0xFFFF


def test_an_event_of_exactly_one_segment_ends() -> None:
    sender = EventSender(0xFFFF, 1311)
    sender.send("9", 1000)
    last = [shown(packet) for packet in sent(sender, interval=1311)][-3:]
    assert last == [(9, False, 1000, 0xFFFF, True)] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"digits": "1x"}, "'x' is no DTMF digit"),
        ({"digits": "1", "milliseconds": 39}, "a digit lasts 40 to 60000 ms, not 39"),
        ({"digits": "1", "milliseconds": 60_001}, "a digit lasts 40 to 60000 ms, not 60001"),
        ({"digits": "1", "pause": 10}, "a pause between digits lasts 40 to 60000 ms, not 10"),
        ({"digits": "1", "volume": 64}, "the volume of a digit is 0 to 63"),
    ],
)
def test_what_cannot_be_sent(arguments: dict[str, object], message: str) -> None:
    sender = EventSender(8000, FRAME)
    with pytest.raises(LocalError, match=message):
        sender.send(**arguments)  # type: ignore[arg-type]
    assert not sender.busy
    assert sender.packets(0) == []


# receiving ----------------------------------------------------------------------------------------------------------


def packets_of(text: str, milliseconds: int = 100, timestamp: int = 1000, pause: int = 80) -> list[EventPacket]:
    sender = EventSender(8000, FRAME)
    sender.send(text, milliseconds, pause)
    return sent(sender, timestamp)


def test_a_digit_is_reported_with_its_first_packet_and_its_end_once() -> None:
    receiver, packets = EventReceiver(8000), packets_of("5")
    assert told(receiver, packets[:1]) == [EventStarted(5, "5")]
    assert told(receiver, packets[1:]) == [EventEnded(5, "5", 800, True)]


def test_all_digits_in_order_and_twice_the_same() -> None:
    text = "1123*#ABCD990"
    assert digits(told(EventReceiver(8000), packets_of(text))) == text


def test_around_the_end_of_the_timestamps() -> None:
    receiver = EventReceiver(8000)
    events = told(receiver, packets_of("777", timestamp=2**32 - 900))
    assert [event.duration for event in events if isinstance(event, EventEnded)] == [800] * 3
    assert digits(events) == "777"


def test_any_one_packet_is_enough() -> None:
    packets = packets_of("4")
    for packet in packets:
        assert digits(told(EventReceiver(8000), [packet])) == "4"


def test_when_all_ends_are_lost_the_next_digit_ends_it() -> None:
    receiver, packets = EventReceiver(8000), packets_of("44")
    kept = [packet for packet in packets if not parse(packet.payload)[0].end]
    assert told(receiver, kept) == [EventStarted(4, "4"), EventEnded(4, "4", 640, False), EventStarted(4, "4")]


def test_when_all_ends_are_lost_the_sound_after_it_ends_it() -> None:
    receiver = EventReceiver(8000)
    told(receiver, packets_of("4")[:3])
    # Known to last 480; 150 ms of grace.
    assert receiver.advance(1000 + 480 + 1200) == []
    assert receiver.advance(500) == []
    assert receiver.advance(1000 + 480 + 1201) == [EventEnded(4, "4", 480, False)]
    assert receiver.advance(5000) == []
    # What comes late changes nothing any more.
    assert told(receiver, packets_of("4")[3:]) == []


def test_an_event_overtaken_by_the_next_is_reported_and_ended_at_once() -> None:
    receiver = EventReceiver(8000)
    first, second = packets_of("1"), packets_of("2", timestamp=3000)
    assert told(receiver, second[:2]) == [EventStarted(2, "2")]
    assert told(receiver, first) == [EventStarted(1, "1"), EventEnded(1, "1", 160, False)]
    assert told(receiver, second[2:]) == [EventEnded(2, "2", 800, True)]


def test_a_late_end_alone_is_a_complete_event() -> None:
    receiver = EventReceiver(8000)
    told(receiver, packets_of("2", timestamp=3000)[:2])
    assert told(receiver, packets_of("1")[-1:]) == [EventStarted(1, "1"), EventEnded(1, "1", 800, True)]


def test_a_long_event_is_one() -> None:
    receiver, packets = EventReceiver(8000), packets_of("9", 30_000)
    assert told(receiver, packets) == [EventStarted(9, "9"), EventEnded(9, "9", 240_000, True)]


def test_a_long_event_is_one_even_when_the_ends_of_its_segments_are_lost() -> None:
    receiver, packets = EventReceiver(8000), packets_of("9", 30_000)
    kept = [packet for packet in packets if parse(packet.payload)[0].duration < 0xFFFF - 2000]
    assert told(receiver, kept) == [EventStarted(9, "9"), EventEnded(9, "9", 240_000, True)]


def test_segments_shorter_than_the_longest_are_one_event() -> None:
    """2.5.2.3.1: what is combined with redundancy is cut into segments of 0x3FFF or less."""
    receiver = EventReceiver(8000)
    packets = [
        EventPacket(build(Report(9, False, 10, 0x3000)), 1000, True),
        EventPacket(build(Report(9, False, 10, 0x3000)), 1000 + 0x3000, False),
        EventPacket(build(Report(9, True, 10, 0x1000)), 1000 + 0x6000, False),
    ]
    assert told(receiver, packets) == [EventStarted(9, "9"), EventEnded(9, "9", 0x7000, True)]


def test_a_sender_that_lets_the_timestamp_run_on_is_understood() -> None:
    receiver = EventReceiver(8000)
    reports = [Report(6, number > 5, 10, min(number, 5) * FRAME) for number in range(1, 9)]
    packets = [EventPacket(build(report), 1000 + n * FRAME, n == 0) for n, report in enumerate(reports)]
    assert digits(told(receiver, packets)) == "6"


def test_contiguous_events_in_one_packet() -> None:
    payload = build(Report(1, True, 10, 400)) + build(Report(1, True, 10, 400)) + build(Report(2, False, 10, 160))
    events = EventReceiver(8000).receive(payload, 1000, True)
    assert digits(events) == "112"
    assert EventReceiver(8000).receive(payload, 1000, True) == events


def test_a_duration_of_zero_is_ignored() -> None:
    assert EventReceiver(8000).receive(build(Report(1, False, 10, 0)), 1000, True) == []


def test_malformed_payloads_are_counted() -> None:
    receiver = EventReceiver(8000)
    assert receiver.receive(b"\x01", 1000, True) == []
    assert receiver.malformed == 1


def test_events_that_are_no_digits_are_told_as_such() -> None:
    assert EventReceiver(8000).receive(build(Report(66, False, 0, 160)), 1000, True) == [EventStarted(66, "")]


def test_another_stream_begins_anew() -> None:
    receiver = EventReceiver(8000)
    told(receiver, packets_of("1"))
    receiver.reset()
    assert digits(told(receiver, packets_of("1"))) == "1"


def test_what_is_remembered_is_bounded() -> None:
    receiver = EventReceiver(8000)
    for number in range(10_000):
        receiver.receive(build(Report(number % 16, False, 10, 160)), number * 1000, True)
    assert len(receiver._known) == EventReceiver.REMEMBERED


@settings(max_examples=300)
@given(
    text=st.text(DIGITS, min_size=1, max_size=12),
    milliseconds=st.integers(40, 300),
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.9),
    timestamp=st.integers(0, 2**32 - 1),
)
def test_loss_and_duplicates_report_each_digit_once(
    text: str, milliseconds: int, seed: int, loss: float, timestamp: int
) -> None:
    chance = random.Random(seed)
    packets = packets_of(text, milliseconds, timestamp)
    arriving = [packet for packet in packets if chance.random() >= loss]
    arriving = [packet for packet in arriving for _ in range(chance.choice((1, 1, 2, 3)))]
    expected = []
    for packet in arriving:
        if packet.timestamp not in [known for known, _ in expected]:
            expected.append((packet.timestamp, digit_of(parse(packet.payload)[0].event)))
    events = told(EventReceiver(8000), arriving)
    assert digits(events) == "".join(digit for _, digit in expected)
    assert sum(isinstance(event, EventEnded) for event in events) in (len(expected), len(expected) - 1)


@settings(max_examples=300)
@given(text=st.text(DIGITS, min_size=1, max_size=12), seed=st.integers(0, 2**32), late=st.integers(1, 30))
def test_reordering_reports_each_digit_once(text: str, seed: int, late: int) -> None:
    chance = random.Random(seed)
    packets = packets_of(text)
    order = sorted(range(len(packets)), key=lambda place: place + chance.random() * late)
    events = told(EventReceiver(8000), [packets[place] for place in order])
    assert sorted(digits(events)) == sorted(text)
    assert sum(isinstance(event, EventEnded) for event in events) in (len(text), len(text) - 1)
    if late <= 2:
        assert digits(events) == text
