"""`ringback options`, as people run it, against our own server and against nobody."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.processes import DOMAIN, ringback, served


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("options")) as (_, port):
        yield port


def test_a_server(port: int) -> None:
    """It trusts this machine, so it answers who has no account."""
    code, out, err = ringback("options", f"127.0.0.1:{port}")
    assert (code, err) == (0, "")
    told = {line[:14].strip(): line[14:] for line in out.splitlines()}
    assert told["answer"].startswith("200 OK after ") and told["answer"].endswith(" ms")
    assert "REGISTER" in told["methods"].split(", ") and "path" in told["extensions"].split(", ")
    assert told["media"] == "it does not say"


def test_as_json(port: int) -> None:
    code, out, err = ringback("options", f"sip:127.0.0.1:{port}", "--json")
    found = json.loads(out)
    assert (code, err, found["status"], found["media"]) == (0, "", 200, None)
    assert "REGISTER" in found["methods"] and found["accept"] == ["application/sdp", "*/*"]


def test_who_is_not_there(port: int) -> None:
    """The answer is printed, and the exit code says that it was none that helps."""
    code, out, err = ringback("options", f"sip:nobody@{DOMAIN}", "--proxy", f"127.0.0.1:{port}")
    assert (code, err) == (1, "")
    assert out.startswith("answer        404 Not Found after ")


def test_as_an_account(port: int, tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(f'[alice]\naddress = "sip:alice@{DOMAIN}"\npassword = "x"\nregistrar = "127.0.0.1:{port}"\n')
    code, out, _ = ringback("options", "bob", "--as", "alice", "--accounts", file)
    assert code == 1 and out.startswith("answer        404 Not Found after ")


def test_nobody_answers() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        assert ringback("options", place, "--seconds", "0.3") == (
            1, "", f"ringback: 408 no answer from {place} within 0.3 s\n"
        )  # fmt: skip


def test_mistakes(tmp_path: Path) -> None:
    none = tmp_path / "none.toml"
    assert ringback("options", "sip:bob@example.org", "--as", "alice", "--accounts", none) == (
        2, "", f"ringback: {none}: can not be read: No such file or directory\n"
    )  # fmt: skip
    code, out, err = ringback("options", "a b")
    assert (code, out) == (1, "") and err.startswith("ringback: ") and err.count("\n") == 1
    code, out, err = ringback("options", "127.0.0.1", "--transport", "smoke")
    assert (code, out) == (2, "")
    assert err == """ringback: transport: 'smoke' is not allowed; allowed: "udp", "tcp" or "tls"\n"""
