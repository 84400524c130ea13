"""Loads many bindings by REGISTER as fast as the server takes them, and times look-ups meanwhile.

The flood keeps a fixed number of requests in the server's hands, so it never overruns it. The look-ups are OPTIONS to a
user whose phone is this program: the time until the forwarded request arrives here is the time of a look-up with all
that delays it, the server's pauses above all.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.process import BenchError
from bench.sipp import DOMAIN

WINDOW = 64
RETRY_SECONDS = 1.0
LOOKUP_SECONDS = 0.01


@dataclass
class Loading:
    """What happened while the bindings were loaded."""

    seconds: float = 0.0
    lookups_ms: list[float] = field(default_factory=list)
    """Time from sending each OPTIONS to its arrival at the user's phone."""
    retries: int = 0


class Flood:
    """REGISTER for the users `prefix`0 … and OPTIONS to one user, both over UDP to 127.0.0.1:`target`."""

    def __init__(self, target: int, prefix: str = "m") -> None:
        self.prefix = prefix
        self.registering = _socket(target)
        self.registering_port = int(self.registering.getsockname()[1])
        self.phone = _socket(target)
        self.phone_port = int(self.phone.getsockname()[1])
        self.lookups_sent: dict[bytes, float] = {}
        self.loading = Loading()
        self.next_lookup = 0.0
        self.lookup_number = 0

    def close(self) -> None:
        """Close the sockets."""
        self.registering.close()
        self.phone.close()

    def run(self, count: int, seconds: float, log: Callable[[str], None]) -> Loading:
        """Register `count` users. BenchError when it is not done in `seconds`, or when one is refused."""
        self.register_phone()
        began = time.perf_counter()
        waiting: dict[int, float] = {}
        sent = done = 0
        said = began
        while done < count:
            while len(waiting) < WINDOW and sent < count:
                waiting[sent] = self._register(f"{self.prefix}{sent}", sent, self.registering, 5070)
                sent += 1
            now = time.perf_counter()
            self._look_up(now)
            ready = select.select([self.registering, self.phone], [], [], LOOKUP_SECONDS)[0]
            if self.phone in ready:
                self._answer_phone()
            if self.registering in ready:
                done += self._confirmations(waiting)
            now = time.perf_counter()
            if not ready:
                self._retry(waiting, now)
            if now - said > 10:
                said = now
                log(f"      {done:,} of {count:,} bindings, {done / (now - began):,.0f}/s")
            if now - began > seconds:
                raise BenchError(f"{done} of {count} bindings after {seconds:.0f} s")
        self.loading.seconds = time.perf_counter() - began
        return self.loading

    def register_phone(self) -> None:
        """Register the user `phone` at this program's own socket. BenchError when that fails."""
        self._register("phone", 0, self.phone, self.phone_port)
        if not select.select([self.phone], [], [], 5.0)[0] or not self.phone.recv(65535).startswith(b"SIP/2.0 200"):
            raise BenchError("the user for the look-ups could not be registered")

    def look_up(self, user: str, seconds: float) -> float | None:
        """Ask for `user` once; the milliseconds until the request arrives at this program's phone, None when never."""
        self.lookups_sent.clear()
        self._options(user, time.perf_counter())
        before = len(self.loading.lookups_ms)
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            if select.select([self.phone], [], [], 0.05)[0]:
                self._answer_phone()
            if len(self.loading.lookups_ms) > before:
                return self.loading.lookups_ms[-1]
        return None

    def _register(self, user: str, number: int, sock: socket.socket, contact_port: int) -> float:
        own = self.registering_port if sock is self.registering else self.phone_port
        request = (
            f"REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{user}-{number}\r\n"
            f"From: <sip:{user}@{DOMAIN}>;tag=f{number}\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: {user}-{own}@flood\r\n"
            f"CSeq: 1 REGISTER\r\nContact: <sip:{user}@127.0.0.1:{contact_port}>\r\nMax-Forwards: 70\r\n"
            f"User-Agent: Example Phone/4.2\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
        )
        sock.send(request.encode())
        return time.perf_counter()

    def _confirmations(self, waiting: dict[int, float]) -> int:
        done = 0
        for _ in range(WINDOW):
            try:
                data = self.registering.recv(65535)
            except BlockingIOError:
                break
            start = data.find(b";branch=z9hG4bK" + self.prefix.encode()) + 16
            number = int(data[data.index(b"-", start) + 1 :].split(b"\r", 1)[0].split(b";", 1)[0])
            if not data.startswith(b"SIP/2.0 200"):
                raise BenchError(f"binding {number} was refused: {data.splitlines()[0].decode()}")
            if waiting.pop(number, None) is not None:  # a retry may be confirmed twice
                done += 1
        return done

    def _retry(self, waiting: dict[int, float], now: float) -> None:
        for number, at in list(waiting.items()):
            if now - at > RETRY_SECONDS:
                waiting[number] = self._register(f"{self.prefix}{number}", number, self.registering, 5070)
                self.loading.retries += 1

    def _look_up(self, now: float) -> None:
        if now >= self.next_lookup:
            self.next_lookup = now + LOOKUP_SECONDS
            self._options("phone", now)

    def _options(self, user: str, now: float) -> None:
        self.lookup_number += 1
        call = f"{self.lookup_number}@lookup"
        request = (
            f"OPTIONS sip:{user}@{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.phone_port};branch=z9hG4bKo{self.phone_port}-{self.lookup_number}\r\n"
            f"From: <sip:flood@127.0.0.1>;tag=o\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: {call}\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        self.lookups_sent[call.encode()] = now
        self.phone.send(request.encode())

    def _answer_phone(self) -> None:
        """Take the OPTIONS that arrived for the phone, note how long each took, and answer it."""
        for _ in range(WINDOW):
            now = time.perf_counter()
            try:
                data = self.phone.recv(65535)
            except BlockingIOError:
                return
            if not data.startswith(b"OPTIONS "):
                continue
            lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            call = next(line for line in lines if line.lower().startswith(b"call-id:")).partition(b":")[2].strip()
            sent = self.lookups_sent.pop(call, None)
            if sent is not None:
                self.loading.lookups_ms.append((now - sent) * 1000)
            kept = [
                line for line in lines if line.lower().startswith((b"via:", b"from:", b"to:", b"call-id:", b"cseq:"))
            ]
            self.phone.send(b"SIP/2.0 200 OK\r\n" + b"\r\n".join(kept) + b"\r\nContent-Length: 0\r\n\r\n")


def _socket(target: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.connect(("127.0.0.1", target))
    sock.setblocking(False)
    return sock
