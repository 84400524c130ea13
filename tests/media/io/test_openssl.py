"""DTLS with the openssl command at the other end: both roles, and the same keys on both sides, as it exports them."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ringback.media.io.certificate import Certificate
from ringback.media.io.srtp import SUITES, SrtpKeys
from ringback.media.io.transport import Remote
from tests.interop.peers.program import Program, free_port, is_bound, wait_until
from tests.media.io.ends import PATIENCE, opened

pytestmark = pytest.mark.interop("openssl")

SUITE = SUITES["AES_CM_128_HMAC_SHA1_80"]


class OpenSsl:
    """The command as one side of a handshake, with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = Certificate.generate()
        key = self.certificate.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "key.pem").write_bytes(key)
        (folder / "cert.pem").write_bytes(self.certificate.certificate.public_bytes(serialization.Encoding.PEM))
        self.program: Program | None = None

    def run(self, *options: str, profile: str = SUITE.dtls) -> Program:
        self.program = Program(
            [
                *("openssl", options[0], "-dtls1_2", "-cert", "cert.pem", "-key", "key.pem", *options[1:]),
                *("-use_srtp", profile, "-keymatexport", "EXTRACTOR-dtls_srtp"),
                *("-keymatexportlen", str(2 * SUITE.length)),
            ],
            self.folder / "log",
            cwd=self.folder,
        )
        return self.program

    def text(self) -> str:
        assert self.program is not None
        return self.program.log.read_text(errors="replace")

    def keys(self, client: bool) -> SrtpKeys:
        """What it has exported, seen from us, who are the client or not (RFC 5764 section 4.2)."""
        pattern = re.compile(r"Keying material: ([0-9A-F]+)\n")
        wait_until(lambda: pattern.search(self.text()) is not None, PATIENCE, "keying material", self.text)
        found = pattern.search(self.text())
        assert found is not None
        material = bytes.fromhex(found[1])
        first, second = material[:16] + material[32:46], material[16:32] + material[46:60]
        return SrtpKeys(SUITE.name, first, second) if client else SrtpKeys(SUITE.name, second, first)


@pytest.fixture
def openssl(tmp_path: Path) -> Iterator[OpenSsl]:
    other = OpenSsl(tmp_path)
    yield other
    if other.program is not None:
        other.program.stop()


async def test_as_the_server_for_a_client_behind_a_nat(openssl: OpenSsl) -> None:
    """Its address is not the one that SDP names, so it has to bring a cookie."""
    here = await opened(rtcp_mux="require")
    remote = Remote(
        "127.0.0.1", 9, rtcp_mux=True, fingerprints=(openssl.certificate.fingerprint("sha-384"),), role="server"
    )
    try:
        starting = asyncio.ensure_future(here.transport.start(remote))
        openssl.run("s_client", "-connect", f"127.0.0.1:{here.address[1]}")
        async with asyncio.timeout(PATIENCE):
            await starting
        assert here.transport._srtp[1].keys == openssl.keys(client=False)
        assert here.transport._srtp[1].keys.remote == openssl.keys(client=False).remote
    finally:
        here.transport.close()


async def test_as_the_client(openssl: OpenSsl) -> None:
    port = free_port()
    # Without -listen it takes one association, as a phone does; -Verify wants our certificate.
    openssl.run("s_server", "-accept", f"127.0.0.1:{port}", "-Verify", "1")
    wait_until(lambda: is_bound(port), 10, "s_server", openssl.text)
    here = await opened(rtcp_mux="require")
    remote = Remote("127.0.0.1", port, rtcp_mux=True, fingerprints=(openssl.certificate.fingerprint(),), role="client")
    try:
        async with asyncio.timeout(PATIENCE):
            await here.transport.start(remote)
        assert here.transport._srtp[1].keys == openssl.keys(client=True)
    finally:
        here.transport.close()
