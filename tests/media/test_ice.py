"""ICE agents in a network on a virtual clock: NATs, loss, disorder, roles, nomination, forgers, restarts, consent."""

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ringback.media.candidates import HOST, MOST_REMOTE
from ringback.media.checklist import MOST_PAIRS
from ringback.media.consent import EXPIRY
from ringback.media.ice import LIMIT, NOMINATION_WAIT, PATIENCE, IceAgent
from ringback.media.stun import (
    BINDING,
    ERROR,
    ERROR_CODE,
    ICE_CONTROLLED,
    ICE_CONTROLLING,
    INDICATION,
    PRIORITY,
    REQUEST,
    RESPONSE,
    UNKNOWN_ATTRIBUTES,
    USE_CANDIDATE,
    USERNAME,
    XOR_MAPPED_ADDRESS,
    Address,
    Attribute,
    Message,
    encode_stun,
    error_value,
    number,
    parse_stun,
    xor_address,
)
from ringback.sdp.ice import Candidate, IceParameters
from tests.media.network import Kind, Nat, Network, Node, meet, settle

HERE, THERE = "198.51.100.1", "198.51.100.2"
TURN = "203.0.113.9"


def pair(network: Network, components: int = 1, **options: bool) -> tuple[Node, Node]:
    """An offerer and an answerer without addresses."""
    here = Node(network, controlling=True, components=components)
    there = Node(network, controlling=False, components=components, **options)
    return here, there


def in_the_open(components: int = 1, loss: float = 0.0, seed: int = 1) -> tuple[Network, Node, Node]:
    network = Network(seed, loss)
    here, there = pair(network, components)
    here.add_host(HERE)
    there.add_host(THERE)
    return network, here, there


def way(here: tuple[str, int], there: tuple[str, int]) -> dict[int, tuple[Address, Address]]:
    return {1: (here, there)}


def agree(here: Node, there: Node) -> None:
    """Both are done, and each sends to where the other is seen."""
    assert (here.agent.state, there.agent.state) == ("completed", "completed")
    assert here.failures == there.failures == []
    assert set(here.ways) == set(there.ways) == set(range(1, min(here.components, there.components) + 1))
    for component in here.ways:
        for one, other in ((here, there), (there, here)):
            assert one.reaches(other, *one.ways[component])


@pytest.mark.parametrize("components", [1, 2])
@pytest.mark.parametrize("later", [0.0, 0.3])
def test_two_agents_in_the_open(components: int, later: float) -> None:
    _, here, there = in_the_open(components)
    meet(here, there, later)
    assert settle(here, there) < 1
    agree(here, there)
    for component in range(1, components + 1):
        port = 3999 + component
        assert here.ways[component] == ((HERE, port), (THERE, port))
        assert there.ways[component] == ((THERE, port), (HERE, port))
    assert (here.agent.controlling, there.agent.controlling) == (True, False)
    assert [event.complete for event in here.selections] == [False] * (components - 1) + [True]


def test_ipv6() -> None:
    network = Network()
    here, there = pair(network)
    here.add_host("2001:db8::1")
    here.add_host("10.0.0.1", preference=100)
    there.add_host("2001:db8::2")
    meet(here, there)
    settle(here, there)
    agree(here, there)
    assert here.ways == way(("2001:db8::1", 4000), ("2001:db8::2", 4000))


KINDS: list[Kind] = ["full cone", "port restricted", "symmetric"]


