"""The flows of RFC 3665 section 2, SIP registration, with SIPp as Bob, over UDP and TCP.

RFC 3665 shows them over TLS, which Debian's SIPp does not speak; those of test_baresip.py register over TLS.
"""

from __future__ import annotations

import re

import pytest

from tests.interop.peers.server import Server
from tests.interop.peers.sipp import Logged, Sipps

pytestmark = [pytest.mark.interop("sipp", "openssl"), pytest.mark.parametrize("transport", ["udp", "tcp"])]

CHALLENGED = ["> REGISTER", "< 401", "> REGISTER"]


def contacts(response: Logged) -> dict[str, int]:
    """The contacts of a 200 and for how many seconds each is bound."""
    found = {}
    for value in response.all("Contact"):
        match = re.fullmatch(r"<(?P<uri>[^>]+)>;expires=(?P<seconds>\d+)(;q=0\.5)?", value)
        assert match is not None, value
        found[match["uri"]] = int(match["seconds"])
    return found


def place(port: int, transport: str) -> str:
    return f"sip:bob@127.0.0.1:{port};transport={transport.upper()}"


def test_2_1_successful_new_registration(shared: Server, sipps: Sipps, transport: str) -> None:
    """REGISTER, 401, REGISTER with credentials, 200 with the new contact."""
    bob = sipps.run("register", shared.udp, user="bob", transport=transport)
    assert bob.steps() == [*CHALLENGED, "< 200"]
    challenge = bob.first("< 401").one("WWW-Authenticate")
    assert challenge.startswith("Digest ") and 'realm="ring.test"' in challenge and 'qop="auth"' in challenge
    assert bob.first("< 401").one("CSeq") == "1 REGISTER"
    success = bob.first("< 200")
    assert success.one("CSeq") == "2 REGISTER"
    assert success.one("To").partition(";tag=")[2], "8.2.6.2: the UAS MUST add a tag to the To"
    assert success.branch == bob.first("> REGISTER", 1).branch
    bound = contacts(success)
    assert list(bound) == [place(bob.port, transport)]
    assert 3598 <= bound[place(bob.port, transport)] <= 3600
    sipps.run("register_cancel", shared.udp, user="bob")


def test_2_2_update_of_contact_list(shared: Server, sipps: Sipps, transport: str) -> None:
    """A second contact joins the first. The example's mailto: is not taken any more: RFC 5627 5.1, "If the contact is
    not a SIP URI, the REGISTER request MUST be rejected with a 403"."""
    bob = sipps.run("register", shared.udp, user="bob", transport=transport)
    other = "sip:bob@127.0.0.1:5999"
    update = sipps.run("register_update", shared.udp, user="bob", transport=transport, other=other)
    assert update.steps() == [*CHALLENGED, "< 200"]
    assert set(contacts(update.first("< 200"))) == {place(bob.port, transport), other}
    refused = sipps.run(
        "register_forbidden", shared.udp, user="bob", transport=transport, other="mailto:bob@biloxi.example.com"
    )
    assert refused.steps() == [*CHALLENGED, "< 403"]
    query = sipps.run("register_query", shared.udp, user="bob", transport=transport)
    assert set(contacts(query.first("< 200"))) == {place(bob.port, transport), other}
    sipps.run("register_cancel", shared.udp, user="bob")


def test_2_3_request_for_current_contact_list(shared: Server, sipps: Sipps, transport: str) -> None:
    """A REGISTER without Contact changes nothing and is told what is bound: first one contact, then none."""
    bob = sipps.run("register", shared.udp, user="bob", transport=transport)
    for _ in range(2):
        query = sipps.run("register_query", shared.udp, user="bob", transport=transport)
        assert query.steps() == [*CHALLENGED, "< 200"]
        assert list(contacts(query.first("< 200"))) == [place(bob.port, transport)]
    sipps.run("register_cancel", shared.udp, user="bob")
    assert sipps.run("register_query", shared.udp, user="bob").first("< 200").all("Contact") == []


def test_2_4_cancellation_of_registration(shared: Server, sipps: Sipps, transport: str) -> None:
    """`Contact: *` with Expires 0 removes all contacts, though another Call-ID made them."""
    sipps.run("register", shared.udp, user="bob", transport=transport)
    sipps.run("register_update", shared.udp, user="bob", transport=transport, other="sip:bob@127.0.0.1:5999")
    cancel = sipps.run("register_cancel", shared.udp, user="bob", transport=transport)
    assert cancel.steps() == [*CHALLENGED, "< 200"]
    assert cancel.first("< 200").all("Contact") == []
    assert sipps.run("register_query", shared.udp, user="bob").first("< 200").all("Contact") == []


def test_2_5_unsuccessful_registration(shared: Server, sipps: Sipps, transport: str) -> None:
    """A wrong password is challenged once more, and nothing is bound."""
    bob = sipps.run("register_refused", shared.udp, user="bob", transport=transport, password="guess")
    assert bob.steps() == [*CHALLENGED, "< 401"]
    first, second = (bob.first("< 401", number).one("WWW-Authenticate") for number in range(2))
    nonces = [re.findall(r'nonce="([^"]+)"', challenge) for challenge in (first, second)]
    assert len(nonces[0]) == len(nonces[1]) == 1 and nonces[0] != nonces[1]
    assert "stale=true" not in second.lower()
    assert sipps.run("register_query", shared.udp, user="bob").first("< 200").all("Contact") == []
