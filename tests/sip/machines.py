"""A transaction machine on a clock that only the test moves, and the tables that say what it has to do.

A table has a row for every pair of state and event. A row is one `Step` for both transports, or one for UDP and one for
TCP; None stands for a timer that may not even run over TCP. Times are seconds since the transaction began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import NamedTuple

from ringback.sip import transaction as numbers
from ringback.sip.timers import Send, Timers
from ringback.sip.transaction import Transaction
from ringback.sip.transport import Flow

START = 1000.0
#: When a machine is brought to the state that is asked for, and when the event of the row comes.
BEFORE = 0.125
NOW = 0.1875
EVER = 1e9

FLOWS = {
    "UDP": Flow("UDP", "udp:192.0.2.1:5060", "192.0.2.4", 5060),
    "TCP": Flow("TCP", "tcp:192.0.2.1:5060", "192.0.2.4", 49152, 7),
}
TRANSPORTS = tuple(FLOWS)

#: Timers by the names of RFC 3261 table 4 and RFC 6026; "trying" is the delay before 100 (Trying).
KINDS = {name: getattr(numbers, f"TIMER_{name}") for name in "ABDEFGHIJKLM"} | {"trying": numbers.TIMER_TRYING}
NAMES = {kind: name for name, kind in KINDS.items()}


class Step(NamedTuple):
    """What one event does.

    outcome  what the machine returns
    state    the state that it leads to
    sent     what is sent, in order: names of messages
    timers   the timers that run afterwards, each with the time at which it fires
    at       of a timer: when it fires by itself; None when it does not run in that state and is made to fire
    """

    outcome: int | bool | None
    state: int
    sent: tuple[str, ...] = ()
    timers: Mapping[str, float] = {}
    at: float | None = None


Row = Step | tuple[Step, Step | None]
Table = dict[tuple[str, str], Row]
Fired = tuple[float, str, int, list[bytes]]


def step_of(row: Row, transport: str) -> Step | None:
    """The step of a row over one transport."""
    return row if isinstance(row, Step) else row[TRANSPORTS.index(transport)]


def unpaired(table: Table, states: Iterable[str], events: Iterable[str]) -> set[tuple[str, str]]:
    """Pairs of state and event that have no row, and rows that belong to no pair."""
    return set(product(states, events)) ^ set(table)


class Rig:
    """One machine and its timers.

    tell  the third part of what it sends: the key of the transaction that hears of a failure, or ""
    """

    def __init__(self, machine: Transaction, tell: str) -> None:
        self.machine: Transaction = machine
        self.timers: Timers = Timers()
        self.sends: list[Send] = []
        self.tell: str = tell

    def take(self) -> list[bytes]:
        """The octets sent since the last time, all of them over the machine's flow."""
        sends = self.sends.copy()
        self.sends.clear()
        for _, flow, key in sends:
            assert flow is self.machine.flow
            assert key == self.tell
        return [data for data, _, _ in sends]

    def run(self, until: float = EVER, stop: str = "") -> list[Fired]:
        """Let the clock go on: up to `until`, and no further than to the firing of the timer `stop`.

        For each timer that fired: when, which, the outcome, and the octets that it sent.
        """
        seen: list[Fired] = []
        while True:
            deadline = self.timers.deadline()
            if deadline is None or deadline > START + until:
                return seen
            for timer in self.timers.due(deadline):
                if timer.owner is None:
                    continue
                assert timer.owner is self.machine
                assert timer.at == deadline
                timer.owner = None
                outcome = self.machine.expired(timer.kind, deadline, self.timers, self.sends)
                seen.append((_since(deadline), NAMES[timer.kind], outcome, self.take()))
                if NAMES[timer.kind] == stop:
                    return seen

    def force(self, name: str) -> int:
        """Fire a timer that does not run; the outcome."""
        return self.machine.expired(KINDS[name], START + NOW, self.timers, self.sends)

    def running(self) -> dict[str, float]:
        """The timers that run, and when they fire. This is the last look at a machine: its timers are gone then."""
        left = self.timers.due(START + EVER)
        names = [NAMES[timer.kind] for timer in left]
        assert len(set(names)) == len(names), f"a timer runs twice: {names}"
        return {name: _since(timer.at) for name, timer in zip(names, left, strict=True)}

    def check(self, step: Step, outcome: int | bool | None, sent: list[bytes], messages: Mapping[str, bytes]) -> None:
        """Whether what an event did is what the step says; `messages` are the octets of what can be sent."""
        assert sent == [messages[name] for name in step.sent]
        assert (outcome, self.machine.state) == (step.outcome, step.state)
        assert self.running() == step.timers

    def check_timer(self, name: str, step: Step | None, messages: Mapping[str, bytes]) -> None:
        """The same for the firing of a timer."""
        if step is None:
            assert name not in self.running()
        elif step.at is None:
            outcome = self.force(name)
            self.check(step, outcome, self.take(), messages)
        else:
            self.take()
            at, fired, outcome, sent = self.run(stop=name)[-1]
            assert (at, fired) == (step.at, name)
            self.check(step, outcome, sent, messages)


def _since(now: float) -> float:
    """Seconds since the beginning, without what adding 0.2 to START makes of it."""
    return round(now - START, 9)


def timed_sends(fired: list[Fired]) -> list[tuple[float, list[bytes]]]:
    """When something was sent, and what."""
    return [(at, sent) for at, _, _, sent in fired if sent]
