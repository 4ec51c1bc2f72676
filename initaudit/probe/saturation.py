"""Where an activation is flat: the part of its input from which no gradient comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

Function: TypeAlias = Callable[[np.ndarray], np.ndarray]

FLAT_SLOPE = 0.01
"""Slope below which an activation counts as flat, as a share of its largest slope on the grid."""
REACH = 1e3
"""Largest |z| looked at; every activation in use has reached its asymptote long before."""
POINTS = 4001
"""Grid points per sign, logarithmic from 1e-4 to REACH: an end is found within 0.4 %."""


def flat_ends(phi: Function) -> tuple[tuple[float, float], ...]:
    """Half-lines (-inf, a) and (b, inf) on which |phi'| stays below FLAT_SLOPE of its maximum.

    Args:
        phi: elementwise function on float64 arrays.

    Returns:
        None, one or two intervals. A place between two steep parts (the minimum of GELU) is no end and not listed. A
        function that is flat everywhere, or not a number anywhere, has none.
    """
    grid = np.logspace(-4.0, np.log10(REACH), POINTS)
    z = np.concatenate((-grid[::-1], grid))
    middle = 0.5 * (z[1:] + z[:-1])
    with np.errstate(all="ignore"):
        slope = np.abs(np.diff(np.asarray(phi(z), np.float64)) / np.diff(z))
    if not np.isfinite(slope).all() or slope.max() == 0:
        return ()
    steep = np.flatnonzero(slope >= FLAT_SLOPE * slope.max())
    first, last = int(steep[0]), int(steep[-1])
    ends = []
    if first > 0:
        low = 0.5 * (middle[first - 1] + middle[first])
        ends.append((-np.inf, 0.0 if abs(low) <= grid[0] else float(low)))
    if last < slope.size - 1:
        high = 0.5 * (middle[last] + middle[last + 1])
        ends.append((0.0 if abs(high) <= grid[0] else float(high), np.inf))
    return tuple(ends)
