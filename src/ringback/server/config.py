"""The configuration: read from a TOML file, variables and the command line, and checked with every mistake named.

What counts more comes first: options of the command line, then variables (`RINGBACK_LIMITS__CONNECTIONS=100`), then the
file, then what each setting is as it comes (`settings`). A mistake is one line: where the value came from, which key it
is, what is wrong, and what is allowed.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from ringback.errors import ConfigurationError
from ringback.server.settings import WIDEST_TRUSTED, Settings

__all__ = ["PREFIX", "Mistakes", "load"]

PREFIX: Final = "RINGBACK_"
#: Variables that begin like settings and are none.
_OTHER_VARIABLES: Final = frozenset({"RINGBACK_PURE"})

#: Keys whose values are paths; one that is relative in a file is meant from the file's folder.
_PATHS: Final = ((), ("data",)), (("tls",), ("certificate", "key", "client_ca", "ca"))


class Mistakes(ConfigurationError):
    """The configuration cannot work; `lines` has one line a mistake."""

    lines: tuple[str, ...]

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def load(file: Path | None = None, options: Mapping[str, Any] | None = None, *, partial: bool = False) -> Settings:
    """The configuration from `file`, the variables of the process, and `options` of the command line (nested dicts).

    `partial`: each value has to be allowed, but nothing need be there and nothing is refused; for commands that use
    some of it. Raises Mistakes.
    """
    given = dict(options or {})
    written = _read(file) if file is not None else {}
    sources = _Sources(file, written, given)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=written)

    lines = list(_unknown_variables())
    settings = None
    try:
        settings = Loaded(**given)
    except ValidationError as error:
        found = error.errors(include_url=False)
        # A list with a mistake in one item is not said to be wrong as a whole, too.
        deeper = {details["loc"][:depth] for details in found for depth in range(len(details["loc"]))}
        lines += [sources.describe(details) for details in found if details["loc"] not in deeper]
    if settings is not None and not partial:
        lines += [sources.line(location, text) for location, text in _refusals(settings)]
    if lines or settings is None:
        raise Mistakes(dict.fromkeys(lines))
    return settings


# Reading --------------------------------------------------------------------------------------------------------------


def _read(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Mistakes([f"{file}: can not be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Mistakes([f"{file}: no TOML: {error}"]) from error
    for section, keys in _PATHS:
        table: Any = values
        for name in section:
            table = table.get(name)
        for key in keys:
            if isinstance(table, dict) and isinstance(table.get(key), str) and table[key]:
                table[key] = str(file.parent / table[key])
    return values


def _unknown_variables() -> Iterator[str]:
    """Variables that are meant as settings and name none: pydantic-settings passes over them without a word."""
    known = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if not variable.startswith(PREFIX) or variable in _OTHER_VARIABLES:
            continue
        first, section, _ = variable.removeprefix(PREFIX).partition("__")
        if first.upper() in known:
            continue
        near = difflib.get_close_matches(first.upper(), known, 1, 0.8)
        if section or near:
            hint = f"; did you mean {PREFIX}{near[0]}?" if near else f"; sections: {', '.join(_sections())}"
            yield f"{variable}: there is no such setting{hint}"


def _sections() -> list[str]:
    return [name for name, field in Settings.model_fields.items() if _model_in(field.annotation) is not None]


# Mistakes -------------------------------------------------------------------------------------------------------------


class _Sources:
    """Knows which of the sources a value came from."""

    def __init__(self, file: Path | None, written: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self.file = file
        self.written = written
        self.options = options

    def line(self, location: Sequence[int | str], text: str) -> str:
        """One line about the setting at `location`."""
        where = self._where(location)
        key = _key(location)
        return f"{where}: {key}: {text}" if where != key else f"{key}: {text}"

    def describe(self, details: ErrorDetails) -> str:
        """One line for one error of pydantic's."""
        kind = details["type"]
        location = _without_tags(details["loc"])
        if kind == "extra_forbidden":
            # The key is as people wrote it: flood-burst, or anything else.
            location = [*_without_tags(details["loc"][:-1]), details["loc"][-1]]
            return self.line(location, _no_such_key(location))
        field = _field_at(location)
        allowed = ""
        if field is not None and field.description and not _is_section(field):
            allowed = f"; allowed: {field.description}"
        if kind == "missing":
            return self.line(location, f"is missing{allowed}")
        if kind == "value_error":
            return self.line(location, str(details["ctx"]["error"]) + allowed)
        if kind in ("model_type", "model_attributes_type", "dict_type"):
            return self.line(location, "has to be a table" + (f" [{_key(location)}]" if location else ""))
        return self.line(location, f"{_shown(details['input'])} is not allowed{allowed}")

    def _where(self, location: Sequence[int | str]) -> str:
        names = [str(part) for part in location if isinstance(part, str)]
        if _has(self.options, names):
            return f"--{names[-1].replace('_', '-')}"
        for depth in range(len(names), 0, -1):
            # A variable may hold a whole list of tables.
            variable = PREFIX + "__".join(names[:depth]).upper()
            for name in os.environ:
                if name.upper() == variable:
                    return name
        if self.file is not None and (_has(self.written, names) or not names):
            number = _line_number(self.file, location)
            return f"{self.file}:{number}" if number else str(self.file)
        return str(self.file) if self.file is not None else _key(location)


