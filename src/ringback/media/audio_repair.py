"""Quality repair of a stream of sound: what `media.repair` decides is done, or asked for.

What the sender can do alone is done at once: FEC, the bit rate, the milliseconds in a packet up to what the other side
takes. Another codec needs another offer: it is asked for, and counts as refused when nothing comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from ringback.media.audio_stream import AudioStream
from ringback.media.backend import MediaPreferences
from ringback.media.codecs import Adjustable
from ringback.media.codecs.opus import OpusEncoder
from ringback.media.quality import Report
from ringback.media.repair import Means, Repair, Settings, Step

__all__ = ["INTERVAL", "AudioRepair"]

#: Seconds between two measurements.
INTERVAL: Final = 1.0
#: Seconds in which a new offer has to be answered; a transaction may take 32, and then another.
_PATIENCE: Final = 40.0


class AudioRepair:
    """The repair of one stream.

    ask    asks the call for an offer with these preferences, for this reason; False: it cannot
    note   told of each step: its reason, and what is changed
    """

    def __init__(
        self,
        stream: AudioStream,
        ask: Callable[[MediaPreferences, str], bool],
        note: Callable[[str, str], None],
    ) -> None:
        self._stream = stream
        self._ask = ask
        self._note = note
        self._repair = Repair()
        self._settings = Settings(stream.terms.codec.name, stream.sending.frame)
        self._codecs: tuple[str, ...] = ()
        self._preferences = MediaPreferences()
        self._expected_loss = 0
        #: A step that waits for an answer, and until when.
        self._asked: tuple[Step, float] | None = None
        self._default_bit_rate = 0
        self._next = 0.0

    def agreed(self, codecs: Sequence[str], preferences: MediaPreferences) -> None:
        """What both sides have come to, after the stream has been told; `codecs` are those that both have."""
        stream = self._stream
        self._codecs = tuple(dict.fromkeys(codecs))
        self._preferences = preferences
        codec = stream.terms.codec.name
        settings = replace(self._settings, codec=codec)
        if self._asked is not None and self._asked[0].after.codec.lower() == codec.lower():
            step, _ = self._asked
            self._asked = None
            settings = replace(settings, fec=step.after.fec, bit_rate=step.after.bit_rate)
            self._expected_loss = step.expected_loss
        if not isinstance(stream.sending.encoder, Adjustable):
            settings = replace(settings, fec=False, bit_rate=0)
        # The encoder may be another one, and the packet time is that of the agreement.
        self._default_bit_rate = 0
        self._apply(replace(settings, frame=max(settings.frame, stream.sending.frame)))

    def measure(self, reports: Sequence[Report], now: float) -> None:
        """Look whether something has to change; called in every beat, and does so every second."""
        if now < self._next:
            return
        self._next = now + INTERVAL
        if self._asked is not None:
            step, until = self._asked
            if now < until:
                return
            self._asked = None
            self._repair.refused(step, now)
            self._note(step.reason, f"{step.change}: not agreed to")
        step_now = self._repair.measure(reports, self._means(), now)
        if step_now is not None:
            self._take(step_now, now)

    def due(self, now: float) -> bool:
        """Whether `measure` would look; reports need not be made before."""
        return now >= self._next

    @property
    def fec(self) -> bool:
        """Whether FEC is sent."""
        return self._settings.fec

    def _means(self) -> Means:
        stream = self._stream
        longest = stream.terms.longest
        frames = tuple(frame for frame in stream.terms.codec.frames if 20 <= frame <= longest)
        adjustable = isinstance(stream.sending.encoder, Adjustable)
        settings = replace(self._settings, codec=stream.terms.codec.name, frame=stream.sending.frame)
        return Means(settings, self._codecs, frames, 12000 if adjustable else 0)

    def _take(self, step: Step, now: float) -> None:
        if step.kind == "codec":
            wanted = replace(self._preferences, codecs=_first(step.after.codec, self._preferences.codecs))
            if self._ask(wanted, f"{step.reason}: {step.change}"):
                self._asked = (step, now + _PATIENCE)
                self._note(step.reason, f"{step.change}: asked for")
            else:
                self._repair.refused(step, now)
            return
        self._expected_loss = step.expected_loss
        self._apply(step.after)
        self._note(step.reason, step.change)

    def _apply(self, settings: Settings) -> None:
        """Do what needs no signalling."""
        sending = self._stream.sending
        sending.set_frame(min(settings.frame, self._stream.terms.longest))
        encoder = sending.encoder
        if isinstance(encoder, OpusEncoder):
            if not self._default_bit_rate:
                self._default_bit_rate = encoder.settings.bitrate
            # The other side may have asked for FEC; without loss to expect it costs nothing and does nothing.
            encoder.adjust(expected_loss=self._expected_loss if settings.fec else 0)
            if settings.fec:
                encoder.adjust(fec=True)
            bit_rate = settings.bit_rate or self._default_bit_rate
            encoder.adjust(bitrate=min(bit_rate, self._default_bit_rate))
        self._settings = replace(settings, frame=sending.frame)


def _first(codec: str, codecs: Sequence[str]) -> tuple[str, ...]:
    """The codecs with this one first; it is one of the agreed ones, so that it is among them, be it with a rate."""
    chosen = [name for name in codecs if name.partition("/")[0].lower() == codec.lower()] or [codec]
    return (*chosen, *(name for name in codecs if name not in chosen))
