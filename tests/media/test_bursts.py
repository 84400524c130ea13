"""Bursts and gaps: the pattern of RFC 3611 4.7.2, and the burst ratio of losses with and without memory."""

import random

import pytest

from ringback.media.bursts import Bursts

# 4.7.2: "a 1 denotes a received packet, 0 a lost packet, and X a discarded packet".
EXAMPLE = "11110111111111111111111X111X1011110111111111111111111X111111111"


def told(pattern: str) -> Bursts:
    bursts = Bursts()
    for event in pattern:
        if event == "1":
            bursts.came()
        else:
            bursts.missed(discarded=event == "X")
    return bursts


def test_the_example() -> None:
    bursts = told(EXAMPLE)
    assert (bursts.received, bursts.lost, bursts.discarded, bursts.packets) == (57, 3, 3, 63)
    # The burst has twelve packets, four of them missing. The RFC counts 64 packets where it prints 63, so that its gaps
    # are 520 ms long and these 510.
    assert bursts.densities() == (4 / 12, 2 / 51)
    assert bursts.durations(10) == (120, 510)
    # Its own figures for 256ths, from rounded percentages: 84 and 10.
    assert int(bursts.densities()[1] * 256) == 10
    assert int(bursts.densities()[0] * 256) == 85


def test_nothing_was_heard() -> None:
    bursts = Bursts()
    assert (bursts.densities(), bursts.durations(20), bursts.ratio) == ((0.0, 0.0), (0.0, 0.0), 1.0)


def test_one_loss_alone_is_no_burst() -> None:
    bursts = told("1" * 20 + "0" + "1" * 20)
    assert bursts.durations(20) == (0.0, 41 * 20)
    assert bursts.densities() == (0.0, 1 / 41)


@pytest.mark.parametrize(("between", "count"), [(15, 1), (16, 0)])
def test_how_near_two_losses_have_to_be(between: int, count: int) -> None:
    bursts = told("0" + "1" * between + "0" + "1" * 40)
    packets = between + 2 if count else 0
    assert bursts.durations(1)[0] == packets
    # The loss that comes after a long gap closes what was before.
    bursts.missed()
    assert bursts.bursts == count


def test_a_packet_that_came_after_all_has_been_discarded() -> None:
    bursts = told("1101")
    bursts.came_late()
    assert (bursts.lost, bursts.discarded, bursts.packets) == (0, 1, 4)
    bursts.came_late()
    assert (bursts.lost, bursts.discarded) == (0, 1)


def test_independent_losses_have_a_ratio_of_one() -> None:
    chance = random.Random(1)
    bursts = told("".join("0" if chance.random() < 0.1 else "1" for _ in range(20000)))
    assert bursts.ratio == pytest.approx(1.0, abs=0.05)


def test_the_ratio_of_a_chain_with_memory() -> None:
    # G.107: with the transition probabilities p (received to lost) and q (lost to received), BurstR = 1 / (p + q).
    chance = random.Random(2)
    lost, pattern = False, []
    for _ in range(50000):
        lost = chance.random() >= 0.4 if lost else chance.random() < 0.05
        pattern.append("0" if lost else "1")
    assert told("".join(pattern)).ratio == pytest.approx(1 / 0.45, rel=0.05)


def test_all_lost() -> None:
    assert told("000").ratio == 1.0
    assert told("000").densities() == (1.0, 0.0)
