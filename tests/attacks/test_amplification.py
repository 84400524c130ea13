"""A datagram may claim any source, so what it brings there is no more than three times what it was, and once."""

from __future__ import annotations

import pytest

from tests.attacks.world import DOMAIN, SERVER, Phone, World, statuses

METHODS = ("REGISTER", "INVITE", "OPTIONS", "MESSAGE", "BYE", "CANCEL", "SUBSCRIBE", "FOO")
LONG = "telephones." * 12 + "example.com"
#: Requests as small as they get, by what is wrong with them: Request-URI, the end of Via, From, and further lines.
SMALL = {
    "no credentials": ("sip:a", ";branch=z9hG4bK1", "<sip:a>", ""),
    "for a user": (f"sip:x@{DOMAIN}", ";branch=z9hG4bK2", "<sip:a>", ""),
    "for the domain": (f"sip:{DOMAIN}", ";branch=z9hG4bK2;rport", "<sip:a>", ""),
    "no cookie": ("sip:a", "", "sip:a", ""),
    "no From": ("sip:a", "", "", ""),
    "an odd From": ("sip:a", "", "<<>", ""),
    "an odd scheme": ("x:a", "", "<sip:a>", ""),
    "no hop left": ("sip:a", "", "<sip:a>", "Max-Forwards:0\r\n"),
    "odd hops": ("sip:a", "", "<sip:a>", "Max-Forwards:x\r\n"),
    "an extension": ("sip:a", "", "<sip:a>", "Proxy-Require:x\r\n"),
    "odd credentials": (f"sip:{DOMAIN}", "", "<sip:a>", "Authorization:Digest\r\nProxy-Authorization:Digest\r\n"),
    "within a dialog": (f"sip:x@{DOMAIN}", "", "<sip:a>", "Route:<sip:p00@192.0.2.1>\r\n"),
    "a long realm": (f"sip:x@{LONG}", "", "<sip:a>", ""),
}


def small(what: str, method: str) -> bytes:
    uri, via, sender, more = SMALL[what]
    who = f"f:{sender};tag=a\r\nt:<{uri}>\r\ni:a\r\n" if sender else ""
    return f"{method} {uri} SIP/2.0\r\nv:SIP/2.0/UDP a{via}\r\n{who}CSeq:1 {method}\r\n{more}\r\n".encode()


def brought(data: bytes, transport: str = "UDP", **changed: object) -> tuple[int, list[int]]:
    """The size of a request, and those of all that its source gets in 40 s."""
    world = World(domains=(DOMAIN, LONG), **changed)  # type: ignore[arg-type]
    victim = Phone(world, "x", "198.51.100.77", 5060, DOMAIN, transport)
    world.receive(data, victim.flow)
    world.advance(40.0)
    assert world.elsewhere(victim) == []
    return len(data), [len(answer) for answer in victim.raw()]


@pytest.mark.parametrize("outsiders", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", SMALL)
def test_three_times_its_size_at_most_and_once(what: str, method: str, outsiders: bool) -> None:
    size, answers = brought(small(what, method), outsiders=outsiders)
    assert len(answers) <= 1
    assert sum(answers) <= 3 * size


@pytest.mark.parametrize("method", ["REGISTER", "INVITE", "OPTIONS"])
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_telephone_is_offered_all_algorithms(method: str, transport: str) -> None:
    """A request as real ones are is long enough; on a connection the source is known to be there."""
    world = World()
    alice = world.phone("alice", transport=transport)
    [answer] = alice.send(alice.build(method, f"sip:{DOMAIN}", "User-Agent: Phone 1.0"))
    assert len(answer.all("www-authenticate") + answer.all("proxy-authenticate")) == 3


def test_on_a_connection_small_requests_are_answered_in_full() -> None:
    size, answers = brought(small("no credentials", "OPTIONS"), "TCP")
    assert len(answers) == 1 and answers[0] > 3 * size


def test_the_strongest_is_what_is_left() -> None:
    world = World()
    victim = Phone(world, "x", "198.51.100.77", 5060, DOMAIN, "UDP")
    [answer] = victim.send(small("for a user", "OPTIONS"))
    [challenge] = answer.all("proxy-authenticate")
    assert "SHA-512-256" in challenge or "algorithm=SHA-256" in challenge


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_retransmission_is_answered_each_time_and_not_by_itself(times: int) -> None:
    world = World()
    alice = world.phone("alice")
    data = alice.build("INVITE", f"sip:bob@{DOMAIN}")
    for _ in range(times):
        world.receive(data, alice.flow)
    world.advance(40.0)
    assert statuses(alice.responses()) == [407] * times


def test_what_comes_back_to_us_from_ourselves() -> None:
    """A datagram in the name of this very server: its answer is a response without a transaction, and is let drop."""
    world = World()
    itself = Phone(world, "x", SERVER, 5060, DOMAIN, "UDP")
    world.receive(itself.build("OPTIONS", f"sip:bob@{DOMAIN}"), itself.flow)
    for _ in range(3):
        for data in itself.raw():
            world.receive(data, itself.flow)
    assert world.sent == []


@pytest.mark.parametrize(
    "line",
    [
        "Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bKv",
        "Via: SIP/2.0/UDP 203.0.113.9;maddr=203.0.113.9;branch=z9hG4bKv",
        "Via: SIP/2.0/UDP 203.0.113.9;received=203.0.113.9;branch=z9hG4bKv",
    ],
)
def test_answers_go_to_the_source_whatever_via_says(line: str) -> None:
    """18.2.1: "If the host portion of the 'sent-by' parameter … differs from the packet source address", the response
    goes to the source. A maddr, for multicast, would let anybody point at a third party."""
    world = World()
    someone = world.phone("x", domain="example.net")
    data = someone.build("OPTIONS", f"sip:bob@{DOMAIN}").decode()
    own = data.split("\r\n")[1]
    world.receive(data.replace(own, line).encode(), someone.flow)
    assert [flow.host for _, flow in world.sent] == [someone.flow.host]
