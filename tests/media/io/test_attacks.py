"""Bad media (RELIABILITY A25 to A28) against a running call: it goes on, the sound is right, and nothing leaks."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ringback.media.rtp import encode_rtp
from ringback.sdp.description import parse
from tests.media.io.calls import PLAIN, Call, Ear, LossyLink, calling, spectrum, stream_of, tone
from tests.media.io.virtual import run

KINDS = {
    "plain": PLAIN,
    "sdes": replace(PLAIN, encryption="require", keying=("sdes",)),
    "dtls": replace(PLAIN, encryption="require", keying=("dtls",)),
}


@contextmanager
def stranger(host: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A socket that belongs to nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        sock.setblocking(False)
        yield sock


def ports_of(call: Call) -> tuple[tuple[str, int], tuple[str, int]]:
    """Where the other receives RTP and RTCP."""
    parameters = call.other._leg.transport.parameters()
    return (parameters.address, parameters.port), (parameters.address, parameters.rtcp_port)


async def sound_is_right(call: Call, seconds: float = 1.0) -> None:
    call.other_hears.clear()
    await asyncio.sleep(seconds)
    frequency, amplitude, share = spectrum(call.other_hears.sound(), 8000)
    assert abs(frequency - 440) < 2 / seconds and 7000 < amplitude < 8600 and share > 0.98
    assert len(call.other_hears.frames) >= 50 * seconds - 1


def nothing_came(sock: socket.socket) -> bool:
    try:
        sock.recvfrom(2048)
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_a_spray_of_rtp_is_neither_heard_nor_answered(kind: str) -> None:
    """A25: other sources, of every kind of address, with sequences that look right, before and while the call runs."""

    async def test() -> None:
        async with calling(KINDS[kind]) as call:
            call.one.audio.playout.put(tone(440, 8000, 20))
            await asyncio.sleep(0.5)
            target, control = ports_of(call)
            chance = random.Random(7)
            with stranger() as near, stranger("127.0.0.3") as far:
                source = stream_of(call.other).reception.source.ssrc
                for number in range(500):
                    for sock in (near, far):
                        noise = bytes(chance.randrange(256) for _ in range(160))
                        # Its own source, and that of the call with numbers that are ahead.
                        sock.sendto(encode_rtp(0, number, number * 160, 0xBAD, noise), target)
                        sock.sendto(encode_rtp(0, number & 0xFFFF, number * 160, source, noise), target)
                        sock.sendto(bytes((0x81, 203, 0, 1)) + source.to_bytes(4, "big"), target)
                        sock.sendto(bytes((0x80, 201, 0, 1)) + bytes(4), control)
                    if number % 10 == 0:
                        await asyncio.sleep(0.02)
                await sound_is_right(call)
                # Not a packet goes to a stranger (the leak of RTP bleed).
                assert nothing_came(near) and nothing_came(far)
            stream = stream_of(call.other)
            assert (stream.reception.changes, stream.receiving.jitter.lost) == (0, 0)
            assert stream.reporting.gone is None
            counts = call.other._leg.transport.counts
            assert counts.foreign + counts.refused >= 2000

    run(test())


def test_who_is_first_is_not_believed_before_the_signalled_address() -> None:
    """A25: until the right one speaks, five packets of all others together are taken at most; strictly, none."""

    async def test(strict: bool) -> int:
        async with calling(PLAIN, replace(PLAIN, strict=strict)) as call:
            await call.exchange(direction="recvonly")
            target, _ = ports_of(call)
            with stranger("127.0.0.3") as sock:
                for number in range(10):
                    # Numbers that do not follow each other.
                    sock.sendto(encode_rtp(0, number * 1000, number * 160, 0xBAD, bytes(160)), target)
                await asyncio.sleep(0.1)
                assert nothing_came(sock)
            taken: int = call.other._leg.transport.counts.received
            return taken

    assert run(test(False)) <= 5
    assert run(test(True)) == 0


def test_a_far_end_behind_a_nat_is_found_where_it_sends_from() -> None:
    """RFC 4961: SDP names an address that nothing comes from."""

    async def test() -> None:
        async with calling() as call:
            offer = await call.one.offer()
            port = parse(offer).media[0].port
            # What the other is told leads nowhere: the port is that of nobody.
            with stranger() as nobody:
                wrong = nobody.getsockname()[1]
                hidden = offer.replace(b"m=audio %d" % port, b"m=audio %d" % wrong)
                await call.one.accept(await call.other.answer(hidden))
                call.play()
                await asyncio.sleep(3)
                call.one_hears.clear()
                await sound_is_right(call)
                frequency, _, share = spectrum(call.one_hears.sound(), 8000)
                assert abs(frequency - 1000) < 2 and share > 0.98

    run(test())


@pytest.mark.parametrize("kind", ["sdes", "dtls"])
def test_bad_srtp_is_counted_and_ends_nothing(kind: str) -> None:
    """A26: a hundred and more packets of the far end's own address that fail authentication, and replayed ones."""

    async def test() -> None:
        async with calling(KINDS[kind]) as call:
            call.one.audio.playout.put(tone(440, 8000, 20))
            await asyncio.sleep(0.5)
            transport = call.one._leg.transport
            path = transport._path
            sent: list[bytes] = []
            send = path.send

            def copy(component: int, data: bytes, to: Any = None) -> bool:
                sent.append(data)
                return bool(send(component, data, to))

            path.send = copy
            for _ in range(100):
                await asyncio.sleep(0.02)
                data = sent[-1]
                # Changed in the payload, in the tag, in the header; cut; grown; and once more as it was.
                for bad in (
                    data[:20] + bytes([data[20] ^ 1]) + data[21:],
                    data[:-1] + bytes([data[-1] ^ 1]),
                    data[:2] + bytes([data[2] ^ 0x40]) + data[3:],
                    data[:40],
                    data + bytes(4),
                    data,
                ):
                    send(1, bad, None)
            await asyncio.sleep(0.001)
            counts = call.other._leg.transport.counts
            # A number that was used already is a replay, whatever the tag.
            assert counts.refused + counts.replayed == 600
            assert counts.received == transport.counts.sent
            await sound_is_right(call)
            assert stream_of(call.other).receiving.jitter.duplicated == 0

    run(test())


