"""The jitter buffer: packets come when they can, and go when they are due.

    buffer.put(packet, now)         a packet that the stream accepts (`Reception`)
    found = buffer.pop(now)         the next piece of sound, to be called whenever less than a frame of it is left

A piece is a packet, `Lost` (conceal that much, or take it from the packet behind it), or None: a frame of silence. Who
pops is the clock: what is decoded from a packet of 60 ms serves three frames, and for 10 ms pop is called twice.

The states of playing:

    waiting   nothing is played; it begins when the first packet is due, which the delay estimate says
    playing   `position` is the timestamp that is played next. A packet there is given. A gap before the next packet is
              silence when no sequence number is missing, and loss otherwise
    starved   playing, but there is nothing. For 100 ms that is told as loss, unless a packet without sound says
              otherwise, and `position` stands: when the next packet turns out to be late, nothing of it is thrown
              away. After that, waiting

The delay is changed where it is heard least: between talkspurts (RFC 3551 4.1: "The beginning of a talkspurt MAY be
used to adjust the playout delay"), in quiet frames, and otherwise by single frames with time between them. The same
steps follow a clock that runs faster or slower than ours.

Another SSRC begins a new timeline. A timestamp that leads far away does so only when the next packet goes on from
there: single wild ones are thrown away, and neither fill the buffer nor stop it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

from ringback.media.bursts import Bursts
from ringback.media.delay import DelayEstimate
from ringback.media.rtp import Packet

__all__ = ["JitterBuffer", "Lost"]

# Packets that are kept, whatever their timestamps.
_MOST_PACKETS: Final = 512
# Packets without sound whose numbers are kept.
_MOST_OTHERS: Final = 512
# Seconds for which an empty buffer is told as loss.
_CONCEALED: Final = 0.1
# Seconds that a packet may come too late for the timeline, beyond the longest delay, and too early: nothing arrives
# much faster than the fastest of the last seconds.
_OFF: Final = 0.5
_EARLY: Final = 0.2
# Packets off the timeline that are remembered, so that a stream goes on among many wild packets.
_MOST_SUSPECTS: Final = 32
# Seconds between two changes of the delay in sound that is not quiet: shorter and longer.
_BETWEEN_DROPS: Final = 0.2
_BETWEEN_INSERTS: Final = 0.06
# Seconds of the longest packet whose duration is believed when it is only seen from timestamps.
_LONGEST_PACKET: Final = 0.12
# Of so many sequence numbers it is remembered what became of them.
_REMEMBERED: Final = (1 << 64) - 1

# Time and number without wrapping.
_Entry: TypeAlias = tuple[int, int, Packet]


def _time_of(entry: _Entry) -> int:
    return entry[0]


class Lost:
    """A piece of sound that is not there.

    duration   of it, in timestamp units
    following  the packet behind it, when that is here: it may hold a copy of lower quality (Opus in-band FEC)
    inserted   nothing is missing: the delay grows by this piece
    """

    __slots__ = ("duration", "following", "inserted")

    def __init__(self, duration: int, following: Packet | None = None, inserted: bool = False) -> None:
        self.duration = duration
        self.following = following
        self.inserted = inserted

    def __repr__(self) -> str:
        return f"Lost({self.duration}, {self.following}, {self.inserted})"


class JitterBuffer:
    """The buffer of one stream. Times are seconds; `put` and `pop` get the same clock.

    played          packets given
    lost            packets that never came, as far as that is known
    late            packets that came when their place had been played
    duplicated      packets that were here already
    reordered       packets that came behind a later one, and in time
    discarded       packets thrown away: for a full buffer, a new timeline, or a wild timestamp
    dropped         packets left out to make the delay shorter
    inserted        frames put in to make it longer
    resynchronised  how often another timeline began
    skipped         the packet that the last `pop` left out, for a decoder that wants to join both sides of it
    bursts          what became of each packet, in order
    """

    __slots__ = (
        "_adjusted",
        "_concealed",
        "_entries",
        "_estimate",
        "_frame",
        "_known",
        "_last_number",
        "_last_time",
        "_limit",
        "_lost_numbers",
        "_maximum",
        "_measure",
        "_number",
        "_others",
        "_played_numbers",
        "_playing",
        "_position",
        "_rate",
        "_silent",
        "_ssrc",
        "_started",
        "_suspects",
        "_time",
        "_unit",
        "_unit_seen",
        "_waited",
        "bursts",
        "discarded",
        "dropped",
        "duplicated",
        "inserted",
        "late",
        "lost",
        "played",
        "reordered",
        "resynchronised",
        "skipped",
    )

    def __init__(
        self,
        clock_rate: int,
        frame: float = 0.02,
        minimum: float = 0.04,
        maximum: float = 0.5,
        measure: Callable[[Packet], int] | None = None,
    ) -> None:
        """`measure` gives the timestamp units in a packet, 0 if it cannot tell; without it they are guessed."""
        self._rate = clock_rate
        self._frame = int(clock_rate * frame)
        self._maximum = int(clock_rate * maximum)
        self._limit = maximum + _OFF
        self._measure = measure
        self._estimate = DelayEstimate(minimum, maximum, frame)
        self._entries: list[_Entry] = []
        # The usual duration of a packet, and the last distance of two timestamps that was seen.
        self._unit = self._frame
        self._unit_seen = 0
        # Of the newest packet: whether there was one, its source, and its number and time without wrapping.
        self._known = False
        self._ssrc = 0
        self._number = 0
        self._time = 0
        # What is played next, and what was played last.
        self._started = False
        self._playing = False
        self._position = 0
        self._last_number = 0
        self._last_time = 0
        self._waited = 0
        self._concealed = 0
        self._adjusted = 0.0
        # Whether the last number that is done with was of a packet without sound.
        self._silent = False
        # Bit n: the packet n before the last one was played, or told as lost.
        self._played_numbers = 0
        self._lost_numbers = 0
        self._others: set[int] = set()
        self._suspects: deque[tuple[float, Packet]] = deque(maxlen=_MOST_SUSPECTS)
        self.bursts = Bursts()
        self.played = self.lost = self.late = self.duplicated = self.reordered = 0
        self.discarded = self.dropped = self.inserted = self.resynchronised = 0
        self.skipped: Packet | None = None

    def __len__(self) -> int:
        """Packets that wait."""
        return len(self._entries)

    @property
    def delay(self) -> float:
        """Seconds that packets wait which came as fast as any."""
        return self._estimate.delay

    @property
    def maximum(self) -> float:
        """Seconds that packets wait at most."""
        return self._maximum / self._rate

    @property
    def playing(self) -> bool:
        """Whether a talkspurt is being played."""
        return self._playing

    def change_clock_rate(self, clock_rate: int) -> None:
        """Another payload type with another clock: what waits is thrown away, and the next packet begins anew."""
        self._frame = self._frame * clock_rate // self._rate
        self._maximum = self._maximum * clock_rate // self._rate
        self._rate = clock_rate
        self._unit = self._frame
        self._unit_seen = 0
        self._flush()
        self._known = False

    # ---- in

    def put(self, packet: Packet, now: float, sound: bool = True) -> bool:
        """Keep a packet until it is due; False: it is of no use (any more).

        `sound`: False for what has another way (telephone events, unknown payload types); then only its number counts.
        """
        if not self._known or packet.ssrc != self._ssrc:
            if not sound:
                return False
            self._begin(packet)
        number = self._number + ((packet.sequence - self._number + 0x8000 & 0xFFFF) - 0x8000)
        if not sound:
            self._other(number)
            return False
        time = self._time + ((packet.timestamp - self._time + 0x80000000 & 0xFFFFFFFF) - 0x80000000)
        transit = now - time / self._rate
        estimate = self._estimate
        if not -_EARLY <= transit - estimate.base <= self._limit and len(estimate):
            return self._jumped(packet, now)
        self._learn(number, time)
        estimate.add(transit, now)
        if self._started and time < self._position:
            return self._too_late(number)
        return self._keep(time, number, packet)

    def _learn(self, number: int, time: int) -> None:
        """What the newest packet says of numbers, times and the usual duration."""
        if number - self._number == 1:
            distance = time - self._time
            if 0 < distance <= _LONGEST_PACKET * self._rate:
                if (distance == self._unit_seen or not self._unit_seen) and distance != self._unit:
                    self._unit = distance
                    if self._started and number == self._last_number + 1:
                        # The packet before it was as long: that was not known when it was given.
                        self._position = max(self._position, time)
                self._unit_seen = distance
        if number > self._number:
            self._number = number
            self._time = time

    def _keep(self, time: int, number: int, packet: Packet) -> bool:
        entries = self._entries
        if not entries:
            if self._waited and self._playing:
                # What was concealed while nothing was here is over, unless this packet belongs into it.
                self._position = min(self._position + self._waited, time)
            self._waited = 0
            entries.append((time, number, packet))
            return True
        newest = entries[-1]
        if time > newest[0] and number > newest[1]:
            entries.append((time, number, packet))
        else:
            place = bisect_left(entries, time, key=_time_of)
            if place < len(entries) and entries[place][0] == time:
                self.duplicated += 1
                return False
            self.reordered += 1
            entries.insert(place, (time, number, packet))
        if entries[-1][0] - entries[0][0] > self._maximum or len(entries) > _MOST_PACKETS:
            self._overflow()
        return True

    def _overflow(self) -> None:
        """More waits than the longest delay: the oldest go."""
        entries = self._entries
        while len(entries) > _MOST_PACKETS or entries[-1][0] - entries[0][0] > self._maximum:
            self._leave_out()
            self.discarded += 1
        if self._started:
            self._position = entries[0][0]

    def _leave_out(self) -> Packet:
        """The first packet goes, without being lost."""
        time, number, packet = self._entries.pop(0)
        if self._started:
            self._passed(time, number, False)
        return packet

    def _too_late(self, number: int) -> bool:
        back = self._last_number - number
        if (0 <= back < 64 and self._played_numbers >> back & 1) or number in self._others:
            self.duplicated += 1
            return False
        self.late += 1
        if back < 0:
            # It was told as lost, and is not counted as such yet.
            if len(self._others) < _MOST_OTHERS:
                self._others.add(number)
            self.bursts.missed(discarded=True)
        if 0 <= back < 64 and self._lost_numbers >> back & 1:
            self._lost_numbers &= ~(1 << back)
            self.lost -= 1
            self.bursts.came_late()
        return False

    def _other(self, number: int) -> None:
        """A packet without sound: its number is no loss."""
        if number > self._number:
            self._number = number
        if not self._started or number > self._last_number:
            if len(self._others) >= _MOST_OTHERS:
                self._others.clear()
            self._others.add(number)
            if self._started:
                self._absorb()

    def _absorb(self) -> None:
        """Others that come directly behind what was played last are done with."""
        others = self._others
        while others and self._last_number + 1 in others:
            self._last_number += 1
            others.discard(self._last_number)
            self._silent = True
            self._played_numbers = (self._played_numbers << 1 | 1) & _REMEMBERED
            self._lost_numbers = self._lost_numbers << 1 & _REMEMBERED

    def _flush(self) -> None:
        """The timeline is over."""
        self.discarded += len(self._entries)
        self._entries.clear()
        self._others.clear()
        self._estimate.restart()
        self._suspects.clear()
        self._started = self._playing = False
        self._waited = self._concealed = 0
        self._played_numbers = self._lost_numbers = 0

    def _begin(self, packet: Packet) -> None:
        """A new timeline, with this packet as its first."""
        if self._known:
            self.resynchronised += 1
        self._flush()
        self._known = True
        self._ssrc = packet.ssrc
        # Far from zero, so that what was overtaken by the first packet has a number too.
        self._number = packet.sequence + 0x10000
        self._time = packet.timestamp + 0x100000000

    def _jumped(self, packet: Packet, now: float) -> bool:
        """A timestamp that is not of this timeline: believed when two packets agree on it."""
        for at, suspect in self._suspects:
            distance = packet.sequence - suspect.sequence & 0xFFFF
            if not 0 < distance <= 5:
                continue
            passed = ((packet.timestamp - suspect.timestamp + 0x80000000 & 0xFFFFFFFF) - 0x80000000) / self._rate
            if passed > 0 and abs(now - at - passed) < _OFF:
                self._begin(suspect)
                self.discarded -= 1
                self.put(suspect, at)
                return self.put(packet, now)
        self._suspects.append((now, packet))
        self.discarded += 1
        return False

    # ---- out

    def pop(self, now: float, quiet: bool = False) -> Packet | Lost | None:
        """The next piece of sound. `quiet`: what was given last is hardly heard, so that the delay may change here."""
        self.skipped = None
        entries = self._entries
        if not self._playing:
            if not entries or now < entries[0][0] / self._rate + self._estimate.level:
                return None
            self._start()
        elif not entries:
            return self._starve()
        gap = entries[0][0] - self._position
        excess = now - self._position / self._rate - self._estimate.level
        if gap > 0:
            return self._between(gap, excess)
        half = self._unit / self._rate / 2
        if excess < -half:
            if quiet or (excess < -2 * half and now - self._adjusted >= _BETWEEN_INSERTS):
                self._adjusted = now
                self.inserted += 1
                return Lost(self._frame, None, True)
        elif excess > 3 * half and len(entries) > 1:
            if quiet or (excess > 6 * half and now - self._adjusted >= _BETWEEN_DROPS):
                self._adjusted = now
                self.dropped += 1
                self.skipped = self._leave_out()
        return self._give()

    def _start(self) -> None:
        """The first packet is due: a talkspurt begins, or goes on."""
        time, number, _ = self._entries[0]
        if not self._started:
            self._started = True
            self._last_number = number - 1
            self._last_time = time
        self._playing = True
        self._position = time
        self._waited = self._concealed = 0

    def _give(self) -> Packet:
        time, number, packet = self._entries.pop(0)
        self._passed(time, number, True)
        duration = self._measure(packet) if self._measure is not None else 0
        if duration <= 0:
            duration = self._unit
            if self._entries and self._entries[0][1] == number + 1:
                distance = self._entries[0][0] - time
                if distance < duration:
                    duration = distance
        self._position = time + duration
        self._concealed = 0
        self.played += 1
        return packet

    def _passed(self, time: int, number: int, used: bool) -> None:
        """A packet is done with: what is missing before it has been lost."""
        ahead = number - self._last_number
        if ahead == 1 and used and not self._others:
            # Nearly always.
            self._played_numbers = (self._played_numbers << 1 | 1) & _REMEMBERED
            self._lost_numbers = self._lost_numbers << 1 & _REMEMBERED
            self._last_number = number
            self._last_time = time
            self._silent = False
            self.bursts.came()
            return
        missing = self._missing(time, number)
        bursts = self.bursts
        if missing:
            self.lost += missing
            for _ in range(missing):
                bursts.missed()
        if used:
            bursts.came()
        else:
            bursts.missed(discarded=True)
        if ahead > 0:
            if ahead < 64:
                self._played_numbers = (self._played_numbers << ahead | 1) & _REMEMBERED
                self._lost_numbers = self._lost_numbers << ahead & _REMEMBERED
                if missing:
                    self._mark_lost(number, ahead)
            else:
                self._played_numbers, self._lost_numbers = 1, 0
            if self._others:
                self._others = {other for other in self._others if other > number}
        self._last_number = number
        self._last_time = time
        self._silent = False
        if self._others:
            self._absorb()

    def _mark_lost(self, number: int, ahead: int) -> None:
        for back in range(1, ahead):
            if number - back in self._others:
                self._played_numbers |= 1 << back
            else:
                self._lost_numbers |= 1 << back

    def _missing(self, time: int, number: int) -> int:
        """How many packets of sound are missing between the last one and this."""
        missing = number - self._last_number - 1
        if missing <= 0:
            return 0
        if self._others:
            missing -= sum(1 for other in self._others if other < number)
        # More than fit into the time in between is another sequence, not loss.
        return missing if 0 < missing <= (time - self._last_time) // self._unit + 1 else 0

    def _between(self, gap: int, excess: float) -> Lost | None:
        """Nothing is here for the position, and the next packet is: silence, or loss."""
        time, number, packet = self._entries[0]
        if self._concealed < self._missing(time, number):
            duration = min(gap, self._unit)
            self._concealed += 1
            self._position += duration
            return Lost(duration, packet if duration == gap else None)
        half = self._unit / self._rate / 2
        if excess < -half:
            # The silence grows.
            return None
        step = self._frame
        if excess > half:
            step += int(excess * self._rate)
        self._position += min(gap, step)
        return None

    def _starve(self) -> Lost | None:
        self._waited += self._unit
        # Comfort noise or an event that follows the last sound says that there is no more of it.
        if self._waited <= _CONCEALED * self._rate and not self._silent:
            return Lost(self._unit)
        self._playing = False
        return None
