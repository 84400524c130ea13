"""The INVITE client transaction: every state with every event, its timers, and the ACK and CANCEL that it makes."""

import pytest

from ringback.errors import ParseError
from ringback.sip.client_invite import (
    ACCEPTED,
    CALLING,
    COMPLETED,
    PROCEEDING,
    TERMINATED,
    ClientInvite,
    ack_to,
    cancel_of,
)
from ringback.sip.message import Request, Response
from ringback.sip.parser import parse
from ringback.sip.transaction import ENDED, NOTHING, PASS_UP, TIMED_OUT
from tests.sip import inputs
from tests.sip.machines import BEFORE, FLOWS, NOW, START, TRANSPORTS, Rig, Step, Table, step_of, timed_sends, unpaired

KEY = "z9hG4bK776asdhds|INVITE"
INVITE = inputs.request()
ACK = (
    b"ACK sip:bob@biloxi.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds\r\n"
    b"Max-Forwards: 70\r\n"
    b"From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
    b"Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n"
    b"To: Bob <sip:bob@biloxi.com>;tag=a6c85cf\r\n"
    b"CSeq: 314159 ACK\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
MESSAGES = {"INVITE": INVITE, "ACK": ACK}

STATES = ("Calling", "Proceeding", "Completed", "Accepted", "Terminated")
EVENTS = ("1xx", "2xx", "300-699", "timer A", "timer B", "timer D", "timer M", "transport failed")
STATUS = {"1xx": 180, "2xx": 200, "300-699": 486}

# Over UDP and over TCP, where timer A may not run and timer D takes no time.
A_AND_B = {"A": 0.5, "B": 32.0}
UNTOUCHED = Step(NOTHING, CALLING, timers=A_AND_B), Step(NOTHING, CALLING, timers={"B": 32.0})
REFUSED = (
    Step(PASS_UP, COMPLETED, ("ACK",), {"D": NOW + 32.0}),
    Step(PASS_UP, COMPLETED, ("ACK",), {"D": NOW}),
)
COMPLETE = Step(NOTHING, COMPLETED, timers={"D": BEFORE + 32.0}), Step(NOTHING, COMPLETED, timers={"D": BEFORE})

TABLE: Table = {
    ("Calling", "1xx"): Step(PASS_UP, PROCEEDING),
    ("Calling", "2xx"): Step(PASS_UP, ACCEPTED, timers={"M": NOW + 32.0}),
    ("Calling", "300-699"): REFUSED,
    ("Calling", "timer A"): (Step(NOTHING, CALLING, ("INVITE",), {"A": 1.5, "B": 32.0}, at=0.5), None),
    ("Calling", "timer B"): Step(TIMED_OUT, TERMINATED, at=32.0),
    ("Calling", "timer D"): UNTOUCHED,
    ("Calling", "timer M"): UNTOUCHED,
    # 17.1.4: "The client transaction SHOULD inform the TU that a transport failure has occurred, and the client
    # transaction SHOULD transition directly to the "Terminated" state."
    ("Calling", "transport failed"): Step(PASS_UP, TERMINATED),
    ("Proceeding", "1xx"): Step(PASS_UP, PROCEEDING),
    ("Proceeding", "2xx"): Step(PASS_UP, ACCEPTED, timers={"M": NOW + 32.0}),
    ("Proceeding", "300-699"): REFUSED,
    # "In the "Proceeding" state, the client transaction SHOULD NOT retransmit the request any longer."
    ("Proceeding", "timer A"): Step(NOTHING, PROCEEDING),
    ("Proceeding", "timer B"): Step(NOTHING, PROCEEDING),
    ("Proceeding", "timer D"): Step(NOTHING, PROCEEDING),
    ("Proceeding", "timer M"): Step(NOTHING, PROCEEDING),
    ("Proceeding", "transport failed"): Step(NOTHING, PROCEEDING),
    ("Completed", "1xx"): COMPLETE,
    ("Completed", "2xx"): COMPLETE,
    # "Any retransmissions of a response with status code 300-699 that are received while in the "Completed" state MUST
    # cause the ACK to be re-passed to the transport layer for retransmission, but the newly received response MUST NOT
    # be passed up to the TU." (RFC 6026 8.4)
    ("Completed", "300-699"): (
        Step(NOTHING, COMPLETED, ("ACK",), {"D": BEFORE + 32.0}),
        Step(NOTHING, COMPLETED, ("ACK",), {"D": BEFORE}),
    ),
    ("Completed", "timer A"): COMPLETE,
    ("Completed", "timer B"): COMPLETE,
    ("Completed", "timer D"): (Step(ENDED, TERMINATED, at=BEFORE + 32.0), Step(ENDED, TERMINATED, at=BEFORE)),
    ("Completed", "timer M"): COMPLETE,
    ("Completed", "transport failed"): Step(PASS_UP, TERMINATED),
    ("Accepted", "1xx"): Step(NOTHING, ACCEPTED, timers={"M": BEFORE + 32.0}),
    # RFC 6026 8.4: "Any 2xx responses that match this client transaction and that are received while in the "Accepted"
    # state MUST be passed up to the TU. The client transaction MUST NOT generate an ACK to the 2xx response."
    ("Accepted", "2xx"): Step(PASS_UP, ACCEPTED, timers={"M": BEFORE + 32.0}),
    ("Accepted", "300-699"): Step(NOTHING, ACCEPTED, timers={"M": BEFORE + 32.0}),
    ("Accepted", "timer A"): Step(NOTHING, ACCEPTED, timers={"M": BEFORE + 32.0}),
    ("Accepted", "timer B"): Step(NOTHING, ACCEPTED, timers={"M": BEFORE + 32.0}),
    ("Accepted", "timer D"): Step(NOTHING, ACCEPTED, timers={"M": BEFORE + 32.0}),
    ("Accepted", "timer M"): Step(ENDED, TERMINATED, at=BEFORE + 32.0),
    ("Accepted", "transport failed"): Step(NOTHING, ACCEPTED, timers={"M": BEFORE + 32.0}),
    ("Terminated", "1xx"): Step(NOTHING, TERMINATED),
    ("Terminated", "2xx"): Step(NOTHING, TERMINATED),
    ("Terminated", "300-699"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer A"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer B"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer D"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer M"): Step(NOTHING, TERMINATED),
    ("Terminated", "transport failed"): Step(NOTHING, TERMINATED),
}


class InviteRig(Rig):
    """An INVITE that has been sent."""

    def __init__(self, transport: str) -> None:
        self.invite = ClientInvite(KEY, request(INVITE), FLOWS[transport])
        super().__init__(self.invite, KEY)
        self.invite.start(INVITE, START, self.timers, self.sends)

    def receive(self, status: int, at: float) -> int:
        return self.invite.receive(response(status), START + at, self.timers, self.sends)


def request(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def response(status: int) -> Response:
    message = parse(inputs.response(f"{status} Whatever"))
    assert isinstance(message, Response)
    return message


def brought_to(state: str, transport: str) -> InviteRig:
    rig = InviteRig(transport)
    if state == "Terminated":
        assert rig.invite.failed() == PASS_UP
    elif state != "Calling":
        rig.receive({"Proceeding": 100, "Completed": 302, "Accepted": 200}[state], BEFORE)
    rig.take()
    return rig


def test_every_pair_of_state_and_event_has_a_row() -> None:
    assert unpaired(TABLE, STATES, EVENTS) == set()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("state", "event"), TABLE)
def test_the_state_table(state: str, event: str, transport: str) -> None:
    step = step_of(TABLE[state, event], transport)
    rig = brought_to(state, transport)
    if event.startswith("timer "):
        rig.check_timer(event[-1], step, MESSAGES)
        return
    assert step is not None
    outcome = rig.invite.failed() if event == "transport failed" else rig.receive(STATUS[event], NOW)
    rig.check(step, outcome, rig.take(), MESSAGES)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        *((100, PROCEEDING), (199, PROCEEDING), (200, ACCEPTED), (299, ACCEPTED), (300, COMPLETED), (399, COMPLETED)),
        *((400, COMPLETED), (499, COMPLETED), (500, COMPLETED), (599, COMPLETED), (600, COMPLETED), (699, COMPLETED)),
    ],
)
def test_the_class_of_a_response_decides(status: int, state: int) -> None:
    for before in ("Calling", "Proceeding"):
        rig = brought_to(before, "UDP")
        assert rig.receive(status, NOW) == PASS_UP
        assert rig.invite.state == state
        assert rig.take() == ([ACK] if state == COMPLETED else [])


