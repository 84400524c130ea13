"""Tones to play, and ears: was this tone in what a phone recorded?"""

from __future__ import annotations

import array
import math
import struct
import wave
from pathlib import Path

from tests.interop.peers.program import wait_until

RATE = 8000
LISTEN_SECONDS = 0.5


def write_tone(path: Path, hertz: float, seconds: float = 60.0, rate: int = RATE, channels: int = 1) -> Path:
    """Write a sine of `hertz` at half amplitude as 16-bit WAV, the same in each channel."""
    period = [round(16000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(rate)]  # whole hertz: one second
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        both = [sample for sample in period for _ in range(channels)]
        file.writeframes(struct.pack(f"<{rate * channels}h", *both) * int(seconds))
    return path


def read_samples(path: Path, unwritten_rate: int = RATE) -> tuple[int, array.array[int]]:
    """Rate and samples of the first channel of a 16-bit WAV, which may still be growing: (0, none) when too short.

    The lengths in the header of a growing file are not right yet, so what lies after the header of the data is taken.
    Linphone writes the header at the end only: until then there are 44 zeros, and the sound is mono, of the rate that
    goes with the codec in use (`unwritten_rate`).
    """
    samples: array.array[int] = array.array("h")
    content = path.read_bytes() if path.exists() else b""
    format_at, data_at = content.find(b"fmt "), content.find(b"data")
    if len(content) > 44 and not any(content[:44]):
        samples.frombytes(content[44 : len(content) // 2 * 2])
        return unwritten_rate, samples
    if format_at < 0 or data_at < 0:
        return 0, samples
    channels, rate = struct.unpack_from("<HI", content, format_at + 10)
    body = content[data_at + 8 :]
    samples.frombytes(body[: len(body) // (2 * channels) * (2 * channels)])
    return rate, samples[::channels]


def share_of_tone(samples: array.array[int], rate: int, hertz: float) -> float:
    """How much of the energy of the samples lies at `hertz` (Goertzel's algorithm): 1 a pure tone, 0 silence."""
    energy = sum(sample * sample for sample in samples)
    if not energy:
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hertz / rate)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    power = last * last + before * before - coefficient * last * before
    return 2 * power / (len(samples) * energy)


def hears(path: Path, hertz: float) -> bool:
    """Whether the last half second recorded in `path` is that tone."""
    rate, samples = read_samples(path)
    length = int(rate * LISTEN_SECONDS)
    if not rate or len(samples) < length:
        return False
    return share_of_tone(samples[-length:], rate, hertz) > 0.8


def wait_for_tone(path: Path, hertz: float, seconds: float = 15.0) -> None:
    """Wait until the recording `path` ends with half a second of the tone. PeerError when that does not come."""

    def heard() -> str:
        rate, samples = read_samples(path)
        share = share_of_tone(samples[-rate:], rate, hertz) if rate else 0.0
        return f"{len(samples)} samples at {rate}/s, {share:.2f} of the energy of the last second at {hertz} Hz"

    wait_until(lambda: hears(path, hertz), seconds, f"tone of {hertz} Hz in {path.name}", heard)
