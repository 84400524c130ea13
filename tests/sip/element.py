"""One SIP element on a clock that only the test moves, and raw neighbours around it.

    element = Element()
    element.receive(request("INVITE", BOB))              # from ALICE
    element.forward(Plan([Stage([target(PHONE_1)])]))    # what the application decides
    [sent] = element.requests()                          # what went out
    element.answer(sent, 180)                            # what comes back
    [180] == element.statuses()                          # what the caller sees

Requests and responses are collected apart, in the order in which they were sent; each collection empties its list.
"""

from __future__ import annotations

from ringback.sip.message import Request, Response, response_to
from ringback.sip.parser import parse
from ringback.sip.plan import Plan, Stage
from ringback.sip.route import Self
from ringback.sip.stack import Event, Incoming, Stack
from ringback.sip.target import Target
from ringback.sip.transaction import Transaction
from ringback.sip.transport import Flow, Listener

SECRET = bytes(range(32))
START = 1000.0
HERE = "192.0.2.1"
UDP = Listener(f"udp:{HERE}:5060", "UDP", HERE, 5060)
TCP = Listener(f"tcp:{HERE}:5060", "TCP", HERE, 5060)
TLS = Listener(f"tls:{HERE}:5061", "TLS", HERE, 5061)
WSS = Listener(f"wss:{HERE}:443", "WSS", HERE, 443)
ALICE = Flow("UDP", UDP.id, "192.0.2.10", 5060)
BOB = "sip:bob@example.org"
CALL_ID = "call-1"


def phone(number: int) -> str:
    """The contact of a telephone, the nth of Bob's."""
    return f"sip:bob@192.0.2.{20 + number}:5060"


def target(uri: str, flow: Flow | None = None, routes: tuple[str, ...] = (), *alternatives: Target) -> Target:
    return Target(uri, flow, routes, 1000, f"for {uri}", list(alternatives))


def request(
    method: str = "INVITE",
    uri: str = BOB,
    *extra: str,
    branch: str = "z9hG4bKcaller1",
    via: str = "",
    to: str = "<sip:bob@example.org>",
    cseq: int = 1,
    forwards: int | None = 70,
    contact: str = "<sip:alice@192.0.2.10:5060>",
    call_id: str = CALL_ID,
    body: bytes = b"",
) -> bytes:
    """A request as Alice sends it; `extra` are whole lines that come after Via."""
    lines = [f"{method} {uri} SIP/2.0", via or f"Via: SIP/2.0/UDP 192.0.2.10:5060;branch={branch}", *extra]
    if forwards is not None:
        lines.append(f"Max-Forwards: {forwards}")
    lines += ["From: <sip:alice@example.org>;tag=a", f"To: {to}", f"Call-ID: {call_id}", f"CSeq: {cseq} {method}"]
    if contact and method in ("INVITE", "SUBSCRIBE", "REFER"):
        lines.append(f"Contact: {contact}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Element:
    """A stack, its clock, and all that it has sent and told."""

    def __init__(self, *listeners: Listener, domains: tuple[str, ...] = ("example.org",)) -> None:
        self.listeners = list(listeners) or [UDP, TCP]
        self.itself = Self(list(domains), self.listeners)
        self.stack = Stack(self.listeners, self.itself, SECRET, "here")
        self.now = START
        self.sent: list[tuple[Request | Response, Flow, str]] = []
        self.events: list[Event] = []
        self.server: Transaction | None = None
        self.request: Request | None = None
        self.caller = ALICE

    # the wire --------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow = ALICE) -> None:
        self.stack.receive(data, flow, self.now)
        self.turn()

    def turn(self) -> None:
        sends, events = self.stack.take()
        self.sent += [(parse(data), flow, key) for data, flow, key in sends]
        for event in events:
            if isinstance(event, Incoming):
                self.server, self.request, self.caller = event.server, event.request, event.flow
        self.events += events

    def advance(self, seconds: float) -> None:
        """Let time pass; every timer fires at its moment."""
        end = self.now + seconds
        while (deadline := self.stack.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.stack.advance(self.now)
            self.turn()
        self.now = end

    def requests(self, *methods: str) -> list[Request]:
        """The requests that were sent, or those of some methods; they are taken off the list."""
        kept, found = [], []
        for entry in self.sent:
            message = entry[0]
            if isinstance(message, Request) and (not methods or message.method in methods):
                found.append(message)
            else:
                kept.append(entry)
        self.sent = kept
        return found

    def responses(self) -> list[Response]:
        found = [message for message, _, _ in self.sent if isinstance(message, Response)]
        self.sent = [entry for entry in self.sent if isinstance(entry[0], Request)]
        return found

    def statuses(self) -> list[int]:
        return [response.status for response in self.responses()]

    def flow_of(self, method: str, place: int = 0) -> Flow:
        """Where the nth message of this method that was sent and not yet collected went."""
        flows = [flow for message, flow, _ in self.sent if isinstance(message, Request) and message.method == method]
        return flows[place]

    def key_of(self, method: str) -> str:
        """The key under which the transport reports that the last one could not be delivered."""
        keys = [key for message, _, key in self.sent if isinstance(message, Request) and message.method == method]
        return keys[-1]

    # the application -------------------------------------------------------------------------------------------------

    def forward(self, *stages: list[Target], record_route: bool = True, recurse: bool = False) -> None:
        """Forward the request that came last, by stages without a time."""
        self.forward_by(Plan([Stage(targets) for targets in stages], record_route, recurse))

    def forward_by(self, plan: Plan) -> None:
        assert self.server is not None and self.request is not None
        self.stack.forward(self.server, self.request, self.caller, plan, self.now)
        self.turn()

    def fork(self, count: int = 2, data: bytes = b"") -> list[Request]:
        """A request to Bob, forwarded to so many telephones at a time."""
        self.receive(data or request())
        self.forward([target(phone(number)) for number in range(1, count + 1)])
        return self.requests()

    # the neighbours --------------------------------------------------------------------------------------------------

    def answer(self, sent: Request, status: int, *extra: str, tag: str = "", via: bool = True) -> None:
        """The response of whoever got `sent`; `extra` are whole lines."""
        host = sent.uri.partition("@")[2].partition(":")[0]
        response = response_to(sent, status, "", "" if status == 100 else tag or f"tag-{host.rpartition('.')[2]}")
        for line in extra:
            response.names.append(line.partition(":")[0].lower())
            response.lines.append(line)
        if not via:
            while response.names.count("via") > 1:
                last = len(response.names) - 1 - response.names[::-1].index("via")
                del response.names[last], response.lines[last]
        self.receive(response.encode(), Flow("UDP", UDP.id, host, 5060))

    def undelivered(self, key: str) -> None:
        self.stack.failed(key, self.now)
        self.turn()

    def located(self, token: object, *hops: Flow) -> None:
        self.stack.located(token, list(hops), self.now)  # type: ignore[arg-type]
        self.turn()

    def settle(self) -> None:
        """Let the last timer fire; nothing may be left."""
        self.advance(80.0)
        assert self.at_rest(), (self.stack.layer.clients, self.stack.layer.servers)

    def at_rest(self) -> bool:
        """Whether nothing is left of what has happened: no transaction and no timer."""
        layer = self.stack.layer
        return not layer.clients and not layer.servers and layer.timers.count() == 0
