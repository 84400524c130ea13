"""Nobody gets a request carried by this server to where it would not have gone by itself: no toll fraud, no way in.

A stranger has no account; he is at a public address and knows all that a callee or a bystander may know. What counts is
that nothing at all goes to anybody but him.
"""

from __future__ import annotations

import pytest

from ringback.server.setup.proxy import NextHop
from ringback.sip.message import Request
from ringback.sip.parser import parse
from ringback.sip.transport import Flow
from tests.attacks.world import DOMAIN, SERVER, Call, Phone, World, statuses

PREMIUM = "+19005550100"
GATEWAY = NextHop("", "+", "sip:203.0.113.200;lr")
ELSEWHERE = Flow("UDP", "", "203.0.113.9", 5060)
#: What a Route may look like that leads away.
ROUTES = (
    "<sip:203.0.113.9;lr>",
    "<sip:203.0.113.9>",
    "<sip:203.0.113.9;lr>, <sip:203.0.113.10;lr>",
    f"<sip:{SERVER};lr>, <sip:203.0.113.9;lr>",
    f"<sip:{SERVER};lr>, <sip:{DOMAIN};lr>, <sip:203.0.113.9;lr>, <sip:{SERVER};lr>",
    "<sip:elsewhere.example.net;lr>",
    f"<sip:p0123456789abcdef0123@{SERVER}:5060;lr>, <sip:203.0.113.9;lr>",
)
#: Request-URIs that are not of this domain, in whatever clothes.
FOREIGN = (
    "sip:victim@203.0.113.9",
    "sip:victim@elsewhere.example.net",
    "sips:victim@203.0.113.9",
    f"sip:victim@{DOMAIN};maddr=203.0.113.9",
    f"sip:victim@elsewhere.example.net;maddr={SERVER}",
    f"sip:{DOMAIN}@203.0.113.9",
    f"sip:victim@{DOMAIN}.example.net",
    f"tel:{PREMIUM}",
    f"sip:{PREMIUM}@{DOMAIN}",
    f"sip:{PREMIUM}@{DOMAIN};user=phone",
    f"sip:{PREMIUM}@{SERVER}",
)
METHODS = ("INVITE", "MESSAGE", "OPTIONS", "SUBSCRIBE", "REFER", "PUBLISH", "REGISTER", "NOTIFY", "BYE", "FOO")


def open_world(**changed: object) -> World:
    world = World(next_hops=[GATEWAY], **changed)  # type: ignore[arg-type]
    world.names["elsewhere.example.net"] = [ELSEWHERE]
    return world


def stranger(world: World, **changed: str) -> Phone:
    return world.phone("nobody", domain="example.net", **changed)


def stays(world: World, *phones: Phone) -> bool:
    """Whether nothing went to anybody but these, now or within the life of a transaction."""
    world.advance(40.0)
    return world.elsewhere(*phones) == []


# Strangers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outsiders", [False, True])
@pytest.mark.parametrize("uri", FOREIGN)
def test_a_strangers_request_to_elsewhere(uri: str, outsiders: bool) -> None:
    world = open_world(outsiders=outsiders)
    someone = stranger(world)
    [answer] = someone.send(someone.build("INVITE", uri))
    # That strangers may call users of ours, where that is allowed, is no way to numbers: there is nobody by that name.
    numbers = outsiders and uri.startswith("sip:+")
    assert answer.status == (403 if numbers else 407)
    assert stays(world, someone)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_strangers_route(method: str, route: str) -> None:
    world = open_world(outsiders=True)
    someone = stranger(world)
    bob = world.phone("bob")
    bob.register()
    [answer] = someone.send(someone.build(method, bob.uri, f"Route: {route}"))
    # A REGISTER for this domain is for the registrar, whatever its Route.
    assert answer.status == (401 if method == "REGISTER" else 407)
    assert stays(world, someone)


