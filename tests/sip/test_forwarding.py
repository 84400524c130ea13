"""The response context: what goes out on which branch, and what comes back to the caller (RFC 3261 16.6 to 16.10)."""

import pytest

from ringback.errors import ParseError
from ringback.sip.forwarding import best_branch
from ringback.sip.message import Request
from ringback.sip.plan import Plan, Stage
from ringback.sip.stack import Settled
from ringback.sip.timers import TIMER_C
from ringback.sip.transport import Flow
from tests.sip.element import ALICE, CALL_ID, TCP, UDP, Element, phone, request, target

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
T64 = 32.0
BY_TCP = Flow("TCP", TCP.id, "192.0.2.10", 49152, 7)
TCP_VIA = "Via: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bKcaller1"


# going out (16.6) ----------------------------------------------------------------------------------------------------


def test_the_whole_request_as_it_goes_out() -> None:
    element = Element()
    body = b"v=0\r\n"
    element.receive(request("INVITE", "sip:bob@example.org", "X-Odd :  as it came ", "Subject: a", body=body))
    element.forward([target(phone(1))])
    [(sent, flow, key)] = element.sent
    assert (flow.transport, flow.host, flow.port, flow.local) == ("UDP", "192.0.2.21", 5060, UDP.id)
    # "Fields not detailed in the processing described below MUST NOT be removed. The copy SHOULD maintain the ordering
    # of the header fields as in the received request. … The proxy MUST NOT add to, modify, or remove the message body."
    branch = sent.via.branch
    token = sent.header("record-route")
    assert key == f"{branch}|INVITE"
    assert branch.startswith("z9hG4bKhere")
    assert sent.encode() == (
        "INVITE sip:bob@192.0.2.21:5060 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={branch};rport\r\n"
        f"Record-Route: {token}\r\n"
        "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller1\r\n"
        "X-Odd :  as it came \r\n"
        "Subject: a\r\n"
        "Max-Forwards: 69\r\n"
        "From: <sip:alice@example.org>;tag=a\r\n"
        "To: <sip:bob@example.org>\r\n"
        f"Call-ID: {CALL_ID}\r\n"
        "CSeq: 1 INVITE\r\n"
        "Contact: <sip:alice@192.0.2.10:5060>\r\n"
        "Content-Length: 5\r\n"
        "Max-Breadth: 60\r\n"
        "\r\n"
    ).encode() + body


@pytest.mark.parametrize(("came", "goes"), [(None, "70"), (70, "69"), (1, "0"), (255, "254")])
def test_max_forwards(came: int | None, goes: str) -> None:
    """16.6 step 3: "MUST decrement its value by one", "If the copy does not contain …, the proxy MUST add one with a
    field value, which SHOULD be 70"."""
    [sent] = Element().fork(1, request(forwards=came))
    assert sent.all("max-forwards") == [goes]


def test_a_content_length_is_added() -> None:
    data = request(body=b"abc").replace(b"Content-Length: 3\r\n", b"")
    [sent] = Element().fork(1, data)
    assert (sent.header("content-length"), sent.body) == ("3", b"abc")


@pytest.mark.parametrize(
    ("came", "shares"),
    [
        ((), ["60"]),
        ((), ["30", "30"]),
        ((), ["9", "9", "9", "9", "8", "8", "8"]),
        (("Max-Breadth: 5",), ["5"]),
        (("Max-Breadth: 5",), ["3", "2"]),
        (("Max-Breadth: 2",), ["1", "1"]),
        (("Max-Breadth: 1000",), ["60"]),
    ],
)
def test_max_breadth_is_shared_out_whole(came: tuple[str, ...], shares: list[str]) -> None:
    """RFC 5393 5.3.3: "All proxied requests MUST contain a single Max-Breadth header field value", of 60 if there was
    none or more, and "A proxy SHOULD NOT use a smaller amount of Max-Breadth than was present in the original"."""
    sent = Element().fork(len(shares), request("INVITE", "sip:bob@example.org", *came))
    assert [forwarded.all("max-breadth") for forwarded in sent] == [[share] for share in shares]


