"""`ringback bindings`: who is registered, and where. Works on the file, too, when no server runs."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Annotated, Any

import typer

from ringback.cli.common import Config, Data, Place, place_of
from ringback.errors import ConfigurationError, RingbackError

__all__ = ["bindings"]

#: Bindings that are listed at a time.
MOST = 10_000
#: Characters of a line where lines are for programs.
UNFOLDED = 100_000


def bindings(
    aor: Annotated[str, typer.Argument(help="An address of record, such as alice@example.org; else all.")] = "",
    domain: Annotated[str, typer.Option("--domain", help="The domain of an AOR without one.")] = "",
    data: Data = None,
    config: Config = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the bindings of the AOR.")] = False,
    contact: Annotated[str, typer.Option("--contact", help="With --remove: only the binding of this contact.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List who is registered where, or remove bindings."""
    place = place_of(domain, data, config, needs_domain=False)
    key = _key(aor, place)
    if remove:
        asyncio.run(_remove(place, key, contact))
    elif contact:
        raise ConfigurationError("--contact goes with --remove only")
    else:
        _print(asyncio.run(_list(place, key)), as_json)


def _key(aor: str, place: Place) -> str:
    """The address of record as the store has it: user@domain."""
    text = aor.partition(":")[2] if aor.startswith(("sip:", "sips:")) else aor
    if text and "@" not in text:
        if not place.domain:
            raise ConfigurationError(f"{aor!r} has no domain: give it as user@domain, or with --domain")
        return f"{text}@{place.domain}"
    user, _, domain = text.rpartition("@")
    return f"{user}@{domain.lower()}" if text else ""


async def _list(place: Place, key: str) -> dict[str, Any]:
    from ringback.server.bindings import shown_bindings
    from ringback.server.control import ask

    answer = await ask(place.control, "bindings", aor=key)
    if answer is None:
        async with place.opened("inspect") as store:
            answer = await shown_bindings(store.location, key, time.time(), MOST)
    found: dict[str, Any] = answer
    return found


async def _remove(place: Place, key: str, contact: str) -> None:
    from ringback.server.control import ask

    if not key:
        raise ConfigurationError("which address of record? ringback bindings alice@example.org --remove")
    count = await ask(place.control, "remove", aor=key, contact=contact)
    if count is None:
        raise RingbackError(f"no server runs on {place.data}: bindings can be removed only while one does")
    print(f"removed {count} of {key}")


def _print(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(answer["bindings"], indent=2))
        if answer["more"]:
            print(f"ringback: there are more: the first {MOST} are shown", file=sys.stderr)
        return
    from rich.console import Console
    from rich.table import Table

    if not answer["bindings"]:
        print("no bindings")
        return
    table = Table(box=None, pad_edge=False)
    for title in ("ADDRESS OF RECORD", "CONTACT", "EXPIRES", "REACHED AT", "USER AGENT"):
        table.add_column(title, overflow="fold")
    for row in answer["bindings"]:
        reached = row["received"] or (f"by {len(row['path'])} hops" if row["path"] else "")
        table.add_row(*map(_plain, (row["aor"], row["contact"], f"{row['seconds']} s", reached, row["user_agent"])))
    # Where nobody looks (a pipe) nothing is folded.
    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else UNFOLDED)
    console.print(table)
    if answer["more"]:
        print(f"… and more: the first {MOST} are shown")


def _plain(text: str) -> str:
    """Text from the network without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
