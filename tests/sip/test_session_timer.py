"""Session timers (RFC 4028): what is asked for, answered, refused, and when to act."""

import pytest

from ringback.errors import ParseError
from ringback.sip.message import Request, build_request, build_response
from ringback.sip.profile import Profile
from ringback.sip.session_timer import (
    LONGEST_INTERVAL,
    SessionExpires,
    SessionTimer,
    read_min_se,
    read_session_expires,
)


def profile(session_expires: int = 1800, min_se: int = 90) -> Profile:
    return Profile("<sip:a@b>", "sip:a@192.0.2.1", session_expires=session_expires, min_se=min_se)


def request(expires: str = "", *, supported: bool = True, min_se: str = "") -> Request:
    headers = [("Supported", "timer")] if supported else []
    headers += [("Session-Expires", expires)] if expires else []
    return build_request("INVITE", "sip:a@b", headers + ([("Min-SE", min_se)] if min_se else []))


def success(expires: str = "") -> object:
    return build_response(200, "", [("Session-Expires", expires)] if expires else [])


# reading -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds", "refresher"),
    [("4000", 4000, ""), ("4000;refresher=uac", 4000, "uac"), (" 90 ; Refresher = UAS ; x=y", 90, "uas")],
)
def test_session_expires(value: str, seconds: int, refresher: str) -> None:
    found = read_session_expires(request(value))
    assert found is not None
    assert (found.seconds, found.refresher) == (seconds, refresher)
    assert str(SessionExpires(90)) == "90"
    assert str(SessionExpires(90, "uac")) == "90;refresher=uac"
    assert read_session_expires(request()) is None


@pytest.mark.parametrize("value", ["x", "90;refresher=me", "-1"])
def test_what_is_none(value: str) -> None:
    with pytest.raises(ParseError):
        read_session_expires(request(value))


def test_min_se() -> None:
    """Section 5: 90 when it is not there, and never less."""
    assert [read_min_se(request(min_se=value)) for value in ("", "200;x=y", "30")] == [90, 200, 90]
    with pytest.raises(ParseError):
        read_min_se(request(min_se="x"))


# asking --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "headers", "wanted"),
    [
        (profile(0), [], 0),
        (profile(1800), [("Session-Expires", "1800")], 1800),
        (profile(1800, 600), [("Session-Expires", "1800"), ("Min-SE", "600")], 1800),
    ],
)
def test_the_first_request(who: Profile, headers: list[tuple[str, str]], wanted: int) -> None:
    """7.1: the refresher is left open."""
    timer = SessionTimer()
    assert (timer.ask(who, True), timer.wanted) == (headers, wanted)


def test_later_requests_keep_the_interval_and_the_roles() -> None:
    """7.4."""
    timer = SessionTimer()
    timer.interval, timer.refreshes = 600, True
    assert timer.ask(profile(), False) == [("Session-Expires", "600;refresher=uac")]
    timer.refreshes = False
    timer.least = 900
    assert timer.ask(profile(), False) == [("Session-Expires", "900;refresher=uas"), ("Min-SE", "900")]
    timer = SessionTimer()
    timer.interval = 300
    # A peer or proxy has asked for it, though we have not.
    assert timer.ask(profile(0), False) == [("Session-Expires", "300;refresher=uas")]


@pytest.mark.parametrize(
    ("answer", "interval", "refreshes"),
    [
        ("1200;refresher=uac", 1200, True),
        ("1200;refresher=uas", 1200, False),
        ("1200", 1200, True),
        ("5;refresher=uac", 90, True),
        ("999999;refresher=uac", LONGEST_INTERVAL, True),
        # 7.2: nobody has answered our wish, so we refresh for our own benefit.
        ("", 1800, True),
        ("nonsense", 1800, True),
        ("0", 1800, True),
    ],
)
def test_the_answer(answer: str, interval: int, refreshes: bool) -> None:
    timer = SessionTimer()
    timer.ask(profile(), True)
    timer.accepted(success(answer))  # type: ignore[arg-type]
    assert (timer.interval, timer.refreshes) == (interval, refreshes)


