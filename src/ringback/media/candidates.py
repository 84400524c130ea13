"""ICE candidates of our own, and the numbers that order them and their pairs (RFC 8445 sections 5.1 and 6.1.2.3).

What SDP says of a candidate is `ringback.sdp.ice.Candidate`; here is what only its owner knows: the base that packets
leave from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from ringback.media.stun import Address
from ringback.sdp.ice import Candidate

__all__ = [
    "HOST",
    "MOST_REMOTE",
    "PEER_REFLEXIVE",
    "RELAYED",
    "SERVER_REFLEXIVE",
    "LocalCandidate",
    "candidate_priority",
    "foundation",
    "pair_priority",
    "same_family",
    "usable",
    "without_redundant",
]

HOST: Final = "host"
SERVER_REFLEXIVE: Final = "srflx"
PEER_REFLEXIVE: Final = "prflx"
RELAYED: Final = "relay"

#: Candidates of the far end that are looked at, those that are learnt from its checks included.
MOST_REMOTE: Final = 64

# 5.1.2.2: "RECOMMENDED values are 126 for host candidates, 100 for server-reflexive candidates, 110 for peer-reflexive
# candidates, and 0 for relayed candidates."
_PREFERENCES: Final = {HOST: 126, PEER_REFLEXIVE: 110, SERVER_REFLEXIVE: 100, RELAYED: 0}


@dataclass(frozen=True, slots=True)
class LocalCandidate:
    """A candidate of ours.

    base      where its packets leave from: the address itself for host and relayed ones
    related   what SDP tells besides (raddr, rport): the base of a reflexive one, the mapped address of a relayed one
    """

    component: int
    kind: str
    address: Address
    base: Address
    priority: int
    foundation: str
    related: Address | None = None

    def described(self) -> Candidate:
        """As SDP has it."""
        related = self.related or ("", 0)
        host, port = self.address
        return Candidate(
            self.foundation, self.component, "udp", self.priority, host, port, self.kind, related[0], related[1]
        )


def candidate_priority(kind: str, component: int, preference: int = 65535) -> int:
    """The formula of section 5.1.2.1. `preference` (0 to 65535) tells addresses of one kind apart, best highest."""
    return (_PREFERENCES[kind] << 24) + (preference << 8) + (256 - component)


def pair_priority(controlling: int, controlled: int) -> int:
    """Of the priorities of both candidates (section 6.1.2.3), which both agents compute alike."""
    least, most = sorted((controlling, controlled))
    return (least << 32) + 2 * most + (1 if controlling > controlled else 0)


def foundation(kind: str, base: str, server: str = "") -> str:
    """The same for candidates of one kind, base address and server (section 5.1.1.3), so that their checks wait for
    each other. `base` is the address without its port.
    """
    return hashlib.sha256(f"{kind} {base} {server}".encode()).hexdigest()[:8]


def same_family(one: str, other: str) -> bool:
    """Whether two IP literals can talk: both IPv4 or both IPv6, link-local ones only with each other (6.1.2.2)."""
    first, second = ip_address(one.partition("%")[0]), ip_address(other.partition("%")[0])
    return first.version == second.version and (first.version == 4 or first.is_link_local == second.is_link_local)


def usable(candidate: Candidate) -> bool:
    """Whether a candidate of the far end can be checked at all.

    Names (RFC 8839 section 5.1 allows them, mDNS writes them) are not looked up; TCP is not spoken.
    """
    if candidate.transport.lower() != "udp" or not 0 < candidate.port < 65536 or candidate.component not in (1, 2):
        return False
    try:
        ip = ip_address(candidate.address)
    except ValueError:
        return False
    return not (ip.is_multicast or ip.is_unspecified or candidate.address == "255.255.255.255")


def without_redundant(candidates: Iterable[LocalCandidate]) -> Sequence[LocalCandidate]:
    """Best first, without those that have address and base of a better one (section 5.1.3)."""
    kept: dict[tuple[int, Address, Address], LocalCandidate] = {}
    for candidate in sorted(candidates, key=lambda each: -each.priority):
        kept.setdefault((candidate.component, candidate.address, candidate.base), candidate)
    return list(kept.values())
