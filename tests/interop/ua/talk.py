"""What the tests of user agents say to real phones, and how they hear what those say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

import numpy as np

from ringback import Call, UserAgent
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.hearing import Hearing, Sound, wait_to_hear
from tests.interop.peers.program import free_port

TONE = 600
"""What our side says; the phones say 440, 1000 and others."""
SECONDS = 15.0
"""How long anything may take."""

_Result = TypeVar("_Result")
_Parameters = ParamSpec("_Parameters")


def agent(user: str, host: str = "127.0.0.1", **options: Any) -> UserAgent:
    """A user agent with the options of an account, to be opened. Without others it is called directly, at its `uri`."""
    place = f"[{host}]" if ":" in host else host
    port = free_port(0)
    first = free_port(19)
    options.setdefault("listen", [f"udp:{place}:{port}", f"tcp:{place}:{port}"])
    options.setdefault("media_ports", (first, first + 19))
    return UserAgent(options.pop("address", f"sip:{user}@{place}:{port}"), **options)


class Listener(Protocol):
    """A phone that records."""

    def hearing(self) -> Hearing: ...


async def seen(
    function: Callable[_Parameters, _Result], *arguments: _Parameters.args, **options: _Parameters.kwargs
) -> _Result:
    """Do what waits for a phone, while our agents live on."""
    return await asyncio.to_thread(function, *arguments, **options)


async def in_time(work: Awaitable[_Result], seconds: float = SECONDS) -> _Result:
    """The result of what must not take longer."""
    async with asyncio.timeout(seconds):
        return await work


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something of ours is so."""
    while not condition():  # noqa: ASYNC110 (what is asked about has no event)
        await asyncio.sleep(0.02)


async def called(agent: UserAgent, dial: Callable[[], Any]) -> Call:
    """The call that comes to an agent when `dial` is done."""
    calls = agent.calls()
    coming = asyncio.ensure_future(anext(calls))
    await asyncio.sleep(0)  # from now on it takes calls
    try:
        dial()
        return await in_time(coming)
    finally:
        await calls.aclose()


@asynccontextmanager
async def saying(call: Call, sound: Path) -> AsyncIterator[None]:
    """Play a file meanwhile."""
    playing = asyncio.ensure_future(call.play(sound))
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def hears(call: Call, hertz: float, seconds: float = 0.4, within: float = 10.0) -> Hearing:
    """Wait until our side hears so many seconds of a tone; gives all that it has heard meanwhile."""
    heard = Hearing.of([], 8000)
    frames = call.audio(rate=8000)
    try:
        async with asyncio.timeout(within):
            async for frame in frames:
                heard = Hearing(np.concatenate([heard.samples, _floats(frame)]), heard.rate)
                if heard.ends_with(hertz, seconds):
                    return heard
    except TimeoutError:
        pass
    finally:
        await frames.aclose()
    raise AssertionError(f"{call} does not hear {hertz} Hz, but {heard}: {heard.spans_of(hertz)}")


async def both_hear(call: Call, phone: Listener, hertz: float) -> None:
    """Our side hears the phone's tone, and the phone ours, which is being said."""
    await asyncio.gather(hears(call, hertz), seen(wait_to_hear, phone.hearing, TONE))


async def are_in_touch(call: Call, phone: Listener, hertz: float) -> None:
    """The same after a hold, which ends what baresip records: it sends back what it hears."""
    if isinstance(phone, Baresip):
        phone.echo()
        await hears(call, TONE)
    else:
        await both_hear(call, phone, hertz)


async def listen(call: Call, seconds: float, rate: int = 8000) -> Hearing:
    """What our side hears in the next so many seconds of sound."""
    parts: list[Sound] = []
    frames = call.audio(rate=rate)
    try:
        async with asyncio.timeout(seconds + 5):
            async for frame in frames:
                parts.append(_floats(frame))
                if sum(len(part) for part in parts) >= seconds * rate:
                    break
    finally:
        await frames.aclose()
    return Hearing(np.concatenate(parts), rate)


def _floats(frame: Any) -> Sound:
    return np.asarray(frame, dtype=np.float64) / 32768


async def hears_nothing(call: Call, seconds: float = 0.5) -> None:
    """See that our side hears only silence, or no frames at all, for so long; after 0.2 s for what is on its way."""
    heard = Hearing.of([], 8000)
    loop = asyncio.get_running_loop()
    began = loop.time() + 0.2
    frames = call.audio(rate=8000)
    try:
        async with asyncio.timeout_at(began + seconds):
            async for frame in frames:
                if loop.time() > began:
                    heard = Hearing(np.concatenate([heard.samples, _floats(frame)]), heard.rate)
    except TimeoutError:
        pass
    finally:
        await frames.aclose()
    assert heard.level < -40, f"{call} hears {heard}: {heard.spans_of(440)}, {heard.spans_of(1000)}"


async def is_not_heard(call: Call, phone: Listener, seconds: float = 0.5) -> None:
    """See that a phone that holds us hears nothing of what our side says; after 0.3 s for what is on its way."""
    async with asyncio.timeout(SECONDS):
        await asyncio.sleep(0.3)
    before = (await seen(phone.hearing)).seconds_of(TONE)
    await asyncio.sleep(seconds)
    after = (await seen(phone.hearing)).seconds_of(TONE)
    assert after < before + 0.1, f"{call} is held, but is heard: {before:.2f} s, then {after:.2f} s"
