"""Flows, listeners, and the rules of the transport layer that need no socket (RFC 3261 section 18)."""

import pytest

from ringback.sip.transport import (
    DEFAULT_PORTS,
    LARGEST_DATAGRAM_REQUEST,
    SECURE,
    STREAMS,
    Flow,
    Listener,
    bracketed,
    is_address,
    is_inward,
)


@pytest.mark.parametrize(
    ("transport", "stream", "secure", "port"),
    [
        # 18.1.1: "It is 5060 for UDP, TCP and SCTP, 5061 for TLS." WebSocket has the ports of HTTP (RFC 7118).
        ("UDP", False, False, 5060),
        ("TCP", True, False, 5060),
        ("TLS", True, True, 5061),
        ("WS", True, False, 80),
        ("WSS", True, True, 443),
    ],
)
def test_what_each_transport_is(transport: str, stream: bool, secure: bool, port: int) -> None:
    assert (transport in STREAMS, transport in SECURE, DEFAULT_PORTS[transport]) == (stream, secure, port)


def test_no_transport_is_left_out() -> None:
    assert set(DEFAULT_PORTS) == STREAMS | {"UDP"}
    assert SECURE < STREAMS


def test_the_largest_request_in_a_datagram() -> None:
    """18.1.1: "if it is larger than 1300 bytes and the path MTU is unknown"."""
    assert LARGEST_DATAGRAM_REQUEST == 1300


class TestFlow:
    def test_what_it_holds(self) -> None:
        flow = Flow("TLS", "tls:192.0.2.1:5061", "192.0.2.4", 49152, 7, "example.org")
        assert (flow.transport, flow.local, flow.host, flow.port) == ("TLS", "tls:192.0.2.1:5061", "192.0.2.4", 49152)
        assert (flow.connection, flow.name) == (7, "example.org")
        datagrams = Flow("UDP", "", "192.0.2.4", 5060)
        assert (datagrams.connection, datagrams.name) == (0, "")

    def test_the_socket_that_it_leaves_by_does_not_tell_flows_apart(self) -> None:
        assert Flow("UDP", "udp:192.0.2.1:5060", "h", 1).key() == Flow("UDP", "udp:10.0.0.1:5060", "h", 1).key()

    @pytest.mark.parametrize(
        "other",
        [
            Flow("UDP", "l", "192.0.2.4", 5060, 7, "example.org"),
            Flow("TCP", "l", "192.0.2.5", 5060, 7, "example.org"),
            Flow("TCP", "l", "192.0.2.4", 5061, 7, "example.org"),
            Flow("TCP", "l", "192.0.2.4", 5060, 8, "example.org"),
            # RFC 5922: a connection to a peer that proved one domain is not one to another domain.
            Flow("TCP", "l", "192.0.2.4", 5060, 7, "example.com"),
        ],
    )
    def test_all_else_does(self, other: Flow) -> None:
        assert Flow("TCP", "l", "192.0.2.4", 5060, 7, "example.org").key() != other.key()

    @pytest.mark.parametrize(
        ("flow", "text"),
        [
            (Flow("UDP", "", "192.0.2.4", 5060), "udp:192.0.2.4:5060"),
            (Flow("WSS", "", "2001:db8::7", 443, 12), "wss:[2001:db8::7]:443#12"),
        ],
    )
    def test_how_it_is_shown(self, flow: Flow, text: str) -> None:
        assert repr(flow) == text


class TestListener:
    @pytest.mark.parametrize(
        ("transport", "host", "port", "sent_by", "via_head", "uri_tail"),
        [
            # 19.1.1: the default transport of a sip: URI is UDP, so it is not named.
            (
                *("UDP", "192.0.2.1", 5060),
                *("192.0.2.1:5060", "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=", "192.0.2.1:5060;lr"),
            ),
            (
                *("TCP", "sip.example.org", 5070, "sip.example.org:5070"),
                *("Via: SIP/2.0/TCP sip.example.org:5070;branch=", "sip.example.org:5070;transport=tcp;lr"),
            ),
            (
                *("TLS", "2001:db8::1", 5061, "[2001:db8::1]:5061"),
                *("Via: SIP/2.0/TLS [2001:db8::1]:5061;branch=", "[2001:db8::1]:5061;transport=tls;lr"),
            ),
            (
                *("WSS", "example.org", 443, "example.org:443"),
                *("Via: SIP/2.0/WSS example.org:443;branch=", "example.org:443;transport=wss;lr"),
            ),
        ],
    )
    def test_what_it_writes_into_messages(
        self, transport: str, host: str, port: int, sent_by: str, via_head: str, uri_tail: str
    ) -> None:
        listener = Listener("id", transport, host, port)
        assert (listener.id, listener.transport, listener.host, listener.port) == ("id", transport, host, port)
        assert (listener.sent_by, listener.via_head, listener.uri_tail) == (sent_by, via_head, uri_tail)


@pytest.mark.parametrize(
    ("host", "written"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("example.org", "example.org"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("::", "[::]"),
    ],
)
def test_ipv6_addresses_stand_in_brackets(host: str, written: str) -> None:
    assert bracketed(host) == written


@pytest.mark.parametrize(
    ("host", "address"),
    [
        *(("192.0.2.1", True), ("0.0.0.0", True), ("::1", True), ("[::1]", True), ("::ffff:192.0.2.1", True)),
        *(("example.org", False), ("localhost", False), ("", False), ("192.0.2", False), ("192.0.2.1.5", False)),
        # "toplabel = ALPHA / ALPHA *( alphanum / "-" ) alphanum" (25.1): labels of digits may stand anywhere but last.
        *(("1.2.3.example", False), ("192.0.2.x1", False), ("4.3.2.1.e164.arpa", False)),
        # Without a dot a number is a name: nothing but the C library reads 3221225985 as an address.
        ("3221225985", False),
    ],
)
def test_what_is_an_address_and_what_a_name(host: str, address: bool) -> None:
    assert is_address(host) is address


@pytest.mark.parametrize(
    ("host", "inward"),
    [
        *(("127.0.0.1", True), ("127.255.255.254", True), ("126.255.255.255", False), ("128.0.0.1", False)),
        *(("0.0.0.0", True), ("0.1.2.3", True), ("1.0.0.0", False)),
        # Multicast, what is reserved, and broadcast: nobody in particular.
        *(("223.255.255.255", False), ("224.0.0.1", True), ("240.0.0.1", True), ("255.255.255.255", True)),
        # A private network is another machine.
        *(("10.0.0.1", False), ("192.168.1.1", False), ("169.254.1.1", False), ("192.0.2.1", False)),
        *(("::1", True), ("[::1]", True), ("::", True), ("0:0:0:0:0:0:0:1", True), ("::2", False)),
        *(("ff02::1", True), ("fe80::1%lo", False), ("2001:db8::1", False), ("[2001:db8::1]", False)),
        # The same addresses in the clothes of the other family.
        *(("::ffff:127.0.0.1", True), ("::ffff:7f00:1", True), ("::ffff:192.0.2.1", False)),
        # What the rules do not read but the C library does, or nobody.
        *(("0177.0.0.1", True), ("127.1", True), ("192.0.2.256", True), ("192.0.2.1.", True), ("::g", True)),
    ],
)
def test_what_leads_to_this_machine(host: str, inward: bool) -> None:
    assert is_inward(host) is inward
