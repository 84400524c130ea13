"""What every request outside of a session needs (RFC 3261 8.1.1)."""

import pytest

from ringback.sip.message import build_request
from ringback.sip.requests import complete
from tests.sip.agents import Agent, Net


@pytest.mark.parametrize(
    ("method", "contact", "route", "privacy"),
    [
        ("OPTIONS", False, True, True),
        ("MESSAGE", False, True, True),
        ("SUBSCRIBE", True, True, True),
        ("REFER", True, True, True),
        ("REGISTER", False, False, False),
    ],
)
def test_what_is_added(method: str, contact: bool, route: bool, privacy: bool) -> None:
    alice = Agent(Net(), "alice", privacy="id")
    alice.profile.routes = ["<sip:one.example;lr>", "<sip:two.example;lr>"]
    request = build_request(method, "sip:bob@example.org", [], b"xyz")
    complete(alice.core.tu, request, alice.profile)
    for name in ("max-forwards", "from", "to", "call-id", "cseq", "supported"):
        assert len(request.all(name)) == 1, name
    assert request.header("content-length") == "3"
    assert ("contact" in request.names, "route" in request.names, "privacy" in request.names) == (
        contact,
        route,
        privacy,
    )
    if route:
        assert request.header("route") == "<sip:one.example;lr>, <sip:two.example;lr>"
        assert request.names[0] == "route"


def test_a_secure_target_gets_a_secure_contact() -> None:
    alice = Agent(Net(), "alice")
    alice.profile.contact = "sip:alice@192.0.2.1:5061;transport=TLS;ob"
    request = build_request("SUBSCRIBE", "sips:bob@example.org", [])
    complete(alice.core.tu, request, alice.profile)
    assert request.header("contact") == "<sips:alice@192.0.2.1:5061;ob>"


def test_every_request_has_a_call_id_and_a_tag_of_its_own() -> None:
    alice = Agent(Net(), "alice")
    seen = set()
    for _ in range(100):
        request = build_request("OPTIONS", "sip:bob@example.org", [])
        complete(alice.core.tu, request, alice.profile)
        seen.add((request.call_id, request.from_tag))
    assert len({call for call, _ in seen}) == len({tag for _, tag in seen}) == 100