def test_the_answer_to_no_wish() -> None:
    timer = SessionTimer()
    timer.interval = 500
    timer.ask(profile(0), True)
    timer.wanted = 0
    timer.accepted(success())  # type: ignore[arg-type]
    assert timer.interval == 0
    timer.accepted(success("700;refresher=uac"))  # type: ignore[arg-type]
    assert (timer.interval, timer.refreshes) == (700, True)


@pytest.mark.parametrize(
    ("min_se", "again"),
    [("600", True), ("90", False), ("1800", False), ("1801", True), ("x", False), ("999999", False)],
)
def test_422(min_se: str, again: bool) -> None:
    """7.3: only a larger interval is a reason to ask again."""
    timer = SessionTimer()
    timer.ask(profile(1800 if min_se.startswith("180") else 100), True)
    response = build_response(422, "", [("Min-SE", min_se)])
    assert timer.too_small(response) is again
    if again:
        assert ("Min-SE", min_se) in timer.ask(profile(100), True)
        assert not timer.too_small(response)


# answering -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "who", "expires", "required", "refreshes"),
    [
        # Table 2.
        (request("600"), profile(), "600;refresher=uac", True, False),
        (request("600;refresher=uac"), profile(), "600;refresher=uac", True, False),
        (request("600;refresher=uas"), profile(), "600;refresher=uas", True, True),
        (request("600", supported=False), profile(), "600;refresher=uas", False, True),
        # It may be reduced, but not below Min-SE.
        (request("3600"), profile(1800), "1800;refresher=uac", True, False),
        (request("3600", min_se="2000"), profile(1800), "2000;refresher=uac", True, False),
        (request("3600"), profile(0), "3600;refresher=uac", True, False),
        (request("50", supported=False), profile(), "50;refresher=uas", False, True),
        # We may ask where the caller could, but has not.
        (request(), profile(1800), "1800;refresher=uac", True, False),
        (request(min_se="2000"), profile(1800), "2000;refresher=uac", True, False),
        (request(), profile(0), None, False, False),
        (request(supported=False), profile(1800), None, False, False),
    ],
)
def test_the_2xx(asked: Request, who: Profile, expires: str | None, required: bool, refreshes: bool) -> None:
    timer = SessionTimer()
    headers = dict(timer.accept(asked, who))
    assert (headers.get("Session-Expires"), headers.get("Require")) == (expires, "timer" if required else None)
    assert timer.refreshes is refreshes
    assert timer.interval == (int(expires.partition(";")[0]) if expires else 0)


def test_a_later_2xx_keeps_what_there_is() -> None:
    timer = SessionTimer()
    timer.accept(request("600;refresher=uas"), profile())
    assert dict(timer.accept(request(), profile()))["Session-Expires"] == "600;refresher=uas"
    assert dict(timer.accept(request(supported=False), profile()))["Session-Expires"] == "600;refresher=uas"
    assert dict(timer.accept(request("700;refresher=uac"), profile()))["Session-Expires"] == "700;refresher=uac"
    assert timer.least == 0
    timer.accept(request("700", min_se="650"), profile())
    assert timer.least == 650


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (request("89"), True),
        (request("90"), False),
        (request(), False),
        # Section 9: without support in the caller a 422 would only end the call.
        (request("60", supported=False), False),
    ],
)
def test_what_is_refused(asked: Request, refused: bool) -> None:
    assert SessionTimer().refusal(asked, profile()) == ([("Min-SE", "90")] if refused else None)


# time ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "refreshes", "refresh", "end"),
    [(0, True, 0.0, 0.0), (1800, True, 900.0, 1768.0), (1800, False, 0.0, 1768.0), (90, False, 0.0, 60.0)],
)
def test_when(interval: int, refreshes: bool, refresh: float, end: float) -> None:
    timer = SessionTimer()
    timer.interval, timer.refreshes = interval, refreshes
    assert (timer.refresh_after(), timer.ends_after()) == (refresh, end)
