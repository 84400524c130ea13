"""The interop marker: a test runs where its peers are, and says what is missing where they are not."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).with_name("conftest.py")


def outcomes(pytester: pytest.Pytester, marker: str) -> pytest.RunResult:
    """The result of one empty test under `marker`, run by a pytest of its own with the conftest of this folder."""
    pytester.makeini("[pytest]\nmarkers =\n    interop: needs a real peer\n")
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(f"import pytest\n\n@pytest.mark.{marker}\ndef test_peer():\n    pass\n")
    return pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider", "-p", "no:asyncio")


def test_a_peer_that_is_there_is_used(pytester: pytest.Pytester) -> None:
    outcomes(pytester, "interop('sh')").assert_outcomes(passed=1)


@pytest.mark.parametrize("peer", ["no-such-peer", "node:no-such-module"])
def test_a_missing_peer_skips_the_test_with_its_name(pytester: pytest.Pytester, peer: str) -> None:
    result = outcomes(pytester, f"interop('sh', '{peer}')")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*not installed: {peer}"])


def test_a_marker_without_a_peer_is_a_mistake(pytester: pytest.Pytester) -> None:
    outcomes(pytester, "interop").assert_outcomes(errors=1)