@pytest.mark.parametrize(("breadth", "targets"), [(1, 2), (4, 5), (0, 1)])
def test_too_little_breadth_is_440(breadth: int, targets: int) -> None:
    element = Element()
    assert element.fork(targets, request("INVITE", "sip:bob@example.org", f"Max-Breadth: {breadth}")) == []
    assert element.statuses() == [440]
    element.settle()


def test_a_breadth_of_one_is_enough_for_one_after_the_other() -> None:
    element = Element()
    element.receive(request("INVITE", "sip:bob@example.org", "Max-Breadth: 1"))
    element.forward([target(phone(1))], [target(phone(2))])
    [first] = element.requests()
    element.answer(first, 486)
    [second] = element.requests("INVITE")
    assert (second.uri, second.header("max-breadth")) == (phone(2), "1")


@pytest.mark.parametrize("line", ["Max-Breadth: many", "Max-Forwards: 256", "Max-Forwards: -1"])
def test_what_cannot_be_forwarded_is_not_answered_either(line: str) -> None:
    element = Element()
    element.receive(request("INVITE", "sip:bob@example.org", line, forwards=None))
    with pytest.raises(ParseError) as raised:
        element.forward([target(phone(1))])
    assert raised.value.status == 400
    assert element.sent == []


def test_no_target_is_480() -> None:
    """16.5: "If the target set remains empty …, the proxy MUST return an error response, which SHOULD be the 480"."""
    element = Element()
    element.receive(request())
    element.forward([])
    [response] = element.responses()
    assert (response.status, response.to_tag != "") == (480, True)


def test_a_scheme_without_a_way_fails_alone() -> None:
    element = Element()
    element.receive(request())
    element.forward([target("tel:+15550100"), target(phone(1))])
    [sent] = element.requests()
    assert sent.uri == phone(1)
    element.answer(sent, 486)
    # 486 and 416 are of one class; a response that came is better than none, though 416 does not affect resubmission.
    assert element.statuses() == [486]


# stages --------------------------------------------------------------------------------------------------------------


def test_stages_follow_one_another() -> None:
    """16.6: "MAY arbitrarily divide the set into groups, processing the groups serially and processing the targets in
    each group in parallel"."""
    element = Element()
    element.receive(request())
    element.forward([target(phone(1)), target(phone(2))], [], [target(phone(3))])
    first, second = element.requests()
    element.answer(first, 486)
    assert element.requests("INVITE") == []
    element.answer(second, 480)
    [third] = element.requests("INVITE")
    assert third.uri == phone(3)
    assert third.via.branch not in (first.via.branch, second.via.branch)
    element.answer(third, 486)
    assert element.statuses() == [486]
    element.settle()


def test_a_success_ends_the_search() -> None:
    element = Element()
    element.receive(request())
    element.forward([target(phone(1))], [target(phone(2))])
    [first] = element.requests()
    element.answer(first, 200)
    assert (element.statuses(), element.requests()) == ([200], [])
    element.settle()
    assert element.requests("INVITE") == []


def staged(breadth: str = "60") -> tuple[Element, Request]:
    element = Element()
    element.receive(request("INVITE", "sip:bob@example.org", f"Max-Breadth: {breadth}"))
    element.forward_by(Plan([Stage([target(phone(1))], 20.0), Stage([target(phone(2))])]))
    [first] = element.requests()
    return element, first


def test_when_the_time_of_a_stage_is_over_the_next_one_begins() -> None:
    element, first = staged()
    element.answer(first, 180)
    element.advance(19.999)
    assert element.requests() == []
    element.advance(0.001)
    cancel, second = element.requests()
    assert (cancel.method, cancel.uri, cancel.header("reason")) == ("CANCEL", phone(1), None)
    assert (second.method, second.uri) == ("INVITE", phone(2))
    # RFC 5393 5.3.3: "MUST NOT allow the Outgoing Max-Breadth to exceed the Incoming Max-Breadth": the first branch has
    # no final response yet.
    assert (first.header("max-breadth"), second.header("max-breadth")) == ("30", "30")
    element.answer(cancel, 200)
    element.answer(first, 487)
    element.answer(second, 200)
    assert element.statuses() == [180, 200]
    element.settle()


