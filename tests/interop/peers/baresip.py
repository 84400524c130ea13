"""Baresip: a phone with a configuration written here, driven over its control socket, with files for ears and mouth."""

from __future__ import annotations

import json
import select
import socket
import time
from pathlib import Path

from tests.interop.peers.program import PeerError, Program, free_port, wait_until
from tests.interop.peers.server import DOMAIN, Server, password_of
from tests.interop.peers.sound import write_tone

MODULES = (Path("/usr/lib/baresip/modules"), Path("/usr/lib/x86_64-linux-gnu/baresip/modules"))


class Baresip:
    """One phone of one user; it plays its own tone and records what it hears."""

    def __init__(
        self,
        directory: Path,
        server: Server,
        user: str,
        *,
        transport: str = "udp",
        tone: int = 440,
        answer: str = "manual",
        ring_seconds: int = 120,
        password: str = "",
        host: str = "127.0.0.1",
    ) -> None:
        """`answer`: "manual" or "auto". `password`: another than that of the user. `host`: where the server and this
        phone are, 127.0.0.1 or ::1.

        `ring_seconds`: after that an unanswered call is refused by the phone.
        """
        self.directory = directory
        self.user = user
        self.tone = tone
        self.transport = transport
        self.events: list[dict[str, str]] = []
        self._pending = b""
        self._control: socket.socket | None = None
        self.control_port = free_port(0)
        self.port = free_port(1)  # baresip takes the next one for TLS
        directory.mkdir(parents=True)
        self.version = "v6" if ":" in host else "v4"
        place = f"[{host}]" if ":" in host else host
        sound = write_tone(directory / "mouth.wav", tone)
        modules = next(path for path in MODULES if path.is_dir())
        (directory / "config").write_text(
            f"sip_listen {place}:{self.port}\nsip_cafile {server.certificate}\nsip_verify_server yes\n"
            f"net_interface {host}\ncall_local_timeout {ring_seconds}\ncall_max_calls 4\n"
            f"audio_path /usr/share/baresip\naudio_player aubridge,{user}\naudio_alert aubridge,{user}-alert\n"
            f"audio_source aufile,{sound}\nausrc_srate 8000\nauplay_srate 8000\nausrc_channels 1\nauplay_channels 1\n"
            f"snd_path {directory}\nmodule_path {modules}\n"
            "module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n"
            "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
            f"ctrl_tcp_listen 127.0.0.1:{self.control_port}\n"
        )
        port = server.tls if transport == "tls" else server.udp
        (directory / "accounts").write_text(
            f"<sip:{user}@{DOMAIN};transport={transport}>;auth_pass={password or password_of(user)};"
            f"answermode={answer};regint=60;"
            f'outbound="sip:{place}:{port};transport={transport}"\n'
        )
        self.program = Program(["baresip", "-f", directory, "-v", "-s"], directory / "log")

    def registered(self, seconds: float = 15.0) -> Baresip:
        """Wait until it is registered and its control socket is open."""
        self.program.expect(rf"\{{0/\w+/{self.version}\}} 200 OK .*\[\d+ binding", seconds)
        wait_until(self._connect, 5.0, "control socket of baresip", self.program.tail)
        return self

    def dial(self, target: str) -> None:
        """Call a user of the domain, or any SIP URI."""
        self._command("dial", target if ":" in target else f"sip:{target}@{DOMAIN}")

    def accept(self) -> None:
        """Answer the call that rings."""
        self._command("accept")

    def hang_up(self) -> None:
        """End the call; refuse it when it still rings."""
        self._command("hangup")

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

    def heard(self) -> Path:
        """The file with what this phone hears in its present or last call."""
        wait_until(lambda: any(self.directory.glob("dump-*-dec.wav")), 10, "recording of baresip", self.program.tail)
        return max(self.directory.glob("dump-*-dec.wav"))

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
