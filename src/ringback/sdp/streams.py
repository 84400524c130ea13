"""What goes into a negotiation and what comes out of it, as values: no rule is here.

`LocalStream` is one media stream as its owner wants it, `Policy` what the owner insists on, `Agreed` what both sides
have come to. Everything that has to be random (keys, ICE credentials, session numbers) is put in from outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ringback.sdp.attributes import Direction
from ringback.sdp.description import Attribute, Bandwidth, MediaDescription
from ringback.sdp.formats import Codec
from ringback.sdp.ice import IceParameters
from ringback.sdp.security import Crypto, Fingerprint, Setup

__all__ = ["Agreed", "AgreedCrypto", "Encryption", "Keying", "LocalStream", "Policy", "Protection"]

Encryption: TypeAlias = Literal["none", "offer", "require"]
Keying: TypeAlias = Literal["sdes", "dtls"]
Protection: TypeAlias = Literal["none", "sdes", "dtls"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What we insist on.

    encryption    "none": no keys are offered or taken, and a stream that must be secure is refused; "offer": keys are
                  offered in a way that leaves the other side the choice (RFC 8643), and taken where they are offered;
                  "require": a stream without keys is refused
    keying        how keys may be agreed, best first. "sdes" shows them to whoever reads the signalling
    own_order     our order of preference decides in an answer, not that of the offer (which RFC 3264 6.1 recommends)
    single_codec  an answer names one codec only (with DTMF and what belongs to it): for who cannot switch at any time
    mki           SRTP packets with a master key identifier can be read: crypto lines that have one are taken
    """

    encryption: Encryption = "offer"
    keying: tuple[Keying, ...] = ("dtls", "sdes")
    own_order: bool = False
    single_codec: bool = False
    mki: bool = False


@dataclass(frozen=True, slots=True)
class LocalStream:
    """One media stream as we want it: the i-th of a list is the i-th m= line of an offer.

    kind          "audio", "video", "text", "message", "application", "image" …
    port          where RTP arrives; 0 makes an m= line that is refused or removed
    address       an IP literal, of the c= line
    codecs        RTP: best first. A payload type of -1 leaves the number to the negotiation
    direction     what we want, whatever the other side wants: hold is "sendonly" or "inactive"
    protocol      of the m= line; "" for RTP as the policy asks. Must be given when it is not RTP: "TCP/TLS/MSRP" …
    ptime         milliseconds of sound in a packet that we would like to receive; 0 to say nothing; so `maxptime`
    crypto        SDES: one key for each suite that we take, best first
    fingerprints  DTLS: of our certificate
    setup         DTLS role: "actpass" in offers, and in answers "active" or "passive" to insist on one
    tls_id        RFC 8842; "" for none
    ice           our credentials and candidates, or None
    rtcp_mux      RTP and RTCP may share a port (RFC 5761); a must for `bundle`
    rtcp_port     where RTCP arrives when that is not the port above; `rtcp_address` if it is another one, too
    mid           the stream's tag (RFC 5888); made up for `bundle`
    bundle        may share the transport of the others that have this (RFC 8843): they have to have the same one
    dtmf          offer and take telephone-event for each clock rate of `codecs`
    feedback      RTP with early feedback: the AVPF kind of profile
    bandwidths    b= lines: what we would like to receive
    formats       of a stream that is not RTP: what stands in its m= line; empty: whatever the other side offers
    attributes    further attributes, written as they are ("content:slides", "path:msrps://…", "sctp-port:5000")
    information   i=, a title for people
    """

    kind: str
    port: int
    address: str
    codecs: Sequence[Codec] = ()
    direction: Direction = "sendrecv"
    protocol: str = ""
    ptime: int = 0
    maxptime: int = 0
    crypto: Sequence[Crypto] = ()
    fingerprints: Sequence[Fingerprint] = ()
    setup: Setup = "actpass"
    tls_id: str = ""
    ice: IceParameters | None = None
    rtcp_mux: bool = False
    rtcp_port: int = 0
    rtcp_address: str = ""
    mid: str = ""
    bundle: bool = False
    dtmf: bool = True
    feedback: bool = False
    bandwidths: Sequence[Bandwidth] = ()
    formats: Sequence[str] = ()
    attributes: Sequence[Attribute] = ()
    information: str | None = None


