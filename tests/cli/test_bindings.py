"""`ringback bindings`: of a running server or of its file, the same either way."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ringback.cli import bindings as module
from ringback.cli.main import app
from ringback.errors import ConfigurationError, RingbackError
from ringback.store import BindingRow, SqliteStore
from tests.cli.messages import register
from tests.cli.processes import DOMAIN, ringback, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bindings")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[int]:
    """A running server; its UDP port."""
    with served(folder) as (_, port):
        register(port, "alice", "sip:alice@127.0.0.1:5071", "sip:alice@127.0.0.1:5072", agent="Phone/1")
        register(port, "bob", "sip:bob@127.0.0.1:5073")
        yield port


def run(folder: Path, *arguments: str) -> tuple[str, str]:
    """What a command prints, on standard output and standard error. Raises as the command does."""
    result = CliRunner().invoke(app, ["bindings", *arguments, "--data", str(folder / "data")])
    if result.exception is not None:
        raise result.exception
    return result.stdout, result.stderr


def rows(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run(folder, "--json", *arguments)[0])
    return found


def contacts(folder: Path, *arguments: str) -> list[str]:
    return [row["contact"] for row in rows(folder, *arguments)]


async def fill(folder: Path, *given: tuple[str, BindingRow]) -> None:
    """A file without a server."""
    store = await SqliteStore.open(folder / "data" / "ringback.db")
    for aor, row in given:
        await store.location.replace(aor, (row,), (), 0.0)
    await store.close()


# --- Of a running server --------------------------------------------------------------------------------------------


def test_all_are_listed_in_order(folder: Path, server: int) -> None:
    assert [(row["aor"], row["contact"]) for row in rows(folder)] == [
        (f"alice@{DOMAIN}", "sip:alice@127.0.0.1:5071"),
        (f"alice@{DOMAIN}", "sip:alice@127.0.0.1:5072"),
        (f"bob@{DOMAIN}", "sip:bob@127.0.0.1:5073"),
    ]
    first = rows(folder)[0]
    assert 3500 < first.pop("seconds") <= 3600
    assert first == {
        "aor": f"alice@{DOMAIN}",
        "contact": "sip:alice@127.0.0.1:5071",
        "q": 1.0,
        "received": "",
        "path": [],
        "user_agent": "Phone/1",
        "instance": "",
    }


@pytest.mark.parametrize(
    "asked",
    [
        *((f"bob@{DOMAIN}",), (f"sip:bob@{DOMAIN}",), (f"sips:bob@{DOMAIN}",), ("bob", "--domain", DOMAIN)),
        *(("bob@CLI.Test",), ("bob", "--domain", "CLI.Test")),
    ],
)
def test_one_address_of_record_in_every_spelling(folder: Path, server: int, asked: tuple[str, ...]) -> None:
    assert contacts(folder, *asked) == ["sip:bob@127.0.0.1:5073"]


@pytest.mark.parametrize("asked", [f"carol@{DOMAIN}", f"Bob@{DOMAIN}", "bob@other.test"])
def test_others_have_none(folder: Path, server: int, asked: str) -> None:
    """RFC 3261 19.1.4: "Comparison of the userinfo of SIP and SIPS URIs is case-sensitive." """
    assert rows(folder, asked) == []
    assert run(folder, asked) == ("no bindings\n", "")


def test_the_table_is_for_people_and_for_pipes(folder: Path, server: int) -> None:
    title, *lines = run(folder)[0].splitlines()
    assert re.split("  +", title.strip()) == ["ADDRESS OF RECORD", "CONTACT", "EXPIRES", "REACHED AT", "USER AGENT"]
    assert [re.sub(r"3[56]\d\d s", "…", line).split() for line in lines] == [
        [f"alice@{DOMAIN}", "sip:alice@127.0.0.1:5071", "…", "Phone/1"],
        [f"alice@{DOMAIN}", "sip:alice@127.0.0.1:5072", "…", "Phone/1"],
        [f"bob@{DOMAIN}", "sip:bob@127.0.0.1:5073", "…", "Test/1"],
    ]


async def test_nothing_is_folded_in_a_pipe(tmp_path: Path) -> None:
    """A line a binding, for grep and awk, however long it is."""
    contact = f"sip:{'x' * 300}@192.0.2.1"
    await fill(tmp_path, ("a@b", BindingRow(contact, 1e11, user_agent="y" * 300)))
    title, line = invoked(tmp_path)[0].splitlines()
    assert title.startswith("ADDRESS OF RECORD  CONTACT") and contact in line and "y" * 300 in line


def test_one_contact_or_all_of_them_are_removed(folder: Path, server: int) -> None:
    register(server, "dave", "sip:dave@127.0.0.1:1", "sip:dave@127.0.0.1:2", "sip:dave@127.0.0.1:3")
    dave = f"dave@{DOMAIN}"
    assert run(folder, dave, "--remove", "--contact", "sip:dave@127.0.0.1:2") == (f"removed 1 of {dave}\n", "")
    assert contacts(folder, dave) == ["sip:dave@127.0.0.1:1", "sip:dave@127.0.0.1:3"]
    assert run(folder, dave, "--remove", "--contact", "sip:dave@127.0.0.1:2") == (f"removed 0 of {dave}\n", "")
    assert run(folder, f"sip:{dave}", "--remove") == (f"removed 2 of {dave}\n", "")
    assert contacts(folder, dave) == []


# --- Of its file ----------------------------------------------------------------------------------------------------


def test_the_file_says_what_the_server_said(tmp_path: Path) -> None:
    with served(tmp_path) as (_, port):
        register(port, "alice", "sip:alice@127.0.0.1:5071", agent="T\xe9l\xe9phone")
        before = rows(tmp_path)
    after = rows(tmp_path)
    for row in (*before, *after):
        row.pop("seconds")
    assert before == after and len(after) == 1
    dead = ringback("bindings", f"alice@{DOMAIN}", "--remove", "--data", tmp_path / "data")
    told = f"ringback: no server runs on {tmp_path / 'data'}: bindings can be removed only while one does\n"
    assert dead == (1, "", told)


async def test_nothing_from_the_network_steers_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b]0;owned\x07\x9b31m" + b"\xff".decode("utf-8", "surrogateescape")
    await fill(tmp_path, ("a@b", BindingRow(f"sip:{evil}", 1e11, received=evil, user_agent=f"[bold]{evil}")))
    out, _ = invoked(tmp_path)
    assert all(line.isprintable() for line in out.splitlines())
    assert "sip:?]0;owned??31m?" in out and "[bold]?]0;owned" in out
    assert json.loads(invoked(tmp_path, "--json")[0])[0]["contact"] == f"sip:{evil}"


def invoked(folder: Path, *arguments: str) -> tuple[str, str]:
    """A process, for tests that have a loop of their own."""
    code, out, err = ringback("bindings", *arguments, "--data", folder / "data")
    assert code == 0, err
    return out, err


async def test_how_a_binding_is_reached(tmp_path: Path) -> None:
    await fill(
        tmp_path,
        ("a@b", BindingRow("sip:a@1", 1e11, received="udp:203.0.113.7:41234", path=("<sip:p;lr>",))),
        ("b@b", BindingRow("sip:b@1", 1e11, path=("<sip:p;lr>", "<sip:q;lr>"))),
    )
    first, second = invoked(tmp_path)[0].splitlines()[1:]
    assert "udp:203.0.113.7:41234" in first and "hops" not in first and "by 2 hops" in second


async def test_more_than_can_be_shown_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(tmp_path, *((f"{user}@b", BindingRow(f"sip:{user}@1", 1e11)) for user in "abc"))
    monkeypatch.setattr(module, "MOST", 2)
    place = module.place_of("", tmp_path / "data", None, needs_domain=False)
    answer = await module._list(place, "")
    assert len(answer["bindings"]) == 2 and answer["more"] is True


@pytest.mark.parametrize("more", [True, False])
def test_more_is_told_beside_json_too(capsys: pytest.CaptureFixture[str], more: bool) -> None:
    """A program that reads the JSON gets whole JSON; the person who started it learns that it is not all."""
    module._print({"bindings": [], "more": more}, True)
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert err == ("ringback: there are more: the first 10000 are shown\n" if more else "")


# --- Mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("alice",), "'alice' has no domain: give it as user@domain, or with --domain"),
        (("sip:alice",), "'sip:alice' has no domain: give it as user@domain, or with --domain"),
        (("a@b", "--contact", "sip:x"), "--contact goes with --remove only"),
        (("--remove",), "which address of record? ringback bindings alice@example.org --remove"),
    ],
)
def test_mistakes(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        run(tmp_path, *arguments)
    assert str(raised.value) == told


def test_a_folder_without_data_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(RingbackError, match=r"there is nothing in .*/data; give the folder of the server with --data"):
        run(tmp_path)
    assert not (tmp_path / "data").exists()
