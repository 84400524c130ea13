"""What a transport counts: what came and went, and why something did not."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

__all__ = ["Counts"]


@dataclass(slots=True)
class Counts:
    """Numbers of packets of one transport so far.

    received       RTP and RTCP packets handed up
    sent           RTP and RTCP packets given to the kernel
    unsent         packets that were not sent: no address, no keys yet, too long, or not taken by the kernel
    foreign        plain packets, or handshake messages, from a source that is not the far end's
    early          packets that came before anybody could tell whether they are the far end's
    refused        protected packets that failed authentication; plain ones where keys are required are among them
    replayed       protected packets that came twice or far too late
    unknown        datagrams that are nothing that belongs here (RFC 7983)
    oversized      datagrams longer than any packet
    failed         reads of a socket that ended in an error
    handshake      messages of DTLS handshakes taken in
    checks         STUN messages taken in
    """

    received: int = 0
    sent: int = 0
    unsent: int = 0
    foreign: int = 0
    early: int = 0
    refused: int = 0
    replayed: int = 0
    unknown: int = 0
    oversized: int = 0
    failed: int = 0
    handshake: int = 0
    checks: int = 0

    def copy(self) -> Counts:
        """These numbers as they are now."""
        return replace(self)

    def as_dict(self) -> dict[str, int]:
        """Name to number."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
