"""What measures speech: it finds every delay, hears what is lost, and gives the same figures again."""

import shutil

import numpy as np
import pytest

from ringback.media import codecs
from scripts import intelligibility
from scripts.intelligibility import Cell, Conditions, Network, Sound, Way

RATE = intelligibility.COMPARED

speaks = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="not installed: espeak-ng")
has_opus = pytest.mark.skipif(codecs.find("opus") is None, reason="not installed: libopus")


def noise(count: int, seed: int = 1) -> Sound:
    """Noise without what is above a quarter of the rate, so that it can be shifted by parts of a sample."""
    values = np.fft.rfft(np.random.default_rng(seed).normal(0, 1000, count))
    values[len(values) // 2 :] = 0
    return np.fft.irfft(values, count)


@pytest.mark.parametrize("late", [1.0, 7.25, 517.5, 1234.75])
def test_a_delay_is_found_in_parts_of_a_sample(late: float) -> None:
    said = noise(4000)
    heard = intelligibility.taken(np.pad(said, (0, 2000)), -late, 6000)
    assert intelligibility.lag(said, heard) == pytest.approx(late, abs=0.05)


def test_a_delay_at_the_edge_is_a_whole_sample() -> None:
    said = noise(1000)
    assert intelligibility.lag(said, said) == 0
    assert intelligibility.lag(said, np.concatenate([said, np.zeros(9)])) == 0
    assert intelligibility.lag(said, np.concatenate([np.zeros(9), said])) == 9


def test_a_loud_noise_does_not_win_over_what_is_alike() -> None:
    said = noise(2000)
    heard = np.concatenate([100 * noise(3000, 2), said, np.zeros(500)])
    assert intelligibility.lag(said, heard) == pytest.approx(3000, abs=0.2)


@pytest.mark.parametrize("at", [100, 100.5, -20.25])
def test_what_is_taken_lies_where_it_was(at: float) -> None:
    heard = 1000 * np.sin(np.arange(4000) * 0.1)
    taken = intelligibility.taken(heard, at, 500)
    expected = 1000 * np.sin((np.arange(500) + at) * 0.1)
    # A sine that begins suddenly does not fit between two samples: it rings for a while.
    begin = 120 if at < 0 else 0
    assert np.allclose(taken[begin:], expected[begin:], atol=1.0)
    assert not np.any(intelligibility.taken(heard, 9000, 500))


def test_utterances_are_the_whole_sentence_and_end_in_its_pauses() -> None:
    words = np.concatenate([noise(9600), np.zeros(3200), noise(1600), np.zeros(3200), noise(9600), np.zeros(1600)])
    found = intelligibility.utterances(words, RATE)
    assert found[0][0] == 0 and found[-1][1] == len(words)
    assert [end for _, end in found[:-1]] == [begin for begin, _ in found[1:]]
    # The first pause ends an utterance; what is between the two is too short for one, and what is behind is the rest.
    assert len(found) == 2
    assert 9600 < found[0][1] <= 9600 + 1600


def test_each_utterance_is_found_where_it_was_heard() -> None:
    """The delay changes in a pause within a sentence, and between two."""
    gap = np.zeros(4000)
    one, two, three = noise(12000, 1), noise(12000, 2), noise(12000, 3)
    said = np.concatenate([gap, one, gap, two, gap, three, gap])
    heard = np.concatenate([np.zeros(5000), one, gap, np.zeros(640), two, gap[:3000], three, gap])
    sentences = [(4000, 4000 + 28000), (36000, 48000)]
    references, found = intelligibility.aligned(said, heard, RATE, sentences)
    assert len(references) == len(found) == 28000 + 12000
    error = np.sqrt(np.mean((references - found) ** 2)) / np.sqrt(np.mean(references**2))
    assert error < 0.05


def test_a_network_repeats_itself_and_keeps_its_promises() -> None:
    def carry(loss: float) -> list[tuple[float, bytes]]:
        network = Network(Conditions(loss, 0.06, seed=5))
        for number in range(1000):
            network.send(number.to_bytes(2), number * 0.02)
        assert network.arrived(0.03) == []
        come = network.arrived(1000.0)
        assert network.arrived(1000.0) == []
        return come

    whole, lossy = carry(0.0), carry(0.2)
    assert whole == carry(0.0)
    assert len(whole) == 1000
    delays = [at - int.from_bytes(packet) * 0.02 for at, packet in whole]
    assert 0.04 <= min(delays) < 0.042 and 0.098 < max(delays) <= 0.1
    assert [packet for _, packet in whole] != sorted(packet for _, packet in whole), "nothing was overtaken"
    assert 150 < 1000 - len(lossy) < 250
    assert set(lossy) < set(whole), "another loss changes the way of the others"


@speaks
def test_speech_begins_at_the_same_time_at_every_rate() -> None:
    at = {rate: intelligibility.speech("en-us", rate) for rate in (8000, 16000, 48000)}
    for rate, speech in at.items():
        places = [(begin / rate, end / rate) for begin, end in speech.sentences]
        assert places == [(begin / 8000, end / 8000) for begin, end in at[8000].sentences]
        assert len(speech.samples) / rate == len(at[8000].samples) / 8000
        begin, end = speech.sentences[0]
        assert not np.any(speech.samples[:begin])
        assert np.abs(speech.samples[begin:end]).max() > 5000


@speaks
@pytest.mark.parametrize("name", ["PCMU", "PCMA", "G722"])
def test_a_good_network_changes_no_word_and_a_bad_one_does(name: str) -> None:
    way = next(way for way in intelligibility.WAYS if way.name == name)
    said = intelligibility.speech("en-us", way.terms().codec.sample_rate).samples
    good = intelligibility.call(way, said, Conditions(0.0, 0.0, 1))
    assert (good.concealed, good.recovered) == (0, 0)
    score = intelligibility.understood("en-us", good)
    assert score > 0.99
    bad = intelligibility.call(way, said, Conditions(0.3, 0.0, 1))
    assert 0.25 < bad.concealed < 0.35
    assert intelligibility.understood("en-us", bad) < score - 0.03
    assert np.array_equal(bad.samples, intelligibility.call(way, said, Conditions(0.3, 0.0, 1)).samples)


@speaks
@has_opus
def test_redundancy_makes_loss_better_understood() -> None:
    without = intelligibility.measure(Way("Opus", "opus"), 0.2, 0.06, 1, ["en-us"])
    with_it = intelligibility.measure(Way("Opus, FEC", "opus", fec=True), 0.2, 0.06, 1, ["en-us"])
    assert with_it.scores[0] > without.scores[0] + 0.05
    assert with_it.recovered > 0.1


def test_the_table_has_a_row_for_each_way() -> None:
    cells = {
        ("PCMU", 0.0): Cell((0.9, 1.0, 0.95), 0.0, 0.0, 0.08),
        ("PCMU", 0.1): Cell((0.5,), 0.1, 0.0, 0.08),
    }
    assert intelligibility.table([0.0, 0.1], cells).splitlines() == [
        "| | 0% loss | 10% loss |",
        "| --- | --- | --- |",
        "| PCMU | 0.950 (0.900–1.000) | 0.500 (0.500–0.500) |",
    ]
    assert intelligibility.table([0.1], {("PCMU", 0.1): cells["PCMU", 0.1]}, "network").splitlines()[2] == (
        "| PCMU | 10.0%, 0.0%, 80 ms |"
    )


@speaks
def test_the_command_prints_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert intelligibility.main(["--quick", "--ways", "PCMU", "--losses", "0,20"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("STOI, 60 ms jitter; median (least–most) of 1 calls\n")
    rows = [line for line in out.splitlines() if line.startswith("| PCMU")]
    assert len(rows) == 2
    scores = [float(cell.split()[0]) for cell in rows[0].split("|")[2:4]]
    assert scores[0] > scores[1] > 0.7


def test_an_unknown_way_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        intelligibility.main(["--ways", "Morse"])
    assert "there are PCMU; PCMA; G722; Opus; Opus, FEC" in capsys.readouterr().err
