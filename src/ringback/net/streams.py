"""All stream connections of one element: who may connect, which connection a message takes, and what becomes of it.

RFC 3261 18 has connections "indexed by the tuple formed from the address, port, and transport protocol at the far end".
To that tuple belongs the name that the far end has proved: two domains can share an address, and a connection that was
authenticated for one must not carry the messages of the other (RFC 5923 9.3).

    flow.connection > 0    that connection, or none: a peer that came to us can often not be reached in another way
    flow.connection == 0   one that is open to (transport, host, port, name), else a new one

A connection that a peer opened is found by the address that it came from. That it may be used for requests to the
address that its owner listens on is the "alias" of RFC 5923, and is allowed only to who proved a name by TLS.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Final

from ringback.errors import ConfigurationError, ParseError
from ringback.net.admission import Admission
from ringback.net.connection import OPEN, Connection, MakeTls
from ringback.net.deadlines import CallLater, Deadlines
from ringback.net.limits import CONNECT, FIRST_MESSAGE, HANDSHAKE, StreamCounters, StreamLimits
from ringback.net.listener import StreamListener, bind_stream
from ringback.net.tcp import StreamConnection
from ringback.net.tls import ClientTls, ServerTls, domain_identity
from ringback.net.websocket import WebSocketConnection
from ringback.sip.transport import SECURE, STREAMS, Flow, bracketed, is_address

OnMessage = Callable[[bytes, Flow], None]
OnClosed = Callable[[Flow], None]
OnFailed = Callable[[str, Flow, str], None]
OnMalformed = Callable[[bytes, Flow, ParseError], None]

_PeerKey = tuple[str, str, int, str]

# What is read at once from one connection: the others wait for it to be worked off.
_INBOX: Final = 65536
_LISTEN_BACKLOG: Final = 1024
# A certificate with thousands of names must not fill the index.
_MOST_NAMES: Final = 64


class Connections:
    """The stream connections of one element. Make it while the event loop runs; end it with `close`.

    on_message     (data, flow): one whole SIP message; `flow.connection` leads back
    on_closed      (flow): a connection that carried a message is gone
    on_failed      (key, flow, reason): what was sent with that key and flow could not be delivered, or its connection
                   broke before anything is known of an answer; a key whose transaction is over already may be named
    on_malformed   (head, flow, error): something came that is no message. Whatever is sent on the flow within this
                   call still goes out, then the connection is closed
    client_tls     for outgoing TLS connections; without it there are none
    clock, call_later, first_number   the event loop's time and timer, and the number of the first connection

    All callables are called within the event loop and have to return soon. What they raise is reported to the loop's
    exception handler, and the connection lives on.
    """

    def __init__(
        self,
        *,
        on_message: OnMessage,
        on_closed: OnClosed,
        on_failed: OnFailed,
        on_malformed: OnMalformed,
        limits: StreamLimits | None = None,
        client_tls: ClientTls | None = None,
        clock: Callable[[], float] | None = None,
        call_later: CallLater | None = None,
        first_number: int | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._on_closed = on_closed
        self._on_failed = on_failed
        self._on_malformed = on_malformed
        self.limits = limits or StreamLimits()
        self.counters = StreamCounters()
        self.client_tls = client_tls
        self.deadlines: Deadlines[Connection] = Deadlines(
            self.limits.durations(), _expired, clock or self._loop.time, call_later or self._loop.call_later
        )
        self.inbox = memoryview(bytearray(_INBOX))
        self._admission = Admission(self.limits.connections_per_source, self.limits.exempt)
        # A flow token of an earlier run must not name a connection of this one. No run opens a thousand connections
        # each second of its life, so the clock in milliseconds is ahead of all numbers that were ever given.
        self._next_number = int(time.time() * 1000) if first_number is None else first_number
        self._by_number: dict[int, Connection] = {}
        self._by_peer: dict[_PeerKey, Connection] = {}
        # The keys under which a connection stands in `_by_peer`, besides that of its far end.
        self._more_keys: dict[Connection, list[_PeerKey]] = {}
        self._listeners: list[StreamListener] = []
        self._stopped: list[StreamListener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._buffered = 0
        self._closing = False
        self._empty: asyncio.Event | None = None

    def configure(self, limits: StreamLimits) -> None:
        """Have other limits from now on, for new connections and new messages; deadlines stay those of the start."""
        self._admission.configure(limits.connections_per_source, limits.exempt)
        self.limits = limits

    # listening -------------------------------------------------------------------------------------------------------

    async def listen(
        self,
        transport: str,
        host: str,
        port: int,
        *,
        tls: ServerTls | None = None,
        origins: Sequence[str] | None = None,
        reuse_port: bool = False,
        sock: socket.socket | None = None,
    ) -> StreamListener:
        """Accept connections of `transport` ("TCP", "TLS", "WS" or "WSS") at an address; port 0 takes any free one.

        `tls` is needed for TLS and WSS. `origins` are those of web pages that may open WebSocket connections; None
        allows all. `reuse_port` shares the port with other processes. `sock` is a socket that is bound already, such as
        one that an earlier process handed over.

        Raises ConfigurationError when the address can not be had or `transport` and `tls` do not fit.
        """
        if transport not in STREAMS:
            raise ConfigurationError(f"{transport!r} is no stream transport: TCP, TLS, WS or WSS")
        if (transport in SECURE) != (tls is not None):
            raise ConfigurationError(f"{transport} at {host}:{port} {'needs' if tls is None else 'has no use for'} TLS")
        bound = bind_stream(host, port, reuse_port) if sock is None else sock
        address = bound.getsockname()
        local = f"{transport.lower()}:{bracketed(address[0])}:{address[1]}"
        make = partial(self._incoming, transport, local, tls, origins)
        server = await self._loop.create_server(make, sock=bound, backlog=_LISTEN_BACKLOG)
        listener = StreamListener(transport, address[0], address[1], server)
        self._listeners.append(listener)
        return listener

    @property
    def listeners(self) -> Sequence[StreamListener]:
        """The listening sockets, in the order in which they were made."""
        return tuple(self._listeners)

    def stop_listening(self) -> None:
        """Accept no more connections; those that are open stay."""
        for listener in self._listeners:
            listener.close()
        self._stopped += self._listeners
        self._listeners.clear()

    def _incoming(
        self, transport: str, local: str, tls: ServerTls | None, origins: Sequence[str] | None
    ) -> asyncio.BufferedProtocol:
        flow = Flow(transport, local, "", 0)
        # A browser that is asked for a certificate shows its user a dialogue, so WSS does not ask.
        make_tls = partial(tls.session, ask=transport == "TLS") if tls is not None else None
        if transport in ("WS", "WSS"):
            return WebSocketConnection(self, self._number(), flow, make_tls, origins=origins)
        return StreamConnection(self, self._number(), flow, make_tls, accepted=True)

    def _number(self) -> int:
        number = self._next_number
        self._next_number += 1
        return number

    # sending ---------------------------------------------------------------------------------------------------------

    def send(self, data: bytes, flow: Flow, key: str = "") -> bool:
        """Send one message; open a connection for it when `flow` allows that and there is none.

        False: it can not be sent, at once and for good; nothing else is reported. True: it is on its way, or waits for
        its connection; when that fails `on_failed` gets `key` back.
        """
        connection = self.connection_for(flow)
        if connection is None:
            if flow.connection or self._closing:
                return False
            connection = self._open(flow)
            if connection is None:
                return False
        return connection.send(data, key, flow)

    def connection_for(self, flow: Flow) -> Connection | None:
        """The connection that a message on `flow` would take now, or None when one has to be opened or can not be."""
        if flow.connection:
            connection = self._by_number.get(flow.connection)
            if connection is None or connection.state > OPEN:
                return None
            there = connection.flow
            if (there.transport, there.host, there.port) != (flow.transport, flow.host, flow.port):
                # The number is of an earlier run, or made up.
                return None
            return connection
        name = _name_of(flow)
        connection = self._by_peer.get((flow.transport, flow.host, flow.port, name))
        if connection is None and name and is_address(name):
            # No domain was asked for, only an address, and that is where the connection leads.
            connection = self._by_peer.get((flow.transport, flow.host, flow.port, ""))
        return connection

    def ping(self, flow: Flow) -> bool:
        """Ask the far end of `flow` for a sign of life (RFC 5626 4.4.1, RFC 7118 6).

        False when there is no open connection. If no answer comes within `StreamLimits.pong_seconds` the connection is
        closed, and `on_closed` says so. When to ask is the caller's to decide, with a random share.
        """
        connection = self.connection_for(flow)
        if connection is None or connection.state != OPEN:
            return False
        connection.used = True
        connection.ping()
        return connection.state == OPEN

    def alias(self, flow: Flow, port: int) -> bool:
        """Use the connection of `flow`, which the peer opened, for requests to `port` at its address (RFC 5923 8.2).

        For a request with the Via parameter "alias"; `port` is that of its sent-by. False, and without effect, when the
        peer has not proved a name by TLS: "If the client does not present a certificate, the server MUST proceed as if
        the "alias" header field parameter was not present" (9.2).
        """
        connection = self.connection_for(flow)
        if connection is None or not connection.accepted or connection.flow.transport != "TLS":
            return False
        names = self.identities(flow)
        there = connection.flow
        for name in names[:_MOST_NAMES]:
            self._index(connection, ("TLS", there.host, port, name))
        return bool(names)

    def identities(self, flow: Flow) -> tuple[str, ...]:
        """The SIP domains that the far end of an open connection has proved by its certificate (RFC 5922 7.1)."""
        connection = self.connection_for(flow)
        if connection is None or connection.tls is None:
            return ()
        return connection.tls.identities

    def disconnect(self, flow: Flow, reason: str = "") -> None:
        """Close the connection of `flow` after what is queued on it; does nothing when there is none."""
        connection = self.connection_for(flow)
        if connection is not None:
            connection.finish(reason or "closed here")

    def _open(self, flow: Flow) -> Connection | None:
        name = _name_of(flow)
        make_tls: MakeTls | None
        if flow.transport == "TCP":
            make_tls = None
        elif flow.transport == "TLS" and self.client_tls is not None and (name or not self.client_tls.verify):
            make_tls = partial(self.client_tls.session, name)
        else:
            # RFC 7118 5.4 and its appendix B: nobody can open a connection towards a WebSocket client.
            return None
        if len(self._by_number) >= self.limits.connections and not self._evict():
            self.counters.refused_total += 1
            return None
        target = Flow(flow.transport, flow.local or self._local_for(flow), flow.host, flow.port, 0, name)
        connection = StreamConnection(self, self._number(), target, make_tls, accepted=False)
        self._by_number[connection.number] = connection
        self._by_peer[flow.transport, flow.host, flow.port, name] = connection
        task = self._loop.create_task(self._connect(connection, flow.local), name=f"connect {target}")
        connection.task = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._connect_ended, connection))
        self.deadlines.start(CONNECT, connection)
        return connection

    def _local_for(self, flow: Flow) -> str:
        """The listening socket that a connection to `flow` is counted to: the first of its transport and family."""
        for listener in self._listeners:
            if listener.transport == flow.transport and (":" in listener.host) == (":" in flow.host):
                return listener.id
        return ""

    async def _connect(self, connection: Connection, source: str) -> None:
        flow = connection.flow
        host = source.partition(":")[2].rpartition(":")[0].strip("[]")
        # A host with several addresses is to be seen with the one that the sender chose; "any" leaves it to the kernel.
        local = (host, 0) if host and not ip_address(host).is_unspecified else None
        try:
            await self._loop.create_connection(lambda: connection, flow.host, flow.port, local_addr=local)
        except OSError as error:
            # asyncio writes the address in the place of what the system says.
            connection.reason = f"can not connect: {os.strerror(error.errno) if error.errno else error}"

    def _connect_ended(self, connection: Connection, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        connection.task = None
        # A task that is cancelled before it has begun never runs; so what is to be done after it is done here.
        connection.unopened("given up")
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._report("a connection could not be opened", error)

    # what connections tell (connection.Owner) ------------------------------------------------------------------------

    def admit(self, connection: Connection) -> bool:
        """Count a connection that was accepted, or refuse it."""
        if self._closing:
            return False
        if not self._admission.enter(connection.flow.host):
            self.counters.refused_source += 1
            return False
        if len(self._by_number) >= self.limits.connections and not self._evict():
            self._admission.leave(connection.flow.host)
            self.counters.refused_total += 1
            return False
        self._by_number[connection.number] = connection
        self.counters.accepted += 1
        return True

    def opened(self, connection: Connection) -> None:
        """Make a connection findable by where it leads."""
        flow = connection.flow
        peer = (flow.transport, flow.host, flow.port)
        if connection.accepted:
            # RFC 3261 18: "When the connection is accepted by the transport layer, this index is set to the source IP
            # address, port number, and transport."
            self._by_peer[*peer, ""] = connection
        else:
            self.counters.connected += 1
        if connection.tls is not None:
            # RFC 5923 8.1: it is used again if "the URI used for RFC3263 server resolution matches one of the
            # identities stored in the alias table row corresponding to that resolved address".
            for name in connection.tls.identities[:_MOST_NAMES]:
                self._index(connection, (*peer, name))

    def message(self, connection: Connection, data: bytes) -> None:
        """Hand a message up."""
        self.counters.received += 1
        try:
            self._on_message(data, connection.flow)
        except Exception as error:
            self._report("a SIP message could not be handled", error)

    def malformed(self, connection: Connection, head: bytes, error: ParseError) -> None:
        """Let what is no message be answered."""
        try:
            self._on_malformed(head, connection.flow, error)
        except Exception as failure:
            self._report("a malformed SIP message could not be answered", failure)

    def leaving(self, connection: Connection) -> None:
        """Make a connection unfindable; what it still has to say goes out."""
        flow = connection.flow
        for key in ((flow.transport, flow.host, flow.port, _name_of(flow)), (flow.transport, flow.host, flow.port, "")):
            if self._by_peer.get(key) is connection:
                del self._by_peer[key]
        for key in self._more_keys.pop(connection, ()):
            if self._by_peer.get(key) is connection:
                del self._by_peer[key]

    def lost(self, connection: Connection) -> None:
        """Forget a connection, and tell who counted on it."""
        if self._by_number.pop(connection.number, None) is None:
            # It was never admitted.
            return
        if connection.accepted:
            self._admission.leave(connection.flow.host)
        elif not connection.used:
            self.counters.connect_failed += 1
        for _, key, flow in connection.backlog:
            self._undelivered(key, flow, connection.reason)
        connection.backlog.clear()
        for key in connection.keys or ():
            # RFC 3261 18.4: "If the transport user asks for a request to be sent over a reliable transport, and the
            # result is a connection failure, the transport layer SHOULD inform the transport user".
            self._undelivered(key, connection.flow, connection.reason)
        if connection.used:
            try:
                self._on_closed(connection.flow)
            except Exception as error:
                self._report("the end of a connection could not be handled", error)
        if self._empty is not None and not self._by_number:
            self._empty.set()

    def hold(self, octets: int) -> None:
        """Count what is kept for connections; of too much, the connection that keeps most is closed."""
        self._buffered += octets
        if octets > 0 and self._buffered > self.limits.buffered:
            greedy = max(self._by_number.values(), key=_held)
            self.counters.closed_buffers += 1
            greedy.abort("kept most when all connections together kept too much")

    def _undelivered(self, key: str, flow: Flow, reason: str) -> None:
        try:
            self._on_failed(key, flow, reason)
        except Exception as error:
            self._report("a failure to deliver could not be handled", error)

    def _report(self, message: str, error: Exception) -> None:
        self._loop.call_exception_handler({"message": message, "exception": error})

    # caps ------------------------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many connections there are, opened and being opened."""
        return len(self._by_number)

    @property
    def buffered(self) -> int:
        """How many octets are kept for connections: unsent to slow peers, and of messages that have not come whole."""
        return self._buffered

    def _evict(self) -> bool:
        """End the connection that has been longest without saying anything, so that a new one finds room."""
        idler = self.deadlines.oldest(HANDSHAKE) or self.deadlines.oldest(FIRST_MESSAGE)
        if idler is None:
            return False
        self.counters.evicted += 1
        self.deadlines.drop(idler)
        idler.abort("made room for another connection")
        return True

    def _index(self, connection: Connection, key: _PeerKey) -> None:
        self._by_peer[key] = connection
        self._more_keys.setdefault(connection, []).append(key)

    # the end ---------------------------------------------------------------------------------------------------------

    async def close(self, drain: float = 0.0) -> None:
        """End everything: stop listening, let what is queued leave for up to `drain` seconds, then cut off the rest.

        When it returns there is no connection, task or timer left, and no callable is called any more.
        """
        self._closing = True
        self.stop_listening()
        self._empty = asyncio.Event()
        for connection in list(self._by_number.values()):
            if drain > 0:
                connection.finish("shutting down")
            else:
                connection.abort("shutting down")
        if self._by_number and drain > 0:
            try:
                await asyncio.wait_for(self._empty.wait(), drain)
            except TimeoutError:
                for connection in list(self._by_number.values()):
                    connection.abort("shutting down")
        if self._by_number:
            await self._empty.wait()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._stopped:
            await listener.closed()
        self.deadlines.close()


def _expired(queue: int, connection: Connection) -> None:
    connection.expired(queue)


def _held(connection: Connection) -> int:
    return connection.held


def _name_of(flow: Flow) -> str:
    """The name that the far end of `flow` has to prove; without TLS there is nothing to prove it by."""
    return domain_identity(flow.name) if flow.transport in SECURE and flow.name else ""
