"""One stream of sound in both directions, with its RTCP: what a session moves between its transport and its port.

    stream.rtp(data, arrival), stream.rtcp(data, arrival)      what has come
    stream.receive(now)                                        the first half of a beat: the port hears a frame
    packets = stream.send(now)                                 the second half: RTP to send
    report = stream.report(now)                                RTCP to send, when it is due

It lives as long as the call: terms change (`change`), the SSRC, the sequence and the statistics go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ringback.media.audio_port import Port
from ringback.media.audio_receiver import AudioReceiver
from ringback.media.audio_sender import AudioSender
from ringback.media.audio_terms import AudioTerms
from ringback.media.backend import Digits
from ringback.media.digit_sending import DigitSending, Way
from ringback.media.quality import Monitor, Report
from ringback.media.reception import Reception
from ringback.media.reporting import Reporting
from ringback.media.rtcp import ntp_time
from ringback.media.sender import Sender

__all__ = ["KEEP_ALIVE", "AudioStream", "Surroundings"]

#: Seconds between packets that keep a NAT's binding alive while nothing else is sent (RFC 6263 section 7).
KEEP_ALIVE: Final = 15.0
#: Octets a second of a stream of sound with its headers, for the share of RTCP.
_BANDWIDTH: Final = 10000.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a stream takes from outside, so that it holds no clock and no dice.

    clock     seconds of the clock that `now` is of
    wall      seconds since 1970
    chance    a random number from 0 up to and without 1
    number    a random number of so many bits
    cname     our canonical name for RTCP
    """

    clock: Callable[[], float]
    wall: Callable[[], float]
    chance: Callable[[], float]
    number: Callable[[int], int]
    cname: str


class AudioStream:
    """See the head of this module.

    terms         those in use
    sending       what is sent: the encoder, the packet time
    receiving     what is received: the jitter buffer, counts
    sender        our source, and how it arrives (`delivery`)
    reception     their source
    reporting     the RTCP
    """

    def __init__(
        self,
        terms: AudioTerms,
        port: Port,
        surroundings: Surroundings,
        now: float,
        *,
        detect: bool = False,
        comfort: bool = False,
        extended: bool = False,
    ) -> None:
        number = surroundings.number
        self._port = port
        self._surroundings = surroundings
        self.terms = terms
        self.sender = Sender(number(32), number(16), number(32), terms.codec.clock_rate)
        self.reception = Reception(terms.codec.clock_rate)
        self.digits = DigitSending(self._send_info)
        self.digit_way: Digits = "auto"
        self.sending = AudioSender(terms, self.sender, port, self.digits)
        self.sending.set_comfort(comfort)
        self.receiving = AudioReceiver(terms, self.reception, port.digit_came, detect, number(32))
        self.reporting = Reporting(
            self.sender,
            self.reception,
            surroundings.cname,
            now,
            surroundings.chance(),
            _BANDWIDTH,
            extended=extended,
        )
        self._extended = extended
        self._monitor = Monitor(self.reception, self.receiving.jitter, self.sender)
        self._report_heard_at = now
        self._sent_at = now
        #: The hot path, without a look-up on the way.
        self.rtp = self.receiving.packet
        port.change_rate(terms.codec.sample_rate)

    def change(self, terms: AudioTerms, *, detect: bool = False, comfort: bool = False) -> None:
        """Other terms. Sequence, SSRC and statistics go on, but for another clock (RFC 7160 4.2: another SSRC)."""
        if terms.codec.clock_rate != self.sender.clock_rate:
            number = self._surroundings.number
            self.sender.change(number(32), number(32), terms.codec.clock_rate)
        self.terms = terms
        self.sending.change(terms)
        self.sending.set_comfort(comfort)
        self.receiving.change(terms, detect)
        self._port.change_rate(terms.codec.sample_rate)

    @property
    def heard_at(self) -> float:
        """When the last packet of the other side came, of whatever kind; before it, when the stream began."""
        source = self.reception.source
        return self._report_heard_at if source is None else max(self._report_heard_at, source.last)

    # the beat --------------------------------------------------------------------------------------------------------

    def receive(self, now: float) -> None:
        """Give the port the frame of this beat."""
        receiving = self.receiving
        samples = receiving.beat(now)
        if samples is None:
            self._port.nothing_heard()
        else:
            self._port.heard(samples, receiving.rate)

    def send(self, now: float) -> list[bytes]:
        """The RTP packets of this beat."""
        terms = self.terms
        if not terms.sending:
            self.sending.rest()
            packets = []
        elif terms.holding:
            packets = self.sending.music(now)
        else:
            packets = self.sending.beat(now)
        if packets:
            self._sent_at = now
            return packets
        if now - self._sent_at < KEEP_ALIVE:
            return packets
        self._sent_at = now
        return [self._keep_alive(now)]

    def _keep_alive(self, now: float) -> bytes:
        """RFC 6263 4.6: a packet of a payload type that was not agreed, which the other side has to ignore."""
        taken = {self.terms.payload_type, self.terms.event, self.terms.noise, *self.terms.receive, *self.terms.events}
        unknown = next(number for number in range(127, 95, -1) if number not in taken)
        return self.sender.noise(unknown, b"", 0, now)

    # digits ----------------------------------------------------------------------------------------------------------

    def send_digits(self, digits: str, milliseconds: int) -> float:
        """Send DTMF; gives the seconds until all is sent. LocalError: not a digit."""
        terms = self.terms
        if not self.digits.busy:
            codec = terms.codec
            self.digits.use(self._way(), codec.sample_rate, codec.clock_rate, terms.event_rate)
        return self.digits.send(digits, milliseconds)

    def _way(self) -> Way:
        wanted = self.digit_way
        if wanted == "inband" or wanted == "info":
            return wanted
        if self.terms.event >= 0:
            return "event"
        return "info" if wanted == "auto" and self._port.send_info is not None else "inband"

    def _send_info(self, digit: str, milliseconds: int) -> None:
        if self._port.send_info is not None:
            self._port.send_info(digit, milliseconds)

    # RTCP ------------------------------------------------------------------------------------------------------------

    def rtcp(self, data: bytes, arrival: float) -> None:
        """An RTCP datagram has come."""
        if self.reporting.heard(data, arrival, ntp_time(self._surroundings.wall())):
            self._report_heard_at = arrival

    def report(self, now: float) -> bytes | None:
        """The RTCP to send, when it is due."""
        reporting = self.reporting
        if now < reporting.deadline:
            return None
        surroundings = self._surroundings
        # A beat may be late; what has come, has come at the time of the clock.
        now = max(now, surroundings.clock())
        metrics = None
        if self._extended:
            receiving = self.receiving
            metrics = self._monitor.metrics(now, receiving.codec.name, fec=receiving.recovered > 0)
        return reporting.advance(now, ntp_time(surroundings.wall()), surroundings.chance(), metrics)

    def reports(self, now: float, fec: bool = False) -> list[Report]:
        """The quality of what we hear, and of what the other side hears as far as it is known; `fec`: we send it."""
        receiving = self.receiving
        heard = self._monitor.received(now, receiving.codec.name, fec=receiving.recovered > 0)
        said = self._monitor.sent(now, self.terms.codec.name, self.sending.frame / 1000, fec)
        return [heard] if said is None else [heard, said]

    def goodbye(self, now: float) -> bytes:
        """The last RTCP."""
        return self.reporting.goodbye(now, ntp_time(self._surroundings.wall()))

    def close(self) -> None:
        """Give back what codecs hold; may be called twice."""
        self.sending.close()
        self.receiving.close()
