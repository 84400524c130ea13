"""Profiles: what they need, and what they refuse."""

import pytest

from ringback.errors import LocalError, ParseError
from ringback.sip.profile import LEAST_SESSION_EXPIRES, Profile


def test_what_is_not_said_is_as_usual() -> None:
    profile = Profile('"A" <sip:a@b>;x=y', "sip:a@192.0.2.1")
    assert (profile.routes, profile.flow, profile.credentials, profile.info_packages) == ([], None, None, [])
    assert (profile.session_expires, profile.min_se, profile.reliable) == (1800, LEAST_SESSION_EXPIRES, "supported")
    assert (profile.privacy, profile.identity, profile.trusted, profile.follow) == ("", "", False, False)
    assert (profile.address.display, profile.address.uri.text) == ("A", "sip:a@b")
    other = Profile("<sip:a@b>", "sip:a@192.0.2.1")
    other.routes.append("<sip:p;lr>")
    assert profile.routes == []


@pytest.mark.parametrize(
    "settings",
    [{"reliable": "yes"}, {"min_se": 89}, {"session_expires": 89}, {"session_expires": 100, "min_se": 101}],
)
def test_what_cannot_work(settings: dict[str, object]) -> None:
    with pytest.raises(LocalError):
        Profile("<sip:a@b>", "sip:a@192.0.2.1", **settings)  # type: ignore[arg-type]


def test_no_session_timer_is_allowed() -> None:
    assert Profile("<sip:a@b>", "sip:a@192.0.2.1", session_expires=0, min_se=600).session_expires == 0


def test_an_address_that_is_none() -> None:
    with pytest.raises(ParseError):
        assert Profile("oops", "sip:a@192.0.2.1").address
