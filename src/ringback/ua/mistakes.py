"""Mistakes in accounts, as lines for people: where, which key, what is wrong, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ringback.errors import ConfigurationError

__all__ = ["Mistakes", "deepest", "describe"]

_LONGEST = 60


class Mistakes(ConfigurationError):
    """An account cannot work; `lines` has one line a mistake."""

    lines: tuple[str, ...]

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(dict.fromkeys(lines))
        super().__init__("\n".join(self.lines))


def deepest(error: ValidationError) -> list[ErrorDetails]:
    """The errors; a list with a mistake in one item is not said to be wrong as a whole, too."""
    found = error.errors(include_url=False)
    deeper = {details["loc"][:depth] for details in found for depth in range(1, len(details["loc"]))}
    return [details for details in found if details["loc"] not in deeper]


def describe(model: type[BaseModel], details: ErrorDetails, where: str = "") -> str:
    """One line for one of pydantic's errors about `model`; `where` stands in front of the key."""
    location = _without_tags(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return f"{where}{_key(location)}: there is no such key; {_hint(model, location)}"
    field = _field_at(model, location)
    allowed = f"; allowed: {field.description}" if field is not None and field.description else ""
    if kind == "missing":
        return f"{where}{_key(location)}: is missing{allowed}"
    if kind == "value_error":
        text = str(details["ctx"]["error"])
        key = _key(location)
        return f"{where}{key}: {text}{allowed}" if key else f"{where.removesuffix('.')}: {text}".removeprefix(": ")
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{where}{_key(location)}: has to be a table"
    shown = "the value" if field is not None and not field.repr else _shown(details["input"])
    return f"{where}{_key(location)}: {shown} is not allowed{allowed}"


def _without_tags(location: Sequence[int | str]) -> list[int | str]:
    """The location without what pydantic puts in for the members of a union."""
    return [part for part in location if isinstance(part, int) or ("[" not in part and "-" not in part)]


def _key(location: Sequence[int | str]) -> str:
    key = ""
    for part in location:
        key += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if key else part
    return key


def _field_at(model: type[BaseModel], location: Sequence[int | str]) -> FieldInfo | None:
    found: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int) or inside is None:
            break
        field = _fields(inside).get(part)
        if field is None:
            break
        found = field
        annotation = field.annotation
        inside = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return found


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields by the names that people write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _hint(model: type[BaseModel], location: Sequence[int | str]) -> str:
    parent = _field_at(model, location[:-1])
    inside: Any = model if parent is None else parent.annotation
    names = list(_fields(inside))
    near = difflib.get_close_matches(str(location[-1]), names, 1, 0.6)
    return f"did you mean {near[0]}?" if near else f"keys: {', '.join(names)}"


def _shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
