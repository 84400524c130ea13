"""What calls know of media: a few methods, behind which stands this process, a worker, or a relay.

    session = backend.open(preferences)      one for each call
    offer = await session.offer()            our SDP, as octets
    answer = await session.answer(offer)     or the answer to theirs
    await session.accept(answer)             their answer to ours
    await session.close()

Negotiation is pure (`ringback.sdp`); sockets open here, and nothing above knows of ports, keys or packets. What has to
be heard and said goes through `session.audio`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ringback.errors import RingbackError
from ringback.media.playout import Playout
from ringback.media.quality import Report
from ringback.media.samples import Samples

__all__ = [
    "AudioPort",
    "Carried",
    "CarriedStream",
    "Change",
    "Digits",
    "Direction",
    "Encryption",
    "Feed",
    "Levels",
    "MediaBackend",
    "MediaError",
    "MediaPreferences",
    "MediaSession",
    "Repairable",
]

Encryption = Literal["none", "offer", "require"]
Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
Digits = Literal["auto", "event", "info", "inband"]


class MediaError(RingbackError):
    """Media that cannot be: no port is free, keys do not fit, nobody answers the connectivity checks."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A stream that is negotiated and whose packets are passed on, but not rendered here: video, text over RTP.

    kind      the media type of its m-line ("video", "text")
    codecs    rtpmaps, best first ("VP8/90000", "t140/1000")
    """

    kind: str
    codecs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MediaPreferences:
    """What a call may use, best first.

    codecs        names as SDP has them ("opus", "G722", "PCMU" …); those that are not available are left out
    encryption    "none": never; "offer": where the other side can; "require": or no call
    keying        how keys may be agreed, best first: "sdes" (only where signalling is protected), "dtls"
    ice           "none"; "accept": when the other side offers it; "full"; "lite"
    address       the local address to send from and to be reached at; "" for that of the first usable interface
    advertised    the address written in SDP when it is another one (a NAT with fixed forwarding), or ""
    ports         the range of UDP ports, both ends included
    frame         milliseconds of sound in a packet
    direction     what we want of the streams: hold is "sendonly"
    stun, turn    servers, as URIs ("stun:host:port", "turn:user:password@host:port?transport=udp")
    strict        plain RTP is taken only from the address that SDP names (no symmetric RTP through NATs)
    sample_rate   the highest rate of sound inside, for codecs that let one choose: Opus has 8000, 12000, 16000, 24000
                  and 48000
    digits        how DTMF is sent: "auto": as telephone events (RFC 4733) when both can, else by SIP INFO when the call
                  can (`AudioPort.send_info`), else as tones; or one of the three always
    detect        hear DTMF in the sound, too, when no telephone events were agreed
    comfort       say silence with comfort noise (RFC 3389, or what the codec has) where both can; else silence is sent
                  as sound, which is what NATs and most phones expect
    repair        adjust the codec to what the network is like, and ask for another offer where that is not enough
    carried       streams beside the sound; an offer's others are refused (port 0)
    """

    codecs: tuple[str, ...] = ("opus", "G722", "PCMU", "PCMA")
    encryption: Encryption = "offer"
    keying: tuple[str, ...] = ("dtls",)
    ice: Literal["none", "accept", "full", "lite"] = "accept"
    address: str = ""
    advertised: str = ""
    ports: tuple[int, int] = (16384, 32767)
    frame: int = 20
    direction: Direction = "sendrecv"
    stun: tuple[str, ...] = ()
    turn: tuple[str, ...] = ()
    strict: bool = False
    sample_rate: int = 48000
    digits: Digits = "auto"
    detect: bool = False
    comfort: bool = False
    repair: bool = True
    carried: tuple[Carried, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Something that media has decided, and why. `at` is of the loop's clock; `details` for people."""

    at: float
    kind: str
    reason: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Levels:
    """How loud it is, in dBov: 0 is overload, -127 silence (RFC 6464)."""

    heard: float
    said: float


class Feed(Protocol):
    """Somebody who speaks into a call, frame by frame; all that speak are heard together.

    dropped   samples that came faster than they were sent, the oldest first: nothing here grows late
    """

    dropped: int

    def put(self, samples: Samples, rate: int) -> None:
        """Say this with the next frame that is sent; another rate than the call's is converted."""
        ...

    def close(self) -> None:
        """Say no more; may be called twice."""
        ...


