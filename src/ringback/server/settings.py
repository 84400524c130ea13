"""What can be configured: one class a section, with what is allowed and what it is as it comes.

Reading files and variables, and telling people about their mistakes, is `config`'s work. Each field's `description`
says what is allowed, in the words that a mistake is reported with; docs/configuration.md says what it is for.
"""

from __future__ import annotations

import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from ringback.sip.digest_hash import ALGORITHMS, algorithm_name, strength
from ringback.sip.transport import DEFAULT_PORTS, bracketed, is_address

__all__ = [
    "Authentication",
    "Dns",
    "Limits",
    "Listen",
    "Location",
    "Log",
    "NextHopSettings",
    "Settings",
    "Setup",
    "Tls",
    "Web",
    "parse_place",
]

_HOST_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?")

#: No organisation has a network this wide: to trust it is to trust strangers.
WIDEST_TRUSTED: Final = {4: 8, 6: 16}


# Values ---------------------------------------------------------------------------------------------------------------


def parse_place(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Host and port of "host:port", an IPv6 address in brackets; without a port the default. Raises ValueError."""
    host, digits = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address has to stand in brackets")
        digits = rest[1:]
    elif text.count(":") == 1:
        host, _, digits = text.partition(":")
    elif ":" in text:
        raise ValueError("an IPv6 address has to stand in brackets")
    if not digits:
        if default_port is None:
            raise ValueError("the port is missing")
        return host, default_port
    if not (digits.isascii() and digits.isdigit()) or int(digits) > 65535:
        raise ValueError(f"{digits!r} is no port")
    return host, int(digits)


def _domain(text: str) -> str:
    name = text.strip().lower()
    if ":" in name or is_address(name):
        try:
            return str(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            raise ValueError(f"{text!r} is no domain") from None
    if not _HOST_NAME.fullmatch(name) or len(name) > 253:
        raise ValueError(f"{text!r} is no domain")
    return name.removesuffix(".")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(f"{text!r} is no network") from None


def _algorithm(text: str) -> str:
    name = algorithm_name(text)
    if name not in ALGORITHMS:
        raise ValueError(f"{text!r} is no algorithm")
    return name


def _sip_uri(text: str) -> str:
    if not re.fullmatch(r"sips?:[^\s<>]+", text):
        raise ValueError(f"{text!r} is no SIP URI")
    return text


def _web_place(text: str) -> str:
    return _address_and_port(text, None)


def _name_server(text: str) -> str:
    return _address_and_port(text, 53)


def _address_and_port(text: str, default_port: int | None) -> str:
    host, port = parse_place(text, default_port)
    if not is_address(host):
        raise ValueError(f"{host!r} is no IP address")
    return f"{bracketed(host)}:{port}"


def _several(value: Any) -> Any:
    """A list that came as text, from a variable or the command line: JSON, or values between commas."""
    if isinstance(value, str):
        if value.lstrip().startswith("["):
            try:
                return json.loads(value)
            except ValueError:
                raise ValueError("it begins like JSON and is none") from None
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Domain = Annotated[str, AfterValidator(_domain)]
Network = Annotated[str, AfterValidator(_network)]
Algorithm = Annotated[str, AfterValidator(_algorithm)]
NameServer = Annotated[str, AfterValidator(_name_server)]
SipUri = Annotated[str, AfterValidator(_sip_uri)]
Several = BeforeValidator(_several)

NETWORKS: Final = 'a list of networks or addresses, such as ["192.0.2.0/24", "2001:db8::/32"]'
COUNT: Final = "a whole number, at least 1"
SWITCH: Final = "true or false"
PAUSE: Final = "seconds, more than 0 and at most 86400"
OCTETS: Final = "octets, 1300 to 16777216"


class Section(BaseModel):
    """What all sections have in common: no unknown keys, and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _check_number(cls, value: Any, info: ValidationInfo) -> Any:
        # Pydantic takes true for 1, and `calls` is a switch in one section and a number in another.
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            raise ValueError(f"{str(value).lower()} is no number")
        return value


# Sections -------------------------------------------------------------------------------------------------------------


class Listen(Section):
    """One place to listen at.

    address    "udp:127.0.0.1:5060"
    advertise  what others are told instead of that address: a host, or host:port
    """

    address: str = Field(description='transport:address:port, such as "udp:192.0.2.1:5060" or "tls:[2001:db8::1]:5061"')
    advertise: str = Field(default="", description='a host name or an address, with or without ":port"')

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"address": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Listen:
        transport, colon, rest = self.address.partition(":")
        if not colon or transport.upper() not in DEFAULT_PORTS:
            raise ValueError(f"{self.address!r} does not begin with udp:, tcp:, tls:, ws: or wss:")
        host, _ = parse_place(rest, DEFAULT_PORTS[transport.upper()])
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"{host!r} in {self.address!r} is no IP address") from None
        if self.advertise:
            host, _ = parse_place(self.advertise, 5060)
            if not is_address(host) and not _HOST_NAME.fullmatch(host.lower()):
                raise ValueError(f"advertise: {host!r} is no host name and no address")
        return self

    @property
    def transport(self) -> str:
        """UDP, TCP, TLS, WS or WSS."""
        return self.address.partition(":")[0].upper()

    @property
    def place(self) -> tuple[str, int]:
        """The address to bind and its port."""
        return parse_place(self.address.partition(":")[2], DEFAULT_PORTS[self.transport])

    def advertised(self, port: int) -> tuple[str, int]:
        """Host and port as others are told, when the socket was bound to `port`."""
        return parse_place(self.advertise, port) if self.advertise else (self.place[0], port)


