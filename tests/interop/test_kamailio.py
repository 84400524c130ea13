"""Calls between Ringback and Kamailio, each the other's next hop: with SIPp at both ends, hung up from both ends.

Kamailio has the domain other.test with one phone, zoe's. Both proxies record their route, so everything after the
INVITE has to find its way through both by what the other wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.interop.conftest import ONLY_MD5
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.kamailio import NEIGHBOUR_DOMAIN, KamailioNeighbour
from tests.interop.peers.program import free_port
from tests.interop.peers.server import Certificate, RingbackServer
from tests.interop.peers.sipp import Logged, Sipp, Sipps

pytestmark = pytest.mark.interop("kamailio", "sipp", "openssl")

CHALLENGED = ["> INVITE", "< 407", "> ACK", "> INVITE"]
ZOE = {"user": "zoe", "domain": NEIGHBOUR_DOMAIN}
# Scenarios of a caller that is challenged, of one that is not, and of the callee, by who hangs up.
HANGS_UP = {
    "callee": ("caller", "caller_unasked", "callee"),
    "caller": ("caller_hangs_up", "caller_unasked_hangs_up", "callee_is_left"),
}


class Site(NamedTuple):
    """Ringback, Kamailio, and the port of zoe's phone."""

    ringback: RingbackServer
    kamailio: KamailioNeighbour
    phone: int


def make_site(
    directory: Path, accounts: Path, identity: Certificate, *, next_hop: bool = False, challenge: bool = False
) -> Site:
    """With `next_hop` Ringback sends other.test, and numbers that begin with 00, to Kamailio; else it takes calls from
    strangers to its users. It does not start with both, which would open the gateway to strangers."""
    kamailio, phone = free_port(0), free_port(0)
    setup = 'outsiders = "allow"\n'
    if next_hop:
        places = (f'domain = "{NEIGHBOUR_DOMAIN}"', 'prefix = "00"')
        setup = "".join(f'[[setup.next_hops]]\n{place}\nuri = "sip:127.0.0.1:{kamailio}"\n' for place in places)
    (directory / "ringback").mkdir()
    ringback = RingbackServer(directory / "ringback", accounts, identity, f"{ONLY_MD5}\n[setup]\n{setup}")
    ringback.start()
    neighbour = KamailioNeighbour(
        directory / "kamailio", ringback=ringback.udp, phone=phone, challenge=challenge, port=kamailio
    )
    return Site(ringback, neighbour, phone)


@pytest.fixture(scope="module")
def next_hop(tmp_path_factory: pytest.TempPathFactory, accounts: Path, identity: Certificate) -> Iterator[Site]:
    """Ringback sends to Kamailio."""
    made = make_site(tmp_path_factory.mktemp("next"), accounts, identity, next_hop=True)
    yield made
    made.kamailio.stop()
    made.ringback.stop()


@pytest.fixture(scope="module")
def previous_hop(tmp_path_factory: pytest.TempPathFactory, accounts: Path, identity: Certificate) -> Iterator[Site]:
    """Kamailio sends to Ringback."""
    made = make_site(tmp_path_factory.mktemp("previous"), accounts, identity)
    yield made
    made.kamailio.stop()
    made.ringback.stop()


def zoe(sipps: Sipps, site: Site, scenario: str) -> Sipp:
    """Her phone, which waits for a call."""
    return sipps.start(scenario, site.kamailio.port, port=site.phone, **ZOE).listening()


def hops(message: Logged, name: str) -> list[int]:
    """The ports in the values of a header, in order, each once: which elements these are."""
    values = [value for line in message.all(name) for value in line.split(",")]
    return list(dict.fromkeys(int(value.partition("127.0.0.1:")[2].partition(";")[0].rstrip(">")) for value in values))


def went_through_both(caller: Sipp, callee: Sipp, first: int, second: int, who: str) -> None:
    """The INVITE, the ACK and the BYE passed the servers at these ports, in this order or back."""
    invite = callee.first("< INVITE")
    assert hops(invite, "Via") == [second, first, caller.port]
    assert hops(invite, "Record-Route") == [second, first]
    assert hops(callee.first("< ACK"), "Via") == [second, first, caller.port]
    if who == "caller":
        assert hops(callee.first("< BYE"), "Via") == [second, first, caller.port]
    else:
        assert hops(caller.first("< BYE"), "Via") == [first, second, callee.port]
    for request in (callee.first("< ACK"), caller.told()[-2] if who == "callee" else callee.told()[-2]):
        assert request.all("Route") == []


