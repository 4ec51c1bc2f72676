"""Second moments of a value from a sample of its elements and the sums over all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from initaudit.probe.signal import Moments

if TYPE_CHECKING:
    from initaudit.probe.observed import Observed
    from initaudit.probe.sampling import Part


def moments_of(observed: Observed, part: Part) -> Moments:
    """q over all elements, and s: the share of it that the sample says is variance over inputs.

    Non-finite elements are left out; where nothing is finite, both are infinite.
    """
    z = observed.samples[part]
    if z.size == 0:
        return Moments(mean_square=0.0, variance=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.isfinite(z).all(axis=0)
        if not whole.any():
            return Moments(mean_square=math.inf, variance=math.inf)
        z = z[:, whole]
        sampled = float(np.mean(np.square(z)))
        spread = float(np.mean(np.var(z, axis=0, ddof=1))) if len(z) > 1 else 0.0
    level = mean_square_of(observed, part)
    if not math.isfinite(level) or sampled == 0.0:
        level = sampled
    variance = spread * (level / sampled) if sampled else 0.0
    return Moments(mean_square=level, variance=variance, dimension=dimension_of(z))


def dimension_of(z: np.ndarray) -> float | None:
    """Participation ratio of the variation of finite z [inputs, elements] over inputs; None where there is none.

    From the Gram matrix of the deviations, which has the eigenvalues of their covariance.
    """
    largest = float(np.abs(z).max(initial=0.0))
    if len(z) < 2 or largest == 0.0:
        return None
    deviation = z / largest
    deviation -= deviation.mean(axis=0)
    gram = deviation @ deviation.T
    squares = float(np.square(gram).sum())
    return float(np.trace(gram)) ** 2 / squares if squares > 0.0 else None


def mean_square_of(observed: Observed, part: Part) -> float:
    """Mean square over all elements of the part, from the sums taken in the graph; not finite where those are not."""
    total = math.prod(observed.shape)
    squares = observed.squares
    if part is None or squares.ndim == 0:
        return float(squares.sum()) / max(1, total) if part is None else math.nan
    share = (part[1] - part[0]) / max(1, squares.size)
    return float(squares[part[0] : part[1]].sum()) / max(1.0, total * share)
