"""Where URIs lead, with a small DNS in a dictionary."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sip.locate import (
    MOST_DESTINATIONS,
    MOST_QUESTIONS,
    Answer,
    Destination,
    Failure,
    LocateError,
    Naptr,
    Question,
    Search,
    Srv,
    Target,
    locate,
    locate_response,
    order_srv,
)
from ringback.sip.uri import parse_uri

ALL = ("UDP", "TCP", "TLS", "WS", "WSS")
DOWN = Failure("SERVFAIL")


def lowest(total: int) -> int:
    return 0


def highest(total: int) -> int:
    return total


def run(search: Search, dns: Mapping[str, Answer]) -> tuple[list[Destination], list[str]]:
    """The destinations, and the questions as "KIND name"; what `dns` does not have does not exist."""
    asked: list[str] = []
    try:
        question = next(search)
        while True:
            assert isinstance(question, Question)
            text = f"{question.kind} {question.name}"
            asked.append(text)
            question = search.send(dns.get(text, ()))
    except StopIteration as stop:
        return stop.value, asked


def find(
    uri: str,
    dns: Mapping[str, Answer] | None = None,
    supported: Sequence[str] = ("UDP", "TCP", "TLS"),
    choose: Callable[[int], int] = lowest,
    families: Sequence[int] = (4,),
) -> tuple[list[Destination], list[str]]:
    return run(locate(parse_uri(uri), supported=supported, choose=choose, families=families), dns or {})


def refused(uri: str, dns: Mapping[str, Answer] | None = None, supported: Sequence[str] = ALL) -> LocateError:
    with pytest.raises(LocateError) as caught:
        find(uri, dns, supported)
    return caught.value


def places(found: tuple[list[Destination], list[str]]) -> list[tuple[str, str, int]]:
    return [(place.transport, place.host, place.port) for place in found[0]]


# Addresses and ports --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("sip:192.0.2.1", ("UDP", "192.0.2.1", 5060)),
        ("sip:192.0.2.1:5070", ("UDP", "192.0.2.1", 5070)),
        ("sip:192.0.2.1;transport=tcp", ("TCP", "192.0.2.1", 5060)),
        ("sip:192.0.2.1;transport=TLS", ("TLS", "192.0.2.1", 5061)),
        ("sip:192.0.2.1;transport=ws", ("WS", "192.0.2.1", 80)),
        ("sip:192.0.2.1;transport=wss", ("WSS", "192.0.2.1", 443)),
        ("sips:192.0.2.1", ("TLS", "192.0.2.1", 5061)),
        ("sips:192.0.2.1:5071", ("TLS", "192.0.2.1", 5071)),
        ("sips:192.0.2.1;transport=tcp", ("TLS", "192.0.2.1", 5061)),
        ("sips:192.0.2.1;transport=ws", ("WSS", "192.0.2.1", 443)),
        ("sip:alice@[2001:db8::1]:5080", ("UDP", "2001:db8::1", 5080)),
    ],
)
def test_an_address_needs_no_dns(uri: str, expected: tuple[str, str, int]) -> None:
    found, asked = find(uri, supported=ALL)
    assert asked == []
    assert found == [Destination(*expected, name=expected[1])]


def test_an_address_when_we_have_no_udp() -> None:
    assert places(find("sip:192.0.2.1", supported=("TLS", "TCP"))) == [("TLS", "192.0.2.1", 5061)]
    assert refused("sip:192.0.2.1", supported=("WS",)).status == 503


def test_a_port_leads_to_addresses_at_once() -> None:
    dns = {"A example.org": ("192.0.2.1", "192.0.2.2"), "AAAA example.org": ("2001:db8::1",)}
    found = find("sip:Example.ORG.:5070", dns, families=(6, 4))
    assert found[1] == ["AAAA example.org", "A example.org"]
    assert places(found) == [("UDP", "2001:db8::1", 5070), ("UDP", "192.0.2.1", 5070), ("UDP", "192.0.2.2", 5070)]
    assert {place.name for place in found[0]} == {"example.org"}
    assert find("sips:example.org:5070", dns)[0][0] == Destination("TLS", "192.0.2.1", 5070, "example.org")
    assert find("sip:example.org:5070;transport=tcp", dns)[0][0].transport == "TCP"
    # Even 5060: "if the port was explicit, but with a value of 5060 ... Now, A or AAAA records will be used."
    assert find("sip:example.org:5060", dns)[1] == ["A example.org"]


def test_only_the_families_that_we_have_are_asked_for() -> None:
    assert find("sip:example.org:5060", {"AAAA example.org": ("2001:db8::1",)}, families=(6,))[1] == [
        "AAAA example.org"
    ]


def test_a_target_is_located_like_a_uri() -> None:
    search = locate(Target("sip", "[2001:db8::1]", None, "tcp"), supported=ALL, choose=lowest)
    assert run(search, {})[0] == [Destination("TCP", "2001:db8::1", 5060, "2001:db8::1")]


# NAPTR ----------------------------------------------------------------------------------------------------------------

# The example of RFC 3263 4.1.
NAPTRS = (
    Naptr(100, 50, "s", "SIP+D2U", "", "_sip._udp.example.com."),
    Naptr(50, 50, "s", "SIPS+D2T", "", "_sips._tcp.example.com."),
    Naptr(90, 50, "s", "SIP+D2T", "", "_sip._tcp.example.com"),
)
DNS: dict[str, Answer] = {
    "NAPTR example.com": NAPTRS,
    "SRV _sips._tcp.example.com": (Srv(0, 1, 5061, "tls.example.com"),),
    "SRV _sip._tcp.example.com": (Srv(0, 1, 5060, "server1.example.com"), Srv(0, 2, 5060, "server2.example.com")),
    "SRV _sip._udp.example.com": (Srv(0, 1, 5060, "server1.example.com"),),
    "A tls.example.com": ("192.0.2.9",),
    "A server1.example.com": ("192.0.2.1",),
    "A server2.example.com": ("192.0.2.2",),
}


def test_the_example_of_rfc_3263_4_1() -> None:
    found = find("sip:user@example.com", DNS, supported=("UDP", "TCP"))
    assert found[1] == [
        "NAPTR example.com", "SRV _sip._tcp.example.com", "A server1.example.com", "A server2.example.com",
    ]  # fmt: skip
    assert places(found) == [("TCP", "192.0.2.1", 5060), ("TCP", "192.0.2.2", 5060)]
    assert [place.name for place in found[0]] == ["example.com", "example.com"]
    assert found[0][0].reason == (
        "NAPTR 90 50, _sip._tcp.example.com: SRV 0 1 5060 server1.example.com"
    )


def test_a_sip_uri_uses_tls_when_the_domain_prefers_it_and_we_have_it() -> None:
    assert places(find("sip:user@example.com", DNS)) == [("TLS", "192.0.2.9", 5061)]


def test_a_sips_uri_follows_sips_services_only() -> None:
    assert places(find("sips:user@example.com", DNS)) == [("TLS", "192.0.2.9", 5061)]
    plain = {**DNS, "NAPTR example.com": NAPTRS[::2], "SRV _sips._tcp.example.com": ()}
    # Without them it asks for the SRV records of _sips itself, then for addresses; never for another transport.
    assert refused("sips:user@example.com", plain).status == 404
    assert find("sips:example.com", {**plain, "A example.com": ("192.0.2.7",)})[1] == [
        "NAPTR example.com", "SRV _sips._tcp.example.com", "A example.com",
    ]  # fmt: skip


def test_records_of_one_order_go_by_preference_and_then_by_ours() -> None:
    dns = {
        **DNS,
        "NAPTR example.com": (
            Naptr(10, 20, "S", "sip+d2u", "", "_sip._udp.example.com"),
            Naptr(10, 10, "s", "SIPS+D2T", "", "_sips._tcp.example.com"),
            Naptr(10, 20, "s", "SIP+D2T", "", "_sip._tcp.example.com"),
            Naptr(20, 1, "s", "SIP+D2T", "", "_sip._tcp.elsewhere.example"),
        ),
    }
    found = find("sip:example.com", dns, supported=("TCP", "UDP", "TLS"))
    assert places(found) == [
        ("TLS", "192.0.2.9", 5061),
        ("TCP", "192.0.2.1", 5060), ("TCP", "192.0.2.2", 5060),
        ("UDP", "192.0.2.1", 5060),
    ]  # fmt: skip
    # server1 was asked for once.
    assert Counter(found[1]).most_common(1)[0][1] == 1


@pytest.mark.parametrize(
    "record",
    [
        Naptr(1, 1, "u", "SIP+D2U", "", "_sip._udp.elsewhere.example"),
        Naptr(1, 1, "", "SIP+D2U", "", "_sip._udp.elsewhere.example"),
        Naptr(1, 1, "s", "SIP+D2U", "!^.*$!x!", "_sip._udp.elsewhere.example"),
        Naptr(1, 1, "s", "SIP+D2U", "", "."),
        Naptr(1, 1, "s", "SIP+D2S", "", "_sip._sctp.elsewhere.example"),
        Naptr(1, 1, "s", "SIPS+D2U", "", "_sips._udp.elsewhere.example"),
        Naptr(1, 1, "s", "E2U+sip", "", "_sip._udp.elsewhere.example"),
        Naptr(1, 1, "s", "SIPS+D2W", "", "_sips._ws.elsewhere.example"),
    ],
)
def test_records_that_do_not_apply_are_discarded(record: Naptr) -> None:
    found = find("sip:example.com", {**DNS, "NAPTR example.com": (record, NAPTRS[0])})
    assert places(found) == [("UDP", "192.0.2.1", 5060)]
    # When no other is left it is as if there were none.
    assert find("sip:example.com", {**DNS, "NAPTR example.com": (record,)})[1][:2] == [
        "NAPTR example.com",
        "SRV _sip._udp.example.com",
    ]


def test_websocket_servers_are_found_by_naptr() -> None:
    dns: dict[str, Answer] = {
        "NAPTR example.com": (
            Naptr(1, 1, "s", "SIP+D2W", "", "_sip._ws.example.com"),
            Naptr(1, 2, "s", "SIPS+D2W", "", "_sips._ws.example.com"),
        ),
        "SRV _sip._ws.example.com": (Srv(0, 0, 8080, "w.example.com"),),
        "SRV _sips._ws.example.com": (Srv(0, 0, 8443, "w.example.com"),),
        "A w.example.com": ("192.0.2.5",),
    }
    assert places(find("sip:example.com", dns, ALL)) == [("WS", "192.0.2.5", 8080), ("WSS", "192.0.2.5", 8443)]
    assert places(find("sips:example.com", dns, ALL)) == [("WSS", "192.0.2.5", 8443)]


def test_naptr_without_srv_leads_to_the_address_of_the_domain() -> None:
    dns = {"NAPTR example.com": NAPTRS, "A example.com": ("192.0.2.7",)}
    found = find("sip:example.com", dns)
    assert found[1] == ["NAPTR example.com", "SRV _sips._tcp.example.com", "A example.com"]
    assert places(found) == [("TLS", "192.0.2.7", 5061)]


def test_a_failure_of_naptr_is_like_no_naptr() -> None:
    found = find("sip:example.com", {**DNS, "NAPTR example.com": DOWN})
    assert places(found)[0] == ("UDP", "192.0.2.1", 5060)
    # But when nothing is found either, it is not known for good.
    assert refused("sip:example.com", {"NAPTR example.com": DOWN}).status == 503


# SRV ------------------------------------------------------------------------------------------------------------------


def test_without_naptr_each_transport_is_asked_for() -> None:
    dns = {key: value for key, value in DNS.items() if not key.startswith("NAPTR")}
    found = find("sip:example.com", dns, supported=("TCP", "UDP", "TLS", "WS"))
    assert found[1] == [
        "NAPTR example.com",
        "SRV _sip._tcp.example.com", "A server1.example.com", "A server2.example.com",
        "SRV _sip._udp.example.com",
        "SRV _sips._tcp.example.com", "A tls.example.com",
    ]  # fmt: skip
    assert places(found) == [
        ("TCP", "192.0.2.1", 5060), ("TCP", "192.0.2.2", 5060), ("UDP", "192.0.2.1", 5060), ("TLS", "192.0.2.9", 5061),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "question"),
    [
        ("sip:example.com;transport=udp", "SRV _sip._udp.example.com"),
        ("sip:example.com;transport=tcp", "SRV _sip._tcp.example.com"),
        ("sip:example.com;transport=tls", "SRV _sips._tcp.example.com"),
        ("sip:example.com;transport=ws", "SRV _sip._ws.example.com"),
        ("sips:example.com;transport=tcp", "SRV _sips._tcp.example.com"),
        ("sips:example.com;transport=ws", "SRV _sips._ws.example.com"),
    ],
)
def test_an_explicit_transport_is_asked_for_without_naptr(uri: str, question: str) -> None:
    found = find(uri, {"A example.com": ("192.0.2.7",)}, ALL)
    assert found[1] == [question, "A example.com"]
    assert len(found[0]) == 1


@pytest.mark.parametrize(
    ("uri", "supported", "expected"),
    [
        ("sip:example.com", ("TCP", "UDP"), ("UDP", "192.0.2.7", 5060)),
        ("sip:example.com", ("TLS", "TCP"), ("TLS", "192.0.2.7", 5061)),
        ("sips:example.com", ("UDP", "TLS"), ("TLS", "192.0.2.7", 5061)),
        ("sip:example.com;transport=wss", ALL, ("WSS", "192.0.2.7", 443)),
    ],
)
def test_without_srv_the_domains_address_is_used(
    uri: str, supported: Sequence[str], expected: tuple[str, str, int]
) -> None:
    assert places(find(uri, {"A example.com": ("192.0.2.7",)}, supported)) == [expected]


def test_srv_records_that_cannot_be_asked_for_are_not_taken_for_missing() -> None:
    """The address of a domain is often that of its web server."""
    error = refused("sip:example.com", {"SRV _sip._tcp.example.com": DOWN, "A example.com": ("192.0.2.7",)})
    assert (error.status, error.reason) == (
        503, "DNS failed for 'example.com': SRV _sip._tcp.example.com: SERVFAIL",
    )  # fmt: skip
    # One transport that is found is enough.
    some: dict[str, Answer] = {
        "SRV _sip._udp.example.com": DOWN,
        "SRV _sip._tcp.example.com": (Srv(0, 0, 5060, "192.0.2.3"),),
    }
    assert places(find("sip:example.com", some)) == [("TCP", "192.0.2.3", 5060)]


def test_a_server_whose_address_is_not_known_now_is_passed_over() -> None:
    dns = {
        "SRV _sip._udp.example.com": (Srv(1, 0, 5060, "a.example.com"), Srv(2, 0, 5062, "b.example.com")),
        "A a.example.com": DOWN,
        "A b.example.com": ("192.0.2.2",),
    }
    assert places(find("sip:example.com;transport=udp", dns)) == [("UDP", "192.0.2.2", 5062)]
    dns["A b.example.com"] = ()
    assert refused("sip:example.com;transport=udp", dns).status == 503
    dns["A a.example.com"] = ()
    assert refused("sip:example.com;transport=udp", dns).status == 404


NO_SERVICE = (Srv(0, 0, 0, "."),)


def test_a_service_that_is_decidedly_not_available() -> None:
    here: dict[str, Answer] = {"A example.com": ("192.0.2.7",)}
    error = refused("sip:example.com;transport=udp", {**here, "SRV _sip._udp.example.com": NO_SERVICE})
    assert (error.status, "'.'" in error.reason) == (404, True)
    everything = {f"SRV {name}.example.com": NO_SERVICE for name in ("_sip._udp", "_sip._tcp", "_sips._tcp")}
    assert refused("sip:example.com", {**here, **everything}).status == 404
    # A domain that only denies UDP is not sent any.
    found = find("sip:example.com", {**here, "SRV _sip._udp.example.com": NO_SERVICE})
    assert places(found) == [("TCP", "192.0.2.7", 5060)]
    # Nor one that denies the service that its NAPTR names.
    dns = {**here, "NAPTR example.com": NAPTRS[:1], "SRV _sip._udp.example.com": NO_SERVICE}
    assert refused("sip:example.com", dns).status == 404


def test_records_to_which_nothing_can_be_sent_are_left_out() -> None:
    records = (Srv(0, 0, 5060, "."), Srv(0, 0, 0, "192.0.2.1"), Srv(1, 0, 5060, "192.0.2.2"))
    assert places(find("sip:example.com;transport=udp", {"SRV _sip._udp.example.com": records})) == [
        ("UDP", "192.0.2.2", 5060)
    ]


def test_a_destination_is_listed_once() -> None:
    records = tuple(Srv(n, 0, 5060, f"s{n}.example.com") for n in range(3))
    dns: dict[str, Answer] = {f"A s{n}.example.com": ("192.0.2.1",) for n in range(3)}
    assert places(find("sip:example.com;transport=udp", {**dns, "SRV _sip._udp.example.com": records})) == [
        ("UDP", "192.0.2.1", 5060)
    ]


# The order of RFC 2782 ------------------------------------------------------------------------------------------------


def test_priorities_come_before_weights() -> None:
    records = [Srv(20, 9, 1, "c"), Srv(10, 0, 1, "a"), Srv(15, 5, 1, "b")]
    for choose in (lowest, highest):
        assert [record.target for record in order_srv(records, choose)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("chosen", "first"),
    [(0, "zero"), (1, "one"), (2, "three"), (3, "three"), (4, "three")],
)
def test_the_running_sum_decides(chosen: int, first: str) -> None:
    """Weights 0, 1 and 3: the running sums are 0, 1 and 4, and the first that is not below the number is selected."""
    totals: list[int] = []

    def choose(total: int) -> int:
        totals.append(total)
        return chosen if len(totals) == 1 else 0

    records = [Srv(0, 3, 1, "three"), Srv(0, 0, 1, "zero"), Srv(0, 1, 1, "one")]
    ordered = [record.target for record in order_srv(records, choose)]
    assert ordered[0] == first
    assert sorted(ordered) == ["one", "three", "zero"]
    # The sum is computed anew without what was selected; the last one is not a matter of chance.
    assert totals == [4, {"zero": 4, "one": 3, "three": 1}[first]]


def test_without_weights_every_server_has_the_same_chance() -> None:
    records = [Srv(0, 0, 1, name) for name in "abc"]
    firsts = []
    for number in range(3):
        asked: list[int] = []

        def choose(total: int, number: int = number, asked: list[int] = asked) -> int:
            asked.append(total)
            return number if len(asked) == 1 else 0

        firsts.append(order_srv(records, choose)[0].target)
        assert asked == [2, 1]
    assert firsts == ["a", "b", "c"]


def drawing(number: int) -> Callable[[int], int]:
    return lambda total: min(number, total)


def test_chances_follow_the_weights() -> None:
    """All numbers that can be drawn, once each: weight w is selected first w times, weight 0 once."""
    records = [Srv(0, weight, 1, str(weight)) for weight in (0, 2, 5)]
    firsts = Counter(order_srv(records, drawing(number))[0].target for number in range(8))
    assert firsts == {"0": 1, "2": 2, "5": 5}


servers = st.builds(Srv, st.integers(0, 3), st.integers(0, 65535), st.just(1), st.sampled_from("abcdef"))


@given(st.lists(servers, max_size=12), st.randoms(use_true_random=False))
def test_ordering_loses_and_invents_nothing(records: list[Srv], random: Random) -> None:
    ordered = order_srv(records, lambda total: random.randint(0, total))
    assert sorted(ordered) == sorted(records)
    assert [record.priority for record in ordered] == sorted(record.priority for record in records)


# Bounds and errors ----------------------------------------------------------------------------------------------------


def test_a_domain_with_very_many_servers_is_cut_short() -> None:
    records = tuple(Srv(n, 0, 5060, f"s{n}.example.com") for n in range(1000))
    dns: dict[str, Answer] = {f"A s{n}.example.com": (f"192.0.2.{n % 256}",) for n in range(1000)}
    dns["SRV _sip._udp.example.com"] = records
    found, asked = find("sip:example.com;transport=udp", dns)
    assert len(found) == MOST_DESTINATIONS
    assert [place.host for place in found[:3]] == ["192.0.2.0", "192.0.2.1", "192.0.2.2"]
    assert len(asked) == MOST_DESTINATIONS + 1


def test_a_domain_whose_servers_have_no_addresses_does_not_cost_more_than_40_questions() -> None:
    records = tuple(Srv(n, 0, 5060, f"s{n}.example.com") for n in range(1000))
    search = locate(parse_uri("sip:example.com"), supported=ALL, choose=lowest)
    dns: dict[str, Answer] = {"SRV _sip._udp.example.com": records}
    asked = 0
    with pytest.raises(LocateError) as caught:
        question = next(search)
        while True:
            asked += 1
            question = search.send(dns.get(f"{question.kind} {question.name}", ()))
    assert asked == MOST_QUESTIONS
    assert (caught.value.status, "more than 40 questions" in caught.value.reason) == (503, True)


def test_a_name_with_very_many_addresses_is_cut_short() -> None:
    dns: dict[str, Answer] = {"A example.com": tuple(f"192.0.2.{n}" for n in range(200))}
    assert len(find("sip:example.com:5060", dns)[0]) == MOST_DESTINATIONS


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("sip:example.com", 404),
        ("sip:example.com:5060", 404),
        ("sip:example.com;transport=sctp", 503),
        ("sips:example.com;transport=udp", 400),
        ("sips:192.0.2.1;transport=sctp", 400),
        ("tel:+15551234", 400),
        ("sip:" + "a" * 64 + ".org", 404),
        ("sip:" + "a." * 122 + "org", 404),
    ],
)
def test_what_leads_nowhere(uri: str, status: int) -> None:
    assert refused(uri).status == status


def test_a_transport_that_we_do_not_have() -> None:
    assert refused("sips:example.com", supported=("UDP", "TCP")).status == 503
    assert refused("sip:example.com;transport=tcp", supported=("UDP",)).status == 503
    assert refused("sip:example.com", supported=()).status == 503
    assert refused("sip:example.com", supported=("WS",)).status == 503


def test_dns_that_is_down_is_a_temporary_failure() -> None:
    dns: dict[str, Answer] = {"A example.com": DOWN}
    assert refused("sip:example.com:5060", dns).status == 503
    # One family that answers is enough.
    dns["AAAA example.com"] = ("2001:db8::1",)
    assert places(find("sip:example.com:5060", dns, families=(4, 6))) == [("UDP", "2001:db8::1", 5060)]


def test_destinations_are_equal_whatever_their_reason() -> None:
    one, same = Destination("UDP", "192.0.2.1", 5060, "a", "why"), Destination("UDP", "192.0.2.1", 5060, "a")
    assert one == same
    assert len({one, same}) == 1
    assert one != Destination("TCP", "192.0.2.1", 5060, "a")
    assert one != one.key()
    assert repr(one) == "Destination('UDP', '192.0.2.1', 5060, 'a')"


# Responses ------------------------------------------------------------------------------------------------------------


def respond(
    transport: str, host: str, port: int | None, dns: Mapping[str, Answer] | None = None
) -> tuple[list[Destination], list[str]]:
    return run(locate_response(transport, host, port, choose=lowest, families=(4,)), dns or {})


@pytest.mark.parametrize(
    ("transport", "port", "expected"),
    [("UDP", None, 5060), ("TCP", 5080, 5080), ("tls", None, 5061)],
)
def test_a_response_to_an_address(transport: str, port: int | None, expected: int) -> None:
    found, asked = respond(transport, "[2001:db8::1]", port)
    assert found == [Destination(transport.upper(), "2001:db8::1", expected, "2001:db8::1")]
    assert asked == []


def test_a_response_to_a_name_with_a_port() -> None:
    found = respond("TCP", "client.example.com", 5080, {"A client.example.com": ("192.0.2.1", "192.0.2.2")})
    assert found[1] == ["A client.example.com"]
    assert places(found) == [("TCP", "192.0.2.1", 5080), ("TCP", "192.0.2.2", 5080)]


@pytest.mark.parametrize(("transport", "prefix"), [("UDP", "_sip._udp"), ("TCP", "_sip._tcp"), ("TLS", "_sips._tcp")])
def test_a_response_to_a_name_without_a_port(transport: str, prefix: str) -> None:
    dns: dict[str, Answer] = {
        f"SRV {prefix}.client.example.com": (Srv(1, 0, 5080, "a.example.com"), Srv(2, 0, 5090, "b.example.com")),
        "A a.example.com": ("192.0.2.1",),
        "A b.example.com": ("192.0.2.2",),
    }
    found = respond(transport, "client.example.com", None, dns)
    assert places(found) == [(transport, "192.0.2.1", 5080), (transport, "192.0.2.2", 5090)]
    bare = respond(transport, "client.example.com", None, {"A client.example.com": ("192.0.2.3",)})
    assert places(bare) == [(transport, "192.0.2.3", 5061 if transport == "TLS" else 5060)]


@pytest.mark.parametrize(
    ("transport", "host", "status"),
    [("WS", "df7jal23ls0d.invalid", 503), ("SCTP", "a.example", 503), ("UDP", "a.example", 404)],
)
def test_a_response_that_leads_nowhere(transport: str, host: str, status: int) -> None:
    with pytest.raises(LocateError) as caught:
        respond(transport, host, None)
    assert caught.value.status == status


def test_a_response_to_a_name_that_cannot_be() -> None:
    with pytest.raises(LocateError):
        respond("UDP", "a" * 64 + ".org", None)
