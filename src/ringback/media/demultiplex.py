"""What a datagram on a media port is, by its first two octets (RFC 7983 section 7, RFC 5761 section 4).

One port may carry STUN, DTLS, TURN channels, RTP and RTCP. Nothing is looked into here; what no range matches "MUST be
dropped" (RFC 7983).
"""

from __future__ import annotations

from typing import Final

__all__ = ["DTLS", "NAMES", "RTCP", "RTP", "STUN", "TURN_CHANNEL", "UNKNOWN", "ZRTP", "kind"]

UNKNOWN: Final = 0
RTP: Final = 1
RTCP: Final = 2
STUN: Final = 3
DTLS: Final = 4
TURN_CHANNEL: Final = 5
ZRTP: Final = 6

#: What to call a kind in counts and logs.
NAMES: Final = ("unknown", "RTP", "RTCP", "STUN", "DTLS", "TURN channel", "ZRTP")

# RFC 7983, figure 3: the ranges of the first octet.
_RANGES: Final = ((0, 3, STUN), (16, 19, ZRTP), (20, 63, DTLS), (64, 79, TURN_CHANNEL), (128, 191, RTP))
_BY_FIRST: Final = bytes(
    [next((kind for low, high, kind in _RANGES if low <= octet <= high), UNKNOWN) for octet in range(256)]
)


def kind(data: bytes) -> int:
    """One of the constants of this module."""
    # Shorter is neither RTP nor RTCP, nor anything else that has a port here.
    if len(data) < 2:
        return UNKNOWN
    found = _BY_FIRST[data[0]]
    # RFC 5761 4: RTCP packet types are kept to 192 to 223, so that only RTP payload types 64 to 95 (with the marker
    # bit: those plus 128) are blocked.
    if found == RTP and 192 <= data[1] <= 223:
        return RTCP
    return found
