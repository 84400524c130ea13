"""A world of proxies and telephones, all of them real stacks, on one clock and one network that a seed decides.

    world = World(seed)
    world.run()            # to the last timer
    world.check()          # what has to be true in the end; much is checked at each step

The network loses, doubles, delays and reorders datagrams. It is fair: of the same octets on the same way at most
`MOST_LOSSES` are lost, so that what is sent again often enough arrives, as all promises of RFC 3261 assume.

A violation is an AssertionError that names the seed; `World(seed).run()` shows it again.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import NamedTuple

from ringback.errors import ParseError
from ringback.sip.client_invite import cancel_of
from ringback.sip.message import Request, Response, build_request, response_to
from ringback.sip.parser import parse
from ringback.sip.plan import Plan, Stage
from ringback.sip.route import Self, loop_mark, preprocess, refusal
from ringback.sip.stack import Answered, Asked, Cancelled, Incoming, Malformed, Stack
from ringback.sip.target import Target
from ringback.sip.timers import T1, T2, T64, TIMER_C
from ringback.sip.transaction import Transaction
from ringback.sip.transport import Flow, Listener

MOST_LOSSES = 2
LONGEST_DELAY = 0.4
#: Nothing in here may go on for longer: the stages of two proxies one after the other, each with timer C.
END = 6 * (TIMER_C + 2 * T64)
SECRET = bytes(range(32))


class Sent(NamedTuple):
    """One message that was put on the wire."""

    at: float
    sender: str
    message: Request | Response


class Node:
    """One stack at one address, and the application above it."""

    def __init__(self, world: World, name: str, host: str, domains: tuple[str, ...] = ()) -> None:
        self.world = world
        self.name = name
        self.host = host
        self.listener = Listener(f"udp:{host}:5060", "UDP", host, 5060)
        self.stack = Stack([self.listener], Self(list(domains), [self.listener]), SECRET, name)
        world.nodes[host] = self

    def turn(self) -> None:
        """Send and tell until nothing is left to do."""
        while True:
            sends, events = self.stack.take()
            if not sends and not events:
                return
            for data, flow, key in sends:
                self.world.send(self, data, flow, key)
            for event in events:
                self.told(event)

    def told(self, event: object) -> None:
        raise NotImplementedError

    def flow_to(self, host: str) -> Flow:
        return Flow("UDP", self.listener.id, host, 5060)


class Proxy(Node):
    """A proxy with a location service: users to stages of URIs, each stage with its time."""

    def __init__(self, world: World, name: str, host: str, domain: str) -> None:
        super().__init__(world, name, host, (domain,))
        self.users: dict[str, list[tuple[list[str], float]]] = {}
        self.recurse = False
        #: How long the application thinks about a request, as one that asks a database does.
        self.thought = world.chance.choice([0.0, 0.0, 0.8])

    def told(self, event: object) -> None:
        if isinstance(event, Incoming):
            if self.thought and event.server is not None:
                self.world.after(self.thought, lambda: self.decide(event))
            else:
                self.decide(event)
        elif isinstance(event, Asked):
            hops = [self.flow_to(host) for host in self.world.names.get(event.uri.host, [])]
            self.world.after(self.world.chance.choice([0.0, 0.01, 1.0]), lambda: self.locate(event.token, hops))
        else:
            assert not isinstance(event, Malformed), self.world.failure(f"{self.name} cannot read: {event.reason}")

    def decide(self, event: Incoming) -> None:
        try:
            self.route(event)
        except ParseError as error:
            if event.server is not None:
                self.stack.respond(event.server, event.request, error.status, self.world.now)

    def locate(self, token: object, hops: list[Flow]) -> None:
        self.stack.located(token, hops, self.world.now)  # type: ignore[arg-type]

    def route(self, event: Incoming) -> None:
        request = event.request
        stack, now = self.stack, self.world.now
        route = preprocess(request, stack.element, SECRET, event.flow)
        if event.server is None:
            if route.in_dialog:
                stack.relay_ack(request, route.flow, now)
            return
        refused = refusal(request, stack.layer.branch_prefix, loop_mark(request))
        if refused is not None:
            stack.respond(event.server, request, refused[0], now, headers=refused[1])
        elif route.in_dialog:
            plan = Plan([Stage([target(request.uri, route.flow)])], record_route=False)
            stack.forward(event.server, request, event.flow, plan, now)
        elif not stack.element.serves(request.target):
            stack.forward(event.server, request, event.flow, Plan([Stage([target(request.uri)])]), now)
        elif request.target.user in self.users:
            stages = [Stage([target(uri) for uri in uris], time) for uris, time in self.users[request.target.user]]
            stack.forward(event.server, request, event.flow, Plan(stages, recurse=self.recurse), now)
        else:
            stack.respond(event.server, request, 404, now)


def target(uri: str, flow: Flow | None = None) -> Target:
    return Target(uri, flow, (), 1000, "as the world has it", [])


class Ring(NamedTuple):
    """What a telephone does with a call: each a time after the INVITE came, or None for never.

    wakes, dies  seconds after the start of the world between which it hears anything
    """

    ring: float | None
    answer: float | None
    status: int
    contact: str = ""
    wakes: float = 0.0
    dies: float = END


class Callee(Node):
    """A telephone that is called: it rings, answers, sends its 2xx again until the ACK comes (13.3.1.4)."""

    def __init__(self, world: World, name: str, host: str, script: Ring) -> None:
        super().__init__(world, name, host)
        self.script = script
        #: Calls that ring now.
        self.ringing: dict[Transaction, Request] = {}
        #: Tag of each 2xx that was sent: whether its ACK has come, and its BYE.
        self.acknowledged: dict[str, bool] = {}
        self.ended: set[str] = set()
        self.messages: list[str] = []
        #: Requests that were accepted: who, in which call, which of them.
        self.seen: set[tuple[str, str, int]] = set()

    def told(self, event: object) -> None:
        now = self.world.now
        if isinstance(event, Cancelled):
            self.ringing.pop(event.server, None)
        elif isinstance(event, Incoming):
            request, server = event.request, event.server
            if server is None:
                if request.to_tag in self.acknowledged:
                    self.acknowledged[request.to_tag] = True
            elif not request.to_tag and self.merged(request):
                self.stack.respond(server, request, 482, now)
            elif request.method == "INVITE":
                self.invited(server, request)
            elif request.method == "BYE":
                known = request.to_tag in self.acknowledged
                self.ended.add(request.to_tag)
                self.stack.respond(server, request, 200 if known else 481, now)
            else:
                assert request.method == "MESSAGE", self.world.failure(f"{self.name} got {request.method}")
                self.messages.append(request.call_id)
                self.stack.respond(server, request, self.script.status, now)

    def hears(self) -> bool:
        return self.script.wakes <= self.world.now - self.world.start < self.script.dies

    def merged(self, request: Request) -> bool:
        """8.2.2.2: the same From tag, Call-ID and CSeq in another transaction: it has come by two ways."""
        which = (request.from_tag, request.call_id, request.cseq.number)
        known = which in self.seen
        self.seen.add(which)
        return known

    def invited(self, server: Transaction, request: Request) -> None:
        script = self.script
        if script.ring is not None:
            self.world.after(script.ring, lambda: self.ring(server, request))
        if script.answer is not None:
            self.world.after(script.answer, lambda: self.answer(server, request))

    def ring(self, server: Transaction, request: Request) -> None:
        if not self.stack.layer.is_answered(server):
            self.ringing[server] = request
            self.stack.respond(server, request, 180, self.world.now)

    def answer(self, server: Transaction, request: Request) -> None:
        self.ringing.pop(server, None)
        if self.stack.layer.is_answered(server):
            return
        status = self.script.status
        if status >= 300:
            headers = [("Contact", self.script.contact)] if self.script.contact else None
            self.stack.respond(server, request, status, self.world.now, headers=headers)
            return
        tag = self.stack.new_tag()
        response = response_to(request, status, "", tag, [("Contact", f"<sip:{self.name}@{self.host}:5060>")])
        self.acknowledged[tag] = False
        self.again(server, status, response.encode(), tag, T1, self.world.now + T64)

    def again(self, server: Transaction, status: int, data: bytes, tag: str, interval: float, end: float) -> None:
        """13.3.1.4: "retransmitted with an interval that starts at T1 seconds and doubles for each retransmission until
        it reaches T2 seconds", for 64*T1."""
        if self.acknowledged[tag] or self.world.now >= end:
            return
        self.stack.layer.respond(server, status, data, self.world.now)
        later = min(2 * interval, T2)
        self.world.after(interval, lambda: self.again(server, status, data, tag, later, end))


