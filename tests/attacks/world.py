"""A whole server in memory, on a clock that only tests move: bytes in, bytes out, no socket and no task.

    world = World()
    alice = world.phone("alice")
    alice.register()
    bob = world.phone("bob")
    answers = alice.request("INVITE", "sip:bob@example.org")

Every coroutine of the server is stepped by hand and has to end at once, as it does with the memory store. What the
server sends is filed by the address that it is sent to.
"""

from __future__ import annotations

from ringback.errors import ParseError
from ringback.server.app import Errors, ServerTransaction
from ringback.server.capabilities.options import options
from ringback.server.location import Lookup, Registrar, Served, binding_policy
from ringback.server.setup.authentication import Authentication
from ringback.server.setup.identity import Networks
from ringback.server.setup.limits import FloodGuard, Limits, PasswordGuard
from ringback.server.setup.proxy import NextHop, Proxy, Validate
from ringback.sip.digest import Challenge, Credentials, parse_challenge
from ringback.sip.digest_hash import AVAILABLE, ha1, request_digest
from ringback.sip.digest_server import Authenticator
from ringback.sip.message import Request, Response
from ringback.sip.parser import parse
from ringback.sip.route import Self
from ringback.sip.stack import Asked, Incoming, Malformed, Stack
from ringback.sip.transport import Flow, Listener, bracketed
from ringback.store.base import AccountRow, AccountStore, LocationStore
from ringback.store.memory import MemoryStore

DOMAIN = "example.org"
SERVER = "192.0.2.1"
SECRET = bytes(range(32))
#: Where the wall clock stands when the monotonic one stands at 1000.
EPOCH = 1_800_000_000.0 - 1000.0
USERS = ("alice", "bob", "carol", "mallory")


def password_of(user: str) -> str:
    return f"the secret of {user}"


def account(user: str, domain: str = DOMAIN, realm: str = "", enabled: bool = True) -> AccountRow:
    hashes = tuple((name, ha1(user, realm or domain, password_of(user), name)) for name in AVAILABLE)
    return AccountRow(user, domain, hashes, enabled)


class Remote:
    """A store as one in another process offers it: nothing without a coroutine."""

    def __init__(self, store: object, *methods: str) -> None:
        for name in methods:
            setattr(self, name, getattr(store, name))


