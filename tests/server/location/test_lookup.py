"""From an address of record or a GRUU to targets: what rings, in which order, over what."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.server.location.lookup import stages_of
from ringback.sip.message import Request
from ringback.sip.outbound import encode_flow_token
from ringback.sip.plan import Stage
from ringback.sip.target import Target
from ringback.sip.transport import Flow
from ringback.store.base import BindingRow
from tests.attacks.world import DOMAIN, SECRET, SERVER, Phone, World, account, statuses

NAT = Flow("UDP", f"udp:{SERVER}:5060", "203.0.113.7", 41234)
CONNECTION = Flow("TCP", f"tcp:{SERVER}:5060", "203.0.113.7", 41234, 12)


def row(contact: str, **changed: Any) -> BindingRow:
    return BindingRow(contact, 2e9, **changed)


def shown(stages: list[Stage]) -> list[list[tuple[str, ...]]]:
    """The URIs of each stage's targets, each with those of its alternatives."""
    return [
        [(target.uri, *[other.uri for other in target.alternatives]) for target in stage.targets] for stage in stages
    ]


# Order ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], []),
        ([("a", 1000)], [[("a",)]]),
        ([("a", 1000), ("b", 1000)], [[("a",), ("b",)]]),
        ([("a", 100), ("b", 1000), ("c", 500)], [[("b",)], [("c",)], [("a",)]]),
        ([("a", 500), ("b", 1000), ("c", 500), ("d", 1000)], [[("b",), ("d",)], [("a",), ("c",)]]),
        ([("a", 0), ("b", 0)], [[("a",), ("b",)]]),
    ],
)
def test_equal_q_rings_together_higher_q_first(rows: list[tuple[str, int]], expected: list[list[tuple[str]]]) -> None:
    """16.6: "Targets are processed from highest qvalue to lowest. Targets with equal qvalues may be processed in
    parallel"."""
    assert shown(stages_of(tuple(row(name, q=q) for name, q in rows), SECRET)) == expected


def test_one_user_agent_is_one_target() -> None:
    """RFC 5626 section 7: "the proxy MUST NOT populate the target set with more than one contact with the same AOR and
    instance-id at a time"; RFC 5627 6.1: "the most recently refreshed contact" first, then "the next most recently"."""
    rows = (
        row("a1", instance="urn:uuid:A", reg_id=1, updated=1.0, q=300),
        row("b", instance="urn:uuid:b", updated=2.0, q=300),
        row("a2", instance="urn:uuid:a", reg_id=2, updated=3.0, q=700),
        row("a3", instance="urn:uuid:a", reg_id=3, updated=2.0, q=1000),
        row("x", q=300),
        row("y", q=300),
    )
    # The newest says how much its user agent is preferred; those without an instance are each for themselves.
    assert shown(stages_of(rows, SECRET)) == [[("a2", "a3", "a1")], [("b",), ("x",), ("y",)]]


def test_reasons_say_which_binding_and_why() -> None:
    flow = encode_flow_token(SECRET, NAT)
    rows = (
        row("sip:a", q=700, instance="urn:uuid:a", reg_id=2, flow=flow, received="udp:203.0.113.7:1"),
        row("sip:b", q=500, path=("<sip:p;lr>", "<sip:q;lr>")),
        row("sip:c", q=100, flow="f" + "x" * 40, received="udp:old"),
    )
    assert [stage.targets[0].reason for stage in stages_of(rows, SECRET)] == [
        "binding sip:a, q 0.7, instance urn:uuid:a, flow 2, over udp:203.0.113.7:1",
        "binding sip:b, q 0.5, by 2 hops of its Path",
        "binding sip:c, q 0.1, though udp:old is no flow of ours",
    ]


# Over what ------------------------------------------------------------------------------------------------------------


def only(stages: list[Stage]) -> Target:
    [stage] = stages
    [target] = stage.targets
    return target


def test_the_flow_of_the_binding() -> None:
    """RFC 5626 section 7: "the proxy MUST send the request over the same 'logical flow' saved with the binding"."""
    target = only(stages_of((row("sip:a@10.0.0.1", flow=encode_flow_token(SECRET, NAT)),), SECRET))
    assert target.flow is not None and target.flow.key() == NAT.key()
    assert (target.routes, target.alternatives) == ((), [])


def test_a_path_goes_before_the_flow() -> None:
    """RFC 3327 5.4: the stored Path becomes a preloaded Route. When it is not used, the flow is again."""
    stored = row("sip:a@10.0.0.1", path=("<sip:p;lr>",), flow=encode_flow_token(SECRET, NAT))
    target = only(stages_of((stored,), SECRET))
    assert (target.flow, target.routes) == (None, ("<sip:p;lr>",))
    target = only(stages_of((stored,), SECRET, use_path=False))
    assert target.flow is not None and target.routes == ()


