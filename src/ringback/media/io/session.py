"""The media of one call in this process: offers and answers, transports, and the sound between them.

Everything that a description changes is decided by `ringback.sdp`; here it is done. An offer of ours changes nothing
until its answer is accepted, and an offer of theirs that cannot be had changes nothing at all.

DTLS and ICE need round trips that begin only when the other side has our description: they go on in a task of the
session, and `on_failure` is told when they come to nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ringback.errors import LocalError
from ringback.media.audio_port import Port
from ringback.media.audio_stream import Surroundings
from ringback.media.audio_terms import offered_codecs
from ringback.media.backend import Change, Direction, MediaError, MediaPreferences, Repairable
from ringback.media.io.audio import AudioLeg
from ringback.media.io.carried import CarriedLeg, carried_codecs
from ringback.media.io.certificate import Certificate
from ringback.media.io.leg import Leg, Wanted
from ringback.media.io.ticker import Ticker
from ringback.media.quality import Report
from ringback.sdp.description import Origin, SessionDescription, parse
from ringback.sdp.exchange import OfferAnswer
from ringback.sdp.streams import Agreed, LocalStream, Policy
from ringback.sdp.view import MediaView, bundles, views

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
        self._make_certificate = certificate
        self._certificate: Certificate | None = None
        self._surroundings = surroundings
        self._session_id = session_id
        self._closed = closed
        self._changes: deque[Change] = deque(maxlen=_MOST_CHANGES)
        self.audio: Port = Port(_FIRST_RATE, self._report, self._send_digits)
        self._leg = AudioLeg(self.audio, ticker, surroundings, self._ask_repair, self._note_repair, self._failed)
        #: Streams that are passed on, by kind.
        self._carried: dict[str, CarriedLeg] = {}
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

    @property
    def carried(self) -> Mapping[str, CarriedLeg]:
        """The streams that are passed on, by kind; there is one for each that the preferences have had."""
        return dict(self._carried)

    def reports(self) -> Sequence[Report]:
        """The quality of what is heard, then of what the other side hears, as far as known."""
        return self._leg.reports(self._now())

    # offer and answer ------------------------------------------------------------------------------------------------

    async def offer(self, preferences: MediaPreferences | None = None, *, restart: bool = False) -> bytes:
        """Our next offer. Raises MediaError."""
        wanted = preferences or self._preferences
        async with self._turn:
            self._alive()
            places = list(self._places)
            for leg in self._legs(wanted):
                await leg.prepare(Wanted(wanted, self._own_certificate(), restart=restart))
                self._place(leg, places)
            exchange = self._exchange or self._begin(self._leg.local(wanted).address, wanted)
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
            places = list(self._places)
            local = [self._described(index, None, wanted) for index in range(len(places))]
            for leg in self._legs(wanted):
                view = self._view_of(description, leg)
                if view is None:
                    continue
                await leg.prepare(Wanted(wanted, self._own_certificate(), view))
                # RFC 8843: of a bundle, the sound alone is ours; what is carried has a way of its own.
                bundled = leg is self._leg and any(view.index in members for members in bundles(description))
                stream = leg.local(wanted, bundle=bundled)
                if leg in places:
                    local[places.index(leg)] = stream
                else:
                    places.append(leg)
                    local.append(stream)
            address = next((stream.address for stream in local if stream.port), "0.0.0.0")
            # A copy: when media cannot start as agreed, what was in force remains.
            exchange = (self._exchange or self._begin(address, wanted)).fork()
            exchange.policy = _policy(wanted)
            written, streams = exchange.answer(description, local)
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

    def _legs(self, preferences: MediaPreferences) -> list[Leg]:
        """What the preferences want, the sound first, with the codecs that they want."""
        self._leg.codecs = tuple(offered_codecs(preferences))
        legs: list[Leg] = [self._leg]
        for wanted in preferences.carried:
            leg = self._carried.setdefault(wanted.kind, CarriedLeg(wanted.kind))
            leg.codecs = carried_codecs(wanted.codecs)
            if leg not in legs:
                legs.append(leg)
        return legs

    def _place(self, leg: Leg, places: list[Leg | None]) -> None:
        """Give a leg an m-line if it has none: that of a removed stream of its kind (RFC 3264 8.1), or a new one."""
        if leg in places:
            return
        for index, place in enumerate(places):
            if place is None and self._described(index, None, self._preferences).kind == leg.kind:
                places[index] = leg
                return
        places.append(leg)

    def _described(self, index: int, place: Leg | None, preferences: MediaPreferences) -> LocalStream:
        """Our stream of an m-line: a leg's, or none (port 0)."""
        if place is not None and (place is self._leg or place.kind in {wanted.kind for wanted in preferences.carried}):
            return place.local(preferences)
        part = self._exchange.local.media[index] if self._exchange is not None and self._exchange.local else None
        kind, protocol = ("audio", "") if part is None else (part.kind, part.protocol)
        return LocalStream(kind, 0, "0.0.0.0", protocol=protocol)

    def _view_of(self, description: SessionDescription, leg: Leg) -> MediaView | None:
        """The stream in their offer that will be this leg's: the one in its place, or the first of its kind."""
        offered = [view for view in views(description) if view.media.kind.lower() == leg.kind and not view.disabled]
        for view in offered:
            if view.index < len(self._places) and self._places[view.index] is leg:
                return view
        return offered[0] if offered else None

    async def _agree(self, exchange: OfferAnswer, preferences: MediaPreferences, places: list[Leg | None]) -> None:
        """Let media run as agreed; when it cannot, MediaError is raised and what was in force remains."""
        agreements = [
            (place, agreed) for agreed, place in zip(exchange.streams, places, strict=False) if place is not None
        ]
        leg = self._leg
        agreed = next((agreed for place, agreed in agreements if place is leg), None)
        slow: list[tuple[Leg, Agreed]] = []
        if agreed is None or not agreed.active:
            self._in_force(exchange, preferences, places, agreed)
            leg.stop()
        else:
            terms = leg.terms(agreed, preferences)
            if not _is_slow(agreed):
                await leg.agree(agreed)
            self._in_force(exchange, preferences, places, agreed)
            leg.use(agreed, terms, preferences, self._now())
            if not _is_slow(agreed):
                leg.flow()
            else:
                slow.append((leg, agreed))
        await self._agree_on_carried(agreements, slow)
        slow = [(place, agreed) for place, agreed in slow if agreed.dtls_role != "holdconn"]
        if slow:
            self._start(slow)

    async def _agree_on_carried(self, agreements: list[tuple[Leg, Agreed]], slow: list[tuple[Leg, Agreed]]) -> None:
        """What is not the sound; when it cannot be, the call goes on without."""
        found: dict[Leg, Agreed] = dict(agreements)
        for leg in self._carried.values():
            agreed = leg.agreed = found.get(leg)
            if agreed is None or not agreed.active:
                continue
            if _is_slow(agreed):
                slow.append((leg, agreed))
                continue
            try:
                await leg.agree(agreed)
            except MediaError as error:
                self._note("stream", f"{leg.kind}: {error}")

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

    def _start(self, agreements: list[tuple[Leg, Agreed]]) -> None:
        """Start transports beside: it takes until the other side has our description, and some round trips."""
        before = self._starting

        async def start() -> None:
            if before is not None and not before.done():
                # The same transport is not started twice at once.
                await asyncio.wait([before])
            await asyncio.gather(*(self._come_up(leg, agreed) for leg, agreed in agreements))

        self._starting = asyncio.ensure_future(start())

    async def _come_up(self, leg: Leg, agreed: Agreed) -> None:
        error: MediaError | None = None
        try:
            await leg.agree(agreed)
        except MediaError as raised:
            error = raised
        if self._over or leg.agreed is not agreed:
            # Another agreement has taken its place.
            return
        if leg is not self._leg:
            if error is not None:
                self._note("stream", f"{leg.kind}: {error}")
        elif error is not None:
            self._failed(error)
        else:
            self._leg.flow()

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
        for leg in (self._leg, *self._carried.values()):
            leg.close()
        self.audio.playout.flush()
        self._closed(self)


def _is_slow(agreed: Agreed) -> bool:
    """Whether it takes round trips until packets may flow."""
    return agreed.protection == "dtls" or agreed.ice is not None


def _policy(preferences: MediaPreferences) -> Policy:
    keying = tuple(way for way in ("dtls", "sdes") if way in preferences.keying)
    ordered = sorted(keying, key=preferences.keying.index)
    return Policy(
        encryption=preferences.encryption,
        keying=tuple("sdes" if way == "sdes" else "dtls" for way in ordered),
    )
