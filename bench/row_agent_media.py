"""Row 14: calls with speech both ways, G.711 and Opus, 20 ms packets; against baresip, with the same far end.

Our agent and baresip answer in turn the same number of calls of another process, of ours, which says what they say and
sees to it that a round counts: each call is heard, and neither side misses packets. CPU is counted while the calls
last, without setting them up, and divided by calls and seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.agents import Agent, Baresip, Talking, make_speech
from bench.figures import Figure
from bench.options import Options
from bench.process import BenchError, free_ports_in_a_row
from bench.rounds import fill, interleave
from bench.sipp import Load
from bench.systems import System

SETTLE = 3.0
"""Seconds before a round is counted: buffers are filled, and the report of the far end has come."""
MOST_LOSS = 0.01
LEAST_LEVEL = 2000
"""Of the loudest sample of a call in a round."""


@dataclass(frozen=True)
class _Variant:
    codec: str
    rate: int
    channels: int
    work: str


VARIANTS = (
    _Variant("PCMU", 8000, 1, "G.711"),
    _Variant("opus", 48000, 2, "Opus at 48 kHz, 32 kb/s, complexity 5"),
)


def run(sides: Sequence[str], options: Options, log: Callable[[str], None]) -> list[Figure]:
    """One figure a codec."""
    figures = []
    for variant in VARIANTS:
        try:
            figures.append(_variant(variant, sides, options, log))
        except BenchError as error:
            log(f"    not measured: {error}")
            work = f"user agent, second of a call, {variant.work}"
            figures.append(Figure(14, work, "ms CPU", "baresip", notes=[f"NOT MEASURED: {error}"]))
    return figures


def _variant(variant: _Variant, sides: Sequence[str], options: Options, log: Callable[[str], None]) -> Figure:
    log(f"  {variant.work}, {options.talks} calls")
    directory = options.work / f"row14-{variant.codec}"
    # aufile falls silent at the end of a file; each call begins it anew.
    seconds = options.talk_seconds + SETTLE + 20
    ours = make_speech(directory / "speech.wav", variant.rate, 1, 20)
    theirs = make_speech(directory / "speech-long.wav", variant.rate, variant.channels, seconds)
    far_port, *ports = options.ports(3)
    far = Agent(directory / "far", far_port, "process", pure=options.pure, play=ours, codec=variant.codec)
    systems: list[System] = []
    if "peer" in sides:
        media = free_ports_in_a_row(4 * options.talks + 10)
        systems.append(Baresip(directory / "baresip", ports[0], media, theirs, variant.codec, options.talks + 2))
    if "ours" in sides:
        agent = Agent(directory / "ringback", ports[1], "process", pure=options.pure, play=ours, codec=variant.codec)
        systems.append(agent)

    def one_round(talking: Talking, index: int) -> tuple[Load, int]:
        lasting = options.talk_seconds if index >= 0 else 2.0
        far.ask("talk", target=f"sip:bench@127.0.0.1:{talking.system.port}", count=options.talks)
        try:
            time.sleep(SETTLE)
            far.ask("listen")
            passed = talking.count(lasting)
            quality = far.ask("quality")
        finally:
            far.ask("hang_up")
        problem = problem_of(quality, options.talks) if index >= 0 else ""
        return Load(options.talks, 0, 0, passed, problem), round(options.talks * passed * 1000)

    figure = Figure(14, f"user agent, second of a call, {variant.work}", "ms CPU", "baresip")
    try:
        far.start()
        for system in systems:
            system.start()
        found = interleave([Talking(system) for system in systems], one_round, options.rounds, log)
    finally:
        for system in [*systems, far]:
            system.stop()
    # An operation is a millisecond of a call, so that µs an operation are ms a second.
    fill(figure, found)
    figure.notes.append(
        f"{options.talks} calls for {options.talk_seconds:g} s a round, speech both ways, 20 ms a packet"
    )
    return figure


def problem_of(quality: dict[str, float], calls: int) -> str:
    """Why the calls do not count, by what the far end heard and was told; "" when they do."""
    if quality["calls"] != calls:
        return f"{quality['calls']} of {calls} calls"
    if quality["told"] != calls:
        return f"{quality['told']} of {calls} calls with a report of the other side"
    if quality["quietest"] < LEAST_LEVEL:
        return f"a call that is not heard (at most {quality['quietest']:.0f})"
    if quality["loss"] > MOST_LOSS:
        return f"{quality['loss']:.1%} loss"
    return ""
