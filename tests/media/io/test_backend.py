"""The media of a process: sessions, one beat, one certificate, and the end of all."""

import asyncio
from dataclasses import replace

from ringback.media.backend import MediaBackend, MediaSession
from ringback.media.io.backend import InProcessMedia
from ringback.sdp.description import parse
from tests.media.io.calls import PLAIN, Tone, calling, stream_of
from tests.media.io.virtual import run


def test_it_is_a_media_backend() -> None:
    async def test() -> None:
        media: MediaBackend = InProcessMedia()
        session: MediaSession = media.open(PLAIN)
        assert session.preferences is PLAIN
        assert (session.direction, session.held, session.encrypted) == ("inactive", False, "")
        assert list(session.changes) == [] and list(session.reports()) == []
        await media.close()

    run(test())


def test_all_sessions_share_a_certificate_and_none_a_key() -> None:
    async def test() -> None:
        media = InProcessMedia()
        wanted = replace(PLAIN, encryption="offer", keying=("dtls", "sdes"))
        offers = [parse(await media.open(wanted).offer()) for _ in range(3)]
        fingerprints = [offer.media[0].values("fingerprint") for offer in offers]
        assert fingerprints[0] == fingerprints[1] == fingerprints[2] != []
        keys = [key for offer in offers for key in offer.media[0].values("crypto")]
        assert len(set(keys)) == len(keys) == 6
        assert len({offer.origin.session_id for offer in offers}) == 3
        await media.close()

    run(test())


def test_the_beat_stands_still_without_calls() -> None:
    async def test() -> None:
        media = InProcessMedia()
        session, other = media.open(PLAIN), media.open(PLAIN)
        offer = await session.offer()
        assert (len(media), len(media.ticker)) == (2, 0)
        await session.accept(await other.answer(offer))
        assert len(media.ticker) == 2
        await session.close()
        assert (len(media), len(media.ticker)) == (1, 1)
        await media.close()
        assert (len(media), len(media.ticker)) == (0, 0)
        await asyncio.sleep(1)

    run(test())


def test_who_closes_says_goodbye_and_the_other_hears_silence() -> None:
    async def test() -> None:
        async with calling() as call:
            call.play()
            await asyncio.sleep(1)
            stream = stream_of(call.other)
            await call.one.close()
            await asyncio.sleep(0.5)
            assert stream.reporting.gone == ""
            call.other_hears.clear()
            await asyncio.sleep(0.5)
            assert call.other_hears.frames == []

    run(test())


def test_marks_and_sources_of_a_closed_call_are_flushed() -> None:
    async def test() -> None:
        async with calling() as call:
            told: list[bool] = []
            call.one.audio.playout.play(Tone(440))
            call.one.audio.playout.mark(told.append)
            await asyncio.sleep(0.2)
            assert told == []
            await call.one.close()
            assert told == [False]

    run(test())