def ending(who: str) -> tuple[list[str], list[str]]:
    """The last steps of the caller and of the callee."""
    gets, sends = ["< BYE", "> 200"], ["> BYE", "< 200"]
    return (gets, sends) if who == "callee" else (sends, gets)


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("target", [f"zoe@{NEIGHBOUR_DOMAIN}", "0049301234@ring.test"], ids=["domain", "prefix"])
def test_kamailio_is_the_next_hop(next_hop: Site, sipps: Sipps, target: str, who: str) -> None:
    """Alice calls by Ringback, which sends another domain, or a number, to Kamailio: a configured next hop."""
    challenged, _, waiting = HANGS_UP[who]
    callee = zoe(sipps, next_hop, waiting)
    alice = sipps.run(challenged, next_hop.ringback.udp, user="alice", target=target)
    callee.done()
    end_of_caller, end_of_callee = ending(who)
    assert alice.steps() == [*CHALLENGED, "< 180", "< 200", "> ACK", *end_of_caller]
    assert callee.steps() == ["< INVITE", "> 180", "> 200", "< ACK", *end_of_callee]
    assert callee.first("< INVITE").start_line == f"INVITE sip:{target} SIP/2.0"
    assert callee.first("< INVITE").all("Proxy-Authorization") == []
    went_through_both(alice, callee, next_hop.ringback.udp, next_hop.kamailio.port, who)


@pytest.mark.parametrize("who", ["caller", "callee"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_kamailio_is_the_previous_hop(previous_hop: Site, sipps: Sipps, transport: str, who: str) -> None:
    """Zoe calls by Kamailio, which sends what is for ring.test to Ringback; Bob's phone is on UDP or TCP there."""
    _, unasked, waiting = HANGS_UP[who]
    bob = sipps.phone(waiting, previous_hop.ringback.udp, user="bob", transport=transport)
    caller = sipps.run(unasked, previous_hop.kamailio.port, target="bob@ring.test", **ZOE)
    bob.done()
    end_of_caller, end_of_callee = ending(who)
    assert caller.steps() == ["> INVITE", "< 180", "< 200", "> ACK", *end_of_caller]
    assert bob.steps() == ["< INVITE", "> 180", "> 200", "< ACK", *end_of_callee]
    assert bob.first("< INVITE").start_line.startswith(f"INVITE sip:bob@127.0.0.1:{bob.port};transport=")
    went_through_both(caller, bob, previous_hop.kamailio.port, previous_hop.ringback.udp, who)


@pytest.mark.interop("baresip")
def test_rfc3665_3_3_multiple_proxy_authentication(
    tmp_path: Path, accounts: Path, identity: Certificate, sipps: Sipps
) -> None:
    """RFC 3665 3.3: Ringback and then Kamailio challenge. Alice (baresip: SIPp answers one challenge at a time) sends
    credentials for both; Ringback takes its own off and leaves Kamailio's, which 22.3 has it pass."""
    site = make_site(tmp_path, accounts, identity, next_hop=True, challenge=True)
    alice = Baresip(tmp_path / "alice", site.ringback, "alice")
    try:
        callee = zoe(sipps, site, "callee")
        alice.registered().dial(f"sip:zoe@{NEIGHBOUR_DOMAIN}")
        alice.expect("CALL_ESTABLISHED")
        alice.expect("CALL_CLOSED")
        callee.done()
        log = alice.program.output()
    finally:
        alice.stop()
        site.kamailio.stop()
        site.ringback.stop()
    credentials = []
    for invite in re.split(r"(?m)^INVITE sip:zoe@other\.test\S* SIP/2\.0", log)[1:]:
        head = invite.partition("Content-Length")[0]
        credentials.append(re.findall(r'Proxy-Authorization: Digest username="alice", realm="([^"]+)"', head))
    assert credentials[:2] == [[], ["ring.test"]]
    assert [sorted(realms) for realms in credentials[2:]] == [["other.test", "ring.test"]]
    assert callee.steps() == ["< INVITE", "> 180", "> 200", "< ACK", "> BYE", "< 200"]
    assert callee.first("< INVITE").all("Proxy-Authorization") == []
