"""Who a message comes from, as far as addresses and names tell: networks, sources, and addresses of record of ours."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

from ringback.errors import ConfigurationError
from ringback.sip.grammar import unescape
from ringback.sip.route import Self
from ringback.sip.uri import Uri

#: Answers that `Networks` keeps; more than that and it starts anew.
_KEPT: Final = 4096
#: How the IPv6 form of an IPv4 address begins (RFC 4291 2.5.5.2).
_MAPPED: Final = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"
_LONGEST_NAME: Final = 16
#: RFC 3323 4.1.1.3: "the hostname value 'anonymous.invalid' SHOULD be used for anonymous URIs".
_ANONYMOUS: Final = "anonymous.invalid"


def packed(host: str) -> bytes:
    """The octets of an IP literal, 4 for an IPv4 address in IPv6 form; empty for what is no literal."""
    try:
        if ":" not in host:
            return socket.inet_pton(socket.AF_INET, host)
        octets = socket.inet_pton(socket.AF_INET6, host.strip("[]").partition("%")[0])
    except (OSError, ValueError):
        return b""
    return octets[12:] if octets.startswith(_MAPPED) else octets


def source_key(host: str) -> bytes:
    """What counts as one source: an IPv4 address, or the /64 that an IPv6 address is in. 4 to 16 octets.

    Whoever has one IPv6 address has all 2**64 of its network.
    """
    octets = packed(host)
    if octets:
        return octets[:8] if len(octets) == 16 else octets
    return host.encode("utf-8", "surrogateescape")[:_LONGEST_NAME].ljust(5, b"\0")


class Networks:
    """A set of networks, asked whether an address is in one of them. The answer costs one look-up, most of the time."""

    __slots__ = ("_answers", "_masks")

    def __init__(self, networks: Sequence[str]) -> None:
        """`networks` are such as "192.0.2.0/24" or "2001:db8::1". Raises ConfigurationError."""
        #: Length of the address, mask and network.
        self._masks: list[tuple[int, int, int]] = []
        self._answers: dict[str, bool] = {}
        for text in networks:
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError as error:
                raise ConfigurationError(f"not a network: {text!r}") from error
            length = 4 if network.version == 4 else 16
            self._masks.append((length, int(network.netmask), int(network.network_address)))

    def __bool__(self) -> bool:
        return bool(self._masks)

    def contains(self, host: str) -> bool:
        """Whether an IP literal is in one of the networks; a name is in none."""
        answer = self._answers.get(host)
        if answer is None:
            if not self._masks:
                return False
            answer = self._look(host)
            if len(self._answers) >= _KEPT:
                self._answers = {}
            self._answers[host] = answer
        return answer

    def spares(self, source: bytes) -> bool:
        """Whether a `source_key` is in one of the networks, or one of them in it: ::1 is, as part of ::/64."""
        if len(source) != 4 and len(source) != 8:
            return False
        length = 4 if len(source) == 4 else 16
        # What a source keeps of an address.
        kept = int.from_bytes((b"\xff" * len(source)).ljust(length, b"\0"), "big")
        number = int.from_bytes(source.ljust(length, b"\0"), "big")
        return any(size == length and number & mask == network & kept for size, mask, network in self._masks)

    def _look(self, host: str) -> bool:
        octets = packed(host)
        number = int.from_bytes(octets, "big")
        for length, mask, network in self._masks:
            if length == len(octets) and number & mask == network:
                return True
        return False


class Domains:
    """The domains of this server, and whom an address of record stands for.

    names  the main domain first
    """

    __slots__ = ("_known", "main", "names")

    def __init__(self, names: Sequence[str]) -> None:
        """Raises ConfigurationError when there is none."""
        if not names:
            raise ConfigurationError("at least one domain is needed")
        self.names: tuple[str, ...] = tuple([name.lower() for name in names])
        self.main: str = self.names[0]
        self._known: frozenset[str] = frozenset(self.names)

    def domain_of(self, uri: Uri, element: Self) -> str:
        """The domain of ours that a URI claims, or "".

        An address of this server stands for the main domain, and so does a telephone number, which names no domain:
        here it is the name of a user (`Proxy`).
        """
        if uri.scheme == "tel":
            return self.main
        if not uri.is_sip:
            return ""
        host = uri.host.rstrip(".")
        if host in self._known:
            return host
        if "maddr" in uri.parameters:
            # Anybody could be anybody from anywhere by an address of ours in maddr.
            return ""
        return self.main if element.owns(uri) else ""

    def account_of(self, uri: Uri, element: Self) -> str:
        """The account that a URI claims to be, "user@domain"; "" when it is none of ours."""
        domain = self.domain_of(uri, element)
        if not domain or not uri.user:
            return ""
        user = uri.aor() if uri.scheme == "tel" else unescape(uri.user)
        return f"{user}@{domain}"


def is_anonymous(uri: Uri) -> bool:
    """Whether a From hides who sends (RFC 3323)."""
    return uri.host == _ANONYMOUS
