"""The session machine, every state and event: what a party that the test plays sees of it, and what the user is told.

`STATES` bring a session into a state, `EVENTS` let something happen to it. `result` gives the state that it leads to,
what was sent (each kind of message once), and what was told; `TABLE` is what they have to be. Whatever has happened,
nothing is left some time after a last hang-up, though nobody has answered anything.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.errors import LocalError
from ringback.sip.message import Request
from ringback.sip.session import Session
from ringback.sip.session_events import Offered
from tests.sip.agents import ANSWER, OFFER, OTHER, Agent, Net, Peer


class Stage:
    """One session of an agent with a party that the test plays."""

    def __init__(self) -> None:
        self.net = Net()
        self.agent, self.peer = Agent(self.net, "agent"), Peer(self.net)
        self.session: Session
        #: The INVITE, as it came to the peer or left it.
        self.invite: Request

    def call(self) -> None:
        self.session = self.agent.call(self.peer)
        self.net.run(0.0)
        self.invite = self.peer.take("INVITE")

    def called(self) -> None:
        self.invite = self.peer.request("INVITE", self.agent, OFFER)
        self.session = self.agent.one(Offered).session

    def request(self, method: str, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
        """A request of the peer in the dialog."""
        if self.session.direction == "outgoing":
            self.peer.within(method, self.invite, self.agent, body, headers)
        else:
            to = f"<{self.agent.uri}>;tag={self.session.tag}"
            self.peer.request(method, self.agent, body, headers, to=to, cseq=1 if method == "ACK" else 0)

    def respond(self, status: int) -> None:
        """A response to the INVITE: nothing in a call of the peer's."""
        if self.session.direction == "outgoing":
            self.peer.answer(self.invite, status, ANSWER if status == 200 else b"")

    def cancel(self) -> None:
        self.peer.request("CANCEL", self.agent, cseq=1, branch="z9hG4bKINVITE1")


def _calling(stage: Stage) -> None:
    stage.call()


def _ringing(stage: Stage) -> None:
    stage.call()
    stage.peer.answer(stage.invite, 180)


def _offered(stage: Stage) -> None:
    stage.called()


def _alerting(stage: Stage) -> None:
    stage.called()
    stage.session.ring(stage.net.now)


def _answered(stage: Stage) -> None:
    stage.called()
    stage.session.accept(stage.net.now, ANSWER)


def _established(stage: Stage) -> None:
    stage.call()
    stage.peer.answer(stage.invite, 200, ANSWER)


def _cancelling(stage: Stage) -> None:
    _ringing(stage)
    stage.session.hang_up(stage.net.now)


def _leaving(stage: Stage) -> None:
    _established(stage)
    stage.session.hang_up(stage.net.now)


def _waiting(stage: Stage) -> None:
    _answered(stage)
    stage.session.hang_up(stage.net.now)


def _ended(stage: Stage) -> None:
    _established(stage)
    stage.request("BYE")


STATES: dict[str, Callable[[Stage], None]] = {
    "calling": _calling,
    "ringing": _ringing,
    "offered": _offered,
    "alerting": _alerting,
    "answered": _answered,
    "established": _established,
    "cancelling": _cancelling,
    "leaving": _leaving,
    "waiting": _waiting,
    "ended": _ended,
}

