"""SIP over TCP on the loopback interface."""

import asyncio

import pytest

from ringback.errors import ParseError
from ringback.net.limits import StreamLimits
from ringback.sip.transport import Flow
from tests.net.stream_kit import HandClock, connections, ended, exactly, message, settled


async def test_a_message_and_its_answer_on_the_same_connection() -> None:
    async with connections(first_number=100) as (streams, upward):
        listener = await streams.listen("TCP", "127.0.0.1", 0)
        assert listener.id == f"tcp:127.0.0.1:{listener.port}"
        upward.answer = lambda data, flow: _is_true(streams.send(b"answer to " + data, flow))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(message(b"hello"))
        await exactly(reader, b"answer to " + message(b"hello"))
        [(data, flow)] = upward.messages
        assert data == message(b"hello")
        port = writer.get_extra_info("sockname")[1]
        assert flow.key() == ("TCP", "127.0.0.1", port, 100, "")
        assert flow.local == listener.id
        writer.close()
        await upward.until(lambda: upward.closed)
        assert upward.closed[0].key() == flow.key()
        assert not streams.send(b"too late", flow)
        assert upward.failed == []


def _is_true(value: bool) -> None:
    assert value


async def test_ipv6() -> None:
    async with connections() as (streams, upward):
        listener = await streams.listen("TCP", "::1", 0)
        assert listener.id == f"tcp:[::1]:{listener.port}"
        _, writer = await asyncio.open_connection("::1", listener.port)
        writer.write(message())
        await upward.until(lambda: upward.messages)
        assert upward.messages[0][1].host == "::1"
        writer.close()


async def test_pieces_and_several_at_once() -> None:
    async with connections() as (streams, upward):
        listener = await streams.listen("TCP", "127.0.0.1", 0)
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        stream = b"".join(message(b"x" * size, str(size)) for size in range(0, 3000, 100))
        # More than is read at once, cut anywhere.
        for at in range(0, len(stream), 7001):
            writer.write(stream[at : at + 7001])
            await writer.drain()
        await upward.until(lambda: len(upward.messages) == 30)
        assert b"".join(upward.bodies) == stream
        writer.close()


async def test_a_message_of_the_largest_size() -> None:
    async with connections() as (streams, upward):
        listener = await streams.listen("TCP", "127.0.0.1", 0)
        upward.answer = lambda data, flow: _is_true(streams.send(data, flow))
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        head = len(message(b"x" * 1000000)) - 1000000
        large = message(b"x" * (1048576 - head))
        assert len(large) == 1048576
        writer.write(large)
        await exactly(reader, large)
        writer.close()


async def test_keep_alives_are_answered() -> None:
    async with connections() as (streams, _):
        listener = await streams.listen("TCP", "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"\r\n\r\n")
        await exactly(reader, b"\r\n")
        writer.write(message() + b"\r\n\r\n\r\n\r\n")
        await exactly(reader, b"\r\n\r\n")
        assert streams.counters.pings == 3
        writer.close()


async def test_our_own_keep_alive() -> None:
    """RFC 5626 4.4.1, the client's side: a double CRLF goes out, a single one comes back, and none ends the flow."""
    clock = HandClock()
    async with connections(clock=clock.time, call_later=clock.call_later) as (streams, upward):
        peer: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        server = await asyncio.start_server(lambda *ends: peer.append(ends), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        flow = Flow("TCP", "", "127.0.0.1", port)
        assert not streams.ping(flow)
        assert streams.send(message(), flow)
        await settled(lambda: peer)
        reader, writer = peer[0]
        await exactly(reader, message())
        assert streams.ping(flow)
        await exactly(reader, b"\r\n\r\n")
        writer.write(b"\r\n" + message(b"after"))
        await upward.until(lambda: upward.messages)
        clock.advance(60)
        assert upward.closed == []
        assert streams.ping(flow)
        clock.advance(10)
        await upward.until(lambda: upward.closed)
        assert upward.closed[0].port == port
        writer.close()
        server.close()


class TestMalformed:
    """Acceptance list, attack 5: 400, the connection ends, and no second message comes out of it."""

    @pytest.mark.parametrize(
        "data",
        [
            message().replace(b"Content-Length: 0\r\n", b""),
            message().replace(b"Content-Length: 0", b"Content-Length: -1"),
            message().replace(b"Content-Length: 0", b"Content-Length: 18446744073709551617"),
            message().replace(b"Content-Length: 0", b"Content-Length: 0\r\nl: 5"),
            message().replace(b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 0"),
            message().replace(b"Content-Length: 0", b"Content-Length: 0\nX: y"),
            message().replace(b"Content-Length: 0", b"Content-Length: none"),
        ],
    )
    async def test_the_answer_arrives_and_the_connection_ends(self, data: bytes) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)

            def answer(head: bytes, flow: Flow, error: ParseError) -> None:
                assert streams.send(f"SIP/2.0 {error.status} {error}".encode(), flow)

            upward.answer_malformed = answer
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            # What follows is on its way already when the answer is sent: it must neither be read nor reset the answer.
            writer.write(data + message(b"smuggled") * 500)
            answered = await ended(reader)
            [(head, _, error)] = upward.malformed
            assert answered == f"SIP/2.0 400 {error}".encode()
            assert head == data
            assert upward.messages == []
            assert streams.counters.closed_malformed == 1
            writer.close()

    async def test_too_large_a_message(self) -> None:
        async with connections(limits=StreamLimits(largest_message=2000)) as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(message(b"x" * 2000))
            assert await ended(reader) == b""
            assert upward.malformed[0][2].status == 413
            writer.close()

    async def test_another_protocol(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("TCP", "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(b"\x16\x03\x01\x02\x00\x01\x00")
            assert await ended(reader) == b""
            assert len(upward.malformed) == 1
            writer.close()


async def test_half_sent_messages_end_after_their_time() -> None:
    clock = HandClock()
    async with connections(clock=clock.time, call_later=clock.call_later) as (streams, upward):
        listener = await streams.listen("TCP", "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(message()[:-1])
        await settled(lambda: streams.buffered)
        clock.advance(9)
        assert streams.count == 1
        writer.write(message()[-1:] + message()[:20])
        await upward.until(lambda: upward.messages)
        clock.advance(9)
        assert streams.count == 1
        clock.advance(1)
        assert await ended(reader) in (b"", b"<reset>")
        assert streams.counters.closed_half_sent == 1
        writer.close()


async def test_a_handler_that_fails_costs_only_its_message(caplog: pytest.LogCaptureFixture) -> None:
    problems: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    async with connections() as (streams, upward):
        listener = await streams.listen("TCP", "127.0.0.1", 0)

        def fail(data: bytes, flow: Flow) -> None:
            if data == message(b"bad"):
                raise ValueError("bad")

        upward.answer = fail
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(message(b"bad") + message(b"good"))
        await upward.until(lambda: len(upward.messages) == 2)
        assert [str(problem["exception"]) for problem in problems] == ["bad"]
        assert streams.count == 1
        writer.close()
