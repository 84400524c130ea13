"""What every stream connection has in common, whatever it carries and however it is secured.

    wire        the transport of asyncio: octets in and out
    TLS         `tls.TlsSession`, or nothing
    carriage    subclasses: SIP messages framed in the stream (`tcp`), or as WebSocket messages (`websocket`)

A connection owns no task and no timer. Its deadlines wait in its owner's queues (`deadlines`), its unsent octets in the
transport's buffer, which is watched: a peer that does not read loses its connection, and nobody waits for it. It tells
its `Owner` what happens; the owner (`streams.Connections`) knows which connections there are.

    CONNECTING   outgoing: no wire yet
    SECURING     the wire is there, TLS is not
    GREETING     the WebSocket handshake is under way
    OPEN         carries messages
    FINISHING    everything is sent and the end announced; what still comes is dropped
    CLOSED       gone, or about to be within this turn of the event loop
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, cast

from ringback.errors import ParseError
from ringback.net.deadlines import Deadlines
from ringback.net.limits import (
    CONNECT,
    FIRST_MESSAGE,
    HALF_SENT,
    HANDSHAKE,
    IDLE,
    LINGER,
    PING,
    PONG,
    StreamCounters,
    StreamLimits,
)
from ringback.net.tls import TlsFailure, TlsSession
from ringback.sip.transport import Flow

CONNECTING: Final = 0
SECURING: Final = 1
GREETING: Final = 2
OPEN: Final = 3
FINISHING: Final = 4
CLOSED: Final = 5

# With these the kernel finds a peer that vanished within 60 + 3 * 10 seconds, and one that does not acknowledge what it
# was sent within 32, the 64*T1 of a transaction.
_KEEPALIVE: Final = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 10),
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 32000),
)

# Below this many unsent octets a connection is not looked at.
_WATCH_ABOVE: Final = 32768

# Of so many requests that were sent on a connection it is remembered that they wait for an answer on it.
_MOST_KEYS: Final = 128


#: Makes the TLS of one connection.
MakeTls = Callable[[], TlsSession]


class Owner(Protocol):
    """What a connection needs of, and tells to, whoever holds all of them."""

    limits: StreamLimits
    counters: StreamCounters
    deadlines: Deadlines[Connection]
    #: Where the event loop puts what it reads; for all connections, since it is emptied within the same call.
    inbox: memoryview

    def admit(self, connection: Connection) -> bool:
        """Whether a connection that was accepted may stay."""

    def opened(self, connection: Connection) -> None:
        """The connection can carry messages now."""

    def message(self, connection: Connection, data: bytes) -> None:
        """A whole SIP message has come."""

    def malformed(self, connection: Connection, head: bytes, error: ParseError) -> None:
        """Something has come that is no SIP message; the connection finishes after this call."""

    def leaving(self, connection: Connection) -> None:
        """Nothing can be sent on the connection any more."""

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""

    def hold(self, octets: int) -> None:
        """So many octets more (or less) are kept for a connection."""


class Connection(asyncio.BufferedProtocol, ABC):
    """One stream connection.

    number     identifies it; never given twice
    flow       how it is named upward; `flow.connection` is `number`, `flow.name` what the peer has proved
    accepted   whether the peer opened it
    reason     why it ended, in words
    """

    __slots__ = (
        "_make_tls",
        "_partial",
        "_quiet",
        "_unlooked",
        "_unsent",
        "_watched",
        "accepted",
        "backlog",
        "flow",
        "held",
        "keys",
        "number",
        "owner",
        "proven",
        "reason",
        "state",
        "task",
        "tls",
        "used",
        "wire",
    )

    def __init__(self, owner: Owner, number: int, flow: Flow, make_tls: MakeTls | None, *, accepted: bool) -> None:
        self.owner = owner
        self.number = number
        self.flow = Flow(flow.transport, flow.local, flow.host, flow.port, number, flow.name)
        #: TLS, if there is any: made only when the connection may stay.
        self.tls: TlsSession | None = None
        self._make_tls = make_tls
        self.accepted = accepted
        self.state = SECURING if accepted else CONNECTING
        self.reason = ""
        #: Whether a message has gone over it, in either direction.
        self.used = False
        #: Whether the peer has sent a whole message.
        self.proven = False
        #: What waits until an outgoing connection is open: octets, key and flow as they were given.
        self.backlog: list[tuple[bytes, str, Flow]] = []
        #: The keys of the last requests that were sent on it; none, or at most `_MOST_KEYS`.
        self.keys: deque[str] | None = None
        #: Opens the wire of an outgoing connection.
        self.task: asyncio.Task[None] | None = None
        self.wire: asyncio.Transport | None = None
        # Whether the transport's buffer is above _WATCH_ABOVE, and what was written since it was looked at.
        self._watched = False
        self._unlooked = 0
        # Octets that wait to be sent to a slow peer, and octets of a message that has not come whole.
        self._unsent = 0
        self._partial = 0
        #: Their sum, as the owner knows it.
        self.held = 0
        # Whether nothing was sent since the idle deadline was looked at.
        self._quiet = True

    # what carriages implement ----------------------------------------------------------------------------------------

    @abstractmethod
    def begin(self) -> None:
        """The wire is there and TLS established: open the connection (`opened`) or go on with a handshake."""

    @abstractmethod
    def arrived(self, data: bytes) -> None:
        """Octets have come that TLS has no more to do with."""

    @abstractmethod
    def wrapped(self, data: bytes) -> bytes | None:
        """One SIP message as it goes into the stream; None when the peer has said that it takes no more."""

    @abstractmethod
    def farewell(self) -> bytes:
        """What announces the end in the stream, before that of TLS."""

    @abstractmethod
    def ping(self) -> None:
        """Ask the peer for a sign of life; without one the connection is closed when PONG is over."""

    # asyncio ---------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The wire is there."""
        # uvloop's transports are not derived from asyncio's, only like them.
        wire = cast(asyncio.Transport, transport)
        self.wire = wire
        if self.state == CLOSED:
            # It was given up while it was being opened.
            wire.abort()
            return
        if self.accepted:
            peer = transport.get_extra_info("peername")
            if not peer:
                # It was reset before it could be looked at.
                self.abort("reset before it was accepted")
                return
            self.flow.host, self.flow.port = peer[0], peer[1]
            if not self.owner.admit(self):
                self.abort("too many connections")
                return
            self.owner.deadlines.start(HANDSHAKE, self)
        try:
            _detect_death(wire)
        except OSError as error:
            self.abort(f"lost at once: {error}")
            return
        wire.set_write_buffer_limits(high=_WATCH_ABOVE)
        self.state = SECURING
        if self._make_tls is None:
            self._secured()
            return
        self.tls = self._make_tls()
        if not self.accepted:
            self.tls.start()
            self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put what has come; `buffer_updated` follows before anything else is read into it."""
        return self.owner.inbox

    def buffer_updated(self, nbytes: int) -> None:
        """Octets have come from the wire."""
        if self.state >= FINISHING:
            return
        data = bytes(self.owner.inbox[:nbytes])
        if self.tls is None:
            self.arrived(data)
            return
        try:
            data = self.tls.receive(data)
        except TlsFailure as failure:
            self._tls_failed(failure)
            return
        self._flush()
        if self.state == SECURING and self.tls.established:
            if self.accepted and self.tls.identities:
                # RFC 5922 7.4: "the server MUST obtain the set of SIP domain identities from the client certificate".
                self.flow.name = self.tls.identities[0]
            self._secured()
        if data and self.state < FINISHING:
            self.arrived(data)
        if self.tls.closed:
            self.finish("closed by the peer")

    def eof_received(self) -> bool:
        """The peer sends no more. A SIP peer that does not want to listen either is gone, so the wire is closed."""
        self._end_soon("closed by the peer")
        return False

    def pause_writing(self) -> None:
        """The peer reads slower than it is written to."""
        self._watched = True
        self._look_at_queue()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._watched = False
        self._look_at_queue()

    def connection_lost(self, exc: Exception | None) -> None:
        """The wire is gone."""
        self._leave(CLOSED, str(exc) if exc is not None else "closed")
        self.owner.deadlines.drop(self)
        self._release()
        self.owner.lost(self)

    def unopened(self, reason: str) -> None:
        """The wire of an outgoing connection could not be opened."""
        if self.wire is None:
            self._leave(CLOSED, reason)
            self.owner.deadlines.drop(self)
            self.owner.lost(self)

    # out -------------------------------------------------------------------------------------------------------------

    def send(self, data: bytes, key: str, flow: Flow) -> bool:
        """Send one SIP message, or keep it until the connection is open; False when that can not be.

        `key` and `flow` come back through the owner when it turns out later that it could not be delivered.
        """
        if self.state != OPEN:
            if self.accepted or self.state > OPEN or len(self.backlog) >= self.owner.limits.waiting_messages:
                return False
            self.backlog.append((data, key, flow))
            return True
        octets = self.wrapped(data) if self.wire is not None and not self.wire.is_closing() else None
        if octets is None:
            return False
        self._quiet = False
        self.used = True
        self.owner.counters.sent += 1
        self.write(octets)
        if self.state != OPEN:
            return False
        if key:
            if self.keys is None:
                self.keys = deque(maxlen=_MOST_KEYS)
            self.keys.append(key)
        return True

    def write(self, data: bytes) -> None:
        """Put octets of the stream on the wire."""
        if self.wire is None:
            return
        if self.tls is not None:
            self.tls.encrypt(data)
            data = self.tls.take()
        self.wire.write(data)
        self._unlooked += len(data)
        if self._watched or self._unlooked > _WATCH_ABOVE:
            self._look_at_queue()

    def opened(self) -> None:
        """The carriage is ready: messages can go."""
        self.state = OPEN
        deadlines = self.owner.deadlines
        deadlines.stop(HANDSHAKE, self)
        deadlines.stop(CONNECT, self)
        deadlines.start(IDLE, self)
        self.owner.opened(self)
        backlog, self.backlog = self.backlog, []
        for at, (data, key, flow) in enumerate(backlog):
            if not self.send(data, key, flow):
                self.backlog = backlog[at:]
                return

    # in --------------------------------------------------------------------------------------------------------------

    def delivered(self, data: bytes) -> bool:
        """Hand a whole message up; False when the connection has ended over it."""
        self.used = True
        if not self.proven:
            self.proven = True
            self.owner.deadlines.stop(FIRST_MESSAGE, self)
        self.owner.message(self, data)
        return self.state == OPEN

    def refuse(self, head: bytes, error: ParseError) -> None:
        """Have a request that can not be read answered, and finish."""
        self.owner.counters.closed_malformed += 1
        self.owner.malformed(self, head, error)
        self.finish(f"malformed: {error}")

    def partial(self, octets: int) -> None:
        """So many octets of a message that has not come whole are kept by the carriage."""
        if octets != self._partial:
            self._partial = octets
            self._account()

    def expired(self, queue: int) -> None:
        """A deadline of this connection is over."""
        counters = self.owner.counters
        if queue == IDLE and not self._quiet:
            # What was sent counts as well; looking at it only here saves starting the deadline with each message.
            self._quiet = True
            self.owner.deadlines.start(IDLE, self)
        elif queue == IDLE:
            counters.closed_idle += 1
            self.finish("idle")
        elif queue == PING:
            self.ping()
        elif queue == PONG:
            counters.closed_no_pong += 1
            self.abort("no pong")
        elif queue == FIRST_MESSAGE:
            counters.closed_silent += 1
            self.abort("no message came")
        elif queue == HALF_SENT:
            counters.closed_half_sent += 1
            self.abort("the rest of a message did not come")
        elif queue == HANDSHAKE:
            counters.handshake_failed += 1
            self.abort("no handshake in time")
        elif queue == CONNECT:
            self.abort("no connection in time")
        else:
            self.abort(self.reason)

    # the end ---------------------------------------------------------------------------------------------------------

    def finish(self, reason: str) -> None:
        """Send what is queued, announce the end, and wait for the peer to close, LINGER long.

        Closing at once would lose what was sent last: a kernel that still gets octets for a closed socket answers with
        a reset, and the peer's kernel then drops what it has not read.
        """
        if self.state >= FINISHING:
            return
        if self.wire is None or self.wire.is_closing():
            self.abort(reason)
            return
        goodbye = self.farewell() if self.state == OPEN else b""
        if goodbye:
            self.write(goodbye)
            if self.state >= FINISHING:
                return
        if self.tls is not None:
            self.tls.shutdown()
            self._flush()
        self._leave(FINISHING, reason)
        self.owner.deadlines.drop(self)
        self.owner.deadlines.start(LINGER, self)
        self.wire.write_eof()

    def abort(self, reason: str) -> None:
        """End now; what is queued is lost."""
        self._leave(CLOSED, reason)
        self._release()
        if self.wire is not None:
            self.wire.abort()
        elif self.task is not None:
            # Its end is reported by the task.
            self.task.cancel()

    def _leave(self, state: int, reason: str) -> None:
        if not self.reason:
            self.reason = reason
        if self.state < FINISHING:
            self.state = state
            self.owner.leaving(self)
        self.state = state

    # inside ----------------------------------------------------------------------------------------------------------

    def _secured(self) -> None:
        self.state = GREETING
        self.begin()

    def _flush(self) -> None:
        if self.tls is not None and self.wire is not None:
            data = self.tls.take()
            if data:
                self.wire.write(data)

    def _tls_failed(self, failure: TlsFailure) -> None:
        if self.accepted and self.state == SECURING:
            self.owner.counters.handshake_failed += 1
        # The alert tells the peer why.
        self._flush()
        self._end_soon(failure.reason)
        if self.wire is not None:
            self.wire.close()

    def _end_soon(self, reason: str) -> None:
        """The wire closes when it has sent what is queued; not waiting for that longer than LINGER."""
        self._leave(CLOSED, reason)
        self.owner.deadlines.drop(self)
        self.owner.deadlines.start(LINGER, self)

    def _look_at_queue(self) -> None:
        if self.wire is None:
            return
        self._unlooked = 0
        size = self.wire.get_write_buffer_size()
        if size > self.owner.limits.largest_queue:
            if self.state < CLOSED:
                self.owner.counters.closed_slow += 1
                self.abort("the peer does not read what it is sent")
            return
        unsent = size if self._watched else 0
        if unsent != self._unsent:
            self._unsent = unsent
            self._account()

    def _account(self) -> None:
        if self.state < CLOSED:
            change = self._unsent + self._partial - self.held
            self.held += change
            self.owner.hold(change)

    def _release(self) -> None:
        held, self.held = self.held, 0
        if held:
            self.owner.hold(-held)


def _detect_death(wire: asyncio.Transport) -> None:
    """Have the kernel find out when the peer is gone without a word. Raises OSError when it is gone already."""
    sock = wire.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE:
        # Not every system has all of them.
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