EVENTS: dict[str, Callable[[Stage], object]] = {
    "ring": lambda stage: stage.session.ring(stage.net.now),
    "accept": lambda stage: stage.session.accept(stage.net.now, ANSWER),
    "reject": lambda stage: stage.session.reject(stage.net.now),
    "redirect": lambda stage: stage.session.redirect(stage.net.now, ["sip:x@y"]),
    "hang_up": lambda stage: stage.session.hang_up(stage.net.now),
    "offer": lambda stage: stage.session.offer(stage.net.now, OTHER),
    "answer": lambda stage: stage.session.answer(stage.net.now, OTHER),
    "refuse": lambda stage: stage.session.refuse(stage.net.now),
    "info": lambda stage: stage.session.info(stage.net.now, "a/b", b"x"),
    "refer": lambda stage: stage.session.refer(stage.net.now, "sip:x@y"),
    "180": lambda stage: stage.respond(180),
    "200": lambda stage: stage.respond(200),
    "486": lambda stage: stage.respond(486),
    "ACK": lambda stage: stage.request("ACK"),
    "BYE": lambda stage: stage.request("BYE"),
    "CANCEL": lambda stage: stage.cancel(),
    "INVITE": lambda stage: stage.request("INVITE", OTHER),
    "UPDATE": lambda stage: stage.request("UPDATE", OTHER),
    "UPDATE-": lambda stage: stage.request("UPDATE"),
    "PRACK": lambda stage: stage.request("PRACK", b"", [("RAck", "1 1 INVITE")]),
    "INFO": lambda stage: stage.request("INFO", b"x"),
    "REFER": lambda stage: stage.request("REFER", b"", [("Refer-To", "<sip:x@y>")]),
    "NOTIFY": lambda stage: stage.request("NOTIFY", b"", [("Event", "refer"), ("Subscription-State", "active")]),
    "OPTIONS": lambda stage: stage.request("OPTIONS"),
    "185 s": lambda stage: stage.net.run(190.0),
}


def result(state: str, event: str) -> str:
    """`next state, sent by the agent, told its user`, or `LocalError`."""
    stage = Stage()
    STATES[state](stage)
    stage.net.run(0.0)
    stage.agent.events.clear()
    stage.net.wire.clear()
    try:
        EVENTS[event](stage)
    except LocalError:
        stage.net.run(0.0)
        assert not stage.net.wire and not stage.agent.events
        return "LocalError"
    stage.net.run(0.0)
    sent = list(dict.fromkeys(line.partition(" ")[2] for line in stage.net.lines("agent")))
    told = list(dict.fromkeys(stage.agent.names()))
    after = stage.session.state
    stage.session.hang_up(stage.net.now)
    stage.net.run(500.0)
    assert stage.session.state == "ended" and not stage.agent.at_rest()
    return "; ".join([after, " ".join(line.replace(" ", ":") for line in sent), " ".join(told)])


