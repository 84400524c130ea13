"""Calls between two sessions: what is agreed, what is heard, and that neither the network nor a bad offer ends them."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from ringback.media import codecs
from ringback.media.backend import Change, MediaError
from ringback.media.io.backend import InProcessMedia
from ringback.sdp.description import parse
from ringback.sdp.errors import SdpError
from tests.media.io.calls import PLAIN, Call, Ear, LossyLink, calling, spectrum, stream_of, tone
from tests.media.io.virtual import run

RATES = {info.rtpmap: info.sample_rate for info in codecs.available()}
NAMES = [info.name if info.name != "L16" else f"L16/{info.clock_rate}" for info in codecs.available()]


async def hears_both(call: Call, seconds: float = 1.0) -> None:
    """Let both speak, and see that each hears the other's tone and nothing else."""
    await asyncio.sleep(0.5)
    call.one_hears.clear()
    call.other_hears.clear()
    await asyncio.sleep(seconds)
    for ear, frequency in ((call.other_hears, 440.0), (call.one_hears, 1000.0)):
        assert len(ear.frames) >= 50 * seconds - 1
        heard, amplitude, share = spectrum(ear.sound(), ear.rates[0])
        assert abs(heard - frequency) < 2.0 / seconds
        assert 7000 < amplitude < 8600
        assert share > 0.98


@pytest.mark.parametrize("codec", NAMES)
def test_each_codec_carries_tones_both_ways(codec: str) -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, codecs=(codec,))) as call:
            agreed = call.one._leg.agreed
            assert agreed is not None and agreed.codec is not None
            assert call.one.audio.rate == RATES[agreed.codec.rtpmap]
            call.play()
            await hears_both(call)
            for session in (call.one, call.other):
                stream = stream_of(session)
                assert (stream.receiving.jitter.lost, stream.receiving.concealed, stream.receiving.malformed) == (
                    0,
                    0,
                    0,
                )

    run(test())


@pytest.mark.parametrize("keying", [("sdes",), ("dtls",), ("dtls", "sdes"), ("sdes", "dtls")])
@pytest.mark.parametrize("encryption", ["offer", "require"])
def test_encrypted_calls(encryption: str, keying: tuple[str, ...]) -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, encryption=encryption, keying=keying)) as call:
            wanted = "SDES" if keying[0] == "sdes" else "DTLS"
            assert call.one.encrypted.startswith(wanted) and call.other.encrypted == call.one.encrypted
            call.play()
            await hears_both(call)
            counts = call.one._leg.transport.counts
            assert (counts.refused, counts.replayed, counts.foreign) == (0, 0, 0)

    run(test())


def test_a_call_between_ipv6_addresses() -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, address="::1")) as call:
            call.play()
            await hears_both(call)

    run(test())


def test_the_policies_of_encryption_meet() -> None:
    """Each of the three with each: plain, keyed, or refused with 488."""

    async def meet(one: str, other: str) -> str:
        media = InProcessMedia()
        try:
            here = media.open(replace(PLAIN, encryption=one, keying=("sdes",)))
            there = media.open(replace(PLAIN, encryption=other, keying=("sdes",)))
            try:
                await here.accept(await there.answer(await here.offer()))
            except SdpError as error:
                return str(error.status)
            assert here.encrypted == there.encrypted
            return here.encrypted[:4] or "plain"
        finally:
            await media.close()

    async def test() -> dict[tuple[str, str], str]:
        policies = ("none", "offer", "require")
        return {(one, other): await meet(one, other) for one in policies for other in policies}

    assert run(test()) == {
        ("none", "none"): "plain",
        ("none", "offer"): "plain",
        ("none", "require"): "488",
        ("offer", "none"): "plain",
        ("offer", "offer"): "SDES",
        ("offer", "require"): "SDES",
        ("require", "none"): "488",
        ("require", "offer"): "SDES",
        ("require", "require"): "SDES",
    }


