"""The INVITE server transaction: every state with every event, and its timers."""

import pytest

from ringback.sip.message import Request
from ringback.sip.parser import parse
from ringback.sip.server_invite import ACCEPTED, COMPLETED, CONFIRMED, PROCEEDING, TERMINATED, ServerInvite
from ringback.sip.transaction import ENDED, NOTHING, PASS_UP, TIMED_OUT, TRYING_DUE
from tests.sip import inputs
from tests.sip.machines import BEFORE, FLOWS, NOW, START, TRANSPORTS, Rig, Step, Table, step_of, timed_sends, unpaired

# What the user hands down is octets: the machine looks at nothing but the status beside them.
MESSAGES = {status: f"the octets of {status}".encode() for status in ("100", "180", "183", "200", "302", "486")}

STATES = ("Proceeding", "Proceeding, 1xx sent", "Completed", "Confirmed", "Accepted", "Terminated")
EVENTS = (
    *("INVITE again", "ACK", "1xx from user", "2xx from user", "300-699 from user"),
    *("200 ms", "timer G", "timer H", "timer I", "timer L"),
)
STATUS = {"1xx from user": "180", "2xx from user": "200", "300-699 from user": "486"}

NEW = Step(NOTHING, PROCEEDING, timers={"trying": 0.2})
RINGING = Step(NOTHING, PROCEEDING)
REFUSED = (
    Step(True, COMPLETED, ("486",), {"G": NOW + 0.5, "H": NOW + 32.0}),
    Step(True, COMPLETED, ("486",), {"H": NOW + 32.0}),
)
# In these states a 302 (or 200) was sent at BEFORE, and acknowledged at once in Confirmed.
G_AND_H = {"G": BEFORE + 0.5, "H": BEFORE + 32.0}
H = {"H": BEFORE + 32.0}
COMPLETE = Step(NOTHING, COMPLETED, timers=G_AND_H), Step(NOTHING, COMPLETED, timers=H)
COMPLETE_DISCARDS = Step(False, COMPLETED, timers=G_AND_H), Step(False, COMPLETED, timers=H)
CONFIRM = Step(NOTHING, CONFIRMED, timers={"I": BEFORE + 5.0}), Step(NOTHING, CONFIRMED, timers={"I": BEFORE})
CONFIRM_DISCARDS = Step(False, CONFIRMED, timers={"I": BEFORE + 5.0}), Step(False, CONFIRMED, timers={"I": BEFORE})
L = {"L": BEFORE + 32.0}
ACCEPT = Step(NOTHING, ACCEPTED, timers=L)

