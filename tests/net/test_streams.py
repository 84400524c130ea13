"""Which connection a message takes, who may connect, and what remains when it is over."""

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ringback.errors import ConfigurationError
from ringback.net.limits import StreamLimits
from ringback.net.streams import Connections
from ringback.sip.transport import Flow
from tests.net.stream_kit import HandClock, connections, ended, exactly, message, settled


class Peer:
    """A plain TCP server: what connects to it, and what came."""

    def __init__(self) -> None:
        self.ends: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.port = 0

    def flow(self, name: str = "") -> Flow:
        return Flow("TCP", "", "127.0.0.1", self.port, 0, name)


@asynccontextmanager
async def tcp_peer() -> AsyncIterator[Peer]:
    peer = Peer()
    server = await asyncio.start_server(lambda *ends: peer.ends.append(ends), "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for _, writer in peer.ends:
            writer.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class TestReuse:
    async def test_one_connection_for_all_messages_to_a_peer(self) -> None:
        async with connections() as (streams, upward), tcp_peer() as peer:
            for number in range(5):
                assert streams.send(message(b"", str(number)), peer.flow(), str(number))
            await settled(lambda: peer.ends)
            reader, writer = peer.ends[0]
            await exactly(reader, b"".join(message(b"", str(number)) for number in range(5)))
            assert streams.send(message(b"", "5"), peer.flow())
            await exactly(reader, message(b"", "5"))
            assert len(peer.ends) == 1
            assert (streams.count, streams.counters.connected, streams.counters.sent) == (1, 1, 6)
            # What the peer sends on it comes with a flow that leads back.
            writer.write(message(b"from the peer"))
            await upward.until(lambda: upward.messages)
            flow = upward.messages[0][1]
            assert (flow.host, flow.port) == ("127.0.0.1", peer.port)
            assert streams.connection_for(flow) is streams.connection_for(peer.flow())

    async def test_without_tls_a_name_makes_no_difference(self) -> None:
        async with connections() as (streams, _), tcp_peer() as peer:
            assert streams.send(message(), peer.flow("one.example"))
            assert streams.send(message(), peer.flow("two.example"))
            await settled(lambda: peer.ends)
            assert streams.count == 1

    async def test_a_new_one_when_the_old_one_is_gone(self) -> None:
        async with connections() as (streams, upward), tcp_peer() as peer:
            assert streams.send(message(), peer.flow())
            await settled(lambda: peer.ends)
            await exactly(peer.ends[0][0], message())
            peer.ends[0][1].close()
            await upward.until(lambda: upward.closed)
            assert streams.send(message(b"again"), peer.flow())
            await settled(lambda: len(peer.ends) == 2)
            await exactly(peer.ends[1][0], message(b"again"))

    async def test_an_accepted_connection_is_found_by_where_it_came_from(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message())
            await upward.until(lambda: upward.messages)
            source = writer.get_extra_info("sockname")[1]
            assert streams.send(b"to you", Flow("TCP", "", "127.0.0.1", source))
            await exactly(reader, b"to you")
            writer.close()

    async def test_a_number_is_that_connection_and_no_other(self) -> None:
        async with connections(first_number=1) as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            writers = []
            for _ in range(2):
                _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
                writer.write(message())
                writers.append(writer)
            await upward.until(lambda: len(upward.messages) == 2)
            one, two = (flow for _, flow in upward.messages)
            assert not streams.send(b"x", Flow("TCP", one.local, one.host, one.port, two.connection))
            assert not streams.send(b"x", Flow("WS", one.local, one.host, one.port, one.connection))
            assert not streams.send(b"x", Flow("TCP", one.local, one.host, one.port, 999))
            assert streams.send(b"x", Flow("TCP", "", one.host, one.port, one.connection))
            writers[0].close()
            await upward.until(lambda: upward.closed)
            gone = upward.closed[0]
            # The peer listens where it came from, but that connection was meant and no other.
            assert not streams.send(b"x", gone)
            writers[1].close()

    async def test_numbers_go_on_from_the_clock(self) -> None:
        async with connections() as (first, _), connections() as (second, _):
            assert 0 <= second._next_number - first._next_number < 60000
            assert first._next_number > 1_700_000_000_000

    async def test_an_alias_needs_a_proved_name(self) -> None:
        """RFC 5923 9.2; with TLS see test_tls."""
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message())
            await upward.until(lambda: upward.messages)
            flow = upward.messages[0][1]
            assert streams.identities(flow) == ()
            assert not streams.alias(flow, 5061)
            assert streams.connection_for(Flow("TCP", "", "127.0.0.1", 5061)) is None
            writer.close()