def test_a_session_that_nobody_answers_gives_its_ports_back() -> None:
    async def test() -> None:
        media = InProcessMedia()
        session = media.open(replace(PLAIN, ports=(21000, 21001)))
        await session.offer()
        with pytest.raises(MediaError, match="every port of 21000-21001"):
            await media.open(session.preferences).offer()
        await session.close()
        await session.close()
        other = media.open(session.preferences)
        assert b"m=audio 21000 " in await other.offer()
        await media.close()
        assert len(media) == 0 and len(media.ticker) == 0
        for work in (session.offer(), session.answer(b"v=0\r\n")):
            with pytest.raises((MediaError, SdpError)):
                await work

    run(test())


def test_speech_arrives_as_it_was_said() -> None:
    """White noise, sample by sample: PCMA of what its table can say comes out as it went in, at a constant delay."""

    async def test() -> None:
        async with calling(replace(PLAIN, codecs=("PCMA",))) as call:
            said = np.random.default_rng(1).integers(-20000, 20000, 16000).astype(np.int16)
            call.one.audio.playout.put(said)
            await asyncio.sleep(3)
            heard = call.other_hears.sound().astype(np.float64)
            place = int(np.argmax(np.correlate(heard, said[:800].astype(np.float64), "valid")))
            part = heard[place : place + len(said)]
            assert len(part) == len(said)
            error = np.sqrt(np.mean((part - said) ** 2)) / np.sqrt(np.mean(said.astype(np.float64) ** 2))
            assert error < 0.02

    run(test())


# hold, re-offers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [False, True])
def test_hold_and_resume(back: bool) -> None:
    async def test() -> None:
        async with calling() as call:
            call.play()
            await hears_both(call)
            holder, held = (call.other, call.one) if back else (call.one, call.other)
            ear = call.other_hears if back else call.one_hears
            before = stream_of(held).sender.packets
            await call.exchange(back=back, direction="sendonly")
            assert (holder.direction, holder.held) == ("sendonly", False)
            assert (held.direction, held.held) == ("recvonly", True)
            await asyncio.sleep(0.3)
            ear.clear()
            sent = stream_of(held).sender.packets
            assert sent - before <= 2
            await asyncio.sleep(2)
            assert stream_of(held).sender.packets == sent
            assert ear.frames == []
            # Music on hold goes on: what the holder plays is heard.
            other_ear = call.one_hears if back else call.other_hears
            assert len(other_ear.sound(1.0)) == 8000
            await call.exchange(back=back, direction="sendrecv")
            assert holder.direction == held.direction == "sendrecv" and not held.held
            await hears_both(call)

    run(test())


def test_both_hold_and_nothing_but_rtcp_is_sent() -> None:
    async def test() -> None:
        async with calling() as call:
            await call.exchange(direction="sendonly")
            await call.exchange(back=True, direction="sendonly")
            assert call.one.direction == call.other.direction == "inactive"
            packets = stream_of(call.one).sender.packets
            reports = stream_of(call.other).heard_at
            await asyncio.sleep(40)
            # A packet every 15 seconds keeps the way open.
            assert stream_of(call.one).sender.packets - packets == 2
            assert stream_of(call.other).heard_at > reports
            assert stream_of(call.other).receiving.unknown == 2
            await call.exchange(direction="sendrecv")
            assert call.one.direction == "recvonly"
            await call.exchange(back=True, direction="sendrecv")
            call.play()
            await hears_both(call)

    run(test())


def test_what_is_spoken_while_we_hold_is_not_heard() -> None:
    async def test() -> None:
        async with calling() as call:
            await call.exchange(direction="sendonly")
            feed = call.one.audio.feed()
            await asyncio.sleep(0.5)
            call.other_hears.clear()
            for _ in range(50):
                feed.put(tone(440, 8000, 0.02), 8000)
                await asyncio.sleep(0.02)
            assert all(not samples.any() for _, samples in call.other_hears.frames)

    run(test())


