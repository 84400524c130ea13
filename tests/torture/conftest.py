"""After a run, the table of the torture messages with what the run made of each."""

import pytest

from tests.torture.verdicts import TITLE, VERDICTS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Reports carry no parameters: note the message that a test is about."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "verdict" in callspec.params:
            item.user_properties.append(("torture", callspec.params["verdict"].name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each message of which a test has run: ok when all tests about it have passed."""
    passed: dict[str, bool] = {}
    for kind in ("passed", "failed", "error"):
        for report in terminalreporter.getreports(kind):
            for key, name in getattr(report, "user_properties", ()):
                if key == "torture":
                    passed[name] = passed.get(name, True) and kind == "passed"
    if not passed:
        return
    terminalreporter.section("torture messages")
    terminalreporter.write_line(TITLE)
    for verdict in VERDICTS:
        if verdict.name in passed:
            terminalreporter.write_line(f"{'ok  ' if passed[verdict.name] else 'FAIL'} {verdict}")
    shown = [verdict.rfc_number for verdict in VERDICTS if verdict.name in passed]
    terminalreporter.write_line(f"{shown.count(4475)} of RFC 4475 + {shown.count(5118)} of RFC 5118")
