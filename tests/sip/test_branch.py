"""One branch: the request as it goes to one target (RFC 3261 16.6 steps 2 to 10, RFC 5658, RFC 5626 5.3, RFC 3327)."""

import pytest

from ringback.sip.branch import needs_own_flow, request_uri
from ringback.sip.message import Request
from ringback.sip.outbound import decode_flow_token, encode_flow_token
from ringback.sip.parser import parse
from ringback.sip.plan import Plan, Stage
from ringback.sip.route import loop_mark, plain_token, preprocess
from ringback.sip.target import Target
from ringback.sip.transport import Flow, Listener
from tests.sip.element import ALICE, CALL_ID, SECRET, TCP, TLS, UDP, WSS, Element, phone, request, target

V6 = Listener("udp:[2001:db8::1]:5060", "UDP", "2001:db8::1", 5060)
TOKEN = plain_token(SECRET, CALL_ID)
PLAIN = f"<sip:{TOKEN}@192.0.2.1:5060;lr>"
PLAIN_TCP = f"<sip:{TOKEN}@192.0.2.1:5060;transport=tcp;lr>"
PLAIN_TLS = f"<sip:{TOKEN}@192.0.2.1:5061;transport=tls;lr>"
BEHIND_NAT = Flow("UDP", UDP.id, "203.0.113.7", 41234)
BY_TCP = Flow("TCP", TCP.id, "192.0.2.10", 49152, 7)
PROXY_TCP = Flow("TCP", TCP.id, "192.0.2.50", 49152, 8)
OUT = Flow("TCP", TCP.id, "203.0.113.9", 50000, 9)


def token_of(flow: Flow) -> str:
    return plain_token(SECRET, CALL_ID, encode_flow_token(SECRET, flow))


def forwarded(
    where: Target,
    data: bytes = b"",
    flow: Flow = ALICE,
    listeners: tuple[Listener, ...] = (),
    record_route: bool = True,
) -> tuple[Request, Flow]:
    element = Element(*listeners)
    element.receive(data or request(), flow)
    element.forward_by(Plan([Stage([where])], record_route))
    [(sent, way, _)] = element.sent
    assert isinstance(sent, Request)
    return sent, way


# Record-Route --------------------------------------------------------------------------------------------------------


def test_one_record_route_where_both_sides_are_one() -> None:
    """16.6 step 4: "The URI placed in the Record-Route header field value MUST be a SIP or SIPS URI. This URI MUST
    contain an lr parameter", and it comes "before any existing Record-Route header field values"."""
    lines = ("Record-Route: <sip:before.example;lr>", "Route: <sip:192.0.2.99;lr>")
    sent, _ = forwarded(target("sip:bob@example.org"), request("INVITE", "sip:bob@example.org", *lines))
    assert sent.all("record-route") == [PLAIN, "<sip:before.example;lr>"]


@pytest.mark.parametrize(
    ("method", "recorded"),
    [
        ("INVITE", True),
        ("SUBSCRIBE", True),
        ("REFER", True),
        # "it SHOULD add a Record-Route header field value to every request with a method it does not understand".
        ("DANCE", True),
        ("MESSAGE", False),
        ("OPTIONS", False),
        ("BYE", False),
    ],
)
def test_what_may_open_a_dialog_is_recorded(method: str, recorded: bool) -> None:
    sent, _ = forwarded(target(phone(1)), request(method))
    assert ("record-route" in sent.names) == recorded


def test_nothing_is_recorded_when_the_plan_says_so() -> None:
    sent, _ = forwarded(target(phone(1)), record_route=False)
    assert "record-route" not in sent.names
    assert "." not in sent.via.branch


