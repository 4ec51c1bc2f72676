"""Second moments of a value from a sample of its elements and the mean square over all of them."""

from __future__ import annotations

import math

import numpy as np

from initaudit.probe.signal import Moments


def moments_of(z: np.ndarray, level: float) -> Moments:
    """q over all elements, and s: the share of it that the sample says is variance over inputs.

    Non-finite elements are left out; where nothing is finite, both are infinite.

    Args:
        z: sample [inputs, elements], float64.
        level: mean square over all elements; where it is not finite, the sample's own is taken.
    """
    if z.size == 0:
        return Moments(mean_square=0.0, variance=0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        if not math.isfinite(float(z.sum())):
            whole = np.isfinite(z).all(axis=0)
            if not whole.any():
                return Moments(mean_square=math.inf, variance=math.inf)
            z = z[:, whole]
        sampled = float(np.vdot(z, z)) / z.size
        deviation = z - z.mean(axis=0)
        gram = deviation @ deviation.T
        spread = float(np.trace(gram)) / ((len(z) - 1) * z.shape[1]) if len(z) > 1 else 0.0
    if not math.isfinite(level) or sampled == 0.0:
        level = sampled
    variance = spread * (level / sampled) if sampled else 0.0
    return Moments(mean_square=level, variance=variance, dimension=dimension_of(gram))


def dimension_of(gram: np.ndarray) -> float | None:
    """Participation ratio of the variation over inputs; None where there is none.

    `gram` are the products [inputs, inputs] of the deviations from the mean over inputs, which have the eigenvalues of their covariance.
    """
    largest = float(np.abs(gram).max(initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return None
    scaled = gram / largest
    return float(np.trace(scaled)) ** 2 / float(np.square(scaled).sum())
