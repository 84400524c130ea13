"""Numbers of candidates and pairs, which candidates are of use, and which are redundant."""

import pytest

from ringback.media.candidates import (
    HOST,
    PEER_REFLEXIVE,
    RELAYED,
    SERVER_REFLEXIVE,
    LocalCandidate,
    candidate_priority,
    foundation,
    pair_priority,
    same_family,
    usable,
    without_redundant,
)
from ringback.sdp.ice import Candidate


def test_priorities_of_candidates() -> None:
    """RFC 8445 section 15.1 computes the first two; RFC 8839's examples have the others."""
    assert candidate_priority(HOST, 1) == 2130706431
    assert candidate_priority(SERVER_REFLEXIVE, 1) == 1694498815
    assert candidate_priority(HOST, 2) == 2130706430
    assert candidate_priority(PEER_REFLEXIVE, 1) == 1862270975
    assert candidate_priority(RELAYED, 1) == 16777215
    assert candidate_priority(HOST, 1, preference=0) == 2113929471


def test_priorities_of_pairs() -> None:
    assert pair_priority(10, 20) == (10 << 32) + 40
    assert pair_priority(20, 10) == (10 << 32) + 41
    assert pair_priority(7, 7) == (7 << 32) + 14


def test_foundations_tell_kinds_bases_and_servers_apart() -> None:
    made = {
        foundation(kind, base, server)
        for kind in (HOST, RELAYED)
        for base in ("192.0.2.1", "192.0.2.2")
        for server in ("", "203.0.113.3")
    }
    assert len(made) == 8
    assert foundation(HOST, "192.0.2.1") == foundation(HOST, "192.0.2.1")
    assert all(1 <= len(name) <= 32 and name.isalnum() for name in made)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "198.51.100.1", True),
        ("192.0.2.1", "2001:db8::1", False),
        ("2001:db8::1", "fd00::2", True),
        ("fe80::1", "fe80::2", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("fe80::1", "2001:db8::1", False),
    ],
)
def test_who_can_talk_to_whom(one: str, other: str, same: bool) -> None:
    assert same_family(one, other) is same_family(other, one) is same


def candidate(address: str = "192.0.2.1", port: int = 4000, component: int = 1, transport: str = "udp") -> Candidate:
    return Candidate("1", component, transport, 5, address, port, HOST)


@pytest.mark.parametrize(
    ("given", "of_use"),
    [
        (candidate(), True),
        (candidate("2001:db8::1"), True),
        (candidate(transport="UDP"), True),
        (candidate(transport="tcp"), False),
        (candidate(port=0), False),
        (candidate(component=3), False),
        (candidate("8a7b.local"), False),
        (candidate("example.org"), False),
        (candidate("0.0.0.0"), False),
        (candidate("::"), False),
        (candidate("224.0.0.1"), False),
        (candidate("ff02::1"), False),
        (candidate("255.255.255.255"), False),
    ],
)
def test_which_candidates_of_the_far_end_are_of_use(given: Candidate, of_use: bool) -> None:
    assert usable(given) is of_use


def local(kind: str, address: str, base: str, component: int = 1) -> LocalCandidate:
    return LocalCandidate(component, kind, (address, 1), (base, 1), candidate_priority(kind, component), "f", None)


def test_redundant_candidates_are_left_out_and_the_best_is_first() -> None:
    host = local(HOST, "10.0.0.1", "10.0.0.1")
    same = local(SERVER_REFLEXIVE, "10.0.0.1", "10.0.0.1")
    reflexive = local(SERVER_REFLEXIVE, "192.0.2.1", "10.0.0.1")
    other = local(HOST, "10.0.0.1", "10.0.0.1", component=2)
    assert without_redundant([reflexive, same, other, host, host]) == [host, other, reflexive]


def test_as_sdp_has_it() -> None:
    reflexive = LocalCandidate(1, SERVER_REFLEXIVE, ("192.0.2.1", 5), ("10.0.0.1", 6), 99, "f", ("10.0.0.1", 6))
    assert str(reflexive.described()) == "f 1 udp 99 192.0.2.1 5 typ srflx raddr 10.0.0.1 rport 6"
    assert str(local(HOST, "10.0.0.1", "10.0.0.1").described()) == "f 1 udp 2130706431 10.0.0.1 1 typ host"
