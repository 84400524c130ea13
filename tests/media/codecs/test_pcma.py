"""A-law against the values of G.711 and against what they are defined by."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media import codecs
from ringback.media.codecs.pcma import COMPRESS, EXPAND, INFO
from tests.media.sounds import ratio, rms, sine

# G.711 table 1a, in samples of 16 bits: the first decision value of every segment, its code and its value.
CODES = [
    (0, 0xD5, 8),
    (16, 0xD4, 24),
    (256, 0xC5, 264),
    (512, 0xF5, 528),
    (1024, 0xE5, 1056),
    (2048, 0x95, 2112),
    (4096, 0x85, 4224),
    (8192, 0xB5, 8448),
    (16384, 0xA5, 16896),
    (31744, 0xAA, 32256),
    (32767, 0xAA, 32256),
]


@pytest.mark.parametrize(("sample", "code", "value"), CODES)
def test_the_values_of_table_1a(sample: int, code: int, value: int) -> None:
    assert (COMPRESS[sample], EXPAND[code]) == (code, value)
    assert (COMPRESS[~sample & 0xFFFF], EXPAND[code ^ 0x80]) == (code ^ 0x80, -value)


@pytest.mark.parametrize(("sample", "code"), [(15, 0xD5), (255, 0xDA), (511, 0xCA), (16383, 0xBA), (31743, 0xAB)])
def test_one_below_a_decision_value_belongs_to_the_step_before(sample: int, code: int) -> None:
    assert COMPRESS[sample] == code


def test_every_sample_is_at_most_half_a_step_from_its_value() -> None:
    samples = np.arange(-32768, 32768)
    codes = COMPRESS[samples & 0xFFFF]
    segments = (((codes ^ 0x55) >> 4) & 7).astype(np.int64)
    # Table 1a: the step is 16 of 16 bits in the first two segments and doubles from each to the next.
    half_steps = 8 << np.maximum(segments - 1, 0)
    assert np.all(np.abs(EXPAND[codes] - samples) <= half_steps)
    assert np.all(np.diff(EXPAND[codes].astype(np.int64)) >= 0)


def test_every_code_comes_back() -> None:
    assert COMPRESS[EXPAND.astype(np.int64) & 0xFFFF].tolist() == list(range(256))


def test_the_sequence_of_table_5_is_1_kilohertz_at_0_dbm0() -> None:
    samples = EXPAND[np.frombuffer(bytes.fromhex("34212134b4a1a1b4"), dtype=np.uint8)]
    # The largest sine is at +3.14 dBm0: its peak is that of the overload, 4096 steps of 8.
    assert 20 * np.log10(rms(samples) / (4096 * 8 / np.sqrt(2))) == pytest.approx(-3.14, abs=0.02)


def test_in_packets() -> None:
    assert (INFO.payload_type, INFO.rtpmap) == (8, "PCMA/8000")
    encoder, decoder = codecs.encoder(INFO), codecs.decoder(INFO)
    tone = sine(440, 8000, 0.02)
    payload = encoder.encode(tone)
    assert (len(payload), decoder.duration(payload)) == (160, 160)
    assert ratio(tone, decoder.decode(payload)) > 35


def test_other_rates_are_refused() -> None:
    with pytest.raises(LocalError, match="PCMA works with 8000 samples a second, not with 48000"):
        codecs.encoder(INFO.at(48000))
    with pytest.raises(LocalError, match="PCMA works with 8000"):
        codecs.decoder(INFO.at(16000))


def test_the_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        COMPRESS[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        EXPAND[0] = 1
