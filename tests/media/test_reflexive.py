"""Asking STUN servers: one answer for each base, repetitions, silence, forgers, and keeping the binding."""

import random

import pytest

from ringback.media.reflexive import GIVE_UP, KEEP, Reflexive, ReflexiveGathering
from ringback.media.stun import (
    BINDING,
    ERROR,
    INDICATION,
    REQUEST,
    RESPONSE,
    XOR_MAPPED_ADDRESS,
    Address,
    encode_stun,
    parse_stun,
    xor_address,
)

BASE: Address = ("10.0.0.1", 4000)
SERVER: Address = ("203.0.113.3", 3478)
MAPPED: Address = ("198.51.100.1", 30000)


def gathering(*bases: Address) -> ReflexiveGathering:
    made = ReflexiveGathering(random.Random(1).randbytes)
    for base in bases or (BASE,):
        made.ask(base, SERVER, 100.0)
    return made


def requests(made: ReflexiveGathering, now: float) -> list[tuple[Address, bytes, Address]]:
    made.advance(now)
    return made.take()


def answer(data: bytes, mapped: Address = MAPPED) -> bytes:
    attributes = [(XOR_MAPPED_ADDRESS, xor_address(mapped, data[8:20]))]
    return encode_stun(BINDING, RESPONSE, data[8:20], attributes)


def test_a_question_and_its_answer() -> None:
    made = gathering()
    assert not made.done
    [(base, data, server)] = requests(made, 100.0)
    assert (base, server) == (BASE, SERVER)
    message = parse_stun(data)
    assert message is not None
    assert (message.method, message.kind) == (BINDING, REQUEST)
    assert made.receive(answer(data), BASE, SERVER, 100.1)
    assert made.found == [Reflexive(BASE, SERVER, MAPPED)]
    assert made.done
    assert not made.receive(answer(data), BASE, SERVER, 100.2)


def test_questions_are_paced() -> None:
    made = gathering(BASE, ("10.0.0.1", 4001), ("10.0.0.1", 4002))
    assert [len(requests(made, 100.0 + tick / 100)) for tick in range(6)] == [1, 0, 1, 0, 1, 0]


def test_a_question_is_repeated_and_given_up() -> None:
    made = gathering()
    moments = []
    for _ in range(20):
        when = made.deadline()
        if when is None:
            break
        moments += [round(when - 100, 3)] * len(requests(made, when))
    assert moments == [0, 0.5, 1.5]
    assert made.done
    assert made.found == []


@pytest.mark.parametrize("case", range(5))
def test_answers_that_are_none(case: int) -> None:
    made = gathering()
    [(_, data, _)] = requests(made, 100.0)
    right = answer(data)
    wrong = [
        (right, BASE, ("203.0.113.66", 3478)),
        (right, ("10.0.0.1", 4001), SERVER),
        (answer(bytes(20)), BASE, SERVER),
        (right[:-1], BASE, SERVER),
        (data, BASE, SERVER),
    ][case]
    assert not made.receive(*wrong, 100.1)
    assert made.found == []
    assert not made.done
    assert made.receive(right, BASE, SERVER, 100.2)


def test_a_refusal_or_an_empty_answer_ends_the_question() -> None:
    for kind in (ERROR, RESPONSE):
        made = gathering()
        [(_, data, _)] = requests(made, 100.0)
        assert made.receive(encode_stun(BINDING, kind, data[8:20]), BASE, SERVER, 100.1)
        assert made.done
        assert made.found == []
        assert made.deadline() is None


def test_a_late_answer_does_not_count() -> None:
    made = gathering()
    [(_, data, _)] = requests(made, 100.0)
    made.advance(100.0 + GIVE_UP)
    assert not made.receive(answer(data), BASE, SERVER, 100.0 + GIVE_UP)


def test_the_binding_is_kept_until_ice_is_done() -> None:
    made = gathering()
    [(_, data, _)] = requests(made, 100.0)
    made.receive(answer(data), BASE, SERVER, 101.0)
    for number in range(1, 4):
        assert made.deadline() == 101.0 + number * KEEP
        [(base, indication, server)] = requests(made, 101.0 + number * KEEP)
        message = parse_stun(indication)
        assert message is not None
        assert (base, server, message.kind) == (BASE, SERVER, INDICATION)
    made.stop()
    assert made.deadline() is None
    assert requests(made, 1000.0) == []
