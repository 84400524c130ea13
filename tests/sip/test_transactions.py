"""The transaction layer: whose a message is, where a request is sent, what is kept and what is forgotten."""

import itertools
from collections.abc import Iterator

import pytest

from ringback.errors import LocalError, ParseError
from ringback.sip import client_invite, server_invite, server_request
from ringback.sip.client_invite import ClientInvite, cancel_of
from ringback.sip.client_request import ClientRequest
from ringback.sip.grammar import is_token
from ringback.sip.message import Request, Response, response_to
from ringback.sip.parser import METHODS, parse
from ringback.sip.server_invite import ServerInvite
from ringback.sip.server_request import ServerRequest
from ringback.sip.timers import Timed
from ringback.sip.transaction import NOTHING, PASS_UP, Transaction, response_key
from ringback.sip.transactions import TransactionLayer, needs_stream
from ringback.sip.transport import Flow, Listener
from tests.sip import inputs

UDP4 = Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060)
UDP6 = Listener("udp:[2001:db8::1]:5060", "UDP", "2001:db8::1", 5060)
TCP4 = Listener("tcp:192.0.2.1:5060", "TCP", "192.0.2.1", 5060)
TLS4 = Listener("tls:192.0.2.1:5061", "TLS", "sip.example.org", 5061)
WSS4 = Listener("wss:192.0.2.1:443", "WSS", "192.0.2.1", 443)
ALL = [UDP4, UDP6, TCP4, TLS4, WSS4]

CALLER = Flow("UDP", "udp:192.0.2.1:5060", "192.0.2.4", 5060)
START = 1000.0
VIA = "SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds"
OLD_VIA = "SIP/2.0/UDP pc33.atlanta.com:5060"
TAGGED = "Bob <sip:bob@biloxi.com>;tag=a6c85cf"


def layer_of(*listeners: Listener) -> TransactionLayer:
    return TransactionLayer(list(listeners) or ALL, "abc")


def request(method: str = "INVITE", via: str = VIA, to: str = "Bob <sip:bob@biloxi.com>") -> Request:
    message = parse(inputs.request(method=method))
    assert isinstance(message, Request)
    message.replace("Via", via)
    message.replace("To", to)
    return message


def answered(layer: TransactionLayer, invite: Request, status: int) -> Transaction:
    """A server transaction that has sent a final response with the To tag of `TAGGED`."""
    server = layer.new_server(invite, CALLER, START)
    assert layer.respond(server, status, response_to(invite, status, to_tag="a6c85cf").encode(), START)
    return server


class TestListeners:
    def test_one_is_needed(self) -> None:
        with pytest.raises(LocalError, match="at least one listener"):
            TransactionLayer([], "abc")

    def test_what_is_spoken(self) -> None:
        layer = layer_of(WSS4, TLS4, TCP4)
        assert [layer.speaks(name) for name in ("UDP", "TCP", "TLS", "WS", "WSS")] == [False, True, True, False, True]
        # "UDP4" is no transport but how the layer files listeners: nobody asks for it.
        assert layer.transports() == ["TCP", "TLS"]
        assert layer_of().transports() == ["UDP", "TCP", "TLS"]

    @pytest.mark.parametrize(
        ("flow", "listener"),
        [
            (Flow("UDP", "udp:192.0.2.1:5060", "192.0.2.4", 5060), UDP4),
            (Flow("UDP", "udp:[2001:db8::1]:5060", "192.0.2.4", 5060), UDP6),
            # Without a socket that is named, one of the same transport and family.
            (Flow("UDP", "", "192.0.2.4", 5060), UDP4),
            (Flow("UDP", "", "2001:db8::7", 5060), UDP6),
            (Flow("UDP", "udp:10.0.0.1:5060", "2001:db8::7", 5060), UDP6),
            (Flow("TLS", "", "192.0.2.4", 5061), TLS4),
            # Else one of the same transport, else the first.
            (Flow("TCP", "", "2001:db8::7", 5060), TCP4),
            (Flow("WS", "", "192.0.2.4", 80), UDP4),
        ],
    )
    def test_whose_address_stands_in_the_via(self, flow: Flow, listener: Listener) -> None:
        assert layer_of().listener_for(flow) is listener

    def test_the_first_listener_of_a_transport_is_preferred(self) -> None:
        second = Listener("udp:192.0.2.2:5060", "UDP", "192.0.2.2", 5060)
        flow = Flow("UDP", "", "192.0.2.4", 5060)
        assert layer_of(UDP4, second).listener_for(flow) is UDP4
        assert layer_of(second, UDP4).listener_for(flow) is second

    def test_others_can_be_put_in_place(self) -> None:
        layer = layer_of(Listener("udp:192.0.2.1:0", "UDP", "192.0.2.1", 0))
        before = layer.hop("sip:192.0.2.4")
        assert before is not None
        assert before.local == "udp:192.0.2.1:0"
        layer.listen([UDP4])
        after = layer.hop("sip:192.0.2.4")
        assert after is not None
        assert (after.local, layer.listeners) == ("udp:192.0.2.1:5060", [UDP4])
        assert layer.listener_for(before) is UDP4
        assert not layer.speaks("TCP")


