"""How much of speech is understood after a bad network: STOI for each codec, loss and way of repair, as Markdown.

    python scripts/intelligibility.py                         the table of docs/measured.md, about a minute of CPU
    python scripts/intelligibility.py --quick                 a look: one seed, one voice
    python scripts/intelligibility.py --seeds 20 --jitter 30  another network

Speech of espeak-ng goes through the library's own path: playout, encoder and packets of one `AudioStream`, a network
that loses, delays and reorders, and jitter buffer, decoder and concealment of another. The clock is virtual, so that a
run takes as long as it computes, and gives the same figures again.

Loss falls on each packet by itself; each that arrives has been delayed by 40 ms and, evenly spread, up to as much more
as the jitter is, so that packets overtake each other. What comes too late for the jitter buffer is lost, too. What was
heard is laid over what was said, utterance by utterance, as the buffer changes its delay between words and sentences;
then pystoi compares the two: 1 is as said, and below 0.75 or so whole words are missed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ringback.media import codecs
from ringback.media.audio_port import Port
from ringback.media.audio_stream import AudioStream, Surroundings
from ringback.media.audio_terms import AudioTerms
from ringback.media.codecs import Adjustable
from ringback.media.samples import Samples, silence
from ringback.media.wav import WavReader

Sound = npt.NDArray[np.float64]

#: From the Harvard sentences (IEEE 269).
SENTENCES: Final = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "The juice of lemons makes fine punch.",
)
VOICES: Final = ("en-us", "en-us+f3")
#: Samples a second at which what was heard is compared: all that STOI looks at is below 5 kHz.
COMPARED: Final = 16000
#: Seconds of silence before the first sentence, and behind each.
LEAD: Final = 1.0
PAUSE: Final = 0.5
BEAT: Final = 0.02
#: Seconds that the fastest packet takes.
TRANSIT: Final = 0.04
#: Seconds that sound may be late in all; it is looked for there.
LATEST: Final = 0.8
#: Seconds by which an utterance may be off the sentence that it is a part of.
REACH: Final = 0.08
#: Seconds of an utterance at least, and of a pause that ends one.
UTTERANCE: Final = 0.5
GAP: Final = 0.05

#: Samples on both sides of what is moved by a part of a sample.
_MARGIN: Final = 64
_FADE: Final = 0.5 - 0.5 * np.cos(np.pi * np.arange(_MARGIN) / _MARGIN)


@dataclass(frozen=True)
class Way:
    """One row of the table: a codec, and whether its redundancy is on."""

    name: str
    codec: str
    fec: bool = False

    def terms(self) -> AudioTerms:
        """What both sides agree on."""
        info = codecs.find(self.codec)
        if info is None:
            raise SystemExit(f"{self.codec} is not available here")
        parameters = {"useinbandfec": "1"} if self.fec else {}
        return AudioTerms(info, 96, {96: info}, parameters)


WAYS: Final = (
    Way("PCMU", "PCMU"),
    Way("PCMA", "PCMA"),
    Way("G722", "G722"),
    Way("Opus", "opus"),
    Way("Opus, FEC", "opus", fec=True),
)


@dataclass(frozen=True)
class Conditions:
    """A network: shares from 0 to 1, and seconds."""

    loss: float
    jitter: float
    seed: int


@dataclass(frozen=True)
class Speech:
    """Sentences at one rate, with where each begins and ends, in samples."""

    samples: Samples
    rate: int
    sentences: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Heard:
    """What came of it: the sound from the moment on at which the first beat was sent, and what happened.

    concealed    share of the packets that was made up, since they were not there when they were to be played
    recovered    share that was taken from the redundancy of the next packet instead
    delay        seconds that the jitter buffer holds the fastest packets, at the end
    """

    samples: Samples
    rate: int
    concealed: float
    recovered: float
    delay: float


# speech ---------------------------------------------------------------------------------------------------------------


@cache
def spoken(voice: str, text: str) -> tuple[Sound, int]:
    """What espeak-ng says, at -20 dB where it speaks, and its rate."""
    if shutil.which("espeak-ng") is None:
        raise SystemExit("espeak-ng is not installed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["espeak-ng", "-v", voice, "-s", "160", "-w", str(path), text]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        with WavReader(path) as reader:
            rate = reader.format.rate
            samples = reader.read(60 * rate, rate).astype(np.float64)
    loud = samples[np.abs(samples) > 100]
    level = float(np.sqrt(np.mean(loud**2)))
    return samples * (3276.8 / level), rate


@cache
def speech(voice: str, rate: int, texts: tuple[str, ...] = SENTENCES) -> Speech:
    """All sentences, with silence before, between and behind them; at every rate they begin at the same time."""
    parts = [np.zeros(round(LEAD * rate))]
    places = []
    at = len(parts[0])
    for text in texts:
        samples, from_rate = spoken(voice, text)
        sound = changed(samples, from_rate, rate)
        # Whole beats, so that one rate is not ahead of another by a fraction of a sample more with every sentence.
        length = (len(samples) * 50 // from_rate + 1) * (rate // 50)
        sound = np.pad(sound, (0, length - len(sound)))
        parts += [sound, np.zeros(round(PAUSE * rate))]
        places.append((at, at + length))
        at += length + len(parts[-1])
    whole = np.clip(np.rint(np.concatenate(parts)), -32768, 32767).astype(np.int16)
    return Speech(whole, rate, tuple(places))


def changed(samples: Sound, from_rate: int, to_rate: int) -> Sound:
    """The same at another rate, without delay. Not by our own resampler, which is not to judge itself."""
    # It comes with pystoi.
    from scipy.signal import resample_poly  # type: ignore[import-untyped]

    if from_rate == to_rate:
        return samples
    common = gcd(from_rate, to_rate)
    return np.asarray(resample_poly(samples, to_rate // common, from_rate // common), dtype=np.float64)


# the call -------------------------------------------------------------------------------------------------------------


class Network:
    """Carries packets one way: loses some, delays each by itself."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._chance = random.Random(conditions.seed)
        self._coming: list[tuple[float, bytes]] = []

    def send(self, packet: bytes, now: float) -> None:
        """A packet leaves."""
        # The dice are thrown for all packets alike: another loss does not change which way the others go.
        lost, delay = self._chance.random() < self._conditions.loss, self._chance.random()
        if not lost:
            self._coming.append((now + TRANSIT + delay * self._conditions.jitter, packet))

    def arrived(self, now: float) -> list[tuple[float, bytes]]:
        """What has come up to now, in order."""
        come = sorted(entry for entry in self._coming if entry[0] <= now)
        self._coming = [entry for entry in self._coming if entry[0] > now]
        return come