class TestFailure:
    async def test_nobody_listens(self) -> None:
        async with connections() as (streams, upward):
            flow = Flow("TCP", "", "127.0.0.1", free_port())
            assert streams.send(message(), flow, "one")
            assert streams.send(message(), flow, "two")
            await upward.until(lambda: len(upward.failed) == 2)
            assert [key for key, _, _ in upward.failed] == ["one", "two"]
            assert upward.failed[0][1] is flow
            assert upward.failed[0][2] == "can not connect: Connection refused"
            assert upward.closed == []
            assert (streams.count, streams.counters.connect_failed) == (0, 1)

    async def test_an_address_that_is_not_ours(self) -> None:
        async with connections() as (streams, upward), tcp_peer() as peer:
            flow = Flow("TCP", "tcp:192.0.2.1:5060", "127.0.0.1", peer.port)
            assert streams.send(message(), flow, "one")
            await upward.until(lambda: upward.failed)
            assert peer.ends == []

    async def test_the_address_that_was_chosen_is_used(self) -> None:
        async with connections() as (streams, _), tcp_peer() as peer:
            flow = Flow("TCP", "tcp:127.0.0.5:5060", "127.0.0.1", peer.port)
            assert streams.send(message(), flow)
            await settled(lambda: peer.ends)
            assert peer.ends[0][1].get_extra_info("peername")[0] == "127.0.0.5"

    async def test_a_peer_that_does_not_answer_the_handshake(self) -> None:
        """A full backlog drops what would open a connection; only time tells."""
        clock = HandClock()
        deaf = socket.socket()
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
            fillers.append(filler)
        async with connections(clock=clock.time, call_later=clock.call_later) as (streams, upward):
            flow = Flow("TCP", "", *deaf.getsockname())
            assert streams.send(message(), flow, "one")
            await asyncio.sleep(0)
            clock.advance(9.9)
            assert upward.failed == []
            clock.advance(0.1)
            await upward.until(lambda: upward.failed)
            assert upward.failed == [("one", flow, "no connection in time")]
            assert not streams._tasks
        for sock in (*fillers, deaf):
            sock.close()

    async def test_more_than_may_wait_for_a_connection(self) -> None:
        async with connections(limits=StreamLimits(waiting_messages=3)) as (streams, upward):
            flow = Flow("TCP", "", "127.0.0.1", free_port())
            assert [streams.send(message(), flow, str(number)) for number in range(5)] == [True] * 3 + [False] * 2
            await upward.until(lambda: len(upward.failed) == 3)

    async def test_what_cannot_be_opened_is_refused_at_once(self) -> None:
        async with connections() as (streams, _):
            # RFC 7118: nobody can connect to a browser. There is no client's TLS here either.
            for transport in ("WS", "WSS", "TLS", "UDP", "SCTP"):
                assert not streams.send(message(), Flow(transport, "", "127.0.0.1", 5060, 0, "example.org"), "key")
            assert streams.count == 0

    async def test_requests_on_a_connection_that_breaks(self) -> None:
        async with connections() as (streams, upward), tcp_peer() as peer:
            assert streams.send(message(), peer.flow(), "asked")
            assert streams.send(message(), peer.flow())
            await settled(lambda: peer.ends)
            await exactly(peer.ends[0][0], message() * 2)
            peer.ends[0][1].transport.abort()
            await upward.until(lambda: upward.closed)
            [(key, flow, reason)] = upward.failed
            assert (key, flow.port, reason) == ("asked", peer.port, "closed by the peer")