def test_a_stage_whose_time_is_over_without_a_sign_of_life_leaves_the_next_one_in_peace() -> None:
    element, first = staged()
    element.advance(20.0)
    assert {sent.method for sent in element.requests()} == {"INVITE"}
    element.advance(0.5)
    [again] = element.requests("INVITE")
    assert again.uri == phone(2)
    # The first telephone wakes up late: what is owed to it is a CANCEL, not a call.
    element.answer(first, 180)
    [cancel] = element.requests("CANCEL")
    assert cancel.uri == phone(1)
    element.answer(cancel, 200)
    element.answer(first, 487)
    element.answer(again, 200)
    assert element.statuses() == [100, 180, 200]
    element.settle()


def test_without_breadth_for_both_the_next_stage_waits_for_the_end_of_the_last() -> None:
    element, first = staged("1")
    element.answer(first, 180)
    element.advance(20.0)
    [cancel] = element.requests()
    assert cancel.method == "CANCEL"
    element.answer(first, 487)
    [second] = element.requests("INVITE")
    assert (second.uri, second.header("max-breadth")) == (phone(2), "1")


def test_the_time_of_a_stage_does_not_outlive_it() -> None:
    element, first = staged()
    element.answer(first, 180)
    element.receive(request("CANCEL"))
    element.answer(first, 487)
    assert element.statuses() == [180, 200, 487]
    element.settle()
    assert element.requests("INVITE") == []
    element, first = staged()
    element.answer(first, 486)
    [second] = element.requests("INVITE")
    element.answer(second, 180)
    element.advance(30.0)
    # Nobody has said how long the second one may ring.
    assert element.requests("CANCEL") == []


def test_a_branch_of_an_earlier_stage_that_is_slow_to_end_holds_nobody_up() -> None:
    element = Element()
    element.receive(request())
    element.forward_by(Plan([Stage([target(phone(1))], 20.0), Stage([target(phone(2))]), Stage([target(phone(3))])]))
    [first] = element.requests()
    element.answer(first, 180)
    element.advance(20.0)
    [second] = element.requests("INVITE")
    element.answer(second, 486)
    [third] = element.requests("INVITE")
    assert (third.uri, third.header("max-breadth")) == (phone(3), "30")
    element.answer(third, 480)
    # The answer waits for it, though: 16.7 step 6, when "all client transactions in this response context have been
    # terminated".
    assert element.statuses() == [180]
    element.answer(first, 487)
    assert element.statuses() == [486]
    element.settle()


def test_the_time_of_the_last_stage_ends_the_call() -> None:
    element = Element()
    element.receive(request())
    element.forward_by(Plan([Stage([target(phone(1))], 15.0)]))
    [sent] = element.requests()
    element.answer(sent, 180)
    element.advance(15.0)
    [cancel] = element.requests()
    element.answer(cancel, 200)
    element.answer(sent, 487)
    # The 487 answers our CANCEL: the caller has cancelled nothing.
    assert (cancel.method, element.statuses()) == ("CANCEL", [180, 408])
    element.settle()


# coming back (16.7) --------------------------------------------------------------------------------------------------


def test_every_provisional_response_but_100_goes_up_at_once() -> None:
    element = Element()
    first, second = element.fork(2)
    element.answer(first, 100)
    element.answer(first, 180)
    element.answer(second, 183, "X-Kept: yes")
    element.answer(first, 180)
    responses = element.responses()
    assert [(response.status, response.to_tag) for response in responses] == [
        (180, "tag-21"),
        (183, "tag-22"),
        (180, "tag-21"),
    ]
    # Step 3: "The proxy removes the topmost Via header field value from the response", and nothing else.
    assert responses[1].all("via") == ["SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller1"]
    assert responses[1].header("x-kept") == "yes"


def test_a_provisional_response_to_another_request_stays_here() -> None:
    """RFC 4320 4.1: "MUST NOT send any provisional response with a Status-Code other than 100 to a non-INVITE"."""
    element = Element()
    [sent] = element.fork(1, request("MESSAGE"))
    element.answer(sent, 183)
    assert element.responses() == []
    element.answer(sent, 200)
    assert element.statuses() == [200]
    element.settle()


