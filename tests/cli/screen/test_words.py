"""What the screen says of a call."""

from __future__ import annotations

import re

import pytest

from ringback.cli.screen.line import Line
from ringback.cli.screen.words import MOST_CHANGES, bar, clock, details, duration, plain, state_of
from tests.ua.phones import phones
from tests.ua.test_call import connected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bob <sip:bob@example.org>", "Bob <sip:bob@example.org>"),
        ("[red]Bob[/red]", "[red]Bob[/red]"),
        ("a\x1b[2Jb\r\nc\u202ed\x00", "a�[2Jb��c�d�"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 119 + "…"),
    ],
)
def test_text_of_others_is_text(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0:00"), (0, "0:00"), (65.9, "1:05"), (3599.9, "59:59"), (3605, "1:00:05")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("level", "signs"), [(-127, 0), (-60, 0), (-30, 3), (-9, 5), (0, 6), (3, 6)])
def test_levels(level: float, signs: int) -> None:
    assert bar(level) == "█" * signs + "·" * (6 - signs)


def test_the_time_of_day_of_an_event() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d", clock(5.0, 7.0))
    assert clock(0.0, 86400.0) == clock(86400.0, 86400.0)


async def test_a_call_from_its_ringing_to_its_end() -> None:
    async with phones("alice", "bob") as (alice, bob):
        out, into = await connected(alice, bob)
        line = Line(1, out, alice.now(), print)
        line.answered_at = line.began
        assert state_of(line) == "talking"
        line.muted = True
        assert state_of(line) == "talking, muted"
        await into.hold()
        assert state_of(line) == "held"
        line.holding = True
        assert state_of(line) == "on hold"
        lines = details(line, line.began + 61).splitlines()
        assert lines[0] == f"to {bob.uri}: on hold, 1:01"
        assert any(text.startswith("heard here: PCMU, MOS ") for text in lines)
        assert re.fullmatch(r"\d\d:\d\d:\d\d  changed: by the other side held", lines[-1])
        out.note("[b]", "\x1b]0;title\x07", "y" * 300)
        assert details(line, line.began).splitlines()[-1][10:].startswith("[b]: �]0;title� yyyy")
        for _ in range(MOST_CHANGES + 3):
            out.note("many", "of them")
        assert details(line, line.began).count("many: of them") == MOST_CHANGES
        await out.hang_up()
        assert state_of(line) == "ended"
        assert details(line, line.began).splitlines()[1] == "ended by local: hung up"
