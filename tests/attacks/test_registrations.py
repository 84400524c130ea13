"""REGISTER changes the registrant's own bindings, and no binding turns this server against itself or others (10.3)."""

from __future__ import annotations

import pytest

from ringback.sip.message import Request, Response
from ringback.sip.parser import parse
from ringback.sip.transport import Flow
from tests.attacks.world import DOMAIN, SERVER, Phone, World, statuses

REGISTRAR = f"sip:{DOMAIN}"
#: A second Via: the registration seems to have come through another proxy, so that no flow is kept.
THROUGH = "Via: SIP/2.0/UDP 198.51.100.200:5060;branch=z9hG4bKproxied"


def ask(phone: Phone, *extra: str, **changed: object) -> Response:
    [answer] = phone.request("REGISTER", REGISTRAR, *extra, **changed)  # type: ignore[arg-type]
    return answer


# Other people's -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "to",
    [
        *(f"<sip:bob@{DOMAIN}>", f"<sips:bob@{DOMAIN}>", f"<sip:%62ob@{DOMAIN}>", f"<sip:bob@{DOMAIN.upper()}>"),
        *(f"<sip:bob@{DOMAIN}:5060>", f"<sip:bob@{SERVER}>", f"Mallory <sip:bob@{DOMAIN};user=phone>"),
        *(f'"sip:mallory@{DOMAIN}" <sip:bob@{DOMAIN}>', f"sip:bob@{DOMAIN}", f"<sip:Mallory@{DOMAIN}>", "<tel:+1900>"),
        *(f"<sip:mallory%40{DOMAIN}@{DOMAIN}>", f"<sip:mallory%00@{DOMAIN}>", f"<sip:{DOMAIN}>", "<sip:mallory@x.net>"),
        f"<sip:mallory@example.net;maddr={SERVER}>",
    ],
)
def test_a_binding_for_somebody_else(to: str) -> None:
    """10.3 step 4: who "is not authorized to modify bindings" gets a 403 (Forbidden)."""
    world = World()
    world.phone("bob").register()
    mallory = world.phone("mallory")
    assert ask(mallory, to=to).status == 403
    assert world.bindings(f"bob@{DOMAIN}") != [mallory.contact]
    assert world.bindings(f"mallory@{DOMAIN}") == []


def test_from_counts_as_well() -> None:
    """10.2: From is "equal to the value in the To header field unless the request is a third-party registration", and
    nobody here may make those."""
    world = World()
    mallory = world.phone("mallory")
    assert ask(mallory, sender=f"<sip:bob@{DOMAIN}>").status == 403
    assert world.bindings(f"mallory@{DOMAIN}") == world.bindings(f"bob@{DOMAIN}") == []


def test_the_same_name_in_another_domain() -> None:
    world = World(domains=(DOMAIN, "example.com"))
    alice = world.phone("alice")
    assert ask(alice, to="<sip:alice@example.com>").status == 403
    [answer] = alice.request("REGISTER", "sip:example.com")
    # Step 5: "If the address-of-record is not valid for the domain in the Request-URI, … 404 (Not Found)".
    assert answer.status == 404
    assert world.bindings("alice@example.com") == world.bindings(f"alice@{DOMAIN}") == []


# * --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "contact"),
    [
        ((), "*"),
        (("Expires: 3600",), "*"),
        (("Expires: 1",), "*"),
        (("Expires: -0",), "*"),
        (("Expires: 0",), "*, <sip:alice@198.51.100.1>"),
        (("Expires: 0", "Contact: *"), "<sip:alice@198.51.100.1>"),
        (("Expires: 0", "m: *"), "*"),
    ],
)
def test_a_star_that_is_not_alone_or_not_zero(extra: tuple[str, ...], contact: str) -> None:
    """Step 6: "If the request has additional Contact fields or an expiration time other than zero, the request is
    invalid, and the server MUST return a 400 (Invalid Request)"."""
    world = World()
    alice = world.phone("alice")
    alice.register()
    assert ask(alice, *extra, contact=contact).status == 400
    assert world.bindings(f"alice@{DOMAIN}") == [alice.contact]


