"""One DTLS association that agrees on keys for SRTP (RFC 6347, 5763, 5764): octets in, octets out.

OpenSSL does the handshake over memory; who owns the association carries the datagrams and keeps the timer:

    association.start()
    association.receive(datagram)      for each that came from the chosen source
    association.take()                 datagrams to send; after every other call
    association.timeout()              seconds until `expire` has to be called, or None
    association.expire()

It goes from "handshake" to "done" (`keys` are there) or to "failed" (`error` says why). The certificate is compared
with the fingerprints of SDP within the handshake, so "done" means that the far end is who signalling says.

What makes no sense is taken out before OpenSSL sees it (`dtls_records`). A message that ends OpenSSL's handshake all
the same may be forged: a new one is begun in its place, up to ATTEMPTS, after a QUIET time in which what is left of the
former is not listened to. Only a wrong fingerprint ends the association at once. After the keys nothing ends it:
alerts, close_notify included, are of DTLS, and media does not go through it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, Literal

from OpenSSL import SSL

from ringback.media.backend import MediaError
from ringback.media.dtls_records import Sieve, datagrams, first_hello
from ringback.media.io.certificate import Certificate, Fingerprint, accepts
from ringback.media.io.srtp import SUITES, SrtpKeys

__all__ = ["ATTEMPTS", "MTU", "QUIET", "Association", "Role", "context"]

#: Who begins: "client" is a=setup:active, "server" a=setup:passive.
Role = Literal["client", "server"]

#: Octets of the longest datagram: it passes every link that IPv6 is allowed on (1280), with room for a tunnel.
MTU: Final = 1200
#: Handshakes that are begun, one after the other, before a broken one is the end.
ATTEMPTS: Final = 4
#: Seconds between a client's broken handshake and its next: longer than a message is under way.
QUIET: Final = 0.5
#: Suites for SRTP, in the order of preference (RFC 5764 section 4.1.2, RFC 7714 section 14.2).
PROFILES: Final = ("AEAD_AES_128_GCM", "AEAD_AES_256_GCM", "AES_CM_128_HMAC_SHA1_80")

_DTLS_1_2: Final = 0xFEFD
# Forward secrecy with authenticated encryption; CBC for phones that have nothing better. Never without a certificate.
_CIPHERS: Final = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AESGCM:!aNULL:!eNULL:!PSK:!SRP"
# RFC 5764 4.2: "EXTRACTOR-dtls_srtp".
_EXPORTER: Final = b"EXTRACTOR-dtls_srtp"


class Association:
    """See the head of this module.

    role           ours
    state          "handshake", "done" or "failed"
    keys, error    what has come of it
    broken         handshakes that a message has ended, and that were begun anew
    ignored        alerts and other records after the keys
    sieve          what was taken out of what came
    """

    def __init__(
        self,
        role: Role,
        certificate: Certificate,
        fingerprints: Sequence[Fingerprint],
        *,
        profiles: Sequence[str] = PROFILES,
        mtu: int = MTU,
        connection: SSL.Connection | None = None,
    ) -> None:
        self.role: Role = role
        self.state: Literal["handshake", "done", "failed"] = "handshake"
        self.keys: SrtpKeys | None = None
        self.error: MediaError | None = None
        self.broken: int = 0
        self.ignored: int = 0
        self.sieve: Sieve = Sieve(role == "client", begun=connection is not None)
        self._fingerprints: Sequence[Fingerprint] = fingerprints
        self._mtu: int = mtu
        self._context: SSL.Context = context(certificate, profiles)
        self._refused: bool = False
        # The ClientHello that the server's handshake is about, by its random octets.
        self._hello: bytes = b""
        # When a client begins anew (seconds of the monotonic clock); 0 when it has begun.
        self._resume: float = 0.0
        self._output: list[bytes] = []
        # A connection that is given is a server's, in the midst of its first message.
        self._connection: SSL.Connection = self._verified(connection) if connection else self._fresh()

    def start(self) -> None:
        """Begin; a client's first message is in `take` then."""
        self._step()

    def receive(self, data: bytes) -> None:
        """One datagram has come from the far end."""
        if self.state == "failed" or self._resume:
            return
        if self.state == "handshake":
            if self.role == "server":
                self._new_hello(data)
            data = self.sieve.sift(data)
        if not data:
            return
        try:
            self._connection.bio_write(data)
        except SSL.Error:
            return
        self._step()

    def take(self) -> list[bytes]:
        """The datagrams that are to be sent now."""
        output, self._output = self._output, []
        return output

    def timeout(self) -> float | None:
        """Seconds until `expire` has to be called; None while nothing is waited for."""
        if self.state != "handshake":
            return None
        if self._resume:
            return max(0.0, self._resume - time.monotonic())
        seconds = self._connection.DTLSv1_get_timeout()
        return None if seconds is None else float(seconds)

    def expire(self) -> None:
        """Send the last flight again if its time has come (RFC 6347 section 4.2.4)."""
        if self.state != "handshake":
            return
        if self._resume:
            if time.monotonic() >= self._resume:
                self._resume = 0.0
                self._connection = self._fresh()
                self._step()
            return
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error as error:
            # OpenSSL gives up after a dozen.
            self._begin_anew(error)
            return
        self._drain()

    # Within.

    def _fresh(self) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if self.role == "client":
            connection.set_connect_state()
        else:
            connection.set_accept_state()
        return self._verified(connection)

    def _verified(self, connection: SSL.Connection) -> SSL.Connection:
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        connection.set_ciphertext_mtu(self._mtu)
        return connection

    def _verify(self, connection: SSL.Connection, certificate: object, error: int, depth: int, ok: int) -> bool:
        """OpenSSL asks about each certificate of the chain; the far end's own is at depth 0, and nobody signed it."""
        if depth > 0:
            return True
        given = certificate.to_cryptography()  # type: ignore[attr-defined]
        if accepts(self._fingerprints, given):
            return True
        self._refused = True
        return False

    def _step(self) -> None:
        """Let OpenSSL work on what has come."""
        try:
            if self.state == "handshake":
                self._connection.do_handshake()
                self._finish()
            else:
                # Retransmissions of the last flight are answered by reading; there is nothing to be read.
                self._connection.recv(self._mtu)
                self.ignored += 1
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            if self.state == "handshake":
                self._begin_anew(error)
                return
            self.ignored += 1
        self._drain()

    def _finish(self) -> None:
        """The handshake is over: check once more who it is, and take the keys out."""
        connection = self._connection
        peer = connection.get_peer_certificate(as_cryptography=True)
        if peer is None or not accepts(self._fingerprints, peer):
            self._refused = True
            self._fail("")
            return
        selected = connection.get_selected_srtp_profile().decode("ascii")
        suite = next((suite for suite in SUITES.values() if suite.dtls == selected), None)
        if suite is None:
            # RFC 5764 4.1.1: without use_srtp in the ServerHello there is no SRTP.
            self._fail("the far end agreed on no SRTP protection profile in its DTLS handshake")
            return
        material = connection.export_keying_material(_EXPORTER, 2 * suite.length)
        key, salt = suite.key, suite.salt
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        local, remote = (client, server) if self.role == "client" else (server, client)
        self.keys = SrtpKeys(suite.name, local, remote)
        self.state = "done"

    def _new_hello(self, data: bytes) -> None:
        """Begin anew when `data` is the first ClientHello of another handshake: the far end has begun anew.

        OpenSSL would take it for a repetition of the one it knows.
        """
        random = first_hello(data)
        if not random:
            return
        if self._hello and random != self._hello and self.broken < ATTEMPTS - 1:
            self.broken += 1
            self._connection = self._fresh()
            self.sieve.restart(client=False)
            self._hello = b""
        self._hello = self._hello or random

    def _begin_anew(self, error: SSL.Error) -> None:
        """OpenSSL has ended the handshake; if that was not for the certificate, begin another one."""
        if self._refused:
            # The far end is told by OpenSSL's alert.
            self._drain()
            self._fail("")
            return
        self.broken += 1
        if self.broken >= ATTEMPTS:
            self._drain()
            self._fail(f"the DTLS handshake failed: {_reason(error)}")
            return
        # No alert goes out: it would end the handshake of an honest far end, and a forger would have had his way.
        self.sieve.restart(self.role == "client")
        self._hello = b""
        if self.role == "client":
            self._resume = time.monotonic() + QUIET
        else:
            self._connection = self._fresh()

    def _fail(self, message: str) -> None:
        if self._refused:
            message = "the certificate of the far end's DTLS handshake is not the one whose fingerprint SDP gives"
        self.state = "failed"
        self.error = MediaError(message)

    def _drain(self) -> None:
        """Take what OpenSSL has written."""
        written = b""
        while True:
            try:
                written += self._connection.bio_read(65536)
            except SSL.Error:
                break
        self._output += datagrams(written, self._mtu)


def context(certificate: Certificate, profiles: Sequence[str] = PROFILES) -> SSL.Context:
    """OpenSSL's settings for an association: DTLS 1.2, our certificate, SRTP, no renegotiation."""
    settings = SSL.Context(SSL.DTLS_METHOD)
    settings.set_min_proto_version(_DTLS_1_2)
    settings.set_max_proto_version(_DTLS_1_2)
    settings.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
    settings.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    settings.set_cipher_list(_CIPHERS)
    settings.use_certificate(certificate.certificate)
    settings.use_privatekey(certificate.key)
    settings.set_tlsext_use_srtp(":".join(SUITES[name].dtls for name in profiles).encode("ascii"))
    return settings


def _reason(error: SSL.Error) -> str:
    """What OpenSSL says, for people."""
    said = error.args[0] if error.args else None
    if isinstance(said, list) and said:
        return str(said[-1][-1])
    return type(error).__name__
