"""A TURN client against a server in memory, on a virtual clock: credentials, permissions, channels, refreshes, loss."""

import random

import pytest

from ringback.media.stun import (
    ALLOCATE,
    CHANNEL_BIND,
    CREATE_PERMISSION,
    DATA,
    DATA_INDICATION,
    ERROR,
    ERROR_CODE,
    INDICATION,
    NONCE,
    REALM,
    REFRESH,
    RESPONSE,
    XOR_PEER_ADDRESS,
    XOR_RELAYED_ADDRESS,
    Address,
    encode_stun,
    error_value,
    parse_stun,
    xor_address,
)
from ringback.media.turn import MOST_CHANNELS, MOST_PEERS, TurnClient
from tests.media.turn_server import NAME, PASSWORD, TurnServer

CLIENT: Address = ("192.0.2.50", 7000)
PEER: Address = ("198.51.100.2", 4000)
OTHER: Address = ("198.51.100.3", 4000)


class World:
    """The client, the server, and the wire between them."""

    def __init__(self, *, password: str = PASSWORD, stream: bool = False, loss: float = 0.0, seed: int = 1) -> None:
        self.now = 100.0
        self.chance = random.Random(seed)
        self.loss = loss
        self.server = TurnServer()
        self.client = TurnClient(NAME, password, octets=self.chance.randbytes, stream=stream)
        self.heard: list[tuple[Address, bytes]] = []

    def carry(self) -> None:
        """Everything that is on its way arrives, or is lost."""
        for _ in range(50):
            output = self.client.take()
            if not output:
                return
            for data in output:
                if self.chance.random() < self.loss:
                    continue
                for answer in self.server.message(data, CLIENT, self.now):
                    if self.chance.random() >= self.loss:
                        self.heard += self.client.receive(answer, self.now)
        raise AssertionError("they go on for ever")

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        self.carry()
        for _ in range(100_000):
            when = self.client.deadline()
            if when is None or when > end:
                self.now = end
                return
            self.now = max(self.now, when)
            self.client.advance(self.now)
            self.carry()
        raise AssertionError("the clock stands still")

    def from_peer(self, data: bytes, peer: Address = PEER) -> None:
        assert self.client.relayed is not None
        for _, sent in self.server.from_peer(self.client.relayed, data, peer, self.now):
            self.heard += self.client.receive(sent, self.now)

    def send(self, data: bytes, peer: Address = PEER) -> bool:
        sent = self.client.send(peer, data, self.now)
        self.carry()
        return sent


def allocated(**options: object) -> World:
    world = World(**options)  # type: ignore[arg-type]
    world.client.start(world.now)
    world.run(1)
    assert world.client.state == "allocated"
    return world


def test_an_allocation_with_credentials() -> None:
    world = allocated()
    assert world.client.relayed == ("203.0.113.9", 50001)
    assert world.client.mapped == CLIENT
    assert world.server.seen == [(ALLOCATE, False), (ALLOCATE, True)]


def test_the_wrong_password() -> None:
    world = World(password="wrong")
    world.client.start(world.now)
    world.run(5)
    assert world.client.state == "failed"
    assert world.client.error == "the TURN server has refused an allocation with 401"
    assert world.server.seen == [(ALLOCATE, False), (ALLOCATE, False)]
    assert world.client.deadline() is None
    assert not world.send(b"x")


@pytest.mark.parametrize("code", [400, 403, 437, 442, 486, 508, 300])
def test_a_refusal(code: int) -> None:
    world = World()
    world.server.refuse[ALLOCATE] = code
    world.client.start(world.now)
    world.run(1)
    assert world.client.error == f"the TURN server has refused an allocation with {code}"


@pytest.mark.parametrize(("stream", "seconds"), [(False, 19.5), (True, 10.0)])
def test_a_server_that_does_not_answer(stream: bool, seconds: float) -> None:
    world = World(loss=1.0, stream=stream)
    world.client.start(world.now)
    world.run(seconds - 0.1)
    assert world.client.state == "allocating"
    world.run(0.2)
    assert (world.client.state, world.client.error) == ("failed", "the TURN server does not answer")


