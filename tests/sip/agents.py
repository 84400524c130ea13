"""A small world of user agents: real stacks and cores on one virtual clock and one network.

    net = Net()
    alice, bob = Agent(net, "alice"), Agent(net, "bob")
    call = alice.call(bob)
    net.run(0.1)
    bob.last.accept(net.now, SDP); ...

`Net(seed=…)` loses, doubles, delays and reorders datagrams as its seed says. It is fair, as `world` is: of the same
octets on the same way at most `MOST_LOSSES` are lost. `Peer` is a party that a test plays by hand; `Domain` is a proxy
that forks.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ringback.errors import ParseError
from ringback.sip.message import Headers, Request, Response, build_request, response_to
from ringback.sip.parser import parse
from ringback.sip.plan import Plan, Stage
from ringback.sip.profile import Profile
from ringback.sip.route import Self, preprocess
from ringback.sip.session import Session
from ringback.sip.session_events import Closed, CoreEvent, Ended, Locate, Offered, Requested
from ringback.sip.session_kinds import ENDED
from ringback.sip.stack import Asked, Incoming, Malformed, Stack
from ringback.sip.target import Target
from ringback.sip.transport import Flow, Listener
from ringback.sip.user_agent import UserAgentCore

START = 1000.0
MOST_LOSSES = 2
SECRET = bytes(range(32))
OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=offer\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 192.0.2.2\r\ns=answer\r\n"
OTHER = b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=other\r\n"
THIRD = b"v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\ns=third\r\n"

E = TypeVar("E", bound=CoreEvent)


class Sent(NamedTuple):
    """One message that was put on the wire; `lost` when it did not arrive."""

    at: float
    sender: str
    receiver: str
    message: Request | Response
    lost: bool

    @property
    def line(self) -> str:
        """`INVITE`, or `180 INVITE`."""
        if isinstance(self.message, Request):
            return self.message.method
        return f"{self.message.status} {self.message.cseq.method}"


class Net:
    """The clock and the network."""

    def __init__(self, seed: int | None = None, delay: float = 0.0) -> None:
        self.now = START
        self.chance = random.Random(seed)
        self.loss = self.doubling = 0.0
        self.delay = delay
        if seed is not None:
            self.loss = self.chance.choice([0.0, 0.1, 0.3])
            self.doubling = self.chance.choice([0.0, 0.2])
            self.delay = self.chance.choice([0.0, 0.05, 0.4])
        self.nodes: dict[str, Node] = {}
        self.names: dict[str, list[str]] = {}
        self.wire: list[Sent] = []
        #: Decides over each message whether it is lost; asked before chance is.
        self.drop: Callable[[Sent], bool] | None = None
        #: Hosts to which nothing can be sent; the sender hears of it.
        self.refusing: set[str] = set()
        self._losses: dict[tuple[str, str, bytes], int] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen later."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, action))

    def run(self, seconds: float) -> None:
        """Let time pass; what is due at the end of it still happens."""
        end = self.now + seconds
        for node in self.nodes.values():
            node.turn()
        while True:
            soonest = self._heap[0][0] if self._heap else None
            waiting: Node | None = None
            for node in self.nodes.values():
                deadline = node.stack.deadline()
                if deadline is not None and (soonest is None or deadline < soonest):
                    soonest, waiting = deadline, node
            if soonest is None or soonest > end:
                self.now = end
                return
            self.now = max(self.now, soonest)
            if waiting is not None:
                waiting.stack.advance(self.now)
                waiting.turn()
            else:
                heapq.heappop(self._heap)[2]()

    def send(self, sender: Node, data: bytes, flow: Flow, key: str) -> None:
        """A message leaves."""
        message = parse(data, 1 << 24)
        receiver = self.nodes.get(flow.host)
        name = receiver.name if receiver is not None else flow.host
        if flow.host in self.refusing or (flow.transport != "UDP" and receiver is None):
            if key:
                self.after(0.0, lambda: sender.failed(key))
            return
        sent = Sent(self.now, sender.name, name, message, False)
        lost = receiver is None or (self.drop is not None and self.drop(sent)) or self._loses(sender, flow, data)
        self.wire.append(sent._replace(lost=lost))
        if lost or receiver is None:
            return
        there = receiver
        back = Flow(flow.transport, there.local(flow.transport), sender.host, 5060)
        for _ in range(2 if self.chance.random() < self.doubling else 1):
            delay = self.delay if self.loss == 0.0 and self.doubling == 0.0 else self.chance.random() * self.delay
            self.after(delay, lambda: there.receive(data, back))

    def _loses(self, sender: Node, flow: Flow, data: bytes) -> bool:
        way = (sender.host, flow.host, data)
        losses = self._losses.get(way, 0)
        if losses < MOST_LOSSES and self.chance.random() < self.loss:
            self._losses[way] = losses + 1
            return True
        return False

    def lines(self, *names: str) -> list[str]:
        """What was sent, in order: `alice INVITE`; only by these senders if any are named. Taken off the list."""
        found = [f"{sent.sender} {sent.line}" for sent in self.wire if not names or sent.sender in names]
        self.wire = []
        return found

    def sent(self, line: str, sender: str = "") -> list[Sent]:
        """All of one kind that was sent: `INVITE`, `200 INVITE`."""
        return [sent for sent in self.wire if sent.line == line and sender in ("", sent.sender)]

    def ladder(self) -> str:
        """For the message of a failure."""
        return "\n".join(
            f"{sent.at - START:8.3f} {sent.sender:6} > {sent.receiver:6} {sent.line} {'LOST' if sent.lost else ''}"
            f" {sent.message.header('cseq')}"
            for sent in self.wire[-60:]
        )


class Node:
    """A stack at an address."""

    def __init__(self, net: Net, name: str, transports: tuple[str, ...] = ("UDP",), domains: tuple[str, ...] = ()):
        self.net = net
        self.name = name
        self.host = f"192.0.2.{len(net.nodes) + 1}"
        self.listeners = [
            Listener(f"{transport.lower()}:{self.host}:5060", transport, self.host, 5060) for transport in transports
        ]
        self.stack = Stack(self.listeners, Self(list(domains), self.listeners), SECRET, name)
        self.malformed: list[str] = []
        net.nodes[self.host] = self

    @property
    def uri(self) -> str:
        return f"sip:{self.name}@{self.host}"

    def local(self, transport: str) -> str:
        return f"{transport.lower()}:{self.host}:5060"

    def flow(self, other: Node, transport: str = "UDP") -> Flow:
        return Flow(transport, self.local(transport), other.host, 5060)

    def receive(self, data: bytes, flow: Flow) -> None:
        self.stack.receive(data, flow, self.net.now)
        self.turn()

    def failed(self, key: str) -> None:
        self.stack.failed(key, self.net.now)
        self.turn()

    def turn(self) -> None:
        """Send and tell until nothing is left to do."""
        while True:
            sends, events = self.stack.take()
            for data, flow, key in sends:
                self.net.send(self, data, flow, key)
            for event in events:
                if isinstance(event, Malformed):
                    self.malformed.append(event.reason)
                self.told(event)
            if not self.more() and not sends and not events:
                return

    def told(self, event: object) -> None:
        raise NotImplementedError

    def more(self) -> bool:
        """Whether there was more to do."""
        return False


class Agent(Node):
    """A user agent. `events` is all that its core has told; `on` reacts to it at once."""

    def __init__(self, net: Net, name: str, transports: tuple[str, ...] = ("UDP",), **settings: object) -> None:
        super().__init__(net, name, transports)
        self._tokens = random.Random(name)
        self.core = UserAgentCore(self.stack, lambda: f"{self._tokens.getrandbits(128):032x}", "")
        given = {"session_expires": 0, "reliable": "none", **settings}
        self.profile = Profile(f"<sip:{name}@example.org>", self.uri, **given)  # type: ignore[arg-type]
        self.core.profiles.append(self.profile)
        self.core.default = self.profile
        self.events: list[CoreEvent] = []
        self.on: Callable[[CoreEvent], None] | None = None
        #: Answers to `Locate`, by host; a name that is not here is never answered when `silent`.
        self.silent = False

    def told(self, event: object) -> None:
        taken = self.core.handle(event, self.net.now)  # type: ignore[arg-type]
        assert taken or isinstance(event, Malformed), event

    def more(self) -> bool:
        events = self.core.take()
        self.events += events
        for event in events:
            if isinstance(event, Locate) and not self.silent:
                hosts = self.net.names.get(event.uri.host, [])
                flows = [Flow("UDP", "", host, 5060) for host in hosts]
                self.core.located(event.exchange, flows, self.net.now)
            if self.on is not None:
                self.on(event)
        return bool(events)

    # what a test does ------------------------------------------------------------------------------------------------

    def call(self, other: Node | str, body: bytes = OFFER, headers: Headers | None = None, **more: object) -> Session:
        """Call somebody; nothing leaves before the world goes on."""
        target = other if isinstance(other, str) else other.uri
        return self.core.invite(self.profile, target, body, self.net.now, headers, **more)  # type: ignore[arg-type]

    def told_of(self, kind: type[E]) -> list[E]:
        """The events of one kind, taken off the list."""
        found = [event for event in self.events if isinstance(event, kind)]
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return found

    def one(self, kind: type[E]) -> E:
        """The only event of one kind."""
        [event] = self.told_of(kind)
        return event

    @property
    def offered(self) -> Session:
        """The session of the only call that has come."""
        return self.one(Offered).session

    @property
    def requested(self) -> Requested:
        return self.one(Requested)

    def names(self) -> list[str]:
        """The names of all events, in order, taken off the list."""
        names = [type(event).__name__ for event in self.events]
        self.events = []
        return names

    def at_rest(self) -> list[str]:
        """What is left of all that was; nothing should be."""
        tu, layer = self.core.tu, self.stack.layer
        left = {
            "dialogs": tu.dialogs, "sessions": tu.sessions, "exchanges": tu.exchanges, "seen": tu.seen,
            "ended": tu.ended, "handed": tu.handed, "finished": tu.finished, "clients": layer.clients,
            "servers": layer.servers,
        }  # fmt: skip
        found = [f"{self.name}: {name} {content}" for name, content in left.items() if content]
        if layer.timers.count():
            found.append(f"{self.name}: {layer.timers.count()} timers")
        return found


class Peer(Node):
    """A party that the test plays: it keeps what comes, answers nothing by itself, and has no transactions.

    Of a request that is sent again only the first copy is kept (`Net.sent` has them all); of an ACK every one.
    """

    def __init__(self, net: Net, name: str = "peer", transports: tuple[str, ...] = ("UDP",)) -> None:
        super().__init__(net, name, transports)
        self.got: list[Request | Response] = []
        self.tag = "peer-tag"
        self._cseq = 0
        self._seen: set[bytes] = set()

    def receive(self, data: bytes, flow: Flow) -> None:
        if data.startswith((b"SIP/2.0 ", b"ACK ")) or data not in self._seen:
            self.got.append(parse(data, 1 << 24))
        self._seen.add(data)

    def told(self, event: object) -> None:
        raise AssertionError("a peer has no stack that is told anything")

    # what came -------------------------------------------------------------------------------------------------------

    def take(self, method: str = "") -> Request:
        """The oldest request of this method that was not taken."""
        for position, message in enumerate(self.got):
            if isinstance(message, Request) and method in ("", message.method):
                del self.got[position]
                return message
        raise AssertionError(f"no {method} among {self.got}")

    def took(self, method: str) -> bool:
        return any(isinstance(message, Request) and message.method == method for message in self.got)

    def response(self, method: str = "") -> Response:
        """The oldest response to this method that was not taken."""
        for position, message in enumerate(self.got):
            if isinstance(message, Response) and method in ("", message.cseq.method):
                del self.got[position]
                return message
        raise AssertionError(f"no response to {method} among {self.got}")

    def statuses(self, method: str = "") -> list[int]:
        found = [m.status for m in self.got if isinstance(m, Response) and method in ("", m.cseq.method)]
        self.got = [m for m in self.got if not (isinstance(m, Response) and method in ("", m.cseq.method))]
        return found

    # what goes -------------------------------------------------------------------------------------------------------

    def answer(
        self,
        request: Request,
        status: int,
        body: bytes = b"",
        headers: Headers | None = None,
        tag: str | None = None,
        contact: bool = True,
    ) -> None:
        """Send a response to a request that came, and let it arrive."""
        given = list(headers or [])
        if contact and 100 < status < 300:
            given.append(("Contact", f"<{self.uri}>"))
        if body:
            given.append(("Content-Type", "application/sdp"))
        response = response_to(request, status, "", self.tag if tag is None else tag, given, body)
        via = request.via
        host = via.received or via.host
        self.net.send(self, response.encode(), Flow(via.transport, "", host, 5060), "")
        self.net.run(0.0)

    def request(
        self,
        method: str,
        other: Node,
        body: bytes = b"",
        headers: Headers | None = None,
        *,
        to: str = "",
        call_id: str = "peer-call",
        cseq: int = 0,
        branch: str = "",
        from_tag: str = "",
    ) -> Request:
        """Send a request by hand, and let it arrive. `to` is the value of To, in a dialog with its tag."""
        if not cseq:
            self._cseq += 1
            cseq = self._cseq
        given: Headers = [
            ("Via", f"SIP/2.0/UDP {self.host}:5060;branch={branch or f'z9hG4bK{method}{cseq}'}"),
            ("Max-Forwards", "70"),
            ("From", f"<{self.uri}>;tag={from_tag or self.tag}"),
            ("To", to or f"<{other.uri}>"),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        if method in ("INVITE", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE"):
            given.append(("Contact", f"<{self.uri}>"))
        if body:
            given.append(("Content-Type", "application/sdp"))
        names = {name.lower() for name, _ in headers or []}
        given = [(name, value) for name, value in given if name.lower() not in names or name == "Via"]
        request = build_request(method, other.uri, given + (headers or []), body)
        self.net.send(self, request.encode(), self.flow(other), "")
        self.net.run(0.0)
        return request

    def within(self, method: str, of: Request, other: Node, body: bytes = b"", headers: Headers | None = None) -> None:
        """Send a request in the dialog that an INVITE which came, and our answer with our tag, have made."""
        swapped = [("From", f"{of.required('to')};tag={self.tag}"), *(headers or [])]
        self.request(method, other, body, swapped, to=of.required("from"), call_id=of.call_id)


class Domain(Node):
    """A proxy that forks: `users` says where somebody is."""

    def __init__(self, net: Net, name: str = "proxy", domain: str = "example.org") -> None:
        super().__init__(net, name, ("UDP",), (domain,))
        self.users: dict[str, list[str]] = {}
        self.recurse = False
        net.names[domain] = [self.host]

    def told(self, event: object) -> None:
        if isinstance(event, Incoming):
            try:
                self._route(event)
            except ParseError as error:
                if event.server is not None:
                    self.stack.respond(event.server, event.request, error.status, self.net.now)
        elif isinstance(event, Asked):
            hosts = self.net.names.get(event.uri.host, [])
            self.stack.located(event.token, [Flow("UDP", "", host, 5060) for host in hosts], self.net.now)

    def _route(self, event: Incoming) -> None:
        request, stack, now = event.request, self.stack, self.net.now
        route = preprocess(request, stack.element, SECRET, event.flow)
        if event.server is None:
            if route.in_dialog:
                stack.relay_ack(request, route.flow, now)
            return
        if route.in_dialog:
            plan = Plan([Stage([Target(request.uri, route.flow, (), 1000, "", [])])], record_route=False)
        elif request.target.user in self.users and stack.element.serves(request.target):
            uris = self.users[request.target.user]
            plan = Plan([Stage([Target(uri, None, (), 1000, "", []) for uri in uris])], recurse=self.recurse)
        elif not stack.element.serves(request.target):
            plan = Plan([Stage([Target(request.uri, None, (), 1000, "", [])])])
        else:
            stack.respond(event.server, request, 404, now)
            return
        stack.forward(event.server, request, event.flow, plan, now)


def pair(seed: int | None = None, **settings: object) -> tuple[Net, Agent, Agent]:
    """Alice and Bob, who reach each other directly."""
    net = Net(seed)
    return net, Agent(net, "alice", **settings), Agent(net, "bob", **settings)  # type: ignore[arg-type]


def established(net: Net, alice: Agent, bob: Agent) -> tuple[Session, Session]:
    """A call of Alice to Bob that is answered and acknowledged; wire and events are empty afterwards."""
    ours = alice.call(bob)
    net.run(0.0)
    theirs = bob.offered
    theirs.accept(net.now, ANSWER)
    net.run(0.0)
    for agent in (alice, bob):
        agent.events.clear()
    net.wire.clear()
    return ours, theirs


def ended(agent: Agent) -> Ended:
    """The end that an agent was told; it has been closed too."""
    event = agent.one(Ended)
    assert event.session.state == ENDED, event.session
    assert agent.one(Closed).session is event.session
    return event


def settle(net: Net, *agents: Agent, seconds: float = 200.0) -> None:
    """Let everything run out; nothing may be left."""
    net.run(seconds)
    left = [line for agent in agents for line in agent.at_rest()]
    assert not left, "\n".join([*left, net.ladder()])
