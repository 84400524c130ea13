"""The torture messages of RFC 4475 and RFC 5118: what is read from them, and what a whole server does with them."""

from __future__ import annotations

import re

import pytest

from ringback.errors import ParseError
from ringback.sip.binding import apply
from ringback.sip.framing import StreamFramer
from ringback.sip.message import Request
from ringback.sip.parser import parse, salvage
from ringback.sip.registrar import Policy
from ringback.sip.transport import Flow
from ringback.sip.uri import parse_uri
from tests.attacks.world import SERVER
from tests.sip.inputs import read_views
from tests.torture.reading import Reading
from tests.torture.stage import PHONE, Stage, outcome, parsed, request_in, stage_of
from tests.torture.verdicts import DATA, SOURCE, VERDICTS, Verdict

ALL = pytest.mark.parametrize("verdict", VERDICTS, ids=lambda verdict: f"{verdict.section}-{verdict.name}")
FORWARDED = pytest.mark.parametrize(
    "verdict",
    [verdict for verdict in VERDICTS if verdict.trusted.startswith("to ")],
    ids=lambda verdict: verdict.name,
)
REFUSED = pytest.mark.parametrize(
    "verdict",
    [verdict for verdict in VERDICTS if verdict.trusted[0] in "45" and verdict.trusted == verdict.stranger],
    ids=lambda verdict: verdict.name,
)
#: In the archive of RFC 4475's appendix, and nowhere in its text.
EXTRA = DATA / "rfc4475" / "test.dat"
#: Octets behind the Content-Length: RFC 3261 18.3 "If there are additional bytes in the transport packet beyond the end
#: of the body, they MUST be discarded." Those of RFC 5118 are lengths of bodies whose lines end in one octet.
BEHIND = {"dblreq": 450, "ipv6-in-sdp": 10, "mult-ip-in-sdp": 8, "ipv4-mapped-ipv6": 9}


def named(name: str) -> Verdict:
    [verdict] = [verdict for verdict in VERDICTS if verdict.name == name]
    return verdict


COMPACT = {"f": "from", "t": "to", "i": "call-id", "v": "via", "m": "contact"}


def header(data: bytes, name: str) -> list[str]:
    """The lines of a header in what came or was sent, folds undone, without the name; read without the parser."""
    head = re.sub(rb"\r\n[ \t]+", b" ", data.partition(b"\r\n\r\n")[0])
    found = []
    for line in head.decode("utf-8", "surrogateescape").split("\r\n")[1:]:
        key, _, value = line.partition(":")
        key = key.strip().lower()
        if COMPACT.get(key, key) == name:
            found.append(value.strip())
    return found


def test_no_message_is_left_out() -> None:
    files = {path for folder in ("rfc4475", "rfc5118") for path in (DATA / folder).iterdir()}
    assert files == {verdict.path for verdict in VERDICTS} | {EXTRA}
    assert [sum(verdict.rfc_number == number for verdict in VERDICTS) for number in (4475, 5118)] == [49, 12]


# the parser ----------------------------------------------------------------------------------------------------------


@ALL
def test_what_is_parsed(verdict: Verdict) -> None:
    assert parsed(verdict.data) == verdict.parsed
    if verdict.parsed != "accepted":
        assert not verdict.values
        return
    reading = Reading(parse(verdict.data))
    for name, expected in verdict.values.items():
        if expected is ParseError:
            with pytest.raises(ParseError):
                getattr(reading, name)
        else:
            assert getattr(reading, name) == expected, name


@ALL
def test_what_is_accepted_is_written_as_it_came(verdict: Verdict) -> None:
    if verdict.parsed == "accepted":
        data = verdict.data
        whole = parse(data).encode()
        assert whole == data[: len(data) - BEHIND.get(verdict.name, 0)]


@ALL
def test_pieces_of_a_message_break_nothing(verdict: Verdict) -> None:
    """Whatever is cut off or left out, ParseError is the worst."""
    data = verdict.data
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + data[at + 1 :]):
            try:
                read_views(parse(damaged))
            except ParseError as error:
                assert error.status in (400, 501, 505)
            salvage(damaged)


