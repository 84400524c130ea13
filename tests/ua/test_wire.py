"""The wire of a user agent: places, names, connections and signs of life."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ringback.errors import ConfigurationError
from ringback.net.tls import ClientTls
from ringback.sip.locate import LocateError
from ringback.sip.message import build_request
from ringback.sip.profile import Profile
from ringback.sip.session_events import Completed, CoreEvent, Requested
from ringback.sip.transport import Flow
from ringback.sip.uri import parse_uri
from ringback.ua.places import Listen
from ringback.ua.wire import FlowFailed, Wire, WireOptions
from tests.ua.clock import run
from tests.ua.registrar import Registrar, registrar

ALICE = Profile("<sip:alice@127.0.0.1>", "sip:alice@127.0.0.1")


class Owner:
    def __init__(self) -> None:
        self.events: list[CoreEvent] = []
        self.closed: list[Flow] = []
        self.fails = False

    def told(self, event: CoreEvent) -> None:
        self.events.append(event)
        if self.fails:
            raise RuntimeError("the owner has failed")

    @property
    def statuses(self) -> list[int]:
        return [event.status for event in self.events if isinstance(event, Completed)]


@asynccontextmanager
async def wired(*listen: str, **options: Any) -> AsyncIterator[tuple[Wire, Owner]]:
    owner = Owner()
    given = WireOptions(listen=tuple(Listen(place) for place in listen), **options)
    wire = await Wire.open(given, owner.told, owner.closed.append)
    try:
        yield wire, owner
    finally:
        await wire.close(0.0)
        await wire.close(0.0)


async def until(happened: Any) -> None:
    async with asyncio.timeout(100):
        while not happened():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)


def ask(wire: Wire, uri: str, size: int = 0) -> None:
    wire.core.request(build_request("OPTIONS", uri, [], b"x" * size), ALICE, wire.now())
    wire.turn()


# --- Opening ----------------------------------------------------------------------------------------------------------


def test_nothing_is_open_before_it_is_needed() -> None:
    async def main() -> None:
        async with registrar() as server, wired() as (wire, owner):
            assert wire.places.listeners == []
            ask(wire, f"sip:127.0.0.1:{server.port}")
            await until(lambda: owner.events)
            assert owner.statuses == [200]
            udp, tcp = wire.places.listeners
            assert (udp.transport, tcp.transport, udp.host) == ("UDP", "TCP", "127.0.0.1")
            assert server.others[0].via.sent_by == f"127.0.0.1:{udp.port}"

    run(main())


def test_listening() -> None:
    async def main() -> None:
        async with wired("udp:127.0.0.1:0", "tcp:127.0.0.1:0") as (wire, owner):
            udp, tcp = wire.places.listeners
            assert wire.contact_at_first("alice") == f"sip:alice@127.0.0.1:{udp.port}"
            reader, writer = await asyncio.open_connection("127.0.0.1", tcp.port)
            writer.write(
                b"OPTIONS sip:alice@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK1\r\n"
                b"From: <sip:b@c>;tag=1\r\nTo: <sip:a@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
            )
            await until(lambda: owner.events)
            [event] = owner.events
            assert isinstance(event, Requested) and event.flow.transport == "TCP"
            wire.core.respond(event.server, event.request, 200, wire.now())
            wire.turn()
            assert (await reader.readline()) == b"SIP/2.0 200 OK\r\n"
            writer.close()
            await until(lambda: owner.closed)

    run(main())


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        ("udp:127.0.0.1:{}", "can not listen at udp:127.0.0.1:{}: Address already in use"),
        ("tls:127.0.0.1:0", "listen: tls:127.0.0.1:0 needs a certificate"),
        ("udp:192.0.2.1:0", "can not listen at udp:192.0.2.1:0: Cannot assign requested address"),
    ],
)
def test_places_that_can_not_be_had(place: str, wrong: str) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            with pytest.raises(ConfigurationError) as raised:
                async with wired("udp:127.0.0.1:0", "tcp:127.0.0.1:0", place.format(port)):
                    raise AssertionError
            assert wrong.format(port) in str(raised.value)

    run(main())


# --- Where to ---------------------------------------------------------------------------------------------------------


def test_names_are_looked_up() -> None:
    async def main() -> None:
        hosts = {"example.org": ["127.0.0.1", "127.0.0.2"], "empty.example.org": []}
        async with registrar() as server, wired(hosts=hosts) as (wire, owner):
            flows = await wire.locate(parse_uri(f"sip:example.org:{server.port}"))
            assert [(flow.transport, flow.host, flow.port) for flow in flows] == [
                ("UDP", "127.0.0.1", server.port), ("UDP", "127.0.0.2", server.port)
            ]  # fmt: skip
            assert {flow.local for flow in flows} == {wire.places.listeners[0].id}
            ask(wire, f"sip:example.org:{server.port}")
            await until(lambda: owner.events)
            with pytest.raises(LocateError, match="DNS has no address"):
                await wire.locate(parse_uri("sip:empty.example.org:5060"))
            ask(wire, "sip:empty.example.org:5060")
            await until(lambda: len(owner.events) == 2)
            assert owner.statuses == [200, 503]

    run(main())


def test_no_way_from_this_machine() -> None:
    async def main() -> None:
        async with wired(hosts={"example.org": ["256.1.1.1"]}) as (wire, _):
            with pytest.raises(LocateError, match=r"no way to example\.org from this machine"):
                await wire.locate(parse_uri("sip:example.org:5060"))

    run(main())


def test_tls_only_where_there_is_any() -> None:
    async def main() -> None:
        async with wired() as (wire, owner):
            assert wire.transports == ("UDP", "TCP")
            with pytest.raises(LocateError, match=r"no transport to '127\.0\.0\.1'"):
                await wire.locate(parse_uri("sips:127.0.0.1"))
            ask(wire, "sips:127.0.0.1")
            await until(lambda: owner.events)
            assert owner.statuses == [503]
        async with wired(client_tls=ClientTls()) as (wire, _):
            [flow] = await wire.locate(parse_uri("sips:127.0.0.1"))
            assert (flow.transport, flow.port, flow.name) == ("TLS", 5061, "127.0.0.1")

    run(main())


def test_long_requests_go_by_tcp() -> None:
    async def main() -> None:
        async with registrar() as server, wired() as (wire, owner):
            ask(wire, f"sip:127.0.0.1:{server.port}", size=0)
            await until(lambda: owner.events)
            assert server.accepted == 0
            uri = f"sip:127.0.0.1:{server.port}"
            wire.core.request(build_request("OPTIONS", uri, [("Subject", "x" * 1300)]), ALICE, wire.now())
            wire.turn()
            await until(lambda: len(owner.events) == 2)
            assert (owner.statuses, server.accepted) == ([200, 200], 1)
            assert server.others[1].via.transport == "TCP"

    run(main())


def test_prepared() -> None:
    async def main() -> None:
        async with wired() as (wire, _):
            for nowhere in ("sip:example.org", "tel:+49", "no uri", "sips:127.0.0.1"):
                assert wire.prepare(nowhere) is None
            flow = wire.prepare("sip:127.0.0.1:5070")
            assert flow is not None and flow.local == wire.places.listeners[0].id and wire.is_current(flow)
            assert wire.own_place(flow) == ("127.0.0.1", wire.places.listeners[0].port)
            assert not wire.is_current(Flow("UDP", "udp:127.0.0.9:1", "127.0.0.1", 5070))
            assert not wire.is_current(Flow("UDP", flow.local, "example.org", 5070))

    run(main())


# --- Who we are -------------------------------------------------------------------------------------------------------


def test_contacts() -> None:
    async def main() -> None:
        async with registrar() as server, wired("udp:0.0.0.0:0") as (wire, _):
            [flow] = await wire.locate(parse_uri(f"sip:127.0.0.1:{server.port};transport=tcp"))
            flow = await wire.connect(flow)
            own = wire.streams.local_end(flow)
            assert own is not None
            # Nobody can connect to us: it is the connection's own end that some servers know us by.
            assert wire.contact("alice", flow) == f"sip:alice@127.0.0.1:{own[1]};transport=tcp"
            # But who calls us of his own accord needs what is open.
            port = wire.places.listeners[-1].port
            assert wire.contact_towards("", flow) == f"sip:127.0.0.1:{port}"
            assert wire.contact("a", flow, secure=True) == f"sips:a@127.0.0.1:{own[1]}"

    run(main())


# --- Connections and signs of life ------------------------------------------------------------------------------------


def test_connected() -> None:
    async def main() -> None:
        async with registrar() as server, wired() as (wire, owner):
            datagrams = Flow("UDP", "", "127.0.0.1", server.port)
            assert await wire.connect(datagrams) is datagrams
            there = Flow("TCP", "", "127.0.0.1", server.port)
            flow = await wire.connect(there)
            assert flow.connection > 0 and wire.ping(flow)
            await until(lambda: server.pings)
            wire.keep_open(flow)
            await until(lambda: len(server.pings) == 2)
            server.hang_up()
            await until(lambda: owner.closed)
            assert not wire.ping(flow)
            with pytest.raises(FlowFailed, match="it is closed"):
                await wire.connect(flow)
        with pytest.raises(FlowFailed) as raised:
            async with wired() as (wire, _):
                await wire.connect(Flow("TCP", "", "127.0.0.1", server_port_that_is_closed()))
        assert raised.value.status == 503 and "Connection refused" in raised.value.reason

    run(main())


def server_port_that_is_closed() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def checking(wire: Wire, server: Registrar) -> Flow:
    [flow] = await wire.locate(parse_uri(f"sip:127.0.0.1:{server.port}"))
    return flow


def test_checked() -> None:
    async def main() -> None:
        async with registrar() as server, wired() as (wire, _):
            flow = await checking(wire, server)
            server.stun = lambda source: ("203.0.113.9", 40000)
            assert await wire.check(flow) == ("203.0.113.9", 40000)
            wire.keep_open(flow)
            await until(lambda: server.pings)
            server.stun = None
            begun = wire.now()
            with pytest.raises(FlowFailed, match="no answer to STUN keep-alives"):
                await wire.check(flow)
            assert wire.now() - begun == pytest.approx(39.5) and len(server.checks) == 8

    run(main())


def test_answers_of_strangers_do_not_count() -> None:
    async def main() -> None:
        async with registrar() as server, registrar() as stranger, wired() as (wire, _):
            flow = await checking(wire, server)
            place = wire.places.listeners[0]

            def forge(source: tuple[str, int]) -> tuple[str, int]:
                # All of the answer is right but where it comes from.
                stranger.datagrams.sendto(b"\x01\x01\0\0\x21\x12\xa4\x42" + bytes(12), (place.host, place.port))
                return source

            server.stun = forge
            assert await wire.check(flow) == ("127.0.0.1", place.port)

    run(main())


def test_a_check_without_a_network() -> None:
    async def main() -> None:
        async with wired() as (wire, _):
            with pytest.raises(FlowFailed, match="the network is not there"):
                await wire.check(Flow("UDP", "udp:gone:1", "127.0.0.1", 5060))

    run(main())


def test_a_check_that_is_given_up() -> None:
    async def main() -> None:
        async with registrar() as server, wired() as (wire, _):
            flow = await checking(wire, server)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await wire.check(flow)

    run(main())


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_an_owner_that_fails_ends_nothing() -> None:
    async def main() -> None:
        errors: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["message"]))
        async with registrar() as server, wired() as (wire, owner):
            owner.fails = True
            for _ in range(2):
                ask(wire, f"sip:127.0.0.1:{server.port}")
            await until(lambda: len(owner.events) == 2)
            assert errors == ["Completed could not be handled"] * 2

    run(main())


def test_who_may_not_come_in() -> None:
    async def main() -> None:
        async with wired("udp:127.0.0.1:0") as (wire, owner), wired("udp:127.0.0.1:0") as (other, asker):
            port = wire.places.listeners[0].port
            wire.admits = lambda incoming: incoming.request.method != "MESSAGE"
            for method in ("MESSAGE", "OPTIONS"):
                other.core.request(build_request(method, f"sip:alice@127.0.0.1:{port}", []), ALICE, other.now())
            other.turn()
            await until(lambda: owner.events and asker.events)
            assert asker.statuses == [403]
            assert [event.request.method for event in owner.events if isinstance(event, Requested)] == ["OPTIONS"]

    run(main())


def test_what_cannot_be_read_on_a_connection_is_answered() -> None:
    async def main() -> None:
        async with wired("tcp:127.0.0.1:0") as (wire, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", wire.places.listeners[0].port)
            writer.write(
                b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK1\r\nFrom: <sip:b@c>;tag=1\r\n"
                b"To: <sip:a@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: x\r\n\r\n"
            )
            assert (await reader.readline()).startswith(b"SIP/2.0 400 ")
            writer.close()

    run(main())