def test_hold_in_the_style_of_rfc_2543() -> None:
    async def test() -> None:
        async with calling() as call:
            call.play()
            await asyncio.sleep(0.5)
            offer = await call.one.offer()
            await call.other.answer(offer.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0"))
            assert call.other.held
            sent = stream_of(call.other).sender.packets
            await asyncio.sleep(1)
            assert stream_of(call.other).sender.packets == sent
            await call.one.accept(await call.other.answer(await call.one.offer()))
            assert not call.other.held
            await hears_both(call)

    run(test())


@pytest.mark.parametrize("keying", ["", "sdes", "dtls"])
def test_reoffers_keep_ports_sources_keys_and_numbers(keying: str) -> None:
    async def test() -> None:
        wanted = replace(
            PLAIN, codecs=("opus", "G722", "PCMU"), encryption="require" if keying else "none", keying=(keying,)
        )
        async with calling(wanted) as call:
            call.play()
            await hears_both(call)
            transports = [session._leg.transport for session in (call.one, call.other)]
            before = [
                (stream.sender.ssrc, stream.sender.sequence, stream.reception.source.ssrc)
                for stream in map(stream_of, (call.one, call.other))
            ]
            first = parse(await call.one.offer())
            for back in (False, True, False):
                await call.exchange(back=back)
                # The negotiated codecs keep their numbers, and nothing jumps.
                await hears_both(call)
            second = parse(await call.one.offer())
            assert [session._leg.transport for session in (call.one, call.other)] == transports
            for stream, (ssrc, _, source) in zip(map(stream_of, (call.one, call.other)), before, strict=True):
                assert (stream.sender.ssrc, stream.reception.source.ssrc) == (ssrc, source)
                assert (stream.reception.changes, stream.receiving.jitter.resynchronised) == (0, 0)
                assert (stream.receiving.jitter.lost, stream.receiving.concealed) == (0, 0)
            one, other = first.media[0], second.media[0]
            assert (one.port, one.formats) == (other.port, other.formats)
            assert one.values("crypto") == other.values("crypto")
            assert one.values("fingerprint") == other.values("fingerprint")
            assert first.origin.session_id == second.origin.session_id

    run(test())


def test_another_codec_in_the_middle_of_a_call() -> None:
    async def test() -> None:
        both = ("PCMU", "G722", "opus", "PCMA")
        async with calling(replace(PLAIN, codecs=both)) as call:
            call.play()
            for codec, rate in (("PCMU", 8000), ("G722", 16000), ("opus", 48000), ("PCMA", 8000)):
                if codec != "opus" or "opus" in NAMES:
                    await call.exchange(codecs=(codec, *(name for name in both if name != codec)))
                    await hears_both(call)
                    assert call.one.audio.rate == call.other.audio.rate == rate
                    assert call.one_hears.rates == [rate]
            kinds = [(change.kind, change.details) for change in call.one.changes]
            assert ("codec", "G722/8000") in kinds and ("codec", "PCMA/8000") in kinds

    run(test())


def test_the_other_side_may_switch_codecs_without_a_word() -> None:
    """RFC 3264 section 7: "The answerer … MAY switch" among what was agreed; it is told by the payload type alone."""

    async def test() -> None:
        async with calling(replace(PLAIN, codecs=("PCMU", "G722"))) as call:
            call.play()
            await hears_both(call)
            terms = stream_of(call.one).terms
            g722 = next(number for number, info in terms.receive.items() if info.name == "G722")
            stream_of(call.one).change(replace(terms, codec=terms.receive[g722], payload_type=g722))
            await asyncio.sleep(0.3)
            call.other_hears.clear()
            await asyncio.sleep(1)
            assert call.other_hears.rates == [16000]
            frequency, amplitude, share = spectrum(call.other_hears.sound(), 16000)
            assert abs(frequency - 440) < 2 and 7000 < amplitude < 8600 and share > 0.98
            assert stream_of(call.other).receiving.jitter.lost == 0

    run(test())


def test_a_refused_offer_leaves_everything_as_it_was() -> None:
    async def test() -> None:
        async with calling() as call:
            call.play()
            await hears_both(call)
            before = call.one.preferences
            # Ours is refused: another address and other codecs, of which nothing comes.
            await call.one.offer(replace(before, codecs=("G722",), address="127.0.0.2"))
            await hears_both(call)
            assert call.one.preferences == before
            # Theirs cannot be had.
            with pytest.raises(SdpError) as refused:
                await call.other.answer(
                    (await call.one.offer()).replace(b"PCMU/8000", b"G729/8000").replace(b" 0 ", b" 118 ")
                )
            assert refused.value.status == 488
            with pytest.raises(SdpError):
                await call.other.answer(b"no description")
            await hears_both(call)
            # An answer that does not fit changes nothing either, and the right one may follow.
            offer = await call.one.offer()
            answer = await call.other.answer(offer)
            with pytest.raises(SdpError):
                await call.one.accept(answer.replace(b"m=audio", b"m=video"))
            await call.one.accept(answer)
            await hears_both(call)

    run(test())


def test_versions_count_every_offer_that_differs() -> None:
    async def test() -> None:
        async with calling() as call:
            first = parse(await call.one.offer())
            refused = parse(await call.one.offer(replace(PLAIN, direction="sendonly")))
            again = parse(await call.one.offer())
            assert refused.origin.version == first.origin.version + 1
            assert again.origin.version == refused.origin.version + 1
            assert first.origin.session_id == again.origin.session_id

    run(test())


def test_another_local_address_takes_over_when_it_is_agreed() -> None:
    async def test() -> None:
        async with calling() as call:
            call.play()
            await hears_both(call)
            old = call.one._leg.transport
            offer = await call.one.offer(replace(PLAIN, address="127.0.0.2"))
            assert call.one._leg.transport is old and b"c=IN IP4 127.0.0.2" in offer
            await call.one.accept(await call.other.answer(offer))
            assert call.one._leg.transport is not old
            assert not old.send_rtp(bytes(12))
            await hears_both(call)
            assert stream_of(call.other).reception.changes == 0

    run(test())


def test_an_answer_may_come_twice_and_a_fork_may_win() -> None:
    """183 and 200 with the same answer; then the 200 of another phone."""

    async def test() -> None:
        media = InProcessMedia()
        caller, first, second = (media.open(PLAIN) for _ in range(3))
        offer = await caller.offer()
        early, late = await first.answer(offer), await second.answer(offer)
        ear = Ear(caller)
        await caller.accept(early)
        first.audio.playout.put(tone(440, 8000, 5))
        second.audio.playout.put(tone(1000, 8000, 5))
        await asyncio.sleep(1)
        await caller.accept(early)
        heard = spectrum(ear.sound(0.5), 8000)
        assert abs(heard[0] - 440) < 4
        await caller.accept(late)
        await asyncio.sleep(1)
        heard = spectrum(ear.sound(0.5), 8000)
        assert abs(heard[0] - 1000) < 4 and heard[2] > 0.98
        await media.close()

    run(test())


async def fork_with_keys(keying: str) -> None:
    wanted = replace(PLAIN, encryption="require", keying=(keying,))
    media = InProcessMedia()
    # Each with a certificate of its own.
    caller, first, second = media.open(wanted), InProcessMedia().open(wanted), InProcessMedia().open(wanted)
    try:
        offer = await caller.offer()
        early, late = await first.answer(offer), await second.answer(offer)
        ear = Ear(caller)
        second.audio.playout.put(tone(1000, 8000, 5))
        await caller.accept(early)
        await caller.started()
        await caller.accept(late)
        async with asyncio.timeout(5):
            await caller.started()
            await second.started()
        await asyncio.sleep(1.5)
        heard = spectrum(ear.sound(0.5), 8000)
        assert abs(heard[0] - 1000) < 4 and heard[2] > 0.98
    finally:
        for session in (caller, first, second):
            await session.close()


def test_a_fork_may_win_with_other_keys() -> None:
    run(fork_with_keys("sdes"))


@pytest.mark.slow
def test_a_fork_may_win_with_another_certificate() -> None:
    """On the real clock: OpenSSL repeats its messages by that."""
    asyncio.run(fork_with_keys("dtls"))


def test_streams_that_are_not_ours_are_answered_with_port_zero() -> None:
    async def test() -> None:
        async with calling() as call:
            offer = (
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                "m=video 30000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                "m=audio 30002 RTP/AVP 0\r\n"
                "m=message 30004 TCP/MSRP *\r\n"
                "m=application 30006 UDP/BFCP *\r\n"
            )
            session = call.media.open(PLAIN)
            answer = parse(await session.answer(offer.encode()))
            assert [(part.kind, part.port > 0) for part in answer.media] == [
                ("video", False),
                ("audio", True),
                ("message", False),
                ("application", False),
            ]
            # In our own offer each m-line stays where it is.
            again = parse(await session.offer())
            assert [(part.kind, part.port) for part in again.media] == [(part.kind, part.port) for part in answer.media]

    run(test())


def test_an_offer_may_remove_the_sound_and_bring_it_back() -> None:
    async def test() -> None:
        async with calling() as call:
            call.play()
            await hears_both(call)
            offer = await call.one.offer()
            port = parse(offer).media[0].port
            removed = offer.replace(b"m=audio %d" % port, b"m=audio 0")
            answer = parse(await call.other.answer(removed))
            assert [part.port for part in answer.media] == [0]
            assert call.other.direction == "inactive"
            sent = stream_of(call.other).sender.packets
            await asyncio.sleep(1)
            assert stream_of(call.other).sender.packets == sent
            await call.other.answer(offer)
            assert call.other.direction == "sendrecv"
            await asyncio.sleep(1)
            assert stream_of(call.other).sender.packets == sent + 50

    run(test())


# digits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [name for name in NAMES if name.startswith(("PCMU", "G722", "opus"))])
def test_digits_as_events_arrive_once_each_way(codec: str) -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, codecs=(codec,))) as call:
            call.play()
            await asyncio.sleep(0.5)
            took = call.one.audio.send_digits("0123456789*#ABCD", 80)
            call.other.audio.send_digits("99", 200)
            await asyncio.sleep(took + 0.2)
            assert call.other_hears.digits == "0123456789*#ABCD"
            assert call.one_hears.digits == "99"
            assert call.other.audio.digit_by == "event"
            assert stream_of(call.other).receiving.jitter.lost == 0
            await hears_both(call)

    run(test())


