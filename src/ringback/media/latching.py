"""From where a stream is taken and to where it is sent (symmetric RTP, RFC 4961; latching, RFC 7362).

    latch = Latch(signalled)                               the address in the other side's SDP
    latch.accept(source, ssrc, sequence, now, authenticated)   whether a packet from there belongs to the call
    latch.destination                                      where to send

Behind a NAT the address in SDP is not the one that packets come from, so it has to be learnt from them, and whoever
sends to our port could be learnt instead. For plain RTP:

    unlatched   the signalled address is latched with its first packet. Another has to send packets that follow each
                other: 2 when its host was signalled or is trusted (the host that SIP came from), 5 when it is a
                stranger, who waits until the signalled address had its chance. Until then at most 5 packets of all
                others together are taken (RELIABILITY A25)
    latched     only that address. It is left for the signalled one or, from a stranger's, for a trusted host, when 2
                packets followed each other; or, when it has been silent for a second, for the same SSRC with numbers
                that go on: the NAT has given the stream another port

RFC 7362 5: with SRTP one "would simply refuse to latch onto a source unless it can authenticate it": a secured stream
takes nothing else, and follows authenticated packets with newer numbers wherever they come from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

__all__ = ["Address", "Latch"]

#: Host (an IP literal) and port.
Address: TypeAlias = tuple[str, int]

# Packets that have to follow each other, of hosts that are known and of strangers.
_RUN_KNOWN: Final = 2
_RUN_STRANGER: Final = 5
# A25: "plain ≤5 packets (0 strict)".
_MOST_PROVISIONAL: Final = 5
# Packets may be lost while a source is watched.
_MOST_AHEAD: Final = 10
# A source may have stopped for a minute at 50 packets a second, and go on (RFC 3550 A.1).
_MOST_DROPOUT: Final = 3000
_MOST_CANDIDATES: Final = 8

# Seconds that the signalled address has for its first packet before strangers are believed.
_CHANCE: Final = 0.5
# Seconds of silence after which the same source may come from elsewhere.
_SILENCE: Final = 1.0
# Seconds after which the address of before a new offer or answer is latched again, when nothing came from the new one.
_OLD_AGAIN: Final = 2.0


class _Candidate:
    """An address that may be latched."""

    __slots__ = ("run", "sequence", "ssrc")

    def __init__(self, ssrc: int, sequence: int) -> None:
        self.ssrc = ssrc
        self.sequence = sequence
        self.run = 1

    def follow(self, ssrc: int, sequence: int) -> int:
        """How many packets have followed each other, with this one."""
        if ssrc == self.ssrc and 0 < (sequence - self.sequence & 0xFFFF) <= _MOST_AHEAD:
            self.run += 1
        else:
            self.run = 1
        self.ssrc = ssrc
        self.sequence = sequence
        return self.run


class Latch:
    """The addresses of one stream.

    signalled    the address in the other side's SDP, None when there is none (yet)
    latched      the address that packets come from, None until it is known
    reason       why it was latched, for people
    refused      packets of others
    provisional  packets that were taken from others before anything was latched
    moves        how often another address was latched
    """

    __slots__ = (
        "_candidates",
        "_control",
        "_last",
        "_previous",
        "_restricted",
        "_sequence",
        "_signalled_at",
        "_ssrc",
        "_trusted",
        "latched",
        "moves",
        "provisional",
        "reason",
        "refused",
        "secured",
        "signalled",
        "strict",
    )

    def __init__(
        self,
        signalled: Address | None,
        now: float,
        strict: bool = False,
        secured: bool = False,
        trusted: Iterable[str] = (),
        restricted: bool = False,
    ) -> None:
        """`strict`: only the signalled address. `restricted`: never strangers, only hosts signalled or `trusted`."""
        self.signalled = signalled
        self.strict = strict
        self.secured = secured
        self.latched: Address | None = None
        self.reason = ""
        self.refused = 0
        self.provisional = 0
        self.moves = 0
        self._restricted = restricted
        self._trusted = set(trusted)
        self._signalled_at = now
        # The address that was latched before the last new offer or answer.
        self._previous: Address | None = None
        self._candidates: dict[Address, _Candidate] = {}
        self._ssrc = 0
        self._sequence = 0
        self._last = 0.0
        self._control: Address | None = None

    @property
    def destination(self) -> Address | None:
        """Where to send."""
        return self.latched or self.signalled

    def control_destination(self, signalled: Address | None) -> Address | None:
        """Where to send RTCP that has a port of its own, which is signalled as this."""
        return self._control or signalled

    def signal(self, address: Address | None, now: float) -> None:
        """A new offer or answer names this address: until then re-latching is "not allowed" (RFC 7362 4, step 6)."""
        if address == self.signalled:
            return
        self.signalled = address
        self._signalled_at = now
        self._candidates.clear()
        self._control = None
        if self.latched is not None and self.latched != address:
            self._previous = self.latched
            self.latched = None
            self.provisional = 0

    def trust(self, host: str) -> None:
        """Signalling comes from this host, too."""
        self._trusted.add(host)

    def accept(self, source: Address, ssrc: int, sequence: int, now: float, authenticated: bool = False) -> bool:
        """Whether a packet belongs to the call. `authenticated`: its SRTP tag was checked, and it is no replay."""
        if source == self.latched and (authenticated or not self.secured):
            self._heard(ssrc, sequence, now)
            return True
        if self.secured:
            taken = authenticated and self._accept_secured(source, ssrc, sequence, now)
        elif source == self.signalled and self.latched is None:
            self._latch(source, ssrc, sequence, now, "it was signalled")
            taken = True
        elif self.strict:
            taken = False
        elif self.latched is None:
            taken = self._accept_unlatched(source, ssrc, sequence, now)
        else:
            taken = self._accept_elsewhere(source, ssrc, sequence, now)
        if not taken:
            self.refused += 1
        return taken

    def accept_control(self, source: Address, authenticated: bool = False) -> bool:
        """Whether RTCP from there belongs to the call: it has to come from a host of the call; nothing is latched."""
        if self.secured and not authenticated:
            self.refused += 1
            return False
        host = source[0]
        if self.latched is not None and host == self.latched[0]:
            # RFC 4961: RTCP is sent from the port that it is received on, too.
            self._control = source
            return True
        if (self.signalled is not None and host == self.signalled[0]) or (host in self._trusted and not self.strict):
            return True
        self.refused += 1
        return False

    def _heard(self, ssrc: int, sequence: int, now: float) -> None:
        if ssrc != self._ssrc or (sequence - self._sequence & 0xFFFF) < 0x8000:
            self._ssrc = ssrc
            self._sequence = sequence
        self._last = now

    def _latch(self, source: Address, ssrc: int, sequence: int, now: float, reason: str) -> None:
        if self.latched is not None or self._previous not in (None, source):
            self.moves += 1
        self.latched = source
        self.reason = reason
        self._previous = None
        self._control = None
        self._candidates.clear()
        self._ssrc = ssrc
        self._sequence = sequence
        self._last = now

    def _accept_secured(self, source: Address, ssrc: int, sequence: int, now: float) -> bool:
        if self.strict and source != self.signalled:
            return False
        if self.latched is not None and ssrc == self._ssrc:
            # Older than what came from the latched address: overtaken, or sent again by somebody on the way.
            if (sequence - self._sequence & 0xFFFF) >= 0x8000 or sequence == self._sequence:
                return True
        self._latch(source, ssrc, sequence, now, "its packets are authenticated")
        return True

    def _accept_unlatched(self, source: Address, ssrc: int, sequence: int, now: float) -> bool:
        if source == self._previous:
            # It may go on for a moment after signalling has named another one.
            if now - self._signalled_at >= _OLD_AGAIN:
                self._latch(source, ssrc, sequence, now, "nothing comes from where was signalled")
            return True
        run = self._run(source, ssrc, sequence)
        if self._known(source[0]):
            if run >= _RUN_KNOWN:
                self._latch(source, ssrc, sequence, now, "its host is known from signalling")
                return True
        elif self._restricted:
            return False
        elif run >= _RUN_STRANGER and now - self._signalled_at >= _CHANCE:
            self._latch(source, ssrc, sequence, now, f"{run} packets followed each other")
            return True
        if self.provisional >= _MOST_PROVISIONAL:
            return False
        self.provisional += 1
        return True

    def _accept_elsewhere(self, source: Address, ssrc: int, sequence: int, now: float) -> bool:
        """A packet of another address than the latched one."""
        latched = self.latched
        assert latched is not None
        if now - self._last >= _SILENCE and ssrc == self._ssrc:
            if 0 < (sequence - self._sequence & 0xFFFF) < _MOST_DROPOUT:
                self._latch(source, ssrc, sequence, now, "the same source goes on from there")
                return True
        better = source == self.signalled or (self._known(source[0]) and not self._known(latched[0]))
        if better and self._run(source, ssrc, sequence) >= _RUN_KNOWN:
            self._latch(source, ssrc, sequence, now, "it is known from signalling")
            return True
        return False

    def _known(self, host: str) -> bool:
        return host in self._trusted or (self.signalled is not None and host == self.signalled[0])

    def _run(self, source: Address, ssrc: int, sequence: int) -> int:
        """How many packets of this address have followed each other."""
        candidates = self._candidates
        candidate = candidates.get(source)
        if candidate is not None:
            return candidate.follow(ssrc, sequence)
        if len(candidates) >= _MOST_CANDIDATES:
            del candidates[next(iter(candidates))]
        candidates[source] = _Candidate(ssrc, sequence)
        return 1