@ALL
def test_a_damaged_message_breaks_no_server(verdict: Verdict) -> None:
    stage = stage_of(verdict)
    data = verdict.data
    for at in range(0, len(data), 23):
        for damaged in (data[:at] + data[at + 3 :], data[:at] + b'"' + data[at:], data[:at] + b"\0" + data[at:]):
            stage.deliver(damaged)


# the server ----------------------------------------------------------------------------------------------------------


@ALL
def test_what_becomes_of_it(verdict: Verdict) -> None:
    assert outcome(stage_of(verdict).deliver(verdict.data)) == verdict.trusted
    assert outcome(stage_of(verdict, stranger=True).deliver(verdict.data)) == verdict.stranger


@ALL
def test_where_the_answer_goes_and_what_it_repeats(verdict: Verdict) -> None:
    """8.2.6.2: From, Call-ID, CSeq, To and the Vias are those of the request, in their order.

    18.2.2: over the connection; else to the source address, at the port of sent-by, or where rport (RFC 3581) says.
    """
    stage = stage_of(verdict)
    sent = stage.deliver(verdict.data)
    if outcome(sent) == "discarded" or not sent[0][0].startswith(b"SIP/2.0"):
        return
    [(answer, flow)] = sent
    head = verdict.data.partition(b"\r\n\r\n")[0]
    for name in ("from", "call-id", "cseq"):
        assert header(answer, name) == header(head, name)[:1], name
    source = stage.source
    if source.connection:
        assert flow.key() == source.key()
    else:
        sent_by = re.search(rb"\r\nVia *: *\S+\s+(?:\[[^]]*\]|[^\s:;]+)(?::(\d+))?", head)
        assert sent_by is not None
        assert (flow.transport, flow.host, flow.port) == ("UDP", source.host, int(sent_by.group(1) or 5060))
    top = header(answer, "via")[0]
    host = header(head, "via")[0].partition(" ")[2].strip().partition(";")[0]
    if host.strip("[]") != source.host:
        assert f"received={source.host}" in top


@REFUSED
def test_a_refusal_leaves_nothing_behind_and_is_the_same_again(verdict: Verdict) -> None:
    stage = stage_of(verdict, stranger=True)
    stage.deliver(verdict.data)
    assert outcome(stage.deliver(verdict.data)) == verdict.stranger
    stage.world.advance(64.0)
    stage.taken()
    assert stage.world.stack.layer.servers == {}
    assert stage.world.stack.deadline() is None


def own(lines: list[str]) -> list[str]:
    """Header lines without those that a proxy changes or adds (16.6), and without Route."""
    changed = ("via", "max-forwards", "max-breadth", "record-route", "route", "content-length")
    return [line for line in lines if line.partition(":")[0].strip().lower() not in changed]


@FORWARDED
def test_what_is_forwarded(verdict: Verdict) -> None:
    """16.6: a proxy changes what it must; all other headers go on with their order, spelling and folds."""
    came = parse(verdict.data)
    assert isinstance(came, Request)
    stage = stage_of(verdict)
    request = request_in(stage.deliver(verdict.data))
    to_us = verdict.trusted.endswith(f"{PHONE}:5060")
    assert (request.method, request.body) == (came.method, came.body)
    if verdict.name == "mpart01":
        # 16.6 step 6: the Route has no lr, so that a strict router is the next hop.
        assert request.uri == "sip:127.0.0.1:5080"
        assert request.all("route") == ["<sip:kumiko@example.org>"]
    else:
        assert request.uri == (f"sip:callee@{PHONE}" if to_us else came.uri)
        assert request.all("route") == came.all("route")
    assert own(request.lines) == own(came.lines)
    forwards = came.number("max-forwards")
    assert request.number("max-forwards") == (70 if forwards is None else forwards - 1)
    assert request.number("content-length") == len(came.body)
    # Our Via on top; below it the others as they came, the first of them with received.
    [ours, first, *others] = Reading(request).vias
    assert ours[:2] == (verdict.trusted.partition(":")[0][3:].upper(), request.via.host)
    assert request.via.host in (SERVER, "[2001:db8::10]")
    was = Reading(came).vias
    # RFC 3581 4: with rport "the server MUST also insert a 'received' parameter", even where it says nothing new.
    noted = "rport" in came.required("via") or was[0][1].strip("[]") != stage.source.host
    address = stage.source.host if noted else ""
    assert [first, *others] == [(*was[0][:4], address), *was[1:]]


