"""The onion: in which order its layers run, and what a transaction does to the stack."""

from ringback.errors import ParseError
from ringback.server.app import Application, Errors, Layer, ServerTransaction, compose
from ringback.sip.message import Response
from ringback.sip.parser import parse
from ringback.sip.plan import Plan, Stage
from ringback.sip.route import Self
from ringback.sip.stack import Incoming, Stack
from ringback.sip.target import Target
from ringback.sip.transport import Flow, Listener

LISTENER = Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060)
CALLER = Flow("UDP", LISTENER.id, "198.51.100.7", 5070)


def incoming(method: str = "MESSAGE", explain: bool = False, padding: int = 0) -> ServerTransaction:
    """A request that has just come."""
    stack = Stack([LISTENER], Self(["example.org"], [LISTENER]), bytes(32), "t")
    stack.explain = explain
    lines = [
        f"{method} sip:bob@example.org SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK1",
        "Max-Forwards: 70",
        "From: <sip:alice@example.org>;tag=1",
        "To: <sip:bob@example.org>",
        "Call-ID: one",
        f"CSeq: 1 {method}",
        f"Subject: {'x' * padding}",
        "Content-Length: 0",
    ]
    stack.receive(("\r\n".join(lines) + "\r\n\r\n").encode(), CALLER, 100.0)
    _, [event] = stack.take()
    assert isinstance(event, Incoming)
    return ServerTransaction(stack, event, 100.0)


def run(application: Application, transaction: ServerTransaction) -> None:
    rest = application(transaction)
    if rest is None:
        return
    try:
        rest.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def sent(transaction: ServerTransaction) -> list[Response]:
    sends, _ = transaction.stack.take()
    responses = [parse(data) for data, _, _ in sends]
    assert all(flow == CALLER for _, flow, _ in sends)
    return responses  # type: ignore[return-value]


class TestTransaction:
    def test_as_it_begins(self) -> None:
        transaction = incoming()
        assert (transaction.user, transaction.trusted, transaction.decisions) == ("", False, [])
        assert (transaction.flow, transaction.now, transaction.request.method) == (CALLER, 100.0, "MESSAGE")
        assert not transaction.route.next and not transaction.route.in_dialog

    def test_answers(self) -> None:
        transaction = incoming()
        transaction.respond(480, "Gone Fishing", [("Retry-After", "5")], b"text", why="nobody is at home")
        [response] = sent(transaction)
        assert (response.status, response.reason, response.header("retry-after"), response.body) == (
            480,
            "Gone Fishing",
            "5",
            b"text",
        )
        assert transaction.decisions == []

    def test_keeps_why_when_asked_to_explain(self) -> None:
        transaction = incoming(explain=True)
        transaction.respond(480, "Gone Fishing", why="nobody is at home")
        transaction.respond(481, "Gone Again")
        shown = [(entry.at, entry.what, entry.target, entry.status, entry.reason) for entry in transaction.decisions]
        assert shown == [
            (100.0, "answer", "sip:bob@example.org", 480, "nobody is at home"),
            (100.0, "answer", "sip:bob@example.org", 481, "Gone Again"),
        ]
        # RFC 3261 17.2: one final response a transaction.
        assert [response.status for response in sent(transaction)] == [480]

    def test_forwards(self) -> None:
        transaction = incoming()
        transaction.forward(Plan([Stage([Target("sip:bob@198.51.100.9:5080", None, (), 1000, "a binding", [])])]))
        [(data, flow, _)], _ = transaction.stack.take()
        assert (flow.host, flow.port) == ("198.51.100.9", 5080)
        assert data.startswith(b"MESSAGE sip:bob@198.51.100.9:5080 SIP/2.0\r\n")

    def test_an_ack_is_neither_answered_nor_forwarded(self) -> None:
        """RFC 3261 17.1.1.3: there is no response to an ACK, and 16.11: it is passed on without state or not at all."""
        transaction = incoming("ACK")
        assert transaction.server is None
        transaction.respond(400)
        transaction.forward(Plan([Stage([Target("sip:bob@198.51.100.9:5080", None, (), 1000, "a binding", [])])]))
        assert transaction.stack.take() == ([], [])


class TestOnion:
    def test_the_first_layer_is_the_outermost(self) -> None:
        seen: list[str] = []

        def layer(name: str) -> Layer:
            def around(inner: Application) -> Application:
                async def application(transaction: ServerTransaction) -> None:
                    seen.append(f"{name} in")
                    await inner(transaction)
                    seen.append(f"{name} out")

                return application

            return around

        async def handler(transaction: ServerTransaction) -> None:
            seen.append("handler")

        run(compose([layer("a"), layer("b")], handler), incoming())
        assert seen == ["a in", "b in", "handler", "b out", "a out"]

    def test_without_layers(self) -> None:
        async def handler(transaction: ServerTransaction) -> None:
            transaction.respond(200)

        assert compose([], handler) is handler


def raising(error: Exception) -> Application:
    async def handler(transaction: ServerTransaction) -> None:
        raise error

    return Errors(handler)


class TestErrors:
    def test_a_user_is_answered_with_state(self) -> None:
        transaction = incoming(explain=True)
        transaction.user = "alice@example.org"
        run(raising(ParseError('the "Route" is\\none', 416)), transaction)
        [response] = sent(transaction)
        assert (response.status, response.header("warning")) == (416, "399 ringback \"the 'Route' isnone\"")
        assert [decision.reason for decision in transaction.decisions] == ['the "Route" is\\none']
        assert len(transaction.stack.layer.servers) == 1

    def test_a_stranger_is_answered_without(self) -> None:
        """RFC 3261 8.2.7: "malicious floods of unauthenticated requests could create massive amounts of … state"."""
        transaction = incoming(padding=200)
        run(raising(ParseError("no route")), transaction)
        [response] = sent(transaction)
        assert (response.status, response.header("warning")) == (400, '399 ringback "no route"')
        assert len(transaction.stack.layer.servers) == 0

    def test_a_long_story_is_cut(self) -> None:
        transaction = incoming()
        transaction.trusted = True
        run(raising(ParseError("x" * 500)), transaction)
        [response] = sent(transaction)
        assert response.header("warning") == f'399 ringback "{"x" * 120}"'

    def test_other_exceptions_are_not_for_this_layer(self) -> None:
        transaction = incoming()
        try:
            run(raising(ZeroDivisionError("a mistake in the code")), transaction)
        except ZeroDivisionError:
            assert sent(transaction) == []
        else:
            raise AssertionError("it was swallowed")