def test_digits_as_events_survive_loss() -> None:
    async def test() -> None:
        async with calling() as call:
            LossyLink(call.one, loss=0.2, jitter=0.03, doubled=0.1, seed=4)
            digits = "1223334444" * 3
            took = call.one.audio.send_digits(digits, 100)
            await asyncio.sleep(took + 0.5)
            assert call.other_hears.digits == digits

    run(test())


def no_events(description: bytes) -> bytes:
    lines = [line for line in description.split(b"\r\n") if b"telephone-event" not in line and b"fmtp:101" not in line]
    return b"\r\n".join(lines).replace(b" 0 101\r\n", b" 0\r\n")


def test_digits_without_events_go_by_info_or_as_tones() -> None:
    async def test() -> None:
        media = InProcessMedia()
        one, other = media.open(PLAIN), media.open(replace(PLAIN, detect=True))
        await one.accept(await other.answer(no_events(await one.offer())))
        ear = Ear(other)
        informed: list[tuple[str, int]] = []
        took = one.audio.send_digits("159#", 100)
        await asyncio.sleep(took + 0.3)
        assert (ear.digits, informed, other.audio.digit_by) == ("159#", [], "tone")
        one.audio.send_info = lambda digit, milliseconds: informed.append((digit, milliseconds))
        took = one.audio.send_digits("42", 120)
        await asyncio.sleep(took + 0.3)
        assert (ear.digits, informed) == ("159#", [("4", 120), ("2", 120)])
        other.audio.digit_came("4")
        assert (ear.digits, other.audio.digit_by) == ("159#4", "info")
        await media.close()

    run(test())


