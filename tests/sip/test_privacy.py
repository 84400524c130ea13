"""Who we say that we are, and whom we believe (RFC 3323, RFC 3325)."""

import pytest

from ringback.sip.message import Request, build_request
from ringback.sip.privacy import (
    ANONYMOUS,
    asks_for_privacy,
    asserted_identities,
    from_value,
    identity_headers,
    is_anonymous,
)
from ringback.sip.profile import Profile


def profile(**settings: object) -> Profile:
    return Profile('"Alice" <sip:alice@example.org>', "sip:alice@192.0.2.1", **settings)  # type: ignore[arg-type]


def message(*headers: tuple[str, str]) -> Request:
    return build_request("INVITE", "sip:a@b", list(headers))


@pytest.mark.parametrize(
    ("privacy", "anonymous"),
    [("", False), ("none", False), ("header;session", False), ("id", True), ("User", True), ("critical; id", True)],
)
def test_who_is_anonymous(privacy: str, anonymous: bool) -> None:
    who = profile(privacy=privacy)
    assert is_anonymous(who) is anonymous
    wanted = ANONYMOUS if anonymous else '"Alice" <sip:alice@example.org>'
    assert from_value(who, "x") == f"{wanted};tag=x"


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, []),
        ({"privacy": "none"}, [("Privacy", "none")]),
        ({"identity": "<sip:a@b>"}, [("P-Preferred-Identity", "<sip:a@b>")]),
        ({"identity": "<sip:a@b>", "trusted": True}, [("P-Asserted-Identity", "<sip:a@b>")]),
        (
            {"privacy": "id", "identity": "<sip:a@b>"},
            [("Privacy", "id"), ("P-Preferred-Identity", "<sip:a@b>")],
        ),
        ({"privacy": "id"}, [("Privacy", "id")]),
        (
            {"privacy": "id", "trusted": True},
            [("Privacy", "id"), ("P-Asserted-Identity", '"Alice" <sip:alice@example.org>')],
        ),
        ({"trusted": True}, []),
    ],
)
def test_what_is_said_of_us(settings: dict[str, object], headers: list[tuple[str, str]]) -> None:
    assert identity_headers(profile(**settings)) == headers


def test_only_a_trusted_peer_is_believed() -> None:
    """RFC 3325 section 8."""
    asserted = message(("P-Asserted-Identity", '"Bob" <sip:bob@b.example>'), ("P-Asserted-Identity", "<tel:+123>"))
    assert asserted_identities(asserted, profile()) == []
    found = asserted_identities(asserted, profile(trusted=True))
    assert [(entry.display, entry.uri.text) for entry in found] == [("Bob", "sip:bob@b.example"), ("", "tel:+123")]
    assert asserted_identities(message(), profile(trusted=True)) == []
    assert asserted_identities(message(("P-Asserted-Identity", "<oops")), profile(trusted=True)) == []
    many = message(("P-Asserted-Identity", "<sip:a@b>, <sip:c@d>, <sip:e@f>"))
    assert len(asserted_identities(many, profile(trusted=True))) == 2


def test_what_others_ask_for() -> None:
    assert asks_for_privacy(message()) == []
    assert asks_for_privacy(message(("Privacy", "Header; id ;CRITICAL"))) == ["header", "id", "critical"]
