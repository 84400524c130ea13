"""The stack as shell and application see it: bytes, flows and a clock in, bytes and events out (RFC 3261 18)."""

import pytest

from ringback.errors import ParseError
from ringback.sip.answerer import Answerer
from ringback.sip.message import Request, Response, build_request
from ringback.sip.parser import parse
from ringback.sip.stack import (
    MOST_TRANSACTIONS,
    Answered,
    Asked,
    Cancelled,
    Expired,
    Incoming,
    Malformed,
    listener_id,
)
from ringback.sip.timers import Timed
from ringback.sip.transaction_user import BRIEF_TIMER, Brief
from ringback.sip.transport import Flow, Listener
from tests.sip.element import ALICE, BOB, START, TCP, UDP, Element, phone, request, target

PEER = Flow("UDP", UDP.id, "192.0.2.21", 5060)
ACK_TO = "<sip:bob@example.org>;tag=b"


def incoming(element: Element) -> list[Incoming]:
    return [event for event in element.events if isinstance(event, Incoming)]


def malformed(element: Element) -> list[tuple[str, bool]]:
    return [(event.reason, event.answered) for event in element.events if isinstance(event, Malformed)]


def respond(element: Element, status: int, *headers: tuple[str, str], reason: str = "", body: bytes = b"") -> bool:
    assert element.server is not None and element.request is not None
    sent = element.stack.respond(
        element.server, element.request, status, element.now, reason, list(headers) or None, body
    )
    element.turn()
    return sent


# requests and responses ----------------------------------------------------------------------------------------------


def test_a_new_request_is_told_once_and_its_retransmissions_get_the_same_bytes() -> None:
    element = Element()
    element.receive(request("MESSAGE"))
    element.receive(request("MESSAGE"))
    [event] = incoming(element)
    assert (event.request.method, event.flow, event.server is not None) == ("MESSAGE", ALICE, True)
    assert respond(element, 202, ("X-Y", "z"), reason="Fine", body=b"ok")
    assert not respond(element, 200)
    element.receive(request("MESSAGE"))
    first, again = element.responses()
    assert first.encode() == again.encode()
    tag = first.to_tag
    assert (
        first.encode()
        == (
            "SIP/2.0 202 Fine\r\n"
            "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller1\r\n"
            "From: <sip:alice@example.org>;tag=a\r\n"
            f"To: <sip:bob@example.org>;tag={tag}\r\n"
            "Call-ID: call-1\r\n"
            "CSeq: 1 MESSAGE\r\n"
            "X-Y: z\r\n"
            "Content-Length: 2\r\n"
            "\r\nok"
        ).encode()
    )
    element.settle()


def test_every_tag_is_another() -> None:
    element = Element()
    assert len({element.stack.new_tag() for _ in range(1000)}) == 1000


def test_trying_comes_after_200_ms_and_without_a_tag() -> None:
    """17.2.1: "MUST generate a 100 (Trying) response unless it knows that the TU will generate a provisional or final
    response within 200 ms"; 8.2.6.2 leaves it without a To tag."""
    element = Element()
    element.receive(request("INVITE", BOB, "Timestamp: 5"))
    assert element.stack.deadline() == START + 0.2
    element.advance(0.1999)
    assert element.sent == []
    element.advance(0.0002)
    [trying] = element.responses()
    # 8.2.6.1: "any Timestamp header field present in the request MUST be copied into this 100".
    assert (trying.status, trying.header("to"), trying.header("timestamp")) == (100, "<sip:bob@example.org>", "5")


def test_taking_gives_each_thing_once() -> None:
    element = Element()
    element.stack.receive(request(), ALICE, START)
    sends, events = element.stack.take()
    assert (sends, len(events)) == ([], 1)
    assert element.stack.take() == ([], [])
    assert element.stack.deadline() == START + 0.2


