"""Accounts in a file: one table each, under the name that commands know it by.

    default = "work"

    [work]
    address = "sip:alice@example.org"
    password = "…"

    [home]
    address = "sip:alice@fritz.box"
    user = "alice1"

The file is the one that is given, $RINGBACK_ACCOUNTS, or ~/.config/ringback/accounts.toml. A password may stand in the
variable RINGBACK_PASSWORD_<NAME> (RINGBACK_PASSWORD_HOME) instead, which counts more than the file. Each mistake is
named with the file and line, the key, and what is allowed.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ringback.errors import ConfigurationError
from ringback.ua.account import Account
from ringback.ua.instance import state_folder
from ringback.ua.mistakes import Mistakes, deepest, describe

__all__ = ["Accounts", "accounts_file", "load_accounts", "password_variable"]

VARIABLE: Final = "RINGBACK_ACCOUNTS"
PASSWORDS: Final = "RINGBACK_PASSWORD_"
DEFAULT: Final = "default"
#: Keys whose values are paths; one that is relative is meant from the file's folder.
_PATHS: Final = (("instances",), ("tls", "ca"), ("tls", "certificate"), ("tls", "key"))


def accounts_file() -> Path:
    """Where accounts are when nobody says otherwise."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return Path(base) / "ringback" / "accounts.toml"


def password_variable(name: str) -> str:
    """The variable that may hold the password of the account `name`."""
    return PASSWORDS + re.sub(r"[^A-Z0-9]", "_", name.upper())


class Accounts(Mapping[str, Account]):
    """The accounts of a file by name; `default` is the name of the one to take when none is named, or ""."""

    def __init__(self, file: Path, accounts: Mapping[str, Account], default: str) -> None:
        self.file = file
        self.default = default
        self._accounts = dict(accounts)

    def __getitem__(self, name: str) -> Account:
        return self._accounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)

    def named(self, name: str = "") -> Account:
        """The account of that name or address; for "" the default, or the only one. Raises ConfigurationError."""
        wanted = name or self.default
        if not wanted:
            if len(self._accounts) == 1:
                return next(iter(self._accounts.values()))
            raise ConfigurationError(
                f'{self.file}: which of {_listed(self._accounts)}? Name one, or write default = "…" into the file'
            )
        if wanted in self._accounts:
            return self._accounts[wanted]
        for account in self._accounts.values():
            if wanted in (account.uri.text, account.uri.text.partition(":")[2]):
                return account
        near = difflib.get_close_matches(wanted, self._accounts, 1, 0.6)
        hint = f"did you mean {near[0]}?" if near else f"accounts: {_listed(self._accounts)}"
        raise ConfigurationError(f"{self.file}: there is no account {wanted!r}; {hint}")


def load_accounts(file: Path | None = None) -> Accounts:
    """The accounts of a file; None: the usual one. Raises ConfigurationError with a line for each mistake."""
    path = file or accounts_file()
    values = _read(path)
    lines: list[str] = []
    accounts: dict[str, Account] = {}
    default = values.pop(DEFAULT, "")
    for name, table in values.items():
        if not isinstance(table, dict):
            lines.append(f"{_place(path, (name,))}: {name}: there is no such key; accounts are tables: [{name}]")
            continue
        _resolve(table, path.parent)
        if password_variable(name) in os.environ:
            table["password"] = os.environ[password_variable(name)]
            table.pop("ha1", None)
        if not table.get("instance"):
            table.setdefault("instances", str(state_folder()))
        try:
            accounts[name] = Account(**table)
        except ValidationError as error:
            for details in deepest(error):
                location = (name, *details["loc"])
                lines.append(describe(Account, details, f"{_place(path, location)}: {name}."))
    if not isinstance(default, str) or (default and default not in values):
        lines.append(f"{_place(path, (DEFAULT,))}: default: {default!r} is no account; allowed: {_listed(accounts)}")
    if lines:
        raise Mistakes(lines)
    return Accounts(path, accounts, default)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: can not be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: no TOML: {error}") from error


def _resolve(table: dict[str, Any], folder: Path) -> None:
    for keys in _PATHS:
        inner: Any = table
        for key in keys[:-1]:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and isinstance(inner.get(keys[-1]), str) and inner[keys[-1]]:
            inner[keys[-1]] = str(folder / os.path.expanduser(inner[keys[-1]]))


def _place(path: Path, location: tuple[int | str, ...]) -> str:
    """The file and the line of a key, as far as a simple look at the file tells."""
    names = [str(part) for part in location if isinstance(part, str)]
    section = ""
    best = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip()
        if text.startswith("["):
            section = text.strip("[] ").partition("]")[0].strip().replace('"', "")
            if ".".join(names) == section or ".".join(names).startswith(f"{section}."):
                best = number
            continue
        key, equals, _ = text.partition("=")
        if equals:
            whole = f"{section}.{key.strip()}" if section else key.strip()
            if ".".join(names) == whole:
                return f"{path}:{number}"
            if ".".join(names).startswith(f"{whole}."):
                best = number
    return f"{path}:{best}" if best else str(path)


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
