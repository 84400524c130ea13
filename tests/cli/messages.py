"""Requests over UDP for a server that is looked at, as text."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.cli.processes import DOMAIN

_NUMBERS = itertools.count(1)


@contextmanager
def phone(port: int) -> Iterator[socket.socket]:
    """A socket that speaks with the server on `port`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", port))
        sock.settimeout(20)
        yield sock


def ask(sock: socket.socket, method: str, user: str, *lines: str) -> str:
    """Send a request for `user` with further header lines; the final response."""
    number, own = next(_NUMBERS), sock.getsockname()[1]
    target = f"sip:{DOMAIN}" if method == "REGISTER" else f"sip:{user}@{DOMAIN}"
    head = [
        f"{method} {target} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK-{own}-{number}",
        f"From: <sip:{user}@{DOMAIN}>;tag={number}",
        f"To: <sip:{user}@{DOMAIN}>",
        f"Call-ID: call-{user}",
        f"CSeq: {number} {method}",
        "Max-Forwards: 70",
        *lines,
        "Content-Length: 0",
    ]
    sock.send("\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape"))
    while True:
        response = sock.recv(65535).decode("utf-8", "surrogateescape")
        if not response.startswith("SIP/2.0 1"):
            return response


def register(port: int, user: str, *contacts: str, agent: str = "Test/1") -> None:
    """Register a user at some Contacts."""
    with phone(port) as sock:
        lines = [f"Contact: <{contact}>" for contact in contacts]
        response = ask(sock, "REGISTER", user, *lines, "Expires: 3600", f"User-Agent: {agent}")
        assert response.startswith("SIP/2.0 200 "), response
