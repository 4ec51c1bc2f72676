"""Find sizes that the model accepts: by what the graph demands first, by trial where that does not settle it."""

from __future__ import annotations

import heapq
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from initaudit.errors import ProbeError
from initaudit.probe.cost import PRODUCTS_PER_SECOND
from initaudit.probe.inputs.dimensions import Layout, sizes_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_TRIALS = 80
"""Runs before giving up; the search goes by likelihood, and what is not found in this many is not guessable."""
MAX_PRODUCTS = 20 * PRODUCTS_PER_SECOND
"""Work of all trials together: 20 seconds. A judgement: a sixth of the default time limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What an error of the runtime says about the inputs."""

    axis: tuple[str, int, int] | None = None
    """(input, axis, size it must have)"""
    bound: int | None = None
    """A table was indexed beyond this many rows."""
    ratio: float | None = None
    """Elements that a flattening or product wanted, over those that it got."""


def assignments(layout: Layout) -> Iterator[dict[str, int]]:
    """Every combination of candidate sizes, the likeliest first: ordered by the sum of the ranks of its sizes."""
    keys = [k for k, d in layout.dimensions.items() if d.sizes]
    likeliest = {k: layout.dimensions[k].sizes[0] for k in keys}
    # ranks above 0 alone, as (-place, rank): in this form too the combination that keeps the first sizes longest comes first
    heap: list[tuple[int, tuple[tuple[int, int], ...]]] = [(0, ())]
    seen = {heap[0][1]}
    while heap:
        total, ranks = heapq.heappop(heap)
        others = {keys[-place]: layout.dimensions[keys[-place]].sizes[rank] for place, rank in ranks}
        yield sizes_for(layout, likeliest | others)
        known = {-place: rank for place, rank in ranks}
        for place, key in enumerate(keys):
            rank = known.get(place, 0) + 1
            if rank < len(layout.dimensions[key].sizes):
                following = tuple((-p, r) for p, r in sorted((known | {place: rank}).items()))
                if following not in seen:
                    seen.add(following)
                    heapq.heappush(heap, (total + 1, following))


def search(
    layout: Layout, attempt: Callable[[Mapping[str, int]], None], cost: Callable[[Mapping[str, int]], float]
) -> tuple[dict[str, int], int]:
    """The first assignment with which `attempt` does not raise ProbeError, and the number of trials.

    `cost` is what an attempt costs at most, in products. Raises the ProbeError of the first attempt, the likeliest sizes, with the number of trials.
    """
    spent = 0.0
    first: ProbeError | None = None
    pinned: dict[str, int] = {}
    trials = 0
    tried: set[tuple[tuple[str, int], ...]] = set()
    for proposal in assignments(layout):
        sizes = proposal | pinned
        while (key := tuple(sorted(sizes.items()))) not in tried:
            tried.add(key)
            trials += 1
            try:
                attempt(sizes)
            except ProbeError as error:
                first = first or error
                spent += cost(sizes)
                hint = read_hint(str(error))
                sizes = sizes | _forced(layout, hint, pinned) | _scaled(layout, hint, sizes)
            else:
                return sizes, trials
            if trials >= MAX_TRIALS or spent > MAX_PRODUCTS:
                break
        if trials >= MAX_TRIALS or spent > MAX_PRODUCTS:
            break
    assert first is not None
    if trials == 1:
        raise first
    raise ProbeError(
        f"no input sizes were found in {trials} trials; with the likeliest ones {first}; use --input-shape"
    ) from first


def _forced(layout: Layout, hint: Hint, pinned: dict[str, int]) -> dict[str, int]:
    """The size of the axis that the runtime asked for; from now on it stays (in `pinned`)."""
    if hint.axis is not None:
        name, axis, size = hint.axis
        symbol = layout.axes[name][axis] if name in layout.axes and axis < len(layout.axes[name]) else None
        if isinstance(symbol, str) and size > 0:
            pinned.setdefault(symbol, size)
    return pinned


def _scaled(layout: Layout, hint: Hint, sizes: Mapping[str, int]) -> dict[str, int]:
    """A better guess where a network flattens its input: elements grow with the length, or the square of the side."""
    if hint.ratio is None or hint.ratio == 1:
        return {}
    for kind in ("space", "samples", "time", "feature", "other"):
        keys = [k for k, d in layout.dimensions.items() if d.kind == kind and len(d.sizes) > 1]
        if keys:
            axes = [a for shape in layout.axes.values() for a in shape if a in keys]
            factor = hint.ratio ** (1 / len(axes))
            return {k: max(1, round(sizes[k] * factor)) for k in keys}
    return {}


def read_hint(message: str) -> Hint:
    """What the text of an error says about the size of an axis or the range of ids."""
    if found := re.search(
        r"invalid dimensions for input: (.+?) for the following indices index: (\d+) Got: \d+ Expected: (\d+)", message
    ):
        return Hint(axis=(found[1], int(found[2]), int(found[3])))
    if found := re.search(r"must be within the inclusive range \[-?\d+,(\d+)\]", message):
        return Hint(bound=int(found[1]) + 1)
    if found := re.search(r"GEMM: Dimension mismatch, W: \{(\d+),(\d+)\} K: (\d+) N:(\d+)", message):
        rows, columns, got, units = (int(g) for g in found.groups())
        return Hint(ratio=(rows if columns == units else columns) / got)
    if found := re.search(r"Input shape:\{([\d,]+)\}, requested shape:\{([-\d,]+)\}", message):
        given = [int(d) for d in found[1].split(",")]
        wanted = [int(d) for d in found[2].split(",")]
        free = wanted[0] in (-1, 0, given[0])  # the batch is left out on both sides
        got = math.prod(given[1:] if free else given)
        asked = math.prod(abs(d) for d in (wanted[1:] if free else wanted) if d not in (0, -1))
        return Hint(ratio=asked / got if got and asked else None)
    return Hint()
