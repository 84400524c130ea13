"""Accounts from arguments: what follows from them, and every mistake in words."""

from pathlib import Path
from typing import Any

import pytest

from ringback.errors import ConfigurationError, ParseError
from ringback.sip.digest_client import Login
from ringback.ua.account import Account


def of(address: str = "sip:alice@example.org", **options: Any) -> Account:
    return Account.of(address, **options)


def test_what_follows_from_an_address() -> None:
    account = of("alice@example.org", password="secret")
    assert account.uri.text == "sip:alice@example.org" and account.domain == "example.org"
    assert account.registrar_uri.text == "sip:example.org"
    assert [hop.text for hop in account.hops] == ["sip:example.org"]
    assert account.routes_by(account.hops[0]) == []
    assert account.registers
    assert account.name_addr.display == ""


def test_a_display_name() -> None:
    account = of('"Alice L." <sips:alice@example.org:5070>')
    assert account.name_addr.display == "Alice L." and account.uri.text == "sips:alice@example.org:5070"
    assert account.registrar_uri.text == "sips:example.org:5070"


@pytest.mark.parametrize(
    ("options", "registers"),
    [
        ({}, False),
        ({"password": "x"}, True),
        ({"ha1": {"MD5": "0"}}, True),
        ({"password": "x", "register": False}, False),
        ({"register": True}, True),
    ],
)
def test_whether_it_registers(options: dict[str, Any], registers: bool) -> None:
    assert of(**options).registers is registers


def test_the_password_is_not_shown() -> None:
    shown = repr(of(password="hidden-1", turn="turn:me:hidden-2@turn.example.org"))
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("options", "registrar", "hops"),
    [
        ({"registrar": "pbx.example.net"}, "sip:pbx.example.net", ["sip:pbx.example.net"]),
        ({"registrar": "192.0.2.1:5070"}, "sip:192.0.2.1:5070", ["sip:192.0.2.1:5070"]),
        ({"registrar": "sip:alice@pbx;lr;transport=tcp"}, "sip:pbx;transport=tcp", ["sip:pbx;transport=tcp"]),
        ({"transport": "tcp"}, "sip:example.org", ["sip:example.org;transport=tcp"]),
        ({"transport": "tls", "registrar": "pbx;transport=udp"}, "sip:pbx;transport=udp", ["sip:pbx;transport=udp"]),
        (
            {"proxies": ["edge1.example.org", "sip:edge2.example.org;transport=tls"], "transport": "tcp"},
            "sip:example.org",
            ["sip:edge1.example.org;transport=tcp", "sip:edge2.example.org;transport=tls"],
        ),
        ({"proxies": "edge.example.org"}, "sip:example.org", ["sip:edge.example.org"]),
    ],
)
def test_where_it_registers(options: dict[str, Any], registrar: str, hops: list[str]) -> None:
    account = of(**options)
    assert account.registrar_uri.text == registrar
    assert [hop.text for hop in account.hops] == hops


def test_the_route_through_a_proxy() -> None:
    account = of(proxies=["edge.example.org", "sip:edge2.example.org;lr"])
    assert [account.routes_by(hop) for hop in account.hops] == [
        ["<sip:edge.example.org;lr>"], ["<sip:edge2.example.org;lr>"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("bob", "sip:bob@example.org:5070"),
        ("bob@example.net", "sip:bob@example.net"),
        ("sip:bob@example.net;x=y", "sip:bob@example.net;x=y"),
        ("SIPS:bob@example.net", "SIPS:bob@example.net"),
        (" +4930123 ", "sip:+4930123@example.org:5070"),
        ("030-123.4", "sip:030-123.4@example.org:5070"),
        ("tel:+49-30-123;ext=4", "sip:+49-30-123@example.org:5070;user=phone"),
        ("example.net", "sip:example.net"),
        ("127.0.0.1", "sip:127.0.0.1"),
        ("127.0.0.1:5071", "sip:127.0.0.1:5071"),
        ("host:5071", "sip:host:5071"),
        ("[::1]:5071;transport=tcp", "sip:[::1]:5071;transport=tcp"),
        ("*31#", "sip:*31#@example.org:5070"),
    ],
)
def test_what_people_call(given: str, target: str) -> None:
    assert of("sip:alice@example.org:5070").target(given) == target


@pytest.mark.parametrize("given", ["", "a b", "sip:", "<sip:bob@example.org>", "tel:"])
def test_what_nobody_can_call(given: str) -> None:
    with pytest.raises(ParseError):
        of().target(given)


def login_of(account: Account) -> Login:
    found = account.credentials()
    assert found is not None
    return found[1]


