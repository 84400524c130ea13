"""Speech to say, and how much of it can be understood where it arrives (STOI)."""

from __future__ import annotations

import hashlib
import subprocess
from math import gcd
from pathlib import Path

import numpy as np
from pystoi import stoi
from scipy.signal import correlate, resample_poly

from tests.interop.peers.hearing import Hearing, Sound, write_wav

SENTENCE = "Four hours of steady work faced us."
"""Of the Harvard sentences (IEEE 269); it takes two seconds."""
INTELLIGIBLE = 0.9
"""Above this, practically every word is understood; G.711 without loss measures 0.98 and more."""
_PIECE_SECONDS = 0.5
_SHIFT_SECONDS = 0.05


def speak(
    directory: Path, rate: int, *, channels: int = 1, text: str = SENTENCE, lead: float = 0.3, tail: float = 0.0
) -> Path:
    """A WAV of that rate in which espeak-ng says the text, after `lead` and before `tail` seconds of silence.

    It is made once in each directory. The level is that of speech on a line: -20 dB where it speaks.
    """
    name = hashlib.blake2b(f"{rate} {channels} {lead} {tail} {text}".encode(), digest_size=8).hexdigest()
    path = directory / f"speech-{name}.wav"
    if path.exists():
        return path
    raw = directory / f"raw-{name}.wav"
    subprocess.run(["espeak-ng", "-v", "en", "-s", "165", "-w", raw, text], check=True, capture_output=True, timeout=30)
    heard = Hearing.read(raw)
    raw.unlink()
    sound = resampled(heard, rate).samples * 10 ** ((-20 - heard.level) / 20)
    parts = [np.zeros(round(lead * rate)), sound, np.zeros(round(tail * rate))]
    return write_wav(path, np.concatenate(parts), rate, channels)


def resampled(heard: Hearing, rate: int) -> Hearing:
    """The same at another rate."""
    if rate == heard.rate:
        return heard
    common = gcd(rate, heard.rate)
    return Hearing(resample_poly(heard.samples, rate // common, heard.rate // common), rate)


def aligned(said: Sound, heard: Sound, rate: int) -> Sound:
    """What was heard, laid over what was said: as a whole, then each half second within 50 ms.

    The second step follows a playout that was stretched or shortened; what was lost stays lost.
    """
    lag = int(np.argmax(correlate(heard, said, mode="full"))) - (len(said) - 1)
    piece, reach = int(_PIECE_SECONDS * rate), int(_SHIFT_SECONDS * rate)
    padded = np.pad(heard, (max(0, -lag) + reach, len(said) + reach))
    origin = lag + max(0, -lag) + reach
    found = np.zeros(len(said))
    for start in range(0, len(said), piece):
        wanted = said[start : start + piece]
        at = origin + start
        around = padded[max(0, at - reach) : at + len(wanted) + reach]
        if len(around) < len(wanted):
            break
        shift = 0
        if np.any(wanted) and np.any(around):
            shift = int(np.argmax(correlate(around, wanted, mode="valid")))
        else:
            shift = min(reach, len(around) - len(wanted))
        found[start : start + len(wanted)] = around[shift : shift + len(wanted)]
    return found


def intelligibility(said: Hearing, heard: Hearing) -> float:
    """STOI of what was heard: 1 as said, 0 noise. Both are compared at the lower of the two rates."""
    rate = min(said.rate, heard.rate)
    reference, received = resampled(said, rate).samples, resampled(heard, rate).samples
    if not np.any(received):
        return 0.0
    return float(stoi(reference, aligned(reference, received, rate), rate, extended=False))
