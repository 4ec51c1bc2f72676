"""The picture of a race's predictions: predicted slowness across, steps upwards, both logarithmic, a point a start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Part = Mapping[str, Any]

WIDTH, HEIGHT = 560, 340
"""Of the picture, in pixels. A judgement: as wide as a column of text."""
LEFT, RIGHT, TOP, BOTTOM = 96, 510, 34, 286
"""Edges of the plot, in pixels; beside it is room for the marks."""
LAST = 0.84
"""Share of an axis that numbers take; beyond stands what is endless."""
MOST_MARKS = 7
"""Numbers on an axis, at most."""
STEPS = ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), tuple(1 + n / 20 for n in range(180)))
"""Digits with which axes are marked, the finer ones where the coarser give fewer than three marks."""


def picture(starts: Sequence[Part]) -> dict[str, Any] | None:
    """What the template draws; None for fewer than two starts of which both are known."""
    known = [(n, s) for n, s in enumerate(starts, 1) if s["outcomes"] and s["predicted"]["learns"] is not None]
    if len(known) < 2:
        return None
    across = _Axis([_slowness(start) for _, start in known], LEFT, RIGHT)
    up = _Axis([start["steps"] for _, start in known], BOTTOM, TOP)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": RIGHT,
        "top": TOP,
        "bottom": BOTTOM,
        "across": across.marks("not to learn"),
        "up": up.marks("not reached"),
        "points": [
            {"x": across.at(_slowness(start)), "y": up.at(start["steps"]), "place": number, "name": start["scheme"]}
            for number, start in known
        ],
    }


def _slowness(start: Part) -> float | None:
    """None for what is not expected to learn."""
    if not start["predicted"]["learns"]:
        return None
    return start["predicted"]["slowness"] or 1.0


class _Axis:
    """Logarithmic from the smallest to the largest number, with a place for what has none."""

    def __init__(self, values: Sequence[float | None], start: float, end: float) -> None:
        numbers = [value for value in values if value is not None] or [1.0]
        low, high = math.log(min(numbers) * 0.9), math.log(max(numbers) * 1.1)
        self._low, self._high = (low, high) if high - low > 0.5 else ((low + high) / 2 - 0.25, (low + high) / 2 + 0.25)
        self._endless = len(values) > sum(value is not None for value in values)
        self._start, self._end = start, end

    def at(self, value: float | None) -> float:
        """In pixels."""
        if value is None:
            return self._end
        share = (math.log(value) - self._low) / (self._high - self._low)
        return round(self._start + share * (LAST if self._endless else 1.0) * (self._end - self._start), 1)

    def marks(self, endless: str) -> list[dict[str, Any]]:
        """Numbers that lie on the axis, a few, and what the place at its end means."""
        inside: list[float] = []
        for digits in STEPS:
            numbers = (digit * 10.0**power for power in range(-3, 7) for digit in digits)
            inside = [n for n in numbers if self._low <= math.log(n) <= self._high]
            if len(inside) >= 3:
                break
        inside = inside[:: -(-len(inside) // MOST_MARKS)] if inside else []
        found: list[dict[str, Any]] = [{"at": self.at(n), "name": f"{n:.3g}"} for n in inside]
        return [*found, {"at": self._end, "name": endless}] if self._endless else found
