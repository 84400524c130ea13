"""The addresses of this host that ICE candidates can be made of (RFC 8445 section 5.1.1.1)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

import ifaddr

from ringback.media.io.sockets import local_address

__all__ = ["MOST_ADDRESSES", "host_addresses", "usable_addresses"]

#: Addresses that are used; each is checked with each of the far end's.
MOST_ADDRESSES: Final = 6
# Addresses of the documentation, which lead anywhere: only the routing table is asked.
_SOMEWHERE: Final = ("192.0.2.1", "2001:db8::1")


def host_addresses() -> list[str]:
    """The addresses of all interfaces, those that packets to the world leave from first; the loopback one alone where
    there is nothing else.
    """
    preferred = [local_address(somewhere) for somewhere in _SOMEWHERE]
    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    # Those of IPv6 come with flow and scope.
    every = [ip if isinstance(ip, str) else ip[0] for ip in found]
    return usable_addresses([*preferred, *every]) or ["127.0.0.1"]


def usable_addresses(addresses: list[str]) -> list[str]:
    """Those of `addresses` that are of use, each once, in their order.

    5.1.1.1: "Addresses from a loopback interface MUST NOT be included", nor deprecated ones of IPv6 (site-local,
    IPv4-compatible, IPv4-mapped); link-local ones lead nowhere but to the next hop.
    """
    usable: list[str] = []
    for address in addresses:
        ip = ip_address(address)
        if ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast or address in usable:
            continue
        if ip.version == 6 and (ip.is_site_local or ip.ipv4_mapped is not None):
            continue
        usable.append(address)
    return usable[:MOST_ADDRESSES]