@dataclass(frozen=True, slots=True)
class AgreedCrypto:
    """The keys that SDES has agreed: we send with `local_key`, they with `remote_key`; each is master key and salt.

    `suite` is the registered name. With an MKI every packet of that direction carries it.
    """

    suite: str
    local_key: bytes = field(repr=False)
    remote_key: bytes = field(repr=False)
    local_mki: bytes = b""
    remote_mki: bytes = b""
    window: int = 64


@dataclass(frozen=True, slots=True)
class Agreed:
    """One media stream as both sides have agreed it; one for every m= line, the refused ones too.

    index            of the m= line
    kind             as in the m= line
    active           False: refused or removed (port 0), or `problem` says what it failed by; then nothing else counts
    local            our side of it, where it was ours; its place in the list that was given is `local_index` (-1: none)
    direction        ours: whether we may send, and shall receive
    hold             the other side does not want to receive at the moment
    protocol         as in the m= line
    remote_address, remote_port, remote_rtcp   where media and RTCP go when ICE does not say otherwise
    codecs           what may be sent, best first, with the payload types and the parameters of the other side
    receive          what may come: payload type to codec, with our parameters
    dtmf             telephone-event to send: clock rate to payload type; empty: DTMF has to be sent in another way
    comfort_noise    comfort noise to send: clock rate to payload type
    auxiliary        all that may be sent beside `codecs`: events, noise, repair
    ptime, maxptime  what the other side would like to receive, milliseconds; 0: it does not say
    protection       "none", "sdes" (`crypto` holds the keys) or "dtls" (`fingerprints`, `dtls_role`)
    fingerprints     of the other side's certificate, one of which has to match
    dtls_role        ours: "active" is the client; "" without DTLS. So for TCP with TLS, as `setup` says
    tls_id           the other side's, or ""
    ice              the other side's, or None when ICE is not used
    ice_controlling  whether we control ICE (RFC 8445 6.1.1)
    rtcp_mux         RTP and RTCP share a port
    mid              the stream's tag, or ""
    bundled_with     the index of the stream whose transport this one uses; None: it has its own
    bandwidths       b= lines of the other side
    formats          what both m= lines name, for a stream that is not RTP
    remote           the other side's part of its description, with all that is not told above
    """

    index: int
    kind: str
    active: bool
    local: LocalStream | None = field(default=None, repr=False)
    local_index: int = -1
    problem: str = ""
    direction: Direction = "inactive"
    hold: bool = False
    protocol: str = ""
    remote_address: str = ""
    remote_port: int = 0
    remote_rtcp: tuple[str, int] = ("", 0)
    codecs: tuple[Codec, ...] = ()
    receive: Mapping[int, Codec] = field(default_factory=dict)
    dtmf: Mapping[int, int] = field(default_factory=dict)
    comfort_noise: Mapping[int, int] = field(default_factory=dict)
    auxiliary: tuple[Codec, ...] = ()
    ptime: int = 0
    maxptime: int = 0
    protection: Protection = "none"
    crypto: AgreedCrypto | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    dtls_role: Literal["", "active", "passive", "holdconn"] = ""
    tls_id: str = ""
    ice: IceParameters | None = None
    ice_controlling: bool = False
    rtcp_mux: bool = False
    mid: str = ""
    bundled_with: int | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    formats: tuple[str, ...] = ()
    remote: MediaDescription | None = field(default=None, repr=False)

    @property
    def codec(self) -> Codec | None:
        """What to send with, or None."""
        return self.codecs[0] if self.codecs else None

    @property
    def fingerprint(self) -> Fingerprint | None:
        """The first of `fingerprints`, or None."""
        return self.fingerprints[0] if self.fingerprints else None
