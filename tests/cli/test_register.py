"""`ringback register`, as people run it: it says what the registrar has, and takes it back."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.cli.register import _tells, _without_gruus, told
from ringback.ua.registration import RegistrationChange
from tests.cli.processes import DOMAIN, RINGBACK, ringback, served
from tests.interop.peers.program import Program, free_port

PASSWORD = "the secret of alice"


class Site:
    def __init__(self, folder: Path, port: int) -> None:
        self.data = folder / "data"
        self.port = port

    def bound(self) -> list[str]:
        """The contacts that the server has for alice."""
        _, out, _ = ringback("bindings", "--data", self.data, "--json")
        return [binding["contact"] for binding in json.loads(out)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("register")
    data = folder / "data"
    code, _, err = ringback(
        "user", "add", "alice", "--domain", DOMAIN, "--data", data, "--password-stdin", given=PASSWORD.encode()
    )
    assert code == 0, err
    # It asks for passwords, also who is on this machine.
    (folder / "asking.toml").write_text("")
    with served(folder, "--config", str(folder / "asking.toml")) as (_, port):
        yield Site(folder, port)


def start(folder: Path, *arguments: str | Path, password: str = PASSWORD) -> Program:
    program = Program([RINGBACK, "register", *arguments], folder / "register.log", cwd=folder)
    if password:
        program.say(password)
    return program


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_until_it_is_stopped(site: Site, tmp_path: Path, number: signal.Signals) -> None:
    address = f"sip:alice@{DOMAIN}"
    program = start(tmp_path, address, "--password-stdin", "--registrar", f"127.0.0.1:{site.port}")
    try:
        program.expect("Ctrl-C ends the registration", 30)
        lines = {line[:14].strip(): line[14:] for line in program.output().splitlines()}
        assert lines["registered"] == f"{address} at sip:127.0.0.1:{site.port} for 3600 s"
        assert re.fullmatch(r"sip:alice@127\.0\.0\.1:\d+", lines["contact"])
        assert lines["GRUU"].startswith(f"sip:alice@{DOMAIN};gr=urn:uuid:") and lines["temporary"].endswith(";gr")
        assert lines["bindings"].startswith(f"<{lines['contact']}>;expires=3600;+sip.instance=")
        assert "gruu" not in lines["bindings"]
        assert site.bound() == [lines["contact"]]
        assert program.stop(number) == 0
        assert program.output().splitlines()[-1] == "ended"
        assert site.bound() == []
    finally:
        program.stop()


def test_as_json_and_from_a_file(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text(
        f'[alice]\naddress = "Alice <sip:alice@{DOMAIN}>"\npassword = "{PASSWORD}"\n'
        f'registrar = "127.0.0.1:{site.port}"\ninstances = "state"\nexpires = 120\n'
    )
    instances = set()
    for _ in range(2):
        program = start(tmp_path, "--as", "alice", "--accounts", file, "--json", password="")
        try:
            program.expect("\n", 30)
            said = json.loads(program.output().splitlines()[0])
            assert (said["state"], said["status"], said["expires"]) == ("registered", 200, 120)
            assert said["bindings"] and said["public_gruu"]
            instances.add(said["public_gruu"])
            assert program.stop(signal.SIGINT) == 0
            assert json.loads(program.output().splitlines()[-1]) == {"state": "off"}
        finally:
            program.stop()
    assert len(instances) == 1 and (tmp_path / "state").is_dir()


def test_a_wrong_password(site: Site) -> None:
    code, out, err = ringback(
        "register", f"sip:alice@{DOMAIN}", "--password-stdin", "--registrar", f"127.0.0.1:{site.port}", given=b"wrong\n"
    )
    assert (code, out, err) == (1, "", "ringback: 401 Unauthorized\n")


def test_no_server() -> None:
    port = free_port()
    code, out, err = ringback(
        "register", "sip:alice@127.0.0.1", "--registrar", f"127.0.0.1:{port}", "--transport", "tcp"
    )
    assert (code, out) == (1, "")
    assert err == f"ringback: 503 no connection to 127.0.0.1:{port}: can not connect: Connection refused\n"


def test_mistakes() -> None:
    assert ringback("register", "sip:example.org") == (
        2, "", "ringback: address: 'sip:example.org' has no user to register\n"
    )  # fmt: skip
    assert ringback("register", "sip:a@example.org", "--expires", "1") == (
        2, "", "ringback: expires: 1 is not allowed; allowed: seconds, 10 to 604800\n"
    )  # fmt: skip


# --- What is said of a change -----------------------------------------------------------------------------------------

REGISTERED = RegistrationChange("sip:example.org", "registered", 200, "OK", "sip:a@192.0.2.1", 3600, 0.0)
WAITING = RegistrationChange("sip:example.org", "waiting", 408, "no answer", "sip:a@192.0.2.1", 0, 42.4)
REFUSED = RegistrationChange("sip:example.org", "refused", 403, "For\x1bbidden", "sip:a@192.0.2.1", 0, 900.0)


def test_lines_of_changes() -> None:
    assert told(REGISTERED) == "registered    sip:example.org for 3600 s"
    assert told(WAITING) == "waiting       sip:example.org: 408 no answer; again in 42 s"
    assert told(REFUSED) == "refused       sip:example.org: 403 For?bidden; again in 900 s"


def test_what_is_worth_a_line() -> None:
    refreshing = RegistrationChange("sip:example.org", "refreshing", 200, "OK", "sip:a@192.0.2.1", 3600, 0.0)
    assert _tells(None, REGISTERED) and _tells(REGISTERED, WAITING) and _tells(WAITING, REGISTERED)
    assert not _tells(REGISTERED, refreshing) and not _tells(REGISTERED, REGISTERED)


def test_bindings_without_what_has_its_own_line() -> None:
    assert _without_gruus('<sip:a@b;x=y>;expires=5;pub-gruu="sip:a@b;gr=1";temp-gruu="sip:c@b;gr"') == (
        "<sip:a@b;x=y>;expires=5"
    )
    assert _without_gruus('<sip:a@b>;x="open') == '<sip:a@b>;x="open'
