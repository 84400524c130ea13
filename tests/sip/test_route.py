"""What a proxy checks, strips and rewrites before it chooses targets (RFC 3261 16.3, 16.4 and 16.6 steps 6 and 7)."""

import pytest

from ringback.errors import ParseError
from ringback.sip.message import Request
from ringback.sip.outbound import encode_flow_token
from ringback.sip.parser import parse
from ringback.sip.route import (
    Route,
    Self,
    check_max_forwards,
    loop_mark,
    make_loose,
    next_hop,
    plain_token,
    preprocess,
    refusal,
    stateless_branch,
)
from ringback.sip.transport import Flow, Listener
from ringback.sip.uri import parse_uri
from tests.sip.element import ALICE, BOB, CALL_ID, SECRET, TCP, TLS, UDP, request

V6 = Listener("udp:[2001:db8::1]:5070", "UDP", "2001:db8::1", 5070)
HERE = Self(["example.org", "Example.NET"], [UDP, TCP, TLS, V6])
TOKEN = plain_token(SECRET, CALL_ID)
OURS = f"<sip:{TOKEN}@192.0.2.1:5060;lr>"
OURS_TCP = f"<sip:{TOKEN}@192.0.2.1:5060;transport=tcp;lr>"
REMOTE = "sip:bob@192.0.2.77"
CALLEE = Flow("UDP", UDP.id, "203.0.113.9", 40000)


def named(flow: Flow, call_id: str = CALL_ID, listener: Listener = UDP) -> str:
    """A Route value of ours that names a flow."""
    token = plain_token(SECRET, call_id, encode_flow_token(SECRET, flow))
    return f"<sip:{token}@{listener.uri_tail}>"


def received(uri: str = REMOTE, *routes: str, method: str = "BYE", extra: tuple[str, ...] = ()) -> Request:
    message = parse(request(method, uri, *[f"Route: {route}" for route in routes], *extra))
    assert isinstance(message, Request)
    return message


def processed(message: Request, flow: Flow = ALICE) -> Route:
    return preprocess(message, HERE, SECRET, flow)


# what is ours --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "owned", "served"),
    [
        ("sip:example.org", True, True),
        ("sip:bob@EXAMPLE.org", True, True),
        ("sip:bob@example.net", True, True),
        ("sip:bob@example.org:5060", True, True),
        ("sips:bob@example.org:5061", True, True),
        ("sip:bob@example.org:5070", True, True),
        # A domain is served at every port, but this is no place of ours.
        ("sip:bob@example.org:6000", False, True),
        ("sip:bob@sub.example.org", False, False),
        ("sip:192.0.2.1", True, True),
        ("sip:192.0.2.1:5060", True, True),
        ("sips:192.0.2.1:5061", True, True),
        ("sip:192.0.2.1:5062", False, False),
        ("sip:192.0.2.2", False, False),
        ("sip:[2001:db8::1]:5070", True, True),
        # The port of that listener is no default.
        ("sip:[2001:db8::1]", False, False),
        # 16.5: maddr is "the only target".
        ("sip:bob@example.org;maddr=192.0.2.1", True, True),
        ("sip:bob@example.org;maddr=192.0.2.9", False, False),
        ("sip:bob@elsewhere.example;maddr=192.0.2.1", True, False),
    ],
)
def test_what_leads_here(uri: str, owned: bool, served: bool) -> None:
    assert (HERE.owns(parse_uri(uri)), HERE.serves(parse_uri(uri))) == (owned, served)


# route pre-processing (16.4) -----------------------------------------------------------------------------------------


def test_a_request_without_route_is_left_alone() -> None:
    message = received()
    before = message.encode()
    route = processed(message)
    assert (message.encode(), route.next, route.flow, route.in_dialog) == (before, "", None, False)


