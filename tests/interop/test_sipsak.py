"""Sipsak, the Swiss army knife of SIP administrators: ping, user location, trace and message.

Its From is its own address unless it sends a MESSAGE, so it can prove to be nobody's account: where it only asks, it
comes from a trusted network here, as a monitoring host does.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

from tests.interop.peers.program import free_port
from tests.interop.peers.server import Server, password_of
from tests.interop.peers.sipp import Sipps

pytestmark = pytest.mark.interop("sipsak", "openssl")

TRUSTED = '[authentication]\nalgorithms = ["MD5"]\ntrusted = ["127.0.0.1"]\n'
STATUS_LINE = re.compile(r"SIP/2\.0 (\d{3} [^\r\n]+)")


def sipsak(*arguments: object) -> tuple[int, str]:
    """Run it; exit code and all that it printed."""
    command = ["sipsak", "-vv", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, errors="replace", check=False)
    return done.returncode, done.stdout + done.stderr


def as_bob(server: Server, *arguments: object) -> tuple[int, str]:
    """Run it in bob's name, against his server."""
    credentials = ["-u", "bob", "-a", password_of("bob"), "-p", f"127.0.0.1:{server.udp}", "-s", "sip:bob@ring.test"]
    return sipsak(*arguments, "-i", *credentials)


@pytest.fixture(scope="module")
def trusting(make_shared_server: Callable[..., Server]) -> Server:
    """A server that trusts this machine."""
    return make_shared_server(TRUSTED)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_ping(trusting: Server, transport: str) -> None:
    """OPTIONS to the server: 200 with what RFC 3261 11.2 wants in it, and exit code 0."""
    code, said = sipsak("-E", transport, "-p", f"127.0.0.1:{trusting.udp}", "-s", "sip:ring.test")
    assert code == 0, said
    assert set(STATUS_LINE.findall(said)) == {"200 OK"}
    response = said[said.index("SIP/2.0 200 OK") :].replace("\r", "").partition("\n\n")[0]
    for name in ("Allow", "Accept", "Accept-Encoding", "Accept-Language", "Supported"):
        assert len(re.findall(rf"(?m)^{name}: \S", response)) == 1, name


def test_ping_of_a_stranger(shared: Server) -> None:
    """Without credentials and without trust it is challenged, and gives up: it sees a server that is alive."""
    code, said = sipsak("-p", f"127.0.0.1:{shared.udp}", "-s", "sip:ring.test")
    assert code == 2
    assert STATUS_LINE.findall(said)[-1] == "407 Proxy Authentication Required"


@pytest.mark.interop("sipp")
def test_user_location(shared: Server, sipps: Sipps) -> None:
    """-U registers a contact, asks for the list, and removes all; another peer sees what was done."""

    def bound() -> list[str]:
        found = sipps.run("register_query", shared.udp, user="bob").first("< 200").all("Contact")
        return [contact.partition(";expires=")[0] for contact in found]

    contact = "sip:bob@127.0.0.1:5999"
    for arguments, expected in (
        (["-C", contact, "-x", 3600], [f"<{contact}>"]),
        (["-C", "empty"], [f"<{contact}>"]),
        (["-C", "star", "-x", 0], []),
    ):
        code, said = as_bob(shared, "-U", *arguments)
        assert code == 0 and "All usrloc tests completed successful" in said, said
        assert bound() == expected


def test_user_location_with_a_wrong_password(shared: Server) -> None:
    """It is challenged again and fails."""
    server = f"127.0.0.1:{shared.udp}"
    code, said = sipsak("-U", "-C", "empty", "-u", "bob", "-a", "guess", "-p", server, "-s", "sip:bob@ring.test")
    assert code == 2 and "authorization failed" in said, said


@pytest.mark.interop("sipp")
def test_trace(trusting: Server, sipps: Sipps) -> None:
    """-T asks bob's phone with Max-Forwards 0, which the server refuses as 16.3 says, and with 1, which gets there."""
    port = free_port(0)
    # -S sends from the port that its Via names; else the server takes it for a client behind a NAT, which it answers.
    assert as_bob(trusting, "-S", "-U", "-C", f"sip:bob@127.0.0.1:{port}", "-x", 3600)[0] == 0
    bob = sipps.start("answers_options", trusting.udp, user="bob", port=port).listening()
    code, said = sipsak("-T", "-p", f"127.0.0.1:{trusting.udp}", "-s", "sip:bob@ring.test")
    assert code == 0, said
    bob.done()
    assert STATUS_LINE.findall(said) == ["483 Too Many Hops", "200 OK"]
    assert bob.steps() == ["< OPTIONS", "> 200"]
    assert bob.first("< OPTIONS").one("Max-Forwards") == "0"
