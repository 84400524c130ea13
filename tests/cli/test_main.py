"""The command line as a whole: its commands, its exit codes, and that no mistake ends in a traceback."""

import re
import sqlite3
from pathlib import Path

import pytest

from ringback.cli import main
from ringback.errors import ConfigurationError, RemoteError, RingbackError, StoreError
from tests.cli.processes import DOMAIN, ringback

COMMANDS = ("run", "serve", "bindings", "status", "trace", "version", "user", "config")


def test_without_a_command_it_shows_what_there_is() -> None:
    code, out, err = ringback(COLUMNS="200")
    assert code == 2
    for command in COMMANDS:
        assert re.search(rf"^│ {command} +\S", out + err, re.MULTILINE), command


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command: str) -> None:
    code, out, err = ringback(command, "--help", COLUMNS="200")
    assert (code, err) == (0, "") and f"Usage: ringback {command} " in out


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ConfigurationError("domain: is missing"), 2, "ringback: domain: is missing\n"),
        (ConfigurationError("a: wrong\nb: wrong"), 2, "ringback: a: wrong\nringback: b: wrong\n"),
        (StoreError("the disk is full"), 1, "ringback: the disk is full\n"),
        (RingbackError("no server runs on x"), 1, "ringback: no server runs on x\n"),
        (RemoteError(503, "Busy"), 1, "ringback: 503 Busy\n"),
    ],
)
def test_each_error_is_told_on_lines_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: RingbackError, code: int, told: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == code
    assert capsys.readouterr() == ("", told)


def test_a_defect_is_no_mistake_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not hidden: whoever meets it can report the traceback."""

    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(ZeroDivisionError):
        main.main()


SERVE = f"serve --domain {DOMAIN} --no-web --listen udp:127.0.0.1:0 --data"
MISTAKES: list[tuple[str, int, str]] = [
    ("nosuch", 2, "No such command 'nosuch'"),
    ("user nosuch", 2, "No such command 'nosuch'"),
    ("serve --nosuch", 2, "No such option: --nosuch"),
    ("version --json", 2, "No such option: --json"),
    ("user add", 2, "Missing argument"),
    ("serve", 2, "ringback: domain: is missing: the domain that is served; allowed: a domain"),
    ("status --data file", 2, "ringback: file/control.sock: Not a directory"),
    ("bindings --data file", 2, "ringback: file/control.sock: Not a directory"),
    ("trace --data file", 2, "ringback: file/control.sock: Not a directory"),
    (f"user add alice --domain {DOMAIN} --data file --password secret-7", 1, "file/ringback.db cannot be made"),
    ("user list --data damaged", 1, "ringback: damaged/ringback.db cannot be opened: file is not a database"),
    ("bindings --data damaged", 1, "ringback: damaged/ringback.db cannot be opened: file is not a database"),
    (f"{SERVE} damaged", 1, "damaged/ringback.db cannot be opened: file is not a database"),
    ("user list --data newer", 1, "written by a newer version of the program (its schema is 99"),
    (f"{SERVE} newer", 1, "written by a newer version of the program (its schema is 99"),
    (f"user list --data {'x' * 300}", 2, "ringback: there is nothing in xxx"),
    (f"status --data {'x' * 300}", 2, "File name too long"),
    (f"{SERVE} {'x' * 300}", 1, "ringback.db cannot be made: File name too long"),
]


@pytest.mark.parametrize(("line", "code", "told"), MISTAKES, ids=[line[:60] for line, _, _ in MISTAKES])
def test_no_mistake_ends_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, code: int, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    for folder, content in (("damaged", b"SIP/2.0 200 OK" * 400), ("newer", newer_database())):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ringback.db").write_bytes(content)
    ended, out, err = ringback(*line.split(), COLUMNS="200")
    assert (ended, out) == (code, "")
    assert told in err and "Traceback" not in err
    assert all(row.startswith(("ringback: ", "Usage: ", "Try ", "╭", "│", "╰")) for row in err.splitlines())


def newer_database() -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA user_version = 99")
    content: bytes = connection.serialize()
    connection.close()
    return content
