"""The picture of a race's predictions: predicted slowness across, steps upwards, both logarithmic, a point a start."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Part = Mapping[str, Any]
    Point: TypeAlias = tuple[float, float, int]

WIDTH, HEIGHT = 560, 340
"""Of the picture, in pixels. A judgement: as wide as a column of text."""
LEFT, RIGHT, TOP, BOTTOM = 96, 490, 40, 286
"""Edges of the plot, in pixels; beside it is room for the marks."""
LAST = 0.84
"""Share of an axis that numbers take; beyond stands what is endless."""
SHORTEST = 1.2
"""Least natural logarithm of what the ends of an axis differ by. A judgement: a factor of three, so that small differences look small."""
DIGITS = (1, 1.5, 2, 3, 5, 7)
"""With which numbers on an axis begin."""
APART = 38
"""Pixels between two of them, at least: the width of four digits."""
TOGETHER = 24
"""Pixels within which points share their label: the width of one."""
LETTER, LINE = 7, 14
"""Pixels of a character of a label, and of its height: of bold digits at 12 pixels."""


def picture(starts: Sequence[Part]) -> dict[str, Any] | None:
    """What the template draws; None for fewer than two starts of which both are known."""
    known = [(n, s) for n, s in enumerate(starts, 1) if s["outcomes"] and s["predicted"]["learns"] is not None]
    if len(known) < 2:
        return None
    across = _Axis([_slowness(start) for _, start in known], LEFT, RIGHT)
    up = _Axis([start["steps"] for _, start in known], BOTTOM, TOP)
    points = [(across.at(_slowness(start)), up.at(start["steps"]), number) for number, start in known]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": RIGHT,
        "top": TOP,
        "bottom": BOTTOM,
        "across": across.marks("not to learn"),
        "up": up.marks("not reached"),
        "points": [{"x": x, "y": y} for x, y, _ in points],
        "labels": [_label(group) for group in _together(points)],
    }


def _together(points: Sequence[Point]) -> list[list[Point]]:
    """Points that share a label: those that lie about the first of their group, and groups whose labels would cover each other."""
    groups: list[list[Point]] = []
    for point in points:
        near = next((group for group in groups if math.dist(group[0][:2], point[:2]) <= TOGETHER), None)
        groups = [group for group in groups if group is not near]
        joined = [*(near or ()), point]
        while (other := next((group for group in groups if _cover(group, joined)), None)) is not None:
            groups.remove(other)
            joined = [*other, *joined]
        groups.append(joined)
    return groups


def _cover(one: Sequence[Point], other: Sequence[Point]) -> bool:
    """Whether their labels would."""
    left, right = sorted((_label(one), _label(other)), key=lambda label: float(label["x"]))
    return abs(left["y"] - right["y"]) < LINE and right["x"] - left["x"] < LETTER * len(left["places"]) + LINE / 2


def _label(group: Sequence[Point]) -> dict[str, Any]:
    """Beside the rightmost of them and above the highest, so that it covers none."""
    return {
        "x": max(x for x, _, _ in group),
        "y": min(y for _, y, _ in group),
        "places": _told(sorted(place for _, _, place in group)),
    }


def _told(places: Sequence[int]) -> str:
    """`1`, `2, 5`, `8-14` or `1-3, 5`."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def _slowness(start: Part) -> float | None:
    """None for what is not expected to learn."""
    if not start["predicted"]["learns"]:
        return None
    return start["predicted"]["slowness"] or 1.0


class _Axis:
    """Logarithmic from the smallest to the largest number, with a place for what has none."""

    def __init__(self, values: Sequence[float | None], start: float, end: float) -> None:
        numbers = [value for value in values if value is not None] or [1.0]
        low, high = math.log(min(numbers)), math.log(max(numbers))
        wanting = max(0.2, SHORTEST - (high - low)) / 2
        self._low, self._high = low - wanting, high + wanting
        self._endless = len(values) > sum(value is not None for value in values)
        self._start, self._end = start, end

    def at(self, value: float | None) -> float:
        """In pixels."""
        if value is None:
            return self._end
        share = (math.log(value) - self._low) / (self._high - self._low)
        return round(self._start + share * (LAST if self._endless else 1.0) * (self._end - self._start), 1)

    def marks(self, endless: str) -> list[dict[str, Any]]:
        """Numbers that lie on the axis, as many as there is room for, and what the place at its end means."""
        found: list[dict[str, Any]] = []
        for number in (digit * 10.0**power for power in range(-3, 7) for digit in DIGITS):
            if self._low <= math.log(number) <= self._high:
                at = self.at(number)
                if not found or abs(at - found[-1]["at"]) >= APART:
                    found.append({"at": at, "name": f"{number:g}"})
        return [*found, {"at": self._end, "name": endless}] if self._endless else found