class Caller(Node):
    """A telephone that calls: it acknowledges every 2xx, keeps the first call and ends the others (13.2.2.4)."""

    def __init__(self, world: World, name: str, host: str, proxy: str, uri: str, patience: float | None) -> None:
        super().__init__(world, name, host)
        self.uri = uri
        self.proxy = proxy
        self.patience = patience
        self.invite: Request | None = None
        self.client: Transaction | None = None
        self.alive = False
        self.cancelled = False
        self.final = 0
        self.final_at = 0.0
        #: Tag of each 2xx that has come, with its ACK.
        self.successes: dict[str, bytes] = {}
        self.byes: dict[str, int] = {}
        self.message: Transaction | None = None
        self.message_answers: list[int] = []

    def call(self) -> None:
        self.invite = self.build("INVITE", self.uri, f"invite-{self.name}", 1)
        self.client = self.stack.request(self.invite, self.flow_to(self.proxy), self.world.now)
        if self.patience is not None:
            self.world.after(self.patience, self.give_up)

    def text(self) -> None:
        message = self.build("MESSAGE", self.uri, f"message-{self.name}", 1)
        self.message = self.stack.request(message, self.flow_to(self.proxy), self.world.now)

    def build(
        self, method: str, uri: str, call_id: str, number: int, to: str = "", routes: tuple[str, ...] = ()
    ) -> Request:
        headers = [("Max-Forwards", "20"), *[("Route", route) for route in routes]]
        headers += [("From", f"<sip:{self.name}@a.example>;tag=t{self.name}"), ("To", to or f"<{uri}>")]
        headers += [("Call-ID", call_id), ("CSeq", f"{number} {method}")]
        if method == "INVITE":
            headers.append(("Contact", f"<sip:{self.name}@{self.host}:5060>"))
        return build_request(method, uri, headers)

    def give_up(self) -> None:
        """9.1: a CANCEL only after a provisional response, and not after the final one."""
        self.cancelled = True
        if self.alive and not self.final and self.invite is not None and self.client is not None:
            cancel = cancel_of(self.invite)
            branch = self.invite.via.branch
            self.stack.layer.start_client(cancel, cancel.encode(), branch, self.client.flow, None, self.world.now)

    def told(self, event: object) -> None:
        assert isinstance(event, Answered), self.world.failure(f"{self.name} was told of {event}")
        if event.client is self.client:
            self.answered(event)
        elif event.client is self.message:
            if event.status >= 200:
                self.message_answers.append(event.status)
        elif event.status >= 200:
            tag = event.response.to_tag if event.response is not None else event.client.key
            self.byes[tag] = event.status

    def answered(self, event: Answered) -> None:
        if event.status < 200:
            first = not self.alive
            self.alive = True
            if first and self.cancelled:
                self.give_up()
            return
        success = event.status < 300
        assert not self.final or (success and self.final < 300), self.world.failure(
            f"{self.name} got {event.status} after {self.final}"
        )
        if not self.final:
            self.final, self.final_at = event.status, self.world.now
            self.world.after(T64 + 2.0, lambda: self.world.is_quiet(self))
        if success and event.response is not None:
            self.acknowledge(event.response)

    def acknowledge(self, response: Response) -> None:
        tag = response.to_tag
        first = tag not in self.successes
        routes = tuple(response.split("record-route")[::-1])
        contact = response.addresses("contact")[0].uri.text
        way = self.flow_to(self.proxy if routes else contact.partition("@")[2].partition(":")[0])
        to = response.required("to")
        if first:
            ack = self.build("ACK", contact, response.call_id, 1, to, routes)
            branch = self.stack.layer.new_branch()
            ack.prepend("Via", f"SIP/2.0/UDP {self.listener.sent_by};branch={branch}")
            self.successes[tag] = ack.encode()
            # Every call ends: the first after a while, what was answered too late or twice at once.
            unwanted = len(self.successes) > 1 or self.cancelled
            bye = self.build("BYE", contact, response.call_id, 2, to, routes)
            self.world.after(0.0 if unwanted else 40.0, lambda: self.hang_up(bye, way))
        self.stack.layer.send_aside(self.successes[tag], way)

    def hang_up(self, bye: Request, way: Flow) -> None:
        self.byes[bye.to_tag] = 0
        self.stack.request(bye, way, self.world.now)