def test_the_first_success_cancels_the_others() -> None:
    element = Element()
    first, second, third = element.fork(3)
    element.answer(first, 180)
    element.answer(second, 180)
    element.answer(second, 200)
    assert element.statuses() == [180, 180, 200]
    # Step 10: "the proxy MUST generate a CANCEL request for all pending client transactions": those that have "received
    # a provisional response, but no final response"; the third gets its own with its first sign of life (9.1).
    [cancel] = element.requests()
    assert cancel.encode() == (
        f"CANCEL {phone(1)} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={first.via.branch};rport\r\n"
        "Max-Forwards: 69\r\n"
        "From: <sip:alice@example.org>;tag=a\r\n"
        f"Call-ID: {CALL_ID}\r\n"
        "To: <sip:bob@example.org>\r\n"
        "CSeq: 1 CANCEL\r\n"
        "Content-Length: 0\r\n"
        f"Reason: {ELSEWHERE}\r\n"
        "\r\n"
    ).encode()
    element.answer(third, 180)
    [late] = element.requests()
    assert (late.method, late.uri, late.header("reason")) == ("CANCEL", phone(3), ELSEWHERE)
    element.answer(third, 180)
    assert element.requests() == []
    for sent in (cancel, late):
        element.answer(sent, 200)
    for loser in (first, third):
        element.answer(loser, 487)
    # The caller has its answer: what the losers say after it goes no further.
    assert element.responses() == []
    assert [sent.method for sent in element.requests()] == ["ACK", "ACK"]
    element.settle()


def test_every_success_of_every_branch_reaches_the_caller() -> None:
    """Step 5: "After a final response has been sent …: Any 2xx response to an INVITE request"; RFC 6026 8.4: 2xx "that
    are received while in the Accepted state MUST be passed up"."""
    element = Element()
    first, second = element.fork(2)
    element.answer(first, 180)
    element.answer(second, 200)
    element.answer(first, 200)
    element.answer(second, 200)
    element.advance(31.9)
    element.answer(second, 200)
    element.answer(first, 200, tag="behind-a-fork")
    tags = [response.to_tag for response in element.responses() if response.status == 200]
    assert tags == ["tag-22", "tag-21", "tag-22", "tag-22", "behind-a-fork"]
    element.advance(0.2)
    element.answer(second, 200)
    # "If the server transaction is no longer available …, the response is simply discarded" (RFC 6026 8.3).
    assert element.responses() == []
    element.settle()


def test_one_final_response_to_other_requests() -> None:
    element = Element()
    first, second = element.fork(2, request("MESSAGE"))
    element.answer(first, 202)
    element.answer(second, 200)
    assert [(response.status, response.to_tag) for response in element.responses()] == [(202, "tag-21")]
    # 9.1: "A CANCEL request SHOULD NOT be sent to cancel a request other than INVITE."
    assert element.requests("CANCEL") == []
    element.settle()


BEST = [
    # "It MUST choose from the 6xx class responses if any exist in the context."
    ([302, 603, 486], 603),
    ([600, 604], 600),
    # "the proxy SHOULD choose from the lowest response class stored in the response context."
    ([500, 486, 302], 302),
    ([500, 486], 486),
    ([503, 407, 501, 404], 407),
    # "SHOULD give preference to responses that provide information affecting resubmission": 401, 407, 415, 420, 484.
    ([404, 401], 401),
    ([486, 415], 415),
    ([486, 420], 420),
    ([486, 484], 484),
    ([486, 404], 486),
    # What tells the caller nothing about the user comes last in its class.
    ([408, 480], 480),
    ([487, 486], 486),
    ([408, 500], 408),
    ([503, 500], 500),
    ([503, 504], 504),
    # "If the only response that was received is a 503, the proxy SHOULD generate a 500 response".
    ([503], 500),
    ([503, 503], 500),
]