@pytest.mark.parametrize(
    ("listeners", "flow", "uri", "routes"),
    [
        # RFC 5658 5: ours on the side of the callee on top, then the one on the side of the caller.
        ((), ALICE, "sip:bob@192.0.2.21;transport=tcp", [PLAIN_TCP, PLAIN]),
        ((UDP, V6), ALICE, "sip:bob@[2001:db8::9]", [f"<sip:{TOKEN}@[2001:db8::1]:5060;lr>", PLAIN]),
        ((), PROXY_TCP, "sip:bob@192.0.2.21;transport=tcp", [PLAIN_TCP]),
        ((UDP, TLS), ALICE, "sip:bob@192.0.2.21;transport=tls", [PLAIN_TLS, PLAIN]),
    ],
)
def test_two_record_routes_where_the_sides_differ(
    listeners: tuple[Listener, ...], flow: Flow, uri: str, routes: list[str]
) -> None:
    via = f"Via: SIP/2.0/{flow.transport} 192.0.2.50:5060;branch=z9hG4bKa, SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKb"
    sent, _ = forwarded(target(uri), request(via=via), flow, listeners)
    assert sent.all("record-route") == routes


def test_a_sips_request_is_recorded_with_sips() -> None:
    """"If the Request-URI contains a SIPS URI …, the URI placed into the Record-Route header field MUST be a SIPS URI";
    RFC 5658 6.2: "Proxies … MUST NOT use a transport=tls parameter" there."""
    flow = Flow("TLS", TLS.id, "192.0.2.50", 50000, 4)
    via = "Via: SIP/2.0/TLS 192.0.2.50:5061;branch=z9hG4bKa, SIP/2.0/TLS 192.0.2.10;branch=z9hG4bKb"
    data = request("INVITE", "sips:bob@example.org", via=via)
    sent, way = forwarded(target("sips:bob@192.0.2.21"), data, flow, (UDP, TLS, WSS))
    assert sent.all("record-route") == [f"<sips:{TOKEN}@192.0.2.1:5061;lr>"]
    assert (way.transport, way.port) == ("TLS", 5061)
    browser = Flow("WSS", WSS.id, "192.0.2.60", 50000, 5)
    sent, way = forwarded(target("sips:bob@x.invalid;transport=ws", browser), data, flow, (UDP, TLS, WSS))
    assert sent.all("record-route") == [
        f"<sips:{token_of(browser)}@192.0.2.1:443;transport=ws;lr>",
        f"<sips:{TOKEN}@192.0.2.1:5061;lr>",
    ]
    # It is found again when it comes back.
    back = parse(request("BYE", "sips:bob@x.invalid", f"Route: {sent.all('record-route')[0]}"))
    assert isinstance(back, Request)
    found = preprocess(back, Element(UDP, TLS, WSS).itself, SECRET, ALICE).flow
    assert found is not None and found.key() == browser.key()


@pytest.mark.parametrize(
    ("flow", "where", "tokens"),
    [
        # The callee is reached over its flow, the caller where its Contact says.
        (ALICE, target(phone(1), OUT), [("tcp", OUT), ("udp", None)]),
        # The caller has a connection of its own.
        (BY_TCP, target(phone(1)), [("udp", None), ("tcp", BY_TCP)]),
        (BEHIND_NAT, target(phone(1)), [("udp", None), ("udp", BEHIND_NAT)]),
        (BEHIND_NAT, target(phone(1), OUT), [("tcp", OUT), ("udp", BEHIND_NAT)]),
        # Two users of one connection.
        (BY_TCP, target(phone(1), BY_TCP), [("tcp", BY_TCP), ("tcp", BY_TCP)]),
    ],
)
def test_a_record_route_names_the_flow_to_one_who_has_no_other_way(
    flow: Flow, where: Target, tokens: list[tuple[str, Flow | None]]
) -> None:
    """RFC 5626 5.3: "having the edge proxy add a Record-Route header with a flow token is one way to ensure that
    mid-dialog requests are routed over the correct flow"."""
    sent, way = forwarded(where, flow=flow)
    assert way is (where.flow or way)
    found: list[tuple[str, Flow | None]] = []
    for address in sent.addresses("record-route"):
        named = decode_flow_token(SECRET, address.uri.user[len(TOKEN) :])
        found.append(((address.uri.transport or "UDP").lower(), named))
    expected = [(name, named and named.key()) for name, named in tokens]
    assert [(name, named and named.key()) for name, named in found] == expected


CONTACT = "<sip:alice@{}>"


