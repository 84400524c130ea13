"""OPTIONS to the server itself (11.2), and which OPTIONS that is."""

from __future__ import annotations

import pytest

from ringback.server.capabilities.options import ALLOW
from ringback.sip.parser import METHODS
from tests.attacks.world import DOMAIN, SERVER, World, statuses


@pytest.mark.parametrize("uri", [f"sip:{DOMAIN}", f"sip:{SERVER}:5060;transport=tcp", f"sips:{DOMAIN}"])
def test_what_this_element_can_do(uri: str) -> None:
    """11.2: "The response SHOULD contain the header fields Allow, Accept, Accept-Encoding, Accept-Language, and
    Supported"."""
    alice = World().phone("alice")
    [answer] = alice.request("OPTIONS", uri, to=f"<{uri}>")
    said = [line.partition(": ")[::2] for line in answer.lines][-6:]
    assert answer.status == 200
    assert said == [
        ("Allow", ALLOW),
        ("Accept", "application/sdp, */*"),
        ("Accept-Encoding", "identity"),
        ("Accept-Language", "en"),
        ("Supported", "path, outbound, gruu"),
        ("Content-Length", "0"),
    ]
    assert answer.to_tag != "" and answer.body == b""


def test_the_methods_are_all_that_the_proxy_carries() -> None:
    assert set(ALLOW.split(", ")) == METHODS


@pytest.mark.parametrize(
    ("require", "unsupported"),
    [("path", None), ("path, OUTBOUND, gruu", None), ("100rel", "100rel"), ("path, x, gruu, y", "x, y")],
)
def test_extensions_that_are_required(require: str, unsupported: str | None) -> None:
    """8.2.2.3: "The UAS MUST add an Unsupported header field, and list in it those options it does not understand"."""
    alice = World().phone("alice")
    [answer] = alice.request("OPTIONS", f"sip:{DOMAIN}", f"Require: {require}")
    assert (answer.status, answer.header("unsupported")) == (420 if unsupported else 200, unsupported)


def test_to_a_user_it_is_forwarded() -> None:
    world = World()
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.register()
    assert statuses(alice.request("OPTIONS", bob.uri, "Require: 100rel")) == []
    assert [request.method for request in bob.requests()] == ["OPTIONS"]


def test_no_hop_left_is_no_reason_not_to_answer() -> None:
    """16.3 step 3: "If the request is for OPTIONS, the element MAY act as the final recipient and respond"."""
    alice = World().phone("alice")
    seen = []
    for uri in (f"sip:{DOMAIN}", f"sip:bob@{DOMAIN}"):
        alice.challenged("OPTIONS", uri)
        line = alice.credentials("OPTIONS", uri)
        data = alice.build("OPTIONS", uri, line).replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
        seen += statuses(alice.send(data))
    assert seen == [200, 483]


@pytest.mark.parametrize(("method", "tag", "status"), [("MESSAGE", "", 404), ("BYE", ";tag=x", 481)])
def test_other_methods_without_a_user(method: str, tag: str, status: int) -> None:
    alice = World().phone("alice")
    assert statuses(alice.request(method, f"sip:{DOMAIN}", to=f"<sip:{DOMAIN}>{tag}")) == [status]