@pytest.mark.parametrize(
    ("routes", "left", "in_dialog"),
    [
        ([OURS], [], True),
        # RFC 5658 5: "a proxy MAY remove two Route headers instead of one".
        ([OURS_TCP, OURS], [], True),
        ([f"{OURS}, {OURS_TCP}"], [], True),
        ([f"{OURS} , <sip:next.example;lr>"], ["<sip:next.example;lr>"], True),
        ([OURS, "<sip:next.example;lr>", OURS], ["<sip:next.example;lr>", OURS], True),
        (["<sip:next.example;lr>"], ["<sip:next.example;lr>"], False),
        # Ours, but of no dialog that went through here: the outbound proxy that a telephone is configured with.
        (["<sip:192.0.2.1;lr>"], [], False),
        (["<sip:example.org;lr>"], [], False),
        (['"Us" <sip:192.0.2.1:5060;lr>;x=1'], [], False),
        ([f"<sips:{TOKEN}@192.0.2.1:5061;lr>"], [], True),
        ([f"<sip:{TOKEN[:-1]}@192.0.2.1:5060;lr>"], [], False),
        ([f"<sip:{TOKEN}0@192.0.2.1:5060;lr>"], [], False),
        ([f"<sip:{plain_token(SECRET, 'another call')}@192.0.2.1:5060;lr>"], [], False),
        ([f"<sip:{plain_token(bytes(32), CALL_ID)}@192.0.2.1:5060;lr>"], [], False),
        # Nothing that a stranger writes into a token is more than no token.
        (["<sip:p\u00e9@192.0.2.1:5060;lr>"], [], False),
        (["<sip:p@192.0.2.1:5060;lr>"], [], False),
        ([f"<sip:{encode_flow_token(SECRET, CALLEE)}@192.0.2.1:5060;lr>"], [], False),
        ([named(CALLEE, "another call")], [], False),
    ],
)
def test_what_is_ours_is_taken_off_the_route(routes: list[str], left: list[str], in_dialog: bool) -> None:
    message = received(REMOTE, *routes)
    route = processed(message)
    assert message.split("route") == left
    assert (route.next, route.in_dialog, route.flow) == (left[0] if left else "", in_dialog, None)
    assert message.uri == REMOTE


@pytest.mark.parametrize("value", ["", "<sip:next.example", "nonsense", "<sip:a.example>, <"])
def test_a_route_that_cannot_be_read(value: str) -> None:
    with pytest.raises(ParseError) as raised:
        processed(received(REMOTE, value))
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("routes", "flow"),
    [
        ([named(CALLEE)], CALLEE),
        # From the one that the token names, the request goes out, to where its Request-URI leads.
        ([named(ALICE)], None),
        ([named(ALICE), OURS], None),
        ([named(ALICE), named(CALLEE)], CALLEE),
        ([OURS, named(CALLEE)], CALLEE),
        # A caller whose address has changed: the side on which the request leaves is the last one.
        ([named(Flow("UDP", UDP.id, "192.0.2.10", 5999)), OURS], None),
        # Two users of one flow: it leaves where it came from.
        ([named(ALICE), named(ALICE)], ALICE),
    ],
)
def test_a_token_may_name_the_flow_on_which_a_request_leaves(routes: list[str], flow: Flow | None) -> None:
    """RFC 5626 5.3: "compares the flow in the flow token with the source of the request to determine if this is an
    'incoming' or 'outgoing' request"."""
    route = processed(received(REMOTE, *routes))
    assert route.in_dialog
    assert (route.flow and route.flow.key()) == (flow and flow.key())


def test_what_a_strict_router_did_is_undone() -> None:
    """16.12.1.2: "BYE sip:p2.example.com;lr" with "Route: <sip:p1.example.com;lr>, <sip:caller@u1.example.com>"."""
    message = received(OURS[1:-1], "<sip:p1.example.com;lr>", "<sip:caller@u1.example.com>")
    route = processed(message)
    assert message.uri == "sip:caller@u1.example.com"
    assert message.target.host == "u1.example.com"
    assert message.split("route") == ["<sip:p1.example.com;lr>"]
    assert (route.next, route.in_dialog) == ("<sip:p1.example.com;lr>", True)


def test_the_second_of_two_of_ours_is_undone_with_the_first() -> None:
    message = received(OURS_TCP[1:-1], f"{named(CALLEE)}, <{REMOTE}>")
    route = processed(message)
    assert (message.uri, "route" in message.names, route.next) == (REMOTE, False, "")
    assert route.flow is not None and route.flow.key() == CALLEE.key()