class World:
    """The server, its clock, and the network around it.

    sent        (octets, flow) of all that the server has sent and nobody has collected
    names       what DNS says: host to flows
    events      (event, host, account, reason) that the authentication layer told of
    dropped     messages that the flood guard did not let in

    `remote`: its stores have to be awaited.
    """

    def __init__(
        self,
        users: tuple[str, ...] = USERS,
        trusted: tuple[str, ...] = (),
        outsiders: bool = False,
        registration: bool = True,
        next_hops: list[NextHop] | None = None,
        relay: bool = True,
        flood: FloodGuard | None = None,
        guard: PasswordGuard | None = None,
        calls: int = 32,
        requests: int = 256,
        recurse: bool = False,
        ring_seconds: float = 0.0,
        domains: tuple[str, ...] = (DOMAIN,),
        algorithms: tuple[str, ...] = AVAILABLE,
        minimum: str = "MD5",
        addresses: tuple[str, ...] = (SERVER,),
        remote: bool = False,
    ) -> None:
        self.now = 1000.0
        listeners = [
            Listener(f"{transport.lower()}:{bracketed(address)}:5060", transport, address, 5060)
            for address in addresses
            for transport in ("UDP", "TCP")
        ]
        element = Self(list(domains), listeners)
        self.stack = Stack(listeners, element, SECRET, "w0rld")
        self.stack.layer.inward = False
        self.store = MemoryStore()
        for user in users:
            for domain in domains:
                self.finish(self.store.accounts.put(account(user, domain)))
        served = Served(domains, element)
        policy = binding_policy(served, SECRET)
        location: LocationStore = self.store.location
        accounts: AccountStore = self.store.accounts
        if remote:
            location = Remote(location, "bindings", "replace", "count", "scan", "sweep")  # type: ignore[assignment]
            accounts = Remote(accounts, "get", "put", "remove", "scan")  # type: ignore[assignment]
        self.registrar = Registrar(location, served, policy, wall=self.wall)
        self.lookup = Lookup(location, served, SECRET, wall=self.wall, accounts=accounts)
        self.authenticator = Authenticator(SECRET, algorithms=algorithms)
        self.guard = PasswordGuard() if guard is None else guard
        self.flood = flood
        hops = next_hops or []
        self.proxy = Proxy(
            element, domains[0], self.lookup, self.registrar, options, hops, relay, recurse, ring_seconds
        )
        self.limits = Limits(self.proxy, calls, requests)
        self.authentication = Authentication(
            self.limits,
            accounts,
            self.authenticator,
            domains,
            trusted=Networks(trusted),
            guard=self.guard,
            outsiders=outsiders,
            registration=registration,
            minimum=minimum,
            observer=self._observe,
            wall=self.wall,
            token=self._token,
        )
        self.application = Errors(Validate(self.authentication))
        self.sent: list[tuple[bytes, Flow]] = []
        self.names: dict[str, list[Flow]] = {}
        self.asked: list[str] = []
        self.events: list[tuple[str, str, str, str]] = []
        self.malformed: list[str] = []
        self.dropped = 0
        self.last: ServerTransaction | None = None
        self._tokens = 0
        self._ports = 40000

    # the clock -------------------------------------------------------------------------------------------------------

    def wall(self) -> float:
        return EPOCH + self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; every timer fires at its moment."""
        end = self.now + seconds
        while True:
            deadline = self.stack.deadline()
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self.stack.advance(self.now)
            self._turn()
        self.now = end

    # the wire --------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, flow: Flow) -> None:
        """One datagram, or one message of a stream, reaches the server."""
        if self.flood is not None and not self.flood.admit(flow.host, self.now):
            self.dropped += 1
            return
        self.stack.receive(data, flow, self.now)
        self._turn()

    def collect(self, host: str, port: int) -> list[bytes]:
        """Take what was sent to an address."""
        mine = [data for data, flow in self.sent if (flow.host, flow.port) == (host, port)]
        self.sent = [(data, flow) for data, flow in self.sent if (flow.host, flow.port) != (host, port)]
        return mine

    def elsewhere(self, *phones: Phone) -> list[tuple[bytes, Flow]]:
        """What was sent to nobody of these."""
        known = {(phone.flow.host, phone.flow.port) for phone in phones}
        return [(data, flow) for data, flow in self.sent if (flow.host, flow.port) not in known]

    def _turn(self) -> None:
        while True:
            sends, events = self.stack.take()
            if not sends and not events:
                return
            self.sent.extend((data, flow) for data, flow, _ in sends)
            for event in events:
                if isinstance(event, Incoming):
                    self.last = ServerTransaction(self.stack, event, self.now)
                    self.finish(self.application(self.last))
                elif isinstance(event, Asked):
                    self.asked.append(event.uri.text)
                    self.stack.located(event.token, self.names.get(event.uri.host, []), self.now)
                elif isinstance(event, Malformed):
                    self.malformed.append(event.reason)

    @staticmethod
    def finish(coroutine: object) -> None:
        """Run a coroutine to its end, which it has to reach without waiting for anything; None has reached it."""
        if coroutine is None:
            return
        try:
            coroutine.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return
        raise AssertionError("the server waits for something that this world does not have")

    def _observe(self, event: str, flow: Flow, account: str, reason: str) -> None:
        self.events.append((event, flow.host, account, reason))

    def _token(self, size: int) -> bytes:
        self._tokens += 1
        return self._tokens.to_bytes(size, "big")

    # the people ------------------------------------------------------------------------------------------------------

    def phone(self, user: str, host: str = "", domain: str = DOMAIN, transport: str = "UDP") -> Phone:
        """A telephone at an address of its own."""
        self._ports += 1
        return Phone(self, user, host or f"198.51.100.{self._ports % 250 + 1}", self._ports, domain, transport)

    def bindings(self, aor: str) -> list[str]:
        """The contacts of an address of record."""
        return [row.contact for row in self.store.location.peek(aor, self.wall())]


class Phone:
    """A user agent that does as it is told, and no more.

    Its headers are lines that a test may change or add to: `request(…, **{"From": "…", "X": None})` replaces the line
    or, with None, leaves it out.
    """

    def __init__(self, world: World, user: str, host: str, port: int, domain: str, transport: str) -> None:
        self.world = world
        self.user = user
        self.domain = domain
        self.password = password_of(user)
        connection = port if transport == "TCP" else 0
        self.flow = Flow(transport, f"{transport.lower()}:{SERVER}:5060", host, port, connection)
        self.place = f"{bracketed(host)}:{port}"
        self.uri = f"sip:{user}@{domain}"
        self.contact = f"sip:{user}@{self.place}"
        self.realm = domain
        self.cseq = 0
        self.count = 0
        #: Challenges that were answered: nonce to how often.
        self.counts: dict[str, int] = {}
        self.challenge: Challenge | None = None

    # messages --------------------------------------------------------------------------------------------------------

    def build(
        self,
        method: str,
        uri: str,
        *extra: str,
        sender: str | None = None,
        to: str | None = None,
        call_id: str = "",
        branch: str = "",
        tag: str = "",
        cseq: int = 0,
        body: bytes = b"",
        contact: str | None = None,
        without: tuple[str, ...] = (),
    ) -> bytes:
        """A request; `extra` are whole header lines, put after Via."""
        self.count += 1
        if not cseq:
            self.cseq += 1
            cseq = self.cseq
        unique = f"{self.user}{self.flow.port}x{self.count}"
        to = to if to is not None else f"<{self.uri if method == 'REGISTER' else uri}>"
        lines = [
            f"Via: SIP/2.0/{self.flow.transport} {self.place};branch={branch or 'z9hG4bK' + unique};rport",
            *extra,
            "Max-Forwards: 70",
            f"From: {sender if sender is not None else f'<{self.uri}>'};tag={tag or 'tag' + unique}",
            f"To: {to}",
            f"Call-ID: {call_id or unique}",
            f"CSeq: {cseq} {method}",
        ]
        if method in ("REGISTER", "INVITE", "SUBSCRIBE", "REFER") or contact is not None:
            lines.append(f"Contact: {contact if contact is not None else f'<{self.contact}>'}")
        lines.append(f"Content-Length: {len(body)}")
        kept = [line for line in lines if line.partition(":")[0] not in without]
        head = "\r\n".join([f"{method} {uri} SIP/2.0", *kept])
        return f"{head}\r\n\r\n".encode("utf-8", "surrogateescape") + body

    def send(self, data: bytes) -> list[Response]:
        """Send, and what comes back at once."""
        self.world.receive(data, self.flow)
        return self.responses()

    def raw(self) -> list[bytes]:
        """What has come."""
        return self.world.collect(self.flow.host, self.flow.port)

    def responses(self) -> list[Response]:
        """The responses that have come; requests are thrown away."""
        return [message for message in self.messages() if isinstance(message, Response)]

    def requests(self) -> list[Request]:
        """The requests that have come; responses are thrown away."""
        return [message for message in self.messages() if isinstance(message, Request)]

    def messages(self) -> list[Request | Response]:
        """All that has come."""
        return [parse(data) for data in self.raw()]

    # digest ----------------------------------------------------------------------------------------------------------

    def remember(self, response: Response) -> Challenge:
        """Note the first challenge of a 401 or 407."""
        for name in ("www-authenticate", "proxy-authenticate"):
            for value in response.all(name):
                challenge = parse_challenge(value)
                assert challenge is not None
                self.challenge = challenge
                return challenge
        raise AssertionError(f"{response.status} carries no challenge")

    def credentials(
        self,
        method: str,
        uri: str,
        password: str | None = None,
        username: str | None = None,
        nc: int = 0,
        algorithm: str = "",
        nonce: str = "",
        proxy: bool | None = None,
        qop: str = "auth",
        body: bytes = b"",
        signed_uri: str = "",
        signed_method: str = "",
        realm: str = "",
    ) -> str:
        """An Authorization or Proxy-Authorization line that answers the last challenge."""
        assert self.challenge is not None
        nonce = nonce or self.challenge.nonce
        self.counts[nonce] = self.counts.get(nonce, 0) + 1
        count = f"{nc or self.counts[nonce]:08x}" if qop else ""
        algorithm = algorithm or self.challenge.algorithm or "MD5"
        username = self.user if username is None else username
        realm = realm or self.challenge.realm
        key = ha1(username, realm, self.password if password is None else password, algorithm)
        signed = signed_uri or uri
        response = request_digest(
            key, algorithm, signed_method or method, signed, nonce, count, "c0ffee", qop, body
        )
        written = Credentials(
            username, realm, nonce, signed, response, algorithm, "c0ffee" if qop else None, count, qop
        ).write()
        if proxy is None:
            proxy = method != "REGISTER"
        return f"{'Proxy-' if proxy else ''}Authorization: {written}"

    def challenged(self, method: str, uri: str) -> Challenge:
        """Send a request without credentials for its challenge."""
        final = self.send(self.build(method, uri))[-1]
        if method == "INVITE":
            self.acknowledge(final, uri)
        return self.remember(final)

    # conversations ---------------------------------------------------------------------------------------------------

    def request(
        self, method: str, uri: str, *extra: str, call_id: str = "", tag: str = "", **changed: object
    ) -> list[Response]:
        """Send a request, answer one challenge, and give the responses that have come so far."""
        self.count += 1
        call_id = call_id or f"call-{self.user}{self.flow.port}-{self.count}"
        tag = tag or f"tag-{self.count}"
        answers = self.send(self.build(method, uri, *extra, call_id=call_id, tag=tag, **changed))  # type: ignore[arg-type]
        if not answers or answers[-1].status not in (401, 407):
            return answers
        if method == "INVITE":
            self.acknowledge(answers[-1], uri)
        self.remember(answers[-1])
        line = self.credentials(method, uri)
        return self.send(self.build(method, uri, line, *extra, call_id=call_id, tag=tag, **changed))  # type: ignore[arg-type]

    def acknowledge(self, final: Response, uri: str) -> None:
        """ACK a failure."""
        via = final.via
        ack = "\r\n".join(
            [
                f"ACK {uri} SIP/2.0",
                f"Via: SIP/2.0/{self.flow.transport} {self.place};branch={via.branch};rport",
                "Max-Forwards: 70",
                f"From: {final.header('from')}",
                f"To: {final.header('to')}",
                f"Call-ID: {final.call_id}",
                f"CSeq: {final.cseq.number} ACK",
                "Content-Length: 0",
            ]
        )
        self.world.receive(f"{ack}\r\n\r\n".encode(), self.flow)

    def register(self, *extra: str) -> list[Response]:
        """Register the contact of this telephone."""
        answers = self.request("REGISTER", f"sip:{self.domain}", *extra)
        assert [answer.status for answer in answers] == [200], answers
        return answers

    def answer(self, request: Request, status: int, *extra: str, tag: str = "callee", contact: str = "") -> None:
        """Answer a request that has come."""
        lines = [f"SIP/2.0 {status} Answer"]
        for name, line in zip(request.names, request.lines, strict=True):
            if name in ("via", "from", "call-id", "cseq", "record-route"):
                lines.append(line)
            elif name == "to":
                lines.append(line if "tag=" in line else f"{line};tag={tag}")
        if 200 <= status < 300:
            lines.append(f"Contact: <{contact or self.contact}>")
        lines += [*extra, "Content-Length: 0"]
        self.world.receive(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape"), self.flow)


class Call:
    """An established call from `caller` to `callee`, both registered; what either would write into later requests."""

    def __init__(self, world: World, caller: Phone, callee: Phone) -> None:
        self.world = world
        self.caller = caller
        self.callee = callee
        self.call_id = f"call-{caller.flow.port}-{callee.flow.port}"
        answers = caller.request("INVITE", callee.uri, call_id=self.call_id, tag="caller")
        assert not answers or answers[-1].status < 200, answers
        [self.invite] = callee.requests()
        callee.answer(self.invite, 200)
        [final] = [answer for answer in caller.responses() if answer.status == 200]
        self.routes = final.split("record-route")
        self.to = f"<{callee.uri}>;tag=callee"
        self.route = f"Route: {', '.join(reversed(self.routes))}"
        caller.world.receive(
            caller.build(
                "ACK", callee.contact, self.route, to=self.to, call_id=self.call_id, tag="caller", cseq=caller.cseq
            ),
            caller.flow,
        )
        [self.ack] = callee.requests()

    def within(self, method: str, *extra: str, uri: str = "", route: str | None = None) -> list[Response]:
        """A request of the caller's within the dialog."""
        line = self.route if route is None else route
        lines = [line, *extra] if line else list(extra)
        return self.caller.send(
            self.caller.build(
                method, uri or self.callee.contact, *lines, to=self.to, call_id=self.call_id, tag="caller"
            )
        )


def statuses(responses: list[Response]) -> list[int]:
    """Their status codes."""
    return [response.status for response in responses]


def is_refused(data: bytes) -> bool:
    """Whether the parser does not take these octets for a message."""
    try:
        parse(data)
    except ParseError:
        return True
    return False
