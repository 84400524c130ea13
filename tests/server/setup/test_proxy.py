"""Where a request goes: to a user of ours, by a static route, to another domain, or nowhere.

Who may send where is attacked in tests/attacks; what rings in which order stands with the lookup.
"""

from __future__ import annotations

import pytest

from ringback.server.setup.proxy import NextHop
from ringback.sip.message import Request
from ringback.sip.parser import parse
from ringback.sip.transport import Flow
from ringback.sip.uri import parse_uri
from tests.attacks.world import DOMAIN, SERVER, Call, Phone, World, statuses

GATEWAY = "sip:203.0.113.200;lr"


def got(world: World, host: str, port: int = 5060) -> list[Request]:
    messages = [parse(data) for data in world.collect(host, port)]
    return [message for message in messages if isinstance(message, Request)]


# Static routes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "prefix", "uri", "takes"),
    [
        ("", "", "sip:x@example.net", True),
        ("example.net", "", "sip:x@example.net", True),
        ("example.net", "", "sip:x@sub.example.net", False),
        ("example.net", "+49", "sip:+4930@example.net", True),
        ("example.net", "+49", "sip:+4830@example.net", False),
        ("", "+4930", "tel:+49-30-1234", True),
        ("", "+4930", "tel:+49(30)1234;ext=5", True),
        ("", "+4930", "tel:+49-31-1234", False),
        ("example.net", "", "tel:+49", False),
        ("", "0", "sip:00:secret@x", True),
    ],
)
def test_what_a_static_route_is_for(domain: str, prefix: str, uri: str, takes: bool) -> None:
    assert NextHop(domain, prefix, GATEWAY).takes(parse_uri(uri)) is takes


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        (f"sip:+4930@{DOMAIN}", "203.0.113.1"),
        ("tel:+49-30", "203.0.113.1"),
        (f"sip:+1555@{DOMAIN}", "203.0.113.2"),
        ("sip:x@partner.example.net", "203.0.113.3"),
        # The more particular one has to stand first: the first that fits counts.
        (f"sip:+49999@{DOMAIN}", "203.0.113.1"),
    ],
)
def test_the_first_static_route_that_fits(uri: str, host: str) -> None:
    hops = [
        NextHop("", "+49", "sip:203.0.113.1;lr"),
        NextHop("", "+49999", "sip:203.0.113.9;lr"),
        NextHop("", "+", "sip:203.0.113.2;lr"),
        NextHop("partner.example.net", "", "sip:203.0.113.3;lr"),
    ]
    world = World(next_hops=hops)
    alice = world.phone("alice")
    assert statuses(alice.request("MESSAGE", uri)) == []
    [message] = got(world, host)
    assert (message.uri, message.all("route")) == (uri, [f"<sip:{host};lr>"])
    assert world.elsewhere(alice) == []


def test_a_static_route_for_all_is_not_for_users_of_ours() -> None:
    """Without a prefix it is for other domains; else nobody here could be called."""
    world = World(next_hops=[NextHop("", "", GATEWAY)])
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.register()
    alice.request("MESSAGE", bob.uri)
    assert len(bob.requests()) == 1
    alice.request("MESSAGE", "sip:x@example.net")
    assert len(got(world, "203.0.113.200")) == 1


def test_a_route_that_the_caller_gives_goes_before_static_ones() -> None:
    world = World(next_hops=[NextHop("example.net", "", GATEWAY)])
    alice = world.phone("alice")
    alice.request("MESSAGE", "sip:x@example.net", "Route: <sip:203.0.113.9;lr>")
    [message] = got(world, "203.0.113.9")
    assert (message.uri, message.all("route")) == ("sip:x@example.net", ["<sip:203.0.113.9;lr>"])


# Numbers, other domains -----------------------------------------------------------------------------------------------


def test_a_number_may_be_a_user() -> None:
    """19.1.6: a tel URI and the SIP URI with that number name the same."""
    world = World(users=("alice", "+15550100"))
    alice, other = world.phone("alice"), world.phone("+15550100")
    other.register()
    for uri in ("tel:+1-555-0100", "tel:+1(555)0100", f"sip:+15550100@{DOMAIN}"):
        alice.request("MESSAGE", uri)
        assert [message.uri for message in other.requests()] == [other.contact]


@pytest.mark.parametrize(
    ("uri", "relay", "status"),
    [
        ("sip:x@203.0.113.9", True, None),
        ("sip:x@203.0.113.9", False, 403),
        ("tel:+1999", True, 404),
        ("mailto:x@y", True, 416),
        ("sip:x@nowhere.example.net", True, 404),
        (f"sip:x@{DOMAIN}?subject=y", True, 400),
    ],
)
def test_other_domains(uri: str, relay: bool, status: int | None) -> None:
    world = World(relay=relay)
    alice = world.phone("alice")
    assert statuses(alice.request("MESSAGE", uri)) == ([status] if status else [])
    assert len(got(world, "203.0.113.9")) == (status is None)


