"""Video and text beside the sound: negotiated, protected, held, and passed on packet by packet."""

import asyncio
from dataclasses import replace

import pytest

from ringback.media.backend import Carried
from ringback.media.io.backend import InProcessMedia
from ringback.media.io.carried import carried_codecs
from ringback.media.rtp import encode_rtp
from ringback.sdp.description import parse
from tests.media.io.calls import PLAIN, calling, spectrum
from tests.media.io.virtual import run

VIDEO = Carried("video", ("VP8/90000", "H264/90000"))
TEXT = Carried("text", ("t140/1000",))
RTCP = bytes((0x80, 201, 0, 1)) + bytes(4)


@pytest.mark.parametrize("keying", ["", "sdes", "dtls"])
def test_packets_are_passed_on_both_ways_beside_the_sound(keying: str) -> None:
    async def test() -> None:
        wanted = replace(PLAIN, encryption="require" if keying else "none", keying=(keying,), carried=(VIDEO, TEXT))
        async with calling(wanted) as call:
            call.play()
            for kind, rtpmap in (("video", "VP8/90000"), ("text", "t140/1000")):
                one, other = call.one.carried[kind], call.other.carried[kind]
                assert one.active and next(iter(one.formats.values())) == rtpmap and one.formats == other.formats
                heard: list[bytes] = []
                reports: list[bytes] = []
                other.on_packet = lambda data, arrival, heard=heard: heard.append(data)  # type: ignore[misc]
                other.on_control = lambda data, arrival, reports=reports: reports.append(data)  # type: ignore[misc]
                packets = [encode_rtp(next(iter(one.formats)), number, 0, 7, bytes(900)) for number in range(20)]
                for packet in packets:
                    assert one.send(packet)
                assert one.send_control(RTCP)
                await asyncio.sleep(0.1)
                assert heard == packets and reports == [RTCP]
            await asyncio.sleep(1)
            assert spectrum(call.other_hears.sound(0.5), 8000)[0] == 440

    run(test())


def test_what_only_one_side_wants_is_not_there_and_the_sound_is() -> None:
    async def test() -> None:
        for one, other in ((VIDEO,), ()), ((), (VIDEO,)), ((VIDEO,), (Carried("video", ("VP9/90000",)),)):
            async with calling(replace(PLAIN, carried=one), replace(PLAIN, carried=other)) as call:
                for session in (call.one, call.other):
                    assert session.direction == "sendrecv"
                    for stream in session.carried.values():
                        assert not stream.active and not stream.send(bytes(12)) and stream.formats == {}
                        assert not stream.send_control(RTCP)

    run(test())


def test_on_hold_nothing_is_passed_on_and_a_stream_may_come_and_go() -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, carried=(VIDEO,))) as call:
            one, other = call.one.carried["video"], call.other.carried["video"]
            heard: list[bytes] = []
            other.on_packet = lambda data, arrival: heard.append(data)
            packet = encode_rtp(next(iter(one.formats)), 1, 0, 7, bytes(100))
            await call.exchange(direction="sendonly")
            assert not other.send(packet) and one.send(packet)
            await asyncio.sleep(0.1)
            await call.exchange(direction="inactive")
            assert not one.send(packet)
            assert heard == [packet]
            # Video is given up, the sound stays; then it comes back on the same m-line.
            offer = parse(await call.one.offer(replace(PLAIN, carried=())))
            assert [(part.kind, part.port > 0) for part in offer.media] == [("audio", True), ("video", False)]
            await call.exchange(direction="sendrecv", carried=())
            assert not one.active and call.one.direction == "sendrecv"
            await call.exchange(carried=(VIDEO,))
            assert one.active and other.active and one.send(packet)
            again = parse(await call.one.offer())
            assert [(part.kind, part.port > 0) for part in again.media] == [("audio", True), ("video", True)]
            await asyncio.sleep(0.1)
            assert len(heard) == 2

    run(test())


def test_ports_of_all_streams_are_given_back() -> None:
    async def test() -> None:
        media = InProcessMedia()
        wanted = replace(PLAIN, ports=(22000, 22003), carried=(VIDEO,))
        for _ in range(2):
            session = media.open(wanted)
            assert len(parse(await session.offer()).media) == 2
            await session.close()

    run(test())


def test_packets_that_nobody_wants_are_counted() -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, carried=(VIDEO,))) as call:
            one, other = call.one.carried["video"], call.other.carried["video"]
            assert one.send(encode_rtp(next(iter(one.formats)), 1, 0, 7, bytes(10)))
            one.send_control(RTCP)
            await asyncio.sleep(0.1)
            assert other.withheld == 1

    run(test())


def test_rtpmaps_are_read() -> None:
    found = carried_codecs(("VP8/90000", "red/8000/2", "nonsense", "x/y", "/8000", "a/1/b"))
    assert [codec.rtpmap for codec in found] == ["VP8/90000", "red/8000/2"]