def test_a_server_that_challenges_for_ever() -> None:
    world = World()
    original = world.server.message

    def message(data: bytes, client: Address, now: float) -> list[bytes]:
        world.server.renew_nonce()
        return original(data, client, now)

    world.server.message = message  # type: ignore[method-assign]
    world.client.start(world.now)
    world.run(60)
    assert world.client.state == "failed"
    assert len(world.server.seen) <= 5


def test_packets_both_ways() -> None:
    world = allocated()
    assert world.send(b"first")
    # It has waited for the permission.
    assert world.server.relayed == [(world.client.relayed, b"first", PEER)]
    assert world.send(b"second")
    assert world.server.relayed[1:] == [(world.client.relayed, b"second", PEER)]
    world.from_peer(b"answer")
    assert world.heard == [(PEER, b"answer")]
    assert [method for method, _ in world.server.seen] == [ALLOCATE, ALLOCATE, CREATE_PERMISSION]


def test_without_a_permission_nothing_comes() -> None:
    """Section 11.4, also when the server were to let it through."""
    world = allocated()
    world.send(b"x")
    world.from_peer(b"intruder", OTHER)
    transaction = bytes(12)
    attributes = [(XOR_PEER_ADDRESS, xor_address(OTHER, transaction)), (DATA, b"intruder")]
    assert world.client.receive(encode_stun(DATA_INDICATION, INDICATION, transaction, attributes), world.now) == []
    assert world.heard == []
    # A permission is for a host, whatever its port.
    world.from_peer(b"friend", (PEER[0], 9))
    assert world.heard == [((PEER[0], 9), b"friend")]


def test_a_permission_that_is_refused() -> None:
    world = allocated()
    world.server.forbidden.add(PEER[0])
    world.send(b"x")
    assert not world.send(b"x")
    assert not world.client.permit(PEER[0], world.now)
    assert world.server.relayed == []
    assert world.client.dropped == 2
    assert world.client.state == "allocated"
    assert world.send(b"y", OTHER)
    assert len(world.server.relayed) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_channel(stream: bool) -> None:
    world = allocated(stream=stream)
    world.client.bind(PEER, world.now)
    world.carry()
    assert world.client.send(PEER, b"12345", world.now)
    [data] = world.client.take()
    assert data == b"\x40\0\0\x05" + b"12345" + (bytes(3) if stream else b"")
    world.server.message(data, CLIENT, world.now)
    assert world.server.relayed == [(world.client.relayed, b"12345", PEER)]
    world.from_peer(b"abc")
    assert world.heard == [(PEER, b"abc")]
    # A channel brings its permission along.
    assert [method for method, _ in world.server.seen].count(CREATE_PERMISSION) == 0


def test_while_a_channel_is_not_bound_indications_go() -> None:
    world = allocated()
    world.send(b"x")
    world.server.refuse[CHANNEL_BIND] = 400
    world.client.bind(PEER, world.now)
    world.carry()
    assert world.send(b"y")
    assert [data for _, data, _ in world.server.relayed] == [b"x", b"y"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x40\0\0\x09" + b"short",
        b"\x40\x01\0\x01x",
        b"\x4f\xff\0\x01x",
        b"\x40\0",
        b"",
        b"noise",
        encode_stun(DATA_INDICATION, INDICATION, bytes(12), [(DATA, b"x")]),
        encode_stun(DATA_INDICATION, INDICATION, bytes(12), [(XOR_PEER_ADDRESS, bytes(3)), (DATA, b"x")]),
        encode_stun(ALLOCATE, RESPONSE, bytes(12), [(XOR_RELAYED_ADDRESS, bytes(8))]),
    ],
)
def test_what_is_malformed_is_dropped(data: bytes) -> None:
    world = allocated()
    world.client.bind(PEER, world.now)
    world.carry()
    assert world.client.receive(data, world.now) == []
    assert world.client.state == "allocated"


def test_everything_is_refreshed_before_it_ends() -> None:
    world = allocated()
    world.send(b"x")
    world.client.bind(OTHER, world.now)
    for minute in range(60):
        world.run(60)
        world.server.relayed.clear()
        assert world.send(str(minute).encode())
        assert world.send(str(minute).encode(), OTHER)
        assert len(world.server.relayed) == 2
    assert world.client.state == "allocated"
    counts = [[method for method, _ in world.server.seen].count(each) for each in (REFRESH, CREATE_PERMISSION)]
    assert 6 <= counts[0] <= 8
    assert 26 <= counts[1] <= 32


