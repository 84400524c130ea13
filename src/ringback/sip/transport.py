"""The rules of the transport layer that need no socket (RFC 3261 section 18).

A `Flow` says over what a message came or has to go; only `ringback.net` knows the socket behind it. A `Listener` is one
place at which this element can be reached: it gives the Via `sent-by` and the Record-Route URI of what leaves through
it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

#: Transports on which every message goes through a connection.
STREAMS: Final = frozenset(("TCP", "TLS", "WS", "WSS"))

#: Transports that protect what they carry.
SECURE: Final = frozenset(("TLS", "WSS"))

#: RFC 3261 18.1.1: "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the path
#: MTU is unknown, the request MUST be sent using an RFC 2914 congestion controlled transport protocol, such as TCP."
LARGEST_DATAGRAM_REQUEST: Final = 1300

_OCTET: Final = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_ADDRESS: Final = re.compile(rf"({_OCTET})(?:\.{_OCTET}){{3}}\Z")

DEFAULT_PORTS: Final[dict[str, int]] = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WS": 80, "WSS": 443}


class Flow:
    """Where a message came from, or where it has to go.

    transport   "UDP", "TCP", "TLS", "WS" or "WSS"
    local       the id of the listening socket, such as "udp:127.0.0.1:5060"; "" means any that fits
    host, port  the peer's address: an IP literal without brackets
    connection  0 for datagrams and for a stream not yet open (it is then opened, or one to the same peer is reused);
                above 0 that very connection and never another
    name        the domain that a TLS peer has to prove or has proved (RFC 5922), or ""
    """

    __slots__ = ("connection", "host", "local", "name", "port", "transport")

    def __init__(self, transport: str, local: str, host: str, port: int, connection: int = 0, name: str = "") -> None:
        self.transport: str = transport
        self.local: str = local
        self.host: str = host
        self.port: int = port
        self.connection: int = connection
        self.name: str = name

    def key(self) -> tuple[str, str, int, int, str]:
        """What makes two flows the same, whichever socket they leave by."""
        return (self.transport, self.host, self.port, self.connection, self.name)

    def __repr__(self) -> str:
        tail = f"#{self.connection}" if self.connection else ""
        return f"{self.transport.lower()}:{bracketed(self.host)}:{self.port}{tail}"


class Listener:
    """One place at which this element can be reached.

    id          as `Flow.local` names it, such as "tcp:127.0.0.1:5060"
    transport   "UDP" … "WSS"
    host, port  what is written in Via and Record-Route: an address or a domain that leads here
    """

    __slots__ = ("host", "id", "port", "sent_by", "transport", "uri_tail", "via_head")

    def __init__(self, id: str, transport: str, host: str, port: int) -> None:
        self.id: str = id
        self.transport: str = transport
        self.host: str = host
        self.port: int = port
        self.sent_by: str = f"{bracketed(host)}:{port}"
        self.via_head: str = f"Via: SIP/2.0/{transport} {self.sent_by};branch="
        # UDP is what a sip: URI means when it names no transport.
        tail = ";lr" if transport == "UDP" else f";transport={transport.lower()};lr"
        self.uri_tail: str = f"{self.sent_by}{tail}"


def bracketed(host: str) -> str:
    """The host as it stands in a URI or Via: an IPv6 address in brackets (RFC 3261 25.1, IPv6reference)."""
    if ":" in host and not host.startswith("["):
        return f"[{host}]"
    return host


def is_address(host: str) -> bool:
    """Whether `host` is an IP literal (IPv6 with or without brackets) rather than a name."""
    if ":" in host:
        return True
    last = host.rpartition(".")[2]
    # A top label starts with a letter (RFC 3261 25.1), so a last label of digits means an IPv4 address.
    return last.isdigit() and host.count(".") == 3


def is_inward(host: str) -> bool:
    """Whether what is sent to an IP literal stays on the machine that sends it, or goes to nobody in particular.

    A literal that is none by the rules, such as 0177.0.0.1, counts as inward: the C library takes it for an address.
    """
    if ":" not in host:
        plain = _PLAIN_ADDRESS.match(host)
        if plain is None:
            return True
        first = int(plain.group(1))
        return first == 127 or first == 0 or first >= 224
    try:
        address = ipaddress.IPv6Address(host.strip("[]").partition("%")[0])
    except ValueError:
        return True
    if address.ipv4_mapped is not None:
        return is_inward(str(address.ipv4_mapped))
    return address.is_loopback or address.is_unspecified or address.is_multicast
