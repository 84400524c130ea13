"""`ringback trace`: messages and decisions of a running server, live, until Ctrl-C."""

import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.messages import ask, phone, register
from tests.cli.processes import DOMAIN, RINGBACK, ringback, served
from tests.interop.peers.program import Program


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trace")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[int]:
    with served(folder) as (_, port):
        yield port


@pytest.fixture
def watch(folder: Path, tmp_path: Path, server: int) -> Iterator[Callable[..., Program]]:
    """Start `ringback trace` and wait until it watches."""
    started: list[Program] = []

    def start(*options: str) -> Program:
        command: list[str | Path] = [RINGBACK, "trace", "--data", folder / "data", *options]
        program = Program(command, tmp_path / f"trace{len(started)}.log", env={"PYTHONIOENCODING": "utf-8"})
        started.append(program)
        program.expect(rf"watching udp:127\.0\.0\.1:{server}; Ctrl-C ends it\n", 30)
        return program

    yield start
    for program in started:
        program.stop()


def test_a_registration_as_it_happens(watch: Callable[..., Program], server: int) -> None:
    program = watch()
    with phone(server) as sock:
        ask(sock, "REGISTER", "alice", f"Contact: <sip:alice@127.0.0.1:{sock.getsockname()[1]}>")
        peer = f"udp:127.0.0.1:{sock.getsockname()[1]}"
        program.expect(rf"{re.escape(peer)} +ringback\n.*─ REGISTER ─+▶│  sip:{DOMAIN}\n", 20)
        program.expect(r"│◀─+ 200 OK REGISTER ─+│\n", 20)
        # The reason of each decision, in words.
        ask(sock, "OPTIONS", "nobody")
        program.expect(r"404.*: .+\n", 20)
    assert program.stop(signal.SIGINT) == 0, "Ctrl-C is how it ends, and no error"
    assert "Traceback" not in program.output() and "Aborted" not in program.output()


def test_only_one_user_or_one_call(watch: Callable[..., Program], server: int) -> None:
    of_bob, of_call = watch("--user", "bob"), watch("--call-id", "call-carol")
    for user in ("alice", "bob", "carol", "dave", "bob", "carol"):
        register(server, user, f"sip:{user}@127.0.0.1:5071")
    for program in (of_bob, of_call):
        program.expect(r"(?s)(200 OK REGISTER.*){2}", 20)
        assert program.output().count("200 OK REGISTER") == 2
        assert program.stop(signal.SIGINT) == 0
    by_bob = watch("--user", f"bob@{DOMAIN}", "--raw")
    register(server, "carol", "sip:carol@127.0.0.1:5071")
    register(server, "bob", "sip:bob@127.0.0.1:5071")
    by_bob.expect(r"200 OK REGISTER", 20)
    assert "carol" not in by_bob.output()


def test_whole_messages_without_credentials(watch: Callable[..., Program], server: int) -> None:
    program = watch("--raw")
    secret = "0123456789abcdef0123456789abcdef"
    with phone(server) as sock:
        digest = f'Digest username="alice", realm="{DOMAIN}", nonce="n", uri="sip:{DOMAIN}", response="{secret}"'
        ask(sock, "REGISTER", "alice", f"Authorization: {digest}", "Contact: <sip:alice@127.0.0.1:5071>")
    program.expect(r" +REGISTER sip:cli\.test SIP/2\.0\n +Via: SIP/2\.0/UDP 127\.0\.0\.1", 20)
    program.expect(r" +Call-ID: call-alice\n", 20)
    program.expect(r" +SIP/2\.0 200 OK\n", 20)
    assert secret not in program.output()


def test_it_ends_when_the_server_does(tmp_path: Path) -> None:
    with served(tmp_path) as (server, port):
        program = Program([RINGBACK, "trace", "--data", tmp_path / "data"], tmp_path / "trace.log")
        program.expect(rf"watching udp:127\.0\.0\.1:{port}", 30)
        server.process.terminate()
        assert program.wait(30) == 0
        assert server.wait(30) == 0
    program.stop()
    assert "Traceback" not in program.output()


def test_no_server(tmp_path: Path) -> None:
    expected = (1, "", f"ringback: no server runs on {tmp_path}/none\n")
    assert ringback("trace", "--data", tmp_path / "none") == expected
    assert not (tmp_path / "none").exists()
