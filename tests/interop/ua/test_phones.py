"""Calls with real phones, in both directions, and what happens within them; verified by the sound on both sides."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ringback import CallFailed, UserAgent
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.hearing import wait_to_hear
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.program import has_ipv6, wait_until
from tests.interop.ua.conftest import Agents, Phones
from tests.interop.ua.features import OURS, THEIRS
from tests.interop.ua.talk import (
    TONE,
    are_in_touch,
    both_hear,
    called,
    hears,
    hears_nothing,
    in_time,
    is_not_heard,
    saying,
    seen,
    until,
)

KINDS = {"baresip": Baresip, "linphone": Linphone}
COMMANDS = {"baresip": "baresip", "linphone": "linphonec"}
KEYING = {("baresip", "dtls"): "dtls_srtp", ("linphone", "dtls"): "dtls"}

each_phone = pytest.mark.parametrize(
    "peer", [pytest.param(peer, marks=pytest.mark.interop(command)) for peer, command in COMMANDS.items()]
)


async def pressed(phone: Baresip | Linphone, digits: str) -> None:
    """Wait until a phone has received these digits and no others."""
    await seen(wait_until, lambda: phone.pressed() == digits, 5.0, digits, phone.pressed)


@each_phone
@pytest.mark.proves("{peer}", "call", OURS)
@pytest.mark.proves("{peer}", "DTMF", OURS)
@pytest.mark.proves("{peer}", "DTMF", THEIRS)
@pytest.mark.proves("{peer}", "hold and resume", OURS)
@pytest.mark.proves("{peer}", "re-INVITE", OURS)
async def test_we_call(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """It rings, is answered; tones, digits, hold, a new offer; we hang up."""
    phone = await phones(KINDS[peer], "bob")
    alice = await agents("alice")
    call = await alice.dial(phone.uri)
    await seen(phone.called)
    phone.accept()
    await in_time(call.answered())
    await seen(phone.talks)
    async with saying(call, tone):
        await both_hear(call, phone, phone.tone)
    await in_time(call.send_digits("159*", 60))
    await pressed(phone, "159*")
    phone.press("2480")
    assert await in_time(call.gather(count=4)) == "2480"
    await in_time(call.hold())
    await hears_nothing(call)
    await in_time(call.resume())
    async with saying(call, tone):
        await are_in_touch(call, phone, phone.tone)
        await in_time(call.reoffer(call.media.preferences, "again"))
        await are_in_touch(call, phone, phone.tone)
    await in_time(call.hang_up())
    await seen(phone.is_done)


@each_phone
@pytest.mark.proves("{peer}", "call", THEIRS)
@pytest.mark.proves("{peer}", "hold and resume", THEIRS)
async def test_it_calls(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """We ring, answer; tones, its hold; it hangs up."""
    phone = await phones(KINDS[peer], "bob")
    alice = await agents("alice")
    call = await called(alice, lambda: phone.dial(alice.uri))
    await seen(phone.rings)
    await in_time(call.answer())
    await seen(phone.talks)
    async with saying(call, tone):
        await both_hear(call, phone, phone.tone)
        phone.hold()
        await in_time(until(lambda: call.held))
        await is_not_heard(call, phone)
        phone.resume()
        await in_time(until(lambda: not call.held))
        await are_in_touch(call, phone, phone.tone)
    phone.hang_up()
    assert (await in_time(call.ended())).by == "remote"


@pytest.mark.interop("baresip")
@pytest.mark.proves("baresip", "re-INVITE", THEIRS)
async def test_baresip_offers_again(phones: Phones, agents: Agents, tone: Path) -> None:
    """A re-INVITE that changes nothing leaves the sound as it is."""
    bob = await phones(Baresip, "bob", answer="auto")
    alice = await agents("alice")
    call = await in_time(alice.call(bob.uri))
    async with saying(call, tone):
        await both_hear(call, bob, bob.tone)
        bob.reinvite()
        await seen(bob.program.expect, r"(?s)CSeq: \d+ INVITE.*SIP/2\.0 200 OK[^#]*CSeq: \d+ INVITE[^#]*a=rtpmap")
        await both_hear(call, bob, bob.tone)
    await in_time(call.hang_up())


@each_phone
@pytest.mark.proves("{peer}", "busy", OURS)
@pytest.mark.proves("{peer}", "busy", THEIRS)
@pytest.mark.proves("{peer}", "cancelled", OURS)
@pytest.mark.proves("{peer}", "cancelled", THEIRS)
async def test_calls_that_come_to_nothing(phones: Phones, agents: Agents, peer: str) -> None:
    """Each refuses the other's call, and each gives one up while it rings."""
    phone = await phones(KINDS[peer], "bob")
    alice = await agents("alice")
    call = await alice.dial(phone.uri)
    await seen(phone.called)
    phone.hang_up()
    with pytest.raises(CallFailed) as failed:
        await in_time(call.answered())
    assert failed.value.status in (486, 603)
    await seen(phone.is_done)
    call = await called(alice, lambda: phone.dial(alice.uri))
    await seen(phone.rings)
    call.reject(486)
    assert ("486" if peer == "baresip" else "error") in await seen(phone.is_done)
    call = await alice.dial(phone.uri)
    await seen(phone.called)
    await in_time(call.hang_up())
    await seen(phone.is_done)
    call = await called(alice, lambda: phone.dial(alice.uri))
    await seen(phone.rings)
    phone.hang_up()
    assert (await in_time(call.ended())).by == "remote"