#: State, then a line for each event: the event, the next state; what is sent; what is told.
TABLE = """
calling
    ring      LocalError
    accept    LocalError
    reject    LocalError
    redirect  LocalError
    hang_up   ending; ; Ended
    offer     LocalError
    answer    calling; ;
    refuse    calling; ;
    info      LocalError
    refer     LocalError
    180       early; ; Progressed
    200       established; ACK; DescriptionReceived Established
    486       ended; ACK; Ended Closed
    ACK       calling; ;
    BYE       calling; 481:BYE;
    CANCEL    calling; 481:CANCEL;
    INVITE    calling; 481:INVITE;
    UPDATE    calling; 481:UPDATE;
    UPDATE-   calling; 481:UPDATE;
    PRACK     calling; 481:PRACK;
    INFO      calling; 481:INFO;
    REFER     calling; 481:REFER;
    NOTIFY    calling; 481:NOTIFY;
    OPTIONS   calling; 481:OPTIONS;
    185 s     ended; INVITE; Ended Closed
ringing
    ring      LocalError
    accept    LocalError
    reject    LocalError
    redirect  LocalError
    hang_up   ending; CANCEL; Ended
    offer     LocalError
    answer    early; ;
    refuse    early; ;
    info      early; INFO;
    refer     early; REFER;
    180       early; ; Progressed
    200       established; ACK; DescriptionReceived Established
    486       ended; ACK; Ended Closed
    ACK       early; ;
    BYE       ending; 200:BYE CANCEL; Ended
    CANCEL    early; 481:CANCEL;
    INVITE    early; 491:INVITE;
    UPDATE    early; 491:UPDATE;
    UPDATE-   early; 200:UPDATE;
    PRACK     early; 481:PRACK;
    INFO      early; 200:INFO; InfoReceived
    REFER     early; ; Referred
    NOTIFY    early; 481:NOTIFY;
    OPTIONS   early; ; Requested
    185 s     ending; CANCEL; Ended
offered
    ring      early; 180:INVITE;
    accept    established; 200:INVITE; Established
    reject    ended; 486:INVITE; Ended Closed
    redirect  ended; 302:INVITE; Ended Closed
    hang_up   ended; 480:INVITE; Ended Closed
    offer     LocalError
    answer    offered; ;
    refuse    offered; ;
    info      LocalError
    refer     LocalError
    180       offered; ;
    200       offered; ;
    486       offered; ;
    ACK       offered; ;
    BYE       ended; 487:INVITE 200:BYE; Ended Closed
    CANCEL    ended; 200:CANCEL 487:INVITE; Ended Closed
    INVITE    offered; 500:INVITE;
    UPDATE    offered; 500:UPDATE;
    UPDATE-   offered; 200:UPDATE;
    PRACK     offered; 481:PRACK;
    INFO      offered; 200:INFO; InfoReceived
    REFER     offered; ; Referred
    NOTIFY    offered; 481:NOTIFY;
    OPTIONS   offered; ; Requested
    185 s     offered; 100:INVITE;
alerting
    ring      early; 180:INVITE;
    accept    established; 200:INVITE; Established
    reject    ended; 486:INVITE; Ended Closed
    redirect  ended; 302:INVITE; Ended Closed
    hang_up   ended; 480:INVITE; Ended Closed
    offer     LocalError
    answer    early; ;
    refuse    early; ;
    info      early; INFO;
    refer     early; REFER;
    180       early; ;
    200       early; ;
    486       early; ;
    ACK       early; ;
    BYE       ended; 487:INVITE 200:BYE; Ended Closed
    CANCEL    ended; 200:CANCEL 487:INVITE; Ended Closed
    INVITE    early; 500:INVITE;
    UPDATE    early; 500:UPDATE;
    UPDATE-   early; 200:UPDATE;
    PRACK     early; 481:PRACK;
    INFO      early; 200:INFO; InfoReceived
    REFER     early; ; Referred
    NOTIFY    early; 481:NOTIFY;
    OPTIONS   early; ; Requested
    185 s     early; 180:INVITE;
answered
    ring      established; ;
    accept    established; ;
    reject    established; ;
    redirect  established; ;
    hang_up   ending; ; Ended
    offer     established; ;
    answer    established; ;
    refuse    established; ;
    info      established; INFO;
    refer     established; REFER;
    180       established; ;
    200       established; ;
    486       established; ;
    ACK       established; ;
    BYE       ended; 200:BYE; Ended Closed
    CANCEL    established; 200:CANCEL;
    INVITE    established; ; Reoffered
    UPDATE    established; ; Reoffered
    UPDATE-   established; 200:UPDATE;
    PRACK     established; 481:PRACK;
    INFO      established; 200:INFO; InfoReceived
    REFER     established; ; Referred
    NOTIFY    established; 481:NOTIFY;
    OPTIONS   established; ; Requested
    185 s     ended; 200:INVITE BYE; Ended Closed
established
    ring      LocalError
    accept    LocalError
    reject    LocalError
    redirect  LocalError
    hang_up   ending; BYE; Ended
    offer     established; INVITE;
    answer    established; ;
    refuse    established; ;
    info      established; INFO;
    refer     established; REFER;
    180       established; ;
    200       established; ACK;
    486       established; ;
    ACK       established; ;
    BYE       ended; 200:BYE; Ended Closed
    CANCEL    established; 481:CANCEL;
    INVITE    established; ; Reoffered
    UPDATE    established; ; Reoffered
    UPDATE-   established; 200:UPDATE;
    PRACK     established; 481:PRACK;
    INFO      established; 200:INFO; InfoReceived
    REFER     established; ; Referred
    NOTIFY    established; 481:NOTIFY;
    OPTIONS   established; ; Requested
    185 s     established; ;
cancelling
    ring      LocalError
    accept    LocalError
    reject    LocalError
    redirect  LocalError
    hang_up   ending; ;
    offer     LocalError
    answer    ending; ;
    refuse    ending; ;
    info      LocalError
    refer     LocalError
    180       ending; ;
    200       ending; ACK BYE;
    486       ended; ACK; Closed
    ACK       ending; ;
    BYE       ending; 200:BYE;
    CANCEL    ending; 481:CANCEL;
    INVITE    ending; 481:INVITE;
    UPDATE    ending; 481:UPDATE;
    UPDATE-   ending; 481:UPDATE;
    PRACK     ending; 481:PRACK;
    INFO      ending; 481:INFO;
    REFER     ending; 481:REFER;
    NOTIFY    ending; 481:NOTIFY;
    OPTIONS   ending; 481:OPTIONS;
    185 s     ended; CANCEL; Closed
leaving
    ring      LocalError
    accept    LocalError
    reject    LocalError
    redirect  LocalError
    hang_up   ending; ;
    offer     LocalError
    answer    ending; ;
    refuse    ending; ;
    info      LocalError
    refer     LocalError
    180       ending; ;
    200       ending; ACK;
    486       ending; ;
    ACK       ending; ;
    BYE       ending; 200:BYE;
    CANCEL    ending; 481:CANCEL;
    INVITE    ending; 481:INVITE;
    UPDATE    ending; 481:UPDATE;
    UPDATE-   ending; 481:UPDATE;
    PRACK     ending; 481:PRACK;
    INFO      ending; 481:INFO;
    REFER     ending; 481:REFER;
    NOTIFY    ending; 481:NOTIFY;
    OPTIONS   ending; 481:OPTIONS;
    185 s     ended; BYE; Closed
waiting
    ring      ending; ;
    accept    ending; ;
    reject    ending; ;
    redirect  ending; ;
    hang_up   ending; ;
    offer     LocalError
    answer    ending; ;
    refuse    ending; ;
    info      LocalError
    refer     LocalError
    180       ending; ;
    200       ending; ;
    486       ending; ;
    ACK       ending; BYE;
    BYE       ended; 200:BYE; Closed
    CANCEL    ending; 200:CANCEL;
    INVITE    ending; 481:INVITE;
    UPDATE    ending; 481:UPDATE;
    UPDATE-   ending; 481:UPDATE;
    PRACK     ending; 481:PRACK;
    INFO      ending; 481:INFO;
    REFER     ending; 481:REFER;
    NOTIFY    ending; 481:NOTIFY;
    OPTIONS   ending; 481:OPTIONS;
    185 s     ended; 200:INVITE BYE; Closed
ended
    ring      LocalError
    accept    LocalError
    reject    LocalError
    redirect  LocalError
    hang_up   ended; ;
    offer     LocalError
    answer    ended; ;
    refuse    ended; ;
    info      LocalError
    refer     LocalError
    180       ended; ;
    200       ended; ACK;
    486       ended; ;
    ACK       ended; ;
    BYE       ended; 481:BYE;
    CANCEL    ended; 481:CANCEL;
    INVITE    ended; 481:INVITE;
    UPDATE    ended; 481:UPDATE;
    UPDATE-   ended; 481:UPDATE;
    PRACK     ended; 481:PRACK;
    INFO      ended; 481:INFO;
    REFER     ended; 481:REFER;
    NOTIFY    ended; 481:NOTIFY;
    OPTIONS   ended; 481:OPTIONS;
    185 s     ended; ;
"""


def rows() -> list[tuple[str, str, str]]:
    """The table: (state, event, result)."""
    found = []
    state = ""
    for line in TABLE.strip().split("\n"):
        if not line.startswith(" "):
            state = line
            continue
        event, _, expected = line.strip().partition("  ")
        if not expected:
            event, _, expected = line.strip().partition(" ")
        found.append((state, event, expected.strip()))
    return found
