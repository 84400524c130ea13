"""Comfort noise: the background of one side measured, and made again at the other (RFC 3389).

    describe(samples)           level and spectrum of noise, to be sent in a CN payload (codecs/cn.py)
    ComfortNoise(rate)          makes noise as described
    SilenceSuppression(rate)    decides for every frame whether to send it, a CN payload, or nothing

The model is an all-pole filter given by reflection coefficients k, with A(z) = 1 + k1*z^-1 + … built up by the
recursion of Levinson and Durbin; so k1 is minus the correlation of neighbouring samples, as in G.711 Appendix II.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ringback.media.codecs.cn import Noise, build
from ringback.media.levels import SILENCE, VoiceActivity, level
from ringback.media.samples import Samples, silence

__all__ = ["ComfortNoise", "SilenceSuppression", "describe"]

_Signal: TypeAlias = NDArray[np.float64]

#: Coefficients that are sent.
ORDER: Final = 8
#: How long the noise filter rings. What comes after is far below the noise.
_RINGING: Final = 160
#: Nearer to the unit circle the noise would whistle.
_LARGEST: Final = 0.98


def describe(samples: Samples, order: int = ORDER) -> Noise:
    """Level and spectrum of noise. `order` 0: the level alone."""
    loud = level(samples)
    if loud == SILENCE or len(samples) <= order:
        return Noise(loud)
    windowed = samples * np.hanning(len(samples))
    correlations = np.array([windowed[: len(windowed) - lag] @ windowed[lag:] for lag in range(order + 1)])
    # White noise at -40 dB keeps the recursion stable when there is nearly one frequency alone.
    correlations[0] *= 1.0001
    return Noise(loud, tuple(_reflections(correlations)))


def _reflections(correlations: _Signal) -> list[float]:
    """The recursion of Levinson and Durbin, of which only the reflection coefficients are wanted."""
    reflections: list[float] = []
    predictor = np.ones(1)
    error = float(correlations[0])
    for lag in range(1, len(correlations)):
        reflection = -float(predictor @ correlations[lag : lag - len(predictor) : -1]) / error
        reflections.append(reflection)
        predictor = _longer(predictor, reflection)
        error *= 1 - reflection * reflection
        if error <= 0:
            break
    return reflections


def _longer(predictor: _Signal, reflection: float) -> _Signal:
    """A(z) of one order more."""
    extended = np.append(predictor, 0.0)
    return extended + reflection * extended[::-1]


def _response(reflections: tuple[float, ...]) -> _Signal:
    """What 1/A(z) makes of one impulse, such that white noise keeps its power."""
    predictor = np.ones(1)
    for reflection in reflections:
        predictor = _longer(predictor, min(max(reflection, -_LARGEST), _LARGEST))
    order = len(predictor) - 1
    # The recursion looks back `order` samples, before the first of which there was nothing.
    response = np.zeros(order + _RINGING)
    response[order] = 1.0
    backwards = predictor[:0:-1]
    if order:
        for place in range(1, _RINGING):
            response[order + place] = -(backwards @ response[place : place + order])
    response = response[order:]
    return response / np.sqrt(response @ response)


class ComfortNoise:
    """Makes noise as it was described last, for one stream. Until it is described there is silence.

    Noise of the same `seed` is the same.
    """

    __slots__ = ("_amplitude", "_random", "_rate", "_response", "_tail", "_target", "noise")

    #: How long the level takes to change, so that no step is heard; in seconds.
    _CHANGE: Final = 0.02

    def __init__(self, rate: int, seed: int = 0) -> None:
        self._rate = rate
        self._random = np.random.default_rng(seed)
        self._response = _response(())
        self._tail = np.zeros(_RINGING - 1)
        self._amplitude = 0.0
        self._target = 0.0
        self.noise = Noise(SILENCE)

    def describe(self, noise: Noise) -> None:
        """From now on it sounds like this. The spectrum belongs to the rate at which it was measured."""
        if noise.coefficients != self.noise.coefficients:
            self._response = _response(noise.coefficients)
        self.noise = noise
        self._target = 0.0 if noise.level >= SILENCE else 32768.0 * 10.0 ** (-noise.level / 20.0)

    def make(self, count: int) -> Samples:
        """The next samples."""
        if not self._target and not self._amplitude:
            return silence(count)
        excitation = np.concatenate((self._tail, self._random.standard_normal(count)))
        self._tail = excitation[count:]
        shaped = np.convolve(excitation, self._response, mode="valid")
        shaped *= self._gains(count)
        return np.clip(np.rint(shaped), -32768, 32767).astype(np.int16)

    def _gains(self, count: int) -> _Signal | float:
        if self._amplitude == self._target:
            return self._target
        change = max(1, int(self._CHANGE * self._rate))
        steps = np.minimum(np.arange(1, count + 1) / change, 1.0)
        gains: _Signal = self._amplitude + (self._target - self._amplitude) * steps
        self._amplitude = self._target if count >= change else float(gains[-1])
        return gains


class SilenceSuppression:
    """What has to be sent for every frame of one stream: the frame, a CN payload, or nothing.

    Section 5: "At the beginning of an inactive voice segment (silence period), a CN packet is transmitted"; then again
    when the background has changed, and at least every `refresh` seconds.
    """

    __slots__ = ("_activity", "_rate", "_refresh", "_sent", "_since")

    #: dB by which the background has to change for an update.
    _CHANGED: Final = 3

    def __init__(self, rate: int, refresh: float = 1.0) -> None:
        self._activity = VoiceActivity(rate)
        self._rate = rate
        self._refresh = refresh
        self._sent: Noise | None = None
        self._since = 0.0

    def decide(self, samples: Samples) -> bytes | None:
        """None: send the samples. Octets: send this CN payload instead. b"": send nothing."""
        if self._activity.heard(samples):
            self._sent = None
            return None
        self._since += len(samples) / self._rate
        if self._sent is not None and self._since < self._refresh:
            if abs(level(samples) - self._sent.level) < self._CHANGED:
                return b""
        self._sent = describe(samples)
        self._since = 0.0
        return build(self._sent)
