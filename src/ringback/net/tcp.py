"""SIP over TCP and TLS: messages framed by Content-Length, and CRLF keep-alives (RFC 3261 18.3, RFC 5626 4.4.1)."""

from __future__ import annotations

from ringback.net.connection import OPEN, Connection, MakeTls, Owner
from ringback.net.limits import FIRST_MESSAGE, HALF_SENT, IDLE, PONG
from ringback.sip.framing import PING as PING_OCTETS
from ringback.sip.framing import PONG as PONG_OCTETS
from ringback.sip.framing import StreamFramer
from ringback.sip.transport import Flow


class StreamConnection(Connection):
    """A TCP connection, or a TLS connection when `make_tls` is given."""

    __slots__ = ("_framer",)

    def __init__(self, owner: Owner, number: int, flow: Flow, make_tls: MakeTls | None, *, accepted: bool) -> None:
        super().__init__(owner, number, flow, make_tls, accepted=accepted)
        self._framer = StreamFramer(owner.limits.largest_head, owner.limits.largest_message)

    def begin(self) -> None:
        """Nothing is agreed on before SIP."""
        if self.accepted:
            self.owner.deadlines.start(FIRST_MESSAGE, self)
        self.opened()

    def arrived(self, data: bytes) -> None:
        """Frame what has come, and hand up what is whole."""
        deadlines = self.owner.deadlines
        deadlines.start(IDLE, self)
        framer = self._framer
        pongs = 0
        whole = False
        for item in framer.feed(data):
            if item == PING_OCTETS:
                pongs += 1
            elif item == PONG_OCTETS:
                if deadlines.waits(PONG, self):
                    deadlines.stop(PONG, self)
                    framer.settle()
            else:
                whole = True
                if not self.delivered(item):
                    return
        if pongs:
            self.owner.counters.pings += pongs
            self.write(PONG_OCTETS * pongs)
        if framer.error is not None:
            self.refuse(framer.head, framer.error)
            return
        self._watch_rest(whole)

    def wrapped(self, data: bytes) -> bytes:
        """A message is its own frame."""
        return data

    def farewell(self) -> bytes:
        """The end of the stream says it all."""
        return b""

    def ping(self) -> None:
        """RFC 5626 4.4.1: 'the client "ping" is a double-CRLF sequence, and the server "pong" is a single CRLF'."""
        if self.state == OPEN:
            self.write(PING_OCTETS)
            if not self.owner.deadlines.waits(PONG, self):
                self.owner.deadlines.start(PONG, self)

    def _watch_rest(self, whole: bool) -> None:
        """Give a message that has not come whole its time; a peer that sends an octet now and then gets no more."""
        pending = self._framer.pending
        deadlines = self.owner.deadlines
        if not pending:
            deadlines.stop(HALF_SENT, self)
        elif whole or not deadlines.waits(HALF_SENT, self):
            deadlines.start(HALF_SENT, self)
        self.partial(pending)