def test_a_star_removes_all_of_ones_own() -> None:
    world = World()
    first, second, bob = world.phone("alice"), world.phone("alice"), world.phone("bob")
    for phone in (first, second, bob):
        phone.register()
    answer = ask(first, "Expires: 0", contact="*")
    assert (answer.status, answer.all("contact")) == (200, [])
    assert (world.bindings(f"alice@{DOMAIN}"), world.bindings(f"bob@{DOMAIN}")) == ([], [bob.contact])


# Contacts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("through", [(), (THROUGH,)])
@pytest.mark.parametrize(
    "contact",
    [
        *(f"sip:mallory@{DOMAIN}", f"sip:bob@{DOMAIN}", f"sip:{DOMAIN}", f"sip:x@{SERVER}", f"sip:x@{SERVER}:5060"),
        *(f"sip:x@{SERVER};transport=tcp", f"sip:x@203.0.113.9;maddr={SERVER}", f"sips:bob@{DOMAIN}"),
        *(f"sip:bob@{DOMAIN};gr=urn:uuid:0", f"sip:bob@{DOMAIN.upper()}"),
    ],
)
def test_a_contact_that_is_this_server(contact: str, through: tuple[str, ...]) -> None:
    world = World()
    mallory = world.phone("mallory")
    assert ask(mallory, *through, contact=f"<{contact}>").status == 403
    assert world.bindings(f"mallory@{DOMAIN}") == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.255.0.9", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "224.0.1.75", "[ff02::1]"),
        *("255.255.255.255", "203.0.113.9;maddr=127.0.0.1", "203.0.113.9;maddr=0177.0.0.1", "x.net;maddr=0.0.0.0"),
    ],
)
def test_a_contact_on_the_servers_own_machine(host: str) -> None:
    """CVE-2020-26262 is the same in a TURN server. It takes a registration that seems to come through a proxy; one that
    comes straight is answered on its flow, and its Contact leads nowhere."""
    world = World()
    mallory, alice = world.phone("mallory"), world.phone("alice")
    contact = f"<sip:mallory@{host}>"
    assert ask(mallory, THROUGH, contact=contact).status == 403
    assert ask(mallory, contact=contact).status == 200
    alice.request("INVITE", mallory.uri)
    assert [request.method for request in mallory.requests()] == ["INVITE"]
    assert world.elsewhere(alice, mallory) == []


@pytest.mark.parametrize("host", ["localhost", "trap.example.net"])
def test_a_contact_whose_name_leads_to_the_servers_own_machine(host: str) -> None:
    world = World()
    world.names[host] = [Flow("UDP", "", "127.0.0.1", 8060)]
    mallory, alice = world.phone("mallory"), world.phone("alice")
    assert ask(mallory, THROUGH, contact=f"<sip:mallory@{host}:8060>").status == 200
    final = alice.request("INVITE", mallory.uri)[-1]
    assert final.status == 404
    assert world.elsewhere(alice) == []


def test_a_foreign_contact_is_not_called_upon() -> None:
    """A registration that came straight from a telephone is reached there, whoever its Contact names."""
    world = World()
    mallory, alice = world.phone("mallory"), world.phone("alice")
    assert ask(mallory, contact="<sip:victim@203.0.113.9>").status == 200
    alice.request("INVITE", mallory.uri)
    [invite] = mallory.requests()
    assert invite.uri == "sip:victim@203.0.113.9"
    assert world.elsewhere(alice, mallory) == []


@pytest.mark.parametrize(("contact", "status"), [("tel:+1", 403), ("mailto:a@b", 403), ("http://x/", 403), ("", 400)])
def test_a_contact_of_another_kind(contact: str, status: int) -> None:
    world = World()
    assert ask(world.phone("mallory"), contact=f"<{contact}>").status == status
    assert world.bindings(f"mallory@{DOMAIN}") == []