class AudioPort(Protocol):
    """The sound of one call. Samples are mono int16.

    send_info    sends a digit (and its milliseconds) by SIP INFO; set by the call, None when it cannot
    digit_by     how the last digit came: "event", "info", or "tone" (then it was in the sound, too)
    """

    send_info: Callable[[str, int], None] | None
    digit_by: str

    @property
    def rate(self) -> int:
        """Samples a second of the codec in use: those of `playout`."""
        ...

    @property
    def playout(self) -> Playout:
        """What is still to be played."""
        ...

    @property
    def levels(self) -> Levels:
        """Of the last frames."""
        ...

    def subscribe(self, listener: Callable[[Samples, int], None]) -> Callable[[], None]:
        """Call `listener(samples, rate)` with every frame that is heard; the result ends that.

        One frame comes in every beat of 20 ms while sound is received, concealed where it was lost. The samples are
        shared with other listeners: they must not be written to.
        """
        ...

    def feed(self) -> Feed:
        """A way to say something at once, beside what is played: a microphone's sound, another call's or a mix's."""
        ...

    def send_digits(self, digits: str, milliseconds: int = 100) -> float:
        """Send DTMF as the call has agreed it; gives the seconds that it takes. LocalError: not a digit."""
        ...

    def on_digit(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call `listener(digit)` once for every digit that is heard; the result ends that."""
        ...

    def digit_came(self, digit: str) -> None:
        """The other side sent a digit by other means than sound (SIP INFO): tell who listens."""
        ...


class CarriedStream(Protocol):
    """A stream beside the sound whose packets are passed on as they are, protected on their way.

    on_packet    called with each RTP packet and when it came; so on_control with RTCP
    withheld     packets that came while nobody wanted them
    """

    on_packet: Callable[[bytes, float], None] | None
    on_control: Callable[[bytes, float], None] | None
    withheld: int

    @property
    def active(self) -> bool:
        """Whether it was agreed."""
        ...

    @property
    def formats(self) -> Mapping[int, str]:
        """The rtpmap of each payload type that may be sent, best first; empty while nothing is agreed."""
        ...

    def send(self, packet: bytes) -> bool:
        """Send an RTP packet; False when it may not go (hold, nothing agreed) or was not sent."""
        ...

    def send_control(self, packet: bytes) -> bool:
        """Send a compound RTCP packet; False when it was not sent."""
        ...


class Repairable(Protocol):
    """What quality repair asks the call for: another offer with these preferences, for this reason."""

    def __call__(self, preferences: MediaPreferences, reason: str) -> None: ...


class MediaSession(Protocol):
    """The media of one call.

    changes     what was decided and why, the oldest dropped when there are very many
    on_change   told of each of them as it is decided
    on_repair   asked for a re-offer where repair needs one: `await session.offer(preferences)` and signalling
    on_failure  told when media cannot be: the keys do not fit, no connectivity, nothing is heard any more
    """

    on_change: Callable[[Change], None] | None
    on_repair: Repairable | None
    on_failure: Callable[[MediaError], None] | None

    @property
    def audio(self) -> AudioPort:
        """The sound; the same port from beginning to end."""
        ...

    @property
    def preferences(self) -> MediaPreferences:
        """Those of the last offer or answer."""
        ...

    @property
    def changes(self) -> Sequence[Change]: ...

    @property
    def direction(self) -> Direction:
        """What is agreed, from our side: "recvonly": the other side plays and does not listen."""
        ...

    @property
    def held(self) -> bool:
        """Whether the other side holds us: it does not listen, in either style of hold."""
        ...

    @property
    def encrypted(self) -> str:
        """How the sound is protected ("SDES AES_CM_128_HMAC_SHA1_80", "DTLS …"), or ""."""
        ...

    async def offer(self, preferences: MediaPreferences | None = None, *, restart: bool = False) -> bytes:
        """Our offer, the first or (hold, repair, another address) the next one. Raises MediaError.

        Nothing of what runs changes before its answer is accepted; an offer that was refused is forgotten with the
        next one. `restart`: ICE begins anew (RFC 8839 4.4.1.1), after a change of network.
        """
        ...

    async def answer(self, offer: bytes, preferences: MediaPreferences | None = None) -> bytes:
        """The answer to their offer; media runs from now on. Raises SdpError (488, 400) and MediaError."""
        ...

    async def accept(self, answer: bytes) -> None:
        """Their answer to our last offer; media runs from now on. Raises SdpError and MediaError.

        Several answers may come to one offer, of a forked call or before and with the 200: the last one counts.
        """
        ...

    @property
    def carried(self) -> Mapping[str, CarriedStream]:
        """The streams that are passed on, by kind ("video"); there is one for each that the preferences have had."""
        ...

    def reports(self) -> Sequence[Report]:
        """The quality of what is heard, then of what the other side hears, as far as known."""
        ...

    async def close(self) -> None:
        """Give back ports and all else; may be called at any time, also twice."""
        ...


class MediaBackend(Protocol):
    """Where media happens."""

    def open(self, preferences: MediaPreferences) -> MediaSession:
        """A session without streams yet; nothing is opened before an offer or an answer is made."""
        ...

    async def close(self) -> None:
        """Close every session, and what they share."""
        ...