@pytest.mark.interop("linphonec")
@pytest.mark.proves("linphone", "early media", OURS)
async def test_early_media_of_linphone(phones: Phones, agents: Agents, tone: Path) -> None:
    """We call and hear it before it has answered, and after that, too."""
    dave = await phones(Linphone, "dave", answer="early")
    alice = await agents("alice")
    call = await alice.dial(dave.uri)
    await hears(call, dave.tone)
    assert call.state == "ringing"
    dave.accept()
    await in_time(call.answered())
    async with saying(call, tone):
        await both_hear(call, dave, dave.tone)
    await in_time(call.hang_up())


@each_phone
@pytest.mark.proves("{peer}", "early media", THEIRS)
async def test_early_media_of_ours(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """We are called and are heard before we have answered, and after that, too."""
    phone = await phones(KINDS[peer], "bob")
    alice = await agents("alice")
    call = await called(alice, lambda: phone.dial(alice.uri))
    await in_time(call.early_media())
    async with saying(call, tone):
        await seen(phone.hears_early)
        await seen(wait_to_hear, phone.hearing, TONE)
        assert call.state == "ringing"
        await in_time(call.answer())
        await seen(phone.talks)
        await both_hear(call, phone, phone.tone)
    await in_time(call.hang_up())


async def both_directions(
    alice: UserAgent, phone: Baresip | Linphone, tone: Path, suffix: str = "", encrypted: str = ""
) -> None:
    """A call each way, with tones; the phone answers by itself. `suffix`: of the URI that it calls."""
    async with alice.call(phone.uri) as call, saying(call, tone):
        await both_hear(call, phone, phone.tone)
        assert call.media.encrypted == encrypted
    await seen(phone.is_done)
    if isinstance(phone, Linphone):
        phone.record("heard-2.wav")
    call = await called(alice, lambda: phone.dial(alice.uri + suffix))
    await in_time(call.answer())
    async with saying(call, tone):
        await both_hear(call, phone, phone.tone)
        assert call.media.encrypted == encrypted
    phone.hang_up()
    await in_time(call.ended())


@each_phone
@pytest.mark.proves("{peer}", "DTLS-SRTP", OURS)
@pytest.mark.proves("{peer}", "DTLS-SRTP", THEIRS)
async def test_dtls(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """Both sides refuse anything else."""
    phone = await phones(KINDS[peer], "bob", answer="auto", encryption=KEYING[peer, "dtls"])
    alice = await agents("alice", encryption="require", keying=["dtls"])
    await both_directions(alice, phone, tone, encrypted="DTLS")


@each_phone
@pytest.mark.proves("{peer}", "ICE", OURS)
@pytest.mark.proves("{peer}", "ICE", THEIRS)
async def test_ice(phones: Phones, agents: Agents, tone: Path, own_address: str, peer: str) -> None:
    """Both check connectivity, and the sound goes over a pair that was nominated."""
    phone = await phones(KINDS[peer], "bob", answer="auto", ice=True, host=own_address)
    alice = await agents("alice", host=own_address, ice="full", encryption="none")
    await both_directions(alice, phone, tone)
    await seen(phone.found_way)


@each_phone
@pytest.mark.proves("{peer}", "ICE and DTLS-SRTP", OURS)
@pytest.mark.proves("{peer}", "ICE and DTLS-SRTP", THEIRS)
async def test_ice_and_dtls(phones: Phones, agents: Agents, tone: Path, own_address: str, peer: str) -> None:
    """DTLS over the nominated pair."""
    secure = {"ice": True, "host": own_address, "encryption": KEYING[peer, "dtls"]}
    phone = await phones(KINDS[peer], "bob", answer="auto", **secure)
    alice = await agents("alice", host=own_address, ice="full", encryption="require", keying=["dtls"])
    await both_directions(alice, phone, tone, encrypted="DTLS")
    await seen(phone.found_way)


@each_phone
@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
@pytest.mark.proves("{peer}", "call over IPv6", OURS)
@pytest.mark.proves("{peer}", "call over IPv6", THEIRS)
async def test_ipv6(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """On ::1."""
    phone = await phones(KINDS[peer], "bob", answer="auto", host="::1")
    alice = await agents("alice", host="::1")
    await both_directions(alice, phone, tone)


@each_phone
@pytest.mark.proves("{peer}", "call over TCP", OURS)
@pytest.mark.proves("{peer}", "call over TCP", THEIRS)
async def test_tcp(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """The URIs say transport=tcp; baresip says so by itself."""
    phone = await phones(KINDS[peer], "bob", answer="auto", transport="tcp")
    alice = await agents("alice")
    await both_directions(alice, phone, tone, ";transport=tcp" if peer == "linphone" else "")


@each_phone
@pytest.mark.proves("{peer}", "blind transfer", OURS)
async def test_we_transfer(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """We send a phone to another user agent of ours, which then talks to it."""
    phone = await phones(KINDS[peer], "bob", answer="auto")
    alice, carol = await agents("alice"), await agents("carol")
    call = await in_time(alice.call(phone.uri))
    await hears(call, phone.tone)
    transferred: list[asyncio.Task[None]] = []
    reached = await called(carol, lambda: transferred.append(asyncio.ensure_future(call.transfer(carol.uri))))
    await in_time(reached.answer())
    async with saying(reached, tone):
        await both_hear(reached, phone, phone.tone)
    await in_time(transferred[0])
    assert call.state == "ended"
    await in_time(reached.hang_up())


@each_phone
@pytest.mark.proves("{peer}", "blind transfer", THEIRS)
async def test_it_transfers(phones: Phones, agents: Agents, tone: Path, peer: str) -> None:
    """A phone sends us to another phone: the same call goes on, and hears the other's tone."""
    phone = await phones(KINDS[peer], "bob", answer="auto", tone=440)
    other = await phones(KINDS[peer], "carol", answer="auto", tone=1400)
    alice = await agents("alice", transfers=True)
    call = await in_time(alice.call(phone.uri))
    await hears(call, 440)
    phone.transfer(other.uri)
    await hears(call, 1400)
    async with saying(call, tone):
        await both_hear(call, other, 1400)
    await seen(phone.is_done)
    await in_time(call.hang_up())
    await seen(other.is_done)


@pytest.mark.interop("linphonec")
@pytest.mark.proves("linphone", "attended transfer", OURS)
async def test_we_transfer_linphone_after_a_talk(phones: Phones, agents: Agents, tone: Path) -> None:
    """We talk to two phones, and connect them: the first calls the second with Replaces."""
    dave = await phones(Linphone, "dave", answer="auto", tone=440)
    erin = await phones(Linphone, "erin", answer="auto", tone=1400)
    alice = await agents("alice")
    first = await in_time(alice.call(dave.uri))
    await hears(first, 440)
    await in_time(first.hold())
    second = await in_time(alice.call(erin.uri))
    await hears(second, 1400)
    await in_time(first.transfer(second))
    await seen(wait_to_hear, dave.hearing, 1400)
    await seen(wait_to_hear, erin.hearing, 440)
    assert (await in_time(second.ended())).by == "remote"
