"""How many connections one source may hold."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ringback.errors import ConfigurationError


class Admission:
    """Counts connections by source: an IPv4 address, or the IPv6 /64 that one subscriber has.

    limit    connections at once from one source
    exempt   networks ("192.0.2.0/24") whose sources have no limit

    Raises ConfigurationError when `exempt` holds what is no network.
    """

    __slots__ = ("_counts", "_exempt", "_limit")

    def __init__(self, limit: int, exempt: Sequence[str] = ()) -> None:
        self._limit = limit
        self._exempt = [_network(text) for text in exempt]
        self._counts: dict[str, int] = {}

    def configure(self, limit: int, exempt: Sequence[str]) -> None:
        """Have other limits from now on; what is counted stays counted. Raises ConfigurationError as above."""
        self._exempt = [_network(text) for text in exempt]
        self._limit = limit

    def enter(self, host: str) -> bool:
        """Count a connection from `host`, an IP literal; False, and not counted, when its source holds enough."""
        source = _source(host)
        count = self._counts.get(source, 0)
        if count >= self._limit and not self._is_exempt(host):
            return False
        self._counts[source] = count + 1
        return True

    def leave(self, host: str) -> None:
        """A connection that was counted is gone."""
        source = _source(host)
        count = self._counts[source] - 1
        if count:
            self._counts[source] = count
        else:
            # One entry a source that is here, not one a source that ever was.
            del self._counts[source]

    def count(self, host: str) -> int:
        """How many connections the source of `host` holds."""
        return self._counts.get(_source(host), 0)

    def _is_exempt(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return any(address in network for network in self._exempt)


def _source(host: str) -> str:
    if ":" not in host:
        return host
    # The first four groups of eight: 2001:0db8:0000:0001.
    return ip_address(host.partition("%")[0]).exploded[:19]


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigurationError(f"a network without connection limit: {error}") from error
