"""Contacts in a file beside the accounts: a name and a SIP URI a line.

    bob = "sip:bob@example.org"
    "Carol of sales" = "sip:carol@example.org"

Contacts are added at the end; what else stands in the file, comments too, stays as it is.
"""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ringback.errors import ConfigurationError, LocalError, ParseError
from ringback.sip.uri import parse_uri

__all__ = ["Contacts", "contacts_file"]

FILE: Final = "contacts.toml"
LONGEST_NAME: Final = 64
_SCHEMES: Final = ("sip", "sips", "tel")


def contacts_file(accounts: Path) -> Path:
    """Where the contacts are that belong to an accounts file."""
    return accounts.with_name(FILE)


class Contacts(Mapping[str, str]):
    """The URIs by name, as the file has them; without a file, none."""

    def __init__(self, file: Path) -> None:
        """Raises ConfigurationError for a file that cannot be read, with a line for each mistake."""
        self.file = file
        self._contacts = _read(file)

    def __getitem__(self, name: str) -> str:
        return self._contacts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._contacts)

    def __len__(self) -> int:
        return len(self._contacts)

    def target(self, text: str) -> str:
        """Whom a person means who types this: the URI of a contact, in whatever case, or the text itself."""
        text = text.strip()
        wanted = text.casefold()
        return next((uri for name, uri in self._contacts.items() if name.casefold() == wanted), text)

    def add(self, name: str, uri: str) -> None:
        """Add a contact, in the file too. Raises LocalError: a mistake, a name that is taken, or no file to be had."""
        name, uri = name.strip(), uri.strip()
        problem = _problem(name, uri)
        if not problem and name.casefold() in (other.casefold() for other in self._contacts):
            problem = f"there is a contact {name!r} already"
        if problem:
            raise LocalError(problem)
        line = f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(uri, ensure_ascii=False)}\n"
        try:
            text = self.file.read_text(encoding="utf-8") if self.file.exists() else ""
            _write(self.file, text + ("" if not text or text.endswith("\n") else "\n") + line)
        except OSError as error:
            raise LocalError(f"{self.file}: can not be written: {error.strerror}") from error
        self._contacts[name] = uri


def _read(file: Path) -> dict[str, str]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigurationError(f"{file}: can not be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: no TOML: {error}") from error
    problems = [_problem(name, uri) for name, uri in values.items()]
    if any(problems):
        raise ConfigurationError("\n".join(f"{file}: {problem}" for problem in problems if problem))
    return values


def _problem(name: str, uri: object) -> str:
    """What is wrong with a contact, or ""."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        return f"{name!r} is no name: 1 to {LONGEST_NAME} characters"
    if not isinstance(uri, str):
        return f'{name}: a contact is a URI in quotes: {name} = "sip:…"'
    try:
        scheme = parse_uri(uri).scheme
    except ParseError as error:
        return f"{name}: {error}"
    return "" if scheme in _SCHEMES else f"{name}: {uri} can not be called; allowed: sip:, sips: and tel:"


def _write(file: Path, text: str) -> None:
    """All of it or nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        if file.exists():
            os.chmod(name, file.stat().st_mode & 0o777)
        os.replace(name, file)
    except BaseException:
        os.unlink(name)
        raise
