"""RTCP extended reports (RFC 3611): the blocks that say more of a stream than a reception report can.

`parse_blocks` reads them, `encode()` of each writes it. Blocks of a type that is not known are kept as they came;
"An implementation SHOULD ignore incoming blocks with types not relevant or unknown to it" (section 4). A block that is
not what its type promises is left out, and the others count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias

__all__ = [
    "DUPLICATE_RLE",
    "LOSS_RLE",
    "UNAVAILABLE",
    "Block",
    "Dlrr",
    "DlrrEntry",
    "OtherBlock",
    "ReceiverReferenceTime",
    "RunLengths",
    "StatisticsSummary",
    "VoipMetrics",
    "parse_blocks",
]

LOSS_RLE: Final = 1
DUPLICATE_RLE: Final = 2
_REFERENCE_TIME: Final = 4
_DLRR: Final = 5
_STATISTICS: Final = 6
_VOIP_METRICS: Final = 7

#: 4.7.4 to 4.7.5: the value of a level, an R factor or a MOS that is not known.
UNAVAILABLE: Final = 127

# Blocks of one packet that are read; each takes at least four octets, and no sound packet has more than a handful.
_MOST_BLOCKS: Final = 64
# 4.1: "MUST NOT be used to report upon a range of 65,534 or greater in the sequence number space".
_LONGEST_TRACE: Final = 65533
_LONGEST_RUN: Final = 0x3FFF

_HEAD: Final = Struct("!BBH")
_RUNS: Final = Struct("!IHH")
_ENTRY: Final = Struct("!III")
_SUMMARY: Final = Struct("!IHHIIIIIIBBBB")
_METRICS: Final = Struct("!IBBBBHHHHbbBBBBBBBBHHH")


def _block(kind: int, specific: int, content: bytes) -> bytes:
    """A block with its header (section 3): its length in words does not count the first."""
    return _HEAD.pack(kind, specific, len(content) >> 2) + content


@dataclass(frozen=True, slots=True)
class RunLengths:
    """Loss RLE (4.1) and Duplicate RLE (4.2): a trace of one bit for each sequence number.

    `begin` is the first sequence number, `end` the one after the last. Only sequence numbers that are multiples of
    2 to the power of `thinning` are reported upon. `chunks` are the 16-bit chunks as they came.
    """

    kind: int
    source: int
    begin: int
    end: int
    chunks: bytes
    thinning: int = 0

    @classmethod
    def of(cls, kind: int, source: int, begin: int, trace: Sequence[bool]) -> RunLengths:
        """The block that says `trace` of the sequence numbers from `begin` on, without thinning."""
        chunks: list[int] = []
        at = 0
        while at < len(trace):
            run = at
            while run < len(trace) and run - at < _LONGEST_RUN and trace[run] == trace[at]:
                run += 1
            # 4.1.2: fifteen events fit into a bit vector, longer runs are shorter as a run.
            if run - at > 15:
                chunks.append((0x4000 if trace[at] else 0) | (run - at))
                at = run
                continue
            bits = 0
            for offset in range(15):
                bits = bits << 1 | (1 if at + offset < len(trace) and trace[at + offset] else 0)
            chunks.append(0x8000 | bits)
            at += 15
        # 4.1: "A null packet MUST appear at the end of a Loss RLE Report Block if the number of run length plus bit
        # vector chunks is odd."
        if len(chunks) % 2:
            chunks.append(0)
        octets = b"".join([chunk.to_bytes(2, "big") for chunk in chunks])
        return cls(kind, source, begin, (begin + len(trace)) & 0xFFFF, octets)

    def events(self) -> Iterator[tuple[int, bool]]:
        """Each sequence number that is reported upon, with its bit: received (Loss), or no duplicate (Duplicate).

        Ends where the range or the chunks end, whichever is first: never more than 65,533 events.
        """
        step = 1 << self.thinning
        count = (self.end - self.begin) & 0xFFFF
        if count > _LONGEST_TRACE:
            return
        number = self.begin + -self.begin % step
        last = self.begin + count
        for at in range(0, len(self.chunks) - 1, 2):
            chunk = self.chunks[at] << 8 | self.chunks[at + 1]
            if chunk & 0x8000:
                for bit in range(14, -1, -1):
                    # 4.1: bits beyond the last sequence number "MUST be ignored by the receiver".
                    if number >= last:
                        return
                    yield number & 0xFFFF, bool(chunk >> bit & 1)
                    number += step
            else:
                # A null chunk is a run of none.
                received = bool(chunk & 0x4000)
                for _ in range(chunk & _LONGEST_RUN):
                    if number >= last:
                        return
                    yield number & 0xFFFF, received
                    number += step

    def missing(self) -> list[int]:
        """The sequence numbers whose bit is zero: lost packets, or those that came more than once."""
        return [number for number, bit in self.events() if not bit]

    def encode(self) -> bytes:
        """The block as octets."""
        return _block(self.kind, self.thinning, _RUNS.pack(self.source, self.begin, self.end) + self.chunks)


@dataclass(frozen=True, slots=True)
class ReceiverReferenceTime:
    """4.4: the sender's NTP time, so that who only receives can learn the round trip too."""

    ntp: int

    def encode(self) -> bytes:
        """The block as octets."""
        return _block(_REFERENCE_TIME, 0, self.ntp.to_bytes(8, "big"))


