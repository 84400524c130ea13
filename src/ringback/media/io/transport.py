"""One stream's way to the far end: its sockets, and what protects what goes through them.

    transport = await Transport.open(options)
    transport.on_rtp = playout.put
    transport.parameters()                   for SDP
    await transport.start(remote)            what the far end's SDP says; returns when media may flow
    transport.send_rtp(packet)
    transport.close()

What comes from the network is told apart (RFC 7983), checked and counted; whatever it is, it raises nothing and ends
nothing. Once the stream has keys, a plain packet is neither handed up nor sent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

from ringback.media.backend import MediaError
from ringback.media.demultiplex import DTLS, RTCP, RTP, kind
from ringback.media.io.certificate import Certificate
from ringback.media.io.counts import Counts
from ringback.media.io.dtls import Role
from ringback.media.io.handshake import Handshake
from ringback.media.io.ice import IcePath, IceSettings
from ringback.media.io.options import Remote, TransportOptions, TransportParameters
from ringback.media.io.path import (
    RTCP_COMPONENT,
    RTP_COMPONENT,
    DirectPath,
    ExactSource,
    Path,
    literal,
)
from ringback.media.io.sockets import Address, MediaSocket, bind_pair, local_address
from ringback.media.io.srtp import SrtpKeys, SrtpSession, make_key
from ringback.sdp.ice import IceParameters

__all__ = ["Remote", "Transport", "TransportOptions", "TransportParameters"]

#: Called with a packet and when it came (seconds of the loop's clock).
Listener = Callable[[bytes, float], None]

#: Messages of DTLS handshakes that are kept while SDP has not told yet who may send them; the oldest go first.
HELD: Final = 16


def _about(remote: Remote) -> object:
    """What a DTLS association is about: a change of it means a new one (RFC 8842 section 4)."""
    if remote.association:
        return remote.association
    # With ICE the default address changes as candidates come and go, and means nothing.
    where = (remote.address, remote.port) if remote.ice is None else None
    return (remote.role, frozenset(remote.fingerprints), where)


def _add(counts: Counts, session: SrtpSession) -> None:
    """Put what `session` has counted to `counts`."""
    counts.refused += session.refused
    counts.replayed += session.replayed


def _ignored(data: bytes, arrival: float) -> None:
    """Where nobody listens."""


class Transport:
    """See the head of this module; made by `open`.

    on_rtp, on_rtcp   called with each packet that is the far end's, as plain RTP or RTCP
    on_failure        called with a MediaError when the way that ICE had found is lost: the far end has gone
    """

    def __init__(self, options: TransportOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.options: TransportOptions = options
        self.on_rtp: Listener = _ignored
        self.on_rtcp: Listener = _ignored
        self.on_failure: Callable[[MediaError], None] | None = None
        self._loop: asyncio.AbstractEventLoop = loop
        self._counts: Counts = Counts()
        self._certificate: Certificate = options.certificate or Certificate.generate()
        self._crypto: tuple[tuple[str, bytes], ...] = ()
        # With ICE there is no direct way until the far end has shown that it does none.
        self._direct: DirectPath | None = None
        self._ice: IcePath | None = None
        self._path: Path
        # RTP's address and RTCP's, as SDP names them.
        self._named: tuple[Address, Address] = (("", 0), ("", 0))
        self._mux: bool = options.rtcp_mux == "require"
        self._started: bool = False
        self._closed: bool = False
        # Keys are required from the moment that `start` was told of them; the sessions are there once they are known.
        self._keyed: bool = False
        self._srtp: dict[int, SrtpSession] = {}
        # Of the cookies of handshakes.
        self._secret: bytes = secrets.token_bytes(32)
        # The DTLS association in use or in the making: what it is about, and its handshakes by component.
        self._association: object = None
        self._handshakes: dict[int, Handshake] = {}
        self._held: deque[tuple[int, bytes, Address]] = deque(maxlen=HELD)

    @classmethod
    async def open(cls, options: TransportOptions) -> Transport:
        """Bind the sockets, begin to read, and gather candidates if ICE is wanted (which takes some seconds at most).

        Raises MediaError when there is no port or the address cannot be used; LocalError for a wrong server URI.
        """
        transport = cls(options, asyncio.get_running_loop())
        transport._crypto = tuple((suite, make_key(suite)) for suite in options.suites)
        if options.ice == "none":
            transport._open_direct()
        else:
            await transport._open_ice()
        return transport

    def parameters(self) -> TransportParameters:
        """What is to be written in SDP."""
        (host, port), (_, rtcp_port) = self._named
        return TransportParameters(
            address=host,
            port=port,
            rtcp_port=rtcp_port,
            rtcp_mux=self.options.rtcp_mux != "no",
            crypto=self._crypto,
            fingerprints=(self._certificate.fingerprint(),),
            ice=None if self._ice is None else self._ice.parameters,
        )

    def restart_ice(self) -> None:
        """Take new ICE credentials, which `parameters` gives then; media goes on until `start` finds another way."""
        if self._ice is not None:
            self._ice.restart()

    async def start(self, remote: Remote) -> None:
        """Let media flow as `remote` says; again, for each further agreement of the same call.

        Keys that stay the same keep their rollover counters and replay lists. Raises MediaError when the far end's
        address is none, or keys are missing or do not fit; what flowed before then goes on. Raises MediaError, too,
        when a handshake fails; then nothing flows unless older keys are still in use.
        """
        if self._closed:
            raise MediaError("the transport is closed")
        if self.options.require and remote.keys is None and not remote.fingerprints:
            raise MediaError("the far end agreed on no keys, and media must be encrypted")
        # RFC 4568 section 6: the one master key of a crypto attribute serves both SRTP and SRTCP.
        session = None if remote.keys is None or remote.fingerprints else self._session(remote.keys)
        if self._ice is not None and remote.ice is not None and self._direct is None:
            await self._find_way(self._ice, remote, remote.ice)
        else:
            self._aim(remote)
        self._started = True
        if remote.fingerprints:
            self._keyed = True
            await self._handshake(remote)
            return
        self._end_handshakes()
        self._keyed = session is not None
        self._protect({} if session is None else {RTP_COMPONENT: session, RTCP_COMPONENT: session})

    def send_rtp(self, data: bytes) -> bool:
        """Protect and send an RTP packet; False when it was not sent, which is loss on the way to who sends it."""
        return self._send(RTP_COMPONENT, data)

    def send_rtcp(self, data: bytes) -> bool:
        """Protect and send a compound RTCP packet; False when it was not sent."""
        return self._send(RTCP_COMPONENT, data)

    @property
    def counts(self) -> Counts:
        """What has come and gone so far."""
        counts = self._counts.copy()
        if self._ice is not None:
            counts.checks += self._ice.checks
        for sock in self._path.sockets():
            counts.oversized += sock.oversized
            counts.failed += sock.failed
        for session in set(self._srtp.values()):
            _add(counts, session)
        return counts

    def close(self) -> None:
        """Give back the ports; may be called at any time, also twice. Nothing is handed up afterwards."""
        self._closed = True
        self._end_handshakes()
        self._held.clear()
        if self._ice is not None:
            self._ice.close()
        self._path.close()

    # Opening and aiming.

    def _open_direct(self) -> None:
        options = self.options
        host = literal(options.address or local_address())
        rtp, rtcp = bind_pair(host, options.ports, single=self._mux)
        first = MediaSocket(rtp, self._receiver(RTP_COMPONENT))
        second = None if rtcp is None else MediaSocket(rtcp, self._receiver(RTCP_COMPONENT))
        self._path = self._direct = DirectPath(first, second, strict=options.strict)
        for sock in self._path.sockets():
            sock.start(self._loop)
        told = options.advertised or host
        self._named = ((told, first.address[1]), (told, (second or first).address[1]))

    async def _open_ice(self) -> None:
        options = self.options
        settings = IceSettings(
            address=options.address,
            advertised=options.advertised,
            ports=options.ports,
            single=self._mux,
            strict=options.strict,
            lite=options.ice == "lite",
            stun=options.stun,
            turn=options.turn,
        )
        self._path = self._ice = await IcePath.open(settings, self._receive)
        self._ice.on_failure = self._lost
        rtp = self._ice.default[RTP_COMPONENT]
        self._named = (rtp, self._ice.default.get(RTCP_COMPONENT, rtp))

    async def _find_way(self, path: IcePath, remote: Remote, ice: IceParameters) -> None:
        if remote.rtcp_mux and self.options.rtcp_mux != "no":
            self._mux = True
        await path.start(ice, remote.controlling, 1 if self._mux else 2)
        if path.agent.components == {RTP_COMPONENT}:
            # The far end has candidates for one port only.
            self._mux = True

    def _lost(self, error: MediaError) -> None:
        if self.on_failure is not None and not self._closed:
            self.on_failure(error)

    def _receiver(self, component: int) -> Callable[[bytes, Address, float], None]:
        def receive(data: bytes, source: Address, arrival: float) -> None:
            self._receive(component, data, source, arrival)

        return receive

    def _aim(self, remote: Remote) -> None:
        address = (literal(remote.address), remote.port)
        # RFC 3605: without a=rtcp, RTCP is at the port above that of RTP. There is none above the last.
        rtcp = (address[0], address[1] + 1 if 0 < address[1] < 65535 else 0)
        if remote.rtcp is not None:
            rtcp = (literal(remote.rtcp[0]), remote.rtcp[1])
        sources = ExactSource if self.options.strict else self.options.sources
        if self._direct is None:
            # We have offered ICE, and the far end does none (RFC 8839 section 4.2.5).
            assert self._ice is not None
            self._path = self._direct = self._ice.direct()
        self._direct.aim(RTP_COMPONENT, address, sources)
        # RFC 5761 5.1.1: multiplexing is used once the answer says so, too; until then the offerer has both ports open.
        if remote.rtcp_mux and self.options.rtcp_mux != "no":
            self._mux = True
            self._direct.drop(RTCP_COMPONENT)
        elif not self._mux:
            self._direct.aim(RTCP_COMPONENT, rtcp, sources)

    def _session(self, keys: SrtpKeys) -> SrtpSession:
        """The session with `keys`: the one in use when they are the same, for it knows what was already used."""
        current = self._srtp.get(RTP_COMPONENT)
        if current is not None and current.keys == keys:
            return current
        return SrtpSession(keys)

    async def _handshake(self, remote: Remote) -> None:
        """Agree on keys by DTLS, unless the association is the one in use."""
        if remote.role == "":
            raise MediaError("SDP leaves open who begins the DTLS handshake")
        about = _about(remote)
        if about != self._association or not self._handshakes:
            self._end_handshakes()
            self._association = about
            # RFC 5764 section 4.1: without multiplexing, RTP and RTCP have an association each.
            for component in (RTP_COMPONENT,) if self._mux else (RTP_COMPONENT, RTCP_COMPONENT):
                self._handshakes[component] = self._begin(component, remote.role, remote)
            held, self._held = self._held, deque(maxlen=HELD)
            for component, data, source in held:
                self._dtls(component, data, source)
        handshakes = dict(self._handshakes)
        try:
            for handshake in handshakes.values():
                await asyncio.shield(handshake.done)
        except MediaError:
            if self._handshakes == handshakes:
                self._end_handshakes()
            raise

    def _begin(self, component: int, role: Role, remote: Remote) -> Handshake:
        def send(data: bytes, to: Address | None) -> None:
            self._path.send(component, data, to)

        handshake = Handshake(role, self._certificate, remote.fingerprints, send, secret=self._secret)
        handshake.done.add_done_callback(lambda done: self._agreed(component, handshake))
        handshake.start()
        return handshake

    def _agreed(self, component: int, handshake: Handshake) -> None:
        """A handshake has ended, well or not."""
        if self._handshakes.get(component) is not handshake or handshake.done.exception() is not None:
            return
        if handshake.source is not None:
            self._path.authenticated(component, handshake.source)
        session = SrtpSession(handshake.done.result())
        self._protect({**self._srtp, component: session, **({RTCP_COMPONENT: session} if self._mux else {})})

    def _end_handshakes(self) -> None:
        handshakes, self._handshakes = self._handshakes, {}
        self._association = None
        for handshake in handshakes.values():
            handshake.close()

    def _protect(self, sessions: dict[int, SrtpSession]) -> None:
        """Use `sessions` (by component) from now on; what the others have counted stays counted."""
        for session in set(self._srtp.values()) - set(sessions.values()):
            _add(self._counts, session)
        self._srtp = sessions

    # Packets.

    def _send(self, component: int, data: bytes) -> bool:
        if self._closed or not self._started:
            self._counts.unsent += 1
            return False
        packet: bytes | None = data
        if self._keyed:
            session = self._srtp.get(component)
            if session is None:
                packet = None
            elif component == RTP_COMPONENT:
                packet = session.protect_rtp(data)
            else:
                packet = session.protect_rtcp(data)
        if packet is None or not self._path.send(RTP_COMPONENT if self._mux else component, packet):
            self._counts.unsent += 1
            return False
        self._counts.sent += 1
        return True

    def _receive(self, component: int, data: bytes, source: Address, arrival: float) -> None:
        """One datagram has come on the socket of `component`."""
        if self._closed:
            return
        what = kind(data)
        if what in (RTP, RTCP):
            self._media(component, what, data, source, arrival)
        elif what == DTLS:
            self._dtls(component, data, source)
        else:
            self._counts.unknown += 1

    def _media(self, component: int, what: int, data: bytes, source: Address, arrival: float) -> None:
        """An RTP or RTCP packet, protected or not, has come."""
        counts = self._counts
        if component == RTCP_COMPONENT and what == RTP:
            counts.unknown += 1
            return
        if not self._started:
            counts.early += 1
            return
        if self._keyed:
            if self._path.exclusive and not self._path.chosen(component, source):
                counts.foreign += 1
                return
            session = self._srtp.get(RTP_COMPONENT if what == RTP else RTCP_COMPONENT)
            if session is None:
                counts.early += 1
                return
            plain = session.unprotect_rtp(data) if what == RTP else session.unprotect_rtcp(data)
            if plain is None:
                return
            self._path.authenticated(component, source)
        else:
            if not self._path.admits(component, source, data, arrival):
                counts.foreign += 1
                return
            plain = data
        counts.received += 1
        self._hand_up(self.on_rtp if what == RTP else self.on_rtcp, plain, arrival)

    def _dtls(self, component: int, data: bytes, source: Address) -> None:
        """A DTLS message has come: only from where the far end is, or may be, does it reach a handshake."""
        if not self._started:
            # RFC 5763 section 5: the far end may begin before its answer has reached us.
            self._held.append((component, data, source))
            return
        handshake = self._handshakes.get(component)
        if handshake is None:
            self._counts.unknown += 1
            return
        chosen = self._path.chosen(component, source)
        if handshake.receive(data, source, chosen, self._path.may_roam(component, source)):
            self._counts.handshake += 1
        else:
            self._counts.foreign += 1

    def _hand_up(self, listener: Listener, data: bytes, arrival: float) -> None:
        try:
            listener(data, arrival)
        except Exception as error:
            # A packet that its reader chokes on is the reader's defect; the next one may be sound.
            self._loop.call_exception_handler({"message": "a media packet was not dealt with", "exception": error})
