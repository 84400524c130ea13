"""docs/configuration.md against the program: every key, its default, what is allowed, whether it needs a restart."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest
import typer.main
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ringback.cli.main import app
from ringback.server.config import Mistakes, load
from ringback.server.runtime.server import LIVE
from ringback.server.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"
NOTHING = "—"


class Row(NamedTuple):
    """One line of a table of keys."""

    default: str
    allowed: str
    restart: str
    meaning: str


def documented(text: str) -> dict[str, Row]:
    """The rows of all tables of keys: | `key` | default | allowed | restart | meaning |."""
    rows: dict[str, Row] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == 5:
            key = cells[0].strip("`")
            assert key not in rows, f"{key} stands twice"
            rows[key] = Row(cells[1].strip("`"), *cells[2:])
    return rows


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The model that an annotation is or holds as the items of a list."""
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def keys(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that holds a value, with its field; items of a list of tables have keys of their own."""
    for name, field in model.model_fields.items():
        inner = models_in(field.annotation)
        is_section = isinstance(field.annotation, type) and bool(inner)
        if not is_section:
            yield prefix + name, field
        for one in inner:
            yield from keys(one, f"{prefix}{name}.")


KEYS = dict(keys())
ROWS = documented(PAGE.read_text(encoding="utf-8"))


def value_of(text: str) -> Any:
    """A default as the page has it: TOML, or nothing."""
    return None if text == NOTHING else tomllib.loads(f"value = {text}")["value"]


def needs_restart(key: str) -> bool:
    """Whether a change of this key is left to a restart when the configuration is read again."""
    section, _, name = key.partition(".")
    return section not in LIVE or name in LIVE[section]


def test_every_key_is_there_and_no_other() -> None:
    assert {"domain", "listen.address", "limits.calls", "setup.next_hops.uri"} <= set(KEYS)
    assert sorted(ROWS) == sorted(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_a_key(key: str) -> None:
    field, row = KEYS[key], ROWS[key]
    default = value_of(row.default)
    if field.default is PydanticUndefined or field.default is None:
        assert default is None
    elif field.validate_default is False:
        # What is allowed as it comes and not as a value: the main domain may be missing, but not empty.
        assert default == field.default
    else:
        # As a file would be read: text becomes a path, an address a place to listen at.
        assert TypeAdapter(field.rebuild_annotation()).validate_python(default) == field.default
    assert row.allowed == field.description
    assert row.restart == ("yes" if needs_restart(key) else "no")
    assert row.meaning.endswith((".", ")")) and len(row.meaning) > 4


@pytest.mark.parametrize(
    "section", [name for name, field in Settings.model_fields.items() if isinstance(field.annotation, type)]
)
def test_a_section_names_its_variables(section: str) -> None:
    if models_in(Settings.model_fields[section].annotation):
        text = PAGE.read_text(encoding="utf-8").partition(f"### `[{section}]`")[2]
        assert text.lstrip().startswith(f"Variables: `RINGBACK_{section.upper()}__`")


README = PAGE.parents[1] / "README.md"
EXAMPLES = [
    example
    for page in (PAGE, README)
    for example in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_a_configuration(example: str, tmp_path: Path) -> None:
    file = tmp_path / "ringback.toml"
    file.write_text(example)
    assert load(file, {"domain": "example.org"}).served == ("example.org",)


def test_the_mistakes_that_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text(encoding="utf-8")
    shown = [line.removeprefix("ringback: ") for line in text.splitlines() if line.startswith("ringback: ")]
    monkeypatch.chdir(tmp_path)
    file = Path("ringback.toml")
    file.write_text(
        'domain = "example.org"\n\n[limits]\nflood-burst = 200\ncalls = true\n[tls]\ncertificate = "cert.pem"\n'
    )
    with pytest.raises(Mistakes) as caught:
        load(file)
    assert list(caught.value.lines) == shown


def commands(group: Any, prefix: str = "ringback") -> Iterator[tuple[str, Any]]:
    """Every command with what is typed for it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def test_every_command_is_there_with_options_that_it_has() -> None:
    found = dict(commands(typer.main.get_command(app)))
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `ringback ")]
    seen = set()
    for line in lines:
        usage = line.split("`")[1]
        name = max((name for name in found if f"{usage} ".startswith(f"{name} ")), key=len)
        seen.add(name)
        known = {option for parameter in found[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", usage)) <= known, usage
    assert seen == set(found)
