"""When the next RTCP packet is due (RFC 3550 6.2, 6.3 and A.7).

Reports share a small fraction of the bandwidth, and no two participants may fall into step: the interval is random, and
drawn anew when it is over ("timer reconsideration"). Random numbers are arguments here, from 0 up to and without 1.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MINIMUM", "Schedule", "calculated_interval"]

#: 6.2: "The RECOMMENDED value for a fixed minimum interval is 5 seconds."
MINIMUM: Final = 5.0

# 6.2: "1/4 of the RTCP bandwidth be dedicated to participants that are sending data".
_SENDERS_SHARE: Final = 0.25
# 6.3.1: "divided by e-3/2=1.21828 to compensate for the fact that the timer reconsideration algorithm converges to a
# value of the RTCP bandwidth below the intended average".
_COMPENSATION: Final = 2.71828 - 1.5
# UDP and IP count too: 6.3: "The size includes lower-layer transport and network protocol headers".
_LOWER_HEADERS: Final = 28


def calculated_interval(
    members: int,
    senders: int,
    bandwidth: float,
    we_sent: bool,
    average_size: float,
    initial: bool,
    minimum: float = MINIMUM,
) -> float:
    """The deterministic interval Td of 6.3.1 in seconds.

    bandwidth     octets a second for the RTCP of all participants
    we_sent       whether RTP was sent since the second last report
    average_size  octets of a compound packet, lower headers included
    initial       whether no report was sent yet: the minimum is halved then
    """
    count = members
    if senders <= members * _SENDERS_SHARE:
        if we_sent:
            bandwidth *= _SENDERS_SHARE
            count = senders
        else:
            bandwidth *= 1 - _SENDERS_SHARE
            count = members - senders
    interval = average_size * count / bandwidth if bandwidth > 0 else minimum
    return max(interval, minimum / 2 if initial else minimum)


class Schedule:
    """The timer of one session's reports: ask at `deadline`, with a random number, whether one is due.

    deadline   when to call `due`
    """

    __slots__ = ("_average_size", "_bandwidth", "_counted", "_initial", "_last", "_minimum", "deadline")

    def __init__(
        self, bandwidth: float, now: float, chance: float, first_size: int = 100, minimum: float = MINIMUM
    ) -> None:
        """`first_size`: the probable size of the first report. 6.2 lets unicast sessions take a shorter `minimum`."""
        self._bandwidth = bandwidth
        self._minimum = minimum
        self._average_size = float(first_size + _LOWER_HEADERS)
        self._initial = True
        self._last = now
        self._counted = 1
        self.deadline = now + self._interval(1, 0, False, chance)

    def due(self, now: float, members: int, senders: int, we_sent: bool, chance: float) -> bool:
        """Whether a report is to be sent now; if not, `deadline` has moved (6.3.6)."""
        self._counted = members
        following = self._last + self._interval(members, senders, we_sent, chance)
        if following <= now:
            return True
        self.deadline = following
        return False

    def sent(self, size: int, now: float, members: int, senders: int, we_sent: bool, chance: float) -> None:
        """A report of `size` octets has been sent; `deadline` is that of the next one."""
        self.heard(size)
        self._last = now
        # A.7: "We must redraw the interval. Don't reuse the one computed above". It counts as the first until then.
        self.deadline = now + self._interval(members, senders, we_sent, chance)
        self._initial = False

    def heard(self, size: int) -> None:
        """A compound packet of `size` octets came (6.3.3)."""
        self._average_size += (size + _LOWER_HEADERS - self._average_size) / 16

    def left(self, now: float, members: int) -> None:
        """A participant has left: the next report is due sooner (6.3.4, "reverse reconsideration")."""
        if members < self._counted:
            share = members / self._counted
            self.deadline = now + share * (self.deadline - now)
            self._last = now - share * (now - self._last)
            self._counted = members

    def timeout(self, members: int, senders: int) -> float:
        """Seconds after which a silent participant counts as gone: five intervals of a receiver (6.3.5)."""
        return 5 * calculated_interval(members, senders, self._bandwidth, False, self._average_size, False)

    def _interval(self, members: int, senders: int, we_sent: bool, chance: float) -> float:
        fixed = calculated_interval(
            members, senders, self._bandwidth, we_sent, self._average_size, self._initial, self._minimum
        )
        return fixed * (0.5 + chance) / _COMPENSATION