@pytest.mark.parametrize(("statuses", "best"), BEST)
@pytest.mark.parametrize("turned", [False, True])
def test_the_best_response(statuses: list[int], best: int, turned: bool) -> None:
    element = Element()
    branches = element.fork(len(statuses))
    order = list(zip(branches, statuses, strict=True))
    if turned and len({status // 100 for status in statuses}) > 1:
        order.reverse()
    for sent, status in order:
        element.answer(sent, 180)
        element.answer(sent, status)
    assert [status for status in element.statuses() if status >= 200] == [best]
    element.settle()


def test_nothing_is_best_of_nothing() -> None:
    assert best_branch([]) is None


def test_the_tag_of_the_response_is_kept_and_a_new_one_is_made_for_our_own() -> None:
    """16.7 step 6: "An element SHOULD preserve the To tag when simply forwarding a 3-6xx response"."""
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 404, tag="theirs")
    [response] = element.responses()
    assert response.header("to") == "<sip:bob@example.org>;tag=theirs"
    other = Element()
    [sent] = other.fork(1)
    other.answer(sent, 503, tag="theirs")
    [response] = other.responses()
    assert response.header("to") == f"<sip:bob@example.org>;tag={response.to_tag}"
    assert response.to_tag not in ("", "theirs")


def test_all_challenges_go_up_together() -> None:
    """Step 7: "MUST collect any WWW-Authenticate and Proxy-Authenticate header field values from all other 401 … and
    407 … responses received so far … and add them to this response without modification"."""
    element = Element()
    branches = element.fork(4)
    element.answer(branches[0], 404, 'WWW-Authenticate: Digest realm="not a challenge"')
    element.answer(branches[1], 407, 'Proxy-Authenticate: Digest realm="one",  nonce="1"')
    element.answer(
        branches[2], 401, 'WWW-Authenticate: Digest realm="two", nonce="2"', 'WWW-Authenticate: Digest realm="2b"'
    )
    element.answer(branches[3], 407, 'proxy-authenticate: Digest realm="three", nonce="3"')
    [response] = element.responses()
    assert response.status == 407
    assert [line for line in response.lines if "uthenticate" in line] == [
        'Proxy-Authenticate: Digest realm="one",  nonce="1"',
        'WWW-Authenticate: Digest realm="two", nonce="2"',
        'WWW-Authenticate: Digest realm="2b"',
        'proxy-authenticate: Digest realm="three", nonce="3"',
    ]


def test_a_global_refusal_cancels_the_others_and_waits_for_them() -> None:
    """Step 5: a 6xx "is not immediately forwarded, but the stateful proxy SHOULD cancel all client pending
    transactions …, and it MUST NOT create any new branches in this context"."""
    element = Element()
    element.receive(request())
    element.forward([target(phone(1)), target(phone(2))], [target(phone(3))])
    first, second = element.requests()
    element.answer(second, 180)
    element.answer(first, 603)
    assert element.statuses() == [180]
    ack, cancel = element.requests()
    assert (ack.method, cancel.method, cancel.uri, cancel.header("reason")) == ("ACK", "CANCEL", phone(2), None)
    element.answer(second, 487)
    assert element.statuses() == [603]
    element.settle()
    assert element.requests("INVITE") == []


def test_a_success_after_a_global_refusal_is_what_the_caller_gets() -> None:
    element = Element()
    first, second = element.fork(2)
    element.answer(second, 180)
    element.answer(first, 600)
    element.answer(second, 200)
    assert element.statuses() == [180, 200]
    element.settle()


@pytest.mark.parametrize(("status", "seen"), [(200, 502), (486, 486), (180, None)])
def test_a_response_that_has_lost_the_vias_of_those_before_us(status: int, seen: int | None) -> None:
    """Step 3: "If no Via header field values remain in the response, the response was meant for this element and MUST
    NOT be forwarded"; its caller gets a final response all the same."""
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, status, "X-From: callee", via=False)
    responses = element.responses()
    assert [response.status for response in responses] == ([] if seen is None else [seen])
    assert all(response.header("x-from") is None for response in responses)


