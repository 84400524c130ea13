"""Agents and phones for the interop tests of user agents, and what these tests have proved.

That goes into build/interop-ua.json, from which scripts/interop_table.py makes docs/interop.md.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.ua import features

RESULTS = Path(__file__).resolve().parents[3] / "build" / "interop-ua.json"
PROVES = "proves(peer, feature, direction): what of features.py the test shows; {name} stands for a parameter"
_outcomes = pytest.StashKey[dict[str, dict[str, Any]]]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", PROVES)
    config.stash.setdefault(_outcomes, {})


def proofs(item: pytest.Item) -> list[list[str]]:
    """What a test proves, with the values of its parameters put in. LookupError for what no table has."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    known = {feature.name: feature for feature in features.FEATURES}
    found = []
    for marker in item.iter_markers("proves"):
        peer, name, direction = (str(part).format(**parameters) for part in marker.args)
        if peer not in known[name].peers or direction not in (features.OURS, features.THEIRS):
            raise LookupError(f"{item.nodeid}: no place for {peer}, {name}, {direction}")
        if (peer, name, direction) in features.IMPOSSIBLE:
            raise LookupError(f"{item.nodeid}: {peer}, {name}, {direction} is said to be impossible")
        found.append([peer, name, direction])
    return found


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note all tests that prove something: one that is stopped before its turn has no outcome."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and (shown := proofs(item)):
            config.stash[_outcomes][item.nodeid] = {"test": item.nodeid, "proves": shown, "outcome": "", "reason": ""}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the outcome of each: failed when any of its phases failed."""
    report = yield
    entry = item.config.stash[_outcomes].get(item.nodeid)
    if entry is not None and entry["outcome"] != "failed":
        if report.when == "call" or report.outcome != "passed":
            entry["outcome"] = report.outcome
        if report.skipped and isinstance(report.longrepr, tuple):
            entry["reason"] = report.longrepr[2].removeprefix("Skipped: ")
        elif report.failed and call.excinfo is not None:
            entry["reason"] = f"{call.excinfo.typename}: {call.excinfo.value}".splitlines()[0][:200]
        entry["seconds"] = round(entry.get("seconds", 0.0) + report.duration, 2)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what this run has shown, with the versions of the peers and what there is to show."""
    entries = session.config.stash[_outcomes]
    if not entries or session.config.option.collectonly:
        return
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "versions": {peer: features.version(peer) for peer in features.PEERS},
        "features": [feature._asdict() for feature in features.FEATURES],
        "impossible": [[*place, why] for place, why in features.IMPOSSIBLE.items()],
        "tests": list(entries.values()),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