@dataclass(frozen=True, slots=True)
class DlrrEntry:
    """For whom, the middle of the NTP time that it sent last, and how long ago that came in 1/65536 s."""

    ssrc: int
    last_rr: int
    delay: int


@dataclass(frozen=True, slots=True)
class Dlrr:
    """4.5: the answer to `ReceiverReferenceTime`."""

    entries: tuple[DlrrEntry, ...]

    def encode(self) -> bytes:
        """The block as octets."""
        content = b"".join([_ENTRY.pack(entry.ssrc, entry.last_rr, entry.delay) for entry in self.entries])
        return _block(_DLRR, 0, content)


@dataclass(frozen=True, slots=True)
class StatisticsSummary:
    """4.6: counts over the sequence numbers from `begin` up to, not including, `end`. None: not reported.

    jitter    minimum, maximum, mean and standard deviation, in timestamp units
    ttl       minimum, maximum, mean and standard deviation of time to live (or of the hop limit, with `ipv6`)
    """

    source: int
    begin: int
    end: int
    lost: int | None = None
    duplicated: int | None = None
    jitter: tuple[int, int, int, int] | None = None
    ttl: tuple[int, int, int, int] | None = None
    ipv6: bool = False

    def encode(self) -> bytes:
        """The block as octets."""
        flags = (
            (0x80 if self.lost is not None else 0)
            | (0x40 if self.duplicated is not None else 0)
            | (0x20 if self.jitter is not None else 0)
            | ((0x10 if self.ipv6 else 0x08) if self.ttl is not None else 0)
        )
        # "The fields corresponding to unreported parameters MUST be present, but are set to zero."
        jitter = self.jitter or (0, 0, 0, 0)
        ttl = self.ttl or (0, 0, 0, 0)
        content = _SUMMARY.pack(self.source, self.begin, self.end, self.lost or 0, self.duplicated or 0, *jitter, *ttl)
        return _block(_STATISTICS, flags, content)


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """4.7: how a call sounds to who sends this. Fractions are 256ths, times milliseconds, MOS tenths.

    signal_level, noise_level (dBm), echo_return_loss (dB), r_factor, external_r, mos_lq and mos_cq are `UNAVAILABLE`
    when they are not known. `configuration` is the RX config octet of 4.7.6.
    """

    source: int
    loss_rate: int = 0
    discard_rate: int = 0
    burst_density: int = 0
    gap_density: int = 0
    burst_duration: int = 0
    gap_duration: int = 0
    round_trip: int = 0
    end_system_delay: int = 0
    signal_level: int = UNAVAILABLE
    noise_level: int = UNAVAILABLE
    echo_return_loss: int = UNAVAILABLE
    gap_threshold: int = 16
    r_factor: int = UNAVAILABLE
    external_r: int = UNAVAILABLE
    mos_lq: int = UNAVAILABLE
    mos_cq: int = UNAVAILABLE
    configuration: int = 0
    buffer_nominal: int = 0
    buffer_maximum: int = 0
    buffer_absolute_maximum: int = 0

    def encode(self) -> bytes:
        """The block as octets; what is too large for its field is written as the field's largest value."""
        octets = (self.loss_rate, self.discard_rate, self.burst_density, self.gap_density)
        times = (self.burst_duration, self.gap_duration, self.round_trip, self.end_system_delay)
        ratings = (self.r_factor, self.external_r, self.mos_lq, self.mos_cq, self.configuration)
        buffer = (self.buffer_nominal, self.buffer_maximum, self.buffer_absolute_maximum)
        content = _METRICS.pack(
            self.source,
            *[_limited(value, 0xFF) for value in octets],
            *[_limited(value, 0xFFFF) for value in times],
            max(-128, min(self.signal_level, UNAVAILABLE)),
            max(-128, min(self.noise_level, UNAVAILABLE)),
            _limited(self.echo_return_loss, 0xFF),
            _limited(self.gap_threshold, 0xFF),
            *[_limited(value, 0xFF) for value in ratings],
            0,
            *[_limited(value, 0xFFFF) for value in buffer],
        )
        return _block(_VOIP_METRICS, 0, content)


