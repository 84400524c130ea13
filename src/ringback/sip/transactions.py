"""The transaction layer: every running transaction, the timers and what waits to be sent (RFC 3261 section 17).

It stands between the transport (18) below and whoever uses transactions above: `forwarding` and `stack`. Those call
down to start and to answer; what comes up is returned by `stack`, which dispatches.
"""

from __future__ import annotations

import hashlib
from typing import Final

from ringback.errors import LocalError, ParseError
from ringback.sip.client_invite import PROCEEDING, TERMINATED, ClientInvite
from ringback.sip.client_request import ClientRequest
from ringback.sip.message import Request, Response
from ringback.sip.parser import METHODS
from ringback.sip.server_invite import PROCEEDING as INVITE_PROCEEDING
from ringback.sip.server_invite import ServerInvite
from ringback.sip.server_request import COMPLETED as REQUEST_COMPLETED
from ringback.sip.server_request import ServerRequest
from ringback.sip.timers import Send, Timed, Timers
from ringback.sip.transaction import MAGIC_COOKIE, Transaction, client_key, old_server_key, server_key
from ringback.sip.transport import (
    DEFAULT_PORTS,
    LARGEST_DATAGRAM_REQUEST,
    SECURE,
    STREAMS,
    Flow,
    Listener,
    is_address,
    is_inward,
)
from ringback.sip.uri import Uri, parse_uri

_MOST_HOPS: Final = 4096
#: Keeps what is made of the secret here apart from all else.
_PURPOSE: Final = b"ringback branch"
#: Characters of a branch that nobody can guess; 120 of them are made at a time.
_MARK: Final = 12


