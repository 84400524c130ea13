"""Answers without state: what is left behind, and how long they may be."""

from __future__ import annotations

import pytest

from ringback.server.app import ServerTransaction
from ringback.server.stateless import refuse, turn_away
from ringback.sip.message import Response
from ringback.sip.parser import parse
from ringback.sip.route import Self
from ringback.sip.stack import Incoming, Stack
from ringback.sip.transport import Flow, Listener

LISTENER = Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060)
TCP = Listener("tcp:192.0.2.1:5060", "TCP", "192.0.2.1", 5060)
CALLER = Flow("UDP", LISTENER.id, "198.51.100.7", 5070)
CONNECTION = Flow("TCP", TCP.id, "198.51.100.7", 5070, 3)
CHALLENGES = [("WWW-Authenticate", f"Digest {number}{'x' * 250}") for number in range(3)]


def new_stack() -> Stack:
    return Stack([LISTENER, TCP], Self(["example.org"], [LISTENER, TCP]), bytes(range(32)), "t")


def request(method: str, padding: int = 400, branch: str = "z9hG4bK1", tag: str = "") -> bytes:
    return (
        f"{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5070;branch={branch}\r\n"
        f"From: <sip:a@example.org>;tag=1\r\nTo: <sip:b@example.org>{tag}\r\nCall-ID: one\r\nCSeq: 1 {method}\r\n"
        f"S: {'x' * padding}\r\n\r\n"
    ).encode()


def incoming(stack: Stack, data: bytes, flow: Flow = CALLER) -> ServerTransaction:
    stack.receive(data, flow, 100.0)
    _, [event] = stack.take()
    assert isinstance(event, Incoming)
    return ServerTransaction(stack, event, 100.0)


def sent(stack: Stack, flow: Flow = CALLER) -> list[bytes]:
    sends, _ = stack.take()
    assert all((to.host, to.port, key) == (flow.host, flow.port, "") for _, to, key in sends)
    return [data for data, _, _ in sends]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_nothing_is_left_behind(method: str) -> None:
    stack = new_stack()
    turn_away(incoming(stack, request(method)), 407, "Prove It", [("Subject", "y")])
    [data] = sent(stack)
    answer = parse(data)
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason, answer.header("subject")) == (407, "Prove It", "y")
    assert (stack.layer.servers, stack.layer.clients) == ({}, {})
    # Neither the 100 after 200 ms nor a timer of the answer.
    stack.advance(200.0)
    assert sent(stack) == []
    assert stack.deadline() is None


def test_the_same_request_gets_the_same_answer_and_another_another() -> None:
    """8.2.7: "To header tags MUST be generated for responses in a stateless manner - in a manner that will generate the
    same tag for the same request consistently"."""
    stack, other = new_stack(), Stack([LISTENER], Self([], [LISTENER]), bytes(32), "t")
    answers = []
    for element, branch in ((stack, "z9hG4bK1"), (stack, "z9hG4bK1"), (stack, "z9hG4bK2"), (other, "z9hG4bK1")):
        turn_away(incoming(element, request("INVITE", branch=branch)), 407)
        answers += sent(element)
    tags = [parse(answer).to_tag for answer in answers]
    assert answers[0] == answers[1]
    assert len(set(tags)) == 3 and {len(tag) for tag in tags} == {16}


def test_a_tag_that_is_there_stays() -> None:
    stack = new_stack()
    turn_away(incoming(stack, request("BYE", tag=";tag=theirs")), 481)
    assert parse(sent(stack)[0]).to_tag == "theirs"


def test_an_ack_is_not_answered() -> None:
    stack = new_stack()
    transaction = incoming(stack, request("ACK"))
    turn_away(transaction, 407)
    refuse(transaction, 407)
    assert sent(stack) == []


def test_the_decision_is_kept_when_the_stack_explains() -> None:
    stack = new_stack()
    transaction = incoming(stack, request("MESSAGE"))
    turn_away(transaction, 407, why="unheard")
    assert transaction.decisions == []
    stack.explain = True
    transaction = incoming(stack, request("MESSAGE"))
    turn_away(transaction, 407, "Reason", why="no name")
    turn_away(transaction, 407, "Reason")
    assert [repr(decision) for decision in transaction.decisions] == [
        "answer 407 sip:bob@example.org: no name",
        "answer 407 sip:bob@example.org: Reason",
    ]


def fitting(padding: int, headers: list[tuple[str, str]], flow: Flow = CALLER) -> list[str] | None:
    """What is left of the headers when a request of some length is answered; None when there is no answer."""
    stack = new_stack()
    turn_away(incoming(stack, request("OPTIONS", padding), flow), 401, headers=headers)
    answers = sent(stack, flow)
    if not answers:
        return None
    return [parse(answers[0]).value_at(place) for place, name in enumerate(parse(answers[0]).names) if name in SPARED]


SPARED = ("warning", "www-authenticate")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_challenges_as_three_times_the_request_can_hold(count: int) -> None:
    stack = new_stack()
    bare = request("OPTIONS", 0)
    turn_away(incoming(stack, bare, CONNECTION), 401, headers=CHALLENGES[:count])
    [answer] = sent(stack, CONNECTION)
    # A little is taken off: what may have been noted in the Via of a request as it stands.
    enough = -(-len(answer) // 3) - len(bare) + len(";received=198.51.100.7;rport=5070")
    assert fitting(enough, CHALLENGES) == [value for _, value in CHALLENGES[:count]]
    # One octet less, and the last is left out; without any there is no point in an answer.
    assert fitting(enough - 1, CHALLENGES) == ([value for _, value in CHALLENGES[: count - 1]] or None)


def test_a_warning_is_left_out_first() -> None:
    long = [("WWW-Authenticate", "Digest " + "a" * 100), ("Warning", f'399 ringback "{"w" * 300}"')]
    assert fitting(400, long) == [value for _, value in long]
    assert fitting(60, long) == [long[0][1]]
    assert fitting(60, [long[1], long[0]]) == [long[0][1]]


def test_other_headers_are_not_left_out() -> None:
    stack = new_stack()
    turn_away(incoming(stack, request("OPTIONS", 0)), 420, headers=[("Unsupported", "x" * 600)])
    assert sent(stack) == []


def test_a_connection_has_a_peer_that_is_there() -> None:
    assert fitting(0, CHALLENGES, CONNECTION) == [value for _, value in CHALLENGES]


@pytest.mark.parametrize("known", [("a@b", False, False), ("", True, False), ("", False, True)])
def test_who_is_known_is_refused_with_state(known: tuple[str, bool, bool]) -> None:
    """An INVITE's answer is then sent until it is acknowledged (17.2.1)."""
    stack = new_stack()
    transaction = incoming(stack, request("INVITE"))
    transaction.user, transaction.trusted, transaction.route.in_dialog = known
    refuse(transaction, 403, "No", [("Subject", "y")], "why")
    first = sent(stack)
    stack.advance(100.5)
    assert len(first) == 1 and sent(stack) == first
    assert len(stack.layer.servers) == 1


def test_who_is_not_known_is_refused_without() -> None:
    stack = new_stack()
    refuse(incoming(stack, request("INVITE")), 403, "No", [("Subject", "y")], "why")
    [data] = sent(stack)
    assert data.startswith(b"SIP/2.0 403 No\r\n") and b"\r\nSubject: y\r\n" in data
    stack.advance(140.0)
    assert sent(stack) == [] and stack.layer.servers == {}