class World:
    """Two domains, their proxies, and telephones; what they do follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.now = 1000.0
        self.start = self.now
        self.nodes: dict[str, Node] = {}
        #: What DNS knows: domain to addresses.
        self.names: dict[str, list[str]] = {}
        #: Addresses to which nothing can be sent; the sender hears of it.
        self.refusing = {"198.51.100.1"}
        self.loss = self.chance.choice([0.0, 0.05, 0.2])
        self.doubling = self.chance.choice([0.0, 0.1, 0.3])
        self.delay = self.chance.choice([0.0, 0.05, LONGEST_DELAY])
        self.wire: list[Sent] = []
        self.lost = 0
        self._losses: dict[tuple[str, str, bytes], int] = {}
        self._heap: list[tuple[float, int, Callable[[], None], Node | None]] = []
        self._count = 0
        #: Final responses by (sender, branch of the topmost Via, method).
        self._finals: dict[tuple[str, str, str], set[bytes]] = {}
        self._statuses: dict[tuple[str, str, str], int] = {}
        #: When each of these final responses was sent.
        self._final_at: dict[tuple[str, str, str], float] = {}
        #: Server transactions of proxies to which a 2xx has come back.
        self._successful: set[tuple[str, str]] = set()
        #: When each branch of a proxy gave its first sign of life.
        self._heard: dict[tuple[str, str], float] = {}
        self.callees: list[Callee] = []
        self.callers: list[Caller] = []
        self._build()

    # what there is ---------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        chance = self.chance
        near = Proxy(self, "near", "192.0.2.1", "a.example")
        far = Proxy(self, "far", "192.0.2.2", "b.example")
        self.proxies = [near, far]
        far.recurse = chance.random() < 0.5
        # 198.51.100.1 refuses, 198.51.100.2 swallows all.
        before = chance.choice([[], [], [], ["198.51.100.1"], ["198.51.100.2"], ["198.51.100.1", "198.51.100.2"]])
        self.names["b.example"] = [*before, far.host]
        self._eager = chance.random() < 0.15
        for number in range(chance.randint(1, 4)):
            self.callees.append(Callee(self, f"phone{number}", f"192.0.2.{20 + number}", self._script(number)))
        uris = [f"sip:{phone.name}@{phone.host}:5060" for phone in self.callees]
        chance.shuffle(uris)
        extra = chance.random()
        if extra < 0.15:
            # A loop by way of the other proxy, and one without it.
            uris.append("sip:back@192.0.2.1:5060")
            near.users["back"] = [(["sip:bob@b.example"], 0.0)]
        elif extra < 0.25:
            uris.append("sip:bob@192.0.2.2:5060")
        elif extra < 0.35:
            uris.append("sip:nobody@192.0.2.99:5060")
        stages: list[tuple[list[str], float]] = []
        while uris:
            size = chance.randint(1, len(uris))
            stages.append((uris[:size], chance.choice([0.0, 0.0, 6.0, 20.0])))
            uris = uris[size:]
        far.users["bob"] = stages
        for number in range(chance.choice([1, 1, 2])):
            patience = chance.choice([None, None, 0.0, 0.3, 3.0, 12.0])
            caller = Caller(self, f"caller{number}", f"192.0.2.{10 + number}", near.host, "sip:bob@b.example", patience)
            self.callers.append(caller)
            self.after(chance.choice([0.0, 0.2, 5.0]), caller.call)
            if chance.random() < 0.3:
                self.after(chance.random(), caller.text)

    def _script(self, number: int) -> Ring:
        chance = self.chance
        ring = chance.choice([0.0, 0.1, 2.0])
        kind = chance.random()
        if self._eager:
            return Ring(0.0, 1.0, 200)
        if kind < 0.08:
            return Ring(None, None, 480, dies=0.0)
        if kind < 0.16:
            return Ring(ring, None, 480, dies=chance.choice([3.0, 10.0]))
        if kind < 0.22:
            return Ring(ring, chance.choice([None, 15.0]), 200, wakes=8.0)
        if kind < 0.3:
            return Ring(ring, None, 480)
        if kind < 0.55:
            return Ring(ring, ring + chance.choice([0.0, 0.3, 2.0, 15.0]), 200)
        if kind < 0.62:
            return Ring(None, chance.choice([0.0, 0.5]), 200)
        if kind < 0.7:
            return Ring(ring, ring + 1.0, 302, f"<sip:phone{(number + 1) % 4}@192.0.2.{20 + (number + 1) % 4}:5060>")
        return Ring(ring, ring + chance.choice([0.0, 1.0]), chance.choice([401, 404, 407, 486, 500, 503, 600, 603]))

    # the clock -------------------------------------------------------------------------------------------------------

    def after(self, seconds: float, action: Callable[[], None], node: Node | None = None) -> None:
        self._count += 1
        heapq.heappush(self._heap, (self.now + seconds, self._count, action, node))

    def run(self) -> None:
        """Let everything happen, up to the last timer."""
        nodes = list(self.nodes.values())
        while True:
            soonest = self._heap[0][0] if self._heap else None
            waiting = None
            for node in nodes:
                deadline = node.stack.deadline()
                if deadline is not None and (soonest is None or deadline < soonest):
                    soonest, waiting = deadline, node
            if soonest is None:
                return
            self.now = max(self.now, soonest)
            assert self.now - self.start < END, self.failure("it does not come to rest")
            if waiting is not None:
                waiting.stack.advance(self.now)
                waiting.turn()
                continue
            _, _, action, node = heapq.heappop(self._heap)
            action()
            if node is not None:
                node.turn()
            else:
                for other in nodes:
                    other.turn()

    # the network -----------------------------------------------------------------------------------------------------

    def send(self, sender: Node, data: bytes, flow: Flow, key: str) -> None:
        """One datagram leaves; what is wrong with it is found here."""
        self._watch(sender, parse(data))
        if flow.host in self.refusing:
            if key:
                self.after(0.0, lambda: sender.stack.failed(key, self.now), sender)
            return
        receiver = self.nodes.get(flow.host)
        if receiver is None:
            return
        way = (sender.host, flow.host, data)
        losses = self._losses.get(way, 0)
        # A telephone that sleeps has lost its share already.
        sleepy = any(isinstance(node, Callee) and node.script.wakes for node in (sender, receiver))
        if losses < MOST_LOSSES and not sleepy and self.chance.random() < self.loss:
            self._losses[way] = losses + 1
            self.lost += 1
            return
        for _ in range(2 if self.chance.random() < self.doubling else 1):
            self.after(self.chance.random() * self.delay, lambda: self._arrive(sender, receiver, data), receiver)

    def _arrive(self, sender: Node, receiver: Node, data: bytes) -> None:
        if isinstance(receiver, Callee) and not receiver.hears():
            return
        if isinstance(receiver, Proxy) and data.startswith(b"SIP/2.0 "):
            self._note_response(receiver, parse(data))
        receiver.stack.receive(data, Flow("UDP", receiver.listener.id, sender.host, 5060), self.now)

    def _note_response(self, proxy: Proxy, message: Request | Response) -> None:
        """A response reaches a proxy, which has to know what to do with it."""
        branch, method = message.via.branch, message.cseq.method
        if method != "INVITE" or f"{branch}|INVITE" not in proxy.stack.layer.clients:
            return
        heard = self._heard.setdefault((proxy.name, branch), self.now)
        if isinstance(message, Response) and 200 <= message.status < 300:
            message.remove_first_value("via")
            key = (proxy.name, message.via.branch, "INVITE")
            self._successful.add(key[:2])
            # 16.7 step 6: a refusal goes up when "all client transactions in this response context have been
            # terminated"; one that was given up before it gave any sign of life does not count (16.8).
            refused = self._statuses.get(key, 0) >= 300 and heard < self._final_at[key]
            assert not refused, self.failure(f"{proxy.name} has refused while a branch was alive, which now answers")

    # what has to be true ---------------------------------------------------------------------------------------------

    def failure(self, what: str) -> str:
        """The message of a violation: the seed first, then the last of what was on the wire."""
        lines = [f"seed {self.seed}, {self.now - self.start:.3f} s: {what}"]
        for at, sender, message in self.wire[-40:]:
            lines.append(f"  {at - self.start:8.3f} {sender:8} {message.start_line} {message.header('cseq')}")
        return "\n".join(lines)

    def _watch(self, sender: Node, message: Request | Response) -> None:
        self.wire.append(Sent(self.now, sender.name, message))
        if isinstance(message, Request):
            if isinstance(sender, Proxy):
                assert message.names.count("via") + message.lines[0].count(",") <= 20, self.failure("an endless loop")
            return
        method = message.cseq.method
        key = (sender.name, message.via.branch, method)
        status = message.status
        known = self._statuses.get(key, 0)
        if status < 200:
            assert status == 100 or method == "INVITE", self.failure(f"{status} to {method}")
            assert not known or known < 300, self.failure(f"{sender.name} sends {status} after {known}")
            return
        finals = self._finals.setdefault(key, set())
        finals.add(message.encode())
        self._statuses[key] = status
        self._final_at.setdefault(key, self.now)
        if method != "INVITE" or status >= 300 or known >= 300:
            # 16.7 step 5: "exactly one final response to a non-INVITE request, and either exactly one non-2xx response
            # or one or more 2xx responses to an INVITE request."
            assert len(finals) == 1, self.failure(f"{sender.name} sends {status} after {known}")
        if method == "INVITE" and status >= 300:
            assert key[:2] not in self._successful, self.failure(f"{sender.name} sends {status}, but a 2xx has come")

    def is_quiet(self, caller: Caller) -> None:
        """Some time after a call has its final response: nobody rings for it any more."""
        for phone in self.callees:
            for request in phone.ringing.values():
                mine = caller.invite is not None and request.call_id == caller.invite.call_id
                assert not mine or not phone.hears(), self.failure(f"{phone.name} still rings for {caller.name}")

    def check(self) -> None:
        """What has to be true in the end."""
        for node in self.nodes.values():
            if isinstance(node, Callee) and not node.hears():
                # It never heard how it ended.
                continue
            layer = node.stack.layer
            left = [*layer.clients, *layer.servers]
            assert not left, self.failure(f"{node.name} keeps the transactions {left}")
            assert layer.timers.count() == 0, self.failure(f"{node.name} keeps {layer.timers.count()} timers")
        for phone in self.callees:
            assert not phone.ringing or not phone.hears(), self.failure(f"{phone.name} still rings")
            assert len(phone.messages) == len(set(phone.messages)), self.failure(f"{phone.name} got a message twice")
        for caller in self.callers:
            self._check_call(caller)

    def _bound(self) -> float:
        """How long a call may take: 64*T1 for each destination and each stage that says nothing, and timer C and 64*T1
        for the end of its CANCEL for each telephone that rings for ever."""
        far = self.proxies[1]
        silences = len(self.names["b.example"]) - 1 + len(far.users["bob"]) + len(self.callees)
        endless = sum(phone.script.answer is None and phone.script.ring is not None for phone in self.callees)
        slowest = max((phone.script.answer or 0.0) for phone in self.callees)
        # 5 s for the start of the second caller, 5 s for what thinks and travels.
        return 10.0 + slowest + T64 * silences + (TIMER_C + T64) * endless

    def _check_call(self, caller: Caller) -> None:
        assert caller.final, self.failure(f"{caller.name} has no final response")
        took = caller.final_at - self.start
        assert took < self._bound(), self.failure(f"{caller.name} waited {took:.1f} s, over {self._bound():.1f}")
        answered = {tag: phone for phone in self.callees for tag in phone.acknowledged}
        for tag in caller.successes:
            # "a 2xx … reaches the caller", who acknowledges it end to end and hangs up the same way.
            phone = answered[tag]
            assert phone.acknowledged[tag], self.failure(f"{phone.name} never got the ACK for {tag}")
            assert caller.byes[tag] == 200, self.failure(f"the BYE for {tag} got {caller.byes[tag]}")
            assert tag in phone.ended, self.failure(f"{phone.name} never got the BYE for {tag}")
        if caller.final < 300:
            assert caller.successes, self.failure(f"{caller.name} has a 2xx and no dialog")
        assert len(caller.message_answers) == (caller.message is not None), self.failure("a message with two answers")
