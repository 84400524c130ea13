"""Which of this host's addresses are of use."""

from ringback.media.io.interfaces import MOST_ADDRESSES, host_addresses, usable_addresses
from ringback.media.io.sockets import bind


def test_what_is_of_no_use_is_left_out() -> None:
    addresses = [
        "127.0.0.1",
        "::1",
        "169.254.3.4",
        "fe80::1",
        "0.0.0.0",
        "::",
        "fec0::1",
        "::ffff:192.0.2.1",
        "224.0.0.1",
        "192.0.2.7",
        "fd00::2",
        "192.0.2.7",
        "2001:db8::9",
    ]
    assert usable_addresses(addresses) == ["192.0.2.7", "fd00::2", "2001:db8::9"]


def test_there_are_never_too_many() -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 100)]
    assert usable_addresses(addresses) == addresses[:MOST_ADDRESSES]


def test_the_addresses_of_this_host_can_be_bound() -> None:
    addresses = host_addresses()
    assert addresses
    for address in addresses:
        bind(address, 0).close()
