"""A registrar that does as a test says, on UDP and TCP, in the loop of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ringback.net.stun import binding_response
from ringback.sip.headers import parse_name_addrs
from ringback.sip.message import Headers, Request, response_to
from ringback.sip.parser import parse

Answer = tuple[int, Headers] | None


class Heard:
    """A request, when it came, and from where."""

    def __init__(self, request: Request, at: float, source: tuple[str, int]) -> None:
        self.request = request
        self.at = at
        self.source = source

    @property
    def contacts(self) -> list[tuple[str, str]]:
        """URI and expires of each Contact."""
        return [(c.uri.text, c.parameters.get("expires") or "") for c in parse_name_addrs(self.request.all("contact"))]

    @property
    def cseq(self) -> int:
        return self.request.cseq.number


class Registrar:
    """Answers each new REGISTER with the next of `script`, and when that is used up with what `usual` gives.

    A step is a status, a status with headers, None for silence, or a function of the request that gives one of these.
    `stun`: how STUN is answered: None for not at all, else a function of the source.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.heard: list[Heard] = []
        self.others: list[Request] = []
        self.script: list[Any] = []
        self.usual: Callable[[Request], Answer] = granted
        self.stun: Callable[[tuple[str, int]], tuple[str, int]] | None = None
        self.checks: list[float] = []
        self.pings: list[float] = []
        self.pong = True
        self.connections: list[asyncio.Transport] = []
        self.accepted = 0
        #: Where it says that requests come from, in place of where they do.
        self.nat: tuple[str, int] | None = None
        self.datagrams: Any = None
        self._answered: dict[str, bytes] = {}

    @property
    def port(self) -> int:
        return int(self.datagrams.get_extra_info("sockname")[1])

    def message(self, data: bytes, source: tuple[str, int], send: Callable[[bytes], None]) -> None:
        request = parse(data)
        assert isinstance(request, Request)
        branch = request.via.branch
        if branch in self._answered:
            if self._answered[branch]:
                send(self._answered[branch])
            return
        if request.method != "REGISTER":
            self.others.append(request)
            answer: Answer = (200, [])
        else:
            self.heard.append(Heard(request, asyncio.get_running_loop().time(), source))
            answer = self._next(request)
        self._answered[branch] = b""
        if answer is not None:
            seen = self.nat or source
            line = request.lines[request.names.index("via")].replace(";rport", f";received={seen[0]};rport={seen[1]}")
            request.lines[request.names.index("via")] = line
            self._answered[branch] = response_to(request, answer[0], "", "registrar", answer[1]).encode()
            send(self._answered[branch])

    def _next(self, request: Request) -> Answer:
        step = self.script.pop(0) if self.script else self.usual
        if callable(step):
            step = step(request)
        return (step, []) if isinstance(step, int) else step

    def hang_up(self) -> None:
        """Close all connections."""
        for connection in self.connections:
            connection.abort()
        self.connections.clear()


def granted(request: Request) -> Answer:
    """All that was asked for."""
    return 200, [("Contact", value) for value in request.split("contact") if ";expires=0" not in value]


def granting(*headers: tuple[str, str], expires: int = 0) -> Callable[[Request], Answer]:
    """All that was asked for, with more headers; `expires`: in place of the seconds asked for."""

    def answer(request: Request) -> Answer:
        contacts: Headers = []
        for address in parse_name_addrs(request.all("contact")):
            if address.parameters["expires"] != "0":
                if expires:
                    address.parameters["expires"] = str(expires)
                contacts.append(("Contact", str(address)))
        return 200, [*contacts, *headers]

    return answer


OUTBOUND = (("Require", "outbound"), ("Flow-Timer", "60"))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, registrar: Registrar) -> None:
        self.registrar = registrar

    def connection_made(self, transport: Any) -> None:
        self.registrar.datagrams = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        registrar = self.registrar
        if data[:1] == b"\0":
            registrar.checks.append(asyncio.get_running_loop().time())
            if registrar.stun is not None:
                answer = binding_response(data, *registrar.stun(addr[:2]))
                assert answer is not None
                registrar.datagrams.sendto(answer, addr)
        elif data == b"\r\n\r\n":
            registrar.pings.append(asyncio.get_running_loop().time())
        else:
            registrar.message(data, addr[:2], lambda answer: registrar.datagrams.sendto(answer, addr))


class _Stream(asyncio.Protocol):
    def __init__(self, registrar: Registrar) -> None:
        self.registrar = registrar
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.registrar.connections.append(transport)
        self.registrar.accepted += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while self.buffer:
            if self.buffer.startswith(b"\r\n\r\n"):
                self.registrar.pings.append(asyncio.get_running_loop().time())
                self.buffer = self.buffer[4:]
                if self.registrar.pong:
                    self.transport.write(b"\r\n")
                continue
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self.buffer = rest
            peer = self.transport.get_extra_info("peername")[:2]
            self.registrar.message(head + end, peer, self.transport.write)


@asynccontextmanager
async def registrar(host: str = "127.0.0.1") -> AsyncIterator[Registrar]:
    """One that listens, UDP and TCP on the same port."""
    made = Registrar(host)
    loop = asyncio.get_running_loop()
    while True:
        await loop.create_datagram_endpoint(lambda: _Datagrams(made), local_addr=(host, 0))
        try:
            server = await loop.create_server(lambda: _Stream(made), host, made.port)
            break
        except OSError:
            made.datagrams.close()
    try:
        yield made
    finally:
        made.hang_up()
        made.datagrams.close()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)
