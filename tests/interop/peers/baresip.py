"""Baresip: a phone with a configuration written here, driven over its control socket, with files for ears and mouth.

What version 1.0 cannot: Replaces in either direction (RFC 3891), so attended transfers; PRACK, UPDATE, session timers.
"""

from __future__ import annotations

import json
import re
import select
import socket
import time
from pathlib import Path

from tests.interop.peers.hearing import Hearing
from tests.interop.peers.program import PeerError, Program, free_port, wait_until
from tests.interop.peers.server import DOMAIN, Server, password_of
from tests.interop.peers.sound import write_tone

MODULES = (Path("/usr/lib/baresip/modules"), Path("/usr/lib/x86_64-linux-gnu/baresip/modules"))

CODECS = {
    "PCMU": ("PCMU/8000/1", 8000, 1),
    "PCMA": ("PCMA/8000/1", 8000, 1),
    "G722": ("G722/16000/1", 16000, 1),
    "L16": ("L16/16000/1", 16000, 1),
    "opus": ("opus/48000/2", 48000, 2),
}
"""What baresip calls each codec, and the rate and the channels of the files that go with it."""

MODULE_NAMES = (
    *("g711", "g722", "l16", "opus", "aufile", "aubridge", "plc", "sndfile"),
    *("srtp", "dtls_srtp", "ice"),
)


