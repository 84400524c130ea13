"""What each setting takes, and what is made of it. The words of mistakes are in test_config.py."""

from typing import Any

import pytest
from pydantic import ValidationError

from ringback.server.settings import (
    Authentication,
    Dns,
    Limits,
    Listen,
    Location,
    Log,
    NextHopSettings,
    Settings,
    Setup,
    Tls,
    Web,
    parse_place,
)


class TestPlaces:
    @pytest.mark.parametrize(
        ("text", "default", "place"),
        [
            ("192.0.2.1:5070", None, ("192.0.2.1", 5070)),
            ("192.0.2.1", 5060, ("192.0.2.1", 5060)),
            ("192.0.2.1:", 5060, ("192.0.2.1", 5060)),
            ("host.example:0", None, ("host.example", 0)),
            ("[2001:db8::1]:65535", None, ("2001:db8::1", 65535)),
            ("[::1]", 53, ("::1", 53)),
        ],
    )
    def test_read(self, text: str, default: int | None, place: tuple[str, int]) -> None:
        assert parse_place(text, default) == place

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("192.0.2.1", "the port is missing"),
            ("[::1]", "the port is missing"),
            ("::1:5060", "an IPv6 address has to stand in brackets"),
            ("[::1", "an IPv6 address has to stand in brackets"),
            ("[::1]5060", "an IPv6 address has to stand in brackets"),
            ("a:65536", "'65536' is no port"),
            ("a:-1", "'-1' is no port"),
            ("a:٣", "'٣' is no port"),
            ("a: 1", "' 1' is no port"),
        ],
    )
    def test_refused(self, text: str, reason: str) -> None:
        with pytest.raises(ValueError, match=f"^{reason}$".replace("[", r"\[")):
            parse_place(text)


class TestListen:
    @pytest.mark.parametrize(
        ("address", "transport", "place"),
        [
            ("udp:127.0.0.1:5070", "UDP", ("127.0.0.1", 5070)),
            ("UDP:127.0.0.1", "UDP", ("127.0.0.1", 5060)),
            ("tcp:[::]:0", "TCP", ("::", 0)),
            # RFC 3261 18.1.1 and 19.1.2: 5060, over TLS 5061; RFC 7118 8.3: those of HTTP.
            ("tcp:127.0.0.1", "TCP", ("127.0.0.1", 5060)),
            ("tls:127.0.0.1", "TLS", ("127.0.0.1", 5061)),
            ("ws:127.0.0.1", "WS", ("127.0.0.1", 80)),
            ("wss:127.0.0.1", "WSS", ("127.0.0.1", 443)),
        ],
    )
    def test_places(self, address: str, transport: str, place: tuple[str, int]) -> None:
        listen = Listen(address=address)
        assert (listen.transport, listen.place) == (transport, place)
        assert Listen.model_validate(address) == listen

    @pytest.mark.parametrize(
        ("advertise", "bound", "told"),
        [
            ("", 5070, ("192.0.2.1", 5070)),
            ("sip.example.org", 5070, ("sip.example.org", 5070)),
            ("SIP.example.org:5080", 5070, ("SIP.example.org", 5080)),
            ("203.0.113.1", 5070, ("203.0.113.1", 5070)),
            ("[2001:db8::1]:5060", 5070, ("2001:db8::1", 5060)),
        ],
    )
    def test_what_others_are_told(self, advertise: str, bound: int, told: tuple[str, int]) -> None:
        assert Listen(address="udp:192.0.2.1:0", advertise=advertise).advertised(bound) == told

    @pytest.mark.parametrize("advertise", ["a b", "<a>", ":5060", "a;b", "a\r\nb", "-a.example", "a:x", "::1"])
    def test_what_others_can_not_be_told(self, advertise: str) -> None:
        """It is written into Via and Record-Route as it is."""
        with pytest.raises(ValidationError):
            Listen(address="udp:192.0.2.1:5060", advertise=advertise)

    @pytest.mark.parametrize("address", ["", "127.0.0.1:5060", "udp:", "sctp:127.0.0.1:5060", "udp:a.example:5060"])
    def test_refused(self, address: str) -> None:
        with pytest.raises(ValidationError):
            Listen(address=address)


def value(section: type[Any], key: str, given: object) -> Any:
    return getattr(section.model_validate({key: given}), key)


