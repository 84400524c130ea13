"""What a registrar makes of a REGISTER: RFC 3261 10.3 step by step, RFC 3327, 3608, 5626 and 5627.

The state machine at the end runs `apply` beside a model of 10.3 that is written as simply as can be.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ringback.sip.binding import Binding, Outcome, Policy, apply
from ringback.sip.gruu import Gruus, public_gruu
from ringback.sip.message import Request
from ringback.sip.outbound import encode_flow_token
from ringback.sip.parser import parse
from ringback.sip.transport import Flow
from ringback.sip.uri import Uri, parse_uri
from ringback.store.base import BindingRow

NOW = 1_800_000_000.0
AOR = parse_uri("sip:alice@example.org")
SECRET = bytes(range(32))
GRUUS = Gruus(SECRET)
UDP = Flow("UDP", "udp:192.0.2.10:5060", "192.0.2.4", 5060)
NAT = Flow("UDP", "udp:192.0.2.10:5060", "203.0.113.7", 41234)
TCP = Flow("TCP", "tcp:192.0.2.10:5060", "192.0.2.4", 50123, 17)
INSTANCE = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
FLOWS = Policy(flow_secret=SECRET)
WITH_GRUUS = Policy(gruus=GRUUS)


def register(
    *contacts: str,
    cseq: int = 1,
    call_id: str = "call-1",
    expires: str | None = None,
    supported: str = "",
    require: str = "",
    path: tuple[str, ...] = (),
    vias: int = 1,
    agent: str = "",
) -> Request:
    lines = ["REGISTER sip:example.org SIP/2.0"]
    lines += ["Via: SIP/2.0/UDP 192.0.2.4:5060;branch=z9hG4bK1"] * vias
    lines += ["From: <sip:alice@example.org>;tag=1", "To: <sip:alice@example.org>"]
    lines += [f"Call-ID: {call_id}", f"CSeq: {cseq} REGISTER"]
    lines += [f"Contact: {contact}" for contact in contacts]
    lines += [f"Path: {value}" for value in path]
    for name, value in (("Supported", supported), ("Require", require), ("User-Agent", agent)):
        if value:
            lines.append(f"{name}: {value}")
    if expires is not None:
        lines.append(f"Expires: {expires}")
    request = parse("\r\n".join([*lines, "", ""]).encode())
    assert isinstance(request, Request)
    return request


def run(
    request: Request,
    current: list[Binding] | None = None,
    now: float = NOW,
    policy: Policy | None = None,
    source: Flow = UDP,
    aor: Uri = AOR,
    date: str = "",
) -> Outcome:
    return apply(request, current or [], now, policy or Policy(), aor, source, date)


def add(*contacts: str, now: float = NOW, policy: Policy | None = None, **more: object) -> list[Binding]:
    outcome = run(register(*contacts, **more), now=now, policy=policy)  # type: ignore[arg-type]
    assert outcome.status == 200, outcome.reason
    return outcome.rows


def values(outcome: Outcome, name: str) -> list[str]:
    return [value for header, value in outcome.headers if header == name]


def events(outcome: Outcome) -> list[tuple[str, str]]:
    return [(change.event, change.binding.contact) for change in outcome.changes]


def state(rows: list[Binding]) -> list[tuple[object, ...]]:
    return [tuple(getattr(row, name) for name in BindingRow.__struct_fields__) for row in rows]


A, B, C = "<sip:a@192.0.2.4>", "<sip:b@192.0.2.4>", "<sip:c@192.0.2.4>"


# a first registration, and a query ------------------------------------------------------------------------------------


def test_a_binding_is_added_with_all_that_the_request_says() -> None:
    request = register('"A" <sip:a@192.0.2.4;x=1>;q=0.7;audio;expires=600', cseq=3, call_id="call-9", agent="phone/1")
    outcome = run(request)
    assert (outcome.status, outcome.reason) == (200, "")
    assert outcome.headers == [("Contact", "<sip:a@192.0.2.4;x=1>;expires=600;q=0.7;audio")]
    assert events(outcome) == [("registered", "sip:a@192.0.2.4;x=1")]
    expected = Binding(
        "sip:a@192.0.2.4;x=1", NOW + 600, 700, "call-9", 3, parameters=";audio", user_agent="phone/1", updated=NOW
    )
    assert state(outcome.rows) == state([expected])


def test_a_query_lists_all_bindings_and_changes_none() -> None:
    rows = add(A, B + ";q=0.1", expires="100")
    outcome = run(register(cseq=1, call_id="other"), rows, NOW + 40)
    assert outcome.headers == [
        ("Contact", "<sip:a@192.0.2.4>;expires=60"),
        ("Contact", "<sip:b@192.0.2.4>;expires=60;q=0.1"),
    ]
    assert (outcome.status, outcome.changes, outcome.why) == (200, [], "a query")
    assert outcome.rows is rows


def test_a_query_of_nobody_lists_nothing() -> None:
    outcome = run(register())
    assert (outcome.status, outcome.headers, outcome.rows) == (200, [], [])


def test_an_expired_binding_is_not_listed_and_goes_with_the_next_change() -> None:
    rows = add(A + ";expires=60", B + ";expires=100")
    query = run(register(), rows, NOW + 60)
    assert values(query, "Contact") == ["<sip:b@192.0.2.4>;expires=40"]
    assert query.changes == []
    outcome = run(register(C, cseq=2), rows, NOW + 60)
    assert events(outcome) == [("expired", "sip:a@192.0.2.4"), ("registered", "sip:c@192.0.2.4")]
    assert [row.contact for row in outcome.rows] == ["sip:b@192.0.2.4", "sip:c@192.0.2.4"]


def test_date_and_service_route_stand_in_the_answer() -> None:
    policy = Policy(service_route=("<sip:p2.example.org;lr>",))
    outcome = run(register(A), policy=policy, date="Fri, 15 Jan 2027 08:00:00 GMT")
    assert outcome.headers == [
        ("Contact", "<sip:a@192.0.2.4>;expires=3600"),
        ("Service-Route", "<sip:p2.example.org;lr>"),
        ("Date", "Fri, 15 Jan 2027 08:00:00 GMT"),
    ]


# step 2: Require ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("require", ["path", "gruu", "outbound", "pref", "path, gruu, outbound, pref", "PATH"])
def test_an_extension_that_is_supported_may_be_required(require: str) -> None:
    assert run(register(A, require=require)).status == 200


def test_an_extension_that_is_not_supported_is_named() -> None:
    outcome = run(register(A, require="path, foo, Bar"))
    assert (outcome.status, outcome.headers, outcome.changes) == (420, [("Unsupported", "foo, bar")], [])


# step 6: the wildcard -------------------------------------------------------------------------------------------------


def test_the_wildcard_removes_bindings_of_other_call_ids_and_older_ones_of_its_own() -> None:
    rows = add(A, cseq=5, call_id="one") + add(B, cseq=9, call_id="two")
    outcome = run(register("*", expires="0", cseq=6, call_id="one"), rows)
    assert (outcome.status, outcome.headers, outcome.rows) == (200, [], [])
    assert events(outcome) == [("unregistered", "sip:a@192.0.2.4"), ("unregistered", "sip:b@192.0.2.4")]


@pytest.mark.parametrize("cseq", [4, 5])
def test_the_wildcard_fails_as_a_whole_when_one_binding_is_newer(cseq: int) -> None:
    rows = add(B, cseq=9, call_id="two") + add(A, cseq=5, call_id="one")
    outcome = run(register("*", expires="0", cseq=cseq, call_id="one"), rows)
    assert (outcome.status, outcome.changes) == (500, [])
    assert outcome.rows is rows


@pytest.mark.parametrize(
    ("contacts", "expires"),
    [
        (["*"], None),
        (["*"], "1"),
        (["*"], "3600"),
        (["*"], "nonsense"),
        (["*", A], "0"),
        ([f"*, {A}"], "0"),
        (["*, *"], "0"),
        (["*;expires=0"], "0"),
        (["<*>"], "0"),
    ],
)
def test_a_wildcard_with_other_contacts_or_another_expiry_is_invalid(contacts: list[str], expires: str | None) -> None:
    rows = add(B)
    outcome = run(register(*contacts, expires=expires, cseq=2), rows)
    assert (outcome.status, outcome.changes) == (400, [])
    assert outcome.rows is rows


def test_a_wildcard_for_nobody_succeeds() -> None:
    outcome = run(register("*", expires="0"))
    assert (outcome.status, outcome.rows, outcome.changes) == (200, [], [])


# step 7: expiry -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "header", "granted"),
    [
        (A, None, 3600),
        (A, "600", 600),
        (A + ";expires=700", "600", 700),
        (A + ";expires=700", None, 700),
        (A + ";expires=7200", None, 7200),
        (A + ";expires=7201", None, 7200),
        (A + ";expires=4294967296", None, 7200),
        (A, "9" * 50, 7200),
        (A + ";expires=bad", "600", 3600),
        (A, "bad", 3600),
        (A + ";expires=60", None, 60),
    ],
)
def test_the_expiry_comes_from_contact_header_or_default(contact: str, header: str | None, granted: int) -> None:
    outcome = run(register(contact, expires=header))
    assert outcome.rows[0].expires == NOW + granted
    assert values(outcome, "Contact") == [f"<sip:a@192.0.2.4>;expires={granted}"]


@pytest.mark.parametrize(
    ("minimum", "requested", "status"),
    [
        (60, 59, 423),
        (60, 60, 200),
        (60, 1, 423),
        # "If and only if the requested expiration interval is … smaller than one hour AND less than a … minimum".
        (7000, 3599, 423),
        (7000, 3600, 200),
    ],
)
def test_an_interval_that_is_too_brief_is_refused(minimum: int, requested: int, status: int) -> None:
    policy = Policy(min_expires=minimum, max_expires=7200)
    for before in ([], add(A)):
        outcome = run(register(f"{A};expires={requested}", cseq=2), before, policy=policy)
        assert outcome.status == status
        assert values(outcome, "Min-Expires") == ([str(minimum)] if status == 423 else [])
        assert bool(outcome.changes) is (status == 200)


def test_one_interval_that_is_too_brief_fails_all_of_them() -> None:
    rows = add(C)
    outcome = run(register(A, B + ";expires=5", C + ";expires=0", cseq=2), rows)
    assert (outcome.status, outcome.changes) == (423, [])
    assert outcome.rows is rows


# step 7: which binding, and order -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "sent", "same"),
    [
        ("<sip:a@192.0.2.4>", "<sip:a@192.0.2.4>", True),
        ("<sip:a@host.example>", "<sip:a@HOST.example>", True),
        ("<sip:%61@host.example>", "<sip:a@host.example>", True),
        ("<sip:a@host.example;ob>", "<sip:a@host.example>", True),
        ("<sip:a@host.example;ob>", "<sip:a@host.example;x=1>", True),
        ("<sip:a@host.example;x=2>", "<sip:a@host.example;x=1>", False),
        ("<sip:A@host.example>", "<sip:a@host.example>", False),
        ("<sip:a@host.example>", "<sip:a@host.example:5060>", False),
        ("<sip:a@host.example>", "<sip:a@host.example;transport=udp>", False),
        ("<sip:a@host.example>", "<sips:a@host.example>", False),
        ("<sip:a@host.example>", "<sip:b@host.example>", False),
    ],
)
def test_contacts_are_compared_as_uris(stored: str, sent: str, same: bool) -> None:
    rows = add(stored, cseq=1)
    outcome = run(register(sent, cseq=2), rows)
    assert outcome.status == 200
    assert [change.event for change in outcome.changes] == ["refreshed" if same else "registered"]
    assert len(outcome.rows) == (1 if same else 2)
    assert outcome.rows[-1].contact == sent[1:-1]


def test_of_several_equivalent_bindings_the_one_with_the_same_text_is_meant() -> None:
    rows = add("<sip:a@h;x=1>", "<sip:a@h;x=2>", cseq=1)
    rows = run(register("<sip:a@h;x=2>", cseq=2), rows, NOW + 1).rows
    assert [row.updated for row in rows] == [NOW, NOW + 1]
    rows = run(register("<sip:a@h>", cseq=3), rows, NOW + 2).rows
    assert [(row.contact, row.updated) for row in rows] == [("sip:a@h", NOW + 2), ("sip:a@h;x=2", NOW + 1)]


@pytest.mark.parametrize(
    ("call_id", "cseq", "status"),
    [("call-1", 6, 200), ("call-1", 5, 500), ("call-1", 4, 500), ("other", 1, 200), ("other", 5, 200)],
)
@pytest.mark.parametrize("expires", [0, 600])
def test_only_a_newer_request_changes_a_binding(call_id: str, cseq: int, status: int, expires: int) -> None:
    rows = add(A, cseq=5)
    outcome = run(register(f"{A};expires={expires}", call_id=call_id, cseq=cseq), rows, NOW + 1)
    assert outcome.status == status
    if status == 500:
        assert outcome.rows is rows
        assert outcome.changes == []
    elif expires:
        assert [(row.call_id, row.cseq, row.expires) for row in outcome.rows] == [(call_id, cseq, NOW + 601)]
    else:
        assert outcome.rows == []


def test_a_contact_that_is_out_of_order_fails_the_whole_request() -> None:
    rows = add(A, cseq=5)
    outcome = run(register(B, A, cseq=5), rows)
    assert outcome.status == 500
    assert outcome.rows is rows


def test_a_request_that_is_older_than_another_binding_may_add_a_new_one() -> None:
    """Only bindings of contacts that the request names are compared."""
    outcome = run(register(B, cseq=4), add(A, cseq=5))
    assert [row.contact for row in outcome.rows] == ["sip:a@192.0.2.4", "sip:b@192.0.2.4"]


def test_removing_what_is_not_there_is_no_change() -> None:
    rows = add(A)
    outcome = run(register(B + ";expires=0", cseq=2), rows)
    assert (outcome.status, outcome.changes) == (200, [])
    assert outcome.rows is rows


def test_one_request_adds_refreshes_and_removes() -> None:
    rows = add(A, B, cseq=1)
    outcome = run(register(f"{A};expires=0, {B};expires=60", C + ";q=0.2", cseq=2), rows, NOW + 10)
    assert events(outcome) == [
        ("unregistered", "sip:a@192.0.2.4"),
        ("refreshed", "sip:b@192.0.2.4"),
        ("registered", "sip:c@192.0.2.4"),
    ]
    assert values(outcome, "Contact") == ["<sip:b@192.0.2.4>;expires=60", "<sip:c@192.0.2.4>;expires=3600;q=0.2"]
    assert outcome.why == "unregistered sip:a@192.0.2.4, refreshed sip:b@192.0.2.4, registered sip:c@192.0.2.4"


def test_contacts_are_processed_in_turn_and_the_last_word_counts() -> None:
    outcome = run(register(A + ";expires=100", "<sip:a@192.0.2.4>;expires=200"))
    assert values(outcome, "Contact") == ["<sip:a@192.0.2.4>;expires=200"]
    outcome = run(register(A + ";expires=100", A + ";expires=0"))
    assert outcome.rows == []


def test_a_refresh_keeps_nothing_of_the_old_parameters() -> None:
    """RFC 3840 section 6: "it MUST include its feature parameters in that refresh if it wishes" them to remain."""
    rows = add(A + ";audio;q=0.3", cseq=1, agent="old")
    row = run(register(A + ";video", cseq=2), rows).rows[0]
    assert (row.parameters, row.q, row.user_agent) == (";video", 1000, "")


# limits and refusals --------------------------------------------------------------------------------------------------


def test_an_address_of_record_may_have_so_many_bindings() -> None:
    policy = Policy(most_contacts=2)
    rows = add(A, B)
    outcome = run(register(C, cseq=2), rows, policy=policy)
    assert (outcome.status, outcome.reason) == (403, "Too Many Contacts (at most 2)")
    assert outcome.rows is rows
    assert run(register(A, cseq=2), rows, policy=policy).status == 200
    assert run(register(A + ";expires=0", C, cseq=2), rows, policy=policy).status == 200
    # Removed only after it was too many: it is the result that counts.
    assert run(register(C, A + ";expires=0", cseq=2), rows, policy=policy).status == 200


def test_whoever_has_more_than_is_allowed_now_may_refresh_but_not_add() -> None:
    rows = add(A, B)
    policy = Policy(most_contacts=1)
    assert run(register(A + ";q=0.5", cseq=2), rows, policy=policy).status == 200
    assert run(register(C, cseq=2), rows, policy=policy).status == 403


def test_a_request_may_carry_so_many_contacts() -> None:
    many = [f"<sip:u{number}@192.0.2.4>;expires=0" for number in range(33)]
    assert run(register(*many[:32])).status == 200
    assert run(register(*many)).status == 400


def test_a_binding_may_be_so_long() -> None:
    longest = 8192 - len("sip:a@192.0.2.4") - len("call-1") - len(";x=")
    assert run(register(f"{A};x={'y' * longest}")).status == 200
    outcome = run(register(f"{A};x={'y' * (longest + 1)}"))
    assert (outcome.status, outcome.changes) == (513, [])


def test_a_user_agent_is_kept_up_to_200_characters() -> None:
    assert add(A, agent="x" * 300)[0].user_agent == "x" * 200


@pytest.mark.parametrize(
    "contact", ["", ",", "<sip:a@192.0.2.4", "<sip:>", "<sip:a@192.0.2.4>;q=2", "<sip:a@h>;reg-id=0", "nothing"]
)
def test_a_malformed_contact_is_answered_with_400(contact: str) -> None:
    rows = add(B)
    outcome = run(register(contact, cseq=2), rows)
    assert (outcome.status, outcome.changes) == (400, [])
    assert outcome.rows is rows


@pytest.mark.parametrize("uri", ["tel:+15550100", "mailto:a@example.org", "http://192.0.2.4/", "urn:service:sos"])
def test_a_contact_of_another_scheme_is_forbidden_unless_allowed(uri: str) -> None:
    assert run(register(f"<{uri}>")).status == 403
    scheme = uri.partition(":")[0]
    allowed = run(register(f"<{uri}>"), policy=Policy(schemes=frozenset((scheme,))))
    assert [row.contact for row in allowed.rows] == [uri]
    # Whoever has one may get rid of it.
    assert run(register(f"<{uri}>;expires=0", cseq=2), allowed.rows).rows == []


@pytest.mark.parametrize(
    "contact",
    [
        "<sip:alice@example.org>",
        "<sip:alice@EXAMPLE.ORG;ob>",
        f"<{public_gruu(AOR, INSTANCE)}>",
        f"<{GRUUS.temporary(AOR, INSTANCE, 5, '1')}>",
    ],
)
def test_a_contact_that_is_the_address_of_record_is_forbidden(contact: str) -> None:
    outcome = run(register(f'{contact};+sip.instance="<{INSTANCE}>"'), policy=WITH_GRUUS)
    assert (outcome.status, outcome.changes) == (403, [])


def test_a_gruu_of_somebody_else_is_a_contact() -> None:
    bob = parse_uri("sip:bob@example.org")
    gruu = GRUUS.temporary(bob, INSTANCE, 5, "1")
    assert run(register(f"<{gruu}>"), policy=WITH_GRUUS).status == 200


def test_the_policy_says_which_contacts_are_refused_and_why() -> None:
    asked: list[tuple[str, str, bool]] = []

    def refused(uri: Uri, source: Flow, has_flow: bool) -> str:
        asked.append((uri.text, source.host, has_flow))
        return "that is us" if uri.host == "192.0.2.10" else ""

    policy = Policy(refused=refused, flow_secret=SECRET)
    outcome = run(register("<sip:a@192.0.2.10>"), policy=policy)
    assert (outcome.status, outcome.reason, outcome.changes) == (403, "that is us", [])
    assert run(register("<sip:a@192.0.2.10>;expires=0"), policy=policy).status == 200
    assert run(register(A), policy=policy).status == 200
    assert asked == [("sip:a@192.0.2.10", "192.0.2.4", True), ("sip:a@192.0.2.4", "192.0.2.4", False)]


# RFC 3327: Path -------------------------------------------------------------------------------------------------------

P1, P3 = "<sip:P1.EXAMPLEVISITED.COM;lr>", "<sip:P3.EXAMPLEHOME.COM;lr>"


def test_the_path_is_stored_and_echoed() -> None:
    """The example of RFC 3327 5.5.1."""
    outcome = run(register("<sip:UA1@192.0.2.4>", supported="path", path=(f"{P3},{P1}",)))
    assert outcome.rows[0].path == (P3, P1)
    assert values(outcome, "Path") == [f"{P3}, {P1}"]


def test_a_path_in_several_lines_keeps_its_order() -> None:
    assert add(A, supported="foo, PATH", path=(P3, P1))[0].path == (P3, P1)


def test_a_path_from_a_user_agent_that_does_not_support_it() -> None:
    request = register(A, path=(P1,))
    outcome = run(request)
    assert (outcome.status, outcome.headers, outcome.changes) == (420, [("Unsupported", "path")], [])
    tolerant = run(request, policy=Policy(path_unsupported=True))
    assert tolerant.rows[0].path == (P1,)
    assert values(tolerant, "Path") == [P1]


def test_a_malformed_path_is_answered_with_400() -> None:
    assert run(register(A, supported="path", path=("sip:no-angles.example",))).status == 400


def test_a_refresh_takes_the_path_that_it_came_by() -> None:
    rows = add(A, supported="path", path=(P1,))
    assert run(register(A, cseq=2), rows).rows[0].path == ()
    assert run(register(A, cseq=2, supported="path", path=(P3,)), rows).rows[0].path == (P3,)


# flows ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "source", "kept"),
    [
        ("<sip:a@192.0.2.4>", UDP, False),
        ("<sip:a@192.0.2.4:5060>", UDP, False),
        ("<sip:192.0.2.4>", UDP, False),
        ("<sip:a@192.0.2.4;transport=udp>", UDP, False),
        # Another port of the host that both Via and source name: a listener of its own.
        ("<sip:a@192.0.2.4:5070>", UDP, False),
        # Here a NAT has changed the port: Via says 5060.
        ("<sip:a@192.0.2.4>", Flow("UDP", "udp:192.0.2.10:5060", "192.0.2.4", 40123), True),
        ("<sip:a@192.0.2.4:5070>", Flow("UDP", "udp:192.0.2.10:5060", "192.0.2.4", 40123), True),
        ("<sip:a@192.0.2.5>", UDP, True),
        ("<sip:a@phone.example>", UDP, True),
        # The Contact names a listener for TCP on the host that the datagram came from.
        ("<sip:a@192.0.2.4:5070;transport=tcp>", UDP, False),
        ("<sip:a@10.0.0.4>", NAT, True),
        ("<sip:a@[2001:db8::7]:5062>", Flow("UDP", "", "2001:db8::7", 5062), False),
        ("<sip:a@[2001:db8::7]>", Flow("UDP", "", "2001:db8::8", 5060), True),
        ("<sip:a@192.0.2.4:50123;transport=tcp>", TCP, True),
        ("<sip:a@abc.invalid;transport=ws>", Flow("WSS", "", "203.0.113.7", 4, 9), True),
    ],
)
def test_the_flow_is_kept_where_the_contact_is_not_what_the_request_came_from(
    contact: str, source: Flow, kept: bool
) -> None:
    first = run(register(contact), policy=FLOWS, source=source).rows[0]
    again = run(register(contact, cseq=2), [first], policy=FLOWS, source=source).rows[0]
    host = f"[{source.host}]" if ":" in source.host else source.host
    received = f"{source.transport.lower()}:{host}:{source.port}"
    for row in (first, again):
        assert row.flow == (encode_flow_token(SECRET, source) if kept else "")
        assert row.received == (received if kept else "")


def test_no_flow_is_kept_of_what_came_through_a_proxy_or_by_a_path_or_without_a_secret() -> None:
    assert run(register(A, vias=2), policy=FLOWS, source=NAT).rows[0].flow == ""
    assert run(register(A, supported="path", path=(P1,)), policy=FLOWS, source=NAT).rows[0].flow == ""
    assert run(register(A), source=NAT).rows[0].flow == ""


def test_a_refresh_from_another_place_moves_the_flow() -> None:
    """RFC 5626 section 6: "the registrar MUST update any information that uniquely identifies the network flow"."""
    rows = run(register(A), policy=FLOWS, source=NAT).rows
    moved = Flow("UDP", "udp:192.0.2.10:5060", "203.0.113.7", 50000)
    rows = run(register(A, cseq=2), rows, policy=FLOWS, source=moved).rows
    assert rows[0].received == "udp:203.0.113.7:50000"
    rows = run(register(A, cseq=3), rows, policy=FLOWS, source=UDP).rows
    assert (rows[0].flow, rows[0].received) == ("", "")


# RFC 5626: outbound ---------------------------------------------------------------------------------------------------


def flow_contact(reg_id: int, uri: str = "sip:bob@192.0.2.2;transport=tcp", more: str = "") -> str:
    return f'<{uri}>;reg-id={reg_id};+sip.instance="<{INSTANCE}>"{more}'


def test_a_direct_outbound_registration_keeps_its_flow_and_says_so() -> None:
    policy = Policy(flow_secret=SECRET, flow_timer=120)
    outcome = run(register(flow_contact(1), supported="path, outbound"), policy=policy, source=TCP)
    row = outcome.rows[0]
    assert (row.instance, row.reg_id, row.flow) == (INSTANCE, 1, encode_flow_token(SECRET, TCP))
    assert outcome.headers == [
        ("Contact", f'<sip:bob@192.0.2.2;transport=tcp>;expires=3600;+sip.instance="<{INSTANCE}>";reg-id=1'),
        ("Require", "outbound"),
        ("Flow-Timer", "120"),
    ]


def test_an_outbound_datagram_keeps_its_flow_even_from_where_the_contact_says() -> None:
    outcome = run(register(flow_contact(1, "sip:bob@192.0.2.4"), supported="outbound"), policy=FLOWS, source=UDP)
    assert outcome.rows[0].flow == encode_flow_token(SECRET, UDP)
    assert values(outcome, "Require") == ["outbound"]
    assert values(outcome, "Flow-Timer") == []


def test_reg_id_counts_without_the_option_tag_but_nothing_is_promised() -> None:
    outcome = run(register(flow_contact(1)), policy=FLOWS, source=TCP)
    assert outcome.rows[0].reg_id == 1
    assert values(outcome, "Require") == []


def test_an_edge_proxy_that_supports_outbound() -> None:
    """Messages 10 and 11 of RFC 5626 9.2."""
    ep1 = "<sip:VskztcQ/S8p4WPbOnHbuyh5iJvJIW3ib@ep1.example.com;lr;ob>"
    policy = Policy(flow_secret=SECRET, flow_timer=120)
    request = register(flow_contact(1), supported="path, outbound", path=(ep1,), vias=2)
    outcome = run(request, policy=policy, source=TCP)
    row = outcome.rows[0]
    assert (row.reg_id, row.path, row.flow) == (1, (ep1,), "")
    assert values(outcome, "Require") == ["outbound"]
    # Only "Registrars with a direct flow with a UA MAY include a Flow-Timer".
    assert values(outcome, "Flow-Timer") == []


@pytest.mark.parametrize("path", [(), ("<sip:ep1.example.com;lr>",)])
def test_a_first_hop_without_outbound_is_reported_or_reg_id_is_ignored(path: tuple[str, ...]) -> None:
    outcome = run(register(flow_contact(1), supported="path, outbound", path=path, vias=2))
    assert (outcome.status, outcome.reason, outcome.changes) == (439, "First Hop Lacks Outbound Support", [])
    outcome = run(register(flow_contact(1), supported="path", path=path, vias=2))
    assert (outcome.status, outcome.rows[0].reg_id, outcome.rows[0].instance) == (200, 0, INSTANCE)
    assert values(outcome, "Require") == []


def test_a_contact_without_reg_id_is_no_reason_for_439() -> None:
    assert run(register(A, supported="outbound", vias=2)).status == 200


def test_reg_id_without_instance_is_ignored() -> None:
    outcome = run(register(A + ";reg-id=1", supported="outbound"), policy=FLOWS)
    assert (outcome.rows[0].reg_id, values(outcome, "Require")) == (0, [])


def test_flows_are_bindings_of_their_own_and_a_new_flow_replaces_the_old_one() -> None:
    rows = run(register(flow_contact(1), supported="outbound", call_id="c1"), policy=FLOWS, source=TCP).rows
    rows = run(register(flow_contact(2), supported="outbound", call_id="c2"), rows, policy=FLOWS, source=NAT).rows
    assert [(row.reg_id, row.received) for row in rows] == [(1, "tcp:192.0.2.4:50123"), (2, "udp:203.0.113.7:41234")]
    # After a restart the user agent has another address and Call-ID, and the instance in other letters.
    moved = flow_contact(1, "sip:bob@192.0.2.99").replace(INSTANCE, INSTANCE.upper())
    outcome = run(register(moved, supported="outbound", call_id="c3"), rows, NOW + 5, policy=FLOWS, source=UDP)
    assert events(outcome) == [("refreshed", "sip:bob@192.0.2.99")]
    assert [(row.reg_id, row.contact, row.updated) for row in outcome.rows] == [
        (1, "sip:bob@192.0.2.99", NOW + 5),
        (2, "sip:bob@192.0.2.2;transport=tcp", NOW),
    ]


def test_the_same_instance_and_reg_id_of_an_old_request_fails() -> None:
    rows = add(flow_contact(1), supported="outbound", cseq=5)
    assert run(register(flow_contact(1, "sip:new@192.0.2.9"), supported="outbound", cseq=5), rows).status == 500


@pytest.mark.parametrize(
    ("contacts", "status"),
    [
        ([flow_contact(1), flow_contact(2)], 400),
        ([flow_contact(1), A], 400),
        ([A, flow_contact(1)], 400),
        ([flow_contact(1), flow_contact(2, more=";expires=0"), B + ";expires=0"], 200),
        ([flow_contact(1, more=";expires=0"), A, B], 200),
        ([flow_contact(1, more=";expires=0"), flow_contact(2, more=";expires=0")], 200),
    ],
)
def test_an_outbound_registration_is_alone_but_for_removals(contacts: list[str], status: int) -> None:
    assert run(register(*contacts, supported="outbound")).status == status


def test_plain_and_outbound_bindings_of_one_uri_stand_side_by_side() -> None:
    uri = "sip:bob@192.0.2.2"
    rows = add(flow_contact(1, uri), supported="outbound", call_id="c1")
    rows = run(register(f"<{uri}>", call_id="c2"), rows).rows
    assert [(row.contact, row.reg_id) for row in rows] == [(uri, 1), (uri, 0)]
    # The removal means the plain binding while there is one, and else all flows with that URI.
    rows = run(register(f"<{uri}>;expires=0", call_id="c3"), rows).rows
    assert [(row.contact, row.reg_id) for row in rows] == [(uri, 1)]
    rows += add(flow_contact(2, uri), supported="outbound", call_id="c4")
    assert run(register(f"<{uri}>;expires=0", call_id="c3"), rows).rows == []


def test_removing_a_flow_leaves_the_other() -> None:
    rows = add(flow_contact(1), supported="outbound") + add(flow_contact(2), supported="outbound", call_id="c2")
    outcome = run(register(flow_contact(1, more=";expires=0"), supported="outbound", cseq=2), rows)
    assert [row.reg_id for row in outcome.rows] == [2]
    assert values(outcome, "Require") == ["outbound"]


# RFC 5627: GRUU -------------------------------------------------------------------------------------------------------

PHONE = f'<sip:alice@192.0.2.4>;+sip.instance="<{INSTANCE}>"'


def gruus_in(outcome: Outcome) -> list[tuple[str, str]]:
    """The public and the temporary GRUU of each Contact of a response."""
    found = []
    for value in values(outcome, "Contact"):
        public = value.partition(';pub-gruu="')[2].partition('"')[0]
        temp = value.partition(';temp-gruu="')[2].partition('"')[0]
        found.append((public, temp))
    return found


def is_valid(temporary: str, rows: list[Binding]) -> bool:
    gruu = GRUUS.resolve(parse_uri(temporary))
    assert gruu is not None
    assert gruu.aor == "alice@example.org"
    return any(GRUUS.selects(gruu, row.instance, row.gruu) for row in rows)


def test_both_gruus_are_given_to_a_user_agent_that_supports_them() -> None:
    outcome = run(register(PHONE, supported="gruu"), policy=WITH_GRUUS)
    (public, temporary) = gruus_in(outcome)[0]
    assert public == f"sip:alice@example.org;gr={INSTANCE}"
    assert is_valid(temporary, outcome.rows)
    # "The registrar SHOULD NOT include the 'gruu' option tag in the Require or Supported header field".
    assert [name for name, _ in outcome.headers] == ["Contact"]


@pytest.mark.parametrize(
    ("contact", "supported", "policy"),
    [(PHONE, "path", WITH_GRUUS), (PHONE, "gruu", Policy()), (A, "gruu", WITH_GRUUS)],
)
def test_no_gruu_without_support_or_instance(contact: str, supported: str, policy: Policy) -> None:
    assert gruus_in(run(register(contact, supported=supported), policy=policy)) == [("", "")]


def test_gruus_that_a_user_agent_suggests_are_ignored() -> None:
    suggested = PHONE + ';pub-gruu="sip:evil@example.org;gr=1";temp-gruu="sip:tgruu.x@example.org;gr"'
    outcome = run(register(suggested, supported="gruu"), policy=WITH_GRUUS)
    assert gruus_in(outcome)[0][0] == f"sip:alice@example.org;gr={INSTANCE}"
    assert "evil" not in values(outcome, "Contact")[0]


def test_temporary_gruus_accumulate_over_refreshes() -> None:
    rows: list[Binding] = []
    seen = []
    for cseq in range(1, 6):
        outcome = run(register(PHONE, cseq=cseq, supported="gruu"), rows, NOW + cseq, policy=WITH_GRUUS)
        rows = outcome.rows
        seen.append(gruus_in(outcome)[0][1])
    assert len(set(seen)) == 5
    assert all(is_valid(temporary, rows) for temporary in seen)


def test_a_change_of_call_id_invalidates_the_temporary_gruus_and_keeps_the_public_one() -> None:
    first = run(register(PHONE, supported="gruu"), policy=WITH_GRUUS)
    second = run(register(PHONE, call_id="rebooted", supported="gruu"), first.rows, NOW, policy=WITH_GRUUS)
    (public, old), (same, new) = gruus_in(first)[0], gruus_in(second)[0]
    assert public == same
    assert not is_valid(old, second.rows)
    assert is_valid(new, second.rows)


def test_a_contact_that_moved_with_its_call_id_keeps_its_temporary_gruus() -> None:
    moved = PHONE.replace("192.0.2.4", "192.0.2.99")
    first = run(register(PHONE, supported="gruu"), policy=WITH_GRUUS)
    second = run(register(moved, cseq=2, supported="gruu"), first.rows, NOW + 1, policy=WITH_GRUUS)
    assert is_valid(gruus_in(first)[0][1], second.rows)
    # Both contacts of the instance have the newest one: "the most recently created temporary GRUU".
    both = gruus_in(second)
    assert len(both) == 2
    assert both[0] == both[1]
    third = run(register(moved, call_id="rebooted", supported="gruu"), second.rows, NOW + 2, policy=WITH_GRUUS)
    assert [row.gruu for row in third.rows] == [third.rows[0].gruu] * 2
    assert not is_valid(both[0][1], third.rows)


def test_temporary_gruus_end_with_the_last_contact_of_the_instance() -> None:
    first = run(register(PHONE, supported="gruu"), policy=WITH_GRUUS)
    removed = run(register(PHONE + ";expires=0", cseq=2, supported="gruu"), first.rows, policy=WITH_GRUUS)
    again = run(register(PHONE, cseq=3, supported="gruu"), removed.rows, NOW + 1, policy=WITH_GRUUS)
    assert not is_valid(gruus_in(first)[0][1], again.rows)
    expired = run(register(PHONE, cseq=2, supported="gruu"), first.rows, NOW + 3600, policy=WITH_GRUUS)
    assert not is_valid(gruus_in(first)[0][1], expired.rows)


def test_flows_of_an_instance_share_its_temporary_gruus() -> None:
    """RFC 5627 4.2: "the temporary GRUUs remain valid as long as at least one flow is registered"."""
    supported = "gruu, outbound"
    one = run(register(flow_contact(1), supported=supported, call_id="c1"), policy=WITH_GRUUS)
    two = run(register(flow_contact(2), supported=supported, call_id="c2"), one.rows, NOW + 1, policy=WITH_GRUUS)
    first, second = gruus_in(one)[0][1], gruus_in(two)[0][1]
    assert is_valid(first, two.rows)
    gone = run(register(flow_contact(1, more=";expires=0"), call_id="c1", cseq=2), two.rows, policy=WITH_GRUUS)
    assert is_valid(first, gone.rows)
    # "If the Call-ID changes for the registration refresh for a particular reg-id, the server will invalidate all
    # temporary GRUUs associated with that UA instance as a whole."
    new = run(register(flow_contact(2), supported=supported, call_id="c9"), two.rows, NOW + 2, policy=WITH_GRUUS)
    assert not is_valid(first, new.rows)
    assert not is_valid(second, new.rows)
    assert [is_valid(temporary, new.rows) for _, temporary in gruus_in(new)] == [True, True]
    assert len({row.gruu for row in new.rows}) == 1


def test_another_instance_is_not_touched_by_the_epoch_of_the_first() -> None:
    other = '<sip:x@192.0.2.7>;+sip.instance="<urn:uuid:00000000-0000-1000-8000-aabbccddeeff>"'
    rows = add(PHONE, other, policy=WITH_GRUUS)
    after = run(register(PHONE, call_id="rebooted"), rows, NOW + 1, policy=WITH_GRUUS).rows
    assert after[0].gruu != rows[0].gruu
    assert after[1] is rows[1]


def test_a_clock_that_goes_back_does_not_revive_an_epoch() -> None:
    first = run(register(PHONE, supported="gruu"), policy=WITH_GRUUS)
    second = run(register(PHONE, call_id="c2", supported="gruu"), first.rows, NOW - 500.0, policy=WITH_GRUUS)
    assert not is_valid(gruus_in(first)[0][1], second.rows)


def test_a_query_gives_the_same_temporary_gruu_as_the_registration() -> None:
    first = run(register(PHONE, supported="gruu"), policy=WITH_GRUUS)
    query = run(register(call_id="other", supported="gruu"), first.rows, NOW + 9, policy=WITH_GRUUS)
    assert gruus_in(query) == gruus_in(first)


# 10.3 beside a model --------------------------------------------------------------------------------------------------

# Different contacts; within each, spellings that are the same URI.
SPELLINGS = [
    ["<sip:a@h.example>", "<sip:a@H.EXAMPLE>", "<sip:%61@h.example;x=1>"],
    ["<sip:b@h.example>", "sip:b@h.example"],
    ["<sip:c@h.example;transport=tcp>", "<sip:c@h.example;transport=TCP>"],
    ["<sips:a@h.example>"],
]
MODEL_POLICY = Policy(min_expires=60, max_expires=600, default_expires=300, most_contacts=3)


class Model:
    """Step 6 and 7 in the words of 10.3, over a dict from contact to (Call-ID, CSeq, end, q)."""

    def __init__(self) -> None:
        self.bindings: dict[int, tuple[str, int, float, int]] = {}

    def register(
        self,
        contacts: list[tuple[int, int | None, int]],
        wildcard: bool,
        header: int | None,
        call_id: str,
        cseq: int,
        now: float,
    ) -> int:
        before = {contact: binding for contact, binding in self.bindings.items() if binding[2] > now}
        self.bindings = before
        after = dict(before)
        if wildcard:
            if contacts or header != 0:
                return 400
            for stored_call, stored_cseq, _, _ in before.values():
                if stored_call == call_id and cseq <= stored_cseq:
                    return 500
            self.bindings = {}
            return 200
        mine: set[int] = set()
        for contact, expires, q in contacts:
            requested = expires if expires is not None else header if header is not None else 300
            stored = after.get(contact)
            if stored is not None and contact not in mine and stored[0] == call_id and cseq <= stored[1]:
                return 500
            if requested == 0:
                after.pop(contact, None)
                continue
            if requested < 60:
                return 423
            after[contact] = (call_id, cseq, now + min(requested, 600), q)
            mine.add(contact)
        if len(after) > 3 and len(after) > len(before):
            return 403
        self.bindings = after
        return 200


class RegistrarMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.rows: list[Binding] = []
        self.now = NOW

    @rule(
        contacts=st.lists(
            st.tuples(
                st.integers(0, 3),
                st.integers(0, 2),
                st.sampled_from([None, 0, 30, 60, 200, 5000]),
                st.sampled_from([1000, 500, 0]),
            ),
            max_size=4,
        ),
        wildcard=st.sampled_from([False, False, False, True]),
        header=st.sampled_from([None, 0, 100]),
        call_id=st.sampled_from(["one", "two"]),
        cseq=st.integers(1, 8),
        later=st.sampled_from([0.0, 1.0, 59.5, 100.0]),
    )
    def register(
        self,
        contacts: list[tuple[int, int, int | None, int]],
        wildcard: bool,
        header: int | None,
        call_id: str,
        cseq: int,
        later: float,
    ) -> None:
        self.now += later
        texts = []
        for contact, spelling, expires, q in contacts:
            text = SPELLINGS[contact][spelling % len(SPELLINGS[contact])]
            text += "" if q == 1000 else f";q={q / 1000}"
            texts.append(text if expires is None else f"{text};expires={expires}")
        if wildcard:
            texts.append("*")
        request = register(*texts, call_id=call_id, cseq=cseq, expires=None if header is None else str(header))
        before = list(self.rows)
        outcome = apply(request, self.rows, self.now, MODEL_POLICY, AOR, UDP)
        plain = [(contact, expires, q) for contact, _, expires, q in contacts]
        assert outcome.status == self.model.register(plain, wildcard, header, call_id, cseq, self.now)
        assert state(self.rows) == state(before), "what was passed in has been changed"
        if outcome.status != 200:
            assert outcome.rows is self.rows
            assert outcome.changes == []
        else:
            listed = [value.partition(">")[0] for value in values(outcome, "Contact")]
            assert listed == [f"<{row.contact}" for row in outcome.rows]
        if outcome.changes:
            self.rows = outcome.rows

    @invariant()
    def same_bindings(self) -> None:
        if not hasattr(self, "model"):
            return
        mine = {}
        for row in self.rows:
            if row.expires > self.now:
                uri = parse_uri(row.contact)
                spelled = [parse_uri(spellings[0].strip("<>")).equivalent(uri) for spellings in SPELLINGS]
                assert spelled.count(True) == 1
                number = spelled.index(True)
                assert number not in mine
                mine[number] = (row.call_id, row.cseq, row.expires, row.q)
        model = {contact: binding for contact, binding in self.model.bindings.items() if binding[2] > self.now}
        assert mine == model


TestRegistrar = RegistrarMachine.TestCase
TestRegistrar.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