@pytest.mark.parametrize(
    ("contact", "reg_id", "transport", "again"),
    [
        # The Contact names the host that the connection came from: it listens there.
        ("sip:a@203.0.113.7:5060;transport=tcp", 0, "TCP", True),
        ("sip:203.0.113.7;transport=tcp", 0, "TCP", True),
        ("sip:a@203.0.113.7", 0, "TLS", True),
        # Behind a NAT, an outbound flow, or no listener at all.
        ("sip:a@10.0.0.1:5060;transport=tcp", 0, "TCP", False),
        ("sip:a@203.0.113.70;transport=tcp", 0, "TCP", False),
        ("sip:a@203.0.113.7;transport=tcp", 1, "TCP", False),
        ("sip:a@203.0.113.7;transport=ws", 0, "WS", False),
        ("sip:a@203.0.113.7;transport=wss", 0, "WSS", False),
    ],
)
def test_a_connection_that_may_be_opened_anew(contact: str, reg_id: int, transport: str, again: bool) -> None:
    flow = Flow(transport, CONNECTION.local, CONNECTION.host, CONNECTION.port, CONNECTION.connection)
    target = only(stages_of((row(contact, reg_id=reg_id, flow=encode_flow_token(SECRET, flow)),), SECRET))
    assert target.flow is not None and target.flow.connection == 12
    assert [(other.uri, other.flow) for other in target.alternatives] == ([(contact, None)] if again else [])


# Whom it knows --------------------------------------------------------------------------------------------------------


def stages(world: World, uri: str) -> list[Stage] | None:
    request = Request("INVITE", uri, [], [], b"")
    found = world.lookup.stages(request.target.aor(), request.target, request, world.now)
    if found is None or isinstance(found, list):
        return found
    try:
        found.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    raise AssertionError("it waits")


def test_who_is_there_who_is_not_and_who_is_unknown() -> None:
    """21.4.5 and 21.4.18: 404 for a user who does not exist, 480 for one who is not there."""
    world = World(users=("alice", "bob"))
    world.finish(world.store.accounts.put(account("frank", enabled=False)))
    alice = world.phone("alice")
    alice.register()
    found = stages(world, alice.uri)
    assert found is not None and shown(found) == [[(alice.contact,)]]
    assert stages(world, f"sip:bob@{DOMAIN}") == []
    assert stages(world, f"sip:zelda@{DOMAIN}") is None
    assert stages(world, f"sip:frank@{DOMAIN}") is None
    # Whoever has registered is known, and who has run out is not there.
    world.advance(7201.0)
    assert stages(world, alice.uri) == []
    world.lookup.accounts = None
    assert stages(world, f"sip:zelda@{DOMAIN}") == []


def test_what_the_caller_hears() -> None:
    world = World(users=("alice", "bob"))
    alice = world.phone("alice")
    seen = []
    for uri in (f"sip:bob@{DOMAIN}", f"sip:zelda@{DOMAIN}", "tel:+15550100"):
        answers = alice.request("INVITE", uri)
        alice.acknowledge(answers[-1], uri)
        seen += statuses(answers)
    assert seen == [480, 404, 404]


INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


def gruus(world: World) -> tuple[Phone, str, str]:
    """A telephone that has registered for GRUUs, and the two that it got."""
    bob = world.phone("bob")
    [answer] = bob.request(
        "REGISTER", f"sip:{DOMAIN}", "Supported: gruu", contact=f'<{bob.contact}>;+sip.instance="<{INSTANCE}>"'
    )
    parameters = answer.addresses("contact")[0].parameters
    return bob, (parameters["pub-gruu"] or "").strip('"'), (parameters["temp-gruu"] or "").strip('"')


def test_gruus_lead_to_their_instance_alone() -> None:
    world = World()
    bob, public, temporary = gruus(world)
    other = world.phone("bob")
    other.register()
    for uri in (public, temporary):
        found = stages(world, uri)
        assert found is not None and shown(found) == [[(bob.contact,)]]
    assert public == f"sip:bob@{DOMAIN};gr={INSTANCE}"


