"""µ-law against the values of G.711 and against what they are defined by."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media import codecs
from ringback.media.codecs.pcmu import COMPRESS, EXPAND, INFO
from tests.media.sounds import ratio, rms, sine

# G.711 table 2a, in samples of 16 bits: the decision values of the segments, and the largest of all.
FIRST_CODES = [(0, 0xFF, 0), (4, 0xFE, 8), (12, 0xFD, 16), (124, 0xEF, 132), (380, 0xDF, 396), (892, 0xCF, 924)]
LAST_CODES = [(1916, 0xBF, 1980), (3964, 0xAF, 4092), (8060, 0x9F, 8316), (16252, 0x8F, 16764), (32767, 0x80, 32124)]


@pytest.mark.parametrize(("sample", "code", "value"), FIRST_CODES + LAST_CODES)
def test_the_values_of_table_2a(sample: int, code: int, value: int) -> None:
    assert (COMPRESS[sample], EXPAND[code]) == (code, value)
    if sample:
        # One below a decision value belongs to the step before, except at the overload.
        below = sample - 1 if sample < 32767 else 31611 - 1
        assert COMPRESS[below] == code + 1
    # The negative half is its mirror image, one's complement to one's complement.
    assert (COMPRESS[~sample & 0xFFFF], EXPAND[code & 0x7F]) == (code & 0x7F, -value)


def test_every_sample_is_at_most_half_a_step_from_its_value() -> None:
    samples = np.arange(-32768, 32768)
    codes = COMPRESS[samples & 0xFFFF]
    # Table 2a: the step is 2 of 14 bits in the first segment and doubles from each to the next; so 8 of 16 bits.
    half_steps = 4 << ((~codes >> 4) & 7).astype(np.int64)
    errors = np.abs(EXPAND[codes] - samples)
    inside = np.abs(samples) <= 8158 * 4
    assert np.all(errors[inside] <= half_steps[inside])
    # At the overload the largest value is all that there is.
    assert np.all(EXPAND[codes[~inside]] == np.sign(samples[~inside]) * 32124)
    assert np.all(np.diff(EXPAND[codes].astype(np.int64)) >= 0)


def test_every_code_comes_back_but_negative_zero() -> None:
    codes = np.arange(256)
    again = COMPRESS[EXPAND.astype(np.int64) & 0xFFFF]
    assert codes[again != codes].tolist() == [0x7F]
    assert again[0x7F] == 0xFF


def test_the_sequence_of_table_6_is_1_kilohertz_at_0_dbm0() -> None:
    samples = EXPAND[np.frombuffer(bytes.fromhex("1e0b0b1e9e8b8b9e"), dtype=np.uint8)]
    # The largest sine is at +3.17 dBm0: its peak is that of the overload, 8159 steps of 4.
    assert 20 * np.log10(rms(samples) / (8159 * 4 / np.sqrt(2))) == pytest.approx(-3.17, abs=0.01)
    assert samples.tolist() == [-8828, -20860, -20860, -8828, 8828, 20860, 20860, 8828]


def test_in_packets() -> None:
    assert (INFO.payload_type, INFO.rtpmap, INFO.samples(20), INFO.timestamp(160)) == (0, "PCMU/8000", 160, 160)
    encoder, decoder = codecs.encoder(INFO), codecs.decoder(INFO)
    tone = sine(440, 8000, 0.02)
    payload = encoder.encode(tone)
    assert (len(payload), decoder.duration(payload)) == (160, 160)
    assert ratio(tone, decoder.decode(payload)) > 35
    assert decoder.decode_fec(payload, 160) is None


def test_other_rates_are_refused() -> None:
    with pytest.raises(LocalError, match="PCMU works with 8000 samples a second, not with 16000"):
        codecs.encoder(INFO.at(16000))
    with pytest.raises(LocalError, match="PCMU works with 8000"):
        codecs.decoder(INFO.at(16000))


def test_the_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        COMPRESS[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        EXPAND[0] = 1
