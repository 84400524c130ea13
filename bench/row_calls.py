"""Row 1: stateful proxy, complete calls; and the latency that the proxy adds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import sipp
from bench.figures import Figure, quantile
from bench.options import Options
from bench.probe import Latencies, Probe
from bench.process import BenchError
from bench.rounds import interleave
from bench.sipp import Answerer, Load
from bench.systems import System
from bench.users import register, write_users

USERS = 1000
LOAD_RATE = 1000
"""Calls a second while latency is measured, the probe's included."""
PROBE_RATE = 100
LINGER = 35.0
"""Seconds after which no transaction of a call is left: Timer J is 64*T1 = 32 s (RFC 3261 17.2.2)."""


def run(systems: Sequence[System], options: Options, log: Callable[[str], None]) -> list[Figure]:
    """Measure calls, then latency, on the systems, which are started here and are stopped by the caller."""
    users = options.work / "row1" / "users.csv"
    write_users(users, USERS)
    caller, answerer = options.ports(2)
    for system in systems:
        system.start()
        register(system, users, USERS, port=caller, answer_port=answerer, rate=500)
        log(f"    {system.name}: {USERS} users registered")
    calls = _calls(systems, options, users, caller, answerer, log)
    latency = _latency(systems, options, users, caller, answerer, log) if options.latency_seconds else []
    return [calls, *latency]


def _calls(
    systems: Sequence[System], options: Options, users: Path, caller: int, answerer: int, log: Callable[[str], None]
) -> Figure:
    def one_round(system: System, index: int) -> tuple[Load, int]:
        directory = options.work / "row1" / f"{system.name}-{index}"
        count = options.calls if index >= 0 else max(options.calls // 3, 100)
        answering = Answerer(directory, answerer)
        try:
            made = sipp.Caller(
                "uac.xml", directory, target=system.port, port=caller, users=users, rate=options.call_rate, count=count
            ).finish()
        finally:
            answered = answering.finish()
        load = Load(made.successful, made.failed, made.retransmissions + answered.retransmissions, made.seconds)
        return load, count

    began = {system.name: system.cpu() for system in systems}
    found = interleave(systems, one_round, options.rounds, log)
    figure = Figure(1, "stateful proxy, complete call", "µs CPU", "Kamailio", goal=1.0)
    if len(systems) > 1:
        # Work that a system puts off (ending transactions, freeing memory) falls outside its rounds. So let all of it
        # happen, and divide everything that was used since the start by all calls: this must tell the same story.
        log(f"    waiting {LINGER:.0f} s for the last transactions to end")
        time.sleep(LINGER)
    for system in systems:
        rounds = found[system.name]
        samples = figure.our_samples if system.name == "Ringback" else figure.peer_samples
        samples += rounds.microseconds
        every = rounds.operations + max(options.calls // 3, 100)  # the rounds that count and the warm-up
        if len(systems) > 1 and not rounds.void:
            used = (system.cpu() - began[system.name]) / every * 1e6
            figure.notes.append(
                f"{system.name}: {used:.0f} µs a call over the whole row, idle time and late work included"
            )
        if rounds.void:
            figure.notes.append(f"{system.name}: {len(rounds.void)} void rounds run again ({rounds.void[0]})")
    return figure


def _latency(
    systems: Sequence[System],
    options: Options,
    users: Path,
    caller: int,
    answerer: int,
    log: Callable[[str], None],
) -> list[Figure]:
    kinds = (("180", 0.5), ("180", 0.99), ("200", 0.5), ("200", 0.99))
    figures = []
    for kind, share in kinds:
        work = f"latency added, INVITE to {kind}, p{share * 100:.0f}, at {LOAD_RATE:,} calls/s"
        figures.append(Figure(1, work, "ms", "Kamailio", limit=5.0 if share == 0.99 else None))
    rounds = max(1, min(3, options.rounds))
    for index in range(rounds):
        direct = _timed_load(answerer, options, users, caller, answerer, f"direct-{index}")
        base = [quantile(_samples(direct, kind), share) for kind, share in kinds]
        log(f"    latency without a proxy: p50 {base[2]:.2f} ms, p99 {base[3]:.2f} ms to the 200")
        for system in systems if index % 2 == 0 else reversed(systems):
            timed = _timed_load(system.port, options, users, caller, answerer, f"{system.name}-latency-{index}")
            added = []
            for figure, (kind, share), direct_value in zip(figures, kinds, base, strict=True):
                value = quantile(_samples(timed, kind), share) - direct_value
                (figure.our_samples if system.name == "Ringback" else figure.peer_samples).append(value)
                added.append(value)
            log(f"    latency added by {system.name}: p50 {added[2]:.2f} ms, p99 {added[3]:.2f} ms to the 200")
    return figures


def _samples(latencies: Latencies, kind: str) -> list[float]:
    return latencies.ringing if kind == "180" else latencies.answered


def _timed_load(target: int, options: Options, users: Path, caller: int, answerer: int, label: str) -> Latencies:
    """sipp's load on `target` with the probe in the middle of it; run again, at most 5 times, when a call was lost."""
    directory = options.work / "row1" / label
    rate = LOAD_RATE - PROBE_RATE
    problem = ""
    for _ in range(5):
        answering = Answerer(directory, answerer)
        try:
            load = sipp.Caller(
                "uac.xml",
                directory,
                target=target,
                port=caller,
                users=users,
                rate=rate,
                count=int(rate * (options.latency_seconds + 2)),
            )
            with load.child:
                load.child.wait_until(load.statistics.exists, 10, "statistics")
                probe = Probe(None if target == answerer else target)
                try:
                    found = probe.run(PROBE_RATE, options.latency_seconds)
                finally:
                    probe.close()
                made = load.finish()
        finally:
            answered = answering.finish()
        void = Load(0, made.failed, made.retransmissions + answered.retransmissions, 0).void()
        problem = void or (f"{found.lost()} calls of the probe unanswered" if found.lost() else "")
        if not problem:
            return found
    raise BenchError(f"latency of {label}: five void rounds, the last with {problem}")
