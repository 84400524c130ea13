"""DTMF as sound: made as Q.23 has it, found within the limits of Q.24, and not found where there is none."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media import codecs
from ringback.media.dtmf import FREQUENCIES, HIGH_LEVEL, LOW_LEVEL, Detector, DigitSound, amplitude, make
from ringback.media.samples import Samples, silence
from tests.media.sounds import in_frames, level_at, noise, rms, sine, speech

ALL = "1234567890*#ABCD"


def found(samples: Samples, rate: int = 8000, frame: int = 0) -> str:
    detector = Detector(rate)
    padded = np.concatenate((samples, silence(rate // 5)))
    return "".join(detector.heard(piece) for piece in in_frames(padded, frame or rate // 50))


def two(low: float, high: float, milliseconds: float, low_peak: float = 3000, high_peak: float = 3000) -> Samples:
    seconds = milliseconds / 1000
    return sine(low, 8000, seconds, low_peak) + sine(high, 8000, seconds, high_peak)


def at_all_phases(tones: Samples) -> list[str]:
    """What is found in tones that begin at each place within a step of the detector."""
    return [found(np.concatenate((silence(100 + place), tones))) for place in range(0, 40, 5)]


# making -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("digit", list(ALL))
def test_two_tones_of_the_right_frequency_and_level(digit: str, rate: int) -> None:
    tone = make(digit, rate, 500)
    low, high = FREQUENCIES[digit]
    assert len(tone) == rate // 2
    middle = tone[rate // 20 : -rate // 20]
    assert level_at(middle, low, rate) == pytest.approx(amplitude(LOW_LEVEL), rel=0.01)
    assert level_at(middle, high, rate) == pytest.approx(amplitude(HIGH_LEVEL), rel=0.01)
    assert rms(middle) == pytest.approx(np.hypot(amplitude(LOW_LEVEL), amplitude(HIGH_LEVEL)) / np.sqrt(2), rel=0.01)


def test_the_keys_of_q_23() -> None:
    assert (FREQUENCIES["1"], FREQUENCIES["0"], FREQUENCIES["D"]) == ((697, 1209), (941, 1336), (941, 1633))
    assert sorted(FREQUENCIES) == sorted(ALL)
    assert np.array_equal(make("a", 8000), make("A", 8000))


def test_the_level_of_a_full_sine_is_that_of_g_711() -> None:
    assert amplitude(3.17) == pytest.approx(32767)
    assert amplitude(-2.85) == pytest.approx(16384, rel=0.001)


def test_it_begins_and_ends_without_a_click() -> None:
    tone = make("5", 8000)
    assert np.abs(tone[[0, -1]]).max() < 1000


@pytest.mark.parametrize("digit", ["", "E", "12", "ß"])
def test_what_is_no_digit(digit: str) -> None:
    with pytest.raises(LocalError, match="is no DTMF digit"):
        make(digit, 8000)


def test_digits_as_a_source() -> None:
    source = DigitSound("12", 100, 80)
    pieces = []
    while len(piece := source.read(160, 8000)):
        pieces.append(piece)
    assert [len(piece) for piece in pieces] == [160] * 18
    assert np.array_equal(np.concatenate(pieces)[:800], make("1", 8000))
    assert found(np.concatenate(pieces)) == "12"
    with pytest.raises(LocalError, match="is no DTMF digit"):
        DigitSound("1x")


def test_a_source_takes_another_rate() -> None:
    source = DigitSound("12", 100, 80)
    first = source.read(1440, 8000)
    assert found(np.concatenate((first, silence(400)))) == "1"
    assert found(source.read(4000, 16000), 16000) == "2"


# finding ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
@pytest.mark.parametrize(("milliseconds", "pause"), [(40, 40), (50, 50), (100, 80), (500, 100)])
def test_every_digit_once(rate: int, milliseconds: int, pause: int) -> None:
    text = ALL + "1122##"
    assert found(DigitSound(text, milliseconds, pause).read(rate * 20, rate), rate) == text


@pytest.mark.parametrize("frame", [1, 7, 80, 160, 163, 480, 1600])
def test_however_the_sound_is_cut(frame: int) -> None:
    assert found(DigitSound("159D", 60, 60).read(8000, 8000), frame=frame) == "159D"


def test_a_digit_is_found_before_it_ends_and_known_while_it_lasts() -> None:
    detector = Detector(8000)
    samples = np.concatenate((make("7", 8000, 200), silence(1600)))
    said = [(detector.heard(piece), detector.digit) for piece in in_frames(samples, 160)]
    assert said[:2] == [("", ""), ("7", "7")]
    assert said[2:10] == [("", "7")] * 8
    assert said[12:] == [("", "")] * 8


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
@pytest.mark.parametrize("level", [-25, -10, 0])
def test_through_g_711(law: str, level: int) -> None:
    info = codecs.find(law)
    assert info is not None
    encoder, decoder = codecs.encoder(info), codecs.decoder(info)
    tones = np.concatenate([np.concatenate((make(digit, 8000, 50, level, level), silence(400))) for digit in ALL])
    heard = np.concatenate([decoder.decode(encoder.encode(piece)) for piece in in_frames(tones, 160)])
    assert found(heard) == ALL


@pytest.mark.parametrize("name", ["G722", "opus"])
def test_through_other_codecs(name: str) -> None:
    info = codecs.find(name)
    if info is None:
        pytest.skip(f"not available: {name}")
    encoder, decoder = codecs.encoder(info), codecs.decoder(info)
    tones = DigitSound(ALL, 100, 80).read(info.sample_rate * 3, info.sample_rate)
    heard = [decoder.decode(encoder.encode(piece)) for piece in in_frames(tones, info.samples(20))]
    assert found(np.concatenate(heard), info.sample_rate) == ALL


@pytest.mark.parametrize("ratio", [15, 12])
def test_in_noise(ratio: int) -> None:
    """Q.24: a signal to noise ratio of 15 dB has to be enough."""
    for seed in range(5):
        tones = np.concatenate([np.concatenate((make(digit, 8000, 50), silence(480))) for digit in ALL])
        noisy = tones + noise(len(tones), rms(make("1", 8000)) * 10 ** (-ratio / 20), seed)
        assert found(noisy.astype(np.int16)) == ALL


@pytest.mark.parametrize("deviation", [-0.018, -0.015, 0.0, 0.015, 0.018])
def test_frequencies_that_have_to_be_taken(deviation: float) -> None:
    for digit, (low, high) in FREQUENCIES.items():
        assert at_all_phases(two(low * (1 + deviation), high * (1 + deviation), 50)) == [digit] * 8


@pytest.mark.parametrize("deviation", [-0.035, 0.035])
def test_frequencies_that_have_to_be_refused(deviation: float) -> None:
    for low, high in FREQUENCIES.values():
        assert at_all_phases(two(low * (1 + deviation), high, 100)) == [""] * 8
        assert at_all_phases(two(low, high * (1 + deviation), 100)) == [""] * 8


def test_durations() -> None:
    """Q.24: from 40 ms on it has to be taken; below 23 ms it has to be refused."""
    for digit, (low, high) in FREQUENCIES.items():
        for milliseconds in (33, 36, 40):
            assert at_all_phases(two(low, high, milliseconds)) == [digit] * 8
        for milliseconds in (10, 15, 20, 23):
            assert at_all_phases(two(low, high, milliseconds)) == [""] * 8


def test_gaps() -> None:
    """Q.24: an interruption of 10 ms does not end a digit; a pause of 40 ms does."""
    for digit, (low, high) in FREQUENCIES.items():
        tone = two(low, high, 50)
        for milliseconds, expected in ((5, digit), (10, digit), (30, digit * 2), (40, digit * 2)):
            assert at_all_phases(np.concatenate((tone, silence(8 * milliseconds), tone))) == [expected] * 8


@pytest.mark.parametrize(("twist", "taken"), [(-12, False), (-8, True), (0, True), (4, True), (8, False)])
def test_twist(twist: int, taken: bool) -> None:
    """The level of the high tone over that of the low one."""
    for digit, (low, high) in FREQUENCIES.items():
        tones = two(low, high, 60, 3000, 3000 * 10 ** (twist / 20))
        assert found(np.concatenate((silence(100), tones))) == (digit if taken else "")


@pytest.mark.parametrize(("level", "taken"), [(0, True), (-25, True), (-30, True), (-36, False)])
def test_levels(level: int, taken: bool) -> None:
    for digit in ALL:
        assert found(make(digit, 8000, 60, level, level)) == (digit if taken else "")


def test_one_tone_is_no_digit() -> None:
    for frequency in (*{low for low, _ in FREQUENCIES.values()}, *{high for _, high in FREQUENCIES.values()}):
        assert found(sine(frequency, 8000, 0.2)) == ""


@pytest.mark.parametrize("frequencies", [(350, 440), (440, 480), (480, 620), (425,), (697, 770), (1209, 1477), (1100,)])
def test_other_tones_of_the_network_are_no_digits(frequencies: tuple[int, ...]) -> None:
    tones = np.sum([sine(frequency, 8000, 0.5, 5000) for frequency in frequencies], axis=0, dtype=np.int32)
    assert found(tones.astype(np.int16)) == ""


@pytest.mark.parametrize("deviation", [10, 300, 10000])
def test_noise_is_no_digit(deviation: int) -> None:
    for seed in range(5):
        assert found(noise(80_000, deviation, seed)) == ""


@pytest.mark.parametrize("voice", ["en", "en+f3", "en+m7", "de", "fr", "it"])
def test_speech_is_no_digit(voice: str) -> None:
    assert found(speech(8000, voice=voice)) == ""


def test_music_is_no_digit() -> None:
    """Chords of notes with overtones, at random, for 100 seconds."""
    chance = np.random.default_rng(11)
    for _ in range(500):
        chord = np.zeros(1600)
        for pitch in chance.integers(36, 84, size=chance.integers(1, 5)):
            note = 440 * 2 ** ((pitch - 69) / 12)
            for overtone in range(1, 7):
                if note * overtone < 3800:
                    chord += sine(note * overtone, 8000, 0.2, 3000 / overtone, phase=chance.uniform(0, 6.28))
        assert found(np.clip(chord, -32768, 32767).astype(np.int16)) == ""


def test_digits_are_found_between_words() -> None:
    spoken = speech(8000)
    half = len(spoken) // 2
    tones = DigitSound("42#", 80, 80).read(8000, 8000)
    assert found(np.concatenate((spoken[:half], silence(400), tones, silence(400), spoken[half:]))) == "42#"


def test_nothing_is_nothing() -> None:
    detector = Detector(8000)
    assert detector.heard(silence(0)) == ""
    assert found(silence(8000)) == ""
