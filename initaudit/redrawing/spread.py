"""Mean and standard deviation of weights, without another array of their size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1 << 20
"""Values at once, 8 MiB of differences. A judgement: larger blocks are no faster."""


def spread(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation (of the population) of an array of any shape, not empty, in float64."""
    flat = values.reshape(-1)
    mean = float(flat.mean(dtype="float64"))
    squares = 0.0
    for start in range(0, flat.size, BLOCK):
        off = flat[start : start + BLOCK] - mean
        squares += float(off @ off)
    return mean, math.sqrt(squares / flat.size)
