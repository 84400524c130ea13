"""Networks, sources and addresses of record, as far as names and addresses tell."""

from __future__ import annotations

import pytest

from ringback.errors import ConfigurationError
from ringback.server.setup.identity import Domains, Networks, is_anonymous, packed, source_key
from ringback.sip.route import Self
from ringback.sip.transport import Listener
from ringback.sip.uri import parse_uri

ELEMENT = Self(["example.org", "example.com"], [Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060)])
DOMAINS = Domains(("Example.org", "example.com"))


@pytest.mark.parametrize(
    ("host", "octets"),
    [
        ("192.0.2.1", b"\xc0\x00\x02\x01"),
        ("::ffff:192.0.2.1", b"\xc0\x00\x02\x01"),
        ("2001:db8::1", bytes.fromhex("20010db8000000000000000000000001")),
        ("[2001:db8::1]", bytes.fromhex("20010db8000000000000000000000001")),
        ("fe80::1%eth0", bytes.fromhex("fe800000000000000000000000000001")),
        *((host, b"") for host in ("", "example.org", "1.2.3", "0177.0.0.1", "1.2.3.256", ":", "[", "1.2.3.4 ")),
    ],
)
def test_the_octets_of_an_address(host: str, octets: bytes) -> None:
    assert packed(host) == octets


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "c0000201"),
        ("::ffff:192.0.2.1", "c0000201"),
        ("2001:db8:1:2:3:4:5:6", "20010db800010002"),
        ("2001:db8:1:2::", "20010db800010002"),
        ("::1", "0000000000000000"),
    ],
)
def test_what_counts_as_one_source(host: str, key: str) -> None:
    assert source_key(host).hex() == key


def test_names_are_sources_of_their_own() -> None:
    """No name is taken for an address: keys of addresses have 4 or 8 octets."""
    keys = [source_key(name) for name in ("a", "abcd", "a-rather-long-name.example.org", "\udcff")]
    assert [len(key) for key in keys] == [5, 5, 16, 5]
    assert len(set(keys)) == 4


NETWORKS = Networks(("192.0.2.0/24", "203.0.113.7", "2001:db8::/32", "2001:db9::5/128", "10.1.2.3/8"))


@pytest.mark.parametrize(
    ("host", "inside"),
    [
        *((host, True) for host in ("192.0.2.0", "192.0.2.255", "203.0.113.7", "10.255.0.1", "::ffff:192.0.2.9")),
        *((host, True) for host in ("2001:db8:ffff::1", "2001:db9::5")),
        *((host, False) for host in ("192.0.3.0", "203.0.113.8", "9.255.255.255", "2001:db7::1", "2001:db9::6")),
        *((host, False) for host in ("", "example.org", "192.0.2", "::192.0.2.9", "0.0.0.0")),
    ],
)
def test_what_is_in_the_networks(host: str, inside: bool) -> None:
    # The second answer is one that was kept.
    assert [NETWORKS.contains(host), NETWORKS.contains(host)] == [inside, inside]


def test_answers_are_kept_in_bounds() -> None:
    networks = Networks(("10.0.0.0/8",))
    for number in range(10_000):
        assert networks.contains(f"10.0.{number // 256}.{number % 256}")
        assert not networks.contains(f"11.0.{number // 256}.{number % 256}")
    assert len(networks._answers) <= 4096


@pytest.mark.parametrize(
    ("networks", "host", "spared"),
    [
        (("127.0.0.0/8",), "127.0.0.1", True),
        (("127.0.0.0/8",), "128.0.0.1", False),
        (("203.0.113.7",), "203.0.113.7", True),
        (("203.0.113.7",), "203.0.113.8", False),
        # Of an IPv6 address a source keeps its /64: ::1 is spared, and with one address all of its network.
        (("::1/128",), "::1", True),
        (("2001:db8:0:1::5",), "2001:db8:0:1::6", True),
        (("2001:db8:0:1::5",), "2001:db8:0:2::5", False),
        (("2001:db8::/32",), "2001:db8:ffff::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("::/0",), "203.0.113.7", False),
        ((), "127.0.0.1", False),
        (("0.0.0.0/0", "::/0"), "example.org", False),
    ],
)
def test_which_sources_are_spared(networks: tuple[str, ...], host: str, spared: bool) -> None:
    assert Networks(networks).spares(source_key(host)) is spared


@pytest.mark.parametrize("text", ["", "example.org", "192.0.2.0/33", "192.0.2.256", "2001:db8::/129"])
def test_networks_that_are_none(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a network"):
        Networks((text,))


def test_no_networks() -> None:
    assert not Networks(()) and not Networks(()).contains("127.0.0.1")
    assert Networks(("::1",))


@pytest.mark.parametrize(
    ("uri", "domain", "account"),
    [
        ("sip:alice@example.org", "example.org", "alice@example.org"),
        ("sips:alice@EXAMPLE.COM.", "example.com", "alice@example.com"),
        ("sip:%61lice:x@example.org:5070;user=phone", "example.org", "alice@example.org"),
        ("sip:alice@192.0.2.1", "example.org", "alice@example.org"),
        ("sip:example.org", "example.org", ""),
        ("tel:+1-555-0100;ext=1", "example.org", "+15550100@example.org"),
        ("sip:alice@example.net", "", ""),
        ("sip:alice@192.0.2.2", "", ""),
        ("sip:alice@example.net;maddr=192.0.2.1", "", ""),
        ("sip:alice@example.org;maddr=203.0.113.9", "example.org", "alice@example.org"),
        ("mailto:alice@example.org", "", ""),
    ],
)
def test_whom_a_uri_claims_to_be(uri: str, domain: str, account: str) -> None:
    parsed = parse_uri(uri)
    assert (DOMAINS.domain_of(parsed, ELEMENT), DOMAINS.account_of(parsed, ELEMENT)) == (domain, account)


def test_the_main_domain_is_the_first() -> None:
    assert (DOMAINS.main, DOMAINS.names) == ("example.org", ("example.org", "example.com"))
    with pytest.raises(ConfigurationError):
        Domains(())


@pytest.mark.parametrize(
    ("uri", "anonymous"),
    [
        ("sip:anonymous@anonymous.invalid", True),
        ("sip:anonymous@ANONYMOUS.invalid", True),
        ("sip:anonymous@example.org", False),
        ("sip:anonymous@anonymous.invalid.example.org", False),
    ],
)
def test_who_hides(uri: str, anonymous: bool) -> None:
    assert is_anonymous(parse_uri(uri)) is anonymous
