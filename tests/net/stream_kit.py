"""What the tests of stream connections share: a clock moved by hand, certificates, and who is told what happens."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringback.errors import ParseError
from ringback.net.streams import Connections
from ringback.sip.transport import Flow

#: How long a test waits for what has to happen, in seconds; only a failing test waits so long.
PATIENCE = 10.0


class HandTimer:
    """A timer that `HandClock` fires."""

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class HandClock:
    """A clock moved by hand, and the timers on it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[HandTimer] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> HandTimer:
        assert delay >= 0
        timer = HandTimer(self.now + delay, callback)
        self.timers.append(timer)
        self.made += 1
        return timer

    def pending(self) -> list[HandTimer]:
        self.timers = [timer for timer in self.timers if not timer.cancelled]
        return self.timers

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.pending() if timer.when <= end]:
            timer = min(due, key=lambda candidate: candidate.when)
            self.timers.remove(timer)
            self.now = max(self.now, timer.when)
            timer.callback()
        self.now = end


def message(body: bytes = b"", call: str = "1") -> bytes:
    """A request as it stands in a stream."""
    return (
        b"OPTIONS sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK" + call.encode() + b"\r\n"
        b"From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>\r\nCall-ID: " + call.encode() + b"\r\n"
        b"CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )


class Upward:
    """Stands where the endpoint stands: keeps what it is told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, Flow]] = []
        self.closed: list[Flow] = []
        self.failed: list[tuple[str, Flow, str]] = []
        self.malformed: list[tuple[bytes, Flow, ParseError]] = []
        self.answer: Callable[[bytes, Flow], None] | None = None
        self.answer_malformed: Callable[[bytes, Flow, ParseError], None] | None = None
        self._changed = asyncio.Event()

    def on_message(self, data: bytes, flow: Flow) -> None:
        self.messages.append((data, flow))
        self._changed.set()
        if self.answer is not None:
            self.answer(data, flow)

    def on_closed(self, flow: Flow) -> None:
        self.closed.append(flow)
        self._changed.set()

    def on_failed(self, key: str, flow: Flow, reason: str) -> None:
        self.failed.append((key, flow, reason))
        self._changed.set()

    def on_malformed(self, head: bytes, flow: Flow, error: ParseError) -> None:
        self.malformed.append((head, flow, error))
        self._changed.set()
        if self.answer_malformed is not None:
            self.answer_malformed(head, flow, error)

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until `happened()` is true, looking whenever something is told."""
        async with asyncio.timeout(PATIENCE):
            while not happened():
                self._changed.clear()
                await self._changed.wait()

    @property
    def bodies(self) -> list[bytes]:
        """The messages' octets."""
        return [data for data, _ in self.messages]


@asynccontextmanager
async def connections(**settings: Any) -> AsyncIterator[tuple[Connections, Upward]]:
    """Connections and who they tell; at the end nothing of them may be left."""
    before = asyncio.all_tasks()
    upward = Upward()
    streams = Connections(
        on_message=upward.on_message,
        on_closed=upward.on_closed,
        on_failed=upward.on_failed,
        on_malformed=upward.on_malformed,
        **settings,
    )
    try:
        yield streams, upward
    finally:
        await streams.close()
        assert streams.count == 0
        assert streams.buffered == 0
        assert asyncio.all_tasks() <= before


async def settled(happened: Callable[[], object]) -> None:
    """Let the event loop turn until `happened()`; for what nobody is told of."""
    async with asyncio.timeout(PATIENCE):
        while not happened():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other side closes; a reset ends it too."""
    pieces: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        try:
            while piece := await reader.read(65536):
                pieces.append(piece)
        except ConnectionResetError:
            pieces.append(b"<reset>")
    return b"".join(pieces)


async def exactly(reader: asyncio.StreamReader, data: bytes) -> None:
    """Wait for as many octets as `data` has; they have to be these."""
    async with asyncio.timeout(PATIENCE):
        assert await reader.readexactly(len(data)) == data


class Authority:
    """A certificate authority of the test's own, which writes PEM files into `folder`."""

    def __init__(self, folder: Path, name: str = "Test authority") -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self.name, self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: tuple[int, int] = (-1, 30)
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now + timedelta(days=days[0]),
            not_valid_after=now + timedelta(days=days[1]),
        )

    def issue(
        self, file: str, *names: x509.GeneralName, common_name: str = "nobody", days: tuple[int, int] = (-1, 30)
    ) -> tuple[Path, Path]:
        """The files (certificate, key) of a certificate for `names`, valid between two days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = self._builder(subject, key.public_key(), days)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate_file = self.folder / f"{file}.pem"
        key_file = self.folder / f"{file}.key"
        certificate = builder.sign(self.key, hashes.SHA256())
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_file, key_file


def sip(domain: str) -> x509.UniformResourceIdentifier:
    """A subjectAltName that names a SIP domain."""
    return x509.UniformResourceIdentifier(f"sip:{domain}")


def dns(name: str) -> x509.DNSName:
    """A subjectAltName that names a host."""
    return x509.DNSName(name)


def trusting(authority: Authority) -> ssl.SSLContext:
    """A plain TLS client that trusts `authority` and asks for no name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.file)
    return context