def test_a_response_to_nothing_goes_nowhere() -> None:
    """RFC 6026 8.2: "If none is found, the element MUST NOT forward the response."""
    element = Element()
    [sent] = element.fork(1)
    stray = Response(200, "OK", sent.names.copy(), sent.lines.copy(), b"")
    stray.replace("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKhere999")
    stray.append("Via", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller1")
    element.receive(stray.encode(), PEER)
    assert element.sent == []


# where responses go (18.2.1, 18.2.2, RFC 3581) -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("via", "stamped", "port"),
    [
        # The same address: nothing to note.
        ("192.0.2.10:5060;branch=z9hG4bK1", "192.0.2.10:5060;branch=z9hG4bK1", 5060),
        # "If the host portion of the 'sent-by' parameter contains a domain name, or if it contains an IP address that
        # differs from the packet source address, the server MUST add a 'received' parameter"; the response goes there,
        # "using the port indicated in the 'sent-by' value, or using port 5060 if none is specified explicitly".
        ("pc.example.org;branch=z9hG4bK1", "pc.example.org;branch=z9hG4bK1;received=192.0.2.10", 5060),
        ("10.0.0.7:5099;branch=z9hG4bK1", "10.0.0.7:5099;branch=z9hG4bK1;received=192.0.2.10", 5099),
        ("192.0.2.10;branch=z9hG4bK1", "192.0.2.10;branch=z9hG4bK1", 5060),
        ("192.0.2.10:5099;branch=z9hG4bK1", "192.0.2.10:5099;branch=z9hG4bK1", 5099),
        # RFC 3581 4: "it MUST set the value of the parameter to the source port of the request", and "MUST insert a
        # 'received' parameter …, even if it is identical to the value of the 'sent-by' component".
        (
            "192.0.2.10:5099;rport;branch=z9hG4bK1",
            "192.0.2.10:5099;branch=z9hG4bK1;received=192.0.2.10;rport=41234",
            41234,
        ),
        ("10.0.0.7;branch=z9hG4bK1;rport", "10.0.0.7;branch=z9hG4bK1;received=192.0.2.10;rport=41234", 41234),
        # What the sender claims of itself does not count.
        (
            "10.0.0.7;received=203.0.113.1;rport=9;branch=z9hG4bK1",
            "10.0.0.7;branch=z9hG4bK1;received=192.0.2.10;rport=41234",
            41234,
        ),
        ("192.0.2.10;received=203.0.113.1;branch=z9hG4bK1", "192.0.2.10;branch=z9hG4bK1", 5060),
        # Quotes hide what looks like a parameter.
        (
            '10.0.0.7;branch=z9hG4bK1;x="a; received=1;b"',
            '10.0.0.7;branch=z9hG4bK1;x="a; received=1;b";received=192.0.2.10',
            5060,
        ),
    ],
)
@pytest.mark.parametrize("below", ["", ", SIP/2.0/UDP 10.9.9.9;branch=z9hG4bK0"])
def test_where_a_response_goes_over_udp(via: str, stamped: str, port: int, below: str) -> None:
    element = Element()
    source = Flow("UDP", UDP.id, "192.0.2.10", 5060 if "rport" not in via else 41234)
    element.receive(request("OPTIONS", via=f"v: SIP/2.0/UDP {via}{below}"), source)
    respond(element, 200)
    [(response, flow, _)] = element.sent
    assert (response.header("via") or "") == f"SIP/2.0/UDP {stamped}{below}"
    assert (flow.host, flow.port, flow.local, flow.transport) == ("192.0.2.10", port, UDP.id, "UDP")
    # The server transaction is found again, whatever was noted in the Via.
    element.receive(request("OPTIONS", via=f"v: SIP/2.0/UDP {via}{below}"), source)
    assert len(incoming(element)) == 1


def test_over_a_stream_the_response_goes_back_on_it() -> None:
    """18.2.2: "the response MUST be sent using the existing connection to the source of the original request"."""
    element = Element()
    flow = Flow("TCP", TCP.id, "192.0.2.10", 49152, 7)
    element.receive(request("OPTIONS", via="Via: SIP/2.0/TCP 10.0.0.7:5099;branch=z9hG4bK1;rport"), flow)
    respond(element, 200)
    [(response, way, _)] = element.sent
    assert way is flow
    assert response.header("via") == "SIP/2.0/TCP 10.0.0.7:5099;branch=z9hG4bK1;received=192.0.2.10;rport=49152"


def test_ipv6_addresses_stand_in_brackets_in_sent_by_and_without_in_received() -> None:
    """RFC 3261 25.1: "sent-by = host", "via-received = "received" EQUAL (IPv4address / IPv6address)"."""
    listener = Listener("udp:[2001:db8::1]:5060", "UDP", "2001:db8::1", 5060)
    element = Element(listener)
    flow = Flow("UDP", listener.id, "2001:db8::9", 5060)
    for via, stamped in (
        ("[2001:db8::9]:5060;branch=z9hG4bK1", "[2001:db8::9]:5060;branch=z9hG4bK1"),
        ("[2001:db8::8]:5060;branch=z9hG4bK2", "[2001:db8::8]:5060;branch=z9hG4bK2;received=2001:db8::9"),
    ):
        element.receive(request("OPTIONS", via=f"Via: SIP/2.0/UDP {via}"), flow)
        respond(element, 200)
        [(response, way, _)] = element.sent
        element.sent = []
        assert (response.header("via"), way.host, way.port) == (f"SIP/2.0/UDP {stamped}", "2001:db8::9", 5060)


