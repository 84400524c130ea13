"""Status codes and their default phrases."""

import re

import pytest

from ringback.sip.status import REASONS, reason_phrase, warning


def test_every_status_of_rfc_3261_has_its_phrase() -> None:
    """The headings of section 21, as printed."""
    printed = {
        100: "Trying",
        180: "Ringing",
        181: "Call Is Being Forwarded",
        182: "Queued",
        183: "Session Progress",
        200: "OK",
        300: "Multiple Choices",
        301: "Moved Permanently",
        302: "Moved Temporarily",
        305: "Use Proxy",
        380: "Alternative Service",
        400: "Bad Request",
        401: "Unauthorized",
        402: "Payment Required",
        403: "Forbidden",
        404: "Not Found",
        405: "Method Not Allowed",
        406: "Not Acceptable",
        407: "Proxy Authentication Required",
        408: "Request Timeout",
        410: "Gone",
        413: "Request Entity Too Large",
        414: "Request-URI Too Long",
        415: "Unsupported Media Type",
        416: "Unsupported URI Scheme",
        420: "Bad Extension",
        421: "Extension Required",
        423: "Interval Too Brief",
        480: "Temporarily Unavailable",
        481: "Call/Transaction Does Not Exist",
        482: "Loop Detected",
        483: "Too Many Hops",
        484: "Address Incomplete",
        485: "Ambiguous",
        486: "Busy Here",
        487: "Request Terminated",
        488: "Not Acceptable Here",
        491: "Request Pending",
        493: "Undecipherable",
        500: "Server Internal Error",
        501: "Not Implemented",
        502: "Bad Gateway",
        503: "Service Unavailable",
        504: "Server Time-out",
        505: "Version Not Supported",
        513: "Message Too Large",
        600: "Busy Everywhere",
        603: "Decline",
        604: "Does Not Exist Anywhere",
        606: "Not Acceptable",
    }
    assert {status: REASONS.get(status) for status in printed} == printed


# RFC 3312, 3329, 3892, 3903, 4028, 4412, 5079, 5360, 5393, 5626, 5839, 6086, 6228, 6442, 6665, 8197, 8599, 8688.
@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (199, "Early Dialog Terminated"),
        (202, "Accepted"),
        (204, "No Notification"),
        (412, "Conditional Request Failed"),
        (417, "Unknown Resource-Priority"),
        (422, "Session Interval Too Small"),
        (424, "Bad Location Information"),
        (428, "Use Identity Header"),
        (429, "Provide Referrer Identity"),
        (430, "Flow Failed"),
        (433, "Anonymity Disallowed"),
        (439, "First Hop Lacks Outbound Support"),
        (440, "Max-Breadth Exceeded"),
        (469, "Bad Info Package"),
        (470, "Consent Needed"),
        (489, "Bad Event"),
        (494, "Security Agreement Required"),
        (555, "Push Notification Service Not Supported"),
        (580, "Precondition Failure"),
        (607, "Unwanted"),
        (608, "Rejected"),
    ],
)
def test_the_statuses_of_extensions(status: int, phrase: str) -> None:
    assert reason_phrase(status) == phrase


@pytest.mark.parametrize(
    ("status", "phrase"),
    [
        (100, "Trying"),
        (101, "Trying"),
        (299, "OK"),
        (399, "Redirection"),
        (499, "Request Failure"),
        (599, "Server Failure"),
        (699, "Global Failure"),
        (99, "Unknown"),
        (700, "Unknown"),
        (0, "Unknown"),
        (-1, "Unknown"),
    ],
)
def test_a_status_that_is_not_registered_is_named_by_its_class(status: int, phrase: str) -> None:
    assert reason_phrase(status) == phrase


def test_every_phrase_can_be_written() -> None:
    assert all(100 <= status <= 699 for status in REASONS)
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z/ -]*[A-Za-z]", phrase) for phrase in REASONS.values())
    assert list(REASONS) == sorted(REASONS)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no Via header", '399 ringback "no Via header"'),
        # Nothing ends the quoted string before its end (25.1).
        ('a "b" \\', "399 ringback \"a 'b' \""),
        ("x" * 500, f'399 ringback "{"x" * 120}"'),
    ],
)
def test_a_warning_is_one_quoted_string(text: str, value: str) -> None:
    assert warning(text) == ("Warning", value)
