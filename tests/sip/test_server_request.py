"""The non-INVITE server transaction: every state with every event, its timers, and what RFC 4320 forbids."""

from itertools import pairwise

import pytest

from ringback.sip.client_request import ClientRequest
from ringback.sip.message import Request
from ringback.sip.parser import parse
from ringback.sip.server_request import COMPLETED, PROCEEDING, TERMINATED, TRYING, ServerRequest
from ringback.sip.timers import T2
from ringback.sip.transaction import ENDED, NOTHING, TRYING_DUE
from tests.sip import inputs
from tests.sip.machines import BEFORE, FLOWS, NOW, START, TRANSPORTS, Rig, Step, Table, step_of, unpaired

# What the user hands down is octets: the machine looks at nothing but the status beside them.
MESSAGES = {name: f"the octets of {name}".encode() for name in ("first 100", "100", "180", "200", "404", "408")}

STATES = ("Trying", "Trying, 3.5 s over", "Proceeding", "Completed", "Completed, nothing sent", "Terminated")
EVENTS = (
    *("request again", "100 from user", "101-199 from user", "408 from user", "200-699 from user", "user gives up"),
    *("3.5 s", "timer J"),
)
STATUS = {"100 from user": "100", "101-199 from user": "180", "408 from user": "408", "200-699 from user": "404"}

#: When the event of a row comes in a state that is not reached before the 3.5 s are over.
LATE = 3.6875

NEW = Step(NOTHING, TRYING, timers={"trying": 3.5})
NEW_DISCARDS = Step(False, TRYING, timers={"trying": 3.5})
J = {"J": BEFORE + 32.0}
COMPLETE = Step(NOTHING, COMPLETED, timers=J), Step(NOTHING, COMPLETED, timers={"J": BEFORE})
DISCARDS = Step(False, COMPLETED, timers=J), Step(False, COMPLETED, timers={"J": BEFORE})
GIVEN_UP = Step(None, TERMINATED, timers=J), Step(None, TERMINATED, timers={"J": BEFORE})
OVER = Step(ENDED, TERMINATED, at=BEFORE + 32.0), Step(ENDED, TERMINATED, at=BEFORE)
LATE_ANSWER = (
    Step(True, COMPLETED, ("404",), {"J": LATE + 32.0}),
    Step(True, COMPLETED, ("404",), {"J": LATE}),
)
LATE_SILENCE = Step(False, COMPLETED, timers={"J": LATE + 32.0}), Step(False, COMPLETED, timers={"J": LATE})