class TestCaps:
    async def test_half_sent_connections_leave_room_for_others(self) -> None:
        """Acceptance list, attack 9, on a smaller scale."""
        clock = HandClock()
        limits = StreamLimits(connections_per_source=50)
        async with connections(limits=limits, clock=clock.time, call_later=clock.call_later) as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            attackers = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(300)]
            for _, writer in attackers:
                writer.write(b"OPTIONS sip:a@b SIP/2.0\r\nX: ")
            await settled(lambda: streams.counters.accepted + streams.counters.refused_source == 300)
            assert (streams.count, streams.counters.refused_source) == (50, 250)

            upward.answer = lambda data, flow: _is_true(streams.send(b"welcome", flow))
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=("127.0.0.2", 0))
            writer.write(message())
            await exactly(reader, b"welcome")

            await settled(lambda: streams.buffered >= 50 * 28)
            clock.advance(10)
            await settled(lambda: streams.count == 1)
            assert streams.counters.closed_half_sent == 50
            assert streams.buffered == 0
            # The attackers' address is welcome again.
            _, again = await asyncio.open_connection("127.0.0.1", listener.port)
            again.write(message())
            await upward.until(lambda: len(upward.messages) == 2)
            for end in (writer, again, *(ends[1] for ends in attackers)):
                end.close()

    async def test_an_exempt_network(self) -> None:
        limits = StreamLimits(connections_per_source=1, exempt=("127.0.0.0/8",))
        async with connections(limits=limits) as (streams, _):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            ends = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(3)]
            await settled(lambda: streams.count == 3)
            for _, writer in ends:
                writer.close()

    async def test_when_all_places_are_taken_the_oldest_silent_one_goes(self) -> None:
        async with connections(limits=StreamLimits(connections=3)) as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            ends = []
            for number in range(3):
                ends.append(await asyncio.open_connection("127.0.0.1", listener.port))
                await settled(lambda count=number + 1: streams.count == count)  # type: ignore[misc]
            # The first two are silent, the third is known.
            ends[2][1].write(message())
            await upward.until(lambda: upward.messages)
            for silent in range(2):
                ends.append(await asyncio.open_connection("127.0.0.1", listener.port))
                assert await ended(ends[silent][0]) in (b"", b"<reset>")
                ends[-1][1].write(message())
                await upward.until(lambda count=silent + 2: len(upward.messages) == count)  # type: ignore[misc]
            assert (streams.count, streams.counters.evicted) == (3, 2)
            # Now all are known: who comes next is refused, here and there.
            refused = await asyncio.open_connection("127.0.0.1", listener.port)
            assert await ended(refused[0]) in (b"", b"<reset>")
            assert not streams.send(message(), Flow("TCP", "", "127.0.0.1", listener.port))
            assert streams.counters.refused_total == 2
            for _, writer in [*ends, refused]:
                writer.close()

    async def test_who_keeps_most_goes_when_all_keep_too_much(self) -> None:
        async with connections(limits=StreamLimits(buffered=3000)) as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            greedy = await asyncio.open_connection("127.0.0.1", listener.port)
            modest = await asyncio.open_connection("127.0.0.1", listener.port)
            half = message(b"x" * 5000)
            greedy[1].write(half[:2900])
            await settled(lambda: streams.buffered == 2900)
            modest[1].write(half[:200])
            assert await ended(greedy[0]) in (b"", b"<reset>")
            modest[1].write(half[200:])
            await upward.until(lambda: upward.messages)
            assert streams.counters.closed_buffers == 1
            greedy[1].close()
            modest[1].close()


def _is_true(value: bool) -> None:
    assert value


async def test_a_slow_reader_is_closed_and_others_are_not_held_up() -> None:
    """Acceptance list, fault 16."""
    async with connections(limits=StreamLimits(largest_queue=200000)) as (streams, upward):
        listener = await streams.listen("TCP", "127.0.0.1", 0)
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(slow, ("127.0.0.1", listener.port))
        await loop.sock_sendall(slow, message(b"slow"))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(message(b"quick"))
        await upward.until(lambda: len(upward.messages) == 2)
        flows = dict(upward.messages)
        event = message(b"x" * 10000)
        sent = 0
        while streams.send(event, flows[message(b"slow")]):
            sent += 1
            assert streams.buffered <= 200000
            assert streams.send(message(b"in between"), flows[message(b"quick")])
            await exactly(reader, message(b"in between"))
        assert sent > 20
        assert streams.counters.closed_slow == 1
        await upward.until(lambda: upward.closed)
        assert upward.closed[0].key() == flows[message(b"slow")].key()
        assert (streams.count, streams.buffered) == (1, 0)
        slow.close()
        writer.close()


