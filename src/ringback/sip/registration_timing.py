"""When a registration is refreshed, tried again and kept alive (RFC 5626 4.4 and 4.5, RFC 5627 4.2).

Times are in seconds; `chance` is a random number from 0 to 1, another one for each question.
"""

from __future__ import annotations

from typing import Final

from ringback.errors import ParseError
from ringback.sip.grammar import number, strip_comments
from ringback.sip.message import Response

#: RFC 5626 4.5: "max-time with a default of 1800 seconds", "base-time (if all failed) with a default of 30 seconds",
#: "base-time (if all have not failed) with a default of 90 seconds".
LONGEST_WAIT: Final = 1800.0
BASE_ALL_FAILED: Final = 30.0
BASE_OTHERS_LEFT: Final = 90.0
#: A Retry-After is believed up to here: longer, and nobody is left who remembers why the phone is dead.
LONGEST_RETRY_AFTER: Final = 86400.0
#: Between two refreshes, at least.
LEAST_INTERVAL: Final = 5.0
#: RFC 5627 4.2: the refresh begins so long before the end: 64*T1, the life of its transaction.
_TRANSACTION: Final = 32.0
#: 2^6 times 30 s is above the longest wait already.
_MOST_DOUBLINGS: Final = 6


def refresh_after(granted: int, chance: float) -> float:
    """After how many seconds a binding that was granted for `granted` is refreshed."""
    if granted <= 2 * _TRANSACTION:
        wait = granted / 2.0
    else:
        wait = min(granted * (0.8 + 0.1 * chance), granted - _TRANSACTION)
    return max(wait, LEAST_INTERVAL)


def back_off(failures: int, chance: float, others: bool) -> float:
    """Seconds to wait after so many failures in a row, 1 or more (RFC 5626 4.5).

    "W = min (max-time, (base-time * (2 ^ consecutive-failures)))"; what is waited is "a uniform random time between 50
    and 100% of the upper-bound wait time".
    """
    base = BASE_OTHERS_LEFT if others else BASE_ALL_FAILED
    upper = min(LONGEST_WAIT, base * 2.0 ** min(failures, _MOST_DOUBLINGS))
    return upper * (0.5 + 0.5 * chance)


def refused_wait(chance: float) -> float:
    """Seconds to wait after a refusal that will not pass by itself: those after any number of failures."""
    return LONGEST_WAIT * (0.5 + 0.5 * chance)


def keep_alive_wait(flow_timer: int, stream: bool, chance: float) -> float:
    """Seconds until the next keep-alive; `flow_timer` is the registrar's Flow-Timer, 0 when it gave none.

    Without one, 95 to 120 seconds on streams (4.4.1), and "a random number between 24 and 29 seconds" for datagrams
    (4.4.2): "many NATs have UDP timeouts as low as 30 seconds", whatever the registrar could wait for. With one, 4.4:
    "The UA MUST send keep-alives at least as often as this number of seconds", "randomly distributed between 80% and
    100% of the server-provided time".
    """
    usual = 95.0 + 25.0 * chance if stream else 24.0 + 5.0 * chance
    if flow_timer <= 0:
        return usual
    return max(1.0, min(usual, flow_timer * (0.8 + 0.2 * chance)))


def retry_after(response: Response) -> float:
    """The seconds of Retry-After, such as `120 (I'm in a meeting)` (20.33); below 0 when there is none."""
    value = response.header("retry-after")
    if value is None:
        return -1.0
    try:
        return float(number(strip_comments(value).partition(";")[0].strip(), "Retry-After", 4294967295))
    except ParseError:
        return -1.0
