"""The configuration: where a setting comes from, and what an operator is told about each mistake."""

import os
from pathlib import Path
from typing import Any

import pytest

from ringback.server.config import Mistakes, load
from ringback.server.settings import Settings

PLACES = 'allowed: a list of places, such as ["udp:192.0.2.1:5060", "tls:[2001:db8::1]:5061"]'
HOP = 'allowed: a SIP URI, such as "sip:gateway.example.org;transport=tcp"'
DOMAIN = 'allowed: a domain, such as "example.org"'


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a test sets."""
    for name in list(os.environ):
        if name.upper().startswith("RINGBACK_") and name != "RINGBACK_PURE":
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ringback.toml"


def mistakes(file: Path | None, options: dict[str, Any] | None = None) -> list[str]:
    """What is complained of, with the file called F."""
    with pytest.raises(Mistakes) as caught:
        load(file, options)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return [line.replace(str(file), "F") for line in caught.value.lines]


class TestSources:
    def test_as_it_comes(self) -> None:
        settings = load(None, {"domain": "example.org"})
        assert settings.served == ("example.org",)
        assert [listen.address for listen in settings.listen] == ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"]
        assert (settings.web.listen, settings.web.enabled) == ("127.0.0.1:8060", True)
        assert settings.authentication.registration and settings.authentication.calls
        assert settings.authentication.trusted == () and settings.setup.outsiders == "refuse"
        assert settings.location.synchronous == "FULL"

    def test_what_counts_more_comes_first(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file.write_text('domain = "file.example"\ndrain_seconds = 1\n[limits]\ncalls = 1\nrequests = 11\n')
        monkeypatch.setenv("RINGBACK_LIMITS__CALLS", "2")
        monkeypatch.setenv("RINGBACK_DRAIN_SECONDS", "2")
        settings = load(file, {"drain_seconds": 3})
        assert (settings.domain, settings.drain_seconds) == ("file.example", 3.0)
        # Sections are merged key by key.
        assert (settings.limits.calls, settings.limits.requests) == (2, 11)

    @pytest.mark.parametrize(
        ("variable", "value", "section", "key", "expected"),
        [
            ("RINGBACK_DOMAINS", "a.example, b.example", "", "domains", ("a.example", "b.example")),
            ("RINGBACK_DOMAINS", '["a.example"]', "", "domains", ("a.example",)),
            ("RINGBACK_LIMITS__EXEMPT", "", "limits", "exempt", ()),
            ("RINGBACK_TLS__VERIFY", "false", "tls", "verify", False),
            ("RINGBACK_LOCATION__STORE", "memory", "location", "store", "memory"),
            ("ringback_limits__flood_rate", "2.5", "limits", "flood_rate", 2.5),
            ("RINGBACK_DATA", "/var/lib/ringback", "", "data", Path("/var/lib/ringback")),
        ],
    )
    def test_variables(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, section: str, key: str, expected: object
    ) -> None:
        monkeypatch.setenv(variable, value)
        settings: Any = load(None, {"domain": "example.org"})
        assert getattr(getattr(settings, section) if section else settings, key) == expected

    def test_tables_in_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RINGBACK_SETUP__NEXT_HOPS", '[{"prefix": "0", "uri": "sip:gateway.example"}]')
        [hop] = load(None, {"domain": "example.org"}).setup.next_hops
        assert (hop.domain, hop.prefix, hop.uri) == ("", "0", "sip:gateway.example")

    def test_paths_of_a_file_are_meant_from_its_folder(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file.write_text('domain = "a.example"\ndata = "data"\n[tls]\ncertificate = "c.pem"\nkey = "/etc/k.pem"\n')
        settings = load(file)
        assert settings.data == file.parent / "data"
        assert (settings.tls.certificate, settings.tls.key) == (file.parent / "c.pem", Path("/etc/k.pem"))
        monkeypatch.setenv("RINGBACK_DATA", "elsewhere")
        assert load(file).data == Path("elsewhere")

    def test_partial(self, file: Path) -> None:
        """Commands that use some of a configuration need not have all of it; but what is there has to be allowed."""
        file.write_text('listen = ["tls:127.0.0.1:0"]\n')
        assert load(file, partial=True).served == ()
        file.write_text("drain_seconds = -1\n")
        with pytest.raises(Mistakes, match="drain_seconds: -1 is not allowed; allowed: seconds, 0 to 3600"):
            load(file, partial=True)

    def test_nothing_of_one_load_is_in_the_next(self, file: Path) -> None:
        file.write_text('domain = "a.example"\n[limits]\ncalls = 7\n')
        assert load(file).limits.calls == 7
        assert load(None, {"domain": "b.example"}).model_dump() == Settings(domain="b.example").model_dump()


class TestUnreadable:
    @pytest.mark.parametrize(
        ("content", "line"),
        [
            (b"domain = \n", "F: no TOML: Invalid value (at line 1, column 10)"),
            (
                b'domain = "a.example"\n\n[limits\n',
                "F: no TOML: Expected ']' at the end of a table declaration (at line 3, column 8)",
            ),
            (b"a = 1\na = 2\n", "F: no TOML: Cannot overwrite a value (at line 2, column 6)"),
            (
                b"domain = '\xff'",
                "F: no TOML: 'utf-8' codec can't decode byte 0xff in position 10: invalid start byte",
            ),
        ],
    )
    def test_no_toml(self, file: Path, content: bytes, line: str) -> None:
        file.write_bytes(content)
        assert mistakes(file) == [line]

    def test_no_file(self, file: Path) -> None:
        assert mistakes(file) == ["F: can not be read: No such file or directory"]
        assert mistakes(file.parent) == ["F: can not be read: Is a directory"]


def in_file(*lines: str, domain: str = '"example.org"') -> str:
    return "\n".join((f"domain = {domain}", *lines)) + "\n"


FILES = {
    "unknown section": (in_file("[limit]"), ["F:2: limit: there is no such key; did you mean limits?"]),
    "unknown key": (
        in_file("[limits]", "conections = 3"),
        ["F:3: limits.conections: there is no such key; did you mean connections?"],
    ),
    "a key as an option has it": (
        in_file("[limits]", "flood-burst = 3"),
        ["F:3: limits.flood-burst: there is no such key; did you mean flood_burst?"],
    ),
    "a key as an option has it, at the top": (
        in_file("drain-seconds = 3"),
        ["F:2: drain-seconds: there is no such key; did you mean drain_seconds?"],
    ),
    "a key like no other": (in_file("[log]", "x = 1"), ["F:3: log.x: there is no such key; keys: level, format"]),
    "a quoted key": (in_file("[log]", '"a b" = 1'), ["F:3: log.a b: there is no such key; keys: level, format"]),
    "several": (
        in_file("[log]", 'level = "loud"', 'format = "xml"', domain='"a b"'),
        [
            f"F:1: domain: 'a b' is no domain; {DOMAIN}",
            'F:3: log.level: \'loud\' is not allowed; allowed: "debug", "info", "warning" or "error"',
            'F:4: log.format: \'xml\' is not allowed; allowed: "people" or "json"',
        ],
    ),
    "text for a number": (
        in_file("[limits]", 'calls = "many"'),
        ["F:3: limits.calls: 'many' is not allowed; allowed: a whole number, at least 1"],
    ),
    "a switch for a number": (
        in_file("[limits]", "calls = true"),
        ["F:3: limits.calls: true is no number; allowed: a whole number, at least 1"],
    ),
    "half a number": (
        in_file("[limits]", "calls = 1.5"),
        ["F:3: limits.calls: 1.5 is not allowed; allowed: a whole number, at least 1"],
    ),
    "no number": (
        in_file("limits.flood_rate = nan"),
        ["F:2: limits.flood_rate: nan is not allowed; allowed: messages a second, more than 0"],
    ),
    "a number for text": (in_file(domain="3"), [f"F:1: domain: 3 is not allowed; {DOMAIN}"]),
    "a number for a switch": (
        in_file("tls = {verify = 3}"),
        ["F:2: tls.verify: 3 is not allowed; allowed: true or false"],
    ),
    "a value for a section": (in_file("tls = 3"), ["F:2: tls: has to be a table [tls]"]),
    "keys that do not go together": (
        in_file("[limits]", "requests = 1"),
        ["F:2: limits: requests can not be less than calls, which are requests too"],
    ),
    "one key without the other": (
        in_file("[tls]", 'certificate = "c.pem"'),
        ["F:2: tls: certificate and key go together: one of them is missing"],
    ),
    "half of a rise": (
        in_file("[location]", "minimum_expires = 4000"),
        ["F:2: location: minimum_expires, default_expires and maximum_expires have to rise in this order"],
    ),
    "nothing as strong as it has to be": (
        in_file("[authentication]", 'algorithms = ["MD5"]', 'minimum = "SHA-256"'),
        ["F:2: authentication: algorithms has none that is as strong as minimum, which is SHA-256"],
    ),
    "a transport": (
        in_file('listen = ["udp:127.0.0.1:5060", "sctp:127.0.0.1:5060"]'),
        [f"F:2: listen[2]: 'sctp:127.0.0.1:5060' does not begin with udp:, tcp:, tls:, ws: or wss:; {PLACES}"],
    ),
    "a name for an address": (
        in_file('listen = "udp:localhost:5060"'),
        [f"F:2: listen[1]: 'localhost' in 'udp:localhost:5060' is no IP address; {PLACES}"],
    ),
    "a port": (in_file('listen = ["udp:127.0.0.1:x"]'), [f"F:2: listen[1]: 'x' is no port; {PLACES}"]),
    "an address without brackets": (
        in_file('listen = ["udp:::1:5060"]'),
        [f"F:2: listen[1]: an IPv6 address has to stand in brackets; {PLACES}"],
    ),
    "nowhere": (in_file("listen = []"), [f"F:2: listen: [] is not allowed; {PLACES}"]),
    "a number for places": (in_file("listen = 5060"), [f"F:2: listen: 5060 is not allowed; {PLACES}"]),
    "the second of several tables": (
        in_file("[[listen]]", 'address = "udp:127.0.0.1:5060"', "[[listen]]", 'adress = "tcp:127.0.0.1:5060"'),
        [
            'F:4: listen[2].address: is missing; allowed: transport:address:port, such as "udp:192.0.2.1:5060" or '
            '"tls:[2001:db8::1]:5061"',
            "F:5: listen[2].adress: there is no such key; did you mean address?",
        ],
    ),
    "what others are told": (
        in_file("[[listen]]", 'address = "udp:127.0.0.1:5060"', 'advertise = "a b"'),
        [f"F:2: listen[1]: advertise: 'a b' is no host name and no address; {PLACES}"],
    ),
    "the second of several routes": (
        in_file("[[setup.next_hops]]", 'uri = "sip:a.example"', "[[setup.next_hops]]", 'uri = "http://a.example"'),
        [f"F:5: setup.next_hops[2].uri: 'http://a.example' is no SIP URI; {HOP}"],
    ),
    "a network": (
        in_file("[limits]", 'exempt = ["127.0.0.0/8", "everybody"]'),
        [
            "F:3: limits.exempt[2]: 'everybody' is no network; allowed: a list of networks or addresses, such as "
            '["192.0.2.0/24", "2001:db8::/32"]'
        ],
    ),
    "the web without a port": (
        in_file("[web]", 'listen = "127.0.0.1"'),
        ['F:3: web.listen: the port is missing; allowed: address:port, such as "127.0.0.1:8060"'],
    ),
    "a long value": (
        in_file("[log]", f'level = "{"x" * 100}"'),
        [f"F:3: log.level: '{'x' * 56}... is not allowed; allowed: \"debug\", \"info\", \"warning\" or \"error\""],
    ),
    # What is refused though each value is allowed.
    "no domain": ("", [f"F: domain: is missing: the domain that is served; {DOMAIN}"]),
    "no certificate": (
        in_file('listen = ["udp:127.0.0.1:5060", "wss:127.0.0.1:5061"]'),
        ["F: tls.certificate: is missing, and wss:127.0.0.1:5061 needs it; allowed: the path of a PEM file"],
    ),
    "one place twice": (
        in_file('listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "ws:127.0.0.1:5060"]'),
        ["F:2: listen: ws:127.0.0.1:5060 is there twice"],
    ),
    "everybody is trusted": (
        in_file("[authentication]", 'trusted = ["10.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1"]'),
        [
            "F:3: authentication.trusted: 0.0.0.0/0 would make this an open relay for strangers; "
            "allowed: networks of /8 or narrower"
        ],
    ),
    "everybody is trusted, by IPv6": (
        in_file("[authentication]", 'trusted = ["2000::/3"]'),
        [
            "F:3: authentication.trusted: 2000::/3 would make this an open relay for strangers; "
            "allowed: networks of /16 or narrower"
        ],
    ),
    "gateways for nobody who proved a name": (
        in_file("authentication.calls = false", "[[setup.next_hops]]", 'uri = "sip:gateway.example"'),
        [
            "F:2: authentication.calls: false together with setup.next_hops would let strangers call through your "
            "gateways; leave one of the two out"
        ],
    ),
    "gateways for outsiders": (
        in_file("[setup]", 'outsiders = "allow"', "[[setup.next_hops]]", 'uri = "sip:gateway.example"'),
        [
            "F:3: setup.outsiders: 'allow' together with setup.next_hops would let strangers call through your "
            "gateways; leave one of the two out"
        ],
    ),
}


class TestMistakes:
    @pytest.mark.parametrize(("text", "lines"), FILES.values(), ids=FILES)
    def test_in_a_file(self, file: Path, text: str, lines: list[str]) -> None:
        file.write_text(text)
        assert mistakes(file) == lines

    @pytest.mark.parametrize(
        "text",
        [
            in_file('listen = ["udp:127.0.0.1:0", "udp:127.0.0.1:0"]'),
            in_file('listen = ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060", "udp:127.0.0.2:5060"]'),
            in_file("[authentication]", 'trusted = ["10.0.0.0/8", "2001::/16"]'),
            in_file("authentication.calls = false"),
            in_file("[setup]", 'outsiders = "allow"'),
        ],
    )
    def test_near_them(self, file: Path, text: str) -> None:
        file.write_text(text)
        load(file)

    @pytest.mark.parametrize(
        ("variables", "lines"),
        [
            (
                {"RINGBACK_LIMITS__CALLS": "many"},
                ["RINGBACK_LIMITS__CALLS: limits.calls: 'many' is not allowed; allowed: a whole number, at least 1"],
            ),
            (
                {"RINGBACK_LIMITS__CALS": "3"},
                ["RINGBACK_LIMITS__CALS: limits.cals: there is no such key; did you mean calls?"],
            ),
            (
                {"RINGBACK_LIMIT__CALLS": "3"},
                ["RINGBACK_LIMIT__CALLS: there is no such setting; did you mean RINGBACK_LIMITS?"],
            ),
            (
                {"RINGBACK_X__Y": "3"},
                [
                    "RINGBACK_X__Y: there is no such setting; sections: "
                    "listen, tls, limits, authentication, location, setup, dns, web, log"
                ],
            ),
            (
                {"RINGBACK_DOMIAN": "a.example"},
                ["RINGBACK_DOMIAN: there is no such setting; did you mean RINGBACK_DOMAIN?"],
            ),
            ({"RINGBACK_LIMITS": '{"calls": 3}'}, ["RINGBACK_LIMITS: limits: has to be a table [limits]"]),
            (
                {"RINGBACK_LISTEN": "[udp"},
                [f"RINGBACK_LISTEN: listen: it begins like JSON and is none; {PLACES}"],
            ),
            (
                {"RINGBACK_SETUP__NEXT_HOPS": '[{"uri": "x"}]'},
                [f"RINGBACK_SETUP__NEXT_HOPS: setup.next_hops[1].uri: 'x' is no SIP URI; {HOP}"],
            ),
        ],
    )
    def test_in_variables(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], lines: list[str]
    ) -> None:
        file.write_text(in_file("[limits]", "calls = 3"))
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert mistakes(file) == lines

    def test_variables_that_are_no_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("RINGBACK_COMPILE", "RINGBACK_NO_INSTALL", "RINGBACK_PURE"):
            monkeypatch.setenv(name, "1")
        load(None, {"domain": "example.org"})

    def test_in_options(self) -> None:
        lines = mistakes(None, {"domain": "a b", "listen": ["udp:127.0.0.1:5060", "x:1"]})
        assert lines == [
            f"--domain: domain: 'a b' is no domain; {DOMAIN}",
            f"--listen: listen[2]: 'x:1' does not begin with udp:, tcp:, tls:, ws: or wss:; {PLACES}",
        ]

    def test_without_a_file(self) -> None:
        assert mistakes(None) == [f"domain: is missing: the domain that is served; {DOMAIN}"]
