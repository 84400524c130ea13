"""Random commands on a network that loses, doubles and reorders: in the end both sides agree, and nothing is left.

Both are in the call or neither is; in the call they have the same descriptions. After the last hang-up all tables and
timers are empty. No dialog is ever left open at the far end.
"""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.sip.session import Session
from ringback.sip.session_events import CoreEvent, DescriptionReceived, Ended, Established, Offered, Referred, Reoffered
from ringback.sip.session_kinds import ENDED, ESTABLISHED
from tests.sip.agents import Agent, Domain, Net

COMMANDS = [
    "ring",
    "media",
    "accept",
    "reject",
    "hang_up",
    "offer",
    "ask",
    "answer",
    "refuse",
    "info",
    "refer",
    "redirect",
]


class Player:
    """An agent that reacts to some events at once, and else does what it is told."""

    def __init__(self, agent: Agent, chance: random.Random, eager: float) -> None:
        self.agent = agent
        self.chance = chance
        self.eager = eager
        self.sessions: list[Session] = []
        self.count = 0
        self.ended: list[Session] = []
        agent.on = self.told

    def body(self) -> bytes:
        self.count += 1
        return f"{self.agent.name} {self.count}".encode()

    def told(self, event: CoreEvent) -> None:
        now = self.agent.net.now
        if isinstance(event, Offered):
            self.sessions.append(event.session)
            if self.chance.random() < self.eager:
                event.session.accept(now, self.body())
        elif isinstance(event, Reoffered) or (isinstance(event, DescriptionReceived) and event.kind == "offer"):
            chance = self.chance.random()
            if chance < self.eager:
                event.session.answer(now, self.body())
            elif chance > 0.95:
                event.session.refuse(now)
        elif isinstance(event, Referred) and self.chance.random() < self.eager:
            self.agent.core.refer_accept(event.token, now)
            self.agent.core.refer_progress(event.token, self.chance.choice([180, 200, 486]), "", now)
        elif isinstance(event, Ended):
            assert event.session not in self.ended, "ended twice"
            self.ended.append(event.session)
        elif isinstance(event, Established):
            assert event.session not in self.ended

    def do(self, command: str) -> None:
        now = self.agent.net.now
        for session in self.sessions:
            try:
                self.command(session, command, now)
            except LocalError:
                continue

    def command(self, session: Session, command: str, now: float) -> None:
        if command == "ring":
            session.ring(now)
        elif command == "media":
            session.ring(now, 183, self.body())
        elif command == "accept":
            session.accept(now, self.body())
        elif command == "reject":
            session.reject(now)
        elif command == "redirect":
            session.redirect(now, ["sip:nobody@nowhere.example"])
        elif command == "hang_up":
            session.hang_up(now)
        elif command == "offer":
            session.offer(now, self.body())
        elif command == "ask":
            session.offer(now, b"")
        elif command == "answer":
            session.answer(now, self.body())
        elif command == "refuse":
            session.refuse(now)
        elif command == "info":
            session.info(now, "a/b", b"x")
        else:
            session.refer(now, "sip:carol@192.0.2.99")


def play(seed: int, steps: list[tuple[float, int, str]], *, forked: bool) -> None:
    """One random call."""
    net = Net(seed)
    chance = net.chance
    reliable = chance.choice(["none", "supported", "required"])
    with_timer = chance.choice([0, 90])
    proxy = Domain(net) if forked or chance.random() < 0.3 else None
    agents = [
        Agent(net, name, reliable=reliable, session_expires=with_timer)
        for name in (["alice", "bob", "carol"] if forked else ["alice", "bob"])
    ]
    eager = chance.choice([0.0, 0.5, 0.95])
    players = [Player(agent, chance, eager) for agent in agents]
    if proxy is not None:
        proxy.users["team"] = [agent.uri for agent in agents[1:]]
    target = "sip:team@example.org" if proxy is not None else agents[1].uri
    players[0].sessions.append(agents[0].call(target, chance.choice([b"", b"first"])))
    for delay, who, command in steps:
        net.run(delay)
        players[who % len(players)].do(command)
    net.run(120.0)
    check(net, agents, players)
    for player in players[:: chance.choice([1, -1])]:
        player.do("hang_up")
        net.run(chance.choice([0.0, 1.0]))
    # Timers of subscriptions run for some minutes, those that nobody answers; proxies' timer C too.
    net.run(600.0)
    for player in players:
        for session in player.sessions:
            assert session.state == ENDED, f"seed {seed}: {session}\n{net.ladder()}"
    left = [line for agent in agents for line in agent.at_rest()]
    assert not left, f"seed {seed}\n" + "\n".join([*left, net.ladder()])
    assert not any(agent.malformed for agent in agents)


