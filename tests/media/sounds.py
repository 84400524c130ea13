"""Sounds for tests, and what can be measured of them."""

import shutil
import subprocess
import wave
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from ringback.media.samples import Samples

SENTENCES = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. It is easy to tell the "
    "depth of a well. These days a chicken leg is a rare dish. Rice is often served in round bowls."
)


def sine(frequency: float, rate: int, seconds: float, amplitude: float = 10000.0, phase: float = 0.0) -> Samples:
    """A pure tone."""
    places = np.arange(round(rate * seconds))
    return np.rint(amplitude * np.sin(2 * np.pi * frequency * places / rate + phase)).astype(np.int16)


def noise(count: int, deviation: float = 1000.0, seed: int = 1) -> Samples:
    """White noise of that root mean square."""
    values = np.random.default_rng(seed).normal(0, deviation, count)
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16)


def rms(samples: Samples) -> float:
    """The root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def ratio(signal: Samples, same: Samples) -> float:
    """Signal to error, in dB, of two that should be the same."""
    error = rms(signal.astype(np.int32) - same.astype(np.int32))
    return 20 * np.log10(rms(signal) / max(error, 1e-9))


def level_at(samples: Samples, frequency: float, rate: int) -> float:
    """The amplitude of the sine of that frequency in the samples, seen through a window with a narrow skirt."""
    window = np.blackman(len(samples))
    turning = np.exp(-2j * np.pi * frequency / rate * np.arange(len(samples)))
    return float(2 * abs(np.sum(samples * window * turning)) / np.sum(window))


def in_frames(samples: Samples, length: int) -> list[Samples]:
    """Whole frames; the rest is left out."""
    return [samples[start : start + length] for start in range(0, len(samples) - length + 1, length)]


@cache
def speech(rate: int, text: str = SENTENCES, voice: str = "en") -> Samples:
    """Spoken text, mono at that rate. The test is skipped where espeak-ng is missing."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("not installed: espeak-ng")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), text], check=True, timeout=60)
        with wave.open(str(path)) as file:
            spoken = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
            spoken_rate = file.getframerate()
    # By Fourier transform, so that the tests of our resampler do not rest on it.
    spectrum = np.fft.rfft(spoken)
    count = len(spoken) * rate // spoken_rate
    wanted = np.zeros(count // 2 + 1, dtype=complex)
    shared = min(len(wanted), len(spectrum))
    wanted[:shared] = spectrum[:shared]
    samples = np.fft.irfft(wanted, count) * (count / len(spoken))
    return np.rint(samples * (20000 / np.abs(samples).max())).astype(np.int16)