class Tls(Section):
    """The certificate of tls: and wss:, and whom to believe."""

    certificate: Path | None = Field(
        default=None, description="the path of a PEM file with the certificate and its chain"
    )
    key: Path | None = Field(
        default=None, description="the path of a PEM file with the private key, without passphrase"
    )
    client_ca: Path | None = Field(default=None, description="the path of a PEM file with certificates of authorities")
    require_client: bool = Field(default=False, description=SWITCH)
    ca: Path | None = Field(default=None, description="the path of a PEM file with certificates of authorities")
    verify: bool = Field(default=True, description=SWITCH)

    @model_validator(mode="after")
    def _check(self) -> Tls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: one of them is missing")
        if self.require_client and self.client_ca is None:
            raise ValueError("require_client needs client_ca, the authorities that clients' certificates come from")
        return self


class Limits(Section):
    """What one address, one account and all together may cost."""

    exempt: Annotated[tuple[Network, ...], Several] = Field(default=("127.0.0.0/8", "::1/128"), description=NETWORKS)
    flood_burst: int = Field(default=100, ge=1, description=COUNT)
    flood_rate: float = Field(default=50.0, gt=0, le=1e6, description="messages a second, more than 0")
    newcomers: float = Field(default=2000.0, ge=0, le=1e6, description="addresses a second, 0 for any number")
    wrong_passwords: int = Field(default=10, ge=1, description=COUNT)
    wrong_password_seconds: float = Field(default=2.0, gt=0, le=86400, description=PAUSE)
    wrong_password_longest_seconds: float = Field(default=300.0, gt=0, le=86400, description=PAUSE)
    calls: int = Field(default=32, ge=1, description=COUNT)
    requests: int = Field(default=256, ge=1, description=COUNT)
    inward: bool = Field(default=False, description=SWITCH)
    connections: int = Field(default=16384, ge=1, description=COUNT)
    connections_per_address: int = Field(default=512, ge=1, description=COUNT)
    largest_message: int = Field(default=1048576, ge=1300, le=16777216, description=OCTETS)
    largest_head: int = Field(default=65536, ge=1300, le=16777216, description=OCTETS)
    idle_seconds: float = Field(default=960.0, ge=30, description="seconds, at least 30")

    @model_validator(mode="after")
    def _check(self) -> Limits:
        if self.wrong_password_seconds > self.wrong_password_longest_seconds:
            raise ValueError("wrong_password_seconds can not be more than wrong_password_longest_seconds")
        if self.requests < self.calls:
            raise ValueError("requests can not be less than calls, which are requests too")
        return self


class Authentication(Section):
    """Who has to prove who they are, and how."""

    realm: str = Field(
        default="", pattern=r'^[^"\\\x00-\x1f\x7f]*$', description="text without quotes, or nothing for the domain"
    )
    algorithms: Annotated[tuple[Algorithm, ...], Several] = Field(
        default=ALGORITHMS, min_length=1, description="a list of SHA-512-256, SHA-256 and MD5, the preferred one first"
    )
    minimum: Algorithm = Field(default="MD5", description="SHA-512-256, SHA-256 or MD5")
    nonce_seconds: float = Field(default=300.0, ge=10, le=86400, description="seconds, 10 to 86400")
    trusted: Annotated[tuple[Network, ...], Several] = Field(default=(), description=NETWORKS)
    registration: bool = Field(default=True, description=SWITCH)
    calls: bool = Field(default=True, description=SWITCH)

    @model_validator(mode="after")
    def _check(self) -> Authentication:
        if all(strength(name) < strength(self.minimum) for name in self.algorithms):
            raise ValueError(f"algorithms has none that is as strong as minimum, which is {self.minimum}")
        return self