def test_gruus_without_a_contact() -> None:
    """RFC 5627 6.1: 480 for a public one, whose instance may come back; a temporary one has become invalid, as one that
    never was: 404. Neither says whether there is such a user."""
    world = World()
    bob, public, temporary = gruus(world)
    bob.request("REGISTER", f"sip:{DOMAIN}", "Expires: 0", contact="*")
    assert stages(world, public) == []
    assert stages(world, public.replace("bob", "zelda")) == []
    assert stages(world, temporary) is None
    assert stages(world, temporary[:-10] + "A" + temporary[-9:]) is None
    assert stages(world, f"sip:bob@{DOMAIN};gr") is None
    assert stages(world, f"sip:bob@example.net;gr={INSTANCE}") is None


def test_the_path_of_a_gruu_is_left_out_behind_a_route() -> None:
    """RFC 5627 6.1: with Route values beyond ours "the Path URI MUST be discarded"."""
    world = World()
    bob = world.phone("bob")
    contact = f'<{bob.contact}>;+sip.instance="<{INSTANCE}>"'
    bob.request("REGISTER", f"sip:{DOMAIN}", "Supported: gruu, path", "Path: <sip:203.0.113.1;lr>", contact=contact)
    uri = f"sip:bob@{DOMAIN};gr={INSTANCE}"
    request = Request("INVITE", uri, ["route"], ["Route: <sip:203.0.113.2;lr>"], b"")
    for asked, routes in ((Request("INVITE", uri, [], [], b""), ("<sip:203.0.113.1;lr>",)), (request, ())):
        try:
            world.lookup.stages("", asked.target, asked, world.now).send(None)  # type: ignore[attr-defined]
        except StopIteration as end:
            assert only(end.value).routes == routes


# As people hear it ----------------------------------------------------------------------------------------------------


def devices(world: World, *qs: str) -> list[Phone]:
    """Telephones of bob's, one for each q."""
    phones = [world.phone("bob") for _ in qs]
    for phone, q in zip(phones, qs, strict=True):
        phone.request("REGISTER", f"sip:{DOMAIN}", contact=f"<{phone.contact}>;q={q}")
    return phones


def ringing(phones: list[Phone]) -> list[list[str]]:
    return [[request.method for request in phone.requests()] for phone in phones]


def test_all_devices_of_a_user_ring_at_once_and_stop_when_one_answers() -> None:
    world = World()
    phones = devices(world, "1", "1", "1")
    alice = world.phone("alice")
    alice.request("INVITE", f"sip:bob@{DOMAIN}")
    invites = [phone.requests()[0] for phone in phones]
    for phone, invite in zip(phones, invites, strict=True):
        assert invite.uri == phone.contact
        phone.answer(invite, 180, tag=phone.place.replace(":", "."))
    assert statuses(alice.responses()) == [180, 180, 180]
    phones[1].answer(invites[1], 200)
    assert statuses(alice.responses()) == [200]
    assert ringing(phones) == [["CANCEL"], [], ["CANCEL"]]


def test_devices_of_lower_q_ring_when_the_others_have_declined() -> None:
    world = World()
    phones = devices(world, "0.2", "0.9", "0.5")
    alice = world.phone("alice")
    alice.request("INVITE", f"sip:bob@{DOMAIN}")
    for number in (1, 2, 0):
        [invite] = phones[number].requests()
        assert ringing(phones) == [[], [], []]
        phones[number].answer(invite, 486)
        assert [request.method for request in phones[number].requests()] == ["ACK"]
    assert [answer.status for answer in alice.responses() if answer.status >= 200] == [486]


def test_devices_of_lower_q_ring_after_a_while() -> None:
    """setup.ring_seconds: the first one rings for that long and no longer."""
    world = World(ring_seconds=20.0)
    phones = devices(world, "0.9", "0.5")
    alice = world.phone("alice")
    alice.request("INVITE", f"sip:bob@{DOMAIN}")
    [first] = phones[0].requests()
    phones[0].answer(first, 180)
    world.advance(19.9)
    assert ringing(phones) == [[], []]
    world.advance(0.2)
    [cancel] = phones[0].requests()
    [second] = phones[1].requests()
    assert (cancel.method, second.method) == ("CANCEL", "INVITE")
    phones[0].answer(cancel, 200)
    phones[0].answer(first, 487)
    phones[1].answer(second, 200)
    assert [answer.status for answer in alice.responses() if answer.status != 100] == [180, 200]


def test_other_requests_do_not_wait_for_ringing() -> None:
    world = World(ring_seconds=0.5)
    phones = devices(world, "0.9", "0.5")
    world.phone("alice").request("MESSAGE", f"sip:bob@{DOMAIN}")
    world.advance(3.0)
    assert {request.method for request in phones[0].requests()} == {"MESSAGE"}
    assert phones[1].requests() == []
