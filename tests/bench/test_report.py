"""The report says what was compared, and with what; a figure without a peer has no ratio but may have a limit."""

from __future__ import annotations

from bench import chart, report
from bench.figures import Figure

AGAINST_SIPP = Figure(13, "called", "µs CPU", "sipp", [100.0, 120.0, 140.0], [240.0, 200.0, 300.0])
ALONE = Figure(15, "late", "ms", "", our_samples=[3.0, 4.0, 25.0], limit=20.0)


def test_a_row_names_its_peer_unless_there_is_none() -> None:
    lines = report.markdown([AGAINST_SIPP, ALONE], {}, []).splitlines()
    assert "| 13 | called (sipp) | µs CPU | 100 / 120 / 140 | 200 / 240 / 300 | 0.50 |  |" in lines
    assert "| 15 | late | ms | – | 3.00 / 4.00 / 25.0 | – | ≤ 20 ms reached |" in lines


def test_the_chart_shows_only_what_has_a_ratio() -> None:
    drawn = chart.svg([AGAINST_SIPP, ALONE], "title")
    assert "13  called (sipp)" in drawn
    assert "late" not in drawn


def test_what_was_not_measured_is_told() -> None:
    text = report.text([ALONE], {"sipp": "3.6"}, ["row 14 (calls with media): baresip is not installed"])
    assert text.splitlines()[-1] == "NOT MEASURED: row 14 (calls with media): baresip is not installed"