@pytest.mark.parametrize(
    ("flow", "contact", "extra", "needed"),
    [
        (ALICE, "192.0.2.10:5060", (), False),
        (ALICE, "192.0.2.10", (), False),
        (BEHIND_NAT, "10.0.0.7:5060", (), True),
        (BEHIND_NAT, "203.0.113.7:41234", (), False),
        # A name leads wherever its owner wants it to.
        (BEHIND_NAT, "alice.example.net", (), False),
        (BY_TCP, "192.0.2.10:5060", (), True),
        # Not our neighbour: there is a proxy in between.
        (BY_TCP, "192.0.2.10:5060", ("Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKb",), False),
        (BEHIND_NAT, "10.0.0.7:5060", ("Record-Route: <sip:10.0.0.1;lr>",), False),
    ],
)
def test_who_can_be_reached_only_over_its_flow(flow: Flow, contact: str, extra: tuple[str, ...], needed: bool) -> None:
    message = parse(request("INVITE", "sip:bob@example.org", *extra, contact=CONTACT.format(contact)))
    assert isinstance(message, Request)
    assert needs_own_flow(message, flow) is needed


@pytest.mark.parametrize("contact", ["", "<nonsense>", "<tel:+1555>", "*"])
def test_a_contact_that_leads_nowhere_needs_nothing(contact: str) -> None:
    message = parse(request(contact=contact))
    assert isinstance(message, Request)
    assert needs_own_flow(message, BEHIND_NAT) is False


# Route, Request-URI and next hop -------------------------------------------------------------------------------------


def test_the_path_of_a_binding_goes_ahead_of_the_route() -> None:
    """16.6 step 6: the set "MUST be pushed into the Route header field of the copy ahead of any existing values"."""
    where = target("sip:bob@10.0.0.7", None, ("<sip:192.0.2.30;lr>", "<sip:192.0.2.31;lr>"))
    sent, way = forwarded(where, request("INVITE", "sip:bob@example.org", "Route: <sip:192.0.2.99;lr>"))
    assert sent.all("route") == ["<sip:192.0.2.30;lr>", "<sip:192.0.2.31;lr>", "<sip:192.0.2.99;lr>"]
    assert (sent.uri, way.host) == ("sip:bob@10.0.0.7", "192.0.2.30")


@pytest.mark.parametrize(
    ("lines", "host"),
    [
        (("Route: <sip:192.0.2.99:5070;lr>, <sip:192.0.2.98;lr>",), "192.0.2.99"),
        (('Route: "a, b" <sip:x,y@192.0.2.99;lr>',), "192.0.2.99"),
        (("Route:\r\n <sip:192.0.2.99;lr>,\r\n <sip:192.0.2.98;lr>",), "192.0.2.99"),
        ((), "192.0.2.21"),
    ],
)
def test_the_first_route_is_the_next_hop(lines: tuple[str, ...], host: str) -> None:
    sent, way = forwarded(target(phone(1)), request("INVITE", "sip:bob@example.org", *lines))
    assert (sent.uri, way.host) == (phone(1), host)


def test_a_strict_router_gets_what_it_expects() -> None:
    """Step 6: "place the Request-URI into the Route header field as the last value" and "the first Route header field
    value into the Request-URI"; step 7: the next hop is then that of the Request-URI."""
    data = request("INVITE", "sip:bob@example.org", "Route: <sip:192.0.2.99:5070>, <sip:192.0.2.98;lr>")
    element = Element()
    element.receive(data)
    element.forward([target(phone(1))])
    assert (element.flow_of("INVITE").host, element.flow_of("INVITE").port) == ("192.0.2.99", 5070)
    [sent] = element.requests()
    assert sent.uri == "sip:192.0.2.99:5070"
    assert sent.split("route") == ["<sip:192.0.2.98;lr>", f"<{phone(1)}>"]
    # 9.1: "The Request-URI … in the CANCEL request MUST be identical to those in the request being cancelled", and "If
    # the request being cancelled contains a Route header field, the CANCEL request MUST include that".
    element.answer(sent, 180)
    element.receive(request("CANCEL"))
    [cancel] = element.requests()
    assert (cancel.uri, cancel.split("route")) == (sent.uri, sent.split("route"))


