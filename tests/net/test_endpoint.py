"""The endpoint around a real stack: its turn, its one timer, its coroutines and its own requests.

Clock, timers and call_soon are moved by hand; tasks and futures are those of the loop that runs the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from ringback.errors import StoreError
from ringback.net.endpoint import Endpoint
from ringback.net.udp import UdpSocket
from ringback.sip.message import Request, build_request
from ringback.sip.parser import parse
from ringback.sip.plan import Plan, Stage
from ringback.sip.route import Self
from ringback.sip.stack import Answered, Cancelled, Expired, Incoming, Malformed, Settled, Stack
from ringback.sip.target import Target
from ringback.sip.transaction_user import BRIEF_TIMER, Brief
from ringback.sip.transport import Flow, Listener
from ringback.sip.uri import Uri
from ringback.store.commit import Commit
from tests.net.stream_kit import HandClock, HandTimer

UDP = "udp:192.0.2.1:5060"
TCP = "tcp:192.0.2.1:5060"
PHONE = Flow("UDP", UDP, "198.51.100.7", 5060)
BOB = Flow("UDP", UDP, "198.51.100.8", 5060)


class HandLoop(HandClock):
    """As much of an event loop as the endpoint uses."""

    def __init__(self) -> None:
        super().__init__()
        self.running = asyncio.get_running_loop()
        self.soon: list[HandTimer] = []
        self.errors: list[BaseException] = []
        self.create_future = self.running.create_future
        self.create_task = self.running.create_task

    def call_at(self, when: float, callback: Callable[[], object]) -> HandTimer:
        timer = HandTimer(when, callback)
        self.timers.append(timer)
        self.made += 1
        return timer

    def call_soon(self, callback: Callable[[], object]) -> HandTimer:
        handle = HandTimer(self.now, callback)
        self.soon.append(handle)
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        assert context["message"] == "a handler of SIP requests failed"
        self.errors.append(context["exception"])

    def run(self) -> None:
        """What was to be called soon is called."""
        while self.soon:
            handle = self.soon.pop(0)
            if not handle.cancelled:
                handle.callback()


class Wire:
    """Stands where the sockets and connections stand: keeps what is sent, and refuses when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Flow, str]] = []
        self.broken = False

    def send(self, data: bytes, flow: Flow, key: str = "") -> bool:
        """As the connections do."""
        if self.broken:
            return False
        self.sent.append((data, flow, key))
        return True

    def sendto(self, data: bytes, address: tuple[str, int]) -> int:
        """As the kernel's socket does."""
        if self.broken:
            raise OSError("broken")
        self.sent.append((data, Flow("UDP", UDP, *address), ""))
        return len(data)

    def take(self) -> list[tuple[bytes, Flow, str]]:
        sent, self.sent = self.sent, []
        return sent

    def starts(self) -> list[str]:
        """The start lines of what was sent."""
        return [data.partition(b"\r\n")[0].decode() for data, _, _ in self.take()]


Handler = Callable[[Incoming], Awaitable[None]]


class World:
    """An endpoint with one application for all requests; `handled` are the Call-IDs that it was given."""

    def __init__(self, handler: Handler | None = None) -> None:
        self.loop = HandLoop()
        listeners = [Listener(UDP, "UDP", "192.0.2.1", 5060), Listener(TCP, "TCP", "192.0.2.1", 5060)]
        self.stack = Stack(listeners, Self(["example.org"], listeners), bytes(32), "te5t")
        self.names: dict[str, list[Flow]] = {}
        self.endpoint = Endpoint(self.stack, self.loop, self.application, self.locate)  # type: ignore[arg-type]
        self.wire = Wire()
        self.endpoint.sockets = {UDP: UdpSocket(UDP, self.wire, self.endpoint)}  # type: ignore[arg-type]
        self.endpoint.streams = self.wire
        self.handler: Handler = handler or self.answer
        self.handled: list[str] = []
        self.seen: list[object] = []
        self.endpoint.observer = self.seen.append

    async def application(self, incoming: Incoming, now: float) -> None:
        assert now == self.endpoint.now
        self.handled.append(incoming.request.call_id)
        await self.handler(incoming)

    async def locate(self, uri: Uri) -> list[Flow]:
        return self.names[uri.host]

    async def answer(self, incoming: Incoming) -> None:
        self.respond(incoming, 200)

    def respond(self, incoming: Incoming, status: int) -> None:
        assert incoming.server is not None
        self.stack.respond(incoming.server, incoming.request, status, self.endpoint.now)

    def forward(self, incoming: Incoming, uri: str, flow: Flow | None = None) -> None:
        assert incoming.server is not None
        plan = Plan([Stage([Target(uri, flow, (), 1000, "", [])])])
        self.stack.forward(incoming.server, incoming.request, incoming.flow, plan, self.endpoint.now)

    def receive(self, data: bytes, flow: Flow = PHONE) -> list[str]:
        """A datagram and its turn; the start lines of what was sent in it."""
        self.endpoint.datagram(data, flow)
        self.endpoint.turn()
        return self.wire.starts()

    async def settle(self) -> list[str]:
        """Let tasks and what was to be called soon run until nothing does; the start lines of what was sent."""
        for _ in range(20):
            await asyncio.sleep(0)
            self.loop.run()
        return self.wire.starts()


