"""From one sampling rate to another: a windowed sinc in polyphase form, streaming, with NumPy alone.

The ratio of the rates in lowest terms is L/M: from every M samples come L. The low-pass filter at L times the first
rate is cut into L phases, of which each output sample needs one; a block of outputs is one product of a matrix (the
samples around it) and another (the phases, each where its samples are), which is the fastest that NumPy can do. Ratios
without small terms (44,056 to 8,000) would need huge matrices; for them a filter with 512 phases is interpolated.

What is above half of the lower rate is down by 70 dB; speech at 8,000 passes up to 3,450 Hz. The delay is 32 samples at
the lower rate: 4 ms at 8,000. The same rate costs nothing and delays nothing.
"""

from __future__ import annotations

import functools
from math import gcd
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ringback.errors import LocalError
from ringback.media.samples import Samples, silence

__all__ = ["Resampler", "resample"]

_Signal: TypeAlias = NDArray[np.float32]

LOWEST_RATE: Final = 1000
HIGHEST_RATE: Final = 384000
#: Samples at the lower rate that one sample is made of.
_TAPS: Final = 64
# Kaiser's formulas for 70 dB: the shape of the window, and from it how far below half of the rate the middle of the
# slope has to be, so that it ends there.
_ATTENUATION: Final = 70.0
_BETA: Final = 0.1102 * (_ATTENUATION - 8.7)
_SLOPE: Final = (_ATTENUATION - 7.95) / (2.285 * 2 * np.pi * _TAPS)
#: Blocks are at least so many to a second: 2.5 ms, of which every packet holds a whole number.
_BLOCKS_A_SECOND: Final = 400
#: Phases that are interpolated between where the matrix would have more than so many places.
_LARGEST_MATRIX: Final = 200_000
_PHASES: Final = 512


class Resampler:
    """Converts one stream.

    delay  by how many seconds the sound comes later
    """

    __slots__ = ("_converter", "delay", "from_rate", "to_rate")

    def __init__(self, from_rate: int, to_rate: int) -> None:
        for rate in (from_rate, to_rate):
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise LocalError(f"a sampling rate is {LOWEST_RATE} to {HIGHEST_RATE} Hz, not {rate}")
        self.from_rate = from_rate
        self.to_rate = to_rate
        self._converter: _Blocks | _Interpolation | None = None
        self.delay = 0.0
        if from_rate != to_rate:
            self._converter = _converter(from_rate, to_rate)
            self.delay = _width(from_rate, to_rate) / 2 / from_rate

    def process(self, samples: Samples) -> Samples:
        """What these samples become. A few may be kept for the next call; none of whole frames of 10 ms."""
        if self._converter is None:
            return samples
        return self._converter.process(samples.astype(np.float32))

    def finish(self) -> Samples:
        """What is still inside. The resampler is as new afterwards."""
        if self._converter is None:
            return silence(0)
        # As many zeros as the filter is long, and then up to the end of a block.
        wanted = round(self._converter.held() * self.to_rate / self.from_rate + self.delay * self.to_rate)
        last = self._converter.process(np.zeros(self._converter.tail, dtype=np.float32))[:wanted]
        self._converter = _converter(self.from_rate, self.to_rate)
        return last


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """All of a sound at once, without delay: as long as it was."""
    resampler = Resampler(from_rate, to_rate)
    if from_rate == to_rate:
        return samples
    wanted = round(len(samples) * to_rate / from_rate)
    converted = np.concatenate((resampler.process(samples), resampler.finish()))
    late = round(resampler.delay * to_rate)
    return converted[late : late + wanted]


class _Blocks:
    """By matrices: every `_step` samples become `_made`."""

    __slots__ = ("_matrix", "_pending", "_step", "_width", "tail")

    def __init__(self, matrix: _Signal, step: int) -> None:
        self._matrix = matrix
        self._step = step
        self._width = len(matrix)
        # Before the first sample there was silence.
        self._pending = np.zeros(self._width - step, dtype=np.float32)
        #: Zeros that press out all that is inside.
        self.tail = self._width + step

    def held(self) -> int:
        """Samples that wait for the rest of their block."""
        return len(self._pending) - (self._width - self._step)

    def process(self, samples: _Signal) -> Samples:
        pending = np.concatenate((self._pending, samples))
        blocks = (len(pending) - self._width) // self._step + 1
        if blocks <= 0:
            self._pending = pending
            return silence(0)
        self._pending = pending[blocks * self._step :]
        step = pending.strides[0]
        around = np.lib.stride_tricks.as_strided(
            pending, (blocks, self._width), (self._step * step, step), writeable=False
        )
        return _rounded(np.ascontiguousarray(around) @ self._matrix)


