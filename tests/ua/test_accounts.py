"""The accounts file."""

from pathlib import Path

import pytest

from ringback.errors import ConfigurationError
from ringback.ua.accounts import accounts_file, load_accounts, password_variable
from ringback.ua.instance import state_folder

TWO = """
[work]
address = "sip:alice@example.org"
password = "one"

[home]
address = '"Alice" <sip:alice@fritz.box>'
user = "alice1"
tls.ca = "ca.pem"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "accounts.toml"


def test_accounts_by_name_and_address(file: Path) -> None:
    file.write_text('default = "home"\n' + TWO)
    accounts = load_accounts(file)
    assert list(accounts) == ["work", "home"] and len(accounts) == 2
    assert accounts.named() is accounts["home"] and accounts.named("work") is accounts["work"]
    assert accounts.named("sip:alice@example.org") is accounts.named("alice@example.org") is accounts["work"]
    assert accounts["work"].password == "one" and accounts["home"].user == "alice1"
    # Paths are meant from where the file is.
    assert accounts["home"].tls.ca == file.parent / "ca.pem"
    assert accounts["work"].instances == state_folder()


def test_a_single_account_needs_no_name(file: Path) -> None:
    file.write_text('[work]\naddress = "sip:alice@example.org"\ninstance = "urn:uuid:0"\n')
    account = load_accounts(file).named()
    assert account.uri.user == "alice"
    assert (account.instance, account.instances) == ("urn:uuid:0", None)


def test_which_one(file: Path) -> None:
    file.write_text(TWO)
    accounts = load_accounts(file)
    with pytest.raises(ConfigurationError) as raised:
        accounts.named()
    assert str(raised.value) == f'{file}: which of work, home? Name one, or write default = "…" into the file'
    with pytest.raises(ConfigurationError) as raised:
        accounts.named("wrok")
    assert str(raised.value) == f"{file}: there is no account 'wrok'; did you mean work?"
    with pytest.raises(ConfigurationError) as raised:
        accounts.named("office")
    assert str(raised.value) == f"{file}: there is no account 'office'; accounts: work, home"


def test_passwords_from_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(TWO + '[my-trunk]\naddress = "sip:1@trunk.example"\nha1 = {MD5 = "0"}\n')
    monkeypatch.setenv("RINGBACK_PASSWORD_WORK", "two")
    monkeypatch.setenv("RINGBACK_PASSWORD_MY_TRUNK", "three")
    assert password_variable("my-trunk") == "RINGBACK_PASSWORD_MY_TRUNK"
    accounts = load_accounts(file)
    assert accounts["work"].password == "two"
    assert accounts["my-trunk"].password == "three" and accounts["my-trunk"].ha1 == {}


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RINGBACK_ACCOUNTS", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/alice")
    assert accounts_file() == Path("/home/alice/.config/ringback/accounts.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/configured")
    assert accounts_file() == Path("/configured/ringback/accounts.toml")
    given = tmp_path / "mine.toml"
    given.write_text(TWO)
    monkeypatch.setenv("RINGBACK_ACCOUNTS", str(given))
    assert accounts_file() == given and "work" in load_accounts()


MISTAKES = """\
default = "wrk"
expires = 4

[work]
address = "sip:alice@example.org"
password = 5
expires = 3

[home]
adress = "x"

[away]
address = "sip:alice@example.org"
password = "x"
ha1 = {MD5 = "0"}

[cellar]
address = "sip:alice@example.org"
[cellar.tls]
verify = "maybe"
"""


def test_every_mistake_with_its_line(file: Path) -> None:
    file.write_text(MISTAKES)
    with pytest.raises(ConfigurationError) as raised:
        load_accounts(file)
    assert str(raised.value).splitlines() == [
        f"{file}:2: expires: there is no such key; accounts are tables: [expires]",
        f"{file}:6: work.password: the value is not allowed; allowed: text",
        f"{file}:7: work.expires: 3 is not allowed; allowed: seconds, 10 to 604800",
        f'{file}:9: home.address: is missing; allowed: a SIP address, such as "sip:alice@example.org"',
        f"{file}:10: home.adress: there is no such key; did you mean address?",
        f"{file}:12: away: password and ha1 exclude each other",
        f"{file}:20: cellar.tls.verify: 'maybe' is not allowed; allowed: true or false",
        f"{file}:1: default: 'wrk' is no account; allowed: none",
    ]


@pytest.mark.parametrize(
    ("content", "wrong"), [(b"[work", "no TOML: "), (b"\xff", "no TOML: "), (None, "can not be read: No such file")]
)
def test_a_file_that_is_none(file: Path, content: bytes | None, wrong: str) -> None:
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError) as raised:
        load_accounts(file)
    assert str(raised.value).startswith(f"{file}: {wrong}")


def test_an_empty_file(file: Path) -> None:
    file.write_text("")
    accounts = load_accounts(file)
    assert len(accounts) == 0
    with pytest.raises(ConfigurationError, match=r"which of none\?"):
        accounts.named()
