"""The interval between reports: the cases of RFC 3550 6.3.1, reconsideration, and the schedule on a virtual clock."""

import random
from itertools import pairwise

import pytest

from ringback.media.rtcp_interval import Schedule, calculated_interval

# e - 3/2, as 6.3.1 has it.
COMPENSATION = 1.21828
HALF = 0.5


class TestCalculatedInterval:
    @pytest.mark.parametrize(
        ("members", "senders", "we_sent", "expected"),
        [
            # More than a quarter send: all share 100 octets a second.
            (10, 4, True, 100 * 10 / 100),
            (10, 4, False, 100 * 10 / 100),
            # A quarter or less: senders have 25 octets a second, the others 75.
            (40, 10, True, 100 * 10 / 25),
            (40, 10, False, 100 * 30 / 75),
            (100, 1, True, 5.0),
        ],
    )
    def test_who_shares_with_whom(self, members: int, senders: int, we_sent: bool, expected: float) -> None:
        assert calculated_interval(members, senders, 100, we_sent, 100, False) == expected

    def test_the_minimum(self) -> None:
        assert calculated_interval(2, 2, 500, True, 120, False) == 5.0
        assert calculated_interval(2, 2, 500, True, 120, True) == 2.5
        assert calculated_interval(2, 2, 500, True, 120, False, minimum=1.0) == 1.0

    def test_no_bandwidth(self) -> None:
        assert calculated_interval(2, 2, 0, True, 120, False) == 5.0


def schedule(now: float = 100.0, chance: float = HALF) -> Schedule:
    return Schedule(500, now, chance)


class TestSchedule:
    @pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.5), (0.5, 1.0), (0.999, 1.499)])
    def test_the_first_is_due_after_half_the_minimum(self, chance: float, factor: float) -> None:
        assert schedule(chance=chance).deadline == pytest.approx(100 + 2.5 * factor / COMPENSATION)

    def test_a_report_is_due_when_the_newly_drawn_interval_is_over(self) -> None:
        timer = schedule()
        now = timer.deadline
        assert not timer.due(now, 2, 2, True, 0.9)
        assert timer.deadline == pytest.approx(100 + 2.5 * 1.4 / COMPENSATION)
        assert timer.due(timer.deadline, 2, 2, True, 0.1)

    def test_the_interval_after_a_report(self) -> None:
        timer = schedule()
        assert timer.due(103, 2, 2, True, 0.0)
        timer.sent(100, 103, 2, 2, True, HALF)
        # A.7 sets "initial" to false after it has scheduled.
        assert timer.deadline == pytest.approx(103 + 2.5 / COMPENSATION)
        timer.sent(100, 106, 2, 2, True, HALF)
        assert timer.deadline == pytest.approx(106 + 5 / COMPENSATION)

    def test_large_packets_make_it_longer(self) -> None:
        timer = Schedule(100, 0, HALF, first_size=72)
        for _ in range(500):
            timer.heard(972)
        timer.sent(972, 10, 2, 2, True, HALF)
        timer.sent(972, 20, 2, 2, True, HALF)
        assert timer.deadline == pytest.approx(20 + 1000 * 2 / 100 / COMPENSATION)

    def test_it_is_sooner_when_somebody_has_left(self) -> None:
        timer = schedule()
        timer.due(100, 4, 4, True, HALF)
        timer.sent(100, 100, 4, 4, True, HALF)
        before = timer.deadline
        timer.left(101, 2)
        assert timer.deadline == pytest.approx(101 + (before - 101) / 2)
        after = timer.deadline
        timer.left(101, 3)
        assert timer.deadline == after

    def test_when_a_silent_participant_counts_as_gone(self) -> None:
        assert schedule().timeout(2, 2) == 25.0

    def test_the_mean_of_many_intervals(self) -> None:
        chance = random.Random(7)
        timer = Schedule(500, 0, chance.random())
        now, sent = 0.0, []
        while len(sent) < 2000:
            now = timer.deadline
            if timer.due(now, 2, 2, True, chance.random()):
                sent.append(now)
                timer.sent(100, now, 2, 2, True, chance.random())
        gaps = [later - earlier for earlier, later in pairwise(sent[1:])]
        # Reconsideration keeps the mean at the interval that was meant: that is what the compensation is for.
        assert sum(gaps) / len(gaps) == pytest.approx(5.0, rel=0.05)
        assert min(gaps) >= 0.5 * 5 / COMPENSATION
        assert max(gaps) <= 1.5 * 5 / COMPENSATION
