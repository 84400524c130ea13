"""Bindings as people read them."""

from typing import Any

import pytest

from ringback.server.bindings import shown_bindings
from ringback.store import MemoryStore
from tests.store.rows import FULL_ROW, NOW, row, rows


@pytest.fixture
def location() -> Any:
    return MemoryStore().location


async def test_every_member(location: Any) -> None:
    await location.replace("alice@example.org", (FULL_ROW,), (), NOW)
    assert await shown_bindings(location, "alice@example.org", NOW + 0.1, 1) == {
        "bindings": [
            {
                "aor": "alice@example.org",
                "contact": FULL_ROW.contact,
                "seconds": 3600,
                "q": 0.7,
                "received": FULL_ROW.received,
                "path": list(FULL_ROW.path),
                "user_agent": FULL_ROW.user_agent,
                "instance": FULL_ROW.instance,
            }
        ],
        "more": False,
    }


async def test_of_one_address(location: Any) -> None:
    await location.replace("alice@a.example", (row("sip:b@h", 10), row("sip:a@h", 20)), (), NOW)
    await location.replace("bob@a.example", rows("sip:c@h"), (), NOW)
    shown = await shown_bindings(location, "alice@a.example", NOW + 15, 10)
    assert [(entry["contact"], entry["seconds"]) for entry in shown["bindings"]] == [("sip:a@h", 5)]
    assert await shown_bindings(location, "carol@a.example", NOW, 10) == {"bindings": [], "more": False}


@pytest.mark.parametrize(("most", "more"), [(4, False), (3, True), (2, True), (0, True)])
async def test_of_all(location: Any, most: int, more: bool) -> None:
    """In order, whether or not they are all shown; which ones are left out is nobody's promise."""
    everything = {"carol@a": ("sip:z@h", "sip:a@h"), "alice@a.example": ("sip:x@h",), "bob@b": ("sip:y@h",)}
    for aor, contacts in everything.items():
        await location.replace(aor, rows(*contacts), (), NOW)
    await location.replace("dave@a.example", (row("sip:d@h", 1),), (), NOW)
    shown = await shown_bindings(location, "", NOW + 2, most)
    pairs = [(entry["aor"], entry["contact"]) for entry in shown["bindings"]]
    assert (len(pairs), shown["more"]) == (min(most, 4), more)
    assert pairs == sorted(pairs)
    assert set(pairs) <= {(aor, contact) for aor, contacts in everything.items() for contact in contacts}