@pytest.mark.parametrize(("via", "flow", "length"), [(TCP_VIA, BY_TCP, "3"), ("", ALICE, None)])
def test_a_response_from_udp_gets_the_length_that_a_stream_needs(via: str, flow: Flow, length: str | None) -> None:
    """20.14: "If a stream-based protocol (such as TCP) is used as transport, the header field MUST be used."""
    element = Element()
    element.receive(request(via=via), flow)
    element.forward([target(phone(1))])
    [sent] = element.requests()
    data = (
        f"SIP/2.0 200 OK\r\nVia: {sent.all('via')[0]}\r\nVia: {sent.all('via')[1]}\r\nFrom: {sent.header('from')}\r\n"
        f"To: {sent.header('to')};tag=b\r\nCall-ID: {CALL_ID}\r\nCSeq: 1 INVITE\r\n\r\nabc"
    )
    element.receive(data.encode(), Flow("UDP", UDP.id, "192.0.2.21", 5060))
    [response] = element.responses()
    assert (response.header("content-length"), response.body) == (length, b"abc")


# timer C (16.6 step 11, 16.7 step 2, 16.8) ---------------------------------------------------------------------------


def test_timer_c_cancels_who_rings_for_too_long() -> None:
    assert TIMER_C > 180.0
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 180)
    element.advance(TIMER_C - 0.001)
    assert element.requests() == []
    element.advance(0.001)
    [cancel] = element.requests()
    assert (cancel.method, cancel.header("reason")) == ("CANCEL", None)
    element.answer(cancel, 200)
    element.answer(sent, 487)
    assert element.statuses() == [180, 408]
    element.settle()


@pytest.mark.parametrize(("status", "resets"), [(100, False), (101, True), (183, True), (199, True)])
def test_what_resets_timer_c(status: int, resets: bool) -> None:
    """16.7 step 2: "with status codes 101 to 199 inclusive (i.e., anything but 100), the proxy MUST reset timer C"."""
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 180)
    element.advance(100.0)
    element.answer(sent, status)
    element.advance(TIMER_C - 100.0)
    cancels = element.requests("CANCEL")
    assert len(cancels) == (0 if resets else 1)
    for cancel in cancels:
        element.answer(cancel, 200)
        element.answer(sent, 487)
    element.advance(100.0 - 0.001)
    assert element.requests("CANCEL") == []
    element.advance(0.001)
    assert len(element.requests("CANCEL")) == (1 if resets else 0)


def test_who_does_not_answer_the_cancel_either_is_forgotten() -> None:
    """9.1: "If there is no final response for the original request in 64*T1 seconds …, the client SHOULD then consider
    the original transaction cancelled and SHOULD destroy the client transaction handling the original request"; and
    16.7 step 6: "If there are no final responses in the context, the proxy MUST send a 408"."""
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 180)
    element.advance(TIMER_C + T64 - 0.001)
    assert element.statuses() == [180]
    element.advance(0.001)
    assert element.statuses() == [408]
    assert element.stack.layer.clients == {}
    element.settle()


def test_nobody_there_is_408_when_timer_b_has_fired() -> None:
    element = Element()
    element.fork(2)
    element.advance(T64 - 0.001)
    assert element.statuses() == [100]
    element.advance(0.001)
    assert element.statuses() == [408]
    element.settle()


def test_nobody_there_is_silence_for_other_requests() -> None:
    """RFC 4320 4.2: "MUST NOT send a response with Status-Code of 408 to a non-INVITE request."""
    element = Element()
    element.fork(1, request("MESSAGE"))
    element.advance(T64)
    # What was due at 3.5 s (RFC 4320 4.1).
    assert element.statuses() == [100]
    element.receive(request("MESSAGE"))
    assert (element.responses(), element.requests("MESSAGE")[11:]) == ([], [])
    element.settle()
    assert element.responses() == []


@pytest.mark.parametrize(("others", "seen"), [([], []), ([404], [404]), ([500], [500])])
def test_a_408_from_downstream_to_another_request_goes_no_further(others: list[int], seen: list[int]) -> None:
    element = Element()
    branches = element.fork(1 + len(others), request("MESSAGE"))
    for sent, status in zip(branches, [408, *others], strict=True):
        element.answer(sent, status)
    assert element.statuses() == seen
    # The request again: it is not forwarded again.
    element.receive(request("MESSAGE"))
    assert element.requests() == []