async def test_bursts_that_end_in_a_reset_leave_nothing() -> None:
    """Acceptance list, attack 12, on a smaller scale."""
    async with connections() as (streams, upward):
        listener = await streams.listen("TCP", "127.0.0.1", 0)
        files = len(os.listdir("/proc/self/fd"))
        upward.answer = lambda data, flow: _sends(streams, flow)
        for _ in range(100):
            burst = socket.create_connection(("127.0.0.1", listener.port))
            burst.sendall(message() * 20)
            # No lingering: the kernel answers with a reset.
            burst.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            burst.close()
        # The kernel hands connections over in their order: when this one is there, all others were.
        _, last = await asyncio.open_connection("127.0.0.1", listener.port)
        last.write(message(b"last"))
        await upward.until(lambda: upward.bodies[-1:] == [message(b"last")])
        last.close()
        await settled(lambda: streams.count == 0)
        assert streams.counters.accepted > 1
        assert len(os.listdir("/proc/self/fd")) == files
        assert len(asyncio.all_tasks()) == 1
        assert (len(streams._by_peer), streams.buffered) == (0, 0)


def _sends(streams: Connections, flow: Flow) -> None:
    streams.send(message(b"answer"), flow, "key")


class TestEnd:
    async def test_what_is_queued_leaves_first(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message())
            await upward.until(lambda: upward.messages)
            last = message(b"x" * 900000)
            assert streams.send(last, upward.messages[0][1])
            closing = asyncio.create_task(streams.close(drain=5))
            await exactly(reader, last)
            assert await ended(reader) == b""
            writer.close()
            await closing
            assert len(upward.closed) == 1
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", listener.port)

    async def test_a_peer_that_stays_is_cut_off(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message())
            await upward.until(lambda: upward.messages)
            writer.transport.pause_reading()
            await streams.close(drain=0.05)
            assert streams.count == 0
            writer.close()

    async def test_what_waits_for_a_connection_comes_back(self) -> None:
        async with connections() as (streams, upward):
            flow = Flow("TCP", "", "127.0.0.1", free_port())
            assert streams.send(message(), flow, "waiting")
            await streams.close()
            assert upward.failed == [("waiting", flow, "shutting down")]
            assert not streams.send(message(), flow, "later")

    async def test_listening_stops_alone(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message())
            await upward.until(lambda: upward.messages)
            streams.stop_listening()
            assert streams.listeners == ()
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", listener.port)
            assert streams.send(b"still here", upward.messages[0][1])
            await exactly(reader, b"still here")
            writer.close()

    async def test_one_connection_is_ended_on_request(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message())
            await upward.until(lambda: upward.messages)
            flow = upward.messages[0][1]
            assert streams.send(b"goodbye", flow)
            streams.disconnect(flow)
            streams.disconnect(flow)
            assert await ended(reader) == b"goodbye"
            writer.close()
            await upward.until(lambda: upward.closed)


class TestListening:
    async def test_what_cannot_be_is_said(self) -> None:
        async with connections() as (streams, _):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            for transport, host, port, words in (
                ("UDP", "127.0.0.1", 0, "no stream transport"),
                ("TLS", "127.0.0.1", 0, "needs TLS"),
                ("TCP", "127.0.0.1", listener.port, f"can not listen at 127.0.0.1:{listener.port}: "),
                ("TCP", "192.0.2.1", 5060, "can not listen at 192.0.2.1:5060: "),
            ):
                with pytest.raises(ConfigurationError, match=words):
                    await streams.listen(transport, host, port)
            with pytest.raises(ConfigurationError, match="no network"):
                Connections(
                    on_message=lambda data, flow: None,
                    on_closed=lambda flow: None,
                    on_failed=lambda key, flow, reason: None,
                    on_malformed=lambda head, flow, error: None,
                    limits=StreamLimits(exempt=("no network",)),
                )

    async def test_a_socket_that_was_handed_over(self) -> None:
        with socket.socket() as handed:
            handed.bind(("127.0.0.1", 0))
            async with connections() as (streams, upward):
                listener = await streams.listen("TCP", "", 0, sock=handed)
                assert (listener.host, listener.port) == handed.getsockname()
                _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
                writer.write(message())
                await upward.until(lambda: upward.messages)
                writer.close()

    async def test_a_port_for_several_processes(self) -> None:
        async with connections() as (one, _), connections() as (two, _):
            listener = await one.listen("TCP", "127.0.0.1", 0, reuse_port=True)
            assert (await two.listen("TCP", "127.0.0.1", listener.port, reuse_port=True)).port == listener.port

    async def test_outgoing_connections_count_to_a_listener(self) -> None:
        async with connections() as (streams, upward), tcp_peer() as peer:
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            assert streams.send(message(), peer.flow())
            await settled(lambda: peer.ends)
            peer.ends[0][1].write(message())
            await upward.until(lambda: upward.messages)
            assert upward.messages[0][1].local == listener.id