TABLE: Table = {
    # Nothing was sent yet, so there is nothing to send again.
    ("Proceeding", "INVITE again"): NEW,
    ("Proceeding", "ACK"): NEW,
    ("Proceeding", "1xx from user"): Step(True, PROCEEDING, ("180",)),
    ("Proceeding", "2xx from user"): Step(True, ACCEPTED, ("200",), {"L": NOW + 32.0}),
    ("Proceeding", "300-699 from user"): REFUSED,
    ("Proceeding", "200 ms"): Step(TRYING_DUE, PROCEEDING, at=0.2),
    ("Proceeding", "timer G"): NEW,
    ("Proceeding", "timer H"): NEW,
    ("Proceeding", "timer I"): NEW,
    ("Proceeding", "timer L"): NEW,
    # "If a request retransmission is received while in the "Proceeding" state, the most recent provisional response
    # that was received from the TU MUST be passed to the transport layer for retransmission."
    ("Proceeding, 1xx sent", "INVITE again"): Step(NOTHING, PROCEEDING, ("183",)),
    ("Proceeding, 1xx sent", "ACK"): RINGING,
    ("Proceeding, 1xx sent", "1xx from user"): Step(True, PROCEEDING, ("180",)),
    ("Proceeding, 1xx sent", "2xx from user"): Step(True, ACCEPTED, ("200",), {"L": NOW + 32.0}),
    ("Proceeding, 1xx sent", "300-699 from user"): REFUSED,
    ("Proceeding, 1xx sent", "200 ms"): RINGING,
    ("Proceeding, 1xx sent", "timer G"): RINGING,
    ("Proceeding, 1xx sent", "timer H"): RINGING,
    ("Proceeding, 1xx sent", "timer I"): RINGING,
    ("Proceeding, 1xx sent", "timer L"): RINGING,
    # "while in the "Completed" state, if a request retransmission is received, the server SHOULD pass the response to
    # the transport for retransmission."
    ("Completed", "INVITE again"): (
        Step(NOTHING, COMPLETED, ("302",), G_AND_H),
        Step(NOTHING, COMPLETED, ("302",), H),
    ),
    ("Completed", "ACK"): (
        Step(NOTHING, CONFIRMED, timers={"I": NOW + 5.0}),
        Step(NOTHING, CONFIRMED, timers={"I": NOW}),
    ),
    ("Completed", "1xx from user"): COMPLETE_DISCARDS,
    ("Completed", "2xx from user"): COMPLETE_DISCARDS,
    ("Completed", "300-699 from user"): COMPLETE_DISCARDS,
    ("Completed", "200 ms"): COMPLETE,
    ("Completed", "timer G"): (
        Step(NOTHING, COMPLETED, ("302",), {"G": BEFORE + 1.5, "H": BEFORE + 32.0}, at=BEFORE + 0.5),
        None,
    ),
    # "the server transaction MUST transition to the "Terminated" state, and MUST indicate to the TU that a transaction
    # failure has occurred."
    ("Completed", "timer H"): Step(TIMED_OUT, TERMINATED, at=BEFORE + 32.0),
    ("Completed", "timer I"): COMPLETE,
    ("Completed", "timer L"): COMPLETE,
    # "The purpose of the "Confirmed" state is to absorb any additional ACK messages that arrive".
    ("Confirmed", "INVITE again"): CONFIRM,
    ("Confirmed", "ACK"): CONFIRM,
    ("Confirmed", "1xx from user"): CONFIRM_DISCARDS,
    ("Confirmed", "2xx from user"): CONFIRM_DISCARDS,
    ("Confirmed", "300-699 from user"): CONFIRM_DISCARDS,
    ("Confirmed", "200 ms"): CONFIRM,
    ("Confirmed", "timer G"): CONFIRM,
    ("Confirmed", "timer H"): CONFIRM,
    ("Confirmed", "timer I"): (Step(ENDED, TERMINATED, at=BEFORE + 5.0), Step(ENDED, TERMINATED, at=BEFORE)),
    ("Confirmed", "timer L"): CONFIRM,
    # RFC 6026 8.7: "Any such retransmissions are absorbed entirely within the server transaction."
    ("Accepted", "INVITE again"): ACCEPT,
    # "If an ACK is received while the INVITE server transaction is in the "Accepted" state, then the ACK must be passed
    # up to the TU."
    ("Accepted", "ACK"): Step(PASS_UP, ACCEPTED, timers=L),
    ("Accepted", "1xx from user"): Step(False, ACCEPTED, timers=L),
    # "While in the "Accepted" state, if the TU passes a 2xx response, the server transaction MUST pass the response to
    # the transport layer for transmission."
    ("Accepted", "2xx from user"): Step(True, ACCEPTED, ("200",), L),
    ("Accepted", "300-699 from user"): Step(False, ACCEPTED, timers=L),
    ("Accepted", "200 ms"): ACCEPT,
    ("Accepted", "timer G"): ACCEPT,
    ("Accepted", "timer H"): ACCEPT,
    ("Accepted", "timer I"): ACCEPT,
    ("Accepted", "timer L"): Step(ENDED, TERMINATED, at=BEFORE + 32.0),
    ("Terminated", "INVITE again"): Step(NOTHING, TERMINATED),
    ("Terminated", "ACK"): Step(NOTHING, TERMINATED),
    ("Terminated", "1xx from user"): Step(False, TERMINATED),
    ("Terminated", "2xx from user"): Step(False, TERMINATED),
    ("Terminated", "300-699 from user"): Step(False, TERMINATED),
    ("Terminated", "200 ms"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer G"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer H"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer I"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer L"): Step(NOTHING, TERMINATED),
}