def _key(location: Sequence[int | str]) -> str:
    key = ""
    for part in location:
        key += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if key else part
    return key or "configuration"


def _without_tags(location: Sequence[int | str]) -> list[int | str]:
    return [part for part in location if isinstance(part, int) or part.isidentifier()]


def _has(values: Any, names: Sequence[str]) -> bool:
    for name in names:
        if isinstance(values, list):
            # A key of a table in a list: any of them may have it.
            return True
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return bool(names)


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else text[:57] + "..."


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds, directly or as the items of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, Union, UnionType):
        for argument in get_args(annotation):
            model = _model_in(argument)
            if model is not None:
                return model
    return None


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _field_at(location: Sequence[int | str]) -> FieldInfo | None:
    model: type[BaseModel] | None = Settings
    field: FieldInfo | None = None
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if model is not None else None
        if field is None:
            return None
        model = _model_in(field.annotation)
    return field


def _no_such_key(location: Sequence[int | str]) -> str:
    parent = _field_at(location[:-1])
    model = Settings if parent is None else _model_in(parent.annotation)
    names = list(model.model_fields) if model is not None else []
    near = difflib.get_close_matches(str(location[-1]), names, 1, 0.6)
    hint = f"did you mean {near[0]}?" if near else f"keys: {', '.join(names)}"
    return f"there is no such key; {hint}"


def _line_number(file: Path, location: Sequence[int | str]) -> int:
    """The line that a key stands in, as far as a simple look at the file tells; 0 for none."""
    section = ""
    wanted = ".".join(part for part in location if isinstance(part, str))
    position = next((depth for depth, part in enumerate(location) if isinstance(part, int)), len(location))
    # Of a list of tables, [[listen]], only the one that is meant counts.
    tables = ".".join(str(part) for part in location[:position])
    left = location[position] if position < len(location) else -1
    best = 0
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[] ").partition("]")[0].strip()
            if section == tables and text.startswith("[[") and isinstance(left, int):
                if left != 0:
                    section = ""
                left -= 1
            if section and (wanted == section or wanted.startswith(section + ".")):
                best = number
            continue
        key, equals, _ = text.partition("=")
        if equals:
            name = key.strip().strip("\"'")
            whole = f"{section}.{name}" if section else name
            if whole == wanted:
                return number
            if wanted.startswith(whole + "."):
                best = number
    return best


# What is refused though each value is allowed -------------------------------------------------------------------------


def _refusals(settings: Settings) -> Iterator[tuple[Sequence[str], str]]:
    if not settings.served:
        yield ("domain",), 'is missing: the domain that is served; allowed: a domain, such as "example.org"'
    secure = [listen for listen in settings.listen if listen.transport in ("TLS", "WSS")]
    if secure and settings.tls.certificate is None:
        yield ("tls", "certificate"), f"is missing, and {secure[0].address} needs it; allowed: the path of a PEM file"
    places = [(listen.transport in ("UDP",), listen.place) for listen in settings.listen if listen.place[1]]
    for position, place in enumerate(places):
        if place in places[:position]:
            yield ("listen",), f"{settings.listen[position].address} is there twice"
    yield from _open_relays(settings)


def _open_relays(settings: Settings) -> Iterator[tuple[Sequence[str], str]]:
    """Who trusts everybody, or lets strangers use a gateway, pays for their calls."""
    for version in (4, 6):
        networks = [ipaddress.ip_network(text) for text in settings.authentication.trusted]
        same = [network for network in networks if network.version == version]
        for network in ipaddress.collapse_addresses(same):  # type: ignore[type-var]
            if network.prefixlen < WIDEST_TRUSTED[version]:
                yield (
                    ("authentication", "trusted"),
                    f"{network} would make this an open relay for strangers; allowed: networks of /"
                    f"{WIDEST_TRUSTED[version]} or narrower",
                )
    if settings.setup.next_hops:
        for section, key, open_value in (("authentication", "calls", False), ("setup", "outsiders", "allow")):
            if getattr(getattr(settings, section), key) == open_value:
                yield (
                    (section, key),
                    f"{_shown(open_value)} together with setup.next_hops would let strangers call through your "
                    "gateways; leave one of the two out",
                )
