"""The map in columns, as a newspaper sets a long text: cut where the whole network passes through one box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

COLUMN_HEIGHT = 640
"""CSS pixels that a column takes, if the network can be cut: a block of a transformer, and a screen of a laptop."""
FULL = 0.35
"""Share of that height from which a column may end early where the names say that a block ends. A judgement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Boxes that stand in one column."""

    start: int
    stop: int
    """Positions [start, stop) of the boxes."""
    continues: int | None
    """The last box of the column before, where boxes of this one read it."""


def columns(
    reads: Sequence[Sequence[int]], heights: Sequence[float], paths: Sequence[Sequence[str]], gap: float
) -> list[Column]:
    """Columns of boxes that stand in topological order. Time is linear in boxes and edges.

    Args:
        reads: positions that each box reads, all smaller than its own.
        heights: of the boxes, in CSS pixels.
        paths: each box's name in its parts (`["layer1", "0", "conv1"]`), empty for one that is no layer.
        gap: between two boxes that follow each other, in CSS pixels.
    """
    last_named = max((position for position, path in enumerate(paths) if path), default=0)
    cuts = [cut for cut in _cuts(reads) if cut < last_named or cut == len(reads) - 1]  # the end is no column of its own
    tops = list(accumulate(_segment(reads, heights, a, b, gap) for a, b in pairwise([-1, *cuts])))
    shared = _shared(paths, cuts)
    found: list[Column] = []
    begin, base = 0, 0.0  # the next column starts behind cut number begin - 1, whose boxes reach down to base
    while begin < len(cuts):
        end = begin
        while end + 1 < len(cuts) and tops[end + 1] - base <= COLUMN_HEIGHT:
            end += 1
        if end + 1 < len(cuts):
            early = (c for c in range(begin, end + 1) if c == end or tops[c] - base >= FULL * COLUMN_HEIGHT)
            end = min(early, key=lambda c: (shared[c], -c))
        start = cuts[begin - 1] + 1 if begin else 0
        stop = cuts[end] + 1
        continued = any(source < start for position in range(start, stop) for source in reads[position])
        found.append(Column(start=start, stop=stop, continues=start - 1 if continued else None))
        begin, base = end + 1, tops[end]
    return found


def _cuts(reads: Sequence[Sequence[int]]) -> list[int]:
    """Boxes that no edge passes by, and the last one: what stands behind reads them, or nothing before."""
    change = [0] * (len(reads) + 1)
    for position, before in enumerate(reads):
        for source in before:
            change[source + 1] += 1
            change[position] -= 1
    passing = list(accumulate(change))
    return [position for position in range(len(reads)) if passing[position] == 0 or position == len(reads) - 1]


def _segment(reads: Sequence[Sequence[int]], heights: Sequence[float], cut: int, last: int, gap: float) -> float:
    """Height of the boxes (cut, last], each below what it reads."""
    bottom = {cut: 0.0}
    for position in range(cut + 1, last + 1):
        above = max((bottom.get(source, 0.0) for source in reads[position]), default=0.0)
        bottom[position] = above + gap + heights[position]
    return max(bottom.values())


def _shared(paths: Sequence[Sequence[str]], cuts: Sequence[int]) -> list[int]:
    """For each cut, how many leading parts the names of the layers before and behind it share: the fewer, the larger the blocks it parts."""
    before: list[Sequence[str]] = []
    latest: Sequence[str] = ()
    for path in paths:
        latest = path or latest
        before.append(latest)
    behind: list[Sequence[str]] = [()] * len(paths)
    following: Sequence[str] = ()
    for position in reversed(range(len(paths))):
        behind[position] = following
        following = paths[position] or following
    return [common(before[cut], behind[cut]) for cut in cuts]


def common(*paths: Sequence[str]) -> int:
    """How many leading parts all paths share."""
    return next((i for i, parts in enumerate(zip(*paths, strict=False)) if len(set(parts)) > 1), min(map(len, paths)))
