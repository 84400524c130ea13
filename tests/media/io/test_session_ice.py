"""Calls whose way is found by ICE: who offers what, restarts, and a far end that is gone."""

import asyncio
from dataclasses import replace
from typing import Literal

import pytest

from ringback.media.backend import MediaError, MediaPreferences
from ringback.media.io.backend import InProcessMedia
from ringback.media.io.session import InProcessSession
from ringback.sdp.description import parse
from tests.media.io.calls import PLAIN, Ear, Tone, spectrum, stream_of
from tests.media.io.virtual import run

Ice = Literal["none", "accept", "full", "lite"]


class IceCall:
    """Two sessions with what they want of ICE; their answers are taken as they come."""

    def __init__(self, one: Ice, other: Ice, wanted: MediaPreferences) -> None:
        self.media = InProcessMedia()
        self.one = self.media.open(replace(wanted, ice=one))
        self.other = self.media.open(replace(wanted, ice=other))
        self.ears = Ear(self.other), Ear(self.one)
        self.failures: list[MediaError] = []
        for session in (self.one, self.other):
            session.on_failure = self.failures.append
        self.one.audio.playout.play(Tone(440))
        self.other.audio.playout.play(Tone(1000))

    async def exchange(
        self, here: InProcessSession, there: InProcessSession, restart: bool = False
    ) -> tuple[list[str], list[str]]:
        """The attributes of ICE in the offer and in the answer."""
        offer = await here.offer(restart=restart)
        answer = await there.answer(offer)
        await here.accept(answer)
        await asyncio.gather(here.started(), there.started())
        return parse(offer).media[0].values("ice-ufrag"), parse(answer).media[0].values("ice-ufrag")

    async def is_heard(self) -> None:
        await asyncio.sleep(0.5)
        for ear in self.ears:
            ear.clear()
        await asyncio.sleep(1)
        for ear, frequency in zip(self.ears, (440, 1000), strict=True):
            found = spectrum(ear.sound(0.5), 8000)
            assert found[0] == frequency and found[2] > 0.98
        assert self.failures == []


@pytest.mark.parametrize("keying", ["", "sdes", "dtls"])
@pytest.mark.parametrize(
    ("one", "other", "checked"),
    [
        ("full", "full", True),
        ("full", "accept", True),
        ("lite", "full", True),
        ("full", "lite", True),
        ("full", "none", False),
        ("accept", "full", False),
        ("none", "full", False),
    ],
)
def test_who_offers_and_who_accepts(one: Ice, other: Ice, checked: bool, keying: str) -> None:
    async def test() -> None:
        call = IceCall(one, other, replace(PLAIN, encryption="require" if keying else "none", keying=(keying,)))
        offered, answered = await call.exchange(call.one, call.other)
        assert bool(offered) is (one in ("full", "lite")) and bool(answered) is checked
        await call.is_heard()
        assert (call.one._leg.transport.counts.checks > 0) is checked
        # Another exchange, from the other side, changes nothing.
        transports = call.one._leg.transport, call.other._leg.transport
        again = await call.exchange(call.other, call.one)
        if checked:
            assert again == (answered, offered)
        await call.is_heard()
        assert (call.one._leg.transport, call.other._leg.transport) == transports
        assert stream_of(call.one).receiving.jitter.lost == 0
        await call.media.close()

    run(test())


@pytest.mark.parametrize("keying", ["", "sdes", "dtls"])
@pytest.mark.parametrize("lite", [False, True])
def test_restarts_of_either_side(lite: bool, keying: str) -> None:
    async def test() -> None:
        wanted = replace(PLAIN, encryption="require" if keying else "none", keying=(keying,))
        call = IceCall("full", "lite" if lite else "full", wanted)
        seen = await call.exchange(call.one, call.other)
        for here, there in ((call.one, call.other), (call.other, call.one)):
            await call.is_heard()
            found = await call.exchange(here, there, restart=True)
            # RFC 8839 4.4.1.1.1: both have to be new ones.
            assert not set(map(tuple, found)) & set(map(tuple, seen))
            seen = found
        await call.is_heard()
        await call.media.close()

    run(test())


@pytest.mark.parametrize("keying", ["", "dtls"])
def test_offers_may_come_while_a_way_is_still_looked_for(keying: str) -> None:
    """Hold, resume and a restart, each before the last one has come about."""

    async def test() -> None:
        call = IceCall("full", "full", replace(PLAIN, encryption="require" if keying else "none", keying=(keying,)))
        one, other = call.one, call.other
        for direction, restart in (("sendrecv", False), ("sendonly", False), ("sendonly", True), ("sendrecv", True)):
            wanted = replace(one.preferences, direction=direction)
            await one.accept(await other.answer(await one.offer(wanted, restart=restart)))
        await other.accept(await one.answer(await other.offer()))
        await asyncio.gather(one.started(), other.started())
        await call.is_heard()
        assert one.direction == other.direction == "sendrecv"
        await call.media.close()

    run(test())


def test_a_far_end_that_is_gone_is_told() -> None:
    """RFC 7675: consent expires, which is no less than a failure of the media."""

    async def test() -> None:
        call = IceCall("full", "full", PLAIN)
        await call.exchange(call.one, call.other)
        await call.is_heard()
        call.other._leg.transport.close()
        await asyncio.sleep(60)
        assert len(call.failures) == 1
        assert call.one.changes[-1].kind == "failure"
        await call.media.close()

    run(test())


def test_checks_that_nobody_answers_fail_and_the_session_may_be_closed_meanwhile() -> None:
    async def test() -> None:
        call = IceCall("full", "full", PLAIN)
        offer = await call.one.offer()
        answer = await call.other.answer(offer)
        password = parse(answer).media[0].value("ice-pwd") or ""
        await call.one.accept(answer.replace(password.encode(), password[::-1].encode()))
        await call.one.started()
        assert len(call.failures) >= 1
        await call.media.close()
        await call.other.started()

        again = IceCall("full", "full", PLAIN)
        await again.other.answer(await again.one.offer())
        await again.media.close()
        await again.other.started()
        assert again.failures == []

    run(test())
