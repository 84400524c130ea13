"""`ringback run`: what it shows is true, its accounts work, and the next run finds the same data."""

import itertools
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback.cli.main import app
from ringback.cli.run import welcome
from ringback.sip.digest import Credentials, parse_challenge
from ringback.sip.digest_hash import ha1, request_digest
from ringback.sip.message import Response
from ringback.sip.parser import parse

COMMAND = Path(sys.executable).parent / "ringback"
_NUMBERS = itertools.count()
Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `ringback run` in an empty folder; the process, and all that it has shown when it was ready."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*options: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [str(COMMAND), "run", *options], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        processes.append(process)
        assert process.stdout is not None
        shown: list[str] = []
        for line in process.stdout:
            shown.append(line)
            if line == "ringback: ready\n":
                break
        return process, "".join(shown)

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    return process.returncode


def ports(shown: str) -> dict[str, int]:
    """The port of each transport, as the line "listening on" tells."""
    return {transport: int(port) for transport, port in re.findall(r"(\w+):127\.0\.0\.1:(\d+)", shown.split("on ")[-1])}


def exchange(port: int, request: str) -> Response:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        sock.send(request.encode())
        answer = parse(sock.recv(65535))
        assert isinstance(answer, Response)
        return answer


def register(port: int, user: str, password: str) -> int:
    """Register a phone at 127.0.0.1, as its owner would; the final status."""
    place = "127.0.0.1" if port == 5060 else f"127.0.0.1:{port}"
    unique = next(_NUMBERS)

    def request(number: int, *more: str) -> str:
        lines = (
            f"REGISTER sip:{place} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bK{unique}x{number};rport",
            f"From: <sip:{user}@{place}>;tag=a",
            f"To: <sip:{user}@{place}>",
            f"Call-ID: {user}{unique}",
            f"CSeq: {number} REGISTER",
            "Max-Forwards: 70",
            f"Contact: <sip:{user}@127.0.0.1:9>",
            *more,
            "Content-Length: 0",
        )
        return "\r\n".join(lines) + "\r\n\r\n"

    refused = exchange(port, request(1))
    challenge = parse_challenge(refused.required("www-authenticate"))
    assert (refused.status, len(refused.all("www-authenticate"))) == (401, 1)
    assert challenge is not None and challenge.algorithm == "MD5"
    uri = f"sip:{place}"
    key = ha1(user, challenge.realm, password, "MD5")
    digest = request_digest(key, "MD5", "REGISTER", uri, challenge.nonce, "00000001", "c", "auth", b"")
    written = Credentials(user, challenge.realm, challenge.nonce, uri, digest, "MD5", "c", "00000001", "auth").write()
    return exchange(port, request(2, f"Authorization: {written}")).status


def test_a_domain_with_two_accounts_that_the_next_run_finds_again(start: Start, tmp_path: Path) -> None:
    process, shown = start("--port", "45060")
    passwords = dict(re.findall(r"sip:(alice|bob)@127\.0\.0\.1:\d+ +password (\S{12})\n", shown))
    assert sorted(passwords) == ["alice", "bob"] and passwords["alice"] != passwords["bob"]
    places = ports(shown)
    assert sorted(places) == ["tcp", "tls", "udp", "ws", "wss"]
    assert places["udp"] == places["tcp"]
    assert f"port {places['udp']} (UDP or TCP), {places['tls']} (TLS)" in shown
    assert f"auth_pass={passwords['alice']}\n" in shown
    for user, password in passwords.items():
        assert register(places["udp"], user, password) == 200
    assert register(places["udp"], "alice", passwords["bob"]) == 401
    # The certificate is the one that the screen names, and good for the address that phones are given.
    context = ssl.create_default_context(cafile=str(tmp_path / "data" / "tls" / "certificate.pem"))
    with socket.create_connection(("127.0.0.1", places["tls"]), timeout=10) as raw:
        context.wrap_socket(raw, server_hostname="127.0.0.1").close()
    assert end(process) == 0

    process, shown = start("--port", "45060")
    assert not set(passwords.values()) & set(shown.split())
    assert shown.count("password as it was shown when it was made") == 2
    for user, password in passwords.items():
        assert register(ports(shown)["udp"], user, password) == 200
    bound = [str(COMMAND), "bindings", "--data", "data"]
    listed = subprocess.run(bound, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "alice@localhost" in listed and "bob@localhost" in listed
    assert end(process) == 0


def test_taken_ports_are_passed_over(start: Start) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        wanted = taken.getsockname()[1]
        process, shown = start("--port", str(wanted))
        assert ports(shown)["udp"] == ports(shown)["tcp"] > wanted
        assert end(process) == 0


def test_a_port_that_is_none_is_named(tmp_path: Path) -> None:
    result = subprocess.run(
        [str(COMMAND), "run", "--port", "70000"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "ringback: --port: no port from 70000 on is free; allowed: one of 1 to 65535 that is\n"
    )


def test_help_names_the_options() -> None:
    result = CliRunner().invoke(app, ["run", "--help"])
    assert result.exit_code == 0
    assert "--data" in result.output and "--port" in result.output


def test_on_the_usual_port_addresses_need_none() -> None:
    lines = welcome({"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 8088, "wss": 8089}, Path("data"), {"alice": "pw"})
    at = lines.index("    linphonec   register sip:alice@127.0.0.1 sip:127.0.0.1 pw")
    # It takes port 5060 itself where nobody tells it not to, and then has none.
    assert "sip_port" in lines[at + 1]
    assert "    sip:alice@127.0.0.1          password pw" in lines
    assert "    sip:bob@127.0.0.1            password as it was shown when it was made" in lines
