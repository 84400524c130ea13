"""TLS for SIP: contexts that can be renewed, the identity of a peer (RFC 5922), and the layer itself without a socket.

Only TLS 1.2 and 1.3 are spoken. A certificate that OpenSSL finds valid proves that its holder has a key; for which SIP
domain it speaks is decided here, by the rules of RFC 5922 section 7, which are stricter than those of the web: no
wildcards, no suffixes, and the common name only when there is no subjectAltName at all.

`ServerTls` and `ClientTls` hold the contexts. `reload` builds new ones from the files: connections that are open keep
what they were opened with, later ones get the new. `TlsSession` is one connection's TLS: octets in, octets out.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ringback.errors import ConfigurationError, RemoteError
from ringback.sip.transport import is_address

# A TLS record carries at most this much (RFC 8446 5.1).
_RECORD: Final = 16384

# What RFC 1123 lets a host name consist of, with the underscore that is found in practice; never a wildcard or a NUL.
_HOST_NAME: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")

# 503: the next hop can not be used; a client tries the next one (RFC 3263 4.3).
_UNAVAILABLE: Final = 503


class TlsFailure(RemoteError):
    """The peer's part of TLS is wrong: no common version, no valid certificate, another name, broken records."""

    def __init__(self, reason: str) -> None:
        super().__init__(_UNAVAILABLE, reason)


def domain_identity(name: str) -> str:
    """`name` as it is compared with others (RFC 5922 7.2): case folded, IDN as A-labels, without a final dot.

    "" when it is no host name or IP address, so that it matches nothing.
    """
    text = name.removesuffix(".")
    if ":" in name or is_address(name):
        try:
            # One address can be written in many ways.
            return ip_address(name.removeprefix("[").removesuffix("]")).compressed
        except ValueError:
            return ""
    if not text.isascii():
        try:
            # RFC 5280 7.2: internationalized names are compared in their ASCII Compatible Encoding.
            text = text.encode("idna").decode("ascii")
        except UnicodeError:
            return ""
    text = text.lower()
    return text if _HOST_NAME.fullmatch(text) else ""


def sip_identities(certificate: Mapping[str, Any]) -> tuple[str, ...]:
    """The SIP domains that a valid certificate speaks for (RFC 5922 7.1); `certificate` as `getpeercert()` gives it."""
    if "subjectAltName" not in certificate:
        # "If and only if the subjectAltName does not appear in the certificate, the implementation MAY examine the CN
        # field of the certificate."
        names = [value for part in certificate.get("subject", ()) for field, value in part if field == "commonName"]
        return tuple(name for name in (domain_identity(name) for name in names) if name)
    hosts: list[str] = []
    for kind, value in certificate["subjectAltName"]:
        if kind == "URI":
            hosts.append(_sip_uri_host(value))
    if not any(hosts):
        # "An implementation MUST accept a domain name system identifier as a SIP domain identity if and only if no
        # other identity is found that matches the "sip" URI type".
        hosts = [domain_identity(value) for kind, value in certificate["subjectAltName"] if kind == "DNS"]
    return tuple(dict.fromkeys(host for host in hosts if host))


def _sip_uri_host(uri: str) -> str:
    """The domain of a subjectAltName URI, or "" when it names none."""
    scheme, colon, rest = uri.partition(":")
    # 'If the scheme of the URI is not "sip", then the implementation MUST NOT accept the value'; "a value with a
    # userpart identifies an individual user, not a domain".
    if not colon or scheme.lower() != "sip" or "@" in rest:
        return ""
    # 7.2: "an implementation MUST NOT use any scheme or parameters in the comparison".
    host = rest.partition(";")[0].partition("?")[0]
    if host.startswith("["):
        return domain_identity(host.partition("]")[0] + "]")
    return domain_identity(host.partition(":")[0])


