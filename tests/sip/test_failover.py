"""Which destination is next, and which are tried last."""

import pytest

from ringback.errors import LocalError
from ringback.sip.failover import AVOIDANCE, LONGEST_AVOIDANCE, Failover, Outages
from ringback.sip.locate import Destination

FIRST, SECOND, THIRD = [Destination("UDP", f"192.0.2.{n}", 5060, "example.org") for n in (1, 2, 3)]
ALL = [FIRST, SECOND, THIRD]


def test_the_destinations_are_tried_in_order() -> None:
    failover = Failover(ALL, 0.0)
    assert failover.current is FIRST
    assert failover.responded(503, 1.0) is SECOND
    assert failover.timed_out(33.0, heard=False) is THIRD
    assert failover.unreachable(34.0, "connection refused") is None
    assert failover.current is THIRD
    assert failover.tried == [
        (FIRST, "503 Service Unavailable"),
        (SECOND, "no response"),
        (THIRD, "connection refused"),
    ]


@pytest.mark.parametrize("status", [100, 180, 200, 302, 401, 404, 408, 500, 502, 504, 603])
def test_any_other_response_is_the_answer(status: int) -> None:
    failover = Failover(ALL, 0.0)
    assert failover.responded(status, 1.0) is None
    assert failover.current is FIRST
    assert failover.tried == []


def test_a_timeout_after_a_provisional_response_is_no_failure_of_the_server() -> None:
    failover = Failover(ALL, 0.0)
    assert failover.timed_out(180.0, heard=True) is None
    assert failover.tried == []


def test_what_failed_is_tried_last_for_a_while() -> None:
    outages = Outages()
    Failover(ALL, 0.0, outages).timed_out(32.0, heard=False)
    Failover(ALL, 32.0, outages).unreachable(33.0, "connection refused")
    end_of_first, end_of_second = 32.0 + AVOIDANCE, 33.0 + AVOIDANCE
    assert outages.order(ALL, 34.0) == [THIRD, FIRST, SECOND]
    assert outages.order(ALL, end_of_first - 0.001) == [THIRD, FIRST, SECOND]
    assert outages.order(ALL, end_of_first) == [FIRST, THIRD, SECOND]
    assert outages.order(ALL, end_of_second) == ALL
    assert len(outages) == 0


def test_an_answer_ends_the_avoidance() -> None:
    outages = Outages()
    Failover([FIRST], 0.0, outages).unreachable(0.0, "connection refused")
    assert outages.order(ALL, 1.0) == [SECOND, THIRD, FIRST]
    Failover([FIRST], 1.0, outages).responded(200, 2.0)
    assert outages.order(ALL, 2.0) == ALL


@pytest.mark.parametrize(
    ("retry_after", "avoided"), [(None, 0.0), (0.0, 0.0), (120.0, 120.0), (86400.0, LONGEST_AVOIDANCE)]
)
def test_503_keeps_others_away_for_as_long_as_it_says(retry_after: float | None, avoided: float) -> None:
    outages = Outages()
    Failover(ALL, 0.0, outages).responded(503, 10.0, retry_after)
    if avoided:
        assert outages.order(ALL, 10.0 + avoided - 0.001)[0] is SECOND
    assert outages.order(ALL, 10.0 + avoided)[0] is FIRST


def test_when_all_are_to_be_avoided_all_are_tried() -> None:
    outages = Outages()
    for destination in ALL:
        outages.avoid(destination, 100.0)
    assert Failover(ALL, 50.0, outages).current is FIRST


def test_the_memory_is_bounded() -> None:
    outages = Outages(2)
    outages.avoid(FIRST, 10.0)
    outages.avoid(SECOND, 10.0)
    outages.avoid(FIRST, 20.0)
    outages.avoid(THIRD, 10.0)
    # SECOND was noted longest ago.
    assert len(outages) == 2
    assert outages.order(ALL, 5.0) == [SECOND, FIRST, THIRD]


def test_what_cannot_work() -> None:
    with pytest.raises(LocalError):
        Failover([], 0.0)
    with pytest.raises(LocalError):
        Outages(0)
