"""Distribution functions and tail probabilities, without scipy."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from initaudit.initialisation.schemes import TRUNCATED_STD, TRUNCATION

if TYPE_CHECKING:
    from collections.abc import Callable

_TABLE_END: Final = 8.5
"""Phi(-8.5) is 1e-17: less than half a unit in the last place of 1."""
_TABLE_STEP: Final = 2.0**-10
"""Linear interpolation in the table errs by at most step^2/8 * max|phi'| = 3e-8."""

EXACT_KS: Final = 1 << 13
"""Up to this many values are sorted; more are counted in KS_BINS bins, which is several times faster (`benchmarks/thresholds.py
speed`)."""

KS_BINS: Final = 4096
"""Cells over the support of a binned Kolmogorov-Smirnov distance: D is underestimated by at most one cell's mass, 0.001."""


FARTHEST: Final = 1e12
"""Multiples of its scale beyond which a value is as far as can be: its square, times a billion values, is a float32."""


def in_units(values: np.ndarray, unit: float) -> np.ndarray:
    """`values` (float32) in multiples of `unit`, float32, as far as their squares can be summed.

    In double precision where the reciprocal of the unit is beyond the range of float32: subnormal weights have such units.
    """
    reciprocal = 1.0 / unit
    if reciprocal < float(np.finfo(np.float32).max):
        return values * np.float32(reciprocal)
    return np.asarray(np.clip(values.astype(np.float64) / unit, -FARTHEST, FARTHEST), np.float32)


def normal_tail(z: float) -> float:
    """Two-sided p-value of a standard normal score."""
    return math.erfc(abs(z) / math.sqrt(2.0))


@cache
def _normal_table() -> tuple[np.ndarray, np.ndarray]:
    grid = np.arange(-_TABLE_END, _TABLE_END + _TABLE_STEP, _TABLE_STEP)
    return grid, np.array([0.5 * math.erfc(-z / math.sqrt(2.0)) for z in grid.tolist()])


def normal_cdf(z: np.ndarray) -> np.ndarray:
    """Phi(z), absolute error below 1e-7."""
    grid, table = _normal_table()
    return np.asarray(np.interp(z, grid, table))


def truncated_normal_cdf(z: np.ndarray) -> np.ndarray:
    """Distribution function of a unit-variance normal that was cut at TRUNCATION of its own sigma."""
    low = 0.5 * math.erfc(TRUNCATION / math.sqrt(2.0))
    inside = np.clip(z * TRUNCATED_STD, -TRUNCATION, TRUNCATION)
    return (normal_cdf(inside) - low) / (1.0 - 2.0 * low)


def uniform_cdf(z: np.ndarray) -> np.ndarray:
    """Distribution function of U(-1, 1)."""
    return np.clip(0.5 * (z + 1.0), 0.0, 1.0)


def ks_distance(values: np.ndarray, cdf: Callable[[np.ndarray], np.ndarray], reach: float) -> float:
    """Kolmogorov-Smirnov distance of `values` (already divided by the law's scale) from `cdf`; the law lives in +-reach."""
    n = values.size
    if n <= EXACT_KS:
        expected = cdf(np.sort(values))
        step = np.arange(n + 1) / n
        return float(max((step[1:] - expected).max(), (expected - step[:-1]).max()))
    position = (values + reach) * (KS_BINS / (2.0 * reach))
    cell = np.clip(position, 0, KS_BINS - 1).astype(np.int64)
    counted = np.cumsum(np.bincount(cell, minlength=KS_BINS))[:-1] / n
    edges = np.linspace(-reach, reach, KS_BINS + 1)[1:-1]
    return float(np.abs(counted - cdf(edges)).max())


def ks_p_value(distance: float, n: int) -> float:
    """p-value of a Kolmogorov-Smirnov distance (Stephens 1970, with the leading term of Kolmogorov's series).

    Also used where the scale was estimated by the root mean square: for a law centred at zero that lowers the upper
    percentage points of sqrt(n) D by 1-3 % only (measured: 40,000 samples of a normal and of a truncated normal; 1 % point 1.607
    against 1.628, 0.1 % point 1.936 against 1.949), so the p-value errs towards acceptance by less than a fifth.
    """
    root = math.sqrt(n)
    t = (root + 0.12 + 0.11 / root) * distance
    return min(1.0, 2.0 * math.exp(-2.0 * t * t))


def variance_ratio_p(ratio: float, degrees: float) -> float:
    """Two-sided p-value of chi^2/degrees = ratio (Wilson & Hilferty 1931)."""
    if degrees <= 0 or ratio < 0:
        return 1.0
    spread = 2.0 / (9.0 * degrees)
    return normal_tail((math.cbrt(ratio) - (1.0 - spread)) / math.sqrt(spread))


def tracy_widom_p(score: float) -> float:
    """Upper tail of the Tracy-Widom law for real matrices: exp(-2/3 s^1.5) / (4 sqrt(pi) s^0.75).

    Dumaz & Virag 2013, beta = 1; 1 where that expansion does not hold (s < 0.5).
    """
    if score < 0.5:
        return 1.0
    return min(
        1.0, math.exp(-2.0 / 3.0 * score * math.sqrt(score)) / (4.0 * math.sqrt(math.pi * score * math.sqrt(score)))
    )


def tracy_widom_lower_p(score: float) -> float:
    """Lower tail of the Tracy-Widom law for real matrices: exp(-|s|^3 / 24), above the true one by its falling factors.

    Ramirez, Rider & Virag 2011, theorem 1.3, beta = 1; 1 for s >= 0.
    """
    return math.exp(min(score, 0.0) ** 3 / 24.0)


def tracy_widom_score(largest: float, rows: int, columns: int) -> float:
    """Largest singular value of an iid unit-variance matrix in Tracy-Widom units (Johnstone 2001, theorem 1.1)."""
    a, b = math.sqrt(max(rows, columns) - 1.0), math.sqrt(min(rows, columns))
    centre = (a + b) ** 2
    width = (a + b) * math.cbrt(1.0 / a + 1.0 / b)
    return (largest * largest - centre) / width
