"""`ringback user`: accounts are made, changed, listed and removed, and every mistake is told in one line."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ringback.cli.main import app
from ringback.errors import RingbackError
from ringback.sip.digest_hash import ha1
from ringback.store import AccountRow, open_store
from tests.cli.processes import RINGBACK, ringback

PASSWORD = "correct horse"
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A command with its data in `tmp_path`/data; what it prints. Raises as the command does."""

    def command(*arguments: str, given: str | bytes | None = None, domain: str = "cli.test") -> str:
        line = ["user", *arguments, "--data", str(tmp_path / "data"), *(["--domain", domain] if domain else [])]
        result = CliRunner().invoke(app, line, input=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return command


def accounts(folder: Path) -> list[AccountRow]:
    async def read() -> list[AccountRow]:
        store = await open_store(folder / "data", access="accounts")
        found = [row async for row in store.accounts.scan()]
        await store.close()
        return found

    return asyncio.run(read())


def complaint(command: Callable[..., Any], *arguments: str, **others: Any) -> str:
    """What a command complains of."""
    with pytest.raises(RingbackError) as raised:
        command(*arguments, **others)
    return str(raised.value)


# --- What works -----------------------------------------------------------------------------------------------------


def test_an_account_is_made(run: Run, tmp_path: Path) -> None:
    assert run("add", "alice", "--password", PASSWORD) == "added alice@cli.test\n"
    [row] = accounts(tmp_path)
    assert (row.user, row.domain, row.enabled) == ("alice", "cli.test", True) and row.created > 1.7e9
    assert dict(row.ha1) == {
        algorithm: ha1("alice", "cli.test", PASSWORD, algorithm) for algorithm in ("SHA-512-256", "SHA-256", "MD5")
    }


@pytest.mark.parametrize(
    "given",
    [f"{PASSWORD}\n", PASSWORD, f"{PASSWORD}\r\n", f"{PASSWORD}\nmore lines\nthat are not read\n"],
    ids=["a line", "no end of line", "a line of Windows", "more lines"],
)
def test_a_password_from_standard_input_is_its_first_line(run: Run, tmp_path: Path, given: str) -> None:
    assert run("add", "alice", "--password-stdin", given=given) == "added alice@cli.test\n"
    assert accounts(tmp_path)[0].hash_for("MD5") == ha1("alice", "cli.test", PASSWORD, "MD5")


def test_blanks_belong_to_a_password(run: Run, tmp_path: Path) -> None:
    run("add", "alice", "--password-stdin", given="  two  words \n")
    assert accounts(tmp_path)[0].hash_for("MD5") == ha1("alice", "cli.test", "  two  words ", "MD5")


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_password_is_its_octets_whatever_the_terminal_says(tmp_path: Path, encoding: str, locale: str) -> None:
    """A telephone makes its digest of the octets that were typed into it. As an argument it is the same password."""
    octets = "geheimnisträger".encode(encoding)
    place = ("--domain", "cli.test", "--data", tmp_path / "data")
    strict = {"LC_ALL": locale, "PYTHONIOENCODING": "utf-8:strict"}
    told = ringback("user", "add", "alice", *place, "--password-stdin", given=octets + b"\n", **strict)
    assert told == (0, "added alice@cli.test\n", "")
    told = ringback("user", "add", "bob", *place, "--password", octets, **strict)
    assert told == (0, "added bob@cli.test\n", "")
    password = octets.decode("utf-8", "surrogateescape")
    for row in accounts(tmp_path):
        assert row.hash_for("MD5") == ha1(row.user, "cli.test", password, "MD5")


def test_a_password_is_changed_and_nothing_else(run: Run, tmp_path: Path) -> None:
    run("add", "alice", "--password", PASSWORD)
    [before] = accounts(tmp_path)
    told = run("password", "alice", "--password-stdin", given="another one\n")
    assert told == "alice@cli.test has a new password\n"
    [after] = accounts(tmp_path)
    assert after.hash_for("SHA-256") == ha1("alice", "cli.test", "another one", "SHA-256")
    assert (after.created, after.enabled) == (before.created, before.enabled)


def test_accounts_are_listed_in_order_and_by_domain(run: Run) -> None:
    for user, domain in (("carol", "b.test"), ("bob", "a.test"), ("alice", "b.test")):
        run("add", user, "--password", PASSWORD, domain=domain)
    assert run("list", domain="") == "bob@a.test\nalice@b.test\ncarol@b.test\n"
    assert run("list", domain="b.test") == "alice@b.test\ncarol@b.test\n"
    assert run("list", domain="B.TEST") == "alice@b.test\ncarol@b.test\n"
    assert run("list", domain="c.test") == ""


def test_an_account_that_is_disabled_is_marked(run: Run, tmp_path: Path) -> None:
    async def disable() -> None:
        store = await open_store(tmp_path / "data", access="accounts")
        await store.accounts.put(AccountRow("alice", "cli.test", enabled=False))
        await store.close()

    asyncio.run(disable())
    assert run("list") == "alice@cli.test (disabled)\n"


def test_an_account_is_removed(run: Run) -> None:
    run("add", "alice", "--password", PASSWORD)
    assert run("remove", "alice") == "removed alice@cli.test\n"
    assert run("list") == ""
    assert run("add", "alice", "--password", PASSWORD) == "added alice@cli.test\n"


def test_domain_and_realm_come_from_the_configuration(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "ringback.toml"
    config.write_text('domain = "conf.test"\n[authentication]\nrealm = "Our house"\n')
    told = run("add", "alice", "--config", str(config), "--password", PASSWORD, domain="")
    assert told == "added alice@conf.test\n"
    [row] = accounts(tmp_path)
    assert row.domain == "conf.test" and row.hash_for("MD5") == ha1("alice", "Our house", PASSWORD, "MD5")


# --- Mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--password", PASSWORD, "--password-stdin")])
@pytest.mark.parametrize("command", ["add", "password"])
def test_one_password_has_to_be_given(run: Run, tmp_path: Path, command: str, options: tuple[str, ...]) -> None:
    assert complaint(run, command, "alice", *options) == "give either --password or --password-stdin"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("password", ["", "alice", "ALICE", "ecila", "password", "PassWord", "1234"])
def test_what_attackers_try_first_is_no_password(run: Run, password: str) -> None:
    shown = "this password" if password else "an empty password"
    expected = (
        f"{shown} for alice is one of the first that attackers try; "
        "allowed: any that is neither empty, well known, nor the user's name"
    )
    assert complaint(run, "add", "alice", "--password-stdin", given=f"{password}\n") == expected
    run("add", "alice", "--password", PASSWORD)
    assert complaint(run, "password", "alice", "--password", password) == expected


@pytest.mark.parametrize("name", ["al ice", "", "alice@cli.test", "älice", "a" * 129, "sip:alice", "a\tb"])
def test_names_that_cannot_be(run: Run, name: str) -> None:
    told = complaint(run, "add", name, "--password", PASSWORD)
    assert told == (
        f"user {name!r} can not be the name of an account; allowed: up to 128 letters, digits and _.!~*'()&=+$,;?/-"
    )


def test_an_account_is_made_once(run: Run) -> None:
    run("add", "alice", "--password", PASSWORD)
    told = complaint(run, "add", "alice", "--password", "another one")
    assert told == "alice@cli.test is there already; `ringback user password` sets a new password"


@pytest.mark.parametrize("command", [("password", "bob", "--password", PASSWORD), ("remove", "bob")])
def test_an_account_that_is_not_there(run: Run, command: tuple[str, ...]) -> None:
    run("add", "alice", "--password", PASSWORD)
    assert complaint(run, *command) == "there is no account bob@cli.test"


@pytest.mark.parametrize("command", [("list",), ("remove", "bob"), ("password", "bob", "--password", PASSWORD)])
def test_a_folder_without_data_is_told_and_not_made(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    told = complaint(run, *command)
    assert told == f"there is nothing in {tmp_path / 'data'}; give the folder of the server with --data"
    assert not (tmp_path / "data").exists()


def test_a_domain_has_to_be_given(run: Run) -> None:
    told = complaint(run, "add", "alice", "--password", PASSWORD, domain="")
    assert told == "--domain is missing: the domain of the account"
    told = complaint(run, "add", "alice", "--password", PASSWORD, domain="no domain")
    assert told == "--domain: domain: 'no domain' is no domain; allowed: a domain, such as \"example.org\""


def test_standard_input_that_is_closed(tmp_path: Path) -> None:
    """As a shell does it with `<&-`; Python has no sys.stdin then."""
    line = f"exec {RINGBACK} user add alice --domain cli.test --data {tmp_path}/data --password-stdin <&-"
    result = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60)
    told = "ringback: --password-stdin: standard input is closed\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", told)