@pytest.mark.parametrize(
    ("state", "status", "outcome", "sent"),
    [
        *(("Completed", 199, NOTHING, []), ("Completed", 299, NOTHING, []), ("Completed", 300, NOTHING, [ACK])),
        *(("Completed", 699, NOTHING, [ACK]), ("Accepted", 199, NOTHING, []), ("Accepted", 200, PASS_UP, [])),
        *(("Accepted", 299, PASS_UP, []), ("Accepted", 300, NOTHING, []), ("Accepted", 699, NOTHING, [])),
    ],
)
def test_where_the_classes_end_after_the_final_response(
    state: str, status: int, outcome: int, sent: list[bytes]
) -> None:
    rig = brought_to(state, "UDP")
    assert rig.receive(status, NOW) == outcome
    assert rig.take() == sent


class TestTimers:
    def test_over_udp_it_is_sent_seven_times_at_intervals_that_double(self) -> None:
        """17.1.1.2: "This process MUST continue so that the request is retransmitted with intervals that double after
        each transmission", and "The value of 64*T1 is equal to the amount of time required to send seven requests"."""
        rig = InviteRig("UDP")
        assert rig.take() == [INVITE]
        fired = rig.run()
        assert timed_sends(fired) == [(at, [INVITE]) for at in (0.5, 1.5, 3.5, 7.5, 15.5, 31.5)]
        assert fired[-1] == (32.0, "B", TIMED_OUT, [])
        assert rig.timers.deadline() is None

    def test_over_a_stream_it_is_sent_once(self) -> None:
        rig = InviteRig("TCP")
        assert rig.take() == [INVITE]
        assert rig.run() == [(32.0, "B", TIMED_OUT, [])]

    def test_a_provisional_response_ends_retransmission_and_the_timeout(self) -> None:
        """Timer B is about the "Calling" state; afterwards timer C of the proxy, or the caller, bounds the wait."""
        rig = InviteRig("UDP")
        assert [at for at, _, _, _ in rig.run(4.0)] == [0.5, 1.5, 3.5]
        assert rig.receive(183, 4.0) == PASS_UP
        assert rig.run() == []
        assert rig.invite.state == PROCEEDING
        # Half an hour later somebody lifts the receiver.
        assert rig.receive(200, 1800.0) == PASS_UP
        assert rig.run() == [(1832.0, "M", ENDED, [])]

    def test_the_ack_is_the_same_octets_each_time(self) -> None:
        rig = InviteRig("UDP")
        rig.take()
        acks: list[bytes] = []
        for at in (0.5, 1.0, 2.0, 4.0, 32.25):
            rig.receive(486, at)
            acks += rig.take()
        assert acks == [ACK] * 5
        # Timer D runs from the first response on, however many follow.
        assert rig.run() == [(32.5, "D", ENDED, [])]

    def test_the_ack_of_another_final_response_is_not_rebuilt(self) -> None:
        """17.1.1.2: "A retransmission of the response is defined as any response which would match the same client
        transaction", so that a 500 after a 486 brings the ACK to the 486."""
        rig = brought_to("Completed", "UDP")
        other = response(500)
        other.replace("To", "Bob <sip:bob@biloxi.com>;tag=other")
        assert rig.invite.receive(other, START + NOW, rig.timers, rig.sends) == NOTHING
        assert rig.take() == [ACK]


