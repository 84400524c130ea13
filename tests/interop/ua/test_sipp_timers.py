"""Session timers (RFC 4028) with SIPp as the other side, on a loop that is thirty times as fast as the clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.interop.peers.sipp import Sipps
from tests.interop.ua.features import OURS, THEIRS
from tests.interop.ua.hurry import hurried
from tests.interop.ua.talk import agent, seen
from tests.interop.ua.test_sipp import PLAIN, called_by, uri, waits

pytestmark = pytest.mark.interop("sipp")

TIMERS: dict[str, Any] = {**PLAIN, "session_expires": 90}


async def patient(work: Any) -> Any:
    """As `in_time`, in seconds of the world."""
    async with asyncio.timeout(600):
        return await work


@pytest.mark.proves("sipp", "RFC 4028 session timer, refresher is the caller", OURS)
@pytest.mark.parametrize(("scenario", "method"), [("is_refreshed", "INVITE"), ("is_refreshed_by_update", "UPDATE")])
@hurried
async def test_we_refresh_what_we_called(sipps: Sipps, scenario: str, method: str) -> None:
    """After half of the interval, by UPDATE where the other side takes that."""
    async with agent("alice", **TIMERS) as alice:
        sipp = waits(sipps, scenario)
        call = await patient(alice.call(uri(sipp)))
        began = asyncio.get_running_loop().time()
        await seen(sipp.wait_for, f"< {method}", 2 if method == "INVITE" else 1)
        assert 30 < asyncio.get_running_loop().time() - began < 60  # at 45 s
        refresh = sipp.first(f"< {method}", 1 if method == "INVITE" else 0)
        assert refresh.one("Session-Expires") == "90;refresher=uac"
        assert "timer" in refresh.one("Supported")
        await patient(call.hang_up())
        await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 4028 session timer, refresher is the callee", OURS)
@hurried
async def test_we_refresh_what_we_answered(sipps: Sipps) -> None:
    """The caller wants the callee to refresh."""
    async with agent("alice", **TIMERS) as alice:
        call, sipp = await called_by(sipps, alice, "calls_and_is_refreshed")
        await patient(call.answer())
        await patient(call.ended())
        await seen(sipp.done)
        assert sipp.first("< 200").one("Session-Expires") == "90;refresher=uas"
        assert sipp.first("< UPDATE").one("Session-Expires") == "90;refresher=uac"


@pytest.mark.proves("sipp", "RFC 4028 session timer, refresher is the callee", THEIRS)
@hurried
async def test_the_callee_refreshes(sipps: Sipps) -> None:
    """Its UPDATE is answered with the interval."""
    async with agent("alice", **TIMERS) as alice:
        sipp = waits(sipps, "refreshes")
        call = await patient(alice.call(uri(sipp)))
        await seen(sipp.wait_for, "< 200")
        assert sipp.first("< 200").one("Session-Expires").startswith("90;")
        await patient(call.hang_up())
        await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 4028 session timer, refresher is the caller", THEIRS)
@hurried
async def test_the_caller_refreshes(sipps: Sipps) -> None:
    """Its re-INVITE is answered with the interval."""
    async with agent("alice", **TIMERS) as alice:
        call, sipp = await called_by(sipps, alice, "calls_and_refreshes")
        await patient(call.answer())
        await seen(sipp.wait_for, "> ACK", 2)
        assert sipp.first("< 200").one("Session-Expires") == "90;refresher=uac"
        assert sipp.first("< 200", 1).one("Session-Expires") == "90;refresher=uac"
        await patient(call.hang_up())
        await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 4028 422", OURS)
@hurried
async def test_we_ask_for_more(sipps: Sipps) -> None:
    """After a 422 with Min-SE we ask again, with both headers (7.3)."""
    async with agent("alice", **TIMERS) as alice:
        sipp = waits(sipps, "interval_too_small")
        call = await patient(alice.call(uri(sipp)))
        await patient(call.hang_up())
        await seen(sipp.done)
        again = sipp.first("< INVITE", 1)
        assert again.one("Min-SE") == "3600"
        assert int(again.one("Session-Expires").partition(";")[0]) >= 3600
        assert again.one("Call-ID") == sipp.first("< INVITE").one("Call-ID")


@pytest.mark.proves("sipp", "RFC 4028 422", THEIRS)
@hurried
async def test_too_little_is_refused(sipps: Sipps) -> None:
    """422 with our Min-SE; then it is accepted."""
    async with agent("alice", **TIMERS) as alice:
        call, sipp = await called_by(sipps, alice, "asks_for_too_little")
        await patient(call.answer())
        await patient(call.ended())
        await seen(sipp.done)
        assert sipp.first("< 422").one("Min-SE") == "90"


@pytest.mark.proves("sipp", "RFC 4028 no refresh", OURS)
@hurried
async def test_nobody_refreshes_what_we_called(sipps: Sipps) -> None:
    """We end the call when the callee, who has to refresh, does not (section 10)."""
    async with agent("alice", **TIMERS) as alice:
        sipp = waits(sipps, "does_not_refresh")
        call = await patient(alice.call(uri(sipp)))
        began = asyncio.get_running_loop().time()
        assert (await patient(call.ended())).by == "timer"
        assert 45 < asyncio.get_running_loop().time() - began <= 95
        await seen(sipp.done)


@pytest.mark.proves("sipp", "RFC 4028 no refresh", THEIRS)
@hurried
async def test_nobody_refreshes_what_we_answered(sipps: Sipps) -> None:
    """The same where the caller has to refresh."""
    async with agent("alice", **TIMERS) as alice:
        call, sipp = await called_by(sipps, alice, "calls_and_does_not_refresh")
        await patient(call.answer())
        assert (await patient(call.ended())).by == "timer"
        await seen(sipp.done)
