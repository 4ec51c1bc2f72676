"""Which elements of a value are looked at: the same for each input, spread over all units and positions."""

from __future__ import annotations

import math
import zlib

import numpy as np

SAMPLE = 4096
"""Elements of one value looked at per input: a share is then known within 1 %, a variance within 3 %."""
MIN_SAMPLE = 256
"""Elements looked at even in a network of very many values: a share is then known within 3 %."""
SAMPLES_HELD = 1 << 24
"""Sampled elements held at once, over all values and inputs (64 MiB in float32). A judgement."""

Part = tuple[int, int] | None
"""The units [start, stop) of a value that belong to a layer; None for all."""


def sample_size(elements: int) -> int:
    """Elements to look at of each value for each input, where `elements` counts the pairs of value and input."""
    return int(np.clip(SAMPLES_HELD // max(1, elements), MIN_SAMPLE, SAMPLE))


def positions(
    shape: tuple[int, ...], rows: int, size: int, part: Part, channel_axis: int | None, seed: int
) -> np.ndarray:
    """Flat positions [rows, k] of a sample of the elements, the same elements for each row.

    All elements where there are no more than `size`, else one drawn from each of `size` equal stretches, so that every
    unit is met and no stride resonates with an axis.
    """
    rows_axis = batch_axis(shape, rows)
    box = [(0, n) for n in shape]
    if rows > 1:
        if rows_axis is None:  # inputs cannot be told apart here
            rows = 1
        else:
            box[rows_axis] = (0, 1)
    if part is not None and channel_axis is not None and -len(shape) <= channel_axis < len(shape):
        box[channel_axis] = part
    counts = [stop - start for start, stop in box]
    total = math.prod(counts)
    if total <= size:
        chosen = np.arange(total)
    else:
        rng = np.random.default_rng((seed, zlib.crc32(repr((shape, part)).encode())))
        edges = np.linspace(0, total, size + 1).astype(np.int64)
        chosen = rng.integers(edges[:-1], edges[1:])
    if not shape:
        return chosen.reshape(1, -1)
    where = [c + start for c, (start, _) in zip(np.unravel_index(chosen, counts), box, strict=True)]
    base = np.ravel_multi_index(where, shape)
    step = 0 if rows == 1 or rows_axis is None else math.prod(shape[rows_axis + 1 :])
    return base[None, :] + step * np.arange(rows)[:, None]


def batch_axis(shape: tuple[int, ...], rows: int) -> int | None:
    """The axis of size `rows`: the first axis if it can be, else the only one; None where that is not clear."""
    if rows > 1 and shape and shape[0] == rows:
        return 0
    candidates = [a for a, n in enumerate(shape) if n == rows]
    return candidates[0] if len(candidates) == 1 else None
