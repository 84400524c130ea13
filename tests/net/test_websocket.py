"""SIP over WebSocket (RFC 7118): the library's client where it behaves, raw octets where it must not."""

import asyncio
import ssl
import struct
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.typing import Origin, Subprotocol

from ringback.net.limits import StreamLimits
from ringback.net.tls import ServerTls
from ringback.sip.transport import Flow
from tests.net.stream_kit import (
    PATIENCE,
    Authority,
    HandClock,
    connections,
    dns,
    ended,
    exactly,
    message,
    settled,
    sip,
    trusting,
)

SIP = [Subprotocol("sip")]

# The handshake of RFC 7118 4.1, and the key of the answer to it.
GREETING = (
    b"GET / HTTP/1.1\r\nHost: sip-ws.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://www.example.com\r\n"
    b"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def frame(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """A frame as a client sends it, masked."""
    return Frame(Opcode(opcode), data, fin).serialize(mask=True)


def close_code(data: bytes) -> int:
    """The code in the Close frame at the end of `data` (sent by a server, so not masked)."""
    at = data.rindex(b"\x88")
    assert data[at + 1] == len(data) - at - 2
    return int(struct.unpack_from("!H", data, at + 2)[0])


async def greeted(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A raw connection after its handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GREETING)
    async with asyncio.timeout(PATIENCE):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


async def refused(port: int, request: bytes) -> bytes:
    """The status line of the answer to a handshake that is refused, after the server has closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await ended(reader)
    writer.close()
    return answer.partition(b"\r\n")[0]


async def received(client: ClientConnection) -> str | bytes:
    async with asyncio.timeout(PATIENCE):
        return await client.recv()


class TestHandshake:
    async def test_as_in_the_rfc(self) -> None:
        async with connections() as (streams, _):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            assert listener.id == f"ws:127.0.0.1:{listener.port}"
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            # Octet by octet, as a slow network may deliver it.
            for octet in GREETING:
                writer.write(bytes([octet]))
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
            assert b"Sec-WebSocket-Accept: " + ACCEPT in lines
            assert b"Sec-WebSocket-Protocol: sip" in lines
            assert not any(line.lower().startswith(b"sec-websocket-extensions") for line in lines)
            writer.close()

    @pytest.mark.parametrize(
        ("change", "answer"),
        [
            ((b"Sec-WebSocket-Protocol: sip\r\n", b""), b"HTTP/1.1 400 Bad Request"),
            ((b"Protocol: sip", b"Protocol: xmpp, mqtt"), b"HTTP/1.1 400 Bad Request"),
            ((b"Version: 13", b"Version: 8"), b"HTTP/1.1 400 Bad Request"),
            ((b"Upgrade: websocket\r\n", b""), b"HTTP/1.1 426 Upgrade Required"),
            ((b"GET /", b"POST /"), b"HTTP/1.1 405 Method Not Allowed"),
            ((b"Host: ", b"X: " + b"y" * 9000 + b"\r\nHost: "), b"HTTP/1.1 431 Request Header Fields Too Large"),
            ((b"Host: ", b"X: y\r\n" * 200 + b"Host: "), b"HTTP/1.1 431 Request Header Fields Too Large"),
            ((b"GET / HTTP/1.1", b"OPTIONS sip:a@b SIP/2.0"), b""),
        ],
    )
    async def test_what_is_refused(self, change: tuple[bytes, bytes], answer: bytes) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            assert await refused(listener.port, GREETING.replace(*change) + frame(1, message())) == answer
            assert streams.counters.handshake_failed == 1
            assert (upward.messages, upward.closed) == ([], [])

    async def test_a_message_right_behind_the_handshake(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(GREETING + frame(1, message()))
            await upward.until(lambda: upward.messages)
            await exactly(reader, b"HTTP/1.1 101")
            writer.close()

    async def test_a_refused_handshake_with_anything_behind_it(self) -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            request = GREETING.replace(b"Protocol: sip", b"Protocol: xmpp")
            for behind in (frame(1, message()), frame(9, b""), b"\xff" * 100, GREETING):
                assert await refused(listener.port, request + behind) == b"HTTP/1.1 400 Bad Request"
            assert (upward.messages, problems) == ([], [])

    async def test_a_handshake_without_end(self) -> None:
        async with connections() as (streams, _):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            start = GREETING[:-2] + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 500) for number in range(60))
            assert await refused(listener.port, start) == b""
            assert (streams.counters.handshake_failed, streams.buffered) == (1, 0)

    async def test_a_foreign_origin(self) -> None:
        """Acceptance list, attack 10."""
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0, origins=["https://phone.example.org"])
            url = f"ws://127.0.0.1:{listener.port}"
            for origin in ("https://evil.example", "https://phone.example.org.evil.example", "null"):
                with pytest.raises(InvalidStatus) as caught:
                    await connect(url, subprotocols=SIP, origin=Origin(origin))
                assert caught.value.response.status_code == 403
            async with connect(url, subprotocols=SIP, origin=Origin("https://phone.example.org")) as client:
                await client.send(message().decode())
                await upward.until(lambda: upward.messages)
            # What is no browser sends none.
            async with connect(url, subprotocols=SIP) as client:
                await client.send(message().decode())
                await upward.until(lambda: len(upward.messages) == 2)

    async def test_half_handshakes_end_after_their_time(self) -> None:
        clock = HandClock()
        limits = StreamLimits(connections_per_source=20)
        async with connections(limits=limits, clock=clock.time, call_later=clock.call_later) as (streams, _):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            attackers = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(50)]
            for _, writer in attackers:
                writer.write(GREETING[:-2])
            await settled(lambda: streams.count == 20 and streams.counters.refused_source == 30)
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, local_addr=("127.0.0.2", 0))
            writer.write(GREETING)
            await exactly(reader, b"HTTP/1.1 101")
            clock.advance(10)
            await settled(lambda: streams.count == 1)
            assert streams.counters.handshake_failed == 20
            for end in (writer, *(ends[1] for ends in attackers)):
                end.close()


