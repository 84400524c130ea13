"""coturn as the STUN and TURN server: relayed calls over UDP, TCP and TLS, refreshes, refusals."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ringback.media.backend import MediaError
from ringback.media.candidates import RELAYED
from ringback.media.ice_servers import IceServer
from ringback.media.io.certificate import Certificate
from ringback.media.io.path import RTP_COMPONENT
from ringback.media.io.sockets import Address, bind
from ringback.media.io.turn import TurnRelay
from tests.interop.peers.program import Program, free_port, wait_until
from tests.media.io.ends import PATIENCE, End, ends, one_turn
from tests.media.io.test_transport_ice import connect, talk

pytestmark = pytest.mark.interop("turnserver")

HOST = "127.0.0.1"
NAME, PASSWORD, REALM = "alice", "secret", "example.org"


class Coturn:
    """A running coturn: where it listens, and what it has written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.tls_port = free_port()
        self.certificate = Certificate.generate()
        key = self.certificate.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "key.pem").write_bytes(key)
        (folder / "cert.pem").write_bytes(self.certificate.certificate.public_bytes(serialization.Encoding.PEM))
        self.program = Program(
            [
                *("turnserver", "-n", "-L", HOST, "-E", HOST, "-p", str(self.port)),
                *("--tls-listening-port", str(self.tls_port), "--cert", folder / "cert.pem"),
                *("--pkey", folder / "key.pem", "-u", f"{NAME}:{PASSWORD}", "-r", REALM, "--lt-cred-mech"),
                *("--allow-loopback-peers", "--no-cli", "--no-dtls", "--fingerprint", "--verbose"),
                *("--min-port=40000", "--max-port=44999", f"--pidfile={folder}/pid", f"--userdb={folder}/db"),
                *("--log-file=stdout", "--simple-log"),
            ],
            folder / "log",
            cwd=folder,
        )
        self.address: Address = (HOST, self.port)
        wait_until(self.listens, 10, "listening coturn", self.text)

    def text(self) -> str:
        return self.program.log.read_text(errors="replace")

    def listens(self) -> bool:
        return "Total auth threads" in self.text() or "SQLite DB connection success" in self.text()

    def uri(self, transport: str = "udp") -> str:
        return f"turn:{NAME}:{PASSWORD}@{HOST}:{self.port}?transport={transport}"

    def named(self, transport: str = "udp", password: str = PASSWORD) -> IceServer:
        port = self.tls_port if transport == "tls" else self.port
        return IceServer("turn", HOST, port, transport, NAME, password)  # type: ignore[arg-type]


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[Coturn]:
    server = Coturn(tmp_path)
    try:
        yield server
    finally:
        server.program.stop()


def relayed_only(end: End) -> None:
    """Forget all candidates but the relayed ones."""
    path = end.transport._ice
    assert path is not None
    path.agent.local = [each for each in path.agent.local if each.kind == RELAYED]
    path.agent._bases = {each.base: each for each in path.agent.local}


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_packets_both_ways(coturn: Coturn, transport: str) -> None:
    heard: asyncio.Queue[tuple[bytes, Address]] = asyncio.Queue()
    relay = TurnRelay(
        coturn.named(transport), HOST, lambda relayed, data, peer, arrival: heard.put_nowait((data, peer))
    )
    context = ssl.create_default_context(cafile=str(coturn.folder / "cert.pem"))
    context.check_hostname = False
    loop = asyncio.get_running_loop()
    with bind(HOST, 0) as peer:
        there: Address = peer.getsockname()[:2]
        async with asyncio.timeout(PATIENCE):
            await relay.open((HOST, coturn.tls_port if transport == "tls" else coturn.port), context)
            assert relay.address[0] == HOST
            assert 40000 <= relay.address[1] <= 44999
            for bound in (False, True):
                if bound:
                    relay.bind(there)
                    while not relay.client._bound:
                        await one_turn()
                for length in (1, 2, 3, 4, 160, 1200):
                    assert relay.send(there, bytes(length))
                    data, source = await loop.sock_recvfrom(peer, 2000)
                    assert (data, source[:2]) == (bytes(length), relay.address)
                    peer.sendto(bytes(length), relay.address)
                    assert await heard.get() == (bytes(length), there)
    relay.close()
    wait_until(lambda: "deleted" in coturn.text() or "closed" in coturn.text(), 5, "end of the session", coturn.text)


async def test_a_certificate_that_nobody_signed_is_refused(coturn: Coturn) -> None:
    relay = TurnRelay(coturn.named("tls"), HOST, lambda *heard: None)
    with pytest.raises(MediaError, match=r"^the TURN server cannot be reached: "):
        await relay.open((HOST, coturn.tls_port))


async def test_the_wrong_password(coturn: Coturn) -> None:
    relay = TurnRelay(coturn.named(password="wrong"), HOST, lambda *heard: None)
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(MediaError, match=r"^the TURN server has refused an allocation with 401$"):
            await relay.open(coturn.address)
    relay.close()


async def test_refreshes(coturn: Coturn) -> None:
    """What is due in minutes is made due now, and coturn answers."""
    relay = TurnRelay(coturn.named(), HOST, lambda *heard: None)
    async with asyncio.timeout(PATIENCE):
        await relay.open(coturn.address)
        relay.bind((HOST, 9))
        while not relay.client._bound:
            await one_turn()
        client, now = relay.client, asyncio.get_running_loop().time()
        client._refresh = now
        client._permissions = dict.fromkeys(client._permissions, now)
        client._bound = dict.fromkeys(client._bound, now)
        relay._expired()
        assert len(client._requests) == 3
        while client._requests:
            await one_turn()
    assert client.state == "allocated"
    assert client._refresh is not None
    assert client._refresh > now + 400
    relay.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("keying", ["none", "sdes", "dtls"])
@pytest.mark.parametrize("both", [False, True])
async def test_a_call_through_the_relay(coturn: Coturn, transport: str, keying: str, both: bool) -> None:
    options = {"ice": "full", "turn": (coturn.uri(transport),), "stun": (f"stun:{HOST}:{coturn.port}",)}
    async with ends(options, options if both else {"ice": "full"}) as (here, there):
        relayed_only(here)
        if both:
            relayed_only(there)
        await connect(here, there, keying, rtcp_mux=True)
        path = here.transport._ice
        assert path is not None
        assert 40000 <= path.agent.selected[RTP_COMPONENT].base[1] <= 44999
        await talk(here, there, 1)
        await talk(here, there, 2)


async def test_the_relay_is_used_only_where_nothing_else_leads(coturn: Coturn) -> None:
    options = {"ice": "full", "turn": (coturn.uri(),)}
    async with ends(options, options) as (here, there):
        ice = here.transport.parameters().ice
        assert ice is not None
        assert sorted({each.kind for each in ice.candidates}) == ["host", "relay"]
        await connect(here, there, "dtls", rtcp_mux=True)
        path = here.transport._ice
        assert path is not None
        assert path.agent.selected[RTP_COMPONENT].base == here.address
        await talk(here, there, 1)
