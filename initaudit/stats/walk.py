"""How a large tensor is walked: in memory order, in chunks that stay in the cache, giving back pages behind the reader."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.memory import give_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK: Final = 1 << 17
"""Values per chunk: 512 KiB in float32, so that a chunk and its squares stay in the L2 cache; four times as many cost up to
half as much again (`benchmarks/thresholds.py speed`)."""


SPAN: Final = 1 << 22
"""Values per span: 16 MiB in float32, so that giving back pages costs nothing, and resident memory stays small."""

BAND_ROWS: Final = 8
"""Rows of a matrix that are read together at least, long ones in parts: each sum over rows costs as much as one more row."""


def chunks(shape: Sequence[int], size: int = CHUNK) -> Iterator[tuple[slice, ...]]:
    """Walk a C-ordered array in memory order, at most `size` values at a time: one slice per axis."""
    axis, inner = len(shape) - 1, 1
    while axis > 0 and inner * shape[axis] <= size:
        inner *= shape[axis]
        axis -= 1
    step = max(1, size // max(inner, 1))
    for outer in np.ndindex(*shape[:axis]):
        for low in range(0, shape[axis], step):
            where = (*(slice(i, i + 1) for i in outer), slice(low, min(low + step, shape[axis])))
            yield where + (slice(None),) * (len(shape) - len(where))


def span_rows(shape: Sequence[int]) -> int:
    """How long a span of an array of this shape is along its first axis."""
    return max(1, SPAN // max(1, math.prod(shape[1:])))


def spans(view: np.ndarray) -> Iterator[slice]:
    """Stretches of the first axis; the pages of each are given back when the next one is asked for."""
    step = span_rows(view.shape)
    for low in range(0, view.shape[0], step):
        yield slice(low, min(low + step, view.shape[0]))
        give_back(view[low : low + step])


def anywhere(view: np.ndarray, span: slice) -> Iterator[tuple[slice, ...]]:
    """Where the chunks of a span lie."""
    for first, *rest in chunks(view[span].shape):
        yield (slice(first.start + span.start, first.stop + span.start), *rest)


def bands(view: np.ndarray, span: slice) -> Iterator[tuple[slice, list[slice]]]:
    """Rows of a matrix in a span that are read together, and the columns of each chunk of them: all of them, or parts of long rows."""
    columns = view.shape[1]
    together = max(1, CHUNK // columns)
    width = columns
    if together < BAND_ROWS:
        together, width = BAND_ROWS, CHUNK // BAND_ROWS
    for low in range(span.start, span.stop, together):
        rows = slice(low, min(low + together, span.stop))
        yield rows, [slice(left, min(left + width, columns)) for left in range(0, columns, width)]


def all_bands(view: np.ndarray) -> Iterator[tuple[slice, list[slice]]]:
    """The bands of all spans."""
    return (band for span in spans(view) for band in bands(view, span))