def test_how_a_listener_is_named() -> None:
    assert listener_id("UDP", "192.0.2.1", 5060) == UDP.id
    assert listener_id("TLS", "2001:db8::1", 5061) == "tls:[2001:db8::1]:5061"


# what cannot be read -------------------------------------------------------------------------------------------------

BAD_URI = request("INVITE", "sip:bob@exa mple.org")
NO_VIA = request("INVITE", via="X: y")
NO_END = request("INVITE")[:-2]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (BAD_URI, 400),
        (request("INVITE", "sip:"), 400),
        (NO_END, 400),
        (request("INVITE", BOB, "CSeq: 2 INVITE"), 400),
        (request("INVITE").replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1), 505),
        (request("INVITE").replace(b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS"), 400),
        (request("INVITE").replace(b"CSeq: 1 INVITE", b"CSeq: 1 " + b"NEW"), 400),
        (request("INVITE").replace(b"\r\nCall-ID", b"\r\nX: y" * 300 + b"\r\nCall-ID"), 0),
        (request("INVITE").replace(b"\r\nContent-Length", b"\r\nX: y" * 300 + b"\r\nContent-Length"), 513),
        (request("INVITE", body=b"abc")[:-1], 400),
        # Nothing to answer with, or nobody who may be answered.
        (NO_VIA, 0),
        (request("ACK", "sip:"), 0),
        (b"SIP/2.0 200 OK\r\nVia: x\r\n\r\n", 0),
        (b"\r\n\r\n\r\n\r\n", 0),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0),
        (b"\xff" * 40, 0),
    ],
)
def test_what_cannot_be_read_is_answered_when_it_can_be_and_told_always(data: bytes, status: int) -> None:
    """21.4.1: "The Reason-Phrase SHOULD identify the syntax problem in more detail": ours stands in a Warning."""
    element = Element()
    element.receive(data)
    assert incoming(element) == []
    [(reason, answered)] = malformed(element)
    assert (reason != "", answered) == (True, status != 0)
    responses = element.responses()
    assert [response.status for response in responses] == ([status] if status else [])
    for response in responses:
        assert response.to_tag != ""
        assert response.header("via") == "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller1"
    # Without state: nothing is left.
    assert element.at_rest()


def test_the_warning_says_what_was_wrong_and_cannot_break_out_of_its_quotes() -> None:
    element = Element()
    element.receive(request("INVITE", 'sip:"\\bob@example.org'))
    [response] = element.responses()
    warning = response.header("warning") or ""
    assert warning.startswith('399 ringback "') and warning.endswith('"')
    assert warning.count('"') == 2 and "\\" not in warning


def test_a_short_datagram_gets_no_long_answer() -> None:
    """Its source may be forged: the answer is at most three times as long, so the Warning may be missing."""
    element = Element()
    short = b"X sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;rport\r\nCSeq:1 X\r\n\r\n"
    element.stack.receive(short, ALICE, element.now)
    element.stack.receive(short, Flow("TCP", TCP.id, "192.0.2.10", 49152, 7), element.now)
    [by_udp, by_tcp], _ = element.stack.take()
    assert by_udp[0].startswith(b"SIP/2.0 400 ") and len(by_udp[0]) <= 3 * len(short)
    assert (b"Warning" in by_udp[0], b"Warning" in by_tcp[0]) == (False, True)


