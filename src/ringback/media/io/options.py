"""What a transport is told and what it tells: values that stand between SDP and packets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from ringback.media.io.certificate import Certificate, Fingerprint
from ringback.media.io.path import ExactSource, SourceFilter
from ringback.media.io.sockets import Address
from ringback.media.io.srtp import SrtpKeys
from ringback.sdp.ice import IceParameters

__all__ = ["DEFAULT_SUITES", "Remote", "TransportOptions", "TransportParameters"]

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
    certificate  for DTLS; None makes one for this transport alone
    ice          "full" or "lite": candidates are gathered, of all interfaces unless `address` names one
    stun, turn   servers to ask for candidates, as URIs (`ringback.media.ice_servers`)
    """

    address: str = ""
    advertised: str = ""
    ports: tuple[int, int] = (16384, 32767)
    rtcp_mux: str = "offer"
    suites: tuple[str, ...] = DEFAULT_SUITES
    require: bool = False
    strict: bool = False
    sources: Callable[[Address], SourceFilter] = ExactSource
    certificate: Certificate | None = None
    ice: Literal["none", "full", "lite"] = "none"
    stun: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TransportParameters:
    """What goes into our SDP. `rtcp_port` is `port` when there is only one; `crypto` holds (suite, key and salt)
    for SDES, `fingerprints` what vouches for our certificate, `ice` our candidates and credentials, if we do ICE.
    """

    address: str
    port: int
    rtcp_port: int
    rtcp_mux: bool
    crypto: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    fingerprints: tuple[Fingerprint, ...] = ()
    ice: IceParameters | None = None


@dataclass(frozen=True, slots=True)
class Remote:
    """What the far end's SDP says of the stream.

    address, port   of RTP, an IP literal
    rtcp            of RTCP (RFC 3605), or None for the port above that of RTP
    rtcp_mux        RTCP comes and goes on the port of RTP
    keys            what SDES has agreed
    fingerprints    what vouches for the far end's certificate: there is a DTLS handshake when there are any
    role            ours in the handshake: "client" when we are a=setup:active
    association     names the DTLS association (both a=tls-id, RFC 8842); "" when SDP does not
    ice             the far end's candidates and credentials; None when it does no ICE
    controlling     our role in ICE (RFC 8445 section 6.1.1): true of who has offered
    """

    address: str
    port: int
    rtcp: Address | None = None
    rtcp_mux: bool = False
    keys: SrtpKeys | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    role: Literal["client", "server", ""] = ""
    association: str = ""
    ice: IceParameters | None = None
    controlling: bool = False
