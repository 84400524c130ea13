"""When a registration is refreshed, tried again and kept alive."""

import pytest

from ringback.sip.message import Headers, build_response
from ringback.sip.registration_timing import (
    LEAST_INTERVAL,
    LONGEST_WAIT,
    back_off,
    keep_alive_wait,
    refresh_after,
    refused_wait,
    retry_after,
)


@pytest.mark.parametrize(
    ("granted", "chance", "expected"),
    [
        *((3600, 0.0, 2880.0), (3600, 1.0, 3240.0), (3600, 0.5, 3060.0)),
        # RFC 5627 4.2: at least 32 seconds before the end.
        *((320, 1.0, 288.0), (300, 1.0, 268.0), (120, 1.0, 88.0), (120, 0.0, 88.0), (65, 0.0, 33.0)),
        # "less than 64 seconds, the UA SHOULD refresh its registration halfway".
        *((64, 0.0, 32.0), (64, 1.0, 32.0), (60, 0.0, 30.0), (11, 1.0, 5.5)),
        # And never more often than makes sense.
        *((10, 0.0, 5.0), (5, 0.0, LEAST_INTERVAL), (1, 1.0, LEAST_INTERVAL)),
    ],
)
def test_refresh(granted: int, chance: float, expected: float) -> None:
    assert refresh_after(granted, chance) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("failures", "others", "upper"),
    [
        # "the first retry happens somewhere between 30 and 60 seconds after the failure of the first registration".
        *((1, False, 60.0), (2, False, 120.0)),
        # "if the base-time is 30 seconds, and there were three failures, then the upper-bound wait time is … 240".
        *((3, False, 240.0), (4, False, 480.0), (5, False, 960.0), (6, False, 1800.0), (7, False, 1800.0)),
        *((1, True, 180.0), (2, True, 360.0), (4, True, 1440.0), (5, True, 1800.0), (10**9, True, 1800.0)),
    ],
)
def test_back_off(failures: int, others: bool, upper: float) -> None:
    assert back_off(failures, 1.0, others) == upper
    assert back_off(failures, 0.0, others) == upper / 2


def test_after_a_refusal() -> None:
    assert (refused_wait(0.0), refused_wait(1.0)) == (LONGEST_WAIT / 2, LONGEST_WAIT)


@pytest.mark.parametrize(
    ("timer", "stream", "shortest", "longest"),
    [
        *((0, True, 95.0, 120.0), (0, False, 24.0, 29.0)),
        *((120, True, 95.0, 120.0), (60, True, 48.0, 60.0), (1, True, 1.0, 1.0), (20, False, 16.0, 20.0)),
        # A registrar's patience does not make a NAT's.
        *((840, True, 95.0, 120.0), (840, False, 24.0, 29.0)),
    ],
)
def test_keep_alive(timer: int, stream: bool, shortest: float, longest: float) -> None:
    assert keep_alive_wait(timer, stream, 0.0) == pytest.approx(shortest)
    assert keep_alive_wait(timer, stream, 1.0) == pytest.approx(longest)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("0", 0.0), ("120", 120.0), ("18000;duration=3600", 18000.0), ("120 (I'm in a (long) meeting)", 120.0)),
        *(("soon", -1.0), ("", -1.0), ("-5", -1.0), ("99999999999", -1.0), ("5 (no end", -1.0)),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    headers: Headers = [("Retry-After", value)]
    assert retry_after(build_response(503, "", headers)) == seconds


def test_no_retry_after() -> None:
    assert retry_after(build_response(503, "", [])) == -1.0