def request(call: str = "1", method: str = "OPTIONS", transport: str = "UDP") -> bytes:
    lines = [
        f"{method} sip:bob@example.org SIP/2.0",
        f"Via: SIP/2.0/{transport} 198.51.100.7:5060;branch=z9hG4bK{call}",
        "Max-Forwards: 70",
        "From: <sip:alice@example.org>;tag=a",
        "To: <sip:bob@example.org>",
        f"Call-ID: {call}",
        f"CSeq: 1 {method}",
        "Content-Length: 0",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def answer_to(data: bytes, status: str) -> bytes:
    """The answer of whom a request was sent to."""
    head, _, _ = data.partition(b"\r\n\r\n")
    kept = [line for line in head.split(b"\r\n")[1:] if not line.lower().startswith((b"max-", b"record-route"))]
    return b"\r\n".join([f"SIP/2.0 {status}".encode(), *kept, b"", b""])


OK = "SIP/2.0 200 OK"
FAILED = "SIP/2.0 500 Server Internal Error"


# coroutines ----------------------------------------------------------------------------------------------------------


async def test_a_handler_that_does_not_wait_costs_no_task() -> None:
    world = World()
    before = asyncio.all_tasks()
    assert world.receive(request()) == [OK]
    assert (asyncio.all_tasks(), world.endpoint.tasks, world.loop.soon) == (before, set(), [])
    # A retransmission is answered with the same octets, and never gets to the handler.
    assert world.receive(request()) == [OK]
    assert world.handled == ["1"]


async def test_what_is_done_at_once_needs_no_coroutine() -> None:
    world = World()

    def handler(incoming: Incoming, now: float) -> None:
        if incoming.request.call_id == "bad":
            raise ValueError("a mistake in the handler")
        world.respond(incoming, 202)

    world.endpoint.application = handler
    assert world.receive(request()) == ["SIP/2.0 202 Accepted"]
    # A mistake costs the request that it was made with, and no other.
    assert world.receive(request("bad")) == [FAILED]
    assert world.receive(request("3")) == ["SIP/2.0 202 Accepted"]
    assert [str(error) for error in world.loop.errors] == ["a mistake in the handler"]


async def test_a_handler_that_waits_becomes_a_task_where_it_waits() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    where: list[asyncio.Task[Any] | None] = []

    async def handler(incoming: Incoming) -> None:
        where.append(asyncio.current_task())
        world.respond(incoming, await future)
        where.append(asyncio.current_task())

    world = World(handler)
    assert world.receive(request()) == []
    assert await world.settle() == []
    assert len(world.endpoint.tasks) == 1
    [task] = world.endpoint.tasks
    future.set_result(200)
    assert await world.settle() == [OK]
    # In the first step it runs in whatever has brought the datagram: here the test.
    assert where == [asyncio.current_task(), task]
    assert (world.endpoint.tasks, world.loop.errors) == (set(), [])


async def test_it_may_wait_again_and_again_and_catch_what_it_gets() -> None:
    futures: list[asyncio.Future[int]] = [asyncio.get_running_loop().create_future() for _ in range(3)]

    async def handler(incoming: Incoming) -> None:
        total = await futures[0]
        await asyncio.sleep(0)
        try:
            await futures[1]
        except ZeroDivisionError:
            total += 10
        async with asyncio.timeout(60):
            total += await futures[2]
        world.respond(incoming, total)

    world = World(handler)
    world.receive(request())
    futures[0].set_result(188)
    assert await world.settle() == []
    futures[1].set_exception(ZeroDivisionError())
    assert await world.settle() == []
    futures[2].set_result(2)
    assert await world.settle() == [OK]
    assert world.loop.errors == []


async def test_a_bare_yield() -> None:
    async def handler(incoming: Incoming) -> None:
        await asyncio.sleep(0)
        world.respond(incoming, 200)

    world = World(handler)
    assert world.receive(request()) == []
    assert await world.settle() == [OK]


async def test_a_commit_goes_on_without_a_task() -> None:
    commit = Commit(asyncio.get_running_loop())

    async def handler(incoming: Incoming) -> None:
        await commit
        world.respond(incoming, 200)

    world = World(handler)
    for call in "123":
        assert world.receive(request(call)) == []
    assert world.endpoint.tasks == set()
    taps: list[float] = []
    world.endpoint.tap = lambda received, data, flow, now: taps.append(now)
    world.loop.now += 5.0
    commit.finish()
    # All of them have gone on, and what came of it leaves in one turn.
    assert len(world.loop.soon) == 1
    world.loop.now += 1.0
    world.loop.run()
    assert world.wire.starts() == [OK] * 3
    assert taps == [1006.0] * 3


async def test_a_commit_that_fails_is_the_handlers_business() -> None:
    commit = Commit(asyncio.get_running_loop())

    async def handler(incoming: Incoming) -> None:
        try:
            await commit
        except StoreError:
            world.respond(incoming, 503)

    world = World(handler)
    world.receive(request())
    commit.finish("the disk is full")
    world.loop.run()
    assert world.wire.starts() == ["SIP/2.0 503 Service Unavailable"]
    assert world.loop.errors == []


async def test_a_future_after_a_commit_makes_a_task_after_all() -> None:
    commit = Commit(asyncio.get_running_loop())
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(incoming: Incoming) -> None:
        await commit
        await future
        world.respond(incoming, 200)

    world = World(handler)
    world.receive(request())
    commit.finish()
    assert len(world.endpoint.tasks) == 1
    future.set_result(None)
    assert await world.settle() == [OK]


# what fails ----------------------------------------------------------------------------------------------------------


def crash_at(place: str, commit: Commit, future: asyncio.Future[None]) -> Handler:
    async def handler(incoming: Incoming) -> None:
        if incoming.request.call_id != "bad":
            return
        if place == "after a commit":
            await commit
        elif place == "in a task":
            await future
        raise ZeroDivisionError(place)

    return handler


@pytest.mark.parametrize("place", ["at once", "after a commit", "in a task"])
async def test_a_crash_is_a_500_and_touches_nothing_else(place: str) -> None:
    commit = Commit(asyncio.get_running_loop())
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    crash = crash_at(place, commit, future)

    async def handler(incoming: Incoming) -> None:
        await crash(incoming)
        world.respond(incoming, 200)

    world = World(handler)
    # Both in one turn, the bad one first.
    world.stack.receive(request("bad"), PHONE, 1000.0)
    world.stack.receive(request("good"), PHONE, 1000.0)
    world.endpoint.turn()
    sent = world.wire.take()
    commit.finish()
    future.set_result(None)
    await asyncio.sleep(0)
    for _ in range(3):
        world.loop.run()
        await asyncio.sleep(0)
    sent += world.wire.take()
    answers = {parse(data).call_id: data.partition(b"\r\n")[0].decode() for data, _, _ in sent}
    assert answers == {"bad": FAILED, "good": OK}
    assert [str(error) for error in world.loop.errors] == [place]
    # It is answered once and for all: a retransmission gets the same.
    assert world.receive(request("bad")) == [FAILED]
    assert world.receive(request("next")) == [OK]


async def test_a_crash_after_the_answer_is_not_answered_again() -> None:
    async def handler(incoming: Incoming) -> None:
        world.respond(incoming, 200)
        raise ZeroDivisionError

    world = World(handler)
    assert world.receive(request()) == [OK]
    assert await world.settle() == []
    assert len(world.loop.errors) == 1


async def test_a_crash_over_an_ack_is_told_and_not_answered() -> None:
    async def handler(incoming: Incoming) -> None:
        assert incoming.server is None
        raise ZeroDivisionError

    world = World(handler)
    assert world.receive(request(method="ACK")) == []
    assert await world.settle() == []
    assert [type(error) for error in world.loop.errors] == [ZeroDivisionError]


@pytest.mark.parametrize("late", [False, True])
async def test_what_a_handler_waits_for_is_cancelled_by_another(late: bool) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(incoming: Incoming) -> None:
        await future
        world.respond(incoming, 200)

    world = World(handler)
    if not late:
        future.cancel()
    sent = world.receive(request("1"))
    future.cancel()
    assert sent + await world.settle() == [FAILED]
    assert world.endpoint.tasks == set()


# sending -------------------------------------------------------------------------------------------------------------


async def test_the_flow_says_which_socket() -> None:
    world = World()
    other = Wire()
    socket = UdpSocket("udp:192.0.2.2:5060", other, world.endpoint)  # type: ignore[arg-type]
    world.endpoint.sockets["udp:192.0.2.2:5060"] = socket
    world.receive(request("1"), Flow("UDP", "udp:192.0.2.2:5060", "198.51.100.7", 5060))
    world.endpoint.message(request("2", transport="TCP"), Flow("TCP", TCP, "198.51.100.7", 40000, 7))
    [(_, flow, _)] = other.take()
    assert (flow.host, flow.port) == ("198.51.100.7", 5060)
    [(_, flow, key)] = world.wire.take()
    assert (flow.key(), flow.local, key) == (("TCP", "198.51.100.7", 40000, 7, ""), TCP, "")


async def test_the_flow_says_where_to() -> None:
    """RFC 3261 18.2.2: without rport the answer goes to the port of sent-by."""
    world = World()
    data = request().replace(b"7:5060;", b"7:5070;")
    world.endpoint.datagram(data, PHONE)
    [(_, flow, _)] = world.wire.take()
    assert (flow.host, flow.port) == ("198.51.100.7", 5070)


@pytest.mark.parametrize("how", ["refused", "no such socket", "no streams", "later"])
async def test_what_cannot_be_sent_fails_its_transaction(how: str) -> None:
    """RFC 3261 16.9: it is "treated as a 503", and a 503 alone becomes a 500 (16.7 step 6)."""

    async def handler(incoming: Incoming) -> None:
        over_tcp = ";transport=tcp" if how in ("no streams", "later") else ""
        world.forward(incoming, f"sip:bob@198.51.100.8{over_tcp}")

    world = World(handler)
    if how == "no streams":
        world.endpoint.streams = None
    elif how == "no such socket":
        world.endpoint.sockets = {}
    elif how == "refused":
        world.wire.broken = True
    world.endpoint.datagram(request(), PHONE)
    if how == "later":
        [(_, flow, key)] = world.wire.take()
        assert flow.transport == "TCP" and key
        world.loop.now += 1.5
        world.endpoint.undelivered(key, flow, "connection refused")
        assert world.endpoint.now == 1001.5
        world.loop.run()
        assert (world.wire.starts(), world.endpoint.failures) == ([FAILED], 0)
        return
    # The answer cannot leave either where nothing can: it counts, and nobody is to be told of it.
    assert world.endpoint.failures == (1 if how == "no streams" else 2)
    assert world.wire.starts() == ([FAILED] if how == "no streams" else [])
    world.wire.broken = False
    world.endpoint.sockets = {UDP: UdpSocket(UDP, world.wire, world.endpoint)}  # type: ignore[arg-type]
    assert world.receive(request()) == [FAILED]


async def test_a_failure_of_what_belongs_to_no_transaction() -> None:
    world = World()
    world.endpoint.undelivered("", PHONE, "gone")
    world.endpoint.undelivered("z9hG4bKunknown|INVITE", PHONE, "gone")
    world.loop.run()
    assert world.wire.starts() == []


# what is told --------------------------------------------------------------------------------------------------------


async def test_what_is_admitted_and_tapped() -> None:
    world = World()
    taps: list[tuple[bool, bytes, Flow, float]] = []
    asked: list[tuple[str, float]] = []

    def admit(host: str, now: float) -> bool:
        asked.append((host, now))
        return host == PHONE.host

    world.endpoint.admit = admit
    world.endpoint.tap = lambda *told: taps.append(told)
    assert world.receive(request("1"), BOB) == []
    assert (world.endpoint.dropped, world.handled, taps) == (1, [], [])
    world.loop.now += 2.0
    world.endpoint.datagram(request("2"), PHONE)
    [(sent, _, _)] = world.wire.take()
    assert [(received, data, flow.key(), now) for received, data, flow, now in taps] == [
        (True, request("2"), PHONE.key(), 1002.0),
        (False, sent, PHONE.key(), 1002.0),
    ]
    assert asked == [(BOB.host, 1000.0), (PHONE.host, 1002.0)]
    assert world.endpoint.dropped == 1


async def test_the_observer_is_told_of_what_no_handler_sees() -> None:
    async def handler(incoming: Incoming) -> None:
        if incoming.request.call_id == "settled":
            world.forward(incoming, "sip:bob@198.51.100.8")

    world = World(handler)
    world.stack.explain = True
    world.receive(b"no SIP at all, however long it is\r\n\r\n")
    world.receive(request("cancelled", "INVITE"))
    world.receive(request("cancelled", "CANCEL"))
    world.endpoint.datagram(request("settled"), PHONE)
    [(data, _, _)] = world.wire.take()
    world.receive(answer_to(data, "486 Busy Here"), BOB)
    assert [type(event) for event in world.seen] == [Malformed, Cancelled, Settled]
    world.endpoint.observer = None
    world.receive(b"no SIP at all, however long it is\r\n\r\n")
    assert len(world.seen) == 3


async def test_a_turn_within_a_turn_waits_for_its_place() -> None:
    """What a handler sends leaves when the turn that it runs in goes on, in order, and never out of its middle."""

    async def handler(incoming: Incoming) -> None:
        world.respond(incoming, 180)
        world.endpoint.turn()
        assert world.wire.sent == []
        world.respond(incoming, 200)

    world = World(handler)
    assert world.receive(request(method="INVITE")) == ["SIP/2.0 180 Ringing", OK]
    assert world.loop.errors == []


async def test_a_turn_is_asked_for_once() -> None:
    world = World()
    for _ in range(3):
        world.endpoint.turn_soon()
    assert len(world.loop.soon) == 1
    world.loop.run()
    world.endpoint.turn_soon()
    assert len(world.loop.soon) == 1


# the timer -----------------------------------------------------------------------------------------------------------


async def wait_for_ever(incoming: Incoming) -> None:
    """A handler that leaves its request unanswered."""


async def test_there_is_one_timer_and_it_is_moved_only_forward() -> None:
    world = World(wait_for_ever)
    assert world.loop.pending() == []
    world.receive(request("1", "INVITE"))
    # RFC 3261 17.2.1: 100 (Trying) after 200 ms.
    [timer] = world.loop.pending()
    assert timer.when == 1000.2
    world.loop.now = 1000.1
    # A deadline that comes later moves nothing, though there are many.
    for number in range(50):
        world.receive(request(f"later{number}", "INVITE"))
    assert world.loop.pending() == [timer]
    assert world.loop.made == 1
    world.loop.advance(0.15)
    assert [data.partition(b"\r\n")[0] for data, _, _ in world.wire.take()] == [b"SIP/2.0 100 Trying"]
    [timer] = world.loop.pending()
    assert timer.when == pytest.approx(1000.3)
    assert world.loop.made == 2


async def test_it_is_set_again_for_an_earlier_deadline() -> None:
    world = World(wait_for_ever)
    # RFC 4320 4.1: for a request other than INVITE the 100 comes late.
    world.receive(request("1", "OPTIONS"))
    [late] = world.loop.pending()
    world.receive(request("2", "INVITE"))
    [early] = world.loop.pending()
    assert late.cancelled
    assert (late.when > 1003.0, early.when) == (True, 1000.2)
    world.loop.advance(0.2)
    assert world.wire.starts() == ["SIP/2.0 100 Trying"]
    assert [timer.when for timer in world.loop.pending()] == [late.when]


async def test_a_clock_that_is_a_hair_behind() -> None:
    """A loop may wake a little before the deadline by its own clock: the timer counts as due all the same."""
    world = World(wait_for_ever)
    world.receive(request("1", "INVITE"))
    [timer] = world.loop.pending()
    world.loop.timers.clear()
    world.loop.now = 1000.1999999
    timer.callback()
    assert world.wire.starts() == ["SIP/2.0 100 Trying"]
    assert world.endpoint.now == 1000.2


# names ---------------------------------------------------------------------------------------------------------------


async def test_a_name_that_is_known_costs_no_task() -> None:
    async def handler(incoming: Incoming) -> None:
        world.forward(incoming, "sip:bob@biloxi.com")

    world = World(handler)
    world.names["biloxi.com"] = [BOB]
    before = asyncio.all_tasks()
    world.endpoint.datagram(request(), PHONE)
    [(data, flow, _)] = world.wire.take()
    assert (data.partition(b"\r\n")[0], flow.key()) == (b"OPTIONS sip:bob@biloxi.com SIP/2.0", BOB.key())
    assert asyncio.all_tasks() == before


async def test_a_name_that_takes_time_leads_nobody_else_to_wait() -> None:
    future: asyncio.Future[list[Flow]] = asyncio.get_running_loop().create_future()

    async def handler(incoming: Incoming) -> None:
        if incoming.request.call_id == "slow":
            world.forward(incoming, "sip:bob@biloxi.com")
        else:
            world.respond(incoming, 200)

    async def locate(uri: Uri) -> list[Flow]:
        assert uri.text == "sip:bob@biloxi.com"
        return await future

    world = World(handler)
    world.endpoint.locate = locate
    assert world.receive(request("slow")) == []
    assert world.receive(request("fast")) == [OK]
    future.set_result([BOB])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.loop.run()
    [(data, flow, _)] = world.wire.take()
    assert (data.partition(b" ")[0], flow.key()) == (b"OPTIONS", BOB.key())


@pytest.mark.parametrize("late", [False, True])
async def test_a_locator_that_crashes_leaves_nobody_waiting(late: bool) -> None:
    async def handler(incoming: Incoming) -> None:
        world.forward(incoming, "sip:bob@biloxi.com")

    async def locate(uri: Uri) -> list[Flow]:
        if late:
            await asyncio.sleep(0)
        raise ZeroDivisionError

    world = World(handler)
    world.endpoint.locate = locate
    sent = world.receive(request()) + await world.settle()
    assert sent == ["SIP/2.0 404 Not Found"]
    assert [type(error) for error in world.loop.errors] == [ZeroDivisionError]


# our own requests ----------------------------------------------------------------------------------------------------


def own_request(call: str = "own", method: str = "OPTIONS") -> Request:
    headers = [
        ("Max-Forwards", "70"),
        ("From", "<sip:example.org>;tag=s"),
        ("To", "<sip:bob@198.51.100.8>"),
        ("Call-ID", call),
        ("CSeq", f"1 {method}"),
    ]
    return build_request(method, "sip:bob@198.51.100.8", headers)


async def test_a_request_of_our_own_waits_for_its_final_response() -> None:
    world = World()
    tasks = [asyncio.create_task(world.endpoint.request(own_request(call), BOB)) for call in ("a", "b")]
    await asyncio.sleep(0)
    world.loop.run()
    sent = world.wire.take()
    assert [parse(data).call_id for data, _, _ in sent] == ["a", "b"]
    via = parse(sent[0][0]).via
    assert (via.transport, via.sent_by, via.branch[:11]) == ("UDP", "192.0.2.1:5060", "z9hG4bKte5t")
    # In the other order, and with a provisional one before.
    world.receive(answer_to(sent[1][0], "183 Session Progress"), BOB)
    world.receive(answer_to(sent[1][0], "404 Not Found"), BOB)
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [False, True]
    world.receive(answer_to(sent[0][0], "200 OK"), BOB)
    results = await asyncio.gather(*tasks)
    assert [result.status for result in results] == [200, 404]
    for result, call in zip(results, ("a", "b"), strict=True):
        assert result.response is not None
        assert result.response.call_id == call
    # Retransmissions are nobody's business any more.
    world.receive(answer_to(sent[0][0], "200 OK"), BOB)
    assert world.endpoint.pending_clients == {}


async def test_a_request_of_our_own_that_nobody_answers() -> None:
    world = World()
    task = asyncio.create_task(world.endpoint.request(own_request(), BOB))
    await asyncio.sleep(0)
    world.loop.run()
    # RFC 3261 17.1.2.2: it is sent again at 0.5, 1.5, 3.5 seconds and then every 4, and given up after 32.
    world.loop.advance(32.0)
    assert world.wire.starts() == ["OPTIONS sip:bob@198.51.100.8 SIP/2.0"] * 11
    result = await task
    assert (result.status, result.response) == (408, None)
    assert world.endpoint.pending_clients == {}


async def test_a_request_of_our_own_that_cannot_be_sent() -> None:
    world = World()
    world.wire.broken = True
    task = asyncio.create_task(world.endpoint.request(own_request(), BOB))
    await asyncio.sleep(0)
    world.loop.run()
    result = await task
    assert (result.status, result.response) == (503, None)


async def test_a_request_of_our_own_that_nobody_waits_for_any_more() -> None:
    world = World()
    task = asyncio.create_task(world.endpoint.request(own_request(), BOB))
    await asyncio.sleep(0)
    world.loop.run()
    [(data, _, _)] = world.wire.take()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.receive(answer_to(data, "200 OK"), BOB)
    assert world.endpoint.pending_clients == {}
    assert (await world.settle(), world.loop.errors) == ([], [])


async def test_the_observer_is_told_of_responses_that_nobody_waits_for() -> None:
    """Who sends by the stack itself hears of every response, of repeated 2xx too, and of his own timers."""
    world = World()
    client = world.stack.request(own_request(method="INVITE"), BOB, world.endpoint.now)
    world.stack.layer.timers.start(world.endpoint.now, 1.0, Brief("key", {}), 1)
    world.endpoint.turn()
    [(data, _, _)] = world.wire.take()
    for status in ("180 Ringing", "200 OK", "200 OK"):
        world.receive(answer_to(data, status), BOB)
    told = [event for event in world.seen if isinstance(event, Answered)]
    assert [(event.client, event.status) for event in told] == [(client, 180), (client, 200), (client, 200)]
    world.loop.advance(1.0)
    [expired] = [event for event in world.seen if isinstance(event, Expired)]
    assert expired.outcome == BRIEF_TIMER


async def test_the_observer_is_not_told_of_responses_that_are_waited_for() -> None:
    world = World()
    task = asyncio.create_task(world.endpoint.request(own_request(), BOB))
    await asyncio.sleep(0)
    world.loop.run()
    [(data, _, _)] = world.wire.take()
    world.receive(answer_to(data, "100 Trying"), BOB)
    world.receive(answer_to(data, "200 OK"), BOB)
    assert ((await task).status, world.seen) == (200, [])


# the end -------------------------------------------------------------------------------------------------------------


async def test_after_its_end_nothing_is_left_and_nothing_happens() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    commit = Commit(asyncio.get_running_loop())
    ended: list[str] = []

    async def handler(incoming: Incoming) -> None:
        if incoming.request.call_id == "commit":
            await commit
        else:
            try:
                await future
            finally:
                ended.append(incoming.request.call_id)
        world.respond(incoming, 200)

    before = asyncio.all_tasks()
    world = World(handler)
    for call in ("task", "commit"):
        world.receive(request(call, "INVITE"))
    own = asyncio.create_task(world.endpoint.request(own_request(), BOB))
    await asyncio.sleep(0)
    world.loop.run()
    world.wire.take()
    await world.endpoint.close()
    assert ended == ["task"]
    with pytest.raises(asyncio.CancelledError):
        await own
    assert asyncio.all_tasks() == before
    assert world.loop.pending() == []
    commit.finish()
    world.endpoint.datagram(request("late"), PHONE)
    world.endpoint.message(request("later"), PHONE)
    assert await world.settle() == []
    assert world.loop.pending() == []
    assert world.handled == ["task", "commit"]
