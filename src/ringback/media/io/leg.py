"""One m-line of a call: the transport that it has, and the one that it gets when an offer is accepted.

    await leg.prepare(wanted)          before an offer or an answer is written: there is a transport to be written of
    stream = leg.local(preferences)    what goes into our description
    await leg.agree(agreed, …)         both sides have agreed: the transport starts, and packets flow

An offer changes nothing: a transport that it needs (another address, ICE begun anew) is opened beside the one in use,
and takes its place once it has started.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

from ringback.media.backend import MediaError, MediaPreferences
from ringback.media.io.certificate import Certificate
from ringback.media.io.latched import LatchedSources
from ringback.media.io.options import DEFAULT_SUITES, Remote, TransportOptions
from ringback.media.io.sockets import local_address
from ringback.media.io.srtp import SrtpKeys
from ringback.media.io.transport import Transport
from ringback.sdp.description import Attribute
from ringback.sdp.formats import Codec
from ringback.sdp.security import Crypto, Fingerprint
from ringback.sdp.streams import Agreed, LocalStream
from ringback.sdp.view import MediaView

__all__ = ["Leg", "Wanted"]

#: Seconds for the address of a host that SDP has by its name.
_LOOK_UP: Final = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the next description needs of a transport.

    remote    the stream of their offer that is to be answered; None when we offer
    restart   ICE begins anew
    """

    preferences: MediaPreferences
    certificate: Certificate
    remote: MediaView | None = None
    restart: bool = False

    @property
    def ice(self) -> Literal["none", "full", "lite"]:
        """Which kind of ICE the transport does."""
        wanted = self.preferences.ice
        if self.remote is not None and self.remote.ice is None:
            return "none"
        if wanted == "accept":
            return "none" if self.remote is None else "full"
        return wanted

    @property
    def address(self) -> str:
        """The local address."""
        if self.preferences.address:
            return self.preferences.address
        towards = "" if self.remote is None else self.remote.address
        return local_address(towards) if _is_literal(towards) else local_address()


class _Way:
    """A transport with the filter of its sources, and what it was opened for."""

    __slots__ = ("address", "ice", "ports", "remote", "sources", "transport")

    def __init__(self, transport: Transport, sources: LatchedSources, wanted: Wanted, address: str) -> None:
        self.transport = transport
        self.sources = sources
        self.address = address
        self.ice = wanted.ice
        self.ports = wanted.preferences.ports
        #: What it was last started with.
        self.remote: Remote | None = None

    def fits(self, wanted: Wanted) -> bool:
        """Whether it can serve what is wanted now."""
        preferences = wanted.preferences
        return (
            self.ports == preferences.ports
            and (not preferences.address or self.address == preferences.address)
            # Our own offers go on as the call has begun; an offer of theirs that brings ICE needs candidates.
            and (wanted.remote is None or wanted.ice in (self.ice, "none"))
        )