class TestHops:
    @pytest.mark.parametrize(
        ("uri", "transport", "local", "host", "port", "name"),
        [
            # RFC 3263 4.1: "if the TARGET is a numeric IP address … the client SHOULD use UDP for a SIP URI".
            ("sip:bob@192.0.2.4", "UDP", UDP4.id, "192.0.2.4", 5060, ""),
            ("sip:bob@[2001:db8::7]:5070", "UDP", UDP6.id, "2001:db8::7", 5070, ""),
            ("sip:192.0.2.4;transport=TCP", "TCP", TCP4.id, "192.0.2.4", 5060, ""),
            ("sip:192.0.2.4;transport=tls", "TLS", TLS4.id, "192.0.2.4", 5061, "192.0.2.4"),
            # A SIPS URI means TLS, whatever the transport below it is called (26.2.2).
            ("sips:bob@192.0.2.4", "TLS", TLS4.id, "192.0.2.4", 5061, "192.0.2.4"),
            ("sips:bob@192.0.2.4:5071;transport=tcp", "TLS", TLS4.id, "192.0.2.4", 5071, "192.0.2.4"),
            # 19.1.1: "The maddr parameter indicates the server address to be contacted for this user, overriding any
            # address derived from the host field." The certificate is still that of the host.
            ("sip:bob@example.com;maddr=192.0.2.4", "UDP", UDP4.id, "192.0.2.4", 5060, ""),
            ("sip:bob@192.0.2.9:5070;maddr=[2001:db8::7]", "UDP", UDP6.id, "2001:db8::7", 5070, ""),
            ("sips:example.com;maddr=192.0.2.4", "TLS", TLS4.id, "192.0.2.4", 5061, "example.com"),
        ],
    )
    def test_an_address_needs_no_dns(
        self, uri: str, transport: str, local: str, host: str, port: int, name: str
    ) -> None:
        flow = layer_of().hop(uri)
        assert flow is not None
        assert (flow.transport, flow.local, flow.host, flow.port) == (transport, local, host, port)
        assert (flow.connection, flow.name) == (0, name)

    @pytest.mark.parametrize(
        "uri",
        ["sip:example.com", "sip:bob@example.com:5070;transport=tcp", "sip:192.0.2.4;maddr=example.com", "sips:h"],
    )
    def test_a_name_has_to_be_located(self, uri: str) -> None:
        assert layer_of().hop(uri) is None

    @pytest.mark.parametrize(
        ("uri", "status"),
        [
            # 8.2.2.1: "416 (Unsupported URI Scheme)".
            *(("tel:+15551234", 416), ("mailto:bob@example.com", 416)),
            *(("sip:", 400), ("sip:bob@[::1", 400), ("not a uri", 400)),
            # Nothing is opened towards a WebSocket client (RFC 7118 5).
            *(("sip:192.0.2.4;transport=ws", 503), ("sip:192.0.2.4;transport=wss", 503)),
            *(("sip:192.0.2.4;transport=sctp", 503), ("sips:192.0.2.4;transport=udp", 503)),
        ],
    )
    def test_what_cannot_be_reached(self, uri: str, status: int) -> None:
        layer = layer_of()
        for _ in range(2):
            with pytest.raises(ParseError) as caught:
                layer.hop(uri)
            assert caught.value.status == status

    @pytest.mark.parametrize(
        ("listeners", "uri", "transport", "spoken"),
        [
            ([TCP4], "sip:192.0.2.4", "TCP", True),
            ([TCP4], "sip:192.0.2.4;transport=udp", "UDP", False),
            ([TCP4], "sips:192.0.2.4", "TLS", False),
            ([UDP4], "sip:192.0.2.4;transport=tcp", "TCP", False),
            ([TLS4], "sip:192.0.2.4", "UDP", False),
        ],
    )
    def test_only_what_is_listened_on_is_spoken(
        self, listeners: list[Listener], uri: str, transport: str, spoken: bool
    ) -> None:
        layer = layer_of(*listeners)
        if spoken:
            flow = layer.hop(uri)
            assert flow is not None
            assert (flow.transport, flow.local) == (transport, listeners[0].id)
        else:
            with pytest.raises(ParseError, match=f"{transport} is not spoken here"):
                layer.hop(uri)

    def test_a_uri_is_read_once(self) -> None:
        layer = layer_of()
        uris = ["sip:192.0.2.4", "sip:192.0.2.5", "sip:192.0.2.6"]
        first = [layer.hop(uri) for uri in uris]
        assert all(layer.hop(uri) is flow for uri, flow in zip(uris, first, strict=True))

    def test_what_is_remembered_is_bounded_and_right(self) -> None:
        layer = layer_of()
        first = layer.hop("sip:0@192.0.2.4")
        for number in range(1, 5000):
            flow = layer.hop(f"sip:{number}@192.0.2.4:{number}")
            assert flow is not None
            assert flow.port == number
        # It had to be read again: what was remembered first was let go.
        again = layer.hop("sip:0@192.0.2.4")
        assert again is not first
        assert again is not None
        assert again.port == 5060

    @pytest.mark.parametrize(
        ("inward", "caller", "host", "may"),
        [
            (False, "192.0.2.4", "192.0.2.9", True),
            (False, "192.0.2.4", "127.0.0.1", False),
            (False, "127.0.0.1", "127.0.0.1", True),
            (False, "::1", "127.0.0.2", True),
            (True, "192.0.2.4", "127.0.0.1", True),
        ],
    )
    def test_who_may_be_led_to_this_machine(self, inward: bool, caller: str, host: str, may: bool) -> None:
        layer = layer_of()
        assert layer.inward
        layer.inward = inward
        assert layer.may_reach(caller, host) is may


