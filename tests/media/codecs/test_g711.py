"""Companding by table: what both laws share."""

import numpy as np

from ringback.media.codecs.g711 import CompandingEncoder, all_samples, expanded
from ringback.media.samples import Samples


def test_magnitudes_stand_in_the_order_of_the_unsigned_value() -> None:
    magnitudes, negative = all_samples()
    assert magnitudes[[0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF]].tolist() == [0, 1, 32767, 32767, 32766, 0]
    assert negative[[0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF]].tolist() == [False, False, False, True, True, True]


def test_an_encoder_looks_up_the_unsigned_value_of_every_sample() -> None:
    table = (np.arange(65536) >> 8).astype(np.uint8)
    encoder = CompandingEncoder(table, 8000)
    assert encoder.encode(np.array([0, 256, -1, -32768], dtype=np.int16)) == bytes([0, 1, 255, 128])
    assert encoder.encode(np.zeros(0, dtype=np.int16)) == b""
    encoder.close()


def test_every_second_sample_of_an_array_can_be_encoded() -> None:
    table = (np.arange(65536) & 255).astype(np.uint8)
    every = np.arange(8, dtype=np.int16)
    assert CompandingEncoder(table, 8000).encode(every[::2]) == bytes([0, 2, 4, 6])


def test_a_decoder_looks_up_every_octet() -> None:
    table: Samples = (np.arange(256) * 3).astype(np.int16)
    assert expanded(table)(bytes([0, 1, 255])).tolist() == [0, 3, 765]
    assert expanded(table)(b"").tolist() == []