@pytest.mark.parametrize(
    ("uri", "routes"),
    [
        # No value that was placed by us, though it looks alike.
        ("sip:bob@example.org;lr", ["<sip:192.0.2.1;lr>"]),
        (f"sip:{plain_token(SECRET, 'another call')}@192.0.2.1:5060;lr", ["<sip:192.0.2.1;lr>"]),
        (f"sip:{TOKEN}@192.0.2.9:5060;lr", ["<sip:192.0.2.1;lr>"]),
        (OURS[1:-1].replace(";lr", ";lrx"), ["<sip:192.0.2.1;lr>"]),
        # Nothing to put in its place.
        (OURS[1:-1], []),
    ],
)
def test_only_what_was_placed_by_us_is_undone(uri: str, routes: list[str]) -> None:
    message = received(uri, *routes)
    processed(message)
    assert (message.uri, "route" in message.names) == (uri, False)


@pytest.mark.parametrize(
    ("uri", "left", "flow"),
    [
        ("sip:bob@example.org;maddr=192.0.2.1", "sip:bob@example.org", ALICE),
        ("sip:bob@example.org:5060;maddr=192.0.2.1;user=phone", "sip:bob@example.org:5060;user=phone", ALICE),
        ("sip:bob@other.example;maddr=192.0.2.1;transport=udp", "sip:bob@other.example", ALICE),
        ("sips:bob@example.org;maddr=192.0.2.1", "sips:bob@example.org", Flow("TLS", TLS.id, "192.0.2.10", 9, 1)),
        # "any non-default port or transport parameter" goes as well.
        ("sip:bob@v6.example:5070;maddr=[2001:db8::1]", "sip:bob@v6.example", Flow("UDP", V6.id, "2001:db8::9", 5060)),
        # "A request may arrive with a maddr matching the proxy, but on a port or transport different from that
        # indicated in the URI. Such a request needs to be forwarded to the proxy using the indicated port and
        # transport."
        ("sip:bob@example.org;maddr=192.0.2.1;transport=tcp", "", ALICE),
        ("sip:bob@example.org:5061;maddr=192.0.2.1", "", ALICE),
        ("sip:bob@example.org;maddr=192.0.2.9", "", ALICE),
    ],
)
def test_a_maddr_that_means_us_is_taken_off(uri: str, left: str, flow: Flow) -> None:
    """16.4: with a maddr "the proxy is responsible for, and the request was received using the port and transport
    indicated (explicitly or by default) in the Request-URI, the proxy MUST strip the maddr"."""
    message = received("sip:x@y.example")
    message.retarget(uri)
    processed(message, flow)
    assert message.uri == (left or uri)


# validation (16.3) ---------------------------------------------------------------------------------------------------

PREFIX = "z9hG4bKhere"


def refused(message: Request, mark: str = "") -> tuple[int, list[tuple[str, str]]] | None:
    found = refusal(message, PREFIX, mark)
    return None if found is None else found[:2]


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        (BOB, None),
        ("sips:bob@example.org", None),
        ("SIP:bob@example.org", None),
        ("tel:+15550100", None),
        ("mailto:bob@example.org", 416),
        ("soap.beep://192.0.2.103:3002", 416),
        ("sip:bob@example.org?Subject=x", 400),
    ],
)
def test_the_scheme_of_the_request_uri(uri: str, status: int | None) -> None:
    assert refused(received(uri)) == (None if status is None else (status, []))


@pytest.mark.parametrize(("forwards", "status"), [(None, None), (70, None), (1, None), (0, 483)])
def test_no_hop_left_is_483(forwards: int | None, status: int | None) -> None:
    message = parse(request(forwards=forwards))
    assert isinstance(message, Request)
    assert refused(message) == (None if status is None else (status, []))


@pytest.mark.parametrize(("text", "left"), [(None, 70), ("70", 69), ("007", 6), ("0", -1), ("255", 254)])
def test_the_hops_to_forward_with(text: str | None, left: int) -> None:
    assert check_max_forwards(text) == left


