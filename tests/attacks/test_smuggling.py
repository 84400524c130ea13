"""What one element reads one way and the next another way is refused; what is written here holds no line of others'."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringback.errors import LocalError
from ringback.sip.framing import StreamFramer
from ringback.sip.message import Request, build_request, build_response, response_to
from ringback.sip.parser import parse
from ringback.sip.transport import Flow
from tests.attacks.world import DOMAIN, SERVER, Phone, World, statuses


def fed(world: World, phone: Phone, data: bytes) -> StreamFramer:
    """Octets on a connection, as the shell hands them on: whole messages, and the head of what is refused."""
    framer = StreamFramer()
    for message in framer.feed(data):
        if message.strip(b"\r\n"):
            world.receive(message, phone.flow)
    if framer.error is not None:
        world.stack.refuse(framer.head, phone.flow, framer.error)
        world._turn()
    return framer


# A5: the length of a message ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        *("Content-Length: 18446744073709551617", "Content-Length: 4294967296", "Content-Length: -1", "l: +5"),
        *("Content-Length: 0x10", "Content-Length: 5, 5", "Content-Length: ", "Content-Length: ٣", "l: 1e1"),
        *("Content-Length: 0\r\nContent-Length: 0", "Content-Length: 0\r\nl: 200", "l: 0\r\nCONTENT-LENGTH : 0"),
        "X-No-Length: 1",
    ],
)
def test_nothing_is_hidden_behind_a_length(line: str) -> None:
    """OpenSIPS' CVE-2026-45103: a length that wraps. The first message is refused, the second is never seen, and the
    connection ends (the framer has an error)."""
    world = World()
    phone = world.phone("mallory", transport="TCP")
    first = phone.build("OPTIONS", f"sip:{DOMAIN}").replace(b"Content-Length: 0", line.encode())
    hidden = phone.build("OPTIONS", f"sip:bob@{DOMAIN}", call_id="hidden")
    framer = fed(world, phone, first + hidden)
    assert framer.error is not None and framer.feed(hidden) == []
    # 413 is for a length that could be, in ten digits.
    status = 413 if line.endswith(" 4294967296") else 400
    assert [(answer.status, answer.call_id == "hidden") for answer in phone.responses()] == [(status, False)]


def test_a_message_within_a_body_is_a_body() -> None:
    world = World()
    phone = world.phone("mallory", transport="TCP")
    inner = phone.build("OPTIONS", f"sip:bob@{DOMAIN}", call_id="hidden")
    fed(world, phone, phone.build("MESSAGE", f"sip:bob@{DOMAIN}", call_id="outer", body=inner))
    assert [answer.call_id for answer in phone.responses()] == ["outer"]


@pytest.mark.parametrize(("length", "status"), [("5", 400), ("0", 407), ("9999999999", 400)])
def test_a_length_in_a_datagram(length: str, status: int) -> None:
    """18.3: more than there is means a 400; what is over is dropped."""
    world = World()
    phone = world.phone("mallory")
    data = phone.build("OPTIONS", f"sip:bob@{DOMAIN}", "Subject: x").replace(b"Length: 0", f"Length: {length}".encode())
    assert statuses(phone.send(data + b"xyz")) == [status]


# A6: names of headers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["P-Asserted-Identity ", "P-Asserted-Identity\t", "p-ASSERTED-identity"])
def test_space_before_the_colon_does_not_hide_a_header(name: str) -> None:
    """Kamailio's CVE-2020-28361: `X-Internal :` was not removed and was read by the next. HCOLON allows it."""
    world = World()
    bob, mallory = world.phone("bob"), world.phone("mallory")
    bob.register()
    mallory.request("MESSAGE", bob.uri, f"{name}: <sip:ceo@{DOMAIN}>")
    [message] = bob.requests()
    assert b"ceo" not in message.encode()


@pytest.mark.parametrize(
    "line",
    [
        *("P-Asserted-Identity\x01: <sip:x>", "Contact\x01: <sip:x>", "\x00To: <sip:x>", "Route\xa0: <sip:x>"),
        *("P-Asserted\x0b-Identity: <sip:x>", ": <sip:x>", "no colon", "Route\r: <sip:x>", "X: y\nTo: <sip:x>"),
        *("X: y\rProxy-Authorization: z", "Route\x7f: <sip:203.0.113.9;lr>", "Ro\u200bute: <sip:203.0.113.9;lr>"),
    ],
)
def test_names_that_are_none_and_bare_line_ends(line: str) -> None:
    """Asterisk's CVE-2016-9938: control characters before the colon, and authentication was passed by."""
    world = World()
    bob, mallory = world.phone("bob"), world.phone("mallory")
    bob.register()
    mallory.challenged("MESSAGE", bob.uri)
    credentials = mallory.credentials("MESSAGE", bob.uri)
    assert statuses(mallory.send(mallory.build("MESSAGE", bob.uri, credentials, line))) == [400]
    assert bob.messages() == []