class TestMessages:
    async def test_text_and_binary(self) -> None:
        """RFC 7118 4.2: "SIP WebSocket Servers MUST accept both text and binary frames"."""
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            upward.answer = lambda data, flow: _is_true(streams.send(data, flow))
            async with connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP) as client:
                await client.send(message("grüße".encode()).decode())
                assert await received(client) == message("grüße".encode()).decode()
                # "If there is at least one non-UTF-8 symbol in the whole SIP message (including headers and the body),
                # then the whole message MUST be sent within a WebSocket binary message."
                await client.send(message(b"\xff\x00"))
                assert await received(client) == message(b"\xff\x00")
                await client.send(message(b"plain"))
                assert await received(client) == message(b"plain").decode()
                flow = upward.messages[0][1]
                port = client.local_address[1]
                assert (flow.transport, flow.host, flow.port, flow.local) == ("WS", "127.0.0.1", port, listener.id)
            await upward.until(lambda: upward.closed)
            assert not streams.send(message(), flow)

    async def test_content_length_is_not_needed(self) -> None:
        """RFC 7118 5: "the use of the Content-Length header in SIP messages is not necessary"."""
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            data = message().replace(b"Content-Length: 0\r\n", b"")
            async with connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP) as client:
                await client.send(data)
                await upward.until(lambda: upward.messages)
                assert upward.bodies == [data]

    async def test_fragments_with_a_ping_between(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            reader, writer = await greeted(listener.port)
            data = message("grüße".encode())
            cut = data.index("ü".encode()) + 1
            writer.write(frame(1, data[:cut], fin=False) + frame(9, b"there?") + frame(0, data[cut:]))
            await exactly(reader, b"\x8a\x06there?")
            await upward.until(lambda: upward.messages)
            assert upward.bodies == [data]
            writer.close()

    async def test_the_largest_message(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            upward.answer = lambda data, flow: _is_true(streams.send(data, flow))
            large = message(b"x" * 1048000)
            async with connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP, max_size=None) as client:
                await client.send(large)
                assert await received(client) == large.decode()

    async def test_a_connection_is_found_by_where_it_came_from(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            async with connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP) as client:
                await client.send(message())
                await upward.until(lambda: upward.messages)
                assert streams.send(message(b"hi"), Flow("WS", "", "127.0.0.1", client.local_address[1]))
                assert await received(client) == message(b"hi").decode()

    async def test_wss(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        tls = ServerTls(*authority.issue("server", sip("example.org"), dns("localhost")))
        async with connections() as (streams, upward):
            listener = await streams.listen("WSS", "127.0.0.1", 0, tls=tls)
            upward.answer = lambda data, flow: _is_true(streams.send(data, flow))
            url = f"wss://127.0.0.1:{listener.port}"
            async with connect(url, subprotocols=SIP, ssl=trusting(authority), server_hostname="localhost") as client:
                await client.send(message())
                assert await received(client) == message().decode()
                assert upward.messages[0][1].transport == "WSS"
            await upward.until(lambda: upward.closed)
            with pytest.raises(ssl.SSLError):
                await connect(url, subprotocols=SIP, ssl=ssl.create_default_context(), server_hostname="localhost")


def _is_true(value: bool) -> None:
    assert value


class TestKeepAlive:
    async def test_crlf_as_in_rfc_5626(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            async with connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP) as client:
                await client.send("\r\n\r\n")
                assert await received(client) == "\r\n"
                await client.send("\r\n")
                await client.send("\r\n\r\n")
                assert await received(client) == "\r\n"
                assert upward.messages == []
                assert streams.counters.pings == 2

    async def test_a_silent_client_is_asked(self) -> None:
        """Acceptance list, fault 15: a client that is gone is found out within two minutes."""
        clock = HandClock()
        async with connections(clock=clock.time, call_later=clock.call_later) as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            reader, writer = await greeted(listener.port)
            writer.write(frame(1, message()))
            await upward.until(lambda: upward.messages)
            for _ in range(60):
                clock.advance(45)
                await exactly(reader, b"\x89\x00")
                clock.advance(9)
                writer.write(frame(10, b""))
                await settled(lambda: streams.deadlines.oldest(PONG_QUEUE) is None)
            assert (upward.closed, streams.count) == ([], 1)
            clock.advance(45)
            await exactly(reader, b"\x89\x00")
            clock.advance(10)
            await upward.until(lambda: upward.closed)
            assert streams.counters.closed_no_pong == 1
            writer.close()

    async def test_asked_for_by_the_application(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            reader, writer = await greeted(listener.port)
            writer.write(frame(1, message()))
            await upward.until(lambda: upward.messages)
            assert streams.ping(upward.messages[0][1])
            await exactly(reader, b"\x89\x00")
            writer.close()


PONG_QUEUE = 6


class TestAttacks:
    """Acceptance list, attack 10: what a client does wrong costs it its connection, and nobody else anything."""

    async def ended_with(self, data: bytes, limits: StreamLimits | None = None) -> int:
        async with connections(limits=limits) as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            bystander = await connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP)
            reader, writer = await greeted(listener.port)
            writer.write(data)
            code = close_code(await ended(reader))
            writer.close()
            await settled(lambda: streams.count == 1)
            assert upward.messages == []
            assert streams.counters.closed_malformed == 1
            assert streams.buffered == 0
            await bystander.send(message())
            await upward.until(lambda: upward.messages)
            await bystander.close()
            return code

    async def test_a_frame_of_2_63_octets(self) -> None:
        for length in (2**63, 2**63 - 1, 2**31, 1048577):
            header = b"\x81\xff" + struct.pack("!Q", length) + b"mask"
            assert await self.ended_with(header + b"x" * 1000) == 1009

    async def test_fragments_that_are_too_much_together(self) -> None:
        many = frame(1, b"x" * 60000, fin=False) + frame(0, b"x" * 60000, fin=False) * 20
        assert await self.ended_with(many) == 1009

    async def test_fragments_without_end(self) -> None:
        tiny = frame(1, b"O", fin=False) + frame(0, b"", fin=False) * 20000
        assert await self.ended_with(tiny) == 1009

    async def test_control_frames_without_end(self) -> None:
        assert await self.ended_with(frame(9, b"") * 10000) == 1008
        assert await self.ended_with(frame(10, b"") * 10000) == 1008
        assert await self.ended_with(frame(1, b"\r\n\r\n") * 10000) == 1008

    async def test_broken_frames(self) -> None:
        assert await self.ended_with(Frame(Opcode.TEXT, message()).serialize(mask=False)) == 1002
        assert await self.ended_with(frame(0, message())) == 1002
        assert await self.ended_with(frame(1, b"O", fin=False) + frame(1, message())) == 1002
        assert await self.ended_with(b"\xc1\x80mask") == 1002
        assert await self.ended_with(b"\x83\x80mask") == 1002

    async def test_text_that_is_no_utf_8(self) -> None:
        assert await self.ended_with(frame(1, message(b"\xff"))) == 1007

    async def test_what_is_no_sip(self) -> None:
        for data in (b"", b"hello", b"\0" * 100, b" " + message()):
            assert await self.ended_with(frame(2, data)) == 1008

    async def test_json_is_left_to_the_parser(self) -> None:
        """What might be a message is for the parser to refuse: here it only has to come as one, unharmed."""
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            async with connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP) as client:
                await client.send("[" * 100000)
                await upward.until(lambda: upward.messages)
                assert upward.bodies == [b"[" * 100000]

    async def test_half_sent_messages_end_after_their_time(self) -> None:
        clock = HandClock()
        async with connections(clock=clock.time, call_later=clock.call_later) as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            whole = frame(1, message(b"x" * 5000))
            for first, second in ((whole[:2000], b""), (frame(1, b"O", fin=False), frame(9, b"")), (whole[:1], b"")):
                closed = streams.counters.closed_half_sent
                reader, writer = await greeted(listener.port)
                writer.write(whole)
                count = len(upward.messages)
                await upward.until(lambda count=count: len(upward.messages) > count)  # type: ignore[misc]
                writer.write(first)
                await settled(lambda: streams.buffered)
                clock.advance(9)
                writer.write(second)
                assert streams.counters.closed_half_sent == closed
                clock.advance(1)
                assert await ended(reader) in (b"", b"<reset>", b"\x8a\x00")
                assert streams.counters.closed_half_sent == closed + 1
                writer.close()
            await settled(lambda: streams.count == 0)
            assert streams.buffered == 0

    async def test_a_slow_reader(self) -> None:
        async with connections(limits=StreamLimits(largest_queue=100000)) as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            _, writer = await greeted(listener.port)
            writer.write(frame(1, message()))
            await upward.until(lambda: upward.messages)
            writer.transport.pause_reading()
            await settled(lambda: not streams.send(message(b"x" * 10000), upward.messages[0][1]))
            assert streams.counters.closed_slow == 1
            await upward.until(lambda: upward.closed)
            writer.transport.abort()


class TestEnd:
    async def test_the_server_says_goodbye(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            async with connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP) as client:
                await client.send(message())
                await upward.until(lambda: upward.messages)
                assert streams.send(message(b"last"), upward.messages[0][1])
                closing = asyncio.create_task(streams.close(drain=5))
                assert await received(client) == message(b"last").decode()
                with pytest.raises(ConnectionClosed):
                    await received(client)
                assert client.close_code == 1001
                await closing

    async def test_the_client_says_goodbye(self) -> None:
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            client = await connect(f"ws://127.0.0.1:{listener.port}", subprotocols=SIP)
            await client.send(message())
            await upward.until(lambda: upward.messages)
            await client.close(4000, "bye")
            assert client.close_code == 4000
            await upward.until(lambda: upward.closed)
            assert streams.counters.closed_malformed == 0

    async def test_a_goodbye_right_behind_a_message(self) -> None:
        problems: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
        async with connections() as (streams, upward):
            listener = await streams.listen("WS", "127.0.0.1", 0)
            sent: list[bool] = []
            upward.answer = lambda data, flow: sent.append(streams.send(data, flow))
            for before in (message(), b"\r\n\r\n"):
                reader, writer = await greeted(listener.port)
                writer.write(frame(1, before) + frame(8, b"\x03\xe8"))
                assert close_code(await ended(reader)) == 1000
                writer.close()
            assert (upward.bodies, sent, problems) == ([message()], [False], [])
