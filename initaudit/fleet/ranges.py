"""Ranges of bytes in a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf


def joined(parts: Iterable[range], *, gap: int = 0, most: float = inf) -> Iterator[range]:
    """Ranges that hold every byte of the parts once, in their order; no part is cut.

    Parts that overlap are one; others are where at most `gap` bytes lie between them and they make at most `most` together.
    """
    begin = end = None
    for part in sorted((part for part in parts if part), key=lambda part: (part.start, part.stop)):
        if begin is None or end is None:
            begin, end = part.start, part.stop
        elif part.start < end or (part.start - end <= gap and part.stop - begin <= most):
            end = max(end, part.stop)
        else:
            yield range(begin, end)
            begin, end = part.start, part.stop
    if begin is not None and end is not None:
        yield range(begin, end)
