"""The media of one call in this process: offers and answers, transports, and the sound between them.

Everything that a description changes is decided by `ringback.sdp`; here it is done. An offer of ours changes nothing
until its answer is accepted, and an offer of theirs that cannot be had changes nothing at all.

DTLS and ICE need round trips that begin only when the other side has our description: they go on in a task of the
session, and `on_failure` is told when they come to nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from ringback.errors import LocalError
from ringback.media.audio_port import Port
from ringback.media.audio_stream import Surroundings
from ringback.media.audio_terms import offered_codecs
from ringback.media.backend import Change, Direction, MediaError, MediaPreferences, Repairable
from ringback.media.io.audio import AudioLeg
from ringback.media.io.certificate import Certificate
from ringback.media.io.leg import Leg, Wanted
from ringback.media.io.ticker import Ticker
from ringback.sdp.description import Origin, SessionDescription, parse
from ringback.sdp.exchange import OfferAnswer
from ringback.sdp.streams import Agreed, LocalStream, Policy
from ringback.sdp.view import MediaView, bundles, views

if TYPE_CHECKING:
    from ringback.media.quality import Report

__all__ = ["InProcessSession"]

#: Changes that are kept.
_MOST_CHANGES: Final = 200
#: Before anything is agreed, sound is taken at this rate.
_FIRST_RATE: Final = 8000


class InProcessSession:
    """See `backend.MediaSession`."""

    def __init__(
        self,
        preferences: MediaPreferences,
        ticker: Ticker,
        certificate: Callable[[], Certificate],
        surroundings: Surroundings,
        session_id: int,
        closed: Callable[[InProcessSession], None],
    ) -> None:
        """`certificate` gives that of the process; `closed` is told when the session is."""
        self.on_change: Callable[[Change], None] | None = None
        self.on_repair: Repairable | None = None
        self.on_failure: Callable[[MediaError], None] | None = None
        self._preferences = preferences
        self._ticker = ticker
        self._make_certificate = certificate
        self._certificate: Certificate | None = None
        self._surroundings = surroundings
        self._session_id = session_id
        self._closed = closed
        self._changes: deque[Change] = deque(maxlen=_MOST_CHANGES)
        self.audio: Port = Port(_FIRST_RATE, self._report, self._send_digits)
        self._leg = AudioLeg(self.audio, ticker, surroundings, self._ask_repair, self._note_repair, self._failed)
        #: What each m-line is, in the order of the description in force; None: refused, or not ours.
        self._places: list[Leg | None] = []
        self._exchange: OfferAnswer | None = None
        #: The exchange as it was when our last offer was made, and what that wants.
        self._offering: tuple[OfferAnswer, MediaPreferences, list[Leg | None]] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._over = False
        # One after the other: signalling may cancel one that waits for a look-up, and begin the next.
        self._turn = asyncio.Lock()

    # what is known ---------------------------------------------------------------------------------------------------

    @property
    def preferences(self) -> MediaPreferences:
        """Those of the last offer or answer that is in force; before, those that the session was opened with."""
        return self._preferences

    @property
    def changes(self) -> Sequence[Change]:
        """What was decided, and why."""
        return list(self._changes)

    @property
    def direction(self) -> Direction:
        """What is agreed, from our side."""
        agreed = self._leg.agreed
        return "inactive" if agreed is None or not agreed.active else agreed.direction

    @property
    def held(self) -> bool:
        """Whether the other side does not listen."""
        agreed = self._leg.agreed
        return agreed is not None and agreed.active and agreed.hold

    @property
    def encrypted(self) -> str:
        """How the sound is protected, or ""."""
        agreed = self._leg.agreed
        if agreed is None or agreed.protection == "none":
            return ""
        return f"SDES {agreed.crypto.suite}" if agreed.crypto is not None else "DTLS"

    def reports(self) -> Sequence[Report]:
        """The quality of what is heard, then of what the other side hears, as far as known."""
        return self._leg.reports(self._now())

    # offer and answer ------------------------------------------------------------------------------------------------

    async def offer(self, preferences: MediaPreferences | None = None, *, restart: bool = False) -> bytes:
        """Our next offer. Raises MediaError."""
        wanted = preferences or self._preferences
        async with self._turn:
            self._alive()
            leg = self._leg
            await leg.prepare(Wanted(wanted, self._own_certificate(), restart=restart))
            leg.codecs = tuple(offered_codecs(wanted))
            places = list(self._places)
            if leg not in places:
                places.append(leg)
            exchange = self._exchange or self._begin(leg.local(wanted).address, wanted)
            exchange.policy = _policy(wanted)
            local = [self._described(index, place, wanted) for index, place in enumerate(places)]
            try:
                description = exchange.offer(local)
            except LocalError as error:
                raise MediaError(str(error)) from error
            if not exchange.streams:
                # Nothing is in force that these would not hold for.
                self._preferences = wanted
            self._exchange = exchange
            self._offering = (exchange, wanted, places)
            return description.encode()

    async def answer(self, offer: bytes, preferences: MediaPreferences | None = None) -> bytes:
        """The answer to their offer; it is in force from now on. Raises SdpError and MediaError."""
        wanted = preferences or self._preferences
        description = parse(offer)
        async with self._turn:
            self._alive()
            leg = self._leg
            view = self._audio_of(description)
            await leg.prepare(Wanted(wanted, self._own_certificate(), view))
            leg.codecs = tuple(offered_codecs(wanted))
            bundled = view is not None and any(view.index in members for members in bundles(description))
            local = [self._described(index, place, wanted, bundled) for index, place in enumerate(self._places)]
            if leg not in self._places:
                local.append(leg.local(wanted, bundle=bundled))
            exchange = self._exchange or self._begin(leg.local(wanted).address, wanted)
            # A copy: when media cannot start as agreed, what was in force remains.
            exchange = exchange.fork()
            exchange.policy = _policy(wanted)
            written, streams = exchange.answer(description, local)
            places = [*self._places, *([leg] if leg not in self._places else [])]
            await self._agree(
                exchange,
                wanted,
                [places[agreed.local_index] if agreed.local is not None else None for agreed in streams],
            )
            self._offering = None
            return written.encode()

    async def accept(self, answer: bytes) -> None:
        """Their answer to our last offer; it is in force from now on. Raises SdpError and MediaError."""
        description = parse(answer)
        async with self._turn:
            self._alive()
            if self._offering is None:
                raise MediaError("there is no offer that this could be the answer to")
            offering, wanted, places = self._offering
            # Another answer to the same offer may follow.
            exchange = offering.fork()
            exchange.accept(description)
            await self._agree(exchange, wanted, places)

    def _begin(self, address: str, preferences: MediaPreferences) -> OfferAnswer:
        return OfferAnswer(Origin.of(self._session_id, address), _policy(preferences))

    def _described(
        self, index: int, place: Leg | None, preferences: MediaPreferences, bundled: bool = False
    ) -> LocalStream:
        """Our stream of an m-line: a leg's, or none (port 0)."""
        if place is not None:
            return place.local(preferences, bundle=bundled)
        part = self._exchange.local.media[index] if self._exchange is not None and self._exchange.local else None
        kind, protocol = ("audio", "") if part is None else (part.kind, part.protocol)
        return LocalStream(kind, 0, "0.0.0.0", protocol=protocol)

    def _audio_of(self, description: SessionDescription) -> MediaView | None:
        """The stream of sound in their offer that will be ours: the one in its place, or the first."""
        offered = [view for view in views(description) if view.media.kind.lower() == "audio" and not view.disabled]
        for view in offered:
            if view.index < len(self._places) and self._places[view.index] is self._leg:
                return view
        return offered[0] if offered else None

    async def _agree(self, exchange: OfferAnswer, preferences: MediaPreferences, places: list[Leg | None]) -> None:
        """Let media run as agreed; when it cannot, MediaError is raised and what was in force remains."""
        leg = self._leg
        agreed = next((agreed for agreed, place in zip(exchange.streams, places, strict=False) if place is leg), None)
        if agreed is None or not agreed.active:
            self._in_force(exchange, preferences, places, agreed)
            leg.stop()
            return
        terms = leg.terms(agreed, preferences)
        slow = agreed.protection == "dtls" or agreed.ice is not None
        if not slow:
            await leg.agree(agreed)
        self._in_force(exchange, preferences, places, agreed)
        leg.use(agreed, terms, preferences, self._now())
        if not slow:
            leg.flow()
        elif agreed.dtls_role != "holdconn":
            self._start(agreed)

    def _in_force(
        self,
        exchange: OfferAnswer,
        preferences: MediaPreferences,
        places: list[Leg | None],
        agreed: Agreed | None,
    ) -> None:
        before = self._leg.agreed
        self._exchange, self._preferences, self._places = exchange, preferences, places
        self._leg.agreed = agreed
        self._note_agreement(before, agreed)

    def _start(self, agreed: Agreed) -> None:
        """Start the transport beside: it takes until the other side has our description, and some round trips."""
        before, leg = self._starting, self._leg

        async def start() -> None:
            if before is not None and not before.done():
                # The same transport is not started twice at once.
                await asyncio.wait([before])
            try:
                await leg.agree(agreed)
            except MediaError as error:
                if not self._over and leg.agreed is agreed:
                    self._failed(error)
                return
            if not self._over and leg.agreed is agreed:
                leg.flow()

        self._starting = asyncio.ensure_future(start())

    async def started(self) -> None:
        """Wait until packets may flow, or until it is known that they will not; `on_failure` has been told then."""
        while self._starting is not None and not self._starting.done():
            await asyncio.wait([self._starting])

    # what happens ----------------------------------------------------------------------------------------------------

    def _send_digits(self, digits: str, milliseconds: int) -> float:
        stream = self._leg.stream
        if stream is None:
            raise LocalError("there is no sound yet: nothing has been agreed")
        return stream.send_digits(digits, milliseconds)

    def _note_agreement(self, before: Agreed | None, agreed: Agreed | None) -> None:
        """Tell what an agreement has changed."""
        if agreed is None or not agreed.active:
            if before is not None and before.active:
                self._note("stream", "the stream of sound was ended")
            return
        codec = agreed.codec
        was = None if before is None or not before.active else before
        if codec is not None and (was is None or was.codec != codec):
            self._note("codec", "agreed", codec.rtpmap)
        if was is None or (was.protection, was.crypto and was.crypto.suite) != (
            agreed.protection,
            agreed.crypto and agreed.crypto.suite,
        ):
            self._note("encryption", "agreed", self.encrypted or "none")
        if was is not None and was.direction != agreed.direction:
            self._note("direction", "held by the other side" if agreed.hold else "agreed", agreed.direction)

    def _note(self, kind: str, reason: str, details: str = "") -> None:
        change = Change(self._now(), kind, reason, details)
        self._changes.append(change)
        if self.on_change is not None:
            self.on_change(change)

    def _note_repair(self, reason: str, details: str) -> None:
        self._note("repair", reason, details)

    def _ask_repair(self, preferences: MediaPreferences, reason: str) -> bool:
        if self.on_repair is None:
            return False
        self.on_repair(preferences, reason)
        return True

    def _failed(self, error: MediaError) -> None:
        self._note("failure", str(error))
        if self.on_failure is not None:
            self.on_failure(error)

    def _report(self, error: Exception) -> None:
        """A listener raised."""
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a listener of a call's sound failed", "exception": error}
        )

    def _own_certificate(self) -> Certificate:
        """The certificate of this session, the same until its end: another one would be another association."""
        if self._certificate is None:
            self._certificate = self._make_certificate()
        return self._certificate

    def _now(self) -> float:
        return self._surroundings.clock()

    def _alive(self) -> None:
        if self._over:
            raise MediaError("the media of the call is closed")

    async def close(self) -> None:
        """Give back ports and all else; may be called at any time, also twice."""
        if self._over:
            return
        self._over = True
        # Nothing is awaited: whoever is cancelled here has closed all the same.
        if self._starting is not None:
            self._starting.cancel()
        self._leg.close()
        self.audio.playout.flush()
        self._closed(self)


def _policy(preferences: MediaPreferences) -> Policy:
    keying = tuple(way for way in ("dtls", "sdes") if way in preferences.keying)
    ordered = sorted(keying, key=preferences.keying.index)
    return Policy(
        encryption=preferences.encryption,
        keying=tuple("sdes" if way == "sdes" else "dtls" for way in ordered),
    )
