"""A network for tests: packets of a talking source, lost, delayed, doubled and reordered as a seed says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ringback.media.rtp import Packet

FRAME = 160
RATE = 8000


@dataclass
class Talker:
    """A source of `duration` timestamp units a packet; payloads are the packets' numbers, so that sound can be told.

    drift   how much faster than it should the source's clock runs: 100e-6 is 100 parts in a million
    """

    ssrc: int = 0xA
    sequence: int = 65500
    timestamp: int = 2**32 - 4000
    duration: int = FRAME
    rate: int = RATE
    drift: float = 0.0

    def packet(self, number: int, skipped: int = 0) -> Packet:
        """The packet `number`, from 0; `skipped` timestamp units of silence came before it."""
        return Packet(
            0,
            self.sequence + number & 0xFFFF,
            self.timestamp + number * self.duration + skipped & 0xFFFFFFFF,
            self.ssrc,
            number.to_bytes(4, "big"),
        )

    def sent(self, number: int) -> float:
        """When the packet `number` leaves, in seconds."""
        return number * self.duration / self.rate / (1 + self.drift)


@dataclass
class Network:
    """What happens to packets, by chances from 0 to 1 and times in seconds; `jitter` is the longest delay added."""

    seed: int
    loss: float = 0.0
    jitter: float = 0.0
    duplicated: float = 0.0
    delay: float = 0.05

    def arrivals(self, talker: Talker, count: int) -> list[tuple[float, Packet]]:
        """Arrival times and packets in order of arrival: later packets overtake when the jitter lets them."""
        chance = random.Random(self.seed)
        found: list[tuple[float, int, Packet]] = []
        for number in range(count):
            for _ in range(1 + (chance.random() < self.duplicated)):
                arrival = talker.sent(number) + self.delay + chance.random() * self.jitter
                if chance.random() >= self.loss:
                    found.append((arrival, number, talker.packet(number)))
        return [(arrival, packet) for arrival, _, packet in sorted(found, key=lambda entry: entry[:2])]


def number_of(packet: Packet) -> int:
    """Which packet of its talker this is."""
    return int.from_bytes(packet.payload, "big")


def merged(*arrivals: list[tuple[float, Packet]]) -> Iterator[tuple[float, Packet]]:
    """Several sources on one port, in order of arrival."""
    yield from sorted((entry for each in arrivals for entry in each), key=lambda entry: entry[0])