class ServerRig(Rig):
    """An INVITE that has come in. Nobody is told when a response cannot be delivered."""

    def __init__(self, transport: str) -> None:
        self.server = ServerInvite("z9hG4bK776asdhds|pc33.atlanta.com:5060|INVITE", request(), FLOWS[transport])
        super().__init__(self.server, "")
        self.server.start(START, self.timers)

    def again(self, at: float) -> int:
        return self.server.receive(request(), START + at, self.timers, self.sends)

    def ack(self, at: float) -> int:
        return self.server.receive(request("ACK"), START + at, self.timers, self.sends)

    def respond(self, status: str, at: float) -> bool:
        return self.server.respond(int(status), MESSAGES[status], START + at, self.timers, self.sends)


def request(method: str = "INVITE") -> Request:
    message = parse(inputs.request(method=method))
    assert isinstance(message, Request)
    return message


def brought_to(state: str, transport: str) -> ServerRig:
    rig = ServerRig(transport)
    if state == "Proceeding, 1xx sent":
        rig.respond("183", BEFORE)
    elif state == "Accepted":
        rig.respond("200", BEFORE)
    elif state != "Proceeding":
        rig.respond("302", BEFORE)
    if state in ("Confirmed", "Terminated"):
        rig.ack(BEFORE)
    if state == "Terminated":
        rig.run()
    rig.take()
    return rig


def test_every_pair_of_state_and_event_has_a_row() -> None:
    assert unpaired(TABLE, STATES, EVENTS) == set()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("state", "event"), TABLE)
def test_the_state_table(state: str, event: str, transport: str) -> None:
    step = step_of(TABLE[state, event], transport)
    rig = brought_to(state, transport)
    if event == "200 ms" or event.startswith("timer "):
        rig.check_timer("trying" if event == "200 ms" else event[-1], step, MESSAGES)
        return
    assert step is not None
    outcome: int
    if event == "INVITE again":
        outcome = rig.again(NOW)
    elif event == "ACK":
        outcome = rig.ack(NOW)
    else:
        outcome = rig.respond(STATUS[event], NOW)
    rig.check(step, outcome, rig.take(), MESSAGES)


@pytest.mark.parametrize("before", ["Proceeding", "Proceeding, 1xx sent"])
@pytest.mark.parametrize(
    ("status", "state"),
    [(100, PROCEEDING), (199, PROCEEDING), (200, ACCEPTED), (299, ACCEPTED)]
    + [(status, COMPLETED) for status in (300, 399, 400, 499, 500, 599, 600, 699)],
)
def test_the_class_of_a_response_decides(before: str, status: int, state: int) -> None:
    rig = brought_to(before, "UDP")
    assert rig.server.respond(status, b"octets", START + NOW, rig.timers, rig.sends)
    assert rig.take() == [b"octets"]
    assert rig.server.state == state


@pytest.mark.parametrize(("status", "sent"), [(199, False), (200, True), (299, True), (300, False)])
def test_once_accepted_only_2xx_go_out(status: int, sent: bool) -> None:
    rig = brought_to("Accepted", "UDP")
    assert rig.server.respond(status, b"octets", START + NOW, rig.timers, rig.sends) is sent
    assert rig.take() == [b"octets"] * sent


class TestTrying:
    def test_it_is_owed_after_200_ms_and_not_before(self) -> None:
        """17.2.1: "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will
        generate a provisional or final response within 200 ms"."""
        rig = ServerRig("UDP")
        assert rig.take() == []
        assert rig.again(0.1875) == NOTHING
        assert rig.run() == [(0.2, "trying", TRYING_DUE, [])]
        # The layer above makes it and hands it down like any other; from then on it answers retransmissions.
        assert rig.respond("100", 0.2)
        assert rig.again(0.5) == NOTHING
        assert rig.again(1.5) == NOTHING
        assert rig.take() == [MESSAGES["100"]] * 3
        assert rig.run() == []

    @pytest.mark.parametrize("status", ["100", "180", "200", "302"])
    def test_it_is_not_owed_once_something_was_sent(self, status: str) -> None:
        rig = ServerRig("UDP")
        rig.respond(status, 0.1875)
        assert "trying" not in rig.running()

    def test_it_does_not_hide_a_later_provisional(self) -> None:
        rig = ServerRig("UDP")
        rig.respond("100", 0.2)
        rig.respond("180", 1.0)
        rig.take()
        rig.again(1.5)
        assert rig.take() == [MESSAGES["180"]]


