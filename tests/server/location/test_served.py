"""Which addresses of record are ours, and under which key they are kept (10.3 step 5)."""

from __future__ import annotations

import pytest

from ringback.errors import ParseError
from ringback.server.location import Served
from ringback.sip.route import Self
from ringback.sip.transport import Listener
from ringback.sip.uri import parse_uri

ELEMENT = Self(
    ["example.org", "example.com"],
    [
        Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060),
        Listener("tcp:10.0.0.1:5070", "TCP", "sip.example.net", 5070),
    ],
)
SERVED = Served(("example.org", "example.com"), ELEMENT)


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("sip:alice@example.org", "alice@example.org"),
        ("sips:alice@example.org", "alice@example.org"),
        ("sip:alice@EXAMPLE.com", "alice@example.com"),
        ("sip:alice@example.org.", "alice@example.org"),
        ("sip:alice@example.org:5080", "alice@example.org"),
        ("sip:alice:secret@example.org;user=phone;x=y", "alice@example.org"),
        # "any escaped characters MUST be converted to their unescaped form"
        ("sip:%61lice@example.org", "alice@example.org"),
        ("sip:a%40b@example.org", "a@b@example.org"),
        # "the userinfo … is case-sensitive" (19.1.4)
        ("sip:Alice@example.org", "Alice@example.org"),
        # An address of the server stands for the main domain.
        ("sip:alice@192.0.2.1", "alice@example.org"),
        ("sip:alice@192.0.2.1:5060", "alice@example.org"),
        ("sip:alice@sip.example.net:5070", "alice@example.org"),
        ("sip:alice@10.0.0.1:5070", "alice@example.org"),
        ("sip:alice@example.org;maddr=203.0.113.9", "alice@example.org"),
    ],
)
def test_a_user_of_ours(uri: str, key: str) -> None:
    assert SERVED.key(parse_uri(uri)) == key


@pytest.mark.parametrize(
    "uri",
    [
        *("sip:example.org", "sip:alice@example.net", "sip:alice@sub.example.org", "sip:alice@192.0.2.2"),
        *("sip:alice@192.0.2.1:5061", "sip:alice@10.0.0.1", "tel:+15550100", "mailto:alice@example.org"),
        # maddr says where to send, not who somebody is.
        *("sip:alice@example.net;maddr=192.0.2.1", "sip:alice@192.0.2.1;maddr=192.0.2.1"),
    ],
)
def test_nobody_of_ours(uri: str) -> None:
    assert SERVED.key(parse_uri(uri)) == ""


@pytest.mark.parametrize(
    ("to", "key", "uri"),
    [
        ("<sip:alice@example.org>", "alice@example.org", "sip:alice@example.org"),
        ("<sips:alice@example.com>", "alice@example.com", "sips:alice@example.com"),
        ("Alice <sip:alice@example.org;user=phone>;tag=1", "alice@example.org", "sip:alice@example.org"),
        ("sip:alice@example.org;tag=1", "alice@example.org", "sip:alice@example.org"),
        ('"<sip:bob@example.org>" <sip:alice@Example.org:5060>', "alice@example.org", "sip:alice@example.org:5060"),
        ("<sip:%61lice@example.org>", "alice@example.org", "sip:%61lice@example.org"),
        ("<sip:alice@192.0.2.1>", "alice@example.org", "sip:alice@192.0.2.1"),
    ],
)
def test_the_address_of_record_of_a_to(to: str, key: str, uri: str) -> None:
    address = SERVED.address_of(to)
    assert address is not None
    assert (address.key, address.uri.text) == (key, uri)
    # The short way of plain ones gives what the long way does.
    assert address.uri.equivalent(parse_uri(uri)) and address.uri.user == parse_uri(uri).user


@pytest.mark.parametrize("to", ["<sip:alice@example.net>", "<sip:example.org>", "<sip:a@example.net;maddr=192.0.2.1>"])
def test_a_to_that_is_none_of_ours(to: str) -> None:
    assert SERVED.address_of(to) is None


@pytest.mark.parametrize("to", ["<tel:+15550100>", "<mailto:a@b>", "<sip:alice@example.org", "", "<>"])
def test_a_to_that_is_no_address_of_record(to: str) -> None:
    with pytest.raises(ParseError) as caught:
        SERVED.address_of(to)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "key", "covered"),
    [
        ("sip:example.org", "alice@example.org", True),
        ("sip:example.org", "alice@example.com", False),
        ("sip:EXAMPLE.com.", "alice@example.com", True),
        # The server by its address has access to all bindings.
        ("sip:192.0.2.1", "alice@example.com", True),
        ("sip:sip.example.net:5070;transport=tcp", "alice@example.org", True),
        ("sip:example.net", "alice@example.org", False),
        ("sip:192.0.2.1:9", "alice@example.org", False),
        ("sip:example.org", "alice@sub.example.org", False),
        ("sip:example.org", "alice@sub-example.org", False),
    ],
)
def test_what_a_registration_may_be_about(target: str, key: str, covered: bool) -> None:
    """Step 5: "valid for the domain in the Request-URI"; if not, "the registrar MUST send a 404 (Not Found)"."""
    assert SERVED.covers(parse_uri(target), key) is covered


def test_without_a_domain_nobody_is_ours() -> None:
    served = Served((), Self([], [Listener("udp:192.0.2.1:5060", "UDP", "192.0.2.1", 5060)]))
    assert served.key(parse_uri("sip:alice@192.0.2.1")) == ""