@pytest.mark.parametrize("text", ["", "256", "-1", "7 0", "\u0663", "1e1"])
def test_hops_that_are_no_number(text: str) -> None:
    with pytest.raises(ParseError):
        check_max_forwards(text)


def test_what_a_proxy_is_required_to_know_is_named_in_the_420() -> None:
    """16.3 step 5: "The response MUST include an Unsupported (Section 20.40) header field listing those option-tags the
    element did not understand."""
    message = received(extra=("Proxy-Require: foo, bar", "Proxy-Require: baz"))
    assert refused(message) == (420, [("Unsupported", "foo, bar, baz")])
    assert refused(received(extra=("Proxy-Require:", "Require: foo"))) is None


def test_the_order_of_the_checks() -> None:
    """"5. Proxy-Require" comes after "2. URI scheme", "3. Max-Forwards" and "4. (Optional) Loop Detection"."""
    message = parse(request("INVITE", "im:bob@example.org", "Proxy-Require: foo", forwards=0))
    assert isinstance(message, Request)
    statuses = []
    for uri in ("im:bob@example.org", BOB):
        message.retarget(uri)
        statuses.append(refused(message))
    message.replace("Max-Forwards", "1")
    mark = loop_mark(message)
    message.prepend("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch={PREFIX}1{mark}")
    statuses.append(refused(message, mark))
    assert [found and found[0] for found in statuses] == [416, 483, 482]
    found = refused(message, mark + "x")
    assert found is not None and found[0] == 420


# loops (RFC 5393 4.2) ------------------------------------------------------------------------------------------------


def test_the_mark_varies_with_what_decides_where_a_request_goes_and_with_nothing_else() -> None:
    """RFC 5393 4.2.1: it "MUST depend at least on the received Request-URI and any Route header field values used" and
    "MUST NOT vary with the request method"."""
    mark = loop_mark(received(BOB, method="INVITE"))
    assert mark.startswith(".") and mark[1:].isdigit()
    assert loop_mark(received(BOB, method="CANCEL")) == mark
    assert loop_mark(received(BOB, extra=("Subject: other",))) == mark
    assert loop_mark(received("sip:carol@example.org")) != mark
    assert loop_mark(received(BOB, "<sip:next.example;lr>")) != mark
    # 4.2.4: "at least one field in the input to the hash that varies between different transactions".
    other = received(BOB)
    other.replace("Call-ID", "another")
    assert loop_mark(other) != mark


@pytest.mark.parametrize(
    ("vias", "looped"),
    [
        (["SIP/2.0/UDP 192.0.2.1:5060;branch={prefix}7{mark};rport"], True),
        (["SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.1;rport;branch={prefix}7{mark} ;x=1"], True),
        # "If the values differ, the request is spiraling".
        (["SIP/2.0/UDP 192.0.2.1:5060;branch={prefix}7.00000000"], False),
        # "This second part will not be present if the message was not forked when that Via … was added."
        (["SIP/2.0/UDP 192.0.2.1:5060;branch={prefix}7"], False),
        # Another's branch with our mark by chance, and one without any branch.
        (["SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKthere{mark}", "SIP/2.0/UDP b"], False),
    ],
)
def test_a_loop_is_told_from_a_spiral(vias: list[str], looped: bool) -> None:
    message = received(BOB)
    mark = loop_mark(message)
    for via in vias:
        message.append("Via", via.format(prefix=PREFIX, mark=mark))
    assert refused(message, mark) == ((482, []) if looped else None)


def test_a_first_request_of_our_own_is_no_loop() -> None:
    message = received(BOB)
    message.replace("Via", f"SIP/2.0/UDP 192.0.2.1:5060;branch={PREFIX}1")
    assert refused(message, "") is None


# strict routers, next hops, stateless branches -----------------------------------------------------------------------


