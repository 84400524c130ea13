"""SIPp: a user agent that does what a scenario file says, and fails when anything else happens."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.interop.peers.program import PeerError, Program, free_port, is_bound, wait_until
from tests.interop.peers.server import DOMAIN, password_of

SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
_SECONDS = 40
_ENTRY = re.compile(r"^-{20,} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\n", re.MULTILINE)
_DIRECTION = re.compile(r"\A\w+ message (sent|received) .*\n\n")


class Logged:
    """One message as SIPp saw it."""

    def __init__(self, sent: bool, text: str) -> None:
        self.sent = sent
        head, _, self.body = text.replace("\r\n", "\n").partition("\n\n")
        self.start_line, *lines = head.split("\n")
        parts = [line.partition(":") for line in lines]
        self.fields = [(name.strip().lower(), value.strip()) for name, _, value in parts]

    @property
    def step(self) -> str:
        """Such as "> INVITE" when it was sent, "< 407" when it was received."""
        first, second, *_ = self.start_line.split(" ")
        return f"{'>' if self.sent else '<'} {second if first == 'SIP/2.0' else first}"

    def all(self, name: str) -> list[str]:
        """The values of a header, one for each line."""
        return [value for key, value in self.fields if key == name.lower()]

    def one(self, name: str) -> str:
        """The value of a header that is there once."""
        values = self.all(name)
        assert len(values) == 1, f"{len(values)} {name} in {self.start_line}"
        return values[0]

    @property
    def branch(self) -> str:
        """The branch of the topmost Via."""
        found = re.search(r";branch=([^;,\s]+)", self.all("Via")[0])
        assert found is not None
        return found[1]


class Sipp:
    """One run of one scenario, for one call."""

    def __init__(
        self,
        directory: Path,
        scenario: str,
        to: int,
        *,
        user: str,
        domain: str = DOMAIN,
        transport: str = "udp",
        port: int | None = None,
        target: str = "",
        password: str = "",
        host: str = "127.0.0.1",
        answer: str = "486 Busy Here",
        folder: Path = SCENARIOS,
        echo: bool = False,
        repeats: bool = True,
        **keys: str,
    ) -> None:
        """`to`: the port of the server. `target`: what is called, the Request-URI without its scheme. `keys`: more
        words of the scenario. `password`: another than that of the user. `host`: the address to bind. `answer`: what
        the scenario says in place of 486 Busy Here, which SIPp takes from no key. `folder`: where the scenario is.
        `echo`: whether it sends back what its media ports receive. `repeats`: whether it repeats what it has sent when
        nothing comes, or the same comes again; else such a message is taken for a new one."""
        self.scenario = scenario
        self.transport = transport
        self.port = free_port(0) if port is None else port
        self.messages_file = directory / "messages.log"
        self.errors_file = directory / "errors.log"
        directory.mkdir(parents=True)
        script = directory / f"{scenario}.xml"
        script.write_text((folder / script.name).read_text().replace("486 Busy Here", answer))
        words = {"user": user, "domain": domain, "target": target, **keys}
        command: list[str | Path] = ["sipp", "-sf", script, f"127.0.0.1:{to}", "-m", "1"]
        command += ["-i", host, "-p", str(self.port), "-t", "t1" if transport == "tcp" else "u1"]
        command += ["-cp", str(free_port(0)), "-mp", str(free_port(3)), "-nostdin"]
        command += ["-rtp_echo", "-mi", host] if echo else []
        command += [] if repeats else ["-nr"]
        command += ["-trace_msg", "-message_file", self.messages_file, "-trace_err", "-error_file", self.errors_file]
        command += ["-timeout", f"{_SECONDS}s", "-timeout_error", "-au", user, "-ap", password or password_of(user)]
        command += ["-auth_uri", target or domain]
        for name, value in words.items():
            command += ["-key", name, value]
        self.program = Program(command, directory / "log", cwd=directory)

    def listening(self) -> Sipp:
        """Wait until it takes calls."""

        def bound() -> bool:
            if not self.program.running():
                raise PeerError(f"sipp ended: {self.why()}")
            return is_bound(self.port, self.transport)

        wait_until(bound, 10, f"{self.transport} port {self.port} of sipp", self.why)
        return self

    def done(self, seconds: float = _SECONDS + 5) -> Sipp:
        """Wait for its end; PeerError when the scenario was not gone through as it stands."""
        code = self.program.wait(seconds)
        if code != 0:
            raise PeerError(f"sipp {self.scenario} ended with {code}\n{self.why()}")
        return self

    def messages(self) -> list[Logged]:
        """What it sent and received so far, with every repetition."""
        found = []
        log = self.messages_file.read_bytes().decode(errors="replace") if self.messages_file.exists() else ""
        for entry in _ENTRY.split(log)[1:]:
            direction = _DIRECTION.match(entry)
            if direction is not None:  # else a note of SIPp's own
                found.append(Logged(direction[1] == "sent", entry[direction.end() :].removesuffix("\n")))
        return found

    def wait_for(self, step: str, number: int = 1, seconds: float = 15.0) -> None:
        """Wait until it has seen so many different messages of this kind."""

        def came() -> bool:
            if not self.program.running() and self.program.process.returncode:
                raise PeerError(f"sipp ended: {self.why()}")
            return self.steps().count(step) >= number

        wait_until(came, seconds, f"{number} {step}", self.why)

    def told(self) -> list[Logged]:
        """The same without 100 Trying, which depends on time only (RFC 3261 17.2.1), and without repetitions."""
        seen: set[tuple[str, str]] = set()
        kept = []
        for message in self.messages():
            key = (message.step, message.one("CSeq") + message.branch)
            if message.step not in ("< 100", "> 100") and key not in seen:
                kept.append(message)
                seen.add(key)
        return kept

    def steps(self) -> list[str]:
        """How the call went: `Logged.step` of each message."""
        return [message.step for message in self.told()]

    def first(self, step: str, number: int = 0) -> Logged:
        """The first message of this kind, or the one that comes `number` after it."""
        return [message for message in self.told() if message.step == step][number]

    def why(self) -> str:
        """What it complained about, and its messages."""
        errors = self.errors_file.read_text(errors="replace") if self.errors_file.exists() else ""
        log = self.messages_file.read_text(errors="replace") if self.messages_file.exists() else ""
        return f"--- {self.scenario}:\n{errors or self.program.output()[-1500:]}\n{log[-6000:]}"

    def stop(self) -> None:
        """End it."""
        self.program.stop()


class Sipps:
    """Starts runs, and sees to it that none is left over."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started: list[Sipp] = []
        self._registered: list[Callable[[], Sipp]] = []
        self._numbers = itertools.count()

    def start(self, scenario: str, to: int, **options: Any) -> Sipp:
        """Start a run against the server at port `to`; the options are those of `Sipp`."""
        made = Sipp(self.directory / f"{next(self._numbers)}-{scenario}", scenario, to, **options)
        self._started.append(made)
        return made

    def run(self, scenario: str, to: int, **options: Any) -> Sipp:
        """Start a run and wait for its end."""
        return self.start(scenario, to, **options).done()

    def phone(self, scenario: str, to: int, *, user: str, transport: str = "udp", **options: Any) -> Sipp:
        """Register a user's phone, and have it wait for a call."""
        domain = options.pop("domain", DOMAIN)
        where = {"user": user, "transport": transport, "domain": domain}
        port = self.run("register", to, **where).port
        self._registered.append(lambda: self.run("register_cancel", to, user=user, domain=domain))
        return self.start(scenario, to, port=port, **where, **options).listening()

    def stop(self) -> None:
        """End all runs and take back what was registered."""
        self._end()
        for forget in self._registered:
            forget()
        self._end()

    def _end(self) -> None:
        for made in self._started:
            made.stop()