class Location(Section):
    """Where bindings are kept and for how long."""

    store: Literal["sqlite", "memory"] = Field(default="sqlite", description='"sqlite" or "memory"')
    synchronous: Literal["FULL", "NORMAL"] = Field(default="FULL", description='"FULL" or "NORMAL"')
    minimum_expires: int = Field(default=60, ge=1, description="seconds, at least 1")
    default_expires: int = Field(default=3600, ge=1, description="seconds, at least 1")
    maximum_expires: int = Field(default=7200, ge=1, description="seconds, at least 1")
    most_contacts: int = Field(default=10, ge=1, le=60, description="a whole number, 1 to 60")

    @model_validator(mode="after")
    def _check(self) -> Location:
        if not self.minimum_expires <= self.default_expires <= self.maximum_expires:
            raise ValueError("minimum_expires, default_expires and maximum_expires have to rise in this order")
        return self


class NextHopSettings(Section):
    """One static route."""

    domain: Annotated[str, AfterValidator(lambda text: _domain(text) if text else "")] = Field(
        default="", description="a domain, or nothing for any"
    )
    prefix: str = Field(default="", pattern=r"^[+0-9A-Za-z*#_.-]*$", description="the beginning of a number or a name")
    uri: SipUri = Field(description='a SIP URI, such as "sip:gateway.example.org;transport=tcp"')


class Setup(Section):
    """Where requests go."""

    relay: bool = Field(default=True, description=SWITCH)
    outsiders: Literal["refuse", "allow"] = Field(default="refuse", description='"refuse" or "allow"')
    recurse: bool = Field(default=False, description=SWITCH)
    ring_seconds: float = Field(
        default=0.0, ge=0, le=3600, description="seconds, 0 to 3600; 0 rings until the caller gives up"
    )
    next_hops: Annotated[tuple[NextHopSettings, ...], Several] = Field(
        default=(), description="a list of tables with domain, prefix and uri"
    )


class Web(Section):
    """Metrics and health over HTTP."""

    enabled: bool = Field(default=True, description=SWITCH)
    listen: Annotated[str, AfterValidator(_web_place)] = Field(
        default="127.0.0.1:8060", description='address:port, such as "127.0.0.1:8060"'
    )


class Dns(Section):
    """Who is asked where other domains are."""

    servers: Annotated[tuple[NameServer, ...], Several] = Field(
        default=(), description='a list of address:port, such as ["192.0.2.53:53"]; nothing for those of the system'
    )


class Log(Section):
    """What is logged and in which form."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description='"debug", "info", "warning" or "error"'
    )
    format: Literal["people", "json"] = Field(default="people", description='"people" or "json"')


class Settings(BaseSettings):
    """The whole configuration. Made by `config.load` only, which adds what is in files to what is in variables."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="RINGBACK_", env_nested_delimiter="__", enable_decoding=False
    )

    domain: Domain = Field(default="", validate_default=False, description='a domain, such as "example.org"')
    domains: Annotated[tuple[Domain, ...], Several] = Field(
        default=(), description='a list of domains, such as ["example.org"]'
    )
    listen: Annotated[tuple[Listen, ...], Several] = Field(
        default=(Listen(address="udp:127.0.0.1:5060"), Listen(address="tcp:127.0.0.1:5060")),
        min_length=1,
        description='a list of places, such as ["udp:192.0.2.1:5060", "tls:[2001:db8::1]:5061"]',
    )
    data: Path = Field(default=Path("ringback-data"), description="the path of a folder")
    drain_seconds: float = Field(default=5.0, ge=0, le=3600, description="seconds, 0 to 3600")
    tls: Tls = Field(default=Tls(), description="a table")
    limits: Limits = Field(default=Limits(), description="a table")
    authentication: Authentication = Field(default=Authentication(), description="a table")
    location: Location = Field(default=Location(), description="a table")
    setup: Setup = Field(default=Setup(), description="a table")
    dns: Dns = Field(default=Dns(), description="a table")
    web: Web = Field(default=Web(), description="a table")
    log: Log = Field(default=Log(), description="a table")

    @property
    def served(self) -> tuple[str, ...]:
        """All domains, the main one first."""
        return tuple(dict.fromkeys(name for name in (self.domain, *self.domains) if name))