class Clock:
    """The time of a call."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        """Seconds."""
        return self.now


def call(way: Way, said: Samples, conditions: Conditions) -> Heard:
    """Say it on one side, and give what the other side hears."""
    terms = way.terms()
    rate = terms.codec.sample_rate
    clock = Clock()
    mouth, speaker = _side(terms, clock, conditions.seed)
    ear, listener = _side(terms, clock, conditions.seed + 1)
    encoder = speaker.sending.encoder
    if isinstance(encoder, Adjustable):
        # As quality repair does, told by the reports of the other side.
        encoder.adjust(fec=way.fec, expected_loss=round(conditions.loss * 100) if way.fec else 0)
    frames: list[Samples] = []
    ear.subscribe(lambda samples, _: frames.append(samples))
    mouth.playout.put(said)
    network = Network(conditions)
    beat = rate // 50
    # Nobody's beat is in step with that of another.
    phase = BEAT * random.Random(~conditions.seed).random()
    began = clock.now
    heard = [silence(round(phase * rate))]
    for number in range(-(-len(said) // beat) + round(LATEST / BEAT)):
        clock.now = began + number * BEAT
        for packet in speaker.send(clock.now):
            network.send(packet, clock.now)
        clock.now += phase
        for arrival, packet in network.arrived(clock.now):
            listener.rtp(packet, arrival)
        frames.clear()
        listener.receive(clock.now)
        heard += frames or [silence(beat)]
    jitter, sent = listener.receiving.jitter, -(-len(said) // beat)
    found = Heard(
        np.concatenate(heard),
        rate,
        listener.receiving.concealed / sent,
        listener.receiving.recovered / sent,
        jitter.delay,
    )
    speaker.close()
    listener.close()
    return found


def _side(terms: AudioTerms, clock: Clock, seed: int) -> tuple[Port, AudioStream]:
    """One end of a call."""
    chance = random.Random(seed)
    port = Port(terms.codec.sample_rate, _fail, lambda digits, milliseconds: 0.0)
    surroundings = Surroundings(clock.time, clock.time, chance.random, chance.getrandbits, "intelligibility")
    return port, AudioStream(terms, port, surroundings, clock.now)


def _fail(error: Exception) -> None:
    raise error


# what is understood ---------------------------------------------------------------------------------------------------


def lag(said: Sound, heard: Sound) -> float:
    """By how many samples, in fractions, the sound begins later in `heard`, which is the longer one."""
    from scipy.signal import correlate

    products = correlate(heard, said, mode="valid")
    # What is loud must not win over what is alike.
    squares = np.cumsum(np.concatenate([[0.0], heard**2]))
    energy = squares[len(said) :] - squares[: len(heard) - len(said) + 1]
    alike = products / np.sqrt(energy + 1.0)
    best = int(np.argmax(alike))
    if not 0 < best < len(alike) - 1:
        return float(best)
    # The top of the parabola through the highest value and its neighbours.
    before, top, after = alike[best - 1 : best + 2]
    curve = before - 2 * top + after
    return best + (0.5 * float((before - after) / curve) if curve < 0 else 0.0)


def taken(heard: Sound, at: float, count: int) -> Sound:
    """`count` samples from the place `at`, which may lie between two of them; outside there is silence."""
    first = int(np.floor(at)) - _MARGIN
    padded = np.zeros(count + 2 * _MARGIN)
    inside = heard[max(0, first) : max(0, first + len(padded))]
    start = max(0, -first)
    padded[start : start + len(inside)] = inside
    # To a transform the end is followed by the beginning: both fade into silence.
    padded[:_MARGIN] *= _FADE
    padded[-_MARGIN:] *= _FADE[::-1]
    turn = np.exp(2j * np.pi * np.fft.rfftfreq(len(padded)) * (at - np.floor(at)))
    return np.fft.irfft(np.fft.rfft(padded) * turn, len(padded))[_MARGIN : _MARGIN + count]


def utterances(said: Sound, rate: int) -> list[tuple[int, int]]:
    """A sentence in parts that end in pauses, each of half a second at least; together they are all of it."""
    window = round(GAP * rate)
    loud = np.convolve(np.abs(said), np.ones(window) / window, "same") > 0.02 * np.abs(said).max(initial=1.0)
    least = round(UTTERANCE * rate)
    ends = np.flatnonzero(loud[:-1] & ~loud[1:]) + 1
    parts, begun = [], 0
    for end in ends.tolist():
        if end - begun >= least and len(said) - end >= least:
            parts.append((begun, end))
            begun = end
    return [*parts, (begun, len(said))]


def aligned(said: Sound, heard: Sound, rate: int, sentences: Sequence[tuple[int, int]]) -> tuple[Sound, Sound]:
    """The sentences as said and as heard, one over the other: first each as a whole, then each of its utterances."""
    reach = round(REACH * rate)
    references, found = [], []
    for begin, end in sentences:
        sentence = said[begin:end]
        origin = begin + lag(sentence, taken(heard, begin, len(sentence) + round(LATEST * rate)))
        for first, last in utterances(sentence, rate):
            part = sentence[first:last]
            start = int(origin) + first - reach
            place = start + lag(part, taken(heard, start, len(part) + 2 * reach))
            references.append(part)
            found.append(taken(heard, place, len(part)))
    return np.concatenate(references), np.concatenate(found)


def understood(voice: str, heard: Heard) -> float:
    """STOI against the speech before any codec."""
    from pystoi import stoi  # type: ignore[import-untyped]

    reference = speech(voice, COMPARED)
    received = changed(heard.samples.astype(np.float64), heard.rate, COMPARED)
    said, got = aligned(reference.samples.astype(np.float64), received, COMPARED, reference.sentences)
    return float(stoi(said, got, COMPARED))


# the table ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """What several calls in the same conditions gave."""

    scores: tuple[float, ...]
    concealed: float
    recovered: float
    delay: float

    def __str__(self) -> str:
        return f"{statistics.median(self.scores):.3f} ({min(self.scores):.3f}–{max(self.scores):.3f})"


def measure(way: Way, loss: float, jitter: float, seeds: int, voices: Sequence[str]) -> Cell:
    """Each voice over as many networks as there are seeds."""
    scores, calls = [], []
    for voice in voices:
        said = speech(voice, way.terms().codec.sample_rate).samples
        for seed in range(1, seeds + 1):
            heard = call(way, said, Conditions(loss, jitter, seed))
            calls.append(heard)
            scores.append(understood(voice, heard))
    mean = statistics.fmean
    return Cell(
        tuple(scores),
        mean(heard.concealed for heard in calls),
        mean(heard.recovered for heard in calls),
        statistics.median(heard.delay for heard in calls),
    )


def table(losses: Sequence[float], cells: Mapping[tuple[str, float], Cell], show: str = "score") -> str:
    """Markdown: a row for each way, a column for each loss."""
    names = dict.fromkeys(name for name, _ in cells)
    lines = [
        f"| | {' | '.join(f'{loss:.0%} loss' for loss in losses)} |",
        f"| --- |{' --- |' * len(losses)}",
    ]
    for name in names:
        row = [cells[name, loss] for loss in losses]
        if show == "score":
            texts = [str(cell) for cell in row]
        else:
            texts = [f"{cell.concealed:.1%}, {cell.recovered:.1%}, {cell.delay * 1000:.0f} ms" for cell in row]
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def versions() -> str:
    """What spoke, coded and judged."""
    voice = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True).stdout.strip()
    opus = codecs.opus.version() or "no libopus"
    return f"{voice.partition('  Data')[0]}, {opus}, pystoi {importlib.metadata.version('pystoi')}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--losses", default="0,5,10,20", help="per cent of the packets")
    parser.add_argument("--jitter", type=float, default=60, help="milliseconds between the fastest and the slowest")
    parser.add_argument("--seeds", type=int, help="networks for each voice (5)")
    parser.add_argument("--ways", default="", help=f"some of: {'; '.join(way.name for way in WAYS)}; separated by ;")
    parser.add_argument("--quick", action="store_true", help="one seed and one voice")
    given = parser.parse_args(arguments)
    losses = [float(loss) / 100 for loss in given.losses.split(",")]
    seeds = given.seeds or (1 if given.quick else 5)
    voices = VOICES[:1] if given.quick else VOICES
    wanted = [name.strip() for name in given.ways.split(";") if name.strip()]
    ways = [way for way in WAYS if not wanted or way.name in wanted]
    if len(ways) < len(wanted):
        parser.error(f"--ways: {given.ways}: there are {'; '.join(way.name for way in WAYS)}")
    missing = [way.name for way in ways if codecs.find(way.codec) is None]
    began = time.process_time()
    cells: dict[tuple[str, float], Cell] = {}
    for way in ways:
        if way.name in missing:
            continue
        for loss in losses:
            cell = cells[way.name, loss] = measure(way, loss, given.jitter / 1000, seeds, voices)
            print(f"{way.name}, {loss:.0%}: {cell}", file=sys.stderr, flush=True)
    print(f"STOI, {given.jitter:g} ms jitter; median (least–most) of {seeds * len(voices)} calls\n")
    print(table(losses, cells))
    print("\nOf all packets: made up for (lost or late), recovered from redundancy; how long the buffer holds them\n")
    print(table(losses, cells, "network"))
    spent = time.process_time() - began
    print(f"\n{len(voices)} voices, {len(SENTENCES)} sentences; {versions()}; {spent:.0f} s of CPU")
    if missing:
        print(f"Not available here: {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
