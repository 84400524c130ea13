"""What is counted, and who handles a request."""

from __future__ import annotations

import pytest

from ringback.server.app import ServerTransaction
from ringback.server.entrance import Entrance
from ringback.sip.message import Request
from ringback.sip.parser import METHODS
from ringback.sip.route import Self
from ringback.sip.stack import Incoming, Stack
from ringback.sip.transport import Flow, Listener

FLOW = Flow("UDP", "udp:192.0.2.1:5060", "198.51.100.7", 5060)


class World:
    def __init__(self) -> None:
        listeners = [Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060)]
        self.stack = Stack(listeners, Self(["example.org"], listeners), bytes(32), "te5t")
        self.handled: list[tuple[str, str, float]] = []
        self.entrance = Entrance(self.stack, self.application, self.aside)

    def application(self, transaction: ServerTransaction) -> None:
        self.handled.append(("application", transaction.request.method, transaction.now))

    async def rest(self) -> None:
        pass

    def aside(self, transaction: ServerTransaction):  # type: ignore[no-untyped-def]
        self.handled.append(("aside", transaction.request.method, transaction.now))
        return self.rest()

    def enter(self, method: str, now: float = 7.0) -> object:
        return self.entrance.enter(Incoming(None, Request(method, "sip:bob@example.org", [], [], b""), FLOW), now)


def test_each_method_is_counted() -> None:
    world = World()
    world.entrance.serving = True
    assert set(world.entrance.counts.values()) == {0}
    for method in ("INVITE", "INVITE", "BYE", "NEWMETHOD", "invite"):
        assert world.enter(method) is None
    counted = {method: count for method, count in world.entrance.counts.items() if count}
    # Methods are case-sensitive (RFC 3261 7.1); what strangers make up does not grow the table.
    assert counted == {"INVITE": 2, "BYE": 1, "other": 2}
    assert set(world.entrance.counts) == {*METHODS, "other"}


@pytest.mark.parametrize(("serving", "explain", "handler"), [
    (True, False, "application"),
    (True, True, "aside"),
    (False, False, "aside"),
])
def test_who_handles_it(serving: bool, explain: bool, handler: str) -> None:
    world = World()
    world.entrance.serving = serving
    world.stack.explain = explain
    rest = world.enter("OPTIONS", 9.5)
    assert world.handled == [(handler, "OPTIONS", 9.5)]
    if handler == "aside":
        rest.close()  # type: ignore[attr-defined]
    else:
        assert rest is None


def test_another_application_takes_over() -> None:
    world = World()
    world.entrance.serving = True
    seen: list[str] = []
    world.entrance.application = lambda transaction: seen.append(transaction.request.uri)
    world.enter("OPTIONS")
    assert (seen, world.handled) == (["sip:bob@example.org"], [])