def test_a_response_that_cannot_be_read_is_dropped() -> None:
    """18.3: "If the message is a response, it MUST be discarded."""
    element = Element()
    [sent] = element.fork(1)
    element.receive(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=" + sent.via.branch.encode() + b"\r\n\r\n")
    assert (element.sent, [answered for _, answered in malformed(element)]) == ([], [False])


# too much ------------------------------------------------------------------------------------------------------------


def crowd(element: Element, count: int) -> None:
    assert element.server is not None
    element.stack.layer.servers.update(dict.fromkeys(map(str, range(count)), element.server))


def test_above_the_limit_new_requests_get_503_without_state_and_old_ones_go_on() -> None:
    """21.5.4: the server "MAY indicate when the client should retry the request in a Retry-After header field"."""
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 180)
    element.responses()
    crowd(element, MOST_TRANSACTIONS - 1)
    element.receive(request(branch="z9hG4bKcaller2"))
    [refused] = element.responses()
    assert (refused.status, refused.header("retry-after")) == (503, "10")
    assert len(element.stack.layer.servers) == MOST_TRANSACTIONS
    assert len(incoming(element)) == 1
    # A CANCEL for what is known is let in, one for nothing is answered without state.
    element.receive(request("CANCEL", branch="z9hG4bKcaller3"))
    assert element.statuses() == [481]
    assert len(element.stack.layer.servers) == MOST_TRANSACTIONS
    element.receive(request("CANCEL"))
    assert element.statuses() == [200]
    assert [sent.method for sent in element.requests()] == ["CANCEL"]


def test_below_the_limit_they_are_let_in() -> None:
    element = Element()
    element.receive(request())
    crowd(element, MOST_TRANSACTIONS - 2)
    element.receive(request(branch="z9hG4bKcaller2"))
    assert (element.statuses(), len(incoming(element))) == ([], 2)


# CANCEL (9.2) --------------------------------------------------------------------------------------------------------


def test_a_cancel_of_nothing_is_481() -> None:
    element = Element()
    element.receive(request("CANCEL"))
    [response] = element.responses()
    assert (response.status, response.to_tag != "") == (481, True)
    element.receive(request("CANCEL"))
    [again] = element.responses()
    assert again.encode() == response.encode()
    assert incoming(element) == []


def test_a_cancel_before_the_application_has_decided() -> None:
    """9.2: "If the original request was an INVITE, the UAS SHOULD immediately respond to the INVITE with a 487"; "the
    To tag of the response to the CANCEL and the To tag in the response to the original request SHOULD be the same"."""
    element = Element()
    element.receive(request())
    element.receive(request("CANCEL"))
    answered, final = element.responses()
    assert (answered.status, answered.cseq.method, final.status, final.cseq.method) == (200, "CANCEL", 487, "INVITE")
    assert answered.to_tag == final.to_tag != ""
    [event] = [event for event in element.events if isinstance(event, Cancelled)]
    assert event.server is element.server
    assert not respond(element, 200)
    element.settle()


def test_a_cancel_says_why_and_is_answered_with_the_tag_of_who_answers_himself() -> None:
    """8.2.6.2: "the same tag MUST be used for all responses to that request, both final and provisional"."""
    element = Element()
    element.receive(request())
    assert element.server is not None
    element.server.user = Answerer("mine")
    reasons = ("Reason: SIP;cause=200", "Reason: Q.850;cause=16")
    element.receive(request("CANCEL").replace(b"Call-ID", "\r\n".join([*reasons, "Call-ID"]).encode()))
    assert [(response.status, response.to_tag) for response in element.responses()] == [(200, "mine"), (487, "mine")]
    [event] = [event for event in element.events if isinstance(event, Cancelled)]
    assert event.reasons == ["SIP;cause=200", "Q.850;cause=16"]
    element.settle()


@pytest.mark.parametrize("method", ["MESSAGE", "OPTIONS", "REGISTER"])
def test_a_cancel_of_another_request_has_no_effect(method: str) -> None:
    """9.2: "A CANCEL request has no impact on the processing of transactions with any other method", but "as long as
    the CANCEL matched an existing transaction, the UAS answers the CANCEL request itself with a 200"."""
    element = Element()
    element.receive(request(method))
    element.receive(request("CANCEL"))
    assert element.statuses() == [200]
    assert not [event for event in element.events if isinstance(event, Cancelled)]
    assert respond(element, 202)


def test_a_cancel_after_the_final_response_has_no_effect() -> None:
    element = Element()
    element.receive(request())
    respond(element, 486)
    element.receive(request("CANCEL"))
    assert element.statuses() == [486, 200]
    assert not [event for event in element.events if isinstance(event, Cancelled)]


def test_a_cancel_from_somewhere_else_is_none() -> None:
    """22.1: "a CANCEL request SHOULD be accepted by a server if it comes from the same hop that sent the request being
    canceled": whoever is called sees all that it takes to write one."""
    element = Element()
    [sent] = element.fork(1)
    element.answer(sent, 180)
    element.receive(request("CANCEL"), Flow("UDP", UDP.id, "192.0.2.21", 5060))
    assert (element.statuses(), element.requests()) == ([180, 481], [])
    element.receive(request("CANCEL"))
    assert (element.statuses(), [sent.method for sent in element.requests()]) == ([200], ["CANCEL"])


