"""Flow tokens, and what an edge proxy writes and reads of them (RFC 5626)."""

import base64
import hashlib

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.sip.message import Request, build_request
from ringback.sip.outbound import (
    decode_flow_token,
    encode_flow_token,
    first_hop_has_outbound,
    is_first_hop,
    is_outgoing,
    path_value,
    path_values,
    record_route_value,
)
from ringback.sip.transport import Flow, Listener
from ringback.sip.uri import parse_uri

SECRET = bytes(range(32))

FLOWS = [
    (Flow("UDP", "udp:192.0.2.10:5060", "203.0.113.7", 41234), "u203.0.113.7~41234~udp!192.0.2.10!5060~0"),
    (Flow("TCP", "tcp:192.0.2.10:5060", "203.0.113.7", 41234, 17), "t203.0.113.7~41234~tcp!192.0.2.10!5060~17"),
    (
        Flow("TLS", "tls:[2001:db8::10]:5061", "2001:db8::7", 50000, 1795000000123, "example.org"),
        "s2001!db8!!7~50000~tls!(2001!db8!!10)!5061~1795000000123~example.org",
    ),
    (Flow("WS", "ws:[::1]:8080", "::1", 1, 2**60), "w!!1~1~ws!(!!1)!8080~1152921504606846976"),
    (Flow("WSS", "", "192.0.2.1", 65535, 3), "x192.0.2.1~65535~~3"),
    (Flow("UDP", "udp:[fe80::1%eth0]:5060", "fe80::2%eth0", 5060), "ufe80!!2*eth0~5060~udp!(fe80!!1*eth0)!5060~0"),
]


def fields(flow: Flow) -> tuple[object, ...]:
    return (flow.transport, flow.local, flow.host, flow.port, flow.connection, flow.name)


@pytest.mark.parametrize(("flow", "body"), FLOWS)
def test_a_token_is_a_mac_and_the_flow_in_legible_form(flow: Flow, body: str) -> None:
    mac = hashlib.blake2b(body.encode(), digest_size=12, key=SECRET, person=b"ringback flow").digest()
    assert encode_flow_token(SECRET, flow) == "f" + base64.urlsafe_b64encode(mac).decode() + body


@pytest.mark.parametrize(("flow", "body"), FLOWS)
def test_a_token_gives_its_flow_back(flow: Flow, body: str) -> None:
    named = decode_flow_token(SECRET, encode_flow_token(SECRET, flow))
    assert named is not None
    assert fields(named) == fields(flow)


@pytest.mark.parametrize(("flow", "body"), FLOWS)
def test_a_token_is_the_user_part_of_a_uri_as_it_is(flow: Flow, body: str) -> None:
    token = encode_flow_token(SECRET, flow)
    assert parse_uri(f"sip:{token}@192.0.2.10;lr").user == token
    # Of the marks that RFC 3261 25.1 reserves there is none, so nobody escapes or unescapes any of it.
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")


def test_the_same_flow_has_the_same_token() -> None:
    first, second = Flow("UDP", "a", "192.0.2.1", 5060), Flow("UDP", "a", "192.0.2.1", 5060)
    assert encode_flow_token(SECRET, first) == encode_flow_token(SECRET, second)


ADDRESSES = st.ip_addresses().map(str)
PORTS = st.integers(1, 65535)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    transport = draw(st.sampled_from(["UDP", "TCP", "TLS", "WS", "WSS"]))
    host = draw(ADDRESSES)
    shown = f"[{host}]" if ":" in host else host
    local = draw(st.sampled_from(["", f"{transport.lower()}:{shown}:5060"]))
    connection = 0 if transport == "UDP" else draw(st.integers(0, 2**62))
    name = draw(st.sampled_from(["", "example.org", "a-b.example"])) if transport == "TLS" else ""
    return Flow(transport, local, draw(ADDRESSES), draw(PORTS), connection, name)


@given(flows())
def test_every_flow_comes_back(flow: Flow) -> None:
    named = decode_flow_token(SECRET, encode_flow_token(SECRET, flow))
    assert named is not None
    assert fields(named) == fields(flow)


@given(flows(), flows())
def test_two_flows_have_two_tokens(one: Flow, other: Flow) -> None:
    assume(fields(one) != fields(other))
    assert encode_flow_token(SECRET, one) != encode_flow_token(SECRET, other)


@given(flows(), st.data())
def test_a_token_that_was_changed_names_nothing(flow: Flow, data: st.DataObject) -> None:
    token = encode_flow_token(SECRET, flow)
    position = data.draw(st.integers(0, len(token) - 1))
    character = data.draw(st.characters(max_codepoint=0x2FF))
    assume(character != token[position])
    assert decode_flow_token(SECRET, token[:position] + character + token[position + 1 :]) is None


@given(flows(), st.data())
def test_a_token_that_was_cut_or_lengthened_names_nothing(flow: Flow, data: st.DataObject) -> None:
    token = encode_flow_token(SECRET, flow)
    assert decode_flow_token(SECRET, token[: data.draw(st.integers(0, len(token) - 1))]) is None
    assert decode_flow_token(SECRET, token + data.draw(st.text(min_size=1, max_size=5))) is None


