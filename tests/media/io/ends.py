"""Two ends of a stream over the loopback, for the tests of transports."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from ringback.media.io.sockets import bind
from ringback.media.io.srtp import SrtpKeys
from ringback.media.io.transport import Remote, Transport, TransportOptions

PATIENCE = 10.0
#: Away from what the kernel hands out, so that a stranger's socket is never one of a pair.
PORTS = (20000, 29999)
SUITE = "AES_CM_128_HMAC_SHA1_80"


def rtp(sequence: int, source: int = 1, payload: bytes = b"sound of a call") -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160 & 0xFFFFFFFF, source) + payload


def rtcp(source: int = 1) -> bytes:
    """An empty receiver report."""
    return struct.pack("!BBHI", 0x80, 201, 1, source)


async def one_turn() -> None:
    """Let the loop look at its sockets once."""
    await asyncio.sleep(0)


class End:
    """One transport, and what it has handed up."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self._changed = asyncio.Event()
        transport.on_rtp = self._heard(self.rtp)
        transport.on_rtcp = self._heard(self.rtcp)

    def _heard(self, packets: list[bytes]) -> Any:
        def heard(data: bytes, arrival: float) -> None:
            assert arrival <= asyncio.get_running_loop().time()
            packets.append(data)
            self._changed.set()

        return heard

    @property
    def address(self) -> tuple[str, int]:
        parameters = self.transport.parameters()
        return (parameters.address, parameters.port)

    async def heard(self, rtp: int, rtcp: int = 0) -> None:
        """Wait until so many packets have been handed up."""
        async with asyncio.timeout(PATIENCE):
            while len(self.rtp) < rtp or len(self.rtcp) < rtcp:
                self._changed.clear()
                await self._changed.wait()

    async def counted(self, name: str, number: int) -> None:
        """Wait until `name` has been counted `number` times; each turn of the loop reads what has come."""
        async with asyncio.timeout(PATIENCE):
            while getattr(self.transport.counts, name) < number:
                await one_turn()
        assert getattr(self.transport.counts, name) == number


async def opened(**options: Any) -> End:
    settings = {"address": "127.0.0.1", "ports": PORTS, **options}
    return End(await Transport.open(TransportOptions(**settings)))


@asynccontextmanager
async def ends(here: dict[str, Any] | None = None, there: dict[str, Any] | None = None) -> AsyncIterator[list[End]]:
    """Two open ends that do not know of each other yet."""
    both = [await opened(**(here or {})), await opened(**(there or {}))]
    try:
        yield both
    finally:
        for end in both:
            end.transport.close()


def remote_of(end: End, **changes: Any) -> Remote:
    """What the SDP of `end` says."""
    parameters = end.transport.parameters()
    said = Remote(parameters.address, parameters.port, rtcp=(parameters.address, parameters.rtcp_port))
    return replace(said, **changes)


def sdes(here: End, there: End, suite: str = SUITE) -> tuple[SrtpKeys, SrtpKeys]:
    """The keys that both have agreed on, seen from each."""
    ours = dict(here.transport.parameters().crypto)[suite]
    theirs = dict(there.transport.parameters().crypto)[suite]
    return SrtpKeys(suite, ours, theirs), SrtpKeys(suite, theirs, ours)


async def connect(here: End, there: End, *, keys: bool = False, **changes: Any) -> None:
    """Let both know of each other."""
    ours, theirs = sdes(here, there) if keys else (None, None)
    await here.transport.start(remote_of(there, keys=ours, **changes))
    await there.transport.start(remote_of(here, keys=theirs, **changes))


class Stranger:
    """A plain socket of somebody else."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.sock = bind(host, 0)
        self.address: tuple[str, int] = self.sock.getsockname()[:2]

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        self.sock.sendto(data, to)

    def received(self) -> list[bytes]:
        """All that has come so far."""
        packets = []
        while True:
            try:
                packets.append(self.sock.recv(4000))
            except BlockingIOError:
                return packets