def test_whom_the_password_is_for() -> None:
    assert of().credentials() is None
    login = login_of(of(password="x", registrar="pbx.example.net", proxies=["192.0.2.1:5070", "[2001:db8::1]"]))
    assert (login.user, login.password, login.realm) == ("alice", "x", None)
    for host in ("example.org", "PBX.example.net", "192.0.2.1", "2001:db8::1"):
        assert login.trusts(host)
    assert not login.trusts("example.net")


def test_another_name_and_realm() -> None:
    login = login_of(of("sip:al%69ce@example.org", password="x", realm="asterisk"))
    assert (login.user, login.realm) == ("alice", "asterisk")
    assert login_of(of(password="x", user="auth-17")).user == "auth-17"


def test_ha1_in_place_of_the_password() -> None:
    login = login_of(of(ha1={"md5": "0" * 32, "SHA-256": "1" * 64}))
    assert (login.password, login.realm) == (None, "example.org")
    assert dict(login.ha1s) == {"MD5": "0" * 32, "SHA-256": "1" * 64}


def test_media_preferences() -> None:
    account = of(
        encryption="require", keying="dtls", codecs=["PCMA"], ice="none", stun=["stun:a"], turn=["turn:b"],
        media_address="203.0.113.1", media_ports=(4000, 4010),
    )  # fmt: skip
    found = account.media_preferences()
    assert (found.encryption, found.keying, found.codecs, found.ice) == ("require", ("dtls",), ("PCMA",), "none")
    assert (found.stun, found.turn, found.advertised, found.ports) == (
        ("stun:a",), ("turn:b",), "203.0.113.1", (4000, 4010)
    )  # fmt: skip


def test_tls(tmp_path: Path) -> None:
    assert of().tls.server() is None
    assert of().tls.client().verify
    assert not of(tls={"verify": False}).tls.client().verify
    with pytest.raises(ConfigurationError, match=r"nothing\.pem"):
        of(tls={"ca": tmp_path / "nothing.pem"}).tls.client()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"expires": 3}, "expires: 3 is not allowed; allowed: seconds, 10 to 604800"),
        ({"expires": True}, "expires: true is no number"),
        ({"expire": 60}, "expire: there is no such key; did you mean expires?"),
        ({"tls": {"cert": "x"}}, "tls.cert: there is no such key; keys: ca, verify, certificate, key"),
        ({"tls": 3}, "tls: has to be a table"),
        ({"tls": {"key": "a"}}, "tls: certificate and key go together: one of them is missing; allowed: a table"),
        ({"transport": "sctp"}, """transport: 'sctp' is not allowed; allowed: "udp", "tcp" or "tls\""""),
        ({"password": 3}, "password: the value is not allowed; allowed: text"),
        ({"password": "x", "ha1": {"MD5": "y"}}, "password and ha1 exclude each other"),
        ({"ha1": {"rot13": "y"}}, "ha1: 'rot13' is no algorithm"),
        ({"keying": ["zrtp"]}, """keying[1]: 'zrtp' is not allowed; allowed: a list of "sdes" and "dtls\""""),
        ({"media_ports": (5, 4)}, "media_ports: two port numbers, the first not above the last"),
        ({"min_se": 1800, "session_expires": 900}, "session_expires can not be less than min_se"),
        ({"register": "perhaps"}, "register: 'perhaps' is not allowed; allowed: true or false"),
        (
            {"listen": ["udp:127.0.0.1:0", "127.0.0.1"]},
            "listen[2]: '127.0.0.1' does not begin with udp:, tcp: or tls:; allowed: places, such as "
            '["udp:192.0.2.1:5060", "tcp:[2001:db8::1]:0"]',
        ),
        (
            {"proxies": ["a", "b<"]},
            "proxies[2]: '<' without '>' in 'b<'; allowed: up to 8 hosts or SIP URIs",
        ),
    ],
)
def test_mistakes(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        of(**options)
    assert str(raised.value) == line


@pytest.mark.parametrize("address", ["", "tel:+49", "a b@c", "mailto:a@b", "<sip:a@b"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^address: .*; allowed: a SIP address"):
        of(address)


def test_nobody_to_register() -> None:
    with pytest.raises(ConfigurationError, match=r"^address: 'sip:example\.org' has no user to register$"):
        of("sip:example.org", password="x")
    assert of("sip:example.org").uri.user == ""


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        of(expires=1, codecs=[], colour="red")
    assert [line.partition(":")[0] for line in str(raised.value).splitlines()] == ["expires", "codecs", "colour"]
