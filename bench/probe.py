"""A caller and an answerer in one, which time single calls to the microsecond.

sipp's clock moves in steps of 4 ms on Linux, too coarse for a latency of a few hundred microseconds: sipp makes the
load, this probe rides in it and is timed. It calls itself, through the proxy or directly, with the same load around
it; so what the proxy adds is the difference.
"""

from __future__ import annotations

import select
import socket
import time
from collections import defaultdict
from dataclasses import dataclass, field

from bench.process import BenchError
from bench.sipp import DOMAIN

SDP = (
    "v=0\r\no=probe 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


@dataclass
class Latencies:
    """Times in ms from sending the INVITE."""

    ringing: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    sent: int = 0

    def lost(self) -> int:
        """Calls that were never answered."""
        return self.sent - len(self.answered)


class Probe:
    """Calls the user `probe` at a steady rate, answers as that user, and notes the times."""

    def __init__(self, target: int | None) -> None:
        """Calls go through 127.0.0.1:`target`, where the probe registers; with None directly from socket to socket."""
        self.answering = _socket()
        self.answering_port = int(self.answering.getsockname()[1])
        self.calling = _socket()
        self.port = int(self.calling.getsockname()[1])
        self.target = ("127.0.0.1", self.answering_port if target is None else target)
        self.sent_at: dict[str, float] = {}
        self.found = Latencies()
        if target is not None:
            self._register()

    def close(self) -> None:
        """Close the sockets."""
        self.calling.close()
        self.answering.close()

    def run(self, rate: float, seconds: float) -> Latencies:
        """Call `rate` times a second for `seconds`, then wait up to 2 s for the last answers."""
        start = time.perf_counter()
        count = int(rate * seconds)
        while self.found.sent < count:
            self._listen_until(start + self.found.sent / rate)
            self._invite(self.found.sent)
        deadline = time.perf_counter() + 2.0
        while self.found.lost() and time.perf_counter() < deadline:
            self._listen_until(time.perf_counter() + 0.01)
        return self.found

    def _listen_until(self, due: float) -> None:
        while (left := due - time.perf_counter()) > 0:
            for sock in select.select([self.answering, self.calling], [], [], left)[0]:
                now = time.perf_counter()
                try:
                    data, source = sock.recvfrom(65535)
                except BlockingIOError:
                    continue
                if sock is self.answering:
                    self._request(data.decode(), source)
                else:
                    self._response(data.decode(), now)

    def _register(self) -> None:
        request = (
            f"REGISTER sip:{DOMAIN} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.answering_port};branch=z9hG4bKregister\r\n"
            f"From: <sip:probe@{DOMAIN}>;tag=r\r\nTo: <sip:probe@{DOMAIN}>\r\nCall-ID: {self.answering_port}@probe\r\n"
            f"CSeq: 1 REGISTER\r\nContact: <sip:probe@127.0.0.1:{self.answering_port}>\r\nMax-Forwards: 70\r\n"
            "Expires: 3600\r\nContent-Length: 0\r\n\r\n"
        )
        self.answering.sendto(request.encode(), self.target)
        ready = select.select([self.answering], [], [], 5.0)[0]
        if not ready or not self.answering.recv(65535).startswith(b"SIP/2.0 200"):
            raise BenchError("the probe could not be registered")

    def _invite(self, number: int) -> None:
        call = f"{self.port}-{number}@probe"
        request = (
            f"INVITE sip:probe@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bKi{number}\r\n"
            f"From: <sip:probe@127.0.0.1:{self.port}>;tag=p{number}\r\nTo: <sip:probe@{DOMAIN}>\r\nCall-ID: {call}\r\n"
            f"CSeq: 1 INVITE\r\nContact: <sip:probe@127.0.0.1:{self.port}>\r\nMax-Forwards: 70\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}"
        )
        self.found.sent += 1
        self.sent_at[call] = time.perf_counter()
        self.calling.sendto(request.encode(), self.target)

    def _request(self, text: str, source: tuple[str, int]) -> None:
        """What the answerer does: 180 and 200 to an INVITE, 200 to a BYE, nothing to an ACK."""
        method = text.partition(" ")[0]
        if method not in ("INVITE", "BYE"):
            return
        headers = _headers(text)
        lines = [
            f"{name}: {value}"
            for name in ("Via", "Record-Route", "From", "Call-ID", "CSeq")
            for value in headers[name.lower()]
        ]
        to = headers["to"][0] + ("" if "tag=" in headers["to"][0] else ";tag=a")
        lines += [f"To: {to}", f"Contact: <sip:probe@127.0.0.1:{self.answering_port}>"]
        common = "\r\n".join(lines)
        if method == "INVITE":
            self.answering.sendto(f"SIP/2.0 180 Ringing\r\n{common}\r\nContent-Length: 0\r\n\r\n".encode(), source)
            body = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}"
        else:
            body = "Content-Length: 0\r\n\r\n"
        self.answering.sendto(f"SIP/2.0 200 OK\r\n{common}\r\n{body}".encode(), source)

    def _response(self, text: str, now: float) -> None:
        if not text.startswith("SIP/2.0 "):
            return
        headers = _headers(text)
        call = headers["call-id"][0]
        if "INVITE" not in headers["cseq"][0]:
            return  # the 200 to our BYE: the call is over
        began = self.sent_at.get(call)
        if text.startswith("SIP/2.0 180") and began is not None:
            self.found.ringing.append((now - began) * 1000)
        elif text.startswith("SIP/2.0 200"):
            if began is not None:
                self.found.answered.append((now - began) * 1000)
                del self.sent_at[call]
            self._end(headers)

    def _end(self, headers: defaultdict[str, list[str]]) -> None:
        """ACK, and BYE at once: what comes after the answer is not timed."""
        target = headers["contact"][0].partition("<")[2].partition(">")[0]
        routes = "".join(f"Route: {route}\r\n" for route in reversed(headers["record-route"]))
        number = headers["call-id"][0].partition("-")[2].partition("@")[0]
        for method, sequence in (("ACK", 1), ("BYE", 2)):
            request = (
                f"{method} {target} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bK{method.lower()}{number}\r\n{routes}"
                f"From: {headers['from'][0]}\r\nTo: {headers['to'][0]}\r\nCall-ID: {headers['call-id'][0]}\r\n"
                f"CSeq: {sequence} {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
            self.calling.sendto(request.encode(), self.target)


def _headers(text: str) -> defaultdict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in text.partition("\r\n\r\n")[0].split("\r\n")[1:]:
        name, _, value = line.partition(":")
        found[name.strip().lower()].append(value.strip())
    return found


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock
