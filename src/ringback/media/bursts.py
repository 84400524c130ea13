"""Whether losses come alone or in bursts (RFC 3611 4.7.2), which decides how they sound.

A burst is the longest run of packets that starts and ends with a loss and holds no 16 packets in a row that came; all
else is gap. The same events give the burst ratio of ITU-T G.107: how many times longer runs of lost packets are than
with losses that come independently.
"""

from __future__ import annotations

from typing import Final

__all__ = ["GAP_THRESHOLD", "Bursts"]

#: 4.7.2: "A Gmin value of 16 is RECOMMENDED".
GAP_THRESHOLD: Final = 16


class Bursts:
    """Told of every packet in order of its sequence number; each call is a few additions.

    received, lost, discarded    packets
    """

    __slots__ = (
        "_burst_losses",
        "_burst_packets",
        "_episode_losses",
        "_episode_packets",
        "_running",
        "_runs",
        "_since",
        "bursts",
        "discarded",
        "lost",
        "received",
    )

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self.discarded = 0
        #: Bursts that are over.
        self.bursts = 0
        self._burst_packets = 0
        self._burst_losses = 0
        # Of what may become a burst: from its first loss to its last one.
        self._episode_packets = 0
        self._episode_losses = 0
        # Packets that came since the last loss. "It is assumed that the RTP session is preceded and followed by at
        # least Gmin received packets".
        self._since = GAP_THRESHOLD
        # Runs of consecutive losses.
        self._runs = 0
        self._running = False

    def came(self) -> None:
        """A packet came and is used."""
        self.received += 1
        self._since += 1
        self._running = False

    def missed(self, discarded: bool = False) -> None:
        """A packet was lost by the network, or discarded here because it came too late or too early."""
        if discarded:
            self.discarded += 1
        else:
            self.lost += 1
        if not self._running:
            self._running = True
            self._runs += 1
        if self._since >= GAP_THRESHOLD:
            self._close()
            self._episode_packets = self._episode_losses = 1
        else:
            self._episode_packets += self._since + 1
            self._episode_losses += 1
        self._since = 0

    def came_late(self) -> None:
        """A packet that was told as lost came after all: it has been discarded."""
        if self.lost:
            self.lost -= 1
            self.discarded += 1

    def _close(self) -> None:
        """The episode is over: more than one loss makes it a burst; one alone belongs to the gap."""
        if self._episode_losses > 1:
            self.bursts += 1
            self._burst_packets += self._episode_packets
            self._burst_losses += self._episode_losses
        self._episode_packets = self._episode_losses = 0

    @property
    def packets(self) -> int:
        """All that should have come."""
        return self.received + self.lost + self.discarded

    def densities(self) -> tuple[float, float]:
        """The fractions of packets lost or discarded within bursts, and within gaps."""
        packets, losses, _ = self._so_far()
        gap_packets = self.packets - packets
        gap_losses = self.lost + self.discarded - losses
        return (losses / packets if packets else 0.0, gap_losses / gap_packets if gap_packets else 0.0)

    def durations(self, packet_time: float) -> tuple[float, float]:
        """The mean durations of bursts and of gaps, in the unit of `packet_time`, as A.2 computes them."""
        packets, _, count = self._so_far()
        gaps = (self.packets - packets) * packet_time
        return (packets * packet_time / count, gaps / count) if count else (0.0, gaps)

    def _so_far(self) -> tuple[int, int, int]:
        """Packets and losses in bursts, and bursts, with the last episode as if it were over."""
        if self._episode_losses > 1:
            return (
                self._burst_packets + self._episode_packets,
                self._burst_losses + self._episode_losses,
                self.bursts + 1,
            )
        return self._burst_packets, self._burst_losses, self.bursts

    @property
    def ratio(self) -> float:
        """BurstR of G.107: 1 for independent losses, more for bursts."""
        losses = self.lost + self.discarded
        if not self._runs or not self.received:
            return 1.0
        # With independent losses at the rate p, runs have a mean length of 1 / (1 - p).
        return max(1.0, losses / self._runs * (1 - losses / self.packets))
