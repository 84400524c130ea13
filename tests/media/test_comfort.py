"""Comfort noise: measured, made again, and sent in place of silence."""

import numpy as np
import pytest

from ringback.media.codecs.cn import Noise, build, parse
from ringback.media.comfort import ComfortNoise, SilenceSuppression, describe
from ringback.media.levels import level
from ringback.media.samples import Samples, silence
from tests.media.sounds import in_frames, noise, sine


def coloured(count: int, correlation: float, deviation: float = 500.0) -> Samples:
    """Noise of the first order: each sample is so much of the one before, and chance."""
    chance = np.random.default_rng(5).normal(0, deviation * np.sqrt(1 - correlation**2), count)
    samples = np.zeros(count)
    for place in range(1, count):
        samples[place] = correlation * samples[place - 1] + chance[place]
    return np.rint(samples).astype(np.int16)


def spectrum(samples: Samples) -> np.ndarray:
    """Mean power in 16 bands, in dB."""
    powers = [np.square(np.abs(np.fft.rfft(frame * np.hanning(256)))) for frame in in_frames(samples, 256)]
    return 10 * np.log10(np.mean(powers, axis=0)[:128].reshape(16, 8).mean(axis=1))


def test_white_noise_has_no_coefficients_to_speak_of() -> None:
    noted = describe(noise(16000, 500))
    assert noted.level == level(noise(16000, 500)) == 36
    assert np.abs(noted.coefficients).max() < 0.05


def test_the_first_coefficient_is_minus_the_correlation_of_neighbours() -> None:
    assert describe(coloured(16000, 0.7)).coefficients[0] == pytest.approx(-0.7, abs=0.03)
    assert describe(coloured(16000, -0.5)).coefficients[0] == pytest.approx(0.5, abs=0.03)
    assert np.abs(describe(coloured(16000, 0.7)).coefficients[1:]).max() < 0.05


def test_the_order_can_be_chosen() -> None:
    assert describe(noise(160), order=0).coefficients == ()
    assert len(describe(noise(160), order=4).coefficients) == 4


@pytest.mark.parametrize("samples", [silence(160), silence(0), np.full(160, 7, dtype=np.int16), sine(1000, 8000, 0.02)])
def test_anything_can_be_described(samples: Samples) -> None:
    noted = describe(samples)
    assert all(-1 <= coefficient <= 1 for coefficient in noted.coefficients)
    parse(build(noted))
    maker = ComfortNoise(8000)
    maker.describe(noted)
    assert len(maker.make(160)) == 160


@pytest.mark.parametrize("correlation", [0.9, 0.5, -0.6])
def test_what_was_measured_is_made_again(correlation: float) -> None:
    original = coloured(32000, correlation)
    maker = ComfortNoise(8000)
    maker.describe(parse(build(describe(original))))
    maker.make(160)
    made = np.concatenate([maker.make(160) for _ in range(200)])
    assert abs(level(made) - level(original)) <= 1
    assert np.abs(spectrum(made) - spectrum(original)).max() < 3


@pytest.mark.parametrize("loud", [10, 40, 70])
def test_the_level_alone_makes_white_noise(loud: int) -> None:
    maker = ComfortNoise(8000)
    maker.describe(Noise(loud))
    maker.make(160)
    made = np.concatenate([maker.make(160) for _ in range(100)])
    assert level(made) == loud
    if loud == 40:
        assert np.ptp(spectrum(made)) < 3


def test_until_it_is_described_there_is_silence() -> None:
    assert ComfortNoise(8000).make(160).tolist() == [0] * 160


def test_digital_silence_is_silent() -> None:
    maker = ComfortNoise(8000)
    maker.describe(Noise(40))
    maker.make(160)
    maker.describe(Noise(127))
    assert np.abs(maker.make(160)[:40]).max() > 0
    assert maker.make(160).tolist() == [0] * 160


def test_the_level_changes_within_20_ms_and_without_a_step() -> None:
    maker = ComfortNoise(8000)
    maker.describe(Noise(20))
    rising = maker.make(160)
    assert level(rising[:10]) > level(rising[80:]) + 10
    assert level(maker.make(1600)) == pytest.approx(20, abs=1)


def test_in_pieces_it_changes_as_well() -> None:
    maker = ComfortNoise(8000)
    maker.describe(Noise(20))
    for _ in range(2000):
        maker.make(1)
    assert level(maker.make(1600)) == pytest.approx(20, abs=1)


def test_the_same_seed_makes_the_same_noise() -> None:
    first, second, third = ComfortNoise(8000, 7), ComfortNoise(8000, 7), ComfortNoise(8000, 8)
    for maker in (first, second, third):
        maker.describe(Noise(30))
    made = first.make(160)
    assert np.array_equal(made, second.make(160))
    assert not np.array_equal(made, third.make(160))


@pytest.mark.parametrize("coefficients", [(-0.999,) * 24, (0.999, -0.999) * 12, (-0.99,), (0.99,) * 2])
def test_the_most_extreme_models_stay_finite(coefficients: tuple[float, ...]) -> None:
    maker = ComfortNoise(8000)
    maker.describe(Noise(30, coefficients))
    maker.make(160)
    made = np.concatenate([maker.make(160) for _ in range(50)])
    assert abs(level(made) - 30) <= 8


# what is sent -----------------------------------------------------------------------------------------------------


def decisions(samples: Samples, rate: int = 8000) -> list[bytes | None]:
    suppression = SilenceSuppression(rate)
    return [suppression.decide(frame) for frame in in_frames(samples, rate // 50)]


def test_speech_is_sent_and_silence_is_described_once_a_second() -> None:
    tone = sine(300, 8000, 1.0)
    decided = decisions(np.concatenate((tone, silence(16000), tone)))
    # One second of speech and a fifth of hang-over, of which the last frame is what is described.
    assert decided[:59] == [None] * 59
    assert [(place, payload) for place, payload in enumerate(decided) if payload] == [(59, b"\x7f"), (109, b"\x7f")]
    assert None not in decided[59:150]
    assert decided[150:] == [None] * 50


def test_a_change_of_the_background_is_told() -> None:
    samples = np.concatenate((noise(24000, 20), noise(24000, 3)))
    decided = decisions(samples)
    levels = [parse(payload).level for payload in decided[:150] if payload]
    assert len(levels) == 3 and max(levels) - min(levels) <= 1
    change = next(place for place, payload in enumerate(decided[150:]) if payload and parse(payload).level > 75)
    assert change <= 1
