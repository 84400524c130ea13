"""The stream of sound of a call: between its transport and its port, in the beat of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ringback.media.audio_port import Port
from ringback.media.audio_repair import AudioRepair
from ringback.media.audio_stream import AudioStream, Surroundings
from ringback.media.audio_terms import AudioTerms, audio_terms
from ringback.media.backend import MediaError, MediaPreferences
from ringback.media.io.leg import Leg
from ringback.media.io.ticker import Ticker
from ringback.media.io.transport import Transport
from ringback.media.quality import Report
from ringback.sdp.streams import Agreed

__all__ = ["AudioLeg"]

#: Seconds between looks at what is due besides sound: RTCP, repair.
_LOOK: Final = 0.1


class AudioLeg(Leg):
    """See the head of this module. It takes part in the beat from the moment that packets may flow.

    stream   None before anything was agreed
    repair   None before, and where it is not wanted
    """

    def __init__(
        self,
        port: Port,
        ticker: Ticker,
        surroundings: Surroundings,
        ask: Callable[[MediaPreferences, str], bool],
        note: Callable[[str, str], None],
        fail: Callable[[MediaError], None],
    ) -> None:
        """`ask` and `note` are those of `AudioRepair`; `fail` is told when the way to the other side is lost."""
        super().__init__("audio")
        self.stream: AudioStream | None = None
        self.repair: AudioRepair | None = None
        self._ask = ask
        self._note = note
        self._fail = fail
        self._port = port
        self._ticker = ticker
        self._surroundings = surroundings
        self._sending: Transport | None = None
        self._look_at = 0.0
        self._remote_address: tuple[str, int] | None = None

    def terms(self, agreed: Agreed, preferences: MediaPreferences) -> AudioTerms:
        """What an agreement means for the sound. Raises MediaError when there is nothing to send with."""
        terms = audio_terms(agreed, preferences)
        if terms is None:
            raise MediaError("no codec was agreed that is available here")
        return terms

    def use(self, agreed: Agreed, terms: AudioTerms, preferences: MediaPreferences, now: float) -> None:
        """Send and hear by these terms from now on, once packets flow."""
        stream = self.stream
        if stream is None:
            stream = self.stream = AudioStream(
                terms,
                self._port,
                self._surroundings,
                now,
                detect=preferences.detect,
                comfort=preferences.comfort,
                extended=agreed.remote is not None and agreed.remote.has("rtcp-xr"),
            )
            for way in (self._way, self._coming, self._next):
                if way is not None:
                    self.opened(way.transport)
        else:
            stream.change(terms, detect=preferences.detect, comfort=preferences.comfort)
        remote = (agreed.remote_address, agreed.remote_port)
        if self._remote_address not in (None, remote):
            # Signalling has named another source (a transfer, music): it is followed with its first packet.
            stream.reception.expect_change()
        self._remote_address = remote
        stream.digit_way = preferences.digits
        if not preferences.repair:
            self.repair = None
            return
        if self.repair is None:
            self.repair = AudioRepair(stream, self._ask, self._note)
        self.repair.agreed([codec.name for codec in agreed.codecs], preferences)

    def reports(self, now: float) -> list[Report]:
        """The quality of what is heard, then of what the other side hears, as far as known."""
        if self.stream is None:
            return []
        return self.stream.reports(now, self.repair is not None and self.repair.fec)

    def opened(self, transport: Transport) -> None:
        """Hear what comes on a new transport."""
        transport.on_failure = lambda error: self._lost(transport, error)
        if self.stream is not None:
            transport.on_rtp = self.stream.rtp
            transport.on_rtcp = self.stream.rtcp

    def _lost(self, transport: Transport, error: MediaError) -> None:
        """The way that ICE had found is gone."""
        if transport is self.transport and not self.closed:
            self._fail(error)

    def flow(self) -> None:
        """Take part in the beat."""
        self._sending = self.transport
        self._ticker.join(self)

    def stop(self) -> None:
        """Take no part in the beat: the stream is not in use (any more)."""
        self._ticker.leave(self)
        self._sending = None
        self._port.nothing_heard()

    def receive(self, now: float) -> None:
        """The first half of a beat."""
        stream = self.stream
        if stream is not None:
            stream.receive(now)

    def send(self, now: float) -> None:
        """The second half of a beat."""
        stream, transport = self.stream, self._sending
        if stream is None or transport is None:
            return
        for packet in stream.send(now):
            transport.send_rtp(packet)
        if now >= self._look_at:
            self._look_at = now + _LOOK
            self._look(stream, transport, now)

    def _look(self, stream: AudioStream, transport: Transport, now: float) -> None:
        """What does not have to be done in every beat."""
        report = stream.report(now)
        if report is not None:
            transport.send_rtcp(report)
        repair = self.repair
        if repair is not None and repair.due(now):
            repair.measure(stream.reports(now, repair.fec), now)

    def close(self) -> None:
        """Say goodbye, and give everything back; may be called twice."""
        stream, transport = self.stream, self._sending
        if not self.closed and stream is not None and transport is not None:
            last = stream.goodbye(self._surroundings.clock())
            if last:
                transport.send_rtcp(last)
        self.stop()
        super().close()
        if stream is not None:
            stream.close()
