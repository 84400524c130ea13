"""JsSIP, the library of browser phones, in Node.js: over WebSocket, with commands and events as lines of JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.conftest import NODE_MODULES
from tests.interop.peers.program import PeerError, Program, wait_until
from tests.interop.peers.server import DOMAIN, Server, password_of

SCRIPT = Path(__file__).resolve().parent / "jssip_phone.js"


class JsSip:
    """One phone of one user."""

    def __init__(
        self, directory: Path, server: Server, user: str, *, transport: str = "ws", password: str = ""
    ) -> None:
        """`transport`: "ws", or "wss", for which it trusts the authority of the tests and nobody else."""
        self.user = user
        self._taken = 0
        port = server.wss if transport == "wss" else server.ws
        settings = {
            "modules": str(NODE_MODULES),
            "url": f"{transport}://127.0.0.1:{port}",
            "ca": str(server.certificate),
            "user": user,
            "domain": DOMAIN,
            "password": password or password_of(user),
        }
        self.program = Program(["node", SCRIPT, json.dumps(settings)], directory / "log")

    def registered(self, seconds: float = 15.0) -> JsSip:
        """Wait until it is registered."""
        self.expect("registered", seconds)
        return self

    def do(self, command: str, **parameters: Any) -> None:
        """Give a command: message, options, call, answer, hangup, refuse."""
        if "to" in parameters:
            parameters["to"] = f"sip:{parameters['to']}@{DOMAIN}"
        self.program.say(json.dumps({"do": command, **parameters}))

    def expect(self, event: str, seconds: float = 10.0) -> dict[str, Any]:
        """Wait for the next event of this kind; those before it are passed over. PeerError when it does not come."""
        deadline = time.monotonic() + seconds
        found: dict[str, Any] | None = None

        def came() -> bool:
            nonlocal found
            ended = not self.program.running()
            # The last piece is a line that is still being written, or nothing.
            for line in self.program.output().split("\n")[self._taken : -1]:
                self._taken += 1
                said = json.loads(line) if line.startswith("{") else {}
                if said.get("event") == event:
                    found = said
                    return True
            if ended:
                raise PeerError(f"JsSIP of {self.user} ended before {event}\n{self.program.tail()}")
            return False

        wait_until(came, deadline - time.monotonic(), f"{event} from JsSIP of {self.user}", self.program.tail)
        assert found is not None
        return found

    def stop(self) -> None:
        """Let it unregister and end it."""
        if self.program.running():
            self.program.say(json.dumps({"do": "stop"}))
            try:
                self.program.wait(8)
            except PeerError:
                self.program.stop()
                raise
        self.program.stop()