@given(st.text(max_size=450))
def test_no_text_is_taken_for_a_token_and_none_raises(text: str) -> None:
    assert decode_flow_token(SECRET, text) is None


def test_a_token_of_another_secret_names_nothing() -> None:
    token = encode_flow_token(SECRET, FLOWS[0][0])
    assert decode_flow_token(bytes(32), token) is None


def test_a_mac_for_another_purpose_is_none_for_a_flow() -> None:
    body = FLOWS[0][1].encode()
    mac = base64.urlsafe_b64encode(hashlib.blake2b(body, digest_size=12, key=SECRET).digest())
    assert decode_flow_token(SECRET, "f" + mac.decode() + body.decode()) is None


@pytest.mark.parametrize(
    "flow",
    [
        Flow("SCTP", "", "192.0.2.1", 5060),
        Flow("UDP", "udp~1", "192.0.2.1", 5060),
        Flow("UDP", "udp 1", "192.0.2.1", 5060),
        Flow("UDP", "udp(1)", "192.0.2.1", 5060),
        Flow("UDP", "", "192.0.2.1*", 5060),
        Flow("UDP", "", "bücher.example", 5060),
        Flow("TLS", "", "192.0.2.1", 5061, 1, "exa@mple.org"),
        Flow("TLS", "", "192.0.2.1", 5061, 1, "*.example.org"),
        Flow("UDP", "u" * 400, "192.0.2.1", 5060),
    ],
)
def test_a_flow_that_no_uri_can_hold_has_no_token(flow: Flow) -> None:
    with pytest.raises(LocalError):
        encode_flow_token(SECRET, flow)


def test_what_the_first_edge_proxy_writes() -> None:
    udp, tls = Listener("udp:x", "UDP", "192.0.2.10", 5060), Listener("tls:x", "TLS", "edge.example.org", 5061)
    assert path_value(udp, "fTOKEN") == "<sip:fTOKEN@192.0.2.10:5060;lr;ob>"
    assert path_value(tls, "fTOKEN") == "<sip:fTOKEN@edge.example.org:5061;transport=tls;lr;ob>"
    assert record_route_value(tls, "fTOKEN") == "<sip:fTOKEN@edge.example.org:5061;transport=tls;lr>"


@pytest.mark.parametrize(
    ("source", "outgoing"),
    [
        (Flow("UDP", "other", "203.0.113.7", 41234), True),
        (Flow("UDP", "", "203.0.113.7", 41235), False),
        (Flow("UDP", "", "203.0.113.8", 41234), False),
        (Flow("TCP", "", "203.0.113.7", 41234), False),
    ],
)
def test_a_request_from_the_named_flow_goes_out(source: Flow, outgoing: bool) -> None:
    assert is_outgoing(FLOWS[0][0], source) is outgoing


def register(headers: list[tuple[str, str]]) -> Request:
    return build_request("REGISTER", "sip:example.org", headers)


VIA = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"


@pytest.mark.parametrize(
    ("headers", "first"),
    [
        ([("Via", VIA)], True),
        ([("Via", VIA), ("Via", VIA)], False),
        ([("Via", f"{VIA}, {VIA}")], False),
    ],
)
def test_the_first_hop_finds_one_via(headers: list[tuple[str, str]], first: bool) -> None:
    assert is_first_hop(register(headers)) is first


@pytest.mark.parametrize(
    ("path", "has"),
    [
        ([], False),
        (["<sip:fT@ep1.example.com;lr;ob>"], True),
        (["<sip:fT@ep1.example.com;lr>"], False),
        (["<sip:core.example.com;lr>", "<sip:fT@ep1.example.com;lr;ob>"], True),
        # The first hop does not support it, a later one cannot make up for that.
        (["<sip:core.example.com;lr;ob>", "<sip:ep1.example.com;lr>"], False),
        (["<sip:ep1.example.com;lr>;ob"], False),
    ],
)
def test_the_first_hop_says_ob_in_the_lowest_path(path: list[str], has: bool) -> None:
    assert first_hop_has_outbound(path) is has


def test_path_values_keep_their_order_over_lines_and_commas() -> None:
    request = register([("Path", "<sip:a.example;lr>, <sip:b.example;lr>;x=1"), ("Path", '"C, c" <sips:c.example>')])
    assert path_values(request) == ["<sip:a.example;lr>", "<sip:b.example;lr>;x=1", '"C, c" <sips:c.example>']


def test_no_path_is_an_empty_list() -> None:
    assert path_values(register([])) == []


@pytest.mark.parametrize(
    "value", ["sip:a.example;lr", "<tel:+1>", "<http://a.example>", "", "<sip:a.example", "<sip:>"]
)
def test_a_path_that_is_no_list_of_sip_uris_is_malformed(value: str) -> None:
    with pytest.raises(ParseError):
        path_values(register([("Path", value)]))
