"""What two sides have agreed on for one stream of sound, as those need it who send and receive it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ringback.media import codecs
from ringback.media.backend import MediaPreferences
from ringback.media.codecs import CodecInfo
from ringback.sdp.attributes import receives, sends
from ringback.sdp.formats import Codec
from ringback.sdp.streams import Agreed

__all__ = ["AudioTerms", "audio_terms", "offered_codecs"]

#: Samples a second that Opus takes, highest first (RFC 6716 section 2).
_OPUS_RATES: Final = (48000, 24000, 16000, 12000, 8000)
#: Milliseconds in a packet; more is too much delay, whatever the other side would like.
_LONGEST_FRAME: Final = 60
_SHORTEST_FRAME: Final = 10


@dataclass(frozen=True, slots=True)
class AudioTerms:
    """The terms of one stream of sound.

    codec, payload_type  what we send
    parameters           the other side's fmtp for it
    receive              what the other side may send, by payload type
    event                the payload type of telephone events (RFC 4733) that we send, -1: none were agreed
    event_rate           their clock
    events               those that the other side may send, with their clocks
    noise                the payload type of comfort noise (RFC 3389) that we send, -1: none was agreed
    noises               those that the other side may send
    frame                milliseconds of sound in a packet that we send
    longest              how many the other side takes (maxptime)
    sending, receiving   whether sound may go, and whether it may come
    holding              we hold the other side: what is played goes, what is spoken does not
    """

    codec: CodecInfo
    payload_type: int
    receive: Mapping[int, CodecInfo]
    parameters: Mapping[str, str] = field(default_factory=dict)
    event: int = -1
    event_rate: int = 8000
    events: Mapping[int, int] = field(default_factory=dict)
    noise: int = -1
    noises: frozenset[int] = frozenset()
    frame: int = 20
    longest: int = _LONGEST_FRAME
    sending: bool = True
    receiving: bool = True
    holding: bool = False


def offered_codecs(preferences: MediaPreferences) -> list[Codec]:
    """The codecs of a stream of sound, in the order of the preferences; those that are not there are left out."""
    found: list[Codec] = []
    for name in preferences.codecs:
        wanted, _, rate = name.partition("/")
        for info in codecs.available():
            if info.name.lower() == wanted.lower() and (not rate or rate == str(info.clock_rate)):
                found.append(_as_offered(info))
    if preferences.comfort and any(codec.clock_rate == 8000 for codec in found):
        found.append(Codec("CN", 8000, 1, 13))
    return found


def _as_offered(info: CodecInfo) -> Codec:
    parameters: dict[str, str] = {}
    for part in info.fmtp.split(";"):
        name, _, value = part.strip().partition("=")
        if name:
            parameters[name] = value
    return Codec(info.name, info.clock_rate, info.channels, info.payload_type, parameters)


def audio_terms(agreed: Agreed, preferences: MediaPreferences) -> AudioTerms | None:
    """The terms that an agreement comes to; None when there is no codec to send with."""
    sent = ((codec, known) for codec in agreed.codecs if (known := _known(codec, preferences)) is not None)
    first = next(sent, None)
    if first is None:
        return None
    codec, info = first
    event_rate = codec.clock_rate if codec.clock_rate in agreed.dtmf else next(iter(agreed.dtmf), 8000)
    receive = {
        payload_type: known
        for payload_type, received in agreed.receive.items()
        if not received.is_auxiliary and (known := _known(received, preferences)) is not None
    }
    longest = min(agreed.maxptime or _LONGEST_FRAME, _LONGEST_FRAME)
    return AudioTerms(
        codec=info,
        payload_type=codec.payload_type,
        # What we send with is first, so that it is what silence is measured by before anything has come.
        receive=dict(sorted(receive.items(), key=lambda entry: entry[1] != info)),
        parameters=dict(codec.parameters),
        event=agreed.dtmf.get(event_rate, -1),
        event_rate=event_rate,
        events={number: received.clock_rate for number, received in agreed.receive.items() if received.is_event},
        noise=agreed.comfort_noise.get(codec.clock_rate, -1),
        noises=frozenset(number for number, received in agreed.receive.items() if received.is_comfort_noise),
        frame=max(_SHORTEST_FRAME, min(agreed.ptime or preferences.frame, longest)),
        longest=longest,
        sending=sends(agreed.direction),
        receiving=receives(agreed.direction),
        holding=preferences.direction == "sendonly",
    )


def _known(codec: Codec, preferences: MediaPreferences) -> CodecInfo | None:
    """How a codec of SDP sounds here; None for one that we do not have."""
    if codec.is_auxiliary:
        return None
    info = codecs.find(codec.name, codec.clock_rate, codec.channels)
    if info is None or info.name.lower() != "opus":
        return info
    rate = next((rate for rate in _OPUS_RATES if rate <= preferences.sample_rate), _OPUS_RATES[-1])
    return info.at(rate)
