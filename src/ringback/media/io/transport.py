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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ringback.media.backend import MediaError
from ringback.media.demultiplex import RTCP, RTP, kind
from ringback.media.io.counts import Counts
from ringback.media.io.path import (
    RTCP_COMPONENT,
    RTP_COMPONENT,
    DirectPath,
    ExactSource,
    SourceFilter,
    literal,
)
from ringback.media.io.sockets import Address, MediaSocket, bind_pair, local_address
from ringback.media.io.srtp import SrtpKeys, SrtpSession, make_key

__all__ = ["Remote", "Transport", "TransportOptions", "TransportParameters"]

#: Called with a packet and when it came (seconds of the loop's clock).
Listener = Callable[[bytes, float], None]

#: Crypto suites that are offered unless said otherwise (RFC 4568), best first.
DEFAULT_SUITES: Final = ("AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80")


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """How a transport is opened.

    address      the local IP literal; "" for the one that packets to the world leave from
    advertised   the address written in SDP when it is another one, or ""
    ports        the range of UDP ports, both ends included
    rtcp_mux     "require": RTP and RTCP share one port from the beginning; "offer": they do when `start` says so; "no"
    suites       the crypto suites to make keys for (SDES)
    require      keys have to be agreed: `start` refuses a far end without
    strict       plain packets are taken only from the address that SDP names, and no packet goes elsewhere
    sources      makes the filter for plain packets out of the address that SDP names; not asked when `strict`
    """

    address: str = ""
    advertised: str = ""
    ports: tuple[int, int] = (16384, 32767)
    rtcp_mux: str = "offer"
    suites: tuple[str, ...] = DEFAULT_SUITES
    require: bool = False
    strict: bool = False
    sources: Callable[[Address], SourceFilter] = ExactSource


@dataclass(frozen=True, slots=True)
class TransportParameters:
    """What goes into our SDP. `rtcp_port` is `port` when there is only one; `crypto` holds (suite, key and salt)."""

    address: str
    port: int
    rtcp_port: int
    rtcp_mux: bool
    crypto: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Remote:
    """What the far end's SDP says of the stream.

    address, port   of RTP, an IP literal
    rtcp            of RTCP (RFC 3605), or None for the port above that of RTP
    rtcp_mux        RTCP comes and goes on the port of RTP
    keys            what SDES has agreed
    """

    address: str
    port: int
    rtcp: Address | None = None
    rtcp_mux: bool = False
    keys: SrtpKeys | None = None


def _add(counts: Counts, session: SrtpSession) -> None:
    """Put what `session` has counted to `counts`."""
    counts.refused += session.refused
    counts.replayed += session.replayed


def _ignored(data: bytes, arrival: float) -> None:
    """Where nobody listens."""


class Transport:
    """See the head of this module; made by `open`.

    on_rtp, on_rtcp   called with each packet that is the far end's, as plain RTP or RTCP
    """

    def __init__(self, options: TransportOptions, loop: asyncio.AbstractEventLoop) -> None:
        self.options: TransportOptions = options
        self.on_rtp: Listener = _ignored
        self.on_rtcp: Listener = _ignored
        self._loop: asyncio.AbstractEventLoop = loop
        self._counts: Counts = Counts()
        self._path: DirectPath
        self._parameters: TransportParameters
        self._mux: bool = options.rtcp_mux == "require"
        self._started: bool = False
        self._closed: bool = False
        # Keys are required from the moment that `start` was told of them; the sessions are there once they are known.
        self._keyed: bool = False
        self._srtp: dict[int, SrtpSession] = {}

    @classmethod
    async def open(cls, options: TransportOptions) -> Transport:
        """Bind the sockets and begin to read. Raises MediaError when there is no port or the address cannot be used."""
        transport = cls(options, asyncio.get_running_loop())
        transport._open()
        return transport

    def parameters(self) -> TransportParameters:
        """What is to be written in SDP."""
        return self._parameters

    async def start(self, remote: Remote) -> None:
        """Let media flow as `remote` says; again, for each further agreement of the same call.

        Keys that stay the same keep their rollover counters and replay lists. Raises MediaError when the far end's
        address is none, or keys are missing or do not fit; what flowed before then goes on.
        """
        if self._closed:
            raise MediaError("the transport is closed")
        address = (literal(remote.address), remote.port)
        if remote.keys is None and self.options.require:
            raise MediaError("the far end agreed on no keys, and media must be encrypted")
        # RFC 4568 section 6: the one master key of a crypto attribute serves both SRTP and SRTCP.
        session = None if remote.keys is None else self._session(remote.keys)
        self._aim(address, remote)
        self._keyed = session is not None
        self._protect({} if session is None else {RTP_COMPONENT: session, RTCP_COMPONENT: session})
        self._started = True

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
        for sock in self._path.sockets():
            counts.oversized += sock.oversized
            counts.failed += sock.failed
        for session in set(self._srtp.values()):
            _add(counts, session)
        return counts

    def close(self) -> None:
        """Give back the ports; may be called at any time, also twice. Nothing is handed up afterwards."""
        self._closed = True
        self._path.close()

    # Opening and aiming.

    def _open(self) -> None:
        options = self.options
        host = literal(options.address or local_address())
        rtp, rtcp = bind_pair(host, options.ports, single=self._mux)
        first = MediaSocket(rtp, self._receiver(RTP_COMPONENT))
        second = None if rtcp is None else MediaSocket(rtcp, self._receiver(RTCP_COMPONENT))
        self._path = DirectPath(first, second, strict=options.strict)
        for sock in self._path.sockets():
            sock.start(self._loop)
        port = first.address[1]
        try:
            self._parameters = TransportParameters(
                address=options.advertised or host,
                port=port,
                rtcp_port=port if second is None else second.address[1],
                rtcp_mux=options.rtcp_mux != "no",
                crypto=tuple((suite, make_key(suite)) for suite in options.suites),
            )
        except MediaError:
            self.close()
            raise

    def _receiver(self, component: int) -> Callable[[bytes, Address, float], None]:
        def receive(data: bytes, source: Address, arrival: float) -> None:
            self._receive(component, data, source, arrival)

        return receive

    def _aim(self, address: Address, remote: Remote) -> None:
        sources = ExactSource if self.options.strict else self.options.sources
        self._path.aim(RTP_COMPONENT, address, sources)
        # RFC 5761 5.1.1: multiplexing is used once the answer says so, too; until then the offerer has both ports open.
        if remote.rtcp_mux and self.options.rtcp_mux != "no":
            self._mux = True
            self._path.drop(RTCP_COMPONENT)
        elif not self._mux:
            # RFC 3605: without a=rtcp, RTCP is at the port above that of RTP. There is none above the last.
            beside = (address[0], address[1] + 1 if 0 < address[1] < 65535 else 0)
            rtcp = beside if remote.rtcp is None else (literal(remote.rtcp[0]), remote.rtcp[1])
            self._path.aim(RTCP_COMPONENT, rtcp, sources)

    def _session(self, keys: SrtpKeys) -> SrtpSession:
        """The session with `keys`: the one in use when they are the same, for it knows what was already used."""
        current = self._srtp.get(RTP_COMPONENT)
        if current is not None and current.keys == keys:
            return current
        return SrtpSession(keys)

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

    def _hand_up(self, listener: Listener, data: bytes, arrival: float) -> None:
        try:
            listener(data, arrival)
        except Exception as error:
            # A packet that its reader chokes on is the reader's defect; the next one may be sound.
            self._loop.call_exception_handler({"message": "a media packet was not dealt with", "exception": error})
