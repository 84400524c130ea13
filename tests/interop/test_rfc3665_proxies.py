"""The flows of RFC 3665 section 3 that go through two servers, with SIPp at both ends.

Alice belongs to ring.test and calls Bob of biloxi.test. Here are 3.2, 3.4, 3.8 and 3.9; 3.3, where both proxies
challenge, is in test_kamailio.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.interop.conftest import ONLY_MD5
from tests.interop.peers.server import OTHER_DOMAIN, Server, instead_of_ringback
from tests.interop.peers.sipp import Sipps

pytestmark = [
    pytest.mark.interop("sipp", "openssl"),
    pytest.mark.skipif(instead_of_ringback(), reason="Kamailio stands in for one server of one domain only"),
]

BOB = f"bob@{OTHER_DOMAIN}"
CHALLENGED = ["> INVITE", "< 407", "> ACK", "> INVITE"]


class Proxies(NamedTuple):
    """Alice's server and Bob's."""

    first: Server
    second: Server


@pytest.fixture(scope="module", params=["udp", "tcp"])
def proxies(make_shared_server: Callable[..., Server], request: pytest.FixtureRequest) -> Proxies:
    """Alice's server sends what is for biloxi.test to Bob's, which takes calls of strangers; by UDP, and by TCP."""
    second = make_shared_server(f'{ONLY_MD5}\n[setup]\noutsiders = "allow"\n', OTHER_DOMAIN)
    hop = f"sip:127.0.0.1:{second.udp};transport={request.param}"
    route = f'[[setup.next_hops]]\ndomain = "{OTHER_DOMAIN}"\nuri = "{hop}"\n'
    return Proxies(make_shared_server(f"{ONLY_MD5}\n{route}"), second)


def test_3_2_session_establishment(proxies: Proxies, sipps: Sipps) -> None:
    """Alice is challenged by her own server only; every message, to Bob's BYE, passes both."""
    bob = sipps.phone("callee", proxies.second.udp, user="bob", domain=OTHER_DOMAIN)
    alice = sipps.run("caller", proxies.first.udp, user="alice", target=BOB)
    bob.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "< 200", "> ACK", "< BYE", "> 200"]
    assert bob.steps() == ["< INVITE", "> 180", "> 200", "< ACK", "> BYE", "< 200"]
    invite = bob.first("< INVITE")
    assert invite.start_line == f"INVITE sip:bob@127.0.0.1:{bob.port};transport=UDP SIP/2.0"
    assert invite.one("Max-Forwards") == "68"
    assert invite.all("Route") == [] and invite.all("Proxy-Authorization") == []
    assert [proxy_of(value, proxies) for value in dict.fromkeys(map(place_of, invite.all("Record-Route")))] == [2, 1]
    for request in (invite, bob.first("< ACK"), alice.first("< BYE")):
        assert len(request.all("Via")) == 3
        assert request.all("Route") == []


def place_of(record_route: str) -> str:
    """Host and port of a Record-Route of ours."""
    return record_route.partition("@")[2].partition(";")[0]


def proxy_of(place: str, proxies: Proxies) -> int:
    """Which of the two listens there."""
    return 1 + [f"127.0.0.1:{server.udp}" for server in proxies].index(place)


def test_3_8_no_answer(proxies: Proxies, sipps: Sipps) -> None:
    """Alice gives up while it rings: CANCEL is answered hop by hop, 487 comes back from Bob, and each hop acknowledges
    it to the next."""
    bob = sipps.phone("callee_is_cancelled", proxies.second.udp, user="bob", domain=OTHER_DOMAIN)
    alice = sipps.run("caller_cancels", proxies.first.udp, user="alice", target=BOB)
    bob.done()
    assert alice.steps() == [*CHALLENGED, "< 180", "> CANCEL", "< 200", "< 487", "> ACK"]
    assert bob.steps() == ["< INVITE", "> 180", "< CANCEL", "> 200", "> 487", "< ACK"]
    assert alice.first("< 200").one("CSeq") == "2 CANCEL"
    invite = bob.first("< INVITE")
    for request in (bob.first("< CANCEL"), bob.first("< ACK")):
        # 9.1: "a single Via header field value matching the top Via value in the request being cancelled"; 17.1.1.3
        # says the same of the ACK.
        assert request.all("Via") == invite.all("Via")[:1]
        assert request.start_line.split(" ")[1] == invite.start_line.split(" ")[1]
        assert request.one("Call-ID") == invite.one("Call-ID")
    assert alice.first("< 487").one("To") == bob.first("> 487").one("To")


def test_3_9_busy(proxies: Proxies, sipps: Sipps) -> None:
    """Bob's 486 goes back through both, and each hop acknowledges it to the next."""
    bob = sipps.phone("callee_refuses", proxies.second.udp, user="bob", domain=OTHER_DOMAIN)
    alice = sipps.run("caller_fails", proxies.first.udp, user="alice", target=BOB)
    bob.done()
    assert alice.steps() == [*CHALLENGED, "< 486", "> ACK"]
    assert bob.steps() == ["< INVITE", "> 486", "< ACK"]
    assert alice.first("< 486").one("To") == bob.first("> 486").one("To")
    assert len(alice.first("< 486").all("Via")) == 1


def test_3_4_proxy_failure(shared: Server, sipps: Sipps) -> None:
    """Alice's first proxy takes her INVITE and says nothing, so she turns to the second, with the same Call-ID."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
        dead.bind(("127.0.0.1", 0))
        bob = sipps.phone("callee", shared.udp, user="bob")
        port = str(dead.getsockname()[1])
        alice = sipps.run("caller_turns", shared.udp, user="alice", target="bob@ring.test", dead=port)
        bob.done()
        lost = dead.recv(65535).decode()
    assert alice.steps() == ["> INVITE", *CHALLENGED, "< 180", "< 200", "> ACK", "< BYE", "> 200"]
    assert lost.startswith("INVITE sip:bob@ring.test SIP/2.0\r\n")
    assert f"Call-ID: {bob.first('< INVITE').one('Call-ID')}\r\n" in lost