@pytest.mark.parametrize("contacts", ["<sip:203.0.113.9>", f"<sip:{PREMIUM}@203.0.113.200>", "<sip:127.0.0.1:5061>"])
@pytest.mark.parametrize("recurse", [False, True])
def test_a_redirect_of_the_callee_for_a_stranger(contacts: str, recurse: bool) -> None:
    """The callee is in league with the stranger: his 302 must not become a call that this server makes."""
    world = open_world(outsiders=True, recurse=recurse)
    someone = stranger(world)
    mallory = world.phone("mallory")
    mallory.register()
    someone.send(someone.build("INVITE", mallory.uri))
    [invite] = mallory.requests()
    mallory.answer(invite, 302, f"Contact: {contacts}")
    [final] = someone.responses()
    assert (final.status, final.header("contact")) == (302, contacts)
    someone.acknowledge(final, mallory.uri)
    assert stays(world, someone, mallory)


@pytest.mark.parametrize("uri", ["sip:bob@{contact}", "sip:203.0.113.9", f"sip:{DOMAIN}"])
def test_an_ack_out_of_nowhere(uri: str) -> None:
    """An ACK is never challenged (22.1), so it goes nowhere without a token."""
    world = open_world(outsiders=True)
    someone = stranger(world)
    bob = world.phone("bob")
    bob.register()
    target = uri.replace("{contact}", bob.place)
    assert someone.send(someone.build("ACK", target, to=f"<{bob.uri}>;tag=b")) == []
    assert stays(world)


# Tokens ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ended() -> tuple[World, Call, Phone]:
    """A call between bob behind a NAT and a user who has turned into a stranger since; it has ended."""
    world = open_world()
    alice, bob = world.phone("alice", transport="TCP"), world.phone("bob", transport="TCP")
    alice.register()
    bob.register()
    call = Call(world, alice, bob)
    call.within("BYE")
    [bye] = bob.requests()
    bob.answer(bye, 200)
    assert statuses(alice.responses()) == [200]
    world.advance(40.0)
    return world, call, stranger(world)


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE", "REFER", "OPTIONS"])
@pytest.mark.parametrize("uri", ["sip:x@203.0.113.9", f"tel:{PREMIUM}", f"sip:{PREMIUM}@{DOMAIN}", "sip:x@example.org"])
def test_the_tokens_of_an_ended_call_begin_no_other(ended: tuple[World, Call, Phone], method: str, uri: str) -> None:
    world, call, someone = ended
    for token in (call.routes[0], call.routes[1], ", ".join(call.routes)):
        [answer] = someone.send(someone.build(method, uri, f"Route: {token}", call_id=call.call_id))
        assert answer.status == 407
    assert stays(world, someone)


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "BYE", "INFO"])
def test_the_tokens_of_another_call(ended: tuple[World, Call, Phone], method: str) -> None:
    """A token is good for its Call-ID alone, and so is the flow that it names: who was called once cannot reach the
    caller's telephone for ever."""
    world, call, someone = ended
    for token in call.routes:
        request = someone.build(method, call.callee.contact, f"Route: {token}", to="<sip:bob@example.org>;tag=made-up")
        assert statuses(someone.send(request)) == [407]
    assert stays(world, someone)


def test_the_flow_of_one_call_does_not_go_with_the_token_of_another(ended: tuple[World, Call, Phone]) -> None:
    """Each token is genuine, and the flow in it too; but not together."""
    world, call, someone = ended
    alice, carol = call.caller, world.phone("carol", transport="TCP")
    alice.register()
    carol.register()
    other = Call(world, carol, alice)
    [mine] = [value for value in other.routes if "f" in value.partition("@")[0]][:1]
    theirs = next(value for value in call.routes if value != mine)
    user, at, tail = mine.partition("@")
    spliced = f"{user[:26]}{theirs.partition('@')[0][26:]}{at}{tail}"
    request = someone.build(
        "BYE", call.callee.contact, f"Route: {spliced}", to="<sip:bob@example.org>;tag=x", call_id=other.call_id
    )
    assert statuses(someone.send(request)) == [407]
    assert stays(world, someone)


