"""`ringback serve`: what it says, what it refuses, and how it ends."""

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from ringback.server.accounts import hashes
from ringback.store import AccountRow, open_store
from tests.cli.messages import ask, phone
from tests.cli.processes import DOMAIN, RINGBACK, ringback, served
from tests.interop.peers.program import Program, free_port


def serve(folder: Path, *options: str) -> tuple[int, str, str]:
    """Try to serve with something wrong in it: exit code, output, errors."""
    return ringback("serve", "--data", folder / "data", *options)


def test_it_says_where_it_listens_and_when_it_is_ready(tmp_path: Path) -> None:
    with served(tmp_path) as (program, port):
        lines = program.output().splitlines()
        assert f"ringback: listening on udp:127.0.0.1:{port}" in lines
        assert lines.index("ringback: ready") == lines.index(f"ringback: listening on udp:127.0.0.1:{port}") + 1
        with phone(port) as sock:
            assert ask(sock, "OPTIONS", "nobody").startswith("SIP/2.0 404 ")


def test_several_places_and_several_domains(tmp_path: Path) -> None:
    second = free_port()
    with served(tmp_path, "--domain", "other.test", "--listen", f"tcp:127.0.0.1:{second}") as (program, port):
        program.expect(rf"listening on udp:127\.0\.0\.1:{port}, tcp:127\.0\.0\.1:{second}\n")
        with socket.create_connection(("127.0.0.1", second), 10):
            pass
        code, out, _ = ringback("status", "--data", tmp_path / "data")
        assert code == 0 and f"domains       {DOMAIN}, other.test\n" in out


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(tmp_path: Path, kind: signal.Signals) -> None:
    """As a service manager or Ctrl-C end it, nothing of it is left but its data."""
    with served(tmp_path) as (program, _):
        assert program.stop(kind) == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["ringback.db", "ringback.db-owner"]


def test_one_server_at_a_time_on_its_data(tmp_path: Path) -> None:
    with served(tmp_path) as (program, port):
        code, out, err = serve(tmp_path, "--domain", DOMAIN, "--no-web", "--listen", f"udp:127.0.0.1:{free_port()}")
        assert (code, out) == (1, "")
        assert f"ringback: {tmp_path / 'data' / 'ringback.db'} is in use: another process serves it\n" in err
        assert program.running()
        with phone(port) as sock:
            assert ask(sock, "OPTIONS", "nobody").startswith("SIP/2.0 404 ")


def test_a_place_that_is_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        code, out, err = serve(tmp_path, "--domain", DOMAIN, "--no-web", "--listen", place)
    assert (code, out) == (2, "")
    assert f"ringback: listen: {place} can not be had: Address already in use" in err and "Traceback" not in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), 'domain: is missing: the domain that is served; allowed: a domain, such as "example.org"'),
        (
            ("--domain", "no domain"),
            "--domain: domain: 'no domain' is no domain; allowed: a domain, such as \"example.org\"",
        ),
        (
            ("--domain", DOMAIN, "--listen", "sctp:127.0.0.1:5060"),
            "--listen: listen[1]: 'sctp:127.0.0.1:5060' does not begin with udp:, tcp:, tls:, ws: or wss:; allowed: a "
            'list of places, such as ["udp:192.0.2.1:5060", "tls:[2001:db8::1]:5061"]',
        ),
        (
            ("--domain", DOMAIN, "--listen", "udp:127.0.0.1:0", "--listen", "udp:localhost:5060"),
            "--listen: listen[2]: 'localhost' in 'udp:localhost:5060' is no IP address; allowed: a list of places, "
            'such as ["udp:192.0.2.1:5060", "tls:[2001:db8::1]:5061"]',
        ),
        (
            ("--domain", DOMAIN, "--listen", "tls:127.0.0.1:5061"),
            "tls.certificate: is missing, and tls:127.0.0.1:5061 needs it; allowed: the path of a PEM file",
        ),
        (("--domain", DOMAIN, "--config", "gone.toml"), "gone.toml: can not be read: No such file or directory"),
    ],
)
def test_mistakes_are_told_before_anything_is_made(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    assert serve(tmp_path, *options) == (2, "", f"ringback: {told}\n")
    assert not (tmp_path / "data").exists()


def test_a_default_password_is_not_served(tmp_path: Path) -> None:
    """An account that anybody can guess, made by another program or an older version."""

    async def make() -> None:
        store = await open_store(tmp_path / "data", access="accounts")
        await store.accounts.put(AccountRow("alice", DOMAIN, hashes("alice", DOMAIN, "1234")))
        await store.close()

    asyncio.run(make())
    code, out, err = serve(tmp_path, "--domain", DOMAIN, "--no-web", "--listen", "udp:127.0.0.1:0")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == (
        f"ringback: accounts with a password that attackers try first: alice@{DOMAIN}; give them others with "
        "`ringback user password`"
    )


def test_sighup_reads_the_configuration_again(tmp_path: Path) -> None:
    with served(tmp_path) as (program, _):
        config = tmp_path / "served.toml"
        config.write_text(config.read_text() + "[limits]\ncalls = 0\n")
        program.process.send_signal(signal.SIGHUP)
        program.expect(r"not reloaded.*limits\.calls: 0 is not allowed; allowed: a whole number, at least 1")
        config.write_text(config.read_text().replace("calls = 0", "calls = 7"))
        program.process.send_signal(signal.SIGHUP)
        program.expect(r"reloaded.*limits: in force")


def test_the_web_is_on_unless_it_is_switched_off(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "web.toml").write_text(f'web.listen = "127.0.0.1:{port}"\n')
    command: list[str | Path] = [RINGBACK, "serve", "--domain", DOMAIN, "--data", tmp_path / "data"]
    command += ["--listen", "udp:127.0.0.1:0", "--config", tmp_path / "web.toml"]
    program = Program(command, tmp_path / "server.log")
    try:
        program.expect(r"ringback: ready\n", 60)
        socket.create_connection(("127.0.0.1", port), 10).close()
    finally:
        assert program.stop() == 0
    with served(tmp_path), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 10)
