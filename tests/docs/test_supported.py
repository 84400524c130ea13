"""docs/supported.md: what it says is shown by a test is shown by one that is there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "supported.md"
#: Pages whose text may name tests, all the same way.
PAGES = sorted([PAGE, *(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])


@cache
def functions(path: Path) -> frozenset[str]:
    """The names of all test functions in a file, those of classes included."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def references(text: str) -> Iterator[str]:
    """What is written as `path/test_file.py` or `path/test_file.py::test_function`, without or with "tests/"."""
    for quoted in re.findall(r"`([^`\n]+)`", text):
        if re.fullmatch(r"[\w/]*test_\w+\.py(?:::\w+)?", quoted):
            yield quoted.removeprefix("tests/")


def missing(reference: str) -> str:
    """What is wrong with a reference, "" for nothing."""
    name, _, function = reference.partition("::")
    path = ROOT / "tests" / name
    if not path.is_file():
        return f"there is no tests/{name}"
    if function and function not in functions(path):
        return f"tests/{name} has no {function}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    wrong = [missing(reference) for reference in references(page.read_text(encoding="utf-8"))]
    assert [line for line in wrong if line] == []


def test_what_is_no_reference_and_what_is_a_wrong_one() -> None:
    text = (
        "`tests/test_errors.py` `test_errors.py::test_the_families` `test_errors.py::test_none` `sip/test_no.py` `x.py`"
    )
    found = list(references(text))
    assert found == [
        "test_errors.py",
        "test_errors.py::test_the_families",
        "test_errors.py::test_none",
        "sip/test_no.py",
    ]
    assert [missing(reference) for reference in found] == [
        "",
        "",
        "tests/test_errors.py has no test_none",
        "there is no tests/sip/test_no.py",
    ]


def test_every_line_says_how_it_stands_and_what_shows_it() -> None:
    """Nothing may be claimed with a yes and no proof."""
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 100
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        if cells[0] in ("RFC", "what") or set(row) <= set("| -"):
            continue
        state, proof = cells[-2], cells[-1].removesuffix("|").strip()
        assert state, row
        assert proof or state.startswith("no"), row


def anchors(page: Path) -> set[str]:
    """What a link can name behind its #: the headings, as they are written in addresses."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)(?:#([\w-]+))?\)", page.read_text(encoding="utf-8")):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}#{anchor}"