@pytest.mark.parametrize(
    "user",
    [
        *("p", "x", "é", "pé" + "0" * 18, "p" + "0" * 20, "%70" + "0" * 20),
        "f" + "A" * 16 + "u203.0.113.9~5060~~0",
        "p" + "0" * 20 + "f" + "A" * 16 + "u203.0.113.9~5060~~0",
    ],
)
def test_made_up_tokens(user: str) -> None:
    world = open_world()
    someone = stranger(world)
    route = f"Route: <sip:{user}@{SERVER}:5060;lr>"
    request = someone.build("BYE", "sip:victim@203.0.113.9", route, to="<sip:a@b>;tag=1")
    assert statuses(someone.send(request)) == [407]
    assert stays(world, someone)


# This machine ---------------------------------------------------------------------------------------------------------

#: The machine itself, as URIs that users of ours might give: no firewall stands before what listens there.
INWARD = (
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:0:0:1]"),
    *("224.0.1.75", "255.255.255.255", "[ff02::1]", "0177.0.0.1", "localhost", "LOCALHOST.", "a.localhost"),
)


@pytest.mark.parametrize("host", INWARD)
@pytest.mark.parametrize("form", ["sip:x@{}:9000", "sip:x@203.0.113.9;maddr={}", "route"])
def test_a_user_does_not_reach_what_listens_on_the_server(host: str, form: str) -> None:
    world = World()
    mallory = world.phone("mallory")
    extra = (f"Route: <sip:{host}:9000;lr>",) if form == "route" else ()
    uri = "sip:x@203.0.113.9" if form == "route" else form.format(host)
    final = mallory.request("INVITE", uri, *extra)[-1]
    # As a host 0177.0.0.1 is no address by the grammar.
    assert final.status == (400 if host.startswith("0177") and "maddr" not in form else 403)
    mallory.acknowledge(final, uri)
    assert stays(world, mallory)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0"])
def test_a_name_that_leads_to_the_server_itself(address: str) -> None:
    """Whoever owns a domain decides what its names lead to."""
    world = World()
    world.names["trap.example.net"] = [Flow("TCP", "", address, 8060)]
    mallory = world.phone("mallory")
    final = mallory.request("INVITE", "sip:x@trap.example.net")[-1]
    assert final.status == 404
    mallory.acknowledge(final, "sip:x@trap.example.net")
    assert world.asked == ["sip:x@trap.example.net"]
    assert stays(world, mallory)


def test_a_name_that_leads_elsewhere_too() -> None:
    world = World()
    world.names["trap.example.net"] = [Flow("UDP", "", "127.0.0.1", 8060), ELSEWHERE]
    mallory = world.phone("mallory")
    mallory.request("MESSAGE", "sip:x@trap.example.net")
    [(_, flow)] = world.elsewhere(mallory)
    assert (flow.host, flow.port) == (ELSEWHERE.host, ELSEWHERE.port)


def test_the_ack_of_a_call_does_not_find_a_way_either() -> None:
    """Within a call the callee may name any Contact; the ACK would go there."""
    world = World()
    world.names["trap.example.net"] = [Flow("UDP", "", "127.0.0.1", 8060)]
    alice, mallory = world.phone("alice"), world.phone("mallory")
    alice.register()
    mallory.register()
    call = Call(world, alice, mallory)
    plain = next(value for value in call.routes if value.startswith("<sip:p"))
    for uri in ("sip:x@trap.example.net", "sip:x@127.0.0.1:8060"):
        world.receive(alice.build("ACK", uri, f"Route: {plain}", to=call.to, call_id=call.call_id, cseq=1), alice.flow)
    assert stays(world)


