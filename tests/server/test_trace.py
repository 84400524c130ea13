"""Live tracing: who sees what, what nobody sees, and what a slow watcher costs."""

import asyncio
from typing import Any

import pytest

from ringback.net.endpoint import Endpoint
from ringback.server.trace import MOST_WATCHERS, Tracer, Watcher
from ringback.sip.plan import Decision
from ringback.sip.route import Self
from ringback.sip.stack import Stack
from ringback.sip.transport import Flow, Listener

LISTENER = Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060)
FLOW = Flow("UDP", LISTENER.id, "2001:db8::7", 5070)

OPTIONS = "OPTIONS sip:x@y SIP/2.0"


def message(
    first: str = "INVITE sip:bob@example.org SIP/2.0",
    sender: str = "<sip:alice@example.org>;tag=1",
    to: str = "<sip:bob@example.org>",
    call_id: str = "one",
    *extra: str,
    body: str = "",
) -> bytes:
    lines = [first, f"From: {sender}", f"To: {to}", f"Call-ID: {call_id}", "CSeq: 1 INVITE", *extra]
    return "\r\n".join([*lines, "", body]).encode()


class TestFilters:
    @pytest.mark.parametrize(
        ("user", "shown"),
        [
            ("", True),
            ("alice", True),
            ("bob", True),
            ("alice@example.org", True),
            ("alice@EXAMPLE.org", True),
            ("carol", False),
            ("alic", False),
            ("lice", False),
            ("Alice", False),
            ("alice@example.com", False),
            ("alice@example.o", False),
            ("alice@xample.org", False),
            (".*", False),
        ],
    )
    def test_users(self, user: str, shown: bool) -> None:
        assert Watcher(user).wants(message()) is shown

    @pytest.mark.parametrize(
        ("data", "user", "shown"),
        [
            # From, To and the Request-URI, and nothing else.
            (message("INVITE sip:carol@192.0.2.9:5070;x=y SIP/2.0"), "carol", True),
            (message("SIP/2.0 200 OK"), "bob", True),
            (message("SIP/2.0 200 OK", to='"C" <sips:carol:pw@example.org>;tag=2'), "carol@example.org", True),
            (message(to="sip:carol;phone-context=x@example.org"), "carol", True),
            (b"SIP/2.0 200 OK\r\nf: <sip:dave@example.org>\r\nt : sip:erin@example.org\r\n\r\n", "dave", True),
            (b"SIP/2.0 200 OK\r\nf: <sip:dave@example.org>\r\nt : sip:erin@example.org\r\n\r\n", "erin", True),
            (message(OPTIONS, "<sip:a@b>", "<sip:c@d>", "1", "Contact: <sip:carol@h>"), "carol", False),
            (message(OPTIONS, "<sip:a@b>", "<sip:c@d>", "1", body="To: <sip:carol@h>"), "carol", False),
            (message(to="<sip:carol@example.organic>"), "carol@example.org", False),
            (message(to="<sip:carol@example.org.evil.example>"), "carol@example.org", False),
            (message("INVITE tel:+4930123 SIP/2.0"), "+4930123", True),
            (message("INVITE tel:+49301234 SIP/2.0"), "+4930123", False),
            (message("INVITE tel:+4930123;x=y SIP/2.0"), "+4930123@example.org", True),
        ],
    )
    def test_what_names_a_user(self, data: bytes, user: str, shown: bool) -> None:
        assert Watcher(user).wants(data) is shown

    @pytest.mark.parametrize(
        ("data", "call_id", "shown"),
        [
            (message(call_id="one"), "one", True),
            (message(call_id="one"), "on", False),
            (message(call_id="one@192.0.2.1"), "one", False),
            (message(call_id="two", sender="<sip:one@example.org>"), "one", False),
            (b"SIP/2.0 200 OK\r\ni:  one \r\n\r\n", "one", True),
            (b"SIP/2.0 200 OK\r\n\r\nCall-ID: one\r\n", "one", False),
        ],
    )
    def test_calls(self, data: bytes, call_id: str, shown: bool) -> None:
        assert Watcher(call_id=call_id).wants(data) is shown

    def test_both(self) -> None:
        watcher = Watcher("alice", "one")
        assert watcher.wants(message(call_id="one"))
        assert not watcher.wants(message(call_id="two"))
        assert not watcher.wants(message(call_id="one", sender="<sip:carol@example.org>"))

    def test_decisions_follow_the_messages(self) -> None:
        everything, one, alice = Watcher(), Watcher(call_id="one"), Watcher("alice")
        assert everything.wants_call("one") and one.wants_call("one") and not alice.wants_call("one")
        assert not one.wants_call("two")
        alice.remember("one")
        assert alice.wants_call("one") and not alice.wants_call("two")

    def test_calls_are_not_remembered_for_ever(self) -> None:
        watcher = Watcher("alice")
        for number in range(1001):
            watcher.remember(f"{number}")
        assert not watcher.wants_call("0")
        assert watcher.wants_call("1") and watcher.wants_call("1000")


