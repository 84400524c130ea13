"""One stream of sound that is received: packets become a frame in every beat.

    receiving.packet(data, arrival)      a datagram that the transport took for this stream's
    samples = receiving.beat(now)        20 ms of sound, or None while there is none

What is malformed, of a payload type that was not agreed, or of another source is counted and dropped; nothing raises.
What is lost is made up for: from the redundancy in the next packet where there is some (Opus), else by concealment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ringback.errors import ParseError
from ringback.media import codecs
from ringback.media.audio_terms import AudioTerms
from ringback.media.codecs import CodecInfo, Decoder, cn
from ringback.media.comfort import ComfortNoise
from ringback.media.dtmf import Detector
from ringback.media.events import EventReceiver, EventStarted
from ringback.media.jitter import JitterBuffer, Lost
from ringback.media.reception import Reception
from ringback.media.rtp import Packet, parse_rtp
from ringback.media.samples import Samples, silence

__all__ = ["BEATS", "AudioReceiver"]

#: Beats a second.
BEATS: Final = 50
#: Samples up to this are hardly heard: in such a frame the jitter buffer may change its delay.
_QUIET: Final = 150
#: One in so many samples is looked at for that.
_STRIDE: Final = 10


#: Seconds after an event's packet in which missing sound is no loss: as long as the event is in the jitter buffer.
_EVENT: Final = 0.2


class _Format:
    """One payload type that may come, with its decoder, made when the first packet comes."""

    __slots__ = ("beat", "clock_rate", "decoder", "info", "sample_rate")

    def __init__(self, info: CodecInfo) -> None:
        self.info = info
        self.clock_rate = info.clock_rate
        self.sample_rate = info.sample_rate
        self.beat = info.sample_rate // BEATS
        self.decoder: Decoder | None = None

    def opened(self) -> Decoder:
        if self.decoder is None:
            self.decoder = codecs.decoder(self.info)
        return self.decoder

    def close(self) -> None:
        if self.decoder is not None:
            self.decoder.close()
            self.decoder = None


class AudioReceiver:
    """What is received of one stream.

    jitter       the buffer
    rate         samples a second of what `beat` gives
    codec        what came last
    malformed    datagrams that were no RTP packet
    unknown      packets of a payload type that was not agreed
    withheld     packets that came while nothing was to be received
    recovered    lost packets that were taken from the redundancy of the next one
    concealed    lost pieces that were made up
    """

    __slots__ = (
        "_detector",
        "_digit",
        "_event_at",
        "_events",
        "_format",
        "_formats",
        "_noise",
        "_noises",
        "_quiet",
        "_receiving",
        "_reception",
        "_rest",
        "_seed",
        "_source",
        "concealed",
        "jitter",
        "malformed",
        "recovered",
        "unknown",
        "withheld",
    )

    def __init__(
        self,
        terms: AudioTerms,
        reception: Reception,
        digit: Callable[[str, str], None],
        detect: bool = False,
        seed: int = 0,
    ) -> None:
        """`digit` is told of each digit and how it came: "event" or "tone"; `detect`: tones are looked for, too."""
        self._reception = reception
        self._digit = digit
        self._seed = seed
        self._formats: dict[int, _Format] = {}
        self._events: dict[int, EventReceiver] = {}
        self._noises: frozenset[int] = frozenset()
        self._noise: ComfortNoise | None = None
        self._detector: Detector | None = None
        self._source = -1
        self._event_at = -1.0
        self._quiet = False
        self._rest: Samples | None = None
        self.malformed = self.unknown = self.withheld = self.recovered = self.concealed = 0
        self._format = _Format(terms.codec)
        self.change(terms, detect)
        self._format = next(iter(self._formats.values()), self._format)
        self.jitter = JitterBuffer(self._format.clock_rate, measure=self._measure)
        reception.change_clock_rate(self._format.clock_rate)

    def change(self, terms: AudioTerms, detect: bool = False) -> None:
        """Other terms. Decoders of what may still come go on."""
        known, self._formats = self._formats, {}
        for payload_type, info in terms.receive.items():
            before = known.get(payload_type)
            self._formats[payload_type] = before if before is not None and before.info == info else _Format(info)
        for format_ in known.values():
            if format_ not in self._formats.values() and format_ is not self._format:
                format_.close()
        self._events = {
            payload_type: self._events.get(payload_type) or EventReceiver(rate)
            for payload_type, rate in terms.events.items()
        }
        self._noises = terms.noises
        self._receiving = terms.receiving
        detecting = detect and not terms.events
        self._detector = (self._detector or Detector(self.rate)) if detecting else None

    @property
    def rate(self) -> int:
        """Samples a second of what `beat` gives."""
        return self._format.sample_rate

    @property
    def codec(self) -> CodecInfo:
        """What came last."""
        return self._format.info

    # ---- in

    def packet(self, data: bytes, arrival: float) -> None:
        """A datagram has come."""
        packet = parse_rtp(data)
        if packet is None:
            self.malformed += 1
            return
        format_ = self._formats.get(packet.payload_type)
        if format_ is None:
            self._other(packet, arrival)
            return
        if format_.clock_rate != self._format.clock_rate and not self._change_clock(packet, format_):
            return
        if not self._reception.accept(packet, arrival):
            return
        if packet.ssrc != self._source:
            self._follow(packet.ssrc)
        if self._receiving:
            self.jitter.put(packet, arrival)
        else:
            self.withheld += 1

    def _other(self, packet: Packet, arrival: float) -> None:
        """A packet that is no sound: an event, noise, or nothing that was agreed."""
        payload_type = packet.payload_type
        events = self._events.get(payload_type)
        noise = payload_type in self._noises
        if events is None and not noise:
            self.unknown += 1
            # Of our source it is no loss; of another one it must not make us follow.
            if packet.ssrc != self._source:
                return
        if not self._reception.accept(packet, arrival, noise):
            return
        if packet.ssrc != self._source:
            self._follow(packet.ssrc)
        self.jitter.put(packet, arrival, False)
        if noise:
            self._describe_noise(packet.payload)
        elif events is not None:
            self._event_at = arrival
            for told in events.receive(packet.payload, packet.timestamp, packet.marker):
                if isinstance(told, EventStarted) and told.digit:
                    self._digit(told.digit, "event")

    def _describe_noise(self, payload: bytes) -> None:
        """RFC 3389: from the next silence on it sounds like this."""
        try:
            described = cn.parse(payload)
        except ParseError:
            self.malformed += 1
            return
        if self._noise is None:
            self._noise = ComfortNoise(self.rate, self._seed)
        self._noise.describe(described)

    def _follow(self, ssrc: int) -> None:
        """Another source: what its timestamps mean is not known yet."""
        self._source = ssrc
        for events in self._events.values():
            events.reset()

    def _change_clock(self, packet: Packet, format_: _Format) -> bool:
        """A payload type with another clock; False: the packet is dropped.

        It is believed of the source that is followed, and of another one when nothing of the old one waits.
        """
        source = self._reception.source
        if source is not None and source.ssrc != packet.ssrc and len(self.jitter):
            self.unknown += 1
            return False
        self._use(format_)
        self.jitter.change_clock_rate(format_.clock_rate)
        self._reception.change_clock_rate(format_.clock_rate)
        return True

    # ---- out

    def beat(self, now: float) -> Samples | None:
        """The sound of the 20 ms that begin now; None while there is none."""
        rest = self._rest
        if rest is None:
            piece = self._piece(now)
            if piece is not None and len(piece) == self._format.beat:
                # As a rule: a packet is a beat.
                self._quiet = max(piece[::_STRIDE].tolist()) < _QUIET
                return piece if self._detector is None else self._heard(piece)
            if piece is None:
                return self._background()
            rest = piece
        return self._gathered(rest, now)

    def _gathered(self, rest: Samples, now: float) -> Samples:
        """A beat's sound out of what is there and the next pieces; what is too much stays for the next beat."""
        pieces = [rest]
        format_, have = self._format, len(rest)
        while have < format_.beat:
            piece = self._piece(now)
            if self._format is not format_:
                # Another rate begins within this beat: what is left of the old one is a part of a beat, and goes.
                format_, have, pieces = self._format, 0, []
            if piece is None or not len(piece):
                piece = silence(format_.beat - have)
            pieces.append(piece)
            have += len(piece)
        whole = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        beat = format_.beat
        self._rest = whole[beat:] if have > beat else None
        samples = whole[:beat]
        self._quiet = max(samples[::_STRIDE].tolist()) < _QUIET
        return self._heard(samples)

    def _heard(self, samples: Samples) -> Samples:
        if self._detector is not None:
            for digit in self._detector.heard(samples):
                self._digit(digit, "tone")
        return samples

    def _background(self) -> Samples | None:
        """What is heard while the other side says nothing."""
        # What comes next may be the beginning of a word.
        self._quiet = False
        if self._noise is None:
            return None
        return self._noise.make(self._format.beat)

    def _piece(self, now: float) -> Samples | None:
        """The next piece of sound, however long; None: silence."""
        jitter = self.jitter
        found = jitter.pop(now, self._quiet)
        if found is None:
            return None
        if isinstance(found, Lost):
            return self._made_up(found, now)
        format_ = self._formats.get(found.payload_type)
        if format_ is None:
            # Agreed when it came, and not any more.
            return None
        if format_ is not self._format:
            self._use(format_)
        decoder = format_.decoder or format_.opened()
        if jitter.skipped is not None:
            return self._joined(decoder, jitter.skipped, found)
        return decoder.decode(found.payload)

    def _made_up(self, lost: Lost, now: float) -> Samples:
        """Sound in place of what is not there."""
        format_ = self._format
        decoder = format_.opened()
        count = lost.duration * format_.sample_rate // format_.clock_rate
        if now - self._event_at < _EVENT:
            # A telephone event stands in the place of the sound: nothing was lost.
            return silence(count)
        following = lost.following
        if following is not None and self._formats.get(following.payload_type) is format_:
            recovered = decoder.decode_fec(following.payload, count)
            if recovered is not None:
                self.recovered += 1
                return recovered
        if not lost.inserted:
            self.concealed += 1
        return decoder.conceal(count)

    def _joined(self, decoder: Decoder, skipped: Packet, packet: Packet) -> Samples:
        """The sound of two packets in the time of one: it goes from the first over into the second."""
        samples = decoder.decode(packet.payload)
        if self._formats.get(skipped.payload_type) is not self._format:
            return samples
        before = decoder.decode(skipped.payload)
        length = min(len(before), len(samples))
        rising = np.arange(1, length + 1, dtype=np.float32) / (length + 1)
        joined = samples.copy()
        joined[:length] = np.rint(before[:length] * (1 - rising) + samples[:length] * rising)
        return joined

    def _use(self, format_: _Format) -> None:
        """Another payload type is heard from now on."""
        if format_.sample_rate != self._format.sample_rate:
            self._rest = None
            if self._detector is not None:
                self._detector = Detector(format_.sample_rate)
            if self._noise is not None:
                noise, self._noise = self._noise, ComfortNoise(format_.sample_rate, self._seed)
                self._noise.describe(noise.noise)
        self._format = format_

    def _measure(self, packet: Packet) -> int:
        """Timestamp units of sound in a packet, 0 if that cannot be told."""
        format_ = self._formats.get(packet.payload_type)
        if format_ is None:
            return 0
        decoder = format_.decoder or format_.opened()
        return decoder.duration(packet.payload) * format_.clock_rate // format_.sample_rate

    def close(self) -> None:
        """Give back what the decoders hold; may be called twice."""
        for format_ in self._formats.values():
            format_.close()
        self._format.close()
