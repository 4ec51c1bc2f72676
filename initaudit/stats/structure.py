"""Evidence that the rows, columns and neighbours of a matrix of fresh values know nothing of each other.

Every test gives a p-value under the hypothesis "independent, unit variance".
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from initaudit.stats.distributions import (
    normal_tail,
    tracy_widom_lower_p,
    tracy_widom_p,
    tracy_widom_score,
    variance_ratio_p,
)


def structure_evidence(z: np.ndarray, kernel: int = 1, largest: float | None = None) -> dict[str, float]:
    """Tests that rows, columns and neighbours of `z` [units, inputs], unit variance, know nothing of each other.

    `kernel` neighbouring inputs are the taps of one channel; `largest` is the largest singular value where it is known.
    """
    rows, columns = z.shape
    if min(rows, columns) < 2:
        return {}
    tests: dict[str, float] = {}
    ones = np.ones(max(rows, columns), np.float32)
    row_sums, column_sums = z @ ones[:columns], ones[:rows] @ z
    tests["unit means"] = variance_ratio_p(float(row_sums @ row_sums) / z.size, rows)
    tests["input means"] = variance_ratio_p(float(column_sums @ column_sums) / z.size, columns)
    along = float(np.vdot(z[:, 1:], z[:, :-1])) / math.sqrt(rows * (columns - 1))
    across = float(np.vdot(z[1:], z[:-1])) / math.sqrt((rows - 1) * columns)
    tests["neighbouring inputs"] = normal_tail(along)
    tests["neighbouring units"] = normal_tail(across)
    tests["spectrum"] = _spectrum_p(z, largest)
    if 1 < kernel < columns:
        taps = kernels(z, kernel)
        sums = taps @ ones[:kernel] if kernel <= ones.size else taps.sum(axis=1)
        tests["kernel means"] = variance_ratio_p(float(sums @ sums) / taps.size, taps.shape[0])
        if taps.shape[0] >= TAP_RATIO * kernel:
            tests["kernel taps"] = _sphericity_p(taps)
    if min(rows, columns) <= NARROW and max(rows, columns) >= TAP_RATIO * min(rows, columns):
        tests["narrow side"] = _sphericity_p(z if columns < rows else z.T)
    return tests


NARROW: Final = 32
"""Up to this smaller side all its correlations are tested at once; beyond, only the strongest direction (`spectrum`). A
judgement: 528 correlations, which need a few thousand rows to be known."""


TAP_RATIO: Final = 8
"""Kernels per tap from which the likelihood ratio of `_sphericity_p` follows its chi^2 law closely enough. A judgement, borne
out by the share of fresh tensors that is lost (`benchmarks/provenance.py`)."""


def kernels(z: np.ndarray, kernel: int) -> np.ndarray:
    """The kernels of all channels and units as rows; what a sample cut in two is left out."""
    whole = z.shape[1] // kernel * kernel
    return z[:, :whole].reshape(-1, kernel)


def _sphericity_p(rows: np.ndarray) -> float:
    """Whether the columns of `rows` are uncorrelated and of one variance (Mauchly 1940, with Bartlett's factor)."""
    n, k = rows.shape
    cov = (rows.T @ rows).astype(np.float64) / n
    sign, logarithm = np.linalg.slogdet(cov / (np.trace(cov) / k))
    if sign <= 0:
        return 0.0
    degrees = k * (k + 1) / 2.0 - 1.0
    factor = n - (2.0 * k * k + k + 2.0) / (6.0 * k)
    return variance_ratio_p(max(0.0, -factor * float(logarithm)) / degrees, degrees)


POWER_SIDE: Final = 64
"""Above this smaller side the largest singular value of a block is found by subspace iteration instead of all of them. A
judgement about speed."""

POWER_STEPS: Final = 6
"""Steps of the iteration. A judgement: the error falls by the fourth power of the ratio of singular values at each, so that a
value half as large again as the others is exact within 1e-4 after six."""
POWER_WIDTH: Final = 4
"""Vectors that are iterated. A judgement: as many as BLAS multiplies with at once (`sketch.SKETCH_WIDTH`)."""


SMALLEST_SPECTRUM: Final = 16
"""Smaller side from which a largest singular value that is too small speaks against independence, as in a part of an orthogonal
matrix. A judgement: Johnstone's limit holds from 10 on (2001, table 1)."""


def _spectrum_p(z: np.ndarray, largest: float | None) -> float:
    rows, columns = z.shape
    side = min(rows, columns)
    exact = largest is not None or side <= POWER_SIDE
    if largest is None:
        largest = _largest_singular_value(z)
    score = tracy_widom_score(largest, rows, columns)
    return min(tracy_widom_p(score), tracy_widom_lower_p(score) if exact and side >= SMALLEST_SPECTRUM else 1.0)


def _largest_singular_value(z: np.ndarray) -> float:
    """Exact for a small side, else a lower bound that a value outside the bulk raises to itself."""
    side = min(z.shape)
    peak = float(np.abs(z).max(initial=0.0))
    if not 0.0 < peak < math.inf:
        return peak
    z = z / np.float32(peak)  # squares of float32 numbers need not fit into float32
    tall = z if z.shape[1] == side else z.T
    if side <= POWER_SIDE:
        top = float(np.linalg.eigvalsh((tall.T @ tall).astype(np.float64))[-1])
    else:
        basis = _start(side)
        for _ in range(POWER_STEPS):
            basis = tall.T @ (tall @ basis)
            basis *= np.float32(1.0) / np.abs(basis).max()
        image = tall @ np.linalg.qr(basis)[0]
        top = float(np.linalg.eigvalsh((image.T @ image).astype(np.float64))[-1])
    return peak * math.sqrt(max(top, 0.0))


@lru_cache(maxsize=16)
def _start(side: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((side, POWER_WIDTH)).astype(np.float32)
