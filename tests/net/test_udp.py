"""UDP sockets on the loopback addresses: what is handed up, what is answered here, and what the kernel refuses."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ringback.net.stun import binding_response
from ringback.net.udp import SOCKET_BUFFER, UdpSocket, bind_udp
from ringback.sip.transport import Flow
from tests.net.stream_kit import PATIENCE, message

BINDING_REQUEST = bytes.fromhex("000100002112a442") + b"transaction!"
BOTH = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


class Upward:
    """Stands where the endpoint stands; `told` is the order of what it was told."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Flow]] = []
        self.told: list[str] = []
        self.act: Callable[[bytes, Flow], None] | None = None
        self._changed = asyncio.Event()

    def datagram(self, data: bytes, flow: Flow) -> None:
        self.received.append((data, flow))
        self.told.append("datagram")
        if self.act is not None:
            self.act(data, flow)

    def turn(self) -> None:
        self.told.append("turn")
        self._changed.set()

    async def until(self, count: int) -> None:
        """Wait until so many datagrams have been handed over."""
        async with asyncio.timeout(PATIENCE):
            while self.told.count("turn") < count:
                self._changed.clear()
                await self._changed.wait()


class Peer:
    """A plain socket at the other end."""

    def __init__(self, host: str, udp: UdpSocket) -> None:
        self.sock = bind_udp(host, 0)
        self.host, self.port = self.sock.getsockname()[:2]
        self.there = udp.sock.getsockname()[:2]

    def send(self, data: bytes) -> None:
        self.sock.sendto(data, self.there)

    async def receive(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().sock_recv(self.sock, 65535)


@asynccontextmanager
async def opened(host: str) -> AsyncIterator[tuple[UdpSocket, Upward, Peer]]:
    """A socket that reads, who it tells, and a peer."""
    loop = asyncio.get_running_loop()
    upward = Upward()
    sock = bind_udp(host, 0)
    udp = UdpSocket(f"udp:{host}", sock, upward)
    udp.start(loop)
    peer = Peer(host, udp)
    try:
        yield udp, upward, peer
    finally:
        peer.sock.close()
        udp.stop(loop)


def counts(udp: UdpSocket) -> tuple[int, int, int]:
    return (udp.received, udp.sent, udp.refused)


@BOTH
async def test_a_datagram_and_its_answer(host: str) -> None:
    async with opened(host) as (udp, upward, peer):
        upward.act = lambda data, flow: is_true(udp.send(b"answer to " + data, flow.host, flow.port))
        peer.send(message(b"hello"))
        assert await peer.receive() == b"answer to " + message(b"hello")
        [(data, flow)] = upward.received
        assert data == message(b"hello")
        assert (flow.transport, flow.local, flow.host, flow.port) == ("UDP", f"udp:{host}", host, peer.port)
        assert (flow.connection, flow.name) == (0, "")
        assert upward.told == ["datagram", "turn"]
        assert counts(udp) == (1, 1, 0)


def is_true(value: bool) -> None:
    assert value


@BOTH
async def test_each_datagram_is_followed_by_a_turn_and_keeps_its_place(host: str) -> None:
    async with opened(host) as (udp, upward, peer):
        for number in range(200):
            peer.send(message(str(number).encode()))
        await upward.until(200)
        assert [data for data, _ in upward.received] == [message(str(number).encode()) for number in range(200)]
        assert upward.told == ["datagram", "turn"] * 200
        assert counts(udp) == (200, 0, 0)


async def test_the_largest_datagram_comes_whole() -> None:
    async with opened("127.0.0.1") as (udp, upward, peer):
        data = b"x" * 65507
        peer.send(data)
        await upward.until(1)
        assert upward.received[0][0] == data
        assert udp.send(data, peer.host, peer.port)
        assert await peer.receive() == data
        # One octet more than IPv4 can carry.
        assert not udp.send(data + b"x", peer.host, peer.port)
        assert counts(udp) == (1, 1, 1)


@pytest.mark.parametrize(
    ("size", "up"),
    [(32, True), (31, False), (1, False)],
)
async def test_what_is_too_short_for_sip_goes_no_further(size: int, up: bool) -> None:
    async with opened("127.0.0.1") as (udp, upward, peer):
        peer.send(b"O" * size)
        peer.send(message())
        await upward.until(2 if up else 1)
        assert [data for data, _ in upward.received] == ([b"O" * size] if up else []) + [message()]
        assert counts(udp) == (2, 0, 0)


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0" * 4, b"\0" * 600, b"\x01" * 40])
async def test_keep_alives_without_an_answer_and_noise(data: bytes) -> None:
    """RFC 5626 4.4.2: over UDP it is STUN that is answered; what others send to hold a mapping open is let pass."""
    async with opened("127.0.0.1") as (udp, upward, peer):
        peer.send(data)
        peer.send(BINDING_REQUEST)
        # The answer to the request that came behind it is the first thing that comes back.
        assert (await peer.receive())[8:20] == b"transaction!"
        assert upward.told == []
        assert counts(udp) == (2, 1, 0)


@BOTH
async def test_stun_is_answered_here(host: str) -> None:
    """RFC 5626 section 8: a STUN server on the SIP port. The answer says where the request came from."""
    async with opened(host) as (udp, upward, peer):
        peer.send(BINDING_REQUEST)
        assert await peer.receive() == binding_response(BINDING_REQUEST, host, peer.port)
        long = BINDING_REQUEST[:2] + (24).to_bytes(2, "big") + BINDING_REQUEST[4:] + b"\x80\x22\x00\x14" + b"agent" * 4
        peer.send(long)
        assert await peer.receive() == binding_response(long, host, peer.port)
        assert upward.told == []
        assert counts(udp) == (2, 2, 0)


@BOTH
async def test_an_icmp_error_ends_nothing(host: str) -> None:
    """Nobody listens there. When the kernel tells of it, it does so at the next read, which is not about us."""
    async with opened(host) as (udp, upward, peer):
        with bind_udp(host, 0) as gone:
            port = gone.getsockname()[1]
        # Only a connected socket is told of ICMP errors.
        udp.sock.connect((host, port))
        assert udp.send(message(), host, port)
        udp.readable()
        assert (upward.told, counts(udp)) == ([], (0, 1, 0))
        assert udp.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        udp.sock.connect((host, peer.port))
        peer.send(message(b"later"))
        await upward.until(1)
        assert upward.received[0][0] == message(b"later")


async def test_a_wake_up_for_nothing() -> None:
    async with opened("127.0.0.1") as (udp, upward, _):
        udp.readable()
        assert (upward.told, udp.received) == ([], 0)


@pytest.mark.parametrize(
    ("host", "to", "port"),
    [
        ("127.0.0.1", "255.255.255.255", 5060),
        ("127.0.0.1", "192.0.2.1", 0),
        ("127.0.0.1", "127.0.0.1", 65536),
        ("127.0.0.1", "127.0.0.1", -1),
        ("127.0.0.1", "::1", 5060),
        ("::1", "127.0.0.1", 5060),
        ("127.0.0.1", "", 0),
    ],
)
async def test_what_the_kernel_refuses(host: str, to: str, port: int) -> None:
    """False, so that the transaction hears of it at once; broadcast is among it (RFC 4475 3.3.10)."""
    async with opened(host) as (udp, _, peer):
        assert not udp.send(message(), to, port)
        assert counts(udp) == (0, 0, 1)
        assert udp.send(message(), peer.host, peer.port)
        assert await peer.receive() == message()


def test_a_full_queue_is_loss_on_the_way() -> None:
    """The message counts as sent, and retransmission makes up for it; it is neither queued here nor an error."""
    upward = Upward()
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with near, far, Addressless(near) as full:
        udp = UdpSocket("udp:x", full, upward)
        attempts = 0
        while udp.refused == 0:
            assert udp.send(b"x" * 1000, "127.0.0.1", 5060)
            attempts += 1
        assert counts(udp) == (0, attempts - 1, 1)
        far.recv(1000)
        assert udp.send(b"there is room again", "127.0.0.1", 5060)
        assert counts(udp) == (0, attempts, 1)


class Addressless(socket.socket):
    """One end of a socket pair, whose queue can be filled, in the place of a UDP socket, whose queue cannot."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__(fileno=socket.dup(end.fileno()))
        self.setblocking(False)

    def sendto(self, data: bytes, address: object) -> int:  # type: ignore[override]
        return self.send(data)


async def test_after_the_end() -> None:
    loop = asyncio.get_running_loop()
    upward = Upward()
    udp = UdpSocket("udp:x", bind_udp("127.0.0.1", 0), upward)
    udp.start(loop)
    peer = Peer("127.0.0.1", udp)
    with peer.sock:
        peer.send(message())
        descriptor = udp.sock.fileno()
        udp.stop(loop)
        # Nothing is left that would read from another socket which is given the same number.
        assert not loop.remove_reader(descriptor)
        await asyncio.sleep(0)
        assert upward.told == []
        assert not udp.send(message(), peer.host, peer.port)
        assert counts(udp) == (0, 0, 1)
        # Its port is free.
        bind_udp(*peer.there).close()


class TestBinding:
    @pytest.mark.parametrize(("host", "family"), [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)])
    def test_a_bound_socket(self, host: str, family: socket.AddressFamily) -> None:
        with bind_udp(host, 0) as sock:
            assert (sock.family, sock.type, sock.getblocking()) == (family, socket.SOCK_DGRAM, False)
            assert sock.getsockname()[0] == host
            # The kernel gives up to its own limit, and doubles what it gives.
            with socket.socket(family, socket.SOCK_DGRAM) as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
                asked = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == asked
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == asked

    def test_both_families_on_one_port(self) -> None:
        with bind_udp("::", 0) as six, bind_udp("0.0.0.0", six.getsockname()[1]) as four:
            assert four.getsockname()[1] == six.getsockname()[1]

    def test_a_port_that_is_taken(self) -> None:
        with bind_udp("127.0.0.1", 0) as first, pytest.raises(OSError, match="Address already in use"):
            bind_udp("127.0.0.1", first.getsockname()[1])

    def test_an_address_that_is_not_of_this_machine(self) -> None:
        with pytest.raises(OSError, match="Cannot assign requested address"):
            bind_udp("192.0.2.1", 5060)
