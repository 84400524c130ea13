"""docs/architecture.md: its table of imports is the one that the contracts hold, and the modules it names are there."""

import re
from pathlib import Path

from tests.test_contracts import ALLOWED, SOURCE

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
TEXT = PAGE.read_text(encoding="utf-8")


def names(cell: str) -> set[str]:
    """The packages that a cell of the table names; "" is the root."""
    return set(re.findall(r"`([\w.]+)`", cell)) | ({""} if "the root" in cell else set())


def table() -> dict[str, set[str]]:
    """Package to the packages that it may import, as the page has it."""
    rows: dict[str, set[str]] = {}
    body = TEXT.partition("| package | may import |\n")[2].partition("\n\n")[0]
    for line in body.splitlines()[1:]:
        package, allowed = (cell.strip() for cell in line.strip("|").split("|"))
        but = allowed.startswith("everything but")
        rows[names(package).pop()] = set(ALLOWED) - names(allowed) if but else names(allowed)
    return rows


def test_the_table_is_that_of_the_contracts() -> None:
    assert table() == ALLOWED


def test_the_modules_of_sip_are_all_named_and_there() -> None:
    body = TEXT.partition("| section | modules |\n")[2].partition("\n\n")[0]
    named = {name for row in body.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.partition("|")[2])}
    there = {path.stem for path in (SOURCE / "sip").glob("*.py")} - {"__init__"}
    assert named - {"apply"} == there
