"""An account: who a user agent is, where it registers, and how it wants to talk.

    Account.of("sip:alice@example.org", password="…", expires=600)       in a program
    load_accounts(path)                                                  from a TOML file (`ringback.ua.accounts`)

Every mistake is named, with what is allowed, before anything is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ringback.errors import ConfigurationError, ParseError
from ringback.media.backend import MediaPreferences
from ringback.net.tls import ClientTls, ServerTls
from ringback.sip.digest_client import DigestClient, Login
from ringback.sip.digest_hash import algorithm_name
from ringback.sip.exchange import route_of
from ringback.sip.grammar import unescape
from ringback.sip.headers import NameAddr, parse_name_addr
from ringback.sip.transport import bracketed, is_address
from ringback.sip.uri import Uri, build_uri, parse_uri
from ringback.ua.mistakes import Mistakes, deepest, describe
from ringback.ua.places import Listen

__all__ = ["Account", "TlsOptions"]

SECONDS: Final = "seconds, {} to {}"
SWITCH: Final = "true or false"
# What people put between the digits of a number.
_NUMBER_SIGNS: Final = str.maketrans("", "", ".+-")


def _address(text: str) -> str:
    """`alice@example.org`, `sip:…` or a name-addr, as a SIP URI."""
    text = text.strip()
    if "<" not in text and not text[:5].lower().startswith(("sip:", "sips:")):
        text = f"sip:{text}"
    try:
        uri = parse_name_addr(text).uri
    except ParseError as error:
        raise ValueError(f"{error}") from None
    if not uri.is_sip:
        raise ValueError(f"{text!r} is no SIP URI")
    if uri.password is not None:
        # RFC 3261 19.1.1: "the use of the password field is NOT RECOMMENDED"; and mailto:a@b looks like one.
        raise ValueError("no colon may stand in front of the @")
    return text


def _server(text: str) -> str:
    """A host, host:port or a SIP URI, as a SIP URI; "" stays."""
    if not text:
        return ""
    text = _address(text)
    if "<" in text:
        raise ValueError(f"{text!r} is no SIP URI")
    return text


def _place(text: str) -> str:
    try:
        return str(Listen(text))
    except ConfigurationError as error:
        raise ValueError(str(error).removeprefix("listen: ")) from None


def _single(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Address = Annotated[str, AfterValidator(_address)]
Server = Annotated[str, AfterValidator(_server)]
Place = Annotated[str, AfterValidator(_place)]
Single = BeforeValidator(_single)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    @model_validator(mode="before")
    @classmethod
    def _no_switches(cls, values: Any) -> Any:
        # Pydantic takes true for 1.
        if isinstance(values, Mapping):
            for name, value in values.items():
                field = cls.model_fields.get(name)
                if isinstance(value, bool) and field is not None and field.annotation in (int, float):
                    raise ValueError(f"{name}: {str(value).lower()} is no number")
        return values


class TlsOptions(_Section):
    """Whom to believe over TLS, and what to show.

    ca                 authorities that are trusted; None: the system's
    verify             False lets any server in without proof, and is for laboratories only
    certificate, key   shown to a server that asks, and to clients where we listen for TLS
    """

    ca: Path | None = Field(default=None, description="the path of a PEM file with certificates of authorities")
    verify: bool = Field(default=True, description=SWITCH)
    certificate: Path | None = Field(default=None, description="the path of a PEM file with a certificate")
    key: Path | None = Field(default=None, description="the path of a PEM file with its private key")

    @model_validator(mode="after")
    def _check(self) -> TlsOptions:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together: one of them is missing")
        return self

    def client(self) -> ClientTls:
        """For connections that we open. Raises ConfigurationError, which names the file that can not be used."""
        return ClientTls(self.ca, certificate=self.certificate, key=self.key, verify=self.verify)

    def server(self) -> ServerTls | None:
        """For connections that others open, when there is a certificate."""
        if self.certificate is None or self.key is None:
            return None
        return ServerTls(self.certificate, self.key)


class Account(_Section):
    """Who a user agent is.

    address          the address of record, with a display name or without: `"Alice" <sip:alice@example.org>`
    password         what challenges are answered with; or ha1: HA1 by algorithm (MD5, SHA-256), made for `realm`
    user             the name to log in with, where it is not that of the address
    realm            the only realm that is answered; "" the first one that the account's servers ask with
    registrar        where to register; "" the domain of the address
    proxies          outbound proxies: everything goes through one of them, and each gets a registration of its own
    transport        "udp", "tcp" or "tls" towards them, "" whatever DNS and their URIs say
    register         whether to register; None: when there is a password
    expires          seconds to ask the registrar for
    outbound         whether RFC 5626 is asked for: the server reaches us over the connection that we have opened
    instance         the instance ID ("urn:uuid:…"); "" one that is kept where `instances` is given, else a random one
    instances        a folder in which instance IDs are kept
    rewrite_contact  whether, without outbound, the address at which a registrar sees us is registered
    listen           places to listen at, such as "udp:192.0.2.1:5060"; all others are opened when they are needed
    accept           whose requests are taken: "any", or "servers": those that come from where we registered
    session_expires, min_se   session timers in seconds (RFC 4028), 0: none is asked for
    reliable         reliable provisional responses (RFC 3262): "none", "supported", "required"
    privacy          the value of Privacy (RFC 3323), such as "id"
    trusted          whether the servers are in our trust domain (RFC 3325)
    follow           whether the contacts of a 3xx are called at once
    transfers        whether who calls us may have us call others (REFER)
    encryption       of media: "none", "offer" where the other side can, "require" or no call
    keying           how media keys are agreed, best first: "sdes" (only over TLS), "dtls"
    codecs           best first
    ice              "none", "accept", "full" or "lite"; stun, turn: servers, as URIs
    media_address    what SDP says in place of the local address (a NAT with fixed forwarding)
    media_ports      the range of UDP ports for media
    """

    address: Address = Field(description='a SIP address, such as "sip:alice@example.org"')
    password: str | None = Field(default=None, repr=False, description="text")
    ha1: dict[str, str] = Field(default={}, repr=False, description='a table, such as {MD5 = "…", SHA-256 = "…"}')
    user: str = Field(default="", description="text")
    realm: str = Field(default="", description="text")
    registrar: Server = Field(default="", description="a host or a SIP URI")
    proxies: Annotated[tuple[Server, ...], Single] = Field(
        default=(), max_length=8, description="up to 8 hosts or SIP URIs"
    )
    transport: Literal["", "udp", "tcp", "tls"] = Field(default="", description='"udp", "tcp" or "tls"')
    register_: bool | None = Field(default=None, alias="register", description=SWITCH)
    expires: int = Field(default=3600, ge=10, le=604800, description=SECONDS.format(10, 604800))
    outbound: bool = Field(default=True, description=SWITCH)
    instance: str = Field(default="", pattern=r"^(urn:[!-;=?-~]+)?$", description='a URN, such as "urn:uuid:…"')
    instances: Path | None = Field(default=None, description="the path of a folder")
    rewrite_contact: bool = Field(default=True, description=SWITCH)
    listen: Annotated[tuple[Place, ...], Single] = Field(
        default=(), description='places, such as ["udp:192.0.2.1:5060", "tcp:[2001:db8::1]:0"]'
    )
    accept: Literal["any", "servers"] = Field(default="any", description='"any" or "servers"')
    session_expires: int = Field(default=1800, ge=0, le=604800, description=SECONDS.format(0, 604800))
    min_se: int = Field(default=90, ge=90, le=604800, description=SECONDS.format(90, 604800))
    reliable: Literal["none", "supported", "required"] = Field(
        default="supported", description='"none", "supported" or "required"'
    )
    privacy: str = Field(default="", pattern=r"^[a-z]*(;[a-z]+)*$", description='values between ";", such as "id"')
    trusted: bool = Field(default=False, description=SWITCH)
    follow: bool = Field(default=False, description=SWITCH)
    transfers: bool = Field(default=False, description=SWITCH)
    tls: TlsOptions = Field(default=TlsOptions(), description="a table")
    encryption: Literal["none", "offer", "require"] = Field(default="offer", description='"none", "offer" or "require"')
    keying: Annotated[tuple[Literal["sdes", "dtls"], ...], Single] = Field(
        default=("sdes", "dtls"), min_length=1, description='a list of "sdes" and "dtls"'
    )
    codecs: Annotated[tuple[str, ...], Single] = Field(
        default=MediaPreferences().codecs, min_length=1, description='a list of names, such as ["opus", "PCMA"]'
    )
    ice: Literal["none", "accept", "full", "lite"] = Field(
        default="accept", description='"none", "accept", "full" or "lite"'
    )
    stun: Annotated[tuple[str, ...], Single] = Field(default=(), description='URIs, such as ["stun:stun.example.org"]')
    turn: Annotated[tuple[str, ...], Single] = Field(
        default=(), repr=False, description='URIs, such as ["turn:user:password@turn.example.org"]'
    )
    media_address: str = Field(default="", description="an IP address")
    media_ports: tuple[int, int] = Field(
        default=MediaPreferences().ports, description="two port numbers, the first and the last"
    )

    @model_validator(mode="after")
    def _check(self) -> Account:
        if self.password is not None and self.ha1:
            raise ValueError("password and ha1 exclude each other")
        for name in self.ha1:
            if algorithm_name(name) == "":
                raise ValueError(f"ha1: {name!r} is no algorithm")
        if not self.uri.user and (self.register_ or self.password is not None):
            raise ValueError(f"address: {self.address!r} has no user to register")
        if 0 < self.session_expires < self.min_se:
            raise ValueError("session_expires can not be less than min_se")
        if not 0 < self.media_ports[0] <= self.media_ports[1] <= 65535:
            raise ValueError("media_ports: two port numbers, the first not above the last")
        if self.register_ and self.uri.scheme == "sips" and self.transport == "udp":
            raise ValueError("transport: sips: addresses need tls")
        return self

    @classmethod
    def of(cls, address: str, **options: Any) -> Account:
        """An account from arguments. Raises ConfigurationError with a line for each mistake."""
        try:
            return cls(address=address, **options)
        except ValidationError as error:
            raise Mistakes(describe(cls, details) for details in deepest(error)) from None

    # who --------------------------------------------------------------------------------------------------------------

    @property
    def name_addr(self) -> NameAddr:
        """The address, read."""
        return parse_name_addr(self.address)

    @property
    def uri(self) -> Uri:
        """The address of record."""
        return self.name_addr.uri

    @property
    def domain(self) -> str:
        """The domain of the address, without brackets."""
        return self.uri.address

    @property
    def registers(self) -> bool:
        """Whether it registers."""
        if self.register_ is not None:
            return self.register_
        return self.password is not None or bool(self.ha1)

    def credentials(self) -> tuple[DigestClient, Login] | None:
        """What challenges are answered with; None when there is nothing to answer with.

        The login is for the account's own servers: a realm is only a text that anybody can send.
        """
        if self.password is None and not self.ha1:
            return None
        uris = [self.uri, parse_uri(self.registrar) if self.registrar else self.uri]
        uris += [parse_uri(proxy) for proxy in self.proxies]
        realm = self.realm or (self.domain if self.ha1 else None)
        ha1s = {algorithm_name(name): value for name, value in self.ha1.items()}
        user = self.user or unescape(self.uri.user)
        login = Login(user, self.password, realm, [uri.address for uri in uris], ha1s or None)
        return DigestClient([login]), login

    # where to ---------------------------------------------------------------------------------------------------------

    @property
    def registrar_uri(self) -> Uri:
        """The Request-URI of REGISTER."""
        uri = parse_uri(self.registrar) if self.registrar else self.uri
        return build_uri(uri.scheme, "", uri.host, uri.port, _steering(uri))

    @property
    def hops(self) -> list[Uri]:
        """What registrations are sent to, each over a flow of its own: the outbound proxies, else the registrar."""
        uris = [parse_uri(proxy) for proxy in self.proxies] or [self.registrar_uri]
        return [self._by_transport(uri) for uri in uris]

    def _by_transport(self, uri: Uri) -> Uri:
        """`uri`, with the transport of the account when it names none itself."""
        if not self.transport or "transport" in uri.parameters or uri.scheme == "sips":
            return uri
        return build_uri(uri.scheme, uri.user, uri.host, uri.port, {**uri.parameters, "transport": self.transport})

    def routes_by(self, hop: Uri) -> list[str]:
        """The Route by which requests go through a hop: none for the registrar itself."""
        return [route_of(hop.text)] if self.proxies else []

    def target(self, text: str) -> str:
        """What people call: a SIP URI as it is, `bob@example.net` with sip:, `bob` and numbers in the account's domain.

        Raises ParseError for what can be none of these.
        """
        text = text.strip()
        if text[:4].lower() == "tel:":
            number = parse_uri(text).user
            return f"{self.uri.scheme}:{number}@{_hostport(self.uri)};user=phone"
        if text[:4].lower() != "sip:" and text[:5].lower() != "sips:":
            text = f"{self.uri.scheme}:{text}"
            if "@" not in text and not _is_host(text.partition(":")[2]):
                text = f"{text}@{_hostport(self.uri)}"
        parse_uri(text)
        return text

    # how --------------------------------------------------------------------------------------------------------------

    def media_preferences(self) -> MediaPreferences:
        """What calls may use."""
        return MediaPreferences(
            codecs=self.codecs,
            encryption=self.encryption,
            keying=self.keying,
            ice=self.ice,
            advertised=self.media_address,
            ports=self.media_ports,
            stun=self.stun,
            turn=self.turn,
        )


def _steering(uri: Uri) -> dict[str, str | None]:
    return {name: value for name, value in uri.parameters.items() if name in ("transport", "maddr")}


def _hostport(uri: Uri) -> str:
    return bracketed(uri.host) if uri.port is None else f"{bracketed(uri.host)}:{uri.port}"


def _is_host(text: str) -> bool:
    """Whether a text without "@" names a machine rather than a user: it has a dot, a port or brackets."""
    place = text.partition(";")[0].partition("?")[0]
    if place.startswith("["):
        return True
    host, colon, port = place.partition(":")
    if colon:
        return port.isdigit()
    return is_address(host) or ("." in host and not host.translate(_NUMBER_SIGNS).isdigit())
