"""SIP over WebSocket, the server's side: WS and, with TLS, WSS (RFC 7118, RFC 6455).

The `websockets` library does the protocol without a socket; here is what RFC 7118 adds, and what keeps a peer from
making work: octets are taken in small pieces, and between them it is counted how many frames they held.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN as WEBSOCKET_OPEN
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

from ringback.errors import ParseError
from ringback.net.connection import OPEN, Connection, MakeTls, Owner
from ringback.net.limits import HALF_SENT, IDLE, PING, PONG
from ringback.sip.framing import PING as PING_OCTETS
from ringback.sip.framing import PONG as PONG_OCTETS
from ringback.sip.transport import Flow

LOG: Final = logging.getLogger(__name__)

#: RFC 7118 4.1: 'The client MUST include the value "sip" in the Sec-WebSocket-Protocol header'.
_SIP: Final = Subprotocol("sip")

# A frame of a few octets costs as much as one of thousands, so this bounds the work of one piece.
_PIECE: Final = 4096
# A request line, the headers of the handshake and a browser's cookies.
_LARGEST_GREETING: Final = 16384
_MOST_FRAGMENTS: Final = 256
_MOST_CONTROL_FRAMES: Final = 32

# No request or response is shorter: a start line, Via, From, To, Call-ID and CSeq.
_SHORTEST_MESSAGE: Final = 32

# RFC 6455 7.4.1.
_GOING_AWAY: Final = 1001
_INVALID_DATA: Final = 1007
_POLICY_VIOLATION: Final = 1008
_TOO_BIG: Final = 1009


class WebSocketConnection(Connection):
    """A WebSocket connection that was accepted; WSS when `make_tls` is given.

    origins   the values of Origin that web pages may come from; None allows all. Clients that are no browsers send
              none, and are let in either way
    """

    __slots__ = ("_controls", "_fed", "_fragments", "_origins", "_protocol", "_tail", "_text")

    def __init__(
        self, owner: Owner, number: int, flow: Flow, make_tls: MakeTls | None, *, origins: Sequence[str] | None = None
    ) -> None:
        super().__init__(owner, number, flow, make_tls, accepted=True)
        self._origins = origins
        self._protocol: ServerProtocol
        # The message that has begun, the kind that it has, and what was fed for it.
        self._fragments: list[bytes] = []
        self._text = False
        self._fed = 0
        # The last octets of the handshake: its end may come in two pieces.
        self._tail = b""
        # Pings, Pongs and keep-alives within what came at once.
        self._controls = 0

    def begin(self) -> None:
        """Wait for the client's handshake."""
        # A browser always says where the page comes from that opens the connection (RFC 6455 4.1).
        allowed = None if self._origins is None else [*(Origin(origin) for origin in self._origins), None]
        self._protocol = ServerProtocol(
            origins=allowed, subprotocols=[_SIP], max_size=self.owner.limits.largest_message, logger=LOG
        )

    def arrived(self, data: bytes) -> None:
        """Take frames out of what has come, and hand up the messages in them."""
        if self.state != OPEN:
            data = self._greet(data)
            if self.state != OPEN:
                return
        self._alive()
        self._controls = 0
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            self._fed += len(piece)
            self._protocol.receive_data(piece)
            for event in self._protocol.events_received():
                if isinstance(event, Frame):
                    self._framed(event)
                if self.state != OPEN:
                    return
            self._emit()
            if self._protocol.close_expected():
                self._ended()
                return
        self._watch_rest()

    def wrapped(self, data: bytes) -> bytes | None:
        """One message in one WebSocket message.

        RFC 7118 4.2: "If there is at least one non-UTF-8 symbol in the whole SIP message (including headers and the
        body), then the whole message MUST be sent within a WebSocket binary message."
        """
        if self._protocol.state is not WEBSOCKET_OPEN:
            # The Close frame has come together with the message that is being worked on.
            return None
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            self._protocol.send_binary(data)
        else:
            self._protocol.send_text(data)
        return b"".join(self._protocol.data_to_send())

    def farewell(self) -> bytes:
        """A Close frame, unless one was sent."""
        if self._protocol.state is WEBSOCKET_OPEN:
            self._protocol.send_close(_GOING_AWAY)
        return b"".join(self._protocol.data_to_send())

    def ping(self) -> None:
        """RFC 7118 6: both sides "may keep their WebSocket connections open by sending periodic WebSocket "Ping"
        frames"; any octet from the client proves that it is there."""
        if self.state == OPEN:
            self._protocol.send_ping(b"")
            self._emit()
            if not self.owner.deadlines.waits(PONG, self):
                self.owner.deadlines.start(PONG, self)

    # inside ----------------------------------------------------------------------------------------------------------

    def _greet(self, data: bytes) -> bytes:
        """Take the opening handshake out of what has come, and return what follows it.

        No more is fed to the library before the handshake is accepted: it would read frames behind a request that is
        about to be refused.
        """
        joined = self._tail + data
        end = joined.find(b"\r\n\r\n")
        cut = len(data) if end < 0 else end + 4 - len(self._tail)
        self._tail = joined[-3:]
        self._fed += cut
        if self._fed > _LARGEST_GREETING:
            self.owner.counters.handshake_failed += 1
            self.finish("a WebSocket handshake that is too large")
            return b""
        self.partial(self._fed)
        self._protocol.receive_data(data[:cut])
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._greeted(event)
        if self.state != OPEN:
            self._emit()
            if self._protocol.close_expected():
                self._ended()
        return data[cut:]

    def _greeted(self, request: Request) -> None:
        """Answer the opening handshake: 101, or 403 for a foreign Origin, 400 without the subprotocol, and so on."""
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code == 101:
            self._tail = b""
            self._fed = 0
            self.partial(0)
            # The answer has to leave before anything that is sent on the open connection.
            self._emit()
            self.opened()
            self.owner.deadlines.start(PING, self)

    def _framed(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT or frame.opcode is Opcode.BINARY:
            self._text = frame.opcode is Opcode.TEXT
            self._collect(frame)
        elif frame.opcode is Opcode.CONT:
            self._collect(frame)
        elif frame.opcode is not Opcode.CLOSE:
            # The library has answered a Ping.
            if not self._fragments:
                self._fed = 0
            self._kept_alive()

    def _kept_alive(self) -> None:
        """A client that sends many keep-alives at once wants work done for nothing."""
        self._controls += 1
        if self._controls > _MOST_CONTROL_FRAMES:
            self._fail(_POLICY_VIOLATION, "too many keep-alives")

    def _collect(self, frame: Frame) -> None:
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            if len(self._fragments) > _MOST_FRAGMENTS:
                self._fail(_TOO_BIG, "too many fragments")
            return
        data = self._fragments[0] if len(self._fragments) == 1 else b"".join(self._fragments)
        self._fragments.clear()
        self._fed = 0
        if self._text:
            try:
                data.decode("utf-8")
            except UnicodeDecodeError:
                self._fail(_INVALID_DATA, "text that is not UTF-8")
                return
        self._whole(data)

    def _whole(self, data: bytes) -> None:
        """One WebSocket message. RFC 7118 6 lets the CRLF keep-alives of RFC 5626 be used here as well."""
        if len(data) >= _SHORTEST_MESSAGE and data[0] > 32:
            self.delivered(data)
        elif data == PING_OCTETS:
            self.owner.counters.pings += 1
            if self._protocol.state is WEBSOCKET_OPEN:
                self._protocol.send_text(PONG_OCTETS)
            self._kept_alive()
        elif data == PONG_OCTETS:
            self._kept_alive()
        else:
            # 4.1: "Messages other than SIP requests and responses MUST NOT be transmitted over this connection."
            self.owner.malformed(self, data, ParseError("a WebSocket message that is no SIP message"))
            self._fail(_POLICY_VIOLATION, "not SIP")

    def _fail(self, code: int, why: str) -> None:
        self._protocol.fail(code, why)
        self._emit()
        self._ended()

    def _emit(self) -> None:
        """Send what the protocol wants sent; an empty piece stands for the end of the stream, which `finish` sends."""
        data = b"".join(self._protocol.data_to_send())
        if data:
            self.write(data)

    def _ended(self) -> None:
        """The protocol is over: refused, failed, or closed by the client."""
        if self.state != OPEN:
            self.owner.counters.handshake_failed += 1
            self.finish(f"WebSocket handshake refused: {self._protocol.handshake_exc}")
        elif self._protocol.close_rcvd is not None:
            self.finish("closed by the peer")
        else:
            self.owner.counters.closed_malformed += 1
            sent = self._protocol.close_sent
            self.finish(f"WebSocket failed: {sent}" if sent is not None else "WebSocket failed")

    def _alive(self) -> None:
        deadlines = self.owner.deadlines
        deadlines.start(IDLE, self)
        deadlines.start(PING, self)
        deadlines.stop(PONG, self)

    def _watch_rest(self) -> None:
        """Give a message that has not come whole its time.

        How much of a frame the library holds it does not tell: what was fed since the last whole message counts.
        """
        deadlines = self.owner.deadlines
        if not (self._fragments or self._fed):
            deadlines.stop(HALF_SENT, self)
        elif not deadlines.waits(HALF_SENT, self):
            deadlines.start(HALF_SENT, self)
        self.partial(self._fed)
