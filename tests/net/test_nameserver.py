"""Questions to a real name server, on a loopback port."""

from collections.abc import AsyncIterator

import dns.asyncresolver
import dns.resolver
import pytest

from ringback.errors import ConfigurationError
from ringback.net.nameserver import FAILURE_KEPT, MOST_RECORDS, NameServers, Reply
from ringback.sip.locate import Failure, Naptr, Question, Srv
from tests.net.dns_kit import Zone, serving


@pytest.fixture
async def zone() -> AsyncIterator[Zone]:
    records = {
        "NAPTR example.org": (100, ['20 10 "s" "SIP+D2U" "" _sip._udp.example.org.', '10 5 "S" "sips+d2t" "" .']),
        "SRV _sip._udp.example.org": (200, ["1 2 5060 Server.Example.ORG.", "3 0 0 ."]),
        "A server.example.org": (300, ["192.0.2.1", "192.0.2.2"]),
        "AAAA server.example.org": (400, ["2001:db8::1"]),
        "CNAME www.example.org": (50, ["server.example.org."]),
        "CNAME dead.example.org": (500, ["gone.example.org."]),
        "CNAME loop.example.org": (500, ["other.example.org."]),
        "A many.example.org": (10, [f"10.0.{n // 256}.{n % 256}" for n in range(MOST_RECORDS + 20)]),
    }
    yield Zone(records)


async def ask(zone: Zone, kind: str, name: str, lifetime: float = 5.0) -> Reply:
    async with serving(zone) as address:
        return await NameServers([address], lifetime).ask(Question(kind, name))


async def test_each_kind_of_record(zone: Zone) -> None:
    naptr = await ask(zone, "NAPTR", "example.org")
    assert naptr.ttl == 100.0
    assert isinstance(naptr.answer, tuple)
    assert set(naptr.answer) == {
        Naptr(20, 10, "s", "SIP+D2U", "", "_sip._udp.example.org"),
        Naptr(10, 5, "S", "sips+d2t", "", "."),
    }
    srv = await ask(zone, "SRV", "_sip._udp.example.org")
    assert isinstance(srv.answer, tuple)
    assert (srv.ttl, set(srv.answer)) == (200.0, {Srv(1, 2, 5060, "Server.Example.ORG"), Srv(3, 0, 0, ".")})
    addresses = await ask(zone, "A", "server.example.org")
    assert isinstance(addresses.answer, tuple)
    assert (addresses.ttl, set(addresses.answer)) == (300.0, {"192.0.2.1", "192.0.2.2"})
    assert await ask(zone, "AAAA", "SERVER.example.org") == Reply(("2001:db8::1",), 400.0)


async def test_an_alias_is_followed_and_the_shortest_life_counts(zone: Zone) -> None:
    reply = await ask(zone, "AAAA", "www.example.org")
    assert reply == Reply(("2001:db8::1",), 50.0)


async def test_a_name_or_a_type_that_does_not_exist(zone: Zone) -> None:
    # The SOA record's own TTL is 30, its MINIMUM 60: the lesser one counts.
    assert await ask(zone, "A", "nobody.example.org") == Reply((), 30.0)
    assert await ask(zone, "SRV", "server.example.org") == Reply((), 30.0)
    assert await ask(zone, "A", "dead.example.org") == Reply((), 30.0)
    zone.soa = False
    assert await ask(zone, "A", "nobody.example.org") == Reply((), 0.0)
    assert await ask(zone, "SRV", "server.example.org") == Reply((), 0.0)


async def test_servfail_is_a_failure_and_no_absence(zone: Zone) -> None:
    zone.failing.add("server.example.org")
    reply = await ask(zone, "A", "server.example.org")
    assert isinstance(reply.answer, Failure)
    assert "SERVFAIL" in reply.answer.reason
    assert reply.ttl == FAILURE_KEPT


async def test_the_next_server_is_asked_when_one_fails(zone: Zone) -> None:
    broken = Zone({})
    broken.failing.add("server.example.org")
    async with serving(broken) as first, serving(zone) as second:
        reply = await NameServers([first, second]).ask(Question("AAAA", "server.example.org"))
    assert reply.answer == ("2001:db8::1",)
    assert list(broken.asked) == ["UDP AAAA server.example.org"]


async def test_silence_is_a_failure(zone: Zone) -> None:
    zone.silent.add("server.example.org")
    reply = await ask(zone, "A", "server.example.org", lifetime=0.45)
    assert reply == Reply(Failure("no name server has answered"), FAILURE_KEPT)
    # It was asked more than once.
    assert zone.asked["UDP A server.example.org"] >= 2


async def test_a_lost_datagram_is_repeated(zone: Zone) -> None:
    zone.lost = 1
    reply = await ask(zone, "AAAA", "server.example.org", lifetime=1.5)
    assert reply.answer == ("2001:db8::1",)
    assert zone.asked["UDP AAAA server.example.org"] == 2


async def test_an_answer_that_is_cut_short_is_asked_for_over_tcp(zone: Zone) -> None:
    zone.cut.add("server.example.org")
    reply = await ask(zone, "AAAA", "server.example.org")
    assert reply == Reply(("2001:db8::1",), 400.0)
    assert dict(zone.asked) == {"UDP AAAA server.example.org": 1, "TCP AAAA server.example.org": 1}


async def test_no_more_than_256_records_are_taken(zone: Zone) -> None:
    zone.cut.add("many.example.org")
    reply = await ask(zone, "A", "many.example.org")
    assert isinstance(reply.answer, tuple)
    assert len(reply.answer) == MOST_RECORDS


@pytest.mark.parametrize("name", ["a" * 64 + ".example.org", "a." * 127 + "org", "a..b", "\\300.example.org"])
async def test_what_cannot_be_a_name_is_not_asked_for(zone: Zone, name: str) -> None:
    assert await ask(zone, "A", name) == Reply((), 0.0)
    assert not zone.asked


async def test_an_answer_to_nothing_is_not_waited_for() -> None:
    """A port at which nobody listens."""
    async with serving(Zone({})) as address:
        pass
    reply = await NameServers([address], 0.2).ask(Question("A", "example.org"))
    assert isinstance(reply.answer, Failure)


def test_a_timeout_has_to_be_above_zero() -> None:
    with pytest.raises(ConfigurationError):
        NameServers(timeout=0)


def test_without_resolv_conf_the_local_server_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    real = dns.asyncresolver.Resolver

    def resolver(configure: bool = True) -> dns.asyncresolver.Resolver:
        if configure:
            raise dns.resolver.NoResolverConfiguration
        return real(configure=False)

    monkeypatch.setattr(dns.asyncresolver, "Resolver", resolver)
    assert NameServers()._resolver.nameservers == ["127.0.0.1"]


def test_the_systems_servers_are_asked_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: dns.resolver.BaseResolver, path: object) -> None:
        self.nameservers = ["192.0.2.53"]

    monkeypatch.setattr(dns.resolver.BaseResolver, "read_resolv_conf", read)
    assert NameServers()._resolver.nameservers == ["192.0.2.53"]
