"""Processes: start, wait for a condition, stop by id, and read what they cost from /proc."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A measurement could not be made: a program is missing, did not start, or failed."""


class Child:
    """One process that the benchmark started, and that only the benchmark ends (by its id)."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        """Start `command` with its output in the file `log`.

        Raises BenchError when the program is not there.
        """
        self.command = [str(part) for part in command]
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            try:
                self.process = subprocess.Popen(
                    self.command,
                    stdin=stdin,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=dict(env) if env is not None else None,
                )
            except FileNotFoundError as error:
                raise BenchError(f"cannot start {self.command[0]}: not installed") from error

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self.process.poll() is None

    def output(self, tail: int = 4000) -> str:
        """The last `tail` characters that the process wrote."""
        return self.log.read_text(errors="replace")[-tail:]

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Poll `condition` until it holds. BenchError when it does not in `seconds`, or when the process ends first."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.running():
                raise BenchError(f"{self.command[0]} ended ({self.process.returncode}) before {what}:\n{self.output()}")
            if time.monotonic() > deadline:
                raise BenchError(f"{self.command[0]}: no {what} within {seconds:.0f} s:\n{self.output()}")
            time.sleep(0.02)

    def wait(self, seconds: float) -> int:
        """Wait for the end and return the exit code. BenchError when it is still running after `seconds`."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"{self.command[0]} still runs after {seconds:.0f} s:\n{self.output()}") from error

    def stop(self, first: signal.Signals = signal.SIGTERM, seconds: float = 10.0) -> None:
        """End the process: `first`, and SIGKILL when it has not ended after `seconds`."""
        if not self.running():
            return
        self.process.send_signal(first)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def process_tree(root: int) -> list[int]:
    """The ids of the process `root` and of all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat_fields(int(entry))
            if fields is not None:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found = [root]
    for pid in found:  # grows while we walk it
        found.extend(children.get(pid, ()))
    return found


def cpu_seconds(root: int) -> float:
    """User plus system time in seconds that the process tree of `root` has used, with threads and ended children."""
    ticks = 0
    for pid in process_tree(root):
        fields = _stat_fields(pid)
        if fields is not None:
            # utime, stime, and cutime, cstime: children that have ended and were waited for (proc(5), fields 14 to 17)
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / CLOCK_TICKS


def waited_seconds(pid: int) -> float:
    """How long the first thread of a process has been ready to run and has had no core, since it began; 0: unknown."""
    try:
        # proc(5), /proc/PID/schedstat: time on a core, time in a queue for one, turns; in nanoseconds.
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0


@dataclass(frozen=True)
class Memory:
    """Memory of a process tree in bytes. `pss` shares each common page out among its users, so it can be summed."""

    rss: int
    pss: int


def memory(root: int) -> Memory:
    """What the process tree of `root` occupies."""
    rss = pss = 0
    for pid in process_tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended since the tree was walked
        for line in lines:
            if line.startswith("Rss:"):
                rss += int(line.split()[1]) * 1024
            elif line.startswith("Pss:"):
                pss += int(line.split()[1]) * 1024
    return Memory(rss, pss)


def _stat_fields(pid: int) -> list[str] | None:
    """Fields 3 and up of /proc/PID/stat, or None when the process has gone. The name (field 2) may hold spaces."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def free_ports(count: int, base: int | None = None) -> list[int]:
    """`count` ports of 127.0.0.1 that are free for UDP and TCP: the first ones from `base` up, or any."""
    found: list[int] = []
    candidates: Iterable[int] = range(base, 65536) if base is not None else (0 for _ in range(1000))
    for candidate in candidates:
        port = _free_port(candidate)
        if port is not None and port not in found:
            found.append(port)
            if len(found) == count:
                return found
    raise BenchError(f"no {count} free ports on 127.0.0.1")


def free_ports_in_a_row(count: int) -> int:
    """The first of `count` UDP ports of 127.0.0.1 that are all free now, below those that the system gives away."""
    for first in range(20000, 32000 - count, count):
        if all(_free_port(port) is not None for port in range(first, first + count)):
            return first
    raise BenchError(f"no {count} free ports in a row on 127.0.0.1")


def _free_port(port: int) -> int | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagram, socket.socket() as stream:
        try:
            datagram.bind(("127.0.0.1", port))
            number = int(datagram.getsockname()[1])
            stream.bind(("127.0.0.1", number))
        except OSError:
            return None
        return number
