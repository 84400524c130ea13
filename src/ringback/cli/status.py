"""`ringback status`: how a running server is."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

import typer

from ringback.cli.common import Config, Data, place_of
from ringback.errors import RingbackError

__all__ = ["status"]


def status(
    data: Data = None,
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how the server is that runs on a data folder."""
    from ringback.server.control import ask

    place = place_of("", data, config, needs_domain=False)
    answer = asyncio.run(ask(place.control, "status"))
    if answer is None:
        raise RingbackError(f"no server runs on {place.data}")
    if as_json:
        print(json.dumps(answer, indent=2))
        return
    for name, value in lines(answer):
        print(f"{name:<14}{value}")


def lines(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """What people read of an answer: titles and values."""
    values = answer["values"]
    form = "compiled" if answer["compiled"] else "interpreted"
    requests = {method: int(count) for method, count in values["requests"].items() if count}
    shown = [
        ("state", f"{answer['state']} for {_duration(answer['seconds'])} (process {answer['pid']})"),
        ("version", f"{answer['version']}, Python {answer['python']}, {form}"),
        ("domains", ", ".join(answer["domains"])),
        ("listening", ", ".join(answer["listening"])),
        ("metrics", f"{answer['web']}/metrics" if answer["web"] else "none"),
        ("data", answer["data"]),
        ("accounts", f"{values['accounts']:.0f}"),
        ("registered", f"{values['registered_addresses']:.0f} addresses of record"),
        ("connections", f"{values['connections']:.0f}"),
        (
            "transactions",
            f"{values['transactions']['server']:.0f} server, {values['transactions']['client']:.0f} client",
        ),
        ("requests", ", ".join(f"{count} {method}" for method, count in requests.items()) or "none"),
        ("dropped", f"{values['dropped_messages']:.0f} messages; {values['undelivered_messages']:.0f} not delivered"),
        ("worst lag", f"{answer['worst_lag'] * 1000:.0f} ms"),
    ]
    if values["task_crashes"]:
        shown.append(("crashes", f"{values['task_crashes']:.0f} of background tasks: see the log"))
    if answer["watchers"]:
        shown.append(("traced by", str(answer["watchers"])))
    return shown


def _duration(seconds: float) -> str:
    """Seconds as people say them: "3 h 5 min"."""
    total = int(seconds)
    for size, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if total >= size:
            return f"{total // size} {name} {total % size // smaller} {smaller_name}"
    return f"{total} s"
