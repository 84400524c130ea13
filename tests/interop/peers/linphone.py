"""Linphone's command line phone, driven over its standard input, with files instead of a sound card."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.peers.program import PeerError, Program, free_port, wait_until
from tests.interop.peers.server import DOMAIN, Server, password_of
from tests.interop.peers.sound import write_tone

# Its TLS library cannot compare a certificate with an IP address, so only the chain is verified (verify_server_cn=0).
CONFIG = """[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port={tls_port}
default_proxy=0
register_only_when_network_is_up=0
guess_hostname=0
contact=<sip:{user}@127.0.0.1>
root_ca={certificate}
verify_server_certs=1
verify_server_cn=0
use_ipv6=0
[rtp]
audio_rtp_port={rtp_port}
[sound]
echocancellation=0
[audio_codec_0]
mime=PCMU
rate=8000
channels=1
enabled=1
[audio_codec_1]
mime=opus
rate=48000
channels=2
enabled=0
[audio_codec_2]
mime=speex
rate=16000
channels=1
enabled=0
[audio_codec_3]
mime=speex
rate=8000
channels=1
enabled=0
[video]
enabled=0
capture=0
display=0
automatically_initiate=0
automatically_accept=0
[proxy_0]
reg_proxy=<sip:127.0.0.1:{server_port};transport={transport}>
reg_route=<sip:127.0.0.1:{server_port};transport={transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires=60
reg_sendregister=1
publish=0
[auth_info_0]
username={user}
passwd={password}
realm={domain}
"""


class Linphone:
    """One phone of one user; it plays its own tone and records what it hears."""

    def __init__(
        self, directory: Path, server: Server, user: str, *, transport: str = "udp", tone: int = 1000
    ) -> None:
        self.directory = directory
        self.user = user
        self.tone = tone
        self.heard_file = directory / "heard.wav"
        (directory / ".local" / "share" / "linphone").mkdir(parents=True)
        config = directory / "linphonerc"
        config.write_text(
            CONFIG.format(
                user=user,
                password=password_of(user),
                domain=DOMAIN,
                port=free_port(0),
                tls_port=free_port(0),
                rtp_port=free_port(1),
                certificate=server.certificate,
                server_port=server.tls if transport == "tls" else server.udp,
                transport=transport,
            )
        )
        self.core_log = directory / "core.log"
        command: list[str | Path] = ["linphonec", "-c", config, "-d", "6", "-l", self.core_log]
        self.program = Program(command, directory / "log", cwd=directory, env={"HOME": str(directory)})
        write_tone(directory / "mouth.wav", tone)
        for line in ("soundcard use files", "play mouth.wav", "record heard.wav"):  # it wraps its screen at 80 columns
            self.program.say(line)

    def registered(self, seconds: float = 15.0) -> Linphone:
        """Wait until it is registered."""
        self._expect_core(r"to \[LinphoneRegistrationOk\]", seconds)
        self.program.expect(r"record heard\.wav", seconds)
        return self

    def dial(self, target: str) -> None:
        """Call a user of the domain, or any SIP URI."""
        self.program.say(f"call {target if ':' in target else f'sip:{target}@{DOMAIN}'}")

    def accept(self) -> None:
        """Answer the call that rings."""
        self.program.say("answer")

    def hang_up(self) -> None:
        """End the call; refuse it when it still rings."""
        self.program.say("terminate")

    def expect(self, pattern: str, seconds: float = 10.0) -> None:
        """Wait for what it says on the screen, e.g. "incoming call", "ringing", "connected", "ended"."""
        self.program.expect(pattern, seconds)

    def heard(self) -> Path:
        """The file with what this phone hears."""
        return self.heard_file

    def stop(self) -> None:
        """Let it unregister and end it."""
        if self.program.running():
            self.program.say("quit")
            try:
                self.program.wait(8)
            except PeerError:
                self.program.stop()  # it hangs now and then
        self.program.stop()

    def _expect_core(self, pattern: str, seconds: float) -> None:
        def logged() -> bool:
            return self.core_log.exists() and bool(re.search(pattern, self.core_log.read_text(errors="replace")))

        wait_until(logged, seconds, f"{pattern!r} from linphone", self.program.tail)
