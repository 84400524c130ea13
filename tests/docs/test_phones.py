"""docs/phones.md: the program takes its commands and reads its files, and its keys are those of the screen."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from textual.binding import Binding

from ringback.cli.main import app
from ringback.cli.screen.app import Softphone
from ringback.cli.screen.contacts import Contacts
from ringback.ua.accounts import load_accounts

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "phones.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def commands() -> list[str]:
    lines = [line.rpartition(" | ")[2] for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("ringback ")]


def test_all_five_are_shown() -> None:
    assert {line.split()[1] for line in commands()} == {"answer", "call", "options", "register", "softphone"}


@pytest.mark.parametrize("line", commands())
def test_the_program_takes_it(line: str) -> None:
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_group(app).commands[name]
    with command.make_context(name, arguments) as context:
        assert context.command is command


def test_the_accounts_are_read(tmp_path: Path) -> None:
    [pasted] = re.findall(r"<<'END'\n(.*?)END\n", TEXT, re.DOTALL)
    accounts, contacts = blocks("toml")
    (tmp_path / "authorities.pem").touch()
    for number, text in enumerate((pasted, accounts)):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        assert len(load_accounts(file)) == 2
    (tmp_path / "contacts.toml").write_text(contacts)
    assert list(Contacts(tmp_path / "contacts.toml")) == ["bob", "Carol of sales"]


def test_the_keys_are_those_of_the_screen() -> None:
    shown = re.findall(r"^\| (F\d+|Ctrl-\w) \| (?:`(\w)`)? ?\|", TEXT, re.MULTILINE)
    told = {key.lower().replace("ctrl-", "ctrl+") + (f",{letter}" if letter else "") for key, letter in shown}
    assert told == {binding.key for binding in Softphone.BINDINGS if isinstance(binding, Binding)}
