"""The picture on the first screen, signal and gradient through depth, as geometry for an SVG that needs no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from initaudit.formats.page import words
from initaudit.formats.printing import number

WIDTH = 420
"""Of the drawing in its own units. A judgement: the text in it is still read on a phone of 390 pixels."""
HEIGHT = 262
"""As WIDTH; with the legend beneath it leaves the figures of the verdict on the first screen of 1400 x 900."""
LEFT, RIGHT, TOP, BOTTOM = 58, 8, 8, 40
"""Room for the numbers and titles of the axes. A judgement by eye."""
LABELS = 5
"""Numbers on an axis that a reader takes in at a glance. A judgement."""
COLUMNS = 12
"""Numbers of layers, up to four digits each, that fit side by side under the drawing."""
MOST_POINTS = 64
"""Up to this many layers each has a point of its own; beyond, points run into a band. As in the page's charts."""
AIR = 0.06
"""Share of the axis that stays free at both ends, so that no point lies on the border. A judgement by eye."""

LINES = {
    "variance": "signal: variance of a layer's output",
    "gradientTotal": "gradient: all that comes back to a layer",
}
"""What is drawn: name of the series -> its legend."""


def picture(
    quantities: Mapping[str, Sequence[Any]], severities: Sequence[str | None], lost: int | None
) -> dict[str, Any] | None:
    """What the template draws; None where neither quantity is known of two layers.

    Args:
        quantities: values by layer, those of LINES among them.
        severities: the worst finding of each layer.
        lost: the layer at which the signal is lost, counted from 0.
    """
    drawn = {name: quantities[name] for name in LINES if sum(map(_placeable, quantities[name])) > 1}
    if not drawn:
        return None
    low, high, ticks = _decades([value for values in drawn.values() for value in values if _placeable(value)])
    count = len(severities)
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    step = (right - LEFT) / count

    def x(position: int) -> float:
        return round(LEFT + (position + 0.5) * step, 1)

    def y(power: float) -> float:
        return round(bottom - (power - low) / (high - low) * (bottom - TOP), 1)

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": right,
        "top": TOP,
        "bottom": bottom,
        "lines": [
            {
                "name": name,
                "label": LINES[name],
                "journey": words.journey(values),
                "runs": _runs([(x(i), y(math.log10(v))) if _placeable(v) else v for i, v in enumerate(values)]),
                "zeros": [x(i) for i, value in enumerate(values) if value == 0],
                "points": count <= MOST_POINTS,
            }
            for name, values in drawn.items()
        ],
        "rows": [{"y": y(power), "label": number(10.0**power)} for power in ticks],
        "columns": [{"x": x(position), "label": number(position + 1)} for position in _columns(count)],
        "healthy": y(0) if low < 0 < high else None,
        "lost": None if lost is None else {"x": x(lost), "left": lost > count * 0.7},
        "found": [{"x": x(i), "severity": s} for i, s in enumerate(severities) if s in ("error", "warning")],
    }


def _placeable(value: Any) -> bool:
    """True for what a logarithmic axis has a place for."""
    return words.finite(value) and value > 0


def _decades(values: Sequence[float]) -> tuple[float, float, list[int]]:
    """Both ends of the axis as powers of ten, and the powers that get a number; 1 is always on the axis."""
    powers = [0.0, *map(math.log10, values)]
    first, last = math.floor(min(powers)), math.ceil(max(powers))
    if last - first < 2:
        first, last = first - 1, last + 1
    air = (last - first) * AIR
    step = math.ceil((last - first) / LABELS)
    return first - air, last + air, [power for power in range(first, last + 1) if power % step == 0]


def _columns(count: int) -> list[int]:
    """Layers that get their number on the axis, from 0: the first, the last, and some round ones between."""
    magnitude = 10 ** max(0, len(str(count)) - 2)
    step = next(s * magnitude for s in (1, 2, 5, 10) if count / (s * magnitude) <= COLUMNS)
    between = [place - 1 for place in range(step, count - step // 2, step) if place > 1 + step // 2]
    return sorted({0, *between, count - 1})


def _runs(places: Sequence[Any]) -> list[list[tuple[float, float]]]:
    """Unbroken stretches of a line: it runs on over layers of which nothing is known, and breaks at a zero or NaN."""
    runs: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if isinstance(place, tuple):
            runs[-1].append(place)
        elif place is not None:
            runs.append([])
    return [run for run in runs if run]
