"""One connection between a wire and an owner that are both under the test's hand."""

import asyncio
import socket

import pytest

from ringback.errors import ParseError
from ringback.net.connection import CLOSED, CONNECTING, FINISHING, OPEN, Connection
from ringback.net.deadlines import Deadlines
from ringback.net.limits import StreamCounters, StreamLimits
from ringback.net.tcp import StreamConnection
from ringback.sip.transport import Flow
from tests.net.stream_kit import HandClock, message


class Socket:
    """Takes options."""

    def __init__(self) -> None:
        self.options: dict[tuple[int, int], int] = {}

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options[level, option] = value


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and a queue of as many octets as the test says."""

    def __init__(self, peer: tuple[str, int] | None = ("192.0.2.7", 40000)) -> None:
        super().__init__({"peername": peer, "socket": Socket()})
        self.written: list[bytes] = []
        self.queue = 0
        self.events: list[str] = []
        self.closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.queue

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def write_eof(self) -> None:
        self.events.append("eof")

    def close(self) -> None:
        self.closing = True
        self.events.append("close")

    def abort(self) -> None:
        self.closing = True
        self.events.append("abort")


class Keeper:
    """An owner that keeps what it is told."""

    def __init__(self, limits: StreamLimits | None = None) -> None:
        self.clock = HandClock()
        self.limits = limits or StreamLimits()
        self.counters = StreamCounters()
        self.deadlines: Deadlines[Connection] = Deadlines(
            self.limits.durations(),
            lambda queue, connection: connection.expired(queue),
            self.clock.time,
            self.clock.call_later,
        )
        self.inbox = memoryview(bytearray(65536))
        self.admits = True
        self.held = 0
        self.told: list[str] = []
        self.messages: list[bytes] = []

    def admit(self, connection: Connection) -> bool:
        return self.admits

    def opened(self, connection: Connection) -> None:
        self.told.append("opened")

    def message(self, connection: Connection, data: bytes) -> None:
        self.messages.append(data)

    def malformed(self, connection: Connection, head: bytes, error: ParseError) -> None:
        self.told.append(f"malformed: {error}")

    def leaving(self, connection: Connection) -> None:
        self.told.append("leaving")

    def lost(self, connection: Connection) -> None:
        self.told.append("lost")

    def hold(self, octets: int) -> None:
        self.held += octets

    def feed(self, connection: Connection, data: bytes) -> None:
        """What the event loop does with what it reads."""
        self.inbox[: len(data)] = data
        connection.buffer_updated(len(data))


def accepted(limits: StreamLimits | None = None) -> tuple[Keeper, StreamConnection, Wire]:
    keeper = Keeper(limits)
    connection = StreamConnection(keeper, 7, Flow("TCP", "tcp:192.0.2.1:5060", "", 0), None, accepted=True)
    wire = Wire()
    connection.connection_made(wire)
    return keeper, connection, wire


def outgoing() -> tuple[Keeper, StreamConnection]:
    keeper = Keeper()
    return keeper, StreamConnection(keeper, 8, Flow("TCP", "", "192.0.2.9", 5060), None, accepted=False)


FLOW = Flow("TCP", "", "192.0.2.9", 5060)


class TestOpening:
    def test_an_accepted_connection_names_its_peer(self) -> None:
        keeper, connection, _ = accepted()
        assert connection.state == OPEN
        assert connection.flow.key() == ("TCP", "192.0.2.7", 40000, 7, "")
        assert connection.flow.local == "tcp:192.0.2.1:5060"
        assert keeper.told == ["opened"]

    def test_the_kernel_looks_after_vanished_peers(self) -> None:
        _, _, wire = accepted()
        options = wire.get_extra_info("socket").options
        assert options[socket.SOL_SOCKET, socket.SO_KEEPALIVE] == 1
        idle = options[socket.IPPROTO_TCP, socket.TCP_KEEPIDLE]
        probes = options[socket.IPPROTO_TCP, socket.TCP_KEEPINTVL] * options[socket.IPPROTO_TCP, socket.TCP_KEEPCNT]
        assert idle + probes <= 120
        assert options[socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT] == 32000

    def test_one_that_is_not_admitted_is_reset(self) -> None:
        keeper = Keeper()
        keeper.admits = False
        connection = StreamConnection(keeper, 7, Flow("TCP", "", "", 0), None, accepted=True)
        wire = Wire()
        connection.connection_made(wire)
        assert wire.events == ["abort"]
        assert not connection.send(message(), "", FLOW)

    def test_one_that_was_reset_already_has_no_peer(self) -> None:
        keeper = Keeper()
        connection = StreamConnection(keeper, 7, Flow("TCP", "", "", 0), None, accepted=True)
        wire = Wire(peer=None)
        connection.connection_made(wire)
        assert wire.events == ["abort"]

    def test_messages_wait_until_it_is_open(self) -> None:
        _, connection = outgoing()
        assert connection.state == CONNECTING
        assert connection.send(b"one", "k1", FLOW)
        assert connection.send(b"two", "k2", FLOW)
        wire = Wire()
        connection.connection_made(wire)
        assert wire.written == [b"one", b"two"]
        assert connection.backlog == []
        assert list(connection.keys or ()) == ["k1", "k2"]

    def test_the_waiting_messages_are_bounded(self) -> None:
        keeper, connection = outgoing()
        taken = [connection.send(b"x", str(number), FLOW) for number in range(keeper.limits.waiting_messages + 1)]
        assert taken == [True] * keeper.limits.waiting_messages + [False]

    def test_one_that_was_given_up_does_not_open_any_more(self) -> None:
        _, connection = outgoing()
        connection.send(b"one", "k1", FLOW)
        connection.abort("no connection in time")
        wire = Wire()
        connection.connection_made(wire)
        assert wire.written == []
        assert wire.events == ["abort"]
        assert [key for _, key, _ in connection.backlog] == ["k1"]
        assert connection.reason == "no connection in time"


class TestDeadlines:
    def test_a_silent_peer(self) -> None:
        keeper, connection, wire = accepted()
        keeper.clock.advance(29.9)
        keeper.feed(connection, b"\r\n\r\n")
        assert wire.events == []
        keeper.clock.advance(0.1)
        assert wire.events == ["abort"]
        assert connection.reason == "no message came"
        assert keeper.counters.closed_silent == 1

    def test_a_message_that_comes_drop_by_drop(self) -> None:
        keeper, connection, wire = accepted()
        data = message()
        keeper.feed(connection, data)
        keeper.clock.advance(100)
        for at in range(10):
            keeper.feed(connection, data[at : at + 1])
            assert wire.events == []
            keeper.clock.advance(1)
        assert wire.events == ["abort"]
        assert keeper.counters.closed_half_sent == 1
        assert keeper.held == 0

    def test_the_time_of_a_message_starts_with_its_first_octet(self) -> None:
        keeper, connection, wire = accepted()
        data = message(b"x" * 100)
        stream = data * 20
        step = len(data) - 3
        # There is a rest all the time, but never the same for long.
        for at in range(0, len(stream), step):
            keeper.feed(connection, stream[at : at + step])
            keeper.clock.advance(9)
        assert wire.events == []
        assert len(keeper.messages) == 20

    def test_an_idle_peer(self) -> None:
        keeper, connection, wire = accepted()
        keeper.feed(connection, message())
        keeper.clock.advance(959)
        keeper.feed(connection, b"\r\n\r\n")
        keeper.clock.advance(959)
        assert wire.events == []
        keeper.clock.advance(1)
        assert wire.events == ["eof"]
        assert (connection.state, connection.reason) == (FINISHING, "idle")
        assert keeper.counters.closed_idle == 1
        keeper.clock.advance(2)
        assert wire.events == ["eof", "abort"]

    def test_what_is_sent_keeps_it_open_too(self) -> None:
        keeper, connection, wire = accepted()
        keeper.feed(connection, message())
        keeper.clock.advance(900)
        assert connection.send(message(), "", FLOW)
        keeper.clock.advance(900)
        assert connection.send(message(), "", FLOW)
        keeper.clock.advance(900)
        assert wire.events == []
        # 960 seconds after the deadline that found the last one, at 1920.
        keeper.clock.advance(180)
        assert wire.events == ["eof"]

    def test_a_pong_in_time(self) -> None:
        keeper, connection, wire = accepted()
        keeper.feed(connection, message())
        connection.ping()
        assert wire.written == [b"\r\n\r\n"]
        keeper.clock.advance(9.9)
        keeper.feed(connection, b"\r\n")
        keeper.clock.advance(100)
        assert wire.events == []
        # A second ping is answered by a second single CRLF, which is no ping of the peer's.
        connection.ping()
        keeper.feed(connection, b"\r\n")
        assert wire.written == [b"\r\n\r\n", b"\r\n\r\n"]

    def test_no_pong(self) -> None:
        keeper, connection, wire = accepted()
        keeper.feed(connection, message())
        connection.ping()
        keeper.clock.advance(5)
        connection.ping()
        # RFC 5626 4.4.1: ten seconds from the ping that was not answered, whatever else comes.
        keeper.feed(connection, message())
        keeper.clock.advance(4.9)
        assert wire.events == []
        keeper.clock.advance(0.1)
        assert wire.events == ["abort"]
        assert keeper.counters.closed_no_pong == 1


class TestQueue:
    def test_a_peer_that_does_not_read(self) -> None:
        keeper, connection, wire = accepted()
        assert connection.send(b"x", "k", FLOW)
        wire.queue = 40000
        connection.pause_writing()
        assert keeper.held == 40000
        wire.queue = keeper.limits.largest_queue
        assert connection.send(b"x", "k", FLOW)
        assert keeper.held == keeper.limits.largest_queue
        wire.queue += 1
        assert not connection.send(b"x", "k", FLOW)
        assert wire.events == ["abort"]
        assert keeper.held == 0
        assert keeper.counters.closed_slow == 1
        assert connection.reason == "the peer does not read what it is sent"

    def test_a_peer_that_catches_up(self) -> None:
        keeper, connection, wire = accepted()
        wire.queue = 40000
        connection.pause_writing()
        wire.queue = 10
        connection.resume_writing()
        assert keeper.held == 0
        assert wire.events == []

    def test_much_at_once_is_looked_at_although_nobody_said_pause(self) -> None:
        keeper, connection, wire = accepted()
        wire.queue = keeper.limits.largest_queue + 1
        assert connection.send(b"x" * 32768, "", FLOW)
        assert not connection.send(b"x", "", FLOW)

    def test_what_has_not_come_whole_is_counted(self) -> None:
        keeper, connection, _ = accepted()
        data = message(b"x" * 50)
        keeper.feed(connection, data + data[:99])
        assert keeper.held == 99
        keeper.feed(connection, data[99:])
        assert keeper.held == 0

    def test_only_the_last_keys_are_kept(self) -> None:
        _, connection, _ = accepted()
        for number in range(1000):
            connection.send(b"x", str(number), FLOW)
        connection.send(b"x", "", FLOW)
        assert list(connection.keys or ()) == [str(number) for number in range(872, 1000)]


class TestEnd:
    def test_finishing_waits_for_the_peer(self) -> None:
        keeper, connection, wire = accepted()
        connection.finish("enough")
        assert wire.events == ["eof"]
        assert keeper.told == ["opened", "leaving"]
        keeper.feed(connection, message())
        assert keeper.messages == []
        assert not connection.send(b"x", "", FLOW)
        assert connection.eof_received() is False
        connection.connection_lost(None)
        assert keeper.told == ["opened", "leaving", "lost"]
        assert (connection.state, connection.reason) == (CLOSED, "enough")
        assert keeper.clock.pending() == [] or not any(keeper.deadlines.waits(queue, connection) for queue in range(8))

    def test_a_peer_that_closes_but_never_reads_is_cut_off(self) -> None:
        keeper, connection, wire = accepted()
        connection.eof_received()
        keeper.clock.advance(2)
        assert wire.events == ["abort"]
        assert connection.reason == "closed by the peer"

    def test_nothing_is_sent_once_the_wire_is_closing(self) -> None:
        _, connection, wire = accepted()
        wire.closing = True
        assert not connection.send(b"x", "", FLOW)
        assert wire.written == []

    def test_an_error_of_the_wire_is_the_reason(self) -> None:
        keeper, connection, _ = accepted()
        connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
        assert connection.reason == "[Errno 104] Connection reset by peer"
        assert keeper.told == ["opened", "leaving", "lost"]

    def test_messages_behind_one_that_ended_it_are_not_read(self) -> None:
        keeper, connection, _ = accepted()
        deliver = keeper.message

        def deliver_and_end(ended: Connection, data: bytes) -> None:
            deliver(ended, data)
            ended.finish("enough")

        keeper.message = deliver_and_end  # type: ignore[method-assign]
        keeper.feed(connection, message() + message())
        assert len(keeper.messages) == 1

    @pytest.mark.parametrize("held", [b"OPTIONS sip:a", b"\r"])
    def test_the_end_gives_back_what_was_held(self, held: bytes) -> None:
        keeper, connection, _ = accepted()
        keeper.feed(connection, held)
        assert keeper.held == len(held)
        connection.connection_lost(None)
        assert keeper.held == 0
