"""Around the rules of 10.3: whose bindings they are, what the store says, and which flow leads to a telephone."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest

from ringback.errors import StoreConflict, StoreError
from ringback.server.location.registrar import (
    ATTEMPTS,
    DEACTIVATED,
    Registrar,
    binding_of,
    binding_policy,
    opens_anew,
    refuse_astray,
    row_of,
)
from ringback.sip.binding import Binding, Change
from ringback.sip.message import Response
from ringback.sip.outbound import decode_flow_token, encode_flow_token
from ringback.sip.parser import parse
from ringback.sip.registrar import EXPIRED, REFRESHED, REGISTERED, UNREGISTERED
from ringback.sip.transport import Flow
from ringback.sip.uri import parse_uri
from ringback.store.base import BindingRow, BindingRows
from ringback.store.commit import Commit
from ringback.store.memory import MemoryLocation, MemoryStore
from tests.attacks.world import DOMAIN, EPOCH, SECRET, SERVER, Phone, World, statuses

AOR = f"alice@{DOMAIN}"


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


class Changes:
    """Notes what a registrar tells."""

    def __init__(self, world: World) -> None:
        self.told: list[tuple[str, str, str]] = []
        world.registrar.changed = self.note

    def note(self, key: str, changes: list[Change]) -> None:
        self.told += [(key, change.event, change.binding.contact) for change in changes]

    def take(self) -> list[tuple[str, str, str]]:
        told, self.told = self.told, []
        return told


# The answer -----------------------------------------------------------------------------------------------------------


def test_a_registration() -> None:
    """Step 8: "The response MUST contain Contact header field values enumerating all current bindings. Each Contact
    value MUST feature an 'expires' parameter …. The response SHOULD include a Date header field"."""
    world = World()
    alice, other = world.phone("alice"), world.phone("alice")
    alice.register()
    [answer] = other.register("Expires: 600")
    assert answer.all("contact") == [f"<{alice.contact}>;expires=3600", f"<{other.contact}>;expires=600"]
    assert answer.header("date") == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert world.wall() == EPOCH + 1000.0 == 1_800_000_000.0
    world.advance(60.5)
    [answer] = alice.request("REGISTER", f"sip:{DOMAIN}", without=("Contact",))
    assert answer.all("contact") == [f"<{alice.contact}>;expires=3540", f"<{other.contact}>;expires=540"]
    assert answer.header("date") == "Fri, 15 Jan 2027 08:01:00 GMT"


def test_what_is_told_of_it() -> None:
    world = World()
    changes = Changes(world)
    alice = world.phone("alice")
    alice.register()
    alice.register()
    alice.request("REGISTER", f"sip:{DOMAIN}", without=("Contact",))
    alice.register("Expires: 0")
    assert [event for _, event, _ in changes.told] == [REGISTERED, REFRESHED, UNREGISTERED]
    assert {(key, contact) for key, _, contact in changes.told} == {(AOR, alice.contact)}


@pytest.mark.parametrize(
    ("uri", "to", "status"),
    [
        (f"sip:{DOMAIN}", "<sip:alice@example.net>", 404),
        ("sip:example.com", f"<sip:alice@{DOMAIN}>", 404),
        (f"sip:{SERVER}", f"<sip:alice@{DOMAIN}>", 200),
        (f"sip:{DOMAIN}", f"<sip:alice@{SERVER}>", 200),
        (f"sip:{DOMAIN}", f"<sip:{DOMAIN}>", 404),
        (f"sip:{DOMAIN}", "<tel:+15550100>", 400),
    ],
)
def test_whose_bindings_they_are(uri: str, to: str, status: int) -> None:
    """Nobody has to prove anything here: what counts is what the registrar says (step 5)."""
    world = World(trusted=("198.51.100.0/24",), domains=(DOMAIN, "example.com"))
    alice = world.phone("alice")
    assert statuses(alice.request("REGISTER", uri, to=to)) == [status]
    assert world.bindings(AOR) == ([alice.contact] if status == 200 else [])


