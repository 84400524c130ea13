"""The decoder of codecs that code the waveform and know nothing of loss: G.711, G.722, L16.

What is lost is made up for by `ringback.media.concealment`.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.media.concealment import Concealment
from ringback.media.samples import Samples

__all__ = ["WaveformDecoder"]


class WaveformDecoder:
    """Decodes payloads with `expand`, and conceals.

    samples_an_octet  how many samples an octet of payload stands for; below 1 for codecs with longer samples
    """

    __slots__ = ("_concealment", "_expand", "_last", "_samples_an_octet", "sample_rate")

    def __init__(self, sample_rate: int, expand: Callable[[bytes], Samples], samples_an_octet: float) -> None:
        self.sample_rate = sample_rate
        self._expand = expand
        self._samples_an_octet = samples_an_octet
        self._concealment = Concealment(sample_rate)
        # How long the last packet was, which is what a malformed one is taken for.
        self._last = sample_rate // 50

    def decode(self, payload: bytes) -> Samples:
        """The samples of one packet; an empty one is concealed."""
        samples = self._expand(payload)
        if not len(samples):
            return self._concealment.conceal(self._last)
        self._last = len(samples)
        return self._concealment.heard(samples)

    def conceal(self, count: int) -> Samples:
        """`count` samples in place of what was lost."""
        return self._concealment.conceal(count)

    def decode_fec(self, payload: bytes, count: int) -> None:
        """These codecs carry no redundancy."""
        return None

    def duration(self, payload: bytes) -> int:
        """How many samples the payload holds."""
        return int(len(payload) * self._samples_an_octet)

    def close(self) -> None:
        """Nothing is held."""