class Baresip:
    """One phone of one user; it plays its own tone and records what it hears.

    Without a server it registers nowhere and is called directly: `Baresip(directory, None, "bob").ready()`.
    """

    def __init__(
        self,
        directory: Path,
        server: Server | None,
        user: str,
        *,
        transport: str = "udp",
        tone: int = 440,
        answer: str = "manual",
        ring_seconds: int = 120,
        password: str = "",
        host: str = "127.0.0.1",
        codec: str = "",
        encryption: str = "",
        ice: bool = False,
        mouth: Path | None = None,
        packet: int = 20,
        loss_concealment: bool = False,
    ) -> None:
        """`answer`: "manual", "early" (183 with media) or "auto". `password`: another than that of the user. `host`:
        where the server and this phone are, an address of this machine.

        `ring_seconds`: after that an unanswered call is refused by the phone. `codec`: the only one, of CODECS; without
        it PCMU and PCMA. `encryption`: "srtp" (SDES where the other side can), "srtp-mand" (or no call) or "dtls_srtp".
        `ice`: whether media is found by ICE, for which `host` must not be a loopback address. `mouth`: the WAV that it
        says instead of its tone, of the rate and channels of the codec. `packet`: milliseconds of sound in each packet.
        """
        self.directory = directory
        self.user = user
        self.tone = tone
        self.transport = transport
        self.codec = codec
        self.host = host
        self.events: list[dict[str, str]] = []
        self._pending = b""
        self._echoes = False
        self._control: socket.socket | None = None
        self.control_port = free_port(0)
        self.port = free_port(1)  # baresip takes the next one for TLS
        directory.mkdir(parents=True)
        self.version = "v6" if ":" in host else "v4"
        place = f"[{host}]" if ":" in host else host
        self.uri = f"sip:{user}@{place}:{self.port}{'' if transport == 'udp' else f';transport={transport}'}"
        name, rate, channels = CODECS[codec] if codec else ("PCMU/8000/1,PCMA/8000/1", 8000, 1)
        sound = mouth or write_tone(directory / "mouth.wav", tone, rate=rate, channels=channels)
        modules = next(path for path in MODULES if path.is_dir())
        trusted = f"sip_cafile {server.certificate}\nsip_verify_server yes\n" if server else ""
        media = free_port(19)
        loaded = [name for name in MODULE_NAMES if name != "plc" or loss_concealment]
        (directory / "config").write_text(
            f"sip_listen {place}:{self.port}\n{trusted}"
            f"net_interface {host}\ncall_local_timeout {ring_seconds}\ncall_max_calls 4\n"
            f"audio_path /usr/share/baresip\naudio_player aubridge,{user}\naudio_alert aubridge,{user}-alert\n"
            f"audio_source aufile,{sound}\nausrc_srate {rate}\nauplay_srate {rate}\n"
            f"ausrc_channels {channels}\nauplay_channels {channels}\nrtp_ports {media}-{media + 19}\n"
            f"opus_inbandfec yes\nopus_packet_loss 10\nsnd_path {directory}\nmodule_path {modules}\n"
            + "".join(f"module {name}.so\n" for name in loaded)
            + "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
            f"ctrl_tcp_listen 127.0.0.1:{self.control_port}\n"
        )
        account = f"<sip:{user}@{DOMAIN if server else place};transport={transport}>;answermode={answer};ptime={packet}"
        account += f";audio_codecs={name}"
        account += f";mediaenc={encryption}" if encryption else ""
        account += ";medianat=ice" if ice else ""
        if server:
            port = server.tls if transport == "tls" else server.udp
            account += f";auth_pass={password or password_of(user)};regint=60"
            account += f';outbound="sip:{place}:{port};transport={transport}"'
        else:
            account += ";regint=0"
        (directory / "accounts").write_text(f"{account}\n")
        self.program = Program(["baresip", "-f", directory, "-v", "-s"], directory / "log")

    def registered(self, seconds: float = 15.0) -> Baresip:
        """Wait until it is registered and its control socket is open."""
        self.program.expect(rf"\{{0/\w+/{self.version}\}} 200 OK .*\[\d+ binding", seconds)
        return self.ready()

    def ready(self, seconds: float = 5.0) -> Baresip:
        """Wait until its control socket is open and it takes calls."""
        wait_until(self._connect, seconds, "control socket of baresip", self.program.tail)
        return self

    def dial(self, target: str) -> None:
        """Call a user of the domain, or any SIP URI; to one without a transport it adds that of its account."""
        self._command("dial", target if ":" in target else f"sip:{target}@{DOMAIN}")

    def accept(self) -> None:
        """Answer the call that rings."""
        self._command("accept")

    def hang_up(self) -> None:
        """End the call; refuse it when it still rings."""
        self._command("hangup")

    def hold(self) -> None:
        """Put the other side on hold (sendonly)."""
        self._command("hold")

    def resume(self) -> None:
        """End the hold."""
        self._command("resume")

    def reinvite(self) -> None:
        """Offer the same again."""
        self._command("reinvite")

    def transfer(self, target: str) -> None:
        """Send the other side to another URI (REFER), and hang up when that call stands."""
        self._command("transfer", target)

    def echo(self) -> None:
        """Say what it hears from now on, instead of its tone. After a hold it records no more what it hears."""
        if not self._echoes:
            self._command("ausrc", f"aubridge,{self.user}")
        self._echoes = True

    def press(self, digits: str) -> None:
        """Send DTMF."""
        for digit in digits:
            self._command("sndcode", digit)

    def pressed(self) -> str:
        """The DTMF digits that it has received."""
        return "".join(re.findall(r"received event: '(.)' \(end=1\)", self.program.output()))

    def expect(self, kind: str, seconds: float = 10.0) -> dict[str, str]:
        """Wait for the next event of this kind, e.g. CALL_INCOMING, CALL_RINGING, CALL_ESTABLISHED, CALL_CLOSED.

        Events before it are dropped. PeerError when it does not come in time.
        """
        deadline = time.monotonic() + seconds
        seen: list[str] = []
        while True:
            while self.events:
                event = self.events.pop(0)
                seen.append(event["type"])
                if event["type"] == kind:
                    return event
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerError(f"{self.user}: no {kind} within {seconds:g} s, but {seen}\n{self.program.tail()}")
            self._receive(min(left, 0.5))

    def called(self) -> Baresip:
        """Wait until somebody calls."""
        self.expect("CALL_INCOMING")
        return self

    def rings(self) -> Baresip:
        """Wait until it is told that it rings at the other side."""
        self.expect("CALL_RINGING")
        return self

    def hears_early(self) -> Baresip:
        """Wait until there is early media from the other side."""
        self.expect("CALL_PROGRESS")
        return self

    def talks(self) -> Baresip:
        """Wait until the call is answered."""
        self.expect("CALL_ESTABLISHED")
        return self

    def is_done(self) -> str:
        """Wait until the call is over; why, as it says, with the status of a refusal."""
        return self.expect("CALL_CLOSED").get("param", "")

    def found_way(self) -> None:
        """Wait until ICE has found a way for the sound."""
        self.program.expect("ice: audio: connectivity check is complete")

    def heard(self) -> Path:
        """The file with what this phone hears in its present or last call."""
        wait_until(lambda: any(self.directory.glob("dump-*-dec.wav")), 10, "recording of baresip", self.program.tail)
        return max(self.directory.glob("dump-*-dec.wav"))

    def hearing(self) -> Hearing:
        """What it has heard since its present or last call, hold or change of codec began: each begins a recording."""
        return Hearing.read(self.heard())

    def stop(self) -> None:
        """Let it unregister and end it."""
        if self._control is not None:
            self._control.close()
        self.program.stop()

    def _connect(self) -> bool:
        if not self.program.running():
            raise PeerError(f"baresip of {self.user} has ended\n{self.program.tail()}")
        try:
            self._control = socket.create_connection(("127.0.0.1", self.control_port), 1.0)
        except OSError:  # it does not listen yet
            return False
        return True

    def _command(self, command: str, parameters: str = "") -> None:
        assert self._control is not None, "not registered() yet"
        body = json.dumps({"command": command, "params": parameters, "token": command}).encode()
        self._control.sendall(b"%d:%s," % (len(body), body))

    def _receive(self, seconds: float) -> None:
        """Take what the control socket has: netstrings of JSON, some of them answers to commands."""
        assert self._control is not None, "not registered() yet"
        if select.select([self._control], [], [], seconds)[0]:
            data = self._control.recv(65535)
            if not data:
                raise PeerError(f"baresip of {self.user} closed its control socket\n{self.program.tail()}")
            self._pending += data
        while (colon := self._pending.find(b":")) > 0:
            end = colon + 1 + int(self._pending[:colon])
            if len(self._pending) <= end:
                return
            message = json.loads(self._pending[colon + 1 : end])
            self._pending = self._pending[end + 1 :]
            if message.get("event"):
                self.events.append(message)
