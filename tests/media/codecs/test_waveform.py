"""The decoder of codecs without concealment of their own."""

import numpy as np

from ringback.media.codecs.waveform import WaveformDecoder
from ringback.media.samples import Samples, from_bytes, to_bytes
from tests.media.sounds import in_frames, rms, sine


def decoder(rate: int = 8000) -> WaveformDecoder:
    return WaveformDecoder(rate, from_bytes, samples_an_octet=0.5)


def frames(rate: int = 8000) -> list[Samples]:
    return in_frames(sine(200, rate, 0.2), rate // 50)


def test_without_loss_nothing_is_changed() -> None:
    decoding = decoder()
    for frame in frames():
        assert np.array_equal(decoding.decode(to_bytes(frame)), frame)


def test_an_empty_payload_is_as_long_as_the_last_one() -> None:
    decoding = decoder()
    assert decoding.decode(b"").tolist() == [0] * 160
    decoding.decode(to_bytes(frames()[0][:80]))
    assert len(decoding.decode(b"")) == 80


def test_a_lost_packet_is_concealed_and_the_next_one_cross_faded() -> None:
    decoding, heard = decoder(), frames()
    for frame in heard[:4]:
        decoding.decode(to_bytes(frame))
    assert rms(decoding.conceal(160)) > 0.8 * rms(heard[4])
    after = decoding.decode(to_bytes(-heard[5]))
    assert not np.array_equal(after[:8], -heard[5][:8])
    assert np.array_equal(after[80:], -heard[5][80:])


def test_there_is_no_redundancy() -> None:
    assert decoder().decode_fec(bytes(320), 160) is None


def test_durations() -> None:
    assert (decoder().duration(bytes(320)), decoder().duration(b"")) == (160, 0)
    decoder().close()
