"""Row 13: complete scripted calls of a user agent, in both roles, against sipp in the same role, with the same far end.

No sound: descriptions are fixed on both sides. What sipp does is less, as it knows nothing but its script: no
transaction outlives a call, nothing is checked, no route is looked up. It is the floor of what a call can cost here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import sipp
from bench.agents import Agent, SippAnswers, SippCalls
from bench.figures import Figure
from bench.options import Options
from bench.rounds import fill, interleave
from bench.sipp import Answerer, Load
from bench.systems import System
from bench.users import write_users

IDLE_SECONDS = 2.0


def run(sides: Sequence[str], options: Options, log: Callable[[str], None]) -> list[Figure]:
    """Called, calling, and called with the sound of a real call set up (ours alone)."""
    directory = options.work / "row13"
    users = directory / "users.csv"
    write_users(users, 1)
    return [
        _called(sides, options, directory / "called", users, log),
        _calling(sides, options, directory / "calling", users, log),
        *(_with_media(options, directory / "media", users, log) if "ours" in sides else []),
    ]


def _called(sides: Sequence[str], options: Options, directory: Path, users: Path, log: Callable[[str], None]) -> Figure:
    log("  called by sipp")
    caller, *ports = options.ports(3)
    systems: list[System] = []
    if "peer" in sides:
        systems.append(SippAnswers(directory / "sipp", ports[0]))
    if "ours" in sides:
        systems.append(Agent(directory / "ringback", ports[1], pure=options.pure))
    figure = Figure(13, "user agent, called, complete call without media", "µs CPU", "sipp")
    try:
        for system in systems:
            system.start()
        fill(figure, interleave(systems, _caller(options, directory, users, caller), options.rounds, log))
        for system in systems:
            figure.notes.append(_idle(system, options.agent_rate))
    finally:
        for system in systems:
            system.stop()
    return figure


def _caller(options: Options, directory: Path, users: Path, port: int) -> Callable[[System, int], tuple[Load, int]]:
    """A round of calls by sipp."""

    def one_round(system: System, index: int) -> tuple[Load, int]:
        count = _count(options, index)
        load = sipp.Caller(
            "uac.xml",
            directory / f"{system.name}-{index}",
            target=system.port,
            port=port,
            users=users,
            rate=options.agent_rate,
            count=count,
        ).finish()
        return load, count

    return one_round


def _calling(
    sides: Sequence[str], options: Options, directory: Path, users: Path, log: Callable[[str], None]
) -> Figure:
    log("  calling sipp")
    answerer, *ports = options.ports(3)
    systems: list[SippCalls | Agent] = []
    if "peer" in sides:
        systems.append(SippCalls(directory / "sipp", ports[0], users))
    if "ours" in sides:
        systems.append(Agent(directory / "ringback", ports[1], pure=options.pure))

    def one_round(system: SippCalls | Agent, index: int) -> tuple[Load, int]:
        count = _count(options, index)
        place = directory / f"{system.name}-{index}"
        answering = Answerer(place, answerer)
        try:
            made = system.place(answerer, options.agent_rate, count, place)
        finally:
            answered = answering.finish()
        load = Load(
            made.successful,
            made.failed + answered.failed,
            made.retransmissions + answered.retransmissions,
            made.seconds,
            made.problem,
        )
        return load, count

    figure = Figure(13, "user agent, calling, complete call without media", "µs CPU", "sipp")
    try:
        for system in systems:
            system.start()
        fill(figure, interleave(systems, one_round, options.rounds, log))
    finally:
        for system in systems:
            system.stop()
    if "peer" in sides:
        figure.notes.append("sipp: the start of its process, once a round, is included")
    return figure


def _with_media(options: Options, directory: Path, users: Path, log: Callable[[str], None]) -> list[Figure]:
    """What the media of the process add: negotiation, sockets, five packets each way."""
    log("  called by sipp, with media")
    caller, port = options.ports(2)
    agent = Agent(directory / "ringback", port, "process", pure=options.pure)
    figure = Figure(13, "the same, called, with media set up and sent for 100 ms", "µs CPU", "")
    try:
        agent.start()
        fill(figure, interleave([agent], _caller(options, directory, users, caller), options.rounds, log))
    finally:
        agent.stop()
    return [figure]


def _count(options: Options, index: int) -> int:
    return options.agent_calls if index >= 0 else max(options.agent_calls // 3, 50)


def _idle(system: System, rate: int) -> str:
    """What a system costs that does nothing, which counts the more for a call the fewer there are."""
    before = system.cpu()
    time.sleep(IDLE_SECONDS)
    idle = (system.cpu() - before) / IDLE_SECONDS
    return f"{system.name}: {idle * 1e3:.0f} ms a second when idle, which is {idle / rate * 1e6:.0f} µs of each call"