class TlsSession:
    """TLS on one connection, between the octets of the wire and those of SIP.

    established   whether the handshake is complete and, on the client's side, the peer has proved `name`
    identities    the SIP domains that the peer's certificate proved; empty when it showed none
    closed        whether the peer has said that nothing more comes
    """

    __slots__ = ("_incoming", "_name", "_outgoing", "_tls", "_verify", "closed", "established", "identities")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, name: str = "", verify: bool = False) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # RFC 5922 7.8: "the client SHOULD use that extension [server_name] to request a certificate corresponding to
        # the specific domain". RFC 6066 3: literal addresses are not permitted in it.
        server_name = name if name and not is_address(name) and not server_side else None
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_name)
        self._name = name
        self._verify = verify
        self.established = False
        self.closed = False
        self.identities: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin the handshake; what to send then waits in `take`. For the client's side."""
        self._handshake()

    def receive(self, data: bytes) -> bytes:
        """The octets of SIP in `data` from the wire; afterwards look at `take`, `established` and `closed`.

        Raises TlsFailure when the connection can not go on; `take` may then hold an alert for the peer.
        """
        self._incoming.write(data)
        if not self.established:
            self._handshake()
            if not self.established:
                return b""
        pieces: list[bytes] = []
        try:
            while piece := self._tls.read(_RECORD):
                pieces.append(piece)
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        except ssl.SSLError as error:
            raise TlsFailure(_reason(error)) from error
        return b"".join(pieces)

    def encrypt(self, data: bytes) -> None:
        """Put `data` into `take`; only once the session is established."""
        # OpenSSL writes one record a call.
        view = memoryview(data)
        while view:
            view = view[self._tls.write(view) :]

    def take(self) -> bytes:
        """What has to go on the wire now."""
        return self._outgoing.read()

    def shutdown(self) -> None:
        """Say that nothing more comes; what to send then waits in `take`."""
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # The peer's own closure alert is not waited for, and a session that never was established has none.
            return

    def _handshake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            raise TlsFailure(_reason(error)) from error
        try:
            certificate = self._tls.getpeercert()
        except (ValueError, ssl.SSLError) as error:
            raise TlsFailure(f"a certificate that can not be read: {error}") from error
        self.identities = sip_identities(certificate) if certificate else ()
        if self._verify and domain_identity(self._name) not in self.identities:
            # 7.3: "If the server is not authenticated, the client MUST close the connection immediately."
            shown = ", ".join(self.identities) or "no SIP domain"
            raise TlsFailure(f"the peer's certificate is for {shown}, not for {self._name}")
        self.established = True


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}"


class ServerTls:
    """The server's side of TLS: certificates, and whether clients are asked for theirs.

    certificate, key     PEM files: the chain with the server's own certificate first, and its private key
    others               more pairs of such files, for virtual domains; chosen by the name that a client asks for
    client_authorities   PEM file with the authorities for clients' certificates; None: clients are not asked
    require_client       refuse clients that show no certificate

    Raises ConfigurationError, which names the file, when they can not be used.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        others: Sequence[tuple[Path, Path]] = (),
        client_authorities: Path | None = None,
        require_client: bool = False,
    ) -> None:
        if require_client and client_authorities is None:
            raise ConfigurationError("clients' certificates are required, but no authorities for them are given")
        self._pairs = [(Path(certificate), Path(key)), *((Path(one), Path(other)) for one, other in others)]
        self._client_authorities = client_authorities
        self._require_client = require_client
        #: When the first of the certificates becomes invalid; watch it to warn early.
        self.not_after: datetime
        #: The SIP domains that the certificates speak for.
        self.names: tuple[str, ...]
        self._asking, self._plain, self.not_after, self.names = self._build()

    def reload(self, now: datetime | None = None) -> None:
        """Read the files again. Later connections get what they hold; open ones keep what they have.

        Raises ConfigurationError, naming the file, when they can not be used or have expired (by `now`, else by the
        clock); everything stays as it was then.
        """
        asking, plain, not_after, names = self._build()
        if not_after <= (now or datetime.now(UTC)):
            raise ConfigurationError(
                f"{self._pairs[0][0]}: a certificate that expired at {not_after:%Y-%m-%d %H:%M} UTC"
            )
        self._asking, self._plain, self.not_after, self.names = asking, plain, not_after, names

    def session(self, *, ask: bool = True) -> TlsSession:
        """TLS for a connection that was accepted; `ask` for the client's certificate when that is configured."""
        return TlsSession(self._asking if ask else self._plain, server_side=True)

    def _build(self) -> tuple[ssl.SSLContext, ssl.SSLContext, datetime, tuple[str, ...]]:
        ends: list[datetime] = []
        names: list[str] = []
        asking: list[tuple[tuple[str, ...], ssl.SSLContext]] = []
        plain: list[tuple[tuple[str, ...], ssl.SSLContext]] = []
        for certificate, key in self._pairs:
            end, identities = _read_certificate(certificate)
            ends.append(end)
            names += identities
            for contexts, ask in ((asking, True), (plain, False)):
                context = _context(ssl.PROTOCOL_TLS_SERVER)
                _load_pair(context, certificate, key)
                if ask and self._client_authorities is not None:
                    _load_authorities(context, self._client_authorities)
                    # RFC 5923 9.2: "A TLS server conformant to this specification MUST ask for a client certificate".
                    context.verify_mode = ssl.CERT_REQUIRED if self._require_client else ssl.CERT_OPTIONAL
                contexts.append((identities, context))
        return _by_name(asking), _by_name(plain), min(ends), tuple(dict.fromkeys(names))