def test_trusted_sources_reach_other_domains_whatever_users_may() -> None:
    world = World(relay=False, trusted=("203.0.113.0/24",), next_hops=[NextHop("", "+", GATEWAY)])
    gateway = world.phone("x", host="203.0.113.7", domain="example.net")
    for uri, host in (("sip:x@198.51.100.99", "198.51.100.99"), ("tel:+1", "203.0.113.200")):
        gateway.send(gateway.build("MESSAGE", uri))
        assert [message.uri for message in got(world, host)] == [uri]


def test_a_maddr_of_ours_is_taken_off_for_another_domain() -> None:
    """16.4: "the proxy MUST strip the maddr and any non-default port or transport parameter and continue processing as
    if those values had not been present in the request"."""
    world = World()
    world.names["example.net"] = [Flow("UDP", "", "203.0.113.9", 5060)]
    alice = world.phone("alice")
    uri = f"sip:x@example.net;maddr={SERVER}"
    alice.request("MESSAGE", uri)
    assert [message.uri for message in got(world, "203.0.113.9")] == ["sip:x@example.net"]
    bob = world.phone("bob")
    bob.register()
    alice.request("MESSAGE", f"sip:bob@{DOMAIN};maddr={SERVER}")
    assert [message.uri for message in bob.requests()] == [bob.contact]


# Validation (16.3) ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "status", "header"),
    [
        ("Max-Forwards: 70", "Max-Forwards: 0", 483, None),
        ("Max-Forwards: 70", "Max-Forwards: 1", 407, None),
        ("Max-Forwards: 70", "Max-Forwards: -1", 400, None),
        ("Max-Forwards: 70", "Max-Forwards: 256", 400, None),
        ("Max-Forwards: 70", "Proxy-Require: privacy, x", 420, "privacy, x"),
        ("sip:bob@example.org SIP", "http://example.org/ SIP", 416, None),
        ("From: <", "From: <<", 400, None),
        ("To: <", "To: ", 400, None),
    ],
)
def test_what_is_refused_before_anybody_is_asked_for(old: str, new: str, status: int, header: str | None) -> None:
    world = World()
    alice = world.phone("alice")
    data = alice.build("MESSAGE", f"sip:bob@{DOMAIN}").replace(old.encode(), new.encode())
    [answer] = alice.send(data)
    assert (answer.status, answer.header("unsupported")) == (status, header)
    assert world.stack.layer.servers == {}


def test_a_request_that_was_here_before() -> None:
    """16.3 step 4: "If the request contains a Via header field with a sent-by value that equals a value placed into
    previous requests by the proxy, the request has been forwarded by this element before": a loop or a spiral."""
    world = World(trusted=("203.0.113.0/24",))
    bob = world.phone("bob")
    bob.register()
    neighbour = Phone(world, "x", "203.0.113.9", 5060, "example.net", "UDP")
    world.receive(neighbour.build("MESSAGE", f"sip:y@{neighbour.flow.host}"), neighbour.flow)
    [message] = neighbour.requests()
    vias = [f"Via: {value}" for value in message.split("via")]
    for uri, status in ((f"sip:y@{neighbour.flow.host}", [482]), (bob.uri, [])):
        again = neighbour.build("MESSAGE", uri, *vias, call_id=message.call_id)
        assert statuses(neighbour.send(again)) == status
    # The spiral has another Request-URI, and went on.
    assert [request.method for request in bob.requests()] == ["MESSAGE"]


def test_an_ack_that_was_here_before_goes_nowhere() -> None:
    world = World(trusted=("203.0.113.0/24",))
    neighbour = Phone(world, "x", "203.0.113.9", 5060, "example.net", "UDP")
    world.receive(neighbour.build("ACK", "sip:y@203.0.113.9", to="<sip:y@x>;tag=1", call_id="c"), neighbour.flow)
    relayed = neighbour.requests()
    assert [request.method for request in relayed] == ["ACK"]
    vias = [f"Via: {value}" for value in relayed[0].split("via")]
    again = neighbour.build("ACK", "sip:y@203.0.113.9", *vias, to="<sip:y@x>;tag=1", call_id="c")
    neighbour.world.receive(again, neighbour.flow)
    assert neighbour.requests() == []


# Dialogs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transports", [("UDP", "UDP"), ("TCP", "UDP"), ("UDP", "TCP"), ("TCP", "TCP")])
def test_a_call_from_beginning_to_end(transports: tuple[str, str]) -> None:
    """16.6 step 4 and RFC 5658: the route of a dialog leads both ends through here, whatever they speak."""
    world = World()
    alice, bob = (world.phone(user, transport=name) for user, name in zip(("alice", "bob"), transports, strict=True))
    for phone in (alice, bob):
        phone.contact += f";transport={phone.flow.transport.lower()}"
        phone.register()
    call = Call(world, alice, bob)
    assert (call.invite.uri, call.ack.uri) == (bob.contact, bob.contact)
    assert call.ack.all("route") == [] and call.ack.method == "ACK"
    back = bob.build(
        "INFO",
        alice.contact,
        f"Route: {', '.join(call.routes)}",
        to=f"<{alice.uri}>;tag=caller",
        call_id=call.call_id,
        tag="callee",
    )
    world.receive(back, bob.flow)
    [info] = alice.requests()
    alice.answer(info, 200)
    assert (info.uri, statuses(bob.responses())) == (alice.contact, [200])
    call.within("BYE")
    [bye] = bob.requests()
    # Nothing is recorded anew within a dialog: its route is fixed (12.2).
    assert (bye.method, bye.all("record-route"), bye.all("route")) == ("BYE", [], [])
    bob.answer(bye, 200)
    assert statuses(alice.responses()) == [200]
    assert world.elsewhere(alice, bob) == []