class TestAck:
    def test_the_example_of_the_rfc(self) -> None:
        """17.1.1.3, the INVITE and the ACK "for a non-2xx final response to this request"."""
        invite = request(
            b"INVITE sip:bob@biloxi.com SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n"
            b"To: Bob <sip:bob@biloxi.com>\r\n"
            b"From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n"
            b"Max-Forwards: 70\r\n"
            b"Call-ID: 987asjd97y7atg\r\n"
            b"CSeq: 986759 INVITE\r\n\r\n"
        )
        busy = response(486)
        busy.replace("To", "Bob <sip:bob@biloxi.com>;tag=99sa0xk")
        assert ack_to(invite, busy).encode() == (
            b"ACK sip:bob@biloxi.com SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\r\n"
            b"From: Alice <sip:alice@atlanta.com>;tag=88sja8x\r\n"
            b"Max-Forwards: 70\r\n"
            b"Call-ID: 987asjd97y7atg\r\n"
            b"To: Bob <sip:bob@biloxi.com>;tag=99sa0xk\r\n"
            b"CSeq: 986759 ACK\r\n"
            b"Content-Length: 0\r\n\r\n"
        )

    @pytest.mark.parametrize(
        "vias",
        [
            ["Via: SIP/2.0/TCP p1.example.org;branch=z9hG4bK1", "Via: SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK0"],
            ["Via: SIP/2.0/TCP p1.example.org;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK0"],
            ["v:SIP/2.0/TCP p1.example.org;branch=z9hG4bK1", "v:SIP/2.0/UDP 192.0.2.4;branch=z9hG4bK0"],
        ],
    )
    def test_a_single_via(self, vias: list[str]) -> None:
        """ "The ACK MUST contain a single Via header field, and this MUST be equal to the top Via header field of the
        original request."""
        lines = INVITE.decode().split("\r\n")
        invite = request("\r\n".join([lines[0], *vias, *lines[2:]]).encode())
        for derived in (ack_to(invite, response(404)), cancel_of(invite)):
            assert derived.all("via") == ["SIP/2.0/TCP p1.example.org;branch=z9hG4bK1"]

    def test_the_route_is_kept_and_nothing_else(self) -> None:
        """ "If the INVITE request whose response is being acknowledged had Route header fields, those header fields
        MUST appear in the ACK." A body "is NOT RECOMMENDED"; Require has no meaning in it."""
        extra = ["Route: <sip:p1;lr>, <sip:p2;lr>", "Require: 100rel", "Contact: <sip:a@b>", "Route: <sip:p3;lr>"]
        invite = request(inputs.request(*extra, "Content-Type: application/sdp", body=b"v=0\r\n"))
        ack = ack_to(invite, response(420))
        assert ack.all("route") == ["<sip:p1;lr>, <sip:p2;lr>", "<sip:p3;lr>"]
        assert ack.names == [
            *("via", "max-forwards", "from", "call-id", "route", "route", "to", "cseq", "content-length")
        ]
        assert ack.body == b""

    def test_an_invite_without_max_forwards_is_acknowledged_too(self) -> None:
        """8.1.1.6: "a Max-Forwards header field … with a value that SHOULD be 70"."""
        invite = request(INVITE.replace(b"Max-Forwards: 70\r\n", b""))
        rig = Rig(ClientInvite(KEY, invite, FLOWS["UDP"]), KEY)
        assert isinstance(rig.machine, ClientInvite)
        rig.machine.start(invite.encode(), START, rig.timers, rig.sends)
        rig.take()
        assert rig.machine.receive(response(486), START + NOW, rig.timers, rig.sends) == PASS_UP
        (sent,) = rig.take()
        assert request(sent).all("max-forwards") == ["70"]
        assert rig.running() == {"D": NOW + 32.0}

    def test_a_response_without_to_gives_no_ack(self) -> None:
        answer = response(486)
        answer.remove("to")
        with pytest.raises(ParseError, match="no To header"):
            ack_to(request(INVITE), answer)


