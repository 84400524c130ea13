"""The ladder: hosts side by side, each message an arrow, each decision a line.

12:00:01.234   udp:192.0.2.7:5060        ringback           udp:192.0.2.9:5060
12:00:01.234           │────── INVITE ──────▶│                        │            sip:bob@example.org
12:00:01.235                                 forward sip:bob@192.0.2.9: binding sip:bob@192.0.2.9
"""

from __future__ import annotations

import time
from typing import Any, Final

from rich.text import Text

__all__ = ["Ladder"]

#: Characters of a column, and of the time before the columns.
COLUMN: Final = 24
MARGIN: Final = 14
#: The server's own column; a peer is on its left, the others on its right.
SERVER: Final = "ringback"


class Ladder:
    """Turns what a trace tells into lines. `width`: characters of a line."""

    def __init__(self, width: int, *, ascii_only: bool = False) -> None:
        self._most = max(3, (width - MARGIN) // COLUMN)
        #: What each column stands for.
        self._columns: list[str] = ["", SERVER]
        #: When a column was used last, by counting.
        self._used: list[int] = [0, 0]
        self._count = 0
        self._bar, self._dash, self._right, self._left = "|-><" if ascii_only else "│─▶◀"

    def lines(self, entry: dict[str, Any], raw: bool = False) -> list[Text]:
        """The lines for one thing that a trace tells."""
        kind = entry["kind"]
        if kind == "dropped":
            return [Text(f"… {entry['count']} left out: they came faster than they were shown", "bold red")]
        if kind == "decision":
            return [self._decision(entry)]
        lines = []
        if self._place(entry["peer"]):
            lines.append(self._header(entry["at"]))
        lines.append(self._message(entry))
        if raw:
            lines += [Text(f"{'':{MARGIN}}{_plain(line)}", "dim") for line in entry["text"].splitlines()]
        return lines

    def _place(self, peer: str) -> bool:
        """Give a peer a column; whether the columns have changed."""
        self._count += 1
        if peer in self._columns:
            self._used[self._columns.index(peer)] = self._count
            return False
        if not self._columns[0]:
            position = 0
        elif len(self._columns) < self._most:
            position = len(self._columns)
            self._columns.append("")
            self._used.append(0)
        else:
            # The one that has been silent for longest makes room.
            others = [number for number, name in enumerate(self._columns) if name != SERVER]
            position = min(others, key=lambda number: self._used[number])
        self._columns[position] = peer
        self._used[position] = self._count
        return True

    def _header(self, at: float) -> Text:
        names = "".join(f"{name[-COLUMN + 1 :]:^{COLUMN}}" for name in self._columns)
        return Text(f"{_clock(at):<{MARGIN}}{names.rstrip()}", "bold")

    def _message(self, entry: dict[str, Any]) -> Text:
        peer = self._columns.index(entry["peer"])
        server = self._columns.index(SERVER)
        start, end = (peer, server) if entry["received"] else (server, peer)
        first, last = min(start, end), max(start, end)
        label, style, rest = _label(entry)
        cells = [" "] * (COLUMN * len(self._columns))
        for number in range(len(self._columns)):
            cells[number * COLUMN + COLUMN // 2] = self._bar
        begin, stop = first * COLUMN + COLUMN // 2 + 1, last * COLUMN + COLUMN // 2
        line = f" {label} "[: stop - begin - 2].center(stop - begin - 1, self._dash)
        arrow = line + self._right if start < end else self._left + line
        cells[begin:stop] = arrow
        text = Text(f"{_clock(entry['at']):<{MARGIN}}", "dim")
        text.append("".join(cells[:begin]))
        text.append("".join(cells[begin:stop]), style)
        text.append("".join(cells[stop:]).rstrip())
        if rest:
            text.append(f"  {rest}", "dim")
        return text

    def _decision(self, entry: dict[str, Any]) -> Text:
        status = f" {entry['status']}" if entry["status"] else ""
        target = f" {entry['target']}" if entry["target"] else ""
        place = self._columns.index(SERVER) * COLUMN + COLUMN // 2
        text = Text(f"{_clock(entry['at']):<{MARGIN}}{'':{place}}", "dim")
        text.append(_plain(f"{entry['what']}{status}{target}: {entry['reason']}"), "yellow")
        return text


def _label(entry: dict[str, Any]) -> tuple[str, str, str]:
    """What stands on the arrow, in which style, and what stands beside it."""
    line = _plain(entry["text"].partition("\r\n")[0])
    method = _plain(entry["cseq"].partition(" ")[2].strip())
    if line.startswith("SIP/2.0 "):
        status = line[8:11]
        style = {"1": "cyan", "2": "green", "3": "magenta"}.get(status[:1], "red")
        return f"{line[8:]} {method}" if status != "100" else line[8:], style, ""
    name, _, rest = line.partition(" ")
    return name, "bold", rest.rpartition(" ")[0]


def _clock(at: float) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at * 1000) % 1000:03}"


def _plain(text: str) -> str:
    """Text from the network without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
