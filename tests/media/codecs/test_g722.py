"""G.722: the clock of the past, the samples of the present."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media import codecs
from ringback.media.codecs.g722 import INFO
from ringback.media.samples import Samples
from tests.media.sounds import in_frames, level_at, noise, ratio, sine

#: The two quadrature mirror filters of encoder and decoder take 22 samples together.
DELAY = 22


def there_and_back(samples: Samples) -> Samples:
    encoder, decoder = codecs.encoder(INFO), codecs.decoder(INFO)
    return np.concatenate([decoder.decode(encoder.encode(frame)) for frame in in_frames(samples, 320)])


def test_the_clock_is_8000_and_the_samples_are_16000_a_second() -> None:
    assert (INFO.rtpmap, INFO.payload_type, INFO.samples(20), INFO.timestamp(320)) == ("G722/8000", 9, 320, 160)
    payload = codecs.encoder(INFO).encode(sine(1000, 16000, 0.02))
    decoder = codecs.decoder(INFO)
    assert (len(payload), decoder.duration(payload), len(decoder.decode(payload))) == (160, 320, 320)


@pytest.mark.parametrize("frequency", [200, 440, 1000, 3000])
def test_a_tone_comes_back(frequency: int) -> None:
    tone = sine(frequency, 16000, 0.4)
    assert ratio(tone[1600:4800], there_and_back(tone)[1600 + DELAY : 4800 + DELAY]) > 20


def test_both_bands_are_carried_over() -> None:
    """6 kHz is what a narrow-band codec cannot do; nothing is there that was not sent."""
    tone = there_and_back(sine(6000, 16000, 0.4))[1600:]
    assert level_at(tone, 6000, 16000) == pytest.approx(10000, rel=0.1)
    assert level_at(tone, 2000, 16000) < 200


def test_the_loudest_does_not_overflow() -> None:
    tone = sine(1000, 16000, 0.2, amplitude=32767)
    assert level_at(there_and_back(tone)[800:], 1000, 16000) == pytest.approx(32767, rel=0.1)


def test_the_state_goes_on_from_packet_to_packet() -> None:
    samples = noise(1280, 3000)
    encoder = codecs.encoder(INFO)
    payloads = [encoder.encode(frame) for frame in in_frames(samples, 320)]
    assert b"".join(payloads) == codecs.encoder(INFO).encode(samples)
    decoder = codecs.decoder(INFO)
    pieces = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert np.array_equal(pieces, codecs.decoder(INFO).decode(b"".join(payloads)))


def test_arrays_with_gaps_and_odd_lengths_are_encoded() -> None:
    samples = noise(641, 3000)
    assert codecs.encoder(INFO).encode(samples[::2]) == codecs.encoder(INFO).encode(samples[:640:2].copy())


def test_an_empty_payload_is_concealed() -> None:
    decoder = codecs.decoder(INFO)
    decoder.decode(bytes(80))
    assert len(decoder.decode(b"")) == 160


def test_other_rates_are_refused() -> None:
    with pytest.raises(LocalError, match="G722 works with 16000 samples a second, not with 8000"):
        codecs.encoder(INFO.at(8000))
    with pytest.raises(LocalError, match="G722 works with 16000"):
        codecs.decoder(INFO.at(8000))
