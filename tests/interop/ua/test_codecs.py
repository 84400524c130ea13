"""Each codec with each phone: speech is understood on both sides, in calls of either; tones are whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback import Call, UserAgent
from tests.interop.peers import baresip, linphone
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.hearing import Hearing
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.speech import INTELLIGIBLE, intelligibility
from tests.interop.ua.conftest import Agents, Phones
from tests.interop.ua.features import OURS, THEIRS
from tests.interop.ua.talk import called, in_time, listen, seen

Speech = Callable[..., Path]
RATES = {"PCMU": 8000, "PCMA": 8000, "G722": 16000, "L16": 16000, "opus": 48000}
"""How much of the sound our side is to hear."""


async def both_understand(call: Call, phone: Baresip | Linphone, said: Path, sentence: Hearing, rate: int) -> None:
    """Both say the same sentence at once, and understand each other."""
    _, heard = await asyncio.gather(in_time(call.play(said)), listen(call, sentence.seconds + 0.4, rate))
    await asyncio.sleep(0.1)  # the last word is still in the phone's jitter buffer
    ours, theirs = await seen(lambda: (intelligibility(sentence, heard), intelligibility(sentence, phone.hearing())))
    assert ours > INTELLIGIBLE, f"we understand {ours:.2f} of what {phone.user} says"
    assert theirs > INTELLIGIBLE, f"{phone.user} understands {theirs:.2f} of what we say"


async def both_directions(
    alice: UserAgent, bob: Baresip | Linphone, carol: Baresip | Linphone, said: Path, sentence: Hearing, rate: int
) -> None:
    """Alice calls bob, and is called by carol at the same time."""

    async def we_call() -> None:
        async with alice.call(bob.uri) as call:
            await both_understand(call, bob, said, sentence, rate)

    async def it_calls() -> None:
        call = await called(alice, lambda: carol.dial(alice.uri))
        await call.answer()
        await both_understand(call, carol, said, sentence, rate)
        await call.hang_up()

    await asyncio.gather(in_time(we_call()), in_time(it_calls()))


@pytest.mark.interop("baresip", "espeak-ng")
@pytest.mark.proves("baresip", "codec {codec}", OURS)
@pytest.mark.proves("baresip", "codec {codec}", THEIRS)
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "L16", "opus"])
async def test_baresip(phones: Phones, agents: Agents, speech: Speech, sentence: Hearing, codec: str) -> None:
    """A phone speaks as soon as the call stands."""
    _, rate, channels = baresip.CODECS[codec]
    alice = await agents("alice", codecs=[codec])
    options = {"codec": codec, "mouth": speech(rate, channels=channels, tail=2.0)}
    bob, carol = await asyncio.gather(*(phones(Baresip, user, answer="auto", **options) for user in ("bob", "carol")))
    await both_directions(alice, bob, carol, speech(rate), sentence, RATES[codec])


@pytest.mark.interop("linphonec", "espeak-ng")
@pytest.mark.proves("linphone", "codec {codec}", OURS)
@pytest.mark.proves("linphone", "codec {codec}", THEIRS)
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "opus"])
async def test_linphone(phones: Phones, agents: Agents, speech: Speech, sentence: Hearing, codec: str) -> None:
    """The same with Linphone."""
    rate = linphone.HEARD_RATES[codec]
    alice = await agents("alice", codecs=[codec])
    options = {"codec": codec, "mouth": speech(rate, tail=2.0)}
    dave, erin = await asyncio.gather(*(phones(Linphone, user, answer="auto", **options) for user in ("dave", "erin")))
    await both_directions(alice, dave, erin, speech(rate), sentence, RATES[codec])