# CANCEL from upstream (16.10) ----------------------------------------------------------------------------------------


def cancel_it(element: Element, *extra: str) -> None:
    element.receive(request("CANCEL", "sip:bob@example.org", *extra))


def test_a_cancel_is_answered_here_and_sent_to_all_that_ring() -> None:
    element = Element()
    first, second, third = element.fork(3)
    element.answer(first, 180)
    element.answer(third, 486)
    element.requests()
    element.responses()
    cancel_it(element, 'Reason: Q.850;cause=16;text="Terminated"', "Reason: SIP;cause=600")
    [answered] = element.responses()
    assert (answered.status, answered.header("cseq")) == (200, "1 CANCEL")
    # RFC 3326 2: "SHOULD copy it into the new CANCEL request".
    [cancel] = element.requests()
    assert cancel.uri == phone(1)
    assert cancel.split("reason") == ['Q.850;cause=16;text="Terminated"', "SIP;cause=600"]
    # 9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent".
    element.answer(second, 100)
    [late] = element.requests()
    assert (late.method, late.uri, late.split("reason")) == ("CANCEL", phone(2), cancel.split("reason"))
    element.answer(first, 487)
    assert element.responses() == []
    element.answer(second, 487)
    [final] = element.responses()
    assert final.status == 486
    element.settle()


def test_the_tag_of_the_answer_to_cancel_is_that_of_our_own_final_response() -> None:
    """9.2: "the To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be
    the same"."""
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 100)
    cancel_it(element)
    element.advance(T64)
    answered, final = [response for response in element.responses() if response.status != 100]
    assert (answered.status, final.status) == (200, 487)
    assert answered.to_tag == final.to_tag != ""
    element.settle()


def test_a_cancel_ends_a_search_that_has_not_begun_to_ring() -> None:
    element = Element()
    element.receive(request())
    element.forward([target(phone(1))], [target(phone(2))])
    element.requests()
    cancel_it(element)
    element.advance(T64)
    assert [status for status in element.statuses() if status >= 200] == [200, 408]
    assert {sent.uri for sent in element.requests("INVITE", "CANCEL")} == {phone(1)}
    element.settle()


def test_a_success_that_crosses_the_cancel_reaches_the_caller() -> None:
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 180)
    cancel_it(element)
    element.answer(sent, 200)
    assert element.statuses() == [180, 200, 200]
    element.settle()


def test_a_cancel_after_the_final_response_changes_nothing() -> None:
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 200)
    element.requests()
    cancel_it(element)
    assert [(response.status, response.header("cseq")) for response in element.responses()] == [
        (200, "1 INVITE"),
        (200, "1 CANCEL"),
    ]
    assert element.requests() == []


def test_a_request_that_was_cancelled_before_it_was_forwarded_goes_nowhere() -> None:
    """The application may have waited for something in between. Nobody would ever stop a telephone that rings then."""
    element = Element()
    element.receive(request())
    server, invite = element.server, element.request
    cancel_it(element)
    answered, final = element.responses()
    assert (answered.status, final.status, answered.to_tag) == (200, 487, final.to_tag)
    assert server is not None and invite is not None
    element.stack.forward(server, invite, ALICE, Plan([Stage([target(phone(1))])]), element.now)
    element.turn()
    assert element.sent == []
    element.settle()


# reasons -------------------------------------------------------------------------------------------------------------


def test_every_decision_has_its_reason() -> None:
    element = Element()
    element.stack.explain = True
    element.receive(request())
    element.forward([target(phone(1)), target(phone(2))], [target(phone(3))])
    first, second = element.requests()
    element.answer(first, 180)
    element.answer(second, 200)
    [settled] = [event for event in element.events if isinstance(event, Settled)]
    assert [repr(decision) for decision in settled.context.decisions] == [
        f"forward {phone(1)}: for {phone(1)}",
        f"forward {phone(2)}: for {phone(2)}",
        f"answer 200 {phone(2)}: for {phone(2)}",
        f"cancel {phone(1)}: {ELSEWHERE}",
    ]


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 404)
    assert not [event for event in element.events if isinstance(event, Settled)]