def test_who_is_on_the_machine_may_reach_it() -> None:
    """For those who try things out on one machine nothing else is possible."""
    world = World()
    world.names["here.example.net"] = [Flow("UDP", "", "127.0.0.1", 5070)]
    alice = world.phone("alice", host="127.0.0.1")
    for uri in ("sip:x@127.0.0.1:5070", "sip:x@here.example.net"):
        alice.request("MESSAGE", uri)
        [message] = [parse(data) for data in world.collect("127.0.0.1", 5070)]
        assert isinstance(message, Request) and message.uri == uri


# Users ----------------------------------------------------------------------------------------------------------------


def test_a_user_calls_other_domains_and_numbers() -> None:
    world = open_world()
    alice = world.phone("alice")
    for uri, host in (
        ("sip:friend@elsewhere.example.net", "203.0.113.9"),
        (f"sip:friend@{DOMAIN};maddr=203.0.113.9", "203.0.113.9"),
        (f"tel:{PREMIUM}", "203.0.113.200"),
        (f"sip:{PREMIUM}@{DOMAIN}", "203.0.113.200"),
    ):
        alice.request("INVITE", uri)
        [data] = world.collect(host, 5060)
        assert parse(data).uri == uri  # type: ignore[union-attr]
    assert world.elsewhere(alice) == []


@pytest.mark.parametrize("extra", [(), ("Route: <sip:203.0.113.9;lr>",)])
@pytest.mark.parametrize("uri", [*FOREIGN[:5], f"tel:{PREMIUM}", f"sip:bob@{DOMAIN}"])
def test_where_relaying_is_off_users_reach_users_only(uri: str, extra: tuple[str, ...]) -> None:
    """A Route is as good as a foreign Request-URI, also before a telephone number."""
    world = World(relay=False, users=("alice", "bob"))
    world.names["elsewhere.example.net"] = [ELSEWHERE]
    alice = world.phone("alice")
    final = alice.request("INVITE", uri, *extra)[-1]
    inside = not extra and uri in (f"sip:bob@{DOMAIN}", f"tel:{PREMIUM}")
    assert final.status == ((480 if "bob" in uri else 404) if inside else 403)
    alice.acknowledge(final, uri)
    assert stays(world, alice)


def test_recursion_goes_where_the_caller_might_go_and_nowhere_else() -> None:
    """16.7 step 4: what was tried is not among the contacts of the response any more, the others are."""
    world = World(recurse=True)
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.register()
    alice.request("INVITE", bob.uri)
    [invite] = bob.requests()
    left = ("<sip:127.0.0.1:5061>", "<sip:x@203.0.113.8;maddr=127.0.0.1>", f"<sip:carol@{DOMAIN}>", f"<sip:x@{SERVER}>")
    bob.answer(invite, 302, "Contact: <sip:moved@203.0.113.9>", *[f"Contact: {contact}" for contact in left])
    alice.responses()
    [data] = world.collect("203.0.113.9", 5060)
    moved = parse(data)
    assert isinstance(moved, Request) and moved.uri == "sip:moved@203.0.113.9"
    gone = Phone(world, "moved", "203.0.113.9", 5060, "example.net", "UDP")
    gone.answer(moved, 404)
    finals = [answer for answer in alice.responses() if answer.status >= 300]
    assert [(final.status, final.split("contact")) for final in finals] == [(302, list(left))]
    alice.acknowledge(finals[0], bob.uri)
    assert stays(world, alice, bob, gone)


def test_no_recursion_where_relaying_is_off() -> None:
    world = World(recurse=True, relay=False)
    alice, bob = world.phone("alice"), world.phone("bob")
    bob.register()
    alice.request("INVITE", bob.uri)
    [invite] = bob.requests()
    bob.answer(invite, 302, "Contact: <sip:moved@203.0.113.9>")
    final = alice.responses()[-1]
    assert final.status == 302
    alice.acknowledge(final, bob.uri)
    assert stays(world, alice, bob)