class TestCancel:
    def test_it_repeats_the_request_with_its_own_to(self) -> None:
        """9.1: "The Request-URI, Call-ID, To, the numeric part of CSeq, and From header fields in the CANCEL request
        MUST be identical to those in the request being cancelled, including tags. … The CANCEL request MUST NOT contain
        any Require or Proxy-Require header fields." """
        invite = request(inputs.request("Require: 100rel", "Proxy-Require: x", "Route: <sip:p1;lr>", "Subject: x"))
        assert cancel_of(invite).encode() == (
            b"CANCEL sip:bob@biloxi.com SIP/2.0\r\n"
            b"Via: SIP/2.0/UDP pc33.atlanta.com:5060;branch=z9hG4bK776asdhds\r\n"
            b"Max-Forwards: 70\r\n"
            b"From: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n"
            b"Call-ID: a84b4c76e66710@pc33.atlanta.com\r\n"
            b"Route: <sip:p1;lr>\r\n"
            b"To: Bob <sip:bob@biloxi.com>\r\n"
            b"CSeq: 314159 CANCEL\r\n"
            b"Content-Length: 0\r\n\r\n"
        )

    def test_it_says_why(self) -> None:
        reason = 'SIP;cause=200;text="Call completed elsewhere"'
        assert cancel_of(request(INVITE), reason).header("reason") == reason
        assert "reason" not in cancel_of(request(INVITE)).names
