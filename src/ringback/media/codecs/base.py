"""What a codec is: its description, and what encodes and decodes with it.

A codec is one file of this package. It ends with its registration (`Registration`), which `ringback.media.codecs`
lists; nothing else has to know it by name. Encoders and decoders keep the state of one stream in one direction.

Nothing that a peer sends raises an exception out of a decoder: what cannot be decoded counts as lost and is concealed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from ringback.errors import LocalError
from ringback.media.samples import Samples

__all__ = ["Adjustable", "CodecInfo", "Decoder", "Encoder", "Registration"]


@dataclass(frozen=True, slots=True)
class CodecInfo:
    """One codec as SDP and as the sound inside see it.

    name          the encoding name of its rtpmap; compared without regard to case (RFC 3551 section 3)
    clock_rate    the RTP clock, as in the rtpmap
    sample_rate   samples a second that go into the encoder and come out of the decoder. Not always the clock: that of
                  G.722 is 8000 by an old mistake (RFC 3551 4.5.2), that of Opus always 48000 (RFC 7587 4.1)
    channels      as in the rtpmap; the sound itself is always mono
    payload_type  the static one of RFC 3551 table 4, or -1
    fmtp          the parameters that we offer, as in SDP, or ""
    frames        the milliseconds of sound that one packet may hold, shortest first
    bitrate       bits a second of payload, or 0 where that is a matter of settings
    """

    name: str
    clock_rate: int
    sample_rate: int
    channels: int = 1
    payload_type: int = -1
    fmtp: str = ""
    frames: tuple[int, ...] = (10, 20, 30, 40, 50, 60)
    bitrate: int = 0

    @property
    def rtpmap(self) -> str:
        """The value of the rtpmap attribute behind the payload type: "opus/48000/2"."""
        return f"{self.name}/{self.clock_rate}" + (f"/{self.channels}" if self.channels > 1 else "")

    def samples(self, milliseconds: int) -> int:
        """How many samples so much sound is."""
        return self.sample_rate * milliseconds // 1000

    def timestamp(self, samples: int) -> int:
        """By how much the RTP timestamp grows over so many samples."""
        return samples * self.clock_rate // self.sample_rate

    def at(self, sample_rate: int) -> CodecInfo:
        """The same codec with other samples outside; Opus only: at 8000, 12000, 16000, 24000 or 48000 a second."""
        return replace(self, sample_rate=sample_rate)


class Encoder(Protocol):
    """Encodes one stream."""

    @property
    def sample_rate(self) -> int:
        """Samples a second that go in."""
        ...

    def encode(self, samples: Samples) -> bytes:
        """The payload of one packet; b"" when nothing has to be sent for these samples (silence, with DTX)."""
        ...

    def close(self) -> None:
        """Give back what the encoder holds; may be called twice."""
        ...


class Decoder(Protocol):
    """Decodes one stream. Its methods are called in the order of playing, once for each stretch of time."""

    @property
    def sample_rate(self) -> int:
        """Samples a second that come out."""
        ...

    def decode(self, payload: bytes) -> Samples:
        """The samples of one packet; a payload that is malformed is concealed like a lost one. Raises nothing."""
        ...

    def conceal(self, count: int) -> Samples:
        """`count` samples in place of a lost packet, from what was heard before."""
        ...

    def decode_fec(self, payload: bytes, count: int) -> Samples | None:
        """`count` samples in place of the packet before this one, from the redundancy that this one carries.

        None when the codec has no such redundancy: then `conceal`. The packet itself has to be decoded afterwards.
        """
        ...

    def duration(self, payload: bytes) -> int:
        """How many samples the payload says that it holds; 0 when it says nothing that could be."""
        ...

    def close(self) -> None:
        """Give back what the decoder holds; may be called twice."""
        ...


@runtime_checkable
class Adjustable(Protocol):
    """An encoder that can be adjusted while it runs, to what the network is like."""

    def adjust(
        self,
        *,
        bitrate: int | None = None,
        fec: bool | None = None,
        expected_loss: int | None = None,
        dtx: bool | None = None,
        complexity: int | None = None,
    ) -> None:
        """Change what is given; what is None stays. Takes effect with the next packet. LocalError: out of range.

        bitrate        bits a second
        fec            carry redundancy for the packet before in every packet
        expected_loss  per cent of packets that get lost, which says how much redundancy is worth
        dtx            send (almost) nothing during silence
        complexity     0 to 10: more processor time for better sound
        """
        ...


#: Makes an encoder with the fmtp parameters of the other side, names in lower case.
EncoderFactory = Callable[[CodecInfo, Mapping[str, str]], Encoder]
DecoderFactory = Callable[[CodecInfo], Decoder]


def always() -> bool:
    """The `available` of a codec that needs nothing from outside."""
    return True


@dataclass(frozen=True, slots=True)
class Registration:
    """What a codec's file says of itself: its forms, best first, and how its two halves are made."""

    infos: tuple[CodecInfo, ...]
    encoder: EncoderFactory
    decoder: DecoderFactory
    available: Callable[[], bool] = always


def refuse_sample_rate(info: CodecInfo, allowed: tuple[int, ...]) -> None:
    """LocalError unless the codec works with samples of that rate."""
    if info.sample_rate not in allowed:
        rates = ", ".join(str(rate) for rate in allowed)
        raise LocalError(f"{info.name} works with {rates} samples a second, not with {info.sample_rate}")