class TestFinal:
    def test_over_udp_it_is_sent_again_at_intervals_that_double_up_to_t2(self) -> None:
        """17.2.1: "timer G is reset with a value that doubles, unless that value exceeds T2, in which case it is reset
        with the value of T2." """
        rig = ServerRig("UDP")
        rig.respond("486", 0.0)
        assert rig.take() == [MESSAGES["486"]]
        fired = rig.run()
        times = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert timed_sends(fired) == [(at, [MESSAGES["486"]]) for at in times]
        assert fired[-1] == (32.0, "H", TIMED_OUT, [])
        assert rig.timers.deadline() is None

    def test_over_a_stream_it_is_sent_once(self) -> None:
        rig = ServerRig("TCP")
        rig.respond("486", 0.0)
        assert rig.take() == [MESSAGES["486"]]
        assert rig.run() == [(32.0, "H", TIMED_OUT, [])]

    def test_an_ack_ends_retransmission(self) -> None:
        """ "As Timer G is ignored in this state, any retransmissions of the response will cease." """
        rig = ServerRig("UDP")
        rig.respond("486", 0.0)
        assert [at for at, _, _, _ in rig.run(2.0)] == [0.5, 1.5]
        assert rig.ack(2.0) == NOTHING
        # Timer I is not begun anew by the ACKs to what was sent again.
        assert rig.ack(2.25) == NOTHING
        assert rig.run() == [(7.0, "I", ENDED, [])]

    def test_a_retransmitted_invite_does_not_move_timer_g(self) -> None:
        rig = ServerRig("UDP")
        rig.respond("486", 0.0)
        rig.again(0.25)
        assert rig.take() == [MESSAGES["486"]] * 2
        assert rig.running() == {"G": 0.5, "H": 32.0}

    def test_it_stays_the_first_one(self) -> None:
        rig = ServerRig("UDP")
        rig.respond("486", 0.0)
        assert not rig.respond("200", 0.25)
        rig.take()
        rig.again(0.375)
        assert rig.take() == [MESSAGES["486"]]


class TestAccepted:
    def test_timer_l_runs_from_the_first_2xx(self) -> None:
        """RFC 6026 8.7: "Timer L MUST be set to fire in 64*T1 for all transports." """
        rig = ServerRig("UDP")
        rig.respond("200", 1.0)
        rig.respond("200", 1.5)
        assert rig.ack(2.0) == PASS_UP
        assert rig.ack(2.5) == PASS_UP
        assert rig.take() == [MESSAGES["200"]] * 2
        assert rig.run() == [(33.0, "L", ENDED, [])]

    def test_the_2xx_is_not_sent_again_by_itself(self) -> None:
        """17.2.1: "It is not retransmitted by the server transaction; retransmissions of 2xx responses are handled by
        the TU." """
        rig = ServerRig("UDP")
        rig.respond("180", 0.125)
        rig.respond("200", 1.0)
        rig.take()
        assert rig.again(1.5) == NOTHING
        assert timed_sends(rig.run()) == []
        assert rig.take() == []


@pytest.mark.parametrize(
    ("state", "to_tag", "answers"),
    [
        ("Completed", "a6c85cf", True),
        ("Completed", "other", False),
        ("Completed", "", False),
        ("Confirmed", "a6c85cf", True),
        ("Confirmed", "other", False),
        # A 2xx may have come from any of several callees: the ACK goes up whatever its tag.
        ("Accepted", "other", True),
        ("Proceeding", "other", True),
    ],
)
def test_which_ack_is_for_the_final_response(state: str, to_tag: str, answers: bool) -> None:
    """17.2.3: "the To tag of the ACK matches the To tag of the response sent by the server transaction"."""
    rig = ServerRig("UDP")
    status = {"Completed": 486, "Confirmed": 486, "Accepted": 200, "Proceeding": 180}[state]
    rig.server.respond(status, inputs.response(f"{status} Whatever"), START, rig.timers, rig.sends)
    if state == "Confirmed":
        rig.ack(BEFORE)
    assert rig.server.answers_with(to_tag) is answers
