"""The DTLS handshake of one component, with its timer, and with whom it may be held.

Messages from where the far end is supposed to be (SDP, ICE) go to one association. Without ICE a far end behind a NAT
comes from elsewhere, and so may anybody: a ClientHello from elsewhere is answered with a cookie first (RFC 6347 section
4.2.1), without keeping anything, and only who has sent that back gets an association of his own, one of STRANGERS. Who
then shows the right certificate is the far end. So a stranger's ClientHello neither disturbs nor delays the handshake
with the right one, and a forged source address is sent no more octets than it sends. Handshakes of one stream share the
`secret` of the cookies.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from OpenSSL import SSL

from ringback.media.backend import MediaError
from ringback.media.dtls_records import hello_number
from ringback.media.io.certificate import Certificate, Fingerprint
from ringback.media.io.dtls import Association, Role, context
from ringback.media.io.sockets import Address
from ringback.media.io.srtp import SrtpKeys

__all__ = ["PATIENCE", "STRANGERS", "Handshake"]

#: Seconds until a handshake that nobody has answered is given up; fewer are left once somebody has sent an alert, which
#: may be forged and so does not end it by itself.
PATIENCE: Final = 30.0
AFTER_ALERT: Final = 5.0
#: Handshakes at the same time with sources that nobody has named; a further one takes the place of the oldest.
STRANGERS: Final = 4

#: Called with a datagram and where it goes: None is where the far end is supposed to be.
Send = Callable[[bytes, Address | None], None]


class Handshake:
    """See the head of this module.

    done      the keys, once a far end with the right certificate is found; or a MediaError
    source    where it was found, when that is not where it was supposed to be
    """

    def __init__(
        self,
        role: Role,
        certificate: Certificate,
        fingerprints: Sequence[Fingerprint],
        send: Send,
        *,
        secret: bytes = b"",
        patience: float = PATIENCE,
    ) -> None:
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.role: Role = role
        self.source: Address | None = None
        self.done: asyncio.Future[SrtpKeys] = self._loop.create_future()
        # Who waits for it may have been cancelled; then nobody asks how it ended, and nothing is to be said.
        self.done.add_done_callback(lambda done: done.exception())
        self._certificate: Certificate = certificate
        self._fingerprints: Sequence[Fingerprint] = fingerprints
        self._send: Send = send
        # None is where the far end is supposed to be. Once one is done, the others are forgotten.
        self._associations: dict[Address | None, Association] = {None: Association(role, certificate, fingerprints)}
        self._timer: asyncio.TimerHandle | None = None
        self._limit: asyncio.TimerHandle | None = self._loop.call_later(patience, self._give_up)
        self._hurried: bool = False
        self._secret: bytes = secret or secrets.token_bytes(32)
        self._listener: SSL.Connection | None = None

    def start(self) -> None:
        """Begin; the client sends its first message."""
        self._associations[None].start()
        self._turn()

    def receive(self, data: bytes, source: Address, chosen: bool, roaming: bool) -> bool:
        """A DTLS datagram has come from `source`; False when it is nobody's.

        `chosen`: that is where the far end is supposed to be; `roaming`: it may be there all the same.
        """
        key = source if source in self._associations or not chosen else None
        association = self._associations.get(key)
        if association is not None and self._brings_cookie(association, data):
            self._listen(data, source, key)
        elif association is not None:
            association.receive(data)
            self._hurry()
        elif not roaming or self.done.done() or self.role == "client" or not self._listen(data, source, source):
            return False
        self._turn()
        return True

    def close(self) -> None:
        """End it; `done` gets a MediaError when it was not done."""
        for timer in (self._timer, self._limit):
            if timer is not None:
                timer.cancel()
        self._timer = self._limit = None
        self._associations.clear()
        if not self.done.done():
            self.done.set_exception(MediaError("the DTLS handshake was given up"))

    def _turn(self) -> None:
        """Send what is to be sent, see what has become of each, and arm the one timer."""
        earliest: float | None = None
        for source, association in list(self._associations.items()):
            for datagram in association.take():
                self._send(datagram, source)
            if association.state == "failed":
                self._failed(source, association)
            elif association.state == "done" and not self.done.done():
                self._found(source, association)
                # Everybody else has just been forgotten.
                earliest = None
                break
            seconds = association.timeout()
            if seconds is not None and (earliest is None or seconds < earliest):
                earliest = seconds
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if earliest is not None and self._associations:
            self._timer = self._loop.call_later(earliest, self._expired)

    def _found(self, source: Address | None, association: Association) -> None:
        assert association.keys is not None
        self.source = source
        self._associations = {source: association}
        self._listener = None
        if self._limit is not None:
            self._limit.cancel()
        self.done.set_result(association.keys)

    def _failed(self, source: Address | None, association: Association) -> None:
        del self._associations[source]
        # A stranger who fails is no news.
        if source is None and not self.done.done():
            assert association.error is not None
            self.done.set_exception(association.error)

    def _hurry(self) -> None:
        """Wait for less once an alert has come."""
        if self._alert() >= 0 and self._limit is not None and not self._hurried and not self.done.done():
            self._hurried = True
            self._limit.cancel()
            self._limit = self._loop.call_at(min(self._limit.when(), self._loop.time() + AFTER_ALERT), self._give_up)

    def _expired(self) -> None:
        self._timer = None
        for association in list(self._associations.values()):
            association.expire()
        self._turn()

    def _give_up(self) -> None:
        if not self.done.done():
            alert = self._alert()
            said = "" if alert < 0 else f"; without proof who it was, somebody sent the alert {alert}"
            self.done.set_exception(MediaError(f"no DTLS handshake came about{said}"))

    def _alert(self) -> int:
        association = self._associations.get(None)
        return -1 if association is None else association.sieve.alert

    # Strangers.

    def _brings_cookie(self, association: Association, data: bytes) -> bool:
        """Whether the named far end begins with its second message: it was a stranger when it sent the first, to an
        earlier handshake of the same stream (a forked call), and has the cookie from there.
        """
        if self.role == "client" or association.state != "handshake" or association.sieve.begun:
            return False
        return hello_number(data) > 0

    def _listen(self, data: bytes, source: Address, key: Address | None) -> bool:
        """Answer a ClientHello of `source`; its association begins, under `key`, when it brings back the cookie."""
        listener = self._listener
        if listener is None:
            listener = self._listener = self._new_listener()
        listener.set_app_data(source)
        try:
            listener.bio_write(data)
            listener.DTLSv1_listen()
        except SSL.WantReadError:
            self._answer(listener, key)
            return True
        except SSL.Error:
            # Not a ClientHello, or a broken one.
            self._listener = None
            return False
        self._listener = None
        strangers = [address for address in self._associations if address is not None]
        if len(strangers) >= STRANGERS and key is not None:
            del self._associations[strangers[0]]
        association = Association("server", self._certificate, self._fingerprints, connection=listener)
        self._associations[key] = association
        association.start()
        return True

    def _answer(self, listener: SSL.Connection, key: Address | None) -> None:
        try:
            self._send(listener.bio_read(65536), key)
        except SSL.Error:
            pass

    def _new_listener(self) -> SSL.Connection:
        settings = context(self._certificate)
        settings.set_options(SSL.OP_COOKIE_EXCHANGE or 0)
        settings.set_cookie_generate_callback(self._cookie)
        settings.set_cookie_verify_callback(self._is_cookie)
        listener = SSL.Connection(settings, None)
        listener.set_accept_state()
        return listener

    def _cookie(self, connection: SSL.Connection) -> bytes:
        host, port = connection.get_app_data()
        return hmac.digest(self._secret, f"{host} {port}".encode(), "sha256")

    def _is_cookie(self, connection: SSL.Connection, cookie: bytes) -> bool:
        return hmac.compare_digest(cookie, self._cookie(connection))
