"""Locating with a cache, a hosts file, and name servers that may be slow."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import ConfigurationError
from ringback.net.nameserver import FAILURE_KEPT, NameServers, Reply
from ringback.net.resolver import (
    LONGEST,
    LONGEST_ABSENCE,
    Resolver,
    choose,
    flow_to,
    read_hosts,
)
from ringback.sip.locate import Destination, Failure, LocateError, Naptr, Question, Srv, Target
from ringback.sip.uri import Uri, parse_uri
from tests.net.dns_kit import Zone, serving

SRV = Question("SRV", "_sip._udp.example.org")
ADDRESS = Question("A", "sip.example.org")
DOMAIN: dict[Question, Reply] = {
    Question("NAPTR", "example.org"): Reply((Naptr(1, 1, "s", "SIP+D2U", "", SRV.name),), 100.0),
    SRV: Reply((Srv(1, 1, 5062, "sip.example.org"),), 50.0),
    ADDRESS: Reply(("192.0.2.1",), 20.0),
}
PLACE = Destination("UDP", "192.0.2.1", 5062, "example.org")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Dns:
    """Answers from a table, at once or when told to; what the table does not have does not exist for 60 s."""

    def __init__(self, table: Mapping[Question, Reply] | None = None, held: bool = False) -> None:
        self.table = dict(table or {})
        self.asked: Counter[Question] = Counter()
        self.gate = asyncio.Event()
        self.running = 0
        self.most_running = 0
        if not held:
            self.gate.set()

    async def ask(self, question: Question) -> Reply:
        self.asked[question] += 1
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            return self.table.get(question, Reply((), 60.0))
        finally:
            self.running -= 1


def resolver(dns: Dns, clock: Clock | None = None, **options: Any) -> Resolver:
    options.setdefault("hosts", {})
    options.setdefault("families", (4,))
    options.setdefault("choose", lambda most: 0)
    return Resolver(dns.ask, clock=clock or Clock(), **options)


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that must not suspend."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("the coroutine has suspended")


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


EXAMPLE = Target("sip", "example.org")


# The cache ------------------------------------------------------------------------------------------------------------


async def test_what_is_known_is_answered_without_suspension() -> None:
    dns = Dns(DOMAIN)
    names = resolver(dns)
    assert await names.locate(EXAMPLE) == [PLACE]
    assert (names.asked, names.hits) == (3, 0)
    assert at_once(names.locate(EXAMPLE)) == [PLACE]
    assert (names.asked, names.hits) == (3, 3)
    assert set(dns.asked.values()) == {1}


async def test_an_answer_is_kept_for_its_time_to_live() -> None:
    dns, clock = Dns(DOMAIN), Clock()
    names = resolver(dns, clock)
    await names.locate(EXAMPLE)
    clock.now += 19.999
    at_once(names.locate(EXAMPLE))
    clock.now += 0.001
    # The address was good for 20 s, the SRV record is for 50.
    await names.locate(EXAMPLE)
    assert dns.asked == {Question("NAPTR", "example.org"): 1, SRV: 1, ADDRESS: 2}
    clock.now += 30.0
    await names.locate(EXAMPLE)
    assert dns.asked == {Question("NAPTR", "example.org"): 1, SRV: 2, ADDRESS: 3}


async def test_an_answer_that_changed_is_taken_after_its_time() -> None:
    dns, clock = Dns(DOMAIN), Clock()
    names = resolver(dns, clock)
    await names.locate(EXAMPLE)
    dns.table[ADDRESS] = Reply(("192.0.2.99",), 20.0)
    assert (await names.locate(EXAMPLE))[0].host == "192.0.2.1"
    clock.now += 20.0
    assert (await names.locate(EXAMPLE))[0].host == "192.0.2.99"


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        (Reply(("192.0.2.1",), 0.0), 0.0),
        (Reply(("192.0.2.1",), -1.0), 0.0),
        (Reply(("192.0.2.1",), 10 * LONGEST), LONGEST),
        (Reply((), 30.0), 30.0),
        (Reply((), 7200.0), LONGEST_ABSENCE),
        (Reply((), 0.0), 0.0),
        (Reply(Failure("SERVFAIL"), FAILURE_KEPT), FAILURE_KEPT),
        (Reply(Failure("SERVFAIL"), 7200.0), LONGEST_ABSENCE),
    ],
)
async def test_how_long_an_answer_is_kept(reply: Reply, kept: float) -> None:
    dns, clock = Dns({ADDRESS: reply}), Clock()
    names = resolver(dns, clock)
    assert await names.ask(ADDRESS) == reply.answer
    if kept:
        clock.now += kept - 0.001
        assert at_once(names.ask(ADDRESS)) == reply.answer
        clock.now += 0.002
    assert await names.ask(ADDRESS) == reply.answer
    assert dns.asked[ADDRESS] == 2


async def test_the_cache_is_bounded_and_drops_what_was_used_longest_ago() -> None:
    dns = Dns({Question("A", f"{letter}.org"): Reply((f"192.0.2.{n}",), 60.0) for n, letter in enumerate("abc")})
    names = resolver(dns, capacity=2)
    for letter in "abac":
        await names.ask(Question("A", f"{letter}.org"))
    assert names.known(Question("A", "a.org")) == ("192.0.2.0",)
    assert names.known(Question("A", "b.org")) is None
    assert names.known(Question("A", "c.org")) == ("192.0.2.2",)


async def test_names_are_the_same_in_either_case() -> None:
    dns = Dns(DOMAIN)
    names = resolver(dns)
    await names.ask(Question("A", "SIP.Example.org"))
    assert at_once(names.ask(Question("A", "sip.EXAMPLE.org"))) == ("192.0.2.1",)


async def test_forgetting() -> None:
    dns = Dns(DOMAIN)
    names = resolver(dns)
    await names.ask(ADDRESS)
    names.forget()
    assert names.known(ADDRESS) is None


# Questions on their way -----------------------------------------------------------------------------------------------


async def test_the_same_question_is_asked_once_at_a_time() -> None:
    dns = Dns({ADDRESS: Reply(("192.0.2.1",), 0.0)}, held=True)
    names = resolver(dns)
    tasks = [asyncio.create_task(names.ask(ADDRESS)) for _ in range(100)]
    await settled()
    assert dns.asked == {ADDRESS: 1}
    dns.gate.set()
    assert await asyncio.gather(*tasks) == [("192.0.2.1",)] * 100
    # It was good for this once.
    assert await names.ask(ADDRESS) == ("192.0.2.1",)
    assert dns.asked == {ADDRESS: 2}


async def test_one_who_gives_up_disturbs_no_other() -> None:
    dns = Dns(DOMAIN, held=True)
    names = resolver(dns)
    first, second = asyncio.create_task(names.ask(ADDRESS)), asyncio.create_task(names.ask(ADDRESS))
    await settled()
    first.cancel()
    await settled()
    assert first.cancelled()
    dns.gate.set()
    assert await second == ("192.0.2.1",)
    # When all have given up, the answer is kept all the same.
    dns.gate.clear()
    last = asyncio.create_task(names.ask(SRV))
    await settled()
    last.cancel()
    await settled()
    dns.gate.set()
    await settled()
    assert names.known(SRV) == (Srv(1, 1, 5062, "sip.example.org"),)


async def test_only_so_many_questions_are_on_their_way() -> None:
    dns = Dns(held=True)
    names = resolver(dns, concurrency=3, most_waiting=5)
    tasks = [asyncio.create_task(names.ask(Question("A", f"h{n}.org"))) for n in range(7)]
    await settled()
    assert (dns.running, len(dns.asked)) == (3, 3)
    # Five were taken; the others have failed at once.
    assert [task.done() for task in tasks] == [False] * 5 + [True] * 2
    assert tasks[6].result() == Failure("5 other questions wait for DNS")
    dns.gate.set()
    assert await asyncio.gather(*tasks[:5]) == [()] * 5
    assert (dns.most_running, dns.running) == (3, 0)
    # That it was refused is not kept.
    assert await names.ask(Question("A", "h6.org")) == ()


async def test_a_question_that_is_not_answered_fails_in_time() -> None:
    dns = Dns(held=True)
    names = resolver(dns, timeout=0.05, concurrency=1)
    questions = [Question("A", "a.org"), Question("A", "b.org")]
    answers = await asyncio.gather(*[names.ask(question) for question in questions])
    # Both at the same time, though the second never had its turn.
    assert answers == [Failure("no answer within 0.05 s")] * 2
    assert dns.asked == {questions[0]: 1}
    # For a while nobody waits for it again.
    assert at_once(names.ask(questions[0])) == answers[0]
    assert dns.running == 0


async def test_dns_that_is_slow_does_not_hold_up_the_rest() -> None:
    dns = Dns(DOMAIN, held=True)
    names = resolver(dns)
    slow = asyncio.create_task(names.locate(EXAMPLE))
    await settled()
    assert at_once(names.locate(Target("sip", "192.0.2.7"))) == [Destination("UDP", "192.0.2.7", 5060, "192.0.2.7")]
    assert not slow.done()
    dns.gate.set()
    assert await slow == [PLACE]


async def test_a_search_gives_up_asking_when_it_takes_too_long() -> None:
    clock = Clock()

    async def slow(question: Question) -> Reply:
        clock.now += 6.0
        return Reply((), 60.0)

    names = Resolver(slow, clock=clock, hosts={}, families=(4,))
    with pytest.raises(LocateError, match="DNS took more than 10 s") as caught:
        await names.locate(EXAMPLE)
    assert (caught.value.status, names.asked) == (503, 2)


async def test_an_error_in_the_client_is_a_failure_and_is_reported() -> None:
    reported: list[dict[str, Any]] = []

    async def broken(question: Question) -> Reply:
        raise RuntimeError("planted")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    names = Resolver(broken, hosts={})
    assert await names.ask(ADDRESS) == Failure("asking DNS failed: RuntimeError")
    assert [str(context["exception"]) for context in reported] == ["planted"]


async def test_closing_wakes_those_who_wait() -> None:
    dns = Dns(DOMAIN, held=True)
    names = resolver(dns)
    begun = asyncio.create_task(names.ask(ADDRESS))
    await settled()
    # The task of this question has not had its first step when it is cancelled.
    fresh = names.ask(SRV)
    waiting = fresh.send(None)
    await names.close()
    assert await begun == Failure("the resolver is closed")
    assert isinstance(waiting, asyncio.Future)
    assert waiting.result() == Failure("the resolver is closed")
    fresh.close()
    assert dns.running == 0
    assert await names.ask(SRV) == Failure("the resolver is closed")
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("dns")] == []


async def test_a_cancelled_search_leaves_nothing_behind() -> None:
    dns = Dns(DOMAIN, held=True)
    names = resolver(dns)
    task = asyncio.create_task(names.locate(EXAMPLE))
    await settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await names.close()
    assert dns.running == 0


# The hosts file -------------------------------------------------------------------------------------------------------


def test_reading_a_hosts_file(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_bytes(
        b"# comment\n\n127.0.0.1 localhost\n192.0.2.5\tPBX pbx.Example.org. # the old one\n2001:db8::5 pbx\n"
        b"192.0.2.5 pbx\nfe80::1%lo0 localhost\nnonsense x\n192.0.2.6\n192.0.2.999 y\n\xff\xfe\n"
    )
    assert read_hosts(str(file)) == {
        "localhost": ("127.0.0.1",),
        "pbx": ("192.0.2.5", "2001:db8::5"),
        "pbx.example.org": ("192.0.2.5",),
    }
    assert read_hosts(str(tmp_path / "none")) == {}
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_hosts(str(tmp_path))


def test_names_of_the_hosts_file_need_no_dns() -> None:
    hosts = {"pbx": ("192.0.2.5", "2001:db8::5")}

    async def never(question: Question) -> Reply:
        raise AssertionError(question)

    names = Resolver(never, hosts=hosts, families=(6, 4))
    found = at_once(names.locate(parse_uri("sip:alice@PBX")))
    assert found == [Destination("UDP", "2001:db8::5", 5060, "pbx"), Destination("UDP", "192.0.2.5", 5060, "pbx")]
    assert at_once(names.locate(parse_uri("sips:alice@pbx:5070")))[1] == Destination("TLS", "192.0.2.5", 5070, "pbx")
    assert at_once(names.locate_response("TCP", "pbx", None))[1] == Destination("TCP", "192.0.2.5", 5060, "pbx")


@pytest.mark.parametrize("name", ["localhost", "a.localhost", "LocalHost."])
def test_localhost_is_here_whatever_dns_says(name: str) -> None:
    async def never(question: Question) -> Reply:
        raise AssertionError(question)

    found = at_once(Resolver(never, hosts={}).locate(Target("sip", name)))
    assert [place.host for place in found] == ["127.0.0.1", "::1"]


def test_the_hosts_file_of_the_system_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    from ringback.net import resolver as module

    monkeypatch.setattr(module, "read_hosts", lambda: {"planted": ("192.0.2.8",)})
    names = Resolver(Dns().ask)
    assert names.known(Question("A", "planted")) == ("192.0.2.8",)
    assert names.known(Question("SRV", "_sip._udp.planted")) == ()
    assert names.known(Question("A", "other")) is None


# Flows ----------------------------------------------------------------------------------------------------------------


async def test_flows_for_the_endpoint() -> None:
    dns = Dns(DOMAIN)
    dns.table[Question("A", "tls.example.org")] = Reply(("192.0.2.3",), 60.0)
    names = resolver(dns)
    (flow,) = await names.flows(parse_uri("sip:bob@example.org"))
    assert (flow.transport, flow.local, flow.host, flow.port, flow.connection, flow.name) == (
        "UDP", "", "192.0.2.1", 5062, 0, "",
    )  # fmt: skip
    # A TLS peer has to prove the name that was asked for.
    (secure,) = await names.flows(parse_uri("sips:bob@tls.example.org"))
    assert secure.key() == ("TLS", "192.0.2.3", 5061, 0, "tls.example.org")
    assert flow_to(PLACE, "udp:192.0.2.9:5060").local == "udp:192.0.2.9:5060"


def test_maddr_is_the_target() -> None:
    names = Resolver(Dns().ask, hosts={})
    (flow,) = at_once(names.flows(parse_uri("sip:bob@example.org:5070;maddr=192.0.2.77;transport=tcp")))
    assert (flow.transport, flow.host, flow.port) == ("TCP", "192.0.2.77", 5070)
    (secure,) = at_once(names.flows(parse_uri("sips:bob@example.org;maddr=[2001:db8::7];transport=tcp")))
    assert (secure.transport, secure.host, secure.port) == ("TLS", "2001:db8::7", 5061)


async def test_no_flows_and_the_reason() -> None:
    told: list[tuple[Uri, LocateError]] = []
    failing = Dns({Question("A", "down.org"): Reply(Failure("SERVFAIL"), 5.0)})
    names = resolver(failing, on_failure=lambda uri, error: told.append((uri, error)))
    assert await names.flows(parse_uri("sip:nobody.example")) == []
    assert await names.flows(parse_uri("sip:down.org:5060")) == []
    assert await names.flows(parse_uri("tel:+15551234")) == []
    assert [(uri.text, error.status) for uri, error in told] == [
        ("sip:nobody.example", 404), ("sip:down.org:5060", 503), ("tel:+15551234", 400),
    ]  # fmt: skip
    assert await resolver(Dns()).flows(parse_uri("sip:nobody.example")) == []


async def test_transports_of_one_request() -> None:
    dns = Dns({Question("A", "example.org"): Reply(("192.0.2.1",), 60.0)})
    names = resolver(dns, supported=("UDP", "TCP"))
    target = Target("sip", "example.org", 5060)
    assert [place.transport for place in await names.locate(target)] == ["UDP"]
    assert [place.transport for place in await names.locate(target, supported=("TCP",))] == ["TCP"]


@pytest.mark.parametrize("bound", ["capacity", "concurrency", "most_waiting", "timeout"])
def test_bounds_have_to_be_above_zero(bound: str) -> None:
    with pytest.raises(ConfigurationError):
        resolver(Dns(), **{bound: 0})


def test_chance() -> None:
    drawn = Counter(choose(2) for _ in range(300))
    assert set(drawn) == {0, 1, 2}
    assert choose(0) == 0


# With a real name server ----------------------------------------------------------------------------------------------


def zone() -> Zone:
    return Zone(
        {
            "NAPTR example.org": (
                300,
                [
                    '10 10 "s" "SIP+D2T" "" _sip._tcp.example.org.',
                    '10 20 "s" "SIP+D2U" "" _sip._udp.example.org.',
                    '20 10 "s" "SIPS+D2T" "" _sips._tcp.example.org.',
                ],
            ),
            "SRV _sip._tcp.example.org": (300, ["2 0 5060 b.example.org.", "1 0 5070 a.example.org."]),
            "SRV _sip._udp.example.org": (300, ["1 0 5060 a.example.org."]),
            "A a.example.org": (10, ["192.0.2.1"]),
            "AAAA a.example.org": (10, ["2001:db8::1"]),
            "A b.example.org": (10, ["192.0.2.2"]),
        }
    )


async def test_a_domain_from_naptr_to_addresses() -> None:
    domain, clock = zone(), Clock()
    async with serving(domain) as address:
        names = Resolver(NameServers([address]), clock=clock, hosts={})
        found = await names.locate(EXAMPLE)
        assert [(place.transport, place.host, place.port) for place in found] == [
            ("TCP", "192.0.2.1", 5070), ("TCP", "2001:db8::1", 5070), ("TCP", "192.0.2.2", 5060),
            ("UDP", "192.0.2.1", 5060), ("UDP", "2001:db8::1", 5060),
        ]  # fmt: skip
        assert set(domain.asked.values()) == {1}
        assert at_once(names.locate(EXAMPLE)) == found
        # b has no AAAA record; that is known for 30 s, the addresses for 10.
        clock.now += 10.0
        assert await names.locate(EXAMPLE) == found
        assert {question for question, times in domain.asked.items() if times == 2} == {
            "UDP A a.example.org", "UDP AAAA a.example.org", "UDP A b.example.org",
        }  # fmt: skip
        clock.now += 20.0
        await names.locate(EXAMPLE)
        assert domain.asked["UDP AAAA b.example.org"] == 2
        await names.close()


async def test_one_server_of_a_domain_that_dns_cannot_find_now() -> None:
    domain = zone()
    domain.failing.add("a.example.org")
    async with serving(domain) as address:
        names = Resolver(NameServers([address]), hosts={}, families=(4,))
        assert [place.host for place in await names.locate(EXAMPLE)] == ["192.0.2.2"]
        domain.failing.add("b.example.org")
        names.forget()
        with pytest.raises(LocateError) as caught:
            await names.locate(EXAMPLE)
        assert caught.value.status == 503


async def test_a_domain_that_does_not_exist() -> None:
    domain = zone()
    async with serving(domain) as address:
        names = Resolver(NameServers([address]), hosts={}, families=(4,), supported=("UDP",))
        for _ in range(2):
            with pytest.raises(LocateError) as caught:
                await names.locate(Target("sip", "nobody.example.org"))
            assert caught.value.status == 404
        # The absence is kept.
        assert dict(domain.asked) == {
            "UDP NAPTR nobody.example.org": 1, "UDP SRV _sip._udp.nobody.example.org": 1, "UDP A nobody.example.org": 1,
        }  # fmt: skip


async def test_a_name_server_that_is_silent() -> None:
    domain = zone()
    domain.silent.add("example.org")
    async with serving(domain) as address:
        names = Resolver(NameServers([address], 5.0), hosts={}, families=(4,), timeout=0.5)
        asking = asyncio.create_task(names.locate(Target("sip", "example.org", 5060)))
        # While it waits, others are served.
        await domain.heard.wait()
        assert (await names.locate(Target("sip", "a.example.org", 5060)))[0].host == "192.0.2.1"
        with pytest.raises(LocateError, match=r"no answer within 0\.5 s") as caught:
            await asking
        assert caught.value.status == 503
        await names.close()


async def test_a_long_answer_comes_over_tcp() -> None:
    domain = zone()
    domain.cut.add("example.org")
    async with serving(domain) as address:
        names = Resolver(NameServers([address]), hosts={}, families=(4,))
        assert len(await names.locate(EXAMPLE)) == 3
    assert domain.asked["TCP NAPTR example.org"] == 1
