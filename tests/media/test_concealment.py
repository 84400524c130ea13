"""Packet-loss concealment: what is heard in a gap, at its seams, and how much of speech it saves."""

import numpy as np
import pytest
from pystoi import stoi

from ringback.media.concealment import Concealment
from ringback.media.samples import Samples, silence
from tests.media.sounds import in_frames, level_at, noise, ratio, rms, sine, speech

RATES = [8000, 16000, 44100, 48000]


def heard(concealment: Concealment, samples: Samples, length: int) -> Samples:
    return np.concatenate([concealment.heard(frame) for frame in in_frames(samples, length)])


def voice(rate: int, seconds: float, pitch: float = 120.0) -> Samples:
    """Something periodic with overtones."""
    parts = [sine(pitch * number, rate, seconds, 6000 / number, phase=number) for number in (1, 2, 3, 5)]
    return np.sum(parts, axis=0, dtype=np.int32).astype(np.int16)


@pytest.mark.parametrize("rate", RATES)
def test_without_loss_samples_go_through(rate: int) -> None:
    concealment = Concealment(rate)
    samples = noise(rate)
    assert np.array_equal(heard(concealment, samples, rate // 50), samples)
    assert concealment.concealed == 0


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch", [80.0, 120.0, 190.0, 320.0])
def test_a_voice_goes_on_for_10_ms_almost_as_it_would_have(rate: int, pitch: float) -> None:
    count, gap = rate // 10, rate // 100
    samples = voice(rate, 0.2, pitch)
    concealment = Concealment(rate)
    heard(concealment, samples[:count], rate // 100)
    made = concealment.conceal(gap)
    assert len(made) == concealment.concealed == gap
    assert ratio(samples[count : count + gap], made) > 10


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("pitch", [90.0, 133.0, 250.0])
def test_there_is_no_step_at_either_seam(rate: int, pitch: float) -> None:
    count, gap = rate // 10, rate // 50
    samples = voice(rate, 0.3, pitch)
    steepest = np.abs(np.diff(samples.astype(np.int32))).max()
    concealment = Concealment(rate)
    before = heard(concealment, samples[:count], rate // 50)
    made = concealment.conceal(gap)
    after = heard(concealment, samples[count + gap :], rate // 50)
    whole = np.concatenate((before, made, after)).astype(np.int32)
    assert np.abs(np.diff(whole)).max() < 1.6 * steepest


def test_it_fades_and_is_silent_after_60_ms() -> None:
    concealment = Concealment(8000)
    heard(concealment, voice(8000, 0.2), 160)
    levels = [rms(concealment.conceal(80)) for _ in range(7)]
    full = rms(voice(8000, 0.2))
    # A fifth less every 10 ms, after the first 10; each value is that of the middle of its 10 ms.
    expected = [full * part for part in (1, 0.9, 0.7, 0.5, 0.3, 0.1, 0)]
    assert levels == pytest.approx(expected, rel=0.35)
    assert concealment.conceal(160).tolist() == [0] * 160


@pytest.mark.parametrize("pieces", [[160, 160], [1] * 320, [80] * 4, [37, 150, 3, 130], [320]])
def test_how_a_gap_is_cut_makes_no_difference(pieces: list[int]) -> None:
    whole, cut = Concealment(8000), Concealment(8000)
    samples = voice(8000, 0.2)
    heard(whole, samples, 160)
    heard(cut, samples, 160)
    expected = whole.conceal(320).astype(np.int32)
    made = np.concatenate([cut.conceal(piece) for piece in pieces])
    if 1 in pieces or 37 in pieces:
        # A cross-fade is as long as the piece in which it falls.
        assert ratio(expected, made) > 15
    else:
        assert np.array_equal(made, expected)


def test_the_sound_is_cross_faded_where_it_comes_back() -> None:
    concealment = Concealment(8000)
    samples = voice(8000, 0.2)
    heard(concealment, samples, 160)
    concealment.conceal(160)
    back = concealment.heard(silence(160))
    # A quarter of a period and 4 ms for each 10 ms that were lost, 10 ms at the most.
    assert 20 < np.flatnonzero(back).max() < 80
    assert np.abs(back[:10]).max() > 1000
    assert np.array_equal(concealment.heard(samples[:160]), samples[:160])


def test_samples_that_came_are_not_written_to() -> None:
    concealment = Concealment(8000)
    heard(concealment, voice(8000, 0.2), 160)
    concealment.conceal(160)
    frame = silence(160)
    frame.setflags(write=False)
    concealment.heard(frame)


def test_with_nothing_heard_there_is_silence() -> None:
    concealment = Concealment(8000)
    assert concealment.conceal(160).tolist() == [0] * 160
    assert concealment.heard(silence(160)).tolist() == [0] * 160
    assert Concealment(48000).conceal(960).tolist() == [0] * 960


def test_with_little_heard_it_does_what_it_can() -> None:
    concealment = Concealment(8000)
    concealment.heard(sine(440, 8000, 0.005))
    assert len(concealment.conceal(160)) == 160


def test_the_loudest_does_not_wrap_around() -> None:
    concealment = Concealment(8000)
    loud = np.where(np.arange(1600) % 67 < 33, 32767, -32768).astype(np.int16)
    heard(concealment, loud, 160)
    made = concealment.conceal(80)
    assert np.array_equal(np.sign(made[:60]), np.sign(np.where(np.arange(1600, 1660) % 67 < 33, 1, -1)))


def test_what_is_kept_is_bounded() -> None:
    concealment = Concealment(8000)
    for length in (1, 3, 7, 160, 480):
        for _ in range(500):
            concealment.heard(silence(length))
        kept = sum(len(frame) for frame in concealment._past)
        assert kept == concealment._kept < 0.06 * 8000 + length


def test_the_pitch_of_a_tone_is_kept() -> None:
    concealment = Concealment(16000)
    heard(concealment, sine(180, 16000, 0.2), 320)
    assert level_at(concealment.conceal(320), 180, 16000) > 7000


@pytest.mark.parametrize(("rate", "share"), [(8000, 0.1), (8000, 0.2), (16000, 0.1)])
def test_lost_speech_stays_more_intelligible_than_with_silence_instead(rate: int, share: float) -> None:
    spoken = speech(rate)
    random = np.random.default_rng(3)
    concealment = Concealment(rate)
    concealed, silent = [], []
    for frame in in_frames(spoken, rate // 50):
        lost = random.random() < share
        concealed.append(concealment.conceal(len(frame)) if lost else concealment.heard(frame))
        silent.append(silence(len(frame)) if lost else frame)
    whole = spoken[: len(spoken) // (rate // 50) * (rate // 50)]
    with_concealment, without = (stoi(whole, np.concatenate(frames), rate) for frames in (concealed, silent))
    assert with_concealment > without + 0.25 * (1 - without)