class TestBranches:
    @pytest.mark.parametrize("secret", [b"", b"s" * 32, b"s" * 100])
    def test_each_is_new_and_has_the_magic_cookie(self, secret: bytes) -> None:
        """8.1.1.7: "The branch parameter value MUST be unique across space and time for all requests sent by the UA.
        … MUST always begin with the characters "z9hG4bK"."""
        layer = TransactionLayer(ALL, "abc", secret)
        branches = [layer.new_branch() for _ in range(300)]
        assert len(set(branches)) == 300
        assert all(branch.startswith("z9hG4bKabc") and is_token(branch) for branch in branches)
        # A simulated world without a secret can be read: its branches are numbers.
        assert all(("-" in branch) is (secret != b"") for branch in branches)

    def test_two_processes_have_none_in_common(self) -> None:
        one, other = (TransactionLayer(ALL, instance, b"") for instance in ("abc", "abd"))
        assert not {one.new_branch() for _ in range(50)} & {other.new_branch() for _ in range(50)}

    def test_with_a_secret_one_does_not_tell_the_next(self) -> None:
        def marks(secret: bytes) -> Iterator[str]:
            layer = TransactionLayer(ALL, "abc", secret)
            while True:
                yield layer.new_branch().partition("-")[2]

        first = list(itertools.islice(marks(b"one"), 100))
        assert {len(mark) for mark in first} == {12}
        assert len(set(first)) == 100
        assert not set(first) & set(itertools.islice(marks(b"two"), 100))