class TransactionLayer:
    """Tables of server and client transactions, the timers, and the outgoing messages of this turn.

    listeners  where this element is reached, the preferred one of each transport first
    instance   a token that is unique to this process; every branch that it makes starts with it
    secret     what branches cannot be guessed without, b"" where nobody would guess
    inward     whether a name may lead anybody to addresses of this machine; else only those may go there who are on it
    """

    __slots__ = (
        "_by_id",
        "_by_transport",
        "_counter",
        "_hops",
        "_mark_at",
        "_marks",
        "_secret",
        "_tags",
        "branch_prefix",
        "clients",
        "instance",
        "inward",
        "listeners",
        "sends",
        "servers",
        "timers",
    )

    def __init__(self, listeners: list[Listener], instance: str, secret: bytes = b"") -> None:
        if not listeners:
            raise LocalError("at least one listener is needed")
        self.listeners: list[Listener] = listeners
        self.timers: Timers = Timers()
        self.sends: list[Send] = []
        self.servers: dict[str, Transaction] = {}
        self.clients: dict[str, Transaction] = {}
        self.instance: str = instance
        self.branch_prefix: str = f"{MAGIC_COOKIE}{instance}"
        self.inward: bool = True
        self._secret: bytes = secret[:64]
        self._counter: int = 0
        self._tags: int = 0
        #: Characters for the next branches, and where those begin that were not used yet.
        self._marks: str = ""
        self._mark_at: int = 0
        self._by_id: dict[str, Listener] = {}
        self._by_transport: dict[str, Listener] = {}
        self._hops: dict[str, Flow | None] = {}
        self.listen(listeners)

    def listen(self, listeners: list[Listener]) -> None:
        """Put other listeners in place (ports become known when sockets are bound)."""
        self.listeners = listeners
        self._by_id = {}
        self._by_transport = {}
        self._hops = {}
        for listener in listeners:
            self._by_id[listener.id] = listener
            family = "6" if ":" in listener.id.partition(":")[2].rpartition(":")[0] else "4"
            self._by_transport.setdefault(listener.transport + family, listener)
            self._by_transport.setdefault(listener.transport, listener)

    # places ----------------------------------------------------------------------------------------------------------

    def speaks(self, transport: str) -> bool:
        """Whether there is a listener for this transport: without one, nothing is sent over it either."""
        return transport in self._by_transport

    def transports(self) -> list[str]:
        """The transports over which requests can be sent to an address, in order of preference."""
        return [name for name in ("UDP", "TCP", "TLS") if name in self._by_transport]

    def listener_for(self, flow: Flow) -> Listener:
        """Whose address stands in the Via of what goes out on `flow`."""
        listener = self._by_id.get(flow.local)
        if listener is None:
            family = "6" if ":" in flow.host else "4"
            listener = self._by_transport.get(flow.transport + family) or self._by_transport.get(flow.transport)
        return self.listeners[0] if listener is None else listener

    def hop(self, uri: str) -> Flow | None:
        """The flow to a next hop whose URI names an address; None when DNS has to be asked (RFC 3263).

        Raises ParseError for a URI that cannot be reached at all (416 for its scheme, 400 for its grammar).
        """
        if uri in self._hops:
            return self._hops[uri]
        flow = self.hop_of(parse_uri(uri))
        if len(self._hops) >= _MOST_HOPS:
            self._hops.clear()
        self._hops[uri] = flow
        return flow

    def hop_of(self, uri: Uri) -> Flow | None:
        """As `hop`, for a URI that has been read."""
        if not uri.is_sip:
            raise ParseError(f"no way to send to a {uri.scheme}: URI", 416)
        transport = uri.transport
        if transport is None:
            # RFC 3263 4.1: "if the TARGET is a numeric IP address … the client SHOULD use UDP for a SIP URI, and TCP
            # for a SIPS URI", there over TLS.
            transport = "TLS" if uri.scheme == "sips" else "UDP"
            if transport not in self._by_transport and uri.scheme == "sip" and "TCP" in self._by_transport:
                transport = "TCP"
        # RFC 3261 16.6 step 7 and 19.1.1: maddr overrides the host.
        host = uri.parameters.get("maddr") or uri.address
        if not is_address(host):
            return None
        if uri.scheme == "sips" and transport not in SECURE:
            # RFC 3261 26.2.2: with SIPS "TLS is to be used" on each hop.
            raise ParseError(f"{transport} is not secure enough for a SIPS URI", 503)
        if transport not in self._by_transport or transport in ("WS", "WSS"):
            # No connection can be opened towards a WebSocket client (RFC 7118 section 5).
            raise ParseError(f"{transport} is not spoken here", 503)
        host = host.strip("[]")
        port = uri.port or DEFAULT_PORTS[transport]
        flow = Flow(transport, "", host, port, 0, uri.address if transport == "TLS" else "")
        flow.local = self.listener_for(flow).id
        return flow

    def new_branch(self) -> str:
        """A branch that is unique "across space and time" (8.1.1.7).

        Who knows it can answer in the name of whoever the request was sent to, so nobody may guess it from another.
        """
        self._counter += 1
        branch = f"{self.branch_prefix}{self._counter}"
        if not self._secret:
            return branch
        at = self._mark_at
        if at == len(self._marks):
            text = branch.encode("utf-8", "surrogateescape")
            self._marks = hashlib.blake2b(text, digest_size=60, key=self._secret, person=_PURPOSE).hexdigest()
            at = 0
        self._mark_at = at + _MARK
        return f"{branch}-{self._marks[at : at + _MARK]}"

    def new_tag(self) -> str:
        """A tag for To or From. It is unique; what has to be secret does not hang on tags here (19.3)."""
        self._tags += 1
        return f"{self.instance}{self._tags}"

    def may_reach(self, caller: str, host: str) -> bool:
        """Whether a caller's request may be sent to an address that he, or a name, has given; both are IP literals."""
        return self.inward or not is_inward(host) or is_inward(caller)

    # server side -----------------------------------------------------------------------------------------------------

    def server_of(self, request: Request, key: str = "") -> Transaction | None:
        """The server transaction that a request belongs to, or None; `key` is its `server_key` where that is known."""
        if not key:
            key = server_key(request)
        server = self.servers.get(key)
        if server is None and request.method == "ACK" and not key.startswith(MAGIC_COOKIE):
            # The INVITE had no To tag, its ACK has that of the response.
            server = self.servers.get(old_server_key(request, "INVITE", ""))
            if isinstance(server, ServerInvite) and not server.answers_with(request.to_tag):
                return None
        return server

    def cancelled_by(self, request: Request) -> Transaction | None:
        """The server transaction that a CANCEL means (9.2), or None.

        It is found "by taking the CANCEL request, and then assuming that the request method is anything but CANCEL or
        ACK and applying the transaction matching procedures of Section 17.2.3".
        """
        key = server_key(request)
        # The method is the last part of the key.
        head = key[: len(key) - len("CANCEL")]
        server = self.servers.get(head + "INVITE")
        if server is None:
            for method in METHODS:
                if method != "CANCEL":
                    server = self.servers.get(head + method)
                    if server is not None:
                        break
        return server

    def new_server(self, request: Request, response_flow: Flow, now: float, key: str = "") -> Transaction:
        """A request that matched none opens a server transaction; `key` is its `server_key` where that is known."""
        if not key:
            key = server_key(request)
        if request.method == "INVITE":
            invite = ServerInvite(key, request, response_flow)
            invite.start(now, self.timers)
            self.servers[key] = invite
            return invite
        other = ServerRequest(key, request, response_flow)
        other.start(now, self.timers)
        self.servers[key] = other
        return other

    def respond(self, server: Transaction, status: int, data: bytes, now: float) -> bool:
        """Send a response, encoded, through its transaction; False when its state forbids it."""
        if isinstance(server, ServerInvite):
            return server.respond(status, data, now, self.timers, self.sends)
        if isinstance(server, ServerRequest):
            return server.respond(status, data, now, self.timers, self.sends)
        raise LocalError("only a server transaction responds")

    def is_answered(self, server: Transaction) -> bool:
        """Whether a server transaction takes no first final response any more."""
        if isinstance(server, ServerInvite):
            return server.state != INVITE_PROCEEDING
        return server.state >= REQUEST_COMPLETED

    def give_up(self, server: Transaction) -> None:
        """End a non-INVITE server transaction without a final response (RFC 4320)."""
        if isinstance(server, ServerRequest):
            server.give_up()
            self.servers.pop(server.key, None)

    # client side -----------------------------------------------------------------------------------------------------

    def start_client(
        self, request: Request, data: bytes, branch: str, flow: Flow, user: Timed | None, now: float
    ) -> Transaction:
        """Send a request, encoded as `data`, whose topmost Via carries `branch`; responses come up with `user`."""
        key = client_key(branch, request.method)
        if request.method == "INVITE":
            invite = ClientInvite(key, request, flow)
            invite.user = user
            self.clients[key] = invite
            invite.start(data, now, self.timers, self.sends)
            return invite
        other = ClientRequest(key, request, flow)
        other.user = user
        self.clients[key] = other
        other.start(data, now, self.timers, self.sends)
        return other

    def received(self, client: Transaction, response: Response, now: float) -> int:
        """Hand a response to its client transaction."""
        if isinstance(client, ClientInvite):
            return client.receive(response, now, self.timers, self.sends)
        if isinstance(client, ClientRequest):
            return client.receive(response, now, self.timers, self.sends)
        raise LocalError("only a client transaction takes responses")

    def failed(self, client: Transaction) -> int:
        """Tell a client transaction that the transport could not deliver; it is forgotten when that ends it."""
        outcome = 0
        if isinstance(client, ClientInvite) or isinstance(client, ClientRequest):
            outcome = client.failed()
        if outcome:
            self.clients.pop(client.key, None)
        return outcome

    def abandon(self, client: Transaction | None) -> None:
        """Forget an INVITE client transaction that is in Proceeding, where no timer of its own would end it (9.1)."""
        if isinstance(client, ClientInvite) and client.state == PROCEEDING:
            client.state = TERMINATED
            client.user = None
            self.clients.pop(client.key, None)

    def send_aside(self, data: bytes, flow: Flow) -> None:
        """Send without a transaction: the ACK to a 2xx, and answers to what could not be read."""
        self.sends.append((data, flow, ""))


def needs_stream(size: int, flow: Flow) -> bool:
    """Whether a request of `size` octets may not go out in a datagram (18.1.1)."""
    return size > LARGEST_DATAGRAM_REQUEST and flow.transport not in STREAMS
