"""Levels in dBov, and voice activity."""

import numpy as np
import pytest

from ringback.media.levels import VoiceActivity, decibels, level, peak
from ringback.media.samples import Samples, silence
from tests.media.sounds import in_frames, noise, sine, speech


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.tile(np.array([32767, -32768], dtype=np.int16), 80), 0),
        (sine(1000, 8000, 0.1, 32767), 3),
        (sine(1000, 8000, 0.1, 3277), 23),
        (silence(160), 127),
        (silence(0), 127),
        (np.array([1] + [0] * 159, dtype=np.int16), 112),
    ],
)
def test_levels_as_rfc_6464_has_them(samples: Samples, expected: int) -> None:
    assert level(samples) == expected
    assert round(-decibels(samples)) == expected


def test_peaks() -> None:
    assert peak(sine(1000, 8000, 0.1, 16384)) == pytest.approx(-6.02, abs=0.01)
    assert peak(np.array([-32768], dtype=np.int16)) == 0.0
    assert (peak(silence(160)), peak(silence(0))) == (-127.0, -127.0)


def activity(samples: Samples, rate: int = 8000, **options: float) -> list[bool]:
    voice = VoiceActivity(rate, **options)
    return [voice.heard(frame) for frame in in_frames(samples, rate // 50)]


def test_silence_is_no_speech() -> None:
    assert not any(activity(silence(16000)))


@pytest.mark.parametrize("deviation", [10, 100, 1000])
def test_steady_noise_is_no_speech_once_it_is_known(deviation: int) -> None:
    assert not any(activity(noise(48000, deviation))[250:])


@pytest.mark.parametrize(("rate", "background"), [(8000, 0), (8000, 60), (16000, 60), (48000, 30)])
def test_speech_is_found_and_pauses_are_too(rate: int, background: int) -> None:
    spoken = speech(rate, "Good morning, how are you today?")
    pause = silence(2 * rate)
    samples = np.concatenate((pause, spoken, pause, spoken, pause)).astype(np.int32)
    if background:
        samples += noise(len(samples), background)
    found = activity(np.clip(samples, -32768, 32767).astype(np.int16), rate)
    length = len(spoken) * 50 // rate
    first = slice(110, 90 + length)
    assert sum(found[first]) > 0.75 * len(found[first])
    assert sum(found[50:95]) == 0
    # The hang-over is over after a fifth of a second; the end of the recording itself is silent.
    assert sum(found[100 + length + 20 : 195 + length]) == 0


def test_activity_goes_on_for_the_hangover() -> None:
    samples = np.concatenate((silence(8000), sine(300, 8000, 0.1), silence(8000)))
    found = activity(samples, hangover=0.1)
    assert found.index(True) == 50
    assert sum(found) == 5 + 4


def test_a_frame_of_nothing_changes_nothing() -> None:
    voice = VoiceActivity(8000)
    voice.heard(sine(300, 8000, 0.02))
    before = voice.background
    assert voice.heard(silence(0)) is voice.active is True
    assert voice.background == before