@pytest.mark.parametrize("one", KINDS)
@pytest.mark.parametrize("other", KINDS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_through_two_nats(one: Kind, other: Kind, seed: int) -> None:
    """With a relay on both sides, which is used only where nothing else leads through."""
    network = Network(seed)
    here, there = pair(network)
    here.add_host("10.0.0.1", nat=Nat(HERE, one))
    there.add_host("10.1.0.1", nat=Nat(THERE, other))
    here.add_relay(TURN, 50000)
    there.add_relay(TURN, 60000)
    meet(here, there)
    settle(here, there)
    agree(here, there)
    hard = {one, other} in ({"symmetric"}, {"symmetric", "port restricted"})
    relayed = any(address[0] == TURN for ways in (here.ways, there.ways) for address in ways[1])
    assert relayed is hard


def test_behind_the_same_nat_the_private_addresses_are_used() -> None:
    network = Network()
    nat = Nat(HERE, "port restricted")
    here, there = pair(network)
    here.add_host("10.0.0.1", nat=nat)
    there.add_host("10.0.0.2", nat=nat)
    meet(here, there)
    settle(here, there)
    agree(here, there)
    assert here.ways == way(("10.0.0.1", 4000), ("10.0.0.2", 4000))


def test_a_peer_reflexive_address_is_learnt() -> None:
    """The answerer has no STUN server and a symmetric NAT: its address is nowhere in SDP."""
    network = Network()
    here, there = pair(network)
    here.add_host(HERE)
    nat = Nat(THERE, "symmetric")
    there.add_host("10.1.0.1", nat=nat)
    there.agent.local = [candidate for candidate in there.agent.local if candidate.kind == HOST]
    meet(here, there)
    settle(here, there)
    agree(here, there)
    base, to = here.ways[1]
    assert base == (HERE, 4000)
    assert to[0] == THERE
    assert to not in [(candidate.address, candidate.port) for candidate in there.agent.parameters.candidates]
    assert here.agent.selected[1].pair is not None
    assert here.agent.selected[1].pair.remote.kind == "prflx"


def test_the_best_of_several_ways_is_used() -> None:
    network = Network()
    here, there = pair(network)
    here.add_relay(TURN, 50000)
    here.add_host(HERE, 4000, preference=10)
    here.add_host("198.51.100.11", 4000, preference=1000)
    there.add_host(THERE)
    meet(here, there)
    settle(here, there)
    agree(here, there)
    assert here.ways == way(("198.51.100.11", 4000), (THERE, 4000))


def test_a_way_that_leads_nowhere_is_waited_for_only_a_while() -> None:
    network = Network()
    here, there = pair(network)
    here.add_host("10.0.0.1", nat=Nat(HERE, "port restricted"))
    there.add_host(THERE, preference=10)
    # A better one that nobody can reach, as of another network.
    there.add_host("192.168.7.7", nat=Nat("203.0.113.77", "port restricted"))
    meet(here, there)
    took = settle(here, there)
    assert NOMINATION_WAIT <= took < NOMINATION_WAIT + 1
    agree(here, there)


@pytest.mark.parametrize("loss", [0.1, 0.3])
@pytest.mark.parametrize("seed", range(25))
def test_loss_and_disorder(loss: float, seed: int) -> None:
    network = Network(seed, loss, delay=(0.01, 0.4))
    here, there = pair(network, 2)
    here.add_host("10.0.0.1", nat=Nat(HERE, "port restricted"))
    there.add_host("10.1.0.1", nat=Nat(THERE, "full cone"))
    there.add_relay(TURN, 60000)
    meet(here, there, 0.5)
    settle(here, there)
    agree(here, there)


def test_one_port_when_the_other_side_has_only_one() -> None:
    network = Network()
    here = Node(network, controlling=True, components=2)
    there = Node(network, controlling=False, components=1)
    here.add_host(HERE)
    there.add_host(THERE)
    meet(here, there)
    settle(here, there)
    agree(here, there)
    assert here.agent.components == {1}


def test_without_a_way_it_fails_and_says_so() -> None:
    network = Network()
    here, there = pair(network)
    here.add_host("10.0.0.1", nat=Nat(HERE, "symmetric"))
    there.add_host("10.1.0.1", nat=Nat(THERE, "symmetric"))
    meet(here, there)
    took = settle(here, there)
    assert PATIENCE <= took <= LIMIT
    assert (here.agent.state, there.agent.state) == ("failed", "failed")
    assert [event.reason for event in here.failures] == ["no pair of addresses has led to the far end"]
    assert here.ways == there.ways == {}
    network.run(60)
    assert here.agent.deadline() is None
    assert network.run(60) == 60


def test_without_any_candidate_it_fails_patiently() -> None:
    _, here, _ = in_the_open()
    here.agent.start(IceParameters("abcd", "x" * 22), True, 100.0, 1)
    assert here.network.run(60, lambda: here.agent.state == "failed") == PATIENCE


# Roles.


@pytest.mark.parametrize("controlling", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_a_conflict_of_roles_is_resolved(controlling: bool, seed: int) -> None:
    """Section 7.3.1.1: both believe the same, as with third party call control."""
    network, here, there = in_the_open(2, seed=seed)
    here.agent.start(there.agent.parameters, controlling, network.now)
    there.agent.start(here.agent.parameters, controlling, network.now)
    settle(here, there)
    agree(here, there)
    assert here.agent.controlling is not there.agent.controlling


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("controlling", [True, False])
def test_with_a_lite_agent(loss: float, controlling: bool) -> None:
    """Section 6.1.1: the full one is controlling whatever was offered; the lite one sends no check."""
    network = Network(3, loss)
    here, there = pair(network, 2, lite=True)
    here.add_host("10.0.0.1", nat=Nat(HERE, "symmetric"))
    there.add_host(THERE)
    there.agent.start(here.agent.parameters, not controlling, network.now)
    here.agent.start(there.agent.parameters, controlling, network.now)
    settle(here, there)
    agree(here, there)
    assert (here.agent.controlling, there.agent.controlling) == (True, False)
    sent = [parse_stun(data) for _, base, _, data in network.log if base[0] == THERE]
    assert {message.kind for message in sent if message is not None} == {RESPONSE}
    assert here.agent.parameters.lite is False
    assert there.agent.parameters.lite is True


def test_two_lite_agents() -> None:
    network = Network()
    here = Node(network, controlling=True, lite=True, components=2)
    there = Node(network, controlling=False, lite=True, components=2)
    here.add_host(HERE)
    there.add_host(THERE)
    meet(here, there)
    assert settle(here, there) == 0
    assert here.ways == {1: ((HERE, 4000), (THERE, 4000)), 2: ((HERE, 4001), (THERE, 4001))}
    assert network.log == []


# A far end that is written by hand.


class Peer:
    """Speaks to one agent in messages of its own making."""

    def __init__(self, controlling: bool = False, lite: bool = False) -> None:
        self.network = Network()
        self.node = Node(self.network, controlling=controlling, lite=lite)
        self.node.add_host(HERE)
        self.agent = self.node.agent
        self.at: Address = (THERE, 4000)
        self.parameters = IceParameters(
            "PEER", "p" * 24, (Candidate("1", 1, "udp", 2130706431, THERE, 4000, HOST),), lite=False
        )
        self.transaction = 0

    def start(self) -> None:
        self.agent.start(self.parameters, self.node.agent.controlling, self.network.now, 1)
        self.agent.advance(self.network.now)

    def check(
        self,
        *extra: Attribute,
        source: Address | None = None,
        username: str = "",
        key: bytes | None = None,
        role: int = ICE_CONTROLLING,
        tiebreaker: int = 0,
        priority: int = 1862270975,
    ) -> list[Message]:
        """Send a Binding request; what comes back to where it was sent from."""
        self.transaction += 1
        attributes = [
            (USERNAME, (username or f"{self.agent.ufrag}:PEER").encode()),
            (PRIORITY, number(priority)),
            (role, number(tiebreaker, 8)),
            *extra,
        ]
        key = self.agent.password.encode() if key is None else key
        data = encode_stun(BINDING, REQUEST, self.transaction.to_bytes(12, "big"), attributes, key or None)
        return self.say(data, source)

    def say(self, data: bytes, source: Address | None = None) -> list[Message]:
        """Send octets; the messages that go out at once to where they were sent from."""
        source = source or self.at
        self.agent.receive(data, (HERE, 4000), source, self.network.now)
        return self.sent(source, (RESPONSE, ERROR))

    def sent(self, to: Address, kinds: tuple[int, ...] = (REQUEST,)) -> list[Message]:
        """What the agent has just sent `to`; the rest is forgotten."""
        sends, events = self.agent.take()
        self.node.events += events
        messages = [parse_stun(data) for base, data, where in sends if where == to and base == (HERE, 4000)]
        return [message for message in messages if message is not None and message.kind in kinds]

    def pass_time(self, seconds: float, to: Address | None = None) -> list[Message]:
        """The requests that are sent `to` in that time."""
        requests = self.sent(to or self.at)
        end = self.network.now + seconds
        while (when := self.agent.deadline()) is not None and when <= end:
            self.network.now = max(self.network.now, when)
            self.agent.advance(self.network.now)
            requests += self.sent(to or self.at)
        self.network.now = end
        return requests

    def reply(self, request: Message, source: Address | None = None, **changes: object) -> None:
        """Answer a request of the agent."""
        key = changes.get("key", b"p" * 24)
        assert isinstance(key, bytes)
        mapped = xor_address((HERE, 4000), request.transaction)
        kind, attributes = RESPONSE, [(XOR_MAPPED_ADDRESS, mapped)]
        code = changes.get("code")
        if isinstance(code, int):
            kind, attributes = ERROR, [(ERROR_CODE, error_value(code, ""))]
        elif changes.get("bare"):
            attributes = []
        data = encode_stun(BINDING, kind, request.transaction, attributes, key or None)
        self.agent.receive(data, (HERE, 4000), source or self.at, self.network.now)

    @property
    def ways(self) -> dict[int, tuple[Address, Address]]:
        return self.node.ways


def controlled(nominate: bool = True) -> Peer:
    """An agent that the peer controls, with a way in use if `nominate`."""
    peer = Peer()
    peer.start()
    [request] = peer.sent(peer.at)
    peer.reply(request)
    if nominate:
        peer.check((USE_CANDIDATE, b""))
        assert peer.ways == way((HERE, 4000), peer.at)
        assert peer.agent.state == "completed"
    return peer


def test_what_a_check_says() -> None:
    peer = Peer(controlling=True)
    peer.start()
    [request] = peer.sent(peer.at)
    assert request.text(USERNAME) == f"PEER:{peer.agent.ufrag}"
    assert request.authentic(b"p" * 24)
    assert request.fingerprint
    assert request.number(PRIORITY) == 1862270975
    assert request.number(ICE_CONTROLLING, 8) >= 0
    assert ICE_CONTROLLED not in request.attributes
    assert USE_CANDIDATE not in request.attributes
    peer.reply(request)
    peer.agent.advance(peer.network.now + 0.05)
    [nomination] = peer.sent(peer.at)
    assert USE_CANDIDATE in nomination.attributes
    assert peer.ways == {}
    peer.reply(nomination)
    assert peer.ways == way((HERE, 4000), peer.at)
    assert nomination.transaction != request.transaction


def test_what_an_answer_says() -> None:
    peer = controlled(nominate=False)
    [answer] = peer.check()
    assert answer.kind == RESPONSE
    assert answer.transaction == peer.transaction.to_bytes(12, "big")
    assert answer.address(XOR_MAPPED_ADDRESS) == peer.at
    assert answer.authentic(peer.agent.password.encode())
    assert answer.fingerprint
    assert USERNAME not in answer.attributes


def test_checks_are_paced_and_repeated() -> None:
    peer = Peer(controlling=True)
    candidates = [Candidate(str(port), 1, "udp", 1000 + port, THERE, port, HOST) for port in range(4000, 4010)]
    peer.parameters = replace(peer.parameters, candidates=tuple(candidates))
    peer.agent.start(peer.parameters, True, peer.network.now, 1)
    moments: list[float] = []
    while len(moments) < 10:
        when = peer.agent.deadline()
        assert when is not None
        peer.network.now = max(peer.network.now, when)
        peer.agent.advance(peer.network.now)
        sends, _ = peer.agent.take()
        assert len(sends) <= 1
        moments += [peer.network.now] * len(sends)
    gaps = [round(later - earlier, 6) for earlier, later in itertools.pairwise(moments)]
    assert gaps == [0.05] * 9


def test_regular_nomination_happens_once() -> None:
    peer = Peer(controlling=True)
    peer.start()
    requests = peer.pass_time(0)
    peer.reply(requests[0])
    [nomination] = peer.pass_time(0.2)
    peer.reply(nomination)
    assert [USE_CANDIDATE in request.attributes for request in peer.pass_time(12)] == [False, False]


def test_a_nomination_that_is_not_answered_goes_to_another_pair() -> None:
    peer = Peer(controlling=True)
    other = (THERE, 4001)
    peer.parameters = replace(
        peer.parameters,
        candidates=(*peer.parameters.candidates, Candidate("2", 1, "udp", 1000, *other, HOST)),
    )
    peer.start()
    [first] = peer.sent(peer.at)
    peer.reply(first)
    peer.agent.advance(peer.network.now + 0.05)
    peer.agent.take()
    peer.network.now += 0.1
    peer.agent.advance(peer.network.now)
    [second] = peer.sent(other)
    peer.reply(second, source=other)
    nominations = peer.pass_time(25, to=other)
    assert USE_CANDIDATE in nominations[-1].attributes
    peer.reply(nominations[-1], source=other)
    assert peer.ways == way((HERE, 4000), other)


def test_aggressive_nomination_of_old_peers() -> None:
    """RFC 5245 section 8.1.1.2: each check nominates; "the agents MUST … use the pairs with the highest priority"."""
    peer = Peer()
    better = (THERE, 5000)
    peer.start()
    [request] = peer.sent(peer.at)
    peer.check((USE_CANDIDATE, b""))
    assert peer.ways == {}
    peer.reply(request)
    assert peer.ways == way((HERE, 4000), peer.at)
    peer.check((USE_CANDIDATE, b""), source=better, priority=2130706431)
    [request] = peer.pass_time(0.1, to=better)
    peer.reply(request, source=better)
    assert peer.ways == way((HERE, 4000), better)
    # One that is worse is nominated, too, and not used; media from it is taken all the same.
    worse = (THERE, 6000)
    peer.check((USE_CANDIDATE, b""), source=worse, priority=5)
    [request] = peer.pass_time(0.1, to=worse)
    peer.reply(request, source=worse)
    assert peer.ways == way((HERE, 4000), better)
    assert peer.agent.admits(1, (HERE, 4000), better)
    assert peer.agent.admits(1, (HERE, 4000), peer.at)
    assert peer.agent.admits(1, (HERE, 4000), worse)
    assert not peer.agent.admits(1, (HERE, 4000), (THERE, 7000))
    assert not peer.agent.admits(2, (HERE, 4000), better)


def test_a_nomination_may_come_before_or_after_our_own_check() -> None:
    early = Peer()
    early.check((USE_CANDIDATE, b""))
    assert early.ways == {}
    early.start()
    [request] = early.sent(early.at)
    early.reply(request)
    assert early.ways == way((HERE, 4000), early.at)
    late = controlled(nominate=False)
    assert late.ways == {}
    late.check((USE_CANDIDATE, b""))
    assert late.ways == way((HERE, 4000), late.at)


def test_requests_before_the_sdp_are_answered_and_bounded() -> None:
    """Section 7.3: "the agent MUST immediately generate a response"."""
    peer = Peer()
    for port in range(5000, 5100):
        [answer] = peer.check(source=(THERE, port))
        assert answer.address(XOR_MAPPED_ADDRESS) == (THERE, port)
    assert len(peer.agent._early) == 32
    peer.start()
    assert len(peer.agent.checklist.pairs) == 33


def test_a_check_that_comes_is_returned_before_others() -> None:
    peer = Peer()
    candidates = [Candidate(str(port), 1, "udp", 1000 + port, THERE, port, HOST) for port in range(4000, 4020)]
    peer.parameters = replace(peer.parameters, candidates=tuple(candidates))
    peer.start()
    peer.agent.take()
    peer.check(source=(THERE, 4003))
    peer.network.now += 0.05
    peer.agent.advance(peer.network.now)
    assert len(peer.sent((THERE, 4003))) == 1


# Forgers (A27).


def forgeries(peer: Peer) -> list[Callable[[], list[Message]]]:
    """Binding requests that nobody signed, or not with the right key."""
    right = peer.agent.password.encode()
    unsigned = encode_stun(
        BINDING, REQUEST, bytes(12), [(USERNAME, f"{peer.agent.ufrag}:PEER".encode()), (USE_CANDIDATE, b"")]
    )
    stranger: Address = ("203.0.113.66", 666)
    return [
        lambda: peer.say(unsigned, stranger),
        lambda: peer.check((USE_CANDIDATE, b""), source=stranger, key=b"wrong"),
        lambda: peer.check((USE_CANDIDATE, b""), source=stranger, username="nobody:PEER"),
        lambda: peer.check((USE_CANDIDATE, b""), source=stranger, username=":PEER"),
        lambda: peer.check((USE_CANDIDATE, b""), source=stranger, username="PEER"),
        lambda: peer.check((USE_CANDIDATE, b""), source=stranger, key=b"p" * 24),
        lambda: peer.say(unsigned[:-8] + right, stranger),
        lambda: peer.say(b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12), stranger),
        lambda: peer.say(b"noise", stranger),
        lambda: peer.say(encode_stun(BINDING, RESPONSE, bytes(12), [], right), stranger),
        lambda: peer.say(encode_stun(3, REQUEST, bytes(12), [], right), stranger),
    ]


@pytest.mark.parametrize("case", range(11))
@pytest.mark.parametrize("lite", [False, True])
@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_message_without_the_right_signature_is_not_answered_and_moves_nothing(
    case: int, lite: bool, when: str
) -> None:
    peer = Peer(lite=lite)
    if when != "before":
        peer.start()
    if when == "after":
        if not lite:
            [request] = peer.sent(peer.at)
            peer.reply(request)
        peer.check((USE_CANDIDATE, b""))
        assert peer.ways == way((HERE, 4000), peer.at)
    before = (peer.ways, peer.agent.state, len(peer.agent.checklist.pairs), peer.agent.ignored)
    assert forgeries(peer)[case]() == []
    assert (peer.ways, peer.agent.state, len(peer.agent.checklist.pairs), peer.agent.ignored - 1) == before
    if when == "before":
        peer.start()
    assert peer.pass_time(3, to=("203.0.113.66", 666)) == []


def test_answers_without_the_right_signature_neither_fail_nor_succeed() -> None:
    peer = Peer(controlling=True)
    peer.start()
    [request] = peer.sent(peer.at)
    for key in (b"", b"wrong", peer.agent.password.encode()):
        peer.reply(request, key=key)
        for code in (400, 487, 403):
            peer.reply(request, key=key, code=code)
    assert peer.agent.ignored == 12
    assert peer.agent.controlling
    assert peer.agent.checklist.pairs[0].state == "checking"
    peer.reply(request)
    assert peer.agent.checklist.pairs[0].valid


def test_an_answer_from_elsewhere_fails_the_pair() -> None:
    """Section 7.2.5.2.1: the addresses have to be symmetric."""
    peer = Peer(controlling=True)
    peer.start()
    [request] = peer.sent(peer.at)
    peer.reply(request, source=(THERE, 4444))
    assert peer.agent.checklist.pairs[0].state == "failed"
    assert not peer.agent.checklist.pairs[0].valid


@pytest.mark.parametrize("changes", [{"code": 400}, {"code": 500}, {"bare": True}])
def test_a_refusal_fails_the_pair(changes: dict[str, object]) -> None:
    peer = Peer(controlling=True)
    peer.start()
    [request] = peer.sent(peer.at)
    peer.reply(request, **changes)
    assert [pair.state for pair in peer.agent.checklist.pairs] == ["failed"]
    # The far end's own check gives it another chance (section 7.3.1.4).
    peer.check(role=ICE_CONTROLLED)
    [request] = peer.pass_time(0.1)
    peer.reply(request)
    assert peer.agent.checklist.pairs[0].valid


def test_a_conflict_is_answered_or_yielded_by_the_tiebreaker() -> None:
    peer = Peer(controlling=True)
    peer.start()
    [answer] = peer.check(role=ICE_CONTROLLING, tiebreaker=0)
    assert (answer.kind, answer.error) == (ERROR, 487)
    assert answer.authentic(peer.agent.password.encode())
    assert peer.agent.controlling
    [answer] = peer.check(role=ICE_CONTROLLING, tiebreaker=2**64 - 1)
    assert answer.kind == RESPONSE
    assert not peer.agent.controlling
    [answer] = peer.check(role=ICE_CONTROLLED, tiebreaker=2**64 - 1)
    assert answer.error == 487
    [answer] = peer.check(role=ICE_CONTROLLED, tiebreaker=0)
    assert answer.kind == RESPONSE
    assert peer.agent.controlling


def test_487_makes_us_switch_and_try_again() -> None:
    peer = Peer(controlling=True)
    peer.start()
    [request] = peer.sent(peer.at)
    tiebreaker = request.number(ICE_CONTROLLING, 8)
    peer.reply(request, code=487)
    assert not peer.agent.controlling
    [request] = peer.pass_time(0.1)
    assert ICE_CONTROLLING not in request.attributes
    assert request.number(ICE_CONTROLLED, 8) not in (-1, tiebreaker)


def test_what_has_to_be_understood_and_is_not_is_refused() -> None:
    peer = controlled(nominate=False)
    [answer] = peer.check((0x7FFF, b""), (USE_CANDIDATE, b""))
    assert (answer.kind, answer.error) == (ERROR, 420)
    assert answer.attributes[UNKNOWN_ATTRIBUTES] == b"\x7f\xff"
    assert peer.ways == {}
    [answer] = peer.check((0xFFFF, b""))
    assert answer.kind == RESPONSE


def test_candidates_and_pairs_are_bounded() -> None:
    peer = Peer()
    many = tuple(Candidate(str(port), 1, "udp", port, THERE, port, HOST) for port in range(1, 500))
    peer.parameters = replace(peer.parameters, candidates=many)
    peer.node.add_host("198.51.100.3")
    peer.node.add_host("198.51.100.4")
    peer.start()
    for port in range(1000, 1500):
        peer.check(source=(THERE, port))
    assert len(peer.agent._candidates) == MOST_REMOTE
    assert len(peer.agent.checklist.pairs) <= MOST_PAIRS
    for batch in range(100):
        peer.agent.start(replace(peer.parameters, candidates=many[batch : batch + 5]), False, peer.network.now, 1)
    assert len(peer.agent._candidates) == MOST_REMOTE
    peer.pass_time(15)
    assert len(peer.agent._checks) <= MOST_PAIRS


def test_candidates_of_no_use_are_passed_over() -> None:
    peer = Peer()
    useless = (
        Candidate("1", 1, "udp", 5, "a1b2.local", 9, HOST),
        Candidate("2", 1, "tcp", 5, THERE, 9, HOST),
        Candidate("3", 2, "udp", 5, THERE, 9, HOST),
        Candidate("4", 1, "udp", 5, "2001:db8::5", 9, HOST),
    )
    peer.parameters = replace(peer.parameters, candidates=(*useless, *peer.parameters.candidates))
    peer.start()
    assert [pair.destination for pair in peer.agent.checklist.pairs] == [peer.at]


def test_candidates_that_come_later_are_checked() -> None:
    """Trickle (RFC 8838) is not offered, and a further description may bring candidates all the same."""
    network, here, there = in_the_open()
    full = there.agent.parameters
    here.agent.start(replace(full, candidates=()), True, network.now, 1)
    network.run(5)
    assert here.agent.state == "running"
    there.agent.start(replace(here.agent.parameters, candidates=()), False, network.now, 1)
    here.agent.start(full, True, network.now, 1)
    settle(here, there)
    agree(here, there)


def test_a_candidate_of_ours_that_is_gathered_late_is_paired() -> None:
    network, here, there = in_the_open()
    there.agent.local = []
    there.agent._bases.clear()
    meet(here, there)
    network.run(1)
    assert here.agent.state == there.agent.state == "running"
    there.add_host("198.51.100.22")
    settle(here, there)
    agree(here, there)


def test_an_indication_is_taken_for_nothing() -> None:
    peer = controlled()
    before = peer.agent.ignored
    assert peer.say(encode_stun(BINDING, INDICATION, bytes(12)), ("203.0.113.66", 666)) == []
    assert peer.agent.ignored == before


def test_a_base_that_is_not_ours() -> None:
    peer = controlled()
    peer.agent.receive(b"", ("192.0.2.200", 9), peer.at, peer.network.now)
    assert peer.agent.take() == ([], [])


def test_spoilt_messages_raise_nothing_and_move_nothing() -> None:
    chance = random.Random(11)
    peer = controlled()
    attributes = [(USERNAME, f"{peer.agent.ufrag}:PEER".encode()), (PRIORITY, number(5)), (USE_CANDIDATE, b"")]
    sound = encode_stun(BINDING, REQUEST, bytes(12), attributes, peer.agent.password.encode(), fingerprint=False)
    for _ in range(3000):
        spoilt = bytearray(sound)
        for _ in range(chance.randrange(1, 4)):
            spoilt[chance.randrange(len(spoilt))] ^= chance.randrange(1, 256)
        peer.agent.receive(bytes(spoilt), (HERE, 4000), ("203.0.113.66", 666), peer.network.now)
    assert peer.ways == way((HERE, 4000), peer.at)


# What comes after.


def test_consent_is_kept_and_the_way_stays() -> None:
    network, here, there = in_the_open(2, loss=0.05)
    meet(here, there)
    settle(here, there)
    network.log.clear()
    network.run(300)
    agree(here, there)
    requests = [
        when
        for when, base, _, data in network.log
        if base == (HERE, 4000) and (message := parse_stun(data)) is not None and message.kind == REQUEST
    ]
    gaps = [later - earlier for earlier, later in itertools.pairwise(requests)]
    assert 50 <= len(requests) <= 75
    assert min(gaps) >= 4 - 1e-6
    assert max(gaps) <= 6 + 1e-6


def test_when_the_far_end_falls_silent_nothing_more_is_sent() -> None:
    network, here, there = in_the_open()
    meet(here, there)
    settle(here, there)
    network.nodes.remove(there)
    network._hosts.pop((THERE, 4000))
    took = network.run(100, lambda: bool(here.failures))
    assert EXPIRY - 6 <= took <= EXPIRY + 1
    [failure] = here.failures
    assert failure.consent
    assert failure.reason == "the far end has stopped answering, and with it consenting to be sent to"
    assert here.ways == {}
    assert here.agent.state == "failed"
    assert not here.agent.admits(1, (HERE, 4000), (THERE, 4000))
    network.log.clear()
    network.run(100)
    assert network.log == []


@pytest.mark.parametrize(("changes", "kept"), [({"key": b"wrong"}, True), ({}, False)])
def test_consent_is_revoked_by_a_signed_403(changes: dict[str, object], kept: bool) -> None:
    peer = controlled()
    [request] = peer.pass_time(6.01)
    peer.reply(request, code=403, **changes)
    peer.sent(peer.at)
    assert bool(peer.ways) is kept
    assert [failure.reason for failure in peer.node.failures] == (
        [] if kept else ["the far end has revoked its consent to be sent to"]
    )


def test_answers_to_consent_from_elsewhere_do_not_count() -> None:
    peer = controlled()
    for _ in range(4):
        for request in peer.pass_time(6):
            peer.reply(request, source=(THERE, 4444))
            peer.reply(request, key=b"wrong")
    peer.pass_time(7)
    assert peer.ways == {}


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_a_restart_finds_another_way_and_media_goes_on_meanwhile(loss: float) -> None:
    network, here, there = in_the_open(2, loss=loss)
    meet(here, there)
    settle(here, there)
    before = here.ways
    old = (here.agent.ufrag, here.agent.password)
    here.agent.restart()
    assert here.agent.ufrag != old[0]
    assert here.agent.password != old[1]
    assert here.ways == before
    here.add_host("198.51.100.50", 7000)
    for candidate in list(here.agent.local):
        if candidate.address[0] == HERE:
            here.agent.local = [each for each in here.agent.local if each is not candidate]
    # The offer is under way for a while; consent for the old way is kept by the old credentials.
    network.run(40)
    assert here.ways == there.ways or here.ways == before
    assert here.failures == there.failures == []
    there.agent.restart()
    there.agent.start(here.agent.parameters, False, network.now)
    here.agent.start(there.agent.parameters, True, network.now)
    settle(here, there)
    agree(here, there)
    assert here.ways[1] == (("198.51.100.50", 7000), (THERE, 4000))
    assert there.ways[2] == ((THERE, 4001), ("198.51.100.50", 7001))
    assert here.agent.controlling
    network.run(100)
    agree(here, there)


def test_another_answer_to_the_same_offer() -> None:
    """A forked call: the second one who answers has credentials of its own."""
    network = Network()
    here, first = pair(network)
    second = Node(network, controlling=False)
    here.add_host(HERE)
    first.add_host(THERE)
    second.add_host("198.51.100.3")
    meet(here, first)
    settle(here, first)
    second.agent.start(here.agent.parameters, False, network.now, 1)
    here.agent.start(second.agent.parameters, True, network.now, 1)
    settle(here, second)
    assert here.ways == way((HERE, 4000), ("198.51.100.3", 4000))
    assert second.ways == way(("198.51.100.3", 4000), (HERE, 4000))


def test_the_same_description_again_changes_nothing() -> None:
    network, here, there = in_the_open()
    meet(here, there)
    settle(here, there)
    ways = here.ways
    here.agent.start(there.agent.parameters, True, network.now, 1)
    there.agent.start(here.agent.parameters, False, network.now, 1)
    assert here.agent.state == "completed"
    network.run(20)
    assert here.ways == ways
    assert len(here.selections) == 1


def test_credentials_are_random_and_long_enough() -> None:
    agents = [IceAgent(octets=random.Random(seed).randbytes) for seed in range(20)]
    assert len({agent.ufrag for agent in agents} | {agent.password for agent in agents}) == 40
    for agent in agents:
        # RFC 8839 section 5.4: at least 4 and 22 characters, at least 24 and 128 random bits.
        assert len(agent.ufrag) == 8
        assert len(agent.password) == 32
        assert (agent.ufrag + agent.password).isalnum()