def check(net: Net, agents: list[Agent], players: list[Player]) -> None:
    """Long after the last command: who is in a call is in one with the other."""
    ours = players[0].sessions[0]
    theirs = [session for player in players[1:] for session in player.sessions]
    confirmed = [session for session in theirs if session.state == ESTABLISHED]
    if ours.state == ESTABLISHED:
        assert len(confirmed) == 1, f"{ours} {theirs}\n{net.ladder()}"
        [other] = confirmed
        assert ours.dialog is not None and other.dialog is not None
        assert (ours.dialog.local_tag, ours.dialog.remote_tag) == (other.dialog.remote_tag, other.dialog.local_tag)
        if ours.negotiation.state == "idle" and other.negotiation.state == "idle":
            mine = (ours.negotiation.local, ours.negotiation.remote)
            assert mine == (other.negotiation.remote, other.negotiation.local), net.ladder()
    else:
        assert not confirmed, f"{ours} {theirs}\n{net.ladder()}"


STEPS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.03, 0.3, 2.0, 50.0]), st.integers(0, 2), st.sampled_from(COMMANDS)), max_size=12
)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), steps=STEPS, forked=st.booleans())
def test_both_sides_agree_and_nothing_is_left(seed: int, steps: list[tuple[float, int, str]], forked: bool) -> None:
    play(seed, steps, forked=forked)


@pytest.mark.parametrize("seed", range(150))
def test_seeds(seed: int) -> None:
    """The same, with commands from the seed: each run is another and each is repeated as it was."""
    chance = random.Random(seed)
    steps = [
        (chance.choice([0.0, 0.03, 0.3, 2.0]), chance.randrange(3), chance.choice(COMMANDS))
        for _ in range(chance.randrange(14))
    ]
    play(seed, steps, forked=seed % 3 == 0)


# what nobody should send ---------------------------------------------------------------------------------------------


def mangled(data: bytes, chance: random.Random) -> bytes:
    """The message with something wrong: octets, lines, tags, methods; a request mostly is another one than before."""
    if not data.startswith(b"SIP/") and chance.random() < 0.8:
        number = chance.randrange(1 << 30)
        data = data.replace(b";branch=z9hG4bK", b";branch=z9hG4bK%d" % number, 1)
        data = re.sub(rb"CSeq: \d+", b"CSeq: %d" % (number if chance.random() < 0.5 else number % 9), data)
    kind = chance.randrange(7)
    if kind == 0:
        place = chance.randrange(len(data))
        return data[:place] + bytes((chance.randrange(256),)) + data[place + chance.randrange(3) :]
    lines = data.split(b"\r\n")
    place = chance.randrange(len(lines))
    if kind == 1:
        del lines[place]
    elif kind == 2:
        lines.insert(place, lines[chance.randrange(len(lines))])
    elif kind == 3:
        name = lines[place].partition(b":")[0]
        lines[place] = name + chance.choice([b":", b': "', b": <", b": ;tag=", b": 0 x", b": 99999999999", b": \0\xff"])
    elif kind == 4:
        return data.replace(b";tag=", chance.choice([b";tag=x", b";gat=", b";tag"]), 1)
    elif kind == 5:
        extra = [
            b"Require: 100rel",
            b"RSeq: 1",
            b"Replaces: a;to-tag=b;from-tag=c",
            b"Session-Expires: 1",
            b"Expires: 1",
        ]
        extra += [b"Refer-To: <sip:a@b>", b"RAck: 1 1 INVITE", b"Event: refer", b"Subscription-State: active"]
        lines.insert(max(place, 1), chance.choice(extra))
    else:
        methods = [b"INVITE", b"UPDATE", b"PRACK", b"REFER", b"NOTIFY", b"INFO", b"SUBSCRIBE", b"BYE", b"ACK", b"X"]
        method = chance.choice(methods[: 10 if chance.random() < 0.2 else 7])
        return data.replace(lines[0].partition(b" ")[0], method)
    return b"\r\n".join(lines)


@pytest.mark.parametrize("seed", range(60))
def test_nothing_that_comes_raises_anything(seed: int) -> None:
    """Besides each message of a random call come others like it that are broken."""
    chance = random.Random(seed)
    net = Net()
    agents = [Agent(net, name, reliable="supported", session_expires=90) for name in ("alice", "bob")]
    players = [Player(agent, chance, 0.8) for agent in agents]
    send = net.send

    def also(sender, data, flow, key) -> None:  # type: ignore[no-untyped-def]
        try:
            send(sender, data, flow, key)
        except ParseError:
            # The answer to something of which not even the headers could be read.
            return
        receiver = net.nodes.get(flow.host)
        if receiver is not None:
            back = sender.flow(receiver)
            back.host, back.local = sender.host, receiver.local("UDP")
            for _ in range(3):
                receiver.stack.receive(mangled(data, chance), back, net.now)

    net.send = also  # type: ignore[method-assign]
    players[0].sessions.append(agents[0].call(agents[1]))
    for _ in range(12):
        net.run(chance.choice([0.0, 0.3, 2.0, 50.0]))
        chance.choice(players).do(chance.choice(COMMANDS))
    net.send = send  # type: ignore[method-assign]
    for player in players:
        player.do("hang_up")
    net.run(700.0)
    left = [line for agent in agents for line in agent.at_rest()]
    # Calls that were mangled into being may still ring: nobody has answered them.
    for agent in agents:
        for session in list(agent.core.tu.sessions):
            session.hang_up(net.now)  # type: ignore[attr-defined]
    net.run(700.0)
    left = [line for agent in agents for line in agent.at_rest()]
    assert not left, "\n".join(left)
