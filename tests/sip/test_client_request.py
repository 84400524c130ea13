"""The non-INVITE client transaction: every state with every event, and its timers."""

import pytest

from ringback.sip.client_request import COMPLETED, PROCEEDING, TERMINATED, TRYING, ClientRequest
from ringback.sip.message import Request, Response
from ringback.sip.parser import parse
from ringback.sip.transaction import ENDED, NOTHING, PASS_UP, TIMED_OUT
from tests.sip import inputs
from tests.sip.machines import BEFORE, FLOWS, NOW, START, TRANSPORTS, Rig, Step, Table, step_of, timed_sends, unpaired

KEY = "z9hG4bK776asdhds|OPTIONS"
OPTIONS = inputs.request(method="OPTIONS")
MESSAGES = {"OPTIONS": OPTIONS}

STATES = ("Trying", "Proceeding", "Completed", "Terminated")
EVENTS = ("1xx", "200-699", "timer E", "timer F", "timer K", "transport failed")
STATUS = {"1xx": 100, "200-699": 404}

# Over UDP and over TCP, where timer E may not run and timer K takes no time.
UNTOUCHED = Step(NOTHING, TRYING, timers={"E": 0.5, "F": 32.0}), Step(NOTHING, TRYING, timers={"F": 32.0})
# "Timer E is not altered during the transition to Proceeding" (RFC 4321 1.2).
PROCEEDS = Step(PASS_UP, PROCEEDING, timers={"E": 0.5, "F": 32.0}), Step(PASS_UP, PROCEEDING, timers={"F": 32.0})
WAITING = Step(NOTHING, PROCEEDING, timers={"E": 0.5, "F": 32.0}), Step(NOTHING, PROCEEDING, timers={"F": 32.0})
ANSWERED = Step(PASS_UP, COMPLETED, timers={"K": NOW + 5.0}), Step(PASS_UP, COMPLETED, timers={"K": NOW})
COMPLETE = Step(NOTHING, COMPLETED, timers={"K": BEFORE + 5.0}), Step(NOTHING, COMPLETED, timers={"K": BEFORE})

TABLE: Table = {
    ("Trying", "1xx"): PROCEEDS,
    ("Trying", "200-699"): ANSWERED,
    ("Trying", "timer E"): (Step(NOTHING, TRYING, ("OPTIONS",), {"E": 1.5, "F": 32.0}, at=0.5), None),
    ("Trying", "timer F"): Step(TIMED_OUT, TERMINATED, at=32.0),
    ("Trying", "timer K"): UNTOUCHED,
    # 17.1.4: "The client transaction SHOULD inform the TU that a transport failure has occurred, and the client
    # transaction SHOULD transition directly to the "Terminated" state."
    ("Trying", "transport failed"): Step(PASS_UP, TERMINATED),
    ("Proceeding", "1xx"): PROCEEDS,
    ("Proceeding", "200-699"): ANSWERED,
    # "If Timer E fires while in the "Proceeding" state, the request MUST be passed to the transport layer for
    # retransmission, and Timer E MUST be reset with a value of T2 seconds."
    ("Proceeding", "timer E"): (Step(NOTHING, PROCEEDING, ("OPTIONS",), {"E": 4.5, "F": 32.0}, at=0.5), None),
    ("Proceeding", "timer F"): Step(TIMED_OUT, TERMINATED, at=32.0),
    ("Proceeding", "timer K"): WAITING,
    ("Proceeding", "transport failed"): Step(PASS_UP, TERMINATED),
    # "The "Completed" state exists to buffer any additional response retransmissions that may be received".
    ("Completed", "1xx"): COMPLETE,
    ("Completed", "200-699"): COMPLETE,
    ("Completed", "timer E"): COMPLETE,
    ("Completed", "timer F"): COMPLETE,
    ("Completed", "timer K"): (Step(ENDED, TERMINATED, at=BEFORE + 5.0), Step(ENDED, TERMINATED, at=BEFORE)),
    ("Completed", "transport failed"): COMPLETE,
    ("Terminated", "1xx"): Step(NOTHING, TERMINATED),
    ("Terminated", "200-699"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer E"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer F"): Step(NOTHING, TERMINATED),
    ("Terminated", "timer K"): Step(NOTHING, TERMINATED),
    ("Terminated", "transport failed"): Step(NOTHING, TERMINATED),
}


