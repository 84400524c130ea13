"""Fixtures of the interop tests: the server under test on free ports, and phones that are stopped after each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.peers.baresip import Baresip
from tests.interop.peers.jssip import JsSip
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.server import (
    DOMAIN,
    Certificate,
    KamailioServer,
    RingbackServer,
    Server,
    instead_of_ringback,
)
from tests.interop.peers.sipp import Sipps

ONLY_MD5 = '[authentication]\nalgorithms = ["MD5"]\n'
"""For baresip 1.0 ("Function not implemented"), sipp 3.6 and sipsak 0.9, which give up at a challenge with SHA-256."""


@pytest.fixture(scope="session")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the accounts of every user, made once by the command line."""
    data = tmp_path_factory.mktemp("accounts") / "data"
    if not instead_of_ringback():
        RingbackServer.make_accounts(data)
    return data


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of every server, and the authority that gave it."""
    return Certificate.make(tmp_path_factory.mktemp("certificates"))


def _servers(directory: Path, accounts: Path, identity: Certificate) -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(config: str = ONLY_MD5, domain: str = DOMAIN) -> Server:
        own = directory / f"server{len(started)}"
        own.mkdir()
        server: Server
        if instead_of_ringback():
            server = KamailioServer(own, identity)
        else:
            server = RingbackServer(own, accounts, identity, config, domain)
        started.append(server)
        server.start()
        return server

    yield start
    for server in reversed(started):
        server.stop()


@pytest.fixture
def make_server(tmp_path: Path, accounts: Path, identity: Certificate) -> Iterator[Callable[..., Server]]:
    """Start servers, each with its own ports and data; they are stopped, and looked at, afterwards."""
    yield from _servers(tmp_path, accounts, identity)


@pytest.fixture(scope="module")
def make_shared_server(
    tmp_path_factory: pytest.TempPathFactory, accounts: Path, identity: Certificate
) -> Iterator[Callable[..., Server]]:
    """The same, for servers that all tests of a module may use: they leave nothing registered there."""
    yield from _servers(tmp_path_factory.mktemp("shared"), accounts, identity)


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """One server for ring.test, fresh for the test."""
    return make_server()


@pytest.fixture(scope="module")
def shared(make_shared_server: Callable[..., Server]) -> Server:
    """One server for ring.test for all tests of a module, which leave nothing registered there."""
    return make_shared_server()


@pytest.fixture
def sipps(tmp_path: Path) -> Iterator[Sipps]:
    """Starts runs of SIPp; after the test they end, and what they registered is taken back."""
    made = Sipps(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def phone(server: Server, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """`phone(Baresip, "alice", …)` starts a phone of a user on `server` and waits until it is registered.

    With `wait=False` it does not wait. All phones end before the server does.
    """
    started: list[Baresip | JsSip | Linphone] = []
    numbers = itertools.count()

    def start(
        kind: type[Baresip] | type[JsSip] | type[Linphone], user: str, *, wait: bool = True, **options: Any
    ) -> Baresip | JsSip | Linphone:
        made = kind(tmp_path / f"{kind.__name__.lower()}-{user}-{next(numbers)}", server, user, **options)
        started.append(made)
        return made.registered() if wait else made

    yield start
    for made in reversed(started):
        made.stop()