def test_the_registrar_itself_looks_who_it_is() -> None:
    """Step 4, should the layer before it be put together in another way."""
    world = World()
    alice = world.phone("alice")
    alice.register()
    request = world.last.request if world.last else None
    assert request is not None
    request.replace("CSeq", "99 REGISTER")
    outcomes = [run(world.registrar.register(request, alice.flow, user)) for user in (f"bob@{DOMAIN}", AOR)]
    assert [(outcome.status, outcome.why) for outcome in outcomes] == [
        (403, f"bob@{DOMAIN} may not register {AOR}"),
        (200, "refreshed"),
    ]


# The store ------------------------------------------------------------------------------------------------------------


class Meddled:
    """The memory store, with somebody who changes the same address of record, or a disk that fails."""

    def __init__(self, store: MemoryStore, times: int, error: StoreError | None = None) -> None:
        self.store = store.location
        self.times = times
        self.error = error

    async def bindings(self, aor: str, now: float) -> BindingRows:
        rows = await self.store.bindings(aor, now)
        if self.times and self.error is None:
            self.times -= 1
            await self.store.replace(aor, (*rows, BindingRow(f"sip:meddler{self.times}", now + 60.0)), rows, now)
        return rows

    async def replace(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> None:
        if self.error is not None and self.times:
            self.times -= 1
            raise self.error
        await self.store.replace(aor, rows, previous, now)


def meddled(times: int, error: StoreError | None = None) -> tuple[World, Phone, Changes]:
    world = World()
    changes = Changes(world)
    world.registrar.store = Meddled(world.store, times, error)  # type: ignore[assignment]
    return world, world.phone("alice"), changes


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
def test_others_change_the_same_bindings_meanwhile(times: int) -> None:
    """10.3: "REGISTER requests MUST also be processed atomically": nothing that they did is lost."""
    world, alice, changes = meddled(times)
    [answer] = alice.request("REGISTER", f"sip:{DOMAIN}")
    assert answer.status == 200
    meddlers = [f"sip:meddler{number}" for number in reversed(range(times))]
    assert world.bindings(AOR) == [*meddlers, alice.contact]
    assert changes.take() == [(AOR, REGISTERED, alice.contact)]


def test_others_change_the_same_bindings_for_ever() -> None:
    world, alice, changes = meddled(ATTEMPTS)
    [answer] = alice.request("REGISTER", f"sip:{DOMAIN}")
    assert (answer.status, answer.header("retry-after")) == (503, "10")
    assert alice.contact not in world.bindings(AOR) and changes.take() == []


class Slow(MemoryLocation):
    """The memory store, whose commits are over when the test says so; or that fails at once."""

    def __init__(self, store: MemoryStore, read_error: str = "", write_error: str = "") -> None:
        super().__init__(store)
        self.read_error = read_error
        self.write_error = write_error
        self.commits: list[Commit] = []

    def peek(self, aor: str, now: float) -> BindingRows:
        if self.read_error:
            raise StoreError(self.read_error)
        return super().peek(aor, now)

    def submit(self, aor: str, rows: BindingRows, previous: BindingRows, now: float) -> Commit:
        if self.write_error:
            raise StoreError(self.write_error)
        super().submit(aor, rows, previous, now)
        self.commits.append(Commit(None))
        return self.commits[-1]


def slowed(read_error: str = "", write_error: str = "") -> tuple[World, Slow, Phone, Changes, list[Any]]:
    """A world whose registrar has to wait; the last is what still runs in it."""
    world = World(trusted=("198.51.100.0/24",))
    changes = Changes(world)
    store = Slow(world.store, read_error, write_error)
    world.registrar.store = store
    running: list[Any] = []
    world.finish = lambda rest: None if rest is None else running.append(rest)  # type: ignore[method-assign]
    return world, store, world.phone("alice"), changes, running


@pytest.mark.parametrize("failure", ["", "the disk is full"])
def test_the_answer_waits_for_the_disk(failure: str) -> None:
    """The client is told nothing, and nobody that something has changed, before that is certain."""
    _, store, alice, changes, running = slowed()
    assert alice.send(alice.build("REGISTER", f"sip:{DOMAIN}")) == []
    [commit], [rest] = store.commits, running
    assert rest.send(None) is commit
    assert (alice.responses(), changes.take()) == ([], [])
    commit.finish(failure)
    with pytest.raises(StopIteration):
        rest.send(None)
    [(data, _, _)] = alice.world.stack.take()[0]
    answer = parse(data)
    assert isinstance(answer, Response)
    if failure:
        assert (answer.status, answer.header("retry-after"), answer.all("contact")) == (503, "10", [])
        assert changes.take() == []
    else:
        assert (answer.status, answer.all("contact")) == (200, [f"<{alice.contact}>;expires=3600"])
        assert changes.take() == [(AOR, REGISTERED, alice.contact)]


def test_a_query_waits_for_no_disk() -> None:
    _, store, alice, _, running = slowed()
    [answer] = alice.send(alice.build("REGISTER", f"sip:{DOMAIN}", without=("Contact",)))
    assert (answer.status, store.commits, running) == (200, [], [])


@pytest.mark.parametrize("errors", [("the file is damaged", ""), ("", "too many writes wait")])
def test_what_the_store_refuses_at_once(errors: tuple[str, str]) -> None:
    _, _, alice, changes, running = slowed(*errors)
    [answer] = alice.send(alice.build("REGISTER", f"sip:{DOMAIN}"))
    assert (answer.status, answer.header("retry-after"), answer.all("contact")) == (503, "10", [])
    assert (changes.take(), running) == ([], [])


def test_what_cannot_be_stored_is_not_acknowledged() -> None:
    world, alice, changes = meddled(1, StoreError("the disk is full"))
    [answer] = alice.request("REGISTER", f"sip:{DOMAIN}")
    assert (answer.status, answer.header("retry-after"), answer.all("contact")) == (503, "10", [])
    assert (world.bindings(AOR), changes.take()) == ([], [])
    alice.register()
    assert world.bindings(AOR) == [alice.contact]


def test_rows_hold_all_that_a_binding_says() -> None:
    route = ("<sip:p;lr>",)
    row = BindingRow("sip:a@b", 2e9, 500, "c", 7, "urn:uuid:1", 2, route, "token", "udp:1.2.3.4:5", ";x=y", "P", 9, 1e9)
    assert row_of(binding_of(row)) == row
    assert set(Binding.__slots__) == set(BindingRow.__struct_fields__)


def test_other_bindings_are_stored_as_they_were() -> None:
    world = World()
    alice, other = world.phone("alice"), world.phone("alice")
    alice.register()
    [before] = world.store.location.peek(AOR, world.wall())
    other.register()
    after = world.store.location.peek(AOR, world.wall())
    assert after[0] == before and [row.contact for row in after] == [alice.contact, other.contact]


# The flow -------------------------------------------------------------------------------------------------------------


def reached(world: World, *phones: Phone) -> list[list[str]]:
    """Call alice; the Request-URIs that each telephone gets."""
    caller = world.phone("bob")
    caller.request("INVITE", f"sip:{AOR}")
    got = [[request.uri for request in phone.requests()] for phone in phones]
    assert world.elsewhere(caller, *phones) == []
    return got


def behind(host: str, port: int, contact: str, via: str, transport: str = "UDP") -> tuple[World, Phone]:
    """alice registers from there, as a telephone that takes itself to be at `via` and gives that contact."""
    world = World()
    alice = Phone(world, "alice", host, port, DOMAIN, transport)
    alice.place, alice.contact = via, contact
    alice.register()
    return world, alice


@pytest.mark.parametrize(
    ("contact", "via"),
    [
        ("sip:alice@192.168.0.7:5060", "192.168.0.7:5060"),
        ("sip:alice@192.168.0.7", "192.168.0.7"),
        ("sip:alice@[fd00::7]:5060", "[fd00::7]:5060"),
        # A telephone that has learned its outer address, and not its port.
        ("sip:alice@203.0.113.7:5060", "192.168.0.7:5060"),
        ("sip:alice@203.0.113.7", "203.0.113.7:5060"),
        ("sip:alice@my-phone.local:5060", "my-phone.local"),
        ("sip:alice@127.0.0.1:5060", "127.0.0.1"),
    ],
)
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_telephone_behind_a_nat_is_reached_the_way_it_came(contact: str, via: str, transport: str) -> None:
    world, alice = behind("203.0.113.7", 41234, contact, via, transport)
    # A NAT has other telephones behind the same address.
    neighbour = Phone(world, "carol", "203.0.113.7", 41235, DOMAIN, transport)
    assert reached(world, alice, neighbour) == [[contact], []]
    [row] = world.store.location.peek(AOR, world.wall())
    assert row.received == f"{transport.lower()}:203.0.113.7:41234"
    named = decode_flow_token(SECRET, row.flow)
    assert named is not None and named.key() == alice.flow.key()


def test_a_refresh_from_a_new_port_moves_the_flow() -> None:
    """A NAT has forgotten its mapping and given another: the next REGISTER heals that, with the same Contact."""
    world, alice = behind("203.0.113.7", 41234, "sip:alice@192.168.0.7", "192.168.0.7")
    alice.raw()
    moved = Phone(world, "alice", "203.0.113.7", 50000, DOMAIN, "UDP")
    moved.place, moved.contact = alice.place, alice.contact
    moved.register()
    assert world.bindings(AOR) == [alice.contact]
    assert reached(world, alice, moved) == [[], [alice.contact]]


@pytest.mark.parametrize(
    ("contact", "port"),
    [
        ("sip:alice@203.0.113.7:5060", 5060),
        ("sip:alice@203.0.113.7", 5060),
        ("sip:alice@203.0.113.7:5070", 5070),
        # It sends from one port and listens at another, and its Via says that no NAT lies between.
        ("sip:alice@203.0.113.7:5070", 5060),
    ],
)
def test_a_telephone_with_an_address_of_its_own_needs_no_flow(contact: str, port: int) -> None:
    world, alice = behind("203.0.113.7", port, contact, f"203.0.113.7:{port}")
    [row] = world.store.location.peek(AOR, world.wall())
    assert (row.flow, row.received) == ("", "")
    listening = Phone(world, "x", "203.0.113.7", parse_uri(contact).port or 5060, DOMAIN, "UDP")
    alice.raw()
    assert reached(world, listening) == [[contact]]


def test_behind_another_proxy_it_is_the_contact_or_the_path_that_counts() -> None:
    world = World()
    alice = Phone(world, "alice", "203.0.113.7", 5060, DOMAIN, "UDP")
    upstream = "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKu"
    alice.request("REGISTER", f"sip:{DOMAIN}", upstream, contact="<sip:alice@203.0.113.99>")
    target = Phone(world, "x", "203.0.113.99", 5060, DOMAIN, "UDP")
    assert reached(world, target) == [["sip:alice@203.0.113.99"]]
    path = "Supported: path\r\nPath: <sip:203.0.113.50;lr>"
    alice.request("REGISTER", f"sip:{DOMAIN}", upstream, path, contact="<sip:alice@203.0.113.99>")
    edge = Phone(world, "x", "203.0.113.50", 5060, DOMAIN, "UDP")
    assert reached(world, edge) == [["sip:alice@203.0.113.99"]]


def test_both_ways_of_a_call_through_nats() -> None:
    """Whoever called, the requests of both go back over the flows that they came by."""
    world = World()
    alice, bob = world.phone("alice", host="203.0.113.7"), world.phone("bob", host="203.0.113.8")
    for phone in (alice, bob):
        phone.place = "192.168.0.7:5060"
        phone.contact = f"sip:{phone.user}@192.168.0.7:5060"
        phone.register()
    alice.request("INVITE", bob.uri, call_id="c", tag="a")
    [invite] = bob.requests()
    bob.answer(invite, 200)
    [final] = [answer for answer in alice.responses() if answer.status == 200]
    routes = final.split("record-route")
    there, back = f"Route: {', '.join(reversed(routes))}", f"Route: {', '.join(routes)}"
    alice.send(alice.build("BYE", bob.contact, there, to=f"<{bob.uri}>;tag=callee", call_id="c", tag="a"))
    assert [request.method for request in bob.requests()] == ["BYE"]
    bob.send(bob.build("INFO", alice.contact, back, to=f"<{alice.uri}>;tag=a", call_id="c", tag="callee"))
    assert [request.method for request in alice.requests()] == ["INFO"]
    assert world.elsewhere(alice, bob) == []


# Connections that end -------------------------------------------------------------------------------------------------


def test_the_bindings_of_a_connection_that_has_ended() -> None:
    """RFC 5626 section 7: "the proxy MUST invalidate all the bindings in the target set that use that flow (regardless
    of AOR)"."""
    world = World()
    changes = Changes(world)
    first, second = world.phone("alice", transport="TCP"), world.phone("alice", transport="TCP")
    for phone in (first, second):
        phone.contact = f"sip:alice@192.168.0.{phone.flow.port % 250};transport=tcp"
        phone.register()
    # The same connection serves another address of record as well.
    bob = Phone(world, "bob", first.flow.host, first.flow.port, DOMAIN, "TCP")
    bob.contact = "sip:bob@192.168.0.9;transport=tcp"
    bob.register()
    changes.take()
    assert run(world.registrar.closed(first.flow)) == 2
    assert (world.bindings(AOR), world.bindings(f"bob@{DOMAIN}")) == ([second.contact], [])
    assert changes.take() == [(AOR, DEACTIVATED, first.contact), (f"bob@{DOMAIN}", DEACTIVATED, bob.contact)]
    assert run(world.registrar.closed(first.flow)) == 0


def test_bindings_that_are_reached_otherwise_stay() -> None:
    world = World()
    listening, datagram, moved = (world.phone("alice", transport=name) for name in ("TCP", "UDP", "TCP"))
    listening.contact = f"sip:alice@{listening.flow.host};transport=tcp"
    moved.contact = "sip:alice@192.168.0.9;transport=tcp"
    for phone in (listening, datagram, moved):
        phone.register()
    again = Phone(world, "alice", moved.flow.host, moved.flow.port + 1, DOMAIN, "TCP")
    again.contact = moved.contact
    again.register()
    for phone in (listening, datagram, moved):
        assert run(world.registrar.closed(phone.flow)) == 0
    assert world.bindings(AOR) == [listening.contact, datagram.contact, moved.contact]


@pytest.mark.parametrize("times", [1, ATTEMPTS])
def test_a_connection_that_has_ended_while_others_change_the_bindings(times: int) -> None:
    world = World()
    alice = world.phone("alice", transport="TCP")
    alice.contact = "sip:alice@192.168.0.9;transport=tcp"
    alice.register()
    world.registrar.store = Meddled(world.store, times)  # type: ignore[assignment]
    if times < ATTEMPTS:
        assert run(world.registrar.closed(alice.flow)) == 1
        assert alice.contact not in world.bindings(AOR)
    else:
        with pytest.raises(StoreConflict, match="changed by others 5 times"):
            run(world.registrar.closed(alice.flow))


def test_one_address_of_record_that_fails_does_not_keep_the_others() -> None:
    world = World()
    alice = world.phone("alice", transport="TCP")
    bob = Phone(world, "bob", alice.flow.host, alice.flow.port, DOMAIN, "TCP")
    for phone in (alice, bob):
        phone.contact = f"sip:{phone.user}@192.168.0.9;transport=tcp"
        phone.register()
    world.registrar.store = Meddled(world.store, 1, StoreError("the disk is full"))  # type: ignore[assignment]
    with pytest.raises(StoreError, match="the disk is full"):
        run(world.registrar.closed(alice.flow))
    assert (world.bindings(AOR), world.bindings(f"bob@{DOMAIN}")) == ([alice.contact], [])


@pytest.mark.parametrize(
    ("contact", "again"),
    [
        ("sip:a@203.0.113.7:5060", True),
        ("sip:203.0.113.7", True),
        ("sip:203.0.113.7:5061;transport=tls?x=a@b", False),
        ("sip:a@203.0.113.7;transport=tcp?subject=x", True),
        ("sip:a@203.0.113.77", False),
        ("sip:a@x.net;maddr=203.0.113.7", False),
    ],
)
def test_contacts_that_a_new_connection_reaches(contact: str, again: bool) -> None:
    assert opens_anew(BindingRow(contact, 2e9), Flow("TCP", "", "203.0.113.7", 41234, 1)) is again
    assert opens_anew(BindingRow("sip:a@[2001:db8::7]:5060", 2e9), Flow("TCP", "", "2001:db8::7", 41234, 1))


# Expiry ---------------------------------------------------------------------------------------------------------------


def test_what_has_run_out_is_swept_and_told() -> None:
    world = World()
    changes = Changes(world)
    alice, other, bob = world.phone("alice"), world.phone("alice"), world.phone("bob")
    alice.register("Expires: 60")
    other.register("Expires: 600")
    bob.register("Expires: 60")
    changes.take()
    assert run(world.registrar.sweep(100)) == 0
    world.advance(60.0)
    # Nobody is reached by what has run out, swept or not.
    assert world.bindings(AOR) == [other.contact]
    assert run(world.registrar.sweep(100)) == 2
    assert sorted(changes.take()) == [(AOR, EXPIRED, alice.contact), (f"bob@{DOMAIN}", EXPIRED, bob.contact)]
    assert run(world.registrar.sweep(100)) == 0


# Policy ---------------------------------------------------------------------------------------------------------------


def test_the_policy() -> None:
    world = World()
    policy = binding_policy(world.lookup.served, SECRET, 1, 2, 3, 4, 5)
    assert (policy.default_expires, policy.min_expires, policy.max_expires, policy.most_contacts) == (1, 2, 3, 4)
    assert (policy.flow_timer, policy.flow_secret, policy.path_unsupported) == (5, SECRET, False)
    assert policy.gruus is not None and policy.refused is not None


@pytest.mark.parametrize(
    ("contact", "source", "has_flow", "reason"),
    [
        (f"sip:x@{SERVER}", "203.0.113.1", True, "leads back to this server"),
        (f"sip:bob@{DOMAIN}", "127.0.0.1", False, "leads back to this server"),
        ("sip:x@127.0.0.1", "203.0.113.1", False, "on the server's own machine"),
        ("sip:x@y.net;maddr=0177.0.0.1", "203.0.113.1", False, "on the server's own machine"),
        ("sip:x@[::1]", "203.0.113.1", False, "on the server's own machine"),
        ("sip:x@y.net;maddr=127.0.0.1", "203.0.113.1", False, "on the server's own machine"),
        ("sip:x@127.0.0.1", "203.0.113.1", True, ""),
        ("sip:x@127.0.0.1", "127.0.0.1", False, ""),
        ("sip:x@127.0.0.1;maddr=203.0.113.9", "203.0.113.1", False, ""),
        ("sip:x@10.0.0.1", "203.0.113.1", False, ""),
        ("sip:x@localhost", "203.0.113.1", False, ""),
    ],
)
def test_contacts_that_lead_astray(contact: str, source: str, has_flow: bool, reason: str) -> None:
    refused = refuse_astray(World().lookup.served)
    said = refused(parse_uri(contact), Flow("UDP", "", source, 5060), has_flow)
    assert said.endswith(reason) and bool(said) is bool(reason)


def test_a_token_of_another_secret_is_no_flow() -> None:
    """After the secret was lost, bindings are still there; they cannot be reached, and say why."""
    world, alice = behind("203.0.113.7", 41234, "sip:alice@192.168.0.7", "192.168.0.7")
    rows = world.store.location.peek(AOR, world.wall())
    stale = BindingRow(rows[0].contact, rows[0].expires, flow=encode_flow_token(bytes(32), alice.flow))
    run(world.store.location.replace(AOR, (stale,), rows, world.wall()))
    assert decode_flow_token(SECRET, stale.flow) is None
    assert isinstance(world.registrar, Registrar) and run(world.registrar.closed(alice.flow)) == 0