def test_a_short_lifetime() -> None:
    world = World()
    world.server.lifetime = 30
    world.client.start(world.now)
    world.run(600)
    assert world.client.state == "allocated"
    assert list(world.server.allocations) == [CLIENT]


def test_a_nonce_that_has_become_stale() -> None:
    world = allocated()
    world.server.renew_nonce()
    assert world.send(b"x")
    assert [data for _, data, _ in world.server.relayed] == [b"x"]
    world.server.renew_nonce()
    world.run(1200)
    assert world.client.state == "allocated"


def test_an_allocation_that_the_server_has_lost() -> None:
    world = allocated()
    world.server.allocations.clear()
    world.run(700)
    assert world.client.state == "failed"
    assert world.client.error == "the TURN server has ended the allocation with 437"


@pytest.mark.parametrize("seed", range(10))
def test_loss(seed: int) -> None:
    world = World(loss=0.3, seed=seed)
    world.client.start(world.now)
    world.run(20)
    assert world.client.state in ("allocated", "failed")
    if world.client.state == "failed":
        # The answer to Allocate was lost, and the server has the allocation: 437 (RFC 8656 section 7.3).
        assert world.client.error.endswith("437")
        return
    world.send(b"x")
    world.run(3000)
    assert world.client.state == "allocated"


def test_answers_that_the_server_has_not_signed_change_nothing() -> None:
    world = World()
    world.client.start(world.now)
    [first] = world.client.take()
    [challenge] = world.server.message(first, CLIENT, world.now)
    world.client.receive(challenge, world.now)
    [second] = world.client.take()
    message = parse_stun(second)
    assert message is not None
    forged = [(XOR_RELAYED_ADDRESS, xor_address(("203.0.113.66", 6), message.transaction))]
    for key in (None, b"wrong"):
        world.client.receive(encode_stun(ALLOCATE, RESPONSE, message.transaction, forged, key), world.now)
        refusal = [(ERROR_CODE, error_value(403, ""))]
        world.client.receive(encode_stun(ALLOCATE, ERROR, message.transaction, refusal, key), world.now)
        assert world.client.state == "allocating"
    [answer] = world.server.message(second, CLIENT, world.now)
    world.client.receive(answer, world.now)
    assert world.client.relayed == ("203.0.113.9", 50001)


def test_a_challenge_without_realm_or_nonce_is_a_refusal() -> None:
    for attributes in ([(REALM, b"x")], [(NONCE, b"x")]):
        world = World()
        world.client.start(world.now)
        message = parse_stun(world.client.take()[0])
        assert message is not None
        challenge = [(ERROR_CODE, error_value(401, "")), *attributes]
        world.client.receive(encode_stun(ALLOCATE, ERROR, message.transaction, challenge), world.now)
        assert world.client.state == "failed"


def test_giving_it_back() -> None:
    world = allocated()
    world.client.close(world.now)
    [data] = world.client.take()
    world.server.message(data, CLIENT, world.now)
    assert world.server.allocations[CLIENT].until == world.now
    assert world.client.state == "closed"
    assert world.client.deadline() is None
    assert not world.send(b"x")
    assert world.client.receive(b"\x40\0\0\x01x", world.now) == []
    fresh = World()
    fresh.client.close(fresh.now)
    assert fresh.client.take() == []


def test_everything_is_bounded() -> None:
    world = allocated()
    for host in range(2 * MOST_PEERS):
        world.client.send((f"10.0.{host // 250}.{host % 250}", 1), b"x", world.now)
        world.client.bind((f"10.1.0.{host % 250}", host), world.now)
    assert len(world.client._permissions) == MOST_PEERS
    assert len(world.client._channels) == MOST_CHANNELS
    assert len(world.client._waiting) == 32
    assert world.client.dropped == 2 * MOST_PEERS - 32
    world.carry()
    assert len(world.server.relayed) == 32
