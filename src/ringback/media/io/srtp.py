"""SRTP and SRTCP (RFC 3711), by libsrtp: packets in, packets out, and what fails counted.

Keys come from SDES (RFC 4568: each side chooses what it sends with) or from a DTLS handshake (RFC 5764). The library
keeps the rollover counter and the replay window (3.3.2) of each synchronization source; a source is remembered only
after a packet of it was authenticated, and no more than SOURCES are.

RFC 3711 section 3.3: a packet whose authentication fails "MUST be discarded from further processing and the event
SHOULD be logged": here it is counted. However many there are, they end nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from pylibsrtp import Error, Policy, Session

from ringback.media.backend import MediaError

__all__ = ["SOURCES", "SUITES", "SrtpKeys", "SrtpSession", "Suite", "make_key"]

#: Synchronization sources of one direction that are remembered; the one unheard for longest goes first.
SOURCES: Final = 64
#: Packets that may come late and still be taken (RFC 3711 section 3.3.2 asks for 64 at least).
REPLAY_WINDOW: Final = 1024
#: Octets of the longest packet before protection, and of the longest protected one.
LONGEST_PLAIN: Final = 1500 - (4 + 16 + 128)
LONGEST_PROTECTED: Final = 1500

_RTP_HEADER: Final = 12
_RTCP_HEADER: Final = 8


@dataclass(frozen=True, slots=True)
class Suite:
    """A crypto suite: its name in SDES (RFC 4568, 7714), in DTLS (RFC 5764, 7714), and the octets of key and salt."""

    name: str
    dtls: str
    profile: int
    key: int
    salt: int

    @property
    def length(self) -> int:
        """Octets of master key and master salt together."""
        return self.key + self.salt


#: The suites that libsrtp has here, best first.
# RFC 4568 section 6.2: both suites of AES_CM_128 have an 80-bit tag for RTCP.
SUITES: Final[dict[str, Suite]] = {
    suite.name: suite
    for suite in (
        Suite("AEAD_AES_256_GCM", "SRTP_AEAD_AES_256_GCM", Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 32, 12),
        Suite("AEAD_AES_128_GCM", "SRTP_AEAD_AES_128_GCM", Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 16, 12),
        Suite("AES_CM_128_HMAC_SHA1_80", "SRTP_AES128_CM_SHA1_80", Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 16, 14),
        Suite("AES_CM_128_HMAC_SHA1_32", "SRTP_AES128_CM_SHA1_32", Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 16, 14),
    )
}


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What protects both directions: `local` is the master key and salt that we send with, `remote` the far end's."""

    suite: str
    local: bytes
    remote: bytes

    def __repr__(self) -> str:
        # Keys have no business in a log.
        return f"SrtpKeys({self.suite!r})"


def make_key(suite: str) -> bytes:
    """A new master key and salt for `suite`. Raises MediaError when the suite is not known."""
    return secrets.token_bytes(_suite(suite).length)


def _suite(name: str) -> Suite:
    suite = SUITES.get(name)
    if suite is None:
        raise MediaError(f"the crypto suite {name!r} is not known; known are {', '.join(SUITES)}")
    return suite


class SrtpSession:
    """Protects what is sent and checks what comes, with one set of keys.

    refused       packets that came and failed authentication, or that are too short or too long to be any
    replayed      packets that came a second time, or so late that nobody can tell
    unprotected   packets to send that could not be protected: too long, a sequence number used twice, or from one
                  source of ours too many
    """

    def __init__(self, keys: SrtpKeys) -> None:
        self.keys: SrtpKeys = keys
        self.suite: Suite = _suite(keys.suite)
        self.refused: int = 0
        self.replayed: int = 0
        self.unprotected: int = 0
        self._outward: Session = _session(self.suite, keys.local, Policy.SSRC_ANY_OUTBOUND)
        self._inward: Session = _session(self.suite, keys.remote, Policy.SSRC_ANY_INBOUND)
        # In the order of use: the first has been unused for longest.
        self._heard: dict[bytes, None] = {}
        self._sending: set[bytes] = set()

    def protect_rtp(self, data: bytes) -> bytes | None:
        """The SRTP packet for the RTP packet `data`; None when there can be none."""
        return self._protect(data, _RTP_HEADER, data[8:12])

    def protect_rtcp(self, data: bytes) -> bytes | None:
        """The SRTCP packet for the compound RTCP packet `data`; None when there can be none."""
        return self._protect(data, _RTCP_HEADER, data[4:8])

    def unprotect_rtp(self, data: bytes) -> bytes | None:
        """The RTP packet in the SRTP packet `data`; None when it is to be dropped."""
        return self._unprotect(data, _RTP_HEADER, data[8:12])

    def unprotect_rtcp(self, data: bytes) -> bytes | None:
        """The RTCP packet in the SRTCP packet `data`; None when it is to be dropped."""
        return self._unprotect(data, _RTCP_HEADER, data[4:8])

    def _protect(self, data: bytes, header: int, source: bytes) -> bytes | None:
        if not header <= len(data) <= LONGEST_PLAIN:
            self.unprotected += 1
            return None
        if source not in self._sending:
            # None of ours is ever forgotten: it would begin anew with the same key.
            if len(self._sending) >= SOURCES:
                self.unprotected += 1
                return None
            self._sending.add(source)
        try:
            if header == _RTP_HEADER:
                result: bytes = self._outward.protect(data)
            else:
                result = self._outward.protect_rtcp(data)
        except Error:
            # RFC 3711 section 9.1: the same index with the same key a second time would give the plain text away, so
            # the library refuses it.
            self.unprotected += 1
            return None
        return result

    def _unprotect(self, data: bytes, header: int, source: bytes) -> bytes | None:
        if not header < len(data) <= LONGEST_PROTECTED:
            self.refused += 1
            return None
        try:
            if header == _RTP_HEADER:
                result: bytes = self._inward.unprotect(data)
            else:
                result = self._inward.unprotect_rtcp(data)
        except Error as error:
            if "replay" in str(error):
                self.replayed += 1
            else:
                self.refused += 1
            return None
        _used(self._heard, source, self._inward)
        return result


def _session(suite: Suite, key: bytes, direction: int) -> Session:
    if len(key) != suite.length:
        raise MediaError(f"{suite.name} has keys of {suite.length} octets with their salt, not of {len(key)}")
    policy = Policy(key=bytes(key), ssrc_type=direction, srtp_profile=suite.profile)
    policy.window_size = REPLAY_WINDOW
    return Session(policy)


def _used(sources: dict[bytes, None], source: bytes, session: Session) -> None:
    """Note that `source` was used just now; forget the one unused for longest when there are too many.

    What the library knows of a forgotten one (its replay list, too) goes with it; only a holder of the keys can bring
    that about.
    """
    if source in sources:
        if len(sources) > 1:
            del sources[source]
            sources[source] = None
        return
    sources[source] = None
    if len(sources) > SOURCES:
        oldest = next(iter(sources))
        del sources[oldest]
        try:
            session.remove_stream(int.from_bytes(oldest, "big"))
        except Error:
            pass
