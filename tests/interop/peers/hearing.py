"""Ears with a memory: which tones are in a recording and for how long, how loud it is, where it is silent."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tests.interop.peers.program import PeerError, wait_until
from tests.interop.peers.sound import RATE, read_samples

Sound = npt.NDArray[np.float64]

WINDOW_SECONDS = 0.04
STEP_SECONDS = 0.01
TOLERANCE_HERTZ = 40.0
"""A window of 40 ms tells apart what lies 25 Hz apart; its own shape (Hann) spreads a tone over two more steps."""
SILENCE_DB = -50.0
DTMF_ROWS = (697, 770, 852, 941)
DTMF_COLUMNS = (1209, 1336, 1477, 1633)
DTMF_KEYS = ("123A", "456B", "789C", "*0#D")


class Span(NamedTuple):
    """From when to when, in seconds from the beginning of the recording."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end - self.start


@dataclass(frozen=True)
class Hearing:
    """What was recorded: one channel, full scale is 1."""

    samples: Sound
    rate: int

    def __repr__(self) -> str:
        return f"<{self.seconds:.2f} s at {self.rate}/s, {self.level:.0f} dB>"

    @classmethod
    def of(cls, samples: npt.ArrayLike, rate: int) -> Hearing:
        """From 16-bit samples."""
        return cls(np.asarray(samples, dtype=np.float64) / 32768, rate)

    @classmethod
    def read(cls, *paths: Path, unwritten_rate: int = RATE) -> Hearing:
        """From 16-bit WAVs, the first channel of each, one after the other; they may still be growing.

        `unwritten_rate`: that of a file whose header is written at its end only. PeerError when the rates differ.
        """
        parts, rates = [], set()
        for path in paths:
            rate, samples = read_samples(path, unwritten_rate)
            if rate and len(samples):
                parts.append(np.frombuffer(samples.tobytes(), dtype=np.int16))
                rates.add(rate)
        if len(rates) > 1:
            raise PeerError(f"recordings of different rates: {sorted(rates)}")
        joined = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
        return cls.of(joined, rates.pop() if rates else unwritten_rate)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    @property
    def level(self) -> float:
        """Its loudness where it is not silent, in dB below full scale: -9 is a sine of half amplitude."""
        heard = self.samples[np.abs(self.samples) > 10 ** (SILENCE_DB / 20)]
        return float(10 * np.log10(np.mean(heard**2))) if len(heard) else -np.inf

    def part(self, start: float, end: float | None = None) -> Hearing:
        """From `start` to `end`, in seconds; negative ones count from the end."""
        last = None if end is None else int(end * self.rate)
        return Hearing(self.samples[int(start * self.rate) : last], self.rate)

    def spans_of(self, *hertz: float, share: float = 0.8, least: float = 0.05) -> list[Span]:
        """When these frequencies together carry `share` of what is heard, each of them a tenth of it at least.

        Spans that are shorter than `least` seconds are not counted, nor do interruptions of 20 ms count.
        """
        powers, frequencies = self._spectra()
        total = powers.sum(axis=1) + 1e-20
        each = [powers[:, np.abs(frequencies - one) <= TOLERANCE_HERTZ].sum(axis=1) / total for one in hertz]
        there = (np.sum(each, axis=0) >= share) & (np.min(each, axis=0) >= 0.1) & self._loud(powers)
        return [span for span in _spans(there, bridge=2) if span.seconds >= least]

    def seconds_of(self, *hertz: float, share: float = 0.8) -> float:
        """For how long these frequencies are heard, in all."""
        return sum(span.seconds for span in self.spans_of(*hertz, share=share))

    def silences(self, least: float = 0.03) -> list[Span]:
        """The gaps between the first and the last sound that last at least so many seconds."""
        powers, _ = self._spectra()
        loud = np.flatnonzero(self._loud(powers))
        if not len(loud):
            return []
        quiet = ~self._loud(powers)
        quiet[: loud[0]] = False
        quiet[loud[-1] :] = False
        # A window is quiet when all of it is: the gap is longer by that.
        widened = (Span(span.start - WINDOW_SECONDS / 2, span.end + WINDOW_SECONDS / 2) for span in _spans(quiet))
        return [span for span in widened if span.seconds >= least]

    def ends_with(self, hertz: float, seconds: float) -> bool:
        """Whether the last seconds are this tone."""
        end = self.part(-seconds)
        return self.seconds >= seconds and end.seconds_of(hertz) >= 0.8 * (seconds - WINDOW_SECONDS)

    def dtmf(self) -> str:
        """The keys whose chords are in it, in order."""
        found = []
        for row, keys in zip(DTMF_ROWS, DTMF_KEYS, strict=True):
            for column, key in zip(DTMF_COLUMNS, keys, strict=True):
                found += [(span.start, key) for span in self.spans_of(row, column, share=0.7, least=0.03)]
        return "".join(key for _, key in sorted(found))

    def _spectra(self) -> tuple[Sound, Sound]:
        """Power of each window at each frequency, and the frequencies."""
        length, step = int(WINDOW_SECONDS * self.rate), int(STEP_SECONDS * self.rate)
        if len(self.samples) < length:
            return np.zeros((0, length // 2 + 1)), np.fft.rfftfreq(length, 1 / self.rate)
        windows = np.lib.stride_tricks.sliding_window_view(self.samples, length)[::step]
        shape = np.hanning(length)
        powers = np.abs(np.fft.rfft(windows * shape, axis=1)) ** 2 / (shape.sum() ** 2 / 2)
        return powers, np.fft.rfftfreq(length, 1 / self.rate)

    @staticmethod
    def _loud(powers: Sound) -> npt.NDArray[np.bool_]:
        return np.asarray(10 * np.log10(powers.max(axis=1, initial=0) / 2 + 1e-20) > SILENCE_DB)


def _spans(there: npt.NDArray[np.bool_], bridge: int = 0) -> list[Span]:
    """Runs of true values as times; `bridge` false ones in a row do not interrupt."""
    found: list[Span] = []
    for index in np.flatnonzero(there):
        start, end = float(index * STEP_SECONDS), float((index + 1) * STEP_SECONDS)
        if found and start - found[-1].end <= bridge * STEP_SECONDS + 1e-9:
            found[-1] = Span(found[-1].start, end)
        else:
            found.append(Span(start, end))
    return found


def write_wav(path: Path, sound: Sound, rate: int, channels: int = 1) -> Path:
    """Write samples, full scale 1, as 16-bit WAV with the same in each channel."""
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.repeat(samples, channels).tobytes())
    return path


def chord(hertz: Sequence[float], seconds: float, rate: int = RATE, level: float = 0.5) -> Sound:
    """Sines of these frequencies together, `level` at most; nothing but silence where there are none."""
    times = np.arange(round(seconds * rate)) / rate
    waves = [np.sin(2 * np.pi * one * times) for one in hertz]
    return level * np.mean(waves, axis=0) if waves else np.zeros(len(times))


def keys(digits: str, seconds: float = 0.1, pause: float = 0.1, rate: int = RATE) -> Sound:
    """The chords of a telephone's keys (ITU-T Q.23), with silence between them."""
    parts = []
    for digit in digits:
        row = next(index for index, line in enumerate(DTMF_KEYS) if digit in line)
        both = (DTMF_ROWS[row], DTMF_COLUMNS[DTMF_KEYS[row].index(digit)])
        parts += [chord(both, seconds, rate), chord((), pause, rate)]
    return np.concatenate(parts)


def wait_to_hear(listen: Callable[[], Hearing], hertz: float, seconds: float = 0.4, *, within: float = 10.0) -> Hearing:
    """Wait until so many more seconds are recorded and are that tone; gives all of it. PeerError otherwise."""
    heard = listen()
    before = heard.seconds

    def ends_with_it() -> bool:
        nonlocal heard, before
        heard = listen()
        before = min(before, heard.seconds)  # another recording has begun
        return heard.seconds >= before + seconds and heard.ends_with(hertz, seconds)

    wait_until(ends_with_it, within, f"{hertz} Hz", lambda: f"{before:.2f} s, then {heard}: {heard.spans_of(hertz)}")
    return heard
