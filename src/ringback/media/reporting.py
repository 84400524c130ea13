"""The RTCP of one stream: what to send and when, and what to make of what comes (RFC 3550 6).

    data = reporting.advance(now, ntp, chance)      at `deadline`; None: not yet, ask again at the new one
    packets = reporting.heard(data, now, ntp)       a datagram of the other side
    data = reporting.goodbye(now, ntp)              at the end

`now` is the monotonic clock's time, `ntp` that of the wall clock (`rtcp.ntp_time`), `chance` a random number from 0 up
to and without 1.
"""

from __future__ import annotations

from typing import Final

from ringback.media.reception import Reception
from ringback.media.rtcp import (
    Bye,
    ExtendedReport,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    encode_rtcp,
    middle,
    parse_rtcp,
)
from ringback.media.rtcp_interval import MINIMUM, Schedule
from ringback.media.sender import Sender
from ringback.media.xr import Block, Dlrr, DlrrEntry, ReceiverReferenceTime, VoipMetrics

__all__ = ["Reporting"]

# 6.2: "It is RECOMMENDED that the fraction of the session bandwidth added for RTCP be fixed at 5%."
_RTCP_SHARE: Final = 0.05


class Reporting:
    """The reports of one stream and its other direction, between two parties.

    dropped   datagrams that were no RTCP
    gone      the other side's BYE for the source that is heard: its reason (may be empty), else None
    """

    __slots__ = (
        "_cname",
        "_extended",
        "_packets_before",
        "_packets_last",
        "_reception",
        "_reduced",
        "_reference",
        "_reference_at",
        "_reference_ssrc",
        "_reported",
        "_schedule",
        "_sender",
        "dropped",
        "gone",
    )

    def __init__(
        self,
        sender: Sender,
        reception: Reception,
        cname: str,
        now: float,
        chance: float,
        bandwidth: float = 10000.0,
        minimum: float = MINIMUM,
        reduced: bool = False,
        extended: bool = False,
    ) -> None:
        """`bandwidth`: of the media, octets a second; `extended`: the other side reads RFC 3611 (`a=rtcp-xr`)."""
        self._sender = sender
        self._reception = reception
        self._cname = cname
        self._reduced = reduced
        self._extended = extended
        self._schedule = Schedule(bandwidth * _RTCP_SHARE, now, chance, minimum=minimum)
        # Packets sent when the last report was sent, and the one before it.
        self._packets_last = 0
        self._packets_before = 0
        self._reported = False
        self._reference = 0
        self._reference_at = 0.0
        self._reference_ssrc = 0
        self.dropped = 0
        self.gone: str | None = None

    @property
    def deadline(self) -> float:
        """When to call `advance` next."""
        return self._schedule.deadline

    @property
    def _we_sent(self) -> bool:
        """6.3: "true if the application has sent data since the 2nd previous RTCP report was transmitted"."""
        return self._sender.packets > self._packets_before

    def _counts(self) -> tuple[int, int]:
        """Members and senders, ourselves included."""
        other = self._reception.source is not None and self.gone is None
        return 1 + other, int(self._we_sent) + other

    def advance(self, now: float, ntp: int, chance: float, metrics: VoipMetrics | None = None) -> bytes | None:
        """The compound packet to send now, if one is due; with `metrics` of what is heard when they may be sent."""
        if now < self._schedule.deadline:
            return None
        members, senders = self._counts()
        if not self._schedule.due(now, members, senders, self._we_sent, chance):
            return None
        data = encode_rtcp(self._compound(now, ntp, metrics))
        self._schedule.sent(len(data), now, members, senders, self._we_sent, chance)
        self._packets_before, self._packets_last = self._packets_last, self._sender.packets
        self._reported = True
        return data

    def _compound(self, now: float, ntp: int, metrics: VoipMetrics | None) -> list[RtcpPacket]:
        """6.1: a report first, and a CNAME in every compound packet."""
        sender = self._sender
        block = self._reception.block(now)
        blocks: tuple[ReportBlock, ...] = () if block is None else (block,)
        # 6.4: "The SR is issued if a site has sent any data packets during the interval since issuing the last report
        # or the previous one, otherwise the RR is issued."
        sending = self._we_sent
        report: RtcpPacket = sender.report(ntp, now, blocks) if sending else ReceiverReport(sender.ssrc, blocks)
        compound = [report, SourceDescription.of(sender.ssrc, self._cname)]
        if self._extended:
            extended = self._extended_blocks(now, ntp, sending, metrics)
            if extended:
                compound.append(ExtendedReport(sender.ssrc, extended))
        return compound

    def _extended_blocks(self, now: float, ntp: int, sending: bool, metrics: VoipMetrics | None) -> tuple[Block, ...]:
        blocks: list[Block] = []
        if not sending:
            # RFC 3611 4.4: "so that non-senders may also send timestamps".
            blocks.append(ReceiverReferenceTime(ntp))
        if self._reference:
            delay = min(0xFFFFFFFF, int((now - self._reference_at) * 65536))
            blocks.append(Dlrr((DlrrEntry(self._reference_ssrc, self._reference, delay),)))
        if metrics is not None:
            blocks.append(metrics)
        return tuple(blocks)

    def heard(self, data: bytes, now: float, ntp: int) -> list[RtcpPacket]:
        """The packets of a datagram, after all that concerns this stream was taken from them; empty: it is dropped."""
        packets = parse_rtcp(data, self._reduced)
        if packets is None:
            self.dropped += 1
            return []
        self._schedule.heard(len(data))
        for packet in packets:
            if isinstance(packet, SenderReport):
                self._reception.reported(packet, now)
                self._blocks(packet.blocks, now, ntp)
            elif isinstance(packet, ReceiverReport):
                self._blocks(packet.blocks, now, ntp)
            elif isinstance(packet, ExtendedReport):
                self._read_extended(packet, now, ntp)
            elif isinstance(packet, Bye):
                if self._reception.goodbye(packet.sources):
                    self.gone = packet.reason
                    self._schedule.left(now, 1)
        return packets

    def _blocks(self, blocks: tuple[ReportBlock, ...], now: float, ntp: int) -> None:
        for block in blocks:
            if block.ssrc == self._sender.ssrc:
                self._sender.delivery.reported(block, ntp, now)

    def _read_extended(self, report: ExtendedReport, now: float, ntp: int) -> None:
        for block in report.blocks:
            if isinstance(block, ReceiverReferenceTime):
                self._reference = middle(block.ntp)
                self._reference_at = now
                self._reference_ssrc = report.ssrc
            elif isinstance(block, Dlrr):
                for entry in block.entries:
                    if entry.ssrc == self._sender.ssrc:
                        self._sender.delivery.answered(entry, ntp)
            elif isinstance(block, VoipMetrics):
                if block.source == self._sender.ssrc:
                    self._sender.delivery.metrics = block

    def heard_again(self) -> None:
        """The other side's sound goes on after a BYE, with another source."""
        self.gone = None

    def goodbye(self, now: float, ntp: int, reason: str = "") -> bytes:
        """The last compound packet. Empty when nothing was ever sent: 6.3.7: it "MUST NOT send a BYE packet" then."""
        if not self._reported and not self._sender.packets:
            return b""
        return encode_rtcp([*self._compound(now, ntp, None), Bye((self._sender.ssrc,), reason)])
