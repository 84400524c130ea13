"""The comfort noise payload (RFC 3389)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import ParseError
from ringback.media.codecs.cn import INFO, MOST_COEFFICIENTS, Noise, build, parse


def test_the_static_type() -> None:
    assert (INFO.rtpmap, INFO.payload_type) == ("CN/8000", 13)


def test_the_level_alone() -> None:
    assert build(Noise(60)) == bytes([60])
    assert parse(bytes([60])) == Noise(60)


def test_the_formula_of_section_3_2() -> None:
    payload = bytes([70, 0, 127, 254, 128])
    noise = parse(payload)
    assert noise.level == 70
    assert noise.coefficients == pytest.approx((-127 * 258 / 32768, 0, 127 * 258 / 32768, 258 / 32768))
    assert all(-1 < coefficient < 1 for coefficient in noise.coefficients)
    assert build(noise) == payload


@given(st.integers(0, 127), st.lists(st.integers(0, 254), max_size=MOST_COEFFICIENTS))
def test_every_payload_comes_back(level: int, indices: list[int]) -> None:
    payload = bytes([level, *indices])
    assert build(parse(payload)) == payload


@given(st.binary(min_size=1))
def test_every_payload_can_be_read(payload: bytes) -> None:
    noise = parse(payload)
    assert 0 <= noise.level <= 127
    assert all(-1 < coefficient < 1 for coefficient in noise.coefficients)


def test_what_is_out_of_range_goes_as_the_nearest() -> None:
    assert build(Noise(-3, (2.0, -2.0))) == bytes([0, 254, 0])
    assert build(Noise(500)) == bytes([127])


def test_the_unused_bit_is_not_read() -> None:
    assert parse(bytes([0x80 | 33])).level == 33


def test_the_reserved_index_ends_the_model() -> None:
    assert len(parse(bytes([40, 127, 127, 255, 127])).coefficients) == 2


def test_long_models_are_cut() -> None:
    assert len(parse(bytes([40]) + bytes([127]) * 1000).coefficients) == MOST_COEFFICIENTS


def test_an_empty_payload_is_an_error() -> None:
    with pytest.raises(ParseError, match="empty comfort noise"):
        parse(b"")
