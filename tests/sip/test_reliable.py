"""Reliable provisional responses (RFC 3262): RSeq, RAck, and the sender's list of one."""

import pytest

from ringback.errors import ParseError
from ringback.sip.message import Response, build_request, build_response
from ringback.sip.reliable import RAck, ReliableSender, Waiting, read_rack, rseq_of


def test_rack() -> None:
    found = read_rack(build_request("PRACK", "sip:a@b", [("RAck", "776656 1  INVITE")]))
    assert (found.rseq, found.cseq, found.method, str(found)) == (776656, 1, "INVITE", "776656 1 INVITE")
    for wrong in ("", "1 2", "1 2 INVITE x", "x 1 INVITE", "1 -2 INVITE"):
        with pytest.raises(ParseError):
            read_rack(build_request("PRACK", "sip:a@b", [("RAck", wrong)]))
    with pytest.raises(ParseError):
        read_rack(build_request("PRACK", "sip:a@b", []))


def response(status: int, require: str = "100rel", rseq: str = "5") -> Response:
    return build_response(status, "", [("Require", require), ("RSeq", rseq)])


@pytest.mark.parametrize(
    ("given", "rseq"),
    [
        (response(180), 5),
        (response(183, "Foo, 100REL"), 5),
        (response(100), 0),
        (response(200), 0),
        (response(180, "foo"), 0),
        (response(180, rseq="x"), 0),
        (response(180, rseq="0"), 0),
        (build_response(180, "", [("Require", "100rel")]), 0),
        (build_response(180, "", [("RSeq", "5")]), 0),
    ],
)
def test_what_is_sent_reliably(given: Response, rseq: int) -> None:
    """Section 4: a Require with 100rel, never in a 100."""
    assert rseq_of(given) == rseq


def test_numbers_begin_somewhere_and_go_on_by_one() -> None:
    """7.1 and section 3: "between 1 and 2**31 - 1", then "greater by exactly one"."""
    for first in (0, 1, 2**31 - 1, 2**31, 2**40):
        assert 1 <= ReliableSender(1, first).next_rseq() <= 2**31 - 1
    sender = ReliableSender(1, 77)
    assert sender.next_rseq() == sender.next_rseq() == 77
    sender.sent(77, b"x", False)
    assert sender.next_rseq() == 78


def test_the_intervals_double_without_a_cap() -> None:
    sender = ReliableSender(1, 1)
    assert [sender.sent(1, b"x", True), *[sender.again() for _ in range(6)]] == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    assert sender.sent(2, b"y", False) == 0.5


@pytest.mark.parametrize(
    ("rack", "matches"),
    [
        (RAck(9, 4, "INVITE"), True),
        (RAck(8, 4, "INVITE"), False),
        (RAck(9, 5, "INVITE"), False),
        (RAck(9, 4, "UPDATE"), False),
    ],
)
def test_what_a_prack_has_to_match(rack: RAck, matches: bool) -> None:
    sender = ReliableSender(4, 9)
    assert not sender.acknowledged(rack)
    sender.sent(9, b"x", True)
    assert sender.acknowledged(rack) is matches
    assert (sender.current == b"", sender.described) == (matches, not matches)
    assert not (matches and sender.acknowledged(rack))


def test_a_final_response_ends_it() -> None:
    sender = ReliableSender(4, 9)
    sender.sent(9, b"x", True)
    sender.waiting.append(Waiting(183, "", b""))
    sender.stop()
    assert (sender.current, sender.described, sender.waiting) == (b"", False, [])
    assert not sender.acknowledged(RAck(9, 4, "INVITE"))
