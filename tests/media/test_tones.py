"""Call progress tones: the table, the notation, and how they sound."""

from itertools import pairwise

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media.dtmf import amplitude
from ringback.media.playout import Playout
from ringback.media.samples import Samples
from ringback.media.tones import LEVEL, Part, ToneName, ToneSound, countries, parse, tone
from tests.media.sounds import level_at, rms

AT_LEAST = "AT AU BE BR CH CN CZ DE DK ES FI FR GB IN IT JP NL NO NZ PL RU SE US ZA"
NAMES: tuple[ToneName, ...] = ("dial", "ringback", "busy", "congestion", "call_waiting", "information")


def cadence(samples: Samples, rate: int) -> list[tuple[bool, float]]:
    """Sound and silence by turns, in seconds."""
    loud = np.array([np.abs(piece).max() > 50 for piece in np.split(samples, len(samples) // (rate // 200))])
    changes = [0, *(np.flatnonzero(np.diff(loud)) + 1).tolist(), len(loud)]
    return [(bool(loud[a]), (b - a) / 200) for a, b in pairwise(changes)]


def test_the_countries() -> None:
    assert set(AT_LEAST.split()) <= set(countries())
    assert tone("uk", "busy") == tone("GB", "busy") == (Part((400.0,), 0.375), Part((), 0.375))


@pytest.mark.parametrize("country", countries())
@pytest.mark.parametrize("name", NAMES)
def test_every_tone_can_be_heard(country: str, name: ToneName) -> None:
    sound = ToneSound(tone(country, name)).read(8000 * 6, 8000)
    assert len(sound) == 48000
    assert rms(sound[:160]) > 1000
    # Within what E.180 allows: 5 dB more or less than -10 dBm0 while it sounds.
    peak = np.abs(sound).max()
    assert amplitude(-10) * 0.95 <= peak <= amplitude(-10) * 1.9 * 1.02


@pytest.mark.parametrize(
    ("country", "name", "expected"),
    [
        ("US", "ringback", [(True, 2.0), (False, 4.0)]),
        ("GB", "ringback", [(True, 0.4), (False, 0.2), (True, 0.4), (False, 2.0)]),
        ("DE", "busy", [(True, 0.48), (False, 0.48)]),
        ("IT", "dial", [(True, 0.2), (False, 0.2), (True, 0.6), (False, 1.0)]),
        ("ES", "congestion", [(True, 0.2), (False, 0.2)] * 2 + [(True, 0.2), (False, 0.6)]),
    ],
)
def test_cadences(country: str, name: ToneName, expected: list[tuple[bool, float]]) -> None:
    period = sum(seconds for _, seconds in expected)
    heard = cadence(ToneSound(tone(country, name)).read(round(period * 2 * 8000), 8000), 8000)
    assert [on for on, _ in heard] == [on for on, _ in expected * 2]
    assert [seconds for _, seconds in heard] == pytest.approx([seconds for _, seconds in expected * 2], abs=0.011)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_frequencies_and_level(rate: int) -> None:
    sound = ToneSound(tone("US", "dial")).read(rate, rate)[rate // 10 :]
    each = amplitude(LEVEL) / np.sqrt(2)
    assert level_at(sound, 350, rate) == pytest.approx(each, rel=0.01)
    assert level_at(sound, 440, rate) == pytest.approx(each, rel=0.01)
    assert rms(sound) == pytest.approx(amplitude(LEVEL) / np.sqrt(2), rel=0.02)


def test_a_modulated_tone_is_as_loud_and_has_two_side_bands() -> None:
    sound = ToneSound(parse("400*25")).read(16000, 8000)[800:]
    assert rms(sound) == pytest.approx(amplitude(LEVEL) / np.sqrt(2), rel=0.02)
    carrier, lower, upper = (level_at(sound, frequency, 8000) for frequency in (400, 375, 425))
    assert lower == pytest.approx(upper, rel=0.02)
    assert lower == pytest.approx(0.45 * carrier, rel=0.02)


def test_a_softer_part() -> None:
    sound = ToneSound(parse("425 .5 / 425:-10 .5")).read(8000, 8000)
    assert rms(sound[4200:7800]) / rms(sound[200:3800]) == pytest.approx(10 ** (-10 / 20), rel=0.01)


def test_the_information_tone_rises() -> None:
    sound = ToneSound(tone("US", "information")).read(8000, 8000)
    for third, frequency in enumerate((950, 1400, 1800)):
        piece = sound[third * 2640 + 200 : third * 2640 + 2440]
        assert level_at(piece, frequency, 8000) == pytest.approx(amplitude(LEVEL), rel=0.01)
    assert not sound[7920:].any()


@pytest.mark.parametrize("pieces", [[1] * 4000, [160] * 25, [7, 3993], [4000]])
def test_how_it_is_read_makes_no_difference(pieces: list[int]) -> None:
    sound = ToneSound(parse("425 .1 .05 / 440+480 .07"))
    read = np.concatenate([sound.read(count, 8000) for count in pieces])
    assert np.array_equal(read, ToneSound(parse("425 .1 .05 / 440+480 .07")).read(4000, 8000))


def test_there_are_no_clicks() -> None:
    sound = ToneSound(parse("425 .1 .05")).read(8000, 8000).astype(np.int32)
    steepest = amplitude(LEVEL) * 2 * np.pi * 425 / 8000
    assert np.abs(np.diff(sound)).max() < 1.1 * steepest


def test_another_rate_in_the_middle_goes_on_where_it_was() -> None:
    sound = ToneSound(parse("425 .5 .5"))
    sound.read(3200, 8000)
    heard = cadence(sound.read(16000, 16000), 16000)
    assert [seconds for _, seconds in heard] == pytest.approx([0.1, 0.5, 0.4], abs=0.011)


def test_a_tone_with_an_end() -> None:
    sound = ToneSound(parse("425"), seconds=0.05)
    assert [len(sound.read(160, 8000)) for _ in range(4)] == [160, 160, 80, 0]
    playout = Playout(8000)
    playout.play(ToneSound(parse("425"), seconds=0.03))
    assert [playout.pull(160) is None for _ in range(3)] == [False, False, True]


def test_the_notation() -> None:
    assert parse("425") == (Part((425.0,), 0.0),)
    assert parse("440+480 2 4") == (Part((440.0, 480.0), 2.0), Part((), 4.0))
    assert parse("400*16:-3 .5") == (Part((400.0,), 0.5, 16.0, -3.0),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no number"),
        ("x", "'x' is no number"),
        ("425 1 x", "'x' is no number"),
        ("425 nan", "'nan' is no number"),
        ("425 -1", "lasts up to 3600 seconds, not -1"),
        ("425 1 0", "lasts up to 3600 seconds, not 0"),
        ("425 99999", "lasts up to 3600 seconds"),
        ("0", "below 4000 Hz"),
        ("4000", "below 4000 Hz"),
        ("425*-2", "below 4000 Hz"),
        ("425 / 440", "something follows what lasts for ever"),
        ("425+", "'' is no number"),
    ],
)
def test_what_is_no_tone(text: str, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        parse(text)


def test_what_is_not_in_the_table() -> None:
    with pytest.raises(LocalError, match=r"no tones are known of 'XX'; there are those of AT, AU"):
        tone("XX", "dial")
    with pytest.raises(LocalError, match="there is no tone 'howler'; there are dial, ringback"):
        tone("US", "howler")  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="at least one part"):
        ToneSound(())
