"""Linphone's command line phone, driven over its standard input, with files instead of a sound card."""

from __future__ import annotations

import re
from pathlib import Path

from tests.interop.peers.hearing import Hearing
from tests.interop.peers.program import PeerError, Program, free_port, wait_until
from tests.interop.peers.server import DOMAIN, Server, password_of
from tests.interop.peers.sound import write_tone

# Its TLS library cannot compare a certificate with an IP address, so only the chain is verified (verify_server_cn=0).
CONFIG = """[sip]
sip_port={port}
sip_tcp_port={port}
sip_tls_port={tls_port}
default_proxy={default_proxy}
register_only_when_network_is_up=0
guess_hostname=0
contact=<{contact}>
root_ca={certificate}
verify_server_certs=1
verify_server_cn=0
use_ipv6={ipv6}
media_encryption={encryption}
media_encryption_mandatory={mandatory}
incoming_calls_early_media={early}
session_expires_enabled={session_timer}
session_expires_value=120
session_expires_min_value=90
[net]
nat_policy_ref=nat
download_bw=0
upload_bw=0
[nat_policy_0]
ref=nat
protocols={nat_protocols}
[rtp]
audio_rtp_port={rtp_port}
bind_address={host}
[misc]
user_certificates_path={directory}
[sound]
echocancellation=0
{codecs}[video]
enabled=0
capture=0
display=0
automatically_initiate=0
automatically_accept=0
"""
REGISTERED = """[proxy_0]
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
CODECS = {
    "PCMU": (8000, 1),
    "PCMA": (8000, 1),
    "G722": (8000, 1),
    "opus": (48000, 2),
}
"""Its codecs with the rate of the RTP clock and the channels, as its configuration has them."""
UNUSED_CODECS = (("speex", 16000), ("speex", 8000), ("G729", 8000))
"""Others that it would offer if they were not turned off."""
HEARD_RATES = {"PCMU": 8000, "PCMA": 8000, "G722": 16000, "opus": 48000}
"""The rate of what it records with each codec."""


class Linphone:
    """One phone of one user; it plays its own tone and records what it hears.

    Without a server it registers nowhere and is called directly: `Linphone(directory, None, "bob").ready()`.
    """

    def __init__(
        self,
        directory: Path,
        server: Server | None,
        user: str,
        *,
        transport: str = "udp",
        tone: int = 1000,
        host: str = "127.0.0.1",
        codec: str = "PCMU",
        encryption: str = "none",
        ice: bool = False,
        session_timer: bool = False,
        mouth: Path | None = None,
        answer: str = "manual",
    ) -> None:
        """`codec`: the only one, of CODECS. `encryption`: "none", "srtp" (SDES) or "dtls", without which there is no
        call. `ice`: whether media is found by ICE, for which `host` must not be a loopback address. `mouth`: the WAV
        that it says instead of its tone. `answer`: "manual", "auto", or "early" (183 with media until it is answered).
        """
        self.directory = directory
        self.user = user
        self.tone = tone
        self.host = host
        self._seen = 0
        self.heard_file = directory / "heard.wav"
        self.heard_rate = HEARD_RATES[codec]
        self.port = free_port(0)
        place = f"[{host}]" if ":" in host else host
        self.uri = f"sip:{user}@{place}:{self.port}{'' if transport == 'udp' else f';transport={transport}'}"
        (directory / ".local" / "share" / "linphone").mkdir(parents=True)
        config = directory / "linphonerc"
        known = [(name, rate, channels) for name, (rate, channels) in CODECS.items()]
        known += [(name, rate, 1) for name, rate in UNUSED_CODECS]
        codecs = "".join(
            f"[audio_codec_{number}]\nmime={name}\nrate={rate}\nchannels={channels}\nenabled={int(name == codec)}\n"
            for number, (name, rate, channels) in enumerate(known)
        )
        text = CONFIG.format(
            port=self.port,
            tls_port=free_port(0),
            default_proxy=0 if server else -1,
            contact=f"sip:{user}@{place}" if server else self.uri,
            certificate=server.certificate if server else "/dev/null",
            ipv6=int(":" in host),
            encryption=encryption,
            mandatory=int(encryption != "none"),
            early=int(answer == "early"),
            session_timer=int(session_timer),
            nat_protocols="ice" if ice else "",
            rtp_port=free_port(9),  # each further call takes the next two
            host=host,
            directory=directory,
            codecs=codecs,
        )
        if server:
            text += REGISTERED.format(
                user=user,
                password=password_of(user),
                domain=DOMAIN,
                server_port=server.tls if transport == "tls" else server.udp,
                transport=transport,
            )
        config.write_text(text)
        self.core_log = directory / "core.log"
        command: list[str | Path] = ["linphonec", "-c", config, "-d", "6", "-l", self.core_log]
        command += ["-a"] if answer == "auto" else []
        self.program = Program(command, directory / "log", cwd=directory, env={"HOME": str(directory)})
        if mouth is None:
            mouth = write_tone(directory / "mouth.wav", tone)
        elif mouth.parent != directory:
            mouth = (directory / "mouth.wav").write_bytes(mouth.read_bytes()) and directory / "mouth.wav"
        lines = ["soundcard use files", f"play {mouth.name}", "record heard.wav"]  # it wraps its screen at 80 columns
        if answer == "early":
            lines.insert(0, f"ringback {mouth.name}")
        for line in lines:
            self.program.say(line)

    def registered(self, seconds: float = 15.0) -> Linphone:
        """Wait until it is registered."""
        self._expect_core(r"to \[LinphoneRegistrationOk\]", seconds)
        return self.ready(seconds)

    def ready(self, seconds: float = 15.0) -> Linphone:
        """Wait until it has taken its first commands."""
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

    def hold(self) -> None:
        """Put the other side on hold (sendonly)."""
        self.program.say("pause")

    def resume(self, call: str = "") -> None:
        """End the hold."""
        self.program.say(f"resume {call}".rstrip())

    def transfer(self, target: str) -> None:
        """Send the other side of the present call to another URI (REFER)."""
        self.program.say(f"transfer {target}")

    def transfer_to_call(self, call: int, other: int) -> None:
        """Send the other side of one call to that of another (REFER with Replaces). Calls are counted from 1."""
        self.program.say(f"transfer {call} --to-call {other}")

    def press(self, digits: str) -> None:
        """Send DTMF."""
        for digit in digits:
            self.program.say(digit)

    def pressed(self) -> str:
        """The DTMF digits that it has received."""
        return "".join(re.findall(r"Receiving tone (.) from", self.program.output()))

    def expect(self, pattern: str, seconds: float = 10.0) -> None:
        """Wait for what it says on the screen, e.g. "incoming call", "ringing", "connected", "ended"."""
        self.program.expect(pattern, seconds)

    def called(self) -> Linphone:
        """Wait until somebody calls."""
        return self._next("new incoming call")

    def rings(self) -> Linphone:
        """Wait until it is told that it rings at the other side."""
        return self._next(r"ringing\.")

    def hears_early(self) -> Linphone:
        """Wait until there is early media from the other side."""
        return self._next("early media")

    def talks(self) -> Linphone:
        """Wait until the call is answered."""
        return self._next(r"connected\.")

    def is_done(self) -> str:
        """Wait until the call is over; why, as it says."""
        self._next(r"Call \d+ with \S+ (?=ended|error)")
        return self.program.output()[self._seen :].partition("\n")[0]

    def found_way(self) -> None:
        """Wait until ICE has found a way for the sound."""
        self._expect_core(r"Finished ICE check list \S+ processing successfully", 10.0)

    def _next(self, pattern: str, seconds: float = 10.0) -> Linphone:
        """Wait until it says something after what was waited for before."""
        self._seen += self.program.expect(pattern, seconds, after=self._seen).end()
        return self

    def heard(self) -> Path:
        """The file with what this phone hears."""
        return self.heard_file

    def hearing(self) -> Hearing:
        """What it has heard in its present or last call."""
        return Hearing.read(self.heard_file, unwritten_rate=self.heard_rate)

    def record(self, name: str) -> None:
        """Write what it hears in its next call to another file."""
        self.heard_file = self.directory / name
        self.program.say(f"record {name}")

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