def test_towards_a_strict_router_the_request_is_rewritten() -> None:
    """16.12.1.2: P4 "reformats the request to be: BYE sip:p3.middle.com SIP/2.0" with the three others in Route."""
    message = received("sip:caller@u1.example.com", "<sip:p3.middle.com>, <sip:p2.example.com;lr>", "<sip:p1;lr>")
    make_loose(message)
    assert message.uri == "sip:p3.middle.com"
    assert message.all("route") == ["<sip:p2.example.com;lr>, <sip:p1;lr>, <sip:caller@u1.example.com>"]


@pytest.mark.parametrize("routes", [[], ["<sip:p3.middle.com;lr>, <sip:p2>"], ["<sip:p3.middle.com;lr=on>"]])
def test_towards_a_loose_router_it_is_not(routes: list[str]) -> None:
    message = received(REMOTE, *routes)
    before = message.encode()
    make_loose(message)
    assert message.encode() == before


def test_a_strange_route_is_handed_on_as_it_came() -> None:
    message = received(REMOTE, "<sip:strict.example>", "\0 <sip:p1;lr>")
    make_loose(message)
    assert message.all("route") == [f"\0 <sip:p1;lr>, <{REMOTE}>"]


@pytest.mark.parametrize(
    ("target", "route", "hop"),
    [
        (REMOTE, "", REMOTE),
        (REMOTE, "<sip:next.example;lr>", "sip:next.example;lr"),
        (REMOTE, '"a, b" <sip:next.example:5070;transport=tcp;lr>;x', "sip:next.example:5070;transport=tcp;lr"),
        # "Independently of which URI is being used as input …, if the Request-URI specifies a SIPS resource, the proxy
        # MUST follow the procedures of [4] as if the input URI were a SIPS URI."
        ("sips:bob@example.net", "<sip:next.example;lr>", "sips:next.example;lr"),
        ("SIPS:bob@example.net", "<sip:u@next.example:5070;transport=udp;lr>", "sips:u@next.example:5070;lr"),
        ("sips:bob@example.net", "<sips:next.example;lr>", "sips:next.example;lr"),
        (REMOTE, "<sips:next.example;lr>", "sips:next.example;lr"),
        ("tel:+15550100", "<sip:next.example;lr>", "sip:next.example;lr"),
    ],
)
def test_the_next_hop(target: str, route: str, hop: str) -> None:
    assert next_hop(target, route) == hop


def test_the_branch_of_what_is_forwarded_without_state_is_that_of_its_retransmissions() -> None:
    """16.11: "the component of the branch parameter that makes it unique MUST be the same each time a retransmitted
    request is forwarded"; "One of these fields will always vary across two different transactions"."""
    one = stateless_branch(received(REMOTE, method="ACK"))
    assert one.startswith("s") and one.isalnum()
    assert stateless_branch(received(REMOTE, method="ACK", extra=("X: y",))) == one
    # With the magic cookie it is "a hash of the received branch ID", which is the transaction's own (8.1.1.7).
    assert stateless_branch(received("sip:bob@192.0.2.78", method="ACK")) == one
    assert stateless_branch(_read(request("ACK", REMOTE, branch="z9hG4bKcaller2"))) != one


@pytest.mark.parametrize("branch", ["1", "z9hG4bK"])
def test_without_the_magic_cookie_such_a_branch_depends_on_what_tells_transactions_apart(branch: str) -> None:
    """16.11: "the topmost Via, the tag in the To header field, the tag in the From header field, the Call-ID header
    field, the CSeq number (but not method), and the Request-URI"."""
    one = stateless_branch(_read(request("ACK", REMOTE, branch=branch)))
    assert stateless_branch(_read(request("ACK", REMOTE, branch=branch))) == one
    others = [
        request("ACK", REMOTE, branch=f"{branch}2" if branch == "1" else "2"),
        request("ACK", REMOTE, branch=branch, to="<sip:bob@example.org>;tag=b"),
        request("ACK", REMOTE, branch=branch, call_id="call-2"),
        request("ACK", REMOTE, branch=branch, cseq=2),
        request("ACK", "sip:bob@192.0.2.78", branch=branch),
    ]
    assert len({one, *[stateless_branch(_read(other)) for other in others]}) == 6


def _read(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message
