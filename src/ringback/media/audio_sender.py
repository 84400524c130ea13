"""One stream of sound that is sent: what is to be said in every beat becomes packets.

    packets = sending.beat(now)       what has to be sent for the 20 ms that begin now

A beat's sound is one packet, a part of one, or several, by the milliseconds that were agreed. Silence is sent as sound
(NATs forget who is silent, and phones take it for a dead line), unless comfort noise was asked for. While a digit is
sent as a telephone event it stands in the place of the sound (RFC 4733 2.1), and what is played waits for its end.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ringback.media import codecs
from ringback.media.audio_port import Port
from ringback.media.audio_terms import AudioTerms
from ringback.media.codecs import Adjustable, Encoder
from ringback.media.comfort import SilenceSuppression
from ringback.media.digit_sending import DigitSending
from ringback.media.samples import Samples, silence
from ringback.media.sender import Sender

__all__ = ["BEATS", "AudioSender"]

#: Beats a second.
BEATS: Final = 50

# An encoder of these gives the same octets for the same samples, whatever went before.
_STATELESS: Final = frozenset({"PCMU", "PCMA", "L16"})


class AudioSender:
    """What is sent of one stream.

    encoder  the one in use, for who adjusts it
    frame    milliseconds in a packet
    """

    __slots__ = (
        "_beat",
        "_comfort",
        "_digits",
        "_duration",
        "_info",
        "_length",
        "_payload_type",
        "_pending",
        "_pending_length",
        "_port",
        "_sender",
        "_silence",
        "_silent_payload",
        "_suppression",
        "_terms",
        "encoder",
        "frame",
    )

    def __init__(self, terms: AudioTerms, sender: Sender, port: Port, digits: DigitSending) -> None:
        """`sender` counts in the clock of the codec."""
        self._sender = sender
        self._port = port
        self._digits = digits
        self._comfort = False
        self._pending: list[Samples] = []
        self._pending_length = 0
        self.encoder: Encoder = codecs.encoder(terms.codec, terms.parameters)
        self._use(terms)

    def _use(self, terms: AudioTerms) -> None:
        info = terms.codec
        self._terms = terms
        self._info = info
        self._payload_type = terms.payload_type
        self._beat = info.sample_rate // BEATS
        self._silence = silence(self._beat)
        self._suppression: SilenceSuppression | None = None
        self.frame = 0
        self.set_frame(terms.frame)

    def change(self, terms: AudioTerms) -> None:
        """Other terms: the encoder goes on when the codec and what the other side asks of it are the same."""
        info = terms.codec
        same = info == self._info and dict(terms.parameters) == dict(self._terms.parameters)
        if not same:
            self.encoder.close()
            self.encoder = codecs.encoder(info, terms.parameters)
        if info.sample_rate != self._info.sample_rate:
            self._forget()
        self._use(terms)
        self.set_comfort(self._comfort)

    def set_frame(self, milliseconds: int) -> None:
        """Send packets of so much sound from now on, or of the next shorter length that the codec has."""
        info = self._info
        fitting = [frame for frame in info.frames if frame <= milliseconds] or [info.frames[0]]
        frame = fitting[-1]
        if frame != self.frame:
            self.frame = frame
            self._length = info.samples(frame)
            self._duration = info.timestamp(self._length)
            self._silent_payload = b""
            if info.name.upper() in _STATELESS:
                self._silent_payload = self.encoder.encode(silence(self._length))

    def set_comfort(self, wanted: bool) -> None:
        """Describe silence (RFC 3389) or let the codec do so, instead of sending it as sound."""
        self._comfort = wanted
        self._suppression = None
        if isinstance(self.encoder, Adjustable):
            self.encoder.adjust(dtx=wanted)
        elif wanted and self._terms.noise >= 0:
            self._suppression = SilenceSuppression(self._info.sample_rate)

    def beat(self, now: float) -> list[bytes]:
        """The packets for the 20 ms that begin now."""
        digits = self._digits
        if digits.busy:
            return self._with_digits(digits, now)
        samples = self._port.pull(self._beat)
        if self._length != self._beat or self._pending or self._suppression is not None:
            return self._add(self._silence if samples is None else samples, now)
        # As a rule: the beat's sound is the packet.
        if samples is not None:
            payload = self.encoder.encode(samples)
        else:
            payload = self._silent_payload or self.encoder.encode(self._silence)
        if payload:
            return [self._sender.packet(self._payload_type, payload, self._duration, now)]
        self._sender.skip(self._duration)
        return []

    def music(self, now: float) -> list[bytes]:
        """A beat in which we hold the other side: what is played goes (music on hold), what is spoken does not."""
        self._port.hold(self._beat)
        samples = self._port.playout.pull(self._beat)
        if samples is None and not self._pending:
            self._sender.skip(self._info.timestamp(self._beat))
            return []
        return self._add(self._silence if samples is None else samples, now)

    def rest(self) -> None:
        """A beat in which nothing is sent: the stream is on hold. Digits still go by SIP INFO."""
        self._port.hold(self._beat)
        if self._digits.way == "info" and self._digits.busy:
            self._digits.tone(self._beat)
        self._forget()
        self._sender.skip(self._info.timestamp(self._beat))

    def _forget(self) -> None:
        """What waits will not be sent: its time passes all the same."""
        if self._pending_length:
            self._sender.skip(self._info.timestamp(self._pending_length))
        self._pending.clear()
        self._pending_length = 0

    def _add(self, samples: Samples, now: float) -> list[bytes]:
        """Put a beat's sound to what waits, and give all whole packets."""
        pending = self._pending
        pending.append(samples)
        self._pending_length += len(samples)
        length = self._length
        if self._pending_length < length:
            return []
        whole = pending[0] if len(pending) == 1 else np.concatenate(pending)
        packets: list[bytes] = []
        at = 0
        while at + length <= len(whole):
            packet = self._packet(whole[at : at + length], now)
            if packet is not None:
                packets.append(packet)
            at += length
        pending.clear()
        self._pending_length = len(whole) - at
        if self._pending_length:
            pending.append(whole[at:])
        return packets

    def _packet(self, samples: Samples, now: float) -> bytes | None:
        """The packet of one whole frame; None when nothing has to be sent for it."""
        if self._suppression is not None:
            noise = self._suppression.decide(samples)
            if noise:
                return self._sender.noise(self._terms.noise, noise, self._duration, now)
            if noise is not None:
                self._sender.skip(self._duration)
                return None
        payload = self.encoder.encode(samples)
        if not payload:
            self._sender.skip(self._duration)
            return None
        return self._sender.packet(self._payload_type, payload, self._duration, now)

    def _with_digits(self, digits: DigitSending, now: float) -> list[bytes]:
        """A beat in which a digit is sent, or the pause behind one."""
        tone = digits.tone(self._beat)
        if tone is not None:
            self._port.hold(self._beat)
            return self._add(tone, now)
        events = digits.events(self._sender.timestamp)
        if events is None:
            # By SIP INFO, beside the sound; or a pause.
            samples = self._port.pull(self._beat)
            return self._add(self._silence if samples is None else samples, now)
        self._port.hold(self._beat)
        self._forget()
        sender, payload_type = self._sender, self._terms.event
        packets = [sender.event(payload_type, event.payload, event.first, event.segment) for event in events]
        sender.skip(self._info.timestamp(self._beat))
        return packets

    def close(self) -> None:
        """Give back what the encoder holds; may be called twice."""
        self.encoder.close()