class Leg:
    """See the head of this module. What flows is for who derives from it.

    kind    of the m-line
    agreed  what is in force, None before anything is
    """

    def __init__(self, kind: str, codecs: tuple[Codec, ...] = ()) -> None:
        self.kind = kind
        self.codecs = codecs
        self.agreed: Agreed | None = None
        self.closed = False
        self._way: _Way | None = None
        #: Opened for an offer that has not been accepted; and accepted, but not started yet.
        self._next: _Way | None = None
        self._coming: _Way | None = None

    # before a description is written ---------------------------------------------------------------------------------

    async def prepare(self, wanted: Wanted) -> None:
        """Have a transport for the next description. Raises MediaError."""
        way = self._coming or self._way
        if way is not None and way.fits(wanted) and not self._is_another(wanted):
            if self._restarts(wanted):
                way.transport.restart_ice()
            elif wanted.restart and way.ice != "none" and self._has_association():
                # The other side keeps the DTLS association, and with it the transport (RFC 8842 section 4).
                way.transport.restart_ice()
            self._forget_next()
            return
        if self._next is not None and self._next.fits(wanted):
            # That of an offer which was not answered, and can be offered again.
            return
        self._forget_next()
        opened = await self._open(wanted)
        if self._is_closed():
            opened.transport.close()
            raise MediaError("the media of the call is closed")
        self._next = opened

    def _is_another(self, wanted: Wanted) -> bool:
        """Whether another transport is needed: their offer has another certificate, or ICE is to begin anew."""
        if wanted.restart and not self._has_association():
            return True
        remote, agreed = wanted.remote, self.agreed
        if remote is None or agreed is None or not agreed.active:
            return False
        # RFC 8842 section 4: another fingerprint is another association.
        return (
            self._has_association()
            and bool(remote.fingerprints)
            and (set(remote.fingerprints) != set(agreed.fingerprints))
        )

    def _has_association(self) -> bool:
        return self.agreed is not None and self.agreed.active and self.agreed.protection == "dtls"

    def _restarts(self, wanted: Wanted) -> bool:
        """Whether their offer begins ICE anew, so that our credentials have to be new ones, too."""
        if wanted.remote is None or self.agreed is None or not self.agreed.active:
            return False
        before, now = self.agreed.ice, wanted.remote.ice
        # RFC 8839 4.4.1.1.1: "To restart ICE, an agent MUST change both the ice-pwd and the ice-ufrag".
        return before is not None and now is not None and before.ufrag != now.ufrag and before.password != now.password

    async def _open(self, wanted: Wanted) -> _Way:
        preferences = wanted.preferences
        loop = asyncio.get_running_loop()
        sources = LatchedSources(loop.time)
        # With ICE, no address stands for those of all interfaces.
        address = wanted.address if wanted.ice == "none" else preferences.address
        sdes = preferences.encryption != "none" and "sdes" in preferences.keying
        options = TransportOptions(
            address=address,
            advertised=preferences.advertised,
            ports=preferences.ports,
            suites=DEFAULT_SUITES if sdes else (),
            require=preferences.encryption == "require",
            strict=preferences.strict,
            sources=sources,
            certificate=wanted.certificate,
            ice=wanted.ice,
            stun=preferences.stun,
            turn=preferences.turn,
        )
        transport = await Transport.open(options)
        self.opened(transport)
        return _Way(transport, sources, wanted, address)

    def opened(self, transport: Transport) -> None:
        """A transport has been opened: whoever listens to it begins."""

    def _forget_next(self) -> None:
        if self._next is not None:
            self._next.transport.close()
            self._next = None

    # the description -------------------------------------------------------------------------------------------------

    def local(self, preferences: MediaPreferences, *, bundle: bool = False) -> LocalStream:
        """What our description says of this stream, which has been prepared."""
        way = self._next or self._coming or self._way
        assert way is not None
        parameters = way.transport.parameters()
        keyed = preferences.encryption != "none"
        return LocalStream(
            self.kind,
            parameters.port,
            parameters.address,
            codecs=self.codecs,
            direction=preferences.direction,
            ptime=preferences.frame if self.kind == "audio" else 0,
            crypto=[Crypto(suite, key) for suite, key in parameters.crypto] if keyed else (),
            fingerprints=[Fingerprint(*fingerprint) for fingerprint in parameters.fingerprints]
            if keyed and "dtls" in preferences.keying
            else (),
            ice=parameters.ice,
            rtcp_mux=parameters.rtcp_mux,
            rtcp_port=0 if parameters.rtcp_port == parameters.port + 1 else parameters.rtcp_port,
            bundle=bundle,
            # RFC 3611 section 5.1: we read the other side's view of what it hears.
            attributes=[Attribute("rtcp-xr", "voip-metrics")] if self.kind == "audio" else (),
        )

    # what was agreed -------------------------------------------------------------------------------------------------

    async def agree(self, agreed: Agreed) -> None:
        """Start as agreed; returns when packets may flow. Raises MediaError, and what flowed before flows on."""
        way = self._next or self._coming or self._way
        if self._is_closed() or way is None:
            raise MediaError("the media of the call is closed")
        if way is self._next:
            if self._coming is not None:
                self._coming.transport.close()
            self._coming, self._next = way, None
        try:
            remote = await self._remote(agreed)
            if remote != way.remote:
                way.sources.aim((remote.address, remote.port))
                await way.transport.start(remote)
                way.remote = remote
        except BaseException:
            if way is self._coming:
                # It may be offered again, and answered better.
                self._coming = None
                if self._next is None:
                    self._next = way
                else:
                    way.transport.close()
            raise
        if self._is_closed():
            raise MediaError("the media of the call is closed")
        if way is self._coming:
            before, self._way, self._coming = self._way, way, None
            if before is not None:
                before.transport.close()

    async def _remote(self, agreed: Agreed) -> Remote:
        """What the transport has to know of the other side."""
        rtcp_host, rtcp_port = agreed.remote_rtcp
        address = await _literal(agreed.remote_address)
        keys = None
        if agreed.crypto is not None and agreed.protection == "sdes":
            keys = SrtpKeys(agreed.crypto.suite, agreed.crypto.local_key, agreed.crypto.remote_key)
        dtls = agreed.protection == "dtls"
        role: Literal["client", "server", ""] = ""
        if dtls:
            role = "client" if agreed.dtls_role == "active" else "server"
        return Remote(
            address,
            agreed.remote_port,
            rtcp=(address if rtcp_host == agreed.remote_address else await _literal(rtcp_host), rtcp_port)
            if rtcp_port
            else None,
            rtcp_mux=agreed.rtcp_mux,
            keys=keys,
            fingerprints=tuple((one.algorithm, one.value) for one in agreed.fingerprints) if dtls else (),
            role=role,
            ice=agreed.ice,
            controlling=agreed.ice_controlling,
        )

    @property
    def transport(self) -> Transport | None:
        """The one in use."""
        return None if self._way is None else self._way.transport

    def close(self) -> None:
        """Give back all ports; may be called twice."""
        self.closed = True
        self._forget_next()
        for way in (self._coming, self._way):
            if way is not None:
                way.transport.close()

    def _is_closed(self) -> bool:
        """A question of its own each time: it may have been closed while something was awaited."""
        return self.closed


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def _literal(host: str) -> str:
    """The address of a host. RFC 8866 5.7 lets c= name it by its domain name. Raises MediaError."""
    if _is_literal(host):
        return host
    loop = asyncio.get_running_loop()
    try:
        found = await asyncio.wait_for(loop.getaddrinfo(host, None), _LOOK_UP)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise MediaError(f"the host {host!r} of the other side's media is not found: {error}") from error
    return str(found[0][4][0])