@pytest.mark.parametrize("place", ["127.0.0.1:9000", "[::1]", SERVER, DOMAIN, "x.net;maddr=0.0.0.0"])
def test_a_path_to_the_servers_own_machine(place: str) -> None:
    """A Path is where requests are sent first (RFC 3327 5.4), so it is as good as a Contact."""
    world = World()
    mallory = world.phone("mallory")
    answer = ask(mallory, "Supported: path", f"Path: <sip:{place};lr>", contact="<sip:mallory@203.0.113.9>")
    assert answer.status == 403
    assert world.bindings(f"mallory@{DOMAIN}") == []


# Too much -------------------------------------------------------------------------------------------------------------


def test_many_contacts() -> None:
    world = World()
    mallory = world.phone("mallory")
    for number in range(10):
        assert ask(mallory, contact=f"<sip:mallory@203.0.113.9:{6000 + number}>").status == 200
    assert ask(mallory, contact="<sip:mallory@203.0.113.9:7000>").status == 403
    many = ", ".join(f"<sip:m@203.0.113.9:{7000 + number}>" for number in range(33))
    assert ask(mallory, contact=many).status == 400
    assert len(world.bindings(f"mallory@{DOMAIN}")) == 10


def test_a_long_contact() -> None:
    world = World()
    mallory = world.phone("mallory")
    assert ask(mallory, contact=f"<sip:mallory@203.0.113.9>;x={'y' * 9000}").status == 513
    assert world.bindings(f"mallory@{DOMAIN}") == []


@pytest.mark.parametrize(("expires", "status", "granted"), [("9" * 30, 200, 7200), ("1", 423, 0), ("x", 200, 3600)])
def test_odd_intervals(expires: str, status: int, granted: int) -> None:
    world = World()
    answer = ask(world.phone("mallory"), f"Expires: {expires}")
    assert answer.status == status
    shown = [address.parameters["expires"] for address in answer.addresses("contact")]
    assert shown == ([str(granted)] if granted else [])
    assert answer.header("min-expires") == ("60" if status == 423 else None)


# Loops ----------------------------------------------------------------------------------------------------------------


def test_addresses_of_record_that_lead_to_each_other() -> None:
    """RFC 5393: two contacts each, all of them leading back here by a name that the registrar cannot know; and the
    worst case, a server that trusts itself."""
    world = World(trusted=(SERVER,))
    world.names["alias.example.net"] = [Flow("UDP", "", SERVER, 5060)]
    mallory, bob, alice = world.phone("mallory"), world.phone("bob"), world.phone("alice")
    both = "<sip:mallory@alias.example.net>, <sip:bob@alias.example.net>"
    assert ask(mallory, THROUGH, contact=both).status == 200
    assert ask(bob, THROUGH, contact=both).status == 200
    start = alice.request("INVITE", mallory.uri)
    assert statuses(start) == []
    itself = Flow("UDP", f"udp:{SERVER}:5060", SERVER, 5060)
    methods: list[str] = []
    finals: list[Response] = []
    for _ in range(400):
        messages = world.collect(SERVER, 5060)
        for data in messages:
            message = parse(data)
            if isinstance(message, Request):
                methods.append(message.method)
            world.receive(data, itself)
        finals += [answer for answer in alice.responses() if answer.status >= 200]
        if not messages:
            if finals:
                alice.acknowledge(finals[0], mallory.uri)
                break
            world.advance(0.25)
    # Both contacts were tried once and came back once; then they had been here on the way to the same target. Besides
    # the four INVITEs there is an ACK to each 482, and those to the last two, which left no state, made one round.
    assert statuses(finals) == [482]
    assert sorted(methods) == ["ACK"] * 6 + ["INVITE"] * 4
