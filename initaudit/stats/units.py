"""Units that repeat each other: equal incoming weights, or one a multiple of the other."""

from __future__ import annotations

from typing import Final

import numpy as np

SAME_DIRECTION: Final = 1e-5
"""Two unit vectors are one direction when no component differs by more: rounding to float32 and a rescaling leave 1e-7,
the nearest of 10^6 random directions in 16 dimensions is 1e-1 away."""


def duplicate_shares(rows: np.ndarray, copy: np.ndarray) -> tuple[float, float]:
    """Share of the units that repeat another one of their copy exactly, and up to sign or scale.

    `rows` is [units, inputs]; `copy` names the copy to which each unit belongs. Zero units do not count as repeats
    (pruning and padding make them), nor do units with a single input, whose directions are all alike.
    """
    if rows.shape[0] < 2 or rows.shape[1] < 2:
        return 0.0, 0.0
    alive = rows.any(axis=1)
    if not alive.all():
        rows, copy = rows[alive], copy[alive]
    total = alive.size
    if rows.shape[0] < 2:
        return 0.0, 0.0
    rows = rows.astype(np.float64)
    peak = np.take_along_axis(rows, np.abs(rows).argmax(axis=1)[:, None], axis=1)
    directions = rows / peak
    directions /= np.sqrt(np.square(directions).sum(axis=1, keepdims=True))
    order, same = _neighbours(directions, copy)
    if not same.any():
        return 0.0, 0.0
    return _repeated(_equal_rows(rows, copy), total), _repeated((order, same), total)


def _neighbours(directions: np.ndarray, copy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order of the units in which equal directions are neighbours, and which neighbours are equal."""
    key = directions @ np.random.default_rng(0).standard_normal(directions.shape[1])
    order = np.lexsort((key, copy))
    close = (np.diff(key[order]) < SAME_DIRECTION * directions.shape[1] ** 0.5) & (np.diff(copy[order]) == 0)
    at = np.flatnonzero(close)
    gap = np.abs(directions[order[at]] - directions[order[at + 1]]).max(axis=1, initial=0.0)
    same = np.zeros(close.size, bool)
    same[at[gap < SAME_DIRECTION]] = True
    return order, same


def _equal_rows(rows: np.ndarray, copy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `_neighbours`, for exact equality."""
    key = rows @ np.random.default_rng(0).standard_normal(rows.shape[1])
    order = np.lexsort((key, copy))
    at = np.flatnonzero(np.diff(copy[order]) == 0)
    same = np.zeros(order.size - 1, bool)
    same[at] = (rows[order[at]] == rows[order[at + 1]]).all(axis=1)
    return order, same


def _repeated(neighbours: tuple[np.ndarray, np.ndarray], total: int) -> float:
    """Share of the units with an equal neighbour on either side."""
    _, same = neighbours
    member = np.zeros(same.size + 1, bool)
    member[:-1] |= same
    member[1:] |= same
    return float(np.count_nonzero(member)) / total
