"""The stream of sound in the beat: when it begins, what goes out, and its end."""

from dataclasses import replace

import pytest

from ringback.media.backend import MediaError
from ringback.media.io.audio import AudioLeg
from ringback.media.io.backend import InProcessMedia
from ringback.sdp.negotiation import Agreed, Codec
from tests.media.io.calls import PLAIN, calling
from tests.media.io.virtual import run


def test_nothing_happens_in_a_beat_before_anything_was_agreed() -> None:
    async def test() -> None:
        media = InProcessMedia()
        session = media.open(PLAIN)
        leg: AudioLeg = session._leg
        leg.receive(1.0)
        leg.send(1.0)
        assert leg.reports(1.0) == [] and leg.stream is None
        await session.offer()
        leg.send(1.02)
        assert len(media.ticker) == 0
        await media.close()

    run(test())


def test_a_codec_that_is_not_here_is_a_media_error() -> None:
    async def test() -> None:
        leg = InProcessMedia().open(PLAIN)._leg
        agreed = Agreed(0, "audio", True, codecs=(Codec("G729", 8000, 1, 18),), direction="sendrecv")
        with pytest.raises(MediaError, match="no codec"):
            leg.terms(agreed, PLAIN)

    run(test())


def test_what_flows_goes_through_the_transport_in_use() -> None:
    async def test() -> None:
        async with calling() as call:
            leg = call.one._leg
            sent = leg.transport.counts.sent
            for beat in range(10):
                leg.send(2000.0 + beat * 0.02)
            # Ten packets, and a report that was due.
            assert leg.transport.counts.sent - sent == 11
            leg.stop()
            leg.send(2001.0)
            assert leg.transport.counts.sent - sent == 11

    run(test())


def test_repair_is_there_only_where_it_is_wanted() -> None:
    async def test() -> None:
        async with calling() as call:
            assert call.one._leg.repair is not None
            await call.exchange(repair=False)
            assert call.one._leg.repair is None
            assert [report.direction for report in call.one.reports()] == ["received"]

    run(test())


def test_the_end_is_said_once() -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, encryption="require", keying=("sdes",))) as call:
            leg = call.one._leg
            call.play()
            for beat in range(3):
                leg.send(3000.0 + beat / 50)
            sent = leg.transport.counts.sent
            leg.close()
            leg.close()
            assert leg.transport.counts.sent == sent + 1
            assert not leg.transport.send_rtp(bytes(12))

    run(test())