def test_datagrams_of_no_kind_and_cut_ones_end_nothing() -> None:
    """A28: four octets of RTCP, empty ones, every first octet, cut packets, from the far end's own address."""

    async def test() -> None:
        async with calling() as call:
            call.one.audio.playout.put(tone(440, 8000, 30))
            await asyncio.sleep(0.5)
            path = call.one._leg.transport._path
            chance = random.Random(3)
            good = encode_rtp(0, 1, 1, 1, bytes(160))
            for first in range(256):
                for size in (0, 1, 2, 4, 11, 12, 13, 20, 172, 1500, 2047):
                    data = bytes([first]) + bytes(chance.randrange(256) for _ in range(size))
                    path.send(1, data[:size], None)
                path.send(1, good[: first % len(good)], None)
                if first % 8 == 0:
                    await asyncio.sleep(0.02)
            for size in range(4, 64, 4):
                for kind in range(200, 208):
                    path.send(1, bytes((0x9F, kind, 0, size // 4 - 1)) + bytes(size - 4), None)
                    path.send(1, bytes((0xBF, kind, 0xFF, 0xFF)) + bytes(size - 4), None)
            # What was heard of it has been played.
            await asyncio.sleep(1.5)
            await sound_is_right(call)

    run(test())


@pytest.mark.parametrize(
    "wild",
    ["single", "jump", "backwards", "still", "random"],
)
def test_wild_timestamps_and_numbers_do_not_stop_the_sound(wild: str) -> None:
    """A28: of the far end itself. What makes no sense is dropped; when it makes sense again, it is heard again."""

    async def test() -> None:
        async with calling() as call:
            call.one.audio.playout.put(tone(440, 8000, 60))
            await asyncio.sleep(0.5)
            chance = random.Random(5)
            count = 0

            def change(data: bytes) -> bytes:
                nonlocal count
                count += 1
                sequence, timestamp = int.from_bytes(data[2:4], "big"), int.from_bytes(data[4:8], "big")
                if wild == "single" and count % 10 == 0:
                    timestamp += chance.randrange(1 << 32)
                elif wild == "jump" and count >= 50:
                    timestamp, sequence = timestamp + 0x70000000, sequence + 20000
                elif wild == "backwards" and count >= 50:
                    timestamp -= 16000
                elif wild == "still" and 50 <= count < 100:
                    timestamp = 0
                elif wild == "random" and 50 <= count < 150:
                    timestamp, sequence = chance.randrange(1 << 32), chance.randrange(1 << 16)
                return (
                    data[:2]
                    + (sequence & 0xFFFF).to_bytes(2, "big")
                    + (timestamp & 0xFFFFFFFF).to_bytes(4, "big")
                    + data[8:]
                )

            LossyLink(call.one, change=change)
            await asyncio.sleep(6)
            ear: Ear = call.other_hears
            ear.clear()
            await asyncio.sleep(2)
            frequency, amplitude, _ = spectrum(ear.sound(), 8000)
            assert abs(frequency - 440) < 2 and amplitude > 5000
            assert min(float(np.abs(samples).max()) for _, samples in ear.frames) > 3000
            jitter = stream_of(call.other).receiving.jitter
            assert len(jitter) < 30 and jitter.delay < 0.5

    run(test())


def test_payload_types_that_nobody_agreed_on_are_dropped_and_counted() -> None:
    async def test() -> None:
        async with calling() as call:
            call.one.audio.playout.put(tone(440, 8000, 20))
            await asyncio.sleep(0.5)
            path = call.one._leg.transport._path
            source = stream_of(call.one).sender.ssrc
            before = stream_of(call.other).receiving.unknown
            for number in range(200):
                path.send(1, encode_rtp(96 + number % 4, number, number * 160, 0xBAD, bytes(40)), None)
                if number % 20 == 0:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(0.02)
            assert stream_of(call.other).receiving.unknown - before == 200
            assert stream_of(call.other).reception.source.ssrc == source
            await sound_is_right(call)

    run(test())


def test_a_flood_on_one_call_does_not_silence_another() -> None:
    async def test() -> None:
        async with calling() as flooded, calling() as other:
            other.one.audio.playout.put(tone(440, 8000, 20))
            await asyncio.sleep(0.5)
            target, _ = ports_of(flooded)
            with stranger() as sock:
                for _ in range(50):
                    for number in range(100):
                        sock.sendto(encode_rtp(0, number, number * 160, 0xBAD, bytes(160)), target)
                    await asyncio.sleep(0.02)
            await sound_is_right(other)
            assert stream_of(other.other).receiving.jitter.lost == 0

    run(test())