class TestServerTransactions:
    @pytest.mark.parametrize(
        ("method", "kind", "trying"), [("INVITE", ServerInvite, 0.2), ("OPTIONS", ServerRequest, 3.5)]
    )
    @pytest.mark.parametrize("via", [VIA, OLD_VIA])
    def test_a_new_request_opens_one(self, method: str, kind: type[Transaction], trying: float, via: str) -> None:
        layer = layer_of()
        assert layer.server_of(request(method, via)) is None
        server = layer.new_server(request(method, via), CALLER, START)
        assert type(server) is kind
        assert server.flow is CALLER
        assert layer.server_of(request(method, via)) is server
        assert layer.timers.deadline() == START + trying
        assert layer.sends == []

    def test_responses_go_to_its_flow_until_its_state_forbids_it(self) -> None:
        layer = layer_of()
        for method in ("INVITE", "OPTIONS"):
            server = layer.new_server(request(method), CALLER, START)
            assert not layer.is_answered(server)
            assert layer.respond(server, 486, b"first", START)
            assert layer.is_answered(server)
            assert not layer.respond(server, 486, b"second", START)
        assert layer.sends == [(b"first", CALLER, ""), (b"first", CALLER, "")]

    @pytest.mark.parametrize(
        ("method", "statuses", "answered"),
        [
            *(("INVITE", (), False), ("INVITE", (100, 180), False), ("INVITE", (200,), True), ("INVITE", (404,), True)),
            *(("OPTIONS", (), False), ("OPTIONS", (100,), False), ("OPTIONS", (200,), True), ("OPTIONS", (408,), True)),
        ],
    )
    def test_when_it_is_answered(self, method: str, statuses: tuple[int, ...], answered: bool) -> None:
        layer = layer_of()
        server = layer.new_server(request(method), CALLER, START)
        for status in statuses:
            layer.respond(server, status, b"octets", START + 3.5)
        assert layer.is_answered(server) is answered

    def test_a_client_transaction_does_not_respond(self) -> None:
        layer = layer_of()
        client = layer.start_client(request(), b"octets", "z9hG4bK1", CALLER, None, START)
        with pytest.raises(LocalError, match="only a server transaction"):
            layer.respond(client, 200, b"octets", START)

    def test_giving_up_ends_and_forgets_a_request(self) -> None:
        layer = layer_of()
        server = layer.new_server(request("OPTIONS"), CALLER, START)
        layer.give_up(server)
        assert layer.server_of(request("OPTIONS")) is None
        assert (server.state, layer.servers) == (server_request.TERMINATED, {})
        assert layer.timers.deadline() is None
        assert layer.sends == []

    def test_an_invite_is_not_given_up(self) -> None:
        layer = layer_of()
        server = layer.new_server(request(), CALLER, START)
        layer.give_up(server)
        assert (layer.server_of(request()), server.state) == (server, server_invite.PROCEEDING)