class TestValues:
    @pytest.mark.parametrize(
        ("given", "taken"),
        [
            ("Example.ORG", "example.org"),
            ("example.org.", "example.org"),
            (" a ", "a"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0::1]", "2001:db8::1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ],
    )
    def test_domains(self, given: str, taken: str) -> None:
        assert Settings(domain=given).domain == taken

    @pytest.mark.parametrize("given", ["", "a b", "-a", "a-", "a..b", "a_b", "ä.example", "192.0.2.999", "1::2::3"])
    def test_no_domains(self, given: str) -> None:
        with pytest.raises(ValidationError):
            Settings(domain=given)

    def test_served(self) -> None:
        assert Settings(domain="b.example", domains=("a.example", "b.example", "A.example")).served == (
            "b.example",
            "a.example",
        )
        assert Settings(domains=("a.example",)).served == ("a.example",)
        assert Settings().served == ()

    @pytest.mark.parametrize(
        ("section", "key", "given", "taken"),
        [
            (Limits, "exempt", "10.1.2.3/8, ::1", ("10.0.0.0/8", "::1/128")),
            (Limits, "exempt", '["192.0.2.1"]', ("192.0.2.1/32",)),
            (Limits, "calls", "7", 7),
            (Authentication, "algorithms", "sha-256,MD5", ("SHA-256", "MD5")),
            (Authentication, "minimum", "sha-512-256", "SHA-512-256"),
            (Dns, "servers", "192.0.2.53,[2001:db8::53]:5353", ("192.0.2.53:53", "[2001:db8::53]:5353")),
            (Web, "listen", "[::1]:0", "[::1]:0"),
            (Web, "enabled", "no", False),
            (Setup, "next_hops", "[]", ()),
        ],
    )
    def test_taken(self, section: type[Any], key: str, given: object, taken: object) -> None:
        assert value(section, key, given) == taken

    @pytest.mark.parametrize(
        ("section", "key", "given"),
        [
            (Limits, "calls", 0),
            (Limits, "calls", True),
            (Limits, "flood_rate", True),
            (Limits, "flood_rate", 0),
            (Limits, "flood_rate", float("inf")),
            (Limits, "newcomers", -1),
            (Limits, "idle_seconds", 29),
            (Limits, "largest_message", 1299),
            (Limits, "wrong_password_seconds", 301),
            (Authentication, "realm", 'a"b'),
            (Authentication, "realm", "a\nb"),
            (Authentication, "nonce_seconds", 9),
            (Authentication, "algorithms", ()),
            (Authentication, "algorithms", ("SHA-1",)),
            (Location, "most_contacts", 61),
            (Location, "store", "redis"),
            (Location, "maximum_expires", 3599),
            (NextHopSettings, "uri", "https://gateway.example"),
            (NextHopSettings, "uri", "sip:a b"),
            (Setup, "outsiders", "perhaps"),
            (Setup, "ring_seconds", -1),
            (Web, "listen", "localhost:80"),
            (Dns, "servers", ("ns.example",)),
            (Log, "level", "INFO"),
            (Tls, "require_client", True),
            (Tls, "certificate", "c.pem"),
            (Settings, "drain_seconds", 3601),
        ],
    )
    def test_refused(self, section: type[Any], key: str, given: object) -> None:
        with pytest.raises(ValidationError):
            value(section, key, given)

    @pytest.mark.parametrize("section", [Limits, Authentication, Location, Setup, Web, Dns, Log, Tls])
    def test_sections_never_change(self, section: type[Any]) -> None:
        with pytest.raises(ValidationError, match="extra_forbidden"):
            section(nothing=1)
        key = next(iter(section.model_fields))
        with pytest.raises(ValidationError, match="frozen_instance"):
            setattr(section(), key, getattr(section(), key))

    def test_weak_algorithms_beside_strong_ones(self) -> None:
        """What is below the minimum is not offered; that nothing is left would be a mistake."""
        settings = Authentication(algorithms=("MD5", "SHA-256"), minimum="SHA-256")
        assert settings.algorithms == ("MD5", "SHA-256")
        with pytest.raises(ValidationError, match="algorithms has none that is as strong as minimum"):
            Authentication(algorithms=("MD5",), minimum="SHA-256")