def test_a_sips_request_never_leaves_in_the_open() -> None:
    data = request("INVITE", "sips:bob@example.org", "Route: <sip:192.0.2.99;lr>")
    _, way = forwarded(target("sips:bob@example.net"), data, ALICE, (UDP, TCP, TLS))
    assert (way.transport, way.host) == ("TLS", "192.0.2.99")
    element = Element()
    element.receive(request("INVITE", "sips:bob@example.org"))
    element.forward([target("sips:bob@192.0.2.21;transport=udp")])
    # As if a 503 had come, the only one.
    assert (element.requests(), element.statuses()) == ([], [500])


@pytest.mark.parametrize(
    ("uri", "sent"),
    [
        ("sip:bob@192.0.2.21;transport=tcp;user=phone", "sip:bob@192.0.2.21;transport=tcp;user=phone"),
        ("sip:bob@192.0.2.21?Subject=x", "sip:bob@192.0.2.21"),
        ("sip:bob@192.0.2.21;method=INVITE;lr", "sip:bob@192.0.2.21;lr"),
        ("sip:a?b@192.0.2.21;methodical=yes", "sip:a?b@192.0.2.21;methodical=yes"),
    ],
)
def test_what_a_request_uri_may_not_hold_is_left_out(uri: str, sent: str) -> None:
    """16.6 step 2: "If the URI contains any parameters not allowed in a Request-URI, they MUST be removed."""
    assert request_uri(uri) == sent
    assert forwarded(target(uri))[0].uri == sent


# Via -----------------------------------------------------------------------------------------------------------------


def test_the_branch_is_new_and_ends_in_the_loop_mark() -> None:
    """16.6 step 8: "the branch parameter will be different for different instances of a spiraled or looped request"."""
    element = Element()
    first, second = element.fork(2)
    received = parse(request())
    assert isinstance(received, Request)
    branches = [first.via.branch, second.via.branch]
    assert branches[0] != branches[1]
    assert all(branch.startswith("z9hG4bKhere") and branch.endswith(loop_mark(received)) for branch in branches)


@pytest.mark.parametrize(
    ("uri", "sent_by", "rport"),
    [
        ("sip:bob@192.0.2.21", "SIP/2.0/UDP 192.0.2.1:5060", 0),
        ("sip:bob@192.0.2.21;transport=tcp", "SIP/2.0/TCP 192.0.2.1:5060", -1),
    ],
)
def test_the_via_is_that_of_the_side_on_which_it_leaves(uri: str, sent_by: str, rport: int) -> None:
    """RFC 3581 3: a client "MUST include the rport parameter in the top Via header field value", with no value."""
    sent, _ = forwarded(target(uri))
    assert (sent.header("via") or "").startswith(f"{sent_by};branch={sent.via.branch}")
    assert sent.via.rport == rport


@pytest.mark.parametrize(("length", "transport"), [(0, "UDP"), (2000, "TCP")])
def test_what_is_too_long_for_a_datagram_goes_by_a_stream(length: int, transport: str) -> None:
    """18.1.1: "If this causes a change in the transport protocol from the one indicated in the top Via, the value in
    the top Via MUST be changed."""
    sent, way = forwarded(target(phone(1)), request(body=b"x" * length))
    assert (way.transport, sent.via.transport) == (transport, transport)
    assert way.local == f"{transport.lower()}:192.0.2.1:5060"


def test_the_limit_is_1300_octets() -> None:
    short = len(forwarded(target(phone(1)))[0].encode())
    for size, transport in ((1300, "UDP"), (1301, "TCP")):
        # The digits of Content-Length count as well.
        _, way = forwarded(target(phone(1)), request(body=b"x" * (size - short - 2)))
        assert way.transport == transport


def test_what_is_too_long_goes_by_udp_where_nothing_else_is_spoken_or_where_the_flow_is_given() -> None:
    _, way = forwarded(target(phone(1)), request(body=b"x" * 2000), ALICE, (UDP,))
    assert way.transport == "UDP"
    _, way = forwarded(target(phone(1), BEHIND_NAT), request(body=b"x" * 2000))
    assert way is BEHIND_NAT