class TestQueue:
    async def test_in_order_and_all_at_once(self) -> None:
        watcher = Watcher()
        watcher.put({"n": 1})
        watcher.put({"n": 2})
        assert await watcher.take() == [{"n": 1}, {"n": 2}]
        taking = asyncio.ensure_future(watcher.take())
        await asyncio.sleep(0)
        assert not taking.done()
        watcher.put({"n": 3})
        assert await taking == [{"n": 3}]

    async def test_what_does_not_fit_is_dropped_and_counted(self) -> None:
        watcher = Watcher(size=2)
        for number in range(5):
            watcher.put({"n": number})
        assert await watcher.take() == [{"kind": "dropped", "count": 3}, {"n": 0}, {"n": 1}]
        watcher.put({"n": 5})
        assert await watcher.take() == [{"n": 5}]


async def nowhere(uri: object) -> list[Flow]:
    return []


@pytest.fixture
def tracer() -> Any:
    loop = asyncio.new_event_loop()
    stack = Stack([LISTENER], Self(["example.org"], [LISTENER]), bytes(32), "t")
    endpoint = Endpoint(stack, loop, nowhere, nowhere)  # type: ignore[arg-type]
    yield Tracer(endpoint, lambda: loop.time() + 5_000.0)
    loop.close()


def put_of(watcher: Watcher) -> list[dict[str, Any]]:
    return list(watcher._queue)


class TestTracer:
    def test_costs_nothing_while_nobody_watches(self, tracer: Tracer) -> None:
        endpoint = tracer._endpoint
        assert (endpoint.tap, endpoint.stack.explain, tracer.watchers) == (None, False, 0)
        first, second = Watcher(), Watcher()
        assert tracer.watch(first) and tracer.watch(second)
        assert (endpoint.tap is not None, endpoint.stack.explain, tracer.watchers) == (True, True, 2)
        tracer.leave(first)
        tracer.leave(first)
        assert (endpoint.tap is not None, endpoint.stack.explain, tracer.watchers) == (True, True, 1)
        tracer.leave(second)
        assert (endpoint.tap, endpoint.stack.explain, tracer.watchers) == (None, False, 0)

    def test_not_too_many_watch(self, tracer: Tracer) -> None:
        watchers = [Watcher() for _ in range(MOST_WATCHERS + 1)]
        assert [tracer.watch(watcher) for watcher in watchers] == [True] * MOST_WATCHERS + [False]
        tracer.leave(watchers[0])
        assert tracer.watch(watchers[-1])

    def test_a_message(self, tracer: Tracer) -> None:
        watcher, other = Watcher("alice"), Watcher("carol")
        tracer.watch(watcher)
        tracer.watch(other)
        tap = tracer._endpoint.tap
        assert tap is not None
        data = message(
            "REGISTER sip:example.org SIP/2.0",
            "<sip:alice@example.org>;tag=1",
            "<sip:alice@example.org>",
            "one",
            'Authorization: Digest username="alice", response="0123", nonce="4567"',
        )
        tap(True, data, FLOW, tracer._endpoint.loop.time() - 2.5)
        [entry] = put_of(watcher)
        assert put_of(other) == []
        at = entry.pop("at")
        assert at == pytest.approx(tracer._endpoint.loop.time() + 4997.5, abs=1.0)
        assert entry == {
            "kind": "message",
            "received": True,
            "local": "udp:192.0.2.1:5060",
            "peer": "udp:[2001:db8::7]:5070",
            "call_id": "one",
            "cseq": "1 INVITE",
            "text": data.decode().replace(' username="alice", response="0123", nonce="4567"', " [redacted]"),
        }

    def test_what_is_no_text(self, tracer: Tracer) -> None:
        watcher = Watcher()
        tracer.watch(watcher)
        tap = tracer._endpoint.tap
        assert tap is not None
        tap(False, b"\xff\x00garbage", FLOW, 0.0)
        [entry] = put_of(watcher)
        assert (entry["text"], entry["call_id"], entry["cseq"]) == ("\\xff\x00garbage", "", "")

    def test_decisions(self, tracer: Tracer) -> None:
        alice, carol = Watcher("alice"), Watcher("carol")
        tracer.watch(alice)
        tracer.watch(carol)
        tap = tracer._endpoint.tap
        assert tap is not None
        tap(True, message(), FLOW, tracer._endpoint.loop.time())
        decision = Decision(tracer._endpoint.loop.time(), "forward", "sip:bob:secret@192.0.2.9", 0, "binding of bob")
        tracer.decided("one", "INVITE", [decision])
        tracer.decided("two", "INVITE", [decision])
        assert put_of(carol) == []
        _, entry = put_of(alice)
        del entry["at"]
        assert entry == {
            "kind": "decision",
            "call_id": "one",
            "method": "INVITE",
            "what": "forward",
            "target": "sip:bob:[redacted]@192.0.2.9",
            "status": 0,
            "reason": "binding of bob",
        }
