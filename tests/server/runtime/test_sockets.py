"""Bound sockets: what they are called, what others are told, and what is left when one can not be had."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ringback.errors import ConfigurationError
from ringback.net.udp import DatagramReceiver
from ringback.server.runtime.sockets import Sockets
from ringback.server.settings import Listen
from ringback.sip.transport import Flow
from tests.net.stream_kit import connections, message
from tests.server.running import PATIENCE


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")

@contextmanager
def bound(*addresses: str) -> Iterator[Sockets]:
    """Sockets; "udp:192.0.2.1:5060>sip.example.org" is one with the name that others are told."""
    places = []
    for address in addresses:
        place, _, name = address.partition(">")
        places.append(Listen(address=place, advertise=name))
    sockets = Sockets(places)
    try:
        yield sockets
    finally:
        sockets.close()


def test_names() -> None:
    with bound("udp:127.0.0.1:0", "tcp:127.0.0.1:0", "ws:127.0.0.1:0") as sockets:
        assert [listener.transport for listener in sockets.listeners] == ["UDP", "TCP", "WS"]
        for listener in sockets.listeners:
            assert listener.id == f"{listener.transport.lower()}:127.0.0.1:{listener.port}"
            assert listener.sent_by == f"127.0.0.1:{listener.port}"
            assert listener.port > 0


@pytest.mark.parametrize(
    ("address", "sent_by"),
    [
        ("udp:127.0.0.1:0>sip.example.org:5070", "sip.example.org:5070"),
        ("tcp:127.0.0.1:0>203.0.113.1:5070", "203.0.113.1:5070"),
        ("tcp:127.0.0.1:0>[2001:db8::1]:5070", "[2001:db8::1]:5070"),
        ("udp:0.0.0.0:0>sip.example.org:5070", "sip.example.org:5070"),
    ],
)
def test_what_others_are_told(address: str, sent_by: str) -> None:
    with bound(address) as sockets:
        assert sockets.listeners[0].sent_by == sent_by


def test_the_port_that_others_are_told_is_the_one_that_was_bound() -> None:
    with bound("udp:127.0.0.1:0>sip.example.org") as sockets:
        [listener] = sockets.listeners
        assert listener.sent_by == f"sip.example.org:{listener.id.rpartition(':')[2]}"


def test_nobody_is_told_any_address() -> None:
    """0.0.0.0 in a Via or a Record-Route leads nowhere: an address of this machine stands there instead."""
    with bound("udp:0.0.0.0:0") as sockets:
        [listener] = sockets.listeners
        assert listener.id == f"udp:0.0.0.0:{listener.port}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((listener.host, 0))
            assert not listener.host.startswith("0.")


class Receiver(DatagramReceiver):
    def __init__(self) -> None:
        self.came: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue(10)

    def datagram(self, data: bytes, flow: Flow) -> None:
        self.came.put_nowait((data, flow))

    def turn(self) -> None:
        return


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        pytest.param("[::1]", marks=IPV6),
        # However it is written.
        pytest.param("[0:0::0:1]", marks=IPV6),
    ],
)
async def test_a_flow_names_the_listener_that_it_came_by(host: str) -> None:
    receiver = Receiver()
    async with connections() as (streams, upward):
        with bound(f"udp:{host}:0", f"tcp:{host}:0") as sockets:
            await sockets.open(receiver, streams, None)
            udp, tcp = sockets.listeners
            assert list(sockets.udp) == [udp.id]
            address = "127.0.0.1" if host[0] != "[" else "::1"
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as phone:
                phone.sendto(message(), (address, udp.port))
                data, flow = await asyncio.wait_for(receiver.came.get(), PATIENCE)
                assert (data, flow.local, flow.port) == (message(), udp.id, phone.getsockname()[1])
            _, writer = await asyncio.open_connection(address, tcp.port)
            writer.write(message())
            await upward.until(lambda: upward.messages)
            assert upward.messages[0][1].local == tcp.id
            writer.transport.abort()
            await upward.until(lambda: upward.closed)


async def test_closing_reads_no_more() -> None:
    async with connections() as (streams, _):
        sockets = Sockets([Listen(address="udp:127.0.0.1:0"), Listen(address="tcp:127.0.0.1:0")])
        await sockets.open(Receiver(), streams, None)
        place = ("127.0.0.1", sockets.listeners[0].port)
        sockets.close()
        sockets.close()
        assert sockets.udp == {}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(place)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_one_that_can_not_be_had_leaves_none(transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with bound("udp:127.0.0.1:0") as free:
        port = free.listeners[0].port
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        place = f"{transport}:127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError) as caught:
            Sockets([Listen(address=f"udp:127.0.0.1:{port}"), Listen(address=place)])
    assert str(caught.value) == (
        f"listen: {place} can not be had: Address already in use; give another with --listen or the key listen"
    )
    with bound(f"udp:127.0.0.1:{port}"):
        pass


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_address_of_another_machine(transport: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Sockets([Listen(address=f"{transport}:192.0.2.1:5060")])
    assert str(caught.value) == (
        f"listen: {transport}:192.0.2.1:5060 can not be had: Cannot assign requested address; "
        "give another with --listen or the key listen"
    )
