"""Resampling: what passes, what must not, and that a stream is the same however it is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.errors import LocalError
from ringback.media.resample import Resampler, resample
from ringback.media.samples import Samples, silence
from tests.media.sounds import level_at, noise, ratio, rms, sine

RATES = [8000, 16000, 24000, 32000, 44100, 48000]
PAIRS = [(a, b) for a in RATES for b in RATES if a != b]
#: Their terms are so large that phases are interpolated.
AWKWARD = [(44056, 8000), (8000, 44056), (11127, 16000)]


def middle(samples: Samples) -> Samples:
    """Without the ends, where the filter sees silence."""
    edge = len(samples) // 8
    return samples[edge:-edge]


def without(samples: Samples, frequency: float, rate: int) -> float:
    """The root mean square of what is there besides the tone."""
    places = 2 * np.pi * frequency / rate * np.arange(len(samples))
    waves = np.stack([np.cos(places), np.sin(places)], axis=1)
    share, *_ = np.linalg.lstsq(waves, samples.astype(np.float64), rcond=None)
    return float(np.sqrt(np.mean(np.square(samples - waves @ share))))


@pytest.mark.parametrize(("first", "second"), PAIRS + AWKWARD)
def test_a_tone_keeps_its_level_up_to_the_edge_of_the_band(first: int, second: int) -> None:
    for frequency in (300.0, 0.25 * min(first, second), 0.43 * min(first, second)):
        heard = middle(resample(sine(frequency, first, 0.4), first, second))
        assert level_at(heard, frequency, second) == pytest.approx(10000, rel=0.02)
        assert 20 * np.log10(without(heard, frequency, second) / rms(heard)) < -60


@pytest.mark.parametrize(("first", "second"), [(a, b) for a, b in PAIRS + AWKWARD if a > b])
def test_what_the_lower_rate_cannot_hold_is_down_by_60_db(first: int, second: int) -> None:
    for frequency in np.linspace(0.5 * second, 0.5 * first, 9)[:-1]:
        loud = sine(float(frequency), first, 0.2, 30000)
        assert 20 * np.log10((rms(middle(resample(loud, first, second))) + 1e-9) / rms(loud)) < -60


@pytest.mark.parametrize(("first", "second"), PAIRS + AWKWARD)
def test_nothing_is_delayed_when_all_is_there_at_once(first: int, second: int) -> None:
    heard = resample(sine(440, first, 0.3), first, second)
    wanted = sine(440, second, 0.3)
    assert len(heard) == pytest.approx(len(wanted), abs=1)
    assert ratio(middle(wanted[: len(heard)]), middle(heard)) > 30


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("milliseconds", [10, 20])
def test_whole_frames_become_whole_frames(first: int, second: int, milliseconds: int) -> None:
    resampler = Resampler(first, second)
    lengths = {len(resampler.process(silence(first * milliseconds // 1000))) for _ in range(10)}
    assert lengths == {second * milliseconds // 1000}


@pytest.mark.parametrize(("first", "second"), [(8000, 16000), (48000, 8000), (44100, 8000), (11025, 8000), *AWKWARD])
@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 700), min_size=1, max_size=30))
def test_how_a_stream_is_cut_makes_no_difference(first: int, second: int, cuts: list[int]) -> None:
    samples = noise(sum(cuts), 5000)
    whole, pieces = Resampler(first, second), Resampler(first, second)
    expected = np.concatenate((whole.process(samples), whole.finish()))
    parts = [pieces.process(part) for part in np.split(samples, np.cumsum(cuts)[:-1])]
    made = np.concatenate((*parts, pieces.finish()))
    assert len(made) == len(expected)
    # Sums of another order may be rounded otherwise.
    assert np.abs(made.astype(np.int32) - expected).max(initial=0) <= 1


def test_the_delay_is_what_it_says() -> None:
    resampler = Resampler(8000, 16000)
    assert resampler.delay == 0.004
    click = silence(800)
    click[400] = 20000
    heard = resampler.process(click)
    assert int(np.argmax(heard)) == 800 + 0.004 * 16000


def test_the_same_rate_is_the_same_array() -> None:
    resampler, samples = Resampler(16000, 16000), noise(320)
    assert resampler.process(samples) is samples
    assert (resampler.delay, len(resampler.finish())) == (0.0, 0)
    assert resample(samples, 8000, 8000) is samples


def test_after_finishing_it_is_as_new() -> None:
    resampler = Resampler(8000, 16000)
    first = np.concatenate((resampler.process(noise(333)), resampler.finish()))
    second = np.concatenate((resampler.process(noise(333)), resampler.finish()))
    assert np.array_equal(first, second)
    assert len(first) == 666 + 64


def test_a_constant_stays_what_it_is() -> None:
    for first, second in PAIRS + AWKWARD:
        steady = np.full(first // 10, 1234, dtype=np.int16)
        assert set(middle(resample(steady, first, second)).tolist()) == {1234}


def test_the_loudest_is_held_at_full_scale() -> None:
    square = np.where(np.arange(8000) % 40 < 20, 32767, -32768).astype(np.int16)
    heard = resample(square, 8000, 48000)
    # It rings over full scale at its edges, and must not come out at the other end.
    assert (heard.max(), heard.min()) == (32767, -32768)
    assert heard[2460:40000:240].min() > 30000
    assert heard[2580:40000:240].max() < -30000


@pytest.mark.parametrize("rate", [0, 999, -8000, 384001])
def test_rates_that_make_no_sense_are_refused(rate: int) -> None:
    with pytest.raises(LocalError, match=f"a sampling rate is 1000 to 384000 Hz, not {rate}"):
        Resampler(rate, 8000)
    with pytest.raises(LocalError, match="a sampling rate is"):
        Resampler(8000, rate)


def test_nothing_becomes_nothing() -> None:
    assert len(resample(silence(0), 8000, 48000)) == 0
    assert len(Resampler(8000, 44100).process(silence(0))) == 0
