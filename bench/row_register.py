"""Row 3: REGISTER in memory, with digest, and durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import sipp
from bench.figures import Figure
from bench.options import Options
from bench.process import BenchError
from bench.rounds import interleave
from bench.sipp import Load
from bench.systems import Kamailio, Ringback, System
from bench.users import register, write_users

DIGEST_USERS = 50
DIGEST_PASSWORD = "bench-password"  # the peer's configuration knows it too


@dataclass(frozen=True)
class _Variant:
    name: str
    work: str
    scenario: str
    users: int
    count: int
    rate: int
    goal: float


def run(sides: Sequence[str], options: Options, log: Callable[[str], None]) -> list[Figure]:
    """Measure the three variants one after the other; each starts its own systems and stops them."""
    fast, fast_rate = options.registers, options.register_rate
    slow, slow_rate = options.durable_registers, options.durable_rate
    variants = (
        _Variant("memory", "REGISTER, location in memory (db_mode 0)", "register.xml", 1000, fast, fast_rate, 1.0),
        _Variant(
            "digest",
            "REGISTER, 401, REGISTER with digest (db_mode 0, auth)",
            "register_digest.xml",
            DIGEST_USERS,
            fast // 2,
            fast_rate // 2,
            1.0,
        ),
        _Variant(
            "durable",
            "REGISTER, committed before the 200 (db_mode 1, SQLite)",
            "register.xml",
            1000,
            slow,
            slow_rate,
            3.0,
        ),
    )
    figures = []
    for variant in variants:
        try:
            figures.append(_variant(variant, sides, options, log))
        except BenchError as error:
            log(f"    not measured: {error}")
            figures.append(Figure(3, variant.work, "µs CPU", "Kamailio", notes=[f"NOT MEASURED: {error}"]))
    return figures


def _variant(variant: _Variant, sides: Sequence[str], options: Options, log: Callable[[str], None]) -> Figure:
    log(f"  {variant.work}")
    directory = options.work / f"row3-{variant.name}"
    users = directory / "users.csv"
    names = write_users(users, variant.users, DIGEST_PASSWORD if variant.name == "digest" else "")
    sender, answerer, *ports = options.ports(4)
    systems: list[System] = []
    if "peer" in sides:
        systems.append(Kamailio(directory / "kamailio", ports[0], variant.name))
    if "ours" in sides:
        systems.append(Ringback(directory / "ringback", ports[1], variant.name, pure=options.pure))

    def one_round(system: System, index: int) -> tuple[Load, int]:
        count = variant.count if index >= 0 else max(variant.count // 5, variant.users)
        load = sipp.Caller(
            variant.scenario,
            directory / f"{system.name}-{index}",
            target=system.port,
            port=sender,
            users=users,
            rate=variant.rate,
            count=count,
            keys={"answer_port": str(answerer)},
        ).finish()
        return load, count

    figure = Figure(3, variant.work, "µs CPU", "Kamailio", goal=variant.goal)
    try:
        for system in systems:
            if variant.name == "digest" and isinstance(system, Ringback):
                system.add_users(names, DIGEST_PASSWORD)
                system.resume()
            else:
                system.start()
            if variant.name != "digest":
                register(system, users, variant.users, port=sender, answer_port=answerer, rate=min(500, variant.rate))
        found = interleave(systems, one_round, options.rounds, log)
    finally:
        for system in systems:
            system.stop()
    for system in systems:
        rounds = found[system.name]
        samples = figure.our_samples if isinstance(system, Ringback) else figure.peer_samples
        samples += rounds.microseconds
        if rounds.void:
            figure.notes.append(f"{system.name}: {len(rounds.void)} void rounds run again ({rounds.void[0]})")
        if variant.name == "durable" and isinstance(system, Kamailio):
            figure.notes += _lost_writes(system, variant.users)
    return figure


def _lost_writes(system: Kamailio, users: int) -> list[str]:
    """Kamailio answers 200 even when its database refused the write: count the rows, so that the comparison is fair."""
    with sqlite3.connect(system.directory / "location.sqlite") as connection:
        rows = connection.execute("SELECT count(*) FROM location").fetchone()[0]
    connection.close()
    if rows > users:
        raise BenchError(f"{rows} rows in Kamailio's table for {users} users: the load is not what it should be")
    errors = system.directory.joinpath("kamailio.log").read_text(errors="replace").count("database is locked")
    return [f"Kamailio: {rows} of {users} users in its table afterwards, {errors} writes refused as locked"]
