"""A small authoritative name server on a loopback port, over UDP and TCP, which can also fail in several ways."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

SOA = "ns.example.org. admin.example.org. 1 3600 600 86400 60"


class Zone:
    """What the server knows.

    records   "KIND name" to (time to live, texts of the records)
    failing   names that get SERVFAIL
    silent    names that get no answer at all
    cut       names whose answers do not fit into a datagram
    lost      how many datagrams are ignored before the first answer
    soa       whether negative answers carry an SOA record (its own TTL 30, its MINIMUM 60)
    asked     "UDP|TCP KIND name" to how often
    """

    def __init__(self, records: Mapping[str, tuple[int, Sequence[str]]]) -> None:
        self.records = dict(records)
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.cut: set[str] = set()
        self.lost = 0
        self.soa = True
        self.asked: Counter[str] = Counter()
        self.heard = asyncio.Event()

    def answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        kind, name = dns.rdatatype.to_text(question.rdtype), question.name.to_text(omit_final_dot=True).lower()
        self.asked[f"{transport} {kind} {name}"] += 1
        self.heard.set()
        if self.lost > 0:
            self.lost -= 1
            return None
        if name in self.silent:
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name in self.cut and transport == "UDP":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, question.name, kind)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, owner: dns.name.Name, kind: str) -> None:
        while True:
            name = owner.to_text(omit_final_dot=True).lower()
            alias = self.records.get(f"CNAME {name}")
            if alias is None:
                break
            response.answer.append(dns.rrset.from_text(owner, alias[0], "IN", "CNAME", *alias[1]))
            owner = dns.name.from_text(alias[1][0])
        found = self.records.get(f"{kind} {name}")
        if found is not None:
            response.answer.append(dns.rrset.from_text(owner, found[0], "IN", kind, *found[1]))
            return
        if not any(key.endswith(f" {name}") for key in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if self.soa:
            zone = dns.name.from_text(name.split(".")[-2] + "." + name.split(".")[-1])
            response.authority.append(dns.rrset.from_text(zone, 30, "IN", "SOA", SOA))


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self.zone.answer(data, "UDP")
        if answer is not None:
            self.transport.sendto(answer, addr)


@asynccontextmanager
async def serving(zone: Zone) -> AsyncIterator[tuple[str, int]]:
    """The address and port at which `zone` is served."""

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (size,) = struct.unpack("!H", await reader.readexactly(2))
            answer = zone.answer(await reader.readexactly(size), "TCP")
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(stream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Datagrams(zone), local_addr=("127.0.0.1", port)
    )
    try:
        yield "127.0.0.1", port
    finally:
        transport.close()
        server.close()
        await server.wait_closed()
