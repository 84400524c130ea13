"""The load: sipp, started with our scenarios, and its statistics read from its own files."""

from __future__ import annotations

import csv
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from bench.process import BenchError, Child

SCENARIOS = Path(__file__).parent / "scenarios"
DOMAIN = "bench.example"


@dataclass(frozen=True)
class Load:
    """What one sipp run did, according to sipp's own statistics."""

    successful: int
    failed: int
    retransmissions: int
    seconds: float
    problem: str = ""
    """What else was wrong, of loads that are not sipp's."""

    def void(self) -> str:
        """Why this round does not count, or the empty string when it does."""
        if self.failed:
            return f"{self.failed} failed calls"
        if self.retransmissions:
            return f"{self.retransmissions} retransmissions"
        return self.problem


class Answerer:
    """A sipp that answers calls (uas.xml), alive for one round."""

    def __init__(self, directory: Path, port: int) -> None:
        """Start it on 127.0.0.1:`port`; its files go to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        self.statistics = directory / "uas.csv"
        command: list[str | Path] = ["sipp", "-sf", SCENARIOS / "uas.xml", "-i", "127.0.0.1", "-p", str(port)]
        command += ["-nostdin", "-trace_stat", "-stf", self.statistics, "-fd", "1"]
        self.began = time.monotonic()
        self.child = Child(command, directory / "uas.log", cwd=directory)
        self.child.wait_until(self.statistics.exists, 10, "statistics of the answering sipp")

    def finish(self) -> Load:
        """Let it end its calls (SIGUSR1) and return what it counted."""
        if self.child.running():
            self.child.process.send_signal(signal.SIGUSR1)
            try:
                self.child.wait(20)
            except BenchError:
                self.child.stop()
        return _read_statistics(self.statistics, time.monotonic() - self.began)

    def stop(self) -> None:
        """End it at once."""
        self.child.stop()


class Caller:
    """A sipp that runs a scenario against a server, started at once."""

    def __init__(
        self,
        scenario: str,
        directory: Path,
        *,
        target: int,
        port: int,
        users: Path,
        rate: int,
        count: int,
        keys: dict[str, str] | None = None,
    ) -> None:
        """Run `scenario` `count` times at `rate` a second from `port` against 127.0.0.1:`target`.

        `keys` are the values for [name] in the scenario, `users` is its injection file.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self.statistics = directory / "uac.csv"
        self.statistics.unlink(missing_ok=True)
        self.seconds = count / rate
        command: list[str | Path] = ["sipp", "-sf", SCENARIOS / scenario, "-inf", users, "-i", "127.0.0.1"]
        command += ["-p", str(port), f"127.0.0.1:{target}", "-r", str(rate), "-m", str(count), "-l", "10000"]
        command += ["-nostdin", "-trace_stat", "-stf", self.statistics, "-fd", "1"]
        # A proxy of several processes may let the 180 overtake the 200: no failure while the scenario pauses.
        command += ["-pause_msg_ign"]
        command += ["-trace_err", "-error_file", "uac_errors.log"]
        # Credentials are made for the Request-URI of the scenarios, and not for the server's address as sipp would.
        command += ["-auth_uri", DOMAIN]
        for name, value in (keys or {}).items():
            command += ["-key", name, value]
        self.began = time.monotonic()
        self.child = Child(command, directory / "uac.log", cwd=directory)

    def finish(self) -> Load:
        """Wait for the end and return what it counted. BenchError when it takes three times as long as it should."""
        with self.child:
            self.child.wait(self.seconds * 3 + 60)  # exit code 1: some call failed, which the statistics say too
        return _read_statistics(self.statistics, time.monotonic() - self.began)


def _read_statistics(path: Path, seconds: float) -> Load:
    """The cumulative figures of the last line of a sipp statistics file, for a run of `seconds`."""
    if not path.exists():
        raise BenchError(f"sipp wrote no statistics ({path.name})")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    if not rows:
        raise BenchError(f"sipp wrote no line into its statistics ({path.name})")
    last = rows[-1]
    return Load(
        successful=int(last["SuccessfulCall(C)"]),
        failed=int(last["FailedCall(C)"]),
        retransmissions=int(last["Retransmissions(C)"]),
        seconds=seconds,
    )