class _Interpolation:
    """By interpolated phases: for any two rates."""

    __slots__ = ("_from", "_pending", "_phase", "_to", "tail")

    def __init__(self, from_rate: int, to_rate: int) -> None:
        common = gcd(from_rate, to_rate)
        self._from, self._to = from_rate // common, to_rate // common
        width = _phases(self._from, self._to).shape[1]
        # Before the first sample there was silence.
        self._pending = np.zeros(width - 1, dtype=np.float32)
        #: By how much the next output is behind the middle of the first window, in parts of a sample: 1/_to each.
        self._phase = 0
        self.tail = width + 1

    def held(self) -> int:
        return 0

    def process(self, samples: _Signal) -> Samples:
        phases = _phases(self._from, self._to)
        width = phases.shape[1]
        pending = np.concatenate((self._pending, samples))
        # Outputs whose window ends within what there is.
        room = (len(pending) - width + 1) * self._to - self._phase
        count = max(0, -(-room // self._from))
        places = self._phase + self._from * np.arange(count, dtype=np.int64)
        starts, parts = np.divmod(places, self._to)
        lower, between = np.divmod(parts * (_PHASES / self._to), 1.0)
        lower = lower.astype(np.int64)
        windows = pending[starts[:, None] + np.arange(width)]
        part = between.astype(np.float32)[:, None]
        filters = phases[lower] * (1 - part) + phases[lower + 1] * part
        made = np.einsum("ij,ij->i", windows, filters)
        after = self._phase + self._from * count
        used = min(after // self._to, len(pending))
        self._phase = after - used * self._to
        self._pending = pending[used:]
        return _rounded(made)


def _converter(from_rate: int, to_rate: int) -> _Blocks | _Interpolation:
    common = gcd(from_rate, to_rate)
    together = max(1, common // _BLOCKS_A_SECOND)
    step, made = from_rate // common * together, to_rate // common * together
    if (step + _width(from_rate, to_rate)) * made > _LARGEST_MATRIX:
        return _Interpolation(from_rate, to_rate)
    return _Blocks(_matrix(from_rate, to_rate, step, made), step)


def _width(from_rate: int, to_rate: int) -> int:
    """How many samples at the first rate one output is made of."""
    return -(-_TAPS * from_rate // min(from_rate, to_rate))


def _filter(offsets: NDArray[np.float64], from_rate: int, to_rate: int) -> NDArray[np.float64]:
    """The low-pass filter at so many samples (of the first rate) from its middle; 0 outside its window."""
    lower = min(from_rate, to_rate) / from_rate
    half = _TAPS / 2 / lower
    cut = lower * (1 - _SLOPE)
    inside = np.maximum(0.0, 1 - np.square(offsets / half))
    shape: NDArray[np.float64] = np.where(inside > 0, np.i0(_BETA * np.sqrt(inside)), 0.0) / np.i0(_BETA)
    return np.asarray(np.sinc(cut * offsets) * cut * shape)


@functools.lru_cache(maxsize=32)
def _matrix(from_rate: int, to_rate: int, step: int, made: int) -> _Signal:
    """For each output of a block, the weights of the samples around it."""
    width = _width(from_rate, to_rate)
    # Output number p lies p*step/made samples behind the middle of the first window.
    places = np.arange(made) * step / made
    offsets = np.arange(width + step)[:, None] - width / 2 - places[None, :]
    matrix = _filter(offsets, from_rate, to_rate)
    # Each phase lets a constant through as it is.
    matrix /= matrix.sum(axis=0)
    weights = matrix.astype(np.float32)
    weights.setflags(write=False)
    return weights


@functools.lru_cache(maxsize=32)
def _phases(from_rate: int, to_rate: int) -> _Signal:
    """The filter in phases of 1/512 sample, one more than that so that there is one after each."""
    width = _width(from_rate, to_rate)
    offsets = np.arange(width + 1)[None, :] - width / 2 - np.arange(_PHASES + 1)[:, None] / _PHASES
    phases = _filter(offsets, from_rate, to_rate)
    phases /= phases.sum(axis=1, keepdims=True)
    weights = phases.astype(np.float32)
    weights.setflags(write=False)
    return weights


def _rounded(made: _Signal) -> Samples:
    flat = made.ravel()
    np.rint(flat, out=flat)
    np.maximum(flat, -32768, out=flat)
    np.minimum(flat, 32767, out=flat)
    return flat.astype(np.int16)
