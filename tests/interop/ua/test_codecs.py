"""Each codec with each phone: speech is understood on both sides, in calls of either; tones are whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ringback import Call
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
    ours = intelligibility(sentence, heard)
    # The last word is still in the phone's jitter buffer.
    await asyncio.sleep(0.2)
    theirs = intelligibility(sentence, await seen(phone.hearing))
    assert ours > INTELLIGIBLE, f"we understand {ours:.2f} of what {phone.user} says"
    assert theirs > INTELLIGIBLE, f"{phone.user} understands {theirs:.2f} of what we say"


@pytest.mark.interop("baresip", "espeak-ng")
@pytest.mark.proves("baresip", "codec {codec}", OURS)
@pytest.mark.proves("baresip", "codec {codec}", THEIRS)
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "L16", "opus"])
async def test_baresip(phones: Phones, agents: Agents, speech: Speech, sentence: Hearing, codec: str) -> None:
    """Baresip speaks as soon as it is called, so it is we who listen from the first sample on."""
    _, rate, channels = baresip.CODECS[codec]
    bob = await phones(Baresip, "bob", codec=codec, mouth=speech(rate, channels=channels, tail=2.0), answer="auto")
    alice = await agents("alice", codecs=[codec])
    call = await in_time(alice.call(bob.uri))
    await both_understand(call, bob, speech(rate), sentence, RATES[codec])
    await call.hang_up()
    await seen(bob.expect, "CALL_CLOSED")
    call = await called(alice, lambda: bob.dial(alice.uri))
    await call.answer()
    await both_understand(call, bob, speech(rate), sentence, RATES[codec])
    bob.hang_up()
    await in_time(call.ended())


@pytest.mark.interop("linphonec", "espeak-ng")
@pytest.mark.proves("linphone", "codec {codec}", OURS)
@pytest.mark.proves("linphone", "codec {codec}", THEIRS)
@pytest.mark.parametrize("codec", ["PCMU", "PCMA", "G722", "opus"])
async def test_linphone(phones: Phones, agents: Agents, speech: Speech, sentence: Hearing, codec: str) -> None:
    """The same with Linphone."""
    rate = linphone.HEARD_RATES[codec]
    dave = await phones(Linphone, "dave", codec=codec, mouth=speech(rate, tail=2.0), answer="auto")
    alice = await agents("alice", codecs=[codec])
    call = await in_time(alice.call(dave.uri))
    await both_understand(call, dave, speech(rate), sentence, RATES[codec])
    await call.hang_up()
    await seen(dave.expect, "ended")
    dave.record("heard-2.wav")
    call = await called(alice, lambda: dave.dial(alice.uri))
    await call.answer()
    await both_understand(call, dave, speech(rate), sentence, RATES[codec])
    dave.hang_up()
    await in_time(call.ended())