@pytest.mark.parametrize("name", ["To", "From", "Call-ID", "CSeq", "Max-Forwards", "t", "f", "i"])
def test_what_steers_a_message_stands_once(name: str) -> None:
    world = World()
    bob, mallory = world.phone("bob"), world.phone("mallory")
    bob.register()
    mallory.challenged("MESSAGE", bob.uri)
    value = {"CSeq": "1 MESSAGE", "Max-Forwards": "70"}.get(name, f"<sip:alice@{DOMAIN}>;tag=x")
    line = f"{mallory.credentials('MESSAGE', bob.uri)}\r\n{name}: {value}"
    assert statuses(mallory.send(mallory.build("MESSAGE", bob.uri, line))) == [400]
    assert bob.messages() == []


# A7: what is written here ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\0"])
def test_no_line_end_is_written_by_any_way(end: str) -> None:
    evil = f"x{end}Contact: <sip:evil>"
    request = parse(World().phone("alice").build("OPTIONS", "sip:a"))
    assert isinstance(request, Request)
    with pytest.raises(LocalError):
        build_request("MESSAGE", "sip:a@b", [("Subject", evil)])
    with pytest.raises(LocalError):
        build_response(200, evil, [])
    with pytest.raises(LocalError):
        response_to(request, 403, evil)
    with pytest.raises(LocalError):
        response_to(request, 403, "", "", [("Warning", evil)])
    for change in (request.append, request.prepend, request.replace):
        with pytest.raises(LocalError):
            change("Subject", evil)
    assert b"evil" not in request.encode()


@pytest.mark.parametrize(
    "extra",
    [
        *("Require: a\\\x00b", "Require: \udcff\udcfe", "Require: a, ,,b", "Proxy-Require: \udcff", "Date: \x00"),
        *("Supported: path\r\nPath: <sip:\udcff@x>", "Supported: gruu", "User-Agent: \udcff\x00", "Expires: \udcff"),
        *("Route: <sip:\udcff@192.0.2.1:5060;lr>", "Max-Forwards: \udcff", "Max-Breadth: \udcff"),
    ],
)
@pytest.mark.parametrize("contact", ["<sip:a@10.0.0.9>;x=\udcff", '<sip:a@10.0.0.9>;x="\\\x00"', "<sip:a@10.0.0.9>"])
def test_what_is_given_back_is_fit_to_be_written(extra: str, contact: str) -> None:
    """Octets that are no text come back as they came or not at all; nothing of them stops the server."""
    world = World()
    alice = world.phone("alice")
    for answers in (
        alice.request("REGISTER", f"sip:{DOMAIN}", extra, contact=contact),
        alice.request("OPTIONS", f"sip:{DOMAIN}", extra),
        alice.request("REGISTER", f"sip:{DOMAIN}", "Expires: 0", contact="*"),
    ):
        assert len(answers) == 1 and answers[0].status in (200, 400, 403, 420)


# A1: anything at all --------------------------------------------------------------------------------------------------

SEEDS: list[tuple[str, str, tuple[str, ...]]] = [
    ("REGISTER", f"sip:{DOMAIN}", ("Supported: path, outbound, gruu", "Expires: 60")),
    ("INVITE", f"sip:bob@{DOMAIN}", (f"Route: <sip:{SERVER};lr>", "Record-Route: <sip:x;lr>", "Max-Breadth: 3")),
    ("CANCEL", f"sip:bob@{DOMAIN}", ()),
    ("ACK", f"sip:bob@{DOMAIN}", ("Route: <sip:p00@192.0.2.1:5060;lr>",)),
    ("OPTIONS", "tel:+1-900;phone-context=+1", ("Require: x", "Proxy-Require: y", "Accept: */*")),
]
PIECES = st.sampled_from(
    [
        *(b"", b"\r\n", b"\r\n ", b"\0", b"\xff", b"\xc3\xa9", b'"', b"<", b">", b";", b",", b":", b"@", b"%", b"%00"),
        *(b"\\", b"-1", b"99999999999999999999", b";tag=", b";lr", b";maddr=", b"[::1]", b"sips:", b"tel:", b"*", b"="),
        *(b"Via: x\r\n", b"To: <sip:a@b>\r\n", b"Content-Length: 5\r\n", b"z9hG4bK", b" ", b"\t", b"p", b"?a=b", b"~"),
    ]
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(range(len(SEEDS))),
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 900), st.integers(0, 12), PIECES), min_size=1, max_size=4),
)
def test_a_dented_request_stops_nothing(seed: int, proved: bool, dents: list[tuple[int, int, bytes]]) -> None:
    """Whatever comes, no exception leaves the server, and the next request is answered as ever."""
    world = World(outsiders=not proved)
    method, uri, extra = SEEDS[seed]
    bob, mallory = world.phone("bob"), world.phone("mallory")
    bob.register()
    lines = list(extra)
    if proved and method not in ("ACK", "CANCEL"):
        mallory.challenged(method, uri)
        lines.append(mallory.credentials(method, uri))
    data = mallory.build(method, uri, *lines)
    for start, removed, inserted in dents:
        start %= len(data) + 1
        data = data[:start] + inserted + data[start + removed :]
    world.receive(data, mallory.flow)
    world.receive(data, Flow("TCP", f"tcp:{SERVER}:5060", mallory.flow.host, 40001, 7))
    world.advance(40.0)
    for octets in bob.raw():
        # What goes on can be read, whatever came.
        parse(octets)
    alice = world.phone("alice")
    alice.register()
