"""Our user agent and SIPp: the flows of RFC 3665, 3262, 3311, 3891 and 5359, step by step, in both directions.

SIPp does what the scenario says and fails when anything else happens; what it cannot judge is looked up in its log.
The session timers of RFC 4028 are in test_sipp_timers.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ringback import CallFailed, UserAgent
from ringback.sip.digest_client import DigestClient, Login
from ringback.ua.registration import RegistrationFailed
from tests.interop.peers.sipp import Logged, Sipp, Sipps
from tests.interop.ua.conftest import Agents
from tests.interop.ua.features import OURS, THEIRS
from tests.interop.ua.talk import TONE, called, hears, hears_nothing, in_time, saying, seen, until

pytestmark = pytest.mark.interop("sipp")

SCENARIOS = Path(__file__).parent / "scenarios"
PASSWORD = "alice-secret"


@pytest.fixture
async def alice(agents: Agents) -> AsyncIterator[UserAgent]:
    """Our user agent, with PCMU only and nothing that SIPp knows nothing of."""
    yield await agents("alice", **PLAIN)


PLAIN: dict[str, Any] = {"codecs": ["PCMU"], "encryption": "none", "ice": "none", "session_expires": 0}


def waits(sipps: Sipps, scenario: str, **options: Any) -> Sipp:
    """SIPp, waiting for our call."""
    return sipps.start(scenario, 9, user="sipp", folder=SCENARIOS, echo=True, **options).listening()


def dials(sipps: Sipps, agent: UserAgent, scenario: str, **options: Any) -> Sipp:
    """SIPp, calling our user agent."""
    target = agent.uri.removeprefix("sip:")
    port = int(target.rpartition(":")[2])
    return sipps.start(scenario, port, user="sipp", target=target, folder=SCENARIOS, echo=True, **options)


def uri(sipp: Sipp) -> str:
    """What leads to it."""
    return f"sip:sipp@127.0.0.1:{sipp.port}"


async def called_by(sipps: Sipps, agent: UserAgent, scenario: str, **options: Any) -> tuple[Any, Sipp]:
    """The call of SIPp, ringing, and SIPp itself."""
    started: list[Sipp] = []
    call = await called(agent, lambda: started.append(dials(sipps, agent, scenario, **options)))
    return call, started[0]


def count(sipp: Sipp, step: str) -> int:
    """How often it saw such a message, repetitions too."""
    return sum(message.step == step for message in sipp.messages())


# RFC 3665 section 2 ---------------------------------------------------------------------------------------------------


def right_response(header: str, method: str, password: str) -> bool:
    """Whether the digest of an Authorization header is that of the password (RFC 2617 3.2.2.1, qop auth)."""
    values = dict(re.findall(r'(\w+)="?([^",]*)"?', header.removeprefix("Digest ")))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    first = md5(f"{values['username']}:{values['realm']}:{password}")
    second = md5(f"{method}:{values['uri']}")
    middle = ":".join(values[name] for name in ("nonce", "nc", "cnonce", "qop"))
    return values["response"] == md5(f"{first}:{middle}:{second}")


@pytest.mark.proves("sipp", "RFC 3665 2.1 registration", OURS)
@pytest.mark.proves("sipp", "RFC 3665 2.4 cancellation of registration", OURS)
async def test_registration(sipps: Sipps) -> None:
    """REGISTER, 401, REGISTER with credentials; at the end REGISTER with Expires 0."""
    registrar = waits(sipps, "registers")
    server = f"127.0.0.1:{registrar.port}"
    options: dict[str, Any] = {"password": PASSWORD, "registrar": server, "outbound": False, "expires": 60}
    async with UserAgent("sip:alice@127.0.0.1", **options) as agent:
        assert agent.is_registered
    await seen(registrar.done)
    first, again, away = (registrar.first("< REGISTER", number) for number in range(3))
    assert not first.all("Authorization")
    assert right_response(again.one("Authorization"), "REGISTER", PASSWORD)
    assert first.one("Call-ID") == again.one("Call-ID") == away.one("Call-ID")
    assert [int(message.one("CSeq").split()[0]) for message in (again, away)] == [
        int(first.one("CSeq").split()[0]) + step for step in (1, 2)
    ]
    assert away.all("Expires") == ["0"] or ";expires=0" in away.one("Contact")


@pytest.mark.proves("sipp", "RFC 3665 2.5 unsuccessful registration", OURS)
async def test_registration_refused(sipps: Sipps) -> None:
    """A second 401, not stale, ends it: the password is not tried again and again."""
    registrar = waits(sipps, "refuses_registration")
    server = f"127.0.0.1:{registrar.port}"
    agent = UserAgent("sip:alice@127.0.0.1", password="guess", registrar=server, outbound=False)
    with pytest.raises(RegistrationFailed) as failed:
        await in_time(agent.open())
    assert failed.value.status == 401
    await seen(registrar.done)
    assert registrar.steps() == ["< REGISTER", "> 401", "< REGISTER", "> 401"]


# RFC 3665 section 3 ---------------------------------------------------------------------------------------------------


@pytest.mark.proves("sipp", "RFC 3665 3.1 session", OURS)
async def test_session(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """We call, hear our own echo, and hang up."""
    sipp = waits(sipps, "answers")
    async with alice.call(uri(sipp)) as call, saying(call, tone):
        await hears(call, TONE)
    await seen(sipp.done)
    assert sipp.steps() == ["< INVITE", "> 180", "> 200", "< ACK", "< BYE", "> 200"]
    assert count(sipp, "< INVITE") == 1


@pytest.mark.proves("sipp", "RFC 3665 3.1 session", OURS)
async def test_session_that_the_callee_ends(sipps: Sipps, alice: UserAgent) -> None:
    """BYE by the callee, right behind our ACK."""
    sipp = waits(sipps, "answers_and_ends")
    call = await in_time(alice.call(uri(sipp)))
    assert (await in_time(call.ended())).by == "remote"
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3665 3.1 session", THEIRS)
@pytest.mark.parametrize("scenario", ["calls", "calls_and_waits"])
async def test_session_of_theirs(sipps: Sipps, alice: UserAgent, tone: Path, scenario: str) -> None:
    """We are called, hear our own echo; either hangs up."""
    call, sipp = await called_by(sipps, alice, scenario)
    await in_time(call.answer())
    async with saying(call, tone):
        await hears(call, TONE)
    if scenario == "calls":
        await in_time(call.ended())
    else:
        await in_time(call.hang_up())
    await seen(sipp.done)
    assert sipp.first("< 200").one("Content-Type") == "application/sdp"


@pytest.mark.proves("sipp", "RFC 3665 3.3 challenges of two proxies", OURS)
async def test_two_challenges(sipps: Sipps, agents: Agents) -> None:
    """The third INVITE has credentials for both realms (RFC 3261 22.3)."""
    alice = await agents("alice", **PLAIN)
    alice.profile.credentials = DigestClient(
        [Login("alice", PASSWORD, realm, ["127.0.0.1"]) for realm in ("first.test", "second.test")]
    )
    sipp = waits(sipps, "challenges_twice")
    async with alice.call(uri(sipp)):
        pass
    await seen(sipp.done)
    credentials = sipp.first("< INVITE", 2).all("Proxy-Authorization")
    assert len(credentials) == 2
    assert all(right_response(one, "INVITE", PASSWORD) for one in credentials)
    assert {re.search(r'realm="(.*?)"', one)[1] for one in credentials} == {"first.test", "second.test"}  # type: ignore[index]
    assert sipp.first("< ACK", 2).all("Proxy-Authorization") == credentials  # RFC 3261 22.1


@pytest.mark.proves("sipp", "RFC 3665 3.6 redirection", OURS)
async def test_redirection(sipps: Sipps, agents: Agents) -> None:
    """The contact of a 302 is called, with the same Call-ID and a higher CSeq (RFC 3261 8.1.3.4)."""
    alice = await agents("alice", follow=True, **PLAIN)
    target = waits(sipps, "answers")
    sipp = waits(sipps, "redirects", other=uri(target))
    async with alice.call(uri(sipp)):
        pass
    await seen(sipp.done)
    await seen(target.done)
    assert target.first("< INVITE").one("Call-ID") == sipp.first("< INVITE").one("Call-ID")


@pytest.mark.proves("sipp", "RFC 3665 3.6 offer in the 200", OURS)
async def test_offer_in_the_200(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """Our INVITE has no description (on the lower tier of the library); we answer the offer of the 200 in the ACK."""
    sipp = waits(sipps, "offers")
    media = alice.media.open(alice.preferences_for(uri(sipp)))
    session = alice.core.invite(alice.profile, uri(sipp), b"", alice.now())
    call = alice._calls.add(session, media, incoming=False)
    alice.turn()
    await in_time(call.answered())
    async with saying(call, tone):
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)
    assert sipp.first("< INVITE").body == ""
    assert "m=audio" in sipp.first("< ACK").body


@pytest.mark.proves("sipp", "RFC 3665 3.6 offer in the 200", THEIRS)
async def test_offer_in_the_200_of_ours(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """An INVITE without a description: we offer in the 200, the answer is in the ACK."""
    call, sipp = await called_by(sipps, alice, "calls_without_offer")
    await in_time(call.answer())
    async with saying(call, tone):
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3665 3.7 re-INVITE", THEIRS)
@pytest.mark.parametrize("ours", [True, False])
async def test_media_moves(sipps: Sipps, alice: UserAgent, tone: Path, ours: bool) -> None:
    """The peer moves its media to another port: our sound goes there, and we hear what comes from there."""
    if ours:
        sipp = waits(sipps, "moves")
        call = await in_time(alice.call(uri(sipp)))
    else:
        call, sipp = await called_by(sipps, alice, "calls_and_moves")
        await in_time(call.answer())
    await seen(sipp.wait_for, "> ACK", 1 if ours else 2)
    async with saying(call, tone):
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3665 3.7 re-INVITE", OURS)
async def test_our_media_moves(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """We go on at another address, and hear what is sent there."""
    sipp = waits(sipps, "takes_reinvite")
    call = await in_time(alice.call(uri(sipp)))
    async with saying(call, tone):
        await hears(call, TONE)
        await in_time(call.reoffer(replace(call.media.preferences, address="127.0.0.2"), "moved"))
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)
    places = [re.findall(r"c=IN IP4 (\S+)", sipp.first("< INVITE", number).body) for number in range(2)]
    assert places == [["127.0.0.1"], ["127.0.0.2"]]


@pytest.mark.proves("sipp", "RFC 3665 3.8 no answer", OURS)
async def test_given_up(sipps: Sipps, alice: UserAgent) -> None:
    """CANCEL after the 180; the 487 is acknowledged."""
    sipp = waits(sipps, "is_cancelled")
    call = await alice.dial(uri(sipp))
    await seen(sipp.wait_for, "> 180")
    await in_time(call.hang_up())
    await seen(sipp.done)
    assert sipp.steps() == ["< INVITE", "> 180", "< CANCEL", "> 200", "> 487", "< ACK"]
    assert sipp.first("< CANCEL").branch == sipp.first("< INVITE").branch


@pytest.mark.proves("sipp", "RFC 3665 3.8 no answer", THEIRS)
async def test_given_up_by_them(sipps: Sipps, alice: UserAgent) -> None:
    """Our 200 to the CANCEL, our 487 to the INVITE."""
    call, sipp = await called_by(sipps, alice, "calls_and_gives_up")
    assert (await in_time(call.ended())).by == "remote"
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3665 3.9 busy", OURS)
@pytest.mark.proves("sipp", "RFC 3665 3.11 temporarily unavailable", OURS)
@pytest.mark.parametrize("answer", ["486 Busy Here", "480 Temporarily Unavailable"])
async def test_refused(sipps: Sipps, alice: UserAgent, answer: str) -> None:
    """The status and the reason are told."""
    sipp = waits(sipps, "refuses", answer=answer)
    with pytest.raises(CallFailed) as failed:
        await in_time(alice.call(uri(sipp)))
    assert (failed.value.status, failed.value.reason) == (int(answer[:3]), answer[4:])
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3665 3.9 busy", THEIRS)
@pytest.mark.proves("sipp", "RFC 3665 3.11 temporarily unavailable", THEIRS)
@pytest.mark.parametrize(("status", "scenario"), [(486, "calls_and_is_refused"), (480, "calls_and_is_not_reached")])
async def test_refused_by_us(sipps: Sipps, alice: UserAgent, status: int, scenario: str) -> None:
    """The same by us."""
    call, sipp = await called_by(sipps, alice, scenario)
    call.reject(status)
    await seen(sipp.done)


# RFC 3261 -------------------------------------------------------------------------------------------------------------


@pytest.mark.proves("sipp", "RFC 3261 forked call", OURS)
async def test_forked(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """Two dialogs ring and both are answered: we stay with the first answer, and end the other (13.2.2.4)."""
    sipp = waits(sipps, "forks")
    async with alice.call(uri(sipp)) as call, saying(call, tone):
        await hears(call, TONE)
        await seen(sipp.wait_for, "< BYE")
    await seen(sipp.done)
    byes = [sipp.first("< BYE", number).one("To") for number in range(2)]
    assert [re.search(r"tag=\d+([AB])", bye)[1] for bye in byes] == ["A", "B"]  # type: ignore[index]


@pytest.mark.proves("sipp", "RFC 3261 lost ACK", THEIRS)
async def test_late_ack(sipps: Sipps, alice: UserAgent) -> None:
    """Our 200 is repeated until the ACK has come."""
    call, sipp = await called_by(sipps, alice, "loses_200")
    await in_time(call.answer())
    await seen(sipp.wait_for, "> ACK")
    await in_time(call.hang_up())
    await seen(sipp.done)
    assert count(sipp, "< 200") >= 2


@pytest.mark.proves("sipp", "RFC 3261 lost ACK", OURS)
async def test_repeated_200(sipps: Sipps, alice: UserAgent) -> None:
    """Each 200 gets its ACK."""
    sipp = waits(sipps, "repeats_200", repeats=False)
    call = await in_time(alice.call(uri(sipp)))
    await in_time(until(lambda: count(sipp, "< ACK") == 2))
    await in_time(call.hang_up())
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3261 glare", OURS)
@pytest.mark.proves("sipp", "RFC 3261 glare", THEIRS)
async def test_glare(sipps: Sipps, alice: UserAgent) -> None:
    """Both offer at once: each is told 491, and our offer, made again, is taken."""
    call, sipp = await called_by(sipps, alice, "glare")
    await in_time(call.answer())
    await in_time(call.hold())
    assert (await in_time(call.ended())).by == "remote"
    await seen(sipp.done)


# RFC 3262 and 3311 ----------------------------------------------------------------------------------------------------


@pytest.mark.proves("sipp", "RFC 3262 reliable 180", OURS)
@pytest.mark.proves("sipp", "RFC 3262 lost PRACK", OURS)
async def test_reliable_ringing(sipps: Sipps, alice: UserAgent) -> None:
    """Our PRACK says what it confirms, and is repeated until it is answered."""
    sipp = waits(sipps, "rings_reliably")
    async with alice.call(uri(sipp)):
        pass
    await seen(sipp.done)
    number = sipp.first("< INVITE").one("CSeq").split()[0]
    assert sipp.first("< PRACK").one("RAck") == f"4711 {number} INVITE"
    assert count(sipp, "< PRACK") >= 2


@pytest.mark.proves("sipp", "RFC 3262 reliable 180", THEIRS)
@pytest.mark.proves("sipp", "RFC 3262 lost PRACK", THEIRS)
async def test_reliable_ringing_of_ours(sipps: Sipps, alice: UserAgent) -> None:
    """Our 180 is reliable where that is required, and is repeated until the PRACK has come."""
    call, sipp = await called_by(sipps, alice, "requires_100rel")
    await seen(sipp.wait_for, "< 200")
    await in_time(call.answer())
    await in_time(call.hang_up())
    await seen(sipp.done)
    assert sipp.first("< 180").one("Require") == "100rel"
    assert count(sipp, "< 180") >= 2


@pytest.mark.proves("sipp", "RFC 3262 reliable early media", OURS)
async def test_reliable_early_media(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """The answer in the 183 counts: we hear before the call is answered."""
    sipp = waits(sipps, "early_media")
    call = await alice.dial(uri(sipp))
    await seen(sipp.wait_for, "< PRACK")
    async with saying(call, tone):
        await hears(call, TONE)
        assert call.state == "ringing"
        await in_time(call.answered())
    await in_time(call.hang_up())
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3262 reliable early media", THEIRS)
@pytest.mark.proves("sipp", "RFC 3311 UPDATE before the answer", THEIRS)
async def test_early_media_of_ours(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """Our 183 with an answer is confirmed; an UPDATE then moves the media, and is answered before the INVITE is."""
    call, sipp = await called_by(sipps, alice, "hears_early_media")
    await in_time(call.early_media())
    await seen(sipp.wait_for, "> UPDATE")
    async with saying(call, tone):
        await hears(call, TONE)
        await in_time(call.answer())
    await in_time(call.hang_up())
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3262 refused by 420", OURS)
async def test_100rel_is_not_known(sipps: Sipps, agents: Agents) -> None:
    """Who requires what the other side does not know is told which option that is."""
    alice = await agents("alice", reliable="required", **PLAIN)
    sipp = waits(sipps, "needs_no_100rel")
    with pytest.raises(CallFailed) as failed:
        await in_time(alice.call(uri(sipp)))
    assert failed.value.status == 420
    await seen(sipp.done)
    assert sipp.first("< INVITE").one("Require") == "100rel"


@pytest.mark.proves("sipp", "RFC 3311 UPDATE before the answer", OURS)
async def test_update_before_the_answer(sipps: Sipps, alice: UserAgent) -> None:
    """A new offer of ours in the early dialog goes by UPDATE."""
    sipp = waits(sipps, "takes_update")
    call = await alice.dial(uri(sipp))
    await seen(sipp.wait_for, "> 200")
    longer = replace(call.media.preferences, frame=40)
    call.session.offer(alice.now(), await call.media.offer(longer))
    alice.turn()
    await in_time(call.answered())
    await in_time(call.hang_up())
    await seen(sipp.done)
    first, second = (message.body for message in (sipp.first("< INVITE"), sipp.first("< UPDATE")))
    origin, later = (re.search(r"o=\S+ (\d+) (\d+)", body) for body in (first, second))
    assert origin is not None and later is not None
    assert (origin[1], int(origin[2]) + 1) == (later[1], int(later[2]))


@pytest.mark.proves("sipp", "RFC 3311 UPDATE in the call", THEIRS)
async def test_update_in_the_call(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """An UPDATE with an offer in the confirmed dialog is answered at once."""
    call, sipp = await called_by(sipps, alice, "updates")
    await in_time(call.answer())
    await seen(sipp.wait_for, "< 200", 2)
    async with saying(call, tone):
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)


# RFC 3891 and 5359 ----------------------------------------------------------------------------------------------------


def replaces(message: Logged, tag_of_ours: str) -> str:
    """The value that names the dialog of SIPp with us, as seen by a third one: to-tag is ours."""
    theirs = re.search(r"tag=([^;>\s]+)", message.one("From"))
    assert theirs is not None
    return f"{message.one('Call-ID')};to-tag={tag_of_ours};from-tag={theirs[1]}"


def tag(value: str) -> str:
    """The tag of a From or To."""
    found = re.search(r"tag=([^;>\s]+)", value)
    assert found is not None, value
    return found[1]


@pytest.mark.proves("sipp", "RFC 3891 Replaces", THEIRS)
async def test_replaced(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """A third one takes the place of SIPp in our call: it is answered at once, and the old dialog gets a BYE."""
    call, sipp = await called_by(sipps, alice, "calls_and_waits")
    await in_time(call.answer())
    await seen(sipp.wait_for, "> ACK")
    named = replaces(sipp.first("> INVITE"), tag(sipp.first("< 200").one("To")))
    third = dials(sipps, alice, "replaces", replaces=named)
    await seen(sipp.done)
    assert call.state == "established"
    async with saying(call, tone):
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(third.done)


@pytest.mark.proves("sipp", "RFC 3891 Replaces without a call", THEIRS)
async def test_replaces_nothing(sipps: Sipps, alice: UserAgent) -> None:
    """481 (RFC 3891 3)."""
    sipp = dials(sipps, alice, "replaces_nothing", replaces="nothing@127.0.0.1;to-tag=1;from-tag=2")
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 3891 Replaces", OURS)
@pytest.mark.proves("sipp", "RFC 5359 2.5 attended transfer", THEIRS)
async def test_sent_to_replace(sipps: Sipps, agents: Agents) -> None:
    """A Refer-To with Replaces: our INVITE has that header."""
    alice = await agents("alice", transfers=True, **PLAIN)
    target = waits(sipps, "answers")
    other = f"{uri(target)}?Replaces=12345%40192.0.2.1%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994"
    call, sipp = await called_by(sipps, alice, "transfers", other=other)
    await in_time(call.answer())
    await seen(sipp.done)
    invite = target.first("< INVITE")
    assert invite.one("Replaces") == "12345@192.0.2.1;to-tag=12345;from-tag=5FFE-3994"
    assert "Replaces" not in invite.start_line
    assert invite.one("Referred-By").startswith("<sip:sipp@127.0.0.1")
    await in_time(call.hang_up())
    await seen(target.done)


@pytest.mark.proves("sipp", "RFC 5359 2.1 hold", OURS)
async def test_hold(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """a=sendonly and a=sendrecv, in re-INVITEs; held, we hear nothing."""
    sipp = waits(sipps, "is_held")
    call = await in_time(alice.call(uri(sipp)))
    async with saying(call, tone):
        await hears(call, TONE)
        await in_time(call.hold())
        await hears_nothing(call)
        await in_time(call.resume())
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)
    assert "a=sendonly" in sipp.first("< INVITE", 1).body
    assert "a=sendonly" not in sipp.first("< INVITE", 2).body


@pytest.mark.proves("sipp", "RFC 5359 2.1 hold", THEIRS)
async def test_held(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """Held, we send nothing: there is no echo."""
    call, sipp = await called_by(sipps, alice, "holds")
    await in_time(call.answer())
    async with saying(call, tone):
        await seen(sipp.wait_for, "> ACK", 2)
        assert call.held
        await hears_nothing(call)
        await seen(sipp.wait_for, "> ACK", 3)
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)
    assert "a=recvonly" in sipp.first("< 200", 1).body


@pytest.mark.proves("sipp", "RFC 5359 2.4 blind transfer", OURS)
async def test_transfer(sipps: Sipps, alice: UserAgent) -> None:
    """REFER, NOTIFY 100, NOTIFY 200; then our BYE."""
    sipp = waits(sipps, "is_transferred")
    call = await in_time(alice.call(uri(sipp)))
    await in_time(call.transfer("sip:carol@127.0.0.1:9"))
    await seen(sipp.done)
    refer = sipp.first("< REFER")
    assert refer.one("Refer-To").strip("<>") == "sip:carol@127.0.0.1:9"
    assert refer.one("Referred-By").startswith("<sip:alice@")


@pytest.mark.proves("sipp", "RFC 5359 2.5 attended transfer", OURS)
async def test_attended_transfer(sipps: Sipps, alice: UserAgent) -> None:
    """The Refer-To names the other dialog by a Replaces that its peer will understand."""
    first, second = waits(sipps, "is_transferred"), waits(sipps, "answers")
    call, other = await in_time(alice.call(uri(first))), await in_time(alice.call(uri(second)))
    await in_time(call.transfer(other))
    await seen(first.done)
    target, _, header = first.first("< REFER").one("Refer-To").strip("<>").partition("?Replaces=")
    assert target.startswith(uri(second))
    invite = second.first("< INVITE")
    call_id, *tags = header.replace("%3D", "=").replace("%3B", ";").replace("%40", "@").split(";")
    assert call_id == invite.one("Call-ID")
    assert set(tags) == {f"to-tag={tag(second.first('> 200').one('To'))}", f"from-tag={tag(invite.one('From'))}"}
    await in_time(other.hang_up())
    await seen(second.done)


@pytest.mark.proves("sipp", "transfer that fails", OURS)
async def test_transfer_in_vain(sipps: Sipps, alice: UserAgent, tone: Path) -> None:
    """The NOTIFY tells 486: so does the exception, and the call goes on."""
    sipp = waits(sipps, "transfer_fails")
    call = await in_time(alice.call(uri(sipp)))
    with pytest.raises(CallFailed) as failed:
        await in_time(call.transfer("sip:carol@127.0.0.1:9"))
    assert failed.value.status == 486
    async with saying(call, tone):
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 5359 2.4 blind transfer", THEIRS)
async def test_transferred(sipps: Sipps, agents: Agents, tone: Path) -> None:
    """We call whom we are sent to, say so, and the same call goes on there."""
    alice = await agents("alice", transfers=True, **PLAIN)
    target = waits(sipps, "answers")
    call, sipp = await called_by(sipps, alice, "transfers", other=uri(target))
    await in_time(call.answer())
    await seen(sipp.done)
    async with saying(call, tone):
        await hears(call, TONE)
    await in_time(call.hang_up())
    await seen(target.done)


@pytest.mark.proves("sipp", "transfer that fails", THEIRS)
async def test_transferred_in_vain(sipps: Sipps, agents: Agents) -> None:
    """Whom we are sent to is busy: we say so, and stay in the call."""
    alice = await agents("alice", transfers=True, **PLAIN)
    target = waits(sipps, "refuses")
    call, sipp = await called_by(sipps, alice, "transfers_in_vain", other=uri(target))
    await in_time(call.answer())
    await seen(target.done)
    await seen(sipp.done)
    assert (await in_time(call.ended())).by == "remote"
