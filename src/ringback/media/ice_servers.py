"""The STUN and TURN servers that a user names, as URIs (RFC 7064, 7065).

    stun:stun.example.org            stun:[2001:db8::3]:3479
    turn:user:password@turn.example.org:3478?transport=tcp            turns:user:password@turn.example.org

RFC 7065 has no credentials in the URI; here they stand before the host, with %-escapes where they hold "@" or ":".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote

from ringback.errors import LocalError

__all__ = ["IceServer", "parse_server"]

_URI: Final = re.compile(
    r"(?P<scheme>stun|turn|turns):(?://)?(?:(?P<user>[^:@\s]*):(?P<password>[^@\s]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@\[\]?\s/]+)(?::(?P<port>[0-9]{1,5}))?(?:\?transport=(?P<transport>udp|tcp))?\Z"
)
_PORTS: Final = {"stun": 3478, "turn": 3478, "turns": 5349}


@dataclass(frozen=True, slots=True)
class IceServer:
    """One server; `transport` is how we talk to it, what it relays is always UDP."""

    kind: Literal["stun", "turn"]
    host: str
    port: int
    transport: Literal["udp", "tcp", "tls"] = "udp"
    username: str = ""
    password: str = field(default="", repr=False)


def parse_server(uri: str) -> IceServer:
    """The server that `uri` names. Raises LocalError, without showing the password."""
    match = _URI.match(uri)
    if match is None:
        scheme = uri.partition(":")[0][:10]
        raise LocalError(f"a URI that begins with {scheme!r} is not stun:host or turn:user:password@host?transport=udp")
    scheme, user = match["scheme"], match["user"]
    port = int(match["port"] or _PORTS[scheme])
    if not 0 < port < 65536:
        raise LocalError(f"{port} is no port")
    host = match["host"].strip("[]")
    if scheme == "stun":
        if user is not None or match["transport"] == "tcp":
            raise LocalError("stun: takes neither credentials nor another transport than UDP")
        return IceServer("stun", host, port)
    if not user:
        raise LocalError("turn: needs credentials, as turn:user:password@host")
    transport: Literal["udp", "tcp", "tls"] = "tls" if scheme == "turns" else "udp"
    if scheme == "turns" and match["transport"] == "udp":
        raise LocalError("turns: goes over TCP")
    if scheme == "turn" and match["transport"] == "tcp":
        transport = "tcp"
    return IceServer("turn", host, port, transport, unquote(user), unquote(match["password"]))
