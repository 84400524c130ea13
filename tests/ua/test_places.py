"""Places: which socket leads where, opened when it is needed, closed at the end."""

import asyncio
import errno
import re
import socket
from collections.abc import Iterator

import pytest

from ringback.errors import ConfigurationError
from ringback.sip.transport import Flow
from ringback.ua.places import Listen, NoRoute, Places, local_address
from ringback.ua.stun import binding_request
from tests.interop.peers.program import has_ipv6
from tests.server.running import until


class Receiver:
    def __init__(self) -> None:
        self.datagrams: list[tuple[bytes, Flow]] = []
        self.turns = 0
        self.stun: list[tuple[bytes, str, int]] = []

    def datagram(self, data: bytes, flow: Flow) -> None:
        self.datagrams.append((data, flow))

    def turn(self) -> None:
        self.turns += 1

    def on_stun(self, data: bytes, host: str, port: int) -> None:
        self.stun.append((data, host, port))


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def places(receiver: Receiver) -> "Iterator[Places]":  # type: ignore[misc]
    made = Places(receiver, receiver.on_stun)
    yield made
    made.close()


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(5)
        yield sock


def test_local_addresses() -> None:
    assert local_address("127.0.0.1") == "127.0.0.1"
    assert local_address("127.0.0.53") == "127.0.0.1"
    for name in ("256.0.0.1", "example.org", ""):
        with pytest.raises(NoRoute, match=f"{re.escape(name)} is no address"):
            local_address(name)


def test_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a network."""

    class Unplugged(socket.socket):
        def connect(self, address: object) -> None:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr("ringback.ua.places.socket.socket", Unplugged)
    with pytest.raises(NoRoute, match=r"no way to 192\.0\.2\.1: Network is unreachable"):
        local_address("192.0.2.1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("udp:127.0.0.1:5070", ("UDP", "127.0.0.1", 5070)),
        ("TCP:0.0.0.0:0", ("TCP", "0.0.0.0", 0)),
        ("tls:[2001:db8::1]:5061", ("TLS", "2001:db8::1", 5061)),
    ],
)
def test_listen(text: str, expected: tuple[str, str, int]) -> None:
    place = Listen(text)
    assert (place.transport, place.host, place.port) == expected
    assert str(place) == text.lower()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("127.0.0.1:5070", "does not begin with udp:, tcp: or tls:"),
        ("ws:127.0.0.1:80", "does not begin with udp:, tcp: or tls:"),
        ("udp", "does not begin with udp:, tcp: or tls:"),
        ("udp:127.0.0.1", "has no port; allowed: transport:address:port, such as udp:192.0.2.1:5060"),
        ("udp:127.0.0.1:", "has no port"),
        ("udp:127.0.0.1:65536", "has no port"),
        ("udp:127.0.0.1:-1", "has no port"),
        ("udp:localhost:5060", "'localhost' in 'udp:localhost:5060' is no IP address"),
        ("udp:2001:db8::1:5060", "has to stand in brackets"),
    ],
)
def test_places_that_are_none(text: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Listen(text)
    assert wrong in str(raised.value)


async def test_a_place_is_opened_when_it_is_needed_and_found_again(places: Places, peer: socket.socket) -> None:
    assert places.listeners == []
    place = places.place_for("UDP", "127.0.0.1")
    assert (place.transport, place.host) == ("UDP", "127.0.0.1")
    assert place.id == f"udp:127.0.0.1:{place.port}" and places.listens(place)
    assert places.place_for("UDP", "127.0.0.9") is place
    assert places.sockets[place.id].send(b"hello", *peer.getsockname())
    assert peer.recvfrom(100) == (b"hello", ("127.0.0.1", place.port))


async def test_streams_need_no_socket(places: Places) -> None:
    udp = places.place_for("UDP", "127.0.0.1")
    tcp = places.place_for("TCP", "127.0.0.1")
    assert (tcp.id, tcp.host, tcp.port) == ("tcp:127.0.0.1:0", "127.0.0.1", udp.port)
    assert not places.listens(tcp)
    assert places.place_for("TCP", "127.0.0.1") is tcp
    assert list(places.sockets) == [udp.id]


async def test_what_listens_is_preferred(places: Places) -> None:
    listening = places.add_stream("TCP", "127.0.0.1", 5070)
    assert places.place_for("TCP", "127.0.0.1") is listening and places.listens(listening)


async def test_a_socket_at_all_addresses_is_known_by_each_of_them(
    places: Places, receiver: Receiver, peer: socket.socket
) -> None:
    everywhere = places.bind_udp("0.0.0.0", 0)
    place = places.place_for("UDP", "127.0.0.1")
    assert place.id == f"udp:127.0.0.1:{everywhere.port}" and place.host == "127.0.0.1"
    assert places.sockets[place.id] is places.sockets[everywhere.id]
    assert len({sock.sock for sock in places.sockets.values()}) == 1
    peer.sendto(b"OPTIONS" + b" " * 40, ("127.0.0.1", place.port))
    await until(lambda: receiver.datagrams)
    # It is said to have come by the socket that is there.
    assert receiver.datagrams[0][1].local == everywhere.id


async def test_loopback_comes_last(places: Places) -> None:
    """What leaves by no special place is to have an address that others can answer to."""
    places.bind_udp("127.0.0.1", 0)
    other = places.add_stream("TCP", "192.0.2.1", 5060)
    assert places.listeners[0] is other


async def test_what_comes_is_told_apart(places: Places, receiver: Receiver, peer: socket.socket) -> None:
    place = places.bind_udp("127.0.0.1", 0)
    there = ("127.0.0.1", place.port)
    request = binding_request(bytes(12))
    answer = b"\x01\x01" + b"\0" * 30
    message = b"OPTIONS sip:alice@127.0.0.1 SIP/2.0\r\n\r\n"
    for data in (b"\r\n\r\n", b"", answer, request, message):
        peer.sendto(data, there)
    await until(lambda: receiver.datagrams)
    assert receiver.stun == [(answer, *peer.getsockname())]
    [(data, flow)] = receiver.datagrams
    assert data == message and receiver.turns == 1
    assert (flow.transport, flow.local, flow.host, flow.port) == ("UDP", place.id, *peer.getsockname())
    # A STUN request is answered: a server may keep the flow open from its side.
    assert peer.recv(100)[:2] == b"\x01\x01"


async def test_a_taken_port(places: Places, peer: socket.socket) -> None:
    port = peer.getsockname()[1]
    with pytest.raises(ConfigurationError, match=f"can not listen at udp:127.0.0.1:{port}: Address already in use"):
        places.bind_udp("127.0.0.1", port)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")
async def test_ipv6(places: Places) -> None:
    four = places.place_for("UDP", "127.0.0.1")
    six = places.place_for("UDP", "::1")
    assert six.host == "::1" and six.id == f"udp:[::1]:{six.port}" and six.sent_by == f"[::1]:{six.port}"
    # The same port for both, for nobody has it yet.
    assert six.port == four.port


async def test_closed(receiver: Receiver) -> None:
    places = Places(receiver, receiver.on_stun)
    place = places.bind_udp("127.0.0.1", 0)
    places.close()
    places.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        again.bind(("127.0.0.1", place.port))
    await asyncio.sleep(0)
    assert places.sockets == {}