# timers of others -----------------------------------------------------------------------------------------------------


def test_the_timers_of_others_are_told() -> None:
    """Of what is no part of the stack, when they return something other than 0."""
    element = Element()
    silent, other = Timed(), Brief("key", {})
    for delay, owner in ((1.0, other), (2.0, silent), (0.5, other)):
        element.stack.layer.timers.start(element.now, delay, owner, 1)
    element.advance(5.0)
    told = [event for event in element.events if isinstance(event, Expired)]
    assert [(event.owner, event.outcome) for event in told] == [(other, BRIEF_TIMER)] * 2


# ACK -----------------------------------------------------------------------------------------------------------------


def test_the_ack_to_a_failure_stays_here() -> None:
    element = Element()
    element.receive(request())
    respond(element, 486)
    element.receive(request("ACK", to=ACK_TO))
    assert len(incoming(element)) == 1
    assert element.statuses() == [486]
    element.advance(20.0)
    assert element.statuses() == []
    element.settle()


@pytest.mark.parametrize("branch", ["z9hG4bKcaller1", "z9hG4bKcaller2"])
def test_the_ack_to_a_success_goes_up(branch: str) -> None:
    """13.2.2.4 gives it a branch of its own; RFC 6026 8.7: with that of the INVITE it "must be passed up" as well."""
    element = Element()
    element.receive(request())
    respond(element, 200)
    element.receive(request("ACK", phone(1), to=ACK_TO, branch=branch))
    assert [(event.request.method, event.server is None) for event in incoming(element)] == [
        ("INVITE", False),
        ("ACK", True),
    ]


def relayed(data: bytes, flow: Flow | None = None, element: Element | None = None) -> tuple[Request, Flow]:
    element = element or Element()
    element.receive(data)
    assert element.request is not None
    element.stack.relay_ack(element.request, flow, element.now)
    element.turn()
    [(sent, way, key)] = element.sent
    assert isinstance(sent, Request) and key == ""
    assert element.at_rest()
    return sent, way


def test_an_ack_is_forwarded_without_state() -> None:
    sent, way = relayed(request("ACK", phone(1), "X: y", to=ACK_TO, branch="z9hG4bKcaller2"))
    assert (way.host, way.port, way.local) == ("192.0.2.21", 5060, UDP.id)
    assert (
        sent.encode()
        == (
            f"ACK {phone(1)} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={sent.via.branch}\r\n"
            "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKcaller2\r\n"
            "X: y\r\n"
            "Max-Forwards: 69\r\n"
            "From: <sip:alice@example.org>;tag=a\r\n"
            f"To: {ACK_TO}\r\n"
            "Call-ID: call-1\r\n"
            "CSeq: 1 ACK\r\n"
            "Content-Length: 0\r\n"
            "\r\n"
        ).encode()
    )
    again, _ = relayed(request("ACK", phone(1), "X: y", to=ACK_TO, branch="z9hG4bKcaller2"))
    # 16.11: "the component of the branch parameter that makes it unique MUST be the same each time".
    assert again.encode() == sent.encode()
    assert sent.via.branch.startswith("z9hG4bKhere")


@pytest.mark.parametrize(
    ("lines", "uri", "routes", "host"),
    [
        (("Route: <sip:192.0.2.99;lr>, <sip:b;lr>",), phone(1), ["<sip:192.0.2.99;lr>", "<sip:b;lr>"], "192.0.2.99"),
        # 16.6 step 6 is for an ACK as well.
        (("Route: <sip:192.0.2.99>, <sip:b;lr>",), "sip:192.0.2.99", ["<sip:b;lr>", f"<{phone(1)}>"], "192.0.2.99"),
    ],
)
def test_an_ack_follows_its_route(lines: tuple[str, ...], uri: str, routes: list[str], host: str) -> None:
    sent, way = relayed(request("ACK", phone(1), *lines, to=ACK_TO))
    assert (sent.uri, sent.split("route"), way.host) == (uri, routes, host)


def test_an_ack_goes_on_the_flow_that_a_token_names() -> None:
    flow = Flow("TCP", TCP.id, "203.0.113.7", 50000, 4)
    data = request("ACK", "sip:bob@10.0.0.7", to=ACK_TO).replace(b"Content-Length: 0\r\n", b"")
    sent, way = relayed(data, flow)
    assert way is flow
    assert (sent.via.transport, sent.header("content-length")) == ("TCP", "0")


