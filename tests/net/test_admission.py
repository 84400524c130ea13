"""Who may hold how many connections."""

import pytest

from ringback.errors import ConfigurationError
from ringback.net.admission import Admission


def test_a_source_may_hold_so_many_and_no_more() -> None:
    admission = Admission(2)
    assert [admission.enter("192.0.2.1") for _ in range(4)] == [True, True, False, False]
    # Those that were refused do not count: one that leaves makes room for exactly one.
    admission.leave("192.0.2.1")
    assert [admission.enter("192.0.2.1") for _ in range(2)] == [True, False]
    assert admission.count("192.0.2.1") == 2


def test_sources_do_not_count_against_each_other() -> None:
    admission = Admission(1)
    assert [admission.enter(f"192.0.2.{number}") for number in (1, 2, 1, 3)] == [True, True, False, True]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:DB8::1", "2001:0db8:0000:0000:1::", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::1", "::2", True),
        ("192.0.2.1", "192.0.2.11", False),
    ],
)
def test_an_ipv6_source_is_a_64(first: str, second: str, same: bool) -> None:
    """Whoever has one address of a /64 has all of them."""
    admission = Admission(1)
    assert admission.enter(first)
    assert admission.enter(second) is not same
    assert admission.count(second) == 1


def test_what_is_gone_leaves_nothing_behind() -> None:
    admission = Admission(5)
    for number in range(1000):
        host = f"192.0.{number // 250}.{number % 250}"
        assert admission.enter(host)
        admission.leave(host)
        assert admission.count(host) == 0
    assert admission._counts == {}


def test_leaving_without_having_entered_is_a_mistake() -> None:
    admission = Admission(1)
    with pytest.raises(KeyError):
        admission.leave("192.0.2.1")


@pytest.mark.parametrize(
    ("network", "host", "exempt"),
    [
        ("192.0.2.0/24", "192.0.2.255", True),
        ("192.0.2.0/24", "192.0.3.0", False),
        ("192.0.2.9/24", "192.0.2.1", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("0.0.0.0/0", "2001:db8::1", False),
    ],
)
def test_exempt_networks_have_no_limit_but_are_counted(network: str, host: str, exempt: bool) -> None:
    admission = Admission(1, ["198.51.100.0/24", network])
    assert [admission.enter(host) for _ in range(3)] == ([True] * 3 if exempt else [True, False, False])
    assert admission.count(host) == (3 if exempt else 1)
    for _ in range(admission.count(host)):
        admission.leave(host)
    assert admission.count(host) == 0


@pytest.mark.parametrize("text", ["", "example.org", "192.0.2.0/33", "2001:db8::/129", "192.0.2", "192.0.2.0/x"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ConfigurationError, match="a network without connection limit: "):
        Admission(1, [text])