# what the network does -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", NAMES)
def test_loss_jitter_and_doubles_are_made_up_for(codec: str) -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, codecs=(codec,))) as call:
            link = LossyLink(call.one, loss=0.08, jitter=0.04, doubled=0.05, seed=2)
            call.one.audio.playout.put(tone(440, call.one.audio.rate, 20))
            await asyncio.sleep(3)
            call.other_hears.clear()
            await asyncio.sleep(10)
            ear = call.other_hears
            assert 495 <= len(ear.frames) <= 500
            frequency, amplitude, share = spectrum(ear.sound(), ear.rates[0])
            assert abs(frequency - 440) < 1 and amplitude > 5000 and share > 0.8
            # Nowhere is there a hole: what is lost is made up.
            quietest = min(float(np.abs(samples).max()) for _, samples in ear.frames)
            assert quietest > 500
            assert link.lost > 30
            received = stream_of(call.other)
            lost = received.receiving.jitter.lost
            assert abs(lost - link.lost) <= 3 or received.receiving.jitter.late > 0
            report = call.other.reports()[0]
            assert 0.02 < report.loss < 0.2 and report.mos < 4.4
            said = call.one.reports()
            assert len(said) == 2 and said[1].lost > 0

    run(test())


def test_what_listeners_raise_is_reported_and_ends_nothing() -> None:
    async def test() -> None:
        async with calling() as call:
            call.other.audio.subscribe(lambda samples, rate: 1 / 0)
            call.play()
            await asyncio.sleep(0.2)
            assert len(call.other_hears.frames) > 5

    with pytest.raises(AssertionError):
        run(test())