@pytest.mark.parametrize("uri", [f"sip:bob@{DOMAIN}", f"sip:{DOMAIN}"])
def test_a_request_of_a_dialog_that_is_not_known_here(uri: str) -> None:
    """12.2.2: 481; the address of record of a user is no contact of a dialog."""
    world = World()
    bob, alice = world.phone("bob"), world.phone("alice")
    bob.register()
    assert statuses(alice.request("BYE", uri, to=f"<{uri}>;tag=x")) == [481]
    assert bob.messages() == []


def test_registrations_on_their_way_to_another_domain_are_forwarded() -> None:
    world = World()
    alice = world.phone("alice")
    alice.request("REGISTER", "sip:203.0.113.9", sender=f"<{alice.uri}>", to="<sip:alice@203.0.113.9>")
    # The challenge was that of a proxy, so the answer has to be.
    alice.challenged("REGISTER", "sip:203.0.113.9")
    line = alice.credentials("REGISTER", "sip:203.0.113.9", proxy=True)
    alice.send(alice.build("REGISTER", "sip:203.0.113.9", line, to="<sip:alice@203.0.113.9>"))
    assert [request.method for request in got(world, "203.0.113.9")] == ["REGISTER"]
    assert world.bindings(f"alice@{DOMAIN}") == []


# Redirection ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recurse", [False, True])
def test_a_redirect(recurse: bool) -> None:
    """16.5: "a proxy may choose to incorporate contacts obtained in a redirect response (3xx) into the target set"."""
    world = World(recurse=recurse)
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.register()
    alice.request("MESSAGE", bob.uri)
    bob.answer(bob.requests()[0], 302, "Contact: <sip:moved@203.0.113.9>")
    assert [request.uri for request in got(world, "203.0.113.9")] == (["sip:moved@203.0.113.9"] if recurse else [])
    assert statuses(alice.responses()) == ([] if recurse else [302])


def test_no_recursion_beyond_what_is_served_here() -> None:
    """16.5: "If the proxy is not responsible for that URI, it will not recurse on 3xx"."""
    world = World(recurse=True)
    alice = world.phone("alice")
    alice.request("MESSAGE", "sip:x@203.0.113.9")
    other = Phone(world, "x", "203.0.113.9", 5060, "example.net", "UDP")
    other.answer(other.requests()[0], 302, "Contact: <sip:moved@203.0.113.10>")
    assert statuses(alice.responses()) == [302]
    assert got(world, "203.0.113.10") == []


# GRUUs within dialogs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [False, True])
def test_a_gruu_is_followed_within_its_dialog(path: bool) -> None:
    """RFC 5627 6.1: it is so "for both out-of-dialog requests targeted to the GRUU, and mid-dialog requests"."""
    world = World()
    alice, bob = world.phone("alice"), world.phone("bob")
    extra = ("Supported: gruu, path", f"Path: <sip:{bob.place};lr>") if path else ("Supported: gruu",)
    instance = '+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>"'
    [answer] = bob.request("REGISTER", f"sip:{DOMAIN}", *extra, contact=f"<{bob.contact}>;{instance}")
    parameters = answer.addresses("contact")[0].parameters
    gruu, hidden = ((parameters[name] or "").strip('"') for name in ("pub-gruu", "temp-gruu"))
    alice.request("INVITE", bob.uri, call_id="c", tag="a")
    [invite] = bob.requests()
    bob.answer(invite, 200, contact=gruu)
    [final] = [answer for answer in alice.responses() if answer.status == 200]
    route = f"Route: {', '.join(reversed(final.split('record-route')))}"

    def within(method: str, uri: str) -> list[int]:
        return statuses(alice.send(alice.build(method, uri, route, to=f"<{bob.uri}>;tag=b", call_id="c", tag="a")))

    for uri in (gruu, hidden):
        for method in ("ACK", "INFO"):
            assert within(method, uri) == []
            [request] = bob.requests()
            assert (request.method, request.uri) == (method, bob.contact)
            assert request.all("route") == ([f"<sip:{bob.place};lr>"] if path else [])
    assert world.elsewhere(alice, bob) == [] and world.asked == []
    bob.request("REGISTER", f"sip:{DOMAIN}", "Expires: 0", contact="*")
    assert [within("BYE", uri) for uri in (gruu, hidden)] == [[480], [404]]
    assert within("ACK", gruu) == within("ACK", hidden) == []
    assert bob.messages() == []
