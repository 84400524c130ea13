"""A stream that is negotiated and protected, but not rendered here: its packets are passed on as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ringback.media.io.leg import Leg
from ringback.media.io.transport import Transport
from ringback.sdp.attributes import receives, sends
from ringback.sdp.formats import Codec

__all__ = ["CarriedLeg", "carried_codecs"]


class CarriedLeg(Leg):
    """See `backend.CarriedStream`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.on_packet: Callable[[bytes, float], None] | None = None
        self.on_control: Callable[[bytes, float], None] | None = None
        self.withheld = 0

    @property
    def active(self) -> bool:
        """Whether it was agreed."""
        return self.agreed is not None and self.agreed.active

    @property
    def formats(self) -> Mapping[int, str]:
        """The rtpmap of each payload type that may be sent, best first; empty while nothing is agreed."""
        agreed = self.agreed
        if agreed is None or not agreed.active:
            return {}
        return {codec.payload_type: codec.rtpmap for codec in (*agreed.codecs, *agreed.auxiliary)}

    def opened(self, transport: Transport) -> None:
        """Pass on what comes on a new transport."""
        transport.on_rtp = self._packet
        transport.on_rtcp = self._control

    def _packet(self, data: bytes, arrival: float) -> None:
        agreed = self.agreed
        if agreed is None or not agreed.active or not receives(agreed.direction) or self.on_packet is None:
            self.withheld += 1
        else:
            self.on_packet(data, arrival)

    def _control(self, data: bytes, arrival: float) -> None:
        if self.on_control is not None:
            self.on_control(data, arrival)

    def send(self, packet: bytes) -> bool:
        """Send an RTP packet; False when it may not go (hold, nothing agreed) or was not sent."""
        agreed, transport = self.agreed, self.transport
        if agreed is None or not agreed.active or not sends(agreed.direction) or transport is None:
            return False
        return transport.send_rtp(packet)

    def send_control(self, packet: bytes) -> bool:
        """Send a compound RTCP packet; False when it was not sent."""
        transport = self.transport
        return self.active and transport is not None and transport.send_rtcp(packet)


def carried_codecs(rtpmaps: tuple[str, ...]) -> tuple[Codec, ...]:
    """Codecs of rtpmaps such as "VP8/90000", without payload types; what cannot be read is left out."""
    found: list[Codec] = []
    for rtpmap in rtpmaps:
        name, _, rest = rtpmap.partition("/")
        rate, _, channels = rest.partition("/")
        if name and rate.isdecimal() and (not channels or channels.isdecimal()):
            found.append(Codec(name, int(rate), int(channels or 1)))
    return tuple(found)