class RequestRig(Rig):
    """An OPTIONS that has been sent."""

    def __init__(self, transport: str) -> None:
        request = parse(OPTIONS)
        assert isinstance(request, Request)
        self.client = ClientRequest(KEY, request, FLOWS[transport])
        super().__init__(self.client, KEY)
        self.client.start(OPTIONS, START, self.timers, self.sends)

    def receive(self, status: int, at: float) -> int:
        response = parse(inputs.response(f"{status} Whatever").replace(b"INVITE", b"OPTIONS"))
        assert isinstance(response, Response)
        return self.client.receive(response, START + at, self.timers, self.sends)


def brought_to(state: str, transport: str) -> RequestRig:
    rig = RequestRig(transport)
    if state == "Terminated":
        assert rig.client.failed() == PASS_UP
    elif state != "Trying":
        rig.receive({"Proceeding": 100, "Completed": 200}[state], BEFORE)
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
    outcome = rig.client.failed() if event == "transport failed" else rig.receive(STATUS[event], NOW)
    rig.check(step, outcome, rig.take(), MESSAGES)


@pytest.mark.parametrize("before", ["Trying", "Proceeding"])
@pytest.mark.parametrize(
    ("status", "state"),
    [(100, PROCEEDING), (183, PROCEEDING), (199, PROCEEDING)]
    + [(status, COMPLETED) for status in (200, 299, 300, 408, 486, 503, 699)],
)
def test_the_class_of_a_response_decides(before: str, status: int, state: int) -> None:
    rig = brought_to(before, "UDP")
    assert rig.receive(status, NOW) == PASS_UP
    assert rig.client.state == state
    # "Non-INVITE transactions do not make use of ACK" (17.1.2.1).
    assert rig.take() == []


def test_over_udp_the_intervals_double_up_to_t2() -> None:
    """17.1.2.2: "this results in intervals of 500 ms, 1 s, 2 s, 4 s, 4 s, 4 s, etc." """
    rig = RequestRig("UDP")
    assert rig.take() == [OPTIONS]
    fired = rig.run()
    times = [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert timed_sends(fired) == [(at, [OPTIONS]) for at in times]
    assert fired[-1] == (32.0, "F", TIMED_OUT, [])
    assert rig.timers.deadline() is None


def test_over_a_stream_it_is_sent_once() -> None:
    rig = RequestRig("TCP")
    assert rig.take() == [OPTIONS]
    assert rig.run() == [(32.0, "F", TIMED_OUT, [])]


@pytest.mark.parametrize(
    ("provisional", "times"),
    [
        # RFC 4321 1.2: "the algorithm for resetting Timer E is simply to use T2 instead of doubling at each firing.
        # (Note that Timer E is not altered during the transition to Proceeding.)"
        (0.25, [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]),
        (1.0, [0.5, 1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5]),
        # "No additional delay is introduced if the first provisional response is received after Timer E has reached its
        # maximum reset interval of T2."
        (3.75, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]),
    ],
)
def test_a_provisional_response_slows_retransmission_but_does_not_end_it(
    provisional: float, times: list[float]
) -> None:
    rig = RequestRig("UDP")
    rig.take()
    fired = rig.run(provisional)
    assert rig.receive(100, provisional) == PASS_UP
    fired += rig.run()
    assert timed_sends(fired) == [(at, [OPTIONS]) for at in times]
    # "If timer F fires while in the "Proceeding" state, the TU MUST be informed of a timeout".
    assert fired[-1] == (32.0, "F", TIMED_OUT, [])


def test_further_provisional_responses_do_not_move_the_timers() -> None:
    rig = brought_to("Proceeding", "UDP")
    for at in (0.25, 0.375, 0.4375):
        assert rig.receive(100, at) == PASS_UP
    assert rig.running() == {"E": 0.5, "F": 32.0}


def test_a_final_response_ends_retransmission() -> None:
    rig = RequestRig("UDP")
    rig.take()
    assert [at for at, _, _, _ in rig.run(2.0)] == [0.5, 1.5]
    assert rig.receive(200, 2.0) == PASS_UP
    # A retransmission of it, and another one: only the first goes up, and timer K runs on.
    assert rig.receive(200, 3.0) == NOTHING
    assert rig.receive(500, 6.5) == NOTHING
    assert rig.run() == [(7.0, "K", ENDED, [])]