def test_changes_are_told_and_bounded() -> None:
    async def test() -> None:
        told: list[Change] = []
        async with calling() as call:
            call.one.on_change = told.append
            for _ in range(60):
                await call.exchange(direction="sendonly")
                await call.exchange(direction="sendrecv")
            assert [change.details for change in told] == ["sendonly", "sendrecv"] * 60
            for _ in range(60):
                await call.exchange(direction="sendonly")
                await call.exchange(direction="sendrecv")
            assert len(call.one.changes) == 200

    run(test())


# repair --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif("opus" not in NAMES, reason="libopus is not installed")
def test_a_call_under_loss_repairs_itself_and_is_restored_later() -> None:
    """8 % of one direction are lost: Opus with FEC is asked for and agreed; when the line is good again, PCMU is."""

    async def test() -> None:
        async with calling(replace(PLAIN, codecs=("PCMU", "opus"), sample_rate=16000)) as call:
            reasons: list[str] = []
            tasks: list[asyncio.Task[None]] = []

            def ask(preferences: object, reason: str) -> None:
                reasons.append(reason)
                tasks.append(asyncio.ensure_future(call.exchange(codecs=preferences.codecs)))  # type: ignore[attr-defined]

            call.one.on_repair = ask
            call.play()
            link = LossyLink(call.one, loss=0.08, seed=3)
            await asyncio.sleep(40)
            agreed = call.one._leg.agreed
            assert agreed is not None and agreed.codec is not None and agreed.codec.name == "opus"
            assert len(reasons) == 1 and reasons[0].startswith("loss ") and reasons[0].endswith(": PCMU to opus")
            encoder = stream_of(call.one).sending.encoder
            assert encoder.settings.fec and encoder.settings.expected_loss > 0
            recovered = stream_of(call.other).receiving.recovered
            assert recovered > 20
            link.loss = 0.0
            await asyncio.sleep(80)
            agreed = call.one._leg.agreed
            assert agreed is not None and agreed.codec is not None and agreed.codec.name == "PCMU"
            assert len(reasons) == 2 and "good for" in reasons[1]
            kinds = [(change.kind, change.details) for change in call.one.changes]
            assert kinds.index(("repair", "PCMU to opus: asked for")) < kinds.index(("codec", "opus/48000/2"))
            assert kinds[-2:] == [("repair", "opus to PCMU: asked for"), ("codec", "PCMU/8000")]
            await hears_both(call)
            await asyncio.gather(*tasks)

    run(test())


def test_repair_that_nobody_carries_out_is_noted_as_refused() -> None:
    async def test() -> None:
        async with calling(replace(PLAIN, codecs=("PCMU", "opus") if "opus" in NAMES else ("PCMU",))) as call:
            call.play()
            LossyLink(call.one, loss=0.3, seed=3)
            await asyncio.sleep(60)
            assert [change for change in call.one.changes if change.kind == "repair"] == []
            assert len(call.other_hears.frames) > 2900

    run(test())