class TestAcks:
    @pytest.mark.parametrize("to", [TAGGED, "<sip:bob@biloxi.com>;tag=other", "<sip:bob@biloxi.com>"])
    def test_with_the_cookie_the_branch_suffices(self, to: str) -> None:
        layer = layer_of()
        server = answered(layer, request(), 486)
        assert layer.server_of(request("ACK", to=to)) is server

    def test_the_ack_to_a_2xx_has_a_branch_of_its_own(self) -> None:
        layer = layer_of()
        answered(layer, request(), 200)
        assert layer.server_of(request("ACK", VIA + "2", TAGGED)) is None

    @pytest.mark.parametrize(
        ("status", "to", "matches"),
        [
            # 17.2.3: "and the To tag of the ACK matches the To tag of the response sent by the server transaction."
            (486, TAGGED, True),
            (486, "<sip:bob@biloxi.com>;tag=other", False),
            # One who takes no notice of tags sends To as it was.
            (486, "Bob <sip:bob@biloxi.com>", True),
            # In Accepted every ACK is passed up.
            (200, TAGGED, True),
            (200, "<sip:bob@biloxi.com>;tag=other", True),
        ],
    )
    def test_without_the_cookie_the_to_tag_of_the_response_counts(self, status: int, to: str, matches: bool) -> None:
        layer = layer_of()
        server = answered(layer, request(via=OLD_VIA), status)
        assert layer.server_of(request("ACK", OLD_VIA, to)) is (server if matches else None)

    def test_without_the_cookie_within_a_dialog(self) -> None:
        layer = layer_of()
        server = answered(layer, request(via=OLD_VIA, to=TAGGED), 486)
        assert layer.server_of(request("ACK", OLD_VIA, TAGGED)) is server
        assert layer.server_of(request("ACK", OLD_VIA, "<sip:bob@biloxi.com>;tag=other")) is None

    def test_without_the_cookie_two_dialogs_of_one_fork_stay_apart(self) -> None:
        """The same Call-ID, From tag and CSeq towards two callees: only the To tag differs."""
        layer = layer_of()
        byes = [request("BYE", OLD_VIA, f"<sip:bob@biloxi.com>;tag={tag}") for tag in ("1", "2")]
        servers = [layer.new_server(bye, CALLER, START) for bye in byes]
        assert [layer.server_of(bye) for bye in byes] == servers
        assert servers[0] is not servers[1]

    def test_it_finds_no_other_request(self) -> None:
        layer = layer_of()
        for via in (VIA, OLD_VIA):
            layer.new_server(request("OPTIONS", via), CALLER, START)
            assert layer.server_of(request("ACK", via)) is None


class TestCancels:
    @pytest.mark.parametrize("via", [VIA, OLD_VIA])
    @pytest.mark.parametrize("method", sorted(METHODS - {"ACK", "CANCEL"}))
    def test_it_finds_what_it_cancels(self, method: str, via: str) -> None:
        """9.2: "assuming that the request method is anything but CANCEL or ACK and applying the transaction matching
        procedures of Section 17.2.3"."""
        layer = layer_of()
        server = layer.new_server(request(method, via), CALLER, START)
        assert layer.cancelled_by(request("CANCEL", via)) is server
        # It is a transaction of its own all the same.
        assert layer.server_of(request("CANCEL", via)) is None

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (request(), request("CANCEL", VIA + "2")),
            (request(), request("CANCEL", VIA.replace("pc33", "pc34"))),
            (request(via=OLD_VIA), request("CANCEL", OLD_VIA.replace("pc33", "pc34"))),
            (request(via=OLD_VIA), request("CANCEL", OLD_VIA, TAGGED)),
            (request(), request("CANCEL", OLD_VIA)),
        ],
    )
    def test_it_does_not_find_what_is_anothers(self, first: Request, second: Request) -> None:
        layer = layer_of()
        layer.new_server(first, CALLER, START)
        assert layer.cancelled_by(second) is None

    def test_it_does_not_find_itself(self) -> None:
        layer = layer_of()
        layer.new_server(request("CANCEL"), CALLER, START)
        assert layer.cancelled_by(request("CANCEL")) is None


