"""The report: for the terminal, as Markdown, as JSON with every sample, and as a chart."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.agents import Baresip
from bench.chart import svg
from bench.figures import Figure, summary
from bench.options import Options
from bench.process import BenchError
from bench.systems import Kamailio, Ringback

TITLE = "Ringback and its peers, side by side"
HEADINGS = ("row", "work", "unit", "peer: min / median / max", "ours: min / median / max", "ratio", "goal")


def facts(options: Options) -> dict[str, str]:
    """Versions, machine and size of the work."""
    found = {
        "time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "machine": f"{os.cpu_count()} × {_processor()}, {_memory_gib():.0f} GiB",
        "system": f"Linux {platform.release()}, Python {platform.python_version()}",
        "kamailio": _version(Kamailio(options.work, 0).version),
        "sipp": _version(_sipp_version),
        "baresip": _version(Baresip.version),
        "work": f"{options.rounds} rounds of {options.calls:,} calls at {options.call_rate}/s, {options.registers:,} "
        f"REGISTER at {options.register_rate}/s, {options.durable_registers:,} durable at {options.durable_rate}/s",
        "work of user agents": f"{options.agent_calls:,} calls at {options.agent_rate}/s, {options.talks} calls with "
        f"media for {options.talk_seconds:g} s, {options.crowd} at once",
    }
    if "ours" in options.sides:
        found["ringback"] = _version(Ringback(options.work, 0, pure=options.pure).version)
    return found


def text(figures: Sequence[Figure], facts_found: Mapping[str, str], problems: Sequence[str]) -> str:
    """The report as a table of plain text."""
    rows = [HEADINGS, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += ["", *(f"{figure.work}: {note}" for figure in figures for note in figure.notes)]
    lines += ["", *(f"{name}: {value}" for name, value in facts_found.items())]
    lines += [f"NOT MEASURED: {problem}" for problem in problems]
    return "\n".join(lines)


def markdown(figures: Sequence[Figure], facts_found: Mapping[str, str], problems: Sequence[str]) -> str:
    """The report as Markdown."""
    lines = [f"# {TITLE}", "", "Less is better in both columns; ratio = median of the peer ÷ median of ours.", ""]
    lines += ["![ratios](report.svg)", "", f"| {' | '.join(HEADINGS)} |", "|" + " --- |" * len(HEADINGS)]
    lines += [f"| {' | '.join(_cells(figure))} |" for figure in figures]
    if notes := [f"- {figure.work}: {note}" for figure in figures for note in figure.notes]:
        lines += ["", "## Notes", "", *notes]
    if problems:
        lines += ["", "## Not measured", "", *(f"- {problem}" for problem in problems)]
    lines += ["", "## Where and with what", "", *(f"- {name}: {value}" for name, value in facts_found.items())]
    lines += [
        "",
        "CPU is user plus system time of all processes and threads of the server, divided by operations. "
        "Loopback hides network cards and interrupts; quote ratios of one run, not times.",
    ]
    return "\n".join(lines) + "\n"


def write(out: Path, figures: Sequence[Figure], facts_found: Mapping[str, str], problems: Sequence[str]) -> None:
    """Write report.md, report.json and report.svg into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(markdown(figures, facts_found, problems))
    (out / "report.svg").write_text(svg(figures, TITLE))
    document = {
        "facts": dict(facts_found),
        "figures": [figure.as_json() for figure in figures],
        "problems": list(problems),
    }
    (out / "report.json").write_text(json.dumps(document, indent=2) + "\n")


def _cells(figure: Figure) -> tuple[str, ...]:
    ratio = figure.ratio()
    goal = "" if figure.goal is None else f"≥ {figure.goal:g}"
    if figure.limit is not None:
        goal = f"≤ {figure.limit:g} {figure.unit}"
    verdict = {True: " reached", False: " missed", None: ""}[figure.reached()]
    return (
        str(figure.row),
        figure.work + (f" ({figure.peer})" if figure.peer not in ("", "Kamailio") else ""),
        figure.unit,
        _range(figure.peer_samples),
        _range(figure.our_samples),
        "–" if ratio is None else f"{ratio:.2f}",
        goal + verdict,
    )


def _range(samples: Sequence[float]) -> str:
    found = summary(samples)
    if found is None:
        return "–"
    return " / ".join(_number(found[name]) for name in ("min", "median", "max"))


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _version(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except BenchError as error:
        return str(error)


def _sipp_version() -> str:
    if shutil.which("sipp") is None:
        raise BenchError("sipp is not installed")
    output = subprocess.run(["sipp", "-v"], capture_output=True, text=True).stdout
    return next((line.strip() for line in output.splitlines() if line.strip()), "unknown")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
