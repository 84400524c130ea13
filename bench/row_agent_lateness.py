"""Row 15: how late frames are with a hundred calls in one process. No peer: what counts is the beat of 20 ms.

Our agent answers the calls of another process; both say speech in G.711. Two moments of each beat are looked at: its
beginning (`Ticker.lateness`), and its end, when the last frame of the last call has been sent. A process that waits for
a core is late through no fault of its own: how long it waited stands beside the figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.agents import Agent, make_speech
from bench.figures import Figure
from bench.options import Options
from bench.process import BenchError
from bench.row_agent_media import SETTLE, problem_of

BEAT_MS = 20.0


def run(sides: Sequence[str], options: Options, log: Callable[[str], None]) -> list[Figure]:
    """The beginning and the end of beats, p99 of each round."""
    if "ours" not in sides:
        return []
    directory = options.work / "row15"
    speech = make_speech(directory / "speech.wav", 8000, 1, 20)
    far_port, port = options.ports(2)
    far = Agent(directory / "far", far_port, "process", pure=options.pure, play=speech)
    agent = Agent(directory / "ringback", port, "process", pure=options.pure, play=speech)
    crowd = options.crowd
    begin = Figure(15, f"p99 of how late a beat begins, {crowd} calls in a process", "ms", "", limit=BEAT_MS)
    end = Figure(15, "the same, of when its last frame is sent", "ms", "", limit=BEAT_MS)
    beats = skipped = 0
    longest = 0.0
    shares: list[float] = []
    waits: list[float] = []
    void: list[str] = []
    try:
        far.start()
        agent.start()
        while len(begin.our_samples) < options.rounds:
            far.ask("talk", 60, target=f"sip:bench@127.0.0.1:{port}", count=crowd)
            try:
                time.sleep(SETTLE)
                agent.ask("watch")
                far.ask("listen")
                before, waited = agent.cpu(), agent.waited()
                time.sleep(options.talk_seconds)
                used, waited = agent.cpu() - before, agent.waited() - waited
                found = agent.ask("lateness")
                quality = far.ask("quality")
            finally:
                far.ask("hang_up")
            # What is late counts as lost at the far end: that is the result here, and voids nothing.
            problem = problem_of({**quality, "loss": 0.0}, crowd)
            if problem:
                void.append(problem)
                log(f"    void, {problem}")
                if len(void) > 2 * options.rounds:
                    raise BenchError(f"too many void rounds, the last with {problem}")
                continue
            begin.our_samples.append(found["begin"]["p99"])
            end.our_samples.append(found["end"]["p99"])
            beats += found["beats"]
            skipped += found["skipped"]
            longest = max(longest, found["end"]["max"])
            shares.append(used / options.talk_seconds)
            waits.append(waited / options.talk_seconds)
            log(
                f"    round {len(shares)}: begins p50 {found['begin']['p50']:.2f}, p99 {found['begin']['p99']:.2f} ms; "
                f"ends p50 {found['end']['p50']:.2f}, p99 {found['end']['p99']:.2f} ms; {found['skipped']} skipped; "
                f"{shares[-1]:.0%} CPU, {waits[-1]:.0%} waiting for a core; loss {quality['loss']:.1%}"
            )
    finally:
        agent.stop()
        far.stop()
    begin.notes.append(f"{skipped} of {beats} beats skipped; the process used {max(shares):.0%} of a core at most")
    end.notes.append(
        f"{longest:.1f} ms at most; rounds in order, with the share of time that the process waited for a core: "
        + ", ".join(f"{late:.1f} ms ({wait:.0%})" for late, wait in zip(end.our_samples, waits, strict=True))
    )
    begin.notes += [f"{len(void)} void rounds run again ({void[0]})"] if void else []
    return [begin, end]