@FORWARDED
def test_the_answer_to_what_is_forwarded(verdict: Verdict) -> None:
    """16.7: the answer goes back where the request came from, its Vias as they were and its headers unchanged."""
    stage = stage_of(verdict)
    [(data, flow)] = stage.deliver(verdict.data)
    lines = data.partition(b"\r\n\r\n")[0].decode("utf-8", "surrogateescape").split("\r\n")[1:]
    head = "\r\n".join(["SIP/2.0 486 Busy", *lines, "X: y", "", ""]).encode("utf-8", "surrogateescape")
    stage.world.receive(head + parse(data).body, flow)
    answers = [(answer, at) for answer, at in stage.taken() if answer.startswith(b"SIP/2.0 486 Busy\r\n")]
    [(answer, at)] = answers
    assert at.host == stage.source.host
    assert Reading(parse(answer)).vias == Reading(parse(data)).vias[1:]
    assert header(answer, "x") == ["y"]


# one by one ----------------------------------------------------------------------------------------------------------


def contacts_of(answer: bytes) -> list[str]:
    return header(answer, "contact")


@pytest.mark.parametrize(
    ("name", "aor", "contacts"),
    [
        ("escnull", "null-%00-null", ["<sip:%00@host5.example.com>", "<sip:%00%00@host5.example.com>"]),
        ("cparam01", "watson", ["<sip:+19725552222@gw1.example.net>;unknownparam"]),
        ("cparam02", "watson", ["<sip:+19725552222@gw1.example.net;unknownparam>"]),
        ("dblreq", "j.user", ["<sip:j.user@host.example.com>"]),
    ],
)
def test_what_is_registered_is_fetched(name: str, aor: str, contacts: list[str]) -> None:
    """RFC 4475 3.3.12: the response, and "any binding during subsequent fetches"."""
    stage = stage_of(named(name))
    answers = [stage.deliver(named(name).data)[0][0]]
    to = f"<sip:{aor}@example.com>"
    fetch = stage.phone.build("REGISTER", "sip:example.com", to=to, sender=to, without=("Contact",))
    answers.append(stage.deliver(fetch)[0][0])
    for answer in answers:
        found = [re.sub(r";expires=3600", "", value) for value in contacts_of(answer)]
        assert found == contacts
        assert answer.count(b";expires=3600") == len(contacts)


def test_the_user_name_is_not_cut_at_its_null() -> None:
    """RFC 4475 3.1.1.4: "so as to not prematurely shorten the username"."""
    stage = stage_of(named("escnull"))
    stage.deliver(named("escnull").data)
    assert stage.world.bindings("null-\0-null@example.com") == [
        "sip:%00@host5.example.com",
        "sip:%00%00@host5.example.com",
    ]
    assert stage.world.bindings("null-") == []


def test_the_octets_behind_a_datagram_are_no_second_message() -> None:
    stage = stage_of(named("dblreq"))
    sent = stage.deliver(named("dblreq").data)
    assert [data.partition(b"\r\n")[0] for data, _ in sent] == [b"SIP/2.0 200 OK"]
    assert stage.world.malformed == []
    assert len(stage.world.stack.layer.servers) == 2  # the telephone's and this one


#: What a stream makes of the messages whose length it cannot tell: how many items come, what is left, which status.
FRAMED = {
    # RFC 4475 3.1.2.2: over a stream "there's not much the receiving party could do but wait for more data".
    "clerr": (0, True, None),
    "baddn": (0, True, None),
    # 3.1.2.3 and 3.3.9: "the framing error is not recoverable, and the connection should be closed".
    "ncl": (0, False, 400),
    "mcl01": (0, False, 400),
    # RFC 3261 18.3: "The Content-Length header field MUST be used with stream oriented transports."
    "inv2543": (0, False, 400),
    # In a stream the octets that are noise in a datagram are an INVITE, behind a CRLF and before five octets of no use.
    "dblreq": (3, False, 400),
    "ipv6-in-sdp": (1, True, None),
    "mult-ip-in-sdp": (1, True, None),
    "ipv4-mapped-ipv6": (1, True, None),
}


