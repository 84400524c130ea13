"""The ears of the interop tests hear what is there, and miss what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.interop.peers.hearing import Hearing, Sound, chord, keys, wait_to_hear, write_wav
from tests.interop.peers.program import PeerError
from tests.interop.peers.speech import INTELLIGIBLE, intelligibility, resampled

SILENCE = chord((), 0.2)


def test_tones_gaps_and_keys(tmp_path: Path) -> None:
    """Which tone, for how long, how loud; how long nothing; which keys."""
    sound = np.concatenate([SILENCE, chord((1000,), 1.0), SILENCE, chord((440,), 0.5), keys("159#D0")])
    heard = Hearing.read(write_wav(tmp_path / "sound.wav", sound, 8000, channels=2))
    assert heard.rate == 8000
    assert heard.seconds == pytest.approx(3.1)
    assert heard.level == pytest.approx(-9, abs=0.3)
    assert [(span.start, span.end) for span in heard.spans_of(1000)] == [
        (pytest.approx(0.2, abs=0.03), pytest.approx(1.2, abs=0.05))
    ]
    assert heard.seconds_of(440) == pytest.approx(0.5, abs=0.05)
    assert heard.seconds_of(700) == 0
    assert [span.start for span in heard.silences(0.15)] == [pytest.approx(1.2, abs=0.03)]
    assert heard.dtmf() == "159#D0"


def test_a_tone_that_was_heard_before_does_not_count(tmp_path: Path) -> None:
    """What has been waited for has to be recorded from then on."""
    path = write_wav(tmp_path / "sound.wav", chord((1000,), 1.0), 8000)
    with pytest.raises(PeerError):
        wait_to_hear(lambda: Hearing.read(path), 1000, within=0.2)


@pytest.mark.interop("espeak-ng")
def test_speech_is_understood_or_not(speech: Callable[..., Path], sentence: Hearing) -> None:
    """Late, at another rate and stretched by a frame it is; under noise, cut or another sentence it is not."""
    narrow = resampled(sentence, 8000).samples

    def understood(*parts: Sound) -> float:
        return intelligibility(sentence, Hearing(np.concatenate(parts), 8000))

    assert understood(np.zeros(3000), narrow[:9000], np.zeros(160), narrow[9000:]) > INTELLIGIBLE
    noise = np.random.default_rng(1)
    assert understood(noise.normal(0, 0.1, len(narrow))) < 0.5
    assert understood(narrow + noise.normal(0, 0.1, len(narrow))) < INTELLIGIBLE
    assert understood(narrow[: len(narrow) // 2]) < INTELLIGIBLE
    other = Hearing.read(speech(8000, text="Rice is often served in round bowls."))
    assert intelligibility(sentence, other) < 0.6
    assert intelligibility(sentence, Hearing(np.zeros(8000), 8000)) == 0
