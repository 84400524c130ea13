"""`ringback run`: a SIP domain on this machine alone, to try things out: nothing to configure, two accounts."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ringback.errors import ConfigurationError

if TYPE_CHECKING:
    from ringback.server.runtime import Server

__all__ = ["run"]

DOMAIN: Final = "localhost"
HOST: Final = "127.0.0.1"
USERS: Final = ("alice", "bob")
#: 12 letters and digits that nobody takes for one another: 59 bits.
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_PASSWORD_LENGTH: Final = 12


def run(
    data: Annotated[Path, typer.Option("--data", help="The folder for what is kept.")] = Path("data"),
    port: Annotated[int, typer.Option(help="The port for UDP and TCP; the next free one when it is taken.")] = 5060,
) -> None:
    """Serve a demo domain on the loopback addresses, with the accounts alice and bob."""
    from ringback.net.certificates import self_signed_certificate
    from ringback.server.config import load
    from ringback.server.runtime import Server
    from ringback.server.runtime import run as serve

    certificate, key = self_signed_certificate(data / "tls", DOMAIN, (HOST, "::1"))
    sip = _free(port, socket.SOCK_DGRAM, socket.SOCK_STREAM)
    ports = {"udp": sip, "tcp": sip, "tls": _free(sip + 1), "ws": _free(8088)}
    ports["wss"] = _free(max(8089, ports["ws"] + 1))
    listen = [f"{transport}:{HOST}:{number}" for transport, number in ports.items()]
    if _binds("::1", sip, socket.SOCK_DGRAM) and _binds("::1", sip, socket.SOCK_STREAM):
        listen += [f"udp:[::1]:{sip}", f"tcp:[::1]:{sip}"]
    options: dict[str, Any] = {
        "domain": DOMAIN,
        "data": data,
        "listen": listen,
        "tls": {"certificate": certificate, "key": key},
        # Many soft phones still know no other algorithm and give up at a challenge that names one. All that is said
        # here stays on this machine.
        "authentication": {"algorithms": ["MD5"]},
        "web": {"listen": f"{HOST}:{_free(8060)}"},
    }
    server = Server(load(None, options), reload=lambda: load(None, options))
    passwords = asyncio.run(_make_accounts(data))
    serve(server, ready=lambda started: _say_ready(started, ports, data, passwords))


async def _make_accounts(data: Path) -> dict[str, str]:
    """Make the accounts that are missing; their passwords by user."""
    from ringback.server import accounts
    from ringback.store import open_store

    made: dict[str, str] = {}
    store = await open_store(data, access="accounts")
    try:
        for user in USERS:
            if await store.accounts.get(user, DOMAIN) is None:
                made[user] = "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))
                await accounts.add(store.accounts, user, DOMAIN, DOMAIN, made[user], time.time())
    finally:
        await store.close()
    return made


def _free(wanted: int, *kinds: int) -> int:
    """The first port from `wanted` on that can be bound. Raises ConfigurationError when a hundred are taken."""
    for number in range(wanted, min(wanted + 100, 65536)):
        if all(_binds(HOST, number, kind) for kind in kinds or (socket.SOCK_STREAM,)):
            return number
    raise ConfigurationError(f"--port: no port from {wanted} on is free; allowed: one of 1 to 65535 that is")


def _binds(host: str, port: int, kind: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, kind) as sock:
            if kind == socket.SOCK_STREAM:
                # As the listener does: connections that have just ended do not block their port.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
    except (OSError, OverflowError):
        return False
    return True


def _say_ready(server: Server, ports: dict[str, int], data: Path, passwords: dict[str, str]) -> None:
    for line in welcome(ports, data, passwords):
        print(line)
    print(f"ringback: listening on {', '.join(server.places)}")
    print("ringback: ready", flush=True)


def welcome(ports: dict[str, int], data: Path, passwords: dict[str, str]) -> list[str]:
    """What a person needs to register a phone; `passwords` are those that were made just now."""
    place = HOST if ports["udp"] == 5060 else f"{HOST}:{ports['udp']}"
    change = f"ringback user password alice --domain {DOMAIN} --data {data} --password-stdin"
    alice = passwords.get("alice", "PASSWORD")
    lines = ["", "A SIP domain on this machine alone. Accounts:", ""]
    for user in USERS:
        address = f"sip:{user}@{place}"
        lines.append(f"    {address:<28} password {passwords.get(user, 'as it was shown when it was made')}")
    lines += [
        "",
        f"The passwords are shown once. A new one: {change}" if passwords else f"A new password: {change}",
        "",
        "Register a soft phone:",
        "",
        f"    any         user alice, domain or server {HOST}, port {ports['udp']} (UDP or TCP), {ports['tls']} (TLS)",
        f"    baresip     /uanew <sip:alice@{place}>;auth_pass={alice}",
        f"    linphonec   register sip:alice@{place} sip:{place} {alice}",
        "                (first, see README: its sip_port, sip_tcp_port and sip_tls_port have to be -1)",
        f"    a browser   ws://{HOST}:{ports['ws']} or wss://{HOST}:{ports['wss']} as sip:alice@{place}",
        "",
        f"The certificate for TLS is {data / 'tls' / 'certificate.pem'}: it is made here, so phones have to be told to",
        f"trust it. Register bob with another phone and call sip:bob@{place}. To watch: ringback trace --data {data}.",
        "Ctrl-C ends the server.",
        "",
    ]
    return lines