class ClientTls:
    """The client's side of TLS.

    authorities        PEM file with the authorities that are trusted; None: the system's
    certificate, key   PEM files with what this element shows to a server that asks, or None
    verify             False lets any server in without proof, and is for laboratories only

    Raises ConfigurationError, which names the file, when they can not be used.
    """

    def __init__(
        self,
        authorities: Path | None = None,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        verify: bool = True,
    ) -> None:
        if (certificate is None) != (key is None):
            raise ConfigurationError("a certificate and its key go together: one of them is missing")
        self._authorities = authorities
        self._pair = (Path(certificate), Path(key)) if certificate is not None and key is not None else None
        self.verify = verify
        self._context = self._build()

    def reload(self) -> None:
        """Read the files again, for later connections; raises ConfigurationError and changes nothing when they fail."""
        self._context = self._build()

    def session(self, name: str) -> TlsSession:
        """TLS for a connection to the domain `name`, which the server has to prove."""
        return TlsSession(self._context, server_side=False, name=name, verify=self.verify)

    def _build(self) -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_CLIENT)
        # The name is checked by RFC 5922 in TlsSession; OpenSSL would check it by the web's rules.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE
        if self._authorities is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            _load_authorities(context, Path(self._authorities))
        if self._pair is not None:
            _load_pair(context, *self._pair)
        return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A peer that renegotiates without end costs a signature each time.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _no_passphrase() -> str:
    # Without this OpenSSL asks on the terminal for the passphrase of an encrypted key, and waits.
    return ""


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise ConfigurationError(f"{key}: no private key, without passphrase, for {certificate}: {reason}") from error
    except OSError as error:
        # OpenSSL does not say which of the two it could not read.
        missing = key if certificate.is_file() else certificate
        raise ConfigurationError(f"{missing}: can not be read: {error.strerror}") from error


def _load_authorities(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(authorities)
    except ssl.SSLError as error:
        raise ConfigurationError(f"{authorities}: no certificates in PEM: {error.reason or error}") from error
    except OSError as error:
        raise ConfigurationError(f"{authorities}: can not be read: {error.strerror}") from error


def _read_certificate(path: Path) -> tuple[datetime, tuple[str, ...]]:
    """When the first certificate in `path` becomes invalid, and the SIP domains that it speaks for."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = _names(certificate)
    except OSError as error:
        raise ConfigurationError(f"{path}: can not be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: no certificate in PEM: {error}") from error
    return certificate.not_valid_after_utc, names


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """`sip_identities` of a certificate that was read from a file."""
    subject = [[("commonName", str(item.value))] for item in certificate.subject if item.oid == NameOID.COMMON_NAME]
    known: dict[str, Any] = {"subject": subject}
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known["subjectAltName"] = [
            *(("URI", uri) for uri in names.get_values_for_type(x509.UniformResourceIdentifier)),
            *(("DNS", name) for name in names.get_values_for_type(x509.DNSName)),
        ]
    except x509.ExtensionNotFound:
        # Then the common name counts.
        known.pop("subjectAltName", None)
    return sip_identities(known)


def _by_name(contexts: Sequence[tuple[tuple[str, ...], ssl.SSLContext]]) -> ssl.SSLContext:
    """The first context, made to hand over to the one for the name that a client asks for."""
    first = contexts[0][1]
    if len(contexts) == 1:
        return first
    table = {name: context for names, context in reversed(contexts) for name in names}

    def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        context = table.get(domain_identity(name)) if name else None
        if context is not None:
            connection.context = context

    first.sni_callback = choose
    return first