class TestClientTransactions:
    @pytest.mark.parametrize(("method", "kind"), [("INVITE", ClientInvite), ("OPTIONS", ClientRequest)])
    def test_starting_one_sends_the_request(self, method: str, kind: type[Transaction]) -> None:
        layer = layer_of()
        user = Timed()
        client = layer.start_client(request(method), b"octets", "z9hG4bK1", CALLER, user, START)
        assert type(client) is kind
        assert client.user is user
        assert layer.sends == [(b"octets", CALLER, client.key)]
        assert list(layer.clients.values()) == [client]
        assert layer.timers.deadline() == START + 0.5

    def test_responses_find_the_request_by_branch_and_method(self) -> None:
        layer = layer_of()
        invite = request()
        cancel = cancel_of(invite)
        branch = invite.via.branch
        clients = [
            layer.start_client(message, message.encode(), branch, CALLER, None, START) for message in (invite, cancel)
        ]
        for message, client in zip((invite, cancel), clients, strict=True):
            response = response_to(message, 200)
            assert layer.clients[response_key(response)] is client
            assert layer.received(client, response, START) == PASS_UP
        stranger = response_to(request("BYE"), 200)
        assert response_key(stranger) not in layer.clients

    def test_a_server_transaction_takes_no_response(self) -> None:
        layer = layer_of()
        server = layer.new_server(request(), CALLER, START)
        response = parse(inputs.response())
        assert isinstance(response, Response)
        with pytest.raises(LocalError, match="only a client transaction"):
            layer.received(server, response, START)

    @pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
    def test_one_that_could_not_be_sent_is_forgotten(self, method: str) -> None:
        layer = layer_of()
        client = layer.start_client(request(method), b"octets", "z9hG4bK1", CALLER, None, START)
        assert layer.failed(client) == PASS_UP
        assert layer.clients == {}
        assert layer.timers.deadline() is None

    def test_a_stray_report_of_failure_ends_nothing(self) -> None:
        layer = layer_of()
        client = layer.start_client(request(), b"octets", "z9hG4bK1", CALLER, None, START)
        layer.received(client, response_to(request(), 180), START)
        assert layer.failed(client) == NOTHING
        assert list(layer.clients.values()) == [client]
        server = layer.new_server(request(), CALLER, START)
        assert layer.failed(server) == NOTHING
        assert list(layer.servers.values()) == [server]

    @pytest.mark.parametrize(
        ("method", "status", "forgotten"),
        [
            ("INVITE", 0, False),
            ("INVITE", 180, True),
            ("INVITE", 200, False),
            ("INVITE", 486, False),
            ("OPTIONS", 100, False),
        ],
    )
    def test_only_an_invite_in_proceeding_is_abandoned(self, method: str, status: int, forgotten: bool) -> None:
        """All others have a timer that ends them."""
        layer = layer_of()
        client = layer.start_client(request(method), b"octets", "z9hG4bK1", CALLER, Timed(), START)
        if status:
            layer.received(client, response_to(request(method), status), START)
        layer.abandon(client)
        assert (list(layer.clients.values()) == []) is forgotten
        assert (client.user is None) is forgotten
        if forgotten:
            assert client.state == client_invite.TERMINATED
            assert layer.timers.deadline() is None
            assert layer.received(client, response_to(request(method), 200), START) == NOTHING

    def test_there_may_be_nothing_to_abandon(self) -> None:
        layer = layer_of()
        server = layer.new_server(request(), CALLER, START)
        layer.abandon(None)
        layer.abandon(server)
        assert list(layer.servers.values()) == [server]


def test_what_is_sent_aside_reports_to_nobody() -> None:
    layer = layer_of()
    layer.send_aside(b"octets", CALLER)
    assert layer.sends == [(b"octets", CALLER, "")]
    assert layer.timers.deadline() is None


@pytest.mark.parametrize(
    ("size", "transport", "needed"),
    [(1300, "UDP", False), (1301, "UDP", True), (60000, "UDP", True)]
    + [(60000, transport, False) for transport in ("TCP", "TLS", "WS", "WSS")],
)
def test_a_large_request_needs_a_stream(size: int, transport: str, needed: bool) -> None:
    """18.1.1: "If a request … is larger than 1300 bytes and the path MTU is unknown, the request MUST be sent using an
    RFC 2914 congestion controlled transport protocol"."""
    assert needs_stream(size, Flow(transport, "", "192.0.2.4", 5060)) is needed
