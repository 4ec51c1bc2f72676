"""Long wires of the map end in a sign that names where they come from, as a flow chart refers to another page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from initaudit.formats.page.map_boxes import Box

LONGEST = 20
"""Boxes one below another that a wire goes past at most: the skips of a small U-Net, and no more than the eye can follow. A judgement."""
STEPS_PER_BOX = 4
"""Steps from box to box that all drawn wires together may take for each box. Published networks take two to three; the layout's time
grows with the steps, and a graph in which all read all is not told by its wires."""
FEW_STEPS = 200
"""Steps that are drawn in any case; a layout of a tenth of a second."""


def with_jumps(boxes: Sequence[Box]) -> list[Box]:
    """The boxes with each wire that is too long replaced by a box of kind `jump` before its reader; one for all such wires of a reader."""
    ranks = _ranks(boxes)
    spans = [[ranks[position] - ranks[source] for source in box.reads] for position, box in enumerate(boxes)]
    longest = _longest(spans, max(FEW_STEPS, STEPS_PER_BOX * len(boxes)))
    result: list[Box] = []
    number: list[int] = []
    for box, lengths in zip(boxes, spans, strict=True):
        far = tuple(number[s] for s, length in zip(box.reads, lengths, strict=True) if length > longest)
        reads = tuple(number[s] for s, length in zip(box.reads, lengths, strict=True) if length <= longest)
        if far:
            reads = (*reads, len(result))
            result.append(replace(box, kind="jump", name="", op_type=None, layers=(), reads=(), jumps=far))
        number.append(len(result))
        result.append(replace(box, reads=reads))
    return result


def _longest(spans: Sequence[Sequence[int]], budget: int) -> int:
    """The length up to which all wires together stay within the budget of steps; 1 at least, which keeps the boxes connected."""
    steps = [0] * (LONGEST + 1)
    for lengths in spans:
        for length in lengths:
            if length <= LONGEST:
                steps[length] += length
    return max((n for n in range(2, LONGEST + 1) if sum(steps[: n + 1]) <= budget), default=1)


def _ranks(boxes: Sequence[Box]) -> list[int]:
    """How many boxes lie above each on the longest way; what reads nothing lies directly above its first reader."""
    ranks: list[int] = []
    for box in boxes:
        ranks.append(1 + max((ranks[source] for source in box.reads if boxes[source].reads), default=0))
    for position in reversed(range(len(boxes))):
        for source in boxes[position].reads:
            if not boxes[source].reads:
                ranks[source] = ranks[position] - 1
    return ranks