@ALL
def test_framing(verdict: Verdict) -> None:
    """What comes in single octets is cut as what comes at once."""
    data = verdict.data
    whole, slow = StreamFramer(), StreamFramer()
    items = whole.feed(data)
    slow_items = [item for at in range(len(data)) for item in slow.feed(data[at : at + 1])]
    assert [item for item in slow_items if item.strip()] == [item for item in items if item.strip()]
    count, waits, status = FRAMED.get(verdict.name, (1, False, None))
    if status is None:
        assert whole.error is None and slow.error is None
    else:
        assert whole.error is not None and slow.error is not None
        assert (whole.error.status, slow.error.status) == (status, status)
        # Enough of it is kept to answer a request before the connection is closed.
        assert (salvage(whole.head) is None) == (verdict.name == "dblreq")
    assert len(items) == count
    assert (whole.pending > 0) == waits
    if count:
        assert items[0] == data[: len(data) - BEHIND.get(verdict.name, 0)]


@pytest.mark.parametrize(
    ("name", "method", "status"),
    [
        ("unreason", "INVITE", "= 2**3 * 5**2 но сто девяносто девять - простое"),
        # 3.3.10: its second Via says 255.255.255.255.
        ("bcast", "INVITE", "OK"),
        # 17.1.3 and 16.7 step 2: a 100 goes no further than to the next hop.
        ("noreason", "INVITE", None),
        # 3.1.2.5: "An element receiving this response will simply discard it."
        ("scalarlg", "OPTIONS", None),
        # 3.1.2.19: "An element receiving this response should simply drop it."
        ("bigcode", "INVITE", None),
    ],
)
def test_responses_to_what_was_forwarded(name: str, method: str, status: str | None) -> None:
    """The response of the file, with our own Via on top, so that it belongs to a transaction of ours."""
    stage = Stage(SOURCE)
    caller = stage.phone.build(method, "sip:user@example.com", sender="<sip:x@example.net>")
    data = caller.replace(PHONE.encode(), SOURCE.encode())
    forwarded = request_in(stage.deliver(data))
    ours = forwarded.lines[forwarded.names.index("via")].encode()
    response = re.sub(rb"\r\nVia: [^\r]*", b"\r\n" + ours, named(name).data, count=1)
    if name != "bcast":
        response = response.replace(ours, ours + b"\r\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx", 1)
    stage.world.receive(response, Flow("UDP", f"udp:{SERVER}:5060", PHONE, 5060))
    sent = [(data, flow) for data, flow in stage.taken() if not data.startswith(b"SIP/2.0 100")]
    if status is None:
        assert sent == []
        return
    [(data, flow)] = sent
    assert (flow.host, flow.port) == (SOURCE, stage.source.port)
    answer = parse(data)
    assert Reading(answer).status == (200, status)
    assert answer.body == parse(named(name).data).body


def test_a_retransmission_without_branch_is_known_again() -> None:
    """3.2.1 and 3.4.1: what identifies no transaction is matched by the rules of RFC 2543 (RFC 3261 17.2.3)."""
    for name in ("badbranch", "inv2543", "longreq"):
        stage = stage_of(named(name))
        request_in(stage.deliver(named(name).data))
        again = stage.deliver(named(name).data)
        assert [data for data, _ in again if not data.startswith(b"SIP/2.0 100")] == []
        other = re.sub(rb"\r\nCall-ID: ", b"\r\nCall-ID: another-", named(name).data)
        request_in(stage.deliver(other))


def test_unsupported_lists_what_the_role_does_not_know() -> None:
    """3.3.5: "listing these features from either the Require or Proxy-Require header field, depending on the role"."""
    data = named("bext01").data
    [(answer, _)] = stage_of(named("bext01")).deliver(data)
    assert header(answer, "unsupported") == ["noProxiesSupportThis, norDoAnyProxiesSupportThis"]
    # As the one that answers, and not as a proxy.
    data = re.sub(rb"\r\nProxy-Require: [^\r]*", b"", data)
    for method in (b"OPTIONS", b"REGISTER"):
        to_us = data.replace(b"sip:user@example.com SIP", b"sip:example.com SIP").replace(b"OPTIONS", method)
        [(answer, _)] = stage_of(named("bext01")).deliver(to_us)
        assert answer.startswith(b"SIP/2.0 420 ")
        assert [value.lower() for value in header(answer, "unsupported")] == [
            "nothingsupportsthis, nothingsupportsthiseither"
        ]


