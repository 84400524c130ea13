"""L16: network order, and nothing lost."""

import numpy as np
import pytest

from ringback.errors import LocalError
from ringback.media import codecs
from ringback.media.codecs.l16 import INFOS
from tests.media.sounds import noise


def test_samples_go_in_network_order() -> None:
    encoder = codecs.encoder(INFOS[1])
    assert encoder.encode(np.array([1, -2, 0x1234, -32768], dtype=np.int16)) == bytes.fromhex("0001fffe12348000")


def test_samples_come_back_as_they_were() -> None:
    for info in INFOS:
        samples = noise(info.samples(info.frames[0]), 8000)
        payload = codecs.encoder(info).encode(samples)
        decoder = codecs.decoder(info)
        assert decoder.duration(payload) == len(samples)
        assert np.array_equal(decoder.decode(payload), samples)
        # The payload of one packet fits into an Ethernet's, headers included.
        assert len(payload) * info.frames[-1] // info.frames[0] <= 1400


def test_half_a_sample_is_left_out() -> None:
    decoder = codecs.decoder(INFOS[1])
    assert decoder.decode(bytes.fromhex("0001ff")).tolist() == [1]
    assert decoder.duration(b"abc") == 1


def test_a_payload_without_a_whole_sample_is_concealed() -> None:
    decoder = codecs.decoder(INFOS[1])
    decoder.decode(bytes(80))
    assert decoder.decode(b"").tolist() == [0] * 40
    assert decoder.decode(b"a").tolist() == [0] * 40


def test_44100_has_the_static_type_11() -> None:
    assert codecs.static(11) == INFOS[3]
    assert INFOS[3].rtpmap == "L16/44100"


def test_other_rates_are_refused() -> None:
    with pytest.raises(LocalError, match="L16 works with 16000 samples a second, not with 8000"):
        codecs.decoder(INFOS[0].at(8000))
    with pytest.raises(LocalError, match="L16 works with 16000"):
        codecs.encoder(INFOS[0].at(8000))
