"""Why a session has ended, and Reason headers (RFC 3326)."""

import pytest

from ringback.sip.cause import (
    Cause,
    cause_of_request,
    cause_of_response,
    contacts_by_preference,
    reason_value,
    retry_after,
)
from ringback.sip.message import build_response


@pytest.mark.parametrize(
    ("cause", "value"),
    [
        (Cause(0), ""),
        (Cause(180), ""),
        (Cause(200, "Call completed elsewhere"), 'SIP;cause=200;text="Call completed elsewhere"'),
        (Cause(603), 'SIP;cause=603;text="Decline"'),
        (Cause(480, 'a "b"\r\n c\\'), 'SIP;cause=480;text="a \\"b\\" c\\\\"'),
        (Cause(480, "x" * 500), f'SIP;cause=480;text="{"x" * 200}"'),
    ],
)
def test_what_is_said(cause: Cause, value: str) -> None:
    assert reason_value(cause) == value


@pytest.mark.parametrize(
    ("values", "status", "reason"),
    [
        ([], 0, ""),
        (['SIP;cause=600;text="Busy Everywhere"'], 600, "Busy Everywhere"),
        (["SIP;cause=580"], 580, "Precondition Failure"),
        (['Q.850;cause=16;text="Terminated"'], 0, "Terminated"),
        (['Q.850 ;cause=16 ;text="Normal" , sip; Cause = 200 ; text="x"'], 200, "Normal"),
        (["Q.850;cause=16", 'SIP;cause=408;text="late, and \\"sorry\\""'], 408, 'late, and "sorry"'),
        (["SIP;cause=99999", 'SIP;text="oops', "SIP;cause"], 0, ""),
        (["Preemption ;cause=1 ;text=plain"], 0, "plain"),
    ],
)
def test_what_is_read(values: list[str], status: int, reason: str) -> None:
    cause = cause_of_request(values, "remote")
    assert (cause.status, cause.reason, cause.by) == (status, reason, "remote")


def test_what_is_said_is_read() -> None:
    cause = cause_of_request([reason_value(Cause(503, 'roof; "fire", smoke'))], "remote")
    assert (cause.status, cause.reason) == (503, 'roof; "fire", smoke')


def test_a_failed_invite() -> None:
    none = cause_of_response(None, 408)
    assert (none.status, none.reason, none.by, none.response) == (408, "Request Timeout", "network", None)
    response = build_response(503, "Later", [("Retry-After", "18000;duration=3600")])
    cause = cause_of_response(response, 503)
    assert (cause.status, cause.reason, cause.by, cause.retry_after, cause.response) == (
        503,
        "Later",
        "remote",
        18000,
        response,
    )
    assert repr(cause) == "<Cause 503 'Later' by remote>"
    moved = build_response(302, "", [("Contact", "<sip:a@b>;q=0.5, <sip:c@d>")])
    assert cause_of_response(moved, 302).contacts == ["sip:c@d", "sip:a@b"]
    assert cause_of_response(build_response(404, "", [("Contact", "<sip:a@b>")]), 404).contacts == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("120", 120), ("18000 (in a meeting)", 18000), ("5;duration=9", 5), ("soon", 0), ("-1", 0), ("", 0)],
)
def test_retry_after(value: str, seconds: int) -> None:
    assert retry_after(build_response(503, "", [("Retry-After", value)])) == seconds
    assert retry_after(build_response(503, "", [])) == 0


@pytest.mark.parametrize(
    ("value", "order"),
    [
        ("<sip:a@x>;q=0.2, <sip:b@x>;q=0.9, <sip:c@x>", "cba"),
        ("<sip:a@x>;q=0.25, <sip:b@x>;q=0.3, <sip:c@x>;q=0", "bac"),
        ("<sip:a@x>;q=odd, <sip:b@x>;q=1.0, <sip:c@x>;q=0.9999", "abc"),
        ("<sip:a@x>, oops<", ""),
    ],
)
def test_the_order_of_contacts(value: str, order: str) -> None:
    found = contacts_by_preference(build_response(300, "", [("Contact", value)]))
    assert found == [f"sip:{name}@x" for name in order]
