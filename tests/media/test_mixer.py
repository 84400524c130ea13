"""Mixing: everybody hears the others, at full scale at the most."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media.mixer import Mixer, others
from ringback.media.samples import Samples
from tests.media.sounds import noise, sine


def frame(*values: int) -> Samples:
    return np.array(values, dtype=np.int16)


def test_each_hears_the_sum_of_the_others() -> None:
    frames = np.stack([frame(1, 10), frame(2, 20), frame(4, -40)])
    assert others(frames).tolist() == [[6, -20], [5, -30], [3, 30]]


def test_sums_are_held_at_full_scale() -> None:
    frames = np.stack([frame(30000, -30000)] * 3)
    assert others(frames).tolist() == [[32767, -32768]] * 3


def test_a_sum_far_beyond_full_scale_minus_oneself_is_right() -> None:
    frames = np.stack([frame(32767)] * 200 + [frame(-32768)] * 199)
    mixed = others(frames)
    # 200 * 32767 - 199 * 32768 = 32568 + 0; without oneself, as it is.
    assert mixed[0].tolist() == [200 * 32767 - 199 * 32768 - 32767]
    assert mixed[-1].tolist() == [32767]


def test_a_beat() -> None:
    mixer = Mixer(4)
    anna, berta, carla = mixer.join(), mixer.join(), mixer.join()
    assert len(mixer) == 3
    mixer.put(anna, frame(1, 2, 3, 4))
    mixer.put(berta, frame(10, 20, 30, 40))
    mixer.mix()
    assert mixer.take(anna).tolist() == [10, 20, 30, 40]
    assert mixer.take(berta).tolist() == [1, 2, 3, 4]
    assert mixer.take(carla).tolist() == [11, 22, 33, 44]
    mixer.mix()
    assert mixer.take(carla).tolist() == [0, 0, 0, 0]


def test_too_much_is_cut_and_too_little_filled_up() -> None:
    mixer = Mixer(3)
    anna, berta = mixer.join(), mixer.join()
    mixer.put(anna, frame(9, 9, 9))
    mixer.put(anna, frame(1))
    mixer.put(berta, frame(1, 2, 3, 4, 5))
    mixer.mix()
    assert mixer.take(berta).tolist() == [1, 0, 0]
    assert mixer.take(anna).tolist() == [1, 2, 3]


def test_a_mixer_grows_as_people_come() -> None:
    mixer = Mixer(2)
    parties = [mixer.join() for _ in range(50)]
    for number, party in enumerate(parties):
        mixer.put(party, frame(number, 1))
    mixer.mix()
    assert [mixer.take(party).tolist() for party in parties] == [[1225 - number, 49] for number in range(50)]


def test_gains() -> None:
    mixer = Mixer(1)
    anna, berta, carla = mixer.join(), mixer.join(), mixer.join()
    mixer.set_gain(anna, -6.0206)
    mixer.set_gain(berta, None)
    for party in (anna, berta, carla):
        mixer.put(party, frame(1000))
    mixer.mix()
    assert [mixer.take(party).tolist() for party in (anna, berta, carla)] == [[1000], [1500], [500]]
    mixer.set_gain(berta, 0)
    assert berta.gain == 1.0
    with pytest.raises(LocalError, match="up to 24 dB"):
        mixer.set_gain(anna, 25)


def test_levels_are_those_before_gain() -> None:
    mixer = Mixer(160)
    loud, soft, mute, silent = (mixer.join() for _ in range(4))
    mixer.set_gain(mute, None)
    mixer.put(loud, sine(1000, 8000, 0.02, 32767))
    mixer.put(soft, sine(1000, 8000, 0.02, 327.67))
    mixer.put(mute, sine(1000, 8000, 0.02, 32767))
    mixer.mix()
    assert [party.level for party in (loud, soft, mute, silent)] == [3, 43, 3, 127]
    mixer.mix()
    assert [party.level for party in (loud, soft, mute, silent)] == [127] * 4


@pytest.mark.parametrize("leaving", [0, 1, 2])
def test_who_leaves_is_not_heard_and_the_others_are(leaving: int) -> None:
    mixer = Mixer(1)
    parties = [mixer.join() for _ in range(3)]
    for number, party in enumerate(parties):
        mixer.put(party, frame(10**number))
    mixer.leave(parties.pop(leaving))
    mixer.mix()
    values = [1, 10, 100]
    values.pop(leaving)
    assert [mixer.take(party).tolist() for party in parties] == [[values[1]], [values[0]]]
    assert sorted(party.row for party in parties) == [0, 1]
    assert set(mixer.parties) == set(parties)


def test_leaving_between_mix_and_take_leaves_the_others_their_sound() -> None:
    mixer = Mixer(1)
    anna, berta, carla = mixer.join(), mixer.join(), mixer.join()
    for number, party in enumerate((anna, berta, carla)):
        mixer.put(party, frame(10**number))
    mixer.mix()
    mixer.leave(anna)
    dora = mixer.join()
    assert mixer.take(carla).tolist() == [11]
    assert mixer.take(berta).tolist() == [101]
    assert mixer.take(dora).tolist() == [0]


def test_who_comes_after_the_beat_hears_silence_even_in_a_row_that_was_used() -> None:
    mixer = Mixer(1)
    anna, berta = mixer.join(), mixer.join()
    mixer.put(anna, frame(5))
    mixer.mix()
    carla = mixer.join()
    mixer.leave(anna)
    assert carla.row == 0
    assert mixer.take(carla).tolist() == [0]
    assert mixer.take(berta).tolist() == [5]


def test_leaving_twice_and_an_empty_mixer() -> None:
    mixer = Mixer(2)
    mixer.mix()
    party = mixer.join()
    mixer.leave(party)
    mixer.leave(party)
    mixer.mix()
    assert len(mixer) == 0


def test_against_the_definition() -> None:
    frames = np.stack([noise(160, 9000, seed) for seed in range(12)])
    expected = [np.clip(np.delete(frames, row, axis=0).sum(axis=0, dtype=np.int64), -32768, 32767) for row in range(12)]
    assert np.array_equal(others(frames), np.stack(expected))