@pytest.mark.parametrize(("uri", "route"), [("sip:bob@pc.example.net", ""), (phone(1), "<sip:proxy.example.net;lr>")])
def test_an_ack_waits_for_the_name_of_its_next_hop(uri: str, route: str) -> None:
    element = Element()
    element.receive(request("ACK", uri, *([f"Route: {route}"] if route else []), to=ACK_TO))
    assert element.request is not None
    element.stack.relay_ack(element.request, None, element.now)
    element.turn()
    [asked] = [event for event in element.events if isinstance(event, Asked)]
    assert (element.sent, asked.uri.text) == ([], route[1:-1] or uri)
    element.located(asked.token)
    assert element.sent == []
    element.located(asked.token, Flow("UDP", "", "198.51.100.1", 5060), Flow("UDP", "", "198.51.100.2", 5060))
    [(sent, way, _)] = element.sent
    assert (sent.uri, way.host, way.local) == (uri, "198.51.100.1", UDP.id)


def test_an_ack_that_may_not_go_further_is_let_drop() -> None:
    element = Element()
    element.receive(request("ACK", phone(1), to=ACK_TO, forwards=0))
    assert element.request is not None
    element.stack.relay_ack(element.request, None, element.now)
    element.turn()
    assert element.sent == []


@pytest.mark.parametrize(("uri", "status"), [("tel:+15550100", 416), ("sip:bob@192.0.2.21;transport=ws", 503)])
def test_an_ack_without_a_way(uri: str, status: int) -> None:
    element = Element()
    element.receive(request("ACK", uri, to=ACK_TO))
    assert element.request is not None
    with pytest.raises(ParseError) as raised:
        element.stack.relay_ack(element.request, None, element.now)
    assert raised.value.status == status


# requests of our own -------------------------------------------------------------------------------------------------


def own(element: Element, method: str = "OPTIONS") -> tuple[Request, str]:
    headers = [("Max-Forwards", "70"), ("From", "<sip:example.org>;tag=x"), ("To", "<sip:bob@example.org>")]
    message = build_request(method, phone(1), [*headers, ("Call-ID", "own"), ("CSeq", f"1 {method}")])
    client = element.stack.request(message, PEER, element.now)
    element.turn()
    [(sent, way, key)] = element.sent
    assert (way, key) == (PEER, client.key)
    element.sent = []
    assert isinstance(sent, Request)
    return sent, key


def answers(element: Element) -> list[tuple[int, bool]]:
    return [(event.status, event.response is not None) for event in element.events if isinstance(event, Answered)]


def test_a_request_of_our_own_and_its_answers() -> None:
    element = Element()
    sent, _ = own(element)
    assert sent.header("via") == f"SIP/2.0/UDP 192.0.2.1:5060;branch={sent.via.branch};rport"
    element.answer(sent, 100)
    element.answer(sent, 200)
    element.answer(sent, 200)
    assert answers(element) == [(100, True), (200, True)]
    element.settle()


def test_a_request_of_our_own_that_nobody_answers() -> None:
    """8.1.3.1: "If a timeout error is received from the transaction layer, it MUST be treated as if a 408 … has been
    received"; a transport error is treated "as a 503"."""
    element = Element()
    own(element)
    element.advance(32.0)
    assert answers(element) == [(408, False)]
    _, key = own(other := Element())
    other.undelivered(key)
    other.undelivered(key)
    other.undelivered("nobody's")
    assert answers(other) == [(503, False)]
    for stack in (element, other):
        stack.settle()


# a long step of the clock --------------------------------------------------------------------------------------------


def test_a_clock_that_stood_still_for_minutes_ends_everything_in_one_step() -> None:
    element = Element()
    element.fork(3)
    element.receive(request("MESSAGE", branch="z9hG4bKcaller2"))
    respond(element, 200)
    for step in range(20):
        element.stack.advance(START + 300.0 + 100.0 * step)
    element.turn()
    assert [response.status for response in element.responses()][:2] == [200, 100]
    assert element.at_rest()
    assert element.stack.deadline() is None


def test_parse_gives_back_what_the_kit_sends() -> None:
    """The kit itself: what it takes for a request of Alice's is sound."""
    message = parse(request(body=b"x"))
    assert isinstance(message, Request)
    assert (message.call_id, message.from_tag, message.to_tag, message.body) == ("call-1", "a", "", b"x")
    assert target(phone(1)).uri == "sip:bob@192.0.2.21:5060"
