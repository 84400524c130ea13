"""Digits in INFO bodies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import LocalError, ParseError
from ringback.media.dtmf_info import DTMF, DTMF_RELAY, InfoDigit, build, parse
from ringback.media.events import DIGITS


def test_what_is_sent() -> None:
    assert build(InfoDigit("5", 160)) == b"Signal=5\r\nDuration=160\r\n"
    assert build(InfoDigit("#", 160), DTMF) == b"#"
    assert build(InfoDigit("a")) == b"Signal=A\r\nDuration=100\r\n"


@pytest.mark.parametrize("kind", [DTMF_RELAY, DTMF])
@pytest.mark.parametrize("digit", list(DIGITS))
def test_all_digits_come_back(kind: str, digit: str) -> None:
    assert parse(kind, build(InfoDigit(digit), kind)) == InfoDigit(digit)


@pytest.mark.parametrize(
    ("body", "digit"),
    [
        (b"Signal=5\r\nDuration=160\r\n", InfoDigit("5", 160)),
        (b"Signal= 5\nDuration= 250", InfoDigit("5", 250)),
        (b"SIGNAL = * \r\n", InfoDigit("*", 100)),
        (b"Duration=160\r\nSignal=11\r\n", InfoDigit("#", 160)),
        (b"Signal=10", InfoDigit("*", 100)),
        (b"Signal=d\r\nDuration=-3", InfoDigit("D", 100)),
        (b"Signal=1\r\nDuration=999999999", InfoDigit("1", 60_000)),
        (b"Signal=1\r\nDuration=" + b"9" * 900, InfoDigit("1", 100)),
        (b"Signal=1\r\nDuration=0", InfoDigit("1", 1)),
        (b"Signal=1\r\nSomething else\r\n\r\n", InfoDigit("1", 100)),
    ],
)
def test_spellings_of_relay(body: bytes, digit: InfoDigit) -> None:
    assert parse(DTMF_RELAY, body) == digit


@pytest.mark.parametrize(
    ("body", "digit"),
    [(b"5", "5"), (b" 5\r\n", "5"), (b"11", "#"), (b"10\r\n", "*"), (b"15", "D"), (b"#", "#"), (b"Signal=7", "7")],
)
def test_spellings_of_the_plain_form(body: bytes, digit: str) -> None:
    assert parse(DTMF, body) == InfoDigit(digit)


def test_the_type_may_have_parameters_and_any_case() -> None:
    assert parse("Application/DTMF-Relay ; charset=utf-8", b"Signal=5") == InfoDigit("5")
    assert parse("text/plain", b"5") is None
    assert parse("application/dtmf-relay2", b"5") is None


@pytest.mark.parametrize("kind", [DTMF_RELAY, DTMF])
@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"x", b"16", b"123", b"Signal=", b"Signal=55", b"Signal=!", b"1" * 2000]
)
def test_without_a_digit_it_is_an_error(kind: str, body: bytes) -> None:
    with pytest.raises(ParseError):
        parse(kind, body)


@given(st.sampled_from([DTMF_RELAY, DTMF]), st.binary(max_size=100))
def test_any_body_is_read_or_refused(kind: str, body: bytes) -> None:
    try:
        read = parse(kind, body)
    except ParseError:
        return
    assert read is not None and read.digit in DIGITS and 1 <= read.duration <= 60_000


def test_what_cannot_be_sent() -> None:
    with pytest.raises(LocalError, match="is no DTMF digit"):
        build(InfoDigit("x"))
    with pytest.raises(LocalError, match="digits go as application/dtmf-relay or application/dtmf, not as text/plain"):
        build(InfoDigit("1"), "text/plain")
