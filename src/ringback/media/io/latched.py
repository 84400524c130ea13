"""Symmetric RTP on a transport: from where plain packets are taken, by one latch for RTP and RTCP (RFC 4961, 7362)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final

from ringback.media.demultiplex import RTCP, kind
from ringback.media.io.sockets import Address
from ringback.media.latching import Latch
from ringback.media.rtp import HEADER_LENGTH

__all__ = ["LatchedSources"]

#: Sequence number and SSRC, from the third octet on.
_NUMBERS: Final = Struct("!H4xI").unpack_from


class LatchedSources:
    """Makes the source filters of one transport (`TransportOptions.sources`).

    `aim` has to be told of the address of RTP before the transport is: filters are asked for by address alone, and that
    of RTCP goes with the same latch.
    """

    def __init__(self, clock: Callable[[], float], trusted: Iterable[str] = ()) -> None:
        self._clock = clock
        self._rtp: Address | None = None
        self.latch = Latch(None, clock(), trusted=trusted)

    def aim(self, rtp: Address) -> None:
        """SDP names this address for RTP."""
        self._rtp = rtp
        # RFC 3264 8.4: an address of zeros is no address.
        named = rtp[1] != 0 and rtp[0] not in ("0.0.0.0", "::")
        self.latch.signal(rtp if named else None, self._clock())

    def __call__(self, address: Address) -> LatchedSource | LatchedControl:
        """The filter for a component of which SDP names this address."""
        return LatchedSource(self.latch, address) if address == self._rtp else LatchedControl(self.latch, address)


class LatchedSource:
    """Of RTP, and of RTCP on its port."""

    __slots__ = ("_latch", "_named")

    def __init__(self, latch: Latch, named: Address) -> None:
        self._latch = latch
        self._named = named

    @property
    def destination(self) -> Address:
        """Where our packets go now."""
        return self._latch.destination or self._named

    def accept(self, source: Address, data: bytes, now: float) -> bool:
        """Whether the packet is taken."""
        if len(data) < HEADER_LENGTH or kind(data) == RTCP:
            return self._latch.accept_control(source)
        sequence, ssrc = _NUMBERS(data, 2)
        return self._latch.accept(source, ssrc, sequence, now)


class LatchedControl:
    """Of RTCP on a port of its own."""

    __slots__ = ("_latch", "_named")

    def __init__(self, latch: Latch, named: Address) -> None:
        self._latch = latch
        self._named = named

    @property
    def destination(self) -> Address:
        """Where our packets go now."""
        return self._latch.control_destination(self._named) or self._named

    def accept(self, source: Address, data: bytes, now: float) -> bool:
        """Whether the packet is taken."""
        return self._latch.accept_control(source)