def _limited(value: int, most: int) -> int:
    return most if value > most else max(value, 0)


@dataclass(frozen=True, slots=True)
class OtherBlock:
    """A block of a type that is not read here."""

    kind: int
    specific: int
    content: bytes

    def encode(self) -> bytes:
        """The block as octets."""
        return _block(self.kind, self.specific, self.content)


Block: TypeAlias = RunLengths | ReceiverReferenceTime | Dlrr | StatisticsSummary | VoipMetrics | OtherBlock


def parse_blocks(data: bytes, start: int, end: int) -> tuple[Block, ...] | None:
    """The blocks in `data` from `start` to `end`; None when their lengths do not add up to that."""
    blocks: list[Block] = []
    at = start
    while at < end:
        if at + 4 > end or len(blocks) == _MOST_BLOCKS:
            return None
        kind, specific, words = _HEAD.unpack_from(data, at)
        at += 4
        following = at + 4 * words
        if following > end:
            return None
        block = _read(kind, specific, data[at:following])
        if block is not None:
            blocks.append(block)
        at = following
    return tuple(blocks)


def _read(kind: int, specific: int, content: bytes) -> Block | None:
    """One block; None when it is of a known type and not what that type promises."""
    size = len(content)
    if kind == LOSS_RLE or kind == DUPLICATE_RLE:
        if size < _RUNS.size:
            return None
        source, begin, end = _RUNS.unpack_from(content)
        return RunLengths(kind, source, begin, end, content[_RUNS.size :], specific & 0x0F)
    if kind == _REFERENCE_TIME:
        return ReceiverReferenceTime(int.from_bytes(content, "big")) if size == 8 else None
    if kind == _DLRR:
        if size % _ENTRY.size:
            return None
        return Dlrr(tuple([DlrrEntry(*values) for values in _ENTRY.iter_unpack(content)]))
    if kind == _STATISTICS:
        return _summary(specific, content) if size == _SUMMARY.size else None
    if kind == _VOIP_METRICS:
        return _metrics(content) if size == _METRICS.size else None
    return OtherBlock(kind, specific, content)


def _summary(flags: int, content: bytes) -> StatisticsSummary | None:
    source, begin, end, lost, duplicated, *rest = _SUMMARY.unpack(content)
    jitter, ttl = rest[:4], rest[4:]
    hops = flags >> 3 & 3
    # 4.6: "The receiver MUST ignore any Statistics Summary Report Block with a non-zero value in any field flagged as
    # unreported", and of ToH: "The value 3 is undefined and MUST NOT be used."
    if hops == 3 or (lost and not flags & 0x80) or (duplicated and not flags & 0x40):
        return None
    if (any(jitter) and not flags & 0x20) or (any(ttl) and not hops):
        return None
    return StatisticsSummary(
        source,
        begin,
        end,
        lost if flags & 0x80 else None,
        duplicated if flags & 0x40 else None,
        (jitter[0], jitter[1], jitter[2], jitter[3]) if flags & 0x20 else None,
        (ttl[0], ttl[1], ttl[2], ttl[3]) if hops else None,
        hops == 2,
    )


def _metrics(content: bytes) -> VoipMetrics:
    values = list(_METRICS.unpack(content))
    # The reserved octet behind RX config.
    del values[18]
    # 4.7.5: values beyond the valid range "MUST be ignored by the receiving system".
    for place in (13, 14):
        if values[place] > 100:
            values[place] = UNAVAILABLE
    for place in (15, 16):
        if not 10 <= values[place] <= 50:
            values[place] = UNAVAILABLE
    return VoipMetrics(*values)
