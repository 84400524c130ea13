"""Whose account a command uses."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ringback.cli.agents import ANONYMOUS, account_of
from ringback.errors import ConfigurationError

FILE = """
default = "work"
[work]
address = "sip:alice@example.org"
ha1 = {MD5 = "0"}
expires = 600
tls.ca = "ca.pem"
[home]
address = "sip:alice@fritz.box"
password = "home"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.toml"
    path.write_text(FILE)
    return path


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_ACCOUNTS", str(tmp_path / "none.toml"))


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_an_address_stands_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "secret\n")
    account = account_of(
        "alice@example.org", "", None, True, registrar="pbx", proxy=["edge"], transport="tcp", expires=60,
        authorities=Path("ca.pem"), insecure=True, listen=["udp:127.0.0.1:0"], register=True,
    )  # fmt: skip
    assert (account.uri.text, account.password, account.registrar) == ("sip:alice@example.org", "secret", "sip:pbx")
    assert (account.proxies, account.transport, account.expires) == (("sip:edge",), "tcp", 60)
    assert (account.tls.ca, account.tls.verify) == (Path("ca.pem"), False)
    assert (account.listen, account.registers) == (("udp:127.0.0.1:0",), True)
    assert not account_of(ANONYMOUS, "", None, False, register=False).registers


def test_an_account_of_the_file(file: Path) -> None:
    assert account_of("", "", file, False).uri.text == "sip:alice@example.org"
    assert account_of("", "home", file, False).password == "home"
    assert account_of("", "sip:alice@fritz.box", file, False).password == "home"


def test_the_command_line_counts_more(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = account_of("", "work", file, False, expires=60, insecure=True)
    assert (account.expires, account.tls.ca, account.tls.verify) == (60, file.parent / "ca.pem", False)
    assert account.ha1 == {"MD5": "0"}
    typed(monkeypatch, "secret\r\n")
    account = account_of("", "work", file, True)
    assert (account.password, account.ha1, account.expires) == ("secret", {}, 600)


def test_the_usual_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_ACCOUNTS", str(file))
    assert account_of("", "", None, False).uri.text == "sip:alice@example.org"


@pytest.mark.parametrize(
    ("address", "name", "wrong"),
    [
        ("", "", r"^give an address, or --as with the name of an account in .*none\.toml$"),
        ("sip:a@b", "work", "^an address and --as name one account too many$"),
        ("", "work", r"none\.toml: can not be read: No such file or directory$"),
        ("a b", "", "^address: "),
    ],
)
def test_mistakes(address: str, name: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        account_of(address, name, None, False)


def test_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, "\n")
    with pytest.raises(ConfigurationError, match="no password came from standard input"):
        account_of("sip:a@b", "", None, True)
