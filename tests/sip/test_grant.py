"""What a registrar has granted: read from what the registrars of this world return."""

import pytest

from ringback.sip.grant import MOST_VALUES, Grant, read_grant
from ringback.sip.message import Headers, build_response
from ringback.sip.uri import parse_uri

URN = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
INSTANCE = f'+sip.instance="<{URN}>"'
CONTACT = "sip:alice@192.0.2.4:5062"


def grant(*headers: tuple[str, str], contact: str = CONTACT, instance: str = "", reg_id: int = 0) -> Grant:
    given: Headers = list(headers)
    return read_grant(build_response(200, "", given), parse_uri(contact), instance, reg_id, 3600)


def contacts(*values: str, **options: object) -> Grant:
    return grant(*(("Contact", value) for value in values), **options)  # type: ignore[arg-type]


def test_ours_among_others_by_the_comparison_of_19_1_4() -> None:
    found = contacts(
        "<sip:alice@198.51.100.1:5060>;expires=20", f"<{CONTACT}>;expires=1800;q=0.5", "<sip:alice@phone>;expires=7200"
    )
    assert (found.found, found.expires) == ("uri", 1800)
    assert found.bindings == [
        "<sip:alice@198.51.100.1:5060>;expires=20", f"<{CONTACT}>;expires=1800;q=0.5", "<sip:alice@phone>;expires=7200"
    ]  # fmt: skip


def test_spelling_does_not_count_and_parameters_that_only_one_has_are_ignored() -> None:
    found = contacts("<sip:%61lice@192.0.2.4:5062;ob>;expires=7", contact=f"{CONTACT};foo=bar")
    assert (found.found, found.expires) == ("uri", 7)


@pytest.mark.parametrize(
    ("headers", "expires"),
    [
        # "according to the expires parameter or, if absent, the Expires field value".
        ((("Contact", f"<{CONTACT}>"), ("Expires", "60")), 60),
        ((("Contact", f"<{CONTACT}>;expires=50"), ("Expires", "60")), 50),
        ((("Contact", f'<{CONTACT}>;expires="50"'),), 50),
        ((("Contact", f"<{CONTACT}>"),), 3600),
        # FRITZ!Box and others answer without any Contact.
        ((("Expires", "300"),), 300),
        ((), 3600),
        # "Malformed values SHOULD be treated as equivalent to 3600."
        ((("Contact", f"<{CONTACT}>;expires=soon"), ("Expires", "60")), 3600),
        ((("Contact", f"<{CONTACT}>;expires"), ("Expires", "60")), 3600),
        ((("Expires", "never"),), 3600),
        ((("Contact", f"<{CONTACT}>;expires=0"),), 0),
    ],
)
def test_how_long(headers: tuple[tuple[str, str], ...], expires: int) -> None:
    assert grant(*headers).expires == expires


def test_ours_by_instance_when_the_address_was_rewritten() -> None:
    found = contacts(
        '<sip:alice@203.0.113.9:40000>;expires=60;+sip.instance="<urn:uuid:0>"',
        f"<sip:alice@203.0.113.9:40001>;expires=90;{INSTANCE.replace('f81d4fae', 'F81D4FAE')}",
        instance=URN,
    )
    assert (found.found, found.expires) == ("instance", 90)


def test_of_several_flows_ours() -> None:
    """The same Contact on another flow (reg-id) is another binding of ours."""
    values = [f"<{CONTACT}>;expires={60 + flow};{INSTANCE};reg-id={flow}" for flow in (1, 2, 3)]
    for flow in (1, 2, 3):
        found = contacts(*values, instance=URN, reg_id=flow)
        assert (found.found, found.expires) == ("uri", 60 + flow)
    assert contacts(f"<{CONTACT}>;expires=9;{INSTANCE}", instance=URN, reg_id=2).found == "uri"


def test_ours_by_the_address_when_the_transport_was_dropped() -> None:
    values = ("<sip:alice@192.0.2.4:5062>;expires=60", "<sip:bob@192.0.2.4:5062>;expires=6")
    found = contacts(*values, contact=f"{CONTACT};transport=tcp")
    assert (found.found, found.expires) == ("address", 60)


def test_ours_when_it_is_the_only_one_and_rewritten() -> None:
    found = contacts("<sip:alice@203.0.113.9:1025;x=y>;expires=30")
    assert (found.found, found.expires) == ("rewritten", 30)


