"""`ringback trace`: watch the messages of a running server as a ladder, with the reason of each decision."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from ringback.cli.common import Config, Data, Place, place_of
from ringback.errors import RingbackError

__all__ = ["trace"]


def trace(
    user: Annotated[str, typer.Option("--user", help="Only messages from, to or for this user (alice or a@b).")] = "",
    call_id: Annotated[str, typer.Option("--call-id", help="Only messages of this call.")] = "",
    raw: Annotated[bool, typer.Option("--raw", help="Print whole messages; credentials are left out.")] = False,
    data: Data = None,
    config: Config = None,
) -> None:
    """Watch messages as they come and go, until Ctrl-C."""
    place = place_of("", data, config, needs_domain=False)
    try:
        seen = asyncio.run(_follow(place, user, call_id, raw))
    except KeyboardInterrupt:
        return
    if not seen:
        raise RingbackError(f"no server runs on {place.data}")


async def _follow(place: Place, user: str, call_id: str, raw: bool) -> bool:
    """Print what comes; False when no server answers."""
    from rich.console import Console

    from ringback.cli.ladder import Ladder
    from ringback.server.control import follow

    console = Console(highlight=False, markup=False, soft_wrap=True)
    ladder = Ladder(console.width if console.is_terminal else 120, ascii_only=not console.encoding.startswith("utf"))
    seen = False
    async for entry in follow(place.control, "trace", user=user, call_id=call_id):
        seen = True
        if "error" in entry:
            raise RingbackError(entry["error"])
        if entry["kind"] == "begin":
            print(f"watching {', '.join(entry['listening'])}; Ctrl-C ends it", file=sys.stderr, flush=True)
            continue
        for line in ladder.lines(entry, raw):
            console.print(line)
    return seen
