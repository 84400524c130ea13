"""Requests that are about no call: answered, handled, refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringback.sip.message import Request
from ringback.ua.agent import UserAgent
from ringback.ua.incoming import _MOST_HANDLED, Received
from ringback.ua.requests import RequestFailed
from tests.server.running import until


@asynccontextmanager
async def two(**options: Any) -> AsyncIterator[tuple[UserAgent, UserAgent]]:
    """Alice, who asks, and Bob, who is asked."""
    bob = UserAgent("sip:bob@127.0.0.1", listen="udp:127.0.0.1:0", **options)
    async with bob, UserAgent("sip:alice@127.0.0.1") as alice:
        yield alice, bob


async def test_messages() -> None:
    async with two() as (alice, bob):
        with pytest.raises(RequestFailed) as raised:
            await alice.message(bob.contact, "hello")
        assert raised.value.status == 405 and raised.value.response is not None
        assert "INVITE" in (raised.value.response.header("allow") or "")
        got: list[Request] = []

        async def take(received: Received) -> None:
            got.append(received.request)
            if len(got) > 1:
                assert received.respond(486)
                assert not received.respond(200)

        bob.handle("MESSAGE", take)
        await alice.message(bob.contact, "grüß dich")
        assert got[0].body == "grüß dich".encode() and got[0].header("content-type") == "text/plain;charset=UTF-8"
        assert got[0].from_.uri.text == "sip:alice@127.0.0.1"
        with pytest.raises(RequestFailed, match="486 Busy Here"):
            await alice.message(bob.contact, "again")
        bob.handle("MESSAGE", None)
        with pytest.raises(RequestFailed, match="405"):
            await alice.message(bob.contact, "again")


async def test_a_handler_that_fails() -> None:
    errors: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["message"]))

    async def fail(received: Received) -> None:
        raise RuntimeError("cannot")

    async with two() as (alice, bob):
        bob.handle("MESSAGE", fail)
        for _ in range(2):
            with pytest.raises(RequestFailed, match="500"):
                await alice.message(bob.contact, "hello")
    assert errors == ["handle MESSAGE has failed"] * 2


@pytest.mark.parametrize(
    ("method", "status"), [("PUBLISH", 405), ("SUBSCRIBE", 489), ("NOTIFY", 481), ("DANCE", 501), ("INFO", 481)]
)
async def test_what_is_not_taken(method: str, status: int) -> None:
    async with two() as (alice, bob):
        response = await alice.request(method, bob.contact)
        assert response.status == status
        assert ("allow" in response.names) is (status in (405, 501))


async def test_without_an_answer_it_was_well() -> None:
    async def look(received: Received) -> None:
        assert received.flow.host == "127.0.0.1" and not received.answered

    async with two() as (alice, bob):
        bob.handle("MESSAGE", look)
        await alice.message(bob.contact, "hello")


async def test_allow_follows_the_handlers() -> None:
    async def nothing(received: Received) -> None:
        return None

    async def allowed() -> list[str]:
        response = await alice.request("OPTIONS", bob.contact)
        return (response.header("allow") or "").split(", ")

    async with two() as (alice, bob):
        usual = await allowed()
        for method in ("MESSAGE", "PUBLISH", "NOTIFY"):
            bob.handle(method, nothing)
        assert await allowed() == [*usual, "MESSAGE", "PUBLISH"]
        for method in ("MESSAGE", "PUBLISH", "NOTIFY", "DANCE"):
            bob.handle(method, None)
        assert await allowed() == usual
    bob = UserAgent("sip:bob@127.0.0.1", listen="udp:127.0.0.1:0")
    bob.handle("MESSAGE", nothing)
    async with bob, UserAgent("sip:alice@127.0.0.1") as alice:
        assert "MESSAGE" in await allowed()


async def test_handlers_have_a_bound_and_end_with_the_agent() -> None:
    waiting = asyncio.Event()
    running = 0

    async def wait(received: Received) -> None:
        nonlocal running
        running += 1
        await waiting.wait()

    async with two() as (alice, bob):
        bob.handle("MESSAGE", wait)
        sent = [asyncio.ensure_future(alice.message(bob.contact, "x")) for _ in range(_MOST_HANDLED)]
        await until(lambda: running == _MOST_HANDLED)
        with pytest.raises(RequestFailed, match="503"):
            await alice.message(bob.contact, "one too many")
        await bob.close()
        await asyncio.gather(*(asyncio.ensure_future(_ended(task)) for task in sent))


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))


async def test_the_description_is_made_once_for_all_who_ask() -> None:
    async with two() as (alice, bob):
        takes = asyncio.ensure_future(anext(bob.calls()))
        await asyncio.sleep(0)
        found = await asyncio.gather(*(alice.options(bob.contact) for _ in range(20)))
        assert {answer.status for answer in found} == {200} and len({repr(answer.media) for answer in found}) == 1
        assert found[0].media is not None and found[0].media.dtmf
        # Who wants none gets none.
        response = await alice.request("OPTIONS", bob.contact, [("Accept", "text/plain")])
        assert (response.status, response.body) == (200, b"")
        assert len(bob.media) == 0  # type: ignore[arg-type]
        takes.cancel()
        await asyncio.wait((takes,))
