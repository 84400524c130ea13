"""How mistakes are told; what accounts make of it is in test_account and test_accounts."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ringback.ua.mistakes import Mistakes, deepest, describe


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = Field(description="a number")


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner = Field(default=Inner(size=1), description="a table")
    words: tuple[str, ...] = Field(default=(), description="words")
    secret: str = Field(default="", repr=False)
    named: int = Field(default=0, alias="from", description="a number")


def told(values: dict[str, Any], where: str = "") -> list[str]:
    with pytest.raises(ValidationError) as raised:
        Outer(**values)
    return [describe(Outer, details, where) for details in deepest(raised.value)]


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({"inner": {}}, ["inner.size: is missing; allowed: a number"]),
        ({"inner": {"size": 1, "sise": 2}}, ["inner.sise: there is no such key; did you mean size?"]),
        ({"inner": {"size": 1, "colour": 2}}, ["inner.colour: there is no such key; keys: size"]),
        ({"inner": 5}, ["inner: has to be a table"]),
        ({"words": ["a", 5]}, ["words[2]: 5 is not allowed; allowed: words"]),
        ({"words": 5}, ["words: 5 is not allowed; allowed: words"]),
        ({"secret": 5}, ["secret: the value is not allowed"]),
        ({"from": "x" * 100}, [f"from: '{'x' * 56}... is not allowed; allowed: a number"]),
        ({"from": None, "words": [True]}, [
            "words[1]: true is not allowed; allowed: words", "from: None is not allowed; allowed: a number"
        ]),
        ({"form": 1}, ["form: there is no such key; did you mean from?"]),
    ],
)  # fmt: skip
def test_lines(values: dict[str, Any], lines: list[str]) -> None:
    assert told(values) == lines
    assert told(values, "file:3: work.") == [f"file:3: work.{line}" for line in lines]


def test_mistakes_are_one_error_with_a_line_each() -> None:
    error = Mistakes(["a: b", "c: d", "a: b"])
    assert error.lines == ("a: b", "c: d")
    assert str(error) == "a: b\nc: d"