def test_an_unknown_scheme_of_credentials_is_challenged() -> None:
    """3.3.7: "issuing a new challenge with a scheme it understands"."""
    [(answer, _)] = stage_of(named("regaut01"), stranger=True).deliver(named("regaut01").data)
    challenges = header(answer, "www-authenticate")
    assert challenges
    assert all(challenge.startswith('Digest realm="example.com"') for challenge in challenges)


@pytest.mark.parametrize("name", ["baddn", "badaspec", "quotbal"])
def test_a_broken_address_goes_no_further_whatever_else_is_right(name: str) -> None:
    """3.1.2.15: "If this element were a proxy, it must not propagate the error into the request it forwards"."""
    data = named(name).data.rstrip(b"\r\n") + b"\r\n\r\n" if name == "baddn" else named(name).data
    assert parsed(data) == "accepted"
    assert outcome(stage_of(named(name)).deliver(data)) == "400"


def test_headers_in_a_request_uri_go_to_no_other_domain() -> None:
    """3.1.2.11: they "must not appear in the Request-URI of the forwarded request"."""
    data = named("escruri").data.replace(b"sip:user@example.com?", b"sip:user@example.net?")
    assert outcome(stage_of(named("escruri")).deliver(data)) == "400"


@pytest.mark.parametrize(
    ("right", "status", "contact"),
    [
        # 3.1.2.4: "If only the Max-Forwards field were in error, the element could choose to process the request as if
        # the field were absent": it is not chosen here.
        ({b"36893488147419103232": b"8"}, "400", []),
        # "If only the expiry values were in error, the element could treat them as if they contained the default
        # values"; RFC 3261 10.2 has it that larger ones "MAY" be taken for 2**32-1, which is granted as far as it goes.
        (
            {b"36893488147419103232": b"8", b"Max-Forwards: 300": b"Max-Forwards: 70"},
            "200",
            ["<sip:user@host129.example.com>;expires=7200"],
        ),
    ],
)
def test_scalars_one_by_one(right: dict[bytes, bytes], status: str, contact: list[str]) -> None:
    data = named("scalar02").data
    for old, new in right.items():
        data = data.replace(old, new)
    stage = Stage(SOURCE, "nobody", "TCP")
    sent = stage.deliver(data)
    assert outcome(sent) == status
    assert contacts_of(sent[0][0]) == contact


def test_a_contact_with_a_header() -> None:
    """3.3.14, of the registrar's rules alone, and of a server whose policy does not look where contacts lead."""
    verdict = named("regescrt")
    contact = "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>;expires=3600"
    register = parse(verdict.data)
    assert isinstance(register, Request)
    flow = Flow("UDP", f"udp:{SERVER}:5060", SOURCE, 5060)
    rules = apply(register, [], 0.0, Policy(), parse_uri("sip:user@example.com"), flow)
    assert (rules.status, dict(rules.headers)["Contact"]) == (200, contact)
    stage = Stage(SOURCE, "somebody-else")
    stage.world.registrar.policy.refused = None
    assert contacts_of(stage.deliver(verdict.data)[0][0]) == [contact]
    fetch = stage.phone.build(
        "REGISTER", "sip:example.com", to="<sip:user@example.com>", sender="<sip:a@example.com>", without=("Contact",)
    )
    assert contacts_of(stage.deliver(fetch)[0][0]) == [contact]
    # RFC 3261 16.6 step 2: what is not allowed in a Request-URI is removed.
    call = stage.phone.build("INVITE", "sip:user@example.com", sender="<sip:a@example.com>")
    assert request_in(stage.deliver(call)).uri == "sip:user@example.com"


def test_received_is_written_without_brackets() -> None:
    """RFC 5118 4.5: "implementations must not put the delimiting '[' and ']' tokens"."""
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        [(answer, _)] = stage_of(named(name)).deliver(named(name).data)
        [via] = header(answer, "via")
        assert via.startswith("SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3")
        assert via.endswith(";received=2001:db8::9:255")


def test_the_message_that_the_text_does_not_have() -> None:
    """Without any Via nothing can be answered; it must only break nothing."""
    data = EXTRA.read_bytes()
    assert parsed(data) == "400"
    assert salvage(data) is None
    assert Stage(SOURCE).deliver(data) == []
