"""Sockets for media on the loopback addresses: pairs of ports, what is read, and what the kernel refuses."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from ringback.media.backend import MediaError
from ringback.media.io.sockets import LONGEST, Address, MediaSocket, bind, bind_pair, local_address

PATIENCE = 5.0
BOTH = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


def free_block(host: str, length: int) -> int:
    """The even first port of `length` ports in a row that are free, away from those that the kernel hands out."""
    for first in range(20000, 30000, 2 * length):
        with ExitStack() as held:
            try:
                for port in range(first, first + length):
                    held.enter_context(bind(host, port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


@contextmanager
def pair(host: str, ports: tuple[int, int], **options: int) -> Iterator[list[int]]:
    """The ports of a pair that is held open."""
    with ExitStack() as held:
        sockets = [held.enter_context(sock) for sock in bind_pair(host, ports, **options) if sock is not None]
        yield [sock.getsockname()[1] for sock in sockets]


class Heard:
    """Keeps what a socket hands up."""

    def __init__(self) -> None:
        self.datagrams: asyncio.Queue[tuple[bytes, Address, float]] = asyncio.Queue()

    def __call__(self, data: bytes, source: Address, arrival: float) -> None:
        self.datagrams.put_nowait((data, source, arrival))

    async def next(self) -> tuple[bytes, Address, float]:
        async with asyncio.timeout(PATIENCE):
            return await self.datagrams.get()


@BOTH
def test_a_pair_is_an_even_port_and_the_odd_one_above(host: str) -> None:
    first = free_block(host, 4)
    for start in (first, first + 1):
        with pair(host, (first, first + 3), start=start) as ports:
            assert ports == [first, first + 1]
    with pair(host, (first, first + 3), start=first + 2) as ports:
        assert ports == [first + 2, first + 3]


def test_an_odd_beginning_and_an_even_end_of_the_range_belong_to_no_pair() -> None:
    first = free_block("127.0.0.1", 6)
    with pair("127.0.0.1", (first + 1, first + 4), start=first + 1) as ports:
        assert ports == [first + 2, first + 3]
    with pair("127.0.0.1", (first + 1, first + 4), start=first + 4, single=True) as ports:
        assert ports == [first + 4]


def test_taken_ports_are_passed_over_around_the_end_of_the_range() -> None:
    first = free_block("127.0.0.1", 6)
    # The odd port of the last pair and the even one of the first pair.
    taken = bind("127.0.0.1", first + 5), bind("127.0.0.1", first)
    with taken[0], taken[1], pair("127.0.0.1", (first, first + 5), start=first + 4) as ports:
        assert ports == [first + 2, first + 3]


def test_a_pair_that_failed_half_way_keeps_nothing() -> None:
    first = free_block("127.0.0.1", 2)
    with bind("127.0.0.1", first + 1), pytest.raises(MediaError) as caught:
        bind_pair("127.0.0.1", (first, first + 1))
    assert str(caught.value) == f"every port of {first}-{first + 1} on 127.0.0.1 is taken"
    with pair("127.0.0.1", (first, first + 1)) as ports:
        assert ports == [first, first + 1]


def test_with_rtcp_on_the_same_port_there_is_one_socket() -> None:
    first = free_block("127.0.0.1", 4)
    rtp, rtcp = bind_pair("127.0.0.1", (first, first + 3), single=True, start=first)
    with rtp, bind("127.0.0.1", first + 1):
        assert rtcp is None
        assert rtp.getsockname()[1] == first


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ((7, 5), "7-5 is no range of ports"),
        ((0, 10), "0-10 is no range of ports"),
        ((65534, 65536), "65534-65536 is no range of ports"),
        ((20001, 20002), "the range of ports 20001-20002 holds no even port with its odd one"),
    ],
)
def test_ranges_that_cannot_be(ports: tuple[int, int], message: str) -> None:
    with pytest.raises(MediaError) as caught:
        bind_pair("127.0.0.1", ports)
    assert str(caught.value) == message


def test_an_address_that_is_not_ours_is_said_at_once() -> None:
    with pytest.raises(MediaError, match=r"^no media socket on 198\.51\.100\.7: Cannot assign requested address$"):
        bind_pair("198.51.100.7", (20000, 20999))


def test_where_the_search_begins_is_random() -> None:
    begun = set()
    for _ in range(12):
        with pair("127.0.0.1", (20000, 29999)) as ports:
            assert ports[0] % 2 == 0
            begun.add(ports[0])
    assert len(begun) > 6


@BOTH
async def test_what_comes_is_handed_up_with_its_source_and_time(host: str) -> None:
    loop = asyncio.get_running_loop()
    heard = Heard()
    media = MediaSocket(bind(host, 0), heard)
    media.start(loop)
    with bind(host, 0) as peer:
        before = loop.time()
        for number in range(3):
            peer.sendto(b"packet %d" % number, media.address)
        for number in range(3):
            data, source, arrival = await heard.next()
            assert data == b"packet %d" % number
            assert source == peer.getsockname()[:2]
            assert before <= arrival <= loop.time()
        assert media.send(b"answer", source)
        async with asyncio.timeout(PATIENCE):
            assert await loop.sock_recv(peer, 100) == b"answer"
    assert (media.received, media.sent, media.refused, media.failed) == (3, 1, 0, 0)
    media.close()


async def test_a_datagram_longer_than_any_packet_is_dropped_and_counted() -> None:
    heard = Heard()
    media = MediaSocket(bind("127.0.0.1", 0), heard)
    media.start(asyncio.get_running_loop())
    with bind("127.0.0.1", 0) as peer:
        peer.sendto(bytes(LONGEST + 1), media.address)
        peer.sendto(bytes(9000), media.address)
        peer.sendto(bytes(LONGEST), media.address)
        assert len((await heard.next())[0]) == LONGEST
    assert (media.received, media.oversized) == (1, 2)
    media.close()


@pytest.mark.parametrize(
    "address",
    [("127.0.0.1", 0), ("127.0.0.1", 70000), ("::1", 9), ("255.255.255.255", 9), ("nul\0", 9)],
)
async def test_what_the_kernel_does_not_send_is_counted(address: Address) -> None:
    media = MediaSocket(bind("127.0.0.1", 0), Heard())
    assert media.send(b"packet", address) is False
    assert (media.sent, media.refused) == (0, 1)
    media.close()


class Failing:
    """A socket whose every call fails as the kernel can."""

    family = socket.AF_INET

    def __init__(self, error: OSError) -> None:
        self.error = error
        self.pair = socket.socketpair()

    def getsockname(self) -> Address:
        return ("127.0.0.1", 4000)

    def fileno(self) -> int:
        return self.pair[0].fileno()

    def recvfrom(self, length: int) -> None:
        self.pair[0].recv(length)
        raise self.error

    def sendto(self, data: bytes, address: Address) -> None:
        raise self.error

    def close(self) -> None:
        for sock in self.pair:
            sock.close()


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "ICMP port unreachable"), 1),
        (OSError(errno.EHOSTUNREACH, "ICMP host unreachable"), 1),
        (BlockingIOError(errno.EAGAIN, "nothing there after all"), 0),
    ],
)
async def test_errors_of_the_kernel_end_nothing(error: OSError, failed: int) -> None:
    heard = Heard()
    failing = Failing(error)
    media = MediaSocket(failing, heard)  # type: ignore[arg-type]
    media.start(asyncio.get_running_loop())
    read = asyncio.Event()
    original = failing.recvfrom

    def noted(length: int) -> None:
        read.set()
        original(length)

    failing.recvfrom = noted  # type: ignore[method-assign]
    for _ in range(2):
        read.clear()
        failing.pair[1].send(b"wake up")
        async with asyncio.timeout(PATIENCE):
            await read.wait()
    assert media.send(b"packet", ("127.0.0.1", 9)) is False
    assert (media.received, media.failed, media.refused) == (0, 2 * failed, 1)
    assert heard.datagrams.empty()
    media.close()


async def test_closing_gives_the_port_back_and_may_happen_twice() -> None:
    media = MediaSocket(bind("127.0.0.1", 0), Heard())
    media.start(asyncio.get_running_loop())
    assert not media.closed
    media.close()
    media.close()
    assert media.closed
    assert media.send(b"packet", ("127.0.0.1", 9)) is False
    with bind(*media.address):
        pass


def test_the_address_towards_a_host() -> None:
    assert local_address("127.0.0.1") == "127.0.0.1"
    assert local_address("::1") == "::1"
