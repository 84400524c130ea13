"""What the phones of the command line share."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from ringback.cli.phone import Reporter, account_for, file_for, run_until_interrupted
from ringback.errors import ConfigurationError


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path / "ringback" / "accounts.toml"


@pytest.mark.parametrize(
    ("remote", "name"),
    [
        ("sip:bob@example.org", "3-bob@example.org.wav"),
        ("sip:../../etc/passwd@x", "3-_.._etc_passwd@x.wav"),
        ("sip:%2e%2e%2f@x", "3-_2e_2e_2f@x.wav"),
        ("sip:" + "a" * 100 + "@x", "3-" + "a" * 64 + ".wav"),
        ("sip:", "3-unknown.wav"),
        ("sip:{n}@x", "3-_n_@x.wav"),
    ],
)
def test_a_caller_names_no_other_file(remote: str, name: str) -> None:
    assert file_for(Path("{n}-{from}.wav"), 3, remote) == Path(name)
    assert file_for(None, 3, remote) is None


def test_which_account(config: Path) -> None:
    assert account_for("", None, False, {}).address == "sip:anonymous@anonymous.invalid"
    assert account_for("sip:a@b", None, False, {"codecs": ["PCMA"], "ice": ""}).codecs == ("PCMA",)
    with pytest.raises(ConfigurationError, match=r"accounts\.toml"):
        account_for("work", None, False, {})
    config.parent.mkdir()
    config.write_text('[work]\naddress = "sip:a@work.test"\nencryption = "require"\n')
    account = account_for("", None, False, {"transfers": True})
    assert (account.address, account.encryption, account.transfers) == ("sip:a@work.test", "require", True)
    assert account_for("work", None, False, {"encryption": "none"}).encryption == "none"


def test_lines_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Reporter(False).say("calling", "calling bob", target="bob")
    Reporter(False).say("calling")
    Reporter(True).say("calling", "calling bob", target="bob")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["calling bob", "calling"]
    assert json.loads(lines[2]) == {"event": "calling", "target": "bob"}


def test_an_interruption_cancels_and_is_no_failure() -> None:
    cleaned: list[bool] = []

    async def main() -> int:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)
        return 5

    assert run_until_interrupted(main()) == 0
    assert cleaned == [True]


def test_the_exit_code_is_that_of_what_ran() -> None:
    async def main() -> int:
        return 5

    assert run_until_interrupted(main()) == 5
