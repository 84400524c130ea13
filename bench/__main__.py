"""Command line: ``python -m bench [--rows 1,3,4,5,13,14,15] [--rounds N] [--quick] [--out build/bench]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from bench import (
    report,
    row_agent_calls,
    row_agent_lateness,
    row_agent_media,
    row_calls,
    row_memory,
    row_parse,
    row_register,
)
from bench.figures import Figure
from bench.options import Options
from bench.process import BenchError
from bench.systems import Kamailio, Ringback, System

N = TypeVar("N", int, float)
ROWS = (1, 3, 4, 5, 13, 14, 15)


def parse(arguments: Sequence[str] | None) -> Options:
    """The options of the command line; --quick fills in what was not given."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Ringback and real peers, side by side.")
    parser.add_argument("--rows", default=",".join(map(str, ROWS)), help="rows of the table, by number")
    parser.add_argument("--rounds", type=int, help="rounds of each system (5)")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="where the report and the logs go")
    parser.add_argument("--side", choices=("both", "ours", "peer"), default="both", help="measure only one of the two")
    parser.add_argument("--base-port", type=int, help="first port to try (any free ones)")
    parser.add_argument("--calls", type=int, help="calls a round (15000)")
    parser.add_argument("--call-rate", type=int, help="calls a second (1000)")
    parser.add_argument("--registers", type=int, help="REGISTER requests a round (20000)")
    parser.add_argument("--register-rate", type=int, help="REGISTER requests a second (2000)")
    parser.add_argument("--durable-registers", type=int, help="the same where each is committed to disk (4000)")
    parser.add_argument("--durable-rate", type=int, help="the same where each is committed to disk (400)")
    parser.add_argument("--latency-seconds", type=int, help="seconds of each latency measurement (15), 0: none")
    parser.add_argument("--bindings", type=int, help="bindings in memory (1000000)")
    parser.add_argument("--parses", type=int, help="messages parsed a round (20000)")
    parser.add_argument("--agent-calls", type=int, help="calls of user agents without media a round (3000)")
    parser.add_argument("--agent-rate", type=int, help="the same a second (150)")
    parser.add_argument("--talks", type=int, help="calls with media at a time (10)")
    parser.add_argument("--talk-seconds", type=float, help="seconds of each round of them (10)")
    parser.add_argument("--crowd", type=int, help="calls in one process whose beat is watched (100)")
    parser.add_argument("--pure", action="store_true", help="our side interpreted, without its compiled modules")
    parser.add_argument("--quick", action="store_true", help="1 round and little work: a look, not a measurement")
    given = parser.parse_args(arguments)
    rows = tuple(int(row) for row in given.rows.split(",") if row)
    if unknown := set(rows) - set(ROWS):
        parser.error(f"no such rows: {sorted(unknown)}; there are {ROWS}")

    def size(value: N | None, full: N, quick: N) -> N:
        return value if value is not None else quick if given.quick else full

    return Options(
        rows=rows,
        rounds=size(given.rounds, 5, 1),
        out=given.out.absolute(),
        base_port=given.base_port,
        sides=("peer", "ours") if given.side == "both" else (given.side,),
        calls=size(given.calls, 15000, 2000),
        call_rate=size(given.call_rate, 1000, 500),
        registers=size(given.registers, 20000, 4000),
        register_rate=size(given.register_rate, 2000, 1000),
        durable_registers=size(given.durable_registers, 4000, 800),
        durable_rate=size(given.durable_rate, 400, 400),
        latency_seconds=size(given.latency_seconds, 15, 3),
        bindings=size(given.bindings, 1_000_000, 50_000),
        parses=size(given.parses, 20_000, 2_000),
        agent_calls=size(given.agent_calls, 3000, 300),
        agent_rate=size(given.agent_rate, 150, 100),
        talks=size(given.talks, 10, 4),
        talk_seconds=size(given.talk_seconds, 10.0, 3.0),
        crowd=size(given.crowd, 100, 20),
        pure=given.pure,
    )


def calls(options: Options) -> list[Figure]:
    """Row 1 on systems started for it."""
    ports = options.ports(2)
    systems: list[System] = []
    if "peer" in options.sides:
        systems.append(Kamailio(options.work / "row1" / "kamailio", ports[0]))
    if "ours" in options.sides:
        systems.append(Ringback(options.work / "row1" / "ringback", ports[1], pure=options.pure))
    try:
        return row_calls.run(systems, options, log)
    finally:
        for system in systems:
            system.stop()


def log(text: str) -> None:
    """Progress, on standard error."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rows and write the report; 1 when a row could not be measured."""
    options = parse(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    rows: dict[int, tuple[str, Callable[[], list[Figure]]]] = {
        1: ("complete calls", lambda: calls(options)),
        3: ("REGISTER", lambda: row_register.run(options.sides, options, log)),
        4: ("memory of a binding", lambda: row_memory.run(options.sides, options, log)),
        5: ("parsing", lambda: row_parse.run(options.sides, options, log)),
        13: ("calls of a user agent", lambda: row_agent_calls.run(options.sides, options, log)),
        14: ("calls with media", lambda: row_agent_media.run(options.sides, options, log)),
        15: ("lateness of frames", lambda: row_agent_lateness.run(options.sides, options, log)),
    }
    figures: list[Figure] = []
    problems: list[str] = []
    for number in options.rows:
        title, measure = rows[number]
        log(f"row {number}: {title}")
        try:
            figures += measure()
        except BenchError as error:
            problems.append(f"row {number} ({title}): {error}")
            log(f"  not measured: {error}")
    facts = report.facts(options)
    print(report.text(figures, facts, problems))
    report.write(options.out, figures, facts, problems)
    log(f"written: {options.out}/report.md, report.json, report.svg")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
