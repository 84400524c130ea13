"""Bindings as people read them, from a running server or from its file."""

from __future__ import annotations

from typing import Any

from ringback.store.base import BindingRow, LocationStore

__all__ = ["shown_bindings"]


async def shown_bindings(location: LocationStore, aor: str, now: float, most: int) -> dict[str, Any]:
    """The bindings of `aor` ("alice@example.org"), or of all when it is "", at most `most` of them.

    {"bindings": [{"aor", "contact", "seconds", …}, …], "more": whether there are more}
    """
    found: list[dict[str, Any]] = []
    more = False
    if aor:
        found = [_shown(aor, row, now) for row in await location.bindings(aor, now)]
        return {"bindings": found, "more": False}
    async for key, rows in location.scan(now):
        for row in rows:
            if len(found) < most:
                found.append(_shown(key, row, now))
            else:
                more = True
        if more:
            break
    found.sort(key=lambda binding: (binding["aor"], binding["contact"]))
    return {"bindings": found, "more": more}


def _shown(aor: str, row: BindingRow, now: float) -> dict[str, Any]:
    return {
        "aor": aor,
        "contact": row.contact,
        "seconds": max(0, round(row.expires - now)),
        "q": row.q / 1000,
        "received": row.received,
        "path": list(row.path),
        "user_agent": row.user_agent,
        "instance": row.instance,
    }