TABLE: Table = {
    # "Once in the "Trying" state, any further request retransmissions are discarded."
    ("Trying", "request again"): NEW,
    # RFC 4320 4.1: no 100 over UDP before Timer E reaches T2, but "over a reliable transport at any time".
    ("Trying", "100 from user"): (NEW_DISCARDS, Step(True, PROCEEDING, ("100",))),
    # RFC 4320 4.1: "An SIP element MUST NOT send any provisional response with a Status-Code other than 100 to a
    # non-INVITE request."
    ("Trying", "101-199 from user"): NEW_DISCARDS,
    # RFC 4320 4.2: "MUST NOT send a response with Status-Code of 408 to a non-INVITE request."
    ("Trying", "408 from user"): (
        Step(False, COMPLETED, timers={"J": NOW + 32.0}),
        Step(False, COMPLETED, timers={"J": NOW}),
    ),
    ("Trying", "200-699 from user"): (
        Step(True, COMPLETED, ("404",), {"J": NOW + 32.0}),
        Step(True, COMPLETED, ("404",), {"J": NOW}),
    ),
    ("Trying", "user gives up"): Step(None, TERMINATED),
    # RFC 4320 4.1: "Without regard to transport, an SIP element MUST respond to a non-INVITE request with a Status-Code
    # of 100 if it has not otherwise responded after the amount of time it takes a client transaction's Timer E to be
    # reset to T2."
    ("Trying", "3.5 s"): Step(TRYING_DUE, TRYING, at=3.5),
    ("Trying", "timer J"): NEW,
    ("Trying, 3.5 s over", "request again"): Step(NOTHING, TRYING),
    ("Trying, 3.5 s over", "100 from user"): Step(True, PROCEEDING, ("100",)),
    ("Trying, 3.5 s over", "101-199 from user"): Step(False, TRYING),
    ("Trying, 3.5 s over", "408 from user"): LATE_SILENCE,
    ("Trying, 3.5 s over", "200-699 from user"): LATE_ANSWER,
    ("Trying, 3.5 s over", "user gives up"): Step(None, TERMINATED),
    ("Trying, 3.5 s over", "3.5 s"): Step(TRYING_DUE, TRYING),
    ("Trying, 3.5 s over", "timer J"): Step(NOTHING, TRYING),
    # "If a retransmission of the request is received while in the "Proceeding" state, the most recently sent
    # provisional response MUST be passed to the transport layer for retransmission."
    ("Proceeding", "request again"): Step(NOTHING, PROCEEDING, ("first 100",)),
    ("Proceeding", "100 from user"): Step(True, PROCEEDING, ("100",)),
    ("Proceeding", "101-199 from user"): Step(False, PROCEEDING),
    ("Proceeding", "408 from user"): LATE_SILENCE,
    ("Proceeding", "200-699 from user"): LATE_ANSWER,
    ("Proceeding", "user gives up"): Step(None, TERMINATED),
    ("Proceeding", "3.5 s"): Step(NOTHING, PROCEEDING),
    ("Proceeding", "timer J"): Step(NOTHING, PROCEEDING),
    # "While in the "Completed" state, the server transaction MUST pass the final response to the transport layer for
    # retransmission whenever a retransmission of the request is received. Any other final responses passed by the TU to
    # the server transaction MUST be discarded while in the "Completed" state."
    ("Completed", "request again"): (
        Step(NOTHING, COMPLETED, ("200",), J),
        Step(NOTHING, COMPLETED, ("200",), {"J": BEFORE}),
    ),
    ("Completed", "100 from user"): DISCARDS,
    ("Completed", "101-199 from user"): DISCARDS,
    ("Completed", "408 from user"): DISCARDS,
    ("Completed", "200-699 from user"): DISCARDS,
    ("Completed", "user gives up"): GIVEN_UP,
    ("Completed", "3.5 s"): COMPLETE,
    ("Completed", "timer J"): OVER,
    ("Completed, nothing sent", "request again"): COMPLETE,
    ("Completed, nothing sent", "100 from user"): DISCARDS,
    ("Completed, nothing sent", "101-199 from user"): DISCARDS,
    ("Completed, nothing sent", "408 from user"): DISCARDS,
    ("Completed, nothing sent", "200-699 from user"): DISCARDS,
    ("Completed, nothing sent", "user gives up"): GIVEN_UP,
    ("Completed, nothing sent", "3.5 s"): COMPLETE,
    ("Completed, nothing sent", "timer J"): OVER,
    # RFC 4320 4.2: "MUST NOT send any response to a non-INVITE request unless it has a matching server transaction that
    # is not in the Terminated state."
    ("Terminated", "request again"): Step(NOTHING, TERMINATED),
    ("Terminated", "100 from user"): Step(False, TERMINATED),
    ("Terminated", "101-199 from user"): Step(False, TERMINATED),
    ("Terminated", "408 from user"): Step(False, TERMINATED),
    ("Terminated", "200-699 from user"): Step(False, TERMINATED),
    ("Terminated", "user gives up"): Step(None, TERMINATED),
    ("Terminated", "3.5 s"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer J"): Step(NOTHING, TERMINATED),
}


class ServerRig(Rig):
    """An OPTIONS that has come in. Nobody is told when a response cannot be delivered."""

    def __init__(self, transport: str) -> None:
        self.server = ServerRequest("z9hG4bK776asdhds|pc33.atlanta.com:5060|OPTIONS", request(), FLOWS[transport])
        super().__init__(self.server, "")
        self.server.start(START, self.timers)

    def again(self, at: float) -> int:
        return self.server.receive(request(), START + at, self.timers, self.sends)

    def respond(self, name: str, at: float) -> bool:
        return self.server.respond(int(name.split()[-1]), MESSAGES[name], START + at, self.timers, self.sends)


def request() -> Request:
    message = parse(inputs.request(method="OPTIONS"))
    assert isinstance(message, Request)
    return message


def brought_to(state: str, transport: str) -> ServerRig:
    rig = ServerRig(transport)
    if state == "Completed, nothing sent":
        rig.respond("408", BEFORE)
    elif state == "Completed" or state == "Terminated":
        rig.respond("200", BEFORE)
    elif state != "Trying":
        rig.run(3.5)
        if state == "Proceeding":
            rig.respond("first 100", 3.5)
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
    if event in ("3.5 s", "timer J"):
        rig.check_timer("trying" if event == "3.5 s" else "J", step, MESSAGES)
        return
    assert step is not None
    at = LATE if state in ("Trying, 3.5 s over", "Proceeding") else NOW
    outcome: int | None = None
    if event == "request again":
        outcome = rig.again(at)
    elif event == "user gives up":
        rig.server.give_up()
    else:
        outcome = rig.respond(STATUS[event], at)
    rig.check(step, outcome, rig.take(), MESSAGES)


@pytest.mark.parametrize("before", ["Trying", "Trying, 3.5 s over", "Proceeding"])
@pytest.mark.parametrize("status", [101, 180, 199, 200, 299, 300, 407, 408, 409, 503, 600, 699])
def test_which_statuses_are_sent(before: str, status: int) -> None:
    """Over UDP; 100 has rows of its own."""
    rig = brought_to(before, "UDP")
    state = rig.server.state
    sent = status >= 200 and status != 408
    assert rig.server.respond(status, b"octets", START + LATE, rig.timers, rig.sends) is sent
    assert rig.take() == [b"octets"] * sent
    assert rig.server.state == (state if status < 200 else COMPLETED)


class TestTrying:
    def test_it_is_owed_when_timer_e_of_a_client_reaches_t2(self) -> None:
        """RFC 4320 4.1, with a client transaction of ours as the measure."""
        asking = request()
        client = ClientRequest("key", asking, FLOWS["UDP"])
        other = Rig(client, "key")
        client.start(asking.encode(), START, other.timers, other.sends)
        other.take()
        firings = [at for at, name, _, _ in other.run() if name == "E"]
        reset_to_t2 = next(at for at, following in pairwise(firings) if following - at == T2)
        rig = ServerRig("UDP")
        assert rig.run() == [(reset_to_t2, "trying", TRYING_DUE, [])]
        assert reset_to_t2 == 3.5

    @pytest.mark.parametrize(("at", "sent"), [(0.0, False), (3.4375, False), (3.5, True), (4.0, True)])
    def test_over_udp_not_before(self, at: float, sent: bool) -> None:
        rig = ServerRig("UDP")
        assert rig.respond("100", at) is sent
        assert rig.take() == [MESSAGES["100"]] * sent
        # One that came too early is still owed.
        assert ("trying" in rig.running()) is not sent

    @pytest.mark.parametrize("transport", TRANSPORTS)
    def test_it_is_owed_once_and_answers_retransmissions(self, transport: str) -> None:
        rig = ServerRig(transport)
        for at in (0.5, 1.5):
            assert rig.again(at) == NOTHING
        assert rig.take() == []
        assert rig.run() == [(3.5, "trying", TRYING_DUE, [])]
        assert rig.respond("100", 3.5)
        assert rig.again(3.5) == NOTHING
        assert rig.again(7.5) == NOTHING
        assert rig.take() == [MESSAGES["100"]] * 3
        assert rig.run() == []

    @pytest.mark.parametrize("status", ["200", "404", "408"])
    def test_it_is_not_owed_after_a_final_response(self, status: str) -> None:
        rig = ServerRig("UDP")
        rig.respond(status, 1.0)
        assert rig.running() == {"J": 33.0}


class TestFinal:
    def test_over_udp_retransmissions_get_the_same_octets_until_timer_j(self) -> None:
        rig = ServerRig("UDP")
        rig.respond("200", 1.0)
        for at in (1.5, 3.5, 7.5, 31.5):
            assert rig.again(at) == NOTHING
        assert rig.take() == [MESSAGES["200"]] * 5
        assert rig.run() == [(33.0, "J", ENDED, [])]

    def test_over_a_stream_nothing_is_kept(self) -> None:
        """17.2.2: "64*T1 seconds for unreliable transports, and zero seconds for reliable transports"."""
        rig = ServerRig("TCP")
        rig.respond("200", 1.0)
        assert rig.take() == [MESSAGES["200"]]
        assert rig.run() == [(1.0, "J", ENDED, [])]

    def test_a_408_is_not_sent_and_retransmissions_stay_unanswered(self) -> None:
        """RFC 4321 1.4: "408 for non-INVITE is not useful": it tells the client nothing that it does not know. The
        provisional response that was sent before is not sent again either: it would make the client wait."""
        rig = brought_to("Proceeding", "UDP")
        assert not rig.respond("408", 5.0)
        for at in (7.5, 11.5, 31.5):
            assert rig.again(at) == NOTHING
        assert rig.take() == []
        assert rig.run() == [(37.0, "J", ENDED, [])]

    @pytest.mark.parametrize("before", ["Trying", "Proceeding", "Completed"])
    def test_who_gives_up_says_nothing_more(self, before: str) -> None:
        rig = brought_to(before, "UDP")
        rig.server.give_up()
        assert not rig.respond("200", LATE)
        assert rig.again(LATE) == NOTHING
        assert [(outcome, sent) for _, _, outcome, sent in rig.run()] in ([], [(NOTHING, [])])
        assert rig.take() == []