@pytest.mark.parametrize(
    "values",
    [
        ("<sip:bob@203.0.113.9:1025>;expires=30",),
        ("<sip:alice@203.0.113.9:1025>;expires=30", "<sip:alice@203.0.113.8>;expires=20"),
        ("*",),
        ("<tel:+4930>;expires=20",),
        ("<sip:alice@203.0.113.9:1025;expires=30",),
        ('"open <sip:alice@192.0.2.4:5062>;expires=30',),
    ],
)
def test_others_and_what_cannot_be_read_decide_nothing(values: tuple[str, ...]) -> None:
    found = contacts(*values)
    assert (found.found, found.expires) == ("", 3600)


def test_gruus() -> None:
    public, temporary = f"sip:alice@example.org;gr={URN}", "sip:tgruu.7hs@example.org;gr"
    value = f'<{CONTACT}>;expires=60;{INSTANCE};pub-gruu="{public}";temp-gruu="{temporary}"'
    found = contacts(value, instance=URN)
    assert (found.public_gruu, found.temporary_gruu) == (public, temporary)
    found = contacts(f'<{CONTACT}>;pub-gruu="{public}"', instance=URN)
    assert (found.public_gruu, found.temporary_gruu) == (public, "")
    found = contacts(f'<{CONTACT}>;pub-gruu="mailto:a@b";temp-gruu=""', instance=URN)
    assert (found.public_gruu, found.temporary_gruu) == ("", "")


def test_gruus_of_others_are_not_ours() -> None:
    found = contacts(f'<sip:bob@192.0.2.9>;{INSTANCE[:-3]}1>";pub-gruu="sip:bob@example.org;gr=x"', instance=URN)
    assert found.public_gruu == ""


def test_routes_and_identities() -> None:
    found = grant(
        ("Service-Route", "<sip:orig@p1.example.org;lr>, <sip:p2.example.org;lr>"),
        ("Service-Route", "<sip:p3.example.org;lr>"),
        ("P-Associated-URI", "<sip:+4930123@example.org>, <tel:+4930123>"),
        ("Path", "<sip:edge.example.org;lr;ob>"),
    )
    assert found.service_route == [
        "<sip:orig@p1.example.org;lr>", "<sip:p2.example.org;lr>", "<sip:p3.example.org;lr>"
    ]  # fmt: skip
    assert found.associated == ["<sip:+4930123@example.org>", "<tel:+4930123>"]
    assert found.path == ["<sip:edge.example.org;lr;ob>"]
    assert grant(("Service-Route", "<sip:a b;lr>, <sip:p.example.org;lr>")).service_route == ["<sip:p.example.org;lr>"]


def test_outbound_is_in_use_only_when_the_answer_requires_it() -> None:
    assert grant(("Require", "Outbound"), reg_id=1).outbound
    assert grant(("Require", "foo, outbound"), reg_id=1).outbound
    assert not grant(("Supported", "outbound"), reg_id=1).outbound
    assert not grant(("Require", "outbound"), reg_id=0).outbound


@pytest.mark.parametrize(("value", "seconds"), [("120", 120), ("", 0), ("often", 0), ("99999999999", 0)])
def test_flow_timer(value: str, seconds: int) -> None:
    assert grant(("Flow-Timer", value)).flow_timer == seconds
    assert grant().flow_timer == 0


@pytest.mark.parametrize(
    ("via", "seen"),
    [
        ("SIP/2.0/UDP 192.0.2.4:5062;branch=z9hG4bK1;received=203.0.113.9;rport=40000", ("203.0.113.9", 40000)),
        ("SIP/2.0/UDP 192.0.2.4:5062;branch=z9hG4bK1;rport=5062", ("192.0.2.4", 5062)),
        ("SIP/2.0/UDP [2001:db8::4]:5062;branch=z9hG4bK1;rport=5062", ("2001:db8::4", 5062)),
        ("SIP/2.0/UDP 192.0.2.4:5062;branch=z9hG4bK1;rport", ("", 0)),
        ("SIP/2.0/UDP 192.0.2.4:5062;branch=z9hG4bK1;received=203.0.113.9", ("", 0)),
        ("SIP/2.0/UDP 192.0.2.4:5062;branch=z9hG4bK1;received=home;rport=9", ("", 0)),
    ],
)
def test_where_the_first_hop_has_seen_us(via: str, seen: tuple[str, int]) -> None:
    found = grant(("Via", via))
    assert (found.seen_host, found.seen_port) == seen


def test_long_lists_are_read_up_to_a_bound() -> None:
    found = contacts(*[f"<sip:alice@198.51.100.{number % 250}:5060>;expires=20" for number in range(1000)])
    assert len(found.bindings) == MOST_VALUES
