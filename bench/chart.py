"""A bar chart as SVG, written by hand: the ratio of each comparison on a logarithmic axis, with the line at 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from bench.figures import Figure

WIDTH = 960
LABELS = 430
ROW = 34
TOP = 64
RIGHT = 90
COLOURS = {True: "#2e7d32", False: "#c62828", None: "#546e7a"}


def svg(figures: Sequence[Figure], title: str) -> str:
    """One bar a comparison that has a ratio: to the right of 1 ours costs less, to the left the peer does."""
    shown = [(figure, ratio) for figure in figures if (ratio := figure.ratio()) is not None and ratio > 0]
    height = TOP + ROW * max(1, len(shown)) + 50
    most = max([2.0, *(ratio for _, ratio in shown)]) * 1.15
    least = min([0.5, *(ratio for _, ratio in shown)]) / 1.15
    span = math.log(most / least)

    def x(ratio: float) -> float:
        return LABELS + (WIDTH - LABELS - RIGHT) * math.log(ratio / least) / span

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="14"><rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="20" y="30" font-size="18" font-weight="bold">{escape(title)}</text>',
    ]
    for tick in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if least <= tick <= most:
            strong = tick == 1
            parts.append(
                f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 8}" y2="{height - 40}" '
                f'stroke="{"#212121" if strong else "#e0e0e0"}" stroke-width="{2 if strong else 1}"/>'
                f'<text x="{x(tick):.1f}" y="{height - 22}" text-anchor="middle" fill="#616161">{tick:g}</text>'
            )
    for position, (figure, ratio) in enumerate(shown):
        y = TOP + ROW * position
        left, right = min(x(1), x(ratio)), max(x(1), x(ratio))
        label = f"{figure.row}  {figure.work}" + (f" ({figure.peer})" if figure.peer not in ("", "Kamailio") else "")
        parts.append(
            f'<text x="20" y="{y + 17}">{escape(_short(label))}</text>'
            f'<rect x="{left:.1f}" y="{y + 2}" width="{max(1.0, right - left):.1f}" height="{ROW - 12}" '
            f'fill="{COLOURS[figure.reached()]}"/>'
            f'<text x="{right + 8:.1f}" y="{y + 17}" font-weight="bold">{ratio:.2f}</text>'
        )
    parts.append(
        f'<text x="20" y="{height - 4}" fill="#616161" font-size="12">'
        "peer's cost ÷ ours, medians; green: goal reached, red: missed, grey: no goal as a ratio</text></svg>"
    )
    return "\n".join(parts) + "\n"


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
