"""A server in this process, on loopback ports that the kernel chooses, and telephones that reach it by real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from ringback.server.accounts import add
from ringback.server.config import load
from ringback.server.logs import make_logger
from ringback.server.runtime import Server
from ringback.server.settings import Log, Settings
from ringback.sip.digest import Credentials, parse_challenge
from ringback.sip.digest_hash import ha1, request_digest
from ringback.sip.message import Request, Response
from ringback.sip.parser import parse
from ringback.store import open_store

#: How long a test waits for what has to happen, in seconds; only a failing test waits so long.
PATIENCE = 10.0
DOMAIN = "example.org"
LISTEN = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"]


def password_of(user: str) -> str:
    return f"the secret of {user}"


async def make_accounts(folder: Path, *users: str) -> None:
    """Accounts in the store that a server will open."""
    store = await open_store(folder, access="accounts", synchronous="NORMAL")
    for user in users:
        await add(store.accounts, user, DOMAIN, DOMAIN, password_of(user), 0.0)
    await store.close()


def configured(folder: Path, **options: Any) -> Settings:
    """Settings for a server that keeps its data in `folder`, without web unless `options` say otherwise."""
    given = {"domain": DOMAIN, "listen": LISTEN, "data": folder, "web": {"enabled": False}}
    return load(None, given | {"location": {"synchronous": "NORMAL"}} | options)


def toml(folder: Path, text: str = "", **top: Any) -> Path:
    """A configuration file in `folder` with such a server, and `text` at its end."""
    file = folder / "ringback.toml"
    values = {"domain": DOMAIN, "listen": LISTEN, "data": "data", **top}
    head = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    file.write_text(f"{head}web.enabled = false\n{text}")
    return file


class Logs:
    """What a server logs, as JSON."""

    def __init__(self) -> None:
        self._stream = StringIO()
        self.logger = make_logger(Log(level="debug", format="json"), self._stream)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        """The entries about `event`, without their time."""
        found = [entry for entry in self.entries if entry["event"] == event]
        for entry in found:
            del entry["timestamp"]
        return found


@asynccontextmanager
async def started(server: Server) -> AsyncIterator[Server]:
    """A server that serves, without its signals; nothing of it may be left when it has ended."""
    before = asyncio.all_tasks()
    await server.start()
    try:
        yield server
    finally:
        await server.close()
        assert asyncio.all_tasks() - {asyncio.current_task()} <= before


async def until(happened: Callable[[], object]) -> None:
    """Let the event loop turn until `happened()`."""
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


def port_of(server: Server, transport: str = "udp") -> int:
    [place] = [place for place in server.places if place.startswith(f"{transport}:")]
    return int(place.rpartition(":")[2])


class Phone:
    """A telephone with one socket; it does as it is told, and no more."""

    def __init__(self, user: str, transport: str) -> None:
        self.user = user
        self.transport = transport
        self.place = ""
        self.cseq = 0
        self.closed = asyncio.Event()
        self._came: asyncio.Queue[bytes] = asyncio.Queue(100)
        self._wire: Any = None

    @classmethod
    @asynccontextmanager
    async def of(cls, server: Server, user: str = "alice", transport: str = "UDP") -> "AsyncIterator[Phone]":
        phone = cls(user, transport)
        address = ("127.0.0.1", port_of(server, transport.lower()))
        loop = asyncio.get_running_loop()
        if transport == "UDP":
            phone._wire, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(phone), remote_addr=address)
        else:
            phone._wire, _ = await loop.create_connection(lambda: _Stream(phone), *address)
        phone.place = "{}:{}".format(*phone._wire.get_extra_info("sockname")[:2])
        try:
            yield phone
        finally:
            phone._wire.abort()

    def came(self, data: bytes) -> None:
        self._came.put_nowait(data)

    def send(self, data: bytes) -> None:
        if self.transport == "UDP":
            self._wire.sendto(data)
        else:
            self._wire.write(data)

    def request(
        self,
        method: str,
        uri: str,
        *extra: str,
        call_id: str = "",
        to: str = "",
        branch: str = "",
        body: bytes = b"",
        cseq: int = 0,
        sender: str = "",
        contact: str = "",
    ) -> bytes:
        self.cseq += 1
        cseq = cseq or self.cseq
        own = f"sip:{self.user}@{DOMAIN}"
        about = own if method == "REGISTER" else uri
        branch = branch or f"z9hG4bK{self.user}{self.cseq}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.transport} {self.place};branch={branch};rport",
            *extra,
            "Max-Forwards: 70",
            f"From: <{sender or own}>;tag=from-{self.user}",
            f"To: {to or f'<{about}>'}",
            f"Call-ID: {call_id or f'call-of-{self.user}'}",
            f"CSeq: {cseq} {method}",
            f"Contact: {contact or f'<sip:{self.user}@{self.place}>'}",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def receive(self) -> Request | Response:
        async with asyncio.timeout(PATIENCE):
            return parse(await self._came.get())

    async def response(self) -> Response:
        """The next response that is not provisional."""
        while True:
            message = await self.receive()
            assert isinstance(message, Response)
            if message.status >= 200:
                return message

    async def incoming(self) -> Request:
        message = await self.receive()
        assert isinstance(message, Request)
        return message

    @property
    def silent(self) -> bool:
        return self._came.empty()

    async def ask(self, method: str, uri: str, *extra: str, **changed: Any) -> Response:
        """The final response to a request without credentials."""
        self.send(self.request(method, uri, *extra, **changed))
        return await self.response()

    def credentials(self, challenged: Response, method: str, uri: str, password: str = "") -> str:
        """The header line that answers a challenge."""
        name = "proxy-authenticate" if challenged.status == 407 else "www-authenticate"
        challenge = parse_challenge(challenged.all(name)[0])
        assert challenge is not None
        algorithm = challenge.algorithm or "MD5"
        key = ha1(self.user, challenge.realm, password or password_of(self.user), algorithm)
        response = request_digest(key, algorithm, method, uri, challenge.nonce, "00000001", "c0ffee", "auth", b"")
        written = Credentials(
            self.user, challenge.realm, challenge.nonce, uri, response, algorithm, "c0ffee", "00000001", "auth"
        ).write()
        return f"{'Proxy-' if challenged.status == 407 else ''}Authorization: {written}"

    async def proved(self, method: str, uri: str, *extra: str, **changed: Any) -> bytes:
        """A request with credentials that will be good; the challenge is fetched for it."""
        challenged = await self.ask(method, uri, *extra, **changed)
        assert challenged.status in (401, 407)
        if method == "INVITE":
            via = challenged.via
            self.send(
                self.request(
                    "ACK", uri, to=challenged.header("to"), branch=via.branch, cseq=challenged.cseq.number, **changed
                )
            )
        return self.request(method, uri, self.credentials(challenged, method, uri), *extra, **changed)

    async def register(self, *extra: str, **changed: Any) -> Response:
        self.send(await self.proved("REGISTER", f"sip:{DOMAIN}", *extra, **changed))
        return await self.response()

    def answer(self, request: Request, status: int) -> None:
        """Answer a request that has come."""
        lines = [f"SIP/2.0 {status} Answer"]
        for name, line in zip(request.names, request.lines, strict=True):
            if name in ("via", "from", "call-id", "cseq", "record-route"):
                lines.append(line)
            elif name == "to":
                lines.append(f"{line};tag=to-{self.user}")
        lines += [f"Contact: <sip:{self.user}@{self.place}>", "Content-Length: 0"]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, phone: Phone) -> None:
        self.phone = phone

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.phone.came(data)


class _Stream(asyncio.Protocol):
    """Frames messages without bodies, which is all that comes here."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        *whole, self.buffer = self.buffer.split(b"\r\n\r\n")
        for message in whole:
            self.phone.came(message + b"\r\n\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.phone.closed.set()
